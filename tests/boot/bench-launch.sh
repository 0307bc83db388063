# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What a launch costs, for `make bench`. Nothing is judged here: a line of figures goes to the
# console for each launch, and tests/bench/run.sh makes ratios of them, within one run of one host.

# private_kib PID - memory of ccr-run's own: private pages of all but the guest's RAM
private_kib() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { guest = /memfd/ }
		/^Private_/ && !guest { sum += $2 }
		END { print sum + 0 }' "/proc/$1/smaps"
}

uptime_ms() {
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}0" | sed 's/^0*//'
}

# measure KIND ARGUMENT... - one launch
measure() {
	kind=$1
	shift
	begin=$(uptime_ms)
	"$ccr_run" run -v --silence 0 "$@" -k "$guest/Image" -i "$guest/initrd.gz" -m 256M -c 1 \
		-p "quiet ccr.then=hang" </dev/null >"$out" 2>"$err" &
	pid=$!
	await "$out" CCR-GUEST-READY
	user=$(($(uptime_ms) - begin))
	private=$(private_kib "$pid")
	first=$(sed -n 's/.*\[\([0-9]*\)\.\([0-9]*\)\] first instr.*/\1\2/p' "$err" | sed 's/^0*//')
	kill "$pid"
	wait "$pid" || fail "it did not end well"
	echo "CCR-BENCH kind=$kind first_ms=${first:-0} user_ms=$user private_kib=$private" \
		>/dev/console
}

test_launch_plain() {
	for _ in 1 2 3; do measure plain; done
}

test_launch_emulated() {
	for _ in 1 2 3; do measure emulated --realm=emulated; done
}

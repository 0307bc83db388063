# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# What goes wrong on the host: machines that are killed at any moment, memory and disks that end,
# clocks that jump. After each: a clear message, nothing left behind, no write lost that was told.
# ARGUMENTs say what kind of machine it is.

# moments SEED NR - lines of what to do to a launch: its kind, how it is ended, after how many
# tenths of a second
moments() {
	awk -v seed="$1" -v nr="$2" 'BEGIN {
		split("plain realm", kinds); split("machine keeper term stop", ways)
		srand(seed)
		for (i = 0; i < nr; i++)
			print kinds[int(rand() * 2) + 1], ways[int(rand() * 4) + 1],
				int(rand() * 60) + 1
	}'
}

# resident PID... - KiB that they have in memory
resident() {
	for one; do
		cat "/proc/$one/status" 2>/dev/null
	done | awk '/^VmRSS:/ { kib += $2 } END { print kib + 0 }'
}

# none_left - of the processes of a launch; the machine's is nobody's child when its keeper is gone
none_left() {
	for _ in $(seq 100); do
		pidof ccr-run >/dev/null || return 0
		sleep 0.1
	done
	fail "still there: $(pidof ccr-run)"
}

# is_soon_dead SIGNAL - of the keeper, which may not have come to its signals yet
is_soon_dead() {
	kill "-$1" "$pid" || fail "ended by itself"
	wait "$pid"
	status=$?
}

# end_launch WAY - in one of the ways of moments(); sets status
end_launch() {
	machine=$(machine_pid)
	recovered=$((recovered + $(resident "$pid" "$machine")))
	case $1 in
	machine)
		kill -KILL "$machine"
		wait "$pid"
		status=$?
		# The keeper tells; it is itself what was killed if it had no machine yet.
		[ "$machine" = "$pid" ] || {
			want_status 4
			want "$err" 'killed (SIGKILL)'
		}
		;;
	keeper) is_soon_dead KILL ;;
	term) is_soon_dead TERM ;;
	stop)
		kill -STOP "$machine"
		sleep 0.5
		kill -CONT "$machine"
		is_soon_dead TERM
		;;
	esac
	case $1 in
	term | stop)
		# 143: before it has any signal of its own.
		[ "$status" = 143 ] || want_status 0
		[ "$status" = 0 ] || refuse "$out" .
		;;
	esac
}

# launch_and_end KIND WAY TENTHS
launch_and_end() {
	realm=
	[ "$1" = plain ] || realm=--realm=emulated
	: >"$out"
	: >"$err"
	# Not through timeout, which would be what is killed.
	# shellcheck disable=SC2086 # no option, or one
	"$ccr_run" run $realm -k "$guest/Image" -i "$guest/initrd.gz" -m 256M -c 2 --silence 0 \
		--name victim -d "$dir/disk" -p "$quick ccr.then=hang" </dev/null >"$out" 2>"$err" &
	pid=$!
	sleep "$(($3 / 10)).$(($3 % 10))"
	end_launch "$2"
	none_left
	refuse "$err" 'bug of ours'
}

# out_of_memory ARGUMENT... - memory of a control group ends: the machine in it dies, with a
# sentence, and its neighbour lives
out_of_memory() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	groups=$dir/groups
	mkdir "$groups"
	mount -t cgroup2 groups "$groups" || skip "no control groups"
	if ! grep -q memory "$groups/cgroup.controllers"; then
		umount "$groups"
		skip "no control groups of memory"
	fi
	echo +memory >"$groups/cgroup.subtree_control"
	mkdir "$groups/small"
	echo 256M >"$groups/small/memory.max"
	"$ccr_run" run -k "$guest/Image" -i "$guest/initrd.gz" --name neighbour --silence 0 \
		-p "$quick ccr.then=hang" </dev/null >"$dir/neighbour" 2>&1 &
	neighbour=$!
	(
		# 0 is whoever writes it.
		echo 0 >"$groups/small/cgroup.procs"
		run_guest "$@" -k "$guest/Image" -i "$guest/initrd.gz" -m 512M \
			-p "$quick ccr.run=memory,400 ccr.then=poweroff"
	) </dev/null >"$out" 2>"$err"
	status=$?
	kills=$(sed -n 's/^oom_kill //p' "$groups/small/memory.events")
	rmdir "$groups/small"
	umount "$groups"
	want_status 4
	want "$err" 'killed (SIGKILL): by somebody, or by the kernel for want of memory'
	want "$out" '^CCR-GUEST-MEMORY used='
	[ "$kills" -gt 0 ] || fail "nothing was killed for want of memory"
	for _ in $(seq 300); do
		! grep -q CCR-GUEST-READY "$dir/neighbour" || break
		sleep 0.2
	done
	"$ccr_run" stat neighbour >"$dir/answer" 2>&1
	want "$dir/answer" '^status  *running'
	"$ccr_run" stop neighbour --force >"$dir/answer" 2>&1
	wait "$neighbour" || fail "the neighbour ended with $?"
	progress "$(tr -d '\r' <"$out" | grep -c CCR-GUEST-MEMORY) times 16 MiB, then killed"
}

journal_params="$quick ccr.modules=virtio_blk ccr.run=disk,journal,vda ccr.then=poweroff"

# told_is_written - what the guest was told to be on the disk is in its file
told_is_written() {
	last=$(tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-DISK vda durable=//p' | tail -n 1)
	[ "${last:-0}" -gt 3 ] || fail "only ${last:-no} writes before the disk was full"
	for nr in $(seq 0 "$last"); do
		printf %08d "$nr"
	done >"$dir/told"
	dd if="$1" bs=4K count=$((last + 1)) 2>/dev/null | tr -d '\0' >"$dir/written"
	cmp "$dir/told" "$dir/written" || fail "of $((last + 1)) blocks, some are not there"
	progress "$((last + 1)) durable writes, then: $(grep 'was told' "$err" | head -n 1)"
}

# full_disk OPTIONS ARGUMENT... - the file system of the disk's file is full; the guest gets errors,
# and goes on
full_disk() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	options=$1
	shift
	mkdir -p "$dir/small"
	mount -t tmpfs -o size=2200k small "$dir/small"
	dd if=/dev/null of="$dir/small/disk" bs=1M seek=8 2>/dev/null
	launch "$@" -k "$guest/Image" -i "$guest/initrd.gz" -c 2 -d "$dir/small/disk$options" \
		-p "$journal_params"
	(
		want_status 0
		want "$err" 'No space left on device'
		[ "$(grep -c 'No space left' "$err")" -le 8 ] || fail "too many messages"
		told_is_written "$dir/small/disk"
	)
	result=$?
	umount "$dir/small"
	[ $result = 0 ] || exit 1
}

# file_size_limit OPTIONS ARGUMENT... - the user's limit of files' sizes: an error for the guest, no
# signal for us
file_size_limit() {
	options=$1
	shift
	dd if=/dev/null of="$dir/disk" bs=1M seek=8 2>/dev/null
	# In units of 512 bytes: less than what the guest begins with.
	(
		ulimit -f 256
		run_guest "$@" -k "$guest/Image" -i "$guest/initrd.gz" -d "$dir/disk$options" \
			-p "$journal_params"
	) </dev/null >"$out" 2>"$err"
	status=$?
	want_status 0
	want "$err" 'File too large; the guest was told'
	want "$out" 'I/O error, dev vda'
	want "$out" 'Power down'
}

# ticks NR - wait for so many more lines of the guest's clock
ticks() {
	await "$out" CCR-GUEST-CLOCK $(($(grep -c CCR-GUEST-CLOCK "$out") + $1))
}

# rtc_is SECONDS - the guest's clock on the bus says that, or some seconds more, in the last line
# that has come to its end
rtc_is() {
	rtc=$(tr '\r' '.' <"$out" | sed -n 's/^CCR-GUEST-CLOCK .*rtc=\([0-9]*\)\.$/\1/p' |
		tail -n 1)
	[ "$rtc" -ge "$1" ] || fail "the guest's clock: $rtc, not $1"
	[ "$rtc" -le $(($1 + 30)) ] || fail "the guest's clock: $rtc, not $1"
}

# clock_jumps ARGUMENT... - the host's time of day jumps, its processes stand still for a while:
# the guest's own time goes on, its clock on the bus follows the host's, who asks gets answers
clock_jumps() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	now=$(date +%s)
	read -r up _ </proc/uptime
	start "$@" -k "$guest/Image" -i "$guest/initrd.gz" --name jumps --silence 60 \
		-p "$quick ccr.run=clock,3600 ccr.then=poweroff"
	await "$out" CCR-GUEST-CLOCK 2
	(
		for jump in 100000000 -100000000 0; do
			date -s "@$((now + jump))" >/dev/null
			ticks 3
			rtc_is $((now + jump))
			"$ccr_run" stat jumps >"$dir/answer" 2>&1
			want "$dir/answer" '^status  *running'
		done
		kill -STOP "$(machine_pid)"
		sleep 3
		kill -CONT "$(machine_pid)"
		ticks 3
		"$ccr_run" stat jumps >"$dir/answer" 2>&1
		want "$dir/answer" '^status  *running'
	)
	result=$?
	read -r later _ </proc/uptime
	date -s "@$((now + ${later%.*} - ${up%.*}))" >/dev/null
	[ $result = 0 ] || exit 1
	stop_with TERM
	want_status 0
	refuse "$err" 'silent\|error'
	# Never back, and never by more than what the machine stood still.
	tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-CLOCK up=\([0-9]*\) .*/\1/p' | awk '
		NR > 1 && ($1 < last || $1 > last + 30) { print last " then " $1; bad = 1 }
		{ last = $1 }
		END { exit bad }' >"$dir/steps" || fail "the guest's own time: $(cat "$dir/steps")"
}

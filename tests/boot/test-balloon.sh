# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Memory that a plain VM's guest gives back: what it reports as free, and what it is asked for.

balloon() {
	"$ccr_run" balloon test "$@" --run-dir "$dir/run"
}

# held - MiB of guest memory that the machine holds of the host's
held() {
	machine=$("$ccr_run" stat test --json --run-dir "$dir/run" |
		sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
	awk '/^Rss(Anon|Shmem):/ { kib += $2 } END { print int(kib / 1024) }' \
		"/proc/$machine/status"
}

# until_held MOST - within a minute
until_held() {
	for _ in $(seq 240); do
		[ "$(held)" -gt "$1" ] || return 0
		sleep 0.5
	done
	fail "the machine still holds $(held) MiB, more than $1"
}

# until_left MIB - what the guest has left, within a minute
until_left() {
	for _ in $(seq 240); do
		[ "$(balloon)" != "$1 MiB" ] || return 0
		sleep 0.5
	done
	fail "the guest has $(balloon) left, not $1 MiB"
}

test_balloon() {
	limit=400
	start -k "$guest/Image" -i "$guest/initrd.gz" -m 256M --balloon \
		--name test --run-dir "$dir/run" \
		-p "$quick ccr.modules=virtio_balloon ccr.run=balloon ccr.then=hang"
	await "$out" 'CCR-GUEST-BALLOON filled'
	full=$(held)
	[ "$full" -ge 80 ] || fail "80 MiB are in use, but the machine holds $full"
	await "$out" 'CCR-GUEST-BALLOON freed'
	until_held $((full - 60))
	progress "held $full MiB, $(held) once the guest has reported what is free"
	balloon 160M || fail "no balloon"
	until_left 160
	balloon 256M || fail "no balloon"
	until_left 256
	stop_with TERM
	want_status 0
}

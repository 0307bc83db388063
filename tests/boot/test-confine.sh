# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Confinement: what a guest that has taken over a thread of its machine can do next.

# shellcheck source=confine.sh source-path=SCRIPTDIR
. "$here/confine.sh"
# shellcheck source=9p.sh source-path=SCRIPTDIR
. "$here/9p.sh"

# Without confinement all of it works: so it is confinement that makes the difference below.
test_hook_succeeds_unconfined() {
	local thread nr

	plant_hook
	for thread in 0 1 2; do
		hijack $thread 255 --sandbox off
		for nr in $(seq "$(nr_attempts)"); do
			want "$err" "^hook: $(attempt_name "$nr"): done"
		done
		[ ! -e /tmp/hook ] || fail "a file was made, but not removed"
	done
}

# What is left when no filter works: no file, no program, no other process.
test_hook_without_filters() {
	plant_hook
	hijack 0 255 --sandbox log
	want_status 0
	for name in open create unlink stat chmod connect connect-abstract ptrace bpf execve; do
		want "$err" "^hook: $name: E"
		refuse "$err" "^hook: $name: done"
	done
	[ ! -e /tmp/hook ] || fail "a file was made"
}

# want_killed_for NUMBER - an attempt was answered by killing
want_killed_for() {
	local name call
	name=$(attempt_name "$1")
	call=$(attempt_call "$1")
	want "$err" "^hook: $name: tried"
	refuse "$err" "^hook: $name: [^t]"
	[ -z "$top" ] || return 0
	# A thread of the kernel writes the record down, some time later.
	for _ in $(seq 50); do
		! dmesg | grep -q "type=1326.* syscall=$call " || return 0
		sleep 0.2
	done
	fail "$name: no record of call $call: $(dmesg | tail -n 3)"
}

# killed_for THREAD NUMBER ARGUMENT... - an attempt that its filter must answer by killing
killed_for() {
	local thread=$1 nr=$2
	shift 2
	dmesg -c >/dev/null 2>&1
	hijack "$thread" "$nr" "$@"
	want_killed_for "$nr"
	want_status 70
	want "$err" "killed for a system call that its filter forbids"
}

test_hook_is_killed() {
	local thread name nr

	plant_hook
	# The event loop of a machine that may be reset can do more, to build it anew.
	for nr in $(seq "$(nr_attempts)"); do
		killed_for $((nr % 3)) "$nr" --no-reboot
	done
	for thread in 0 1 2; do
		for name in open unix-socket execve; do
			nr=$(attempt_number $name)
			[ $((nr % 3)) = $thread ] || killed_for $thread "$nr" --no-reboot
		done
	done
}

test_hook_is_killed_in_a_realm() {
	plant_hook
	killed_for 0 "$(attempt_number open)" --realm=emulated
	killed_for 1 "$(attempt_number unix-socket)" --realm=emulated
	killed_for 2 "$(attempt_number execve)" --realm=emulated
}

# Of the release program there is nothing at that address.
test_no_hook_in_the_release() {
	dd if=/dev/zero of="$dir/disk" bs=1M count=16 2>/dev/null
	launch -k "$guest/contract.img" -p ccr.order=255 -m 64M --disk "$dir/disk"
	want_status 0
	want "$out" '^# ORDER refused'
	refuse "$err" '^hook:'
}

# need_enclosure - brokers have root directories of their own
need_enclosure() {
	"$ccr_run" check >"$out" 2>"$err"
	grep -q '^a 9p broker opens: .*, and nothing else is there for it' "$out" ||
		skip "a host without name spaces"
}

# The broker of a directory may open files, but has no name for any other; when it has tried in
# vain, it serves its guest like any other.
test_hook_in_a_share() {
	local name nr

	plant_hook
	need_enclosure
	echo precious >/tmp/hook
	trap 'rm -f /tmp/hook' EXIT
	for name in open create unlink stat chmod; do
		hijack_share "$(attempt_number $name)" "$@"
		want "$err" "^hook: $name: ENOENT"
		want_tap
		want_status 0
	done
	[ "$(cat /tmp/hook)" = precious ] || fail "a file outside was changed"
	# Everything else is for nobody, and only the broker dies of it.
	for nr in $(seq "$(attempt_number connect)" "$(nr_attempts)"); do
		dmesg -c >/dev/null 2>&1
		hijack_share "$nr" "$@"
		want_killed_for "$nr"
		want_status 0
	done
}

test_hook_in_a_share_unconfined() {
	local nr

	plant_hook
	hijack_share 255 --sandbox off
	for nr in $(seq "$(nr_attempts)"); do
		want "$err" "^hook: $(attempt_name "$nr"): done"
	done
}

# The broker of sockets may connect, but there is nobody else.
test_hook_in_sockets() {
	local name nr

	plant_hook
	need_enclosure
	for name in connect:ENOENT connect-abstract:ECONNREFUSED unix-socket:done; do
		hijack_sockets "$(attempt_number "${name%:*}")"
		want "$err" "^hook: ${name%:*}: ${name#*:}"
		want_tap
		want_status 0
	done
	for nr in $(seq "$(nr_attempts)"); do
		case $(attempt_name "$nr") in
		connect | connect-abstract | unix-socket) continue ;;
		esac
		dmesg -c >/dev/null 2>&1
		hijack_sockets "$nr"
		want_killed_for "$nr"
		want_status 0
	done
}

test_hook_in_sockets_unconfined() {
	local nr

	plant_hook
	hijack_sockets 255 --sandbox off
	for nr in $(seq "$(nr_attempts)"); do
		want "$err" "^hook: $(attempt_name "$nr"): done"
	done
}

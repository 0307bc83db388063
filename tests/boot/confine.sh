# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# A guest that has taken over a thread of its machine or a broker, as tests/hook has it:
# test-confine.sh and test-member.sh source it. The program with the planted hook is
# bin/ccr-run-hook.

# What the hook attempts, in its order, with arm64's number of the system call.
attempts='open:56 create:56 unlink:35 chmod:53 stat:79 connect:198 connect-abstract:198
unix-socket:198 inet-socket:198 map-code:222 protect-code:226 fork:220 kill:129 ptrace:117 pidfd:434
io-uring:425 bpf:280 unshare:97 dumpable:167 limits:261 ioctl:29 execve:221'

# attempt_name NUMBER, attempt_call NUMBER - from 1
attempt_name() { echo "$attempts" | xargs -n 1 | sed -n "$1s/:.*//p"; }
attempt_call() { echo "$attempts" | xargs -n 1 | sed -n "$1s/.*://p"; }
nr_attempts() { echo "$attempts" | wc -w; }

# attempt_number NAME
attempt_number() { echo "$attempts" | xargs -n 1 | sed -n "/^$1:/="; }

# plant_hook - from here on
plant_hook() {
	ccr_run=$top/bin/ccr-run-hook
	[ -x "$ccr_run" ] || skip "no program with a planted hook"
	# Each record counts, and they come fast; the emulated host is ours to change.
	[ -n "$top" ] || echo 0 >/proc/sys/kernel/printk_ratelimit
}

# hijack THREAD ATTEMPT ARGUMENT... - the thread (0 a vCPU, 1 the event loop, 2 a disk's, 3 the
# machine's only broker) tries it, 255 for all of them in turn
hijack() {
	local thread=$1 attempt=$2
	shift 2
	[ -f "$dir/disk" ] || dd if=/dev/zero of="$dir/disk" bs=1M count=16 2>/dev/null
	launch -k "$guest/contract.img" -p "ccr.order=$((thread << 8 | attempt))${more:+ $more}" \
		-m 64M --disk "$dir/disk" "$@"
	want "$err" '^hook: planted hook: ordered'
}

# hijack_share ATTEMPT ARGUMENT... - the broker of a shared directory tries it, and goes on if it
# can
hijack_share() {
	local attempt=$1 more=ccr.only=9p
	shift
	rm -rf "$dir/share"
	contract_share
	hijack 3 "$attempt" --bounce 1M --9p "$dir/share,share" "$@"
}

# hijack_sockets ATTEMPT ARGUMENT... - the same of the broker of sockets
hijack_sockets() {
	local attempt=$1 more=ccr.only=vsock
	shift
	mkdir -p "$dir/sockets"
	hijack 3 "$attempt" --vsock "$dir/sockets/vsock" "$@"
}

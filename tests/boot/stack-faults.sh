# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets here, dir, out, err, guest; lib.sh uses limit
#
# What goes wrong on the host of a real realm; those that are killed are in stack-realm.sh. That
# memory of a control group ends is not here: on Linux 6.12-rc1 with series v5 one of the host's own
# CPUs stalls in the kernel then (RCU says so), and what runs on it cannot even be killed.

# shellcheck source=faults.sh source-path=SCRIPTDIR
. "$here/faults.sh"

# Memory that is shared is a file without a name, so a limit of files' sizes is one for it as well.
test_stack_file_size_limit() {
	(
		ulimit -f 256
		run_guest --realm=kvm -k "$guest/Image" -m 512M
	) </dev/null >"$out" 2>"$err"
	status=$?
	want_status 1
	want "$err" 'no memfd of 512 MiB: File too large; raise the limit'
}

test_stack_full_disk() {
	limit=480
	full_disk ,io=uring --realm=kvm
}

test_stack_clock_jumps() {
	limit=480
	clock_jumps -c 2 --realm=kvm
}

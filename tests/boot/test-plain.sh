# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# Plain VMs: what a guest sees, and every way in which it can end.

plain() {
	launch -k "$guest/Image" -i "$guest/initrd.gz" "$@"
}

plain_with_cpus() {
	plain -m 512M -c "$1" -p "$quick ccr.then=poweroff"
	want_status 0
	want_ready "nr_cpus=$1" realm=0 "kernel=$(uname -r)"
	refuse "$err" 'error\|warning'
}

test_plain_1cpu() {
	plain_with_cpus 1
}

test_plain_4cpus() {
	plain_with_cpus 4
}

test_plain_8cpus() {
	plain_with_cpus 8
}

# Nothing on the command line: stdout-path alone must make the console work. There is no root file
# system, so this is also a guest that panics; it hangs then, as a stock kernel does.
test_image_alone_shows_output() {
	start -k "$guest/Image"
	await "$out" 'Linux version'
	await "$out" 'Kernel panic'
	stop_with TERM
	want_status 0
}

test_reset_without_reboot() {
	plain --no-reboot -p "$quick ccr.then=reboot"
	want_status 5
	want_ready
	want "$err" reset
}

test_reset_boots_again() {
	start -k "$guest/Image" -i "$guest/initrd.gz" -p "$quick ccr.then=reboot"
	await "$out" CCR-GUEST-READY 2
	stop_with TERM
	want_status 0
}

# From outside, a guest that panics with panic=-1 is one that resets.
test_panic() {
	plain --no-reboot -p "$quick panic=-1 ccr.then=panic"
	want_status 5
	want_ready
	want "$out" 'Kernel panic'
}

# Where a machine's memory and its vCPUs are, as the host's kernel has it.
test_hugepages_and_affinity() {
	launch --hugepages -k "$guest/Image" -m 64M
	want_status 1
	want "$err" 'too few free huge pages for 64 MiB'
	# Memory that nobody has is no reason for the kernel to end somebody.
	launch --mem-prealloc -k "$guest/Image" -m 100G
	want_status 1
	want "$err" 'this host can give [0-9]* MiB now, not 102400 MiB'
	echo 130 >/proc/sys/vm/nr_hugepages
	[ "$(cat /proc/sys/vm/nr_hugepages)" = 130 ] || skip "the host gives no huge pages"
	start --hugepages --mem-prealloc --vcpu-affinity 0=1,1=0 -k "$guest/Image" -m 256M -c 2 \
		-i "$guest/initrd.gz" -p "$quick ccr.then=hang"
	await "$out" CCR-GUEST-READY
	[ "$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)" = 2 ] || fail "not 128 huge pages"
	vmm=$(machine_pid)
	grep -q '^KernelPageSize: *2048 kB' "/proc/$vmm/smaps" || fail "no mapping of huge pages"
	# The first threads besides the main one that are bound are the vCPUs, in order.
	bound=$(for task in $(printf '%s\n' /proc/"$vmm"/task/* | sort -t / -k 5n); do
		sed -n 's/^Cpus_allowed_list:\t\([01]\)$/\1/p' "$task/status"
	done | tr -d '\n')
	[ "$bound" = 10 ] || fail "vCPUs are bound to '$bound'"
	stop_with TERM
	want_status 0
	want "$err" SIGTERM
	echo 0 >/proc/sys/vm/nr_hugepages
}

test_sigterm() {
	start_bare busy
	stop_with TERM
	want_status 0
	want "$err" SIGTERM
}

# The oldest kernel that is promised to work.
test_guest_6_1() {
	launch -k "$guest/Image-6.1" -i "$guest/initrd.gz" -p "$quick ccr.then=poweroff"
	want_status 0
	want_ready realm=0 'kernel=6\.1\.'
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# Memory that a VMM needs beyond its guest's RAM, and what many of them cost that do nothing. Each
# has a disk and a network.

# shellcheck source=vmm.sh source-path=SCRIPTDIR
. "$here/vmm.sh"
# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"

nr_idle=50
idle_seconds=10

# ready SECTION VMM CPUS MIB [-RELEASE] - to the userspace of a guest of this or the usual kernel,
# where the meter looks at the memory
ready() {
	metered "$1" "$2" 600 "$3" "$4" "quiet panic=-1 rdinit=/bench/boot" "$guest/Image${5:-}" \
		"$guest/bench-boot${5:-}.cpio" "$dir/disk" ccrbench
}

test_bench_memory() {
	tap ccrbench 10.9.0.1
	dd if=/dev/zero of="$dir/disk" bs=1M count=8 2>/dev/null
	for _ in $(seq "$rounds"); do
		for vmm in $(all_vmms); do
			# Debian's newer kernels need more than that for themselves.
			ready small "$vmm" 1 128 -6.1
			ready large "$vmm" 8 2048
		done
	done
	"$busybox" tunctl -d ccrbench >/dev/null 2>&1
}

# host_free_kib - of the host
host_free_kib() {
	sed -n 's/^MemFree: *\([0-9]*\).*/\1/p' /proc/meminfo
}

# cpu_us PID... - of all of them
cpu_us() {
	"$meter" cost 0 "$@" | sed 's/^cpu_us=\([0-9]*\).*/\1/'
}

# settle PID... - until their start is over: in two seconds less than a hundredth of it has come
settle() {
	now=$(cpu_us "$@")
	for _ in $(seq 300); do
		before=$now
		sleep 2
		now=$(cpu_us "$@")
		[ $((now - before)) -ge $((now / 100)) ] || return 0
	done
	fail "they do not come to rest"
}

# idle VMM - start them all, let them be, and look twice
idle() {
	echo 3 >/proc/sys/vm/drop_caches
	free=$(host_free_kib)
	pids=''
	for nr in $(seq "$nr_idle"); do
		dd if=/dev/null of="$dir/disk$nr" bs=1M seek=8 2>/dev/null
		command_of "$1" 1 128 "quiet" "$guest/idle.img" '' "$dir/disk$nr" ''
		# Not as a child of a shell, which would be what is killed.
		with_command exec >>"$out" 2>>"$err" &
		pids="$pids $!"
	done
	# shellcheck disable=SC2086 # a list of words
	settle $pids
	free=$((free - $(host_free_kib)))
	# shellcheck disable=SC2086 # a list of words
	before=$(cpu_us $pids)
	sleep "$idle_seconds"
	# shellcheck disable=SC2086 # a list of words
	after=$(cpu_us $pids)
	# shellcheck disable=SC2086 # a list of words
	memory=$("$meter" cost 128 $pids)
	for pid in $pids; do
		kill "$pid" || fail "one of $nr_idle of $1 has ended"
	done
	wait
	echo "CCR-BENCH section=idle vmm=$1 at=IDLE host_kib=$((free / nr_idle))" \
		"before_cpu_us=$before after_cpu_us=$after $memory" >/dev/console
}

test_bench_idle() {
	for _ in $(seq "$rounds"); do
		for vmm in $(all_vmms); do
			idle "$vmm"
		done
	done
}

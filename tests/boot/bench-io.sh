# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What a disk's transfers cost, and what a console costs while booting, for `make bench`. As with
# launches, nothing is judged here.

limit=300

# exits - of all vCPUs of the one VM there is, as KVM counts them
exits() {
	cat /sys/kernel/debug/kvm/*-*/exits
}

# fio_in KIND PARAMETER ARGUMENT... - fio in one guest, whose kernel has one more parameter; exits
# are those between one job's line and the next
fio_in() {
	kind=$1
	parameter=$2
	shift 2
	dd if=/dev/zero of="$dir/disk" bs=1M count=64 2>/dev/null
	start "$@" -k "$guest/Image" -i "$guest/bench.gz" -m 1G -c 1 -d "$dir/disk" \
		-p "quiet panic=-1 $parameter rdinit=/bench/fio ccr.then=poweroff"
	await "$out" CCR-GUEST-USERSPACE
	seen=0
	before=$(exits)
	while kill -0 "$pid" 2>/dev/null; do
		lines=$(grep -c CCR-BENCH-IO "$out")
		if [ "$lines" -gt "$seen" ]; then
			now=$(exits)
			seen=$lines
			echo "$(tr -d '\r' <"$out" | grep CCR-BENCH-IO | tail -n 1)" \
				"kind=$kind exits=$((now - before))" >/dev/console
			before=$now
		fi
		sleep 0.05
	done
	wait "$pid" || fail "it did not end well"
	refuse "$out" '^fio: '
	[ "$seen" = 5 ] || fail "$seen jobs of 5 gave figures"
}

test_fio_plain() {
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	fio_in plain ""
}

# Bounce buffers as in a realm, and no realm around them.
test_fio_bounced() {
	fio_in bounced swiotlb=force
}

test_fio_emulated() {
	fio_in emulated "" --realm=emulated
}

# boot_with CONSOLE - time to userspace of a plain VM whose kernel says all that it has to say
boot_with() {
	begin=$(uptime_ms)
	start -k "$guest/Image" -i "$guest/initrd.gz" -m 256M -c 1 \
		-p "console=$1 ccr.then=hang"
	await "$out" CCR-GUEST-READY
	echo "CCR-BENCH kind=$1 boot_ms=$(($(uptime_ms) - begin))" >/dev/console
	stop_with TERM
	want_status 0
}

test_boot_consoles() {
	for _ in 1 2 3; do
		boot_with ttyS0
		boot_with hvc0
	done
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What transfers from and to a disk cost. The disk is a RAM disk of the host (brd), opened with
# O_DIRECT: it takes next to no time itself, so what is measured is the way to it.

# shellcheck source=vmm.sh source-path=SCRIPTDIR
. "$here/vmm.sh"

# block_rounds VMM...
block_rounds() {
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	[ -b /dev/ram0 ] || insmod "$top/lib/modules/brd.ko" rd_nr=1 rd_size=65536 ||
		skip "this host has no RAM disk"
	# What was never written costs less to read.
	dd if=/dev/zero of=/dev/ram0 bs=1M count=64 2>/dev/null
	for _ in $(seq "$rounds"); do
		for vmm; do
			more=''
			[ "$vmm" != bounced ] || more=$bounces
			metered block "$vmm" 600 1 1024 "quiet panic=-1 $more rdinit=/bench/block" \
				"$guest/Image" "$guest/bench-block.cpio" /dev/ram0 ''
		done
	done
}

test_bench_block() {
	# shellcheck disable=SC2046 # a list of words
	block_rounds $(all_vmms)
}

test_bench_block_realm() {
	block_rounds bounced realm
}

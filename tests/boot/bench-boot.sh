# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# How long a guest takes to start: to its first instruction, as KVM sees it, and to its first
# process. 1 vCPU, 256 MiB.

# shellcheck source=vmm.sh source-path=SCRIPTDIR
. "$here/vmm.sh"

first_instruction() {
	command_of "$1" 1 256 "quiet ccr.then=hang" "$guest/Image" "$guest/initrd.gz" '' ''
	figure=$(with_command "$meter" first 60 2>"$err") || fail "$1 has entered no guest"
	echo "CCR-BENCH section=boot vmm=$1 at=FIRST $figure" >/dev/console
}

test_bench_boot() {
	mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	for _ in $(seq "$rounds"); do
		for vmm in $(all_vmms) realm; do
			first_instruction "$vmm"
		done
	done
	for _ in $(seq "$rounds"); do
		for vmm in $(all_vmms) realm; do
			metered boot "$vmm" 300 1 256 "quiet panic=-1 rdinit=/bench/boot" \
				"$guest/Image" "$guest/bench-boot.cpio" '' ''
		done
	done
}

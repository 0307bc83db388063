# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The contract guest of test-contract.sh in a real realm: what is private is private by hardware.

test_stack_contract() {
	limit=400
	dd if=/dev/zero of="$dir/disk" bs=1M count=16 2>/dev/null
	launch --realm=kvm -m 64M -c 2 -k "$guest/contract.img" --disk "$dir/disk"
	want_tap
	want_status 0
	want "$out" '^# a realm'
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The bare-metal contract guest: devices under a driver that breaks one rule at a time. Its own
# results are TAP; here they are one test. What goes on in it is said in guest/contract.

contract() {
	limit=240
	dd if=/dev/zero of="$dir/disk" bs=1M count=16 2>/dev/null
	launch "$@" -k "$guest/contract.img" --disk "$dir/disk"
	want_tap
	want_status 0
}

test_contract_plain() {
	contract -m 64M -c 2
	want "$out" '^# a plain VM'
}

test_contract_realm() {
	contract --realm=emulated -m 64M -c 2
	want "$out" '^# a realm'
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The contract guest of test-contract.sh in a real realm: what is private is private by hardware.

# shellcheck source=contract.sh source-path=SCRIPTDIR
. "$here/contract.sh"

test_stack_contract() {
	contract 900 --realm=kvm -m 64M -c 2 --bounce 4M --vsock "$dir/vsock"
	want "$out" '^# a realm'
}

# Requests with checksums while pages are shared and unshared: KVM's accounting under load.
test_stack_contract_load_soak() {
	seconds=$(short_or_long 6 60)
	limit=$((seconds + 300))
	for disk in 0 1; do
		dd if=/dev/zero of="$dir/disk$disk" bs=1M count=4 2>/dev/null
	done
	for cpus in 1 4; do
		launch --realm=kvm -c "$cpus" -m 128M -k "$guest/contract.img" \
			-p "ccr.load=$seconds" --disk "$dir/disk0" --disk "$dir/disk1"
		want_tap
		want_status 0
		progress "$cpus vCPUs: $(sed -n 's/\r$//; s/^# LOAD //p' "$out")"
	done
}

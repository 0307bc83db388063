# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The bare-metal contract guest: devices under a driver that breaks one rule at a time. Its own
# results are TAP; here they are one test. What goes on in it is said in guest/contract.

# shellcheck source=contract.sh source-path=SCRIPTDIR
. "$here/contract.sh"

test_contract_plain() {
	contract_of_all 500 -m 64M -c 2 --balloon
	want "$out" '^# a plain VM.* PCI'
	want "$out" '^ok .* balloon: works after all that'
}

test_contract_realm() {
	contract_of_all 500 --realm=emulated -m 64M -c 2 --bounce 8M
	want "$out" '^# a realm.* PCI'
}

test_contract_mmio_realm() {
	contract 500 --realm=emulated -m 64M --virtio-transport mmio --bounce 4M \
		--vsock vhost,cid=77 -p ccr.elsewhere=vsock
	want "$out" '^ok .* vsock: works after all that'
	want "$out" '^# a realm.* MMIO'
}

# contract_load CPUS MEMORY SECONDS - requests with checksums while pages are shared and unshared
contract_load() {
	limit=$(($3 + 240))
	for disk in 0 1; do
		dd if=/dev/zero of="$dir/disk$disk" bs=1M count=4 2>/dev/null
	done
	launch --realm=emulated -c "$1" -m "$2" -k "$guest/contract.img" -p "ccr.load=$3" \
		--disk "$dir/disk0" --disk "$dir/disk1"
	want_tap
	want_status 0
	progress "$1 vCPUs, $2: $(sed -n 's/\r$//; s/^# LOAD //p' "$out")"
}

test_contract_load_1cpu_soak() {
	for memory in $(short_or_long 128M "128M 512M 4G"); do
		contract_load 1 "$memory" "$(short_or_long 6 60)"
	done
}

test_contract_load_4cpus_soak() {
	for memory in $(short_or_long 512M "128M 512M 4G"); do
		contract_load 4 "$memory" "$(short_or_long 6 60)"
	done
}

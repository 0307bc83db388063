# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# The contract guest, in machines of all kinds: test-contract.sh and stack-contract.sh source it.
# Its part about shared directories is in 9p.sh.

# contract SECONDS ARGUMENT... - every check but those of shared directories
contract() {
	limit=$1
	shift
	dd if=/dev/zero of="$dir/disk" bs=1M count=16 2>/dev/null
	mkdir "$dir/share"
	launch "$@" -k "$guest/contract.img" --disk "$dir/disk" --9p "$dir/share,share" \
		--vsock "$dir/vsock" --channel one=none --channel "two=file:$dir/two"
	want_tap
	want_status 0
}

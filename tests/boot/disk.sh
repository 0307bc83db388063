# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Disks. What a guest has written it reads back, and the host finds it in the file; in a realm all
# of it goes through the bounce buffer, because a device sees what is shared and nothing else.
# test-disk.sh and stack-disk.sh source it.

# tour ARGUMENT... - a guest with two disks, of which the second is read only
tour() {
	dd if=/dev/null of="$dir/first" bs=1M seek=4 2>/dev/null
	dd if=/dev/urandom of="$dir/second" bs=64K count=1 2>/dev/null
	before=$(sha256sum <"$dir/second")
	launch -k "$guest/Image" -i "$guest/initrd.gz" \
		-d "$dir/first,serial=the-first" -d "$dir/second,ro,serial=exactly-20-character" \
		-p "$quick ccr.modules=virtio_blk ccr.run=disk,tour,4 ccr.then=poweroff" "$@"
	want_status 0
	want "$out" '^CCR-GUEST-DISK vda serial=the-first ro=0 sectors=8192'
	want "$out" '^CCR-GUEST-DISK vda takes writes'
	want "$out" '^CCR-GUEST-DISK vdb serial=exactly-20-character ro=1 sectors=128'
	want "$out" '^CCR-GUEST-DISK vdb refuses writes'
	sum=$(sha256sum <"$dir/first" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-DISK vda wrote=$sum read=$sum"
	[ "$(sha256sum <"$dir/second")" = "$before" ] || fail "the read-only disk has changed"
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkhost.sh demo|test - build/host/NAME.cpio: everything an arm64 host needs to run ccr-run
#
# demo is what `make run` needs; test has the boot tests and their guests as well, and is the system
# of the host image (mkimage.sh).
#
# Not compressed: the file is copied at this machine's speed but unpacked at the emulated CPU's,
# where gzip costs half a second a boot and lz4 gains nothing.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# le32 NUMBER - as four bytes
le32() {
	# shellcheck disable=SC2059 # the format is the point
	printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))"
	# shellcheck disable=SC2059
	printf "\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"
}

# zboot IMAGE - as the EFI zboot image that CONFIG_EFI_ZBOOT makes of it, on stdout, but for the
# program that unpacks it: the header, the Image with its BSS, packed, from byte 4096 on
zboot() {
	local payload=$root.zboot size

	size=$(od -An -tu4 -j16 -N4 "$1")
	{ cat "$1" && head -c $((size - $(stat -c %s "$1"))) /dev/zero; } | gzip -1n >"$payload"
	{
		printf 'MZ\0\0zimg'
		le32 4096
		le32 "$(stat -c %s "$payload")"
		printf '\0\0\0\0\0\0\0\0gzip'
		head -c 4068 /dev/zero
		cat "$payload"
	}
	rm "$payload"
}

# add_modules MODULE... - of Debian's kernel, with the order to load them in; another kernel has a
# directory of its own, or needs none
add_modules() {
	local dir file

	dir=$root/lib/modules/$(kernel_release build/kernel)
	mkdir -p "$dir"
	for file in $(tests/harness/debs.sh module "$@"); do
		cp "$file" "$dir/"
		say "${file##*/}" >>"$dir/load"
	done
}

name=$1
root=build/host/$name
rm -rf "$root"
busybox_tree "$root"
mkdir -p "$root/guest" "$root/harness"
cp tests/harness/host-init "$root/init"
cp tests/harness/demo.sh "$root/harness/"
"${CROSS-}strip" -o "$root/bin/ccr-run" build/arm64/ccr-run
cp build/guest/initrd.gz "$root/guest/initrd.gz"
cp build/kernel/Image "$root/guest/Image"
if [ "$name" = test ]; then
	cp tests/harness/host-shell "$root/harness/shell"
	cp tests/harness/host-parity "$root/harness/parity"
	add_modules virtio_mmio virtio_blk virtio_net tun vhost_net vhost_vsock loop
	mkdir -p "$root/tests"
	cp tests/boot/*.sh "$root/tests/"
	cp build/guest/vcat "$root/bin/"
	"${CROSS-}strip" -o "$root/bin/ccr-run-hook" build/hook/ccr-run
	# For networks: Debian's passt, which does not run as root; and one that knows vhost-user.
	cp build/programs/passt/bin/passt "$root/bin/"
	cp build/programs/passt/lib/* "$root/lib/"
	printf '%s\n' 'root:x:0:0::/root:/bin/sh' 'nobody:x:65534:65534::/:/bin/false' \
		>"$root/etc/passwd"
	cp -r build/programs/back-ends build/programs/passt-next "$root/"
	cp build/kernel-6.1/Image "$root/guest/Image-6.1"
	cp build/kernel-full/Image "$root/guest/Image-full"
	cp build/guest/initrd-full.gz build/guest/modules-9p "$root/guest/"
	cp build/guest/rsi.img build/guest/rsi.elf build/guest/contract.img "$root/guest/"
	cp build/guest/firmware.img "$root/guest/"
	[ -z "${FIRMWARE:-}" ] || cp "$FIRMWARE" "$root/guest/firmware.fd"
	[ -z "${FIRMWARE_DISK:-}" ] || cp "$FIRMWARE_DISK" "$root/guest/firmware-disk"
	zboot build/kernel-6.1/Image >"$root/guest/vmlinuz-6.1.efi"
	# What another machine computes for the realms that the tests will launch.
	CCR_REALM=emulated tests/harness/demo.sh measure-demo build/native/ccr-run \
		build/kernel/Image build/guest/initrd.gz >"$root/guest/rim"
	CCR_REALM=kvm tests/harness/demo.sh measure-demo build/native/ccr-run \
		build/kernel/Image build/guest/initrd.gz >"$root/guest/rim-kvm"
fi
pack_tree "$root" >"build/host/$name.cpio.tmp"
mv "build/host/$name.cpio.tmp" "build/host/$name.cpio"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkimage.sh [files|disk] [DIR] - `make image`: the host image, one for every kind of host
# (Documentation/hosts.md)
#
#   DIR/Image            the kernel: of the stack that STACK= names, else Debian's
#   DIR/initramfs.cpio   everything else: ccr-run, guests, the demo, the boot tests, a login
#   DIR/disk.img         with `disk`: both, on a disk that UEFI firmware boots
#   DIR/SHA256SUMS       the same wherever and whenever it is made from the same inputs
#
# CMDLINE= is what the disk's kernel is started with; nothing starts the login.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

format=${1:-files}
dir=${2:-build/image}

# find_kernel - set kernel and origin
find_kernel() {
	local dirs

	mapfile -t dirs < <(stack_dirs)
	case ${#dirs[@]} in
	0)
		tests/harness/debs.sh kernel
		kernel=build/kernel/Image
		origin=$(cat build/kernel/VERSION)
		;;
	1)
		stack_load "${dirs[0]}"
		kernel=${stack[kernel]}
		origin="the stack $(stack_name "${dirs[0]}")"
		;;
	*) die "STACK names ${#dirs[@]} stacks: an image has one kernel" ;;
	esac
	is_arm64_image "$kernel" || die "$kernel is not an arm64 Image"
	# An EFI program begins like this; an Image without the stub has an instruction there.
	[ "$format" != disk ] || [ "$(head -c 2 "$kernel")" = MZ ] ||
		die "$kernel is nothing that UEFI firmware starts: built without CONFIG_EFI_STUB"
}

case $format in
files | disk) ;;
*) die "FORMAT=$format is not files or disk" ;;
esac
[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh run image
find_kernel
submake build/host/test.cpio || die "the host's system could not be built"
mkdir -p "$dir"
rm -f "$dir"/{Image,initramfs.cpio,disk.img,SHA256SUMS}
cp "$kernel" "$dir/Image"
cp build/host/test.cpio "$dir/initramfs.cpio"
files=(Image initramfs.cpio)
if [ "$format" = disk ]; then
	tests/harness/mkdisk.sh "$dir/disk.img" "$dir/Image" "$dir/initramfs.cpio" "${CMDLINE:-}"
	files+=(disk.img)
fi
(cd "$dir" && sha256sum "${files[@]}" >SHA256SUMS)
say "kernel of $origin"
sed "s|  |  $dir/|" "$dir/SHA256SUMS"

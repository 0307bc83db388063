#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkdisk.sh DISK KERNEL INITRD WORDS - a disk that UEFI firmware boots: GPT, and on its one
# partition, an ESP, the boot loader (systemd-boot) where firmware looks for one on a disk that it
# does not know, the kernel, the initrd, and an entry that names them with WORDS for the kernel
#
# Nothing in it depends on when or where: dates and numbers that a file system must have are fixed.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

disk=$1
kernel=$2
initrd=$3
words=$4

# FAT's time begins in 1980; mtools write directories with this date, and files with their own.
export SOURCE_DATE_EPOCH=315532800 TZ=UTC LC_ALL=C
START_MIB=1
# "ccr-run" in hexadecimal, and which: numbers that tell this disk from others, but not from itself.
DISK_ID=6363722d-7275-4e00-8000-000000000000
ESP_ID=6363722d-7275-4e00-8000-000000000001
VOLUME_ID=6363722d

mib_of() { say $((($(stat -c %s "$1") + 1048575) >> 20)); }

# put FILE PATH - into the ESP
put() {
	touch -d "@$SOURCE_DATE_EPOCH" "$1"
	mcopy -m -i "$esp" "$1" "::$2"
}

tests/harness/debs.sh systemd-boot
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Room for FAT's own tables and the boot loader, and some to spare for its user.
size_mib=$(($(mib_of "$kernel") + $(mib_of "$initrd") + 32))
[ $size_mib -ge 64 ] || size_mib=64
rm -f "$disk"
truncate -s $((START_MIB + size_mib + 1))M "$disk"
sgdisk --clear --disk-guid="$DISK_ID" --new=1:${START_MIB}M:+${size_mib}M --typecode=1:ef00 \
	--partition-guid="1:$ESP_ID" --change-name=1:ccr-run "$disk" >"$work/log" ||
	{ show_log "$work/log"; die "sgdisk: no partitions on $disk"; }
esp=$disk@@${START_MIB}M
mformat -i "$esp" -F -N "$VOLUME_ID" -v CCR-RUN -T $((size_mib * 2048)) ::
mmd -i "$esp" ::EFI ::EFI/BOOT ::loader ::loader/entries
cp build/systemd-boot/systemd-bootaa64.efi "$work/boot"
cp "$kernel" "$work/Image"
cp "$initrd" "$work/initramfs"
printf 'default ccr-run.conf\ntimeout 0\n' >"$work/loader"
printf 'title ccr-run\nlinux /Image\ninitrd /initramfs.cpio\noptions %s\n' "$words" >"$work/entry"
put "$work/boot" EFI/BOOT/BOOTAA64.EFI
put "$work/loader" loader/loader.conf
put "$work/entry" loader/entries/ccr-run.conf
put "$work/Image" Image
put "$work/initramfs" initramfs.cpio

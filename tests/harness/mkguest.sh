#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkguest.sh - build/guest/initrd.gz: the test guest: pid 1, busybox, what tokens and disks need
# mkguest.sh full - build/guest/initrd-full.gz: the same with what Debian's full kernel needs for
#	9p, and build/guest/modules-9p, the order in which to load that
#
# These bytes enter the RIM of every realm that is started with them: same inputs, same archive.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

full=${1:-}
root=build/guest/root${full:+-full}
initrd=build/guest/initrd${full:+-full}.gz
rm -rf "$root"
busybox_tree "$root"
cp build/guest/init "$root/init"
cp build/guest/attest build/guest/vcat "$root/bin/"
mkdir -p "$root/harness" "$root/lib/modules"
for file in tests/harness/guest-*; do
	cp "$file" "$root/harness/${file#*/guest-}"
done
modules="arm-cca-guest virtio_balloon virtio_blk virtio_mmio virtio-rng"
modules="$modules vmw_vsock_virtio_transport virtio_net"
[ -z "$full" ] || modules="9pnet_virtio 9p"
# shellcheck disable=SC2086 # one word a module
files=$(tests/harness/debs.sh $full module $modules)
for ko in $files; do
	cp "$ko" "$root/lib/modules/"
done
[ -z "$full" ] || for ko in $files; do
	basename "$ko" .ko
done | paste -s -d , >build/guest/modules-9p
pack_tree "$root" | gzip -9n >"$initrd.tmp"
mv "$initrd.tmp" "$initrd"

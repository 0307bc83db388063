#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkguest.sh - build/guest/initrd.gz: the test guest: pid 1, busybox, what tokens and disks need
#
# These bytes enter the RIM of every realm that is started with them: same inputs, same archive.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

root=build/guest/root
rm -rf "$root"
busybox_tree "$root"
cp build/guest/init "$root/init"
cp build/guest/attest build/guest/vcat "$root/bin/"
mkdir -p "$root/harness" "$root/lib/modules"
for file in tests/harness/guest-*; do
	cp "$file" "$root/harness/${file#*/guest-}"
done
for ko in $(tests/harness/debs.sh module arm-cca-guest virtio_blk virtio_mmio virtio-rng \
	vmw_vsock_virtio_transport virtio_net); do
	cp "$ko" "$root/lib/modules/"
done
pack_tree "$root" | gzip -9n >build/guest/initrd.gz.tmp
mv build/guest/initrd.gz.tmp build/guest/initrd.gz

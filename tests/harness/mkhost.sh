#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkhost.sh demo|test - build/host/NAME.cpio: everything an arm64 host needs to run ccr-run
#
# Not compressed: the file is copied at this machine's speed but unpacked at the emulated CPU's,
# where gzip costs half a second a boot and lz4 gains nothing.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

name=$1
root=build/host/$name
rm -rf "$root"
busybox_tree "$root"
mkdir -p "$root/guest" "$root/harness"
cp tests/harness/host-init "$root/init"
cp tests/harness/demo.sh "$root/harness/demo.sh"
"${CROSS-}strip" -o "$root/bin/ccr-run" build/arm64/ccr-run
cp build/guest/initrd.gz "$root/guest/initrd.gz"
cp build/kernel/Image "$root/guest/Image"
if [ "$name" = test ]; then
	mkdir -p "$root/tests"
	cp tests/boot/*.sh "$root/tests/"
	cp build/kernel-6.1/Image "$root/guest/Image-6.1"
	cp build/guest/rsi.img "$root/guest/rsi.img"
	# What another machine computes for the realms that the tests will launch.
	CCR_REALM=emulated tests/harness/demo.sh measure-demo build/native/ccr-run \
		build/kernel/Image build/guest/initrd.gz >"$root/guest/rim"
	CCR_REALM=kvm tests/harness/demo.sh measure-demo build/native/ccr-run \
		build/kernel/Image build/guest/initrd.gz >"$root/guest/rim-kvm"
fi
pack_tree "$root" >"build/host/$name.cpio.tmp"
mv "build/host/$name.cpio.tmp" "build/host/$name.cpio"

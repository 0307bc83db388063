#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkguest.sh - build/guest/initrd.gz: the test guest's pid 1, busybox, and what attestation needs
#
# These bytes enter the RIM of every realm that is started with them: same inputs, same archive.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

root=build/guest/root
rm -rf "$root"
busybox_tree "$root"
cp build/guest/init "$root/init"
mkdir -p "$root/harness" "$root/lib/modules"
cp tests/harness/guest-attest "$root/harness/attest"
for ko in $(tests/harness/debs.sh module arm-cca-guest); do
	cp "$ko" "$root/lib/modules/"
	say "${ko##*/}" >>"$root/lib/modules/attest"
done
pack_tree "$root" | gzip -9n >build/guest/initrd.gz.tmp
mv build/guest/initrd.gz.tmp build/guest/initrd.gz

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkbench.sh - build/host/bench.cpio: the test host, with a guest that has fio and its disk's driver
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

root=build/host/bench
rm -rf "$root"
mkdir -p "$root/guest" "$root/initrd/bench"
tests/harness/debs.sh program fio
cp -r build/programs/fio/bin build/programs/fio/lib "$root/initrd/"
cp tests/bench/guest-fio "$root/initrd/bench/fio"
for ko in $(tests/harness/debs.sh module virtio_blk); do
	cp "$ko" "$root/initrd/bench/"
	say "${ko##*/}" >>"$root/initrd/bench/modules"
done
# The kernel unpacks archives one after the other.
{
	cat build/guest/initrd.gz
	pack_tree "$root/initrd" | gzip -1n
} >"$root/guest/bench.gz"
rm -rf "$root/initrd"
{
	cat build/host/test.cpio
	pack_tree "$root"
} >build/host/bench.cpio

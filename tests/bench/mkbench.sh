#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# mkbench.sh [LKVM] - build/host/bench.cpio: the test host with Debian's QEMU, with LKVM if it is
# given, and with guests that measure: bench-block.gz has fio, bench-network.gz has iperf3
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

# A guest's libraries are read once and never again: packing costs more than it saves.
root=build/host/bench

# add_guest NAME PROGRAM|none KERNEL MODULE... - /guest/bench-NAME.cpio; KERNEL is whose modules
# they are: 6.1, or nothing for the usual one
add_guest() {
	local name=$1 program=$2 kernel=$3 tree=$root.guest ko

	shift 3
	rm -rf "$tree"
	busybox_tree "$tree"
	ln -s busybox "$tree/bin/ping"
	mkdir -p "$tree/bench"
	if [ "$program" != none ]; then
		tests/harness/debs.sh program "$program"
		cp -r "build/programs/$program/bin" "build/programs/$program/lib" "$tree/"
	fi
	cp "tests/bench/guest-${name%-*}" "$tree/bench/${name%-*}"
	cp tests/bench/guest-setup "$tree/bench/setup"
	for ko in $(tests/harness/debs.sh ${kernel:+"$kernel"} module "$@"); do
		cp "$ko" "$tree/bench/"
		say "${ko##*/}" >>"$tree/bench/modules"
	done
	pack_tree "$tree" >"$root/guest/bench-$name.cpio"
	rm -rf "$tree"
}

# add_meter - what is compiled for the host and for the guest that idles
add_meter() {
	"${CROSS-}gcc" -std=gnu17 -D_GNU_SOURCE=1 -O2 -static -s -Wall -Wextra -Werror \
		-o "$root/bin/meter" tests/bench/meter.c
	"${CROSS-}gcc" -c -o "$root/idle.o" tests/bench/guest-idle.S
	"${CROSS-}objcopy" -O binary -j .text "$root/idle.o" "$root/guest/idle.img"
	rm "$root/idle.o"
}

# add_peer NAME BIN LIB - /peers/NAME
add_peer() {
	mkdir -p "$root/peers/$1"
	cp -r "$2" "$root/peers/$1/bin"
	[ -z "$3" ] || cp -r "$3" "$root/peers/$1/lib"
}

# What the boot tests have and nothing here needs would only take time to unpack.
rm -rf "$root"
cp -r build/host/test "$root"
rm -r "$root/back-ends" "$root"/guest/vmlinuz-6.1* "$root"/guest/*-full*
mkdir -p "$root/guest" "$root/bin" "$root/peers" "$root/lib/modules"
add_guest boot none '' virtio_mmio virtio_blk virtio_net
add_guest boot-6.1 none 6.1 virtio_mmio virtio_blk virtio_net
add_guest block fio '' virtio_mmio virtio_blk
add_guest network iperf3 '' virtio_mmio virtio_net
add_meter
for ko in $(tests/harness/debs.sh module brd); do
	cp "$ko" "$root/lib/modules/"
done
tests/harness/debs.sh program iperf3
add_peer iperf3 build/programs/iperf3/bin build/programs/iperf3/lib
tests/harness/debs.sh peer
add_peer qemu build/programs/peer/bin build/programs/peer/lib
if [ -n "${1:-}" ]; then
	mkdir -p "$root/lkvm"
	cp "$1" "$root/lkvm/lkvm"
	chmod 755 "$root/lkvm/lkvm"
	add_peer lkvm "$root/lkvm" ""
	rm -rf "$root/lkvm"
fi
pack_tree "$root" >build/host/bench.cpio

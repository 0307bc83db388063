# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Disks, in machines that need no RMM.

# shellcheck source=disk.sh source-path=SCRIPTDIR
. "$here/disk.sh"

test_disk_plain() {
	tour
}

test_disk_realm_1cpu() {
	tour --realm=emulated
	want "$out" '^CCR-GUEST-DISK bounce=[0-9][0-9]*[KM]B words='
}

test_disk_realm_4cpus_and_bounce() {
	tour --realm=emulated -c 4 --bounce 16M
	want "$out" '^CCR-GUEST-DISK bounce=16MB words=swiotlb=8192\b'
}

# over_mmio ARGUMENT... - the same disk without a PCI bus
over_mmio() {
	dd if=/dev/null of="$dir/disk" bs=1M seek=4 2>/dev/null
	launch --virtio-transport mmio -k "$guest/Image" -i "$guest/initrd.gz" -d "$dir/disk" \
		-p "$quick ccr.modules=virtio_mmio,virtio_blk ccr.run=disk,check,vda,4 \
ccr.then=poweroff" "$@"
	want_status 0
	sum=$(sha256sum <"$dir/disk" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-DISK vda wrote=$sum read=$sum"
}

test_disk_mmio_plain() {
	over_mmio
}

test_disk_mmio_realm() {
	over_mmio --realm=emulated
}

# letters LETTER SECTORS
letters() {
	tr '\0' "$1" </dev/zero | head -c $(($2 * 512))
}

# loop FILE [OPTION] - a block device for it; sets device
loop() {
	device=$("$busybox" losetup -f) || skip "this host has no loop devices"
	# shellcheck disable=SC2086 # none or one
	"$busybox" losetup ${2:-} "$device" "$1" || skip "this user may make no loop devices"
	devices="$devices $device"
}

detach() {
	for device in $devices; do
		"$busybox" losetup -d "$device"
	done
	umount "$dir/solid"
}

# Block devices, one whose file can have holes, one whose cannot, and one that is only to be read;
# and a file. The guest fills 64 sectors with x, of which it discards 8 and then zeroes 8, 8 and 3;
# the rest of each is y.
test_disk_ranges() {
	devices='' busybox=$top/bin/busybox
	mkdir "$dir/solid"
	mount -t ramfs none "$dir/solid" || skip "this user may mount nothing"
	trap detach EXIT
	for file in holes solid/disk read-only file; do
		letters y 2048 >"$dir/$file"
	done
	loop "$dir/holes"
	set -- -d "$device,direct"
	loop "$dir/solid/disk"
	set -- "$@" -d "$device,io=threads"
	loop "$dir/read-only" -r
	set -- "$@" -d "$device,ro" -d "$dir/file"
	launch "$@" -m 64M -k "$guest/contract.img" -p ccr.only=ranges
	want_tap
	want_status 0
	want "$out" '^# disk 0: discard: status 0'
	want "$out" '^# disk 1: discard: status 2'
	want "$out" '^ok .* disk 2: neither discards nor zeros'
	want "$out" '^ok .* disk 3: works after that'
	for discarded in '\0' x; do
		letters x 8
		letters "$discarded" 8
		letters x 8
		letters '\0' 8
		letters x 8
		letters '\0' 8
		letters x 9
		letters '\0' 3
		letters x 4
		letters y $((2048 - 64))
	done >"$dir/wanted"
	cmp "$dir/holes" "$dir/file" || fail "a file and a device differ"
	cat "$dir/holes" "$dir/solid/disk" | cmp - "$dir/wanted" || fail "something else changed"
	[ "$(tr -d y <"$dir/read-only")" = '' ] || fail "the read-only disk has changed"
	# A loop device punches no holes for zeros any more once its file could not be zeroed.
	[ "$(stat -c %b "$dir/holes")" -le $((2048 - 8)) ] || fail "the device was not discarded"
	[ "$(stat -c %b "$dir/file")" = $((2048 - 8 - 8)) ] || fail "the file has not both holes"
	launch -d "$device" -m 64M -k "$guest/contract.img"
	want_status 1
	want "$err" "disk $device: cannot open it for writing: .*; ask for it read-only"
}

# killed OPTIONS - ccr-run is killed while the guest writes: whatever the guest was told of as being
# on the disk is in the file
killed() {
	dd if=/dev/null of="$dir/disk" bs=1M seek=8 2>/dev/null
	start -k "$guest/Image" -i "$guest/initrd.gz" -c 2 -d "$dir/disk$1" \
		-p "$quick ccr.modules=virtio_blk ccr.run=disk,journal,vda ccr.then=poweroff"
	await "$out" 'vda durable=1[0-9]'
	kill -KILL "$(machine_pid)" || fail "ccr-run was gone"
	wait "$pid"
	last=$(tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-DISK vda durable=//p' | tail -n 1)
	for nr in $(seq 0 "$last"); do
		printf %08d "$nr"
	done >"$dir/told"
	dd if="$dir/disk" bs=4K count=$((last + 1)) 2>/dev/null | tr -d '\0' >"$dir/written"
	cmp "$dir/told" "$dir/written" || fail "of $((last + 1)) blocks, some are not there"
	progress "-d disk$1: killed after $((last + 1)) durable writes"
}

test_disk_killed_soak() {
	limit=$(short_or_long 240 1800)
	for _ in $(seq "$(short_or_long 1 10)"); do
		killed ,io=uring,direct
		killed ,io=threads,queues=2
	done
}

# disk_load RAM - several writers, while memory is shared and taken back all the time. Linux sizes
# the bounce buffer by RAM, and retries for ever what does not fit: then no time is enough.
disk_load() {
	seconds=$(short_or_long 8 60)
	limit=$((limit + 2 * seconds))
	dd if=/dev/null of="$dir/disk" bs=1M seek=4 2>/dev/null
	launch --realm=emulated -k "$guest/Image" -i "$guest/initrd.gz" -m "$1" -c 4 \
		-d "$dir/disk" -p "$quick ccr.modules=virtio_blk,virtio-rng \
ccr.run=disk,load,vda,$seconds,4,0000:00:01.0 ccr.then=poweroff"
	want_status 0
	refuse "$out" 'bad pass'
	for nr in 0 1 2 3; do
		want "$out" "^CCR-GUEST-DISK vda writer=$nr passes=[1-9]"
	done
	want "$out" '^CCR-GUEST-DISK churn 0000:00:01.0 rounds=[1-9]'
	progress "RAM of $1, ${seconds} s: $(tr -d '\r' <"$out" |
		sed -n 's/^CCR-GUEST-DISK .*\(passes\|rounds\)=/\1=/p' | xargs)"
}

# The smallest on which Debian's kernel gets to its userspace; the pool is 256 KiB there.
test_disk_load_160m_soak() {
	disk_load 160M
}

test_disk_load_512m_soak() {
	disk_load 512M
}

test_disk_load_4g_soak() {
	disk_load 4G
}

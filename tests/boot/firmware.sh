# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets guest, dir, out, err; lib.sh the rest
#
# Guest firmware, in machines of all kinds: test-firmware.sh and stack-firmware.sh source it.

# firmware_finds_its_machine ARGUMENT... - our own, which checks what a real one relies on
firmware_finds_its_machine() {
	dd if=/dev/zero of="$dir/disk" bs=1M count=1 2>/dev/null
	launch "$@" --firmware "$guest/firmware.img" -m 64M --disk "$dir/disk"
	want_tap
	want_status 0
}

# firmware_without_header ARGUMENT... - the same as bare code, at the start of RAM
firmware_without_header() {
	{ head -c 56 "$guest/firmware.img" && head -c 4 /dev/zero &&
		tail -c +61 "$guest/firmware.img"; } >"$dir/code"
	cmp -s "$dir/code" "$guest/firmware.img" && fail "still an Image"
	launch "$@" --firmware "$dir/code" -m 64M --no-pci
	# Without a bus two of the checks are not made, and one fails.
	want "$out" '^not ok .* pci: a bus behind an ECAM'
	[ "$(grep -c '^not ok' "$out")" = 1 ] || fail "more is wrong: $(grep '^not ok' "$out")"
	want_status 0
}

# real_firmware ARGUMENT... - FIRMWARE= boots what is on FIRMWARE_DISK=, to userspace
real_firmware() {
	[ -f "$guest/firmware.fd" ] || skip "no FIRMWARE="
	[ -f "$guest/firmware-disk" ] || skip "no FIRMWARE_DISK="
	limit=500
	launch "$@" --firmware "$guest/firmware.fd" -m 512M --disk "$guest/firmware-disk,ro"
	want_ready
	want_status 0
}

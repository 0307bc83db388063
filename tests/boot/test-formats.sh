# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What a kernel may come in. Images are everywhere else.

test_format_zboot() {
	launch -k "$guest/vmlinuz-6.1.efi" -i "$guest/initrd.gz" -p "$quick ccr.then=poweroff"
	want_status 0
	want_ready realm=0 kernel=6.1
}

# The same guest in every form is the same realm: but for the placement of a flat one.
test_format_elf() {
	launch --realm=emulated -k "$guest/rsi.elf" -m 64M
	want_tap
	want_status 0
	rim=$("$ccr_run" measure -k "$guest/rsi.img" -m 64M) || fail "no RIM"
	want "$err" "$rim"
}

# What kvmtool runs of kvm-unit-tests is like that: no header, and no word of where it belongs.
test_format_flat() {
	{ head -c 56 "$guest/rsi.img" && head -c 4 /dev/zero && tail -c +61 "$guest/rsi.img"; } \
		>"$dir/flat"
	cmp -s "$dir/flat" "$guest/rsi.img" && fail "still an Image"
	launch --realm=emulated -k "$dir/flat" -m 64M
	want_status 1
	want "$err" 'say --flat'
	launch --realm=emulated --flat -k "$dir/flat" -m 64M
	want_tap
	want_status 0
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
# shellcheck disable=SC2034 # lib.sh reads status
#
# What Documentation/embedding.md promises: the program needs nothing but itself and /dev/kvm.

test_alone_in_chroot() {
	[ "$(id -u)" = 0 ] || skip "only root may change its root directory"
	mkdir -p "$dir/root/dev"
	cp "$ccr_run" "$guest/rsi.img" "$dir/root/"
	IFS=: read -r major minor </sys/class/misc/kvm/dev
	mknod "$dir/root/dev/kvm" c "$major" "$minor" || skip "no device files in $dir"
	timeout -s KILL "$limit" chroot "$dir/root" /ccr-run run \
		--silence 0 --realm=emulated -k rsi.img -m 64M </dev/null >"$out" 2>"$err"
	status=$?
	want_tap
	want_status 0
	rim=$(chroot "$dir/root" /ccr-run measure -k rsi.img -m 64M) || fail "no RIM"
	want "$err" "$rim"
}

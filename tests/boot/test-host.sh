# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The host itself, first: when these fail, nothing below means anything.

test_host_has_kvm() {
	[ -c /dev/kvm ] || fail "no /dev/kvm: $(dmesg | grep -i kvm | tail -n 3)"
	[ "$(uname -m)" = aarch64 ] || fail "the host is $(uname -m)"
}

# An emulated realm lives on the SMCCC filter, which came with Linux 6.4.
test_host_kernel_is_new_enough() {
	major=$(uname -r | cut -d. -f1)
	minor=$(uname -r | cut -d. -f2 | sed 's/[^0-9].*//')
	[ "$major" -gt 6 ] || { [ "$major" = 6 ] && [ "$minor" -ge 4 ]; } || fail "$(uname -r)"
}

test_check_says_yes() {
	"$ccr_run" check >"$out" 2>"$err" || fail "ccr-run check: $(cat "$out" "$err")"
}

test_check_misses_kvm() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	mv /dev/kvm /dev/kvm.away
	launch -k "$guest/Image"
	mv /dev/kvm.away /dev/kvm
	want_status 1
	want "$err" /dev/kvm
}

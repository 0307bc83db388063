# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets here, top, guest, ccr_run, dir, out, err
#
# CPU features. The host decides what there is to see, and `check` says it.

# shellcheck source=features.sh source-path=SCRIPTDIR
. "$here/features.sh"

# The second shortest vectors, so that not all are.
some_sve() {
	offered cpu_offer sve_bits | cut -d ' ' -f 2
}

test_check_shows_the_cpu() {
	"$ccr_run" check >"$out" 2>"$err" || fail "ccr-run check: $(cat "$err")"
	want "$out" '^their CPU: *\(SVE with vectors of [0-9]\|no SVE (\)'
	want "$out" '^their CPU: .*; \(a PMU with [0-9]\|no PMU (\)'
	want "$out" '^can be on or off: *[a-z]'
	[ -n "$(offered cpu_offer features)" ] || fail "check --json has no features"
}

test_features_bare_metal_realm() {
	sve=$(some_sve)
	[ -n "$sve" ] || skip "this host has no SVE to give"
	bare_metal_cpu "sve=$sve" --realm=emulated
	[ "$((0x$(note SVE_BITS)))" = "$sve" ] || fail "vectors of 0x$(note SVE_BITS) bits"
	[ -z "$(note PMU_COUNTERS)" ] || fail "a PMU that nobody has asked for"
}

# linux_without_aes ARGUMENT... - SVE with shorter vectors than there could be; SHA-2, but no AES
linux_without_aes() {
	sve=$(some_sve)
	[ -n "$sve" ] || skip "this host has no SVE to give"
	linux_cpu "sve=$sve,aes=off" "$@"
	linux_has sve sha2
	linux_lacks aes
	want "$out" "^CCR-GUEST-CPU sve-bits $sve\\b"
	want "$out" '^CCR-GUEST-CPU pmu-counters none'
}

test_features_linux_plain() {
	linux_without_aes
}

test_features_linux_realm() {
	linux_without_aes --realm=emulated
}

test_features_enter_the_rim() {
	sve=$(some_sve)
	[ -n "$sve" ] || skip "this host has no SVE to give"
	measured_with "sve=$sve,breakpoints=2" --realm=emulated
}

test_features_that_are_not_there() {
	launch -k "$guest/rsi.img" -m 64M --no-pci --cpu-feature breakpoints=16,watchpoints=16
	[ "$(offered cpu_offer breakpoints)" = 16 ] || want_status 1
	launch -k "$guest/rsi.img" -m 64M --no-pci --cpu-feature pmu=31
	want_status 1
	want "$err" 'cpu-feature pmu=31: '
}

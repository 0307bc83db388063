# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# Emulated realms: the same guest must find itself in a realm, with the measurement that anyone can
# compute beforehand, and without any of a plain VM's ways out.

realm() {
	launch --realm=emulated -k "$guest/Image" -i "$guest/initrd.gz" "$@"
}

realm_with_cpus() {
	realm -m 512M -c "$1" -p "$quick ccr.then=poweroff"
	want_status 0
	want_ready "nr_cpus=$1" realm=1 "kernel=$(uname -r)"
	want "$err" 'nothing here is confidential'
	want "$err" 'realm: RIM sha-256:[0-9a-f]\{64\} (sealed)'
}

test_realm_1cpu() {
	realm_with_cpus 1
}

test_realm_4cpus() {
	realm_with_cpus 4
}

# Four that must agree: the build machine's, this host's, what was sealed here, and what the token
# says. They are computed from files twice, on two architectures, and once from guest memory. The
# demo's disk is written and read back on the way.
test_rim_is_the_same_everywhere() {
	demo=$top/harness/demo.sh
	CCR_CHALLENGE=$challenge "$demo" demo "$ccr_run" "$guest/Image" "$guest/initrd.gz" \
		>"$out" 2>"$err" </dev/null
	sealed=$(sed -n 's/^CCR-DEMO .*sealed=\([0-9a-f]*\).*/\1/p' "$out")
	here=$("$demo" measure-demo "$ccr_run" "$guest/Image" "$guest/initrd.gz" 2>"$err")
	there=$(cat "$guest/rim")
	[ "${#sealed}" = 64 ] || fail "no sealed RIM"
	[ "$sealed" = "$here" ] || fail "sealed $sealed, measured here $here"
	[ "$here" = "$there" ] || fail "measured here $here, on the build machine $there"
	take_token
	verify --emulated --challenge "$challenge" --rim "$there"
	want_status 0
	want "$out" '^CCR-DEMO status=0 .* disk=ok '
}

test_rim_sees_the_command_line() {
	first=$("$ccr_run" measure -k "$guest/Image" -p "a")
	second=$("$ccr_run" measure -k "$guest/Image" -p "b")
	[ "${#first}" = 64 ] || fail "no RIM: $first"
	[ "$first" != "$second" ] || fail "two command lines, one RIM"
}

# KVM cannot reset what a realm is made of: a realm never starts again.
test_realm_reset() {
	realm -p "$quick ccr.then=reboot"
	want_status 5
	want_ready realm=1
}

test_realm_panic() {
	realm -p "$quick panic=-1 ccr.then=panic"
	want_status 5
	want "$out" 'Kernel panic'
}

test_realm_sigterm() {
	start_bare busy --realm=emulated
	stop_with TERM
	want_status 0
	want "$err" SIGTERM
}

# Too old to know what a realm is, so its console stays dark. That must not stay unexplained.
test_realm_guest_6_1_is_explained() {
	start --realm=emulated --silence 5 -k "$guest/Image-6.1" -i "$guest/initrd.gz" \
		-p "ccr.then=poweroff"
	await "$err" 'likely cause:.*6\.13'
	stop_with TERM
	want_status 0
	want "$err" 'has printed nothing'
	want "$err" 'has not asked for RSI_VERSION'
}

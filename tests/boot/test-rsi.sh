# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The bare-metal RSI guest in an emulated realm. Its own results are TAP; here they are one test.

# want_tap - the guest's stream is complete and has no failure in it
want_tap() {
	planned=$(tr -d '\r' <"$out" | sed -n 's/^1\.\.\([0-9]*\)$/\1/p')
	given=$(grep -c '^ok ' "$out")
	refuse "$out" '^not ok\|^Bail out'
	[ "${planned:-0}" -gt 0 ] || fail "no plan"
	[ "$planned" = "$given" ] || fail "$given results of $planned"
}

test_rsi_guest() {
	launch --realm=emulated -k "$guest/rsi.img" -m 64M
	want_tap
	want_status 0
}

test_rsi_guest_resets() {
	launch --realm=emulated -k "$guest/rsi.img" -m 64M -p ccr.rsi=reset
	want_status 5
}

test_rsi_guest_is_silent() {
	start --realm=emulated --silence 2 -k "$guest/rsi.img" -m 64M -p ccr.rsi=silent
	await "$err" 'has printed nothing'
	stop_with TERM
	want_status 0
}

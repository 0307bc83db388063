# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# `ccr-run attest`: running realms are asked for tokens through their vsock.

# shellcheck source=asking.sh source-path=SCRIPTDIR
. "$here/asking.sh"

# says PATTERN - in the verdict
says() {
	want "$dir/verdict" "$1"
}

test_attest_realm() {
	asked_realm emulated -m 256M
	verify --emulated --rim "$(claim rim)"
	want_status 0
	asking 0 asked --emulated --json
	says '"accepted": true'
	asking 6 asked --emulated --rim "$(printf '%064d' 0)"
	says 'token rejected: rim:'
	asking 6 asked --challenge "$challenge"
	says 'token rejected: emulation:'
	asking 1 asked --port 2049
	says 'machine asked: nobody in the guest listens on vsock port 2049; run .attest --listen'
	asking 2 asked --challenge 00
	says 'challenge 00: not 32 to 64 bytes in hexadecimal'
	asking 1 another
	says 'no running machine is called another'
	echo "$challenge$challenge" | vcat call "$dir/vsock" 2048 >"$dir/answer"
	want "$dir/answer" '^error not a challenge of 32 to 64 bytes in hexadecimal'
	"$ccr_run" stat asked --json >"$dir/answer"
	want "$dir/answer" "\"vsock\": {.*\"cid\": 3, \"path\": \"$dir/vsock\", \"connections\": 0"
	stop_with TERM
	want_status 0
	want "$err" SIGTERM
}

# Guests that cannot answer.
test_attest_others() {
	modules=configfs,tsm_report
	answering plain
	asking 1 plain --emulated
	says 'machine plain: the guest gives no token: the kernel gives no token'
	# It says so on its console at about the same time.
	await "$out" 'attest: nobody makes tokens here'
	stop_with TERM
	start_bare mute
	asking 1 mute
	says 'machine mute has no vsock.*start it with --vsock FILE'
	stop_with TERM
	start_bare idle --vsock "$dir/vsock"
	asking 1 idle
	says 'machine idle: nobody in the guest listens on vsock port 2048'
	stop_with TERM
	want_status 0
}

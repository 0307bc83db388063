# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets here, guest, ccr_run, dir, out, err

# shellcheck source=firmware.sh source-path=SCRIPTDIR
. "$here/firmware.sh"

test_firmware_plain() {
	firmware_finds_its_machine
	want "$out" 'FIRMWARE-GUEST realm=0'
	firmware_without_header
}

test_firmware_realm() {
	firmware_finds_its_machine --realm=emulated
	want "$out" 'FIRMWARE-GUEST realm=1'
	rim=$("$ccr_run" measure -q --firmware "$guest/firmware.img" -m 64M) || fail "no RIM"
	want "$err" "realm: RIM sha-256:$rim (sealed)"
	firmware_without_header --realm=emulated
}

test_firmware_given_plain() {
	real_firmware
}

test_firmware_given_realm() {
	real_firmware --realm=emulated
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets here, guest, ccr_run, dir, out, err
#
# Guest firmware in a real realm.

# shellcheck source=firmware.sh source-path=SCRIPTDIR
. "$here/firmware.sh"

limit=300

test_stack_firmware() {
	firmware_finds_its_machine --realm=kvm
	want "$out" 'FIRMWARE-GUEST realm=1'
}

test_stack_firmware_given() {
	real_firmware --realm=kvm
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets here
#
# A real realm under control: as any other machine.

# shellcheck source=test-control.sh source-path=SCRIPTDIR
. "$here/test-control.sh"

limit=240

test_stack_control() {
	controls --realm=kvm
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# vsock of real realms.

# shellcheck source=vsock.sh source-path=SCRIPTDIR
. "$here/vsock.sh"

test_stack_vsock() {
	streams --realm
}

test_stack_vsock_kernel() {
	kernel_streams --realm
}

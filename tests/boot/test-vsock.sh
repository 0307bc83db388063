# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# vsock: streams between programs of the host and of the guest.

# shellcheck source=vsock.sh source-path=SCRIPTDIR
. "$here/vsock.sh"

test_vsock_plain() {
	streams
}

test_vsock_realm() {
	streams --realm=emulated -c 2
}

test_vsock_kernel_plain() {
	# shellcheck disable=SC2119 # its arguments are ccr-run's
	kernel_streams
}

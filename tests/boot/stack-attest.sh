# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Real realms that are asked for tokens through their vsock.

# shellcheck source=asking.sh source-path=SCRIPTDIR
. "$here/asking.sh"

test_stack_attest() {
	asked_realm kvm -m 256M
	stop_with TERM
	want_status 0
}

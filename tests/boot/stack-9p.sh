# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Shared directories in real realms.

# shellcheck source=9p.sh source-path=SCRIPTDIR
. "$here/9p.sh"

test_stack_9p() {
	shared --realm -m 1G
}

test_stack_9p_contract() {
	contract_9p --realm=kvm
	want "$out" '^# a realm'
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# 9p: directories of the host in a guest.

# shellcheck source=9p.sh source-path=SCRIPTDIR
. "$here/9p.sh"

test_9p_plain() {
	shared -c 2
}

test_9p_realm() {
	shared --realm=emulated -m 1G
}

test_9p_contract_plain() {
	contract_9p
	want "$out" '^# a plain VM'
}

test_9p_contract_realm() {
	contract_9p --realm=emulated
	want "$out" '^# a realm'
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Networks: taps, and passt.

# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"

test_network_tap_plain() {
	over_tap -c 2
}

test_network_user_realm() {
	over_passt --realm=emulated -c 2
}

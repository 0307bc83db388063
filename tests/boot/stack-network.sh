# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Networks of real realms.

# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"

test_stack_network_tap() {
	over_tap --realm
}

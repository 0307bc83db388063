# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Networks of real realms.

# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"

test_stack_network_tap() {
	over_tap ,vhost=off --realm
}

test_stack_network_vhost() {
	[ -e /dev/vhost-net ] || skip "this host's kernel has no vhost-net"
	over_tap ,vhost=on --realm
}

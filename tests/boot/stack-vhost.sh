# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Back ends that are other programs, of devices of real realms: they see what is shared and nothing
# else.

# shellcheck source=vhost.sh source-path=SCRIPTDIR
. "$here/vhost.sh"

test_stack_vhost_disk() {
	disks_of_back_ends --realm
}

test_stack_vhost_fs() {
	directory_of_back_end --realm
}

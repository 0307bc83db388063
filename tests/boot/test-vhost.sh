# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Back ends that are other programs.

# shellcheck source=vhost.sh source-path=SCRIPTDIR
. "$here/vhost.sh"

test_vhost_disk_plain() {
	disks_of_back_ends -c 2
}

test_vhost_disk_realm() {
	disks_of_back_ends --realm=emulated -c 2
}

test_vhost_disk_killed_plain() {
	killed_back_end -c 2
}

test_vhost_disk_killed_realm() {
	killed_back_end --realm=emulated
}

test_vhost_fs_plain() {
	directory_of_back_end -c 2
}

test_vhost_fs_realm() {
	directory_of_back_end --realm=emulated -c 2
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets here, out; lib.sh uses limit
#
# Disks of a real realm.

# shellcheck source=disk.sh source-path=SCRIPTDIR
. "$here/disk.sh"

# A pool of whole blocks of 2 MiB is memory of another kind for the host than one of 512 KiB.
test_stack_disk_bounce() {
	limit=480
	tour --realm=kvm -m 512M --bounce 16M
	want "$out" '^CCR-GUEST-DISK bounce=16MB words=swiotlb=8192\b'
}

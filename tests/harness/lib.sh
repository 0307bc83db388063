# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts of the build machine share. Sourced, never run; callers have set -eu.

# Scripts are called from the Makefile and by hand: every path below is relative to the top.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

LOG_DIR=build/log
JOBS=$(nproc)
# A make above us hands down its own name, and a job server that a nested -j would detach from.
MAKE=${MAKE:-make}

say() { printf '%s\n' "$*"; }
note() { printf '  %s\n' "$*" >&2; }

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# kernel_release DIR - what `uname -r` says of the kernel that debs.sh put there
kernel_release() {
	sed 's/^linux-[a-z]*-\([^ ]*\) .*/\1/' "$1/VERSION"
}

# host_image demo|test - set host_kernel and host_initrd to what is booted: that of
# IMAGE=<directory> (mkimage.sh), else the host's system made for the purpose, with Debian's kernel
# or a stack's.
host_image() {
	host_kernel=
	host_initrd=build/host/$1.cpio
	[ -n "${IMAGE:-}" ] || return 0
	host_kernel=$IMAGE/Image
	host_initrd=$IMAGE/initramfs.cpio
	for file in "$host_kernel" "$host_initrd"; do
		[ -f "$file" ] || die "IMAGE=$IMAGE: there is no $file (make image OUT=$IMAGE)"
	done
}

# printable - a filter that works line by line: guest bytes are in these streams, and nothing that a
# terminal would act on may come through
printable() {
	LC_ALL=C sed -u -e 's/\r//g' -e 's/[^\t -~]/?/g'
}

# show_log FILE - what a person needs to see first when something failed
show_log() {
	[ -s "$1" ] || { say "(the log $1 is empty)"; return 0; }
	say "--- last lines of $1"
	tail -n "${2:-40}" "$1" | printable
	say "--- end of $1"
}

# submake TARGET... - build quietly into one log, shown only if it fails
submake() {
	local log=$LOG_DIR/build.log

	mkdir -p "$LOG_DIR"
	if ! LC_ALL=C "$MAKE" --no-print-directory -j"$JOBS" NO_DEPS=1 "$@" >"$log" 2>&1; then
		show_log "$log"
		return 1
	fi
}

# is_arm64_image FILE - the magic number of an arm64 Image header, at offset 56
is_arm64_image() {
	[ "$(od -An -tx1 -j56 -N4 "$1" 2>/dev/null | tr -d ' \n')" = 41524d64 ]
}

# can_run_here - this machine can run arm64 VMs itself, so no QEMU is needed
can_run_here() {
	[ "$(uname -m)" = aarch64 ] && [ -r /dev/kvm ] && [ -w /dev/kvm ]
}

# has_rme QEMU... - it is 8.1 or newer, which brought the CPU with RME, and is quicker than what was
# before it
has_rme() {
	local major minor

	read -r major minor < <("$@" --version 2>/dev/null |
		sed -n 's/^QEMU emulator version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') || return 1
	[ "$major" -gt 8 ] || { [ "$major" = 8 ] && [ "$minor" -ge 1 ]; }
}

# qemu_library_path - of the QEMU in build/
qemu_library_path() {
	find build/qemu/usr/lib build/qemu/lib -maxdepth 1 -name '*-linux-gnu' 2>/dev/null |
		paste -s -d :
}

# find_qemu - set qemu, qemu_data and qemu_libs, for emulator_is: this machine's QEMU, or a newer
# one, kept in build/
# shellcheck disable=SC2034 # for the callers
find_qemu() {
	qemu="qemu-system-aarch64"
	qemu_data=
	qemu_libs=
	! has_rme "$qemu" || return 0
	tests/harness/debs.sh qemu
	qemu=build/qemu/usr/bin/qemu-system-aarch64
	qemu_data=build/qemu/usr/share/qemu
	qemu_libs=$(qemu_library_path)
}

# emulator_is QEMU DATA LIBS - set emulator to its command line; DATA and LIBS may be empty
emulator_is() {
	emulator=("$1" ${2:+-L "$2"})
	[ -z "$3" ] || emulator=(env "LD_LIBRARY_PATH=$3" "${emulator[@]}")
}

# busybox_tree DIR - the directories and commands that both a host and a guest start with
busybox_tree() {
	local applet

	mkdir -p "$1/bin" "$1/dev" "$1/proc" "$1/sys" "$1/tmp" "$1/run" "$1/root" "$1/etc"
	cp build/arm64/busybox "$1/bin/busybox"
	# The program is for arm64 and cannot be asked here which commands it has.
	for applet in ash awk basename cat chmod chroot clear cmp cp cut date dd df \
		dirname dmesg echo env expr false find free grep gunzip gzip head \
		hexdump id insmod kill less ln ls lsmod mkdir mkfifo mknod mktemp \
		modprobe more mount mv nproc od pidof poweroff printenv printf ps pwd \
		reboot reset rm rmdir sed seq setsid sh sha256sum sleep sort stat stty \
		sync tail tee test time timeout top touch tr true tty umount uname \
		uptime usleep vi wc which xargs yes zcat; do
		ln -s busybox "$1/bin/$applet"
	done
}

# pack_tree DIR - as a cpio archive on stdout, the same bytes for the same files, whenever and with
# whatever umask they were made
pack_tree() {
	chmod -R u=rwX,go=rX "$1"
	find "$1" -exec touch -h -d @0 {} +
	(cd "$1" && find . -mindepth 1 | LC_ALL=C sort |
		cpio -o -H newc -R +0:+0 --reproducible --quiet)
}

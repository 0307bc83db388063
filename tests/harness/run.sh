#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `make run`: from a bare checkout to a realm
#
# On a terminal this ends in a shell inside the realm. Without one it runs the scripted demo, whose
# last line is
#   RESULT realm=<kvm|emulated> rim=<hex> guest-rim=<hex> token=none boot_ms=<n>
# with "none" for what was not seen. Exit status 0 means: the realm's userspace ran, it knew that it
# was in a realm, and the hash of what was sealed is the one that `measure` computed from the files.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

KERNEL=build/kernel/Image
INITRD=build/guest/initrd.gz
CCR_RUN=build/arm64/ccr-run
LOG=$LOG_DIR/run.log
LIMIT=300
export CCR_REALM=emulated

step() {
	at=$((${at:-0} + 1))
	say "[$at/6] $*"
}

stop() {
	say "failed: $*"
	exit 1
}

# Where the realm's host comes from. A CCA host stack (STACK=dir) will be one more line here.
choose_host() {
	if [ -n "${STACK:-}" ]; then
		stop "STACK=$STACK: hosts with a real RMM are not supported yet"
	elif can_run_here; then
		host=native
	else
		host=qemu
	fi
}

boot_native() {
	case $1 in
	demo) timeout -k 5 "$LIMIT" tests/harness/demo.sh demo "$CCR_RUN" "$KERNEL" "$INITRD" \
		</dev/null 2>&1 | tee "$LOG" ;;
	shell) tests/harness/demo.sh shell "$CCR_RUN" "$KERNEL" "$INITRD" ;;
	esac
}

boot_qemu() {
	case $1 in
	demo) tests/harness/qemu.sh -t "$LIMIT" run build/host/demo.cpio ccr.do=demo ;;
	shell) tests/harness/qemu.sh -i run build/host/demo.cpio ccr.do=shell ;;
	esac
}

# field NAME - from the line that demo.sh ended with; nothing if it is not there
field() {
	tr -d '\r' <"$LOG" | sed -n "s/^CCR-DEMO .*\b$1=\([^ ]*\).*/\1/p" | tail -n 1
}

result() {
	local guest_rim boot_ms status guest

	status=$(field status)
	guest_rim=$(field guest-rim)
	boot_ms=$(field boot_ms)
	guest=$(field guest)
	failure=
	if [ -z "$status" ]; then
		failure="the demo did not come to its end"
	elif [ -z "$boot_ms" ]; then
		failure="the realm's userspace did not start (ccr-run ended with status $status)"
	elif [ "$status" != 0 ]; then
		failure="ccr-run ended with status $status"
	elif [[ ,$guest, != *,realm=1,* ]]; then
		failure="the guest does not know that it is in a realm"
	elif [ "$guest_rim" != "$rim" ]; then
		failure="the sealed realm is not the one that was measured"
	fi
	if [ -n "$failure" ]; then
		show_log "$LOG"
		say "failed: $failure"
	fi
	say "RESULT realm=$CCR_REALM rim=$rim guest-rim=${guest_rim:-none} token=none" \
		"boot_ms=${boot_ms:-none}"
	[ -z "$failure" ]
}

mode=demo
[ ! -t 0 ] || [ ! -t 1 ] || mode=shell
mkdir -p "$LOG_DIR"
step "packages of this machine"
[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh run
choose_host
step "an arm64 Linux kernel"
tests/harness/debs.sh kernel
say "      $(cat build/kernel/VERSION)"
step "building ccr-run"
submake all || stop "the build"
step "building the guest$([ $host = native ] || say " and its host")"
if [ $host = native ]; then
	submake "$INITRD" || stop "the guest's image"
else
	submake build/host/demo.cpio || stop "the host's image"
fi
step "measuring the realm on this machine"
rim=$(tests/harness/demo.sh "measure-$mode" build/native/ccr-run "$KERNEL" "$INITRD") ||
	stop "ccr-run measure"
say "      rim $rim"

case $host in
native) where="on this machine's KVM" ;;
qemu) where="in an arm64 host in QEMU" ;;
esac
if [ $mode = shell ]; then
	step "launching the realm $where; its shell comes up in some seconds"
	say "      to leave: poweroff, or Ctrl-a x"
	"boot_$host" shell
else
	step "launching the realm $where"
	"boot_$host" demo | printable
	say ""
	result
fi

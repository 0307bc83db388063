#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `make run`: from a bare checkout to a realm
#
# On a terminal this ends in a shell inside the realm. Without one it runs the scripted demo, whose
# last line is
#   RESULT realm=<kvm|emulated> rim=<hex> guest-rim=<hex> token=none boot_ms=<n>
# with "none" for what was not seen. Exit status 0 means: the realm's userspace ran, it knew that it
# was in a realm, and guest-rim, the hash of what was sealed, is the one that `measure` computed
# from the files.
#
# STACK=<directory>... takes hosts with a real RMM instead (stack.sh), one after the other;
# guest-rim is then from the token that the RMM gave the realm.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

KERNEL=build/kernel/Image
INITRD=build/guest/initrd.gz
CCR_RUN=build/arm64/ccr-run
LIMIT=300

step() {
	at=$((${at:-0} + 1))
	say "[$at/6] $*"
}

stop() {
	say "failed: $*"
	exit 1
}

# Where the realm's host comes from.
choose_host() {
	local dir

	CCR_REALM=emulated
	if [ -n "$(stack_dirs)" ]; then
		host=stack
		CCR_REALM=kvm
		# What is wrong with a description is said before anything is built.
		while IFS= read -r dir; do
			stack_load "$dir"
			stack_find_qemu
		done < <(stack_dirs)
	elif can_run_here; then
		host=native
	else
		host=qemu
	fi
	export CCR_REALM
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

boot_stack() {
	case $1 in
	demo) tests/harness/qemu.sh -t "$LIMIT" -S "$dir" "$name" build/host/demo.cpio \
		ccr.do=demo ccr.realm=kvm ;;
	shell) tests/harness/qemu.sh -i -S "$dir" "$name" build/host/demo.cpio \
		ccr.do=shell ccr.realm=kvm ;;
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
	elif [ -z "$guest_rim" ]; then
		failure="the realm's measurement was not seen"
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

# boot_realm WHERE - the last step; what was booted last left its words in $LOG
boot_realm() {
	LOG=$LOG_DIR/$name.log
	if [ $mode = shell ]; then
		step "launching the realm $1; its shell comes up in some seconds"
		say "      to leave: poweroff, or Ctrl-a x"
		"boot_$host" shell
	else
		step "launching the realm $1"
		"boot_$host" demo | printable
		say ""
		result
	fi
}

name=run
case $host in
native) boot_realm "on this machine's KVM" ;;
qemu) boot_realm "in an arm64 host in QEMU" ;;
stack)
	before=$at
	status=0
	mapfile -t dirs < <(stack_dirs)
	for dir in "${dirs[@]}"; do
		at=$before
		name=run-$(stack_name "$dir")
		boot_realm "on the stack $(stack_name "$dir") in QEMU" || status=1
	done
	exit $status
	;;
esac

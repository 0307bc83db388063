#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `make run`: from a bare checkout to a realm
#
# On a terminal this ends in a shell inside the realm. Without one it runs the scripted demo, whose
# last line is
#   RESULT realm=<kvm|emulated> rim=<hex> guest-rim=<hex> token=<ok|...> disk=<ok|...> boot_ms=<n>
# with "none" for what was not seen (Documentation/testing.md). Exit status 0 means: the realm's
# userspace ran and knew that it was in a realm; it got a token for a challenge made here, whose
# every check passes here; the RIM in it is the one that `measure` computed from the files; and what
# the realm wrote to its disk it read back, and is in the disk's file.
#
# STACK=<directory>... takes hosts with a real RMM instead (stack.sh), one after the other. Where
# no trust anchors are named for one, who signed its tokens is left open.
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
	demo) CCR_CHALLENGE=$challenge timeout -k 5 "$LIMIT" tests/harness/demo.sh demo \
		"$CCR_RUN" "$KERNEL" "$INITRD" </dev/null 2>&1 | tee "$LOG" ;;
	shell) tests/harness/demo.sh shell "$CCR_RUN" "$KERNEL" "$INITRD" ;;
	esac
}

boot_qemu() {
	case $1 in
	demo) tests/harness/qemu.sh -t "$LIMIT" run build/host/demo.cpio ccr.do=demo \
		"ccr.challenge=$challenge" ;;
	shell) tests/harness/qemu.sh -i run build/host/demo.cpio ccr.do=shell ;;
	esac
}

boot_stack() {
	case $1 in
	demo) tests/harness/qemu.sh -t "$LIMIT" -S "$dir" "$name" build/host/demo.cpio \
		ccr.do=demo ccr.realm=kvm "ccr.challenge=$challenge" ;;
	shell) tests/harness/qemu.sh -i -S "$dir" "$name" build/host/demo.cpio \
		ccr.do=shell ccr.realm=kvm ;;
	esac
}

# field NAME - from the line that demo.sh ended with; nothing if it is not there
field() {
	tr -d '\r' <"$LOG" | sed -n "s/^CCR-DEMO .*\b$1=\([^ ]*\).*/\1/p" | tail -n 1
}

# verify_token - what the token in $LOG is worth: sets token and guest_rim, and token_words for what
# is wrong with it
verify_token() {
	local file=$LOG_DIR/$name.token verdict=$LOG_DIR/$name.verdict trust=--emulated status=0

	guest_rim=
	token=none
	token_words="the realm has shown no token"
	tr -d '\r' <"$LOG" | sed -n '/BEGIN CCA TOKEN/,/END CCA TOKEN/p' |
		grep -v -e ----- >"$file" || return 0
	if [ "$CCR_REALM" = kvm ]; then
		trust=${stack[anchors]:+--trust-anchors=${stack[anchors]}}
	fi
	build/native/ccr-run verify "$file" --challenge "$challenge" --rim "$rim" \
		${trust:+"$trust"} >"$verdict" 2>&1 || status=$?
	guest_rim=$(sed -n 's/^  rim  *//p' "$verdict")
	token_words=$(sed -n 's/^ccr-run: error: //p' "$verdict" | head -n 1)
	case $status in
	0) token=ok ;;
	6) token=rejected ;;
	*) token=unusable ;;
	esac
	# Nobody has said whose platforms to believe: then that is the one thing that may fail.
	if [ "$token$trust" = rejected ] &&
		[ "$(grep '^  fail ' "$verdict" | cut -c 9-21)" = "platform-key " ]; then
		token=unanchored
	fi
}

result() {
	local boot_ms status guest disk

	status=$(field status)
	disk=$(field disk)
	boot_ms=$(field boot_ms)
	guest=$(field guest)
	verify_token
	failure=
	if [ -z "$status" ]; then
		failure="the demo did not come to its end"
	elif [ -z "$boot_ms" ]; then
		failure="the realm's userspace did not start (ccr-run ended with status $status)"
	elif [ "$status" != 0 ]; then
		failure="ccr-run ended with status $status"
	elif [[ ,$guest, != *,realm=1,* ]]; then
		failure="the guest does not know that it is in a realm"
	elif [ -n "$guest_rim" ] && [ "$guest_rim" != "$rim" ]; then
		failure="the realm that shows its token is not the one that was measured"
	elif [ $token != ok ] && [ $token != unanchored ]; then
		failure="$token_words"
	elif [ "$disk" = differs ]; then
		failure="the disk does not hold what the realm wrote"
	elif [ "$disk" != ok ]; then
		failure="the realm did not use its disk"
	fi
	if [ -n "$failure" ]; then
		show_log "$LOG"
		say "failed: $failure"
	elif [ $token = unanchored ]; then
		say "token: every check passed but the platform's key: no trust anchors are named"
	fi
	say "RESULT realm=$CCR_REALM rim=$rim guest-rim=${guest_rim:-none} token=$token" \
		"disk=${disk:-none} boot_ms=${boot_ms:-none}"
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

challenge=$(od -An -v -tx1 -N64 /dev/urandom | tr -d ' \n')

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
		stack_load "$dir"
		name=run-$(stack_name "$dir")
		boot_realm "on the stack $(stack_name "$dir") in QEMU" || status=1
	done
	exit $status
	;;
esac

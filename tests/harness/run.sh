#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `make run`: from a bare checkout to a realm
# run.sh parity LOG - `make parity LOG=`: what a realm finds on that host, for parity.py
#
# On a terminal this ends in a shell inside the realm. Without one it runs the scripted demo, whose
# last line is
#   RESULT realm=<kvm|emulated> rim=<hex> guest-rim=<hex> token=<ok|...> disk=<ok|...> boot_ms=<n>
# with "none" for what was not seen (Documentation/testing.md). Exit status 0 means: the realm's
# userspace ran and knew that it was in a realm; it got a token for a challenge made here, whose
# every check passes here; the RIM in it is the one that `measure` computed from the files; and what
# the realm wrote to its disk it read back, and is in the disk's file.
#
# HOST= says where (Documentation/hosts.md): qemu, fvp, or native, which is this machine's own KVM
# and what is taken if it has one. STACK=<directory>... takes hosts with a real RMM (stack.sh), one
# after the other. Where no trust anchors are named for one, who signed its tokens is left open.
# IMAGE= boots an image that `make image` made; REALM=kvm|emulated says who isolates the realm.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

KERNEL=build/kernel/Image
INITRD=build/guest/initrd.gz
CCR_RUN=build/arm64/ccr-run
LIMIT=${RUN_LIMIT:-300}

step() {
	at=$((${at:-0} + 1))
	say "[$at/6] $*"
}

stop() {
	say "failed: $*"
	exit 1
}

# choose_native, choose_qemu, choose_fvp - set host and the kind of realm that it is for

choose_native() {
	host=native
	[ -z "$(stack_dirs)${IMAGE:-}" ] || stop "HOST=native: it is as it is; no STACK or IMAGE"
	[ "$(uname -m)" = aarch64 ] ||
		stop "HOST=native: this machine is $(uname -m), not arm64; HOST=qemu emulates one"
	can_run_here || stop "HOST=native: /dev/kvm is not there, or not for you (ccr-run check)"
}

choose_qemu() {
	host=qemu
	[ -n "$(stack_dirs)" ] || return 0
	host=stack
	realm=kvm
	choose_stacks
}

choose_fvp() {
	host=fvp
	realm=kvm
	LIMIT=${RUN_LIMIT:-3600}
	[ -n "$(stack_dirs)" ] ||
		stop "HOST=fvp: STACK= names its firmware and kernel (Documentation/stack.md)"
	choose_stacks
}

# choose_stacks - what is wrong with a description is said before anything is built
choose_stacks() {
	local dir

	while IFS= read -r dir; do
		stack_load "$dir"
		[ -n "${stack[bl1]}" ] || [ $host = stack ] ||
			stop "HOST=fvp: the stack $dir is for QEMU: it has no bl1 and fip"
		[ -z "${stack[bl1]}" ] || [ $host = fvp ] ||
			stop "the stack $dir is for the FVP: HOST=fvp"
		[ $host = fvp ] || stack_find_qemu
	done < <(stack_dirs)
}

choose_host() {
	realm=emulated
	case ${CCR_HOST:-} in
	native | qemu | fvp) "choose_$CCR_HOST" ;;
	'')
		if [ -z "$(stack_dirs)${IMAGE:-}" ] && can_run_here; then
			choose_native
		else
			choose_qemu
		fi
		;;
	*) stop "HOST=$CCR_HOST is not qemu, fvp or native" ;;
	esac
	case ${REALM:=$realm} in
	kvm | emulated) export CCR_REALM=$REALM ;;
	*) stop "REALM=$REALM is not kvm or emulated" ;;
	esac
}

# open_image - the guest's files of IMAGE, which need not be those of this checkout
open_image() {
	local dir=build/host/image

	[ -n "${IMAGE:-}" ] || return 0
	rm -rf "$dir"
	mkdir -p "$dir"
	(cd "$dir" && cpio -i -d --quiet guest/Image guest/initrd.gz) <"$host_initrd"
	KERNEL=$dir/guest/Image
	INITRD=$dir/guest/initrd.gz
	say "      $(sha256sum "$host_kernel")"
	say "      $(sha256sum "$host_initrd")"
}

# boot - the host, for the mode that was chosen, on this terminal or into the log
boot() {
	local how=(-t "$LIMIT") words=("ccr.do=$mode" "ccr.realm=$CCR_REALM")

	case $mode in
	shell) how=(-i) ;;
	demo) words+=("ccr.challenge=$challenge") ;;
	esac
	[ -z "$host_kernel" ] || how+=(-k "$host_kernel")
	case $host in
	native) boot_native ;;
	qemu) tests/harness/qemu.sh "${how[@]}" "$name" "$host_initrd" "${words[@]}" ;;
	stack) tests/harness/qemu.sh "${how[@]}" -S "$dir" "$name" "$host_initrd" "${words[@]}" ;;
	fvp) tests/harness/fvp.sh "${how[@]}" -S "$dir" "$name" "$host_initrd" "${words[@]}" ;;
	esac
}

boot_native() {
	local command=(tests/harness/demo.sh "$mode" "$CCR_RUN" "$KERNEL" "$INITRD")

	case $mode in
	shell) "${command[@]}" ;;
	parity) tests/harness/host-parity build/host/test </dev/null 2>&1 | tee "$LOG" ;;
	demo)
		CCR_CHALLENGE=$challenge timeout -k 5 "$LIMIT" "${command[@]}" </dev/null 2>&1 |
			tee "$LOG"
		;;
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

# measure - what the realm's RIM will be, and the challenge for its token
measure() {
	step "measuring the realm on this machine"
	rim=$(tests/harness/demo.sh "measure-$mode" build/native/ccr-run "$KERNEL" "$INITRD") ||
		stop "ccr-run measure"
	say "      rim $rim"
	challenge=$(od -An -v -tx1 -N64 /dev/urandom | tr -d ' \n')
}

# keep_parity - the facts that the host has printed, if it has come to the end
keep_parity() {
	tr -d '\r' <"$LOG" | grep -a '^PARITY ' >"$parity_log" || true
	if [ "$(tail -n 1 "$parity_log")" != "PARITY end" ]; then
		show_log "$LOG"
		say "failed: the host did not come to the end of its report"
		return 1
	fi
	say "      $(wc -l <"$parity_log") lines in $parity_log"
}

system=demo
mode=demo
prefix=run
[ ! -t 0 ] || [ ! -t 1 ] || mode=shell
if [ "${1:-}" = parity ]; then
	mode=parity
	prefix=parity
	system='test'
	parity_log=$2
	LIMIT=${RUN_LIMIT:-900}
	[ "$(stack_dirs | wc -l)" -le 1 ] || stop "a log is of one host, STACK names several"
fi
mkdir -p "$LOG_DIR"
step "packages of this machine"
choose_host
goals=(run)
[ "$host" != fvp ] || goals+=(fvp)
[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh "${goals[@]}"
[ "$host" != qemu ] || find_qemu
host_image $system
step "an arm64 Linux kernel"
tests/harness/debs.sh kernel
say "      $(cat build/kernel/VERSION)"
step "building ccr-run"
submake all || stop "the build"
step "building the guest$([ "$host" = native ] || say " and its host")"
if [ "$host" = native ]; then
	submake "$INITRD" "build/host/$system.cpio" || stop "the guest's image"
elif [ -z "${IMAGE:-}" ]; then
	submake "$host_initrd" || stop "the host's image"
fi
open_image
[ $mode = parity ] || measure

# boot_realm WHERE - the last step; what was booted last left its words in $LOG
boot_realm() {
	LOG=$LOG_DIR/$name.log
	case $mode in
	shell)
		step "launching the realm $1; its shell comes up in some seconds"
		say "      to leave: poweroff, or Ctrl-a x"
		boot
		;;
	parity)
		step "looking at what a realm finds $1"
		boot | printable | grep -v '^PARITY' || true
		keep_parity
		;;
	demo)
		step "launching the realm $1"
		boot | printable
		say ""
		result
		;;
	esac
}

name=$prefix
case $host in
native) boot_realm "on this machine's KVM" ;;
qemu) boot_realm "in an arm64 host in QEMU" ;;
stack | fvp)
	before=$at
	status=0
	where="in QEMU"
	[ "$host" = stack ] || where="in the FVP"
	mapfile -t dirs < <(stack_dirs)
	for dir in "${dirs[@]}"; do
		at=$before
		stack_load "$dir"
		name=$prefix-$(stack_name "$dir")
		boot_realm "on the stack $(stack_name "$dir") $where" || status=1
	done
	exit $status
	;;
esac

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# boot-tests.sh [TEST...] - run tests/boot in an arm64 host: one boot of the host for all of them
#
# The host's console is the TAP stream: results are shown as they come, and counted from the log.
# Tests that need a real RMM (tests/boot/stack-*.sh) run on the hosts that STACK=<directory>...
# names; without it they are counted as skipped.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

SUM=$LOG_DIR/boot.sum
# The tests have limits of their own; this one is for a host that hangs.
LIMIT=1500

show_results() {
	printable | sed -un -e 's/^ok [0-9]* - /  ok    /p' -e 's/^not ok [0-9]* - /  FAIL  /p' \
		-e 's/^# /        /p'
}

# boot_here TESTS, boot_qemu TESTS, boot_stack TESTS - show and log what the host says

boot_here() {
	CCR_TESTS=$1 timeout -k 5 "$LIMIT" sh tests/boot/run.sh build/host/test </dev/null 2>&1 |
		tee "$log" | show_results
	return "${PIPESTATUS[0]}"
}

boot_qemu() {
	tests/harness/qemu.sh -t "$LIMIT" "$name" build/host/test.cpio ccr.do=test \
		"${1:+ccr.tests=${1// /,}}" | show_results
	return "${PIPESTATUS[0]}"
}

boot_stack() {
	tests/harness/qemu.sh -t "$LIMIT" -S "$dir" "$name" build/host/test.cpio ccr.do=test \
		ccr.suite=stack ccr.realm=kvm "${1:+ccr.tests=${1// /,}}" | show_results
	return "${PIPESTATUS[0]}"
}

# judge BOOT NAME TESTS - run them, and add to the sum
judge() {
	local name=$2 log=$LOG_DIR/$2.log status=0 verdict

	rm -f "$log"
	"$1" "$3" || status=$?
	[ -e "$log" ] || : >"$log"
	verdict=$(awk -v status="$status" -v name="$name" -f tests/harness/tap.awk "$log")
	say "${verdict##*SUM }" >>"$SUM"
	# Failures were shown with their reasons; what is left are results that never came.
	grep 'missing\|exit status\|no results\|Bail out' <<<"$verdict" || true
	[[ ${verdict##*SUM } = *' 0 '* ]] || say "(the whole log: $log)"
}

mkdir -p "$LOG_DIR"
: >"$SUM"
mapfile -t dirs < <(stack_dirs)
for dir in "${dirs[@]}"; do stack_load "$dir"; done
[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh check
submake build/host/test.cpio || {
	say "0 1 0" >"$SUM"
	say "  FAIL  the host's image"
	exit 1
}

# Of the tests asked for, those that need a real RMM; with none asked for, all of both suites.
stack_tests=$(sed -n 's/^test_\([a-z0-9_]*\)() {$/\1/p' tests/boot/stack-*.sh | xargs)
plain=
real=
for test; do
	case " $stack_tests " in
	*" $test "*) real+="${real:+ }$test" ;;
	*) plain+="${plain:+ }$test" ;;
	esac
done

if [ -n "$plain" ] || [ $# = 0 ]; then
	if can_run_here; then judge boot_here boot "$plain"; else judge boot_qemu boot "$plain"; fi
fi
if [ -n "$real" ] || [ $# = 0 ]; then
	for dir in "${dirs[@]}"; do
		say "   on the stack $(stack_name "$dir"):"
		judge boot_stack "boot-$(stack_name "$dir")" "$real"
	done
	if [ ${#dirs[@]} = 0 ]; then
		skipped=$(wc -w <<<"${real:-$stack_tests}")
		say "  skip  $skipped tests that need a real RMM (STACK=, see Documentation/stack.md)"
		say "0 0 $skipped" >>"$SUM"
	fi
fi
tests/harness/sum.sh boot "$SUM"

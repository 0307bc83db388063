#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tap.sh STEP PROGRAM... - run programs that report in TAP, side by side, and sum up
#
# Each program's output goes to build/log/STEP/NAME.log; the sum also to build/log/STEP.sum, for
# check.sh. A program that does not exist (it did not build) is a failure.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

step=$1
shift
logs=$LOG_DIR/$step
rm -rf "$logs"
mkdir -p "$logs"
: >"$LOG_DIR/$step.sum"
[ $# -gt 0 ] || die "no $step tests"

# Leaks count; a sanitizer's report is the last thing a program does.
export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1

run_one() {
	local name log status=0 verdict sum

	name=$(basename "$2")
	name=${name%.*}
	log=$LOG_DIR/$1/$name.log
	timeout -k 5 "${TEST_TIMEOUT:-600}" "$2" >"$log" 2>&1 </dev/null || status=$?
	verdict=$(awk -v status=$status -v name="$name" -f tests/harness/tap.awk "$log" | printable)
	sum=${verdict##*SUM }
	read -r passed failed skipped <<<"$sum"
	say "$sum" >"$LOG_DIR/$1/$name.sum"
	say "$sum" >>"$LOG_DIR/$1.sum"
	if [ "$failed" -gt 0 ]; then
		say "${verdict%SUM *}$(show_log "$log")"
	else
		say "  ok    $name ($passed$([ "$skipped" = 0 ] || say ", $skipped skipped"))"
	fi
}
export -f run_one show_log printable say
export LOG_DIR

printf '%s\0' "$@" | xargs -0 -n 1 -P "$JOBS" bash -c "run_one $step \"\$1\"" run_one
"$(dirname "$0")/sum.sh" "$step" "$LOG_DIR/$step.sum"

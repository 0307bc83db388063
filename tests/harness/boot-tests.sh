#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# boot-tests.sh [TEST...] - run tests/boot in an arm64 host: one boot of the host for all of them
#
# The host's console is the TAP stream: results are shown as they come, and counted from the log.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

LOG=$LOG_DIR/boot.log
SUM=$LOG_DIR/boot.sum
# The tests have limits of their own; this one is for a host that hangs.
LIMIT=1500

show_results() {
	printable | sed -un -e 's/^ok [0-9]* - /  ok    /p' -e 's/^not ok [0-9]* - /  FAIL  /p' \
		-e 's/^# /        /p'
}

mkdir -p "$LOG_DIR"
: >"$SUM"
[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh check
submake build/host/test.cpio || {
	say "0 1 0" >"$SUM"
	say "  FAIL  the host's image"
	exit 1
}

status=0
if can_run_here; then
	CCR_TESTS="$*" timeout -k 5 "$LIMIT" sh tests/boot/run.sh build/host/test </dev/null 2>&1 |
		tee "$LOG" | show_results
	status=${PIPESTATUS[0]}
else
	tests/harness/qemu.sh -t "$LIMIT" boot build/host/test.cpio ccr.do=test \
		"${*:+ccr.tests=$(tr ' ' , <<<"$*")}" | show_results
	status=${PIPESTATUS[0]}
fi
verdict=$(awk -v status="$status" -v name=boot -f tests/harness/tap.awk "$LOG")
say "${verdict##*SUM }" >"$SUM"
# Failures were shown with their reasons; what is left are results that never came.
grep 'missing\|exit status\|no results\|Bail out' <<<"$verdict" || true
tests/harness/sum.sh boot "$SUM" || {
	say "(the whole log: $LOG)"
	exit 1
}

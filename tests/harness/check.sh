#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh - `make check`: everything, from a bare checkout; ends with one line of sums
#
# A step that fails does not stop the others: whoever reads the result wants all of it. Those that
# boot a host do so on each that STACK=<directory>... names as well.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

rm -rf "$LOG_DIR"
mkdir -p "$LOG_DIR"
sums=()
# A stack that makes no sense is an error before anything else, not the last of many results.
mapfile -t dirs < <(stack_dirs)
for dir in "${dirs[@]}"; do stack_load "$dir"; done

# part STEP COMMAND... - run it; without a sum of its own, its exit status is one test
part() {
	local step=$1 sum=$LOG_DIR/$1.sum started=$SECONDS status=0

	shift
	say "== $step"
	"$@" || status=$?
	if [ ! -s "$sum" ]; then
		if [ $status = 0 ]; then say "1 0 0"; else say "0 1 0"; fi >"$sum"
	fi
	sums+=("$sum")
	say "   ($((SECONDS - started)) s)"
}

build() {
	# Each with -k: one file that does not compile must not hide the results of the others.
	submake -k all guest unit-programs build/cli/mint replay-programs race-programs \
		build/host/demo.cpio
}

programs() {
	"$MAKE" -s --no-print-directory "print-$1_PROGRAMS"
}

[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh check
part build build
# The programs as they are: one that did not build is counted as a failure.
# shellcheck disable=SC2046 # lists of words
part unit tests/harness/tap.sh unit $(programs UNIT)
# shellcheck disable=SC2046
part cli tests/harness/tap.sh cli $("$MAKE" -s --no-print-directory print-CLI_TESTS)
# shellcheck disable=SC2046
part replay tests/harness/replay.sh $(programs REPLAY)
# shellcheck disable=SC2046
part race tests/harness/race.sh $(programs RACE)
part harness tests/harness/tap.sh harness tests/harness/selftest.sh tests/harness/fvp.py \
	tests/harness/reports.py
part lint tests/harness/tap.sh lint tests/lint/run.sh
part boot tests/harness/boot-tests.sh
part image env -u STACK TEST_TIMEOUT=1200 tests/harness/tap.sh image tests/harness/image.py \
	tests/harness/reproducible.sh
part terminal env -u STACK tests/harness/tap.sh terminal tests/harness/terminal.py
for dir in "${dirs[@]}"; do
	step=terminal-$(stack_name "$dir")
	part "$step" env STACK="$dir" tests/harness/tap.sh "$step" tests/harness/terminal.py
done

# The same results for a server of a pipeline (Documentation/ci.md).
junit=$LOG_DIR/junit.xml
tests/harness/junit.py "$LOG_DIR" >"$junit"
[ "${JUNIT:-$junit}" -ef "$junit" ] || cp "$junit" "$JUNIT"
# Whoever sees only the end of the output is to know as well.
tests/harness/junit.py --failed "$LOG_DIR"
tests/harness/sum.sh "" "${sums[@]}"

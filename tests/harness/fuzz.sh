#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh PROGRAM... - fuzz each for FUZZ_SECONDS (60), starting from the kept inputs
#
# What is found stays in build/fuzz/corpus and build/fuzz/finds; an input worth keeping is copied to
# tests/fuzz/corpus/NAME by hand, so that someone has looked at it.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# figures LOG CPU-SECONDS - executions, and the edges of the program's control flow that they have
# reached
figures() {
	sed -n "s/^Done \([0-9]*\) runs in .*/\1 executions in $2 s of a CPU,/p" "$1"
	sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 edges, \2 features/p' "$1" | tail -n 1
}

# count_cpu - seconds of a CPU that the fuzzers have had so far; no subshell knows of them
count_cpu() {
	times >"$LOG_DIR/fuzz/times"
	cpu=$(awk -F '[ms ]+' 'NR == 2 { print int($1 * 60 + $2 + $3 * 60 + $4) }' \
		"$LOG_DIR/fuzz/times")
}

[ $# -gt 0 ] || die "no fuzz targets"
mkdir -p build/fuzz/finds "$LOG_DIR/fuzz"
failed=0
for program; do
	name=$(basename "$program")
	kept=tests/fuzz/corpus/${name#fuzz_}
	grown=build/fuzz/corpus/$name
	mkdir -p "$grown"
	[ -d "$kept" ] || kept=
	count_cpu
	before=$cpu
	if "$program" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix="build/fuzz/finds/$name-" "$grown" ${kept:+"$kept"} \
		>"$LOG_DIR/fuzz/$name.log" 2>&1; then
		count_cpu
		say "  ok    $name: $(figures "$LOG_DIR/fuzz/$name.log" $((cpu - before)) | xargs)"
	else
		say "  FAIL  $name"
		show_log "$LOG_DIR/fuzz/$name.log"
		failed=1
	fi
done
count_cpu
say "fuzz: $# targets, $cpu s of a CPU"
exit $failed

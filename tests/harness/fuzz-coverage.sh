#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# fuzz-coverage.sh PROGRAM... - how much of the modules that a fuzz target is about its inputs
# reach: the kept ones, and those that `make fuzz` has found here
#
# Those are the sources in its "about:" comment, else in its "links:" comment, but for what in
# src/util is everyone's. With KEPT=1 only the kept inputs count.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# Debian has them under both names, as it has clang.
PROFDATA=$(command -v llvm-profdata llvm-profdata-14 | head -n 1) || die "no llvm-profdata"
COV=$(command -v llvm-cov llvm-cov-14 | head -n 1) || die "no llvm-cov"

# comment WORD TARGET - the sources in such a comment
comment() {
	sed -n "/$1:/{:a;/\*\//!{N;ba};s/.*$1://;s/\*\/.*//;s/\n *\*//g;p;q}" "tests/fuzz/$2.c" |
		xargs -n 1
}

# modules TARGET
modules() {
	if grep -q 'about:' "tests/fuzz/$1.c"; then
		comment about "$1"
	else
		comment links "$1" | grep '^src/\|^arch/' | grep -v '^src/util/[^p]'
	fi
}

mkdir -p build/cov/run
printf '  %-18s %7s %7s %9s  %s\n' target inputs lines regions modules
for program; do
	name=$(basename "$program")
	run=build/cov/run/$name
	mapfile -t files < <(modules "$name")
	inputs=()
	for dir in "tests/fuzz/corpus/${name#fuzz_}" ${KEPT:-"build/fuzz/corpus/$name"}; do
		[ ! -d "$dir" ] || mapfile -t -O ${#inputs[@]} inputs < <(find "$dir/" -type f)
	done
	LLVM_PROFILE_FILE=$run.raw "$program" "${inputs[@]}" >"$run.log" 2>&1 || {
		say "  FAIL  $name"
		show_log "$run.log"
		exit 1
	}
	"$PROFDATA" merge -o "$run.data" "$run.raw"
	"$COV" report "$program" -instr-profile="$run.data" >"$run.report" 2>/dev/null
	# Of the columns, for each file: 2 and 3 are regions and those missed, 8 and 9 lines.
	awk -v name="$name" -v inputs=${#inputs[@]} -v files="${files[*]}" '
		BEGIN { split(files, list, " "); for (i in list) wanted[list[i]] = 1 }
		$1 in wanted {
			regions += $2; regions_missed += $3
			lines += $8; lines_missed += $9
		}
		END {
			gsub("[^ ]*/", "", files)
			printf "  %-18s %7d %6.1f%% %8.1f%%  %s\n", name, inputs,
				100 - 100 * lines_missed / lines,
				100 - 100 * regions_missed / regions, files
		}' "$run.report"
done

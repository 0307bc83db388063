#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# replay.sh PROGRAM... - feed each fuzz target the inputs kept for it: tests/fuzz/corpus/NAME/*,
# where the program is fuzz_NAME. Without any, a target still runs on the empty input.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "no fuzz targets"
mkdir -p build/replay/run
scripts=()
for program; do
	name=$(basename "$program")
	script=build/replay/run/$name
	# One TAP producer a target, as tap.sh wants it.
	cat >"$script" <<-EOF
		#!/bin/bash
		shopt -s nullglob
		echo 1..1
		set -- tests/fuzz/corpus/${name#fuzz_}/*
		if $program "\$@"; then
			echo "ok 1 - \$# inputs"
		else
			echo "not ok 1 - the input named last"
		fi
	EOF
	chmod +x "$script"
	scripts+=("$script")
done
"$(dirname "$0")/tap.sh" replay "${scripts[@]}"

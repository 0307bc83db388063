#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sum.sh LABEL FILE... - add up lines of "passed failed skipped" and say so in one line
#
# An empty LABEL gives the line that `make check` ends with. Fails if anything failed or nothing
# ran.
label=$1
shift
cat "$@" | awk -v label="$label" '
	{ passed += $1; failed += $2; skipped += $3 }
	END {
		if (label != "")
			printf "%s: ", label
		printf "%d passed, %d failed", passed, failed
		if (skipped)
			printf ", %d skipped", skipped
		printf "\n"
		exit failed > 0 || passed == 0
	}'

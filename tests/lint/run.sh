#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The project's rules, as far as a machine can check them. One line a check, its reasons below:
#
#     ok lint: <name>
#     ok lint: <name> # SKIP <why>
#     not ok lint: <name>
#
# (This is TAP.) usage: tests/lint/run.sh [-C project] [check...]
#
# A check is <name>.py or <name>.sh in this directory. It is given the project's directory, prints
# reasons, and ends with 0, 1, or 77 for "cannot be done here". Results that take time to get are
# kept in build/lint, by the hash of all that went into them.
set -u

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
if [ "${1-}" = -C ]; then
	project=$2
	shift 2
fi
[ $# -gt 0 ] || set -- format clang tidy cppcheck analyzer layers denials cloexec symbols \
	syscalls filters contracts headers limits text shell manpage completion binary selftest

export PYTHONDONTWRITEBYTECODE=1

run_check() {
	if [ -f "$here/$1.py" ]; then
		python3 "$here/$1.py" "$project" 2>&1
	else
		sh "$here/$1.sh" "$project" 2>&1
	fi
}

failed=0
echo "1..$#"
for name; do
	output=$(run_check "$name")
	case $? in
	0) echo "ok lint: $name" ;;
	77)
		echo "ok lint: $name # SKIP $output"
		continue
		;;
	*)
		echo "not ok lint: $name"
		failed=1
		;;
	esac
	[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/    /'
done
exit $failed

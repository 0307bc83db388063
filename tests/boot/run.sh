#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034 # the tests use them
#
# run.sh [TOP] - the boot tests, as TAP. Runs in the emulated host's busybox (TOP empty), or on an
# arm64 machine with KVM (TOP is the unpacked host image, build/host/test).
#
# A test is a function test_NAME in one of the other files here. Each runs in a subshell with its
# own directory, ends at the first thing that is not as it should be, and cannot outlast its guests'
# time limit. CCR_TESTS="NAME..." picks some. CCR_SUITE=stack takes the files stack-*.sh instead,
# which need a host with a real RMM. CCR_SOAK=1 asks those whose names end in _soak for their long
# form.
top=${1:-}
here=$(dirname "$0")
guest=$top/guest
suite=${CCR_SUITE:-test}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$here/lib.sh"
for file in "$here/$suite"-*.sh; do
	# shellcheck source=/dev/null
	. "$file"
done

ccr_run=$top/bin/ccr-run
all=$(cat "$here/$suite"-*.sh | sed -n 's/^test_\([a-z0-9_]*\)() {$/\1/p')
tests=${CCR_TESTS:-$all}

now() {
	read -r seconds _ </proc/uptime
	echo "${seconds%.*}"
}

echo "1..$(echo "$tests" | wc -w)"
nr=0
for name in $tests; do
	nr=$((nr + 1))
	started=$(now)
	dir=$work/$name
	mkdir "$dir"
	out=$dir/out err=$dir/err pid=''
	(
		"test_$name"
	) >"$dir/why" 2>&1
	case $? in
	0) echo "ok $nr - $name ($(($(now) - started)) s)" ;;
	77) echo "ok $nr - $name # SKIP $(cat "$dir/why")" ;;
	*)
		echo "not ok $nr - $name ($(($(now) - started)) s)"
		printable <"$dir/why"
		# What the guest said goes to the log as a comment, never raw.
		for file in out err; do
			[ -s "$dir/$file" ] || continue
			echo "last lines of ccr-run's $file:" | printable
			tail -n 40 "$dir/$file" | printable
		done
		# What a system call filter has forbidden: sig=31, with its number.
		dmesg 2>/dev/null | grep 'type=1326' | tail -n 5 | printable
		;;
	esac
	rm -rf "$dir"
done

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# measure.sh - `make bench`, first part: the time of `ccr-run measure`, as a ratio to what it takes
# to hash the same bytes once. On this machine, without QEMU; the shortest of several runs each, in
# turns, because other load only ever adds.
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

RUNS=9
INITRD_SIZE=64M

[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh cli
submake build/native/ccr-run build/kernel/Image || die "there is nothing to measure"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c "$INITRD_SIZE" /dev/urandom >"$work/initrd"
kernel=build/kernel/Image

# time_of COMMAND... - microseconds
time_of() {
	local from=${EPOCHREALTIME/[.,]/}

	"$@" >/dev/null || die "failed: $*"
	say $((${EPOCHREALTIME/[.,]/} - from))
}

# shorter NAME MICROSECONDS - keep the shortest in the variable NAME
shorter() {
	local -n best=$1

	[ "$best" != 0 ] && [ "$best" -le "$2" ] || best=$2
}

hashing=0 measuring=0
for ((i = 0; i < RUNS; i++)); do
	shorter hashing "$(time_of openssl dgst -sha256 "$kernel" "$work/initrd")"
	shorter measuring "$(time_of build/native/ccr-run measure -k "$kernel" -i "$work/initrd")"
done
awk -v m=$measuring -v h=$hashing -v k="$(stat -c %s "$kernel")" 'BEGIN {
	printf "measure, kernel of %.0f MB and initrd of 64 MiB: %.0f ms\n", k / 1e6, m / 1e3
	printf "openssl dgst -sha256 over the same bytes: %.0f ms; ratio %.2f\n", h / 1e3, m / h
}'

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `make bench`: what a launch costs, in an arm64 host in QEMU
#
# Times under emulation say little by themselves, so each figure is given with its ratio to the
# plain VM's of the same run. Medians of three launches, 1 vCPU and 256 MiB, Debian's kernel.
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

LIMIT=600
LOG=$LOG_DIR/bench.log

[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh run
submake build/host/test.cpio || die "the host's image could not be built"
say "host: QEMU, $(cat build/kernel/VERSION)"
tests/harness/qemu.sh -t "$LIMIT" bench build/host/test.cpio \
	ccr.do=test ccr.suite=bench >/dev/null ||
	die "the host did not come to its end: $LOG"
tr -d '\r' <"$LOG" | awk '
/^not ok/ { failed++; print }
/^CCR-BENCH/ {
	for (i = 2; i <= NF; i++) {
		split($i, pair, "=")
		if (pair[1] == "kind")
			kind = pair[2]
		else
			value[kind, pair[1], ++count[kind, pair[1]]] = pair[2]
	}
}
function median(kind, what,   a, b, c) {
	a = value[kind, what, 1]; b = value[kind, what, 2]; c = value[kind, what, 3]
	return a > b ? (b > c ? b : (a > c ? c : a)) : (a > c ? a : (b > c ? c : b))
}
function row(what, text,   plain, realm) {
	plain = median("plain", what); realm = median("emulated", what)
	printf "%-34s %10d %10d %8.2f\n", text, plain, realm, plain ? realm / plain : 0
}
END {
	if (failed || count["plain", "user_ms"] != 3 || count["emulated", "user_ms"] != 3) {
		print "the launches did not all give figures"
		exit 1
	}
	printf "%-34s %10s %10s %8s\n", "", "plain", "emulated", "ratio"
	row("first_ms", "exec to first instruction, ms")
	row("user_ms", "exec to guest userspace, ms")
	row("private_kib", "private memory beyond RAM, KiB")
}'
say "size of the arm64 program, stripped: $(stat -c %s build/host/test/bin/ccr-run) bytes"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh - `make bench`: what a launch and a disk's transfers cost, in an arm64 host in QEMU
#
# Times under emulation say little by themselves, so each figure is given with its ratio to another
# of the same run. Launches: medians of three, 1 vCPU and 256 MiB, Debian's kernel.
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

LIMIT=1800
LOG=$LOG_DIR/bench.log

[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh run
submake build/host/test.cpio || die "the host's image could not be built"
tests/bench/mkbench.sh
say "host: QEMU, $(cat build/kernel/VERSION)"
tests/harness/qemu.sh -t "$LIMIT" -w 600 bench build/host/bench.cpio \
	ccr.do=test ccr.suite=bench >/dev/null ||
	die "the host did not come to its end: $LOG"
tr -d '\r' <"$LOG" | awk -f tests/bench/report.awk
say "size of the arm64 program, stripped: $(stat -c %s build/host/test/bin/ccr-run) bytes"

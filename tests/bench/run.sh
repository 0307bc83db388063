#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [SECTION...] - `make bench`: ccr-run and its peers in one arm64 host in QEMU
#
# Times under emulation say little by themselves, so each figure is given with its ratio to that of
# a peer in the same boot of the host: Debian's qemu-system-aarch64 with KVM, and PEER=<an arm64
# lkvm>. Each section is a boot of its own; ROUNDS=3 is how often each candidate is measured. The
# host's clock counts its instructions, unless CLOCK=real.
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

LIMIT=1500
SECTIONS=(measure boot memory idle block block_realm network network_realm)
JSON=$LOG_DIR/bench.json

[ $# -gt 0 ] || set -- "${SECTIONS[@]}"
for section; do
	case " ${SECTIONS[*]} " in
	*" $section "*) ;;
	*) die "there is no section '$section'; there are: ${SECTIONS[*]}" ;;
	esac
done
[ "$1" != measure ] || { tests/bench/measure.sh; shift; }
[ $# -gt 0 ] || exit 0

[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh run cli
[ -z "${PEER:-}" ] || [ -f "$PEER" ] || die "PEER=$PEER: there is no such file"
submake build/host/test.cpio || die "the host's image could not be built"
tests/bench/mkbench.sh "${PEER:-}"
say "host: QEMU, $(cat build/kernel/VERSION)"
clock=(-s 1 -n)
[ "${CLOCK:-}" != real ] || clock=(-s 2)
logs=()
for section; do
	log=$LOG_DIR/bench-$section.log
	tests/harness/qemu.sh -t "$LIMIT" -m 6G "${clock[@]}" "bench-$section" \
		build/host/bench.cpio ccr.do=test ccr.suite=bench "ccr.tests=bench_$section" \
		"ccr.rounds=${ROUNDS:-3}" >/dev/null || die "the host did not come to its end: $log"
	logs+=("$log")
done
tests/bench/report.py "${logs[@]}" --json "$JSON"
say "size of the arm64 program, stripped: $(stat -c %s build/host/test/bin/ccr-run) bytes"
say "the same as JSON, with every value: $JSON"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [SECTION...] - `make bench`: ccr-run and its peers in one arm64 host in QEMU
#
# Times under emulation say little by themselves, so each figure is given with its ratio to that of
# a peer in the same boot of the host: Debian's qemu-system-aarch64 with KVM, and PEER=<an arm64
# lkvm>. Each section is a boot of its own; ROUNDS=1 is how often each candidate is measured. The
# host's clock counts its instructions, unless CLOCK=real.
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

LIMIT=7200
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
# A clock that counts instructions does not notice who else is there.
clock=(-s 1 -n)
at_once=$(nproc)
[ "${CLOCK:-}" != real ] || clock=(-s 2) at_once=1

# run_section SECTION - in a host of its own
run_section() {
	tests/harness/qemu.sh -t "$LIMIT" -m 6G "${clock[@]}" "bench-$1" build/host/bench.cpio \
		ccr.do=test ccr.suite=bench "ccr.tests=bench_$1" "ccr.rounds=${ROUNDS:-1}" \
		>/dev/null && return
	say "the host did not come to its end: $LOG_DIR/bench-$1.log"
	return 1
}

logs=() status=0 nr=0
for section; do
	[ "$nr" -lt "$at_once" ] || wait -n || status=1
	nr=$((nr + 1))
	run_section "$section" &
	logs+=("$LOG_DIR/bench-$section.log")
done
for ((left = nr < at_once ? nr : at_once; left > 0; left--)); do
	wait -n || status=1
done
tests/bench/report.py "${logs[@]}" --json "$JSON" || status=1
say "size of the arm64 program, stripped: $(stat -c %s build/host/test/bin/ccr-run) bytes"
say "the same as JSON, with every value: $JSON"
exit $status

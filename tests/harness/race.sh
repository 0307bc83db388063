#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# race.sh PROGRAM... - unit tests with ThreadSanitizer: a race is a failure
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# gcc 12's cannot live with addresses as random as newer kernels make them.
fixed=()
bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || say 28)
[ "$bits" -le 28 ] || ! setarch -R true 2>/dev/null || fixed=(setarch -R)

# Real threads are slow under it, and each report has its own exit status at the end.
export TSAN_OPTIONS="second_deadlock_stack=1${TSAN_OPTIONS:+ $TSAN_OPTIONS}"
"${fixed[@]}" "$(dirname "$0")/tap.sh" race "$@"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# boot-tests.sh [TEST...] - run tests/boot in an arm64 host: one boot of the host for all of them
#
# The host's console is the TAP stream: results are shown as they come, and counted from the log.
# Most guests keep one core busy, so many tests are dealt out to BOOT_HOSTS emulated hosts, which
# run side by side: by default as many as there are cores, but no more than four.
# Tests that need a real RMM (tests/boot/stack-*.sh) run on the hosts that STACK=<directory>...
# names; without it they are counted as skipped.
#
# SOAK=1 (`make soak`) runs the tests whose names end in _soak, as long as they get there.
#
# The emulated host may lock up (Documentation/testing.md): then the tests that are left run in
# another boot, visibly. A few that fail run once more, in a boot for them alone, and that result
# counts: visibly too, since a test that fails once in many times has found something.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

SUM=$LOG_DIR/boot.sum
# The tests have limits of their own; these are for a host that hangs: one that works gives a sign
# of life every 20 seconds.
LIMIT=${SOAK:+14400}
: "${LIMIT:=3000}"
SILENCE=150
BOOTS=3
# Fewer tests than this are not worth the boot of a second host.
MANY=8
# With more failures than this it is not chance.
MAX_AGAIN=3
# What qemu.sh -w ends with.
LOCKED_UP=125

# names_in SUITE - its tests, those that there are today
names_in() {
	sed -n "s/^test_\([a-z0-9_]*${SOAK:+_soak}\)() {\$/\1/p" tests/boot/"$1"-*.sh | xargs
}

show_results() {
	printable | sed -un -e '/^# alive$/d' \
		-e 's/^ok [0-9]* - /  ok    /p' -e 's/^not ok [0-9]* - /  FAIL  /p' \
		-e 's/^# /        /p'
}

# boot_here TESTS, boot_qemu TESTS, boot_stack TESTS - show and log what the host says

boot_here() {
	CCR_TESTS=$1 CCR_SOAK=${SOAK:-} timeout -k 5 "$LIMIT" sh tests/boot/run.sh build/host/test \
		</dev/null 2>&1 | tee "$log" | show_results
	return "${PIPESTATUS[0]}"
}

boot_qemu() {
	tests/harness/qemu.sh -t "$LIMIT" -w "$SILENCE" ${host_kernel:+-k "$host_kernel"} \
		"$name" "$host_initrd" \
		ccr.do=test ${SOAK:+ccr.soak=1} "${1:+ccr.tests=${1// /,}}" | show_results
	return "${PIPESTATUS[0]}"
}

boot_stack() {
	tests/harness/qemu.sh -t "$LIMIT" -w "$SILENCE" ${host_kernel:+-k "$host_kernel"} \
		-S "$dir" "$name" "$host_initrd" \
		ccr.do=test ccr.suite=stack ccr.realm=kvm ${SOAK:+ccr.soak=1} \
		"${1:+ccr.tests=${1// /,}}" | show_results
	return "${PIPESTATUS[0]}"
}

# has_result TEST - in the log
has_result() { grep -q "^\(not \)\?ok [0-9]* - $1\b" "$log"; }

# tests_left TEST... - those without a result; the first, which the host locked up in, comes last,
# so that it cannot keep the others from running
tests_left() {
	local test first='' rest=''

	for test; do
		has_result "$test" && continue
		if [ -z "$first" ]; then first=$test; else rest+="$test "; fi
	done
	say "$rest$first"
}

# judge BOOT NAME SUITE TESTS - run them, all of the suite if there are none, and add to the sum
judge() {
	local name=$2 tests=$4 whole=$LOG_DIR/$2.tap log status verdict nr=1

	: >"$whole"
	while :; do
		log=$LOG_DIR/$name.log
		: >"$log"
		status=0
		"$1" "$tests" || status=$?
		if [ $status != $LOCKED_UP ] || [ $nr = $BOOTS ]; then break; fi
		# shellcheck disable=SC2046,SC2086 # lists of words
		tests=$(tests_left ${tests:-$(names_in "$3")})
		say "        the host has locked up (log: $log)"
		[ -n "$tests" ] || { status=0; break; }
		say "        another boot for: $tests"
		# This boot is held to what it did, no longer to what it promised.
		sed "s/^1\.\.[0-9]*/1..$(grep -c '^ok \|^not ok ' "$log")/" "$log" >>"$whole"
		nr=$((nr + 1))
		name=$2-$nr
	done
	cat "$log" >>"$whole"
	verdict=$(awk -v status="$status" -v name="$2" -f tests/harness/tap.awk "$whole")
	say "${verdict##*SUM }" >>"$SUM"
	# Failures were shown with their reasons; what is left are results that never came.
	grep 'missing\|exit status\|no results\|Bail out' <<<"$verdict" || true
	[[ ${verdict##*SUM } = *' 0 '* ]] || say "(the whole log: $log)"
}

# deal NR COUNT TEST... - hand NR of COUNT
deal() {
	local nr=$1 count=$2 hand=''

	shift 2
	while [ $# -ge "$nr" ]; do
		hand+="${hand:+ }${!nr}"
		shift $(($# < count ? $# : count))
	done
	say "$hand"
}

# failures NAME - the tests that have failed, of the runs whose names begin so
failures() {
	cat "$LOG_DIR/$1".tap "$LOG_DIR/$1"-host*.tap 2>/dev/null |
		sed -n 's/^not ok [0-9]* - \([a-z0-9_]*\).*/\1/p' | xargs
}

# again BOOT NAME SUITE - give those that failed their second try, which takes the first one's place
again() {
	local tests nr result=$LOG_DIR/$2-again.tap test

	tests=$(failures "$2")
	nr=$(wc -w <<<"$tests")
	if [ -n "${SOAK:-}" ] || [ "$nr" = 0 ] || [ "$nr" -gt $MAX_AGAIN ]; then return; fi
	say "   again, alone: $tests"
	for test in "$LOG_DIR/$2".tap "$LOG_DIR/$2"-host*.tap; do
		[ ! -e "$test" ] || sed -i 's/^not ok /# at the first try: not ok /' "$test"
	done
	say "0 -$nr 0" >>"$SUM"
	judge "$1" "$2-again" "$3" "$tests"
	for test in $tests; do
		! grep -q "^ok [0-9]* - $test\b" "$result" ||
			say "        $test has passed at its second try only"
	done
}

# judge_side_by_side BOOT NAME SUITE TESTS - the same as judge, in several hosts if it pays
judge_side_by_side() {
	local tests=${4:-$(names_in "$3")} hosts=$BOOT_HOSTS nr

	if [ "$hosts" = 1 ] || [ "$(wc -w <<<"$tests")" -lt "$MANY" ]; then
		judge "$@"
		return
	fi
	# Jobs in the background do not get the terminal's interrupt.
	trap 'trap - TERM; kill 0' INT
	for ((nr = 1; nr <= hosts; nr++)); do
		# shellcheck disable=SC2086 # a list of words
		judge "$1" "$2-host$nr" "$3" "$(deal $nr $hosts $tests)" &
	done
	wait
	trap - INT
}

if [ -z "${BOOT_HOSTS:-}" ]; then
	BOOT_HOSTS=$(nproc)
	[ "$BOOT_HOSTS" -le 4 ] || BOOT_HOSTS=4
fi
case $BOOT_HOSTS in [1-9]) ;; *) die "BOOT_HOSTS=$BOOT_HOSTS: not a number from 1 to 9" ;; esac
mkdir -p "$LOG_DIR"
: >"$SUM"
mapfile -t dirs < <(stack_dirs)
for dir in "${dirs[@]}"; do stack_load "$dir"; done
[ -n "${NO_DEPS:-}" ] || tests/harness/deps.sh check
host_image test
[ -n "${IMAGE:-}" ] || submake build/host/test.cpio || {
	say "0 1 0" >"$SUM"
	say "  FAIL  the host's image"
	exit 1
}

# Of the tests asked for, those that need a real RMM; with none asked for, all of both suites.
stack_tests=$(names_in stack)
plain=
real=
# shellcheck disable=SC2046 # lists of words
[ -z "${SOAK:-}" ] || [ $# -gt 0 ] || set -- $(names_in test) $(names_in stack)
for test; do
	case " $stack_tests " in
	*" $test "*) real+="${real:+ }$test" ;;
	*) plain+="${plain:+ }$test" ;;
	esac
done

if [ -n "$plain" ] || [ $# = 0 ]; then
	how=boot_qemu
	[ -n "${IMAGE:-}" ] || ! can_run_here || how=boot_here
	if [ "$how" = boot_here ]; then BOOT_HOSTS=1; fi
	judge_side_by_side "$how" boot test "$plain"
	again "$how" boot test
fi
if [ -n "$real" ] || [ $# = 0 ]; then
	for dir in "${dirs[@]}"; do
		say "   on the stack $(stack_name "$dir"):"
		judge_side_by_side boot_stack "boot-$(stack_name "$dir")" stack "$real"
		again boot_stack "boot-$(stack_name "$dir")" stack
	done
	if [ ${#dirs[@]} = 0 ]; then
		skipped=$(wc -w <<<"${real:-$stack_tests}")
		say "  skip  $skipped tests that need a real RMM (STACK=, Documentation/stack.md)"
		say "0 0 $skipped" >>"$SUM"
	fi
fi
tests/harness/sum.sh boot "$SUM"

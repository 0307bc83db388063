# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What the boot tests are written in. run.sh sets ccr_run, guest, dir, out, err.

# Generous: ten times what a boot takes under an emulated CPU that has a core for itself.
limit=200

# What most guests are told: few words on the console, and to leave the certificates that Debian
# builds into its kernels unchecked, its ciphers untested, and enumerations in trace events without
# names, three quarters of the instructions between here and their init; and not to watch which
# memory is used, hundreds of times a second.
quick="quiet cryptomgr.notests damon_stat.enabled=0"
quick="$quick initcall_blacklist=load_system_certificate_list,trace_eval_init"

# short_or_long SHORT LONG - what a test named _soak does, in `make check` and in `make soak`
short_or_long() {
	[ -z "${CCR_SOAK:-}" ] || shift
	echo "$1"
}

# Pages that were freed stay on lists of each CPU for many seconds, as much as 80 MB; MemFree is
# without them.
free_kib() {
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemFree:/ { kib += $2 } /^ *count:/ { kib += 4 * $2 } END { print kib }' \
		/proc/meminfo /proc/zoneinfo
}

# settled_kib - the same, once no more comes back: realms are torn down with a delay
settled_kib() {
	last=0
	while free=$(free_kib) && [ "$free" -gt $((last + 1024)) ]; do
		last=$free
		sleep 3
	done
	echo "$free"
}

# is_free_again KIB - within what the kernel keeps for itself; waits for as long as more comes back
is_free_again() {
	last=0 idle=0
	while free=$(free_kib) && [ $(($1 - free)) -gt 4096 ]; do
		idle=$((idle + 1))
		if [ "$free" -gt $((last + 1024)) ]; then
			last=$free
			idle=0
		fi
		[ $idle -lt 10 ] || return 1
		sleep 1
	done
}

# progress WORD... - a line of the log at once, so that a long test is seen to be alive
progress() {
	echo "# $*" >/dev/console
}

# printable - a filter: comment lines of TAP, without anything that a terminal would act on
printable() {
	tr -d '\r' | tr -c '\n\t -~' '?' | sed 's/^/# /'
}

fail() {
	echo "$*"
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

# run_guest ARGUMENT... - without the diagnosis of silence, which a slow host would provoke; a test
# that wants it says so later on the command line
run_guest() {
	exec timeout -s KILL "$limit" "$ccr_run" run --silence 0 "$@"
}

# launch ARGUMENT... - `ccr-run run` to its end; sets status (137 if it had to be killed)
launch() {
	(run_guest "$@") </dev/null >"$out" 2>"$err"
	status=$?
}

# start ARGUMENT... - the same in the background; end it with stop_with
start() {
	# await reads them at once, perhaps before the new process has made them.
	: >"$out"
	: >"$err"
	run_guest "$@" </dev/null >"$out" 2>"$err" &
	pid=$!
}

# stop_with SIGNAL - send it to what start started, and wait; sets status
stop_with() {
	kill "-$1" "$pid" || fail "ccr-run was gone before SIG$1"
	wait "$pid"
	status=$?
}

# ccr_run_pid - of what start started: busybox's timeout becomes the program, others start it
ccr_run_pid() {
	if [ "$(cat "/proc/$pid/comm")" = timeout ]; then
		tr -d " " <"/proc/$pid/task/$pid/children"
	else
		echo "$pid"
	fi
}

# machine_pid - of the machine's own process, which the one above keeps; brokers have other names
machine_pid() {
	local keeper child

	keeper=$(ccr_run_pid)
	# shellcheck disable=SC2013 # numbers
	for child in $(cat "/proc/$keeper/task/$keeper/children"); do
		if [ "$(cat "/proc/$child/comm")" = "$(cat "/proc/$keeper/comm")" ]; then
			echo "$child"
			return
		fi
	done
	echo "$keeper"
}

# start_bare NAME ARGUMENT... - a machine for a test in which the guest is of no account: bare metal
# that runs and prints nothing, and there at once. On return the machine has been asked, and runs
start_bare() {
	start --name "$@" -k "$guest/rsi.img" -m 64M -p ccr.rsi=silent
	until "$ccr_run" stat "$1" 2>/dev/null </dev/null | grep -q '^status  *running'; do
		kill -0 "$pid" 2>/dev/null || fail "ended before it answered: $(cat "$err")"
		sleep 0.2
	done
}

# await FILE PATTERN [COUNT] - until COUNT lines of FILE match, or what was started has ended
await() {
	while [ "$(grep -c -- "$2" "$1")" -lt "${3:-1}" ]; do
		kill -0 "$pid" 2>/dev/null || fail "ended before '$2' was seen ${3:-1} times"
		sleep 0.2
	done
}

want_status() {
	[ "$status" = "$1" ] || fail "exit status $status, not $1"
}

# want FILE PATTERN - a line of FILE must match (basic regular expression)
want() {
	grep -q -- "$2" "$1" || fail "nothing matches '$2' in ccr-run's ${1##*/}"
}

refuse() {
	! grep -q -- "$2" "$1" || fail "ccr-run's ${1##*/} has '$(grep -m 1 -- "$2" "$1")'"
}

# want_tap - the guest's output is TAP, complete and without a failure; its carriage returns, which
# may be anywhere, are taken out
want_tap() {
	tr -d '\r' <"$out" >"$dir/tap"
	mv "$dir/tap" "$out"
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out")
	given=$(grep -c '^ok ' "$out")
	refuse "$out" '^not ok\|^Bail out'
	[ "${planned:-0}" -gt 0 ] || fail "no plan"
	[ "$planned" = "$given" ] || fail "$given results of $planned"
}

# want_ready FIELD... - the guest's init has reported, and said this
want_ready() {
	want "$out" CCR-GUEST-READY
	for field; do
		want "$out" "CCR-GUEST-READY.* $field\b"
	done
}

# What a realm's guest needs on its command line to print a token for this challenge.
challenge=$(for nr in $(seq 64 127); do printf %02x "$nr"; done)
cca_modules=configfs,tsm_report,arm-cca-guest
# shellcheck disable=SC2034 # the tests use it
token_params="$quick ccr.modules=$cca_modules ccr.run=attest,$challenge ccr.then=poweroff"

# guard_kvm - /dev/kvm is for the group kvm, which has the user `member`, and not `stranger`;
# unguard_kvm - and for everybody again
guard_kvm() {
	grep -q '^kvm:' /etc/group 2>/dev/null || echo 'kvm:x:104:member' >>/etc/group
	grep -q '^member:' /etc/passwd || cat >>/etc/passwd <<-'END'
		member:x:1000:1000::/tmp:/bin/sh
		stranger:x:1001:1001::/tmp:/bin/sh
	END
	chmod 755 "$dir/.." "$dir"
	chown 0:104 /dev/kvm
	chmod 660 /dev/kvm
}
unguard_kvm() {
	chown 0:0 /dev/kvm
	chmod 666 /dev/kvm
}

# take_token - what the guest has printed, as the file $dir/token
take_token() {
	tr -d '\r' <"$out" | sed -n '/BEGIN CCA TOKEN/,/END CCA TOKEN/p' | grep -v -e ----- \
		>"$dir/token" || fail "the guest has shown no token"
}

# verify ARGUMENT... - the token; sets status
verify() {
	"$ccr_run" verify "$dir/token" "$@" >"$dir/verdict" 2>&1
	status=$?
}

# claim NAME - what the token that was verified says
claim() {
	sed -n "s/^  $1  *//p" "$dir/verdict"
}

# want_check OUTCOME NAME - of a check of the token
want_check() {
	grep -q "^  $1  $2 " "$dir/verdict" ||
		fail "$2: not '$1' but '$(grep " $2 " "$dir/verdict")'"
}

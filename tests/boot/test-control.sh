# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# Running machines: names, and what list, stat, pause, resume, console and stop make of them.

# hanging ARGUMENT... - a machine whose guest has booted, and waits
hanging() {
	start -k "$guest/Image" -i "$guest/initrd.gz" -p "$quick ccr.then=hang" "$@"
	await "$out" CCR-GUEST-READY
}

# answers STATUS PATTERN COMMAND... - a command that talks to a machine; its output is in answer,
# where a line must match unless the pattern is empty
answers() {
	want=$1
	pattern=$2
	shift 2
	timeout -s KILL "$limit" "$ccr_run" "$@" </dev/null >"$dir/answer" 2>&1
	status=$?
	[ "$status" = "$want" ] || fail "$1: exit status $status, not $want: $(cat "$dir/answer")"
	[ -z "$pattern" ] || want "$dir/answer" "$pattern"
}

# ended - what start started has ended; sets status
# shellcheck disable=SC2034 # status is for want_status
ended() {
	wait "$pid"
	status=$?
}

controls() {
	hanging --name first -c 2 "$@"
	answers 0 "^first .* running  *2 " list
	answers 0 '"name": "first".*"status": "running".*"vcpus": 2' list --json
	answers 0 '^status  *running' stat first
	answers 0 '"status": "running".*"exits": {.*"mmio": [1-9]' stat first --json
	want "$dir/answer" '"device": "uart", "bytes-from-guest": [1-9]'
	want "$dir/answer" '"device": "virtio-rng".*"notifications": [0-9]'
	answers 0 '^virtio-console  *0 ' stat first
	answers 0 '^ccr_run_vcpu_exits_total{machine="first",vcpu="0",kind="mmio"} [1-9]' \
		stat first --prometheus
	want "$dir/answer" '^ccr_run_device_bytes_from_guest_total.*device="uart"} [1-9]'
	case $* in
	*emulated*)
		rim=$(sed -n 's/.*RIM \(.*\) (sealed)/\1/p' "$err")
		answers 0 "^rim  *$rim" stat first
		answers 0 '"shared-pages": [1-9]' stat first --json
		;;
	esac
	answers 0 '' pause first
	answers 0 '"status": "paused"' stat first --json
	answers 0 '' pause first
	answers 0 '' resume first
	answers 0 '^first .* running ' list
	answers 0 'no power button' stop first --grace 1
	ended
	want_status 0
	want "$err" 'stopped by a control command'
	answers 1 'no running machine is called first' stat first
	answers 0 '^NAME' list
	refuse "$dir/answer" first
}

test_control_plain() {
	controls
}

test_control_realm() {
	controls --realm=emulated
	start_bare again --realm=emulated -c 2
	rim=$(sed -n 's/.*RIM \(.*\) (sealed)/\1/p' "$err")
	answers 0 "^rim  *$rim" stat again
	answers 0 '' stop again --force
	ended
	want_status 0
}

# The console command types, and sees what its typing does; a paused guest prints nothing.
test_control_console() {
	start -k "$guest/Image" -i "$guest/initrd.gz" -p "$quick ccr.then=shell" --name shell
	await "$out" CCR-GUEST-READY
	# shellcheck disable=SC2016 # for the guest's shell
	echo 'while :; do echo tick$((1 + 1)); sleep 0.1; done' >"$dir/keys"
	"$ccr_run" console shell <"$dir/keys" >"$dir/screen" 2>"$dir/messages" &
	console=$!
	await "$dir/screen" tick2 3
	answers 1 'another terminal is attached' console shell
	answers 0 '' pause shell
	sleep 1
	before=$(wc -c <"$out")
	sleep 2
	[ "$(wc -c <"$out")" = "$before" ] || fail "a paused guest has printed something"
	seen=$(grep -c tick2 "$dir/screen")
	answers 0 '' resume shell
	await "$dir/screen" tick2 $((seen + 3))
	kill "$console"
	wait "$console" || fail "console ended with $?"
	answers 0 '' stop shell --force
	ended
	want_status 0
}

# A machine that is killed can leave nothing in order, and is gone all the same.
test_control_names() {
	start_bare twin
	answers 1 'twin is in use' run -k "$guest/Image" --name twin
	answers 2 'not a name' run -k "$guest/Image" --name ../twin
	answers 2 'not a name' stat ../twin
	# Its keeper and its own process.
	# shellcheck disable=SC2046 # a list of words
	kill -KILL $(pidof ccr-run)
	ended
	# The machine's process is nobody's child here.
	while pidof ccr-run >/dev/null; do sleep 0.1; done
	[ -e /run/ccr-run/twin.sock ] || fail "the dead machine has left no socket"
	answers 1 'no running machine is called twin' stat twin
	start_bare twin
	answers 0 '^twin .* running ' list
	answers 0 '' stop twin --force
	ended
	want_status 0
	[ -z "$(ls /run/ccr-run)" ] || fail "left behind: $(ls /run/ccr-run)"
}

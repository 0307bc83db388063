# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Where `--console` sends a guest's output, and where the keys come from.

# typed TEXT - lines that make the guest's shell print TEXT in capitals, which no echo of the keys
# can be taken for
typed() {
	echo "echo $1 | tr a-z A-Z"
}

# shell_at WHERE ARGUMENT... - a guest with a shell, whose console is there
shell_at() {
	where=$1
	shift
	start --console "$where" -k "$guest/Image" -i "$guest/initrd.gz" "$@"
}

# powered_off - the guest has ended by itself; what it printed went to its console and not here
powered_off() {
	wait "$pid"
	status=$?
	want_status 0
	[ ! -s "$out" ] || fail "something on standard output: $(head -c 200 "$out")"
}

test_console_stdio() {
	mkfifo "$dir/keys"
	: >"$out"
	: >"$err"
	(run_guest --console stdio -k "$guest/Image" -i "$guest/initrd.gz" \
		-p "$quick ccr.then=shell") <"$dir/keys" >"$out" 2>"$err" &
	pid=$!
	exec 3>"$dir/keys"
	await "$out" CCR-GUEST-READY
	typed hello >&3
	await "$out" HELLO
	# The end of the keys is not the machine's.
	echo '(sleep 2; echo still here | tr a-z A-Z; poweroff) &' >&3
	exec 3>&-
	wait "$pid"
	status=$?
	want_status 0
	want "$out" 'STILL HERE'
}

# The virtio console in a realm. Whoever opens the terminal later finds what was printed meanwhile.
test_console_pty() {
	shell_at pty --realm=emulated -p "$quick console=hvc0 ccr.then=shell"
	await "$err" 'console: /dev/pts/'
	pts=$(sed -n 's/.*console: //p' "$err")
	cat "$pts" >"$dir/screen" &
	first=$!
	await "$dir/screen" 'CCR-GUEST-READY.* realm=1'
	typed hello >"$pts"
	await "$dir/screen" HELLO
	echo '(sleep 3; echo nobody looks | tr a-z A-Z) &' >"$pts"
	kill "$first"
	sleep 6
	cat "$pts" >"$dir/later" &
	typed again >"$pts"
	await "$dir/later" AGAIN
	await "$dir/later" 'NOBODY LOOKS'
	echo poweroff >"$pts"
	powered_off
}

# One client at a time, and another one after it.
test_console_socket() {
	shell_at "socket:$dir/console" --realm=emulated -p "$quick ccr.then=shell"
	until [ -S "$dir/console" ]; do
		kill -0 "$pid" || fail "ended before there was a socket"
		sleep 0.2
	done
	mkfifo "$dir/keys"
	vcat call "$dir/console" <"$dir/keys" >"$dir/screen" &
	first=$!
	exec 3>"$dir/keys"
	await "$dir/screen" 'CCR-GUEST-READY.* realm=1'
	typed hello >&3
	await "$dir/screen" HELLO
	vcat call "$dir/console" </dev/null >"$dir/second"
	want "$dir/second" 'this console has another client'
	exec 3>&-
	kill "$first"
	{ typed again && echo poweroff; } | vcat call "$dir/console" >"$dir/later"
	want "$dir/later" AGAIN
	powered_off
	[ ! -e "$dir/console" ] || fail "the socket was left behind"
}

# What the file had is gone, and all of the guest's output is there: TAP has a plan.
test_console_file() {
	seq 10000 >"$dir/console"
	launch --console "file:$dir/console" --realm=emulated -k "$guest/rsi.img" -m 64M
	want_status 0
	[ ! -s "$out" ] || fail "something on standard output: $(head -c 200 "$out")"
	out=$dir/console
	want_tap
	refuse "$out" '^9999$'
}

test_console_none() {
	launch --console none -k "$guest/Image" -i "$guest/initrd.gz" -p "$quick ccr.then=poweroff"
	want_status 0
	[ ! -s "$out" ] || fail "something on standard output: $(head -c 200 "$out")"
}

# channels WORDS ARGUMENT... - more ports: a socket on which the guest answers, a file that it fills
channels() {
	limit=400
	words=$1
	shift
	start -k "$guest/Image" -i "$guest/initrd.gz" --channel "log=file:$dir/log" \
		--channel "org.example.echo=socket:$dir/echo" --name test --run-dir "$dir/run" \
		-p "$quick ccr.run=channels ccr.then=poweroff$words" "$@"
	await "$out" 'CCR-GUEST-CHANNELS open'
	vcat call "$dir/echo" <"$dir/keys" >"$dir/answer" &
	client=$!
	exec 3>"$dir/keys"
	echo hello >&3
	await "$dir/answer" HELLO
	"$ccr_run" stat test --json --run-dir "$dir/run" >"$dir/stat" || fail "no statistics"
	want "$dir/stat" '"channel": "org.example.echo", "connected": true, "open": true'
	kill "$client"
	exec 3>&-
	wait "$pid"
	status=$?
	want_status 0
	want "$out" '^CCR-GUEST-CHANNELS rest=.\?$'
	seq 20000 | cmp - "$dir/log" || fail "the file is not what the guest wrote"
	[ ! -e "$dir/echo" ] || fail "the socket was left behind"
}

test_console_channels_realm() {
	mkfifo "$dir/keys"
	channels " console=hvc0" --realm=emulated
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Streams over vsock, in machines of all kinds: test-vsock.sh and stack-vsock.sh source it.

vsock_modules=vsock,vmw_vsock_virtio_transport_common,vmw_vsock_virtio_transport

# call PORT - how a program of the host reaches the guest: through a socket, or by its address
call() {
	if [ "$cid" ]; then
		timeout -s KILL "$limit" vcat dial "$cid" "$1"
	else
		timeout -s KILL "$limit" vcat call "$dir/vsock" "$1"
	fi
}

# await_guest PORT - the same the other way round
await_guest() {
	if [ "$cid" ]; then
		timeout -s KILL "$limit" vcat listen "$1"
	else
		timeout -s KILL "$limit" vcat serve "$dir/vsock_$1"
	fi
}

# echoed NUMBER - a client of its own sends 2 MiB, and gets them back
echoed() {
	dd if=/dev/urandom of="$dir/data$1" bs=1M count=2 2>/dev/null
	call 52 <"$dir/data$1" >"$dir/back$1" && cmp "$dir/data$1" "$dir/back$1"
}

# meanwhile - what else a test has to do while its guest waits for its streams
meanwhile() { :; }

# both_ways WORDS ARGUMENT... - several streams at once, and those that nobody takes, of which the
# host's program says WORDS
both_ways() {
	refusal=$1
	shift
	# Megabytes on top of a boot, and of a real realm's launch.
	limit=480
	start -k "$guest/Image" -i "$guest/initrd.gz" \
		-p "$quick ccr.modules=$vsock_modules ccr.run=vsock ccr.then=poweroff" "$@"
	await "$out" 'CCR-GUEST-VSOCK ready'
	meanwhile
	clients=''
	for nr in 1 2 3 4; do
		echoed "$nr" &
		clients="$clients $!"
	done
	for client in $clients; do
		wait "$client" || fail "a stream did not come back as it was"
	done
	! call 54 </dev/null 2>"$dir/answer" || fail "port 54 has accepted"
	want "$dir/answer" "$refusal"
	echo thanks | await_guest 1000 >"$dir/got" &
	client=$!
	echo go | call 53 || fail "port 53 did not take a line"
	wait "$client" || fail "what the guest sent did not come"
	wait "$pid"
	status=$?
	want_status 0
	want "$out" '^CCR-GUEST-VSOCK heard go'
	sum=$(sha256sum <"$dir/got" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-VSOCK sent=$sum status=0 answer=thanks"
	want "$out" '^CCR-GUEST-VSOCK refused status=1'
	want "$out" '^vcat: connect: Connection reset by peer'
}

# streams ARGUMENT... - through the host's sockets
streams() {
	cid=''
	both_ways 'port 54: nobody accepts' --vsock "$dir/vsock,cid=42" "$@"
	[ ! -e "$dir/vsock" ] || fail "the socket was left behind"
}

# kernel_streams ARGUMENT... - by the vsock of the host's kernel
kernel_streams() {
	[ -e /dev/vhost-vsock ] || skip "this host's kernel has no vhost-vsock"
	cid=43
	both_ways 'connect: Connection reset by peer' --vsock "vhost,cid=$cid" "$@"
}

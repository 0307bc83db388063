# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Streams over vsock, in machines of all kinds: test-vsock.sh and stack-vsock.sh source it.

vsock_modules=vsock,vmw_vsock_virtio_transport_common,vmw_vsock_virtio_transport

# echoed NUMBER - a client of its own sends 2 MiB, and gets them back
echoed() {
	dd if=/dev/urandom of="$dir/data$1" bs=1M count=2 2>/dev/null
	timeout -s KILL "$limit" vcat call "$dir/vsock" 52 <"$dir/data$1" >"$dir/back$1" &&
		cmp "$dir/data$1" "$dir/back$1"
}

# streams ARGUMENT... - both ways, several at once, and those that nobody takes
streams() {
	start -k "$guest/Image" -i "$guest/initrd.gz" --vsock "$dir/vsock,cid=42" \
		-p "quiet ccr.modules=$vsock_modules ccr.run=vsock ccr.then=poweroff" "$@"
	await "$out" 'CCR-GUEST-VSOCK ready'
	clients=''
	for nr in 1 2 3 4; do
		echoed "$nr" &
		clients="$clients $!"
	done
	for client in $clients; do
		wait "$client" || fail "a stream did not come back as it was"
	done
	! vcat call "$dir/vsock" 54 </dev/null 2>"$dir/answer" || fail "port 54 has accepted"
	want "$dir/answer" 'port 54: nobody accepts'
	echo thanks | vcat serve "$dir/vsock_1000" >"$dir/got" &
	client=$!
	echo go | vcat call "$dir/vsock" 53 || fail "port 53 did not take a line"
	wait "$client" || fail "what the guest sent did not come"
	wait "$pid"
	status=$?
	want_status 0
	want "$out" '^CCR-GUEST-VSOCK heard go'
	sum=$(sha256sum <"$dir/got" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-VSOCK sent=$sum status=0 answer=thanks"
	want "$out" '^CCR-GUEST-VSOCK refused status=1'
	want "$out" '^vcat: connect: Connection reset by peer'
	[ ! -e "$dir/vsock" ] || fail "the socket was left behind"
}

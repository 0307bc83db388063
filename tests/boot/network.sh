# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Guests on networks, in machines of all kinds: test-network.sh and stack-network.sh source it.
#
# A tap interface is given an address, and a server for leases; a passt wants an interface of its
# host's with a default route, which is another tap. What a guest fetches is served on the loopback
# interface where passt is, on the tap's address where that is.

network_modules=failover,net_failover,virtio_net
busybox=$top/bin/busybox

# tap NAME ADDRESS - an interface that outlives its users
tap() {
	[ -e /dev/net/tun ] || "$busybox" insmod "$top/lib/modules/tun.ko" 2>/dev/null ||
		skip "this host has no tap interfaces"
	"$busybox" tunctl -t "$1" >/dev/null 2>&1 || skip "this user may make no tap interface"
	"$busybox" ip addr add "$2/24" dev "$1"
	"$busybox" ip link set "$1" up
}

# leases NAME PREFIX - hand out addresses on a tap
leases() {
	printf '%s\n' "start $2.20" "end $2.29" "interface $1" "lease_file $dir/leases" \
		"pidfile $dir/udhcpd.pid" "option subnet 255.255.255.0" "option router $2.1" \
		>"$dir/udhcpd.conf"
	: >"$dir/leases"
	"$busybox" udhcpd -f "$dir/udhcpd.conf" >"$dir/udhcpd" 2>&1 &
	servers="$servers $!"
}

# serve ADDRESS - /data on port 8001, and whatever is sent to port 8002 into $dir/got
serve() {
	mkdir "$dir/www"
	dd if=/dev/urandom of="$dir/www/data" bs=1M count=4 2>/dev/null
	"$busybox" httpd -f -p "$1:8001" -h "$dir/www" &
	servers="$servers $!"
	"$busybox" nc -l -p 8002 -e sh -c "cat >$dir/got" &
	servers="$servers $!"
}

# sum FILE
sum() {
	sha256sum <"$1" | cut -d ' ' -f 1
}

# downloads ADDRESS ARGUMENT... - a guest is given an address that begins so, and both sides get
# what the other has sent
downloads() {
	address=$1
	shift
	# Two transfers on top of a boot, and of a real realm's launch.
	limit=480
	launch -k "$guest/Image" -i "$guest/initrd.gz" "$@" \
		-p "quiet ccr.modules=$network_modules ccr.run=network,8001,8002 ccr.then=poweroff"
	# shellcheck disable=SC2086 # a list of words
	kill $servers 2>/dev/null
	want_status 0
	want "$out" "^CCR-GUEST-NETWORK dhcp=0 address=$address"
	want "$out" "^CCR-GUEST-NETWORK got=$(sum "$dir/www/data")"
	want "$out" "^CCR-GUEST-NETWORK sent=$(sum "$dir/got") status=0"
}

# over_tap ARGUMENT...
over_tap() {
	servers=''
	tap ccrtap0 10.9.0.1
	leases ccrtap0 10.9.0
	serve 10.9.0.1
	downloads 10.9.0.2 -n tap=ccrtap0 "$@"
	"$busybox" tunctl -d ccrtap0 >/dev/null 2>&1
}

# over_passt ARGUMENT...
over_passt() {
	servers=''
	tap ccrtap1 10.8.0.2
	"$busybox" ip route add default via 10.8.0.1 dev ccrtap1
	"$busybox" ip link set lo up
	serve 127.0.0.1
	downloads 10.8.0.2 -n user "$@"
	"$busybox" tunctl -d ccrtap1 >/dev/null 2>&1
}

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
	[ -e /dev/net/tun ] || skip "this host has no tap interfaces"
	"$busybox" tunctl -t "$1" >/dev/null 2>&1 || skip "this user may make no tap interface"
	"$busybox" ip addr add "$2/24" dev "$1"
	"$busybox" ip link set "$1" up
}

# lease_rules NAME PREFIX - which addresses to hand out on a tap
lease_rules() {
	printf '%s\n' "start $2.20" "end $2.29" "interface $1" "lease_file $dir/leases" \
		"pidfile $dir/udhcpd.pid" "option subnet 255.255.255.0" "option router $2.1" \
		>"$dir/udhcpd.conf"
	: >"$dir/leases"
}

# leases NAME PREFIX - hand them out
leases() {
	lease_rules "$@"
	"$busybox" udhcpd -f "$dir/udhcpd.conf" >"$dir/udhcpd" 2>&1 &
	servers="$servers $!"
}

# stop_servers - and what they have started, lest the next test finds the ports taken
stop_servers() {
	for server in $servers; do
		# shellcheck disable=SC2046 # a list of words
		kill "$server" $(cat "/proc/$server/task/$server/children" 2>/dev/null) 2>/dev/null
	done
	servers=''
}

# serve ADDRESS [TIMES] - /data on port 8001; what is sent to port 8002 goes into $dir/got1, got2...
serve() {
	trap stop_servers EXIT
	mkdir "$dir/www"
	dd if=/dev/urandom of="$dir/www/data" bs=1M count=4 2>/dev/null
	"$busybox" httpd -f -p "$1:8001" -h "$dir/www" &
	servers="$servers $!"
	for time in $(seq "${2:-1}"); do
		"$busybox" nc -l -p 8002 -e sh -c "cat >$dir/got$time"
	done &
	servers="$servers $!"
}

# sum FILE
sum() {
	sha256sum <"$1" | cut -d ' ' -f 1
}

# downloads ADDRESSES DEVICES ARGUMENT... - on each of its networks (a comma before each device) a
# guest is given an address that begins so, and both sides get what the other has sent
downloads() {
	addresses=$1 devices=$2
	shift 2
	# Two transfers on top of a boot, and of a real realm's launch.
	limit=480
	words="ccr.modules=$network_modules ccr.run=network,8001,8002$devices"
	launch -k "$guest/Image" -i "$guest/initrd.gz" "$@" -p "$quick $words ccr.then=poweroff"
	stop_servers
	want_status 0
	nr=0
	for address in $addresses; do
		nr=$((nr + 1))
		want "$out" "^CCR-GUEST-NETWORK dhcp=0 address=$address"
		want "$out" "^CCR-GUEST-NETWORK sent=$(sum "$dir/got$nr") status=0"
	done
	[ "$(grep -c "^CCR-GUEST-NETWORK got=$(sum "$dir/www/data")" "$out")" = $nr ] ||
		fail "what the guest got is not what was served"
}

# over_tap OPTIONS ARGUMENT...
over_tap() {
	servers=''
	options=$1
	shift
	tap ccrtap0 10.9.0.1
	leases ccrtap0 10.9.0
	serve 10.9.0.1
	downloads 10.9.0.2 '' -n "tap=ccrtap0$options" "$@"
	"$busybox" tunctl -d ccrtap0 >/dev/null 2>&1
}

# way_out - for passt
way_out() {
	tap ccrtap1 10.8.0.2
	"$busybox" ip route add default via 10.8.0.1 dev ccrtap1
	"$busybox" ip link set lo up
}

# newer_passt - the next release's, which speaks vhost-user, in the place of this one's
newer_passt() {
	mkdir "$dir/bin"
	# shellcheck disable=SC2016 # they are expanded there
	printf '%s\n' '#!/bin/sh' "at=$top/passt-next" \
		'exec $at/lib/ld-linux-aarch64.so.1 --library-path $at/lib $at/bin/passt "$@"' \
		>"$dir/bin/passt"
	chmod +x "$dir/bin/passt"
	PATH=$dir/bin:$PATH
}

# over_passt OPTIONS ARGUMENT... - one that is started for the guest
over_passt() {
	servers=''
	options=$1
	shift
	way_out
	serve 127.0.0.1
	downloads 10.8.0.2 '' -n "user$options" "$@"
	"$busybox" tunctl -d ccrtap1 >/dev/null 2>&1
}

# listening_passt ARGUMENT... - one that is there already, at $socket; it does not run as root
listening_passt() {
	socket=/tmp/ccr-passt.$$
	passt --foreground --quiet --one-off --socket "$socket" "$@" >"$dir/passt" 2>&1 &
	servers="$servers $!"
	for _ in $(seq 100); do
		# The file is there before anybody listens.
		! grep -q " 00010000 .* $socket\$" /proc/net/unix || return 0
		sleep 0.1
	done
	fail "no passt after 10 s: $(cat "$dir/passt")"
}

# over_socket OPTIONS PASST-OPTION ARGUMENT...
over_socket() {
	servers=''
	options=$1 speaks=$2
	shift 2
	way_out
	serve 127.0.0.1
	# shellcheck disable=SC2086 # none or one
	listening_passt $speaks
	downloads 10.8.0.2 '' -n "passt=$socket$options" "$@"
	"$busybox" tunctl -d ccrtap1 >/dev/null 2>&1
}

# over_both OPTIONS ARGUMENT... - a tap with two queues, which ccr-run makes, and a passt whose
# socket it inherits
over_both() {
	servers=''
	options=$1
	shift
	way_out
	serve 0.0.0.0 2
	listening_passt
	lease_rules ccrtap4 10.9.0
	(
		until "$busybox" ip addr add 10.9.0.1/24 dev ccrtap4 2>/dev/null; do sleep 0.2; done
		"$busybox" ip link set ccrtap4 up
		exec "$busybox" udhcpd -f "$dir/udhcpd.conf" >"$dir/udhcpd" 2>&1
	) &
	servers="$servers $!"
	printf '%s\n' '#!/bin/sh' "exec vcat lend $socket 9 $ccr_run \"\$@\"" >"$dir/lent"
	chmod +x "$dir/lent"
	ccr_run=$dir/lent
	downloads '10.9.0.2 10.8.0.2' ,eth0,eth1 -n "tap=ccrtap4,queues=2$options" -n fd=9 "$@"
	want "$out" '^CCR-GUEST-NETWORK dhcp=0 address=10.9.0.2.* queues=2'
	want "$out" '^CCR-GUEST-NETWORK dhcp=0 address=10.8.0.2.* queues=1'
	"$busybox" tunctl -d ccrtap1 >/dev/null 2>&1
}

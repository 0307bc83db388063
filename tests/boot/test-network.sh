# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Networks: taps, and passt.

# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"

test_network_tap_plain() {
	over_tap ,vhost=off -c 2
}

test_network_user_realm() {
	over_passt '' --realm=emulated -c 2
}

test_network_passt_plain() {
	over_socket '' ''
}

test_network_both_plain() {
	over_both ,vhost=off -c 2
}

test_network_both_realm() {
	over_both ,vhost=on --realm=emulated -c 2 --bounce 8M
}

test_network_vhost_plain() {
	over_tap ,vhost=on -c 2
}

test_network_vhost_realm() {
	over_tap ,vhost=on --realm=emulated
}

test_network_vhost_user_plain() {
	newer_passt
	over_socket ,vhost=on --vhost-user -c 2
}

test_network_vhost_user_realm() {
	newer_passt
	over_passt ,vhost=on --realm=emulated --bounce 8M
}

# Debian 12's passt does not know it, and any needs more of a bounce-buffer pool.
test_network_vhost_user_old() {
	launch -k "$guest/Image" --realm=emulated -n user,vhost=on
	want_status 1
	want "$err" 'bounce buffers of this size.*--bounce'
	launch -k "$guest/Image" -n user,vhost=on
	want_status 1
	want "$err" 'there is no passt with --vhost-user here'
}

# The RIM is the one without a network.
test_network_rim() {
	set -- -k "$guest/contract.img" --realm=emulated
	without=$("$ccr_run" measure "$@") || fail "cannot measure"
	[ "$without" = "$("$ccr_run" measure "$@" -n user -n tap=tap0)" ] ||
		fail "a network changes the RIM"
}

# removed OPTIONS - a tap that is removed takes the link down, once, and the machine goes on
removed() {
	tap ccrtap3 10.6.0.1
	start -k "$guest/Image" -i "$guest/initrd.gz" -n "tap=ccrtap3,vhost=$1" --name gone \
		--run-dir "$dir/run" \
		-p "$quick ccr.modules=$network_modules ccr.run=network-up ccr.then=hang"
	await "$out" 'CCR-GUEST-NETWORK link=1'
	"$busybox" ip link del ccrtap3
	await "$out" 'CCR-GUEST-NETWORK link=0'
	want "$err" 'network tap=ccrtap3: the host end is gone'
	"$ccr_run" stat gone --run-dir "$dir/run" | grep -q 'ccrtap3: .* link down' ||
		fail "stat does not say so"
	stop_with TERM
	want_status 0
}

test_network_tap_removed() {
	removed off
}

test_network_vhost_tap_removed() {
	removed on
}

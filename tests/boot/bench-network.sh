# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What frames to and from the host cost, over a tap: iperf3 both ways, and the time of an answer.

# shellcheck source=vmm.sh source-path=SCRIPTDIR
. "$here/vmm.sh"
# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"

# network_rounds VMM...
network_rounds() {
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	tap ccrbench 10.9.0.1
	"$busybox" ip link set lo up
	"$peers/iperf3/lib/ld-linux-aarch64.so.1" --library-path "$peers/iperf3/lib" \
		"$peers/iperf3/bin/iperf3" -s >"$dir/server" 2>&1 &
	server=$!
	for _ in $(seq "$rounds"); do
		for vmm; do
			more=''
			[ "$vmm" != bounced ] || more=$bounces
			metered network "$vmm" 600 1 1024 \
				"quiet panic=-1 $more rdinit=/bench/network" \
				"$guest/Image" "$guest/bench-network.cpio" '' ccrbench
		done
	done
	kill "$server"
	"$busybox" tunctl -d ccrbench >/dev/null 2>&1
}

test_bench_network() {
	# shellcheck disable=SC2046 # a list of words
	network_rounds $(all_vmms)
}

test_bench_network_realm() {
	network_rounds bounced realm
}

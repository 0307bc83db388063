# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# The contract guest, in machines of all kinds: test-contract.sh and stack-contract.sh source it.
# Its part about shared directories is in 9p.sh.

# shellcheck source=network.sh source-path=SCRIPTDIR
. "$here/network.sh"
# shellcheck source=vhost.sh source-path=SCRIPTDIR
. "$here/vhost.sh"

# contract SECONDS ARGUMENT... - every check but those of shared directories
contract() {
	limit=$1
	shift
	dd if=/dev/zero of="$dir/disk" bs=1M count=16 2>/dev/null
	mkdir "$dir/share"
	launch -k "$guest/contract.img" --disk "$dir/disk" --9p "$dir/share,share" \
		--channel one=none --channel "two=file:$dir/two" "$@"
	want_tap
	want_status 0
}

# serve_for_ever - a raw disk at the socket served, and a directory at fs, by back ends that come
# back when they have given up
serve_for_ever() {
	mkdir "$dir/shared"
	dd if=/dev/zero of="$dir/served.raw" bs=1M count=4 2>/dev/null
	while :; do
		(back_end qemu-storage-daemon \
			--blockdev "file,node-name=one,filename=$dir/served.raw" \
			--export "vhost-user-blk,id=one,node-name=one,addr.type=unix,\
addr.path=$dir/served,writable=on,num-queues=2") >>"$dir/back-end" 2>&1
	done &
	servers="$servers $!"
	while :; do
		(back_end virtiofsd "--socket-path=$dir/fs" -o "source=$dir/shared" \
			-o sandbox=chroot) >>"$dir/back-end" 2>&1
	done &
	servers="$servers $!"
	await_file "$dir/served"
	await_file "$dir/fs"
}

# contract_of_all SECONDS ARGUMENT... - with every kind of device, also those of back ends
contract_of_all() {
	servers=''
	tap ccrtap2 10.7.0.1
	tap ccrtap5 10.5.0.1
	trap stop_servers EXIT
	serve_for_ever
	contract "$@" --vsock "$dir/vsock" -n tap=ccrtap2,vhost=off -n tap=ccrtap5,vhost=on \
		--disk "vhost-user=$dir/served" --fs "$dir/fs,tag=served"
	for device in network "back end's network" disk "back end's disk" console rng 9p vsock \
		"file system"; do
		want "$out" "^ok .* $device: works after all that"
	done
	want "$err" 'vhost-net: .* broke a rule: the back end cannot use what is in a queue'
	"$busybox" tunctl -d ccrtap2 >/dev/null 2>&1
	"$busybox" tunctl -d ccrtap5 >/dev/null 2>&1
}

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Devices whose back ends are other programs, over vhost-user: test-vhost.sh and stack-vhost.sh
# source it.

# back_end PROGRAM ARGUMENT... - one of Debian's, with its own libraries; in a subshell
back_end() {
	program=$top/back-ends/bin/$1
	shift
	exec "$top/back-ends/lib/ld-linux-aarch64.so.1" --library-path "$top/back-ends/lib" \
		"$program" "$@"
}

# await_file FILE - until somebody has made it
await_file() {
	for _ in $(seq 100); do
		[ ! -e "$1" ] || return 0
		sleep 0.1
	done
	fail "no $1 after 10 s: $(cat "$dir/back-end")"
}

# serve_disk - a qcow2 image at the socket first, by a back end that has the process $server
serve_disk() {
	export=vhost-user-blk,id=one,node-name=first,addr.type=unix
	back_end qemu-storage-daemon \
		--blockdev "file,node-name=file1,filename=$dir/first.qcow2" \
		--blockdev qcow2,node-name=first,file=file1 \
		--export "$export,addr.path=$dir/first,writable=on,num-queues=2" \
		>"$dir/back-end" 2>&1 &
	server=$!
}

# kill_server TIMES - in the middle of its work, and start it again
kill_server() {
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	await "$err" 'first is lost: it has closed the connection' "$1"
	"$ccr_run" stat killed --run-dir "$dir/run" --json | grep -q '"back-end-status": *"lost"' ||
		fail "stat does not say so"
	serve_disk
	await "$err" 'first is back' "$1"
}

# killed_back_end ARGUMENT... - what the guest has been told is on the disk is there, although the
# back end died twice under its writes; and no write is left undone
killed_back_end() {
	limit=480
	(back_end qemu-img create -q -f qcow2 "$dir/first.qcow2" 4M) || fail "no image"
	serve_disk
	await_file "$dir/first"
	start -k "$guest/Image" -i "$guest/initrd.gz" -d "vhost-user=$dir/first" --name killed \
		--run-dir "$dir/run" \
		-p "$quick ccr.modules=virtio_blk ccr.run=writes,4,30 ccr.then=poweroff" "$@"
	await "$out" 'CCR-GUEST-WRITES [0-9]' 10
	kill_server 1
	await "$out" 'CCR-GUEST-WRITES [0-9]' 50
	kill_server 2
	wait "$pid"
	status=$?
	kill "$server"
	wait "$server"
	want_status 0
	want "$out" '^CCR-GUEST-WRITES done'
	refuse "$out" '^CCR-GUEST-WRITES failed'
	refuse "$err" 'must reset'
	(back_end qemu-img convert -f qcow2 -O raw "$dir/first.qcow2" "$dir/first.raw") ||
		fail "the image is broken"
	for nr in $(seq 0 119); do yes "$nr" | head -c 4096; done >"$dir/wanted"
	head -c "$((120 * 4096))" "$dir/first.raw" | cmp - "$dir/wanted" ||
		fail "an acknowledged write is not there"
}

# serve_disks - a qcow2 image, read and written, at the socket first; a raw one at second
serve_disks() {
	one=vhost-user-blk,id=one,node-name=first,addr.type=unix
	two=vhost-user-blk,id=two,node-name=second,addr.type=unix
	(back_end qemu-storage-daemon \
		--blockdev "file,node-name=file1,filename=$dir/first.qcow2" \
		--blockdev qcow2,node-name=first,file=file1 \
		--export "$one,addr.path=$dir/first,writable=on,num-queues=2" \
		--blockdev "file,node-name=second,filename=$dir/second.raw,read-only=on" \
		--export "$two,addr.path=$dir/second") \
		>"$dir/back-end" 2>&1 &
	server=$!
	await_file "$dir/first"
	await_file "$dir/second"
}

# disks_of_back_ends ARGUMENT... - what the guest writes comes to be in the qcow2 image
disks_of_back_ends() {
	(back_end qemu-img create -q -f qcow2 "$dir/first.qcow2" 4M) || fail "no image"
	dd if=/dev/urandom of="$dir/second.raw" bs=64K count=1 2>/dev/null
	serve_disks
	launch -k "$guest/Image" -i "$guest/initrd.gz" \
		-d "vhost-user=$dir/first" -d "vhost-user=$dir/second,ro" \
		-p "$quick ccr.modules=virtio_blk ccr.run=disk,tour,4 ccr.then=poweroff" "$@"
	kill "$server"
	wait "$server"
	want_status 0
	want "$out" '^CCR-GUEST-DISK vda serial=vhost_user_blk ro=0 sectors=8192'
	want "$out" '^CCR-GUEST-DISK vda takes writes'
	want "$out" '^CCR-GUEST-DISK vdb serial=vhost_user_blk ro=1 sectors=128'
	want "$out" '^CCR-GUEST-DISK vdb refuses writes'
	(back_end qemu-img convert -f qcow2 -O raw "$dir/first.qcow2" "$dir/first.raw") ||
		fail "the image is broken"
	sum=$(sha256sum <"$dir/first.raw" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-DISK vda wrote=$sum read=$sum"
}

# directory_of_back_end ARGUMENT... - what the host has in it the guest reads, and the other way
directory_of_back_end() {
	mkdir "$dir/shared"
	dd if=/dev/urandom of="$dir/shared/from-host" bs=256K count=8 2>/dev/null
	(back_end virtiofsd "--socket-path=$dir/fs" -o "source=$dir/shared" -o sandbox=chroot) \
		>"$dir/back-end" 2>&1 &
	server=$!
	await_file "$dir/fs"
	launch -k "$guest/Image" -i "$guest/initrd.gz" --fs "$dir/fs,tag=the-tag" \
		-p "$quick ccr.run=fs,the-tag ccr.then=poweroff" "$@"
	kill "$server" 2>/dev/null
	wait "$server"
	want_status 0
	sum=$(sha256sum <"$dir/shared/from-host" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-FS read=$sum"
	sum=$(sha256sum <"$dir/shared/from-guest" | cut -d ' ' -f 1)
	want "$out" "^CCR-GUEST-FS wrote=$sum"
	[ "$(cat "$dir/shared/below/small")" = hello ] || fail "the small file is not there"
}

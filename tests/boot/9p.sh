# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Shared directories under Linux's own client, in machines of all kinds: test-9p.sh and stack-9p.sh
# source it. The kernel is the one that has the client, with its own modules; it also has a console
# on a screen, so it is told of the serial port.

# shared ARGUMENT... - all of tests/harness/guest-9p, and what the host finds afterwards
shared() {
	limit=480
	mkdir -p "$dir/share/mounted"
	echo "a line of the host's" >"$dir/share/from-host"
	echo secret >"$dir/secret"
	ln -s ../secret "$dir/share/leads-out"
	mount -t tmpfs none "$dir/share/mounted" && mkdir "$dir/share/mounted/inside"
	modules=$(cat "$guest/modules-9p")
	launch -k "$guest/Image-full" -i "$guest/initrd-full.gz" \
		--9p "$dir/share,share" --9p "$dir/share,readonly,ro" \
		-p "console=ttyS0 $quick ccr.modules=$modules ccr.run=9p ccr.then=poweroff" "$@"
	umount "$dir/share/mounted"
	want_status 0
	refuse "$out" '^CCR-GUEST-9P FAILED'
	want "$out" '^CCR-GUEST-9P done'
	want "$out" "^CCR-GUEST-9P sum $(sha256sum <"$dir/share/a/b/moved" | cut -d ' ' -f 1)"
	[ "$(cat "$dir/secret")" = secret ] || fail "the guest has reached a file outside"
	[ "$(readlink "$dir/share/a/out")" = /secret ] || fail "the guest's link is not there"
	[ ! -e "$dir/share/new" ] || fail "something was made where nothing can be changed"
}

# contract_share - what the contract guest finds in a directory with a secret beside it
contract_share() {
	mkdir -p "$dir/share/dir"
	echo text >"$dir/share/dir/file"
	echo secret >"$dir/secret"
	ln -sf ../secret "$dir/share/leads-out"
}

# contract_9p ARGUMENT... - a hostile client
contract_9p() {
	limit=480
	dd if=/dev/zero of="$dir/disk" bs=1M count=1 2>/dev/null
	contract_share
	launch "$@" -m 64M --bounce 1M -k "$guest/contract.img" -p ccr.only=9p --disk "$dir/disk" \
		--9p "$dir/share,share"
	want_tap
	want_status 0
	[ "$(cat "$dir/secret")" = secret ] || fail "the guest has reached a file outside"
	[ "$(cat "$dir/share/made")" = contract ] || fail "what the guest has written is not there"
	# Nothing else was made, neither there nor beside it.
	[ "$(cd "$dir/share" && echo ./*)" = "./counts ./dir ./leads-out ./made" ] ||
		fail "the directory has $(cd "$dir/share" && echo ./*)"
	[ "$(cd "$dir" && echo ./*)" = "./disk ./err ./out ./secret ./share ./why" ] ||
		fail "beside the directory there is $(cd "$dir" && echo ./*)"
}

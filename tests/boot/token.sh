# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Tokens against what `measure` computes, for emulated and real realms: test-token.sh and
# stack-token.sh source it.

# padded HEX DIGITS - with zeros
padded() {
	printf "%-$2s" "$1" | tr ' ' 0
}

# accepts KIND ARGUMENT... - the token is. A real realm's platform is nobody's that we would trust;
# all else must be right
accepts() {
	kind=$1
	shift
	if [ "$kind" = emulated ]; then
		verify --emulated "$@"
		want_status 0
	else
		verify "$@"
		want_status 6
		want_check fail platform-key
		[ "$(grep -c '^  fail ' "$dir/verdict")" = 1 ] ||
			fail "rejected: $(grep '^  fail ' "$dir/verdict")"
	fi
	for check in challenge rim rpv binding realm-signature; do
		want_check pass "$check"
	done
}

# attested KIND RPV-HEX ARGUMENT... - Linux as a realm gets a token that says what was asked for
attested() {
	kind=$1
	rpv=$2
	shift 2
	options=$*
	set -- --realm="$kind" -k "${kernel:-$guest/Image}" -i "${initrd:-$guest/initrd.gz}" \
		-p "$token_params" "$@"
	rim=$("$ccr_run" measure "$@" 2>"$dir/measure") || fail "measure: $(cat "$dir/measure")"
	launch "$@"
	want_status 0
	want_ready realm=1
	take_token
	accepts "$kind" --challenge "$challenge" --rim "$rim" --rpv "hex:$rpv"
	[ "$(claim rim)" = "$rim" ] || fail "the token's RIM is $(claim rim)"
	[ "$(claim rpv)" = "$(padded "$rpv" 128)" ] || fail "the token's rpv is $(claim rpv)"
	[ "$(claim challenge)" = "$challenge" ] || fail "the token is for $(claim challenge)"
	progress "$kind RIM $rim: initrd, $options"
}

# odd_sizes - a kernel and an initrd that end within a word, and so within a page; both boot
odd_sizes() {
	kernel=$dir/Image
	initrd=$dir/initrd
	cp "$guest/Image" "$kernel"
	cp "$guest/initrd.gz" "$initrd"
	for file in "$kernel" "$initrd"; do
		while [ $(($(wc -c <"$file") % 4)) != 3 ]; do
			printf '\0' >>"$file"
		done
	done
}

# measured_alone KIND RPV-HEX ARGUMENT... - the same without an initrd, where no Linux gets far: the
# bare-metal guest reads what a token would say
measured_alone() {
	kind=$1
	rpv=$2
	shift 2
	options=$*
	set -- --realm="$kind" -k "$guest/rsi.img" "$@"
	rim=$("$ccr_run" measure "$@" 2>"$dir/measure") || fail "measure: $(cat "$dir/measure")"
	launch "$@"
	want_status 0
	want_tap
	want "$out" "^# rim=$rim"
	# It prints the first four bytes.
	want "$out" "^# .*rpv=$(padded "$rpv" 8 | cut -c 1-8)"
	progress "$kind RIM $rim: no initrd, $options"
}

# has_log FILE - the guest has read this log in its memory, and zeros up to the region's end
has_log() {
	size=$((0x1f0000))
	wanted=$({ cat "$1" && cat /dev/zero; } | head -c "$size" | sha256sum)
	found=$(tr -d '\r' <"$out" | sed -n 's,^\([0-9a-f]*\)  /tmp/log$,\1,p')
	[ "$found" = "${wanted%% *}" ] || fail "in guest memory is a log of digest '$found'"
}

# logged KIND ARGUMENT... - the log of the launch, the one that anyone can write from the same files
# and the one that the guest finds in its memory are the same, and give the RIM of the token
logged() {
	kind=$1
	shift
	set -- --realm="$kind" -k "$guest/Image" -i "$guest/initrd.gz" --log-in-guest \
		-p "$token_params ccr.check=log" "$@"
	launch --measurement-log "$dir/log" "$@"
	want_status 0
	want_ready realm=1
	rim=$("$ccr_run" measure --measurement-log "$dir/measured" "$@" 2>"$dir/measure") ||
		fail "measure: $(cat "$dir/measure")"
	cmp "$dir/log" "$dir/measured" || fail "run and measure write different logs"
	[ "$("$ccr_run" measure --from-log "$dir/log")" = "$rim" ] ||
		fail "replayed, the log gives another RIM"
	has_log "$dir/log"
	take_token
	accepts "$kind" --challenge "$challenge" --rpv hex:00 --log "$dir/log" "$@"
	want_check pass measurement-log
	[ "$(claim rim)" = "$rim" ] || fail "the token's RIM is $(claim rim)"
}

# traced KIND - what Documentation/attestation.md tells: who has the same files accepts the token
# and the log; one byte of the initrd changed, and the sentence names its page
traced() {
	cp "$guest/initrd.gz" "$dir/initrd"
	set -- --realm="$1" -k "$guest/Image" -i "$dir/initrd" -m 256M -p "$token_params"
	launch --measurement-log "$dir/log" "$@"
	want_status 0
	take_token
	kind=${1#--realm=}
	accepts "$kind" --challenge "$challenge" --rpv hex:00 --log "$dir/log" "$@"
	# The archive's last byte is on its last page. Before it 128 blocks of RAM and the kernel's
	# pages are measured, and its own.
	size=$(wc -c <"$dir/initrd")
	last=$(tail -c 1 "$dir/initrd" | hexdump -v -e '1/1 "%d"')
	printf '%b' "\\0$(printf %o $((last ^ 1)))" |
		dd of="$dir/initrd" bs=1 seek=$((size - 1)) conv=notrunc 2>/dev/null
	page=$((((size + 3) / 4 * 4 + 4095) / 4096 - 1))
	kernel=$((($(wc -c <"$guest/Image") + 4095) / 4096))
	sentence="RIM differs at step $((1 + 128 + kernel + page)) (initrd page $page)"
	[ "$kind" != emulated ] || set -- "$@" --emulated
	verify --log "$dir/log" "$@"
	want_status 6
	want "$dir/verdict" "^  fail  rim  *$sentence\$"
	[ "$kind" != emulated ] || want "$dir/verdict" "^rejected: $sentence\$"
}

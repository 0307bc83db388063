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
	given=$*
	set -- --realm="$kind" -k "$guest/Image" -i "$guest/initrd.gz" -p "$token_params" "$@"
	rim=$("$ccr_run" measure "$@" 2>"$dir/measure") || fail "measure: $(cat "$dir/measure")"
	launch "$@"
	want_status 0
	want_ready realm=1
	take_token
	accepts "$kind" --challenge "$challenge" --rim "$rim" --rpv "hex:$rpv"
	[ "$(claim rim)" = "$rim" ] || fail "the token's RIM is $(claim rim)"
	[ "$(claim rpv)" = "$(padded "$rpv" 128)" ] || fail "the token's rpv is $(claim rpv)"
	[ "$(claim challenge)" = "$challenge" ] || fail "the token is for $(claim challenge)"
	progress "$kind RIM $rim: initrd, $given"
}

# measured_alone KIND RPV-HEX ARGUMENT... - the same without an initrd, where no Linux gets far: the
# bare-metal guest reads what a token would say
measured_alone() {
	kind=$1
	rpv=$2
	shift 2
	given=$*
	set -- --realm="$kind" -k "$guest/rsi.img" "$@"
	rim=$("$ccr_run" measure "$@" 2>"$dir/measure") || fail "measure: $(cat "$dir/measure")"
	launch "$@"
	want_status 0
	want_tap
	want "$out" "^# rim=$rim"
	# It prints the first four bytes.
	want "$out" "^# .*rpv=$(padded "$rpv" 8 | cut -c 1-8)"
	progress "$kind RIM $rim: no initrd, $given"
}

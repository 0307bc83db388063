# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Running realms that are asked for tokens: test-attest.sh and stack-attest.sh source it.

# asking STATUS ARGUMENT... - `ccr-run attest`; what it says is the verdict
asking() {
	want=$1
	shift
	timeout -s KILL "$limit" "$ccr_run" attest "$@" </dev/null >"$dir/verdict" 2>&1
	status=$?
	[ "$status" = "$want" ] || fail "attest: status $status, not $want: $(cat "$dir/verdict")"
}

# answering NAME OPTION... - a machine whose guest hands out tokens, if it can make them
answering() {
	name=$1
	shift
	params="$quick ccr.modules=${modules:-$cca_modules},vsock,vmw_vsock_virtio_transport_common"
	params="$params,vmw_vsock_virtio_transport ccr.attest=2048 ccr.then=hang"
	start --name "$name" -k "$guest/Image" -i "$guest/initrd.gz" --vsock "$dir/vsock" \
		-p "$params" "$@"
	await "$out" 'attest: listening on vsock port 2048'
}

# believed KIND ARGUMENT... - the machine asked is what it was measured to be; of a real realm the
# platform is nobody's that we would trust, and all else must be right
believed() {
	kind=$1
	shift
	if [ "$kind" = emulated ]; then
		asking 0 asked --emulated "$@"
		want "$dir/verdict" '^accepted'
	else
		asking 6 asked "$@"
		want_check fail platform-key
		[ "$(grep -c '^  fail ' "$dir/verdict")" = 1 ] ||
			fail "rejected: $(grep '^  fail ' "$dir/verdict")"
	fi
	for check in challenge rim binding realm-signature; do
		want_check pass "$check"
	done
}

# asked_realm KIND OPTION... - a realm is asked, in one step, several times
asked_realm() {
	kind=$1
	shift
	# One guest is asked many times.
	limit=$((limit * 3))
	answering asked --realm="$kind" "$@"
	set -- --realm="$kind" -k "$guest/Image" -i "$guest/initrd.gz" -p "$params" "$@"
	believed "$kind" "$@"
	first=$(claim challenge)
	believed "$kind" "$@" --save "$dir/token"
	[ "${#first}" = 128 ] || fail "a challenge of ${#first} digits"
	[ "$first" != "$(claim challenge)" ] || fail "the challenge is not random: $first"
	believed "$kind" --challenge "$challenge" --rim "$(claim rim)"
	[ "$(claim challenge)" = "$challenge" ] || fail "the token is for $(claim challenge)"
	[ "$(head -c 3 "$dir/token" | od -An -tx1 | tr -d ' ')" = d9018f ] ||
		fail "what was saved is no token"
}

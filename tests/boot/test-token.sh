# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Emulated realms' tokens: what is in them, what `verify` makes of them, and how the guest's tool
# gets them.

# shellcheck source=token.sh source-path=SCRIPTDIR
. "$here/token.sh"

# rejects CHECK ARGUMENT... - the token is, for that reason alone
rejects() {
	check=$1
	shift
	verify "$@"
	want_status 6
	want_check fail "$check"
	[ "$(grep -c '^  fail ' "$dir/verdict")" = 1 ] ||
		fail "more than $check: $(grep '^  fail ' "$dir/verdict")"
}

test_token_sha256_1cpu_256m() {
	attested emulated c0ffee -m 256M -c 1 --realm-pv hex:c0ffee
	rejects challenge --emulated --challenge "$(padded 00 128)" --rim "$rim"
	rejects rim --emulated --challenge "$challenge" --rim "$(padded 00 64)"
	rejects rim --emulated --rim "${rim%?}$(echo "${rim#"${rim%?}"}" | tr 0-9a-f 1-9a-f0)"
	rejects rpv --emulated --rpv hex:c0ffef
	# Without --emulated it is nobody's, and being debugged.
	verify --challenge "$challenge" --rim "$rim"
	want_status 6
	want_check fail emulation
	want_check pass rim
	want "$dir/verdict" 'token rejected: emulation: the realm is emulated'

	busybox base64 -d "$dir/token" >"$dir/whole"
	head -c 1000 "$dir/whole" >"$dir/token"
	verify --emulated
	want_status 6
	want_check fail collection
	: >"$dir/token"
	verify --emulated
	want_status 1
	rm "$dir/token"
	verify --emulated
	want_status 1
}

test_token_sha512_4cpus_2g() {
	attested emulated c0ffee --measurement-algo sha512 -m 2G -c 4 --realm-pv base64:wP/u
	[ "${#rim}" = 128 ] || fail "a RIM of ${#rim} digits"
}

test_token_sha256_4cpus_2g() {
	printf '\300\377\356' >"$dir/rpv"
	attested emulated c0ffee -m 2G -c 4 --realm-pv "@$dir/rpv"
}

test_token_odd_sizes_and_kaslr_seed() {
	odd_sizes
	attested emulated 00 --measurement-algo sha512 -m 1G -c 4 --kaslr-seed 0x123456789abcdef0
}

test_token_sha512_1cpu_without_initrd() {
	measured_alone emulated 7265616c6d --measurement-algo sha512 -m 256M -c 1 --realm-pv realm
}

# What the tool says when a module is missing, or the challenge is none.
test_attest_tool() {
	launch --realm=emulated -k "$guest/Image" -i "$guest/initrd.gz" -m 256M \
		-p "$quick ccr.run=tokens,$challenge ccr.then=poweroff"
	want_status 0
	want "$out" 'attest: no /sys/kernel/config: .*load the module configfs'
	want "$out" 'attest: .*: load the modules tsm_report and arm-cca-guest'
	want "$out" 'attest: nobody makes tokens here: load the module arm-cca-guest'
	want "$out" "attest: one challenge is enough: '$challenge'"
	want "$out" "attest: 'nonsense' is not a challenge of 32 to 64 bytes"
	want "$out" 'attest: cannot write the token to /nowhere/token: No such file'
	want "$out" 'attest: realm: yes, RSI version 1\.'
	statuses=$(tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-ATTEST status=//p' | xargs)
	[ "$statuses" = "1 1 1 2 2 2 2 1 0" ] || fail "statuses $statuses"
	want "$out" '^CCR-GUEST-ATTEST reports=0'
	take_token
	verify --emulated --challenge "$challenge"
	want_status 0
	tr -d '\r' <"$out" | sed -n '/RAW-TOKEN/,/RAW-END/p' | grep -v CCR- >"$dir/token"
	verify --emulated --challenge "$challenge"
	want_status 0
}

test_token_and_log_sha256() {
	logged emulated -m 256M -c 2
}

test_token_and_log_sha512() {
	logged emulated -m 258M --measurement-algo sha512
}

test_token_and_log_find_the_page() {
	traced emulated
}

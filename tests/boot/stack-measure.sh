# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets guest, ccr_run, dir, out, err
#
# On a host with an RMM (STACK=): what `check --json` says of the host is all that `measure` needs
# to know of it. The bare-metal guest asks the RMM for its RIM.

describe_host() {
	"$ccr_run" check --json >"$dir/host.json" 2>"$err" || fail "check --json: $(cat "$err")"
	want "$dir/host.json" '"realm_host": { "family": "'
}

# measured_here ALGO ARGUMENT... - on stdout, for the host that was described
measured_here() {
	algo=$1
	shift
	"$ccr_run" measure --host "$dir/host.json" --measurement-algo "$algo" "$@" \
		2>"$dir/measure" || fail "measure --host: $(cat "$dir/measure")"
}

# realm_is_as_measured ALGO ARGUMENT... - the realm of these options has the RIM that was computed
realm_is_as_measured() {
	computed=$(measured_here "$@" -k "$guest/rsi.img") || fail "nothing was measured"
	algo=$1
	shift
	launch --realm=kvm --measurement-algo "$algo" -k "$guest/rsi.img" "$@"
	want_status 0
	want_tap
	seen=$(tr -d '\r' <"$out" | sed -n 's/^# rim=//p')
	[ "${#seen}" = $((${algo#sha} / 4)) ] || fail "$algo $*: the guest has read RIM '$seen'"
	[ "$seen" = "$computed" ] ||
		fail "$algo $*: the realm has RIM $seen, measured was $computed"
}

test_stack_measure_for_this_host() {
	describe_host
	realm_is_as_measured sha256 --no-pci -m 64M
	realm_is_as_measured sha512 -m 256M -c 4
	realm_is_as_measured sha256 -m 1G -c 2 -i "$guest/initrd.gz" --realm-pv hex:c0ffee42
	realm_is_as_measured sha512 -m 62M -i "$guest/rim" -p "odd sizes" --kaslr-seed 0x1234
}

# The description matters: with one breakpoint more it would be another realm.
test_stack_measure_for_another_host() {
	describe_host
	here=$(measured_here sha256 -k "$guest/rsi.img") || fail "nothing was measured"
	bps=$(sed -n 's/.*"num_bps": \([0-9]*\),.*/\1/p' "$dir/host.json")
	[ -n "$bps" ] || fail "no num_bps in the description"
	sed -i "s/\"num_bps\": $bps,/\"num_bps\": $((bps + 1)),/" "$dir/host.json"
	there=$(measured_here sha256 -k "$guest/rsi.img") || fail "nothing was measured"
	[ "$here" != "$there" ] || fail "the number of breakpoints does not matter"
}

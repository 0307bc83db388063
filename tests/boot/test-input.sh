# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# What cannot work must say so before anything is created: one sentence, and the status for it.

# refused STATUS PATTERN ARGUMENT...
refused() {
	want=$1
	pattern=$2
	shift 2
	launch "$@"
	want_status "$want"
	want "$err" "$pattern"
	[ "$(wc -l <"$err")" = 1 ] || fail "more than one sentence: $(cat "$err")"
	[ ! -s "$out" ] || fail "something on stdout"
}

test_bad_kernel() {
	echo "#!/bin/sh" >"$dir/script"
	: >"$dir/empty"
	refused 1 'No such file' -k "$dir/nothing"
	refused 1 'script' -k "$dir/script"
	refused 1 'empty' -k "$dir/empty"
	refused 1 'ELF' -k "$ccr_run"
	refused 1 "$dir" -k "$dir"
}

test_bad_initrd() {
	refused 1 'No such file' -k "$guest/Image" -i "$dir/nothing"
}

test_bad_options() {
	refused 2 'no kernel'
	refused 2 '-m' -k "$guest/Image" -m lots
	refused 2 '-c' -k "$guest/Image" -c 0
	refused 2 'nonsense' -k "$guest/Image" --nonsense
}

test_image_too_large_for_ram() {
	refused 1 'does not fit\|do not fit' -k "$guest/Image" -m 32M
}

# Without a real RMM, asking for a real realm is an error and never something else.
test_no_realm_on_this_host() {
	refused 1 'realm' --realm=kvm -k "$guest/Image"
}

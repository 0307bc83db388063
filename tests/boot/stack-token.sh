# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# Tokens of real realms against what `measure` computes.

# shellcheck source=token.sh source-path=SCRIPTDIR
. "$here/token.sh"

test_stack_token_sha256_1cpu_256m() {
	attested kvm c0ffee -m 256M -c 1 --realm-pv hex:c0ffee
}

test_stack_token_sha256_4cpus_2g() {
	printf '\300\377\356' >"$dir/rpv"
	attested kvm c0ffee -m 2G -c 4 --realm-pv "@$dir/rpv"
}

test_stack_token_sha512_4cpus_256m() {
	attested kvm c0ffee --measurement-algo sha512 -m 256M -c 4 --realm-pv base64:wP/u
}

test_stack_token_sha512_1cpu_2g() {
	attested kvm 7265616c6d --measurement-algo sha512 -m 2G -c 1 --realm-pv realm
}

test_stack_token_odd_sizes_and_kaslr_seed() {
	odd_sizes
	attested kvm 00 -m 256M -c 1 --kaslr-seed 0x123456789abcdef0
	attested kvm 00 --measurement-algo sha512 -m 1G -c 4 --kaslr-seed 1
}

test_stack_token_without_initrd() {
	measured_alone kvm 7265616c6d --measurement-algo sha512 -m 256M --realm-pv realm
	measured_alone kvm c0ffee -m 2G -c 4 --realm-pv hex:c0ffee
}

test_stack_token_and_log_sha256() {
	logged kvm -m 512M -c 2
}

test_stack_token_and_log_sha512() {
	logged kvm -m 258M --measurement-algo sha512
}

test_stack_token_and_log_find_the_page() {
	traced kvm
}

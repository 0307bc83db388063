# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The host itself, first: when these fail, nothing below means anything.

test_host_has_kvm() {
	[ -c /dev/kvm ] || fail "no /dev/kvm: $(dmesg | grep -i kvm | tail -n 3)"
	[ "$(uname -m)" = aarch64 ] || fail "the host is $(uname -m)"
}

# An emulated realm lives on the SMCCC filter, which came with Linux 6.4.
test_host_kernel_is_new_enough() {
	major=$(uname -r | cut -d. -f1)
	minor=$(uname -r | cut -d. -f2 | sed 's/[^0-9].*//')
	[ "$major" -gt 6 ] || { [ "$major" = 6 ] && [ "$minor" -ge 4 ]; } || fail "$(uname -r)"
}

# What it says of this host, against what the kernel's files and the other tests say.
test_check_says_yes() {
	"$ccr_run" check >"$out" 2>"$err" || fail "ccr-run check: $(cat "$out" "$err")"
	for what in KVM GICv3 ITS ioeventfd irqfd 'SMCCC filter' 'emulated realms'; do
		want "$out" "^$what: *yes"
	done
	want "$out" '^realms: *\(yes: \|no: .*--realm=emulated\)'
	refuse "$out" ': *no: *$'
	thp=$(sed -n 's/.*\[\(.*\)\].*/\1/p' /sys/kernel/mm/transparent_hugepage/enabled)
	want "$out" "^huge pages: *${thp:-no: build}"
	pool=/sys/kernel/mm/hugepages/hugepages-2048kB
	[ -z "$top" ] && [ -d "$pool" ] || return 0
	echo 3 >"$pool/nr_hugepages"
	nr=$(cat "$pool/nr_hugepages")
	"$ccr_run" check --json >"$out" 2>"$err"
	echo 0 >"$pool/nr_hugepages"
	want "$out" "\"page_kib\": 2048, \"total\": $nr, \"free\": $nr "
}

# Confinement: each setting of the kernel turned off and on again.
test_check_sees_confinement() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	"$ccr_run" check >"$out" 2>"$err"
	limit=/proc/sys/user/max_user_namespaces
	if [ -f "$limit" ]; then
		want "$out" '^user namespaces: *yes'
		before=$(cat "$limit")
		echo 0 >"$limit"
		"$ccr_run" check >"$out" 2>"$err"
		echo "$before" >"$limit"
		want "$out" '^user namespaces: *no: .*user.max_user_namespaces='
		want "$out" '^name spaces of: *mounts, network'
	else
		want "$out" '^user namespaces: *no: .*CONFIG_USER_NS'
	fi
	if grep -q '^Seccomp_filters:' /proc/self/status; then
		want "$out" '^seccomp filters: *yes'
	else
		want "$out" '^seccomp filters: *no: .*CONFIG_SECCOMP_FILTER'
	fi
	if grep -q landlock /sys/kernel/security/lsm 2>/dev/null; then
		want "$out" '^Landlock: *yes, version [1-9]'
	fi
	want "$out" '^a 9p broker opens: *what is in its directory, and nothing else'
	want "$out" '^another reaches: *sockets in the directories'
	want "$out" '^no_new_privs: *yes, not set yet'
	if [ -e /dev/vhost-net ]; then
		want "$out" '^vhost-net: *yes'
	else
		want "$out" '^vhost-net: *no: there is no /dev/vhost-net: load the module vhost_net'
	fi
	want "$out" '^Yama: '
	want "$out" '^locked memory: *\(without limit\|up to [0-9]*\)'
	want "$out" '^a machine gets: *system call filters, an empty root directory, no network'
	limit=/proc/sys/user/max_net_namespaces
	[ -f "$limit" ] || return 0
	before=$(cat "$limit")
	echo 0 >"$limit"
	"$ccr_run" check >"$out" 2>"$err"
	"$ccr_run" check --json >"$dir/json" 2>>"$err"
	echo "$before" >"$limit"
	want "$out" '^ *not of network: .*user.max_net_namespaces='
	want "$out" "^a machine gets: .* the host's network"
	want "$dir/json" '"network": { "ok": false, "error": "ENOSPC"'
}

# Somebody who may not use /dev/kvm is told which group may, and the rest all the same.
test_check_without_permission() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	guard_kvm
	su stranger -c "$ccr_run check; echo status=\$?" >"$out" 2>"$err"
	mkdir "$dir/home"
	chown stranger "$dir/home"
	su stranger -c "$ccr_run --run-dir $dir/home/run -k $guest/Image; echo status=\$?" \
		>"$err" 2>&1
	unguard_kvm
	want "$err" '^ccr-run: error: .*/dev/kvm.*group kvm'
	want "$err" '^status=1'
	want "$out" '^KVM: *no: .*it is for group kvm; join it (`sudo usermod -aG kvm'
	want "$out" '^huge pages:'
	want "$out" '^status=0'
}

test_check_misses_kvm() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	mv /dev/kvm /dev/kvm.away
	launch -k "$guest/Image"
	mv /dev/kvm.away /dev/kvm
	want_status 1
	want "$err" /dev/kvm
}

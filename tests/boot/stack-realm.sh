# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# Real realms, on a host with an RMM (STACK=): the guests of the other tests find the same there,
# with the measurement that anyone can compute beforehand, and the host gets everything back.

limit=240

# is_measured ALGO HEX ARGUMENT... - the RIM that a realm has read is what `measure` computes
is_measured() {
	algo=$1
	seen=$2
	shift 2
	computed=$("$ccr_run" measure --realm=kvm --measurement-algo "$algo" "$@" \
		2>"$dir/measure") ||
		fail "ccr-run measure: $(cat "$dir/measure")"
	[ "${#seen}" = $((${algo#sha} / 4)) ] || fail "the guest has read no RIM of $algo: '$seen'"
	[ "$seen" = "$computed" ] || fail "the realm has RIM $seen, measured was $computed"
}

test_stack_check_says_yes() {
	"$ccr_run" check >"$out" 2>"$err" || fail "ccr-run check: $(cat "$err")"
	want "$out" '^realms: *yes'
	for what in guest_memfd 'memory attributes'; do
		want "$out" "^$what: *yes"
	done
	want "$out" '^a realm could have: .*\(vectors of 128\|no SVE\)'
	want "$out" '^its measurements: *sha-256'
}

# What is offered is what a launch may ask for: SHA-512 works if and only if `check` has it.
test_stack_check_knows_the_hashes() {
	"$ccr_run" check --json >"$out" 2>"$err"
	offered=$(sed -n 's/.*"hashes": \[ \([^]]*\) \].*/\1/p' "$out")
	launch --realm=kvm --measurement-algo sha512 --no-pci -k "$guest/rsi.img" -m 64M
	case $offered in
	*sha-512*) want_status 0 ;;
	*) want_status 1 ;;
	esac
}

# A choice that is not this host's is refused, with what the host has; the right one works.
test_stack_realm_abi() {
	launch --realm=kvm --realm-abi v16 -k "$guest/rsi.img" -m 64M
	want_status 1
	want "$err" 'realm-abi v16: this kernel creates no VM of its type'
	want "$err" 'what this kernel has is the explicit life-cycle'
	launch --realm=kvm --realm-abi v9,cap=300 -k "$guest/rsi.img" -m 64M
	want_status 1
	want "$err" 'realm-abi v9: a vCPU cannot be initialised'
	case $("$ccr_run" check) in
	*'up to v5'*) right=v5 wrong=v7 ;;
	*) right=v7 wrong=v5 ;;
	esac
	launch --realm=kvm --realm-abi "$wrong" -k "$guest/rsi.img" -m 64M
	want_status 1
	want "$err" "realm-abi $wrong"
	launch --realm=kvm --realm-abi "$right" --no-pci -k "$guest/rsi.img" -m 64M
	want_status 0
	want_tap
	want "$err" "KVM interface chosen as $right"
}

# The record has the launch from the first call to the last, and what the guest changed.
test_stack_record() {
	launch --realm=kvm --no-pci -k "$guest/rsi.img" -m 64M --record-ioctls "$dir/record"
	want_status 0
	want_tap
	[ "$(head -n 1 "$dir/record")" = "open /dev/kvm = kvm" ] || fail "not from the beginning"
	[ "$(tail -n 1 "$dir/record")" = "close kvm" ] || fail "not to the end"
	want "$dir/record" '^ioctl vm2 KVM_ENABLE_CAP [0-9]* ACTIVATE = 0$'
	want "$dir/record" '^ioctl vcpu0 KVM_RUN = .* MEMORY_FAULT private=0 at=0x8'
	want "$dir/record" '^punch gmem offset=0x[0-9a-f]* size=0x[0-9a-f]* = 0$'
	want "$dir/record" '^ioctl vcpu0 KVM_RUN = 0 power-off$'
	refuse "$dir/record" ' ? \| 0x[0-9a-f]* ='
}

stack_realm_with_cpus() {
	cpus=$1
	set -- -k "$guest/Image" -i "$guest/initrd.gz" -m 512M -c "$cpus" \
		-p "$token_params"
	launch --realm=kvm "$@"
	want_status 0
	want_ready "nr_cpus=$cpus" realm=1
	refuse "$err" 'not confidential\|nothing here is'
	take_token
	verify --challenge "$challenge"
	is_measured sha256 "$(claim rim)" "$@"
}

test_stack_realm_1cpu() {
	stack_realm_with_cpus 1
}

test_stack_realm_4cpus() {
	stack_realm_with_cpus 4
}

# Three that must agree: the build machine's, this host's, and the one in the token of the realm.
test_stack_rim_is_the_same_everywhere() {
	demo=$top/harness/demo.sh
	"$demo" demo "$ccr_run" "$guest/Image" "$guest/initrd.gz" >"$out" 2>"$err" </dev/null
	here=$("$demo" measure-demo "$ccr_run" "$guest/Image" "$guest/initrd.gz" 2>"$err")
	there=$(cat "$guest/rim-kvm")
	take_token
	verify
	token=$(claim rim)
	[ "${#token}" = 64 ] || fail "no RIM in a token"
	[ "$token" = "$here" ] || fail "in the token $token, measured here $here"
	[ "$here" = "$there" ] || fail "measured here $here, on the build machine $there"
	want "$out" '^CCR-DEMO status=0 .* disk=ok '
}

# rsi_guest ALGO ARGUMENT... - passes, and has read the RIM that was computed
rsi_guest() {
	algo=$1
	shift
	launch --realm=kvm --measurement-algo "$algo" -k "$guest/rsi.img" "$@"
	want_status 0
	want_tap
	rsi_rim=$(tr -d '\r' <"$out" | sed -n 's/^# rim=//p')
	is_measured "$algo" "$rsi_rim" -k "$guest/rsi.img" "$@"
}

test_stack_rsi_guest() {
	rsi_guest sha256 --no-pci -m 64M -c 2
	want "$out" '^ok .* empty page: protected read aborts'
}

test_stack_rsi_guest_1cpu() {
	rsi_guest sha256 --no-pci -m 64M -c 1
}

test_stack_rsi_guest_4cpus() {
	rsi_guest sha256 --no-pci -m 64M -c 4
	refuse "$out" '^ok .* # SKIP'
}

test_stack_rsi_guest_secondary_ends() {
	launch --realm=kvm -k "$guest/rsi.img" -m 64M -c 2 -p ccr.rsi=secondary-off
	want "$out" 'the second vCPU ends'
	want_status 0
	launch --realm=kvm -k "$guest/rsi.img" -m 64M -c 2 -p ccr.rsi=secondary-reset
	want_status 5
}

test_stack_rsi_guest_with_pci() {
	rsi_guest sha256 -m 64M
}

test_stack_rsi_guest_sha512_and_rpv() {
	rsi_guest sha512 -m 64M --realm-pv hex:c0ffee42
	want "$out" '^# .*rpv=c0ffee42'
}

# KVM cannot reset what a realm is made of: a realm never starts again.
test_stack_reset() {
	launch --realm=kvm -k "$guest/Image" -i "$guest/initrd.gz" -p "$quick ccr.then=reboot"
	want_status 5
	want_ready realm=1
}

test_stack_sigterm() {
	start --realm=kvm -k "$guest/Image" -i "$guest/initrd.gz" -p "$quick ccr.then=hang"
	await "$out" CCR-GUEST-READY
	stop_with TERM
	want_status 0
}

# kill_after TENTHS - a launch that is killed that long after its start, whatever it is doing then
kill_after() {
	# Not through timeout, which would be what is killed.
	"$ccr_run" run --realm=kvm -k "$guest/Image" -i "$guest/initrd.gz" -m 512M -c 2 \
		-p "$quick ccr.then=hang" </dev/null >"$out" 2>"$err" &
	pid=$!
	sleep "$(($1 / 10)).$(($1 % 10))"
	kill -KILL "$pid" || fail "ended by itself in the first $1 tenths of a second"
	wait "$pid"
	status=$?
	want_status 137
}

# The kernel gives every granule back to the host, and the RMM still takes them.
test_stack_sigkill_soak() {
	# Once without counting: what the kernel allocates for its first realm stays.
	kill_after 100
	before=$(settled_kib)
	kills=$(short_or_long 5 100)
	for nr in $(seq "$kills"); do
		# Spread over the time that a launch takes here, to the guest's userspace.
		random=$(od -An -tu2 -N2 /dev/urandom)
		tenths=$((100 * (nr - 1) / kills + random % (100 / kills) + 1))
		kill_after "$tenths"
		is_free_again "$before" ||
			fail "killed after $tenths/10 s: $((before - free)) KiB are gone"
		progress "kill $nr of $kills after $tenths/10 s: $((before - free)) KiB less free"
	done
	launch --realm=kvm -k "$guest/Image" -i "$guest/initrd.gz" -m 512M -c 2 \
		-p "$quick ccr.then=poweroff"
	want_status 0
	want_ready realm=1
}

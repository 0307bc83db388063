# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The bare-metal RSI guest in an emulated realm. Its own results are TAP; here they are one test.

# Without an ITS an EMPTY page aborts, as it does under an RMM.
test_rsi_guest() {
	launch --realm=emulated --no-pci -k "$guest/rsi.img" -m 64M -c 2
	want_tap
	want "$out" '^ok .* empty page: protected read aborts'
	want_status 0
}

# The same with one vCPU, and with four that call at the same time.
test_rsi_guest_1cpu() {
	launch --realm=emulated --no-pci -k "$guest/rsi.img" -m 64M -c 1
	want_tap
	want_status 0
}

test_rsi_guest_4cpus() {
	launch --realm=emulated --no-pci -k "$guest/rsi.img" -m 64M -c 4
	want_tap
	refuse "$out" '^ok .* # SKIP'
	want_status 0
}

# What is recorded is written by threads that may do little else.
test_rsi_guest_recorded() {
	launch --realm=emulated --no-pci -k "$guest/rsi.img" -m 64M --record-ioctls "$dir/record"
	want_tap
	want_status 0
	[ "$(head -n 1 "$dir/record")" = "open /dev/kvm = kvm" ] || fail "not from the beginning"
	[ "$(tail -n 1 "$dir/record")" = "close kvm" ] || fail "not to the end"
	want "$dir/record" '^ioctl vcpu0 KVM_RUN = '
}

# With one it shows what is shared there; the guest knows, and skips those checks.
test_rsi_guest_with_pci() {
	launch --realm=emulated -k "$guest/rsi.img" -m 64M
	want_tap
	want_status 0
}

# Sharing every second page must end the realm before it ends the host's mappings.
test_rsi_guest_fragments() {
	launch --realm=emulated --no-pci -k "$guest/rsi.img" -m 128M -p ccr.rsi=fragment
	want_status 4
	want "$err" 'in more than 8192 pieces'
}

# Exception vectors that abort themselves: the guest cannot go on, and the VMM must see it.
test_rsi_guest_faults_for_ever() {
	launch --realm=emulated --no-pci -k "$guest/rsi.img" -m 64M -p ccr.rsi=fault
	want_status 3
	want "$err" 'exception vectors'
}

test_rsi_guest_resets() {
	launch --realm=emulated -k "$guest/rsi.img" -m 64M -p ccr.rsi=reset
	want_status 5
}

# Who ends the machine need not be who began.
test_rsi_guest_secondary_ends() {
	launch --realm=emulated -k "$guest/rsi.img" -m 64M -c 2 -p ccr.rsi=secondary-off
	want "$out" 'the second vCPU ends'
	want_status 0
	launch --realm=emulated -k "$guest/rsi.img" -m 64M -c 2 -p ccr.rsi=secondary-reset
	want_status 5
}

# A host's kernel has to do this; not all that run real realms do (Documentation/conformance.md).
test_rsi_guest_suspends() {
	launch --realm=emulated -k "$guest/rsi.img" -m 64M -c 2 -p ccr.rsi=suspend
	want_status 0
	want "$out" 'CPU_SUSPEND: all woke up'
}

test_rsi_guest_is_silent() {
	start --realm=emulated --silence 2 -k "$guest/rsi.img" -m 64M -p ccr.rsi=silent
	await "$err" 'has printed nothing'
	stop_with TERM
	want_status 0
}

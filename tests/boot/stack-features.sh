# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets here, guest, ccr_run, dir, out, err
#
# On a host with an RMM (STACK=): a realm has the CPU features that were chosen, as far as the RMM
# has them, and its RIM is that of `measure` with the same choices.

# shellcheck source=features.sh source-path=SCRIPTDIR
. "$here/features.sh"

limit=300

# The second shortest vectors, so that not all are.
realm_sve() {
	offered realm_offer sve_bits | cut -d ' ' -f 2
}

test_stack_features_sve() {
	sve=$(realm_sve)
	[ -n "$sve" ] || skip "this host's realms have no SVE"
	bare_metal_cpu "sve=$sve" --realm=kvm
	[ "$((0x$(note SVE_BITS)))" = "$sve" ] || fail "vectors of 0x$(note SVE_BITS) bits"
	measured_with "sve=$sve" --realm=kvm -c 2
}

test_stack_features_linux() {
	sve=$(realm_sve)
	[ -n "$sve" ] || skip "this host's realms have no SVE"
	linux_cpu "sve=$sve,pmu=2" --realm=kvm
	linux_has sve
	want "$out" "^CCR-GUEST-CPU sve-bits $sve\\b"
	# Linux counts the one of cycles as well.
	want "$out" '^CCR-GUEST-CPU pmu-counters 3\b'
}

test_stack_features_pmu() {
	[ "$(offered realm_offer pmu_counters)" -gt 2 ] || skip "this host's realms have no PMU"
	bare_metal_cpu pmu=2 --realm=kvm
	[ "$(note PMU_COUNTERS)" = 2 ] || fail "a PMU with 0x$(note PMU_COUNTERS) counters"
	measured_with pmu=2 --realm=kvm -c 2
}

# TF-RMM v0.6.0 shows the CPU's own numbers in ID_AA64DFR0_EL1, whatever a realm was created with.
test_stack_features_debug() {
	measured_with breakpoints=4,watchpoints=2 --realm=kvm
}

test_stack_features_refused() {
	launch --realm=kvm -k "$guest/rsi.img" -m 64M --no-pci --cpu-feature lse=off
	want_status 2
	want "$err" "a realm's ID registers are the RMM's"
	launch --realm=kvm -k "$guest/rsi.img" -m 64M --no-pci --cpu-feature pmu=31
	want_status 1
	want "$err" 'cpu-feature pmu=31: '
}

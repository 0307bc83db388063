/* SPDX-License-Identifier: Apache-2.0 */
/* What this host's KVM can do, for `ccr-run check`; and for each "no" the cause and the way out. */
#ifndef CCR_REPORT_H
#define CCR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/features.h"
#include "ccr/realm_kvm.h"

/** enum report_item - what there is a yes or no to */
enum report_item {
	REPORT_KVM, /* /dev/kvm can be used; the others are meaningful only then */
	REPORT_GICV3,
	REPORT_ITS,          /* message interrupts, which PCI devices need */
	REPORT_IRQFD,        /* the kernel raises interrupts for a descriptor */
	REPORT_IOEVENTFD,    /* and signals one for a guest's write */
	REPORT_SMCCC_FILTER, /* what emulated realms live on */
	REPORT_EMULATED,
	REPORT_GUEST_MEMFD,
	REPORT_ATTRIBUTES, /* a VM's memory attributes, up to series v14 */
	REPORT_REALM,
	REPORT_NR
};

/**
 * struct cpu_offer - what the host would let a guest's CPU have
 * @sve_vls: bit n: vectors of (n + 1) * 128 bits; 0 without SVE
 * @has_pmu: a PMU, with @nr_counters counters beside that of cycles
 * @nr_breakpoints, @nr_watchpoints: at most; 0 if that cannot be read
 * @present: bit n: enum cpu_feature n, of FEATURE_PAUTH on
 * @switchable: those of @present that a guest can be without
 */
struct cpu_offer {
	unsigned sve_vls;
	bool has_pmu;
	unsigned nr_counters;
	unsigned nr_breakpoints;
	unsigned nr_watchpoints;
	uint32_t present;
	uint32_t switchable;
};

/**
 * offer_probe_cpu() - ask on throw-away VMs
 * @abi: of realms; NULL for plain VMs and emulated realms
 * @ipa_bits: a width that such VMs can have
 *
 * What a kernel refuses is not offered; why does not matter here.
 */
void offer_probe_cpu(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
		     struct cpu_offer *ret_offer);

/**
 * struct realm_offer - what the host would let a realm have
 * @hashes: bit n: measurements by enum hash_algo n
 * @cpu: as KVM knows it; the RMM decides what the guest sees
 */
struct realm_offer {
	unsigned hashes;
	struct cpu_offer cpu;
};

/**
 * realm_offer_probe() - ask on throw-away VMs
 * @ipa_bits: a width that realms can have
 *
 * What a kernel refuses is not offered; why does not matter here.
 */
void realm_offer_probe(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
		       struct realm_offer *ret_offer);

/**
 * struct report - findings
 * @found: an error record with code 0 means yes
 * @ipa_bits, @max_vcpus: limits of plain VMs
 * @cpu: what plain VMs and emulated realms can have
 * @abi, @realm_host, @offer: the realm interface, what it adds to a RIM, what else a realm could
 *	have; valid if REPORT_REALM is yes. @realm_host.rmm is the variant to expect of the
 *	interface's time.
 */
struct report {
	struct ccr_err found[REPORT_NR];
	unsigned ipa_bits;
	unsigned max_vcpus;
	struct cpu_offer cpu;
	struct realm_abi abi;
	struct realm_host realm_host;
	struct realm_offer offer;
};

/** report_make() - look at the host; harmless, and everything opened is closed again */
void report_make(struct report *report);

#endif

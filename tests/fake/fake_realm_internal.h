/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the realm hosts share. All of it is under the model's lock. */
#ifndef FAKE_REALM_INTERNAL_H
#define FAKE_REALM_INTERNAL_H

#include "fake_kvm_internal.h"
#include "fake_realm.h"

#define FAKE_PAGE 4096ull

/**
 * struct fake_rules - what tells one generation from another
 * @vm_type: the bit that asks for a realm
 * @no_rmm: what it is answered without an RMM
 * @cap: number of the capability
 * @is_explicit: user space drives the life-cycle, by KVM_ENABLE_CAP
 * @wrong_state: explicit: contents before the realm is created, or after it is active
 * @no_gmem: explicit: population of a slot without guest_memfd
 * @ripas_again: explicit: initial RIPAS of pages that are populated
 * @rec_feature: bit that KVM_ARM_VCPU_INIT takes for a REC; 0: none
 * @rec_finalize: argument of KVM_ARM_VCPU_FINALIZE
 * @populate: number of the request
 * @returns_bytes: and it tells so what it has done
 * @plain_populate: what a VM that is no realm answers
 * @no_source: source address 0
 * @twice: a page that is populated already
 * @bounds_range: it looks where the range lies before it looks for a slot; an empty one is done
 * @has_vm_attributes: KVM_SET_MEMORY_ATTRIBUTES; else each guest_memfd keeps its own
 * @checks_private, @checks_shared: accesses through the protected, the shared address must suit the
 *	attribute
 * @changes_first: RIPAS is changed before user space hears of it, not at the next entry
 * @must_match: at that entry the attribute must suit the change
 * @reports_zero: and if it does not, KVM_RUN returns 0
 * @sets_ripas: the first KVM_RUN makes all of RAM RIPAS RAM
 * @lists_caps: a realm VM denies all of the architecture's capabilities that are not on a list
 * @filters_caps: and none of the others can be enabled
 * @needs_gic: KVM_RUN does not initialise the GIC itself
 * @dies_without_gic: a KVM_RUN without an interrupt controller in the kernel is a failed activation
 * @dead_run: KVM_RUN of a realm that could not be activated
 * @dead_is_late: but immediate_exit comes first
 * @kills_vm: no request of such a VM is answered any more
 */
struct fake_rules {
	const char *name;
	unsigned long vm_type;
	int no_rmm;
	unsigned cap;
	bool is_explicit;
	int wrong_state, no_gmem, ripas_again;
	unsigned rec_feature, rec_finalize;
	unsigned long populate;
	bool returns_bytes;
	int plain_populate, no_source, twice;
	bool bounds_range;
	bool has_vm_attributes;
	bool checks_private, checks_shared;
	bool changes_first;
	bool must_match;
	bool reports_zero;
	bool sets_ripas;
	bool lists_caps, filters_caps;
	bool needs_gic, dies_without_gic;
	int dead_run;
	bool dead_is_late, kills_vm;
};

enum fake_realm_state { FAKE_REALM_NONE, FAKE_REALM_NEW, FAKE_REALM_ACTIVE, FAKE_REALM_DEAD };

/** struct fake_change - of RIPAS, between the exit and the entry that commits it; @size 0: none */
struct fake_change {
	uint64_t base, size;
	bool to_ram;
	bool change_destroyed;
};

#define FAKE_REALM_MAX_STEPS 64

/**
 * struct fake_realm - a realm VM
 * @base, @size, @host: its RAM, one slot; @size 0: there is none yet
 * @pages, @memory: of the RAM
 * @dfr0: ID_AA64DFR0_EL1, with the numbers of breakpoints and watchpoints
 * @has_rec_bit, @has_rec, @tried_rec, @entry: of each vCPU
 * @gic_is_spoilt: a vCPU has run before it was initialised
 */
struct fake_realm {
	const struct fake_rules *rules;
	enum fake_realm_state state;
	uint64_t base, size, host;
	uint64_t gmem_size;
	bool has_gmem_slot;
	struct fake_page *pages;
	uint8_t *memory;
	uint8_t rpv[PLAN_RPV_SIZE];
	unsigned hash;
	uint64_t dfr0;
	bool has_rec_bit[FAKE_REALM_MAX_VCPUS];
	bool has_rec[FAKE_REALM_MAX_VCPUS];
	bool tried_rec[FAKE_REALM_MAX_VCPUS];
	bool gic_is_spoilt;
	uint64_t entry[FAKE_REALM_MAX_VCPUS][1 + PLAN_NR_GPRS];
	struct fake_change change[FAKE_REALM_MAX_VCPUS];
	struct fake_guest_op *op[FAKE_REALM_MAX_VCPUS];
	unsigned nr_steps;
	struct fake_step steps[FAKE_REALM_MAX_STEPS];
};

/** fake_realm_host() - the host's description */
const struct fake_realm_host *fake_realm_host(void);

/** fake_realm_add_step() - the RMM has done something that enters the RIM */
void fake_realm_add_step(struct fake_realm *realm, struct fake_step step);

/** fake_realm_find() - the page at @at, or NULL outside RAM */
struct fake_page *fake_realm_find(const struct fake_realm *realm, uint64_t at);

/** fake_realm_lose() - the host has taken a page out of the realm */
void fake_realm_lose(struct fake_realm *realm, uint64_t at);

/** fake_realm_create_rec() - of a vCPU that may have none. Return: 0 or the kernel's -errno. */
int fake_realm_create_rec(struct fake_vm *vm, unsigned index);

/** fake_realm_run() - KVM_RUN */
int fake_realm_run(struct fake_vcpu *vcpu);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a realm is made of, and in which order.
 *
 * A plan is the owner's wish; struct realm_host says what the host adds. Together they give the
 * ordered steps, by a pure function. Steps have two consumers, a backend that executes them and
 * the RIM engine that hashes them; because the order is part of the measurement, neither chooses
 * it.
 */
#ifndef CCR_PLAN_H
#define CCR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/hash.h"
#include "ccr/ipa.h"

/** PLAN_RPV_SIZE - bytes of the realm personalisation value (RMM spec B4.4.12 RmiRealmParams) */
#define PLAN_RPV_SIZE 64

#define PLAN_MAX_SEGMENTS 8
#define PLAN_MAX_VCPUS    512
#define PLAN_NR_GPRS      8 /* X0..X7 enter a REC (RMM spec RmiRecParams) */

/** enum realm_family - the generations of KVM's realm interface, by who drives the life-cycle */
enum realm_family {
	REALM_FAMILY_EXPLICIT,      /* series v1 to v11: the VMM, through KVM_ENABLE_CAP */
	REALM_FAMILY_IMPLICIT,      /* v12 to v14: KVM, at the first KVM_RUN */
	REALM_FAMILY_IMPLICIT_GMEM, /* v15 on: as before; attributes owned by guest_memfd */
};

/** NR_REALM_FAMILIES - how many they are */
#define NR_REALM_FAMILIES 3

/** enum rmm_variant - how the RMM computes the RIM */
enum rmm_variant {
	RMM_1_0,       /* specification 1.0; TF-RMM v0.4 to v0.8 */
	RMM_2_0_TFRMM, /* TF-RMM v0.9 and its main of July 2026: RIPAS is not measured */
	RMM_2_0_SPEC,  /* specification 2.0 beta: parameters are not measured either */
};

/** NR_RMM_VARIANTS - how many they are */
#define NR_RMM_VARIANTS 3

/**
 * plan_rmm_name() - the name of a variant
 *
 * Return: "1.0", "2.0-tfrmm" or "2.0-spec".
 */
const char *plan_rmm_name(enum rmm_variant rmm);

/** plan_rmm_from_name() - the inverse. Return: 0; -EINVAL, and *@ret_rmm is untouched. */
int plan_rmm_from_name(const char *name, enum rmm_variant *ret_rmm);

/**
 * plan_family_name() - the name of an interface family
 *
 * Return: "explicit", "implicit" or "implicit-gmem".
 */
const char *plan_family_name(enum realm_family family);

/** plan_family_from_name() - the inverse. Return: 0; -EINVAL, and *@ret_family is untouched. */
int plan_family_from_name(const char *name, enum realm_family *ret_family);

/**
 * struct realm_host - what the host adds to a realm and thereby to its RIM
 * @max_ipa_bits: the widest IPA space that its realms can have; 0 if that is not known. The only
 *	member that does not enter the RIM.
 * @num_bps: breakpoints minus 1, as RmiRealmParams has it: 0 to 63
 * @num_wps: watchpoints minus 1: 0 to 63
 * @pmu: the realm has a PMU, with @pmu_num_ctrs counters (0 to 31)
 * @sve: the realm has SVE, with vectors of (@sve_vl + 1) * 128 bits (@sve_vl 0 to 15)
 * @lpa2: the realm uses 52-bit descriptors
 */
struct realm_host {
	enum realm_family family;
	enum rmm_variant rmm;
	unsigned max_ipa_bits;
	unsigned num_bps;
	unsigned num_wps;
	bool pmu;
	unsigned pmu_num_ctrs;
	bool sve;
	unsigned sve_vl;
	bool lpa2;
};

/**
 * struct plan_segment - a piece of initial memory
 * @name: "kernel", "initrd", "device tree": static
 * @base: first byte, granule aligned
 * @size: bytes, a multiple of the granule, not 0
 * @lead_size: zero bytes before @data (an image that does not start on a granule)
 * @data: @data_size bytes, borrowed for the life of the plan; NULL in a plain VM's, if they
 *	are still in a file (launch_image_of())
 * @data_size: @lead_size + @data_size <= @size; the rest is zero
 * @measured: the content enters the RIM; otherwise only the address does
 */
struct plan_segment {
	const char *name;
	ipa_t base;
	uint64_t size;
	uint64_t lead_size;
	const uint8_t *data;
	uint64_t data_size;
	bool measured;
};

/**
 * struct plan - the owner's wish
 * @ipa_bits: width of the realm's IPA space, 33 to 52
 * @ram_base, @ram_size: the one RAM range; 2 MiB aligned
 * @segments: ascending, disjoint, inside RAM
 * @pc, @gprs: first registers of vCPU 0; all others start powered off
 */
struct plan {
	enum hash_algo hash_algo;
	uint8_t rpv[PLAN_RPV_SIZE];
	unsigned ipa_bits;
	unsigned nr_vcpus;
	ipa_t ram_base;
	uint64_t ram_size;
	unsigned nr_segments;
	struct plan_segment segments[PLAN_MAX_SEGMENTS];
	uint64_t pc;
	uint64_t gprs[PLAN_NR_GPRS];
};

/**
 * plan_check_params() - what enters RmiRealmParams is in range and known to the RMM
 *
 * Looks at the hash algorithm, the IPA width and @host. A width above 48 bits needs LPA2, and none
 * can be above the host's.
 *
 * Return: 0; -EINVAL for a number out of range; -EOPNOTSUPP for a hash that the RMM lacks; @err
 * set.
 */
int plan_check_params(const struct plan *plan, const struct realm_host *host, struct ccr_err *err);

/**
 * plan_add() - add a segment, keeping them in ascending order
 * @plan: its RAM range must be set; untouched on error
 * @name: static, for messages
 * @base: first byte of @data, any alignment; granules around it are zero-filled
 * @data: borrowed for the life of the plan; or NULL, see struct plan_segment
 * @min_size: the segment covers at least this many bytes from @base (zero-filled); 0 for no wish
 *
 * Return: 0; -EINVAL with @err set: outside RAM, overlapping another segment (sharing a granule is
 * enough), too many, empty.
 */
int plan_add(struct plan *plan, const char *name, ipa_t base, const uint8_t *data,
	     uint64_t data_size, uint64_t min_size, bool measured, struct ccr_err *err);

/**
 * plan_page() - content of one granule of a segment
 * @index: granule number in the segment, below @segment->size / GRANULE_SIZE
 * @page: GRANULE_SIZE bytes, filled
 */
void plan_page(const struct plan_segment *segment, uint64_t index, uint8_t page[GRANULE_SIZE]);

enum plan_step_kind {
	PLAN_CREATE,     /* RMI_REALM_CREATE, RMM spec B4.3.9 */
	PLAN_INIT_RIPAS, /* RMI_RTT_INIT_RIPAS, B4.3.19: @base, @size */
	PLAN_DATA,       /* RMI_DATA_CREATE, B4.3.1, for each granule of @segment */
	PLAN_REC,        /* RMI_REC_CREATE, B4.3.12, of vCPU @vcpu; only vCPU 0's is runnable */
	PLAN_ACTIVATE,   /* RMI_REALM_ACTIVATE, B4.3.8 */
};

/**
 * struct plan_step - one step; of the other members only those that its kind names are not zero
 * @segment: points into the plan
 */
struct plan_step {
	enum plan_step_kind kind;
	ipa_t base;
	uint64_t size;
	const struct plan_segment *segment;
	unsigned vcpu;
};

/** PLAN_MAX_STEPS - create, one RIPAS range, the segments, the RECs, activate */
#define PLAN_MAX_STEPS (3 + PLAN_MAX_SEGMENTS + PLAN_MAX_VCPUS)

/**
 * plan_steps() - the order in which @host's interface family carries out @plan
 * @steps: room for PLAN_MAX_STEPS
 *
 * Explicit: create, RIPAS of all RAM, measured segments, RECs, unmeasured segments, activate.
 * Implicit families: create, measured segments, unmeasured ones, RECs, RIPAS of all RAM, activate
 * (KVM does the last three at the first KVM_RUN). Segments of one sort come in ascending order.
 *
 * A plan that the family cannot carry out is refused: the implicit families have neither a
 * personalisation value nor a choice of hash. The explicit one passes on what the RMM has: SHA-384
 * is of RMM 2.0, which no known series of that family goes with.
 *
 * Return: 0 and *@ret_nr_steps; -EINVAL for a plan whose numbers are out of range; -EOPNOTSUPP
 * for one that asks for what the RMM or the family lacks; @err set.
 */
int plan_steps(const struct plan *plan, const struct realm_host *host,
	       struct plan_step steps[PLAN_MAX_STEPS], unsigned *ret_nr_steps, struct ccr_err *err);

#endif

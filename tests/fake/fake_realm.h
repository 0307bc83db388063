/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts with KVM's realm interface, an extension of the model in fake_kvm.h: one generation of the
 * kernel series "arm64: Support for Arm CCA in KVM" (Steven Price, v5 to v16), with its rules, its
 * error numbers and an RMM behind it. What the kernel would do silently but nobody can want (a
 * populate of nothing, a page taken from the guest that still counts on it) is a misuse.
 *
 * The RMM's side keeps the RIPAS of every page and the steps that enter the RIM. Guests are lists
 * of operations, executed by KVM_RUN; what was begun before an exit is finished by the next entry.
 */
#ifndef FAKE_REALM_H
#define FAKE_REALM_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/plan.h"
#include "fake_kvm.h"

/** enum fake_generation - what the host's kernel is built from */
enum fake_generation {
	FAKE_V5,
	FAKE_V7,
	FAKE_V8,
	FAKE_V9,
	FAKE_V10,
	FAKE_V11, /* explicit: read in a tree that carries it, never run */
	FAKE_V12,
	FAKE_V13,
	FAKE_V14,
	FAKE_V15,
	FAKE_V16,
	FAKE_POST_V16, /* trees after v16, as far as it is known what they do */
	FAKE_UPSTREAM, /* no CCA */
	FAKE_NR_GENERATIONS
};

/** FAKE_NR_REALM_GENERATIONS - those whose realms can be run come first */
#define FAKE_NR_REALM_GENERATIONS FAKE_POST_V16

/**
 * struct fake_realm_host - the host
 * @has_no_rmm: the kernel found none that it can use
 * @has_no_gmem: built without guest_memfd
 * @has_no_sha512: the RMM's choice
 * @ipa_bits: widest realm; 0 for 48
 * @vm_ipa_bits: widest plain VM; 0 for 48
 * @run_size: bytes of a vCPU's shared page; 0 for one page
 * @cap: number of the capability, where a rebase has moved it; 0 for the posting's
 * @populate_size: implicit families: bytes that one request does at most; 0 for all
 * @ripas_size: v5: bytes that one exit changes at most; 0 for all
 * @nr_busy: so many changes of a guest_memfd's attributes find the page in use
 * @busy_moves: each time a page further on
 * @nr_interrupted: implicit families: so many populates are interrupted before they have begun
 * @activation_error: implicit families: it fails with this when the RECs are there
 * @has_no_attributes2: a guest_memfd has no such request
 * @sve_vls: a realm's vCPUs can have SVE, with vectors of (n + 1) * 128 bits for each bit n
 * @pmu_counters: they can have a PMU with so many counters
 * @cap_file, @in_place_file: contents of the files in /sys/module/kvm/parameters; NULL: no file
 */
struct fake_realm_host {
	enum fake_generation generation;
	bool has_no_rmm;
	bool has_no_gmem;
	bool has_no_sha512;
	bool has_no_attributes2;
	unsigned ipa_bits;
	unsigned vm_ipa_bits;
	size_t run_size;
	unsigned cap;
	uint64_t populate_size;
	uint64_t ripas_size;
	unsigned nr_busy;
	bool busy_moves;
	unsigned nr_interrupted;
	int activation_error;
	uint64_t sve_vls;
	unsigned pmu_counters;
	const char *cap_file;
	const char *in_place_file;
};

/** fake_realm_begin() - fake_kvm_begin() with such a host; ended by fake_kvm_end() */
void fake_realm_begin(const struct fake_realm_host *host);

/** fake_generation_name() - "v5" and so on */
const char *fake_generation_name(enum fake_generation generation);

/* Guests. */

enum fake_guest_kind {
	FAKE_GUEST_OFF,     /* PSCI SYSTEM_OFF; the last operation of a list */
	FAKE_GUEST_RESET,   /* PSCI SYSTEM_RESET, likewise */
	FAKE_GUEST_WAIT,    /* guest code, until a signal comes: KVM_RUN returns EINTR, once */
	FAKE_GUEST_RIPAS,   /* RSI_IPA_STATE_SET of [@at, @at + @size) */
	FAKE_GUEST_PRIVATE, /* an access to the 8 bytes at @at */
	FAKE_GUEST_SHARED,  /* the same through the shared alias; @at has not the bit */
};

/**
 * struct fake_guest_op - one operation; results may be looked at between two runs
 * @to_ram: RIPAS RAM, else EMPTY
 * @change_destroyed: RSI_CHANGE_DESTROYED: pages that the host has taken away may change, too
 * @is_write, @value: of the access; what was read comes to @value
 * @nr_exits: memory faults that it has led to
 * @nr_aborts: external aborts that the RMM has given it instead
 */
struct fake_guest_op {
	enum fake_guest_kind kind;
	uint64_t at;
	uint64_t size;
	bool to_ram;
	bool change_destroyed;
	bool is_write;
	uint64_t value;
	unsigned nr_exits;
	unsigned nr_aborts;
};

/** FAKE_REALM_MAX_VCPUS - of one realm */
#define FAKE_REALM_MAX_VCPUS 8

/** fake_realm_set_guest() - what a vCPU of every realm from now on executes; @ops is borrowed */
void fake_realm_set_guest(unsigned vcpu, struct fake_guest_op *ops);

/* Look at the realm that was created last; it may be closed by now. */

enum fake_ripas { FAKE_EMPTY, FAKE_RAM, FAKE_DESTROYED };

/**
 * struct fake_page - a granule of RAM
 * @is_private: its memory attribute
 * @is_held: the guest_memfd has a page for it
 */
struct fake_page {
	enum fake_ripas ripas;
	bool is_private;
	bool is_held;
};

struct fake_page fake_realm_page(uint64_t at);

/** fake_realm_read() - the protected memory of the guest */
void fake_realm_read(uint64_t at, void *bytes, size_t size);

/**
 * struct fake_step - what the RMM did, in its order; parts of one populate are one step
 * @base, @size: RIPAS and data
 * @is_measured: data
 */
struct fake_step {
	enum plan_step_kind kind;
	uint64_t base;
	uint64_t size;
	bool is_measured;
	unsigned vcpu;
};

/** fake_realm_steps() - Return: the steps, *@ret_nr of them */
const struct fake_step *fake_realm_steps(unsigned *ret_nr);

/** fake_realm_rpv(), fake_realm_hash() - what the realm was created with */
const uint8_t *fake_realm_rpv(void);
unsigned fake_realm_hash(void);

/** fake_realm_entry() - PC (@reg 0) or X0 to X7 (1 to 8) of a vCPU as its REC was created */
uint64_t fake_realm_entry(unsigned vcpu, unsigned reg);

/* Traces that were recorded elsewhere. */

/**
 * fake_realm_replay() - make the requests of a recorded trace
 * @trace: lines as in fake_kvm_trace(), "request args = result", of a program that is alone with
 *	its KVM: descriptors have the names of the trace. The result is a name, a number or an error
 *	("-EINVAL"). Empty lines, and lines that begin with '#' or a word that is no request, count
 *	for nothing.
 * @why: 256 bytes: the line that the model answers differently and how; "" if there is none
 *
 * Memory behind addresses is not part of a trace: images are zeros, in host memory of the replay's.
 * KVM_RUN is made with immediate_exit set, as in a launch, unless the guest has been in it: then
 * the guest of the model does what the recorded one must have done to exit like this. "KVM_RUN
 * enter" is made without, whatever comes of it. A population is from the host memory of its range;
 * "source=" is another address, "source+" another offset there, "reserved=" that field.
 *
 * Return: number of the first line that differs or is not understood, 0 if there is none.
 */
unsigned fake_realm_replay(const char *trace, char why[256]);

#endif

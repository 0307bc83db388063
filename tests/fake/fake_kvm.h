/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of arm64's KVM in this process, behind the functions kvm_sys_*() of "ccr/kvm.h". It is
 * as strict as the kernel about arguments and order, answers with the kernel's error numbers, and
 * where the kernel would silently do something that nobody can want (a descriptor closed twice, a
 * vCPU asked about itself while it runs) it notes a misuse, which fails the test.
 *
 * Guests are scripts: a list of operations for each vCPU. What an operation leads to is decided as
 * on a machine: a store to RAM stays in the guest, one to a hole is an MMIO exit, an SMC goes where
 * the filter says. PSCI and the interrupt controller's registers are the kernel's.
 *
 * There is one model at a time. Its functions may be called from any thread, fake_kvm_begin() and
 * fake_kvm_end() from the test's only.
 */
#ifndef FAKE_KVM_H
#define FAKE_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_run.h"

/** enum fake_id - the ID registers that the model has */
enum fake_id { FAKE_PFR1, FAKE_DFR0, FAKE_ISAR0, FAKE_ISAR1, FAKE_NR_IDS };

/**
 * struct fake_host - what the host can do
 * @open_error: -errno of opening /dev/kvm, or 0
 * @ipa_bits: widest guest address space; 0 if the kernel does not tell, when it is 40
 * @max_vcpus: per VM
 * @run_size: bytes of a vCPU's shared page; 0 for one page
 * @mmfr0: ID_AA64MMFR0_EL1 of its vCPUs
 * @sve_vls: they can have vectors of (n + 1) * 128 bits for each bit n; 0 without SVE
 * @pmu_counters: 0 without a PMU
 * @has_fixed_ids: the kernel is too old for a VMM to lower what follows, or the counters
 * @ids: ID registers
 */
struct fake_host {
	int open_error;
	int api_version;
	unsigned ipa_bits;
	unsigned max_vcpus;
	size_t run_size;
	uint64_t mmfr0;
	bool has_filter;
	bool has_gicv3;
	bool has_nisv;
	bool has_immediate_exit;
	bool has_inject_abort;
	bool has_eventfds; /* irqfd and ioeventfd, as it says of itself */
	uint64_t sve_vls;
	unsigned pmu_counters;
	bool has_pauth;
	bool has_fixed_ids;
	uint64_t ids[FAKE_NR_IDS];
};

/** fake_host_default - a current kernel on a large machine */
extern const struct fake_host fake_host_default;

/** fake_kvm_begin() - a new model; @host is copied. Ends an old one that a failed test left. */
void fake_kvm_begin(const struct fake_host *host);

/** fake_kvm_end() - fails the test if a descriptor or page is left, or something was misused */
void fake_kvm_end(void);

/** fake_kvm_misuse() - the first one; NULL if there was none. Forgets it. */
const char *fake_kvm_misuse(void);

/** fake_kvm_nr_open() - descriptors and shared pages that are in use */
unsigned fake_kvm_nr_open(void);

/*
 * Faults. Every call of kvm_sys_open(), kvm_sys_ioctl(), kvm_sys_map_run() and kvm_sys_punch()
 * counts.
 */

/** fake_kvm_fail_call() - the @number-th call from now on (from 1) only fails, with @error */
void fake_kvm_fail_call(unsigned number, int error);

/** fake_kvm_failed_call() - which call that was, as in the trace; "" while it has not come */
const char *fake_kvm_failed_call(void);

/**
 * fake_kvm_trace() - what the test's own thread has asked for, a line a call, KVM_RUN left out
 *
 * "ioctl vm1 KVM_CREATE_VCPU id=0 = vcpu0": VMs are numbered in the order of their creation, and
 * what creates something has its name as the result.
 */
const char *fake_kvm_trace(void);

/* Guests. */

enum fake_op_kind {
	FAKE_END,       /* nothing more: wait for ever, as in WFI */
	FAKE_LOAD,      /* @size bytes at address @at; they come to @value, unless it aborts */
	FAKE_STORE,     /* @size bytes of @value to @at */
	FAKE_LOAD_PAIR, /* an access that the hardware does not describe to KVM */
	FAKE_FETCH,     /* jump to @at and fetch there */
	FAKE_ERET,      /* from an abort's handler to the instruction behind */
	FAKE_SMC,       /* @x in X0 to X10; what is there afterwards comes back */
	FAKE_HVC,
	FAKE_CALL,     /* @call, as guest code, again and again until it returns false */
	FAKE_SET_VBAR, /* exception vectors to @at */
	FAKE_SET_MMU,  /* on if @value */
	FAKE_EXIT,     /* KVM_RUN ends with page @exit and result @ret */
};

#define FAKE_NR_X 11

/**
 * struct fake_op - one operation of a guest; results are valid once the vCPU's thread has ended
 * @times: how often; 0 means once
 * @exit: borrowed
 * @nr_done: how often it has been done, or has been aborted
 * @nr_aborts: how often it has taken an abort
 */
struct fake_op {
	enum fake_op_kind kind;
	unsigned times;
	uint64_t at;
	unsigned size;
	uint64_t value;
	uint64_t x[FAKE_NR_X];
	bool (*call)(void *ctx);
	void *ctx;
	const struct kvm_run *exit;
	int ret;
	unsigned nr_done;
	unsigned nr_aborts;
};

/**
 * fake_kvm_set_guest() - what vCPU @vcpu executes, in the @life-th VM that gets vCPUs (from 1)
 * @ops: borrowed until fake_kvm_end(); the last one is FAKE_END
 */
void fake_kvm_set_guest(unsigned life, unsigned vcpu, struct fake_op *ops);

/**
 * fake_kvm_guest_read(), fake_kvm_guest_write() - guest memory, as the code of a FAKE_CALL has it
 * @at: with the shared bit, if that side is meant
 *
 * Return: false if there is no memory, or user space has made it inaccessible.
 */
bool fake_kvm_guest_read(uint64_t at, void *bytes, size_t size);
bool fake_kvm_guest_write(uint64_t at, const void *bytes, size_t size);

/* PSCI calls for FAKE_SMC and FAKE_HVC (Arm DEN0022). */
#define FAKE_PSCI_VERSION      0x84000000u
#define FAKE_PSCI_CPU_OFF      0x84000002u
#define FAKE_PSCI_CPU_ON       0xC4000003u /* X1 MPIDR, X2 entry, X3 to X0 */
#define FAKE_PSCI_SYSTEM_OFF   0x84000008u
#define FAKE_PSCI_SYSTEM_RESET 0x84000009u

#define FAKE_PSCI_ALREADY_ON ((uint64_t)-4)

/** fake_kvm_nr_running() - vCPUs that execute guest code now */
unsigned fake_kvm_nr_running(void);

enum fake_reg {
	FAKE_PC,
	FAKE_PSTATE,
	FAKE_ELR,
	FAKE_SPSR,
	FAKE_ESR,
	FAKE_FAR,
	FAKE_VBAR,
	FAKE_SCTLR,
	FAKE_PSCI,
	FAKE_MMFR0,
	FAKE_NR_REGS
};

/** fake_kvm_reg() - a register of a vCPU of the VM that was created last, also after its end */
uint64_t fake_kvm_reg(unsigned vcpu, enum fake_reg reg);

/** fake_kvm_is_off() - PSCI's view, likewise */
bool fake_kvm_is_off(unsigned vcpu);

/** fake_kvm_irq_level() - a shared interrupt's line in that VM; @spi 0 is INTID 32 */
bool fake_kvm_irq_level(unsigned spi);

/** fake_kvm_nr_msis() - message interrupts that have come in that VM */
unsigned fake_kvm_nr_msis(void);

#endif

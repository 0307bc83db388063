/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A realm's view of the Realm Services Interface 1.0 (RMM specification 1.0-rel0, B5), checked
 * call by call.
 */
#ifndef GUEST_RSI_SUITE_H
#define GUEST_RSI_SUITE_H

#include "lib/arch.h"
#include "lib/machine.h"
#include "lib/realm.h"
#include "lib/sha2.h"
#include "lib/tap.h"

#define NR_MEASUREMENTS  5
#define MEASUREMENT_SIZE 64
#define SMCCC_VERSION    0x80000000u

/** TEAM_MAX - vCPUs that do something at the same time; more than these stay off */
#define TEAM_MAX        4
#define TEAM_STACK_SIZE (2 * PAGE_SIZE)

struct team;

/**
 * struct member - one vCPU of a team; what passes between vCPUs has one writer
 * @index: 0 is the boot vCPU
 * @ready, @done: set by the member
 * @nr_calls, @nr_errors: of its job; @error is the first call that went wrong, as it came back
 * @status, @size: what a job has to tell
 */
struct member {
	struct cpu cpu;
	struct team *team;
	unsigned index;
	volatile uint64_t ready, done;
	uint64_t nr_calls, nr_errors;
	struct regs error;
	int64_t status;
	uint64_t size;
};

/**
 * struct team - the vCPUs that do a job together. Device memory: no caches, no exclusives, and
 * barriers where order counts.
 * @job: what each does once all are there
 * @go: set by the boot vCPU
 */
struct team {
	struct suite *suite;
	unsigned nr;
	void (*job)(struct member *member);
	volatile uint64_t go;
	struct member members[TEAM_MAX];
};

/**
 * struct scratch - granules for the calls to act on, in protected RAM
 * @config: RSI_REALM_CONFIG's answer, CONFIG_FILL before
 * @below, @page, @above: neighbours; @page is the one whose state changes
 * @spare: a second victim
 */
struct scratch {
	uint8_t config[PAGE_SIZE];
	uint8_t below[PAGE_SIZE];
	uint8_t page[PAGE_SIZE];
	uint8_t above[PAGE_SIZE];
	uint8_t spare[PAGE_SIZE];
	uint8_t secondary_stack[2 * PAGE_SIZE];
	uint8_t team_stacks[TEAM_MAX - 1][TEAM_STACK_SIZE];
	struct cpu secondary;
	struct team team;
};

_Static_assert(sizeof(struct scratch) <= GUEST_SCRATCH_SIZE, "guest.lds");

#define CONFIG_FILL 0xa5

/**
 * struct suite - the run
 * @ipa_bits, @shared_bit, @hash_algo: as RSI_REALM_CONFIG reported
 * @highest: newest interface version that RSI_VERSION admits to
 * @hole: a protected granule that is neither RAM nor any device's
 * @nr_clobbers, @clobber_*: registers that a call changed although they are none of its outputs
 */
struct suite {
	struct tap tap;
	const struct machine *machine;
	struct cpu *cpu;
	struct scratch *scratch;
	unsigned ipa_bits;
	uint64_t shared_bit;
	unsigned hash_algo;
	uint64_t highest;
	uint64_t hole;
	unsigned nr_clobbers;
	uint64_t clobber_call, clobber_value;
	unsigned clobber_reg;
};

/* call.c */

/** ipa_of() - identity: the MMU is off */
uint64_t ipa_of(const void *p);

/** call_fill() - distinct, meaningless values in X1 and up, @function in X0 */
void call_fill(struct regs *regs, uint64_t function);

/**
 * call() - one SMC with what @regs holds
 *
 * Registers that are no outputs of the function must come back unchanged; what does not is noted in
 * the suite and judged once, by check_registers(). An undefined instruction answers like an
 * unknown function.
 */
void call(struct suite *suite, struct regs *regs);

/** call1(), call3(), call4() - the same with X1 and up set; return X0. @regs may be NULL. */
uint64_t call1(struct suite *suite, struct regs *regs, uint64_t function, uint64_t x1);
uint64_t call3(struct suite *suite, struct regs *regs, uint64_t function, uint64_t x1, uint64_t x2,
	       uint64_t x3);
uint64_t call4(struct suite *suite, struct regs *regs, uint64_t function, uint64_t x1, uint64_t x2,
	       uint64_t x3, uint64_t x4);

/** ARG_* - what a table's argument is relative to; ARG_ANY is a meaningless value */
enum arg_base { ARG_ANY, ARG_ABS, ARG_PAGE, ARG_SHARED_PAGE, ARG_PAR_END, ARG_RAM, ARG_HOLE };

struct arg {
	uint8_t base;
	uint64_t add;
};

/**
 * struct call_case - one call whose X0 says it all
 *
 * Names are arrays: a pointer in a table would need relocating.
 */
struct call_case {
	char name[72];
	uint32_t function;
	uint64_t expected;
	struct arg x[4];
};

/** call_table() - run the cases; of IPA_STATE_SET X2 must be 0 as well when it fails */
void call_table(struct suite *suite, const struct call_case *cases, size_t nr);

/** ripas_set() - until the whole range is done. Return: 0, or the X0 or X2 that stopped it. */
uint64_t ripas_set(struct suite *suite, uint64_t base, uint64_t top, uint64_t ripas, uint64_t flags,
		   unsigned *ret_nr_calls);

/** ripas_is() - whether [base, top) is all in state @ripas, by RSI_IPA_STATE_GET; noted if not */
bool ripas_is(struct suite *suite, uint64_t base, uint64_t top, uint64_t ripas);

/** own_mpidr() - the running vCPU's affinity fields */
uint64_t own_mpidr(void);

/** check_status() - that a PSCI call has returned this; noted if not */
void check_status(struct suite *suite, const char *name, int64_t got, int64_t expected);

/** wait_for() - until @flag is set. Return: false after half a minute. */
bool wait_for(const volatile uint64_t *flag);

/** wait_off() - until PSCI says that the vCPU is off. Return: false likewise. */
bool wait_off(const struct machine *machine, uint64_t mpidr);

/* measurement_extend(): TF-RMM's formula, and the specification's */
void extend_tf_rmm(unsigned algo, const uint8_t *old, const uint8_t *value, size_t size,
		   uint8_t *digest);
void extend_spec(unsigned algo, const uint8_t *old, const uint8_t *value, size_t size,
		 uint8_t *digest);

/* team.c */

/**
 * team_run() - let every vCPU, up to TEAM_MAX, do @job at the same time, the caller's among them
 *
 * The others are switched on for it and off afterwards; they start only when all are there. Each
 * has its own struct member, zeros at first, and they stay for the caller to look at.
 *
 * Return: false if one did not come or did not end, with a note.
 */
bool team_run(struct suite *suite, void (*job)(struct member *member));

/**
 * switch_on() - CPU_ON, again while it is refused
 *
 * A vCPU that is off for the RMM may not be so yet for the host, who then denies it.
 *
 * Return: false after half a minute, with a note.
 */
bool switch_on(struct suite *suite, unsigned index, struct cpu *cpu);

/** team_check() - that all were there and none has counted an error; noted if not */
void team_check(struct suite *suite, bool complete, const char *name);

/** member_call() - an SMC. Return: X0 */
uint64_t member_call(struct member *member, struct regs *regs);

/** member_fail() - count an error; @regs tell about it */
void member_fail(struct member *member, const struct regs *regs);

/** member_ripas() - RSI_IPA_STATE_SET until the range is done. Return: false after an error. */
bool member_ripas(struct member *member, uint64_t base, uint64_t top, uint64_t ripas);

/* gic.c */

#define GIC_NR_PRIVATE 32
#define INTID_VTIMER   27
#define INTID_PTIMER   30
#define INTID_NONE     1023

/**
 * struct gic - the interrupt controller, at the addresses that this guest uses
 * @gicd, @gicr: distributor; the first redistributor frame, of @nr_gicr that there is room for
 */
struct gic {
	uint64_t gicd, gicr;
	unsigned nr_gicr;
};

/**
 * struct irqs - interrupts that a vCPU has taken
 * @nr: by INTID
 * @nr_other: those that are not private
 * @nr_none: those that were gone when they were asked for
 */
struct irqs {
	volatile uint64_t nr[GIC_NR_PRIVATE];
	volatile uint64_t nr_other;
	volatile uint64_t nr_none;
};

/** gic_find() - Return: false if the tree has no GICv3. */
bool gic_find(struct gic *gic, const struct suite *suite);

/** gic_frame() - the running vCPU's redistributor. Return: 0 if there is none. */
uint64_t gic_frame(const struct gic *gic);

/** gic_begin() - take all private interrupts of the running vCPU, and count them in @irqs */
bool gic_begin(const struct gic *gic, struct cpu *cpu, struct irqs *irqs);

/** gic_end() - none any more */
void gic_end(struct cpu *cpu);

/** gic_ack() - of the running vCPU, without taking an exception. Return: INTID, maybe INTID_NONE */
uint64_t gic_ack(void);

/** gic_send() - SGI @intid to the vCPU with that MPIDR; gic_send_others() - to all but this one */
void gic_send(uint64_t mpidr, unsigned intid);
void gic_send_others(unsigned intid);

/** wait_irq() - until @intid has come @nr times. Return: false after half a minute. */
bool wait_irq(const struct irqs *irqs, unsigned intid, uint64_t nr);

/** vtimer_start(), ptimer_start() - let the timer fire so many milliseconds from now */
void vtimer_start(unsigned ms);
void ptimer_start(unsigned ms);

/** timers_stop() - both */
void timers_stop(void);

/* The checks, in the order main.c runs them. */
void check_version(struct suite *suite);
void check_config(struct suite *suite);
void check_measurements(struct suite *suite);
void check_ripas(struct suite *suite);
void check_empty_page(struct suite *suite);
void check_ripas_range(struct suite *suite);
void check_host_call(struct suite *suite);
void check_token(struct suite *suite);
void check_unknown(struct suite *suite);
void check_mmio(struct suite *suite);
void check_psci(struct suite *suite);
void check_secondary(struct suite *suite);
void check_psci_cpus(struct suite *suite);
void check_interrupts(struct suite *suite);
void check_timers(struct suite *suite);
void check_together(struct suite *suite);
void check_registers(struct suite *suite);

/* modes.c */

/** enum mode - what the command line asks for instead of the checks, ccr.rsi=... */
enum mode {
	MODE_CHECK,
	MODE_FRAGMENT,
	MODE_SILENT,
	MODE_RESET,
	MODE_FAULT,
	MODE_SECONDARY_OFF,
	MODE_SECONDARY_RESET,
	MODE_SUSPEND,
	MODE_CPU,
};

enum mode mode_parse(const char *bootargs);
void mode_fragment(struct suite *suite);
_Noreturn void mode_fault(struct suite *suite);
void mode_suspend(struct suite *suite);
_Noreturn void mode_secondary(struct suite *suite, enum mode mode);

/* id.c */
void mode_cpu(struct suite *suite);

#endif

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
	struct cpu secondary;
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
void check_registers(struct suite *suite);

/* modes.c */

/** enum mode - what the command line asks for instead of the checks, ccr.rsi=... */
enum mode { MODE_CHECK, MODE_FRAGMENT, MODE_SILENT, MODE_RESET, MODE_FAULT };

enum mode mode_parse(const char *bootargs);
void mode_fragment(struct suite *suite);
_Noreturn void mode_fault(struct suite *suite);

#endif

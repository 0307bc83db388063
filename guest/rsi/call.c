/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#define NOISE 0x5a5a0000c3c30000ull

uint64_t ipa_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

void call_fill(struct regs *regs, uint64_t function)
{
	regs->x[0] = function;
	for (unsigned i = 1; i < ARRAY_SIZE(regs->x); i++)
		regs->x[i] = NOISE + i;
}

/* The first register that the function has to leave alone. */
static unsigned first_preserved(uint64_t function)
{
	return function == RSI_MEASUREMENT_READ ? 9 : 4;
}

void call(struct suite *suite, struct regs *regs)
{
	struct regs before = *regs;

	if (!cpu_try_smc(suite->cpu, regs)) {
		*regs = before;
		regs->x[0] = SMCCC_UNKNOWN;
	}
	for (unsigned i = first_preserved(before.x[0]); i < ARRAY_SIZE(regs->x); i++) {
		if (regs->x[i] == before.x[i])
			continue;
		if (!suite->nr_clobbers++) {
			suite->clobber_call = before.x[0];
			suite->clobber_reg = i;
			suite->clobber_value = regs->x[i];
		}
	}
}

uint64_t call1(struct suite *suite, struct regs *regs, uint64_t function, uint64_t x1)
{
	struct regs own;

	if (!regs)
		regs = &own;
	call_fill(regs, function);
	regs->x[1] = x1;
	call(suite, regs);
	return regs->x[0];
}

uint64_t call3(struct suite *suite, struct regs *regs, uint64_t function, uint64_t x1, uint64_t x2,
	       uint64_t x3)
{
	struct regs own;

	if (!regs)
		regs = &own;
	call_fill(regs, function);
	regs->x[1] = x1;
	regs->x[2] = x2;
	regs->x[3] = x3;
	call(suite, regs);
	return regs->x[0];
}

uint64_t call4(struct suite *suite, struct regs *regs, uint64_t function, uint64_t x1, uint64_t x2,
	       uint64_t x3, uint64_t x4)
{
	struct regs own;

	if (!regs)
		regs = &own;
	call_fill(regs, function);
	regs->x[1] = x1;
	regs->x[2] = x2;
	regs->x[3] = x3;
	regs->x[4] = x4;
	call(suite, regs);
	return regs->x[0];
}

static uint64_t arg_value(const struct suite *suite, const struct arg *arg, uint64_t any)
{
	switch (arg->base) {
	case ARG_ABS:
		return arg->add;
	case ARG_PAGE:
		return ipa_of(suite->scratch->page) + arg->add;
	case ARG_SHARED_PAGE:
		return (ipa_of(suite->scratch->page) | suite->shared_bit) + arg->add;
	case ARG_PAR_END:
		return suite->shared_bit + arg->add;
	case ARG_RAM:
		return suite->machine->ram_base + arg->add;
	case ARG_HOLE:
		return suite->hole + arg->add;
	default:
		return any;
	}
}

void call_table(struct suite *suite, const struct call_case *cases, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct call_case *c = &cases[i];
		struct regs regs;
		bool ok;

		call_fill(&regs, c->function);
		for (unsigned n = 0; n < ARRAY_SIZE(c->x); n++)
			regs.x[n + 1] = arg_value(suite, &c->x[n], regs.x[n + 1]);
		call(suite, &regs);
		ok = regs.x[0] == c->expected;
		if (c->function == RSI_IPA_STATE_SET && c->expected != RSI_SUCCESS)
			ok = ok && regs.x[2] == 0;
		if (!tap_check(&suite->tap, ok, c->name))
			tap_note(&suite->tap, "got x0=%lx x1=%lx x2=%lx, expected x0=%lx",
				 regs.x[0], regs.x[1], regs.x[2], c->expected);
	}
}

uint64_t ripas_set(struct suite *suite, uint64_t base, uint64_t top, uint64_t ripas, uint64_t flags,
		   unsigned *ret_nr_calls)
{
	unsigned nr_calls = 0;

	while (base < top) {
		struct regs regs;
		uint64_t status = call4(suite, &regs, RSI_IPA_STATE_SET, base, top, ripas, flags);

		nr_calls++;
		if (status != RSI_SUCCESS)
			return status;
		if (regs.x[2] != 0)
			return regs.x[2];
		/* A success that makes no progress would have us call for ever. */
		if (regs.x[1] <= base || regs.x[1] > top)
			return SMCCC_UNKNOWN;
		base = regs.x[1];
	}
	if (ret_nr_calls)
		*ret_nr_calls = nr_calls;
	return 0;
}

bool ripas_is(struct suite *suite, uint64_t base, uint64_t top, uint64_t ripas)
{
	while (base < top) {
		struct regs regs;
		uint64_t status = call3(suite, &regs, RSI_IPA_STATE_GET, base, top, 0);

		if (status != RSI_SUCCESS || regs.x[2] != ripas || regs.x[1] <= base ||
		    regs.x[1] > top) {
			tap_note(&suite->tap,
				 "state at %lx: x0=%lx x1=%lx x2=%lx, expected x2=%lx, top %lx",
				 base, status, regs.x[1], regs.x[2], ripas, top);
			return false;
		}
		base = regs.x[1];
	}
	return true;
}

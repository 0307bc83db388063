/* SPDX-License-Identifier: Apache-2.0 */
/* RSI_HOST_CALL, identifiers nobody owns, registers. */
#include "suite.h"

struct host_call {
	uint16_t imm;
	uint8_t pad[6];
	uint64_t gprs[31];
};

_Static_assert(sizeof(struct host_call) == 256, "B5.5.2");

static const struct call_case host_call_errors[] = {
	{"host call: misaligned by 8", RSI_HOST_CALL, RSI_ERROR_INPUT, {{ARG_PAGE, 8}}},
	{"host call: misaligned by 128", RSI_HOST_CALL, RSI_ERROR_INPUT, {{ARG_PAGE, 128}}},
	{"host call: unprotected", RSI_HOST_CALL, RSI_ERROR_INPUT, {{ARG_SHARED_PAGE, 0}}},
	{"host call: end of the protected half",
	 RSI_HOST_CALL,
	 RSI_ERROR_INPUT,
	 {{ARG_PAR_END, 0}}},
	{"host call: highest address", RSI_HOST_CALL, RSI_ERROR_INPUT, {{ARG_ABS, ~0xffull}}},
	{"host call: hole", RSI_HOST_CALL, RSI_ERROR_INPUT, {{ARG_HOLE, 0}}},
};

/* Whatever the number: it is for the host, and the block is the realm's but for the registers. */
static void check_immediates(struct suite *suite, struct host_call *block)
{
	unsigned nr_bad = 0, first = 0;

	for (unsigned nr = 0; nr < 256; nr++) {
		/* Each value of each byte. */
		const uint16_t imm = (uint16_t)(nr << 8 | (255 - nr));
		uint64_t status;

		memset(block, 0, sizeof(*block));
		block->imm = imm;
		block->pad[5] = 0x5a;
		block->gprs[0] = SMCCC_VERSION;
		cache_flush(block, sizeof(*block));
		status = call1(suite, NULL, RSI_HOST_CALL, ipa_of(block));
		cache_flush(block, sizeof(*block));
		if (status == RSI_SUCCESS && block->imm == imm && block->pad[5] == 0x5a)
			continue;
		if (!nr_bad++)
			first = imm;
	}
	if (!tap_check(&suite->tap, nr_bad == 0, "host call: 256 immediates"))
		tap_note(&suite->tap, "%u went wrong, the first with %x", nr_bad, first);
}

void check_host_call(struct suite *suite)
{
	struct host_call *block = (struct host_call *)(void *)(suite->scratch->page + 256);
	uint64_t status;

	call_table(suite, host_call_errors, ARRAY_SIZE(host_call_errors));
	memset(block, 0, sizeof(*block));
	/* KVM takes the registers for an SMCCC call; this one is harmless. */
	block->gprs[0] = SMCCC_VERSION;
	cache_flush(block, sizeof(*block));
	status = call1(suite, NULL, RSI_HOST_CALL, ipa_of(block));
	cache_flush(block, sizeof(*block));
	tap_check(&suite->tap, status == RSI_SUCCESS, "host call: good");
	tap_note(&suite->tap, "x0=%lx, host left gprs[0]=%lx", status, block->gprs[0]);
	/* The last block of a page */
	check_immediates(suite, (struct host_call *)(void *)(suite->scratch->page + 0xf00));
}

static const struct call_case nobodys[] = {
	{"unknown: below the RSI range", 0xC400018F, SMCCC_UNKNOWN, {{0}}},
	{"unknown: above the RSI range", 0xC40001B0, SMCCC_UNKNOWN, {{0}}},
	{"unknown: RSI_VERSION as a 32-bit call", 0x84000190, SMCCC_UNKNOWN, {{0}}},
};

static const struct call_case beyond_1_0[] = {
	{"unknown: first after 1.0's calls", 0xC400019A, SMCCC_UNKNOWN, {{0}}},
	{"unknown: c40001a0", 0xC40001A0, SMCCC_UNKNOWN, {{0}}},
	{"unknown: last of the RSI range", 0xC40001AF, SMCCC_UNKNOWN, {{0}}},
};

void check_unknown(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	struct regs regs;

	call_table(suite, nobodys, ARRAY_SIZE(nobodys));
	if (suite->highest > RSI_ABI_1_0) {
		for (size_t i = 0; i < ARRAY_SIZE(beyond_1_0); i++)
			tap_skip(tap, beyond_1_0[i].name, "newer than 1.0: may be a call");
	} else {
		call_table(suite, beyond_1_0, ARRAY_SIZE(beyond_1_0));
	}

	call_fill(&regs, RSI_VERSION);
	regs.x[1] = RSI_ABI_1_0;
	if (cpu_try_hvc(suite->cpu, &regs))
		tap_note(tap, "HVC of RSI_VERSION: x0=%lx", regs.x[0]);
	else
		tap_note(tap, "HVC of RSI_VERSION: exception, ESR %lx", suite->cpu->fault.esr);
}

void check_registers(struct suite *suite)
{
	if (!tap_check(&suite->tap, suite->nr_clobbers == 0,
		       "registers: no call changed one that is none of its outputs"))
		tap_note(&suite->tap, "%u changes, the first by %lx: x%u=%lx", suite->nr_clobbers,
			 suite->clobber_call, suite->clobber_reg, suite->clobber_value);
}

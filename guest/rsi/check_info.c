/* SPDX-License-Identifier: Apache-2.0 */
/* RSI_VERSION, RSI_FEATURES, RSI_REALM_CONFIG: what the RMM says about itself and the realm. */
#include "suite.h"

/* Of major number 1 or later; bit 31 and up are zero. */
static bool is_version(uint64_t version)
{
	return version >= RSI_ABI_1_0 && version <= 0x7fffffff;
}

static void check_unsupported(struct suite *suite, const char *name, uint64_t version)
{
	struct regs regs;
	uint64_t status = call1(suite, &regs, RSI_VERSION, version);
	bool ok = status == RSI_ERROR_INPUT && is_version(regs.x[1]) && is_version(regs.x[2]) &&
		  regs.x[1] <= regs.x[2];

	if (!tap_check(&suite->tap, ok, name))
		tap_note(&suite->tap, "got x0=%lx x1=%lx x2=%lx, expected x0=1, lower, higher",
			 status, regs.x[1], regs.x[2]);
}

void check_version(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	struct regs regs;
	uint64_t status = call1(suite, &regs, RSI_VERSION, RSI_ABI_1_0);
	bool newer;

	tap_check(tap, status == RSI_SUCCESS, "version: 1.0 is supported");
	tap_check(tap, regs.x[1] == RSI_ABI_1_0, "version: lower is what was asked for");
	tap_check(tap, is_version(regs.x[2]), "version: higher is a version");
	tap_check(tap, regs.x[3] == 0, "version: x3 is zero");
	tap_note(tap, "x0=%lx lower=%lx higher=%lx x3=%lx", status, regs.x[1], regs.x[2],
		 regs.x[3]);
	suite->highest = regs.x[2];

	/* SMCCC: the identifier is W0. */
	call_fill(&regs, RSI_VERSION | 0xdeadbeef00000000ul);
	regs.x[1] = RSI_ABI_1_0;
	call(suite, &regs);
	if (!tap_check(tap, regs.x[0] == RSI_SUCCESS, "version: upper half of x0 does not count"))
		tap_note(tap, "got x0=%lx", regs.x[0]);

	check_unsupported(suite, "version: unknown major number", 0x7fff0000);
	check_unsupported(suite, "version: 0.0", 0);

	status = call1(suite, &regs, RSI_VERSION, 0x10001);
	newer = suite->highest >= 0x10001;
	if (!tap_check(tap, status == (newer ? RSI_SUCCESS : RSI_ERROR_INPUT),
		       "version: 1.1 only where higher says so"))
		tap_note(tap, "got x0=%lx, higher is %lx", status, suite->highest);
}

static void check_features(struct suite *suite, const char *name, uint64_t index)
{
	struct regs regs;
	uint64_t status = call1(suite, &regs, RSI_FEATURES, index);
	bool ok = status == RSI_SUCCESS && (suite->highest > RSI_ABI_1_0 || regs.x[1] == 0);

	if (!tap_check(&suite->tap, ok, name) || regs.x[1])
		tap_note(&suite->tap, "x0=%lx x1=%lx, expected x0=0 (1.0: x1=0)", status,
			 regs.x[1]);
}

static const struct call_case config_errors[] = {
	{"config: unaligned by 8", RSI_REALM_CONFIG, RSI_ERROR_INPUT, {{ARG_PAGE, 8}}},
	{"config: unaligned by half a page", RSI_REALM_CONFIG, RSI_ERROR_INPUT, {{ARG_PAGE, 2048}}},
	{"config: unprotected page", RSI_REALM_CONFIG, RSI_ERROR_INPUT, {{ARG_SHARED_PAGE, 0}}},
	{"config: end of the protected half",
	 RSI_REALM_CONFIG,
	 RSI_ERROR_INPUT,
	 {{ARG_PAR_END, 0}}},
	{"config: highest address", RSI_REALM_CONFIG, RSI_ERROR_INPUT, {{ARG_ABS, ~0xfffull}}},
	{"config: hole", RSI_REALM_CONFIG, RSI_ERROR_INPUT, {{ARG_HOLE, 0}}},
};

static bool is_field(const struct suite *suite, unsigned offset)
{
	if (offset <= 8 || (offset >= 0x200 && offset < 0x240))
		return true;
	/* Fields that came with 1.1 */
	return suite->highest > RSI_ABI_1_0 && offset >= 0x10 && offset < 0x28;
}

/*
 * The rest of the structure is reserved. An RMM may write zeros there or leave the page alone;
 * anything else would be a leak.
 */
static void check_reserved(struct suite *suite)
{
	const uint8_t *config = suite->scratch->config;
	unsigned nr_zero = 0, nr_kept = 0, nr = 0;

	for (unsigned i = 0; i < PAGE_SIZE; i++) {
		if (is_field(suite, i))
			continue;
		nr++;
		nr_zero += config[i] == 0;
		nr_kept += config[i] == CONFIG_FILL;
	}
	tap_check(&suite->tap, nr_zero + nr_kept == nr, "config: reserved bytes say nothing");
	tap_note(&suite->tap, "%u reserved bytes zero, %u left alone, %u else", nr_zero, nr_kept,
		 nr - nr_zero - nr_kept);
}

void check_config(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	const uint8_t *config = suite->scratch->config;

	check_features(suite, "features: index 0", 0);
	check_features(suite, "features: index 1", 1);
	check_features(suite, "features: highest index", ~0ull);

	/* main.c made the call: without the width nothing can be printed. */
	tap_check(tap, suite->ipa_bits >= 32 && suite->ipa_bits <= 52, "config: IPA width is sane");
	tap_check(tap, suite->machine->ram_top <= suite->shared_bit,
		  "config: RAM lies in the protected half");
	tap_check(tap, sha2_size(suite->hash_algo) != 0, "config: hash algorithm is known");
	tap_note(tap, "ipa_width=%u hash_algo=%u rpv=%02x%02x%02x%02x...", suite->ipa_bits,
		 suite->hash_algo, config[0x200], config[0x201], config[0x202], config[0x203]);
	check_reserved(suite);
	call_table(suite, config_errors, ARRAY_SIZE(config_errors));
}

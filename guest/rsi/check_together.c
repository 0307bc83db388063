/* SPDX-License-Identifier: Apache-2.0 */
/* RSI calls of several vCPUs at once: what is one's is not disturbed, what is shared adds up. */
#include "suite.h"

#define NR_ROUNDS     16
#define NR_OWN_PAGES  4
#define NR_OVERLAP    64
#define NR_EXTENDS    32
#define NR_HOST_CALLS 32

#define OWN_PATTERN   0x0e110000u
#define ALIAS_PATTERN 0xa11a0000u

/* Free RAM: pages of the vCPUs in turn, then the range that all change, then its neighbour. */
static uint64_t own_page(const struct member *member, unsigned nr)
{
	const struct team *team = member->team;

	return team->suite->machine->free_base + (nr * team->nr + member->index) * PAGE_SIZE;
}

static uint64_t overlap_base(const struct suite *suite)
{
	return suite->machine->free_base + NR_OWN_PAGES * TEAM_MAX * PAGE_SIZE;
}

static uint64_t overlap_top(const struct suite *suite)
{
	return overlap_base(suite) + NR_OVERLAP * PAGE_SIZE;
}

static bool keeps(uint64_t addr, uint32_t value)
{
	raw_write32(addr, value);
	return raw_read32(addr) == value;
}

/* Neighbouring pages, each of one vCPU only: shared, used, taken back, used. */
static void job_pages(struct member *member)
{
	const uint64_t shared_bit = member->team->suite->shared_bit;

	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		for (unsigned nr = 0; nr < NR_OWN_PAGES; nr++) {
			const uint64_t page = own_page(member, nr);
			const uint32_t own = OWN_PATTERN | member->index << 8 | round;
			const uint32_t alias = ALIAS_PATTERN | member->index << 8 | round;
			struct regs regs = {.x = {round, page}};

			if (!keeps(page, own) ||
			    !member_ripas(member, page, page + PAGE_SIZE, RIPAS_EMPTY) ||
			    raw_read32(page | shared_bit) == own ||
			    !keeps(page | shared_bit, alias) ||
			    !member_ripas(member, page, page + PAGE_SIZE, RIPAS_RAM) ||
			    raw_read32(page) == own || !keeps(page, own))
				member_fail(member, &regs);
		}
	}
}

/* All change the same range, to and fro. Nobody touches it meanwhile. */
static void job_overlap(struct member *member)
{
	const struct suite *suite = member->team->suite;

	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		const uint64_t ripas = (round + member->index) & 1 ? RIPAS_RAM : RIPAS_EMPTY;
		/* Not from the same end */
		const uint64_t skip = (member->index * 5 + round) % 16 * PAGE_SIZE;

		member_ripas(member, overlap_base(suite) + skip, overlap_top(suite), ripas);
	}
}

static void check_overlap(struct suite *suite)
{
	const uint64_t base = overlap_base(suite), top = overlap_top(suite);
	bool ok = true;

	raw_write32(base - PAGE_SIZE, OWN_PATTERN);
	raw_write32(top, OWN_PATTERN);
	team_check(suite, team_run(suite, job_overlap), "together: one range changed by all");
	if (!tap_check(&suite->tap,
		       ripas_set(suite, base, top, RIPAS_EMPTY, CHANGE_DESTROYED, NULL) == 0 &&
			       ripas_set(suite, base, top, RIPAS_RAM, CHANGE_DESTROYED, NULL) ==
				       0 &&
			       ripas_is(suite, base, top, RIPAS_RAM),
		       "together: it can be made RAM afterwards"))
		return;
	for (uint64_t page = base; page < top; page += PAGE_SIZE)
		ok = keeps(page, OWN_PATTERN) && ok;
	tap_check(&suite->tap, ok, "together: and be used");
	tap_check(&suite->tap,
		  raw_read32(base - PAGE_SIZE) == OWN_PATTERN && raw_read32(top) == OWN_PATTERN,
		  "together: its neighbours kept their contents");
}

/* The same value by all: whoever is first, the outcome is the same, unless an extension is lost. */
static void job_extend(struct member *member)
{
	for (unsigned i = 0; i < NR_EXTENDS; i++) {
		struct regs regs = {.x = {RSI_MEASUREMENT_EXTEND, 4, 32, 0x11, 0x22, 0x33, 0x44}};

		if (member_call(member, &regs) != RSI_SUCCESS)
			member_fail(member, &regs);
	}
}

static void read_rem(struct suite *suite, uint64_t words[MEASUREMENT_SIZE / 8])
{
	struct regs regs;

	call1(suite, &regs, RSI_MEASUREMENT_READ, 4);
	memcpy(words, &regs.x[1], MEASUREMENT_SIZE);
}

static void check_extends(struct suite *suite)
{
	static const uint64_t value[MEASUREMENT_SIZE / 8] = {0x11, 0x22, 0x33, 0x44};
	uint64_t tf_rmm[MEASUREMENT_SIZE / 8], spec[MEASUREMENT_SIZE / 8];
	uint64_t found[MEASUREMENT_SIZE / 8], next[MEASUREMENT_SIZE / 8];
	const unsigned algo = suite->hash_algo;

	read_rem(suite, tf_rmm);
	memcpy(spec, tf_rmm, sizeof(spec));
	team_check(suite, team_run(suite, job_extend), "together: REM extended by all");
	for (unsigned i = 0; i < NR_EXTENDS * suite->scratch->team.nr; i++) {
		extend_tf_rmm(algo, (uint8_t *)tf_rmm, (const uint8_t *)value, 32, (uint8_t *)next);
		memcpy(tf_rmm, next, sizeof(next));
		extend_spec(algo, (uint8_t *)spec, (const uint8_t *)value, 32, (uint8_t *)next);
		memcpy(spec, next, sizeof(next));
	}
	read_rem(suite, found);
	tap_check(&suite->tap,
		  !memcmp(found, tf_rmm, sizeof(found)) || !memcmp(found, spec, sizeof(found)),
		  "together: no extension was lost");
}

static void job_host_calls(struct member *member)
{
	const uint64_t block = own_page(member, 0) + 0x300;

	for (unsigned i = 0; i < NR_HOST_CALLS; i++) {
		struct regs regs = {.x = {RSI_HOST_CALL, block}};

		raw_write32(block, i << 8 | member->index);
		raw_write32(block + 4, 0);
		raw_write32(block + 8, SMCCC_VERSION);
		raw_write32(block + 12, 0);
		cache_flush((const void *)(uintptr_t)block, 256);
		if (member_call(member, &regs) != RSI_SUCCESS ||
		    raw_read32(block) != (i << 8 | member->index))
			member_fail(member, &regs);
	}
}

#define TOKEN_CHUNK     1024
#define MAX_TOKEN_CALLS 1000000u

/* Each vCPU makes a token of its own. */
static void job_token(struct member *member)
{
	const uint64_t page = own_page(member, 1);
	struct regs regs = {.x = {RSI_ATTESTATION_TOKEN_INIT, member->index}};

	if (member_call(member, &regs) != RSI_SUCCESS) {
		member_fail(member, &regs);
		return;
	}
	do {
		regs = (struct regs){.x = {RSI_ATTESTATION_TOKEN_CONTINUE, page, 0, TOKEN_CHUNK}};
		member_call(member, &regs);
		member->size += regs.x[1];
	} while (regs.x[0] == RSI_INCOMPLETE && member->nr_calls < MAX_TOKEN_CALLS &&
		 regs.x[1] <= TOKEN_CHUNK);
	if (regs.x[0] != RSI_SUCCESS || regs.x[1] > TOKEN_CHUNK || member->size == 0)
		member_fail(member, &regs);
}

/* Both signatures have fixed lengths, so all tokens have the same. */
static void check_tokens(struct suite *suite)
{
	const struct team *team = &suite->scratch->team;
	bool ok = team_run(suite, job_token);

	for (unsigned i = 1; i < team->nr; i++)
		ok = ok && team->members[i].size == team->members[0].size;
	team_check(suite, ok, "together: a token for each");
}

static const char names[][56] = {
	"together: own pages shared and taken back",
	"together: host calls",
};

void check_together(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	struct regs regs;

	if (machine->free_top - machine->free_base < SZ_2M) {
		tap_skip(&suite->tap, "together", "less than 2 MiB of RAM is free");
		return;
	}
	team_check(suite, team_run(suite, job_pages), names[0]);
	check_overlap(suite);
	check_extends(suite);
	team_check(suite, team_run(suite, job_host_calls), names[1]);
	call_fill(&regs, RSI_ATTESTATION_TOKEN_INIT);
	call(suite, &regs);
	if (regs.x[0] == RSI_SUCCESS)
		check_tokens(suite);
	else
		tap_skip(&suite->tap, "together: a token for each",
			 "this RMM offers no attestation");
}

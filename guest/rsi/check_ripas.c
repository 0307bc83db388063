/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSI_IPA_STATE_GET and RSI_IPA_STATE_SET, and what an EMPTY page is like.
 *
 * A page's way through the checks: RAM holding a secret; EMPTY, when its protected address faults
 * and the shared alias can be used; RAM again, when the secret must be gone.
 */
#include "suite.h"

#define SECRET 0x5ec2e700u
#define SHARED 0x54a2ed00u
#define PLAIN  0x914b0000u

static const struct call_case get_errors[] = {
	{"state get: base unaligned",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 1}, {ARG_PAGE, 4096}}},
	{"state get: top unaligned",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 4095}}},
	{"state get: top is base",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 0}}},
	{"state get: top below base",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 4096}, {ARG_PAGE, 0}}},
	{"state get: top beyond the protected half",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAR_END, 4096}}},
	{"state get: unprotected",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_SHARED_PAGE, 0}, {ARG_SHARED_PAGE, 4096}}},
	{"state get: right above the protected half",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAR_END, 0}, {ARG_PAR_END, 4096}}},
	{"state get: highest addresses",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, ~0x1fffull}, {ARG_ABS, ~0xfffull}}},
	{"state get: range wraps",
	 RSI_IPA_STATE_GET,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, ~0xfffull}, {ARG_ABS, 0}}},
};

#define EMPTY                        \
	{                            \
		ARG_ABS, RIPAS_EMPTY \
	}
#define NOFLAGS            \
	{                  \
		ARG_ABS, 0 \
	}

static const struct call_case set_errors[] = {
	{"state set: base unaligned",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 1}, {ARG_PAGE, 4096}, EMPTY, NOFLAGS}},
	{"state set: top unaligned",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 4095}, EMPTY, NOFLAGS}},
	{"state set: top is base",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 0}, EMPTY, NOFLAGS}},
	{"state set: top below base",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 4096}, {ARG_PAGE, 0}, EMPTY, NOFLAGS}},
	{"state set: top beyond the protected half",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAR_END, 4096}, EMPTY, NOFLAGS}},
	{"state set: unprotected",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_SHARED_PAGE, 0}, {ARG_SHARED_PAGE, 4096}, EMPTY, NOFLAGS}},
	{"state set: right above the protected half",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAR_END, 0}, {ARG_PAR_END, 4096}, EMPTY, NOFLAGS}},
	{"state set: range wraps",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, ~0xfffull}, {ARG_ABS, 0}, EMPTY, NOFLAGS}},
	{"state set: state 2",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 4096}, {ARG_ABS, 2}, NOFLAGS}},
	{"state set: state 3",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 4096}, {ARG_ABS, 3}, NOFLAGS}},
	{"state set: highest state",
	 RSI_IPA_STATE_SET,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_PAGE, 4096}, {ARG_ABS, ~0ull}, NOFLAGS}},
};

static void fill(uint64_t base, uint32_t pattern)
{
	for (unsigned i = 0; i < PAGE_SIZE; i += 4)
		raw_write32(base + i, pattern + i / 4);
}

/* How many words of the page are where fill() put them. */
static unsigned count(uint64_t base, uint32_t pattern)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < PAGE_SIZE; i += 4)
		nr += raw_read32(base + i) == pattern + i / 4;
	return nr;
}

#define NR_WORDS (PAGE_SIZE / 4)

/* One RSI_IPA_STATE_SET of one page, which cannot be done in part. */
static void check_set_page(struct suite *suite, const char *name, uint64_t page, uint64_t ripas)
{
	struct regs regs;
	uint64_t status = call4(suite, &regs, RSI_IPA_STATE_SET, page, page + PAGE_SIZE, ripas,
				CHANGE_DESTROYED);
	bool ok = status == RSI_SUCCESS && regs.x[1] == page + PAGE_SIZE && regs.x[2] == 0;

	if (!tap_check(&suite->tap, ok, name))
		tap_note(&suite->tap, "got x0=%lx x1=%lx x2=%lx, expected 0, %lx, 0", status,
			 regs.x[1], regs.x[2], page + PAGE_SIZE);
}

/* That [base, top) starts with @ripas up to exactly @end. */
static void check_run(struct suite *suite, const char *name, uint64_t base, uint64_t top,
		      uint64_t ripas, uint64_t end)
{
	struct regs regs;
	uint64_t status = call3(suite, &regs, RSI_IPA_STATE_GET, base, top, 0);
	bool ok = status == RSI_SUCCESS && regs.x[2] == ripas && regs.x[1] == end;

	if (!tap_check(&suite->tap, ok, name))
		tap_note(&suite->tap, "got x0=%lx x1=%lx x2=%lx, expected 0, %lx, %lx", status,
			 regs.x[1], regs.x[2], end, ripas);
}

/* The same where the RMM may stop anywhere in between. */
static void check_bounded(struct suite *suite, const char *name, uint64_t base, uint64_t top,
			  uint64_t ripas, uint64_t limit)
{
	struct regs regs;
	uint64_t status = call3(suite, &regs, RSI_IPA_STATE_GET, base, top, 0);
	bool ok = status == RSI_SUCCESS && regs.x[2] == ripas && regs.x[1] > base &&
		  regs.x[1] <= limit;

	tap_check(&suite->tap, ok, name);
	tap_note(&suite->tap, "from %lx: x0=%lx out_top=%lx (at most %lx) state %lx", base, status,
		 regs.x[1], limit, regs.x[2]);
}

void check_ripas(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	uint64_t page = ipa_of(suite->scratch->page);
	uint64_t ram = machine->ram_base, last = suite->shared_bit - PAGE_SIZE;
	unsigned nr_calls = 0;

	/* What Linux does first; this program itself is what it must not lose. */
	fill(page, PLAIN);
	tap_check(&suite->tap,
		  ripas_set(suite, ram, machine->ram_top, RIPAS_RAM, 0, &nr_calls) == 0,
		  "state set: all RAM is RAM");
	tap_note(&suite->tap, "%u calls", nr_calls);
	tap_check(&suite->tap, count(page, PLAIN) == NR_WORDS,
		  "state set: RAM that stays RAM keeps its contents");
	tap_check(&suite->tap, ripas_is(suite, ram, machine->ram_top, RIPAS_RAM),
		  "state get: all RAM is RAM");
	check_run(suite, "state get: one page", page, page + PAGE_SIZE, RIPAS_RAM,
		  page + PAGE_SIZE);

	check_bounded(suite, "state get: hole", suite->hole, suite->hole + PAGE_SIZE, RIPAS_EMPTY,
		      suite->hole + PAGE_SIZE);
	if (ram >= SZ_2M)
		check_bounded(suite, "state get: hole with RAM behind it", ram - SZ_2M, ram + SZ_2M,
			      RIPAS_EMPTY, ram);
	else
		tap_skip(&suite->tap, "state get: hole with RAM behind it", "RAM starts at 0");
	if (last >= machine->ram_top)
		check_bounded(suite, "state get: last page of the protected half", last,
			      suite->shared_bit, RIPAS_EMPTY, suite->shared_bit);
	else
		tap_skip(&suite->tap, "state get: last page of the protected half", "RAM is there");
	call_table(suite, get_errors, ARRAY_SIZE(get_errors));
	call_table(suite, set_errors, ARRAY_SIZE(set_errors));
	tap_check(&suite->tap,
		  ripas_is(suite, page, page + PAGE_SIZE, RIPAS_RAM) &&
			  count(page, PLAIN) == NR_WORDS,
		  "state set: a refused one changes nothing");
}

/*
 * After an access to a page that is not there. An in-kernel ITS of a plain VM needs its tables at
 * the protected address, so there an EMPTY page may turn out to be readable.
 */
static void check_abort(struct suite *suite, const char *name, bool went_through, unsigned class,
			uint64_t addr)
{
	struct tap *tap = &suite->tap;
	const struct fault *fault = &suite->cpu->fault;

	if (went_through) {
		if (suite->machine->has_its)
			tap_skip(tap, name, "the ITS sees shared pages at both addresses");
		else if (!tap_check(tap, false, name))
			tap_note(tap, "no abort at %lx", addr);
		return;
	}
	/* An emulation may only know how to inject aborts of the data kind. */
	tap_check(tap,
		  (ESR_EC(fault->esr) == class || ESR_EC(fault->esr) == EC_DABT_SAME) &&
			  ESR_DFSC(fault->esr) == FSC_SYNC_EXT,
		  name);
	tap_note(tap, "ESR %lx (class %lx, status %lx) FAR %lx for %lx", fault->esr,
		 ESR_EC(fault->esr), ESR_DFSC(fault->esr), fault->far, addr);
}

static void check_empty_access(struct suite *suite, uint64_t page)
{
	struct cpu *cpu = suite->cpu;
	uint32_t value;
	bool through;

	through = cpu_try_read32(cpu, page, &value);
	check_abort(suite, "empty page: protected read aborts", through, EC_DABT_SAME, page);
	through = cpu_try_write32(cpu, page + 8, 0);
	check_abort(suite, "empty page: protected write aborts", through, EC_DABT_SAME, page + 8);
	/* Zeros are an undefined instruction: a fetch that goes through comes back that way. */
	through = cpu_try_exec(cpu, page) || ESR_EC(cpu->fault.esr) == EC_UNKNOWN;
	check_abort(suite, "empty page: instruction fetch aborts", through, EC_IABT_SAME, page);
}

static void check_shared_alias(struct suite *suite, uint64_t page)
{
	uint64_t alias = page | suite->shared_bit;
	uint32_t value;

	if (!cpu_try_read32(suite->cpu, alias, &value)) {
		tap_check(&suite->tap, false, "empty page: shared alias can be read");
		tap_note(&suite->tap, "ESR %lx", suite->cpu->fault.esr);
		return;
	}
	tap_check(&suite->tap, true, "empty page: shared alias can be read");
	tap_check(&suite->tap, count(alias, SECRET) == 0,
		  "empty page: shared alias does not show the secret");
	fill(alias, SHARED);
	tap_check(&suite->tap, count(alias, SHARED) == NR_WORDS,
		  "empty page: shared alias keeps what is written");
}

static const struct call_case empty_errors[] = {
	{"config: EMPTY page", RSI_REALM_CONFIG, RSI_ERROR_INPUT, {{ARG_PAGE, 0}}},
	{"host call: EMPTY page", RSI_HOST_CALL, RSI_ERROR_INPUT, {{ARG_PAGE, 0}}},
};

/*
 * Without CHANGE_DESTROYED. A host may take a page away before it agrees to make it EMPTY; the RMM
 * then stops at it, and only the flag gets the realm out of that.
 */
static void check_without_flag(struct suite *suite, uint64_t page)
{
	uint64_t top = page + PAGE_SIZE;
	struct regs set, get;
	bool done, stopped;

	call4(suite, &set, RSI_IPA_STATE_SET, page, top, RIPAS_EMPTY, 0);
	call3(suite, &get, RSI_IPA_STATE_GET, page, top, 0);
	done = set.x[1] == top && get.x[2] == RIPAS_EMPTY;
	stopped = set.x[1] == page && get.x[2] == RIPAS_DESTROYED;
	tap_check(&suite->tap, set.x[0] == RSI_SUCCESS && (done || stopped),
		  "state set: EMPTY without CHANGE_DESTROYED");
	tap_note(&suite->tap, "x0=%lx x1=%lx x2=%lx, state now %lx", set.x[0], set.x[1], set.x[2],
		 get.x[2]);
	tap_check(&suite->tap,
		  ripas_set(suite, page, top, RIPAS_EMPTY, CHANGE_DESTROYED, NULL) == 0 &&
			  ripas_set(suite, page, top, RIPAS_RAM, 0, NULL) == 0,
		  "state set: RAM without CHANGE_DESTROYED");
}

void check_empty_page(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	uint64_t page = ipa_of(suite->scratch->page), below = ipa_of(suite->scratch->below);
	uint64_t top = ipa_of(suite->scratch->spare);
	unsigned nr_secret, nr_shared;

	fill(below, PLAIN);
	fill(page, SECRET);
	fill(page + PAGE_SIZE, PLAIN);
	check_set_page(suite, "state set: RAM to EMPTY", page, RIPAS_EMPTY);
	check_run(suite, "state get: the page is EMPTY", page, page + PAGE_SIZE, RIPAS_EMPTY,
		  page + PAGE_SIZE);
	check_run(suite, "state get: RAM ends at the EMPTY page", below, top, RIPAS_RAM, page);
	check_run(suite, "state get: EMPTY ends at the next page", page, top, RIPAS_EMPTY,
		  page + PAGE_SIZE);
	check_set_page(suite, "state set: EMPTY that stays EMPTY", page, RIPAS_EMPTY);
	/* An access to a page that the host has destroyed would be the last. */
	if (!tap_check(tap, ripas_is(suite, page, page + PAGE_SIZE, RIPAS_EMPTY),
		       "empty page: still is"))
		return;
	check_empty_access(suite, page);
	check_shared_alias(suite, page);
	call_table(suite, empty_errors, ARRAY_SIZE(empty_errors));

	check_set_page(suite, "state set: EMPTY to RAM", page, RIPAS_RAM);
	if (!tap_check(tap, ripas_is(suite, page, page + PAGE_SIZE, RIPAS_RAM),
		       "state get: the page is RAM again"))
		return;
	nr_secret = count(page, SECRET);
	nr_shared = count(page, SHARED);
	tap_check(tap, nr_secret == 0, "page that was EMPTY: the secret is gone");
	tap_note(tap, "%u words of the secret, %u words of what was shared", nr_secret, nr_shared);
	fill(page, PLAIN);
	tap_check(tap, count(page, PLAIN) == NR_WORDS, "page that was EMPTY: can be used as RAM");
	tap_check(tap,
		  count(below, PLAIN) == NR_WORDS && count(page + PAGE_SIZE, PLAIN) == NR_WORDS,
		  "page that was EMPTY: its neighbours kept their contents");

	check_without_flag(suite, page);
}

#define RANGE_PAGES 517 /* more than a 2 MiB block, and no multiple of anything */

void check_ripas_range(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	const struct machine *machine = suite->machine;
	uint64_t base = machine->free_base + 3 * PAGE_SIZE;
	uint64_t top = base + RANGE_PAGES * PAGE_SIZE, last = top - PAGE_SIZE;
	uint64_t third = base + 2 * PAGE_SIZE;
	unsigned nr_calls = 0;

	if (machine->free_top - machine->free_base < 2 * SZ_2M) {
		tap_skip(tap, "range: many pages", "less than 4 MiB of RAM is free");
		return;
	}
	fill(base, SECRET);
	fill(last, SECRET);
	tap_check(tap, ripas_set(suite, base, top, RIPAS_EMPTY, CHANGE_DESTROYED, &nr_calls) == 0,
		  "range: RAM to EMPTY");
	tap_note(tap, "%u pages in %u calls", RANGE_PAGES, nr_calls);
	tap_check(tap, ripas_is(suite, base, top, RIPAS_EMPTY), "range: all of it is EMPTY");
	tap_check(tap,
		  ripas_is(suite, base - PAGE_SIZE, base, RIPAS_RAM) &&
			  ripas_is(suite, top, top + PAGE_SIZE, RIPAS_RAM),
		  "range: its neighbours are RAM");
	/* Two single pages first: the rest of the range is then done over a mixture. */
	tap_check(tap,
		  ripas_set(suite, base, base + PAGE_SIZE, RIPAS_RAM, 0, NULL) == 0 &&
			  ripas_set(suite, third, third + PAGE_SIZE, RIPAS_RAM, 0, NULL) == 0,
		  "range: single pages to RAM");
	tap_check(tap, ripas_set(suite, base, top, RIPAS_RAM, CHANGE_DESTROYED, &nr_calls) == 0,
		  "range: mixture to RAM");
	tap_note(tap, "%u pages in %u calls", RANGE_PAGES, nr_calls);
	if (!tap_check(tap, ripas_is(suite, base, top, RIPAS_RAM), "range: all of it is RAM"))
		return;
	tap_check(tap, count(base, SECRET) == 0 && count(last, SECRET) == 0,
		  "range: the secrets are gone");
	fill(last, PLAIN);
	tap_check(tap, count(last, PLAIN) == NR_WORDS, "range: can be used as RAM");
}

void check_mmio(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	struct cpu *cpu = suite->cpu;
	uint64_t hole = suite->hole, alias = hole | suite->shared_bit;
	uint64_t uart = machine->uart_base & ~(PAGE_SIZE - 1);
	uint64_t beyond = 1ull << suite->ipa_bits;
	uint32_t value;
	bool through;

	check_run(suite, "devices: the serial port's page is EMPTY", uart, uart + PAGE_SIZE,
		  RIPAS_EMPTY, uart + PAGE_SIZE);
	through = cpu_try_read32(cpu, hole, &value);
	check_abort(suite, "devices: read of a protected hole aborts", through, EC_DABT_SAME, hole);
	through = cpu_try_write32(cpu, hole, 0);
	check_abort(suite, "devices: write to a protected hole aborts", through, EC_DABT_SAME,
		    hole);
	through = cpu_try_read32(cpu, uart, &value);
	check_abort(suite, "devices: serial port at its protected address aborts", through,
		    EC_DABT_SAME, uart);
	through = cpu_try_read32(cpu, alias, &value);
	check_abort(suite, "devices: read of an unclaimed shared address aborts", through,
		    EC_DABT_SAME, alias);
	through = cpu_try_write32(cpu, alias, 0);
	check_abort(suite, "devices: write to an unclaimed shared address aborts", through,
		    EC_DABT_SAME, alias);

	/* What kind of abort depends on the implemented address size as well. */
	through = cpu_try_read32(cpu, beyond, &value);
	tap_check(&suite->tap, !through, "devices: read beyond the IPA space aborts");
	if (!through)
		tap_note(&suite->tap, "ESR %lx FAR %lx", cpu->fault.esr, cpu->fault.far);
}

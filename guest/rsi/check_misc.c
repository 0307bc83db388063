/* SPDX-License-Identifier: Apache-2.0 */
/* RSI_HOST_CALL, identifiers nobody owns, PSCI, the second vCPU. */
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

struct psci_case {
	char name[56];
	uint32_t function;
	uint64_t x1;
	int64_t expected;
};

#define PSCI_UNASSIGNED 0x8400001Du
/* Beyond any machine's last vCPU, affinity fields alone */
#define NO_SUCH_CPU 0x00ffff0full

static const struct psci_case psci_cases[] = {
	{"psci: features of CPU_ON", PSCI_FEATURES, PSCI_CPU_ON, PSCI_SUCCESS},
	{"psci: features of CPU_OFF", PSCI_FEATURES, PSCI_CPU_OFF, PSCI_SUCCESS},
	{"psci: features of SYSTEM_OFF", PSCI_FEATURES, PSCI_SYSTEM_OFF, PSCI_SUCCESS},
	{"psci: features of SYSTEM_RESET", PSCI_FEATURES, PSCI_SYSTEM_RESET, PSCI_SUCCESS},
	{"psci: features of no function", PSCI_FEATURES, PSCI_UNASSIGNED, PSCI_NOT_SUPPORTED},
	{"psci: no function", PSCI_UNASSIGNED, 0, PSCI_NOT_SUPPORTED},
	{"psci: CPU_ON of no vCPU", PSCI_CPU_ON, NO_SUCH_CPU, PSCI_INVALID_PARAMETERS},
	{"psci: AFFINITY_INFO of no vCPU", PSCI_AFFINITY_INFO, NO_SUCH_CPU,
	 PSCI_INVALID_PARAMETERS},
};

static uint64_t own_mpidr(void)
{
	uint64_t mpidr;

	__asm__ volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
	return mpidr & 0xff00ffffffull;
}

static void check_status(struct suite *suite, const char *name, int64_t got, int64_t expected)
{
	if (!tap_check(&suite->tap, got == expected, name))
		tap_note(&suite->tap, "got %ld, expected %ld", got, expected);
}

void check_psci(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	uint64_t entry = ipa_of((const void *)(uintptr_t)secondary_entry);
	int64_t version = psci_call(machine, PSCI_VERSION, 0, 0, 0);

	tap_check(&suite->tap, machine->psci_smc, "psci: the device tree says SMC");
	tap_check(&suite->tap, version >= 0x10000, "psci: version 1.0 or later");
	tap_note(&suite->tap, "PSCI %lx, SMCCC %lx", version,
		 psci_call(machine, SMCCC_VERSION, 0, 0, 0));
	for (size_t i = 0; i < ARRAY_SIZE(psci_cases); i++) {
		const struct psci_case *c = &psci_cases[i];
		uint64_t x2 = c->function == PSCI_CPU_ON ? entry : 0;

		check_status(suite, c->name, psci_call(machine, c->function, c->x1, x2, 0),
			     c->expected);
	}
	check_status(suite, "psci: CPU_ON of this vCPU",
		     psci_call(machine, PSCI_CPU_ON, own_mpidr(), entry, 0), PSCI_ALREADY_ON);
	check_status(suite, "psci: AFFINITY_INFO of this vCPU",
		     psci_call(machine, PSCI_AFFINITY_INFO, own_mpidr(), 0, 0), PSCI_AFFINITY_ON);
}

#define SECONDARY_MS 30000u

/*
 * What passes between the two vCPUs, each word written by one side only. Device memory: no caches,
 * but the order needs barriers.
 */
struct mailbox {
	volatile uint64_t done, release;
	uint64_t mpidr;
	struct regs rim;
	const struct machine *machine;
};

static bool wait_for(const volatile uint64_t *flag)
{
	uint64_t start = now_ms();

	while (!*flag) {
		if (now_ms() - start > SECONDARY_MS)
			return false;
	}
	barrier_full();
	return true;
}

static void secondary_main(struct cpu *cpu)
{
	struct mailbox *box = cpu->arg;

	box->mpidr = own_mpidr();
	call_fill(&box->rim, RSI_MEASUREMENT_READ);
	box->rim.x[1] = 0;
	raw_smc(&box->rim);
	barrier_full();
	box->done = 1;
	wait_for(&box->release);
	psci_call(box->machine, PSCI_CPU_OFF, 0, 0, 0);
	cpu_park();
}

static bool wait_off(const struct machine *machine, uint64_t mpidr)
{
	uint64_t start = now_ms();

	while (psci_call(machine, PSCI_AFFINITY_INFO, mpidr, 0, 0) != PSCI_AFFINITY_OFF) {
		if (now_ms() - start > SECONDARY_MS)
			return false;
	}
	return true;
}

static const char secondary_names[][56] = {
	"second vCPU: is off at first",
	"second vCPU: CPU_ON",
	"second vCPU: runs",
	"second vCPU: has its own MPIDR",
	"second vCPU: reads the same RIM",
	"second vCPU: CPU_ON while it is on",
	"second vCPU: is off after CPU_OFF",
};

static void secondary_start(struct suite *suite, struct mailbox *box)
{
	struct scratch *scratch = suite->scratch;
	struct cpu *cpu = &scratch->secondary;

	memset(cpu, 0, sizeof(*cpu));
	cpu->stack_top = ipa_of(scratch->secondary_stack) + sizeof(scratch->secondary_stack);
	cpu->entry = secondary_main;
	cpu->arg = box;
	cpu->machine = suite->machine;
	cpu->console = suite->tap.console;
	box->machine = suite->machine;
	barrier_full();
}

void check_secondary(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	struct tap *tap = &suite->tap;
	uint64_t entry = ipa_of((const void *)(uintptr_t)secondary_entry);
	uint64_t target = machine->mpidr[1];
	struct mailbox box = {0};
	struct regs rim;
	int64_t status;

	if (machine->nr_cpus < 2) {
		for (size_t i = 0; i < ARRAY_SIZE(secondary_names); i++)
			tap_skip(tap, secondary_names[i], "one vCPU");
		return;
	}
	check_status(suite, secondary_names[0],
		     psci_call(machine, PSCI_AFFINITY_INFO, target, 0, 0), PSCI_AFFINITY_OFF);
	secondary_start(suite, &box);
	status = psci_call(machine, PSCI_CPU_ON, target, entry, ipa_of(&suite->scratch->secondary));
	check_status(suite, secondary_names[1], status, PSCI_SUCCESS);
	tap_check(tap, status == PSCI_SUCCESS && wait_for(&box.done), secondary_names[2]);
	if (!tap_check(tap, box.mpidr == target, secondary_names[3]))
		tap_note(tap, "got %lx, expected %lx", box.mpidr, target);
	call1(suite, &rim, RSI_MEASUREMENT_READ, 0);
	tap_check(tap, !memcmp(rim.x, box.rim.x, 9 * sizeof(rim.x[0])), secondary_names[4]);
	check_status(suite, secondary_names[5], psci_call(machine, PSCI_CPU_ON, target, entry, 0),
		     PSCI_ALREADY_ON);
	/* Asked while it is on, so that nobody starts it there in earnest. */
	if (box.done)
		tap_note(tap, "CPU_ON with an unprotected entry: %ld (an RMM says %d)",
			 psci_call(machine, PSCI_CPU_ON, target, entry | suite->shared_bit, 0),
			 PSCI_INVALID_ADDRESS);
	barrier_full();
	box.release = 1;
	tap_check(tap, wait_off(machine, target), secondary_names[6]);
}

void check_registers(struct suite *suite)
{
	if (!tap_check(&suite->tap, suite->nr_clobbers == 0,
		       "registers: no call changed one that is none of its outputs"))
		tap_note(&suite->tap, "%u changes, the first by %lx: x%u=%lx", suite->nr_clobbers,
			 suite->clobber_call, suite->clobber_reg, suite->clobber_value);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI: what there is, vCPUs that come and go, and the second one's own view. */
#include "suite.h"

struct psci_case {
	char name[56];
	uint32_t function;
	uint64_t x1;
	int64_t expected;
};

#define PSCI_UNASSIGNED          0x8400001Du
#define PSCI_MIGRATE             0xC4000005u
#define PSCI_MIGRATE_INFO_TYPE   0x84000006u
#define PSCI_MIGRATE_INFO_UP_CPU 0xC4000007u
#define PSCI_SYSTEM_SUSPEND      0xC400000Eu
#define PSCI_SYSTEM_RESET2       0xC4000012u
#define SMCCC_ARCH_FEATURES      0x80000001u
/* Beyond any machine's last vCPU, affinity fields alone */
#define NO_SUCH_CPU 0x00ffff0full

static const struct psci_case psci_cases[] = {
	{"psci: features of CPU_ON", PSCI_FEATURES, PSCI_CPU_ON, PSCI_SUCCESS},
	{"psci: features of CPU_OFF", PSCI_FEATURES, PSCI_CPU_OFF, PSCI_SUCCESS},
	{"psci: features of SYSTEM_OFF", PSCI_FEATURES, PSCI_SYSTEM_OFF, PSCI_SUCCESS},
	{"psci: features of SYSTEM_RESET", PSCI_FEATURES, PSCI_SYSTEM_RESET, PSCI_SUCCESS},
	{"psci: features of no function", PSCI_FEATURES, PSCI_UNASSIGNED, PSCI_NOT_SUPPORTED},
	{"psci: no function", PSCI_UNASSIGNED, 0, PSCI_NOT_SUPPORTED},
	{"psci: features of CPU_SUSPEND", PSCI_FEATURES, PSCI_CPU_SUSPEND, PSCI_SUCCESS},
	{"psci: features of AFFINITY_INFO", PSCI_FEATURES, PSCI_AFFINITY_INFO, PSCI_SUCCESS},
	{"psci: features of PSCI_FEATURES", PSCI_FEATURES, PSCI_FEATURES, PSCI_SUCCESS},
	{"psci: features of SMCCC_VERSION", PSCI_FEATURES, SMCCC_VERSION, PSCI_SUCCESS},
	{"psci: features of MIGRATE", PSCI_FEATURES, PSCI_MIGRATE, PSCI_NOT_SUPPORTED},
	{"psci: features of MIGRATE_INFO_TYPE", PSCI_FEATURES, PSCI_MIGRATE_INFO_TYPE,
	 PSCI_NOT_SUPPORTED},
	{"psci: features of SYSTEM_RESET2", PSCI_FEATURES, PSCI_SYSTEM_RESET2, PSCI_NOT_SUPPORTED},
	{"psci: features of SYSTEM_SUSPEND", PSCI_FEATURES, PSCI_SYSTEM_SUSPEND,
	 PSCI_NOT_SUPPORTED},
	{"psci: MIGRATE", PSCI_MIGRATE, 0, PSCI_NOT_SUPPORTED},
	{"psci: MIGRATE_INFO_TYPE", PSCI_MIGRATE_INFO_TYPE, 0, PSCI_NOT_SUPPORTED},
	{"psci: MIGRATE_INFO_UP_CPU", PSCI_MIGRATE_INFO_UP_CPU, 0, PSCI_NOT_SUPPORTED},
	{"psci: SYSTEM_RESET2", PSCI_SYSTEM_RESET2, 0, PSCI_NOT_SUPPORTED},
	{"psci: SYSTEM_SUSPEND", PSCI_SYSTEM_SUSPEND, 0, PSCI_NOT_SUPPORTED},
	{"psci: CPU_ON of no vCPU", PSCI_CPU_ON, NO_SUCH_CPU, PSCI_INVALID_PARAMETERS},
	{"psci: AFFINITY_INFO of no vCPU", PSCI_AFFINITY_INFO, NO_SUCH_CPU,
	 PSCI_INVALID_PARAMETERS},
};

uint64_t own_mpidr(void)
{
	uint64_t mpidr;

	__asm__ volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
	return mpidr & 0xff00ffffffull;
}

void check_status(struct suite *suite, const char *name, int64_t got, int64_t expected)
{
	if (!tap_check(&suite->tap, got == expected, name))
		tap_note(&suite->tap, "got %ld, expected %ld", got, expected);
}

void check_psci(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	uint64_t entry = ipa_of((const void *)(uintptr_t)secondary_entry);
	int64_t version = psci_call(machine, PSCI_VERSION, 0, 0, 0), level1;

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
	check_status(suite, "psci: AFFINITY_INFO at a level that does not exist",
		     psci_call(machine, PSCI_AFFINITY_INFO, own_mpidr(), 4, 0),
		     PSCI_INVALID_PARAMETERS);
	/* PSCI 1.0 leaves it open whether levels above 0 are served. */
	level1 = psci_call(machine, PSCI_AFFINITY_INFO, own_mpidr(), 1, 0);
	tap_check(&suite->tap, level1 == PSCI_INVALID_PARAMETERS || level1 == PSCI_AFFINITY_ON,
		  "psci: AFFINITY_INFO at level 1");
	tap_note(&suite->tap, "AFFINITY_INFO at level 1: %ld; SMCCC_ARCH_FEATURES: %ld", level1,
		 psci_call(machine, SMCCC_ARCH_FEATURES, SMCCC_VERSION, 0, 0));
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

bool wait_for(const volatile uint64_t *flag)
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

bool wait_off(const struct machine *machine, uint64_t mpidr)
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

/* vCPUs that come and go. */

#define NR_ROUNDS 4

static void cpu_come_and_go(struct member *member)
{
	member->status = 1;
}

/* Each round switches all others off and on again; team_run() waits for both. */
static void check_off_and_on(struct suite *suite)
{
	const struct team *team = &suite->scratch->team;
	bool ok = true;

	for (unsigned round = 0; round < NR_ROUNDS && ok; round++) {
		ok = team_run(suite, cpu_come_and_go);
		for (unsigned i = 0; i < team->nr; i++)
			ok = ok && team->members[i].status == 1;
	}
	tap_check(&suite->tap, ok, "psci: CPU_OFF, then CPU_ON again");
}

/* What the vCPU that two have switched on does: it is there once. */
static void awoken(struct cpu *cpu)
{
	struct member *member = cpu->arg;

	member->nr_calls++;
	barrier_full();
	member->done = 1;
	psci_call(cpu->machine, PSCI_CPU_OFF, 0, 0, 0);
	cpu_park();
}

static int64_t wake(struct suite *suite, struct member *target)
{
	return psci_call(suite->machine, PSCI_CPU_ON, suite->machine->mpidr[target->index],
			 ipa_of((const void *)(uintptr_t)secondary_entry), ipa_of(&target->cpu));
}

static void waker(struct cpu *cpu)
{
	struct member *member = cpu->arg;
	struct team *team = member->team;

	member->ready = 1;
	wait_for(&team->go);
	member->status = wake(team->suite, &team->members[2]);
	barrier_full();
	member->done = 1;
	psci_call(cpu->machine, PSCI_CPU_OFF, 0, 0, 0);
	cpu_park();
}

static void set_up(struct suite *suite, unsigned index, void (*entry)(struct cpu *cpu))
{
	struct team *team = &suite->scratch->team;
	struct member *member = &team->members[index];

	memset(member, 0, sizeof(*member));
	member->team = team;
	member->index = index;
	member->cpu.stack_top = ipa_of(suite->scratch->team_stacks[index - 1]) + TEAM_STACK_SIZE;
	member->cpu.entry = entry;
	member->cpu.arg = member;
	member->cpu.machine = suite->machine;
	member->cpu.console = suite->tap.console;
}

/* Two vCPUs switch on a third at the same time: it runs once, and one of the two hears that. */
static void check_two_wakers(struct suite *suite)
{
	static const char name[] = "psci: CPU_ON by two vCPUs at once";
	const struct machine *machine = suite->machine;
	struct team *team = &suite->scratch->team;
	bool ok = true;

	if (machine->nr_cpus < 3) {
		tap_skip(&suite->tap, name, "less than three vCPUs");
		return;
	}
	for (unsigned round = 0; round < NR_ROUNDS && ok; round++) {
		struct member *other = &team->members[1], *third = &team->members[2];
		int64_t own, loser;

		team->suite = suite;
		team->go = 0;
		set_up(suite, 1, waker);
		set_up(suite, 2, awoken);
		ok = switch_on(suite, 1, &other->cpu) && wait_for(&other->ready);
		/* Until the host knows as well that the third one is off. */
		for (uint64_t start = now_ms(); now_ms() - start < 50;)
			;
		team->go = 1;
		own = wake(suite, third);
		ok = ok && wait_for(&other->done) && wait_for(&third->done) &&
		     wait_off(machine, machine->mpidr[1]) && wait_off(machine, machine->mpidr[2]);
		loser = own == PSCI_SUCCESS ? other->status : own;
		/* Both win if the third is off again before the second call. */
		ok = ok && (own == PSCI_SUCCESS || other->status == PSCI_SUCCESS) &&
		     (loser == PSCI_ALREADY_ON || loser == PSCI_ON_PENDING ||
		      loser == PSCI_DENIED || (loser == PSCI_SUCCESS && third->nr_calls == 2)) &&
		     (loser == PSCI_SUCCESS || third->nr_calls == 1);
		if (!ok)
			tap_note(&suite->tap,
				 "round %u: this one %ld, the other %ld, ran %lu times", round, own,
				 other->status, third->nr_calls);
	}
	tap_check(&suite->tap, ok, name);
}

void check_psci_cpus(struct suite *suite)
{
	if (suite->machine->nr_cpus < 2) {
		tap_skip(&suite->tap, "psci: CPU_OFF, then CPU_ON again", "one vCPU");
		tap_skip(&suite->tap, "psci: CPU_ON by two vCPUs at once", "less than three vCPUs");
		return;
	}
	check_off_and_on(suite);
	check_two_wakers(suite);
}

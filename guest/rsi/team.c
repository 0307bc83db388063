/* SPDX-License-Identifier: Apache-2.0 */
/* Several vCPUs at once. */
#include "suite.h"

/* Of one range: an RMM may do less than asked, but not nothing for ever. */
#define MAX_IDLE_CALLS 1000

uint64_t member_call(struct member *member, struct regs *regs)
{
	member->nr_calls++;
	raw_smc(regs);
	return regs->x[0];
}

void member_fail(struct member *member, const struct regs *regs)
{
	if (!member->nr_errors++)
		member->error = *regs;
}

bool member_ripas(struct member *member, uint64_t base, uint64_t top, uint64_t ripas)
{
	unsigned nr_idle = 0;

	while (base < top) {
		struct regs regs = {.x = {RSI_IPA_STATE_SET, base, top, ripas, CHANGE_DESTROYED}};

		member_call(member, &regs);
		if (regs.x[1] == base && nr_idle < MAX_IDLE_CALLS)
			nr_idle++;
		else
			nr_idle = regs.x[1] == base ? MAX_IDLE_CALLS : 0;
		if (regs.x[0] != RSI_SUCCESS || regs.x[2] != 0 || regs.x[1] < base ||
		    regs.x[1] > top || nr_idle == MAX_IDLE_CALLS) {
			member_fail(member, &regs);
			return false;
		}
		base = regs.x[1];
	}
	return true;
}

static void member_main(struct cpu *cpu)
{
	struct member *member = cpu->arg;
	struct team *team = member->team;

	barrier_full();
	member->ready = 1;
	if (wait_for(&team->go))
		team->job(member);
	barrier_full();
	member->done = 1;
	psci_call(cpu->machine, PSCI_CPU_OFF, 0, 0, 0);
	cpu_park();
}

bool switch_on(struct suite *suite, unsigned index, struct cpu *cpu)
{
	const struct machine *machine = suite->machine;
	const uint64_t start = now_ms();
	int64_t status;

	cpu->machine = machine;
	barrier_full();
	do
		status = psci_call(machine, PSCI_CPU_ON, machine->mpidr[index],
				   ipa_of((const void *)(uintptr_t)secondary_entry), ipa_of(cpu));
	while (status != PSCI_SUCCESS && now_ms() - start < 30000);
	if (status != PSCI_SUCCESS)
		tap_note(&suite->tap, "CPU_ON of vCPU %u: %ld", index, status);
	return status == PSCI_SUCCESS;
}

static void set_up(struct team *team, struct suite *suite, void (*job)(struct member *member))
{
	struct scratch *scratch = suite->scratch;
	const unsigned nr_cpus = suite->machine->nr_cpus;

	memset(team, 0, sizeof(*team));
	team->suite = suite;
	team->nr = nr_cpus < TEAM_MAX ? nr_cpus : TEAM_MAX;
	team->job = job;
	for (unsigned i = 0; i < team->nr; i++) {
		struct member *member = &team->members[i];

		member->team = team;
		member->index = i;
		if (i == 0)
			continue;
		member->cpu.stack_top = ipa_of(scratch->team_stacks[i - 1]) + TEAM_STACK_SIZE;
		member->cpu.entry = member_main;
		member->cpu.arg = member;
		member->cpu.console = suite->tap.console;
	}
	barrier_full();
}

bool team_run(struct suite *suite, void (*job)(struct member *member))
{
	const struct machine *machine = suite->machine;
	struct team *team = &suite->scratch->team;
	unsigned nr = 1;
	bool ok = true;

	set_up(team, suite, job);
	while (nr < team->nr && ok) {
		ok = switch_on(suite, nr, &team->members[nr].cpu) &&
		     wait_for(&team->members[nr].ready);
		if (!ok)
			tap_note(&suite->tap, "vCPU %u does not come", nr);
		else
			nr++;
	}
	barrier_full();
	team->go = 1;
	if (ok)
		job(&team->members[0]);
	for (unsigned i = 1; i < nr; i++) {
		if (wait_for(&team->members[i].done) && wait_off(machine, machine->mpidr[i]))
			continue;
		tap_note(&suite->tap, "vCPU %u does not end", i);
		ok = false;
	}
	return ok;
}

void team_check(struct suite *suite, bool complete, const char *name)
{
	const struct team *team = &suite->scratch->team;
	uint64_t nr_errors = 0, nr_calls = 0;

	for (unsigned i = 0; i < team->nr; i++) {
		const struct member *member = &team->members[i];

		nr_calls += member->nr_calls;
		nr_errors += member->nr_errors;
		if (member->nr_errors)
			tap_note(&suite->tap,
				 "vCPU %u: %lu errors, the first x0=%lx x1=%lx x2=%lx x3=%lx", i,
				 member->nr_errors, member->error.x[0], member->error.x[1],
				 member->error.x[2], member->error.x[3]);
	}
	tap_check(&suite->tap, complete && nr_errors == 0, name);
	tap_note(&suite->tap, "%u vCPUs, %lu calls", team->nr, nr_calls);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Timers and the interrupt controller, as a realm has them through its RMM. */
#include "suite.h"

#define SGI_SELF   1
#define SGI_THERE  2
#define SGI_BACK   3
#define SGI_OTHERS 4

#define TIMER_ENABLE 1u
#define TIMER_MASK   2u
#define TIMER_STATUS 4u

static uint64_t virtual_count(void)
{
	uint64_t count;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count) : : "memory");
	return count;
}

static uint64_t physical_count(void)
{
	uint64_t count;

	__asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(count) : : "memory");
	return count;
}

static uint64_t virtual_control(void)
{
	uint64_t control;

	__asm__ volatile("isb; mrs %0, cntv_ctl_el0" : "=r"(control));
	return control;
}

static uint64_t virtual_compare(void)
{
	uint64_t compare;

	__asm__ volatile("mrs %0, cntv_cval_el0" : "=r"(compare));
	return compare;
}

static void set_virtual_compare(uint64_t compare)
{
	__asm__ volatile("msr cntv_cval_el0, %0; isb" : : "r"(compare) : "memory");
}

static void set_virtual_control(uint64_t control)
{
	__asm__ volatile("msr cntv_ctl_el0, %0; isb" : : "r"(control) : "memory");
}

/* Bounds of CNTVOFF: physical minus virtual count, read around each other. */
struct offset {
	uint64_t low, high;
};

static struct offset measure_offset(void)
{
	const uint64_t before = physical_count(), virtual = virtual_count();
	const uint64_t after = physical_count();

	return (struct offset){before - virtual, after - virtual};
}

static bool same_offset(struct offset a, struct offset b)
{
	/* Differences, as an offset may be negative. */
	return (int64_t)(a.low - b.high) <= 0 && (int64_t)(b.low - a.high) <= 0;
}

static const char irq_names[][56] = {
	"gic: each vCPU has a redistributor",
	"gic: nothing pending is INTID 1023",
	"gic: SGI to itself",
	"gic: masked, it stays pending",
	"gic: SGI to each other vCPU, and back",
	"gic: SGI to all but itself",
};

/* Each of the others answers what it is sent. */
static void job_sgi(struct member *member)
{
	const struct suite *suite = member->team->suite;
	struct cpu *cpu = member->index ? &member->cpu : suite->cpu;
	struct team *team = member->team;
	struct irqs irqs;
	struct gic gic;

	if (!gic_find(&gic, suite) || !gic_begin(&gic, cpu, &irqs)) {
		member->status = -1;
		return;
	}
	cpu_unmask_irq();
	if (member->index) {
		member->size = 1; /* can take them */
		if (!wait_irq(&irqs, SGI_THERE, 1))
			member->status = -2;
		gic_send(suite->machine->mpidr[0], SGI_BACK);
		if (!wait_irq(&irqs, SGI_OTHERS, 1))
			member->status = -3;
		/* Nothing but what was sent to it. */
		if (irqs.nr[SGI_THERE] != 1 || irqs.nr[SGI_BACK] != 0 || irqs.nr_other)
			member->status = -4;
	} else {
		for (unsigned i = 1; i < team->nr; i++) {
			if (!wait_for(&team->members[i].size))
				member->status = -5;
			gic_send(suite->machine->mpidr[i], SGI_THERE);
			if (!wait_irq(&irqs, SGI_BACK, i))
				member->status = -6;
		}
		gic_send_others(SGI_OTHERS);
		if (irqs.nr[SGI_THERE] || irqs.nr[SGI_OTHERS])
			member->status = -7;
	}
	gic_end(cpu);
}

static void check_sgis_between(struct suite *suite)
{
	const struct team *team = &suite->scratch->team;
	bool ok, others = true, there = true;

	if (suite->machine->nr_cpus < 2) {
		tap_skip(&suite->tap, irq_names[4], "one vCPU");
		tap_skip(&suite->tap, irq_names[5], "one vCPU");
		return;
	}
	ok = team_run(suite, job_sgi);
	for (unsigned i = 0; i < team->nr; i++) {
		const int64_t status = team->members[i].status;

		others = others && status != -3 && status != -7;
		there = there && (status == 0 || status == -3 || status == -7);
		if (status)
			tap_note(&suite->tap, "vCPU %u: %ld", i, status);
	}
	tap_check(&suite->tap, ok && there, irq_names[4]);
	tap_check(&suite->tap, ok && others, irq_names[5]);
}

static void job_frame(struct member *member)
{
	struct gic gic;

	if (gic_find(&gic, member->team->suite))
		member->size = gic_frame(&gic);
}

static void check_frames(struct suite *suite)
{
	const struct team *team = &suite->scratch->team;
	bool ok = team_run(suite, job_frame);

	for (unsigned i = 0; i < team->nr; i++) {
		ok = ok && team->members[i].size != 0;
		for (unsigned j = 0; j < i; j++)
			ok = ok && team->members[i].size != team->members[j].size;
	}
	tap_check(&suite->tap, ok, irq_names[0]);
}

static void check_own_sgi(struct suite *suite, const struct gic *gic)
{
	struct irqs irqs;
	uint64_t taken;
	bool came;

	if (!tap_check(&suite->tap, gic_begin(gic, suite->cpu, &irqs) && gic_ack() == INTID_NONE,
		       irq_names[1]))
		return;
	cpu_unmask_irq();
	gic_send(own_mpidr(), SGI_SELF);
	came = wait_irq(&irqs, SGI_SELF, 1);
	cpu_mask_irq();
	tap_check(&suite->tap, came && irqs.nr[SGI_SELF] == 1 && irqs.nr_other == 0, irq_names[2]);

	gic_send(own_mpidr(), SGI_SELF);
	taken = gic_ack();
	for (uint64_t start = now_ms(); taken == INTID_NONE && now_ms() - start < 30000;)
		taken = gic_ack();
	tap_check(&suite->tap, taken == SGI_SELF && irqs.nr[SGI_SELF] == 1, irq_names[3]);
	gic_end(suite->cpu);
}

void check_interrupts(struct suite *suite)
{
	struct gic gic;

	if (!gic_find(&gic, suite)) {
		for (size_t i = 0; i < ARRAY_SIZE(irq_names); i++)
			tap_skip(&suite->tap, irq_names[i], "the tree has no GICv3");
		return;
	}
	check_frames(suite);
	check_own_sgi(suite, &gic);
	check_sgis_between(suite);
}

static const char timer_names[][56] = {
	"timer: its frequency is told",
	"timer: the virtual count goes on",
	"timer: the virtual offset stays",
	"timer: the virtual interrupt arrives",
	"timer: not before its time",
	"timer: a masked one does not arrive",
	"timer: the physical interrupt arrives",
	"timer: each vCPU has its own",
};

static void check_counts(struct suite *suite)
{
	const struct offset first = measure_offset();
	const uint64_t start = virtual_count();
	uint64_t freq;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(freq));
	tap_check(&suite->tap, freq >= 1000000 && freq <= 10000000000ull, timer_names[0]);
	for (unsigned i = 0; i < 1000 && virtual_count() == start; i++)
		;
	tap_check(&suite->tap, virtual_count() > start, timer_names[1]);
	tap_note(&suite->tap, "%lu Hz, virtual offset %s", freq,
		 first.low == 0 || (int64_t)first.low < 0 ? "0 or less" : "above 0");
}

static void check_virtual_timer(struct suite *suite, struct irqs *irqs)
{
	bool came, early;

	vtimer_start(20);
	cpu_unmask_irq();
	came = wait_irq(irqs, INTID_VTIMER, 1);
	early = virtual_count() < virtual_compare();
	cpu_mask_irq();
	tap_check(&suite->tap, came && irqs->nr[INTID_VTIMER] == 1, timer_names[3]);
	tap_check(&suite->tap, came && !early, timer_names[4]);

	/* Masked before it can be due, however slow the machine is. */
	set_virtual_control(TIMER_MASK);
	set_virtual_compare(virtual_count());
	set_virtual_control(TIMER_ENABLE | TIMER_MASK);
	cpu_unmask_irq();
	for (uint64_t start = now_ms(); now_ms() - start < 50;)
		;
	cpu_mask_irq();
	tap_check(&suite->tap,
		  irqs->nr[INTID_VTIMER] == 1 &&
			  virtual_control() == (TIMER_ENABLE | TIMER_MASK | TIMER_STATUS),
		  timer_names[5]);
	set_virtual_control(0);
}

static void job_timer(struct member *member)
{
	const struct suite *suite = member->team->suite;
	struct cpu *cpu = member->index ? &member->cpu : suite->cpu;
	struct irqs irqs;
	struct gic gic;

	member->status = -1;
	if (!gic_find(&gic, suite) || !gic_begin(&gic, cpu, &irqs))
		return;
	vtimer_start(10 + 10 * member->index);
	cpu_unmask_irq();
	if (wait_irq(&irqs, INTID_VTIMER, 1) && irqs.nr[INTID_VTIMER] == 1)
		member->status = 0;
	gic_end(cpu);
}

/* All at the same time; and the virtual count is one and the same. */
static void check_everybodys_timer(struct suite *suite)
{
	const struct team *team = &suite->scratch->team;
	bool ok = team_run(suite, job_timer);

	for (unsigned i = 0; i < team->nr; i++)
		ok = ok && team->members[i].status == 0;
	tap_check(&suite->tap, ok, timer_names[7]);
}

void check_timers(struct suite *suite)
{
	const struct offset first = measure_offset();
	struct irqs irqs;
	struct gic gic;
	bool came;

	check_counts(suite);
	if (!gic_find(&gic, suite) || !gic_begin(&gic, suite->cpu, &irqs)) {
		for (size_t i = 2; i < ARRAY_SIZE(timer_names); i++)
			tap_skip(&suite->tap, timer_names[i], "no GICv3 to tell");
		return;
	}
	check_virtual_timer(suite, &irqs);
	ptimer_start(20);
	cpu_unmask_irq();
	came = wait_irq(&irqs, INTID_PTIMER, 1);
	cpu_mask_irq();
	tap_check(&suite->tap, came, timer_names[6]);
	tap_check(&suite->tap, same_offset(first, measure_offset()), timer_names[2]);
	gic_end(suite->cpu);
	check_everybodys_timer(suite);
}

/*
 * CPU_SUSPEND, apart from the checks: whether a vCPU wakes up depends on the host's kernel, and one
 * that does not cannot tell.
 */

static bool suspend_with_timer(struct suite *suite, struct irqs *irqs, unsigned ms, bool pending)
{
	const uint64_t nr = irqs->nr[INTID_VTIMER];
	int64_t status;
	bool came;

	vtimer_start(ms);
	while (pending && !(virtual_control() & TIMER_STATUS))
		;
	status = psci_call(suite->machine, PSCI_CPU_SUSPEND, 0, 0, 0);
	cpu_unmask_irq();
	came = wait_irq(irqs, INTID_VTIMER, nr + 1);
	cpu_mask_irq();
	return came && status == PSCI_SUCCESS;
}

/* The others sleep, perhaps not yet when it is sent. */
static void job_suspend(struct member *member)
{
	const struct suite *suite = member->team->suite;
	const struct team *team = member->team;
	struct irqs irqs;
	struct gic gic;

	if (member->index == 0) {
		for (unsigned i = 1; i < team->nr; i++) {
			if (!wait_for(&team->members[i].size))
				member->status = -1;
		}
		for (uint64_t start = now_ms(); now_ms() - start < 100;)
			;
		for (unsigned i = 1; i < team->nr; i++)
			gic_send(suite->machine->mpidr[i], SGI_THERE);
		return;
	}
	if (!gic_find(&gic, suite) || !gic_begin(&gic, &member->cpu, &irqs)) {
		member->status = -2;
		return;
	}
	member->size = 1;
	member->status = psci_call(suite->machine, PSCI_CPU_SUSPEND, 0, 0, 0);
	cpu_unmask_irq();
	if (!wait_irq(&irqs, SGI_THERE, 1))
		member->status = -3;
	gic_end(&member->cpu);
}

void mode_suspend(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	const struct team *team = &suite->scratch->team;
	struct irqs irqs;
	struct gic gic;
	bool ok;

	if (!gic_find(&gic, suite) || !gic_begin(&gic, suite->cpu, &irqs)) {
		tap_note(tap, "CPU_SUSPEND: no GICv3 to tell");
		return;
	}
	tap_note(tap, "CPU_SUSPEND with an interrupt pending");
	ok = suspend_with_timer(suite, &irqs, 1, true);
	tap_note(tap, "CPU_SUSPEND until the timer: %s before", ok ? "ok" : "not ok");
	ok = ok && suspend_with_timer(suite, &irqs, 200, false);
	gic_end(suite->cpu);
	tap_note(tap, "CPU_SUSPEND until an SGI: %s before", ok ? "ok" : "not ok");
	ok = team_run(suite, job_suspend) && ok;
	for (unsigned i = 0; i < team->nr; i++)
		ok = ok && team->members[i].status == PSCI_SUCCESS;
	tap_note(tap, "CPU_SUSPEND: %s", ok ? "all woke up" : "not ok");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A GICv3's private interrupts, and the timers (GIC architecture 3.0, 12; Arm ARM D11). */
#include "suite.h"

#define GICD_CTLR      0x0000
#define GICD_CTLR_GRP1 (1u << 1)
#define GICD_CTLR_ARE  (1u << 4)

#define GICR_FRAME      0x20000 /* two pages of 64 KiB: control, SGIs */
#define GICR_TYPER      0x0008
#define GICR_TYPER_LAST (1ull << 4)
#define GICR_WAKER      0x0014
#define GICR_SLEEP      (1u << 1)
#define GICR_ASLEEP     (1u << 2)
#define GICR_SGI        0x10000
#define GICR_IGROUPR0   (GICR_SGI + 0x0080)
#define GICR_ISENABLER0 (GICR_SGI + 0x0100)
#define GICR_ICENABLER0 (GICR_SGI + 0x0180)
#define GICR_ICPENDR0   (GICR_SGI + 0x0280)

#define TIMER_ENABLE 1u
#define TIMER_MASK   2u

#define SGI_ALL_BUT_SELF (1ull << 40)

#define MAX_WAKE_READS 100000
#define MAX_NONE       100000

/* By number: the assembler knows the names only if the GIC's extension is switched on. */
#define read_sysreg(name)                                         \
	({                                                        \
		uint64_t value_;                                  \
		__asm__ volatile("mrs %0, " name : "=r"(value_)); \
		value_;                                           \
	})
#define write_sysreg(name, value) \
	__asm__ volatile("msr " name ", %0; isb" : : "r"((uint64_t)(value)) : "memory")

#define ICC_PMR     "S3_0_C4_C6_0"
#define ICC_SGI1R   "S3_0_C12_C11_5"
#define ICC_IAR1    "S3_0_C12_C12_0"
#define ICC_EOIR1   "S3_0_C12_C12_1"
#define ICC_SRE     "S3_0_C12_C12_5"
#define ICC_IGRPEN1 "S3_0_C12_C12_7"

bool gic_find(struct gic *gic, const struct suite *suite)
{
	const struct machine *machine = suite->machine;
	const uint32_t node = machine_find(machine, "arm,gic-v3");
	uint64_t size;

	if (node == FDT_NONE || !machine_range(machine, node, 0, &gic->gicd, &size) ||
	    !machine_range(machine, node, 1, &gic->gicr, &size))
		return false;
	gic->nr_gicr = (unsigned)(size / GICR_FRAME);
	gic->gicd |= suite->shared_bit;
	gic->gicr |= suite->shared_bit;
	return gic->nr_gicr > 0;
}

/* GICR_TYPER has Aff3 to Aff0 next to each other; MPIDR has other things in between. */
static uint64_t packed_affinity(uint64_t mpidr)
{
	return (mpidr & 0xffffff) | (mpidr >> 32 & 0xff) << 24;
}

uint64_t gic_frame(const struct gic *gic)
{
	const uint64_t affinity = packed_affinity(own_mpidr());

	for (unsigned i = 0; i < gic->nr_gicr; i++) {
		const uint64_t frame = gic->gicr + i * GICR_FRAME;
		const uint64_t type = mmio_read64(frame + GICR_TYPER);

		if (type >> 32 == affinity)
			return frame;
		if (type & GICR_TYPER_LAST)
			break;
	}
	return 0;
}

static void on_irq(struct cpu *cpu)
{
	struct irqs *irqs = cpu->irq_arg;
	const uint64_t intid = read_sysreg(ICC_IAR1);

	if (intid == INTID_NONE) {
		/* Raised and not to be had: without an end to it nothing else would run. */
		if (++irqs->nr_none >= MAX_NONE)
			write_sysreg(ICC_IGRPEN1, 0);
		return;
	}
	/* Their lines are levels: quiet first. */
	if (intid == INTID_VTIMER)
		write_sysreg("cntv_ctl_el0", TIMER_ENABLE | TIMER_MASK);
	if (intid == INTID_PTIMER)
		write_sysreg("cntp_ctl_el0", TIMER_ENABLE | TIMER_MASK);
	if (intid < GIC_NR_PRIVATE)
		irqs->nr[intid]++;
	else
		irqs->nr_other++;
	write_sysreg(ICC_EOIR1, intid);
	barrier_full();
}

static bool wake_frame(uint64_t frame)
{
	unsigned nr = 0;

	mmio_write32(frame + GICR_WAKER, mmio_read32(frame + GICR_WAKER) & ~GICR_SLEEP);
	while (mmio_read32(frame + GICR_WAKER) & GICR_ASLEEP) {
		if (++nr == MAX_WAKE_READS)
			return false;
	}
	return true;
}

bool gic_begin(const struct gic *gic, struct cpu *cpu, struct irqs *irqs)
{
	const uint64_t frame = gic_frame(gic);

	memset(irqs, 0, sizeof(*irqs));
	timers_stop();
	if (!frame || !wake_frame(frame))
		return false;
	mmio_write32(gic->gicd + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GRP1);
	mmio_write32(frame + GICR_ICENABLER0, ~0u);
	mmio_write32(frame + GICR_ICPENDR0, ~0u);
	mmio_write32(frame + GICR_IGROUPR0, ~0u);
	mmio_write32(frame + GICR_ISENABLER0, 0xffffu | 1u << INTID_VTIMER | 1u << INTID_PTIMER);
	write_sysreg(ICC_SRE, read_sysreg(ICC_SRE) | 1);
	write_sysreg(ICC_PMR, 0xff);
	write_sysreg(ICC_IGRPEN1, 1);
	cpu->irq_arg = irqs;
	cpu->on_irq = on_irq;
	barrier_full();
	return true;
}

void gic_end(struct cpu *cpu)
{
	timers_stop();
	cpu_mask_irq();
	write_sysreg(ICC_IGRPEN1, 0);
	cpu->on_irq = NULL;
}

uint64_t gic_ack(void)
{
	const uint64_t intid = read_sysreg(ICC_IAR1);

	if (intid != INTID_NONE)
		write_sysreg(ICC_EOIR1, intid);
	return intid;
}

void gic_send(uint64_t mpidr, unsigned intid)
{
	const uint64_t aff3 = mpidr >> 32 & 0xff, aff2 = mpidr >> 16 & 0xff;
	const uint64_t aff1 = mpidr >> 8 & 0xff, aff0 = mpidr & 0xff;

	barrier_full();
	write_sysreg(ICC_SGI1R, aff3 << 48 | aff2 << 32 | (uint64_t)intid << 24 | aff1 << 16 |
					1ull << (aff0 & 0xf));
}

void gic_send_others(unsigned intid)
{
	barrier_full();
	write_sysreg(ICC_SGI1R, SGI_ALL_BUT_SELF | (uint64_t)intid << 24);
}

bool wait_irq(const struct irqs *irqs, unsigned intid, uint64_t nr)
{
	const uint64_t start = now_ms();

	while (irqs->nr[intid] < nr) {
		if (now_ms() - start > 30000)
			return false;
	}
	return true;
}

static uint64_t ticks(unsigned ms)
{
	return read_sysreg("cntfrq_el0") / 1000 * ms;
}

void vtimer_start(unsigned ms)
{
	__asm__ volatile("isb");
	write_sysreg("cntv_cval_el0", read_sysreg("cntvct_el0") + ticks(ms));
	write_sysreg("cntv_ctl_el0", TIMER_ENABLE);
}

void ptimer_start(unsigned ms)
{
	__asm__ volatile("isb");
	write_sysreg("cntp_cval_el0", read_sysreg("cntpct_el0") + ticks(ms));
	write_sysreg("cntp_ctl_el0", TIMER_ENABLE);
}

void timers_stop(void)
{
	write_sysreg("cntv_ctl_el0", 0);
	write_sysreg("cntp_ctl_el0", 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/arch.h"
#include "lib/console.h"
#include "lib/machine.h"

struct exception_frame {
	uint64_t x[31];
	uint64_t elr, spsr, esr, far, pad;
};

_Static_assert(sizeof(struct exception_frame) == 288, "start.S");
_Static_assert(offsetof(struct exception_frame, elr) == 248, "start.S");

/* Called from start.S only. */
void exception_handle(struct exception_frame *frame, unsigned kind);

/* Hidden, or they would be reached through a table of absolute addresses. */
extern const char __image_start[] __attribute__((visibility("hidden")));
extern const char __image_end[] __attribute__((visibility("hidden")));

uint64_t image_start(void)
{
	return (uint64_t)(uintptr_t)__image_start;
}

uint64_t image_end(void)
{
	return (uint64_t)(uintptr_t)__image_end;
}

void cpu_init(struct cpu *cpu)
{
	memset(cpu, 0, sizeof(*cpu));
	__asm__ volatile("msr tpidr_el1, %0" : : "r"(cpu) : "memory");
}

static struct cpu *cpu_current(void)
{
	struct cpu *cpu;

	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(cpu));
	return cpu;
}

static void report(const struct cpu *cpu, const struct exception_frame *frame, unsigned kind)
{
	struct console *console = cpu->console;

	console_print(console,
		      "\nBail out! unexpected exception at vector %u: ESR %016lx FAR %016lx\n",
		      kind, frame->esr, frame->far);
	console_print(console, "# ELR %016lx (image + %lx) SPSR %016lx\n", frame->elr,
		      frame->elr - image_start(), frame->spsr);
	for (unsigned i = 0; i < ARRAY_SIZE(frame->x); i++)
		console_print(console, "# x%u %016lx\n", i, frame->x[i]);
}

void exception_handle(struct exception_frame *frame, unsigned kind)
{
	struct cpu *cpu = cpu_current();

	if (!cpu)
		cpu_park();
	if (cpu->expecting && kind == KIND_SYNC_SAME) {
		cpu->expecting = false;
		cpu->caught = true;
		cpu->fault = (struct fault){frame->esr, frame->far, frame->elr};
		frame->elr = frame->x[19];
		return;
	}
	if (kind == KIND_IRQ_SAME && cpu->on_irq) {
		cpu->on_irq(cpu);
		return;
	}
	/* An exception while reporting one: the console is what is broken. */
	if (!cpu->failing && cpu->console) {
		cpu->failing = true;
		report(cpu, frame, kind);
	}
	if (!cpu->machine)
		cpu_park();
	machine_power_off(cpu->machine);
}

static void expect_begin(struct cpu *cpu)
{
	cpu->caught = false;
	cpu->expecting = true;
	barrier_full();
}

static bool expect_end(struct cpu *cpu)
{
	barrier_full();
	cpu->expecting = false;
	return !cpu->caught;
}

bool cpu_try_read32(struct cpu *cpu, uint64_t addr, uint32_t *ret_value)
{
	expect_begin(cpu);
	*ret_value = raw_read32(addr);
	return expect_end(cpu);
}

bool cpu_try_write32(struct cpu *cpu, uint64_t addr, uint32_t value)
{
	expect_begin(cpu);
	raw_write32(addr, value);
	return expect_end(cpu);
}

bool cpu_try_write8(struct cpu *cpu, uint64_t addr, uint8_t value)
{
	expect_begin(cpu);
	raw_write8(addr, value);
	return expect_end(cpu);
}

bool cpu_try_exec(struct cpu *cpu, uint64_t addr)
{
	expect_begin(cpu);
	raw_exec(addr);
	return expect_end(cpu);
}

bool cpu_try_smc(struct cpu *cpu, struct regs *regs)
{
	expect_begin(cpu);
	raw_smc(regs);
	return expect_end(cpu);
}

bool cpu_try_hvc(struct cpu *cpu, struct regs *regs)
{
	expect_begin(cpu);
	raw_hvc(regs);
	return expect_end(cpu);
}

void cache_flush(const void *addr, size_t size)
{
	uint64_t ctr, line, p = (uint64_t)(uintptr_t)addr, end = p + size;

	__asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
	line = 4ull << ((ctr >> 16) & 0xf);
	barrier_full();
	for (p &= ~(line - 1); p < end; p += line)
		__asm__ volatile("dc civac, %0" : : "r"(p) : "memory");
	barrier_full();
}

uint64_t now_ms(void)
{
	uint64_t count, freq;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(count));
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(freq));
	if (freq < 1000)
		freq = 1000000; /* nobody has set it; any guess keeps waits finite */
	return count / (freq / 1000);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The processor as a bare-metal guest sees it: EL1, MMU off, one struct cpu for each vCPU. */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096ul
#define SZ_2M     0x200000ul

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct console;
struct machine;

/** struct regs - X0 to X17 around an SMC or HVC */
struct regs {
	uint64_t x[18];
};

/** struct fault - a synchronous exception that was taken by intent */
struct fault {
	uint64_t esr, far, elr;
};

/* ESR_ELx fields that the checks look at. */
#define ESR_EC(esr)    (((esr) >> 26) & 0x3f)
#define ESR_DFSC(esr)  ((esr)&0x3f)
#define EC_UNKNOWN     0x00 /* undefined instruction */
#define EC_IABT_SAME   0x21
#define EC_DABT_SAME   0x25
#define FSC_SYNC_EXT   0x10 /* synchronous external abort, not on a table walk */
#define KIND_SYNC_SAME 4    /* vector: synchronous, current EL with SP_ELx */
#define KIND_IRQ_SAME  5    /* vector: interrupt, likewise */

/**
 * struct cpu - one vCPU; TPIDR_EL1 points to it
 * @stack_top, @entry: where secondary_entry continues; start.S knows their offsets
 * @arg: for @entry
 * @machine, @console: for reporting an unexpected exception; NULL while unknown
 * @on_irq: what an interrupt is given to, interrupts masked; NULL if none is expected
 * @irq_arg: for @on_irq
 * @expecting: the next synchronous exception is wanted: record it and go on
 * @caught, @fault: what was recorded
 * @failing: already reporting an unexpected exception
 */
struct cpu {
	uint64_t stack_top;
	void (*entry)(struct cpu *cpu);
	void *arg;
	const struct machine *machine;
	struct console *console;
	void (*on_irq)(struct cpu *cpu);
	void *irq_arg;
	bool expecting, caught, failing;
	struct fault fault;
};

_Static_assert(offsetof(struct cpu, stack_top) == 0, "start.S");
_Static_assert(offsetof(struct cpu, entry) == 8, "start.S");

/** cpu_init() - make @cpu the running vCPU's */
void cpu_init(struct cpu *cpu);

/*
 * Accesses that may fault. Each returns true if it went through, false with cpu->fault filled in
 * if it took a synchronous exception instead.
 */
bool cpu_try_read32(struct cpu *cpu, uint64_t addr, uint32_t *ret_value);
bool cpu_try_write32(struct cpu *cpu, uint64_t addr, uint32_t value);
bool cpu_try_write8(struct cpu *cpu, uint64_t addr, uint8_t value);
bool cpu_try_exec(struct cpu *cpu, uint64_t addr);
bool cpu_try_smc(struct cpu *cpu, struct regs *regs);
bool cpu_try_hvc(struct cpu *cpu, struct regs *regs);

/* start.S */
uint32_t raw_read32(uint64_t addr);
void raw_write32(uint64_t addr, uint32_t value);
void raw_write8(uint64_t addr, uint8_t value);
void raw_exec(uint64_t addr);
void raw_smc(struct regs *regs);
void raw_hvc(struct regs *regs);
void secondary_entry(void) __attribute__((visibility("hidden")));
_Noreturn void cpu_park(void);
_Noreturn void cpu_spin(void);
_Noreturn void cpu_jump_to_fault(uint64_t vbar, uint64_t entry);

/** guest_main() - what each guest program defines; @scratch is GUEST_SCRATCH_SIZE bytes of it */
_Noreturn void guest_main(const void *dtb, void *scratch);

#define GUEST_SCRATCH_SIZE 0x10000

/** image_start(), image_end() - this program in memory, stack and scratch included */
uint64_t image_start(void);
uint64_t image_end(void);

/** cache_flush() - write back and drop cached copies; for memory that somebody else reads or writes
 * through caches while we access it without. Never on memory that is not there. */
void cache_flush(const void *addr, size_t size);

/** now_ms() - of the virtual counter; wraps never */
uint64_t now_ms(void);

/** cpu_unmask_irq(), cpu_mask_irq() - let interrupts in, or keep them pending */
static inline void cpu_unmask_irq(void)
{
	__asm__ volatile("msr daifclr, #2; isb" ::: "memory");
}

static inline void cpu_mask_irq(void)
{
	__asm__ volatile("msr daifset, #2; isb" ::: "memory");
}

static inline void barrier_full(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

/* Device registers: one plain instruction each, as hypervisors can decode no other. */
static inline uint8_t mmio_read8(uint64_t addr)
{
	uint32_t value;

	__asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return (uint8_t)value;
}

static inline void mmio_write8(uint64_t addr, uint8_t value)
{
	__asm__ volatile("strb %w0, [%1]" : : "r"((uint32_t)value), "r"(addr) : "memory");
}

static inline uint16_t mmio_read16(uint64_t addr)
{
	uint32_t value;

	__asm__ volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return (uint16_t)value;
}

static inline void mmio_write16(uint64_t addr, uint16_t value)
{
	__asm__ volatile("strh %w0, [%1]" : : "r"((uint32_t)value), "r"(addr) : "memory");
}

static inline uint32_t mmio_read32(uint64_t addr)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static inline void mmio_write32(uint64_t addr, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(addr) : "memory");
}

static inline uint64_t mmio_read64(uint64_t addr)
{
	uint64_t value;

	__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static inline void mmio_write64(uint64_t addr, uint64_t value)
{
	__asm__ volatile("str %0, [%1]" : : "r"(value), "r"(addr) : "memory");
}

/* string.c; the compiler calls these too */
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);
bool str_starts(const char *s, const char *prefix);
bool str_contains(const char *s, const char *what);

#endif

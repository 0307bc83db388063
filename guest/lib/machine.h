/* SPDX-License-Identifier: Apache-2.0 */
/* The machine as its device tree describes it, and PSCI. */
#ifndef GUEST_MACHINE_H
#define GUEST_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/console.h"
#include "lib/fdt.h"

#define MACHINE_MAX_CPUS 8

#define PSCI_VERSION       0x84000000u
#define PSCI_CPU_SUSPEND   0xC4000001u
#define PSCI_CPU_OFF       0x84000002u
#define PSCI_CPU_ON        0xC4000003u
#define PSCI_AFFINITY_INFO 0xC4000004u
#define PSCI_SYSTEM_OFF    0x84000008u
#define PSCI_SYSTEM_RESET  0x84000009u
#define PSCI_FEATURES      0x8400000Au

#define PSCI_SUCCESS            0
#define PSCI_NOT_SUPPORTED      (-1)
#define PSCI_INVALID_PARAMETERS (-2)
#define PSCI_DENIED             (-3)
#define PSCI_ALREADY_ON         (-4)
#define PSCI_ON_PENDING         (-5)
#define PSCI_INVALID_ADDRESS    (-9)

#define PSCI_AFFINITY_ON  0
#define PSCI_AFFINITY_OFF 1

/**
 * struct machine - addresses are the tree's, without the shared bit
 * @ram_base, @ram_top: the first memory range
 * @free_base, @free_top: RAM that neither this program nor the tree nor an initrd uses; @free_base
 *	is a multiple of 2 MiB; empty if they are equal
 * @uart_base: of /chosen/stdout-path; 0 if there is none that we can drive
 * @psci_smc: PSCI's conduit is SMC
 * @has_its: a GICv3 interrupt translation service is there
 * @nr_cpus: with an entry in @mpidr, at most MACHINE_MAX_CPUS
 * @bootargs: never NULL
 */
struct machine {
	struct fdt fdt;
	uint64_t ram_base, ram_top;
	uint64_t free_base, free_top;
	uint64_t uart_base;
	enum console_kind uart_kind;
	bool psci_smc;
	bool has_its;
	unsigned nr_cpus;
	uint64_t mpidr[MACHINE_MAX_CPUS];
	const char *bootargs;
};

/** machine_init() - Return: false if @dtb is no device tree or has no memory node. */
bool machine_init(struct machine *machine, const void *dtb);

/** machine_claims() - whether a node's reg or the RAM covers a part of the page at @addr */
bool machine_claims(const struct machine *machine, uint64_t addr);

/** machine_hole() - a page below RAM that is neither RAM nor any device's */
uint64_t machine_hole(const struct machine *machine);

/** machine_find() - the first node with that compatible string, or FDT_NONE */
uint32_t machine_find(const struct machine *machine, const char *compatible);

/** machine_range() - range @index of a node's reg; for devices directly below the root */
bool machine_range(const struct machine *machine, uint32_t node, unsigned index, uint64_t *ret_base,
		   uint64_t *ret_size);

struct cpu;

/**
 * machine_start_cpu() - start vCPU @index
 * @cpu: its structure, for good; set up with stack_top, entry and arg
 *
 * Return: false if PSCI refused.
 */
bool machine_start_cpu(const struct machine *machine, unsigned index, struct cpu *cpu);

/** psci_call() - Return: the status, sign-extended from its 32 bits. */
int64_t psci_call(const struct machine *machine, uint32_t function, uint64_t x1, uint64_t x2,
		  uint64_t x3);

_Noreturn void machine_power_off(const struct machine *machine);
_Noreturn void machine_reset(const struct machine *machine);

#endif

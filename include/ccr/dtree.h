/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's device tree, layout version 1: written in one fixed order, independent of the host,
 * the clock and any random source. Its bytes enter the RIM.
 */
#ifndef CCR_DTREE_H
#define CCR_DTREE_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/layout.h"
#include "ccr/memmap.h"

/*
 * What is on the PCI bus does not show in the tree, so that disks and consoles do not enter a
 * realm's measurement.
 */

/**
 * struct dtree_config - what the tree says that the address map does not
 * @cmdline: /chosen/bootargs, exactly as given; NULL or "" leaves the property out
 * @psci_smc: PSCI conduit: SMC (realms) or HVC
 * @has_pci: the machine has a PCI host bridge and, for its message interrupts, an ITS
 * @kaslr_seed: /chosen/kaslr-seed; 0 leaves it out
 */
struct dtree_config {
	const struct memmap *map;
	const struct layout *layout;
	const char *cmdline;
	bool psci_smc;
	bool has_pci;
	uint64_t kaslr_seed;
};

/**
 * dtree_write() - the flattened tree
 * @dtb: MEMMAP_DTB_SIZE bytes; zero behind the tree, whose totalsize says where it ends
 *
 * Return: 0; -ENOSPC with @err set if it does not fit (the command line is what can be too long).
 */
int dtree_write(const struct dtree_config *config, uint8_t dtb[MEMMAP_DTB_SIZE],
		struct ccr_err *err);

#endif

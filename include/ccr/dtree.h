/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's device tree, layout version 1: written in one fixed order, independent of the host,
 * the clock and any random source. Its bytes enter the RIM.
 */
#ifndef CCR_DTREE_H
#define CCR_DTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/layout.h"
#include "ccr/memmap.h"

/*
 * What is on the PCI bus, or in the places for virtio-mmio, does not show in the tree, so that
 * disks and consoles do not enter a realm's measurement.
 */

/**
 * struct dtree_config - what the tree says that the address map does not
 * @cmdline: /chosen/bootargs, exactly as given; NULL or "" leaves the property out
 * @psci_smc: PSCI conduit: SMC (realms) or HVC
 * @has_pci: the machine has a PCI host bridge and, for its message interrupts, an ITS
 * @has_virtio_mmio: it has virtio devices without a bus, in MEMMAP_NR_VIRTIO places
 * @has_firmware: the clock is the one that firmware wants, an MC146818, and there are spare UARTs
 * @has_pmu: its CPUs have performance monitors
 * @has_log: the map's region for the measurement log is reserved
 * @kaslr_seed: /chosen/kaslr-seed; 0 leaves it out
 */
struct dtree_config {
	const struct memmap *map;
	const struct layout *layout;
	const char *cmdline;
	bool psci_smc;
	bool has_pci;
	bool has_virtio_mmio;
	bool has_firmware;
	bool has_pmu;
	bool has_log;
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

/** DTREE_DIFF_MAX - bytes of the longest text of dtree_diff_describe() with its end */
#define DTREE_DIFF_MAX 160

/**
 * dtree_diff_describe() - why two trees of this layout are not the same
 * @is: @is_size hostile bytes
 * @expected: a tree of dtree_write(), @expected_size bytes
 * @text: what of the launch options differs: "2 vCPUs, expected 4; command line differs from its
 *	byte 6 on: ...". Empty if it is none of them, or if @is is no device tree. Command lines
 *	may not be printable.
 */
void dtree_diff_describe(const uint8_t *is, size_t is_size, const uint8_t *expected,
			 size_t expected_size, char text[DTREE_DIFF_MAX]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's address map, layout version 1. It is kvmtool's, so that third-party measurement tools
 * for kvmtool-style realms agree with ours. Owners pin RIMs: no number here may change without a
 * new layout version.
 */
#ifndef CCR_MEMMAP_H
#define CCR_MEMMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/ipa.h"

/** MEMMAP_LAYOUT_VERSION - names this address map together with the device tree's bytes */
#define MEMMAP_LAYOUT_VERSION 1

#define MEMMAP_UART_BASE     0x01000000ull
#define MEMMAP_UART_SIZE     0x8ull
#define MEMMAP_SPARE_UARTS   3 /* for firmware */
#define MEMMAP_SPARE_UART(n) (0x01001000ull + 0x1000ull * (n))
#define MEMMAP_RTC_BASE      0x01010000ull
#define MEMMAP_RTC_SIZE      0x1000ull
#define MEMMAP_MC146818_SIZE 0x2ull        /* in the same place, for firmware */
#define MEMMAP_VIRTIO_BASE   0x03000000ull /* virtio-mmio n is at + n * MEMMAP_VIRTIO_STRIDE */
#define MEMMAP_VIRTIO_STRIDE 0x200ull
#define MEMMAP_NR_VIRTIO     32            /* places, with a device or without */
#define MEMMAP_GIC_TOP       0x40000000ull /* distributor ends here; the rest grows down from it */
#define MEMMAP_GICD_SIZE     0x10000ull
#define MEMMAP_GICR_SIZE     0x20000ull /* one vCPU's redistributor */
#define MEMMAP_ITS_SIZE      0x20000ull
#define MEMMAP_PCI_CFG_BASE  0x40000000ull /* ECAM */
#define MEMMAP_PCI_CFG_SIZE  0x100000ull   /* one bus */
#define MEMMAP_PCI_MEM_BASE  0x50000000ull
#define MEMMAP_PCI_MEM_SIZE  0x30000000ull
#define MEMMAP_RAM_BASE      0x80000000ull
#define MEMMAP_RAM_ALIGN     SZ_2M

#define MEMMAP_DTB_SIZE  SZ_64K        /* fixed, zero-padded */
#define MEMMAP_DTB_LIMIT 0x8fe00000ull /* the tree is here, or 2 MiB below the end of smaller RAM */
#define MEMMAP_LOG_SIZE \
	(SZ_2M - MEMMAP_DTB_SIZE) /* measurement log, if asked for: behind the tree */

#define MEMMAP_PPI_PMU 7 /* private peripheral interrupt (GIC INTID = PPI + 16) */

/* Shared peripheral interrupt numbers (GIC INTID = SPI + 32). */
#define MEMMAP_SPI_UART     0
#define MEMMAP_SPI_SPARE    1  /* spare UART n has + n */
#define MEMMAP_SPI_VIRTIO   4  /* to 63; virtio-mmio n has + n */
#define MEMMAP_SPI_PCI      64 /* to 95: one for each slot */
#define MEMMAP_NR_PCI_SLOTS 32
#define MEMMAP_NR_IRQS      128 /* GIC interrupt ids, with the 32 private ones */

#define MEMMAP_MAX_VCPUS 512 /* what KVM's GICv3 can address */
#define MEMMAP_MIN_RAM   (32 * 1024 * 1024ull)

/** enum machine_kind - who enforces isolation */
enum machine_kind {
	MACHINE_PLAIN,    /* nobody, and the guest does not ask for it */
	MACHINE_EMULATED, /* nobody: ccr-run plays the RMM's part of the guest's interface */
	MACHINE_REALM,    /* the RMM, through KVM's realm interface */
};

/**
 * struct memmap - what of the map depends on the machine's size
 * @ram_size: bytes from MEMMAP_RAM_BASE, a multiple of MEMMAP_RAM_ALIGN
 * @nr_vcpus: 1 to MEMMAP_MAX_VCPUS
 * @ipa_bits: width of the guest's IPA space, 33 to 52: RAM and the shared bit fit
 * @shared_bit: 1 << (ipa_bits - 1), set in addresses of shared memory and devices as a realm sees
 *	them; plain VMs never use it. All addresses in this struct are without it.
 * @gicd_base: GICv3 distributor
 * @gicr_base: first redistributor; nr_vcpus * MEMMAP_GICR_SIZE bytes, contiguous
 * @its_base: interrupt translation service, MEMMAP_ITS_SIZE bytes
 * @dtb_base: device tree
 * @log_base: MEMMAP_LOG_SIZE bytes, reserved for the measurement log where one is asked for
 */
struct memmap {
	uint64_t ram_size;
	unsigned nr_vcpus;
	unsigned ipa_bits;
	uint64_t shared_bit;
	ipa_t gicd_base;
	ipa_t gicr_base;
	ipa_t its_base;
	ipa_t dtb_base;
	ipa_t log_base;
};

/**
 * memmap_init() - lay out a machine
 * @ram_size: bytes; multiples of MEMMAP_RAM_ALIGN, from MEMMAP_MIN_RAM up
 * @nr_vcpus: 1 to MEMMAP_MAX_VCPUS
 *
 * The same for plain VMs and realms, so that a plain VM is a faithful rehearsal.
 *
 * Return: 0, or -EINVAL with @err naming the option and the limit.
 */
int memmap_init(struct memmap *map, uint64_t ram_size, unsigned nr_vcpus, struct ccr_err *err);

/**
 * memmap_mpidr() - affinity of vCPU @index as KVM assigns it (Aff0 has 16 values)
 */
uint64_t memmap_mpidr(unsigned index);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses across the boundaries of registers, structures, functions and windows. On Device memory
 * they would fault in the guest itself, so for as long as they last all memory is mapped, each
 * address to itself, as Normal non-cacheable.
 */
#include "lab.h"

#define GIB         (1ull << 30)
#define NR_ENTRIES  512u
#define VA_BITS     39
#define BLOCK       0x1ull
#define BLOCK_AF    (1ull << 10)
#define BLOCK_INNER (3ull << 8)

#define MAIR_NORMAL_NC 0x44ull
#define TCR_T0SZ       (64ull - VA_BITS)
#define TCR_SH0_INNER  (3ull << 12)
#define TCR_EPD1       (1ull << 23)
#define TCR_IPS_SHIFT  32
#define SCTLR_M        1ull
#define SCTLR_A        2ull

static void set_mmu(bool on)
{
	uint64_t sctlr;

	__asm__ volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
	sctlr = on ? (sctlr | SCTLR_M) & ~SCTLR_A : sctlr & ~SCTLR_M;
	__asm__ volatile("dsb sy; msr sctlr_el1, %0; isb" : : "r"(sctlr) : "memory");
}

/* One level of 1 GiB blocks, in the page at @table. */
static void map_all(uint64_t table)
{
	uint64_t features;

	for (uint64_t i = 0; i < NR_ENTRIES; i++)
		mmio_write64(table + 8 * i, i * GIB | BLOCK | BLOCK_AF | BLOCK_INNER);
	cache_flush((const void *)(uintptr_t)table, PAGE_SIZE);
	__asm__ volatile("mrs %0, id_aa64mmfr0_el1" : "=r"(features));
	__asm__ volatile("msr mair_el1, %0" : : "r"(MAIR_NORMAL_NC));
	__asm__ volatile(
		"msr tcr_el1, %0"
		:
		: "r"(TCR_T0SZ | TCR_SH0_INNER | TCR_EPD1 | (features & 7) << TCR_IPS_SHIFT));
	__asm__ volatile("msr ttbr0_el1, %0; isb" : : "r"(table));
	__asm__ volatile("tlbi vmalle1; dsb sy; isb" : : : "memory");
}

static void poke_place(uint64_t at)
{
	(void)mmio_read16(at);
	(void)mmio_read32(at);
	(void)mmio_read64(at);
	mmio_write16(at, 0xffff);
	mmio_write32(at, ~0u);
	mmio_write64(at, ~0ull);
}

/* Everywhere that the start of something is not: 1 to 7 bytes before each boundary. */
static void poke_around(uint64_t at)
{
	for (unsigned i = 1; i < 8; i += 2)
		poke_place(at - i);
}

static void poke_all(const struct lab *lab)
{
	const struct virtio *blk = &lab->blk;
	const uint64_t config = pci_config(&lab->pci, blk->slot, 0);
	const uint64_t window_end = (lab->pci.window + lab->pci.window_size) | lab->pci.alias;
	uint32_t value;

	for (unsigned at = 4; at <= COMMON_USED + 8; at += 4)
		poke_around(blk->common + at);
	poke_around(blk->common + PAGE_SIZE);
	poke_around(blk->isr + PAGE_SIZE);
	for (unsigned at = 8; at <= 64; at += 8)
		poke_around(blk->config + at);
	poke_around(blk->config + PAGE_SIZE);
	/* An odd place holds no queue's register; the end of the structure is also the BAR's. */
	poke_place(blk->notify + 1);
	poke_around(blk->notify + PAGE_SIZE);
	poke_around(pci_bar(&lab->pci, blk->slot, 1, 16));
	poke_around(config + 8);
	poke_around(config + 0x100);
	poke_around(config + PAGE_SIZE);
	/* What is behind may be RAM that is not shared: this may also abort, the rest must not. */
	for (unsigned i = 1; i < 4; i++)
		cpu_try_read32(lab->cpu, window_end - i, &value);
}

void check_unaligned(struct lab *lab)
{
	static const char name[] = "unaligned: accesses across every kind of boundary";
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);
	uint8_t status;

	if (lab->free_top - lab->free < PAGE_SIZE || lab->realm.shared_bit >> (VA_BITS - 1) > 1) {
		tap_skip(&lab->tap, name, "the shared bit is too high for one table");
		return;
	}
	map_all(lab->free);
	set_mmu(true);
	poke_all(lab);
	set_mmu(false);
	status = virtio_status(&lab->blk);
	if (status != (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK))
		tap_note(&lab->tap, "status %x", status);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	tap_check(&lab->tap, ok && blk_run(lab) == BLK_OK, name);
	tap_check(&lab->tap, blk_works(lab), "unaligned: the disk works after that");
}

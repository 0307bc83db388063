/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers accessed at widths and places that they do not have. What is no register reads as 0
 * (behind no BAR: as ones) and ignores writes; a device in operation must not notice.
 */
#include "lab.h"

#define COMMON_END 0x40
#define MSIX_ENTRY 16

/* Bytes of the common configuration's register at @offset; 0 if none begins there. */
static unsigned common_size(unsigned offset)
{
	if (offset == COMMON_STATUS || offset == COMMON_GENERATION)
		return 1;
	if (offset >= COMMON_MSIX && offset < COMMON_DESC)
		return offset % 2 ? 0 : 2;
	return offset % 4 ? 0 : 4;
}

static void check_common(struct lab *lab)
{
	const uint64_t common = lab->blk.common;
	bool zero = true, ok = lab_start(lab, &lab->blk, lab->features, 0);

	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = 0; at < COMMON_END; at += size) {
			if (size == common_size(at))
				continue;
			zero = lab_read(common + at, size) == 0 && zero;
			lab_write(common + at, size, ~0ull);
		}
	}
	tap_check(&lab->tap, zero, "registers: common configuration at other widths reads as 0");
	tap_check(&lab->tap, ok && blk_still_works(lab),
		  "registers: common configuration at other widths ignores writes");
}

static void check_structures(struct lab *lab)
{
	const struct virtio *blk = &lab->blk;
	bool ok = lab_start(lab, blk, lab->features, 0);

	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = 0; at < 0x80; at += size) {
			lab_read(blk->config + at, size);
			lab_write(blk->config + at, size, ~0ull);
		}
		lab_read(blk->isr + 8, size);
		lab_write(blk->isr, size, ~0ull);
		lab_read(blk->notify, size);
		lab_write(blk->notify, size, ~0ull);
		lab_write(blk->notify + 8, size, ~0ull);
		/* The last bytes of the structures' pages, and the first behind. */
		lab_write((blk->notify | 0xfff) + 1 - size, size, ~0ull);
		ok = lab_read((blk->notify | 0xfff) + 1 - size, size) == 0 && ok;
	}
	tap_check(&lab->tap, ok && blk_still_works(lab),
		  "registers: other structures at all widths");
}

static unsigned find_capability(const struct lab *lab, unsigned slot, uint8_t id, uint8_t type)
{
	unsigned at = 0;

	while ((at = pci_next_capability(&lab->pci, slot, at)) != 0) {
		const uint64_t cap = pci_config(&lab->pci, slot, at);

		if (mmio_read8(cap) == id && (!type || mmio_read8(cap + 3) == type))
			break;
	}
	return at;
}

static void check_vectors(struct lab *lab)
{
	const unsigned slot = lab->blk.slot, cap = find_capability(lab, slot, PCI_CAP_MSIX, 0);
	const uint32_t place = mmio_read32(pci_config(&lab->pci, slot, cap + PCI_MSIX_TABLE));
	const uint64_t table = pci_bar(&lab->pci, slot, place & 7, place & ~7u);
	bool ok = cap != 0;

	mmio_write32(table, 0x11223344);
	mmio_write32(table + 8, 0x55667788);
	for (unsigned at = 0; at < MSIX_ENTRY; at++) {
		ok = mmio_read8(table + at) == 0 && ok;
		mmio_write8(table + at, 0xff);
		if (at % 2)
			continue;
		ok = mmio_read16(table + at) == 0 && ok;
		mmio_write16(table + at, 0xffff);
	}
	ok = mmio_read32(table) == 0x11223344 && mmio_read32(table + 8) == 0x55667788 && ok;
	tap_check(&lab->tap, ok, "registers: interrupt vectors are words");
	mmio_write64(table, 0);
	ok = mmio_read64(table) == 0;
	for (unsigned at = 64 * MSIX_ENTRY; at < PAGE_SIZE; at += 8)
		mmio_write64(table + at, ~0ull);
	tap_check(&lab->tap, ok && mmio_read64(table + PAGE_SIZE - 8) == 0,
		  "registers: behind the interrupt vectors");
}

static unsigned empty_slot(const struct lab *lab)
{
	unsigned slot = 0;

	while (slot < PCI_NR_SLOTS - 1 && pci_is_there(&lab->pci, slot))
		slot++;
	return slot;
}

static void check_ecam(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	const unsigned slot = lab->blk.slot;
	const uint64_t config = pci_config(&lab->pci, slot, 0);
	const uint32_t bar = mmio_read32(config + PCI_BAR_0);
	const uint32_t id = mmio_read32(config);
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);

	mmio_write64(config + PCI_BAR_0, ~0ull);
	tap_check(tap, mmio_read64(config) == ~0ull && mmio_read32(config + PCI_BAR_0) == bar,
		  "ECAM: accesses of 8 bytes reach nothing");
	tap_check(tap,
		  mmio_read32(config + PAGE_SIZE) == ~0u &&
			  mmio_read32(config + 7 * PAGE_SIZE) == ~0u &&
			  mmio_read32(pci_config(&lab->pci, empty_slot(lab), 0)) == ~0u,
		  "ECAM: what is not there reads as ones");
	for (unsigned at = 0x100; at < PAGE_SIZE; at += 4)
		mmio_write32(config + at, ~0u);
	tap_check(tap, mmio_read32(config + 0x100) == 0 && mmio_read32(config + 0xffc) == 0,
		  "ECAM: no extended capabilities");
	mmio_write32(config, 0);
	mmio_write8(config, 0);
	mmio_write32(config + 8, 0);
	tap_check(tap, mmio_read32(config) == id && mmio_read8(config + 1) == (id >> 8 & 0xff),
		  "ECAM: read-only registers, and bytes of them");
	tap_check(tap, ok && blk_still_works(lab), "ECAM: the disk has not noticed");
}

/* The window in configuration space to the BARs (4.1.4.9), aimed at what does not exist. */
static void check_window(struct lab *lab)
{
	const unsigned slot = lab->blk.slot;
	const unsigned at = find_capability(lab, slot, PCI_CAP_VENDOR, 5);
	const uint64_t cap = pci_config(&lab->pci, slot, at);
	bool ok = at && lab_start(lab, &lab->blk, lab->features, 0);

	for (unsigned bar = 0; bar < 9 && ok; bar++) {
		for (unsigned i = 0; i < 32; i += 5) {
			mmio_write8(cap + 4, (uint8_t)(bar == 8 ? 0xff : bar));
			mmio_write32(cap + 8, i < 30 ? (1u << i) - 1 : ~0u - i);
			mmio_write32(cap + 12, i % 2 ? 4 : i);
			(void)mmio_read32(cap + 16);
			(void)mmio_read8(cap + 17);
			/* The registers' own BAR would be told in earnest. */
			if (bar != 0)
				mmio_write32(cap + 16, ~0u);
		}
	}
	tap_check(&lab->tap, ok && blk_still_works(lab), "ECAM: a window to where nothing is");
}

static void check_holes(struct lab *lab)
{
	const uint64_t last = lab->pci.window + lab->pci.window_size - 8;
	const uint64_t at = last | lab->pci.alias;
	bool ok = true;

	for (unsigned size = 1; size <= 8; size *= 2) {
		const uint64_t ones = ~0ull >> (64 - 8 * size);

		lab_write(at, size, 0);
		ok = lab_read(at, size) == ones && ok;
	}
	tap_check(&lab->tap, ok, "registers: a place without a BAR reads as ones");
}

void check_registers(struct lab *lab)
{
	check_common(lab);
	check_structures(lab);
	check_vectors(lab);
	check_ecam(lab);
	check_window(lab);
	check_holes(lab);
	tap_check(&lab->tap, blk_works(lab), "registers: the disk works after all that");
}

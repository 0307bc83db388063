/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/pci.h"
#include "lib/arch.h"

#define SPACE_MASK  0x03000000u
#define SPACE_MEM32 0x02000000u

/* An entry of ranges: three cells of PCI address, two of ours, two of size. */
#define RANGE_SIZE (7 * 4)

static bool find_window(struct pci *pci, const struct fdt *fdt, uint32_t node)
{
	uint32_t size;
	const uint8_t *ranges = fdt_prop(fdt, node, "ranges", &size);

	for (; ranges && size >= RANGE_SIZE; ranges += RANGE_SIZE, size -= RANGE_SIZE) {
		if ((fdt_number(ranges, 1) & SPACE_MASK) != SPACE_MEM32)
			continue;
		pci->window = fdt_number(ranges + 12, 2);
		pci->window_size = fdt_number(ranges + 20, 2);
		pci->next = pci->window;
		/* BARs hold addresses of the bus: ours only where the two are the same. */
		return fdt_number(ranges + 4, 2) == pci->window;
	}
	return false;
}

bool pci_init(struct pci *pci, const struct machine *machine, uint64_t alias)
{
	const uint32_t node = machine_find(machine, "pci-host-ecam-generic");
	uint64_t size;

	*pci = (struct pci){.alias = alias};
	return node != FDT_NONE && machine_range(machine, node, 0, &pci->ecam, &size) &&
	       find_window(pci, &machine->fdt, node);
}

uint64_t pci_config(const struct pci *pci, unsigned slot, unsigned offset)
{
	return (pci->ecam | pci->alias) + ((uint64_t)slot << 15) + offset;
}

bool pci_is_there(const struct pci *pci, unsigned slot)
{
	return mmio_read16(pci_config(pci, slot, PCI_VENDOR_ID)) != PCI_NO_DEVICE;
}

static uint32_t bar_size(const struct pci *pci, unsigned slot, unsigned bar)
{
	const uint64_t at = pci_config(pci, slot, PCI_BAR_0 + 4 * bar);
	uint32_t mask;

	mmio_write32(at, ~0u);
	mask = mmio_read32(at) & ~0xfu;
	mmio_write32(at, 0);
	return mask ? ~mask + 1 : 0;
}

bool pci_assign(struct pci *pci, unsigned slot)
{
	for (unsigned bar = 0; bar < PCI_NR_BARS; bar++) {
		const uint64_t size = bar_size(pci, slot, bar);
		uint64_t base;

		if (!size)
			continue;
		base = (pci->next + size - 1) & ~(size - 1);
		if (base + size > pci->window + pci->window_size)
			return false;
		mmio_write32(pci_config(pci, slot, PCI_BAR_0 + 4 * bar), (uint32_t)base);
		pci->next = base + size;
	}
	return true;
}

void pci_enable(const struct pci *pci, unsigned slot)
{
	mmio_write16(pci_config(pci, slot, PCI_COMMAND),
		     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
}

uint64_t pci_bar(const struct pci *pci, unsigned slot, unsigned bar, uint64_t offset)
{
	const uint32_t base = mmio_read32(pci_config(pci, slot, PCI_BAR_0 + 4 * bar)) & ~0xfu;

	return (base | pci->alias) + offset;
}

unsigned pci_next_capability(const struct pci *pci, unsigned slot, unsigned at)
{
	return mmio_read8(pci_config(pci, slot, at ? at + 1 : PCI_CAPABILITIES)) & 0xfc;
}

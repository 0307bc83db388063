/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI bus behind an ECAM, as pci-host-ecam-generic describes it: one bus, 32-bit BARs. */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/machine.h"

#define PCI_NR_SLOTS 32
#define PCI_NR_BARS  6

#define PCI_VENDOR_ID       0x00
#define PCI_DEVICE_ID       0x02
#define PCI_COMMAND         0x04
#define PCI_COMMAND_MEMORY  0x0002
#define PCI_COMMAND_MASTER  0x0004
#define PCI_COMMAND_NO_INTX 0x0400
#define PCI_BAR_0           0x10
#define PCI_CAPABILITIES    0x34
#define PCI_NO_DEVICE       0xffff
#define PCI_CAP_VENDOR      0x09
#define PCI_CAP_MSIX        0x11
#define PCI_MSIX_TABLE      4

/**
 * struct pci - the host bridge
 * @alias: set in the address of every access; the shared bit, as devices are never private
 * @ecam: configuration space, without @alias
 * @window, @window_size: where BARs may be, without @alias
 * @next: of the window, free from here on
 */
struct pci {
	uint64_t alias;
	uint64_t ecam;
	uint64_t window, window_size;
	uint64_t next;
};

/** pci_init() - Return: false if the machine has no such bridge. */
bool pci_init(struct pci *pci, const struct machine *machine, uint64_t alias);

/** pci_config() - address of a register of function 0 in @slot, for the mmio functions */
uint64_t pci_config(const struct pci *pci, unsigned slot, unsigned offset);

/** pci_is_there() - whether a function answers in @slot */
bool pci_is_there(const struct pci *pci, unsigned slot);

/** pci_assign() - give all BARs a place. Return: false if the window is too small. */
bool pci_assign(struct pci *pci, unsigned slot);

/** pci_enable() - let the function decode memory and reach ours; no INTx */
void pci_enable(const struct pci *pci, unsigned slot);

/** pci_bar() - address of a place in a BAR, for the mmio functions */
uint64_t pci_bar(const struct pci *pci, unsigned slot, unsigned bar, uint64_t offset);

/** pci_next_capability() - the one after the one at @at (0: the first); 0 if that was the last */
unsigned pci_next_capability(const struct pci *pci, unsigned slot, unsigned at);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One function's configuration space (PCI Local Bus 3.0, chapter 6). */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "ccr/pci.h"

static void put16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)value;
	bytes[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, (uint16_t)value);
	put16(bytes + 2, (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

void pci_function_init(struct pci_function *function, const struct pci_type *type,
		       const struct pci_ids *ids, void *self)
{
	uint8_t *config = function->config;

	*function = (struct pci_function){.type = type, .self = self};
	put16(config + PCI_VENDOR_ID, ids->vendor);
	put16(config + PCI_DEVICE_ID, ids->device);
	put16(config + PCI_STATUS, PCI_STATUS_CAP_LIST);
	put32(config + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	put16(config + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	put16(config + PCI_SUBSYSTEM_ID, ids->subsystem);
	config[PCI_INTERRUPT_PIN] = 1; /* INTA */

	put16(function->writable + PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	function->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	function->writable[PCI_INTERRUPT_LINE] = 0xff;
	for (unsigned i = 0; i < PCI_NR_BARS; i++) {
		if (type->bars[i].size)
			put32(function->writable + PCI_BASE_ADDRESS_0 + 4 * i,
			      ~(type->bars[i].size - 1));
	}
	function->last_capability = PCI_CAPABILITY_LIST - PCI_CAP_LIST_NEXT;
	function->capabilities_end = PCI_STD_HEADER_SIZEOF;
}

unsigned pci_add_capability(struct pci_function *function, const void *bytes, const void *writable,
			    unsigned size)
{
	const unsigned at = function->capabilities_end;

	if (size > PCI_CONFIG_SIZE - at)
		return 0;
	memcpy(function->config + at, bytes, size);
	if (writable)
		memcpy(function->writable + at, writable, size);
	function->config[at + PCI_CAP_LIST_NEXT] = 0;
	function->config[function->last_capability + PCI_CAP_LIST_NEXT] = (uint8_t)at;
	function->last_capability = at;
	function->capabilities_end = (unsigned)align_up(at + size, 4);
	return at;
}

int pci_add_msix(struct pci_function *function, struct msix *msix, unsigned bar)
{
	uint8_t bytes[PCI_CAP_MSIX_SIZEOF] = {PCI_CAP_ID_MSIX};
	uint8_t writable[PCI_CAP_MSIX_SIZEOF] = {0};

	put16(bytes + PCI_MSIX_FLAGS, (uint16_t)(msix->nr_vectors - 1));
	put32(bytes + PCI_MSIX_TABLE, MSIX_TABLE_OFFSET | bar);
	put32(bytes + PCI_MSIX_PBA, MSIX_PBA_OFFSET | bar);
	put16(writable + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	function->msix_at = pci_add_capability(function, bytes, writable, sizeof(bytes));
	function->msix = msix;
	return function->msix_at ? 0 : -ENOSPC;
}

uint16_t pci_command(const struct pci_function *function)
{
	return get16(function->config + PCI_COMMAND);
}

uint32_t pci_bar_address(const struct pci_function *function, unsigned bar)
{
	const uint8_t *bytes = function->config + PCI_BASE_ADDRESS_0 + 4 * bar;

	return get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

void pci_preset_bar(struct pci_function *function, unsigned bar, uint32_t base)
{
	put32(function->config + PCI_BASE_ADDRESS_0 + 4 * bar, base);
}

static uint16_t msix_flags(const struct pci_function *function)
{
	return get16(function->config + function->msix_at + PCI_MSIX_FLAGS);
}

bool pci_msix_is_enabled(const struct pci_function *function)
{
	return function->msix && msix_flags(function) & PCI_MSIX_FLAGS_ENABLE;
}

static uint8_t read_byte(const struct pci_function *function, unsigned offset)
{
	uint8_t byte = function->config[offset];

	if (offset == PCI_STATUS && atomic_load(&function->intx))
		byte |= PCI_STATUS_INTERRUPT;
	return byte;
}

uint32_t pci_config_read(const struct pci_function *function, unsigned offset, unsigned size)
{
	const struct pci_type *type = function->type;
	uint32_t value = 0;

	if (type->read_config && type->read_config(function->self, offset, size, &value))
		return value;
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)read_byte(function, offset + i) << (8 * i);
	return value;
}

static bool touches(unsigned offset, unsigned size, unsigned at, unsigned at_size)
{
	return offset < at + at_size && at < offset + size;
}

bool pci_config_write(struct pci_function *function, unsigned offset, unsigned size, uint32_t value)
{
	const struct pci_type *type = function->type;
	const bool command = touches(offset, size, PCI_COMMAND, 2);
	const bool msix = function->msix &&
			  touches(offset, size, function->msix_at + PCI_MSIX_FLAGS, 2);

	if (type->write_config && type->write_config(function->self, offset, size, value))
		return false;
	for (unsigned i = 0; i < size; i++) {
		const uint8_t mask = function->writable[offset + i];
		const uint8_t byte = (uint8_t)(value >> (8 * i));

		function->config[offset + i] =
			(uint8_t)((function->config[offset + i] & ~mask) | (byte & mask));
	}
	if (msix)
		msix_set_control(function->msix, msix_flags(function) & PCI_MSIX_FLAGS_ENABLE,
				 msix_flags(function) & PCI_MSIX_FLAGS_MASKALL);
	if ((command || msix) && type->control_changed)
		type->control_changed(function->self);
	return command || touches(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_NR_BARS);
}

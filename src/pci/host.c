/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How BARs find their place
 * -------------------------
 * Linux on a device tree sizes the BARs (writes all ones, reads back), assigns addresses and then
 * turns memory decoding on; other guests may do it in any order, and hostile ones at any time. So
 * after every write that could matter all mappings are worked out anew, from nothing but the
 * present registers: a BAR answers if its function decodes memory, if it lies in the window as a
 * whole, and if no BAR of a lower slot, or a lower one of its own, is in the way. What has changed
 * is then told to the platform, goings first, so that two BARs never own an address at once.
 *
 * Each BAR has a place of its own from the start, as under kvmtool: bare-metal guests written for
 * that layout take it as it is.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "ccr/pci.h"

#define ECAM_FUNCTION_SIZE 4096u

void pci_host_init(struct pci_host *host, const struct pci_platform *platform, ipa_t mem_base,
		   uint64_t mem_size)
{
	*host = (struct pci_host){
		.platform = *platform,
		.mem_base = mem_base.v,
		.mem_next = mem_base.v,
		.mem_size = mem_size,
	};
	pthread_rwlock_init(&host->lock, NULL);
}

void pci_host_done(struct pci_host *host)
{
	pthread_rwlock_destroy(&host->lock);
}

/* BARs start out in the window one after the other, each at a multiple of its size. */
static int preset_bars(struct pci_host *host, struct pci_function *function)
{
	uint64_t next = host->mem_next;

	for (unsigned bar = 0; bar < PCI_NR_BARS; bar++) {
		const uint64_t size = function->type->bars[bar].size;

		if (size == 0)
			continue;
		next = align_up(next, size);
		if (!range_within(next, size, host->mem_base, host->mem_size))
			return -ENOSPC;
		pci_preset_bar(function, bar, (uint32_t)next);
		next += size;
	}
	host->mem_next = next;
	return 0;
}

int pci_host_add_at(struct pci_host *host, struct pci_function *function, unsigned slot)
{
	int ret;

	if (slot >= PCI_NR_SLOTS)
		return -ENOSPC;
	if (host->functions[slot])
		return -EEXIST;
	ret = preset_bars(host, function);
	if (ret)
		return ret;
	function->host = host;
	function->slot = slot;
	host->functions[slot] = function;
	return (int)slot;
}

int pci_host_add(struct pci_host *host, struct pci_function *function)
{
	unsigned slot = 0;

	while (slot < PCI_NR_SLOTS && host->functions[slot])
		slot++;
	return pci_host_add_at(host, function, slot);
}

void pci_set_intx(struct pci_function *function, bool level)
{
	const struct pci_platform *platform = &function->host->platform;

	if (atomic_exchange(&function->intx, level) != level)
		platform->set_intx(platform->ctx, function->slot, level);
}

static struct pci_msi msi_of(const struct pci_function *function, unsigned vector,
			     const struct msix_message *message)
{
	return (struct pci_msi){
		.slot = function->slot,
		.vector = vector,
		.address = message->address & ~function->host->platform.shared_bit,
		.data = message->data,
		.device_id = function->slot << 3,
	};
}

void pci_prepare_msi(struct pci_function *function, unsigned vector,
		     const struct msix_message *message)
{
	const struct pci_platform *platform = &function->host->platform;
	const struct pci_msi msi = msi_of(function, vector, message);

	if (platform->prepare_msi)
		platform->prepare_msi(platform->ctx, &msi);
}

void pci_signal_msi(struct pci_function *function, unsigned vector,
		    const struct msix_message *message)
{
	const struct pci_platform *platform = &function->host->platform;
	const struct pci_msi msi = msi_of(function, vector, message);

	platform->signal_msi(platform->ctx, &msi);
}

void pci_hold_msi(struct pci_function *function, unsigned vector)
{
	const struct pci_platform *platform = &function->host->platform;

	if (platform->hold_msi)
		platform->hold_msi(platform->ctx, function->slot, vector);
}

int pci_lend_msi(struct pci_function *function, unsigned vector)
{
	const struct pci_platform *platform = &function->host->platform;

	return platform->lend_msi ? platform->lend_msi(platform->ctx, function->slot, vector) : -1;
}

bool pci_is_msi_held(struct pci_function *function, unsigned vector)
{
	const struct pci_platform *platform = &function->host->platform;

	return platform->is_msi_held &&
	       platform->is_msi_held(platform->ctx, function->slot, vector);
}

static bool is_free(const struct pci_host *host, uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < host->nr_mappings; i++) {
		const struct pci_mapping *other = &host->mappings[i];

		if (base < other->base + other->size && other->base < base + size)
			return false;
	}
	return true;
}

static void place_bar(struct pci_host *host, struct pci_function *function, unsigned bar)
{
	const uint64_t size = function->type->bars[bar].size;
	const uint32_t base = pci_bar_address(function, bar);

	if (size == 0 || !range_within(base, size, host->mem_base, host->mem_size) ||
	    !is_free(host, base, size))
		return;
	host->mappings[host->nr_mappings++] = (struct pci_mapping){base, size, function, bar};
}

static void place_all(struct pci_host *host)
{
	host->nr_mappings = 0;
	for (unsigned slot = 0; slot < PCI_NR_SLOTS; slot++) {
		struct pci_function *function = host->functions[slot];

		if (!function || !(pci_command(function) & PCI_COMMAND_MEMORY))
			continue;
		for (unsigned bar = 0; bar < PCI_NR_BARS; bar++)
			place_bar(host, function, bar);
	}
}

static uint32_t placed_at(const struct pci_host *host, const struct pci_function *function,
			  unsigned bar)
{
	for (unsigned i = 0; i < host->nr_mappings; i++) {
		const struct pci_mapping *mapping = &host->mappings[i];

		if (mapping->function == function && mapping->bar == bar)
			return (uint32_t)mapping->base;
	}
	return 0;
}

static void set_bar(struct pci_function *function, unsigned bar, uint32_t base, bool mapped)
{
	const struct pci_platform *platform = &function->host->platform;

	if (base)
		platform->set_bar(platform->ctx, function->slot, bar, ipa_at(base), mapped);
}

/* Tell what has changed: only the BARs that go, or only those that come. */
static void tell_changes(struct pci_host *host, bool comings)
{
	for (unsigned i = 0; i < PCI_NR_SLOTS * PCI_NR_BARS; i++) {
		struct pci_function *function = host->functions[i / PCI_NR_BARS];
		const unsigned bar = i % PCI_NR_BARS;
		const uint32_t now = function ? placed_at(host, function, bar) : 0;

		if (!function || now == function->mapped[bar])
			continue;
		if (comings)
			set_bar(function, bar, now, true);
		else
			set_bar(function, bar, function->mapped[bar], false);
		function->mapped[bar] = comings ? now : 0;
	}
}

static uint64_t ones(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

static struct pci_function *find_function(const struct pci_host *host, uint64_t offset,
					  unsigned size)
{
	const uint64_t device_function = offset / ECAM_FUNCTION_SIZE;

	if (size > 4 || offset % size || device_function % 8 || device_function / 8 >= PCI_NR_SLOTS)
		return NULL;
	return host->functions[device_function / 8];
}

static uint64_t ecam_read(void *dev, uint64_t offset, unsigned size)
{
	struct pci_host *host = dev;
	const struct pci_function *function = find_function(host, offset, size);
	const unsigned reg = offset % ECAM_FUNCTION_SIZE;
	uint32_t value;

	if (!function)
		return ones(size);
	if (reg >= PCI_CONFIG_SIZE)
		return 0;
	pthread_rwlock_rdlock(&host->lock);
	value = pci_config_read(function, reg, size);
	pthread_rwlock_unlock(&host->lock);
	return value;
}

static void ecam_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_host *host = dev;
	struct pci_function *function = find_function(host, offset, size);
	const unsigned reg = offset % ECAM_FUNCTION_SIZE;

	if (!function || reg >= PCI_CONFIG_SIZE)
		return;
	pthread_rwlock_wrlock(&host->lock);
	if (pci_config_write(function, reg, size, (uint32_t)value)) {
		place_all(host);
		tell_changes(host, false);
		tell_changes(host, true);
	}
	pthread_rwlock_unlock(&host->lock);
}

const struct bus_ops pci_ecam_ops = {.read = ecam_read, .write = ecam_write};

/* Under the lock. Return: NULL unless one BAR holds all of the access. */
static const struct pci_mapping *find_mapping(const struct pci_host *host, uint64_t at,
					      unsigned size)
{
	for (unsigned i = 0; i < host->nr_mappings; i++) {
		if (range_within(at, size, host->mappings[i].base, host->mappings[i].size))
			return &host->mappings[i];
	}
	return NULL;
}

static uint64_t mem_read(void *dev, uint64_t offset, unsigned size)
{
	struct pci_host *host = dev;
	const struct pci_mapping *mapping;
	uint64_t value = ones(size);

	pthread_rwlock_rdlock(&host->lock);
	mapping = find_mapping(host, host->mem_base + offset, size);
	if (mapping)
		value = mapping->function->type->bars[mapping->bar].ops->read(
			mapping->function->self, host->mem_base + offset - mapping->base, size);
	pthread_rwlock_unlock(&host->lock);
	return value;
}

static void mem_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_host *host = dev;
	const struct pci_mapping *mapping;

	pthread_rwlock_rdlock(&host->lock);
	mapping = find_mapping(host, host->mem_base + offset, size);
	if (mapping)
		mapping->function->type->bars[mapping->bar].ops->write(
			mapping->function->self, host->mem_base + offset - mapping->base, size,
			value);
	pthread_rwlock_unlock(&host->lock);
}

const struct bus_ops pci_mem_ops = {.read = mem_read, .write = mem_write};

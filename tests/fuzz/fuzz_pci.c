/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/pci/host.c src/pci/function.c src/pci/msix.c */
/*
 * A guest that may do anything to configuration space and to the window for BARs. Whatever it does,
 *   - BARs that answer lie in the window, do not overlap, and are where their registers say,
 *   - what the platform was told about them, one by one, is what is the case, and no two BARs ever
 *     owned an address at once on the way,
 *   - functions see only accesses that lie in their BARs,
 *   - identities do not change,
 *   - no message is sent by a vector that is masked or disabled.
 *
 * Input: 8-byte records {op, size, 16-bit place, 32-bit value}.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/pci.h"
#include "fuzz.h"

#define NR_FUNCTIONS 3
#define NR_VECTORS   4
#define MEM_BASE     0x50000000u
#define MEM_SIZE     0x100000u
#define SMALL_SIZE   0x1000u
#define LARGE_SIZE   0x10000u

struct record {
	uint8_t op, size;
	uint16_t place;
	uint32_t value;
};

struct thing {
	struct pci_function function;
	struct msix msix;
	struct pci_msi prepared[NR_VECTORS];
};

struct machine {
	struct pci_host host;
	struct thing things[NR_FUNCTIONS];
	uint64_t told[NR_FUNCTIONS][PCI_NR_BARS];
};

static uint64_t large_read(void *self, uint64_t offset, unsigned size)
{
	(void)self;
	require(range_within(offset, size, 0, LARGE_SIZE));
	return ~0ull >> (64 - 8 * size);
}

static void large_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
	(void)self;
	require(range_within(offset, size, 0, LARGE_SIZE));
	require(size == 8 || value >> (8 * size) == 0);
}

static uint64_t small_read(void *self, uint64_t offset, unsigned size)
{
	struct thing *thing = self;

	require(range_within(offset, size, 0, SMALL_SIZE));
	return msix_read(&thing->msix, offset, size);
}

static void small_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
	struct thing *thing = self;

	require(range_within(offset, size, 0, SMALL_SIZE));
	msix_write(&thing->msix, offset, size, value);
}

static const struct bus_ops large_ops = {large_read, large_write};
static const struct bus_ops small_ops = {small_read, small_write};

static const struct pci_type thing_type = {
	.name = "thing",
	.bars = {{LARGE_SIZE, &large_ops}, {SMALL_SIZE, &small_ops}, {0}, {SMALL_SIZE, &small_ops}},
};

static void on_set_bar(void *ctx, unsigned slot, unsigned bar, ipa_t base, bool mapped)
{
	struct machine *m = ctx;
	const uint64_t size = thing_type.bars[bar].size;

	require(m->told[slot][bar] == (mapped ? 0 : base.v));
	m->told[slot][bar] = mapped ? base.v : 0;
	for (unsigned i = 0; mapped && i < NR_FUNCTIONS * PCI_NR_BARS; i++) {
		const uint64_t other = m->told[i / PCI_NR_BARS][i % PCI_NR_BARS];
		const uint64_t other_size = thing_type.bars[i % PCI_NR_BARS].size;

		if (other && i != slot * PCI_NR_BARS + bar)
			require(base.v + size <= other || other + other_size <= base.v);
	}
}

static void on_set_intx(void *ctx, unsigned slot, bool level)
{
	(void)ctx;
	(void)slot;
	(void)level;
}

static void on_prepare_msi(void *ctx, const struct pci_msi *msi)
{
	struct machine *m = ctx;
	struct thing *thing = &m->things[msi->slot];

	require(msi->slot < NR_FUNCTIONS && msi->vector < NR_VECTORS);
	require(msi->device_id == msi->slot << 3);
	require(thing->msix.is_enabled && !thing->msix.is_masked);
	require(msi->address % 4 == 0 && !(msi->address >> 32 & 1));
	thing->prepared[msi->vector] = *msi;
}

/* What is sent is what was announced. */
static void on_msi(void *ctx, const struct pci_msi *msi)
{
	struct machine *m = ctx;
	const struct thing *thing = &m->things[msi->slot];

	require(thing->msix.is_enabled && !thing->msix.is_masked);
	require(msi->address == thing->prepared[msi->vector].address);
	require(msi->data == thing->prepared[msi->vector].data);
}

static void on_prepare(void *ctx, unsigned vector, const struct msix_message *message)
{
	struct thing *thing = ctx;

	pci_prepare_msi(&thing->function, vector, message);
}

static void on_signal(void *ctx, unsigned vector, const struct msix_message *message)
{
	struct thing *thing = ctx;

	pci_signal_msi(&thing->function, vector, message);
}

static const struct msix_ops thing_ops = {
	.prepare = on_prepare,
	.signal = on_signal,
};

static void check(const struct machine *m)
{
	for (unsigned i = 0; i < NR_FUNCTIONS; i++) {
		const struct pci_function *function = &m->things[i].function;
		unsigned nr = 0;

		require(pci_config_read(function, PCI_VENDOR_ID, 4) == 0x00021af4 + i);
		for (unsigned bar = 0; bar < PCI_NR_BARS; bar++) {
			const uint64_t base = function->mapped[bar];

			require(m->told[i][bar] == base);
			nr += base != 0;
			if (!base)
				continue;
			require(base == pci_bar_address(function, bar));
			require(range_within(base, thing_type.bars[bar].size, MEM_BASE, MEM_SIZE));
		}
		require(nr == 0 || pci_command(function) & PCI_COMMAND_MEMORY);
	}
}

static void create(struct machine *m)
{
	const struct pci_platform platform = {
		.set_bar = on_set_bar,
		.set_intx = on_set_intx,
		.prepare_msi = on_prepare_msi,
		.signal_msi = on_msi,
		.ctx = m,
		.shared_bit = 1ull << 32,
	};

	pci_host_init(&m->host, &platform, ipa_at(MEM_BASE), MEM_SIZE);
	for (unsigned i = 0; i < NR_FUNCTIONS; i++) {
		struct thing *thing = &m->things[i];
		const struct pci_ids ids = {.vendor = (uint16_t)(0x1af4 + i), .device = 2};

		msix_init(&thing->msix, NR_VECTORS, &thing_ops, thing);
		pci_function_init(&thing->function, &thing_type, &ids, thing);
		require(pci_add_msix(&thing->function, &thing->msix, 1) == 0);
		require(pci_host_add(&m->host, &thing->function) == (int)i);
	}
}

static void play(struct machine *m, const struct record *r)
{
	const unsigned size = 1u << (r->size & 3);
	/* Mostly the registers of the functions there are, now and then anything. */
	const uint64_t config = r->op & 0x80
					? (uint64_t)r->place << 8
					: (uint64_t)(r->place >> 8 & 3) << 15 | (r->place & 0xff);
	const uint64_t mem = (uint64_t)r->place * 16 + (r->size >> 4);
	const uint64_t value = r->value;

	switch (r->op % 5) {
	case 0:
		pci_ecam_ops.write(&m->host, config, size, value & ~0ull >> (64 - 8 * size));
		break;
	case 1:
		require(size == 8 || pci_ecam_ops.read(&m->host, config, size) >> (8 * size) == 0);
		break;
	case 2:
		if (range_within(mem, size, 0, MEM_SIZE))
			pci_mem_ops.write(&m->host, mem, size, value & ~0ull >> (64 - 8 * size));
		break;
	case 3:
		if (range_within(mem, size, 0, MEM_SIZE))
			pci_mem_ops.read(&m->host, mem, size);
		break;
	default:
		msix_fire(&m->things[r->place % NR_FUNCTIONS].msix, r->value);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct record record;

	require(m != NULL);
	create(m);
	for (size_t at = 0; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(m, &record);
		check(m);
	}
	for (unsigned i = 0; i < NR_FUNCTIONS; i++)
		msix_done(&m->things[i].msix);
	pci_host_done(&m->host);
	free(m);
	return 0;
}

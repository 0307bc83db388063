/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vconsole.c src/virtio/vconsole_control.c src/virtio/vrng.c src/virtio/blk.c
 *	src/host/disk.c src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c
 *	src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c src/pci/function.c src/pci/msix.c
 *	src/util/log.c src/util/err.c tests/fake/virtio_guest.c tests/fake/fake_aio.c
 */
/*
 * A guest that may do anything to the registers of a console, a disk and an rng, to its memory and
 * to the state of its pages. Whatever it does,
 *   - a live device has accepted features, all of them offered and the mandatory ones among them,
 *   - no more buffers are in flight than a queue has entries,
 *   - no memory stays pinned but for requests that are in flight, and these keep the disk busy,
 *   - the interrupt line is up exactly while ISR is set, MSI-X off and the line not disabled,
 *   - a page that is private does not change.
 *
 * Input: 8-byte records {op, argument, 16-bit place, 32-bit value}.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/blk.h"
#include "ccr/log.h"
#include "ccr/vconsole.h"
#include "ccr/virtio_pci.h"
#include "ccr/vrng.h"
#include "../fake/fake_aio.h"
#include "../fake/virtio_guest.h"

#define NR_DEVICES  3
#define BLK         1 /* of them */
#define NR_LANES    2
#define IMAGE_SIZE  (64u * 1024)
#define SECRET_PAGE 3u /* private from start to end */

struct record {
	uint8_t op, argument;
	uint16_t place;
	uint32_t value;
};

struct machine {
	struct guest *guest;
	struct disk disk;
	struct vconsole console;
	struct blk blk;
	struct vrng rng;
	struct virtio_dev *devs[NR_DEVICES];
	struct virtio_pci transports[NR_DEVICES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* No time passes: what the rng does then depends on the input alone. */
static uint64_t no_time(void)
{
	return 0;
}

static void create(struct machine *m)
{
	struct virtio_setup setup;
	struct blk_config config = {
		.disk = &m->disk,
		.serial = "fuzz",
		.limits = {16, 5, 4096},
		.nr_queues = NR_LANES,
	};
	struct ccr_err err = {0};

	m->guest = guest_create();
	require(m->guest != NULL);
	memset(m->guest->mem.ram + SECRET_PAGE * GRANULE_SIZE, 0x5e, GRANULE_SIZE);
	m->guest->mem.is_private[SECRET_PAGE] = true;
	m->disk = (struct disk){
		.fd = memfd_create("fuzz", 0),
		.size = IMAGE_SIZE,
		.block_size = DISK_SECTOR_SIZE,
	};
	require(m->disk.fd >= 0 && ftruncate(m->disk.fd, IMAGE_SIZE) == 0);
	setup = guest_setup(m->guest);
	require(vconsole_init(&m->console, NULL, 0, &setup) == 0);
	require(blk_init(&m->blk, &config, &setup, &err) == 0);
	vrng_init(&m->rng, &setup, no_time);
	m->devs[0] = &m->console.virtio;
	m->devs[1] = &m->blk.virtio;
	m->devs[2] = &m->rng.virtio;
	for (unsigned i = 0; i < NR_DEVICES; i++) {
		virtio_pci_init(&m->transports[i], m->devs[i]);
		require(pci_host_add(&m->guest->pci, &m->transports[i].function) == (int)i);
	}
}

static void check_device(const struct machine *m, unsigned slot)
{
	const struct virtio_dev *dev = m->devs[slot];
	const struct virtio_pci *transport = &m->transports[slot];
	const uint16_t command = pci_command(&transport->function);
	const bool line = transport->isr && !pci_msix_is_enabled(&transport->function) &&
			  !(command & PCI_COMMAND_INTX_DISABLE);

	require(m->guest->intx[slot] == line);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		require(dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		require(!(dev->accepted & ~dev->offered));
		require(virtio_has(dev, VIRTIO_F_VERSION_1));
		require(virtio_has(dev, VIRTIO_F_ACCESS_PLATFORM));
	}
	for (unsigned i = 0; i < dev->nr_queues; i++)
		require(dev->queues[i].nr_in_flight <= dev->queues[i].size);
}

/* Begun and not given back yet, or about to be. */
static unsigned nr_in_flight(const struct machine *m)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < NR_LANES; i++)
		nr += fake_aio_seen(m->blk.lanes[i].aio).nr_held;
	return nr;
}

static void check(const struct machine *m)
{
	const struct guest_mem *mem = &m->guest->mem;

	require(nr_in_flight(m) > 0 || mem->nr_pins == 0);
	require(m->blk.virtio.nr_busy == nr_in_flight(m));
	for (unsigned i = 0; i < NR_DEVICES; i++)
		check_device(m, i);
	for (unsigned i = 0; i < GRANULE_SIZE; i += 64)
		require(mem->ram[SECRET_PAGE * GRANULE_SIZE + i] == 0x5e);
}

static void play_console(struct machine *m, const struct record *r)
{
	uint8_t bytes[256] = {0};

	if (r->argument & 1)
		vconsole_receive(&m->console, VCONSOLE_PORT, bytes, r->argument);
	else if (r->argument & 2)
		vconsole_set_stalled(&m->console);
	else
		vconsole_consume(&m->console, VCONSOLE_PORT,
				 vconsole_peek(&m->console, VCONSOLE_PORT, bytes, sizeof(bytes)));
}

static void play_memory(struct machine *m, const struct record *r)
{
	struct guest_mem *mem = &m->guest->mem;
	const unsigned page = r->place % (GUEST_RAM_SIZE / GRANULE_SIZE);

	if (r->op & 0x40 && page != SECRET_PAGE)
		mem->is_private[page] = r->argument & 1;
	else if ((uint64_t)r->place * 4 / GRANULE_SIZE != SECRET_PAGE)
		memcpy(mem->ram + (uint64_t)r->place * 4, &r->value, 4);
}

/* The host's part: requests that take their time, end in another order, or fail. */
static void play_disk(struct machine *m, const struct record *r)
{
	struct aio *aio = m->blk.lanes[r->place % NR_LANES].aio;

	if (r->argument & 1)
		fake_aio_hold(aio);
	if (r->argument & 2)
		fake_aio_fail(aio, r->argument >> 4, -(int)(r->value & 0x7f));
	if (r->argument & 4)
		fake_aio_let_go(aio, r->argument >> 4);
}

static void service(struct machine *m, unsigned slot)
{
	if (slot != BLK) {
		virtio_service(m->devs[slot]);
		return;
	}
	for (unsigned i = 0; i < NR_LANES; i++)
		blk_work(&m->blk, i);
}

static void play(struct machine *m, const struct record *r)
{
	const unsigned slot = r->argument % NR_DEVICES, size = 1u << (r->op >> 4 & 3);
	const uint64_t value = r->value & ~0ull >> (64 - 8 * size);
	const unsigned bar = r->op >> 7;
	const uint64_t base = m->transports[slot].function.mapped[bar];
	const uint64_t at = base + r->place % (bar ? 0x1000 : 0x4000);

	switch (r->op & 7) {
	case 0:
		guest_config_write(m->guest, slot, r->place & 0xff, size, value);
		break;
	case 1:
		guest_config_read(m->guest, slot, r->place & 0xff, size);
		break;
	case 2:
		if (base)
			guest_mem_write(m->guest, at, size, value);
		break;
	case 3:
		if (base)
			guest_mem_read(m->guest, at, size);
		break;
	case 4:
		play_memory(m, r);
		break;
	case 5:
		service(m, slot);
		break;
	case 6:
		play_console(m, r);
		break;
	default:
		if (slot == BLK)
			play_disk(m, r);
		else
			vrng_wait_ns(&m->rng);
		break;
	}
}

static void destroy(struct machine *m)
{
	for (unsigned i = 0; i < NR_LANES; i++)
		fake_aio_let_go(m->blk.lanes[i].aio, AIO_MAX_DEPTH);
	service(m, BLK);
	require(m->guest->mem.nr_pins == 0);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		virtio_pci_done(&m->transports[i]);
	vconsole_done(&m->console);
	blk_done(&m->blk);
	vrng_done(&m->rng);
	disk_close(&m->disk);
	guest_destroy(m->guest);
	free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct record record;

	require(m != NULL);
	log_init(LOG_ERROR); /* not a word about each rule that is broken */
	create(m);
	for (size_t at = 0; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(m, &record);
		check(m);
	}
	destroy(m);
	return 0;
}

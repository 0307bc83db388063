/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/virtio_mmio.c src/virtio/blk.c src/host/disk.c src/virtio/virtio.c
 *	src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c src/virtio/virtio_pci.c
 *	src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	tests/fake/virtio_guest.c tests/fake/fake_aio.c
 */
/*
 * A guest that may do anything to the registers of a disk, to its memory and to the state of its
 * pages. Whatever it does,
 *   - a live device has accepted features, all of them offered and the mandatory ones among them,
 *   - no more buffers are in flight than a queue has entries,
 *   - the interrupt line is up exactly while there is a cause,
 *   - a page that is private does not change.
 *
 * Input: 8-byte records {op, argument, 16-bit place, 32-bit value}.
 */
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/blk.h"
#include "ccr/log.h"
#include "ccr/virtio_mmio.h"
#include "../fake/fake_aio.h"
#include "../fake/virtio_guest.h"

#define IMAGE_SIZE  (64u * 1024)
#define SECRET_PAGE 3u /* private from start to end */
#define NR_LANES    2u

struct record {
	uint8_t op, argument;
	uint16_t place;
	uint32_t value;
};

struct machine {
	struct guest *guest;
	struct disk disk;
	struct blk blk;
	struct virtio_mmio mmio;
	bool level;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void on_irq(void *ctx, bool level)
{
	struct machine *m = ctx;

	m->level = level;
}

static void create(struct machine *m)
{
	const struct virtio_mmio_host host = {on_irq, m};
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
	require(blk_init(&m->blk, &config, &setup, &err) == 0);
	virtio_mmio_init(&m->mmio, &m->blk.virtio, &host);
}

static void work(struct machine *m)
{
	for (unsigned i = 0; i < NR_LANES; i++)
		blk_work(&m->blk, i);
}

static void destroy(struct machine *m)
{
	for (unsigned i = 0; i < NR_LANES; i++)
		fake_aio_let_go(m->blk.lanes[i].aio, AIO_MAX_DEPTH);
	work(m);
	require(m->guest->mem.nr_pins == 0);
	blk_done(&m->blk);
	disk_close(&m->disk);
	guest_destroy(m->guest);
	free(m);
}

static void check(const struct machine *m)
{
	const struct virtio_dev *dev = &m->blk.virtio;
	const struct guest_mem *mem = &m->guest->mem;

	require(m->level == !!m->mmio.interrupt_status);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		require(dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		require(!(dev->accepted & ~dev->offered));
		require(virtio_has(dev, VIRTIO_F_VERSION_1));
		require(virtio_has(dev, VIRTIO_F_ACCESS_PLATFORM));
	}
	for (unsigned i = 0; i < dev->nr_queues; i++)
		require(dev->queues[i].nr_in_flight <= dev->queues[i].size);
	for (unsigned i = 0; i < GRANULE_SIZE; i += 64)
		require(mem->ram[SECRET_PAGE * GRANULE_SIZE + i] == 0x5e);
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

static void play_host(struct machine *m, const struct record *r)
{
	struct aio *aio = m->blk.lanes[r->place % NR_LANES].aio;

	if (r->argument & 1)
		fake_aio_hold(aio);
	if (r->argument & 2)
		fake_aio_fail(aio, r->argument >> 4, -(int)(r->value & 0x7f));
	if (r->argument & 4)
		fake_aio_let_go(aio, r->argument >> 4);
}

static void play(struct machine *m, const struct record *r)
{
	const unsigned size = 1u << (r->op >> 4 & 3);
	const uint64_t at = r->place % (VIRTIO_MMIO_WINDOW_SIZE - size + 1);

	switch (r->op & 7) {
	case 0:
	case 1: /* as drivers do */
		virtio_mmio_ops.write(&m->mmio, at & ~3ull, 4, r->value);
		break;
	case 2:
		virtio_mmio_ops.write(&m->mmio, at, size, r->value & ~0ull >> (64 - 8 * size));
		break;
	case 3:
		virtio_mmio_ops.read(&m->mmio, at, size);
		break;
	case 4:
		play_memory(m, r);
		break;
	case 5:
		work(m);
		break;
	default:
		play_host(m, r);
		break;
	}
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

/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "any_disk.h"
#include "fake_aio.h"
#include "../fuzz/fuzz.h"

#define IMAGE_SIZE  (64u * 1024)
#define SECRET_BYTE 0x5e

void any_disk_create(struct any_disk *any)
{
	const struct blk_config config = {
		.disk = &any->disk,
		.serial = "fuzz",
		.limits = {16, 5, 4096},
		.nr_queues = ANY_DISK_LANES,
	};
	struct virtio_setup setup;
	struct ccr_err err = {0};

	any->guest = guest_create();
	require(any->guest != NULL);
	memset(any->guest->mem.ram + ANY_DISK_SECRET * GRANULE_SIZE, SECRET_BYTE, GRANULE_SIZE);
	any->guest->mem.is_private[ANY_DISK_SECRET] = true;
	any->disk = (struct disk){
		.fd = memfd_create("fuzz", 0),
		.size = IMAGE_SIZE,
		.block_size = DISK_SECTOR_SIZE,
	};
	require(any->disk.fd >= 0 && ftruncate(any->disk.fd, IMAGE_SIZE) == 0);
	setup = guest_setup(any->guest);
	require(blk_init(&any->blk, &config, &setup, &err) == 0);
}

/* Return: are there still requests in flight? One that has ended may make room for another. */
static bool let_go(struct any_disk *any)
{
	unsigned nr_held = 0;

	for (unsigned i = 0; i < ANY_DISK_LANES; i++)
		fake_aio_let_go(any->blk.lanes[i].aio, AIO_MAX_DEPTH);
	any_disk_work(any);
	for (unsigned i = 0; i < ANY_DISK_LANES; i++)
		nr_held += fake_aio_seen(any->blk.lanes[i].aio).nr_held;
	return nr_held > 0;
}

void any_disk_finish(struct any_disk *any)
{
	while (let_go(any))
		;
	require(any->guest->mem.nr_pins == 0);
}

void any_disk_destroy(struct any_disk *any)
{
	blk_done(&any->blk);
	disk_close(&any->disk);
	guest_destroy(any->guest);
}

void any_disk_work(struct any_disk *any)
{
	for (unsigned i = 0; i < ANY_DISK_LANES; i++)
		blk_work(&any->blk, i);
}

void any_disk_play_memory(struct any_disk *any, const struct any_disk_record *record)
{
	struct guest_mem *mem = &any->guest->mem;
	const unsigned page = record->place % (GUEST_RAM_SIZE / GRANULE_SIZE);

	if (record->op & 0x40 && page != ANY_DISK_SECRET)
		mem->is_private[page] = record->argument & 1;
	else if ((uint64_t)record->place * 4 / GRANULE_SIZE != ANY_DISK_SECRET)
		memcpy(mem->ram + (uint64_t)record->place * 4, &record->value, 4);
}

void any_disk_play_host(struct any_disk *any, const struct any_disk_record *record)
{
	struct aio *aio = any->blk.lanes[record->place % ANY_DISK_LANES].aio;

	if (record->argument & 1)
		fake_aio_hold(aio);
	if (record->argument & 2)
		fake_aio_fail(aio, record->argument >> 4, -(int)(record->value & 0x7f));
	if (record->argument & 4)
		fake_aio_let_go(aio, record->argument >> 4);
}

/* Begun and not given back yet, or about to be. */
static unsigned nr_in_flight(const struct any_disk *any)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < ANY_DISK_LANES; i++)
		nr += fake_aio_seen(any->blk.lanes[i].aio).nr_held;
	return nr;
}

void any_disk_check(const struct any_disk *any)
{
	const struct guest_mem *mem = &any->guest->mem;

	require(nr_in_flight(any) > 0 || mem->nr_pins == 0);
	require(any->blk.virtio.nr_busy == nr_in_flight(any));
	any_disk_check_device(&any->blk.virtio);
	for (unsigned i = 0; i < GRANULE_SIZE; i += 64)
		require(mem->ram[ANY_DISK_SECRET * GRANULE_SIZE + i] == SECRET_BYTE);
}

void any_disk_check_device(const struct virtio_dev *dev)
{
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/blk.c src/host/disk.c src/virtio/virtio_pci.c src/virtio/virtio.c
 *	src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c
 *	src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	tests/fake/virtio_guest.c tests/fake/fake_aio.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/blk.h"
#include "ccr/virtio_pci.h"
#include "../fake/fake_aio.h"
#include "../fake/virtio_guest.h"

#define BIT(n)     (1ull << (n))
#define PLATFORM   (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define WRITEBACK  (PLATFORM | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE))
#define RINGS      (GUEST_RAM_BASE + 0x1000)
#define HEADER     (GUEST_RAM_BASE + 0x2000)
#define STATUS     (GUEST_RAM_BASE + 0x3000)
#define DATA       (GUEST_RAM_BASE + 0x10000)
#define NR_SECTORS 64u
#define UNTOUCHED  0xee

struct bench {
	struct guest *guest;
	struct disk disk;
	struct blk blk;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queue;
};

/* An image without a name. */
static void make_image(struct disk *disk)
{
	uint8_t sector[DISK_SECTOR_SIZE];

	*disk = (struct disk){
		.fd = memfd_create("image", 0),
		.size = NR_SECTORS * DISK_SECTOR_SIZE,
		.block_size = DISK_SECTOR_SIZE,
	};
	assert_true(disk->fd >= 0);
	for (unsigned i = 0; i < NR_SECTORS; i++) {
		memset(sector, (int)(i + 1), sizeof(sector));
		assert_int_equal(write(disk->fd, sector, sizeof(sector)), sizeof(sector));
	}
}

static void plug_with(struct bench *b, bool read_only, unsigned nr_queues)
{
	struct ccr_err err = {0};
	struct virtio_setup setup = guest_setup(b->guest);
	struct blk_config config = {
		.disk = &b->disk,
		.serial = "serial-of-23-characters",
		.limits = {16, 5, 4096},
		.nr_queues = nr_queues,
	};

	b->disk.read_only = read_only;
	assert_int_equal(blk_init(&b->blk, &config, &setup, &err), 0);
	virtio_pci_init(&b->transport, &b->blk.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
}

static void plug(struct bench *b, bool read_only)
{
	plug_with(b, read_only, 1);
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	make_image(&b->disk);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->guest->mem.nr_pins, 0);
	virtio_pci_done(&b->transport);
	blk_done(&b->blk);
	disk_close(&b->disk);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void start(struct bench *b, uint64_t features)
{
	assert_int_equal(guest_negotiate(&b->device, features) & VIRTIO_CONFIG_S_FEATURES_OK,
			 VIRTIO_CONFIG_S_FEATURES_OK);
	guest_enable_queue(&b->device, 0, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
}

static void *ram(struct bench *b, uint64_t at)
{
	return guest_ram(&b->guest->mem, at);
}

static void put_header(struct bench *b, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(ram(b, HEADER), &header, sizeof(header));
	*(uint8_t *)ram(b, STATUS) = UNTOUCHED;
}

/* Header, one piece of data and status. Return: the status. */
static uint8_t request(struct bench *b, uint32_t type, uint64_t sector, struct guest_piece data,
		       uint32_t *ret_written)
{
	const struct guest_piece pieces[] = {{HEADER, 16, false}, data, {STATUS, 1, true}};
	const struct guest_piece without[] = {{HEADER, 16, false}, {STATUS, 1, true}};
	struct vring_used_elem used = {0};

	put_header(b, type, sector);
	if (data.size)
		guest_add(&b->queue, pieces, 3);
	else
		guest_add(&b->queue, without, 2);
	blk_work(&b->blk, 0);
	assert_true(guest_take_used(&b->queue, &used));
	if (ret_written)
		*ret_written = used.len;
	return *(uint8_t *)ram(b, STATUS);
}

static uint8_t on_disk(struct bench *b, unsigned sector)
{
	uint8_t byte = 0;

	assert_int_equal(pread(b->disk.fd, &byte, 1, (off_t)sector * DISK_SECTOR_SIZE), 1);
	return byte;
}

static void test_config_space(void **state)
{
	struct bench *b = *state;
	const uint64_t config = (plug(b, false), b->device.config);

	assert_int_equal(guest_mem_read(b->guest, config, 8), NR_SECTORS);
	assert_int_equal(guest_mem_read(b->guest, config + 8, 4), 4096);
	assert_int_equal(guest_mem_read(b->guest, config + 12, 4), 5);
	assert_int_equal(guest_mem_read(b->guest, config + 20, 4), 512);
	assert_int_equal(guest_mem_read(b->guest, config + 34, 2), 1);
	assert_int_equal(guest_offered(&b->device) & 0xffffff,
			 BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				 BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
				 BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_DISCARD) |
				 BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	/* For what bounces, the queue is the bound. */
	assert_int_equal(guest_offered(&b->device) & BIT(VIRTIO_RING_F_INDIRECT_DESC), 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
}

static void test_read(void **state)
{
	struct bench *b = *state;
	uint32_t written = 0;

	plug(b, false);
	start(b, WRITEBACK);
	assert_int_equal(request(b, VIRTIO_BLK_T_IN, 7,
				 (struct guest_piece){DATA | GUEST_SHARED_BIT, 1024, true},
				 &written),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1025);
	assert_int_equal(*(uint8_t *)ram(b, DATA), 8);
	assert_int_equal(*(uint8_t *)ram(b, DATA + 1023), 9);
	assert_int_equal(b->guest->mem.max_pins, 1);
}

static void test_write(void **state)
{
	struct bench *b = *state;
	uint32_t written = 0;

	plug(b, false);
	start(b, WRITEBACK);
	memset(ram(b, DATA), 0x5a, 512);
	assert_int_equal(request(b, VIRTIO_BLK_T_OUT, NR_SECTORS - 1,
				 (struct guest_piece){DATA, 512, false}, &written),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1);
	assert_int_equal(on_disk(b, NR_SECTORS - 1), 0x5a);
	assert_int_equal(on_disk(b, NR_SECTORS - 2), NR_SECTORS - 1);
	assert_int_equal(request(b, VIRTIO_BLK_T_FLUSH, 0, (struct guest_piece){0}, NULL),
			 VIRTIO_BLK_S_OK);
}

/* The specification lets drivers cut a request wherever they like. */
static void test_odd_framing(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {
		{HEADER, 5, false},         {HEADER + 5, 11, false},   {DATA, 1, true},
		{DATA + 0x1000, 500, true}, {DATA + 0x2000, 12, true},
	};
	struct vring_used_elem used;

	plug(b, false);
	start(b, WRITEBACK);
	put_header(b, VIRTIO_BLK_T_IN, 3);
	*(uint8_t *)ram(b, DATA + 0x2000 + 11) = UNTOUCHED;
	guest_add(&b->queue, pieces, 5);
	blk_work(&b->blk, 0);
	assert_true(guest_take_used(&b->queue, &used));
	assert_int_equal(used.len, 513);
	assert_int_equal(*(uint8_t *)ram(b, DATA + 0x2000 + 10), 4);
	assert_int_equal(*(uint8_t *)ram(b, DATA + 0x2000 + 11), VIRTIO_BLK_S_OK);
}

static const struct {
	uint32_t type;
	uint64_t sector;
	uint32_t size;
	uint8_t status;
} bad_requests[] = {
	{VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR},
	{VIRTIO_BLK_T_IN, 0, 0, VIRTIO_BLK_S_IOERR},
	{VIRTIO_BLK_T_IN, NR_SECTORS, 512, VIRTIO_BLK_S_IOERR},
	{VIRTIO_BLK_T_IN, NR_SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR},
	{VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR},
	{VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512, VIRTIO_BLK_S_IOERR},
	{VIRTIO_BLK_T_SCSI_CMD, 0, 512, VIRTIO_BLK_S_UNSUPP},
	{0xffffffff, 0, 512, VIRTIO_BLK_S_UNSUPP},
	{VIRTIO_BLK_T_SECURE_ERASE, 0, 512, VIRTIO_BLK_S_UNSUPP},
};

static void test_bad_requests(void **state)
{
	struct bench *b = *state;
	uint32_t written;

	plug(b, false);
	start(b, WRITEBACK);
	for (unsigned i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]); i++) {
		const struct guest_piece data = {DATA, bad_requests[i].size, true};

		assert_int_equal(
			request(b, bad_requests[i].type, bad_requests[i].sector, data, &written),
			bad_requests[i].status);
		assert_int_equal(written, bad_requests[i].size ? 0 : 1);
	}
	assert_int_equal(b->blk.virtio.nr_failures, 0);
}

/* Private data is the request's error; the device goes on. */
static void test_private_data(void **state)
{
	struct bench *b = *state;

	plug(b, false);
	start(b, WRITEBACK);
	b->guest->mem.is_private[(DATA - GUEST_RAM_BASE) / GRANULE_SIZE + 1] = true;
	assert_int_equal(
		request(b, VIRTIO_BLK_T_IN, 0, (struct guest_piece){DATA, 8192, true}, NULL),
		VIRTIO_BLK_S_IOERR);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_OUT, 0, (struct guest_piece){0x10000000, 512, false}, NULL),
		VIRTIO_BLK_S_IOERR);
	assert_int_equal(b->guest->mem.nr_refused, 2);
	assert_int_equal(on_disk(b, 0), 1);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_IN, 0, (struct guest_piece){DATA, 4096, true}, NULL),
		VIRTIO_BLK_S_OK);
}

static void assert_fails(struct bench *b, const struct guest_piece *pieces, unsigned nr)
{
	struct vring_used_elem used;

	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	start(b, WRITEBACK);
	put_header(b, VIRTIO_BLK_T_IN, 0);
	guest_add(&b->queue, pieces, nr);
	blk_work(&b->blk, 0);
	assert_false(guest_take_used(&b->queue, &used));
	assert_int_equal(guest_status(&b->device) & VIRTIO_CONFIG_S_NEEDS_RESET,
			 VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* No way to answer: the device asks for a reset. */
static void test_unanswerable(void **state)
{
	struct bench *b = *state;
	const struct guest_piece no_status[] = {{HEADER, 16, false}};
	const struct guest_piece short_header[] = {{HEADER, 15, false}, {STATUS, 1, true}};
	const struct guest_piece no_header[] = {{STATUS, 1, true}};
	const struct guest_piece lost_header[] = {{0x1000, 16, false}, {STATUS, 1, true}};
	const struct guest_piece lost_status[] = {
		{HEADER, 16, false}, {DATA, 512, true}, {0x1000, 1, true}};

	plug(b, false);
	assert_fails(b, no_status, 1);
	assert_fails(b, short_header, 2);
	assert_fails(b, no_header, 1);
	assert_fails(b, lost_header, 2);
	assert_fails(b, lost_status, 3);
	assert_int_equal(b->blk.virtio.nr_failures, 5);
}

static void test_read_only(void **state)
{
	struct bench *b = *state;

	plug(b, true);
	assert_int_equal(guest_offered(&b->device) & 0xffffff,
			 BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				 BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_RO));
	/* Even a driver that does not care. */
	start(b, PLATFORM);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_OUT, 0, (struct guest_piece){DATA, 512, false}, NULL),
		VIRTIO_BLK_S_IOERR);
	assert_int_equal(on_disk(b, 0), 1);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_IN, 0, (struct guest_piece){DATA, 512, true}, NULL),
		VIRTIO_BLK_S_OK);
}

static void test_serial(void **state)
{
	struct bench *b = *state;
	uint32_t written = 0;

	plug(b, false);
	start(b, WRITEBACK);
	memset(ram(b, DATA), UNTOUCHED, 32);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_GET_ID, 0, (struct guest_piece){DATA, 32, true}, &written),
		VIRTIO_BLK_S_OK);
	assert_int_equal(written, 20);
	assert_memory_equal(ram(b, DATA), "serial-of-23-charact\xee", 21);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_GET_ID, 0, (struct guest_piece){DATA, 4, true}, &written),
		VIRTIO_BLK_S_OK);
	assert_int_equal(written, 5);
}

static uint8_t free_range(struct bench *b, uint32_t type, uint64_t sector, uint32_t nr,
			  uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {sector, nr, flags};

	memcpy(ram(b, DATA), &range, sizeof(range));
	return request(b, type, 0, (struct guest_piece){DATA, sizeof(range), false}, NULL);
}

static void test_write_zeroes(void **state)
{
	struct bench *b = *state;

	plug(b, false);
	start(b, WRITEBACK);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(on_disk(b, 7), 8);
	assert_int_equal(on_disk(b, 8), 0);
	assert_int_equal(on_disk(b, 15), 0);
	assert_int_equal(on_disk(b, 16), 17);
	assert_int_equal(
		free_range(b, VIRTIO_BLK_T_WRITE_ZEROES, 16, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
		VIRTIO_BLK_S_OK);
	assert_int_equal(on_disk(b, 16), 0);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_DISCARD, 24, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(on_disk(b, 24), 0);
	assert_int_equal(on_disk(b, 32), 33);
}

static void test_bad_ranges(void **state)
{
	struct bench *b = *state;

	plug(b, false);
	start(b, WRITEBACK);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_DISCARD, 0, NR_SECTORS + 1, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 2, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(
		request(b, VIRTIO_BLK_T_DISCARD, 0, (struct guest_piece){DATA, 32, false}, NULL),
		VIRTIO_BLK_S_IOERR);
	for (unsigned i = 0; i < NR_SECTORS; i++)
		assert_int_equal(on_disk(b, i), i + 1);
}

/* The driver asks in vain; the host has not failed it. */
static void test_ranges_of_read_only(void **state)
{
	struct bench *b = *state;

	plug(b, true);
	start(b, PLATFORM);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(b->blk.virtio.stats.nr_host_errors, 0);
	assert_int_equal(on_disk(b, 0), 1);
}

static void test_cache_switch(void **state)
{
	struct bench *b = *state;
	const uint64_t wce = (plug(b, false), b->device.config + 32);

	assert_int_equal(guest_mem_read(b->guest, wce, 1), 1);
	/* Not negotiated: not writable. */
	start(b, PLATFORM);
	guest_mem_write(b->guest, wce, 1, 0);
	assert_int_equal(guest_mem_read(b->guest, wce, 1), 1);

	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	start(b, WRITEBACK);
	guest_mem_write(b->guest, wce, 2, 0);
	guest_mem_write(b->guest, wce, 1, 2);
	guest_mem_write(b->guest, wce - 32, 8, 1ull << 40);
	assert_int_equal(guest_mem_read(b->guest, wce, 1), 1);
	assert_int_equal(guest_mem_read(b->guest, wce - 32, 8), NR_SECTORS);
	guest_mem_write(b->guest, wce, 1, 0);
	assert_int_equal(guest_mem_read(b->guest, wce, 1), 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(guest_mem_read(b->guest, wce, 1), 1);
}

/* In place of the C library: that a flush is honest means that this is called. */
static unsigned nr_syncs;

int fdatasync(int fd)
{
	(void)fd;
	nr_syncs++;
	return 0;
}

static void test_flush_is_honest(void **state)
{
	struct bench *b = *state;
	const struct guest_piece data = {DATA, 512, false};

	plug(b, false);
	start(b, WRITEBACK);
	nr_syncs = 0;
	assert_int_equal(request(b, VIRTIO_BLK_T_OUT, 0, data, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(nr_syncs, 0);
	assert_int_equal(request(b, VIRTIO_BLK_T_FLUSH, 0, (struct guest_piece){0}, NULL),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(nr_syncs, 1);
	/* Cache turned off. */
	guest_mem_write(b->guest, b->device.config + 32, 1, 0);
	assert_int_equal(request(b, VIRTIO_BLK_T_OUT, 0, data, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(nr_syncs, 2);
	/* A driver that cannot flush. */
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	start(b, PLATFORM);
	assert_int_equal(request(b, VIRTIO_BLK_T_OUT, 0, data, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(nr_syncs, 3);
	assert_int_equal(free_range(b, VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(nr_syncs, 4);
}

/* struct worker - the thread that serves a disk */
struct worker {
	pthread_t thread;
	struct blk *blk;
	atomic_bool stop;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&worker->stop))
		blk_work(worker->blk, 0);
	return NULL;
}

static bool is_filled(const uint8_t *bytes, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != value)
			return false;
	}
	return true;
}

/* Once status reads 0, memory is the driver's own again, whatever was in flight. */
static void test_reset_under_load(void **state)
{
	struct bench *b = *state;
	const uint32_t size = NR_SECTORS * DISK_SECTOR_SIZE;
	const struct guest_piece pieces[] = {
		{HEADER, 16, false}, {DATA, size, true}, {STATUS, 1, true}};
	struct worker worker = {.blk = &b->blk};

	plug(b, false);
	assert_int_equal(pthread_create(&worker.thread, NULL, work, &worker), 0);
	for (unsigned i = 0; i < 300; i++) {
		guest_queue_place(&b->queue, b->guest, RINGS, 16);
		put_header(b, VIRTIO_BLK_T_IN, 0);
		for (unsigned j = 0; j < 5; j++)
			guest_add(&b->queue, pieces, 3);
		start(b, WRITEBACK);
		usleep(i % 50);
		guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		while (guest_status(&b->device) != 0)
			;
		memset(ram(b, DATA), UNTOUCHED, size);
		*(uint8_t *)ram(b, STATUS) = UNTOUCHED;
		usleep(20);
		assert_true(is_filled(ram(b, DATA), size, UNTOUCHED));
		assert_true(is_filled(ram(b, STATUS), 1, UNTOUCHED));
	}
	atomic_store(&worker.stop, true);
	pthread_join(worker.thread, NULL);
	assert_int_equal(b->blk.virtio.nr_failures, 0);
}

/* @nr reads of a sector each, in the queue. */
static void add_reads(struct bench *b, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		const struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN,
							 .sector = i % NR_SECTORS};
		const struct guest_piece pieces[] = {{HEADER + 16 * i, 16, false},
						     {DATA + 512 * i, 512, true},
						     {STATUS + i, 1, true}};

		memcpy(ram(b, HEADER + 16 * i), &header, sizeof(header));
		*(uint8_t *)ram(b, STATUS + i) = UNTOUCHED;
		guest_add(&b->queue, pieces, 3);
	}
}

/* All that the queue has is in flight at once, begun by one call, and told of by one interrupt. */
static void test_batch(void **state)
{
	struct bench *b = *state;
	struct vring_used_elem used;
	struct aio *aio;

	plug(b, false);
	guest_use_msix(&b->device, 0x1000, 2);
	start(b, WRITEBACK);
	aio = b->blk.lanes[0].aio;
	fake_aio_hold(aio);
	add_reads(b, 5);
	blk_work(&b->blk, 0);
	assert_int_equal(fake_aio_seen(aio).nr_begins, 1);
	assert_int_equal(fake_aio_seen(aio).nr_in_flight, 5);
	assert_int_equal(b->guest->mem.nr_pins, 5);
	assert_false(guest_take_used(&b->queue, &used));
	assert_int_equal(b->guest->nr_msis, 0);

	/* Out of order, and only what has ended. */
	assert_int_equal(fake_aio_let_go(aio, 3), 3);
	blk_work(&b->blk, 0);
	for (unsigned i = 3; i > 0; i--) {
		assert_true(guest_take_used(&b->queue, &used));
		assert_int_equal(used.id, 3 * (i - 1));
		assert_int_equal(*(uint8_t *)ram(b, DATA + 512 * (i - 1)), i);
	}
	assert_int_equal(*(uint8_t *)ram(b, STATUS + 3), UNTOUCHED);
	assert_int_equal(b->guest->nr_msis, 1);
	assert_int_equal(b->guest->mem.nr_pins, 2);
	assert_int_equal(fake_aio_let_go(aio, 9), 2);
	blk_work(&b->blk, 0);
	assert_int_equal(b->guest->nr_msis, 2);
	assert_int_equal(*(uint8_t *)ram(b, DATA + 512 * 4), 5);
}

/* A driver may read zero from status only once nothing of its memory is in use. */
static void test_reset_waits(void **state)
{
	struct bench *b = *state;
	struct vring_used_elem used;
	struct aio *aio;

	plug(b, false);
	start(b, WRITEBACK);
	aio = b->blk.lanes[0].aio;
	fake_aio_hold(aio);
	add_reads(b, 3);
	blk_work(&b->blk, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_not_equal(guest_status(&b->device), 0);
	fake_aio_let_go(aio, 2);
	blk_work(&b->blk, 0);
	assert_int_not_equal(guest_status(&b->device), 0);
	assert_false(guest_take_used(&b->queue, &used));
	fake_aio_let_go(aio, 1);
	blk_work(&b->blk, 0);
	assert_int_equal(guest_status(&b->device), 0);
	assert_false(guest_take_used(&b->queue, &used));
	assert_int_equal(*(uint8_t *)ram(b, STATUS), UNTOUCHED);

	/* And then all of it is there for the next driver. */
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	start(b, WRITEBACK);
	add_reads(b, 5);
	blk_work(&b->blk, 0);
	assert_int_equal(fake_aio_seen(aio).nr_in_flight, 5);
	fake_aio_let_go(aio, 5);
	blk_work(&b->blk, 0);
	assert_true(guest_take_used(&b->queue, &used));
}

/* The device is broken by one request while others are in flight: they end, and are not told of. */
static void test_failure_under_load(void **state)
{
	struct bench *b = *state;
	const struct guest_piece no_status[] = {{HEADER, 16, false}};
	struct vring_used_elem used;
	struct aio *aio;

	plug(b, false);
	start(b, WRITEBACK);
	aio = b->blk.lanes[0].aio;
	fake_aio_hold(aio);
	add_reads(b, 3);
	blk_work(&b->blk, 0);
	guest_add(&b->queue, no_status, 1);
	blk_work(&b->blk, 0);
	assert_int_equal(guest_status(&b->device) & VIRTIO_CONFIG_S_NEEDS_RESET,
			 VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(fake_aio_let_go(aio, 3), 3);
	blk_work(&b->blk, 0);
	assert_false(guest_take_used(&b->queue, &used));
	assert_int_equal(b->guest->mem.nr_pins, 0);
}

static const struct {
	int result;
	uint8_t status;
	unsigned nr_errors;
} host_errors[] = {
	{-EIO, VIRTIO_BLK_S_IOERR, 1},    {-ENOSPC, VIRTIO_BLK_S_IOERR, 1},
	{-EAGAIN, VIRTIO_BLK_S_IOERR, 1}, {-ENODEV, VIRTIO_BLK_S_IOERR, 1},
	{-EFBIG, VIRTIO_BLK_S_IOERR, 1},  {-EOPNOTSUPP, VIRTIO_BLK_S_UNSUPP, 0},
};

/* What the host fails is the request's error, whichever it is; the next request works. */
static void test_host_errors(void **state)
{
	struct bench *b = *state;
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
	uint64_t nr_errors = 0;

	plug(b, false);
	start(b, WRITEBACK);
	for (unsigned i = 0; i < sizeof(host_errors) / sizeof(host_errors[0]); i++) {
		for (unsigned j = 0; j < sizeof(types) / sizeof(types[0]); j++) {
			struct guest_piece data = {DATA, 512, types[j] == VIRTIO_BLK_T_IN};
			uint32_t written;

			if (types[j] == VIRTIO_BLK_T_FLUSH)
				data.size = 0;
			fake_aio_fail(b->blk.lanes[0].aio, 1, host_errors[i].result);
			assert_int_equal(request(b, types[j], 1, data, &written),
					 host_errors[i].status);
			assert_int_equal(written, types[j] == VIRTIO_BLK_T_IN ? 0 : 1);
			nr_errors += host_errors[i].nr_errors;
			assert_int_equal(b->blk.virtio.stats.nr_host_errors, nr_errors);
			assert_int_equal(request(b, types[j], 1, data, NULL), VIRTIO_BLK_S_OK);
		}
	}
	assert_int_equal(b->blk.virtio.nr_failures, 0);
}

/* A queue that is full, and more than an engine may have in flight: what is over waits. */
static void test_depth(void **state)
{
	struct bench *b = *state;
	struct blk_config config = {
		.disk = &b->disk, .serial = "", .limits = {VIRTQ_MAX_SIZE, 126, 0}, .nr_queues = 1};
	struct virtio_setup setup = guest_setup(b->guest);
	struct guest_queue queue;
	struct ccr_err err = {0};
	struct vring_used_elem used;
	unsigned nr = 0;

	assert_int_equal(blk_init(&b->blk, &config, &setup, &err), 0);
	virtio_pci_init(&b->transport, &b->blk.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	/* 256 descriptors and rings of their own pages. */
	guest_queue_place(&queue, b->guest, GUEST_RAM_BASE + 0x80000, 256);
	queue.avail = (GUEST_RAM_BASE + 0x82000) | GUEST_SHARED_BIT;
	queue.used = (GUEST_RAM_BASE + 0x83000) | GUEST_SHARED_BIT;
	b->queue = queue;
	start(b, WRITEBACK);
	fake_aio_hold(b->blk.lanes[0].aio);
	add_reads(b, 80);
	blk_work(&b->blk, 0);
	assert_int_equal(fake_aio_seen(b->blk.lanes[0].aio).nr_in_flight, AIO_MAX_DEPTH);
	fake_aio_let_go(b->blk.lanes[0].aio, 20);
	blk_work(&b->blk, 0);
	assert_int_equal(fake_aio_seen(b->blk.lanes[0].aio).nr_in_flight, 60);
	assert_int_equal(fake_aio_seen(b->blk.lanes[0].aio).max_in_flight, AIO_MAX_DEPTH);
	fake_aio_let_go(b->blk.lanes[0].aio, 60);
	blk_work(&b->blk, 0);
	while (guest_take_used(&b->queue, &used))
		nr++;
	assert_int_equal(nr, 80);
}

/* Each queue has an engine of its own; used buffers come back to where they were taken from. */
static void test_queues(void **state)
{
	struct bench *b = *state;
	struct guest_queue second;
	struct vring_used_elem used;

	plug_with(b, false, 2);
	assert_int_equal(guest_offered(&b->device) & BIT(VIRTIO_BLK_F_MQ), BIT(VIRTIO_BLK_F_MQ));
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 34, 2), 2);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	guest_negotiate(&b->device, WRITEBACK | BIT(VIRTIO_BLK_F_MQ));
	guest_enable_queue(&b->device, 0, &b->queue);
	guest_queue_place(&second, b->guest, GUEST_RAM_BASE + 0x80000, 16);
	guest_enable_queue(&b->device, 1, &second);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);

	b->queue = second;
	add_reads(b, 2);
	blk_work(&b->blk, 0);
	assert_false(guest_take_used(&b->queue, &used));
	blk_work(&b->blk, 1);
	assert_true(guest_take_used(&b->queue, &used));
	assert_true(guest_take_used(&b->queue, &used));
	assert_int_equal(fake_aio_seen(b->blk.lanes[0].aio).nr_begins, 0);
	assert_int_equal(fake_aio_seen(b->blk.lanes[1].aio).nr_begins, 1);
}

/* A host that cannot do what was asked for: nothing is left behind. */
static void test_no_engine(void **state)
{
	struct bench *b = *state;
	struct virtio_setup setup = guest_setup(b->guest);
	struct blk_config config = {
		.disk = &b->disk, .serial = "", .nr_queues = 3, .io = AIO_URING};
	struct ccr_err err = {0};

	assert_int_equal(blk_init(&b->blk, &config, &setup, &err), -ENOSYS);
	assert_non_null(strstr(err.msg, "io_uring"));
	plug(b, false);
}

#define BLK_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BLK_TEST(test_config_space),
		BLK_TEST(test_read),
		BLK_TEST(test_write),
		BLK_TEST(test_odd_framing),
		BLK_TEST(test_bad_requests),
		BLK_TEST(test_private_data),
		BLK_TEST(test_unanswerable),
		BLK_TEST(test_read_only),
		BLK_TEST(test_serial),
		BLK_TEST(test_write_zeroes),
		BLK_TEST(test_bad_ranges),
		BLK_TEST(test_ranges_of_read_only),
		BLK_TEST(test_cache_switch),
		BLK_TEST(test_flush_is_honest),
		BLK_TEST(test_reset_under_load),
		BLK_TEST(test_batch),
		BLK_TEST(test_reset_waits),
		BLK_TEST(test_failure_under_load),
		BLK_TEST(test_host_errors),
		BLK_TEST(test_depth),
		BLK_TEST(test_queues),
		BLK_TEST(test_no_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

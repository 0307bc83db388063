/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/blk.c src/host/disk.c src/virtio/virtio_pci.c src/virtio/virtio.c
 *	src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c
 *	src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	tests/fake/virtio_guest.c
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

static void plug(struct bench *b, bool read_only)
{
	struct virtio_setup setup = guest_setup(b->guest);
	struct blk_config config = {
		.disk = &b->disk,
		.serial = "serial-of-23-characters",
		.limits = {16, 5, 4096},
	};

	b->disk.read_only = read_only;
	blk_init(&b->blk, &config, &setup);
	virtio_pci_init(&b->transport, &b->blk.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
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
	virtio_service(&b->blk.virtio);
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
	assert_int_equal(guest_offered(&b->device) & 0xffffff,
			 BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				 BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
				 BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_DISCARD) |
				 BIT(VIRTIO_BLK_F_WRITE_ZEROES));
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
	virtio_service(&b->blk.virtio);
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
	virtio_service(&b->blk.virtio);
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
		virtio_service(&worker->blk->virtio);
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

#define BLK_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BLK_TEST(test_config_space),    BLK_TEST(test_read),
		BLK_TEST(test_write),           BLK_TEST(test_odd_framing),
		BLK_TEST(test_bad_requests),    BLK_TEST(test_private_data),
		BLK_TEST(test_unanswerable),    BLK_TEST(test_read_only),
		BLK_TEST(test_serial),          BLK_TEST(test_write_zeroes),
		BLK_TEST(test_bad_ranges),      BLK_TEST(test_cache_switch),
		BLK_TEST(test_flush_is_honest), BLK_TEST(test_reset_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

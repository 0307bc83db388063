/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/v9p.c src/virtio/p9.c src/virtio/p9_proto.c src/host/broker_proto.c
 *	src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c
 *	src/virtio/mem.c src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c
 *	src/util/err.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ccr/v9p.h"
#include "ccr/virtio_pci.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define FEATURES    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(0))
#define RINGS       (GUEST_RAM_BASE + 0x1000)
#define OUT         (GUEST_RAM_BASE + 0x10000)
#define IN          (GUEST_RAM_BASE + 0x20000)
#define HOLE        0x40000000ull
#define MSIZE       8192u
#define NEEDS_RESET 0x4f

struct bench {
	struct guest *guest;
	struct v9p v9p;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queue;
	unsigned nr_closed;
};

/* A directory in which everything is a file that is open at once. */
static int on_call(void *ctx, const struct broker_request *request, struct broker_reply *reply,
		   int *ret_fd)
{
	(void)ctx;
	memset(reply, 0, sizeof(*reply));
	reply->attr.mode = request->op == BROKER_STAT && !request->handle ? S_IFDIR : S_IFREG;
	if (ret_fd)
		*ret_fd = request->op == BROKER_CREATE ? 77 : -1;
	return 0;
}

static ssize_t on_read(void *ctx, int fd, void *bytes, size_t size, uint64_t offset)
{
	(void)ctx;
	(void)offset;
	assert_int_equal(fd, 77);
	memset(bytes, 'r', size);
	return (ssize_t)size;
}

static ssize_t on_write(void *ctx, int fd, const void *bytes, size_t size, uint64_t offset)
{
	(void)ctx;
	(void)fd;
	(void)bytes;
	(void)offset;
	return (ssize_t)size;
}

static int on_sync(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return 0;
}

static void on_close(void *ctx, int fd)
{
	struct bench *b = ctx;

	assert_int_equal(fd, 77);
	b->nr_closed++;
}

static const struct p9_host host = {on_call, on_read, on_write, on_sync, on_close};

static void start(struct bench *b)
{
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	guest_negotiate(&b->device, FEATURES);
	guest_enable_queue(&b->device, 0, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), 0xf);
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const struct v9p_config config = {
		.tag = "share",
		.max_msize = MSIZE,
		.max_open = 4,
		.queue_size = 16,
		.host = &host,
		.ctx = b,
	};
	struct virtio_setup setup;
	int slot;

	assert_non_null(b);
	b->guest = guest_create();
	setup = guest_setup(b->guest);
	setup.needs_platform = true;
	assert_int_equal(v9p_init(&b->v9p, &config, &setup), 0);
	virtio_pci_init(&b->transport, &b->v9p.virtio);
	slot = pci_host_add(&b->guest->pci, &b->transport.function);
	assert_true(slot >= 0);
	b->device = guest_probe(b->guest, (unsigned)slot);
	start(b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->transport);
	v9p_done(&b->v9p);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

/* Return: bytes of the reply at IN, 0 if none came. */
static uint32_t send(struct bench *b, const struct guest_piece *pieces, unsigned nr)
{
	struct vring_used_elem elem;

	guest_add(&b->queue, pieces, nr);
	guest_notify(&b->device, 0);
	virtio_service(&b->v9p.virtio);
	return guest_take_used(&b->queue, &elem) ? le32toh(elem.len) : 0;
}

/* A message of @size bytes that ends in @body, 4 bytes. */
static void put_message(struct bench *b, uint32_t at, uint8_t type, const void *body, size_t size)
{
	struct p9_writer writer;

	p9_writer_init(&writer, guest_ram(&b->guest->mem, OUT + at), 256);
	memcpy(writer.bytes + P9_HEADER_SIZE, body, size);
	writer.place += size;
	p9_finish(&writer, type, 1);
}

static void put_version(struct bench *b)
{
	static const char body[] = "\0\x20\0\0\x08\0009P2000.L";

	put_message(b, 0, P9_TVERSION, body, sizeof(body) - 1);
}

#define VERSION_SIZE (P9_HEADER_SIZE + 14u)

static void test_tag(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_mem_read(b->guest, b->device.config, 2), 5);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 2, 1), 's');
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 6, 1), 'e');
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 7, 1), 0);
}

static void test_message(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {{OUT, 10, false},
					     {OUT + 10, VERSION_SIZE - 10, false},
					     {IN, 5, true},
					     {IN + 5, 95, true}};
	const uint8_t *reply = guest_ram(&b->guest->mem, IN);

	put_version(b);
	assert_int_equal(send(b, pieces, 4), VERSION_SIZE);
	assert_int_equal(reply[4], P9_TVERSION + 1);
	assert_memory_equal(reply + 13, P9_VERSION, 8);
}

static void test_wrong(void **state)
{
	struct bench *b = *state;
	static const struct {
		struct guest_piece pieces[2];
		unsigned nr;
	} wrong[] = {
		{{{OUT, P9_HEADER_SIZE - 1, false}, {IN, 100, true}}, 2},
		{{{OUT, MSIZE + 1, false}, {IN, 100, true}}, 2},
		{{{OUT, VERSION_SIZE, false}, {IN, P9_ERROR_SIZE - 1, true}}, 2},
		{{{OUT, VERSION_SIZE, false}}, 1},
		{{{IN, 100, true}}, 1},
		{{{HOLE, VERSION_SIZE, false}, {IN, 100, true}}, 2},
		{{{OUT, VERSION_SIZE, false}, {HOLE, 100, true}}, 2},
	};
	const struct guest_piece good[] = {{OUT, VERSION_SIZE, false}, {IN, 100, true}};

	put_version(b);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(send(b, wrong[i].pieces, wrong[i].nr), 0);
		assert_int_equal(guest_status(&b->device), NEEDS_RESET);
		guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		start(b);
		assert_int_equal(send(b, good, 2), VERSION_SIZE);
	}
}

/* A driver that goes leaves nothing open. */
static void test_reset(void **state)
{
	struct bench *b = *state;
	static const uint8_t attach[18] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t create[] = {0, 0,    0, 0, 1, 0, 'f', 2, 0, 0,
					 0, 0xa4, 1, 0, 0, 0, 0,   0, 0};
	struct guest_piece pieces[] = {{OUT, VERSION_SIZE, false}, {IN, 100, true}};
	const uint8_t *reply = guest_ram(&b->guest->mem, IN);

	put_version(b);
	send(b, pieces, 2);
	put_message(b, 0, P9_TATTACH, attach, sizeof(attach));
	pieces[0].size = P9_HEADER_SIZE + sizeof(attach);
	send(b, pieces, 2);
	assert_int_equal(reply[4], P9_TATTACH + 1);
	put_message(b, 0, P9_TLCREATE, create, sizeof(create));
	pieces[0].size = P9_HEADER_SIZE + sizeof(create);
	send(b, pieces, 2);
	assert_int_equal(reply[4], P9_TLCREATE + 1);
	assert_int_equal(b->nr_closed, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(b->nr_closed, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tag),
		TEST(test_message),
		TEST(test_wrong),
		TEST(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vvsock.c src/virtio/vsock.c src/virtio/virtio_pci.c src/virtio/virtio.c
 *	src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c
 *	src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c tests/fake/virtio_guest.c
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

#include "ccr/virtio_pci.h"
#include "ccr/vvsock.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define FEATURES    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define RX_RINGS    (GUEST_RAM_BASE + 0x1000)
#define TX_RINGS    (GUEST_RAM_BASE + 0x2000)
#define RX_DATA     (GUEST_RAM_BASE + 0x10000)
#define TX_DATA     (GUEST_RAM_BASE + 0x40000)
#define CID         9u
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define NEEDS_RESET 0x4f

/* A host that gives back what it gets. */
struct bench {
	struct guest *guest;
	struct vvsock vsock;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue rx, tx;
	char held[4096];
	size_t held_size;
	unsigned nr_open, nr_closed;
};

static int echo_connect(void *ctx, unsigned index, uint32_t port)
{
	(void)index;
	((struct bench *)ctx)->nr_open++;
	return port == 1 ? 0 : -ECONNREFUSED;
}

static void echo_accepted(void *ctx, unsigned index, uint32_t host_port)
{
	(void)ctx;
	(void)index;
	(void)host_port;
}

static ssize_t echo_read(void *ctx, unsigned index, void *buf, size_t size)
{
	struct bench *b = ctx;

	(void)index;
	if (b->held_size == 0)
		return -EAGAIN;
	if (size > b->held_size)
		size = b->held_size;
	memcpy(buf, b->held, size);
	b->held_size -= size;
	memmove(b->held, b->held + size, b->held_size);
	return (ssize_t)size;
}

static ssize_t echo_write(void *ctx, unsigned index, const void *buf, size_t size)
{
	struct bench *b = ctx;

	memcpy(b->held + b->held_size, buf, size);
	b->held_size += size;
	/* As vsock_ready() would, which must not be called from here. */
	b->vsock.vsock.conns[index].may_read = true;
	return (ssize_t)size;
}

static void echo_shutdown(void *ctx, unsigned index, int how)
{
	(void)ctx;
	(void)index;
	(void)how;
}

static void echo_close(void *ctx, unsigned index)
{
	(void)index;
	((struct bench *)ctx)->nr_closed++;
}

static const struct vsock_host echo = {
	.connect = echo_connect,
	.accepted = echo_accepted,
	.read = echo_read,
	.write = echo_write,
	.shutdown = echo_shutdown,
	.close = echo_close,
};

static void start(struct bench *b)
{
	guest_queue_place(&b->rx, b->guest, RX_RINGS, 16);
	guest_queue_place(&b->tx, b->guest, TX_RINGS, 16);
	guest_negotiate(&b->device, FEATURES);
	guest_enable_queue(&b->device, 0, &b->rx);
	guest_enable_queue(&b->device, 1, &b->tx);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), 0xf);
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct virtio_setup setup;

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	setup = guest_setup(b->guest);
	assert_int_equal(vvsock_init(&b->vsock, CID, &echo, b, &setup), 0);
	virtio_pci_init(&b->transport, &b->vsock.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	start(b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->transport);
	vvsock_done(&b->vsock);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

/* The packet is at TX_DATA; the chain says how much of it there is. */
static void offer(struct bench *b, uint16_t op, uint32_t host_port, uint32_t size,
		  uint32_t chain_size)
{
	const struct virtio_vsock_hdr header = {
		.src_cid = htole64(CID),
		.dst_cid = htole64(VSOCK_HOST_CID),
		.src_port = htole32(5),
		.dst_port = htole32(host_port),
		.len = htole32(size),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.buf_alloc = htole32(65536),
	};
	const struct guest_piece piece = {TX_DATA, chain_size, false};

	memcpy(guest_ram(&b->guest->mem, TX_DATA), &header, sizeof(header));
	guest_add(&b->tx, &piece, 1);
	virtio_service(&b->vsock.virtio);
}

static void lend(struct bench *b, uint64_t at, uint32_t size)
{
	const struct guest_piece piece = {at, size, true};

	guest_add(&b->rx, &piece, 1);
	virtio_service(&b->vsock.virtio);
}

/* Return: what the guest was told in its oldest buffer, which is at @at; 0 for nothing. */
static unsigned told(struct bench *b, uint64_t at, uint32_t *ret_size)
{
	struct virtio_vsock_hdr header;
	struct vring_used_elem used;

	if (!guest_take_used(&b->rx, &used))
		return 0;
	memcpy(&header, guest_ram(&b->guest->mem, at), sizeof(header));
	*ret_size = le32toh(header.len);
	assert_int_equal(used.len, HEADER_SIZE + *ret_size);
	assert_int_equal(le64toh(header.dst_cid), CID);
	return le16toh(header.op);
}

static void connect_guest(struct bench *b)
{
	uint32_t size;

	lend(b, RX_DATA, 4096);
	offer(b, VIRTIO_VSOCK_OP_REQUEST, 1, 0, HEADER_SIZE);
	assert_int_equal(told(b, RX_DATA, &size), VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(size, 0);
}

static void test_config(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_mem_read(b->guest, b->device.config, 4), CID);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 4, 4), 0);
	guest_mem_write(b->guest, b->device.config, 4, 2);
	assert_int_equal(guest_mem_read(b->guest, b->device.config, 4), CID);
}

static void test_stream(void **state)
{
	struct bench *b = *state;
	uint32_t size;

	connect_guest(b);
	memcpy(guest_ram(&b->guest->mem, TX_DATA + HEADER_SIZE), "guest", 5);
	offer(b, VIRTIO_VSOCK_OP_RW, 1, 5, HEADER_SIZE + 5);
	/* It waits for a buffer. */
	assert_int_equal(told(b, RX_DATA, &size), 0);
	lend(b, RX_DATA + 0x1000, HEADER_SIZE + 3);
	assert_int_equal(told(b, RX_DATA + 0x1000, &size), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(size, 3);
	lend(b, RX_DATA + 0x2000, 4096);
	assert_int_equal(told(b, RX_DATA + 0x2000, &size), VIRTIO_VSOCK_OP_RW);
	assert_int_equal(size, 2);
	assert_memory_equal(guest_ram(&b->guest->mem, RX_DATA + 0x2000 + HEADER_SIZE), "st", 2);
	assert_true(b->guest->intx[0]);
	assert_int_equal(guest_status(&b->device), 0xf);
}

static void test_refused(void **state)
{
	struct bench *b = *state;
	uint32_t size;

	lend(b, RX_DATA, 4096);
	offer(b, VIRTIO_VSOCK_OP_REQUEST, 2, 0, HEADER_SIZE);
	assert_int_equal(told(b, RX_DATA, &size), VIRTIO_VSOCK_OP_RST);
}

/* Resets that nobody fetches stop what causes them, and nothing is lost. */
static void test_stops(void **state)
{
	struct bench *b = *state;
	struct vring_used_elem used;
	unsigned nr = 0;
	uint32_t size;

	for (unsigned i = 0; i < VSOCK_MAX_RESETS + 3; i++)
		offer(b, VIRTIO_VSOCK_OP_RW, 3, 0, HEADER_SIZE);
	while (guest_take_used(&b->tx, &used))
		nr++;
	assert_int_equal(nr, VSOCK_MAX_RESETS);
	b->guest->nr_kicks = 0;
	lend(b, RX_DATA, 4096);
	assert_int_equal(told(b, RX_DATA, &size), VIRTIO_VSOCK_OP_RST);
	/* There is room for one more, which is taken next time: the device asks for that itself. */
	assert_int_equal(b->guest->nr_kicks, 1);
	virtio_service(&b->vsock.virtio);
	assert_true(guest_take_used(&b->tx, &used));
	assert_false(guest_take_used(&b->tx, &used));
}

static void test_short_chain(void **state)
{
	struct bench *b = *state;

	offer(b, VIRTIO_VSOCK_OP_REQUEST, 1, 0, HEADER_SIZE - 1);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_int_equal(b->nr_open, 0);
}

static void test_wrong_length(void **state)
{
	struct bench *b = *state;

	connect_guest(b);
	offer(b, VIRTIO_VSOCK_OP_RW, 1, 100, HEADER_SIZE + 99);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_int_equal(b->held_size, 0);
}

static void test_wrong_length_wraps(void **state)
{
	struct bench *b = *state;

	connect_guest(b);
	offer(b, VIRTIO_VSOCK_OP_RW, 1, UINT32_MAX - HEADER_SIZE + 1, HEADER_SIZE + 99);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
}

/* Longer than any buffer: a credit that was never given. */
static void test_huge(void **state)
{
	struct bench *b = *state;
	uint32_t size;

	connect_guest(b);
	offer(b, VIRTIO_VSOCK_OP_RW, 1, VSOCK_BUFFER_SIZE + 1, HEADER_SIZE + VSOCK_BUFFER_SIZE + 1);
	assert_int_equal(guest_status(&b->device), 0xf);
	assert_int_equal(b->nr_closed, 1);
	lend(b, RX_DATA, 4096);
	assert_int_equal(told(b, RX_DATA, &size), VIRTIO_VSOCK_OP_RST);
}

static void test_small_buffer(void **state)
{
	struct bench *b = *state;

	lend(b, RX_DATA, HEADER_SIZE);
	assert_int_equal(guest_status(&b->device), 0xf);
	offer(b, VIRTIO_VSOCK_OP_REQUEST, 1, 0, HEADER_SIZE);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
}

static void make_private(struct bench *b, uint64_t at)
{
	b->guest->mem.is_private[(at - GUEST_RAM_BASE) / GRANULE_SIZE] = true;
}

static void test_private_header(void **state)
{
	struct bench *b = *state;

	make_private(b, TX_DATA);
	offer(b, VIRTIO_VSOCK_OP_REQUEST, 1, 0, HEADER_SIZE);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_int_equal(b->nr_open, 0);
}

static void test_private_payload(void **state)
{
	struct bench *b = *state;

	connect_guest(b);
	make_private(b, TX_DATA + GRANULE_SIZE);
	offer(b, VIRTIO_VSOCK_OP_RW, 1, 5000, HEADER_SIZE + 5000);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_int_equal(b->held_size, 0);
}

static void test_private_buffer(void **state)
{
	struct bench *b = *state;

	make_private(b, RX_DATA);
	lend(b, RX_DATA, 4096);
	offer(b, VIRTIO_VSOCK_OP_REQUEST, 1, 0, HEADER_SIZE);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
}

/* A buffer in hand and connections do not outlive a driver. */
static void test_reset(void **state)
{
	struct bench *b = *state;

	connect_guest(b);
	/* Ready, but with nothing to say: the buffer is taken, and kept. */
	lend(b, RX_DATA + 0x1000, 4096);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(b->nr_closed, 1);
	assert_int_equal(vsock_nr_conns(&b->vsock.vsock), 0);
	memset(guest_ram(&b->guest->mem, RX_DATA + 0x1000), 0, HEADER_SIZE);
	start(b);
	connect_guest(b);
	assert_int_equal(*(uint8_t *)guest_ram(&b->guest->mem, RX_DATA + 0x1000), 0);
}

#define VVSOCK_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VVSOCK_TEST(test_config),
		VVSOCK_TEST(test_stream),
		VVSOCK_TEST(test_refused),
		VVSOCK_TEST(test_stops),
		VVSOCK_TEST(test_short_chain),
		VVSOCK_TEST(test_wrong_length),
		VVSOCK_TEST(test_huge),
		VVSOCK_TEST(test_wrong_length_wraps),
		VVSOCK_TEST(test_small_buffer),
		VVSOCK_TEST(test_private_header),
		VVSOCK_TEST(test_private_payload),
		VVSOCK_TEST(test_private_buffer),
		VVSOCK_TEST(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

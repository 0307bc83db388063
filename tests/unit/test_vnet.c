/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vnet.c src/virtio/vnet_rx.c src/virtio/vnet_tx.c src/virtio/vnet_control.c
 *	src/host/net.c src/host/tap.c src/host/passt.c src/util/hash.c
 *	src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c
 *	src/virtio/mem.c src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c
 *	src/util/err.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/virtio_pci.h"
#include "ccr/vnet.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define BASIC       (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define MERGE       (BASIC | BIT(VIRTIO_NET_F_MRG_RXBUF))
#define RINGS       (GUEST_RAM_BASE + 0x1000)
#define TX_DATA     (GUEST_RAM_BASE + 0x20000)
#define RX_DATA     (GUEST_RAM_BASE + 0x40000)
#define COMMAND     (GUEST_RAM_BASE + 0x10000)
#define ANSWER      (GUEST_RAM_BASE + 0x11000)
#define HEADER_SIZE 12u
#define NEEDS_RESET 0x4f
#define LINK_AT     6
#define QUEUE_SIZE  16

#define TAP_FEATURES                                                                          \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_CSUM) |    \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))

static const uint8_t own_mac[NET_MAC_SIZE] = {2, 0, 0, 0, 0, 7};

/* struct bench - a host end that gives one frame after another, and remembers what it got */
struct bench {
	struct guest *guest;
	struct net net;
	struct vnet vnet;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue rx, tx, control;
	/* what comes: header first */
	unsigned nr_coming;
	uint8_t coming[HEADER_SIZE + NET_MAX_FRAME];
	size_t coming_size;
	unsigned nr_reads;
	/* what has gone */
	unsigned nr_sent, nr_flushes;
	uint8_t sent[HEADER_SIZE + NET_MAX_FRAME];
	size_t sent_size;
	int send_result, receive_result;
	bool has_no_room;
	uint64_t offloads;
	struct net_filter filter;
	unsigned nr_filters, nr_pairs;
};

/* The net is the bench's first use of it: ops get it back from there. */
static struct bench *bench_of(const struct net *net)
{
	return (struct bench *)((char *)(uintptr_t)net - offsetof(struct bench, net));
}

static int fake_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned nr_iov)
{
	struct bench *b = bench_of(net);

	(void)pair;
	if (b->send_result)
		return b->send_result;
	assert_int_equal(b->guest->mem.nr_pins, nr_iov - 1);
	b->sent_size = 0;
	for (unsigned i = 0; i < nr_iov; i++) {
		memcpy(b->sent + b->sent_size, iov[i].iov_base, iov[i].iov_len);
		b->sent_size += iov[i].iov_len;
	}
	b->nr_sent++;
	return 0;
}

static ssize_t fake_receive(struct net *net, unsigned pair, const struct iovec *iov,
			    unsigned nr_iov)
{
	struct bench *b = bench_of(net);
	size_t done = 0;

	(void)pair;
	b->nr_reads++;
	if (b->receive_result)
		return b->receive_result;
	if (b->nr_coming == 0)
		return -EAGAIN;
	b->nr_coming--;
	for (unsigned i = 0; i < nr_iov && done < b->coming_size; i++) {
		const size_t left = b->coming_size - done;
		const size_t here = left < iov[i].iov_len ? left : iov[i].iov_len;

		memcpy(iov[i].iov_base, b->coming + done, here);
		done += here;
	}
	return (ssize_t)done;
}

static void fake_set_offloads(struct net *net, uint64_t features)
{
	bench_of(net)->offloads = features;
}

static void fake_set_filter(struct net *net, const struct net_filter *filter)
{
	bench_of(net)->filter = *filter;
	bench_of(net)->nr_filters++;
}

static int fake_set_pairs(struct net *net, unsigned nr)
{
	bench_of(net)->nr_pairs = nr;
	return 0;
}

static const struct net_ops direct_ops = {
	.send = fake_send,
	.receive = fake_receive,
	.set_offloads = fake_set_offloads,
	.set_filter = fake_set_filter,
	.set_pairs = fake_set_pairs,
};

static uint8_t *fake_reserve(struct net *net, uint32_t size)
{
	struct bench *b = bench_of(net);

	b->sent_size = size;
	return b->has_no_room ? NULL : b->sent;
}

static void fake_commit(struct net *net)
{
	bench_of(net)->nr_sent++;
}

static int fake_flush(struct net *net)
{
	bench_of(net)->nr_flushes++;
	return bench_of(net)->send_result;
}

static ssize_t fake_peek(struct net *net, const uint8_t **ret_frame)
{
	struct bench *b = bench_of(net);

	if (b->receive_result)
		return b->receive_result;
	*ret_frame = b->coming + HEADER_SIZE;
	return b->nr_coming > 0 ? (ssize_t)(b->coming_size - HEADER_SIZE) : -EAGAIN;
}

static void fake_drop(struct net *net)
{
	bench_of(net)->nr_coming--;
}

static bool fake_has_output(const struct net *net)
{
	return bench_of(net)->has_no_room;
}

static const struct net_ops stream_ops = {
	.reserve = fake_reserve,
	.commit = fake_commit,
	.flush = fake_flush,
	.peek = fake_peek,
	.drop = fake_drop,
	.has_output = fake_has_output,
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	b->net = (struct net){
		.ops = &direct_ops,
		.name = strdup("network test"),
		.features = TAP_FEATURES,
		.mtu = 1500,
		.nr_pairs = 1,
		.fds = {42, 43},
		.epoll_fd = -1,
	};
	memcpy(b->net.mac, own_mac, sizeof(own_mac));
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->guest->mem.nr_pins, 0);
	virtio_pci_done(&b->transport);
	vnet_done(&b->vnet);
	free(b->net.name);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void plug_limited(struct bench *b, const struct bounce_net_limits *limits)
{
	const struct virtio_setup setup = guest_setup(b->guest);

	assert_int_equal(vnet_init(&b->vnet, &b->net, limits, &setup), 0);
	virtio_pci_init(&b->transport, &b->vnet.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
}

static void plug(struct bench *b)
{
	const struct bounce_net_limits limits = {QUEUE_SIZE, QUEUE_SIZE, true, true, 0, 9000};

	plug_limited(b, &limits);
}

static void start(struct bench *b, uint64_t features)
{
	const unsigned control = features & BIT(VIRTIO_NET_F_MQ) ? 2 * b->net.nr_pairs : 2;

	assert_true(guest_negotiate(&b->device, features) & VIRTIO_CONFIG_S_FEATURES_OK);
	guest_queue_place(&b->rx, b->guest, RINGS, QUEUE_SIZE);
	guest_queue_place(&b->tx, b->guest, RINGS + 0x1000, QUEUE_SIZE);
	guest_queue_place(&b->control, b->guest, RINGS + 0x2000, QUEUE_SIZE);
	guest_enable_queue(&b->device, 0, &b->rx);
	guest_enable_queue(&b->device, 1, &b->tx);
	guest_enable_queue(&b->device, control, &b->control);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
}

static void *ram(struct bench *b, uint64_t at)
{
	return guest_ram(&b->guest->mem, at);
}

static void service(struct bench *b)
{
	vnet_ready(&b->vnet);
	virtio_service(&b->vnet.virtio);
}

/* A header and @size bytes of a frame, in two descriptors. */
static void offer_frame(struct bench *b, const struct virtio_net_hdr_v1 *header, uint32_t size)
{
	const struct guest_piece pieces[] = {
		{TX_DATA | GUEST_SHARED_BIT, HEADER_SIZE, false},
		{(TX_DATA + 0x1000) | GUEST_SHARED_BIT, size, false},
	};
	uint8_t *frame = ram(b, TX_DATA + 0x1000);

	memcpy(ram(b, TX_DATA), header, HEADER_SIZE);
	for (uint32_t i = 0; i < size; i++)
		frame[i] = (uint8_t)(i * 7);
	guest_add(&b->tx, pieces, 2);
}

static unsigned nr_used(struct guest_queue *queue)
{
	struct vring_used_elem elem;
	unsigned nr = 0;

	while (guest_take_used(queue, &elem))
		nr++;
	return nr;
}

static void offer_buffers(struct bench *b, unsigned nr, uint32_t size)
{
	for (unsigned i = 0; i < nr; i++) {
		const struct guest_piece piece = {RX_DATA + (uint64_t)i * 0x8000, size, true};

		guest_add(&b->rx, &piece, 1);
	}
}

/* A frame of @size bytes comes, @nr times. */
static void let_come(struct bench *b, uint32_t size, unsigned nr)
{
	const struct virtio_net_hdr_v1 header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};

	memcpy(b->coming, &header, HEADER_SIZE);
	for (uint32_t i = 0; i < size; i++)
		b->coming[HEADER_SIZE + i] = (uint8_t)(i * 5 + 1);
	b->coming_size = HEADER_SIZE + size;
	b->nr_coming = nr;
}

/* What the guest finds in buffers of @buffer_size bytes each is the frame that came. */
static void want_frame(struct bench *b, uint32_t buffer_size, unsigned nr_buffers)
{
	struct virtio_net_hdr_v1 header;
	struct vring_used_elem used;
	size_t seen = 0;

	for (unsigned i = 0; i < nr_buffers; i++) {
		const uint8_t *buffer = ram(b, RX_DATA + (uint64_t)i * 0x8000);

		assert_true(guest_take_used(&b->rx, &used));
		assert_true(used.len <= buffer_size);
		if (i == 0) {
			memcpy(&header, buffer, HEADER_SIZE);
			assert_memory_equal(buffer + HEADER_SIZE, b->coming + HEADER_SIZE,
					    used.len - HEADER_SIZE);
		} else {
			assert_memory_equal(buffer, b->coming + seen, used.len);
		}
		seen += used.len;
	}
	assert_int_equal(seen, b->coming_size);
	assert_int_equal(header.num_buffers, nr_buffers);
	assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

static struct pollfd wait_of(struct bench *b)
{
	struct pollfd source = {.fd = -2};

	vnet_wait(&b->vnet, &source);
	return source;
}

static uint64_t offered(struct bench *b)
{
	return guest_offered(&b->device) &
	       ~(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(28) | BIT(29));
}

static void test_what_is_offered(void **state)
{
	struct bench *b = *state;
	const uint64_t always = BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MAC) |
				BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |
				BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	plug(b);
	assert_int_equal(offered(b), always | BIT(VIRTIO_NET_F_CTRL_RX) | TAP_FEATURES);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2), 3);
	for (unsigned i = 0; i < NET_MAC_SIZE; i++)
		assert_int_equal(guest_mem_read(b->guest, b->device.config + i, 1), own_mac[i]);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + LINK_AT, 2), 1);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 8, 2), 1);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 10, 2), 1500);
}

static void test_small_pool(void **state)
{
	struct bench *b = *state;
	const struct bounce_net_limits limits = {32, 64, false, false, 1504, 4096};

	plug_limited(b, &limits);
	assert_int_equal(offered(b) & (TAP_FEATURES | BIT(VIRTIO_NET_F_MRG_RXBUF)),
			 BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 10, 2), 1504);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 32);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
}

static void test_largest_mtu(void **state)
{
	struct bench *b = *state;

	b->net.mtu = NET_MAX_MTU;
	plug(b);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 10, 2), 9000);
}

static void test_stream_offers_no_offloads(void **state)
{
	struct bench *b = *state;

	b->net.ops = &stream_ops;
	b->net.features = 0;
	plug(b);
	assert_int_equal(offered(b) & (TAP_FEATURES | BIT(VIRTIO_NET_F_CTRL_RX)), 0);
}

static void test_send(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | 0x80,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 54,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16,
		.num_buffers = 0xdead,
	};
	struct virtio_net_hdr_v1 sent;

	plug(b);
	start(b, MERGE | TAP_FEATURES);
	offer_frame(b, &header, 3000);
	service(b);
	assert_int_equal(b->nr_sent, 1);
	assert_int_equal(b->sent_size, HEADER_SIZE + 3000);
	assert_memory_equal(b->sent + HEADER_SIZE, ram(b, TX_DATA + 0x1000), 3000);
	memcpy(&sent, b->sent, HEADER_SIZE);
	assert_int_equal(sent.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(sent.gso_size, 1448);
	assert_int_equal(sent.num_buffers, 0);
	assert_int_equal(nr_used(&b->tx), 1);
	assert_int_equal(b->offloads & TAP_FEATURES, TAP_FEATURES);
}

/* Straight out of what the guest's memory was when the device looked at the header. */
static void test_send_stream(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	b->net.ops = &stream_ops;
	b->net.features = 0;
	plug(b);
	start(b, MERGE);
	offer_frame(b, &header, 60);
	offer_frame(b, &header, 61);
	service(b);
	assert_int_equal(b->nr_sent, 2);
	assert_int_equal(b->nr_flushes, 1);
	assert_int_equal(b->sent_size, 61);
	assert_memory_equal(b->sent, ram(b, TX_DATA + 0x1000), 61);
	assert_int_equal(nr_used(&b->tx), 2);
	assert_int_equal(b->guest->mem.max_pins, 0);
}

static const struct {
	struct virtio_net_hdr_v1 header;
	uint32_t size;
	uint64_t features;
} refused[] = {
	/* nothing was negotiated */
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, 100, 0},
	{{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1}, 100, 0},
	/* a sum outside the frame */
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 99}, 100, TAP_FEATURES},
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 1, .csum_offset = 0xffff},
	 100,
	 TAP_FEATURES},
	/* segments without sums, without a size, with a header longer than the frame */
	{{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1}, 100, TAP_FEATURES},
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4},
	 100,
	 TAP_FEATURES},
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
	  .gso_size = 1,
	  .hdr_len = 101},
	 100,
	 TAP_FEATURES},
	/* kinds that were not negotiated, or that nobody has defined */
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1},
	 100,
	 TAP_FEATURES},
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
	  .gso_size = 1},
	 100,
	 BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4)},
	{{.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = 0x77, .gso_size = 1},
	 100,
	 TAP_FEATURES},
	/* no frame */
	{{0}, NET_MIN_FRAME - 1, TAP_FEATURES},
	{{0}, NET_MAX_FRAME + 1, TAP_FEATURES},
};

static void test_refused_frames(void **state)
{
	struct bench *b = *state;
	const unsigned nr = sizeof(refused) / sizeof(refused[0]);

	plug(b);
	for (unsigned i = 0; i < nr; i++) {
		start(b, MERGE | refused[i].features);
		offer_frame(b, &refused[i].header, refused[i].size);
		service(b);
		assert_int_equal(b->nr_sent, 0);
		assert_int_equal(nr_used(&b->tx), 1);
		assert_int_equal(guest_status(&b->device) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
		assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_out, i + 1);
	}
}

static const struct {
	struct guest_piece piece;
	bool is_private;
} broken_frames[] = {
	{{TX_DATA, HEADER_SIZE - 1, false}, false},
	{{TX_DATA, 100, false}, true},
	{{0x1000, 100, false}, false},
};

static void test_frames_out_of_reach(void **state)
{
	struct bench *b = *state;

	plug(b);
	for (unsigned i = 0; i < sizeof(broken_frames) / sizeof(broken_frames[0]); i++) {
		const unsigned page = (TX_DATA - GUEST_RAM_BASE) / GRANULE_SIZE;

		b->guest->mem.is_private[page] = broken_frames[i].is_private;
		start(b, MERGE);
		guest_add(&b->tx, &broken_frames[i].piece, 1);
		service(b);
		assert_int_equal(guest_status(&b->device), NEEDS_RESET);
		assert_int_equal(nr_used(&b->tx), 0);
	}
	assert_int_equal(b->nr_sent, 0);
}

static void test_payload_out_of_reach(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	plug(b);
	for (unsigned i = 0; i < 2; i++) {
		b->net.ops = i ? &stream_ops : &direct_ops;
		start(b, MERGE);
		offer_frame(b, &header, 100);
		b->guest->mem.is_private[(TX_DATA + 0x1000 - GUEST_RAM_BASE) / GRANULE_SIZE] = true;
		service(b);
		assert_int_equal(guest_status(&b->device), NEEDS_RESET);
		b->guest->mem.is_private[(TX_DATA + 0x1000 - GUEST_RAM_BASE) / GRANULE_SIZE] =
			false;
	}
	assert_int_equal(b->nr_sent, 0);
}

static void test_host_is_full(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	plug(b);
	start(b, MERGE);
	assert_int_equal(wait_of(b).fd, -1);
	b->send_result = -EAGAIN;
	offer_frame(b, &header, 100);
	offer_frame(b, &header, 101);
	service(b);
	assert_int_equal(nr_used(&b->tx), 0);
	assert_int_equal(wait_of(b).events, POLLOUT);
	assert_int_equal(wait_of(b).fd, 42);
	b->send_result = 0;
	service(b);
	assert_int_equal(b->nr_sent, 2);
	assert_int_equal(nr_used(&b->tx), 2);
	assert_int_equal(b->sent_size, HEADER_SIZE + 101);
}

static void test_stream_is_full(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	b->net.ops = &stream_ops;
	b->net.features = 0;
	plug(b);
	start(b, MERGE);
	b->has_no_room = true;
	offer_frame(b, &header, 100);
	service(b);
	assert_int_equal(nr_used(&b->tx), 0);
	assert_int_equal(wait_of(b).events, POLLOUT);
	b->has_no_room = false;
	service(b);
	assert_int_equal(b->nr_sent, 1);
	assert_int_equal(nr_used(&b->tx), 1);
	assert_int_equal(wait_of(b).events & POLLOUT, 0);
}

/* A reset forgets the frame that waits; the next driver's is sent once. */
static void test_reset_while_full(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	plug(b);
	start(b, MERGE);
	b->send_result = -EAGAIN;
	offer_frame(b, &header, 100);
	service(b);
	start(b, MERGE);
	b->send_result = 0;
	service(b);
	assert_int_equal(b->nr_sent, 0);
	offer_frame(b, &header, 100);
	service(b);
	assert_int_equal(b->nr_sent, 1);
}

/* A frame that the host's network does not take breaks nothing. */
static void test_host_refuses(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	plug(b);
	start(b, MERGE);
	b->send_result = -EINVAL;
	offer_frame(b, &header, 100);
	service(b);
	assert_int_equal(nr_used(&b->tx), 1);
	assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_out, 1);
	assert_true(vnet_get_stats(&b->vnet).has_link);
}

static void test_receive(void **state)
{
	struct bench *b = *state;

	plug(b);
	start(b, MERGE);
	offer_buffers(b, 1, 2048);
	let_come(b, 1000, 1);
	service(b);
	want_frame(b, 2048, 1);
	/* Whether a sum was found good is for those who asked for it. */
	assert_int_equal(*(uint8_t *)ram(b, RX_DATA), 0);
	start(b, MERGE | BIT(VIRTIO_NET_F_GUEST_CSUM));
	offer_buffers(b, 1, 2048);
	let_come(b, 1000, 1);
	service(b);
	assert_int_equal(*(uint8_t *)ram(b, RX_DATA), VIRTIO_NET_HDR_F_DATA_VALID);
}

static void test_receive_stream(void **state)
{
	struct bench *b = *state;

	b->net.ops = &stream_ops;
	plug(b);
	start(b, MERGE);
	offer_buffers(b, 3, 512);
	let_come(b, 1400, 1);
	service(b);
	want_frame(b, 512, 3);
	assert_int_equal(b->nr_coming, 0);
}

/* The first large one is copied; what follows would go straight to where it belongs. */
static void test_receive_large(void **state)
{
	struct bench *b = *state;

	plug(b);
	start(b, MERGE | TAP_FEATURES);
	for (unsigned i = 0; i < 3; i++) {
		/* All at the same places, whatever was left over. */
		start(b, MERGE | TAP_FEATURES);
		b->vnet.pairs[0].expects_large = i > 0;
		offer_buffers(b, 5, 0x8000);
		let_come(b, 65000, 1);
		service(b);
		want_frame(b, 0x8000, 2);
		assert_int_equal(b->guest->mem.max_pins, 3);
	}
}

/* What is in hand of a large frame's buffers serves the next frames. */
static void test_buffers_are_used_in_order(void **state)
{
	struct bench *b = *state;
	struct vring_used_elem used;

	plug(b);
	start(b, MERGE | TAP_FEATURES);
	b->vnet.pairs[0].expects_large = true;
	offer_buffers(b, 10, 8192);
	let_come(b, 100, 5);
	service(b);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(guest_take_used(&b->rx, &used));
		assert_int_equal(used.id, i);
		assert_int_equal(used.len, HEADER_SIZE + 100);
	}
	assert_false(guest_take_used(&b->rx, &used));
}

static void test_without_merging(void **state)
{
	struct bench *b = *state;

	plug(b);
	start(b, BASIC);
	offer_buffers(b, 2, 1526);
	let_come(b, 1514, 1);
	service(b);
	want_frame(b, 1526, 1);
	let_come(b, 1515, 1);
	service(b);
	assert_int_equal(nr_used(&b->rx), 0);
	assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_in, 1);
}

static void test_frame_waits_for_buffers(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 2; i++) {
		if (i)
			bench_end(state), bench_begin(state), b = *state;
		b->net.ops = i ? &stream_ops : &direct_ops;
		plug(b);
		start(b, MERGE);
		let_come(b, 900, 1);
		service(b);
		/* Not a single buffer: it is not even read. */
		assert_int_equal(b->nr_coming, 1);
		assert_int_equal(wait_of(b).fd, -1);
		offer_buffers(b, 1, 512);
		virtio_service(&b->vnet.virtio);
		assert_int_equal(nr_used(&b->rx), 0);
		assert_int_equal(wait_of(b).fd, -1);
		for (unsigned j = 1; j < 3; j++) {
			const struct guest_piece piece = {RX_DATA + j * 0x8000ull, 512, true};

			guest_add(&b->rx, &piece, 1);
		}
		virtio_service(&b->vnet.virtio);
		want_frame(b, 512, 2);
		assert_int_equal(wait_of(b).events, POLLIN);
		assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_in, 0);
	}
}

/* All that the driver can give at a time is too little. */
static void test_frame_never_fits(void **state)
{
	struct bench *b = *state;

	plug(b);
	start(b, MERGE);
	offer_buffers(b, QUEUE_SIZE, 64);
	let_come(b, 1400, 1);
	service(b);
	assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_in, 1);
	let_come(b, 100, 1);
	service(b);
	want_frame(b, 64, 2);
}

/* More than was foreseen, straight into buffers. */
static void test_frame_is_too_long(void **state)
{
	struct bench *b = *state;

	plug(b);
	start(b, MERGE);
	b->vnet.pairs[0].expects_large = true;
	offer_buffers(b, 1, 0x8000);
	let_come(b, 1500 + 23, 1);
	service(b);
	assert_int_equal(nr_used(&b->rx), 0);
	assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_in, 1);
	let_come(b, 1500 + 22, 1);
	service(b);
	want_frame(b, 0x8000, 1);
}

static void test_receive_buffers_out_of_reach(void **state)
{
	struct bench *b = *state;
	const struct guest_piece small = {RX_DATA, HEADER_SIZE - 1, true};
	const struct guest_piece outward = {RX_DATA, 2048, false};
	const struct guest_piece outside = {0x1000, 2048, true};
	const struct guest_piece *const pieces[] = {&small, &outward, &outside};

	plug(b);
	for (unsigned i = 0; i < 2 * sizeof(pieces) / sizeof(pieces[0]); i++) {
		start(b, MERGE);
		b->vnet.pairs[0].expects_large = i & 1;
		guest_add(&b->rx, pieces[i / 2], 1);
		let_come(b, 100, 1);
		service(b);
		assert_int_equal(guest_status(&b->device), NEEDS_RESET);
		assert_int_equal(nr_used(&b->rx), 0);
	}
}

static void test_bounded_portions(void **state)
{
	struct bench *b = *state;
	const unsigned kicks = (plug(b), start(b, MERGE), b->guest->nr_kicks);

	/* Frames that are dropped need no buffers, so they could go on for ever. */
	offer_buffers(b, 1, 2048);
	let_come(b, 4, 1000);
	b->coming_size = HEADER_SIZE - 1;
	service(b);
	assert_int_equal(b->nr_coming, 1000 - 64);
	assert_int_equal(b->guest->nr_kicks, kicks + 1);
}

/* Without new work the host end is not asked for frames again and again. */
static void test_no_needless_reads(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	plug(b);
	start(b, MERGE);
	offer_buffers(b, 4, 2048);
	service(b);
	assert_int_equal(b->nr_reads, 1);
	for (unsigned i = 0; i < 3; i++) {
		offer_frame(b, &header, 100);
		virtio_service(&b->vnet.virtio);
	}
	assert_int_equal(b->nr_sent, 3);
	assert_int_equal(b->nr_reads, 1);
}

static void test_host_end_breaks(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	plug(b);
	start(b, MERGE | BIT(VIRTIO_NET_F_STATUS));
	offer_buffers(b, 4, 2048);
	b->receive_result = -EBADFD;
	service(b);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + LINK_AT, 2), 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	assert_false(vnet_get_stats(&b->vnet).has_link);
	assert_int_equal(wait_of(b).fd, -1);
	assert_int_equal(guest_status(&b->device) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	/* The driver gets its buffers back all the same. */
	offer_frame(b, &header, 100);
	service(b);
	assert_int_equal(nr_used(&b->tx), 1);
	assert_int_equal(b->nr_sent, 0);
	assert_int_equal(vnet_get_stats(&b->vnet).nr_dropped_out, 1);
	/* A new driver does not bring it back. */
	start(b, MERGE);
	b->receive_result = 0;
	service(b);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + LINK_AT, 2), 0);
}

static void test_sending_breaks(void **state)
{
	struct bench *b = *state;
	const struct virtio_net_hdr_v1 header = {0};

	for (unsigned i = 0; i < 2; i++) {
		if (i)
			bench_end(state), bench_begin(state), b = *state;
		b->net.ops = i ? &stream_ops : &direct_ops;
		plug(b);
		start(b, MERGE);
		b->send_result = i ? -EPIPE : -EBADFD;
		offer_frame(b, &header, 100);
		service(b);
		assert_int_equal(nr_used(&b->tx), 1);
		assert_false(vnet_get_stats(&b->vnet).has_link);
	}
}

/* Return: the answer to a command, 0xee for none. */
static uint8_t command(struct bench *b, const void *bytes, uint32_t size)
{
	const struct guest_piece pieces[] = {{COMMAND, size, false}, {ANSWER, 1, true}};
	struct vring_used_elem used;

	memcpy(ram(b, COMMAND), bytes, size);
	*(uint8_t *)ram(b, ANSWER) = 0xee;
	guest_add(&b->control, pieces, 2);
	virtio_service(&b->vnet.virtio);
	if (guest_take_used(&b->control, &used))
		assert_int_equal(used.len, 1);
	return *(uint8_t *)ram(b, ANSWER);
}

#define CONTROLLED                                                       \
	(MERGE | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

static void test_receive_modes(void **state)
{
	struct bench *b = *state;
	const uint8_t promisc_off[] = {0, 0, 0}, promisc_on[] = {0, 0, 1}, all_multi[] = {0, 1, 1};
	const uint8_t odd[] = {0, 0, 2}, unknown[] = {0, 2, 1}, more[] = {0, 0, 1, 1};

	plug(b);
	start(b, CONTROLLED);
	virtio_service(&b->vnet.virtio);
	assert_int_equal(b->nr_filters, 1);
	assert_true(b->filter.promiscuous);
	assert_int_equal(command(b, promisc_off, 3), VIRTIO_NET_OK);
	assert_false(b->filter.promiscuous);
	assert_int_equal(b->filter.nr_macs, 1);
	assert_memory_equal(b->filter.macs[0], own_mac, NET_MAC_SIZE);
	assert_int_equal(command(b, all_multi, 3), VIRTIO_NET_OK);
	assert_true(b->filter.all_multicast);
	assert_int_equal(command(b, promisc_on, 3), VIRTIO_NET_OK);
	assert_true(b->filter.promiscuous);
	assert_int_equal(b->nr_filters, 4);
	assert_int_equal(command(b, odd, 3), VIRTIO_NET_ERR);
	assert_int_equal(command(b, unknown, 3), VIRTIO_NET_ERR);
	assert_int_equal(command(b, more, 4), VIRTIO_NET_ERR);
	assert_int_equal(command(b, promisc_on, 2), VIRTIO_NET_ERR);
	assert_int_equal(b->nr_filters, 4);
}

static void test_address_table(void **state)
{
	struct bench *b = *state;
	const uint8_t promisc_off[] = {0, 0, 0};
	const uint8_t table[] = {1, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, 9, 2, 0,
				 0, 0, 1, 2, 3, 4, 5, 6, 3, 2, 3, 4, 5, 6};
	const uint8_t empty[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	const uint8_t wrapping[] = {1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
	uint8_t many[2 + 4 + 65 * NET_MAC_SIZE + 4] = {1, 0, 65};

	plug(b);
	start(b, CONTROLLED);
	assert_int_equal(command(b, promisc_off, 3), VIRTIO_NET_OK);
	assert_int_equal(command(b, table, sizeof(table)), VIRTIO_NET_OK);
	assert_int_equal(b->filter.nr_macs, 4);
	assert_memory_equal(b->filter.macs[0], table + 6, NET_MAC_SIZE);
	assert_memory_equal(b->filter.macs[2], table + 22, NET_MAC_SIZE);
	for (uint32_t cut = 2; cut < sizeof(table); cut++)
		assert_int_equal(command(b, table, cut), VIRTIO_NET_ERR);
	assert_int_equal(command(b, wrapping, sizeof(wrapping)), VIRTIO_NET_ERR);
	assert_int_equal(b->filter.nr_macs, 4);
	/* More than are remembered: everything comes through. */
	assert_int_equal(command(b, many, sizeof(many)), VIRTIO_NET_OK);
	assert_true(b->filter.promiscuous);
	assert_int_equal(command(b, empty, sizeof(empty)), VIRTIO_NET_OK);
	assert_false(b->filter.promiscuous);
	assert_int_equal(b->filter.nr_macs, 1);
}

static void test_address_is_set(void **state)
{
	struct bench *b = *state;
	const uint8_t set[] = {1, 1, 2, 4, 6, 8, 10, 12};

	plug(b);
	start(b, MERGE | BIT(VIRTIO_NET_F_CTRL_VQ));
	assert_int_equal(command(b, set, sizeof(set)), VIRTIO_NET_ERR);
	start(b, CONTROLLED);
	assert_int_equal(command(b, set, sizeof(set) - 1), VIRTIO_NET_ERR);
	assert_int_equal(command(b, set, sizeof(set)), VIRTIO_NET_OK);
	for (unsigned i = 0; i < NET_MAC_SIZE; i++)
		assert_int_equal(guest_mem_read(b->guest, b->device.config + i, 1), 2 * (i + 1));
	/* A reset brings its own back. */
	start(b, CONTROLLED);
	assert_int_equal(guest_mem_read(b->guest, b->device.config, 1), own_mac[0]);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 5, 1), own_mac[5]);
}

static void test_several_pairs(void **state)
{
	struct bench *b = *state;
	const uint8_t two[] = {4, 0, 2, 0}, none[] = {4, 0, 0, 0}, three[] = {4, 0, 3, 0};
	const uint64_t features = CONTROLLED | BIT(VIRTIO_NET_F_MQ);

	b->net.nr_pairs = 2;
	b->net.epoll_fd = -1;
	plug(b);
	assert_int_equal(offered(b) & BIT(VIRTIO_NET_F_MQ), BIT(VIRTIO_NET_F_MQ));
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2), 5);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 8, 2), 2);
	start(b, features);
	assert_int_equal(command(b, none, 4), VIRTIO_NET_ERR);
	assert_int_equal(command(b, three, 4), VIRTIO_NET_ERR);
	assert_int_equal(b->nr_pairs, 1);
	assert_int_equal(command(b, two, 4), VIRTIO_NET_OK);
	assert_int_equal(b->nr_pairs, 2);
	assert_int_equal(b->vnet.control.nr_used, 2);
	/* Without it, there is one pair, and the third queue is for control. */
	start(b, CONTROLLED);
	assert_int_equal(command(b, two, 4), VIRTIO_NET_ERR);
	assert_int_equal(b->vnet.control.nr_used, 1);
}

static void test_commands_out_of_reach(void **state)
{
	struct bench *b = *state;
	const struct guest_piece no_answer = {COMMAND, 3, false};
	const struct guest_piece no_header[] = {{COMMAND, 1, false}, {ANSWER, 1, true}};
	const struct guest_piece outside[] = {{0x1000, 3, false}, {ANSWER, 1, true}};

	plug(b);
	start(b, CONTROLLED);
	guest_add(&b->control, &no_answer, 1);
	virtio_service(&b->vnet.virtio);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	start(b, CONTROLLED);
	guest_add(&b->control, no_header, 2);
	virtio_service(&b->vnet.virtio);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	start(b, CONTROLLED);
	guest_add(&b->control, outside, 2);
	virtio_service(&b->vnet.virtio);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_offered),
		TEST(test_small_pool),
		TEST(test_largest_mtu),
		TEST(test_stream_offers_no_offloads),
		TEST(test_send),
		TEST(test_send_stream),
		TEST(test_refused_frames),
		TEST(test_frames_out_of_reach),
		TEST(test_payload_out_of_reach),
		TEST(test_host_is_full),
		TEST(test_stream_is_full),
		TEST(test_reset_while_full),
		TEST(test_host_refuses),
		TEST(test_receive),
		TEST(test_receive_stream),
		TEST(test_receive_large),
		TEST(test_buffers_are_used_in_order),
		TEST(test_without_merging),
		TEST(test_frame_waits_for_buffers),
		TEST(test_frame_never_fits),
		TEST(test_frame_is_too_long),
		TEST(test_receive_buffers_out_of_reach),
		TEST(test_bounded_portions),
		TEST(test_no_needless_reads),
		TEST(test_host_end_breaks),
		TEST(test_sending_breaks),
		TEST(test_receive_modes),
		TEST(test_address_table),
		TEST(test_address_is_set),
		TEST(test_several_pairs),
		TEST(test_commands_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

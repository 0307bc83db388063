/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/virtio/vnet.c src/virtio/vnet_rx.c src/virtio/vnet_tx.c src/virtio/vnet_control.c */
/*
 * links: src/virtio/vnet.c src/virtio/vnet_rx.c src/virtio/vnet_tx.c src/virtio/vnet_control.c
 *	src/host/net.c src/host/tap.c src/host/passt.c src/util/hash.c
 *	src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c
 *	src/virtio/mem.c src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c
 *	src/util/err.c tests/fake/virtio_guest.c
 */
/*
 * A guest that may do anything to the registers and queues of a network device, to its memory and
 * to the state of its pages, and a host end that takes and gives frames as it likes. Whatever both
 * do,
 *   - the host end gets only frames of lengths that there are, with headers that promise what was
 *     negotiated, about bytes that the frame has,
 *   - it is not asked for anything once it has broken,
 *   - no more buffers are in flight than a queue has entries, and no memory stays pinned,
 *   - a page that is private does not change,
 *   - whoever waits for the device waits for something.
 *
 * Input: a byte that chooses the host end, then 8-byte records {op, argument, 16-bit place, 32-bit
 * value}.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/log.h"
#include "ccr/virtio_pci.h"
#include "ccr/vnet.h"
#include "../fake/virtio_guest.h"
#include "fuzz.h"

#define BIT(n)      (1ull << (n))
#define SECRET_PAGE 3u /* private from start to end */
#define RINGS       (GUEST_RAM_BASE + 0x8000)
#define BUFFERS     (GUEST_RAM_BASE + 0x20000)
#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define NR_QUEUES   5u
#define QUEUE_SIZE  16u

struct record {
	uint8_t op, argument;
	uint16_t place;
	uint32_t value;
};

/* @outcome: of the next calls of the host end; 0 or -errno. @frame_size: of the frame that comes */
struct world {
	struct guest *guest;
	struct net net;
	struct vnet vnet;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queues[NR_QUEUES];
	int outcome;
	bool is_broken;
	unsigned nr_coming;
	uint32_t frame_size, reserved;
	uint8_t buffer[HEADER_SIZE + NET_MAX_FRAME];
};

static struct world *world_of(const struct net *net)
{
	return (struct world *)((char *)(uintptr_t)net - offsetof(struct world, net));
}

/* Return: @outcome, which breaks the host end unless it is @harmless or -EAGAIN. */
static int outcome_of(struct world *world, int harmless)
{
	require(!world->is_broken);
	world->is_broken = world->outcome && world->outcome != -EAGAIN &&
			   world->outcome != harmless;
	return world->outcome;
}

static void check_header(const struct world *world, const struct virtio_net_hdr_v1 *header,
			 uint32_t size)
{
	const uint64_t accepted = world->vnet.virtio.accepted;
	const bool has_sum = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	require(size >= NET_MIN_FRAME && size <= NET_MAX_FRAME);
	require((header->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0);
	require(!has_sum || accepted & BIT(VIRTIO_NET_F_CSUM));
	require(!has_sum ||
		le16toh(header->csum_start) + le16toh(header->csum_offset) + 2u <= size);
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	require(has_sum && header->gso_size && le16toh(header->hdr_len) <= size);
	switch (header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		require(accepted & BIT(VIRTIO_NET_F_HOST_TSO4));
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		require(accepted & BIT(VIRTIO_NET_F_HOST_TSO6));
		break;
	default:
		require(header->gso_type == NET_HDR_GSO_UDP_L4);
		require(accepted & BIT(NET_F_HOST_USO));
	}
}

static int end_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned nr_iov)
{
	struct world *world = world_of(net);
	struct virtio_net_hdr_v1 header;
	size_t size = 0;

	require(pair < net->nr_pairs && nr_iov > 1 && iov[0].iov_len == HEADER_SIZE);
	for (unsigned i = 1; i < nr_iov; i++) {
		require(size + iov[i].iov_len <= NET_MAX_FRAME);
		memcpy(world->buffer + size, iov[i].iov_base, iov[i].iov_len);
		size += iov[i].iov_len;
	}
	memcpy(&header, iov[0].iov_base, HEADER_SIZE);
	check_header(world, &header, (uint32_t)size);
	return outcome_of(world, -EINVAL);
}

static ssize_t end_receive(struct net *net, unsigned pair, const struct iovec *iov, unsigned nr_iov)
{
	struct world *world = world_of(net);
	uint32_t left = world->frame_size;
	size_t room = 0;

	require(pair < net->nr_pairs);
	for (unsigned i = 0; i < nr_iov; i++)
		room += iov[i].iov_len;
	require(room >= HEADER_SIZE + 1500u);
	if (outcome_of(world, 0))
		return world->outcome;
	if (world->nr_coming == 0)
		return -EAGAIN;
	world->nr_coming--;
	for (unsigned i = 0; i < nr_iov && left > 0; i++) {
		const uint32_t here = left < iov[i].iov_len ? left : (uint32_t)iov[i].iov_len;

		memset(iov[i].iov_base, 0x11, here);
		left -= here;
	}
	return room < world->frame_size ? (ssize_t)room : world->frame_size;
}

static uint8_t *end_reserve(struct net *net, uint32_t size)
{
	struct world *world = world_of(net);

	require(!world->is_broken && size >= NET_MIN_FRAME && size <= NET_MAX_FRAME);
	world->reserved = size;
	return world->outcome == -EAGAIN ? NULL : world->buffer;
}

static void end_commit(struct net *net)
{
	require(world_of(net)->reserved > 0);
	world_of(net)->reserved = 0;
}

static int end_flush(struct net *net)
{
	struct world *world = world_of(net);

	return world->outcome == -EAGAIN ? 0 : outcome_of(world, 0);
}

static ssize_t end_peek(struct net *net, const uint8_t **ret_frame)
{
	struct world *world = world_of(net);

	if (outcome_of(world, 0))
		return world->outcome;
	*ret_frame = world->buffer;
	if (world->nr_coming == 0 || world->frame_size < NET_MIN_FRAME)
		return -EAGAIN;
	return world->frame_size < NET_MAX_FRAME ? world->frame_size : NET_MAX_FRAME;
}

static void end_drop(struct net *net)
{
	require(world_of(net)->nr_coming-- > 0);
}

static void end_set_filter(struct net *net, const struct net_filter *filter)
{
	require(!world_of(net)->is_broken && filter->nr_macs <= NET_MAX_MACS);
}

static int end_set_pairs(struct net *net, unsigned nr)
{
	require(nr > 0 && nr <= net->nr_pairs);
	return 0;
}

static const struct net_ops direct_ops = {
	.send = end_send,
	.receive = end_receive,
	.set_filter = end_set_filter,
	.set_pairs = end_set_pairs,
};

static const struct net_ops stream_ops = {
	.reserve = end_reserve,
	.commit = end_commit,
	.flush = end_flush,
	.peek = end_peek,
	.drop = end_drop,
};

static void create(struct world *world, uint8_t choice)
{
	const struct bounce_net_limits limits = {QUEUE_SIZE, QUEUE_SIZE, choice & 2,
						 choice & 4, 68,         NET_MAX_MTU};
	struct virtio_setup setup;

	world->guest = guest_create();
	require(world->guest != NULL);
	memset(world->guest->mem.ram + SECRET_PAGE * GRANULE_SIZE, 0x5e, GRANULE_SIZE);
	world->guest->mem.is_private[SECRET_PAGE] = true;
	world->net = (struct net){
		.ops = choice & 1 ? &direct_ops : &stream_ops,
		.name = strdup("network fuzz"),
		.mtu = choice & 8 ? NET_MAX_MTU : 1500,
		.nr_pairs = choice & 16 ? 2 : 1,
		.fds = {-1, -1},
		.epoll_fd = -1,
	};
	if (choice & 1)
		world->net.features = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
				      BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
				      BIT(NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
				      BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6);
	setup = guest_setup(world->guest);
	require(vnet_init(&world->vnet, &world->net, &limits, &setup) == 0);
	virtio_pci_init(&world->transport, &world->vnet.virtio);
	require(pci_host_add(&world->guest->pci, &world->transport.function) == 0);
	world->device = guest_probe(world->guest, 0);
}

static void destroy(struct world *world)
{
	virtio_pci_done(&world->transport);
	vnet_done(&world->vnet);
	free(world->net.name);
	guest_destroy(world->guest);
	free(world);
}

static void check(struct world *world)
{
	const struct guest_mem *mem = &world->guest->mem;
	const struct virtio_dev *dev = &world->vnet.virtio;

	require(mem->nr_pins == 0);
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		require(!(dev->accepted & ~dev->offered));
	for (unsigned i = 0; i < dev->nr_queues; i++)
		require(dev->queues[i].nr_in_flight <= dev->queues[i].size);
	for (unsigned i = 0; i < GRANULE_SIZE; i += 64)
		require(mem->ram[SECRET_PAGE * GRANULE_SIZE + i] == 0x5e);
	require(vnet_get_stats(&world->vnet).has_link || world->is_broken);
}

/* A driver that begins as it should; @value: features that it does without. */
static void start_driver(struct world *world, const struct record *r)
{
	const uint64_t unwanted = (uint64_t)r->value & 0xffffff;
	const unsigned nr_queues = world->vnet.virtio.nr_queues;

	if (!world->transport.function.mapped[VIRTIO_PCI_REGISTERS_BAR])
		return;
	guest_negotiate(&world->device, guest_offered(&world->device) & ~unwanted);
	for (unsigned i = 0; i < nr_queues; i++) {
		guest_queue_place(&world->queues[i], world->guest, RINGS + 0x1000 * i, QUEUE_SIZE);
		guest_enable_queue(&world->device, i, &world->queues[i]);
	}
	guest_add_status(&world->device, VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Up to three pieces, in or out as @value's lowest bits say. */
static void offer_chain(struct world *world, const struct record *r)
{
	struct guest_queue *queue = &world->queues[r->argument % NR_QUEUES];
	const unsigned nr = 1 + (r->argument >> 4) % 3;
	struct guest_piece pieces[3];

	if (!queue->guest)
		return;
	for (unsigned i = 0; i < nr; i++)
		pieces[i] = (struct guest_piece){
			.at = BUFFERS + (r->place & 0x3f) * 0x1000ull + i * 0x40,
			.size = (r->value >> 8) >> (i * 8 % 24) & (i ? 0xff : 0x1ffff),
			.is_in = r->value >> i & 1,
		};
	guest_add(queue, pieces, nr);
}

static void poke_memory(struct world *world, const struct record *r)
{
	struct guest_mem *mem = &world->guest->mem;
	const unsigned page = r->place % (GUEST_RAM_SIZE / GRANULE_SIZE);

	if (r->op & 0x40 && page != SECRET_PAGE)
		mem->is_private[page] = r->argument & 1;
	else if ((uint64_t)r->place * 4 / GRANULE_SIZE != SECRET_PAGE)
		memcpy(mem->ram + (uint64_t)r->place * 4, &r->value, 4);
}

static void poke_registers(struct world *world, const struct record *r)
{
	const unsigned size = 1u << (r->argument & 3);
	const unsigned bar = r->argument >> 2 & 1;
	const uint64_t base = world->transport.function.mapped[bar];
	const uint64_t value = r->value & ~0ull >> (64 - 8 * size);
	const uint64_t at = base + r->place % (bar ? 0x1000 : 0x4000);

	if (r->argument & 8)
		guest_config_write(world->guest, 0, r->place & 0xff, size, value);
	else if (base && r->argument & 16)
		guest_mem_read(world->guest, at, size);
	else if (base)
		guest_mem_write(world->guest, at, size, value);
}

static void choose_outcome(struct world *world, const struct record *r)
{
	static const int outcomes[] = {0, 0, -EAGAIN, -EINVAL, -EBADFD};

	world->outcome = outcomes[r->argument % 5];
	world->nr_coming = r->place & 0x7f;
	world->frame_size = r->value % (HEADER_SIZE + NET_MAX_FRAME + 2);
}

static void play(struct world *world, const struct record *r)
{
	struct pollfd source;

	switch (r->op & 7) {
	case 0:
		start_driver(world, r);
		break;
	case 1:
		offer_chain(world, r);
		break;
	case 2:
		poke_registers(world, r);
		break;
	case 3:
		poke_memory(world, r);
		break;
	case 4:
		choose_outcome(world, r);
		break;
	case 5:
		vnet_ready(&world->vnet);
		virtio_service(&world->vnet.virtio);
		break;
	case 6:
		virtio_service(&world->vnet.virtio);
		break;
	default:
		if (world->net.nr_pairs == 1)
			vnet_wait(&world->vnet, &source);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = calloc(1, sizeof(*world));
	struct record record;

	require(world != NULL);
	log_init(LOG_ERROR);
	create(world, size > 0 ? data[0] : 0);
	for (size_t at = 1; at < size && size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(world, &record);
		check(world);
	}
	destroy(world);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "vnet_internal.h"

#define BIT(n) (1ull << (n))

#define CONFIG_SIZE  offsetof(struct virtio_net_config, speed)
#define CONTROL_SIZE 64

_Static_assert(2 * NET_MAX_PAIRS + 1 <= VIRTIO_MAX_QUEUES, "every pair has its queues");

/* Whatever makes frames longer than the network's own. */
#define LARGE_FEATURES                                                                            \
	(BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) | \
	 BIT(NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |      \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(NET_F_GUEST_USO4) | BIT(NET_F_GUEST_USO6))

static void set_status(struct vnet *vnet, uint16_t status)
{
	const uint16_t value = htole16(status);

	virtio_update_config(&vnet->virtio, offsetof(struct virtio_net_config, status), &value,
			     sizeof(value));
}

void vnet_break(struct vnet *vnet, int code)
{
	if (vnet->is_broken)
		return;
	vnet->is_broken = true;
	log_warn("%s: the host end is gone: %s; the guest's link is down", vnet->net->name,
		 strerror(code));
	set_status(vnet, 0);
}

/* A driver has come: the host end hears what it accepted, and forgets what the last one wanted. */
static void set_up(struct vnet *vnet)
{
	const struct net_ops *ops = vnet->net->ops;

	vnet->is_set_up = true;
	for (unsigned i = 0; i < vnet->net->nr_pairs; i++)
		vnet->pairs[i].may_read = true;
	if (vnet->is_broken)
		return;
	if (ops->set_pairs)
		ops->set_pairs(vnet->net, 1);
	if (ops->set_filter)
		ops->set_filter(vnet->net, &vnet->filter);
	if (ops->set_offloads)
		ops->set_offloads(vnet->net, vnet->virtio.accepted);
}

static void vnet_process(void *self)
{
	struct vnet *vnet = self;
	bool more;

	if (!vnet->is_set_up)
		set_up(vnet);
	more = vnet_control(vnet);
	for (unsigned i = 0; i < vnet->nr_used; i++) {
		more |= vnet_send(vnet, i);
		more |= vnet_receive(vnet, i);
	}
	if (more)
		virtio_kick(&vnet->virtio);
}

static void forget_buffers(struct vnet_pair *pair)
{
	pair->first = pair->nr_ready = pair->nr_segments = 0;
	pair->ready_size = pair->held_size = 0;
	pair->may_read = pair->is_starved = pair->expects_large = pair->has_tx = false;
}

static void vnet_reset(void *self)
{
	struct vnet *vnet = self;

	for (unsigned i = 0; i < vnet->net->nr_pairs; i++)
		forget_buffers(&vnet->pairs[i]);
	vnet->is_set_up = false;
	vnet->nr_used = 1;
	vnet->filter = (struct net_filter){.promiscuous = true};
	memcpy(vnet->virtio.config, vnet->mac, NET_MAC_SIZE);
}

static const struct virtio_type vnet_type = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000, /* network, Ethernet */
	.features = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MTU) |
		    BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |
		    BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
		    BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_MQ) | LARGE_FEATURES,
	.config_size = CONFIG_SIZE,
	.nr_queues = 3,
	.queue_sizes = {VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE, CONTROL_SIZE},
	.process = vnet_process,
	.reset = vnet_reset,
};

static uint64_t features_of(const struct net *net, const struct bounce_net_limits *limits)
{
	uint64_t features = net->features | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MAC) |
			    BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
			    BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (limits->is_mergeable)
		features |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (net->ops->set_filter)
		features |= BIT(VIRTIO_NET_F_CTRL_RX);
	if (net->nr_pairs > 1)
		features |= BIT(VIRTIO_NET_F_MQ);
	return limits->is_large ? features : features & ~LARGE_FEATURES;
}

static void fill_config(struct vnet *vnet, const struct bounce_net_limits *limits)
{
	const uint16_t mtu = vnet->net->mtu < limits->min_mtu   ? limits->min_mtu
			     : vnet->net->mtu > limits->max_mtu ? limits->max_mtu
								: vnet->net->mtu;
	struct virtio_net_config space = {
		.status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16((uint16_t)vnet->net->nr_pairs),
		.mtu = htole16(mtu),
	};

	memcpy(space.mac, vnet->mac, NET_MAC_SIZE);
	memcpy(vnet->virtio.config, &space, CONFIG_SIZE);
}

/* Pairs first, the queue for control behind them. */
static void size_queues(struct vnet *vnet, const struct bounce_net_limits *limits)
{
	const struct virtio_mem *mem = vnet->mem;

	for (unsigned i = 0; i < vnet->net->nr_pairs; i++) {
		virtq_init(&vnet->virtio.queues[vnet_rx_queue(i)], mem, limits->rx_size);
		virtq_init(&vnet->virtio.queues[vnet_tx_queue(i)], mem, limits->tx_size);
	}
}

int vnet_init(struct vnet *vnet, struct net *net, const struct bounce_net_limits *limits,
	      const struct virtio_setup *setup)
{
	struct virtio_setup own = *setup;

	*vnet = (struct vnet){.mem = setup->mem, .net = net};
	vnet->pairs = calloc(net->nr_pairs, sizeof(*vnet->pairs));
	if (!vnet->pairs)
		return -ENOMEM;
	memcpy(vnet->mac, net->mac, NET_MAC_SIZE);
	own.type = &vnet_type;
	own.self = vnet;
	own.features = features_of(net, limits);
	own.nr_queues = 2 * net->nr_pairs + 1;
	virtio_init(&vnet->virtio, &own);
	size_queues(vnet, limits);
	vnet_reset(vnet);
	fill_config(vnet, limits);
	return 0;
}

void vnet_done(struct vnet *vnet)
{
	virtio_done(&vnet->virtio);
	free(vnet->pairs);
	vnet->pairs = NULL;
}

static short events_of(const struct vnet *vnet, unsigned index)
{
	const struct vnet_pair *pair = &vnet->pairs[index];
	const struct net *net = vnet->net;
	short events = 0;

	if (!vnet->is_set_up || vnet->is_broken || index >= vnet->nr_used)
		return 0;
	if (!pair->is_starved)
		events |= POLLIN;
	if (pair->has_tx || (net->ops->has_output && net->ops->has_output(net)))
		events |= POLLOUT;
	return events;
}

void vnet_wait(struct vnet *vnet, struct pollfd *ret_source)
{
	short events[NET_MAX_PAIRS] = {0};

	virtio_lock(&vnet->virtio);
	for (unsigned i = 0; i < vnet->net->nr_pairs; i++)
		events[i] = events_of(vnet, i);
	net_wait(vnet->net, events, ret_source);
	virtio_unlock(&vnet->virtio);
}

void vnet_ready(struct vnet *vnet)
{
	virtio_lock(&vnet->virtio);
	for (unsigned i = 0; i < vnet->nr_used; i++)
		vnet->pairs[i].may_read = true;
	virtio_unlock(&vnet->virtio);
}

struct vnet_stats vnet_get_stats(struct vnet *vnet)
{
	struct vnet_stats stats;

	virtio_lock(&vnet->virtio);
	stats = (struct vnet_stats){
		.has_link = !vnet->is_broken,
		.nr_dropped_out = vnet->nr_dropped_out,
		.nr_dropped_in = vnet->nr_dropped_in,
	};
	virtio_unlock(&vnet->virtio);
	return stats;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "vnet_internal.h"

#define BIT(n) (1ull << (n))

#define CONTROL_SIZE 64

_Static_assert(2 * NET_MAX_PAIRS + 1 <= VIRTIO_MAX_QUEUES, "every pair has its queues");

/* A driver has come: the host end hears what it accepted, and forgets what the last one wanted. */
static void set_up(struct vnet *vnet)
{
	vnet->is_set_up = true;
	for (unsigned i = 0; i < vnet->control.net->nr_pairs; i++)
		vnet->pairs[i].may_read = true;
	vnet_control_set_up(&vnet->control);
}

static void vnet_process(void *self)
{
	struct vnet *vnet = self;
	bool more;

	if (!vnet->is_set_up)
		set_up(vnet);
	more = vnet_control_serve(&vnet->control);
	for (unsigned i = 0; i < vnet->control.nr_used; i++) {
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

	for (unsigned i = 0; i < vnet->control.net->nr_pairs; i++)
		forget_buffers(&vnet->pairs[i]);
	vnet->is_set_up = false;
	vnet_control_reset(&vnet->control);
}

static const struct virtio_type vnet_type = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000, /* network, Ethernet */
	.features = VNET_FEATURES,
	.config_size = VNET_CONFIG_SIZE,
	.nr_queues = 3,
	.queue_sizes = {VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE, CONTROL_SIZE},
	.process = vnet_process,
	.reset = vnet_reset,
};

int vnet_init(struct vnet *vnet, struct net *net, const struct bounce_net_limits *limits,
	      const struct virtio_setup *setup)
{
	struct virtio_setup own = *setup;

	*vnet = (struct vnet){
		.mem = setup->mem,
		.control = {.virtio = &vnet->virtio, .net = net},
	};
	vnet->pairs = calloc(net->nr_pairs, sizeof(*vnet->pairs));
	if (!vnet->pairs)
		return -ENOMEM;
	own.type = &vnet_type;
	own.self = vnet;
	own.features = vnet_control_features(net, limits);
	if (limits->is_mergeable)
		own.features |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	own.nr_queues = 2 * net->nr_pairs + 1;
	virtio_init(&vnet->virtio, &own);
	vnet_control_size_queues(&vnet->virtio, net, setup->mem, limits);
	vnet_reset(vnet);
	vnet_control_fill(vnet->virtio.config, net, limits);
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
	const struct net *net = vnet->control.net;
	short events = 0;

	if (!vnet->is_set_up || vnet->control.is_broken || index >= vnet->control.nr_used)
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
	for (unsigned i = 0; i < vnet->control.net->nr_pairs; i++)
		events[i] = events_of(vnet, i);
	net_wait(vnet->control.net, events, ret_source);
	virtio_unlock(&vnet->virtio);
}

void vnet_ready(struct vnet *vnet)
{
	virtio_lock(&vnet->virtio);
	for (unsigned i = 0; i < vnet->control.nr_used; i++)
		vnet->pairs[i].may_read = true;
	virtio_unlock(&vnet->virtio);
}

struct vnet_stats vnet_get_stats(struct vnet *vnet)
{
	struct vnet_stats stats;

	virtio_lock(&vnet->virtio);
	stats = (struct vnet_stats){
		.has_link = !vnet->control.is_broken,
		.nr_dropped_out = vnet->nr_dropped_out,
		.nr_dropped_in = vnet->nr_dropped_in,
	};
	virtio_unlock(&vnet->virtio);
	return stats;
}

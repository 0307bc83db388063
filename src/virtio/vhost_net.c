/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/virtio_ids.h>

#include "ccr/vhost_net.h"

#define BIT(n) (1ull << (n))

#define CONTROL_SIZE 64

_Static_assert(VHOST_MAX_PAIRS >= NET_MAX_PAIRS, "a back end has all pairs");

static void reset(void *self)
{
	struct vhost_dev *dev = self;

	vnet_control_reset(dev->config.ctx);
}

static uint32_t own_queues(void *ctx)
{
	return 1u << vnet_control_queue(ctx);
}

static void set_up(void *ctx)
{
	vnet_control_set_up(ctx);
}

static bool serve_own(void *ctx)
{
	return vnet_control_serve(ctx);
}

/* Of the features, only mergeable buffers are the back end's business: offloads are the tap's. */
const struct vhost_dev_type vhost_net_type = {
	.virtio =
		{
			.name = "vhost-net",
			.id = VIRTIO_ID_NET,
			.pci_class = 0x020000, /* network, Ethernet */
			.features = VNET_FEATURES,
			.config_size = VNET_CONFIG_SIZE,
			.nr_queues = 3,
			.queue_sizes = {VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE, CONTROL_SIZE},
			.reset = reset,
		},
	.protocol = VHOST_USER_REPLY_ACK,
	.resume = VHOST_RESUME_ALWAYS,
	.own_queues = own_queues,
	.set_up = set_up,
	.serve_own = serve_own,
};

unsigned vhost_net_nr_queues(const struct net *net)
{
	return 2 * net->nr_pairs + 1;
}

void vhost_net_fill(struct vhost_dev_config *config, struct vnet_control *control, struct net *net,
		    const struct bounce_net_limits *limits, uint8_t space[VNET_CONFIG_SIZE])
{
	*control = (struct vnet_control){.net = net};
	vnet_control_fill(space, net, limits);
	*config = (struct vhost_dev_config){
		.own_features = vnet_control_features(net, limits),
		.withheld = limits->is_mergeable ? 0 : BIT(VIRTIO_NET_F_MRG_RXBUF),
		.nr_queues = vhost_net_nr_queues(net),
		.nr_own = 1,
		.config = space,
		.ctx = control,
	};
}

void vhost_net_finish(struct vhost_dev *dev, struct vnet_control *control,
		      const struct bounce_net_limits *limits)
{
	control->virtio = &dev->virtio;
	vnet_control_size_queues(&dev->virtio, control->net, dev->mem, limits);
	vnet_control_reset(control);
}

void vhost_net_break(struct vhost_dev *dev)
{
	virtio_lock(&dev->virtio);
	vnet_control_break(dev->config.ctx, EBADFD);
	virtio_unlock(&dev->virtio);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network device is but for its frames (virtio 1.2, 5.1): the features and configuration
 * space that follow from its host end, its link, and its control queue. vnet.h moves the frames
 * itself; with vhost_net.h a back end does.
 *
 * All of it with the device's lock held, but for what makes a device.
 */
#ifndef CCR_VNET_CONTROL_H
#define CCR_VNET_CONTROL_H

#include <stddef.h>

#include "ccr/bounce.h"
#include "ccr/net.h"
#include "ccr/virtio.h"

/** VNET_CONFIG_SIZE - of the configuration space */
#define VNET_CONFIG_SIZE offsetof(struct virtio_net_config, speed)

/** VNET_LARGE_FEATURES - whatever makes frames longer than the network's own */
#define VNET_LARGE_FEATURES                                                  \
	(1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |   \
	 1ull << VIRTIO_NET_F_HOST_ECN | 1ull << NET_F_HOST_USO |            \
	 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 | \
	 1ull << VIRTIO_NET_F_GUEST_ECN | 1ull << NET_F_GUEST_USO4 | 1ull << NET_F_GUEST_USO6)

/** VNET_FEATURES - all that a network device of ours can offer */
#define VNET_FEATURES                                                                              \
	(1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_MTU |  \
	 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_STATUS | \
	 1ull << VIRTIO_NET_F_CTRL_VQ | 1ull << VIRTIO_NET_F_CTRL_RX |                             \
	 1ull << VIRTIO_NET_F_CTRL_MAC_ADDR | 1ull << VIRTIO_NET_F_MQ | VNET_LARGE_FEATURES)

/**
 * struct vnet_control - the state behind the control queue
 * @net: open; outlives the device
 * @is_broken: the host end is of no use any more
 * @nr_used: pairs of queues that the driver uses
 * @filter: what it wants to receive
 */
struct vnet_control {
	struct virtio_dev *virtio;
	struct net *net;
	bool is_broken;
	unsigned nr_used;
	struct net_filter filter;
};

/** vnet_rx_queue() - of pair @pair, which receives */
static inline unsigned vnet_rx_queue(unsigned pair)
{
	return 2 * pair;
}

/** vnet_tx_queue() - of pair @pair, which sends */
static inline unsigned vnet_tx_queue(unsigned pair)
{
	return 2 * pair + 1;
}

/**
 * vnet_control_features() - what a device in front of @net offers
 *
 * Whether buffers can be merged is for whoever moves the frames to say.
 */
uint64_t vnet_control_features(const struct net *net, const struct bounce_net_limits *limits);

/** vnet_control_fill() - the configuration space before a driver has come */
void vnet_control_fill(uint8_t config[VNET_CONFIG_SIZE], const struct net *net,
		       const struct bounce_net_limits *limits);

/** vnet_control_size_queues() - of a device that virtio_init() has made */
void vnet_control_size_queues(struct virtio_dev *dev, const struct net *net,
			      const struct virtio_mem *mem, const struct bounce_net_limits *limits);

/** vnet_control_queue() - its number, which depends on what was negotiated */
unsigned vnet_control_queue(const struct vnet_control *control);

/** vnet_control_set_up() - a driver has come: the host end hears what it has accepted */
void vnet_control_set_up(struct vnet_control *control);

/** vnet_control_reset() - forget the driver */
void vnet_control_reset(struct vnet_control *control);

/** vnet_control_serve() - carry out commands. Return: true if that was not all. */
bool vnet_control_serve(struct vnet_control *control);

/** vnet_control_break() - the host end has failed, with -@code: the guest's link goes down */
void vnet_control_break(struct vnet_control *control, int code);

#endif

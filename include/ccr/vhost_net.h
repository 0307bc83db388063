/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device whose frames a back end moves (vhost_dev.h): the host's kernel for a tap, or a
 * passt that speaks vhost-user. The control queue stays ours, because it is about the host end.
 */
#ifndef CCR_VHOST_NET_H
#define CCR_VHOST_NET_H

#include "ccr/vhost_dev.h"
#include "ccr/vnet_control.h"

/** vhost_net_type - its ctx is a struct vnet_control */
extern const struct vhost_dev_type vhost_net_type;

/** vhost_net_nr_queues() - in front of @net, with the one that is ours */
unsigned vhost_net_nr_queues(const struct net *net);

/**
 * vhost_net_fill() - what follows from the host end, for vhost_dev_init()
 * @control: filled in but for its device; outlives the device
 * @space: for config->config
 */
void vhost_net_fill(struct vhost_dev_config *config, struct vnet_control *control, struct net *net,
		    const struct bounce_net_limits *limits, uint8_t space[VNET_CONFIG_SIZE]);

/** vhost_net_finish() - after vhost_dev_init(), with the same @control and @limits */
void vhost_net_finish(struct vhost_dev *dev, struct vnet_control *control,
		      const struct bounce_net_limits *limits);

/** vhost_net_break() - the tap is gone; takes the lock */
void vhost_net_break(struct vhost_dev *dev);

#endif

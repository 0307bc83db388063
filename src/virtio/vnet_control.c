/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network device is but for its frames: features, configuration space, the state of its
 * link, and the control queue: which frames the guest wants, and how many queues it uses.
 */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "vnet_internal.h"

#define BIT(n) (1ull << (n))

#define MAX_COMMANDS 64

/* struct command - from a chain: class, command, and data behind the two */
struct command {
	struct vnet_control *control;
	const struct virtq *queue;
	const struct virtq_chain *chain;
	struct virtio_net_ctrl_hdr header;
	uint32_t size; /* of the data */
};

#define DATA_OFFSET ((uint32_t)sizeof(struct virtio_net_ctrl_hdr))

static bool get_data(const struct command *command, uint32_t offset, void *buf, uint32_t size)
{
	return range_within(offset, size, 0, command->size) &&
	       virtq_chain_read(command->queue, command->chain, DATA_OFFSET + offset, buf, size) ==
		       0;
}

/* A filter of everything that the guest's own address does not cover. */
static void apply_filter(struct vnet_control *control)
{
	const struct net_ops *ops = control->net->ops;
	struct net_filter filter = control->filter;

	if (filter.nr_macs == NET_MAX_MACS)
		filter.promiscuous = true;
	else
		memcpy(filter.macs[filter.nr_macs++], control->virtio->config, NET_MAC_SIZE);
	if (ops->set_filter && !control->is_broken)
		ops->set_filter(control->net, &filter);
}

static bool set_rx_mode(const struct command *command)
{
	struct vnet_control *control = command->control;
	uint8_t on;

	if (!virtio_has(control->virtio, VIRTIO_NET_F_CTRL_RX) || command->size != sizeof(on) ||
	    !get_data(command, 0, &on, sizeof(on)) || on > 1)
		return false;
	switch (command->header.cmd) {
	case VIRTIO_NET_CTRL_RX_PROMISC:
		control->filter.promiscuous = on;
		break;
	case VIRTIO_NET_CTRL_RX_ALLMULTI:
		control->filter.all_multicast = on;
		break;
	default:
		return false;
	}
	apply_filter(control);
	return true;
}

/* Return: false if the list at @offset is not all there; @ret_size of the whole of it. */
static bool get_macs(const struct command *command, uint32_t offset, struct net_filter *filter,
		     uint64_t *ret_size)
{
	uint32_t nr;

	if (!get_data(command, offset, &nr, sizeof(nr)))
		return false;
	nr = le32toh(nr);
	*ret_size = sizeof(nr) + (uint64_t)nr * NET_MAC_SIZE;
	if (*ret_size > command->size - offset)
		return false;
	/* More than we remember: the guest gets them all. */
	if (nr > NET_MAX_MACS - filter->nr_macs) {
		filter->nr_macs = NET_MAX_MACS;
		return true;
	}
	if (nr > 0 && !get_data(command, offset + (uint32_t)sizeof(nr),
				filter->macs[filter->nr_macs], nr * NET_MAC_SIZE))
		return false;
	filter->nr_macs += nr;
	return true;
}

/* Two lists: of one receiver each, and of many. */
static bool set_table(const struct command *command)
{
	struct vnet_control *control = command->control;
	struct net_filter filter = control->filter;
	uint64_t first_size, second_size;

	filter.nr_macs = 0;
	if (!get_macs(command, 0, &filter, &first_size) ||
	    !get_macs(command, (uint32_t)first_size, &filter, &second_size) ||
	    first_size + second_size != command->size)
		return false;
	control->filter = filter;
	apply_filter(control);
	return true;
}

static bool set_mac(const struct command *command)
{
	struct vnet_control *control = command->control;

	if (!virtio_has(control->virtio, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
	    command->size != NET_MAC_SIZE ||
	    !get_data(command, 0, control->virtio->config + offsetof(struct virtio_net_config, mac),
		      NET_MAC_SIZE))
		return false;
	apply_filter(control);
	return true;
}

static bool set_mac_or_table(const struct command *command)
{
	if (command->header.cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET)
		return set_mac(command);
	return command->header.cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET &&
	       virtio_has(command->control->virtio, VIRTIO_NET_F_CTRL_RX) && set_table(command);
}

static bool set_pairs(const struct command *command)
{
	struct vnet_control *control = command->control;
	uint16_t nr;

	if (command->header.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
	    !virtio_has(control->virtio, VIRTIO_NET_F_MQ) || command->size != sizeof(nr) ||
	    !get_data(command, 0, &nr, sizeof(nr)))
		return false;
	nr = le16toh(nr);
	if (nr == 0 || nr > control->net->nr_pairs)
		return false;
	if (control->net->ops->set_pairs && !control->is_broken &&
	    control->net->ops->set_pairs(control->net, nr))
		return false;
	control->nr_used = nr;
	return true;
}

static bool carry_out(const struct command *command)
{
	switch (command->header.class) {
	case VIRTIO_NET_CTRL_RX:
		return set_rx_mode(command);
	case VIRTIO_NET_CTRL_MAC:
		return set_mac_or_table(command);
	case VIRTIO_NET_CTRL_MQ:
		return set_pairs(command);
	default:
		return false;
	}
}

/* Return: NULL, or which rule the driver has broken. */
static const char *answer(struct vnet_control *control, const struct virtq_chain *chain)
{
	struct command command = {
		.control = control,
		.queue = &control->virtio->queues[vnet_control_queue(control)],
		.chain = chain,
	};
	uint8_t ack;

	if (chain->out_size < DATA_OFFSET || chain->in_size < sizeof(ack))
		return "a command without header or room for an answer";
	if (virtq_chain_read(command.queue, chain, 0, &command.header, DATA_OFFSET))
		return "a command that is not in shared memory";
	command.size = chain->out_size - DATA_OFFSET;
	ack = carry_out(&command) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	if (virtq_chain_write(command.queue, chain, 0, &ack, sizeof(ack)))
		return "a command's answer that is not in shared memory";
	return NULL;
}

bool vnet_control_serve(struct vnet_control *control)
{
	struct virtio_dev *dev = control->virtio;
	const unsigned index = vnet_control_queue(control);
	struct virtq_chain chain;
	unsigned nr = 0;

	while (nr < MAX_COMMANDS && virtio_pop(dev, index, &chain)) {
		const char *why = answer(control, &chain);

		if (why) {
			virtio_fail(dev, why);
			return false;
		}
		virtio_push(dev, index, &chain, sizeof(uint8_t));
		nr++;
	}
	virtio_notify(dev, index);
	return nr == MAX_COMMANDS;
}

unsigned vnet_control_queue(const struct vnet_control *control)
{
	return virtio_has(control->virtio, VIRTIO_NET_F_MQ) ? 2 * control->net->nr_pairs : 2;
}

void vnet_control_set_up(struct vnet_control *control)
{
	const struct net_ops *ops = control->net->ops;

	if (control->is_broken)
		return;
	if (ops->set_pairs)
		ops->set_pairs(control->net, 1);
	if (ops->set_filter)
		ops->set_filter(control->net, &control->filter);
	if (ops->set_offloads)
		ops->set_offloads(control->net, control->virtio->accepted);
}

void vnet_control_reset(struct vnet_control *control)
{
	control->nr_used = 1;
	control->filter = (struct net_filter){.promiscuous = true};
	memcpy(control->virtio->config, control->net->mac, NET_MAC_SIZE);
}

void vnet_control_break(struct vnet_control *control, int code)
{
	/* Once a life; how many lives a guest makes of it, the log counts. */
	struct log_limit once = {.nr_left = 1};
	const uint16_t down = 0;

	if (control->is_broken)
		return;
	control->is_broken = true;
	if (log_allow(&once))
		log_warn("%s: the host end is gone: %s; the guest's link is down",
			 control->net->name, strerror(code));
	virtio_update_config(control->virtio, offsetof(struct virtio_net_config, status), &down,
			     sizeof(down));
}

uint64_t vnet_control_features(const struct net *net, const struct bounce_net_limits *limits)
{
	uint64_t features = net->features | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MAC) |
			    BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
			    BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (net->ops->set_filter)
		features |= BIT(VIRTIO_NET_F_CTRL_RX);
	if (net->nr_pairs > 1)
		features |= BIT(VIRTIO_NET_F_MQ);
	return limits->is_large ? features : features & ~VNET_LARGE_FEATURES;
}

void vnet_control_fill(uint8_t config[VNET_CONFIG_SIZE], const struct net *net,
		       const struct bounce_net_limits *limits)
{
	const uint16_t mtu = net->mtu < limits->min_mtu   ? limits->min_mtu
			     : net->mtu > limits->max_mtu ? limits->max_mtu
							  : net->mtu;
	struct virtio_net_config space = {
		.status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16((uint16_t)net->nr_pairs),
		.mtu = htole16(mtu),
	};

	memcpy(space.mac, net->mac, NET_MAC_SIZE);
	memcpy(config, &space, VNET_CONFIG_SIZE);
}

/* Pairs first, the queue for control behind them. */
void vnet_control_size_queues(struct virtio_dev *dev, const struct net *net,
			      const struct virtio_mem *mem, const struct bounce_net_limits *limits)
{
	for (unsigned i = 0; i < net->nr_pairs; i++) {
		virtq_init(&dev->queues[vnet_rx_queue(i)], mem, limits->rx_size);
		virtq_init(&dev->queues[vnet_tx_queue(i)], mem, limits->tx_size);
	}
}

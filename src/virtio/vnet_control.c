/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue: which frames the guest wants, and how many queues it uses. */
#include <endian.h>
#include <string.h>

#include "vnet_internal.h"

#define MAX_COMMANDS 64

/* struct command - from a chain: class, command, and data behind the two */
struct command {
	struct vnet *vnet;
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
static void apply_filter(struct vnet *vnet)
{
	struct net_filter filter = vnet->filter;

	if (filter.nr_macs == NET_MAX_MACS)
		filter.promiscuous = true;
	else
		memcpy(filter.macs[filter.nr_macs++], vnet->virtio.config, NET_MAC_SIZE);
	if (vnet->net->ops->set_filter && !vnet->is_broken)
		vnet->net->ops->set_filter(vnet->net, &filter);
}

static bool set_rx_mode(const struct command *command)
{
	struct vnet *vnet = command->vnet;
	uint8_t on;

	if (!virtio_has(&vnet->virtio, VIRTIO_NET_F_CTRL_RX) || command->size != sizeof(on) ||
	    !get_data(command, 0, &on, sizeof(on)) || on > 1)
		return false;
	switch (command->header.cmd) {
	case VIRTIO_NET_CTRL_RX_PROMISC:
		vnet->filter.promiscuous = on;
		break;
	case VIRTIO_NET_CTRL_RX_ALLMULTI:
		vnet->filter.all_multicast = on;
		break;
	default:
		return false;
	}
	apply_filter(vnet);
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
	struct vnet *vnet = command->vnet;
	struct net_filter filter = vnet->filter;
	uint64_t first_size, second_size;

	filter.nr_macs = 0;
	if (!get_macs(command, 0, &filter, &first_size) ||
	    !get_macs(command, (uint32_t)first_size, &filter, &second_size) ||
	    first_size + second_size != command->size)
		return false;
	vnet->filter = filter;
	apply_filter(vnet);
	return true;
}

static bool set_mac(const struct command *command)
{
	struct vnet *vnet = command->vnet;

	if (!virtio_has(&vnet->virtio, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
	    command->size != NET_MAC_SIZE ||
	    !get_data(command, 0, vnet->virtio.config + offsetof(struct virtio_net_config, mac),
		      NET_MAC_SIZE))
		return false;
	apply_filter(vnet);
	return true;
}

static bool set_mac_or_table(const struct command *command)
{
	if (command->header.cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET)
		return set_mac(command);
	return command->header.cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET &&
	       virtio_has(&command->vnet->virtio, VIRTIO_NET_F_CTRL_RX) && set_table(command);
}

static bool set_pairs(const struct command *command)
{
	struct vnet *vnet = command->vnet;
	uint16_t nr;

	if (command->header.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
	    !virtio_has(&vnet->virtio, VIRTIO_NET_F_MQ) || command->size != sizeof(nr) ||
	    !get_data(command, 0, &nr, sizeof(nr)))
		return false;
	nr = le16toh(nr);
	if (nr == 0 || nr > vnet->net->nr_pairs)
		return false;
	if (vnet->net->ops->set_pairs && !vnet->is_broken &&
	    vnet->net->ops->set_pairs(vnet->net, nr))
		return false;
	vnet->nr_used = nr;
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
static const char *answer(struct vnet *vnet, const struct virtq_chain *chain)
{
	struct command command = {
		.vnet = vnet,
		.queue = &vnet->virtio.queues[vnet_control_queue(vnet)],
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

bool vnet_control(struct vnet *vnet)
{
	struct virtio_dev *dev = &vnet->virtio;
	const unsigned index = vnet_control_queue(vnet);
	struct virtq_chain chain;
	unsigned nr = 0;

	while (nr < MAX_COMMANDS && virtio_pop(dev, index, &chain)) {
		const char *why = answer(vnet, &chain);

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

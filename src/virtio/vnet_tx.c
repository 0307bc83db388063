/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest sends. */
#include <endian.h>
#include <errno.h>

#include "vnet_internal.h"

#define BIT(n) (1ull << (n))

/* What must have been negotiated for a kind of segmentation; 0 for none that we know. */
static uint64_t feature_of(uint8_t gso_type)
{
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return BIT(VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return BIT(VIRTIO_NET_F_HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		return BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_ECN);
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		return BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN);
	case NET_HDR_GSO_UDP_L4:
		return BIT(NET_F_HOST_USO);
	default:
		return 0;
	}
}

bool vnet_tx_check(const struct virtio_net_hdr_v1 *header, uint64_t features, uint32_t size)
{
	const bool has_sum = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	const uint32_t start = le16toh(header->csum_start);
	const uint64_t needed = feature_of(header->gso_type);

	if (has_sum && (!(features & BIT(VIRTIO_NET_F_CSUM)) ||
			start + le16toh(header->csum_offset) + sizeof(uint16_t) > size))
		return false;
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	return needed && (features & needed) == needed && has_sum && header->gso_size != 0 &&
	       le16toh(header->hdr_len) <= size;
}

/* Only fields that were checked or mean nothing: nothing of the guest's goes past it. */
static void clean(struct virtio_net_hdr_v1 *header)
{
	header->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->num_buffers = 0;
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		header->hdr_len = header->gso_size = 0;
	if (!header->flags)
		header->csum_start = header->csum_offset = 0;
}

/*
 * All functions that take a frame return: 0 if it is done with, however; -EAGAIN if it has to
 * wait; -ECANCELED if the device must not go on.
 */

static int drop(struct vnet *vnet)
{
	vnet->nr_dropped_out++;
	return 0;
}

static int broke_rule(struct vnet *vnet, const char *why)
{
	virtio_fail(&vnet->virtio, why);
	return -ECANCELED;
}

/* Straight from the guest's buffers, in one system call. */
static int send_direct(struct vnet *vnet, unsigned index, const struct virtq_chain *chain,
		       struct virtio_net_hdr_v1 *header)
{
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	struct iovec iov[1 + VIRTIO_MAX_SEGMENTS] = {{header, VNET_HEADER_SIZE}};
	const unsigned nr = virtq_chain_slice(chain, VIRTQ_OUT, VNET_HEADER_SIZE,
					      chain->out_size - VNET_HEADER_SIZE, slices);
	struct virtio_pin pin;
	int ret = virtio_mem_pin(vnet->mem, slices, nr, &pin);

	if (ret == -EFAULT)
		return broke_rule(vnet, "a frame that is not in shared memory");
	if (ret)
		return drop(vnet);
	for (unsigned i = 0; i < nr; i++)
		iov[1 + i] = pin.iov[i];
	virtio_begin_io(&vnet->virtio);
	ret = vnet->control.net->ops->send(vnet->control.net, index, iov, 1 + nr);
	virtio_mem_unpin(vnet->mem, &pin);
	if (!virtio_end_io(&vnet->virtio))
		return -ECANCELED;
	if (ret == 0 || ret == -EAGAIN)
		return ret;
	if (ret != -EINVAL)
		vnet_control_break(&vnet->control, -ret);
	return drop(vnet);
}

static void flush(struct vnet *vnet)
{
	const int ret = vnet->control.net->ops->flush && !vnet->control.is_broken
				? vnet->control.net->ops->flush(vnet->control.net)
				: 0;

	if (ret)
		vnet_control_break(&vnet->control, -ret);
}

/* Into the host end's buffer. */
static int send_copy(struct vnet *vnet, unsigned index, const struct virtq_chain *chain)
{
	const struct virtq *queue = &vnet->virtio.queues[vnet_tx_queue(index)];
	const uint32_t size = chain->out_size - VNET_HEADER_SIZE;
	uint8_t *at = vnet->control.net->ops->reserve(vnet->control.net, size);

	if (!at) {
		flush(vnet);
		if (vnet->control.is_broken)
			return drop(vnet);
		at = vnet->control.net->ops->reserve(vnet->control.net, size);
	}
	if (!at)
		return -EAGAIN;
	if (virtq_chain_read(queue, chain, VNET_HEADER_SIZE, at, size))
		return broke_rule(vnet, "a frame that is not in shared memory");
	vnet->control.net->ops->commit(vnet->control.net);
	return 0;
}

static int send_frame(struct vnet *vnet, unsigned index, const struct virtq_chain *chain)
{
	const struct virtq *queue = &vnet->virtio.queues[vnet_tx_queue(index)];
	struct virtio_net_hdr_v1 header;
	uint32_t size;

	if (chain->out_size < VNET_HEADER_SIZE)
		return broke_rule(vnet, "a frame without a header");
	if (virtq_chain_read(queue, chain, 0, &header, VNET_HEADER_SIZE))
		return broke_rule(vnet, "a frame's header that is not in shared memory");
	size = chain->out_size - VNET_HEADER_SIZE;
	if (vnet->control.is_broken || size < NET_MIN_FRAME || size > NET_MAX_FRAME ||
	    !vnet_tx_check(&header, vnet->virtio.accepted, size))
		return drop(vnet);
	clean(&header);
	return vnet->control.net->ops->send ? send_direct(vnet, index, chain, &header)
					    : send_copy(vnet, index, chain);
}

static bool next_frame(struct vnet *vnet, unsigned index)
{
	struct vnet_pair *pair = &vnet->pairs[index];

	if (!pair->has_tx)
		pair->has_tx = virtio_pop(&vnet->virtio, vnet_tx_queue(index), &pair->tx);
	return pair->has_tx;
}

bool vnet_send(struct vnet *vnet, unsigned index)
{
	struct vnet_pair *pair = &vnet->pairs[index];
	const unsigned queue = vnet_tx_queue(index);
	unsigned nr = 0;
	int ret = 0;

	while (nr < VNET_MAX_FRAMES && next_frame(vnet, index)) {
		ret = send_frame(vnet, index, &pair->tx);
		if (ret)
			break;
		pair->has_tx = false;
		virtio_push(&vnet->virtio, queue, &pair->tx, 0);
		if (++nr % VNET_NOTIFY_FRAMES == 0)
			virtio_notify(&vnet->virtio, queue);
	}
	flush(vnet);
	virtio_notify(&vnet->virtio, queue);
	return ret == 0 && nr == VNET_MAX_FRAMES;
}

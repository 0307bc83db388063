/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest receives
 * -----------------------
 * How long a frame is turns out when it is read. A large one is read straight into as many of the
 * driver's buffers as the largest takes, which costs some work for each of them; a small one is
 * cheaper read into a buffer of our own and copied. The size of one frame foretells that of the
 * next.
 *
 * With VIRTIO_NET_F_MRG_RXBUF a frame may be spread over several buffers, which the driver must see
 * at once. A frame that finds too few of them waits in our own buffer for more; the host end is not
 * read meanwhile, and knows how to deal with that.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "vnet_internal.h"

#define BIT(n) (1ull << (n))

#define LARGE_FRAME  16384u
#define MAX_WHOLE    (VNET_HEADER_SIZE + NET_MAX_FRAME)
#define ETHERNET_MTU 1500u

/* What makes frames longer than the MTU. */
#define LARGE_FEATURES                                                                         \
	(BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(NET_F_GUEST_USO4) | \
	 BIT(NET_F_GUEST_USO6))

static bool may_merge(const struct vnet *vnet)
{
	return virtio_has(&vnet->virtio, VIRTIO_NET_F_MRG_RXBUF);
}

/* With the header. */
static uint32_t largest_frame(const struct vnet *vnet)
{
	const uint32_t mtu = vnet->control.net->mtu > ETHERNET_MTU ? vnet->control.net->mtu
								   : ETHERNET_MTU;

	if (vnet->virtio.accepted & LARGE_FEATURES)
		return MAX_WHOLE;
	return MAX_WHOLE - 65535 + mtu;
}

static const struct virtq_chain *ready_buffer(const struct vnet_pair *pair, unsigned nr)
{
	return &pair->ready[(pair->first + nr) % VNET_MAX_READY];
}

/* No more than a frame can fill, so that sums fit. */
static uint32_t useful_size(const struct virtq_chain *chain)
{
	return chain->in_size < MAX_WHOLE ? chain->in_size : MAX_WHOLE;
}

/* Return: the driver has buffers for @size bytes, and they are taken. */
static bool gather(struct vnet *vnet, unsigned index, uint32_t size)
{
	struct vnet_pair *pair = &vnet->pairs[index];

	while (pair->ready_size < size && pair->nr_ready < VNET_MAX_READY &&
	       (pair->nr_ready == 0 || may_merge(vnet))) {
		struct virtq_chain *chain =
			&pair->ready[(pair->first + pair->nr_ready) % VNET_MAX_READY];

		if (!virtio_pop(&vnet->virtio, vnet_rx_queue(index), chain))
			return false;
		if (chain->in_size < VNET_HEADER_SIZE) {
			virtio_fail(&vnet->virtio, "a receive buffer without room for a header");
			return false;
		}
		pair->nr_ready++;
		pair->nr_segments += chain->nr_in;
		pair->ready_size += useful_size(chain);
	}
	return pair->ready_size >= size;
}

/* A frame of @size bytes with its header is in the first buffers: the driver gets them. */
static void give(struct vnet *vnet, unsigned index, uint32_t size)
{
	struct vnet_pair *pair = &vnet->pairs[index];

	do {
		const struct virtq_chain *chain = ready_buffer(pair, 0);
		const uint32_t here = size < chain->in_size ? size : chain->in_size;

		virtio_put(&vnet->virtio, vnet_rx_queue(index), chain, here);
		size -= here;
		pair->first = (pair->first + 1) % VNET_MAX_READY;
		pair->nr_ready--;
		pair->nr_segments -= chain->nr_in;
		pair->ready_size -= useful_size(chain);
	} while (size > 0);
	virtio_publish(&vnet->virtio, vnet_rx_queue(index));
}

/* How many of the first buffers @size bytes take. */
static uint16_t count_buffers(const struct vnet_pair *pair, uint32_t size)
{
	uint16_t nr = 0;

	while (size > 0) {
		const uint32_t here = ready_buffer(pair, nr++)->in_size;

		size -= size < here ? size : here;
	}
	return nr;
}

/* Return: false if the driver's buffer is out of reach. */
static bool write_header(struct vnet *vnet, unsigned index, const struct virtio_net_hdr_v1 *header,
			 uint32_t size)
{
	const struct vnet_pair *pair = &vnet->pairs[index];
	struct virtio_net_hdr_v1 own = *header;

	own.num_buffers = htole16(count_buffers(pair, size));
	if (!virtio_has(&vnet->virtio, VIRTIO_NET_F_GUEST_CSUM))
		own.flags &= (uint8_t)~VIRTIO_NET_HDR_F_DATA_VALID;
	return !virtq_chain_write(&vnet->virtio.queues[vnet_rx_queue(index)], ready_buffer(pair, 0),
				  0, &own, VNET_HEADER_SIZE);
}

static bool copy_frame(struct vnet *vnet, unsigned index, const uint8_t *frame, uint32_t size)
{
	const struct vnet_pair *pair = &vnet->pairs[index];
	const struct virtq *queue = &vnet->virtio.queues[vnet_rx_queue(index)];
	uint32_t offset = VNET_HEADER_SIZE;

	for (unsigned i = 0; size > 0; i++, offset = 0) {
		const struct virtq_chain *chain = ready_buffer(pair, i);
		const uint32_t room = chain->in_size - offset, here = size < room ? size : room;

		if (here > 0 && virtq_chain_write(queue, chain, offset, frame, here))
			return false;
		frame += here;
		size -= here;
	}
	return true;
}

/*
 * The functions below return true if they are done with a frame, whatever has become of it, and
 * false if there is no more to do now.
 */

static bool drop(struct vnet *vnet, unsigned index)
{
	vnet->pairs[index].held_size = 0;
	vnet->nr_dropped_in++;
	return true;
}

/* A frame that does not fit may fit later, unless all that the driver can give is in our hands. */
static bool wait_or_drop(struct vnet *vnet, unsigned index)
{
	struct vnet_pair *pair = &vnet->pairs[index];

	if (!virtio_may_work(&vnet->virtio))
		return false;
	if (pair->nr_ready > 0 &&
	    (!may_merge(vnet) || pair->nr_ready == VNET_MAX_READY ||
	     pair->nr_ready == vnet->virtio.queues[vnet_rx_queue(index)].size))
		return drop(vnet, index);
	pair->is_starved = true;
	return false;
}

/* @size: of @frame, without the header */
static bool deliver(struct vnet *vnet, unsigned index, const struct virtio_net_hdr_v1 *header,
		    const uint8_t *frame, uint32_t size)
{
	const uint32_t whole = VNET_HEADER_SIZE + size;

	if (!gather(vnet, index, whole))
		return wait_or_drop(vnet, index);
	if (!write_header(vnet, index, header, whole) || !copy_frame(vnet, index, frame, size)) {
		virtio_fail(&vnet->virtio, "a receive buffer that is not in shared memory");
		return false;
	}
	give(vnet, index, whole);
	vnet->pairs[index].held_size = 0;
	return true;
}

static bool stop_reading(struct vnet *vnet, unsigned index, ssize_t ret)
{
	vnet->pairs[index].may_read = false;
	if (ret != -EAGAIN)
		vnet_control_break(&vnet->control, (int)-ret);
	return false;
}

/* Return: the pin holds what the largest frame takes. */
static bool pin_buffers(struct vnet *vnet, unsigned index, struct virtio_pin *pin)
{
	const struct vnet_pair *pair = &vnet->pairs[index];
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	uint32_t offset = VNET_HEADER_SIZE;
	unsigned nr = 0;

	if (!gather(vnet, index, largest_frame(vnet)) || pair->nr_segments > VIRTIO_MAX_SEGMENTS)
		return false;
	for (unsigned i = 0; i < pair->nr_ready; i++, offset = 0) {
		const struct virtq_chain *chain = ready_buffer(pair, i);

		nr += virtq_chain_slice(chain, VIRTQ_IN, offset, chain->in_size - offset,
					slices + nr);
	}
	return virtio_mem_pin(vnet->mem, slices, nr, pin) == 0;
}

/* Straight into the pinned buffers. */
static bool receive_direct(struct vnet *vnet, unsigned index, struct virtio_pin *pin)
{
	struct virtio_net_hdr_v1 header;
	uint8_t guard; /* behind the end: a frame that reaches it is too long */
	struct iovec iov[2 + VIRTIO_MAX_SEGMENTS] = {{&header, VNET_HEADER_SIZE}};
	const uint32_t largest = largest_frame(vnet);
	ssize_t size;

	memcpy(iov + 1, pin->iov, pin->nr * sizeof(iov[0]));
	iov[1 + pin->nr] = (struct iovec){&guard, sizeof(guard)};
	virtio_begin_io(&vnet->virtio);
	size = vnet->control.net->ops->receive(vnet->control.net, index, iov, 2 + pin->nr);
	virtio_mem_unpin(vnet->mem, pin);
	if (!virtio_end_io(&vnet->virtio))
		return false;
	if (size < 0)
		return stop_reading(vnet, index, size);
	if (size < (ssize_t)VNET_HEADER_SIZE || size > (ssize_t)largest)
		return drop(vnet, index);
	vnet->pairs[index].expects_large = size >= (ssize_t)LARGE_FRAME;
	if (!write_header(vnet, index, &header, (uint32_t)size)) {
		virtio_fail(&vnet->virtio, "a receive buffer that is not in shared memory");
		return false;
	}
	give(vnet, index, (uint32_t)size);
	return true;
}

/* Return: a frame is held. */
static bool hold_frame(struct vnet *vnet, unsigned index)
{
	struct vnet_pair *pair = &vnet->pairs[index];
	const struct iovec iov = {pair->held, sizeof(pair->held)};
	ssize_t size;

	if (pair->held_size > 0)
		return true;
	size = vnet->control.net->ops->receive(vnet->control.net, index, &iov, 1);
	if (size < 0)
		return stop_reading(vnet, index, size);
	pair->expects_large = size >= (ssize_t)LARGE_FRAME;
	pair->held_size = (uint32_t)size;
	return true;
}

static bool receive_held(struct vnet *vnet, unsigned index)
{
	struct vnet_pair *pair = &vnet->pairs[index];
	struct virtio_net_hdr_v1 header;

	if (!hold_frame(vnet, index))
		return false;
	if (pair->held_size < VNET_HEADER_SIZE || pair->held_size > sizeof(pair->held))
		return drop(vnet, index);
	memcpy(&header, pair->held, VNET_HEADER_SIZE);
	return deliver(vnet, index, &header, pair->held + VNET_HEADER_SIZE,
		       pair->held_size - VNET_HEADER_SIZE);
}

static bool receive_peeked(struct vnet *vnet, unsigned index)
{
	const struct virtio_net_hdr_v1 header = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	const uint8_t *frame;
	const ssize_t size = vnet->control.net->ops->peek(vnet->control.net, &frame);

	if (size < 0)
		return stop_reading(vnet, index, size);
	if (!deliver(vnet, index, &header, frame, (uint32_t)size))
		return false;
	vnet->control.net->ops->drop(vnet->control.net);
	return true;
}

static bool receive_frame(struct vnet *vnet, unsigned index)
{
	struct vnet_pair *pair = &vnet->pairs[index];
	struct virtio_pin pin;

	if (!pair->may_read && pair->held_size == 0)
		return false;
	/* Without a single buffer the frame is better off where it is. */
	if (!gather(vnet, index, 1)) {
		pair->is_starved = true;
		return false;
	}
	if (!vnet->control.net->ops->receive)
		return receive_peeked(vnet, index);
	if (pair->held_size == 0 && pair->expects_large && pin_buffers(vnet, index, &pin))
		return receive_direct(vnet, index, &pin);
	return receive_held(vnet, index);
}

bool vnet_receive(struct vnet *vnet, unsigned index)
{
	const unsigned queue = vnet_rx_queue(index);
	unsigned nr = 0;

	vnet->pairs[index].is_starved = false;
	while (nr < VNET_MAX_FRAMES && !vnet->control.is_broken && receive_frame(vnet, index)) {
		if (++nr % VNET_NOTIFY_FRAMES == 0)
			virtio_notify(&vnet->virtio, queue);
	}
	virtio_notify(&vnet->virtio, queue);
	return nr == VNET_MAX_FRAMES;
}

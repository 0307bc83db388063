/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the network device share. All of it with the device's lock held. */
#ifndef SRC_VIRTIO_VNET_INTERNAL_H
#define SRC_VIRTIO_VNET_INTERNAL_H

#include "ccr/vnet.h"

#define VNET_HEADER_SIZE ((uint32_t)sizeof(struct virtio_net_hdr_v1))

/* Frames each way before others get their turn, and before the driver may hear of them. */
#define VNET_MAX_FRAMES    64
#define VNET_NOTIFY_FRAMES 16

/** vnet_send(), vnet_receive() - move frames. Return: true if that was not all. */
bool vnet_send(struct vnet *vnet, unsigned index);
bool vnet_receive(struct vnet *vnet, unsigned index);

/**
 * vnet_tx_check() - may a header from the guest go to the host
 * @features: what was negotiated
 * @size: of the frame behind it
 *
 * Only what was negotiated, about bytes that the frame has.
 */
bool vnet_tx_check(const struct virtio_net_hdr_v1 *header, uint64_t features, uint32_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (virtio 1.2, 5.10): the queues in front of the connections of vsock.h.
 *
 * Served by the event loop, in bounded portions: what a driver offers faster waits for the next
 * one. The functions of the host's side are called with the device's lock held; whoever calls
 * functions of @vsock holds it too, and calls virtio_service() afterwards.
 */
#ifndef CCR_VVSOCK_H
#define CCR_VVSOCK_H

#include "ccr/virtio.h"
#include "ccr/vsock.h"

/**
 * struct vvsock - the device; private to vvsock.c but for @virtio and @vsock
 * @rx, @has_rx: a buffer of the driver's for which there was no packet after all
 * @payload: of the packet at hand
 */
struct vvsock {
	struct virtio_dev virtio;
	struct vsock vsock;
	bool has_rx;
	struct virtq_chain rx;
	uint8_t *payload;
};

/**
 * vvsock_init() - as blk_init() takes @setup
 * @cid: of the guest; VSOCK_MIN_CID to VSOCK_MAX_CID
 *
 * Return: 0 or -ENOMEM.
 */
int vvsock_init(struct vvsock *device, uint32_t cid, const struct vsock_host *host, void *ctx,
		const struct virtio_setup *setup);

/** vvsock_done() - closes all connections */
void vvsock_done(struct vvsock *device);

#endif

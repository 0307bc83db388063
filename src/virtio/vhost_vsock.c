/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>

#include "ccr/vhost_dev.h"

#define BIT(n) (1ull << (n))

_Static_assert(sizeof(struct virtio_vsock_config) == VHOST_VSOCK_CONFIG_SIZE, "one number");

/* The queue of events is ours, and nothing ever happens on it. */
const struct vhost_dev_type vhost_vsock_type = {
	.virtio =
		{
			.name = "vhost-vsock",
			.id = VIRTIO_ID_VSOCK,
			.pci_class = 0x078000, /* communication, other */
			.features = BIT(VIRTIO_VSOCK_F_SEQPACKET),
			.config_size = VHOST_VSOCK_CONFIG_SIZE,
			.nr_queues = VHOST_VSOCK_NR_QUEUES,
			.queue_sizes = {VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE},
		},
	.resume = VHOST_RESUME_NEVER,
};

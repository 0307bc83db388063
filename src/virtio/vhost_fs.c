/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "ccr/vhost_dev.h"

_Static_assert(sizeof(struct virtio_fs_config) == VHOST_FS_CONFIG_SIZE, "as the driver reads it");
_Static_assert(sizeof(((struct virtio_fs_config *)0)->tag) == VHOST_FS_TAG_SIZE, "likewise");

/* The first queue is for what must not wait; one more is all that Linux used before 6.11. */
const struct vhost_dev_type vhost_fs_type = {
	.virtio =
		{
			.name = "vhost-user-fs",
			.id = VIRTIO_ID_FS,
			.pci_class = 0x018000, /* mass storage, other */
			.config_size = VHOST_FS_CONFIG_SIZE,
			.nr_queues = VHOST_FS_NR_QUEUES,
			.queue_sizes = {VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE},
		},
	.protocol = VHOST_USER_MQ | VHOST_USER_REPLY_ACK | VHOST_USER_RESET_DEVICE,
	.resume = VHOST_RESUME_NEVER,
};

void vhost_fs_fill_config(uint8_t config[VHOST_FS_CONFIG_SIZE], const char *tag)
{
	struct virtio_fs_config space = {.num_request_queues = htole32(VHOST_FS_NR_QUEUES - 1)};

	memcpy(space.tag, tag, strnlen(tag, sizeof(space.tag)));
	memcpy(config, &space, sizeof(space));
}

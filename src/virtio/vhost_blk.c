/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>

#include "ccr/vhost_dev.h"

#define BIT(n) (1ull << (n))

#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

_Static_assert(CONFIG_SIZE <= VIRTIO_MAX_CONFIG, "the configuration space fits");

/* Of two limits, of which 0 is none. */
static uint32_t lower(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return a | b;
	return a < b ? a : b;
}

static void adjust(uint8_t *config, unsigned nr_queues, const struct bounce_limits *limits)
{
	struct virtio_blk_config space = {0};

	memcpy(&space, config, CONFIG_SIZE);
	space.size_max = htole32(lower(le32toh(space.size_max), limits->size_max));
	space.seg_max = htole32(lower(le32toh(space.seg_max), limits->seg_max));
	space.num_queues = htole16((uint16_t)nr_queues);
	memcpy(config, &space, CONFIG_SIZE);
}

static void reset(void *self)
{
	vhost_dev_forget(self);
}

/*
 * Without CONFIG_WCE the driver finds a write-back cache if the back end knows FLUSH, and none
 * otherwise; nothing in the configuration space is writable.
 */
const struct vhost_dev_type vhost_blk_type = {
	.virtio =
		{
			.name = "vhost-user-blk",
			.id = VIRTIO_ID_BLOCK,
			.pci_class = 0x018000, /* mass storage, other */
			.features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				    BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
				    BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
				    BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
				    BIT(VIRTIO_BLK_F_WRITE_ZEROES),
			.config_size = CONFIG_SIZE,
			.nr_queues = 1,
			.queue_sizes = {VIRTQ_MAX_SIZE},
			.reset = reset,
		},
	.protocol = VHOST_USER_MQ | VHOST_USER_REPLY_ACK | VHOST_USER_CONFIG |
		    VHOST_USER_BACKEND_REQ | VHOST_USER_RESET_DEVICE,
	.resume = VHOST_RESUME_BOOKS,
	.adjust = adjust,
};

uint64_t vhost_blk_own_features(const struct bounce_limits *limits)
{
	return BIT(VIRTIO_BLK_F_SEG_MAX) | (limits->size_max ? BIT(VIRTIO_BLK_F_SIZE_MAX) : 0);
}

unsigned vhost_blk_nr_queues(const struct vhost *vhost, unsigned wanted)
{
	if (!(vhost->features & BIT(VIRTIO_BLK_F_MQ)) || vhost->nr_queues == 0)
		return 1;
	return wanted < vhost->nr_queues ? wanted : vhost->nr_queues;
}

bool vhost_blk_is_read_only(const struct vhost *vhost)
{
	return vhost->features & BIT(VIRTIO_BLK_F_RO);
}

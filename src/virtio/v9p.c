/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/v9p.h"

#define BIT(n) (1ull << (n))

#define TAG_OFFSET  sizeof(struct virtio_9p_config)
#define CONFIG_SIZE (TAG_OFFSET + V9P_MAX_TAG)

_Static_assert(CONFIG_SIZE <= VIRTIO_MAX_CONFIG, "the configuration space fits");

/* Return: NULL, or which rule the driver has broken. */
static const char *take_message(struct v9p *v9p, const struct virtq_chain *chain)
{
	if (chain->out_size < P9_HEADER_SIZE)
		return "a message without a header";
	if (chain->out_size > v9p->max_msize)
		return "a message longer than any may be";
	if (chain->in_size < P9_ERROR_SIZE)
		return "a message without room for its reply";
	if (virtq_chain_read(&v9p->virtio.queues[0], chain, 0, v9p->in, chain->out_size))
		return "a message that is not in shared memory";
	return NULL;
}

/* Return: bytes of the reply; 0 if its place is not in shared memory. Without the lock. */
static uint32_t answer(struct v9p *v9p, const struct virtq_chain *chain)
{
	const uint32_t room = chain->in_size < v9p->max_msize ? chain->in_size : v9p->max_msize;
	const uint32_t size = p9_serve(&v9p->p9, v9p->in, chain->out_size, v9p->out, room);

	return virtq_chain_write(&v9p->virtio.queues[0], chain, 0, v9p->out, size) ? 0 : size;
}

static void v9p_process(void *self)
{
	struct v9p *v9p = self;
	struct virtio_dev *dev = &v9p->virtio;
	struct virtq_chain chain;

	while (virtio_pop(dev, 0, &chain)) {
		const char *why = take_message(v9p, &chain);
		uint32_t size = 0;

		if (!why) {
			virtio_begin_io(dev);
			size = answer(v9p, &chain);
			if (!virtio_end_io(dev))
				return;
			if (size == 0)
				why = "room for a reply that is not in shared memory";
		}
		if (why) {
			virtio_fail(dev, why);
			return;
		}
		virtio_push(dev, 0, &chain, size);
		virtio_notify(dev, 0);
	}
}

static void v9p_reset(void *self)
{
	struct v9p *v9p = self;

	p9_reset(&v9p->p9);
}

static const struct virtio_type v9p_type = {
	.name = "virtio-9p",
	.id = VIRTIO_ID_9P,
	.pci_class = 0x018000, /* mass storage, other */
	.features = BIT(VIRTIO_9P_MOUNT_TAG),
	.config_size = CONFIG_SIZE,
	.nr_queues = 1,
	.queue_sizes = {128},
	.process = v9p_process,
	.reset = v9p_reset,
};

int v9p_init(struct v9p *v9p, const struct v9p_config *config, const struct virtio_setup *setup)
{
	const uint16_t tag_size = (uint16_t)strnlen(config->tag, V9P_MAX_TAG);
	const struct virtio_9p_config space = {.tag_len = htole16(tag_size)};
	struct virtio_setup own = *setup;

	v9p->max_msize = config->max_msize;
	v9p->in = malloc(2 * (size_t)config->max_msize);
	if (!v9p->in)
		return -ENOMEM;
	v9p->out = v9p->in + config->max_msize;
	p9_init(&v9p->p9, config->host, config->ctx, config->max_msize, config->max_open);
	own.type = &v9p_type;
	own.self = v9p;
	own.features = v9p_type.features;
	own.queue_size = config->queue_size;
	virtio_init(&v9p->virtio, &own);
	memcpy(v9p->virtio.config, &space, TAG_OFFSET);
	memcpy(v9p->virtio.config + TAG_OFFSET, config->tag, tag_size);
	return 0;
}

void v9p_done(struct v9p *v9p)
{
	p9_done(&v9p->p9);
	virtio_done(&v9p->virtio);
	free(v9p->in);
	v9p->in = v9p->out = NULL;
}

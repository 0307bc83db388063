/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's life, as its status register tells it (virtio 1.2, 2.1 and 3.1)
 * --------------------------------------------------------------------------
 *
 *	state		entered by			allowed
 *	RESET		creation, status 0		choose features
 *	FEATURES_OK	that bit, choice accepted	set up and enable queues
 *	DRIVER_OK	that bit, after FEATURES_OK	queues are served
 *	NEEDS_RESET	virtio_fail(), in any state	only a reset
 *
 * What is not allowed in a state is ignored, as the specification lets drivers read back what they
 * wrote. A reset asked for while requests are with the host takes effect when the last one comes
 * back; until then status reads as before, for which the specification makes drivers wait, and
 * nothing else is accepted.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "ccr/virtio.h"

#define BIT(n) (1ull << (n))

#define COMMON_FEATURES                                            \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

#define DRIVER_STATUS                                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

/* Messages about guest errors, per device. */
#define MAX_FAILURE_MESSAGES 8

static bool is_live(const struct virtio_dev *dev)
{
	return dev->status & VIRTIO_CONFIG_S_DRIVER_OK;
}

bool virtio_may_work(const struct virtio_dev *dev)
{
	return is_live(dev) && !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET) && dev->may_dma &&
	       !dev->reset_wanted;
}

void virtio_init(struct virtio_dev *dev, const struct virtio_setup *setup)
{
	const struct virtio_type *type = setup->type;

	*dev = (struct virtio_dev){
		.type = type,
		.self = setup->self,
		.host = setup->host,
		.offered = (COMMON_FEATURES & ~setup->withheld) |
			   (setup->features & type->features),
		.needs_platform = setup->needs_platform,
		.log_limit = {MAX_FAILURE_MESSAGES},
		.nr_queues = setup->nr_queues ? setup->nr_queues : type->nr_queues,
	};
	for (unsigned i = 0; i < dev->nr_queues; i++) {
		const unsigned last = type->nr_queues - 1;
		uint16_t size = type->queue_sizes[i < last ? i : last];

		if (setup->queue_size && setup->queue_size < size)
			size = setup->queue_size;
		virtq_init(&dev->queues[i], setup->mem, size);
	}
	pthread_mutex_init(&dev->lock, NULL);
}

void virtio_done(struct virtio_dev *dev)
{
	pthread_mutex_destroy(&dev->lock);
}

void virtio_attach(struct virtio_dev *dev, const struct virtio_transport *transport, void *ctx)
{
	dev->transport = transport;
	dev->transport_ctx = ctx;
}

void virtio_lock(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
}

void virtio_unlock(struct virtio_dev *dev)
{
	pthread_mutex_unlock(&dev->lock);
}

struct virtio_stats virtio_get_stats(struct virtio_dev *dev, uint64_t *ret_failures)
{
	struct virtio_stats stats;

	virtio_lock(dev);
	stats = dev->stats;
	*ret_failures = dev->nr_failures;
	virtio_unlock(dev);
	return stats;
}

void virtio_service(struct virtio_dev *dev)
{
	virtio_lock(dev);
	if (virtio_may_work(dev) && dev->type->process)
		dev->type->process(dev->self);
	virtio_unlock(dev);
}

void virtio_kick(struct virtio_dev *dev)
{
	dev->host.kick(dev->host.ctx);
}

void virtio_set_dma(struct virtio_dev *dev, bool allowed)
{
	const bool changes = allowed != dev->may_dma;

	dev->may_dma = allowed;
	if (changes && is_live(dev))
		virtio_kick(dev);
}

bool virtio_has(const struct virtio_dev *dev, unsigned bit)
{
	return dev->accepted & BIT(bit);
}

static void tell_config(struct virtio_dev *dev)
{
	if (is_live(dev))
		dev->transport->config_interrupt(dev->transport_ctx);
}

void virtio_need_reset(struct virtio_dev *dev)
{
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	dev->nr_failures++;
	tell_config(dev);
}

void virtio_fail(struct virtio_dev *dev, const char *why)
{
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	if (log_allow(&dev->log_limit))
		log_warn("%s: the guest's driver broke a rule: %s; the device waits for a reset",
			 dev->type->name, why);
	virtio_need_reset(dev);
}

bool virtio_pop(struct virtio_dev *dev, unsigned index, struct virtq_chain *chain)
{
	struct virtq *queue = &dev->queues[index];
	int ret;

	if (!virtio_may_work(dev) || !queue->enabled)
		return false;
	ret = virtq_pop(queue, chain);
	if (ret == 0) {
		ret = virtq_arm(queue);
		if (ret > 0)
			ret = virtq_pop(queue, chain);
	}
	if (ret < 0)
		virtio_fail(dev, queue->error);
	return ret > 0;
}

void virtio_put(struct virtio_dev *dev, unsigned index, const struct virtq_chain *chain,
		uint32_t written)
{
	struct virtq *queue = &dev->queues[index];

	if (!virtio_may_work(dev))
		return;
	if (virtq_put(queue, chain->head, written)) {
		virtio_fail(dev, queue->error);
		return;
	}
	dev->stats.nr_buffers++;
	dev->stats.bytes_out += chain->out_size;
	dev->stats.bytes_in += written;
}

void virtio_publish(struct virtio_dev *dev, unsigned index)
{
	struct virtq *queue = &dev->queues[index];

	if (virtio_may_work(dev) && queue->enabled && virtq_publish(queue))
		virtio_fail(dev, queue->error);
}

void virtio_push(struct virtio_dev *dev, unsigned index, const struct virtq_chain *chain,
		 uint32_t written)
{
	virtio_put(dev, index, chain, written);
	virtio_publish(dev, index);
}

void virtio_notify(struct virtio_dev *dev, unsigned index)
{
	struct virtq *queue = &dev->queues[index];
	int ret;

	if (!virtio_may_work(dev) || !queue->enabled)
		return;
	ret = virtq_wants_interrupt(queue);
	if (ret < 0)
		virtio_fail(dev, queue->error);
	else if (ret > 0)
		virtio_interrupt(dev, index);
}

int virtio_queue_fd(struct virtio_dev *dev, unsigned index)
{
	return dev->transport->queue_fd ? dev->transport->queue_fd(dev->transport_ctx, index) : -1;
}

void virtio_rewired(struct virtio_dev *dev)
{
	if (is_live(dev))
		virtio_kick(dev);
}

void virtio_interrupt(struct virtio_dev *dev, unsigned index)
{
	if (!virtio_may_work(dev))
		return;
	dev->stats.nr_interrupts++;
	dev->transport->queue_interrupt(dev->transport_ctx, index);
}

static void reset(struct virtio_dev *dev)
{
	dev->reset_wanted = false;
	dev->status = 0;
	dev->accepted = 0;
	for (unsigned i = 0; i < dev->nr_queues; i++)
		virtq_reset(&dev->queues[i]);
	if (dev->type->reset)
		dev->type->reset(dev->self);
	dev->transport->reset(dev->transport_ctx);
}

void virtio_hold(struct virtio_dev *dev)
{
	dev->nr_busy++;
}

bool virtio_release(struct virtio_dev *dev)
{
	dev->nr_busy--;
	if (dev->reset_wanted && dev->nr_busy == 0)
		reset(dev);
	return virtio_may_work(dev);
}

void virtio_begin_io(struct virtio_dev *dev)
{
	virtio_hold(dev);
	virtio_unlock(dev);
}

bool virtio_end_io(struct virtio_dev *dev)
{
	virtio_lock(dev);
	return virtio_release(dev);
}

static uint32_t half(uint64_t bits, uint32_t select)
{
	return select < 2 ? (uint32_t)(bits >> (32 * select)) : 0;
}

uint32_t virtio_read_features(const struct virtio_dev *dev, uint32_t select)
{
	return half(dev->offered, select);
}

uint32_t virtio_read_accepted(const struct virtio_dev *dev, uint32_t select)
{
	return half(dev->accepted, select);
}

void virtio_write_accepted(struct virtio_dev *dev, uint32_t select, uint32_t value)
{
	const unsigned shift = 32 * (select & 1);

	if (select > 1 || dev->status & VIRTIO_CONFIG_S_FEATURES_OK || dev->reset_wanted)
		return;
	dev->accepted = (dev->accepted & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static bool choice_is_acceptable(const struct virtio_dev *dev)
{
	if (dev->accepted & ~dev->offered)
		return false;
	if (dev->needs_platform && !virtio_has(dev, VIRTIO_F_ACCESS_PLATFORM))
		return false;
	return virtio_has(dev, VIRTIO_F_VERSION_1);
}

static void fix_features(struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->nr_queues; i++) {
		dev->queues[i].has_indirect = virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC);
		dev->queues[i].has_event_idx = virtio_has(dev, VIRTIO_RING_F_EVENT_IDX);
	}
}

uint8_t virtio_read_status(const struct virtio_dev *dev)
{
	return dev->status;
}

void virtio_write_status(struct virtio_dev *dev, uint8_t value)
{
	uint8_t added = value & DRIVER_STATUS & ~dev->status;

	if (dev->reset_wanted)
		return;
	if (value == 0) {
		if (dev->nr_busy == 0) {
			reset(dev);
			return;
		}
		dev->reset_wanted = true;
		virtio_kick(dev);
		return;
	}
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !choice_is_acceptable(dev))
		added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((dev->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status |= added;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK)
		fix_features(dev);
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && virtio_may_work(dev))
		virtio_kick(dev);
}

struct virtq *virtio_queue(struct virtio_dev *dev, unsigned index)
{
	return index < dev->nr_queues ? &dev->queues[index] : NULL;
}

struct virtq *virtio_queue_setup(struct virtio_dev *dev, unsigned index)
{
	struct virtq *queue = virtio_queue(dev, index);

	if (!queue || queue->enabled || is_live(dev) || dev->reset_wanted)
		return NULL;
	return queue;
}

void virtio_enable_queue(struct virtio_dev *dev, unsigned index)
{
	struct virtq *queue = virtio_queue_setup(dev, index);

	if (!queue || !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	if (virtq_enable(queue))
		virtio_fail(dev, queue->error);
}

void virtio_disable_queue(struct virtio_dev *dev, unsigned index)
{
	struct virtq *queue = virtio_queue(dev, index);

	if (queue && !is_live(dev) && !dev->reset_wanted)
		queue->enabled = false;
}

uint64_t virtio_read_config(const struct virtio_dev *dev, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (!range_within(offset, size, 0, dev->type->config_size))
		return 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)dev->config[offset + i] << (8 * i);
	return value;
}

void virtio_write_config(struct virtio_dev *dev, uint64_t offset, unsigned size, uint64_t value)
{
	if (!dev->type->write_config || dev->reset_wanted ||
	    !range_within(offset, size, 0, dev->type->config_size))
		return;
	dev->type->write_config(dev->self, (unsigned)offset, size, value);
}

void virtio_update_config(struct virtio_dev *dev, unsigned offset, const void *bytes, unsigned size)
{
	memcpy(dev->config + offset, bytes, size);
	dev->config_generation++;
	tell_config(dev);
}

void virtio_set_config(struct virtio_dev *dev, unsigned offset, const void *bytes, unsigned size)
{
	virtio_lock(dev);
	virtio_update_config(dev, offset, bytes, size);
	virtio_unlock(dev);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has the queues
 * ------------------
 *
 *	IDLE	 the driver is not ready, or may not be served: nobody has them
 *	RUNNING	 the back end has them, and the device counts as busy
 *	LOST	 there is no back end
 *
 *	IDLE -> RUNNING	 the driver is ready: features, memory, and for each queue its rings and the
 *			 index where to begin go to the back end
 *	RUNNING -> IDLE	 the driver wants a reset, or takes away the right to DMA: the back end
 *			 gives the indices back, and has let go of the rings
 *	any -> LOST	 an error. Where the back end stood is told by the used rings, or by books
 *			 that we have kept; see enum vhost_resume.
 *	LOST -> IDLE	 another one is adopted
 *
 * What a lost or a slow back end still does to memory that the driver has got back cannot be
 * prevented. It reaches what the guest has shared and nothing else.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "ccr/vhost_dev.h"

#define BIT(n) (1ull << (n))

/* Of the features that every device of ours offers, those that only a back end can keep. */
#define RING_FEATURES (BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

/* Messages about back ends that come and go, per device. */
#define MAX_MESSAGES 16

static unsigned nr_served(const struct vhost_dev *dev)
{
	return dev->config.nr_queues - dev->config.nr_own;
}

/* Of a back end's features, those that are the driver's business as well. */
static uint64_t passed_on(const struct vhost_dev_config *config)
{
	return config->type->virtio.features | RING_FEATURES | BIT(VIRTIO_F_VERSION_1);
}

static int check_back_end(const struct vhost_dev_config *config, struct ccr_err *err)
{
	const char *type = config->type->virtio.name;
	const unsigned nr = config->nr_queues - config->nr_own;

	if (!(config->vhost->features & BIT(VIRTIO_F_VERSION_1)))
		return err_set(err, -EOPNOTSUPP, "%s %s: the back end knows no virtio 1.0", type,
			       config->name);
	if (config->vhost->nr_queues && config->vhost->nr_queues < nr)
		return err_set(err, -EOPNOTSUPP,
			       "%s %s: the back end has %u queues, of which %u are "
			       "needed",
			       type, config->name, config->vhost->nr_queues, nr);
	return 0;
}

/* What the driver is to see. */
static int read_config(const struct vhost_dev *dev, uint8_t *ret_config)
{
	const struct vhost_dev_config *config = &dev->config;
	struct vhost *vhost = config->vhost;
	int ret;

	if (!config->type->adjust) {
		memcpy(ret_config, config->config, config->type->virtio.config_size);
		return 0;
	}
	if (!vhost->carrier->get_config)
		return -EOPNOTSUPP;
	ret = vhost->carrier->get_config(vhost, ret_config, config->type->virtio.config_size);
	if (!ret)
		config->type->adjust(ret_config, config->nr_queues, &config->limits);
	return ret;
}

int vhost_dev_init(struct vhost_dev *dev, const struct vhost_dev_config *config,
		   const struct virtio_setup *setup, struct ccr_err *err)
{
	struct virtio_setup own = *setup;
	int ret = check_back_end(config, err);

	if (ret)
		return ret;
	own.type = &config->type->virtio;
	own.self = dev;
	own.features = (config->vhost->features & ~config->withheld) | config->own_features;
	own.withheld = (RING_FEATURES & ~config->vhost->features) | config->withheld;
	own.nr_queues = config->nr_queues;
	own.queue_size = config->limits.queue_size;
	*dev = (struct vhost_dev){
		.config = *config,
		.mem = setup->mem,
		.log_limit = {MAX_MESSAGES},
	};
	virtio_init(&dev->virtio, &own);
	ret = read_config(dev, dev->virtio.config);
	if (ret) {
		virtio_done(&dev->virtio);
		return err_set(err, ret, "%s %s: no configuration from the back end: %s",
			       config->type->virtio.name, config->name, vhost_strerror(ret));
	}
	return 0;
}

/* Starting. */

static bool has_books(const struct vhost_dev *dev)
{
	return dev->config.type->resume == VHOST_RESUME_BOOKS;
}

/*
 * What the back end is to signal: KVM itself, if the driver has wired the interrupt so. But books
 * are only exact if we look each time.
 */
static int call_fd(struct vhost_dev *dev, unsigned index)
{
	const int fd = has_books(dev) ? -1 : virtio_queue_fd(&dev->virtio, index);

	return fd >= 0 ? fd : dev->config.call_fds[index];
}

/* A queue as the back end gets it. Return: false unless its rings are shared RAM. */
static bool describe_queue(struct vhost_dev *dev, unsigned index, struct vhost_queue *queue)
{
	const struct virtq *virtq = &dev->virtio.queues[index];
	struct virtio_segment rings[VIRTQ_NR_RINGS];
	struct virtio_pin pin;

	virtq_rings(virtq, rings);
	if (virtio_mem_pin(dev->mem, rings, VIRTQ_NR_RINGS, &pin))
		return false;
	virtio_mem_unpin(dev->mem, &pin);
	dev->calls[index] = call_fd(dev, index);
	*queue = (struct vhost_queue){
		.size = virtq->size,
		.base = virtq_base(virtq),
		.desc = virtio_mem_strip(dev->mem, virtq->desc).v,
		.avail = virtio_mem_strip(dev->mem, virtq->avail).v,
		.used = virtio_mem_strip(dev->mem, virtq->used).v,
		.kick_fd = dev->config.kick_fds[index],
		.call_fd = dev->calls[index],
		.err_fd = dev->config.err_fd,
	};
	return true;
}

static uint32_t own_queues(const struct vhost_dev *dev)
{
	const struct vhost_dev_config *config = &dev->config;

	if (config->type->own_queues)
		return config->type->own_queues(config->ctx);
	return ((1u << config->nr_own) - 1) << nr_served(dev);
}

/* All that are in use, one bit each in @ret_which. Return: false if the driver broke a rule. */
static bool describe_queues(struct vhost_dev *dev, struct vhost_queue *queues, uint32_t *ret_which)
{
	*ret_which = 0;
	for (unsigned i = 0; i < dev->config.nr_queues; i++) {
		if (!dev->virtio.queues[i].enabled || dev->own >> i & 1)
			continue;
		if (!describe_queue(dev, i, &queues[i])) {
			virtio_fail(&dev->virtio, "its rings are not in shared memory");
			return false;
		}
		*ret_which |= 1u << i;
	}
	return true;
}

/*
 * The books on a driver's queues are opened, or tell what the last back end has left. That one may
 * have gone on for a while after it was lost, so they are asked now. Return: false if they do not
 * know.
 */
static bool open_books(struct vhost_dev *dev)
{
	for (unsigned i = 0; i < dev->config.nr_queues && has_books(dev); i++) {
		if (!dev->books[i].is_open) {
			virtq_books_open(&dev->books[i], &dev->virtio.queues[i]);
		} else if (dev->virtio.queues[i].enabled &&
			   virtq_books_return(&dev->books[i], &dev->virtio.queues[i])) {
			virtio_need_reset(&dev->virtio);
			return false;
		}
	}
	return true;
}

static int hand_over(struct vhost_dev *dev, const struct vhost_queue *queues, uint64_t accepted)
{
	struct vhost *vhost = dev->config.vhost;
	int ret = vhost->carrier->set_features(vhost, accepted & vhost->features &
							      passed_on(&dev->config));

	if (!ret)
		ret = vhost->carrier->set_memory(vhost, dev->config.regions,
						 dev->config.nr_regions);
	for (unsigned i = 0; i < dev->config.nr_queues && !ret; i++) {
		if (dev->running >> i & 1)
			ret = vhost->carrier->start_queue(vhost, i, &queues[i]);
	}
	return ret ? ret : vhost->carrier->run(vhost, dev->running);
}

static void start(struct vhost_dev *dev)
{
	struct vhost_queue queues[VIRTIO_MAX_QUEUES];
	uint64_t accepted;
	int ret;

	virtio_lock(&dev->virtio);
	dev->own = own_queues(dev);
	if (!virtio_may_work(&dev->virtio) || !open_books(dev) ||
	    !describe_queues(dev, queues, &dev->running)) {
		virtio_unlock(&dev->virtio);
		return;
	}
	if (dev->config.type->set_up)
		dev->config.type->set_up(dev->config.ctx);
	accepted = dev->virtio.accepted;
	dev->is_running = true;
	virtio_begin_io(&dev->virtio);
	ret = hand_over(dev, queues, accepted);
	/* The kernel's word for rings that are not there, or are not shared any more. */
	if (ret == -EFAULT)
		vhost_dev_break(dev);
	else if (ret)
		vhost_dev_lose(dev, ret);
}

/* Stopping. */

static int take_back(struct vhost_dev *dev, uint16_t *bases)
{
	struct vhost *vhost = dev->config.vhost;
	int ret = vhost->carrier->halt ? vhost->carrier->halt(vhost, dev->running) : 0;

	for (unsigned i = 0; i < dev->config.nr_queues && !ret; i++) {
		if (dev->running >> i & 1)
			ret = vhost->carrier->stop_queue(vhost, i, &bases[i]);
	}
	return ret;
}

void vhost_dev_forget(struct vhost_dev *dev)
{
	for (unsigned i = 0; i < dev->config.nr_queues; i++)
		virtq_books_close(&dev->books[i]);
}

/* The queues are nobody's: a reset that has waited for that takes place now. */
static void end_running(struct vhost_dev *dev)
{
	dev->is_running = false;
	virtio_end_io(&dev->virtio);
	virtio_unlock(&dev->virtio);
}

void vhost_dev_stop(struct vhost_dev *dev)
{
	struct vhost *vhost = dev->config.vhost;
	uint16_t bases[VIRTIO_MAX_QUEUES] = {0};
	bool is_reset;
	int ret;

	if (!dev->is_running)
		return;
	ret = take_back(dev, bases);
	virtio_lock(&dev->virtio);
	for (unsigned i = 0; i < dev->config.nr_queues && !ret; i++) {
		if (dev->running >> i & 1)
			virtq_set_base(&dev->virtio.queues[i], bases[i]);
	}
	if (!ret)
		vhost_dev_forget(dev);
	is_reset = dev->virtio.reset_wanted;
	virtio_unlock(&dev->virtio);
	if (!ret && is_reset && vhost->carrier->reset)
		ret = vhost->carrier->reset(vhost);
	if (ret)
		vhost_dev_lose(dev, ret);
	else
		end_running(dev);
}

/* What was signalled the old way meanwhile is told once more, in case nobody was listening. */
static int rewire(struct vhost_dev *dev, unsigned index)
{
	struct vhost *vhost = dev->config.vhost;
	int fd, ret;

	virtio_lock(&dev->virtio);
	fd = call_fd(dev, index);
	virtio_unlock(&dev->virtio);
	if (fd == dev->calls[index])
		return 0;
	ret = vhost->carrier->set_call(vhost, index, fd);
	dev->calls[index] = fd;
	vhost_dev_interrupt(dev, index);
	return ret;
}

/* The driver may have changed how it wants to be interrupted. */
static void update_calls(struct vhost_dev *dev)
{
	int ret = 0;

	for (unsigned i = 0; i < dev->config.nr_queues && !ret; i++) {
		if (dev->running >> i & 1)
			ret = rewire(dev, i);
	}
	if (ret)
		vhost_dev_lose(dev, ret);
}

void vhost_dev_serve(struct vhost_dev *dev)
{
	bool wanted;

	virtio_lock(&dev->virtio);
	wanted = virtio_may_work(&dev->virtio);
	virtio_unlock(&dev->virtio);
	if (dev->is_running && !wanted)
		vhost_dev_stop(dev);
	else if (dev->is_running)
		update_calls(dev);
	else if (wanted && !vhost_dev_is_lost(dev))
		start(dev);
}

void vhost_dev_serve_own(struct vhost_dev *dev)
{
	bool more = false;

	virtio_lock(&dev->virtio);
	if (virtio_may_work(&dev->virtio) && dev->config.type->serve_own)
		more = dev->config.type->serve_own(dev->config.ctx);
	virtio_unlock(&dev->virtio);
	if (more)
		virtio_kick(&dev->virtio);
}

void vhost_dev_done(struct vhost_dev *dev)
{
	virtio_done(&dev->virtio);
}

/* What the back end says of its own accord. */

void vhost_dev_interrupt(struct vhost_dev *dev, unsigned index)
{
	virtio_lock(&dev->virtio);
	virtq_books_look(&dev->books[index], &dev->virtio.queues[index]);
	virtio_interrupt(&dev->virtio, index);
	virtio_unlock(&dev->virtio);
}

void vhost_dev_break(struct vhost_dev *dev)
{
	if (!dev->is_running)
		return;
	virtio_lock(&dev->virtio);
	virtio_fail(&dev->virtio, "the back end cannot use what is in a queue");
	virtio_unlock(&dev->virtio);
	vhost_dev_serve(dev);
}

void vhost_dev_config_changed(struct vhost_dev *dev)
{
	uint8_t config[VIRTIO_MAX_CONFIG];
	int ret;

	if (!dev->config.type->adjust || vhost_dev_is_lost(dev))
		return;
	ret = read_config(dev, config);
	if (ret)
		vhost_dev_lose(dev, ret);
	else
		virtio_set_config(&dev->virtio, 0, config, dev->config.type->virtio.config_size);
}

/* Losing it. */

/* Go on where the last one was. Return: false if that is not known. */
static bool find_place_of(struct vhost_dev *dev, unsigned index)
{
	struct virtq *queue = &dev->virtio.queues[index];

	switch (dev->config.type->resume) {
	case VHOST_RESUME_BOOKS:
		return virtq_books_return(&dev->books[index], queue) == 0;
	case VHOST_RESUME_ALWAYS:
		return virtq_resume(queue) >= 0;
	case VHOST_RESUME_NEVER:
		break;
	}
	return false;
}

/* It may have died between using a buffer and telling so: that is told now. */
static bool find_place(struct vhost_dev *dev)
{
	bool is_found = true;

	for (unsigned i = 0; i < dev->config.nr_queues && is_found; i++) {
		if (!(dev->running >> i & 1))
			continue;
		is_found = find_place_of(dev, i);
		virtio_interrupt(&dev->virtio, i);
	}
	return is_found;
}

void vhost_dev_lose(struct vhost_dev *dev, int error)
{
	bool goes_on = true;

	vhost_close(dev->config.vhost);
	virtio_lock(&dev->virtio);
	dev->nr_losses++;
	dev->is_lost = true;
	if (dev->is_running)
		goes_on = find_place(dev);
	if (log_allow(&dev->log_limit))
		log_warn("%s: the back end %s is lost: %s; %s", dev->virtio.type->name,
			 dev->config.name, vhost_strerror(error),
			 goes_on ? "the device waits for it to come back"
				 : "the guest must reset the device");
	if (!goes_on)
		virtio_need_reset(&dev->virtio);
	virtio_unlock(&dev->virtio);
	if (dev->is_running)
		end_running(dev);
}

bool vhost_dev_is_lost(const struct vhost_dev *dev)
{
	return dev->config.vhost->fd < 0;
}

uint64_t vhost_dev_nr_losses(struct vhost_dev *dev, bool *ret_is_lost)
{
	uint64_t nr;

	virtio_lock(&dev->virtio);
	nr = dev->nr_losses;
	*ret_is_lost = dev->is_lost;
	virtio_unlock(&dev->virtio);
	return nr;
}

/* Can it do what the driver was promised? */
static bool is_enough(const struct vhost_dev *dev, const struct vhost *fresh)
{
	const uint64_t promised = dev->virtio.offered & passed_on(&dev->config) &
				  ~dev->config.own_features;

	return !(promised & ~fresh->features) &&
	       (fresh->nr_queues == 0 || fresh->nr_queues >= nr_served(dev));
}

int vhost_dev_adopt(struct vhost_dev *dev, struct vhost *fresh)
{
	if (!is_enough(dev, fresh)) {
		vhost_close(fresh);
		return -EOPNOTSUPP;
	}
	*dev->config.vhost = *fresh;
	virtio_lock(&dev->virtio);
	dev->is_lost = false;
	virtio_unlock(&dev->virtio);
	vhost_dev_config_changed(dev);
	if (vhost_dev_is_lost(dev))
		return -ECONNRESET;
	if (log_allow(&dev->log_limit))
		log_info("%s: the back end %s is back", dev->virtio.type->name, dev->config.name);
	vhost_dev_serve(dev);
	return 0;
}

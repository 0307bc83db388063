/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all virtio devices have in common (virtio 1.2, 2.1 to 2.6), under any transport.
 *
 * A device type is a const struct virtio_type; a device embeds a struct virtio_dev; a transport
 * (virtio_pci.h) puts registers in front of it. All are modern, offer VIRTIO_F_VERSION_1,
 * VIRTIO_F_ACCESS_PLATFORM, indirect descriptors and event indices, and refuse drivers that do not
 * take the first, nor, in a realm, the second.
 *
 * Who runs what: registers on vCPU threads; virtio_service(), and with it everything that touches a
 * queue, in the event loop or in a worker of the device's own. One lock a device covers both; it is
 * let go of while a worker is in a system call.
 *
 * Lock order: PCI host, then device, then MSI-X. The callbacks of struct virtio_host and
 * struct virtio_transport are called with the device's lock held and do not call back.
 */
#ifndef CCR_VIRTIO_H
#define CCR_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/log.h"
#include "ccr/virtq.h"

#define VIRTIO_MAX_QUEUES 17
#define VIRTIO_MAX_CONFIG 64

/**
 * struct virtio_type - what a device is; the functions are called with the device's lock held
 * @name: for messages
 * @id: device id of the specification
 * @pci_class: class code, 24 bits
 * @features: the type's own feature bits, below 24 or from 50 on, that its devices can offer
 * @config_size: bytes of configuration space, at most VIRTIO_MAX_CONFIG
 * @nr_queues, @queue_sizes: most entries of each queue, powers of two; of a device that has more
 *	queues, the others are as large as the last one
 * @process: take what the queues hold. It stops when virtio_pop() says so, or when it can do no
 *	more for now; then the device's owner calls virtio_service() once it can. NULL for a
 *	device that has a function of its own in place of virtio_service()
 * @write_config: the driver writes [@offset, @offset + @size), which lies in the space; NULL if
 *	nothing in it is writable
 * @reset: forget the driver; NULL if there is nothing to forget. No I/O is going on.
 */
struct virtio_type {
	const char *name;
	uint16_t id;
	uint32_t pci_class;
	uint64_t features;
	uint16_t config_size;
	unsigned nr_queues;
	uint16_t queue_sizes[VIRTIO_MAX_QUEUES];
	void (*process)(void *self);
	void (*write_config)(void *self, unsigned offset, unsigned size, uint64_t value);
	void (*reset)(void *self);
};

/**
 * struct virtio_host - what a device needs from the machine
 * @kick: the device has work, or may no longer work: virtio_service() is to be called soon, by the
 *	right thread
 */
struct virtio_host {
	void (*kick)(void *ctx);
	void *ctx;
};

/**
 * struct virtio_transport - how a device reaches its driver
 * @queue_interrupt: buffers of queue @index were used
 * @config_interrupt: configuration space or status changed
 * @queue_fd: an eventfd that raises queue @index's interrupt, for a back end to signal; -1 if each
 *	takes a @queue_interrupt. The host is kicked when it becomes another. NULL for never.
 * @reset: the device was reset: interrupts withdrawn, vectors and selectors forgotten
 */
struct virtio_transport {
	void (*queue_interrupt)(void *ctx, unsigned index);
	void (*config_interrupt)(void *ctx);
	int (*queue_fd)(void *ctx, unsigned index);
	void (*reset)(void *ctx);
};

/**
 * struct virtio_setup - how a device is made
 * @self: passed to the functions of @type
 * @features: of @type's, those that this one offers
 * @withheld: of the features that all devices offer, those that this one does not
 * @nr_queues: at most VIRTIO_MAX_QUEUES; 0 for as many as the type has
 * @queue_size: a power of two that limits all queues; 0 for no limit but the type's
 * @needs_platform: the driver must take VIRTIO_F_ACCESS_PLATFORM (in realms of every kind)
 * @mem, @host: must outlive the device; @host is copied
 */
struct virtio_setup {
	const struct virtio_type *type;
	void *self;
	uint64_t features;
	uint64_t withheld;
	unsigned nr_queues;
	uint16_t queue_size;
	bool needs_platform;
	const struct virtio_mem *mem;
	struct virtio_host host;
};

/**
 * struct virtio_stats - what a device has done since its creation, resets notwithstanding
 * @nr_buffers: buffers given back to the driver; @nr_interrupts: times it was told of some. What a
 *	back end does without us is in neither.
 * @bytes_out, @bytes_in: in these buffers, from the driver and to it; headers count
 * @nr_host_errors: of these buffers, those whose request the host has failed
 */
struct virtio_stats {
	uint64_t nr_buffers;
	uint64_t nr_interrupts;
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t nr_host_errors;
};

/**
 * struct virtio_dev - a device; private to virtio.c but for what transports and devices are told
 * @nr_busy: requests that are with the host
 * @reset_wanted: the driver has asked for a reset, which waits for them
 * @may_dma: the transport lets the device touch memory
 */
struct virtio_dev {
	pthread_mutex_t lock;
	const struct virtio_type *type;
	void *self;
	struct virtio_host host;
	const struct virtio_transport *transport;
	void *transport_ctx;
	uint64_t offered;
	uint64_t accepted;
	bool needs_platform;
	bool may_dma;
	bool reset_wanted;
	uint8_t status;
	uint8_t config_generation;
	unsigned nr_busy;
	struct virtio_stats stats;
	uint64_t nr_failures; /* times the device had to ask for a reset */
	struct log_limit log_limit;
	unsigned nr_queues;
	struct virtq queues[VIRTIO_MAX_QUEUES];
	uint8_t config[VIRTIO_MAX_CONFIG];
};

/** virtio_init() - a device that no driver has seen, without a transport and not allowed to DMA */
void virtio_init(struct virtio_dev *dev, const struct virtio_setup *setup);
void virtio_done(struct virtio_dev *dev);

/** virtio_attach() - give the device its transport; once, before any thread runs */
void virtio_attach(struct virtio_dev *dev, const struct virtio_transport *transport, void *ctx);

/**
 * virtio_service() - let a device work on its queues
 *
 * Called by the event loop or the device's workers, whenever they were kicked, a queue's ioeventfd
 * was signalled, or the host end can go on. Cheap when there is nothing to do.
 */
void virtio_service(struct virtio_dev *dev);

/**
 * virtio_set_config() - change configuration space from the device's side; takes the lock
 *
 * The driver is told. [@offset, @offset + @size) lies in the space.
 */
void virtio_set_config(struct virtio_dev *dev, unsigned offset, const void *bytes, unsigned size);

/** virtio_update_config() - the same for callers that hold the lock */
void virtio_update_config(struct virtio_dev *dev, unsigned offset, const void *bytes,
			  unsigned size);

/**
 * virtio_get_stats() - takes the lock
 * @ret_failures: how often the device had to ask for a reset
 */
struct virtio_stats virtio_get_stats(struct virtio_dev *dev, uint64_t *ret_failures);

/** virtio_lock(), virtio_unlock() - the device's lock, for its own calls from outside */
void virtio_lock(struct virtio_dev *dev);
void virtio_unlock(struct virtio_dev *dev);

/* For devices; with the lock held. */

/**
 * virtio_may_work() - may the device touch its queues: driver ready, bus master, no reset due
 *
 * The host is kicked when it may again, and when it no longer may because of the driver's doing.
 */
bool virtio_may_work(const struct virtio_dev *dev);

/** virtio_has() - was feature @bit negotiated */
bool virtio_has(const struct virtio_dev *dev, unsigned bit);

/**
 * virtio_pop() - the next buffer of queue @index
 *
 * Return: false if there is none (the driver will notify of the next one), if the queue is not in
 * use, or if the device may not or can no longer work.
 */
bool virtio_pop(struct virtio_dev *dev, unsigned index, struct virtq_chain *chain);

/** virtio_push() - give a buffer back; virtio_notify() tells the driver, if it wants to be told */
void virtio_push(struct virtio_dev *dev, unsigned index, const struct virtq_chain *chain,
		 uint32_t written);
void virtio_notify(struct virtio_dev *dev, unsigned index);

/** virtio_put() - virtio_push(), but the driver sees it only once virtio_publish() is called */
void virtio_put(struct virtio_dev *dev, unsigned index, const struct virtq_chain *chain,
		uint32_t written);
void virtio_publish(struct virtio_dev *dev, unsigned index);

/**
 * virtio_fail() - the driver broke a rule: stop and ask it for a reset (DEVICE_NEEDS_RESET)
 * @why: static; logged, within limits
 */
void virtio_fail(struct virtio_dev *dev, const char *why);

/**
 * virtio_need_reset() - the device cannot go on, through no fault of its driver's
 *
 * The caller says why.
 */
void virtio_need_reset(struct virtio_dev *dev);

/** virtio_queue_fd() - an eventfd that does the next without us; -1 if there is none now */
int virtio_queue_fd(struct virtio_dev *dev, unsigned index);

/** virtio_interrupt() - tell the driver of used buffers, whether or not it wants to be told */
void virtio_interrupt(struct virtio_dev *dev, unsigned index);

/**
 * virtio_hold(), virtio_release() - a buffer goes to the host, and has come back
 *
 * A reset that the driver asks for in between is put off until all buffers have come back, so
 * memory that a driver gets back is its own. The lock is held in both, and may be let go of in
 * between. The host is kicked, for those that give buffers back only when told.
 *
 * Return: false if the buffers in hand are no longer the device's and must not be pushed.
 */
void virtio_hold(struct virtio_dev *dev);
bool virtio_release(struct virtio_dev *dev);

/**
 * virtio_begin_io(), virtio_end_io() - hold and let go of the lock for a system call; take the lock
 *	back and release. Return: as virtio_release().
 */
void virtio_begin_io(struct virtio_dev *dev);
bool virtio_end_io(struct virtio_dev *dev);

/* For transports; with the lock held. */

/** virtio_read_features() - offered bits 32 * @select and up; 0 beyond 63 */
uint32_t virtio_read_features(const struct virtio_dev *dev, uint32_t select);

/** virtio_read_accepted(), virtio_write_accepted() - the driver's choice; fixed by FEATURES_OK */
uint32_t virtio_read_accepted(const struct virtio_dev *dev, uint32_t select);
void virtio_write_accepted(struct virtio_dev *dev, uint32_t select, uint32_t value);

/** virtio_read_status() - stays non-zero until a reset has come to its end */
uint8_t virtio_read_status(const struct virtio_dev *dev);

/**
 * virtio_write_status() - 0 resets; bits are only ever added
 *
 * FEATURES_OK is refused (stays clear) for a choice the device does not accept, DRIVER_OK without
 * FEATURES_OK likewise.
 */
void virtio_write_status(struct virtio_dev *dev, uint8_t value);

/** virtio_queue() - NULL if there is no queue @index */
struct virtq *virtio_queue(struct virtio_dev *dev, unsigned index);

/** virtio_queue_setup() - the queue, if the driver may set its size and addresses now; or NULL */
struct virtq *virtio_queue_setup(struct virtio_dev *dev, unsigned index);

/** virtio_enable_queue() - between FEATURES_OK and DRIVER_OK, else ignored; may fail the device */
void virtio_enable_queue(struct virtio_dev *dev, unsigned index);

/** virtio_disable_queue() - ignored after DRIVER_OK, when only a reset stops queues */
void virtio_disable_queue(struct virtio_dev *dev, unsigned index);

/** virtio_read_config() - @size is 1 to 8; 0 unless all of it is configuration space */
uint64_t virtio_read_config(const struct virtio_dev *dev, uint64_t offset, unsigned size);
void virtio_write_config(struct virtio_dev *dev, uint64_t offset, unsigned size, uint64_t value);

/** virtio_set_dma() - may the device touch memory from now on (PCI: bus master) */
void virtio_set_dma(struct virtio_dev *dev, bool allowed);

/** virtio_rewired() - the driver has changed how it is interrupted */
void virtio_rewired(struct virtio_dev *dev);

/** virtio_kick() - the driver notified by a register instead of an ioeventfd */
void virtio_kick(struct virtio_dev *dev);

#endif

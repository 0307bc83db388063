/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device whose queues a back end runs (vhost.h): registers, status and features are ours,
 * buffers and interrupts its.
 *
 * Serve it from a thread of its own, which calls vhost_dev_serve() after each kick: it alone talks
 * to the back end, and may wait for it. While queues run the device counts as busy
 * (virtio_begin_io()), so a driver's reset is over only when the back end has let go of them.
 *
 * A back end that is lost does not take the machine with it. Until another one is adopted nothing
 * is served; whether the driver then has to reset the device depends on what may have been going
 * on.
 */
#ifndef CCR_VHOST_DEV_H
#define CCR_VHOST_DEV_H

#include "ccr/bounce.h"
#include "ccr/vhost.h"
#include "ccr/virtio.h"
#include "ccr/virtq_books.h"

/** enum vhost_resume - when may another back end go on where one was lost */
enum vhost_resume {
	VHOST_RESUME_NEVER, /* it knew things: open files, say */
	VHOST_RESUME_BOOKS, /* with the buffers that it had, by our books; they may be used twice */
	VHOST_RESUME_ALWAYS, /* behind the last one that it used: they are used in order */
};

/**
 * struct vhost_dev_type - a device type whose work a back end does
 * @virtio: its features are those that are passed on between driver and back end; no process()
 * @protocol: features of the vhost-user protocol to ask for
 * @adjust: change the back end's configuration space before the driver sees it; NULL if that is
 *	ours alone, and then no back end is asked for one
 * @own_queues: queues that are not the back end's, one bit each, once the driver has chosen its
 *	features; NULL for the last ones, as many as the device has of its own
 * @set_up: a driver has come, and no queue runs yet; NULL if nothing is to be done
 * @serve_own: the driver may have put something into a queue of ours. Return: true if that was not
 *	all. NULL if nothing ever happens on them.
 *
 * The last three are called by the device's thread, with the lock held.
 */
struct vhost_dev_type {
	struct virtio_type virtio;
	uint64_t protocol;
	enum vhost_resume resume;
	void (*adjust)(uint8_t *config, unsigned nr_queues, const struct bounce_limits *limits);
	uint32_t (*own_queues)(void *ctx);
	void (*set_up)(void *ctx);
	bool (*serve_own)(void *ctx);
};

/**
 * struct vhost_dev_config - how a device is made
 * @vhost: open; outlives the device, which closes it when it is lost
 * @name: of the back end, for messages; outlives the device
 * @own_features: that are offered whether or not the back end does, which is not told of them
 * @withheld: features that it does not offer although the back end does, or all devices do
 * @nr_queues: that the driver finds; @nr_own of them, the last ones, are not the back end's
 * @limits: what the driver may have in flight
 * @config: configuration space, of a type without adjust()
 * @regions: guest memory for the back end, @nr_regions of them
 * @ctx: for the functions of @type, but for those of @type->virtio, which get the device
 * @kick_fds, @call_fds: an eventfd for each queue: that notifies of buffers, and that the back end
 *	signals if the queue's interrupt has none of its own; see vhost_dev_interrupt(). They
 *	outlive the device.
 * @err_fd: one for all of them, that the kernel signals when it cannot use what is in a queue; see
 *	vhost_dev_break(). It outlives the device.
 */
struct vhost_dev_config {
	const struct vhost_dev_type *type;
	struct vhost *vhost;
	const char *name;
	uint64_t own_features;
	uint64_t withheld;
	unsigned nr_queues, nr_own;
	struct bounce_limits limits;
	const uint8_t *config;
	unsigned nr_regions;
	struct vhost_region regions[VHOST_MAX_REGIONS];
	void *ctx;
	const int *kick_fds, *call_fds;
	int err_fd;
};

/**
 * struct vhost_dev - private to vhost_dev.c but for @virtio
 * @is_running: the back end has the queues; only its thread looks
 * @running: which, one bit a queue; @own: those that are ours, as long as it is
 * @calls: what the back end signals for each
 * @books: of a type that resumes by them
 * @nr_losses, @is_lost: back ends lost so far, and is there none now; under the device's lock
 */
struct vhost_dev {
	struct virtio_dev virtio;
	struct vhost_dev_config config;
	const struct virtio_mem *mem;
	bool is_running;
	uint32_t running, own;
	int calls[VIRTIO_MAX_QUEUES];
	struct virtq_books books[VIRTIO_MAX_QUEUES];
	uint64_t nr_losses;
	bool is_lost;
	struct log_limit log_limit;
};

/**
 * vhost_dev_init() - a device in front of an open back end
 *
 * Return: 0, or an error with @err set: of the back end's, or -EOPNOTSUPP if it is too old or has
 * too few queues.
 */
int vhost_dev_init(struct vhost_dev *dev, const struct vhost_dev_config *config,
		   const struct virtio_setup *setup, struct ccr_err *err);

/** vhost_dev_done() - its queues do not run, and no other thread uses it any more */
void vhost_dev_done(struct vhost_dev *dev);

/** vhost_dev_stop() - take the queues back whatever the driver wishes; by the device's thread */
void vhost_dev_stop(struct vhost_dev *dev);

/** vhost_dev_serve() - start or stop the queues as the driver wishes; by the device's thread */
void vhost_dev_serve(struct vhost_dev *dev);

/** vhost_dev_forget() - the driver has reset the device: books are closed; with the lock held */
void vhost_dev_forget(struct vhost_dev *dev);

/** vhost_dev_serve_own() - carry out what is in queues of ours; by the device's thread */
void vhost_dev_serve_own(struct vhost_dev *dev);

/** vhost_dev_interrupt() - the back end has signalled queue @index's call_fd; any thread */
void vhost_dev_interrupt(struct vhost_dev *dev, unsigned index);

/** vhost_dev_break() - the kernel has signalled the err_fd; by the device's thread */
void vhost_dev_break(struct vhost_dev *dev);

/** vhost_dev_config_changed() - the back end says so: show the driver the new one; its thread */
void vhost_dev_config_changed(struct vhost_dev *dev);

/** vhost_dev_lose() - the back end is of no more use, because of @error; by the device's thread */
void vhost_dev_lose(struct vhost_dev *dev, int error);

/** vhost_dev_is_lost() - there is no back end; for the device's thread */
bool vhost_dev_is_lost(const struct vhost_dev *dev);

/**
 * vhost_dev_nr_losses() - back ends lost so far; any thread
 * @ret_is_lost: there is none now
 */
uint64_t vhost_dev_nr_losses(struct vhost_dev *dev, bool *ret_is_lost);

/**
 * vhost_dev_adopt() - a back end has come back; by the device's thread
 * @fresh: open; the device's after success, and closed otherwise
 *
 * Return: 0; -EOPNOTSUPP if it cannot do what the driver was promised; an error of the back end's.
 */
int vhost_dev_adopt(struct vhost_dev *dev, struct vhost *fresh);

/** vhost_blk_type - a disk; its contents, size and serial number are the back end's */
extern const struct vhost_dev_type vhost_blk_type;

/** vhost_blk_own_features() - for struct vhost_dev_config */
uint64_t vhost_blk_own_features(const struct bounce_limits *limits);

/** vhost_blk_nr_queues() - at most @wanted, and at most what the back end has; at least 1 */
unsigned vhost_blk_nr_queues(const struct vhost *vhost, unsigned wanted);

/** vhost_blk_is_read_only() - does the back end refuse writes */
bool vhost_blk_is_read_only(const struct vhost *vhost);

#define VHOST_FS_TAG_SIZE    36
#define VHOST_FS_CONFIG_SIZE 40
#define VHOST_FS_NR_QUEUES   2

/** vhost_fs_type - a directory of the host's (virtiofs), without a window for DAX */
extern const struct vhost_dev_type vhost_fs_type;

/** vhost_fs_fill_config() - @tag: what the guest mounts, at most VHOST_FS_TAG_SIZE bytes */
void vhost_fs_fill_config(uint8_t config[VHOST_FS_CONFIG_SIZE], const char *tag);

#define VHOST_VSOCK_CONFIG_SIZE 8
#define VHOST_VSOCK_NR_QUEUES   3
#define VHOST_VSOCK_NR_OWN      1
/** VHOST_VSOCK_BOUNCED_SIZE - of its rings where buffers bounce: the driver keeps one full */
#define VHOST_VSOCK_BOUNCED_SIZE 16

/** vhost_vsock_type - the host kernel's vsock; its configuration space is the guest's address */
extern const struct vhost_dev_type vhost_vsock_type;

#endif

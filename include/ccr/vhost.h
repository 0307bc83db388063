/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back ends that run the queues of a virtio device: other programs, over the vhost-user protocol,
 * or the kernel (vhost). One front end, struct vhost, with two carriers.
 *
 * A back end maps guest memory, is told where the rings are and which descriptors announce buffers
 * (kick) and used ones (call), and from then on works without us. It sees the shared side of guest
 * memory and nothing else, so it needs no IOMMU in a realm: VIRTIO_F_ACCESS_PLATFORM is between us
 * and the driver, and never passed on.
 *
 * A back end is not trusted to keep the protocol. No call waits longer than the patience of its
 * struct vhost; an answer that is not exactly the one that was asked for is an error, and after an
 * error the connection is of no more use. All errors are one of:
 *
 *	-ECONNRESET	it has closed the connection
 *	-ETIMEDOUT	it does not answer
 *	-EPROTO		it sent something else than the answer
 *	-EREMOTEIO	it refused the request
 *	another -errno	of our own system calls
 *
 * One thread at a time uses a struct vhost.
 */
#ifndef CCR_VHOST_H
#define CCR_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"

/** VHOST_MAX_REGIONS - guest memory, at its address and at its address with the shared bit */
#define VHOST_MAX_REGIONS 2
/** VHOST_MAX_PAIRS - of queues of a network; the kernel has a device for each */
#define VHOST_MAX_PAIRS 8
/** VHOST_MAX_CONFIG - bytes of configuration space that are asked for at most */
#define VHOST_MAX_CONFIG 256

/**
 * struct vhost_region - guest memory for a back end
 * @guest_at: first address, as descriptors have it
 * @user_at: for the kernel, where this process has it mapped; for a program any number that is
 *	another than those of the other regions
 * @fd, @offset: where a program maps it from; borrowed
 */
struct vhost_region {
	uint64_t guest_at, size, user_at;
	int fd;
	uint64_t offset;
};

/**
 * struct vhost_queue - a queue that a back end is to run
 * @size: entries
 * @base: index of the next buffer to take
 * @desc, @avail, @used: guest addresses of its rings, inside the memory that it was given
 * @kick_fd, @call_fd: eventfds; the back end gets copies
 * @err_fd: one that the kernel signals if it cannot use what is in the queue; programs are not told
 */
struct vhost_queue {
	uint16_t size, base;
	uint64_t desc, avail, used;
	int kick_fd, call_fd, err_fd;
};

struct vhost;

/**
 * struct vhost_carrier - how requests reach a back end; all return 0 or -errno
 * @set_features: as negotiated; a part of vhost.features
 * @set_memory: before the first queue is started
 * @start_queue: its rings are looked at once @run was called
 * @set_call: another descriptor for used buffers, while the queue runs
 * @run: the queues that were started, one bit each in @which
 * @stop_queue: on return the queue is not looked at any more. @ret_base is the next buffer to take.
 * @halt: before the queues in @which are stopped; NULL if there is nothing to do
 * @reset: the driver has reset the device, whose queues are stopped; NULL if nothing is to be done
 * @check: @fd is readable although nothing was asked: what has happened; NULL if it never is
 * @get_config: the first @size bytes of configuration space; NULL if back ends have none
 */
struct vhost_carrier {
	int (*set_features)(struct vhost *vhost, uint64_t features);
	int (*set_memory)(struct vhost *vhost, const struct vhost_region *regions, unsigned nr);
	int (*start_queue)(struct vhost *vhost, unsigned index, const struct vhost_queue *queue);
	int (*set_call)(struct vhost *vhost, unsigned index, int fd);
	int (*run)(struct vhost *vhost, uint32_t which);
	int (*stop_queue)(struct vhost *vhost, unsigned index, uint16_t *ret_base);
	int (*halt)(struct vhost *vhost, uint32_t which);
	int (*reset)(struct vhost *vhost);
	int (*check)(struct vhost *vhost);
	int (*get_config)(struct vhost *vhost, void *buf, uint32_t size);
};

/**
 * struct vhost - a back end at the other end of @fd
 * @fd: socket or device; -1 while there is no back end
 * @more_fds: of a network's pairs of queues but the first, whose device is @fd; @nr_more of them
 * @tap_fds: where the frames of each of these pairs go; borrowed
 * @request_fd: socket for requests of the back end's own; -1 if it makes none
 * @features: that it offers, without those of the protocol
 * @protocol: features of the vhost-user protocol, as agreed
 * @nr_queues: most that it runs; 0 if it did not say
 * @patience_ms: for each request; may be changed at any time
 * @regions: as set
 */
struct vhost {
	const struct vhost_carrier *carrier;
	int fd;
	unsigned nr_more;
	int more_fds[VHOST_MAX_PAIRS - 1];
	const int *tap_fds;
	int request_fd;
	uint64_t features;
	uint64_t protocol;
	bool has_protocol;
	unsigned nr_queues;
	unsigned patience_ms;
	unsigned nr_regions;
	struct vhost_region regions[VHOST_MAX_REGIONS];
};

/** vhost_close() - takes a struct vhost that never was open as well */
void vhost_close(struct vhost *vhost);

/** vhost_strerror() - an error of a carrier's, for people */
const char *vhost_strerror(int error);

/**
 * vhost_translate() - an address of the guest's in terms of user_at, for carriers
 *
 * Return: 0; -EFAULT unless all @size bytes are in one region.
 */
int vhost_translate(const struct vhost *vhost, uint64_t guest_at, uint64_t size,
		    uint64_t *ret_user_at);

/* Features of the vhost-user protocol that we know; a device asks for some of them. */
#define VHOST_USER_MQ           (1ull << 0)
#define VHOST_USER_REPLY_ACK    (1ull << 3)
#define VHOST_USER_BACKEND_REQ  (1ull << 5)
#define VHOST_USER_CONFIG       (1ull << 9)
#define VHOST_USER_RESET_DEVICE (1ull << 13)

/** VHOST_USER_PATIENCE_MS - for a program to answer: stopping a queue may wait for its disk */
#define VHOST_USER_PATIENCE_MS 10000u

/**
 * vhost_user_connect() - to the socket of a back end. The one place that does.
 *
 * Return: a non-blocking socket; -errno of connect(2), -ENAMETOOLONG.
 */
int vhost_user_connect(const char *path);

/**
 * vhost_user_init() - a program at the other end of a socket: agree on how to talk
 * @fd: non-blocking; belongs to @ret_vhost after success, and is closed otherwise
 * @wanted: protocol features, of those above; what the back end lacks is left out
 * @patience_ms: see struct vhost
 *
 * Return: 0 or an error as above.
 */
int vhost_user_init(struct vhost *ret_vhost, int fd, uint64_t wanted, unsigned patience_ms);

/** enum vhost_user_request - what a back end may ask of us */
enum vhost_user_request {
	VHOST_USER_REQUEST_NONE,
	VHOST_USER_REQUEST_CONFIG, /* its configuration space has changed */
};

/**
 * vhost_user_serve() - take a request from vhost.request_fd, which is readable, and answer it
 *
 * What we do not know is refused, if an answer is wanted. A back end that breaks the protocol here
 * loses this channel and nothing else.
 */
enum vhost_user_request vhost_user_serve(struct vhost *vhost);

/**
 * vhost_kernel_open_vsock() - the vsock of the host's kernel, for a guest with address @cid
 *
 * Return: 0, or -errno with @err set: -EADDRINUSE if another guest has the address, else why
 * /dev/vhost-vsock cannot be had.
 */
int vhost_kernel_open_vsock(struct vhost *ret_vhost, uint32_t cid, struct ccr_err *err);

/**
 * vhost_kernel_open_net() - the kernel moves the frames of a tap (vhost-net)
 * @tap_fds: of the tap, one a pair of queues, attached with IFF_VNET_HDR; they stay open as long
 * @nr_pairs: of them; up to VHOST_MAX_PAIRS
 *
 * Return: 0, or -errno with @err set: why /dev/vhost-net cannot be had.
 */
int vhost_kernel_open_net(struct vhost *ret_vhost, const int *tap_fds, unsigned nr_pairs,
			  struct ccr_err *err);

#endif

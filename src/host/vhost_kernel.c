/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back ends in the kernel (vhost). It reaches guest memory through our own mapping, so what is not
 * shared is as far from it as from us: an access is an error of the queue's.
 *
 * A network has a device of the kernel's for each pair of queues, which numbers its two from 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ccr/vhost.h"

/*
 * syscalls(worker build): ioctl:VHOST_SET_OWNER ioctl:VHOST_SET_FEATURES ioctl:VHOST_SET_MEM_TABLE
 *	ioctl:VHOST_SET_VRING_NUM ioctl:VHOST_SET_VRING_BASE ioctl:VHOST_SET_VRING_ADDR
 *	ioctl:VHOST_SET_VRING_CALL ioctl:VHOST_SET_VRING_KICK ioctl:VHOST_SET_VRING_ERR
 *	ioctl:VHOST_GET_VRING_BASE ioctl:VHOST_VSOCK_SET_RUNNING ioctl:VHOST_NET_SET_BACKEND
 */
static int request(int fd, unsigned long number, void *argument)
{
	return ioctl(fd, number, argument) < 0 ? -errno : 0;
}

/* The device that has queue @index, and what the queue is called there. */
static int device_of(const struct vhost *vhost, unsigned index, unsigned *ret_ring)
{
	const unsigned pair = vhost->nr_more ? index / 2 : 0;

	*ret_ring = vhost->nr_more ? index % 2 : index;
	return pair > 0 ? vhost->more_fds[pair - 1] : vhost->fd;
}

/* The owner is the process that runs the guest, which may not be the one that opened the device. */
static int set_device_features(int fd, uint64_t features)
{
	const int ret = request(fd, VHOST_SET_OWNER, NULL);

	/* It is ours already, or the next request is refused. */
	if (ret && ret != -EBUSY)
		return ret;
	return request(fd, VHOST_SET_FEATURES, &features);
}

static int set_features(struct vhost *vhost, uint64_t features)
{
	int ret = set_device_features(vhost->fd, features);

	for (unsigned i = 0; i < vhost->nr_more && !ret; i++)
		ret = set_device_features(vhost->more_fds[i], features);
	return ret;
}

static int set_memory(struct vhost *vhost, const struct vhost_region *regions, unsigned nr)
{
	union {
		struct vhost_memory table;
		uint8_t bytes[sizeof(struct vhost_memory) +
			      VHOST_MAX_REGIONS * sizeof(struct vhost_memory_region)];
	} memory = {.table.nregions = nr};
	int ret;

	for (unsigned i = 0; i < nr; i++) {
		memory.table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = regions[i].guest_at,
			.memory_size = regions[i].size,
			.userspace_addr = regions[i].user_at,
		};
		vhost->regions[i] = regions[i];
	}
	vhost->nr_regions = nr;
	ret = request(vhost->fd, VHOST_SET_MEM_TABLE, &memory);
	for (unsigned i = 0; i < vhost->nr_more && !ret; i++)
		ret = request(vhost->more_fds[i], VHOST_SET_MEM_TABLE, &memory);
	return ret;
}

static int set_state(const struct vhost *vhost, unsigned long number, unsigned index,
		     unsigned value)
{
	struct vhost_vring_state state = {.num = value};
	const int fd = device_of(vhost, index, &state.index);

	return request(fd, number, &state);
}

static int set_fd(const struct vhost *vhost, unsigned long number, unsigned index, int file)
{
	struct vhost_vring_file argument = {.fd = file};
	const int fd = device_of(vhost, index, &argument.index);

	return request(fd, number, &argument);
}

static int set_rings(struct vhost *vhost, unsigned index, const struct vhost_queue *queue)
{
	struct vhost_vring_addr addr = {0};
	const int fd = device_of(vhost, index, &addr.index);
	uint64_t desc, avail, used;

	if (vhost_translate(vhost, queue->desc, 1, &desc) ||
	    vhost_translate(vhost, queue->avail, 1, &avail) ||
	    vhost_translate(vhost, queue->used, 1, &used))
		return -EFAULT;
	addr.desc_user_addr = desc;
	addr.avail_user_addr = avail;
	addr.used_user_addr = used;
	return request(fd, VHOST_SET_VRING_ADDR, &addr);
}

static int set_call(struct vhost *vhost, unsigned index, int fd)
{
	return set_fd(vhost, VHOST_SET_VRING_CALL, index, fd);
}

static int start_queue(struct vhost *vhost, unsigned index, const struct vhost_queue *queue)
{
	int ret = set_state(vhost, VHOST_SET_VRING_NUM, index, queue->size);

	if (!ret)
		ret = set_state(vhost, VHOST_SET_VRING_BASE, index, queue->base);
	if (!ret)
		ret = set_rings(vhost, index, queue);
	if (!ret)
		ret = set_call(vhost, index, queue->call_fd);
	if (!ret)
		ret = set_fd(vhost, VHOST_SET_VRING_ERR, index, queue->err_fd);
	return ret ? ret : set_fd(vhost, VHOST_SET_VRING_KICK, index, queue->kick_fd);
}

static int stop_queue(struct vhost *vhost, unsigned index, uint16_t *ret_base)
{
	struct vhost_vring_state state = {0};
	const int fd = device_of(vhost, index, &state.index);
	const int ret = request(fd, VHOST_GET_VRING_BASE, &state);

	if (!ret)
		*ret_base = (uint16_t)state.num;
	return ret;
}

static int set_running(struct vhost *vhost, int running)
{
	return request(vhost->fd, VHOST_VSOCK_SET_RUNNING, &running);
}

static int run_vsock(struct vhost *vhost, uint32_t which)
{
	(void)which;
	return set_running(vhost, 1);
}

static int halt_vsock(struct vhost *vhost, uint32_t which)
{
	(void)which;
	return set_running(vhost, 0);
}

static const struct vhost_carrier vhost_kernel_vsock_carrier = {
	.set_features = set_features,
	.set_memory = set_memory,
	.start_queue = start_queue,
	.set_call = set_call,
	.run = run_vsock,
	.halt = halt_vsock,
	.stop_queue = stop_queue,
};

static int prepare_vsock(struct vhost *vhost, uint32_t cid, struct ccr_err *err)
{
	uint64_t address = cid;
	int ret = request(vhost->fd, VHOST_GET_FEATURES, &vhost->features);

	if (ret)
		return err_set(err, ret, "--vsock vhost: the kernel refuses: %s", strerror(-ret));
	ret = request(vhost->fd, VHOST_VSOCK_SET_GUEST_CID, &address);
	if (ret == -EADDRINUSE)
		return err_set(err, ret,
			       "--vsock vhost,cid=%u: another guest of this host has the address; "
			       "choose another one",
			       cid);
	return ret ? err_set(err, ret, "--vsock vhost,cid=%u: the kernel refuses: %s", cid,
			     strerror(-ret))
		   : 0;
}

int vhost_kernel_open_vsock(struct vhost *ret_vhost, uint32_t cid, struct ccr_err *err)
{
	struct vhost vhost = {
		.carrier = &vhost_kernel_vsock_carrier,
		.fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC),
		.request_fd = -1,
	};
	int ret;

	if (vhost.fd < 0)
		return err_set(err, -errno,
			       "/dev/vhost-vsock: cannot open it: %s; load vhost_vsock, or give "
			       "--vsock a path",
			       strerror(errno));
	ret = prepare_vsock(&vhost, cid, err);
	if (ret)
		vhost_close(&vhost);
	else
		*ret_vhost = vhost;
	return ret;
}

/* Networks. */

/* A tap for each queue in @which, or none: a queue with a tap runs. */
static int set_taps(struct vhost *vhost, uint32_t which, bool are_set)
{
	int ret = 0;

	for (unsigned i = 0; i < 2 * VHOST_MAX_PAIRS && !ret; i++) {
		if (which >> i & 1)
			ret = set_fd(vhost, VHOST_NET_SET_BACKEND, i,
				     are_set ? vhost->tap_fds[i / 2] : -1);
	}
	return ret;
}

static int run_net(struct vhost *vhost, uint32_t which)
{
	return set_taps(vhost, which, true);
}

static int halt_net(struct vhost *vhost, uint32_t which)
{
	return set_taps(vhost, which, false);
}

static const struct vhost_carrier vhost_kernel_net_carrier = {
	.set_features = set_features,
	.set_memory = set_memory,
	.start_queue = start_queue,
	.set_call = set_call,
	.run = run_net,
	.halt = halt_net,
	.stop_queue = stop_queue,
};

static int open_net_device(struct ccr_err *err)
{
	const int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

	return fd < 0 ? err_set(err, -errno,
				"/dev/vhost-net: cannot open it: %s; load vhost_net, or use "
				"vhost=off",
				strerror(errno))
		      : fd;
}

/* One more device for each pair of queues but the first. */
static int open_more(struct vhost *vhost, unsigned nr_pairs, struct ccr_err *err)
{
	while (vhost->nr_more + 1 < nr_pairs) {
		const int fd = open_net_device(err);

		if (fd < 0)
			return fd;
		vhost->more_fds[vhost->nr_more++] = fd;
	}
	return 0;
}

int vhost_kernel_open_net(struct vhost *ret_vhost, const int *tap_fds, unsigned nr_pairs,
			  struct ccr_err *err)
{
	struct vhost vhost = {
		.carrier = &vhost_kernel_net_carrier,
		.fd = open_net_device(err),
		.tap_fds = tap_fds,
		.request_fd = -1,
		.nr_queues = 2 * nr_pairs,
	};
	int ret;

	if (vhost.fd < 0)
		return vhost.fd;
	ret = open_more(&vhost, nr_pairs, err);
	if (!ret) {
		ret = request(vhost.fd, VHOST_GET_FEATURES, &vhost.features);
		if (ret)
			err_set(err, ret, "/dev/vhost-net: the kernel refuses: %s", strerror(-ret));
	}
	/* The tap's header is the guest's; the kernel is not to add one. */
	vhost.features &= ~(1ull << VHOST_NET_F_VIRTIO_NET_HDR);
	if (ret)
		vhost_close(&vhost);
	else
		*ret_vhost = vhost;
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back ends in the kernel (vhost). It reaches guest memory through our own mapping, so what is not
 * shared is as far from it as from us: an access is an error of the queue's.
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
 *	ioctl:VHOST_SET_VRING_CALL ioctl:VHOST_SET_VRING_KICK ioctl:VHOST_GET_VRING_BASE
 *	ioctl:VHOST_VSOCK_SET_RUNNING
 */
static int request(const struct vhost *vhost, unsigned long number, void *argument)
{
	return ioctl(vhost->fd, number, argument) < 0 ? -errno : 0;
}

/* The owner is the process that runs the guest, which may not be the one that opened the device. */
static int set_features(struct vhost *vhost, uint64_t features)
{
	const int ret = request(vhost, VHOST_SET_OWNER, NULL);

	/* It is ours already, or the next request is refused. */
	if (ret && ret != -EBUSY)
		return ret;
	return request(vhost, VHOST_SET_FEATURES, &features);
}

static int set_memory(struct vhost *vhost, const struct vhost_region *regions, unsigned nr)
{
	union {
		struct vhost_memory table;
		uint8_t bytes[sizeof(struct vhost_memory) +
			      VHOST_MAX_REGIONS * sizeof(struct vhost_memory_region)];
	} memory = {.table.nregions = nr};

	for (unsigned i = 0; i < nr; i++) {
		memory.table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = regions[i].guest_at,
			.memory_size = regions[i].size,
			.userspace_addr = regions[i].user_at,
		};
		vhost->regions[i] = regions[i];
	}
	vhost->nr_regions = nr;
	return request(vhost, VHOST_SET_MEM_TABLE, &memory);
}

static int set_state(struct vhost *vhost, unsigned long number, unsigned index, unsigned value)
{
	struct vhost_vring_state state = {.index = index, .num = value};

	return request(vhost, number, &state);
}

static int set_fd(struct vhost *vhost, unsigned long number, unsigned index, int fd)
{
	struct vhost_vring_file file = {.index = index, .fd = fd};

	return request(vhost, number, &file);
}

static int set_rings(struct vhost *vhost, unsigned index, const struct vhost_queue *queue)
{
	struct vhost_vring_addr addr = {.index = index};
	uint64_t desc, avail, used;

	if (vhost_translate(vhost, queue->desc, 1, &desc) ||
	    vhost_translate(vhost, queue->avail, 1, &avail) ||
	    vhost_translate(vhost, queue->used, 1, &used))
		return -EFAULT;
	addr.desc_user_addr = desc;
	addr.avail_user_addr = avail;
	addr.used_user_addr = used;
	return request(vhost, VHOST_SET_VRING_ADDR, &addr);
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
	return ret ? ret : set_fd(vhost, VHOST_SET_VRING_KICK, index, queue->kick_fd);
}

static int stop_queue(struct vhost *vhost, unsigned index, uint16_t *ret_base)
{
	struct vhost_vring_state state = {.index = index};
	const int ret = request(vhost, VHOST_GET_VRING_BASE, &state);

	if (!ret)
		*ret_base = (uint16_t)state.num;
	return ret;
}

static int set_running(struct vhost *vhost, int running)
{
	return request(vhost, VHOST_VSOCK_SET_RUNNING, &running);
}

static int run(struct vhost *vhost, uint32_t which)
{
	(void)which;
	return set_running(vhost, 1);
}

static int halt(struct vhost *vhost)
{
	return set_running(vhost, 0);
}

static const struct vhost_carrier vhost_kernel_vsock_carrier = {
	.set_features = set_features,
	.set_memory = set_memory,
	.start_queue = start_queue,
	.set_call = set_call,
	.run = run,
	.halt = halt,
	.stop_queue = stop_queue,
};

static int prepare_vsock(struct vhost *vhost, uint32_t cid, struct ccr_err *err)
{
	uint64_t address = cid;
	int ret = request(vhost, VHOST_GET_FEATURES, &vhost->features);

	if (ret)
		return err_set(err, ret, "--vsock vhost: the kernel refuses: %s", strerror(-ret));
	ret = request(vhost, VHOST_VSOCK_SET_GUEST_CID, &address);
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

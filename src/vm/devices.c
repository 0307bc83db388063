/* SPDX-License-Identifier: Apache-2.0 */
/* Which virtio devices a machine has, and what is particular to each kind. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static unsigned count_one(const struct machine_config *config)
{
	(void)config;
	return 1;
}

/* Console: the event loop moves its bytes (loop.c). */

static int create_console(struct machine *machine, unsigned nr, const struct machine_config *config,
			  const struct virtio_setup *setup, struct virtio_dev **ret_dev,
			  struct ccr_err *err)
{
	(void)nr, (void)config;
	if (vconsole_init(&machine->console, setup))
		return err_set(err, -ENOMEM, "console: out of memory");
	*ret_dev = &machine->console.virtio;
	return 0;
}

static void destroy_console(struct machine *machine, unsigned nr)
{
	(void)nr;
	vconsole_done(&machine->console);
}

static const struct device_kind console_kind = {
	.name = "console",
	.first_slot = SLOT_CONSOLE,
	.server = SERVED_BY_LOOP,
	.count = count_one,
	.create = create_console,
	.destroy = destroy_console,
};

/* Entropy source: what was asked for in excess waits for the next period. */

static int create_rng(struct machine *machine, unsigned nr, const struct machine_config *config,
		      const struct virtio_setup *setup, struct virtio_dev **ret_dev,
		      struct ccr_err *err)
{
	(void)nr, (void)config, (void)err;
	vrng_init(&machine->rng, setup, NULL);
	*ret_dev = &machine->rng.virtio;
	return 0;
}

static void destroy_rng(struct machine *machine, unsigned nr)
{
	(void)nr;
	vrng_done(&machine->rng);
}

static uint64_t rng_wait_ns(struct machine *machine, unsigned nr)
{
	(void)nr;
	return vrng_wait_ns(&machine->rng);
}

static const struct device_kind rng_kind = {
	.name = "rng",
	.first_slot = SLOT_RNG,
	.server = SERVED_BY_LOOP,
	.count = count_one,
	.create = create_rng,
	.destroy = destroy_rng,
	.wait_ns = rng_wait_ns,
};

/* Disks: each queue has a thread and an I/O engine, which the thread waits for. */

static unsigned count_disks(const struct machine_config *config)
{
	return config->nr_disks;
}

static int create_disk(struct machine *machine, unsigned nr, const struct machine_config *config,
		       const struct virtio_setup *setup, struct virtio_dev **ret_dev,
		       struct ccr_err *err)
{
	const struct blk_config blk = {
		.disk = &config->disks[nr],
		.serial = config->serials[nr],
		.limits = config->limits,
		.io = config->disk_wishes[nr].io,
		.nr_queues = config->disk_queues[nr],
	};
	const int ret = blk_init(&machine->blks[nr], &blk, setup, err);

	if (!ret)
		*ret_dev = &machine->blks[nr].virtio;
	return ret;
}

static unsigned disk_lanes(const struct machine_config *config, unsigned nr)
{
	return config->disk_queues[nr];
}

static int disk_lane_fd(struct machine *machine, unsigned nr, unsigned lane)
{
	return blk_fd(&machine->blks[nr], lane);
}

static void work_disk(struct machine *machine, unsigned nr, unsigned lane)
{
	blk_work(&machine->blks[nr], lane);
}

static void destroy_disk(struct machine *machine, unsigned nr)
{
	blk_done(&machine->blks[nr]);
}

_Static_assert(VM_MAX_DISKS *BLK_MAX_QUEUES *AIO_MAX_DEPTH <= GMEM_MAX_PINS,
	       "memory can be held for all that disks may have in flight");

static const struct device_kind disk_kind = {
	.name = "disk",
	.first_slot = SLOT_DISKS,
	.server = SERVED_BY_THREADS,
	.count = count_disks,
	.nr_lanes = disk_lanes,
	.create = create_disk,
	.destroy = destroy_disk,
	.lane_fd = disk_lane_fd,
	.work = work_disk,
};

/* vsock: the host's sockets are in one epoll set. */

static unsigned count_vsocks(const struct machine_config *config)
{
	return config->vsock ? 1 : 0;
}

static int create_vsock(struct machine *machine, unsigned nr, const struct machine_config *config,
			const struct virtio_setup *setup, struct virtio_dev **ret_dev,
			struct ccr_err *err)
{
	int ret =
		vsockets_init(&machine->vsockets, config->vsock, config->sockets, &machine->vsock);

	(void)nr;
	if (ret)
		return err_set(err, ret, "vsock: no descriptor: %s", strerror(-ret));
	ret = vvsock_init(&machine->vsock, config->vsock_cid, &vsockets_host, &machine->vsockets,
			  setup);
	if (ret) {
		vsockets_done(&machine->vsockets);
		return err_set(err, ret, "vsock: out of memory");
	}
	machine->has_vsock = true;
	*ret_dev = &machine->vsock.virtio;
	return 0;
}

static void destroy_vsock(struct machine *machine, unsigned nr)
{
	(void)nr;
	vvsock_done(&machine->vsock);
	vsockets_done(&machine->vsockets);
	machine->has_vsock = false;
}

static void vsock_wait(struct machine *machine, unsigned nr, struct pollfd *ret_source)
{
	(void)nr;
	*ret_source = (struct pollfd){.fd = machine->vsockets.epoll_fd, .events = POLLIN};
}

static void vsock_serve(struct machine *machine, unsigned nr)
{
	(void)nr;
	vsockets_serve(&machine->vsockets);
}

static const struct device_kind vsock_kind = {
	.name = "vsock",
	.first_slot = SLOT_VSOCK,
	.server = SERVED_BY_LOOP,
	.count = count_vsocks,
	.create = create_vsock,
	.destroy = destroy_vsock,
	.wait = vsock_wait,
	.serve = vsock_serve,
};

/* Networks: each has a thread, which waits for the driver and for the host end. */

static unsigned count_nets(const struct machine_config *config)
{
	return config->nr_nets;
}

static int create_net(struct machine *machine, unsigned nr, const struct machine_config *config,
		      const struct virtio_setup *setup, struct virtio_dev **ret_dev,
		      struct ccr_err *err)
{
	struct vnet *vnet = &machine->vnets[nr];
	struct net *net = &config->nets[nr];

	if (vnet_init(vnet, net, &config->net_limits, setup))
		return err_set(err, -ENOMEM, "%s: out of memory", net->name);
	*ret_dev = &vnet->virtio;
	return 0;
}

static void destroy_net(struct machine *machine, unsigned nr)
{
	vnet_done(&machine->vnets[nr]);
}

static void wait_net(struct machine *machine, unsigned nr, struct pollfd *ret_source)
{
	vnet_wait(&machine->vnets[nr], ret_source);
}

static void serve_net(struct machine *machine, unsigned nr)
{
	vnet_ready(&machine->vnets[nr]);
}

static const struct device_kind net_kind = {
	.name = "network",
	.first_slot = SLOT_NETS,
	.server = SERVED_BY_THREADS,
	.count = count_nets,
	.create = create_net,
	.destroy = destroy_net,
	.wait = wait_net,
	.serve = serve_net,
};

/* Shared directories: each has a thread, which sleeps in the host's file system. */

static unsigned count_shares(const struct machine_config *config)
{
	return config->nr_shares;
}

static int create_share(struct machine *machine, unsigned nr, const struct machine_config *config,
			const struct virtio_setup *setup, struct virtio_dev **ret_dev,
			struct ccr_err *err)
{
	const struct shared_dir *dir = &config->shares[nr];
	const struct v9p_config v9p = {
		.tag = dir->tag,
		.max_msize = config->share_limits.msize ? config->share_limits.msize : P9_MAX_MSIZE,
		.max_open = dir->max_open,
		.queue_size = config->share_limits.queue_size,
		.host = &shares_host,
		.ctx = (void *)(uintptr_t)&dir->broker,
	};

	if (v9p_init(&machine->shares[nr], &v9p, setup))
		return err_set(err, -ENOMEM, "9p %s: out of memory", dir->tag);
	*ret_dev = &machine->shares[nr].virtio;
	return 0;
}

static void destroy_share(struct machine *machine, unsigned nr)
{
	v9p_done(&machine->shares[nr]);
}

static const struct device_kind share_kind = {
	.name = "9p",
	.first_slot = SLOT_SHARES,
	.server = SERVED_BY_THREADS,
	.count = count_shares,
	.create = create_share,
	.destroy = destroy_share,
};

const struct device_kind *const vm_device_kinds[] = {
	&console_kind, &rng_kind, &disk_kind, &vsock_kind, &net_kind, &share_kind, NULL,
};

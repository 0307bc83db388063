/* SPDX-License-Identifier: Apache-2.0 */
/* Which virtio devices a machine has, and what is particular to each kind. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "internal.h"

static unsigned count_one(const struct machine_config *config)
{
	(void)config;
	return 1;
}

/* Console: the event loop moves its bytes (loop.c), and those of its channels (channels.c). */

_Static_assert(VM_MAX_CHANNELS <= VCONSOLE_MAX_CHANNELS, "every channel has a port");

static int create_console(struct machine *machine, unsigned nr, const struct machine_config *config,
			  const struct virtio_setup *setup, struct virtio_dev **ret_dev,
			  struct ccr_err *err)
{
	(void)nr;
	if (vconsole_init(&machine->console, config->channels->names, config->channels->nr, setup))
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

static bool is_own_disk(const struct machine_config *config, unsigned nr)
{
	return !config->back_ends[nr].path;
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

static unsigned work_disk(struct machine *machine, unsigned nr, unsigned lane)
{
	return blk_work(&machine->blks[nr], lane);
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
	.has = is_own_disk,
	.nr_lanes = disk_lanes,
	.create = create_disk,
	.destroy = destroy_disk,
	.lane_fd = disk_lane_fd,
	.work = work_disk,
};

/* Disks of back ends, which have all lanes; a thread of its own speaks to each. */

static bool is_back_ends_disk(const struct machine_config *config, unsigned nr)
{
	return config->back_ends[nr].path;
}

static unsigned back_end_lanes(const struct machine_config *config, unsigned nr)
{
	return vhost_blk_nr_queues(&config->back_ends[nr].vhost, config->disk_queues[nr]);
}

static int create_port(struct machine *machine, unsigned at, struct back_end *end,
		       const struct vhost_dev_config *vhost, const struct machine_config *config,
		       const struct virtio_setup *setup, struct virtio_dev **ret_dev,
		       struct ccr_err *err)
{
	const int ret = vhosts_create(&machine->ports[at], end, vhost, &machine->slots[at],
				      config->gmem, config->sockets, setup, err);

	if (!ret)
		*ret_dev = &vhosts_device(machine->ports[at])->virtio;
	return ret;
}

static void destroy_port(struct machine *machine, unsigned at)
{
	vhosts_destroy(machine->ports[at]);
	machine->ports[at] = NULL;
}

/* Without indirect descriptors the rings bound what is bounced. */
static uint64_t withheld_rings(const struct machine_config *config)
{
	return config->limits.size_max ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0;
}

static int create_back_ends_disk(struct machine *machine, unsigned nr,
				 const struct machine_config *config,
				 const struct virtio_setup *setup, struct virtio_dev **ret_dev,
				 struct ccr_err *err)
{
	const unsigned at = SLOT_DISKS + nr;
	const struct vhost_dev_config vhost = {
		.withheld = withheld_rings(config),
		.own_features = vhost_blk_own_features(&config->limits),
		.nr_queues = machine->slots[at].nr_lanes,
		.limits = config->limits,
	};

	return create_port(machine, at, &config->back_ends[nr], &vhost, config, setup, ret_dev,
			   err);
}

static int start_back_ends_disk(struct machine *machine, unsigned nr, struct ccr_err *err)
{
	return vhosts_start(machine->ports[SLOT_DISKS + nr], err);
}

static void stop_back_ends_disk(struct machine *machine, unsigned nr)
{
	vhosts_stop(machine->ports[SLOT_DISKS + nr]);
}

static void destroy_back_ends_disk(struct machine *machine, unsigned nr)
{
	destroy_port(machine, SLOT_DISKS + nr);
}

static const struct device_kind back_ends_disk_kind = {
	.name = "vhost-user disk",
	.first_slot = SLOT_DISKS,
	.server = SERVED_ELSEWHERE,
	.count = count_disks,
	.has = is_back_ends_disk,
	.nr_lanes = back_end_lanes,
	.create = create_back_ends_disk,
	.start = start_back_ends_disk,
	.stop = stop_back_ends_disk,
	.destroy = destroy_back_ends_disk,
};

/* Directories of back ends, from the last slot of shared directories down to the first. */

static unsigned count_share_slots(const struct machine_config *config)
{
	(void)config;
	return VM_MAX_SHARES;
}

static bool is_fs(const struct machine_config *config, unsigned nr)
{
	return nr >= VM_MAX_SHARES - config->nr_fs;
}

static unsigned fs_lanes(const struct machine_config *config, unsigned nr)
{
	(void)config;
	(void)nr;
	return VHOST_FS_NR_QUEUES;
}

static int create_fs(struct machine *machine, unsigned nr, const struct machine_config *config,
		     const struct virtio_setup *setup, struct virtio_dev **ret_dev,
		     struct ccr_err *err)
{
	const unsigned index = nr - (VM_MAX_SHARES - config->nr_fs);
	uint8_t space[VHOST_FS_CONFIG_SIZE];
	const struct vhost_dev_config vhost = {
		.withheld = withheld_rings(config),
		.nr_queues = VHOST_FS_NR_QUEUES,
		.limits = {.queue_size = bounce_ring_size(&config->limits)},
		.config = space,
	};

	vhost_fs_fill_config(space, config->fs[index].tag);
	return create_port(machine, SLOT_SHARES + nr, &config->fs_back_ends[index], &vhost, config,
			   setup, ret_dev, err);
}

static int start_fs(struct machine *machine, unsigned nr, struct ccr_err *err)
{
	return vhosts_start(machine->ports[SLOT_SHARES + nr], err);
}

static void stop_fs(struct machine *machine, unsigned nr)
{
	vhosts_stop(machine->ports[SLOT_SHARES + nr]);
}

static void destroy_fs(struct machine *machine, unsigned nr)
{
	destroy_port(machine, SLOT_SHARES + nr);
}

static const struct device_kind fs_kind = {
	.name = "vhost-user file system",
	.first_slot = SLOT_SHARES,
	.server = SERVED_ELSEWHERE,
	.count = count_share_slots,
	.has = is_fs,
	.nr_lanes = fs_lanes,
	.create = create_fs,
	.start = start_fs,
	.stop = stop_fs,
	.destroy = destroy_fs,
};

/* vsock of the host's kernel. */

static unsigned count_kernel_vsocks(const struct machine_config *config)
{
	return config->vsock_back_end->path ? 1 : 0;
}

static unsigned kernel_vsock_lanes(const struct machine_config *config, unsigned nr)
{
	(void)config;
	(void)nr;
	return VHOST_VSOCK_NR_QUEUES;
}

static int create_kernel_vsock(struct machine *machine, unsigned nr,
			       const struct machine_config *config,
			       const struct virtio_setup *setup, struct virtio_dev **ret_dev,
			       struct ccr_err *err)
{
	const uint64_t cid = htole64(config->vsock_cid);
	uint8_t space[VHOST_VSOCK_CONFIG_SIZE];
	const struct vhost_dev_config vhost = {
		.nr_queues = VHOST_VSOCK_NR_QUEUES,
		.nr_own = VHOST_VSOCK_NR_OWN,
		.limits.queue_size = config->limits.size_max ? VHOST_VSOCK_BOUNCED_SIZE : 0,
		.config = space,
	};

	(void)nr;
	memcpy(space, &cid, sizeof(space));
	return create_port(machine, SLOT_VSOCK, config->vsock_back_end, &vhost, config, setup,
			   ret_dev, err);
}

static int start_kernel_vsock(struct machine *machine, unsigned nr, struct ccr_err *err)
{
	(void)nr;
	return vhosts_start(machine->ports[SLOT_VSOCK], err);
}

static void stop_kernel_vsock(struct machine *machine, unsigned nr)
{
	(void)nr;
	vhosts_stop(machine->ports[SLOT_VSOCK]);
}

static void destroy_kernel_vsock(struct machine *machine, unsigned nr)
{
	(void)nr;
	destroy_port(machine, SLOT_VSOCK);
}

static const struct device_kind kernel_vsock_kind = {
	.name = "vhost vsock",
	.first_slot = SLOT_VSOCK,
	.server = SERVED_ELSEWHERE,
	.count = count_kernel_vsocks,
	.nr_lanes = kernel_vsock_lanes,
	.create = create_kernel_vsock,
	.start = start_kernel_vsock,
	.stop = stop_kernel_vsock,
	.destroy = destroy_kernel_vsock,
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

static bool is_own_net(const struct machine_config *config, unsigned nr)
{
	return !config->net_back_ends[nr].path;
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
	.has = is_own_net,
	.create = create_net,
	.destroy = destroy_net,
	.wait = wait_net,
	.serve = serve_net,
};

/* Networks whose frames a back end moves. */

static bool is_back_ends_net(const struct machine_config *config, unsigned nr)
{
	return config->net_back_ends[nr].path;
}

static unsigned back_ends_net_lanes(const struct machine_config *config, unsigned nr)
{
	return vhost_net_nr_queues(&config->nets[nr]);
}

static int create_back_ends_net(struct machine *machine, unsigned nr,
				const struct machine_config *config,
				const struct virtio_setup *setup, struct virtio_dev **ret_dev,
				struct ccr_err *err)
{
	const unsigned at = SLOT_NETS + nr;
	struct vnet_control *control = &machine->net_controls[nr];
	struct vhost_dev_config vhost;
	uint8_t space[VNET_CONFIG_SIZE];
	int ret;

	vhost_net_fill(&vhost, control, &config->nets[nr], &config->net_limits, space);
	ret = create_port(machine, at, &config->net_back_ends[nr], &vhost, config, setup, ret_dev,
			  err);
	if (!ret)
		vhost_net_finish(vhosts_device(machine->ports[at]), control, &config->net_limits);
	return ret;
}

static int start_back_ends_net(struct machine *machine, unsigned nr, struct ccr_err *err)
{
	return vhosts_start(machine->ports[SLOT_NETS + nr], err);
}

static void stop_back_ends_net(struct machine *machine, unsigned nr)
{
	vhosts_stop(machine->ports[SLOT_NETS + nr]);
}

static void destroy_back_ends_net(struct machine *machine, unsigned nr)
{
	destroy_port(machine, SLOT_NETS + nr);
}

static const struct device_kind back_ends_net_kind = {
	.name = "vhost network",
	.first_slot = SLOT_NETS,
	.server = SERVED_ELSEWHERE,
	.count = count_nets,
	.has = is_back_ends_net,
	.nr_lanes = back_ends_net_lanes,
	.create = create_back_ends_net,
	.start = start_back_ends_net,
	.stop = stop_back_ends_net,
	.destroy = destroy_back_ends_net,
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

/* Balloon: gives guest memory back to the host. */

static unsigned count_balloons(const struct machine_config *config)
{
	return config->has_balloon ? 1 : 0;
}

static int give_back(void *ctx, ipa_t at, uint64_t size)
{
	return gmem_give_back(ctx, at, size);
}

static const struct balloon_host balloon_host = {.give_back = give_back};

static int create_balloon(struct machine *machine, unsigned nr, const struct machine_config *config,
			  const struct virtio_setup *setup, struct virtio_dev **ret_dev,
			  struct ccr_err *err)
{
	(void)nr, (void)err;
	balloon_init(&machine->balloon, &balloon_host, config->gmem, setup);
	machine->has_balloon = true;
	*ret_dev = &machine->balloon.virtio;
	return 0;
}

static void destroy_balloon(struct machine *machine, unsigned nr)
{
	(void)nr;
	balloon_done(&machine->balloon);
	machine->has_balloon = false;
}

static const struct device_kind balloon_kind = {
	.name = "balloon",
	.first_slot = SLOT_BALLOON,
	.server = SERVED_BY_LOOP,
	.count = count_balloons,
	.create = create_balloon,
	.destroy = destroy_balloon,
};

const struct device_kind *const vm_device_kinds[] = {
	&console_kind, &rng_kind,          &disk_kind,    &back_ends_disk_kind,
	&vsock_kind,   &kernel_vsock_kind, &net_kind,     &back_ends_net_kind,
	&share_kind,   &fs_kind,           &balloon_kind, NULL,
};

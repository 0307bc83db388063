/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/facts.h"
#include "ccr/parse.h"
#include "internal.h"

/* Called by the vCPU threads and by the loop; the group lets only the first one through. */
static void on_ended(void *ctx, enum vm_outcome outcome, const struct ccr_err *err)
{
	struct vm *vm = ctx;

	loop_end(&vm->loop, outcome, err);
}

static void on_uart_irq(void *ctx, bool level)
{
	struct vm *vm = ctx;

	kvm_vm_irq_line(vm->arch.fd, MEMMAP_SPI_UART, level);
}

static void on_uart_kick(void *ctx)
{
	struct vm *vm = ctx;

	loop_wake(&vm->loop);
}

/* Does another process work on guest memory? */
static bool has_vhost_user(const struct vm *vm)
{
	const struct vm_config *config = vm->config;
	bool has = config->nr_fs > 0;

	for (unsigned i = 0; i < config->nr_disks; i++)
		has |= config->disks[i].is_vhost;
	for (unsigned i = 0; i < config->nr_nets; i++)
		has |= vm->net_back_ends[i].path && !vm->net_back_ends[i].is_kernel;
	return has;
}

static int create_memory(struct vm *vm, struct ccr_err *err)
{
	const struct memmap *map = &vm->launch->map;
	static const enum gmem_kind kinds[] = {
		[MACHINE_PLAIN] = GMEM_PLAIN,
		[MACHINE_EMULATED] = GMEM_SPLIT,
		[MACHINE_REALM] = GMEM_REALM,
	};

	int ret;

	if (vm->config->has_hugepages)
		ret = gmem_create_huge(&vm->gmem, ipa_at(MEMMAP_RAM_BASE), map->ram_size,
				       vm->config->hugepage_size, err);
	else if (vm->launch->kind == MACHINE_PLAIN && has_vhost_user(vm))
		ret = gmem_create_exportable(&vm->gmem, ipa_at(MEMMAP_RAM_BASE), map->ram_size,
					     err);
	else
		ret = gmem_create(&vm->gmem, kinds[vm->launch->kind], ipa_at(MEMMAP_RAM_BASE),
				  map->ram_size, map->shared_bit, err);
	if (!ret && vm->config->mem_prealloc)
		ret = gmem_prealloc(vm->gmem, err);
	if (!ret && vm->launch->kind == MACHINE_EMULATED && vm->launch->has_pci)
		gmem_alias_shared(vm->gmem);
	return ret;
}

static int create_vcpus(struct vm *vm, const struct arch_host *host, struct ccr_err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < vm->vcpus.nr_vcpus && !ret; i++)
		ret = arch_vcpu_create(&vm->vcpus.arch[i], &vm->arch, host, i, err);
	return ret;
}

static int finish_vcpus(struct vm *vm, struct ccr_err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < vm->vcpus.nr_vcpus && !ret; i++)
		ret = arch_vcpu_finish(&vm->vcpus.arch[i], &vm->arch, err);
	return ret;
}

static int set_entry(struct vm *vm, struct ccr_err *err)
{
	const struct plan *plan = &vm->launch->plan;

	return arch_vcpu_set_entry(&vm->vcpus.arch[0], plan->pc, plan->gprs, err);
}

static int load_file(struct vm *vm, ipa_t at, const struct launch_image *image)
{
	const int ret = gmem_load(vm->gmem, at, image->head, image->head_size);

	return ret ? ret
		   : gmem_load_file(vm->gmem, ipa_at(at.v + image->head_size), image->fd,
				    image->head_size, image->size - image->head_size);
}

static int load_segment(struct vm *vm, const struct plan_segment *segment, struct ccr_err *err)
{
	const ipa_t at = ipa_at(segment->base.v + segment->lead_size);
	const int ret = segment->data ? gmem_load(vm->gmem, at, segment->data, segment->data_size)
				      : load_file(vm, at, launch_image_of(vm->launch, segment));

	switch (ret) {
	case 0:
		return 0;
	case -EFAULT:
		return err_set(err, ret, "%s does not fit guest memory at 0x%llx", segment->name,
			       (unsigned long long)at.v);
	case -ESTALE:
		return launch_set_stale(segment->name, err);
	default:
		return err_set(err, ret, "%s: cannot read it: %s", segment->name, strerror(-ret));
	}
}

static int load_plain(struct vm *vm, struct ccr_err *err)
{
	const struct plan *plan = &vm->launch->plan;
	int ret = 0;

	for (unsigned i = 0; i < plan->nr_segments && !ret; i++)
		ret = load_segment(vm, &plan->segments[i], err);
	return ret ? ret : launch_check_images(vm->launch, err);
}

static void log_rim(const struct plan *plan, const uint8_t *rim, const char *how)
{
	char text[2 * HASH_MAX_SIZE + 1];

	log_info("realm: RIM %s:%s (%s)", hash_name(plan->hash_algo),
		 parse_format_hex(rim, hash_size(plan->hash_algo), text), how);
}

/*
 * The RIM of the owner's files, computed while KVM and the RMM load them: hashing them takes as
 * long as a good part of the loading.
 */
struct expectation {
	const struct plan *plan;
	struct realm_host host;
	pthread_t thread;
	int ret;
	struct ccr_err err;
	uint8_t rim[HASH_MAX_SIZE];
};

static void *expect_main(void *arg)
{
	struct expectation *expected = arg;

	expected->ret = measure_plan(expected->plan, &expected->host, NULL, NULL, expected->rim,
				     &expected->err);
	return NULL;
}

static int expect_start(struct expectation *expected, const struct plan *plan,
			const struct realm_host *host, struct ccr_err *err)
{
	int ret;

	*expected = (struct expectation){.plan = plan, .host = *host};
	ret = sandbox_thread_create(&expected->thread, SANDBOX_WORKER, expect_main, expected);
	if (ret)
		return err_set(err, ret, "realm: no thread for the measurement: %s",
			       strerror(-ret));
	return 0;
}

/* Always after expect_start(), also when @ret says that the loading failed. */
static int expect_wait(struct expectation *expected, int ret, struct ccr_err *err)
{
	pthread_join(expected->thread, NULL);
	if (ret)
		return ret;
	if (expected->ret) {
		*err = expected->err;
		return expected->ret;
	}
	log_rim(expected->plan, expected->rim, "expected");
	return 0;
}

static bool is_unwanted(void *asked)
{
	return loop_is_stopped_early(asked);
}

/* A large realm takes a while, and nobody should have to wait for it in order to end it. */
static void let_signals_stop(struct realm *realm, struct vm *vm)
{
	realm->is_unwanted = is_unwanted;
	realm->asked = vm;
}

static int load_emulated(struct vm *vm, struct ccr_err *err)
{
	const struct plan *plan = &vm->launch->plan;
	struct realm_host host;
	struct expectation expected;
	struct realm realm;
	int ret;

	log_warn("emulated realm: nothing here is confidential. This program plays the RMM's part, "
		 "and it and the host can read all of the guest's memory.");
	emulated_host(&vm->arch, &host);
	ret = launch_write_log(vm->launch, &host, vm->config->log_path, err);
	if (!ret)
		ret = expect_start(&expected, plan, &host, err);
	if (ret)
		return ret;
	emulated_init(&vm->emulated, vm->gmem, &vm->arch, vm->vcpus.arch);
	realm_init(&realm, &emulated_backend, &vm->emulated);
	let_signals_stop(&realm, vm);
	ret = realm_build(&realm, plan, &host, err);
	ret = expect_wait(&expected, ret, err);
	if (ret)
		return ret;
	vm->vcpus.emulated = &vm->emulated;
	memcpy(vm->rim, vm->emulated.rim, sizeof(vm->rim));
	log_rim(plan, vm->rim, "sealed");
	if (memcmp(expected.rim, vm->emulated.rim, hash_size(plan->hash_algo)) != 0)
		return err_set(err, -EBADMSG,
			       "realm: what was sealed is not what was measured: guest memory "
			       "changed while it was loaded");
	return 0;
}

static int load_realm(struct vm *vm, const struct realm_abi *abi, struct ccr_err *err)
{
	struct expectation expected;
	struct realm_host host;
	struct realm realm;
	char text[128];
	int ret;

	log_info("realm: KVM interface%s%s: %s", abi->series ? " chosen as " : "",
		 abi->series ? abi->series : "", realm_abi_describe(abi, text));
	ret = realm_kvm_init(&vm->realm, abi, &vm->arch, vm->vcpus.arch, vm->vcpus.nr_vcpus,
			     vm->gmem);
	if (ret)
		return err_set(err, ret, "realm: out of memory");
	ret = realm_kvm_host(&vm->realm, &host, err);
	if (!ret)
		ret = launch_write_log(vm->launch, &host, vm->config->log_path, err);
	if (!ret)
		ret = expect_start(&expected, &vm->launch->plan, &host, err);
	if (ret)
		return ret;
	realm_init(&realm, realm_kvm_backend(abi), &vm->realm);
	let_signals_stop(&realm, vm);
	ret = realm_build(&realm, &vm->launch->plan, &host, err);
	vm->vcpus.realm = &vm->realm;
	ret = expect_wait(&expected, ret, err);
	if (!ret)
		memcpy(vm->rim, expected.rim, sizeof(vm->rim));
	return ret;
}

/* An interface that was chosen may be another than the host's. */
static int load_chosen_realm(struct vm *vm, const struct realm_abi *abi, struct ccr_err *err)
{
	struct ccr_err cause = {0};
	const int ret = load_realm(vm, abi, &cause);

	if (!ret || !abi->series) {
		*err = cause;
		return ret;
	}
	return err_set(err, ret,
		       "%s; perhaps because this host's interface is not the one of --realm-abi "
		       "%s: leave that out, and the host is asked",
		       cause.msg, abi->series);
}

static int load(struct vm *vm, const struct arch_host *host, struct ccr_err *err)
{
	switch (vm->launch->kind) {
	case MACHINE_PLAIN:
		return load_plain(vm, err);
	case MACHINE_EMULATED:
		return load_emulated(vm, err);
	case MACHINE_REALM:
		return load_chosen_realm(vm, &host->abi, err);
	}
	return -EPROTO;
}

/* Most queues of a disk that nobody has asked for. */
#define DEFAULT_QUEUES 4

/*
 * A queue for each vCPU lets them submit at once. In a realm all of them share a small pool of
 * bounce buffers, and are slower the less each of them may have in flight.
 */
static unsigned nr_queues_of(const struct vm *vm, const struct vm_disk *disk)
{
	const unsigned nr_vcpus = vm->launch->map.nr_vcpus;

	if (disk->nr_queues)
		return disk->nr_queues;
	if (vm->launch->kind != MACHINE_PLAIN)
		return 1;
	return nr_vcpus < DEFAULT_QUEUES ? nr_vcpus : DEFAULT_QUEUES;
}

/* In a realm all DMA is bounced, through a pool that devices must not overrun. */
static uint64_t bounce_size(const struct vm_config *config)
{
	if (config->launch->kind == MACHINE_PLAIN)
		return 0;
	return config->bounce_size ? config->bounce_size
				   : bounce_default_size(config->launch->map.ram_size);
}

static int check_mtus(const struct vm_config *config, const struct bounce_net_limits *limits,
		      struct ccr_err *err)
{
	for (unsigned i = 0; i < config->nr_nets; i++) {
		const uint16_t mtu = config->nets[i].mtu;

		if (mtu != 0 && (mtu < limits->min_mtu || mtu > limits->max_mtu))
			return err_set(err, -ENOSPC,
				       "network: with bounce buffers of this size, mtu= is %u to "
				       "%u; give the guest more with --bounce, or leave it out",
				       limits->min_mtu ? limits->min_mtu : NET_MIN_MTU,
				       limits->max_mtu);
	}
	return 0;
}

/* @ret_rest: of the pool, for disks */
static int limit_nets(const struct vm_config *config, struct bounce_net_limits *limits,
		      uint64_t *ret_rest, struct ccr_err *err)
{
	unsigned nr_pairs = 0;
	int ret;

	for (unsigned i = 0; i < config->nr_nets; i++)
		nr_pairs += config->nets[i].nr_pairs;
	ret = bounce_limit_net(bounce_size(config), nr_pairs, limits, ret_rest, err);
	return ret ? ret : check_mtus(config, limits, err);
}

static int limit_devices(const struct vm *vm, struct machine_config *config, struct ccr_err *err)
{
	unsigned nr_users = config->nr_shares + config->nr_fs;
	uint64_t rest;
	int ret = limit_nets(vm->config, &config->net_limits, &rest, err);

	if (!ret)
		ret = bounce_limit_channels(rest, vm->config->nr_channels, &rest, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < config->nr_disks; i++) {
		config->disk_queues[i] = nr_queues_of(vm, &vm->config->disks[i]);
		nr_users += config->disk_queues[i];
	}
	if (config->nr_shares > 0)
		ret = bounce_limit_share(rest, nr_users, &config->share_limits, err);
	if (!ret)
		ret = bounce_limit_disk(rest, nr_users ? nr_users : 1, &config->limits, err);
	return ret;
}

const char *vm_disk_serial(const struct vm_disk *disk, unsigned nr,
			   char serial[BLK_SERIAL_SIZE + 1])
{
	if (disk->serial)
		snprintf(serial, BLK_SERIAL_SIZE + 1, "%s", disk->serial);
	else
		snprintf(serial, BLK_SERIAL_SIZE + 1, "ccr-disk-%u", nr);
	return serial;
}

static int create_devices(struct vm *vm, struct ccr_err *err)
{
	char serials[VM_MAX_DISKS][BLK_SERIAL_SIZE + 1];
	struct machine_config config = {
		.arch = &vm->arch,
		.gmem = vm->gmem,
		.uart_host = {on_uart_irq, on_uart_kick, vm},
		.has_pci = vm->launch->has_pci,
		.has_virtio = vm->launch->has_pci || vm->launch->has_virtio_mmio,
		.has_firmware = vm->launch->is_firmware,
		.needs_platform = vm->launch->kind != MACHINE_PLAIN,
		.nr_disks = vm->config->nr_disks,
		.disks = vm->disks,
		.nr_nets = vm->config->nr_nets,
		.nets = vm->nets,
		.net_back_ends = vm->net_back_ends,
		.back_ends = vm->back_ends,
		.nr_fs = vm->config->nr_fs,
		.fs = vm->config->fs,
		.fs_back_ends = vm->fs_back_ends,
		.vsock_back_end = vm->vsock_back_end,
		.vsock = vm->vsock,
		.vsock_cid = vm->config->vsock.cid,
		.sockets = vm->sockets,
		.nr_shares = vm->config->nr_shares,
		.shares = vm->shares,
		.channels = vm->channels,
		.has_balloon = vm->config->has_balloon,
		.serials = serials,
		.disk_wishes = vm->config->disks,
	};
	const int ret = limit_devices(vm, &config, err);

	for (unsigned i = 0; i < config.nr_disks; i++)
		vm_disk_serial(&vm->config->disks[i], i, serials[i]);
	return ret ? ret : machine_init(&vm->machine, &config, err);
}

/* Everything that happens before the first guest instruction, in order. */
static int create(struct vm *vm, const struct arch_host *host, struct ccr_err *err)
{
	int ret = loop_init(&vm->loop, err);

	if (!ret)
		ret = create_memory(vm, err);
	if (!ret)
		ret = arch_vm_create(&vm->arch, host, vm->launch->kind, &vm->launch->map, vm->gmem,
				     err);
	vm->arch.features = &vm->launch->features;
	if (!ret) {
		ret = vcpu_group_init(&vm->vcpus, vm->launch->map.nr_vcpus);
		if (ret)
			err_set(err, ret, "vCPUs: out of memory");
	}
	if (!ret)
		ret = create_vcpus(vm, host, err);
	if (!ret)
		ret = arch_vcpu_check_pages(&vm->vcpus.arch[0], vm->launch->image.page_size, err);
	if (!ret)
		ret = arch_vm_finish(&vm->arch, vm->launch->has_pci, err);
	if (!ret)
		ret = finish_vcpus(vm, err);
	if (!ret)
		ret = create_devices(vm, err);
	if (!ret)
		ret = set_entry(vm, err);
	if (!ret)
		ret = load(vm, host, err);
	return ret;
}

static int start(struct vm *vm, struct ccr_err *err)
{
	int ret;

	vm->vcpus.bus = &vm->machine.bus;
	vm->vcpus.gmem = vm->gmem;
	vm->vcpus.affinity = vm->config->vcpu_affinity;
	vm->vcpus.ended = on_ended;
	vm->vcpus.ended_ctx = vm;
	ret = machine_start(&vm->machine, err);
	if (!ret)
		ret = vcpu_group_start(&vm->vcpus, err);
	if (ret)
		return ret;
	ret = sandbox_thread_settle(SANDBOX_LOOP);
	return ret ? err_set(err, ret, "event loop: cannot be confined: %s", strerror(-ret)) : 0;
}

static void destroy(struct vm *vm)
{
	machine_done(&vm->machine);
	emulated_done(&vm->emulated);
	realm_kvm_done(&vm->realm);
	vcpu_group_done(&vm->vcpus);
	arch_vm_destroy(&vm->arch);
	gmem_destroy(vm->gmem);
	loop_done(&vm->loop);
}

/* The loop serves the control socket only while there is a machine that commands can act on. */
static void go(struct vm *vm)
{
	log_debug("first instruction");
	vm->control->machine.ctx = vm;
	if (!vm->control->paused)
		vcpu_group_resume(&vm->vcpus, NULL);
	loop_run(vm);
	vm->control->machine.ctx = NULL;
	log_debug("guest ended");
}

/* What of the host stays open through all lives of a machine. */
struct host_ends {
	struct console console;
	struct channels channels;
	unsigned nr_disks;
	struct disk disks[VM_MAX_DISKS];
	unsigned nr_nets;
	struct net nets[VM_MAX_NETS];
	struct back_end net_back_ends[VM_MAX_NETS]; /* who moves the frames of some */
	struct back_end back_ends[VM_MAX_DISKS];    /* in the place of some disks */
	unsigned nr_fs;
	struct back_end fs_back_ends[VM_MAX_SHARES];
	struct back_end vsock_back_end;
	bool has_vsock;
	struct vsock_host_socket vsock;
	bool has_sockets;
	struct broker sockets;
	unsigned nr_shares;
	struct shared_dir shares[VM_MAX_SHARES];
};

/* Keys are the host's until here: whoever sees a launch go wrong may press Ctrl-c. */
static int start_console(struct console *console, struct ccr_err *err)
{
	const bool was_raw = console->base.is_raw;
	const int ret = console_start(console, err);

	if (!ret && console->base.is_raw && !was_raw)
		log_info("this terminal is the guest's now; Ctrl-a x ends the machine, Ctrl-a h "
			 "lists the keys");
	return ret;
}

static void abort_shares(struct host_ends *ends)
{
	for (unsigned i = 0; i < ends->nr_shares; i++)
		broker_abort(&ends->shares[i].broker);
}

/* One life, from creation to its end. */
static int live_once(const struct vm_config *config, const struct arch_host *host,
		     struct host_ends *ends, struct control *control, struct sandbox *sandbox,
		     enum vm_outcome *ret_outcome, struct ccr_err *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return err_set(err, -ENOMEM, "machine: out of memory");
	*vm = (struct vm){
		.config = config,
		.launch = config->launch,
		.console = &ends->console,
		.channels = &ends->channels,
		.disks = ends->disks,
		.nets = ends->nets,
		.net_back_ends = ends->net_back_ends,
		.back_ends = ends->back_ends,
		.fs_back_ends = ends->fs_back_ends,
		.vsock_back_end = &ends->vsock_back_end,
		.vsock = ends->has_vsock ? &ends->vsock : NULL,
		.sockets = ends->has_sockets ? &ends->sockets : NULL,
		.shares = ends->shares,
		.control = control,
		.arch = {.fd = -1, .gmem_fd = -1, .gic_fd = -1, .its_fd = -1},
	};
	ret = launch_reread_images(vm->launch, err);
	if (!ret)
		ret = create(vm, host, err);
	launch_drop_images(vm->launch);
	if (!ret)
		ret = start_console(vm->console, err);
	if (!ret)
		ret = sandbox_before_run(sandbox, err);
	if (!ret) {
		ret = start(vm, err);
		if (!ret)
			go(vm);
		vcpu_group_stop(&vm->vcpus);
	}
	/* A file system that does not answer must not hold up the end. */
	if (ret || vm->loop.outcome != VM_RESET)
		abort_shares(ends);
	if (ret == -ECANCELED && vm->loop.stopped_early) {
		*ret_outcome = VM_STOPPED;
		*err = (struct ccr_err){0};
		ret = 0;
	} else if (!ret) {
		*ret_outcome = vm->loop.outcome;
		if (vm->loop.err.code)
			*err = vm->loop.err;
	}
	destroy(vm);
	free(vm);
	log_debug("resources given back");
	return ret;
}

/* A broker's process in the making. */
struct new_broker {
	const struct vm_config *config;
	struct sandbox_task task;
};

/* The images that are about to be loaded are not for it. */
static void shrink_broker(void *ctx)
{
	const struct new_broker *new = ctx;

	launch_drop_images(new->config->launch);
}

static enum sandbox_mode sandbox_mode(const struct vm_config *config)
{
	return config->sandbox ? config->sandbox->mode : SANDBOX_OFF;
}

static bool enclose_broker(void *ctx, const char *const *dirs, unsigned nr_dirs)
{
	struct new_broker *new = ctx;

	_Static_assert(BROKER_MAX_TARGETS <= SANDBOX_MAX_DIRS, "each may be in another directory");
	return sandbox_enclose(sandbox_mode(new->config), &new->task, dirs, nr_dirs);
}

static int confine_broker(void *ctx, struct ccr_err *err)
{
	const struct new_broker *new = ctx;

	return sandbox_broker(sandbox_mode(new->config), &new->task, err);
}

static int start_broker(const struct vm_config *config, const struct broker_scope *scope,
			struct broker *broker, struct ccr_err *err)
{
	struct new_broker new = {
		.config = config,
		.task = {.dir = scope->dir, .read_only = scope->read_only},
	};
	const struct broker_config broker_config = {
		.scope = *scope,
		.shrink = shrink_broker,
		.enclose = enclose_broker,
		.confine = confine_broker,
		.ctx = &new,
	};

	return broker_start(broker, &broker_config, err);
}

/* Return: may the broker connect to it? */
static bool add_target(struct broker_scope *scope, struct back_end *end, unsigned target)
{
	end->target = target;
	if (!end->path || !end->absolute)
		return false;
	scope->targets[target] = (struct broker_target){end->absolute, false};
	return true;
}

/* What the machine connects to only once it runs. */
static int open_sockets(const struct vm_config *config, struct host_ends *ends, struct ccr_err *err)
{
	struct broker_scope scope = {.nr_targets = NR_TARGETS};
	bool is_needed = ends->has_vsock;
	int ret;

	if (ends->has_vsock)
		scope.targets[VSOCK_TARGET] = (struct broker_target){ends->vsock.path, true};
	for (unsigned i = 0; i < ends->nr_disks; i++)
		is_needed |= add_target(&scope, &ends->back_ends[i], DISK_TARGETS + i);
	for (unsigned i = 0; i < ends->nr_fs; i++)
		is_needed |= add_target(&scope, &ends->fs_back_ends[i], FS_TARGETS + i);
	for (unsigned i = 0; i < ends->nr_nets; i++)
		is_needed |= add_target(&scope, &ends->net_back_ends[i], NET_TARGETS + i);
	if (!is_needed)
		return 0;
	ret = start_broker(config, &scope, &ends->sockets, err);
	ends->has_sockets = !ret;
	return ret;
}

static int open_disk(const struct vm_disk *wish, struct disk *disk, struct back_end *end,
		     struct ccr_err *err)
{
	int ret;

	if (!wish->is_vhost)
		return disk_open(disk, wish->path,
				 (wish->read_only ? DISK_READ_ONLY : 0) |
					 (wish->direct ? DISK_DIRECT : 0),
				 err);
	ret = vhosts_open(end, "--disk vhost-user", wish->path, &vhost_blk_type, err);
	if (!ret && wish->read_only && !vhost_blk_is_read_only(&end->vhost)) {
		vhosts_close(end);
		return err_set(err, -EROFS,
			       "--disk vhost-user=%s,ro: the back end takes writes; make it export "
			       "the disk read-only",
			       wish->path);
	}
	return ret;
}

/*
 * A passt that moves the frames itself takes only buffers that are one piece, as Linux's are if
 * they can be merged; with others it was seen to end.
 */
static int fit_passt(struct net_config *net, const struct bounce_net_limits *limits,
		     struct ccr_err *err)
{
	if (limits->is_mergeable || (net->kind != NET_USER && net->kind != NET_PASST))
		return 0;
	if (net->vhost == NET_VHOST_ON)
		return err_set(err, -ENOSPC,
			       "network: with bounce buffers of this size passt cannot move the "
			       "frames itself; give the guest more with --bounce, or leave out "
			       "vhost=on");
	net->vhost = NET_VHOST_OFF;
	return 0;
}

/* A passt is told how large frames may be. */
static int open_nets(const struct vm_config *config, struct host_ends *ends, struct ccr_err *err)
{
	const char *name = config->runtime ? config->runtime->name : "";
	struct bounce_net_limits limits;
	uint64_t rest;
	int ret = limit_nets(config, &limits, &rest, err);

	for (unsigned i = 0; i < config->nr_nets && !ret; i++) {
		struct net_config net = config->nets[i];

		if (net.kind == NET_USER && net.mtu == 0 && limits.max_mtu < NET_MAX_MTU)
			net.mtu = limits.max_mtu;
		for (unsigned j = 0; j < net.nr_fds; j++)
			sandbox_adopt(config->sandbox, net.fds[j]);
		ret = fit_passt(&net, &limits, err);
		if (!ret) {
			ret = net_open(&ends->nets[i], &net, name, i, err);
			ends->nr_nets += !ret;
		}
		if (!ret)
			ret = vhosts_open_net(&ends->net_back_ends[i], &ends->nets[i], &net, err);
	}
	return ret;
}

static int open_shares(const struct vm_config *config, struct host_ends *ends, struct ccr_err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < config->nr_shares && !ret; i++) {
		const struct vm_share *share = &config->shares[i];
		const struct broker_scope scope = {
			.dir = share->dir,
			.read_only = share->read_only,
		};

		ends->shares[i].tag = share->tag;
		ends->shares[i].max_open = shares_make_room(config->nr_shares);
		ret = start_broker(config, &scope, &ends->shares[i].broker, err);
		ends->nr_shares += !ret;
	}
	return ret;
}

/* Programs that were started for them have had some time to fail; they are this process's. */
static int check_nets(struct host_ends *ends, struct ccr_err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < ends->nr_nets && !ret; i++)
		ret = net_check(&ends->nets[i], err);
	return ret;
}

/* Beyond this the kernel would look for processes to end, this one or its neighbours. */
static int check_prealloc(const struct vm_config *config, struct ccr_err *err)
{
	const uint64_t size = config->launch->map.ram_size, available = facts_available("");

	if (!config->mem_prealloc || config->has_hugepages || size <= available)
		return 0;
	return err_set(err, -ENOMEM,
		       "--mem-prealloc: this host can give %llu MiB now, not %llu MiB; try a "
		       "smaller --mem",
		       (unsigned long long)(available >> 20), (unsigned long long)(size >> 20));
}

static int open_ends(const struct vm_config *config, struct host_ends *ends, struct ccr_err *err)
{
	int ret = check_prealloc(config, err);

	for (unsigned i = 0; i < config->nr_disks && !ret; i++) {
		ret = open_disk(&config->disks[i], &ends->disks[i], &ends->back_ends[i], err);
		ends->nr_disks += !ret;
	}
	if (!ret)
		ret = open_nets(config, ends, err);
	for (unsigned i = 0; i < config->nr_fs && !ret; i++) {
		ret = vhosts_open(&ends->fs_back_ends[i], "--fs", config->fs[i].socket,
				  &vhost_fs_type, err);
		ends->nr_fs += !ret;
	}
	if (!ret && config->vsock.is_kernel)
		ret = vhosts_open_vsock(&ends->vsock_back_end, config->vsock.cid, err);
	if (!ret && config->vsock.path) {
		ret = vsock_host_listen(&ends->vsock, config->vsock.path, err);
		ends->has_vsock = !ret;
	}
	if (!ret)
		ret = open_sockets(config, ends, err);
	return ret ? ret : open_shares(config, ends, err);
}

static void close_ends(struct host_ends *ends)
{
	while (ends->nr_shares > 0)
		broker_stop(&ends->shares[--ends->nr_shares].broker);
	if (ends->has_sockets)
		broker_stop(&ends->sockets);
	if (ends->has_vsock)
		vsock_host_close(&ends->vsock);
	while (ends->nr_nets > 0) {
		const unsigned i = --ends->nr_nets;

		vhosts_close(&ends->net_back_ends[i]);
		net_close(&ends->nets[i]);
	}
	vhosts_close(&ends->vsock_back_end);
	while (ends->nr_fs > 0)
		vhosts_close(&ends->fs_back_ends[--ends->nr_fs]);
	while (ends->nr_disks > 0) {
		const unsigned i = --ends->nr_disks;

		if (ends->back_ends[i].path)
			vhosts_close(&ends->back_ends[i]);
		else
			disk_close(&ends->disks[i]);
	}
}

static bool may_restart(const struct vm_config *config)
{
	return config->launch->kind == MACHINE_PLAIN && !config->no_reboot;
}

static int live(const struct vm_config *config, const struct arch_host *host,
		struct host_ends *ends, struct sandbox *sandbox, enum vm_outcome *ret_outcome,
		struct ccr_err *err)
{
	const bool restarts = may_restart(config);
	const struct runtime *runtime = config->runtime;
	struct control control;
	bool has_run = false, again;
	int ret;

	control_init(&control, runtime ? runtime->name : "", runtime ? runtime->listen_fd : -1,
		     &manage_ops);
	do {
		ret = live_once(config, host, ends, &control, sandbox, ret_outcome, err);
		if (ret && has_run) {
			*ret_outcome = VM_FAILED;
			ret = 0;
		}
		has_run = true;
		again = !ret && *ret_outcome == VM_RESET && restarts;
		manage_ended(&control, ret ? VM_FAILED : *ret_outcome, again);
	} while (again);
	control_close(&control);
	return ret;
}

/**
 * struct life - the machine's process, and what it leaves to its keeper
 * @end: as a hostile guest may have made it
 */
struct life {
	const struct vm_config *config;
	const struct arch_host *host;
	struct host_ends *ends;
	struct sandbox *sandbox;
	struct {
		int ret;
		enum vm_outcome outcome;
		struct ccr_err err;
	} end;
};

static void be_machine(void *ctx)
{
	struct life *life = ctx;

	life->end.ret = sandbox_after_open(life->sandbox, &life->end.err);
	if (!life->end.ret)
		life->end.ret = live(life->config, life->host, life->ends, life->sandbox,
				     &life->end.outcome, &life->end.err);
}

static void be_keeper(void *ctx)
{
	const struct life *life = ctx;

	launch_done(life->config->launch);
}

static int check_end(const struct life *life, enum vm_outcome *ret_outcome, struct ccr_err *err)
{
	const struct ccr_err *told = &life->end.err;

	if (told->code)
		err_set(err, told->code, "%.*s", (int)sizeof(told->msg) - 1, told->msg);
	*ret_outcome = life->end.outcome <= VM_FAILED ? life->end.outcome : VM_BROKEN;
	return life->end.ret;
}

/* The machine, in a process of its own if it is confined. */
static int keep(struct life *life, enum vm_outcome *ret_outcome, struct ccr_err *err)
{
	static const struct sandbox_sides sides = {be_machine, be_keeper};
	const int how =
		sandbox_keep(life->sandbox, &sides, life, &life->end, sizeof(life->end), err);

	if (how < 0)
		return how;
	if (how == SANDBOX_DONE)
		return check_end(life, ret_outcome, err);
	*ret_outcome = how == SANDBOX_KILLED ? VM_FAILED : VM_BROKEN;
	return 0;
}

/* Opened, and closed again by close_all(), also after a failure. */
static int open_all(const struct vm_config *config, struct host_ends *ends, struct ccr_err *err)
{
	int ret = open_ends(config, ends, err);

	if (!ret)
		ret = console_open(&ends->console, &config->console, err);
	if (!ret)
		ret = channels_open(&ends->channels, config->channels, config->nr_channels, err);
	return ret ? ret : check_nets(ends, err);
}

static void close_all(struct host_ends *ends, const sigset_t *old_mask)
{
	channels_close(&ends->channels);
	console_close(&ends->console);
	pthread_sigmask(SIG_SETMASK, old_mask, NULL);
	close_ends(ends);
}

int vm_run(const struct vm_config *config, enum vm_outcome *ret_outcome, struct ccr_err *err)
{
	struct sandbox not_confined = {.mode = SANDBOX_OFF};
	struct arch_host host;
	struct life life = {
		.config = config,
		.host = &host,
		.sandbox = config->sandbox ? config->sandbox : &not_confined,
	};
	sigset_t old_mask;
	int ret = arch_host_open(&host, config->launch->kind, &config->launch->map,
				 &config->realm_abi, err);

	if (ret)
		return ret;
	/* Not on the stack: it is large, and what is not used of it takes no memory here. */
	life.ends = calloc(1, sizeof(*life.ends));
	if (!life.ends) {
		arch_host_close(&host);
		return err_set(err, -ENOMEM, "machine: out of memory");
	}
	life.sandbox->may_rebuild = may_restart(config);
	loop_block_signals(&old_mask);
	ret = open_all(config, life.ends, err);
	if (!ret)
		ret = keep(&life, ret_outcome, err);
	close_all(life.ends, &old_mask);
	free(life.ends);
	arch_host_close(&host);
	return ret;
}

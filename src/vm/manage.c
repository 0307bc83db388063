/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control socket's commands do to a machine.
 *
 *		stop		     reset of a plain VM
 *	RUNNING <---> PAUSED	     keeps the state: a paused machine starts paused
 *	   |	cont	|
 *	   +------+-----+ guest, quit, signal, end of a grace period
 *		  v
 *	       SHUTDOWN, for the rest of the loop's last round
 *
 * A pause is the loop's own pause of the vCPU group. What pauses within it, such as the diagnosis
 * of a silent guest, nests.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/parse.h"
#include "internal.h"

static enum qmp_status status(void *ctx)
{
	struct vm *vm = ctx;

	if (atomic_load(&vm->loop.ended))
		return QMP_SHUTDOWN;
	return vm->control->paused ? QMP_PAUSED : QMP_RUNNING;
}

static int stop(void *ctx, struct ccr_err *err)
{
	struct vm *vm = ctx;

	if (vm->control->paused)
		return 0;
	if (vcpu_group_pause(&vm->vcpus, NULL))
		return err_set(err, -ESHUTDOWN, "the machine is ending");
	vm->control->paused = true;
	log_info("paused");
	control_event(vm->control, "STOP", NULL);
	return 0;
}

static int cont(void *ctx, struct ccr_err *err)
{
	struct vm *vm = ctx;

	(void)err;
	if (!vm->control->paused)
		return 0;
	vm->control->paused = false;
	log_info("resumed");
	control_event(vm->control, "RESUME", NULL);
	vcpu_group_resume(&vm->vcpus, NULL);
	return 0;
}

static int reset(void *ctx, struct ccr_err *err)
{
	struct vm *vm = ctx;

	if (vm->launch->kind != MACHINE_PLAIN)
		return err_set(err, -EOPNOTSUPP,
			       "a realm cannot be reset: end it and launch a new one");
	if (vm->config->no_reboot)
		return err_set(err, -EOPNOTSUPP,
			       "the machine was started with --no-reboot; end it and start it "
			       "again");
	log_info("reset by a control command");
	vm->control->reason = "host-qmp-system-reset";
	vcpu_group_end(&vm->vcpus, VM_RESET, NULL);
	return 0;
}

static void quit(void *ctx)
{
	loop_stop(ctx, "a control command", "host-qmp-quit");
}

/* There is no power button, and nobody in the guest to ask: it may end by itself until then. */
static void powerdown(void *ctx, unsigned grace_s)
{
	struct vm *vm = ctx;

	if (grace_s == 0) {
		quit(vm);
		return;
	}
	log_info("asked to stop: the machine ends in %u s, or before if the guest powers off",
		 grace_s);
	control_event(vm->control, "POWERDOWN", NULL);
	control_end_after(vm->control, grace_s);
}

static int console(void *ctx, int fd, struct ccr_err *err)
{
	struct vm *vm = ctx;
	const int ret = console_attach(vm->console, fd);

	if (ret)
		close(fd);
	if (ret == -EBUSY)
		return err_set(err, ret, "another terminal is attached to its console");
	return ret ? err_set(err, ret, "a terminal is attached by a stream socket") : 0;
}

static void add_int(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static struct json_object *stat_vcpu(struct vcpu *vcpu)
{
	static const char *const names[VCPU_NR_EXITS] = {
		[VCPU_EXIT_INTERRUPTED] = "interrupted",
		[VCPU_EXIT_AGAIN] = "again",
		[VCPU_EXIT_MMIO] = "mmio",
		[VCPU_EXIT_NISV] = "undecoded",
		[VCPU_EXIT_HYPERCALL] = "call",
		[VCPU_EXIT_POWEROFF] = "poweroff",
		[VCPU_EXIT_RESET] = "reset",
		[VCPU_EXIT_CRASH] = "crash",
		[VCPU_EXIT_FAULT] = "fault",
		[VCPU_EXIT_MEMORY_FAULT] = "memory-fault",
		[VCPU_EXIT_SHUTDOWN] = "shutdown",
		[VCPU_EXIT_ERROR] = "error",
	};
	struct json_object *object = json_object_new_object();
	struct json_object *exits = json_object_new_object();

	for (unsigned i = 0; i < VCPU_NR_EXITS; i++) {
		const uint64_t nr = atomic_load(&vcpu->stats.nr_exits[i]);

		if (nr > 0)
			add_int(exits, names[i], nr);
	}
	add_int(object, "index", vcpu->arch->index);
	add_int(object, "thread-id", (uint64_t)atomic_load(&vcpu->tid));
	json_object_object_add(object, "exits", exits);
	add_int(object, "aborts", atomic_load(&vcpu->stats.nr_aborts));
	return object;
}

static struct json_object *stat_vcpus(struct vcpu_group *group)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < group->nr_vcpus; i++)
		json_object_array_add(list, stat_vcpu(&group->vcpus[i]));
	return list;
}

static struct json_object *stat_memory(struct gmem *gmem)
{
	const uint64_t nr_pages = gmem_size(gmem) / GRANULE_SIZE;
	const uint64_t nr_shared = gmem_nr_shared_pages(gmem);
	const struct gmem_changes changes = gmem_changes(gmem);
	struct json_object *object = json_object_new_object();

	add_int(object, "size", gmem_size(gmem));
	add_int(object, "page-size", GRANULE_SIZE);
	add_int(object, "private-pages", nr_pages - nr_shared);
	add_int(object, "shared-pages", nr_shared);
	add_int(object, "made-private", changes.nr_to_private);
	add_int(object, "made-shared", changes.nr_to_shared);
	add_int(object, "refused-device-accesses", gmem_nr_refused(gmem));
	return object;
}

static struct json_object *stat_virtio(struct virtio_dev *dev, unsigned slot)
{
	struct json_object *object = json_object_new_object();
	uint64_t nr_failures;
	const struct virtio_stats stats = virtio_get_stats(dev, &nr_failures);

	add_text(object, "device", dev->type->name);
	add_int(object, "slot", slot);
	add_int(object, "bytes-from-guest", stats.bytes_out);
	add_int(object, "bytes-to-guest", stats.bytes_in);
	add_int(object, "buffers", stats.nr_buffers);
	add_int(object, "interrupts", stats.nr_interrupts);
	add_int(object, "failures", nr_failures);
	add_int(object, "host-errors", stats.nr_host_errors);
	return object;
}

static void stat_back_end(struct json_object *object, struct vhost_port *port)
{
	struct vhost_dev *dev = vhosts_device(port);
	bool is_lost;
	const uint64_t nr_losses = vhost_dev_nr_losses(dev, &is_lost);

	add_text(object, "back-end", dev->config.name);
	add_text(object, "back-end-status", is_lost ? "lost" : "connected");
	add_int(object, "back-ends-lost", nr_losses);
}

static struct json_object *stat_devices(struct machine *machine)
{
	struct json_object *list = json_object_new_array();
	struct json_object *uart = json_object_new_object();

	add_text(uart, "device", "uart");
	add_int(uart, "bytes-from-guest", uart_nr_written(&machine->uart));
	json_object_array_add(list, uart);
	for (unsigned i = 0; machine->has_virtio && i < NR_SLOTS; i++) {
		struct json_object *object;

		if (!machine->slots[i].dev)
			continue;
		object = stat_virtio(machine->slots[i].dev, i);
		if (machine->ports[i])
			stat_back_end(object, machine->ports[i]);
		json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *stat_realm(const struct vm *vm)
{
	const enum hash_algo algo = vm->launch->plan.hash_algo;
	struct json_object *object = json_object_new_object();
	char text[2 * HASH_MAX_SIZE + 1];

	add_text(object, "hash-algo", hash_name(algo));
	add_text(object, "rim", parse_format_hex(vm->rim, hash_size(algo), text));
	return object;
}

static struct json_object *stat_vsock(struct vm *vm)
{
	struct json_object *object = json_object_new_object();
	struct vvsock *device = &vm->machine.vsock;
	unsigned nr_conns;

	virtio_lock(&device->virtio);
	nr_conns = vsock_nr_conns(&device->vsock);
	virtio_unlock(&device->virtio);
	add_int(object, "cid", vm->config->vsock.cid);
	add_text(object, "path", vm->vsock->path);
	add_int(object, "connections", nr_conns);
	return object;
}

static struct json_object *stat_net(struct net *net, struct vnet *vnet)
{
	struct json_object *object = json_object_new_object();
	const struct vnet_stats stats = vnet_get_stats(vnet);
	char mac[sizeof("00:00:00:00:00:00")];

	(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1],
		       net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
	add_text(object, "network", net->name);
	add_text(object, "mac", mac);
	add_text(object, "link", stats.has_link ? "up" : "down");
	add_int(object, "dropped-from-guest", stats.nr_dropped_out);
	add_int(object, "dropped-to-guest", stats.nr_dropped_in);
	return object;
}

static struct json_object *stat_nets(struct vm *vm)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < vm->config->nr_nets; i++)
		json_object_array_add(list, stat_net(&vm->nets[i], &vm->machine.vnets[i]));
	return list;
}

/* Balloon: QEMU counts what is left to the guest, in bytes. */

static int need_balloon(const struct vm *vm, struct ccr_err *err)
{
	return vm->machine.has_balloon
		       ? 0
		       : err_set(err, -ENODEV, "No balloon device has been activated");
}

static int set_balloon(void *ctx, uint64_t size, struct ccr_err *err)
{
	struct vm *vm = ctx;
	const uint64_t ram_size = gmem_size(vm->gmem);

	if (need_balloon(vm, err))
		return err->code;
	/* As there: more than all is all, and the rest is the guest's to refuse. */
	if (size > ram_size)
		size = ram_size;
	balloon_set_target(&vm->machine.balloon, (uint32_t)((ram_size - size) / BALLOON_PAGE_SIZE));
	return 0;
}

static uint64_t left_to_guest(struct vm *vm)
{
	const struct balloon_state state = balloon_get_state(&vm->machine.balloon);
	const uint64_t taken = (uint64_t)state.actual * BALLOON_PAGE_SIZE;

	/* The guest says so; it may say anything. */
	return taken < gmem_size(vm->gmem) ? gmem_size(vm->gmem) - taken : 0;
}

static int query_balloon(void *ctx, uint64_t *ret_size, struct ccr_err *err)
{
	struct vm *vm = ctx;

	if (need_balloon(vm, err))
		return err->code;
	*ret_size = left_to_guest(vm);
	return 0;
}

void manage_notice(struct vm *vm)
{
	struct json_object *data;

	if (!vm->machine.has_balloon || !balloon_take_change(&vm->machine.balloon))
		return;
	data = json_object_new_object();
	add_int(data, "actual", left_to_guest(vm));
	control_event(vm->control, "BALLOON_CHANGE", data);
}

static struct json_object *stat_balloon(struct vm *vm)
{
	static const char *const names[BALLOON_NR_STATS] = {
		[BALLOON_STAT_SWAP_IN] = "swap-in",
		[BALLOON_STAT_SWAP_OUT] = "swap-out",
		[BALLOON_STAT_MAJOR_FAULTS] = "major-faults",
		[BALLOON_STAT_MINOR_FAULTS] = "minor-faults",
		[BALLOON_STAT_FREE] = "free-memory",
		[BALLOON_STAT_TOTAL] = "total-memory",
		[BALLOON_STAT_AVAILABLE] = "available-memory",
		[BALLOON_STAT_CACHES] = "disk-caches",
		[BALLOON_STAT_HUGETLB_ALLOCATIONS] = "hugetlb-allocations",
		[BALLOON_STAT_HUGETLB_FAILURES] = "hugetlb-failures",
	};
	const struct balloon_state state = balloon_get_state(&vm->machine.balloon);
	struct json_object *object = json_object_new_object();

	add_int(object, "target", (uint64_t)state.target * BALLOON_PAGE_SIZE);
	add_int(object, "actual", (uint64_t)state.actual * BALLOON_PAGE_SIZE);
	add_int(object, "reported", state.nr_reported);
	for (unsigned i = 0; i < BALLOON_NR_STATS; i++) {
		if (state.stats[i] != BALLOON_UNKNOWN)
			add_int(object, names[i], state.stats[i]);
	}
	return object;
}

static void stat(void *ctx, struct json_object *object)
{
	static const char *const kinds[] = {
		[MACHINE_PLAIN] = "plain",
		[MACHINE_EMULATED] = "emulated realm",
		[MACHINE_REALM] = "realm",
	};
	struct vm *vm = ctx;

	add_int(object, "pid", (uint64_t)getpid());
	add_text(object, "kind", kinds[vm->launch->kind]);
	add_text(object, "status", qmp_status_name(status(vm)));
	add_int(object, "uptime-ms", control_uptime_ms(vm->control));
	add_int(object, "resets", vm->control->nr_resets);
	json_object_object_add(object, "memory", stat_memory(vm->gmem));
	if (vm->launch->kind != MACHINE_PLAIN)
		json_object_object_add(object, "realm", stat_realm(vm));
	if (vm->machine.has_vsock)
		json_object_object_add(object, "vsock", stat_vsock(vm));
	if (vm->config->nr_nets > 0)
		json_object_object_add(object, "networks", stat_nets(vm));
	if (vm->machine.has_balloon)
		json_object_object_add(object, "balloon", stat_balloon(vm));
	json_object_object_add(object, "vcpus", stat_vcpus(&vm->vcpus));
	json_object_object_add(object, "devices", stat_devices(&vm->machine));
}

const struct qmp_ops manage_ops = {
	.status = status,
	.stop = stop,
	.cont = cont,
	.reset = reset,
	.powerdown = powerdown,
	.quit = quit,
	.stat = stat,
	.console = console,
	.balloon = set_balloon,
	.query_balloon = query_balloon,
};

/* Why a life has ended, in QEMU's words (ShutdownCause). */
static const char *reason_of(const struct control *control, enum vm_outcome outcome)
{
	static const char *const reasons[] = {
		[VM_POWEROFF] = "guest-shutdown", [VM_RESET] = "guest-reset",
		[VM_CRASH] = "guest-panic",       [VM_STOPPED] = "host-signal",
		[VM_FAILED] = "host-error",       [VM_BROKEN] = "host-error",
	};
	const bool by_host = outcome == VM_STOPPED || outcome == VM_RESET;

	return by_host && control->reason ? control->reason : reasons[outcome];
}

void manage_ended(struct control *control, enum vm_outcome outcome, bool restarts)
{
	const char *reason = reason_of(control, outcome);
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "guest", json_object_new_boolean(reason[0] == 'g'));
	add_text(data, "reason", reason);
	control_event(control, restarts ? "RESET" : "SHUTDOWN", data);
	control->reason = NULL;
	control->nr_resets += restarts;
}

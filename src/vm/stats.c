/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine has done so far: the answer to x-ccr-stat.
 *
 * Who does the work counts it, in counters of its own that nobody else writes or under a lock that
 * it holds anyway; here they are only read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/parse.h"
#include "internal.h"

static void add_int(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

/* Paths are the user's: any bytes. Clients take no other text than UTF-8, and people see it. */
static void add_text(struct json_object *object, const char *name, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return;
	err_make_printable(copy);
	json_object_object_add(object, name, json_object_new_string(copy));
	free(copy);
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
	json_object_object_add(object, name, json_object_new_boolean(value));
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

/* Nobody here counts what reaches a back end. */
static void stat_notifications(struct json_object *object, const struct virtio_slot *slot)
{
	uint64_t nr = 0;

	if (slot->kind->server == SERVED_ELSEWHERE)
		return;
	for (unsigned i = 0; i < slot->nr_lanes; i++)
		nr += atomic_load_explicit(&slot->lanes[i].nr_kicks, memory_order_relaxed);
	add_int(object, "notifications", nr);
}

static struct json_object *stat_virtio(const struct virtio_slot *slot, unsigned at)
{
	struct json_object *object = json_object_new_object();
	uint64_t nr_failures;
	const struct virtio_stats stats = virtio_get_stats(slot->dev, &nr_failures);

	add_text(object, "device", slot->dev->type->name);
	add_int(object, "slot", at);
	add_int(object, "bytes-from-guest", stats.bytes_out);
	add_int(object, "bytes-to-guest", stats.bytes_in);
	add_int(object, "buffers", stats.nr_buffers);
	stat_notifications(object, slot);
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
		object = stat_virtio(&machine->slots[i], i);
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

/* A back end does not say how many frames it drops. */
static struct vnet_stats net_stats(struct machine *machine, unsigned nr)
{
	const struct vnet_control *control = &machine->net_controls[nr];
	struct vnet_stats stats = {0};

	if (!machine->ports[SLOT_NETS + nr])
		return vnet_get_stats(&machine->vnets[nr]);
	virtio_lock(control->virtio);
	stats.has_link = !control->is_broken;
	virtio_unlock(control->virtio);
	return stats;
}

static struct json_object *stat_net(struct net *net, struct machine *machine, unsigned nr)
{
	struct json_object *object = json_object_new_object();
	const struct vnet_stats stats = net_stats(machine, nr);
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
		json_object_array_add(list, stat_net(&vm->nets[i], &vm->machine, i));
	return list;
}

/* Of what a back end has, only where it is reached. */
static struct json_object *stat_disk(struct vm *vm, unsigned nr)
{
	const struct vm_disk *wish = &vm->config->disks[nr];
	struct json_object *object = json_object_new_object();
	char serial[BLK_SERIAL_SIZE + 1];

	add_text(object, "disk", wish->path);
	add_int(object, "slot", SLOT_DISKS + nr);
	add_bool(object, "vhost-user", wish->is_vhost);
	if (wish->is_vhost)
		return object;
	add_text(object, "serial", vm_disk_serial(wish, nr, serial));
	add_int(object, "size", vm->disks[nr].size);
	add_bool(object, "read-only", vm->disks[nr].read_only);
	add_text(object, "io", blk_io(&vm->machine.blks[nr]));
	return object;
}

static struct json_object *stat_disks(struct vm *vm)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < vm->config->nr_disks; i++)
		json_object_array_add(list, stat_disk(vm, i));
	return list;
}

static struct json_object *stat_channel(struct vm *vm, unsigned nr)
{
	const struct vconsole_state state =
		vconsole_get_state(&vm->machine.console, VCONSOLE_PORT + 1 + nr);
	struct json_object *object = json_object_new_object();

	add_text(object, "channel", vm->channels->names[nr]);
	add_bool(object, "connected", state.is_connected);
	add_bool(object, "open", state.is_open);
	add_int(object, "bytes-from-guest", state.nr_written);
	add_int(object, "bytes-to-guest", state.nr_received);
	add_int(object, "bytes-dropped", state.nr_dropped);
	return object;
}

static struct json_object *stat_channels(struct vm *vm)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < vm->config->nr_channels; i++)
		json_object_array_add(list, stat_channel(vm, i));
	return list;
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

void stats_fill(struct vm *vm, enum qmp_status status, struct json_object *object)
{
	static const char *const kinds[] = {
		[MACHINE_PLAIN] = "plain",
		[MACHINE_EMULATED] = "emulated realm",
		[MACHINE_REALM] = "realm",
	};

	add_int(object, "pid", (uint64_t)getpid());
	add_text(object, "kind", kinds[vm->launch->kind]);
	add_text(object, "status", qmp_status_name(status));
	add_int(object, "uptime-ms", control_uptime_ms(vm->control));
	add_int(object, "resets", vm->control->nr_resets);
	json_object_object_add(object, "memory", stat_memory(vm->gmem));
	if (vm->launch->kind != MACHINE_PLAIN)
		json_object_object_add(object, "realm", stat_realm(vm));
	if (vm->machine.has_vsock)
		json_object_object_add(object, "vsock", stat_vsock(vm));
	if (vm->config->nr_disks > 0)
		json_object_object_add(object, "disks", stat_disks(vm));
	if (vm->config->nr_nets > 0)
		json_object_object_add(object, "networks", stat_nets(vm));
	if (vm->config->nr_channels > 0)
		json_object_object_add(object, "channels", stat_channels(vm));
	if (vm->machine.has_balloon)
		json_object_object_add(object, "balloon", stat_balloon(vm));
	json_object_object_add(object, "vcpus", stat_vcpus(&vm->vcpus));
	json_object_object_add(object, "devices", stat_devices(&vm->machine));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine has done so far, in the text format of Prometheus (version 0.0.4).
 *
 * One table: each row is a metric, made of a member of the answer to x-ccr-stat. All samples of a
 * metric stand together, as the format demands. What a machine does not have has no samples, and
 * a metric without samples no headline.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

#include "internal.h"

#define PREFIX "ccr_run_"

#define PAGE_SIZE 4096
#define MS_PER_S  1000

/* Where a metric's samples come from: an object of the answer, or each object of an array. */
enum source {
	OF_MACHINE,
	OF_MEMORY,
	OF_BALLOON,
	OF_VCPUS,
	OF_EXITS, /* each member of an object of each vCPU */
	OF_DEVICES,
	OF_DISKS,
	OF_NETWORKS,
	OF_CHANNELS,
};

#define MAX_LABELS 2

/* Labels beside the machine's name; a member that an object does not have is no label of it. */
static const struct {
	const char *member;
	const char *labels[MAX_LABELS];
	const char *label_members[MAX_LABELS];
} sources[] = {
	[OF_MACHINE] = {NULL, {0}, {0}},
	[OF_MEMORY] = {"memory", {0}, {0}},
	[OF_BALLOON] = {"balloon", {0}, {0}},
	[OF_VCPUS] = {"vcpus", {"vcpu"}, {"index"}},
	[OF_EXITS] = {"vcpus", {"vcpu"}, {"index"}},
	[OF_DEVICES] = {"devices", {"device", "slot"}, {"device", "slot"}},
	[OF_DISKS] = {"disks", {"disk", "slot"}, {"disk", "slot"}},
	[OF_NETWORKS] = {"networks", {"network"}, {"network"}},
	[OF_CHANNELS] = {"channels", {"channel"}, {"channel"}},
};

/* What a sample is made of a member: a number or a boolean, or whether it is a certain word. */
enum form { AS_IS, AS_PAGES, AS_MS, IF_RUNNING, IF_CONNECTED, IF_UP };

static const char *const words[] = {
	[IF_RUNNING] = "running",
	[IF_CONNECTED] = "connected",
	[IF_UP] = "up",
};

/** struct metric - a row; @member is of its source */
struct metric {
	enum source source;
	const char *member;
	enum form form;
	const char *name;
	bool is_counter;
	const char *help;
};

/* clang-format off */
static const struct metric metrics[] = {
	{OF_MACHINE, "status", IF_RUNNING, "running", false,
	 "Whether the vCPUs run (1) or are paused (0)."},
	{OF_MACHINE, "uptime-ms", AS_MS, "uptime_seconds", false,
	 "Time since the machine was started."},
	{OF_MACHINE, "resets", AS_IS, "resets_total", true,
	 "Times that the machine was built anew."},
	{OF_MEMORY, "size", AS_IS, "memory_bytes", false,
	 "RAM of the guest."},
	{OF_MEMORY, "private-pages", AS_PAGES, "memory_private_bytes", false,
	 "RAM that only the guest can reach."},
	{OF_MEMORY, "shared-pages", AS_PAGES, "memory_shared_bytes", false,
	 "RAM that devices can reach."},
	{OF_MEMORY, "made-private", AS_PAGES, "memory_made_private_bytes_total", true,
	 "RAM that the guest has made private."},
	{OF_MEMORY, "made-shared", AS_PAGES, "memory_made_shared_bytes_total", true,
	 "RAM that the guest has made shared."},
	{OF_MEMORY, "refused-device-accesses", AS_IS, "memory_refused_accesses_total", true,
	 "Accesses of devices to what is not shared RAM."},
	{OF_BALLOON, "target", AS_IS, "balloon_target_bytes", false,
	 "What the guest was asked to give back."},
	{OF_BALLOON, "actual", AS_IS, "balloon_bytes", false,
	 "What the guest says it has given back."},
	{OF_BALLOON, "reported", AS_IS, "balloon_reported_bytes_total", true,
	 "What the guest has reported as free."},
	{OF_EXITS, "exits", AS_IS, "vcpu_exits_total", true,
	 "Times that a vCPU has left the guest, by kind."},
	{OF_VCPUS, "aborts", AS_IS, "vcpu_aborts_total", true,
	 "External aborts that the guest was given."},
	{OF_DEVICES, "buffers", AS_IS, "device_requests_total", true,
	 "Buffers that a device has given back to its driver."},
	{OF_DEVICES, "bytes-from-guest", AS_IS, "device_bytes_from_guest_total", true,
	 "Bytes in these buffers from the guest."},
	{OF_DEVICES, "bytes-to-guest", AS_IS, "device_bytes_to_guest_total", true,
	 "Bytes in these buffers to the guest."},
	{OF_DEVICES, "notifications", AS_IS, "device_notifications_total", true,
	 "Notifications by the driver, and wake-ups by the device itself."},
	{OF_DEVICES, "interrupts", AS_IS, "device_interrupts_total", true,
	 "Times that a device has told its driver of used buffers."},
	{OF_DEVICES, "host-errors", AS_IS, "device_host_errors_total", true,
	 "Requests that the host has failed."},
	{OF_DEVICES, "failures", AS_IS, "device_breaches_total", true,
	 "Times that a device has had to ask its driver for a reset."},
	{OF_DEVICES, "back-end-status", IF_CONNECTED, "device_back_end_up", false,
	 "Whether a device's back end is connected."},
	{OF_DEVICES, "back-ends-lost", AS_IS, "device_back_ends_lost_total", true,
	 "Times that a device has lost its back end."},
	{OF_DISKS, "size", AS_IS, "disk_bytes", false,
	 "Size of a disk; its slot is that of its device."},
	{OF_NETWORKS, "link", IF_UP, "network_up", false,
	 "Whether the link is up."},
	{OF_NETWORKS, "dropped-from-guest", AS_IS, "network_dropped_from_guest_total", true,
	 "Frames from the guest that were dropped."},
	{OF_NETWORKS, "dropped-to-guest", AS_IS, "network_dropped_to_guest_total", true,
	 "Frames to the guest that were dropped."},
	{OF_CHANNELS, "connected", AS_IS, "channel_connected", false,
	 "Whether the host end is there."},
	{OF_CHANNELS, "open", AS_IS, "channel_open", false,
	 "Whether the guest has the port open."},
	{OF_CHANNELS, "bytes-from-guest", AS_IS, "channel_bytes_from_guest_total", true,
	 "Bytes from the guest."},
	{OF_CHANNELS, "bytes-to-guest", AS_IS, "channel_bytes_to_guest_total", true,
	 "Bytes to the guest."},
	{OF_CHANNELS, "bytes-dropped", AS_IS, "channel_dropped_bytes_total", true,
	 "Bytes from the guest that nobody was there to take."},
};
/* clang-format on */

/**
 * struct page - what is being written
 * @machine: its name
 * @has_headline: of the metric at hand
 */
struct page {
	FILE *out;
	const char *machine;
	bool has_headline;
};

static void print_headline(struct page *page, const struct metric *metric)
{
	if (page->has_headline)
		return;
	page->has_headline = true;
	(void)fprintf(page->out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", metric->name,
		      metric->help, metric->name, metric->is_counter ? "counter" : "gauge");
}

/* Three characters have a meaning in a label's value. */
static void print_label(FILE *out, char before, const char *name, const char *value)
{
	(void)fprintf(out, "%c%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '\n') {
			(void)fputs("\\n", out);
			continue;
		}
		if (*value == '\\' || *value == '"')
			(void)fputc('\\', out);
		(void)fputc(*value, out);
	}
	(void)fputc('"', out);
}

static void print_labels(const struct page *page, enum source source, struct json_object *object,
			 const char *kind)
{
	print_label(page->out, '{', "machine", page->machine);
	for (unsigned i = 0; i < MAX_LABELS && sources[source].labels[i]; i++) {
		struct json_object *value =
			cli_answer_member(object, sources[source].label_members[i]);

		if (value)
			print_label(page->out, ',', sources[source].labels[i],
				    json_object_get_string(value));
	}
	if (kind)
		print_label(page->out, ',', "kind", kind);
	(void)fputc('}', page->out);
}

static void print_value(FILE *out, const struct metric *metric, struct json_object *value)
{
	uint64_t number = json_object_get_uint64(value);

	if (metric->form == AS_MS) {
		(void)fprintf(out, " %" PRIu64 ".%03" PRIu64 "\n", number / MS_PER_S,
			      number % MS_PER_S);
		return;
	}
	if (metric->form == AS_PAGES)
		number *= PAGE_SIZE;
	else if (metric->form != AS_IS)
		number = !strcmp(json_object_get_string(value), words[metric->form]);
	(void)fprintf(out, " %" PRIu64 "\n", number);
}

static void print_sample(struct page *page, const struct metric *metric, struct json_object *object,
			 const char *kind, struct json_object *value)
{
	print_headline(page, metric);
	(void)fprintf(page->out, PREFIX "%s", metric->name);
	print_labels(page, metric->source, object, kind);
	print_value(page->out, metric, value);
}

static void print_object(struct page *page, const struct metric *metric, struct json_object *object)
{
	struct json_object *value = cli_answer_member(object, metric->member);

	if (!value)
		return;
	if (metric->source != OF_EXITS) {
		print_sample(page, metric, object, NULL, value);
		return;
	}
	json_object_object_foreach(value, kind, nr)
	{
		print_sample(page, metric, object, kind, nr);
	}
}

static void print_metric(struct page *page, const struct metric *metric, struct json_object *stat)
{
	const char *name = sources[metric->source].member;
	struct json_object *from = name ? cli_answer_member(stat, name) : stat;

	page->has_headline = false;
	if (!json_object_is_type(from, json_type_array)) {
		print_object(page, metric, from);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(from); i++)
		print_object(page, metric, json_object_array_get_idx(from, i));
}

static void print_info(struct page *page, struct json_object *stat)
{
	static const struct metric info = {
		OF_MACHINE, "kind", AS_IS, "machine_info", false, "What the machine is; always 1."};
	struct json_object *realm = cli_answer_member(stat, "realm");

	page->has_headline = false;
	print_headline(page, &info);
	(void)fprintf(page->out, PREFIX "%s", info.name);
	print_label(page->out, '{', "machine", page->machine);
	print_label(page->out, ',', "kind", cli_answer_text(stat, "kind"));
	if (realm)
		print_label(page->out, ',', "rim", cli_answer_text(realm, "rim"));
	(void)fputs("} 1\n", page->out);
}

void cli_print_prometheus(struct json_object *stat, FILE *out)
{
	struct page page = {.out = out, .machine = cli_answer_text(stat, "name")};

	print_info(&page, stat);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(&page, &metrics[i], stat);
}

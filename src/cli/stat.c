/* SPDX-License-Identifier: Apache-2.0 */
/* `stat`: what a running machine has done so far, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <json-c/json.h>

#include "client.h"
#include "internal.h"

static void print_memory(struct json_object *memory)
{
	printf("memory     %" PRIu64 " MiB: %" PRIu64 " pages private, %" PRIu64 " shared\n",
	       cli_answer_number(memory, "size") >> 20, cli_answer_number(memory, "private-pages"),
	       cli_answer_number(memory, "shared-pages"));
	printf("changes    %" PRIu64 " pages made private, %" PRIu64 " made shared; %" PRIu64
	       " device accesses refused\n",
	       cli_answer_number(memory, "made-private"), cli_answer_number(memory, "made-shared"),
	       cli_answer_number(memory, "refused-device-accesses"));
}

static void print_balloon(struct json_object *balloon)
{
	printf("balloon    %" PRIu64 " MiB, of %" PRIu64 " MiB asked for; %" PRIu64
	       " MiB reported as free\n",
	       cli_answer_number(balloon, "actual") >> 20,
	       cli_answer_number(balloon, "target") >> 20,
	       cli_answer_number(balloon, "reported") >> 20);
}

static void print_vcpu(struct json_object *vcpu)
{
	printf("vCPU %-5s thread %s, exits:", cli_answer_text(vcpu, "index"),
	       cli_answer_text(vcpu, "thread-id"));
	json_object_object_foreach(cli_answer_member(vcpu, "exits"), name, nr)
	{
		printf(" %s %s", json_object_get_string(nr), name);
	}
	printf("; %s aborts\n", cli_answer_text(vcpu, "aborts"));
}

static bool is_true(struct json_object *object, const char *name)
{
	return json_object_get_boolean(cli_answer_member(object, name));
}

static void print_disk(struct json_object *disk)
{
	printf("disk %s: slot %s", cli_answer_text(disk, "disk"), cli_answer_text(disk, "slot"));
	if (is_true(disk, "vhost-user"))
		puts(", of a vhost-user back end");
	else
		printf(", serial %s, %s bytes, %s%s\n", cli_answer_text(disk, "serial"),
		       cli_answer_text(disk, "size"), cli_answer_text(disk, "io"),
		       is_true(disk, "read-only") ? ", read only" : "");
}

static void print_network(struct json_object *network)
{
	printf("%s: %s, link %s; frames dropped: %s from the guest, %s to it\n",
	       cli_answer_text(network, "network"), cli_answer_text(network, "mac"),
	       cli_answer_text(network, "link"), cli_answer_text(network, "dropped-from-guest"),
	       cli_answer_text(network, "dropped-to-guest"));
}

static void print_channel(struct json_object *channel)
{
	printf("channel %s: host end %s, %s in the guest; %s bytes from the guest, %s of them "
	       "dropped, %s to it\n",
	       cli_answer_text(channel, "channel"),
	       is_true(channel, "connected") ? "there" : "gone",
	       is_true(channel, "open") ? "open" : "closed",
	       cli_answer_text(channel, "bytes-from-guest"),
	       cli_answer_text(channel, "bytes-dropped"),
	       cli_answer_text(channel, "bytes-to-guest"));
}

/* What a device does not have, or nobody counts, is a dash. */
static void print_devices(struct json_object *list)
{
	printf("%-14s %4s %10s %12s %12s %10s %10s %7s %8s\n", "DEVICE", "SLOT", "REQUESTS",
	       "BYTES FROM", "BYTES TO", "NOTIFIED", "INTERRUPTS", "ERRORS", "BREACHES");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *device = json_object_array_get_idx(list, i);

		printf("%-14s %4s %10s %12s %12s %10s %10s %7s %8s\n",
		       cli_answer_text(device, "device"), cli_answer_text(device, "slot"),
		       cli_answer_text(device, "buffers"),
		       cli_answer_text(device, "bytes-from-guest"),
		       cli_answer_text(device, "bytes-to-guest"),
		       cli_answer_text(device, "notifications"),
		       cli_answer_text(device, "interrupts"),
		       cli_answer_text(device, "host-errors"), cli_answer_text(device, "failures"));
	}
}

static void print_back_end(struct json_object *device)
{
	if (cli_answer_member(device, "back-end"))
		printf("back end %s of slot %s: %s, lost %s times so far\n",
		       cli_answer_text(device, "back-end"), cli_answer_text(device, "slot"),
		       cli_answer_text(device, "back-end-status"),
		       cli_answer_text(device, "back-ends-lost"));
}

static void print_each(struct json_object *stat, const char *name,
		       void (*print)(struct json_object *row))
{
	for (size_t i = 0; i < cli_answer_count(stat, name); i++)
		print(json_object_array_get_idx(cli_answer_member(stat, name), i));
}

static void print_stat(struct json_object *stat)
{
	struct json_object *realm = cli_answer_member(stat, "realm");
	struct json_object *balloon = cli_answer_member(stat, "balloon");

	printf("name       %s\nkind       %s\nstatus     %s\npid        %s\n",
	       cli_answer_text(stat, "name"), cli_answer_text(stat, "kind"),
	       cli_answer_text(stat, "status"), cli_answer_text(stat, "pid"));
	printf("uptime     %" PRIu64 " s, %s resets\n", cli_answer_number(stat, "uptime-ms") / 1000,
	       cli_answer_text(stat, "resets"));
	if (realm)
		printf("rim        %s:%s\n", cli_answer_text(realm, "hash-algo"),
		       cli_answer_text(realm, "rim"));
	print_memory(cli_answer_member(stat, "memory"));
	if (balloon)
		print_balloon(balloon);
	print_each(stat, "vcpus", print_vcpu);
	if (cli_answer_count(stat, "devices") > 0)
		print_devices(cli_answer_member(stat, "devices"));
	print_each(stat, "devices", print_back_end);
	print_each(stat, "disks", print_disk);
	print_each(stat, "networks", print_network);
	print_each(stat, "channels", print_channel);
}

enum cli_status cli_stat(const struct cli_options *options, struct ccr_err *err)
{
	struct json_object *stat = NULL;
	struct client client;
	enum cli_status status = cli_open_machine(&client, options, err);

	if (status)
		return status;
	if (client_execute(&client, "x-ccr-stat", NULL, -1, &stat, err))
		status = CLI_NOT_STARTED;
	client_close(&client);
	if (status)
		return status;
	if (options->prometheus)
		cli_print_prometheus(stat, stdout);
	else if (options->json)
		cli_answer_print(stat);
	else
		print_stat(stat);
	json_object_put(stat);
	return cli_flush(err);
}

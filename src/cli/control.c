/* SPDX-License-Identifier: Apache-2.0 */
/* list, stat, stop, pause, resume, balloon: what another process does to a running machine. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>

#include "ccr/parse.h"
#include "ccr/runtime.h"
#include "client.h"
#include "internal.h"

/* A list does not wait long for a machine that is busy. */
#define LIST_PATIENCE_S 2

/* After its connections, what a machine still has to give back. */
#define RELEASE_TRIES    500
#define RELEASE_PAUSE_NS 20000000l

static int need_name(const char *name, struct ccr_err *err)
{
	return name ? 0 : err_set(err, -EINVAL, "no machine: name one; `ccr-run list` shows them");
}

enum cli_status cli_check_machine_name(const struct cli_options *options, struct ccr_err *err)
{
	if (need_name(options->name, err) || runtime_check_name(options->name, err))
		return CLI_USAGE;
	return CLI_OK;
}

enum cli_status cli_open_machine(struct client *client, const struct cli_options *options,
				 struct ccr_err *err)
{
	if (cli_check_machine_name(options, err))
		return CLI_USAGE;
	if (client_open(client, options->run_dir, options->name, CLIENT_PATIENCE_S, err))
		return CLI_NOT_STARTED;
	return CLI_OK;
}

static enum cli_status command_alone(const struct cli_options *options, const char *command,
				     struct ccr_err *err)
{
	struct client client;
	enum cli_status status = cli_open_machine(&client, options, err);

	if (status)
		return status;
	if (client_execute(&client, command, NULL, -1, NULL, err))
		status = CLI_NOT_STARTED;
	client_close(&client);
	return status;
}

enum cli_status cli_pause(const struct cli_options *options, struct ccr_err *err)
{
	return command_alone(options, "stop", err);
}

enum cli_status cli_resume(const struct cli_options *options, struct ccr_err *err)
{
	return command_alone(options, "cont", err);
}

/* Members of the answer to x-ccr-stat, which is our own program's: one that is missing counts 0. */

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, name, &value);
	return value;
}

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *value = member(object, name);

	return value ? json_object_get_string(value) : "-";
}

static uint64_t number_of(struct json_object *object, const char *name)
{
	return json_object_get_uint64(member(object, name));
}

static size_t count_of(struct json_object *object, const char *name)
{
	struct json_object *list = member(object, name);

	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static void print_json(struct json_object *object)
{
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* `list` */

static void add_int(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void copy_member(struct json_object *to, struct json_object *from, const char *name)
{
	json_object_object_add(to, name, json_object_get(member(from, name)));
}

static struct json_object *summary_of(struct json_object *stat)
{
	static const char *const names[] = {"name", "pid", "kind", "status", "uptime-ms"};
	struct json_object *row = json_object_new_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		copy_member(row, stat, names[i]);
	add_int(row, "vcpus", count_of(stat, "vcpus"));
	add_int(row, "memory", number_of(member(stat, "memory"), "size"));
	return row;
}

/* Return: what is known of the machine; NULL if it is gone. */
static struct json_object *ask(const char *run_dir, const char *name)
{
	struct json_object *stat = NULL, *row;
	struct ccr_err why = {0};
	struct client client;
	int ret = client_open(&client, run_dir, name, LIST_PATIENCE_S, &why);

	if (!ret) {
		ret = client_execute(&client, "x-ccr-stat", NULL, -1, &stat, &why);
		client_close(&client);
	}
	if (ret == -ENOENT || ret == -ECONNRESET)
		return NULL;
	if (!ret) {
		row = summary_of(stat);
		json_object_put(stat);
		return row;
	}
	log_debug("%s", why.msg);
	row = json_object_new_object();
	json_object_object_add(row, "name", json_object_new_string(name));
	json_object_object_add(row, "status", json_object_new_string("no answer"));
	return row;
}

static struct json_object *ask_all(const char *run_dir, char **names, size_t nr)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < nr; i++) {
		struct json_object *row = ask(run_dir, names[i]);

		if (row)
			json_object_array_add(list, row);
	}
	return list;
}

static void print_list(struct json_object *list)
{
	const size_t nr = json_object_array_length(list);

	printf("%-20s %8s %-15s %-10s %6s %9s %10s\n", "NAME", "PID", "KIND", "STATUS", "VCPUS",
	       "MEM (MiB)", "UPTIME (s)");
	for (size_t i = 0; i < nr; i++) {
		struct json_object *row = json_object_array_get_idx(list, i);

		printf("%-20s %8s %-15s %-10s %6s %9" PRIu64 " %10" PRIu64 "\n",
		       text_of(row, "name"), text_of(row, "pid"), text_of(row, "kind"),
		       text_of(row, "status"), text_of(row, "vcpus"),
		       number_of(row, "memory") >> 20, number_of(row, "uptime-ms") / 1000);
	}
}

enum cli_status cli_list(const struct cli_options *options, struct ccr_err *err)
{
	struct json_object *list, *object;
	char **names;
	size_t nr;

	if (runtime_list(options->run_dir, &names, &nr, err))
		return CLI_NOT_STARTED;
	list = ask_all(options->run_dir, names, nr);
	runtime_free_names(names, nr);
	object = json_object_new_object();
	json_object_object_add(object, "machines", list);
	if (options->json)
		print_json(object);
	else
		print_list(list);
	json_object_put(object);
	return cli_flush(err);
}

/* `stat` */

static void print_memory(struct json_object *memory)
{
	printf("memory     %" PRIu64 " MiB: %" PRIu64 " pages private, %" PRIu64 " shared\n",
	       number_of(memory, "size") >> 20, number_of(memory, "private-pages"),
	       number_of(memory, "shared-pages"));
	printf("changes    %" PRIu64 " pages made private, %" PRIu64 " made shared; %" PRIu64
	       " device accesses refused\n",
	       number_of(memory, "made-private"), number_of(memory, "made-shared"),
	       number_of(memory, "refused-device-accesses"));
}

static void print_vcpu(struct json_object *vcpu)
{
	printf("vCPU %-5s thread %s, exits:", text_of(vcpu, "index"), text_of(vcpu, "thread-id"));
	json_object_object_foreach(member(vcpu, "exits"), name, nr)
	{
		printf(" %s %s", json_object_get_string(nr), name);
	}
	printf("; %s aborts\n", text_of(vcpu, "aborts"));
}

static void print_device(struct json_object *device)
{
	printf("%-16s %s bytes from the guest", text_of(device, "device"),
	       text_of(device, "bytes-from-guest"));
	if (member(device, "buffers"))
		printf(", %s to it; %s buffers, %s interrupts, %s failures",
		       text_of(device, "bytes-to-guest"), text_of(device, "buffers"),
		       text_of(device, "interrupts"), text_of(device, "failures"));
	if (member(device, "back-end"))
		printf("; back end %s %s, %s lost so far", text_of(device, "back-end"),
		       text_of(device, "back-end-status"), text_of(device, "back-ends-lost"));
	printf("\n");
}

static void print_network(struct json_object *network)
{
	printf("%s: %s, link %s; frames dropped: %s from the guest, %s to it\n",
	       text_of(network, "network"), text_of(network, "mac"), text_of(network, "link"),
	       text_of(network, "dropped-from-guest"), text_of(network, "dropped-to-guest"));
}

static void print_stat(struct json_object *stat)
{
	struct json_object *realm = member(stat, "realm");

	printf("name       %s\nkind       %s\nstatus     %s\npid        %s\n",
	       text_of(stat, "name"), text_of(stat, "kind"), text_of(stat, "status"),
	       text_of(stat, "pid"));
	printf("uptime     %" PRIu64 " s, %s resets\n", number_of(stat, "uptime-ms") / 1000,
	       text_of(stat, "resets"));
	if (realm)
		printf("rim        %s:%s\n", text_of(realm, "hash-algo"), text_of(realm, "rim"));
	print_memory(member(stat, "memory"));
	for (size_t i = 0; i < count_of(stat, "networks"); i++)
		print_network(json_object_array_get_idx(member(stat, "networks"), i));
	for (size_t i = 0; i < count_of(stat, "vcpus"); i++)
		print_vcpu(json_object_array_get_idx(member(stat, "vcpus"), i));
	for (size_t i = 0; i < count_of(stat, "devices"); i++)
		print_device(json_object_array_get_idx(member(stat, "devices"), i));
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
	if (options->json)
		print_json(stat);
	else
		print_stat(stat);
	json_object_put(stat);
	return cli_flush(err);
}

/* `balloon` */

static int ask_for_memory(struct client *client, uint64_t size, struct ccr_err *err)
{
	struct json_object *arguments = json_object_new_object();

	add_int(arguments, "value", size);
	return client_execute(client, "balloon", arguments, -1, NULL, err);
}

static int print_memory_left(struct client *client, struct ccr_err *err)
{
	struct json_object *answer = NULL;
	const int ret = client_execute(client, "query-balloon", NULL, -1, &answer, err);

	if (ret)
		return ret;
	printf("%" PRIu64 " MiB\n", number_of(answer, "actual") >> 20);
	json_object_put(answer);
	return 0;
}

enum cli_status cli_balloon(const struct cli_options *options, struct ccr_err *err)
{
	struct client client;
	enum cli_status status;
	uint64_t size = 0;
	int ret;

	if (options->size &&
	    (parse_size(options->size, 1ull << 20, &size) || size == 0 || size > INT64_MAX)) {
		err_set(err, -EINVAL, "balloon %s: not a size such as 512M or 4G", options->size);
		return CLI_USAGE;
	}
	status = cli_open_machine(&client, options, err);
	if (status)
		return status;
	ret = options->size ? ask_for_memory(&client, size, err) : print_memory_left(&client, err);
	client_close(&client);
	return ret ? CLI_NOT_STARTED : cli_flush(err);
}

/* `stop` */

/* Whoever has stopped a machine may use its name, its disks and its memory at once. */
static int await_release(const struct cli_options *options, struct ccr_err *err)
{
	const struct timespec pause = {.tv_nsec = RELEASE_PAUSE_NS};

	for (int i = 0; i < RELEASE_TRIES; i++) {
		if (!runtime_is_alive(options->run_dir, options->name))
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, -ETIMEDOUT, "machine %s is ending, but has not ended yet",
		       options->name);
}

static int ask_to_stop(struct client *client, const struct cli_options *options,
		       struct ccr_err *err)
{
	struct json_object *arguments;

	if (options->force)
		return client_execute(client, "quit", NULL, -1, NULL, err);
	if (options->grace_s > 0)
		log_info("%s cannot be told to power off (it has no power button): it ends in "
			 "%u s, or before if its guest powers off; --force ends it at once",
			 options->name, options->grace_s);
	arguments = json_object_new_object();
	add_int(arguments, "grace", options->grace_s);
	return client_execute(client, "x-ccr-stop", arguments, -1, NULL, err);
}

enum cli_status cli_stop(const struct cli_options *options, struct ccr_err *err)
{
	struct client client;
	enum cli_status status = cli_open_machine(&client, options, err);
	int ret;

	if (status)
		return status;
	ret = ask_to_stop(&client, options, err);
	client_set_patience(&client, options->grace_s + CLIENT_PATIENCE_S);
	if (!ret && client_await_end(&client))
		ret = err_set(err, -ETIMEDOUT, "machine %s was told to end, but goes on",
			      options->name);
	client_close(&client);
	if (ret == -ECONNRESET) {
		/* It ended before it could answer, as it was to. */
		err_clear(err);
		ret = 0;
	}
	if (!ret)
		ret = await_release(options, err);
	return ret ? CLI_NOT_STARTED : CLI_OK;
}

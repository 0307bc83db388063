/* SPDX-License-Identifier: Apache-2.0 */
/* list, stop, pause, resume, balloon: what another process does to a running machine. */
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

/* How long a machine that was told to end may take. */
#define END_PATIENCE_S 60

/* After its connections, what a machine still has to give back. */
#define RELEASE_TRIES    3000
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

/* `list` */

static void add_int(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static void copy_member(struct json_object *to, struct json_object *from, const char *name)
{
	json_object_object_add(to, name, json_object_get(cli_answer_member(from, name)));
}

static struct json_object *summary_of(struct json_object *stat)
{
	static const char *const names[] = {"name", "pid", "kind", "status", "uptime-ms"};
	struct json_object *row = json_object_new_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		copy_member(row, stat, names[i]);
	add_int(row, "vcpus", cli_answer_count(stat, "vcpus"));
	add_int(row, "memory", cli_answer_number(cli_answer_member(stat, "memory"), "size"));
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
		       cli_answer_text(row, "name"), cli_answer_text(row, "pid"),
		       cli_answer_text(row, "kind"), cli_answer_text(row, "status"),
		       cli_answer_text(row, "vcpus"), cli_answer_number(row, "memory") >> 20,
		       cli_answer_number(row, "uptime-ms") / 1000);
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
		cli_answer_print(object);
	else
		print_list(list);
	json_object_put(object);
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
	printf("%" PRIu64 " MiB\n", cli_answer_number(answer, "actual") >> 20);
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

/*
 * Whoever has stopped a machine may use its name, its disks and its memory at once. An RMM takes
 * its time to give a realm's memory back, page by page.
 */
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
	client_set_patience(&client, options->grace_s + END_PATIENCE_S);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The commands' side of a machine's control socket. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "ccr/cli.h"
#include "ccr/jstream.h"

struct json_object;

/** CLIENT_PATIENCE_S - how long a machine may take to answer */
#define CLIENT_PATIENCE_S 10

/**
 * struct client - a connection that has been negotiated
 * @name: of the machine; borrowed
 * @pid: of the machine
 * @in, @at, @size: what has come and was not yet looked at: [@at, @size)
 */
struct client {
	int fd;
	const char *name;
	int pid;
	struct jstream stream;
	size_t at, size;
	char in[4096];
};

/**
 * client_open() - connect to the machine @name and negotiate
 * @run_dir: NULL for the usual one
 * @patience_s: for this and for every answer
 *
 * Return: 0, or -errno with @err set: -ENOENT if there is no such machine, -ECONNRESET if it ended
 * meanwhile. client_close() is needed only after 0.
 */
int client_open(struct client *client, const char *run_dir, const char *name, unsigned patience_s,
		struct ccr_err *err);
void client_close(struct client *client);

/** cli_check_machine_name() - does the command line name one. Return: CLI_OK or CLI_USAGE. */
enum cli_status cli_check_machine_name(const struct cli_options *options, struct ccr_err *err);

/** cli_open_machine() - client_open() for the machine that the command line names */
enum cli_status cli_open_machine(struct client *client, const struct cli_options *options,
				 struct ccr_err *err);

/** client_set_patience() - for answers from now on */
void client_set_patience(struct client *client, unsigned patience_s);

/**
 * client_execute() - one command and its answer
 * @arguments: taken over; NULL for none
 * @pass_fd: passed with it; -1 for none
 * @ret_result: to be put by the caller; NULL if it is not wanted
 *
 * Return: 0, or -errno with @err set: -ECONNRESET if the machine ended meanwhile, -EREMOTEIO for an
 * answer that is an error.
 */
int client_execute(struct client *client, const char *command, struct json_object *arguments,
		   int pass_fd, struct json_object **ret_result, struct ccr_err *err);

/** client_await_end() - until the machine closes the connection. Return: 0, or -EAGAIN. */
int client_await_end(struct client *client);

#endif

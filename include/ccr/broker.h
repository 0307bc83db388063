/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brokers: small processes that open what of the host a running machine still needs.
 *
 * Once it runs, a machine is confined and can open nothing. What only then turns out to be needed,
 * because the guest says what, is a broker's to open: a file of a shared directory, a socket that
 * the guest connects to, a back end that has come back. There is one broker for each shared
 * directory and one for all sockets, so that none can do what another is for, and a directory that
 * does not answer holds up nobody else. Each is forked off before there are threads and before the
 * guest runs, and keeps nothing that its machine has open.
 *
 * The machine is not trusted: a broker does what its configuration allows, and there is no word for
 * anything else (broker_proto.h). A broker ends with its machine. A machine survives its broker's
 * end: from then on, every request is -EIO.
 */
#ifndef CCR_BROKER_H
#define CCR_BROKER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ccr/broker_proto.h"
#include "ccr/err.h"

#define BROKER_MAX_TARGETS 32

/**
 * struct broker_target - a Unix stream socket that may be connected to
 * @path: absolute; NULL for a number that nothing is behind
 * @has_ports: the sockets of PATH_0 to PATH_4294967295 instead
 */
struct broker_target {
	const char *path;
	bool has_ports;
};

/**
 * struct broker_scope - what a broker is for; one of the two
 * @dir: a directory to share, NULL for a broker of sockets
 * @read_only: of the directory, nothing can be changed
 * @targets: @nr_targets of them
 */
struct broker_scope {
	const char *dir;
	bool read_only;
	unsigned nr_targets;
	struct broker_target targets[BROKER_MAX_TARGETS];
};

/**
 * struct broker_config - how a broker is made; all of it is called in its process, in this order
 * @scope: what it is for
 * @shrink: give back memory that is only the machine's; NULL for none
 * @enclose: before anything of @scope is opened, a root directory that has nothing but what is
 *	needed: those of @nr_dirs directories that are not NULL, number n as /n, and /proc/self/fd
 *	as /fd if files are opened. NULL for none. Return: false if all names are what they were.
 * @confine: give up all rights that such a broker does not need. It still opens what it finds
 *	through a descriptor that is open. NULL for no confinement.
 *	Return: 0, or -errno with @err set.
 * @ctx: for these
 */
struct broker_config {
	struct broker_scope scope;
	void (*shrink)(void *ctx);
	bool (*enclose)(void *ctx, const char *const *dirs, unsigned nr_dirs);
	int (*confine)(void *ctx, struct ccr_err *err);
	void *ctx;
};

/**
 * struct broker - the machine's end; private to broker.c
 * @lock: one request at a time
 */
struct broker {
	int fd;
	pid_t pid;
	pthread_mutex_t lock;
};

/**
 * broker_start() - fork it off, and wait until it is ready
 *
 * While the process has one thread only.
 *
 * Return: 0, or -errno with @err set: the directory cannot be opened, is of the kernel's own making
 * (proc, sysfs), the host lacks openat2 (Linux 5.6) or /proc, or what @confine says.
 */
int broker_start(struct broker *broker, const struct broker_config *config, struct ccr_err *err);

/**
 * broker_call() - ask, and wait for the answer; from any thread
 * @ret_reply: may be NULL if only the result counts
 * @ret_fd: a descriptor, the caller's to close, or -1; NULL if none is wanted
 *
 * A broker of sockets has five seconds to answer, one of files as long as its file system takes.
 *
 * Return: 0, or what the reply has as an error; -EIO if there is no broker any more; -EINVAL for a
 * request that is none.
 */
int broker_call(struct broker *broker, const struct broker_request *request,
		struct broker_reply *ret_reply, int *ret_fd);

/** broker_connect() - BROKER_CONNECT. Return: a non-blocking socket, or as broker_call(). */
int broker_connect(struct broker *broker, unsigned target, uint32_t port);

/** broker_abort() - all requests end now and from now on with -EIO; from any thread */
void broker_abort(struct broker *broker);

/** broker_stop() - after broker_start() returned 0; waits for its end, a second at the most */
void broker_stop(struct broker *broker);

#endif

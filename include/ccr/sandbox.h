/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confinement: what a guest that has taken over this program could do next.
 *
 * `ccr-run run` is two processes. The keeper opens everything that has a name, and then makes the
 * machine's process, which inherits it, confines itself in steps, and runs the guest. The keeper
 * waits for its end, tells what came of it, removes the sockets and restores the terminal: so the
 * machine needs no way to do that, and a filter may kill it at once. What must be opened while the
 * guest runs is opened by a third process, the broker.
 *
 * The steps, in the order of time, each with what must not happen any more behind it:
 *
 *     sandbox_initial()     first of all: nothing of the user's has been read
 *     sandbox_after_open()  in the machine's process: nothing is opened but to save a result
 *     sandbox_before_run()  the guest's first instruction is next: nothing is opened at all
 *     sandbox_thread_*()    each thread's own filter
 *
 * Filters per thread are no boundary between threads: they share their memory, so who has taken
 * over one may make another do its bidding. They make the first step of an attack harder, no more.
 * The boundary is around the process, and is the union of its threads' filters.
 *
 * The filters are made from comments beside the code: see coding-style.md, "System calls".
 */
#ifndef CCR_SANDBOX_H
#define CCR_SANDBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"

/**
 * enum sandbox_mode - how much of it
 * @SANDBOX_OFF: none of it, and one process: for debuggers, and for hosts that lack it
 * @SANDBOX_ON: what the host can do; system call filters at the least
 * @SANDBOX_LOG: the same, but what a filter would deny is done, and noted in the kernel's log
 */
enum sandbox_mode { SANDBOX_OFF, SANDBOX_ON, SANDBOX_LOG };

/**
 * enum sandbox_thread - kinds of threads: the words of the syscalls() comments
 * @SANDBOX_LOOP: the machine's first thread: event loop, devices without a thread, console
 * @SANDBOX_VCPU: runs the guest, and handles device registers
 * @SANDBOX_WORKER: serves a device
 * @SANDBOX_BUILD: no thread, but what the first one needs to make threads, and to build a plain VM
 *	anew after a reset; it keeps this until the end only if there can be a reset
 * @SANDBOX_BROKER: the only thread of a broker's process that connects to sockets
 * @SANDBOX_SHARE: of one that opens the files of a shared directory
 */
enum sandbox_thread {
	SANDBOX_LOOP,
	SANDBOX_VCPU,
	SANDBOX_WORKER,
	SANDBOX_BUILD,
	SANDBOX_BROKER,
	SANDBOX_SHARE,
	SANDBOX_NR_THREADS
};

/** SANDBOX_MAX_INHERITED - descriptors that are looked for when the program starts */
#define SANDBOX_MAX_INHERITED 1024

/** SANDBOX_MAX_FDS - the limit of descriptors that a process gives itself, if it may */
#define SANDBOX_MAX_FDS 8192

/**
 * struct sandbox - how far this process is
 * @may_rebuild: the machine may be built anew while it is confined
 * @has_mounts: it has a name space of mounts of its own
 * @is_confined: sandbox_before_run() was here
 * @inherited: bit n % 64 of word n / 64: descriptor n was open before us
 */
struct sandbox {
	enum sandbox_mode mode;
	bool may_rebuild;
	bool has_mounts;
	bool is_confined;
	uint64_t inherited[SANDBOX_MAX_INHERITED / 64];
};

/** sandbox_parse() - "on", "off" or "log". Return: 0, or -EINVAL with @err set. */
int sandbox_parse(const char *text, enum sandbox_mode *ret_mode, struct ccr_err *err);

/**
 * sandbox_initial() - before anything of the user's is read
 *
 * No new privileges, no core dumps, a limit on descriptors; and those that are open already are
 * noted, because they are nobody's business here but standard input, output and error.
 *
 * Return: 0, or -errno with @err set: -EOPNOTSUPP on a kernel without system call filters.
 */
int sandbox_initial(struct sandbox *sandbox, enum sandbox_mode mode, struct ccr_err *err);

/** sandbox_adopt() - a descriptor that was inherited is used. @sandbox may be NULL. */
void sandbox_adopt(struct sandbox *sandbox, int fd);

/**
 * sandbox_after_open() - in the machine's process, while it has one thread
 *
 * Everything that has a name is open. From here on nothing may be opened but files to save a result
 * in. Descriptors that were inherited are closed. The process gets name spaces of its own: mounts,
 * network, IPC, host name, control groups; for an ordinary user in a user name space, where the
 * host lets ordinary users have one. None for process identifiers: thread identifiers, which
 * `query-cpus-fast` tells so that vCPUs can be pinned, would mean nothing outside; signals to
 * others are denied by the filter.
 *
 * Return: 0, or -errno with @err set. A host that allows no name spaces is no error.
 */
int sandbox_after_open(struct sandbox *sandbox, struct ccr_err *err);

/**
 * sandbox_before_run() - in the machine's process, while it has one thread
 *
 * From here on nothing may be opened, no program started and no privilege used, until the end. The
 * root directory is empty, Landlock denies all files (and TCP and signals to others, where it can),
 * the capability sets are empty, nobody may trace the process, and the union of all filters that
 * its threads will have applies. Called again in a later life of the machine, it does nothing.
 *
 * Return: 0, or -errno with @err set: -EBUSY if there are threads, which would not be confined.
 */
int sandbox_before_run(struct sandbox *sandbox, struct ccr_err *err);

/**
 * sandbox_thread_create() - as pthread_create(), for a thread of this kind
 *
 * In a confined process the thread's first act is to get its filter. It is -EIO if that fails.
 *
 * Return: 0 or -errno.
 */
int sandbox_thread_create(pthread_t *ret_thread, enum sandbox_thread kind, void *(*main)(void *),
			  void *arg);

/**
 * sandbox_thread_settle() - the calling thread's filter, once it has made all threads it ever will
 *
 * Return: 0 or -errno.
 */
int sandbox_thread_settle(enum sandbox_thread kind);

/**
 * struct sandbox_task - what a broker's process does for a machine
 * @dir: it opens files there; NULL if it connects to sockets
 * @read_only: it changes none of them
 * @has_users: set by sandbox_enclose(): it is in a name space of users
 */
struct sandbox_task {
	const char *dir;
	bool read_only;
	bool has_users;
};

/** SANDBOX_MAX_DIRS - directories that sandbox_enclose() can keep */
#define SANDBOX_MAX_DIRS 32

/**
 * sandbox_enclose() - in a broker's process, before it opens anything
 * @task: @task->dir becomes what it is called from then on
 * @dirs: what is kept: @nr_dirs directories, NULL for a number that is not used
 *
 * The process gets name spaces of its own, as a machine's does, and in that of mounts a root
 * directory that has only those of @dirs, number n as /n, with all that is below them, and for who
 * shares files /proc/self/fd as /fd. Nothing can be changed below a directory of sockets, nor in
 * one that is shared read-only.
 *
 * For a share, a name space of users is only taken if it leads to that, because in there the files
 * of others are nobody's; and never by root, who would lose its power over them.
 *
 * Return: false if all names are what they were, because this host lacks what is needed (Linux
 * 5.12, name spaces, /proc) or with SANDBOX_OFF.
 */
bool sandbox_enclose(enum sandbox_mode mode, struct sandbox_task *task, const char *const *dirs,
		     unsigned nr_dirs);

/**
 * sandbox_broker() - in a broker's process, before it reads the first request
 *
 * Where the kernel has Landlock (Linux 5.19), one that shares files can open, make, rename and
 * remove files of its directory only, and one that connects no file at all. What shares files keeps
 * those capabilities that have to do with owners and permissions of files, unless they would only
 * be those of a name space of users; everything else goes.
 *
 * Return: 0, or -errno with @err set.
 */
int sandbox_broker(enum sandbox_mode mode, const struct sandbox_task *task, struct ccr_err *err);

/**
 * struct sandbox_sides - what the two processes do
 * @machine: calls sandbox_after_open() and sandbox_before_run(), runs the guest, fills the result
 * @keeper: gives back what only the other one needs
 */
struct sandbox_sides {
	void (*machine)(void *ctx);
	void (*keeper)(void *ctx);
};

/** SANDBOX_MAX_RESULT - bytes that a machine's process can leave behind */
#define SANDBOX_MAX_RESULT 4096

/**
 * enum sandbox_end - how the machine's process has ended
 * @SANDBOX_DONE: the result is complete
 * @SANDBOX_KILLED: somebody on the host has killed it
 * @SANDBOX_BROKEN: it did what it must not, or crashed
 */
enum sandbox_end { SANDBOX_DONE, SANDBOX_KILLED, SANDBOX_BROKEN };

/**
 * sandbox_keep() - make the machine's process, and wait for its end
 * @result: @size bytes, at most SANDBOX_MAX_RESULT, that @sides->machine fills over there; they
 *	come from a process that a guest may have taken over, and are to be checked
 * @err: set unless SANDBOX_DONE is returned
 *
 * SIGTERM, SIGINT and SIGHUP, which the caller has blocked, are passed on. The machine's process
 * ends when ours does. With SANDBOX_OFF, @sides->machine runs here.
 *
 * Return: an enum sandbox_end, or -errno if there could be no such process.
 */
int sandbox_keep(const struct sandbox *sandbox, const struct sandbox_sides *sides, void *ctx,
		 void *result, size_t size, struct ccr_err *err);

#endif

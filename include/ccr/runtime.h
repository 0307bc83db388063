/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of running machines: a directory with a lock and a socket for each.
 *
 * A machine is alive while somebody holds the lock on NAME.lock (an open file description lock,
 * which ends with its process, however that ends). The files' existence says nothing. Whoever gets
 * the lock may remove both files; whoever wants to keep it checks that the file it has locked is
 * still the one in the directory.
 *
 * The directory is its owner's alone, so whoever can open a socket in it may control the machine.
 */
#ifndef CCR_RUNTIME_H
#define CCR_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "ccr/err.h"

/** RUNTIME_MAX_NAME - bytes of a name */
#define RUNTIME_MAX_NAME 64

/**
 * struct runtime - a name that is ours
 * @listen_fd: the machine's socket, listening, non-blocking
 */
struct runtime {
	int dir_fd;
	int lock_fd;
	int listen_fd;
	char name[RUNTIME_MAX_NAME + 1];
};

/**
 * runtime_check_name() - letters, digits, '.', '_' and '-'; neither of the last two nor a dot first
 *
 * Return: 0, or -EINVAL with @err set.
 */
int runtime_check_name(const char *name, struct ccr_err *err);

/**
 * runtime_claim() - make @name ours until runtime_release() or the end of this process
 * @dir: runtime directory, made if it does not exist; NULL for /run/ccr-run (root) or
 *	$XDG_RUNTIME_DIR/ccr-run
 *
 * What a machine that died under this name has left is replaced.
 *
 * Return: 0, or -errno with @err set: -EBUSY if the name is in use, -EINVAL for no name, -EPERM for
 * a directory that others can enter.
 */
int runtime_claim(struct runtime *runtime, const char *dir, const char *name, struct ccr_err *err);

/** runtime_release() - only after runtime_claim() returned 0; removes lock and socket */
void runtime_release(struct runtime *runtime);

/**
 * runtime_connect() - a connection to the machine that is called @name
 * @ret_pid: its process
 *
 * Return: a blocking socket, or -errno with @err set: -ENOENT if no machine has this name, -EACCES
 * without the permission.
 */
int runtime_connect(const char *dir, const char *name, int *ret_pid, struct ccr_err *err);

/** runtime_is_alive() - does a machine have this name */
bool runtime_is_alive(const char *dir, const char *name);

/**
 * runtime_list() - the names of all machines, sorted; what dead ones left is removed
 * @ret_names: @ret_nr strings, to be freed by runtime_free_names()
 *
 * Return: 0 (also if there is no directory), or -errno with @err set.
 */
int runtime_list(const char *dir, char ***ret_names, size_t *ret_nr, struct ccr_err *err);

/** runtime_free_names() - the result of runtime_list() */
void runtime_free_names(char **names, size_t nr);

#endif

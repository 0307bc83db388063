/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/sandbox share. */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include "ccr/sandbox.h"

/** enum isolate_caps - which capabilities a process keeps */
enum isolate_caps { ISOLATE_NO_CAPS, ISOLATE_FILE_CAPS };

/**
 * struct isolate_spaces - which name spaces a process has of its own
 * @has_users: one of users, in which it is the same user and there are no others
 * @has_mounts: one of mounts
 */
struct isolate_spaces {
	bool has_users;
	bool has_mounts;
};

/**
 * isolate_namespaces() - as many name spaces of its own as the host allows
 * @keeps_users: none of users
 */
void isolate_namespaces(bool keeps_users, struct isolate_spaces *ret_spaces);

/**
 * struct root_kept - what a root directory of one's own has of the old one
 * @dirs: @nr_dirs directories, at most SANDBOX_MAX_DIRS, as /0, /1 and so on; NULL for none
 * @has_links: /proc/self/fd, as /fd
 * @read_only: nothing can be changed in @dirs
 */
struct root_kept {
	const char *const *dirs;
	unsigned nr_dirs;
	bool has_links;
	bool read_only;
};

/** ROOT_FIRST_DIR - the first of these directories from then on */
#define ROOT_FIRST_DIR "/0"

/**
 * root_replace() - with a name space of mounts: a root directory that has nothing but this
 *
 * Return: 0, or -errno, and all names are what they were.
 */
int root_replace(const struct root_kept *kept);

/**
 * keeper_try() - would @attempt succeed here? Found out in a process that ends with it.
 *
 * Return: true if it returned 0 there.
 */
bool keeper_try(int (*attempt)(void *ctx), void *ctx);

/** isolate_files() - Landlock denies all files. Return: false if this kernel cannot. */
bool isolate_files(void);

/**
 * isolate_directory() - Landlock denies all files but those below one directory
 * @dir: as it is found from here
 * @read_only: of those, nothing can be changed either
 *
 * Modes, owners and times of files, and whether there are any, are not Landlock's to deny.
 *
 * Return: false if this kernel cannot: Linux 5.19 can, and 5.13 if @read_only.
 */
bool isolate_directory(const char *dir, bool read_only);

/** isolate_caps() - drop all capabilities but those that are kept. Return: 0 or -errno. */
int isolate_caps(enum isolate_caps kept);

/** sandbox_thread_confine_machine() - the filter of a whole machine. Return: 0 or -errno. */
int sandbox_thread_confine_machine(const struct sandbox *sandbox);

/** sandbox_thread_confine_broker() - the filter of a broker. Return: 0 or -errno. */
int sandbox_thread_confine_broker(enum sandbox_mode mode, enum sandbox_thread kind);

#endif

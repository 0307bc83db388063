/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/sandbox share. */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include "ccr/sandbox.h"

/** enum isolate_caps - which capabilities a process keeps */
enum isolate_caps { ISOLATE_NO_CAPS, ISOLATE_FILE_CAPS };

/**
 * isolate_namespaces() - as many name spaces of its own as the host allows
 * @ret_has_mounts: one of mounts is among them
 */
void isolate_namespaces(bool *ret_has_mounts);

/** isolate_root() - the root directory is an empty one. Return: 0 or -errno. */
int isolate_root(void);

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

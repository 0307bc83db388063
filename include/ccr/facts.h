/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's kernel offers beside KVM, for `ccr-run check`: huge pages, and what a program may
 * confine itself with. Nothing is tried that would change the process or the host: the kernel's
 * files are read, and two questions are put that it can only refuse.
 */
#ifndef CCR_FACTS_H
#define CCR_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ccr/err.h"

/** FACTS_MAX_POOLS - sizes of huge pages that a machine has pools of */
#define FACTS_MAX_POOLS 8

/** FACTS_NO_LIMIT - of a control group */
#define FACTS_NO_LIMIT UINT64_MAX

/** FACTS_MAX_WORD - of a mode's name, with its NUL */
#define FACTS_MAX_WORD 16

/** struct facts_pool - pages of @page_kib KiB that are set aside, and how many of them are free */
struct facts_pool {
	uint64_t page_kib;
	uint64_t nr, nr_free;
};

/** enum facts_space - name spaces beside those of users */
enum facts_space {
	FACTS_SPACE_MOUNT,
	FACTS_SPACE_NETWORK,
	FACTS_SPACE_IPC,
	FACTS_SPACE_UTS,
	FACTS_SPACE_CGROUP,
	FACTS_SPACE_PID,
	FACTS_NR_SPACES
};

/** FACTS_NO_YAMA - this kernel has none, or it was not started */
#define FACTS_NO_YAMA (-1)

/**
 * struct facts_answers - what the kernel answers to whom it runs
 * @landlock: the version of its interface, or -errno
 * @seccomp: 0 if filters can be installed, or -errno
 * @copies_mounts: it has mount_setattr(), as Linux from 5.12 on
 * @no_new_privs: already set in this process
 * @is_admin: the process has CAP_SYS_ADMIN
 * @memlock: bytes that it may lock; FACTS_NO_LIMIT
 * @euid: who asks
 */
struct facts_answers {
	int landlock;
	int seccomp;
	bool copies_mounts;
	bool no_new_privs;
	bool is_admin;
	uint64_t memlock;
	uid_t euid;
};

/**
 * struct facts - findings; an error record with code 0 means yes
 * @thp, @shmem_thp: mode of transparent huge pages for ordinary memory, and for memory behind
 *	descriptors, which guest memory is; "" if the kernel has none
 * @pools: the @nr_pools sizes that it knows, ascending
 * @user_ns: an ordinary user may create user namespaces
 * @vhost_net, @vhost_vsock: the kernel can be the back end of networks, of vsocks
 * @spaces: a process of this user may get such a name space of its own
 * @encloses: a process may get a root directory of its own, with some directories of the old one
 * @encloses_shares: so may one that needs all the power over files that this user has, which root
 *	would lose in a name space of users
 * @seccomp, @landlock: system call filters, restrictions on files
 * @landlock_abi: valid if @landlock is yes
 * @no_new_privs: already set
 * @yama: 0 to 3, whom the host lets trace whom; FACTS_NO_YAMA
 * @memlock: bytes that a process of this user may lock; FACTS_NO_LIMIT
 * @cgroup: the process is in a control group of version 2
 * @memory_max, @pids_max: its limits or its ancestors', in bytes and tasks; FACTS_NO_LIMIT if
 *	there are none to be seen
 */
struct facts {
	char thp[FACTS_MAX_WORD];
	char shmem_thp[FACTS_MAX_WORD];
	unsigned nr_pools;
	struct facts_pool pools[FACTS_MAX_POOLS];
	struct ccr_err vhost_net;
	struct ccr_err vhost_vsock;
	struct ccr_err user_ns;
	struct ccr_err spaces[FACTS_NR_SPACES];
	bool encloses;
	bool encloses_shares;
	struct ccr_err seccomp;
	struct ccr_err landlock;
	unsigned landlock_abi;
	bool no_new_privs;
	int yama;
	uint64_t memlock;
	struct ccr_err cgroup;
	uint64_t memory_max;
	uint64_t pids_max;
};

/** facts_ask() - put the questions */
void facts_ask(struct facts_answers *ret_answers);

/**
 * facts_read() - the findings
 * @root: what /proc, /sys and /dev are below; "" for this machine
 *
 * What is missing or says something unexpected is a finding as well, never a failure.
 */
void facts_read(const char *root, const struct facts_answers *answers, struct facts *ret_facts);

/**
 * facts_available() - memory that this host can give now without taking it from others, in bytes
 * @root: as for facts_read()
 *
 * Return: UINT64_MAX if the host does not say.
 */
uint64_t facts_available(const char *root);

/**
 * facts_group_name() - the name of a group, by the file /etc/group below @root
 *
 * Not the C library's way, whose plug-ins a static program cannot load.
 *
 * Return: 0; -ENOENT if the file does not name it, and @name is its number.
 */
int facts_group_name(const char *root, gid_t gid, char name[33]);

#endif

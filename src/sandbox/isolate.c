/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel can take from a process, one thing at a time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ccr/log.h"
#include "internal.h"

/* Linux 5.13; older C libraries have no name for them, and the numbers are the same everywhere. */
#define NR_LANDLOCK_CREATE_RULESET 444
#define NR_LANDLOCK_ADD_RULE       445
#define NR_LANDLOCK_RESTRICT_SELF  446
#define LANDLOCK_ASK_VERSION       1u
#define LANDLOCK_BENEATH           1u

/* Of files, by version of the interface: what there is to deny (Documentation/userspace-api). */
#define LANDLOCK_FILES_1 0x1fffull /* version 1: read, write, list, make and remove */
#define LANDLOCK_EXECUTE 0x0001ull
#define LANDLOCK_READ    0x000cull /* files and directories */
#define LANDLOCK_DEVICES 0x0840ull /* to make them */
#define LANDLOCK_REFER   0x2000ull
#define LANDLOCK_TRUNC   0x4000ull
#define LANDLOCK_IOCTL   0x8000ull
#define LANDLOCK_TCP     3ull /* bind, connect */
#define LANDLOCK_SCOPES  3ull /* abstract sockets of others, signals to others */

struct landlock_attr {
	uint64_t files;
	uint64_t net;
	uint64_t scoped;
};

/* As the kernel has it, without a hole. */
struct __attribute__((packed)) landlock_beneath {
	uint64_t allowed;
	int32_t dir_fd;
};

/* Return: false if the kernel's file did not take @text. */
static bool write_proc(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

/* The user stays the same: files that belong to somebody still do. */
static bool keep_ids(uid_t uid, gid_t gid)
{
	char uid_map[64], gid_map[64];

	snprintf(uid_map, sizeof(uid_map), "%u %u 1", uid, uid);
	snprintf(gid_map, sizeof(gid_map), "%u %u 1", gid, gid);
	return write_proc("/proc/self/setgroups", "deny") &&
	       write_proc("/proc/self/uid_map", uid_map) &&
	       write_proc("/proc/self/gid_map", gid_map);
}

/* syscalls(setup): unshare */
void isolate_namespaces(bool keeps_users, struct isolate_spaces *ret_spaces)
{
	static const struct {
		int flag;
		const char *name;
	} spaces[] = {
		{CLONE_NEWNET, "network"},
		{CLONE_NEWIPC, "IPC"},
		{CLONE_NEWUTS, "host name"},
		{CLONE_NEWCGROUP, "control groups"},
	};
	const uid_t uid = geteuid();
	const gid_t gid = getegid();

	*ret_spaces = (struct isolate_spaces){.has_mounts = unshare(CLONE_NEWNS) == 0};
	if (!ret_spaces->has_mounts && !keeps_users && unshare(CLONE_NEWUSER) == 0) {
		if (!keep_ids(uid, gid))
			log_debug("sandbox: user name space without this user: %s",
				  strerror(errno));
		ret_spaces->has_users = true;
		ret_spaces->has_mounts = unshare(CLONE_NEWNS) == 0;
	}
	if (!ret_spaces->has_mounts)
		log_debug("sandbox: no name space of mounts: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		if (unshare(spaces[i].flag) < 0)
			log_debug("sandbox: no name space of its own, %s: %s", spaces[i].name,
				  strerror(errno));
	}
}

static struct landlock_attr everything(long version)
{
	struct landlock_attr attr = {.files = LANDLOCK_FILES_1};

	if (version >= 2)
		attr.files |= LANDLOCK_REFER;
	if (version >= 3)
		attr.files |= LANDLOCK_TRUNC;
	if (version >= 4)
		attr.net = LANDLOCK_TCP;
	if (version >= 5)
		attr.files |= LANDLOCK_IOCTL;
	if (version >= 6)
		attr.scoped = LANDLOCK_SCOPES;
	return attr;
}

/* Return: version of the interface; below 1 there is none. */
static long landlock_version(void)
{
	return syscall(NR_LANDLOCK_CREATE_RULESET, NULL, (size_t)0, LANDLOCK_ASK_VERSION);
}

/* Older kernels have less of the structure, and take more of it if the rest is zero. */
static long make_ruleset(const struct landlock_attr *attr)
{
	return syscall(NR_LANDLOCK_CREATE_RULESET, attr, sizeof(*attr), 0u);
}

/* Return: false if the ruleset was refused; it is closed either way. */
static bool restrict_self(long ruleset)
{
	const bool done = syscall(NR_LANDLOCK_RESTRICT_SELF, (int)ruleset, 0u) == 0;

	close((int)ruleset);
	return done;
}

bool isolate_files(void)
{
	const long version = landlock_version();
	const struct landlock_attr attr = everything(version);
	long ruleset;

	if (version < 1)
		return false;
	ruleset = make_ruleset(&attr);
	return ruleset >= 0 && restrict_self(ruleset);
}

static bool allow_beneath(long ruleset, const char *dir, uint64_t allowed)
{
	const int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct landlock_beneath rule = {.allowed = allowed, .dir_fd = fd};
	bool done;

	if (fd < 0)
		return false;
	done = syscall(NR_LANDLOCK_ADD_RULE, (int)ruleset, LANDLOCK_BENEATH, &rule, 0u) == 0;
	close(fd);
	return done;
}

/* Version 1 lets nothing be moved from one directory to another, which a share needs. */
bool isolate_directory(const char *dir, bool read_only)
{
	const long version = landlock_version();
	const struct landlock_attr attr = everything(version);
	const uint64_t denied = LANDLOCK_EXECUTE | LANDLOCK_DEVICES | LANDLOCK_IOCTL;
	long ruleset;

	if (version < 1 || (version < 2 && !read_only))
		return false;
	ruleset = make_ruleset(&attr);
	if (ruleset < 0)
		return false;
	if (!allow_beneath(ruleset, dir, read_only ? LANDLOCK_READ : attr.files & ~denied)) {
		close((int)ruleset);
		return false;
	}
	return restrict_self(ruleset);
}

static uint64_t mask_of(enum isolate_caps kept)
{
	if (kept == ISOLATE_NO_CAPS)
		return 0;
	return 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH |
	       1ull << CAP_FOWNER | 1ull << CAP_FSETID;
}

/* As many as this kernel has; who lacks CAP_SETPCAP has no use for what is left either. */
static void drop_bounding(uint64_t kept)
{
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(kept >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
	prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS | SECURE_ALL_LOCKS, 0, 0, 0);
}

int isolate_caps(enum isolate_caps kept)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const uint64_t mask = mask_of(kept);

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	drop_bounding(mask);
	if (syscall(__NR_capget, &head, data) < 0)
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(mask >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(__NR_capset, &head, data) < 0 ? -errno : 0;
}

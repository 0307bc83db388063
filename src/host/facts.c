/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ccr/facts.h"
#include "ccr/file.h"
#include "ccr/parse.h"

#define THP_DIR   "/sys/kernel/mm/transparent_hugepage/"
#define POOL_DIR  "/sys/kernel/mm/hugepages/hugepages-"
#define CGROUP_FS "/sys/fs/cgroup"

/* sysfs says of its files that they are as long as a page of the host's kernel. */
#define MAX_FILE  (64 * 1024)
#define MAX_GROUP ((size_t)1 << 20)

/* Linux 5.13; bookworm's own headers have it, but the number is the same everywhere. */
#define NR_LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_ASK_VERSION       1u

/* Huge pages of arm64 with pages of 4, 16 and 64 KiB, and of x86. */
static const uint64_t pool_sizes[] = {64, 2048, 32768, 524288, 1048576, 16777216};

static_assert(sizeof(pool_sizes) / sizeof(pool_sizes[0]) <= FACTS_MAX_POOLS, "all of them fit");

/* The text of a small file, for free(). Return: NULL if it cannot be read. */
static char *read_text(const char *root, const char *path, size_t max_size)
{
	struct blob blob = {0};
	char name[PATH_MAX];
	char *text;

	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name) ||
	    file_load(name, max_size, "file", &blob, NULL))
		return NULL;
	text = blob.size ? strndup((const char *)blob.data, blob.size) : strdup("");
	blob_free(&blob);
	return text;
}

/* A file that holds one number. Return: false if it does not. */
static bool read_number(const char *root, const char *path, uint64_t *ret_number)
{
	char *text = read_text(root, path, MAX_FILE);
	int ret = -EINVAL;

	if (text) {
		text[strcspn(text, "\n")] = '\0';
		ret = parse_u64(text, ret_number);
	}
	free(text);
	return ret == 0;
}

static bool is_number(const char *root, const char *path, uint64_t expected)
{
	uint64_t number;

	return read_number(root, path, &number) && number == expected;
}

static bool exists(const char *root, const char *path)
{
	char name[PATH_MAX];

	return snprintf(name, sizeof(name), "%s%s", root, path) < (int)sizeof(name) &&
	       access(name, F_OK) == 0;
}

/* Huge pages. */

/* Of "always [madvise] never" what is in brackets. */
static void read_mode(const char *root, const char *path, char mode[FACTS_MAX_WORD])
{
	char *text = read_text(root, path, MAX_FILE);
	const char *open = text ? strchr(text, '[') : NULL;
	const size_t size = open ? strcspn(open + 1, "]\n") : 0;

	mode[0] = '\0';
	if (size > 0 && size < FACTS_MAX_WORD && open[1 + size] == ']') {
		memcpy(mode, open + 1, size);
		mode[size] = '\0';
	}
	free(text);
}

static void read_pools(const char *root, struct facts *facts)
{
	for (size_t i = 0; i < sizeof(pool_sizes) / sizeof(pool_sizes[0]); i++) {
		struct facts_pool pool = {.page_kib = pool_sizes[i]};
		char nr[96], nr_free[96];

		snprintf(nr, sizeof(nr), POOL_DIR "%llukB/nr_hugepages",
			 (unsigned long long)pool.page_kib);
		snprintf(nr_free, sizeof(nr_free), POOL_DIR "%llukB/free_hugepages",
			 (unsigned long long)pool.page_kib);
		if (read_number(root, nr, &pool.nr) && read_number(root, nr_free, &pool.nr_free))
			facts->pools[facts->nr_pools++] = pool;
	}
}

/* Devices by which the kernel does what a virtio device is for. */

static void check_device(const char *root, const char *path, const char *module,
			 struct ccr_err *err)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name) ||
	    access(name, R_OK | W_OK) == 0)
		return;
	if (errno == ENOENT)
		err_set(err, -ENOENT, "there is no %s: load the module %s", path, module);
	else
		err_set(err, -errno,
			"%s: %s: let this user read and write it, by its group or its mode", path,
			strerror(errno));
}

/* Confinement. */

static void check_user_ns(const char *root, uid_t euid, struct ccr_err *err)
{
	if (!exists(root, "/proc/self"))
		err_set(err, -ENOENT, "cannot be told, as /proc is not mounted");
	else if (!exists(root, "/proc/self/ns/user"))
		err_set(err, -EOPNOTSUPP, "this kernel has none: build it with CONFIG_USER_NS");
	else if (is_number(root, "/proc/sys/user/max_user_namespaces", 0))
		err_set(err, -ENOSPC,
			"none are allowed here: raise it with `sysctl "
			"user.max_user_namespaces=10000`");
	else if (euid != 0 && is_number(root, "/proc/sys/kernel/unprivileged_userns_clone", 0))
		err_set(err, -EPERM,
			"only root may create them: allow it with `sysctl "
			"kernel.unprivileged_userns_clone=1`");
	else if (euid != 0 &&
		 is_number(root, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1))
		err_set(err, -EPERM,
			"AppArmor lets only programs with a profile create them: give ccr-run one "
			"with `userns,`, or allow it with `sysctl "
			"kernel.apparmor_restrict_unprivileged_userns=0`");
}

/* By the names that the kernel's files and its configuration have for them. */
static const struct {
	const char *file, *limit, *config;
} spaces[FACTS_NR_SPACES] = {
	[FACTS_SPACE_MOUNT] = {"mnt", "mnt", "CONFIG_NAMESPACES"},
	[FACTS_SPACE_NETWORK] = {"net", "net", "CONFIG_NET_NS"},
	[FACTS_SPACE_IPC] = {"ipc", "ipc", "CONFIG_IPC_NS"},
	[FACTS_SPACE_UTS] = {"uts", "uts", "CONFIG_UTS_NS"},
	[FACTS_SPACE_CGROUP] = {"cgroup", "cgroup", "CONFIG_CGROUPS"},
	[FACTS_SPACE_PID] = {"pid", "pid", "CONFIG_PID_NS"},
};

/* Who is no administrator is one in a user name space of its own. */
static void check_space(const char *root, enum facts_space space, bool is_admin,
			const struct ccr_err *user_ns, struct ccr_err *err)
{
	char file[64], limit[64];

	snprintf(file, sizeof(file), "/proc/self/ns/%s", spaces[space].file);
	snprintf(limit, sizeof(limit), "/proc/sys/user/max_%s_namespaces", spaces[space].limit);
	if (!exists(root, "/proc/self"))
		err_set(err, -ENOENT, "cannot be told, as /proc is not mounted");
	else if (!exists(root, file))
		err_set(err, -EOPNOTSUPP, "this kernel has none: build it with %s",
			spaces[space].config);
	else if (is_number(root, limit, 0))
		err_set(err, -ENOSPC,
			"none are allowed here: raise it with `sysctl user.max_%s_namespaces=10000`",
			spaces[space].limit);
	else if (!is_admin && user_ns->code)
		err_set(err, -EPERM, "only root may have one, as there are no user namespaces");
}

/* Return: its mode, which is a digit. */
static int read_yama(const char *root)
{
	uint64_t mode;

	if (!read_number(root, "/proc/sys/kernel/yama/ptrace_scope", &mode) || mode > 3)
		return FACTS_NO_YAMA;
	return (int)mode;
}

static void check_seccomp(int answer, struct ccr_err *err)
{
	if (answer == -EINVAL || answer == -ENOSYS)
		err_set(err, -EOPNOTSUPP,
			"this kernel has none: build it with CONFIG_SECCOMP_FILTER");
	else if (answer)
		err_set(err, answer, "refused by what this process already runs in: %s",
			strerror(-answer));
}

static void check_landlock(int answer, struct ccr_err *err)
{
	if (answer == -ENOSYS)
		err_set(err, -EOPNOTSUPP,
			"this kernel has none: use Linux 5.13 or newer with "
			"CONFIG_SECURITY_LANDLOCK");
	else if (answer == -EOPNOTSUPP)
		err_set(err, -EOPNOTSUPP,
			"built into this kernel, but not started: boot it with landlock in lsm=");
	else if (answer < 0)
		err_set(err, answer, "refused by what this process already runs in: %s",
			strerror(-answer));
}

/* The line "0::PATH". Return: PATH inside @text, or NULL. */
static char *find_cgroup(char *text)
{
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strncmp(line, "0::/", 4))
			return line + 3;
	}
	return NULL;
}

static void lower_to(const char *root, const char *path, const char *file, uint64_t *limit)
{
	char name[PATH_MAX];
	uint64_t number;

	if (snprintf(name, sizeof(name), CGROUP_FS "%s/%s", path, file) < (int)sizeof(name) &&
	    read_number(root, name, &number) && number < *limit)
		*limit = number;
}

/* Limits of the group and of those above, the smallest of which counts; "max" is no number. */
static void read_limits(const char *root, char *path, struct facts *facts)
{
	/* A group outside of what this process can see. */
	if (strstr(path, "/.."))
		return;
	for (char *end; (end = strrchr(path, '/')); *end = '\0') {
		lower_to(root, path, "memory.max", &facts->memory_max);
		lower_to(root, path, "pids.max", &facts->pids_max);
	}
	/* A container sees its own group as the root. */
	lower_to(root, path, "memory.max", &facts->memory_max);
	lower_to(root, path, "pids.max", &facts->pids_max);
}

static void check_cgroup(const char *root, struct facts *facts)
{
	char *text = read_text(root, "/proc/self/cgroup", MAX_FILE);
	char *path = text ? find_cgroup(text) : NULL;

	facts->memory_max = FACTS_NO_LIMIT;
	facts->pids_max = FACTS_NO_LIMIT;
	if (path && exists(root, CGROUP_FS "/cgroup.controllers"))
		read_limits(root, path, facts);
	else if (text)
		err_set(&facts->cgroup, -EOPNOTSUPP,
			"version 2 is not in use: mount it with `mount -t cgroup2 none "
			"/sys/fs/cgroup`");
	else
		err_set(&facts->cgroup, -EOPNOTSUPP,
			"this kernel has none, or /proc is not mounted: build it with "
			"CONFIG_CGROUPS");
	free(text);
}

static bool is_admin(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &head, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

static uint64_t memlock_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return FACTS_NO_LIMIT;
	return limit.rlim_cur;
}

void facts_ask(struct facts_answers *ret_answers)
{
	const long landlock =
		syscall(NR_LANDLOCK_CREATE_RULESET, NULL, (size_t)0, LANDLOCK_ASK_VERSION);

	*ret_answers = (struct facts_answers){
		.landlock = landlock < 0 ? -errno : (int)landlock,
		/* Of no mount at all: a kernel that has it does not get as far as to look. */
		.copies_mounts = syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) == 0 ||
				 errno != ENOSYS,
		.no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
		.is_admin = is_admin(),
		.memlock = memlock_limit(),
		.euid = geteuid(),
	};
	/* A filter at no address: who can install filters gets as far as to look there. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno != EFAULT)
		ret_answers->seccomp = -errno;
}

void facts_read(const char *root, const struct facts_answers *answers, struct facts *ret_facts)
{
	memset(ret_facts, 0, sizeof(*ret_facts));
	read_mode(root, THP_DIR "enabled", ret_facts->thp);
	read_mode(root, THP_DIR "shmem_enabled", ret_facts->shmem_thp);
	read_pools(root, ret_facts);
	check_device(root, "/dev/vhost-net", "vhost_net", &ret_facts->vhost_net);
	check_device(root, "/dev/vhost-vsock", "vhost_vsock", &ret_facts->vhost_vsock);
	check_user_ns(root, answers->euid, &ret_facts->user_ns);
	for (enum facts_space i = 0; i < FACTS_NR_SPACES; i++)
		check_space(root, i, answers->is_admin, &ret_facts->user_ns, &ret_facts->spaces[i]);
	ret_facts->encloses = answers->copies_mounts &&
			      ret_facts->spaces[FACTS_SPACE_MOUNT].code == 0;
	ret_facts->encloses_shares = ret_facts->encloses &&
				     (answers->is_admin || answers->euid != 0);
	check_seccomp(answers->seccomp, &ret_facts->seccomp);
	check_landlock(answers->landlock, &ret_facts->landlock);
	if (answers->landlock > 0)
		ret_facts->landlock_abi = (unsigned)answers->landlock;
	ret_facts->no_new_privs = answers->no_new_privs;
	ret_facts->yama = read_yama(root);
	ret_facts->memlock = answers->memlock;
	check_cgroup(root, ret_facts);
}

/* "name:password:gid:members". Return: false if it is another group's line. */
static bool is_line_of(const char *line, gid_t gid, char name[33])
{
	const size_t size = strcspn(line, ":");
	const char *password = line + size, *number;
	unsigned long found;
	char *end;

	if (*password != ':' || size == 0 || size > 32)
		return false;
	number = strchr(password + 1, ':');
	if (!number)
		return false;
	found = strtoul(number + 1, &end, 10);
	if (end == number + 1 || *end != ':' || found != gid)
		return false;
	memcpy(name, line, size);
	name[size] = '\0';
	return true;
}

uint64_t facts_available(const char *root)
{
	char *text = read_text(root, "/proc/meminfo", MAX_FILE);
	const char *line = text ? strstr(text, "MemAvailable:") : NULL;
	unsigned long long kib;
	uint64_t size = UINT64_MAX;

	if (line && sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
		size = kib * 1024;
	free(text);
	return size;
}

int facts_group_name(const char *root, gid_t gid, char name[33])
{
	char *text = read_text(root, "/etc/group", MAX_GROUP), *rest = NULL;
	bool found = false;

	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &rest))
		found = is_line_of(line, gid, name);
	free(text);
	if (found)
		return 0;
	snprintf(name, 33, "%lu", (unsigned long)gid);
	return -ENOENT;
}

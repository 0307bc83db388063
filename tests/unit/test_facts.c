/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's kernel says of huge pages and confinement, on trees of files made here.
 *
 * links: src/host/facts.c src/util/file.c src/util/parse.c src/util/err.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/facts.h"

static const struct facts_answers modern = {.landlock = 5, .copies_mounts = true, .euid = 1000};

struct tree {
	char root[64];
};

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	assert_non_null(tree);
	strcpy(tree->root, "/tmp/test_facts.XXXXXX");
	assert_non_null(mkdtemp(tree->root));
	*state = tree;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct tree *tree = *state;

	assert_int_equal(nftw(tree->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(tree);
	return 0;
}

/* A file with all the directories above it. */
static void put(void **state, const char *path, const char *text)
{
	const struct tree *tree = *state;
	char name[PATH_MAX];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", tree->root, path);
	for (char *slash = name + strlen(tree->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		assert_true(mkdir(name, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	file = fopen(name, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct facts look(void **state, const struct facts_answers *answers)
{
	const struct tree *tree = *state;
	struct facts facts;

	memset(&facts, 0xa5, sizeof(facts));
	facts_read(tree->root, answers, &facts);
	return facts;
}

#define THP "/sys/kernel/mm/transparent_hugepage/"

static void test_modes(void **state)
{
	static const struct {
		const char *text, *mode;
	} cases[] = {
		{"always [madvise] never\n", "madvise"},
		{"[always] madvise never\n", "always"},
		{"always within_size advise never deny [force]\n", "force"},
		{"", ""},
		{"always madvise never\n", ""},
		{"[never", ""},
		{"[]\n", ""},
		{"[a-mode-with-a-name-longer-than-any]\n", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct facts facts;

		put(state, THP "enabled", cases[i].text);
		put(state, THP "shmem_enabled", cases[i].text);
		facts = look(state, &modern);
		assert_string_equal(facts.thp, cases[i].mode);
		assert_string_equal(facts.shmem_thp, cases[i].mode);
	}
}

static void test_pools(void **state)
{
	struct facts facts = look(state, &modern);

	assert_int_equal(facts.nr_pools, 0);
	put(state, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
	put(state, "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
	put(state, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
	put(state, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
	put(state, "/sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", "many\n");
	put(state, "/sys/kernel/mm/hugepages/hugepages-64kB/free_hugepages", "0\n");
	facts = look(state, &modern);
	assert_int_equal(facts.nr_pools, 2);
	assert_int_equal(facts.pools[0].page_kib, 2048);
	assert_int_equal(facts.pools[0].nr, 512);
	assert_int_equal(facts.pools[0].nr_free, 500);
	assert_int_equal(facts.pools[1].page_kib, 1048576);
	assert_int_equal(facts.pools[1].nr, 2);
	assert_int_equal(facts.pools[1].nr_free, 1);
}

static void test_vhost(void **state)
{
	struct facts facts = look(state, &modern);

	assert_int_equal(facts.vhost_net.code, -ENOENT);
	assert_string_equal(facts.vhost_net.msg,
			    "there is no /dev/vhost-net: load the module vhost_net");
	assert_int_equal(facts.vhost_vsock.code, -ENOENT);
	put(state, "/dev/vhost-net", "");
	facts = look(state, &modern);
	assert_int_equal(facts.vhost_net.code, 0);
	assert_string_equal(facts.vhost_vsock.msg,
			    "there is no /dev/vhost-vsock: load the module vhost_vsock");
}

static void test_user_namespaces(void **state)
{
	static const struct {
		const char *path, *text;
		uid_t euid;
		int code;
		const char *way_out;
	} cases[] = {
		{"/proc/self/comm", "x\n", 1000, -EOPNOTSUPP, "CONFIG_USER_NS"},
		{"/proc/self/ns/user", "", 1000, 0, ""},
		{"/proc/sys/kernel/unprivileged_userns_clone", "1\n", 1000, 0, ""},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", 1000, -EPERM,
		 "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", 0, 0, ""},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0\n", 1000, -EPERM,
		 "sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0\n", 0, 0, ""},
		{"/proc/sys/user/max_user_namespaces", "0\n", 0, -ENOSPC,
		 "sysctl user.max_user_namespaces="},
	};
	struct facts_answers answers = modern;
	struct facts facts = look(state, &answers);

	assert_int_equal(facts.user_ns.code, -ENOENT);
	assert_non_null(strstr(facts.user_ns.msg, "/proc is not mounted"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(state, cases[i].path, cases[i].text);
		answers.euid = cases[i].euid;
		facts = look(state, &answers);
		assert_int_equal(facts.user_ns.code, cases[i].code);
		assert_non_null(strstr(facts.user_ns.msg, cases[i].way_out));
	}
}

static void test_name_spaces(void **state)
{
	struct facts_answers answers = modern;
	struct facts facts = look(state, &answers);

	assert_int_equal(facts.spaces[FACTS_SPACE_NETWORK].code, -ENOENT);
	put(state, "/proc/self/ns/mnt", "");
	put(state, "/proc/self/ns/user", "");
	facts = look(state, &answers);
	assert_int_equal(facts.spaces[FACTS_SPACE_MOUNT].code, 0);
	assert_true(facts.encloses_shares);
	assert_int_equal(facts.spaces[FACTS_SPACE_NETWORK].code, -EOPNOTSUPP);
	assert_non_null(strstr(facts.spaces[FACTS_SPACE_NETWORK].msg, "CONFIG_NET_NS"));
	assert_non_null(strstr(facts.spaces[FACTS_SPACE_PID].msg, "CONFIG_PID_NS"));

	/* Linux before 5.12 cannot give them to anybody. */
	answers.copies_mounts = false;
	facts = look(state, &answers);
	assert_false(facts.encloses || facts.encloses_shares);
	answers.copies_mounts = true;

	/* Root that is no administrator would lose its power over files. */
	answers.euid = 0;
	facts = look(state, &answers);
	assert_int_equal(facts.spaces[FACTS_SPACE_MOUNT].code, 0);
	assert_true(facts.encloses);
	assert_false(facts.encloses_shares);
	answers.euid = modern.euid;

	/* Where ordinary users have no user name spaces, they have no others. */
	put(state, "/proc/self/ns/net", "");
	put(state, "/proc/sys/kernel/unprivileged_userns_clone", "0\n");
	facts = look(state, &answers);
	assert_int_equal(facts.spaces[FACTS_SPACE_MOUNT].code, -EPERM);
	assert_int_equal(facts.spaces[FACTS_SPACE_NETWORK].code, -EPERM);
	assert_false(facts.encloses_shares);
	answers.is_admin = true;
	facts = look(state, &answers);
	assert_int_equal(facts.spaces[FACTS_SPACE_MOUNT].code, 0);
	assert_true(facts.encloses_shares);
	put(state, "/proc/sys/user/max_net_namespaces", "0\n");
	facts = look(state, &answers);
	assert_int_equal(facts.spaces[FACTS_SPACE_MOUNT].code, 0);
	assert_int_equal(facts.spaces[FACTS_SPACE_NETWORK].code, -ENOSPC);
	assert_non_null(strstr(facts.spaces[FACTS_SPACE_NETWORK].msg, "user.max_net_namespaces="));
}

static void test_yama(void **state)
{
	static const struct {
		const char *text;
		int mode;
	} cases[] = {
		{"0\n", 0},          {"3\n", 3},           {"4\n", FACTS_NO_YAMA},
		{"", FACTS_NO_YAMA}, {"x", FACTS_NO_YAMA},
	};
	const struct facts_answers answers = {.memlock = 65536};
	struct facts facts = look(state, &answers);

	assert_int_equal(facts.yama, FACTS_NO_YAMA);
	assert_int_equal(facts.memlock, 65536);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(state, "/proc/sys/kernel/yama/ptrace_scope", cases[i].text);
		facts = look(state, &answers);
		assert_int_equal(facts.yama, cases[i].mode);
	}
}

static void test_answers(void **state)
{
	static const struct {
		int landlock, seccomp;
		int landlock_code, seccomp_code;
		const char *landlock_says, *seccomp_says;
	} cases[] = {
		{5, 0, 0, 0, "", ""},
		{-ENOSYS, -EINVAL, -EOPNOTSUPP, -EOPNOTSUPP, "5.13", "CONFIG_SECCOMP_FILTER"},
		{-EOPNOTSUPP, -ENOSYS, -EOPNOTSUPP, -EOPNOTSUPP, "lsm=", "CONFIG_SECCOMP_FILTER"},
		{-EPERM, -EPERM, -EPERM, -EPERM, "already runs in", "already runs in"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct facts_answers answers = {
			.landlock = cases[i].landlock,
			.seccomp = cases[i].seccomp,
			.no_new_privs = i % 2 == 1,
		};
		const struct facts facts = look(state, &answers);

		assert_int_equal(facts.landlock.code, cases[i].landlock_code);
		assert_int_equal(facts.seccomp.code, cases[i].seccomp_code);
		assert_non_null(strstr(facts.landlock.msg, cases[i].landlock_says));
		assert_non_null(strstr(facts.seccomp.msg, cases[i].seccomp_says));
		assert_int_equal(facts.landlock_abi, i == 0 ? 5 : 0);
		assert_int_equal(facts.no_new_privs, i % 2 == 1);
	}
}

static void test_cgroup(void **state)
{
	struct facts facts = look(state, &modern);

	assert_int_equal(facts.cgroup.code, -EOPNOTSUPP);
	assert_non_null(strstr(facts.cgroup.msg, "CONFIG_CGROUPS"));
	put(state, "/proc/self/cgroup", "4:memory:/a\n1:name=systemd:/a\n");
	facts = look(state, &modern);
	assert_int_equal(facts.cgroup.code, -EOPNOTSUPP);
	assert_non_null(strstr(facts.cgroup.msg, "mount -t cgroup2"));

	/* Named, but not to be seen. */
	put(state, "/proc/self/cgroup", "0::/a/b\n");
	facts = look(state, &modern);
	assert_int_equal(facts.cgroup.code, -EOPNOTSUPP);

	put(state, "/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
	facts = look(state, &modern);
	assert_int_equal(facts.cgroup.code, 0);
	assert_true(facts.memory_max == FACTS_NO_LIMIT);
	assert_true(facts.pids_max == FACTS_NO_LIMIT);

	/* The smallest one of the group and those above it. */
	put(state, "/sys/fs/cgroup/a/b/memory.max", "max\n");
	put(state, "/sys/fs/cgroup/a/memory.max", "1073741824\n");
	put(state, "/sys/fs/cgroup/memory.max", "2147483648\n");
	put(state, "/sys/fs/cgroup/a/b/pids.max", "100\n");
	put(state, "/sys/fs/cgroup/a/pids.max", "200\n");
	facts = look(state, &modern);
	assert_int_equal(facts.memory_max, 1073741824);
	assert_int_equal(facts.pids_max, 100);

	put(state, "/proc/self/cgroup", "1:cpu:/x\n0::/\n");
	facts = look(state, &modern);
	assert_int_equal(facts.memory_max, 2147483648);

	/* Outside of this process's view; not to be looked for elsewhere. */
	put(state, "/proc/self/cgroup", "0::/../a/b\n");
	facts = look(state, &modern);
	assert_int_equal(facts.cgroup.code, 0);
	assert_true(facts.memory_max == FACTS_NO_LIMIT);
}

static void test_available(void **state)
{
	const struct tree *tree = *state;

	assert_true(facts_available(tree->root) == UINT64_MAX);
	put(state, "/proc/meminfo", "MemTotal:        8052 kB\nMemFree:   12 kB\n");
	assert_true(facts_available(tree->root) == UINT64_MAX);
	put(state, "/proc/meminfo",
	    "MemTotal:        8052 kB\nMemFree:   12 kB\nMemAvailable:    4711 kB\n");
	assert_int_equal(facts_available(tree->root), 4711 * 1024);
	put(state, "/proc/meminfo", "MemAvailable: many\n");
	assert_true(facts_available(tree->root) == UINT64_MAX);
}

static void test_group_names(void **state)
{
	static const struct {
		const char *text;
		gid_t gid;
		int ret;
		const char *name;
	} cases[] = {
		{"root:x:0:\nkvm:x:104:me,you\n", 104, 0, "kvm"},
		{"root:x:0:\nkvm:x:104:", 104, 0, "kvm"},
		{"root:x:0:\n", 104, -ENOENT, "104"},
		{"kvm:x:1040:\n", 104, -ENOENT, "104"},
		{"kvm:104:x:\nkvm\n:x:104:\nkvm:x:104\nkvm:x::\n", 104, -ENOENT, "104"},
		{"a-name-that-is-longer-than-any-name-of-linux:x:104:\n", 104, -ENOENT, "104"},
	};
	const struct tree *tree = *state;
	char name[33];

	assert_int_equal(facts_group_name(tree->root, 7, name), -ENOENT);
	assert_string_equal(name, "7");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(state, "/etc/group", cases[i].text);
		assert_int_equal(facts_group_name(tree->root, cases[i].gid, name), cases[i].ret);
		assert_string_equal(name, cases[i].name);
	}
}

/* The questions change nothing, and get the answers of the kernel that runs this. */
static void test_ask(void **state)
{
	const int mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	struct facts_answers answers, again;
	struct rlimit memlock;

	(void)state;
	facts_ask(&answers);
	assert_int_equal(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), mode);
	assert_int_not_equal(answers.landlock, 0);
	assert_int_equal(answers.euid, geteuid());
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &memlock), 0);
	assert_true(answers.memlock ==
		    (memlock.rlim_cur == RLIM_INFINITY ? FACTS_NO_LIMIT : memlock.rlim_cur));
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	facts_ask(&again);
	assert_true(again.no_new_privs);
	assert_int_equal(again.landlock, answers.landlock);
	assert_int_equal(again.seccomp, answers.seccomp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vhost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_namespaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name_spaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_yama, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cgroup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_available, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group_names, setup, teardown),
		cmocka_unit_test(test_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/runtime.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/runtime.h"

/* @dir does not exist before somebody makes it. */
struct bench {
	char base[32];
	char dir[64];
	struct runtime runtime;
	struct ccr_err err;
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	strcpy(b->base, "/tmp/test_runtime.XXXXXX");
	assert_non_null(mkdtemp(b->base));
	snprintf(b->dir, sizeof(b->dir), "%s/run", b->base);
	*state = b;
	return 0;
}

static void remove_file(const struct bench *b, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	unlink(path);
}

static int bench_end(void **state)
{
	struct bench *b = *state;
	int ret;

	remove_file(b, "README");
	rmdir(b->dir);
	ret = rmdir(b->base);
	free(b);
	return ret; /* whatever is left was leaked */
}

static bool exists(const struct bench *b, const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	return lstat(path, &st) == 0;
}

static void make_file(const struct bench *b, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void claim(struct bench *b, const char *name)
{
	assert_int_equal(runtime_claim(&b->runtime, b->dir, name, &b->err), 0);
}

static void test_names(void **state)
{
	static const char *const good[] = {"a", "0", "web-1", "A.b_c-d"};
	static const char *const bad[] = {"",     ".",   ".a",  "-a",    "_a",       "a/b",
					  "../a", "a b", "a\n", "a\x1b", "\xc3\xa4", "a*"};
	char name[RUNTIME_MAX_NAME + 2] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(runtime_check_name(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(runtime_check_name(bad[i], NULL), -EINVAL);
	memset(name, 'a', RUNTIME_MAX_NAME);
	assert_int_equal(runtime_check_name(name, NULL), 0);
	name[RUNTIME_MAX_NAME] = 'a';
	assert_int_equal(runtime_check_name(name, NULL), -EINVAL);
}

static void test_claim_and_release(void **state)
{
	struct bench *b = *state;
	struct stat st;

	claim(b, "one");
	assert_string_equal(b->runtime.name, "one");
	assert_int_equal(stat(b->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(exists(b, "one.lock"));
	assert_true(exists(b, "one.sock"));
	assert_true(runtime_is_alive(b->dir, "one"));
	runtime_release(&b->runtime);
	assert_false(exists(b, "one.lock"));
	assert_false(exists(b, "one.sock"));
	assert_false(runtime_is_alive(b->dir, "one"));
}

static void test_longest_name(void **state)
{
	struct bench *b = *state;
	char name[RUNTIME_MAX_NAME + 1] = {0};
	int fd, pid;

	memset(name, 'n', RUNTIME_MAX_NAME);
	claim(b, name);
	fd = runtime_connect(b->dir, name, &pid, &b->err);
	assert_true(fd >= 0);
	close(fd);
	runtime_release(&b->runtime);
}

static void test_in_use(void **state)
{
	struct bench *b = *state;
	struct runtime other;

	claim(b, "one");
	assert_int_equal(runtime_claim(&other, b->dir, "one", &b->err), -EBUSY);
	assert_string_equal(b->err.msg,
			    "the name one is in use by a running machine; choose another one, or "
			    "end that with `ccr-run stop one`");
	err_clear(&b->err);
	assert_int_equal(runtime_claim(&other, b->dir, "two", &b->err), 0);
	runtime_release(&other);
	assert_true(runtime_is_alive(b->dir, "one"));
	runtime_release(&b->runtime);
}

static void test_bad_directory(void **state)
{
	struct bench *b = *state;

	assert_int_equal(mkdir(b->dir, 0755), 0);
	assert_int_equal(runtime_claim(&b->runtime, b->dir, "one", &b->err), -EPERM);
	assert_non_null(strstr(b->err.msg, "chmod 700"));
	assert_int_equal(rmdir(b->dir), 0);

	err_clear(&b->err);
	assert_int_equal(runtime_claim(&b->runtime, "/nowhere/at/all", "one", &b->err), -ENOENT);
	assert_string_equal(b->err.msg,
			    "runtime directory /nowhere/at/all: No such file or directory");
	err_clear(&b->err);
	assert_int_equal(runtime_claim(&b->runtime, "/dev/null", "one", &b->err), -ENOTDIR);
	err_clear(&b->err);
	assert_int_equal(runtime_claim(&b->runtime, b->dir, "../one", &b->err), -EINVAL);
}

/* A child claims @name and is killed, like a machine that had no time to put things in order. */
static void die_as(const struct bench *b, const char *name)
{
	int ready[2], status;
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct runtime runtime;

		if (runtime_claim(&runtime, b->dir, name, NULL) == 0 && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_true(child > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_true(runtime_is_alive(b->dir, name));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void test_dead_machine(void **state)
{
	struct bench *b = *state;
	char **names;
	size_t nr;
	int pid;

	die_as(b, "dead");
	assert_true(exists(b, "dead.lock"));
	assert_true(exists(b, "dead.sock"));
	assert_false(runtime_is_alive(b->dir, "dead"));
	assert_int_equal(runtime_connect(b->dir, "dead", &pid, &b->err), -ENOENT);
	assert_string_equal(b->err.msg,
			    "no running machine is called dead; `ccr-run list` shows those that "
			    "run");

	/* Its name is free. */
	claim(b, "dead");
	runtime_release(&b->runtime);

	/* A list puts in order what it left. */
	die_as(b, "dead");
	assert_int_equal(runtime_list(b->dir, &names, &nr, NULL), 0);
	assert_int_equal(nr, 0);
	runtime_free_names(names, nr);
	assert_false(exists(b, "dead.lock"));
	assert_false(exists(b, "dead.sock"));
}

static void test_connect(void **state)
{
	struct bench *b = *state;
	int fd, pid = 0;

	assert_int_equal(runtime_connect(b->dir, "one", &pid, &b->err), -ENOENT);
	claim(b, "one");
	fd = runtime_connect(b->dir, "one", &pid, NULL);
	assert_true(fd >= 0);
	assert_int_equal(pid, getpid());
	close(fd);

	/* Alive, but its socket is not there yet, or not any more. */
	remove_file(b, "one.sock");
	err_clear(&b->err);
	assert_int_equal(runtime_connect(b->dir, "one", &pid, &b->err), -ENOENT);
	assert_string_equal(b->err.msg, "machine one is just starting or ending; try again in a "
					"moment");
	runtime_release(&b->runtime);
	err_clear(&b->err);
	assert_int_equal(runtime_connect(b->dir, "../one", &pid, &b->err), -EINVAL);
}

static void test_list(void **state)
{
	struct bench *b = *state;
	struct runtime other;
	char **names;
	size_t nr;

	assert_int_equal(runtime_list(b->dir, &names, &nr, NULL), 0);
	assert_int_equal(nr, 0);
	claim(b, "two");
	assert_int_equal(runtime_claim(&other, b->dir, "one", NULL), 0);
	make_file(b, "README");
	make_file(b, "-no-name.lock");
	assert_int_equal(runtime_list(b->dir, &names, &nr, NULL), 0);
	assert_int_equal(nr, 2);
	assert_string_equal(names[0], "one");
	assert_string_equal(names[1], "two");
	runtime_free_names(names, nr);
	/* What no machine has made is left alone. */
	assert_true(exists(b, "-no-name.lock"));
	assert_true(exists(b, "README"));
	remove_file(b, "-no-name.lock");
	runtime_release(&other);
	runtime_release(&b->runtime);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_claim_and_release, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(test_longest_name, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(test_in_use, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(test_bad_directory, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(test_dead_machine, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(test_connect, bench_begin, bench_end),
		cmocka_unit_test_setup_teardown(test_list, bench_begin, bench_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

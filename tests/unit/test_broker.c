/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/host/broker.c src/host/broker_proto.c src/host/broker_files.c
 *	src/host/broker_sockets.c src/sandbox/filter.c src/sandbox/isolate.c src/sandbox/keeper.c
 *	src/sandbox/root.c src/sandbox/sandbox.c src/sandbox/thread.c src/util/err.c src/util/log.c
 *	src/util/trim.c tests/fake/scratch.c build/generated/syscalls.c
 */
/*
 * Real brokers, in processes of their own, of directories and sockets in /tmp; in the root
 * directory of this machine, and in one of their own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/broker.h"
#include "ccr/log.h"
#include "ccr/sandbox.h"
#include "../fake/scratch.h"

/* @scratch has share/, which is shared, and outside, a file that must not be reached. */
struct bench {
	struct scratch scratch;
	struct broker_config config;
	struct broker broker;
	struct broker_reply reply;
	struct ccr_err err;
	int fd;
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char room[SCRATCH_PATH_SIZE];

	assert_non_null(b);
	scratch_begin(&b->scratch);
	assert_int_equal(mkdir(scratch_path(&b->scratch, "share", room), 0755), 0);
	scratch_put(&b->scratch, "outside", "secret");
	b->fd = -1;
	*state = b;
	return 0;
}

static bool enclose(void *ctx, const char *const *dirs, unsigned nr_dirs)
{
	const struct bench *b = ctx;
	struct sandbox_task task = {
		.dir = b->config.scope.dir,
		.read_only = b->config.scope.read_only,
	};

	return sandbox_enclose(SANDBOX_ON, &task, dirs, nr_dirs);
}

static int bench_begin_enclosed(void **state)
{
	struct bench *b;

	bench_begin(state);
	b = *state;
	b->config.enclose = enclose;
	b->config.ctx = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	scratch_end(&b->scratch);
	free(b);
	return 0;
}

static void start(struct bench *b, bool read_only)
{
	char room[SCRATCH_PATH_SIZE];

	b->config.scope = (struct broker_scope){.dir = scratch_path(&b->scratch, "share", room),
						.read_only = read_only};
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), 0);
}

static int ask(struct bench *b, struct broker_request request)
{
	if (b->fd >= 0)
		close(b->fd);
	return broker_call(&b->broker, &request, &b->reply, &b->fd);
}

static void done(struct bench *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	broker_stop(&b->broker);
}

static struct broker_request on(enum broker_op op, uint32_t handle, uint32_t other,
				const char *name)
{
	struct broker_request request = {.op = op, .handle = handle, .other = other};

	strcpy(request.name, name);
	return request;
}

static int walk(struct bench *b, uint32_t handle, uint32_t other, const char *name)
{
	return ask(b, on(BROKER_WALK, handle, other, name));
}

static int open_handle(struct bench *b, uint32_t handle, uint32_t flags)
{
	return ask(b, (struct broker_request){.op = BROKER_OPEN, .handle = handle, .flags = flags});
}

static int create(struct bench *b, uint32_t handle, uint32_t other, const char *name,
		  uint32_t flags, uint32_t mode)
{
	struct broker_request request = on(BROKER_CREATE, handle, other, name);

	request.flags = flags;
	request.mode = mode;
	return ask(b, request);
}

static int symlink_to(struct bench *b, const char *name, const char *text)
{
	struct broker_request request = on(BROKER_SYMLINK, 0, 0, name);

	strcpy(request.text, text);
	return ask(b, request);
}

static void want_text(int fd, const char *text)
{
	char got[64] = "";

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, sizeof(got) - 1, 0), strlen(text));
	assert_string_equal(got, text);
}

static void test_files(void **state)
{
	struct bench *b = *state;
	struct stat st;
	char room[SCRATCH_PATH_SIZE];

	start(b, false);
	assert_int_equal(create(b, 0, 1, "a", BROKER_READ | BROKER_WRITE | BROKER_EXCLUSIVE, 06755),
			 0);
	assert_int_equal(b->reply.attr.mode, S_IFREG | 0755);
	assert_int_equal(write(b->fd, "hello", 5), 5);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/a", room), &st), 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(b->reply.attr.ino, st.st_ino);

	assert_int_equal(create(b, 0, 2, "a", BROKER_READ | BROKER_EXCLUSIVE, 0644), -EEXIST);
	assert_int_equal(create(b, 0, 2, "a", BROKER_READ, 0644), 0);
	want_text(b->fd, "hello");
	assert_int_equal(write(b->fd, "x", 1), -1);
	assert_int_equal(create(b, 0, 2, "a", BROKER_READ, 0644), -EBUSY);
	assert_int_equal(ask(b, on(BROKER_FORGET, 2, 0, "")), 0);
	assert_int_equal(ask(b, on(BROKER_FORGET, 2, 0, "")), -EBADF);
	assert_int_equal(create(b, 0, 2, "a", BROKER_WRITE | BROKER_TRUNCATE, 0644), 0);
	assert_int_equal(b->reply.attr.size, 0);

	assert_int_equal(walk(b, 0, 3, "missing"), -ENOENT);
	assert_int_equal(walk(b, 0, 3, "a"), 0);
	assert_int_equal(walk(b, 3, 4, "b"), -ENOTDIR);
	assert_int_equal(ask(b, on(BROKER_STAT, 4, 0, "")), -EBADF);
	assert_int_equal(ask(b, on(BROKER_CLONE, 3, 4, "")), 0);
	assert_int_equal(ask(b, on(BROKER_CLONE, 3, 4, "")), -EBUSY);
	assert_int_equal(ask(b, on(BROKER_UNLINK, 0, 0, "a")), 0);
	/* The file is still there for who holds it. */
	assert_int_equal(ask(b, on(BROKER_STAT, 4, 0, "")), 0);
	assert_int_equal(b->reply.attr.nr_links, 0);
	assert_int_equal(open_handle(b, 4, BROKER_READ), 0);
	want_text(b->fd, "");
	assert_int_equal(ask(b, on(BROKER_RESET, 0, 0, "")), 0);
	assert_int_equal(ask(b, on(BROKER_STAT, 4, 0, "")), -EBADF);
	assert_int_equal(ask(b, on(BROKER_STAT, 0, 0, "")), 0);
	assert_true(S_ISDIR(b->reply.attr.mode));
	done(b);
}

static int readdir_at(struct bench *b, uint32_t handle, uint64_t offset, uint64_t size)
{
	return ask(b,
		   (struct broker_request){
			   .op = BROKER_READDIR, .handle = handle, .offset = offset, .size = size});
}

static unsigned nr_records(const struct bench *b)
{
	unsigned nr = 0;

	for (uint32_t place = 0; place < b->reply.payload_size; nr++) {
		uint16_t size;

		memcpy(&size, b->reply.payload + place + offsetof(struct dirent64, d_reclen),
		       sizeof(size));
		place += size;
	}
	return nr;
}

static void test_directories(void **state)
{
	struct bench *b = *state;
	struct broker_request rename;
	struct stat st;
	char room[SCRATCH_PATH_SIZE];

	start(b, false);
	assert_int_equal(
		ask(b, (struct broker_request){.op = BROKER_MKDIR, .name = "d", .mode = 02750}), 0);
	assert_int_equal(b->reply.attr.mode & 0777, 0750);
	assert_int_equal(walk(b, 0, 1, "d"), 0);
	assert_int_equal(create(b, 1, 2, "f", BROKER_WRITE, 0600), 0);
	assert_int_equal(readdir_at(b, 1, 0, 8192), -EBADF);
	assert_int_equal(open_handle(b, 2, BROKER_READ | BROKER_DIRECTORY), -ENOTDIR);
	assert_int_equal(open_handle(b, 1, BROKER_WRITE), -EISDIR);
	assert_int_equal(open_handle(b, 1, BROKER_READ), 0);
	assert_int_equal(b->fd, -1);
	assert_int_equal(readdir_at(b, 1, 0, 8192), 0);
	assert_int_equal(nr_records(b), 3);
	assert_int_equal(readdir_at(b, 1, INT64_MAX, 8192), 0);
	assert_int_equal(readdir_at(b, 1, 0, 8192), 0);
	assert_int_equal(nr_records(b), 3);
	assert_int_equal(readdir_at(b, 1, 0, 4), -EINVAL);
	assert_int_equal(ask(b, on(BROKER_SYNC, 1, 0, "")), 0);
	assert_int_equal(ask(b, on(BROKER_SYNC, 2, 0, "")), -EBADF);

	rename = on(BROKER_RENAME, 1, 0, "f");
	strcpy(rename.text, "g");
	assert_int_equal(ask(b, rename), 0);
	assert_int_equal(ask(b, on(BROKER_LINK, 1, 2, "h")), 0);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/g", room), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(ask(b, on(BROKER_UNLINK, 0, 0, "d")), -EISDIR);
	assert_int_equal(ask(b, (struct broker_request){.op = BROKER_UNLINK,
							.name = "d",
							.flags = BROKER_DIRECTORY}),
			 -ENOTEMPTY);
	assert_int_equal(ask(b, on(BROKER_UNLINK, 1, 0, "h")), 0);
	assert_int_equal(ask(b, (struct broker_request){.op = BROKER_UNLINK,
							.name = "d",
							.flags = BROKER_DIRECTORY}),
			 0);
	assert_int_equal(create(b, 0, 3, "g", BROKER_READ, 0600), 0);
	assert_int_equal(create(b, 1, 4, "in-what-is-gone", BROKER_WRITE, 0600), -ENOENT);
	done(b);
}

static void test_attributes(void **state)
{
	struct bench *b = *state;
	struct broker_request set = {.op = BROKER_SETATTR, .handle = 1};
	struct stat st;
	char room[SCRATCH_PATH_SIZE];

	scratch_put(&b->scratch, "share/f", "12345678");
	start(b, false);
	assert_int_equal(walk(b, 0, 1, "f"), 0);
	set.valid = BROKER_SET_MODE | BROKER_SET_SIZE | BROKER_SET_MTIME | BROKER_SET_ATIME;
	set.mode = 07640;
	set.size = 3;
	set.atime = (struct broker_time){1000, 1};
	set.mtime = (struct broker_time){-2000, 2};
	assert_int_equal(ask(b, set), 0);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/f", room), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 01640);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, -2000);
	assert_int_equal(st.st_mtim.tv_nsec, 2);
	assert_int_equal(ask(b, on(BROKER_STAT, 1, 0, "")), 0);
	assert_int_equal(b->reply.attr.mtime.s, -2000);

	set = (struct broker_request){.op = BROKER_SETATTR,
				      .handle = 1,
				      .valid = BROKER_SET_MTIME | BROKER_SET_MTIME_NOW};
	assert_int_equal(ask(b, set), 0);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/f", room), &st), 0);
	assert_true(st.st_mtim.tv_sec > 1000000000);
	assert_int_equal(st.st_atim.tv_sec, 1000);

	/* A link's own attributes, never its target's. */
	assert_int_equal(symlink_to(b, "l", "../outside"), 0);
	assert_int_equal(walk(b, 0, 2, "l"), 0);
	set = (struct broker_request){.op = BROKER_SETATTR, .handle = 2, .valid = BROKER_SET_MODE};
	assert_int_equal(ask(b, set), -EOPNOTSUPP);
	set.valid = BROKER_SET_SIZE;
	assert_int_equal(ask(b, set), -ELOOP);
	set.valid = BROKER_SET_MTIME;
	set.mtime.s = 5;
	assert_int_equal(ask(b, set), 0);
	assert_int_equal(stat(scratch_path(&b->scratch, "outside", room), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_size, 6);
	assert_true(st.st_mtim.tv_sec > 1000000000);

	assert_int_equal(ask(b, on(BROKER_STATFS, 1, 0, "")), 0);
	assert_int_equal(b->reply.fs.max_name, NAME_MAX);
	assert_true(b->reply.fs.blocks > 0);
	done(b);
}

static void test_outside(void **state)
{
	struct bench *b = *state;
	char room[SCRATCH_PATH_SIZE];

	assert_int_equal(symlink(b->scratch.dir, scratch_path(&b->scratch, "share/up", room)), 0);
	start(b, false);
	/* What the protocol has no word for is not even sent. */
	assert_int_equal(walk(b, 0, 1, ".."), -EINVAL);
	assert_int_equal(walk(b, 0, 1, "../outside"), -EINVAL);
	assert_int_equal(walk(b, 0, 1, "/etc/passwd"), -EINVAL);
	/* A link is itself, not what it leads to. */
	assert_int_equal(walk(b, 0, 1, "up"), 0);
	assert_true(S_ISLNK(b->reply.attr.mode));
	assert_int_equal(walk(b, 1, 2, "outside"), -ENOTDIR);
	assert_int_equal(create(b, 1, 2, "new", BROKER_WRITE, 0644), -ENOTDIR);
	assert_int_equal(open_handle(b, 1, BROKER_READ), -ELOOP);
	assert_int_equal(create(b, 0, 2, "up", BROKER_READ, 0644), -ELOOP);
	assert_int_equal(ask(b, on(BROKER_LINK, 0, 1, "hard")), -EPERM);
	assert_int_equal(ask(b, on(BROKER_READLINK, 1, 0, "")), 0);
	assert_int_equal(b->reply.payload_size, strlen(b->scratch.dir));
	assert_memory_equal(b->reply.payload, b->scratch.dir, strlen(b->scratch.dir));
	assert_int_equal(ask(b, on(BROKER_READLINK, 0, 0, "")), -EINVAL);
	assert_int_equal(symlink_to(b, "s", "/proc/self/mem"), 0);
	assert_int_equal(walk(b, 0, 3, "s"), 0);
	assert_int_equal(open_handle(b, 3, BROKER_READ | BROKER_WRITE), -ELOOP);
	/* No socket is to be had from a broker of files. */
	assert_int_equal(ask(b, on(BROKER_CONNECT, 0, 0, "")), -EPERM);
	done(b);
}

static void test_special_files(void **state)
{
	struct bench *b = *state;
	static const struct {
		mode_t mode;
		int ret;
	} nodes[] = {
		{S_IFCHR | 0666, -EPERM}, {S_IFBLK | 0666, -EPERM}, {S_IFDIR | 0777, -EPERM},
		{S_IFLNK | 0777, -EPERM}, {0644, -EPERM},           {S_IFIFO | 0644, 0},
		{S_IFSOCK | 0600, 0},     {S_IFREG | 04755, 0},
	};

	start(b, false);
	for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		struct broker_request request = {.op = BROKER_MKNOD, .mode = nodes[i].mode};

		snprintf(request.name, sizeof(request.name), "n%u", i);
		assert_int_equal(ask(b, request), nodes[i].ret);
		if (!nodes[i].ret)
			assert_int_equal(b->reply.attr.mode, nodes[i].mode & ~06000u);
	}
	/* A FIFO would make who opens it wait. */
	assert_int_equal(walk(b, 0, 1, "n5"), 0);
	assert_int_equal(open_handle(b, 1, BROKER_READ), -ENXIO);
	assert_int_equal(create(b, 0, 2, "n5", BROKER_WRITE, 0644), -ENXIO);
	assert_int_equal(create(b, 0, 2, "n6", BROKER_WRITE, 0644), -ENXIO);
	done(b);
}

static void test_read_only(void **state)
{
	struct bench *b = *state;
	struct broker_request rename = on(BROKER_RENAME, 0, 0, "f");
	char room[SCRATCH_PATH_SIZE];

	scratch_put(&b->scratch, "share/f", "text");
	start(b, true);
	assert_int_equal(walk(b, 0, 1, "f"), 0);
	assert_int_equal(open_handle(b, 1, BROKER_READ), 0);
	want_text(b->fd, "text");
	assert_int_equal(fcntl(b->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(open_handle(b, 1, BROKER_WRITE), -EROFS);
	assert_int_equal(open_handle(b, 1, BROKER_READ | BROKER_TRUNCATE), -EROFS);
	assert_int_equal(create(b, 0, 2, "f", BROKER_READ, 0644), -EROFS);
	assert_int_equal(create(b, 0, 2, "g", BROKER_READ, 0644), -EROFS);
	strcpy(rename.text, "g");
	assert_int_equal(ask(b, rename), -EROFS);
	assert_int_equal(ask(b, on(BROKER_UNLINK, 0, 0, "f")), -EROFS);
	assert_int_equal(ask(b, on(BROKER_MKDIR, 0, 0, "d")), -EROFS);
	assert_int_equal(ask(b, on(BROKER_LINK, 0, 1, "d")), -EROFS);
	assert_int_equal(symlink_to(b, "d", "f"), -EROFS);
	assert_int_equal(
		ask(b, (struct broker_request){.op = BROKER_MKNOD, .name = "n", .mode = S_IFREG}),
		-EROFS);
	assert_int_equal(ask(b, (struct broker_request){.op = BROKER_SETATTR,
							.handle = 1,
							.valid = BROKER_SET_MTIME_NOW}),
			 -EROFS);
	done(b);
	assert_int_equal(access(scratch_path(&b->scratch, "share/f", room), F_OK), 0);
	assert_int_equal(access(scratch_path(&b->scratch, "share/g", room), F_OK), -1);
}

/* Somebody on the host replaces a directory by a link, and back, as fast as it goes. */
struct swapper {
	const struct bench *bench;
	atomic_bool stop;
};

static void *swap(void *arg)
{
	struct swapper *swapper = arg;
	char dir[SCRATCH_PATH_SIZE], link[SCRATCH_PATH_SIZE], spare[SCRATCH_PATH_SIZE];

	scratch_path(&swapper->bench->scratch, "share/d", dir);
	scratch_path(&swapper->bench->scratch, "share/link", link);
	scratch_path(&swapper->bench->scratch, "share/spare", spare);
	while (!atomic_load(&swapper->stop)) {
		rename(dir, spare);
		rename(link, dir);
		rename(dir, link);
		rename(spare, dir);
	}
	return NULL;
}

static void test_race(void **state)
{
	struct bench *b = *state;
	struct swapper swapper = {.bench = b};
	pthread_t thread;
	unsigned nr_opened = 0, nr_refused = 0;
	char room[SCRATCH_PATH_SIZE];

	assert_int_equal(mkdir(scratch_path(&b->scratch, "share/d", room), 0755), 0);
	scratch_put(&b->scratch, "share/d/outside", "inside");
	assert_int_equal(symlink("..", scratch_path(&b->scratch, "share/link", room)), 0);
	start(b, false);
	assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
	for (unsigned i = 0; i < 3000; i++) {
		int ret = walk(b, 0, 1, "d");

		if (!ret)
			ret = walk(b, 1, 2, "outside");
		if (!ret)
			ret = open_handle(b, 2, BROKER_READ);
		if (!ret) {
			want_text(b->fd, "inside");
			nr_opened++;
		} else {
			assert_true(ret == -ELOOP || ret == -ENOENT || ret == -ENOTDIR);
			nr_refused++;
		}
		assert_int_equal(ask(b, on(BROKER_RESET, 0, 0, "")), 0);
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	assert_true(nr_opened > 0);
	done(b);
}

static void test_mounts(void **state)
{
	struct bench *b = *state;

	/* What is mounted below the shared directory is not entered: every machine has /dev/pts. */
	b->config.scope = (struct broker_scope){.dir = "/dev", .read_only = true};
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), 0);
	assert_int_equal(walk(b, 0, 1, "pts"), -EXDEV);
	assert_int_equal(walk(b, 0, 1, "null"), 0);
	assert_int_equal(open_handle(b, 1, BROKER_READ), -ENXIO);
	done(b);
}

static void test_limits(void **state)
{
	struct bench *b = *state;
	struct broker_request request = on(BROKER_WALK, 0, 1, "f");
	int ret = 0;

	scratch_put(&b->scratch, "share/f", "");
	start(b, false);
	for (; request.other < BROKER_NR_HANDLES && !ret; request.other++)
		ret = ask(b, request);
	/* As many as there are, or as the host lets a process have; either way it goes on. */
	assert_true(ret == 0 || ret == -EMFILE);
	assert_true(request.other > 500);
	assert_int_equal(ask(b, on(BROKER_RESET, 0, 0, "")), 0);
	assert_int_equal(walk(b, 0, 1, "f"), 0);
	done(b);
}

static void test_refused(void **state)
{
	struct bench *b = *state;
	char room[SCRATCH_PATH_SIZE];

	b->config.scope = (struct broker_scope){.dir = scratch_path(&b->scratch, "nothing", room)};
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), -ENOENT);
	assert_non_null(strstr(b->err.msg, "/nothing: cannot open the directory: No such file"));
	err_clear(&b->err);
	b->config.scope.dir = scratch_path(&b->scratch, "outside", room);
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), -ENOTDIR);
	err_clear(&b->err);
	b->config.scope.dir = "/proc/self";
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), -EINVAL);
	assert_string_equal(b->err.msg, "9p /proc/self: what is there is the kernel's, not files; "
					"share a directory of files");
}

/* What the two functions of the configuration did shows in the broker's answers. */
static void on_shrink(void *ctx)
{
	const struct bench *b = ctx;
	char room[SCRATCH_PATH_SIZE];

	mkdir(scratch_path(&b->scratch, "share/shrunk", room), 0755);
}

static int on_confine(void *ctx, struct ccr_err *err)
{
	struct bench *b = ctx;
	char room[SCRATCH_PATH_SIZE];

	if (b->config.scope.read_only)
		return err_set(err, -ENOSYS, "no confinement for %s", b->config.scope.dir);
	return access(scratch_path(&b->scratch, "share/shrunk", room), F_OK) ||
	       mkdir(scratch_path(&b->scratch, "share/confined", room), 0755);
}

static void test_confine(void **state)
{
	struct bench *b = *state;
	char room[SCRATCH_PATH_SIZE];

	b->config.shrink = on_shrink;
	b->config.confine = on_confine;
	b->config.ctx = b;
	start(b, false);
	assert_int_equal(walk(b, 0, 1, "confined"), 0);
	done(b);
	b->config.scope = (struct broker_scope){.dir = scratch_path(&b->scratch, "share", room),
						.read_only = true};
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), -ENOSYS);
	assert_memory_equal(b->err.msg, "no confinement for /tmp/", 24);
}

/* Which of our descriptors a broker has: none but its channel, and what it has opened itself. */
static void test_leaves_machine(void **state)
{
	struct bench *b = *state;
	char path[64], name[512], target[256];
	const struct dirent *entry;
	unsigned nr_sockets = 0;
	ssize_t size;
	DIR *dir;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	start(b, false);
	snprintf(path, sizeof(path), "/proc/%d/fd", b->broker.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		size = readlink(name, target, sizeof(target) - 1);
		target[size > 0 ? size : 0] = '\0';
		nr_sockets += !strncmp(target, "socket:", 7);
		if (!strcmp(entry->d_name, "0") || !strcmp(entry->d_name, "1"))
			assert_string_equal(target, "/dev/null");
	}
	closedir(dir);
	assert_int_equal(nr_sockets, 1);
	close(pair[0]);
	close(pair[1]);
	done(b);
}

static void test_broker_dies(void **state)
{
	struct bench *b = *state;

	scratch_put(&b->scratch, "share/f", "");
	start(b, false);
	assert_int_equal(walk(b, 0, 1, "f"), 0);
	assert_int_equal(kill(b->broker.pid, SIGKILL), 0);
	assert_int_equal(walk(b, 0, 2, "f"), -EIO);
	assert_int_equal(walk(b, 0, 2, "f"), -EIO);
	done(b);
}

static void test_machine_aborts(void **state)
{
	struct bench *b = *state;

	start(b, false);
	/* It does not answer, and the machine wants to end. */
	assert_int_equal(kill(b->broker.pid, SIGSTOP), 0);
	broker_abort(&b->broker);
	assert_int_equal(ask(b, on(BROKER_STAT, 0, 0, "")), -EIO);
	done(b);
	assert_int_equal(kill(b->broker.pid, 0), -1);
}

/* The machine's end of the channel goes: so does the broker, signals or not. */
static void test_ends_with_machine(void **state)
{
	struct bench *b = *state;

	start(b, false);
	assert_int_equal(kill(b->broker.pid, SIGTERM), 0);
	assert_int_equal(kill(b->broker.pid, SIGINT), 0);
	assert_int_equal(ask(b, on(BROKER_STAT, 0, 0, "")), 0);
	done(b);
	assert_int_equal(kill(b->broker.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* A hijacked machine writes what it likes to the channel. */
static void test_hostile_machine(void **state)
{
	struct bench *b = *state;
	static uint8_t bytes[2 * BROKER_MAX_MESSAGE];
	struct broker_reply reply;
	ssize_t size;

	start(b, false);
	memset(bytes, 0xff, sizeof(bytes));
	for (size_t length = 1; length < sizeof(bytes); length = length * 3 + 1) {
		assert_int_equal(send(b->broker.fd, bytes, length, 0), length);
		size = recv(b->broker.fd, bytes, sizeof(bytes), 0);
		assert_true(size > 0);
		assert_int_equal(broker_decode_reply(bytes, (size_t)size, &reply), 0);
		assert_int_equal(reply.error, -EBADMSG);
		memset(bytes, 0xff, sizeof(bytes));
	}
	assert_int_equal(ask(b, on(BROKER_STAT, 0, 0, "")), 0);
	done(b);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_sockets(void **state)
{
	struct bench *b = *state;
	char vsock[128], with_port[160], vhost[128];
	int listeners[2], fd;

	scratch_path(&b->scratch, "v", vsock);
	scratch_path(&b->scratch, "vhost", vhost);
	snprintf(with_port, sizeof(with_port), "%s_4294967295", vsock);
	listeners[0] = listen_at(with_port);
	listeners[1] = listen_at(vhost);
	b->config.scope = (struct broker_scope){
		.nr_targets = 2,
		.targets = {{vsock, true}, {vhost, false}},
	};
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), 0);
	assert_int_equal(broker_connect(&b->broker, 0, 1), -ENOENT);
	fd = broker_connect(&b->broker, 0, 4294967295u);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = accept(listeners[0], NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	fd = broker_connect(&b->broker, 1, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(broker_connect(&b->broker, 1, 1), -EPERM);
	assert_int_equal(broker_connect(&b->broker, 2, 0), -EPERM);
	assert_int_equal(walk(b, 0, 1, "vhost"), -EPERM);
	assert_int_equal(
		ask(b, (struct broker_request){.op = BROKER_CONNECT, .offset = 1ull << 32}),
		-EPERM);
	close(listeners[1]);
	assert_int_equal(broker_connect(&b->broker, 1, 0), -ECONNREFUSED);
	close(listeners[0]);
	/* Who comes back makes its socket anew. */
	assert_int_equal(unlink(vhost), 0);
	assert_int_equal(broker_connect(&b->broker, 1, 0), -ENOENT);
	listeners[1] = listen_at(vhost);
	fd = broker_connect(&b->broker, 1, 0);
	assert_true(fd >= 0);
	close(fd);
	close(listeners[1]);
	done(b);
}

/* What is in the root directory of a broker's process, with a blank behind each name. */
static const char *names_of_root(const struct bench *b, char names[256])
{
	struct dirent **entries;
	char path[64];
	int nr;

	snprintf(path, sizeof(path), "/proc/%d/root/", b->broker.pid);
	nr = scandir(path, &entries, NULL, alphasort);
	assert_true(nr >= 2);
	names[0] = '\0';
	for (int i = 0; i < nr; i++) {
		if (entries[i]->d_name[0] != '.')
			strcat(strcat(names, entries[i]->d_name), " ");
		free(entries[i]);
	}
	free(entries);
	return names;
}

/* A root directory that is no mount, as in a chroot, cannot be replaced. */
static bool has_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}

/* Hosts differ in what they allow; without name spaces the brokers above were like any other. */
static void need_mounts(void)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(!has_mounts());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		skip();
}

static void test_names_of_a_share(void **state)
{
	struct bench *b = *state;
	char names[256];

	need_mounts();
	start(b, false);
	assert_string_equal(names_of_root(b, names), "0 fd ");
	done(b);
}

static void test_names_of_sockets(void **state)
{
	struct bench *b = *state;
	char names[256], path[128], other[128];

	need_mounts();
	scratch_path(&b->scratch, "share/a", path);
	scratch_path(&b->scratch, "b", other);
	b->config.scope = (struct broker_scope){
		.nr_targets = 5,
		.targets = {{path, true}, {NULL, false}, {other, false}, {"/c", false}},
	};
	assert_int_equal(broker_start(&b->broker, &b->config, &b->err), 0);
	assert_string_equal(names_of_root(b, names), "0 2 3 ");
	assert_int_equal(broker_connect(&b->broker, 1, 0), -EPERM);
	assert_int_equal(broker_connect(&b->broker, 2, 0), -ENOENT);
	assert_int_equal(broker_connect(&b->broker, 3, 0), -ENOENT);
	done(b);
}

#define TEST(f)     cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
#define ENCLOSED(f) cmocka_unit_test_setup_teardown(f, bench_begin_enclosed, bench_end)
#define BOTH(f)     TEST(f), ENCLOSED(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_files),
		BOTH(test_directories),
		BOTH(test_attributes),
		BOTH(test_outside),
		BOTH(test_special_files),
		BOTH(test_read_only),
		BOTH(test_race),
		BOTH(test_mounts),
		BOTH(test_limits),
		BOTH(test_refused),
		TEST(test_confine),
		BOTH(test_leaves_machine),
		BOTH(test_broker_dies),
		BOTH(test_machine_aborts),
		BOTH(test_ends_with_machine),
		BOTH(test_hostile_machine),
		BOTH(test_sockets),
		ENCLOSED(test_names_of_a_share),
		ENCLOSED(test_names_of_sockets),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

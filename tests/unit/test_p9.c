/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/p9.c src/virtio/p9_proto.c src/vm/shares.c src/host/broker.c
 *	src/host/broker_proto.c src/host/broker_files.c src/host/broker_sockets.c src/util/err.c
 *	tests/fake/scratch.c
 */
/* A client of 9P2000.L, the server, and a real broker of a directory in /tmp. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/vm/internal.h"
#include "../fake/scratch.h"

#define MSIZE    8192u
#define MAX_OPEN 4u

struct bench {
	struct scratch scratch;
	struct broker broker;
	struct p9 p9;
	struct ccr_err err;
	unsigned nr_fds;        /* given and not closed */
	enum broker_op failing; /* this request fails, if it is not BROKER_CONNECT */
	uint32_t forgotten;     /* the handle that was forgotten last */
	uint8_t in[MSIZE], out[MSIZE];
	uint32_t room;
	struct p9_reader reply;
};

/* What a machine's process does with its broker, and a count of descriptors. */

static int on_call(void *ctx, const struct broker_request *request, struct broker_reply *reply,
		   int *ret_fd)
{
	struct bench *b = ctx;
	int ret;

	if (b->failing != BROKER_CONNECT && request->op == b->failing)
		return -EIO;
	if (request->op == BROKER_FORGET)
		b->forgotten = request->handle;
	ret = shares_host.call(&b->broker, request, reply, ret_fd);
	b->nr_fds += ret_fd && *ret_fd >= 0;
	return ret;
}

static ssize_t on_read(void *ctx, int fd, void *bytes, size_t size, uint64_t offset)
{
	struct bench *b = ctx;

	return shares_host.read(&b->broker, fd, bytes, size, offset);
}

static ssize_t on_write(void *ctx, int fd, const void *bytes, size_t size, uint64_t offset)
{
	struct bench *b = ctx;

	return shares_host.write(&b->broker, fd, bytes, size, offset);
}

static int on_sync(void *ctx, int fd)
{
	struct bench *b = ctx;

	return shares_host.sync(&b->broker, fd);
}

static void on_close(void *ctx, int fd)
{
	struct bench *b = ctx;

	shares_host.close(&b->broker, fd);
	b->nr_fds--;
}

static const struct p9_host host = {on_call, on_read, on_write, on_sync, on_close};

/*
 * Send a message whose fields @format names: b, w, d, q are numbers of 1 to 8 bytes, s a string.
 * Return: 0 with @reply behind the header, or the error that the server has answered.
 */
static int ask(struct bench *b, uint8_t type, const char *format, ...)
{
	struct p9_writer message;
	uint32_t size;
	uint8_t answer;
	const char *text;
	va_list args;

	p9_writer_init(&message, b->in, sizeof(b->in));
	va_start(args, format);
	for (; *format; format++) {
		switch (*format) {
		case 'b':
			p9_put8(&message, (uint8_t)va_arg(args, unsigned));
			break;
		case 'w':
			p9_put16(&message, (uint16_t)va_arg(args, unsigned));
			break;
		case 'd':
			p9_put32(&message, va_arg(args, unsigned));
			break;
		case 'q':
			p9_put64(&message, va_arg(args, uint64_t));
			break;
		default:
			text = va_arg(args, const char *);
			p9_put_string(&message, text, strlen(text));
			break;
		}
	}
	va_end(args);
	assert_int_equal(message.error, 0);
	size = p9_finish(&message, type, 0x1234);
	memset(b->out, 0xa5, sizeof(b->out));
	size = p9_serve(&b->p9, b->in, size, b->out, b->room);
	assert_true(size >= P9_HEADER_SIZE && size <= b->room);
	p9_reader_init(&b->reply, b->out, size);
	assert_int_equal(p9_get32(&b->reply), size);
	answer = p9_get8(&b->reply);
	assert_int_equal(p9_get16(&b->reply), 0x1234);
	if (answer == P9_RLERROR)
		return -(int)p9_get32(&b->reply);
	assert_int_equal(answer, type + 1);
	return 0;
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct broker_config config = {0};
	char room[SCRATCH_PATH_SIZE];

	assert_non_null(b);
	scratch_begin(&b->scratch);
	assert_int_equal(mkdir(scratch_path(&b->scratch, "share", room), 0755), 0);
	scratch_put(&b->scratch, "outside", "secret");
	config.scope.dir = room;
	assert_int_equal(broker_start(&b->broker, &config, &b->err), 0);
	p9_init(&b->p9, &host, b, MSIZE, MAX_OPEN);
	b->room = MSIZE;
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	p9_done(&b->p9);
	assert_int_equal(b->nr_fds, 0);
	broker_stop(&b->broker);
	scratch_end(&b->scratch);
	free(b);
	return 0;
}

/* Fid 0 is the root from then on. */
static void attach(struct bench *b)
{
	assert_int_equal(ask(b, P9_TVERSION, "ds", 65536u, P9_VERSION), 0);
	assert_int_equal(p9_get32(&b->reply), MSIZE);
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 0u, P9_NO_FID, "root", "", 0u), 0);
	assert_int_equal(p9_get8(&b->reply), P9_QID_DIR);
}

static int walk(struct bench *b, unsigned fid, unsigned new_fid, const char *name)
{
	return ask(b, P9_TWALK, "ddws", fid, new_fid, 1u, name);
}

static int create(struct bench *b, unsigned fid, const char *name, unsigned flags, unsigned mode)
{
	assert_int_equal(ask(b, P9_TWALK, "ddw", 0u, fid, 0u), 0);
	return ask(b, P9_TLCREATE, "dsddd", fid, name, flags, mode, 0u);
}

static void test_version(void **state)
{
	struct bench *b = *state;
	char text[16];

	/* Nothing before it. */
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 0u, P9_NO_FID, "", "", 0u), -EPROTO);
	assert_int_equal(ask(b, P9_TVERSION, "ds", 4095u, P9_VERSION), -EMSGSIZE);
	assert_int_equal(ask(b, P9_TVERSION, "ds", 4096u, "9P2000.u"), 0);
	p9_get32(&b->reply);
	p9_get_string(&b->reply, text, sizeof(text));
	assert_string_equal(text, "unknown");
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 0u, P9_NO_FID, "", "", 0u), -EPROTO);
	assert_int_equal(ask(b, P9_TVERSION, "ds", 5000u, P9_VERSION), 0);
	assert_int_equal(p9_get32(&b->reply), 5000);
	p9_get_string(&b->reply, text, sizeof(text));
	assert_string_equal(text, P9_VERSION);

	/* A new session knows none of the old one's fids, and closes its files. */
	attach(b);
	assert_int_equal(create(b, 1, "f", P9_OPEN_READWRITE, 0644), 0);
	assert_int_equal(b->nr_fds, 1);
	assert_int_equal(ask(b, P9_TVERSION, "ds", 5000u, P9_VERSION), 0);
	assert_int_equal(b->nr_fds, 0);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 0u, ~0ull), -EBADF);
}

static void test_attach(void **state)
{
	struct bench *b = *state;

	attach(b);
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 0u, P9_NO_FID, "", "", 0u), -EBADF);
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", P9_NO_FID, P9_NO_FID, "", "", 0u), -EINVAL);
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 1u, 0u, "", "", 0u), -EINVAL);
	assert_int_equal(ask(b, P9_TATTACH, "dd", 1u, P9_NO_FID), 0);
	assert_int_equal(ask(b, P9_TAUTH, "dssd", 5u, "root", "", 0u), -EOPNOTSUPP);
	assert_int_equal(ask(b, P9_TCLUNK, "d", 1u), 0);
	assert_int_equal(ask(b, P9_TCLUNK, "d", 1u), -EBADF);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 0u, ~0ull), 0);
}

/* What the broker has made for a fid that there will not be, it is told to forget. */
static void test_attach_fails(void **state)
{
	struct bench *b = *state;

	attach(b);
	b->failing = BROKER_STAT;
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 1u, P9_NO_FID, "", "", 0u), -EIO);
	b->failing = BROKER_CONNECT;
	assert_int_not_equal(b->forgotten, 0);
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 1u, P9_NO_FID, "", "", 0u), 0);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 1u, ~0ull), 0);
}

static void test_walk(void **state)
{
	struct bench *b = *state;
	char room[SCRATCH_PATH_SIZE];

	mkdir(scratch_path(&b->scratch, "share/a", room), 0755);
	mkdir(scratch_path(&b->scratch, "share/a/b", room), 0755);
	scratch_put(&b->scratch, "share/a/b/c", "text");
	attach(b);
	assert_int_equal(ask(b, P9_TWALK, "ddwsss", 0u, 1u, 3u, "a", "b", "c"), 0);
	assert_int_equal(p9_get16(&b->reply), 3);
	assert_int_equal(p9_get8(&b->reply), P9_QID_DIR);
	assert_int_equal(b->reply.size, P9_HEADER_SIZE + 2 + 3 * P9_QID_SIZE);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 1u, 0u), 0);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 1ull, 100u), 0);
	assert_int_equal(p9_get32(&b->reply), 3);
	assert_memory_equal(p9_get_bytes(&b->reply, 3), "ext", 3);

	/* Half of the way: what was found is told, and there is no new fid. */
	assert_int_equal(ask(b, P9_TWALK, "ddwsss", 0u, 2u, 3u, "a", "b", "x"), 0);
	assert_int_equal(p9_get16(&b->reply), 2);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 2u, ~0ull), -EBADF);
	assert_int_equal(walk(b, 0, 2, "x"), -ENOENT);
	assert_int_equal(walk(b, 7, 2, "a"), -EBADF);
	assert_int_equal(walk(b, 0, 1, "a"), -EBADF);
	assert_int_equal(walk(b, 1, 2, "a"), -EINVAL); /* it is open */

	/* A fid that walks by itself. */
	assert_int_equal(walk(b, 0, 2, "a"), 0);
	assert_int_equal(walk(b, 2, 2, "b"), 0);
	assert_int_equal(walk(b, 2, 2, "x"), -ENOENT);
	assert_int_equal(walk(b, 2, 3, "c"), 0);
	assert_int_equal(ask(b, P9_TWALK, "ddw", 2u, 2u, 0u), 0);
	assert_int_equal(walk(b, 2, 4, "c"), 0);
	assert_int_equal(ask(b, P9_TWALK, "ddw", 2u, 2u, 17u), -EINVAL);
	assert_int_equal(ask(b, P9_TWALK, "ddw", 2u, 9u, 1u), -EBADMSG);
}

static void test_hostile_names(void **state)
{
	struct bench *b = *state;
	static const char *const names[] = {"..", ".", "", "/", "/etc/passwd", "../outside", "a/b"};
	char longest[300], room[128];

	assert_int_equal(symlink("../outside", scratch_path(&b->scratch, "share/out", room)), 0);
	attach(b);
	memset(longest, 'n', sizeof(longest));
	longest[256] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(walk(b, 0, 1, names[i]), -EINVAL);
		assert_int_equal(ask(b, P9_TMKDIR, "dsdd", 0u, names[i], 0755u, 0u), -EINVAL);
		assert_int_equal(ask(b, P9_TLCREATE, "dsddd", 0u, names[i], 2u, 0644u, 0u),
				 -EINVAL);
		assert_int_equal(ask(b, P9_TSYMLINK, "dssd", 0u, names[i], "x", 0u), -EINVAL);
		assert_int_equal(ask(b, P9_TUNLINKAT, "dsd", 0u, names[i], 0u), -EINVAL);
		assert_int_equal(ask(b, P9_TRENAMEAT, "dsds", 0u, "out", 0u, names[i]), -EINVAL);
		assert_int_equal(ask(b, P9_TRENAMEAT, "dsds", 0u, names[i], 0u, "in"), -EINVAL);
		assert_int_equal(ask(b, P9_TLINK, "dds", 0u, 0u, names[i]), -EINVAL);
	}
	assert_int_equal(walk(b, 0, 1, longest), -ENAMETOOLONG);
	longest[255] = '\0';
	assert_int_equal(walk(b, 0, 1, longest), -ENOENT);
	/* A link that leads out is a link. */
	assert_int_equal(walk(b, 0, 1, "out"), 0);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 1u, 0u), -ELOOP);
	assert_int_equal(ask(b, P9_TWALK, "ddwss", 0u, 2u, 2u, "out", "x"), 0);
	assert_int_equal(p9_get16(&b->reply), 1);
	assert_int_equal(ask(b, P9_TREADLINK, "d", 1u), 0);
	p9_get_string(&b->reply, room, sizeof(room));
	assert_string_equal(room, "../outside");
	assert_int_equal(access(scratch_path(&b->scratch, "share/out", room), F_OK), 0);
}

/* Messages that are no messages: each length of a good one, and what the header says of it. */
static void test_hostile_messages(void **state)
{
	struct bench *b = *state;
	uint8_t good[64], *bytes;
	uint32_t size, wrong;

	attach(b);
	assert_int_equal(ask(b, P9_TMKDIR, "dsdd", 0u, "d", 0755u, 0u), 0);
	memcpy(&size, b->in, sizeof(size));
	memcpy(good, b->in, size);
	for (uint32_t less = P9_HEADER_SIZE; less < size; less++) {
		/* Of its own size, so that a sanitizer sees a read behind it. */
		bytes = malloc(less);
		memcpy(bytes, good, less);
		memcpy(bytes, &less, sizeof(less));
		assert_int_equal(p9_serve(&b->p9, bytes, less, b->out, MSIZE), P9_ERROR_SIZE);
		free(bytes);
	}
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t sizes[] = {0, 6, UINT32_MAX};

		wrong = sizes[i];
		memcpy(good, &wrong, sizeof(wrong));
		assert_int_equal(p9_serve(&b->p9, good, size, b->out, MSIZE), P9_ERROR_SIZE);
		assert_int_equal(b->out[4], P9_RLERROR);
		assert_int_equal(b->out[7], EBADMSG);
	}
	for (unsigned type = 0; type < 256; type++) {
		if (type % 2 || type < 8 || (type > 54 && type < 70) || type > 122)
			assert_int_equal(
				ask(b, (uint8_t)type, "dddddddd", 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u),
				-EOPNOTSUPP);
	}
}

static void test_io(void **state)
{
	struct bench *b = *state;
	struct stat st;
	char room[SCRATCH_PATH_SIZE];

	attach(b);
	assert_int_equal(create(b, 1, "f", P9_OPEN_READWRITE, 0640), 0);
	assert_int_equal(p9_get8(&b->reply), P9_QID_FILE);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 1u, 2u), -EBUSY);
	/* Four bytes, of which the message has three; then all of them. */
	assert_int_equal(ask(b, P9_TWRITE, "dqdbbb", 1u, 0ull, 4u, 'a', 'b', 'c'), -EBADMSG);
	assert_int_equal(ask(b, P9_TWRITE, "dqdd", 1u, 2ull, 4u, 0x64636261u), 0);
	assert_int_equal(p9_get32(&b->reply), 4);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/f", room), &st), 0);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 0ull, UINT32_MAX), 0);
	assert_int_equal(p9_get32(&b->reply), 6);
	assert_memory_equal(p9_get_bytes(&b->reply, 6), "\0\0abcd", 6);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 6ull, 1u), 0);
	assert_int_equal(p9_get32(&b->reply), 0);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 1ull << 63, 1u), -EINVAL);
	assert_int_equal(ask(b, P9_TWRITE, "dqdd", 1u, (uint64_t)INT64_MAX, 4u, 0u), -EFBIG);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 0ull, 0u), 0);
	assert_int_equal(ask(b, P9_TFSYNC, "dd", 1u, 0u), 0);
	/* As much as there is room for. */
	b->room = P9_ERROR_SIZE + 3;
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 2ull, 100u), 0);
	assert_int_equal(p9_get32(&b->reply), 3);
	b->room = P9_ERROR_SIZE;
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 2ull, 100u), 0);
	assert_int_equal(p9_get32(&b->reply), 0);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 1u, ~0ull), -EMSGSIZE);
	b->room = MSIZE;

	assert_int_equal(walk(b, 0, 2, "f"), 0);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 2u, 0ull, 1u), -EBADF);
	assert_int_equal(ask(b, P9_TWRITE, "dqd", 2u, 0ull, 0u), -EBADF);
	assert_int_equal(ask(b, P9_TFSYNC, "dd", 2u, 0u), -EBADF);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 2u, 0u), 0);
	assert_int_equal(ask(b, P9_TWRITE, "dqdd", 2u, 0ull, 4u, 0u), -EBADF);
	assert_int_equal(ask(b, P9_TFLUSH, "w", 1u), 0);
}

static void test_open_limit(void **state)
{
	struct bench *b = *state;

	attach(b);
	for (unsigned i = 1; i <= MAX_OPEN; i++)
		assert_int_equal(create(b, i, "f", P9_OPEN_READWRITE, 0644), 0);
	assert_int_equal(create(b, 9, "f", P9_OPEN_READWRITE, 0644), -EMFILE);
	assert_int_equal(b->nr_fds, MAX_OPEN);
	assert_int_equal(ask(b, P9_TCLUNK, "d", 1u), 0);
	/* The fid is still that of the directory. */
	assert_int_equal(ask(b, P9_TLCREATE, "dsddd", 9u, "f", 0u, 0644u, 0u), 0);
}

static void test_fid_limit(void **state)
{
	struct bench *b = *state;
	unsigned fid = 1;

	attach(b);
	while (!ask(b, P9_TWALK, "ddw", 0u, fid * 0x01000193u, 0u))
		fid++;
	assert_true(fid > 500 && fid < BROKER_NR_HANDLES);
	/* One less, one more. */
	assert_int_equal(ask(b, P9_TCLUNK, "d", 7 * 0x01000193u), 0);
	assert_int_equal(ask(b, P9_TWALK, "ddw", 0u, 1u, 0u), 0);
	for (unsigned i = 1; i < fid; i++) {
		if (i != 7)
			assert_int_equal(ask(b, P9_TCLUNK, "d", i * 0x01000193u), 0);
	}
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 1u, ~0ull), 0);
}

static void test_attributes(void **state)
{
	struct bench *b = *state;
	struct stat st;
	char room[SCRATCH_PATH_SIZE];

	scratch_put(&b->scratch, "share/f", "12345678");
	attach(b);
	assert_int_equal(walk(b, 0, 1, "f"), 0);
	/* The client sends the type with the mode, and the times only if it says so. */
	assert_int_equal(
		ask(b, P9_TSETATTR, "dddddqqqqq", 1u,
		    P9_SET_MODE | P9_SET_SIZE | P9_SET_MTIME | P9_SET_MTIME_THAT | P9_SET_CTIME,
		    S_IFREG | 04600u, 9u, 9u, 3ull, ~0ull, ~0ull, 77ull, 5ull),
		0);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/f", room), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_mtim.tv_sec, 77);
	assert_int_equal(ask(b, P9_TSETATTR, "dddddqqqqq", 1u, P9_SET_MTIME | P9_SET_MTIME_THAT, 0u,
			     0u, 0u, 0ull, 0ull, 0ull, 1ull, 1000000000ull),
			 -EINVAL);
	assert_int_equal(ask(b, P9_TSETATTR, "dddddqqqqq", 1u, P9_SET_SIZE, 0u, 0u, 0u, 1ull << 63,
			     0ull, 0ull, 0ull, 0ull),
			 -EINVAL);

	assert_int_equal(ask(b, P9_TGETATTR, "dq", 1u, P9_GETATTR_BASIC), 0);
	assert_int_equal(b->reply.size, 160);
	assert_int_equal(p9_get64(&b->reply), P9_GETATTR_BASIC);
	assert_int_equal(p9_get8(&b->reply), P9_QID_FILE);
	p9_get32(&b->reply);
	assert_int_equal(p9_get64(&b->reply), st.st_ino);
	assert_int_equal(p9_get32(&b->reply), S_IFREG | 0600);
	assert_int_equal(p9_get32(&b->reply), st.st_uid);
	assert_int_equal(p9_get32(&b->reply), st.st_gid);
	assert_int_equal(p9_get64(&b->reply), 1);
	assert_int_equal(p9_get64(&b->reply), 0);
	assert_int_equal(p9_get64(&b->reply), 3);

	assert_int_equal(ask(b, P9_TSTATFS, "d", 1u), 0);
	assert_int_equal(b->reply.size, P9_HEADER_SIZE + 4 + 4 + 6 * 8 + 4);
	assert_int_equal(ask(b, P9_TXATTRWALK, "dds", 1u, 2u, "user.x"), -EOPNOTSUPP);
	assert_int_equal(ask(b, P9_TXATTRCREATE, "dsqd", 1u, "user.x", 1ull, 0u), -EOPNOTSUPP);
	assert_int_equal(ask(b, P9_TLOCK, "dbdqqds", 1u, 1u, 0u, 0ull, 0ull, 1u, "me"), 0);
	assert_int_equal(p9_get8(&b->reply), 0);
	assert_int_equal(ask(b, P9_TGETLOCK, "dbqqds", 1u, 1u, 2ull, 3ull, 4u, "me"), 0);
	assert_int_equal(p9_get8(&b->reply), P9_UNLOCK);
	assert_int_equal(p9_get64(&b->reply), 2);
}

static void test_names(void **state)
{
	struct bench *b = *state;
	struct stat st;
	char room[SCRATCH_PATH_SIZE];

	attach(b);
	assert_int_equal(ask(b, P9_TMKDIR, "dsdd", 0u, "d", 0750u, 0u), 0);
	assert_int_equal(p9_get8(&b->reply), P9_QID_DIR);
	assert_int_equal(walk(b, 0, 1, "d"), 0);
	assert_int_equal(ask(b, P9_TSYMLINK, "dssd", 1u, "l", "/etc/passwd", 0u), 0);
	assert_int_equal(p9_get8(&b->reply), P9_QID_LINK);
	assert_int_equal(ask(b, P9_TSYMLINK, "dssd", 1u, "m", "", 0u), -ENOENT);
	assert_int_equal(ask(b, P9_TMKNOD, "dsdddd", 1u, "null", S_IFCHR | 0666u, 1u, 3u, 0u),
			 -EPERM);
	assert_int_equal(ask(b, P9_TMKNOD, "dsdddd", 1u, "fifo", S_IFIFO | 0600u, 0u, 0u, 0u), 0);
	assert_int_equal(walk(b, 1, 2, "fifo"), 0);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 2u, 0u), -ENXIO);
	assert_int_equal(ask(b, P9_TLINK, "dds", 0u, 2u, "hard"), 0);
	assert_int_equal(ask(b, P9_TRENAMEAT, "dsds", 1u, "fifo", 0u, "moved"), 0);
	assert_int_equal(stat(scratch_path(&b->scratch, "share/moved", room), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(ask(b, P9_TRENAMEAT, "dsds", 1u, "fifo", 9u, "moved"), -EBADF);
	assert_int_equal(ask(b, P9_TRENAME, "dds", 2u, 0u, "x"), -EOPNOTSUPP);
	assert_int_equal(ask(b, P9_TREMOVE, "d", 2u), -EOPNOTSUPP);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 2u, ~0ull), -EBADF);
	assert_int_equal(ask(b, P9_TUNLINKAT, "dsd", 0u, "d", P9_REMOVE_DIR), -ENOTEMPTY);
	assert_int_equal(ask(b, P9_TUNLINKAT, "dsd", 1u, "l", 0u), 0);
	assert_int_equal(ask(b, P9_TUNLINKAT, "dsd", 0u, "d", 0u), -EISDIR);
	assert_int_equal(ask(b, P9_TUNLINKAT, "dsd", 0u, "d", P9_REMOVE_DIR), 0);
	assert_int_equal(ask(b, P9_TMKDIR, "dsdd", 1u, "late", 0755u, 0u), -ENOENT);
}

/* Names of a directory, in pieces of @count bytes. */
static unsigned list(struct bench *b, unsigned fid, uint32_t count, bool seen[50])
{
	uint64_t offset = 0;
	unsigned nr = 0;
	char name[256];

	for (;;) {
		assert_int_equal(ask(b, P9_TREADDIR, "dqd", fid, offset, count), 0);
		assert_true(b->reply.size <= P9_ERROR_SIZE + count);
		if (p9_get32(&b->reply) == 0)
			return nr;
		while (b->reply.place < b->reply.size) {
			p9_get_bytes(&b->reply, P9_QID_SIZE);
			offset = p9_get64(&b->reply);
			p9_get8(&b->reply);
			p9_get_string(&b->reply, name, sizeof(name));
			assert_int_equal(b->reply.error, 0);
			if (name[0] == 'n')
				seen[atoi(name + 1)] = true;
			nr++;
		}
	}
}

static void test_readdir(void **state)
{
	struct bench *b = *state;
	bool seen[50] = {false};
	char name[32];

	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "share/n%u", i);
		scratch_put(&b->scratch, name, "");
	}
	attach(b);
	assert_int_equal(ask(b, P9_TWALK, "ddw", 0u, 1u, 0u), 0);
	assert_int_equal(ask(b, P9_TREADDIR, "dqd", 1u, 0ull, 1000u), -EBADF);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 1u, P9_OPEN_DIRECTORY), 0);
	assert_int_equal(list(b, 1, 100, seen), 52);
	for (unsigned i = 0; i < 50; i++)
		assert_true(seen[i]);
	assert_int_equal(list(b, 1, 1u << 20, seen), 52);
	/* Too little for any name must not look like the end. */
	assert_int_equal(ask(b, P9_TREADDIR, "dqd", 1u, 0ull, 10u), -EINVAL);
	assert_int_equal(ask(b, P9_TREADDIR, "dqd", 1u, 1ull << 63, 1000u), -EINVAL);
	assert_int_equal(ask(b, P9_TREAD, "dqd", 1u, 0ull, 1000u), -EISDIR);
	assert_int_equal(ask(b, P9_TFSYNC, "dd", 1u, 0u), 0);
	assert_int_equal(walk(b, 0, 2, "n1"), 0);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 2u, P9_OPEN_DIRECTORY), -ENOTDIR);
	assert_int_equal(ask(b, P9_TLOPEN, "dd", 2u, 0u), 0);
	assert_int_equal(ask(b, P9_TREADDIR, "dqd", 2u, 0ull, 1000u), -EBADF);
}

static void test_broker_dies(void **state)
{
	struct bench *b = *state;

	attach(b);
	assert_int_equal(create(b, 1, "f", P9_OPEN_READWRITE, 0644), 0);
	kill(b->broker.pid, SIGKILL);
	assert_int_equal(walk(b, 0, 2, "f"), -EIO);
	assert_int_equal(ask(b, P9_TGETATTR, "dq", 0u, ~0ull), -EIO);
	/* What is open stays so, and fids can be given up. */
	assert_int_equal(ask(b, P9_TWRITE, "dqdd", 1u, 0ull, 4u, 0u), 0);
	assert_int_equal(ask(b, P9_TCLUNK, "d", 1u), 0);
	assert_int_equal(ask(b, P9_TVERSION, "ds", 8192u, P9_VERSION), 0);
	assert_int_equal(ask(b, P9_TATTACH, "ddssd", 0u, P9_NO_FID, "", "", 0u), -EIO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_version),     TEST(test_attach),        TEST(test_attach_fails),
		TEST(test_walk),        TEST(test_hostile_names), TEST(test_hostile_messages),
		TEST(test_io),          TEST(test_open_limit),    TEST(test_fid_limit),
		TEST(test_attributes),  TEST(test_names),         TEST(test_readdir),
		TEST(test_broker_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

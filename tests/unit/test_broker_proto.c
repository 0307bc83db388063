/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/broker_proto.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ccr/broker_proto.h"

/* One of each operation, with all that it has. */
static const struct broker_request requests[] = {
	{.op = BROKER_CONNECT, .handle = 3, .offset = 4294967295u},
	{.op = BROKER_RESET},
	{.op = BROKER_CLONE, .other = 4095},
	{.op = BROKER_FORGET, .handle = 1},
	{.op = BROKER_WALK, .handle = 1, .other = 1, .name = "a b"},
	{.op = BROKER_STAT, .handle = 4095},
	{.op = BROKER_STATFS},
	{.op = BROKER_SETATTR,
	 .valid = BROKER_SET_ALL,
	 .mode = 07777,
	 .uid = 1,
	 .gid = 2,
	 .size = INT64_MAX,
	 .atime = {-1, 999999999},
	 .mtime = {1, 0}},
	{.op = BROKER_OPEN, .flags = BROKER_ALL_FLAGS},
	{.op = BROKER_CREATE, .other = 7, .name = "...", .flags = BROKER_WRITE, .mode = 0644},
	{.op = BROKER_READDIR, .handle = 1, .offset = INT64_MAX, .size = 8192},
	{.op = BROKER_SYNC, .handle = 1},
	{.op = BROKER_MKDIR, .name = "d", .mode = 0777},
	{.op = BROKER_SYMLINK, .name = "l", .text = "../../etc/passwd"},
	{.op = BROKER_MKNOD, .name = "n", .mode = S_IFSOCK | 0600},
	{.op = BROKER_LINK, .handle = 1, .other = 2, .name = "n"},
	{.op = BROKER_READLINK, .handle = 9},
	{.op = BROKER_RENAME, .handle = 1, .other = 0, .name = "n", .text = "m"},
	{.op = BROKER_UNLINK, .name = "n", .flags = BROKER_DIRECTORY},
};

#define NR_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static void test_requests(void **state)
{
	uint8_t buf[BROKER_MAX_MESSAGE];

	(void)state;
	assert_int_equal(NR_REQUESTS, BROKER_NR_OPS);
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		struct broker_request back;
		const size_t size = broker_encode_request(&requests[i], buf);

		assert_int_equal(requests[i].op, i);
		assert_int_not_equal(size, 0);
		memset(&back, 0xa5, sizeof(back));
		assert_int_equal(broker_decode_request(buf, size, &back), 0);
		assert_memory_equal(&back, &requests[i], sizeof(back));
		for (size_t less = 0; less < size; less++)
			assert_int_equal(broker_decode_request(buf, less, &back), -EBADMSG);
		buf[size] = 0;
		assert_int_equal(broker_decode_request(buf, size + 1, &back), -EBADMSG);
	}
}

static void test_names(void **state)
{
	char longest[NAME_MAX + 2];

	(void)state;
	assert_true(broker_is_name("a"));
	assert_true(broker_is_name("..."));
	assert_true(broker_is_name(".a"));
	assert_true(broker_is_name("-\n\xff"));
	assert_false(broker_is_name(""));
	assert_false(broker_is_name("."));
	assert_false(broker_is_name(".."));
	assert_false(broker_is_name("/"));
	assert_false(broker_is_name("a/b"));
	assert_false(broker_is_name("../a"));
	memset(longest, 'x', sizeof(longest));
	longest[NAME_MAX + 1] = '\0';
	assert_false(broker_is_name(longest));
	longest[NAME_MAX] = '\0';
	assert_true(broker_is_name(longest));
}

/* Each differs in one thing from a request that is right. */
static void test_wrong_requests(void **state)
{
	static const struct broker_request wrong[] = {
		{.op = BROKER_NR_OPS},
		{.op = UINT32_MAX},
		{.op = BROKER_CONNECT, .handle = BROKER_NR_HANDLES},
		{.op = BROKER_CONNECT, .offset = 1ull << 63},
		{.op = BROKER_RESET, .flags = 1},
		{.op = BROKER_CLONE, .other = 0},
		{.op = BROKER_CLONE, .other = BROKER_NR_HANDLES},
		{.op = BROKER_FORGET},
		{.op = BROKER_WALK, .other = 1},
		{.op = BROKER_WALK, .other = 1, .name = ".."},
		{.op = BROKER_WALK, .other = 1, .name = "a/b"},
		{.op = BROKER_WALK, .other = 1, .name = "a", .text = "b"},
		{.op = BROKER_STAT, .name = "a"},
		{.op = BROKER_STAT, .other = 1},
		{.op = BROKER_STAT, .size = 1},
		{.op = BROKER_STAT, .offset = 1},
		{.op = BROKER_STAT, .mode = 1},
		{.op = BROKER_STAT, .valid = 1},
		{.op = BROKER_STAT, .uid = 1},
		{.op = BROKER_STAT, .mtime = {.s = 1}},
		{.op = BROKER_SETATTR, .valid = BROKER_SET_ALL + 1},
		{.op = BROKER_SETATTR, .valid = BROKER_SET_ALL, .mode = 010000},
		{.op = BROKER_SETATTR, .valid = BROKER_SET_ALL, .size = 1ull << 63},
		{.op = BROKER_SETATTR, .mode = 1},
		{.op = BROKER_SETATTR, .valid = BROKER_SET_ATIME, .atime = {0, 1000000000}},
		{.op = BROKER_OPEN, .flags = BROKER_ALL_FLAGS + 1},
		{.op = BROKER_CREATE, .other = 1, .name = "a", .mode = 0200000},
		{.op = BROKER_SYMLINK, .name = "a"},
		{.op = BROKER_RENAME, .name = "a", .text = "b/c"},
		{.op = BROKER_RENAME, .name = "a", .text = ".."},
		{.op = BROKER_RENAME, .name = "..", .text = "a"},
	};
	uint8_t buf[BROKER_MAX_MESSAGE];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(broker_encode_request(&wrong[i], buf), 0);
}

/* What no encoder makes: a string with a NUL, strings that overlap the end. */
static void test_hostile_strings(void **state)
{
	struct broker_request back;
	uint8_t buf[BROKER_MAX_MESSAGE];
	const size_t size = broker_encode_request(&requests[BROKER_WALK], buf);
	const size_t head_size = size - strlen("a b");

	(void)state;
	buf[head_size + 1] = '\0';
	assert_int_equal(broker_decode_request(buf, size, &back), -EBADMSG);
	buf[head_size + 1] = '/';
	assert_int_equal(broker_decode_request(buf, size, &back), -EBADMSG);
	buf[head_size + 1] = 'x';
	assert_int_equal(broker_decode_request(buf, size, &back), 0);
	/* The sizes of the strings end the head. */
	memset(buf + head_size - 8, 0xff, 8);
	assert_int_equal(broker_decode_request(buf, size, &back), -EBADMSG);
	memset(buf + head_size - 8, 0, 8);
	assert_int_equal(broker_decode_request(buf, size, &back), -EBADMSG);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(broker_decode_request(buf, sizeof(buf), &back), -EBADMSG);
}

static void test_replies(void **state)
{
	static struct broker_reply reply, back;
	uint8_t buf[BROKER_MAX_MESSAGE];
	size_t size;

	(void)state;
	reply.has_fd = 1;
	reply.attr = (struct broker_attr){.dev = 1, .ino = 2, .mode = 3, .ctime = {4, 5}};
	reply.fs = (struct broker_fs){.type = 6, .max_name = 7};
	reply.payload_size = BROKER_MAX_PAYLOAD;
	memset(reply.payload, 0x5a, sizeof(reply.payload));
	size = broker_encode_reply(&reply, buf);
	assert_int_equal(broker_decode_reply(buf, size, &back), 0);
	assert_memory_equal(&back, &reply, sizeof(back));
	assert_int_equal(broker_decode_reply(buf, size - 1, &back), -EBADMSG);

	/* An error says nothing else. */
	reply.error = -ENOENT;
	size = broker_encode_reply(&reply, buf);
	assert_int_equal(broker_decode_reply(buf, size, &back), 0);
	assert_int_equal(back.error, -ENOENT);
	assert_int_equal(back.has_fd, 0);
	assert_int_equal(back.attr.ino, 0);
	assert_int_equal(back.payload_size, 0);
	buf[4] = 1; /* has_fd */
	assert_int_equal(broker_decode_reply(buf, size, &back), -EBADMSG);
}

static void test_wrong_replies(void **state)
{
	static struct broker_reply reply, back;
	uint8_t buf[BROKER_MAX_MESSAGE];
	const size_t size = broker_encode_reply(&reply, buf);
	static const int32_t errors[] = {1, INT32_MAX, -4096, INT32_MIN};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		memcpy(buf, &errors[i], sizeof(errors[i]));
		assert_int_equal(broker_decode_reply(buf, size, &back), -EBADMSG);
	}
	memset(buf, 0, 4);
	buf[4] = 2;
	assert_int_equal(broker_decode_reply(buf, size, &back), -EBADMSG);
	buf[4] = 0;
	memset(buf + size - 8, 0xff, 8); /* the payload's size */
	assert_int_equal(broker_decode_reply(buf, size, &back), -EBADMSG);
	assert_int_equal(broker_decode_reply(buf, 0, &back), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),       cmocka_unit_test(test_names),
		cmocka_unit_test(test_wrong_requests), cmocka_unit_test(test_hostile_strings),
		cmocka_unit_test(test_replies),        cmocka_unit_test(test_wrong_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

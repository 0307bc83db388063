/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/virtio/p9.c src/virtio/p9_proto.c src/host/broker_proto.c */
/*
 * A client that sends any messages, and a broker whose answers are any that are well-formed.
 * Whatever both do,
 *   - the broker is asked for nothing that its protocol has no word for, and only handles that are
 *     bound are used, and only free ones made,
 *   - a descriptor is used between its arrival and its close, closed once, and there are never more
 *     of them than may be,
 *   - a reply fits its room, says its own size, and has the tag of its message,
 *   - after the end nothing is open.
 *
 * Input: messages, each behind two bytes of its size and two of the room for the reply.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ccr/p9.h"
#include "fuzz.h"

#define MSIZE    8192u
#define MAX_OPEN 3u
#define FIRST_FD 1000

/* @is_open: descriptor FIRST_FD + n */
struct world {
	struct p9 p9;
	bool is_bound[BROKER_NR_HANDLES];
	bool is_open[MAX_OPEN];
	uint32_t choice; /* of the broker's */
	uint8_t out[MSIZE];
};

static int give_fd(struct world *world)
{
	for (unsigned i = 0; i < MAX_OPEN; i++) {
		if (!world->is_open[i]) {
			world->is_open[i] = true;
			return FIRST_FD + (int)i;
		}
	}
	abort(); /* it has asked for more than it may have */
}

static void make_handle(struct world *world, const struct broker_request *request)
{
	require(request->other == request->handle || !world->is_bound[request->other]);
	world->is_bound[request->other] = true;
}

static void fill_payload(struct world *world, struct broker_reply *reply)
{
	reply->payload_size = fuzz_choose(&world->choice, 300);
	for (unsigned i = 0; i < reply->payload_size; i++)
		reply->payload[i] = (uint8_t)fuzz_choose(&world->choice,
							 fuzz_choose(&world->choice, 2) ? 256 : 32);
}

static int on_call(void *ctx, const struct broker_request *request, struct broker_reply *reply,
		   int *ret_fd)
{
	static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO};
	struct world *world = ctx;
	uint8_t bytes[BROKER_MAX_MESSAGE];

	if (ret_fd)
		*ret_fd = -1;
	if (!broker_encode_request(request, bytes))
		return -EINVAL;
	require(request->op != BROKER_CONNECT && world->is_bound[request->handle]);
	memset(reply, 0, offsetof(struct broker_reply, payload));
	if (request->op == BROKER_RESET) {
		memset(world->is_bound + 1, 0, sizeof(world->is_bound) - 1);
		return 0;
	}
	if (request->op == BROKER_FORGET) {
		world->is_bound[request->handle] = false;
		return 0;
	}
	if (fuzz_choose(&world->choice, 4) == 0)
		return -ENOENT;
	if (request->op == BROKER_LINK || request->op == BROKER_RENAME)
		require(world->is_bound[request->other]);
	else if (request->other)
		make_handle(world, request);
	reply->attr.mode = types[fuzz_choose(&world->choice, 4)] | 0644;
	reply->attr.ino = fuzz_choose(&world->choice, 100);
	if (request->op == BROKER_CREATE ||
	    (request->op == BROKER_OPEN && fuzz_choose(&world->choice, 2)))
		*ret_fd = give_fd(world);
	if (request->op == BROKER_READDIR || request->op == BROKER_READLINK)
		fill_payload(world, reply);
	return 0;
}

static void require_open(const struct world *world, int fd)
{
	require(fd >= FIRST_FD && fd < FIRST_FD + (int)MAX_OPEN && world->is_open[fd - FIRST_FD]);
}

static ssize_t on_read(void *ctx, int fd, void *bytes, size_t size, uint64_t offset)
{
	struct world *world = ctx;

	require_open(world, fd);
	require(size > 0 && offset <= INT64_MAX);
	memset(bytes, 0x55, size);
	return (ssize_t)fuzz_choose(&world->choice, (unsigned)size + 1);
}

static ssize_t on_write(void *ctx, int fd, const void *bytes, size_t size, uint64_t offset)
{
	unsigned sum = 0;

	require_open(ctx, fd);
	require(size > 0 && offset + size <= INT64_MAX);
	for (size_t i = 0; i < size; i++)
		sum += ((const uint8_t *)bytes)[i];
	return sum % 3 ? (ssize_t)size : -ENOSPC;
}

static int on_sync(void *ctx, int fd)
{
	require_open(ctx, fd);
	return 0;
}

static void on_close(void *ctx, int fd)
{
	struct world *world = ctx;

	require_open(world, fd);
	world->is_open[fd - FIRST_FD] = false;
}

static const struct p9_host host = {on_call, on_read, on_write, on_sync, on_close};

static void serve(struct world *world, const uint8_t *message, uint32_t size, uint32_t room)
{
	uint8_t *copy = malloc(size); /* of its own size, so that a read behind it shows */
	uint32_t said, replied;

	memcpy(copy, message, size);
	replied = p9_serve(&world->p9, copy, size, world->out, room);
	free(copy);
	require(replied >= P9_HEADER_SIZE && replied <= room);
	memcpy(&said, world->out, sizeof(said));
	require(le32toh(said) == replied);
	require(!memcmp(world->out + 5, message + 5, 2));
	require(world->out[4] == P9_RLERROR || world->out[4] == message[4] + 1);
}

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	uint32_t length, room;

	memset(&world, 0, sizeof(world));
	world.is_bound[0] = true;
	p9_init(&world.p9, &host, &world, MSIZE, MAX_OPEN);
	while (size >= 4 + P9_HEADER_SIZE) {
		length = get16(data);
		room = get16(data + 2) % (MSIZE + 1);
		data += 4;
		size -= 4;
		if (length < P9_HEADER_SIZE)
			length = P9_HEADER_SIZE;
		if (length > size)
			length = (uint32_t)size;
		serve(&world, data, length, room < P9_ERROR_SIZE ? P9_ERROR_SIZE : room);
		data += length;
		size -= length;
	}
	p9_done(&world.p9);
	for (unsigned i = 0; i < MAX_OPEN; i++)
		require(!world.is_open[i]);
	return 0;
}

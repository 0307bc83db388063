/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/host/passt.c */
/* links: src/host/net.c src/host/tap.c src/host/passt.c src/util/hash.c src/util/err.c */
/*
 * A peer on a network's stream socket that sends any bytes in any pieces, and reads when it likes.
 * Whatever it does,
 *   - the frames that are taken are the stream cut up by its lengths, whole and in order,
 *   - nothing is taken before it is whole, and a length that no frame has is an error for good,
 *   - what the peer reads is what was committed, each frame behind its length, and nothing else.
 *
 * Input: records {op, 16-bit size}; the first kind has so many bytes behind it.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/net.h"
#include "fuzz.h"

#define MAX_STREAM (512u << 10) /* more than all buffers */

/** struct stream - bytes that one side has written; the other has seen @seen of them */
struct stream {
	uint8_t bytes[MAX_STREAM];
	size_t size, seen;
};

struct world {
	struct net net;
	int peer;
	struct stream in, out;
	uint8_t next;
};

/* As much of it as the socket takes, which is what counts. */
static void send_bytes(struct world *world, const uint8_t *bytes, size_t size)
{
	struct stream *in = &world->in;
	ssize_t sent;

	if (size == 0 || size > MAX_STREAM - in->size)
		return;
	sent = send(world->peer, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return;
	memcpy(in->bytes + in->size, bytes, (size_t)sent);
	in->size += (size_t)sent;
}

static void send_frame(struct world *world, uint32_t size)
{
	static uint8_t bytes[4 + UINT16_MAX];
	const uint32_t prefix = htobe32(size);

	memcpy(bytes, &prefix, 4);
	memset(bytes + 4, world->next++, size);
	send_bytes(world, bytes, 4 + size);
}

/* Return: the length that comes next in the stream, if there are bytes enough for one. */
static bool next_length(const struct stream *in, uint32_t *ret_length)
{
	if (in->size - in->seen < 4)
		return false;
	memcpy(ret_length, in->bytes + in->seen, 4);
	*ret_length = be32toh(*ret_length);
	return true;
}

static void take_frame(struct world *world)
{
	struct stream *in = &world->in;
	const uint8_t *frame = NULL;
	const ssize_t got = world->net.ops->peek(&world->net, &frame);
	uint32_t length = 0;
	const bool known = next_length(in, &length);
	const bool possible = length >= NET_MIN_FRAME && length <= NET_MAX_FRAME;

	if (got == -EPROTO) {
		require(known && !possible);
	} else if (got < 0) {
		/* Bytes that are still in the socket are fetched once, not until it is empty. */
		require(got == -EAGAIN && (!known || possible));
	} else {
		require(known && possible && (uint32_t)got == length);
		require(in->size - in->seen - 4 >= length);
		require(!memcmp(frame, in->bytes + in->seen + 4, length));
		world->net.ops->drop(&world->net);
		in->seen += 4 + length;
	}
}

static void give_frame(struct world *world, uint32_t size)
{
	struct stream *out = &world->out;
	const uint32_t prefix = htobe32(size);
	uint8_t *frame;

	if (4 + size > MAX_STREAM - out->size)
		return;
	frame = world->net.ops->reserve(&world->net, size);
	if (!frame)
		return;
	memset(frame, world->next, size);
	memcpy(out->bytes + out->size, &prefix, 4);
	memset(out->bytes + out->size + 4, world->next++, size);
	/* One that is given up in between leaves no trace. */
	if (size % 16 == 3)
		return;
	world->net.ops->commit(&world->net);
	out->size += 4 + size;
	require(world->net.ops->has_output(&world->net));
}

static void read_bytes(struct world *world, size_t size)
{
	static uint8_t bytes[UINT16_MAX];
	struct stream *out = &world->out;
	const ssize_t got = recv(world->peer, bytes, size, MSG_DONTWAIT);

	if (got <= 0)
		return;
	require((size_t)got <= out->size - out->seen);
	require(!memcmp(bytes, out->bytes + out->seen, (size_t)got));
	out->seen += (size_t)got;
}

static void play(struct world *world, uint8_t op, uint16_t size)
{
	switch (op % 6) {
	case 1:
		send_frame(world, size);
		break;
	case 2:
		give_frame(world, NET_MIN_FRAME + size % (NET_MAX_FRAME - NET_MIN_FRAME + 1));
		break;
	case 3:
		require(!world->net.ops->flush(&world->net));
		break;
	case 4:
		read_bytes(world, size);
		break;
	default:
		take_frame(world);
		break;
	}
}

static void begin(struct world *world)
{
	struct net_config config = {.kind = NET_FD, .nr_fds = 1, .nr_pairs = 1};
	struct ccr_err err = {0};
	int ends[2];

	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	config.fds[0] = ends[0];
	world->peer = ends[1];
	require(!net_open(&world->net, &config, "fuzz", 0, &err));
	world->in.size = world->in.seen = 0;
	world->out.size = world->out.seen = 0;
	world->next = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world storage; /* too large to be made anew each time */
	struct world *world = &storage;
	uint16_t argument;

	begin(world);
	while (size >= 3) {
		const uint8_t op = data[0];

		memcpy(&argument, data + 1, sizeof(argument));
		data += 3;
		size -= 3;
		if (op % 6 == 0) {
			const size_t part = argument < size ? argument : size;

			send_bytes(world, data, part);
			data += part;
			size -= part;
			continue;
		}
		play(world, op, argument);
	}
	net_close(&world->net);
	close(world->peer);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/virtio/vsock.c */
/*
 * A guest that sends any packets, and a host whose ends do as they like. Whatever both do,
 *   - an end is used only between its opening and its close, and closed once,
 *   - what the host is given is what the guest has sent, in order, and no more than that,
 *   - the guest gets no more than the credit it has given, in packets that fit its buffer,
 *   - there are never more connections than there may be, and none after a reset.
 *
 * Input: 12-byte records {op, argument, ports, flags, 32-bit value, 32-bit size}.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/vsock.h"
#include "fuzz.h"

#define CID 3u

struct record {
	uint8_t op, argument, ports, flags;
	uint32_t value, size;
};

/* @given: bytes of the guest's that the host was given; their values follow from it. */
struct end {
	bool is_open;
	uint32_t given;
};

struct world {
	struct vsock vsock;
	struct end ends[VSOCK_MAX_CONNS];
	uint32_t choice; /* of the host's */
	uint8_t payload[VSOCK_MAX_PAYLOAD];
};

/* Byte n of a stream is (uint8_t)n, so any part of one is found here. */
static uint8_t stream[256 + VSOCK_BUFFER_SIZE];

static const uint8_t *stream_at(uint32_t position)
{
	if (stream[1] == 0) {
		for (size_t i = 0; i < sizeof(stream); i++)
			stream[i] = (uint8_t)i;
	}
	return stream + position % 256;
}

static int end_connect(void *ctx, unsigned index, uint32_t port)
{
	struct world *world = ctx;

	require(!world->ends[index].is_open);
	if (port % 4 == 3)
		return -ECONNREFUSED;
	world->ends[index] = (struct end){.is_open = true};
	return 0;
}

static void end_accepted(void *ctx, unsigned index, uint32_t host_port)
{
	struct world *world = ctx;

	require(world->ends[index].is_open);
	require(host_port == world->vsock.conns[index].host_port);
}

static ssize_t end_read(void *ctx, unsigned index, void *buf, size_t size)
{
	static const int errors[] = {-EAGAIN, -EAGAIN, 0, -ECONNRESET};
	struct world *world = ctx;
	const unsigned what = fuzz_choose(&world->choice, 8);

	require(world->ends[index].is_open);
	require(size > 0 && size <= VSOCK_MAX_PAYLOAD);
	if (what < 4)
		return errors[what];
	if (what < 6 && size > 1)
		size = 1 + fuzz_choose(&world->choice, (unsigned)size);
	memset(buf, 0x55, size);
	return (ssize_t)size;
}

static ssize_t end_write(void *ctx, unsigned index, const void *buf, size_t size)
{
	struct world *world = ctx;
	struct end *end = &world->ends[index];
	const unsigned what = fuzz_choose(&world->choice, 8);

	require(end->is_open && size > 0 && size <= VSOCK_BUFFER_SIZE);
	if (what == 0)
		return -EPIPE;
	if (what < 4)
		return -EAGAIN;
	if (what < 6)
		size = 1 + fuzz_choose(&world->choice, (unsigned)size);
	require(memcmp(buf, stream_at(end->given), size) == 0);
	end->given += (uint32_t)size;
	return (ssize_t)size;
}

static void end_shutdown(void *ctx, unsigned index, int how)
{
	struct world *world = ctx;

	(void)how;
	require(world->ends[index].is_open);
}

static void end_close(void *ctx, unsigned index)
{
	struct world *world = ctx;

	require(world->ends[index].is_open);
	world->ends[index].is_open = false;
}

static const struct vsock_host host = {
	.connect = end_connect,
	.accepted = end_accepted,
	.read = end_read,
	.write = end_write,
	.shutdown = end_shutdown,
	.close = end_close,
};

/* The connection that a packet from the guest is about, NULL if there is none. */
static const struct vsock_conn *find(const struct world *world, uint32_t guest_port,
				     uint32_t host_port)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		const struct vsock_conn *conn = &world->vsock.conns[i];

		if (conn->state != VSOCK_FREE && conn->state != VSOCK_RESERVED &&
		    conn->state != VSOCK_DRAINING && conn->guest_port == guest_port &&
		    conn->host_port == host_port)
			return conn;
	}
	return NULL;
}

/* Bytes that continue the stream, so that the host can tell them from others. */
static void fill(struct world *world, const struct vsock_conn *conn, uint32_t size)
{
	memcpy(world->payload, stream_at(conn ? conn->head : 0),
	       size < VSOCK_MAX_PAYLOAD ? size : VSOCK_MAX_PAYLOAD);
}

static void from_guest(struct world *world, const struct record *r)
{
	const uint32_t guest_port = r->ports & 7;
	const uint32_t host_port = r->argument & 0x80 ? 0x40000001u + (r->ports >> 3)
						      : r->ports >> 3;
	const uint32_t size = r->argument & 0x20 ? r->size : r->size % 70000;
	const struct virtio_vsock_hdr header = {
		.src_cid = htole64(r->flags & 0x80 ? CID + 1 : CID),
		.dst_cid = htole64(r->flags & 0x40 ? 1 : VSOCK_HOST_CID),
		.src_port = htole32(guest_port),
		.dst_port = htole32(host_port),
		.len = htole32(size),
		.type = htole16(r->flags & 0x20 ? r->flags & 3 : VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(r->argument & 0x1f),
		.flags = htole32(r->flags & 7),
		.buf_alloc = htole32(r->value & 0x1ffff),
		.fwd_cnt = htole32(r->value >> 17),
	};

	if (!vsock_has_room(&world->vsock))
		return;
	fill(world, find(world, guest_port, host_port), size);
	vsock_receive(&world->vsock, &header, world->payload, size);
}

static void to_guest(struct world *world, uint32_t room)
{
	struct virtio_vsock_hdr header;
	const struct vsock_conn *conn;
	uint32_t size;

	room = 1 + room % 5000;
	if (!vsock_send(&world->vsock, &header, world->payload, room, &size)) {
		require(size == 0 && !vsock_has_output(&world->vsock));
		return;
	}
	require(size <= room && le32toh(header.len) == size);
	require(le64toh(header.src_cid) == VSOCK_HOST_CID && le64toh(header.dst_cid) == CID);
	require((size > 0) == (le16toh(header.op) == VIRTIO_VSOCK_OP_RW));
	conn = find(world, le32toh(header.dst_port), le32toh(header.src_port));
	if (size > 0)
		require(conn && conn->sent - conn->guest_taken <= conn->guest_alloc);
}

static void from_host(struct world *world, uint32_t port)
{
	const int index = vsock_reserve(&world->vsock);

	if (index < 0) {
		require(vsock_nr_conns(&world->vsock) == VSOCK_MAX_CONNS);
		return;
	}
	if (port & 0x10) {
		vsock_cancel(&world->vsock, (unsigned)index);
		return;
	}
	world->ends[index] = (struct end){.is_open = true};
	require(vsock_open(&world->vsock, (unsigned)index, port & 7) == 0);
}

static void play(struct world *world, const struct record *r)
{
	switch (r->op % 8) {
	case 0:
	case 1:
	case 2:
		from_guest(world, r);
		break;
	case 3:
	case 4:
		to_guest(world, r->size);
		break;
	case 5:
		from_host(world, r->value);
		break;
	case 6:
		vsock_ready(&world->vsock, r->argument % VSOCK_MAX_CONNS, r->flags & 7);
		break;
	default:
		if (r->argument == 0)
			vsock_reset(&world->vsock);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct record record;

	memset(&world, 0, sizeof(world));
	vsock_init(&world.vsock, CID, &host, &world);
	world.choice = size > 0 ? data[0] : 0;
	for (size_t at = 1; at < size && size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(&world, &record);
	}
	vsock_reset(&world.vsock);
	require(vsock_nr_conns(&world.vsock) == 0);
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++)
		require(!world.ends[i].is_open);
	return 0;
}

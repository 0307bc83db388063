/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/virtio/vsock.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ccr/vsock.h"

#define CID       7u
#define PORT      52u  /* of the host's */
#define PEER      900u /* of the guest's */
#define HOST_SIZE 4096

/* What the host's end of a connection has, and has been told. */
struct end {
	char input[HOST_SIZE];
	size_t input_size, input_at;
	bool input_ended;
	int read_error, write_error;
	uint8_t output[2 * VSOCK_BUFFER_SIZE];
	size_t output_size, output_room;
	bool is_open, read_shut, write_shut;
	unsigned nr_closed;
	uint32_t accepted;
};

struct bench {
	struct vsock vsock;
	struct end ends[VSOCK_MAX_CONNS];
	int connect_error;
	uint32_t asked_port;
	unsigned nr_asked;
	/* The last packet for the guest. */
	struct virtio_vsock_hdr header;
	uint8_t payload[VSOCK_MAX_PAYLOAD];
	uint32_t size;
};

static int end_connect(void *ctx, unsigned index, uint32_t port)
{
	struct bench *b = ctx;

	b->asked_port = port;
	b->nr_asked++;
	if (!b->connect_error)
		b->ends[index].is_open = true;
	return b->connect_error;
}

static void end_accepted(void *ctx, unsigned index, uint32_t host_port)
{
	struct bench *b = ctx;

	b->ends[index].accepted = host_port;
}

static ssize_t end_read(void *ctx, unsigned index, void *buf, size_t size)
{
	struct end *end = &((struct bench *)ctx)->ends[index];
	const size_t left = end->input_size - end->input_at;

	assert_true(end->is_open);
	if (end->read_error)
		return end->read_error;
	if (left == 0)
		return end->input_ended ? 0 : -EAGAIN;
	if (size > left)
		size = left;
	memcpy(buf, end->input + end->input_at, size);
	end->input_at += size;
	return (ssize_t)size;
}

static ssize_t end_write(void *ctx, unsigned index, const void *buf, size_t size)
{
	struct end *end = &((struct bench *)ctx)->ends[index];

	assert_true(end->is_open);
	assert_true(size > 0);
	if (end->write_error)
		return end->write_error;
	if (end->output_room == 0)
		return -EAGAIN;
	if (size > end->output_room)
		size = end->output_room;
	memcpy(end->output + end->output_size, buf, size);
	end->output_size += size;
	end->output_room -= size;
	return (ssize_t)size;
}

static void end_shutdown(void *ctx, unsigned index, int how)
{
	struct end *end = &((struct bench *)ctx)->ends[index];

	assert_true(end->is_open);
	*(how == SHUT_RD ? &end->read_shut : &end->write_shut) = true;
}

static void end_close(void *ctx, unsigned index)
{
	struct end *end = &((struct bench *)ctx)->ends[index];

	assert_true(end->is_open);
	end->is_open = false;
	end->nr_closed++;
}

static const struct vsock_host host = {
	.connect = end_connect,
	.accepted = end_accepted,
	.read = end_read,
	.write = end_write,
	.shutdown = end_shutdown,
	.close = end_close,
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++)
		b->ends[i].output_room = sizeof(b->ends[i].output);
	vsock_init(&b->vsock, CID, &host, b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	vsock_reset(&b->vsock);
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++)
		assert_false(b->ends[i].is_open);
	assert_int_equal(vsock_nr_conns(&b->vsock), 0);
	free(b);
	return 0;
}

static struct virtio_vsock_hdr packet(uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = htole64(CID),
		.dst_cid = htole64(VSOCK_HOST_CID),
		.src_port = htole32(PEER),
		.dst_port = htole32(PORT),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.buf_alloc = htole32(1000),
	};
}

static void give(struct bench *b, const struct virtio_vsock_hdr *header, const void *payload,
		 uint32_t size)
{
	assert_true(vsock_has_room(&b->vsock));
	vsock_receive(&b->vsock, header, payload, size);
}

static void say(struct bench *b, uint16_t op)
{
	const struct virtio_vsock_hdr header = packet(op);

	give(b, &header, NULL, 0);
}

static void say_data(struct bench *b, const void *bytes, uint32_t size)
{
	const struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_RW);

	give(b, &header, bytes, size);
}

static void say_shutdown(struct bench *b, uint32_t flags)
{
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_SHUTDOWN);

	header.flags = htole32(flags);
	give(b, &header, NULL, 0);
}

/* Return: what the guest hears next; 0 for nothing. */
static unsigned hear(struct bench *b)
{
	if (!vsock_send(&b->vsock, &b->header, b->payload, sizeof(b->payload), &b->size)) {
		assert_int_equal(b->size, 0);
		return 0;
	}
	assert_int_equal(le64toh(b->header.src_cid), VSOCK_HOST_CID);
	assert_int_equal(le64toh(b->header.dst_cid), CID);
	assert_int_equal(le32toh(b->header.len), b->size);
	return le16toh(b->header.op);
}

static void expect(struct bench *b, unsigned op)
{
	assert_int_equal(hear(b), op);
}

/* The guest connects; its connection is number 0. */
static void open_from_guest(struct bench *b)
{
	say(b, VIRTIO_VSOCK_OP_REQUEST);
	expect(b, VIRTIO_VSOCK_OP_RESPONSE);
	expect(b, 0);
	assert_int_equal(vsock_get_state(&b->vsock, 0), VSOCK_OPEN);
}

static void host_says(struct bench *b, const char *text)
{
	struct end *end = &b->ends[0];

	memcpy(end->input + end->input_size, text, strlen(text));
	end->input_size += strlen(text);
	vsock_ready(&b->vsock, 0, VSOCK_READABLE);
}

static void test_from_guest(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	assert_int_equal(b->asked_port, PORT);
	assert_int_equal(le32toh(b->header.src_port), PORT);
	assert_int_equal(le32toh(b->header.dst_port), PEER);
	assert_int_equal(le32toh(b->header.buf_alloc), VSOCK_BUFFER_SIZE);
	say_data(b, "hello", 5);
	assert_memory_equal(b->ends[0].output, "hello", 5);
	assert_int_equal(b->ends[0].output_size, 5);
	host_says(b, "and back");
	assert_true(vsock_has_output(&b->vsock));
	expect(b, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(b->size, 8);
	assert_memory_equal(b->payload, "and back", 8);
	assert_int_equal(le32toh(b->header.fwd_cnt), 5);
	expect(b, 0);
	assert_false(vsock_has_output(&b->vsock));
	say_shutdown(b, 3);
	expect(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(b->ends[0].nr_closed, 1);
	assert_int_equal(vsock_nr_conns(&b->vsock), 0);
}

static void test_refused_by_host(void **state)
{
	struct bench *b = *state;

	b->connect_error = -ECONNREFUSED;
	say(b, VIRTIO_VSOCK_OP_REQUEST);
	expect(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(le32toh(b->header.dst_port), PEER);
	expect(b, 0);
	assert_int_equal(vsock_nr_conns(&b->vsock), 0);
}

static uint32_t begin_from_host(struct bench *b)
{
	assert_int_equal(vsock_reserve(&b->vsock), 0);
	b->ends[0].is_open = true;
	assert_int_equal(vsock_open(&b->vsock, 0, PEER), 0);
	expect(b, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(le32toh(b->header.dst_port), PEER);
	expect(b, 0);
	return le32toh(b->header.src_port);
}

static void test_from_host(void **state)
{
	struct bench *b = *state;
	struct virtio_vsock_hdr response = packet(VIRTIO_VSOCK_OP_RESPONSE);

	host_says(b, "early");
	response.dst_port = htole32(begin_from_host(b));
	assert_int_equal(b->ends[0].accepted, 0);
	give(b, &response, NULL, 0);
	assert_int_equal(b->ends[0].accepted, le32toh(response.dst_port));
	expect(b, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(b->payload, "early", 5);
}

static void test_refused_by_guest(void **state)
{
	struct bench *b = *state;
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_RST);

	header.dst_port = htole32(begin_from_host(b));
	give(b, &header, NULL, 0);
	assert_int_equal(b->ends[0].nr_closed, 1);
	assert_int_equal(b->ends[0].accepted, 0);
	expect(b, 0);
}

/* An answer other than yes or no, an answer before the question, and a client that went away. */
static void test_opening_broken(void **state)
{
	struct bench *b = *state;
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_RW);

	header.dst_port = htole32(begin_from_host(b));
	give(b, &header, "x", 1);
	assert_int_equal(b->ends[0].nr_closed, 1);
	expect(b, VIRTIO_VSOCK_OP_RST);

	assert_int_equal(vsock_reserve(&b->vsock), 0);
	b->ends[0].is_open = true;
	assert_int_equal(vsock_open(&b->vsock, 0, PEER), 0);
	header = packet(VIRTIO_VSOCK_OP_RESPONSE);
	header.dst_port = htole32(b->vsock.conns[0].host_port);
	give(b, &header, NULL, 0);
	assert_int_equal(b->ends[0].accepted, 0);
	assert_int_equal(b->ends[0].nr_closed, 2);
	expect(b, VIRTIO_VSOCK_OP_RST);

	begin_from_host(b);
	vsock_ready(&b->vsock, 0, VSOCK_READABLE | VSOCK_GONE);
	assert_int_equal(b->ends[0].nr_closed, 3);
	expect(b, VIRTIO_VSOCK_OP_RST);
	expect(b, 0);
}

static void test_reserved(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < VSOCK_MAX_CONNS; i++)
		assert_int_equal(vsock_reserve(&b->vsock), i);
	assert_int_equal(vsock_reserve(&b->vsock), -ENOSPC);
	/* The guest is refused as well. */
	say(b, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(b->nr_asked, 0);
	expect(b, VIRTIO_VSOCK_OP_RST);
	vsock_cancel(&b->vsock, 5);
	assert_int_equal(vsock_reserve(&b->vsock), 5);
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++)
		vsock_cancel(&b->vsock, i);
	assert_int_equal(b->ends[0].nr_closed, 0);
}

/* Who is not the guest, or wants somebody who is not the host, gets no answer. */
static void test_addresses(void **state)
{
	struct bench *b = *state;
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_REQUEST);

	header.src_cid = htole64(CID + 1);
	give(b, &header, NULL, 0);
	header = packet(VIRTIO_VSOCK_OP_REQUEST);
	header.dst_cid = htole64(CID);
	give(b, &header, NULL, 0);
	header.dst_cid = htole64(VSOCK_HOST_CID | 1ull << 32);
	give(b, &header, NULL, 0);
	assert_int_equal(b->vsock.nr_dropped, 3);
	assert_int_equal(b->nr_asked, 0);
	expect(b, 0);
}

static void test_unknown(void **state)
{
	static const uint16_t ops[] = {VIRTIO_VSOCK_OP_INVALID,
				       VIRTIO_VSOCK_OP_RESPONSE,
				       VIRTIO_VSOCK_OP_SHUTDOWN,
				       VIRTIO_VSOCK_OP_RW,
				       VIRTIO_VSOCK_OP_CREDIT_UPDATE,
				       VIRTIO_VSOCK_OP_CREDIT_REQUEST,
				       8,
				       0xffff};
	struct bench *b = *state;
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_REQUEST);

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		say(b, ops[i]);
		expect(b, VIRTIO_VSOCK_OP_RST);
		expect(b, 0);
	}
	/* A reset is never answered, or two sides could go on for ever. */
	say(b, VIRTIO_VSOCK_OP_RST);
	expect(b, 0);
	header.type = htole16(VIRTIO_VSOCK_TYPE_SEQPACKET);
	give(b, &header, NULL, 0);
	expect(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(le16toh(b->header.type), VIRTIO_VSOCK_TYPE_SEQPACKET);
	assert_int_equal(b->nr_asked, 0);
}

static void test_wrong_on_open(void **state)
{
	static const uint16_t ops[] = {VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST,
				       VIRTIO_VSOCK_OP_RESPONSE, 8};
	struct bench *b = *state;

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		open_from_guest(b);
		say(b, ops[i]);
		assert_int_equal(b->ends[0].nr_closed, i + 1);
		/* Nothing counts until the reset has been sent. */
		say_data(b, "x", 1);
		expect(b, VIRTIO_VSOCK_OP_RST);
		expect(b, 0);
	}
	assert_int_equal(b->ends[0].output_size, 0);
}

/* Refusals wait for buffers of the guest's; when there is no more room, so do its packets. */
static void test_flood(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < VSOCK_MAX_RESETS; i++)
		say(b, VIRTIO_VSOCK_OP_RW);
	assert_false(vsock_has_room(&b->vsock));
	for (unsigned i = 0; i < VSOCK_MAX_RESETS; i++)
		expect(b, VIRTIO_VSOCK_OP_RST);
	expect(b, 0);
	assert_true(vsock_has_room(&b->vsock));
}

static void test_buffer(void **state)
{
	struct bench *b = *state;
	static uint8_t bytes[VSOCK_BUFFER_SIZE + 1];
	struct end *end = &b->ends[0];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	open_from_guest(b);
	/* Not at the ring's start. */
	say_data(b, bytes, 100);
	end->output_size = 0;
	end->output_room = 1000;
	say_data(b, bytes, VSOCK_BUFFER_SIZE);
	assert_int_equal(end->output_size, 1000);
	/* The rest fills the ring but for these. */
	say_data(b, bytes, 1000);
	assert_int_equal(vsock_get_state(&b->vsock, 0), VSOCK_OPEN);
	end->output_room = SIZE_MAX;
	vsock_ready(&b->vsock, 0, VSOCK_WRITABLE);
	assert_int_equal(end->output_size, VSOCK_BUFFER_SIZE + 1000);
	assert_memory_equal(end->output, bytes, VSOCK_BUFFER_SIZE);
	assert_memory_equal(end->output + VSOCK_BUFFER_SIZE, bytes, 1000);
	/* More than half was freed: the guest hears of it, once. */
	expect(b, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(le32toh(b->header.fwd_cnt), VSOCK_BUFFER_SIZE + 1100);
	expect(b, 0);
	say(b, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect(b, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	expect(b, 0);
}

/* More than the guest was told that it may send. */
static void test_overrun(void **state)
{
	struct bench *b = *state;
	static const uint8_t bytes[VSOCK_BUFFER_SIZE];

	open_from_guest(b);
	b->ends[0].output_room = 0;
	say_data(b, bytes, VSOCK_BUFFER_SIZE);
	say_data(b, bytes, 1);
	assert_int_equal(b->ends[0].nr_closed, 1);
	expect(b, VIRTIO_VSOCK_OP_RST);
	open_from_guest(b);
	say_data(b, bytes, UINT32_MAX);
	expect(b, VIRTIO_VSOCK_OP_RST);
	open_from_guest(b);
	say_data(b, bytes, 0);
	expect(b, 0);
	assert_int_equal(vsock_get_state(&b->vsock, 0), VSOCK_OPEN);
}

/* The guest's own word on its credit decides what it is sent, and lies harm nobody else. */
static void test_guest_credit(void **state)
{
	struct bench *b = *state;
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE);

	open_from_guest(b);
	header.buf_alloc = htole32(4);
	give(b, &header, NULL, 0);
	host_says(b, "123456789");
	expect(b, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(b->size, 4);
	expect(b, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect(b, 0);
	header.fwd_cnt = htole32(3);
	give(b, &header, NULL, 0);
	expect(b, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(b->payload, "567", 3);
	assert_int_equal(b->size, 3);
	expect(b, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	/* Taken more than was sent, a buffer that shrinks: no room, and no other question. */
	header.fwd_cnt = htole32(8);
	give(b, &header, NULL, 0);
	expect(b, 0);
	header.buf_alloc = 0;
	header.fwd_cnt = htole32(7);
	give(b, &header, NULL, 0);
	expect(b, 0);
	header.buf_alloc = htole32(UINT32_MAX);
	give(b, &header, NULL, 0);
	expect(b, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(b->payload, "89", 2);
}

static void test_small_buffers(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	host_says(b, "123");
	assert_true(vsock_send(&b->vsock, &b->header, b->payload, 2, &b->size));
	assert_int_equal(b->size, 2);
	assert_true(vsock_send(&b->vsock, &b->header, b->payload, 2, &b->size));
	assert_int_equal(b->size, 1);
	assert_int_equal(b->payload[0], '3');
}

/* Each direction ends by itself. */
static void test_half_ends(void **state)
{
	struct bench *b = *state;
	struct end *end = &b->ends[0];

	open_from_guest(b);
	host_says(b, "last");
	end->input_ended = true;
	expect(b, VIRTIO_VSOCK_OP_RW);
	expect(b, VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32toh(b->header.flags), VIRTIO_VSOCK_SHUTDOWN_SEND);
	expect(b, 0);
	end->output_room = 0;
	say_data(b, "more", 4);
	say_shutdown(b, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_false(end->write_shut);
	expect(b, 0);
	end->output_room = 100;
	vsock_ready(&b->vsock, 0, VSOCK_WRITABLE);
	assert_memory_equal(end->output, "more", 4);
	assert_true(end->write_shut);
	expect(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(end->nr_closed, 1);
}

static void test_after_end(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	say_shutdown(b, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_true(b->ends[0].write_shut);
	say_data(b, "x", 1);
	assert_int_equal(b->ends[0].output_size, 0);
	expect(b, VIRTIO_VSOCK_OP_RST);
	open_from_guest(b);
	say_shutdown(b, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_true(b->ends[0].read_shut);
	host_says(b, "unheard");
	expect(b, 0);
	assert_int_equal(b->ends[0].input_at, 0);
}

/* What the guest sent before it went away still reaches the host; its ports are free at once. */
static void test_drain(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	b->ends[0].output_room = 0;
	say_data(b, "testament", 9);
	say_shutdown(b, 3);
	expect(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(vsock_get_state(&b->vsock, 0), VSOCK_DRAINING);
	say(b, VIRTIO_VSOCK_OP_REQUEST);
	expect(b, VIRTIO_VSOCK_OP_RESPONSE);
	assert_int_equal(vsock_get_state(&b->vsock, 1), VSOCK_OPEN);
	b->ends[0].output_room = 100;
	vsock_ready(&b->vsock, 0, VSOCK_WRITABLE);
	assert_memory_equal(b->ends[0].output, "testament", 9);
	assert_int_equal(vsock_get_state(&b->vsock, 0), VSOCK_FREE);
	assert_int_equal(b->ends[0].nr_closed, 1);
	assert_true(b->ends[1].is_open);
}

static void test_reset_by_guest(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	b->ends[0].output_room = 0;
	say_data(b, "lost", 4);
	say(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(b->ends[0].nr_closed, 1);
	expect(b, 0);
	b->ends[0].output_room = 0;
	open_from_guest(b);
	say_data(b, "kept", 4);
	say_shutdown(b, VIRTIO_VSOCK_SHUTDOWN_SEND);
	say(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(vsock_get_state(&b->vsock, 0), VSOCK_DRAINING);
}

static void test_host_broken(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	b->ends[0].write_error = -EPIPE;
	say_data(b, "x", 1);
	assert_int_equal(b->ends[0].nr_closed, 1);
	expect(b, VIRTIO_VSOCK_OP_RST);
	b->ends[0].write_error = 0;
	open_from_guest(b);
	b->ends[0].read_error = -ECONNRESET;
	vsock_ready(&b->vsock, 0, VSOCK_READABLE);
	expect(b, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(b->ends[0].nr_closed, 2);
	expect(b, 0);
}

/* Who has gone altogether: the guest gets what was said before, and need not try to answer. */
static void test_host_gone(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	host_says(b, "bye");
	b->ends[0].input_ended = true;
	vsock_ready(&b->vsock, 0, VSOCK_READABLE | VSOCK_GONE);
	expect(b, VIRTIO_VSOCK_OP_RW);
	expect(b, VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(le32toh(b->header.flags), 3);
	assert_int_equal(b->ends[0].nr_closed, 1);
	say_data(b, "who?", 4);
	expect(b, VIRTIO_VSOCK_OP_RST);
}

/* Nobody waits for ever behind a connection that always has something. */
static void test_turns(void **state)
{
	struct bench *b = *state;
	struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_REQUEST);

	for (uint32_t i = 0; i < 3; i++) {
		header.src_port = htole32(PEER + i);
		give(b, &header, NULL, 0);
		expect(b, VIRTIO_VSOCK_OP_RESPONSE);
	}
	expect(b, 0);
	for (unsigned i = 0; i < 3; i++) {
		b->ends[i].input_size = 10;
		vsock_ready(&b->vsock, i, VSOCK_READABLE);
	}
	for (uint32_t i = 0; i < 6; i++) {
		assert_true(vsock_send(&b->vsock, &b->header, b->payload, 1, &b->size));
		assert_int_equal(le32toh(b->header.dst_port), PEER + i % 3);
	}
}

static void test_reset(void **state)
{
	struct bench *b = *state;

	open_from_guest(b);
	say_data(b, "x", 1);
	assert_int_equal(vsock_reserve(&b->vsock), 1);
	b->ends[1].is_open = true;
	say(b, VIRTIO_VSOCK_OP_RST);
	open_from_guest(b);
	vsock_reset(&b->vsock);
	assert_int_equal(b->ends[0].nr_closed, 2);
	assert_int_equal(b->ends[1].nr_closed, 1);
	expect(b, 0);
	/* It was closed already when it was reset by the host. */
	open_from_guest(b);
	say(b, VIRTIO_VSOCK_OP_REQUEST);
	vsock_reset(&b->vsock);
	assert_int_equal(b->ends[0].nr_closed, 3);
}

#define VSOCK_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VSOCK_TEST(test_from_guest),     VSOCK_TEST(test_refused_by_host),
		VSOCK_TEST(test_from_host),      VSOCK_TEST(test_refused_by_guest),
		VSOCK_TEST(test_opening_broken), VSOCK_TEST(test_reserved),
		VSOCK_TEST(test_addresses),      VSOCK_TEST(test_unknown),
		VSOCK_TEST(test_wrong_on_open),  VSOCK_TEST(test_flood),
		VSOCK_TEST(test_buffer),         VSOCK_TEST(test_overrun),
		VSOCK_TEST(test_guest_credit),   VSOCK_TEST(test_small_buffers),
		VSOCK_TEST(test_half_ends),      VSOCK_TEST(test_after_end),
		VSOCK_TEST(test_drain),          VSOCK_TEST(test_reset_by_guest),
		VSOCK_TEST(test_host_broken),    VSOCK_TEST(test_host_gone),
		VSOCK_TEST(test_turns),          VSOCK_TEST(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

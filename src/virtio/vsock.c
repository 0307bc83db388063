/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's life
 * -------------------
 *
 *	FREE --- vsock_reserve() ---> RESERVED --- vsock_open() ---> OPENING
 *	  |                                                            | RESPONSE
 *	  +-------- REQUEST that the host's end accepts ------------> OPEN
 *
 *	RESERVED  the host's program has not said yet which port it wants
 *	OPENING   a REQUEST is to be sent, or its answer awaited
 *	OPEN      each side may still end what it sends, by itself
 *	DRAINING  for the guest it is over; the host's end still takes what it has sent before
 *	ENDING    for the host it is over; a RST is to be sent
 *
 * From each state the way back to FREE is the end of what it waits for. DRAINING connections are
 * not found by packets: the guest may use their ports again.
 *
 * Credit: each side says with every packet how large its buffer is and how much of the stream it
 * has taken out of it. A guest that sends more than fits is reset. What it says of its own buffer
 * decides only how much it is sent, and one packet at a time is made, into a buffer it has given.
 *
 * The guest is told of new credit when half of the buffer has been freed since it last heard. What
 * it believes to be free is then never less than half a buffer once all of it has been taken, so it
 * does not wait for ever. Of a guest it is expected in turn that it tells of new room by itself, as
 * Linux does: one without room is asked once, or question and answer would follow each other all
 * the time that its program does not read.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ccr/vsock.h"

/* Ports of the host's for connections that it opens: not where its programs listen. */
#define FIRST_PORT 0x40000000u

#define BOTH_WAYS (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

/* struct packet - a header from the guest, in the host's byte order */
struct packet {
	uint32_t guest_port, host_port;
	uint16_t type, op;
	uint32_t flags;
	uint32_t guest_alloc, guest_taken;
	const uint8_t *payload;
	uint32_t size;
};

static unsigned index_of(const struct vsock *vsock, const struct vsock_conn *conn)
{
	return (unsigned)(conn - vsock->conns);
}

static uint32_t nr_buffered(const struct vsock_conn *conn)
{
	return conn->head - conn->tail;
}

static void set_free(struct vsock_conn *conn)
{
	free(conn->ring);
	*conn = (struct vsock_conn){.state = VSOCK_FREE};
}

/* The guest has nothing more to hear of it. */
static void close_conn(struct vsock *vsock, struct vsock_conn *conn)
{
	if (conn->state != VSOCK_ENDING)
		vsock->host->close(vsock->ctx, index_of(vsock, conn));
	set_free(conn);
}

/* The guest is to hear that it is over. */
static void reset_conn(struct vsock *vsock, struct vsock_conn *conn)
{
	vsock->host->close(vsock->ctx, index_of(vsock, conn));
	free(conn->ring);
	conn->ring = NULL;
	conn->state = VSOCK_ENDING;
}

static void finish_conn(struct vsock *vsock, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_OPEN || conn->state == VSOCK_OPENING)
		reset_conn(vsock, conn);
	else
		close_conn(vsock, conn);
}

void vsock_init(struct vsock *vsock, uint32_t cid, const struct vsock_host *host, void *ctx)
{
	*vsock = (struct vsock){.cid = cid, .host = host, .ctx = ctx, .next_port = FIRST_PORT};
}

void vsock_reset(struct vsock *vsock)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		if (vsock->conns[i].state != VSOCK_FREE)
			close_conn(vsock, &vsock->conns[i]);
	}
	vsock->nr_resets = 0;
}

static struct vsock_conn *find_free(struct vsock *vsock)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		if (vsock->conns[i].state == VSOCK_FREE)
			return &vsock->conns[i];
	}
	return NULL;
}

/* The guest's packets are about these. */
static bool is_known(const struct vsock_conn *conn)
{
	return conn->state == VSOCK_OPENING || conn->state == VSOCK_OPEN ||
	       conn->state == VSOCK_ENDING;
}

static struct vsock_conn *find(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *conn = &vsock->conns[i];

		if (is_known(conn) && conn->guest_port == guest_port &&
		    conn->host_port == host_port)
			return conn;
	}
	return NULL;
}

int vsock_reserve(struct vsock *vsock)
{
	struct vsock_conn *conn = find_free(vsock);

	if (!conn)
		return -ENOSPC;
	conn->state = VSOCK_RESERVED;
	return (int)index_of(vsock, conn);
}

void vsock_cancel(struct vsock *vsock, unsigned index)
{
	set_free(&vsock->conns[index]);
}

static int begin(struct vsock_conn *conn, enum vsock_state state, uint32_t guest_port,
		 uint32_t host_port)
{
	uint8_t *ring = malloc(VSOCK_BUFFER_SIZE);

	if (!ring)
		return -ENOMEM;
	*conn = (struct vsock_conn){
		.state = state,
		.guest_port = guest_port,
		.host_port = host_port,
		.ring = ring,
		.may_read = true,
		.may_write = true,
	};
	return 0;
}

int vsock_open(struct vsock *vsock, unsigned index, uint32_t port)
{
	do {
		/* Above the first one there are many more than there can be connections. */
		vsock->next_port = vsock->next_port == UINT32_MAX ? FIRST_PORT
								  : vsock->next_port + 1;
	} while (find(vsock, port, vsock->next_port));
	return begin(&vsock->conns[index], VSOCK_OPENING, port, vsock->next_port);
}

enum vsock_state vsock_get_state(const struct vsock *vsock, unsigned index)
{
	return vsock->conns[index].state;
}

unsigned vsock_nr_conns(const struct vsock *vsock)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++)
		nr += vsock->conns[i].state != VSOCK_FREE;
	return nr;
}

/* Return: 0 if all has been written or the rest has to wait, -errno if the host's end is broken. */
static int flush(struct vsock *vsock, struct vsock_conn *conn)
{
	while (conn->may_write && nr_buffered(conn) > 0) {
		const uint32_t at = conn->tail % VSOCK_BUFFER_SIZE;
		const uint32_t until_wrap = VSOCK_BUFFER_SIZE - at, used = nr_buffered(conn);
		const ssize_t done = vsock->host->write(vsock->ctx, index_of(vsock, conn),
							conn->ring + at,
							used < until_wrap ? used : until_wrap);

		if (done < 0 && done != -EAGAIN)
			return (int)done;
		if (done > 0)
			conn->tail += (uint32_t)done;
		else
			conn->may_write = false;
	}
	if (conn->tail - conn->told >= VSOCK_BUFFER_SIZE / 2)
		conn->wants_update = true;
	return 0;
}

/* Write what can be written, and do what has waited for it. */
static void push_out(struct vsock *vsock, struct vsock_conn *conn)
{
	if (flush(vsock, conn)) {
		finish_conn(vsock, conn);
		return;
	}
	if (nr_buffered(conn) > 0)
		return;
	if (conn->state == VSOCK_DRAINING) {
		close_conn(vsock, conn);
	} else if (conn->guest_ended && !conn->write_ended) {
		conn->write_ended = true;
		vsock->host->shutdown(vsock->ctx, index_of(vsock, conn), SHUT_WR);
	}
}

void vsock_ready(struct vsock *vsock, unsigned index, unsigned what)
{
	struct vsock_conn *conn = &vsock->conns[index];

	conn->may_read |= !!(what & VSOCK_READABLE);
	conn->may_write |= !!(what & VSOCK_WRITABLE);
	conn->host_gone |= !!(what & VSOCK_GONE);
	if (conn->state == VSOCK_OPENING && conn->host_gone)
		reset_conn(vsock, conn);
	else if (conn->state == VSOCK_OPEN || conn->state == VSOCK_DRAINING)
		push_out(vsock, conn);
}

/* From the guest. */

bool vsock_has_room(const struct vsock *vsock)
{
	return vsock->nr_resets < VSOCK_MAX_RESETS;
}

/* At most one for each packet, so vsock_has_room() has made sure of the place. */
static void refuse(struct vsock *vsock, const struct packet *packet)
{
	if (packet->op == VIRTIO_VSOCK_OP_RST || !vsock_has_room(vsock))
		return;
	vsock->resets[vsock->nr_resets++] = (struct vsock_reset){
		.guest_port = packet->guest_port,
		.host_port = packet->host_port,
		.type = packet->type,
	};
}

/* What the guest has room for, as far as it may be believed. */
static uint32_t credit(const struct vsock_conn *conn)
{
	const uint32_t in_flight = conn->sent - conn->guest_taken;

	return in_flight < conn->guest_alloc ? conn->guest_alloc - in_flight : 0;
}

static void take_credit(struct vsock_conn *conn, const struct packet *packet)
{
	conn->guest_alloc = packet->guest_alloc;
	conn->guest_taken = packet->guest_taken;
	if (credit(conn) > 0)
		conn->asked_credit = false;
}

static void on_request(struct vsock *vsock, const struct packet *packet)
{
	struct vsock_conn *conn = find_free(vsock);

	if (!conn || begin(conn, VSOCK_OPEN, packet->guest_port, packet->host_port)) {
		refuse(vsock, packet);
		return;
	}
	take_credit(conn, packet);
	conn->is_asked = true;
	if (vsock->host->connect(vsock->ctx, index_of(vsock, conn), packet->host_port)) {
		set_free(conn);
		refuse(vsock, packet);
	}
}

static void append(struct vsock_conn *conn, const uint8_t *bytes, uint32_t size)
{
	const uint32_t at = conn->head % VSOCK_BUFFER_SIZE, until_wrap = VSOCK_BUFFER_SIZE - at;
	const uint32_t first = size < until_wrap ? size : until_wrap;

	memcpy(conn->ring + at, bytes, first);
	memcpy(conn->ring, bytes + first, size - first);
	conn->head += size;
}

static void on_data(struct vsock *vsock, struct vsock_conn *conn, const struct packet *packet)
{
	if (conn->guest_ended || packet->size > VSOCK_BUFFER_SIZE - nr_buffered(conn)) {
		reset_conn(vsock, conn);
		return;
	}
	if (packet->size > 0)
		append(conn, packet->payload, packet->size);
	push_out(vsock, conn);
}

/* The guest has gone in order: what it has sent before is still the host's. */
static void leave(struct vsock *vsock, struct vsock_conn *conn)
{
	conn->state = VSOCK_DRAINING;
	push_out(vsock, conn);
}

static void on_shutdown(struct vsock *vsock, struct vsock_conn *conn, const struct packet *packet)
{
	if (packet->flags & VIRTIO_VSOCK_SHUTDOWN_RCV && !conn->guest_deaf) {
		conn->guest_deaf = true;
		vsock->host->shutdown(vsock->ctx, index_of(vsock, conn), SHUT_RD);
	}
	if (packet->flags & VIRTIO_VSOCK_SHUTDOWN_SEND)
		conn->guest_ended = true;
	if (conn->guest_deaf && conn->guest_ended) {
		refuse(vsock, packet);
		leave(vsock, conn);
	} else {
		push_out(vsock, conn);
	}
}

static void on_reset(struct vsock *vsock, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_OPEN && conn->guest_ended)
		leave(vsock, conn);
	else
		close_conn(vsock, conn);
}

static void on_open(struct vsock *vsock, struct vsock_conn *conn, const struct packet *packet)
{
	switch (packet->op) {
	case VIRTIO_VSOCK_OP_RW:
		on_data(vsock, conn, packet);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		on_shutdown(vsock, conn, packet);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		conn->wants_update = true;
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	default:
		reset_conn(vsock, conn);
		break;
	}
}

static void on_opening(struct vsock *vsock, struct vsock_conn *conn, const struct packet *packet)
{
	if (packet->op != VIRTIO_VSOCK_OP_RESPONSE || !conn->is_asked) {
		reset_conn(vsock, conn);
		return;
	}
	conn->state = VSOCK_OPEN;
	conn->is_answered = true;
	vsock->host->accepted(vsock->ctx, index_of(vsock, conn), conn->host_port);
}

static void receive(struct vsock *vsock, const struct packet *packet)
{
	struct vsock_conn *conn = find(vsock, packet->guest_port, packet->host_port);

	if (packet->type != VIRTIO_VSOCK_TYPE_STREAM ||
	    (!conn && packet->op != VIRTIO_VSOCK_OP_REQUEST)) {
		refuse(vsock, packet);
	} else if (!conn) {
		on_request(vsock, packet);
	} else if (packet->op == VIRTIO_VSOCK_OP_RST) {
		on_reset(vsock, conn);
	} else if (conn->state != VSOCK_ENDING) {
		take_credit(conn, packet);
		(conn->state == VSOCK_OPEN ? on_open : on_opening)(vsock, conn, packet);
	}
}

void vsock_receive(struct vsock *vsock, const struct virtio_vsock_hdr *header,
		   const uint8_t *payload, uint32_t size)
{
	const struct packet packet = {
		.guest_port = le32toh(header->src_port),
		.host_port = le32toh(header->dst_port),
		.type = le16toh(header->type),
		.op = le16toh(header->op),
		.flags = le32toh(header->flags),
		.guest_alloc = le32toh(header->buf_alloc),
		.guest_taken = le32toh(header->fwd_cnt),
		.payload = payload,
		.size = size,
	};

	if (le64toh(header->src_cid) != vsock->cid || le64toh(header->dst_cid) != VSOCK_HOST_CID)
		vsock->nr_dropped++;
	else
		receive(vsock, &packet);
}

/* To the guest. */

static uint16_t next_of_open(const struct vsock_conn *conn)
{
	const bool has_data = conn->may_read && !conn->host_ended && !conn->guest_deaf;

	if (!conn->is_answered)
		return VIRTIO_VSOCK_OP_RESPONSE;
	if (has_data && credit(conn) > 0)
		return VIRTIO_VSOCK_OP_RW;
	if (conn->host_ended && !conn->end_told)
		return VIRTIO_VSOCK_OP_SHUTDOWN;
	if (conn->end_told && conn->write_ended)
		return VIRTIO_VSOCK_OP_RST;
	if (conn->wants_update)
		return VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	if (has_data && !conn->asked_credit)
		return VIRTIO_VSOCK_OP_CREDIT_REQUEST;
	return VIRTIO_VSOCK_OP_INVALID;
}

/* Return: what the guest is to be sent next, VIRTIO_VSOCK_OP_INVALID for nothing. */
static uint16_t next_op(const struct vsock_conn *conn)
{
	switch (conn->state) {
	case VSOCK_OPENING:
		return conn->is_asked ? VIRTIO_VSOCK_OP_INVALID : VIRTIO_VSOCK_OP_REQUEST;
	case VSOCK_OPEN:
		return next_of_open(conn);
	case VSOCK_ENDING:
		return VIRTIO_VSOCK_OP_RST;
	default:
		return VIRTIO_VSOCK_OP_INVALID;
	}
}

bool vsock_has_output(const struct vsock *vsock)
{
	if (vsock->nr_resets > 0)
		return true;
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		if (next_op(&vsock->conns[i]) != VIRTIO_VSOCK_OP_INVALID)
			return true;
	}
	return false;
}

static struct virtio_vsock_hdr make_header(const struct vsock *vsock, uint32_t guest_port,
					   uint32_t host_port, uint16_t type, uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(vsock->cid),
		.src_port = htole32(host_port),
		.dst_port = htole32(guest_port),
		.type = htole16(type),
		.op = htole16(op),
	};
}

static bool send_reset(struct vsock *vsock, struct virtio_vsock_hdr *ret_header)
{
	const struct vsock_reset *first = &vsock->resets[0];

	if (vsock->nr_resets == 0)
		return false;
	*ret_header = make_header(vsock, first->guest_port, first->host_port, first->type,
				  VIRTIO_VSOCK_OP_RST);
	vsock->nr_resets--;
	memmove(vsock->resets, vsock->resets + 1, vsock->nr_resets * sizeof(vsock->resets[0]));
	return true;
}

/* Return: bytes for the guest; 0 if there are none after all. */
static uint32_t read_data(struct vsock *vsock, struct vsock_conn *conn, uint8_t *payload,
			  uint32_t room)
{
	const uint32_t most = credit(conn) < room ? credit(conn) : room;
	const ssize_t done = vsock->host->read(vsock->ctx, index_of(vsock, conn), payload,
					       most < VSOCK_MAX_PAYLOAD ? most : VSOCK_MAX_PAYLOAD);

	if (done > 0) {
		conn->sent += (uint32_t)done;
		return (uint32_t)done;
	}
	conn->host_ended = done == 0;
	conn->may_read = done != -EAGAIN;
	if (done < 0 && done != -EAGAIN)
		reset_conn(vsock, conn);
	return 0;
}

/* The packet with @op leaves: what changes by that. */
static void note_sent(struct vsock *vsock, struct vsock_conn *conn, uint16_t op)
{
	conn->told = conn->tail;
	conn->wants_update = false;
	switch (op) {
	case VIRTIO_VSOCK_OP_REQUEST:
		conn->is_asked = true;
		break;
	case VIRTIO_VSOCK_OP_RESPONSE:
		conn->is_answered = true;
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		conn->asked_credit = true;
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		conn->end_told = true;
		/* The guest will answer, or try to send: it is then told that there is nobody. */
		if (conn->host_gone)
			close_conn(vsock, conn);
		break;
	case VIRTIO_VSOCK_OP_RST:
		close_conn(vsock, conn);
		break;
	default:
		break;
	}
}

static uint32_t flags_of(const struct vsock_conn *conn, uint16_t op)
{
	if (op != VIRTIO_VSOCK_OP_SHUTDOWN)
		return 0;
	return conn->host_gone ? BOTH_WAYS : VIRTIO_VSOCK_SHUTDOWN_SEND;
}

static bool send_of(struct vsock *vsock, struct vsock_conn *conn,
		    struct virtio_vsock_hdr *ret_header, uint8_t *payload, uint32_t room,
		    uint32_t *ret_size)
{
	uint16_t op = next_op(conn);

	*ret_size = 0;
	if (op == VIRTIO_VSOCK_OP_RW) {
		*ret_size = read_data(vsock, conn, payload, room);
		if (*ret_size == 0)
			op = next_op(conn);
	}
	if (op == VIRTIO_VSOCK_OP_INVALID)
		return false;
	*ret_header =
		make_header(vsock, conn->guest_port, conn->host_port, VIRTIO_VSOCK_TYPE_STREAM, op);
	ret_header->len = htole32(*ret_size);
	ret_header->flags = htole32(flags_of(conn, op));
	ret_header->buf_alloc = htole32(VSOCK_BUFFER_SIZE);
	ret_header->fwd_cnt = htole32(conn->tail);
	note_sent(vsock, conn, op);
	return true;
}

bool vsock_send(struct vsock *vsock, struct virtio_vsock_hdr *ret_header, uint8_t *payload,
		uint32_t room, uint32_t *ret_size)
{
	*ret_size = 0;
	if (send_reset(vsock, ret_header))
		return true;
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++) {
		struct vsock_conn *conn = &vsock->conns[vsock->turn];

		vsock->turn = (vsock->turn + 1) % VSOCK_MAX_CONNS;
		if (send_of(vsock, conn, ret_header, payload, room, ret_size))
			return true;
	}
	return false;
}

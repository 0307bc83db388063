/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/host/aio_join.c */
/* links: src/host/aio.c src/host/aio_join.c src/util/err.c src/util/log.c */
/*
 * A driver that asks a disk for anything, in batches, of which the host does some and fails others,
 * in any order. Whatever is joined,
 *   - the host is asked for each piece of a request, where on the disk it belongs, and for nothing
 *     else,
 *   - a run is no longer than it may be, and has one operation and one promise,
 *   - each request comes back once: done if the host has done all of it, failed if the host has
 *     failed it alone.
 *
 * Input: 4-byte records {op, argument, 16-bit place}.
 */
#include <errno.h>
#include <string.h>

#include "../../src/host/aio.h"
#include "fuzz.h"

#define MAX_PIECES 64u
#define UNIT       4096u

/* Addresses that nobody follows: of a request, and of its pieces in it. */
#define SLOT_SHIFT 28

enum { OP_BEGIN, OP_END, OP_FAIL, OP_TAKE, OP_SUBMIT };

struct record {
	uint8_t op, argument;
	uint16_t place;
};

/**
 * struct slot - a request
 * @asked: the same, before anybody used it up
 * @moved: by the host, a bit for each piece
 * @failure: of the host's last attempt at it alone; 0 for none
 */
struct slot {
	struct aio_request request, asked;
	struct iovec pieces[MAX_PIECES];
	bool is_in_flight;
	uint64_t moved;
	int failure;
};

/* The engine below. */
struct engine {
	struct aio aio;
	struct aio_request *staged, *in_flight, *done;
};

static struct slot slots[AIO_MAX_DEPTH];

/* Where the last one submitted ends: half of them go on there. */
static uint64_t next_offset;

/* The one that was made last. */
static struct engine *engine;

static void add(struct aio_request **list, struct aio_request *request)
{
	request->next = *list;
	*list = request;
}

static struct aio_request *take(struct aio_request **list)
{
	struct aio_request *request = *list;

	if (request)
		*list = request->next;
	return request;
}

static void engine_submit(struct aio *aio, struct aio_request *request)
{
	(void)aio;
	add(&engine->staged, request);
}

static void engine_begin(struct aio *aio)
{
	struct aio_request *request;

	(void)aio;
	while ((request = take(&engine->staged)))
		add(&engine->in_flight, request);
}

static struct aio_request *engine_take(struct aio *aio)
{
	(void)aio;
	return take(&engine->done);
}

static int engine_fd(const struct aio *aio)
{
	(void)aio;
	return -1;
}

static void engine_destroy(struct aio *aio)
{
	free(aio);
}

static const struct aio_ops engine_ops = {
	engine_submit, engine_begin, engine_take, engine_fd, engine_destroy,
};

int aio_threads_create(struct aio **ret_aio, const struct disk *disk, unsigned nr_threads,
		       struct ccr_err *err)
{
	(void)disk;
	(void)nr_threads;
	(void)err;
	engine = calloc(1, sizeof(*engine));
	require(engine != NULL);
	engine->aio = (struct aio){&engine_ops, "fuzz"};
	*ret_aio = &engine->aio;
	return 0;
}

int aio_uring_create(struct aio **ret_aio, const struct disk *disk, struct ccr_err *err)
{
	(void)ret_aio;
	(void)disk;
	return err_set(err, -ENOSYS, "none");
}

static uintptr_t address_of(unsigned slot, uint64_t offset)
{
	return ((uintptr_t)(slot + 1) << SLOT_SHIFT) + offset;
}

/* One piece of what the host is asked for. Return: whose it is. */
static unsigned check_piece(const struct aio_request *request, const struct iovec *piece,
			    uint64_t at, unsigned *ret_index)
{
	const uintptr_t address = (uintptr_t)piece->iov_base;
	const unsigned nr = (unsigned)(address >> SLOT_SHIFT) - 1;
	const struct slot *slot = &slots[nr];
	uint64_t offset = 0;
	unsigned i = 0;

	require(nr < AIO_MAX_DEPTH && slot->is_in_flight);
	require(slot->asked.op == request->op && slot->asked.durable == request->durable);
	while (i < slot->asked.nr_iov && address_of(nr, offset) != address)
		offset += slot->pieces[i++].iov_len;
	require(i < slot->asked.nr_iov && slot->pieces[i].iov_len == piece->iov_len);
	require(at == slot->asked.offset + offset);
	*ret_index = i;
	return nr;
}

/* The host's answer to one of those in flight; it uses the pieces up. */
static void answer(struct aio_request *request, int result)
{
	uint64_t at = request->offset;
	unsigned index, slot = 0;

	require(!request->parts || (request->size <= 1 << 20 && request->nr_iov <= 128));
	for (unsigned i = 0; i < request->nr_iov; i++) {
		slot = check_piece(request, &request->iov[i], at, &index);
		at += request->iov[i].iov_len;
		if (result == 0)
			slots[slot].moved |= 1ull << index;
	}
	require(request->nr_iov == 0 || at == request->offset + request->size);
	if (request->parts)
		memset(request->iov, 0, request->nr_iov * sizeof(request->iov[0]));
	else
		slots[(struct slot *)request - slots].failure = result;
	request->result = result;
}

static void end_some(unsigned nr, int result)
{
	struct aio_request **list = &engine->in_flight, *request;

	for (unsigned i = 0; i < nr && *list && (*list)->next; i++)
		list = &(*list)->next;
	request = take(list);
	if (!request)
		return;
	answer(request, result);
	add(&engine->done, request);
}

static void submit(struct aio *aio, const struct record *record)
{
	const unsigned nr_pieces = 1 + record->argument % MAX_PIECES;
	uint64_t size = 0;
	unsigned nr = 0;
	struct slot *slot;

	while (nr < AIO_MAX_DEPTH && slots[nr].is_in_flight)
		nr++;
	if (nr == AIO_MAX_DEPTH)
		return;
	slot = &slots[nr];
	for (unsigned i = 0; i < nr_pieces; i++) {
		const size_t length = UNIT * (1 + (record->argument >> 6) * (i % 16));

		slot->pieces[i] = (struct iovec){(void *)address_of(nr, size), length};
		size += length;
	}
	slot->request = (struct aio_request){
		.op = record->op / 8 % 5,
		.durable = record->op >= 0xf0,
		.iov = slot->pieces,
		.nr_iov = nr_pieces,
		.offset = record->place & 1 ? next_offset : (uint64_t)record->place * UNIT,
		.size = size,
		.result = 1,
	};
	next_offset = slot->request.offset + size;
	if (slot->request.op != AIO_READ && slot->request.op != AIO_WRITE)
		slot->request.nr_iov = 0;
	slot->asked = slot->request;
	slot->moved = 0;
	slot->failure = 0;
	slot->is_in_flight = true;
	aio_submit(aio, &slot->request);
}

static bool take_one(struct aio *aio)
{
	struct slot *slot = (struct slot *)aio_take(aio);

	if (!slot)
		return false;
	require(slot >= slots && slot < slots + AIO_MAX_DEPTH && slot->is_in_flight);
	require(slot->request.result == slot->failure);
	if (slot->request.result == 0)
		require(slot->moved ==
			(slot->asked.nr_iov ? ~0ull >> (64 - slot->asked.nr_iov) : 0));
	slot->is_in_flight = false;
	return true;
}

static bool any_in_flight(void)
{
	for (unsigned i = 0; i < AIO_MAX_DEPTH; i++) {
		if (slots[i].is_in_flight)
			return true;
	}
	return false;
}

/* At most once to begin, once for the runs, and once for what they were taken apart to. */
static void settle(struct aio *aio)
{
	for (unsigned round = 0; round < 3; round++) {
		aio_begin(aio);
		while (engine->in_flight)
			end_some(0, round == 0 ? -EIO : 0);
		while (take_one(aio))
			;
	}
	require(!any_in_flight());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct disk disk = {.fd = -1};
	struct ccr_err err = {0};
	struct record record;
	struct aio *aio;

	memset(slots, 0, sizeof(slots));
	next_offset = 0;
	require(aio_create(&aio, &disk, AIO_THREADS, 1, &err) == 0);
	for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		switch (record.op % 8) {
		case OP_BEGIN:
			aio_begin(aio);
			break;
		case OP_END:
			end_some(record.argument, 0);
			break;
		case OP_FAIL:
			end_some(record.argument, -EIO);
			break;
		case OP_TAKE:
			take_one(aio);
			break;
		default:
			submit(aio, &record);
		}
	}
	settle(aio);
	aio_destroy(aio);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbours as one
 * -----------------
 * Stands before an engine. Of the requests of one batch, reads or writes that go on where the one
 * before them ends become one of the host's, which costs it little more than one of them alone:
 *
 *	submitted   r0 r1 r2	  w7	 r9 r10
 *	handed on   r0 to r2	  w7	 r9, r10
 *
 * A run that fails is taken apart, so that each request has the result that is its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aio.h"

/* One run takes at least two requests. */
#define MAX_RUNS (AIO_MAX_DEPTH / 2)

/* Beyond these, one that is longer saves little, and what is in it waits for all of it. */
#define MAX_RUN_SIZE   (1u << 20)
#define MAX_RUN_PIECES 128

/*
 * struct run - requests as one
 * @whole: the first member, as the engine has requests back; its @parts are the requests
 * @last: of those
 * @pieces: copies, as an engine uses them up and a run that fails needs them again
 */
struct run {
	struct aio_request whole;
	struct aio_request *last;
	struct run *next_free;
	struct iovec pieces[MAX_RUN_PIECES];
};

/*
 * struct joiner - @held: what the next request may join, not handed on yet: a request or a run
 * @ended: the parts of a run that has ended well
 * @nr_used: of @runs; those behind were never needed, and have no memory yet
 */
struct joiner {
	struct aio aio;
	struct aio *engine;
	struct aio_request *held;
	struct aio_request *ended;
	struct run *free;
	unsigned nr_used;
	struct run runs[MAX_RUNS];
};

static bool is_transfer(const struct aio_request *request)
{
	return request->op == AIO_READ || request->op == AIO_WRITE;
}

static bool goes_on(const struct aio_request *from, const struct aio_request *to)
{
	return is_transfer(from) && from->op == to->op && from->durable == to->durable &&
	       from->offset + from->size == to->offset && to->size <= MAX_RUN_SIZE &&
	       from->size <= MAX_RUN_SIZE - to->size && to->nr_iov <= MAX_RUN_PIECES &&
	       from->nr_iov <= MAX_RUN_PIECES - to->nr_iov;
}

/* There is always one: each that is in use has two requests of AIO_MAX_DEPTH. */
static struct run *get_run(struct joiner *joiner)
{
	struct run *run = joiner->free;

	if (!run)
		return &joiner->runs[joiner->nr_used++];
	joiner->free = run->next_free;
	return run;
}

static void put_run(struct joiner *joiner, struct run *run)
{
	run->next_free = joiner->free;
	joiner->free = run;
}

static struct run *start_run(struct joiner *joiner, struct aio_request *first)
{
	struct run *run = get_run(joiner);

	run->whole = *first;
	run->whole.iov = run->pieces;
	run->whole.parts = first;
	run->last = first;
	memcpy(run->pieces, first->iov, first->nr_iov * sizeof(run->pieces[0]));
	return run;
}

static void add_to_run(struct run *run, struct aio_request *request)
{
	struct aio_request *whole = &run->whole;

	memcpy(run->pieces + whole->nr_iov, request->iov, request->nr_iov * sizeof(run->pieces[0]));
	whole->nr_iov += request->nr_iov;
	whole->size += request->size;
	run->last->next = request;
	run->last = request;
}

static void hand_on_held(struct joiner *joiner)
{
	if (joiner->held)
		aio_submit(joiner->engine, joiner->held);
	joiner->held = NULL;
}

static void join_submit(struct aio *aio, struct aio_request *request)
{
	struct joiner *joiner = (struct joiner *)aio;
	struct aio_request *held = joiner->held;

	request->parts = NULL;
	request->next = NULL;
	if (!held || !goes_on(held, request)) {
		hand_on_held(joiner);
		joiner->held = request;
		return;
	}
	if (!held->parts)
		joiner->held = &start_run(joiner, held)->whole;
	add_to_run((struct run *)joiner->held, request);
}

static void join_begin(struct aio *aio)
{
	struct joiner *joiner = (struct joiner *)aio;

	hand_on_held(joiner);
	aio_begin(joiner->engine);
}

/* Each of @parts by itself. */
static void take_apart(struct joiner *joiner, struct aio_request *parts)
{
	while (parts) {
		struct aio_request *next = parts->next;

		aio_submit(joiner->engine, parts);
		parts = next;
	}
	aio_begin(joiner->engine);
}

static struct aio_request *take_ended(struct joiner *joiner)
{
	struct aio_request *request = joiner->ended;

	if (!request)
		return NULL;
	joiner->ended = request->next;
	request->result = 0;
	return request;
}

static struct aio_request *join_take(struct aio *aio)
{
	struct joiner *joiner = (struct joiner *)aio;
	struct aio_request *request = take_ended(joiner);

	while (!request) {
		struct aio_request *parts;

		request = aio_take(joiner->engine);
		if (!request || !request->parts)
			return request;
		parts = request->parts;
		put_run(joiner, (struct run *)request);
		if (request->result)
			take_apart(joiner, parts);
		else
			joiner->ended = parts;
		request = take_ended(joiner);
	}
	return request;
}

static int join_fd(const struct aio *aio)
{
	return aio_fd(((const struct joiner *)aio)->engine);
}

static void join_destroy(struct aio *aio)
{
	struct joiner *joiner = (struct joiner *)aio;

	aio_destroy(joiner->engine);
	free(joiner);
}

static const struct aio_ops join_ops = {
	.submit = join_submit,
	.begin = join_begin,
	.take = join_take,
	.fd = join_fd,
	.destroy = join_destroy,
};

int aio_join_create(struct aio **ret_aio, struct aio *engine)
{
	struct joiner *joiner = malloc(sizeof(*joiner));

	if (!joiner)
		return -ENOMEM;
	joiner->aio = (struct aio){&join_ops, engine->name};
	joiner->engine = engine;
	joiner->held = NULL;
	joiner->ended = NULL;
	joiner->free = NULL;
	joiner->nr_used = 0;
	*ret_aio = (struct aio *)joiner;
	return 0;
}

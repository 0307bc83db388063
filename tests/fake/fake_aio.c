/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "fake_aio.h"

struct aio {
	const struct disk *disk;
	struct aio_request *staged, *in_flight, *done; /* each the latest first */
	bool hold;
	unsigned nr_failures;
	int failure;
	struct fake_aio_seen seen;
};

int aio_create(struct aio **ret_aio, const struct disk *disk, enum aio_kind kind,
	       unsigned nr_threads, struct ccr_err *err)
{
	(void)nr_threads;
	/* A host without io_uring. */
	if (kind == AIO_URING)
		return err_set(err, -ENOSYS, "this host gives us no io_uring");
	*ret_aio = calloc(1, sizeof(**ret_aio));
	if (!*ret_aio)
		return err_set(err, -ENOMEM, "out of memory");
	(*ret_aio)->disk = disk;
	return 0;
}

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

/* The one that was added first. */
static struct aio_request *take_oldest(struct aio_request **list)
{
	while (*list && (*list)->next)
		list = &(*list)->next;
	return take(list);
}

static int perform(struct aio *aio, struct aio_request *request)
{
	int ret = 0;

	if (aio->nr_failures > 0) {
		aio->nr_failures--;
		return aio->failure;
	}
	switch (request->op) {
	case AIO_READ:
		return disk_read(aio->disk, request->iov, request->nr_iov, request->offset);
	case AIO_WRITE:
		ret = disk_write(aio->disk, request->iov, request->nr_iov, request->offset);
		break;
	case AIO_ZERO:
		ret = disk_zero(aio->disk, request->offset, request->size, request->may_discard);
		break;
	case AIO_FLUSH:
		return disk_flush(aio->disk);
	case AIO_DISCARD:
		return disk_discard(aio->disk, request->offset, request->size);
	}
	return ret || !request->durable ? ret : disk_flush(aio->disk);
}

static bool end_oldest(struct aio *aio)
{
	struct aio_request *request = take_oldest(&aio->in_flight);

	if (!request)
		return false;
	aio->seen.nr_in_flight--;
	aio->seen.last = *request;
	request->result = perform(aio, request);
	add(&aio->done, request);
	return true;
}

void aio_submit(struct aio *aio, struct aio_request *request)
{
	add(&aio->staged, request);
	aio->seen.nr_held++;
}

void aio_begin(struct aio *aio)
{
	struct aio_request *request;

	aio->seen.nr_begins++;
	while ((request = take_oldest(&aio->staged))) {
		add(&aio->in_flight, request);
		aio->seen.nr_in_flight++;
	}
	if (aio->seen.nr_in_flight > aio->seen.max_in_flight)
		aio->seen.max_in_flight = aio->seen.nr_in_flight;
	while (!aio->hold && end_oldest(aio))
		;
}

struct aio_request *aio_take(struct aio *aio)
{
	struct aio_request *request = take(&aio->done);

	aio->seen.nr_held -= !!request;
	return request;
}

int aio_fd(const struct aio *aio)
{
	(void)aio;
	return -1;
}

const char *aio_name(const struct aio *aio)
{
	(void)aio;
	return "fake";
}

void aio_destroy(struct aio *aio)
{
	free(aio);
}

void fake_aio_hold(struct aio *aio)
{
	aio->hold = true;
}

unsigned fake_aio_let_go(struct aio *aio, unsigned nr)
{
	unsigned done = 0;

	while (done < nr && end_oldest(aio))
		done++;
	return done;
}

void fake_aio_fail(struct aio *aio, unsigned nr, int result)
{
	aio->nr_failures = nr;
	aio->failure = result;
}

struct fake_aio_seen fake_aio_seen(const struct aio *aio)
{
	return aio->seen;
}

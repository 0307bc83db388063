/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of threads
 * -------------------
 *
 *	submit     begin                worker                take
 *	------> staged ------> waiting ------> (blocking call) ------> done ------> caller
 *
 * The last three are under the lock. The eventfd is written when the done list stops being empty
 * and read when all of it is taken, both under the lock, so that it is readable exactly while
 * there is something to take.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ccr/sandbox.h"
#include "aio.h"

/* struct list - requests in the order in which they came */
struct list {
	struct aio_request *first, **last;
};

struct pool {
	struct aio aio;
	const struct disk *disk;
	int done_fd;
	struct list staged; /* the owner's, not under the lock */
	struct list taken;  /* likewise */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list waiting;
	struct list done;
	bool stop;
	unsigned max_threads;
	unsigned nr_threads; /* 0 until there is work */
	pthread_t threads[AIO_MAX_THREADS];
};

static void list_init(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct aio_request *request)
{
	request->next = NULL;
	*list->last = request;
	list->last = &request->next;
}

static struct aio_request *list_take(struct list *list)
{
	struct aio_request *request = list->first;

	if (!request)
		return NULL;
	list->first = request->next;
	if (!list->first)
		list->last = &list->first;
	return request;
}

/* All of @from behind what @to has. */
static void list_move(struct list *to, struct list *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	list_init(from);
}

static int perform(const struct disk *disk, const struct aio_request *request)
{
	int ret = -EINVAL;

	switch (request->op) {
	case AIO_READ:
		return disk_read(disk, request->iov, request->nr_iov, request->offset);
	case AIO_WRITE:
		ret = disk_write(disk, request->iov, request->nr_iov, request->offset);
		break;
	case AIO_ZERO:
		ret = disk_zero(disk, request->offset, request->size, request->may_discard);
		break;
	case AIO_FLUSH:
		return disk_flush(disk);
	case AIO_DISCARD:
		return disk_discard(disk, request->offset, request->size);
	}
	return ret || !request->durable ? ret : disk_flush(disk);
}

/* Under the lock. */
static void finish(struct pool *pool, struct aio_request *request)
{
	const uint64_t one = 1;
	const bool is_first = !pool->done.first;

	list_add(&pool->done, request);
	/* From zero, a non-blocking eventfd takes what is written. */
	if (is_first && write(pool->done_fd, &one, sizeof(one)) < 0)
		return;
}

static void *work(void *arg)
{
	struct pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct aio_request *request = list_take(&pool->waiting);

		if (request) {
			pthread_mutex_unlock(&pool->lock);
			request->result = perform(pool->disk, request);
			pthread_mutex_lock(&pool->lock);
			finish(pool, request);
		} else if (pool->stop) {
			break;
		} else {
			pthread_cond_wait(&pool->work, &pool->lock);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void pool_submit(struct aio *aio, struct aio_request *request)
{
	struct pool *pool = (struct pool *)aio;

	list_add(&pool->staged, request);
}

/* Not before there is work: by then the machine is confined, and so are threads that it makes. */
static void start(struct pool *pool)
{
	while (pool->nr_threads < pool->max_threads) {
		if (sandbox_thread_create(&pool->threads[pool->nr_threads], SANDBOX_WORKER, work,
					  pool))
			break;
		pool->nr_threads++;
	}
}

/* The host gives us no thread. */
static void perform_staged(struct pool *pool)
{
	struct aio_request *request;

	while ((request = list_take(&pool->staged))) {
		request->result = perform(pool->disk, request);
		pthread_mutex_lock(&pool->lock);
		finish(pool, request);
		pthread_mutex_unlock(&pool->lock);
	}
}

static void pool_begin(struct aio *aio)
{
	struct pool *pool = (struct pool *)aio;
	const bool is_one = pool->staged.first && !pool->staged.first->next;

	if (!pool->staged.first)
		return;
	if (pool->nr_threads == 0)
		start(pool);
	if (pool->nr_threads == 0) {
		perform_staged(pool);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	list_move(&pool->waiting, &pool->staged);
	if (is_one)
		pthread_cond_signal(&pool->work);
	else
		pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

/* syscalls(worker): read */
static struct aio_request *pool_take(struct aio *aio)
{
	struct pool *pool = (struct pool *)aio;
	struct aio_request *request = list_take(&pool->taken);
	uint64_t count;

	if (request)
		return request;
	pthread_mutex_lock(&pool->lock);
	if (pool->done.first && read(pool->done_fd, &count, sizeof(count)) > 0)
		list_move(&pool->taken, &pool->done);
	pthread_mutex_unlock(&pool->lock);
	return list_take(&pool->taken);
}

static int pool_fd(const struct aio *aio)
{
	return ((const struct pool *)aio)->done_fd;
}

static void pool_destroy(struct aio *aio)
{
	struct pool *pool = (struct pool *)aio;

	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	while (pool->nr_threads > 0)
		pthread_join(pool->threads[--pool->nr_threads], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	if (pool->done_fd >= 0)
		close(pool->done_fd);
	free(pool);
}

static const struct aio_ops pool_ops = {
	.submit = pool_submit,
	.begin = pool_begin,
	.take = pool_take,
	.fd = pool_fd,
	.destroy = pool_destroy,
};

/* syscalls(build): eventfd2 */
int aio_threads_create(struct aio **ret_aio, const struct disk *disk, unsigned nr_threads,
		       struct ccr_err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	int ret;

	if (!pool)
		return err_set(err, -ENOMEM, "disk: out of memory");
	pool->aio = (struct aio){&pool_ops, "threads"};
	pool->disk = disk;
	pool->max_threads = nr_threads;
	list_init(&pool->staged);
	list_init(&pool->taken);
	list_init(&pool->waiting);
	list_init(&pool->done);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->done_fd < 0) {
		ret = err_set(err, -errno, "disk: no threads for its I/O: %s", strerror(errno));
		pool_destroy(&pool->aio);
		return ret;
	}
	*ret_aio = &pool->aio;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring
 * --------
 * Reads, writes and flushes are entries of the ring; a batch is one system call. The rest is rare
 * and goes to a small pool of threads, whose eventfd the ring watches while the pool has work, so
 * that there is one descriptor to wait for:
 *
 *	discards, zeros		   may need several calls, each after the one before
 *	buffers that O_DIRECT	   have to be copied first
 *	does not take
 *	what ended halfway	   the rest of it
 *
 * The ring has room for all that may be in flight, so no entry ever waits for one.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "aio.h"

/* What may be in flight, and the watch on the pool. */
#define NR_ENTRIES (2 * AIO_MAX_DEPTH)

/* Also the most threads that one disk's odd requests can occupy. */
#define NR_SLOW_THREADS 2

/* A kernel that is short of memory is asked again after this. */
#define RETRY_NS 1000000

struct uring {
	struct aio aio;
	const struct disk *disk;
	struct io_uring ring;
	struct aio *slow;
	bool is_watching;    /* the ring polls the pool's descriptor */
	unsigned nr_in_ring; /* requests that are entries of the ring */
	unsigned nr_slow;    /* requests that are with the pool */
};

static bool is_fast(const struct uring *uring, const struct aio_request *request)
{
	switch (request->op) {
	case AIO_READ:
		return disk_is_aligned(uring->disk, request->iov, request->nr_iov);
	case AIO_WRITE:
		return !uring->disk->read_only &&
		       disk_is_aligned(uring->disk, request->iov, request->nr_iov);
	case AIO_FLUSH:
		return true;
	case AIO_DISCARD:
	case AIO_ZERO:
		break;
	}
	return false;
}

static void fill_entry(const struct uring *uring, struct io_uring_sqe *entry,
		       struct aio_request *request)
{
	const int fd = uring->disk->fd;

	if (request->op == AIO_FLUSH)
		io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
	else if (request->op == AIO_READ)
		io_uring_prep_readv(entry, fd, request->iov, request->nr_iov, request->offset);
	else
		io_uring_prep_writev2(entry, fd, request->iov, request->nr_iov, request->offset,
				      request->durable ? RWF_DSYNC : 0);
	io_uring_sqe_set_data(entry, request);
}

static void watch(struct uring *uring)
{
	struct io_uring_sqe *entry;

	if (uring->is_watching)
		return;
	entry = io_uring_get_sqe(&uring->ring);
	io_uring_prep_poll_add(entry, aio_fd(uring->slow), POLLIN);
	io_uring_sqe_set_data(entry, NULL);
	uring->is_watching = true;
}

static void submit_slow(struct uring *uring, struct aio_request *request)
{
	uring->nr_slow++;
	aio_submit(uring->slow, request);
	watch(uring);
}

static void uring_submit(struct aio *aio, struct aio_request *request)
{
	struct uring *uring = (struct uring *)aio;

	if (!is_fast(uring, request)) {
		submit_slow(uring, request);
		return;
	}
	fill_entry(uring, io_uring_get_sqe(&uring->ring), request);
	uring->nr_in_ring++;
}

/* The kernel refuses entries only while it is short of memory. */
/* syscalls(worker): io_uring_enter clock_nanosleep */
static void enter(struct uring *uring)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};

	while (io_uring_sq_ready(&uring->ring) > 0) {
		const int ret = io_uring_submit(&uring->ring);

		if (ret < 0 && ret != -EINTR)
			nanosleep(&pause, NULL);
	}
}

static void uring_begin(struct aio *aio)
{
	struct uring *uring = (struct uring *)aio;

	aio_begin(uring->slow);
	enter(uring);
}

/* Return: true if it has ended; false if threads carry on with it. */
static bool finish(struct uring *uring, struct aio_request *request, int done)
{
	const bool is_transfer = request->op == AIO_READ || request->op == AIO_WRITE;

	uring->nr_in_ring--;
	if (is_transfer && done > 0 && (uint64_t)done == request->size) {
		request->result = 0;
		return true;
	}
	if (is_transfer && done > 0) {
		disk_advance(&request->iov, &request->nr_iov, (size_t)done);
		request->offset += (uint64_t)done;
		request->size -= (uint64_t)done;
	} else if (done != -EINTR && done != -EAGAIN) {
		request->result = is_transfer && done == 0 ? -EIO : done;
		return true;
	}
	submit_slow(uring, request);
	return false;
}

static struct aio_request *take_slow(struct uring *uring)
{
	struct aio_request *request;

	if (uring->nr_slow == 0)
		return NULL;
	request = aio_take(uring->slow);
	uring->nr_slow -= !!request;
	return request;
}

static struct aio_request *uring_take(struct aio *aio)
{
	struct uring *uring = (struct uring *)aio;
	struct aio_request *request = take_slow(uring);
	struct io_uring_cqe *entry;

	while (!request && io_uring_peek_cqe(&uring->ring, &entry) == 0) {
		struct aio_request *ended = io_uring_cqe_get_data(entry);
		const int done = entry->res;

		io_uring_cqe_seen(&uring->ring, entry);
		if (ended) {
			request = finish(uring, ended, done) ? ended : NULL;
			continue;
		}
		uring->is_watching = false;
		request = take_slow(uring);
	}
	if (!request && uring->nr_slow > 0) {
		watch(uring);
		uring_begin(aio);
	}
	return request;
}

static int uring_fd(const struct aio *aio)
{
	return ((const struct uring *)aio)->ring.ring_fd;
}

/* syscalls(loop): io_uring_enter */
static void uring_destroy(struct aio *aio)
{
	struct uring *uring = (struct uring *)aio;
	struct io_uring_cqe *entry;

	/* The kernel writes to the caller's memory until then. */
	uring_begin(aio);
	while (uring->nr_in_ring > 0) {
		io_uring_wait_cqe(&uring->ring, &entry);
		while (uring_take(aio))
			;
	}
	aio_destroy(uring->slow);
	io_uring_queue_exit(&uring->ring);
	free(uring);
}

static const struct aio_ops uring_ops = {
	.submit = uring_submit,
	.begin = uring_begin,
	.take = uring_take,
	.fd = uring_fd,
	.destroy = uring_destroy,
};

static int refused(int ret, struct ccr_err *err)
{
	return err_set(err, ret, "this host gives us no io_uring: %s", strerror(-ret));
}

/* Requests are no system calls, so no filter sees them: a ring does these, and nothing else. */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t ops[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				      IORING_OP_POLL_ADD};
	struct io_uring_restriction allowed[sizeof(ops)] = {0};

	for (size_t i = 0; i < sizeof(ops); i++) {
		allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[i].sqe_op = ops[i];
	}
	if (syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    sizeof(ops)) < 0 ||
	    syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) <
		    0)
		return -errno;
	return 0;
}

/* syscalls(build): io_uring_setup io_uring_register */
int aio_uring_create(struct aio **ret_aio, const struct disk *disk, struct ccr_err *err)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return err_set(err, -ENOMEM, "disk: out of memory");
	uring->aio = (struct aio){&uring_ops, "uring"};
	uring->disk = disk;
	ret = io_uring_queue_init(NR_ENTRIES, &uring->ring, IORING_SETUP_R_DISABLED);
	if (ret) {
		free(uring);
		return refused(ret, err);
	}
	ret = restrict_ring(&uring->ring);
	if (ret) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return refused(ret, err);
	}
	ret = aio_threads_create(&uring->slow, disk, NR_SLOW_THREADS, err);
	if (ret) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return ret;
	}
	*ret_aio = &uring->aio;
	return 0;
}

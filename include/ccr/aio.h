/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many reads and writes of a disk at once.
 *
 * A struct aio belongs to one thread: it submits requests, begins them as a batch, sleeps until
 * aio_fd() is readable, and takes back what has ended, in any order. Two engines do the same:
 *
 *	uring	  io_uring: a batch is one system call
 *	threads	  a pool of threads, each in one blocking call; where there is no io_uring
 *
 * No order is kept between requests that are in flight together, overlapping writes included; who
 * needs one waits. A flush covers the writes that had ended before it was submitted.
 *
 * Reads or writes of a batch that go on where the one before them ends become one of the host's;
 * each has its own result all the same.
 *
 * What the host does halfway (short transfers) or not now (EINTR, EAGAIN) is carried on with here:
 * a request ends with all of it done or with an error.
 */
#ifndef CCR_AIO_H
#define CCR_AIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ccr/disk.h"
#include "ccr/err.h"

enum aio_kind { AIO_AUTO, AIO_URING, AIO_THREADS };

enum aio_op { AIO_READ, AIO_WRITE, AIO_FLUSH, AIO_DISCARD, AIO_ZERO };

/** AIO_MAX_DEPTH - most requests of one engine in flight */
#define AIO_MAX_DEPTH 64

/**
 * struct aio_request - one request; the caller's memory, the engine's from aio_submit() until
 *	aio_take() returns it
 * @durable: of a write or a zero: it ends once its data is on stable storage
 * @may_discard: of a zero: the range's space may be given back
 * @iov: of a read or a write: @nr_iov pieces, used up; they and what they name stay valid
 * @offset, @size: bytes, inside the disk; @size is that of all @iov together
 * @result: once it has ended: 0 or -errno, as the functions of disk.h return
 * @next, @parts: the engine's
 */
struct aio_request {
	enum aio_op op;
	bool durable;
	bool may_discard;
	struct iovec *iov;
	unsigned nr_iov;
	uint64_t offset, size;
	int result;
	struct aio_request *next;
	struct aio_request *parts;
};

struct aio;

/**
 * aio_create() - an engine for a disk
 * @disk: outlives it
 * @kind: AIO_AUTO is uring if the host lets us have one, else threads
 * @nr_threads: of a pool, 1 to AIO_MAX_THREADS
 *
 * Return: 0; or -errno with @err set, for instance -EPERM or -ENOSYS for AIO_URING on a host that
 * does not have it.
 */
int aio_create(struct aio **ret_aio, const struct disk *disk, enum aio_kind kind,
	       unsigned nr_threads, struct ccr_err *err);

/** AIO_MAX_THREADS - of one pool */
#define AIO_MAX_THREADS 16

/** aio_destroy() - waits for all that is in flight, whose requests are lost; takes NULL */
void aio_destroy(struct aio *aio);

/** aio_name() - of the engine that it is: "uring" or "threads" */
const char *aio_name(const struct aio *aio);

/** aio_submit() - hand over a request, of at most AIO_MAX_DEPTH together; it may not start yet */
void aio_submit(struct aio *aio, struct aio_request *request);

/** aio_begin() - start what was submitted. Some may have ended when it returns. */
void aio_begin(struct aio *aio);

/** aio_take() - a request that has ended, NULL if none has */
struct aio_request *aio_take(struct aio *aio);

/** aio_fd() - readable while aio_take() has something to give; for poll() only */
int aio_fd(const struct aio *aio);

#endif

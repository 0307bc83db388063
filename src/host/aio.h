/* SPDX-License-Identifier: Apache-2.0 */
/* What the engines of aio.c are made of. */
#ifndef HOST_AIO_H
#define HOST_AIO_H

#include "ccr/aio.h"

/** struct aio_ops - an engine; the functions are those of ccr/aio.h without their prefix */
struct aio_ops {
	void (*submit)(struct aio *aio, struct aio_request *request);
	void (*begin)(struct aio *aio);
	struct aio_request *(*take)(struct aio *aio);
	int (*fd)(const struct aio *aio);
	void (*destroy)(struct aio *aio);
};

/** struct aio - the first member of each engine; @name is what aio_name() returns */
struct aio {
	const struct aio_ops *ops;
	const char *name;
};

/** aio_uring_create(), aio_threads_create() - as aio_create(), each of one kind */
int aio_uring_create(struct aio **ret_aio, const struct disk *disk, struct ccr_err *err);
int aio_threads_create(struct aio **ret_aio, const struct disk *disk, unsigned nr_threads,
		       struct ccr_err *err);

/** aio_join_create() - before an engine, which is its own after success. Return: 0 or -ENOMEM. */
int aio_join_create(struct aio **ret_aio, struct aio *engine);

#endif

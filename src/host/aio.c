/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/log.h"
#include "aio.h"

static int create_engine(struct aio **ret_engine, const struct disk *disk, enum aio_kind kind,
			 unsigned nr_threads, struct ccr_err *err)
{
	struct ccr_err why = {0};
	int ret;

	if (kind == AIO_THREADS)
		return aio_threads_create(ret_engine, disk, nr_threads, err);
	ret = aio_uring_create(ret_engine, disk, &why);
	if (ret && kind == AIO_URING) {
		*err = why;
		return ret;
	}
	if (!ret)
		return 0;
	log_debug("disk: %s; threads do its I/O", why.msg);
	return aio_threads_create(ret_engine, disk, nr_threads, err);
}

int aio_create(struct aio **ret_aio, const struct disk *disk, enum aio_kind kind,
	       unsigned nr_threads, struct ccr_err *err)
{
	struct aio *engine;
	const int ret = create_engine(&engine, disk, kind, nr_threads, err);

	if (ret)
		return ret;
	if (aio_join_create(ret_aio, engine) == 0)
		return 0;
	aio_destroy(engine);
	return err_set(err, -ENOMEM, "disk: out of memory");
}

void aio_destroy(struct aio *aio)
{
	if (aio)
		aio->ops->destroy(aio);
}

const char *aio_name(const struct aio *aio)
{
	return aio->name;
}

void aio_submit(struct aio *aio, struct aio_request *request)
{
	aio->ops->submit(aio, request);
}

void aio_begin(struct aio *aio)
{
	aio->ops->begin(aio);
}

struct aio_request *aio_take(struct aio *aio)
{
	return aio->ops->take(aio);
}

int aio_fd(const struct aio *aio)
{
	return aio->ops->fd(aio);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ccr/log.h"
#include "aio.h"

int aio_create(struct aio **ret_aio, const struct disk *disk, enum aio_kind kind,
	       unsigned nr_threads, struct ccr_err *err)
{
	struct ccr_err why = {0};
	int ret;

	if (kind == AIO_THREADS)
		return aio_threads_create(ret_aio, disk, nr_threads, err);
	ret = aio_uring_create(ret_aio, disk, &why);
	if (ret && kind == AIO_URING) {
		*err = why;
		return ret;
	}
	if (!ret)
		return 0;
	log_debug("disk: %s; threads do its I/O", why.msg);
	return aio_threads_create(ret_aio, disk, nr_threads, err);
}

void aio_destroy(struct aio *aio)
{
	if (aio)
		aio->ops->destroy(aio);
}

const char *aio_name(const struct aio *aio)
{
	return aio->ops->name;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the host's that a guest reaches by 9p: what its server asks for, done by the
 * directory's broker, or, for the bytes of files, by this process on descriptors that the broker
 * has passed. Those stay usable when the broker is gone.
 */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"

/* Files of one directory that may be open at a time, and descriptors for everything else. */
#define MAX_OPEN 512u
#define OTHERS   256u

static int on_call(void *ctx, const struct broker_request *request, struct broker_reply *reply,
		   int *ret_fd)
{
	return broker_call(ctx, request, reply, ret_fd);
}

/* syscalls(loop vcpu worker): pread64 */
static ssize_t on_read(void *ctx, int fd, void *bytes, size_t size, uint64_t offset)
{
	const ssize_t done = pread(fd, bytes, size, (off_t)offset);

	(void)ctx;
	return done < 0 ? -errno : done;
}

/* syscalls(loop vcpu worker): pwrite64 */
static ssize_t on_write(void *ctx, int fd, const void *bytes, size_t size, uint64_t offset)
{
	const ssize_t done = pwrite(fd, bytes, size, (off_t)offset);

	(void)ctx;
	return done < 0 ? -errno : done;
}

/* syscalls(loop vcpu worker): fsync */
static int on_sync(void *ctx, int fd)
{
	(void)ctx;
	return fsync(fd) < 0 ? -errno : 0;
}

static void on_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

const struct p9_host shares_host = {
	.call = on_call,
	.read = on_read,
	.write = on_write,
	.sync = on_sync,
	.close = on_close,
};

unsigned shares_make_room(unsigned nr)
{
	struct rlimit limit;
	rlim_t wanted = OTHERS + (rlim_t)nr * MAX_OPEN;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	if (wanted > limit.rlim_max)
		wanted = limit.rlim_max;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return 1;
	}
	return wanted > OTHERS + nr ? (unsigned)((wanted - OTHERS) / nr) : 1;
}

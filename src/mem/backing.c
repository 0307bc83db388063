/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/ipa.h"
#include "internal.h"

#define READ_WRITE (PROT_READ | PROT_WRITE)

static int map_file(struct backing *side, int fd, uint64_t offset, uint64_t size, int prot)
{
	void *map = mmap(side->map + offset, size, prot, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
			 (off_t)offset);

	return map == MAP_FAILED ? -errno : 0;
}

/*
 * The advice is also what lets the kernel join the mapping with its neighbours; hosts without
 * transparent huge pages go on with small ones.
 */
/* syscalls(build vcpu): madvise:MADV_HUGEPAGE */
static int map_anonymous(struct backing *side, uint64_t offset, uint64_t size, int prot)
{
	void *map = mmap(side->map + offset, size, prot,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	(void)madvise(map, size, MADV_HUGEPAGE);
	return 0;
}

/* Room for @side->map, in which nothing is yet. */
static int reserve(struct backing *side, uint64_t size)
{
	uint8_t *map = mmap(NULL, size + SZ_2M, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (map == MAP_FAILED)
		return -errno;
	before = -(uint64_t)(uintptr_t)map % SZ_2M;
	if (before > 0)
		munmap(map, before);
	munmap(map + before + size, SZ_2M - before);
	side->map = map + before;
	return 0;
}

static int cannot_map(uint64_t size, int ret, struct ccr_err *err)
{
	return err_set(err, ret, "guest memory: cannot map %llu MiB: %s; try a smaller --mem",
		       (unsigned long long)(size >> 20), strerror(-ret));
}

int backing_open_anonymous(struct backing *side, uint64_t size, struct ccr_err *err)
{
	int ret = reserve(side, size);

	if (!ret)
		ret = map_anonymous(side, 0, size, READ_WRITE);
	return ret ? cannot_map(size, ret, err) : 0;
}

/* syscalls(build): memfd_create ftruncate fcntl:F_ADD_SEALS */
int backing_open(struct backing *side, uint64_t size, int prot, struct ccr_err *err)
{
	int ret;

	side->fd = memfd_create("ccr-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (side->fd < 0)
		return err_set(err, -errno, "guest memory: memfd_create failed: %s",
			       strerror(errno));
	if (ftruncate(side->fd, (off_t)size) < 0 ||
	    fcntl(side->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(err, -errno, "guest memory: no memfd of %llu MiB: %s%s",
			       (unsigned long long)(size >> 20), strerror(errno),
			       errno == EFBIG ? "; raise the limit of files' sizes (ulimit -f)"
					      : "");
	ret = reserve(side, size);
	if (!ret)
		ret = map_file(side, side->fd, 0, size, prot);
	return ret ? cannot_map(size, ret, err) : 0;
}

/* The base-2 logarithm of @page_size, where memfd_create() wants it. */
static unsigned huge_flags(uint64_t page_size)
{
	const unsigned bits = page_size ? (unsigned)__builtin_ctzll(page_size) : 0;

	return MFD_HUGETLB | bits << MAP_HUGE_SHIFT;
}

static int no_huge_pages(uint64_t size, uint64_t page_size, int ret, struct ccr_err *err)
{
	if (ret == -ENOMEM)
		return err_set(err, ret,
			       "--hugepages: this host has too few free huge pages for %llu MiB; "
			       "reserve them as root: sysctl vm.nr_hugepages=<number>, or for "
			       "other sizes than the default in /sys/kernel/mm/hugepages",
			       (unsigned long long)(size >> 20));
	return err_set(err, -EINVAL,
		       "--hugepages: this host has no huge pages of %llu KiB (%s); those that it "
		       "has are in /sys/kernel/mm/hugepages",
		       (unsigned long long)(page_size >> 10), strerror(-ret));
}

/* Without MAP_NORESERVE: the pages are the machine's from here on, or it does not start. */
/* syscalls(build): memfd_create ftruncate */
int backing_open_huge(struct backing *side, uint64_t size, uint64_t page_size, struct ccr_err *err)
{
	void *map;

	if (page_size && size % page_size)
		return err_set(err, -EINVAL,
			       "--hugepages: RAM of %llu MiB is no whole number of pages of %llu "
			       "MiB; change --mem",
			       (unsigned long long)(size >> 20),
			       (unsigned long long)(page_size >> 20));
	side->fd = memfd_create("ccr-shared", MFD_CLOEXEC | huge_flags(page_size));
	if (side->fd < 0)
		return no_huge_pages(size, page_size, -errno, err);
	if (ftruncate(side->fd, (off_t)size) < 0)
		return no_huge_pages(size, page_size, -errno, err);
	map = mmap(NULL, size, READ_WRITE, MAP_SHARED, side->fd, 0);
	if (map == MAP_FAILED)
		return no_huge_pages(size, page_size, -errno, err);
	side->map = map;
	return 0;
}

void backing_close(struct backing *side, uint64_t size)
{
	if (side->map)
		munmap(side->map, size);
	if (side->fd >= 0)
		close(side->fd);
}

/* Kernels before 5.14 have no advice for it. */
/* syscalls(build): madvise:MADV_POPULATE_WRITE fallocate */
int backing_populate(const struct backing *side, uint64_t size)
{
	if (madvise(side->map, size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (side->fd >= 0)
		return fallocate(side->fd, 0, 0, (off_t)size) < 0 ? -errno : 0;
	for (uint64_t at = 0; at < size; at += GRANULE_SIZE)
		*(volatile uint8_t *)(side->map + at) = 0;
	return 0;
}

/* What an anonymous mapping is in the place of has nothing in it. */
/* syscalls(vcpu loop): madvise:MADV_DONTNEED fallocate */
int backing_drop(struct backing *side, uint64_t offset, uint64_t size)
{
	if (madvise(side->map + offset, size, MADV_DONTNEED) < 0)
		return -errno;
	if (side->fd >= 0 && fallocate(side->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       (off_t)offset, (off_t)size) < 0)
		return -errno;
	return 0;
}

int backing_kill(struct backing *side, uint64_t offset, uint64_t size)
{
	if (mprotect(side->map + offset, size, PROT_NONE) < 0)
		return -errno;
	return backing_drop(side, offset, size);
}

int backing_revive(struct backing *side, uint64_t offset, uint64_t size)
{
	return mprotect(side->map + offset, size, READ_WRITE) < 0 ? -errno : 0;
}

int backing_detach(struct backing *side, uint64_t offset, uint64_t size)
{
	return map_anonymous(side, offset, size, PROT_NONE);
}

int backing_attach(struct backing *side, uint64_t offset, uint64_t size)
{
	return map_file(side, side->fd, offset, size, PROT_NONE);
}

int backing_alias(struct backing *side, const struct backing *other, uint64_t offset, uint64_t size)
{
	return map_file(side, other->fd, offset, size, READ_WRITE);
}

int backing_end_alias(struct backing *side, uint64_t offset, uint64_t size)
{
	return map_anonymous(side, offset, size, READ_WRITE);
}

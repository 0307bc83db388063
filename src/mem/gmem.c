/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/file.h"
#include "ccr/gmem.h"

/*
 * One side's memory: a memfd mapped as a whole, or anonymous memory (fd is -1), which hosts give in
 * huge pages more readily. The mapping never moves; pages that are live on the other side are
 * PROT_NONE in it, which takes them from the guest too, because KVM follows the mapping.
 */
struct backing {
	int fd;
	uint8_t *map;
};

/*
 * Ranges in the hands of a system call; @nr is 0 if the entry is free, and @next_free is then the
 * handle of another one, or -1.
 */
struct pin {
	const struct gmem_range *ranges;
	unsigned nr;
	int next_free;
};

struct gmem {
	enum gmem_kind kind;
	ipa_t base;
	uint64_t size;
	uint64_t shared_bit;
	struct backing sides[2];
	const struct gmem_private_ops *private_ops; /* GMEM_REALM only */
	void *private_ctx;
	pthread_rwlock_t lock;
	uint64_t *shared; /* one bit a granule; written under the write lock */
	uint64_t nr_shared;
	struct gmem_changes changes;
	uint64_t nr_runs; /* of neighbouring shared granules */
	atomic_uint_least64_t nr_refused;
	bool aliases;     /* dead private pages show the shared ones */
	bool is_exported; /* other processes may write to dead shared pages */
	pthread_mutex_t pin_lock;
	pthread_cond_t unpinned;
	/* Under pin_lock; of the pins only the first nr_pins have ever been used. */
	int free_pin;
	int nr_pins;
	struct pin pins[GMEM_MAX_PINS];
};

static bool test_bit(const struct gmem *gmem, uint64_t page)
{
	return gmem->shared[page / 64] >> (page % 64) & 1;
}

static uint64_t nr_pages(const struct gmem *gmem)
{
	return gmem->size / GRANULE_SIZE;
}

/* First page in [page, top) whose state is not @state; whole words at a time. */
static uint64_t skip_state(const struct gmem *gmem, uint64_t page, uint64_t top, bool state)
{
	const uint64_t same = state ? ~0ull : 0;

	while (page < top) {
		if (page % 64 == 0 && top - page >= 64 && gmem->shared[page / 64] == same)
			page += 64;
		else if (test_bit(gmem, page) == state)
			page++;
		else
			break;
	}
	return page;
}

static void fill_bits(struct gmem *gmem, uint64_t page, uint64_t top, bool state)
{
	for (; page < top && page % 64 != 0; page++)
		gmem->shared[page / 64] = (gmem->shared[page / 64] & ~(1ull << page % 64)) |
					  (uint64_t)state << page % 64;
	for (; top - page >= 64; page += 64)
		gmem->shared[page / 64] = state ? ~0ull : 0;
	for (; page < top; page++)
		gmem->shared[page / 64] = (gmem->shared[page / 64] & ~(1ull << page % 64)) |
					  (uint64_t)state << page % 64;
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
static int backing_open_huge(struct backing *side, uint64_t size, uint64_t page_size,
			     struct ccr_err *err)
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
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, side->fd, 0);
	if (map == MAP_FAILED)
		return no_huge_pages(size, page_size, -errno, err);
	side->map = map;
	return 0;
}

static int cannot_map(uint64_t size, struct ccr_err *err)
{
	return err_set(err, -errno, "guest memory: cannot map %llu MiB: %s; try a smaller --mem",
		       (unsigned long long)(size >> 20), strerror(errno));
}

/* syscalls(build): memfd_create ftruncate fcntl:F_ADD_SEALS */
static int backing_open(struct backing *side, uint64_t size, int prot, struct ccr_err *err)
{
	const unsigned long long mib = size >> 20;
	void *map;

	side->fd = memfd_create("ccr-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (side->fd < 0)
		return err_set(err, -errno, "guest memory: memfd_create failed: %s",
			       strerror(errno));
	if (ftruncate(side->fd, (off_t)size) < 0 ||
	    fcntl(side->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(err, -errno, "guest memory: no memfd of %llu MiB: %s%s", mib,
			       strerror(errno),
			       errno == EFBIG ? "; raise the limit of files' sizes (ulimit -f)"
					      : "");
	map = mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, side->fd, 0);
	if (map == MAP_FAILED)
		return cannot_map(size, err);
	side->map = map;
	return 0;
}

/*
 * Aligned as the guest's addresses are: KVM can map a huge page into the guest as one then.
 * Advice: hosts without transparent huge pages go on with small ones.
 */
/* syscalls(build): madvise:MADV_HUGEPAGE */
static int backing_open_anonymous(struct backing *side, uint64_t size, struct ccr_err *err)
{
	uint8_t *map = mmap(NULL, size + SZ_2M, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (map == MAP_FAILED)
		return cannot_map(size, err);
	before = -(uint64_t)(uintptr_t)map % SZ_2M;
	if (before > 0)
		munmap(map, before);
	munmap(map + before + size, SZ_2M - before);
	side->map = map + before;
	(void)madvise(side->map, size, MADV_HUGEPAGE);
	return 0;
}

static void backing_close(struct backing *side, uint64_t size)
{
	if (side->map)
		munmap(side->map, size);
	if (side->fd >= 0)
		close(side->fd);
}

/* Give pages back to the host; they read as zeros then. */
/* syscalls(vcpu loop): fallocate madvise:MADV_DONTNEED */
static int drop_side(struct backing *side, uint64_t offset, uint64_t size)
{
	int ret;

	if (side->fd < 0)
		ret = madvise(side->map + offset, size, MADV_DONTNEED);
	else
		ret = fallocate(side->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
				(off_t)size);
	return ret < 0 ? -errno : 0;
}

/* Take pages from the guest and from the host's memory. */
static int kill_side(struct backing *side, uint64_t offset, uint64_t size)
{
	if (mprotect(side->map + offset, size, PROT_NONE) < 0)
		return -errno;
	return drop_side(side, offset, size);
}

/* Let the mapping of the private side show the shared one, and give its own memory back. */
static int alias_shared(struct gmem *gmem, uint64_t offset, uint64_t size)
{
	void *map = mmap(gmem->sides[GMEM_PRIVATE].map + offset, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, gmem->sides[GMEM_SHARED].fd,
			 (off_t)offset);

	return map == MAP_FAILED ? -errno : 0;
}

/* Let it show memory of its own again: zeros. */
/* syscalls(vcpu): madvise:MADV_HUGEPAGE */
static int end_alias(struct gmem *gmem, uint64_t offset, uint64_t size)
{
	void *map = mmap(gmem->sides[GMEM_PRIVATE].map + offset, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	if (map == MAP_FAILED)
		return -errno;
	/* Also what lets the kernel join the mapping with its neighbours again. */
	(void)madvise(map, size, MADV_HUGEPAGE);
	return 0;
}

/* Devices that copy all the time must not keep a guest from sharing memory. */
static void init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static struct gmem *allocate(enum gmem_kind kind, ipa_t base, uint64_t size, uint64_t shared_bit)
{
	struct gmem *gmem = calloc(1, sizeof(*gmem));

	if (!gmem)
		return NULL;
	gmem->kind = kind;
	gmem->base = base;
	gmem->size = size;
	gmem->shared_bit = kind == GMEM_PLAIN ? 0 : shared_bit;
	gmem->sides[GMEM_PRIVATE].fd = -1;
	gmem->sides[GMEM_SHARED].fd = -1;
	gmem->free_pin = -1;
	init_lock(&gmem->lock);
	pthread_mutex_init(&gmem->pin_lock, NULL);
	pthread_cond_init(&gmem->unpinned, NULL);
	gmem->shared = calloc(size / GRANULE_SIZE / 64, sizeof(uint64_t));
	if (gmem->shared)
		return gmem;
	gmem_destroy(gmem);
	return NULL;
}

static void share_all(struct gmem *gmem)
{
	fill_bits(gmem, 0, nr_pages(gmem), true);
	gmem->nr_shared = nr_pages(gmem);
	gmem->nr_runs = 1;
}

/* Both sides, as the kind has them. */
static int open_sides(struct gmem *gmem, struct ccr_err *err)
{
	int ret = 0;

	if (gmem->kind == GMEM_PLAIN)
		return backing_open_anonymous(&gmem->sides[GMEM_SHARED], gmem->size, err);
	if (gmem->kind == GMEM_SPLIT)
		ret = backing_open_anonymous(&gmem->sides[GMEM_PRIVATE], gmem->size, err);
	if (!ret)
		ret = backing_open(&gmem->sides[GMEM_SHARED], gmem->size,
				   gmem->kind == GMEM_SPLIT ? PROT_NONE : PROT_READ | PROT_WRITE,
				   err);
	return ret;
}

int gmem_create(struct gmem **ret_gmem, enum gmem_kind kind, ipa_t base, uint64_t size,
		uint64_t shared_bit, struct ccr_err *err)
{
	struct gmem *gmem;
	int ret = 0;

	if (size == 0 || size % SZ_2M || base.v % GRANULE_SIZE)
		return err_set(err, -EINVAL, "guest memory: size must be a multiple of 2 MiB");
	if (kind != GMEM_PLAIN && sysconf(_SC_PAGESIZE) != GRANULE_SIZE)
		return err_set(err, -EOPNOTSUPP,
			       "this host's kernel has pages of %ld KiB; realms need a host "
			       "kernel with 4 KiB pages",
			       sysconf(_SC_PAGESIZE) / 1024);
	gmem = allocate(kind, base, size, shared_bit);
	if (!gmem)
		return err_set(err, -ENOMEM, "guest memory: out of memory");
	ret = open_sides(gmem, err);
	if (ret) {
		gmem_destroy(gmem);
		return ret;
	}
	if (kind == GMEM_PLAIN)
		share_all(gmem);
	*ret_gmem = gmem;
	return 0;
}

/* syscalls(build): madvise:MADV_HUGEPAGE */
int gmem_create_exportable(struct gmem **ret_gmem, ipa_t base, uint64_t size, struct ccr_err *err)
{
	struct gmem *gmem = allocate(GMEM_PLAIN, base, size, 0);
	int ret;

	if (!gmem)
		return err_set(err, -ENOMEM, "guest memory: out of memory");
	ret = backing_open(&gmem->sides[GMEM_SHARED], size, PROT_READ | PROT_WRITE, err);
	if (ret) {
		gmem_destroy(gmem);
		return ret;
	}
	share_all(gmem);
	/* Advice, which few hosts follow for this kind of memory. */
	(void)madvise(gmem->sides[GMEM_SHARED].map, size, MADV_HUGEPAGE);
	*ret_gmem = gmem;
	return 0;
}

int gmem_create_huge(struct gmem **ret_gmem, ipa_t base, uint64_t size, uint64_t page_size,
		     struct ccr_err *err)
{
	struct gmem *gmem = allocate(GMEM_PLAIN, base, size, 0);
	int ret;

	if (!gmem)
		return err_set(err, -ENOMEM, "guest memory: out of memory");
	ret = backing_open_huge(&gmem->sides[GMEM_SHARED], size, page_size, err);
	if (ret) {
		gmem_destroy(gmem);
		return ret;
	}
	share_all(gmem);
	*ret_gmem = gmem;
	return 0;
}

/* Kernels before 5.14 have no advice for it. Return: 0, or -1 with errno set. */
/* syscalls(build): madvise:MADV_POPULATE_WRITE fallocate */
static int populate(const struct backing *backing, uint64_t size)
{
	if (madvise(backing->map, size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	if (backing->fd >= 0)
		return fallocate(backing->fd, 0, 0, (off_t)size);
	for (uint64_t at = 0; at < size; at += GRANULE_SIZE)
		*(volatile uint8_t *)(backing->map + at) = 0;
	return 0;
}

int gmem_prealloc(struct gmem *gmem, struct ccr_err *err)
{
	const enum gmem_side side = gmem->kind == GMEM_PLAIN ? GMEM_SHARED : GMEM_PRIVATE;
	const struct backing *backing = &gmem->sides[side];

	if (!backing->map)
		return 0;
	if (populate(backing, gmem->size) < 0)
		return err_set(err, -errno,
			       "--mem-prealloc: this host cannot give %llu MiB now: %s; try a "
			       "smaller --mem",
			       (unsigned long long)(gmem->size >> 20), strerror(errno));
	return 0;
}

void gmem_destroy(struct gmem *gmem)
{
	if (!gmem)
		return;
	backing_close(&gmem->sides[GMEM_PRIVATE], gmem->size);
	backing_close(&gmem->sides[GMEM_SHARED], gmem->size);
	pthread_cond_destroy(&gmem->unpinned);
	pthread_mutex_destroy(&gmem->pin_lock);
	pthread_rwlock_destroy(&gmem->lock);
	free(gmem->shared);
	free(gmem);
}

ipa_t gmem_strip(const struct gmem *gmem, ipa_t at)
{
	return ipa_at(at.v & ~gmem->shared_bit);
}

uint64_t gmem_slot_address(const struct gmem *gmem, enum gmem_side side)
{
	return (uint64_t)(uintptr_t)gmem->sides[side].map;
}

struct gmem_shared gmem_export_shared(struct gmem *gmem)
{
	pthread_rwlock_wrlock(&gmem->lock);
	gmem->is_exported = true;
	pthread_rwlock_unlock(&gmem->lock);
	return (struct gmem_shared){
		.fd = gmem->sides[GMEM_SHARED].fd,
		.base = gmem->base,
		.size = gmem->size,
		.shared_bit = gmem->shared_bit,
	};
}

ipa_t gmem_base(const struct gmem *gmem)
{
	return gmem->base;
}

uint64_t gmem_size(const struct gmem *gmem)
{
	return gmem->size;
}

uint64_t gmem_shared_bit(const struct gmem *gmem)
{
	return gmem->shared_bit;
}

bool gmem_contains(const struct gmem *gmem, ipa_t at, uint64_t size)
{
	return range_within(at.v, size, gmem->base.v, gmem->size);
}

/*
 * The one translation. The caller holds the lock and keeps it while it uses the pointer.
 *
 * Return: NULL unless all of the range is RAM in state @side.
 */
static uint8_t *translate(const struct gmem *gmem, ipa_t at, size_t size, enum gmem_side side)
{
	uint64_t first, top;

	if (!gmem->sides[side].map || !gmem_contains(gmem, at, size))
		return NULL;
	first = (at.v - gmem->base.v) / GRANULE_SIZE;
	top = (at.v - gmem->base.v + size + GRANULE_SIZE - 1) / GRANULE_SIZE;
	if (skip_state(gmem, first, top, side == GMEM_SHARED) != top)
		return NULL;
	return gmem->sides[side].map + (at.v - gmem->base.v);
}

/* Copy under the lock; @out or @in is NULL. */
static int copy(struct gmem *gmem, ipa_t at, size_t size, enum gmem_side side, void *out,
		const void *in)
{
	uint8_t *host;

	pthread_rwlock_rdlock(&gmem->lock);
	host = translate(gmem, at, size, side);
	if (host && out)
		memcpy(out, host, size);
	else if (host && in)
		memcpy(host, in, size);
	pthread_rwlock_unlock(&gmem->lock);
	return host ? 0 : -EFAULT;
}

static int refuse(struct gmem *gmem, int ret)
{
	if (ret)
		atomic_fetch_add(&gmem->nr_refused, 1);
	return ret;
}

int gmem_read(struct gmem *gmem, ipa_t at, void *buf, size_t size)
{
	return refuse(gmem, copy(gmem, at, size, GMEM_SHARED, buf, NULL));
}

int gmem_write(struct gmem *gmem, ipa_t at, const void *buf, size_t size)
{
	return refuse(gmem, copy(gmem, at, size, GMEM_SHARED, NULL, buf));
}

int gmem_rmm_read(struct gmem *gmem, ipa_t at, void *buf, size_t size)
{
	return copy(gmem, at, size, GMEM_PRIVATE, buf, NULL);
}

int gmem_rmm_write(struct gmem *gmem, ipa_t at, const void *buf, size_t size)
{
	return copy(gmem, at, size, GMEM_PRIVATE, NULL, buf);
}

int gmem_load(struct gmem *gmem, ipa_t at, const void *buf, size_t size)
{
	if (gmem->kind == GMEM_REALM) {
		if (!gmem_contains(gmem, at, size))
			return -EFAULT;
		memcpy(gmem->sides[GMEM_SHARED].map + (at.v - gmem->base.v), buf, size);
		return 0;
	}
	return copy(gmem, at, size, gmem->kind == GMEM_PLAIN ? GMEM_SHARED : GMEM_PRIVATE, NULL,
		    buf);
}

int gmem_load_file(struct gmem *gmem, ipa_t at, int fd, uint64_t offset, size_t size)
{
	uint8_t *host;
	int ret;

	pthread_rwlock_rdlock(&gmem->lock);
	host = translate(gmem, at, size, GMEM_SHARED);
	ret = host ? file_read_rest(fd, host, size, offset) : -EFAULT;
	pthread_rwlock_unlock(&gmem->lock);
	return ret;
}

void gmem_set_private_ops(struct gmem *gmem, const struct gmem_private_ops *ops, void *ctx)
{
	gmem->private_ops = ops;
	gmem->private_ctx = ctx;
}

int gmem_seal(struct gmem *gmem)
{
	return kill_side(&gmem->sides[GMEM_SHARED], 0, gmem->size);
}

int gmem_load16(struct gmem *gmem, ipa_t at, uint16_t *ret_value)
{
	const uint8_t *host = NULL;

	pthread_rwlock_rdlock(&gmem->lock);
	if (at.v % sizeof(uint16_t) == 0)
		host = translate(gmem, at, sizeof(uint16_t), GMEM_SHARED);
	if (host)
		*ret_value =
			__atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_ACQUIRE);
	pthread_rwlock_unlock(&gmem->lock);
	return refuse(gmem, host ? 0 : -EFAULT);
}

int gmem_store16(struct gmem *gmem, ipa_t at, uint16_t value)
{
	uint8_t *host = NULL;

	pthread_rwlock_rdlock(&gmem->lock);
	if (at.v % sizeof(uint16_t) == 0)
		host = translate(gmem, at, sizeof(uint16_t), GMEM_SHARED);
	if (host)
		__atomic_store_n((uint16_t *)(void *)host, value, __ATOMIC_RELEASE);
	pthread_rwlock_unlock(&gmem->lock);
	return refuse(gmem, host ? 0 : -EFAULT);
}

static int take_pin(struct gmem *gmem, const struct gmem_range *ranges, unsigned nr)
{
	int handle = -EBUSY;

	pthread_mutex_lock(&gmem->pin_lock);
	if (gmem->free_pin >= 0) {
		handle = gmem->free_pin;
		gmem->free_pin = gmem->pins[handle].next_free;
	} else if (gmem->nr_pins < GMEM_MAX_PINS) {
		handle = gmem->nr_pins++;
	}
	if (handle >= 0)
		gmem->pins[handle] = (struct pin){.ranges = ranges, .nr = nr};
	pthread_mutex_unlock(&gmem->pin_lock);
	return handle;
}

int gmem_pin(struct gmem *gmem, const struct gmem_range *ranges, unsigned nr, struct iovec *iov)
{
	int ret = nr > 0 ? 0 : -EFAULT;

	/* The pin is taken before the lock is let go of, so no change comes in between. */
	pthread_rwlock_rdlock(&gmem->lock);
	for (unsigned i = 0; i < nr && !ret; i++) {
		iov[i].iov_base = translate(gmem, ranges[i].at, ranges[i].size, GMEM_SHARED);
		iov[i].iov_len = ranges[i].size;
		if (!iov[i].iov_base)
			ret = -EFAULT;
	}
	if (!ret)
		ret = take_pin(gmem, ranges, nr);
	pthread_rwlock_unlock(&gmem->lock);
	return ret == -EFAULT ? refuse(gmem, ret) : ret;
}

void gmem_unpin(struct gmem *gmem, int handle)
{
	pthread_mutex_lock(&gmem->pin_lock);
	gmem->pins[handle] = (struct pin){.next_free = gmem->free_pin};
	gmem->free_pin = handle;
	pthread_cond_broadcast(&gmem->unpinned);
	pthread_mutex_unlock(&gmem->pin_lock);
}

int gmem_give_back(struct gmem *gmem, ipa_t at, uint64_t size)
{
	uint64_t first, top;

	if (gmem->kind != GMEM_PLAIN)
		return -EOPNOTSUPP;
	if (size == 0 || !gmem_contains(gmem, at, size))
		return -EFAULT;
	first = align_up(at.v, GRANULE_SIZE);
	top = align_down(at.v + size, GRANULE_SIZE);
	if (first >= top)
		return 0;
	return drop_side(&gmem->sides[GMEM_SHARED], first - gmem->base.v, top - first);
}

void gmem_alias_shared(struct gmem *gmem)
{
	gmem->aliases = true;
}

bool gmem_is_shared(struct gmem *gmem, ipa_t at)
{
	bool shared = false;

	pthread_rwlock_rdlock(&gmem->lock);
	if (gmem_contains(gmem, at, 1))
		shared = test_bit(gmem, (at.v - gmem->base.v) / GRANULE_SIZE);
	pthread_rwlock_unlock(&gmem->lock);
	return shared;
}

ipa_t gmem_run_end(struct gmem *gmem, ipa_t at, ipa_t top)
{
	uint64_t first, last, end;

	if (top.v <= at.v || !gmem_contains(gmem, at, top.v - at.v))
		return top;
	first = (at.v - gmem->base.v) / GRANULE_SIZE;
	last = (top.v - gmem->base.v + GRANULE_SIZE - 1) / GRANULE_SIZE;
	pthread_rwlock_rdlock(&gmem->lock);
	end = skip_state(gmem, first, last, test_bit(gmem, first));
	pthread_rwlock_unlock(&gmem->lock);
	return end == last ? top : ipa_at(gmem->base.v + end * GRANULE_SIZE);
}

/* Runs of shared pages that touch [page, top): within it, or its immediate neighbours. */
static uint64_t count_runs(const struct gmem *gmem, uint64_t page, uint64_t top)
{
	uint64_t at = page > 0 ? page - 1 : 0, end = top < nr_pages(gmem) ? top + 1 : top, runs = 0;

	while ((at = skip_state(gmem, at, end, false)) < end) {
		at = skip_state(gmem, at, end, true);
		runs++;
	}
	return runs;
}

/* What count_runs() would say if all of [page, top) had state @shared. */
static uint64_t count_runs_after(const struct gmem *gmem, uint64_t page, uint64_t top, bool shared)
{
	const bool before = page > 0 && test_bit(gmem, page - 1);
	const bool after = top < nr_pages(gmem) && test_bit(gmem, top);

	return shared ? 1 : (uint64_t)before + (uint64_t)after;
}

static int revive_side(struct backing *side, uint64_t offset, uint64_t size)
{
	return mprotect(side->map + offset, size, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
}

/* Make [@page, @top) live on one side and dead on the other. */
static int switch_side(struct gmem *gmem, uint64_t page, uint64_t top, bool shared)
{
	struct backing *to = &gmem->sides[shared ? GMEM_SHARED : GMEM_PRIVATE];
	struct backing *from = &gmem->sides[shared ? GMEM_PRIVATE : GMEM_SHARED];
	const uint64_t offset = page * GRANULE_SIZE, size = (top - page) * GRANULE_SIZE;
	int ret = 0;

	/* What was written to a hole in the meantime is not the guest's. */
	if (shared && gmem->is_exported)
		ret = drop_side(to, offset, size);
	if (ret)
		return ret;
	if (gmem->kind == GMEM_REALM && shared) {
		ret = gmem->private_ops->to_shared(gmem->private_ctx, offset, size);
		return ret ? ret : revive_side(to, offset, size);
	}
	if (gmem->kind == GMEM_REALM) {
		ret = gmem->private_ops->to_private(gmem->private_ctx, offset, size);
		return ret ? ret : kill_side(from, offset, size);
	}
	if (gmem->aliases && !shared) {
		ret = end_alias(gmem, offset, size);
		return ret ? ret : kill_side(from, offset, size);
	}
	ret = gmem->aliases ? alias_shared(gmem, offset, size) : kill_side(from, offset, size);
	return ret ? ret : revive_side(to, offset, size);
}

/* Under pin_lock. */
static bool is_pinned(const struct gmem *gmem, ipa_t at, uint64_t size)
{
	for (int i = 0; i < gmem->nr_pins; i++) {
		for (unsigned j = 0; j < gmem->pins[i].nr; j++) {
			const struct gmem_range *range = &gmem->pins[i].ranges[j];

			if (range->at.v < at.v + size && at.v < range->at.v + range->size)
				return true;
		}
	}
	return false;
}

/* Take the lock for writing at a moment when no system call uses the pages. */
static void lock_unpinned(struct gmem *gmem, ipa_t at, uint64_t size)
{
	bool pinned;

	do {
		pthread_rwlock_wrlock(&gmem->lock);
		pthread_mutex_lock(&gmem->pin_lock);
		pinned = is_pinned(gmem, at, size);
		if (pinned) {
			pthread_rwlock_unlock(&gmem->lock);
			pthread_cond_wait(&gmem->unpinned, &gmem->pin_lock);
		}
		pthread_mutex_unlock(&gmem->pin_lock);
	} while (pinned);
}

static int set_state(struct gmem *gmem, ipa_t at, uint64_t size, bool shared)
{
	uint64_t page, end, last, was, now;
	int ret = 0;

	if (gmem->kind == GMEM_PLAIN)
		return -EPERM;
	if (at.v % GRANULE_SIZE || size % GRANULE_SIZE || size == 0 ||
	    !gmem_contains(gmem, at, size))
		return -EINVAL;
	page = (at.v - gmem->base.v) / GRANULE_SIZE;
	last = page + size / GRANULE_SIZE;

	lock_unpinned(gmem, at, size);
	was = count_runs(gmem, page, last);
	now = count_runs_after(gmem, page, last, shared);
	if (now > was && gmem->nr_runs + now - was > GMEM_MAX_RUNS)
		ret = -ENOSPC;
	else
		gmem->nr_runs = gmem->nr_runs + now - was;
	while (!ret && (page = skip_state(gmem, page, last, shared)) < last) {
		end = skip_state(gmem, page, last, !shared);
		ret = switch_side(gmem, page, end, shared);
		if (!ret) {
			fill_bits(gmem, page, end, shared);
			gmem->nr_shared += shared ? end - page : page - end;
			*(shared ? &gmem->changes.nr_to_shared : &gmem->changes.nr_to_private) +=
				end - page;
		}
		page = end;
	}
	pthread_rwlock_unlock(&gmem->lock);
	return ret;
}

int gmem_set_shared(struct gmem *gmem, ipa_t at, uint64_t size)
{
	return set_state(gmem, at, size, true);
}

int gmem_set_private(struct gmem *gmem, ipa_t at, uint64_t size)
{
	return set_state(gmem, at, size, false);
}

uint64_t gmem_nr_shared_pages(struct gmem *gmem)
{
	uint64_t nr;

	pthread_rwlock_rdlock(&gmem->lock);
	nr = gmem->nr_shared;
	pthread_rwlock_unlock(&gmem->lock);
	return nr;
}

struct gmem_changes gmem_changes(struct gmem *gmem)
{
	struct gmem_changes changes;

	pthread_rwlock_rdlock(&gmem->lock);
	changes = gmem->changes;
	pthread_rwlock_unlock(&gmem->lock);
	return changes;
}

uint64_t gmem_nr_refused(struct gmem *gmem)
{
	return atomic_load(&gmem->nr_refused);
}

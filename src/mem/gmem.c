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
#include "internal.h"

/*
 * Ranges in the hands of a system call; @nr is 0 if the entry is free, and @next_free is then the
 * handle of another one, or -1.
 */
struct pin {
	const struct gmem_range *ranges;
	unsigned nr;
	int next_free;
};

#define BLOCK_PAGES (SZ_2M / GRANULE_SIZE)

struct gmem {
	enum gmem_kind kind;
	ipa_t base;
	uint64_t size;
	uint64_t shared_bit;
	struct backing sides[2];
	const struct gmem_private_ops *private_ops; /* GMEM_REALM only */
	void *private_ctx;
	pthread_rwlock_t lock;
	/* A bit for each granule, and for each block of 2 MiB; written under the write lock. */
	uint64_t *shared;
	uint64_t *anonymous; /* the shared side is no part of the memfd there */
	uint64_t nr_anonymous;
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

static bool test_bit(const uint64_t *bits, uint64_t at)
{
	return bits[at / 64] >> (at % 64) & 1;
}

static uint64_t nr_pages(const struct gmem *gmem)
{
	return gmem->size / GRANULE_SIZE;
}

/* First bit in [at, top) that is not @state; whole words at a time. */
static uint64_t skip_bits(const uint64_t *bits, uint64_t at, uint64_t top, bool state)
{
	const uint64_t same = state ? ~0ull : 0;

	while (at < top) {
		if (at % 64 == 0 && top - at >= 64 && bits[at / 64] == same)
			at += 64;
		else if (test_bit(bits, at) == state)
			at++;
		else
			break;
	}
	return at;
}

static void fill_bits(uint64_t *bits, uint64_t at, uint64_t top, bool state)
{
	for (; at < top && at % 64 != 0; at++)
		bits[at / 64] = (bits[at / 64] & ~(1ull << at % 64)) | (uint64_t)state << at % 64;
	for (; top - at >= 64; at += 64)
		bits[at / 64] = state ? ~0ull : 0;
	for (; at < top; at++)
		bits[at / 64] = (bits[at / 64] & ~(1ull << at % 64)) | (uint64_t)state << at % 64;
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
	gmem->anonymous = calloc(size / SZ_2M / 64 + 1, sizeof(uint64_t));
	if (gmem->shared && gmem->anonymous)
		return gmem;
	gmem_destroy(gmem);
	return NULL;
}

static void share_all(struct gmem *gmem)
{
	fill_bits(gmem->shared, 0, nr_pages(gmem), true);
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

int gmem_prealloc(struct gmem *gmem, struct ccr_err *err)
{
	const enum gmem_side side = gmem->kind == GMEM_PLAIN ? GMEM_SHARED : GMEM_PRIVATE;
	const struct backing *backing = &gmem->sides[side];
	int ret;

	if (!backing->map)
		return 0;
	ret = backing_populate(backing, gmem->size);
	if (ret)
		return err_set(err, ret,
			       "--mem-prealloc: this host cannot give %llu MiB now: %s; try a "
			       "smaller --mem",
			       (unsigned long long)(gmem->size >> 20), strerror(-ret));
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
	free(gmem->anonymous);
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

int gmem_export_shared(struct gmem *gmem)
{
	pthread_rwlock_wrlock(&gmem->lock);
	gmem->is_exported = true;
	pthread_rwlock_unlock(&gmem->lock);
	return gmem->sides[GMEM_SHARED].fd;
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
	if (skip_bits(gmem->shared, first, top, side == GMEM_SHARED) != top)
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
	return backing_kill(&gmem->sides[GMEM_SHARED], 0, gmem->size);
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
	return backing_drop(&gmem->sides[GMEM_SHARED], first - gmem->base.v, top - first);
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
		shared = test_bit(gmem->shared, (at.v - gmem->base.v) / GRANULE_SIZE);
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
	end = skip_bits(gmem->shared, first, last, test_bit(gmem->shared, first));
	pthread_rwlock_unlock(&gmem->lock);
	return end == last ? top : ipa_at(gmem->base.v + end * GRANULE_SIZE);
}

/* Runs of shared pages that touch [page, top): within it, or its immediate neighbours. */
static uint64_t count_runs(const struct gmem *gmem, uint64_t page, uint64_t top)
{
	uint64_t at = page > 0 ? page - 1 : 0, end = top < nr_pages(gmem) ? top + 1 : top, runs = 0;

	while ((at = skip_bits(gmem->shared, at, end, false)) < end) {
		at = skip_bits(gmem->shared, at, end, true);
		runs++;
	}
	return runs;
}

/* What count_runs() would say if all of [page, top) had state @shared. */
static uint64_t count_runs_after(const struct gmem *gmem, uint64_t page, uint64_t top, bool shared)
{
	const bool before = page > 0 && test_bit(gmem->shared, page - 1);
	const bool after = top < nr_pages(gmem) && test_bit(gmem->shared, top);

	return shared ? 1 : (uint64_t)before + (uint64_t)after;
}

/*
 * Blocks that become shared as a whole are what a guest does I/O through for good: they get
 * anonymous memory, unless other processes map the memfd. KVM's ITS is given no tables as large, so
 * nobody misses their alias.
 */
static int detach_blocks(struct gmem *gmem, uint64_t offset, uint64_t size)
{
	const uint64_t first = align_up(offset, SZ_2M) / SZ_2M;
	const uint64_t left = GMEM_MAX_ANONYMOUS - gmem->nr_anonymous;
	uint64_t top = (offset + size) / SZ_2M;
	int ret;

	if (gmem->is_exported || top <= first || left == 0)
		return 0;
	if (top - first > left)
		top = first + left;
	ret = backing_detach(&gmem->sides[GMEM_SHARED], first * SZ_2M, (top - first) * SZ_2M);
	if (ret)
		return ret;
	fill_bits(gmem->anonymous, first, top, true);
	gmem->nr_anonymous += top - first;
	return 0;
}

/* A block keeps the memory that it has as long as any page of it is shared. */
static int attach_blocks(struct gmem *gmem, uint64_t offset, uint64_t size)
{
	const uint64_t top = align_up(offset + size, SZ_2M) / SZ_2M;
	int ret = 0;

	for (uint64_t block = offset / SZ_2M; block < top && !ret; block++) {
		const uint64_t page = block * BLOCK_PAGES, end = page + BLOCK_PAGES;

		if (!test_bit(gmem->anonymous, block) ||
		    skip_bits(gmem->shared, page, end, false) < end)
			continue;
		ret = backing_attach(&gmem->sides[GMEM_SHARED], block * SZ_2M, SZ_2M);
		fill_bits(gmem->anonymous, block, block + 1, false);
		gmem->nr_anonymous--;
	}
	return ret;
}

/* Make memory of one kind live on one side and dead on the other. */
static int switch_stretch(struct gmem *gmem, uint64_t offset, uint64_t size, bool shared)
{
	struct backing *ours = &gmem->sides[GMEM_SHARED], *theirs = &gmem->sides[GMEM_PRIVATE];
	const bool has_alias = gmem->aliases && !test_bit(gmem->anonymous, offset / SZ_2M);
	int ret = 0;

	if (shared && has_alias)
		ret = backing_alias(theirs, ours, offset, size);
	else if (shared && gmem->kind == GMEM_SPLIT)
		ret = backing_kill(theirs, offset, size);
	if (shared)
		return ret ? ret : backing_revive(ours, offset, size);

	if (has_alias)
		ret = backing_end_alias(theirs, offset, size);
	else if (gmem->kind == GMEM_SPLIT)
		ret = backing_revive(theirs, offset, size);
	return ret ? ret : backing_kill(ours, offset, size);
}

/* Where the blocks end that are as the one at @offset, @top at most. */
static uint64_t stretch_end(const struct gmem *gmem, uint64_t offset, uint64_t top)
{
	const uint64_t block = offset / SZ_2M;
	const uint64_t end = skip_bits(gmem->anonymous, block, align_up(top, SZ_2M) / SZ_2M,
				       test_bit(gmem->anonymous, block));

	return end * SZ_2M < top ? end * SZ_2M : top;
}

/* Make [@page, @top), all of it in the other state, live on one side and dead on the other. */
static int switch_side(struct gmem *gmem, uint64_t page, uint64_t top, bool shared)
{
	const uint64_t offset = page * GRANULE_SIZE, size = (top - page) * GRANULE_SIZE;
	uint64_t end;
	int ret = 0;

	/* What was written to a hole in the meantime is not the guest's. */
	if (shared && gmem->is_exported)
		ret = backing_drop(&gmem->sides[GMEM_SHARED], offset, size);
	if (!ret && gmem->kind == GMEM_REALM)
		ret = shared ? gmem->private_ops->to_shared(gmem->private_ctx, offset, size)
			     : gmem->private_ops->to_private(gmem->private_ctx, offset, size);
	if (!ret && shared)
		ret = detach_blocks(gmem, offset, size);
	for (uint64_t at = offset; at < offset + size && !ret; at = end) {
		end = stretch_end(gmem, at, offset + size);
		ret = switch_stretch(gmem, at, end - at, shared);
	}
	if (ret)
		return ret;
	fill_bits(gmem->shared, page, top, shared);
	return shared ? 0 : attach_blocks(gmem, offset, size);
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
	while (!ret && (page = skip_bits(gmem->shared, page, last, shared)) < last) {
		end = skip_bits(gmem->shared, page, last, !shared);
		ret = switch_side(gmem, page, end, shared);
		if (!ret) {
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

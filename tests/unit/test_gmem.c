/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/mem/backing.c src/mem/gmem.c src/util/file.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ccr/gmem.h"

#define BASE       0x80000000ull
#define SIZE       (4 * SZ_2M)
#define SHARED_BIT (1ull << 32)
#define PAGES      (SIZE / GRANULE_SIZE)
#define TOP        (BASE + SIZE)

static struct gmem *create(enum gmem_kind kind, uint64_t size)
{
	struct gmem *gmem = NULL;
	struct ccr_err err = {0};

	assert_int_equal(gmem_create(&gmem, kind, ipa_at(BASE), size, SHARED_BIT, &err), 0);
	assert_int_equal(err.code, 0);
	return gmem;
}

static int plain_begin(void **state)
{
	*state = create(GMEM_PLAIN, SIZE);
	return 0;
}

static int exportable_begin(void **state)
{
	struct ccr_err err = {0};
	struct gmem *gmem = NULL;

	assert_int_equal(gmem_create_exportable(&gmem, ipa_at(BASE), SIZE, &err), 0);
	*state = gmem;
	return 0;
}

static int split_begin(void **state)
{
	*state = create(GMEM_SPLIT, SIZE);
	return 0;
}

static int gmem_end(void **state)
{
	gmem_destroy(*state);
	return 0;
}

static ipa_t page_at(uint64_t page)
{
	return ipa_at(BASE + page * GRANULE_SIZE);
}

static int show(struct gmem *gmem, uint64_t page, uint64_t nr)
{
	return gmem_set_shared(gmem, page_at(page), nr * GRANULE_SIZE);
}

static int hide(struct gmem *gmem, uint64_t page, uint64_t nr)
{
	return gmem_set_private(gmem, page_at(page), nr * GRANULE_SIZE);
}

static void assert_all_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], 0);
}

/* Sum of a figure of /proc/self/smaps over the mappings that begin in [@from, @to) or, if @to is 0,
 * whose name contains @name. */
static uint64_t sum_of(const char *name, uint64_t from, uint64_t to, const char *figure)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	const size_t length = strlen(figure);
	char line[512];
	bool ours = false;
	uint64_t sum = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long long kib, start, end;

		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			ours = to ? start >= from && start < to : strstr(line, name) != NULL;
		else if (ours && !strncmp(line, figure, length) &&
			 sscanf(line + length, ": %llu kB", &kib) == 1)
			sum += kib;
	}
	fclose(file);
	return sum;
}

static uint64_t resident_kib(struct gmem *gmem, enum gmem_side side)
{
	const uint64_t map = gmem_slot_address(gmem, side);

	return sum_of(NULL, map, map + gmem_size(gmem), "Rss");
}

static uint64_t mapped_kib(const char *name)
{
	return sum_of(name, 0, 0, "Size");
}

/* Creation. */

static void test_refuses_sizes(void **state)
{
	static const struct {
		uint64_t base, size;
	} bad[] = {
		{BASE, 0},         {BASE, GRANULE_SIZE}, {BASE, SZ_2M + GRANULE_SIZE},
		{BASE, SZ_2M - 1}, {BASE + 1, SZ_2M},    {BASE + GRANULE_SIZE / 2, SZ_2M},
	};
	struct gmem *gmem = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ccr_err err = {0};

		assert_int_equal(gmem_create(&gmem, GMEM_SPLIT, ipa_at(bad[i].base), bad[i].size,
					     SHARED_BIT, &err),
				 -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_null(gmem);
	}
}

/* What the host refuses is told in one sentence, and nothing is left behind. */
static void assert_host_refuses(int resource, rlim_t limit, int code, const char *what)
{
	struct ccr_err err = {0};
	struct gmem *gmem = NULL;
	struct rlimit old, low;
	const uint64_t before = mapped_kib("");

	assert_int_equal(getrlimit(resource, &old), 0);
	low = (struct rlimit){.rlim_cur = limit, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(resource, &low), 0);
	assert_int_equal(gmem_create(&gmem, GMEM_SPLIT, ipa_at(BASE), SIZE, SHARED_BIT, &err),
			 code);
	assert_int_equal(setrlimit(resource, &old), 0);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, what));
	assert_null(gmem);
	/* The other side was there, and is given back; some of it is room for the library. */
	assert_in_range(mapped_kib(""), 0, before + (SIZE >> 11));
}

static void test_host_refuses(void **state)
{
	const int free_fd = dup(STDIN_FILENO);

	(void)state;
	close(free_fd);
	signal(SIGXFSZ, SIG_IGN);
	assert_host_refuses(RLIMIT_FSIZE, SIZE - 1, -EFBIG, "no memfd of 8 MiB");
	signal(SIGXFSZ, SIG_DFL);
	assert_host_refuses(RLIMIT_NOFILE, (rlim_t)free_fd, -EMFILE, "memfd_create failed");
	assert_int_equal(dup(STDIN_FILENO), free_fd);
	close(free_fd);
}

static void test_facts(void **state)
{
	struct gmem *gmem = *state;

	assert_int_equal(gmem_base(gmem).v, BASE);
	assert_int_equal(gmem_size(gmem), SIZE);
	assert_int_equal(gmem_shared_bit(gmem), SHARED_BIT);
	assert_int_equal(gmem_strip(gmem, ipa_at(BASE | SHARED_BIT)).v, BASE);
	assert_int_equal(gmem_strip(gmem, ipa_at(BASE)).v, BASE);
	assert_int_equal(gmem_strip(gmem, ipa_at(~0ull)).v, ~SHARED_BIT);
}

static void test_plain_has_no_shared_bit(void **state)
{
	struct gmem *gmem = *state;

	assert_int_equal(gmem_shared_bit(gmem), 0);
	assert_int_equal(gmem_strip(gmem, ipa_at(BASE | SHARED_BIT)).v, BASE | SHARED_BIT);
}

static void test_slot_addresses(void **state)
{
	struct gmem *plain = create(GMEM_PLAIN, SIZE), *split = create(GMEM_SPLIT, SIZE);
	struct gmem *realm = create(GMEM_REALM, SIZE);

	(void)state;
	assert_int_equal(gmem_slot_address(plain, GMEM_PRIVATE), 0);
	assert_int_not_equal(gmem_slot_address(plain, GMEM_SHARED), 0);
	assert_int_not_equal(gmem_slot_address(split, GMEM_PRIVATE), 0);
	assert_int_not_equal(gmem_slot_address(split, GMEM_SHARED), 0);
	assert_int_not_equal(gmem_slot_address(split, GMEM_SHARED),
			     gmem_slot_address(split, GMEM_PRIVATE));
	assert_int_equal(gmem_slot_address(realm, GMEM_PRIVATE), 0);
	assert_int_not_equal(gmem_slot_address(realm, GMEM_SHARED), 0);
	gmem_destroy(plain);
	gmem_destroy(split);
	gmem_destroy(realm);
	gmem_destroy(NULL);
}

static void test_contains(void **state)
{
	static const struct {
		uint64_t at, size;
		bool inside;
	} ranges[] = {
		{BASE, SIZE, true},   {BASE, 0, true},
		{TOP, 0, true},       {BASE, SIZE + 1, false},
		{BASE - 1, 1, false}, {BASE - 1, 2, false},
		{TOP - 1, 1, true},   {TOP - 1, 2, false},
		{TOP, 1, false},      {BASE | SHARED_BIT, 1, false},
		{0, ~0ull, false},    {~0ull, 1, false},
		{BASE, ~0ull, false}, {BASE + 1, ~0ull - BASE, false},
	};
	struct gmem *gmem = *state;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		assert_int_equal(gmem_contains(gmem, ipa_at(ranges[i].at), ranges[i].size),
				 ranges[i].inside);
}

/* Copies. */

static void test_plain_copies(void **state)
{
	struct gmem *gmem = *state;
	uint8_t out[5] = {0};

	assert_true(gmem_is_shared(gmem, ipa_at(BASE)));
	assert_int_equal(gmem_nr_shared_pages(gmem), PAGES);
	/* Across a page's border, at no alignment. */
	assert_int_equal(gmem_write(gmem, ipa_at(BASE + GRANULE_SIZE - 2), "abcde", 5), 0);
	assert_int_equal(gmem_read(gmem, ipa_at(BASE + GRANULE_SIZE - 2), out, 5), 0);
	assert_memory_equal(out, "abcde", 5);
	assert_int_equal(gmem_load(gmem, ipa_at(TOP - 5), "vwxyz", 5), 0);
	assert_int_equal(gmem_read(gmem, ipa_at(TOP - 5), out, 5), 0);
	assert_memory_equal(out, "vwxyz", 5);
	assert_int_equal(gmem_nr_refused(gmem), 0);
}

static void test_plain_refuses_what_is_not_ram(void **state)
{
	static const struct {
		uint64_t at;
		size_t size;
	} bad[] = {
		{BASE - 1, 1},
		{BASE - 1, 8},
		{TOP, 1},
		{TOP - 7, 8},
		{0, 8},
		{~0ull, 8},
		{~0ull - 7, 8},
		{BASE, SIZE + 1},
		{BASE, SIZE_MAX},
		{1, SIZE_MAX},
		{BASE + 8, SIZE_MAX - BASE - 4},
		{BASE | SHARED_BIT, 8},
	};
	struct gmem *gmem = *state;
	uint8_t byte = 0x5a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gmem_read(gmem, ipa_at(bad[i].at), &byte, bad[i].size), -EFAULT);
		assert_int_equal(gmem_write(gmem, ipa_at(bad[i].at), &byte, bad[i].size), -EFAULT);
		assert_int_equal(gmem_load(gmem, ipa_at(bad[i].at), &byte, bad[i].size), -EFAULT);
		assert_int_equal(byte, 0x5a);
	}
	assert_int_equal(gmem_nr_refused(gmem), 2 * sizeof(bad) / sizeof(bad[0]));
}

static void test_plain_loads_the_end_of_a_file(void **state)
{
	const int fd = memfd_create("file", MFD_CLOEXEC);
	struct gmem *gmem = *state;
	uint8_t out[6];

	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(gmem_load_file(gmem, ipa_at(BASE + 4093), fd, 4, 6), 0);
	assert_int_equal(gmem_read(gmem, ipa_at(BASE + 4093), out, 6), 0);
	assert_memory_equal(out, "456789", 6);
	assert_int_equal(gmem_load_file(gmem, ipa_at(TOP - 6), fd, 4, 6), 0);
	assert_int_equal(gmem_load_file(gmem, ipa_at(TOP - 5), fd, 4, 6), -EFAULT);
	assert_int_equal(gmem_load_file(gmem, ipa_at(BASE - 1), fd, 4, 6), -EFAULT);
	assert_int_equal(gmem_load_file(gmem, ipa_at(BASE), fd, 0, SIZE_MAX), -EFAULT);
	assert_int_equal(gmem_load_file(gmem, ipa_at(BASE), fd, 4, 5), -ESTALE);
	assert_int_equal(gmem_load_file(gmem, ipa_at(BASE), fd, 4, 7), -ESTALE);
	close(fd);
	assert_int_equal(gmem_load_file(gmem, ipa_at(BASE), fd, 4, 6), -EBADF);
	assert_int_equal(gmem_nr_refused(gmem), 0);
}

static void test_plain_has_no_private_side(void **state)
{
	struct gmem *gmem = *state;
	uint8_t byte = 0;

	assert_int_equal(show(gmem, 0, 1), -EPERM);
	assert_int_equal(hide(gmem, 0, 1), -EPERM);
	assert_int_equal(gmem_rmm_read(gmem, ipa_at(BASE), &byte, 1), -EFAULT);
	assert_int_equal(gmem_rmm_write(gmem, ipa_at(BASE), &byte, 1), -EFAULT);
	assert_int_equal(gmem_rmm_read(gmem, ipa_at(BASE), &byte, 0), -EFAULT);
	assert_int_equal(gmem_nr_refused(gmem), 0);
}

static void test_split_begins_private(void **state)
{
	struct gmem *gmem = *state;
	uint8_t out[8];

	assert_false(gmem_is_shared(gmem, ipa_at(BASE)));
	assert_int_equal(gmem_nr_shared_pages(gmem), 0);
	assert_int_equal(gmem_read(gmem, ipa_at(BASE), out, 8), -EFAULT);
	assert_int_equal(gmem_write(gmem, ipa_at(BASE), out, 8), -EFAULT);
	assert_int_equal(gmem_nr_refused(gmem), 2);
	assert_int_equal(gmem_load(gmem, ipa_at(BASE), "firmware", 8), 0);
	assert_int_equal(gmem_rmm_read(gmem, ipa_at(BASE), out, 8), 0);
	assert_memory_equal(out, "firmware", 8);
	assert_int_equal(gmem_nr_refused(gmem), 2);
}

static void test_split_copies_are_all_or_nothing(void **state)
{
	struct gmem *gmem = *state;
	const ipa_t border = page_at(8), across = ipa_at(border.v - 4);
	uint8_t out[8];

	/* Page 7 is shared, page 8 is private: nothing may be written on either. */
	assert_int_equal(show(gmem, 7, 1), 0);
	assert_int_equal(gmem_write(gmem, across, "12345678", 8), -EFAULT);
	assert_int_equal(gmem_rmm_write(gmem, across, "12345678", 8), -EFAULT);
	assert_int_equal(gmem_read(gmem, across, out, 4), 0);
	assert_all_zero(out, 4);
	assert_int_equal(gmem_rmm_read(gmem, border, out, 4), 0);
	assert_all_zero(out, 4);
	/* Each side up to the border is fine. */
	assert_int_equal(gmem_write(gmem, across, "1234", 4), 0);
	assert_int_equal(gmem_rmm_write(gmem, border, "5678", 4), 0);
	assert_int_equal(gmem_read(gmem, across, out, 5), -EFAULT);
	assert_int_equal(gmem_rmm_read(gmem, ipa_at(border.v - 1), out, 5), -EFAULT);
}

/* Changes of state. */

static void test_contents_are_lost_both_ways(void **state)
{
	struct gmem *gmem = *state;
	uint8_t page[GRANULE_SIZE];

	memset(page, 0xaa, sizeof(page));
	assert_int_equal(gmem_rmm_write(gmem, page_at(3), page, sizeof(page)), 0);
	assert_int_equal(show(gmem, 3, 1), 0);
	assert_true(gmem_is_shared(gmem, page_at(3)));
	assert_int_equal(gmem_rmm_read(gmem, page_at(3), page, 1), -EFAULT);
	assert_int_equal(gmem_read(gmem, page_at(3), page, sizeof(page)), 0);
	assert_all_zero(page, sizeof(page));

	memset(page, 0xbb, sizeof(page));
	assert_int_equal(gmem_write(gmem, page_at(3), page, sizeof(page)), 0);
	assert_int_equal(hide(gmem, 3, 1), 0);
	assert_int_equal(gmem_read(gmem, page_at(3), page, 1), -EFAULT);
	/* Neither what the host wrote nor what the guest had before. */
	assert_int_equal(gmem_rmm_read(gmem, page_at(3), page, sizeof(page)), 0);
	assert_all_zero(page, sizeof(page));

	assert_int_equal(show(gmem, 3, 1), 0);
	assert_int_equal(gmem_read(gmem, page_at(3), page, sizeof(page)), 0);
	assert_all_zero(page, sizeof(page));
}

static void test_no_change_keeps_contents(void **state)
{
	struct gmem *gmem = *state;
	char out[4];

	assert_int_equal(gmem_rmm_write(gmem, page_at(0), "priv", 4), 0);
	assert_int_equal(show(gmem, 5, 2), 0);
	assert_int_equal(gmem_write(gmem, page_at(5), "shar", 4), 0);
	/* RAM to RAM over everything: what was private keeps its contents, the rest loses them. */
	assert_int_equal(show(gmem, 5, 1), 0);
	assert_int_equal(gmem_read(gmem, page_at(5), out, 4), 0);
	assert_memory_equal(out, "shar", 4);
	assert_int_equal(hide(gmem, 0, PAGES), 0);
	assert_int_equal(gmem_rmm_read(gmem, page_at(0), out, 4), 0);
	assert_memory_equal(out, "priv", 4);
	assert_int_equal(gmem_rmm_read(gmem, page_at(5), out, 4), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_int_equal(gmem_nr_shared_pages(gmem), 0);
}

static void test_neighbours_keep_contents(void **state)
{
	struct gmem *gmem = *state;
	char out[4];

	assert_int_equal(gmem_rmm_write(gmem, page_at(9), "left", 4), 0);
	assert_int_equal(gmem_rmm_write(gmem, page_at(11), "rght", 4), 0);
	assert_int_equal(show(gmem, 10, 1), 0);
	assert_int_equal(hide(gmem, 10, 1), 0);
	assert_int_equal(gmem_rmm_read(gmem, page_at(9), out, 4), 0);
	assert_memory_equal(out, "left", 4);
	assert_int_equal(gmem_rmm_read(gmem, page_at(11), out, 4), 0);
	assert_memory_equal(out, "rght", 4);
}

static void test_refuses_ranges(void **state)
{
	static const struct {
		uint64_t at, size;
	} bad[] = {
		{BASE, 0},
		{BASE + 1, GRANULE_SIZE},
		{BASE, GRANULE_SIZE - 1},
		{BASE, SIZE + GRANULE_SIZE},
		{BASE - GRANULE_SIZE, GRANULE_SIZE},
		{TOP, GRANULE_SIZE},
		{BASE | SHARED_BIT, GRANULE_SIZE},
		{BASE + GRANULE_SIZE, 0ull - GRANULE_SIZE},
		{0, 0ull - GRANULE_SIZE},
		{0ull - GRANULE_SIZE, GRANULE_SIZE},
	};
	struct gmem *gmem = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gmem_set_shared(gmem, ipa_at(bad[i].at), bad[i].size), -EINVAL);
		assert_int_equal(gmem_set_private(gmem, ipa_at(bad[i].at), bad[i].size), -EINVAL);
	}
	assert_int_equal(gmem_nr_shared_pages(gmem), 0);
}

/* Congruent with the guest's addresses, or KVM cannot map huge pages. */
static void test_is_aligned_for_huge_pages(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct gmem *plain = create(GMEM_PLAIN, SIZE), *split = create(GMEM_SPLIT, SIZE);

		assert_int_equal(gmem_slot_address(plain, GMEM_SHARED) % SZ_2M, 0);
		assert_int_equal(gmem_slot_address(split, GMEM_PRIVATE) % SZ_2M, 0);
		assert_int_equal(gmem_slot_address(split, GMEM_SHARED) % SZ_2M, 0);
		gmem_destroy(plain);
		gmem_destroy(split);
	}
}

/* What was private is gone when the page is private again, with and without aliases. */
static void test_private_comes_back_empty(void **state)
{
	struct gmem *gmem = *state;
	uint8_t bytes[GRANULE_SIZE];

	for (unsigned i = 0; i < 2; i++) {
		memset(bytes, 0x5a, sizeof(bytes));
		assert_int_equal(gmem_rmm_write(gmem, page_at(9), bytes, sizeof(bytes)), 0);
		assert_int_equal(show(gmem, 9, 1), 0);
		assert_int_equal(hide(gmem, 9, 1), 0);
		assert_int_equal(gmem_rmm_read(gmem, page_at(9), bytes, sizeof(bytes)), 0);
		assert_all_zero(bytes, sizeof(bytes));
		gmem_alias_shared(gmem);
	}
}

static void test_dead_side_costs_nothing(void **state)
{
	struct gmem *gmem = *state;
	uint8_t *bytes = malloc(SZ_2M);

	assert_non_null(bytes);
	memset(bytes, 1, SZ_2M);
	assert_int_equal(gmem_rmm_write(gmem, page_at(0), bytes, SZ_2M), 0);
	assert_int_equal(resident_kib(gmem, GMEM_PRIVATE), SZ_2M >> 10);
	assert_int_equal(show(gmem, 0, SZ_2M / GRANULE_SIZE), 0);
	assert_int_equal(resident_kib(gmem, GMEM_PRIVATE), 0);
	assert_int_equal(gmem_write(gmem, page_at(0), bytes, SZ_2M), 0);
	assert_int_equal(resident_kib(gmem, GMEM_SHARED), SZ_2M >> 10);
	assert_int_equal(hide(gmem, 0, SZ_2M / GRANULE_SIZE), 0);
	assert_int_equal(resident_kib(gmem, GMEM_SHARED), 0);
	free(bytes);
}

/* The bitmap against a model that has one bool a page and no words to get wrong. */

struct model {
	bool shared[PAGES];
};

static void model_fill(struct model *model, uint64_t page, uint64_t nr, bool shared)
{
	for (uint64_t i = page; i < page + nr; i++)
		model->shared[i] = shared;
}

static uint64_t model_end(const struct model *model, uint64_t page, uint64_t top)
{
	uint64_t end = page + 1;

	while (end < top && model->shared[end] == model->shared[page])
		end++;
	return end;
}

static void assert_agrees(struct gmem *gmem, const struct model *model)
{
	uint64_t nr_shared = 0;

	for (uint64_t page = 0; page < PAGES; page++) {
		assert_int_equal(gmem_is_shared(gmem, page_at(page)), model->shared[page]);
		nr_shared += model->shared[page];
	}
	assert_int_equal(gmem_nr_shared_pages(gmem), nr_shared);
	for (uint64_t page = 0; page < PAGES; page = model_end(model, page, PAGES))
		assert_int_equal(gmem_run_end(gmem, page_at(page), ipa_at(TOP)).v,
				 page_at(model_end(model, page, PAGES)).v);
}

static void both_fill(struct gmem *gmem, struct model *model, uint64_t page, uint64_t nr,
		      bool shared)
{
	assert_int_equal(shared ? show(gmem, page, nr) : hide(gmem, page, nr), 0);
	model_fill(model, page, nr, shared);
}

/* What a balloon takes comes back as zeros; the rest stays as it was. */
static void test_give_back(void **state)
{
	struct gmem *gmem = *state;
	char bytes[3];

	assert_int_equal(gmem_write(gmem, ipa_at(BASE + GRANULE_SIZE - 1), "abc", 3), 0);
	assert_int_equal(gmem_give_back(gmem, page_at(1), GRANULE_SIZE), 0);
	assert_int_equal(gmem_read(gmem, ipa_at(BASE + GRANULE_SIZE - 1), bytes, 3), 0);
	assert_memory_equal(bytes, "a\0\0", 3);
	/* Of a page that is not all in it, nothing is lost. */
	assert_int_equal(gmem_write(gmem, page_at(2), "xyz", 3), 0);
	assert_int_equal(gmem_give_back(gmem, ipa_at(BASE + 2 * GRANULE_SIZE + 1), 100), 0);
	assert_int_equal(gmem_give_back(gmem, ipa_at(BASE + GRANULE_SIZE + 1), GRANULE_SIZE), 0);
	assert_int_equal(gmem_read(gmem, page_at(2), bytes, 3), 0);
	assert_memory_equal(bytes, "xyz", 3);
	assert_int_equal(gmem_give_back(gmem, ipa_at(BASE + SIZE), 1), -EFAULT);
	assert_int_equal(gmem_give_back(gmem, ipa_at(BASE + SIZE - 1), 2), -EFAULT);
	assert_int_equal(gmem_give_back(gmem, page_at(0), 0), -EFAULT);
	assert_int_equal(gmem_give_back(gmem, ipa_at(UINT64_MAX), 2), -EFAULT);
}

static void test_realms_keep_their_memory(void **state)
{
	assert_int_equal(gmem_give_back(*state, page_at(0), GRANULE_SIZE), -EOPNOTSUPP);
}

static void test_word_borders(void **state)
{
	static const struct {
		unsigned page, nr;
	} ranges[] = {
		{0, 1},     {63, 1},    {64, 1},        {63, 2},        {0, 64},
		{64, 64},   {0, 65},    {1, 63},        {1, 64},        {60, 136},
		{127, 66},  {0, 512},   {513, 127},     {2047, 1},      {1984, 64},
		{1983, 65}, {0, PAGES}, {1, PAGES - 1}, {0, PAGES - 1},
	};
	struct model model = {0};
	struct gmem *gmem = *state;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		both_fill(gmem, &model, ranges[i].page, ranges[i].nr, true);
		assert_agrees(gmem, &model);
		both_fill(gmem, &model, ranges[i].page, ranges[i].nr, false);
		assert_agrees(gmem, &model);
		/* A hole in a full map. */
		both_fill(gmem, &model, 0, PAGES, true);
		both_fill(gmem, &model, ranges[i].page, ranges[i].nr, false);
		assert_agrees(gmem, &model);
		both_fill(gmem, &model, 0, PAGES, false);
	}
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

static void test_random_changes(void **state)
{
	struct model model = {0};
	struct gmem *gmem = *state;
	uint64_t seed = 1;

	for (unsigned i = 0; i < 400; i++) {
		const uint64_t page = next_random(&seed) % PAGES;
		const uint64_t span = next_random(&seed) % 4 ? 130 : PAGES;
		const uint64_t left = PAGES - page;
		const uint64_t nr = 1 + next_random(&seed) % (left < span ? left : span);

		both_fill(gmem, &model, page, nr, next_random(&seed) % 2);
		assert_agrees(gmem, &model);
	}
}

/*
 * Whatever the changes, of pages or of blocks, what a page holds is what its present side was last
 * given.
 */
static void change_at_random(struct gmem *gmem)
{
	static uint64_t held[PAGES];
	uint64_t seed = 7, value;

	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < 8000; i++) {
		const uint64_t page = next_random(&seed) % PAGES;
		const uint64_t span = next_random(&seed) % 4 ? 1 : next_random(&seed) % PAGES;
		const uint64_t nr = span < PAGES - page ? span : PAGES - page;
		const bool shared = gmem_is_shared(gmem, page_at(page));
		const ipa_t at = ipa_at(page_at(page).v + 0x123);
		const unsigned what = next_random(&seed) % 4;

		switch (what) {
		case 0:
		case 1:
			for (uint64_t j = page; j < page + nr; j++)
				held[j] = gmem_is_shared(gmem, page_at(j)) == !what ? held[j] : 0;
			if (nr > 0)
				assert_int_equal(what ? hide(gmem, page, nr) : show(gmem, page, nr),
						 0);
			break;
		case 2:
			value = next_random(&seed);
			assert_int_equal(gmem_write(gmem, at, &value, 8), shared ? 0 : -EFAULT);
			if (!shared)
				assert_int_equal(gmem_rmm_write(gmem, at, &value, 8), 0);
			held[page] = value;
			break;
		default:
			assert_int_equal(gmem_rmm_read(gmem, at, &value, 8), shared ? -EFAULT : 0);
			if (shared)
				assert_int_equal(gmem_read(gmem, at, &value, 8), 0);
			assert_int_equal(value, held[page]);
		}
	}
}

static void test_random_contents(void **state)
{
	change_at_random(*state);
}

static void test_random_contents_aliased(void **state)
{
	gmem_alias_shared(*state);
	change_at_random(*state);
}

static void test_random_contents_exported(void **state)
{
	assert_true(gmem_export_shared(*state) >= 0);
	change_at_random(*state);
}

/* Blocks that are shared as a whole leave the memfd, for huge pages, until nothing is shared. */

#define BLOCK (SZ_2M / GRANULE_SIZE)

static void test_blocks_leave_the_memfd(void **state)
{
	const uint64_t before = mapped_kib("ccr-shared"), block = SZ_2M >> 10;
	struct gmem *gmem = *state;
	char bytes[4] = "tail";

	/* All but a page of block 0, all of block 1, some of block 2. */
	assert_int_equal(show(gmem, 1, 2 * BLOCK + 8), 0);
	assert_int_equal(mapped_kib("ccr-shared"), before - block);
	assert_int_equal(gmem_write(gmem, page_at(2 * BLOCK - 1), bytes, 4), 0);
	assert_int_equal(show(gmem, 0, 1), 0);
	assert_int_equal(show(gmem, 2 * BLOCK + 8, BLOCK - 8), 0);
	assert_int_equal(mapped_kib("ccr-shared"), before - block);

	assert_int_equal(hide(gmem, BLOCK, BLOCK - 1), 0);
	assert_int_equal(mapped_kib("ccr-shared"), before - block);
	assert_int_equal(show(gmem, BLOCK, BLOCK - 1), 0);
	assert_int_equal(mapped_kib("ccr-shared"), before - block);
	assert_int_equal(gmem_read(gmem, page_at(2 * BLOCK - 1), bytes, 4), 0);
	assert_memory_equal(bytes, "tail", 4);

	assert_int_equal(hide(gmem, 3, 2 * BLOCK), 0);
	assert_int_equal(mapped_kib("ccr-shared"), before);
	assert_int_equal(show(gmem, BLOCK, 1), 0);
	assert_int_equal(gmem_read(gmem, page_at(BLOCK), bytes, 4), 0);
	assert_memory_equal(bytes, "\0\0\0\0", 4);
	assert_int_equal(mapped_kib("ccr-shared"), before);
}

static void test_exported_blocks_stay_in_the_memfd(void **state)
{
	const uint64_t before = mapped_kib("ccr-shared");

	assert_true(gmem_export_shared(*state) >= 0);
	assert_int_equal(show(*state, 0, PAGES), 0);
	assert_int_equal(mapped_kib("ccr-shared"), before);
}

/* Mappings of a side. */
static unsigned nr_mappings(struct gmem *gmem, enum gmem_side side)
{
	const uint64_t map = gmem_slot_address(gmem, side);
	unsigned nr = 0;
	char line[512];
	FILE *file = fopen("/proc/self/maps", "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long long start;

		if (sscanf(line, "%llx-", &start) == 1)
			nr += start >= map && start < map + gmem_size(gmem);
	}
	fclose(file);
	return nr;
}

/* A guest cannot make more mappings with blocks than by sharing in as many pieces. */
static void test_blocks_cost_few_mappings(void **state)
{
	struct gmem *gmem = *state;

	gmem_alias_shared(gmem);
	assert_int_equal(show(gmem, BLOCK, BLOCK), 0);
	for (uint64_t page = BLOCK; page < 2 * BLOCK; page += 2)
		assert_int_equal(hide(gmem, page, 1), 0);
	for (uint64_t page = BLOCK; page < 2 * BLOCK; page += 2)
		assert_int_equal(show(gmem, page, 1), 0);
	assert_in_range(nr_mappings(gmem, GMEM_SHARED), 1, 3);
	assert_in_range(nr_mappings(gmem, GMEM_PRIVATE), 1, 3);
}

static void test_blocks_are_capped(void **state)
{
	const uint64_t before = mapped_kib("ccr-shared"), block = SZ_2M >> 10;
	struct gmem *gmem = create(GMEM_SPLIT, (GMEM_MAX_ANONYMOUS + 2) * SZ_2M);

	(void)state;
	assert_int_equal(show(gmem, BLOCK, BLOCK), 0);
	assert_int_equal(show(gmem, 0, (GMEM_MAX_ANONYMOUS + 2) * BLOCK), 0);
	assert_int_equal(mapped_kib("ccr-shared") - before, 2 * block);
	assert_int_equal(hide(gmem, 2 * BLOCK, BLOCK), 0);
	assert_int_equal(show(gmem, 2 * BLOCK, BLOCK), 0);
	assert_int_equal(mapped_kib("ccr-shared") - before, 2 * block);
	gmem_destroy(gmem);
}

static void test_run_end(void **state)
{
	struct gmem *gmem = *state;

	assert_int_equal(gmem_run_end(gmem, ipa_at(BASE), ipa_at(TOP)).v, TOP);
	assert_int_equal(show(gmem, 100, 30), 0);
	assert_int_equal(gmem_run_end(gmem, page_at(0), ipa_at(TOP)).v, page_at(100).v);
	assert_int_equal(gmem_run_end(gmem, page_at(100), ipa_at(TOP)).v, page_at(130).v);
	assert_int_equal(gmem_run_end(gmem, page_at(129), ipa_at(TOP)).v, page_at(130).v);
	assert_int_equal(gmem_run_end(gmem, page_at(130), ipa_at(TOP)).v, TOP);
	/* Bounded by @top, and on its border. */
	assert_int_equal(gmem_run_end(gmem, page_at(100), page_at(110)).v, page_at(110).v);
	assert_int_equal(gmem_run_end(gmem, page_at(100), page_at(130)).v, page_at(130).v);
	assert_int_equal(gmem_run_end(gmem, page_at(99), page_at(100)).v, page_at(100).v);
	/* Inside pages. */
	assert_int_equal(gmem_run_end(gmem, ipa_at(page_at(99).v + 5), page_at(101)).v,
			 page_at(100).v);
	assert_int_equal(gmem_run_end(gmem, page_at(99), ipa_at(page_at(100).v + 5)).v,
			 page_at(100).v);
	assert_int_equal(gmem_run_end(gmem, page_at(98), ipa_at(page_at(99).v + 5)).v,
			 page_at(99).v + 5);
	/* Nothing to look at. */
	assert_int_equal(gmem_run_end(gmem, page_at(5), page_at(5)).v, page_at(5).v);
	assert_int_equal(gmem_run_end(gmem, page_at(5), page_at(4)).v, page_at(4).v);
	assert_int_equal(gmem_run_end(gmem, page_at(5), ipa_at(TOP + GRANULE_SIZE)).v,
			 TOP + GRANULE_SIZE);
}

/* A guest that shares every second page must not exhaust the host's mappings. */

#define CAP_PAGES (2 * GMEM_MAX_RUNS + 512)

static void test_runs_are_capped(void **state)
{
	struct gmem *gmem = create(GMEM_SPLIT, CAP_PAGES * (uint64_t)GRANULE_SIZE);
	const uint64_t next = 2 * GMEM_MAX_RUNS;

	(void)state;
	for (uint64_t run = 0; run < GMEM_MAX_RUNS; run++)
		assert_int_equal(show(gmem, 2 * run, 1), 0);
	assert_int_equal(gmem_nr_shared_pages(gmem), GMEM_MAX_RUNS);
	/* One more is refused, and changes nothing. */
	assert_int_equal(show(gmem, next, 1), -ENOSPC);
	assert_false(gmem_is_shared(gmem, page_at(next)));
	assert_int_equal(gmem_nr_shared_pages(gmem), GMEM_MAX_RUNS);
	/* What makes no new run is still allowed: growing one, no change, joining two. */
	assert_int_equal(show(gmem, 0, 1), 0);
	assert_int_equal(show(gmem, next - 1, 1), 0);
	assert_int_equal(hide(gmem, next - 1, 1), 0);
	assert_int_equal(show(gmem, 1, 1), 0);
	/* Three pages in one piece now: splitting them is the run that joining has freed. */
	assert_int_equal(show(gmem, next, 1), 0);
	assert_int_equal(hide(gmem, 1, 1), -ENOSPC);
	assert_true(gmem_is_shared(gmem, page_at(1)));
	assert_int_equal(hide(gmem, next, 1), 0);
	assert_int_equal(hide(gmem, 1, 1), 0);
	assert_int_equal(show(gmem, next, 1), -ENOSPC);
	/* All at once frees them all. */
	assert_int_equal(show(gmem, 0, CAP_PAGES), 0);
	assert_int_equal(hide(gmem, 0, CAP_PAGES), 0);
	assert_int_equal(show(gmem, next, 1), 0);
	gmem_destroy(gmem);
}

/* The count of runs never drifts from the truth, whatever the changes: the cap finds it out. */
static void test_runs_are_counted(void **state)
{
	struct gmem *gmem = create(GMEM_SPLIT, CAP_PAGES * (uint64_t)GRANULE_SIZE);
	uint64_t seed = 3, nr = 0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		const uint64_t page = next_random(&seed) % 1000;
		const uint64_t span = 1 + next_random(&seed) % 3;

		assert_int_equal(next_random(&seed) % 2 ? show(gmem, page, span)
							: hide(gmem, page, span),
				 0);
	}
	assert_int_equal(hide(gmem, 0, 1003), 0);
	while (show(gmem, 2 * nr, 1) == 0)
		nr++;
	assert_int_equal(nr, GMEM_MAX_RUNS);
	gmem_destroy(gmem);
}

/* Copies and changes at the same time. */

#define RACE_PAGES  16
#define RACE_ROUNDS 300

struct race {
	struct gmem *gmem;
	atomic_bool stop;
	atomic_uint nr_done, nr_refused, nr_torn;
};

/* A device that fills the pages with one byte value must never read back two. */
static void *copy_all_the_time(void *arg)
{
	static const size_t size = RACE_PAGES * GRANULE_SIZE;
	struct race *race = arg;
	uint8_t *bytes = malloc(size);

	for (uint8_t value = 1; bytes && !atomic_load(&race->stop); value = value % 200 + 1) {
		memset(bytes, value, size);
		if (gmem_write(race->gmem, page_at(0), bytes, size) ||
		    gmem_read(race->gmem, page_at(0), bytes, size)) {
			atomic_fetch_add(&race->nr_refused, 1);
			continue;
		}
		/* A change in between has left zeros: in all of it or in none. */
		for (size_t i = 1; i < size; i++) {
			if (bytes[i] != bytes[0])
				atomic_fetch_add(&race->nr_torn, 1);
		}
		atomic_fetch_add(&race->nr_done, 1);
	}
	free(bytes);
	return NULL;
}

static void race_with_changes(struct gmem *gmem, uint64_t nr_pages)
{
	struct race race = {.gmem = gmem};
	pthread_t thread;
	unsigned rounds = 0;

	assert_int_equal(pthread_create(&thread, NULL, copy_all_the_time, &race), 0);
	while (rounds < RACE_ROUNDS || atomic_load(&race.nr_done) == 0 ||
	       atomic_load(&race.nr_refused) == 0) {
		assert_int_equal(show(gmem, 0, nr_pages), 0);
		sched_yield();
		assert_int_equal(hide(gmem, 0, nr_pages), 0);
		/* No copy that began earlier is still going on: none is seen on the new side. */
		for (unsigned page = 0; page < RACE_PAGES; page++) {
			uint8_t byte = 0xff;

			assert_int_equal(gmem_rmm_read(gmem, page_at(page), &byte, 1), 0);
			assert_int_equal(byte, 0);
		}
		rounds++;
	}
	atomic_store(&race.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&race.nr_torn), 0);
}

static void test_copies_race_with_changes(void **state)
{
	race_with_changes(*state, RACE_PAGES);
}

static void test_copies_race_with_blocks(void **state)
{
	race_with_changes(*state, BLOCK);
	gmem_alias_shared(*state);
	race_with_changes(*state, BLOCK + RACE_PAGES);
}

/* Ranges that system calls work on. */

static int pin_page(struct gmem *gmem, uint64_t page, struct gmem_range *range, struct iovec *iov)
{
	*range = (struct gmem_range){.at = page_at(page), .size = GRANULE_SIZE};
	return gmem_pin(gmem, range, 1, iov);
}

static void test_pin(void **state)
{
	struct gmem *gmem = *state;
	struct gmem_range ranges[2] = {{ipa_at(BASE + 10), 5}, {page_at(3), 2 * GRANULE_SIZE}};
	struct iovec iov[2];
	int handle;

	assert_int_equal(show(gmem, 0, 5), 0);
	assert_int_equal(gmem_write(gmem, ipa_at(BASE + 10), "hello", 5), 0);
	handle = gmem_pin(gmem, ranges, 2, iov);
	assert_true(handle >= 0);
	assert_int_equal(iov[0].iov_len, 5);
	assert_memory_equal(iov[0].iov_base, "hello", 5);
	assert_int_equal(iov[1].iov_len, 2 * GRANULE_SIZE);
	gmem_unpin(gmem, handle);
	assert_int_equal(gmem_nr_refused(gmem), 0);
}

static void test_pin_refuses(void **state)
{
	static const struct {
		uint64_t at, size;
	} bad[] = {
		{BASE + 5 * GRANULE_SIZE, 1},    /* private */
		{BASE + 4 * GRANULE_SIZE, 4097}, /* from shared to private */
		{BASE - 1, 2},                   /* from a hole */
		{TOP - 1, 2},                    /* into one */
		{BASE, ~0ull},
		{BASE | SHARED_BIT, 1},
		{~0ull, 1},
	};
	struct gmem *gmem = *state;
	struct iovec iov[2];

	assert_int_equal(show(gmem, 0, 5), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gmem_range ranges[2] = {{ipa_at(BASE), 1}, {ipa_at(bad[i].at), bad[i].size}};

		assert_int_equal(gmem_pin(gmem, ranges, 2, iov), -EFAULT);
	}
	assert_int_equal(gmem_pin(gmem, NULL, 0, NULL), -EFAULT);
	assert_int_equal(gmem_nr_refused(gmem), sizeof(bad) / sizeof(bad[0]) + 1);
	/* Nothing of it was kept. */
	assert_int_equal(hide(gmem, 0, 5), 0);
}

static void test_pins_are_limited(void **state)
{
	struct gmem *gmem = *state;
	struct gmem_range ranges[GMEM_MAX_PINS + 1];
	int handles[GMEM_MAX_PINS];
	struct iovec iov;

	assert_int_equal(show(gmem, 0, 1), 0);
	for (unsigned i = 0; i < GMEM_MAX_PINS; i++) {
		handles[i] = pin_page(gmem, 0, &ranges[i], &iov);
		assert_true(handles[i] >= 0);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(handles[i], handles[j]);
	}
	assert_int_equal(pin_page(gmem, 0, &ranges[GMEM_MAX_PINS], &iov), -EBUSY);
	gmem_unpin(gmem, handles[17]);
	assert_int_equal(pin_page(gmem, 0, &ranges[17], &iov), handles[17]);
	for (unsigned i = 0; i < GMEM_MAX_PINS; i++)
		gmem_unpin(gmem, handles[i]);
}

struct hider {
	struct gmem *gmem;
	uint64_t page;
	atomic_bool done;
};

static void *hide_one(void *arg)
{
	struct hider *hider = arg;

	if (hide(hider->gmem, hider->page, 1) == 0)
		atomic_store(&hider->done, true);
	return NULL;
}

/* A pinned page does not change until it is let go of; others are not held up. */
static void test_pin_holds_changes_up(void **state)
{
	struct gmem *gmem = *state;
	struct hider hider = {.gmem = gmem, .page = 4};
	struct gmem_range ranges[2];
	struct iovec iov;
	pthread_t thread;
	int handles[2];

	assert_int_equal(show(gmem, 0, 8), 0);
	handles[0] = pin_page(gmem, 4, &ranges[0], &iov);
	handles[1] = pin_page(gmem, 4, &ranges[1], &iov);
	assert_true(handles[0] >= 0 && handles[1] >= 0);
	assert_int_equal(pthread_create(&thread, NULL, hide_one, &hider), 0);
	assert_int_equal(hide(gmem, 3, 1), 0);
	assert_int_equal(hide(gmem, 5, 1), 0);
	usleep(20000);
	assert_false(atomic_load(&hider.done));
	gmem_unpin(gmem, handles[0]);
	usleep(20000);
	assert_false(atomic_load(&hider.done));
	assert_true(gmem_is_shared(gmem, page_at(4)));
	memset(iov.iov_base, 1, iov.iov_len);
	gmem_unpin(gmem, handles[1]);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&hider.done));
	assert_false(gmem_is_shared(gmem, page_at(4)));
}

/* Two bytes at once, for the indexes of queues. */
static void test_halfwords(void **state)
{
	static const uint64_t bad[] = {BASE + GRANULE_SIZE, BASE + 1, BASE - 2, TOP,
				       BASE | SHARED_BIT,   ~0ull,    ~0ull - 1};
	struct gmem *gmem = *state;
	uint16_t value = 0x5a5a;
	uint8_t bytes[2];

	assert_int_equal(show(gmem, 0, 1), 0);
	assert_int_equal(gmem_store16(gmem, ipa_at(BASE + 4094), 0x1234), 0);
	assert_int_equal(gmem_load16(gmem, ipa_at(BASE + 4094), &value), 0);
	assert_int_equal(value, 0x1234);
	assert_int_equal(gmem_read(gmem, ipa_at(BASE + 4094), bytes, 2), 0);
	assert_int_equal(bytes[0], 0x34);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gmem_load16(gmem, ipa_at(bad[i]), &value), -EFAULT);
		assert_int_equal(gmem_store16(gmem, ipa_at(bad[i]), 0xffff), -EFAULT);
	}
	assert_int_equal(value, 0x1234);
	assert_int_equal(gmem_nr_refused(gmem), 2 * sizeof(bad) / sizeof(bad[0]));
}

/*
 * With an ITS the guest, and KVM on its behalf, also reach shared pages at their protected address.
 * What is there is seen as KVM would: through the mapping of the private side.
 */

static int read_mapping(struct gmem *gmem, enum gmem_side side, uint64_t page, char out[4])
{
	const uint64_t address = gmem_slot_address(gmem, side) + page * GRANULE_SIZE;
	const int fd = memfd_create("copy", MFD_CLOEXEC);
	int ret = 0;

	assert_true(fd >= 0);
	if (pwrite(fd, (const void *)(uintptr_t)address, 4, 0) != 4)
		ret = -errno;
	else
		assert_int_equal(pread(fd, out, 4, 0), 4);
	close(fd);
	return ret;
}

static void test_dead_side_is_not_mapped(void **state)
{
	struct gmem *gmem = *state;
	char out[4];

	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 6, out), 0);
	assert_int_equal(read_mapping(gmem, GMEM_SHARED, 6, out), -EFAULT);
	assert_int_equal(show(gmem, 6, 1), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 6, out), -EFAULT);
	assert_int_equal(read_mapping(gmem, GMEM_SHARED, 6, out), 0);
	assert_int_equal(hide(gmem, 6, 1), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 6, out), 0);
	assert_int_equal(read_mapping(gmem, GMEM_SHARED, 6, out), -EFAULT);
}

static void test_alias(void **state)
{
	struct gmem *gmem = *state;
	char out[4];

	gmem_alias_shared(gmem);
	assert_int_equal(gmem_rmm_write(gmem, page_at(6), "priv", 4), 0);
	assert_int_equal(gmem_rmm_write(gmem, page_at(7), "next", 4), 0);
	assert_int_equal(show(gmem, 6, 1), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 6, out), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_int_equal(gmem_write(gmem, page_at(6), "shar", 4), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 6, out), 0);
	assert_memory_equal(out, "shar", 4);
	/* The neighbour is still what it was; the RMM's part does not see through the alias. */
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 7, out), 0);
	assert_memory_equal(out, "next", 4);
	assert_int_equal(gmem_rmm_read(gmem, page_at(6), out, 4), -EFAULT);

	assert_int_equal(hide(gmem, 6, 1), 0);
	assert_int_equal(gmem_rmm_read(gmem, page_at(6), out, 4), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_int_equal(gmem_rmm_write(gmem, page_at(6), "mine", 4), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, 6, out), 0);
	assert_memory_equal(out, "mine", 4);
	assert_int_equal(read_mapping(gmem, GMEM_SHARED, 6, out), -EFAULT);
}

/* What only one of the two addresses shows would not be the memory that devices see. */
static void test_blocks_have_no_alias(void **state)
{
	struct gmem *gmem = *state;
	char out[4] = "none";

	gmem_alias_shared(gmem);
	assert_int_equal(show(gmem, BLOCK - 1, BLOCK + 1), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, BLOCK - 1, out), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, BLOCK, out), -EFAULT);
	assert_int_equal(read_mapping(gmem, GMEM_SHARED, BLOCK, out), 0);
	assert_int_equal(hide(gmem, BLOCK, 1), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, BLOCK, out), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_int_equal(read_mapping(gmem, GMEM_SHARED, BLOCK, out), -EFAULT);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, BLOCK + 1, out), -EFAULT);
	assert_int_equal(show(gmem, BLOCK, 1), 0);
	assert_int_equal(read_mapping(gmem, GMEM_PRIVATE, BLOCK, out), -EFAULT);
}

/* Real realms: the private side is somebody else's. */

struct private_side {
	unsigned nr_to_shared, nr_to_private;
	uint64_t offset, size;
	int ret;
};

static int note_to_shared(void *ctx, uint64_t offset, uint64_t size)
{
	struct private_side *side = ctx;

	side->nr_to_shared++;
	side->offset = offset;
	side->size = size;
	return side->ret;
}

static int note_to_private(void *ctx, uint64_t offset, uint64_t size)
{
	struct private_side *side = ctx;

	side->nr_to_private++;
	side->offset = offset;
	side->size = size;
	return side->ret;
}

static const struct gmem_private_ops note_ops = {note_to_shared, note_to_private};

static void test_realm(void **state)
{
	struct gmem *gmem = create(GMEM_REALM, SIZE);
	struct private_side side = {0};
	char out[4];

	(void)state;
	gmem_set_private_ops(gmem, &note_ops, &side);
	assert_int_equal(gmem_load(gmem, page_at(2), "boot", 4), 0);
	assert_int_equal(gmem_read(gmem, page_at(2), out, 4), -EFAULT);
	assert_int_equal(gmem_rmm_read(gmem, page_at(2), out, 4), -EFAULT);
	assert_int_equal(gmem_seal(gmem), 0);
	assert_int_equal(resident_kib(gmem, GMEM_SHARED), 0);

	assert_int_equal(show(gmem, 2, 3), 0);
	assert_int_equal(side.nr_to_shared, 1);
	assert_int_equal(side.offset, 2 * GRANULE_SIZE);
	assert_int_equal(side.size, 3 * GRANULE_SIZE);
	/* What was loaded there is gone. */
	assert_int_equal(gmem_read(gmem, page_at(2), out, 4), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_int_equal(gmem_write(gmem, page_at(4), "disk", 4), 0);

	/* Only the pages that change are asked for. */
	assert_int_equal(hide(gmem, 0, 4), 0);
	assert_int_equal(side.nr_to_private, 1);
	assert_int_equal(side.offset, 2 * GRANULE_SIZE);
	assert_int_equal(side.size, 2 * GRANULE_SIZE);
	assert_int_equal(gmem_read(gmem, page_at(4), out, 4), 0);
	assert_memory_equal(out, "disk", 4);
	gmem_destroy(gmem);
}

static void test_realm_host_fails(void **state)
{
	struct gmem *gmem = create(GMEM_REALM, SIZE);
	struct private_side side = {.ret = -EIO};

	(void)state;
	gmem_set_private_ops(gmem, &note_ops, &side);
	assert_int_equal(gmem_seal(gmem), 0);
	assert_int_equal(show(gmem, 2, 1), -EIO);
	assert_false(gmem_is_shared(gmem, page_at(2)));
	side.ret = 0;
	assert_int_equal(show(gmem, 2, 1), 0);
	side.ret = -EBUSY;
	assert_int_equal(hide(gmem, 2, 1), -EBUSY);
	assert_true(gmem_is_shared(gmem, page_at(2)));
	gmem_destroy(gmem);
}

/* As a back end in another process has it. */
static uint8_t *map_shared(struct gmem *gmem)
{
	uint8_t *map =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gmem_export_shared(gmem), 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

static void test_export_plain(void **state)
{
	uint8_t *map = map_shared(*state), byte = 0;

	map[GRANULE_SIZE + 5] = 0x5a;
	assert_int_equal(gmem_read(*state, ipa_at(BASE + GRANULE_SIZE + 5), &byte, 1), 0);
	assert_int_equal(byte, 0x5a);
	munmap(map, SIZE);
}

/* Our own accesses would fault behind a new end. */
static void test_export_is_sealed(void **state)
{
	const int fd = gmem_export_shared(*state);

	assert_int_equal(ftruncate(fd, SIZE / 2), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 2 * SIZE), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	assert_int_equal(errno, EPERM);
}

static void test_export_shows_the_shared_side_only(void **state)
{
	struct gmem *gmem = *state;
	uint8_t *map = map_shared(gmem), bytes[GRANULE_SIZE];

	memset(bytes, 0x77, sizeof(bytes));
	assert_int_equal(gmem_rmm_write(gmem, page_at(2), bytes, sizeof(bytes)), 0);
	assert_all_zero(map + 2 * GRANULE_SIZE, GRANULE_SIZE);
	assert_int_equal(show(gmem, 2, 1), 0);
	assert_int_equal(gmem_write(gmem, page_at(2), bytes, sizeof(bytes)), 0);
	assert_memory_equal(map + 2 * GRANULE_SIZE, bytes, sizeof(bytes));
	assert_int_equal(hide(gmem, 2, 1), 0);
	assert_all_zero(map + 2 * GRANULE_SIZE, GRANULE_SIZE);
	munmap(map, SIZE);
}

/* A back end was about to write to a page that has become private. */
static void test_export_what_comes_late_is_dropped(void **state)
{
	struct gmem *gmem = *state;
	uint8_t *map = map_shared(gmem), bytes[GRANULE_SIZE];

	assert_int_equal(show(gmem, 7, 1), 0);
	assert_int_equal(hide(gmem, 7, 1), 0);
	memset(map + 7 * GRANULE_SIZE, 0xee, GRANULE_SIZE);
	assert_int_equal(gmem_rmm_read(gmem, page_at(7), bytes, sizeof(bytes)), 0);
	assert_all_zero(bytes, sizeof(bytes));
	assert_int_equal(show(gmem, 7, 1), 0);
	assert_int_equal(gmem_read(gmem, page_at(7), bytes, sizeof(bytes)), 0);
	assert_all_zero(bytes, sizeof(bytes));
	munmap(map, SIZE);
}

#define plain_test(f) cmocka_unit_test_setup_teardown(f, plain_begin, gmem_end)
#define split_test(f) cmocka_unit_test_setup_teardown(f, split_begin, gmem_end)

/* Pages of the mapping at @side that are in memory. */
static uint64_t nr_resident(struct gmem *gmem, enum gmem_side side)
{
	const uint64_t nr = gmem_size(gmem) / 4096;
	unsigned char *seen = malloc(nr);
	uint64_t resident = 0;

	assert_non_null(seen);
	assert_int_equal(
		mincore((void *)(uintptr_t)gmem_slot_address(gmem, side), gmem_size(gmem), seen),
		0);
	for (uint64_t i = 0; i < nr; i++)
		resident += seen[i] & 1;
	free(seen);
	return resident;
}

static void test_prealloc(void **state)
{
	static const enum gmem_kind kinds[] = {GMEM_PLAIN, GMEM_SPLIT};
	static const enum gmem_side sides[] = {GMEM_SHARED, GMEM_PRIVATE};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ccr_err err = {0};
		struct gmem *gmem;

		assert_int_equal(gmem_create(&gmem, kinds[i], ipa_at(0x80000000), SZ_2M,
					     kinds[i] == GMEM_PLAIN ? 0 : 1ull << 32, &err),
				 0);
		assert_int_equal(nr_resident(gmem, sides[i]), 0);
		assert_int_equal(gmem_prealloc(gmem, &err), 0);
		assert_int_equal(nr_resident(gmem, sides[i]), SZ_2M / 4096);
		if (kinds[i] == GMEM_SPLIT)
			assert_int_equal(nr_resident(gmem, GMEM_SHARED), 0);
		gmem_destroy(gmem);
	}
}

/* More huge pages than any host has reserved, sizes that no host has, and what cannot be cut. */
static void test_huge_refused(void **state)
{
	struct ccr_err err = {0};
	struct gmem *gmem;

	(void)state;
	assert_int_equal(gmem_create_huge(&gmem, ipa_at(0x80000000), 1ull << 46, 0, &err), -ENOMEM);
	assert_non_null(strstr(err.msg, "vm.nr_hugepages"));
	err_clear(&err);
	assert_int_equal(gmem_create_huge(&gmem, ipa_at(0x80000000), 1ull << 40, 1ull << 39, &err),
			 -EINVAL);
	assert_non_null(strstr(err.msg, "has no huge pages of 536870912 KiB"));
	err_clear(&err);
	assert_int_equal(gmem_create_huge(&gmem, ipa_at(0x80000000), 3 * SZ_2M, 2 * SZ_2M, &err),
			 -EINVAL);
	assert_non_null(strstr(err.msg, "change --mem"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prealloc),
		cmocka_unit_test(test_huge_refused),
		cmocka_unit_test(test_refuses_sizes),
		cmocka_unit_test(test_host_refuses),
		split_test(test_facts),
		plain_test(test_plain_has_no_shared_bit),
		cmocka_unit_test(test_slot_addresses),
		split_test(test_contains),
		plain_test(test_plain_copies),
		plain_test(test_plain_refuses_what_is_not_ram),
		plain_test(test_plain_loads_the_end_of_a_file),
		plain_test(test_plain_has_no_private_side),
		split_test(test_split_begins_private),
		split_test(test_split_copies_are_all_or_nothing),
		split_test(test_contents_are_lost_both_ways),
		split_test(test_no_change_keeps_contents),
		split_test(test_neighbours_keep_contents),
		split_test(test_refuses_ranges),
		split_test(test_dead_side_costs_nothing),
		split_test(test_private_comes_back_empty),
		cmocka_unit_test(test_is_aligned_for_huge_pages),
		plain_test(test_give_back),
		split_test(test_realms_keep_their_memory),
		split_test(test_word_borders),
		split_test(test_random_changes),
		split_test(test_random_contents),
		split_test(test_random_contents_aliased),
		split_test(test_random_contents_exported),
		split_test(test_blocks_leave_the_memfd),
		split_test(test_exported_blocks_stay_in_the_memfd),
		split_test(test_blocks_cost_few_mappings),
		cmocka_unit_test(test_blocks_are_capped),
		split_test(test_run_end),
		cmocka_unit_test(test_runs_are_capped),
		cmocka_unit_test_setup_teardown(test_export_plain, exportable_begin, gmem_end),
		split_test(test_export_is_sealed),
		split_test(test_export_shows_the_shared_side_only),
		split_test(test_export_what_comes_late_is_dropped),
		cmocka_unit_test(test_runs_are_counted),
		split_test(test_copies_race_with_changes),
		split_test(test_copies_race_with_blocks),
		split_test(test_pin),
		split_test(test_pin_refuses),
		split_test(test_pins_are_limited),
		split_test(test_pin_holds_changes_up),
		split_test(test_halfwords),
		split_test(test_dead_side_is_not_mapped),
		split_test(test_alias),
		split_test(test_blocks_have_no_alias),
		cmocka_unit_test(test_realm),
		cmocka_unit_test(test_realm_host_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

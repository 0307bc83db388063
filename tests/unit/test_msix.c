/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/pci/msix.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ccr/msix.h"

#define NR_VECTORS 3

enum { ADDRESS = 0, ADDRESS_HIGH = 4, DATA = 8, CONTROL = 12 };

struct bench {
	struct msix msix;
	unsigned nr_sent;
	struct msix_message last;
	unsigned nr_prepared;
	struct msix_message prepared[NR_VECTORS];
	int fds[NR_VECTORS];
	bool is_held[NR_VECTORS], was_signalled[NR_VECTORS];
};

static void on_prepare(void *ctx, unsigned vector, const struct msix_message *message)
{
	struct bench *b = ctx;

	b->nr_prepared++;
	b->prepared[vector] = *message;
	b->is_held[vector] = b->was_signalled[vector] = false;
}

/* What is sent is what was announced. */
static void on_signal(void *ctx, unsigned vector, const struct msix_message *message)
{
	struct bench *b = ctx;

	assert_int_equal(b->prepared[vector].address, message->address);
	assert_int_equal(b->prepared[vector].data, message->data);

	b->nr_sent++;
	b->last = *message;
}

static void on_hold(void *ctx, unsigned vector)
{
	struct bench *b = ctx;

	b->is_held[vector] = true;
}

static int on_lend(void *ctx, unsigned vector)
{
	struct bench *b = ctx;

	return b->fds[vector];
}

static bool on_is_held(void *ctx, unsigned vector)
{
	struct bench *b = ctx;

	return b->is_held[vector] && b->was_signalled[vector];
}

static const struct msix_ops ops = {
	.prepare = on_prepare,
	.signal = on_signal,
	.hold = on_hold,
	.lend = on_lend,
	.is_held = on_is_held,
};

static const struct msix_ops plain_ops = {.signal = on_signal};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	msix_init(&b->msix, NR_VECTORS, &ops, b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	msix_done(&b->msix);
	free(b);
	return 0;
}

static void set_vector(struct bench *b, unsigned vector, uint64_t address, uint32_t data,
		       uint32_t control)
{
	msix_write(&b->msix, 16 * vector + ADDRESS, 8, address);
	msix_write(&b->msix, 16 * vector + DATA, 4, data);
	msix_write(&b->msix, 16 * vector + CONTROL, 4, control);
}

static void test_reset_state(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < NR_VECTORS; i++) {
		assert_int_equal(msix_read(&b->msix, 16 * i + CONTROL, 4), 1);
		assert_int_equal(msix_read(&b->msix, 16 * i + ADDRESS, 8), 0);
	}
	msix_fire(&b->msix, 0);
	assert_int_equal(b->nr_sent, 0);
	assert_int_equal(b->msix.pending, 0);
}

static void test_send(void **state)
{
	struct bench *b = *state;

	set_vector(b, 1, 0x123456780ull, 77, 0);
	msix_set_control(&b->msix, true, false);
	msix_fire(&b->msix, 1);
	assert_int_equal(b->nr_sent, 1);
	assert_int_equal(b->last.address, 0x123456780ull);
	assert_int_equal(b->last.data, 77);
}

static void test_vector_mask(void **state)
{
	struct bench *b = *state;

	msix_set_control(&b->msix, true, false);
	set_vector(b, 2, 0x1000, 5, 1);
	msix_fire(&b->msix, 2);
	msix_fire(&b->msix, 2);
	assert_int_equal(b->nr_sent, 0);
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 8), 4);
	/* Unmasked together with its message: one dword write is the moment. */
	msix_write(&b->msix, 16 * 2 + CONTROL, 4, 0);
	assert_int_equal(b->nr_sent, 1);
	assert_int_equal(b->last.data, 5);
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 4), 0);
}

static void test_function_mask(void **state)
{
	struct bench *b = *state;

	set_vector(b, 0, 0x1000, 1, 0);
	set_vector(b, 1, 0x2000, 2, 1);
	msix_set_control(&b->msix, true, true);
	msix_fire(&b->msix, 0);
	msix_fire(&b->msix, 1);
	assert_int_equal(b->nr_sent, 0);
	msix_set_control(&b->msix, true, false);
	assert_int_equal(b->nr_sent, 1);
	assert_int_equal(b->last.data, 1);
	assert_int_equal(b->msix.pending, 2);
	msix_set_control(&b->msix, false, false);
	assert_int_equal(b->msix.pending, 0);
}

/* A message is announced when it may be sent, and only then. */
static void test_prepare(void **state)
{
	struct bench *b = *state;

	set_vector(b, 0, 0x1000, 1, 0);
	msix_set_control(&b->msix, true, true);
	set_vector(b, 1, 0x2000, 2, 1);
	assert_int_equal(b->nr_prepared, 0);
	msix_set_control(&b->msix, true, false);
	assert_int_equal(b->nr_prepared, 1);
	assert_int_equal(b->prepared[0].address, 0x1000);
	msix_write(&b->msix, 16 * 1 + CONTROL, 4, 0);
	assert_int_equal(b->nr_prepared, 2);
	assert_int_equal(b->prepared[1].data, 2);
	/* A guest should not, but may, change what is not masked. */
	msix_write(&b->msix, 16 * 1 + DATA, 8, 3);
	assert_int_equal(b->nr_prepared, 3);
	assert_int_equal(b->prepared[1].data, 3);
	msix_fire(&b->msix, 1);
	assert_int_equal(b->nr_sent, 1);
	assert_int_equal(b->last.data, 3);
	msix_write(&b->msix, 16 * NR_VECTORS, 8, ~0ull);
	msix_write(&b->msix, MSIX_PBA_OFFSET, 8, ~0ull);
	msix_set_control(&b->msix, false, false);
	assert_int_equal(b->nr_prepared, 3);
}

/* A vector that others signal is held while it may not send, and is pending if they did. */
static void test_lent(void **state)
{
	struct bench *b = *state;

	b->fds[1] = 77;
	b->fds[2] = -1;
	msix_set_control(&b->msix, true, false);
	set_vector(b, 1, 0x1000, 5, 0);
	b->is_held[1] = true;
	assert_int_equal(msix_lend(&b->msix, 1), 77);
	assert_false(b->is_held[1]);
	assert_int_equal(msix_lend(&b->msix, 2), -1);
	assert_int_equal(msix_lend(&b->msix, NR_VECTORS), -1);
	assert_int_equal(msix_lend(&b->msix, 0xffff), -1);

	msix_write(&b->msix, 16 * 1 + CONTROL, 4, 1);
	assert_true(b->is_held[1]);
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 8), 0);
	b->was_signalled[1] = true;
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 8), 2);
	msix_write(&b->msix, 16 * 1 + CONTROL, 4, 0);
	assert_false(b->is_held[1]);
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 8), 0);

	msix_set_control(&b->msix, true, true);
	assert_true(b->is_held[1]);
	msix_set_control(&b->msix, true, false);
	assert_false(b->is_held[1]);
	msix_set_control(&b->msix, false, false);
	assert_true(b->is_held[1]);
	b->fds[1] = 78;
	assert_int_equal(msix_lend(&b->msix, 1), 78);
	assert_true(b->is_held[1]);
}

static void test_nothing_to_lend(void **state)
{
	struct bench *b = *state;

	b->msix.ops = &plain_ops;
	msix_set_control(&b->msix, true, false);
	set_vector(b, 1, 0, 0, 0);
	assert_int_equal(msix_lend(&b->msix, 1), -1);
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 8), 0);
	msix_fire(&b->msix, 1);
	assert_int_equal(b->nr_sent, 1);
}

static void test_no_such_vector(void **state)
{
	struct bench *b = *state;

	msix_set_control(&b->msix, true, false);
	msix_fire(&b->msix, NR_VECTORS);
	msix_fire(&b->msix, 0xffff);
	assert_int_equal(b->nr_sent, 0);
	assert_int_equal(b->msix.pending, 0);
	/* Table space behind the last vector holds nothing. */
	msix_write(&b->msix, 16 * NR_VECTORS, 8, ~0ull);
	assert_int_equal(msix_read(&b->msix, 16 * NR_VECTORS, 8), 0);
}

static void test_writable_bits(void **state)
{
	struct bench *b = *state;

	msix_write(&b->msix, ADDRESS, 8, ~0ull);
	assert_int_equal(msix_read(&b->msix, ADDRESS, 8), ~3ull);
	msix_write(&b->msix, CONTROL, 4, 0xffffffff);
	assert_int_equal(msix_read(&b->msix, CONTROL, 4), 1);
	msix_write(&b->msix, MSIX_PBA_OFFSET, 8, ~0ull);
	assert_int_equal(msix_read(&b->msix, MSIX_PBA_OFFSET, 8), 0);
}

static void test_odd_accesses(void **state)
{
	struct bench *b = *state;
	static const struct {
		uint64_t offset;
		unsigned size;
	} odd[] = {
		{0, 1}, {0, 2}, {2, 4}, {4, 8}, {1, 1}, {MSIX_BAR_SIZE - 4, 8}, {MSIX_BAR_SIZE, 4}};

	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		msix_write(&b->msix, odd[i].offset, odd[i].size, ~0ull);
		assert_int_equal(msix_read(&b->msix, odd[i].offset, odd[i].size), 0);
	}
	assert_int_equal(msix_read(&b->msix, ADDRESS, 8), 0);
}

#define MSIX_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MSIX_TEST(test_reset_state),    MSIX_TEST(test_send),
		MSIX_TEST(test_vector_mask),    MSIX_TEST(test_function_mask),
		MSIX_TEST(test_no_such_vector), MSIX_TEST(test_writable_bits),
		MSIX_TEST(test_odd_accesses),   MSIX_TEST(test_prepare),
		MSIX_TEST(test_lent),           MSIX_TEST(test_nothing_to_lend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

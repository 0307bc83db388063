/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread's slice follows the depth of its queue. What the kernel is asked for comes through
 * syscall(), which is the test's here; what it makes of it depends on which Linux this is.
 *
 * links: src/host/slice.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ccr/slice.h"

static unsigned nr_calls;
static struct sched_attr last;
static int nice_value, nice_errno;

/* In place of the C library's. */
long syscall(long nr, ...)
{
	va_list args;

	va_start(args, nr);
	assert_int_equal(nr, __NR_sched_setattr);
	assert_int_equal(va_arg(args, int), 0);
	last = *va_arg(args, struct sched_attr *);
	va_end(args);
	nr_calls++;
	return 0;
}

int getpriority(__priority_which_t which, id_t who)
{
	assert_int_equal(which, PRIO_PROCESS);
	assert_int_equal(who, 0);
	errno = nice_errno;
	return nice_errno ? -1 : nice_value;
}

static int begin(void **state)
{
	(void)state;
	nr_calls = 0;
	nice_value = 0;
	nice_errno = 0;
	return 0;
}

static void follow(struct slice *slice, unsigned depth, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		slice_follow(slice, depth);
}

static void test_short_for_who_waits(void **state)
{
	struct slice slice = {0};

	(void)state;
	nice_value = -1;
	follow(&slice, 1, 31);
	assert_int_equal(nr_calls, 0);
	slice_follow(&slice, 2);
	assert_int_equal(nr_calls, 1);
	assert_int_equal(last.size, sizeof(last));
	assert_int_equal(last.sched_runtime, 100000);
	/* The user's own choice of both stays. */
	assert_int_equal(last.sched_flags, SCHED_FLAG_KEEP_POLICY);
	assert_int_equal(last.sched_nice, -1);
	follow(&slice, 0, 1000);
	assert_int_equal(nr_calls, 1);
	slice_follow(&slice, 3);
	assert_int_equal(nr_calls, 2);
	assert_int_equal(last.sched_runtime, 0);
	follow(&slice, 32, 1000);
	assert_int_equal(nr_calls, 2);
}

static void test_usual_for_deep_queues(void **state)
{
	struct slice slice = {0};

	(void)state;
	/* Every queue runs empty now and then. */
	for (unsigned i = 0; i < 1000; i++) {
		slice_follow(&slice, 32);
		follow(&slice, 1, 31);
	}
	assert_int_equal(nr_calls, 0);
}

static void test_unknown_nice_value(void **state)
{
	struct slice slice = {0};

	(void)state;
	nice_errno = EPERM;
	follow(&slice, 1, 32);
	assert_int_equal(nr_calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_short_for_who_waits, begin),
		cmocka_unit_test_setup(test_usual_for_deep_queues, begin),
		cmocka_unit_test_setup(test_unknown_nice_value, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

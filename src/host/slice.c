/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ccr/slice.h"

/* The shortest that there is, and "as the kernel thinks best". */
#define SHORT_SLICE_NS 100000
#define USUAL_SLICE_NS 0

/* With no more than that in flight a driver waits for its answers. */
#define SHORT_DEPTH 2

/* Not before it did so many times in a row: with many requests there is a last one, too. */
#define MIN_SHORT 32

/* Policy and nice value are the user's, who may change them at any time. */
/* syscalls(worker): sched_setattr getpriority */
static void set_slice(uint64_t ns)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_flags = SCHED_FLAG_KEEP_POLICY,
		.sched_runtime = ns,
	};

	errno = 0;
	attr.sched_nice = getpriority(PRIO_PROCESS, 0);
	if (errno == 0)
		syscall(__NR_sched_setattr, 0, &attr, 0);
}

void slice_follow(struct slice *slice, unsigned depth)
{
	if (depth <= SHORT_DEPTH) {
		if (slice->nr_short < MIN_SHORT && ++slice->nr_short == MIN_SHORT)
			set_slice(SHORT_SLICE_NS);
		return;
	}
	if (slice->nr_short == MIN_SHORT)
		set_slice(USUAL_SLICE_NS);
	slice->nr_short = 0;
}

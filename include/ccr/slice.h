/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon a thread runs that was woken.
 *
 * Since Linux 6.12 a thread may ask for short slices of time, and then need not wait for the end of
 * others' longer ones. For the thread of a device whose driver waits for each answer that is right:
 * whatever else the CPU could do in the meantime, a vCPU that looks for something to do above all,
 * only makes that answer later. With many requests in flight it is wrong: the longer the driver may
 * go on before the thread looks, the more there is to be done at once. So the slice follows what is
 * in flight.
 *
 * Older kernels, and scheduling policies that know no slices, leave everything as it is.
 */
#ifndef CCR_SLICE_H
#define CCR_SLICE_H

/** struct slice - private; of one thread, {0} to begin with */
struct slice {
	unsigned nr_short;
};

/**
 * slice_follow() - by that thread, each time it has worked
 * @depth: how many requests its driver had in flight
 */
void slice_follow(struct slice *slice, unsigned depth);

#endif

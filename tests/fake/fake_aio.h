/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An I/O engine for tests, behind the functions of ccr/aio.h: it does the work itself when a batch
 * is begun, on the struct disk, and what ends when, in which order and how is up to the test.
 */
#ifndef FAKE_AIO_H
#define FAKE_AIO_H

#include "ccr/aio.h"

/**
 * fake_aio_hold() - from now on requests stay in flight once they were begun, until
 *	fake_aio_let_go()
 */
void fake_aio_hold(struct aio *aio);

/**
 * fake_aio_let_go() - the first @nr of those in flight are done now, the last of these first
 *
 * Return: how many there were.
 */
unsigned fake_aio_let_go(struct aio *aio, unsigned nr);

/** fake_aio_fail() - the next @nr requests that are done are not, and end with @result */
void fake_aio_fail(struct aio *aio, unsigned nr, int result);

/**
 * struct fake_aio_seen - what was asked for
 * @nr_held: submitted and not taken back
 * @last: a copy of the last one that was done; its iov is no longer valid
 */
struct fake_aio_seen {
	unsigned nr_held;
	unsigned nr_begins;
	unsigned nr_in_flight;
	unsigned max_in_flight;
	struct aio_request last;
};

struct fake_aio_seen fake_aio_seen(const struct aio *aio);

#endif

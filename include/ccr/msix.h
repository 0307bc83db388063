/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X vectors of one function (PCI Local Bus 3.0, 6.8.2): table and pending bits, as they appear
 * in a BAR of MSIX_BAR_SIZE bytes.
 */
#ifndef CCR_MSIX_H
#define CCR_MSIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MSIX_MAX_VECTORS  64
#define MSIX_BAR_SIZE     0x1000u
#define MSIX_TABLE_OFFSET 0x000u
#define MSIX_PBA_OFFSET   0x800u

/** struct msix_message - what a vector writes where; the address is as the guest gave it */
struct msix_message {
	uint64_t address;
	uint32_t data;
};

struct msix_entry {
	uint32_t words[4]; /* address low and high, data, control */
};

/**
 * struct msix_ops - how messages get away; called with the lock held
 * @prepare: @vector may send, and its message may be another than before; NULL if nobody cares
 * @signal: send it now
 * @hold: @vector may not send until it is prepared again; called for each that may not
 * @lend: a descriptor by which others make @vector send, once it is prepared; -1 if there is none
 * @is_held: has anybody done so while it was held
 *
 * The last three are NULL, all of them, if messages have no such descriptors.
 */
struct msix_ops {
	void (*prepare)(void *ctx, unsigned vector, const struct msix_message *message);
	void (*signal)(void *ctx, unsigned vector, const struct msix_message *message);
	void (*hold)(void *ctx, unsigned vector);
	int (*lend)(void *ctx, unsigned vector);
	bool (*is_held)(void *ctx, unsigned vector);
};

/** struct msix - the vectors, with a lock of their own that is the innermost of all devices' */
struct msix {
	pthread_mutex_t lock;
	const struct msix_ops *ops;
	void *ctx;
	unsigned nr_vectors;
	bool is_enabled;
	bool is_masked; /* all vectors */
	uint64_t pending;
	struct msix_entry entries[MSIX_MAX_VECTORS];
};

/** msix_init() - disabled, every vector masked. @nr_vectors is 1 to MSIX_MAX_VECTORS. */
void msix_init(struct msix *msix, unsigned nr_vectors, const struct msix_ops *ops, void *ctx);
void msix_done(struct msix *msix);

/**
 * msix_fire() - from any thread; a masked vector becomes pending, and is sent when it is unmasked
 * @vector: anything that is no vector is ignored, and everything is while disabled
 */
void msix_fire(struct msix *msix, unsigned vector);

/**
 * msix_lend() - let a back end send a vector's message without us, by a descriptor
 *
 * A vector that is masked sends nothing, and what is signalled then is pending.
 *
 * Return: the descriptor, an eventfd; -1 if there is none, or no such vector.
 */
int msix_lend(struct msix *msix, unsigned vector);

/** msix_set_control() - the capability's enable and function mask bits were written */
void msix_set_control(struct msix *msix, bool is_enabled, bool is_masked);

/**
 * msix_read(), msix_write() - accesses to the BAR: aligned, of 4 or 8 bytes; others read as 0 and
 * change nothing
 */
uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned size);
void msix_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value);

#endif

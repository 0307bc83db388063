/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intermediate physical addresses. A one-member struct, so that the compiler keeps guest addresses
 * and host pointers apart.
 */
#ifndef CCR_IPA_H
#define CCR_IPA_H

#include <stdbool.h>
#include <stdint.h>

/** GRANULE_SIZE - the unit of realm memory, whatever the host's page size (RMM spec A2.2) */
#define GRANULE_SIZE 4096u

#define SZ_4K  0x1000ull
#define SZ_64K 0x10000ull
#define SZ_2M  0x200000ull
#define SZ_1G  0x40000000ull

typedef struct {
	uint64_t v;
} ipa_t;

static inline ipa_t ipa_at(uint64_t address)
{
	return (ipa_t){address};
}

static inline uint64_t align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t to)
{
	return value & ~(to - 1);
}

/** range_within() - [base, base + size) lies in [outer, outer + outer_size); never wraps */
static inline bool range_within(uint64_t base, uint64_t size, uint64_t outer, uint64_t outer_size)
{
	return base >= outer && size <= outer_size && base - outer <= outer_size - size;
}

#endif

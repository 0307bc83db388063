/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/** LLVMFuzzerTestOneInput() - a target: one input, which must not make it crash. Return: 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** require() - what holds for every input; if it does not, the input is a find */
static inline void require(bool holds)
{
	if (!holds)
		abort();
}

/** fuzz_choose() - a number below @nr that depends on the input alone: @choice follows from it */
static inline unsigned fuzz_choose(uint32_t *choice, unsigned nr)
{
	*choice = *choice * 1664525u + 1013904223u;
	return (*choice >> 16) % nr;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/trim.h"

/* The kernel keeps more than that free below a stack: nothing else is mapped there. */
#define MAX_STACK (256u << 10)

/* What this function and those that it calls may have below its frame. */
#define NEAR_STACK (16u << 10)

/* A program and its libraries; what is beyond stays. */
#define MAX_SEGMENTS 64

struct segment {
	uintptr_t at;
	size_t size;
};

struct segments {
	unsigned nr;
	struct segment all[MAX_SEGMENTS];
};

/* Code and constants. */
static int note_segments(struct dl_phdr_info *object, size_t size, void *ctx)
{
	const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct segments *segments = ctx;

	(void)size;
	for (unsigned i = 0; i < object->dlpi_phnum && segments->nr < MAX_SEGMENTS; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		const uintptr_t at = object->dlpi_addr + header->p_vaddr;
		const uintptr_t before = at % page_size;

		if (header->p_type == PT_LOAD && !(header->p_flags & PF_W))
			segments->all[segments->nr++] =
				(struct segment){at - before, header->p_memsz + before};
	}
	return 0;
}

/* Below the frame of who calls, nothing is alive. */
static void give_back_stack(void)
{
	const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	const uintptr_t end = (frame - NEAR_STACK) / page_size * page_size;

	(void)madvise((void *)(end - MAX_STACK), MAX_STACK, MADV_DONTNEED);
}

/*
 * Code comes last, and is looked for before: what runs after it, or between, is mapped again, and
 * the kernel maps what is around it as well.
 */
/* syscalls(setup): madvise:MADV_DONTNEED */
void trim_memory(void)
{
	struct segments segments = {0};

	malloc_trim(0);
	give_back_stack();
	dl_iterate_phdr(note_segments, &segments);
	for (unsigned i = 0; i < segments.nr; i++)
		(void)madvise((void *)segments.all[i].at, segments.all[i].size, MADV_DONTNEED);
}

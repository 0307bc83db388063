/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/mem share: the host's memory behind one side of the guest's. */
#ifndef MEM_INTERNAL_H
#define MEM_INTERNAL_H

#include <stdint.h>

#include "ccr/err.h"

/**
 * struct backing - one side's memory
 * @fd: a memfd, of which @map shows the whole; -1 if all of @map is anonymous memory, which hosts
 *	give in huge pages more readily
 * @map: aligned as the guest's addresses are, so that KVM can map a huge page into the guest as
 *	one; NULL if there is no such side
 *
 * The mapping never moves; pages that are live on the other side are PROT_NONE in it, which takes
 * them from the guest too, because KVM follows the mapping.
 *
 * Offsets and sizes are in bytes, whole pages of the host's within the side. All functions return 0
 * or -errno, those that take @err set it.
 */
struct backing {
	int fd;
	uint8_t *map;
};

/**
 * backing_open() - a sealed memfd that others may map too
 * @prot: what may be done with the pages at first, as for mmap()
 */
int backing_open(struct backing *side, uint64_t size, int prot, struct ccr_err *err);

/** backing_open_anonymous() - in transparent huge pages, on hosts that have them */
int backing_open_anonymous(struct backing *side, uint64_t size, struct ccr_err *err);

/**
 * backing_open_huge() - a memfd of huge pages that the host has reserved
 * @page_size: a power of two; 0 for the host's default
 */
int backing_open_huge(struct backing *side, uint64_t size, uint64_t page_size, struct ccr_err *err);

/** backing_close() - whatever backing_open*() has left, also when it failed */
void backing_close(struct backing *side, uint64_t size);

/** backing_populate() - take all of the memory from the host now */
int backing_populate(const struct backing *side, uint64_t size);

/** backing_drop() - give pages back to the host; they read as zeros then */
int backing_drop(struct backing *side, uint64_t offset, uint64_t size);

/** backing_kill() - take pages from the guest, and from the host's memory */
int backing_kill(struct backing *side, uint64_t offset, uint64_t size);

/** backing_revive() - let the guest have them again */
int backing_revive(struct backing *side, uint64_t offset, uint64_t size);

/**
 * backing_detach(), backing_attach() - put anonymous memory in place of the memfd's, and the
 * memfd's back, with nothing in it
 *
 * The pages are dead, before and after.
 */
int backing_detach(struct backing *side, uint64_t offset, uint64_t size);
int backing_attach(struct backing *side, uint64_t offset, uint64_t size);

/** backing_alias() - let anonymous @side show what @other's memfd has, and drop its own pages */
int backing_alias(struct backing *side, const struct backing *other, uint64_t offset,
		  uint64_t size);

/** backing_end_alias() - let it show memory of its own again: zeros */
int backing_end_alias(struct backing *side, uint64_t offset, uint64_t size);

#endif

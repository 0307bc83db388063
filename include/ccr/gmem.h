/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory, and the only place that turns guest addresses into host memory.
 *
 * A machine has one RAM range. In a realm each page of it is either private (the guest's own,
 * RIPAS RAM) or shared with the host (RIPAS EMPTY; the guest reaches it at its address with the
 * shared bit set), and the two states have different backing memory: what was written on one side
 * is never seen on the other, and a change of state loses the contents.
 *
 *	kind	      private side	    shared side
 *	GMEM_PLAIN    none		    anonymous; every page is shared with the devices
 *	GMEM_SPLIT    anonymous, KVM slot   memfd, KVM slot at base | shared bit
 *		      at base
 *	GMEM_REALM    guest_memfd, which    memfd; both sides are in one KVM slot
 *		      KVM owns
 *
 * Of the two sides of a page only the live one can be touched, by the guest as well (the other is
 * mapped without access and holds no memory), so a realm costs its RAM once.
 *
 * Devices are given copies (gmem_read(), gmem_write()). Their touch of a private page is -EFAULT
 * here, in C, whatever the kind of machine. Addresses are without the shared bit: whoever takes
 * one from a guest strips it first, with gmem_strip().
 *
 * Locks: one reader-writer lock inside. Accesses hold it for reading, changes of state for
 * writing, so a change never overtakes a copy. All functions may be called from any thread, except
 * gmem_create(), gmem_destroy(), gmem_load() and gmem_load_file(), which belong to the owner's
 * set-up and teardown.
 */
#ifndef CCR_GMEM_H
#define CCR_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ccr/err.h"
#include "ccr/ipa.h"

enum gmem_kind { GMEM_PLAIN, GMEM_SPLIT, GMEM_REALM };

enum gmem_side { GMEM_PRIVATE, GMEM_SHARED };

/**
 * GMEM_MAX_RUNS - most runs of neighbouring shared pages that a guest may create
 *
 * Each costs the host four mappings at the most; the kernel's default limit is 65530 a process.
 */
#define GMEM_MAX_RUNS 8192

/**
 * GMEM_MAX_ANONYMOUS - most blocks of 2 MiB that are shared in anonymous memory, each of which
 * costs the host four mappings at the most
 */
#define GMEM_MAX_ANONYMOUS 4096

/**
 * struct gmem_private_ops - how the private side of a GMEM_REALM machine changes
 * @to_shared, @to_private: change [@offset, @offset + @size) of RAM, whole granules, and give the
 *	memory of the side that died back to the host. Called with gmem's lock held for writing.
 *	Return 0 or -errno.
 */
struct gmem_private_ops {
	int (*to_shared)(void *ctx, uint64_t offset, uint64_t size);
	int (*to_private)(void *ctx, uint64_t offset, uint64_t size);
};

struct gmem;

/**
 * gmem_create() - reserve guest memory; nothing is allocated until it is touched
 * @base: first address, a multiple of the host's page size
 * @size: bytes, a multiple of 2 MiB
 * @shared_bit: a power of two above the RAM's end; 0 for GMEM_PLAIN
 *
 * GMEM_SPLIT and GMEM_REALM start with all pages private, GMEM_PLAIN with all of them shared.
 *
 * Return: 0, or -errno with @err set: -ENOMEM if the host cannot give so much address space,
 * -EOPNOTSUPP if the machine has private pages and the host's pages are larger than a granule.
 */
int gmem_create(struct gmem **ret_gmem, enum gmem_kind kind, ipa_t base, uint64_t size,
		uint64_t shared_bit, struct ccr_err *err);

/**
 * gmem_create_exportable() - as gmem_create() for GMEM_PLAIN, in a memfd for gmem_export_shared()
 *
 * Few hosts give memfds in transparent huge pages, so it is for machines that need it.
 *
 * Return: as gmem_create().
 */
int gmem_create_exportable(struct gmem **ret_gmem, ipa_t base, uint64_t size, struct ccr_err *err);

/**
 * gmem_create_huge() - as gmem_create() for GMEM_PLAIN, in huge pages that the host has reserved
 * @page_size: bytes, a power of two; 0 for the host's default size
 *
 * A realm has no such memory: it is shared and unshared in pieces of a granule, which huge pages
 * cannot be cut into.
 *
 * Return: 0, or -errno with @err set: -EINVAL if @size is no multiple of @page_size, or the host
 * has no pages of it; -ENOMEM if it has too few that are free.
 */
int gmem_create_huge(struct gmem **ret_gmem, ipa_t base, uint64_t size, uint64_t page_size,
		     struct ccr_err *err);

/**
 * gmem_prealloc() - take all of the memory from the host now, so that it cannot be missing later
 *
 * Of GMEM_SPLIT the private side; of GMEM_REALM nothing, for that side is KVM's. The memory comes
 * from the NUMA node of the calling thread, unless its policy says otherwise.
 *
 * Return: 0; -ENOMEM, or another -errno, with @err set.
 */
int gmem_prealloc(struct gmem *gmem, struct ccr_err *err);

/** gmem_destroy() - takes NULL. No vCPU may still be able to run. */
void gmem_destroy(struct gmem *gmem);

/** gmem_strip() - the address without the shared bit */
ipa_t gmem_strip(const struct gmem *gmem, ipa_t at);

/**
 * gmem_slot_address() - where a side is mapped in this process, for a KVM memory slot
 *
 * Return: an address that only the kernel may use; 0 if the machine has no such side.
 */
uint64_t gmem_slot_address(const struct gmem *gmem, enum gmem_side side);

/**
 * gmem_export_shared() - what another process may map to see what the guest has shared
 *
 * To be called before a page is shared, and not for memory that gmem_create() made as GMEM_PLAIN:
 * that is in no file.
 *
 * Private pages are holes in it, which read as zeros. Who writes there costs the host memory, as
 * much as the RAM at the most, until the page is shared next: then it is dropped. A process that is
 * about to use a page when it becomes private finds such a hole; nothing waits for it.
 *
 * Return: a memfd, borrowed: the byte of RAM at base + n is at offset n. Sealed: whoever gets it
 * can neither shrink nor grow it, so our own copies never fault.
 */
int gmem_export_shared(struct gmem *gmem);

/**
 * gmem_base(), gmem_size(), gmem_shared_bit() - as created
 *
 * Drivers may write addresses of shared memory with the bit or without; it is 0 for GMEM_PLAIN.
 */
ipa_t gmem_base(const struct gmem *gmem);
uint64_t gmem_size(const struct gmem *gmem);
uint64_t gmem_shared_bit(const struct gmem *gmem);

/** gmem_contains() - the whole range is RAM (shared or not); false if it wraps */
bool gmem_contains(const struct gmem *gmem, ipa_t at, uint64_t size);

/**
 * gmem_read(), gmem_write() - copy from or to shared memory, as a device does
 * @at: any alignment, without the shared bit
 *
 * Return: 0; -EFAULT if any byte is outside RAM or private (then nothing was written).
 */
int gmem_read(struct gmem *gmem, ipa_t at, void *buf, size_t size);
int gmem_write(struct gmem *gmem, ipa_t at, const void *buf, size_t size);

/**
 * gmem_load16(), gmem_store16() - one 2-byte access to shared memory, never torn
 * @at: even
 *
 * What is read after a load is not older than it (acquire); what was written before a store is seen
 * before it (release).
 *
 * Return: 0; -EFAULT as for gmem_read(), also for an odd address.
 */
int gmem_load16(struct gmem *gmem, ipa_t at, uint16_t *ret_value);
int gmem_store16(struct gmem *gmem, ipa_t at, uint16_t value);

/** GMEM_MAX_PINS - most range lists that can be held at once: what all disks may have in flight */
#define GMEM_MAX_PINS 8192

struct gmem_range {
	ipa_t at;
	uint64_t size;
};

/**
 * gmem_give_back() - a plain VM's guest does not need [@at, @at + @size) for now
 *
 * The host gets the whole pages in it; the guest finds zeros when it touches them. Memory that is
 * pinned may be given back too: I/O that goes on then goes nowhere.
 *
 * Return: 0; -EFAULT unless all of it is RAM; -EOPNOTSUPP in a realm of any kind.
 */
int gmem_give_back(struct gmem *gmem, ipa_t at, uint64_t size);

/**
 * gmem_pin() - host memory of shared ranges, for system calls only
 * @ranges: @nr of them; stay valid until gmem_unpin()
 * @iov: @nr entries, filled in
 *
 * Until gmem_unpin() none of the pages changes state: who wants to change one waits.
 *
 * Return: a handle, 0 or more; -EFAULT unless all of it is shared RAM; -EBUSY if too many are held.
 */
int gmem_pin(struct gmem *gmem, const struct gmem_range *ranges, unsigned nr, struct iovec *iov);

/** gmem_unpin() - by any thread */
void gmem_unpin(struct gmem *gmem, int handle);

/**
 * gmem_alias_shared() - let the guest reach shared pages at their protected addresses as well
 *
 * For a GMEM_SPLIT machine with an ITS: KVM reads the tables that the guest shares with the ITS at
 * their protected addresses. Before any page is shared. Not for blocks of 2 MiB that are shared at
 * once: no table of an ITS is as large.
 */
void gmem_alias_shared(struct gmem *gmem);

/**
 * gmem_load() - put an initial image into memory, before any vCPU has run
 *
 * The bytes go to the side on which the pages are now; for GMEM_REALM, to the shared side, from
 * where KVM takes them, until gmem_seal().
 *
 * Return: 0; -EFAULT if it is not all RAM.
 */
int gmem_load(struct gmem *gmem, ipa_t at, const void *buf, size_t size);

/**
 * gmem_load_file() - the end of a file, read straight into a GMEM_PLAIN machine's memory
 * @size: bytes from @offset to the file's end
 *
 * Return: 0; -EFAULT if it is not all RAM; -ESTALE if the file does not end there; another -errno
 * if it cannot be read.
 */
int gmem_load_file(struct gmem *gmem, ipa_t at, int fd, uint64_t offset, size_t size);

/**
 * gmem_set_private_ops() - who owns the private side of a GMEM_REALM machine
 *
 * Before the first change of state.
 */
void gmem_set_private_ops(struct gmem *gmem, const struct gmem_private_ops *ops, void *ctx);

/**
 * gmem_seal() - a GMEM_REALM machine's contents have been taken over by the RMM
 *
 * Until then gmem_load() fills the shared side, from which KVM copies; now that is given back.
 *
 * Return: 0 or -errno.
 */
int gmem_seal(struct gmem *gmem);

/** gmem_is_shared() - state of the page at @at, which must be in RAM */
bool gmem_is_shared(struct gmem *gmem, ipa_t at);

/**
 * gmem_run_end() - how far the state of the page at @at extends
 * @top: upper bound, in RAM
 *
 * Return: the first page address above @at, at most @top, whose state differs.
 */
ipa_t gmem_run_end(struct gmem *gmem, ipa_t at, ipa_t top);

/**
 * gmem_set_shared(), gmem_set_private() - change the state of whole pages
 * @at, @size: multiples of the granule, inside RAM
 *
 * Pages that change lose their contents; pages that have the state already keep theirs (a guest's
 * first call covers all of its RAM). On return no copy that began earlier is still going on and
 * the dead side is gone from the guest and from the host's memory.
 *
 * Return: 0; -EINVAL for a range that is not whole pages of RAM; -EPERM for GMEM_PLAIN; -ENOSPC
 * beyond GMEM_MAX_RUNS (nothing was changed); another -errno if the host fails, after which the
 * machine must be ended.
 */
int gmem_set_shared(struct gmem *gmem, ipa_t at, uint64_t size);
int gmem_set_private(struct gmem *gmem, ipa_t at, uint64_t size);

/** gmem_nr_shared_pages() - in granules */
uint64_t gmem_nr_shared_pages(struct gmem *gmem);

/** struct gmem_changes - pages that have changed their state so far, in granules */
struct gmem_changes {
	uint64_t nr_to_shared;
	uint64_t nr_to_private;
};

/** gmem_changes() - since its creation */
struct gmem_changes gmem_changes(struct gmem *gmem);

/** gmem_nr_refused() - device touches of private pages that were refused so far */
uint64_t gmem_nr_refused(struct gmem *gmem);

/*
 * The part of the RMM in an emulated realm: private pages. tests/lint lets nobody but the emulated
 * backend call these.
 */

/**
 * gmem_rmm_read(), gmem_rmm_write() - copy from or to private pages of a GMEM_SPLIT machine
 *
 * Return: 0; -EFAULT if any byte is outside RAM or shared.
 */
int gmem_rmm_read(struct gmem *gmem, ipa_t at, void *buf, size_t size);
int gmem_rmm_write(struct gmem *gmem, ipa_t at, const void *buf, size_t size);

#endif

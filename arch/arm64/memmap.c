/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "ccr/memmap.h"

/* An IPA space of 52 bits, the architecture's largest, whose upper half is the shared one. */
#define MAX_IPA_BITS 52
#define MIN_IPA_BITS 33
#define MAX_RAM_SIZE ((1ull << (MAX_IPA_BITS - 1)) - MEMMAP_RAM_BASE)

static int check_ram_size(uint64_t ram_size, struct ccr_err *err)
{
	if (ram_size < MEMMAP_MIN_RAM)
		return err_set(err, -EINVAL,
			       "--mem: %" PRIu64 " bytes of RAM are less than %" PRIu64
			       " MiB, the least a guest gets",
			       ram_size, (uint64_t)MEMMAP_MIN_RAM >> 20);
	if (ram_size > MAX_RAM_SIZE)
		return err_set(err, -EINVAL,
			       "--mem: more than %" PRIu64 " MiB of RAM, the most "
			       "that %d bits of address space hold",
			       (uint64_t)MAX_RAM_SIZE >> 20, MAX_IPA_BITS);
	if (ram_size % MEMMAP_RAM_ALIGN)
		return err_set(err, -EINVAL,
			       "--mem: %" PRIu64 " bytes of RAM are not a multiple of "
			       "2 MiB; %" PRIu64 "M would be",
			       ram_size, align_up(ram_size, MEMMAP_RAM_ALIGN) >> 20);
	return 0;
}

/* Bits that hold the addresses of all RAM, and one more that tells shared from protected. */
static unsigned ipa_bits_for(uint64_t ram_size)
{
	uint64_t last = MEMMAP_RAM_BASE + ram_size - 1;
	unsigned bits = 64 - (unsigned)__builtin_clzll(last) + 1;

	return bits > MIN_IPA_BITS ? bits : MIN_IPA_BITS;
}

int memmap_init(struct memmap *map, uint64_t ram_size, unsigned nr_vcpus, struct ccr_err *err)
{
	uint64_t gicd, gicr, dtb;
	int rc = check_ram_size(ram_size, err);

	if (rc)
		return rc;
	if (nr_vcpus < 1 || nr_vcpus > MEMMAP_MAX_VCPUS)
		return err_set(err, -EINVAL, "--cpus: %u vCPUs are not between 1 and %u", nr_vcpus,
			       MEMMAP_MAX_VCPUS);

	gicd = MEMMAP_GIC_TOP - MEMMAP_GICD_SIZE;
	gicr = gicd - nr_vcpus * MEMMAP_GICR_SIZE;
	dtb = MEMMAP_RAM_BASE + ram_size - SZ_2M;
	if (dtb > MEMMAP_DTB_LIMIT)
		dtb = MEMMAP_DTB_LIMIT;

	map->ram_size = ram_size;
	map->nr_vcpus = nr_vcpus;
	map->ipa_bits = ipa_bits_for(ram_size);
	map->shared_bit = 1ull << (map->ipa_bits - 1);
	map->gicd_base = ipa_at(gicd);
	map->gicr_base = ipa_at(gicr);
	map->its_base = ipa_at(gicr - MEMMAP_ITS_SIZE);
	map->dtb_base = ipa_at(dtb);
	map->log_base = ipa_at(dtb + MEMMAP_DTB_SIZE);
	return 0;
}

uint64_t memmap_mpidr(unsigned index)
{
	uint64_t aff0 = index & 0xf;
	uint64_t aff1 = (index >> 4) & 0xff;
	uint64_t aff2 = (index >> 12) & 0xff;

	return aff2 << 16 | aff1 << 8 | aff0;
}

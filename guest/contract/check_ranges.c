/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discards and zeros (5.2.6) on every disk that the machine has, by the rules and against them. A
 * disk's first 32 KiB end as the letter x, but for the ranges that were zeroed and those that were
 * discarded: of these the host knows more than the guest may rely on, and looks at the file.
 */
#include "lab.h"

#define BLK_DISCARD      11u
#define BLK_WRITE_ZEROES 13u
#define FLAG_UNMAP       1u

#define NR_SECTORS 64u
#define FILL       'x'

struct range {
	uint64_t sector;
	uint32_t nr_sectors, flags;
};

static uint64_t data_at(const struct lab *lab, uint64_t offset)
{
	return (uint64_t)(uintptr_t)lab_at(lab, AT_DATA) + offset;
}

/* Return: the status byte, or -1. */
static int ask(struct lab *lab, uint32_t type, const struct range *range, uint32_t size)
{
	for (unsigned i = 0; i < 2 * sizeof(*range); i += sizeof(*range))
		memcpy(lab_at(lab, AT_DATA + i), range, sizeof(*range));
	blk_put(lab, type, 0, size);
	return blk_run(lab);
}

static bool fill(struct lab *lab)
{
	bool ok = true;

	for (unsigned at = 0; at < NR_SECTORS && ok; at += DATA_SIZE / SECTOR_SIZE) {
		memset(lab_at(lab, AT_DATA), FILL, DATA_SIZE);
		blk_put(lab, BLK_OUT, at, DATA_SIZE);
		ok = blk_run(lab) == BLK_OK;
	}
	return ok;
}

/* All of the range is @byte, and its neighbours are what they were. */
static bool is_filled(struct lab *lab, const struct range *range, uint8_t byte)
{
	const uint32_t size = (range->nr_sectors + 2) * SECTOR_SIZE;

	blk_put(lab, BLK_IN, range->sector - 1, size);
	if (blk_run(lab) != BLK_OK)
		return false;
	for (uint32_t i = 0; i < size; i++) {
		const bool is_inside = i >= SECTOR_SIZE && i < size - SECTOR_SIZE;

		if (mmio_read8(data_at(lab, i)) != (is_inside ? byte : FILL))
			return false;
	}
	return true;
}

static void check_zeros(struct lab *lab, const char *disk)
{
	static const struct {
		char name[40];
		struct range range;
	} cases[] = {
		{"zeros", {24, 8, 0}},
		{"zeros that may be holes", {40, 8, FLAG_UNMAP}},
		{"zeros of three sectors", {57, 3, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct range *range = &cases[i].range;
		const int status = ask(lab, BLK_WRITE_ZEROES, range, sizeof(*range));

		lab_check(lab, status == BLK_OK && is_filled(lab, range, 0), disk, cases[i].name);
	}
}

/* Not every disk of a host can; the guest is told, and then nothing has changed. */
static void check_discard(struct lab *lab, const char *disk)
{
	const struct range range = {8, 8, 0};
	const int status = ask(lab, BLK_DISCARD, &range, sizeof(range));

	tap_note(&lab->tap, "%s: discard: status %d", disk, status);
	lab_check(lab, status == BLK_OK || (status == BLK_UNSUPP && is_filled(lab, &range, FILL)),
		  disk, "a discard");
}

static void check_wrong_ranges(struct lab *lab, const char *disk)
{
	const uint64_t end = mmio_read64(lab->blk.config + BLK_CAPACITY);
	const struct {
		char name[48];
		uint32_t type, size;
		struct range range;
		int status;
	} cases[] = {
		{"a discard of no sectors", BLK_DISCARD, 16, {8, 0, 0}, BLK_IOERR},
		{"a discard across the end", BLK_DISCARD, 16, {end - 1, 2, 0}, BLK_IOERR},
		{"a discard that wraps", BLK_DISCARD, 16, {~0ull - 3, 8, 0}, BLK_IOERR},
		{"a discard of 2 TiB", BLK_DISCARD, 16, {0, ~0u, 0}, BLK_IOERR},
		{"a discard with a flag", BLK_DISCARD, 16, {8, 8, FLAG_UNMAP}, BLK_UNSUPP},
		{"a discard of 15 bytes", BLK_DISCARD, 15, {8, 8, 0}, BLK_IOERR},
		{"a discard of two ranges", BLK_DISCARD, 32, {8, 8, 0}, BLK_IOERR},
		{"zeros across the end", BLK_WRITE_ZEROES, 16, {end - 1, 2, 0}, BLK_IOERR},
		{"zeros whose bytes wrap", BLK_WRITE_ZEROES, 16, {1ull << 55, 8, 0}, BLK_IOERR},
		{"zeros with flags that are none", BLK_WRITE_ZEROES, 16, {8, 8, ~0u}, BLK_UNSUPP},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const int status = ask(lab, cases[i].type, &cases[i].range, cases[i].size);

		if (status != cases[i].status)
			tap_note(&lab->tap, "the status was %d", status);
		lab_check(lab, status == cases[i].status, disk, cases[i].name);
	}
}

/* A disk that offers neither, because it is only to be read, does neither. */
static void check_read_only(struct lab *lab, const char *disk)
{
	const struct range range = {8, 8, 0};

	lab_check(lab,
		  ask(lab, BLK_DISCARD, &range, sizeof(range)) == BLK_IOERR &&
			  ask(lab, BLK_WRITE_ZEROES, &range, sizeof(range)) == BLK_IOERR,
		  disk, "neither discards nor zeros");
}

void check_ranges(struct lab *lab)
{
	const struct virtio first = lab->blk;
	char disk[] = "disk 0";

	while (lab_find(lab, &lab->blk, VIRTIO_ID_BLOCK, (unsigned)(disk[5] - '0'))) {
		bool ok = lab_start(lab, &lab->blk, lab->features, 0);

		if (!(virtio_offered(&lab->blk) & BLK_F_DISCARD)) {
			check_read_only(lab, disk);
		} else {
			ok = ok && fill(lab);
			check_discard(lab, disk);
			check_zeros(lab, disk);
			check_wrong_ranges(lab, disk);
		}
		blk_put(lab, BLK_FLUSH, 0, SECTOR_SIZE);
		lab_check(lab, ok && blk_run(lab) == BLK_OK, disk, "works after that");
		virtio_reset(&lab->blk);
		disk[5]++;
	}
	lab->blk = first;
}

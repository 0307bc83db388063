/* SPDX-License-Identifier: Apache-2.0 */
/* Registers over MMIO at widths and places that they do not have. */
#include "lab.h"

#define REGISTERS_END 0x100u
#define PLACE_SIZE    0x200u
#define STATUS        0x070u

static void check_widths(struct lab *lab)
{
	bool zero = true, ok = lab_start(lab, &lab->blk, lab->features, 0);

	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = 0; at < REGISTERS_END && size != 4; at += size) {
			zero = lab_read(lab->blk.mmio + at, size) == 0 && zero;
			lab_write(lab->blk.mmio + at, size, ~0ull);
		}
	}
	tap_check(&lab->tap, zero, "MMIO: registers at other widths read as 0");
	tap_check(&lab->tap, ok && blk_still_works(lab),
		  "MMIO: at other widths they ignore writes");
}

static void check_configuration(struct lab *lab)
{
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);

	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = REGISTERS_END; at < PLACE_SIZE; at += size) {
			lab_read(lab->blk.mmio + at, size);
			lab_write(lab->blk.mmio + at, size, ~0ull);
		}
	}
	tap_check(&lab->tap, ok && blk_still_works(lab), "MMIO: configuration at all widths");
}

/* Every word but the status, which would be taken in earnest, with the disk in use. */
static void check_words(struct lab *lab)
{
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);

	for (unsigned at = 0; at < REGISTERS_END; at += 4) {
		if (at == STATUS)
			continue;
		lab_write(lab->blk.mmio + at, 4, ~0ull);
		(void)lab_read(lab->blk.mmio + at, 4);
	}
	tap_check(&lab->tap, ok && blk_still_works(lab),
		  "MMIO: every register written, the queue in use");
}

static void check_empty_places(struct lab *lab)
{
	struct virtio nobody;
	bool ok = lab_find(lab, &nobody, 0, 0);

	for (unsigned at = 0; at < PLACE_SIZE && ok; at += 4) {
		mmio_write32(nobody.mmio + at, ~0u);
		(void)mmio_read32(nobody.mmio + at);
	}
	tap_check(&lab->tap, ok && virtio_status(&nobody) == 0 && blk_works(lab),
		  "MMIO: a place without a device is not brought to life");
}

void check_mmio(struct lab *lab)
{
	check_widths(lab);
	check_configuration(lab);
	check_words(lab);
	check_empty_places(lab);
	tap_check(&lab->tap, blk_works(lab), "MMIO: the disk works after all that");
}

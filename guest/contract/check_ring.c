/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of a disk: its size, where its rings are, what its indices say. */
#include "lab.h"

enum ring_place { R_ZERO, R_HOLE, R_PRIVATE, R_RAM_END, R_MISALIGNED, R_WRAPS };

struct place_case {
	char name[56];
	uint8_t part, place;
};

static const struct place_case places[] = {
	{"ring: descriptors outside RAM", VRING_DESC, R_HOLE},
	{"ring: available ring outside RAM", VRING_AVAIL, R_HOLE},
	{"ring: used ring outside RAM", VRING_USED, R_HOLE},
	{"ring: descriptors at 0", VRING_DESC, R_ZERO},
	{"ring: descriptors at the end of RAM", VRING_DESC, R_RAM_END},
	{"ring: available ring at the end of RAM", VRING_AVAIL, R_RAM_END},
	{"ring: used ring at the end of RAM", VRING_USED, R_RAM_END},
	{"ring: descriptors in private memory", VRING_DESC, R_PRIVATE},
	{"ring: available ring in private memory", VRING_AVAIL, R_PRIVATE},
	{"ring: used ring in private memory", VRING_USED, R_PRIVATE},
	{"ring: descriptors misaligned", VRING_DESC, R_MISALIGNED},
	{"ring: available ring misaligned", VRING_AVAIL, R_MISALIGNED},
	{"ring: used ring misaligned", VRING_USED, R_MISALIGNED},
	{"ring: descriptors wrap", VRING_DESC, R_WRAPS},
	{"ring: used ring wraps", VRING_USED, R_WRAPS},
};

static uint64_t place_of(const struct lab *lab, const struct place_case *c)
{
	switch (c->place) {
	case R_HOLE:
		return lab->hole;
	case R_PRIVATE:
		return lab->private;
	case R_RAM_END:
		return lab->machine->ram_top;
	case R_MISALIGNED:
		return lab->shared + AT_RINGS + c->part * PAGE_SIZE + 1;
	case R_WRAPS:
		return ~0xfull;
	default:
		return 0;
	}
}

/* Queue 0 of the disk, configured by the rules but not enabled yet. */
static bool configure(struct lab *lab)
{
	if (!virtio_negotiate(&lab->blk, lab->features))
		return false;
	vring_init(&lab->ring, lab->shared + AT_RINGS, lab->realm.shared_bit, 0,
		   virtio_queue_size(&lab->blk, 0));
	virtio_set_queue(&lab->blk, &lab->ring);
	return true;
}

/* Enable what is configured, make a request by the rules, and see that the device objects. */
static bool is_refused(struct lab *lab)
{
	enum virtio_answer answer;

	virtio_enable_queue(&lab->blk, 0);
	virtio_add_status(&lab->blk, VIRTIO_DRIVER_OK);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	answer = virtio_await(&lab->blk, &lab->ring, NULL, NULL);
	if (answer != ANSWER_NEEDS_RESET)
		tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
	return answer == ANSWER_NEEDS_RESET;
}

/* The verdict of a case, and whether the device works again after it. */
static void judge(struct lab *lab, bool ok, const char *name)
{
	ok = blk_works(lab) && ok;
	tap_check(&lab->tap, ok, name);
}

static void check_places(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct place_case *c = &places[i];

		if (c->place == R_PRIVATE && !lab->realm.is_realm) {
			tap_skip(&lab->tap, c->name, "not a realm");
			continue;
		}
		if (configure(lab))
			virtio_write_address(&lab->blk, c->part, place_of(lab, c));
		judge(lab, is_refused(lab), c->name);
	}
}

struct size_case {
	char name[40];
	bool twice_the_offer;
	uint16_t size;
};

static const struct size_case sizes[] = {
	{"ring: size 0", false, 0},
	{"ring: size 3", false, 3},
	{"ring: twice the size on offer", true, 0},
	{"ring: size 0x8000", false, 0x8000},
	{"ring: size 0xffff", false, 0xffff},
};

static void check_sizes(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const bool ok = configure(lab);
		const uint16_t size = sizes[i].twice_the_offer ? lab->ring.size * 2 : sizes[i].size;

		virtio_write_size(&lab->blk, size);
		judge(lab, is_refused(lab) && ok, sizes[i].name);
	}
}

/* A smaller queue than the one on offer is a choice, not a breach; so is the shared bit. */
static void check_choices(struct lab *lab)
{
	bool ok = configure(lab);

	lab->ring.size = 4;
	virtio_set_queue(&lab->blk, &lab->ring);
	virtio_enable_queue(&lab->blk, 0);
	virtio_add_status(&lab->blk, VIRTIO_DRIVER_OK);
	for (unsigned i = 0; i < 9 && ok; i++) {
		blk_put(lab, BLK_OUT, i, SECTOR_SIZE);
		ok = blk_run(lab) == BLK_OK;
	}
	judge(lab, ok, "ring: four entries, more than twice around");

	ok = configure(lab);
	virtio_write_address(&lab->blk, VRING_DESC, lab->ring.base | lab->realm.shared_bit);
	virtio_enable_queue(&lab->blk, 0);
	virtio_add_status(&lab->blk, VIRTIO_DRIVER_OK);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	judge(lab, blk_run(lab) == BLK_OK && ok, "ring: addresses with and without the shared bit");
}

struct index_case {
	char name[56];
	bool by_size;
	uint16_t index;
};

static const struct index_case indices[] = {
	{"ring: available index ahead by size + 1", true, 1},
	{"ring: available index ahead by 0x8000", false, 0x8000},
	{"ring: available index goes back", false, 0xffff},
};

static void check_indices(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		const uint16_t add = indices[i].by_size ? lab->ring.size : 0;
		enum virtio_answer answer;
		bool ok = lab_start(lab, &lab->blk, lab->features, 0);

		blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
		vring_set_index(&lab->ring, (uint16_t)(indices[i].index + add));
		vring_notify(&lab->ring);
		answer = virtio_await(&lab->blk, &lab->ring, NULL, NULL);
		judge(lab, answer == ANSWER_NEEDS_RESET && ok, indices[i].name);
	}
}

/* The same chain in every entry at once: allowed to fail, not to hang or to end the machine. */
static void check_same_head(struct lab *lab)
{
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);
	unsigned nr_done = 0;

	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	for (unsigned i = 0; i < lab->ring.size; i++)
		vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	while (ok && nr_done < lab->ring.size) {
		const enum virtio_answer answer = virtio_await(&lab->blk, &lab->ring, NULL, NULL);

		if (answer == ANSWER_NEEDS_RESET)
			break;
		ok = answer == ANSWER_DONE;
		nr_done++;
	}
	tap_note(&lab->tap, "%u of %u done", nr_done, lab->ring.size);
	judge(lab, ok, "ring: the same chain in every entry");
}

static void check_late_setup(struct lab *lab)
{
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);

	for (unsigned part = VRING_DESC; part <= VRING_USED; part++)
		virtio_write_address(&lab->blk, part, lab->hole);
	virtio_write_size(&lab->blk, 3);
	virtio_write_ready(&lab->blk, false);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	judge(lab, blk_run(lab) == BLK_OK && ok, "ring: set-up of a live queue is ignored");

	/* Nothing was told but to go. */
	ok = virtio_negotiate(&lab->blk, lab->features);
	virtio_queue_size(&lab->blk, 0);
	judge(lab, is_refused(lab) && ok, "ring: enabled before it has addresses");

	ok = configure(lab);
	virtio_add_status(&lab->blk, VIRTIO_DRIVER_OK);
	vring_notify(&lab->ring);
	judge(lab, ok && !(virtio_status(&lab->blk) & VIRTIO_NEEDS_RESET),
	      "ring: notified but never enabled");
}

void check_rings(struct lab *lab)
{
	check_places(lab);
	check_sizes(lab);
	check_choices(lab);
	check_indices(lab);
	check_same_head(lab);
	check_late_setup(lab);
	tap_check(&lab->tap, lab_is_private_intact(lab), "ring: private memory is untouched");
}

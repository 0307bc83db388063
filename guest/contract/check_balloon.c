/* SPDX-License-Identifier: Apache-2.0 */
/* A balloon, in machines that have one: what is given back, and what names nothing of RAM. */
#include "lab.h"

#define VIRTIO_ID_BALLOON 5
#define F_STATS           VIRTIO_F(1)
#define F_REPORTING       VIRTIO_F(5)
#define FEATURES          (F_STATS | F_REPORTING)
#define INFLATE           0
#define REPORTING         3

enum place { P_LIST, P_HOLE, P_RAM_END };

struct balloon_case {
	char name[64];
	uint16_t queue, place;
	uint32_t size;
	uint16_t flags;
	uint32_t page; /* in the list; 0 for one of RAM */
	enum virtio_answer verdict;
};

static const struct balloon_case cases[] = {
	{"balloon: a list of 3 bytes", INFLATE, P_LIST, 3, 0, 0, ANSWER_NEEDS_RESET},
	{"balloon: a list of 8 KiB", INFLATE, P_LIST, 8192, 0, 0, ANSWER_NEEDS_RESET},
	{"balloon: a list outside RAM", INFLATE, P_HOLE, 4, 0, 0, ANSWER_NEEDS_RESET},
	{"balloon: the page at 0x1000", INFLATE, P_LIST, 4, 0, 1, ANSWER_NEEDS_RESET},
	{"balloon: the highest page", INFLATE, P_LIST, 4, 0, ~0u, ANSWER_NEEDS_RESET},
	{"balloon: a report of what is outside RAM", REPORTING, P_HOLE, 4096, DESC_WRITE, 0,
	 ANSWER_NEEDS_RESET},
	{"balloon: a report across the end of RAM", REPORTING, P_RAM_END, 8192, DESC_WRITE, 0,
	 ANSWER_NEEDS_RESET},
	{"balloon: a report that is only to be read", REPORTING, P_LIST, 4096, 0, 0, ANSWER_DONE},
};

static uint64_t place_of(const struct lab *lab, unsigned place)
{
	switch (place) {
	case P_HOLE:
		return lab->hole;
	case P_RAM_END:
		return lab->machine->ram_top - 4096;
	default:
		return lab->shared + AT_DATA;
	}
}

static enum virtio_answer offer(struct lab *lab, const struct virtio *virtio, uint16_t queue,
				const struct vdesc *desc)
{
	if (!lab_start(lab, virtio, lab_base_features() | FEATURES, queue))
		return ANSWER_NONE;
	vring_put(&lab->ring, 0, desc);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	return virtio_await(virtio, &lab->ring, NULL, NULL);
}

static void put_page(struct lab *lab, uint32_t page)
{
	mmio_write32((uint64_t)(uintptr_t)lab_at(lab, AT_DATA), page);
	cache_flush(lab_at(lab, AT_DATA), PAGE_SIZE);
}

/* A page that is given back is empty when it is touched again, and its neighbours are not. */
static bool gives_back(struct lab *lab, const struct virtio *virtio)
{
	const uint64_t page = (lab->free + 2 * PAGE_SIZE) & ~(PAGE_SIZE - 1);
	const struct vdesc desc = {lab->shared + AT_DATA, 4, 0, 0};
	enum virtio_answer answer;

	mmio_write64(page - 8, ~0ull);
	mmio_write64(page + PAGE_SIZE / 2, ~0ull);
	mmio_write64(page + PAGE_SIZE, ~0ull);
	cache_flush((const void *)(uintptr_t)(page - 8), PAGE_SIZE + 16);
	put_page(lab, (uint32_t)(page / 4096));
	answer = offer(lab, virtio, INFLATE, &desc);
	cache_flush((const void *)(uintptr_t)(page - 8), PAGE_SIZE + 16);
	return answer == ANSWER_DONE && mmio_read64(page - 8) == ~0ull &&
	       mmio_read64(page + PAGE_SIZE / 2) == 0 && mmio_read64(page + PAGE_SIZE) == ~0ull;
}

void check_balloon(struct lab *lab)
{
	struct virtio virtio;

	if (!lab_find(lab, &virtio, VIRTIO_ID_BALLOON, 0))
		return;
	tap_check(&lab->tap, gives_back(lab, &virtio), "balloon: a page is given back");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct balloon_case *c = &cases[i];
		const struct vdesc desc = {place_of(lab, c->place), c->size, c->flags, 0};
		enum virtio_answer answer;

		put_page(lab, c->page ? c->page : (uint32_t)(lab->free / 4096));
		answer = offer(lab, &virtio, c->queue, &desc);
		if (answer != c->verdict)
			tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
		tap_check(&lab->tap, answer == c->verdict && gives_back(lab, &virtio), c->name);
	}
	virtio_reset(&virtio);
}

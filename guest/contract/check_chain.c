/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor chains of a disk, one table: what is offered, and what must come back. */
#include "lab.h"

enum place {
	P_ABS,    /* the number itself */
	P_HEADER, /* a request's header, in shared memory like the next three */
	P_DATA,
	P_STATUS,
	P_TABLE,    /* an indirect table */
	P_DATA_END, /* the end of the shared memory: what follows is private in a realm */
	P_PRIVATE,
	P_HOLE,
	P_RAM_END,
};

struct part {
	uint8_t place;
	uint8_t flags;
	uint16_t next;
	uint32_t len;
	uint64_t add;
};

/* What must come back. */
enum verdict { V_RESET, V_OK, V_IOERR, V_UNSUPP };

/* When there is a point in it. */
enum when { ALWAYS, IN_REALM };

#define NX DESC_NEXT
#define WR DESC_WRITE
#define ID DESC_INDIRECT

#define NO_INDIRECT 1u /* flag of a case: the feature is not accepted */
#define AWAY        0xffffu

/**
 * struct chain_case - one chain
 *
 * Names are arrays: a pointer in a table would need relocating.
 */
struct chain_case {
	char name[64];
	uint8_t verdict, when, flags;
	uint16_t head;
	uint32_t type;
	uint64_t sector;
	struct part ring[4], table[4];
};

#define H                              \
	{                              \
		P_HEADER, NX, 1, 16, 0 \
	}
#define S                             \
	{                             \
		P_STATUS, WR, 0, 1, 0 \
	}

/* clang-format off */
static const struct chain_case cases[] = {
	{"chain: by the rules", V_OK, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_DATA, NX, 2, 512, 0}, S}, {{0}}},
	{"chain: header in pieces of 1 and 15 bytes", V_OK, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_HEADER, NX, 1, 1, 0}, {P_HEADER, NX, 2, 15, 1}, {P_DATA, NX, 3, 512, 0}, S}, {{0}}},
	{"chain: loop of two", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_DATA, NX, 0, 512, 0}}, {{0}}},
	{"chain: loop of one", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_DATA, NX | WR, 1, 512, 0}}, {{0}}},
	{"chain: next is 256", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_HEADER, NX, 256, 16, 0}}, {{0}}},
	{"chain: next is 0xffff", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_HEADER, NX, AWAY, 16, 0}}, {{0}}},
	{"chain: head is 256", V_RESET, ALWAYS, 0, 256, BLK_OUT, 0, {H, S}, {{0}}},
	{"chain: head is 0xffff", V_RESET, ALWAYS, 0, AWAY, BLK_OUT, 0, {H, S}, {{0}}},
	{"chain: address and length wrap", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_ABS, NX, 2, 512, ~0ull - 255}, S}, {{0}}},
	{"chain: highest address, longest length", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_ABS, NX | WR, 2, ~0u, ~0ull}, S}, {{0}}},
	{"chain: empty data", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_DATA, NX, 2, 0, 0}, S}, {{0}}},
	{"chain: empty header", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_HEADER, NX, 1, 0, 0}, S}, {{0}}},
	{"chain: empty status", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_STATUS, WR, 0, 0, 0}}, {{0}}},
	{"chain: 4 GiB and more in all", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_DATA, NX | WR, 2, ~0u, 0}, {P_DATA, NX | WR, 3, ~0u, 0}, S}, {{0}}},
	{"chain: 2 GiB from a place in RAM", V_IOERR, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_DATA, NX | WR, 2, 1u << 31, 0}, S}, {{0}}},
	{"chain: readable data behind the status", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_STATUS, NX | WR, 2, 1, 0}, {P_DATA, 0, 0, 512, 0}}, {{0}}},
	{"chain: no status", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_HEADER, NX, 1, 16, 0}, {P_DATA, 0, 0, 512, 0}}, {{0}}},
	{"chain: no header", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {{P_DATA, NX | WR, 1, 512, 0}, S}, {{0}}},
	{"chain: header of 15 bytes", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {{P_HEADER, NX, 1, 15, 0}, S}, {{0}}},
	{"chain: header outside RAM", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {{P_HOLE, NX, 1, 16, 0}, S}, {{0}}},
	{"chain: header across the end of RAM", V_RESET, ALWAYS, 0, 0, BLK_IN, 0,
	 {{P_RAM_END, NX, 1, 16, -8ull}, S}, {{0}}},
	{"chain: status outside RAM", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_DATA, NX, 2, 512, 0}, {P_HOLE, WR, 0, 1, 0}}, {{0}}},
	{"chain: write from outside RAM", V_IOERR, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_HOLE, NX, 2, 512, 0}, S}, {{0}}},
	{"chain: read to outside RAM", V_IOERR, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_HOLE, NX | WR, 2, 512, 0}, S}, {{0}}},
	{"chain: data across the end of RAM", V_IOERR, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_RAM_END, NX | WR, 2, 512, -8ull}, S}, {{0}}},
	{"chain: header in private memory", V_RESET, IN_REALM, 0, 0, BLK_IN, 0,
	 {{P_PRIVATE, NX, 1, 16, 0}, S}, {{0}}},
	{"chain: status in private memory", V_RESET, IN_REALM, 0, 0, BLK_OUT, 0,
	 {H, {P_DATA, NX, 2, 512, 0}, {P_PRIVATE, WR, 0, 1, 0}}, {{0}}},
	{"chain: write from private memory", V_IOERR, IN_REALM, 0, 0, BLK_OUT, 0,
	 {H, {P_PRIVATE, NX, 2, 512, 0}, S}, {{0}}},
	{"chain: read to private memory", V_IOERR, IN_REALM, 0, 0, BLK_IN, 0,
	 {H, {P_PRIVATE, NX | WR, 2, 512, 0}, S}, {{0}}},
	{"chain: read across shared and private memory", V_IOERR, IN_REALM, 0, 0, BLK_IN, 0,
	 {H, {P_DATA_END, NX | WR, 2, 512, -256ull}, S}, {{0}}},
	{"chain: second piece in private memory", V_IOERR, IN_REALM, 0, 0, BLK_IN, 0,
	 {H, {P_DATA, NX | WR, 2, 512, 0}, {P_PRIVATE, NX | WR, 3, 512, 0}, S}, {{0}}},
	{"chain: unknown request", V_UNSUPP, ALWAYS, 0, 0, 0xdeadbeef, 0, {H, S}, {{0}}},
	{"chain: sector behind the end", V_IOERR, ALWAYS, 0, 0, BLK_IN, 1ull << 40,
	 {H, {P_DATA, NX | WR, 2, 512, 0}, S}, {{0}}},
	{"chain: highest sector", V_IOERR, ALWAYS, 0, 0, BLK_OUT, ~0ull,
	 {H, {P_DATA, NX, 2, 1024, 0}, S}, {{0}}},
	{"chain: sector whose byte address wraps to 0", V_IOERR, ALWAYS, 0, 0, BLK_OUT, 1ull << 55,
	 {H, {P_DATA, NX, 2, 512, 0}, S}, {{0}}},
	{"chain: data of 511 bytes", V_IOERR, ALWAYS, 0, 0, BLK_OUT, 0,
	 {H, {P_DATA, NX, 2, 511, 0}, S}, {{0}}},
	{"chain: write of no data", V_IOERR, ALWAYS, 0, 0, BLK_OUT, 0, {H, S}, {{0}}},
	{"chain: read of no data", V_IOERR, ALWAYS, 0, 0, BLK_IN, 0, {H, S}, {{0}}},
	{"chain: read into what the device may only read", V_IOERR, ALWAYS, 0, 0, BLK_IN, 0,
	 {H, {P_DATA, NX, 2, 512, 0}, S}, {{0}}},

	{"chain: indirect, by the rules", V_OK, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 48, 0}}, {H, {P_DATA, NX, 2, 512, 0}, S}},
	{"chain: indirect, next is out of the table", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 48, 0}}, {H, {P_DATA, NX, 3, 512, 0}, S}},
	{"chain: indirect, loop", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 32, 0}}, {H, {P_DATA, NX, 1, 512, 0}}},
	{"chain: indirect of indirect", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 48, 0}}, {{P_TABLE, ID, 0, 48, 0}}},
	{"chain: indirect of indirect, behind a buffer", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 32, 0}}, {H, {P_TABLE, ID, 0, 32, 0}}},
	{"chain: indirect and next", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID | NX, 1, 48, 0}, S}, {H, {P_DATA, NX, 2, 512, 0}, S}},
	{"chain: indirect, empty", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 0, 0}}, {H, S}},
	{"chain: indirect, 8 bytes", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 8, 0}}, {H, S}},
	{"chain: indirect, 33 bytes", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 33, 0}}, {H, S}},
	{"chain: indirect, 65536 entries", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 16u << 16, 0}}, {H, S}},
	{"chain: indirect, 4 GiB less 16", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, ~0xfu, 0}}, {H, S}},
	{"chain: indirect, outside RAM", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_HOLE, ID, 0, 32, 0}}, {{0}}},
	{"chain: indirect, wraps", V_RESET, ALWAYS, 0, 0, BLK_OUT, 0,
	 {{P_ABS, ID, 0, 32, ~0ull - 15}}, {{0}}},
	{"chain: indirect, in private memory", V_RESET, IN_REALM, 0, 0, BLK_OUT, 0,
	 {{P_PRIVATE, ID, 0, 32, 0}}, {{0}}},
	{"chain: indirect, not negotiated", V_RESET, ALWAYS, NO_INDIRECT, 0, BLK_OUT, 0,
	 {{P_TABLE, ID, 0, 48, 0}}, {H, {P_DATA, NX, 2, 512, 0}, S}},
};
/* clang-format on */

static uint64_t place_of(const struct lab *lab, const struct part *part)
{
	switch (part->place) {
	case P_HEADER:
		return lab->shared + AT_HEADER + part->add;
	case P_DATA:
		return lab->shared + AT_DATA + part->add;
	case P_STATUS:
		return lab->shared + AT_STATUS + part->add;
	case P_TABLE:
		return lab->shared + AT_TABLE + part->add;
	case P_DATA_END:
	case P_PRIVATE:
		return lab->private + part->add;
	case P_HOLE:
		return lab->hole + part->add;
	case P_RAM_END:
		return lab->machine->ram_top + part->add;
	default:
		return part->add;
	}
}

static struct vdesc to_desc(const struct lab *lab, const struct part *part)
{
	return (struct vdesc){place_of(lab, part), part->len, part->flags, part->next};
}

static void prepare(struct lab *lab, const struct chain_case *c)
{
	struct vdesc *table = lab_at(lab, AT_TABLE);

	blk_put(lab, c->type, c->sector, SECTOR_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(c->ring); i++) {
		const struct vdesc desc = to_desc(lab, &c->ring[i]);

		vring_put(&lab->ring, i, &desc);
		table[i] = to_desc(lab, &c->table[i]);
	}
	cache_flush(lab_at(lab, AT_HEADER), PAGE_SIZE);
}

/* Where indirect tables are not offered, each is a breach, whatever is in it. */
static enum verdict verdict_of(const struct lab *lab, const struct chain_case *c)
{
	const bool is_offered = lab->features & VIRTIO_F_INDIRECT;

	return c->ring[0].flags & DESC_INDIRECT && !is_offered ? V_RESET : c->verdict;
}

static bool is_as_said(enum verdict verdict, enum virtio_answer answer, uint8_t status)
{
	switch (verdict) {
	case V_OK:
		return answer == ANSWER_DONE && status == BLK_OK;
	case V_IOERR:
		return answer == ANSWER_DONE && status == BLK_IOERR;
	case V_UNSUPP:
		return answer == ANSWER_DONE && status == BLK_UNSUPP;
	default:
		return answer == ANSWER_NEEDS_RESET;
	}
}

static void check_chain(struct lab *lab, const struct chain_case *c)
{
	const uint64_t features = lab->features & ~(c->flags & NO_INDIRECT ? VIRTIO_F_INDIRECT : 0);
	enum virtio_answer answer = ANSWER_NONE;
	uint8_t status;
	bool ok;

	if (lab_start(lab, &lab->blk, features, 0)) {
		prepare(lab, c);
		vring_offer(&lab->ring, c->head);
		vring_notify(&lab->ring);
		answer = virtio_await(&lab->blk, &lab->ring, NULL, NULL);
	}
	cache_flush(lab_at(lab, AT_HEADER), PAGE_SIZE);
	status = mmio_read8((uint64_t)(uintptr_t)lab_at(lab, AT_STATUS));
	ok = is_as_said(verdict_of(lab, c), answer, status);
	if (!ok)
		tap_note(&lab->tap, "the answer was %s, the status byte is %x",
			 lab_answer_name(answer), status);
	ok = blk_works(lab) && ok;
	tap_check(&lab->tap, ok, c->name);
}

void check_chains(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].when == IN_REALM && !lab->realm.is_realm)
			tap_skip(&lab->tap, cases[i].name, "not a realm");
		else
			check_chain(lab, &cases[i]);
	}
	tap_check(&lab->tap, lab_is_private_intact(lab), "chain: private memory is untouched");
}

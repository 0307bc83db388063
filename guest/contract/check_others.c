/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of the rng and the console. */
#include "lab.h"

enum buffer { B_READ_ONLY, B_HOLE, B_PRIVATE, B_EMPTY, B_ACROSS_RAM_END, B_WRITE_ONLY };

/* What must come back. */
enum verdict { V_RESET, V_DONE };

enum device { D_RNG, D_OUTPUT };

struct buffer_case {
	char name[56];
	uint8_t device, buffer, verdict;
};

static const struct buffer_case cases[] = {
	{"rng: a buffer that it may only read", D_RNG, B_READ_ONLY, V_RESET},
	{"rng: an empty buffer", D_RNG, B_EMPTY, V_RESET},
	{"rng: a buffer outside RAM", D_RNG, B_HOLE, V_RESET},
	{"rng: a buffer across the end of RAM", D_RNG, B_ACROSS_RAM_END, V_RESET},
	{"rng: a buffer in private memory", D_RNG, B_PRIVATE, V_RESET},
	{"console: output outside RAM", D_OUTPUT, B_HOLE, V_RESET},
	{"console: output across the end of RAM", D_OUTPUT, B_ACROSS_RAM_END, V_RESET},
	{"console: output in private memory", D_OUTPUT, B_PRIVATE, V_RESET},
	{"console: output of no bytes", D_OUTPUT, B_EMPTY, V_RESET},
	{"console: output that it may only write", D_OUTPUT, B_WRITE_ONLY, V_DONE},
};

static struct vdesc to_desc(const struct lab *lab, const struct buffer_case *c)
{
	const uint16_t write = c->device == D_OUTPUT ? 0 : DESC_WRITE;

	switch (c->buffer) {
	case B_READ_ONLY:
		return (struct vdesc){lab->shared + AT_DATA, 64, 0, 0};
	case B_WRITE_ONLY:
		return (struct vdesc){lab->shared + AT_DATA, 64, DESC_WRITE, 0};
	case B_HOLE:
		return (struct vdesc){lab->hole, 64, write, 0};
	case B_ACROSS_RAM_END:
		return (struct vdesc){lab->machine->ram_top - 8, 64, write, 0};
	case B_PRIVATE:
		return (struct vdesc){lab->private, 64, write, 0};
	default:
		return (struct vdesc){lab->shared + AT_DATA, 0, write, 0};
	}
}

static void check_buffer(struct lab *lab, const struct buffer_case *c)
{
	const struct virtio *virtio = c->device == D_RNG ? &lab->rng : &lab->console;
	const struct vdesc desc = to_desc(lab, c);
	enum virtio_answer answer = ANSWER_NONE;
	bool ok;

	if (lab_start(lab, virtio, lab_base_features(), c->device == D_OUTPUT)) {
		vring_put(&lab->ring, 0, &desc);
		vring_offer(&lab->ring, 0);
		vring_notify(&lab->ring);
		answer = virtio_await(virtio, &lab->ring, NULL, NULL);
	}
	ok = answer == (c->verdict == V_RESET ? ANSWER_NEEDS_RESET : ANSWER_DONE);
	if (!ok)
		tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
	ok = (c->device == D_RNG ? rng_works(lab) : console_works(lab)) && ok;
	tap_check(&lab->tap, ok, c->name);
}

/* More than the rng gives in a tenth of a second: every buffer must still come back. */
static void check_thirst(struct lab *lab)
{
	const struct vdesc desc = {lab->shared + AT_DATA, DATA_SIZE, DESC_WRITE, 0};
	bool ok = lab_start(lab, &lab->rng, lab_base_features(), 0);
	uint32_t written = 0;

	for (unsigned i = 0; i < 12 && ok; i++) {
		vring_put(&lab->ring, 0, &desc);
		vring_offer(&lab->ring, 0);
		vring_notify(&lab->ring);
		ok = virtio_await(&lab->rng, &lab->ring, NULL, &written) == ANSWER_DONE &&
		     written > 0 && written <= DATA_SIZE;
	}
	if (!ok)
		tap_note(&lab->tap, "written %u", written);
	tap_check(&lab->tap, ok && rng_works(lab), "rng: asked for more than it gives at once");
}

void check_others(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].buffer == B_PRIVATE && !lab->realm.is_realm)
			tap_skip(&lab->tap, cases[i].name, "not a realm");
		else
			check_buffer(lab, &cases[i]);
	}
	check_thirst(lab);
	tap_check(&lab->tap, lab_is_private_intact(lab),
		  "rng and console: private memory is untouched");
}

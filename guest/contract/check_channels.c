/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of a console with channels, in machines that have any. */
#include "lab.h"

#define F_MULTIPORT VIRTIO_F(1)
#define CONTROL_OUT 3
#define NR_MESSAGES 500u

struct control {
	uint32_t id;
	uint16_t event, value;
};

enum place { P_DATA, P_HOLE, P_PRIVATE };

struct control_case {
	char name[64];
	uint8_t place;
	uint16_t flags;
	uint32_t size;
};

static const struct control_case cases[] = {
	{"channels: a message of 7 bytes", P_DATA, 0, 7},
	{"channels: a message of no bytes to read", P_DATA, DESC_WRITE, 8},
	{"channels: a message outside RAM", P_HOLE, 0, 8},
	{"channels: a message in private memory", P_PRIVATE, 0, 8},
};

static bool begin(struct lab *lab)
{
	return lab_start(lab, &lab->console, lab_base_features() | F_MULTIPORT, CONTROL_OUT);
}

static enum virtio_answer offer(struct lab *lab, const struct vdesc *desc)
{
	vring_put(&lab->ring, 0, desc);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	return virtio_await(&lab->console, &lab->ring, NULL, NULL);
}

static void check_case(struct lab *lab, const struct control_case *c)
{
	const uint64_t places[] = {lab->shared + AT_DATA, lab->hole, lab->private};
	const struct vdesc desc = {places[c->place], c->size, c->flags, 0};
	const bool ok = begin(lab) && offer(lab, &desc) == ANSWER_NEEDS_RESET;

	tap_check(&lab->tap, console_works(lab) && ok, c->name);
}

/* All that can be said of all ports, those that there are and others, and over and over again. */
static void check_talk(struct lab *lab)
{
	const struct vdesc desc = {lab->shared + AT_DATA, sizeof(struct control), 0, 0};
	bool ok = begin(lab);

	for (unsigned i = 0; i < NR_MESSAGES && ok; i++) {
		const struct control message = {
			.id = i % 5 == 4 ? ~0u : i % 5,
			.event = (uint16_t)(i % 11),
			.value = (uint16_t)(i % 3 == 2 ? 0xffff : i % 3),
		};

		memcpy(lab_at(lab, AT_DATA), &message, sizeof(message));
		cache_flush(lab_at(lab, AT_DATA), sizeof(message));
		ok = offer(lab, &desc) == ANSWER_DONE;
	}
	tap_check(&lab->tap, console_works(lab) && ok,
		  "channels: 500 messages, most of them wrong");
}

void check_channels(struct lab *lab)
{
	if (!(virtio_offered(&lab->console) & F_MULTIPORT))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].place == P_PRIVATE && !lab->realm.is_realm)
			tap_skip(&lab->tap, cases[i].name, "not a realm");
		else
			check_case(lab, &cases[i]);
	}
	check_talk(lab);
}

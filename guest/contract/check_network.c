/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks, in machines that have any: frames, buffers for frames, and commands. The frames of the
 * second one are a back end's.
 */
#include "lab.h"

#define NET_F_MAC       VIRTIO_F(5)
#define NET_F_CTRL_VQ   VIRTIO_F(17)
#define NET_HEADER_SIZE 12u
#define NET_FRAME_SIZE  60u

/* Long enough for most answers; there need not be one. */
#define BACK_END_MS 200u

#define NET_QUEUE_RX      0
#define NET_QUEUE_TX      1
#define NET_QUEUE_CONTROL 2

#define HDR_F_NEEDS_CSUM 1u
#define HDR_GSO_TCPV4    1u

struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

enum place { P_DATA, P_HOLE, P_PRIVATE, P_RAM_END };

/*
 * One buffer of one queue. @verdict: what must come back; a frame that is dropped is done. What a
 * back end makes of a frame is its own business, but commands are never its.
 */
struct net_case {
	char name[64];
	uint16_t queue, place;
	uint32_t size;
	uint16_t flags;
	struct net_header header;
	enum virtio_answer verdict;
};

static const struct net_case cases[] = {
	{"a frame shorter than its header",
	 NET_QUEUE_TX,
	 P_DATA,
	 NET_HEADER_SIZE - 1,
	 0,
	 {0},
	 ANSWER_NEEDS_RESET},
	{"a frame outside RAM", NET_QUEUE_TX, P_HOLE, 72, 0, {0}, ANSWER_NEEDS_RESET},
	{"a frame across the end of RAM", NET_QUEUE_TX, P_RAM_END, 72, 0, {0}, ANSWER_NEEDS_RESET},
	{"a frame in private memory", NET_QUEUE_TX, P_PRIVATE, 72, 0, {0}, ANSWER_NEEDS_RESET},
	{"a frame that the device may only write",
	 NET_QUEUE_TX,
	 P_DATA,
	 72,
	 DESC_WRITE,
	 {0},
	 ANSWER_NEEDS_RESET},
	{"no frame behind the header", NET_QUEUE_TX, P_DATA, NET_HEADER_SIZE, 0, {0}, ANSWER_DONE},
	{"a frame of 16 KiB", NET_QUEUE_TX, P_DATA, DATA_SIZE, 0, {0}, ANSWER_DONE},
	{"a sum that was not negotiated",
	 NET_QUEUE_TX,
	 P_DATA,
	 72,
	 0,
	 {HDR_F_NEEDS_CSUM, 0, 0, 0, 34, 16, 0},
	 ANSWER_DONE},
	{"a sum far outside the frame",
	 NET_QUEUE_TX,
	 P_DATA,
	 72,
	 0,
	 {HDR_F_NEEDS_CSUM, 0, 0, 0, 0xffff, 0xffff, 0},
	 ANSWER_DONE},
	{"segments that were not negotiated",
	 NET_QUEUE_TX,
	 P_DATA,
	 72,
	 0,
	 {HDR_F_NEEDS_CSUM, HDR_GSO_TCPV4, 0xffff, 1, 34, 16, 0},
	 ANSWER_DONE},
	{"segments of a kind that there is not",
	 NET_QUEUE_TX,
	 P_DATA,
	 72,
	 0,
	 {HDR_F_NEEDS_CSUM, 0x7f, 0, 0, 0, 0, 0xffff},
	 ANSWER_DONE},
	{"a command that is all header", NET_QUEUE_CONTROL, P_DATA, 1, 0, {0}, ANSWER_NEEDS_RESET},
	{"a command without room for an answer",
	 NET_QUEUE_CONTROL,
	 P_DATA,
	 16,
	 0,
	 {0},
	 ANSWER_NEEDS_RESET},
	{"a command outside RAM", NET_QUEUE_CONTROL, P_HOLE, 16, 0, {0}, ANSWER_NEEDS_RESET},
};

static uint64_t place_of(const struct lab *lab, unsigned place)
{
	switch (place) {
	case P_HOLE:
		return lab->hole;
	case P_PRIVATE:
		return lab->private;
	case P_RAM_END:
		return lab->machine->ram_top - 8;
	default:
		return lab->shared + AT_DATA;
	}
}

struct network {
	char name[24];
	struct virtio virtio;
	bool is_elsewhere;
};

static bool offer(struct lab *lab, const struct network *network, const struct net_case *c)
{
	const struct vdesc desc = {place_of(lab, c->place), c->size, c->flags, 0};

	if (!lab_start(lab, &network->virtio, lab_base_features() | NET_F_CTRL_VQ, c->queue))
		return false;
	memset(lab_at(lab, AT_DATA), 0, DATA_SIZE);
	memcpy(lab_at(lab, AT_DATA), &c->header, sizeof(c->header));
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
	vring_put(&lab->ring, 0, &desc);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	return true;
}

static enum virtio_answer answer_to(struct lab *lab, const struct network *network,
				    const struct net_case *c)
{
	if (!offer(lab, network, c))
		return ANSWER_NONE;
	return virtio_await(&network->virtio, &lab->ring, NULL, NULL);
}

static bool network_works(struct lab *lab, const struct network *network)
{
	const struct net_case frame = {
		"", NET_QUEUE_TX, P_DATA, NET_HEADER_SIZE + NET_FRAME_SIZE, 0, {0}, ANSWER_DONE};

	return answer_to(lab, network, &frame) == ANSWER_DONE;
}

static bool is_answered_right(struct lab *lab, const struct network *network,
			      const struct net_case *c)
{
	enum virtio_answer answer;

	if (network->is_elsewhere && c->queue != NET_QUEUE_CONTROL) {
		if (!offer(lab, network, c))
			return false;
		virtio_await_for(&network->virtio, &lab->ring, BACK_END_MS, NULL, NULL);
		return virtio_reset(&network->virtio);
	}
	answer = answer_to(lab, network, c);
	if (answer != c->verdict)
		tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
	return answer == c->verdict;
}

static void check_case(struct lab *lab, const struct network *network, const struct net_case *c)
{
	bool ok = is_answered_right(lab, network, c);

	if (!network_works(lab, network)) {
		tap_note(&lab->tap, "it does not send any more");
		ok = false;
	}
	lab_check(lab, ok, network->name, c->name);
}

static void check_one(struct lab *lab, const struct network *network)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].place != P_PRIVATE || lab->realm.is_realm)
			check_case(lab, network, &cases[i]);
	}
	lab_check(lab, lab_is_private_intact(lab), network->name, "private memory is untouched");
}

void check_network(struct lab *lab)
{
	struct network networks[] = {
		{.name = "network"},
		{.name = "back end's network", .is_elsewhere = true},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(networks); i++) {
		if (lab_find(lab, &networks[i].virtio, VIRTIO_ID_NETWORK, i))
			check_one(lab, &networks[i]);
	}
}

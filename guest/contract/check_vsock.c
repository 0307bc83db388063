/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a vsock, in machines that have one: to a port of the host's that nobody listens at. */
#include "lab.h"

#define VIRTIO_ID_VSOCK 19
#define VSOCK_QUEUE_TX  1
#define VSOCK_HOST      2

#define TYPE_STREAM 1
#define OP_REQUEST  1
#define OP_RW       5

struct __attribute__((packed)) vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

/* @stranger: it says that it is from another address. @verdict: for the descriptor of it. */
struct vsock_case {
	char name[56];
	uint16_t type, op;
	uint32_t size, len;
	bool stranger;
	enum virtio_answer verdict;
};

#define WHOLE ((uint32_t)sizeof(struct vsock_header))

static const struct vsock_case cases[] = {
	{"vsock: a stream that nobody takes", TYPE_STREAM, OP_REQUEST, WHOLE, 0, false,
	 ANSWER_DONE},
	{"vsock: a packet from somebody else", TYPE_STREAM, OP_REQUEST, WHOLE, 0, true,
	 ANSWER_DONE},
	{"vsock: a type that there is not", 0xffff, OP_REQUEST, WHOLE, 0, false, ANSWER_DONE},
	{"vsock: an operation that there is not", TYPE_STREAM, 0xffff, WHOLE, 0, false,
	 ANSWER_DONE},
	{"vsock: bytes for no stream", TYPE_STREAM, OP_RW, WHOLE + 512, 512, false, ANSWER_DONE},
	{"vsock: half a header", TYPE_STREAM, OP_REQUEST, WHOLE / 2, 0, false, ANSWER_NEEDS_RESET},
	{"vsock: more bytes than have come", TYPE_STREAM, OP_RW, WHOLE + 512, 513, false,
	 ANSWER_NEEDS_RESET},
	{"vsock: 4 GiB that have not come", TYPE_STREAM, OP_RW, WHOLE, ~0u, false,
	 ANSWER_NEEDS_RESET},
};

static enum virtio_answer answer_to(struct lab *lab, const struct virtio *virtio,
				    const struct vsock_case *c)
{
	const struct vdesc desc = {lab->shared + AT_DATA, c->size, 0, 0};
	const struct vsock_header header = {
		.src_cid = mmio_read32(virtio->config) + c->stranger,
		.dst_cid = VSOCK_HOST,
		.src_port = 1024,
		.dst_port = 1024,
		.len = c->len,
		.type = c->type,
		.op = c->op,
		.buf_alloc = 65536,
	};

	if (!lab_start(lab, virtio, lab_base_features(), VSOCK_QUEUE_TX))
		return ANSWER_NONE;
	memcpy(lab_at(lab, AT_DATA), &header, sizeof(header));
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
	vring_put(&lab->ring, 0, &desc);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	return virtio_await(virtio, &lab->ring, NULL, NULL);
}

void check_vsock(struct lab *lab)
{
	struct virtio virtio;

	if (!lab_find(lab, &virtio, VIRTIO_ID_VSOCK, 0))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const enum virtio_answer answer = answer_to(lab, &virtio, &cases[i]);

		if (answer != cases[i].verdict)
			tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
		tap_check(&lab->tap, answer == cases[i].verdict, cases[i].name);
	}
	tap_check(&lab->tap, answer_to(lab, &virtio, &cases[0]) == ANSWER_DONE,
		  "vsock: works after all that");
	virtio_reset(&virtio);
}

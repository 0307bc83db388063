/* SPDX-License-Identifier: Apache-2.0 */
/* What no device may be brought down by: every device that there is, with each rule broken. */
#include "lab.h"

#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_9P      9
#define VIRTIO_ID_VSOCK   19
#define VIRTIO_ID_FS      26

#define STORM        300u
#define RESETS       20u
#define CONFIG_WORDS 16u

/**
 * struct kind - of device
 * @queue: one whose buffers it takes as soon as it is told of them
 * @is_elsewhere: a back end takes them, which may also pass them over; see also is_elsewhere()
 */
struct kind {
	char name[24];
	uint8_t id, nth, queue;
	bool is_elsewhere;
};

static const struct kind kinds[] = {
	{"network", VIRTIO_ID_NETWORK, 0, 1, false},
	{"disk", VIRTIO_ID_BLOCK, 0, 0, false},
	{"console", VIRTIO_ID_CONSOLE, 0, 1, false},
	{"rng", VIRTIO_ID_RNG, 0, 0, false},
	{"balloon", VIRTIO_ID_BALLOON, 0, 0, false},
	{"9p", VIRTIO_ID_9P, 0, 0, false},
	{"vsock", VIRTIO_ID_VSOCK, 0, 1, false},
	{"back end's disk", VIRTIO_ID_BLOCK, 1, 0, true},
	{"file system", VIRTIO_ID_FS, 0, 1, true},
};

enum place { P_DATA, P_TABLE, P_HOLE, P_PRIVATE, P_WRAP };

/* What is wrong with descriptor 0, and with the one behind it. */
struct breach {
	char name[48];
	uint8_t place;
	uint16_t flags, next;
	uint32_t len;
	bool is_nested; /* the table has a table in it */
};

static const struct breach breaches[] = {
	{"a chain that is a loop", P_DATA, DESC_NEXT, 0, 64, false},
	{"a chain into nowhere", P_DATA, DESC_NEXT, 0xffff, 64, false},
	{"an address and a length that wrap", P_WRAP, 0, 0, 4096, false},
	{"a buffer of no bytes", P_DATA, 0, 0, 0, false},
	{"an indirect table in an indirect table", P_TABLE, DESC_INDIRECT, 0, 32, true},
	{"an indirect table of 17 bytes", P_TABLE, DESC_INDIRECT, 0, 17, false},
	{"an indirect table outside RAM", P_HOLE, DESC_INDIRECT, 0, 32, false},
	{"an indirect table in private memory", P_PRIVATE, DESC_INDIRECT, 0, 32, false},
};

static bool starts(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	if (lab_start(lab, virtio, lab->features, kind->queue))
		return true;
	tap_note(&lab->tap, "it does not start, status %x", virtio_status(virtio));
	return false;
}

static uint64_t place_of(const struct lab *lab, unsigned place)
{
	switch (place) {
	case P_TABLE:
		return lab->shared + AT_TABLE;
	case P_HOLE:
		return lab->hole;
	case P_PRIVATE:
		return lab->private;
	case P_WRAP:
		return ~0ull - 1023;
	default:
		return lab->shared + AT_DATA;
	}
}

static void put_breach(struct lab *lab, const struct breach *breach)
{
	const struct vdesc desc = {place_of(lab, breach->place), breach->len, breach->flags,
				   breach->next};
	const struct vdesc inner = {lab->shared + AT_TABLE, 32,
				    breach->is_nested ? DESC_INDIRECT : 0, 0};

	memcpy(lab_at(lab, AT_TABLE), &inner, sizeof(inner));
	cache_flush(lab_at(lab, AT_TABLE), sizeof(inner));
	vring_put(&lab->ring, 0, &desc);
}

static bool is_elsewhere(const struct lab *lab, const struct kind *kind)
{
	return kind->is_elsewhere || (kind->id == VIRTIO_ID_NETWORK && lab->is_network_elsewhere);
}

/* A back end may be gone for what it was told, or not care; nothing is ever done for it. */
static bool is_refused(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	enum virtio_answer answer;

	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	if (is_elsewhere(lab, kind))
		return virtio_reset(virtio);
	answer = virtio_await(virtio, &lab->ring, NULL, NULL);
	if (answer != ANSWER_NEEDS_RESET)
		tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
	return answer == ANSWER_NEEDS_RESET;
}

static void check_breaches(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	for (size_t i = 0; i < ARRAY_SIZE(breaches); i++) {
		bool ok;

		if (breaches[i].place == P_PRIVATE && !lab->realm.is_realm)
			continue;
		ok = starts(lab, kind, virtio);
		put_breach(lab, &breaches[i]);
		ok = is_refused(lab, kind, virtio) && ok;
		lab_check(lab, starts(lab, kind, virtio) && ok, kind->name, breaches[i].name);
	}
}

/* Rings where the device must not reach, one at a time. */
static void check_rings_of(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = true;

	for (unsigned part = VRING_DESC; part <= VRING_USED; part++) {
		ok = virtio_negotiate(virtio, lab->features) && ok;
		vring_init(&lab->ring, lab->shared + AT_RINGS, lab->realm.shared_bit, kind->queue,
			   virtio_queue_size(virtio, kind->queue));
		virtio_set_queue(virtio, &lab->ring);
		virtio_write_address(virtio, part, lab->realm.is_realm ? lab->private : lab->hole);
		virtio_enable_queue(virtio, kind->queue);
		virtio_add_status(virtio, VIRTIO_DRIVER_OK);
		ok = is_refused(lab, kind, virtio) && ok;
	}
	lab_check(lab, starts(lab, kind, virtio) && ok, kind->name,
		  "rings where it must not reach");
}

static void check_choices_of(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	const uint64_t never = ~virtio_offered(virtio);
	bool refused = true;

	for (unsigned bit = 0; bit < 64; bit++) {
		if (never >> bit & 1)
			refused = !virtio_negotiate(virtio, lab->features | VIRTIO_F(bit)) &&
				  refused;
	}
	lab_check(lab, starts(lab, kind, virtio) && refused, kind->name,
		  "features that it has not offered");
}

/*
 * A byte, which of all of them only a console takes. It is printed anywhere in the results, from
 * which their reader takes out all of its kind.
 */
static void put_byte(struct lab *lab)
{
	const struct vdesc desc = {lab->shared + AT_DATA, 1, 0, 0};

	mmio_write8((uint64_t)(uintptr_t)lab_at(lab, AT_DATA), '\r');
	cache_flush(lab_at(lab, AT_DATA), 1);
	vring_put(&lab->ring, 0, &desc);
}

/* Buffers of no use, notifications without end, and all of its configuration written. */
static void check_storm(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = starts(lab, kind, virtio);

	put_byte(lab);
	vring_offer(&lab->ring, 0);
	for (unsigned i = 0; i < STORM; i++) {
		virtio_notify(virtio, (uint16_t)(i % 8));
		if (virtio->config)
			mmio_write32(virtio->config + 4 * (i % CONFIG_WORDS), ~0u - i);
	}
	lab_check(lab, starts(lab, kind, virtio) && ok, kind->name,
		  "a storm of notifications, its configuration written meanwhile");
}

static void check_resets(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = true;

	for (unsigned i = 0; i < RESETS && ok; i++) {
		ok = starts(lab, kind, virtio);
		put_byte(lab);
		for (unsigned j = 0; j < lab->ring.size; j++)
			vring_offer(&lab->ring, 0);
		vring_notify(&lab->ring);
		ok = virtio_reset(virtio) && ok;
	}
	lab_check(lab, starts(lab, kind, virtio) && ok, kind->name, "resets with a full queue");
}

static void check_kind(struct lab *lab, const struct kind *kind)
{
	struct virtio virtio;

	if (!lab_find(lab, &virtio, kind->id, kind->nth))
		return;
	check_breaches(lab, kind, &virtio);
	check_rings_of(lab, kind, &virtio);
	check_choices_of(lab, kind, &virtio);
	check_storm(lab, kind, &virtio);
	check_resets(lab, kind, &virtio);
	virtio_reset(&virtio);
}

void check_each(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		check_kind(lab, &kinds[i]);
	tap_check(&lab->tap, lab_is_private_intact(lab),
		  "each device: private memory is untouched");
	tap_check(&lab->tap, blk_works(lab) && rng_works(lab) && console_works(lab),
		  "each device: disk, rng and console work after all that");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What no device may be brought down by: every device that there is, with each rule broken. */
#include "lab.h"

#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_9P      9
#define VIRTIO_ID_VSOCK   19
#define VIRTIO_ID_FS      26

#define STORM        300u
#define RESETS       10u
#define CONFIG_WORDS 16u

/* From the fifth on, the console's are more of the same. */
#define MAX_QUEUES 4u

/* A queue whose device need not look at a buffer until it has something for it. */
#define SHORT_PATIENCE_MS 5u

#define AT_IN (AT_DATA + PAGE_SIZE)

/**
 * struct kind - of device
 * @queue: one whose buffers it takes as soon as it is told of them
 * @is_elsewhere: a back end takes them, which may also pass them over; see also is_elsewhere()
 * @out, @out_size, @in_size: a request by the rules, of as many bytes as are not 0; none for a
 *	balloon, where it would name a page
 */
struct kind {
	char name[24];
	uint8_t id, nth, queue;
	bool is_elsewhere;
	uint8_t out_size;
	uint16_t in_size;
	uint8_t out[64];
};

/* clang-format off */
static const struct kind kinds[] = {
	/* A frame of zeros, behind its header. */
	{"network", VIRTIO_ID_NETWORK, 0, 1, false, 12 + 60, 0, {0}},
	{"back end's network", VIRTIO_ID_NETWORK, 1, 1, true, 12 + 60, 0, {0}},
	/* Sector 0 is read. */
	{"disk", VIRTIO_ID_BLOCK, 0, 0, false, 16, SECTOR_SIZE + 1, {BLK_IN}},
	{"back end's disk", VIRTIO_ID_BLOCK, 1, 0, true, 16, SECTOR_SIZE + 1, {BLK_IN}},
	/* Printed anywhere in the results, from which their reader takes out all of its kind. */
	{"console", VIRTIO_ID_CONSOLE, 0, 1, false, 1, 0, {'\r'}},
	{"rng", VIRTIO_ID_RNG, 0, 0, false, 0, 64, {0}},
	{"balloon", VIRTIO_ID_BALLOON, 0, 0, false, 0, 0, {0}},
	/* Tversion: 4 KiB in a message, 9P2000.L. */
	{"9p", VIRTIO_ID_9P, 0, 0, false, 21, PAGE_SIZE,
	 {21, 0, 0, 0, 100, 0xff, 0xff, 0, 16, 0, 0, 8, 0, '9', 'P', '2', '0', '0', '0', '.', 'L'}},
	/* A packet from nobody. */
	{"vsock", VIRTIO_ID_VSOCK, 0, 1, false, 44, 0, {0}},
	/* FUSE_INIT: version 7.31. */
	{"file system", VIRTIO_ID_FS, 0, 1, true, 56, PAGE_SIZE,
	 {56, 0, 0, 0, 26, 0, 0, 0, 1, [40] = 7, [44] = 31}},
};
/* clang-format on */

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
	{"a buffer outside RAM", P_HOLE, 0, 0, 64, false},
	{"a buffer in private memory", P_PRIVATE, 0, 0, 64, false},
	{"an indirect table in an indirect table", P_TABLE, DESC_INDIRECT, 0, 32, true},
	{"an indirect table of 17 bytes", P_TABLE, DESC_INDIRECT, 0, 17, false},
	{"an indirect table outside RAM", P_HOLE, DESC_INDIRECT, 0, 32, false},
	{"an indirect table in private memory", P_PRIVATE, DESC_INDIRECT, 0, 32, false},
};

static bool is_elsewhere(const struct lab *lab, const struct kind *kind)
{
	return kind->is_elsewhere || (kind->id == VIRTIO_ID_VSOCK && lab->is_vsock_elsewhere);
}

static uint64_t features_of(const struct lab *lab, const struct virtio *virtio)
{
	return lab->features & virtio_offered(virtio);
}

/* The host's kernel serves a vsock only if it has both queues. */
static void add_idle_queue(const struct lab *lab, const struct virtio *virtio)
{
	struct vring idle;

	vring_init(&idle, lab->shared + AT_IDLE, lab->realm.shared_bit, 0,
		   virtio_queue_size(virtio, 0));
	virtio_set_queue(virtio, &idle);
	virtio_enable_queue(virtio, 0);
}

static bool starts(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = lab_prepare(lab, virtio, features_of(lab, virtio), kind->queue);

	if (ok && kind->id == VIRTIO_ID_VSOCK)
		add_idle_queue(lab, virtio);
	if (ok && lab_go(virtio))
		return true;
	tap_note(&lab->tap, "it does not start, status %x", virtio_status(virtio));
	return false;
}

static bool has_request(const struct kind *kind)
{
	return kind->out_size || kind->in_size;
}

/* The device's request by the rules, in chain 0. */
static void put_request(struct lab *lab, const struct kind *kind)
{
	const bool has_out = kind->out_size, has_in = kind->in_size;
	const struct vdesc out = {lab->shared + AT_DATA, kind->out_size, has_in ? DESC_NEXT : 0, 1};
	const struct vdesc in = {lab->shared + AT_IN, kind->in_size, DESC_WRITE, 0};

	memset(lab_at(lab, AT_DATA), 0, DATA_SIZE);
	memcpy(lab_at(lab, AT_DATA), kind->out, sizeof(kind->out));
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
	if (has_out)
		vring_put(&lab->ring, 0, &out);
	if (has_in)
		vring_put(&lab->ring, has_out, &in);
}

static void offer(struct lab *lab)
{
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
}

/* From reset on, as if nothing had been. */
static bool works(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	enum virtio_answer answer;

	if (!starts(lab, kind, virtio))
		return false;
	if (!has_request(kind))
		return true;
	put_request(lab, kind);
	offer(lab);
	answer = virtio_await(virtio, &lab->ring, NULL, NULL);
	if (answer != ANSWER_DONE)
		tap_note(&lab->tap, "a request by the rules was answered with %s, status %x",
			 lab_answer_name(answer), virtio_status(virtio));
	return answer == ANSWER_DONE;
}

/* The verdict. A back end may need a second to come back, and is asked only once, at the end. */
static void judge(struct lab *lab, const struct kind *kind, const struct virtio *virtio, bool ok,
		  const char *what)
{
	ok = (is_elsewhere(lab, kind) ? starts : works)(lab, kind, virtio) && ok;
	lab_check(lab, ok, kind->name, what);
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

/*
 * The device was told of what is in its queue. A back end may be gone for it, or not care; nothing
 * is ever done for it.
 */
static bool is_refused(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	enum virtio_answer answer;

	if (is_elsewhere(lab, kind))
		return virtio_reset(virtio);
	answer = virtio_await(virtio, &lab->ring, NULL, NULL);
	if (answer != ANSWER_NEEDS_RESET)
		tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
	return answer == ANSWER_NEEDS_RESET;
}

static bool is_in_vain(const struct lab *lab, const struct breach *breach)
{
	return breach->place == P_PRIVATE && !lab->realm.is_realm;
}

static void check_breaches(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	for (size_t i = 0; i < ARRAY_SIZE(breaches); i++) {
		bool ok;

		if (is_in_vain(lab, &breaches[i]))
			continue;
		ok = starts(lab, kind, virtio);
		put_breach(lab, &breaches[i]);
		offer(lab);
		ok = is_refused(lab, kind, virtio) && ok;
		judge(lab, kind, virtio, ok, breaches[i].name);
	}
}

/* The same where no answer is due: a device looks at some queues only when it has to. */
static void check_other_queues(struct lab *lab, const struct kind *kind,
			       const struct virtio *virtio)
{
	bool ok = true;

	for (uint16_t index = 0; index < MAX_QUEUES; index++) {
		if (index == kind->queue || virtio_queue_size(virtio, index) == 0)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(breaches) && ok; i++) {
			if (is_in_vain(lab, &breaches[i]))
				continue;
			/* One that wants its queues together is discontent already. */
			(void)lab_start(lab, virtio, virtio_offered(virtio), index);
			put_breach(lab, &breaches[i]);
			offer(lab);
			virtio_await_for(virtio, &lab->ring, SHORT_PATIENCE_MS, NULL, NULL);
			ok = virtio_reset(virtio);
		}
	}
	judge(lab, kind, virtio, ok, "all of that in its other queues");
}

/* Rings where the device must not reach, one at a time. */
static void check_rings_of(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = true;

	for (unsigned part = VRING_DESC; part <= VRING_USED; part++) {
		ok = virtio_negotiate(virtio, features_of(lab, virtio)) && ok;
		vring_init(&lab->ring, lab->shared + AT_RINGS, lab->realm.shared_bit, kind->queue,
			   virtio_queue_size(virtio, kind->queue));
		virtio_set_queue(virtio, &lab->ring);
		virtio_write_address(virtio, part, lab->realm.is_realm ? lab->private : lab->hole);
		virtio_enable_queue(virtio, kind->queue);
		virtio_add_status(virtio, VIRTIO_DRIVER_OK);
		offer(lab);
		ok = is_refused(lab, kind, virtio) && ok;
	}
	judge(lab, kind, virtio, ok, "rings where it must not reach");
}

static void check_index_of(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = starts(lab, kind, virtio);

	put_request(lab, kind);
	vring_set_index(&lab->ring, 0x8000);
	vring_notify(&lab->ring);
	ok = is_refused(lab, kind, virtio) && ok;
	judge(lab, kind, virtio, ok, "an available index far ahead");
}

static void check_choices_of(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	const uint64_t never = ~virtio_offered(virtio), good = features_of(lab, virtio);
	bool ok = true;

	for (unsigned bit = 0; bit < 64; bit++) {
		if (never >> bit & 1)
			ok = !virtio_negotiate(virtio, good | VIRTIO_F(bit)) && ok;
	}
	judge(lab, kind, virtio, ok, "features that it has not offered");
}

/*
 * Requests, notifications of this queue and of others without end, and all of its configuration
 * written meanwhile, of which the first word is for nobody to write.
 */
static void check_storm(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	const uint32_t word = virtio->config ? mmio_read32(virtio->config) : 0;
	bool ok = starts(lab, kind, virtio);

	put_request(lab, kind);
	for (unsigned i = 0; i < STORM; i++) {
		if (i % 32 == 0 && has_request(kind))
			vring_offer(&lab->ring, 0);
		virtio_notify(virtio, (uint16_t)(i % 8));
		if (virtio->config)
			mmio_write32(virtio->config + 4 * (i % CONFIG_WORDS), ~0u - i);
	}
	ok = (!virtio->config || mmio_read32(virtio->config) == word) && ok;
	judge(lab, kind, virtio, ok,
	      "a storm of notifications, its configuration written meanwhile");
}

static void fill_queue(struct lab *lab, const struct kind *kind)
{
	put_request(lab, kind);
	for (unsigned i = 0; i < lab->ring.size; i++)
		vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
}

static void check_resets(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = true;

	for (unsigned i = 0; i < RESETS && ok; i++) {
		ok = starts(lab, kind, virtio);
		fill_queue(lab, kind);
		ok = virtio_reset(virtio) && ok;
	}
	judge(lab, kind, virtio, ok, "resets with a full queue");
}

/* No device offers that, and to be asked for it must not disturb one at work. */
static void check_queue_reset(struct lab *lab, const struct kind *kind, const struct virtio *virtio)
{
	bool ok = starts(lab, kind, virtio);

	fill_queue(lab, kind);
	ok = !virtio_reset_queue(virtio) && ok;
	judge(lab, kind, virtio, ok, "a reset of a full queue, which was not negotiated");
}

static void check_kind(struct lab *lab, const struct kind *kind)
{
	struct virtio virtio;

	if (!lab_find(lab, &virtio, kind->id, kind->nth))
		return;
	check_breaches(lab, kind, &virtio);
	check_other_queues(lab, kind, &virtio);
	check_rings_of(lab, kind, &virtio);
	check_index_of(lab, kind, &virtio);
	check_choices_of(lab, kind, &virtio);
	check_storm(lab, kind, &virtio);
	check_resets(lab, kind, &virtio);
	check_queue_reset(lab, kind, &virtio);
	lab_check(lab, works(lab, kind, &virtio), kind->name, "works after all that");
	virtio_reset(&virtio);
}

void check_each(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		check_kind(lab, &kinds[i]);
	tap_check(&lab->tap, lab_is_private_intact(lab),
		  "each device: private memory is untouched");
}

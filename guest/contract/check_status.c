/* SPDX-License-Identifier: Apache-2.0 */
/* Feature negotiation, the order of the status register, notifications, resets. */
#include "lab.h"

#define STORM 2000

void check_discovery(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	const uint64_t offered = virtio_offered(&lab->blk);

	tap_note(tap, "%s, %u vCPUs, %s, disk of %lu sectors, queue of %u",
		 lab->realm.is_realm ? "a realm" : "a plain VM", lab->machine->nr_cpus,
		 lab->has_pci ? "PCI" : "MMIO", mmio_read64(lab->blk.config + BLK_CAPACITY),
		 virtio_queue_size(&lab->blk, 0));
	tap_check(tap, blk_works(lab), "disk: works");
	tap_check(tap, rng_works(lab), "rng: works");
	tap_check(tap, console_works(lab), "console: works");
	tap_check(tap, offered & VIRTIO_F_VERSION_1 && offered & VIRTIO_F_ACCESS_PLATFORM,
		  "features: VERSION_1 and ACCESS_PLATFORM are offered");
	tap_check(tap, !(offered & VIRTIO_F_RING_RESET), "features: no queue reset");
}

/* What a driver has accepted it can read back only on PCI. */
static void check_choice(struct lab *lab)
{
	static const char name[] = "features: fixed by FEATURES_OK";
	const struct virtio *blk = &lab->blk;

	virtio_negotiate(blk, lab->features);
	virtio_accept(blk, ~0ull);
	if (blk->mmio) {
		tap_skip(&lab->tap, name, "MMIO does not show them");
		return;
	}
	mmio_write32(blk->common + COMMON_DRIVER_SELECT, 0);
	tap_check(&lab->tap, mmio_read32(blk->common + COMMON_DRIVER) == (uint32_t)lab->features,
		  name);
	mmio_write32(blk->common + COMMON_DRIVER_SELECT, 2);
	tap_check(&lab->tap, mmio_read32(blk->common + COMMON_DRIVER) == 0,
		  "features: nor can others be chosen that do not exist");
}

static void check_features(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	const struct virtio *blk = &lab->blk;
	const uint64_t good = lab->features;

	tap_check(tap, !virtio_negotiate(blk, good | VIRTIO_F_RING_RESET),
		  "features: one that was not offered is refused");
	tap_check(tap, !virtio_negotiate(blk, good | VIRTIO_F(63)),
		  "features: the highest one is refused");
	tap_check(tap, !virtio_negotiate(blk, good & ~VIRTIO_F_VERSION_1),
		  "features: a legacy driver is refused");
	tap_check(tap,
		  virtio_negotiate(blk, good & ~VIRTIO_F_ACCESS_PLATFORM) != lab->realm.is_realm,
		  "features: without ACCESS_PLATFORM, refused in a realm only");

	tap_check(tap, virtio_offered_word(blk, 2) == 0 && virtio_offered_word(blk, ~0u) == 0,
		  "features: words that do not exist are 0");
	check_choice(lab);
	tap_check(tap, blk_works(lab), "features: the disk works after all that");
}

static void check_order(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	const struct virtio *blk = &lab->blk;

	virtio_reset(blk);
	virtio_add_status(blk, VIRTIO_DRIVER_OK);
	tap_check(tap, !(virtio_status(blk) & VIRTIO_DRIVER_OK),
		  "status: no DRIVER_OK before FEATURES_OK");
	virtio_reset(blk);
	virtio_add_status(blk, VIRTIO_NEEDS_RESET);
	tap_check(tap, !(virtio_status(blk) & VIRTIO_NEEDS_RESET),
		  "status: a driver cannot set NEEDS_RESET");
	lab_start(lab, blk, lab->features, 0);
	virtio_write_status(blk, VIRTIO_ACKNOWLEDGE);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	tap_check(tap, virtio_status(blk) & VIRTIO_DRIVER_OK && blk_run(lab) == BLK_OK,
		  "status: bits are not cleared one by one");

	/* A queue is enabled without features having been agreed upon. */
	virtio_reset(blk);
	vring_init(&lab->ring, lab->shared + AT_RINGS, lab->realm.shared_bit, 0,
		   virtio_queue_size(blk, 0));
	virtio_set_queue(blk, &lab->ring);
	virtio_enable_queue(blk, 0);
	tap_check(tap, !virtio_is_ready(blk), "status: no queue is enabled before FEATURES_OK");
	tap_check(tap, blk_works(lab), "status: the disk works after all that");
}

static void storm(const struct virtio *virtio, uint16_t index)
{
	for (unsigned i = 0; i < STORM; i++)
		virtio_notify(virtio, index);
}

static void check_notifications(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	const struct virtio *blk = &lab->blk;

	lab_start(lab, blk, lab->features, 0);
	storm(blk, 1);
	storm(blk, 0x3ff);
	tap_check(tap, virtio_status(blk) & VIRTIO_DRIVER_OK && blk_works(lab),
		  "notify: a storm for queues that do not exist");
	lab_start(lab, blk, lab->features, 0);
	storm(blk, 0);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	tap_check(tap, blk_run(lab) == BLK_OK, "notify: a storm without a request");

	virtio_reset(blk);
	storm(blk, 0);
	tap_check(tap, virtio_status(blk) == 0 && blk_works(lab), "notify: while reset");

	/* The device is broken, and is told again and again. */
	lab_start(lab, blk, lab->features, 0);
	vring_set_index(&lab->ring, 0x8000);
	vring_notify(&lab->ring);
	virtio_await(blk, &lab->ring, NULL, NULL);
	storm(blk, 0);
	tap_check(tap, virtio_status(blk) & VIRTIO_NEEDS_RESET && blk_works(lab),
		  "notify: while it waits for a reset");
}

static void check_config(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	const struct virtio *blk = &lab->blk;
	const uint64_t capacity = mmio_read64(blk->config + BLK_CAPACITY);
	const bool has_wce = virtio_offered(blk) & BLK_F_WCE;
	bool ok = lab_start(lab, blk,
			    lab->features | (virtio_offered(blk) & (BLK_F_WCE | BLK_F_FLUSH)), 0);

	for (unsigned i = 0; i < 20 && ok; i++) {
		blk_put(lab, BLK_OUT, i, SECTOR_SIZE);
		vring_offer(&lab->ring, 0);
		vring_notify(&lab->ring);
		mmio_write64(blk->config + BLK_CAPACITY, ~0ull);
		mmio_write8(blk->config + BLK_WCE, i % 3);
		mmio_write32(blk->config + BLK_WCE, ~0u);
		ok = virtio_await(blk, &lab->ring, NULL, NULL) == ANSWER_DONE;
	}
	tap_check(tap, ok, "config: writes during requests");
	tap_check(tap, mmio_read64(blk->config + BLK_CAPACITY) == capacity,
		  "config: the capacity is not for writing");
	/* The last of those writes that was of one byte and 0 or 1. */
	tap_check(tap, !has_wce || mmio_read8(blk->config + BLK_WCE) == 1,
		  "config: only 0 and 1 change the write cache");
	tap_check(tap, blk_works(lab), "config: the disk works after all that");
}

void check_status(struct lab *lab)
{
	check_features(lab);
	check_order(lab);
	check_notifications(lab);
	check_config(lab);
}

#define PATTERN 0xfeedfacefeedfaceull

/*
 * Reads are under way, the driver resets, and once the status is 0 takes its buffers back. Nothing
 * may be written to them from then on.
 */
static bool reset_in_flight(struct lab *lab, unsigned round)
{
	const uint64_t data = (uint64_t)(uintptr_t)lab_at(lab, AT_DATA);
	uint64_t start;

	if (!lab_start(lab, &lab->blk, lab->features, 0))
		return false;
	blk_put(lab, BLK_IN, 0, DATA_SIZE);
	for (unsigned i = 0; i < lab->ring.size && i < 16; i++)
		vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	for (start = now_ms(); now_ms() - start < round % 4;)
		;
	if (!virtio_reset(&lab->blk))
		return false;
	for (unsigned i = 0; i < DATA_SIZE; i += 8)
		mmio_write64(data + i, PATTERN);
	for (start = now_ms(); now_ms() - start < 5;)
		;
	for (unsigned i = 0; i < DATA_SIZE; i += 8) {
		if (mmio_read64(data + i) != PATTERN)
			return false;
	}
	return true;
}

static void check_queue_reset(struct lab *lab)
{
	bool is_refused;

	lab_start(lab, &lab->blk, lab->features, 0);
	is_refused = !virtio_reset_queue(&lab->blk);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	tap_check(&lab->tap, is_refused && blk_run(lab) == BLK_OK,
		  "reset: of a queue, which was not negotiated, is ignored");
}

void check_reset(struct lab *lab)
{
	struct tap *tap = &lab->tap;
	bool ok = true;

	for (unsigned i = 0; i < 20 && ok; i++)
		ok = reset_in_flight(lab, i);
	tap_check(tap, ok, "reset: with requests in flight, no buffer is touched afterwards");
	tap_check(tap, blk_works(lab), "reset: the disk works after that");

	check_queue_reset(lab);
	/* Twice, and at once again: what the first has begun must not be lost. */
	virtio_write_status(&lab->blk, 0);
	virtio_write_status(&lab->blk, VIRTIO_ACKNOWLEDGE);
	virtio_write_status(&lab->blk, 0);
	tap_check(tap, blk_works(lab), "reset: twice in a row");
}

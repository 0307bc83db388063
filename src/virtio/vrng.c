/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>
#include <time.h>

#include "ccr/vrng.h"

/* getrandom() gives up to this much without ever being interrupted. */
#define PIECE_SIZE 256u

static uint64_t host_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void refill(struct vrng *rng)
{
	const uint64_t now = rng->now();

	if (now - rng->period_start < VRNG_PERIOD_NS)
		return;
	rng->period_start = now;
	rng->budget = VRNG_BYTES_PER_PERIOD;
}

/* Return: 0 or -errno: nothing the guest can do makes the host's generator fail. */
/* syscalls(loop): getrandom */
static int fill(struct vrng *rng, const struct virtq_chain *chain, uint32_t size)
{
	uint8_t bytes[PIECE_SIZE];
	uint32_t done = 0;
	int ret = 0;

	while (done < size && !ret) {
		const uint32_t here = size - done < PIECE_SIZE ? size - done : PIECE_SIZE;

		if (getrandom(bytes, here, 0) != (ssize_t)here)
			return -EIO;
		ret = virtq_chain_write(&rng->virtio.queues[0], chain, done, bytes, here);
		done += here;
	}
	return ret;
}

static void charge(struct vrng *rng, uint32_t size)
{
	if (size < VRNG_MIN_CHARGE)
		size = VRNG_MIN_CHARGE;
	rng->budget -= size < rng->budget ? size : rng->budget;
}

static void vrng_process(void *self)
{
	struct vrng *rng = self;
	struct virtio_dev *dev = &rng->virtio;
	struct virtq_chain chain;

	refill(rng);
	while (rng->budget > 0 && virtio_pop(dev, 0, &chain)) {
		/* Fewer bytes than asked for are an answer too, none are not. */
		const uint32_t size = chain.in_size < rng->budget ? chain.in_size : rng->budget;

		if (size == 0) {
			virtio_fail(dev, "a request for no random bytes");
			return;
		}
		if (fill(rng, &chain, size)) {
			virtio_fail(dev, "a buffer that is not in shared memory");
			return;
		}
		charge(rng, size);
		virtio_push(dev, 0, &chain, size);
	}
	virtio_notify(dev, 0);
}

static const struct virtio_type vrng_type = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.pci_class = 0x00ff00, /* unclassified, no other kind fits */
	.nr_queues = 1,
	.queue_sizes = {8},
	.process = vrng_process,
};

void vrng_init(struct vrng *rng, const struct virtio_setup *setup, uint64_t (*now)(void))
{
	struct virtio_setup own = *setup;

	*rng = (struct vrng){.now = now ? now : host_now, .budget = VRNG_BYTES_PER_PERIOD};
	rng->period_start = rng->now();
	own.type = &vrng_type;
	own.self = rng;
	own.features = vrng_type.features;
	virtio_init(&rng->virtio, &own);
}

void vrng_done(struct vrng *rng)
{
	virtio_done(&rng->virtio);
}

uint64_t vrng_wait_ns(struct vrng *rng)
{
	uint64_t wait = VRNG_NO_WAIT, gone;

	virtio_lock(&rng->virtio);
	/* A driver that used up the budget and went away does not wake the loop for ever. */
	if (rng->budget == 0 && virtio_may_work(&rng->virtio)) {
		gone = rng->now() - rng->period_start;
		wait = gone < VRNG_PERIOD_NS ? VRNG_PERIOD_NS - gone : 0;
	}
	virtio_unlock(&rng->virtio);
	return wait;
}

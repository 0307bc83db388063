/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>

#include "ccr/balloon.h"

#define BIT(n) (1ull << (n))

/* Queues of features that are not offered do not count, so reporting follows at once. */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING, NR_QUEUES };

#define CONFIG_SIZE sizeof(struct virtio_balloon_config)

/* Buffers taken before others get their turn in the event loop. */
#define MAX_BUFFERS 16

/* Numbers of pages in one buffer, of which Linux sends 256. */
#define MAX_PAGES 1024u

_Static_assert((int)BALLOON_NR_STATS == VIRTIO_BALLOON_S_NR, "every statistic has a place");

static uint32_t get_config(const struct balloon *balloon, size_t offset)
{
	uint32_t value;

	memcpy(&value, balloon->virtio.config + offset, sizeof(value));
	return le32toh(value);
}

static void set_config(struct balloon *balloon, size_t offset, uint32_t value)
{
	value = htole32(value);
	memcpy(balloon->virtio.config + offset, &value, sizeof(value));
}

/* Runs of pages are given back at once. What is no RAM is the driver's mistake. */
static const char *give_pages(const struct balloon *balloon, const uint32_t *pages, unsigned nr)
{
	for (unsigned first = 0, next; first < nr; first = next) {
		const uint64_t start = le32toh(pages[first]);

		for (next = first + 1; next < nr; next++) {
			if (le32toh(pages[next]) != start + (next - first))
				break;
		}
		if (balloon->host->give_back(balloon->ctx, ipa_at(start * BALLOON_PAGE_SIZE),
					     (uint64_t)(next - first) * BALLOON_PAGE_SIZE) ==
		    -EFAULT)
			return "a page outside RAM was put into the balloon";
	}
	return NULL;
}

static const char *inflate(struct balloon *balloon, const struct virtq_chain *chain)
{
	uint32_t pages[MAX_PAGES];

	if (chain->out_size > sizeof(pages) || chain->out_size % sizeof(pages[0]))
		return "a list of pages of a wrong size";
	if (virtq_chain_read(&balloon->virtio.queues[QUEUE_INFLATE], chain, 0, pages,
			     chain->out_size))
		return "a list of pages that is not in shared memory";
	return give_pages(balloon, pages, chain->out_size / sizeof(pages[0]));
}

/* The guest takes pages back by touching them. */
static const char *deflate(struct balloon *balloon, const struct virtq_chain *chain)
{
	(void)balloon;
	(void)chain;
	return NULL;
}

/* The buffers are the free memory itself. A guest that expects a pattern in it keeps it. */
static const char *take_report(struct balloon *balloon, const struct virtq_chain *chain)
{
	const bool poisons =
		virtio_has(&balloon->virtio, VIRTIO_BALLOON_F_PAGE_POISON) &&
		get_config(balloon, offsetof(struct virtio_balloon_config, poison_val)) != 0;

	for (unsigned i = chain->nr_out; i < chain->nr_out + chain->nr_in && !poisons; i++) {
		const struct virtio_segment *segment = &chain->segments[i];

		if (balloon->host->give_back(balloon->ctx, ipa_at(segment->at.v), segment->size) ==
		    -EFAULT)
			return "memory outside RAM was reported as free";
		balloon->nr_reported += segment->size;
	}
	return NULL;
}

/* Return: true if it was not all. */
static bool process_queue(struct balloon *balloon, unsigned queue,
			  const char *(*take)(struct balloon *, const struct virtq_chain *))
{
	struct virtio_dev *dev = &balloon->virtio;
	struct virtq_chain chain;
	unsigned nr = 0;

	for (; nr < MAX_BUFFERS && virtio_pop(dev, queue, &chain); nr++) {
		const char *why = take(balloon, &chain);

		if (why) {
			virtio_fail(dev, why);
			return false;
		}
		virtio_push(dev, queue, &chain, 0);
	}
	virtio_notify(dev, queue);
	return nr == MAX_BUFFERS;
}

static const char *read_stats(struct balloon *balloon)
{
	struct virtio_balloon_stat stats[BALLOON_NR_STATS] = {0};
	uint32_t size = balloon->stats_chain.out_size;

	if (size > sizeof(stats))
		size = sizeof(stats);
	if (size > 0 && virtq_chain_read(&balloon->virtio.queues[QUEUE_STATS],
					 &balloon->stats_chain, 0, stats, size))
		return "statistics that are not in shared memory";
	for (unsigned i = 0; i < size / sizeof(stats[0]); i++) {
		const unsigned tag = le16toh(stats[i].tag);

		if (tag < BALLOON_NR_STATS)
			balloon->stats[tag] = le64toh(stats[i].val);
	}
	return NULL;
}

/* The buffer stays here: giving it back asks for the next. A driver has one. */
static void process_stats(struct balloon *balloon)
{
	const char *why;

	if (balloon->has_stats)
		return;
	balloon->has_stats = virtio_pop(&balloon->virtio, QUEUE_STATS, &balloon->stats_chain);
	if (!balloon->has_stats)
		return;
	why = read_stats(balloon);
	if (why)
		virtio_fail(&balloon->virtio, why);
}

static void balloon_process(void *self)
{
	struct balloon *balloon = self;
	bool more = process_queue(balloon, QUEUE_INFLATE, inflate);

	more |= process_queue(balloon, QUEUE_DEFLATE, deflate);
	more |= process_queue(balloon, QUEUE_REPORTING, take_report);
	process_stats(balloon);
	if (more)
		virtio_kick(&balloon->virtio);
}

static void balloon_write_config(void *self, unsigned offset, unsigned size, uint64_t value)
{
	struct balloon *balloon = self;

	if (size != sizeof(uint32_t))
		return;
	if (offset == offsetof(struct virtio_balloon_config, actual)) {
		balloon->has_changed = true;
		set_config(balloon, offset, (uint32_t)value);
		virtio_kick(&balloon->virtio);
	} else if (offset == offsetof(struct virtio_balloon_config, poison_val)) {
		set_config(balloon, offset, (uint32_t)value);
	}
}

/* The driver's pages are its own again; what was asked of it still is. */
static void balloon_reset(void *self)
{
	struct balloon *balloon = self;

	balloon->has_stats = false;
	set_config(balloon, offsetof(struct virtio_balloon_config, actual), 0);
	set_config(balloon, offsetof(struct virtio_balloon_config, poison_val), 0);
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
}

static const struct virtio_type balloon_type = {
	.name = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.pci_class = 0x00ff00, /* unclassified */
	.features = BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
		    BIT(VIRTIO_BALLOON_F_PAGE_POISON) | BIT(VIRTIO_BALLOON_F_REPORTING),
	.config_size = CONFIG_SIZE,
	.nr_queues = NR_QUEUES,
	.queue_sizes = {[QUEUE_INFLATE] = 32,
			[QUEUE_DEFLATE] = 32,
			[QUEUE_STATS] = 2,
			[QUEUE_REPORTING] = 32},
	.process = balloon_process,
	.write_config = balloon_write_config,
	.reset = balloon_reset,
};

void balloon_init(struct balloon *balloon, const struct balloon_host *host, void *ctx,
		  const struct virtio_setup *setup)
{
	struct virtio_setup own = *setup;

	*balloon = (struct balloon){.host = host, .ctx = ctx};
	own.type = &balloon_type;
	own.self = balloon;
	own.features = balloon_type.features;
	virtio_init(&balloon->virtio, &own);
	balloon_reset(balloon);
}

void balloon_done(struct balloon *balloon)
{
	virtio_done(&balloon->virtio);
}

void balloon_set_target(struct balloon *balloon, uint32_t nr_pages)
{
	const uint32_t value = htole32(nr_pages);

	virtio_set_config(&balloon->virtio, offsetof(struct virtio_balloon_config, num_pages),
			  &value, sizeof(value));
}

static void ask_for_stats(struct balloon *balloon)
{
	struct virtio_dev *dev = &balloon->virtio;

	if (!balloon->has_stats || !virtio_may_work(dev))
		return;
	balloon->has_stats = false;
	virtio_push(dev, QUEUE_STATS, &balloon->stats_chain, 0);
	virtio_notify(dev, QUEUE_STATS);
}

struct balloon_state balloon_get_state(struct balloon *balloon)
{
	struct balloon_state state;

	virtio_lock(&balloon->virtio);
	state.target = get_config(balloon, offsetof(struct virtio_balloon_config, num_pages));
	state.actual = get_config(balloon, offsetof(struct virtio_balloon_config, actual));
	state.nr_reported = balloon->nr_reported;
	memcpy(state.stats, balloon->stats, sizeof(state.stats));
	ask_for_stats(balloon);
	virtio_unlock(&balloon->virtio);
	return state;
}

bool balloon_take_change(struct balloon *balloon)
{
	bool changed;

	virtio_lock(&balloon->virtio);
	changed = balloon->has_changed;
	balloon->has_changed = false;
	virtio_unlock(&balloon->virtio);
	return changed;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/pci_regs.h>

#include "ccr/ipa.h"
#include "ccr/msix.h"

enum { WORD_ADDRESS_LOW, WORD_ADDRESS_HIGH, WORD_DATA, WORD_CONTROL, NR_WORDS };

void msix_init(struct msix *msix, unsigned nr_vectors, const struct msix_ops *ops, void *ctx)
{
	*msix = (struct msix){.ops = ops, .ctx = ctx, .nr_vectors = nr_vectors};
	for (unsigned i = 0; i < nr_vectors; i++)
		msix->entries[i].words[WORD_CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	pthread_mutex_init(&msix->lock, NULL);
}

void msix_done(struct msix *msix)
{
	pthread_mutex_destroy(&msix->lock);
}

static bool can_send(const struct msix *msix, unsigned vector)
{
	return msix->is_enabled && !msix->is_masked &&
	       !(msix->entries[vector].words[WORD_CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static struct msix_message message_of(const struct msix *msix, unsigned vector)
{
	const uint32_t *words = msix->entries[vector].words;

	return (struct msix_message){
		.address = (uint64_t)words[WORD_ADDRESS_HIGH] << 32 | words[WORD_ADDRESS_LOW],
		.data = words[WORD_DATA],
	};
}

static void prepare(struct msix *msix, unsigned vector)
{
	const struct msix_message message = message_of(msix, vector);

	if (msix->ops->prepare)
		msix->ops->prepare(msix->ctx, vector, &message);
}

static void send(struct msix *msix, unsigned vector)
{
	const struct msix_message message = message_of(msix, vector);

	msix->ops->signal(msix->ctx, vector, &message);
}

/* The guest has written something that says whether or what @vector sends. */
static void update(struct msix *msix, unsigned vector)
{
	if (!can_send(msix, vector)) {
		if (msix->ops->hold)
			msix->ops->hold(msix->ctx, vector);
		return;
	}
	prepare(msix, vector);
	if (msix->pending >> vector & 1) {
		msix->pending &= ~(1ull << vector);
		send(msix, vector);
	}
}

void msix_fire(struct msix *msix, unsigned vector)
{
	pthread_mutex_lock(&msix->lock);
	if (vector < msix->nr_vectors && msix->is_enabled) {
		if (can_send(msix, vector))
			send(msix, vector);
		else
			msix->pending |= 1ull << vector;
	}
	pthread_mutex_unlock(&msix->lock);
}

int msix_lend(struct msix *msix, unsigned vector)
{
	int fd = -1;

	pthread_mutex_lock(&msix->lock);
	if (vector < msix->nr_vectors && msix->ops->lend) {
		fd = msix->ops->lend(msix->ctx, vector);
		update(msix, vector);
	}
	pthread_mutex_unlock(&msix->lock);
	return fd;
}

void msix_set_control(struct msix *msix, bool is_enabled, bool is_masked)
{
	pthread_mutex_lock(&msix->lock);
	/* What was pending for the last driver means nothing to the next. */
	if (!is_enabled)
		msix->pending = 0;
	msix->is_enabled = is_enabled;
	msix->is_masked = is_masked;
	for (unsigned i = 0; i < msix->nr_vectors; i++)
		update(msix, i);
	pthread_mutex_unlock(&msix->lock);
}

/* What we have not sent, and what others have tried to. */
static uint64_t all_pending(const struct msix *msix)
{
	uint64_t pending = msix->pending;

	for (unsigned i = 0; i < msix->nr_vectors && msix->ops->is_held; i++) {
		if (msix->ops->is_held(msix->ctx, i))
			pending |= 1ull << i;
	}
	return pending;
}

static uint32_t read_word(const struct msix *msix, uint64_t offset)
{
	const uint64_t vector = offset / sizeof(struct msix_entry);

	if (vector < msix->nr_vectors)
		return msix->entries[vector].words[offset / 4 % NR_WORDS];
	if (offset == MSIX_PBA_OFFSET)
		return (uint32_t)all_pending(msix);
	if (offset == MSIX_PBA_OFFSET + 4)
		return (uint32_t)(all_pending(msix) >> 32);
	return 0;
}

static void write_word(struct msix *msix, uint64_t offset, uint32_t value)
{
	static const uint32_t writable[NR_WORDS] = {
		[WORD_ADDRESS_LOW] = ~3u,
		[WORD_ADDRESS_HIGH] = ~0u,
		[WORD_DATA] = ~0u,
		[WORD_CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT,
	};
	const uint64_t vector = offset / sizeof(struct msix_entry);
	const unsigned word = offset / 4 % NR_WORDS;

	if (vector < msix->nr_vectors)
		msix->entries[vector].words[word] = value & writable[word];
}

static bool is_whole_words(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0 &&
	       range_within(offset, size, 0, MSIX_BAR_SIZE);
}

uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned size)
{
	uint64_t value;

	if (!is_whole_words(offset, size))
		return 0;
	pthread_mutex_lock(&msix->lock);
	value = read_word(msix, offset);
	if (size == 8)
		value |= (uint64_t)read_word(msix, offset + 4) << 32;
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value)
{
	const uint64_t vector = offset / sizeof(struct msix_entry);

	if (!is_whole_words(offset, size))
		return;
	pthread_mutex_lock(&msix->lock);
	write_word(msix, offset, (uint32_t)value);
	if (size == 8)
		write_word(msix, offset + 4, (uint32_t)(value >> 32));
	if (vector < msix->nr_vectors)
		update(msix, (unsigned)vector);
	pthread_mutex_unlock(&msix->lock);
}

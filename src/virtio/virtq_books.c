/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer is in flight if its head was made available once more than it was used. So the order in
 * which both happened does not matter, as long as every entry of both rings is counted. Between two
 * looks that is so unless a ring has gone around, which its index tells: that is read again behind
 * the entries, because whoever writes them does not wait for us.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

#include "ccr/virtq_books.h"

void virtq_books_open(struct virtq_books *books, const struct virtq *queue)
{
	const uint16_t base = virtq_base(queue);

	*books = (struct virtq_books){
		.is_open = true,
		.is_exact = true,
		.avail = base,
		.used = base,
	};
}

void virtq_books_close(struct virtq_books *books)
{
	books->is_open = false;
}

/* One entry: a buffer goes out, or comes back. Return: false if that cannot be. */
static bool count(struct virtq_books *books, const struct virtq *queue, uint32_t head, bool is_out)
{
	if (head >= queue->size)
		return false;
	/* It may have come back before we see it go out: only the sum counts. */
	books->is_out[head] ^= true;
	books->nr = (uint16_t)(is_out ? books->nr + 1 : books->nr - 1);
	return true;
}

static bool count_ring(struct virtq_books *books, struct virtq *queue, uint16_t *at, bool is_avail)
{
	uint16_t end, again;
	uint32_t head;

	if (virtq_peek_index(queue, is_avail, &end) || (uint16_t)(end - *at) > queue->size)
		return false;
	for (uint16_t i = *at; i != end; i++) {
		if (virtq_peek_head(queue, is_avail, i, &head) ||
		    !count(books, queue, head, is_avail))
			return false;
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (virtq_peek_index(queue, is_avail, &again) || (uint16_t)(again - *at) > queue->size)
		return false;
	*at = end;
	return true;
}

/* Begin anew, which is possible if just now nothing is in flight. */
static void try_again(struct virtq_books *books, struct virtq *queue)
{
	uint16_t avail, used;

	memset(books->is_out, 0, sizeof(books->is_out));
	books->nr = 0;
	books->is_exact = virtq_peek_index(queue, true, &avail) == 0 &&
			  virtq_peek_index(queue, false, &used) == 0 && avail == used;
	if (books->is_exact)
		books->avail = books->used = avail;
}

void virtq_books_look(struct virtq_books *books, struct virtq *queue)
{
	if (!books->is_open)
		return;
	/* What was used was available before: so the available ring is read last. */
	if (books->is_exact)
		books->is_exact = count_ring(books, queue, &books->used, false) &&
				  count_ring(books, queue, &books->avail, true);
	if (!books->is_exact)
		try_again(books, queue);
}

int virtq_books_return(struct virtq_books *books, struct virtq *queue)
{
	uint16_t at;

	virtq_books_look(books, queue);
	if (!books->is_open || !books->is_exact ||
	    books->nr != (uint16_t)(books->avail - books->used))
		return -EBADMSG;
	at = books->used;
	for (unsigned head = 0; head < queue->size; head++) {
		if (books->is_out[head] && virtq_poke_head(queue, at++, (uint16_t)head))
			return -EBADMSG;
	}
	if (at != books->avail)
		return -EBADMSG;
	virtq_set_base(queue, books->used);
	return 0;
}

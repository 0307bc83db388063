/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books on a queue that somebody else runs: which of the driver's buffers are with it, found by
 * looking at both rings. If it dies, another one can be given the same buffers.
 *
 * The rings hold as many entries as the queue has, so somebody has to look before either of them
 * has gone around once. A look that comes too late is noticed, and the books are closed until
 * nothing is in flight.
 *
 * With the device's lock held.
 */
#ifndef CCR_VIRTQ_BOOKS_H
#define CCR_VIRTQ_BOOKS_H

#include "ccr/virtq.h"

/**
 * struct virtq_books - private to virtq_books.c
 * @is_open: there are any; @is_exact: all that happened was seen
 * @avail, @used: indices of the rings up to which has been looked
 * @nr: buffers in flight; @is_out: is the one that begins with this descriptor
 */
struct virtq_books {
	bool is_open, is_exact;
	uint16_t avail, used;
	uint16_t nr;
	bool is_out[VIRTQ_MAX_SIZE];
};

/** virtq_books_open() - nothing is in flight, and virtq_base() is the next buffer */
void virtq_books_open(struct virtq_books *books, const struct virtq *queue);

/** virtq_books_close() - until they are opened again nobody looks */
void virtq_books_close(struct virtq_books *books);

/** virtq_books_look() - what has happened since; nothing to do for books that are not open */
void virtq_books_look(struct virtq_books *books, struct virtq *queue);

/**
 * virtq_books_return() - make what is in flight available once more, to somebody else
 *
 * The driver has long forgotten these entries of the available ring; they are written again, and
 * the queue's base is the first of them. Nobody runs the queue now.
 *
 * Return: 0; -EBADMSG if the books are not exact or the rings out of reach, and then nothing has
 * changed that would matter.
 */
int virtq_books_return(struct virtq_books *books, struct virtq *queue);

#endif

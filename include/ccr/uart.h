/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A serial port: registers on vCPU threads, bytes from and to the event loop.
 *
 * Output goes through a ring, so that a terminal that does not take bytes never stops a vCPU: while
 * the ring has less room than the chip's transmit FIFO (16 bytes, which drivers fill without asking
 * in between), the transmitter reports itself busy (LSR THRE and TEMT clear), which is what a slow
 * line looks like. A guest that writes all the same loses what the ring has no room for.
 */
#ifndef CCR_UART_H
#define CCR_UART_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/bus.h"

#define UART_NR_REGS   8
#define UART_FIFO_SIZE 64          /* receive side, bytes */
#define UART_RING_SIZE (64 * 1024) /* transmit side, bytes, a power of two */

/**
 * struct uart_host - what the port needs from its surroundings; callable from any thread, with the
 * port's lock held, so they must not call back into the port
 * @set_irq: level of the interrupt line
 * @kick: the transmit ring has become non-empty, or the receiver takes bytes again; not called for
 *	a port without a line
 */
struct uart_host {
	void (*set_irq)(void *ctx, bool level);
	void (*kick)(void *ctx);
	void *ctx;
};

struct uart {
	pthread_mutex_t lock;
	struct uart_host host;
	uint8_t ier, lcr, mcr, scr, dll, dlm, fcr;
	bool overrun;       /* LSR OE: the receive FIFO was full */
	bool thr_empty_irq; /* IIR THRI pending: cleared by reading IIR or writing THR */
	bool level;         /* last level given to set_irq */
	uint8_t rx[UART_FIFO_SIZE];
	unsigned rx_head, nr_rx;
	uint8_t *tx; /* ring of UART_RING_SIZE; NULL without a line */
	uint64_t tx_head, tx_tail;
	uint64_t nr_written; /* bytes the guest has sent since start, lost ones included */
};

/** uart_ops - registers at 1-byte stride; a wider access touches the addressed register only */
extern const struct bus_ops uart_ops;

/**
 * uart_init() - a port as firmware leaves it: 115200 baud 8N1, interrupts and FIFOs off
 * @host: copied; every function must be there
 *
 * Return: 0 or -ENOMEM.
 */
int uart_init(struct uart *uart, const struct uart_host *host);

/** uart_init_unconnected() - the same without a line: what is sent is gone, nothing ever comes */
void uart_init_unconnected(struct uart *uart, const struct uart_host *host);

/** uart_done() - of either */
void uart_done(struct uart *uart);

/**
 * uart_rx_room() - how many bytes uart_receive() would take now
 *
 * Return: 0 to UART_FIFO_SIZE; at most 1 while the FIFOs are disabled, 0 in loopback mode.
 */
size_t uart_rx_room(struct uart *uart);

/** uart_receive() - bytes from the host to the guest. Return: how many were taken. */
size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t size);

/**
 * uart_peek() - copy up to @size of the oldest bytes of the transmit ring, leaving them there
 *
 * Return: bytes copied.
 */
size_t uart_peek(struct uart *uart, uint8_t *bytes, size_t size);

/** uart_consume() - drop @size bytes that uart_peek() returned and that the host has taken */
void uart_consume(struct uart *uart, size_t size);

/** uart_nr_written() - bytes sent since start; tells a silent guest from a slow one */
uint64_t uart_nr_written(struct uart *uart);

#endif

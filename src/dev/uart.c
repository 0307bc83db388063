/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the port works
 * ------------------
 * Receiver: uart_receive() or, in loopback mode, the transmitter puts bytes into rx[]; the guest
 * takes them from RBR. Host bytes are only taken where there is room, so only loopback overruns.
 * Its depth is then the chip's 16 and not our 64, since drivers count it to tell the chip's kind.
 *
 * Transmitter: a byte written to THR goes to the ring at once. The line being that fast, "THR is
 * empty" is true whenever the ring has room for a FIFO's worth, and becomes true again
 *   - at the end of every THR write that leaves such room,
 *   - when the host makes such room in a full ring,
 *   - for the interrupt's purposes, when IER enables it (the chip then interrupts at once, and
 *     Linux tests that it does).
 * Each of these sets thr_empty_irq; writing THR, or reading IIR while it reports that source,
 * clears it.
 *
 * Interrupts: IIR names the enabled source of the highest priority: line status (an overrun), data,
 * THR empty. Modem status never changes. The line's level is recomputed after every operation.
 *
 * Every operation runs between enter() and leave() with the lock held; leave() compares the port
 * with what it was before and tells the host what changed: one place, so that nothing is forgotten.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/uart.h"

/* What the chip itself has: the loopback path's depth and what drivers write per THR interrupt. */
#define CHIP_FIFO_SIZE 16

enum {
	REG_DATA = 0, /* RBR, THR; DLL with DLAB */
	REG_IER = 1,  /* DLM with DLAB */
	REG_IIR = 2,  /* FCR when written */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

enum {
	IER_DATA = 0x01,
	IER_THR_EMPTY = 0x02,
	IER_LINE = 0x04,
	IER_MASK = 0x0f,

	IIR_NONE = 0x01,
	IIR_THR_EMPTY = 0x02,
	IIR_DATA = 0x04,
	IIR_LINE = 0x06,
	IIR_TIMEOUT = 0x0c,
	IIR_FIFOS = 0xc0,

	FCR_ENABLE = 0x01,
	FCR_CLEAR_RX = 0x02,
	FCR_KEPT = 0xc9, /* enable, DMA mode, trigger level; the rest clears itself */
	FCR_TRIGGER_SHIFT = 6,

	LCR_8N1 = 0x03,
	LCR_DLAB = 0x80,

	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08,
	MCR_LOOP = 0x10,
	MCR_MASK = 0x1f,

	LSR_DATA = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_THR_EMPTY = 0x20,
	LSR_IDLE = 0x40,

	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
};

static size_t ring_used(const struct uart *uart)
{
	return (size_t)(uart->tx_head - uart->tx_tail);
}

static bool thr_empty(const struct uart *uart)
{
	return UART_RING_SIZE - ring_used(uart) >= CHIP_FIFO_SIZE;
}

/* Bytes that rx[] may hold in the present mode. */
static unsigned rx_depth(const struct uart *uart)
{
	if (!(uart->fcr & FCR_ENABLE))
		return 1;
	return uart->mcr & MCR_LOOP ? CHIP_FIFO_SIZE : UART_FIFO_SIZE;
}

static unsigned host_room(const struct uart *uart)
{
	unsigned depth = rx_depth(uart);

	if (uart->mcr & MCR_LOOP || uart->nr_rx >= depth)
		return 0;
	return depth - uart->nr_rx;
}

static void rx_push(struct uart *uart, uint8_t byte)
{
	uart->rx[(uart->rx_head + uart->nr_rx) % UART_FIFO_SIZE] = byte;
	uart->nr_rx++;
}

static uint8_t rx_pop(struct uart *uart)
{
	uint8_t byte = uart->rx[uart->rx_head];

	if (!uart->nr_rx)
		return 0;
	uart->rx_head = (uart->rx_head + 1) % UART_FIFO_SIZE;
	uart->nr_rx--;
	return byte;
}

/* IIR without the FIFO bits. */
static uint8_t interrupt_id(const struct uart *uart)
{
	static const uint8_t trigger_levels[4] = {1, 4, 8, 14};

	if (uart->ier & IER_LINE && uart->overrun)
		return IIR_LINE;
	if (uart->ier & IER_DATA && uart->nr_rx) {
		/* Below the trigger level, the wait of four characters has always just passed. */
		bool waiting = uart->fcr & FCR_ENABLE &&
			       uart->nr_rx < trigger_levels[uart->fcr >> FCR_TRIGGER_SHIFT];

		return waiting ? IIR_TIMEOUT : IIR_DATA;
	}
	if (uart->ier & IER_THR_EMPTY && uart->thr_empty_irq)
		return IIR_THR_EMPTY;
	return IIR_NONE;
}

/* struct before - the port as an operation found it, as far as the host wants to know */
struct before {
	size_t ring_used;
	unsigned host_room;
};

static struct before enter(struct uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	return (struct before){ring_used(uart), host_room(uart)};
}

static void leave(struct uart *uart, struct before before)
{
	bool level = interrupt_id(uart) != IIR_NONE;

	if (level != uart->level) {
		uart->level = level;
		uart->host.set_irq(uart->host.ctx, level);
	}
	if (uart->tx &&
	    ((!before.ring_used && ring_used(uart)) || (!before.host_room && host_room(uart))))
		uart->host.kick(uart->host.ctx);
	pthread_mutex_unlock(&uart->lock);
}

static void loop_back(struct uart *uart, uint8_t byte)
{
	if (uart->nr_rx < rx_depth(uart)) {
		rx_push(uart, byte);
		return;
	}
	uart->overrun = true;
	/* A full FIFO stays as it is, a full buffer register is overwritten. */
	if (!(uart->fcr & FCR_ENABLE))
		uart->rx[uart->rx_head] = byte;
}

static void transmit(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & MCR_LOOP) {
		loop_back(uart, byte);
	} else {
		uart->nr_written++;
		if (uart->tx && ring_used(uart) < UART_RING_SIZE)
			uart->tx[uart->tx_head++ % UART_RING_SIZE] = byte;
	}
	uart->thr_empty_irq = thr_empty(uart);
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart);

	if (id == IIR_THR_EMPTY)
		uart->thr_empty_irq = false;
	return id | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr = thr_empty(uart) ? LSR_THR_EMPTY | LSR_IDLE : 0;

	if (uart->nr_rx)
		lsr |= LSR_DATA;
	if (uart->overrun)
		lsr |= LSR_OVERRUN;
	uart->overrun = false;
	return lsr;
}

static uint8_t read_msr(const struct uart *uart)
{
	uint8_t msr = 0;

	if (!(uart->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (uart->mcr & MCR_RTS)
		msr |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		msr |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		msr |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		msr |= MSR_DCD;
	return msr;
}

static void write_ier(struct uart *uart, uint8_t value)
{
	uint8_t enabled = value & ~uart->ier;

	uart->ier = value & IER_MASK;
	if (enabled & IER_THR_EMPTY && thr_empty(uart))
		uart->thr_empty_irq = true;
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	bool toggled = (value ^ uart->fcr) & FCR_ENABLE;

	/* Without the enable bit the chip takes no other. */
	if (!(value & FCR_ENABLE))
		value = 0;
	/* There is no transmit FIFO to clear: what the guest has sent is on the line. */
	if (toggled || value & FCR_CLEAR_RX)
		uart->nr_rx = 0;
	uart->fcr = value & FCR_KEPT;
}

static uint8_t read_register(struct uart *uart, uint64_t offset)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		return dlab ? uart->dll : rx_pop(uart);
	case REG_IER:
		return dlab ? uart->dlm : uart->ier;
	case REG_IIR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	case REG_SCR:
		return uart->scr;
	default:
		return 0;
	}
}

static void write_register(struct uart *uart, uint64_t offset, uint8_t value)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		if (dlab)
			uart->dll = value;
		else
			transmit(uart, value);
		break;
	case REG_IER:
		if (dlab)
			uart->dlm = value;
		else
			write_ier(uart, value);
		break;
	case REG_IIR:
		write_fcr(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		uart->mcr = value & MCR_MASK;
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

static uint64_t uart_read(void *dev, uint64_t offset, unsigned size)
{
	struct uart *uart = dev;
	struct before before = enter(uart);
	uint8_t value = read_register(uart, offset);

	(void)size;
	leave(uart, before);
	return value;
}

static void uart_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct uart *uart = dev;
	struct before before = enter(uart);

	(void)size;
	write_register(uart, offset, (uint8_t)value);
	leave(uart, before);
}

const struct bus_ops uart_ops = {.read = uart_read, .write = uart_write};

int uart_init(struct uart *uart, const struct uart_host *host)
{
	uint8_t *ring = malloc(UART_RING_SIZE);

	if (!ring)
		return -ENOMEM;
	uart_init_unconnected(uart, host);
	uart->tx = ring;
	return 0;
}

void uart_init_unconnected(struct uart *uart, const struct uart_host *host)
{
	*uart = (struct uart){.host = *host, .lcr = LCR_8N1, .dll = 1};
	pthread_mutex_init(&uart->lock, NULL);
}

void uart_done(struct uart *uart)
{
	pthread_mutex_destroy(&uart->lock);
	free(uart->tx);
	uart->tx = NULL;
}

size_t uart_rx_room(struct uart *uart)
{
	size_t room;

	pthread_mutex_lock(&uart->lock);
	room = host_room(uart);
	pthread_mutex_unlock(&uart->lock);
	return room;
}

size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t size)
{
	struct before before = enter(uart);
	size_t taken = size < before.host_room ? size : before.host_room;

	for (size_t i = 0; i < taken; i++)
		rx_push(uart, bytes[i]);
	leave(uart, before);
	return taken;
}

size_t uart_peek(struct uart *uart, uint8_t *bytes, size_t size)
{
	size_t start, until_wrap;

	pthread_mutex_lock(&uart->lock);
	if (size > ring_used(uart))
		size = ring_used(uart);
	start = uart->tx_tail % UART_RING_SIZE;
	until_wrap = UART_RING_SIZE - start < size ? UART_RING_SIZE - start : size;
	memcpy(bytes, uart->tx + start, until_wrap);
	memcpy(bytes + until_wrap, uart->tx, size - until_wrap);
	pthread_mutex_unlock(&uart->lock);
	return size;
}

void uart_consume(struct uart *uart, size_t size)
{
	struct before before = enter(uart);
	bool was_empty = thr_empty(uart);

	uart->tx_tail += size < before.ring_used ? size : before.ring_used;
	if (!was_empty && thr_empty(uart))
		uart->thr_empty_irq = true;
	leave(uart, before);
}

uint64_t uart_nr_written(struct uart *uart)
{
	uint64_t nr;

	pthread_mutex_lock(&uart->lock);
	nr = uart->nr_written;
	pthread_mutex_unlock(&uart->lock);
	return nr;
}

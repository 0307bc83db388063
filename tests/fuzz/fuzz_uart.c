/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/uart.c */
/*
 * The input is a script of guest accesses and host transfers, two bytes each. Properties:
 *   - what the host takes out is what the guest wrote outside loopback mode, in order, up to what
 *     the ring had no room for, and uart_nr_written() counts every byte of it;
 *   - the host hands in exactly as much as the port said it would take;
 *   - the interrupt line is up exactly when IIR names a source, and set_irq only tells changes;
 *   - registers have no bits a 16550A has not, and LSR is never the 0xff of an absent port;
 *   - THRE is only reported with room for the 16 bytes that drivers then write;
 *   - a port without a line answers its guest as one does whose host takes every byte at once and
 *     sends none; and it asks its host for nothing but the interrupt.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ccr/uart.h"
#include "fuzz.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

struct line {
	struct uart uart;
	bool level;
};

struct fuzz {
	struct line line;
	struct line unconnected, drained; /* what the guest does is done to them as well */
	uint8_t lcr, mcr;                 /* as the guest wrote them */
	uint64_t nr_sent;                 /* outside loopback */
	uint64_t nr_in, nr_out;
	uint8_t ring[UART_RING_SIZE]; /* what the host must find */
};

static void on_irq(void *ctx, bool level)
{
	struct line *line = ctx;

	require(level != line->level);
	line->level = level;
}

static void on_kick(void *ctx)
{
	struct line *line = ctx;

	require(line->uart.host.ctx == line && line->uart.tx);
}

static void host_drains(struct line *line)
{
	uint8_t byte;

	while (uart_peek(&line->uart, &byte, 1) > 0)
		uart_consume(&line->uart, 1);
}

/* The same access to both ports that nobody sends to. */
static void others_are_alike(struct fuzz *f, unsigned reg, bool is_write, uint8_t value)
{
	if (is_write) {
		uart_ops.write(&f->unconnected.uart, reg, 1, value);
		uart_ops.write(&f->drained.uart, reg, 1, value);
		host_drains(&f->drained);
	} else {
		require(uart_ops.read(&f->unconnected.uart, reg, 1) ==
			uart_ops.read(&f->drained.uart, reg, 1));
	}
	require(f->unconnected.level == f->drained.level);
	require(uart_nr_written(&f->unconnected.uart) == uart_nr_written(&f->drained.uart));
}

static void write_line(struct fuzz *f, unsigned reg, uint8_t value)
{
	bool sends = reg == DATA && !(f->lcr & 0x80) && !(f->mcr & 0x10);

	uart_ops.write(&f->line.uart, reg, 1, value);
	if (reg == LCR)
		f->lcr = value;
	if (reg == MCR)
		f->mcr = value;
	if (sends) {
		f->nr_sent++;
		if (f->nr_in - f->nr_out < UART_RING_SIZE)
			f->ring[f->nr_in++ % UART_RING_SIZE] = value;
	}
	require(uart_nr_written(&f->line.uart) == f->nr_sent);
}

static void guest_writes(struct fuzz *f, unsigned reg, uint8_t value)
{
	write_line(f, reg, value);
	others_are_alike(f, reg, true, value);
}

static void guest_reads(struct fuzz *f, unsigned reg)
{
	bool level = f->line.level;
	uint64_t value = uart_ops.read(&f->line.uart, reg, 1);

	require(value <= 0xff);
	others_are_alike(f, reg, false, 0);
	switch (reg) {
	case IER:
		require(f->lcr & 0x80 || value <= 0x0f);
		break;
	case IIR:
		require((value & 0x30) == 0 && ((value & 0x0f) != 0x01) == level);
		break;
	case LCR:
		require(f->lcr == value);
		break;
	case MCR:
		require((f->mcr & 0x1f) == value);
		break;
	case LSR:
		require((value & ~0x63u) == 0);
		require((value & 0x60) ==
			(UART_RING_SIZE - (f->nr_in - f->nr_out) >= 16 ? 0x60 : 0x00));
		break;
	case MSR:
		require((value & 0x0f) == 0 && (f->mcr & 0x10 || value == 0xb0));
		break;
	default:
		break;
	}
}

static void host_gives(struct fuzz *f, uint8_t size)
{
	static const uint8_t bytes[UINT8_MAX] = {1, 2, 3};
	size_t room = uart_rx_room(&f->line.uart);

	require(room <= UART_FIFO_SIZE);
	require(uart_receive(&f->line.uart, bytes, size) == (size < room ? size : room));
}

static void host_takes(struct fuzz *f, uint8_t amount)
{
	static uint8_t bytes[UART_RING_SIZE];
	size_t wanted = (size_t)amount * amount + amount; /* up to 65280 */
	uint64_t there = f->nr_in - f->nr_out;
	size_t nr = uart_peek(&f->line.uart, bytes, wanted);

	require(nr == (wanted < there ? wanted : there));
	for (size_t i = 0; i < nr; i++)
		require(bytes[i] == f->ring[(f->nr_out + i) % UART_RING_SIZE]);
	uart_consume(&f->line.uart, nr / 2 + 1);
	f->nr_out += nr / 2 + 1 < there ? nr / 2 + 1 : there;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct uart_host host = {on_irq, on_kick, NULL};
	unsigned left = 2 * UART_RING_SIZE;

	require(f != NULL);
	host.ctx = &f->line;
	require(uart_init(&f->line.uart, &host) == 0);
	host.ctx = &f->drained;
	require(uart_init(&f->drained.uart, &host) == 0);
	host.ctx = &f->unconnected;
	uart_init_unconnected(&f->unconnected.uart, &host);
	f->lcr = (uint8_t)uart_ops.read(&f->line.uart, LCR, 1);
	for (size_t i = 0; i + 1 < size && i < 2000; i += 2) {
		unsigned reg = data[i] % UART_NR_REGS;
		uint8_t value = data[i + 1];

		switch (data[i] / UART_NR_REGS % 5) {
		case 0:
			guest_writes(f, reg, value);
			break;
		case 1:
			guest_reads(f, reg);
			break;
		case 2:
			host_gives(f, value);
			break;
		case 3:
			host_takes(f, value);
			break;
		case 4: /* enough to fill the ring now and then, but once */
			for (unsigned n = 0; n < value * 16u && left > 0; n++, left--)
				write_line(f, DATA, (uint8_t)(n + value));
			break;
		}
	}
	uart_done(&f->line.uart);
	uart_done(&f->drained.uart);
	uart_done(&f->unconnected.uart);
	free(f);
	return 0;
}

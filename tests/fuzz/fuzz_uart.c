/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/uart.c */
/*
 * The input is a script of guest accesses and host transfers, two bytes each. Properties:
 *   - what the host takes out is what the guest wrote outside loopback mode, in order, up to what
 *     the ring had no room for, and uart_nr_written() counts every byte of it;
 *   - the host hands in exactly as much as the port said it would take;
 *   - the interrupt line is up exactly when IIR names a source, and set_irq only tells changes;
 *   - registers have no bits a 16550A has not, and LSR is never the 0xff of an absent port;
 *   - THRE is only reported with room for the 16 bytes that drivers then write.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ccr/uart.h"
#include "fuzz.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

struct fuzz {
	struct uart uart;
	bool level;
	uint8_t lcr, mcr; /* as the guest wrote them */
	uint64_t nr_sent; /* outside loopback */
	uint64_t nr_in, nr_out;
	uint8_t ring[UART_RING_SIZE]; /* what the host must find */
};

static void on_irq(void *ctx, bool level)
{
	struct fuzz *f = ctx;

	require(level != f->level);
	f->level = level;
}

static void on_kick(void *ctx)
{
	struct fuzz *f = ctx;

	require(f->uart.host.ctx == f);
}

static void guest_writes(struct fuzz *f, unsigned reg, uint8_t value)
{
	bool sends = reg == DATA && !(f->lcr & 0x80) && !(f->mcr & 0x10);

	uart_ops.write(&f->uart, reg, 1, value);
	if (reg == LCR)
		f->lcr = value;
	if (reg == MCR)
		f->mcr = value;
	if (sends) {
		f->nr_sent++;
		if (f->nr_in - f->nr_out < UART_RING_SIZE)
			f->ring[f->nr_in++ % UART_RING_SIZE] = value;
	}
	require(uart_nr_written(&f->uart) == f->nr_sent);
}

static void guest_reads(struct fuzz *f, unsigned reg)
{
	bool level = f->level;
	uint64_t value = uart_ops.read(&f->uart, reg, 1);

	require(value <= 0xff);
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
	size_t room = uart_rx_room(&f->uart);

	require(room <= UART_FIFO_SIZE);
	require(uart_receive(&f->uart, bytes, size) == (size < room ? size : room));
}

static void host_takes(struct fuzz *f, uint8_t amount)
{
	static uint8_t bytes[UART_RING_SIZE];
	size_t wanted = (size_t)amount * amount + amount; /* up to 65280 */
	uint64_t there = f->nr_in - f->nr_out;
	size_t nr = uart_peek(&f->uart, bytes, wanted);

	require(nr == (wanted < there ? wanted : there));
	for (size_t i = 0; i < nr; i++)
		require(bytes[i] == f->ring[(f->nr_out + i) % UART_RING_SIZE]);
	uart_consume(&f->uart, nr / 2 + 1);
	f->nr_out += nr / 2 + 1 < there ? nr / 2 + 1 : there;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	const struct uart_host host = {on_irq, on_kick, f};

	require(f && uart_init(&f->uart, &host) == 0);
	f->lcr = (uint8_t)uart_ops.read(&f->uart, LCR, 1);
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
		case 4: /* enough to fill the ring now and then */
			for (unsigned n = 0; n < value * 16u; n++)
				guest_writes(f, DATA, (uint8_t)(n + value));
			break;
		}
	}
	uart_done(&f->uart);
	free(f);
	return 0;
}

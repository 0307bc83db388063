/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/uart.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR, DLL = DATA, DLM = IER };

#define LSR_IDLE 0x60 /* THR and shift register empty */

struct bench {
	struct uart uart;
	bool level;
	unsigned nr_levels; /* calls of set_irq */
	unsigned nr_kicks;
};

static void bench_set_irq(void *ctx, bool level)
{
	struct bench *bench = ctx;

	bench->level = level;
	bench->nr_levels++;
}

static void bench_kick(void *ctx)
{
	struct bench *bench = ctx;

	bench->nr_kicks++;
}

static int bench_begin(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	const struct uart_host host = {bench_set_irq, bench_kick, bench};

	assert_non_null(bench);
	assert_int_equal(uart_init(&bench->uart, &host), 0);
	*state = bench;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *bench = *state;

	uart_done(&bench->uart);
	free(bench);
	return 0;
}

static uint8_t get(struct bench *b, uint64_t reg)
{
	uint64_t value = uart_ops.read(&b->uart, reg, 1);

	assert_true(value <= 0xff);
	return (uint8_t)value;
}

static void set(struct bench *b, uint64_t reg, uint8_t value)
{
	uart_ops.write(&b->uart, reg, 1, value);
}

static size_t receive(struct bench *b, const char *text)
{
	return uart_receive(&b->uart, (const uint8_t *)text, strlen(text));
}

static void fill_ring(struct bench *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		set(b, DATA, (uint8_t)(i * 13));
}

static void starts_as_firmware_leaves_it(void **state)
{
	struct bench *b = *state;

	assert_int_equal(get(b, IER), 0);
	assert_int_equal(get(b, IIR), 0x01);
	assert_int_equal(get(b, LCR), 0x03);
	assert_int_equal(get(b, MCR), 0);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	assert_int_equal(get(b, MSR), 0xb0);
	set(b, LCR, 0x83);
	assert_int_equal(get(b, DLL), 1);
	assert_int_equal(get(b, DLM), 0);
	assert_int_equal(b->nr_levels, 0);
}

static void registers_keep_the_bits_they_have(void **state)
{
	struct bench *b = *state;

	set(b, IER, 0xff);
	set(b, LCR, 0x7f);
	set(b, MCR, 0xff);
	set(b, SCR, 0xa5);
	assert_int_equal(get(b, IER), 0x0f);
	assert_int_equal(get(b, LCR), 0x7f);
	assert_int_equal(get(b, MCR), 0x1f);
	assert_int_equal(get(b, SCR), 0xa5);
	set(b, LSR, 0xff);
	set(b, MCR, 0);
	set(b, MSR, 0xff);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	assert_int_equal(get(b, MSR), 0xb0);
}

static void divisor_latch_hides_data_and_ier(void **state)
{
	struct bench *b = *state;

	set(b, LCR, 0x80);
	set(b, DLL, 0x34);
	set(b, DLM, 0x12);
	assert_int_equal(get(b, DLL), 0x34);
	assert_int_equal(get(b, DLM), 0x12);
	set(b, LCR, 0x03);
	assert_int_equal(get(b, IER), 0);
	assert_int_equal(uart_nr_written(&b->uart), 0);
	receive(b, "x");
	set(b, LCR, 0x80);
	assert_int_equal(get(b, DLL), 0x34);
	set(b, LCR, 0x00);
	assert_int_equal(get(b, DATA), 'x');
}

static void output_comes_in_order(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[8];

	set(b, DATA, 'a');
	set(b, DATA, 'b');
	set(b, DATA, 'c');
	assert_int_equal(b->nr_kicks, 1); /* only when the ring became non-empty */
	assert_int_equal(uart_peek(&b->uart, bytes, 2), 2);
	assert_memory_equal(bytes, "ab", 2);
	assert_int_equal(uart_peek(&b->uart, bytes, 8), 3);
	uart_consume(&b->uart, 2);
	assert_int_equal(uart_peek(&b->uart, bytes, 8), 1);
	assert_int_equal(bytes[0], 'c');
	uart_consume(&b->uart, 1000); /* never more than there is */
	assert_int_equal(uart_peek(&b->uart, bytes, 8), 0);
	set(b, DATA, 'd');
	assert_int_equal(b->nr_kicks, 2);
	assert_int_equal(uart_nr_written(&b->uart), 4);
}

static void ring_wraps(void **state)
{
	struct bench *b = *state;
	uint8_t *bytes = malloc(UART_RING_SIZE);

	assert_non_null(bytes);
	fill_ring(b, UART_RING_SIZE - 3);
	uart_consume(&b->uart, UART_RING_SIZE - 3);
	fill_ring(b, 1000);
	assert_int_equal(uart_peek(&b->uart, bytes, UART_RING_SIZE), 1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(bytes[i], (uint8_t)(i * 13));
	free(bytes);
}

/* Drivers write 16 bytes for one look at THRE: the port must not say it is empty without room. */
static void full_ring_looks_like_a_busy_line(void **state)
{
	struct bench *b = *state;
	uint8_t byte;

	fill_ring(b, UART_RING_SIZE - 17);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	set(b, DATA, 1);
	assert_int_equal(get(b, LSR), LSR_IDLE); /* 16 left */
	set(b, DATA, 2);
	assert_int_equal(get(b, LSR), 0);
	set(b, IER, 0x02);
	assert_int_equal(get(b, IIR), 0x01);
	fill_ring(b, 15);
	uart_consume(&b->uart, 15);
	assert_int_equal(get(b, LSR), 0);
	assert_false(b->level);
	uart_consume(&b->uart, 1);
	assert_true(b->level);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	assert_int_equal(get(b, IIR), 0x02);
	assert_int_equal(uart_peek(&b->uart, &byte, 1), 1);
	assert_int_equal(byte, (uint8_t)(16 * 13));
}

static void overfull_ring_loses_the_newest(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[2];

	fill_ring(b, UART_RING_SIZE);
	set(b, DATA, 0xee);
	assert_int_equal(uart_nr_written(&b->uart), UART_RING_SIZE + 1);
	uart_consume(&b->uart, UART_RING_SIZE - 1);
	assert_int_equal(uart_peek(&b->uart, bytes, 2), 1);
	assert_int_equal(bytes[0], (uint8_t)((UART_RING_SIZE - 1) * 13));
}

/* The interrupt comes at once when enabled, and again: Linux's test for a faulty THRE interrupt. */
static void enabling_thr_interrupt_raises_it(void **state)
{
	struct bench *b = *state;

	set(b, IER, 0x02);
	assert_true(b->level);
	assert_int_equal(get(b, IIR), 0x02);
	assert_false(b->level);
	assert_int_equal(get(b, IIR), 0x01);
	set(b, IER, 0x02); /* was enabled already */
	assert_int_equal(get(b, IIR), 0x01);
	set(b, IER, 0x00);
	set(b, IER, 0x02);
	assert_int_equal(get(b, IIR), 0x02);
}

static void writing_thr_raises_it_anew(void **state)
{
	struct bench *b = *state;

	set(b, IER, 0x02);
	assert_int_equal(get(b, IIR), 0x02);
	set(b, DATA, 'x');
	assert_true(b->level);
	assert_int_equal(get(b, IIR), 0x02);
	assert_false(b->level);
	set(b, IER, 0x00);
	assert_int_equal(get(b, IIR), 0x01);
}

static void receives_up_to_the_fifo(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[100];

	for (unsigned i = 0; i < 100; i++)
		bytes[i] = (uint8_t)i;
	set(b, FCR, 0x01);
	assert_int_equal(b->nr_kicks, 0); /* there was room before */
	assert_int_equal(uart_rx_room(&b->uart), 64);
	assert_int_equal(uart_receive(&b->uart, bytes, 10), 10);
	assert_int_equal(uart_rx_room(&b->uart), 54);
	assert_int_equal(uart_receive(&b->uart, bytes + 10, 90), 54);
	assert_int_equal(uart_rx_room(&b->uart), 0);
	assert_int_equal(uart_receive(&b->uart, bytes, 1), 0);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(get(b, LSR), LSR_IDLE | 1);
		assert_int_equal(b->nr_kicks, i ? 1 : 0);
		assert_int_equal(get(b, DATA), i);
	}
	assert_int_equal(get(b, LSR), LSR_IDLE);
	assert_int_equal(get(b, DATA), 0);
	assert_int_equal(uart_rx_room(&b->uart), 64);
}

static void without_fifo_one_byte(void **state)
{
	struct bench *b = *state;

	assert_int_equal(receive(b, "ab"), 1);
	assert_int_equal(get(b, LSR), LSR_IDLE | 1);
	assert_int_equal(uart_rx_room(&b->uart), 0);
	assert_int_equal(get(b, DATA), 'a');
	assert_int_equal(b->nr_kicks, 1);
	assert_int_equal(receive(b, "b"), 1);
	set(b, FCR, 0x01); /* turning the FIFO on empties it */
	assert_int_equal(b->nr_kicks, 2);
	assert_int_equal(get(b, LSR), LSR_IDLE);
}

static void fifo_control(void **state)
{
	struct bench *b = *state;

	set(b, FCR, 0xc7);
	assert_int_equal(get(b, IIR), 0xc1);
	receive(b, "abc");
	set(b, FCR, 0xc1);
	assert_int_equal(get(b, LSR), LSR_IDLE | 1);
	set(b, FCR, 0xc3);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	receive(b, "abc");
	set(b, FCR, 0x00);
	assert_int_equal(get(b, IIR), 0x01);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	receive(b, "x");
	set(b, FCR, 0xc2); /* without the enable bit nothing is taken */
	assert_int_equal(get(b, LSR), LSR_IDLE | 1);
	assert_int_equal(get(b, IIR), 0x01);
	set(b, LCR, 0x80); /* FCR is not behind the divisor latch */
	set(b, FCR, 0x01);
	assert_int_equal(get(b, IIR), 0xc1);
}

static void transmit_fifo_clear_keeps_what_was_sent(void **state)
{
	struct bench *b = *state;
	uint8_t byte;

	set(b, FCR, 0x01);
	set(b, DATA, 'x');
	set(b, FCR, 0x07);
	assert_int_equal(uart_peek(&b->uart, &byte, 1), 1);
}

static void data_interrupt_follows_the_data(void **state)
{
	struct bench *b = *state;

	set(b, IER, 0x01);
	assert_false(b->level);
	receive(b, "a");
	assert_true(b->level);
	assert_int_equal(get(b, IIR), 0x04);
	assert_int_equal(get(b, IIR), 0x04); /* reading IIR does not clear it */
	assert_int_equal(get(b, DATA), 'a');
	assert_false(b->level);
	assert_int_equal(get(b, IIR), 0x01);
	receive(b, "b");
	set(b, IER, 0x00);
	assert_false(b->level);
}

static void below_the_trigger_it_is_the_timeout(void **state)
{
	static const struct {
		uint8_t fcr;
		unsigned level;
	} cases[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
	struct bench *b = *state;

	set(b, IER, 0x01);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		set(b, FCR, cases[i].fcr | 0x02);
		for (unsigned n = 1; n <= 20; n++) {
			receive(b, "x");
			assert_int_equal(get(b, IIR), n < cases[i].level ? 0xcc : 0xc4);
		}
	}
}

static void interrupt_priorities(void **state)
{
	struct bench *b = *state;

	/* An overrun can only be made in loopback mode. */
	set(b, IER, 0x0f);
	set(b, MCR, 0x10);
	set(b, DATA, 'a');
	set(b, DATA, 'b');
	assert_int_equal(get(b, IIR), 0x06);
	assert_int_equal(get(b, LSR), LSR_IDLE | 0x03);
	assert_int_equal(get(b, IIR), 0x04);
	assert_int_equal(get(b, DATA), 'b'); /* the buffer register was overwritten */
	assert_int_equal(get(b, IIR), 0x02);
	assert_int_equal(get(b, IIR), 0x01);
	assert_false(b->level);
}

static void reading_another_source_keeps_thr_pending(void **state)
{
	struct bench *b = *state;

	set(b, IER, 0x03);
	receive(b, "a");
	assert_int_equal(get(b, IIR), 0x04);
	assert_int_equal(get(b, IIR), 0x04);
	get(b, DATA);
	assert_int_equal(get(b, IIR), 0x02);
}

static void set_irq_is_called_for_changes_only(void **state)
{
	struct bench *b = *state;

	set(b, FCR, 0x01);
	set(b, IER, 0x01);
	receive(b, "abc");
	receive(b, "def");
	get(b, DATA);
	get(b, LSR);
	assert_int_equal(b->nr_levels, 1);
	set(b, IER, 0x00);
	assert_int_equal(b->nr_levels, 2);
}

static void loopback_returns_what_is_sent(void **state)
{
	struct bench *b = *state;
	uint8_t byte;

	set(b, FCR, 0x01);
	set(b, MCR, 0x10);
	set(b, DATA, 'q');
	assert_int_equal(uart_peek(&b->uart, &byte, 1), 0);
	assert_int_equal(uart_nr_written(&b->uart), 0);
	assert_int_equal(get(b, LSR), LSR_IDLE | 1);
	assert_int_equal(get(b, DATA), 'q');
	assert_int_equal(uart_rx_room(&b->uart), 0);
	assert_int_equal(receive(b, "x"), 0);
	assert_int_equal(b->nr_kicks, 0);
	set(b, MCR, 0x00);
	assert_int_equal(b->nr_kicks, 1);
	assert_int_equal(receive(b, "x"), 1);
}

static void loopback_wires_modem_lines(void **state)
{
	struct bench *b = *state;
	static const uint8_t msr[16] = {0x00, 0x20, 0x10, 0x30, 0x40, 0x60, 0x50, 0x70,
					0x80, 0xa0, 0x90, 0xb0, 0xc0, 0xe0, 0xd0, 0xf0};

	for (uint8_t mcr = 0; mcr < 16; mcr++) {
		set(b, MCR, 0x10 | mcr);
		assert_int_equal(get(b, MSR), msr[mcr]);
		set(b, MCR, mcr);
		assert_int_equal(get(b, MSR), 0xb0);
	}
}

/* A driver that counts the looped-back FIFO must find the 16 of a 16550A, not our 64. */
static void loopback_fifo_has_16_bytes(void **state)
{
	struct bench *b = *state;
	unsigned nr = 0;

	set(b, FCR, 0x07);
	set(b, MCR, 0x10);
	for (unsigned i = 0; i < 256; i++)
		set(b, DATA, (uint8_t)i);
	assert_int_equal(get(b, LSR), LSR_IDLE | 0x03);
	while (get(b, LSR) & 1)
		assert_int_equal(get(b, DATA), nr++);
	assert_int_equal(nr, 16);
}

static void entering_loopback_with_a_full_fifo(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[64];

	memset(bytes, 'h', sizeof(bytes));
	set(b, FCR, 0x01);
	assert_int_equal(uart_receive(&b->uart, bytes, 64), 64);
	set(b, MCR, 0x10);
	set(b, DATA, 'x');
	assert_int_equal(get(b, LSR), LSR_IDLE | 0x03);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(get(b, DATA), 'h');
	assert_int_equal(get(b, LSR), LSR_IDLE);
}

/*
 * The questions that Linux's 8250 driver asks to find out what chip it has. Each step's answer is
 * what leads it to "16550A".
 */
static void autodetection_finds_a_16550a(void **state)
{
	struct bench *b = *state;
	uint8_t iir;

	/* Is anything there? IER must hold its four bits, and only those. */
	set(b, IER, 0x00);
	assert_int_equal(get(b, IER) & 0x0f, 0x00);
	set(b, IER, 0x0f);
	assert_int_equal(get(b, IER), 0x0f);
	set(b, IER, 0x00);
	set(b, MCR, 0x1a);
	assert_int_equal(get(b, MSR) & 0xf0, 0x90);
	set(b, MCR, 0x00);

	/* FIFOs that work: the two top bits of IIR. */
	set(b, LCR, 0xbf);
	set(b, 2, 0x00);
	set(b, LCR, 0x00);
	set(b, FCR, 0x01);
	assert_int_equal(get(b, IIR) >> 6, 3);

	/* No enhanced feature register (16650, 16850): offset 2 stays IIR, never zero. */
	set(b, LCR, 0x80);
	assert_int_not_equal(get(b, 2), 0);
	set(b, LCR, 0xbf);
	assert_int_not_equal(get(b, 2), 0);

	/* No National extended register that follows MCR's loopback bit. */
	set(b, LCR, 0xe0);
	iir = get(b, 2);
	set(b, LCR, 0x00);
	set(b, MCR, 0x10);
	set(b, LCR, 0xe0);
	assert_int_equal(get(b, 2), iir);
	set(b, LCR, 0x00);
	set(b, MCR, 0x00);

	/* No 64-byte FIFO of a 16750, with the divisor latch or without. */
	set(b, FCR, 0x21);
	assert_int_equal(get(b, IIR) >> 5, 6);
	set(b, FCR, 0x01);
	set(b, LCR, 0x80);
	set(b, FCR, 0x21);
	assert_int_equal(get(b, IIR) >> 5, 6);
	set(b, FCR, 0x01);
	set(b, LCR, 0x00);

	/* No XScale unit enable bit. */
	set(b, IER, 0x40);
	assert_int_equal(get(b, IER), 0x00);
	assert_false(b->level);
}

static void wide_accesses_touch_one_register(void **state)
{
	struct bench *b = *state;

	uart_ops.write(&b->uart, SCR - 3, 4, 0x11223301); /* MCR */
	assert_int_equal(get(b, MCR), 0x01);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	assert_int_equal(get(b, SCR), 0);
	assert_int_equal(uart_ops.read(&b->uart, LSR, 2), LSR_IDLE);
	assert_int_equal(uart_ops.read(&b->uart, 0, 8), 0);
}

#define NR_STREAMED 300000

/* Takes the output as the event loop does. Return: NULL if every byte was the expected one. */
static void *drain(void *arg)
{
	struct bench *b = arg;
	uint8_t bytes[1000];
	size_t total = 0;

	while (total < NR_STREAMED) {
		size_t nr = uart_peek(&b->uart, bytes, sizeof(bytes));

		for (size_t i = 0; i < nr; i++) {
			if (bytes[i] != (uint8_t)((total + i) * 13))
				return arg;
		}
		uart_consume(&b->uart, nr);
		total += nr;
	}
	return NULL;
}

/* A writer that heeds THRE as drivers do, 16 bytes at a time, loses nothing. */
static void nothing_is_lost_between_threads(void **state)
{
	struct bench *b = *state;
	pthread_t thread;
	void *failure;
	size_t sent = 0;

	assert_int_equal(pthread_create(&thread, NULL, drain, b), 0);
	while (sent < NR_STREAMED) {
		while (!(get(b, LSR) & 0x20))
			;
		for (unsigned i = 0; i < 16 && sent < NR_STREAMED; i++, sent++)
			set(b, DATA, (uint8_t)(sent * 13));
	}
	pthread_join(thread, &failure);
	assert_null(failure);
	assert_int_equal(uart_nr_written(&b->uart), NR_STREAMED);
}

/* What a driver does to find a port works; what it sends is gone, and nobody is told. */
static void an_unconnected_port_is_never_busy(void **state)
{
	struct bench *b = *state;
	const struct uart_host host = {.set_irq = bench_set_irq, .ctx = b};

	uart_done(&b->uart);
	uart_init_unconnected(&b->uart, &host);
	fill_ring(b, 2 * UART_RING_SIZE);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	set(b, IER, 0x02);
	assert_true(b->level);
	assert_int_equal(get(b, IIR), 0x02);
	assert_false(b->level);
	set(b, MCR, 0x10);
	set(b, DATA, 'x');
	assert_int_equal(get(b, DATA), 'x');
	set(b, MCR, 0);
	assert_int_equal(get(b, LSR), LSR_IDLE);
	assert_int_equal(b->nr_kicks, 0);
}

#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_bench(starts_as_firmware_leaves_it),
		with_bench(an_unconnected_port_is_never_busy),
		with_bench(registers_keep_the_bits_they_have),
		with_bench(divisor_latch_hides_data_and_ier),
		with_bench(output_comes_in_order),
		with_bench(ring_wraps),
		with_bench(full_ring_looks_like_a_busy_line),
		with_bench(overfull_ring_loses_the_newest),
		with_bench(enabling_thr_interrupt_raises_it),
		with_bench(writing_thr_raises_it_anew),
		with_bench(receives_up_to_the_fifo),
		with_bench(without_fifo_one_byte),
		with_bench(fifo_control),
		with_bench(transmit_fifo_clear_keeps_what_was_sent),
		with_bench(data_interrupt_follows_the_data),
		with_bench(below_the_trigger_it_is_the_timeout),
		with_bench(interrupt_priorities),
		with_bench(reading_another_source_keeps_thr_pending),
		with_bench(set_irq_is_called_for_changes_only),
		with_bench(loopback_returns_what_is_sent),
		with_bench(loopback_wires_modem_lines),
		with_bench(loopback_fifo_has_16_bytes),
		with_bench(entering_loopback_with_a_full_fifo),
		with_bench(autodetection_finds_a_16550a),
		with_bench(wide_accesses_touch_one_register),
		with_bench(nothing_is_lost_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

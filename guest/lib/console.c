/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/console.h"
#include "lib/arch.h"

#define UART_THR      0
#define UART_FCR      2
#define UART_LCR      3
#define UART_LSR      5
#define UART_LSR_THRE 0x20
#define UART_FIFO     16 /* bytes that fit once THRE is set */

#define PL011_DR      0x00
#define PL011_FR      0x18
#define PL011_FR_TXFF 0x20
#define PL011_CR      0x30

void console_init(struct console *console, enum console_kind kind, uint64_t base)
{
	*console = (struct console){.kind = kind, .base = base};
	if (kind == CONSOLE_PL011) {
		mmio_write32(base + PL011_CR, 0x301); /* UART, transmitter and receiver on */
		return;
	}
	mmio_write8(base + UART_LCR, 3); /* 8 bits, no divisor access */
	mmio_write8(base + UART_FCR, 7); /* FIFOs on and empty */
}

static bool is_ready(const struct console *console)
{
	if (console->kind == CONSOLE_PL011)
		return !(mmio_read32(console->base + PL011_FR) & PL011_FR_TXFF);
	return mmio_read8(console->base + UART_LSR) & UART_LSR_THRE;
}

static void wait_ready(struct console *console)
{
	uint64_t start;

	if (is_ready(console))
		return;
	start = now_ms();
	while (!is_ready(console)) {
		if (now_ms() - start > CONSOLE_PATIENCE_MS) {
			console->dead = true;
			return;
		}
	}
}

/* One status read serves a FIFO's worth of bytes: each is a trip to the VMM. */
static void write_bytes(struct console *console, const char *s, size_t size)
{
	unsigned step = console->kind == CONSOLE_PL011 ? 1 : UART_FIFO;

	for (size_t i = 0; i < size && !console->dead; i++) {
		if (i % step == 0)
			wait_ready(console);
		if (console->kind == CONSOLE_PL011)
			mmio_write32(console->base + PL011_DR, (uint8_t)s[i]);
		else
			mmio_write8(console->base + UART_THR, (uint8_t)s[i]);
	}
}

void console_write(struct console *console, const char *s)
{
	write_bytes(console, s, strlen(s));
}

struct line {
	struct console *console;
	size_t size;
	char text[128];
};

static void line_flush(struct line *line)
{
	write_bytes(line->console, line->text, line->size);
	line->size = 0;
}

static void line_char(struct line *line, char c)
{
	line->text[line->size++] = c;
	if (line->size == sizeof(line->text))
		line_flush(line);
}

static void line_number(struct line *line, uint64_t value, unsigned radix, unsigned width)
{
	char digits[20];
	unsigned nr = 0;

	do {
		unsigned digit = (unsigned)(value % radix);

		digits[nr++] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
		value /= radix;
	} while (value);
	while (width > nr) {
		line_char(line, '0');
		width--;
	}
	while (nr)
		line_char(line, digits[--nr]);
}

struct spec {
	unsigned width;
	bool is_long;
	char type;
};

static const char *spec_parse(const char *p, struct spec *spec)
{
	*spec = (struct spec){0};
	for (; *p >= '0' && *p <= '9'; p++)
		spec->width = spec->width * 10 + (unsigned)(*p - '0');
	for (; *p == 'l'; p++)
		spec->is_long = true;
	spec->type = *p;
	return *p ? p + 1 : p;
}

static void line_signed(struct line *line, int64_t value)
{
	if (value < 0)
		line_char(line, '-');
	line_number(line, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, 0);
}

void console_vprint(struct console *console, const char *format, va_list args)
{
	struct line line = {.console = console};
	struct spec spec;

	while (*format) {
		char c = *format++;

		if (c != '%') {
			line_char(&line, c);
			continue;
		}
		format = spec_parse(format, &spec);
		switch (spec.type) {
		case 's':
			for (const char *s = va_arg(args, const char *); *s; s++)
				line_char(&line, *s);
			break;
		case 'c':
			line_char(&line, (char)va_arg(args, int));
			break;
		case 'd':
			line_signed(&line, spec.is_long ? va_arg(args, long) : va_arg(args, int));
			break;
		case 'u':
		case 'x':
			line_number(&line,
				    spec.is_long ? va_arg(args, unsigned long)
						 : va_arg(args, unsigned),
				    spec.type == 'x' ? 16 : 10, spec.width);
			break;
		default:
			line_char(&line, spec.type);
			break;
		}
	}
	line_flush(&line);
}

void console_print(struct console *console, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	console_vprint(console, format, args);
	va_end(args);
}

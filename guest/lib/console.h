/* SPDX-License-Identifier: Apache-2.0 */
/* Polled output on a 16550 or PL011. */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum console_kind { CONSOLE_16550, CONSOLE_PL011 };

/**
 * struct console - a serial port
 * @base: address to access it at, the shared bit included
 * @dead: did not get ready for CONSOLE_PATIENCE_MS; from then on text is dropped
 */
struct console {
	enum console_kind kind;
	uint64_t base;
	bool dead;
};

#define CONSOLE_PATIENCE_MS 10000u

/** console_init() - prepare the port for output */
void console_init(struct console *console, enum console_kind kind, uint64_t base);

/** console_write() - a dead port does not stop us */
void console_write(struct console *console, const char *s);

/** console_print() - %s %c %u %d %x, each but %s and %c with l and a zero-padded width as well */
void console_print(struct console *console, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void console_vprint(struct console *console, const char *format, va_list args);

#endif

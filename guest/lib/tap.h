/* SPDX-License-Identifier: Apache-2.0 */
/* Test Anything Protocol, version 13: a line a check, the plan at the end. */
#ifndef GUEST_TAP_H
#define GUEST_TAP_H

#include <stdbool.h>

#include "lib/console.h"

struct tap {
	struct console *console;
	unsigned nr, nr_passed, nr_failed;
};

void tap_begin(struct tap *tap, struct console *console);

/** tap_check() - one check; @name is the same on every machine. Return: @ok */
bool tap_check(struct tap *tap, bool ok, const char *name);
void tap_skip(struct tap *tap, const char *name, const char *why);

/** tap_note() - a diagnostic, for what may differ between machines; @format without the newline */
void tap_note(struct tap *tap, const char *format, ...) __attribute__((format(printf, 2, 3)));

void tap_end(struct tap *tap);

#endif

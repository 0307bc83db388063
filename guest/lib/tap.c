/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tap.h"

void tap_begin(struct tap *tap, struct console *console)
{
	*tap = (struct tap){.console = console};
	console_print(console, "TAP version 13\n");
}

bool tap_check(struct tap *tap, bool ok, const char *name)
{
	tap->nr++;
	if (ok)
		tap->nr_passed++;
	else
		tap->nr_failed++;
	console_print(tap->console, "%s %u - %s\n", ok ? "ok" : "not ok", tap->nr, name);
	return ok;
}

void tap_skip(struct tap *tap, const char *name, const char *why)
{
	tap->nr++;
	console_print(tap->console, "ok %u - %s # SKIP %s\n", tap->nr, name, why);
}

void tap_note(struct tap *tap, const char *format, ...)
{
	va_list args;

	console_write(tap->console, "# ");
	va_start(args, format);
	console_vprint(tap->console, format, args);
	va_end(args);
	console_write(tap->console, "\n");
}

void tap_end(struct tap *tap)
{
	console_print(tap->console, "1..%u\n", tap->nr);
}

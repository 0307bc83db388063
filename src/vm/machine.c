/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "internal.h"

/* Every device with registers, in creation order. */
static const struct {
	const char *name;
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	size_t offset; /* of its state in struct machine */
} devices[] = {
	{"uart", MEMMAP_UART_BASE, MEMMAP_UART_SIZE, &uart_ops, offsetof(struct machine, uart)},
	{"rtc", MEMMAP_RTC_BASE, MEMMAP_RTC_SIZE, &rtc_ops, offsetof(struct machine, rtc)},
};

int machine_init(struct machine *machine, const struct uart_host *uart_host, struct ccr_err *err)
{
	int ret = uart_init(&machine->uart, uart_host);

	if (ret)
		return err_set(err, ret, "uart: out of memory");
	machine->has_uart = true;
	rtc_init(&machine->rtc, NULL);

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]) && !ret; i++) {
		ret = bus_add(&machine->bus, ipa_at(devices[i].base), devices[i].size,
			      devices[i].name, devices[i].ops, (char *)machine + devices[i].offset);
		if (ret)
			err_set(err, ret, "%s: its registers at 0x%llx do not fit the bus: %s",
				devices[i].name, (unsigned long long)devices[i].base,
				strerror(-ret));
	}
	return ret;
}

void machine_done(struct machine *machine)
{
	if (!machine->has_uart)
		return;
	rtc_done(&machine->rtc);
	uart_done(&machine->uart);
	machine->has_uart = false;
}

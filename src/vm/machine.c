/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "internal.h"

/* Every window of the bus, in creation order. */
static const struct {
	const char *name;
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	size_t offset; /* of its state in struct machine */
	enum { ALWAYS, HAS_PCI, HAS_KERNEL, HAS_FIRMWARE } when;
} windows[] = {
	{"uart", MEMMAP_UART_BASE, MEMMAP_UART_SIZE, &uart_ops, offsetof(struct machine, uart),
	 ALWAYS},
	{"spare uart", MEMMAP_SPARE_UART(0), MEMMAP_UART_SIZE, &uart_ops,
	 offsetof(struct machine, spare_uarts[0].uart), HAS_FIRMWARE},
	{"spare uart", MEMMAP_SPARE_UART(1), MEMMAP_UART_SIZE, &uart_ops,
	 offsetof(struct machine, spare_uarts[1].uart), HAS_FIRMWARE},
	{"spare uart", MEMMAP_SPARE_UART(2), MEMMAP_UART_SIZE, &uart_ops,
	 offsetof(struct machine, spare_uarts[2].uart), HAS_FIRMWARE},
	{"rtc", MEMMAP_RTC_BASE, MEMMAP_RTC_SIZE, &rtc_ops, offsetof(struct machine, rtc),
	 HAS_KERNEL},
	{"rtc", MEMMAP_RTC_BASE, MEMMAP_MC146818_SIZE, &mc146818_ops,
	 offsetof(struct machine, mc146818), HAS_FIRMWARE},
	{"pci configuration", MEMMAP_PCI_CFG_BASE, MEMMAP_PCI_CFG_SIZE, &pci_ecam_ops,
	 offsetof(struct machine, pci), HAS_PCI},
	{"pci memory", MEMMAP_PCI_MEM_BASE, MEMMAP_PCI_MEM_SIZE, &pci_mem_ops,
	 offsetof(struct machine, pci), HAS_PCI},
};

static bool has_window(size_t i, const struct machine_config *config)
{
	switch (windows[i].when) {
	case HAS_PCI:
		return config->has_pci;
	case HAS_KERNEL:
		return !config->has_firmware;
	case HAS_FIRMWARE:
		return config->has_firmware;
	case ALWAYS:
		break;
	}
	return true;
}

static int add_windows(struct machine *machine, const struct machine_config *config,
		       struct ccr_err *err)
{
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		int ret = 0;

		if (has_window(i, config))
			ret = bus_add(&machine->bus, ipa_at(windows[i].base), windows[i].size,
				      windows[i].name, windows[i].ops,
				      (char *)machine + windows[i].offset);
		if (ret)
			return err_set(err, ret,
				       "%s: its registers at 0x%llx do not fit the bus: %s",
				       windows[i].name, (unsigned long long)windows[i].base,
				       strerror(-ret));
	}
	return 0;
}

static void on_spare_irq(void *ctx, bool level)
{
	const struct spare_uart *spare = ctx;

	kvm_vm_irq_line(spare->arch->fd, spare->spi, level);
}

static void init_spare_uarts(struct machine *machine, const struct arch_vm *arch)
{
	for (uint32_t n = 0; n < MEMMAP_SPARE_UARTS; n++) {
		struct spare_uart *spare = &machine->spare_uarts[n];
		const struct uart_host host = {.set_irq = on_spare_irq, .ctx = spare};

		spare->arch = arch;
		spare->spi = MEMMAP_SPI_SPARE + n;
		uart_init_unconnected(&spare->uart, &host);
	}
}

int machine_init(struct machine *machine, const struct machine_config *config, struct ccr_err *err)
{
	int ret = uart_init(&machine->uart, &config->uart_host);

	if (ret)
		return err_set(err, ret, "uart: out of memory");
	init_spare_uarts(machine, config->arch);
	machine->has_uart = true;
	machine->arch = config->arch;
	rtc_init(&machine->rtc, NULL);
	mc146818_init(&machine->mc146818, NULL);
	if (config->has_virtio)
		ret = pcibus_init(machine, config, err);
	return ret ? ret : add_windows(machine, config, err);
}

int machine_start(struct machine *machine, struct ccr_err *err)
{
	return machine->has_virtio ? pcibus_start(machine, err) : 0;
}

void machine_done(struct machine *machine)
{
	if (machine->has_virtio)
		pcibus_done(machine);
	if (!machine->has_uart)
		return;
	mc146818_done(&machine->mc146818);
	rtc_done(&machine->rtc);
	for (unsigned n = 0; n < MEMMAP_SPARE_UARTS; n++)
		uart_done(&machine->spare_uarts[n].uart);
	uart_done(&machine->uart);
	machine->has_uart = false;
}

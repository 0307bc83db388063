/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A firmware that boots nothing: it checks what firmware built for kvmtool's machines relies on, as
 * TAP on the serial port, and powers off. Entered like a kernel: X0 is the device tree.
 */
#include "lib/machine.h"
#include "lib/pci.h"
#include "lib/realm.h"
#include "lib/tap.h"

#define VENDOR_VIRTIO 0x1af4

/* MC146818: index and data, and the bytes behind them. */
enum { RTC_INDEX, RTC_DATA };
enum {
	SECONDS = 0x00,
	MINUTES = 0x02,
	HOURS = 0x04,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_D = 0x0d,
	CENTURY = 0x32,
};

/* Registers of a 16550; LSR_SENT: nothing waits to be sent. */
enum { UART_DATA = 0, UART_LSR = 5, UART_SCRATCH = 7 };
#define LSR_SENT       0x60
#define NR_SPARE_UARTS 3

#define A_IN_PROGRESS 0x80
#define B_SET         0x80
#define B_24_HOURS    0x02
#define D_VALID       0x80

struct bench {
	struct machine machine;
	struct cpu cpu;
	struct console console;
	struct realm realm;
	struct tap tap;
	uint64_t rtc; /* with the shared bit */
};

static uint8_t rtc_read(const struct bench *bench, uint8_t index)
{
	mmio_write8(bench->rtc + RTC_INDEX, index);
	return mmio_read8(bench->rtc + RTC_DATA);
}

static void rtc_write(const struct bench *bench, uint8_t index, uint8_t value)
{
	mmio_write8(bench->rtc + RTC_INDEX, index);
	mmio_write8(bench->rtc + RTC_DATA, value);
}

static bool is_bcd(uint8_t byte, uint8_t first, uint8_t last)
{
	return (byte & 0xf) < 10 && byte >= first && byte <= last;
}

static bool is_date(const struct bench *bench)
{
	return is_bcd(rtc_read(bench, SECONDS), 0, 0x59) &&
	       is_bcd(rtc_read(bench, MINUTES), 0, 0x59) &&
	       is_bcd(rtc_read(bench, HOURS), 0, 0x23) && is_bcd(rtc_read(bench, DAY), 1, 0x31) &&
	       is_bcd(rtc_read(bench, MONTH), 1, 0x12) &&
	       is_bcd(rtc_read(bench, YEAR), 0x24, 0x99) && rtc_read(bench, CENTURY) == 0x20;
}

/* The last second of a leap day, in steps as UEFI's driver takes them. */
static void set_leap_day(const struct bench *bench)
{
	rtc_write(bench, REG_B, B_SET | B_24_HOURS);
	rtc_write(bench, SECONDS, 0x59);
	rtc_write(bench, MINUTES, 0x59);
	rtc_write(bench, HOURS, 0x23);
	rtc_write(bench, DAY, 0x29);
	rtc_write(bench, MONTH, 0x02);
	rtc_write(bench, YEAR, 0x28);
	rtc_write(bench, CENTURY, 0x20);
	rtc_write(bench, REG_B, B_24_HOURS);
}

static void check_rtc(struct bench *bench)
{
	const uint32_t node = machine_find(&bench->machine, "motorola,mc146818");
	uint64_t base = 0, size = 0;
	uint8_t month;

	if (!tap_check(&bench->tap, node != FDT_NONE, "rtc: in the device tree"))
		return;
	tap_check(&bench->tap, machine_range(&bench->machine, node, 0, &base, &size) && size >= 2,
		  "rtc: two registers");
	bench->rtc = base | bench->realm.shared_bit;
	tap_check(&bench->tap, rtc_read(bench, REG_D) & D_VALID, "rtc: valid");
	tap_check(&bench->tap, !(rtc_read(bench, REG_A) & A_IN_PROGRESS),
		  "rtc: never in an update");
	tap_check(&bench->tap, rtc_read(bench, REG_B) == B_24_HOURS, "rtc: BCD, 24 hours");
	tap_check(&bench->tap, is_date(bench), "rtc: a date of this century");
	tap_note(&bench->tap, "rtc 20%x-%02x-%02x", rtc_read(bench, YEAR), rtc_read(bench, MONTH),
		 rtc_read(bench, DAY));
	set_leap_day(bench);
	month = rtc_read(bench, MONTH);
	tap_check(&bench->tap, rtc_read(bench, YEAR) == 0x28 && (month == 2 || month == 3),
		  "rtc: can be set");
	tap_check(&bench->tap, machine_find(&bench->machine, "arm,pl031") == FDT_NONE,
		  "rtc: the only clock");
}

/* It takes what is sent, and keeps a byte. */
static bool is_spare(struct bench *bench, uint32_t node)
{
	uint64_t base = 0, size = 0;

	if (!machine_range(&bench->machine, node, 0, &base, &size) || size < 8)
		return false;
	base |= bench->realm.shared_bit;
	mmio_write8(base + UART_DATA, 'x');
	mmio_write8(base + UART_SCRATCH, 0xa5);
	return mmio_read8(base + UART_SCRATCH) == 0xa5 &&
	       (mmio_read8(base + UART_LSR) & LSR_SENT) == LSR_SENT;
}

/* What ACPI's tables tell of: the console's port, and these. */
static void check_spare_uarts(struct bench *bench)
{
	const struct fdt *fdt = &bench->machine.fdt;
	const uint32_t console = machine_find(&bench->machine, "ns16550a");
	uint32_t node = fdt_root(fdt);
	unsigned nr = 0, nr_good = 0;
	int depth = 0;

	while ((node = fdt_next(fdt, node, &depth)) != FDT_NONE) {
		if (node == console || !fdt_compatible(fdt, node, "ns16550a"))
			continue;
		nr++;
		nr_good += is_spare(bench, node);
	}
	tap_check(&bench->tap, nr == NR_SPARE_UARTS, "spare uarts: in the device tree");
	tap_check(&bench->tap, nr_good == nr, "spare uarts: have registers, and send");
}

/* Variables of UEFI are kept in memory where there is no flash, which realms cannot have. */
static void check_flash(struct bench *bench)
{
	tap_check(&bench->tap, machine_find(&bench->machine, "cfi-flash") == FDT_NONE,
		  "flash: there is none");
}

static void check_pci(struct bench *bench)
{
	unsigned nr_virtio = 0;
	struct pci pci;

	if (!tap_check(&bench->tap, pci_init(&pci, &bench->machine, bench->realm.shared_bit),
		       "pci: a bus behind an ECAM"))
		return;
	tap_check(&bench->tap, pci_is_there(&pci, 0), "pci: something in slot 0");
	for (unsigned slot = 0; slot < PCI_NR_SLOTS; slot++)
		nr_virtio += pci_is_there(&pci, slot) &&
			     mmio_read16(pci_config(&pci, slot, PCI_VENDOR_ID)) == VENDOR_VIRTIO;
	tap_check(&bench->tap, nr_virtio > 0, "pci: virtio devices");
	tap_note(&bench->tap, "virtio devices %u", nr_virtio);
}

void guest_main(const void *dtb, void *scratch)
{
	struct bench bench;
	uint64_t status;

	memset(&bench, 0, sizeof(bench));
	cpu_init(&bench.cpu);
	if (!machine_init(&bench.machine, dtb))
		cpu_park();
	bench.cpu.machine = &bench.machine;
	status = realm_init(&bench.realm, &bench.cpu, scratch);
	if (status != RSI_SUCCESS)
		realm_bail_out_blind(&bench.cpu, &bench.machine, status);
	if (!bench.machine.uart_base)
		machine_power_off(&bench.machine);
	console_init(&bench.console, bench.machine.uart_kind,
		     bench.machine.uart_base | bench.realm.shared_bit);
	bench.cpu.console = &bench.console;

	tap_begin(&bench.tap, &bench.console);
	tap_check(&bench.tap, bench.machine.uart_kind == CONSOLE_16550, "uart: a 16550");
	check_spare_uarts(&bench);
	check_rtc(&bench);
	check_flash(&bench);
	check_pci(&bench);
	tap_end(&bench.tap);
	tap_note(&bench.tap, "FIRMWARE-GUEST realm=%d passed=%u failed=%u", bench.realm.is_realm,
		 bench.tap.nr_passed, bench.tap.nr_failed);
	machine_power_off(&bench.machine);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare-metal contract guest: drives the machine's virtio devices by the rules, and against one
 * rule at a time, as TAP on the serial port; then power-off. The same image runs in plain VMs and
 * realms, with devices on PCI or on MMIO. It needs a disk that it may overwrite, an rng and a
 * console; what else there is it drives too.
 *
 * A second disk, a second network and a file system are back ends', which may pass over what they
 * cannot use; with ccr.elsewhere=vsock, the vsock is, too.
 *
 * With ccr.only=9p on the command line it drives nothing but a shared directory, with
 * ccr.only=vsock nothing but a vsock; with ccr.only=ranges it discards and zeroes parts of every
 * disk, and nothing else.
 *
 * With ccr.load=SECONDS on the command line it puts the devices and the host's memory accounting
 * under load instead (load.c). With ccr.order=NUMBER it writes that number where nothing is, unless
 * a hook was planted there (tests/hook), and then has every thread of the machine do some work.
 */
#include "lab.h"

/* Return: the number behind @key in the command line, or 0. */
static unsigned number_of(const char *bootargs, const char *key)
{
	unsigned value = 0;

	while (*bootargs && !str_starts(bootargs, key))
		bootargs++;
	if (!*bootargs)
		return 0;
	for (bootargs += strlen(key); *bootargs >= '0' && *bootargs <= '9'; bootargs++)
		value = value * 10 + (unsigned)(*bootargs - '0');
	return value;
}

/* Between the clock and virtio-mmio: no layout has anything there. */
#define HOOK_AT 0x02000000u

/* Return: false if the command line does not narrow it down. */
static bool run_only(struct lab *lab, const char *bootargs)
{
	if (str_contains(bootargs, "ccr.only=9p"))
		check_9p(lab);
	else if (str_contains(bootargs, "ccr.only=vsock"))
		check_vsock(lab);
	else if (str_contains(bootargs, "ccr.only=ranges"))
		check_ranges(lab);
	else
		return false;
	return true;
}

static void give_order(struct lab *lab, unsigned order, const char *bootargs)
{
	const bool taken = cpu_try_write32(lab->cpu, HOOK_AT | lab->realm.shared_bit, order);

	tap_note(&lab->tap, "ORDER %s", taken ? "taken" : "refused");
	tap_check(&lab->tap, rng_works(lab), "the event loop works");
	tap_check(&lab->tap, blk_works(lab), "a disk's thread works");
	run_only(lab, bootargs);
}

static void run_checks(struct lab *lab, const char *bootargs)
{
	if (run_only(lab, bootargs))
		return;
	lab->is_vsock_elsewhere = str_contains(bootargs, "ccr.elsewhere=vsock");
	check_discovery(lab);
	check_chains(lab);
	check_rings(lab);
	check_status(lab);
	check_reset(lab);
	check_others(lab);
	if (lab->has_pci) {
		check_registers(lab);
		check_unaligned(lab);
		check_bars(lab);
	} else {
		check_mmio(lab);
	}
	check_network(lab);
	check_channels(lab);
	check_balloon(lab);
	if (!lab->is_vsock_elsewhere)
		check_vsock(lab);
	check_each(lab);
}

void guest_main(const void *dtb, void *scratch)
{
	struct cpu cpu;
	struct machine machine;
	struct console console;
	struct lab *lab = scratch;
	unsigned seconds, order;
	uint64_t status;

	cpu_init(&cpu);
	if (!machine_init(&machine, dtb))
		cpu_park();
	cpu.machine = &machine;
	memset(lab, 0, sizeof(*lab));
	lab->cpu = &cpu;
	status = realm_init(&lab->realm, &cpu, lab->config);
	if (status != RSI_SUCCESS)
		realm_bail_out_blind(&cpu, &machine, status);
	if (!machine.uart_base)
		machine_power_off(&machine);
	console_init(&console, machine.uart_kind, machine.uart_base | lab->realm.shared_bit);
	cpu.console = &console;

	tap_begin(&lab->tap, &console);
	if (!lab_open(lab, &machine, &console))
		machine_power_off(&machine);
	seconds = number_of(machine.bootargs, "ccr.load=");
	order = number_of(machine.bootargs, "ccr.order=");
	if (order)
		give_order(lab, order, machine.bootargs);
	else if (seconds)
		load_run(lab, seconds);
	else
		run_checks(lab, machine.bootargs);
	tap_end(&lab->tap);
	tap_note(&lab->tap, "CONTRACT-GUEST done passed=%u failed=%u", lab->tap.nr_passed,
		 lab->tap.nr_failed);
	machine_power_off(&machine);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare-metal RSI test guest: every call of the Realm Services Interface and every error that a
 * guest can provoke, as TAP on the serial port, then power-off. It assumes nothing about which RMM
 * answers: where the specification leaves a choice every legal answer passes, and a diagnostic
 * line says which one it was.
 *
 * Order: the device tree first (it has the serial port's address and the PSCI conduit), then
 * RSI_VERSION (is this a realm?) and RSI_REALM_CONFIG (where is the shared half?). Before those two
 * have answered nothing can be printed, since devices are in the shared half.
 */
#include "suite.h"

/* RSI_REALM_CONFIG. Return: X0. */
static uint64_t read_config(struct suite *suite)
{
	uint8_t *config = suite->scratch->config;
	uint64_t status, ipa_bits;

	memset(config, CONFIG_FILL, PAGE_SIZE);
	cache_flush(config, PAGE_SIZE);
	status = call1(suite, NULL, RSI_REALM_CONFIG, ipa_of(config));
	cache_flush(config, PAGE_SIZE);
	if (status != RSI_SUCCESS)
		return status;
	memcpy(&ipa_bits, config, sizeof(ipa_bits));
	if (ipa_bits < 2 || ipa_bits > 63)
		return SMCCC_UNKNOWN;
	suite->ipa_bits = (unsigned)ipa_bits;
	suite->shared_bit = 1ull << (ipa_bits - 1);
	suite->hash_algo = config[8];
	return RSI_SUCCESS;
}

/* The hashes that judge RSI_MEASUREMENT_EXTEND, by FIPS 180-4's own example. */
static void check_self(struct tap *tap)
{
	static const uint8_t abc_256[4] = {0xba, 0x78, 0x16, 0xbf};
	static const uint8_t abc_512[4] = {0xdd, 0xaf, 0x35, 0xa1};
	uint8_t digest[SHA2_MAX_SIZE];
	bool ok;

	sha2(SHA2_256, "abc", 3, digest);
	ok = !memcmp(digest, abc_256, sizeof(abc_256));
	sha2(SHA2_512, "abc", 3, digest);
	tap_check(tap, ok && !memcmp(digest, abc_512, sizeof(abc_512)), "self: SHA-2");
}

static void run_checks(struct suite *suite)
{
	check_self(&suite->tap);
	check_version(suite);
	check_config(suite);
	check_measurements(suite);
	check_ripas(suite);
	check_empty_page(suite);
	check_ripas_range(suite);
	check_host_call(suite);
	check_token(suite);
	check_unknown(suite);
	check_mmio(suite);
	check_psci(suite);
	check_secondary(suite);
	check_psci_cpus(suite);
	check_interrupts(suite);
	check_timers(suite);
	check_together(suite);
	check_registers(suite);
}

static void run_in_realm(struct suite *suite, struct console *console, enum mode mode)
{
	if (mode != MODE_CHECK) {
		suite->tap = (struct tap){.console = console};
		if (mode == MODE_FRAGMENT)
			mode_fragment(suite);
		else if (mode == MODE_FAULT)
			mode_fault(suite);
		else if (mode == MODE_SUSPEND)
			mode_suspend(suite);
		else if (mode == MODE_CPU)
			mode_cpu(suite);
		else
			mode_secondary(suite, mode);
		return;
	}
	tap_begin(&suite->tap, console);
	run_checks(suite);
	tap_end(&suite->tap);
	tap_note(&suite->tap, "RSI-GUEST done passed=%u failed=%u", suite->tap.nr_passed,
		 suite->tap.nr_failed);
}

void guest_main(const void *dtb, void *scratch)
{
	struct cpu cpu;
	struct machine machine;
	struct console console;
	struct suite suite = {.machine = &machine, .cpu = &cpu, .scratch = scratch};
	enum mode mode;
	uint64_t status;
	bool realm;

	cpu_init(&cpu);
	if (!machine_init(&machine, dtb))
		cpu_park();
	cpu.machine = &machine;
	mode = mode_parse(machine.bootargs);
	if (mode == MODE_SILENT)
		cpu_spin();

	realm = realm_detect(&cpu);
	if (realm) {
		status = read_config(&suite);
		if (status != RSI_SUCCESS)
			realm_bail_out_blind(&cpu, &machine, status);
	}
	if (!machine.uart_base)
		machine_power_off(&machine);
	console_init(&console, machine.uart_kind, machine.uart_base | suite.shared_bit);
	cpu.console = &console;
	suite.hole = machine_hole(&machine);

	if (mode == MODE_RESET) {
		console_print(&console, "# asking for a reset\n");
		machine_reset(&machine);
	}
	if (realm)
		run_in_realm(&suite, &console, mode);
	else
		console_print(&console, "TAP version 13\n1..0 # SKIP not a realm\n");
	machine_power_off(&machine);
}

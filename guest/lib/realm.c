/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/realm.h"

bool realm_detect(struct cpu *cpu)
{
	struct regs regs = {.x = {RSI_VERSION, RSI_ABI_1_0}};

	return cpu_try_smc(cpu, &regs) && regs.x[0] <= RSI_ERROR_INPUT;
}

uint64_t realm_init(struct realm *realm, struct cpu *cpu, uint8_t config[PAGE_SIZE])
{
	struct regs regs = {.x = {RSI_REALM_CONFIG, (uint64_t)(uintptr_t)config}};
	uint64_t ipa_bits;

	*realm = (struct realm){.is_realm = realm_detect(cpu)};
	if (!realm->is_realm)
		return RSI_SUCCESS;
	cache_flush(config, PAGE_SIZE);
	raw_smc(&regs);
	cache_flush(config, PAGE_SIZE);
	if (regs.x[0] != RSI_SUCCESS)
		return regs.x[0];
	memcpy(&ipa_bits, config, sizeof(ipa_bits));
	if (ipa_bits < 2 || ipa_bits > 63)
		return SMCCC_UNKNOWN;
	realm->shared_bit = 1ull << (ipa_bits - 1);
	return RSI_SUCCESS;
}

void realm_bail_out_blind(struct cpu *cpu, const struct machine *machine, uint64_t status)
{
	static const char text[] = "\nBail out! RSI_REALM_CONFIG failed, x0=";

	for (unsigned bit = 31; bit < 52; bit++) {
		uint64_t base = machine->uart_base | 1ull << bit;

		for (const char *s = text; *s; s++) {
			if (!cpu_try_write8(cpu, base, (uint8_t)*s))
				break;
		}
		cpu_try_write8(cpu, base, (uint8_t)('0' + (status & 7)));
		cpu_try_write8(cpu, base, '\n');
	}
	machine_power_off(machine);
}

static bool set_ripas(const struct realm *realm, uint64_t base, uint64_t size, uint64_t ripas)
{
	const uint64_t top = base + size;

	if (!realm->is_realm)
		return true;
	while (base < top) {
		struct regs regs = {.x = {RSI_IPA_STATE_SET, base, top, ripas, CHANGE_DESTROYED}};

		raw_smc(&regs);
		/* A success that makes no progress would have us call for ever. */
		if (regs.x[0] != RSI_SUCCESS || regs.x[2] != 0 || regs.x[1] <= base ||
		    regs.x[1] > top)
			return false;
		base = regs.x[1];
	}
	return true;
}

bool realm_share(const struct realm *realm, uint64_t base, uint64_t size)
{
	return set_ripas(realm, base, size, RIPAS_EMPTY);
}

bool realm_unshare(const struct realm *realm, uint64_t base, uint64_t size)
{
	return set_ripas(realm, base, size, RIPAS_RAM);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that are no test of the RMM but a trial of the VMM. */
#include "suite.h"

struct mode_name {
	char name[24];
	enum mode mode;
};

static const struct mode_name mode_names[] = {
	{"ccr.rsi=fragment", MODE_FRAGMENT},
	{"ccr.rsi=silent", MODE_SILENT},
	{"ccr.rsi=reset", MODE_RESET},
	{"ccr.rsi=fault", MODE_FAULT},
	{"ccr.rsi=secondary-off", MODE_SECONDARY_OFF},
	{"ccr.rsi=secondary-reset", MODE_SECONDARY_RESET},
	{"ccr.rsi=suspend", MODE_SUSPEND},
	{"ccr.rsi=cpu", MODE_CPU},
};

enum mode mode_parse(const char *bootargs)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (str_contains(bootargs, mode_names[i].name))
			return mode_names[i].mode;
	}
	return MODE_CHECK;
}

/*
 * Share every second page of the RAM above this program: the most runs, hence memslots or
 * mappings, that a guest can ask for. Ends with the RAM, a refusal, or us.
 */
void mode_fragment(struct suite *suite)
{
	const struct machine *machine = suite->machine;
	struct tap *tap = &suite->tap;
	uint64_t base = (image_end() + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	unsigned long nr = 0;

	tap_note(tap, "sharing every second page of %lx to %lx", base, machine->ram_top);
	for (; base + PAGE_SIZE <= machine->ram_top; base += 2 * PAGE_SIZE) {
		struct regs regs;
		uint64_t status = call4(suite, &regs, RSI_IPA_STATE_SET, base, base + PAGE_SIZE,
					RIPAS_EMPTY, CHANGE_DESTROYED);

		if (status != RSI_SUCCESS || regs.x[1] != base + PAGE_SIZE || regs.x[2] != 0) {
			tap_note(tap, "refused after %lu pages: x0=%lx x1=%lx x2=%lx", nr, status,
				 regs.x[1], regs.x[2]);
			return;
		}
		if (++nr % 1024 == 0)
			tap_note(tap, "%lu pages shared", nr);
	}
	tap_note(tap, "all done, %lu pages shared", nr);
}

/*
 * An abort whose vector aborts, and so on: the vCPU never runs another instruction and never
 * leaves by itself.
 */
void mode_fault(struct suite *suite)
{
	uint64_t page = ipa_of(suite->scratch->page), spare = ipa_of(suite->scratch->spare);

	ripas_set(suite, page, page + PAGE_SIZE, RIPAS_EMPTY, CHANGE_DESTROYED, NULL);
	ripas_set(suite, spare, spare + PAGE_SIZE, RIPAS_EMPTY, CHANGE_DESTROYED, NULL);
	tap_note(&suite->tap, "vectors in an EMPTY page at %lx, jumping to one at %lx", spare,
		 page);
	cpu_jump_to_fault(spare, page);
}

static void end_off(struct cpu *cpu)
{
	machine_power_off(cpu->machine);
}

static void end_reset(struct cpu *cpu)
{
	machine_reset(cpu->machine);
}

/* Not the boot vCPU, which waits meanwhile, ends the machine. */
void mode_secondary(struct suite *suite, enum mode mode)
{
	struct scratch *scratch = suite->scratch;
	struct cpu *cpu = &scratch->secondary;

	memset(cpu, 0, sizeof(*cpu));
	cpu->stack_top = ipa_of(scratch->secondary_stack) + sizeof(scratch->secondary_stack);
	cpu->entry = mode == MODE_SECONDARY_OFF ? end_off : end_reset;
	tap_note(&suite->tap, "the second vCPU ends the machine");
	if (!machine_start_cpu(suite->machine, 1, cpu))
		tap_note(&suite->tap, "there is none");
	cpu_park();
}

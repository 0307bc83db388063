/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/machine.h"
#include "lib/arch.h"

struct cells {
	unsigned addr, size;
};

static unsigned cell_count(const struct fdt *fdt, uint32_t node, const char *name,
			   unsigned fallback)
{
	uint32_t size;
	const uint8_t *value = fdt_prop(fdt, node, name, &size);
	uint64_t nr = value && size == 4 ? fdt_number(value, 1) : fallback;

	return nr == 1 || nr == 2 ? (unsigned)nr : fallback;
}

static struct cells root_cells(const struct fdt *fdt)
{
	uint32_t root = fdt_root(fdt);

	return (struct cells){cell_count(fdt, root, "#address-cells", 2),
			      cell_count(fdt, root, "#size-cells", 1)};
}

/* Range @index of the node's reg, in the root's cells: good for every device directly below it. */
static bool node_range(const struct fdt *fdt, uint32_t node, unsigned index, uint64_t *ret_base,
		       uint64_t *ret_size)
{
	struct cells cells = root_cells(fdt);
	uint32_t size, stride = (cells.addr + cells.size) * 4;
	const uint8_t *reg = fdt_prop(fdt, node, "reg", &size);

	if (!reg || index >= size / stride)
		return false;
	reg += index * stride;
	*ret_base = fdt_number(reg, cells.addr);
	*ret_size = fdt_number(reg + cells.addr * 4, cells.size);
	return true;
}

static uint32_t stdout_node(const struct fdt *fdt, uint32_t chosen)
{
	const char *path = fdt_string(fdt, chosen, "stdout-path");
	uint32_t size = 0;

	if (!path)
		return FDT_NONE;
	while (path[size] && path[size] != ':')
		size++;
	if (path[0] != '/') {
		char alias[32];

		if (size >= sizeof(alias))
			return FDT_NONE;
		memcpy(alias, path, size);
		alias[size] = 0;
		path = fdt_string(fdt, fdt_find(fdt, "/aliases", 8), alias);
		if (!path)
			return FDT_NONE;
		size = (uint32_t)strlen(path);
	}
	return fdt_find(fdt, path, size);
}

static void find_uart(struct machine *machine, uint32_t chosen)
{
	const struct fdt *fdt = &machine->fdt;
	uint32_t node = stdout_node(fdt, chosen);
	uint64_t base, size;

	if (node == FDT_NONE || !node_range(fdt, node, 0, &base, &size))
		return;
	if (fdt_compatible(fdt, node, "arm,pl011"))
		machine->uart_kind = CONSOLE_PL011;
	else if (fdt_compatible(fdt, node, "ns16550a") || fdt_compatible(fdt, node, "ns16550"))
		machine->uart_kind = CONSOLE_16550;
	else
		return;
	machine->uart_base = base;
}

static void add_cpu(struct machine *machine, uint32_t node)
{
	uint32_t size;
	const uint8_t *reg = fdt_prop(&machine->fdt, node, "reg", &size);

	if (!reg || (size != 4 && size != 8) || machine->nr_cpus == MACHINE_MAX_CPUS)
		return;
	machine->mpidr[machine->nr_cpus++] = fdt_number(reg, size / 4);
}

static uint64_t initrd_base(const struct fdt *fdt, uint32_t chosen)
{
	uint32_t size;
	const uint8_t *value = fdt_prop(fdt, chosen, "linux,initrd-start", &size);

	return value && (size == 4 || size == 8) ? fdt_number(value, size / 4) : 0;
}

static void lower_to(uint64_t *top, uint64_t base, uint64_t limit)
{
	if (limit >= base && limit < *top)
		*top = limit & ~(PAGE_SIZE - 1);
}

static void find_free(struct machine *machine, uint32_t chosen)
{
	uint64_t end = image_end();
	uint64_t base = (end + SZ_2M - 1) & ~(SZ_2M - 1), top = machine->ram_top;

	lower_to(&top, end, (uint64_t)(uintptr_t)machine->fdt.base);
	lower_to(&top, end, initrd_base(&machine->fdt, chosen));
	machine->free_base = base;
	machine->free_top = top > base ? top : base;
}

bool machine_init(struct machine *machine, const void *dtb)
{
	struct fdt *fdt = &machine->fdt;
	uint32_t node, chosen;
	uint64_t base, size;
	const char *text;
	int depth = 0;

	memset(machine, 0, sizeof(*machine));
	machine->bootargs = "";
	if (!fdt_init(fdt, dtb))
		return false;
	for (node = fdt_root(fdt); node != FDT_NONE; node = fdt_next(fdt, node, &depth)) {
		const char *name = fdt_name(fdt, node);

		if (depth == 1 && str_starts(name, "memory") && !machine->ram_top &&
		    node_range(fdt, node, 0, &base, &size)) {
			machine->ram_base = base;
			machine->ram_top = base + size;
		} else if (depth == 2 && str_starts(name, "cpu@")) {
			add_cpu(machine, node);
		} else if (fdt_compatible(fdt, node, "arm,gic-v3-its")) {
			machine->has_its = true;
		}
	}
	text = fdt_string(fdt, fdt_find(fdt, "/psci", 5), "method");
	machine->psci_smc = text && str_starts(text, "smc");
	chosen = fdt_find(fdt, "/chosen", 7);
	text = fdt_string(fdt, chosen, "bootargs");
	if (text)
		machine->bootargs = text;
	find_uart(machine, chosen);
	find_free(machine, chosen);
	return machine->ram_top > machine->ram_base;
}

bool machine_claims(const struct machine *machine, uint64_t addr)
{
	const struct fdt *fdt = &machine->fdt;
	uint64_t base, size;
	int depth = 0;

	if (addr + PAGE_SIZE > machine->ram_base && addr < machine->ram_top)
		return true;
	for (uint32_t node = fdt_root(fdt); node != FDT_NONE; node = fdt_next(fdt, node, &depth)) {
		for (unsigned i = 0; node_range(fdt, node, i, &base, &size); i++) {
			if (addr + PAGE_SIZE > base && (addr < base || addr - base < size))
				return true;
		}
	}
	return false;
}

uint64_t machine_hole(const struct machine *machine)
{
	static const uint64_t candidates[] = {0x02000000, 0x00f00000, 0x0f000000, 0x38000000};

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (!machine_claims(machine, candidates[i]))
			return candidates[i];
	}
	return machine->ram_base - PAGE_SIZE;
}

uint32_t machine_find(const struct machine *machine, const char *compatible)
{
	const struct fdt *fdt = &machine->fdt;
	uint32_t node = fdt_root(fdt);
	int depth = 0;

	while (node != FDT_NONE && !fdt_compatible(fdt, node, compatible))
		node = fdt_next(fdt, node, &depth);
	return node;
}

bool machine_range(const struct machine *machine, uint32_t node, unsigned index, uint64_t *ret_base,
		   uint64_t *ret_size)
{
	return node_range(&machine->fdt, node, index, ret_base, ret_size);
}

bool machine_start_cpu(const struct machine *machine, unsigned index, struct cpu *cpu)
{
	const uint64_t entry = (uint64_t)(uintptr_t)secondary_entry;

	cpu->machine = machine;
	barrier_full();
	return psci_call(machine, PSCI_CPU_ON, machine->mpidr[index], entry,
			 (uint64_t)(uintptr_t)cpu) == PSCI_SUCCESS;
}

int64_t psci_call(const struct machine *machine, uint32_t function, uint64_t x1, uint64_t x2,
		  uint64_t x3)
{
	struct regs regs = {.x = {function, x1, x2, x3}};

	if (machine->psci_smc)
		raw_smc(&regs);
	else
		raw_hvc(&regs);
	return (int32_t)regs.x[0];
}

void machine_power_off(const struct machine *machine)
{
	psci_call(machine, PSCI_SYSTEM_OFF, 0, 0, 0);
	cpu_park();
}

void machine_reset(const struct machine *machine)
{
	psci_call(machine, PSCI_SYSTEM_RESET, 0, 0, 0);
	cpu_park();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "ccr/dtree.h"

#define PHANDLE_GIC   1
#define PHANDLE_CLOCK 2
#define PHANDLE_ITS   3

/* First cell and third cell of an interrupt specifier (binding arm,gic-v3). */
#define GIC_SPI        0
#define GIC_PPI        1
#define IRQ_LEVEL_HIGH 4
#define IRQ_LEVEL_LOW  8

#define PCI_SPACE_MEM32   0x02000000 /* phys.hi: 32-bit memory space, not prefetchable */
#define PCI_SLOT_SHIFT    11         /* phys.hi of a function's configuration space */
#define PCI_SLOT_MASK     0xf800
#define PCI_PIN_INTA      1
#define PCI_PIN_MASK      7
#define PCI_NR_REQUESTERS 0x100 /* one bus */

#define UART_CLOCK_HZ 1843200 /* what makes divisor 1 mean 115200 baud */
#define APB_CLOCK_HZ  24000000

/*
 * struct writer - a tree being written
 * @rc: the first libfdt error; once it is set, the functions below do nothing
 *
 * libfdt's sequential writer appends in call order, so the order of the calls in this file is the
 * order of the bytes. It is part of the layout version.
 */
struct writer {
	void *fdt;
	int rc;
};

static void begin_node(struct writer *w, const char *name)
{
	if (!w->rc)
		w->rc = fdt_begin_node(w->fdt, name);
}

static void end_node(struct writer *w)
{
	if (!w->rc)
		w->rc = fdt_end_node(w->fdt);
}

/* A node with its unit address; the base must be the first cell pair of its reg. */
static void begin_node_at(struct writer *w, const char *name, uint64_t base)
{
	char full_name[48];

	(void)snprintf(full_name, sizeof(full_name), "%s@%" PRIx64, name, base);
	begin_node(w, full_name);
}

static void prop_bytes(struct writer *w, const char *name, const void *value, int size)
{
	if (!w->rc)
		w->rc = fdt_property(w->fdt, name, value, size);
}

static void prop_empty(struct writer *w, const char *name)
{
	prop_bytes(w, name, NULL, 0);
}

static void prop_u32(struct writer *w, const char *name, uint32_t value)
{
	uint32_t cell = htobe32(value);

	prop_bytes(w, name, &cell, sizeof(cell));
}

static void prop_u64(struct writer *w, const char *name, uint64_t value)
{
	uint64_t cells = htobe64(value);

	prop_bytes(w, name, &cells, sizeof(cells));
}

static void prop_string(struct writer *w, const char *name, const char *value)
{
	size_t size = strlen(value) + 1;

	/* libfdt counts in int; what is larger than the tree fails here as it would there. */
	if (!w->rc && size > MEMMAP_DTB_SIZE)
		w->rc = -FDT_ERR_NOSPACE;
	prop_bytes(w, name, value, (int)size);
}

/* @nr pairs of base and size */
static void prop_reg(struct writer *w, const uint64_t *pairs, unsigned nr)
{
	uint64_t cells[4];

	for (unsigned i = 0; i < 2 * nr; i++)
		cells[i] = htobe64(pairs[i]);
	prop_bytes(w, "reg", cells, (int)(nr * 2 * sizeof(*cells)));
}

static void prop_reg_one(struct writer *w, uint64_t base, uint64_t size)
{
	const uint64_t pair[] = {base, size};

	prop_reg(w, pair, 1);
}

static void prop_cells_2_2(struct writer *w)
{
	prop_u32(w, "#address-cells", 2);
	prop_u32(w, "#size-cells", 2);
}

static void write_chosen(struct writer *w, const struct dtree_config *config)
{
	const struct layout *layout = config->layout;
	char stdout_path[32];

	(void)snprintf(stdout_path, sizeof(stdout_path), "/uart@%llx", MEMMAP_UART_BASE);
	begin_node(w, "chosen");
	if (config->cmdline && *config->cmdline)
		prop_string(w, "bootargs", config->cmdline);
	prop_string(w, "stdout-path", stdout_path);
	if (layout->initrd_size) {
		prop_u64(w, "linux,initrd-start", layout->initrd_base.v);
		prop_u64(w, "linux,initrd-end", layout->initrd_base.v + layout->initrd_size);
	}
	if (config->kaslr_seed)
		prop_u64(w, "kaslr-seed", config->kaslr_seed);
	end_node(w);
}

static void write_memory(struct writer *w, const struct memmap *map)
{
	begin_node_at(w, "memory", MEMMAP_RAM_BASE);
	prop_string(w, "device_type", "memory");
	prop_reg_one(w, MEMMAP_RAM_BASE, map->ram_size);
	end_node(w);
}

/*
 * Realms' tools look for these names. no-map: the kernel leaves the region alone and lets userspace
 * map it through /dev/mem, which it does not with memory of its own.
 */
static void write_log(struct writer *w, const struct memmap *map)
{
	begin_node(w, "reserved-memory");
	prop_cells_2_2(w);
	prop_empty(w, "ranges");
	begin_node_at(w, "event-log", map->log_base.v);
	prop_string(w, "compatible", "confidential-computing-event-log");
	prop_reg_one(w, map->log_base.v, MEMMAP_LOG_SIZE);
	prop_empty(w, "no-map");
	prop_u64(w, "log-base", map->log_base.v);
	prop_u64(w, "log-size", MEMMAP_LOG_SIZE);
	end_node(w);
	end_node(w);
}

static void write_cpus(struct writer *w, const struct memmap *map)
{
	begin_node(w, "cpus");
	/* One cell: MPIDR bits 32 and up (Aff3) are zero for every vCPU KVM makes. */
	prop_u32(w, "#address-cells", 1);
	prop_u32(w, "#size-cells", 0);
	for (unsigned i = 0; i < map->nr_vcpus; i++) {
		uint64_t mpidr = memmap_mpidr(i);

		begin_node_at(w, "cpu", mpidr);
		prop_string(w, "device_type", "cpu");
		prop_string(w, "compatible", "arm,armv8");
		prop_string(w, "enable-method", "psci");
		prop_u32(w, "reg", (uint32_t)mpidr);
		end_node(w);
	}
	end_node(w);
}

static void write_psci(struct writer *w, bool smc)
{
	/* Not "arm,psci": that is PSCI 0.1, whose function numbers would have to be listed. */
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	begin_node(w, "psci");
	prop_bytes(w, "compatible", compatible, sizeof(compatible));
	prop_string(w, "method", smc ? "smc" : "hvc");
	end_node(w);
}

static void write_timer(struct writer *w)
{
	/* Secure, non-secure, virtual and hypervisor timer, in the binding's order. */
	static const uint32_t ppis[] = {13, 14, 11, 10};
	uint32_t cells[3 * 4];

	for (unsigned i = 0; i < 4; i++) {
		cells[3 * i] = htobe32(GIC_PPI);
		cells[3 * i + 1] = htobe32(ppis[i]);
		cells[3 * i + 2] = htobe32(IRQ_LEVEL_LOW);
	}
	begin_node(w, "timer");
	prop_string(w, "compatible", "arm,armv8-timer");
	prop_bytes(w, "interrupts", cells, sizeof(cells));
	prop_empty(w, "always-on");
	end_node(w);
}

/* Binding arm,pmu. */
static void write_pmu(struct writer *w)
{
	const uint32_t interrupt[] = {htobe32(GIC_PPI), htobe32(MEMMAP_PPI_PMU),
				      htobe32(IRQ_LEVEL_HIGH)};

	begin_node(w, "pmu");
	prop_string(w, "compatible", "arm,armv8-pmuv3");
	prop_bytes(w, "interrupts", interrupt, sizeof(interrupt));
	end_node(w);
}

static void write_its(struct writer *w, const struct memmap *map)
{
	begin_node_at(w, "msi-controller", map->its_base.v);
	prop_string(w, "compatible", "arm,gic-v3-its");
	prop_empty(w, "msi-controller");
	prop_u32(w, "#msi-cells", 1);
	prop_reg_one(w, map->its_base.v, MEMMAP_ITS_SIZE);
	prop_u32(w, "phandle", PHANDLE_ITS);
	end_node(w);
}

static void write_gic(struct writer *w, const struct memmap *map, bool has_its)
{
	const uint64_t reg[] = {map->gicd_base.v, MEMMAP_GICD_SIZE, map->gicr_base.v,
				map->nr_vcpus * MEMMAP_GICR_SIZE};

	begin_node_at(w, "interrupt-controller", map->gicd_base.v);
	prop_string(w, "compatible", "arm,gic-v3");
	prop_u32(w, "#interrupt-cells", 3);
	prop_empty(w, "interrupt-controller");
	prop_reg(w, reg, 2);
	prop_cells_2_2(w);
	prop_empty(w, "ranges");
	prop_u32(w, "phandle", PHANDLE_GIC);
	if (has_its)
		write_its(w, map);
	end_node(w);
}

static void write_clock(struct writer *w)
{
	begin_node(w, "apb-pclk");
	prop_string(w, "compatible", "fixed-clock");
	prop_u32(w, "#clock-cells", 0);
	prop_u32(w, "clock-frequency", APB_CLOCK_HZ);
	prop_u32(w, "phandle", PHANDLE_CLOCK);
	end_node(w);
}

static void write_uart(struct writer *w, uint64_t base, uint32_t spi)
{
	const uint32_t interrupt[] = {htobe32(GIC_SPI), htobe32(spi), htobe32(IRQ_LEVEL_HIGH)};

	begin_node_at(w, "uart", base);
	prop_string(w, "compatible", "ns16550a");
	prop_reg_one(w, base, MEMMAP_UART_SIZE);
	prop_u32(w, "clock-frequency", UART_CLOCK_HZ);
	prop_bytes(w, "interrupts", interrupt, sizeof(interrupt));
	end_node(w);
}

static void write_rtc(struct writer *w)
{
	static const char compatible[] = "arm,pl031\0arm,primecell";

	begin_node_at(w, "rtc", MEMMAP_RTC_BASE);
	prop_bytes(w, "compatible", compatible, sizeof(compatible));
	prop_reg_one(w, MEMMAP_RTC_BASE, MEMMAP_RTC_SIZE);
	prop_u32(w, "clocks", PHANDLE_CLOCK);
	prop_string(w, "clock-names", "apb_pclk");
	end_node(w);
}

/* As kvmtool has it: no binding of Linux says where the two registers are. */
static void write_mc146818(struct writer *w)
{
	begin_node_at(w, "rtc", MEMMAP_RTC_BASE);
	prop_string(w, "compatible", "motorola,mc146818");
	prop_reg_one(w, MEMMAP_RTC_BASE, MEMMAP_MC146818_SIZE);
	end_node(w);
}

/*
 * kvmtool's machines have four ports, and EDK2's ACPI tables name all: the console's, a debugger's,
 * and others. Without one of each kind they end before the PCI bus.
 */
static void write_for_firmware(struct writer *w)
{
	for (uint32_t n = 0; n < MEMMAP_SPARE_UARTS; n++)
		write_uart(w, MEMMAP_SPARE_UART(n), MEMMAP_SPI_SPARE + n);
	write_mc146818(w);
}

/* EDK2 makes no ACPI table of a bus with all 32 slots. */
#define FIRMWARE_PCI_SLOTS (MEMMAP_NR_PCI_SLOTS - 1)

/* INTA of each slot has a line of its own; other pins do not exist. */
static void prop_interrupt_map(struct writer *w, unsigned nr_slots)
{
	static const uint32_t mask[] = {PCI_SLOT_MASK, 0, 0, PCI_PIN_MASK};
	uint32_t cells[MEMMAP_NR_PCI_SLOTS * 10], *at = cells;
	uint32_t mask_cells[4];

	for (unsigned slot = 0; slot < nr_slots; slot++) {
		const uint32_t entry[] = {slot << PCI_SLOT_SHIFT,
					  0,
					  0,
					  PCI_PIN_INTA,
					  PHANDLE_GIC,
					  0,
					  0,
					  GIC_SPI,
					  MEMMAP_SPI_PCI + slot,
					  IRQ_LEVEL_HIGH};

		for (unsigned i = 0; i < 10; i++)
			*at++ = htobe32(entry[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		mask_cells[i] = htobe32(mask[i]);
	prop_bytes(w, "interrupt-map-mask", mask_cells, sizeof(mask_cells));
	prop_bytes(w, "interrupt-map", cells, (int)(nr_slots * 10 * sizeof(cells[0])));
}

/* PCI Bus Binding to Open Firmware, and the kernel's host-generic-pci binding. */
static void write_pci(struct writer *w, unsigned nr_slots)
{
	static const uint32_t bus_range[] = {0, 0};
	const uint32_t ranges[] = {
		htobe32(PCI_SPACE_MEM32),     0, htobe32(MEMMAP_PCI_MEM_BASE), 0,
		htobe32(MEMMAP_PCI_MEM_BASE), 0, htobe32(MEMMAP_PCI_MEM_SIZE),
	};
	const uint32_t msi_map[] = {0, htobe32(PHANDLE_ITS), 0, htobe32(PCI_NR_REQUESTERS)};

	begin_node_at(w, "pci", MEMMAP_PCI_CFG_BASE);
	prop_string(w, "device_type", "pci");
	prop_string(w, "compatible", "pci-host-ecam-generic");
	prop_u32(w, "#address-cells", 3);
	prop_u32(w, "#size-cells", 2);
	prop_u32(w, "#interrupt-cells", 1);
	prop_bytes(w, "bus-range", bus_range, sizeof(bus_range));
	prop_reg_one(w, MEMMAP_PCI_CFG_BASE, MEMMAP_PCI_CFG_SIZE);
	prop_bytes(w, "ranges", ranges, sizeof(ranges));
	prop_bytes(w, "msi-map", msi_map, sizeof(msi_map));
	prop_interrupt_map(w, nr_slots);
	prop_empty(w, "dma-coherent");
	end_node(w);
}

/*
 * Every place has a node, whether there is a device in it or not: what a machine has does not show
 * in the tree. Binding virtio/mmio.
 */
static void write_virtio(struct writer *w)
{
	for (unsigned i = 0; i < MEMMAP_NR_VIRTIO; i++) {
		const uint64_t base = MEMMAP_VIRTIO_BASE + i * MEMMAP_VIRTIO_STRIDE;
		const uint32_t interrupt[] = {htobe32(GIC_SPI), htobe32(MEMMAP_SPI_VIRTIO + i),
					      htobe32(IRQ_LEVEL_HIGH)};

		begin_node_at(w, "virtio", base);
		prop_string(w, "compatible", "virtio,mmio");
		prop_reg_one(w, base, MEMMAP_VIRTIO_STRIDE);
		prop_bytes(w, "interrupts", interrupt, sizeof(interrupt));
		prop_empty(w, "dma-coherent");
		end_node(w);
	}
}

static void write_root(struct writer *w, const struct dtree_config *config)
{
	begin_node(w, "");
	prop_string(w, "compatible", "linux,dummy-virt");
	prop_cells_2_2(w);
	prop_u32(w, "interrupt-parent", PHANDLE_GIC);
	write_chosen(w, config);
	write_memory(w, config->map);
	if (config->has_log)
		write_log(w, config->map);
	write_cpus(w, config->map);
	write_psci(w, config->psci_smc);
	write_timer(w);
	if (config->has_pmu)
		write_pmu(w);
	write_gic(w, config->map, config->has_pci);
	write_clock(w);
	write_uart(w, MEMMAP_UART_BASE, MEMMAP_SPI_UART);
	if (config->has_firmware)
		write_for_firmware(w);
	else
		write_rtc(w);
	if (config->has_pci)
		write_pci(w, config->has_firmware ? FIRMWARE_PCI_SLOTS : MEMMAP_NR_PCI_SLOTS);
	if (config->has_virtio_mmio)
		write_virtio(w);
	end_node(w);
}

int dtree_write(const struct dtree_config *config, uint8_t dtb[MEMMAP_DTB_SIZE],
		struct ccr_err *err)
{
	struct writer w = {.fdt = dtb};

	w.rc = fdt_create(dtb, MEMMAP_DTB_SIZE);
	if (!w.rc)
		w.rc = fdt_finish_reservemap(dtb);
	write_root(&w, config);
	if (!w.rc)
		w.rc = fdt_finish(dtb);
	if (w.rc == -FDT_ERR_NOSPACE)
		return err_set(err, -ENOSPC,
			       "the device tree has no room for a command line of %zu "
			       "bytes beside %u vCPUs (64 KiB in all); shorten --params",
			       config->cmdline ? strlen(config->cmdline) : 0,
			       config->map->nr_vcpus);
	if (w.rc)
		return err_set(err, -EINVAL, "cannot write the device tree: %s",
			       fdt_strerror(w.rc));
	/* The writer keeps names at the buffer's end until it moves them; clear what is left. */
	memset(dtb + fdt_totalsize(dtb), 0, MEMMAP_DTB_SIZE - fdt_totalsize(dtb));
	return 0;
}

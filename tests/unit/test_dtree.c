/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c arch/arm64/memmap.c arch/arm64/layout.c arch/arm64/dtree.c */
/*
 * golden/NAME.dts is what `dtc -I dtb -O dts` (1.6) prints for the tree, so that a reader can see
 * what guests get; the digest beside each name pins the bytes, padding included. Both hold the
 * promise of layout version 1: they may not change, only get company from a new version.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <libfdt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/dtree.h"

#define MIB (1ull << 20)

struct machine {
	const char *name;   /* of the golden file */
	const char *sha256; /* of all 64 KiB */
	uint64_t ram_size;
	unsigned nr_vcpus;
	uint64_t initrd_size;
	const char *cmdline;
	bool psci_smc;
	bool has_pci;
	bool has_virtio_mmio;
	bool has_log;
	bool has_pmu;
	bool has_firmware;
	uint64_t kaslr_seed;
};

static const struct machine machines[] = {
	{
		.name = "plain-1cpu",
		.sha256 = "fddd200ffdfb6d146499b4222341737116d7b7be87011a527442421827d117fb",
		.ram_size = 128 * MIB,
		.nr_vcpus = 1,
	},
	{
		.name = "plain-4cpu-initrd",
		.sha256 = "bec33f8736a8672c02fa6f574b523bb5af17c4106d752df671d428592a6dc7ce",
		.ram_size = 512 * MIB,
		.nr_vcpus = 4,
		.initrd_size = 5000001,
		.cmdline = "console=ttyS0 quiet",
	},
	{
		.name = "realm-1cpu-initrd-seed",
		.sha256 = "00256892951a65d3067cf094ea92d7469b8208b06ae32e0afecd760a4d4079e6",
		.ram_size = 512 * MIB,
		.nr_vcpus = 1,
		.initrd_size = 1048576,
		.cmdline = "console=ttyS0",
		.psci_smc = true,
		.kaslr_seed = 0x0123456789abcdef,
	},
	{
		.name = "realm-4cpu",
		.sha256 = "aedc955ddf051b4a28917af6951baca9aabd53fa0a82b38afb6aebb66dd40e1a",
		.ram_size = 8192 * MIB,
		.nr_vcpus = 4,
		.psci_smc = true,
	},
	{
		.name = "realm-2cpu-pci",
		.sha256 = "a8f7f516d9d13ce60ffd301d20d63fe3fa6a285fe87103cc5e7f3c6f75c9323f",
		.ram_size = 512 * MIB,
		.nr_vcpus = 2,
		.cmdline = "console=hvc0",
		.psci_smc = true,
		.has_pci = true,
	},
	{
		.name = "realm-1cpu-log",
		.sha256 = "e0188362cbdc60343bd17e158375ae1dad63eea390a9bd514a0730ef55858771",
		.ram_size = 128 * MIB,
		.nr_vcpus = 1,
		.psci_smc = true,
		.has_log = true,
	},
	{
		.name = "realm-1cpu-virtio-mmio",
		.sha256 = "0863ce1f91d323d82ebb8f0ef6c03b3535266604e5a60e0d757e789930e828c1",
		.ram_size = 128 * MIB,
		.nr_vcpus = 1,
		.psci_smc = true,
		.has_virtio_mmio = true,
	},
	{
		.name = "realm-2cpu-pmu",
		.sha256 = "cd04bfe02db228c7f0b2162512f797463d11b5eb4ec597a0faf37d1b7fe9f269",
		.ram_size = 128 * MIB,
		.nr_vcpus = 2,
		.psci_smc = true,
		.has_pmu = true,
	},
	{
		.name = "realm-1cpu-firmware",
		.sha256 = "36105f043f7e7dd17f9bcadad4cd9d5e7baaccf38bf94e2ac009811d7eb276f1",
		.ram_size = 128 * MIB,
		.nr_vcpus = 1,
		.psci_smc = true,
		.has_pci = true,
		.has_firmware = true,
	},
};

static int write_tree(const struct machine *machine, uint8_t *dtb, struct ccr_err *err)
{
	const struct image_info image = {.image_size = 40 * MIB};
	struct dtree_config config = {
		.cmdline = machine->cmdline,
		.psci_smc = machine->psci_smc,
		.has_pci = machine->has_pci,
		.has_virtio_mmio = machine->has_virtio_mmio,
		.has_log = machine->has_log,
		.has_pmu = machine->has_pmu,
		.has_firmware = machine->has_firmware,
		.kaslr_seed = machine->kaslr_seed,
	};
	struct layout layout;
	struct memmap map;

	assert_int_equal(memmap_init(&map, machine->ram_size, machine->nr_vcpus, NULL), 0);
	assert_int_equal(layout_place(&map, &image, machine->initrd_size, &layout, NULL), 0);
	config.map = &map;
	config.layout = &layout;
	return dtree_write(&config, dtb, err);
}

static int dtb_begin(void **state)
{
	*state = malloc(MEMMAP_DTB_SIZE);
	assert_non_null(*state);
	/* So that a byte that was not written is seen. */
	memset(*state, 0xa5, MEMMAP_DTB_SIZE);
	return 0;
}

static int dtb_end(void **state)
{
	free(*state);
	return 0;
}

/* dtc's guess whether a property is a list of strings. */
static bool is_text(const char *value, int size)
{
	int nr_nuls = 0;

	for (int i = 0; i < size; i++) {
		if (value[i] && !isprint((unsigned char)value[i]))
			return false;
		if (!value[i])
			nr_nuls++;
	}
	return size && !value[size - 1] && nr_nuls <= size - nr_nuls;
}

static void print_property(FILE *out, const char *name, const void *value, int size)
{
	const char *text = value;
	const fdt32_t *cells = value;

	(void)fputs(name, out);
	if (is_text(text, size)) {
		(void)fputs(" = \"", out);
		for (int i = 0; i < size - 1; i++)
			(void)(text[i] ? fputc(text[i], out) : fputs("\\0", out));
		(void)fputc('"', out);
	} else if (size) {
		assert_int_equal(size % 4, 0);
		(void)fputs(" = <", out);
		for (int i = 0; i < size / 4; i++)
			(void)fprintf(out, "%s0x%02x", i ? " " : "", fdt32_to_cpu(cells[i]));
		(void)fputc('>', out);
	}
	(void)fputs(";\n", out);
}

static void indent(FILE *out, int depth)
{
	while (depth-- > 0)
		(void)fputc('\t', out);
}

static void print_node(FILE *out, const void *dtb, int node, int depth)
{
	const char *name = fdt_get_name(dtb, node, NULL);
	int at;

	indent(out, depth);
	(void)fprintf(out, "%s {\n", *name ? name : "/");
	fdt_for_each_property_offset(at, dtb, node)
	{
		const char *property;
		int size;
		const void *value = fdt_getprop_by_offset(dtb, at, &property, &size);

		indent(out, depth + 1);
		print_property(out, property, value, size);
	}
	fdt_for_each_subnode(at, dtb, node)
	{
		(void)fputc('\n', out);
		print_node(out, dtb, at, depth + 1);
	}
	indent(out, depth);
	(void)fputs("};\n", out);
}

static char *to_text(const void *dtb)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fputs("/dts-v1/;\n\n", out);
	print_node(out, dtb, 0, 0);
	(void)fclose(out);
	return text;
}

static char *load_golden(const char *name)
{
	char *text = calloc(1, MEMMAP_DTB_SIZE);
	char path[128];
	FILE *file;

	assert_non_null(text);
	(void)snprintf(path, sizeof(path), "tests/unit/golden/%s.dts", name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("cannot open %s: run the test from the top of the source tree", path);
	assert_true(fread(text, 1, MEMMAP_DTB_SIZE - 1, file) > 0);
	(void)fclose(file);
	return text;
}

static void digest(const uint8_t *dtb, char text[65])
{
	uint8_t bytes[32];

	assert_int_equal(EVP_Digest(dtb, MEMMAP_DTB_SIZE, bytes, NULL, EVP_sha256(), NULL), 1);
	for (int i = 0; i < 32; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void trees_are_the_golden_ones(void **state)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++) {
		struct ccr_err err = {0};
		char *text, *golden;
		char sha256[65];

		assert_int_equal(write_tree(&machines[i], *state, &err), 0);
		assert_int_equal(err.code, 0);
		text = to_text(*state);
		golden = load_golden(machines[i].name);
		assert_string_equal(text, golden);
		digest(*state, sha256);
		assert_string_equal(sha256, machines[i].sha256);
		free(text);
		free(golden);
	}
}

static void header_is_complete_and_the_rest_is_zero(void **state)
{
	const uint8_t *dtb = *state;

	assert_int_equal(write_tree(&machines[1], *state, NULL), 0);
	assert_int_equal(fdt_check_header(dtb), 0);
	assert_int_equal(fdt_version(dtb), 17);
	assert_int_equal(fdt_last_comp_version(dtb), 16);
	assert_int_equal(fdt_boot_cpuid_phys(dtb), 0);
	assert_int_equal(fdt_num_mem_rsv(dtb), 0);
	assert_in_range(fdt_totalsize(dtb), 1000, 4000);
	for (size_t i = fdt_totalsize(dtb); i < MEMMAP_DTB_SIZE; i++)
		assert_int_equal(dtb[i], 0);
}

static uint32_t cell(const void *dtb, int node, const char *name, int index)
{
	const fdt32_t *cells;
	int size;

	cells = fdt_getprop(dtb, node, name, &size);
	assert_non_null(cells);
	assert_true(size >= (index + 1) * 4);
	return fdt32_to_cpu(cells[index]);
}

static void largest_machine_fits(void **state)
{
	static const struct machine machine = {.ram_size = 512 * MIB, .nr_vcpus = 512};
	const void *dtb = *state;
	int nr = 0;
	int cpus, cpu, gic;

	assert_int_equal(write_tree(&machine, *state, NULL), 0);
	cpus = fdt_path_offset(dtb, "/cpus");
	fdt_for_each_subnode(cpu, dtb, cpus)
	{
		char name[32];

		assert_int_equal(cell(dtb, cpu, "reg", 0), memmap_mpidr((unsigned)nr));
		(void)snprintf(name, sizeof(name), "cpu@%x", (unsigned)memmap_mpidr((unsigned)nr));
		assert_string_equal(fdt_get_name(dtb, cpu, NULL), name);
		nr++;
	}
	assert_int_equal(nr, 512);
	gic = fdt_path_offset(dtb, "/interrupt-controller@3fff0000");
	assert_true(gic > 0);
	assert_int_equal(cell(dtb, gic, "reg", 5), 0x3bff0000);
	assert_int_equal(cell(dtb, gic, "reg", 7), 0x04000000);
}

static void command_line_is_kept_exactly(void **state)
{
	static const char cmdline[] = "  a=\"b c\" \xc3\xa9\t-- init  ";
	struct machine machine = {.ram_size = 512 * MIB, .nr_vcpus = 1, .cmdline = cmdline};
	const void *dtb = *state;
	const void *value;
	int size;

	assert_int_equal(write_tree(&machine, *state, NULL), 0);
	value = fdt_getprop(dtb, fdt_path_offset(dtb, "/chosen"), "bootargs", &size);
	assert_int_equal(size, sizeof(cmdline));
	assert_memory_equal(value, cmdline, sizeof(cmdline));
	machine.cmdline = "";
	assert_int_equal(write_tree(&machine, *state, NULL), 0);
	assert_null(fdt_getprop(dtb, fdt_path_offset(dtb, "/chosen"), "bootargs", &size));
}

static void overlong_command_line_is_refused(void **state)
{
	static const size_t too_long[] = {65536 - 1000, 65534, 65535, 65536, 1 << 20};
	char *cmdline = malloc((1 << 20) + 1);
	struct machine machine = {.ram_size = 512 * MIB, .nr_vcpus = 2, .cmdline = cmdline};

	assert_non_null(cmdline);
	memset(cmdline, 'x', 1 << 20);
	cmdline[60000] = '\0';
	assert_int_equal(write_tree(&machine, *state, NULL), 0);
	cmdline[60000] = 'x';
	for (size_t i = 0; i < sizeof(too_long) / sizeof(*too_long); i++) {
		struct ccr_err err = {0};
		char msg[256];

		cmdline[too_long[i]] = '\0';
		assert_int_equal(write_tree(&machine, *state, &err), -ENOSPC);
		(void)snprintf(msg, sizeof(msg),
			       "the device tree has no room for a command line of %zu bytes "
			       "beside 2 vCPUs (64 KiB in all); shorten --params",
			       too_long[i]);
		assert_string_equal(err.msg, msg);
		cmdline[too_long[i]] = 'x';
	}
	free(cmdline);
}

#define with_dtb(test) cmocka_unit_test_setup_teardown(test, dtb_begin, dtb_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dtb(trees_are_the_golden_ones),
		with_dtb(header_is_complete_and_the_rest_is_zero),
		with_dtb(largest_machine_fits),
		with_dtb(command_line_is_kept_exactly),
		with_dtb(overlong_command_line_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

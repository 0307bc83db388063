/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/dtree.h"

#define MAX_SHOWN 24 /* bytes of a command line */

/* What a tree says of the options that it was made from. Strings point into the tree. */
struct facts {
	uint64_t ram_size;
	unsigned nr_vcpus;
	const char *cmdline;
	uint64_t initrd_start;
	uint64_t initrd_end;
	uint64_t kaslr_seed;
	bool has_pci;
	bool has_virtio_mmio;
	bool has_log;
	const char *psci;
};

static uint64_t read_u64(const void *fdt, int node, const char *name, int offset)
{
	int size;
	const char *value = node < 0 ? NULL : fdt_getprop(fdt, node, name, &size);
	uint64_t number;

	if (!value || size < offset + (int)sizeof(number))
		return 0;
	memcpy(&number, value + offset, sizeof(number));
	return be64toh(number);
}

/* Never NULL; a property that does not end with a zero is none. */
static const char *read_string(const void *fdt, int node, const char *name)
{
	int size;
	const char *value = node < 0 ? NULL : fdt_getprop(fdt, node, name, &size);

	return value && size > 0 && value[size - 1] == '\0' ? value : "";
}

static int find_by_type(const void *fdt, const char *type)
{
	return fdt_node_offset_by_prop_value(fdt, -1, "device_type", type, (int)strlen(type) + 1);
}

static unsigned count_vcpus(const void *fdt)
{
	const int cpus = fdt_path_offset(fdt, "/cpus");
	unsigned nr = 0;
	int node;

	if (cpus < 0)
		return 0;
	fdt_for_each_subnode(node, fdt, cpus) nr++;
	return nr;
}

static struct facts read_facts(const void *fdt)
{
	const int chosen = fdt_path_offset(fdt, "/chosen");

	return (struct facts){
		.ram_size = read_u64(fdt, find_by_type(fdt, "memory"), "reg", 8),
		.nr_vcpus = count_vcpus(fdt),
		.cmdline = read_string(fdt, chosen, "bootargs"),
		.initrd_start = read_u64(fdt, chosen, "linux,initrd-start", 0),
		.initrd_end = read_u64(fdt, chosen, "linux,initrd-end", 0),
		.kaslr_seed = read_u64(fdt, chosen, "kaslr-seed", 0),
		.has_pci = find_by_type(fdt, "pci") >= 0,
		.has_virtio_mmio = fdt_node_offset_by_compatible(fdt, -1, "virtio,mmio") >= 0,
		.has_log = fdt_path_offset(fdt, "/reserved-memory") >= 0,
		.psci = read_string(fdt, fdt_path_offset(fdt, "/psci"), "method"),
	};
}

struct text {
	char *at;
	size_t left;
	const char *separator;
};

static void advance(struct text *text, int size)
{
	const size_t used = size > 0 ? (size_t)size : 0;

	text->at += used < text->left ? used : text->left - 1;
	text->left -= used < text->left ? used : text->left - 1;
}

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *fmt, ...)
{
	va_list args;

	advance(text, snprintf(text->at, text->left, "%s", text->separator));
	va_start(args, fmt);
	advance(text, vsnprintf(text->at, text->left, fmt, args));
	va_end(args);
	text->separator = "; ";
}

static void say_cmdline(struct text *text, const char *is, const char *expected)
{
	size_t same = 0;

	while (is[same] && is[same] == expected[same])
		same++;
	if (is[same] == expected[same])
		return;
	say(text, "command line differs from its byte %zu on: \"%.*s\", expected \"%.*s\"", same,
	    MAX_SHOWN, is + same, MAX_SHOWN, expected + same);
}

static void say_facts(struct text *text, const struct facts *is, const struct facts *expected)
{
	if (is->ram_size != expected->ram_size)
		say(text, "RAM of %" PRIu64 " MiB, expected %" PRIu64, is->ram_size >> 20,
		    expected->ram_size >> 20);
	if (is->nr_vcpus != expected->nr_vcpus)
		say(text, "%u vCPUs, expected %u", is->nr_vcpus, expected->nr_vcpus);
	say_cmdline(text, is->cmdline, expected->cmdline);
	if (is->initrd_end - is->initrd_start != expected->initrd_end - expected->initrd_start)
		say(text, "initrd of %" PRIu64 " bytes, expected %" PRIu64,
		    is->initrd_end - is->initrd_start,
		    expected->initrd_end - expected->initrd_start);
	if (is->kaslr_seed != expected->kaslr_seed)
		say(text, "KASLR seed %" PRIu64 ", expected %" PRIu64, is->kaslr_seed,
		    expected->kaslr_seed);
	if (is->has_pci != expected->has_pci)
		say(text, is->has_pci ? "a PCI bus, expected none" : "no PCI bus, expected one");
	if (is->has_virtio_mmio != expected->has_virtio_mmio)
		say(text, is->has_virtio_mmio ? "virtio-mmio, expected none"
					      : "no virtio-mmio, expected");
	if (is->has_log != expected->has_log)
		say(text, is->has_log ? "a place for the log, expected none"
				      : "no place for the log, expected one");
	if (strcmp(is->psci, expected->psci) != 0)
		say(text, "another conduit of PSCI");
}

void dtree_diff_describe(const uint8_t *is, size_t is_size, const uint8_t *expected,
			 size_t expected_size, char text[DTREE_DIFF_MAX])
{
	struct text out = {.at = text, .left = DTREE_DIFF_MAX, .separator = ""};
	/* libfdt wants trees aligned, which hostile bytes need not be. */
	uint8_t *copy = malloc(is_size > 0 ? is_size : 1);
	struct facts is_facts, expected_facts;

	text[0] = '\0';
	if (!copy)
		return;
	memcpy(copy, is, is_size);
	if (!fdt_check_full(copy, is_size) && !fdt_check_full(expected, expected_size)) {
		is_facts = read_facts(copy);
		expected_facts = read_facts(expected);
		say_facts(&out, &is_facts, &expected_facts);
	}
	free(copy);
}

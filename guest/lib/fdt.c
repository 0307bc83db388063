/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fdt.h"
#include "lib/arch.h"

#define FDT_MAGIC      0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE   2
#define FDT_PROP       3
#define FDT_NOP        4

#define FDT_MAX_SIZE 0x200000 /* what the arm64 boot protocol allows */

uint64_t fdt_number(const uint8_t *cells, unsigned nr_cells)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < nr_cells * 4; i++)
		value = value << 8 | cells[i];
	return value;
}

static uint32_t word(const uint8_t *p)
{
	return (uint32_t)fdt_number(p, 1);
}

bool fdt_init(struct fdt *fdt, const void *dtb)
{
	const uint8_t *p = dtb;
	uint32_t struct_size, strings_size;

	if (!p || word(p) != FDT_MAGIC)
		return false;
	fdt->base = p;
	fdt->size = word(p + 4);
	fdt->struct_start = word(p + 8);
	fdt->strings_start = word(p + 12);
	strings_size = word(p + 32);
	struct_size = word(p + 36);
	if (fdt->size > FDT_MAX_SIZE || fdt->struct_start < 40 || fdt->struct_start % 4 ||
	    fdt->struct_start > fdt->size || struct_size > fdt->size - fdt->struct_start ||
	    fdt->strings_start > fdt->size || strings_size > fdt->size - fdt->strings_start)
		return false;
	fdt->struct_end = fdt->struct_start + struct_size;
	fdt->strings_end = fdt->strings_start + strings_size;
	return true;
}

/* Bytes of the string at @offset without its terminator, or -1 if it runs out of @end. */
static int string_size(const struct fdt *fdt, uint32_t offset, uint32_t end)
{
	for (uint32_t p = offset; p < end; p++) {
		if (!fdt->base[p])
			return (int)(p - offset);
	}
	return -1;
}

static uint32_t align4(uint32_t value)
{
	return (value + 3) & ~3u;
}

/*
 * The token at @offset, and in *@ret_next where the one after it starts. 0 at the end of the tree
 * or of what makes sense.
 */
static uint32_t token(const struct fdt *fdt, uint32_t offset, uint32_t *ret_next)
{
	uint32_t type, size;
	int name_size;

	if (offset > fdt->struct_end || fdt->struct_end - offset < 4)
		return 0;
	type = word(fdt->base + offset);
	*ret_next = offset + 4;
	switch (type) {
	case FDT_BEGIN_NODE:
		name_size = string_size(fdt, offset + 4, fdt->struct_end);
		if (name_size < 0)
			return 0;
		*ret_next = align4(offset + 4 + (uint32_t)name_size + 1);
		return type;
	case FDT_PROP:
		if (fdt->struct_end - offset < 12)
			return 0;
		size = word(fdt->base + offset + 4);
		if (size > fdt->struct_end - offset - 12)
			return 0;
		*ret_next = align4(offset + 12 + size);
		return type;
	case FDT_END_NODE:
	case FDT_NOP:
		return type;
	default:
		return 0;
	}
}

uint32_t fdt_root(const struct fdt *fdt)
{
	uint32_t next, offset = fdt->struct_start;

	while (token(fdt, offset, &next) == FDT_NOP)
		offset = next;
	return token(fdt, offset, &next) == FDT_BEGIN_NODE ? offset : FDT_NONE;
}

uint32_t fdt_next(const struct fdt *fdt, uint32_t node, int *depth)
{
	uint32_t type, next, offset;

	if (!token(fdt, node, &offset))
		return FDT_NONE;
	while ((type = token(fdt, offset, &next))) {
		if (type == FDT_BEGIN_NODE) {
			(*depth)++;
			return offset;
		}
		if (type == FDT_END_NODE && --*depth < 0)
			return FDT_NONE;
		offset = next;
	}
	return FDT_NONE;
}

const char *fdt_name(const struct fdt *fdt, uint32_t node)
{
	return (const char *)fdt->base + node + 4;
}

static uint32_t find_child(const struct fdt *fdt, uint32_t parent, const char *name, uint32_t size)
{
	int depth = 0;
	uint32_t node = parent;

	while ((node = fdt_next(fdt, node, &depth)) != FDT_NONE && depth > 0) {
		const char *have = fdt_name(fdt, node);

		if (depth == 1 && strlen(have) == size && !memcmp(have, name, size))
			return node;
	}
	return FDT_NONE;
}

uint32_t fdt_find(const struct fdt *fdt, const char *path, uint32_t size)
{
	uint32_t node = fdt_root(fdt), start = 0;

	while (node != FDT_NONE && start < size) {
		uint32_t end;

		if (path[start] == '/') {
			start++;
			continue;
		}
		for (end = start; end < size && path[end] != '/'; end++)
			;
		node = find_child(fdt, node, path + start, end - start);
		start = end;
	}
	return node;
}

const uint8_t *fdt_prop(const struct fdt *fdt, uint32_t node, const char *name, uint32_t *ret_size)
{
	uint32_t type, next, offset;

	*ret_size = 0;
	if (node == FDT_NONE || !token(fdt, node, &offset))
		return NULL;
	for (; (type = token(fdt, offset, &next)) == FDT_PROP || type == FDT_NOP; offset = next) {
		const uint8_t *prop = fdt->base + offset;
		uint32_t name_offset;
		int size;

		if (type == FDT_NOP)
			continue;
		name_offset = word(prop + 8);
		if (name_offset >= fdt->strings_end - fdt->strings_start)
			continue;
		name_offset += fdt->strings_start;
		size = string_size(fdt, name_offset, fdt->strings_end);
		if (size < 0 || (size_t)size != strlen(name) ||
		    memcmp(fdt->base + name_offset, name, (size_t)size) != 0)
			continue;
		*ret_size = word(prop + 4);
		return prop + 12;
	}
	return NULL;
}

const char *fdt_string(const struct fdt *fdt, uint32_t node, const char *name)
{
	uint32_t size;
	const uint8_t *value = fdt_prop(fdt, node, name, &size);

	if (!value || !size || value[size - 1])
		return NULL;
	return (const char *)value;
}

bool fdt_compatible(const struct fdt *fdt, uint32_t node, const char *what)
{
	uint32_t size, start = 0;
	const uint8_t *value = fdt_prop(fdt, node, "compatible", &size);

	if (!value || !size || value[size - 1])
		return false;
	while (start < size) {
		const char *have = (const char *)value + start;
		uint32_t have_size = (uint32_t)strlen(have);

		if (have_size == strlen(what) && !memcmp(have, what, have_size))
			return true;
		start += have_size + 1;
	}
	return false;
}

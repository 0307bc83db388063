/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of a flattened device tree reader (Devicetree Specification v0.4, chapter 5). */
#ifndef GUEST_FDT_H
#define GUEST_FDT_H

#include <stdbool.h>
#include <stdint.h>

/** struct fdt - a tree whose header has been checked; every offset lies inside @size */
struct fdt {
	const uint8_t *base;
	uint32_t size;
	uint32_t struct_start, struct_end;
	uint32_t strings_start, strings_end;
};

/** FDT_NONE - no such node; real ones are offsets of their begin tokens and never 0 */
#define FDT_NONE 0u

/** fdt_init() - Return: false if there is no tree at @dtb. */
bool fdt_init(struct fdt *fdt, const void *dtb);

/** fdt_root() - the root node, at depth 0 */
uint32_t fdt_root(const struct fdt *fdt);

/** fdt_next() - the node after @node in the order of the blob; *@depth follows */
uint32_t fdt_next(const struct fdt *fdt, uint32_t node, int *depth);

/** fdt_name() - with the unit address; always terminated */
const char *fdt_name(const struct fdt *fdt, uint32_t node);

/** fdt_find() - the node at an absolute @path of @size characters; names must match in full */
uint32_t fdt_find(const struct fdt *fdt, const char *path, uint32_t size);

/** fdt_prop() - a property's value, big-endian as it is; NULL if it is not there */
const uint8_t *fdt_prop(const struct fdt *fdt, uint32_t node, const char *name, uint32_t *ret_size);

/** fdt_string() - a property that is one terminated string, else NULL */
const char *fdt_string(const struct fdt *fdt, uint32_t node, const char *name);

/** fdt_compatible() - whether one of the node's compatible strings is @what */
bool fdt_compatible(const struct fdt *fdt, uint32_t node, const char *what);

/** fdt_number() - @nr_cells (1 or 2) big-endian cells */
uint64_t fdt_number(const uint8_t *cells, unsigned nr_cells);

#endif

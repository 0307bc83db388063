/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files as kernels (System V ABI, chapters "Object Files" and "Program Loading"). Only what
 * says which bytes go where is read: the header and the program headers. Input is untrusted.
 */
#ifndef CCR_ELF_H
#define CCR_ELF_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/file.h"

/**
 * struct elf_window - the physical addresses that a kernel may have
 * @end: the first byte behind it
 */
struct elf_window {
	uint64_t base;
	uint64_t end;
};

/**
 * struct elf_image - where the content of an ELF file belongs
 * @base: physical address of its first byte
 * @mem_size: bytes that it uses from there on, BSS included
 * @entry: physical address of its first instruction
 */
struct elf_image {
	uint64_t base;
	uint64_t mem_size;
	uint64_t entry;
};

/** elf_is() - the bytes begin like an ELF file, of whatever kind */
bool elf_is(const void *data, size_t size);

/**
 * elf_flatten() - replace an ELF file by the bytes that it puts into memory
 * @blob: in: the file; out: everything from the first segment's first byte to the last byte that
 *	comes from the file, with zeros in between, as `objcopy -O binary` writes it. On error
 *	unchanged.
 * @path: for messages
 * @window: where all of its segments must be, so that no more than that is ever allocated
 *
 * Segments are placed by their physical addresses. A file that may be moved (ET_DYN) and is linked
 * below the window is moved as a whole by @window->base. Nothing is relocated: what needs that does
 * it itself. The entry point, a virtual address, is translated by the segment that it lies in.
 *
 * Refuses, each with its own sentence: another class, byte order or machine; what is not an
 * executable; a user program; damaged or overlapping segments; addresses outside of @window; an
 * entry point in no segment.
 *
 * Return: 0; -EINVAL or -ENOMEM with @err set.
 */
int elf_flatten(struct blob *blob, const char *path, const struct elf_window *window,
		struct elf_image *ret_image, struct ccr_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the file says is read by libelf. Whether a kernel may say that is decided here: libelf takes
 * what it finds for granted, and cuts a table that is longer than the file without a word.
 */
#include <errno.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/elf.h"

/* A kernel has a handful; the limit bounds the search for overlaps. */
#define MAX_SEGMENTS 64

/*
 * struct segment - a PT_LOAD program header
 * @offset: of its first byte in the file; @file_size bytes come from there
 * @mem_size: bytes in memory, at least @file_size; the rest is zero
 */
struct segment {
	uint64_t offset;
	uint64_t virt;
	uint64_t phys;
	uint64_t file_size;
	uint64_t mem_size;
};

/* struct reader - a file under scrutiny */
struct reader {
	const struct blob *file;
	const char *path;
	const struct elf_window *window;
	uint64_t bias; /* between where it was linked to and where it goes */
	Elf *elf;
	GElf_Ehdr header;
	unsigned nr_segments;
	struct segment segments[MAX_SEGMENTS];
	struct ccr_err *err;
};

bool elf_is(const void *data, size_t size)
{
	return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static int damaged(const struct reader *r, const char *what)
{
	return err_set(r->err, -EINVAL,
		       "kernel image %s: it is an ELF file that is damaged or cut short: %s",
		       r->path, what);
}

static int check_machine(const struct reader *r)
{
	static const struct {
		uint16_t number;
		const char *name;
	} machines[] = {
		{EM_X86_64, "x86-64"}, {EM_386, "x86"},     {EM_ARM, "32-bit Arm"},
		{EM_RISCV, "RISC-V"},  {EM_PPC64, "POWER"}, {EM_S390, "IBM Z"},
		{EM_MIPS, "MIPS"},     {258, "LoongArch"},
	};
	const uint16_t machine = r->header.e_machine;

	if (machine == EM_AARCH64)
		return 0;
	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++) {
		if (machines[i].number == machine)
			return err_set(r->err, -EINVAL,
				       "kernel image %s: it is an ELF file for %s, not for arm64",
				       r->path, machines[i].name);
	}
	return err_set(r->err, -EINVAL,
		       "kernel image %s: it is an ELF file for machine number %u, not for arm64",
		       r->path, machine);
}

static int check_type(const struct reader *r)
{
	switch (r->header.e_type) {
	case ET_EXEC:
	case ET_DYN:
		return 0;
	case ET_REL:
		return err_set(r->err, -EINVAL,
			       "kernel image %s: it is an ELF object file; link it first", r->path);
	case ET_CORE:
		return err_set(r->err, -EINVAL, "kernel image %s: it is a core dump, not a kernel",
			       r->path);
	default:
		return damaged(r, "it is of no known type");
	}
}

/* Byte order comes first: whoever made such a kernel knows its machine. */
static int check_header(const struct reader *r)
{
	const uint8_t *ident = r->header.e_ident;

	if (ident[EI_DATA] == ELFDATA2MSB)
		return err_set(r->err, -EINVAL,
			       "kernel image %s: it is a big-endian ELF file; build it "
			       "little-endian",
			       r->path);
	if (check_machine(r))
		return -EINVAL;
	if (ident[EI_CLASS] != ELFCLASS64)
		return err_set(r->err, -EINVAL,
			       "kernel image %s: it is a 32-bit ELF file; build it for 64 bits",
			       r->path);
	return check_type(r);
}

/* Ranges by subtraction: no sum of what the file says can wrap. */
static int check_segment(const struct reader *r, const struct segment *s)
{
	const struct elf_window *w = r->window;

	if (s->offset > r->file->size || s->file_size > r->file->size - s->offset)
		return damaged(r, "a segment's bytes are not in the file");
	if (s->file_size > s->mem_size)
		return damaged(r, "a segment has more bytes than room for them");
	if (s->phys < w->base || s->phys > w->end || s->mem_size > w->end - s->phys)
		return err_set(r->err, -EINVAL,
			       "kernel image %s: its segment at physical address %#" PRIx64
			       " (%#" PRIx64 " bytes) is not within %#" PRIx64 " and %#" PRIx64
			       "; link it there, or if it is Linux's vmlinux, use the Image that "
			       "was made from it",
			       r->path, s->phys, s->mem_size, w->base, w->end);
	for (unsigned i = 0; i < r->nr_segments; i++) {
		const struct segment *other = &r->segments[i];

		if (s->phys < other->phys + other->mem_size && other->phys < s->phys + s->mem_size)
			return err_set(r->err, -EINVAL,
				       "kernel image %s: two of its segments overlap at physical "
				       "address %#" PRIx64 "; link it anew",
				       r->path, s->phys > other->phys ? s->phys : other->phys);
	}
	return 0;
}

/*
 * What is linked to run anywhere is linked at 0 as a rule, where there is no RAM: all of it moves.
 * Linux's vmlinux also says that it can be moved, but its addresses are far above.
 */
static void choose_bias(struct reader *r, uint64_t lowest)
{
	if (r->header.e_type == ET_DYN && lowest < r->window->base)
		r->bias = r->window->base;
}

static int take_segment(struct reader *r, const GElf_Phdr *header)
{
	struct segment s = {
		.offset = header->p_offset,
		.virt = header->p_vaddr,
		.phys = header->p_paddr,
		.file_size = header->p_filesz,
		.mem_size = header->p_memsz,
	};

	if (header->p_type == PT_INTERP || header->p_type == PT_TLS)
		return err_set(
			r->err, -EINVAL,
			"kernel image %s: it is an ELF program that an operating system runs, "
			"not a kernel",
			r->path);
	if (header->p_type != PT_LOAD || s.mem_size == 0)
		return 0;
	if (r->nr_segments == MAX_SEGMENTS)
		return err_set(r->err, -EINVAL,
			       "kernel image %s: it is an ELF file with more than %d segments",
			       r->path, MAX_SEGMENTS);
	if (r->nr_segments == 0)
		choose_bias(r, s.phys);
	if (s.phys <= UINT64_MAX - r->bias)
		s.phys += r->bias;
	if (check_segment(r, &s))
		return -EINVAL;
	r->segments[r->nr_segments++] = s;
	return 0;
}

static int read_segments(struct reader *r)
{
	GElf_Phdr header;
	size_t nr;
	int ret = 0;

	if (r->header.e_phnum > 0 && r->header.e_phentsize != sizeof(Elf64_Phdr))
		return damaged(r, "its program headers have another size");
	if (elf_getphdrnum(r->elf, &nr) || nr < r->header.e_phnum)
		return damaged(r, "its program headers are not in the file");
	for (size_t i = 0; !ret && i < nr; i++) {
		if (!gelf_getphdr(r->elf, (int)i, &header))
			return damaged(r, "its program headers are not in the file");
		ret = take_segment(r, &header);
	}
	if (!ret && r->nr_segments == 0)
		ret = err_set(r->err, -EINVAL,
			      "kernel image %s: it is an ELF file without anything to load",
			      r->path);
	return ret;
}

static int find_entry(const struct reader *r, uint64_t *ret_entry)
{
	const uint64_t entry = r->header.e_entry;

	for (unsigned i = 0; i < r->nr_segments; i++) {
		const struct segment *s = &r->segments[i];

		if (entry < s->virt || entry - s->virt >= s->file_size)
			continue;
		*ret_entry = s->phys + (entry - s->virt);
		if (*ret_entry % 4 != 0)
			break;
		return 0;
	}
	return err_set(r->err, -EINVAL,
		       "kernel image %s: its entry point %#" PRIx64
		       " is no instruction of it; link it anew",
		       r->path, entry);
}

/* The extent in memory, and of what comes from the file. The window bounds both. */
static void measure(const struct reader *r, struct elf_image *image, uint64_t *ret_file_end)
{
	uint64_t end = 0;

	image->base = r->window->end;
	*ret_file_end = 0;
	for (unsigned i = 0; i < r->nr_segments; i++) {
		const struct segment *s = &r->segments[i];

		if (s->phys < image->base)
			image->base = s->phys;
		if (s->phys + s->mem_size > end)
			end = s->phys + s->mem_size;
		if (s->file_size > 0 && s->phys + s->file_size > *ret_file_end)
			*ret_file_end = s->phys + s->file_size;
	}
	image->mem_size = end - image->base;
}

static uint8_t *gather(const struct reader *r, uint64_t base, size_t size)
{
	uint8_t *data = calloc(1, size);

	for (unsigned i = 0; data && i < r->nr_segments; i++) {
		const struct segment *s = &r->segments[i];

		if (s->file_size > 0)
			memcpy(data + (s->phys - base), r->file->data + s->offset, s->file_size);
	}
	return data;
}

/*
 * More sections than the header has room for are told by the first section, and libelf makes an
 * object of each: several times the file's size. A kernel has no use for that.
 */
static bool hides_number_of_sections(const struct blob *file)
{
	union {
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} header;

	memcpy(&header, file->data, sizeof(header));
	if (header.e32.e_ident[EI_CLASS] == ELFCLASS32)
		return header.e32.e_shnum == 0 && header.e32.e_shoff != 0;
	return header.e64.e_shnum == 0 && header.e64.e_shoff != 0;
}

static int open_file(struct reader *r)
{
	if (r->file->size < sizeof(Elf64_Ehdr))
		return damaged(r, "its header is not complete");
	if (hides_number_of_sections(r->file))
		return damaged(r, "its header does not say how many sections it has");
	(void)elf_version(EV_CURRENT);
	r->elf = elf_memory((char *)r->file->data, r->file->size);
	if (!r->elf)
		return damaged(r, elf_errmsg(-1));
	if (elf_kind(r->elf) != ELF_K_ELF || !gelf_getehdr(r->elf, &r->header))
		return damaged(r, "its class, byte order or version is not known");
	return 0;
}

static int read_file(struct reader *r, struct elf_image *image)
{
	int ret = open_file(r);

	if (!ret)
		ret = check_header(r);
	if (!ret)
		ret = read_segments(r);
	if (!ret)
		ret = find_entry(r, &image->entry);
	(void)elf_end(r->elf);
	return ret;
}

int elf_flatten(struct blob *blob, const char *path, const struct elf_window *window,
		struct elf_image *ret_image, struct ccr_err *err)
{
	struct reader r = {.file = blob, .path = path, .window = window, .err = err};
	struct blob content = {0};
	struct elf_image image;
	uint64_t file_end;
	int ret = read_file(&r, &image);

	if (ret)
		return ret;
	measure(&r, &image, &file_end);
	/* There is at least the entry point's instruction. */
	content.size = file_end - image.base;
	content.data = gather(&r, image.base, content.size);
	if (!content.data)
		return err_set(err, -ENOMEM, "kernel image %s: out of memory", path);
	blob_free(blob);
	*blob = content;
	*ret_image = image;
	return 0;
}

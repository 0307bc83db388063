/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the owner's options to everything that is placed in a guest: address map, images, device
 * tree, plan. Pure but for reading the files; the same on every machine, so that `measure` and
 * `run` cannot disagree.
 */
#ifndef CCR_LAUNCH_H
#define CCR_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/features.h"
#include "ccr/file.h"
#include "ccr/layout.h"
#include "ccr/plan.h"

/**
 * struct launch_options - what the command line says about the guest
 * @kernel: path; or
 * @firmware: path of guest firmware, which finds what it boots by itself
 * @kernel_flat: it is bare machine code, see image_load()
 * @initrd: path or NULL
 * @cmdline: kernel command line or NULL; nothing is ever added to it
 * @ram_size: bytes
 * @has_pci: the machine has a PCI bus and an ITS
 * @has_virtio_mmio: its virtio devices are reached without a bus; then it has none
 * @log_in_guest: a realm's guest finds its measurement log in memory
 * @kaslr_seed: 0 for none
 * @features: of its CPU, checked for the machine's kind
 */
struct launch_options {
	enum machine_kind kind;
	const char *kernel;
	const char *firmware;
	bool kernel_flat;
	const char *initrd;
	const char *cmdline;
	uint64_t ram_size;
	unsigned nr_vcpus;
	bool has_pci;
	bool has_virtio_mmio;
	bool log_in_guest;
	uint64_t kaslr_seed;
	struct cpu_features features;
	enum hash_algo hash_algo;
	uint8_t rpv[PLAN_RPV_SIZE];
};

/**
 * struct launch_image - one of the owner's files
 * @fd: -1 for none
 * @stamp: before any of it was read
 * @size: bytes of it that go to memory, or of what was packed in it
 * @bytes: those; the plan's segment points to them. None if they are still @in_file.
 * @in_file: nobody needs the bytes but the guest: they can be read straight to where they go
 * @head: the first @head_size bytes of such a file; by them the guest was laid out
 */
struct launch_image {
	int fd;
	struct file_stamp stamp;
	uint64_t size;
	struct blob bytes;
	bool in_file;
	size_t head_size;
	uint8_t head[IMAGE_HEADER_SIZE];
};

/**
 * struct launch - a guest ready to be placed
 * @kernel, @initrd: its images
 * @dtb: the bytes; the plan's segment points to them
 * @log: what the guest finds in its region for the measurement log, empty until launch_write_log();
 *	no bytes at all unless it was asked for
 * @kernel_path: for messages; borrowed
 * @is_firmware: the kernel is guest firmware
 */
struct launch {
	enum machine_kind kind;
	bool has_pci;
	bool has_virtio_mmio;
	struct memmap map;
	struct layout layout;
	struct image_info image;
	struct launch_image kernel;
	struct launch_image initrd;
	struct blob dtb;
	struct blob log;
	const char *kernel_path;
	bool kernel_flat;
	bool is_firmware;
	struct cpu_features features;
	struct plan plan;
};

/**
 * launch_load() - read the files and lay out the guest
 *
 * Of a plain VM's kernel that is an Image only the header is read, and nothing of its initrd: their
 * segments have no data, and launch_image_of() says where it is.
 *
 * Return: 0, or -errno with @err set; launch_done() is needed only after 0.
 */
int launch_load(struct launch *launch, const struct launch_options *options, struct ccr_err *err);

/** launch_done() - takes an all-zero one whose descriptors are -1 */
void launch_done(struct launch *launch);

/**
 * launch_write_log() - make the measurement log, once it is known what the host adds
 * @path: file to save it in; NULL for none
 *
 * Also puts it into the guest's region, if there is one. That is not measured, so the RIM is the
 * same before and after. A no-op if the log is wanted in neither place.
 *
 * Return: 0; -ENOSPC if it does not fit the region; evlog_write()'s and file_save()'s errors; @err
 * is set.
 */
int launch_write_log(struct launch *launch, const struct realm_host *host, const char *path,
		     struct ccr_err *err);

/**
 * launch_image_of() - the file of a segment that has no data
 *
 * Its head goes to memory as it was read; behind that comes what is in the file, which must have
 * the same size still. launch_check_images() says afterwards whether all of it was one file.
 */
const struct launch_image *launch_image_of(const struct launch *launch,
					   const struct plan_segment *segment);

/**
 * launch_drop_images() - free the bytes of kernel, initrd and log, which are in guest memory by now
 *
 * What came through a pipe is kept: it cannot be read again.
 */
void launch_drop_images(struct launch *launch);

/**
 * launch_reread_images() - the same images again, from the files kept open, for a reset
 *
 * Return: 0, also if nothing had been dropped; launch_set_stale() if a file has another size now,
 * or the errors of launch_load(); @err is set.
 */
int launch_reread_images(struct launch *launch, struct ccr_err *err);

/**
 * launch_check_images() - a plain VM's images, now in guest memory, are those of launch_load()
 *
 * To be called when they have been read for the last time, so that a file that was written to
 * before or meanwhile is noticed. Nobody measures a plain VM's: without this it would be reset into
 * another kernel than was launched, or into half of one.
 *
 * Return: 0; launch_set_stale() if a file was written to; another -errno; @err is set.
 */
int launch_check_images(const struct launch *launch, struct ccr_err *err);

/** launch_set_stale() - -ESTALE, with the sentence about the image @name whose file has changed */
int launch_set_stale(const char *name, struct ccr_err *err);

#endif

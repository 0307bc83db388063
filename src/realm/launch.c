/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccr/dtree.h"
#include "ccr/evlog.h"
#include "ccr/kernel.h"
#include "ccr/launch.h"

/* The window below the device tree is 254 MiB; what is larger cannot fit, and is told so there. */
#define INITRD_MAX_SIZE (4ull << 30)

static const char *what_runs(const struct launch *launch)
{
	return launch->is_firmware ? "firmware" : "kernel image";
}

static int read_kernel(struct launch *launch, struct image_info *ret_image, struct ccr_err *err)
{
	const int ret = file_read_all(launch->kernel_fd, KERNEL_MAX_SIZE, what_runs(launch),
				      &launch->kernel, err);

	if (!ret && launch->is_firmware)
		return image_load_firmware(&launch->kernel, launch->kernel_path, ret_image, err);
	return ret ? ret
		   : image_load(&launch->kernel, launch->kernel_flat, launch->kernel_path,
				ret_image, err);
}

static int read_initrd(struct launch *launch, struct ccr_err *err)
{
	return file_read_all(launch->initrd_fd, INITRD_MAX_SIZE, "initrd", &launch->initrd, err);
}

static int load_kernel(struct launch *launch, struct ccr_err *err)
{
	launch->kernel_fd = file_open_ro(launch->kernel_path, what_runs(launch), err);
	if (launch->kernel_fd < 0)
		return launch->kernel_fd;
	return read_kernel(launch, &launch->image, err);
}

static int load_initrd(struct launch *launch, const char *path, struct ccr_err *err)
{
	int ret;

	if (!path)
		return 0;
	launch->initrd_fd = file_open_ro(path, "initrd", err);
	if (launch->initrd_fd < 0)
		return launch->initrd_fd;
	ret = read_initrd(launch, err);
	if (!ret && launch->initrd.size == 0)
		ret = err_set(err, -EINVAL, "initrd %s: the file is empty", path);
	return ret;
}

static int write_dtb(struct launch *launch, const struct launch_options *options,
		     struct ccr_err *err)
{
	const struct dtree_config config = {
		.map = &launch->map,
		.layout = &launch->layout,
		.cmdline = options->cmdline,
		.has_pci = options->has_pci,
		.has_virtio_mmio = options->has_virtio_mmio,
		.has_log = options->log_in_guest,
		.has_firmware = options->firmware,
		.has_pmu = features_is_on(&options->features, FEATURE_PMU),
		.psci_smc = options->kind != MACHINE_PLAIN,
		.kaslr_seed = options->kaslr_seed,
	};

	launch->dtb.data = calloc(1, MEMMAP_DTB_SIZE);
	if (!launch->dtb.data)
		return err_set(err, -ENOMEM, "device tree: out of memory");
	launch->dtb.size = MEMMAP_DTB_SIZE;
	return dtree_write(&config, launch->dtb.data, err);
}

static int reserve_log(struct launch *launch, const struct launch_options *options,
		       struct ccr_err *err)
{
	if (!options->log_in_guest)
		return 0;
	launch->log.data = calloc(1, MEMMAP_LOG_SIZE);
	if (!launch->log.data)
		return err_set(err, -ENOMEM, "measurement log: out of memory");
	launch->log.size = MEMMAP_LOG_SIZE;
	return 0;
}

static const char *segment_name(const struct launch *launch)
{
	return launch->is_firmware ? "firmware" : "kernel";
}

static int make_plan(struct launch *launch, const struct launch_options *options,
		     struct ccr_err *err)
{
	struct plan *plan = &launch->plan;
	const struct layout *layout = &launch->layout;
	int ret;

	*plan = (struct plan){
		.hash_algo = options->hash_algo,
		.ipa_bits = launch->map.ipa_bits,
		.nr_vcpus = launch->map.nr_vcpus,
		.ram_base = ipa_at(MEMMAP_RAM_BASE),
		.ram_size = launch->map.ram_size,
		.pc = layout->kernel_base.v + launch->image.entry_offset,
		.gprs = {layout->dtb_base.v},
	};
	memcpy(plan->rpv, options->rpv, sizeof(plan->rpv));

	ret = plan_add(plan, segment_name(launch), layout->kernel_base, launch->kernel.data,
		       launch->kernel.size, 0, true, err);
	if (!ret && launch->initrd.size > 0)
		ret = plan_add(plan, "initrd", layout->initrd_base, launch->initrd.data,
			       launch->initrd.size, 0, true, err);
	if (!ret)
		ret = plan_add(plan, "device tree", layout->dtb_base, launch->dtb.data,
			       launch->dtb.size, 0, true, err);
	if (!ret && launch->log.size > 0)
		ret = plan_add(plan, "measurement log", launch->map.log_base, launch->log.data,
			       launch->log.size, 0, false, err);
	return ret;
}

int launch_load(struct launch *launch, const struct launch_options *options, struct ccr_err *err)
{
	int ret;

	*launch = (struct launch){
		.kind = options->kind,
		.has_pci = options->has_pci,
		.has_virtio_mmio = options->has_virtio_mmio,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.kernel_path = options->firmware ? options->firmware : options->kernel,
		.is_firmware = options->firmware,
		.kernel_flat = options->kernel_flat,
		.features = options->features,
	};
	ret = memmap_init(&launch->map, options->ram_size, options->nr_vcpus, err);
	if (!ret)
		ret = load_kernel(launch, err);
	if (!ret)
		ret = load_initrd(launch, options->initrd, err);
	if (!ret)
		ret = layout_place(&launch->map, &launch->image, launch->initrd.size,
				   &launch->layout, err);
	if (!ret)
		ret = write_dtb(launch, options, err);
	if (!ret)
		ret = reserve_log(launch, options, err);
	if (!ret)
		ret = make_plan(launch, options, err);
	if (ret)
		launch_done(launch);
	return ret;
}

static int put_log(struct launch *launch, const struct blob *log, struct ccr_err *err)
{
	if (launch->log.size == 0)
		return 0;
	if (log->size > launch->log.size)
		return err_set(err, -ENOSPC,
			       "--log-in-guest: the measurement log has %zu KiB, more than the %zu "
			       "KiB reserved for it; make the images smaller, or save it with "
			       "--measurement-log alone",
			       (log->size >> 10) + 1, launch->log.size >> 10);
	memcpy(launch->log.data, log->data, log->size);
	return 0;
}

int launch_write_log(struct launch *launch, const struct realm_host *host, const char *path,
		     struct ccr_err *err)
{
	struct blob log = {0};
	int ret;

	if (!path && launch->log.size == 0)
		return 0;
	ret = evlog_write(&launch->plan, host, &log, err);
	if (!ret && path)
		ret = file_save(path, log.data, log.size, "measurement log", err);
	if (!ret)
		ret = put_log(launch, &log, err);
	blob_free(&log);
	return ret;
}

void launch_done(struct launch *launch)
{
	blob_free(&launch->kernel);
	blob_free(&launch->initrd);
	blob_free(&launch->dtb);
	blob_free(&launch->log);
	if (launch->kernel_fd >= 0)
		close(launch->kernel_fd);
	if (launch->initrd_fd >= 0)
		close(launch->initrd_fd);
	launch->kernel_fd = -1;
	launch->initrd_fd = -1;
}

/* syscalls(build): lseek */
static void drop(struct blob *blob, int fd)
{
	if (fd >= 0 && lseek(fd, 0, SEEK_CUR) >= 0)
		blob_free(blob);
}

void launch_drop_images(struct launch *launch)
{
	drop(&launch->kernel, launch->kernel_fd);
	drop(&launch->initrd, launch->initrd_fd);
	blob_free(&launch->log);
}

/* The plan's segments know their sizes; only where the bytes are has changed. */
static int point_segment(struct launch *launch, const char *name, const struct blob *blob,
			 struct ccr_err *err)
{
	for (unsigned i = 0; i < launch->plan.nr_segments; i++) {
		struct plan_segment *segment = &launch->plan.segments[i];

		if (strcmp(segment->name, name) != 0)
			continue;
		if (segment->data_size != blob->size)
			return err_set(err, -ESTALE, "%s: the file has changed since the launch",
				       name);
		segment->data = blob->data;
	}
	return 0;
}

int launch_reread_images(struct launch *launch, struct ccr_err *err)
{
	struct image_info image = launch->image;
	int ret = 0;

	if (!launch->kernel.data)
		ret = read_kernel(launch, &image, err);
	if (!ret && image.entry_offset != launch->image.entry_offset)
		ret = err_set(err, -ESTALE, "%s: the file has changed since the launch",
			      segment_name(launch));
	if (!ret && launch->initrd_fd >= 0 && !launch->initrd.data)
		ret = read_initrd(launch, err);
	if (!ret)
		ret = point_segment(launch, segment_name(launch), &launch->kernel, err);
	if (!ret && launch->initrd_fd >= 0)
		ret = point_segment(launch, "initrd", &launch->initrd, err);
	return ret;
}

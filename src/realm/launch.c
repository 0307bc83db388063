/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static int open_image(struct launch_image *image, const char *path, const char *what,
		      struct ccr_err *err)
{
	int ret;

	image->fd = file_open_ro(path, what, err);
	if (image->fd < 0)
		return image->fd;
	ret = file_stamp(image->fd, &image->stamp);
	return ret ? err_set(err, ret, "%s %s: cannot read it: %s", what, path, strerror(-ret)) : 0;
}

static int read_image(struct launch_image *image, uint64_t max_size, const char *what,
		      struct ccr_err *err)
{
	const int ret = file_read_all(image->fd, max_size, what, &image->bytes, err);

	image->size = image->bytes.size;
	return ret;
}

static int read_kernel(struct launch *launch, struct image_info *ret_image, struct ccr_err *err)
{
	struct blob *bytes = &launch->kernel.bytes;
	int ret = read_image(&launch->kernel, KERNEL_MAX_SIZE, what_runs(launch), err);

	if (!ret && launch->is_firmware)
		return image_load_firmware(bytes, launch->kernel_path, ret_image, err);
	if (!ret)
		ret = image_load(bytes, launch->kernel_flat, launch->kernel_path, ret_image, err);
	launch->kernel.size = bytes->size;
	return ret;
}

/* A realm's images are measured as well, and all else than a file can be read only once. */
static bool may_stay_in_file(const struct launch *launch, struct launch_image *image,
			     uint64_t min_size, uint64_t max_size)
{
	struct stat st;

	if (launch->kind != MACHINE_PLAIN || fstat(image->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	image->size = (uint64_t)st.st_size;
	return image->size >= min_size && image->size <= max_size;
}

/* Return: false if all of the file is needed to say what it is. */
static bool place_by_head(struct launch *launch, int *ret, struct ccr_err *err)
{
	struct launch_image *kernel = &launch->kernel;
	const struct blob head = {kernel->head, sizeof(kernel->head)};

	if (launch->kernel_flat ||
	    !may_stay_in_file(launch, kernel, sizeof(kernel->head), KERNEL_MAX_SIZE) ||
	    file_read_at(kernel->fd, head.data, head.size, 0) || !image_is_plain(&head))
		return false;
	kernel->in_file = true;
	kernel->head_size = head.size;
	*ret = image_parse(head.data, kernel->size, launch->kernel_path, &launch->image, err);
	return true;
}

static int load_kernel(struct launch *launch, struct ccr_err *err)
{
	int ret = open_image(&launch->kernel, launch->kernel_path, what_runs(launch), err);

	if (ret)
		return ret;
	return place_by_head(launch, &ret, err) ? ret : read_kernel(launch, &launch->image, err);
}

static int load_initrd(struct launch *launch, const char *path, struct ccr_err *err)
{
	struct launch_image *initrd = &launch->initrd;
	int ret;

	if (!path)
		return 0;
	ret = open_image(initrd, path, "initrd", err);
	if (ret)
		return ret;
	initrd->in_file = may_stay_in_file(launch, initrd, 1, INITRD_MAX_SIZE);
	if (initrd->in_file)
		return 0;
	ret = read_image(initrd, INITRD_MAX_SIZE, "initrd", err);
	if (!ret && initrd->size == 0)
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

	ret = plan_add(plan, segment_name(launch), layout->kernel_base, launch->kernel.bytes.data,
		       launch->kernel.size, 0, true, err);
	if (!ret && launch->initrd.size > 0)
		ret = plan_add(plan, "initrd", layout->initrd_base, launch->initrd.bytes.data,
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
		.kernel = {.fd = -1},
		.initrd = {.fd = -1},
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

static void image_done(struct launch_image *image)
{
	blob_free(&image->bytes);
	if (image->fd >= 0)
		close(image->fd);
	image->fd = -1;
}

void launch_done(struct launch *launch)
{
	image_done(&launch->kernel);
	image_done(&launch->initrd);
	blob_free(&launch->dtb);
	blob_free(&launch->log);
}

const struct launch_image *launch_image_of(const struct launch *launch,
					   const struct plan_segment *segment)
{
	return strcmp(segment->name, "initrd") == 0 ? &launch->initrd : &launch->kernel;
}

/* syscalls(build): lseek */
static void drop(struct launch_image *image)
{
	if (image->fd >= 0 && lseek(image->fd, 0, SEEK_CUR) >= 0)
		blob_free(&image->bytes);
}

void launch_drop_images(struct launch *launch)
{
	drop(&launch->kernel);
	drop(&launch->initrd);
	blob_free(&launch->log);
}

static bool is_dropped(const struct launch_image *image)
{
	return image->fd >= 0 && !image->in_file && !image->bytes.data;
}

int launch_set_stale(const char *name, struct ccr_err *err)
{
	return err_set(err, -ESTALE,
		       "%s: the file has changed since the launch; start the machine again to boot "
		       "what is in it now",
		       name);
}

/* The plan's segments know their sizes; only where the bytes are has changed. */
static int point_segment(struct launch *launch, const char *name, const struct launch_image *image,
			 struct ccr_err *err)
{
	for (unsigned i = 0; i < launch->plan.nr_segments; i++) {
		struct plan_segment *segment = &launch->plan.segments[i];

		if (strcmp(segment->name, name) != 0)
			continue;
		if (segment->data_size != image->size)
			return launch_set_stale(name, err);
		segment->data = image->bytes.data;
	}
	return 0;
}

int launch_reread_images(struct launch *launch, struct ccr_err *err)
{
	struct image_info image = launch->image;
	int ret = 0;

	if (is_dropped(&launch->kernel))
		ret = read_kernel(launch, &image, err);
	if (!ret && image.entry_offset != launch->image.entry_offset)
		ret = launch_set_stale(segment_name(launch), err);
	if (!ret && is_dropped(&launch->initrd))
		ret = read_image(&launch->initrd, INITRD_MAX_SIZE, "initrd", err);
	if (!ret)
		ret = point_segment(launch, segment_name(launch), &launch->kernel, err);
	if (!ret)
		ret = point_segment(launch, "initrd", &launch->initrd, err);
	return ret;
}

static int check_image(const struct launch_image *image, const char *name, struct ccr_err *err)
{
	const int ret = image->fd >= 0 ? file_check_stamp(image->fd, &image->stamp) : 0;

	if (ret == -ESTALE)
		return launch_set_stale(name, err);
	return ret ? err_set(err, ret, "%s: cannot read it: %s", name, strerror(-ret)) : 0;
}

int launch_check_images(const struct launch *launch, struct ccr_err *err)
{
	const int ret = check_image(&launch->kernel, segment_name(launch), err);

	return ret ? ret : check_image(&launch->initrd, "initrd", err);
}

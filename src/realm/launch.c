/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/dtree.h"
#include "ccr/kernel.h"
#include "ccr/launch.h"

/* The window below the device tree is 254 MiB; what is larger cannot fit, and is told so there. */
#define INITRD_MAX_SIZE (4ull << 30)

static int load_images(struct launch *launch, const struct launch_options *options,
		       struct ccr_err *err)
{
	int ret = file_load(options->kernel, KERNEL_MAX_SIZE, "kernel image", &launch->kernel, err);

	if (!ret)
		ret = kernel_unpack(&launch->kernel, options->kernel, err);
	if (!ret)
		ret = image_parse(launch->kernel.data, launch->kernel.size, options->kernel,
				  &launch->image, err);
	if (!ret && options->initrd)
		ret = file_load(options->initrd, INITRD_MAX_SIZE, "initrd", &launch->initrd, err);
	if (!ret && options->initrd && launch->initrd.size == 0)
		ret = err_set(err, -EINVAL, "initrd %s: the file is empty", options->initrd);
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
		.psci_smc = options->kind != MACHINE_PLAIN,
		.kaslr_seed = options->kaslr_seed,
	};

	launch->dtb.data = calloc(1, MEMMAP_DTB_SIZE);
	if (!launch->dtb.data)
		return err_set(err, -ENOMEM, "device tree: out of memory");
	launch->dtb.size = MEMMAP_DTB_SIZE;
	return dtree_write(&config, launch->dtb.data, err);
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
		.pc = layout->kernel_base.v,
		.gprs = {layout->dtb_base.v},
	};
	memcpy(plan->rpv, options->rpv, sizeof(plan->rpv));

	ret = plan_add(plan, "kernel", layout->kernel_base, launch->kernel.data,
		       launch->kernel.size, 0, true, err);
	if (!ret && launch->initrd.size > 0)
		ret = plan_add(plan, "initrd", layout->initrd_base, launch->initrd.data,
			       launch->initrd.size, 0, true, err);
	if (!ret)
		ret = plan_add(plan, "device tree", layout->dtb_base, launch->dtb.data,
			       launch->dtb.size, 0, true, err);
	return ret;
}

int launch_load(struct launch *launch, const struct launch_options *options, struct ccr_err *err)
{
	int ret;

	*launch = (struct launch){.kind = options->kind, .has_pci = options->has_pci};
	ret = memmap_init(&launch->map, options->ram_size, options->nr_vcpus, err);
	if (!ret)
		ret = load_images(launch, options, err);
	if (!ret)
		ret = layout_place(&launch->map, &launch->image, launch->initrd.size,
				   &launch->layout, err);
	if (!ret)
		ret = write_dtb(launch, options, err);
	if (!ret)
		ret = make_plan(launch, options, err);
	if (ret)
		launch_done(launch);
	return ret;
}

void launch_done(struct launch *launch)
{
	blob_free(&launch->kernel);
	blob_free(&launch->initrd);
	blob_free(&launch->dtb);
}

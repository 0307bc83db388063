/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/realm/evlog_read.c src/realm/evlog_replay.c src/realm/evlog_compare.c */
/*
 * links: src/realm/evlog.c src/realm/evlog_read.c src/realm/evlog_replay.c
 *	src/realm/evlog_compare.c src/realm/measure.c src/realm/plan.c src/util/hash.c
 *	src/util/err.c src/util/parse.c src/util/file.c arch/arm64/dtree.c arch/arm64/dtree_diff.c
 *	arch/arm64/memmap.c arch/arm64/layout.c
 */
/*
 * The input is a measurement log. tests/fuzz/corpus/evlog/launch is the one of the launch below.
 *
 * Properties: whatever comes, reading and replaying end, in a success or in one printable sentence.
 * What was read lies inside the log. A replay gives the same RIM twice, and what the comparison
 * with the launch below says is what the RIMs say: nothing if they are equal, else a sentence.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/dtree.h"
#include "ccr/evlog.h"
#include "fuzz.h"

#define MAX_INPUT   65536
#define RAM_SIZE    (32ull << 20)
#define KERNEL_SIZE 5000
#define INITRD_SIZE 9000

static void check_sentence(const struct ccr_err *err, int ret)
{
	require(err->code == ret && *err->msg != '\0');
	for (const char *c = err->msg; *c; c++)
		require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static const struct realm_host host = {
	.family = REALM_FAMILY_EXPLICIT, .rmm = RMM_1_0, .num_bps = 5, .num_wps = 3};

/* struct launch - a small realm; allocated, so that its tree is aligned */
struct launch {
	uint8_t dtb[MEMMAP_DTB_SIZE];
	uint8_t kernel[KERNEL_SIZE];
	uint8_t initrd[INITRD_SIZE];
	struct plan plan;
	uint8_t rim[HASH_MAX_SIZE];
};

static struct launch *make_launch(void)
{
	const struct image_info image = {.image_size = KERNEL_SIZE};
	struct launch *launch = calloc(1, sizeof(*launch));
	struct layout layout;
	struct memmap map;
	struct dtree_config config = {
		.map = &map, .layout = &layout, .cmdline = "quiet", .psci_smc = true};

	require(launch != NULL);
	memset(launch->kernel, 0x6b, KERNEL_SIZE);
	memset(launch->initrd, 0x69, INITRD_SIZE);
	require(memmap_init(&map, RAM_SIZE, 1, NULL) == 0);
	require(layout_place(&map, &image, INITRD_SIZE, &layout, NULL) == 0);
	require(dtree_write(&config, launch->dtb, NULL) == 0);
	launch->plan = (struct plan){.hash_algo = HASH_SHA256,
				     .ipa_bits = map.ipa_bits,
				     .nr_vcpus = 1,
				     .ram_base = ipa_at(MEMMAP_RAM_BASE),
				     .ram_size = RAM_SIZE,
				     .pc = layout.kernel_base.v,
				     .gprs = {layout.dtb_base.v}};
	require(plan_add(&launch->plan, "kernel", layout.kernel_base, launch->kernel, KERNEL_SIZE,
			 0, true, NULL) == 0);
	require(plan_add(&launch->plan, "initrd", layout.initrd_base, launch->initrd, INITRD_SIZE,
			 0, true, NULL) == 0);
	require(plan_add(&launch->plan, "device tree", layout.dtb_base, launch->dtb,
			 MEMMAP_DTB_SIZE, 0, true, NULL) == 0);
	require(measure_plan(&launch->plan, &host, NULL, NULL, launch->rim, NULL) == 0);
	return launch;
}

static bool lies_within(const uint8_t *bytes, size_t size, const uint8_t *data, size_t data_size)
{
	return bytes >= data && size <= data_size && (size_t)(bytes - data) <= data_size - size;
}

static void check_items(const struct evlog *log, const uint8_t *data, size_t size)
{
	require(log->nr_items > 0 && log->nr_items <= EVLOG_MAX_ITEMS);
	require(!log->dtb || lies_within(log->dtb, log->dtb_size, data, size));
	for (unsigned i = 0; i < log->nr_items; i++) {
		const struct evlog_item *item = &log->items[i];

		if (item->kind == EVLOG_UNMEASURED)
			require(item->size > 0 && item->size <= EVLOG_MAX_UNMEASURED);
		if (item->kind != EVLOG_GRANULES)
			continue;
		require(item->image < log->nr_images && *log->image_names[item->image]);
		require(lies_within(item->digests,
				    item->size / GRANULE_SIZE * hash_size(log->hash_algo), data,
				    size));
	}
}

static void check_comparison(const struct evlog *log, const struct launch *launch,
			     const uint8_t rim[HASH_MAX_SIZE])
{
	char text[EVLOG_MAX_DIFFERENCE];

	require(evlog_compare_plan(log, &launch->plan, &host, text, NULL) == 0);
	require(memchr(text, '\0', sizeof(text)) != NULL);
	require((*text == '\0') == !memcmp(rim, launch->rim, HASH_MAX_SIZE));
}

/* Also a tree that is not the one that was measured, which no comparison would look at. */
static void check_tree(const struct evlog *log, const struct launch *launch)
{
	char text[DTREE_DIFF_MAX];

	if (!log->dtb)
		return;
	dtree_diff_describe(log->dtb, log->dtb_size, launch->dtb, sizeof(launch->dtb), text);
	require(memchr(text, '\0', sizeof(text)) != NULL);
}

static void try_log(const struct launch *launch, const uint8_t *data, size_t size)
{
	struct evlog *log = malloc(sizeof(*log));
	uint8_t rim[HASH_MAX_SIZE], again[HASH_MAX_SIZE];
	struct ccr_err err = {0};
	int ret;

	require(log != NULL);
	ret = evlog_read_log(data, size, log, &err);
	if (!ret) {
		check_items(log, data, size);
		check_tree(log, launch);
		ret = evlog_replay_rim(log, NULL, NULL, rim, &err);
	}
	if (ret) {
		check_sentence(&err, ret);
	} else {
		require(evlog_replay_rim(log, NULL, NULL, again, NULL) == 0);
		require(!memcmp(rim, again, sizeof(rim)));
		check_comparison(log, launch, rim);
	}
	free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct launch *launch;

	if (!launch)
		launch = make_launch();
	if (size <= MAX_INPUT)
		try_log(launch, data, size);
	return 0;
}

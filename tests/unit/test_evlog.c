/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/realm/evlog.c src/realm/evlog_read.c src/realm/evlog_replay.c
 *	src/realm/evlog_compare.c src/realm/measure.c src/realm/plan.c src/realm/verify.c
 *	src/realm/token.c src/realm/token_read.c src/realm/cose.c src/util/cbor.c src/util/hash.c
 *	src/util/err.c src/util/parse.c src/util/file.c arch/arm64/dtree.c
 *	arch/arm64/dtree_diff.c
 *	arch/arm64/memmap.c arch/arm64/layout.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/dtree.h"
#include "ccr/evlog.h"
#include "ccr/parse.h"
#include "ccr/verify.h"

#define MIB         (1ull << 20)
#define KERNEL_SIZE 9001
#define INITRD_SIZE 50001 /* ends at the tree: its first granule begins with zeros */
#define INITRD_PAGE 7     /* of the byte that tests change */

static const struct realm_host rmm1_host = {
	.family = REALM_FAMILY_EXPLICIT, .rmm = RMM_1_0, .num_bps = 5, .num_wps = 3};

/* What a launch is made of, and what comes of it. */
struct machine {
	enum hash_algo algo;
	uint64_t ram_size;
	unsigned nr_vcpus;
	const char *cmdline;
	size_t initrd_size;
	bool has_log;
	struct realm_host host;

	uint8_t kernel[KERNEL_SIZE];
	uint8_t initrd[INITRD_SIZE];
	_Alignas(8) uint8_t dtb[MEMMAP_DTB_SIZE];
	uint8_t region[MEMMAP_LOG_SIZE];
	struct plan plan;
	struct blob log;
};

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((i * 2654435761u + seed) >> 11);
}

static struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->ram_size = 256 * MIB;
	m->nr_vcpus = 2;
	m->cmdline = "console=ttyS0 quiet";
	m->initrd_size = INITRD_SIZE;
	m->host = rmm1_host;
	fill(m->kernel, sizeof(m->kernel), 1);
	fill(m->initrd, sizeof(m->initrd), 2);
	return m;
}

static void machine_free(struct machine *m)
{
	blob_free(&m->log);
	free(m);
}

static void add(struct plan *plan, const char *name, ipa_t base, const uint8_t *data, size_t size,
		bool measured)
{
	assert_int_equal(plan_add(plan, name, base, data, size, 0, measured, NULL), 0);
}

/* As launch_load() does it. */
static void make_plan(struct machine *m)
{
	const struct image_info image = {.image_size = KERNEL_SIZE};
	struct dtree_config config = {
		.cmdline = m->cmdline, .psci_smc = true, .has_log = m->has_log};
	struct layout layout;
	struct memmap map;

	assert_int_equal(memmap_init(&map, m->ram_size, m->nr_vcpus, NULL), 0);
	assert_int_equal(layout_place(&map, &image, m->initrd_size, &layout, NULL), 0);
	config.map = &map;
	config.layout = &layout;
	assert_int_equal(dtree_write(&config, m->dtb, NULL), 0);
	m->plan = (struct plan){.hash_algo = m->algo,
				.ipa_bits = map.ipa_bits,
				.nr_vcpus = m->nr_vcpus,
				.ram_base = ipa_at(MEMMAP_RAM_BASE),
				.ram_size = m->ram_size,
				.pc = layout.kernel_base.v,
				.gprs = {layout.dtb_base.v}};
	add(&m->plan, "kernel", layout.kernel_base, m->kernel, KERNEL_SIZE, true);
	if (m->initrd_size > 0)
		add(&m->plan, "initrd", layout.initrd_base, m->initrd, m->initrd_size, true);
	add(&m->plan, "device tree", layout.dtb_base, m->dtb, sizeof(m->dtb), true);
	if (m->has_log)
		add(&m->plan, "measurement log", map.log_base, m->region, sizeof(m->region), false);
}

static void make_log(struct machine *m)
{
	make_plan(m);
	blob_free(&m->log);
	assert_int_equal(evlog_write(&m->plan, &m->host, &m->log, NULL), 0);
}

/* A list of everything that an observer is told, to compare two. */
struct steps {
	char *text;
	size_t size;
	FILE *out;
	enum hash_algo algo;
};

static void begin_steps(struct steps *steps, enum hash_algo algo)
{
	*steps = (struct steps){.algo = algo};
	steps->out = open_memstream(&steps->text, &steps->size);
	assert_non_null(steps->out);
}

static void list_step(void *ctx, const char *what, const struct plan_segment *segment, ipa_t base,
		      uint64_t size, const uint8_t *rim)
{
	struct steps *steps = ctx;
	char text[2 * HASH_MAX_SIZE + 1];

	(void)fprintf(steps->out, "%s %s %llx %llx %llx %s\n", what, segment ? segment->name : "",
		      segment ? (unsigned long long)segment->base.v : 0, (unsigned long long)base.v,
		      (unsigned long long)size,
		      parse_format_hex(rim, hash_size(steps->algo), text));
}

static void assert_replays(struct machine *m)
{
	uint8_t is[HASH_MAX_SIZE], should[HASH_MAX_SIZE];
	struct evlog *log = malloc(sizeof(*log));
	struct steps of_log, of_plan;
	struct ccr_err err = {0};

	assert_non_null(log);
	begin_steps(&of_log, m->algo);
	begin_steps(&of_plan, m->algo);
	assert_int_equal(evlog_read_log(m->log.data, m->log.size, log, &err), 0);
	assert_int_equal(evlog_replay_rim(log, list_step, &of_log, is, &err), 0);
	assert_int_equal(measure_plan(&m->plan, &m->host, list_step, &of_plan, should, &err), 0);
	(void)fclose(of_log.out);
	(void)fclose(of_plan.out);
	assert_memory_equal(is, should, HASH_MAX_SIZE);
	assert_string_equal(of_log.text, of_plan.text);
	free(of_log.text);
	free(of_plan.text);
	free(log);
}

static void test_replay_gives_the_rim(void **state)
{
	static const enum hash_algo algos[] = {HASH_SHA256, HASH_SHA512};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned has_log = 0; has_log < 2; has_log++) {
			struct machine *m = machine_new();

			m->algo = algos[i];
			m->has_log = has_log;
			make_log(m);
			assert_replays(m);
			m->initrd_size = 0;
			m->nr_vcpus = 1;
			make_log(m);
			assert_replays(m);
			machine_free(m);
		}
	}
}

/* Every order of steps, every way of measuring, everything that a host can add. */
static void test_replay_of_every_host(void **state)
{
	(void)state;
	for (unsigned family = 0; family <= REALM_FAMILY_IMPLICIT_GMEM; family++) {
		for (unsigned rmm = 0; rmm <= RMM_2_0_SPEC; rmm++) {
			struct machine *m = machine_new();

			m->host = (struct realm_host){.family = family,
						      .rmm = rmm,
						      .num_bps = 15,
						      .num_wps = 1,
						      .pmu = true,
						      .pmu_num_ctrs = 6,
						      .sve = true,
						      .sve_vl = 3,
						      .lpa2 = true};
			m->has_log = true;
			make_log(m);
			assert_replays(m);
			machine_free(m);
		}
	}
}

/* More granules than one event may have the digests of. */
static void test_large_image(void **state)
{
	const size_t size = 70 * MIB + 5;
	struct machine *m = machine_new();
	uint8_t *image = malloc(size);

	(void)state;
	assert_non_null(image);
	fill(image, size, 3);
	make_plan(m);
	add(&m->plan, "extra", ipa_at(MEMMAP_RAM_BASE + 16 * MIB + 0x10), image, size, true);
	assert_int_equal(evlog_write(&m->plan, &m->host, &m->log, NULL), 0);
	assert_replays(m);
	machine_free(m);
	free(image);
}

/*
 * The bytes of a log are a contract with other tools: this is what Documentation/measurement.md
 * says, written out by hand.
 */
static void test_bytes(void **state)
{
	static const char header[] = "00000000"
				     "03000000"
				     "0000000000000000000000000000000000000000"
				     "21000000"
				     "53706563204944204576656e74303300"
				     "00000000"
				     "00"
				     "02"
				     "6a"
				     "02"
				     "01000000"
				     "0b00"
				     "2000"
				     "00";
	static const char vm_version[] =
		"00000000"
		"03000000"
		"01000000"
		"0b00"
		"0000000000000000000000000000000000000000000000000000000000000000"
		"64000000"
		"564d2056455253494f4e000000000000"
		"6363722d72756e00000000000000000000000000000000000000000000000000"
		"6c61796f75742031000000000000000000000000000000000000000000000000"
		"0000000000000000"
		"0000001000000000"
		"02000000";
	uint8_t expected[256];
	size_t size, at;
	struct machine *m = machine_new();

	(void)state;
	make_log(m);
	assert_int_equal(parse_hex(header, expected, sizeof(expected), &size), 0);
	assert_int_equal(size, 65);
	assert_memory_equal(m->log.data, expected, size);
	at = size;
	assert_int_equal(parse_hex(vm_version, expected, sizeof(expected), &size), 0);
	assert_int_equal(size, 150);
	assert_memory_equal(m->log.data + at, expected, size);
	machine_free(m);
}

/* The region in the guest is filled up with zeros. */
static void test_zeros_behind(void **state)
{
	struct machine *m = machine_new();
	struct evlog *log = malloc(sizeof(*log));
	struct ccr_err err = {0};

	(void)state;
	assert_non_null(log);
	m->has_log = true;
	make_log(m);
	memcpy(m->region, m->log.data, m->log.size);
	assert_int_equal(evlog_read_log(m->region, sizeof(m->region), log, &err), 0);
	m->region[sizeof(m->region) - 1] = 1;
	assert_int_equal(evlog_read_log(m->region, sizeof(m->region), log, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "event 15, at byte"));
	free(log);
	machine_free(m);
}

/* Whatever is cut off, and whichever bit is turned: an error, or another RIM, or no harm. */
static void test_cut_off_anywhere(void **state)
{
	struct machine *m = machine_new();
	struct evlog *log = malloc(sizeof(*log));

	(void)state;
	assert_non_null(log);
	make_log(m);
	for (size_t size = 0; size < m->log.size; size++) {
		uint8_t *copy = malloc(size + 1);
		struct ccr_err err = {0};

		assert_non_null(copy);
		memcpy(copy, m->log.data, size);
		assert_int_equal(evlog_read_log(copy, size, log, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "event "));
		free(copy);
	}
	free(log);
	machine_free(m);
}

/* Text that no RIM depends on may change; nothing else may without a trace. */
static bool is_hearsay(const struct machine *m, const struct evlog *log, size_t at)
{
	const size_t dtb = (size_t)(log->dtb - m->log.data);
	const uint8_t *found;

	if (at >= dtb && at < dtb + log->dtb_size)
		return true;
	/* The name, version, size and vCPUs of VM VERSION, and the header's class and revision. */
	if ((at >= 65 + 50 + 16 && at < 65 + 150) || at == 48 || at == 54)
		return true;
	/* An image's digest, name and place within its granules are for other tools. */
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {"KERNEL", "INITRD", "DTB"};

		found = memmem(m->log.data + dtb, m->log.size - dtb, names[i],
			       strlen(names[i]) + 1);
		while (found && found[-1] != strlen(names[i]) + 1)
			found = memmem(found + 1, m->log.size - (size_t)(found + 1 - m->log.data),
				       names[i], strlen(names[i]) + 1);
		assert_non_null(found);
		if (at + 1 + 4 + 32 >= (size_t)(found - m->log.data) &&
		    at < (size_t)(found - m->log.data) + strlen(names[i]) + 1 + 16)
			return true;
	}
	return false;
}

static void test_turned_bit_anywhere(void **state)
{
	struct machine *m = machine_new();
	struct evlog *good = malloc(sizeof(*good)), *log = malloc(sizeof(*log));
	uint8_t should[HASH_MAX_SIZE], rim[HASH_MAX_SIZE];

	(void)state;
	assert_true(good && log);
	make_log(m);
	assert_int_equal(evlog_read_log(m->log.data, m->log.size, good, NULL), 0);
	assert_int_equal(evlog_replay_rim(good, NULL, NULL, should, NULL), 0);
	for (size_t i = 0; i < m->log.size; i++) {
		const uint8_t bit = (uint8_t)(1u << i % 8);

		if (is_hearsay(m, good, i))
			continue;
		m->log.data[i] ^= bit;
		if (evlog_read_log(m->log.data, m->log.size, log, NULL) == 0 &&
		    evlog_replay_rim(log, NULL, NULL, rim, NULL) == 0 &&
		    !memcmp(rim, should, sizeof(rim)))
			fail_msg("a change of byte %zu of %zu shows nowhere", i, m->log.size);
		m->log.data[i] ^= bit;
	}
	free(good);
	free(log);
	machine_free(m);
}

/* Defects, each by writing bytes over a good log. The events of the machine above, in order. */
struct defect {
	unsigned event; /* whose sentence it is; counted from 1 */
	size_t offset;  /* in that event */
	const char *hex;
	const char *words;
};

static size_t event_offset(const struct blob *log, unsigned event)
{
	size_t at = 0;

	for (unsigned i = 1; i < event; i++) {
		uint32_t nr, size;

		if (i == 1) {
			at = 65;
			continue;
		}
		memcpy(&nr, log->data + at + 8, 4);
		at += 12 + nr * 34;
		memcpy(&size, log->data + at, 4);
		at += 4 + size;
	}
	return at;
}

static void test_defects(void **state)
{
	enum { HEAD, VM, DTB, RMM, CREATE, RIPAS, KERNEL, KERNEL_GRANULES };
	static const struct defect defects[] = {
		{1, 0, "01", "is not the header of a crypto-agile log"},
		{1, 4, "04", "is not the header of a crypto-agile log"},
		{1, 20, "01", "is not the header of a crypto-agile log"},
		{1, 32, "54", "is not the header of a crypto-agile log"},
		{1, 48, "07", "has the header of another kind of log"},
		{1, 53, "01", "has the header of another kind of log"},
		{1, 55, "01", "has the header of another kind of log"},
		{1, 56, "02", "has not just one hash, the realm's"},
		{1, 28, "22", "has not just one hash, the realm's"},
		{1, 60, "0400", "names a hash that realms do not have"},
		{1, 62, "30", "names a hash that realms do not have"},
		{1, 64, "01", "has vendor information, which is not known"},
		{2, 0, "01", "is not about the RIM"},
		{2, 4, "06", "comes before the machine's description"},
		{2, 8, "02", "has more digests than the header has hashes"},
		{2, 12, "0d", "has a digest that is not of the header's hash"},
		{2, 14, "01", "has a digest where nothing is measured, or has none"},
		{2, 46, "ffffffff", "is cut off"},
		{2, 50, "57", "has a signature that is not known"},
		{2, 66, "1b", "has a name that is not zero-padded plain text"},
		{2, 66 + 31, "41", "has a name that is not zero-padded plain text"},
		{2, 50, "44544200000000000000", "has a device tree in the wrong place"},
		{3, 50, "564d2056455253494f4e", "describes the machine a second time"},
		{4, 4, "07", "is of a type that is not known"},
		{4, 14, "01", "has a digest where nothing is measured, or has none"},
		{4, 50, "01000000", "has the wrong size"},
		{4, 50, "04434352", "has a tag that is not known"},
		{4, 54, "02", "has the wrong size"},
		{4, 58, "03", "names an RMM that is not known"},
		{5, 50, "02000000", "has the wrong size"},
		{5, 58, "08", "creates the realm with flags that are not known"},
		{5, 71, "01", "creates the realm with another hash than the header's"},
		{7, 50, "00", "has no usable description of its image"},
		{7, 50, "ff", "has no usable description of its image"},
		{7, 51, "0a", "has no usable description of its image"},
		{7, 50, "06", "has no usable description of its image"},
		{7, 50, "08", "has no usable description of its image"},
		{7, 58, "ffffffffffffffff", "has an image that is outside of every realm"},
		{7, 66, "0000000000000000", "has an image that is outside of every realm"},
		{7, 66, "0000000000001000", "has an image that is outside of every realm"},
		{8, 58, "00", NULL},
		{8, 59, "10", "has digests of granules that nothing was said of"},
		{8, 66, "02", "has not as many digests as it should"},
		{8, 66, "0400000000000000", "has not as many digests as it should"},
		{8, 66, "00", "has not as many digests as it should"},
		{8, 66, "ffffffffffffffff", "has not as many digests as it should"},
		{8, 50, "03", "comes before all digests of the granules of the image before it"},
		{9, 66, "ff", NULL},
		{13, 58, "00", "creates a vCPU that is not measured"},
		{13, 58, "03", "creates a vCPU that is not measured"},
	};
	struct machine *m = machine_new();
	struct evlog *log = malloc(sizeof(*log));

	(void)state;
	assert_non_null(log);
	make_log(m);
	for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
		const struct defect *defect = &defects[i];
		const size_t at = event_offset(&m->log, defect->event) + defect->offset;
		uint8_t bytes[16], before[16];
		struct ccr_err err = {0};
		char sentence[128];
		size_t size;

		assert_int_equal(parse_hex(defect->hex, bytes, sizeof(bytes), &size), 0);
		memcpy(before, m->log.data + at, size);
		memcpy(m->log.data + at, bytes, size);
		if (defect->words) {
			assert_int_equal(evlog_read_log(m->log.data, m->log.size, log, &err),
					 -EINVAL);
			snprintf(sentence, sizeof(sentence), "event %u, at byte %zu, %s",
				 defect->event, at - defect->offset, defect->words);
			assert_string_equal(err.msg, sentence);
		}
		memcpy(m->log.data + at, before, size);
	}
	assert_int_equal(evlog_read_log(m->log.data, m->log.size, log, NULL), 0);
	free(log);
	machine_free(m);
}

/* Steps that can be read, but that no RMM would carry out. */
static void test_impossible_steps(void **state)
{
	static const struct {
		unsigned event;
		size_t offset;
		const char *hex;
		int code;
		const char *words;
	} cases[] = {
		{5, 66, "20", -EINVAL, "no realm is created like that: "},
		{5, 66, "35", -EINVAL, "no realm is created like that: "},
		{5, 68, "40", -EINVAL, "no realm is created like that: "},
		{6, 58, "01", -EINVAL, "no realm allows this step: the initial RIPAS"},
		{6, 66, "ffffffffffff0f00", -EINVAL,
		 "no realm allows this step: the initial RIPAS"},
	};
	struct machine *m = machine_new();
	struct evlog *log = malloc(sizeof(*log));

	(void)state;
	assert_non_null(log);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t rim[HASH_MAX_SIZE];
		struct ccr_err err = {0};
		size_t size;

		make_log(m);
		assert_int_equal(parse_hex(cases[i].hex,
					   m->log.data + event_offset(&m->log, cases[i].event) +
						   cases[i].offset,
					   8, &size),
				 0);
		assert_int_equal(evlog_read_log(m->log.data, m->log.size, log, &err), 0);
		assert_int_equal(evlog_replay_rim(log, NULL, NULL, rim, &err), cases[i].code);
		assert_non_null(strstr(err.msg, cases[i].words));
	}
	free(log);
	machine_free(m);
}

/* What differs, by its name. */

static void compare(const struct machine *launched, struct machine *expected,
		    char text[EVLOG_MAX_DIFFERENCE])
{
	struct evlog *log = malloc(sizeof(*log));

	assert_non_null(log);
	assert_int_equal(evlog_read_log(launched->log.data, launched->log.size, log, NULL), 0);
	make_plan(expected);
	assert_int_equal(evlog_compare_plan(log, &expected->plan, &expected->host, text, NULL), 0);
	free(log);
}

static void assert_difference(const struct machine *launched, struct machine *expected,
			      const char *sentence)
{
	char text[EVLOG_MAX_DIFFERENCE];

	compare(launched, expected, text);
	assert_string_equal(text, sentence);
	machine_free(expected);
}

static void test_differences(void **state)
{
	struct machine *launched = machine_new();
	struct machine *expected = machine_new();

	(void)state;
	make_log(launched);
	assert_difference(launched, expected, "");

	/* 256 MiB are 128 blocks: step 0 is the realm, 129 the first page of the kernel. */
	expected = machine_new();
	expected->kernel[2 * GRANULE_SIZE] ^= 1;
	assert_difference(launched, expected, "RIM differs at step 131 (kernel page 2)");

	expected = machine_new();
	expected->initrd[INITRD_PAGE * GRANULE_SIZE] ^= 0x80;
	assert_difference(launched, expected, "RIM differs at step 139 (initrd page 7)");

	expected = machine_new();
	expected->cmdline = "console=ttyS0 debug";
	assert_difference(launched, expected,
			  "RIM differs at step 145 (device tree page 0: command line differs from "
			  "its byte 14 on: \"quiet\", expected \"debug\")");

	expected = machine_new();
	expected->nr_vcpus = 4;
	assert_difference(launched, expected,
			  "RIM differs at step 145 (device tree page 0: 2 vCPUs, expected 4)");

	expected = machine_new();
	expected->ram_size = 512 * MIB;
	assert_difference(launched, expected,
			  "RIM differs at step 129 (RAM of 256 MiB, expected 512)");

	expected = machine_new();
	expected->ram_size = 4096 * MIB;
	assert_difference(launched, expected,
			  "RIM differs at step 0 (realm parameters; RAM in MiB 256, expected 4096; "
			  "IPA width 33, expected 34)");

	expected = machine_new();
	expected->algo = HASH_SHA512;
	assert_difference(
		launched, expected,
		"RIM differs at step 0 (realm parameters; hash sha-256, expected sha-512)");

	expected = machine_new();
	expected->host.num_bps = 15;
	assert_difference(launched, expected,
			  "RIM differs at step 0 (realm parameters; breakpoints 6, expected 16)");

	expected = machine_new();
	expected->host.rmm = RMM_2_0_SPEC;
	assert_difference(
		launched, expected,
		"RIM differs at step 0 (realm parameters; the RMM measures in another way)");

	/* A longer initrd begins lower. */
	expected = machine_new();
	expected->initrd_size = INITRD_SIZE - GRANULE_SIZE;
	assert_difference(launched, expected,
			  "RIM differs at step 132 (initrd page 0 at 0x8fdf3000, expected initrd "
			  "page 0 at 0x8fdf4000)");

	expected = machine_new();
	expected->initrd_size = 0;
	assert_difference(launched, expected,
			  "RIM differs at step 132 (initrd page 0 at 0x8fdf3000, expected device "
			  "tree page 0 at 0x8fe00000)");

	expected = machine_new();
	expected->has_log = true;
	assert_difference(launched, expected,
			  "RIM differs at step 145 (device tree page 0: no place for the log, "
			  "expected one)");
	machine_free(launched);
}

/* The tree in the log counts only if it is the one that was measured. */
static void test_forged_tree(void **state)
{
	struct machine *launched = machine_new(), *expected = machine_new();
	uint8_t *found;

	(void)state;
	make_log(launched);
	found = memmem(launched->log.data, launched->log.size, "quiet", 5);
	assert_non_null(found);
	memcpy(found, "debug", 5);
	expected->cmdline = "console=ttyS0 other";
	assert_difference(launched, expected, "RIM differs at step 145 (device tree page 0)");
	machine_free(launched);
}

static void test_other_registers(void **state)
{
	struct machine *launched = machine_new(), *expected = machine_new();
	struct evlog *log = malloc(sizeof(*log));
	char text[EVLOG_MAX_DIFFERENCE];

	(void)state;
	assert_non_null(log);
	make_log(launched);
	make_plan(expected);
	expected->plan.gprs[1] = 7;
	assert_int_equal(evlog_read_log(launched->log.data, launched->log.size, log, NULL), 0);
	assert_int_equal(evlog_compare_plan(log, &expected->plan, &expected->host, text, NULL), 0);
	assert_string_equal(text, "RIM differs at step 161 (registers of the first vCPU; X1 0x0, "
				  "expected 0x7)");
	free(log);
	machine_free(launched);
	machine_free(expected);
}

/* A token, its log, and what its owner expects. */

static void verify(struct machine *launched, struct machine *expected, const uint8_t rpv[],
		   struct verify_result *result)
{
	static uint8_t token[RSI_MAX_TOKEN_SIZE]; /* the result points into it */
	struct token_claims claims = {.hash_algo = launched->algo};
	struct verify_policy *policy = calloc(1, sizeof(*policy));
	uint8_t rim[HASH_MAX_SIZE];
	size_t size;

	assert_non_null(policy);
	assert_int_equal(measure_plan(&launched->plan, &launched->host, NULL, NULL,
				      claims.measurements[0], NULL),
			 0);
	assert_int_equal(token_emulated(&claims, token, &size, NULL), 0);
	make_plan(expected);
	assert_int_equal(measure_plan(&expected->plan, &expected->host, NULL, NULL, rim, NULL), 0);
	policy->emulated = true;
	policy->log = launched->log.data;
	policy->log_size = launched->log.size;
	policy->plan = &expected->plan;
	policy->host = &expected->host;
	policy->has_hash_algo = true;
	policy->hash_algo = expected->algo;
	policy->rim.size = hash_size(expected->algo);
	memcpy(policy->rim.bytes, rim, policy->rim.size);
	if (rpv) {
		policy->rpv.size = PLAN_RPV_SIZE;
		memcpy(policy->rpv.bytes, rpv, PLAN_RPV_SIZE);
	}
	verify_token(token, size, policy, result);
	free(policy);
}

static void assert_rejected(struct machine *launched, struct machine *expected, const uint8_t rpv[],
			    enum verify_check check, const char *reason)
{
	struct verify_result result;

	verify(launched, expected, rpv, &result);
	assert_false(result.accepted);
	for (unsigned i = 0; i < check; i++)
		assert_int_not_equal(result.findings[i].outcome, VERIFY_FAILED);
	assert_int_equal(result.findings[check].outcome, VERIFY_FAILED);
	assert_string_equal(result.findings[check].reason, reason);
	machine_free(expected);
}

static void test_verify(void **state)
{
	struct machine *launched = machine_new(), *expected = machine_new();
	static const uint8_t rpv[PLAN_RPV_SIZE] = {0xc0};
	struct verify_result result;

	(void)state;
	make_log(launched);
	verify(launched, expected, NULL, &result);
	assert_true(result.accepted);
	assert_int_equal(result.findings[VERIFY_LOG].outcome, VERIFY_PASSED);
	assert_string_equal(result.findings[VERIFY_LOG].reason,
			    "of ccr-run, layout 1, replayed: gives the token's RIM");

	expected->initrd[INITRD_PAGE * GRANULE_SIZE] ^= 1;
	assert_rejected(launched, expected, NULL, VERIFY_RIM,
			"RIM differs at step 139 (initrd page 7)");
	expected = machine_new();
	expected->kernel[0] ^= 1;
	assert_rejected(launched, expected, NULL, VERIFY_RIM,
			"RIM differs at step 129 (kernel page 0)");
	expected = machine_new();
	expected->cmdline = "console=ttyS0 quieT";
	assert_rejected(launched, expected, NULL, VERIFY_RIM,
			"RIM differs at step 145 (device tree page 0: command line differs from "
			"its byte 18 on: \"t\", expected \"T\")");
	expected = machine_new();
	expected->ram_size += 2 * MIB;
	assert_rejected(launched, expected, NULL, VERIFY_RIM,
			"RIM differs at step 129 (RAM of 256 MiB, expected 258)");
	expected = machine_new();
	expected->nr_vcpus = 1;
	assert_rejected(launched, expected, NULL, VERIFY_RIM,
			"RIM differs at step 145 (device tree page 0: 2 vCPUs, expected 1)");
	expected = machine_new();
	expected->algo = HASH_SHA512;
	assert_rejected(launched, expected, NULL, VERIFY_HASH_ALGO,
			"hash algorithm is sha-256, expected sha-512");
	expected = machine_new();
	make_plan(expected);
	verify(launched, expected, rpv, &result);
	assert_int_equal(result.findings[VERIFY_RPV].outcome, VERIFY_FAILED);
	assert_memory_equal(result.findings[VERIFY_RPV].reason, "personalisation value is 00", 27);
	machine_free(expected);
	machine_free(launched);
}

/* Any other log than that of this realm's launch. */
static void test_verify_another_log(void **state)
{
	struct machine *launched = machine_new(), *expected = machine_new();
	struct verify_result result;

	(void)state;
	launched->kernel[1] ^= 1;
	make_log(launched);
	launched->kernel[1] ^= 1;
	verify(launched, expected, NULL, &result);
	assert_false(result.accepted);
	assert_int_equal(result.findings[VERIFY_LOG].outcome, VERIFY_FAILED);
	assert_memory_equal(result.findings[VERIFY_LOG].reason,
			    "measurement log is not of this realm's launch: replayed, it gives",
			    65);
	assert_int_equal(result.findings[VERIFY_RIM].outcome, VERIFY_PASSED);

	launched->log.size--;
	verify(launched, expected, NULL, &result);
	assert_int_equal(result.findings[VERIFY_LOG].outcome, VERIFY_FAILED);
	assert_string_equal(result.findings[VERIFY_LOG].reason,
			    "measurement log: event 13, at byte 3511, is cut off");

	launched->algo = HASH_SHA512;
	make_log(launched);
	launched->algo = HASH_SHA256;
	make_plan(launched);
	verify(launched, expected, NULL, &result);
	assert_string_equal(result.findings[VERIFY_LOG].reason,
			    "measurement log is of a realm with sha-512, the token's has sha-256");
	machine_free(expected);
	machine_free(launched);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_gives_the_rim),
		cmocka_unit_test(test_replay_of_every_host),
		cmocka_unit_test(test_large_image),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_zeros_behind),
		cmocka_unit_test(test_cut_off_anywhere),
		cmocka_unit_test(test_turned_bit_anywhere),
		cmocka_unit_test(test_defects),
		cmocka_unit_test(test_impossible_steps),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_forged_tree),
		cmocka_unit_test(test_other_registers),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_verify_another_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/realm/measure.c src/realm/plan.c src/util/hash.c src/util/err.c src/util/parse.c */
/* Runs tests/unit/rim.py by that name: the working directory is the top of the source. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/measure.h"
#include "ccr/parse.h"

#define RAM_BASE  0x80000000ull
#define DTB_BASE  0x8fe00000ull
#define NR_RANDOM 160

static const struct realm_host rmm1_host = {
	.family = REALM_FAMILY_EXPLICIT,
	.rmm = RMM_1_0,
	.num_bps = 5,
	.num_wps = 3,
};

static const uint64_t boot_gprs[PLAN_NR_GPRS] = {DTB_BASE};

static void fill_page(uint8_t page[GRANULE_SIZE])
{
	for (size_t i = 0; i < GRANULE_SIZE; i++)
		page[i] = (uint8_t)(7 * i + 3);
}

static const char *hex(const uint8_t rim[HASH_MAX_SIZE], enum hash_algo algo)
{
	static char text[2 * HASH_MAX_SIZE + 1];

	return parse_format_hex(rim, hash_size(algo), text);
}

static void assert_rim(const struct measure *m, const char *expected)
{
	const size_t size = strlen(expected) / 2;
	static const uint8_t zeros[HASH_MAX_SIZE];
	char text[2 * HASH_MAX_SIZE + 1];

	assert_string_equal(parse_format_hex(m->rim, size, text), expected);
	assert_memory_equal(m->rim + size, zeros, HASH_MAX_SIZE - size);
}

static struct measure create(enum hash_algo algo, const struct realm_host *host)
{
	const struct plan plan = {.hash_algo = algo, .ipa_bits = 33};
	struct measure m;

	assert_int_equal(measure_create(&m, &plan, host), 0);
	return m;
}

/* Reference values: each was also computed by another implementation. */

static void test_vector_params(void **state)
{
	const struct realm_host host = {.rmm = RMM_1_0, .num_bps = 1, .num_wps = 1};
	const struct plan plan = {.hash_algo = HASH_SHA256, .ipa_bits = 48};
	struct measure m;

	(void)state;
	assert_int_equal(measure_create(&m, &plan, &host), 0);
	assert_rim(&m, "6739dfb22b75ee1268d08dfa8369f501bc0b066243553f069f560d1fa1172973");
	measure_done(&m);
}

static void test_vector_chain(void **state)
{
	static const char *const ripas[] = {
		"9e98608682b6e978007f798b151d41f0fb801fec64f53bafabe4b77811c19ab3",
		"d94e3d4943ac329e4f4d54a143e17ef714995e61f1a05e0567edbf8176370e35",
		"fc89ab86357e795cc7a149220d49681beecafbb5ff2db5fbc530694e8e847fe3",
		"a20b8f8df424f63212fe5929f94b17b2a12af799d54fd2ccd4fb885d01b30cd5",
		"8ebe92ca5d001974c751faa2ae6b9f4cdbf539e20830a4c06ac257dfa9a0549a",
	};
	static const uint64_t tops[] = {0x80200000, 0x80400000, 0x80401000, 0x80402000, 0x80403000};
	uint8_t page[GRANULE_SIZE];
	struct measure m;

	(void)state;
	fill_page(page);
	/* The range is cut where entries end anyway: the same entries, one after the other. */
	for (unsigned i = 0; i < 5; i++) {
		m = create(HASH_SHA256, &rmm1_host);
		assert_rim(&m, "53de626e00bd6e56fdab0d092b7963081274c9b3d1cbbe5bbfe87ce9f2f294e8");
		assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE), tops[i] - RAM_BASE), 0);
		assert_rim(&m, ripas[i]);
		if (i < 4)
			measure_done(&m);
	}
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE), page), 0);
	assert_rim(&m, "da986a44d04a2fbb12595dba4057ee7ddd8747c185089fcb642e446f2fadb73d");
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x1000), NULL), 0);
	assert_rim(&m, "f76cae25621462a7476a9b788594f5ba146a3d4130f8025354971d5bbd7efdd2");
	assert_int_equal(measure_rec(&m, RAM_BASE, boot_gprs), 0);
	assert_rim(&m, "b4c168c00d5e0620d446c5cfcce4f376e0a11e89474bfab84dcc0561c7944bd2");
	measure_done(&m);
	assert_rim(&m, "b4c168c00d5e0620d446c5cfcce4f376e0a11e89474bfab84dcc0561c7944bd2");
}

static void assert_final(enum rmm_variant rmm, enum hash_algo algo, const char *expected)
{
	struct realm_host host = rmm1_host;
	uint8_t page[GRANULE_SIZE];
	struct measure m;

	fill_page(page);
	host.rmm = rmm;
	m = create(algo, &host);
	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE), 0x403000), 0);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE), page), 0);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x1000), NULL), 0);
	assert_int_equal(measure_rec(&m, RAM_BASE, boot_gprs), 0);
	assert_rim(&m, expected);
	measure_done(&m);
}

static void test_vector_variants(void **state)
{
	(void)state;
	assert_final(RMM_1_0, HASH_SHA256,
		     "b4c168c00d5e0620d446c5cfcce4f376e0a11e89474bfab84dcc0561c7944bd2");
	assert_final(RMM_2_0_TFRMM, HASH_SHA256,
		     "d3e2174b8ddee013375aeb83f51945b6b2fdde106cf0bf226119b793647fe02f");
	assert_final(RMM_2_0_SPEC, HASH_SHA256,
		     "e5e0242e5a3f8d8ef603f9beb41a1d80b184fb71105545d633e00cf30b282421");
	assert_final(RMM_1_0, HASH_SHA512,
		     "3b444b44f8785ba087b66b7ceeab77076db8d39f1f4f160d203a4ad3fd25d0b1"
		     "9f125e91922d6b42e8bab302f9e6c8d7edb0245184f155d22a27f77bff7c7424");
}

static const struct realm_host tfrmm_0_5_host = {
	.family = REALM_FAMILY_EXPLICIT,
	.rmm = RMM_1_0,
	.num_bps = 5,
	.num_wps = 3,
	.sve = true,
	.sve_vl = 3,
	.pmu = true,
	.pmu_num_ctrs = 6,
};

static struct plan make_plan(const uint8_t page[GRANULE_SIZE])
{
	struct plan plan = {
		.hash_algo = HASH_SHA256,
		.ipa_bits = 33,
		.nr_vcpus = 1,
		.ram_base = ipa_at(RAM_BASE),
		.ram_size = SZ_2M,
		.pc = RAM_BASE,
		.gprs = {1, 2, 3, 4, 5, 6, 7, 8},
	};

	assert_int_equal(
		plan_add(&plan, "measured", ipa_at(RAM_BASE), page, GRANULE_SIZE, 0, true, NULL),
		0);
	assert_int_equal(plan_add(&plan, "unmeasured", ipa_at(RAM_BASE + 0x1000), page,
				  GRANULE_SIZE, 0, false, NULL),
			 0);
	return plan;
}

/* Of that plan: rim.py's. */
static const char plan_rim[] = "d5064ead894e608c72b07e3160a40b91a1bbaf2e86a9496a0007b52da4683fa7";

static void assert_plan(const struct plan *plan, const struct realm_host *host,
			const char *expected)
{
	uint8_t rim[HASH_MAX_SIZE];

	assert_int_equal(measure_plan(plan, host, NULL, NULL, rim, NULL), 0);
	assert_string_equal(hex(rim, plan->hash_algo), expected);
}

/* A value that a compiled TF-RMM v0.5.0 returned; what is not measured came before the REC. */
static void test_vector_tfrmm_0_5(void **state)
{
	static const uint64_t gprs[PLAN_NR_GPRS] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct measure m = create(HASH_SHA256, &tfrmm_0_5_host);
	uint8_t page[GRANULE_SIZE];

	(void)state;
	fill_page(page);
	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE), SZ_2M), 0);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE), page), 0);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x1000), NULL), 0);
	assert_int_equal(measure_rec(&m, RAM_BASE, gprs), 0);
	assert_rim(&m, "e83f95df4256b570e69c904e8c86fb6077888d0db05fc92b34c1a128b7d2b4e5");
	measure_done(&m);
}

/* What is in the plan but not in the RIM, and what is in both. */
static void test_what_counts(void **state)
{
	uint8_t page[GRANULE_SIZE], other[GRANULE_SIZE], rim[HASH_MAX_SIZE];
	struct plan plan;

	(void)state;
	fill_page(page);
	memcpy(other, page, sizeof(other));
	other[GRANULE_SIZE - 1] ^= 1;

	plan = make_plan(page);
	plan.nr_vcpus = PLAN_MAX_VCPUS;
	plan.rpv[0] = 1;
	plan.segments[1].data = other;
	assert_plan(&plan, &tfrmm_0_5_host, plan_rim);

	plan.segments[0].data = other;
	assert_int_equal(measure_plan(&plan, &tfrmm_0_5_host, NULL, NULL, rim, NULL), 0);
	assert_string_not_equal(hex(rim, HASH_SHA256), plan_rim);

	plan = make_plan(page);
	plan.segments[1].base.v += 0x1000;
	assert_int_equal(measure_plan(&plan, &tfrmm_0_5_host, NULL, NULL, rim, NULL), 0);
	assert_string_not_equal(hex(rim, HASH_SHA256), plan_rim);

	plan = make_plan(page);
	plan.gprs[7]++;
	assert_int_equal(measure_plan(&plan, &tfrmm_0_5_host, NULL, NULL, rim, NULL), 0);
	assert_string_not_equal(hex(rim, HASH_SHA256), plan_rim);
}

/*
 * Observed steps as text, to compare with a literal. Neighbours of the same kind and size are one
 * line that ends in their number.
 */
struct trace {
	char text[1024];
	size_t length;
	char pending[64];
	uint64_t size, next;
	unsigned nr;
	uint8_t last[HASH_MAX_SIZE];
};

static void trace_flush(struct trace *trace)
{
	const size_t room = sizeof(trace->text) - trace->length;
	const int length = snprintf(trace->text + trace->length, room, " x%u\n", trace->nr);

	assert_true(length > 0 && (size_t)length < room);
	trace->length += (size_t)length;
	trace->nr = 0;
}

static void trace_step(void *ctx, const char *what, const struct plan_segment *segment, ipa_t base,
		       uint64_t size, const uint8_t *rim)
{
	struct trace *trace = ctx;
	char line[64];

	snprintf(line, sizeof(line), "%s%s%s", what, segment ? " " : "",
		 segment ? segment->name : "");
	if (trace->nr > 0 && (strcmp(line, trace->pending) != 0 || size != trace->size ||
			      base.v != trace->next || size == 0))
		trace_flush(trace);
	if (trace->nr == 0) {
		const size_t room = sizeof(trace->text) - trace->length;
		const int length = snprintf(trace->text + trace->length, room,
					    "%s %" PRIx64 "+%" PRIx64, line, base.v, size);

		assert_true(length > 0 && (size_t)length < room);
		trace->length += (size_t)length;
	}
	memcpy(trace->pending, line, sizeof(line));
	trace->size = size;
	trace->next = base.v + size;
	trace->nr++;
	memcpy(trace->last, rim, 32);
}

static void assert_trace(const struct plan *plan, const struct realm_host *host,
			 const char *expected)
{
	struct trace trace = {.length = 0};
	uint8_t rim[HASH_MAX_SIZE];

	assert_int_equal(measure_plan(plan, host, trace_step, &trace, rim, NULL), 0);
	trace_flush(&trace);
	assert_string_equal(trace.text, expected);
	assert_memory_equal(trace.last, rim, 32);
}

static void test_observer(void **state)
{
	struct realm_host host = rmm1_host;
	uint8_t page[GRANULE_SIZE];
	struct plan plan;

	(void)state;
	fill_page(page);
	plan = make_plan(page);
	plan.nr_vcpus = 3;
	assert_trace(&plan, &host,
		     "realm parameters 0+0 x1\n"
		     "RIPAS RAM 80000000+200000 x1\n"
		     "data measured 80000000+1000 x1\n"
		     "REC 0+0 x1\n"
		     "data (unmeasured) unmeasured 80001000+1000 x1\n");
	host.rmm = RMM_2_0_SPEC;
	assert_trace(&plan, &host,
		     "realm parameters 0+0 x1\n"
		     "data measured 80000000+1000 x1\n"
		     "REC 0+0 x1\n"
		     "data (unmeasured) unmeasured 80001000+1000 x1\n");
}

static struct plan make_empty_plan(unsigned ipa_bits, uint64_t ram_base, uint64_t ram_size)
{
	return (struct plan){
		.ipa_bits = ipa_bits,
		.nr_vcpus = 1,
		.ram_base = ipa_at(ram_base),
		.ram_size = ram_size,
	};
}

#define SZ_512G (512 * SZ_1G)

/* The IPA width decides how coarse entries can be. */
static void test_ripas_first_level(void **state)
{
	struct realm_host host = rmm1_host;
	struct plan plan;

	(void)state;
	host.lpa2 = true;
	for (unsigned ipa_bits = 33; ipa_bits <= 34; ipa_bits++) {
		plan = make_empty_plan(ipa_bits, SZ_1G - SZ_2M, SZ_1G + 3 * SZ_2M);
		assert_trace(&plan, &host,
			     "realm parameters 0+0 x1\n"
			     "RIPAS RAM 3fe00000+200000 x515\n"
			     "REC 0+0 x1\n");
	}
	for (unsigned ipa_bits = 35; ipa_bits <= 52; ipa_bits++) {
		plan = make_empty_plan(ipa_bits, SZ_1G - SZ_2M, SZ_1G + 3 * SZ_2M);
		assert_trace(&plan, &host,
			     "realm parameters 0+0 x1\n"
			     "RIPAS RAM 3fe00000+200000 x1\n"
			     "RIPAS RAM 40000000+40000000 x1\n"
			     "RIPAS RAM 80000000+200000 x2\n"
			     "REC 0+0 x1\n");
	}
	for (unsigned ipa_bits = 42; ipa_bits <= 43; ipa_bits++) {
		plan = make_empty_plan(ipa_bits, SZ_512G, SZ_512G + SZ_1G);
		assert_trace(&plan, &host,
			     "realm parameters 0+0 x1\n"
			     "RIPAS RAM 8000000000+40000000 x513\n"
			     "REC 0+0 x1\n");
	}
	for (unsigned ipa_bits = 44; ipa_bits <= 52; ipa_bits++) {
		plan = make_empty_plan(ipa_bits, SZ_512G, SZ_512G + SZ_1G);
		assert_trace(&plan, &host,
			     "realm parameters 0+0 x1\n"
			     "RIPAS RAM 8000000000+8000000000 x1\n"
			     "RIPAS RAM 10000000000+40000000 x1\n"
			     "REC 0+0 x1\n");
	}
}

/* KVM's implicit families on RMM 1.0: RIPAS last, around what is populated. */
static void test_ripas_after_data(void **state)
{
	struct realm_host host = rmm1_host;
	struct plan plan = make_empty_plan(40, SZ_1G - SZ_2M, SZ_1G + 3 * SZ_2M);

	(void)state;
	host.family = REALM_FAMILY_IMPLICIT;
	assert_int_equal(plan_add(&plan, "x", ipa_at(0x801fe000), NULL, 0, 0x2000, false, NULL), 0);
	assert_trace(&plan, &host,
		     "realm parameters 0+0 x1\n"
		     "data (unmeasured) x 801fe000+1000 x2\n"
		     "REC 0+0 x1\n"
		     "RIPAS RAM 3fe00000+200000 x1\n"
		     "RIPAS RAM 40000000+40000000 x1\n"
		     "RIPAS RAM 80000000+1000 x510\n"
		     "RIPAS RAM 80200000+200000 x1\n");

	/* One granule more takes the block of 1 GiB apart. */
	assert_int_equal(plan_add(&plan, "y", ipa_at(0x40000000), NULL, 0, 1, false, NULL), 0);
	assert_trace(&plan, &host,
		     "realm parameters 0+0 x1\n"
		     "data (unmeasured) y 40000000+1000 x1\n"
		     "data (unmeasured) x 801fe000+1000 x2\n"
		     "REC 0+0 x1\n"
		     "RIPAS RAM 3fe00000+200000 x1\n"
		     "RIPAS RAM 40001000+1000 x511\n"
		     "RIPAS RAM 40200000+200000 x511\n"
		     "RIPAS RAM 80000000+1000 x510\n"
		     "RIPAS RAM 80200000+200000 x1\n");

	/* An RMM 2.0 measures none of it. */
	host.rmm = RMM_2_0_TFRMM;
	assert_trace(&plan, &host,
		     "realm parameters 0+0 x1\n"
		     "data (unmeasured) y 40000000+1000 x1\n"
		     "data (unmeasured) x 801fe000+1000 x2\n"
		     "REC 0+0 x1\n");
}

static void test_ripas_after_data_everywhere(void **state)
{
	struct realm_host host = rmm1_host;
	struct plan plan = make_empty_plan(44, SZ_512G - SZ_2M, 2 * SZ_512G + SZ_2M);

	(void)state;
	host.family = REALM_FAMILY_IMPLICIT;
	/* Two segments that touch, and together fill an entry of level 2. */
	assert_int_equal(plan_add(&plan, "a", ipa_at(SZ_512G), NULL, 0, 0x1ff000, false, NULL), 0);
	assert_int_equal(plan_add(&plan, "b", ipa_at(SZ_512G + 0x1ff000), NULL, 0, 1, false, NULL),
			 0);
	assert_trace(&plan, &host,
		     "realm parameters 0+0 x1\n"
		     "data (unmeasured) a 8000000000+1000 x511\n"
		     "data (unmeasured) b 80001ff000+1000 x1\n"
		     "REC 0+0 x1\n"
		     "RIPAS RAM 7fffe00000+200000 x1\n"
		     "RIPAS RAM 8000200000+200000 x511\n"
		     "RIPAS RAM 8040000000+40000000 x511\n"
		     "RIPAS RAM 10000000000+8000000000 x1\n");
}

static void test_lead_and_tail_are_zeros(void **state)
{
	static const uint8_t bytes[3] = {1, 2, 3};
	uint8_t page[GRANULE_SIZE] = {0}, rim[HASH_MAX_SIZE];
	struct plan plan = make_empty_plan(33, RAM_BASE, SZ_2M);
	struct measure m = create(HASH_SHA256, &rmm1_host);

	(void)state;
	assert_int_equal(plan_add(&plan, "x", ipa_at(RAM_BASE + 0xffe), bytes, 3, 0, true, NULL),
			 0);
	assert_int_equal(measure_plan(&plan, &rmm1_host, NULL, NULL, rim, NULL), 0);

	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE), SZ_2M), 0);
	page[0xffe] = 1;
	page[0xfff] = 2;
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE), page), 0);
	memset(page, 0, sizeof(page));
	page[0] = 3;
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x1000), page), 0);
	assert_int_equal(measure_rec(&m, 0, plan.gprs), 0);
	assert_memory_equal(m.rim, rim, sizeof(rim));
	measure_done(&m);
}

static void test_create_refuses(void **state)
{
	struct realm_host host = rmm1_host;
	struct plan plan = {.ipa_bits = 32};
	struct measure m;

	(void)state;
	assert_int_equal(measure_create(&m, &plan, &host), -EINVAL);
	assert_null(m.hash.evp);
	plan.ipa_bits = 33;
	plan.hash_algo = HASH_SHA384;
	assert_int_equal(measure_create(&m, &plan, &host), -EOPNOTSUPP);
	host.rmm = RMM_2_0_SPEC;
	assert_int_equal(measure_create(&m, &plan, &host), 0);
	assert_rim(&m, "000000000000000000000000000000000000000000000000"
		       "000000000000000000000000000000000000000000000000");
	measure_done(&m);
	host.num_bps = 64;
	assert_int_equal(measure_create(&m, &plan, &host), -EINVAL);
	measure_done(&m);
}

static void test_bad_ranges(void **state)
{
	struct measure m = create(HASH_SHA256, &rmm1_host);
	const struct measure before = m;
	uint8_t page[GRANULE_SIZE] = {0};

	(void)state;
	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE + 1), SZ_2M), -EINVAL);
	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE), 1), -EINVAL);
	assert_int_equal(measure_ripas(&m, ipa_at(1ull << 32), 0x1000), -EINVAL);
	assert_int_equal(measure_ripas(&m, ipa_at(0), (1ull << 32) + 0x1000), -EINVAL);
	assert_int_equal(measure_ripas(&m, ipa_at(0ull - 0x1000), 0x2000), -EINVAL);
	assert_int_equal(measure_ripas(&m, ipa_at(0x1000), 0ull - 0x1000), -EINVAL);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x800), page), -EINVAL);
	assert_int_equal(measure_data(&m, ipa_at(1ull << 32), page), -EINVAL);
	assert_int_equal(measure_data(&m, ipa_at(0ull - 0x1000), page), -EINVAL);
	assert_memory_equal(&m, &before, sizeof(m));
	measure_done(&m);
}

static void test_ripas_once(void **state)
{
	struct measure m = create(HASH_SHA256, &rmm1_host);

	(void)state;
	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE), SZ_2M), 0);
	assert_rim(&m, "9e98608682b6e978007f798b151d41f0fb801fec64f53bafabe4b77811c19ab3");
	assert_int_equal(measure_ripas(&m, ipa_at(RAM_BASE + SZ_2M), SZ_2M), -EPROTO);
	assert_rim(&m, "9e98608682b6e978007f798b151d41f0fb801fec64f53bafabe4b77811c19ab3");
	measure_done(&m);
}

static void test_data_runs(void **state)
{
	struct measure m = create(HASH_SHA256, &rmm1_host);
	uint8_t rim[HASH_MAX_SIZE];

	(void)state;
	/* Runs in any order; granule 0 of each, then granule 1 of each. */
	for (unsigned page = 0; page < 2; page++) {
		for (unsigned i = PLAN_MAX_SEGMENTS; i-- > 0;) {
			const uint64_t base = RAM_BASE + i * 0x10000 + page * 0x1000;

			assert_int_equal(measure_data(&m, ipa_at(base), NULL), 0);
		}
	}
	memcpy(rim, m.rim, sizeof(rim));
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE), NULL), -EEXIST);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x71000), NULL), -EEXIST);
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x80000), NULL), -ENOSPC);
	assert_memory_equal(m.rim, rim, sizeof(rim));
	assert_int_equal(measure_data(&m, ipa_at(RAM_BASE + 0x2000), NULL), 0);
	measure_done(&m);
}

static void test_plan_errors(void **state)
{
	struct plan plan = make_empty_plan(33, RAM_BASE, SZ_2M);
	uint8_t rim[HASH_MAX_SIZE], before[HASH_MAX_SIZE];
	struct ccr_err err = {0};

	(void)state;
	memset(before, 0xa5, sizeof(before));
	memcpy(rim, before, sizeof(rim));
	plan.nr_vcpus = 0;
	assert_int_equal(measure_plan(&plan, &rmm1_host, NULL, NULL, rim, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_memory_equal(rim, before, sizeof(rim));
}

/* The second opinion: random plans, described to tests/unit/rim.py, which computes them anew. */

static uint64_t random64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* 0 to @top, which is below 2^32 */
static unsigned below(uint64_t *state, unsigned top)
{
	return (unsigned)(random64(state) % top);
}

static struct realm_host random_host(uint64_t *state)
{
	struct realm_host host = {
		.family = (enum realm_family)below(state, 3),
		.rmm = (enum rmm_variant)below(state, 5),
		.num_bps = below(state, 64),
		.num_wps = below(state, 64),
		.pmu = below(state, 2),
		.pmu_num_ctrs = below(state, 32),
		.sve = below(state, 2),
		.sve_vl = below(state, 16),
		.lpa2 = below(state, 2),
	};

	/* The variant with the most to get wrong is met more often. */
	if (host.rmm > RMM_2_0_SPEC)
		host.rmm = RMM_1_0;
	return host;
}

static enum hash_algo random_hash(uint64_t *state, const struct realm_host *host)
{
	if (host->family != REALM_FAMILY_EXPLICIT)
		return HASH_SHA256;
	return (enum hash_algo)below(state, host->rmm == RMM_1_0 ? HASH_SHA384 : HASH_SHA384 + 1);
}

static struct plan random_plan(uint64_t *state, const struct realm_host *host)
{
	struct plan plan = {
		.hash_algo = random_hash(state, host),
		.ipa_bits = 33 + below(state, host->lpa2 ? 20 : 16),
		.nr_vcpus = 1 + below(state, 8),
		.pc = random64(state),
	};
	const uint64_t nr_blocks = (1ull << (plan.ipa_bits - 1)) / SZ_2M;
	const uint64_t size_limit = nr_blocks >> below(state, plan.ipa_bits - 21);
	uint64_t base, size;

	size = 1 + random64(state) % size_limit;
	base = random64(state) % (nr_blocks - size + 1);
	/* Often at a big block's boundary, or just below. */
	if (below(state, 2) && base > 512)
		base = align_down(base, 512) - below(state, 2);
	plan.ram_base = ipa_at(base * SZ_2M);
	plan.ram_size = size * SZ_2M;
	for (unsigned i = 0; i < PLAN_NR_GPRS; i++)
		plan.gprs[i] = random64(state) >> below(state, 64);
	return plan;
}

#define MAX_DATA (3 * GRANULE_SIZE)

static void describe_segment(FILE *out, uint64_t base, const uint8_t *data, uint64_t size,
			     uint64_t min_size, bool measured, bool first)
{
	static char text[2 * MAX_DATA + 1];

	fprintf(out,
		"%s{\"base\": %" PRIu64 ", \"min_size\": %" PRIu64
		", \"measured\": %s, \"data\": \"%s\"}",
		first ? "" : ", ", base, min_size, measured ? "true" : "false",
		parse_format_hex(data, size, text));
}

static uint64_t random_address(uint64_t *state, const struct plan *plan)
{
	static const uint64_t units[] = {1, GRANULE_SIZE, SZ_2M, SZ_1G};
	const uint64_t at = plan->ram_base.v + random64(state) % plan->ram_size;
	const uint64_t boundary = align_down(at, units[below(state, 4)]);

	return below(state, 2) ? boundary : boundary - below(state, 2 * GRANULE_SIZE);
}

/* Wishes that plan_add() refuses (outside RAM, overlapping) are not described. */
static void add_random_segments(FILE *out, uint64_t *state, struct plan *plan,
				uint8_t data[PLAN_MAX_SEGMENTS][MAX_DATA])
{
	const unsigned nr_wishes = below(state, PLAN_MAX_SEGMENTS + 1);

	for (unsigned i = 0; i < nr_wishes; i++) {
		const uint64_t base = random_address(state, plan);
		const uint64_t size = below(state, MAX_DATA + 1);
		const uint64_t min_size = below(state, 3) ? 0 : below(state, 4 * MAX_DATA);
		const bool measured = below(state, 4);
		const bool first = plan->nr_segments == 0;

		for (unsigned j = 0; j < size; j++)
			data[i][j] = (uint8_t)random64(state);
		if (!plan_add(plan, "x", ipa_at(base), data[i], size, min_size, measured, NULL))
			describe_segment(out, base, data[i], size, min_size, measured, first);
	}
}

static void describe_head(FILE *out, const struct plan *plan, const struct realm_host *host)
{
	static const char *const families[] = {"explicit", "implicit", "implicit-gmem"};
	static const char *const variants[] = {"rmm1", "tfrmm2", "spec2"};

	fprintf(out, "{\"family\": \"%s\", \"variant\": \"%s\", \"hash\": \"%s\"",
		families[host->family], variants[host->rmm], hash_name(plan->hash_algo));
	fprintf(out, ", \"ipa_bits\": %u, \"num_bps\": %u, \"num_wps\": %u, \"pmu_num_ctrs\": %u",
		plan->ipa_bits, host->num_bps, host->num_wps, host->pmu_num_ctrs);
	fprintf(out, ", \"sve_vl\": %u, \"lpa2\": %s, \"sve\": %s, \"pmu\": %s", host->sve_vl,
		host->lpa2 ? "true" : "false", host->sve ? "true" : "false",
		host->pmu ? "true" : "false");
	fprintf(out, ", \"ram\": [%" PRIu64 ", %" PRIu64 "], \"pc\": %" PRIu64 ", \"gprs\": [",
		plan->ram_base.v, plan->ram_size, plan->pc);
	for (unsigned i = 0; i < PLAN_NR_GPRS; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : "", plan->gprs[i]);
}

static void describe_random_plan(FILE *out, uint64_t *state)
{
	static uint8_t data[PLAN_MAX_SEGMENTS][MAX_DATA];
	const struct realm_host host = random_host(state);
	struct plan plan = random_plan(state, &host);
	uint8_t rim[HASH_MAX_SIZE];
	struct ccr_err err = {0};

	describe_head(out, &plan, &host);
	fprintf(out, "], \"segments\": [");
	add_random_segments(out, state, &plan, data);
	measure_plan(&plan, &host, NULL, NULL, rim, &err);
	assert_string_equal(err.msg, "");
	fprintf(out, "], \"rim\": \"%s\"}\n", hex(rim, plan.hash_algo));
}

/* Commands of test_vector_chain(). */
#define CHAIN                                                             \
	"\"ipa_bits\": 33, \"num_bps\": 5, \"num_wps\": 3, \"steps\": ["  \
	"[\"ripas\", 2147483648, 4206592], "                              \
	"[\"data\", 2147483648, {\"pattern\": [7, 3], \"size\": 4096}], " \
	"[\"data\", 2147487744, null], "                                  \
	"[\"rec\", 2147483648, [2413821952, 0, 0, 0, 0, 0, 0, 0]]]"

/* The reference values once more, so that rim.py is known to be right before it judges. */
static const char *const vectors[] = {
	"\"variant\": \"rmm1\", \"hash\": \"sha-256\", \"ipa_bits\": 48, \"num_bps\": 1, "
	"\"num_wps\": 1, \"steps\": [], "
	"\"rim\": \"6739dfb22b75ee1268d08dfa8369f501bc0b066243553f069f560d1fa1172973\"",
	"\"variant\": \"rmm1\", \"hash\": \"sha-256\", " CHAIN ", "
	"\"rim\": \"b4c168c00d5e0620d446c5cfcce4f376e0a11e89474bfab84dcc0561c7944bd2\"",
	"\"variant\": \"tfrmm2\", \"hash\": \"sha-256\", " CHAIN ", "
	"\"rim\": \"d3e2174b8ddee013375aeb83f51945b6b2fdde106cf0bf226119b793647fe02f\"",
	"\"variant\": \"spec2\", \"hash\": \"sha-256\", " CHAIN ", "
	"\"rim\": \"e5e0242e5a3f8d8ef603f9beb41a1d80b184fb71105545d633e00cf30b282421\"",
	"\"variant\": \"rmm1\", \"hash\": \"sha-512\", " CHAIN ", "
	"\"rim\": \"3b444b44f8785ba087b66b7ceeab77076db8d39f1f4f160d203a4ad3fd25d0b1"
	"9f125e91922d6b42e8bab302f9e6c8d7edb0245184f155d22a27f77bff7c7424\"",
};

static void test_second_opinion(void **state)
{
	uint64_t random = 1;
	FILE *out;

	(void)state;
	/* A reader that fails early is seen by its exit status. */
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	fflush(stdout);
	out = popen("python3 tests/unit/rim.py --check -", "w");
	assert_non_null(out);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		fprintf(out, "{%s}\n", vectors[i]);
	for (unsigned i = 0; i < NR_RANDOM; i++)
		describe_random_plan(out, &random);
	assert_int_equal(pclose(out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_params),
		cmocka_unit_test(test_vector_chain),
		cmocka_unit_test(test_vector_variants),
		cmocka_unit_test(test_vector_tfrmm_0_5),
		cmocka_unit_test(test_what_counts),
		cmocka_unit_test(test_observer),
		cmocka_unit_test(test_ripas_first_level),
		cmocka_unit_test(test_ripas_after_data),
		cmocka_unit_test(test_ripas_after_data_everywhere),
		cmocka_unit_test(test_lead_and_tail_are_zeros),
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_ripas_once),
		cmocka_unit_test(test_data_runs),
		cmocka_unit_test(test_plan_errors),
		cmocka_unit_test(test_second_opinion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

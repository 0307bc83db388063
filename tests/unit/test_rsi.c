/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/realm/rsi.c src/util/hash.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/rsi.h"

/* A realm of 33 bits whose RAM is a few granules; all other addresses are EMPTY. */

#define RAM      0x80000000ull
#define NR_PAGES 4
#define RAM_TOP  (RAM + NR_PAGES * GRANULE_SIZE)
#define PAR_TOP  0x100000000ull /* first shared address */

struct model {
	uint8_t memory[NR_PAGES][GRANULE_SIZE];
	enum rsi_ripas ripas[NR_PAGES];
	uint16_t imm; /* of the last host call */
	unsigned nr_host_calls;
	unsigned nr_tokens;
	uint8_t challenge[RSI_CHALLENGE_SIZE];
	uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];
	size_t token_size;
	int token_ret;
};

struct fixture {
	struct model model;
	struct rsi rsi;
	struct rsi_vcpu vcpus[2];
	uint64_t x[RSI_NR_GPRS];
};

static uint8_t *model_bytes(struct model *model, ipa_t base, size_t size)
{
	const uint64_t page = (base.v - RAM) / GRANULE_SIZE;

	/* Whatever the guest asked for, this is what ops are promised. */
	assert_true(base.v < PAR_TOP);
	assert_true(size > 0 && base.v % GRANULE_SIZE + size <= GRANULE_SIZE);
	if (base.v < RAM || page >= NR_PAGES || model->ripas[page] != RSI_RAM)
		return NULL;
	return &model->memory[page][base.v % GRANULE_SIZE];
}

static int model_read(void *ctx, ipa_t base, void *buf, size_t size)
{
	const uint8_t *bytes = model_bytes(ctx, base, size);

	if (!bytes)
		return -EFAULT;
	memcpy(buf, bytes, size);
	return 0;
}

static int model_write(void *ctx, ipa_t base, const void *buf, size_t size)
{
	uint8_t *bytes = model_bytes(ctx, base, size);

	if (!bytes)
		return -EFAULT;
	memcpy(bytes, buf, size);
	return 0;
}

static enum rsi_ripas model_state(const struct model *model, uint64_t base)
{
	return base < RAM || base >= RAM_TOP ? RSI_EMPTY
					     : model->ripas[(base - RAM) / GRANULE_SIZE];
}

static void assert_range(ipa_t base, ipa_t top)
{
	assert_true(base.v < top.v && top.v <= PAR_TOP);
	assert_true(base.v % GRANULE_SIZE == 0 && top.v % GRANULE_SIZE == 0);
}

static enum rsi_ripas model_ripas_get(void *ctx, ipa_t base, ipa_t top, ipa_t *ret_top)
{
	const enum rsi_ripas ripas = model_state(ctx, base.v);
	uint64_t at = base.v;

	assert_range(base, top);
	while (at < top.v && model_state(ctx, at) == ripas)
		at = at < RAM ? RAM : at < RAM_TOP ? at + GRANULE_SIZE : top.v;
	*ret_top = ipa_at(at < top.v ? at : top.v);
	return ripas;
}

/* Changes RAM as far as the range goes; rejects RAM elsewhere; stops at a DESTROYED granule. */
static int model_ripas_set(void *ctx, ipa_t base, ipa_t top, enum rsi_ripas ripas,
			   bool change_destroyed, ipa_t *ret_top)
{
	struct model *model = ctx;

	assert_range(base, top);
	assert_true(ripas == RSI_EMPTY || ripas == RSI_RAM);
	*ret_top = base;
	while (ret_top->v < top.v) {
		const uint64_t page = (ret_top->v - RAM) / GRANULE_SIZE;

		if (ret_top->v < RAM || page >= NR_PAGES)
			return -EPERM;
		if (model->ripas[page] == RSI_DESTROYED && !change_destroyed)
			return 0;
		model->ripas[page] = ripas;
		ret_top->v += GRANULE_SIZE;
	}
	return 0;
}

static void model_host_call(void *ctx, uint16_t imm, uint64_t gprs[RSI_NR_GPRS])
{
	struct model *model = ctx;

	model->imm = imm;
	model->nr_host_calls++;
	for (unsigned i = 0; i < RSI_NR_GPRS; i++)
		gprs[i] += i + 1;
}

static int model_token(void *ctx, const uint8_t challenge[RSI_CHALLENGE_SIZE],
		       const uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE],
		       uint8_t token[RSI_MAX_TOKEN_SIZE], size_t *ret_size)
{
	struct model *model = ctx;

	model->nr_tokens++;
	memcpy(model->challenge, challenge, RSI_CHALLENGE_SIZE);
	memcpy(model->measurements, measurements, sizeof(model->measurements));
	for (size_t i = 0; i < RSI_MAX_TOKEN_SIZE; i++)
		token[i] = (uint8_t)(challenge[0] + 3 * i);
	*ret_size = model->token_size;
	return model->token_ret;
}

static const struct rsi_ops ops = {
	.read = model_read,
	.write = model_write,
	.ripas_get = model_ripas_get,
	.ripas_set = model_ripas_set,
	.host_call = model_host_call,
};

static const struct rsi_ops ops_with_token = {
	.read = model_read,
	.write = model_write,
	.ripas_get = model_ripas_get,
	.ripas_set = model_ripas_set,
	.host_call = model_host_call,
	.token = model_token,
};

static void begin(struct fixture *f, enum hash_algo algo, const struct rsi_ops *with)
{
	struct plan plan = {.hash_algo = algo, .ipa_bits = 33};
	uint8_t rim[HASH_MAX_SIZE] = {0};

	*f = (struct fixture){.model = {.token_size = 100}};
	for (unsigned i = 0; i < NR_PAGES; i++)
		f->model.ripas[i] = RSI_RAM;
	for (unsigned i = 0; i < PLAN_RPV_SIZE; i++)
		plan.rpv[i] = (uint8_t)(0x80 + i);
	for (unsigned i = 0; i < hash_size(algo); i++)
		rim[i] = (uint8_t)(i + 1);
	rsi_init(&f->rsi, with, &f->model, &plan, rim);
}

static uint64_t pattern(unsigned reg)
{
	return 0x5a5a000000000000ull + reg;
}

/* X0 to X4 as given, a pattern above. */
static void set_args(struct fixture *f, uint64_t fid, uint64_t x1, uint64_t x2, uint64_t x3,
		     uint64_t x4)
{
	const uint64_t args[] = {fid, x1, x2, x3, x4};

	for (unsigned i = 0; i < RSI_NR_GPRS; i++)
		f->x[i] = i < 5 ? args[i] : pattern(i);
}

static void assert_results(const struct fixture *f, uint64_t x0, uint64_t x1, uint64_t x2)
{
	assert_int_equal(f->x[0], x0);
	assert_int_equal(f->x[1], x1);
	assert_int_equal(f->x[2], x2);
	assert_int_equal(f->x[3], 0);
}

/* One call of vCPU 0, and that it left X4 and above alone. */
static void check(struct fixture *f, uint64_t fid, uint64_t x1, uint64_t x2, uint64_t x3,
		  uint64_t r0, uint64_t r1, uint64_t r2)
{
	set_args(f, fid, x1, x2, x3, pattern(4));
	rsi_call(&f->rsi, &f->vcpus[0], f->x);
	assert_results(f, r0, r1, r2);
	for (unsigned i = 4; i < RSI_NR_GPRS; i++)
		assert_int_equal(f->x[i], pattern(i));
}

static void check_input_error(struct fixture *f, uint64_t fid, uint64_t x1, uint64_t x2,
			      uint64_t x3)
{
	const struct model before = f->model;

	check(f, fid, x1, x2, x3, RSI_ERROR_INPUT, 0, 0);
	assert_memory_equal(&f->model, &before, sizeof(before));
}

static void test_version(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	check(&f, RSI_VERSION, 0x10000, 9, 9, RSI_SUCCESS, 0x10000, 0x10000);
	check(&f, RSI_VERSION, 0, 9, 9, RSI_ERROR_INPUT, 0x10000, 0x10000);
	check(&f, RSI_VERSION, 0x10001, 9, 9, RSI_ERROR_INPUT, 0x10000, 0x10000);
	check(&f, RSI_VERSION, 0x20000, 9, 9, RSI_ERROR_INPUT, 0x10000, 0x10000);
	check(&f, RSI_VERSION, 0x80010000, 9, 9, RSI_ERROR_INPUT, 0x10000, 0x10000);
	check(&f, RSI_VERSION, 0x100010000, 9, 9, RSI_ERROR_INPUT, 0x10000, 0x10000);
	rsi_done(&f.rsi);
}

static void test_features(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	check(&f, RSI_FEATURES, 0, 9, 9, RSI_SUCCESS, 0, 0);
	check(&f, RSI_FEATURES, 1, 9, 9, RSI_SUCCESS, 0, 0);
	check(&f, RSI_FEATURES, UINT64_MAX, 9, 9, RSI_SUCCESS, 0, 0);
	rsi_done(&f.rsi);
}

static void test_unknown_call(void **state)
{
	static const uint64_t fids[] = {0,          0xC400018F, 0xC400019A, 0xC40001AF,
					0xFFFFFFFF, 0x84000190, 0x80000000};
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	for (size_t i = 0; i < sizeof(fids) / sizeof(fids[0]); i++) {
		check(&f, fids[i], 1, 2, 3, UINT64_MAX, 0, 0);
		assert_null(rsi_name((uint32_t)fids[i]));
	}
	/* The identifier is W0. */
	check(&f, 0xFFFFFFFF00000000 | RSI_VERSION, 0x10000, 2, 3, RSI_SUCCESS, 0x10000, 0x10000);
	rsi_done(&f.rsi);
}

static void test_names(void **state)
{
	static const char *const names[] = {
		"RSI_VERSION",
		"RSI_FEATURES",
		"RSI_MEASUREMENT_READ",
		"RSI_MEASUREMENT_EXTEND",
		"RSI_ATTESTATION_TOKEN_INIT",
		"RSI_ATTESTATION_TOKEN_CONTINUE",
		"RSI_REALM_CONFIG",
		"RSI_IPA_STATE_SET",
		"RSI_IPA_STATE_GET",
		"RSI_HOST_CALL",
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(rsi_name(RSI_FID_BASE + i), names[i]);
}

static void read_measurement(struct fixture *f, uint64_t index, uint8_t value[HASH_MAX_SIZE])
{
	set_args(f, RSI_MEASUREMENT_READ, index, 7, 7, 7);
	rsi_call(&f->rsi, NULL, f->x);
	assert_int_equal(f->x[0], RSI_SUCCESS);
	/* Little-endian doublewords; every machine this runs on has them so. */
	memcpy(value, &f->x[1], HASH_MAX_SIZE);
	for (unsigned i = 9; i < RSI_NR_GPRS; i++)
		assert_int_equal(f->x[i], pattern(i));
}

static void assert_measurement(struct fixture *f, uint64_t index,
			       const uint8_t expected[HASH_MAX_SIZE])
{
	uint8_t value[HASH_MAX_SIZE];

	read_measurement(f, index, value);
	assert_memory_equal(value, expected, HASH_MAX_SIZE);
}

static void test_measurement_read(void **state)
{
	static const uint8_t zeros[HASH_MAX_SIZE];
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	set_args(&f, RSI_MEASUREMENT_READ, 0, 7, 7, 7);
	rsi_call(&f.rsi, NULL, f.x);
	assert_int_equal(f.x[0], RSI_SUCCESS);
	assert_int_equal(f.x[1], 0x0807060504030201);
	assert_int_equal(f.x[4], 0x201f1e1d1c1b1a19);
	for (unsigned i = 5; i < 9; i++)
		assert_int_equal(f.x[i], 0);
	for (unsigned i = 9; i < RSI_NR_GPRS; i++)
		assert_int_equal(f.x[i], pattern(i));
	for (uint64_t index = 1; index < RSI_NR_MEASUREMENTS; index++)
		assert_measurement(&f, index, zeros);

	for (unsigned i = 0; i < 2; i++) {
		set_args(&f, RSI_MEASUREMENT_READ, i ? UINT64_MAX : 5, 7, 7, 7);
		rsi_call(&f.rsi, NULL, f.x);
		assert_int_equal(f.x[0], RSI_ERROR_INPUT);
		for (unsigned reg = 1; reg < 9; reg++)
			assert_int_equal(f.x[reg], 0);
		for (unsigned reg = 9; reg < RSI_NR_GPRS; reg++)
			assert_int_equal(f.x[reg], pattern(reg));
	}
	rsi_done(&f.rsi);
}

static void extend(struct fixture *f, uint64_t index, uint64_t size, const uint8_t *value,
		   uint64_t r0)
{
	uint64_t before[RSI_NR_GPRS];

	set_args(f, RSI_MEASUREMENT_EXTEND, index, size, 0, 0);
	memcpy(&f->x[3], value, HASH_MAX_SIZE);
	memcpy(before, f->x, sizeof(before));
	rsi_call(&f->rsi, NULL, f->x);
	assert_results(f, r0, 0, 0);
	assert_memory_equal(&f->x[4], &before[4], sizeof(before) - 4 * sizeof(before[0]));
}

/* TF-RMM: H(old digest || the bytes given), the old one without its padding. */
static void test_measurement_extend(void **state)
{
	static const enum hash_algo algos[] = {HASH_SHA256, HASH_SHA512};
	static const size_t sizes[] = {0, 1, 7, 8, 31, 32, 63, 64};
	static const uint8_t zeros[HASH_MAX_SIZE];
	uint8_t value[HASH_MAX_SIZE], input[2 * HASH_MAX_SIZE], expected[HASH_MAX_SIZE];

	(void)state;
	for (size_t i = 0; i < HASH_MAX_SIZE; i++)
		value[i] = (uint8_t)(0xc0 ^ i);
	for (size_t a = 0; a < 2; a++) {
		const size_t old_size = hash_size(algos[a]);
		struct fixture f;

		begin(&f, algos[a], &ops);
		memset(expected, 0, sizeof(expected));
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			extend(&f, 3, sizes[i], value, RSI_SUCCESS);
			memcpy(input, expected, old_size);
			memcpy(input + old_size, value, sizes[i]);
			assert_int_equal(
				hash_digest(algos[a], input, old_size + sizes[i], expected), 0);
			assert_measurement(&f, 3, expected);
		}
		assert_measurement(&f, 1, zeros);
		assert_measurement(&f, 2, zeros);
		assert_measurement(&f, 4, zeros);
		rsi_done(&f.rsi);
	}
}

/* A literal, so that a wrong formula here and there cannot agree: sha256(32 zeros || "abc"). */
static void test_measurement_extend_literal(void **state)
{
	static const uint8_t value[HASH_MAX_SIZE] = "abc";
	static const uint8_t expected[HASH_MAX_SIZE] = {
		0x36, 0x5a, 0xa7, 0xd8, 0xf7, 0xf9, 0x40, 0x2c, 0x4b, 0x94, 0x34,
		0x50, 0x2b, 0x4c, 0xc8, 0x9d, 0xdb, 0x09, 0xfe, 0x50, 0xd7, 0xcd,
		0x95, 0xb4, 0x93, 0xb8, 0x34, 0xc6, 0x2d, 0x5a, 0x53, 0x70};
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	extend(&f, 1, 3, value, RSI_SUCCESS);
	assert_measurement(&f, 1, expected);
	rsi_done(&f.rsi);
}

static void test_measurement_extend_refused(void **state)
{
	static const struct {
		uint64_t index, size;
	} bad[] = {{0, 32}, {5, 32}, {UINT64_MAX, 32}, {1, 65}, {1, UINT64_MAX}, {1ull << 32, 32}};
	static const uint8_t value[HASH_MAX_SIZE] = {1};
	struct fixture f;
	uint8_t before[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	memcpy(before, f.rsi.measurements, sizeof(before));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		extend(&f, bad[i].index, bad[i].size, value, RSI_ERROR_INPUT);
	assert_memory_equal(f.rsi.measurements, before, sizeof(before));
	rsi_done(&f.rsi);
}

/* Addresses that are no protected granule, for every call that takes one. */
static const uint64_t bad_granules[] = {
	RAM + 1,    RAM + 0x800, PAR_TOP, PAR_TOP + RAM, 0x8000000080000000, UINT64_MAX - 0xfff,
	UINT64_MAX,
};

#define NR_BAD_GRANULES (sizeof(bad_granules) / sizeof(bad_granules[0]))

static void test_realm_config(void **state)
{
	static const enum hash_algo algos[] = {HASH_SHA256, HASH_SHA512};
	uint8_t expected[GRANULE_SIZE];
	struct fixture f;

	(void)state;
	for (size_t a = 0; a < 2; a++) {
		begin(&f, algos[a], &ops);
		memset(f.model.memory[1], 0xee, GRANULE_SIZE);
		check(&f, RSI_REALM_CONFIG, RAM + 0x1000, 9, 9, RSI_SUCCESS, 0, 0);
		memset(expected, 0, sizeof(expected));
		expected[0] = 33;
		expected[8] = (uint8_t)a;
		for (unsigned i = 0; i < PLAN_RPV_SIZE; i++)
			expected[0x200 + i] = (uint8_t)(0x80 + i);
		assert_memory_equal(f.model.memory[1], expected, GRANULE_SIZE);
		rsi_done(&f.rsi);
	}
}

static void test_realm_config_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	for (size_t i = 0; i < NR_BAD_GRANULES; i++)
		check_input_error(&f, RSI_REALM_CONFIG, bad_granules[i], 0, 0);
	check_input_error(&f, RSI_REALM_CONFIG, 0, 0, 0);
	check_input_error(&f, RSI_REALM_CONFIG, PAR_TOP - 0x1000, 0, 0);
	f.model.ripas[2] = RSI_EMPTY;
	check_input_error(&f, RSI_REALM_CONFIG, RAM + 0x2000, 0, 0);
	f.model.ripas[2] = RSI_DESTROYED;
	check_input_error(&f, RSI_REALM_CONFIG, RAM + 0x2000, 0, 0);
	rsi_done(&f.rsi);
}

/* Ranges that are no protected granules, for both calls that take one. */
static const struct {
	uint64_t base, top;
} bad_ranges[] = {
	{RAM + 1, RAM_TOP},
	{RAM, RAM_TOP - 1},
	{RAM, RAM},
	{RAM_TOP, RAM},
	{RAM, 0},
	{0, 0},
	{RAM, PAR_TOP + 0x1000},
	{PAR_TOP, PAR_TOP + 0x1000},
	{PAR_TOP - 0x1000, UINT64_MAX - 0xfff},
	{UINT64_MAX - 0xfff, 0},
	{RAM + PAR_TOP, RAM_TOP + PAR_TOP},
};

static void test_bad_ranges(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	for (size_t i = 0; i < sizeof(bad_ranges) / sizeof(bad_ranges[0]); i++) {
		check_input_error(&f, RSI_IPA_STATE_GET, bad_ranges[i].base, bad_ranges[i].top, 0);
		check_input_error(&f, RSI_IPA_STATE_SET, bad_ranges[i].base, bad_ranges[i].top, 0);
		check_input_error(&f, RSI_IPA_STATE_SET, bad_ranges[i].base, bad_ranges[i].top, 1);
	}
	check_input_error(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, RSI_DESTROYED);
	check_input_error(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, 3);
	check_input_error(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, 1ull << 32);
	check_input_error(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, UINT64_MAX);
	rsi_done(&f.rsi);
}

static void test_ipa_state_get(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	f.model.ripas[1] = RSI_EMPTY;
	f.model.ripas[2] = RSI_DESTROYED;
	check(&f, RSI_IPA_STATE_GET, RAM, RAM_TOP, 9, RSI_SUCCESS, RAM + 0x1000, RSI_RAM);
	check(&f, RSI_IPA_STATE_GET, RAM + 0x1000, RAM_TOP, 9, RSI_SUCCESS, RAM + 0x2000,
	      RSI_EMPTY);
	check(&f, RSI_IPA_STATE_GET, RAM + 0x2000, RAM_TOP, 9, RSI_SUCCESS, RAM + 0x3000,
	      RSI_DESTROYED);
	check(&f, RSI_IPA_STATE_GET, RAM + 0x3000, PAR_TOP, 9, RSI_SUCCESS, RAM_TOP, RSI_RAM);
	/* Holes answer too, up to the last protected address. */
	check(&f, RSI_IPA_STATE_GET, 0, 0x1000, 9, RSI_SUCCESS, 0x1000, RSI_EMPTY);
	check(&f, RSI_IPA_STATE_GET, 0, PAR_TOP, 9, RSI_SUCCESS, RAM, RSI_EMPTY);
	check(&f, RSI_IPA_STATE_GET, RAM_TOP, PAR_TOP, 9, RSI_SUCCESS, PAR_TOP, RSI_EMPTY);
	rsi_done(&f.rsi);
}

static void test_ipa_state_set(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	check(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, RSI_RAM, RSI_SUCCESS, RAM_TOP, RSI_ACCEPT);
	check(&f, RSI_IPA_STATE_SET, RAM, RAM + 0x2000, RSI_EMPTY, RSI_SUCCESS, RAM + 0x2000,
	      RSI_ACCEPT);
	assert_int_equal(f.model.ripas[0], RSI_EMPTY);
	assert_int_equal(f.model.ripas[1], RSI_EMPTY);
	assert_int_equal(f.model.ripas[2], RSI_RAM);
	check(&f, RSI_IPA_STATE_SET, RAM, RAM + 0x1000, RSI_RAM, RSI_SUCCESS, RAM + 0x1000,
	      RSI_ACCEPT);
	assert_int_equal(f.model.ripas[0], RSI_RAM);
	assert_int_equal(f.model.ripas[1], RSI_EMPTY);
	rsi_done(&f.rsi);
}

static void test_ipa_state_set_rejected(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	f.model.ripas[3] = RSI_EMPTY;
	check(&f, RSI_IPA_STATE_SET, RAM, PAR_TOP, RSI_RAM, RSI_SUCCESS, RAM_TOP, RSI_REJECT);
	assert_int_equal(f.model.ripas[3], RSI_RAM);
	check(&f, RSI_IPA_STATE_SET, 0, 0x1000, RSI_RAM, RSI_SUCCESS, 0, RSI_REJECT);
	/* There is no rejecting what the realm gives back. */
	check(&f, RSI_IPA_STATE_SET, 0, 0x1000, RSI_EMPTY, RSI_SUCCESS, 0, RSI_ACCEPT);
	rsi_done(&f.rsi);
}

static void test_ipa_state_set_destroyed(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	f.model.ripas[2] = RSI_DESTROYED;
	for (unsigned flags = 0; flags < 4; flags += 2) {
		set_args(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, RSI_RAM, flags);
		rsi_call(&f.rsi, NULL, f.x);
		assert_results(&f, RSI_SUCCESS, RAM + 0x2000, RSI_ACCEPT);
		assert_int_equal(f.x[4], flags);
	}
	set_args(&f, RSI_IPA_STATE_SET, RAM, RAM_TOP, RSI_RAM, 1);
	rsi_call(&f.rsi, NULL, f.x);
	assert_results(&f, RSI_SUCCESS, RAM_TOP, RSI_ACCEPT);
	assert_int_equal(f.x[4], 1);
	assert_int_equal(f.model.ripas[2], RSI_RAM);
	rsi_done(&f.rsi);
}

static void test_host_call(void **state)
{
	static const uint8_t head[8] = {0x34, 0x12, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	struct fixture f;
	uint8_t *block = &f.model.memory[3][0xf00];
	uint64_t gprs[RSI_NR_GPRS];

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	memset(f.model.memory[3], 0xee, GRANULE_SIZE);
	for (unsigned i = 0; i < RSI_NR_GPRS; i++)
		gprs[i] = pattern(i);
	memcpy(block, head, sizeof(head));
	memcpy(block + 8, gprs, sizeof(gprs));
	check(&f, RSI_HOST_CALL, RAM + 0x3f00, 9, 9, RSI_SUCCESS, 0, 0);
	assert_int_equal(f.model.nr_host_calls, 1);
	assert_int_equal(f.model.imm, 0x1234);
	assert_memory_equal(block, head, sizeof(head));
	memcpy(gprs, block + 8, sizeof(gprs));
	for (unsigned i = 0; i < RSI_NR_GPRS; i++)
		assert_int_equal(gprs[i], pattern(i) + i + 1);
	for (unsigned i = 0; i < 0xf00; i++)
		assert_int_equal(f.model.memory[3][i], 0xee);
	rsi_done(&f.rsi);
}

static void test_host_call_refused(void **state)
{
	static const uint64_t bad[] = {RAM + 1,   RAM + 0x80, RAM + 0xf80,   0,
				       RAM_TOP,   PAR_TOP,    PAR_TOP + RAM, UINT64_MAX - 0xff,
				       UINT64_MAX};
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_input_error(&f, RSI_HOST_CALL, bad[i], 0, 0);
	f.model.ripas[0] = RSI_EMPTY;
	check_input_error(&f, RSI_HOST_CALL, RAM + 0x100, 0, 0);
	assert_int_equal(f.model.nr_host_calls, 0);
	rsi_done(&f.rsi);
}

static void test_no_attestation(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops);
	set_args(&f, RSI_ATTESTATION_TOKEN_INIT, 1, 2, 3, 4);
	rsi_call(&f.rsi, NULL, f.x);
	assert_results(&f, RSI_ERROR_UNKNOWN, 0, 0);
	assert_int_equal(f.x[4], 4);
	set_args(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 0, 0x1000, 4);
	rsi_call(&f.rsi, NULL, f.x);
	assert_results(&f, RSI_ERROR_STATE, 0, 0);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM + 1, 0, 0x1000);
	rsi_done(&f.rsi);
}

static void token_init(struct fixture *f, unsigned vcpu, uint8_t first, uint64_t r0, uint64_t r1)
{
	set_args(f, RSI_ATTESTATION_TOKEN_INIT, 0, 0, 0, 0);
	for (unsigned i = 0; i < 8; i++)
		f->x[1 + i] = 0x0706050403020100 + 0x0808080808080808 * i + (i == 0 ? first : 0);
	rsi_call(&f->rsi, &f->vcpus[vcpu], f->x);
	assert_results(f, r0, r1, 0);
	assert_int_equal(f->x[4], 0x0706050403020100 + 0x0808080808080808 * 3);
}

static void token_continue(struct fixture *f, unsigned vcpu, uint64_t offset, uint64_t size,
			   uint64_t r0, uint64_t r1)
{
	set_args(f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, offset, size, 77);
	rsi_call(&f->rsi, &f->vcpus[vcpu], f->x);
	assert_results(f, r0, r1, 0);
	assert_int_equal(f->x[4], 77);
}

static void assert_token(const struct fixture *f, size_t offset, uint8_t first, size_t from,
			 size_t to)
{
	for (size_t i = from; i < to; i++)
		assert_int_equal(f->model.memory[0][offset + i], (uint8_t)(first + 3 * i));
}

static void test_token(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops_with_token);
	token_continue(&f, 0, 0, 0x1000, RSI_ERROR_STATE, 0);
	token_init(&f, 0, 0x11, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	assert_int_equal(f.model.challenge[0], 0x11);
	for (unsigned i = 1; i < RSI_CHALLENGE_SIZE; i++)
		assert_int_equal(f.model.challenge[i], i);
	assert_memory_equal(f.model.measurements, f.rsi.measurements, sizeof(f.model.measurements));
	token_continue(&f, 0, 0, 0, RSI_INCOMPLETE, 0);
	token_continue(&f, 0, 10, 60, RSI_INCOMPLETE, 60);
	token_continue(&f, 0, 70, 0x1000 - 70, RSI_SUCCESS, 40);
	assert_token(&f, 10, 0x11, 0, 100);
	assert_int_equal(f.model.memory[0][9], 0);
	assert_int_equal(f.model.memory[0][110], 0);
	token_continue(&f, 0, 0, 0x1000, RSI_ERROR_STATE, 0);
	assert_int_equal(f.model.nr_tokens, 1);
	rsi_done(&f.rsi);
}

/* Exactly fitting pieces: INCOMPLETE means that a byte is left. */
static void test_token_sizes(void **state)
{
	static const size_t sizes[] = {1, 2, RSI_MAX_TOKEN_SIZE - 1, RSI_MAX_TOKEN_SIZE};
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops_with_token);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		f.model.token_size = sizes[i];
		token_init(&f, 0, 0, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
		if (sizes[i] > 1)
			token_continue(&f, 0, 0, sizes[i] - 1, RSI_INCOMPLETE, sizes[i] - 1);
		token_continue(&f, 0, sizes[i] - 1, 1, RSI_SUCCESS, 1);
		assert_token(&f, 0, 0, 0, sizes[i]);
	}
	rsi_done(&f.rsi);
}

static void test_token_init_starts_over(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops_with_token);
	token_init(&f, 0, 0x20, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	token_continue(&f, 0, 0, 60, RSI_INCOMPLETE, 60);
	token_init(&f, 0, 0x40, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	token_continue(&f, 0, 0, 0x1000, RSI_SUCCESS, 100);
	assert_token(&f, 0, 0x40, 0, 100);
	rsi_done(&f.rsi);
}

static void test_token_state_is_per_vcpu(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops_with_token);
	token_init(&f, 0, 0x20, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	token_continue(&f, 1, 0, 0x1000, RSI_ERROR_STATE, 0);
	token_init(&f, 1, 0x40, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	token_continue(&f, 0, 0, 0x1000, RSI_SUCCESS, 100);
	assert_token(&f, 0, 0x20, 0, 100);
	token_continue(&f, 1, 0, 0x1000, RSI_SUCCESS, 100);
	assert_token(&f, 0, 0x40, 0, 100);
	rsi_done(&f.rsi);
}

static void test_token_bad_input(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops_with_token);
	token_init(&f, 0, 0x20, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	for (size_t i = 0; i < NR_BAD_GRANULES; i++)
		check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, bad_granules[i], 0, 1);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 0x1000, 0);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 0, 0x1001);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 0xfff, 2);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, UINT64_MAX, 2);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 2, UINT64_MAX);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, 0, 0, 0x1000);
	f.model.ripas[0] = RSI_EMPTY;
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 0, 0x1000);
	check_input_error(&f, RSI_ATTESTATION_TOKEN_CONTINUE, RAM, 0, 0);
	/* None of it cost a byte of the token. */
	f.model.ripas[0] = RSI_RAM;
	token_continue(&f, 0, 0, 0x1000, RSI_SUCCESS, 100);
	assert_token(&f, 0, 0x20, 0, 100);
	rsi_done(&f.rsi);
}

static void test_token_provider_fails(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, HASH_SHA256, &ops_with_token);
	token_init(&f, 0, 0, RSI_SUCCESS, RSI_MAX_TOKEN_SIZE);
	f.model.token_ret = -EIO;
	token_init(&f, 0, 0, RSI_ERROR_UNKNOWN, 0);
	token_continue(&f, 0, 0, 0x1000, RSI_ERROR_STATE, 0);
	f.model.token_ret = 0;
	f.model.token_size = 0;
	token_init(&f, 0, 0, RSI_ERROR_UNKNOWN, 0);
	f.model.token_size = RSI_MAX_TOKEN_SIZE + 1;
	token_init(&f, 0, 0, RSI_ERROR_UNKNOWN, 0);
	token_continue(&f, 0, 0, 0x1000, RSI_ERROR_STATE, 0);
	rsi_done(&f.rsi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_unknown_call),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_measurement_read),
		cmocka_unit_test(test_measurement_extend),
		cmocka_unit_test(test_measurement_extend_literal),
		cmocka_unit_test(test_measurement_extend_refused),
		cmocka_unit_test(test_realm_config),
		cmocka_unit_test(test_realm_config_refused),
		cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_ipa_state_get),
		cmocka_unit_test(test_ipa_state_set),
		cmocka_unit_test(test_ipa_state_set_rejected),
		cmocka_unit_test(test_ipa_state_set_destroyed),
		cmocka_unit_test(test_host_call),
		cmocka_unit_test(test_host_call_refused),
		cmocka_unit_test(test_no_attestation),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_token_sizes),
		cmocka_unit_test(test_token_init_starts_over),
		cmocka_unit_test(test_token_state_is_per_vcpu),
		cmocka_unit_test(test_token_bad_input),
		cmocka_unit_test(test_token_provider_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/realm/realm.c src/realm/plan.c src/util/err.c src/util/log.c src/util/hash.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ccr/log.h"
#include "ccr/realm.h"

#define RAM 0x80000000ull

/* A backend that writes down what it is asked for, and fails when it is told to. */
struct notes {
	char text[512];
	size_t used;
	enum plan_step_kind failing;
	int ret;
	const char *msg;
};

static int note(struct notes *notes, enum plan_step_kind kind, struct ccr_err *err, const char *fmt,
		...) __attribute__((format(printf, 4, 5)));

static int note(struct notes *notes, enum plan_step_kind kind, struct ccr_err *err, const char *fmt,
		...)
{
	va_list args;

	va_start(args, fmt);
	notes->used += (size_t)vsnprintf(notes->text + notes->used,
					 sizeof(notes->text) - notes->used, fmt, args);
	va_end(args);
	if (!notes->ret || notes->failing != kind)
		return 0;
	return notes->msg ? err_set(err, notes->ret, "%s", notes->msg) : notes->ret;
}

static int note_create(void *ctx, const struct plan *plan, struct ccr_err *err)
{
	return note(ctx, PLAN_CREATE, err, "create %u;", plan->ipa_bits);
}

static int note_ripas(void *ctx, ipa_t base, uint64_t size, struct ccr_err *err)
{
	return note(ctx, PLAN_INIT_RIPAS, err, "ripas 0x%llx+0x%llx;", (unsigned long long)base.v,
		    (unsigned long long)size);
}

static int note_populate(void *ctx, const struct plan_segment *segment, struct ccr_err *err)
{
	return note(ctx, PLAN_DATA, err, "data %s;", segment->name);
}

static int note_rec(void *ctx, unsigned vcpu, struct ccr_err *err)
{
	return note(ctx, PLAN_REC, err, "rec %u;", vcpu);
}

static int note_activate(void *ctx, struct ccr_err *err)
{
	return note(ctx, PLAN_ACTIVATE, err, "activate;");
}

static const struct realm_backend backend = {
	.name = "notes",
	.create = note_create,
	.init_ripas = note_ripas,
	.populate = note_populate,
	.create_rec = note_rec,
	.activate = note_activate,
};

static const struct plan_segment segment = {
	.name = "kernel",
	.base = {RAM},
	.size = GRANULE_SIZE,
	.data = (const uint8_t *)"x",
	.data_size = 1,
};

static const struct plan_step steps[] = {
	[PLAN_CREATE] = {.kind = PLAN_CREATE},
	[PLAN_INIT_RIPAS] = {.kind = PLAN_INIT_RIPAS, .base = {RAM}, .size = SZ_2M},
	[PLAN_DATA] = {.kind = PLAN_DATA, .segment = &segment},
	[PLAN_REC] = {.kind = PLAN_REC, .vcpu = 3},
	[PLAN_ACTIVATE] = {.kind = PLAN_ACTIVATE},
};

static const struct plan plan = {
	.ipa_bits = 33,
	.nr_vcpus = 2,
	.ram_base = {RAM},
	.ram_size = 32 * SZ_2M,
	.nr_segments = 1,
	.segments = {{
		.name = "kernel",
		.base = {RAM},
		.size = GRANULE_SIZE,
		.data = (const uint8_t *)"x",
		.data_size = 1,
		.measured = true,
	}},
};

/* Every step in every state: what is allowed, and where it leads. */
static void test_every_step_in_every_state(void **state)
{
	static const enum realm_state DEAD = REALM_DEAD, OPEN = REALM_OPEN, SEALED = REALM_SEALED;
	static const struct {
		enum plan_step_kind step;
		enum realm_state after[4]; /* NEW, OPEN, SEALED, DEAD */
	} table[] = {
		{PLAN_CREATE, {OPEN, DEAD, DEAD, DEAD}},
		{PLAN_INIT_RIPAS, {DEAD, OPEN, DEAD, DEAD}},
		{PLAN_DATA, {DEAD, OPEN, DEAD, DEAD}},
		{PLAN_REC, {DEAD, OPEN, DEAD, DEAD}},
		{PLAN_ACTIVATE, {DEAD, SEALED, DEAD, DEAD}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int before = REALM_NEW; before <= REALM_DEAD; before++) {
			const enum realm_state after = table[i].after[before];
			struct notes notes = {0};
			struct ccr_err err = {0};
			struct realm realm;
			int ret;

			realm_init(&realm, &backend, &notes);
			assert_int_equal(realm.state, REALM_NEW);
			realm.state = (enum realm_state)before;
			ret = realm_step(&realm, &plan, &steps[table[i].step], &err);
			assert_int_equal(realm.state, after);
			assert_int_equal(ret, after == REALM_DEAD ? -EPROTO : 0);
			assert_int_equal(err.code, ret);
			/* What is not allowed does not reach the backend. */
			assert_int_equal(notes.used == 0, after == REALM_DEAD);
			if (ret)
				assert_non_null(strstr(err.msg, "at the wrong time"));
		}
	}
}

static void test_failures_are_final(void **state)
{
	(void)state;
	for (int failing = PLAN_CREATE; failing <= PLAN_ACTIVATE; failing++) {
		struct notes notes = {.failing = (enum plan_step_kind)failing, .ret = -ENXIO};
		struct ccr_err err = {0};
		struct realm realm;

		realm_init(&realm, &backend, &notes);
		realm.state = failing == PLAN_CREATE ? REALM_NEW : REALM_OPEN;
		assert_int_equal(realm_step(&realm, &plan, &steps[failing], &err), -ENXIO);
		assert_int_equal(realm.state, REALM_DEAD);
		/* A backend that says nothing is spoken for. */
		assert_int_equal(err.code, -ENXIO);
		assert_non_null(strstr(err.msg, "failed: ENXIO"));
		assert_int_equal(realm_step(&realm, &plan, &steps[failing], NULL), -EPROTO);
	}
}

static void test_backend_speaks_for_itself(void **state)
{
	struct notes notes = {.failing = PLAN_CREATE, .ret = -EPERM, .msg = "no RMM"};
	struct ccr_err err = {0};
	struct realm realm;

	(void)state;
	realm_init(&realm, &backend, &notes);
	assert_int_equal(realm_step(&realm, &plan, &steps[PLAN_CREATE], &err), -EPERM);
	assert_string_equal(err.msg, "no RMM");
}

static void test_build(void **state)
{
	const struct realm_host implicit = {.family = REALM_FAMILY_IMPLICIT, .rmm = RMM_2_0_TFRMM};
	struct notes notes = {0};
	struct ccr_err err = {0};
	struct realm realm;

	(void)state;
	realm_init(&realm, &backend, &notes);
	assert_int_equal(realm_build(&realm, &plan, &realm_emulated_host, &err), 0);
	assert_int_equal(realm.state, REALM_SEALED);
	assert_string_equal(notes.text, "create 33;ripas 0x80000000+0x4000000;data kernel;"
					"rec 0;rec 1;activate;");

	notes = (struct notes){0};
	realm_init(&realm, &backend, &notes);
	assert_int_equal(realm_build(&realm, &plan, &implicit, &err), 0);
	assert_int_equal(realm.state, REALM_SEALED);
	assert_string_equal(notes.text, "create 33;data kernel;rec 0;rec 1;"
					"ripas 0x80000000+0x4000000;activate;");
	assert_int_equal(err.code, 0);
}

/* A failed step is the last one. */
static void test_build_stops(void **state)
{
	static const char *const texts[] = {
		[PLAN_CREATE] = "create 33;",
		[PLAN_INIT_RIPAS] = "create 33;ripas 0x80000000+0x4000000;",
		[PLAN_DATA] = "create 33;ripas 0x80000000+0x4000000;data kernel;",
		[PLAN_REC] = "create 33;ripas 0x80000000+0x4000000;data kernel;rec 0;",
		[PLAN_ACTIVATE] = ("create 33;ripas 0x80000000+0x4000000;data kernel;rec 0;rec 1;"
				   "activate;"),
	};

	(void)state;
	for (int failing = PLAN_CREATE; failing <= PLAN_ACTIVATE; failing++) {
		struct notes notes = {.failing = (enum plan_step_kind)failing, .ret = -EIO};
		struct ccr_err err = {0};
		struct realm realm;

		realm_init(&realm, &backend, &notes);
		assert_int_equal(realm_build(&realm, &plan, &realm_emulated_host, &err), -EIO);
		assert_int_equal(realm.state, REALM_DEAD);
		assert_int_equal(err.code, -EIO);
		assert_string_equal(notes.text, texts[failing]);
	}
}

/* A plan that the host cannot carry out is refused before anything is asked of the backend. */
static void test_build_refuses_plan(void **state)
{
	const struct realm_host implicit = {.family = REALM_FAMILY_IMPLICIT, .rmm = RMM_2_0_TFRMM};
	struct plan wrong = plan;
	struct notes notes = {0};
	struct ccr_err err = {0};
	struct realm realm;

	(void)state;
	wrong.rpv[63] = 1;
	realm_init(&realm, &backend, &notes);
	assert_int_equal(realm_build(&realm, &wrong, &implicit, &err), -EOPNOTSUPP);
	assert_int_equal(err.code, -EOPNOTSUPP);
	assert_int_equal(realm.state, REALM_DEAD);
	assert_int_equal(notes.used, 0);

	wrong = plan;
	wrong.ipa_bits = 64;
	err_clear(&err);
	realm_init(&realm, &backend, &notes);
	assert_int_equal(realm_build(&realm, &wrong, &realm_emulated_host, &err), -EINVAL);
	assert_int_equal(realm.state, REALM_DEAD);
	assert_int_equal(notes.used, 0);
}

/* A realm is built once. */
static void test_build_twice(void **state)
{
	struct notes notes = {0};
	struct ccr_err err = {0};
	struct realm realm;

	(void)state;
	realm_init(&realm, &backend, &notes);
	assert_int_equal(realm_build(&realm, &plan, &realm_emulated_host, &err), 0);
	assert_int_equal(realm_build(&realm, &plan, &realm_emulated_host, &err), -EPROTO);
	assert_int_equal(realm.state, REALM_DEAD);
}

/* Constants: they are part of every emulated realm's RIM. */
static void test_emulated_host(void **state)
{
	(void)state;
	assert_int_equal(realm_emulated_host.family, REALM_FAMILY_EXPLICIT);
	assert_int_equal(realm_emulated_host.rmm, RMM_1_0);
	assert_int_equal(realm_emulated_host.num_bps, 5);
	assert_int_equal(realm_emulated_host.num_wps, 3);
	assert_false(realm_emulated_host.pmu);
	assert_int_equal(realm_emulated_host.pmu_num_ctrs, 0);
	assert_false(realm_emulated_host.sve);
	assert_int_equal(realm_emulated_host.sve_vl, 0);
	assert_false(realm_emulated_host.lpa2);
}

struct doubts {
	unsigned nr_asked;
	unsigned until;
};

static bool is_unwanted(void *asked)
{
	struct doubts *doubts = asked;

	return doubts->nr_asked++ == doubts->until;
}

static void test_build_is_unwanted(void **state)
{
	static const char *const done[] = {"", "create 33;",
					   "create 33;ripas 0x80000000+0x4000000;"};

	(void)state;
	for (unsigned i = 0; i < sizeof(done) / sizeof(*done); i++) {
		struct doubts doubts = {.until = i};
		struct notes notes = {0};
		struct ccr_err err = {0};
		struct realm realm;

		realm_init(&realm, &backend, &notes);
		realm.is_unwanted = is_unwanted;
		realm.asked = &doubts;
		assert_int_equal(realm_build(&realm, &plan, &realm_emulated_host, &err),
				 -ECANCELED);
		assert_string_equal(err.msg, "realm: given up before it was complete");
		assert_string_equal(notes.text, done[i]);
		assert_int_equal(realm.state, REALM_DEAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step_in_every_state),
		cmocka_unit_test(test_failures_are_final),
		cmocka_unit_test(test_backend_speaks_for_itself),
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_build_stops),
		cmocka_unit_test(test_build_is_unwanted),
		cmocka_unit_test(test_build_refuses_plan),
		cmocka_unit_test(test_build_twice),
		cmocka_unit_test(test_emulated_host),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/realm/realm_host.c src/realm/verify_json.c src/util/jsontext.c
 * src/realm/plan.c src/util/hash.c src/util/err.c src/util/parse.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/realm_host.h"

static const struct realm_host full = {
	.family = REALM_FAMILY_IMPLICIT_GMEM,
	.rmm = RMM_2_0_SPEC,
	.max_ipa_bits = 48,
	.num_bps = 63,
	.num_wps = 1,
	.pmu = true,
	.pmu_num_ctrs = 31,
	.sve = true,
	.sve_vl = 15,
	.lpa2 = true,
};

static const char full_text[] =
	"{ \"family\": \"implicit-gmem\", \"rmm\": \"2.0-spec\", \"max_ipa_bits\": 48, "
	"\"num_bps\": 63, \"num_wps\": 1, \"pmu\": true, \"pmu_num_ctrs\": 31, \"sve\": true, "
	"\"sve_vl\": 15, \"lpa2\": true }";

static int load(const char *text, struct realm_host *host, struct ccr_err *err)
{
	return realm_host_from_json(text, strlen(text), host, err);
}

static void assert_same(const struct realm_host *host, const struct realm_host *wanted)
{
	assert_int_equal(host->family, wanted->family);
	assert_int_equal(host->rmm, wanted->rmm);
	assert_int_equal(host->max_ipa_bits, wanted->max_ipa_bits);
	assert_int_equal(host->num_bps, wanted->num_bps);
	assert_int_equal(host->num_wps, wanted->num_wps);
	assert_int_equal(host->pmu, wanted->pmu);
	assert_int_equal(host->pmu_num_ctrs, wanted->pmu_num_ctrs);
	assert_int_equal(host->sve, wanted->sve);
	assert_int_equal(host->sve_vl, wanted->sve_vl);
	assert_int_equal(host->lpa2, wanted->lpa2);
}

/* The names are part of what users store: they may not change. */
static void test_names_are_stable(void **state)
{
	struct json_object *object = realm_host_to_json(&full);

	(void)state;
	assert_string_equal(REALM_HOST_MEMBER, "realm_host");
	assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED),
			    full_text);
	json_object_put(object);
}

static void test_there_and_back(void **state)
{
	const struct realm_host small = {.family = REALM_FAMILY_EXPLICIT, .rmm = RMM_1_0};
	const struct realm_host *hosts[] = {&full, &small};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct json_object *document = json_object_new_object();
		struct realm_host host;

		json_object_object_add(document, "kvm", json_object_new_string("whatever"));
		json_object_object_add(document, REALM_HOST_MEMBER, realm_host_to_json(hosts[i]));
		assert_int_equal(load(json_object_to_json_string(document), &host, NULL), 0);
		assert_same(&host, hosts[i]);
		json_object_put(document);
	}
}

static void assert_refused(const char *text, const char *words)
{
	struct realm_host host = full;
	struct ccr_err err = {0};

	assert_int_equal(load(text, &host, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	if (!strstr(err.msg, words))
		fail_msg("%s: said \"%s\", not \"%s\"", text, err.msg, words);
	assert_same(&host, &full);
}

static void test_documents(void **state)
{
	(void)state;
	assert_refused("", "not valid JSON");
	assert_refused("{\"realm_host\": ", "cut short");
	assert_refused("null\n", "is null");
	assert_refused("[]", "is not an object");
	assert_refused("{}", "has no \"realm_host\"");
	assert_refused("{\"realm\": {\"ok\": false}}", "`ccr-run check --json`");
	assert_refused("{\"realm_host\": 1}", "in \"realm_host\": is not an object");
	assert_refused("{\"realm_host\": null}", "in \"realm_host\": is not an object");
	assert_refused("{\"realm_host\": {}} x", "not valid JSON");
}

/* The full description with one piece of its text replaced. */
static void with(const char *old, const char *new, const char *words)
{
	const char *at = strstr(full_text, old);
	char text[512];

	assert_non_null(at);
	(void)snprintf(text, sizeof(text), "{\"realm_host\": %.*s%s%s}", (int)(at - full_text),
		       full_text, new, at + strlen(old));
	assert_refused(text, words);
}

static void test_descriptions(void **state)
{
	static const struct {
		const char *old, *new, *words;
	} bad[] = {
		{"\"implicit-gmem\"", "\"Explicit\"", "\"family\" is \"Explicit\", not explicit"},
		{"\"implicit-gmem\"", "3", "\"family\" is not a string"},
		{"\"2.0-spec\"", "\"2.0\"", "\"rmm\" is \"2.0\", not 1.0, 2.0-tfrmm or 2.0-spec"},
		{"\"2.0-spec\"", "2.0", "\"rmm\" is not a string"},
		{"\"max_ipa_bits\": 48, ", "", "\"max_ipa_bits\" is missing"},
		{"48", "53", "\"max_ipa_bits\" is not a whole number from 0 to 52"},
		{"63", "64", "\"num_bps\" is not a whole number from 0 to 63"},
		{"63", "-1", "\"num_bps\" is not"},
		{"63", "5.0", "\"num_bps\" is not"},
		{"63", "\"5\"", "\"num_bps\" is not"},
		{"63", "99999999999999999999", "\"num_bps\" is not"},
		{"63", "null", "\"num_bps\" is not"},
		{"\"num_wps\": 1", "\"num_wps\": 64", "\"num_wps\" is not"},
		{"31", "32", "\"pmu_num_ctrs\" is not a whole number from 0 to 31"},
		{"15", "16", "\"sve_vl\" is not a whole number from 0 to 15"},
		{"\"pmu\": true", "\"pmu\": 1", "\"pmu\" is neither true nor false"},
		{"\"sve\": true", "\"sve\": \"true\"", "\"sve\" is neither"},
		{"\"lpa2\": true", "\"lpa2\": null", "\"lpa2\" is neither"},
		{", \"lpa2\": true", "", "\"lpa2\" is missing"},
		{"\"pmu\": true, ", "", "\"pmu\" is missing"},
		{"\"lpa2\"", "\"mec\": 1, \"lpa2\"", "\"mec\" is not known here"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		with(bad[i].old, bad[i].new, bad[i].words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_stable),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

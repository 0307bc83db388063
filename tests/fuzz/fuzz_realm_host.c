/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/realm/realm_host.c src/realm/verify_json.c src/util/jsontext.c
 * src/realm/plan.c src/util/hash.c src/util/err.c src/util/parse.c
 */
/*
 * Property: a host's description is refused, with a clause and no change, or what was read of it is
 * in range, and written again and read again is the same.
 */
#include <errno.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/realm_host.h"
#include "fuzz.h"

static bool is_same(const struct realm_host *one, const struct realm_host *other)
{
	return one->family == other->family && one->rmm == other->rmm &&
	       one->max_ipa_bits == other->max_ipa_bits && one->num_bps == other->num_bps &&
	       one->num_wps == other->num_wps && one->pmu == other->pmu &&
	       one->pmu_num_ctrs == other->pmu_num_ctrs && one->sve == other->sve &&
	       one->sve_vl == other->sve_vl && one->lpa2 == other->lpa2;
}

static void check_ranges(const struct realm_host *host)
{
	require(host->max_ipa_bits <= 52 && host->num_bps <= 63 && host->num_wps <= 63);
	require(host->pmu_num_ctrs <= 31 && host->sve_vl <= 15);
	require(plan_family_name(host->family) != NULL && plan_rmm_name(host->rmm) != NULL);
}

static void check_again(const struct realm_host *host)
{
	struct json_object *document = json_object_new_object();
	struct realm_host again;
	const char *text;

	json_object_object_add(document, REALM_HOST_MEMBER, realm_host_to_json(host));
	text = json_object_to_json_string(document);
	require(realm_host_from_json(text, strlen(text), &again, NULL) == 0);
	require(is_same(host, &again));
	json_object_put(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct realm_host untouched = {.max_ipa_bits = 99, .num_bps = 98, .pmu = true};
	struct realm_host host = untouched;
	struct ccr_err err = {0};
	const int ret = realm_host_from_json((const char *)data, size, &host, &err);

	if (ret) {
		require(ret == -EINVAL && err.code == -EINVAL && err.msg[0] != '\0');
		require(is_same(&host, &untouched));
		return 0;
	}
	require(err.code == 0);
	check_ranges(&host);
	check_again(&host);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "ccr/jsontext.h"
#include "ccr/realm_host.h"
#include "verify_json.h"

/* As plan_check_params() has them. */
#define MAX_IPA_BITS     52
#define MAX_DEBUG        63
#define MAX_PMU_NUM_CTRS 31
#define MAX_SVE_VL       15

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *name, unsigned number)
{
	json_object_object_add(object, name, json_object_new_int((int)number));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
	json_object_object_add(object, name, json_object_new_boolean(value));
}

struct json_object *realm_host_to_json(const struct realm_host *host)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	add_text(object, "family", plan_family_name(host->family));
	add_text(object, "rmm", plan_rmm_name(host->rmm));
	add_number(object, "max_ipa_bits", host->max_ipa_bits);
	add_number(object, "num_bps", host->num_bps);
	add_number(object, "num_wps", host->num_wps);
	add_bool(object, "pmu", host->pmu);
	add_number(object, "pmu_num_ctrs", host->pmu_num_ctrs);
	add_bool(object, "sve", host->sve);
	add_number(object, "sve_vl", host->sve_vl);
	add_bool(object, "lpa2", host->lpa2);
	return object;
}

static int read_names(struct json_object *object, struct realm_host *host, struct ccr_err *err)
{
	const char *family, *rmm;

	if (verify_json_text(object, "family", true, &family, err) ||
	    verify_json_text(object, "rmm", true, &rmm, err))
		return -EINVAL;
	if (plan_family_from_name(family, &host->family))
		return err_set(err, -EINVAL,
			       "\"family\" is \"%s\", not explicit, implicit or implicit-gmem",
			       family);
	if (plan_rmm_from_name(rmm, &host->rmm))
		return err_set(err, -EINVAL, "\"rmm\" is \"%s\", not 1.0, 2.0-tfrmm or 2.0-spec",
			       rmm);
	return 0;
}

static int read_numbers(struct json_object *object, struct realm_host *host, struct ccr_err *err)
{
	const struct {
		const char *name;
		unsigned max;
		unsigned *number;
	} numbers[] = {
		{"max_ipa_bits", MAX_IPA_BITS, &host->max_ipa_bits},
		{"num_bps", MAX_DEBUG, &host->num_bps},
		{"num_wps", MAX_DEBUG, &host->num_wps},
		{"pmu_num_ctrs", MAX_PMU_NUM_CTRS, &host->pmu_num_ctrs},
		{"sve_vl", MAX_SVE_VL, &host->sve_vl},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (verify_json_uint(object, numbers[i].name, numbers[i].max, numbers[i].number,
				     err))
			return -EINVAL;
	}
	return 0;
}

static int read_host(struct json_object *object, struct realm_host *host, struct ccr_err *err)
{
	static const char *const names[] = {
		"family",       "rmm", "max_ipa_bits", "num_bps", "num_wps", "pmu",
		"pmu_num_ctrs", "sve", "sve_vl",       "lpa2",    NULL};

	if (verify_json_check_names(object, names, err) || read_names(object, host, err) ||
	    read_numbers(object, host, err) || verify_json_bool(object, "pmu", &host->pmu, err) ||
	    verify_json_bool(object, "sve", &host->sve, err) ||
	    verify_json_bool(object, "lpa2", &host->lpa2, err))
		return -EINVAL;
	return 0;
}

static int read_document(struct json_object *document, struct realm_host *host, struct ccr_err *err)
{
	struct ccr_err why = {0};
	struct json_object *object;

	if (!json_object_is_type(document, json_type_object))
		return err_set(err, -EINVAL, "is not an object");
	if (!json_object_object_get_ex(document, REALM_HOST_MEMBER, &object))
		return err_set(err, -EINVAL,
			       "has no \"" REALM_HOST_MEMBER
			       "\": it is not what `ccr-run check --json` "
			       "prints on a host that can run realms");
	if (read_host(object, host, &why))
		return err_set(err, -EINVAL, "in \"" REALM_HOST_MEMBER "\": %s", why.msg);
	return 0;
}

int realm_host_from_json(const char *text, size_t size, struct realm_host *ret_host,
			 struct ccr_err *err)
{
	struct json_object *document = jsontext_parse(text, size, err);
	struct realm_host host = {0};
	int ret;

	if (!document)
		return -EINVAL;
	ret = read_document(document, &host, err);
	json_object_put(document);
	if (!ret)
		*ret_host = host;
	return ret;
}

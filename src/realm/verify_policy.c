/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/jsontext.h"
#include "ccr/verify.h"
#include "verify_json.h"

static int read_value(struct json_object *object, const char *name, struct verify_value *value,
		      struct ccr_err *err)
{
	struct verify_value read = {0};
	int ret = verify_json_hex(object, name, false, read.bytes, sizeof(read.bytes), &read.size,
				  err);

	if (!ret && read.size > 0)
		*value = read;
	return ret;
}

static bool is_hash_sized(size_t size)
{
	return size == hash_size(HASH_SHA256) || size == hash_size(HASH_SHA384) ||
	       size == hash_size(HASH_SHA512);
}

static int as_hash(struct json_object *object, const char *name, struct verify_value *value,
		   struct ccr_err *err)
{
	struct verify_value read = {0};

	if (verify_json_as_hex(object, name, read.bytes, sizeof(read.bytes), &read.size, err))
		return -EINVAL;
	if (!is_hash_sized(read.size))
		return err_set(err, -EINVAL, "\"%s\" has %zu bytes, not 32, 48 or 64", name,
			       read.size);
	*value = read;
	return 0;
}

static int read_hash(struct json_object *object, const char *name, struct verify_value *value,
		     struct ccr_err *err)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member))
		return 0;
	return as_hash(member, name, value, err);
}

static int read_lifecycle(struct json_object *object, struct verify_policy *policy,
			  struct ccr_err *err)
{
	const char *text;

	if (verify_json_text(object, "lifecycle", false, &text, err))
		return -EINVAL;
	if (!text)
		return 0;
	policy->allow_debug = !strcmp(text, "debug");
	if (!policy->allow_debug && strcmp(text, "secured") != 0)
		return err_set(err, -EINVAL, "\"lifecycle\" is neither secured nor debug");
	return 0;
}

static int read_hash_algo(struct json_object *object, struct verify_policy *policy,
			  struct ccr_err *err)
{
	const char *text;

	if (verify_json_text(object, "hash-algorithm", false, &text, err))
		return -EINVAL;
	if (!text)
		return 0;
	if (hash_from_name(text, &policy->hash_algo))
		return err_set(err, -EINVAL,
			       "\"hash-algorithm\" is not sha-256, sha-384 or sha-512");
	policy->has_hash_algo = true;
	return 0;
}

static int read_text(struct json_object *object, const char *name, char buf[VERIFY_MAX_TEXT],
		     struct ccr_err *err)
{
	const char *text;

	if (verify_json_text(object, name, false, &text, err))
		return -EINVAL;
	if (!text)
		return 0;
	if (!*text || strlen(text) >= VERIFY_MAX_TEXT)
		return err_set(err, -EINVAL, "\"%s\" is not of 1 to %d bytes", name,
			       VERIFY_MAX_TEXT - 1);
	memcpy(buf, text, strlen(text) + 1);
	return 0;
}

static int read_component(struct json_object *object, struct verify_component *component,
			  struct ccr_err *err)
{
	static const char *const names[] = {"component-type", "measurement-value", "signer-id",
					    "version", NULL};

	*component = (struct verify_component){0};
	if (verify_json_check_names(object, names, err) ||
	    read_hash(object, "measurement-value", &component->measurement, err) ||
	    read_hash(object, "signer-id", &component->signer, err) ||
	    read_text(object, "component-type", component->type, err) ||
	    read_text(object, "version", component->version, err))
		return -EINVAL;
	if (component->measurement.size == 0 || component->signer.size == 0)
		return err_set(err, -EINVAL,
			       "a component lacks \"measurement-value\" or \"signer-id\"");
	return 0;
}

static int read_components(struct json_object *object, struct verify_policy *policy,
			   struct ccr_err *err)
{
	struct json_object *array;
	size_t nr;

	if (!json_object_object_get_ex(object, "sw-components", &array))
		return 0;
	nr = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
	if (nr == 0 || nr > VERIFY_MAX_COMPONENTS)
		return err_set(err, -EINVAL, "\"sw-components\" is not an array of 1 to %d",
			       VERIFY_MAX_COMPONENTS);
	for (size_t i = 0; i < nr; i++) {
		if (read_component(json_object_array_get_idx(array, i), &policy->components[i],
				   err))
			return -EINVAL;
	}
	policy->nr_components = nr;
	return 0;
}

static int read_rems(struct json_object *object, struct verify_policy *policy, struct ccr_err *err)
{
	static const char name[] = "extensible-measurements";
	struct json_object *array, *rem;

	if (!json_object_object_get_ex(object, name, &array))
		return 0;
	if (!json_object_is_type(array, json_type_array) ||
	    json_object_array_length(array) != TOKEN_NR_REMS)
		return err_set(err, -EINVAL, "\"%s\" is not an array of %d", name, TOKEN_NR_REMS);
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++) {
		rem = json_object_array_get_idx(array, i);
		if (rem && as_hash(rem, name, &policy->rems[i], err))
			return -EINVAL;
	}
	return 0;
}

/* The value has always 64 bytes; who writes less means zeros behind it, as for a launch. */
static int read_rpv(struct json_object *object, struct verify_policy *policy, struct ccr_err *err)
{
	if (read_value(object, "personalization-value", &policy->rpv, err))
		return -EINVAL;
	if (policy->rpv.size > 0)
		policy->rpv.size = PLAN_RPV_SIZE;
	return 0;
}

static int read_policy(struct json_object *object, struct verify_policy *policy,
		       struct ccr_err *err)
{
	static const char *const names[] = {"lifecycle",
					    "platform-configuration",
					    "sw-components",
					    "hash-algorithm",
					    "initial-measurement",
					    "extensible-measurements",
					    "personalization-value",
					    NULL};
	int ret = verify_json_check_names(object, names, err);

	if (!ret)
		ret = read_lifecycle(object, policy, err);
	if (!ret)
		ret = read_value(object, "platform-configuration", &policy->platform_config, err);
	if (!ret)
		ret = read_components(object, policy, err);
	if (!ret)
		ret = read_hash_algo(object, policy, err);
	if (!ret)
		ret = read_hash(object, "initial-measurement", &policy->rim, err);
	if (!ret)
		ret = read_rems(object, policy, err);
	if (!ret)
		ret = read_rpv(object, policy, err);
	return ret;
}

int verify_policy_load(const char *text, size_t size, struct verify_policy *policy,
		       struct ccr_err *err)
{
	struct verify_policy changed = *policy;
	struct json_object *object = jsontext_parse(text, size, err);
	int ret;

	if (!object)
		return -EINVAL;
	ret = read_policy(object, &changed, err);
	json_object_put(object);
	if (!ret)
		*policy = changed;
	return ret;
}

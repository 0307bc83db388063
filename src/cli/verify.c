/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/cli.h"
#include "ccr/evlog.h"
#include "ccr/file.h"
#include "ccr/parse.h"
#include "ccr/verify.h"
#include "internal.h"

/* A token as base64, with line breaks. */
#define MAX_FILE_SIZE ((size_t)2 * VERIFY_MAX_TOKEN_SIZE)

/* All that is held while a token is verified. */
struct inputs {
	struct blob token;
	struct blob log;
	struct verify_anchors anchors;
	struct verify_policy policy;
	bool has_measured;
	struct cli_measured measured;
};

static int not_both(const char *option, struct ccr_err *err)
{
	return err_set(err, -EINVAL, "%s: the policy file names one too; give only one of them",
		       option);
}

static int take_challenge(const char *text, struct verify_value *value, struct ccr_err *err)
{
	if (parse_hex(text, value->bytes, sizeof(value->bytes), &value->size) ||
	    value->size < VERIFY_MIN_CHALLENGE)
		return err_set(err, -EINVAL, "--challenge %s: not %d to %zu bytes in hexadecimal",
			       text, VERIFY_MIN_CHALLENGE, sizeof(value->bytes));
	value->size = RSI_CHALLENGE_SIZE;
	return 0;
}

static int take_rim(const char *text, struct verify_value *value, struct ccr_err *err)
{
	if (value->size > 0)
		return not_both("--rim", err);
	if (parse_hex(text, value->bytes, sizeof(value->bytes), &value->size) ||
	    (value->size != hash_size(HASH_SHA256) && value->size != hash_size(HASH_SHA384) &&
	     value->size != hash_size(HASH_SHA512)))
		return err_set(err, -EINVAL, "--rim %s: not 32, 48 or 64 bytes in hexadecimal",
			       text);
	return 0;
}

static int take_rpv(const char *text, struct verify_value *value, struct ccr_err *err)
{
	if (value->size > 0)
		return not_both("--rpv", err);
	value->size = PLAN_RPV_SIZE;
	return cli_parse_rpv(text, value->bytes, err);
}

static int take_options(const struct cli_verify_options *options, struct verify_policy *policy,
			struct ccr_err *err)
{
	int ret = 0;

	if (options->emulated && options->trust_anchors)
		return err_set(err, -EINVAL,
			       "--emulated brings its own trust anchor; leave --trust-anchors out");
	policy->emulated = options->emulated;
	if (options->challenge)
		ret = take_challenge(options->challenge, &policy->challenge, err);
	if (!ret && options->rim)
		ret = take_rim(options->rim, &policy->rim, err);
	if (!ret && options->rpv)
		ret = take_rpv(options->rpv, &policy->rpv, err);
	return ret;
}

static int differ(const char *what, struct ccr_err *err)
{
	return err_set(err, -EINVAL,
		       "%s: the launch options give another one than --%s or the policy file; "
		       "leave out what is wrong",
		       what, what);
}

static int agree(const char *what, const uint8_t *bytes, size_t size, struct verify_value *value,
		 struct ccr_err *err)
{
	if (value->size > 0 && (value->size != size || memcmp(value->bytes, bytes, size) != 0))
		return differ(what, err);
	value->size = size;
	memcpy(value->bytes, bytes, size);
	return 0;
}

/* What the launch options stand for is demanded; what was named as well must be the same. */
static int take_measured(const struct cli_options *options, const struct cli_measured *measured,
			 struct verify_policy *policy, struct ccr_err *err)
{
	const struct plan *plan = &measured->launch.plan;
	int ret = 0;

	if (policy->has_hash_algo && policy->hash_algo != plan->hash_algo)
		return err_set(err, -EINVAL,
			       "--measurement-algo: the policy file names another hash");
	policy->has_hash_algo = true;
	policy->hash_algo = plan->hash_algo;
	ret = agree("rim", measured->rim, hash_size(plan->hash_algo), &policy->rim, err);
	if (!ret && options->rpv_given)
		ret = agree("rpv", plan->rpv, sizeof(plan->rpv), &policy->rpv, err);
	return ret;
}

static enum cli_status measure_launch(const struct cli_options *options, struct inputs *inputs,
				      struct ccr_err *err)
{
	struct cli_options wanted = *options;
	struct cli_measured *measured = &inputs->measured;
	enum cli_status status;

	if (!options->kind_given) {
		wanted.kind_given = true;
		wanted.launch.kind = options->verify.emulated ? MACHINE_EMULATED : MACHINE_REALM;
	}
	status = cli_measure_realm(&wanted, NULL, NULL, measured, err);
	if (status)
		return status;
	inputs->has_measured = true;
	inputs->policy.plan = &measured->launch.plan;
	inputs->policy.host = &measured->host;
	return take_measured(options, measured, &inputs->policy, err) ? CLI_USAGE : CLI_OK;
}

static int name_file(const char *path, const char *what, int code, const struct ccr_err *why,
		     struct ccr_err *err)
{
	return err_set(err, code, "%s %s: %s", what, path, why->msg);
}

static int load_anchors(const char *path, struct verify_anchors *anchors, struct ccr_err *err)
{
	struct blob blob = {0};
	struct ccr_err why = {0};
	int ret = file_load(path, VERIFY_MAX_FILE_SIZE, "trust anchors", &blob, err);

	if (ret)
		return ret;
	ret = verify_anchors_load((const char *)blob.data, blob.size, anchors, &why);
	blob_free(&blob);
	return ret ? name_file(path, "trust anchors", ret, &why, err) : 0;
}

static int load_policy(const char *path, struct verify_policy *policy, struct ccr_err *err)
{
	struct blob blob = {0};
	struct ccr_err why = {0};
	int ret = file_load(path, VERIFY_MAX_FILE_SIZE, "policy", &blob, err);

	if (ret)
		return ret;
	ret = verify_policy_load((const char *)blob.data, blob.size, policy, &why);
	blob_free(&blob);
	return ret ? name_file(path, "policy", ret, &why, err) : 0;
}

/*
 * What a console or a terminal hands on is base64, with line breaks. It cannot be mistaken: a
 * token's first byte is none of base64's characters.
 */
static void decode_base64(struct blob *blob)
{
	char *text = malloc(blob->size + 1);
	size_t length = 0, size;

	if (!text)
		return;
	for (size_t i = 0; i < blob->size; i++) {
		if (blob->data[i] == '\0' || !strchr(" \t\r\n", blob->data[i]))
			text[length++] = (char)blob->data[i];
	}
	text[length] = '\0';
	if (strlen(text) == length && parse_base64(text, blob->data, blob->size, &size) == 0)
		blob->size = size;
	free(text);
}

static int load_token(const struct cli_options *options, struct blob *token, struct ccr_err *err)
{
	const char *path = options->verify.token;
	int ret;

	if (!strcmp(path, "-"))
		ret = file_read_all(STDIN_FILENO, MAX_FILE_SIZE, "token on stdin", token, err);
	else
		ret = file_load(path, MAX_FILE_SIZE, "token", token, err);
	if (ret)
		return ret;
	if (token->size == 0)
		return err_set(err, -ENODATA, "token %s: the file is empty", path);
	return 0;
}

/* Its first byte is none of base64's characters either. */
static int load_log(const char *path, struct inputs *inputs, struct ccr_err *err)
{
	const int ret = file_load(path, 2 * EVLOG_MAX_SIZE, "measurement log", &inputs->log, err);

	if (ret)
		return ret;
	if (inputs->log.size == 0)
		return err_set(err, -ENODATA, "measurement log %s: the file is empty", path);
	decode_base64(&inputs->log);
	inputs->policy.log = inputs->log.data;
	inputs->policy.log_size = inputs->log.size;
	return 0;
}

static void print_hex(const char *name, const struct cbor_item *item)
{
	char text[2 * HASH_MAX_SIZE + 1];

	if (item->content_size <= HASH_MAX_SIZE)
		printf("  %-18s %s\n", name,
		       parse_format_hex(item->content, item->content_size, text));
}

static void print_claims(const struct verify_result *result)
{
	char name[16];

	if (result->has_platform) {
		print_hex("implementation-id", &result->platform.implementation_id);
		print_hex("instance-id", &result->platform.instance_id);
	}
	if (result->has_realm) {
		printf("  %-18s %s\n", "hash-algo", hash_name(result->realm.hash_algo));
		print_hex("rim", &result->realm.rim);
		for (unsigned i = 0; i < TOKEN_NR_REMS; i++) {
			snprintf(name, sizeof(name), "rem%u", i);
			print_hex(name, &result->realm.rems[i]);
		}
		print_hex("rpv", &result->realm.rpv);
		print_hex("challenge", &result->realm.challenge);
	}
}

static const char *outcome_name(enum verify_outcome outcome)
{
	static const char *const names[] = {
		[VERIFY_SKIPPED] = "skip",
		[VERIFY_PASSED] = "pass",
		[VERIFY_FAILED] = "fail",
	};

	return names[outcome];
}

/* The first failure is the one to name: what follows may be its consequence. */
static enum verify_check first_failure(const struct verify_result *result)
{
	unsigned i = 0;

	while (i < VERIFY_NR_CHECKS - 1 && result->findings[i].outcome != VERIFY_FAILED)
		i++;
	return i;
}

/* Who accepts a token should see what nobody looked at. */
static void print_verdict(const struct verify_result *result)
{
	const char *before = "accepted; not compared: ";

	if (!result->accepted) {
		printf("rejected: %s\n", result->findings[first_failure(result)].reason);
		return;
	}
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++) {
		if (result->findings[i].outcome != VERIFY_SKIPPED)
			continue;
		printf("%s%s", before, verify_check_name(i));
		before = ", ";
	}
	printf("%s\n", *before == ',' ? "" : "accepted");
}

static void print_text(const struct verify_result *result)
{
	if (result->has_platform || result->has_realm)
		printf("The token says:\n");
	print_claims(result);
	printf("Checks:\n");
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++)
		printf("  %s  %-18s %s\n", outcome_name(result->findings[i].outcome),
		       verify_check_name(i), result->findings[i].reason);
	print_verdict(result);
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static void add_hex(struct json_object *object, const char *name, const struct cbor_item *item)
{
	char *text = malloc(2 * item->content_size + 1);

	if (!text)
		return;
	add_text(object, name, parse_format_hex(item->content, item->content_size, text));
	free(text);
}

static struct json_object *platform_json(const struct token_platform *platform)
{
	struct json_object *object = json_object_new_object();

	add_hex(object, "implementation-id", &platform->implementation_id);
	add_hex(object, "instance-id", &platform->instance_id);
	add_hex(object, "platform-configuration", &platform->config);
	json_object_object_add(object, "lifecycle", json_object_new_int((int)platform->lifecycle));
	return object;
}

static struct json_object *realm_json(const struct token_realm *realm)
{
	struct json_object *object = json_object_new_object();
	struct json_object *rems = json_object_new_array();
	char text[2 * HASH_MAX_SIZE + 1];

	add_text(object, "hash-algorithm", hash_name(realm->hash_algo));
	add_hex(object, "initial-measurement", &realm->rim);
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++)
		json_object_array_add(
			rems, json_object_new_string(parse_format_hex(
				      realm->rems[i].content, realm->rems[i].content_size, text)));
	json_object_object_add(object, "extensible-measurements", rems);
	add_hex(object, "personalization-value", &realm->rpv);
	add_hex(object, "challenge", &realm->challenge);
	return object;
}

static void print_json(const struct verify_result *result)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();

	json_object_object_add(object, "accepted", json_object_new_boolean(result->accepted));
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++) {
		struct json_object *check = json_object_new_object();

		add_text(check, "check", verify_check_name(i));
		add_text(check, "outcome", outcome_name(result->findings[i].outcome));
		add_text(check, "reason", result->findings[i].reason);
		json_object_array_add(list, check);
	}
	json_object_object_add(object, "checks", list);
	if (result->has_platform)
		json_object_object_add(object, "platform", platform_json(&result->platform));
	if (result->has_realm)
		json_object_object_add(object, "realm", realm_json(&result->realm));
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static enum cli_status verify_loaded(const struct inputs *inputs, bool json, struct ccr_err *err)
{
	struct verify_result result;
	enum verify_check failed;
	enum cli_status status;

	verify_token(inputs->token.data, inputs->token.size, &inputs->policy, &result);
	if (json)
		print_json(&result);
	else
		print_text(&result);
	status = cli_flush(err);
	if (status)
		return status;
	if (result.accepted)
		return CLI_OK;
	failed = first_failure(&result);
	err_set(err, -EBADMSG, "token rejected: %s: %s", verify_check_name(failed),
		result.findings[failed].reason);
	return CLI_REJECTED;
}

static enum cli_status load_and_verify(const struct cli_options *all, cli_token_source *source,
				       struct inputs *inputs, struct ccr_err *err)
{
	const struct cli_verify_options *options = &all->verify;
	enum cli_status status = CLI_OK;

	if (options->policy && load_policy(options->policy, &inputs->policy, err))
		return CLI_NOT_STARTED;
	if (take_options(options, &inputs->policy, err))
		return CLI_USAGE;
	if (all->launch_given)
		status = measure_launch(all, inputs, err);
	if (status)
		return status;
	if (options->trust_anchors && load_anchors(options->trust_anchors, &inputs->anchors, err))
		return CLI_NOT_STARTED;
	inputs->policy.anchors = &inputs->anchors;
	if (source(all, &inputs->token, err))
		return CLI_NOT_STARTED;
	decode_base64(&inputs->token);
	if (options->log && load_log(options->log, inputs, err))
		return CLI_NOT_STARTED;
	return verify_loaded(inputs, all->json, err);
}

enum cli_status cli_verify_from(const struct cli_options *options, cli_token_source *source,
				struct ccr_err *err)
{
	struct inputs inputs = {0};
	enum cli_status status = load_and_verify(options, source, &inputs, err);

	blob_free(&inputs.token);
	blob_free(&inputs.log);
	if (inputs.has_measured)
		launch_done(&inputs.measured.launch);
	verify_anchors_done(&inputs.anchors);
	return status;
}

enum cli_status cli_verify(const struct cli_options *options, struct ccr_err *err)
{
	if (!options->verify.token) {
		err_set(err, -EINVAL, "no token: give the file that holds it, or - for stdin");
		return CLI_USAGE;
	}
	return cli_verify_from(options, load_token, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/cli.h"
#include "ccr/corim.h"
#include "ccr/evlog.h"
#include "ccr/features.h"
#include "ccr/file.h"
#include "ccr/parse.h"
#include "ccr/realm.h"
#include "ccr/realm_host.h"
#include "internal.h"

static bool is_host_given(const struct cli_options *options)
{
	return options->host.file || options->realm_abi.series || options->host.has_rmm;
}

static enum machine_kind kind_of(const struct cli_options *options)
{
	if (options->kind_given)
		return options->launch.kind;
	return is_host_given(options) ? MACHINE_REALM : MACHINE_EMULATED;
}

static int load_host(const char *path, struct realm_host *host, struct ccr_err *err)
{
	struct ccr_err why = {0};
	struct blob blob = {0};
	int ret = file_load(path, REALM_HOST_MAX_SIZE, "host description", &blob, err);

	if (ret)
		return ret;
	ret = realm_host_from_json((const char *)blob.data, blob.size, host, &why);
	blob_free(&blob);
	return ret ? err_set(err, ret, "host description %s: %s", path, why.msg) : 0;
}

/* An interface brings the RMM of its time, unless that is named as well. */
static void override_host(const struct cli_options *options, struct realm_host *host)
{
	if (options->realm_abi.series) {
		host->family = options->realm_abi.family;
		host->rmm = realm_abi_rmm(&options->realm_abi);
	}
	if (options->host.has_rmm)
		host->rmm = options->host.rmm;
}

static void log_host(const struct realm_host *host, enum cli_host_source source)
{
	if (source == CLI_HOST_CONSTANT)
		return;
	log_info("measuring for a host with KVM's %s realm interface, RMM %s, %u breakpoints and "
		 "%u watchpoints%s",
		 plan_family_name(host->family), plan_rmm_name(host->rmm), host->num_bps + 1,
		 host->num_wps + 1,
		 source == CLI_HOST_DEFAULT
			 ? ": assumed; `ccr-run check --json` on the host and --host here say it"
			 : "");
}

static enum cli_status choose_host(const struct cli_options *options, enum machine_kind kind,
				   struct cli_measured *measured, struct ccr_err *err)
{
	/* Also what is assumed of a real host: that of the software stack that can be had. */
	measured->host = realm_emulated_host;
	measured->host_source = kind == MACHINE_EMULATED ? CLI_HOST_CONSTANT : CLI_HOST_DEFAULT;
	if (!is_host_given(options))
		return CLI_OK;
	if (kind == MACHINE_EMULATED) {
		err_set(err, -EINVAL,
			"an emulated realm has the same measurement on every host; --host, "
			"--realm-abi and --rmm are for --realm=kvm");
		return CLI_USAGE;
	}
	measured->host_source = CLI_HOST_GIVEN;
	if (options->host.file && load_host(options->host.file, &measured->host, err))
		return CLI_NOT_STARTED;
	override_host(options, &measured->host);
	return CLI_OK;
}

enum cli_status cli_measure_realm(const struct cli_options *options, measure_observer *observer,
				  void *ctx, struct cli_measured *measured, struct ccr_err *err)
{
	const enum machine_kind kind = kind_of(options);
	enum cli_status status = choose_host(options, kind, measured, err);

	if (!status)
		status = cli_load(options, kind, &measured->launch, err);
	if (status)
		return status;
	features_enter_realm(&measured->launch.features, &measured->host);
	log_host(&measured->host, measured->host_source);
	if (measure_plan(&measured->launch.plan, &measured->host, observer, ctx, measured->rim,
			 err)) {
		launch_done(&measured->launch);
		return CLI_NOT_STARTED;
	}
	return CLI_OK;
}

/*
 * The steps, for --explain: a table as it is measured, or an array for --json.
 * @host, @ipa_bits: the realm's parameters
 * @plan: has the vCPU's registers; NULL for a log, where each step has its own
 */
struct explain {
	enum hash_algo algo;
	const struct realm_host *host;
	const unsigned *ipa_bits;
	const struct plan *plan;
	unsigned nr_steps;
	struct json_object *array;
};

static uint64_t page_of(const struct plan_segment *segment, ipa_t base)
{
	return (base.v - segment->base.v) / GRANULE_SIZE;
}

/* RmiRealmParams, field by field. */
static void describe_params(const struct explain *explain, char *text, size_t size)
{
	const struct realm_host *host = explain->host;
	char sve[32] = "no SVE", pmu[32] = "no PMU";

	if (host->sve)
		snprintf(sve, sizeof(sve), "SVE %u bits", (host->sve_vl + 1) * FEATURES_SVE_UNIT);
	if (host->pmu)
		snprintf(pmu, sizeof(pmu), "PMU %u counters", host->pmu_num_ctrs);
	snprintf(text, size, "%u address bits, %u breakpoints, %u watchpoints, %s, %s, %s",
		 *explain->ipa_bits, host->num_bps + 1, host->num_wps + 1, sve, pmu,
		 host->lpa2 ? "LPA2" : "no LPA2");
}

/* What was measured in a step that has no data. */
static void describe_step(const struct explain *explain, const char *what, char *text, size_t size)
{
	if (!strcmp(what, "realm parameters"))
		describe_params(explain, text, size);
	else if (!strcmp(what, "REC") && explain->plan)
		snprintf(text, size, "pc 0x%llx, x0 0x%llx", (unsigned long long)explain->plan->pc,
			 (unsigned long long)explain->plan->gprs[0]);
}

static void print_step(void *ctx, const char *what, const struct plan_segment *segment, ipa_t base,
		       uint64_t size, const uint8_t *rim)
{
	struct explain *explain = ctx;
	char text[2 * HASH_MAX_SIZE + 1], place[160] = "";

	describe_step(explain, what, place, sizeof(place));
	if (segment)
		snprintf(place, sizeof(place), "%s page %llu", segment->name,
			 (unsigned long long)page_of(segment, base));
	printf("%6u  %-17s", explain->nr_steps++, what);
	if (size > 0)
		printf("  0x%09llx +0x%-8llx", (unsigned long long)base.v,
		       (unsigned long long)size);
	else
		printf("  %22s", "");
	printf("  %-20s  %s\n", place, parse_format_hex(rim, hash_size(explain->algo), text));
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *name, uint64_t number)
{
	json_object_object_add(object, name, json_object_new_int64((int64_t)number));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
	json_object_object_add(object, name, json_object_new_boolean(value));
}

/* JSON's numbers are not safe above 2^53. */
static void add_address(struct json_object *object, const char *name, uint64_t value)
{
	char text[19];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	add_text(object, name, text);
}

static void add_hex(struct json_object *object, const char *name, const uint8_t *bytes, size_t size)
{
	char text[2 * HASH_MAX_SIZE + 1];

	add_text(object, name, parse_format_hex(bytes, size, text));
}

static void add_step(void *ctx, const char *what, const struct plan_segment *segment, ipa_t base,
		     uint64_t size, const uint8_t *rim)
{
	struct explain *explain = ctx;
	struct json_object *step = json_object_new_object();

	add_number(step, "step", explain->nr_steps++);
	add_text(step, "what", what);
	if (size > 0) {
		add_address(step, "base", base.v);
		add_number(step, "size", size);
	}
	if (segment) {
		add_text(step, "segment", segment->name);
		add_number(step, "page", page_of(segment, base));
	}
	add_hex(step, "rim", rim, hash_size(explain->algo));
	json_object_array_add(explain->array, step);
}

/* The digest is that of the image itself, without the zeros around it: `sha256sum` agrees. */
static struct json_object *segment_json(const struct plan_segment *segment, enum hash_algo algo)
{
	struct json_object *object = json_object_new_object();
	uint8_t digest[HASH_MAX_SIZE];

	add_text(object, "name", segment->name);
	add_address(object, "base", segment->base.v);
	add_number(object, "size", segment->size);
	add_address(object, "data_base", segment->base.v + segment->lead_size);
	add_number(object, "data_size", segment->data_size);
	add_bool(object, "measured", segment->measured);
	if (hash_digest(algo, segment->data, segment->data_size, digest) == 0)
		add_hex(object, "data_digest", digest, hash_size(algo));
	return object;
}

static struct json_object *segments_json(const struct plan *plan)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < plan->nr_segments; i++)
		json_object_array_add(array, segment_json(&plan->segments[i], plan->hash_algo));
	return array;
}

/* A command line is bytes, JSON is UTF-8; the device tree's digest pins the bytes. */
static void add_printable(struct json_object *object, const char *name, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return;
	err_make_printable(copy);
	add_text(object, name, copy);
	free(copy);
}

static struct json_object *options_json(const struct launch_options *options)
{
	struct json_object *object = json_object_new_object();
	char features[FEATURES_MAX_TEXT];

	if (options->cmdline)
		add_printable(object, "params", options->cmdline);
	add_number(object, "mem", options->ram_size);
	add_number(object, "cpus", options->nr_vcpus);
	add_bool(object, "pci", options->has_pci);
	if (options->has_virtio_mmio)
		add_text(object, "virtio_transport", "mmio");
	if (options->kaslr_seed)
		add_address(object, "kaslr_seed", options->kaslr_seed);
	if (*features_format(&options->features, features))
		add_text(object, "cpu_features", features);
	add_text(object, "measurement_algo", hash_name(options->hash_algo));
	return object;
}

static const char *host_source_name(enum cli_host_source source)
{
	static const char *const names[] = {
		[CLI_HOST_CONSTANT] = "constant",
		[CLI_HOST_DEFAULT] = "default",
		[CLI_HOST_GIVEN] = "given",
	};

	return names[source];
}

static void print_json(const struct cli_options *options, const struct cli_measured *measured,
		       struct json_object *steps)
{
	const struct plan *plan = &measured->launch.plan;
	struct json_object *object = json_object_new_object();

	add_hex(object, "rim", measured->rim, hash_size(plan->hash_algo));
	add_text(object, "hash_algo", hash_name(plan->hash_algo));
	add_number(object, "layout_version", MEMMAP_LAYOUT_VERSION);
	add_text(object, "realm", measured->host_source == CLI_HOST_CONSTANT ? "emulated" : "kvm");
	add_text(object, "realm_host_source", host_source_name(measured->host_source));
	json_object_object_add(object, REALM_HOST_MEMBER, realm_host_to_json(&measured->host));
	json_object_object_add(object, "options", options_json(&options->launch));
	if (options->rpv_given)
		add_hex(object, "rpv", plan->rpv, sizeof(plan->rpv));
	add_number(object, "ipa_bits", plan->ipa_bits);
	add_address(object, "ram_base", plan->ram_base.v);
	add_number(object, "ram_size", plan->ram_size);
	add_address(object, "pc", plan->pc);
	add_address(object, "x0", plan->gprs[0]);
	json_object_object_add(object, "segments", segments_json(plan));
	if (steps)
		json_object_object_add(object, "steps", json_object_get(steps));
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static int save_corim(const struct cli_options *options, const struct cli_measured *measured,
		      struct ccr_err *err)
{
	const struct corim_realm realm = {
		.hash_algo = measured->launch.plan.hash_algo,
		.rim = measured->rim,
		.rpv = options->rpv_given ? measured->launch.plan.rpv : NULL,
	};
	uint8_t corim[CORIM_MAX_SIZE];
	size_t size;
	int ret = corim_write(&realm, corim, &size, err);

	return ret ? ret : file_save(options->corim, corim, size, "CoRIM", err);
}

static enum cli_status print_measured(const struct cli_options *options,
				      struct cli_measured *measured, struct json_object *steps,
				      struct ccr_err *err)
{
	char text[2 * HASH_MAX_SIZE + 1];

	if (options->corim && save_corim(options, measured, err))
		return CLI_NOT_STARTED;
	if (options->log_path &&
	    launch_write_log(&measured->launch, &measured->host, options->log_path, err))
		return CLI_NOT_STARTED;
	if (options->json)
		print_json(options, measured, steps);
	else
		printf("%s\n",
		       parse_format_hex(measured->rim, hash_size(options->launch.hash_algo), text));
	return cli_flush(err);
}

static void print_log_json(const struct evlog *log, const uint8_t *rim, struct json_object *steps)
{
	struct json_object *object = json_object_new_object();

	add_hex(object, "rim", rim, hash_size(log->hash_algo));
	add_text(object, "hash_algo", hash_name(log->hash_algo));
	add_text(object, "vmm", log->name);
	add_text(object, "vmm_version", log->version);
	add_text(object, "rmm", plan_rmm_name(log->host.rmm));
	add_number(object, "ipa_bits", log->ipa_bits);
	add_number(object, "ram_size", log->ram_size);
	add_number(object, "cpus", log->nr_vcpus);
	if (steps)
		json_object_object_add(object, "steps", json_object_get(steps));
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static int replay(const struct cli_options *options, const struct evlog *log, struct ccr_err *err)
{
	measure_observer *observer = NULL;
	struct explain explain = {
		.algo = log->hash_algo,
		.host = &log->host,
		.ipa_bits = &log->ipa_bits,
	};
	char text[2 * HASH_MAX_SIZE + 1];
	uint8_t rim[HASH_MAX_SIZE];
	int ret;

	if (options->explain && options->json)
		explain.array = json_object_new_array();
	if (options->explain)
		observer = options->json ? add_step : print_step;
	ret = evlog_replay_rim(log, observer, &explain, rim, err);
	if (!ret && options->json)
		print_log_json(log, rim, explain.array);
	else if (!ret)
		printf("%s\n", parse_format_hex(rim, hash_size(log->hash_algo), text));
	json_object_put(explain.array);
	return ret;
}

static enum cli_status measure_log(const struct cli_options *options, struct ccr_err *err)
{
	struct evlog log;
	struct blob blob = {0};
	struct ccr_err why = {0};
	int ret = file_load(options->from_log, EVLOG_MAX_SIZE, "measurement log", &blob, err);

	if (ret)
		return CLI_NOT_STARTED;
	ret = evlog_read_log(blob.data, blob.size, &log, &why);
	if (!ret)
		ret = replay(options, &log, &why);
	blob_free(&blob);
	if (!ret)
		return cli_flush(err);
	err_set(err, ret, "measurement log %s: %s", options->from_log, why.msg);
	return CLI_NOT_STARTED;
}

enum cli_status cli_measure(const struct cli_options *options, struct ccr_err *err)
{
	measure_observer *observer = NULL;
	struct cli_measured measured;
	struct explain explain = {
		.algo = options->launch.hash_algo,
		.host = &measured.host,
		.ipa_bits = &measured.launch.plan.ipa_bits,
		.plan = &measured.launch.plan,
	};
	enum cli_status status;

	if (options->from_log)
		return measure_log(options, err);
	if (options->explain && options->json)
		explain.array = json_object_new_array();
	if (options->explain)
		observer = options->json ? add_step : print_step;
	status = cli_measure_realm(options, observer, &explain, &measured, err);
	if (!status) {
		status = print_measured(options, &measured, explain.array, err);
		launch_done(&measured.launch);
	}
	json_object_put(explain.array);
	return status;
}

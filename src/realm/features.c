/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ccr/features.h"
#include "ccr/parse.h"

/**
 * struct kind - how a feature is chosen
 * @max: 0 for one that is on or off; else there is a number, from @min in steps of @step
 * @always: it cannot be off
 * @what: for messages
 */
struct kind {
	const char *name;
	unsigned min, max, step;
	bool always;
	const char *what;
};

#define NR_DEBUG_MIN 2 /* fewer cannot be written into a realm's parameters */
#define NR_DEBUG_MAX 16

static const struct kind kinds[NR_CPU_FEATURES] = {
	[FEATURE_SVE] = {"sve", FEATURES_SVE_UNIT, FEATURES_MAX_SVE_BITS, FEATURES_SVE_UNIT, false,
			 "a vector length in bits, a multiple of 128 up to 2048, or off"},
	[FEATURE_PMU] = {"pmu", 0, 31, 1, false, "a number of counters from 0 to 31, or off"},
	[FEATURE_BREAKPOINTS] = {"breakpoints", NR_DEBUG_MIN, NR_DEBUG_MAX, 1, true,
				 "a number from 2 to 16"},
	[FEATURE_WATCHPOINTS] = {"watchpoints", NR_DEBUG_MIN, NR_DEBUG_MAX, 1, true,
				 "a number from 2 to 16"},
	[FEATURE_PAUTH] = {.name = "pauth"},
	[FEATURE_LSE] = {.name = "lse"},
	[FEATURE_RDM] = {.name = "rdm"},
	[FEATURE_CRC32] = {.name = "crc32"},
	[FEATURE_AES] = {.name = "aes"},
	[FEATURE_SHA1] = {.name = "sha1"},
	[FEATURE_SHA2] = {.name = "sha2"},
	[FEATURE_SHA3] = {.name = "sha3"},
	[FEATURE_SM3] = {.name = "sm3"},
	[FEATURE_SM4] = {.name = "sm4"},
	[FEATURE_DOTPROD] = {.name = "dotprod"},
	[FEATURE_FHM] = {.name = "fhm"},
	[FEATURE_FLAGM] = {.name = "flagm"},
	[FEATURE_RNG] = {.name = "rng"},
	[FEATURE_JSCVT] = {.name = "jscvt"},
	[FEATURE_FCMA] = {.name = "fcma"},
	[FEATURE_LRCPC] = {.name = "lrcpc"},
	[FEATURE_BF16] = {.name = "bf16"},
	[FEATURE_I8MM] = {.name = "i8mm"},
	[FEATURE_BTI] = {.name = "bti"},
};

const char *features_name(enum cpu_feature feature)
{
	return kinds[feature].name;
}

bool features_is_on(const struct cpu_features *features, enum cpu_feature feature)
{
	return features->choices[feature].wish == FEATURE_ON;
}

static int unknown(const char *name, size_t size, struct ccr_err *err)
{
	char names[320] = "";
	size_t used = 0;

	for (unsigned i = 0; i < NR_CPU_FEATURES; i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 kinds[i].name);
	return err_set(err, -EINVAL, "--cpu-feature %.*s: not one of %s", (int)size, name, names);
}

static int find(const char *name, size_t size, enum cpu_feature *ret_feature, struct ccr_err *err)
{
	for (unsigned i = 0; i < NR_CPU_FEATURES; i++) {
		if (strlen(kinds[i].name) == size && memcmp(kinds[i].name, name, size) == 0) {
			*ret_feature = (enum cpu_feature)i;
			return 0;
		}
	}
	return unknown(name, size, err);
}

static bool read_choice(const struct kind *kind, const char *value, struct feature_choice *choice)
{
	uint64_t number;

	*choice = (struct feature_choice){.wish = FEATURE_OFF};
	if (!strcmp(value, "off"))
		return !kind->always;
	choice->wish = FEATURE_ON;
	if (kind->max == 0)
		return !strcmp(value, "on");
	if (parse_u64(value, &number) || number < kind->min || number > kind->max ||
	    number % kind->step)
		return false;
	choice->number = (unsigned)number;
	return true;
}

/* One "name=value" of @size bytes. */
static int take(const char *part, size_t size, struct cpu_features *features, struct ccr_err *err)
{
	const char *equals = memchr(part, '=', size);
	const size_t name_size = equals ? (size_t)(equals - part) : size;
	enum cpu_feature feature = FEATURE_SVE;
	char value[16] = "";
	int ret = find(part, name_size, &feature, err);

	if (ret)
		return ret;
	if (equals && size - name_size <= sizeof(value))
		memcpy(value, equals + 1, size - name_size - 1);
	if (!read_choice(&kinds[feature], value, &features->choices[feature]))
		ret = err_set(err, -EINVAL, "--cpu-feature %.*s: behind %s= there must be %s",
			      (int)size, part, kinds[feature].name,
			      kinds[feature].what ? kinds[feature].what : "on or off");
	return ret;
}

int features_parse(const char *text, struct cpu_features *features, struct ccr_err *err)
{
	struct cpu_features taken = *features;
	size_t size;
	int ret;

	do {
		size = strcspn(text, ",");
		ret = take(text, size, &taken, err);
		text += size;
	} while (!ret && *text++ == ',');
	if (!ret)
		*features = taken;
	return ret;
}

const char *features_format(const struct cpu_features *features, char text[FEATURES_MAX_TEXT])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < NR_CPU_FEATURES; i++) {
		const struct feature_choice *choice = &features->choices[i];
		char value[16];

		if (choice->wish == FEATURE_DEFAULT)
			continue;
		if (choice->wish == FEATURE_ON && kinds[i].max > 0)
			(void)snprintf(value, sizeof(value), "%u", choice->number);
		else
			(void)snprintf(value, sizeof(value), "%s",
				       choice->wish == FEATURE_ON ? "on" : "off");
		used += (size_t)snprintf(text + used, FEATURES_MAX_TEXT - used, "%s%s=%s",
					 used ? "," : "", kinds[i].name, value);
	}
	return text;
}

int features_check(const struct cpu_features *features, enum machine_kind kind, struct ccr_err *err)
{
	for (unsigned i = FEATURE_PAUTH; i < NR_CPU_FEATURES && kind == MACHINE_REALM; i++) {
		if (features->choices[i].wish == FEATURE_OFF)
			return err_set(
				err, -EINVAL,
				"--cpu-feature %s=off: a realm's ID registers are the RMM's, "
				"and nothing can be taken out of them; leave it out, or "
				"rehearse with --realm=emulated",
				kinds[i].name);
	}
	return 0;
}

void features_enter_realm(const struct cpu_features *features, struct realm_host *host)
{
	const struct feature_choice *sve = &features->choices[FEATURE_SVE];
	const struct feature_choice *pmu = &features->choices[FEATURE_PMU];

	if (sve->wish != FEATURE_DEFAULT) {
		host->sve = sve->wish == FEATURE_ON;
		host->sve_vl = host->sve ? sve->number / FEATURES_SVE_UNIT - 1 : 0;
	}
	if (pmu->wish != FEATURE_DEFAULT) {
		host->pmu = pmu->wish == FEATURE_ON;
		host->pmu_num_ctrs = pmu->number;
	}
	if (features_is_on(features, FEATURE_BREAKPOINTS))
		host->num_bps = features->choices[FEATURE_BREAKPOINTS].number - 1;
	if (features_is_on(features, FEATURE_WATCHPOINTS))
		host->num_wps = features->choices[FEATURE_WATCHPOINTS].number - 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features of a guest's CPU that its owner chooses. A name means the same in a plain VM, an
 * emulated realm and a real one; who cannot have it is told so.
 */
#ifndef CCR_FEATURES_H
#define CCR_FEATURES_H

#include <stdbool.h>

#include "ccr/err.h"
#include "ccr/memmap.h"
#include "ccr/plan.h"

/** enum cpu_feature - those up to FEATURE_WATCHPOINTS have a number, and are measured in a realm */
enum cpu_feature {
	FEATURE_SVE,         /* bits of the longest vector */
	FEATURE_PMU,         /* event counters, beside that of cycles */
	FEATURE_BREAKPOINTS, /* how many */
	FEATURE_WATCHPOINTS,
	FEATURE_PAUTH, /* pointer authentication, of addresses and generic */
	FEATURE_LSE,   /* from here on: fields of ID registers */
	FEATURE_RDM,
	FEATURE_CRC32,
	FEATURE_AES,
	FEATURE_SHA1,
	FEATURE_SHA2,
	FEATURE_SHA3,
	FEATURE_SM3,
	FEATURE_SM4,
	FEATURE_DOTPROD,
	FEATURE_FHM,
	FEATURE_FLAGM,
	FEATURE_RNG,
	FEATURE_JSCVT,
	FEATURE_FCMA,
	FEATURE_LRCPC,
	FEATURE_BF16,
	FEATURE_I8MM,
	FEATURE_BTI,
	NR_CPU_FEATURES
};

#define FEATURES_SVE_UNIT     128 /* bits: vectors are multiples of it */
#define FEATURES_MAX_SVE_BITS 2048

/** enum feature_wish - what the owner wants; by default a guest has neither SVE nor a PMU, as many
 * breakpoints and watchpoints as the host gives, and all else that the host has
 */
enum feature_wish { FEATURE_DEFAULT, FEATURE_OFF, FEATURE_ON };

/** struct feature_choice - @number: of a feature that is on and has one */
struct feature_choice {
	enum feature_wish wish;
	unsigned number;
};

/** struct cpu_features - by enum cpu_feature */
struct cpu_features {
	struct feature_choice choices[NR_CPU_FEATURES];
};

/** features_name() - "sve", "lse" and so on. Static. */
const char *features_name(enum cpu_feature feature);

/** features_is_on() - Return: the owner wants it. */
bool features_is_on(const struct cpu_features *features, enum cpu_feature feature);

/**
 * features_parse() - take choices as the owner writes them
 * @text: "sve=256,pmu=4,pauth=off"
 * @features: what was chosen before; a later choice prevails. Untouched on error.
 *
 * Return: 0, or -EINVAL with @err a sentence about --cpu-feature.
 */
int features_parse(const char *text, struct cpu_features *features, struct ccr_err *err);

/** FEATURES_MAX_TEXT - bytes of what features_format() writes, with its NUL */
#define FEATURES_MAX_TEXT 384

/** features_format() - the inverse; "" if nothing was chosen. Return: @text. */
const char *features_format(const struct cpu_features *features, char text[FEATURES_MAX_TEXT]);

/**
 * features_check() - can a machine of this kind be given these choices at all?
 *
 * In a realm the RMM shows the ID registers: what is a field of them cannot be taken away.
 *
 * Return: 0; -EINVAL with @err set.
 */
int features_check(const struct cpu_features *features, enum machine_kind kind,
		   struct ccr_err *err);

/** features_enter_realm() - what of the choices is measured, in place of what @host has there */
void features_enter_realm(const struct cpu_features *features, struct realm_host *host);

#endif

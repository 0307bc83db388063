/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether to believe a CCA attestation token. Pure: bytes in, a list of findings out.
 *
 * Nothing is trusted that the caller does not name: there are no keys built in but those of
 * emulated realms, and these count only when such a token is asked for.
 */
#ifndef CCR_VERIFY_H
#define CCR_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/cose.h"
#include "ccr/err.h"
#include "ccr/hash.h"
#include "ccr/plan.h"
#include "ccr/token.h"

/** VERIFY_MAX_TOKEN_SIZE - longer ones cannot come out of Linux's configfs interface */
#define VERIFY_MAX_TOKEN_SIZE 32768
/** VERIFY_MAX_FILE_SIZE - a reasonable limit for files of trust anchors and policies */
#define VERIFY_MAX_FILE_SIZE ((size_t)1 << 20)

/** VERIFY_MIN_CHALLENGE - what Linux takes for one, in bytes; shorter ones invite guessing */
#define VERIFY_MIN_CHALLENGE 32

/**
 * struct verify_anchor - a platform whose key is trusted
 * @any_platform: the key alone was given; both ids are zero and not looked at
 */
struct verify_anchor {
	bool any_platform;
	uint8_t implementation_id[TOKEN_IMPLEMENTATION_ID_SIZE];
	uint8_t instance_id[TOKEN_INSTANCE_ID_SIZE];
	struct cose_key key;
};

/** struct verify_anchors - all of them; all-zero for none */
struct verify_anchors {
	struct verify_anchor *list;
	size_t nr;
};

/**
 * verify_anchors_load() - trust anchors from a file's content
 * @text: @size bytes, one of:
 *	- a PEM block "PUBLIC KEY";
 *	- a JSON Web Key (RFC 7517) of type EC: an object with kty, crv, x and y;
 *	- a JSON array of objects, each with exactly "implementation-id" and "instance-id" (both
 *	  hexadecimal) and "pkey" (a JSON Web Key). Other CCA verifiers take the same.
 *	A key alone is trusted for every platform.
 * @ret_anchors: release with verify_anchors_done()
 *
 * Return: 0; -EINVAL for anything else, two keys for one platform included; -ENOMEM. @err is a
 * clause about the file, which the caller names.
 */
int verify_anchors_load(const char *text, size_t size, struct verify_anchors *ret_anchors,
			struct ccr_err *err);

/** verify_anchors_done() - takes all-zero ones, leaves them so */
void verify_anchors_done(struct verify_anchors *anchors);

#define VERIFY_MAX_VALUE      64
#define VERIFY_MAX_COMPONENTS 64
#define VERIFY_MAX_TEXT       64

/** struct verify_value - expected bytes; @size is 0 if nothing is expected */
struct verify_value {
	size_t size;
	uint8_t bytes[VERIFY_MAX_VALUE];
};

/**
 * struct verify_component - a software component that may run
 * @measurement, @signer: must be equal
 * @type, @version: must be equal unless they are empty
 */
struct verify_component {
	struct verify_value measurement;
	struct verify_value signer;
	char type[VERIFY_MAX_TEXT];
	char version[VERIFY_MAX_TEXT];
};

/**
 * struct verify_policy - what to expect; all-zero expects only a well-formed token of a secured
 * platform, and trusts none
 * @anchors: borrowed; must live as long as the policy
 * @emulated: the token must be an emulated realm's, and then @anchors are not looked at; without
 *	this, it must not be one
 * @allow_debug: a platform whose lifecycle state allows debugging will do
 * @has_hash_algo: @hash_algo is expected of the realm
 * @log: @log_size hostile bytes that claim to be the measurement log of the realm's launch, NULL
 *	for none; borrowed
 * @plan, @host: of the launch that @rim stands for, NULL if that is not known; borrowed. With @log,
 *	a RIM that is not the expected one is traced to the step that differs.
 * @components: the token's components must be among these; @nr_components is 0 if any will do
 */
struct verify_policy {
	const struct verify_anchors *anchors;
	bool emulated;
	bool allow_debug;
	bool has_hash_algo;
	enum hash_algo hash_algo;
	struct verify_value challenge;
	struct verify_value rim;
	struct verify_value rems[TOKEN_NR_REMS];
	struct verify_value rpv;
	struct verify_value platform_config;
	const uint8_t *log;
	size_t log_size;
	const struct plan *plan;
	const struct realm_host *host;
	size_t nr_components;
	struct verify_component components[VERIFY_MAX_COMPONENTS];
};

/**
 * verify_policy_load() - expectations from a file's content
 * @text: @size bytes: a JSON object with any of these members, and no other:
 *	"lifecycle": "secured" (the default) or "debug", which allows both;
 *	"platform-configuration": hexadecimal;
 *	"sw-components": array of objects with "measurement-value" and "signer-id" (hexadecimal),
 *		and perhaps "component-type" and "version";
 *	"hash-algorithm": "sha-256", "sha-384" or "sha-512";
 *	"initial-measurement": hexadecimal;
 *	"extensible-measurements": array of 4, each hexadecimal or null for any;
 *	"personalization-value": hexadecimal, zero-padded to 64 bytes.
 * @policy: what the file does not name is left alone; untouched on error
 *
 * Return: as verify_anchors_load().
 */
int verify_policy_load(const char *text, size_t size, struct verify_policy *policy,
		       struct ccr_err *err);

/** enum verify_check - the checks, in the order in which they are made */
enum verify_check {
	VERIFY_COLLECTION,
	VERIFY_PLATFORM_SIGN1,
	VERIFY_REALM_SIGN1,
	VERIFY_PLATFORM_CLAIMS,
	VERIFY_REALM_CLAIMS,
	VERIFY_PROFILES,
	VERIFY_REALM_KEY,
	VERIFY_EMULATION,
	VERIFY_PLATFORM_KEY,
	VERIFY_PLATFORM_SIGNATURE,
	VERIFY_REALM_SIGNATURE,
	VERIFY_BINDING,
	VERIFY_LIFECYCLE,
	VERIFY_PLATFORM_CONFIG,
	VERIFY_COMPONENTS,
	VERIFY_CHALLENGE,
	VERIFY_HASH_ALGO,
	VERIFY_LOG,
	VERIFY_RIM,
	VERIFY_REMS,
	VERIFY_RPV,
	VERIFY_NR_CHECKS
};

/** verify_check_name() - "collection", "platform-sign1" and so on */
const char *verify_check_name(enum verify_check check);

/** enum verify_outcome - of one check; skipped is the one of a check that was not reached */
enum verify_outcome { VERIFY_SKIPPED = 0, VERIFY_PASSED, VERIFY_FAILED };

/**
 * struct verify_finding - what a check found
 * @reason: a sentence for the user, printable; never empty
 */
struct verify_finding {
	enum verify_outcome outcome;
	char reason[320];
};

/**
 * struct verify_result - the verdict and how it came about
 * @accepted: no check failed, and only such were skipped as had nothing to compare with
 * @has_platform, @has_realm: @platform, @realm hold the token's claims, borrowed from its bytes.
 *	Unless @accepted they are hearsay.
 */
struct verify_result {
	bool accepted;
	struct verify_finding findings[VERIFY_NR_CHECKS];
	bool has_platform;
	struct token_platform platform;
	bool has_realm;
	struct token_realm realm;
};

/**
 * verify_token() - make every check that can be made
 * @token: @size hostile bytes, borrowed as long as @ret_result is used
 *
 * A check that failed does not end the matter: all that do not depend on it are made too, so that
 * the findings show everything that is wrong. A failure of libcrypto is a failed check.
 */
void verify_token(const uint8_t *token, size_t size, const struct verify_policy *policy,
		  struct verify_result *ret_result);

#endif

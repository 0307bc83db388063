/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification is a table of checks, each a function with one question. A check names those whose
 * results it uses; if one of them did not pass, it is skipped. It may leave results in struct
 * verification for later ones. That is all the order there is: nothing else ends the walk, and the
 * verdict is read off the findings.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ccr/evlog.h"
#include "ccr/parse.h"
#include "ccr/verify.h"

struct verification {
	const uint8_t *token;
	size_t size;
	const struct verify_policy *policy;
	struct token_collection collection;
	struct cose_sign1 platform_sign1;
	struct cose_sign1 realm_sign1;
	struct token_platform platform;
	struct token_realm realm;
	struct cose_key rak;
	const struct cose_key *platform_key;
	struct evlog log;
	bool has_log; /* and it is the log of this token's realm */
};

#define MAX_HEX (2 * HASH_MAX_SIZE + 1)

__attribute__((format(printf, 3, 0))) static enum verify_outcome found(
	struct verify_finding *finding, enum verify_outcome outcome, const char *fmt, va_list args)
{
	finding->outcome = outcome;
	if (vsnprintf(finding->reason, sizeof(finding->reason), fmt, args) < 0)
		finding->reason[0] = '\0';
	err_make_printable(finding->reason);
	return outcome;
}

__attribute__((format(printf, 2, 3))) static enum verify_outcome pass(
	struct verify_finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	found(finding, VERIFY_PASSED, fmt, args);
	va_end(args);
	return VERIFY_PASSED;
}

__attribute__((format(printf, 2, 3))) static enum verify_outcome fail(
	struct verify_finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	found(finding, VERIFY_FAILED, fmt, args);
	va_end(args);
	return VERIFY_FAILED;
}

__attribute__((format(printf, 2, 3))) static enum verify_outcome skip(
	struct verify_finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	found(finding, VERIFY_SKIPPED, fmt, args);
	va_end(args);
	return VERIFY_SKIPPED;
}

/* At most the first HASH_MAX_SIZE bytes: what is longer is never compared. */
static const char *hex(const uint8_t *bytes, size_t size, char text[MAX_HEX])
{
	return parse_format_hex(bytes, size < HASH_MAX_SIZE ? size : HASH_MAX_SIZE, text);
}

static bool equals(const struct cbor_item *item, const uint8_t *bytes, size_t size)
{
	return item->content_size == size && !memcmp(item->content, bytes, size);
}

static enum verify_outcome check_collection(struct verification *v, struct verify_finding *finding)
{
	struct ccr_err err = {0};

	if (v->size > VERIFY_MAX_TOKEN_SIZE)
		return fail(finding, "%zu bytes are more than a token has", v->size);
	if (token_read_collection(v->token, v->size, &v->collection, &err))
		return fail(finding, "%s", err.msg);
	return pass(finding, "tag %llu, %zu bytes: platform token %zu, realm token %zu",
		    (unsigned long long)v->collection.tag, v->size,
		    v->collection.platform.content_size, v->collection.realm.content_size);
}

static enum verify_outcome check_sign1(const struct cbor_item *member, const char *what,
				       struct cose_sign1 *sign1, struct verify_finding *finding)
{
	struct ccr_err err = {0};

	if (cose_sign1_parse(member->content, member->content_size, what, sign1, &err))
		return fail(finding, "%s", err.msg);
	return pass(finding, "COSE_Sign1 with %s, payload %zu bytes", cose_alg_name(sign1->alg),
		    sign1->payload.content_size);
}

static enum verify_outcome check_platform_sign1(struct verification *v,
						struct verify_finding *finding)
{
	return check_sign1(&v->collection.platform, "platform token", &v->platform_sign1, finding);
}

static enum verify_outcome check_realm_sign1(struct verification *v, struct verify_finding *finding)
{
	return check_sign1(&v->collection.realm, "realm token", &v->realm_sign1, finding);
}

static enum verify_outcome check_platform_claims(struct verification *v,
						 struct verify_finding *finding)
{
	const struct cbor_item *payload = &v->platform_sign1.payload;
	struct ccr_err err = {0};

	if (token_read_platform(payload->content, payload->content_size, &v->platform, &err))
		return fail(finding, "%s", err.msg);
	return pass(finding, "complete, %llu software components",
		    (unsigned long long)v->platform.components.value);
}

static enum verify_outcome check_realm_claims(struct verification *v,
					      struct verify_finding *finding)
{
	const struct cbor_item *payload = &v->realm_sign1.payload;
	struct ccr_err err = {0};

	if (token_read_realm(payload->content, payload->content_size, &v->realm, &err))
		return fail(finding, "%s", err.msg);
	return pass(finding, "complete, measured with %s", hash_name(v->realm.hash_algo));
}

static const char *profile_name(enum token_profile profile)
{
	static const char *const names[] = {
		[TOKEN_PROFILE_LEGACY] = "legacy",
		[TOKEN_PROFILE_2023] = "2023",
		[TOKEN_PROFILE_2024] = "2024",
	};

	return names[profile];
}

/*
 * Platform firmware and RMM are updated separately, so the years may differ. But the legacy ones
 * know no COSE_Key, and the others no bare point: one of each can never be bound to the other.
 */
static enum verify_outcome check_profiles(struct verification *v, struct verify_finding *finding)
{
	const bool legacy_platform = v->platform.profile == TOKEN_PROFILE_LEGACY;
	const bool legacy_realm = v->realm.profile == TOKEN_PROFILE_LEGACY;
	const char *platform = profile_name(v->platform.profile);
	const char *realm = profile_name(v->realm.profile);

	if (legacy_platform != legacy_realm)
		return fail(finding, "platform profile %s does not go with realm profile %s",
			    platform, realm);
	return pass(finding, "platform %s, realm %s", platform, realm);
}

static enum verify_outcome check_realm_key(struct verification *v, struct verify_finding *finding)
{
	struct ccr_err err = {0};

	if (token_read_rak(&v->realm, &v->rak, &err))
		return fail(finding, "realm attestation %s", err.msg);
	return pass(finding, "%s on %s",
		    v->realm.profile == TOKEN_PROFILE_LEGACY ? "point" : "COSE_Key",
		    cose_curve_name(v->rak.curve));
}

/* The id is but a claim; whether its owner signed it is the question of later checks. */
static enum verify_outcome check_emulation(struct verification *v, struct verify_finding *finding)
{
	const bool emulated = equals(&v->platform.implementation_id,
				     token_emulated_implementation_id,
				     TOKEN_IMPLEMENTATION_ID_SIZE);

	if (emulated && !v->policy->emulated)
		return fail(finding,
			    "the realm is emulated: nothing isolates it (--emulated accepts it)");
	if (!emulated && v->policy->emulated)
		return fail(finding, "the realm is not an emulated one, as --emulated wants it");
	return pass(finding, emulated ? "the realm is emulated, as expected: nothing isolates it"
				      : "not the platform of emulated realms");
}

static bool is_platform(const struct verify_anchor *anchor, const struct token_platform *platform)
{
	return anchor->any_platform ||
	       (equals(&platform->implementation_id, anchor->implementation_id,
		       sizeof(anchor->implementation_id)) &&
		equals(&platform->instance_id, anchor->instance_id, sizeof(anchor->instance_id)));
}

/* Also refuses emulated realms' key under any other name: what is published proves nothing. */
static enum verify_outcome use_anchor(struct verification *v, const struct verify_anchor *anchor,
				      struct verify_finding *finding)
{
	if (cose_key_equal(&anchor->key, &token_emulated_platform_secret.key))
		return fail(finding, "the trusted key is that of emulated realms, and published");
	v->platform_key = &anchor->key;
	return pass(finding, "trusted, %s",
		    anchor->any_platform ? "for any platform" : "by both of its ids");
}

static enum verify_outcome check_platform_key(struct verification *v,
					      struct verify_finding *finding)
{
	const struct verify_anchors *anchors = v->policy->anchors;
	char implementation[MAX_HEX], instance[2 * TOKEN_INSTANCE_ID_SIZE + 1];

	if (v->policy->emulated) {
		v->platform_key = &token_emulated_platform_secret.key;
		return pass(finding, "the published one of emulated realms");
	}
	if (!anchors || anchors->nr == 0)
		return fail(finding, "no key is trusted: there are no trust anchors");
	for (size_t i = 0; i < anchors->nr; i++) {
		if (is_platform(&anchors->list[i], &v->platform))
			return use_anchor(v, &anchors->list[i], finding);
	}
	return fail(finding, "no trust anchor for implementation %s, instance %s",
		    hex(v->platform.implementation_id.content, TOKEN_IMPLEMENTATION_ID_SIZE,
			implementation),
		    parse_format_hex(v->platform.instance_id.content, TOKEN_INSTANCE_ID_SIZE,
				     instance));
}

static enum verify_outcome check_signature(const struct cose_sign1 *sign1,
					   const struct cose_key *key,
					   struct verify_finding *finding)
{
	struct ccr_err err = {0};

	if (cose_sign1_verify(sign1, key, &err))
		return fail(finding, "%s", err.msg);
	return pass(finding, "%s by the key above", cose_alg_name(sign1->alg));
}

static enum verify_outcome check_platform_signature(struct verification *v,
						    struct verify_finding *finding)
{
	return check_signature(&v->platform_sign1, v->platform_key, finding);
}

static enum verify_outcome check_realm_signature(struct verification *v,
						 struct verify_finding *finding)
{
	return check_signature(&v->realm_sign1, &v->rak, finding);
}

static enum verify_outcome check_binding(struct verification *v, struct verify_finding *finding)
{
	const enum hash_algo algo = v->realm.rak_hash_algo;
	uint8_t digest[HASH_MAX_SIZE];

	/* Of the claim's content as it came, never of the key written anew. */
	if (hash_digest(algo, v->realm.rak.content, v->realm.rak.content_size, digest))
		return fail(finding, "libcrypto failed while hashing");
	if (!equals(&v->platform.challenge, digest, hash_size(algo)))
		return fail(finding, "the platform token's challenge is not the realm key's %s",
			    hash_name(algo));
	return pass(finding, "the platform token's challenge is the realm key's %s",
		    hash_name(algo));
}

static enum verify_outcome check_lifecycle(struct verification *v, struct verify_finding *finding)
{
	const unsigned state = v->platform.lifecycle;

	switch (state >> 8) {
	case TOKEN_LIFECYCLE_SECURED:
		return pass(finding, "0x%04x, secured", state);
	case TOKEN_LIFECYCLE_DEBUG:
	case TOKEN_LIFECYCLE_DEBUG_RECOVERABLE:
		if (v->policy->emulated)
			return pass(finding, "0x%04x, debug, as with every emulated realm", state);
		if (v->policy->allow_debug)
			return pass(finding, "0x%04x, debug, which the policy allows", state);
		return fail(finding, "0x%04x: the platform is being debugged", state);
	default:
		return fail(finding, "0x%04x: the platform is not in its secured state", state);
	}
}

static enum verify_outcome check_value(const struct cbor_item *item,
				       const struct verify_value *want, const char *what,
				       struct verify_finding *finding)
{
	char is[MAX_HEX], should[MAX_HEX];

	if (want->size == 0)
		return skip(finding, "no %s to compare with", what);
	if (item->content_size != want->size)
		return fail(finding, "%s has %zu bytes, expected %zu", what, item->content_size,
			    want->size);
	if (memcmp(item->content, want->bytes, want->size) != 0)
		return fail(finding, "%s is %s, expected %s", what,
			    hex(item->content, item->content_size, is),
			    hex(want->bytes, want->size, should));
	return pass(finding, "%s", hex(item->content, item->content_size, is));
}

static enum verify_outcome check_platform_config(struct verification *v,
						 struct verify_finding *finding)
{
	return check_value(&v->platform.config, &v->policy->platform_config,
			   "platform configuration", finding);
}

static bool is_component(const struct verify_component *want, const struct token_component *is)
{
	return equals(&is->measurement, want->measurement.bytes, want->measurement.size) &&
	       equals(&is->signer, want->signer.bytes, want->signer.size) &&
	       (!*want->type || cbor_is_text(&is->type, want->type)) &&
	       (!*want->version || cbor_is_text(&is->version, want->version));
}

static bool is_known_component(const struct verify_policy *policy, const struct token_component *is)
{
	for (size_t i = 0; i < policy->nr_components; i++) {
		if (is_component(&policy->components[i], is))
			return true;
	}
	return false;
}

/* References may name several versions of a component, so not each of them must be there. */
static enum verify_outcome check_components(struct verification *v, struct verify_finding *finding)
{
	struct token_component component = {0};
	struct cbor_reader reader;
	struct cbor_item item;
	unsigned nr = 0;
	char text[MAX_HEX];

	if (v->policy->nr_components == 0)
		return skip(finding, "no reference values to compare with");
	cbor_enter(&v->platform.components, &reader);
	for (; cbor_read(&reader, &item) == 0; nr++) {
		if (token_read_component(&item, v->platform.hash_algo, &component, NULL) ||
		    !is_known_component(v->policy, &component))
			return fail(
				finding,
				"component %u (\"%.*s\", measurement %.64s) is not among the "
				"reference values",
				nr,
				component.type.content_size < 32 ? (int)component.type.content_size
								 : 32,
				component.type.content ? (const char *)component.type.content : "",
				hex(component.measurement.content,
				    component.measurement.content_size, text));
	}
	return pass(finding, "all %u are among the reference values", nr);
}

static enum verify_outcome check_challenge(struct verification *v, struct verify_finding *finding)
{
	if (v->policy->challenge.size == 0)
		return skip(finding, "no challenge to compare with: the token may be an old one");
	return check_value(&v->realm.challenge, &v->policy->challenge, "challenge", finding);
}

static enum verify_outcome check_hash_algo(struct verification *v, struct verify_finding *finding)
{
	const char *is = hash_name(v->realm.hash_algo);

	if (!v->policy->has_hash_algo)
		return skip(finding, "no hash algorithm to compare with");
	if (v->realm.hash_algo != v->policy->hash_algo)
		return fail(finding, "hash algorithm is %s, expected %s", is,
			    hash_name(v->policy->hash_algo));
	return pass(finding, "%s", is);
}

/* A log is as good as the token that it replays to: what it says of the RIM is then the truth. */
static enum verify_outcome check_log(struct verification *v, struct verify_finding *finding)
{
	struct ccr_err err = {0};
	uint8_t rim[HASH_MAX_SIZE];
	char replayed[MAX_HEX];

	if (!v->policy->log)
		return skip(finding, "no measurement log to replay");
	if (evlog_read_log(v->policy->log, v->policy->log_size, &v->log, &err) ||
	    evlog_replay_rim(&v->log, NULL, NULL, rim, &err))
		return fail(finding, "measurement log: %s", err.msg);
	if (v->log.hash_algo != v->realm.hash_algo)
		return fail(finding, "measurement log is of a realm with %s, the token's has %s",
			    hash_name(v->log.hash_algo), hash_name(v->realm.hash_algo));
	if (!equals(&v->realm.rim, rim, hash_size(v->log.hash_algo)))
		return fail(finding,
			    "measurement log is not of this realm's launch: replayed, it gives RIM "
			    "%s",
			    hex(rim, hash_size(v->log.hash_algo), replayed));
	v->has_log = true;
	return pass(finding, "of %s, %s, replayed: gives the token's RIM", v->log.name,
		    v->log.version);
}

/* What differs by its name, where there is something to compare step by step. */
static bool find_step(const struct verification *v, char text[EVLOG_MAX_DIFFERENCE])
{
	const struct verify_policy *policy = v->policy;

	return v->has_log && policy->plan && policy->host &&
	       !evlog_compare_plan(&v->log, policy->plan, policy->host, text, NULL) &&
	       *text != '\0';
}

static enum verify_outcome check_rim(struct verification *v, struct verify_finding *finding)
{
	const enum verify_outcome outcome =
		check_value(&v->realm.rim, &v->policy->rim, "RIM", finding);
	char text[EVLOG_MAX_DIFFERENCE];

	if (outcome == VERIFY_FAILED && find_step(v, text))
		return fail(finding, "%s", text);
	return outcome;
}

static enum verify_outcome check_rems(struct verification *v, struct verify_finding *finding)
{
	struct verify_finding one;
	char name[8];
	unsigned nr = 0;

	for (unsigned i = 0; i < TOKEN_NR_REMS; i++) {
		snprintf(name, sizeof(name), "REM%u", i);
		if (check_value(&v->realm.rems[i], &v->policy->rems[i], name, &one) ==
		    VERIFY_FAILED) {
			*finding = one;
			return VERIFY_FAILED;
		}
		nr += one.outcome == VERIFY_PASSED;
	}
	if (nr == 0)
		return skip(finding, "no extensible measurements to compare with");
	return pass(finding, "%u of %d compared", nr, TOKEN_NR_REMS);
}

static enum verify_outcome check_rpv(struct verification *v, struct verify_finding *finding)
{
	return check_value(&v->realm.rpv, &v->policy->rpv, "personalisation value", finding);
}

#define NEEDS(check) (1u << (check))

/* @may_skip: the check has an opinion only if the policy has one. */
static const struct check {
	const char *name;
	uint32_t needs;
	bool may_skip;
	enum verify_outcome (*run)(struct verification *v, struct verify_finding *finding);
} checks[VERIFY_NR_CHECKS] = {
	[VERIFY_COLLECTION] = {"collection", 0, false, check_collection},
	[VERIFY_PLATFORM_SIGN1] = {"platform-sign1", NEEDS(VERIFY_COLLECTION), false,
				   check_platform_sign1},
	[VERIFY_REALM_SIGN1] = {"realm-sign1", NEEDS(VERIFY_COLLECTION), false, check_realm_sign1},
	[VERIFY_PLATFORM_CLAIMS] = {"platform-claims", NEEDS(VERIFY_PLATFORM_SIGN1), false,
				    check_platform_claims},
	[VERIFY_REALM_CLAIMS] = {"realm-claims", NEEDS(VERIFY_REALM_SIGN1), false,
				 check_realm_claims},
	[VERIFY_PROFILES] = {"profiles", NEEDS(VERIFY_PLATFORM_CLAIMS) | NEEDS(VERIFY_REALM_CLAIMS),
			     false, check_profiles},
	[VERIFY_REALM_KEY] = {"realm-key", NEEDS(VERIFY_REALM_CLAIMS), false, check_realm_key},
	[VERIFY_EMULATION] = {"emulation", NEEDS(VERIFY_PLATFORM_CLAIMS), false, check_emulation},
	[VERIFY_PLATFORM_KEY] = {"platform-key", NEEDS(VERIFY_PLATFORM_CLAIMS), false,
				 check_platform_key},
	[VERIFY_PLATFORM_SIGNATURE] = {"platform-signature", NEEDS(VERIFY_PLATFORM_KEY), false,
				       check_platform_signature},
	[VERIFY_REALM_SIGNATURE] = {"realm-signature", NEEDS(VERIFY_REALM_KEY), false,
				    check_realm_signature},
	[VERIFY_BINDING] = {"binding", NEEDS(VERIFY_PLATFORM_CLAIMS) | NEEDS(VERIFY_REALM_CLAIMS),
			    false, check_binding},
	[VERIFY_LIFECYCLE] = {"lifecycle", NEEDS(VERIFY_PLATFORM_CLAIMS), false, check_lifecycle},
	[VERIFY_PLATFORM_CONFIG] = {"platform-config", NEEDS(VERIFY_PLATFORM_CLAIMS), true,
				    check_platform_config},
	[VERIFY_COMPONENTS] = {"components", NEEDS(VERIFY_PLATFORM_CLAIMS), true, check_components},
	[VERIFY_CHALLENGE] = {"challenge", NEEDS(VERIFY_REALM_CLAIMS), true, check_challenge},
	[VERIFY_HASH_ALGO] = {"hash-algo", NEEDS(VERIFY_REALM_CLAIMS), true, check_hash_algo},
	[VERIFY_LOG] = {"measurement-log", NEEDS(VERIFY_REALM_CLAIMS), true, check_log},
	[VERIFY_RIM] = {"rim", NEEDS(VERIFY_REALM_CLAIMS), true, check_rim},
	[VERIFY_REMS] = {"rems", NEEDS(VERIFY_REALM_CLAIMS), true, check_rems},
	[VERIFY_RPV] = {"rpv", NEEDS(VERIFY_REALM_CLAIMS), true, check_rpv},
};

_Static_assert(VERIFY_NR_CHECKS <= 32, "one bit each in a uint32_t");

const char *verify_check_name(enum verify_check check)
{
	return checks[check].name;
}

static enum verify_outcome run_check(struct verification *v, enum verify_check check,
				     uint32_t passed, struct verify_finding *finding)
{
	const uint32_t missing = checks[check].needs & ~passed;

	if (missing)
		return skip(finding, "%s did not pass", checks[__builtin_ctz(missing)].name);
	return checks[check].run(v, finding);
}

void verify_token(const uint8_t *token, size_t size, const struct verify_policy *policy,
		  struct verify_result *ret_result)
{
	struct verification v = {.token = token, .size = size, .policy = policy};
	uint32_t passed = 0;

	*ret_result = (struct verify_result){.accepted = true};
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++) {
		const enum verify_outcome outcome =
			run_check(&v, i, passed, &ret_result->findings[i]);

		if (outcome == VERIFY_PASSED)
			passed |= NEEDS(i);
		else if (outcome == VERIFY_FAILED || !checks[i].may_skip)
			ret_result->accepted = false;
	}
	ret_result->has_platform = passed & NEEDS(VERIFY_PLATFORM_CLAIMS);
	ret_result->platform = v.platform;
	ret_result->has_realm = passed & NEEDS(VERIFY_REALM_CLAIMS);
	ret_result->realm = v.realm;
}

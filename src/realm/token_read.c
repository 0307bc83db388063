/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/token.h"

/*
 * What a claim must be: for strings, @min to @max bytes in steps of @step; for numbers, a value
 * from @min to @max; for arrays, that many entries.
 */
struct claim {
	enum token_label label;
	const char *name;
	enum cbor_major type;
	bool required;
	size_t min;
	size_t max;
	size_t step;
};

#define MAX_STRING 1024 /* the longest that a claim has reason to be */

#define HASH_SIZES   32, 64, 16
#define EXACTLY(n)   (n), (n), 1
#define UP_TO(n)     1, (n), 1
#define FROM_ZERO(n) 0, (n), 1

enum {
	PLATFORM_PROFILE,
	PLATFORM_CHALLENGE,
	PLATFORM_IMPLEMENTATION_ID,
	PLATFORM_INSTANCE_ID,
	PLATFORM_CONFIG,
	PLATFORM_LIFECYCLE,
	PLATFORM_HASH_ALGO,
	PLATFORM_COMPONENTS,
	PLATFORM_SERVICE,
	PLATFORM_NR_CLAIMS
};

static const struct claim platform_claims[PLATFORM_NR_CLAIMS] = {
	[PLATFORM_PROFILE] = {TOKEN_PROFILE, "profile", CBOR_TEXT, true, UP_TO(MAX_STRING)},
	[PLATFORM_CHALLENGE] = {TOKEN_CHALLENGE, "challenge", CBOR_BYTES, true, HASH_SIZES},
	[PLATFORM_IMPLEMENTATION_ID] = {TOKEN_IMPLEMENTATION_ID, "implementation id", CBOR_BYTES,
					true, EXACTLY(TOKEN_IMPLEMENTATION_ID_SIZE)},
	[PLATFORM_INSTANCE_ID] = {TOKEN_INSTANCE_ID, "instance id", CBOR_BYTES, true,
				  EXACTLY(TOKEN_INSTANCE_ID_SIZE)},
	[PLATFORM_CONFIG] = {TOKEN_CONFIG, "configuration", CBOR_BYTES, true, UP_TO(MAX_STRING)},
	[PLATFORM_LIFECYCLE] = {TOKEN_LIFECYCLE, "lifecycle", CBOR_UINT, true, FROM_ZERO(0xffff)},
	[PLATFORM_HASH_ALGO] = {TOKEN_HASH_ALGO, "hash algorithm", CBOR_TEXT, true,
				UP_TO(MAX_STRING)},
	[PLATFORM_COMPONENTS] = {TOKEN_COMPONENTS, "software components", CBOR_ARRAY, true,
				 UP_TO(MAX_STRING)},
	[PLATFORM_SERVICE] = {TOKEN_VERIFICATION_SERVICE, "verification service", CBOR_TEXT, false,
			      UP_TO(MAX_STRING)},
};

enum {
	COMPONENT_TYPE,
	COMPONENT_MEASUREMENT,
	COMPONENT_VERSION,
	COMPONENT_SIGNER,
	COMPONENT_HASH_ALGO,
	COMPONENT_NR_CLAIMS
};

static const struct claim component_claims[COMPONENT_NR_CLAIMS] = {
	[COMPONENT_TYPE] = {TOKEN_COMPONENT_TYPE, "type", CBOR_TEXT, false, UP_TO(MAX_STRING)},
	[COMPONENT_MEASUREMENT] = {TOKEN_COMPONENT_MEASUREMENT, "measurement", CBOR_BYTES, true,
				   HASH_SIZES},
	[COMPONENT_VERSION] = {TOKEN_COMPONENT_VERSION, "version", CBOR_TEXT, false,
			       FROM_ZERO(MAX_STRING)},
	[COMPONENT_SIGNER] = {TOKEN_COMPONENT_SIGNER, "signer id", CBOR_BYTES, true, HASH_SIZES},
	[COMPONENT_HASH_ALGO] = {TOKEN_COMPONENT_HASH_ALGO, "hash algorithm", CBOR_TEXT, false,
				 UP_TO(MAX_STRING)},
};

enum {
	REALM_PROFILE,
	REALM_INSTANCE_ID,
	REALM_CHALLENGE,
	REALM_RPV,
	REALM_HASH_ALGO,
	REALM_RAK,
	REALM_RAK_HASH_ALGO,
	REALM_RIM,
	REALM_REMS,
	REALM_MEC_POLICY,
	REALM_NR_CLAIMS
};

static const struct claim realm_claims[REALM_NR_CLAIMS] = {
	[REALM_PROFILE] = {TOKEN_PROFILE, "profile", CBOR_TEXT, false, UP_TO(MAX_STRING)},
	[REALM_INSTANCE_ID] = {TOKEN_INSTANCE_ID, "instance id", CBOR_BYTES, false,
			       EXACTLY(TOKEN_INSTANCE_ID_SIZE)},
	[REALM_CHALLENGE] = {TOKEN_CHALLENGE, "challenge", CBOR_BYTES, true,
			     EXACTLY(RSI_CHALLENGE_SIZE)},
	[REALM_RPV] = {TOKEN_RPV, "personalisation value", CBOR_BYTES, true,
		       EXACTLY(PLAN_RPV_SIZE)},
	[REALM_HASH_ALGO] = {TOKEN_REALM_HASH_ALGO, "hash algorithm", CBOR_TEXT, true,
			     UP_TO(MAX_STRING)},
	[REALM_RAK] = {TOKEN_RAK, "attestation key", CBOR_BYTES, true, UP_TO(MAX_STRING)},
	[REALM_RAK_HASH_ALGO] = {TOKEN_RAK_HASH_ALGO, "hash algorithm of the key", CBOR_TEXT, true,
				 UP_TO(MAX_STRING)},
	[REALM_RIM] = {TOKEN_RIM, "initial measurement", CBOR_BYTES, true, HASH_SIZES},
	[REALM_REMS] = {TOKEN_REMS, "extensible measurements", CBOR_ARRAY, true,
			EXACTLY(TOKEN_NR_REMS)},
	[REALM_MEC_POLICY] = {TOKEN_MEC_POLICY, "encryption policy", CBOR_UINT, false,
			      FROM_ZERO(1)},
};

/* Names of the profiles, by enum token_profile; what has none is known by lacking the claim. */
static const char *const platform_profiles[] = {
	[TOKEN_PROFILE_LEGACY] = "http://arm.com/CCA-SSD/1.0.0",
	[TOKEN_PROFILE_2023] = "tag:arm.com,2023:cca_platform#1.0.0",
	[TOKEN_PROFILE_2024] = "tag:arm.com,2024:cca_platform#2.0.0",
};

static const char *const realm_profiles[] = {
	[TOKEN_PROFILE_LEGACY] = NULL,
	[TOKEN_PROFILE_2023] = "tag:arm.com,2023:realm#1.0.0",
	[TOKEN_PROFILE_2024] = "tag:arm.com,2024:realm#2.0.0",
};

#define NR_PROFILES (sizeof(platform_profiles) / sizeof(platform_profiles[0]))

static const char *type_name(enum cbor_major type)
{
	static const char *const names[] = {
		[CBOR_UINT] = "an unsigned number", [CBOR_NINT] = "a negative number",
		[CBOR_BYTES] = "a byte string",     [CBOR_TEXT] = "text",
		[CBOR_ARRAY] = "an array",          [CBOR_MAP] = "a map",
		[CBOR_TAG] = "a tagged item",       [CBOR_SIMPLE] = "a simple value",
	};

	return names[type];
}

static const char *unit_of(enum cbor_major type)
{
	return type == CBOR_UINT ? "value" : type == CBOR_ARRAY ? "number of entries" : "length";
}

/* An item whose claim is not there is left all-zero: no bytes. */
static int read_claim(const struct cbor_item *map, const struct claim *claim, const char *what,
		      struct cbor_item *ret_item, struct ccr_err *err)
{
	*ret_item = (struct cbor_item){0};
	if (cbor_find(map, claim->label, ret_item)) {
		if (!claim->required)
			return 0;
		return err_set(err, -EINVAL, "%s: claim %d (%s) is missing", what, claim->label,
			       claim->name);
	}
	if (ret_item->type != claim->type)
		return err_set(err, -EINVAL, "%s: claim %d (%s) is %s, not %s", what, claim->label,
			       claim->name, type_name(ret_item->type), type_name(claim->type));
	if (ret_item->value < claim->min || ret_item->value > claim->max ||
	    ret_item->value % claim->step)
		return err_set(err, -EINVAL,
			       "%s: claim %d (%s) has the %s %llu, which is not allowed", what,
			       claim->label, claim->name, unit_of(claim->type),
			       (unsigned long long)ret_item->value);
	return 0;
}

static int read_claims(const struct cbor_item *map, const struct claim *claims, size_t nr,
		       const char *what, struct cbor_item *items, struct ccr_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < nr && !ret; i++)
		ret = read_claim(map, &claims[i], what, &items[i], err);
	return ret;
}

static int read_payload(const uint8_t *data, size_t size, const char *what,
			struct cbor_item *ret_map, struct ccr_err *err)
{
	const char *why;

	if (cbor_decode(data, size, ret_map, &why))
		return err_set(err, -EINVAL, "%s %s", what, why);
	if (ret_map->type != CBOR_MAP)
		return err_set(err, -EINVAL, "%s is not a map", what);
	return 0;
}

static int read_hash_algo(const struct cbor_item *item, const char *what, enum hash_algo *ret_algo,
			  struct ccr_err *err)
{
	static const enum hash_algo algos[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};

	for (size_t i = 0; i < sizeof(algos) / sizeof(algos[0]); i++) {
		if (cbor_is_text(item, hash_name(algos[i]))) {
			*ret_algo = algos[i];
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s: \"%.*s\" is no hash algorithm that is known here", what,
		       (int)item->content_size, (const char *)item->content);
}

static int read_profile(const struct cbor_item *item, const char *const *names, const char *what,
			enum token_profile *ret_profile, struct ccr_err *err)
{
	for (size_t i = 0; i < NR_PROFILES; i++) {
		if (names[i] ? cbor_is_text(item, names[i]) : item->content_size == 0) {
			*ret_profile = (enum token_profile)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s: the profile \"%.*s\" is not known here", what,
		       (int)item->content_size, (const char *)item->content);
}

/* A member's byte string, in what the collection's tag says it is wrapped in. */
static int read_member(const struct cbor_item *map, enum token_label label, bool wrapped,
		       const char *what, struct cbor_item *ret_member, struct ccr_err *err)
{
	struct cbor_item item, format;
	struct cbor_reader reader;

	if (cbor_find(map, label, &item))
		return err_set(err, -EINVAL, "the token has no %s", what);
	if (wrapped) {
		if (item.type != CBOR_ARRAY || item.value != 2)
			return err_set(err, -EINVAL, "its %s is not wrapped in an array", what);
		cbor_enter(&item, &reader);
		if (cbor_read(&reader, &format) || !cbor_is_number(&format, TOKEN_CONTENT_FORMAT) ||
		    cbor_read(&reader, &item))
			return err_set(err, -EINVAL, "its %s is not in format %d", what,
				       TOKEN_CONTENT_FORMAT);
	}
	if (item.type != CBOR_BYTES)
		return err_set(err, -EINVAL, "its %s is %s, not a byte string", what,
			       type_name(item.type));
	*ret_member = item;
	return 0;
}

int token_read_collection(const uint8_t *data, size_t size, struct token_collection *ret_collection,
			  struct ccr_err *err)
{
	struct token_collection collection;
	struct cbor_item tag, map;
	struct cbor_reader reader;
	const char *why;
	bool wrapped;

	if (cbor_decode(data, size, &tag, &why))
		return err_set(err, -EINVAL, "the token %s", why);
	wrapped = tag.value == TOKEN_TAG_WRAPPED_COLLECTION;
	if (tag.type != CBOR_TAG || (tag.value != TOKEN_TAG_COLLECTION && !wrapped))
		return err_set(err, -EINVAL, "the token is not tagged as a collection (%d or %d)",
			       TOKEN_TAG_COLLECTION, TOKEN_TAG_WRAPPED_COLLECTION);
	cbor_enter(&tag, &reader);
	if (cbor_read(&reader, &map) || map.type != CBOR_MAP || map.value != 2)
		return err_set(err, -EINVAL, "the token is not a map with two entries");
	collection.tag = tag.value;
	if (read_member(&map, TOKEN_PLATFORM, wrapped, "platform token", &collection.platform,
			err) ||
	    read_member(&map, TOKEN_REALM, wrapped, "realm token", &collection.realm, err))
		return -EINVAL;
	*ret_collection = collection;
	return 0;
}

static int check_instance_id(const struct cbor_item *item, const char *what, struct ccr_err *err)
{
	if (item->content[0] == TOKEN_INSTANCE_ID_TYPE)
		return 0;
	return err_set(err, -EINVAL, "%s: claim %d (instance id) is of type %u, not %u", what,
		       TOKEN_INSTANCE_ID, item->content[0], TOKEN_INSTANCE_ID_TYPE);
}

static int check_components(const struct token_platform *platform, struct ccr_err *err)
{
	struct token_component component;
	struct cbor_reader reader;
	struct cbor_item item;
	int ret = 0;

	cbor_enter(&platform->components, &reader);
	while (!ret && cbor_read(&reader, &item) == 0)
		ret = token_read_component(&item, platform->hash_algo, &component, err);
	return ret;
}

int token_read_platform(const uint8_t *data, size_t size, struct token_platform *ret_platform,
			struct ccr_err *err)
{
	static const char what[] = "platform token";
	struct cbor_item map, items[PLATFORM_NR_CLAIMS];
	struct token_platform platform = {0};

	if (read_payload(data, size, what, &map, err) ||
	    read_claims(&map, platform_claims, PLATFORM_NR_CLAIMS, what, items, err) ||
	    read_profile(&items[PLATFORM_PROFILE], platform_profiles, what, &platform.profile,
			 err) ||
	    read_hash_algo(&items[PLATFORM_HASH_ALGO], what, &platform.hash_algo, err) ||
	    check_instance_id(&items[PLATFORM_INSTANCE_ID], what, err))
		return -EINVAL;
	platform.challenge = items[PLATFORM_CHALLENGE];
	platform.implementation_id = items[PLATFORM_IMPLEMENTATION_ID];
	platform.instance_id = items[PLATFORM_INSTANCE_ID];
	platform.config = items[PLATFORM_CONFIG];
	platform.lifecycle = (unsigned)items[PLATFORM_LIFECYCLE].value;
	platform.components = items[PLATFORM_COMPONENTS];
	if (check_components(&platform, err))
		return -EINVAL;
	*ret_platform = platform;
	return 0;
}

int token_read_component(const struct cbor_item *map, enum hash_algo default_algo,
			 struct token_component *ret_component, struct ccr_err *err)
{
	static const char what[] = "platform token: software component";
	struct cbor_item items[COMPONENT_NR_CLAIMS];
	enum hash_algo algo = default_algo;

	if (map->type != CBOR_MAP)
		return err_set(err, -EINVAL, "%s is %s, not a map", what, type_name(map->type));
	if (read_claims(map, component_claims, COMPONENT_NR_CLAIMS, what, items, err))
		return -EINVAL;
	if (items[COMPONENT_HASH_ALGO].content_size > 0 &&
	    read_hash_algo(&items[COMPONENT_HASH_ALGO], what, &algo, err))
		return -EINVAL;
	if (items[COMPONENT_MEASUREMENT].content_size != hash_size(algo))
		return err_set(err, -EINVAL, "%s: its measurement has %zu bytes, not %s's %zu",
			       what, items[COMPONENT_MEASUREMENT].content_size, hash_name(algo),
			       hash_size(algo));
	*ret_component = (struct token_component){
		.type = items[COMPONENT_TYPE],
		.version = items[COMPONENT_VERSION],
		.measurement = items[COMPONENT_MEASUREMENT],
		.signer = items[COMPONENT_SIGNER],
	};
	return 0;
}

static int read_measurements(const struct cbor_item *rems, struct token_realm *realm,
			     struct ccr_err *err)
{
	const size_t size = hash_size(realm->hash_algo);
	struct cbor_reader reader;

	if (realm->rim.content_size != size)
		return err_set(err, -EINVAL,
			       "realm token: its initial measurement has %zu bytes, not %s's %zu",
			       realm->rim.content_size, hash_name(realm->hash_algo), size);
	cbor_enter(rems, &reader);
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++) {
		struct cbor_item *rem = &realm->rems[i];

		if (cbor_read(&reader, rem) || rem->type != CBOR_BYTES || rem->content_size != size)
			return err_set(err, -EINVAL,
				       "realm token: extensible measurement %u is not a byte "
				       "string of %s's %zu bytes",
				       i, hash_name(realm->hash_algo), size);
	}
	return 0;
}

/* The realm's own id came with RMM 2.0. */
static int check_realm_id(const struct cbor_item *id, enum token_profile profile, const char *what,
			  struct ccr_err *err)
{
	if (id->content_size > 0)
		return check_instance_id(id, what, err);
	if (profile == TOKEN_PROFILE_2024)
		return err_set(err, -EINVAL, "%s: claim %d (instance id) is missing", what,
			       TOKEN_INSTANCE_ID);
	return 0;
}

int token_read_realm(const uint8_t *data, size_t size, struct token_realm *ret_realm,
		     struct ccr_err *err)
{
	static const char what[] = "realm token";
	struct cbor_item map, items[REALM_NR_CLAIMS];
	struct token_realm realm = {0};

	if (read_payload(data, size, what, &map, err) ||
	    read_claims(&map, realm_claims, REALM_NR_CLAIMS, what, items, err) ||
	    read_profile(&items[REALM_PROFILE], realm_profiles, what, &realm.profile, err) ||
	    check_realm_id(&items[REALM_INSTANCE_ID], realm.profile, what, err) ||
	    read_hash_algo(&items[REALM_HASH_ALGO], what, &realm.hash_algo, err) ||
	    read_hash_algo(&items[REALM_RAK_HASH_ALGO], what, &realm.rak_hash_algo, err))
		return -EINVAL;
	realm.challenge = items[REALM_CHALLENGE];
	realm.rpv = items[REALM_RPV];
	realm.rak = items[REALM_RAK];
	realm.rim = items[REALM_RIM];
	if (read_measurements(&items[REALM_REMS], &realm, err))
		return -EINVAL;
	*ret_realm = realm;
	return 0;
}

int token_read_rak(const struct token_realm *realm, struct cose_key *ret_key, struct ccr_err *err)
{
	if (realm->profile == TOKEN_PROFILE_LEGACY)
		return cose_key_from_point(realm->rak.content, realm->rak.content_size, ret_key,
					   err);
	return cose_key_from_cbor(realm->rak.content, realm->rak.content_size, ret_key, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/util/cbor.c src/util/err.c src/util/hash.c src/util/parse.c src/util/file.c
 * src/realm/cose.c src/realm/token.c src/realm/token_read.c src/realm/verify.c
 * src/realm/verify_anchors.c src/realm/verify_policy.c src/realm/verify_json.c
 *	src/util/jsontext.c
 * src/realm/evlog_read.c src/realm/evlog_replay.c src/realm/evlog_compare.c src/realm/measure.c
 * src/realm/plan.c arch/arm64/dtree_diff.c
 */
/*
 * Tokens minted here: good ones of every layout, and bad ones with one defect each. A defect must
 * fail the check that is there for it, and no earlier one. Unless signing is what is wrong, bad
 * tokens are signed properly, so that it is the defect that is found and not its signature.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/file.h"
#include "ccr/parse.h"
#include "ccr/verify.h"

#define MAX_TOKEN 8192

/* Test keys, made for these tests and published with them: not secrets. */
enum { KEY_P256, KEY_P384, KEY_P521, KEY_RAK, NR_KEYS };

static const struct {
	enum cose_curve curve;
	const char *x, *y, *scalar;
} keys[NR_KEYS] = {
	[KEY_P256] = {COSE_P256, "032b054802d5eb3f72623da74b02df0787258676721814bf4022f97b91e44393",
		      "df41144f70d896f70c72c54a491f6e711174b0ef88b7f668129e9303e3039619",
		      "a698638b41fe4842657f321efdba858ee8b4aee7d9d38cb6d5d4b52a0a89a5b9"},
	[KEY_P384] = {COSE_P384,
		      "2f27276b41c2879633bc9d7df47e61d1b6608355e075405a940997c89e31ee38"
		      "dc33f5d491139354d36d10abe8c6a712",
		      "5a8f60860eb74e58a24a32f6d18667c0b9a9e0db914262963dfd618b156a9c87"
		      "4c0af1b3c6b0ef976a0ca0844183a511",
		      "239d56369a61f87ab061a4e6bf9ea4bc3aa0c78c42f74475ba52f7289edc42db"
		      "fe95aa57a73f41374afd59d7a3379bf5"},
	[KEY_P521] = {COSE_P521,
		      "00322e0113b7786dec7aa1caa1b9f44522e8a6360a7a3dbe764e06103ca602da5c1a"
		      "4eb86daae77ede46ded1a2e39bcd6ebc5bf4b8a07385bfa5206b9fa391fbb653",
		      "007e9688d58b81169571f998f1680d4260124435f41d8907ad7cf736259f582ac6b4"
		      "4a20f01460058cb04a2fc3f846b434c883b6b2273aa01a15f7a0966db343efdf",
		      "000197102224f9c0de8b343af3c9f4cdabb2626610452d505869f5b64f166d89704b"
		      "0751c51ec31ba6bd372d4d55ecf0ecee70171b7a1026bde305561025d7110774"},
	/* With this one TF-A's QEMU and FVP ports let every realm attest. */
	[KEY_RAK] = {COSE_P384,
		     "76f988091be585ed41801aecfab858548c63057e16b0e676120bbd0d2f9c29e0"
		     "56c5d41a0130eb9c21517899dc23146b",
		     "28e1b062bd3ea4b315fd219f1cbb528cb6e74ca49be16773734f61a1ca61031b"
		     "2bbf3d918f2f94ffc4228e50919544ae",
		     "2011c7f03cee4325176e524f033c0ce1e21a76e6c1a4f0b839aa1df61e0e8a5c"
		     "8a05740f9b69efa7eb1a4185bd117f68"},
};

static void get_secret(unsigned key, struct cose_secret *secret)
{
	uint8_t x[COSE_MAX_COORDINATE], y[COSE_MAX_COORDINATE];
	size_t size;

	*secret = (struct cose_secret){0};
	parse_hex(keys[key].x, x, sizeof(x), &size);
	parse_hex(keys[key].y, y, sizeof(y), &size);
	parse_hex(keys[key].scalar, secret->scalar, sizeof(secret->scalar), &size);
	assert_int_equal(size, cose_coordinate_size(keys[key].curve));
	assert_int_equal(cose_key_set(&secret->key, keys[key].curve, x, y, NULL), 0);
}

struct raw {
	const char *bytes;
	size_t size;
};

#define RAW(literal)                           \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}

#define S8(c)  c c c c c c c c
#define S16(c) S8(c) S8(c)
#define S32(c) S16(c) S16(c)
#define S31(c) S16(c) S8(c) c c c c c c c
#define S48(c) S32(c) S16(c)
#define S64(c) S32(c) S32(c)

enum edit_kind { KEEP = 0, DROP, PUT, TWICE };

/* A change of one claim; PUT also adds one. */
struct edit {
	enum edit_kind kind;
	int64_t label;
	struct raw value;
};

/* How one of the two tokens departs from a good one; all-zero for not at all. */
struct member {
	struct edit edits[2];
	struct raw payload; /* instead of the claims */
	struct raw behind_payload;
	struct raw header;      /* instead of the protected one, without signing anew */
	struct raw unprotected; /* instead of the empty map */
	uint64_t tag;           /* instead of 18 */
	size_t signature_size;  /* cut or zero-padded to this */
	bool flip_signature;
	bool flip_payload; /* after signing */
	bool other_signer;
	struct raw behind;
};

enum layout { LAYOUT_2023 = 0, LAYOUT_LEGACY, LAYOUT_2024 };

struct recipe {
	enum layout layout;
	bool wrapped;
	unsigned platform_key; /* KEY_P256 + 1 and so on; 0 for KEY_P384 */
	unsigned realm_key;    /* likewise; 0 for KEY_RAK */
	enum hash_algo algo;
	struct raw rak; /* content of the claim, to which the platform token is then bound */
	struct member platform;
	struct member realm;
	struct raw members; /* instead of the map of the two */
	uint64_t tag;
	struct raw behind;
};

/* A payload under way: encoded claims, so that edits are bytes for bytes. */
struct claims {
	size_t nr;
	struct {
		int64_t label;
		uint8_t value[640];
		size_t size;
	} list[16];
};

static void add(struct claims *claims, int64_t label, const void *value, size_t size)
{
	assert_true(claims->nr < 16 && size <= sizeof(claims->list[0].value));
	claims->list[claims->nr].label = label;
	memcpy(claims->list[claims->nr].value, value, size);
	claims->list[claims->nr++].size = size;
}

static void add_text(struct claims *claims, int64_t label, const char *text)
{
	struct cbor_writer writer;
	uint8_t buf[128];

	cbor_writer_init(&writer, buf, sizeof(buf));
	cbor_put_text(&writer, text);
	add(claims, label, buf, writer.size);
}

static void add_bytes(struct claims *claims, int64_t label, const void *bytes, size_t size)
{
	struct cbor_writer writer;
	uint8_t buf[640];

	cbor_writer_init(&writer, buf, sizeof(buf));
	cbor_put_bytes(&writer, bytes, size);
	assert_false(writer.full);
	add(claims, label, buf, writer.size);
}

static void put_claims(struct cbor_writer *writer, struct claims *claims, const struct edit *edits)
{
	size_t nr = 0;

	for (unsigned e = 0; e < 2; e++) {
		bool known = false;

		for (size_t i = 0; i < claims->nr; i++)
			known |= claims->list[i].label == edits[e].label;
		if (edits[e].kind == PUT && !known)
			add(claims, edits[e].label, edits[e].value.bytes, edits[e].value.size);
	}
	for (unsigned pass = 0; pass < 2; pass++) {
		if (pass)
			cbor_put_head(writer, CBOR_MAP, nr);
		for (size_t i = 0; i < claims->nr; i++) {
			const void *value = claims->list[i].value;
			size_t size = claims->list[i].size, copies = 1;

			for (unsigned e = 0; e < 2; e++) {
				if (edits[e].label != claims->list[i].label)
					continue;
				if (edits[e].kind == PUT) {
					value = edits[e].value.bytes;
					size = edits[e].value.size;
				}
				copies = edits[e].kind == DROP ? 0 : edits[e].kind == TWICE ? 2 : 1;
			}
			for (; copies > 0; copies--) {
				nr++;
				if (!pass)
					continue;
				cbor_put_int(writer, claims->list[i].label);
				cbor_put_raw(writer, value, size);
			}
		}
	}
}

#define COMPONENT_BL2  \
	"\xa5\x01\x63" \
	"BL2\x04\x65"  \
	"1.2.3\x05\x58\x20" S32("\x22") "\x02\x58\x20" S32("\x21") "\x06\x67sha-256"
#define COMPONENT_RMM  \
	"\xa3\x01\x63" \
	"RMM\x05\x58\x20" S32("\x24") "\x02\x58\x20" S32("\x23")

static void make_platform_claims(const struct recipe *recipe, const uint8_t *rak, size_t rak_size,
				 struct claims *claims)
{
	static const char components[] = "\x82" COMPONENT_BL2 COMPONENT_RMM;
	static const char *const profiles[] = {
		[LAYOUT_2023] = "tag:arm.com,2023:cca_platform#1.0.0",
		[LAYOUT_LEGACY] = "http://arm.com/CCA-SSD/1.0.0",
		[LAYOUT_2024] = "tag:arm.com,2024:cca_platform#2.0.0",
	};
	uint8_t digest[HASH_MAX_SIZE];

	claims->nr = 0;
	assert_int_equal(hash_digest(HASH_SHA256, rak, rak_size, digest), 0);
	add_text(claims, TOKEN_PROFILE, profiles[recipe->layout]);
	add_bytes(claims, TOKEN_CHALLENGE, digest, 32);
	add_bytes(claims, TOKEN_IMPLEMENTATION_ID, S32("\x0a"), 32);
	add_bytes(claims, TOKEN_INSTANCE_ID, "\x01" S32("\x0b"), 33);
	add_bytes(claims, TOKEN_CONFIG, "\xcf\xcf", 2);
	add(claims, TOKEN_LIFECYCLE, "\x19\x30\x03", 3);
	add_text(claims, TOKEN_HASH_ALGO, "sha-256");
	add_text(claims, TOKEN_VERIFICATION_SERVICE, "https://verifier.example");
	add(claims, TOKEN_COMPONENTS, components, sizeof(components) - 1);
}

static void make_realm_claims(const struct recipe *recipe, const uint8_t *rak, size_t rak_size,
			      struct claims *claims)
{
	const size_t size = hash_size(recipe->algo);
	struct cbor_writer writer;
	uint8_t rems[512];

	claims->nr = 0;
	add_bytes(claims, TOKEN_CHALLENGE, S64("\x5c"), 64);
	add_bytes(claims, TOKEN_RPV, S64("\x5d"), 64);
	add_bytes(claims, TOKEN_RAK, rak, rak_size);
	add_text(claims, TOKEN_REALM_HASH_ALGO, hash_name(recipe->algo));
	add_text(claims, TOKEN_RAK_HASH_ALGO, "sha-256");
	if (recipe->layout == LAYOUT_2023)
		add_text(claims, TOKEN_PROFILE, "tag:arm.com,2023:realm#1.0.0");
	if (recipe->layout == LAYOUT_2024) {
		add_text(claims, TOKEN_PROFILE, "tag:arm.com,2024:realm#2.0.0");
		add_bytes(claims, TOKEN_INSTANCE_ID, "\x01" S32("\x0c"), 33);
		add(claims, TOKEN_MEC_POLICY, "\x01", 1);
	}
	add_bytes(claims, TOKEN_RIM, S64("\x60"), size);
	cbor_writer_init(&writer, rems, sizeof(rems));
	cbor_put_head(&writer, CBOR_ARRAY, TOKEN_NR_REMS);
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++) {
		uint8_t rem[HASH_MAX_SIZE];

		memset(rem, 0x61 + (int)i, sizeof(rem));
		cbor_put_bytes(&writer, rem, size);
	}
	add(claims, TOKEN_REMS, rems, writer.size);
}

/* Sign, then take the message apart and put it together as wished. */
static void put_member(struct cbor_writer *writer, unsigned key, const struct member *member,
		       const struct cbor_writer *payload)
{
	uint8_t buf[MAX_TOKEN], signature[2 * COSE_MAX_COORDINATE + 8] = {0};
	struct cose_secret secret;
	struct cose_sign1 sign1;
	struct cbor_writer message;
	size_t size;

	if (member->other_signer)
		key = key == KEY_RAK ? KEY_P384 : KEY_RAK;
	get_secret(key, &secret);
	cbor_writer_init(&message, buf, sizeof(buf));
	assert_int_equal(cose_sign1_put(&message, &secret, payload->buf, payload->size, NULL), 0);
	assert_int_equal(cose_sign1_parse(buf, message.size, "", &sign1, NULL), 0);
	memcpy(signature, sign1.signature.content, sign1.signature.content_size);
	signature[40] ^= member->flip_signature;
	size = member->signature_size ? member->signature_size : sign1.signature.content_size;
	cbor_put_head(writer, CBOR_TAG, member->tag ? member->tag : 18);
	cbor_put_head(writer, CBOR_ARRAY, 4);
	if (member->header.bytes)
		cbor_put_bytes(writer, member->header.bytes, member->header.size);
	else
		cbor_put_bytes(writer, sign1.protected_header.content,
			       sign1.protected_header.content_size);
	if (member->unprotected.bytes)
		cbor_put_raw(writer, member->unprotected.bytes, member->unprotected.size);
	else
		cbor_put_head(writer, CBOR_MAP, 0);
	payload->buf[payload->size - 1] ^= member->flip_payload;
	cbor_put_bytes(writer, payload->buf, payload->size);
	cbor_put_bytes(writer, signature, size);
	if (member->behind.bytes)
		cbor_put_raw(writer, member->behind.bytes, member->behind.size);
}

static void put_wrapped(struct cbor_writer *writer, const struct recipe *recipe, int64_t label,
			unsigned key, const struct member *member, struct claims *claims)
{
	uint8_t payload_buf[MAX_TOKEN], message_buf[MAX_TOKEN];
	struct cbor_writer payload, message;

	cbor_writer_init(&payload, payload_buf, sizeof(payload_buf));
	if (member->payload.bytes)
		cbor_put_raw(&payload, member->payload.bytes, member->payload.size);
	else
		put_claims(&payload, claims, member->edits);
	if (member->behind_payload.bytes)
		cbor_put_raw(&payload, member->behind_payload.bytes, member->behind_payload.size);
	cbor_writer_init(&message, message_buf, sizeof(message_buf));
	put_member(&message, key, member, &payload);
	assert_false(message.full || payload.full);
	cbor_put_int(writer, label);
	if (recipe->wrapped) {
		cbor_put_head(writer, CBOR_ARRAY, 2);
		cbor_put_int(writer, TOKEN_CONTENT_FORMAT);
	}
	cbor_put_bytes(writer, message_buf, message.size);
}

static size_t make_rak(const struct recipe *recipe, unsigned key, uint8_t buf[MAX_TOKEN])
{
	struct cbor_writer writer;
	struct cose_secret secret;

	cbor_writer_init(&writer, buf, MAX_TOKEN);
	get_secret(key, &secret);
	if (recipe->rak.bytes) {
		cbor_put_raw(&writer, recipe->rak.bytes, recipe->rak.size);
	} else if (recipe->layout == LAYOUT_LEGACY) {
		const size_t size = cose_coordinate_size(secret.key.curve);

		cbor_put_raw(&writer, "\x04", 1);
		cbor_put_raw(&writer, secret.key.x, size);
		cbor_put_raw(&writer, secret.key.y, size);
	} else {
		cose_key_put(&writer, &secret.key);
	}
	return writer.size;
}

static size_t mint(const struct recipe *recipe, uint8_t token[MAX_TOKEN])
{
	const unsigned platform_key = recipe->platform_key ? recipe->platform_key - 1 : KEY_P384;
	const unsigned realm_key = recipe->realm_key ? recipe->realm_key - 1 : KEY_RAK;
	struct cbor_writer writer;
	uint8_t rak[MAX_TOKEN];
	const size_t rak_size = make_rak(recipe, realm_key, rak);
	struct claims claims;

	cbor_writer_init(&writer, token, MAX_TOKEN);
	cbor_put_head(&writer, CBOR_TAG,
		      recipe->tag       ? recipe->tag
		      : recipe->wrapped ? TOKEN_TAG_WRAPPED_COLLECTION
					: TOKEN_TAG_COLLECTION);
	if (recipe->members.bytes) {
		cbor_put_raw(&writer, recipe->members.bytes, recipe->members.size);
	} else {
		cbor_put_head(&writer, CBOR_MAP, 2);
		make_platform_claims(recipe, rak, rak_size, &claims);
		put_wrapped(&writer, recipe, TOKEN_PLATFORM, platform_key, &recipe->platform,
			    &claims);
		make_realm_claims(recipe, rak, rak_size, &claims);
		put_wrapped(&writer, recipe, TOKEN_REALM, realm_key, &recipe->realm, &claims);
	}
	if (recipe->behind.bytes)
		cbor_put_raw(&writer, recipe->behind.bytes, recipe->behind.size);
	assert_false(writer.full);
	return writer.size;
}

/* What a good token meets: everything is compared. */
struct fixture {
	struct verify_anchor anchor;
	struct verify_anchors anchors;
	struct verify_policy policy;
	struct verify_result result;
	uint8_t token[MAX_TOKEN];
	size_t size;
};

static void set_value(struct verify_value *value, uint8_t byte, size_t size)
{
	value->size = size;
	memset(value->bytes, byte, size);
}

static void set_up(struct fixture *fixture, const struct recipe *recipe)
{
	struct verify_policy *policy = &fixture->policy;
	struct cose_secret secret;

	memset(fixture, 0, sizeof(*fixture));
	get_secret(recipe->platform_key ? recipe->platform_key - 1 : KEY_P384, &secret);
	memset(fixture->anchor.implementation_id, 0x0a, 32);
	fixture->anchor.instance_id[0] = 1;
	memset(fixture->anchor.instance_id + 1, 0x0b, 32);
	fixture->anchor.key = secret.key;
	fixture->anchors.list = &fixture->anchor;
	fixture->anchors.nr = 1;
	policy->anchors = &fixture->anchors;
	policy->has_hash_algo = true;
	policy->hash_algo = recipe->algo;
	set_value(&policy->challenge, 0x5c, 64);
	set_value(&policy->rpv, 0x5d, 64);
	set_value(&policy->platform_config, 0xcf, 2);
	set_value(&policy->rim, 0x60, hash_size(recipe->algo));
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++)
		set_value(&policy->rems[i], (uint8_t)(0x61 + i), hash_size(recipe->algo));
	policy->nr_components = 3;
	set_value(&policy->components[0].measurement, 0x23, 32);
	set_value(&policy->components[0].signer, 0x24, 32);
	set_value(&policy->components[1].measurement, 0x21, 32);
	set_value(&policy->components[1].signer, 0x22, 32);
	strcpy(policy->components[1].type, "BL2");
	strcpy(policy->components[1].version, "1.2.3");
	set_value(&policy->components[2].measurement, 0x99, 32); /* a newer RMM, say */
	set_value(&policy->components[2].signer, 0x24, 32);
	fixture->size = mint(recipe, fixture->token);
}

/* From the heap, at its exact size, so that a sanitizer sees a read behind it. */
static void verify(struct fixture *fixture)
{
	uint8_t *token = malloc(fixture->size ? fixture->size : 1);

	assert_non_null(token);
	memcpy(token, fixture->token, fixture->size);
	verify_token(token, fixture->size, &fixture->policy, &fixture->result);
	free(token);
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++)
		assert_true(*fixture->result.findings[i].reason);
}

static void assert_accepted(struct fixture *fixture)
{
	verify(fixture);
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++) {
		if (fixture->result.findings[i].outcome == VERIFY_FAILED)
			fail_msg("%s: %s", verify_check_name(i),
				 fixture->result.findings[i].reason);
	}
	assert_true(fixture->result.accepted);
}

static void assert_rejected(struct fixture *fixture, enum verify_check check, const char *name)
{
	verify(fixture);
	if (fixture->result.accepted)
		fail_msg("%s: accepted", name);
	for (unsigned i = 0; i < check; i++) {
		if (fixture->result.findings[i].outcome == VERIFY_FAILED)
			fail_msg("%s: failed %s already: %s", name, verify_check_name(i),
				 fixture->result.findings[i].reason);
	}
	if (fixture->result.findings[check].outcome != VERIFY_FAILED)
		fail_msg("%s: did not fail %s: %s", name, verify_check_name(check),
			 fixture->result.findings[check].reason);
}

static void test_good_tokens(void **state)
{
	static const struct recipe recipes[] = {
		{0},
		{.algo = HASH_SHA512},
		{.algo = HASH_SHA384},
		{.wrapped = true},
		{.layout = LAYOUT_2024, .wrapped = true},
		{.layout = LAYOUT_2024},
		{.layout = LAYOUT_LEGACY},
		{.layout = LAYOUT_LEGACY, .algo = HASH_SHA512},
		{.platform_key = KEY_P256 + 1},
		{.platform_key = KEY_P521 + 1},
		{.realm_key = KEY_P256 + 1},
		{.realm_key = KEY_P521 + 1},
		{.layout = LAYOUT_LEGACY, .realm_key = KEY_P256 + 1},
		{.layout = LAYOUT_LEGACY, .realm_key = KEY_P521 + 1},
		/* an RMM newer than the platform's firmware */
		{.realm = {.edits = {{PUT, TOKEN_PROFILE,
				      RAW("\x78\x1ctag:arm.com,2024:realm#2.0.0")},
				     {PUT, TOKEN_INSTANCE_ID, RAW("\x58\x21\x01" S32("\x0c"))}}}},
		/* claims that nobody here knows */
		{.platform = {.edits = {{PUT, 2394, RAW("\x01")}, {PUT, -75001, RAW("\xf6")}}}},
		{.realm = {.edits = {{PUT, 44244, RAW("\x01")}, {PUT, 44257, RAW("\x41\x01")}}}},
		{.platform = {.edits = {{DROP, TOKEN_VERIFICATION_SERVICE, {0}}}}},
		{.platform = {.unprotected = RAW("\xa1\x04\x42"
						 "11")}},
	};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
		set_up(&fixture, &recipes[i]);
		assert_accepted(&fixture);
		for (unsigned check = 0; check < VERIFY_NR_CHECKS; check++)
			assert_int_equal(fixture.result.findings[check].outcome,
					 check == VERIFY_LOG ? VERIFY_SKIPPED : VERIFY_PASSED);
		assert_true(fixture.result.has_platform && fixture.result.has_realm);
		assert_int_equal(fixture.result.realm.hash_algo, recipes[i].algo);
	}
}

/* With nothing to compare, only what a token must be in itself is left. */
static void test_empty_policy(void **state)
{
	static const enum verify_check comparing[] = {
		VERIFY_PLATFORM_CONFIG,
		VERIFY_COMPONENTS,
		VERIFY_CHALLENGE,
		VERIFY_HASH_ALGO,
		VERIFY_RIM,
		VERIFY_REMS,
		VERIFY_RPV,
	};
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	fixture.policy = (struct verify_policy){.anchors = &fixture.anchors};
	assert_accepted(&fixture);
	for (size_t i = 0; i < sizeof(comparing) / sizeof(comparing[0]); i++)
		assert_int_equal(fixture.result.findings[comparing[i]].outcome, VERIFY_SKIPPED);
}

#define PLATFORM_EDIT(...) .platform = {.edits = {{__VA_ARGS__}}}
#define REALM_EDIT(...)    .realm = {.edits = {{__VA_ARGS__}}}

#define POINT_RAK                                                          \
	"\x04"                                                             \
	"\x76\xf9\x88\x09\x1b\xe5\x85\xed\x41\x80\x1a\xec\xfa\xb8\x58\x54" \
	"\x8c\x63\x05\x7e\x16\xb0\xe6\x76\x12\x0b\xbd\x0d\x2f\x9c\x29\xe0" \
	"\x56\xc5\xd4\x1a\x01\x30\xeb\x9c\x21\x51\x78\x99\xdc\x23\x14\x6b" \
	"\x28\xe1\xb0\x62\xbd\x3e\xa4\xb3\x15\xfd\x21\x9f\x1c\xbb\x52\x8c" \
	"\xb6\xe7\x4c\xa4\x9b\xe1\x67\x73\x73\x4f\x61\xa1\xca\x61\x03\x1b" \
	"\x2b\xbf\x3d\x91\x8f\x2f\x94\xff\xc4\x22\x8e\x50\x91\x95\x44\xae"

/* SHA-256 of that point, which is what platform firmware before COSE_Key puts in its token. */
#define POINT_HASH                                                         \
	"\xb5\x97\x3c\xb6\x8b\xaa\x9f\xc5\x55\x58\x78\x6b\x7e\xc6\x7f\x69" \
	"\xe4\x0d\xf5\xba\x5a\xa9\x21\xcd\x0c\x27\xf4\x05\x87\xa0\x11\xea"

#define COMPONENTS(raw) PLATFORM_EDIT(PUT, TOKEN_COMPONENTS, RAW(raw))

static const struct defect {
	const char *name;
	enum verify_check check;
	struct recipe recipe;
} defects[] = {
	/* the collection */
	{"tag of something else", VERIFY_COLLECTION, {.tag = 400}},
	{"CWT's tag", VERIFY_COLLECTION, {.tag = 61}},
	{"bare members under the wrapping tag", VERIFY_COLLECTION, {.tag = 907}},
	{"wrapped members under the plain tag", VERIFY_COLLECTION, {.tag = 399, .wrapped = true}},
	{"a byte behind it", VERIFY_COLLECTION, {.behind = RAW("\x00")}},
	{"a second token behind it", VERIFY_COLLECTION, {.behind = RAW("\xd9\x01\x8f\xa0")}},
	{"no members", VERIFY_COLLECTION, {.members = RAW("\xa0")}},
	{"an array of members", VERIFY_COLLECTION, {.members = RAW("\x82\x41\x01\x41\x02")}},
	{"no realm token", VERIFY_COLLECTION, {.members = RAW("\xa1\x19\xac\xca\x41\x01")}},
	{"no platform token", VERIFY_COLLECTION, {.members = RAW("\xa1\x19\xac\xd1\x41\x01")}},
	{"another member instead of the realm token",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa2\x19\xac\xca\x41\x01\x19\xac\xd2\x41\x02")}},
	{"a third member",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa3\x19\xac\xca\x41\x01\x19\xac\xd1\x41\x02\x01\x41\x03")}},
	{"the platform token twice",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa3\x19\xac\xca\x41\x01\x19\xac\xca\x41\x01\x19\xac\xd1\x41\x02")}},
	{"a map of indefinite length",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xbf\x19\xac\xca\x41\x01\x19\xac\xd1\x41\x02\xff")}},
	{"a member of indefinite length",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa2\x19\xac\xca\x5f\x41\x01\xff\x19\xac\xd1\x41\x02")}},
	{"a length longer than need be",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa2\x19\xac\xca\x58\x01\x01\x19\xac\xd1\x41\x02")}},
	{"a label longer than need be",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa2\x1a\x00\x00\xac\xca\x41\x01\x19\xac\xd1\x41\x02")}},
	{"a member that is text",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa2\x19\xac\xca\x61"
			 "a\x19\xac\xd1\x41\x02")}},
	{"members that are not byte strings but messages",
	 VERIFY_COLLECTION,
	 {.members = RAW("\xa2\x19\xac\xca\xd2\x84\x40\xa0\x40\x40\x19\xac\xd1\x41\x02")}},
	{"wrapped in another format",
	 VERIFY_COLLECTION,
	 {.tag = 907,
	  .members = RAW(
		  "\xa2\x19\xac\xca\x82\x19\x01\x08\x41\x01\x19\xac\xd1\x82\x19\x01\x07\x41\x02")}},
	{"wrapped with something more",
	 VERIFY_COLLECTION,
	 {.tag = 907,
	  .members = RAW(
		  "\xa2\x19\xac\xca\x83\x19\x01\x07\x41\x01\x00\x19\xac\xd1\x82\x19\x01\x07\x41\x02")}},
	{"wrapped text",
	 VERIFY_COLLECTION,
	 {.tag = 907,
	  .members = RAW("\xa2\x19\xac\xca\x82\x19\x01\x07\x61"
			 "a\x19\xac\xd1\x82\x19\x01\x07\x41\x02")}},

	/* the messages */
	{"platform: empty",
	 VERIFY_PLATFORM_SIGN1,
	 {.members = RAW("\xa2\x19\xac\xca\x40\x19\xac\xd1\x40")}},
	{"platform: no message",
	 VERIFY_PLATFORM_SIGN1,
	 {.members = RAW("\xa2\x19\xac\xca\x41\x01\x19\xac\xd1\x41\x02")}},
	{"platform: tag of COSE_Mac0", VERIFY_PLATFORM_SIGN1, {.platform = {.tag = 17}}},
	{"platform: tag of COSE_Sign", VERIFY_PLATFORM_SIGN1, {.platform = {.tag = 98}}},
	{"platform: a byte behind it",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.behind = RAW("\x00")}}},
	{"platform: no protected header", VERIFY_PLATFORM_SIGN1, {.platform = {.header = RAW("")}}},
	{"platform: empty protected header",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.header = RAW("\xa0")}}},
	{"platform: algorithm not protected",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.header = RAW("\xa0"), .unprotected = RAW("\xa1\x01\x38\x22")}}},
	{"platform: algorithm in both headers",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.unprotected = RAW("\xa1\x01\x38\x22")}}},
	{"platform: EdDSA", VERIFY_PLATFORM_SIGN1, {.platform = {.header = RAW("\xa1\x01\x27")}}},
	{"platform: HMAC", VERIFY_PLATFORM_SIGN1, {.platform = {.header = RAW("\xa1\x01\x05")}}},
	{"platform: algorithm by name",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.header = RAW("\xa1\x01\x65"
				     "ES384")}}},
	{"platform: algorithm twice",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.header = RAW("\xa2\x01\x38\x22\x01\x38\x22")}}},
	{"platform: bytes behind the protected header",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.header = RAW("\xa1\x01\x38\x22\x00")}}},
	{"platform: critical headers",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.header = RAW("\xa2\x01\x38\x22\x02\x81\x18\x2a")}}},
	{"platform: unprotected header is an array",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.unprotected = RAW("\x80")}}},
	{"platform: signature cut short",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.signature_size = 95}}},
	{"platform: signature with a byte more",
	 VERIFY_PLATFORM_SIGN1,
	 {.platform = {.signature_size = 97}}},
	{"realm: tag of COSE_Mac0", VERIFY_REALM_SIGN1, {.realm = {.tag = 17}}},
	{"realm: a byte behind it", VERIFY_REALM_SIGN1, {.realm = {.behind = RAW("\x00")}}},
	{"realm: algorithm not protected",
	 VERIFY_REALM_SIGN1,
	 {.realm = {.header = RAW("\xa0"), .unprotected = RAW("\xa1\x01\x38\x22")}}},
	{"realm: critical headers",
	 VERIFY_REALM_SIGN1,
	 {.realm = {.header = RAW("\xa2\x01\x38\x22\x02\x81\x18\x2a")}}},
	{"realm: signature of ES256's length",
	 VERIFY_REALM_SIGN1,
	 {.realm = {.signature_size = 64}}},

	/* platform claims */
	{"platform: claims are an array",
	 VERIFY_PLATFORM_CLAIMS,
	 {.platform = {.payload = RAW("\x80")}}},
	{"platform: no claims", VERIFY_PLATFORM_CLAIMS, {.platform = {.payload = RAW("\xa0")}}},
	{"platform: claims cut short",
	 VERIFY_PLATFORM_CLAIMS,
	 {.platform = {.payload = RAW("\xa2\x0a\x41\x01")}}},
	{"platform: claims of indefinite length",
	 VERIFY_PLATFORM_CLAIMS,
	 {.platform = {.payload = RAW("\xbf\x0a\x41\x01\xff")}}},
	{"platform: bytes behind the claims",
	 VERIFY_PLATFORM_CLAIMS,
	 {.platform = {.behind_payload = RAW("\x00")}}},
	{"platform: no profile", VERIFY_PLATFORM_CLAIMS, {PLATFORM_EDIT(DROP, TOKEN_PROFILE, {0})}},
	{"platform: no challenge",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_CHALLENGE, {0})}},
	{"platform: no implementation id",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_IMPLEMENTATION_ID, {0})}},
	{"platform: no instance id",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_INSTANCE_ID, {0})}},
	{"platform: no configuration",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_CONFIG, {0})}},
	{"platform: no lifecycle",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_LIFECYCLE, {0})}},
	{"platform: no components",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_COMPONENTS, {0})}},
	{"platform: no hash algorithm",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(DROP, TOKEN_HASH_ALGO, {0})}},
	{"platform: challenge twice",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(TWICE, TOKEN_CHALLENGE, {0})}},
	{"platform: lifecycle twice",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(TWICE, TOKEN_LIFECYCLE, {0})}},
	{"platform: unknown profile",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_PROFILE, RAW("\x65other"))}},
	{"platform: a realm's profile",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_PROFILE, RAW("\x78\x1ctag:arm.com,2023:realm#1.0.0"))}},
	{"platform: profile in bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_PROFILE, RAW("\x58\x23tag:arm.com,2023:cca_platform#1.0.0"))}},
	{"platform: profile not UTF-8",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_PROFILE, RAW("\x62\xc3\x28"))}},
	{"platform: challenge of 31 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x1f" S31("\x01")))}},
	{"platform: challenge of 33 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x21" S32("\x01") "\x01"))}},
	{"platform: challenge is text",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x78\x20" S32("a")))}},
	{"platform: implementation id of 31 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_IMPLEMENTATION_ID, RAW("\x58\x1f" S31("\x0a")))}},
	{"platform: implementation id of 33 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_IMPLEMENTATION_ID, RAW("\x58\x21" S32("\x0a") "\x0a"))}},
	{"platform: instance id of 32 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_INSTANCE_ID, RAW("\x58\x20\x01" S31("\x0b")))}},
	{"platform: instance id of another type",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_INSTANCE_ID, RAW("\x58\x21\x02" S32("\x0b")))}},
	{"platform: empty configuration",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_CONFIG, RAW("\x40"))}},
	{"platform: lifecycle in bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x42\x30\x03"))}},
	{"platform: negative lifecycle",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x39\x30\x03"))}},
	{"platform: lifecycle of 17 bits",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x1a\x00\x01\x30\x03"))}},
	{"platform: lifecycle of 64 bits",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x1b\x00\x00\x00\x01\x00\x00\x30\x03"))}},
	{"platform: lifecycle is a float",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\xfa\x46\x40\x0c\x00"))}},
	{"platform: lifecycle longer than need be",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x1a\x00\x00\x30\x03"))}},
	{"platform: unknown hash algorithm",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_HASH_ALGO, RAW("\x65sha-1"))}},
	{"platform: verification service in bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, TOKEN_VERIFICATION_SERVICE,
			RAW("\x41"
			    "a"))}},
	{"platform: an unknown claim nested deeply",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, -75001, RAW(S32("\x81") "\x00"))}},
	{"platform: an unknown claim that is a float",
	 VERIFY_PLATFORM_CLAIMS,
	 {PLATFORM_EDIT(PUT, -75001, RAW("\xf9\x3c\x00"))}},
	{"components: none", VERIFY_PLATFORM_CLAIMS, {COMPONENTS("\x80")}},
	{"components: a map", VERIFY_PLATFORM_CLAIMS, {COMPONENTS("\xa1\x01\x02")}},
	{"components: of indefinite length",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x9f" COMPONENT_BL2 "\xff")}},
	{"components: a number", VERIFY_PLATFORM_CLAIMS, {COMPONENTS("\x81\x01")}},
	{"components: without measurement",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa1\x05\x58\x20" S32("\x24"))}},
	{"components: without signer",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa1\x02\x58\x20" S32("\x23"))}},
	{"components: signer of 33 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa2\x05\x58\x21" S32("\x24") "\x24\x02\x58\x20" S32("\x23"))}},
	{"components: measurement twice",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa3\x05\x58\x20" S32("\x24") "\x02\x58\x20" S32(
		 "\x23") "\x02\x58\x20" S32("\x25"))}},
	{"components: measurement of 31 bytes",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa2\x05\x58\x20" S32("\x24") "\x02\x58\x1f" S31("\x23"))}},
	{"components: measurement of another hash's length",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa2\x05\x58\x20" S32("\x24") "\x02\x58\x30" S48("\x23"))}},
	{"components: not the length that its own hash has",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS(
		 "\x81\xa3\x05\x58\x20" S32("\x24") "\x02\x58\x20" S32("\x23") "\x06\x67sha-512")}},
	{"components: unknown hash algorithm",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa3\x05\x58\x20" S32("\x24") "\x02\x58\x20" S32("\x23") "\x06\x63md5")}},
	{"components: version is a number",
	 VERIFY_PLATFORM_CLAIMS,
	 {COMPONENTS("\x81\xa3\x04\x01\x05\x58\x20" S32("\x24") "\x02\x58\x20" S32("\x23"))}},

	/* realm claims */
	{"realm: no claims", VERIFY_REALM_CLAIMS, {.realm = {.payload = RAW("\xa0")}}},
	{"realm: claims are text",
	 VERIFY_REALM_CLAIMS,
	 {.realm = {.payload = RAW("\x61"
				   "a")}}},
	{"realm: bytes behind the claims",
	 VERIFY_REALM_CLAIMS,
	 {.realm = {.behind_payload = RAW("\xa0")}}},
	{"realm: no challenge", VERIFY_REALM_CLAIMS, {REALM_EDIT(DROP, TOKEN_CHALLENGE, {0})}},
	{"realm: no personalisation value",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(DROP, TOKEN_RPV, {0})}},
	{"realm: no key", VERIFY_REALM_CLAIMS, {REALM_EDIT(DROP, TOKEN_RAK, {0})}},
	{"realm: no hash algorithm",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(DROP, TOKEN_REALM_HASH_ALGO, {0})}},
	{"realm: no hash algorithm of the key",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(DROP, TOKEN_RAK_HASH_ALGO, {0})}},
	{"realm: no RIM", VERIFY_REALM_CLAIMS, {REALM_EDIT(DROP, TOKEN_RIM, {0})}},
	{"realm: no REMs", VERIFY_REALM_CLAIMS, {REALM_EDIT(DROP, TOKEN_REMS, {0})}},
	{"realm: RIM twice", VERIFY_REALM_CLAIMS, {REALM_EDIT(TWICE, TOKEN_RIM, {0})}},
	{"realm: challenge of 32 bytes",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x20" S32("\x5c")))}},
	{"realm: challenge of 65 bytes",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x41" S64("\x5c") "\x5c"))}},
	{"realm: personalisation value of 32 bytes",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_RPV, RAW("\x58\x20" S32("\x5d")))}},
	{"realm: unknown hash algorithm",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_REALM_HASH_ALGO, RAW("\x65sha-1"))}},
	{"realm: hash algorithm in capitals",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_REALM_HASH_ALGO, RAW("\x67SHA-256"))}},
	{"realm: hash algorithm with something behind it",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_REALM_HASH_ALGO, RAW("\x69sha-256\0x"))}},
	{"realm: hash algorithm of the key unknown",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_RAK_HASH_ALGO, RAW("\x63md5"))}},
	{"realm: RIM of 31 bytes",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_RIM, RAW("\x58\x1f" S31("\x60")))}},
	{"realm: RIM of another hash's length",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_RIM, RAW("\x58\x40" S64("\x60")))}},
	{"realm: RIM is null", VERIFY_REALM_CLAIMS, {REALM_EDIT(PUT, TOKEN_RIM, RAW("\xf6"))}},
	{"realm: three REMs",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(
		 PUT, TOKEN_REMS,
		 RAW("\x83\x58\x20" S32("\x61") "\x58\x20" S32("\x62") "\x58\x20" S32("\x63")))}},
	{"realm: five REMs",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_REMS,
		     RAW("\x85\x58\x20" S32("\x61") "\x58\x20" S32("\x62") "\x58\x20" S32(
			     "\x63") "\x58\x20" S32("\x64") "\x58\x20" S32("\x65")))}},
	{"realm: a REM of another hash's length",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_REMS,
		     RAW("\x84\x58\x20" S32("\x61") "\x58\x20" S32("\x62") "\x58\x20" S32(
			     "\x63") "\x58\x30" S48("\x64")))}},
	{"realm: a REM that is text",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_REMS,
		     RAW("\x84\x58\x20" S32("\x61") "\x58\x20" S32("\x62") "\x58\x20" S32(
			     "\x63") "\x78\x20" S32("d")))}},
	{"realm: unknown profile",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_PROFILE, RAW("\x78\x1ctag:arm.com,2025:realm#1.0.0"))}},
	{"realm: empty profile",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_PROFILE, RAW("\x60"))}},
	{"realm: profile of 2024 without instance id",
	 VERIFY_REALM_CLAIMS,
	 {REALM_EDIT(PUT, TOKEN_PROFILE, RAW("\x78\x1ctag:arm.com,2024:realm#2.0.0"))}},
	{"realm: instance id of another type",
	 VERIFY_REALM_CLAIMS,
	 {.layout = LAYOUT_2024,
	  REALM_EDIT(PUT, TOKEN_INSTANCE_ID, RAW("\x58\x21\x00" S32("\x0c")))}},
	{"realm: unknown encryption policy",
	 VERIFY_REALM_CLAIMS,
	 {.layout = LAYOUT_2024, REALM_EDIT(PUT, TOKEN_MEC_POLICY, RAW("\x02"))}},
	{"realm: key is text", VERIFY_REALM_CLAIMS, {REALM_EDIT(PUT, TOKEN_RAK, RAW("\x63key"))}},

	/* profiles */
	{"legacy platform, realm of 2023",
	 VERIFY_PROFILES,
	 {PLATFORM_EDIT(PUT, TOKEN_PROFILE, RAW("\x78\x1chttp://arm.com/CCA-SSD/1.0.0"))}},
	{"platform of 2023, legacy realm",
	 VERIFY_PROFILES,
	 {.rak = RAW(POINT_RAK), REALM_EDIT(DROP, TOKEN_PROFILE, {0})}},

	/* the realm's key */
	{"key: a point where COSE_Key belongs", VERIFY_REALM_KEY, {.rak = RAW(POINT_RAK)}},
	{"key: COSE_Key where a point belongs",
	 VERIFY_REALM_KEY,
	 {.layout = LAYOUT_LEGACY,
	  .rak = RAW("\xa4\x01\x02\x20\x02\x21\x58\x30" S48("\x01") "\x22\x58\x30" S48("\x02"))}},
	{"key: compressed point",
	 VERIFY_REALM_KEY,
	 {.layout = LAYOUT_LEGACY, .rak = RAW("\x02" S48("\x01"))}},
	{"key: point cut short",
	 VERIFY_REALM_KEY,
	 {.layout = LAYOUT_LEGACY, .rak = RAW("\x04" S48("\x01") S32("\x01"))}},
	{"key: point off the curve",
	 VERIFY_REALM_KEY,
	 {.layout = LAYOUT_LEGACY, .rak = RAW("\x04" S48("\x01") S48("\x01"))}},
	{"key: COSE_Key off the curve",
	 VERIFY_REALM_KEY,
	 {.rak = RAW("\xa4\x01\x02\x20\x02\x21\x58\x30" S48("\x01") "\x22\x58\x30" S48("\x02"))}},
	{"key: COSE_Key at infinity",
	 VERIFY_REALM_KEY,
	 {.rak = RAW("\xa4\x01\x02\x20\x02\x21\x58\x30" S48("\0") "\x22\x58\x30" S48("\0"))}},
	{"key: symmetric", VERIFY_REALM_KEY, {.rak = RAW("\xa2\x01\x04\x20\x58\x20" S32("\x01"))}},
	{"key: unknown curve",
	 VERIFY_REALM_KEY,
	 {.rak = RAW("\xa4\x01\x02\x20\x08\x21\x58\x20" S32("\x01") "\x22\x58\x20" S32("\x02"))}},
	{"key: nothing but a map", VERIFY_REALM_KEY, {.rak = RAW("\xa0")}},
	{"key: no CBOR", VERIFY_REALM_KEY, {.rak = RAW("\xff")}},

	/* signatures */
	{"platform: signature with a wrong bit",
	 VERIFY_PLATFORM_SIGNATURE,
	 {.platform = {.flip_signature = true}}},
	{"platform: claims changed after signing",
	 VERIFY_PLATFORM_SIGNATURE,
	 {.platform = {.flip_payload = true}}},
	{"platform: signed by another key",
	 VERIFY_PLATFORM_SIGNATURE,
	 {.platform = {.other_signer = true}}},
	{"platform: another algorithm than was signed with",
	 VERIFY_PLATFORM_SIGNATURE,
	 {.platform = {.header = RAW("\xa1\x01\x26"), .signature_size = 64}}},
	{"platform: header added after signing",
	 VERIFY_PLATFORM_SIGNATURE,
	 {.platform = {.header = RAW("\xa2\x01\x38\x22\x04\x41\x01")}}},
	{"realm: signature with a wrong bit",
	 VERIFY_REALM_SIGNATURE,
	 {.realm = {.flip_signature = true}}},
	{"realm: claims changed after signing",
	 VERIFY_REALM_SIGNATURE,
	 {.realm = {.flip_payload = true}}},
	{"realm: signed by another key", VERIFY_REALM_SIGNATURE, {.realm = {.other_signer = true}}},
	{"realm: another algorithm than was signed with",
	 VERIFY_REALM_SIGNATURE,
	 {.realm = {.header = RAW("\xa1\x01\x38\x23"), .signature_size = 132}}},

	/* the binding of the one to the other */
	{"binding: to another key",
	 VERIFY_BINDING,
	 {PLATFORM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x20" S32("\x01")))}},
	{"binding: to the point, not to the COSE_Key",
	 VERIFY_BINDING,
	 {PLATFORM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x20" POINT_HASH))}},
	{"binding: by another hash than the realm names",
	 VERIFY_BINDING,
	 {REALM_EDIT(PUT, TOKEN_RAK_HASH_ALGO, RAW("\x67sha-512"))}},
	{"binding: zeros behind the hash",
	 VERIFY_BINDING,
	 {.layout = LAYOUT_LEGACY,
	  PLATFORM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x40" POINT_HASH S32("\0")))}},

	/* lifecycle */
	{"lifecycle: unknown",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x00"))}},
	{"lifecycle: assembly and test",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x10\x00"))}},
	{"lifecycle: just below secured",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x2f\xff"))}},
	{"lifecycle: just above secured",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x31\x00"))}},
	{"lifecycle: debug",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x40\x00"))}},
	{"lifecycle: recoverable debug",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x50\x01"))}},
	{"lifecycle: decommissioned",
	 VERIFY_LIFECYCLE,
	 {PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x60\x00"))}},

	/* what the policy compares */
	{"another platform",
	 VERIFY_PLATFORM_KEY,
	 {PLATFORM_EDIT(PUT, TOKEN_IMPLEMENTATION_ID, RAW("\x58\x20" S31("\x0a") "\x0b"))}},
	{"another instance",
	 VERIFY_PLATFORM_KEY,
	 {PLATFORM_EDIT(PUT, TOKEN_INSTANCE_ID, RAW("\x58\x21\x01" S31("\x0b") "\x0c"))}},
	{"another configuration",
	 VERIFY_PLATFORM_CONFIG,
	 {PLATFORM_EDIT(PUT, TOKEN_CONFIG, RAW("\x42\xcf\xce"))}},
	{"a longer configuration",
	 VERIFY_PLATFORM_CONFIG,
	 {PLATFORM_EDIT(PUT, TOKEN_CONFIG, RAW("\x43\xcf\xcf\x00"))}},
	{"components: another measurement",
	 VERIFY_COMPONENTS,
	 {COMPONENTS(
		 "\x81\xa3\x01\x63RMM\x05\x58\x20" S32("\x24") "\x02\x58\x20" S31("\x23") "\x22")}},
	{"components: another signer",
	 VERIFY_COMPONENTS,
	 {COMPONENTS(
		 "\x81\xa3\x01\x63RMM\x05\x58\x20" S31("\x24") "\x25\x02\x58\x20" S32("\x23"))}},
	{"components: the signer of another component",
	 VERIFY_COMPONENTS,
	 {COMPONENTS("\x81\xa2\x05\x58\x20" S32("\x22") "\x02\x58\x20" S32("\x23"))}},
	{"components: another type",
	 VERIFY_COMPONENTS,
	 {COMPONENTS("\x81\xa4\x01\x63"
		     "BL1\x04\x65"
		     "1.2.3\x05\x58\x20" S32("\x22") "\x02\x58\x20" S32("\x21"))}},
	{"components: no version",
	 VERIFY_COMPONENTS,
	 {COMPONENTS("\x81\xa3\x01\x63"
		     "BL2\x05\x58\x20" S32("\x22") "\x02\x58\x20" S32("\x21"))}},
	{"components: an unknown one more",
	 VERIFY_COMPONENTS,
	 {COMPONENTS("\x83" COMPONENT_BL2 COMPONENT_RMM
		     "\xa2\x05\x58\x20" S32("\x66") "\x02\x58\x20" S32("\x67"))}},
	{"another challenge",
	 VERIFY_CHALLENGE,
	 {REALM_EDIT(PUT, TOKEN_CHALLENGE, RAW("\x58\x40" S32("\x5c") S31("\x5c") "\x5d"))}},
	{"another RIM",
	 VERIFY_RIM,
	 {REALM_EDIT(PUT, TOKEN_RIM, RAW("\x58\x20" S31("\x60") "\x61"))}},
	{"another RIM in its first byte",
	 VERIFY_RIM,
	 {REALM_EDIT(PUT, TOKEN_RIM, RAW("\x58\x20\x61" S31("\x60")))}},
	{"REMs in another order",
	 VERIFY_REMS,
	 {REALM_EDIT(PUT, TOKEN_REMS,
		     RAW("\x84\x58\x20" S32("\x62") "\x58\x20" S32("\x61") "\x58\x20" S32(
			     "\x63") "\x58\x20" S32("\x64")))}},
	{"another last REM",
	 VERIFY_REMS,
	 {REALM_EDIT(PUT, TOKEN_REMS,
		     RAW("\x84\x58\x20" S32("\x61") "\x58\x20" S32("\x62") "\x58\x20" S32(
			     "\x63") "\x58\x20" S32("\x65")))}},
	{"another personalisation value",
	 VERIFY_RPV,
	 {REALM_EDIT(PUT, TOKEN_RPV, RAW("\x58\x40" S32("\x5d") S32("\x5e")))}},
	{"emulated realm's implementation id",
	 VERIFY_EMULATION,
	 {PLATFORM_EDIT(PUT, TOKEN_IMPLEMENTATION_ID,
			RAW("\x58\x20"
			    "ccr-run emulated realm\0\0\0\0\0\0\0\0\0\0"))}},
};

#define NR_DEFECTS (sizeof(defects) / sizeof(defects[0]))

static void test_defects(void **state)
{
	struct fixture fixture;

	(void)state;
	assert_true(NR_DEFECTS >= 150);
	for (size_t i = 0; i < NR_DEFECTS; i++) {
		set_up(&fixture, &defects[i].recipe);
		assert_rejected(&fixture, defects[i].check, defects[i].name);
	}
}

/* Each check has a defect that it alone is there for; only one needs a policy of its own. */
static void test_every_check_has_a_defect(void **state)
{
	(void)state;
	for (unsigned check = 0; check < VERIFY_NR_CHECKS; check++) {
		size_t i = 0;

		while (i < NR_DEFECTS && defects[i].check != check)
			i++;
		/* Logs have tests of their own: test_evlog.c. */
		if (i == NR_DEFECTS && check != VERIFY_HASH_ALGO && check != VERIFY_LOG)
			fail_msg("%s: no defect in the table", verify_check_name(check));
	}
}

static void test_every_truncation(void **state)
{
	const struct recipe recipe = {.wrapped = true, .platform_key = KEY_P256 + 1};
	struct fixture fixture;
	size_t size;

	(void)state;
	set_up(&fixture, &recipe);
	size = fixture.size;
	for (fixture.size = 0; fixture.size < size; fixture.size++)
		assert_rejected(&fixture, VERIFY_COLLECTION, "truncated");
}

/* Whatever single bit is wrong, a token is not accepted: all of it is signed or checked. */
static void test_every_bit(void **state)
{
	const struct recipe recipe = {.platform_key = KEY_P256 + 1, .realm_key = KEY_P256 + 1};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	for (size_t i = 0; i < fixture.size; i++) {
		fixture.token[i] ^= (uint8_t)(1u << (i % 8));
		verify(&fixture);
		if (fixture.result.accepted)
			fail_msg("accepted with a wrong bit in byte %zu", i);
		fixture.token[i] ^= (uint8_t)(1u << (i % 8));
	}
	assert_accepted(&fixture);
}

static void test_too_long(void **state)
{
	static const uint8_t zeros[VERIFY_MAX_TOKEN_SIZE + 1];
	const struct verify_policy policy = {0};
	struct verify_result result;

	(void)state;
	verify_token(zeros, sizeof(zeros), &policy, &result);
	assert_false(result.accepted);
	assert_string_equal(result.findings[VERIFY_COLLECTION].reason,
			    "32769 bytes are more than a token has");
	verify_token(NULL, 0, &policy, &result);
	assert_false(result.accepted);
	assert_string_equal(result.findings[VERIFY_COLLECTION].reason, "the token is empty");
	for (unsigned i = 1; i < VERIFY_NR_CHECKS; i++)
		assert_int_equal(result.findings[i].outcome, VERIFY_SKIPPED);
}

static void test_hash_algo(void **state)
{
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	fixture.policy.hash_algo = HASH_SHA512;
	assert_rejected(&fixture, VERIFY_HASH_ALGO, "sha-512 expected");
	assert_string_equal(fixture.result.findings[VERIFY_HASH_ALGO].reason,
			    "hash algorithm is sha-256, expected sha-512");
}

static void test_lengths_are_compared(void **state)
{
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	set_value(&fixture.policy.rim, 0x60, 48);
	assert_rejected(&fixture, VERIFY_RIM, "longer RIM expected");
	assert_string_equal(fixture.result.findings[VERIFY_RIM].reason,
			    "RIM has 32 bytes, expected 48");
	set_up(&fixture, &recipe);
	set_value(&fixture.policy.rems[2], 0x63, 64);
	assert_rejected(&fixture, VERIFY_REMS, "longer REM expected");
}

static void test_debug_policy(void **state)
{
	static const struct {
		struct recipe recipe;
		bool accepted;
	} states[] = {
		{{PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x40\x00"))}, true},
		{{PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x50\xff"))}, true},
		{{PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x30\xff"))}, true},
		{{PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x00"))}, false},
		{{PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x3f\xff"))}, false},
		{{PLATFORM_EDIT(PUT, TOKEN_LIFECYCLE, RAW("\x19\x51\x00"))}, false},
	};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		set_up(&fixture, &states[i].recipe);
		fixture.policy.allow_debug = true;
		if (states[i].accepted)
			assert_accepted(&fixture);
		else
			assert_rejected(&fixture, VERIFY_LIFECYCLE, "lifecycle");
	}
}

static void test_no_anchors(void **state)
{
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	fixture.policy.anchors = NULL;
	assert_rejected(&fixture, VERIFY_PLATFORM_KEY, "no anchors");
	assert_string_equal(fixture.result.findings[VERIFY_PLATFORM_KEY].reason,
			    "no key is trusted: there are no trust anchors");
	assert_int_equal(fixture.result.findings[VERIFY_PLATFORM_SIGNATURE].outcome,
			 VERIFY_SKIPPED);
	assert_string_equal(fixture.result.findings[VERIFY_PLATFORM_SIGNATURE].reason,
			    "platform-key did not pass");
	fixture.policy.anchors = &fixture.anchors;
	fixture.anchors.nr = 0;
	assert_rejected(&fixture, VERIFY_PLATFORM_KEY, "empty anchors");
}

static void test_choice_of_anchor(void **state)
{
	const struct recipe recipe = {0};
	struct verify_anchor list[3];
	struct cose_secret secret;
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	get_secret(KEY_RAK, &secret);
	for (unsigned i = 0; i < 3; i++)
		list[i] = fixture.anchor;
	/* One id alone is not enough: each of these has the key of somebody else. */
	list[0].instance_id[32] ^= 1;
	list[0].key = secret.key;
	list[1].implementation_id[0] ^= 1;
	list[1].key = secret.key;
	fixture.anchors.list = list;
	fixture.anchors.nr = 3;
	assert_accepted(&fixture);
	list[2].key = secret.key;
	assert_rejected(&fixture, VERIFY_PLATFORM_SIGNATURE, "another platform's key");
	fixture.anchors.nr = 2;
	assert_rejected(&fixture, VERIFY_PLATFORM_KEY, "no such platform");
	list[0] = (struct verify_anchor){.any_platform = true, .key = fixture.anchor.key};
	fixture.anchors.nr = 1;
	assert_accepted(&fixture);
}

static void make_emulated(struct fixture *fixture, const struct recipe *recipe)
{
	struct token_claims claims = {.hash_algo = recipe->algo};
	uint8_t token[RSI_MAX_TOKEN_SIZE];

	set_up(fixture, recipe);
	fixture->policy.nr_components = 0;
	fixture->policy.platform_config.size = 0;
	memset(claims.challenge, 0x5c, 64);
	memset(claims.rpv, 0x5d, 64);
	for (unsigned i = 0; i < RSI_NR_MEASUREMENTS; i++)
		memset(claims.measurements[i], 0x60 + (int)i, hash_size(recipe->algo));
	assert_int_equal(token_emulated(&claims, token, &fixture->size, NULL), 0);
	memcpy(fixture->token, token, fixture->size);
}

static void test_emulated_round_trip(void **state)
{
	static const enum hash_algo algos[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct recipe recipe = {.algo = algos[i]};

		make_emulated(&fixture, &recipe);
		fixture.policy.emulated = true;
		fixture.policy.anchors = NULL;
		assert_accepted(&fixture);
		assert_int_equal(fixture.result.findings[VERIFY_RIM].outcome, VERIFY_PASSED);
		assert_int_equal(fixture.result.findings[VERIFY_REMS].outcome, VERIFY_PASSED);
		fixture.policy.rim.bytes[31] ^= 1;
		assert_rejected(&fixture, VERIFY_RIM, "another RIM");
	}
}

/* Whatever is trusted or allowed, only the word "emulated" makes such a token acceptable. */
static void test_emulated_needs_its_option(void **state)
{
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	make_emulated(&fixture, &recipe);
	fixture.anchor.any_platform = true;
	fixture.anchor.key = token_emulated_platform_secret.key;
	fixture.policy.allow_debug = true;
	assert_rejected(&fixture, VERIFY_EMULATION, "emulated");
	assert_string_equal(fixture.result.findings[VERIFY_EMULATION].reason,
			    "the realm is emulated: nothing isolates it (--emulated accepts it)");
	assert_int_equal(fixture.result.findings[VERIFY_PLATFORM_KEY].outcome, VERIFY_FAILED);
	fixture.policy.emulated = true;
	assert_accepted(&fixture);
}

static void test_real_one_is_not_emulated(void **state)
{
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	fixture.policy.emulated = true;
	assert_rejected(&fixture, VERIFY_EMULATION, "not emulated");
	/* Its key is not even looked for among the anchors. */
	assert_int_equal(fixture.result.findings[VERIFY_PLATFORM_SIGNATURE].outcome, VERIFY_FAILED);
}

/* Emulated realms' key under a name of somebody's own, trusted by mistake. */
static void test_published_key_as_anchor(void **state)
{
	const struct recipe recipe = {0};
	struct fixture fixture;

	(void)state;
	set_up(&fixture, &recipe);
	fixture.anchor.key = token_emulated_platform_secret.key;
	assert_rejected(&fixture, VERIFY_PLATFORM_KEY, "published key");
	assert_string_equal(fixture.result.findings[VERIFY_PLATFORM_KEY].reason,
			    "the trusted key is that of emulated realms, and published");
}

static void test_reasons_are_printable(void **state)
{
	static const struct recipe recipes[] = {
		{PLATFORM_EDIT(PUT, TOKEN_PROFILE,
			       RAW("\x66"
				   "\x1b[31mX"))},
		{REALM_EDIT(PUT, TOKEN_REALM_HASH_ALGO,
			    RAW("\x64"
				"a\nb\x07"))},
		{COMPONENTS("\x81\xa3\x01\x63\x1b[m\x05\x58\x20" S32("\x24") "\x02\x58\x20" S32(
			"\x66"))},
	};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
		set_up(&fixture, &recipes[i]);
		verify(&fixture);
		assert_false(fixture.result.accepted);
		for (unsigned check = 0; check < VERIFY_NR_CHECKS; check++) {
			const char *c = fixture.result.findings[check].reason;

			for (; *c; c++)
				assert_true(*c >= 0x20 && *c < 0x7f);
		}
	}
}

static void load(const char *path, struct blob *blob)
{
	*blob = (struct blob){0};
	assert_int_equal(file_load(path, VERIFY_MAX_FILE_SIZE, "vector", blob, NULL), 0);
}

#define VECTORS "tests/unit/vectors/"

/*
 * wrapped.token was not made by this program's code but with another CBOR encoder and the openssl
 * command: tag 907, profiles of 2024, ES256 and ES384, SHA-384 measurements, SHA-512 binding.
 */
static void test_vector_from_elsewhere(void **state)
{
	static const char *const files[] = {VECTORS "anchors.json", VECTORS "platform.jwk",
					    VECTORS "platform.pem"};
	struct blob token, text;
	struct verify_policy policy = {0};
	struct verify_result result;

	(void)state;
	load(VECTORS "wrapped.token", &token);
	load(VECTORS "policy.json", &text);
	assert_int_equal(verify_policy_load((char *)text.data, text.size, &policy, NULL), 0);
	blob_free(&text);
	set_value(&policy.challenge, 0x5c, 64);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct verify_anchors anchors = {0};

		load(files[i], &text);
		assert_int_equal(verify_anchors_load((char *)text.data, text.size, &anchors, NULL),
				 0);
		blob_free(&text);
		policy.anchors = &anchors;
		verify_token(token.data, token.size, &policy, &result);
		for (unsigned check = 0; check < VERIFY_NR_CHECKS; check++)
			assert_int_equal(result.findings[check].outcome,
					 check == VERIFY_LOG ? VERIFY_SKIPPED : VERIFY_PASSED);
		assert_true(result.accepted);
		assert_string_equal(result.findings[VERIFY_REMS].reason, "3 of 4 compared");
		verify_anchors_done(&anchors);
	}
	blob_free(&token);
}

#define JWK256                                                                                     \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AysFSALV6z9yYj2nSwLfB4clhnZyGBS_QCL5e5HkQ5M\"," \
	"\"y\":\"30EUT3DYlvcMcsVKSR9ucRF0sO-It_ZoEp6TA-MDlhk\"}"
#define X_ONLY(curve, x) "{\"kty\":\"EC\",\"crv\":\"" curve "\",\"x\":\"" x "\"}"
#define IMPL             "\"implementation-id\":\"" S32("0a") "\""
#define INST             "\"instance-id\":\"01" S32("0b") "\""

static void test_bad_anchors(void **state)
{
	static const struct {
		const char *text;
		const char *why; /* NULL for good ones */
	} files[] = {
		{JWK256, NULL},
		{" " JWK256 "\n", NULL},
		{"[{" IMPL "," INST ",\"pkey\":" JWK256 "}]", NULL},
		{"", "not valid JSON"},
		{"{", "not valid JSON"},
		{"null\n", "is null"},
		{JWK256 "x", "not valid JSON"},
		{JWK256 JWK256, "not valid JSON"},
		{"{'kty':'EC'}", "not valid JSON"},
		{"[]", "there are none in the file"},
		{"[1]", "is not an object"},
		{"[null]", "is not an object"},
		{"3\n", "a key is not a JSON Web Key"},
		{"{}", "\"kty\" is missing"},
		{"{\"kty\":1}", "\"kty\" is not a string"},
		{"{\"kty\":\"EC\"}", "\"crv\" is missing"},
		{"{\"kty\":\"OKP\",\"crv\":\"P-256\"}", "a key is not on P-256"},
		{"{\"kty\":\"EC\",\"crv\":\"secp256k1\"}", "a key is not on P-256"},
		{"{\"kty\":\"EC\\u0000\",\"crv\":\"P-256\"}", "\"kty\" has a NUL in it"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\"}", "\"x\" is missing"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\"}",
		 "\"x\" of a key has the wrong length"},
		{X_ONLY("P-256", "AysFSALV6z9yYj2nSwLfB4clhnZyGBS/QCL5e5HkQ5M"),
		 "\"x\" of a key is not base64url"},
		{X_ONLY("P-256", "AysFSALV6z9yYj2nSwLfB4clhnZyGBS_QCL5e5HkQ5M="),
		 "\"x\" of a key is not base64url"},
		{X_ONLY("P-256", "AysFSALV6z9yYj2nSwLfB4clhnZyGBS_QCL5e5Hk"),
		 "\"x\" of a key is not 32 bytes in base64url"},
		{X_ONLY("P-384", "AysFSALV6z9yYj2nSwLfB4clhnZyGBS_QCL5e5HkQ5M"),
		 "\"x\" of a key is not 48 bytes in base64url"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\","
		 "\"x\":\"AysFSALV6z9yYj2nSwLfB4clhnZyGBS_QCL5e5HkQ5M\","
		 "\"y\":\"AysFSALV6z9yYj2nSwLfB4clhnZyGBS_QCL5e5HkQ5M\"}",
		 "not a point of P-256"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AA\"}", "has its private part with it"},
		{"[{" IMPL "," INST "}]", "an entry has no \"pkey\""},
		{"[{" INST ",\"pkey\":" JWK256 "}]", "\"implementation-id\" is missing"},
		{"[{" IMPL ",\"pkey\":" JWK256 "}]", "\"instance-id\" is missing"},
		{"[{" IMPL "," INST ",\"pkey\":3}]", "a key is not a JSON Web Key"},
		{"[{" IMPL "," INST ",\"pkey\":" JWK256 ",\"trust\":true}]",
		 "\"trust\" is not known here"},
		{"[{\"implementation-id\":\"0a\"," INST ",\"pkey\":" JWK256 "}]",
		 "\"implementation-id\" has 1 bytes, not 32"},
		{"[{\"implementation-id\":\"0x\"," INST ",\"pkey\":" JWK256 "}]",
		 "\"implementation-id\" is not 1 to 32 bytes in hexadecimal"},
		{"[{" IMPL "," INST ",\"pkey\":" JWK256 "},{" IMPL "," INST ",\"pkey\":" JWK256
		 "}]",
		 "entries 0 and 1 are of the same platform"},
		{"[[[[[[[[[[[[]]]]]]]]]]]]", "not valid JSON"},
		{"-----BEGIN PUBLIC KEY-----\n", "not a PEM block"},
		{"-----BEGIN EC PRIVATE KEY-----\n", "not a PEM block"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct verify_anchors anchors = {0};
		struct ccr_err err = {0};
		int ret = verify_anchors_load(files[i].text, strlen(files[i].text), &anchors, &err);

		if (!files[i].why) {
			assert_int_equal(ret, 0);
			assert_int_equal(anchors.nr, 1);
			assert_int_equal(anchors.list[0].any_platform, files[i].text[0] != '[');
			verify_anchors_done(&anchors);
		} else {
			assert_int_equal(ret, -EINVAL);
			if (!strstr(err.msg, files[i].why))
				fail_msg("%s: %s", files[i].text, err.msg);
		}
		assert_null(anchors.list);
		assert_int_equal(anchors.nr, 0);
	}
	/* A NUL must not hide the rest of a file. */
	assert_int_equal(verify_anchors_load(JWK256 "\0junk", sizeof(JWK256) + 4,
					     &(struct verify_anchors){0}, NULL),
			 -EINVAL);
}

#define REF "\"measurement-value\":\"" S32("21") "\",\"signer-id\":\"" S32("22") "\""

static void test_bad_policies(void **state)
{
	static const struct {
		const char *text;
		const char *why; /* NULL for good ones */
	} files[] = {
		{"{}", NULL},
		{"{\"lifecycle\":\"debug\"}", NULL},
		{"{\"sw-components\":[{" REF "}]}", NULL},
		{"{\"extensible-measurements\":[null,null,null,null]}", NULL},
		{"[]", "is not an object"},
		{"null\n", "is null"},
		{"{\"rim\":\"00\"}", "\"rim\" is not known here"},
		{"{\"lifecycle\":\"open\"}", "\"lifecycle\" is neither secured nor debug"},
		{"{\"lifecycle\":0}", "\"lifecycle\" is not a string"},
		{"{\"hash-algorithm\":\"md5\"}", "\"hash-algorithm\" is not sha-256"},
		{"{\"initial-measurement\":\"\"}", "\"initial-measurement\" is not 1 to 64 bytes"},
		{"{\"initial-measurement\":\"00\"}", "\"initial-measurement\" has 1 bytes"},
		{"{\"initial-measurement\":null}", "\"initial-measurement\" is not a string"},
		{"{\"initial-measurement\":\"" S64("00") "00\"}", "is not 1 to 64 bytes"},
		{"{\"extensible-measurements\":[null]}", "is not an array of 4"},
		{"{\"extensible-measurements\":{}}", "is not an array of 4"},
		{"{\"extensible-measurements\":[null,null,null,\"00\"]}", "has 1 bytes, not 32"},
		{"{\"extensible-measurements\":[null,null,null,7]}", "is not a string"},
		{"{\"personalization-value\":\"xyz\"}", "in hexadecimal"},
		{"{\"platform-configuration\":\"\"}", "in hexadecimal"},
		{"{\"sw-components\":[]}", "is not an array of 1 to 64"},
		{"{\"sw-components\":{}}", "is not an array of 1 to 64"},
		{"{\"sw-components\":[7]}", "is not an object"},
		{"{\"sw-components\":[{}]}", "a component lacks"},
		{"{\"sw-components\":[{" REF ",\"name\":\"x\"}]}", "\"name\" is not known here"},
		{"{\"sw-components\":[{" REF ",\"version\":\"\"}]}",
		 "\"version\" is not of 1 to 63"},
		{"{\"sw-components\":[{" REF ",\"version\":\"" S64("x") "\"}]}",
		 "\"version\" is not of 1 to 63"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct verify_policy policy = {0}, before;
		struct ccr_err err = {0};
		int ret;

		set_value(&policy.rim, 0x42, 32);
		before = policy;
		ret = verify_policy_load(files[i].text, strlen(files[i].text), &policy, &err);
		if (!files[i].why) {
			assert_int_equal(ret, 0);
			assert_memory_equal(&policy.rim, &before.rim, sizeof(before.rim));
			continue;
		}
		assert_int_equal(ret, -EINVAL);
		if (!strstr(err.msg, files[i].why))
			fail_msg("%s: %s", files[i].text, err.msg);
		assert_memory_equal(&policy, &before, sizeof(before));
	}
}

static void test_policy_values(void **state)
{
	struct verify_policy policy = {0};
	struct blob text;

	(void)state;
	load(VECTORS "policy.json", &text);
	assert_int_equal(verify_policy_load((char *)text.data, text.size, &policy, NULL), 0);
	blob_free(&text);
	assert_false(policy.allow_debug);
	assert_true(policy.has_hash_algo);
	assert_int_equal(policy.hash_algo, HASH_SHA384);
	assert_int_equal(policy.rim.size, 48);
	assert_int_equal(policy.rim.bytes[47], 0x61);
	assert_int_equal(policy.rems[0].size, 48);
	assert_int_equal(policy.rems[1].size, 0);
	assert_int_equal(policy.rems[3].bytes[0], 0x65);
	assert_int_equal(policy.platform_config.size, 2);
	assert_memory_equal(policy.platform_config.bytes, "\xde\xad", 2);
	/* Zero-padded, as the launcher pads it. */
	assert_int_equal(policy.rpv.size, 64);
	assert_memory_equal(policy.rpv.bytes, "rpv\0\0\0", 6);
	assert_int_equal(policy.nr_components, 3);
	assert_string_equal(policy.components[0].type, "BL2");
	assert_string_equal(policy.components[0].version, "1.2.3");
	assert_int_equal(policy.components[0].measurement.size, 64);
	assert_int_equal(policy.components[1].signer.size, 48);
	assert_int_equal(*policy.components[2].type, 0);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++) {
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(verify_check_name(i), verify_check_name(j));
	}
	assert_string_equal(verify_check_name(VERIFY_COLLECTION), "collection");
	assert_string_equal(verify_check_name(VERIFY_RPV), "rpv");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_tokens),
		cmocka_unit_test(test_empty_policy),
		cmocka_unit_test(test_defects),
		cmocka_unit_test(test_every_check_has_a_defect),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_hash_algo),
		cmocka_unit_test(test_lengths_are_compared),
		cmocka_unit_test(test_debug_policy),
		cmocka_unit_test(test_no_anchors),
		cmocka_unit_test(test_choice_of_anchor),
		cmocka_unit_test(test_emulated_round_trip),
		cmocka_unit_test(test_emulated_needs_its_option),
		cmocka_unit_test(test_real_one_is_not_emulated),
		cmocka_unit_test(test_published_key_as_anchor),
		cmocka_unit_test(test_reasons_are_printable),
		cmocka_unit_test(test_vector_from_elsewhere),
		cmocka_unit_test(test_bad_anchors),
		cmocka_unit_test(test_bad_policies),
		cmocka_unit_test(test_policy_values),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

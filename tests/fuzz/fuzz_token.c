/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/realm/cose.c src/realm/token_read.c src/realm/verify.c src/util/cbor.c */
/*
 * links: src/util/cbor.c src/util/err.c src/util/hash.c src/util/parse.c src/realm/cose.c
 * src/realm/token.c src/realm/token_read.c src/realm/verify.c src/realm/verify_anchors.c
 * src/realm/verify_policy.c src/realm/verify_json.c src/util/jsontext.c
 * src/realm/evlog_read.c src/realm/evlog_replay.c src/realm/evlog_compare.c src/realm/measure.c
 * src/realm/plan.c arch/arm64/dtree_diff.c
 */
/*
 * The first byte says what the rest is: 0 a token; 1 the payloads of its two parts, behind the
 * size of the first in two bytes, to be signed here, because no fuzzer guesses a signature; 2 trust
 * anchors; 3 a policy.
 *
 * Properties: whatever comes, findings are complete, printable, and agree with the verdict. An
 * accepted token has both signatures, made with the keys that count, and the RIM and challenge that
 * were asked for. What the CBOR reader accepts has one encoding: written again, it is the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/verify.h"
#include "fuzz.h"

#define MAX_INPUT 4096

/* A test key, published with the tests: not a secret. It signs both parts. */
static const struct cose_secret secret = {
	.key = {.curve = COSE_P256,
		.x = {0x03, 0x2b, 0x05, 0x48, 0x02, 0xd5, 0xeb, 0x3f, 0x72, 0x62, 0x3d,
		      0xa7, 0x4b, 0x02, 0xdf, 0x07, 0x87, 0x25, 0x86, 0x76, 0x72, 0x18,
		      0x14, 0xbf, 0x40, 0x22, 0xf9, 0x7b, 0x91, 0xe4, 0x43, 0x93},
		.y = {0xdf, 0x41, 0x14, 0x4f, 0x70, 0xd8, 0x96, 0xf7, 0x0c, 0x72, 0xc5,
		      0x4a, 0x49, 0x1f, 0x6e, 0x71, 0x11, 0x74, 0xb0, 0xef, 0x88, 0xb7,
		      0xf6, 0x68, 0x12, 0x9e, 0x93, 0x03, 0xe3, 0x03, 0x96, 0x19}},
	.scalar = {0xa6, 0x98, 0x63, 0x8b, 0x41, 0xfe, 0x48, 0x42, 0x65, 0x7f, 0x32,
		   0x1e, 0xfd, 0xba, 0x85, 0x8e, 0xe8, 0xb4, 0xae, 0xe7, 0xd9, 0xd3,
		   0x8c, 0xb6, 0xd5, 0xd4, 0xb5, 0x2a, 0x0a, 0x89, 0xa5, 0xb9},
};

static void write_again(const struct cbor_item *item, struct cbor_writer *writer)
{
	struct cbor_reader reader;
	struct cbor_item inner;

	cbor_put_head(writer, item->type, item->value);
	if (item->type == CBOR_BYTES || item->type == CBOR_TEXT) {
		require(item->value == item->content_size);
		cbor_put_raw(writer, item->content, item->content_size);
		return;
	}
	cbor_enter(item, &reader);
	while (cbor_read(&reader, &inner) == 0)
		write_again(&inner, writer);
	require(reader.left == 0);
}

static void check_cbor(const uint8_t *data, size_t size)
{
	uint8_t buf[MAX_INPUT];
	struct cbor_writer writer;
	struct cbor_item item;
	const char *why = NULL;

	if (cbor_decode(data, size, &item, &why)) {
		require(why && *why);
		return;
	}
	cbor_writer_init(&writer, buf, sizeof(buf));
	write_again(&item, &writer);
	require(!writer.full && writer.size == size && !memcmp(buf, data, size));
}

static void check_findings(const struct verify_result *result)
{
	bool failed = false;

	for (unsigned i = 0; i < VERIFY_NR_CHECKS; i++) {
		const char *c = result->findings[i].reason;

		require(*c != '\0');
		for (; *c; c++)
			require((unsigned char)*c >= 0x20 && *c != 0x7f);
		failed |= result->findings[i].outcome == VERIFY_FAILED;
	}
	require(result->accepted == !failed);
}

static void check_part(const struct cbor_item *part, const struct cose_key *key)
{
	struct cose_sign1 sign1;

	require(cose_sign1_parse(part->content, part->content_size, "", &sign1, NULL) == 0);
	require(cose_sign1_verify(&sign1, key, NULL) == 0);
}

/* Verified once more, by the shortest way, without the table of checks. */
static void check_accepted(const uint8_t *token, size_t size, const struct cose_key *platform_key,
			   const struct verify_policy *policy, const struct verify_result *result)
{
	const struct token_realm *realm = &result->realm;
	struct token_collection collection;
	uint8_t digest[HASH_MAX_SIZE];
	struct cose_key rak;

	require(result->has_platform && result->has_realm);
	require(token_read_collection(token, size, &collection, NULL) == 0);
	require(token_read_rak(realm, &rak, NULL) == 0);
	check_part(&collection.platform, platform_key);
	check_part(&collection.realm, &rak);
	require(hash_digest(realm->rak_hash_algo, realm->rak.content, realm->rak.content_size,
			    digest) == 0);
	require(result->platform.challenge.content_size == hash_size(realm->rak_hash_algo));
	require(!memcmp(result->platform.challenge.content, digest,
			result->platform.challenge.content_size));
	if (policy->challenge.size == 0)
		return;
	require(!memcmp(realm->challenge.content, policy->challenge.bytes, RSI_CHALLENGE_SIZE));
	require(realm->rim.content_size == policy->rim.size &&
		!memcmp(realm->rim.content, policy->rim.bytes, policy->rim.size));
}

static void try_token(const uint8_t *token, size_t size)
{
	struct verify_anchor anchor = {.any_platform = true, .key = secret.key};
	const struct verify_anchors anchors = {&anchor, 1};
	struct verify_policy policy = {.emulated = true};
	struct verify_result result;

	verify_token(token, size, &policy, &result);
	check_findings(&result);
	if (result.accepted)
		check_accepted(token, size, &token_emulated_platform_secret.key, &policy, &result);
	policy = (struct verify_policy){.anchors = &anchors,
					.allow_debug = true,
					.challenge = {.size = RSI_CHALLENGE_SIZE},
					.rim = {.size = 32}};
	memset(policy.challenge.bytes, 0x5c, RSI_CHALLENGE_SIZE);
	memset(policy.rim.bytes, 0x60, 32);
	verify_token(token, size, &policy, &result);
	check_findings(&result);
	if (result.accepted)
		check_accepted(token, size, &secret.key, &policy, &result);
}

static void put_part(struct cbor_writer *writer, enum token_label label, const uint8_t *payload,
		     size_t size)
{
	uint8_t buf[MAX_INPUT + 256];
	struct cbor_writer part;

	cbor_writer_init(&part, buf, sizeof(buf));
	require(cose_sign1_put(&part, &secret, payload, size, NULL) == 0 && !part.full);
	cbor_put_int(writer, label);
	cbor_put_bytes(writer, buf, part.size);
}

static void try_payloads(const uint8_t *data, size_t size)
{
	uint8_t token[2 * MAX_INPUT];
	struct cbor_writer writer;
	size_t first;

	if (size < 2)
		return;
	first = (size_t)data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	if (first > size)
		first = size;
	check_cbor(data, first);
	check_cbor(data + first, size - first);
	cbor_writer_init(&writer, token, sizeof(token));
	cbor_put_head(&writer, CBOR_TAG, TOKEN_TAG_COLLECTION);
	cbor_put_head(&writer, CBOR_MAP, 2);
	put_part(&writer, TOKEN_PLATFORM, data, first);
	put_part(&writer, TOKEN_REALM, data + first, size - first);
	require(!writer.full);
	try_token(token, writer.size);
}

static void try_anchors(const char *text, size_t size)
{
	struct verify_anchors anchors = {0};
	struct ccr_err err = {0};
	int ret = verify_anchors_load(text, size, &anchors, &err);

	require(err.code == ret && (ret == 0) == (anchors.nr > 0));
	verify_anchors_done(&anchors);
}

static void try_policy(const char *text, size_t size)
{
	struct verify_policy policy = {0};
	struct ccr_err err = {0};
	int ret = verify_policy_load(text, size, &policy, &err);

	require(err.code == ret && policy.nr_components <= VERIFY_MAX_COMPONENTS);
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++)
		require(policy.rems[i].size <= VERIFY_MAX_VALUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > MAX_INPUT)
		return 0;
	switch (data[0]) {
	case 0:
		check_cbor(data + 1, size - 1);
		try_token(data + 1, size - 1);
		break;
	case 1:
		try_payloads(data + 1, size - 1);
		break;
	case 2:
		try_anchors((const char *)data + 1, size - 1);
		break;
	case 3:
		try_policy((const char *)data + 1, size - 1);
		break;
	default:
		break;
	}
	return 0;
}

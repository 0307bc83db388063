/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/token.h"

#define EMULATED_NAME      "ccr-run emulated realm"
#define EMULATED_COMPONENT "ccr-run emulated RMM"
#define EMULATED_LIFECYCLE (TOKEN_LIFECYCLE_DEBUG_RECOVERABLE << 8)

#define PLATFORM_PROFILE "tag:arm.com,2023:cca_platform#1.0.0"
#define REALM_PROFILE    "tag:arm.com,2023:realm#1.0.0"

/* The RAK's hash has this algorithm in every RMM, whatever the realm's own is. */
#define RAK_HASH HASH_SHA256

/* Room for one token's payload; the longest, the realm's with SHA-512, takes half of it. */
#define MAX_PAYLOAD  1536
#define MAX_COSE_KEY 128

const uint8_t token_emulated_implementation_id[TOKEN_IMPLEMENTATION_ID_SIZE] = EMULATED_NAME;
const uint8_t token_emulated_instance_id[TOKEN_INSTANCE_ID_SIZE] = "\x01" EMULATED_NAME;

/*
 * NOT SECRETS. These two keys are published on purpose: whoever trusts them trusts everybody. They
 * are what makes a token of an emulated realm worth nothing but a test.
 */
const struct cose_secret token_emulated_platform_secret = {
	.key = {.curve = COSE_P384,
		.x = {0x9d, 0xd6, 0x6c, 0x4d, 0x80, 0x62, 0x21, 0x13, 0x5b, 0x92, 0x3b, 0xd2,
		      0x24, 0x5a, 0xd2, 0x42, 0xd3, 0xdc, 0x9a, 0xde, 0xcf, 0x9f, 0xe4, 0xce,
		      0x38, 0xd6, 0x93, 0x6a, 0x9c, 0xef, 0x07, 0x14, 0xf7, 0x2e, 0x84, 0x0c,
		      0xef, 0x56, 0x71, 0x44, 0x11, 0x57, 0x78, 0xd6, 0xf2, 0xa3, 0xb1, 0xb2},
		.y = {0xf3, 0xa6, 0x3c, 0x18, 0x48, 0x76, 0x59, 0xb5, 0xe5, 0x1d, 0xc7, 0xa6,
		      0x81, 0xed, 0x84, 0x45, 0x1e, 0xe5, 0x85, 0x3a, 0x42, 0xd0, 0x11, 0x1a,
		      0xfa, 0xa7, 0x4d, 0xee, 0x1d, 0x7f, 0xfc, 0x7c, 0xe9, 0x5b, 0xc8, 0xa9,
		      0x1b, 0xb3, 0x75, 0x77, 0x9a, 0x60, 0x77, 0x4a, 0xa1, 0xaf, 0x3c, 0xfc}},
	.scalar = {0x13, 0x99, 0xb4, 0xa6, 0xed, 0x60, 0xc7, 0xc3, 0x30, 0xda, 0x41, 0x95,
		   0x21, 0x37, 0x05, 0xbe, 0xf3, 0xa4, 0xce, 0xa3, 0x01, 0x0b, 0x90, 0x78,
		   0x63, 0x2d, 0x9b, 0x70, 0x99, 0xda, 0xac, 0x63, 0x56, 0x94, 0xd0, 0x3c,
		   0x39, 0xbb, 0x06, 0x25, 0x57, 0x01, 0xeb, 0xae, 0x7d, 0x1a, 0x2c, 0x16},
};

const struct cose_secret token_emulated_realm_secret = {
	.key = {.curve = COSE_P384,
		.x = {0x44, 0x40, 0x1e, 0x3e, 0x24, 0x9f, 0x58, 0x22, 0x21, 0x59, 0x1f, 0x80,
		      0x7c, 0x6a, 0x22, 0xef, 0x46, 0x35, 0x82, 0xe5, 0x07, 0x52, 0x38, 0x24,
		      0x58, 0x71, 0x59, 0x11, 0xf5, 0x8c, 0x07, 0x52, 0xd7, 0x6d, 0xa7, 0x13,
		      0x63, 0x1a, 0x90, 0xf0, 0x7e, 0x2b, 0x28, 0x34, 0x7c, 0xf3, 0x0b, 0x0f},
		.y = {0xb3, 0x43, 0x6c, 0xab, 0x1f, 0xc5, 0xd7, 0x34, 0x67, 0xc4, 0xa1, 0x37,
		      0x81, 0x2f, 0x35, 0x6c, 0x51, 0x78, 0xe7, 0x04, 0x30, 0xc3, 0x0b, 0x35,
		      0x1c, 0x0e, 0x81, 0xf9, 0x99, 0x43, 0x04, 0xd4, 0x09, 0x42, 0xef, 0x10,
		      0x9b, 0xcf, 0x4d, 0xf4, 0xbd, 0xca, 0x7e, 0xea, 0xef, 0x34, 0xb5, 0x83}},
	.scalar = {0x5e, 0xee, 0x94, 0x30, 0xef, 0x6d, 0x06, 0x55, 0x61, 0x83, 0x0f, 0x1a,
		   0x9a, 0xf3, 0xaf, 0x15, 0x3c, 0x84, 0x83, 0xee, 0xcc, 0x54, 0xac, 0xef,
		   0x97, 0xa1, 0x62, 0x57, 0xac, 0x40, 0x5c, 0xb7, 0x3b, 0xff, 0x32, 0x93,
		   0x05, 0xae, 0xa2, 0xf8, 0x11, 0x2a, 0x2f, 0x45, 0xc8, 0xbb, 0xb0, 0x46},
};

static size_t put_rak(uint8_t buf[MAX_COSE_KEY])
{
	struct cbor_writer writer;

	cbor_writer_init(&writer, buf, MAX_COSE_KEY);
	cose_key_put(&writer, &token_emulated_realm_secret.key);
	return writer.size;
}

/* The one component there is. Nobody measured it and nobody signed it: zeros say so. */
static void put_component(struct cbor_writer *writer)
{
	static const uint8_t nothing[32];

	cbor_put_head(writer, CBOR_MAP, 4);
	cbor_put_int(writer, TOKEN_COMPONENT_TYPE);
	cbor_put_text(writer, EMULATED_COMPONENT);
	cbor_put_int(writer, TOKEN_COMPONENT_SIGNER);
	cbor_put_bytes(writer, nothing, sizeof(nothing));
	cbor_put_int(writer, TOKEN_COMPONENT_MEASUREMENT);
	cbor_put_bytes(writer, nothing, sizeof(nothing));
	cbor_put_int(writer, TOKEN_COMPONENT_HASH_ALGO);
	cbor_put_text(writer, hash_name(HASH_SHA256));
}

static void put_platform(struct cbor_writer *writer, const uint8_t *binding, size_t binding_size)
{
	cbor_put_head(writer, CBOR_MAP, 8);
	cbor_put_int(writer, TOKEN_PROFILE);
	cbor_put_text(writer, PLATFORM_PROFILE);
	cbor_put_int(writer, TOKEN_CHALLENGE);
	cbor_put_bytes(writer, binding, binding_size);
	cbor_put_int(writer, TOKEN_IMPLEMENTATION_ID);
	cbor_put_bytes(writer, token_emulated_implementation_id, TOKEN_IMPLEMENTATION_ID_SIZE);
	cbor_put_int(writer, TOKEN_INSTANCE_ID);
	cbor_put_bytes(writer, token_emulated_instance_id, TOKEN_INSTANCE_ID_SIZE);
	cbor_put_int(writer, TOKEN_CONFIG);
	cbor_put_bytes(writer, EMULATED_NAME, strlen(EMULATED_NAME));
	cbor_put_int(writer, TOKEN_LIFECYCLE);
	cbor_put_int(writer, EMULATED_LIFECYCLE);
	cbor_put_int(writer, TOKEN_HASH_ALGO);
	cbor_put_text(writer, hash_name(HASH_SHA256));
	cbor_put_int(writer, TOKEN_COMPONENTS);
	cbor_put_head(writer, CBOR_ARRAY, 1);
	put_component(writer);
}

/* Claims in TF-RMM's order. */
static void put_realm(struct cbor_writer *writer, const struct token_claims *claims,
		      const uint8_t *rak, size_t rak_size)
{
	const size_t size = hash_size(claims->hash_algo);

	cbor_put_head(writer, CBOR_MAP, 8);
	cbor_put_int(writer, TOKEN_CHALLENGE);
	cbor_put_bytes(writer, claims->challenge, sizeof(claims->challenge));
	cbor_put_int(writer, TOKEN_RPV);
	cbor_put_bytes(writer, claims->rpv, sizeof(claims->rpv));
	cbor_put_int(writer, TOKEN_RAK);
	cbor_put_bytes(writer, rak, rak_size);
	cbor_put_int(writer, TOKEN_REALM_HASH_ALGO);
	cbor_put_text(writer, hash_name(claims->hash_algo));
	cbor_put_int(writer, TOKEN_RAK_HASH_ALGO);
	cbor_put_text(writer, hash_name(RAK_HASH));
	cbor_put_int(writer, TOKEN_PROFILE);
	cbor_put_text(writer, REALM_PROFILE);
	cbor_put_int(writer, TOKEN_RIM);
	cbor_put_bytes(writer, claims->measurements[0], size);
	cbor_put_int(writer, TOKEN_REMS);
	cbor_put_head(writer, CBOR_ARRAY, TOKEN_NR_REMS);
	for (unsigned i = 0; i < TOKEN_NR_REMS; i++)
		cbor_put_bytes(writer, claims->measurements[1 + i], size);
}

/* A member of the collection: its label and, as a byte string, the payload signed. */
static int put_member(struct cbor_writer *writer, enum token_label label,
		      const struct cose_secret *secret, const struct cbor_writer *payload,
		      struct ccr_err *err)
{
	uint8_t buf[MAX_PAYLOAD + 256];
	struct cbor_writer member;
	int ret;

	cbor_writer_init(&member, buf, sizeof(buf));
	ret = cose_sign1_put(&member, secret, payload->buf, payload->size, err);
	if (ret)
		return ret;
	cbor_put_int(writer, label);
	cbor_put_bytes(writer, buf, member.size);
	writer->full |= member.full || payload->full;
	return 0;
}

int token_emulated(const struct token_claims *claims, uint8_t token[RSI_MAX_TOKEN_SIZE],
		   size_t *ret_size, struct ccr_err *err)
{
	uint8_t rak[MAX_COSE_KEY], binding[HASH_MAX_SIZE];
	uint8_t platform_buf[MAX_PAYLOAD], realm_buf[MAX_PAYLOAD];
	struct cbor_writer writer, platform, realm;
	const size_t rak_size = put_rak(rak);
	int ret;

	if (hash_size(claims->hash_algo) == 0)
		return err_set(err, -EINVAL, "token: %d is no hash algorithm", claims->hash_algo);
	ret = hash_digest(RAK_HASH, rak, rak_size, binding);
	if (ret)
		return err_set(err, ret, "token: libcrypto failed while hashing");
	cbor_writer_init(&platform, platform_buf, sizeof(platform_buf));
	put_platform(&platform, binding, hash_size(RAK_HASH));
	cbor_writer_init(&realm, realm_buf, sizeof(realm_buf));
	put_realm(&realm, claims, rak, rak_size);
	cbor_writer_init(&writer, token, RSI_MAX_TOKEN_SIZE);
	cbor_put_head(&writer, CBOR_TAG, TOKEN_TAG_COLLECTION);
	cbor_put_head(&writer, CBOR_MAP, 2);
	ret = put_member(&writer, TOKEN_PLATFORM, &token_emulated_platform_secret, &platform, err);
	if (!ret)
		ret = put_member(&writer, TOKEN_REALM, &token_emulated_realm_secret, &realm, err);
	if (!ret && writer.full)
		ret = err_set(err, -ENOSPC, "token: does not fit a granule; this is a bug");
	if (!ret)
		*ret_size = writer.size;
	return ret;
}

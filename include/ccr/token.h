/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CCA attestation tokens (RMM specification 1.0-rel0, A7.2): a collection of two signed tokens.
 * The platform token says which machine and firmware this is; its challenge is the hash of a key,
 * the realm attestation key (RAK), with which the realm token is signed. That one says what the
 * realm is.
 *
 * Here is what tokens consist of, how to read one, and how the emulated realm makes its own.
 */
#ifndef CCR_TOKEN_H
#define CCR_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/cbor.h"
#include "ccr/cose.h"
#include "ccr/err.h"
#include "ccr/hash.h"
#include "ccr/rsi.h"

/* Tags of the collection: of RMM 1.0, and of TF-RMM v0.9 and later, which wraps each member. */
#define TOKEN_TAG_COLLECTION         399
#define TOKEN_TAG_WRAPPED_COLLECTION 907
/** TOKEN_CONTENT_FORMAT - first entry of a wrapped member: CoAP's number for an EAT */
#define TOKEN_CONTENT_FORMAT 263

/** enum token_label - keys of the collection and of the claims in both tokens */
enum token_label {
	/* collection */
	TOKEN_PLATFORM = 44234,
	TOKEN_REALM = 44241,
	/* both */
	TOKEN_CHALLENGE = 10,
	TOKEN_INSTANCE_ID = 256,
	TOKEN_PROFILE = 265,
	/* platform */
	TOKEN_LIFECYCLE = 2395,
	TOKEN_IMPLEMENTATION_ID = 2396,
	TOKEN_COMPONENTS = 2399,
	TOKEN_VERIFICATION_SERVICE = 2400,
	TOKEN_CONFIG = 2401,
	TOKEN_HASH_ALGO = 2402,
	/* one software component */
	TOKEN_COMPONENT_TYPE = 1,
	TOKEN_COMPONENT_MEASUREMENT = 2,
	TOKEN_COMPONENT_VERSION = 4,
	TOKEN_COMPONENT_SIGNER = 5,
	TOKEN_COMPONENT_HASH_ALGO = 6,
	/* realm */
	TOKEN_RPV = 44235,
	TOKEN_REALM_HASH_ALGO = 44236,
	TOKEN_RAK = 44237,
	TOKEN_RIM = 44238,
	TOKEN_REMS = 44239,
	TOKEN_RAK_HASH_ALGO = 44240,
	TOKEN_MEC_POLICY = 44243,
};

#define TOKEN_IMPLEMENTATION_ID_SIZE 32
#define TOKEN_INSTANCE_ID_SIZE       33
/** TOKEN_INSTANCE_ID_TYPE - first byte of every instance id: a random identifier (RFC 9711) */
#define TOKEN_INSTANCE_ID_TYPE 0x01
#define TOKEN_NR_REMS          4

/** enum token_profile - generations of the claims, of either token */
enum token_profile {
	TOKEN_PROFILE_LEGACY, /* platform: http://arm.com/CCA-SSD/1.0.0; realm: no profile claim */
	TOKEN_PROFILE_2023,
	TOKEN_PROFILE_2024,
};

/* Lifecycle states: ranges of 256 values, of which only the high byte says something. */
#define TOKEN_LIFECYCLE_SECURED           0x30
#define TOKEN_LIFECYCLE_DEBUG             0x40
#define TOKEN_LIFECYCLE_DEBUG_RECOVERABLE 0x50

/** struct token_collection - the two signed tokens, as they came; borrowed */
struct token_collection {
	uint64_t tag;
	struct cbor_item platform;
	struct cbor_item realm;
};

/**
 * token_read_collection() - take a CCA token apart
 * @data: @size hostile bytes; they stay borrowed
 *
 * Either tag is accepted. There must be exactly the two members.
 *
 * Return: 0; -EINVAL with @err set.
 */
int token_read_collection(const uint8_t *data, size_t size, struct token_collection *ret_collection,
			  struct ccr_err *err);

/**
 * struct token_platform - the claims of a platform token; strings are borrowed
 * @hash_algo: of what the components do not give one for
 * @components: array of maps, each as token_read_component() takes it
 */
struct token_platform {
	enum token_profile profile;
	struct cbor_item challenge;
	struct cbor_item implementation_id;
	struct cbor_item instance_id;
	struct cbor_item config;
	unsigned lifecycle;
	enum hash_algo hash_algo;
	struct cbor_item components;
};

/**
 * struct token_component - one software component; strings are borrowed
 * @type, @version: text; empty if the claim is not there
 */
struct token_component {
	struct cbor_item type;
	struct cbor_item version;
	struct cbor_item measurement;
	struct cbor_item signer;
};

/**
 * struct token_realm - the claims of a realm token; strings are borrowed
 * @rak: content of the claim, in the profile's encoding
 * @rak_hash_algo: which hash of @rak the platform token's challenge is
 */
struct token_realm {
	enum token_profile profile;
	struct cbor_item challenge;
	struct cbor_item rpv;
	enum hash_algo hash_algo;
	struct cbor_item rak;
	enum hash_algo rak_hash_algo;
	struct cbor_item rim;
	struct cbor_item rems[TOKEN_NR_REMS];
};

/**
 * token_read_platform() - the claims in a platform token's payload
 *
 * All claims that the profile wants must be there, with the right types and lengths, each
 * component too. Claims that are not known are ignored.
 *
 * Return: 0; -EINVAL with @err set.
 */
int token_read_platform(const uint8_t *data, size_t size, struct token_platform *ret_platform,
			struct ccr_err *err);

/**
 * token_read_realm() - the claims in a realm token's payload
 *
 * As token_read_platform(). Measurements have the length of the realm's hash algorithm.
 */
int token_read_realm(const uint8_t *data, size_t size, struct token_realm *ret_realm,
		     struct ccr_err *err);

/**
 * token_read_component() - one software component
 * @default_algo: decides the length of the measurement if the component names no algorithm
 *
 * Return: 0; -EINVAL with @err set.
 */
int token_read_component(const struct cbor_item *map, enum hash_algo default_algo,
			 struct token_component *ret_component, struct ccr_err *err);

/**
 * token_read_rak() - the realm attestation key: a bare point before there was a realm profile, a
 * COSE_Key since then
 *
 * Return: 0; -EINVAL, or what libcrypto failed with, with @err set.
 */
int token_read_rak(const struct token_realm *realm, struct cose_key *ret_key, struct ccr_err *err);

/**
 * struct token_claims - what the realm token of an emulated realm says
 * @measurements: RIM, then the REMs, as struct rsi has them
 */
struct token_claims {
	uint8_t challenge[RSI_CHALLENGE_SIZE];
	uint8_t rpv[PLAN_RPV_SIZE];
	enum hash_algo hash_algo;
	uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];
};

/**
 * token_emulated() - the token of an emulated realm
 * @token: RSI_MAX_TOKEN_SIZE bytes
 *
 * The layout is that of TF-RMM v0.6: tag 399, the profiles of 2023, ES384 throughout. The platform
 * is one that does not exist: its ids say "ccr-run emulated realm", its lifecycle state is debug,
 * its one software component is named as emulated and has no measurement, and its keys are in
 * this program's source code. But for the two signatures, the same claims give the same bytes.
 *
 * Return: 0 and *@ret_size; -ENOMEM or -EIO with @err set if libcrypto fails; -EINVAL for a hash
 * algorithm that is none.
 */
int token_emulated(const struct token_claims *claims, uint8_t token[RSI_MAX_TOKEN_SIZE],
		   size_t *ret_size, struct ccr_err *err);

/** token_emulated_implementation_id - "ccr-run emulated realm", zero-padded */
extern const uint8_t token_emulated_implementation_id[TOKEN_IMPLEMENTATION_ID_SIZE];
/** token_emulated_instance_id - the same behind TOKEN_INSTANCE_ID_TYPE */
extern const uint8_t token_emulated_instance_id[TOKEN_INSTANCE_ID_SIZE];

/** token_emulated_platform_secret - signs platform tokens of emulated realms; NOT A SECRET */
extern const struct cose_secret token_emulated_platform_secret;
/** token_emulated_realm_secret - signs their realm tokens; NOT A SECRET */
extern const struct cose_secret token_emulated_realm_secret;

#endif

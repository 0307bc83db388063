/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of COSE (RFC 9052, 9053) that attestation tokens use: COSE_Sign1 with ECDSA, and the
 * public keys that go with it. Each algorithm has one curve: ES256 P-256, ES384 P-384, ES512
 * P-521. Libcrypto does the arithmetic.
 */
#ifndef CCR_COSE_H
#define CCR_COSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/cbor.h"
#include "ccr/err.h"

/** enum cose_alg - values are the registered ones */
enum cose_alg { COSE_ES256 = -7, COSE_ES384 = -35, COSE_ES512 = -36 };

/** enum cose_curve - values are the registered ones */
enum cose_curve { COSE_P256 = 1, COSE_P384 = 2, COSE_P521 = 3 };

/** COSE_MAX_COORDINATE - bytes of a coordinate of the largest curve */
#define COSE_MAX_COORDINATE 66
/** COSE_MAX_POINT - bytes of its uncompressed points */
#define COSE_MAX_POINT (1 + 2 * COSE_MAX_COORDINATE)

/**
 * struct cose_key - a public key: a point that is on its curve
 * @x, @y: big endian, cose_coordinate_size() bytes; zeros behind them
 */
struct cose_key {
	enum cose_curve curve;
	uint8_t x[COSE_MAX_COORDINATE];
	uint8_t y[COSE_MAX_COORDINATE];
};

/** struct cose_secret - a key pair; @scalar as the coordinates of @key */
struct cose_secret {
	struct cose_key key;
	uint8_t scalar[COSE_MAX_COORDINATE];
};

/** cose_coordinate_size() - 32, 48 or 66 bytes; 0 for what is no curve */
size_t cose_coordinate_size(enum cose_curve curve);

/** cose_curve_name() - "P-256" and so on; NULL for what is no curve */
const char *cose_curve_name(enum cose_curve curve);

/**
 * cose_curve_from_name() - the inverse
 *
 * Return: 0 or -EINVAL.
 */
int cose_curve_from_name(const char *name, enum cose_curve *ret_curve);

/** cose_alg_name() - "ES256" and so on; NULL for what is no algorithm */
const char *cose_alg_name(enum cose_alg alg);

/**
 * cose_key_set() - a key from its coordinates
 * @x, @y: cose_coordinate_size(@curve) bytes each
 *
 * Return: 0; -EINVAL with @err set if the point is not on the curve, -ENOMEM or -EIO if libcrypto
 * fails.
 */
int cose_key_set(struct cose_key *ret_key, enum cose_curve curve, const uint8_t *x,
		 const uint8_t *y, struct ccr_err *err);

/**
 * cose_key_from_point() - a key from an uncompressed SEC 1 point: 0x04, X, Y
 * @size: decides the curve: 65, 97 or 133
 *
 * Return: as cose_key_set(); -EINVAL also for what is no such point.
 */
int cose_key_from_point(const uint8_t *point, size_t size, struct cose_key *ret_key,
			struct ccr_err *err);

/**
 * cose_key_from_cbor() - a key from an encoded COSE_Key (RFC 9052, section 7)
 * @data: kty EC2, with crv, x and y; alg must be the curve's, key_ops must include verify if they
 *	are there; a private part is refused; other labels are ignored
 *
 * Return: as cose_key_set(); -EINVAL also for what is no such key.
 */
int cose_key_from_cbor(const uint8_t *data, size_t size, struct cose_key *ret_key,
		       struct ccr_err *err);

/**
 * cose_key_from_pem() - a key from one PEM block "PUBLIC KEY"
 * @text: @size bytes, of which nothing but white space follows the block
 *
 * Return: as cose_key_set(); -EINVAL also for what is no such key.
 */
int cose_key_from_pem(const char *text, size_t size, struct cose_key *ret_key, struct ccr_err *err);

/** cose_key_put() - write a COSE_Key of kty, crv, x and y, in this order, as TF-RMM does */
void cose_key_put(struct cbor_writer *writer, const struct cose_key *key);

/** cose_key_equal() - whether two keys are the same */
bool cose_key_equal(const struct cose_key *a, const struct cose_key *b);

/**
 * struct cose_sign1 - a signed message, not verified yet; contents are borrowed
 * @protected_header, @payload, @signature: byte strings
 */
struct cose_sign1 {
	enum cose_alg alg;
	struct cbor_item protected_header;
	struct cbor_item payload;
	struct cbor_item signature;
};

/**
 * cose_sign1_parse() - a COSE_Sign1 message with its tag, 18
 * @what: names the message in @err
 *
 * The algorithm must be one of enum cose_alg, in the protected header and nowhere else; a `crit`
 * header is refused, because none is understood; the payload must be inside and not empty; the
 * signature must have the algorithm's length.
 *
 * Return: 0; -EINVAL with @err set.
 */
int cose_sign1_parse(const uint8_t *data, size_t size, const char *what,
		     struct cose_sign1 *ret_sign1, struct ccr_err *err);

/**
 * cose_sign1_verify() - check the signature, with no external data
 *
 * Return: 0 if it is @key's; -EBADMSG with @err set if not, or if @key is on another curve than the
 * algorithm's; -ENOMEM or -EIO with @err set if libcrypto fails.
 */
int cose_sign1_verify(const struct cose_sign1 *sign1, const struct cose_key *key,
		      struct ccr_err *err);

/**
 * cose_sign1_put() - sign @payload with the algorithm of the key's curve and write the message
 * @writer: check its @full afterwards
 *
 * Two calls give two signatures: ECDSA takes a fresh random number for each.
 *
 * Return: 0; -ENOMEM or -EIO with @err set if libcrypto fails.
 */
int cose_sign1_put(struct cbor_writer *writer, const struct cose_secret *secret,
		   const void *payload, size_t size, struct ccr_err *err);

#endif

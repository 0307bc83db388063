/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "ccr/cose.h"

/* Header labels (RFC 9052, table 3). */
#define HEADER_ALG  1
#define HEADER_CRIT 2

/* COSE_Key labels and values (RFC 9052, table 4 and 5; RFC 9053, table 19). */
#define KEY_KTY    1
#define KEY_ALG    3
#define KEY_OPS    4
#define KEY_CRV    (-1)
#define KEY_X      (-2)
#define KEY_Y      (-3)
#define KEY_D      (-4)
#define KTY_EC2    2
#define OPS_VERIFY 2

#define TAG_SIGN1     18
#define SIGN1_CONTEXT "Signature1"

#define MAX_SIGNATURE (2 * COSE_MAX_COORDINATE)
#define MAX_DER       (MAX_SIGNATURE + 16) /* two INTEGERs, each perhaps with a leading zero */

static const struct scheme {
	enum cose_curve curve;
	enum cose_alg alg;
	const char *curve_name; /* libcrypto knows the curves by these names too */
	const char *alg_name;
	const char *digest;
	size_t coordinate_size;
} schemes[] = {
	{COSE_P256, COSE_ES256, "P-256", "ES256", "SHA256", 32},
	{COSE_P384, COSE_ES384, "P-384", "ES384", "SHA384", 48},
	{COSE_P521, COSE_ES512, "P-521", "ES512", "SHA512", 66},
};

#define NR_SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static const struct scheme *scheme_of_curve(int64_t curve)
{
	for (size_t i = 0; i < NR_SCHEMES; i++) {
		if ((int64_t)schemes[i].curve == curve)
			return &schemes[i];
	}
	return NULL;
}

static const struct scheme *scheme_of_alg(int64_t alg)
{
	for (size_t i = 0; i < NR_SCHEMES; i++) {
		if ((int64_t)schemes[i].alg == alg)
			return &schemes[i];
	}
	return NULL;
}

size_t cose_coordinate_size(enum cose_curve curve)
{
	const struct scheme *scheme = scheme_of_curve(curve);

	return scheme ? scheme->coordinate_size : 0;
}

const char *cose_curve_name(enum cose_curve curve)
{
	const struct scheme *scheme = scheme_of_curve(curve);

	return scheme ? scheme->curve_name : NULL;
}

int cose_curve_from_name(const char *name, enum cose_curve *ret_curve)
{
	for (size_t i = 0; i < NR_SCHEMES; i++) {
		if (!strcmp(name, schemes[i].curve_name)) {
			*ret_curve = schemes[i].curve;
			return 0;
		}
	}
	return -EINVAL;
}

const char *cose_alg_name(enum cose_alg alg)
{
	const struct scheme *scheme = scheme_of_alg(alg);

	return scheme ? scheme->alg_name : NULL;
}

static int library_failed(const char *doing, struct ccr_err *err)
{
	return err_set(err, -EIO, "libcrypto failed while %s", doing);
}

static size_t make_point(const struct cose_key *key, uint8_t point[COSE_MAX_POINT])
{
	const size_t size = cose_coordinate_size(key->curve);

	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	memcpy(point + 1, key->x, size);
	memcpy(point + 1 + size, key->y, size);
	return 1 + 2 * size;
}

/*
 * libcrypto's form of @key; with @scalar (libcrypto's byte order), of the pair. NULL if the point
 * is not on the curve, or if memory is short.
 */
static EVP_PKEY *make_pkey(const struct cose_key *key, uint8_t *scalar)
{
	const struct scheme *scheme = scheme_of_curve(key->curve);
	const int selection = scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
	uint8_t point[COSE_MAX_POINT];
	size_t point_size = make_point(key, point);
	char name[8];
	OSSL_PARAM params[4], *param = params;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;

	memcpy(name, scheme->curve_name, strlen(scheme->curve_name) + 1);
	*param++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
	*param++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, point_size);
	if (scalar)
		*param++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar,
						   scheme->coordinate_size);
	*param = OSSL_PARAM_construct_end();
	if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &pkey, selection, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

int cose_key_set(struct cose_key *ret_key, enum cose_curve curve, const uint8_t *x,
		 const uint8_t *y, struct ccr_err *err)
{
	const size_t size = cose_coordinate_size(curve);
	struct cose_key key = {.curve = curve};
	EVP_PKEY *pkey;

	if (size == 0)
		return err_set(err, -EINVAL, "key: unknown curve");
	memcpy(key.x, x, size);
	memcpy(key.y, y, size);
	pkey = make_pkey(&key, NULL);
	if (!pkey)
		return err_set(err, -EINVAL, "key: not a point of %s", cose_curve_name(curve));
	EVP_PKEY_free(pkey);
	*ret_key = key;
	return 0;
}

int cose_key_from_point(const uint8_t *point, size_t size, struct cose_key *ret_key,
			struct ccr_err *err)
{
	for (size_t i = 0; i < NR_SCHEMES; i++) {
		const size_t half = schemes[i].coordinate_size;

		if (size == 1 + 2 * half && point[0] == POINT_CONVERSION_UNCOMPRESSED)
			return cose_key_set(ret_key, schemes[i].curve, point + 1, point + 1 + half,
					    err);
	}
	return err_set(err, -EINVAL, "key: its %zu bytes are no uncompressed point", size);
}

/* A COSE_Key that says what it is for says that it is for this. */
static int check_key_use(const struct cbor_item *map, const struct scheme *scheme,
			 struct ccr_err *err)
{
	struct cbor_item item, op;
	struct cbor_reader reader;

	if (cbor_find(map, KEY_D, &item) == 0)
		return err_set(err, -EINVAL, "COSE_Key has a private part");
	if (cbor_find(map, KEY_ALG, &item) == 0 && !cbor_is_number(&item, scheme->alg))
		return err_set(err, -EINVAL,
			       "COSE_Key: its algorithm is not %s, which %s goes with",
			       scheme->alg_name, scheme->curve_name);
	if (cbor_find(map, KEY_OPS, &item))
		return 0;
	if (item.type != CBOR_ARRAY)
		return err_set(err, -EINVAL, "COSE_Key: key_ops is not an array");
	cbor_enter(&item, &reader);
	while (cbor_read(&reader, &op) == 0) {
		if (cbor_is_number(&op, OPS_VERIFY))
			return 0;
	}
	return err_set(err, -EINVAL, "COSE_Key is not for verifying");
}

static int find_coordinate(const struct cbor_item *map, int64_t label, const struct scheme *scheme,
			   struct cbor_item *ret_item, struct ccr_err *err)
{
	if (cbor_find(map, label, ret_item) || ret_item->type != CBOR_BYTES ||
	    ret_item->content_size != scheme->coordinate_size)
		return err_set(err, -EINVAL, "COSE_Key: %s is not a byte string of %zu bytes",
			       label == KEY_X ? "x" : "y", scheme->coordinate_size);
	return 0;
}

int cose_key_from_cbor(const uint8_t *data, size_t size, struct cose_key *ret_key,
		       struct ccr_err *err)
{
	struct cbor_item map, item, x, y;
	const struct scheme *scheme;
	const char *why;
	int64_t curve;

	if (cbor_decode(data, size, &map, &why))
		return err_set(err, -EINVAL, "COSE_Key %s", why);
	if (map.type != CBOR_MAP)
		return err_set(err, -EINVAL, "COSE_Key is not a map");
	if (cbor_find(&map, KEY_KTY, &item) || !cbor_is_number(&item, KTY_EC2))
		return err_set(err, -EINVAL, "COSE_Key: its type is not EC2");
	if (cbor_find(&map, KEY_CRV, &item) || cbor_int(&item, &curve) ||
	    !(scheme = scheme_of_curve(curve)))
		return err_set(err, -EINVAL, "COSE_Key: its curve is not P-256, P-384 or P-521");
	if (check_key_use(&map, scheme, err) || find_coordinate(&map, KEY_X, scheme, &x, err) ||
	    find_coordinate(&map, KEY_Y, scheme, &y, err))
		return -EINVAL;
	return cose_key_set(ret_key, scheme->curve, x.content, y.content, err);
}

static bool is_blank(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return false;
	}
	return true;
}

static int key_from_pkey(const EVP_PKEY *pkey, struct cose_key *ret_key, struct ccr_err *err)
{
	uint8_t point[COSE_MAX_POINT];
	size_t size = 0;

	if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
					    &size) != 1)
		return err_set(err, -EINVAL, "key: not one of P-256, P-384 or P-521");
	/* Other curves have points of these sizes too, but not the same points. */
	return cose_key_from_point(point, size, ret_key, err);
}

int cose_key_from_pem(const char *text, size_t size, struct cose_key *ret_key, struct ccr_err *err)
{
	char no_passphrase[] = ""; /* else one would be asked for, on the terminal */
	BIO *bio = size <= INT_MAX ? BIO_new_mem_buf(text, (int)size) : NULL;
	EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, no_passphrase) : NULL;
	char *rest;
	long left = bio ? BIO_get_mem_data(bio, &rest) : 0;
	int ret;

	if (!pkey)
		ret = err_set(err, -EINVAL, "key: not a PEM block \"PUBLIC KEY\"");
	else if (left > 0 && !is_blank(rest, (size_t)left))
		ret = err_set(err, -EINVAL, "key: has text behind its PEM block");
	else
		ret = key_from_pkey(pkey, ret_key, err);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return ret;
}

void cose_key_put(struct cbor_writer *writer, const struct cose_key *key)
{
	const size_t size = cose_coordinate_size(key->curve);

	cbor_put_head(writer, CBOR_MAP, 4);
	cbor_put_int(writer, KEY_KTY);
	cbor_put_int(writer, KTY_EC2);
	cbor_put_int(writer, KEY_CRV);
	cbor_put_int(writer, key->curve);
	cbor_put_int(writer, KEY_X);
	cbor_put_bytes(writer, key->x, size);
	cbor_put_int(writer, KEY_Y);
	cbor_put_bytes(writer, key->y, size);
}

bool cose_key_equal(const struct cose_key *a, const struct cose_key *b)
{
	return a->curve == b->curve && !memcmp(a->x, b->x, sizeof(a->x)) &&
	       !memcmp(a->y, b->y, sizeof(a->y));
}

static int parse_protected(const struct cbor_item *header, const char *what,
			   struct cbor_item *ret_map, struct ccr_err *err)
{
	const char *why;

	if (cbor_decode(header->content, header->content_size, ret_map, &why))
		return err_set(err, -EINVAL, "%s: its protected header %s", what, why);
	if (ret_map->type != CBOR_MAP)
		return err_set(err, -EINVAL, "%s: its protected header is not a map", what);
	return 0;
}

static int check_headers(const struct cbor_item *protected_map, const struct cbor_item *unprotected,
			 const char *what, enum cose_alg *ret_alg, struct ccr_err *err)
{
	const struct scheme *scheme;
	struct cbor_item item;
	int64_t alg;

	if (cbor_find(unprotected, HEADER_ALG, &item) == 0)
		return err_set(err, -EINVAL, "%s names an algorithm that is not signed", what);
	if (cbor_find(protected_map, HEADER_CRIT, &item) == 0 ||
	    cbor_find(unprotected, HEADER_CRIT, &item) == 0)
		return err_set(err, -EINVAL, "%s has critical headers, and none is understood",
			       what);
	if (cbor_find(protected_map, HEADER_ALG, &item))
		return err_set(err, -EINVAL, "%s: its protected header names no algorithm", what);
	if (cbor_int(&item, &alg) || !(scheme = scheme_of_alg(alg)))
		return err_set(err, -EINVAL, "%s: its algorithm is not ES256, ES384 or ES512",
			       what);
	*ret_alg = scheme->alg;
	return 0;
}

int cose_sign1_parse(const uint8_t *data, size_t size, const char *what,
		     struct cose_sign1 *ret_sign1, struct ccr_err *err)
{
	struct cbor_item tag, array, unprotected, protected_map;
	struct cose_sign1 sign1 = {0};
	struct cbor_reader reader;
	const char *why;

	if (cbor_decode(data, size, &tag, &why))
		return err_set(err, -EINVAL, "%s %s", what, why);
	if (tag.type != CBOR_TAG || tag.value != TAG_SIGN1)
		return err_set(err, -EINVAL, "%s is not tagged as COSE_Sign1 (18)", what);
	cbor_enter(&tag, &reader);
	if (cbor_read(&reader, &array) || array.type != CBOR_ARRAY || array.value != 4)
		return err_set(err, -EINVAL, "%s is not an array of 4", what);
	cbor_enter(&array, &reader);
	if (cbor_read(&reader, &sign1.protected_header) || cbor_read(&reader, &unprotected) ||
	    cbor_read(&reader, &sign1.payload) || cbor_read(&reader, &sign1.signature))
		return err_set(err, -EINVAL, "%s is cut short", what);
	if (sign1.protected_header.type != CBOR_BYTES || unprotected.type != CBOR_MAP ||
	    sign1.payload.type != CBOR_BYTES || sign1.signature.type != CBOR_BYTES)
		return err_set(err, -EINVAL, "%s is not a byte string, a map and two byte strings",
			       what);
	if (parse_protected(&sign1.protected_header, what, &protected_map, err) ||
	    check_headers(&protected_map, &unprotected, what, &sign1.alg, err))
		return -EINVAL;
	if (sign1.payload.content_size == 0)
		return err_set(err, -EINVAL, "%s has no payload", what);
	if (sign1.signature.content_size != 2 * scheme_of_alg(sign1.alg)->coordinate_size)
		return err_set(err, -EINVAL, "%s: its signature has %zu bytes, not %s's %zu", what,
			       sign1.signature.content_size, cose_alg_name(sign1.alg),
			       2 * scheme_of_alg(sign1.alg)->coordinate_size);
	*ret_sign1 = sign1;
	return 0;
}

/* What is signed but for the payload itself, Sig_structure of RFC 9052, section 4.4, in pieces. */
struct sig_head {
	uint8_t before[32]; /* up to the protected header */
	size_t before_size;
	uint8_t behind[16]; /* from there to the payload */
	size_t behind_size;
};

static void make_sig_head(struct sig_head *head, size_t protected_size, size_t payload_size)
{
	struct cbor_writer writer;

	cbor_writer_init(&writer, head->before, sizeof(head->before));
	cbor_put_head(&writer, CBOR_ARRAY, 4);
	cbor_put_text(&writer, SIGN1_CONTEXT);
	cbor_put_head(&writer, CBOR_BYTES, protected_size);
	head->before_size = writer.size;
	cbor_writer_init(&writer, head->behind, sizeof(head->behind));
	cbor_put_bytes(&writer, NULL, 0); /* external data */
	cbor_put_head(&writer, CBOR_BYTES, payload_size);
	head->behind_size = writer.size;
}

/* libcrypto signs and verifies DER; COSE has the two numbers at their full length. */
static int signature_to_der(const uint8_t *raw, size_t half, uint8_t der[MAX_DER])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, (int)half, NULL);
	BIGNUM *s = BN_bin2bn(raw + half, (int)half, NULL);
	int size = 0;

	if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
		BN_free(r);
		BN_free(s);
	} else if (i2d_ECDSA_SIG(sig, NULL) <= MAX_DER) {
		size = i2d_ECDSA_SIG(sig, &der);
	}
	ECDSA_SIG_free(sig);
	return size > 0 ? size : -ENOMEM;
}

static int signature_from_der(const uint8_t *der, size_t size, size_t half, uint8_t *raw)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)size);
	bool ok;

	ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)half) > 0 &&
	     BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int)half) > 0;
	ECDSA_SIG_free(sig);
	return ok ? 0 : -EIO;
}

/* Return: 1 if the signature is the key's, 0 if not, negative if libcrypto failed. */
static int verify_der(EVP_MD_CTX *ctx, EVP_PKEY *pkey, const struct scheme *scheme,
		      const struct cose_sign1 *sign1, const uint8_t *der, size_t der_size)
{
	const struct cbor_item *header = &sign1->protected_header, *payload = &sign1->payload;
	struct sig_head head;

	make_sig_head(&head, header->content_size, payload->content_size);
	if (EVP_DigestVerifyInit_ex(ctx, NULL, scheme->digest, NULL, NULL, pkey, NULL) != 1 ||
	    EVP_DigestVerifyUpdate(ctx, head.before, head.before_size) != 1 ||
	    EVP_DigestVerifyUpdate(ctx, header->content, header->content_size) != 1 ||
	    EVP_DigestVerifyUpdate(ctx, head.behind, head.behind_size) != 1 ||
	    EVP_DigestVerifyUpdate(ctx, payload->content, payload->content_size) != 1)
		return -1;
	/* A negative result here is a signature that is not even a pair of numbers in range. */
	return EVP_DigestVerifyFinal(ctx, der, der_size) == 1;
}

int cose_sign1_verify(const struct cose_sign1 *sign1, const struct cose_key *key,
		      struct ccr_err *err)
{
	const struct scheme *scheme = scheme_of_alg(sign1->alg);
	uint8_t der[MAX_DER];
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx;
	int der_size, verdict = -1;

	if (scheme->curve != key->curve)
		return err_set(err, -EBADMSG, "signed with %s, but the key is of %s",
			       scheme->alg_name, cose_curve_name(key->curve));
	der_size = signature_to_der(sign1->signature.content, scheme->coordinate_size, der);
	pkey = make_pkey(key, NULL);
	ctx = EVP_MD_CTX_new();
	if (der_size > 0 && pkey && ctx)
		verdict = verify_der(ctx, pkey, scheme, sign1, der, (size_t)der_size);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	if (verdict < 0)
		return library_failed("verifying a signature", err);
	if (verdict == 0)
		return err_set(err, -EBADMSG, "the %s signature is not the key's",
			       scheme->alg_name);
	return 0;
}

static int sign_raw(EVP_MD_CTX *ctx, EVP_PKEY *pkey, const struct scheme *scheme,
		    const uint8_t *header, size_t header_size, const void *payload, size_t size,
		    uint8_t raw[MAX_SIGNATURE])
{
	struct sig_head head;
	uint8_t der[MAX_DER];
	size_t der_size = sizeof(der);

	make_sig_head(&head, header_size, size);
	if (EVP_DigestSignInit_ex(ctx, NULL, scheme->digest, NULL, NULL, pkey, NULL) != 1 ||
	    EVP_DigestSignUpdate(ctx, head.before, head.before_size) != 1 ||
	    EVP_DigestSignUpdate(ctx, header, header_size) != 1 ||
	    EVP_DigestSignUpdate(ctx, head.behind, head.behind_size) != 1 ||
	    EVP_DigestSignUpdate(ctx, payload, size) != 1 ||
	    EVP_DigestSignFinal(ctx, der, &der_size) != 1)
		return -EIO;
	return signature_from_der(der, der_size, scheme->coordinate_size, raw);
}

/* OSSL_PARAM numbers are in the machine's byte order; both machines we build for are little. */
static void reverse(const uint8_t *from, uint8_t *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[size - 1 - i];
}

/* syscalls(vcpu): getrandom */
int cose_sign1_put(struct cbor_writer *writer, const struct cose_secret *secret,
		   const void *payload, size_t size, struct ccr_err *err)
{
	const struct scheme *scheme = scheme_of_curve(secret->key.curve);
	uint8_t header[8], scalar[COSE_MAX_COORDINATE], raw[MAX_SIGNATURE];
	struct cbor_writer header_writer;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey;
	int ret = -EIO;

	reverse(secret->scalar, scalar, scheme->coordinate_size);
	pkey = make_pkey(&secret->key, scalar);
	cbor_writer_init(&header_writer, header, sizeof(header));
	cbor_put_head(&header_writer, CBOR_MAP, 1);
	cbor_put_int(&header_writer, HEADER_ALG);
	cbor_put_int(&header_writer, scheme->alg);
	if (ctx && pkey)
		ret = sign_raw(ctx, pkey, scheme, header, header_writer.size, payload, size, raw);
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	if (ret)
		return library_failed("signing", err);
	cbor_put_head(writer, CBOR_TAG, TAG_SIGN1);
	cbor_put_head(writer, CBOR_ARRAY, 4);
	cbor_put_bytes(writer, header, header_writer.size);
	cbor_put_head(writer, CBOR_MAP, 0);
	cbor_put_bytes(writer, payload, size);
	cbor_put_bytes(writer, raw, 2 * scheme->coordinate_size);
	return 0;
}

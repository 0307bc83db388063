/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/cbor.c src/util/err.c src/util/hash.c src/util/parse.c src/realm/cose.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ccr/cose.h"
#include "ccr/hash.h"
#include "ccr/parse.h"

#define MAX_INPUT 1024

static size_t unhex(const char *hex, uint8_t *buf)
{
	size_t size;

	assert_int_equal(parse_hex(hex, buf, MAX_INPUT, &size), 0);
	return size;
}

/* Test keys, made for these tests and published with them: not secrets. */
static const struct {
	enum cose_curve curve;
	enum cose_alg alg;
	const char *x, *y, *scalar;
} pairs[] = {
	{COSE_P256, COSE_ES256, "032b054802d5eb3f72623da74b02df0787258676721814bf4022f97b91e44393",
	 "df41144f70d896f70c72c54a491f6e711174b0ef88b7f668129e9303e3039619",
	 "a698638b41fe4842657f321efdba858ee8b4aee7d9d38cb6d5d4b52a0a89a5b9"},
	/* The key with which TF-A's QEMU and FVP ports let every realm attest. */
	{COSE_P384, COSE_ES384,
	 "76f988091be585ed41801aecfab858548c63057e16b0e676120bbd0d2f9c29e0"
	 "56c5d41a0130eb9c21517899dc23146b",
	 "28e1b062bd3ea4b315fd219f1cbb528cb6e74ca49be16773734f61a1ca61031b"
	 "2bbf3d918f2f94ffc4228e50919544ae",
	 "2011c7f03cee4325176e524f033c0ce1e21a76e6c1a4f0b839aa1df61e0e8a5c"
	 "8a05740f9b69efa7eb1a4185bd117f68"},
	{COSE_P521, COSE_ES512,
	 "00322e0113b7786dec7aa1caa1b9f44522e8a6360a7a3dbe764e06103ca602da"
	 "5c1a4eb86daae77ede46ded1a2e39bcd6ebc5bf4b8a07385bfa5206b9fa391fbb653",
	 "007e9688d58b81169571f998f1680d4260124435f41d8907ad7cf736259f582a"
	 "c6b44a20f01460058cb04a2fc3f846b434c883b6b2273aa01a15f7a0966db343efdf",
	 "000197102224f9c0de8b343af3c9f4cdabb2626610452d505869f5b64f166d89"
	 "704b0751c51ec31ba6bd372d4d55ecf0ecee70171b7a1026bde305561025d7110774"},
};

#define NR_PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void get_secret(size_t i, struct cose_secret *secret)
{
	uint8_t x[MAX_INPUT], y[MAX_INPUT], scalar[MAX_INPUT];
	const size_t size = cose_coordinate_size(pairs[i].curve);

	*secret = (struct cose_secret){0};
	assert_int_equal(unhex(pairs[i].x, x), size);
	assert_int_equal(unhex(pairs[i].y, y), size);
	assert_int_equal(unhex(pairs[i].scalar, scalar), size);
	assert_int_equal(cose_key_set(&secret->key, pairs[i].curve, x, y, NULL), 0);
	memcpy(secret->scalar, scalar, size);
}

static void test_names(void **state)
{
	enum cose_curve curve;

	(void)state;
	assert_string_equal(cose_curve_name(COSE_P256), "P-256");
	assert_string_equal(cose_alg_name(COSE_ES512), "ES512");
	assert_int_equal(cose_coordinate_size(COSE_P521), 66);
	assert_int_equal(cose_curve_from_name("P-384", &curve), 0);
	assert_int_equal(curve, COSE_P384);
	assert_int_equal(cose_curve_from_name("secp384r1", &curve), -EINVAL);
	assert_int_equal(cose_curve_from_name("", &curve), -EINVAL);
	assert_null(cose_curve_name((enum cose_curve)8));
	assert_null(cose_alg_name((enum cose_alg)0));
	assert_int_equal(cose_coordinate_size((enum cose_curve)0), 0);
}

/* The example of RFC 9052, appendix C.2.1, with key "11" of appendix C.7.1. */
static void test_published_message(void **state)
{
	uint8_t message[MAX_INPUT], key_bytes[MAX_INPUT];
	size_t size = unhex("d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408e"
			    "b33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291"
			    "aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36",
			    message);
	struct cose_sign1 sign1;
	struct cose_key key;
	size_t key_size;

	(void)state;
	key_size =
		unhex("a50102024231312001215820bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a"
		      "219a86d6a09eff22582020138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed"
		      "28bbfc117e",
		      key_bytes);
	assert_int_equal(cose_key_from_cbor(key_bytes, key_size, &key, NULL), 0);
	assert_int_equal(cose_sign1_parse(message, size, "example", &sign1, NULL), 0);
	assert_int_equal(sign1.alg, COSE_ES256);
	assert_int_equal(sign1.payload.content_size, 20);
	assert_memory_equal(sign1.payload.content, "This is the content.", 20);
	assert_int_equal(cose_sign1_verify(&sign1, &key, NULL), 0);
	for (size_t i = 12; i < size; i++) {
		if (i == 32 || i == 33) /* the signature's head */
			continue;
		message[i] ^= 0x40;
		assert_int_equal(cose_sign1_parse(message, size, "example", &sign1, NULL), 0);
		assert_int_equal(cose_sign1_verify(&sign1, &key, NULL), -EBADMSG);
		message[i] ^= 0x40;
	}
}

/* Both encodings of TF-A's key, as platform tokens carry their hashes. */
static void test_encodings_of_a_key(void **state)
{
	uint8_t buf[MAX_INPUT], digest[HASH_MAX_SIZE], point[COSE_MAX_POINT];
	struct cbor_writer writer;
	struct cose_secret secret;
	struct cose_key key;
	char text[2 * HASH_MAX_SIZE + 1];

	(void)state;
	get_secret(1, &secret);
	cbor_writer_init(&writer, buf, sizeof(buf));
	cose_key_put(&writer, &secret.key);
	assert_int_equal(writer.size, 107);
	assert_memory_equal(buf, "\xa4\x01\x02\x20\x02\x21\x58\x30\x76", 9);
	hash_digest(HASH_SHA256, buf, writer.size, digest);
	assert_string_equal(parse_format_hex(digest, 32, text),
			    "0d22e08a98469058486318283489bdb36f09dbefeb1864df433fa6e54ea2d711");
	assert_int_equal(cose_key_from_cbor(buf, writer.size, &key, NULL), 0);
	assert_true(cose_key_equal(&key, &secret.key));
	point[0] = 4;
	memcpy(point + 1, key.x, 48);
	memcpy(point + 49, key.y, 48);
	hash_digest(HASH_SHA256, point, 97, digest);
	assert_string_equal(parse_format_hex(digest, 32, text),
			    "b5973cb68baa9fc55558786b7ec67f69e40df5ba5aa921cd0c27f40587a011ea");
	memset(&key, 0xee, sizeof(key));
	assert_int_equal(cose_key_from_point(point, 97, &key, NULL), 0);
	assert_true(cose_key_equal(&key, &secret.key));
}

static void test_bad_points(void **state)
{
	uint8_t point[COSE_MAX_POINT] = {4};
	struct cose_secret secret;
	struct cose_key key = {.curve = COSE_P521};

	(void)state;
	for (size_t i = 0; i < NR_PAIRS; i++) {
		const size_t half = cose_coordinate_size(pairs[i].curve);
		struct ccr_err err = {0};

		get_secret(i, &secret);
		memcpy(point + 1, secret.key.x, half);
		memcpy(point + 1 + half, secret.key.y, half);
		assert_int_equal(cose_key_from_point(point, 1 + 2 * half, &key, NULL), 0);
		assert_int_equal(cose_key_from_point(point, 2 * half, &key, NULL), -EINVAL);
		assert_int_equal(cose_key_from_point(point, 2 + 2 * half, &key, NULL), -EINVAL);
		point[0] = 2;
		assert_int_equal(cose_key_from_point(point, 1 + 2 * half, &key, NULL), -EINVAL);
		point[0] = 6; /* the hybrid form, which libcrypto would take */
		assert_int_equal(cose_key_from_point(point, 1 + 2 * half, &key, NULL), -EINVAL);
		point[0] = 4;
		point[2 * half] ^= 1;
		assert_int_equal(cose_key_from_point(point, 1 + 2 * half, &key, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "not a point of P-"));
		memset(point + 1, 0, 2 * half);
		assert_int_equal(cose_key_from_point(point, 1 + 2 * half, &key, NULL), -EINVAL);
		memset(point + 1, 0xff, 2 * half); /* coordinates beyond the field */
		assert_int_equal(cose_key_from_point(point, 1 + 2 * half, &key, NULL), -EINVAL);
	}
	assert_int_equal(cose_key_from_point(point, 0, &key, NULL), -EINVAL);
	assert_int_equal(key.curve, COSE_P521);
}

#define X256 "5820032b054802d5eb3f72623da74b02df0787258676721814bf4022f97b91e44393"
#define Y256 "5820df41144f70d896f70c72c54a491f6e711174b0ef88b7f668129e9303e3039619"

static void test_cose_keys(void **state)
{
	static const struct {
		const char *hex;
		const char *why; /* NULL for a good one */
	} keys[] = {
		{"a401022001"
		 "21" X256 "22" Y256,
		 NULL},
		{"a4"
		 "22" Y256 "21" X256 "20010102",
		 NULL},
		{"a5010203262001"
		 "21" X256 "22" Y256,
		 NULL},
		{"a50102048102200121" X256 "22" Y256, NULL},
		{"a50102182a616120"
		 "0121" X256 "22" Y256,
		 NULL},
		{"", "is empty"},
		{"a401022001"
		 "21" X256 "22" Y256 "00",
		 "behind its end"},
		{"80", "is not a map"},
		{"a3200121" X256 "22" Y256, "its type is not EC2"},
		{"a401012001"
		 "21" X256 "22" Y256,
		 "its type is not EC2"},
		{"a40161322001"
		 "21" X256 "22" Y256,
		 "its type is not EC2"},
		{"a3010221" X256 "22" Y256, "its curve is not"},
		{"a401022008"
		 "21" X256 "22" Y256,
		 "its curve is not"},
		{"a4010220"
		 "65502d323536"
		 "21" X256 "22" Y256,
		 "its curve is not"},
		{"a401022002"
		 "21" X256 "22" Y256,
		 "x is not a byte string of 48 bytes"},
		{"a301022001"
		 "22" Y256,
		 "x is not a byte string of 32 bytes"},
		{"a301022001"
		 "21" X256,
		 "y is not a byte string of 32 bytes"},
		{"a401022001"
		 "21" X256 "22f5",
		 "y is not a byte string of 32 bytes"},
		{"a401022001"
		 "21" Y256 "22" X256,
		 "not a point of P-256"},
		{"a5010203382220"
		 "0121" X256 "22" Y256,
		 "its algorithm is not ES256"},
		{"a501020481012001"
		 "21" X256 "22" Y256,
		 "is not for verifying"},
		{"a501020480200121" X256 "22" Y256, "is not for verifying"},
		{"a501020402200121" X256 "22" Y256, "key_ops is not an array"},
		{"a501022001"
		 "21" X256 "22" Y256 "234101",
		 "has a private part"},
		{"a5010201022001"
		 "21" X256 "22" Y256,
		 "the same key twice"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint8_t buf[MAX_INPUT];
		struct ccr_err err = {0};
		struct cose_key key = {0};
		size_t size = unhex(keys[i].hex, buf);
		int ret = cose_key_from_cbor(buf, size, &key, &err);

		if (!keys[i].why) {
			assert_int_equal(ret, 0);
			assert_int_equal(key.curve, COSE_P256);
			continue;
		}
		assert_int_equal(ret, -EINVAL);
		assert_int_equal(key.curve, 0);
		if (!strstr(err.msg, keys[i].why))
			fail_msg("%s: %s", keys[i].hex, err.msg);
	}
}

static const char pem_p256[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAysFSALV6z9yYj2nSwLfB4clhnZy\n"
			       "GBS/QCL5e5HkQ5PfQRRPcNiW9wxyxUpJH25xEXSw74i39mgSnpMD4wOWGQ==\n"
			       "-----END PUBLIC KEY-----\n";
static const char pem_secp256k1[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEgaQXAgcfLeL2o2ZRfzNPewkjzuFFFeP5\n"
	"5dDt29jvEzp5veOlKnQpZl14u5FCOgfPSDdxD+bCPo9/QHDvw9bfIQ==\n"
	"-----END PUBLIC KEY-----\n";

static void test_pem(void **state)
{
	struct cose_secret secret;
	struct ccr_err err = {0};
	struct cose_key key;
	char text[MAX_INPUT];

	(void)state;
	get_secret(0, &secret);
	assert_int_equal(cose_key_from_pem(pem_p256, strlen(pem_p256), &key, NULL), 0);
	assert_true(cose_key_equal(&key, &secret.key));
	strcpy(text, pem_p256);
	strcat(text, " \r\n");
	assert_int_equal(cose_key_from_pem(text, strlen(text), &key, NULL), 0);
	strcat(text, "x");
	assert_int_equal(cose_key_from_pem(text, strlen(text), &key, &err), -EINVAL);
	assert_string_equal(err.msg, "key: has text behind its PEM block");
	for (size_t size = 0; size < strlen(pem_p256) - 2; size += 7)
		assert_int_equal(cose_key_from_pem(pem_p256, size, &key, NULL), -EINVAL);
	assert_int_equal(cose_key_from_pem(pem_secp256k1, strlen(pem_secp256k1), &key, NULL),
			 -EINVAL);
	/* Nobody is asked for a passphrase. */
	strcpy(text, "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n"
		     "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n");
	strcat(text, strchr(pem_p256, '\n') + 1);
	assert_int_equal(cose_key_from_pem(text, strlen(text), &key, NULL), -EINVAL);
}

static size_t sign(const struct cose_secret *secret, const char *payload, uint8_t *buf)
{
	struct cbor_writer writer;

	cbor_writer_init(&writer, buf, MAX_INPUT);
	assert_int_equal(cose_sign1_put(&writer, secret, payload, strlen(payload), NULL), 0);
	assert_false(writer.full);
	return writer.size;
}

static void test_sign_and_verify(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_PAIRS; i++) {
		uint8_t buf[MAX_INPUT], again[MAX_INPUT];
		struct cose_secret secret, other;
		struct cose_sign1 sign1;
		size_t size;

		get_secret(i, &secret);
		size = sign(&secret, "payload", buf);
		assert_int_equal(cose_sign1_parse(buf, size, "it", &sign1, NULL), 0);
		assert_int_equal(sign1.alg, pairs[i].alg);
		assert_memory_equal(sign1.payload.content, "payload", 7);
		assert_int_equal(cose_sign1_verify(&sign1, &secret.key, NULL), 0);
		for (size_t j = 0; j < NR_PAIRS; j++) {
			struct ccr_err err = {0};

			get_secret(j, &other);
			assert_int_equal(cose_sign1_verify(&sign1, &other.key, &err),
					 i == j ? 0 : -EBADMSG);
			if (i != j)
				assert_non_null(strstr(err.msg, ", but the key is of P-"));
		}
		/* Fresh randomness: same length, another signature. */
		assert_int_equal(sign(&secret, "payload", again), size);
		assert_memory_not_equal(buf, again, size);
	}
}

static void test_numbers_out_of_range(void **state)
{
	uint8_t buf[MAX_INPUT];
	struct cose_secret secret;
	struct cose_sign1 sign1;
	struct ccr_err err = {0};
	size_t size;

	(void)state;
	get_secret(1, &secret);
	size = sign(&secret, "payload", buf);
	memset(buf + size - 96, 0, 96);
	assert_int_equal(cose_sign1_parse(buf, size, "it", &sign1, NULL), 0);
	assert_int_equal(cose_sign1_verify(&sign1, &secret.key, &err), -EBADMSG);
	assert_string_equal(err.msg, "the ES384 signature is not the key's");
	memset(buf + size - 96, 0xff, 96);
	assert_int_equal(cose_sign1_verify(&sign1, &secret.key, NULL), -EBADMSG);
}

static void test_too_little_room(void **state)
{
	uint8_t buf[MAX_INPUT];
	struct cose_secret secret;
	struct cbor_writer writer;

	(void)state;
	get_secret(0, &secret);
	for (size_t size = 0; size < 80; size += 9) {
		memset(buf, 0xee, sizeof(buf));
		cbor_writer_init(&writer, buf, size);
		assert_int_equal(cose_sign1_put(&writer, &secret, "payload", 7, NULL), 0);
		assert_true(writer.full);
		assert_int_equal(buf[size], 0xee);
	}
}

#define SIG256                             \
	"5840"                             \
	"00000000000000000000000000000000" \
	"00000000000000000000000000000000" \
	"00000000000000000000000000000000" \
	"00000000000000000000000000000000"

static void test_bad_messages(void **state)
{
	static const struct {
		const char *hex;
		const char *why; /* NULL for a good one */
	} messages[] = {
		{"d28443a10126a04101" SIG256, NULL},
		{"d28447a2012604423131a04101" SIG256, NULL},
		{"d28443a10126a1044231314101" SIG256, NULL},
		{"", "it is empty"},
		{"d28443a10126a04101" SIG256 "00", "it has bytes behind its end"},
		{"8443a10126a04101" SIG256, "it is not tagged as COSE_Sign1 (18)"},
		{"d18443a10126a04101" SIG256, "it is not tagged as COSE_Sign1 (18)"},
		{"d2d28443a10126a04101" SIG256, "it is not an array of 4"},
		{"d28343a10126a04101", "it is not an array of 4"},
		{"d28543a10126a04101" SIG256 "00", "it is not an array of 4"},
		{"d2a243a10126a04101" SIG256, "it is not an array of 4"},
		{"d29f43a10126a04101" SIG256 "ff", "it has an indefinite length"},
		{"d284a10126a04101" SIG256, "it is not a byte string, a map and"},
		{"d28443a10126804101" SIG256, "it is not a byte string, a map and"},
		{"d28443a10126a06101" SIG256, "it is not a byte string, a map and"},
		{"d28443a10126a0f6" SIG256, "it is not a byte string, a map and"},
		{"d28443a10126a04101f6", "it is not a byte string, a map and"},
		{"d28440a04101" SIG256, "it: its protected header is empty"},
		{"d28441a0a04101" SIG256, "it: its protected header names no algorithm"},
		{"d2844101a04101" SIG256, "it: its protected header is not a map"},
		{"d28444a1012600a04101" SIG256, "it: its protected header has bytes behind"},
		{"d28445a201260126a04101" SIG256,
		 "it: its protected header has a map with the same"},
		{"d28444a1011806a04101" SIG256,
		 "it: its protected header has a number that is not"},
		{"d28443a10127a04101" SIG256, "it: its algorithm is not"},
		{"d28446a10164455332a04101" SIG256, "it: its protected header is cut short"},
		{"d28448a101654553323536a04101" SIG256, "it: its algorithm is not"},
		{"d28443a10105a04101" SIG256, "it: its algorithm is not"},
		{"d28441a0a101264101" SIG256, "it names an algorithm that is not signed"},
		{"d28443a10126a101264101" SIG256, "it names an algorithm that is not signed"},
		{"d28446a20126028101a04101" SIG256, "it has critical headers"},
		{"d28443a10126a10281014101" SIG256, "it has critical headers"},
		{"d28443a10126a040" SIG256, "it has no payload"},
		{"d28443a10126a0410140", "it: its signature has 0 bytes, not ES256's 64"},
		{"d28444a1013822a04101" SIG256, "it: its signature has 64 bytes, not ES384's 96"},
		{"d28444a1013823a04101" SIG256, "it: its signature has 64 bytes, not ES512's 132"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		uint8_t buf[MAX_INPUT];
		struct ccr_err err = {0};
		struct cose_sign1 sign1 = {0};
		size_t size = unhex(messages[i].hex, buf);
		int ret = cose_sign1_parse(buf, size, "it", &sign1, &err);

		assert_int_equal(ret, messages[i].why ? -EINVAL : 0);
		if (messages[i].why && !strstr(err.msg, messages[i].why))
			fail_msg("%s: %s", messages[i].hex, err.msg);
		assert_int_equal(sign1.alg, ret ? 0 : COSE_ES256);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_published_message),
		cmocka_unit_test(test_encodings_of_a_key),
		cmocka_unit_test(test_bad_points),
		cmocka_unit_test(test_cose_keys),
		cmocka_unit_test(test_pem),
		cmocka_unit_test(test_sign_and_verify),
		cmocka_unit_test(test_numbers_out_of_range),
		cmocka_unit_test(test_too_little_room),
		cmocka_unit_test(test_bad_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

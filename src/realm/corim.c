/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	tagged-corim-map
 *	  id, profile
 *	  tags: one CoMID, as a byte string
 *	    tag-identity
 *	    triples: one reference triple
 *	      environment: the class of things whose id is this RIM
 *	      measurements: "cca.rim", and "cca.rpv" if it is known
 */
#include <errno.h>
#include <stdio.h>

#include "ccr/cbor.h"
#include "ccr/corim.h"
#include "ccr/parse.h"

enum {
	TAG_URI = 32,
	TAG_CORIM = 501,
	TAG_COMID = 506,
	TAG_BYTES = 560,
};

/* Keys of the maps, each with the name of its map in the draft. */
enum {
	CORIM_ID = 0,
	CORIM_TAGS = 1,
	CORIM_PROFILE_KEY = 3,

	COMID_TAG_IDENTITY = 1,
	COMID_TRIPLES = 4,

	TAG_IDENTITY_ID = 0,
	TRIPLES_REFERENCE = 0,
	ENVIRONMENT_CLASS = 0,
	CLASS_ID = 0,

	MEASUREMENT_KEY = 0,
	MEASUREMENT_VALUE = 1,
	VALUE_DIGESTS = 2,
	VALUE_RAW = 4,
};

/* "ccr-run:comid:rim=sha-256:<RIM>:rpv=<RPV>" */
#define MAX_ID (64 + 2 * HASH_MAX_SIZE + 2 * PLAN_RPV_SIZE)

static void put_map(struct cbor_writer *writer, unsigned nr_pairs)
{
	cbor_put_head(writer, CBOR_MAP, nr_pairs);
}

static void put_array(struct cbor_writer *writer, unsigned nr)
{
	cbor_put_head(writer, CBOR_ARRAY, nr);
}

/* One pair of a map of one, such as {0: ... */
static void put_only_key(struct cbor_writer *writer, int key)
{
	put_map(writer, 1);
	cbor_put_int(writer, key);
}

static void put_tagged_bytes(struct cbor_writer *writer, const uint8_t *bytes, size_t size)
{
	cbor_put_head(writer, CBOR_TAG, TAG_BYTES);
	cbor_put_bytes(writer, bytes, size);
}

/* Zeros at its end are no part of a value: it is always filled up with them. */
static size_t rpv_size(const uint8_t *rpv)
{
	size_t size = PLAN_RPV_SIZE;

	while (size > 0 && rpv[size - 1] == 0)
		size--;
	return size;
}

static void put_id(struct cbor_writer *writer, const struct corim_realm *realm, const char *kind)
{
	char rim[2 * HASH_MAX_SIZE + 1], rpv[2 * PLAN_RPV_SIZE + 1] = "any";
	char id[MAX_ID];

	parse_format_hex(realm->rim, hash_size(realm->hash_algo), rim);
	if (realm->rpv)
		parse_format_hex(realm->rpv, rpv_size(realm->rpv), rpv);
	snprintf(id, sizeof(id), "ccr-run:%s:rim=%s:%s:rpv=%s", kind, hash_name(realm->hash_algo),
		 rim, rpv);
	cbor_put_text(writer, id);
}

static void put_measurement(struct cbor_writer *writer, const char *key, int value_key)
{
	put_map(writer, 2);
	cbor_put_int(writer, MEASUREMENT_KEY);
	cbor_put_text(writer, key);
	cbor_put_int(writer, MEASUREMENT_VALUE);
	put_only_key(writer, value_key);
}

static void put_reference_triple(struct cbor_writer *writer, const struct corim_realm *realm)
{
	const size_t size = hash_size(realm->hash_algo);

	put_array(writer, 2);
	put_only_key(writer, ENVIRONMENT_CLASS);
	put_only_key(writer, CLASS_ID);
	put_tagged_bytes(writer, realm->rim, size);

	put_array(writer, realm->rpv ? 2 : 1);
	put_measurement(writer, "cca.rim", VALUE_DIGESTS);
	put_array(writer, 1);
	put_array(writer, 2);
	cbor_put_text(writer, hash_name(realm->hash_algo));
	cbor_put_bytes(writer, realm->rim, size);
	if (realm->rpv) {
		put_measurement(writer, "cca.rpv", VALUE_RAW);
		put_tagged_bytes(writer, realm->rpv, PLAN_RPV_SIZE);
	}
}

static void put_comid(struct cbor_writer *writer, const struct corim_realm *realm)
{
	put_map(writer, 2);
	cbor_put_int(writer, COMID_TAG_IDENTITY);
	put_only_key(writer, TAG_IDENTITY_ID);
	put_id(writer, realm, "comid");
	cbor_put_int(writer, COMID_TRIPLES);
	put_only_key(writer, TRIPLES_REFERENCE);
	put_array(writer, 1);
	put_reference_triple(writer, realm);
}

int corim_write(const struct corim_realm *realm, uint8_t buf[CORIM_MAX_SIZE], size_t *ret_size,
		struct ccr_err *err)
{
	uint8_t comid[CORIM_MAX_SIZE];
	struct cbor_writer writer, inner;

	if (hash_size(realm->hash_algo) == 0)
		return err_set(err, -EINVAL, "CoRIM: no hash algorithm has number %u",
			       (unsigned)realm->hash_algo);
	cbor_writer_init(&inner, comid, sizeof(comid));
	put_comid(&inner, realm);

	cbor_writer_init(&writer, buf, CORIM_MAX_SIZE);
	cbor_put_head(&writer, CBOR_TAG, TAG_CORIM);
	put_map(&writer, 3);
	cbor_put_int(&writer, CORIM_ID);
	put_id(&writer, realm, "corim");
	cbor_put_int(&writer, CORIM_TAGS);
	put_array(&writer, 1);
	cbor_put_head(&writer, CBOR_TAG, TAG_COMID);
	cbor_put_bytes(&writer, comid, inner.size);
	cbor_put_int(&writer, CORIM_PROFILE_KEY);
	cbor_put_head(&writer, CBOR_TAG, TAG_URI);
	cbor_put_text(&writer, CORIM_PROFILE);
	if (inner.full || writer.full)
		return err_set(err, -ENOBUFS, "CoRIM: more than %d bytes", CORIM_MAX_SIZE);
	*ret_size = writer.size;
	return 0;
}

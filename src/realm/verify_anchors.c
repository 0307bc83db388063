/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/jsontext.h"
#include "ccr/parse.h"
#include "ccr/verify.h"
#include "verify_json.h"

/* A coordinate in JWK's base64: the alphabet for URLs, without padding (RFC 7515, section 2). */
static int read_coordinate(struct json_object *jwk, const char *name, size_t size,
			   uint8_t coordinate[COSE_MAX_COORDINATE], struct ccr_err *err)
{
	char base64[4 * ((COSE_MAX_COORDINATE + 2) / 3) + 1];
	const char *text;
	size_t length, decoded;

	if (verify_json_text(jwk, name, true, &text, err))
		return -EINVAL;
	length = strlen(text);
	if (length == 0 || length >= sizeof(base64))
		return err_set(err, -EINVAL, "\"%s\" of a key has the wrong length", name);
	for (size_t i = 0; i < length; i++)
		base64[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	/* What would mean something else in the other alphabet must not pass. */
	if (strpbrk(text, "+/="))
		return err_set(err, -EINVAL, "\"%s\" of a key is not base64url", name);
	while (length % 4)
		base64[length++] = '=';
	base64[length] = '\0';
	if (parse_base64(base64, coordinate, COSE_MAX_COORDINATE, &decoded) || decoded != size)
		return err_set(err, -EINVAL, "\"%s\" of a key is not %zu bytes in base64url", name,
			       size);
	return 0;
}

/* Members that are of no use here, such as kid, are allowed, as RFC 7517 wants it. */
static int read_jwk(struct json_object *jwk, struct cose_key *ret_key, struct ccr_err *err)
{
	uint8_t x[COSE_MAX_COORDINATE], y[COSE_MAX_COORDINATE];
	const char *type, *name;
	enum cose_curve curve;

	if (!json_object_is_type(jwk, json_type_object))
		return err_set(err, -EINVAL, "a key is not a JSON Web Key");
	if (verify_json_text(jwk, "kty", true, &type, err) ||
	    verify_json_text(jwk, "crv", true, &name, err))
		return -EINVAL;
	if (strcmp(type, "EC") != 0 || cose_curve_from_name(name, &curve))
		return err_set(err, -EINVAL, "a key is not on P-256, P-384 or P-521");
	if (json_object_object_get_ex(jwk, "d", NULL))
		return err_set(err, -EINVAL, "a key has its private part with it");
	if (read_coordinate(jwk, "x", cose_coordinate_size(curve), x, err) ||
	    read_coordinate(jwk, "y", cose_coordinate_size(curve), y, err))
		return -EINVAL;
	return cose_key_set(ret_key, curve, x, y, err);
}

static int read_id(struct json_object *entry, const char *name, uint8_t *id, size_t id_size,
		   struct ccr_err *err)
{
	size_t size;

	if (verify_json_hex(entry, name, true, id, id_size, &size, err))
		return -EINVAL;
	if (size != id_size)
		return err_set(err, -EINVAL, "an \"%s\" has %zu bytes, not %zu", name, size,
			       id_size);
	return 0;
}

static int read_entry(struct json_object *entry, struct verify_anchor *anchor, struct ccr_err *err)
{
	static const char *const names[] = {"implementation-id", "instance-id", "pkey", NULL};
	struct json_object *jwk;

	if (verify_json_check_names(entry, names, err) ||
	    read_id(entry, "implementation-id", anchor->implementation_id,
		    sizeof(anchor->implementation_id), err) ||
	    read_id(entry, "instance-id", anchor->instance_id, sizeof(anchor->instance_id), err))
		return -EINVAL;
	if (!json_object_object_get_ex(entry, "pkey", &jwk))
		return err_set(err, -EINVAL, "an entry has no \"pkey\"");
	return read_jwk(jwk, &anchor->key, err);
}

static bool same_platform(const struct verify_anchor *a, const struct verify_anchor *b)
{
	return !memcmp(a->implementation_id, b->implementation_id, sizeof(a->implementation_id)) &&
	       !memcmp(a->instance_id, b->instance_id, sizeof(a->instance_id));
}

static int read_array(struct json_object *array, struct verify_anchors *anchors,
		      struct ccr_err *err)
{
	const size_t nr = json_object_array_length(array);
	int ret;

	if (nr == 0)
		return err_set(err, -EINVAL, "there are none in the file");
	anchors->list = calloc(nr, sizeof(anchors->list[0]));
	if (!anchors->list)
		return err_set(err, -ENOMEM, "out of memory");
	for (; anchors->nr < nr; anchors->nr++) {
		struct verify_anchor *anchor = &anchors->list[anchors->nr];

		ret = read_entry(json_object_array_get_idx(array, anchors->nr), anchor, err);
		if (ret)
			return ret;
		for (size_t i = 0; i < anchors->nr; i++) {
			if (same_platform(&anchors->list[i], anchor))
				return err_set(err, -EINVAL,
					       "entries %zu and %zu are of the same platform", i,
					       anchors->nr);
		}
	}
	return 0;
}

static int set_single(struct verify_anchors *anchors, const struct cose_key *key,
		      struct ccr_err *err)
{
	anchors->list = calloc(1, sizeof(anchors->list[0]));
	if (!anchors->list)
		return err_set(err, -ENOMEM, "out of memory");
	anchors->list[0].any_platform = true;
	anchors->list[0].key = *key;
	anchors->nr = 1;
	return 0;
}

static int load_json(const char *text, size_t size, struct verify_anchors *anchors,
		     struct ccr_err *err)
{
	struct json_object *document = jsontext_parse(text, size, err);
	struct cose_key key;
	int ret;

	if (!document)
		return -EINVAL;
	if (json_object_is_type(document, json_type_array)) {
		ret = read_array(document, anchors, err);
	} else {
		ret = read_jwk(document, &key, err);
		if (!ret)
			ret = set_single(anchors, &key, err);
	}
	json_object_put(document);
	return ret;
}

static int load_pem(const char *text, size_t size, struct verify_anchors *anchors,
		    struct ccr_err *err)
{
	struct cose_key key;
	int ret = cose_key_from_pem(text, size, &key, err);

	return ret ? ret : set_single(anchors, &key, err);
}

int verify_anchors_load(const char *text, size_t size, struct verify_anchors *ret_anchors,
			struct ccr_err *err)
{
	static const char dashes[] = "-----BEGIN";
	struct verify_anchors anchors = {0};
	int ret;

	if (size >= sizeof(dashes) && !memcmp(text, dashes, sizeof(dashes) - 1))
		ret = load_pem(text, size, &anchors, err);
	else
		ret = load_json(text, size, &anchors, err);
	if (ret)
		verify_anchors_done(&anchors);
	else
		*ret_anchors = anchors;
	return ret;
}

void verify_anchors_done(struct verify_anchors *anchors)
{
	free(anchors->list);
	*anchors = (struct verify_anchors){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/cli.h"
#include "ccr/parse.h"

static int too_long(struct ccr_err *err)
{
	return err_set(err, -EINVAL, "personalisation value: it is longer than %d bytes",
		       PLAN_RPV_SIZE);
}

static int from_file(const char *path, uint8_t rpv[PLAN_RPV_SIZE], struct ccr_err *err)
{
	struct blob blob = {0};
	int ret = file_load(path, PLAN_RPV_SIZE, "personalisation value", &blob, err);

	if (ret)
		return ret;
	if (blob.size > 0)
		memcpy(rpv, blob.data, blob.size);
	blob_free(&blob);
	return 0;
}

static int decoded(int ret, const char *prefix, const char *encoding, struct ccr_err *err)
{
	if (ret == -E2BIG)
		return too_long(err);
	if (ret)
		return err_set(err, -EINVAL, "personalisation value: what follows %s is not %s",
			       prefix, encoding);
	return 0;
}

int cli_parse_rpv(const char *text, uint8_t rpv[PLAN_RPV_SIZE], struct ccr_err *err)
{
	size_t size;

	memset(rpv, 0, PLAN_RPV_SIZE);
	if (text[0] == '@')
		return from_file(text + 1, rpv, err);
	if (!strncmp(text, "hex:", 4))
		return decoded(parse_hex(text + 4, rpv, PLAN_RPV_SIZE, &size),
			       "hex:", "an even number of hexadecimal digits", err);
	if (!strncmp(text, "base64:", 7))
		return decoded(parse_base64(text + 7, rpv, PLAN_RPV_SIZE, &size),
			       "base64:", "base64", err);
	size = strlen(text);
	if (size > PLAN_RPV_SIZE)
		return too_long(err);
	memcpy(rpv, text, size);
	return 0;
}

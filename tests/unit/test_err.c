/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/err.h"

static void sets_code_and_sentence(void **state)
{
	struct ccr_err err;

	(void)state;
	memset(&err, 0xa5, sizeof(err));
	err_clear(&err);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.msg, "");
	assert_int_equal(err_set(&err, -ENOENT, "thing %d of %s", 7, "many"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.msg, "thing 7 of many");
}

static void first_failure_wins(void **state)
{
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, -EIO, "cause"), -EIO);
	assert_int_equal(err_set(&err, -EBUSY, "consequence"), -EBUSY);
	assert_int_equal(err.code, -EIO);
	assert_string_equal(err.msg, "cause");
}

static void record_is_optional(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, -EPERM, "nobody listens"), -EPERM);
}

static void long_sentence_is_cut(void **state)
{
	struct ccr_err err = {0};
	char text[2 * sizeof(err.msg)];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	err_set(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

/* A cut through a two-byte character must not leave half of it for the terminal to complete. */
static void cut_character_is_not_left_open(void **state)
{
	struct ccr_err err = {0};
	char text[sizeof(err.msg) + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(err.msg) - 2, "\xc3\xa9", 3);
	err_set(&err, -EIO, "%s", text);
	assert_int_equal(err.msg[sizeof(err.msg) - 2], '?');
	assert_int_equal(err.msg[sizeof(err.msg) - 1], '\0');
}

static void untrusted_text_is_made_printable(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", ""},
		{"plain ~ text", "plain ~ text"},
		{"\x1b[31mred\n\t\r\x7f", "?[31mred????"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\x9b"
		 "31m",
		 "?31m"}, /* CSI as a lone byte */
		{"\xc2\x9b"
		 "31m\xc2\xa0",
		 "??31m\xc2\xa0"}, /* CSI as U+009B; U+00A0 is harmless */
		{"\xc3", "?"},     /* ends inside a character */
		{"\xe2\x82", "??"},
		{"\xe2\x82x", "??x"},
		{"\xc3\x1b[", "??["},              /* a lead byte does not hide an escape */
		{"\xc0\x9b\xc1\xbf", "????"},      /* overlong forms */
		{"\xf5\x80\x80\x80\xff", "?????"}, /* beyond Unicode */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ccr_err err = {0};

		err_set(&err, -EINVAL, "%s", cases[i].in);
		assert_string_equal(err.msg, cases[i].out);
	}
}

static void names_of_codes(void **state)
{
	(void)state;
	assert_string_equal(err_name(-EINVAL), "EINVAL");
	assert_string_equal(err_name(-ENOSPC), "ENOSPC");
	assert_string_equal(err_name(EINVAL), "unknown error");
	assert_string_equal(err_name(0), "unknown error");
	assert_string_equal(err_name(-100000), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_code_and_sentence),
		cmocka_unit_test(first_failure_wins),
		cmocka_unit_test(record_is_optional),
		cmocka_unit_test(long_sentence_is_cut),
		cmocka_unit_test(cut_character_is_not_left_open),
		cmocka_unit_test(untrusted_text_is_made_printable),
		cmocka_unit_test(names_of_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

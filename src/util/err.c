/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ccr/err.h"

/* Bytes of the UTF-8 sequence that starts at @text; 0 if that is no well-formed, harmless one. */
static size_t printable_length(const unsigned char *text)
{
	size_t length;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f ? 1 : 0;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	/* U+0080 to U+009F are control characters too: a terminal may take U+009B for ESC [. */
	if (text[0] == 0xc2 && text[1] < 0xa0)
		return 0;
	/* The terminating NUL is no continuation byte, so this never reads behind it. */
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

void err_make_printable(char *text)
{
	while (*text) {
		size_t length = printable_length((const unsigned char *)text);

		if (!length) {
			*text = '?';
			length = 1;
		}
		text += length;
	}
}

int err_set(struct ccr_err *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err || err->code)
		return code;
	err->code = code;
	va_start(args, fmt);
	if (vsnprintf(err->msg, sizeof(err->msg), fmt, args) < 0)
		err->msg[0] = '\0';
	va_end(args);
	err_make_printable(err->msg);
	return code;
}

void err_clear(struct ccr_err *err)
{
	err->code = 0;
	err->msg[0] = '\0';
}

const char *err_name(int code)
{
	const char *name = code < 0 ? strerrorname_np(-code) : NULL;

	return name ? name : "unknown error";
}

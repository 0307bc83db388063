/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are values. A function returns 0 or -errno; set-up code also fills a struct ccr_err that
 * lives on its caller's stack, with the one sentence a user will read. Only main prints it.
 */
#ifndef CCR_ERR_H
#define CCR_ERR_H

#include <stddef.h>

/**
 * struct ccr_err - why a set-up step failed, in words for the user
 * @code: the -errno that the failing function also returned; 0 while nothing failed
 * @msg: what failed, on what, and the way out: one sentence, NUL-terminated, no newline. Bytes
 *	that came from a guest or a file are already escaped (err_set() does that).
 */
struct ccr_err {
	int code;
	char msg[512];
};

/**
 * err_set() - record a failure and return its code
 * @err: where to; NULL is allowed and only the code is returned
 * @code: negative errno
 * @fmt: printf format of the sentence; the result goes through err_make_printable()
 *
 * The first failure wins: a record that already holds one is left alone, so that an unwinding
 * path cannot replace the cause by a consequence.
 *
 * Return: @code.
 */
int err_set(struct ccr_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * err_make_printable() - make untrusted text safe to show on a terminal
 * @text: changed in place: every control character (ASCII, or U+0080 to U+009F) and every byte that
 *	is not part of well-formed UTF-8 becomes '?'
 */
void err_make_printable(char *text);

/**
 * err_clear() - make @err ready for use again (also how one is initialised)
 */
void err_clear(struct ccr_err *err);

/**
 * err_name() - the symbolic name of a negative errno, such as "EINVAL"
 *
 * Return: a static string; "unknown error" for a number that has none.
 */
const char *err_name(int code);

#endif

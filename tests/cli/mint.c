/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/realm/token.c src/realm/cose.c src/util/cbor.c src/util/hash.c src/util/err.c
 * src/util/parse.c
 */
/*
 * mint ALGO RIM CHALLENGE RPV - on stdout, the token that an emulated realm with these claims would
 * give; all but the hash's name in hexadecimal
 */
#include <stdio.h>
#include <string.h>

#include "ccr/parse.h"
#include "ccr/token.h"

static int read_hex(const char *text, uint8_t *bytes, size_t capacity)
{
	size_t size;

	return parse_hex(text, bytes, capacity, &size);
}

int main(int argc, char **argv)
{
	struct token_claims claims = {0};
	uint8_t token[RSI_MAX_TOKEN_SIZE];
	struct ccr_err err = {0};
	size_t size;

	if (argc != 5 || hash_from_name(argv[1], &claims.hash_algo) ||
	    read_hex(argv[2], claims.measurements[0], HASH_MAX_SIZE) ||
	    read_hex(argv[3], claims.challenge, sizeof(claims.challenge)) ||
	    read_hex(argv[4], claims.rpv, sizeof(claims.rpv))) {
		fprintf(stderr, "usage: mint ALGO RIM CHALLENGE RPV\n");
		return 2;
	}
	if (token_emulated(&claims, token, &size, &err)) {
		fprintf(stderr, "mint: %s\n", err.msg);
		return 1;
	}
	return fwrite(token, 1, size, stdout) == size ? 0 : 1;
}

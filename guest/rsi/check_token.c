/* SPDX-License-Identifier: Apache-2.0 */
/* RSI_ATTESTATION_TOKEN_INIT and RSI_ATTESTATION_TOKEN_CONTINUE. */
#include "suite.h"

#define CHUNK          512
#define MAX_TOKEN_SIZE 0x10000
/* An RMM answers INCOMPLETE without a byte whenever an interrupt is pending. */
#define MAX_CALLS 1000000u
#define MAX_MS    120000u

static const struct call_case continue_errors[] = {
	{"token continue: buffer unaligned",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 8}, {ARG_ABS, 0}, {ARG_ABS, 64}}},
	{"token continue: buffer unprotected",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_SHARED_PAGE, 0}, {ARG_ABS, 0}, {ARG_ABS, 64}}},
	{"token continue: offset of a whole page",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_ABS, 4096}, {ARG_ABS, 0}}},
	{"token continue: offset and size exceed the page",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_ABS, 4000}, {ARG_ABS, 97}}},
	{"token continue: offset and size wrap",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_ABS, 8}, {ARG_ABS, ~0ull}}},
	{"token continue: end of the protected half",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_PAR_END, 0}, {ARG_ABS, 0}, {ARG_ABS, 64}}},
	{"token continue: no room",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_INCOMPLETE,
	 {{ARG_PAGE, 0}, {ARG_ABS, 4095}, {ARG_ABS, 0}}},
	{"token continue: highest size",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_INPUT,
	 {{ARG_PAGE, 0}, {ARG_ABS, 0}, {ARG_ABS, ~0ull}}},
};

static const struct call_case continue_idle[] = {
	{"token continue: after the end",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_STATE,
	 {{ARG_PAGE, 0}, {ARG_ABS, 0}, {ARG_ABS, 4096}}},
};

static const struct call_case continue_early[] = {
	{"token continue: before any init",
	 RSI_ATTESTATION_TOKEN_CONTINUE,
	 RSI_ERROR_STATE,
	 {{ARG_PAGE, 0}, {ARG_ABS, 0}, {ARG_ABS, 4096}}},
};

struct token {
	uint64_t status;
	unsigned nr_calls;
	uint64_t size;
	bool overrun; /* claimed to have written more than there was room for */
	uint8_t first[3];
};

/* Fetch the token piece by piece, as if the buffer were small. */
static void fetch(struct suite *suite, struct token *token)
{
	uint8_t *page = suite->scratch->page;
	uint64_t start = now_ms(), offset = 0;

	*token = (struct token){.status = RSI_INCOMPLETE};
	while (token->status == RSI_INCOMPLETE && token->nr_calls < MAX_CALLS &&
	       token->size < MAX_TOKEN_SIZE && now_ms() - start < MAX_MS) {
		struct regs regs;

		cache_flush(page, PAGE_SIZE);
		token->status = call3(suite, &regs, RSI_ATTESTATION_TOKEN_CONTINUE, ipa_of(page),
				      offset, CHUNK);
		cache_flush(page, PAGE_SIZE);
		token->nr_calls++;
		if (token->status != RSI_SUCCESS && token->status != RSI_INCOMPLETE)
			return;
		if (regs.x[1] > CHUNK) {
			token->overrun = true;
			return;
		}
		if (token->size == 0 && regs.x[1] >= sizeof(token->first))
			memcpy(token->first, page + offset, sizeof(token->first));
		token->size += regs.x[1];
		offset = (offset + CHUNK) % PAGE_SIZE;
	}
}

static uint64_t token_init(struct suite *suite, struct regs *regs)
{
	call_fill(regs, RSI_ATTESTATION_TOKEN_INIT);
	call(suite, regs);
	return regs->x[0];
}

/*
 * Where the token is to go is looked at once there is one: an RMM may sign first, and is INCOMPLETE
 * as often as an interrupt comes in between.
 */
static void check_place(struct suite *suite, const char *name, uint64_t size)
{
	const uint64_t start = now_ms();
	struct regs regs;
	unsigned nr = 0;

	do
		call3(suite, &regs, RSI_ATTESTATION_TOKEN_CONTINUE, suite->hole, 0, size);
	while (regs.x[0] == RSI_INCOMPLETE && regs.x[1] == 0 && nr++ < MAX_CALLS &&
	       now_ms() - start < MAX_MS);
	if (!tap_check(&suite->tap, regs.x[0] == RSI_ERROR_INPUT, name))
		tap_note(&suite->tap, "got x0=%lx x1=%lx after %u calls", regs.x[0], regs.x[1], nr);
}

static void check_fetch(struct suite *suite, uint64_t bound)
{
	struct tap *tap = &suite->tap;
	struct token token;
	const uint8_t *first = token.first;

	fetch(suite, &token);
	tap_check(tap, token.status == RSI_SUCCESS, "token: complete");
	tap_note(tap, "x0=%lx, %lu bytes in %u calls, bound %lu", token.status, token.size,
		 token.nr_calls, bound);
	tap_check(tap, !token.overrun && token.size > 0 && token.size <= bound,
		  "token: within the announced bound");
	tap_check(tap,
		  first[0] == 0xd9 && ((first[1] == 0x01 && first[2] == 0x8f) ||
				       (first[1] == 0x03 && first[2] == 0x8b)),
		  "token: is a tagged CCA token");
	tap_note(tap, "starts with %02x%02x%02x", first[0], first[1], first[2]);
}

void check_token(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	struct regs regs;
	uint64_t status;

	call_table(suite, continue_early, ARRAY_SIZE(continue_early));
	status = token_init(suite, &regs);
	tap_note(tap, "token init: x0=%lx x1=%lx", status, regs.x[1]);
	if (status != RSI_SUCCESS) {
		if (status == RSI_ERROR_UNKNOWN || status == RSI_ERROR_STATE)
			tap_skip(tap, "token", "this RMM offers no attestation");
		else
			tap_check(tap, false, "token");
		return;
	}
	tap_check(tap, true, "token");
	tap_check(tap, regs.x[1] > 0 && regs.x[1] <= MAX_TOKEN_SIZE, "token init: bound is sane");
	call_table(suite, continue_errors, ARRAY_SIZE(continue_errors));
	check_place(suite, "token continue: hole", 64);
	check_place(suite, "token continue: hole, and no room", 0);
	check_fetch(suite, regs.x[1]);
	call_table(suite, continue_idle, ARRAY_SIZE(continue_idle));

	/* A second init drops what the first has begun. */
	status = token_init(suite, &regs);
	tap_check(tap, status == RSI_SUCCESS && token_init(suite, &regs) == RSI_SUCCESS,
		  "token init: again, and while one is being made");
	check_fetch(suite, regs.x[1]);
}

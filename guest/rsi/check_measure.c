/* SPDX-License-Identifier: Apache-2.0 */
/* RSI_MEASUREMENT_READ and RSI_MEASUREMENT_EXTEND. */
#include "suite.h"

struct measurements {
	uint64_t words[NR_MEASUREMENTS][MEASUREMENT_SIZE / 8];
};

static uint64_t read_one(struct suite *suite, unsigned index, uint64_t words[MEASUREMENT_SIZE / 8])
{
	struct regs regs;
	uint64_t status = call1(suite, &regs, RSI_MEASUREMENT_READ, index);

	for (unsigned i = 0; i < MEASUREMENT_SIZE / 8; i++)
		words[i] = regs.x[i + 1];
	return status;
}

static bool read_all(struct suite *suite, struct measurements *all)
{
	bool ok = true;

	for (unsigned i = 0; i < NR_MEASUREMENTS; i++)
		ok = read_one(suite, i, all->words[i]) == RSI_SUCCESS && ok;
	return ok;
}

/* Whether nothing but measurement @except has changed. */
static bool same_but(const struct measurements *a, const struct measurements *b, unsigned except)
{
	for (unsigned i = 0; i < NR_MEASUREMENTS; i++) {
		if (i != except && memcmp(a->words[i], b->words[i], MEASUREMENT_SIZE) != 0)
			return false;
	}
	return true;
}

static bool all_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static const struct call_case read_errors[] = {
	{"measurement read: index 5", RSI_MEASUREMENT_READ, RSI_ERROR_INPUT, {{ARG_ABS, 5}}},
	{"measurement read: index 6", RSI_MEASUREMENT_READ, RSI_ERROR_INPUT, {{ARG_ABS, 6}}},
	{"measurement read: index 2^32",
	 RSI_MEASUREMENT_READ,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, 1ull << 32}}},
	{"measurement read: highest index",
	 RSI_MEASUREMENT_READ,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, ~0ull}}},
};

static const struct call_case extend_errors[] = {
	{"measurement extend: index 0 is the RIM",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, 0}, {ARG_ABS, 32}}},
	{"measurement extend: index 5",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, 5}, {ARG_ABS, 32}}},
	{"measurement extend: index 2^32 + 1",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, (1ull << 32) + 1}, {ARG_ABS, 32}}},
	{"measurement extend: highest index",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, ~0ull}, {ARG_ABS, 32}}},
	{"measurement extend: size 65",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, 1}, {ARG_ABS, 65}}},
	{"measurement extend: size 2^32",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, 1}, {ARG_ABS, 1ull << 32}}},
	{"measurement extend: highest size",
	 RSI_MEASUREMENT_EXTEND,
	 RSI_ERROR_INPUT,
	 {{ARG_ABS, 1}, {ARG_ABS, ~0ull}}},
};

struct extend_case {
	char name[56];
	unsigned index, size;
};

static const struct extend_case extends[] = {
	{"measurement extend: 64 bytes to index 1", 1, 64},
	{"measurement extend: 32 bytes to index 2", 2, 32},
	{"measurement extend: no bytes to index 3", 3, 0},
	{"measurement extend: one byte to index 4", 4, 1},
	{"measurement extend: 48 bytes more to index 1", 1, 48},
	{"measurement extend: 33 bytes more to index 2", 2, 33},
};

/* TF-RMM hashes the old digest and the value, each at its own length. */
void extend_tf_rmm(unsigned algo, const uint8_t *old, const uint8_t *value, size_t size,
		   uint8_t *digest)
{
	uint8_t message[2 * MEASUREMENT_SIZE];
	size_t old_size = sha2_size(algo);

	memcpy(message, old, old_size);
	memcpy(message + old_size, value, size);
	memset(digest, 0, MEASUREMENT_SIZE);
	sha2((enum sha2)algo, message, old_size + size, digest);
}

/* The specification (B3.42) pads both to 64 bytes. */
void extend_spec(unsigned algo, const uint8_t *old, const uint8_t *value, size_t size,
		 uint8_t *digest)
{
	uint8_t message[2 * MEASUREMENT_SIZE];

	memset(message, 0, sizeof(message));
	memcpy(message, old, MEASUREMENT_SIZE);
	memcpy(message + MEASUREMENT_SIZE, value, size);
	memset(digest, 0, MEASUREMENT_SIZE);
	sha2((enum sha2)algo, message, sizeof(message), digest);
}

static void check_extend(struct suite *suite, const struct extend_case *c, struct measurements *all)
{
	struct measurements before = *all;
	const uint8_t *old = (const uint8_t *)before.words[c->index];
	uint8_t tf_rmm[MEASUREMENT_SIZE], spec[MEASUREMENT_SIZE];
	bool is_tf_rmm, is_spec, ok;
	struct regs regs;

	call_fill(&regs, RSI_MEASUREMENT_EXTEND);
	regs.x[1] = c->index;
	regs.x[2] = c->size;
	extend_tf_rmm(suite->hash_algo, old, (const uint8_t *)&regs.x[3], c->size, tf_rmm);
	extend_spec(suite->hash_algo, old, (const uint8_t *)&regs.x[3], c->size, spec);
	call(suite, &regs);

	ok = read_all(suite, all) && regs.x[0] == RSI_SUCCESS && same_but(&before, all, c->index);
	is_tf_rmm = !memcmp(all->words[c->index], tf_rmm, MEASUREMENT_SIZE);
	is_spec = !memcmp(all->words[c->index], spec, MEASUREMENT_SIZE);
	tap_check(&suite->tap, ok && (is_tf_rmm || is_spec), c->name);
	tap_note(&suite->tap, "x0=%lx, others %s, formula: %s", regs.x[0],
		 same_but(&before, all, c->index) ? "kept" : "changed",
		 is_tf_rmm && is_spec ? "TF-RMM and specification agree"
		 : is_tf_rmm          ? "TF-RMM"
		 : is_spec            ? "specification"
				      : "neither TF-RMM nor specification");
}

void check_measurements(struct suite *suite)
{
	struct tap *tap = &suite->tap;
	size_t size = sha2_size(suite->hash_algo);
	struct measurements first = {0}, all = {0};
	bool padded = true;

	tap_check(tap, read_all(suite, &first), "measurement read: indexes 0 to 4");
	for (unsigned i = 0; i < NR_MEASUREMENTS; i++)
		padded = padded &&
			 all_zero((const uint8_t *)first.words[i] + size, MEASUREMENT_SIZE - size);
	tap_check(tap, padded, "measurement read: zeros behind the digest");
	tap_check(tap, !all_zero(first.words[0], MEASUREMENT_SIZE), "measurement read: RIM is set");
	tap_check(tap, all_zero(first.words[1], 4 * MEASUREMENT_SIZE),
		  "measurement read: REMs start as zeros");
	console_write(tap->console, "# rim=");
	for (size_t i = 0; i < size; i++)
		console_print(tap->console, "%02x", ((const uint8_t *)first.words[0])[i]);
	console_write(tap->console, "\n");

	call_table(suite, read_errors, ARRAY_SIZE(read_errors));
	call_table(suite, extend_errors, ARRAY_SIZE(extend_errors));
	tap_check(tap, read_all(suite, &all) && same_but(&first, &all, NR_MEASUREMENTS),
		  "measurement extend: a refused one changes nothing");

	if (!size) {
		tap_skip(tap, "measurement extend: formula", "unknown hash algorithm");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extends); i++)
		check_extend(suite, &extends[i], &all);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/realm/rsi.c src/util/hash.c */
/*
 * A guest's RSI calls, any register file at any time, against a model of its memory.
 *
 * Property: the contract's register discipline holds; a refused call changes nothing; what an
 * accepted one reports is what happened to the model; ops are only called with what they were
 * promised; memory that is not RIPAS RAM is never touched.
 *
 * Input: one byte of configuration, then a script. A step is an opcode byte (low nibble: the call,
 * bit 4: which vCPU), then for each of X1 to X10 a selector byte and what that asks for. Bytes
 * behind the end are zeros.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/rsi.h"
#include "fuzz.h"

#define RAM       0x80000000ull
#define NR_PAGES  4
#define RAM_TOP   (RAM + NR_PAGES * GRANULE_SIZE)
#define NR_VCPUS  2
#define MAX_STEPS 64

#define IDLE SIZE_MAX

struct model {
	uint8_t memory[NR_PAGES][GRANULE_SIZE];
	enum rsi_ripas ripas[NR_PAGES];
};

struct machine {
	struct model model;
	struct rsi rsi;
	struct rsi_vcpu vcpus[NR_VCPUS];
	size_t token_size;
	size_t token_left[NR_VCPUS]; /* IDLE if there is no token */
};

struct input {
	const uint8_t *bytes;
	size_t size;
};

static uint64_t take(struct input *input, size_t size)
{
	uint64_t value = 0;

	if (size > input->size)
		size = input->size;
	if (size > 0)
		memcpy(&value, input->bytes, size);
	input->bytes += size;
	input->size -= size;
	return value;
}

/* The operations. */

static uint64_t par_top(const struct rsi *rsi)
{
	return 1ull << (rsi->ipa_bits - 1);
}

static uint8_t *find_bytes(struct machine *machine, ipa_t base, size_t size)
{
	const uint64_t page = (base.v - RAM) / GRANULE_SIZE;

	require(base.v < par_top(&machine->rsi));
	require(size > 0 && size <= GRANULE_SIZE - base.v % GRANULE_SIZE);
	if (page >= NR_PAGES || machine->model.ripas[page] != RSI_RAM)
		return NULL;
	return &machine->model.memory[page][base.v % GRANULE_SIZE];
}

static int model_read(void *ctx, ipa_t base, void *buf, size_t size)
{
	const uint8_t *bytes = find_bytes(ctx, base, size);

	if (!bytes)
		return -EFAULT;
	memcpy(buf, bytes, size);
	return 0;
}

static int model_write(void *ctx, ipa_t base, const void *buf, size_t size)
{
	uint8_t *bytes = find_bytes(ctx, base, size);

	if (!bytes)
		return -EFAULT;
	memcpy(bytes, buf, size);
	return 0;
}

static enum rsi_ripas ripas_at(const struct model *model, uint64_t at)
{
	return at < RAM || at >= RAM_TOP ? RSI_EMPTY : model->ripas[(at - RAM) / GRANULE_SIZE];
}

/* The next address above @at where the state may differ. */
static uint64_t next_edge(uint64_t at, uint64_t top)
{
	const uint64_t next = at < RAM ? RAM : at < RAM_TOP ? at + GRANULE_SIZE : top;

	return next < top ? next : top;
}

static bool is_range(const struct rsi *rsi, uint64_t base, uint64_t top)
{
	return base < top && top <= par_top(rsi) && base % GRANULE_SIZE == 0 &&
	       top % GRANULE_SIZE == 0;
}

static enum rsi_ripas model_ripas_get(void *ctx, ipa_t base, ipa_t top, ipa_t *ret_top)
{
	const struct machine *machine = ctx;
	const enum rsi_ripas ripas = ripas_at(&machine->model, base.v);

	require(is_range(&machine->rsi, base.v, top.v));
	*ret_top = base;
	while (ret_top->v < top.v && ripas_at(&machine->model, ret_top->v) == ripas)
		ret_top->v = next_edge(ret_top->v, top.v);
	return ripas;
}

static int model_ripas_set(void *ctx, ipa_t base, ipa_t top, enum rsi_ripas ripas,
			   bool change_destroyed, ipa_t *ret_top)
{
	struct machine *machine = ctx;

	require(is_range(&machine->rsi, base.v, top.v));
	require(ripas == RSI_EMPTY || ripas == RSI_RAM);
	for (*ret_top = base; ret_top->v < top.v; ret_top->v = next_edge(ret_top->v, top.v)) {
		if (ret_top->v < RAM || ret_top->v >= RAM_TOP)
			return -EPERM;
		if (ripas_at(&machine->model, ret_top->v) == RSI_DESTROYED && !change_destroyed)
			return 0;
		machine->model.ripas[(ret_top->v - RAM) / GRANULE_SIZE] = ripas;
	}
	return 0;
}

static void model_host_call(void *ctx, uint16_t imm, uint64_t gprs[RSI_NR_GPRS])
{
	(void)ctx;
	for (unsigned i = 0; i < RSI_NR_GPRS; i++)
		gprs[i] = ~gprs[i] ^ imm;
}

static int model_token(void *ctx, const uint8_t challenge[RSI_CHALLENGE_SIZE],
		       const uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE],
		       uint8_t token[RSI_MAX_TOKEN_SIZE], size_t *ret_size)
{
	const struct machine *machine = ctx;

	require(!memcmp(measurements, machine->rsi.measurements,
			sizeof(machine->rsi.measurements)));
	memset(token, challenge[RSI_CHALLENGE_SIZE - 1], RSI_MAX_TOKEN_SIZE);
	*ret_size = machine->token_size;
	return challenge[0] == 0xff ? -EIO : 0;
}

static const struct rsi_ops ops = {
	.read = model_read,
	.write = model_write,
	.ripas_get = model_ripas_get,
	.ripas_set = model_ripas_set,
	.host_call = model_host_call,
};

static const struct rsi_ops ops_with_token = {
	.read = model_read,
	.write = model_write,
	.ripas_get = model_ripas_get,
	.ripas_set = model_ripas_set,
	.host_call = model_host_call,
	.token = model_token,
};

/* One call and everything around it, before and after. */
struct step {
	struct machine *machine;
	unsigned vcpu;
	uint64_t in[RSI_NR_GPRS];
	uint64_t out[RSI_NR_GPRS];
	struct model before;
	uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];
};

static bool memory_unchanged(const struct step *step)
{
	return !memcmp(&step->machine->model, &step->before, sizeof(step->before));
}

static bool measurements_unchanged(const struct step *step)
{
	return !memcmp(step->machine->rsi.measurements, step->measurements,
		       sizeof(step->measurements));
}

/* Page of RAM that @base is in, if it may be accessed; NR_PAGES if not. */
static uint64_t ram_page(const struct step *step, uint64_t base)
{
	return ripas_at(&step->before, base) == RSI_RAM ? (base - RAM) / GRANULE_SIZE : NR_PAGES;
}

/* Of all memory, only [@offset, @offset + @size) of page @page has changed. */
static bool only_changed(const struct step *step, uint64_t page, uint64_t offset, uint64_t size)
{
	static struct model expected;

	expected = step->before;
	memcpy(&expected.memory[page][offset], &step->machine->model.memory[page][offset], size);
	return !memcmp(&expected, &step->machine->model, sizeof(expected));
}

static void check_version(const struct step *step)
{
	require(step->out[0] == (step->in[1] == 0x10000 ? RSI_SUCCESS : RSI_ERROR_INPUT));
	require(step->out[1] == 0x10000 && step->out[2] == 0x10000);
}

static void check_measurement_read(const struct step *step)
{
	require(step->out[0] == (step->in[1] < 5 ? RSI_SUCCESS : RSI_ERROR_INPUT));
	if (step->out[0] == RSI_SUCCESS)
		require(!memcmp(&step->out[1], step->measurements[step->in[1]], HASH_MAX_SIZE));
}

static void check_measurement_extend(const struct step *step)
{
	const enum hash_algo algo = step->machine->rsi.hash_algo;
	const uint64_t index = step->in[1], size = step->in[2];
	uint8_t data[2 * HASH_MAX_SIZE], expected[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];
	const bool valid = index >= 1 && index <= 4 && size <= 64;

	require(step->out[0] == (valid ? RSI_SUCCESS : RSI_ERROR_INPUT));
	memcpy(expected, step->measurements, sizeof(expected));
	if (valid) {
		memcpy(data, step->measurements[index], hash_size(algo));
		memcpy(data + hash_size(algo), &step->in[3], size);
		require(!hash_digest(algo, data, hash_size(algo) + size, expected[index]));
	}
	require(!memcmp(step->machine->rsi.measurements, expected, sizeof(expected)));
}

static void check_token_init(const struct step *step)
{
	struct machine *machine = step->machine;
	size_t *left = &machine->token_left[step->vcpu];
	const bool can = machine->rsi.ops->token && (step->in[1] & 0xff) != 0xff;

	*left = IDLE;
	if (!can || machine->token_size == 0 || machine->token_size > RSI_MAX_TOKEN_SIZE) {
		require(step->out[0] == RSI_ERROR_UNKNOWN);
		return;
	}
	*left = machine->token_size;
	require(step->out[0] == RSI_SUCCESS && step->out[1] == RSI_MAX_TOKEN_SIZE);
}

/* X0 if CONTINUE must not get as far as the token, else RSI_SUCCESS. */
static uint64_t token_continue_error(const struct step *step)
{
	const uint64_t base = step->in[1], offset = step->in[2], size = step->in[3];

	if (base % GRANULE_SIZE || base >= par_top(&step->machine->rsi))
		return RSI_ERROR_INPUT;
	if (offset > 4095 || size > 4096 || offset + size > 4096)
		return RSI_ERROR_INPUT;
	if (step->machine->token_left[step->vcpu] == IDLE)
		return RSI_ERROR_STATE;
	return ram_page(step, base) == NR_PAGES ? RSI_ERROR_INPUT : RSI_SUCCESS;
}

static void check_token_continue(const struct step *step)
{
	size_t *left = &step->machine->token_left[step->vcpu];
	const uint64_t base = step->in[1], offset = step->in[2], size = step->in[3];
	const uint64_t error = token_continue_error(step);
	const size_t part = size < *left ? size : *left;

	if (error) {
		require(step->out[0] == error && memory_unchanged(step));
		return;
	}
	*left -= part;
	require(step->out[0] == (*left > 0 ? RSI_INCOMPLETE : RSI_SUCCESS));
	require(step->out[1] == part);
	if (part == 0)
		require(memory_unchanged(step));
	else
		require(only_changed(step, ram_page(step, base), offset, part));
	if (*left == 0)
		*left = IDLE;
}

static void check_realm_config(const struct step *step)
{
	const struct rsi *rsi = &step->machine->rsi;
	const uint64_t base = step->in[1], page = ram_page(step, base);
	const uint8_t *config;

	if (base % GRANULE_SIZE || page == NR_PAGES) {
		require(step->out[0] == RSI_ERROR_INPUT && memory_unchanged(step));
		return;
	}
	config = step->machine->model.memory[page];
	require(step->out[0] == RSI_SUCCESS && only_changed(step, page, 0, GRANULE_SIZE));
	require(config[0] == rsi->ipa_bits && config[8] == rsi->hash_algo && config[9] == 0);
}

static void check_ipa_state_set(const struct step *step)
{
	const struct model *after = &step->machine->model;
	const uint64_t base = step->in[1], top = step->in[2], ripas = step->in[3];
	const uint64_t done = step->out[1];

	if (!is_range(&step->machine->rsi, base, top) || ripas > RSI_RAM) {
		require(step->out[0] == RSI_ERROR_INPUT && memory_unchanged(step));
		return;
	}
	require(step->out[0] == RSI_SUCCESS && done >= base && done <= top);
	require(step->out[2] == RSI_ACCEPT ||
		(step->out[2] == RSI_REJECT && ripas == RSI_RAM && done != top));
	require(!memcmp(after->memory, step->before.memory, sizeof(after->memory)));
	for (uint64_t at = RAM; at < RAM_TOP; at += GRANULE_SIZE) {
		const bool changed = at >= base && at < done;

		require(ripas_at(after, at) ==
			(changed ? (enum rsi_ripas)ripas : ripas_at(&step->before, at)));
	}
}

static void check_ipa_state_get(const struct step *step)
{
	const uint64_t base = step->in[1], top = step->in[2], end = step->out[1];

	if (!is_range(&step->machine->rsi, base, top)) {
		require(step->out[0] == RSI_ERROR_INPUT);
		return;
	}
	require(step->out[0] == RSI_SUCCESS && end > base && end <= top);
	for (uint64_t at = base; at < end; at = next_edge(at, end))
		require(step->out[2] == ripas_at(&step->before, at));
}

/* model_host_call() turned over every bit of the registers, but for those of the immediate. */
static void check_host_call(const struct step *step)
{
	const uint64_t base = step->in[1], page = ram_page(step, base);
	const uint8_t *before, *after;
	uint16_t imm;

	if (base % 256 || page == NR_PAGES) {
		require(step->out[0] == RSI_ERROR_INPUT && memory_unchanged(step));
		return;
	}
	require(step->out[0] == RSI_SUCCESS);
	require(only_changed(step, page, base % GRANULE_SIZE + 8, 8 * RSI_NR_GPRS));
	before = &step->before.memory[page][base % GRANULE_SIZE];
	after = &step->machine->model.memory[page][base % GRANULE_SIZE];
	memcpy(&imm, before, sizeof(imm));
	for (unsigned i = 8; i < 256; i++)
		require((before[i] ^ after[i]) ==
			(0xff ^ (i % 8 < 2 ? imm >> 8 * (i % 8) & 0xff : 0)));
}

/* Whatever the call: X0 to X3 (X8) are results, zero after an error; the rest is kept. */
static void check_registers(const struct step *step)
{
	const uint32_t fid = (uint32_t)step->in[0];
	const unsigned nr_out = fid == RSI_MEASUREMENT_READ ? 9 : 4;
	const bool failed = step->out[0] != RSI_SUCCESS && step->out[0] != RSI_INCOMPLETE;

	require(!memcmp(&step->in[nr_out], &step->out[nr_out], (RSI_NR_GPRS - nr_out) * 8));
	for (unsigned i = 1; i < nr_out && failed && fid != RSI_VERSION; i++)
		require(step->out[i] == 0);
	if (nr_out == 4)
		require(step->out[3] == 0);
}

static void check_call(const struct step *step)
{
	const uint32_t fid = (uint32_t)step->in[0];

	check_registers(step);
	if (fid != RSI_MEASUREMENT_EXTEND)
		require(measurements_unchanged(step));
	if (fid <= RSI_ATTESTATION_TOKEN_INIT || fid == RSI_IPA_STATE_GET || fid > RSI_HOST_CALL)
		require(memory_unchanged(step));
	switch (fid) {
	case RSI_VERSION:
		check_version(step);
		break;
	case RSI_FEATURES:
		require(step->out[0] == RSI_SUCCESS && step->out[1] == 0);
		break;
	case RSI_MEASUREMENT_READ:
		check_measurement_read(step);
		break;
	case RSI_MEASUREMENT_EXTEND:
		check_measurement_extend(step);
		break;
	case RSI_ATTESTATION_TOKEN_INIT:
		check_token_init(step);
		break;
	case RSI_ATTESTATION_TOKEN_CONTINUE:
		check_token_continue(step);
		break;
	case RSI_REALM_CONFIG:
		check_realm_config(step);
		break;
	case RSI_IPA_STATE_SET:
		check_ipa_state_set(step);
		break;
	case RSI_IPA_STATE_GET:
		check_ipa_state_get(step);
		break;
	case RSI_HOST_CALL:
		check_host_call(step);
		break;
	default:
		require(step->out[0] == UINT64_MAX && !rsi_name(fid));
	}
}

/* Values near the edges that matter are a byte or two away; any other takes eight. */
static uint64_t take_register(struct input *input, const struct rsi *rsi)
{
	switch (take(input, 1) % 8) {
	case 0:
		return take(input, 1);
	case 1:
		return RAM + take(input, 1) % 8 * GRANULE_SIZE;
	case 2:
		return RAM + take(input, 2);
	case 3:
		return RAM + take(input, 1) * 256;
	case 4:
		return par_top(rsi) + (take(input, 1) - 4) * GRANULE_SIZE;
	case 5:
		return GRANULE_SIZE + take(input, 1) - 128;
	case 6:
		return 0 - take(input, 2);
	default:
		return take(input, 8);
	}
}

static void run_step(struct machine *machine, struct input *input)
{
	static struct step step;
	const uint8_t opcode = (uint8_t)take(input, 1);

	step.machine = machine;
	step.vcpu = opcode >> 4 & 1;
	if ((opcode & 15) == 15) {
		/* The host takes a page away. */
		machine->model.ripas[take(input, 1) % NR_PAGES] = RSI_DESTROYED;
		return;
	}
	step.in[0] = (opcode & 15) < 14 ? RSI_FID_BASE + (opcode & 15) : take(input, 8);
	for (unsigned i = 1; i < RSI_NR_GPRS; i++)
		step.in[i] = i <= 10 ? take_register(input, &machine->rsi) : ~(uint64_t)i;
	step.before = machine->model;
	memcpy(step.measurements, machine->rsi.measurements, sizeof(step.measurements));
	memcpy(step.out, step.in, sizeof(step.out));
	rsi_call(&machine->rsi, &machine->vcpus[step.vcpu], step.out);
	check_call(&step);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const size_t token_sizes[] = {1, 2124, RSI_MAX_TOKEN_SIZE, RSI_MAX_TOKEN_SIZE + 1};
	static struct machine machine;
	struct input input = {bytes, size};
	const uint8_t config = (uint8_t)take(&input, 1);
	const struct plan plan = {
		.hash_algo = config & 1 ? HASH_SHA512 : HASH_SHA256,
		.ipa_bits = config & 2 ? 48 : 33,
		.rpv = "personalisation",
	};
	uint8_t rim[HASH_MAX_SIZE] = {0};

	memset(&machine, 0, sizeof(machine));
	memset(rim, 0xa5, hash_size(plan.hash_algo));
	for (unsigned i = 0; i < NR_PAGES; i++)
		machine.model.ripas[i] = RSI_RAM;
	for (unsigned i = 0; i < NR_VCPUS; i++)
		machine.token_left[i] = IDLE;
	machine.token_size = token_sizes[config >> 3 & 3];
	rsi_init(&machine.rsi, config & 4 ? &ops_with_token : &ops, &machine, &plan, rim);
	for (unsigned i = 0; i < MAX_STEPS && input.size > 0; i++)
		run_step(&machine, &input);
	rsi_done(&machine.rsi);
	return 0;
}

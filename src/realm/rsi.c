/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call is decoded completely before it changes anything, and its results are collected apart
 * from its arguments, so that a failing call leaves nothing behind but its return code.
 *
 * Attestation, for each vCPU:
 *
 *	IDLE --INIT--> READY --CONTINUE, bytes left--> READY
 *			 |
 *			 +-----CONTINUE, last byte---> IDLE
 *
 * INIT is allowed in both states and drops a token that was being handed out; CONTINUE in IDLE is
 * ERROR_STATE. The token is complete from INIT on (a real RMM signs it in slices, and is
 * interrupted), so READY only remembers how much of it the guest has taken.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "ccr/rsi.h"

/* X0 to X8 are the most that a call writes; X0 to X3 are what every call writes. */
#define NR_OUT_MAX 9
#define NR_OUT_MIN 4

/* RsiRealmConfig. */
enum { CONFIG_IPA_WIDTH = 0x000, CONFIG_HASH_ALGO = 0x008, CONFIG_RPV = 0x200 };

/* RsiHostCall. */
enum { HOST_CALL_IMM = 0x00, HOST_CALL_GPRS = 0x08, HOST_CALL_SIZE = 0x100 };

static_assert(HOST_CALL_GPRS + 8 * RSI_NR_GPRS == HOST_CALL_SIZE, "RsiHostCall is full");

#define RIPAS_CHANGE_DESTROYED 1ull /* RsiRipasChangeFlags bit 0 */

/* What a call is asked and what it answers: registers by number. @out starts as zeros. */
struct request {
	struct rsi *rsi;
	struct rsi_vcpu *vcpu;
	const uint64_t *in;
	uint64_t out[NR_OUT_MAX];
};

static void put64(uint8_t *at, uint64_t value)
{
	const uint64_t bytes = htole64(value);

	memcpy(at, &bytes, sizeof(bytes));
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return le64toh(bytes);
}

static void put_gprs(uint8_t *at, const uint64_t *gprs, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		put64(at + 8 * i, gprs[i]);
}

static void get_gprs(uint64_t *gprs, const uint8_t *at, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		gprs[i] = get64(at + 8 * i);
}

/* One protected block of @size bytes, which is a power of two up to a granule, at its alignment. */
static bool is_protected_block(const struct rsi *rsi, uint64_t base, uint64_t size)
{
	return base % size == 0 && base < 1ull << (rsi->ipa_bits - 1);
}

static bool is_protected_range(const struct rsi *rsi, uint64_t base, uint64_t top)
{
	return base % GRANULE_SIZE == 0 && top % GRANULE_SIZE == 0 && base < top &&
	       top <= 1ull << (rsi->ipa_bits - 1);
}

static uint64_t version(struct request *req)
{
	req->out[1] = RSI_ABI_1_0;
	req->out[2] = RSI_ABI_1_0;
	return req->in[1] == RSI_ABI_1_0 ? RSI_SUCCESS : RSI_ERROR_INPUT;
}

/* An RMM 1.0 has no optional features: every register reads as zero. */
static uint64_t features(struct request *req)
{
	(void)req;
	return RSI_SUCCESS;
}

static uint64_t measurement_read(struct request *req)
{
	struct rsi *rsi = req->rsi;
	const uint64_t index = req->in[1];

	if (index >= RSI_NR_MEASUREMENTS)
		return RSI_ERROR_INPUT;
	pthread_mutex_lock(&rsi->lock);
	get_gprs(&req->out[1], rsi->measurements[index], HASH_MAX_SIZE / 8);
	pthread_mutex_unlock(&rsi->lock);
	return RSI_SUCCESS;
}

/*
 * TF-RMM's formula: the old value without its padding, then the @size bytes that are given. The
 * specification's pads both to 64 bytes; no RMM in the field does, and verifiers replay
 * what RMMs do.
 */
static uint64_t measurement_extend(struct request *req)
{
	struct rsi *rsi = req->rsi;
	const size_t old_size = hash_size(rsi->hash_algo);
	const uint64_t index = req->in[1], size = req->in[2];
	uint8_t data[2 * HASH_MAX_SIZE], digest[HASH_MAX_SIZE];
	int ret;

	if (index == 0 || index >= RSI_NR_MEASUREMENTS || size > HASH_MAX_SIZE)
		return RSI_ERROR_INPUT;
	put_gprs(data + old_size, &req->in[3], HASH_MAX_SIZE / 8);
	pthread_mutex_lock(&rsi->lock);
	memcpy(data, rsi->measurements[index], old_size);
	ret = hash_digest(rsi->hash_algo, data, old_size + size, digest);
	if (!ret)
		memcpy(rsi->measurements[index], digest, sizeof(digest));
	pthread_mutex_unlock(&rsi->lock);
	return ret ? RSI_ERROR_UNKNOWN : RSI_SUCCESS;
}

static uint64_t token_init(struct request *req)
{
	struct rsi *rsi = req->rsi;
	struct rsi_vcpu *vcpu = req->vcpu;
	uint8_t challenge[RSI_CHALLENGE_SIZE];
	uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];
	size_t size = 0;

	if (!rsi->ops->token)
		return RSI_ERROR_UNKNOWN;
	vcpu->token_size = 0;
	vcpu->token_sent = 0;
	put_gprs(challenge, &req->in[1], RSI_CHALLENGE_SIZE / 8);
	pthread_mutex_lock(&rsi->lock);
	memcpy(measurements, rsi->measurements, sizeof(measurements));
	pthread_mutex_unlock(&rsi->lock);
	if (rsi->ops->token(rsi->ctx, challenge, measurements, vcpu->token, &size) || size == 0 ||
	    size > RSI_MAX_TOKEN_SIZE)
		return RSI_ERROR_UNKNOWN;
	vcpu->token_size = size;
	req->out[1] = RSI_MAX_TOKEN_SIZE;
	return RSI_SUCCESS;
}

static uint64_t token_continue(struct request *req)
{
	struct rsi *rsi = req->rsi;
	struct rsi_vcpu *vcpu = req->vcpu;
	const uint64_t granule = req->in[1], offset = req->in[2], room = req->in[3];
	ipa_t end;
	size_t size;

	if (!is_protected_block(rsi, granule, GRANULE_SIZE) || offset >= GRANULE_SIZE ||
	    room > GRANULE_SIZE - offset)
		return RSI_ERROR_INPUT;
	if (!rsi->ops->token || vcpu->token_size == 0)
		return RSI_ERROR_STATE;
	/* Also when nothing is to be written there. */
	if (rsi->ops->ripas_get(rsi->ctx, ipa_at(granule), ipa_at(granule + GRANULE_SIZE), &end) !=
	    RSI_RAM)
		return RSI_ERROR_INPUT;
	size = vcpu->token_size - vcpu->token_sent;
	if (size > room)
		size = room;
	if (size > 0 && rsi->ops->write(rsi->ctx, ipa_at(granule + offset),
					vcpu->token + vcpu->token_sent, size))
		return RSI_ERROR_INPUT;
	vcpu->token_sent += size;
	req->out[1] = size;
	if (vcpu->token_sent < vcpu->token_size)
		return RSI_INCOMPLETE;
	vcpu->token_size = 0;
	return RSI_SUCCESS;
}

static uint64_t realm_config(struct request *req)
{
	const struct rsi *rsi = req->rsi;
	const uint64_t base = req->in[1];
	uint8_t page[GRANULE_SIZE] = {0};

	if (!is_protected_block(rsi, base, GRANULE_SIZE))
		return RSI_ERROR_INPUT;
	put64(page + CONFIG_IPA_WIDTH, rsi->ipa_bits);
	page[CONFIG_HASH_ALGO] = (uint8_t)rsi->hash_algo;
	memcpy(page + CONFIG_RPV, rsi->rpv, sizeof(rsi->rpv));
	if (rsi->ops->write(rsi->ctx, ipa_at(base), page, sizeof(page)))
		return RSI_ERROR_INPUT;
	return RSI_SUCCESS;
}

static uint64_t ipa_state_set(struct request *req)
{
	const struct rsi *rsi = req->rsi;
	const uint64_t base = req->in[1], top = req->in[2], ripas = req->in[3];
	const bool change_destroyed = req->in[4] & RIPAS_CHANGE_DESTROYED;
	ipa_t done = ipa_at(base);
	int ret;

	if (!is_protected_range(rsi, base, top) || (ripas != RSI_EMPTY && ripas != RSI_RAM))
		return RSI_ERROR_INPUT;
	ret = rsi->ops->ripas_set(rsi->ctx, ipa_at(base), ipa_at(top), (enum rsi_ripas)ripas,
				  change_destroyed, &done);
	req->out[1] = done.v;
	/* A host can only refuse to give memory; what the realm gives back is always taken. */
	if (ret && ripas == RSI_RAM && done.v != top)
		req->out[2] = RSI_REJECT;
	return RSI_SUCCESS;
}

static uint64_t ipa_state_get(struct request *req)
{
	const struct rsi *rsi = req->rsi;
	const uint64_t base = req->in[1], top = req->in[2];
	ipa_t end = ipa_at(top);

	if (!is_protected_range(rsi, base, top))
		return RSI_ERROR_INPUT;
	req->out[2] = rsi->ops->ripas_get(rsi->ctx, ipa_at(base), ipa_at(top), &end);
	req->out[1] = end.v;
	return RSI_SUCCESS;
}

static uint64_t host_call(struct request *req)
{
	const struct rsi *rsi = req->rsi;
	const uint64_t base = req->in[1];
	uint8_t block[HOST_CALL_SIZE];
	uint64_t gprs[RSI_NR_GPRS];
	uint16_t imm;

	if (!is_protected_block(rsi, base, HOST_CALL_SIZE) ||
	    rsi->ops->read(rsi->ctx, ipa_at(base), block, sizeof(block)))
		return RSI_ERROR_INPUT;
	memcpy(&imm, block + HOST_CALL_IMM, sizeof(imm));
	get_gprs(gprs, block + HOST_CALL_GPRS, RSI_NR_GPRS);
	rsi->ops->host_call(rsi->ctx, le16toh(imm), gprs);
	put_gprs(block + HOST_CALL_GPRS, gprs, RSI_NR_GPRS);
	if (rsi->ops->write(rsi->ctx, ipa_at(base + HOST_CALL_GPRS), block + HOST_CALL_GPRS,
			    8 * RSI_NR_GPRS))
		return RSI_ERROR_INPUT;
	return RSI_SUCCESS;
}

/*
 * @handle fills @req->out and returns X0; @nr_out is how many registers from X0 the call writes,
 * whatever its outcome.
 */
struct call {
	const char *name;
	uint64_t (*handle)(struct request *req);
	unsigned nr_out;
};

#define INDEX(fid) ((fid)-RSI_FID_BASE)

static const struct call calls[] = {
	[INDEX(RSI_VERSION)] = {"RSI_VERSION", version, NR_OUT_MIN},
	[INDEX(RSI_FEATURES)] = {"RSI_FEATURES", features, NR_OUT_MIN},
	[INDEX(RSI_MEASUREMENT_READ)] = {"RSI_MEASUREMENT_READ", measurement_read, NR_OUT_MAX},
	[INDEX(RSI_MEASUREMENT_EXTEND)] = {"RSI_MEASUREMENT_EXTEND", measurement_extend,
					   NR_OUT_MIN},
	[INDEX(RSI_ATTESTATION_TOKEN_INIT)] = {"RSI_ATTESTATION_TOKEN_INIT", token_init,
					       NR_OUT_MIN},
	[INDEX(RSI_ATTESTATION_TOKEN_CONTINUE)] = {"RSI_ATTESTATION_TOKEN_CONTINUE", token_continue,
						   NR_OUT_MIN},
	[INDEX(RSI_REALM_CONFIG)] = {"RSI_REALM_CONFIG", realm_config, NR_OUT_MIN},
	[INDEX(RSI_IPA_STATE_SET)] = {"RSI_IPA_STATE_SET", ipa_state_set, NR_OUT_MIN},
	[INDEX(RSI_IPA_STATE_GET)] = {"RSI_IPA_STATE_GET", ipa_state_get, NR_OUT_MIN},
	[INDEX(RSI_HOST_CALL)] = {"RSI_HOST_CALL", host_call, NR_OUT_MIN},
};

#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

static_assert(NR_CALLS == INDEX(RSI_HOST_CALL) + 1, "one entry for each identifier");

static const struct call *find_call(uint32_t fid)
{
	const uint32_t index = INDEX(fid); /* wraps for identifiers below the block */

	return index < NR_CALLS ? &calls[index] : NULL;
}

const char *rsi_name(uint32_t fid)
{
	const struct call *call = find_call(fid);

	return call ? call->name : NULL;
}

/* What an RMM 1.0 has of PSCI 1.1 (RMM spec B6); the rest KVM would have, but a realm has not. */
static const uint32_t psci_calls[] = {
	0x84000001, /* CPU_SUSPEND, 32 bits */
	0xC4000001, /* and 64 bits */
	0x84000002, /* CPU_OFF */
	0x84000003, /* CPU_ON */
	0xC4000003, /* and 64 bits */
	0x84000004, /* AFFINITY_INFO */
	0xC4000004, /* and 64 bits */
	0x84000008, /* SYSTEM_OFF */
	0x84000009, /* SYSTEM_RESET */
	0x8400000A, /* PSCI_FEATURES */
	0x80000000, /* SMCCC_VERSION */
};

void rsi_psci_features(uint64_t x[RSI_NR_GPRS])
{
	const uint32_t asked = (uint32_t)x[1];

	memset(x, 0, NR_OUT_MIN * sizeof(x[0]));
	for (size_t i = 0; i < sizeof(psci_calls) / sizeof(psci_calls[0]); i++) {
		if (psci_calls[i] == asked)
			return;
	}
	x[0] = RSI_NOT_SUPPORTED;
}

void rsi_init(struct rsi *rsi, const struct rsi_ops *ops, void *ctx, const struct plan *plan,
	      const uint8_t rim[HASH_MAX_SIZE])
{
	*rsi = (struct rsi){
		.ops = ops,
		.ctx = ctx,
		.ipa_bits = plan->ipa_bits,
		.hash_algo = plan->hash_algo,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	memcpy(rsi->rpv, plan->rpv, sizeof(rsi->rpv));
	memcpy(rsi->measurements[0], rim, sizeof(rsi->measurements[0]));
}

void rsi_done(struct rsi *rsi)
{
	pthread_mutex_destroy(&rsi->lock);
}

void rsi_call(struct rsi *rsi, struct rsi_vcpu *vcpu, uint64_t x[RSI_NR_GPRS])
{
	/* SMCCC: the identifier is W0; what is above it in X0 does not count. */
	const struct call *call = find_call((uint32_t)x[0]);
	struct request req = {.rsi = rsi, .vcpu = vcpu, .in = x};
	unsigned nr_out = NR_OUT_MIN;

	if (call) {
		req.out[0] = call->handle(&req);
		nr_out = call->nr_out;
	} else {
		req.out[0] = RSI_NOT_SUPPORTED;
	}
	memcpy(x, req.out, nr_out * sizeof(x[0]));
}

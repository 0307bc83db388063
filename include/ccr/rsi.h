/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Realm Services Interface as an RMM 1.0 answers it (RMM spec 1.0-rel0 B5), for realms that
 * nobody isolates: the emulated backend. Pure: memory and RIPAS are reached through callbacks.
 */
#ifndef CCR_RSI_H
#define CCR_RSI_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/hash.h"
#include "ccr/ipa.h"
#include "ccr/plan.h"

/* SMC64 function identifiers (B5.3). */
#define RSI_VERSION                    0xC4000190u
#define RSI_FEATURES                   0xC4000191u
#define RSI_MEASUREMENT_READ           0xC4000192u
#define RSI_MEASUREMENT_EXTEND         0xC4000193u
#define RSI_ATTESTATION_TOKEN_INIT     0xC4000194u
#define RSI_ATTESTATION_TOKEN_CONTINUE 0xC4000195u
#define RSI_REALM_CONFIG               0xC4000196u
#define RSI_IPA_STATE_SET              0xC4000197u
#define RSI_IPA_STATE_GET              0xC4000198u
#define RSI_HOST_CALL                  0xC4000199u

/** RSI_PSCI_FEATURES - of PSCI only this is answered here; the other calls KVM makes itself */
#define RSI_PSCI_FEATURES 0x8400000Au

/** RSI_FID_BASE, RSI_FID_COUNT - the block of identifiers that belongs to RSI */
#define RSI_FID_BASE  0xC4000190u
#define RSI_FID_COUNT 0x20u

/* Return codes (B5.4.1). */
#define RSI_SUCCESS       0
#define RSI_ERROR_INPUT   1
#define RSI_ERROR_STATE   2
#define RSI_INCOMPLETE    3
#define RSI_ERROR_UNKNOWN 4
#define RSI_NOT_SUPPORTED UINT64_MAX /* SMCCC: no such function */

#define RSI_ABI_1_0 0x10000u

enum rsi_ripas { RSI_EMPTY = 0, RSI_RAM = 1, RSI_DESTROYED = 2 };

/* Response to a RIPAS change (RsiResponse). */
#define RSI_ACCEPT 0
#define RSI_REJECT 1

#define RSI_NR_MEASUREMENTS 5 /* RIM, REM0 to REM3 */
#define RSI_NR_GPRS         31

#define RSI_CHALLENGE_SIZE 64
/** RSI_MAX_TOKEN_SIZE - longest token; older guests cannot take more than a granule */
#define RSI_MAX_TOKEN_SIZE GRANULE_SIZE

/** rsi_name() - "RSI_VERSION" and so on; NULL for an identifier that has no name */
const char *rsi_name(uint32_t fid);

/**
 * struct rsi_ops - what the calls act on; each may be called from any vCPU thread
 * @read, @write: protected memory, @size bytes within one granule. Return 0, or -EFAULT if the
 *	granule's RIPAS is not RAM.
 * @ripas_get: state at @base, and in *@ret_top the first address above @base, at most @top, where
 *	it differs. @base < @top, both granule aligned and protected.
 * @ripas_set: change [@base, @top) to EMPTY or RAM. *@ret_top is the first address not changed.
 *	Return 0, or -EPERM if the change is rejected at *@ret_top.
 * @host_call: @gprs are the realm's; what is left in them is returned to it.
 * @token: write a CCA token for @challenge, with the realm's @measurements as they are now, to
 *	@token, which has room for RSI_MAX_TOKEN_SIZE bytes. Return 0 and the size, not 0, in
 *	*@ret_size, or -errno. NULL if the realm has no attestation.
 */
struct rsi_ops {
	int (*read)(void *ctx, ipa_t base, void *buf, size_t size);
	int (*write)(void *ctx, ipa_t base, const void *buf, size_t size);
	enum rsi_ripas (*ripas_get)(void *ctx, ipa_t base, ipa_t top, ipa_t *ret_top);
	int (*ripas_set)(void *ctx, ipa_t base, ipa_t top, enum rsi_ripas ripas,
			 bool change_destroyed, ipa_t *ret_top);
	void (*host_call)(void *ctx, uint16_t imm, uint64_t gprs[RSI_NR_GPRS]);
	int (*token)(void *ctx, const uint8_t challenge[RSI_CHALLENGE_SIZE],
		     const uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE],
		     uint8_t token[RSI_MAX_TOKEN_SIZE], size_t *ret_size);
};

/**
 * struct rsi_vcpu - one vCPU's attestation state; starts all-zero
 * @token_size: of the token being handed out; 0 if there is none
 * @token_sent: bytes of it that the guest has
 */
struct rsi_vcpu {
	size_t token_size;
	size_t token_sent;
	uint8_t token[RSI_MAX_TOKEN_SIZE];
};

/**
 * struct rsi - one realm's side of the interface
 * @ops, @ctx: borrowed
 * @ipa_bits, @hash_algo, @rpv: what RSI_REALM_CONFIG reports
 * @lock: guards @measurements
 */
struct rsi {
	const struct rsi_ops *ops;
	void *ctx;
	unsigned ipa_bits;
	enum hash_algo hash_algo;
	uint8_t rpv[PLAN_RPV_SIZE];
	pthread_mutex_t lock;
	uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE];
};

/** rsi_init() - all REMs zero; @rim is HASH_MAX_SIZE bytes. @plan must have passed plan_steps(). */
void rsi_init(struct rsi *rsi, const struct rsi_ops *ops, void *ctx, const struct plan *plan,
	      const uint8_t rim[HASH_MAX_SIZE]);
void rsi_done(struct rsi *rsi);

/**
 * rsi_psci_features() - answer RSI_PSCI_FEATURES
 * @x: as for rsi_call(); X1 is the function that is asked for
 *
 * X0 to X3 are written, as an RMM does with every PSCI call.
 */
void rsi_psci_features(uint64_t x[RSI_NR_GPRS]);

/**
 * rsi_call() - answer one SMC of the RSI block
 * @vcpu: the caller's state, used by its thread only; NULL is allowed if @rsi->ops->token is NULL
 * @x: the vCPU's X0 to X30, @x[0] the function identifier; rewritten to what the vCPU continues
 *	with. X0 to X3 are always written (unset outputs are 0), X4 keeps its value unless it is an
 *	output, X5 and above are untouched but for MEASUREMENT_READ's X1 to X8. After an error all
 *	outputs but X0 are 0; RSI_VERSION alone reports its versions all the same.
 *
 * Unknown identifiers give X0 = -1. Nothing @x holds makes this fail: every address, size and
 * number in it is hostile.
 */
void rsi_call(struct rsi *rsi, struct rsi_vcpu *vcpu, uint64_t x[RSI_NR_GPRS]);

#endif

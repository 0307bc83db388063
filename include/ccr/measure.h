/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RIM engine: the Realm Initial Measurement as the RMM computes it (RMM spec A7.1.1, B4.5.46).
 *
 * measure_plan() hashes the owner's files. The primitives below it are also driven by the emulated
 * realm at its seal, with what it finds in guest memory and registers, so that the two results are
 * independent in all but the descriptors' format.
 */
#ifndef CCR_MEASURE_H
#define CCR_MEASURE_H

#include <stdbool.h>

#include "ccr/hash.h"
#include "ccr/plan.h"

/**
 * struct measure - a running measurement
 * @rim: current value, HASH_MAX_SIZE bytes, zero behind the digest
 *
 * The other members are private: the hash engine, and what of the realm's translation tables
 * decides how RMI_RTT_INIT_RIPAS is split into measured entries.
 */
struct measure {
	uint8_t rim[HASH_MAX_SIZE];
	struct hash_ctx hash;
	enum rmm_variant rmm;
	unsigned ipa_bits;
	bool ripas_done;
	unsigned nr_runs; /* of populated granules */
	struct {
		uint64_t base, top;
	} runs[PLAN_MAX_SEGMENTS];
};

/**
 * measure_create() - start: what RMI_REALM_CREATE measures
 * @m: on error nothing is held
 * @plan: only its hash algorithm and IPA width count
 *
 * Return: 0; -EINVAL or -EOPNOTSUPP as plan_check_params(); -ENOMEM, -EIO from the hash library.
 */
int measure_create(struct measure *m, const struct plan *plan, const struct realm_host *host);

/** measure_done() - release the hash engine; @m->rim stays readable. Takes an all-zero @m. */
void measure_done(struct measure *m);

/**
 * measure_ripas() - RMI_RTT_INIT_RIPAS of [@base, @base + @size) as KVM issues it
 * @base, @size: multiples of the granule, in the protected half of the IPA space
 *
 * With RMM 1.0, one extension for each translation-table entry, largest aligned blocks first and
 * page by page where a level-3 table exists; granules that hold data are skipped. A no-op for 2.0.
 *
 * Return: 0; -EINVAL for a bad range; -EPROTO for a second one, because a realm has one range of
 * RAM and the tables that a first one left behind are not kept; -EIO from the hash library.
 */
int measure_ripas(struct measure *m, ipa_t base, uint64_t size);

/**
 * measure_data() - RMI_DATA_CREATE of one granule
 * @base: granule aligned, in the protected half of the IPA space
 * @page: GRANULE_SIZE bytes if the content is measured, NULL if only the address is
 *
 * Granules must come in ascending order within a segment.
 *
 * Return: 0; -EINVAL for a bad address; -EEXIST for a granule that has data already; -ENOSPC if the
 * populated granules form more than PLAN_MAX_SEGMENTS runs; -EIO from the hash library.
 */
int measure_data(struct measure *m, ipa_t base, const uint8_t *page);

/**
 * measure_data_digest() - measure_data() by someone who has the granule's digest, not its content
 * @digest: hash_size() bytes of the realm's hash, NULL if only the address is measured
 */
int measure_data_digest(struct measure *m, ipa_t base, const uint8_t *digest, size_t digest_size);

/**
 * measure_rec() - RMI_REC_CREATE of the runnable vCPU (the others are not measured)
 *
 * Return: 0; -EIO from the hash library.
 */
int measure_rec(struct measure *m, uint64_t pc, const uint64_t gprs[PLAN_NR_GPRS]);

/**
 * measure_observer - told of each extension, for --explain
 * @what: "realm parameters", "RIPAS RAM", "data", "data (unmeasured)", "REC"
 * @segment: of data steps, else NULL
 * @base, @size: the addresses concerned; 0, 0 if none
 * @rim: running value after the step, hash_size() bytes
 */
typedef void measure_observer(void *ctx, const char *what, const struct plan_segment *segment,
			      ipa_t base, uint64_t size, const uint8_t *rim);

/**
 * measure_ripas_observed() - measure_ripas() with each of its extensions told to @observer
 */
int measure_ripas_observed(struct measure *m, ipa_t base, uint64_t size, measure_observer *observer,
			   void *ctx);

/**
 * measure_plan() - the RIM that @plan will have on @host
 * @observer: called with the initial value and after every extension; may be NULL
 * @ret_rim: HASH_MAX_SIZE bytes, zero behind the digest; untouched on error
 *
 * Return: 0, or -errno with @err set: plan_steps()'s errors; -ENOMEM, -EIO from the hash library.
 */
int measure_plan(const struct plan *plan, const struct realm_host *host, measure_observer *observer,
		 void *ctx, uint8_t ret_rim[HASH_MAX_SIZE], struct ccr_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference values of a realm as a CoRIM (draft-ietf-rats-corim-10), so that verifiers can be fed
 * with what `ccr-run measure` computes. The profile is that of draft-ydb-rats-cca-endorsements-04,
 * section 3.2. The document is not signed.
 */
#ifndef CCR_CORIM_H
#define CCR_CORIM_H

#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/hash.h"
#include "ccr/plan.h"

/** CORIM_PROFILE - says that the values are a CCA realm's, and how they are written */
#define CORIM_PROFILE "tag:arm.com,2025:endorsements/cca_realm#1.0.0"

/** CORIM_MAX_SIZE - no document is larger */
#define CORIM_MAX_SIZE 2048

/**
 * struct corim_realm - the reference values
 * @rim: HASH_MAX_SIZE bytes, of which hash_size(@hash_algo) count
 * @rpv: PLAN_RPV_SIZE bytes, or NULL if any value will do
 */
struct corim_realm {
	enum hash_algo hash_algo;
	const uint8_t *rim;
	const uint8_t *rpv;
};

/**
 * corim_write() - the document
 * @buf: CORIM_MAX_SIZE bytes
 *
 * The ids of the document and of the one CoMID in it are made of the values: the same values give
 * the same bytes, different ones different ids.
 *
 * Return: 0 and *@ret_size; -EINVAL with @err set for a hash algorithm that is none.
 */
int corim_write(const struct corim_realm *realm, uint8_t buf[CORIM_MAX_SIZE], size_t *ret_size,
		struct ccr_err *err);

#endif

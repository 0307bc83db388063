/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest in a realm asks of the RMM (RMM specification 1.0-rel0, B5). The numbers here are
 * the specification's, stated anew: what is tested against them must not be where they come from.
 */
#ifndef GUEST_REALM_H
#define GUEST_REALM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/arch.h"
#include "lib/machine.h"

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

#define RSI_SUCCESS       0u
#define RSI_ERROR_INPUT   1u
#define RSI_ERROR_STATE   2u
#define RSI_INCOMPLETE    3u
#define RSI_ERROR_UNKNOWN 4u
#define SMCCC_UNKNOWN     (~0ull)

#define RSI_ABI_1_0 0x10000u

#define RIPAS_EMPTY     0u
#define RIPAS_RAM       1u
#define RIPAS_DESTROYED 2u

#define CHANGE_DESTROYED 1u

/**
 * struct realm - what kind of machine this is
 * @is_realm: an RMM answers
 * @shared_bit: set in the address at which what is shared appears; 0 in a plain VM
 */
struct realm {
	bool is_realm;
	uint64_t shared_bit;
};

/** realm_detect() - whether RSI_VERSION is answered */
bool realm_detect(struct cpu *cpu);

/**
 * realm_init() - find out
 * @config: a private page to have RSI_REALM_CONFIG written to
 *
 * Return: RSI_SUCCESS, in plain VMs too, or what RSI_REALM_CONFIG said.
 */
uint64_t realm_init(struct realm *realm, struct cpu *cpu, uint8_t config[PAGE_SIZE]);

/**
 * realm_bail_out_blind() - report that RSI_REALM_CONFIG failed, and power off
 *
 * Without the IPA width the serial port's address is unknown, but there are few candidates, and a
 * wrong one faults.
 */
_Noreturn void realm_bail_out_blind(struct cpu *cpu, const struct machine *machine,
				    uint64_t status);

/**
 * realm_share(), realm_unshare() - give whole pages to the host, or take them back
 *
 * Their contents are lost either way. In a plain VM nothing is done. Return: false if the RMM
 * refused, with some of the pages perhaps changed.
 */
bool realm_share(const struct realm *realm, uint64_t base, uint64_t size);
bool realm_unshare(const struct realm *realm, uint64_t base, uint64_t size);

#endif

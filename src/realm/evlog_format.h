/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the writer and the reader of measurement logs must agree on. All numbers of a log are
 * little-endian, and nothing is aligned.
 *
 * TCG: "TCG PC Client Platform Firmware Profile", section 10 (event logging).
 */
#ifndef SRC_EVLOG_FORMAT_H
#define SRC_EVLOG_FORMAT_H

#include <stdint.h>

#include "ccr/evlog.h"

/* TCG_PCR_EVENT2.eventType */
#define EV_NO_ACTION  0x03u
#define EV_EVENT_TAG  0x06u
#define EV_POST_CODE2 0x13u

/* The RIM stands where a TPM has PCR 0. */
#define EVLOG_PCR_RIM 0u

/* First event, in the format of SHA-1 logs: TCG_PCClientPCREvent with TCG_EfiSpecIdEvent. */
#define EVLOG_SHA1_SIZE 20
#define EVLOG_SPEC_ID   "Spec ID Event03"
#define EVLOG_SPEC_VERSION                                                               \
	{                                                                                \
		0 /* minor */, 2 /* major */, 106 /* revision */, 2 /* UINTN: 64 bits */ \
	}
#define EVLOG_SPEC_ID_SIZE 33 /* with one algorithm, without vendor information */
#define EVLOG_SIGNATURE    16

/* TPM_ALG_ID, by enum hash_algo */
static const uint16_t evlog_tcg_algos[] = {
	[HASH_SHA256] = 0x000b,
	[HASH_SHA512] = 0x000d,
	[HASH_SHA384] = 0x000c,
};

#define EVLOG_NR_ALGOS (sizeof(evlog_tcg_algos) / sizeof(evlog_tcg_algos[0]))

/* Signatures of EV_NO_ACTION events, padded with zeros, and the size of what is behind one. */
#define EVLOG_VM_VERSION      "VM VERSION"
#define EVLOG_VM_VERSION_SIZE (EVLOG_NAME_SIZE + EVLOG_VERSION_SIZE + 8 + 4)
#define EVLOG_DTB             "DTB"

/* TCG_PCClientTaggedEvent.taggedEventID: those of realms' tools, then ccr-run's own. */
enum evlog_tag {
	EVLOG_TAG_REALM_CREATE = 1,
	EVLOG_TAG_INIT_RIPAS = 2,
	EVLOG_TAG_REC_CREATE = 3,
	EVLOG_TAG_RMM = 0x52434301,      /* \1CCR: which RMM's way of measuring */
	EVLOG_TAG_GRANULES = 0x52434302, /* \2CCR: digests of an image's granules */
};

#define EVLOG_REALM_CREATE_SIZE (8 + 6)
#define EVLOG_INIT_RIPAS_SIZE   (8 + 8)
#define EVLOG_REC_CREATE_SIZE   (8 + 8 + 8 * PLAN_NR_GPRS)
#define EVLOG_RMM_SIZE          1
#define EVLOG_GRANULES_HEAD     (8 + 8)

/* TCG recommends at most 1 MiB an event: 8192 granules with SHA-512 take half of that. */
#define EVLOG_MAX_GRANULES 8192u

/* Bits of REALM_CREATE's flags (RmiRealmFlags) and of REC_CREATE's (RmiRecCreateFlags). */
enum {
	EVLOG_REALM_LPA2 = 1 << 0,
	EVLOG_REALM_SVE = 1 << 1,
	EVLOG_REALM_PMU = 1 << 2,
	EVLOG_REC_RUNNABLE = 1 << 0,
};

/* Blob descriptions, and the names of the plan's segments that they stand for. */
static const struct {
	const char *segment;
	const char *description;
} evlog_blobs[] = {
	{"kernel", "KERNEL"},
	{"initrd", "INITRD"},
	{"device tree", "DTB"},
	{"measurement log", "LOG"},
};

#define EVLOG_NR_BLOBS (sizeof(evlog_blobs) / sizeof(evlog_blobs[0]))

#endif

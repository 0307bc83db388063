/* SPDX-License-Identifier: Apache-2.0 */
/* ccr.rsi=cpu: the CPU as a realm's EL1 reads it, for a comparison of hosts. */
#include "suite.h"

/* By encoding: an assembler need not know the newer names. */
#define READ_ID(encoding)                                            \
	({                                                           \
		uint64_t value;                                      \
		__asm__ volatile("mrs %0, " encoding : "=r"(value)); \
		value;                                               \
	})

void mode_cpu(struct suite *suite)
{
	struct tap *tap = &suite->tap;

	tap_note(tap, "cpu MIDR_EL1=%lx", READ_ID("S3_0_C0_C0_0"));
	tap_note(tap, "cpu ID_AA64PFR0_EL1=%lx", READ_ID("S3_0_C0_C4_0"));
	tap_note(tap, "cpu ID_AA64PFR1_EL1=%lx", READ_ID("S3_0_C0_C4_1"));
	tap_note(tap, "cpu ID_AA64PFR2_EL1=%lx", READ_ID("S3_0_C0_C4_2"));
	tap_note(tap, "cpu ID_AA64ZFR0_EL1=%lx", READ_ID("S3_0_C0_C4_4"));
	tap_note(tap, "cpu ID_AA64SMFR0_EL1=%lx", READ_ID("S3_0_C0_C4_5"));
	tap_note(tap, "cpu ID_AA64DFR0_EL1=%lx", READ_ID("S3_0_C0_C5_0"));
	tap_note(tap, "cpu ID_AA64DFR1_EL1=%lx", READ_ID("S3_0_C0_C5_1"));
	tap_note(tap, "cpu ID_AA64ISAR0_EL1=%lx", READ_ID("S3_0_C0_C6_0"));
	tap_note(tap, "cpu ID_AA64ISAR1_EL1=%lx", READ_ID("S3_0_C0_C6_1"));
	tap_note(tap, "cpu ID_AA64ISAR2_EL1=%lx", READ_ID("S3_0_C0_C6_2"));
	tap_note(tap, "cpu ID_AA64ISAR3_EL1=%lx", READ_ID("S3_0_C0_C6_3"));
	tap_note(tap, "cpu ID_AA64MMFR0_EL1=%lx", READ_ID("S3_0_C0_C7_0"));
	tap_note(tap, "cpu ID_AA64MMFR1_EL1=%lx", READ_ID("S3_0_C0_C7_1"));
	tap_note(tap, "cpu ID_AA64MMFR2_EL1=%lx", READ_ID("S3_0_C0_C7_2"));
	tap_note(tap, "cpu ID_AA64MMFR3_EL1=%lx", READ_ID("S3_0_C0_C7_3"));
	tap_note(tap, "cpu ID_AA64MMFR4_EL1=%lx", READ_ID("S3_0_C0_C7_4"));
	tap_note(tap, "cpu CTR_EL0=%lx", READ_ID("S3_3_C0_C0_1"));
	tap_note(tap, "cpu DCZID_EL0=%lx", READ_ID("S3_3_C0_C0_7"));
	tap_note(tap, "cpu CNTFRQ_EL0=%lx", READ_ID("S3_3_C14_C0_0"));
}

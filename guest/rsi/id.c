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

/* Fields of 4 bits. */
#define PFR0_SVE(value)    ((value) >> 32 & 0xf)
#define DFR0_PMUVER(value) ((value) >> 8 & 0xf)
#define PMUVER_NONE        0
#define PMUVER_NOT_ARMS    0xf

#define CPACR_VECTORS (3ul << 20 | 3ul << 16) /* FPEN and ZEN: trap nothing */

/* The longest vector that there is comes of asking for one that is longer than any. */
static unsigned long sve_bits(void)
{
	unsigned long bytes;

	__asm__ volatile("mrs %0, cpacr_el1\n"
			 "orr %0, %0, %1\n"
			 "msr cpacr_el1, %0\n"
			 "isb\n"
			 "mov %0, #0xf\n"
			 "msr S3_0_C1_C2_0, %0\n" /* ZCR_EL1 */
			 "isb\n"
			 ".inst 0x04bf5020\n" /* rdvl x0, #1 */
			 "mov %0, x0"
			 : "=&r"(bytes)
			 : "r"(CPACR_VECTORS)
			 : "x0", "memory");
	return 8 * bytes;
}

/* What is there only with SVE, or only with a PMU. */
static void show_optional(struct tap *tap)
{
	const uint64_t pmuver = DFR0_PMUVER(READ_ID("S3_0_C0_C5_0"));

	if (PFR0_SVE(READ_ID("S3_0_C0_C4_0")))
		tap_note(tap, "cpu SVE_BITS=%lx", sve_bits());
	if (pmuver != PMUVER_NONE && pmuver != PMUVER_NOT_ARMS)
		tap_note(tap, "cpu PMU_COUNTERS=%lx", READ_ID("S3_3_C9_C12_0") >> 11 & 0x1f);
}

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
	show_optional(tap);
}

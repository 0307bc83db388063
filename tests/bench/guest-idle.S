/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does nothing, as an arm64 Image: 50 kernels would not be up before the next day.
 */
	.text
	.globl _start
_start:
	b	1f
	.long	0
	.quad	0		/* offset from the base of RAM */
	.quad	0x1000		/* size in memory */
	.quad	0x2		/* little endian, pages of 4 KiB */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0
1:	wfi
	b	1b
	.balign	4096

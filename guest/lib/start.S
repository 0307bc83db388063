/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry, exception vectors and the few instructions that C cannot say. Runs at EL1 with the MMU
 * off, hence on Device memory: aligned accesses only.
 */

/* struct cpu, struct exception_frame: arch.h asserts these. */
#define CPU_STACK_TOP	0
#define CPU_ENTRY	8
#define FRAME_SIZE	288
#define FRAME_ELR	248

	.section .head.text, "ax"
	.globl	_start
_start:
	b	primary_entry

	.text

primary_entry:
	msr	daifset, #0xf
	adr	x1, vectors
	msr	vbar_el1, x1
	msr	tpidr_el1, xzr
	isb
	adrp	x1, __stack_top
	add	sp, x1, :lo12:__stack_top
	mov	x29, xzr
	mov	x30, xzr
	adrp	x1, __scratch
	add	x1, x1, :lo12:__scratch
	bl	guest_main
	b	cpu_park

/* A vCPU started by PSCI CPU_ON, its struct cpu as the context argument. */
	.globl	secondary_entry
secondary_entry:
	msr	daifset, #0xf
	adr	x1, vectors
	msr	vbar_el1, x1
	msr	tpidr_el1, x0
	isb
	ldr	x1, [x0, #CPU_STACK_TOP]
	mov	sp, x1
	mov	x29, xzr
	mov	x30, xzr
	ldr	x1, [x0, #CPU_ENTRY]
	blr	x1
	b	cpu_park

	.globl	cpu_park
cpu_park:
	wfi
	b	cpu_park

	.globl	cpu_spin
cpu_spin:
	b	cpu_spin

/* void cpu_jump_to_fault(uint64_t vbar, uint64_t entry): never returns */
	.globl	cpu_jump_to_fault
cpu_jump_to_fault:
	msr	vbar_el1, x0
	isb
	br	x1

	.macro	vector kind
	.balign	0x80
	sub	sp, sp, #FRAME_SIZE
	stp	x0, x1, [sp]
	mov	x1, #\kind
	b	exception_common
	.endm

	.balign	0x800
vectors:
	.irp	kind, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vector	\kind
	.endr

exception_common:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	str	x30, [sp, #240]
	mrs	x2, elr_el1
	mrs	x3, spsr_el1
	mrs	x4, esr_el1
	mrs	x5, far_el1
	str	x2, [sp, #FRAME_ELR]
	stp	x3, x4, [sp, #FRAME_ELR + 8]
	str	x5, [sp, #FRAME_ELR + 24]
	mov	x0, sp
	bl	exception_handle
	ldr	x2, [sp, #FRAME_ELR]
	ldr	x3, [sp, #FRAME_ELR + 8]
	msr	elr_el1, x2
	msr	spsr_el1, x3
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x19, [sp, #144]
	ldp	x20, x21, [sp, #160]
	ldp	x22, x23, [sp, #176]
	ldp	x24, x25, [sp, #192]
	ldp	x26, x27, [sp, #208]
	ldp	x28, x29, [sp, #224]
	ldr	x30, [sp, #240]
	ldp	x0, x1, [sp]
	add	sp, sp, #FRAME_SIZE
	eret

/*
 * What may fault by intent keeps in x19 where to go on afterwards; exception_handle() takes that
 * when the fault was expected.
 */
	.macro	may_fault_begin
	stp	x19, x30, [sp, #-16]!
	adr	x19, 1f
	.endm

	.macro	may_fault_end
1:	ldp	x19, x30, [sp], #16
	ret
	.endm

/* uint32_t raw_read32(uint64_t addr) */
	.globl	raw_read32
raw_read32:
	may_fault_begin
	ldr	w0, [x0]
	may_fault_end

/* void raw_write32(uint64_t addr, uint32_t value) */
	.globl	raw_write32
raw_write32:
	may_fault_begin
	str	w1, [x0]
	dsb	sy
	may_fault_end

/* void raw_write8(uint64_t addr, uint8_t value) */
	.globl	raw_write8
raw_write8:
	may_fault_begin
	strb	w1, [x0]
	dsb	sy
	may_fault_end

/* void raw_exec(uint64_t addr) */
	.globl	raw_exec
raw_exec:
	may_fault_begin
	blr	x0
	may_fault_end

/* void raw_smc(struct regs *regs), void raw_hvc(struct regs *regs) */
	.macro	conduit name, insn
	.globl	\name
\name:
	stp	x29, x30, [sp, #-32]!
	stp	x19, x20, [sp, #16]
	mov	x20, x0
	adr	x19, 1f
	ldp	x16, x17, [x20, #128]
	ldp	x14, x15, [x20, #112]
	ldp	x12, x13, [x20, #96]
	ldp	x10, x11, [x20, #80]
	ldp	x8, x9, [x20, #64]
	ldp	x6, x7, [x20, #48]
	ldp	x4, x5, [x20, #32]
	ldp	x2, x3, [x20, #16]
	ldp	x0, x1, [x20]
	\insn	#0
1:	stp	x0, x1, [x20]
	stp	x2, x3, [x20, #16]
	stp	x4, x5, [x20, #32]
	stp	x6, x7, [x20, #48]
	stp	x8, x9, [x20, #64]
	stp	x10, x11, [x20, #80]
	stp	x12, x13, [x20, #96]
	stp	x14, x15, [x20, #112]
	stp	x16, x17, [x20, #128]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #32
	ret
	.endm

	conduit	raw_smc, smc
	conduit	raw_hvc, hvc

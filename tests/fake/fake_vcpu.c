/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs: registers, and guests that execute their scripts.
 *
 *	KVM_RUN -> finish what the last exit left -> immediate_exit or a signal? EINTR
 *		-> next operation: done in the guest, then the next; or an exit to user space
 *
 * KVM_RUN keeps signals blocked, as the kernel does not deliver them in between: one that has come
 * before the guest waits is seen as pending, and ppoll() lets it in while it waits. So a kick is
 * never lost, and it is lost if user space does it wrongly, just as under KVM.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kvm_internal.h"
#include "uapi/kvm_realm.h"

/* Bits of KVM_ARM_VCPU_INIT that this kernel knows. */
#define KNOWN_FEATURES                                                                            \
	(1u << KVM_ARM_VCPU_POWER_OFF | 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3 | \
	 1u << KVM_ARM_VCPU_SVE | 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS |                            \
	 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC)

/* Register identifiers as Linux Documentation/virt/kvm/api.rst lists them. */
#define ID_X0     0x6030000000100000ull /* X1 is two further on, and so on to X30 */
#define ID_SP     0x603000000010003eull
#define ID_PC     0x6030000000100040ull
#define ID_PSTATE 0x6030000000100042ull
#define ID_SP_EL1 0x6030000000100044ull
#define ID_ELR    0x6030000000100046ull
#define ID_SPSR   0x6030000000100048ull
#define ID_SCTLR  0x603000000013c080ull
#define ID_ESR    0x603000000013c290ull
#define ID_FAR    0x603000000013c300ull
#define ID_VBAR   0x603000000013c600ull
#define ID_MMFR0  0x603000000013c038ull
#define ID_PSCI   0x6030000000140000ull

#define PSTATE_EL1H  0x3c5ull      /* and all interrupts masked */
#define SCTLR_RESET  0x30c50838ull /* MMU and caches off */
#define SCTLR_M      1ull
#define PSCI_DEFAULT 0x10003ull

#define LOAD_GPR 9 /* where loads go */

#define ESR_DATA_ABORT        0x96000010ull /* same level, synchronous external */
#define ESR_INSTRUCTION_ABORT 0x86000010ull

#define SMCCC_VERSION      0x80000000u
#define PSCI_SYSTEM_RESET2 0xC4000012u
#define PSCI_INVALID       ((uint64_t)-2)
#define NOT_SUPPORTED      ((uint64_t)-1)

/* Registers. */

static const struct {
	uint64_t id;
	enum fake_reg reg;
} named_regs[] = {
	{ID_PC, FAKE_PC},       {ID_PSTATE, FAKE_PSTATE}, {ID_ELR, FAKE_ELR},
	{ID_SPSR, FAKE_SPSR},   {ID_ESR, FAKE_ESR},       {ID_FAR, FAKE_FAR},
	{ID_VBAR, FAKE_VBAR},   {ID_SCTLR, FAKE_SCTLR},   {ID_PSCI, FAKE_PSCI},
	{ID_MMFR0, FAKE_MMFR0},
};

static bool is_gpr(uint64_t id)
{
	return id >= ID_X0 && id <= ID_X0 + 2 * (FAKE_NR_GPRS - 1) && id % 2 == 0;
}

static uint64_t *find_reg(struct fake_vcpu *vcpu, uint64_t id)
{
	if (is_gpr(id))
		return &vcpu->x[(id - ID_X0) / 2];
	if (id == ID_SP)
		return &vcpu->sp;
	if (id == ID_SP_EL1)
		return &vcpu->sp_el1;
	for (size_t i = 0; i < sizeof(named_regs) / sizeof(named_regs[0]); i++) {
		if (named_regs[i].id == id)
			return &vcpu->regs[named_regs[i].reg];
	}
	return NULL;
}

/* What of a register's value the kernel refuses. */
static bool is_allowed(uint64_t id, uint64_t value)
{
	if (id == ID_PSCI)
		return value == 2 || (value >= 0x10000 && value <= PSCI_DEFAULT);
	if (id == ID_MMFR0)
		return value == fake_host()->mmfr0;
	return true;
}

static int one_reg(struct fake_vcpu *vcpu, unsigned long request, const struct kvm_one_reg *reg)
{
	uint64_t *value, wanted;
	int ret;

	if (!vcpu->is_initialised)
		return -ENOEXEC;
	if (!reg)
		return -EFAULT;
	ret = fake_cpu_reg(vcpu, request, reg);
	if (ret != FAKE_PASS)
		return ret;
	value = find_reg(vcpu, reg->id);
	if (!value)
		return -ENOENT;
	if (!reg->addr)
		return -EFAULT;
	if (request == KVM_GET_ONE_REG) {
		memcpy((void *)(uintptr_t)reg->addr, value, sizeof(*value));
		return 0;
	}
	memcpy(&wanted, (const void *)(uintptr_t)reg->addr, sizeof(wanted));
	if (!is_allowed(reg->id, wanted))
		return -EINVAL;
	*value = wanted;
	return 0;
}

/* The other requests. */

static int init(struct fake_vcpu *vcpu, const struct kvm_vcpu_init *wanted)
{
	const uint32_t lasting = ~(1u << KVM_ARM_VCPU_POWER_OFF);
	int ret;

	if (!wanted)
		return -EFAULT;
	if (wanted->target != KVM_ARM_TARGET_GENERIC_V8)
		return -EINVAL;
	for (unsigned i = 1; i < sizeof(wanted->features) / sizeof(wanted->features[0]); i++) {
		if (wanted->features[i])
			return -ENOENT;
	}
	if (wanted->features[0] & ~KNOWN_FEATURES)
		return -ENOENT;
	if (vcpu->is_initialised && (wanted->features[0] & lasting) != (vcpu->features & lasting))
		return -EINVAL;
	ret = fake_cpu_init(vcpu, wanted->features[0]);
	if (ret)
		return ret;
	vcpu->is_initialised = true;
	vcpu->features = wanted->features[0];
	vcpu->is_off = wanted->features[0] & 1u << KVM_ARM_VCPU_POWER_OFF;
	memset(vcpu->x, 0, sizeof(vcpu->x));
	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs[FAKE_PSTATE] = PSTATE_EL1H;
	vcpu->regs[FAKE_SCTLR] = SCTLR_RESET;
	vcpu->regs[FAKE_PSCI] = PSCI_DEFAULT;
	vcpu->regs[FAKE_MMFR0] = fake_host()->mmfr0;
	return 0;
}

static int set_events(struct fake_vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	static const uint32_t zero[sizeof(events->reserved) / sizeof(events->reserved[0])];

	if (!vcpu->is_initialised)
		return -ENOEXEC;
	if (!events)
		return -EFAULT;
	if (memcmp(events->reserved, zero, sizeof(zero)) || events->exception.serror_pending ||
	    !fake_host()->has_inject_abort)
		return -EINVAL;
	if (!events->exception.ext_dabt_pending)
		return 0;
	if (!vcpu->may_abort)
		fake_misuse("vcpu%u: an abort without an access", vcpu->index);
	if (vcpu->pending == FAKE_PENDING_READ || vcpu->pending == FAKE_PENDING_WRITE)
		fake_misuse("vcpu%u: an abort of an access that is still to be finished: kernels "
			    "before 6.13 lose it",
			    vcpu->index);
	vcpu->abort_pending = true;
	return 0;
}

static int get_mp_state(const struct fake_vcpu *vcpu, struct kvm_mp_state *state)
{
	state->mp_state = vcpu->is_off ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE;
	return 0;
}

int fake_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long request, void *arg)
{
	if (vcpu->is_running)
		fake_misuse("vcpu%u: request 0x%lx would wait until KVM_RUN has ended", vcpu->index,
			    request);
	switch (request) {
	case KVM_ARM_VCPU_INIT:
		return init(vcpu, arg);
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(vcpu, request, arg);
	case KVM_ARM_VCPU_FINALIZE:
		return fake_cpu_finalize(vcpu, arg);
	case KVM_SET_DEVICE_ATTR:
		return fake_cpu_attr(vcpu, arg);
	case KVM_GET_MP_STATE:
		return arg ? get_mp_state(vcpu, arg) : -EFAULT;
	case KVM_SET_VCPU_EVENTS:
		return set_events(vcpu, arg);
	default:
		return -EINVAL;
	}
}

void fake_vcpu_release(struct fake_vcpu *vcpu)
{
	if (vcpu->is_open || vcpu->is_mapped)
		return;
	free(vcpu->page);
	vcpu->page = NULL;
}

/* Guest code. */

static void step(struct fake_vcpu *vcpu)
{
	vcpu->regs[FAKE_PC] += 4;
}

/* The operation at hand has been done, or has been aborted. */
static void op_done(struct fake_vcpu *vcpu)
{
	const unsigned times = vcpu->op->times ? vcpu->op->times : 1;

	if (++vcpu->op->nr_done == times)
		vcpu->op++;
}

/* At EL1 with its own stack, the only state a script is ever in. */
static void take_abort(struct fake_vcpu *vcpu, struct fake_op *op, uint64_t esr)
{
	op->nr_aborts++;
	/* Nothing must have been loaded. */
	if (op->kind == FAKE_LOAD)
		op->value = vcpu->x[LOAD_GPR];
	vcpu->regs[FAKE_ESR] = esr;
	vcpu->regs[FAKE_ELR] = vcpu->regs[FAKE_PC];
	vcpu->regs[FAKE_FAR] = op->at;
	vcpu->regs[FAKE_SPSR] = vcpu->regs[FAKE_PSTATE];
	vcpu->regs[FAKE_PSTATE] = PSTATE_EL1H;
	vcpu->regs[FAKE_PC] = vcpu->regs[FAKE_VBAR] + 0x200;
}

/* The guest has been sent elsewhere, by KVM or by user space; or the access is made again. */
static void finish_fault(struct fake_vcpu *vcpu)
{
	if (vcpu->abort_pending) {
		take_abort(vcpu, vcpu->op, ESR_DATA_ABORT);
		vcpu->abort_pending = false;
		op_done(vcpu);
	} else if (vcpu->regs[FAKE_PC] != vcpu->pending_pc) {
		vcpu->op->nr_aborts++;
		op_done(vcpu);
	}
}

static void finish_exit(struct fake_vcpu *vcpu)
{
	const enum fake_pending pending = vcpu->pending;

	vcpu->pending = FAKE_NOTHING;
	switch (pending) {
	case FAKE_PENDING_READ:
		vcpu->op->value = fake_run_mmio_value(vcpu->page, vcpu->op->size);
		vcpu->x[LOAD_GPR] = vcpu->op->value;
		step(vcpu);
		op_done(vcpu);
		break;
	case FAKE_PENDING_WRITE:
		step(vcpu);
		op_done(vcpu);
		break;
	case FAKE_PENDING_CALL:
		memcpy(vcpu->op->x, vcpu->x, sizeof(vcpu->op->x));
		op_done(vcpu);
		break;
	case FAKE_PENDING_FAULT:
		finish_fault(vcpu);
		break;
	case FAKE_NOTHING:
		break;
	}
	/* An access that was finished, and then taken back. */
	if (vcpu->abort_pending) {
		take_abort(vcpu, vcpu->last_op, ESR_DATA_ABORT);
		vcpu->abort_pending = false;
	}
}

/* What an operation leads to: an exit with KVM_RUN's result, or one of these. */
enum { STAY = 1, WAIT = 2 };

static void wait_for_user(struct fake_vcpu *vcpu, enum fake_pending pending)
{
	vcpu->pending = pending;
	vcpu->pending_pc = vcpu->regs[FAKE_PC];
	vcpu->last_op = vcpu->op;
	vcpu->may_abort = pending != FAKE_PENDING_CALL;
}

/* Guest memory is not mapped for the access: nothing but the error tells. */
static int refused(struct fake_vcpu *vcpu)
{
	fake_run_reason(vcpu->page, KVM_EXIT_UNKNOWN);
	wait_for_user(vcpu, FAKE_PENDING_FAULT);
	return -EFAULT;
}

static int access_ram(struct fake_vcpu *vcpu, const struct fake_slot *slot, struct fake_op *op)
{
	const uint64_t host = slot->host + (op->at - slot->base);
	int ret;

	if (op->kind == FAKE_STORE) {
		ret = fake_memory_write(host, &op->value, op->size);
	} else {
		op->value = 0;
		ret = fake_memory_read(host, &op->value, op->size);
	}
	if (ret)
		return refused(vcpu);
	step(vcpu);
	op_done(vcpu);
	return STAY;
}

static void signal_event(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		fake_misuse("ioeventfd %d cannot be signalled", fd);
}

static int access_memory(struct fake_vcpu *vcpu, struct fake_op *op)
{
	const struct fake_slot *slot = fake_vm_slot(vcpu->vm, op->at, op->size);
	const bool is_write = op->kind == FAKE_STORE;

	if (slot)
		return access_ram(vcpu, slot, op);
	if (fake_vm_is_gic(vcpu->vm, op->at)) {
		step(vcpu);
		op_done(vcpu);
		return STAY;
	}
	if (is_write && fake_vm_event(vcpu->vm, op->at, op->size, op->value) >= 0) {
		signal_event(fake_vm_event(vcpu->vm, op->at, op->size, op->value));
		step(vcpu);
		op_done(vcpu);
		return STAY;
	}
	if (op->at >> vcpu->vm->ipa_bits) {
		take_abort(vcpu, op, ESR_DATA_ABORT);
		op_done(vcpu);
		return STAY;
	}
	vcpu->x[LOAD_GPR] = op->value;
	fake_run_mmio(vcpu->page, op->at, op->size, is_write,
		      is_write ? op->value : 0xa5a5a5a5a5a5a5a5ull);
	wait_for_user(vcpu, is_write ? FAKE_PENDING_WRITE : FAKE_PENDING_READ);
	return 0;
}

static int load_pair(struct fake_vcpu *vcpu, const struct fake_op *op)
{
	if (!vcpu->vm->reports_nisv) {
		fake_run_reason(vcpu->page, KVM_EXIT_UNKNOWN);
		return -ENOSYS;
	}
	wait_for_user(vcpu, FAKE_PENDING_FAULT);
	fake_run_nisv(vcpu->page, op->at);
	return 0;
}

static int fetch(struct fake_vcpu *vcpu, struct fake_op *op)
{
	const struct fake_slot *slot = fake_vm_slot(vcpu->vm, op->at, 4);
	uint32_t instruction;

	vcpu->regs[FAKE_PC] = op->at;
	/* KVM never asks user space about instructions outside RAM. */
	if (!slot) {
		take_abort(vcpu, op, ESR_INSTRUCTION_ABORT);
		op_done(vcpu);
		return STAY;
	}
	if (fake_memory_read(slot->host + (op->at - slot->base), &instruction, 4))
		return refused(vcpu);
	step(vcpu);
	op_done(vcpu);
	return STAY;
}

/* PSCI, in the kernel. */

static unsigned index_of(uint64_t mpidr)
{
	return (unsigned)((mpidr & 0xf) | (mpidr >> 8 & 0xff) << 4);
}

static uint64_t cpu_on(struct fake_vcpu *vcpu)
{
	const unsigned index = index_of(vcpu->x[1]);
	struct fake_vcpu *target = index < FAKE_MAX_VCPUS ? vcpu->vm->vcpus[index] : NULL;

	if (!target)
		return PSCI_INVALID;
	if (!target->is_off)
		return FAKE_PSCI_ALREADY_ON;
	target->regs[FAKE_PC] = vcpu->x[2];
	target->x[0] = vcpu->x[3];
	target->is_off = false;
	signal_event(target->fd);
	return 0;
}

static int system_event(struct fake_vcpu *vcpu, uint32_t type)
{
	for (unsigned i = 0; i < FAKE_MAX_VCPUS; i++) {
		if (vcpu->vm->vcpus[i])
			vcpu->vm->vcpus[i]->is_off = true;
	}
	fake_run_system_event(vcpu->page, type);
	op_done(vcpu);
	return 0;
}

static int call_kernel(struct fake_vcpu *vcpu, struct fake_op *op)
{
	switch ((uint32_t)vcpu->x[0]) {
	case FAKE_PSCI_SYSTEM_OFF:
		return system_event(vcpu, KVM_SYSTEM_EVENT_SHUTDOWN);
	case FAKE_PSCI_SYSTEM_RESET:
	case PSCI_SYSTEM_RESET2:
		return system_event(vcpu, KVM_SYSTEM_EVENT_RESET);
	case FAKE_PSCI_CPU_OFF:
		vcpu->is_off = true;
		op_done(vcpu);
		return STAY;
	case FAKE_PSCI_CPU_ON:
		vcpu->x[0] = cpu_on(vcpu);
		break;
	case FAKE_PSCI_VERSION:
		vcpu->x[0] = vcpu->regs[FAKE_PSCI];
		break;
	case SMCCC_VERSION:
		vcpu->x[0] = 0x10001;
		break;
	default:
		vcpu->x[0] = NOT_SUPPORTED;
		break;
	}
	memcpy(op->x, vcpu->x, sizeof(op->x));
	op_done(vcpu);
	return STAY;
}

static int call(struct fake_vcpu *vcpu, struct fake_op *op)
{
	memcpy(vcpu->x, op->x, sizeof(op->x));
	step(vcpu);
	switch (fake_vm_filter(vcpu->vm, (uint32_t)op->x[0])) {
	case KVM_REALM_SMCCC_FORWARD:
		fake_run_hypercall(vcpu->page, (uint32_t)op->x[0], op->kind == FAKE_SMC);
		wait_for_user(vcpu, FAKE_PENDING_CALL);
		return 0;
	case KVM_REALM_SMCCC_DENY:
		vcpu->x[0] = NOT_SUPPORTED;
		memcpy(op->x, vcpu->x, sizeof(op->x));
		op_done(vcpu);
		return STAY;
	default:
		return call_kernel(vcpu, op);
	}
}

static int call_test(struct fake_vcpu *vcpu, struct fake_op *op)
{
	bool again;

	fake_unlock();
	again = op->call(op->ctx);
	fake_lock();
	if (!again)
		op_done(vcpu);
	return STAY;
}

static int execute(struct fake_vcpu *vcpu)
{
	struct fake_op *op = vcpu->op;

	vcpu->may_abort = false;
	switch (op->kind) {
	case FAKE_END:
		return WAIT;
	case FAKE_LOAD:
	case FAKE_STORE:
		return access_memory(vcpu, op);
	case FAKE_LOAD_PAIR:
		return load_pair(vcpu, op);
	case FAKE_FETCH:
		return fetch(vcpu, op);
	case FAKE_ERET:
		vcpu->regs[FAKE_PC] = vcpu->regs[FAKE_ELR] + 4;
		vcpu->regs[FAKE_PSTATE] = vcpu->regs[FAKE_SPSR];
		break;
	case FAKE_SMC:
	case FAKE_HVC:
		return call(vcpu, op);
	case FAKE_CALL:
		return call_test(vcpu, op);
	case FAKE_SET_VBAR:
		vcpu->regs[FAKE_VBAR] = op->at;
		break;
	case FAKE_SET_MMU:
		vcpu->regs[FAKE_SCTLR] = SCTLR_RESET | (op->value ? SCTLR_M : 0);
		break;
	case FAKE_EXIT:
		fake_run_copy(vcpu->page, op->exit);
		op_done(vcpu);
		return op->ret;
	}
	op_done(vcpu);
	return STAY;
}

/* Has a signal come that is not blocked outside KVM_RUN? */
static bool is_kicked(const sigset_t *outside)
{
	sigset_t pending;

	sigpending(&pending);
	for (int number = 1; number < NSIG; number++) {
		if (sigismember(&pending, number) == 1 && sigismember(outside, number) == 0)
			return true;
	}
	return false;
}

/* Until PSCI or a signal comes. Return: false after a signal. */
static bool wait(struct fake_vcpu *vcpu, const sigset_t *outside)
{
	struct pollfd wake = {.fd = vcpu->fd, .events = POLLIN};
	uint64_t count;
	int ret;

	fake_unlock();
	ret = ppoll(&wake, 1, NULL, outside);
	if (ret > 0 && read(vcpu->fd, &count, sizeof(count)) < 0)
		ret = 0;
	fake_lock();
	return ret >= 0;
}

static int run_guest(struct fake_vcpu *vcpu, const sigset_t *outside)
{
	int ret = STAY;

	while (ret == STAY) {
		if (fake_run_immediate_exit(vcpu->page))
			return -EINTR;
		if (is_kicked(outside)) {
			fake_run_reason(vcpu->page, KVM_EXIT_INTR);
			return -EINTR;
		}
		ret = vcpu->is_off ? WAIT : execute(vcpu);
		if (ret == WAIT) {
			vcpu->in_guest = false;
			if (!wait(vcpu, outside)) {
				fake_run_reason(vcpu->page, KVM_EXIT_INTR);
				return -EINTR;
			}
			vcpu->in_guest = true;
			ret = STAY;
		}
	}
	return ret;
}

int fake_vcpu_run(struct fake_vcpu *vcpu)
{
	sigset_t all, outside;
	int ret;

	if (!vcpu->is_initialised)
		return -ENOEXEC;
	if (vcpu->is_running)
		fake_misuse("vcpu%u: KVM_RUN twice at once", vcpu->index);
	ret = fake_gic_check_run(vcpu->vm);
	if (!ret)
		ret = fake_cpu_check_run(vcpu);
	if (ret)
		return ret;
	vcpu->vm->has_run = true;
	finish_exit(vcpu);
	if (fake_run_immediate_exit(vcpu->page))
		return -EINTR;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &outside);
	vcpu->is_running = vcpu->in_guest = true;
	ret = run_guest(vcpu, &outside);
	vcpu->is_running = vcpu->in_guest = false;
	pthread_sigmask(SIG_SETMASK, &outside, NULL);
	return ret;
}

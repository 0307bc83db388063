/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_RUN of a realm's vCPU.
 *
 *	first run: GIC ready? -> implicit: RECs, RIPAS, activation
 *	every run: immediate_exit? -> commit what the last exit announced -> the guest's operations
 *
 * All of it under the model's lock: vCPUs of a realm take turns, in the order in which the test
 * runs them.
 */
#include <errno.h>
#include <string.h>

#include "fake_realm_internal.h"
#include "uapi/kvm_realm.h"

enum { STAY = 1 };

/* v12 on, kvm_activate_realm(): all that is left to do, or the end. */
static int finish_realm(struct fake_vm *vm)
{
	struct fake_realm *realm = vm->realm;
	int ret = vm->has_gic ? 0 : -EOPNOTSUPP;

	for (unsigned i = 0; i < vm->nr_vcpus && !ret; i++)
		ret = fake_realm_create_rec(vm, i);
	if (!ret)
		ret = fake_realm_host()->activation_error;
	if (ret)
		return ret;
	if (realm->rules->sets_ripas) {
		for (uint64_t at = 0; at < realm->size; at += FAKE_PAGE)
			fake_realm_find(realm, realm->base + at)->ripas = FAKE_RAM;
		fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_INIT_RIPAS,
							      .base = realm->base,
							      .size = realm->size});
	}
	fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_ACTIVATE});
	return 0;
}

/*
 * At the first KVM_RUN of any vCPU, before immediate_exit is looked at, which is why it can be the
 * seal (kvm_arch_vcpu_run_pid_change()). A failure is for ever; v16 gives up the VM, too.
 */
static int activate(struct fake_vm *vm)
{
	struct fake_realm *realm = vm->realm;
	int ret;

	/* Realms have no interrupt controller in user space. v12 finds out too late. */
	if (!vm->has_gic && !realm->rules->dies_without_gic)
		return -EOPNOTSUPP;
	if (realm->state == FAKE_REALM_NONE)
		fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_CREATE});
	ret = finish_realm(vm);
	realm->state = ret ? FAKE_REALM_DEAD : FAKE_REALM_ACTIVE;
	vm->is_dead = ret && realm->rules->kills_vm;
	return ret;
}

/*
 * A GIC that is not ready when a vCPU runs is lost (seen): with v5's kernel it can be initialised
 * later and then has no redistributors, since v7's the whole VM is dead.
 */
static int spoil_gic(struct fake_vm *vm)
{
	const int ret = fake_gic_check_run(vm);

	vm->realm->gic_is_spoilt = true;
	vm->is_dead = !vm->realm->rules->changes_first;
	return ret;
}

/*
 * kvm_activate_realm() of v12 tries a dead realm again, and fails; since v13 it passes it by, and
 * only kvm_rec_pre_enter() notices, which is after immediate_exit.
 */
static int check_dead(const struct fake_vcpu *vcpu)
{
	const struct fake_rules *rules = vcpu->vm->realm->rules;

	return rules->dead_is_late && fake_run_immediate_exit(vcpu->page) ? -EINTR
									  : rules->dead_run;
}

static int check_run(const struct fake_vcpu *vcpu)
{
	struct fake_realm *realm = vcpu->vm->realm;

	if (!vcpu->is_initialised)
		return -ENOEXEC;
	/* kvm_arm_vcpu_is_finalized() */
	if (realm->rules->is_explicit &&
	    (realm->state != FAKE_REALM_ACTIVE || !realm->has_rec[vcpu->index]))
		return -EPERM;
	if (!vcpu->vm->has_gic && realm->rules->is_explicit)
		return -EOPNOTSUPP;
	if (vcpu->vm->has_gic && !vcpu->vm->gic_is_ready)
		return realm->rules->needs_gic ? -ENODEV : spoil_gic(vcpu->vm);
	if (realm->gic_is_spoilt)
		return -ENXIO;
	if (realm->state == FAKE_REALM_DEAD)
		return check_dead(vcpu);
	return realm->state == FAKE_REALM_ACTIVE ? 0 : activate(vcpu->vm);
}

static int memory_fault(struct fake_vcpu *vcpu, bool private, uint64_t at, uint64_t size, int ret)
{
	vcpu->vm->realm->op[vcpu->index]->nr_exits++;
	fake_run_memory_fault(vcpu->page, private ? KVM_REALM_FAULT_PRIVATE : 0, at, size);
	return ret;
}

/*
 * RSI_IPA_STATE_SET as the host carries it out: RMI_RTT_SET_RIPAS on all of the range. Up to v14 a
 * page can be left alone until then; v16 wants its attribute changed before, so a guest there has
 * to allow DESTROYED, as Linux does.
 */
static void change_ripas(struct fake_realm *realm, const struct fake_change *change)
{
	for (uint64_t at = change->base; at < change->base + change->size; at += FAKE_PAGE) {
		struct fake_page *page = fake_realm_find(realm, at);

		/* Guests may name holes; there is nothing to be lost. */
		if (!page)
			continue;
		if (page->ripas == FAKE_DESTROYED && !change->change_destroyed)
			fake_misuse("the guest changes 0x%llx and finds it DESTROYED",
				    (unsigned long long)at);
		page->ripas = change->to_ram ? FAKE_RAM : FAKE_EMPTY;
		if (!change->to_ram && page->is_held)
			memset(realm->memory + (at - realm->base), 0, FAKE_PAGE);
	}
}

/* v16: every page's attribute must be what the guest has asked for. */
static bool matches(const struct fake_realm *realm, const struct fake_change *change)
{
	for (uint64_t at = change->base; at < change->base + change->size; at += FAKE_PAGE) {
		const struct fake_page *page = fake_realm_find(realm, at);

		if (page && page->is_private != change->to_ram)
			return false;
	}
	return true;
}

/* Return: STAY, or what KVM_RUN returns. */
static int commit(struct fake_vcpu *vcpu)
{
	struct fake_realm *realm = vcpu->vm->realm;
	struct fake_change *change = &realm->change[vcpu->index];

	if (change->size == 0)
		return STAY;
	if (realm->rules->must_match && !matches(realm, change))
		return memory_fault(vcpu, change->to_ram, change->base, change->size,
				    realm->rules->reports_zero ? 0 : -EFAULT);
	change_ripas(realm, change);
	*change = (struct fake_change){0};
	realm->op[vcpu->index]++;
	return STAY;
}

/* v5: done when user space hears of it, perhaps in part; then the guest asks for the rest. */
static int ripas_at_once(struct fake_vcpu *vcpu, struct fake_guest_op *op)
{
	const uint64_t limit = fake_realm_host()->ripas_size;
	const struct fake_change change = {
		.base = op->at,
		.size = limit && limit < op->size ? limit : op->size,
		.to_ram = op->to_ram,
		.change_destroyed = op->change_destroyed,
	};
	const int ret = memory_fault(vcpu, change.to_ram, change.base, change.size, 0);

	change_ripas(vcpu->vm->realm, &change);
	op->at += change.size;
	op->size -= change.size;
	if (op->size == 0)
		vcpu->vm->realm->op[vcpu->index]++;
	return ret;
}

static int ripas(struct fake_vcpu *vcpu, struct fake_guest_op *op)
{
	struct fake_realm *realm = vcpu->vm->realm;

	if (realm->rules->changes_first)
		return ripas_at_once(vcpu, op);
	realm->change[vcpu->index] = (struct fake_change){
		.base = op->at,
		.size = op->size,
		.to_ram = op->to_ram,
		.change_destroyed = op->change_destroyed,
	};
	return memory_fault(vcpu, op->to_ram, op->at, op->size, -EFAULT);
}

static int access_private(struct fake_vcpu *vcpu, struct fake_guest_op *op)
{
	struct fake_realm *realm = vcpu->vm->realm;
	struct fake_page *page = fake_realm_find(realm, op->at);
	const uint64_t page_at = op->at & ~(FAKE_PAGE - 1);

	/* The RMM's business: an external abort where there is no RAM. */
	if (!page || page->ripas == FAKE_EMPTY) {
		op->nr_aborts++;
		realm->op[vcpu->index]++;
		return STAY;
	}
	if (page->ripas == FAKE_DESTROYED)
		fake_misuse("the guest has lost its page at 0x%llx", (unsigned long long)op->at);
	if (realm->rules->checks_private && !page->is_private)
		return memory_fault(vcpu, true, page_at, FAKE_PAGE, -EFAULT);
	page->is_held = true;
	if (op->is_write)
		memcpy(realm->memory + (op->at - realm->base), &op->value, sizeof(op->value));
	else
		memcpy(&op->value, realm->memory + (op->at - realm->base), sizeof(op->value));
	realm->op[vcpu->index]++;
	return STAY;
}

static int access_shared(struct fake_vcpu *vcpu, struct fake_guest_op *op)
{
	struct fake_realm *realm = vcpu->vm->realm;
	const struct fake_page *page = fake_realm_find(realm, op->at);
	const uint64_t host = realm->host + (op->at - realm->base);
	int ret;

	if (!page) {
		fake_misuse("a guest of this model accesses RAM only");
		return -EFAULT;
	}
	if (realm->rules->checks_shared && page->is_private)
		return memory_fault(vcpu, false, op->at & ~(FAKE_PAGE - 1), FAKE_PAGE, -EFAULT);
	ret = op->is_write ? fake_memory_write(host, &op->value, sizeof(op->value))
			   : fake_memory_read(host, &op->value, sizeof(op->value));
	if (ret) {
		fake_run_reason(vcpu->page, KVM_EXIT_UNKNOWN);
		return ret;
	}
	realm->op[vcpu->index]++;
	return STAY;
}

static int execute(struct fake_vcpu *vcpu)
{
	struct fake_realm *realm = vcpu->vm->realm;
	struct fake_guest_op *op = realm->op[vcpu->index];

	switch (op->kind) {
	case FAKE_GUEST_OFF:
		fake_run_system_event(vcpu->page, KVM_SYSTEM_EVENT_SHUTDOWN);
		return 0;
	case FAKE_GUEST_RESET:
		fake_run_system_event(vcpu->page, KVM_SYSTEM_EVENT_RESET);
		return 0;
	case FAKE_GUEST_WAIT:
		realm->op[vcpu->index]++;
		fake_run_reason(vcpu->page, KVM_EXIT_INTR);
		return -EINTR;
	case FAKE_GUEST_RIPAS:
		return ripas(vcpu, op);
	case FAKE_GUEST_PRIVATE:
		return access_private(vcpu, op);
	case FAKE_GUEST_SHARED:
		return access_shared(vcpu, op);
	}
	return -EINVAL;
}

int fake_realm_run(struct fake_vcpu *vcpu)
{
	int ret = check_run(vcpu);

	if (ret)
		return ret;
	vcpu->vm->has_run = true;
	if (fake_run_immediate_exit(vcpu->page))
		return -EINTR;
	ret = commit(vcpu);
	while (ret == STAY)
		ret = execute(vcpu);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "fake_realm_vm.h"

#define MAX_SAME_FAULTS 4

void fake_realm_vm_prepare(struct fake_realm_vm *vm, unsigned nr_vcpus)
{
	memset(vm, 0, sizeof(*vm));
	vm->host.kvm_fd = -1;
	vm->vm = (struct arch_vm){.fd = -1, .gmem_fd = -1, .gic_fd = -1, .its_fd = -1};
	for (unsigned i = 0; i < FAKE_REALM_MAX_VCPUS; i++)
		vm->vcpus[i].fd = -1;
	assert_int_equal(memmap_init(&vm->map, FAKE_REALM_RAM_SIZE, nr_vcpus, &vm->err), 0);
	vm->plan = (struct plan){
		.hash_algo = HASH_SHA256,
		.ipa_bits = vm->map.ipa_bits,
		.nr_vcpus = nr_vcpus,
		.ram_base = ipa_at(FAKE_REALM_RAM),
		.ram_size = FAKE_REALM_RAM_SIZE,
		.pc = FAKE_REALM_KERNEL,
		.gprs = {FAKE_REALM_TREE, 1, 2, 3, 4, 5, 6, 7},
	};
	for (size_t i = 0; i < sizeof(vm->kernel); i++)
		vm->kernel[i] = (uint8_t)(7 * i + 1);
	memset(vm->tree, 0xd7, sizeof(vm->tree));
	assert_int_equal(plan_add(&vm->plan, "kernel", ipa_at(FAKE_REALM_KERNEL), vm->kernel,
				  sizeof(vm->kernel) - 0x200, 0, true, &vm->err),
			 0);
	assert_int_equal(plan_add(&vm->plan, "device tree", ipa_at(FAKE_REALM_TREE), vm->tree,
				  sizeof(vm->tree), 0, false, &vm->err),
			 0);
}

static int create_vcpus(struct fake_realm_vm *vm)
{
	int ret = 0;

	for (unsigned i = 0; i < vm->map.nr_vcpus && !ret; i++)
		ret = arch_vcpu_create(&vm->vcpus[i], &vm->vm, &vm->host, i, &vm->err);
	return ret;
}

static int finish_vcpus(struct fake_realm_vm *vm)
{
	int ret = 0;

	for (unsigned i = 0; i < vm->map.nr_vcpus && !ret; i++)
		ret = arch_vcpu_finish(&vm->vcpus[i], &vm->vm, &vm->err);
	return ret;
}

static int build(struct fake_realm_vm *vm)
{
	int ret = realm_kvm_init(&vm->kvm, &vm->host.abi, &vm->vm, vm->vcpus, vm->map.nr_vcpus,
				 vm->gmem);

	assert_int_equal(ret, 0);
	ret = realm_kvm_host(&vm->kvm, &vm->realm_host, &vm->err);
	if (ret)
		return ret;
	realm_init(&vm->realm, realm_kvm_backend(&vm->host.abi), &vm->kvm);
	return realm_build(&vm->realm, &vm->plan, &vm->realm_host, &vm->err);
}

int fake_realm_vm_launch(struct fake_realm_vm *vm)
{
	int ret = arch_host_open(&vm->host, MACHINE_REALM, &vm->map, &vm->chosen, &vm->err);

	if (!ret)
		ret = gmem_create(&vm->gmem, GMEM_REALM, ipa_at(FAKE_REALM_RAM),
				  FAKE_REALM_RAM_SIZE, vm->map.shared_bit, &vm->err);
	if (!ret)
		ret = arch_vm_create(&vm->vm, &vm->host, MACHINE_REALM, &vm->map, vm->gmem,
				     &vm->err);
	vm->vm.features = &vm->features;
	if (!ret)
		ret = create_vcpus(vm);
	if (!ret)
		ret = arch_vm_finish(&vm->vm, true, &vm->err);
	if (!ret)
		ret = finish_vcpus(vm);
	if (!ret)
		ret = arch_vcpu_set_entry(&vm->vcpus[0], vm->plan.pc, vm->plan.gprs, &vm->err);
	return ret ? ret : build(vm);
}

struct kvm_exit fake_realm_vm_step(struct fake_realm_vm *vm, unsigned vcpu)
{
	const int ret = kvm_vcpu_run(vm->vcpus[vcpu].fd);
	const struct kvm_exit exit = kvm_exit_decode(vm->vcpus[vcpu].run, ret);

	/* As in src/vm/vcpu.c: an interrupted entry may have come before the commit. */
	if (exit.kind != VCPU_EXIT_INTERRUPTED)
		assert_int_equal(realm_kvm_exited(&vm->kvm, vcpu), 0);
	return exit;
}

int fake_realm_vm_answer(struct fake_realm_vm *vm, unsigned vcpu, const struct kvm_exit *fault)
{
	return realm_kvm_convert(&vm->kvm, vcpu, fault->memory_fault.base, fault->memory_fault.size,
				 fault->memory_fault.private_access);
}

enum kvm_exit_kind fake_realm_vm_run(struct fake_realm_vm *vm, unsigned vcpu)
{
	uint64_t last = UINT64_MAX;
	unsigned nr_same = 0;

	for (;;) {
		const struct kvm_exit exit = fake_realm_vm_step(vm, vcpu);

		if (exit.kind == VCPU_EXIT_POWEROFF || exit.kind == VCPU_EXIT_INTERRUPTED)
			return exit.kind;
		if (exit.kind != VCPU_EXIT_MEMORY_FAULT ||
		    fake_realm_vm_answer(vm, vcpu, &exit) != 0)
			return VCPU_EXIT_ERROR;
		nr_same = exit.memory_fault.base.v == last ? nr_same + 1 : 0;
		last = exit.memory_fault.base.v;
		if (nr_same == MAX_SAME_FAULTS)
			return VCPU_EXIT_ERROR;
	}
}

void fake_realm_vm_done(struct fake_realm_vm *vm)
{
	realm_kvm_done(&vm->kvm);
	for (unsigned i = 0; i < vm->map.nr_vcpus; i++)
		arch_vcpu_destroy(&vm->vcpus[i]);
	arch_vm_destroy(&vm->vm);
	gmem_destroy(vm->gmem);
	arch_host_close(&vm->host);
}

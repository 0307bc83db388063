/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: arch/arm64/kvm/host.c arch/arm64/kvm/probe.c arch/arm64/kvm/realm_abi.c
 *	arch/arm64/kvm/vm.c arch/arm64/kvm/msi.c
 *	arch/arm64/kvm/vcpu.c arch/arm64/kvm/features.c
 *	src/realm/features.c
 *	src/kvm/kvm.c src/kvm/exit.c src/mem/backing.c src/mem/gmem.c arch/arm64/memmap.c
 *	src/util/err.c src/util/log.c src/util/file.c src/util/parse.c
 *	tests/fake/fake_kvm.c tests/fake/fake_gic.c tests/fake/fake_vcpu.c
 *	tests/fake/fake_cpu.c tests/fake/fake_run.c
 *	src/kvm/describe.c
 *	src/host/facts.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../fake/fake_kvm.h"
#include "ccr/arch.h"

#define RAM_SIZE   (64ull << 20)
#define RAM        MEMMAP_RAM_BASE
#define SHARED_BIT (1ull << 32)
#define HOLE       0x02000000ull /* nothing is there */
#define VECTORS    (RAM + 0x10000)
#define PLENTY     4

/* A machine of @nr_vcpus, as far as it gets. */
struct bench {
	struct memmap map;
	struct arch_host host;
	struct gmem *gmem;
	struct arch_vm vm;
	unsigned nr_vcpus;
	struct arch_vcpu vcpus[PLENTY];
	struct ccr_err err;
};

static void make_map(struct bench *bench, unsigned nr_vcpus)
{
	memset(bench, 0, sizeof(*bench));
	bench->vm = (struct arch_vm){.fd = -1, .gmem_fd = -1, .gic_fd = -1, .its_fd = -1};
	assert_int_equal(memmap_init(&bench->map, RAM_SIZE, nr_vcpus, &bench->err), 0);
}

static int open_host(struct bench *bench, enum machine_kind kind, const struct fake_host *fake)
{
	fake_kvm_begin(fake);
	return arch_host_open(&bench->host, kind, &bench->map, NULL, &bench->err);
}

/* The host, the VM and its vCPUs, but no interrupt controller yet. */
static void make_vm_on(struct bench *bench, enum machine_kind kind, unsigned nr_vcpus,
		       const struct fake_host *fake)
{
	const enum gmem_kind memory = kind == MACHINE_PLAIN ? GMEM_PLAIN : GMEM_SPLIT;

	make_map(bench, nr_vcpus);
	assert_int_equal(open_host(bench, kind, fake), 0);
	assert_int_equal(gmem_create(&bench->gmem, memory, ipa_at(RAM), RAM_SIZE,
				     bench->map.shared_bit, &bench->err),
			 0);
	assert_int_equal(arch_vm_create(&bench->vm, &bench->host, kind, &bench->map, bench->gmem,
					&bench->err),
			 0);
}

static void make_vm(struct bench *bench, enum machine_kind kind, unsigned nr_vcpus)
{
	make_vm_on(bench, kind, nr_vcpus, &fake_host_default);
}

static void add_vcpus(struct bench *bench)
{
	for (unsigned i = 0; i < bench->map.nr_vcpus; i++) {
		assert_int_equal(arch_vcpu_create(&bench->vcpus[i], &bench->vm, &bench->host, i,
						  &bench->err),
				 0);
		bench->nr_vcpus++;
	}
}

static void make_machine_with(struct bench *bench, enum machine_kind kind, unsigned nr_vcpus,
			      bool has_its, struct fake_op *ops)
{
	make_vm(bench, kind, nr_vcpus);
	if (ops)
		fake_kvm_set_guest(1, 0, ops);
	add_vcpus(bench);
	assert_int_equal(arch_vm_finish(&bench->vm, has_its, &bench->err), 0);
}

static void make_machine(struct bench *bench, enum machine_kind kind, unsigned nr_vcpus,
			 struct fake_op *ops)
{
	make_machine_with(bench, kind, nr_vcpus, false, ops);
}

static void end(struct bench *bench)
{
	for (unsigned i = 0; i < bench->nr_vcpus; i++)
		arch_vcpu_destroy(&bench->vcpus[i]);
	arch_vm_destroy(&bench->vm);
	gmem_destroy(bench->gmem);
	arch_host_close(&bench->host);
	fake_kvm_end();
}

static struct kvm_exit run(struct bench *bench)
{
	const int ret = kvm_vcpu_run(bench->vcpus[0].fd);

	return kvm_exit_decode(bench->vcpus[0].run, ret);
}

static void assert_said(const struct ccr_err *err, int code, const char *what)
{
	assert_int_equal(err->code, code);
	if (!strstr(err->msg, what))
		fail_msg("\"%s\" does not say \"%s\"", err->msg, what);
	assert_null(strchr(err->msg, '\n'));
}

/* The host. */

static void assert_host_refused(enum machine_kind kind, unsigned nr_vcpus,
				const struct fake_host *fake, int code, const char *what)
{
	struct bench bench;

	make_map(&bench, nr_vcpus);
	assert_int_equal(open_host(&bench, kind, fake), code);
	assert_said(&bench.err, code, what);
	fake_kvm_end();
}

static void test_no_kvm(void **state)
{
	struct fake_host fake = fake_host_default;

	(void)state;
	fake.open_error = -ENOENT;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -ENOENT, "no /dev/kvm");
	fake.open_error = -EACCES;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -EACCES, "permission denied");
	fake.open_error = -EPERM;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -EACCES, "permission denied");
	fake.open_error = -ENODEV;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -ENODEV, "/dev/kvm: cannot open: No such");
}

static void test_api_version(void **state)
{
	struct fake_host fake = fake_host_default;

	(void)state;
	fake.api_version = 11;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -EOPNOTSUPP,
			    "API version 11 where 12 is needed");
	fake.api_version = 13;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -EOPNOTSUPP, "API version 13");
}

static void test_old_kernels(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.has_immediate_exit = false;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -EOPNOTSUPP, "Linux 5.5");
	fake = fake_host_default;
	fake.has_inject_abort = false;
	assert_host_refused(MACHINE_EMULATED, 1, &fake, -EOPNOTSUPP, "Linux 5.5");

	/* Only emulated realms need the filter. */
	fake = fake_host_default;
	fake.has_filter = false;
	assert_host_refused(MACHINE_EMULATED, 1, &fake, -EOPNOTSUPP, "Linux 6.4");
	make_map(&bench, 1);
	assert_int_equal(open_host(&bench, MACHINE_PLAIN, &fake), 0);
	end(&bench);
}

static void test_vcpu_limit(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.max_vcpus = 8;
	assert_host_refused(MACHINE_PLAIN, 9, &fake, -E2BIG,
			    "9: this host's KVM allows 8 vCPUs at most");
	make_map(&bench, 8);
	assert_int_equal(open_host(&bench, MACHINE_PLAIN, &fake), 0);
	end(&bench);
}

static void test_ipa_limit(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.ipa_bits = 32;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -E2BIG, "this host has 32: use less memory");
	/* A host narrower than KVM's default of 40 bits, such as Apple's. */
	fake.ipa_bits = 36;
	make_map(&bench, 1);
	assert_int_equal(open_host(&bench, MACHINE_EMULATED, &fake), 0);
	end(&bench);
}

/* Without the capability all VMs have 40 bits. */
static void test_ipa_default(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.ipa_bits = 0;
	memset(&bench, 0, sizeof(bench));
	assert_int_equal(memmap_init(&bench.map, 1ull << 38, 1, &bench.err), 0);
	assert_int_equal(bench.map.ipa_bits, 40);
	assert_int_equal(open_host(&bench, MACHINE_PLAIN, &fake), 0);
	arch_host_close(&bench.host);
	fake_kvm_end();
	assert_int_equal(memmap_init(&bench.map, 1ull << 39, 1, &bench.err), 0);
	assert_int_equal(open_host(&bench, MACHINE_PLAIN, &fake), -E2BIG);
	assert_said(&bench.err, -E2BIG, "needs 41 bits of guest address, this host has 40");
	fake_kvm_end();
}

static void test_page_size(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.run_size = fake_run_size() - 1;
	assert_host_refused(MACHINE_PLAIN, 1, &fake, -EOPNOTSUPP, "is too small");
	fake.run_size = 3 * 4096;
	make_map(&bench, 1);
	assert_int_equal(open_host(&bench, MACHINE_PLAIN, &fake), 0);
	assert_int_equal(bench.host.run_size, 3 * 4096);
	end(&bench);
}

/* No CCA in this kernel: said in a sentence, and nothing is tried that changes the host. */
static void test_no_realms(void **state)
{
	(void)state;
	assert_host_refused(MACHINE_REALM, 1, &fake_host_default, -EINVAL,
			    "this host cannot run realms");
}

/* The VM. */

static void assert_traced(const char *line)
{
	if (!strstr(fake_kvm_trace(), line))
		fail_msg("no \"%s\" in:\n%s", line, fake_kvm_trace());
}

static void test_plain_memory(void **state)
{
	struct bench bench;

	(void)state;
	make_vm(&bench, MACHINE_PLAIN, 1);
	assert_traced("KVM_CREATE_VM type=0x21 = vm1\n");
	assert_traced("KVM_SET_USER_MEMORY_REGION slot=0 gpa=0x80000000 size=0x4000000 = 0\n");
	assert_null(strstr(fake_kvm_trace(), "slot=1"));
	assert_int_equal(bench.vm.alias, 0);
	end(&bench);
}

static void test_emulated_memory(void **state)
{
	struct bench bench;

	(void)state;
	make_vm(&bench, MACHINE_EMULATED, 1);
	assert_traced("KVM_SET_USER_MEMORY_REGION slot=0 gpa=0x80000000 size=0x4000000 = 0\n");
	assert_traced("KVM_SET_USER_MEMORY_REGION slot=1 gpa=0x180000000 size=0x4000000 = 0\n");
	assert_int_equal(bench.vm.alias, SHARED_BIT);
	end(&bench);
}

/* On 1, 2 and many vCPUs: below 0x40000000, one redistributor of 128 KiB each. */
static void test_gic_addresses(void **state)
{
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 1, NULL);
	assert_traced("gic KVM_SET_DEVICE_ATTR group=3 attr=0 value=128 = 0\n");
	assert_traced("gic KVM_SET_DEVICE_ATTR group=0 attr=2 value=0x3fff0000 = 0\n");
	assert_traced("gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x1000003ffd0000 = 0\n");
	assert_traced("gic KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n");
	end(&bench);

	make_machine(&bench, MACHINE_PLAIN, 4, NULL);
	assert_traced("gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x4000003ff70000 = 0\n");
	end(&bench);
}

static void test_gic_addresses_with_alias(void **state)
{
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_EMULATED, 2, NULL);
	assert_traced("gic KVM_SET_DEVICE_ATTR group=0 attr=2 value=0x13fff0000 = 0\n");
	assert_traced("gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x2000013ffb0000 = 0\n");
	end(&bench);
}

static void test_its(void **state)
{
	struct bench bench;

	(void)state;
	make_machine_with(&bench, MACHINE_PLAIN, 1, true, NULL);
	assert_traced("its KVM_SET_DEVICE_ATTR group=0 attr=4 value=0x3ffb0000 = 0\n");
	assert_traced("its KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n");
	/* Only the doorbell is heard. */
	arch_vm_signal_msi(&bench.vm, 0x3ffc0040, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 1);
	arch_vm_signal_msi(&bench.vm, 0x3ffc0044, 7, 0x10);
	arch_vm_signal_msi(&bench.vm, 0, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 1);
	assert_traced("KVM_SIGNAL_MSI address=0x3ffc0040 data=7 device=0x10 = 1\n");
	end(&bench);
}

/* Devices name the doorbell without the shared bit; the kernel has it with it. */
static void test_its_with_alias(void **state)
{
	struct bench bench;

	(void)state;
	make_machine_with(&bench, MACHINE_EMULATED, 1, true, NULL);
	assert_traced("its KVM_SET_DEVICE_ATTR group=0 attr=4 value=0x13ffb0000 = 0\n");
	arch_vm_signal_msi(&bench.vm, 0x3ffc0040, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 1);
	assert_traced("KVM_SIGNAL_MSI address=0x13ffc0040 data=7 device=0x10 = 1\n");
	end(&bench);
}

#define DOORBELL 0x3ffc0040

/* The kernel sends what it was told last; what it cannot send takes a call. */
static void test_msi(void **state)
{
	const int fds[2] = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			    eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	struct arch_msi msis[2];
	struct bench bench;

	(void)state;
	make_machine_with(&bench, MACHINE_EMULATED, 1, true, NULL);
	assert_true(arch_msi_is_supported(&bench.vm));
	for (unsigned i = 0; i < 2; i++)
		arch_msi_init(&bench.vm, &msis[i], fds[i]);
	assert_traced("KVM_IRQFD gsi=0 flags=0 = 0\n");
	assert_traced("KVM_IRQFD gsi=1 flags=0 = 0\n");
	/* Before there is a message, and while it has another address. */
	arch_msi_send(&bench.vm, &msis[1], DOORBELL, 7, 0x10);
	assert_traced("KVM_SIGNAL_MSI address=0x13ffc0040 data=7 device=0x10 = 1\n");
	arch_msi_prepare(&bench.vm, &msis[1], DOORBELL + 4, 7, 0x10);
	arch_msi_send(&bench.vm, &msis[1], DOORBELL + 4, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 1);
	assert_null(strstr(fake_kvm_trace(), "KVM_SET_GSI_ROUTING"));

	arch_msi_prepare(&bench.vm, &msis[1], DOORBELL, 7, 0x10);
	assert_traced("KVM_SET_GSI_ROUTING nr=1 1=0x13ffc0040/7/0x10 = 0\n");
	arch_msi_prepare(&bench.vm, &msis[0], DOORBELL, 8, 0x18);
	assert_traced("KVM_SET_GSI_ROUTING nr=2 1=0x13ffc0040/7/0x10 0=0x13ffc0040/8/0x18 = 0\n");
	for (unsigned i = 0; i < 3; i++)
		arch_msi_send(&bench.vm, &msis[1], DOORBELL, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 4);

	/* The same again is no change, and another message replaces the first. */
	arch_msi_prepare(&bench.vm, &msis[1], DOORBELL, 7, 0x10);
	arch_msi_prepare(&bench.vm, &msis[1], DOORBELL, 9, 0x10);
	assert_traced("KVM_SET_GSI_ROUTING nr=2 1=0x13ffc0040/9/0x10 0=0x13ffc0040/8/0x18 = 0\n");
	arch_msi_send(&bench.vm, &msis[1], DOORBELL, 9, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 5);

	/* A kernel that has no room keeps the old table, and the message still arrives. */
	fake_kvm_fail_call(1, -ENOMEM);
	arch_msi_prepare(&bench.vm, &msis[1], DOORBELL, 10, 0x10);
	assert_false(msis[1].is_routed);
	arch_msi_send(&bench.vm, &msis[1], DOORBELL, 10, 0x10);
	assert_traced("KVM_SIGNAL_MSI address=0x13ffc0040 data=10 device=0x10 = 1\n");
	assert_int_equal(fake_kvm_nr_msis(), 6);
	arch_msi_prepare(&bench.vm, &msis[1], DOORBELL, 10, 0x10);
	assert_traced("KVM_SET_GSI_ROUTING nr=2 1=0x13ffc0040/10/0x10 0=0x13ffc0040/8/0x18 = 0\n");
	close(fds[0]);
	close(fds[1]);
	end(&bench);
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* Who has borrowed a vector's eventfd interrupts the guest, but not while it is held. */
static void test_msi_lent(void **state)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct arch_msi msi;
	struct bench bench;

	(void)state;
	make_machine_with(&bench, MACHINE_EMULATED, 1, true, NULL);
	arch_msi_init(&bench.vm, &msi, fd);
	arch_msi_prepare(&bench.vm, &msi, DOORBELL, 7, 0x10);
	arch_msi_hold(&bench.vm, &msi);
	assert_null(strstr(fake_kvm_trace(), "flags=1"));

	assert_int_equal(arch_msi_lend(&bench.vm, &msi), fd);
	assert_traced("KVM_IRQFD gsi=0 flags=1 = 0\n");
	assert_false(arch_msi_is_pending(&msi));
	signal_fd(fd);
	signal_fd(fd);
	assert_true(arch_msi_is_pending(&msi));
	assert_int_equal(fake_kvm_nr_msis(), 0);
	arch_msi_prepare(&bench.vm, &msi, DOORBELL, 7, 0x10);
	assert_traced("KVM_IRQFD gsi=0 flags=0 = 0\n");
	assert_int_equal(fake_kvm_nr_msis(), 1);
	assert_false(arch_msi_is_pending(&msi));
	signal_fd(fd);
	assert_int_equal(fake_kvm_nr_msis(), 2);

	/* Nothing was signalled: nothing is sent. Lent again is lent. */
	arch_msi_hold(&bench.vm, &msi);
	assert_int_equal(arch_msi_lend(&bench.vm, &msi), fd);
	arch_msi_prepare(&bench.vm, &msi, DOORBELL, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 2);

	/* The kernel's table has an old message while there is no new one. */
	arch_msi_prepare(&bench.vm, &msi, DOORBELL + 4, 7, 0x10);
	signal_fd(fd);
	assert_int_equal(fake_kvm_nr_msis(), 2);
	assert_true(arch_msi_is_pending(&msi));

	/* A kernel that does not take it back leaves it held. */
	fake_kvm_fail_call(1, -ENOMEM);
	arch_msi_prepare(&bench.vm, &msi, DOORBELL, 7, 0x10);
	assert_true(msi.is_held);
	arch_msi_send(&bench.vm, &msi, DOORBELL, 7, 0x10);
	assert_traced("KVM_SIGNAL_MSI address=0x13ffc0040 data=7 device=0x10 = 1\n");
	close(fd);
	end(&bench);
}

static void test_msi_without_irqfd(void **state)
{
	struct fake_host fake = fake_host_default;
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct arch_msi msi;
	struct bench bench;

	(void)state;
	fake.has_eventfds = false;
	make_vm_on(&bench, MACHINE_PLAIN, 1, &fake);
	add_vcpus(&bench);
	assert_int_equal(arch_vm_finish(&bench.vm, true, &bench.err), 0);
	assert_false(arch_msi_is_supported(&bench.vm));
	arch_msi_init(&bench.vm, &msi, fd);
	assert_int_equal(msi.event_fd, -1);
	arch_msi_prepare(&bench.vm, &msi, DOORBELL, 7, 0x10);
	arch_msi_send(&bench.vm, &msi, DOORBELL, 7, 0x10);
	assert_int_equal(fake_kvm_nr_msis(), 1);
	end(&bench);

	/* It has the capability, and refuses all the same. */
	make_machine_with(&bench, MACHINE_PLAIN, 1, true, NULL);
	fake_kvm_fail_call(1, -EINVAL);
	arch_msi_init(&bench.vm, &msi, fd);
	assert_int_equal(msi.event_fd, -1);
	assert_int_equal(bench.vm.routes.nr_gsis, 0);
	close(fd);
	end(&bench);
}

/* As many vectors as there may be, and no more. */
static void test_many_msis(void **state)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct bench bench;
	struct arch_msi msi;

	(void)state;
	make_machine_with(&bench, MACHINE_PLAIN, 1, true, NULL);
	for (unsigned i = 0; i < KVM_MAX_MSI_ROUTES; i++) {
		arch_msi_init(&bench.vm, &msi, fd);
		assert_int_equal(msi.gsi, i);
		arch_msi_prepare(&bench.vm, &msi, DOORBELL, i, 0x10);
		assert_true(msi.is_routed);
	}
	assert_false(arch_msi_is_supported(&bench.vm));
	arch_msi_init(&bench.vm, &msi, fd);
	assert_int_equal(msi.event_fd, -1);
	assert_int_equal(bench.vm.routes.nr, KVM_MAX_MSI_ROUTES);
	close(fd);
	end(&bench);
}

static void test_its_refused(void **state)
{
	struct bench bench;

	(void)state;
	for (unsigned call = 6; call <= 8; call++) {
		make_vm(&bench, MACHINE_PLAIN, 1);
		add_vcpus(&bench);
		fake_kvm_fail_call(call, -ENODEV);
		assert_int_equal(arch_vm_finish(&bench.vm, true, &bench.err), -ENODEV);
		assert_said(&bench.err, -ENODEV,
			    call == 6 ? "cannot create an ITS" : "ITS at 0x3ffb0000 refused");
		end(&bench);
	}
}

static void test_ioeventfd(void **state)
{
	struct fake_op ops[] = {
		{.kind = FAKE_STORE, .at = 0x150000000, .size = 2, .value = 1},
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	const int event_fd = eventfd(0, EFD_CLOEXEC);
	struct bench bench;
	uint64_t count = 0;

	(void)state;
	make_machine(&bench, MACHINE_EMULATED, 1, ops);
	assert_int_equal(arch_vm_ioeventfd(&bench.vm, event_fd, ipa_at(0x50000000), true), 0);
	assert_int_equal(arch_vm_ioeventfd(&bench.vm, event_fd, ipa_at(0x50000000), true), -EEXIST);
	assert_int_equal(run(&bench).kind, VCPU_EXIT_POWEROFF);
	assert_int_equal(read(event_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_int_equal(arch_vm_ioeventfd(&bench.vm, event_fd, ipa_at(0x50000000), false), 0);
	assert_int_equal(arch_vm_ioeventfd(&bench.vm, event_fd, ipa_at(0x50000000), false),
			 -ENOENT);
	close(event_fd);
	end(&bench);
}

static void test_no_gicv3(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.has_gicv3 = false;
	make_vm_on(&bench, MACHINE_PLAIN, 1, &fake);
	add_vcpus(&bench);
	assert_int_equal(arch_vm_finish(&bench.vm, false, &bench.err), -ENODEV);
	assert_said(&bench.err, -ENODEV, "no GICv3");
	end(&bench);
}

/* The number of vCPUs is fixed by the interrupt controller: later ones are refused. */
static void test_order(void **state)
{
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 1, NULL);
	assert_int_equal(arch_vcpu_create(&bench.vcpus[1], &bench.vm, &bench.host, 1, &bench.err),
			 -EBUSY);
	assert_said(&bench.err, -EBUSY, "cannot create vCPU 1");
	arch_vcpu_destroy(&bench.vcpus[1]);
	end(&bench);
}

static void test_no_nisv(void **state)
{
	struct fake_host fake = fake_host_default;
	struct bench bench;

	(void)state;
	fake.has_nisv = false;
	make_vm_on(&bench, MACHINE_PLAIN, 1, &fake);
	assert_null(strstr(fake_kvm_trace(), "KVM_ENABLE_CAP"));
	end(&bench);
}

/* vCPUs. */

static void test_only_the_first_runs(void **state)
{
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 3, NULL);
	/* PSCI 0.2 for all, powered off but for the first. */
	assert_traced("vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x4 = 0\n");
	assert_traced("vcpu1 KVM_ARM_VCPU_INIT target=5 features=0x5 = 0\n");
	assert_traced("vcpu2 KVM_ARM_VCPU_INIT target=5 features=0x5 = 0\n");
	assert_int_equal(kvm_vcpu_is_stopped(bench.vcpus[0].fd), 0);
	assert_int_equal(kvm_vcpu_is_stopped(bench.vcpus[1].fd), 1);
	assert_int_equal(kvm_vcpu_is_stopped(bench.vcpus[2].fd), 1);
	end(&bench);
}

/* PSCI 1.1 is what an RMM has; a plain VM has what the kernel has. */
static void test_psci_version(void **state)
{
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_EMULATED, 2, NULL);
	assert_int_equal(fake_kvm_reg(0, FAKE_PSCI), 0x10001);
	assert_int_equal(fake_kvm_reg(1, FAKE_PSCI), 0x10001);
	end(&bench);
	make_machine(&bench, MACHINE_PLAIN, 1, NULL);
	assert_null(strstr(fake_kvm_trace(), "KVM_SET_ONE_REG"));
	end(&bench);
}

static void test_entry(void **state)
{
	const uint64_t gprs[PLAN_NR_GPRS] = {0x83e00000, 1, 2, 3, 4, 5, 6, ~0ull};
	uint64_t pc = 0, back[PLAN_NR_GPRS] = {0}, x[3] = {7, 8, 9};
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 1, NULL);
	assert_int_equal(arch_vcpu_set_entry(&bench.vcpus[0], RAM + 0x80000, gprs, &bench.err), 0);
	assert_int_equal(arch_vcpu_get_entry(&bench.vcpus[0], &pc, back, &bench.err), 0);
	assert_int_equal(pc, RAM + 0x80000);
	assert_memory_equal(back, gprs, sizeof(gprs));
	assert_int_equal(arch_vcpu_get_pc(&bench.vcpus[0], &pc), 0);
	assert_int_equal(pc, RAM + 0x80000);

	assert_int_equal(arch_vcpu_set_gprs(&bench.vcpus[0], x, 3), 0);
	assert_int_equal(arch_vcpu_get_gprs(&bench.vcpus[0], back, 4), 0);
	assert_int_equal(back[0], 7);
	assert_int_equal(back[2], 9);
	assert_int_equal(back[3], 3);
	end(&bench);
}

static void test_entry_refused(void **state)
{
	const uint64_t gprs[PLAN_NR_GPRS] = {0};
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 1, NULL);
	fake_kvm_fail_call(3, -EPERM);
	assert_int_equal(arch_vcpu_set_entry(&bench.vcpus[0], RAM, gprs, &bench.err), -EPERM);
	assert_said(&bench.err, -EPERM, "entry point of vCPU 0");
	end(&bench);
}

/* Granules of 4, 16 and 64 KiB, as ID_AA64MMFR0_EL1 has them: TGran4, TGran16, TGran64. */
static void test_page_sizes(void **state)
{
	static const struct {
		uint64_t mmfr0;
		uint32_t page_size;
		int ret;
	} cpus[] = {
		{0, 0, 0},
		{0, 4096, 0},
		{0, 16384, -EOPNOTSUPP},
		{0, 65536, 0},
		{0xff000000, 0, 0},
		{0xff000000, 4096, -EOPNOTSUPP},
		{0xff000000, 65536, -EOPNOTSUPP},
		{0xff100000, 16384, 0},
		{0x0f100000, 4096, 0},
		{0x0f100000, 65536, -EOPNOTSUPP},
		{0x10200000, 4096, 0},
		{0x10200000, 16384, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		struct fake_host fake = fake_host_default;
		struct bench bench;

		fake.mmfr0 = cpus[i].mmfr0;
		make_vm_on(&bench, MACHINE_PLAIN, 1, &fake);
		add_vcpus(&bench);
		assert_int_equal(
			arch_vcpu_check_pages(&bench.vcpus[0], cpus[i].page_size, &bench.err),
			cpus[i].ret);
		if (cpus[i].ret)
			assert_said(&bench.err, -EOPNOTSUPP, "use a kernel with another page size");
		end(&bench);
	}
}

/* Aborts. */

/* The entry that finishes the access returns at once; the flag for that is the caller's. */
static int abort_mmio(struct bench *bench)
{
	const int ret = arch_vcpu_abort_mmio(&bench->vcpus[0], bench->gmem);

	assert_true(fake_run_immediate_exit(bench->vcpus[0].run));
	kvm_run_set_immediate_exit(bench->vcpus[0].run, false);
	return ret;
}

static void test_data_abort(void **state)
{
	struct fake_op ops[] = {
		{.kind = FAKE_SET_VBAR, .at = VECTORS},
		{.kind = FAKE_LOAD, .at = HOLE, .size = 4, .value = 0x77},
		{.kind = FAKE_STORE, .at = HOLE, .size = 4}, /* in the abort's handler */
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 1, ops);
	assert_int_equal(run(&bench).kind, VCPU_EXIT_MMIO);
	assert_int_equal(abort_mmio(&bench), 0);
	/* The next access is made from the vectors, and that is told. */
	assert_int_equal(run(&bench).kind, VCPU_EXIT_MMIO);
	assert_int_equal(fake_kvm_reg(0, FAKE_PC), VECTORS + 0x200);
	assert_int_equal(fake_kvm_reg(0, FAKE_FAR), HOLE);
	assert_int_equal(abort_mmio(&bench), 1);
	assert_int_equal(run(&bench).kind, VCPU_EXIT_POWEROFF);
	/* Nothing was loaded, and every register is what it was. */
	assert_int_equal(ops[1].nr_aborts, 1);
	assert_int_equal(ops[1].value, 0x77);
	assert_int_equal(ops[2].nr_aborts, 1);
	end(&bench);
}

/* The ends of the vectors: 2 KiB from VBAR. */
static void test_what_is_in_the_vectors(void **state)
{
	static const struct {
		uint64_t pc;
		int in;
	} places[] = {
		{VECTORS - 4, 0},
		{VECTORS, 1},
		{VECTORS + 0x7fc, 1},
		{VECTORS + 0x800, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct fake_op ops[] = {
			{.kind = FAKE_SET_VBAR, .at = VECTORS},
			{.kind = FAKE_LOAD, .at = HOLE, .size = 4},
			{.kind = FAKE_END},
		};
		const uint64_t gprs[PLAN_NR_GPRS] = {0};
		struct bench bench;

		make_machine(&bench, MACHINE_PLAIN, 1, ops);
		assert_int_equal(
			arch_vcpu_set_entry(&bench.vcpus[0], places[i].pc, gprs, &bench.err), 0);
		assert_int_equal(run(&bench).kind, VCPU_EXIT_MMIO);
		assert_int_equal(abort_mmio(&bench), places[i].in);
		end(&bench);
	}
}

static void test_instruction_abort(void **state)
{
	struct fake_op ops[] = {
		{.kind = FAKE_SET_VBAR, .at = VECTORS},
		{.kind = FAKE_FETCH, .at = RAM + 0x40000},
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_EMULATED, 1, ops);
	assert_int_equal(gmem_set_shared(bench.gmem, ipa_at(RAM + 0x40000), GRANULE_SIZE), 0);
	assert_int_equal(run(&bench).kind, VCPU_EXIT_FAULT);
	assert_int_equal(arch_vcpu_abort(&bench.vcpus[0], bench.gmem), 0);
	/* External abort on an instruction fetch, same level: EC 0x21, IL, IFSC 0x10. */
	assert_int_equal(fake_kvm_reg(0, FAKE_ESR), 0x86000010);
	assert_int_equal(fake_kvm_reg(0, FAKE_FAR), RAM + 0x40000);
	assert_int_equal(fake_kvm_reg(0, FAKE_ELR), RAM + 0x40000);
	assert_int_equal(fake_kvm_reg(0, FAKE_SPSR), 0x3c5);
	assert_int_equal(fake_kvm_reg(0, FAKE_PSTATE), 0x3c5);
	assert_int_equal(fake_kvm_reg(0, FAKE_PC), VECTORS + 0x200);
	assert_int_equal(run(&bench).kind, VCPU_EXIT_POWEROFF);
	assert_int_equal(ops[1].nr_aborts, 1);
	end(&bench);
}

/* At EL0 and at EL1 with EL0's stack pointer other vectors are taken; the flags survive. */
static void test_instruction_abort_vectors(void **state)
{
	static const struct {
		uint64_t pstate, vector, esr, then;
	} levels[] = {
		{0x80000000, 0x400, 0x82000010, 0x800003c5},
		{0x600003c4, 0x000, 0x86000010, 0x600003c5},
		{0x00000005, 0x200, 0x86000010, 0x000003c5},
	};
	const uint64_t pstate_id = 0x6030000000100042ull;

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		struct fake_op ops[] = {
			{.kind = FAKE_SET_VBAR, .at = VECTORS},
			{.kind = FAKE_FETCH, .at = RAM + 0x40000},
			{.kind = FAKE_END},
		};
		struct bench bench;

		make_machine(&bench, MACHINE_EMULATED, 1, ops);
		assert_int_equal(gmem_set_shared(bench.gmem, ipa_at(RAM + 0x40000), GRANULE_SIZE),
				 0);
		assert_int_equal(run(&bench).kind, VCPU_EXIT_FAULT);
		assert_int_equal(kvm_vcpu_set_reg(bench.vcpus[0].fd, pstate_id, levels[i].pstate),
				 0);
		assert_int_equal(arch_vcpu_abort(&bench.vcpus[0], bench.gmem), 0);
		assert_int_equal(fake_kvm_reg(0, FAKE_ESR), levels[i].esr);
		assert_int_equal(fake_kvm_reg(0, FAKE_SPSR), levels[i].pstate);
		assert_int_equal(fake_kvm_reg(0, FAKE_PSTATE), levels[i].then);
		assert_int_equal(fake_kvm_reg(0, FAKE_PC), VECTORS + levels[i].vector);
		end(&bench);
	}
}

/* A data access to an EMPTY page, and a fetch while addresses are virtual: data aborts. */
static void test_refused_data(void **state)
{
	struct fake_op ops[] = {
		{.kind = FAKE_SET_VBAR, .at = VECTORS},
		{.kind = FAKE_STORE, .at = RAM + 0x40000, .size = 8},
		{.kind = FAKE_SET_MMU, .value = 1},
		{.kind = FAKE_FETCH, .at = RAM + 0x40000},
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_EMULATED, 1, ops);
	assert_int_equal(gmem_set_shared(bench.gmem, ipa_at(RAM + 0x40000), GRANULE_SIZE), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(run(&bench).kind, VCPU_EXIT_FAULT);
		assert_int_equal(arch_vcpu_abort(&bench.vcpus[0], bench.gmem), 0);
	}
	assert_int_equal(run(&bench).kind, VCPU_EXIT_POWEROFF);
	assert_int_equal(ops[1].nr_aborts, 1);
	assert_int_equal(ops[3].nr_aborts, 1);
	assert_int_equal(fake_kvm_reg(0, FAKE_ESR), 0x96000010);
	end(&bench);
}

static void test_undescribed_access(void **state)
{
	struct fake_op ops[] = {
		{.kind = FAKE_SET_VBAR, .at = VECTORS},
		{.kind = FAKE_LOAD_PAIR, .at = HOLE},
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct kvm_exit exit;
	struct bench bench;

	(void)state;
	make_machine(&bench, MACHINE_PLAIN, 1, ops);
	exit = run(&bench);
	assert_int_equal(exit.kind, VCPU_EXIT_NISV);
	assert_int_equal(exit.fault_base.v, HOLE);
	assert_int_equal(arch_vcpu_abort(&bench.vcpus[0], bench.gmem), 0);
	assert_int_equal(run(&bench).kind, VCPU_EXIT_POWEROFF);
	assert_int_equal(ops[1].nr_aborts, 1);
	end(&bench);
}

/* Every request on the way to an abort may fail; it is told, not swallowed. */
static void test_abort_fails(void **state)
{
	(void)state;
	for (unsigned call = 1;; call++) {
		struct fake_op ops[] = {
			{.kind = FAKE_SET_VBAR, .at = VECTORS},
			{.kind = FAKE_FETCH, .at = RAM + 0x40000},
			{.kind = FAKE_END},
		};
		struct bench bench;
		int ret;

		make_machine(&bench, MACHINE_EMULATED, 1, ops);
		assert_int_equal(gmem_set_shared(bench.gmem, ipa_at(RAM + 0x40000), GRANULE_SIZE),
				 0);
		assert_int_equal(run(&bench).kind, VCPU_EXIT_FAULT);
		fake_kvm_fail_call(call, -EPERM);
		ret = arch_vcpu_abort(&bench.vcpus[0], bench.gmem);
		if (fake_kvm_failed_call()[0] == '\0') {
			assert_int_equal(ret, 0);
			assert_int_equal(call, 12);
			end(&bench);
			return;
		}
		/* If SCTLR cannot be read, a data abort is what is left. */
		assert_int_equal(ret, strstr(fake_kvm_failed_call(), "SCTLR") ? 0 : -EPERM);
		end(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_kvm),
		cmocka_unit_test(test_api_version),
		cmocka_unit_test(test_old_kernels),
		cmocka_unit_test(test_vcpu_limit),
		cmocka_unit_test(test_ipa_limit),
		cmocka_unit_test(test_ipa_default),
		cmocka_unit_test(test_page_size),
		cmocka_unit_test(test_no_realms),
		cmocka_unit_test(test_plain_memory),
		cmocka_unit_test(test_emulated_memory),
		cmocka_unit_test(test_gic_addresses),
		cmocka_unit_test(test_gic_addresses_with_alias),
		cmocka_unit_test(test_its),
		cmocka_unit_test(test_its_with_alias),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_msi_lent),
		cmocka_unit_test(test_msi_without_irqfd),
		cmocka_unit_test(test_many_msis),
		cmocka_unit_test(test_its_refused),
		cmocka_unit_test(test_ioeventfd),
		cmocka_unit_test(test_no_gicv3),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_no_nisv),
		cmocka_unit_test(test_only_the_first_runs),
		cmocka_unit_test(test_psci_version),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_entry_refused),
		cmocka_unit_test(test_page_sizes),
		cmocka_unit_test(test_data_abort),
		cmocka_unit_test(test_what_is_in_the_vectors),
		cmocka_unit_test(test_instruction_abort),
		cmocka_unit_test(test_instruction_abort_vectors),
		cmocka_unit_test(test_refused_data),
		cmocka_unit_test(test_undescribed_access),
		cmocka_unit_test(test_abort_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

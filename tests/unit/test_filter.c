/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters, on a model of the kernel's machine; and the rules that the comments beside
 * the code have given: what no thread of a machine may ever do is on nobody's list.
 *
 * links: src/sandbox/filter.c build/generated/syscalls.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ccr/filter.h"
#include "ccr/sandbox.h"

#ifdef __aarch64__
#define OUR_ARCH AUDIT_ARCH_AARCH64
#define FOREIGN  AUDIT_ARCH_ARM
#else
#define OUR_ARCH AUDIT_ARCH_X86_64
#define FOREIGN  AUDIT_ARCH_I386
#endif

#define OUR_PID 4321
#define DENIED  SECCOMP_RET_KILL_PROCESS

#define LOOP 1u << SANDBOX_LOOP
#define VCPU 1u << SANDBOX_VCPU

static uint32_t word_at(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	assert_true(offset % 4 == 0 && offset <= sizeof(*data) - sizeof(word));
	memcpy(&word, (const uint8_t *)data + offset, sizeof(word));
	return word;
}

/* Instructions that run() has executed. */
static unsigned nr_steps;

/* What the kernel does with the program. */
static uint32_t run(const struct sock_filter *insns, unsigned nr, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (unsigned at = 0; at < nr; at++) {
		const struct sock_filter *insn = &insns[at];
		bool taken = false;

		nr_steps++;
		switch (insn->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = word_at(data, insn->k);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= insn->k;
			continue;
		case BPF_RET | BPF_K:
			return insn->k;
		case BPF_JMP | BPF_JA:
			at += insn->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = a == insn->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = a >= insn->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			taken = (a & insn->k) != 0;
			break;
		default:
			fail_msg("instruction 0x%x", insn->code);
		}
		at += taken ? insn->jt : insn->jf;
	}
	fail_msg("the program has no end");
	return 0;
}

static uint32_t ask(const struct filter_config *config, struct seccomp_data data)
{
	struct sock_filter insns[FILTER_MAX_INSNS];
	const int nr = filter_build(config, insns);

	assert_true(nr > 0);
	return run(insns, (unsigned)nr, &data);
}

static const struct filter_rule some[] = {
	{__NR_read, false, 0, LOOP | VCPU},
	{__NR_ioctl, true, KVM_RUN, VCPU},
	{__NR_ioctl, true, KVM_IRQ_LINE, LOOP | VCPU},
	{__NR_write, false, 0, LOOP},
	{__NR_mmap, false, 0, LOOP},
	{__NR_mprotect, false, 0, LOOP},
	{__NR_clone, false, 0, LOOP},
	{__NR_tgkill, false, 0, LOOP},
	{__NR_sched_setattr, false, 0, LOOP},
};

static struct filter_config config_of(uint32_t kinds)
{
	return (struct filter_config){some, sizeof(some) / sizeof(some[0]), kinds, DENIED, OUR_PID};
}

static uint32_t loop_call(uint32_t nr, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	const struct filter_config config = config_of(LOOP);

	return ask(&config, (struct seccomp_data){(int)nr, OUR_ARCH, 0, {arg0, arg1, arg2}});
}

static uint32_t vcpu_call(uint32_t nr, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	const struct filter_config config = config_of(VCPU);

	return ask(&config, (struct seccomp_data){(int)nr, OUR_ARCH, 0, {arg0, arg1, arg2}});
}

static void test_what_is_not_listed_is_denied(void **state)
{
	(void)state;
	assert_int_equal(loop_call(__NR_read, 0, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(loop_call(__NR_write, 0, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(loop_call(__NR_openat, 0, 0, 0), DENIED);
	assert_int_equal(loop_call(0x3fffffff, 0, 0, 0), DENIED);
}

static void test_each_kind_has_its_own(void **state)
{
	(void)state;
	assert_int_equal(vcpu_call(__NR_read, 0, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(vcpu_call(__NR_write, 0, 0, 0), DENIED);
	assert_int_equal(vcpu_call(__NR_mmap, 0, 0, 0), DENIED);
	assert_int_equal(vcpu_call(__NR_ioctl, 3, KVM_RUN, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(loop_call(__NR_ioctl, 3, KVM_RUN, 0), DENIED);
	assert_int_equal(loop_call(__NR_ioctl, 3, KVM_IRQ_LINE, 0), SECCOMP_RET_ALLOW);
}

/* The kernel takes a request for 32 bits; what is above them must not make another one of it. */
static void test_requests_are_compared_as_the_kernel_does(void **state)
{
	(void)state;
	assert_int_equal(vcpu_call(__NR_ioctl, 3, KVM_IRQ_LINE | 1ull << 32, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(vcpu_call(__NR_ioctl, 3, KVM_CREATE_VM, 0), DENIED);
	assert_int_equal(vcpu_call(__NR_ioctl, 3, KVM_CREATE_VM | (uint64_t)KVM_RUN << 32, 0),
			 DENIED);
}

static void test_no_memory_becomes_code(void **state)
{
	static const uint32_t calls[] = {__NR_mmap, __NR_mprotect};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(loop_call(calls[i], 0, 4096, PROT_READ | PROT_WRITE),
				 SECCOMP_RET_ALLOW);
		assert_int_equal(loop_call(calls[i], 0, 4096, PROT_READ | PROT_EXEC), DENIED);
		assert_int_equal(loop_call(calls[i], 0, 4096, PROT_EXEC | 1ull << 40), DENIED);
	}
}

static void test_new_tasks_are_threads(void **state)
{
	(void)state;
	assert_int_equal(loop_call(__NR_clone, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, 0, 0),
			 SECCOMP_RET_ALLOW);
	assert_int_equal(loop_call(__NR_clone, CLONE_VM | CLONE_VFORK, 0, 0), DENIED);
	assert_int_equal(loop_call(__NR_clone, 0, 0, 0), DENIED);
	assert_int_equal(loop_call(__NR_clone3, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
}

static void test_signals_stay_in_the_process(void **state)
{
	(void)state;
	assert_int_equal(loop_call(__NR_tgkill, OUR_PID, 1, 10), SECCOMP_RET_ALLOW);
	assert_int_equal(loop_call(__NR_tgkill, OUR_PID + 1, 1, 10), DENIED);
	assert_int_equal(vcpu_call(__NR_tgkill, OUR_PID, 1, 10), DENIED);
}

static void test_only_the_thread_itself_is_scheduled(void **state)
{
	(void)state;
	assert_int_equal(loop_call(__NR_sched_setattr, 0, 4096, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(loop_call(__NR_sched_setattr, OUR_PID, 4096, 0), DENIED);
	assert_int_equal(loop_call(__NR_sched_setattr, 1, 4096, 0), DENIED);
}

static void test_other_ways_into_the_kernel_are_closed(void **state)
{
	const struct filter_config config = {some, sizeof(some) / sizeof(some[0]), LOOP,
					     SECCOMP_RET_LOG, OUR_PID};
	const struct seccomp_data foreign = {__NR_read, FOREIGN, 0, {0}};
	const struct seccomp_data x32 = {0x40000000 | __NR_read, OUR_ARCH, 0, {0}};

	(void)state;
	assert_int_equal(ask(&config, foreign), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(ask(&config, x32), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(ask(&config, (struct seccomp_data){__NR_openat, OUR_ARCH, 0, {0}}),
			 SECCOMP_RET_LOG);
}

static void test_rules_that_cannot_be(void **state)
{
	static const struct filter_rule odd[] = {
		{__NR_read, true, 5, LOOP},
		{__NR_ioctl, false, 0, LOOP},
		{__NR_mmap, true, 0, LOOP},
	};
	struct sock_filter insns[FILTER_MAX_INSNS];

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		const struct filter_config config = {&odd[i], 1, LOOP, DENIED, OUR_PID};

		assert_int_equal(filter_build(&config, insns), -EINVAL);
	}
}

static void test_too_many_rules(void **state)
{
	static struct filter_rule many[FILTER_MAX_INSNS];
	struct sock_filter insns[FILTER_MAX_INSNS];
	struct filter_config config = {many, FILTER_MAX_INSNS, LOOP, DENIED, OUR_PID};

	(void)state;
	for (uint32_t i = 0; i < FILTER_MAX_INSNS; i++)
		many[i] = (struct filter_rule){1000 + i, false, 0, LOOP};
	assert_int_equal(filter_build(&config, insns), -E2BIG);
	config.nr_rules = 200;
	assert_true(filter_build(&config, insns) > 200);
	for (uint32_t i = 0; i < FILTER_MAX_INSNS; i++)
		many[i] = (struct filter_rule){__NR_ioctl, true, i, LOOP};
	config.nr_rules = FILTER_MAX_INSNS;
	assert_int_equal(filter_build(&config, insns), -E2BIG);
}

/* Sets of every size, in any order: those that are in them and nothing else, and soon found. */
static void test_search(void **state)
{
	struct sock_filter insns[FILTER_MAX_INSNS];
	struct filter_rule rules[120];

	(void)state;
	for (unsigned size = 1; size <= 120; size++) {
		const struct filter_config config = {rules, size, LOOP, DENIED, OUR_PID};
		int nr;

		for (unsigned i = 0; i < size; i++)
			rules[i] = (struct filter_rule){1000 + 2 * (i * 53 % size), false, 0, LOOP};
		/* 53 is prime to all sizes but its multiples. */
		if (size % 53 == 0)
			continue;
		nr = filter_build(&config, insns);
		assert_true(nr > 0);
		for (uint32_t call = 998; call <= 1000 + 2 * size; call++) {
			const struct seccomp_data data = {(int)call, OUR_ARCH, 0, {0}};
			const bool is_in = call >= 1000 && call % 2 == 0 && call < 1000 + 2 * size;

			nr_steps = 0;
			assert_int_equal(run(insns, (unsigned)nr, &data),
					 is_in ? SECCOMP_RET_ALLOW : DENIED);
			assert_in_range(nr_steps, 1, 30);
		}
	}
}

static void test_counts_calls(void **state)
{
	const struct filter_config loop = config_of(LOOP), vcpu = config_of(VCPU);

	(void)state;
	assert_int_equal(filter_count(&loop), 8);
	assert_int_equal(filter_count(&vcpu), 2);
}

/* The rules of this program. */

static struct filter_config real(uint32_t kinds)
{
	return (struct filter_config){filter_rules, filter_nr_rules, kinds, DENIED, OUR_PID};
}

#define MACHINE \
	(1u << SANDBOX_LOOP | 1u << SANDBOX_VCPU | 1u << SANDBOX_WORKER | 1u << SANDBOX_BUILD)

/* What would open, start, trace, signal, load or escape, whatever its arguments are. */
static void test_a_machine_never_does_these(void **state)
{
	static const uint32_t never[] = {
		__NR_openat,
		__NR_openat2,
		__NR_open_by_handle_at,
		__NR_execve,
		__NR_execveat,
		__NR_ptrace,
		__NR_process_vm_readv,
		__NR_process_vm_writev,
		__NR_kill,
		__NR_tkill,
		__NR_rt_sigqueueinfo,
		__NR_pidfd_open,
		__NR_bpf,
		__NR_pidfd_getfd,
		__NR_pidfd_send_signal,
		__NR_fanotify_init,
		__NR_mount,
		__NR_umount2,
		__NR_pivot_root,
		__NR_chroot,
		__NR_unshare,
		__NR_setns,
		__NR_unlinkat,
		__NR_linkat,
		__NR_renameat,
		__NR_mkdirat,
		__NR_symlinkat,
		__NR_mknodat,
		__NR_socket,
		__NR_socketpair,
		__NR_bind,
		__NR_listen,
		__NR_keyctl,
		__NR_add_key,
		__NR_personality,
		__NR_userfaultfd,
		__NR_prctl,
		__NR_setuid,
		__NR_init_module,
		__NR_perf_event_open,
		__NR_vmsplice,
		__NR_shmat,
		__NR_name_to_handle_at,
		__NR_finit_module,
	};
	const struct filter_config config = real(MACHINE);

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		const struct seccomp_data data = {(int)never[i], OUR_ARCH, 0, {0}};

		if (ask(&config, data) != DENIED)
			fail_msg("system call %u is allowed", never[i]);
	}
}

/* A ring that is made by who may not could be one without restrictions. */
static void test_only_builders_make_rings(void **state)
{
	static const uint32_t calls[] = {__NR_io_uring_setup, __NR_io_uring_register};
	const struct filter_config run =
		real(1u << SANDBOX_LOOP | 1u << SANDBOX_VCPU | 1u << SANDBOX_WORKER);

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct seccomp_data data = {(int)calls[i], OUR_ARCH, 0, {0}};

		assert_int_equal(ask(&run, data), DENIED);
	}
}

static void test_only_vcpus_run_a_guest(void **state)
{
	const struct seccomp_data run_it = {__NR_ioctl, OUR_ARCH, 0, {3, KVM_RUN}};
	const struct seccomp_data make_one = {__NR_ioctl, OUR_ARCH, 0, {3, KVM_CREATE_VM}};
	const struct filter_config vcpu = real(1u << SANDBOX_VCPU);
	const struct filter_config loop = real(1u << SANDBOX_LOOP);
	const struct filter_config build = real(1u << SANDBOX_BUILD);

	(void)state;
	assert_int_equal(ask(&vcpu, run_it), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&loop, run_it), DENIED);
	assert_int_equal(ask(&vcpu, make_one), DENIED);
	assert_int_equal(ask(&loop, make_one), DENIED);
	assert_int_equal(ask(&build, make_one), SECCOMP_RET_ALLOW);
}

/* Threads come and go without an error, whatever their kind. */
static void test_every_kind_can_wait_and_end(void **state)
{
	static const uint32_t all[] = {__NR_futex,      __NR_write,        __NR_close, __NR_exit,
				       __NR_exit_group, __NR_rt_sigreturn, __NR_munmap};

	(void)state;
	for (unsigned kind = 0; kind < SANDBOX_NR_THREADS; kind++) {
		const struct filter_config config = real(1u << kind);

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			const struct seccomp_data data = {(int)all[i], OUR_ARCH, 0, {0}};

			assert_int_equal(ask(&config, data), SECCOMP_RET_ALLOW);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_listed_is_denied),
		cmocka_unit_test(test_each_kind_has_its_own),
		cmocka_unit_test(test_requests_are_compared_as_the_kernel_does),
		cmocka_unit_test(test_no_memory_becomes_code),
		cmocka_unit_test(test_new_tasks_are_threads),
		cmocka_unit_test(test_signals_stay_in_the_process),
		cmocka_unit_test(test_only_the_thread_itself_is_scheduled),
		cmocka_unit_test(test_other_ways_into_the_kernel_are_closed),
		cmocka_unit_test(test_rules_that_cannot_be),
		cmocka_unit_test(test_too_many_rules),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_counts_calls),
		cmocka_unit_test(test_a_machine_never_does_these),
		cmocka_unit_test(test_only_builders_make_rings),
		cmocka_unit_test(test_only_vcpus_run_a_guest),
		cmocka_unit_test(test_every_kind_can_wait_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ccr/filter.h"

#ifdef __aarch64__
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH AUDIT_ARCH_X86_64
#endif

/* Of x86-64: the same calls once more, under other numbers. */
#define X32_BIT 0x40000000u

/* More than there are; and those that are not worth dividing. */
#define MAX_CALLS 512
#define MAX_LEAF  3

/**
 * struct condition - what a call must be like to be allowed at all
 * @arg: the argument that is looked at
 */
struct condition {
	uint32_t nr;
	enum {
		IS_A_VALUE, /* one of those that its rules name */
		LACKS_BITS, /* none of @bits */
		HAS_BITS,   /* all of @bits */
		IS_OUR_PID,
	} what;
	unsigned arg;
	uint32_t bits;
};

static const struct condition conditions[] = {
	{__NR_ioctl, IS_A_VALUE, 1, 0},
	{__NR_fcntl, IS_A_VALUE, 1, 0},
	{__NR_prctl, IS_A_VALUE, 0, 0},
	{__NR_seccomp, IS_A_VALUE, 0, 0},
	{__NR_socket, IS_A_VALUE, 0, 0},
	{__NR_madvise, IS_A_VALUE, 2, 0},
	{__NR_rt_sigaction, IS_A_VALUE, 0, 0},
	{__NR_mmap, LACKS_BITS, 2, PROT_EXEC},
	{__NR_mprotect, LACKS_BITS, 2, PROT_EXEC},
	{__NR_clone, HAS_BITS, 0, CLONE_THREAD | CLONE_VM},
	{__NR_tgkill, IS_OUR_PID, 0, 0},
	{__NR_sched_setattr, LACKS_BITS, 0, UINT32_MAX}, /* 0 is the thread itself */
};

static const struct condition *condition_of(uint32_t nr)
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (conditions[i].nr == nr)
			return &conditions[i];
	}
	return NULL;
}

/**
 * struct program - one that grows
 * @nr: of @insns so far; may pass FILTER_MAX_INSNS, and then they are not stored
 */
struct program {
	struct sock_filter *insns;
	unsigned nr;
};

static void add(struct program *program, struct sock_filter insn)
{
	if (program->nr < FILTER_MAX_INSNS)
		program->insns[program->nr] = insn;
	program->nr++;
}

static void load(struct program *program, size_t offset)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Of a 64-bit argument the half that the kernel looks at; our machines are little-endian. */
static void load_arg(struct program *program, unsigned arg)
{
	load(program, offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t));
}

static void answer(struct program *program, uint32_t action)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Skip @nr_true or @nr_false instructions. @how is BPF_JEQ, BPF_JGE or BPF_JSET. */
static void jump(struct program *program, uint16_t how, uint32_t value, uint8_t nr_true,
		 uint8_t nr_false)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | how | BPF_K, value, nr_true, nr_false));
}

static void allow_value(struct program *program, uint32_t value)
{
	jump(program, BPF_JEQ, value, 0, 1);
	answer(program, SECCOMP_RET_ALLOW);
}

static bool counts(const struct filter_config *config, size_t i)
{
	return (config->rules[i].kinds & config->kinds) != 0;
}

/* Return: the first rule behind those of the call that rule @i is about. */
static size_t next_call(const struct filter_config *config, size_t i)
{
	const uint32_t nr = config->rules[i].nr;

	while (i < config->nr_rules && config->rules[i].nr == nr)
		i++;
	return i;
}

static void check_values(struct program *program, const struct filter_config *config, size_t from,
			 size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (counts(config, i))
			allow_value(program, config->rules[i].value);
	}
	answer(program, config->denied);
}

/* For a call that was recognised: what decides about it. */
static void decide(struct program *program, const struct filter_config *config, size_t from,
		   size_t to)
{
	const struct condition *condition = condition_of(config->rules[from].nr);

	if (!condition) {
		answer(program, SECCOMP_RET_ALLOW);
		return;
	}
	load_arg(program, condition->arg);
	switch (condition->what) {
	case IS_A_VALUE:
		check_values(program, config, from, to);
		return;
	case LACKS_BITS:
		jump(program, BPF_JSET, condition->bits, 1, 0);
		break;
	case HAS_BITS:
		add(program,
		    (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, condition->bits));
		jump(program, BPF_JEQ, condition->bits, 0, 1);
		break;
	case IS_OUR_PID:
		jump(program, BPF_JEQ, (uint32_t)config->pid, 0, 1);
		break;
	}
	answer(program, SECCOMP_RET_ALLOW);
	answer(program, config->denied);
}

/* Where a jump is that jump_here() says the end of. */
static unsigned jump_away(struct program *program)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	return program->nr - 1;
}

static void jump_here(struct program *program, unsigned at)
{
	if (at < FILTER_MAX_INSNS)
		program->insns[at].k = program->nr - (at + 1);
}

static bool is_wanted(const struct filter_config *config, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (counts(config, i))
			return true;
	}
	return false;
}

/* Calls of which it depends on their arguments; a vCPU makes little else all the time. */
static void add_conditional(struct program *program, const struct filter_config *config)
{
	for (size_t i = 0, next; i < config->nr_rules; i = next) {
		const uint32_t nr = config->rules[i].nr;
		unsigned away;

		next = next_call(config, i);
		if (!condition_of(nr) || !is_wanted(config, i, next))
			continue;
		jump(program, BPF_JEQ, nr, 1, 0);
		away = jump_away(program);
		decide(program, config, i, next);
		jump_here(program, away);
	}
}

/*
 * The calls that are allowed whatever they do, sorted.
 *
 * Return: how many; -E2BIG if they are too many.
 */
static int list_others(const struct filter_config *config, uint32_t numbers[MAX_CALLS])
{
	int nr = 0;

	for (size_t i = 0, next; i < config->nr_rules; i = next) {
		int at = nr;

		next = next_call(config, i);
		if (condition_of(config->rules[i].nr) || !is_wanted(config, i, next))
			continue;
		if (nr == MAX_CALLS)
			return -E2BIG;
		for (; at > 0 && numbers[at - 1] > config->rules[i].nr; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = config->rules[i].nr;
		nr++;
	}
	return nr;
}

/*
 * Allow @nr calls. The kernel goes through a new filter once for every call that there is, to
 * remember which need no look, so a search is better than a list.
 */
static void search(struct program *program, const uint32_t *numbers, unsigned nr, uint32_t denied)
{
	const unsigned half = nr / 2;
	unsigned away;

	if (nr <= MAX_LEAF) {
		for (unsigned i = 0; i < nr; i++)
			allow_value(program, numbers[i]);
		answer(program, denied);
		return;
	}
	jump(program, BPF_JGE, numbers[half], 0, 1);
	away = jump_away(program);
	search(program, numbers, half, denied);
	jump_here(program, away);
	search(program, numbers + half, nr - half, denied);
}

static int check(const struct filter_config *config)
{
	for (size_t i = 0; i < config->nr_rules; i++) {
		const struct condition *condition = condition_of(config->rules[i].nr);

		if (config->rules[i].has_value != (condition && condition->what == IS_A_VALUE))
			return -EINVAL;
	}
	return 0;
}

int filter_build(const struct filter_config *config, struct sock_filter *ret_insns)
{
	struct program program = {.insns = ret_insns};
	uint32_t others[MAX_CALLS];
	const int nr_others = list_others(config, others);
	const int ret = nr_others < 0 ? nr_others : check(config);

	if (ret)
		return ret;
	/* A program of another kind of machine on this one, such as 32-bit Arm. */
	load(&program, offsetof(struct seccomp_data, arch));
	jump(&program, BPF_JEQ, OUR_ARCH, 1, 0);
	answer(&program, SECCOMP_RET_KILL_PROCESS);
	load(&program, offsetof(struct seccomp_data, nr));
	jump(&program, BPF_JGE, X32_BIT, 0, 1);
	answer(&program, SECCOMP_RET_KILL_PROCESS);
	/* Its flags are in memory, where no filter can see them: libc then uses clone. */
	jump(&program, BPF_JEQ, __NR_clone3, 0, 1);
	answer(&program, SECCOMP_RET_ERRNO | ENOSYS);
	add_conditional(&program, config);
	search(&program, others, (unsigned)nr_others, config->denied);
	return program.nr > FILTER_MAX_INSNS ? -E2BIG : (int)program.nr;
}

unsigned filter_count(const struct filter_config *config)
{
	unsigned nr = 0;

	for (size_t i = 0, next; i < config->nr_rules; i = next) {
		next = next_call(config, i);
		nr += is_wanted(config, i, next);
	}
	return nr;
}

/* syscalls(all): seccomp:SECCOMP_SET_MODE_FILTER */
int filter_install(const struct filter_config *config)
{
	struct sock_filter insns[FILTER_MAX_INSNS];
	const int nr = filter_build(config, insns);
	const struct sock_fprog program = {.len = (unsigned short)nr, .filter = insns};

	if (nr < 0)
		return nr;
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

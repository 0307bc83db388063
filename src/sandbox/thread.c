/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <unistd.h>

#include "ccr/filter.h"
#include "internal.h"

/* A process is confined or it is not. Set once, while it has one thread. */
static struct {
	enum sandbox_mode mode;
	bool may_rebuild;
} confined;

/* On the stack of who makes a thread, until @settled is posted. */
struct start {
	enum sandbox_thread kind;
	void *(*main)(void *);
	void *arg;
	sem_t settled;
	int ret;
};

static int install(uint32_t kinds)
{
	const struct filter_config config = {
		.rules = filter_rules,
		.nr_rules = filter_nr_rules,
		.kinds = kinds,
		.denied = confined.mode == SANDBOX_LOG ? SECCOMP_RET_LOG : SECCOMP_RET_KILL_PROCESS,
		.pid = getpid(),
	};

	return filter_install(&config);
}

/* The threads inherit this one, so it has what all of them need. */
int sandbox_thread_confine_machine(const struct sandbox *sandbox)
{
	confined.mode = sandbox->mode;
	confined.may_rebuild = sandbox->may_rebuild;
	return install(1u << SANDBOX_LOOP | 1u << SANDBOX_VCPU | 1u << SANDBOX_WORKER |
		       1u << SANDBOX_BUILD);
}

int sandbox_thread_confine_broker(enum sandbox_mode mode, enum sandbox_thread kind)
{
	confined.mode = mode;
	return install(1u << kind);
}

/*
 * What every thread needs: to wait, to log, to get and give back memory, to handle the signal that
 * interrupts a vCPU and to be stopped and continued, to end, alone or with all others.
 *
 * syscalls(all): futex write close clock_gettime mmap munmap mremap mprotect brk
 *	madvise:MADV_DONTNEED rt_sigprocmask rt_sigreturn restart_syscall sched_getaffinity getpid
 *	gettid exit exit_group
 * syscalls(build worker): clone set_robust_list rseq
 * syscalls(build): rt_sigaction:LIBC_SIGSETXID
 */
int sandbox_thread_settle(enum sandbox_thread kind)
{
	if (confined.mode == SANDBOX_OFF)
		return 0;
	/* Who makes threads later can take nothing from itself that they will need. */
	if (kind == SANDBOX_LOOP && confined.may_rebuild)
		return 0;
	return install(1u << kind);
}

static void *thread_main(void *arg)
{
	struct start *start = arg;
	void *(*const main)(void *) = start->main;
	void *const main_arg = start->arg;
	const int ret = sandbox_thread_settle(start->kind);

	/* From here on @start may be gone. */
	start->ret = ret;
	sem_post(&start->settled);
	return ret ? NULL : main(main_arg);
}

int sandbox_thread_create(pthread_t *ret_thread, enum sandbox_thread kind, void *(*main)(void *),
			  void *arg)
{
	struct start start = {.kind = kind, .main = main, .arg = arg};
	int ret;

	sem_init(&start.settled, 0, 0);
	ret = -pthread_create(ret_thread, NULL, thread_main, &start);
	if (!ret) {
		while (sem_wait(&start.settled) < 0)
			;
		ret = start.ret ? -EIO : 0;
		if (ret)
			pthread_join(*ret_thread, NULL);
	}
	sem_destroy(&start.settled);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/trim.h"
#include "internal.h"

/* The machine's side of it. @fd takes a result at once, so nobody waits for a keeper. */
static void be_machine(pid_t keeper, int fd, const struct sandbox_sides *sides, void *ctx,
		       const void *result, size_t size)
{
	/* The keeper may have died before it could be followed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != keeper)
		_exit(1);
	sides->machine(ctx);
	_exit(write(fd, result, size) == (ssize_t)size ? 0 : 1);
}

/* The launch is the machine's then, and must not be held up by what its keeper does. */
static const struct timespec launch_time = {.tv_sec = 1};

/*
 * Until the process has ended; others may end as well. When the launch is over, the memory that it
 * needed is given back: a keeper only waits. Return: its wait status.
 */
static int wait_for(pid_t pid, const sigset_t *set)
{
	const struct timespec *timeout = &launch_time;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		const int signal = sigtimedwait(set, NULL, timeout);

		if (signal > 0 && signal != SIGCHLD)
			kill(pid, signal);
		if (signal > 0 || !timeout)
			continue;
		trim_memory();
		timeout = NULL;
	}
	return status;
}

static int explain(int status, struct ccr_err *err)
{
	const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	switch (signal) {
	case SIGSYS:
		err_set(err, -EPERM,
			"the machine's process was killed for a system call that its filter "
			"forbids (`dmesg` has its number): a bug of ours, or a guest that has "
			"taken it over");
		return SANDBOX_BROKEN;
	case SIGKILL:
		err_set(err, -EINTR,
			"the machine's process was killed (SIGKILL): by somebody, or by the kernel "
			"for want of memory, which `dmesg` would have");
		return SANDBOX_KILLED;
	case 0:
		err_set(err, -EIO, "the machine's process has ended without a word: a bug of ours");
		return SANDBOX_BROKEN;
	default:
		err_set(err, -EIO, "the machine's process has crashed (SIG%s): a bug of ours",
			sigabbrev_np(signal));
		return SANDBOX_BROKEN;
	}
}

static void set_of_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

static int keep(const int fds[2], const struct sandbox_sides *sides, void *ctx, void *result,
		size_t size, struct ccr_err *err)
{
	const pid_t keeper = getpid();
	sigset_t set;
	int status;
	pid_t pid;

	set_of_signals(&set);
	pid = fork();
	if (pid < 0)
		return err_set(err, -errno, "the machine's process cannot be made: %s",
			       strerror(errno));
	if (pid == 0)
		be_machine(keeper, fds[1], sides, ctx, result, size);
	sides->keeper(ctx);
	status = wait_for(pid, &set);
	if (read(fds[0], result, size) == (ssize_t)size)
		return SANDBOX_DONE;
	return explain(status, err);
}

int sandbox_keep(const struct sandbox *sandbox, const struct sandbox_sides *sides, void *ctx,
		 void *result, size_t size, struct ccr_err *err)
{
	sigset_t set, old;
	int fds[2], ret;

	if (sandbox->mode == SANDBOX_OFF) {
		sides->machine(ctx);
		return SANDBOX_DONE;
	}
	if (size > SANDBOX_MAX_RESULT || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set(err, -EMFILE, "the machine's process cannot be made: no pipe");
	/* If it is ignored, as it may be by inheritance, it never comes. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	ret = keep(fds, sides, ctx, result, size, err);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(fds[0]);
	close(fds[1]);
	return ret;
}

bool keeper_try(int (*attempt)(void *ctx), void *ctx)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(attempt(ctx) != 0);
	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

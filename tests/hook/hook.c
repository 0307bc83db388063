/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A planted hook: what a guest could do that has taken over a thread of the machine's process, the
 * broker of a directory that it shares, or that of its sockets.
 *
 * It is linked into build/hook/ccr-run, between files of ccr-run that know nothing of it (the
 * linker's --wrap), and into no other program. A guest writes an order to an address that has no
 * device, and the thread that is meant does what it says: a vCPU's at once, the event loop, a
 * disk's and a broker the next time that they have work. Each attempt is told on standard error,
 * before and after: a system call filter leaves no time for the second line.
 *
 *     order: bits 7:0 the number of an attempt, from 1, or ORDER_ALL; bits 15:8 the thread
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "ccr/blk.h"
#include "ccr/broker_proto.h"
#include "ccr/bus.h"
#include "ccr/console.h"

/* The same in guest/contract. */
#define HOOK_AT   0x02000000u
#define ORDER_ALL 0xffu

/* By this `make lint` tells a program with the hook from one without. */
#define HOOK_MARK "planted hook"

#define PAGE 4096

enum hook_thread { HOOK_VCPU, HOOK_LOOP, HOOK_WORKER, HOOK_BROKER, HOOK_NR_THREADS };

/* What each thread has still to carry out; 0 for nothing. Brokers' processes share it. */
static _Atomic unsigned *orders;

/* Somebody else's process: the one that started us. getppid() is not for a machine to call. */
static pid_t victim;

/* Two sockets of somebody else, one of which has a place in no directory. */
static const struct sockaddr_un other = {AF_UNIX, "/tmp/hook.socket"};
static struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
static socklen_t nowhere_size = sizeof(nowhere);

/* At @address; Linux makes one up if there is only the family of it. */
static int listen_at(const struct sockaddr_un *address, socklen_t size)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (const struct sockaddr *)address, size) == 0)
		listen(fd, 8);
	return fd;
}

__attribute__((constructor)) static void look_around(void)
{
	victim = getppid();
	unlink(other.sun_path);
	listen_at(&other, sizeof(other));
	getsockname(listen_at(&nowhere, sizeof(sa_family_t)), (struct sockaddr *)&nowhere,
		    &nowhere_size);
	orders = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Each returns a number below 0 if it was refused, with errno set. */

static long do_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long do_create(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/tmp/hook", O_WRONLY | O_CREAT, 0600);
}

static long do_unlink(void)
{
	return syscall(SYS_unlinkat, AT_FDCWD, "/tmp/hook", 0);
}

static long do_stat(void)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, 0);
}

static long do_chmod(void)
{
	return syscall(SYS_fchmodat, AT_FDCWD, "/etc/passwd", 0644);
}

static long connect_to(const struct sockaddr_un *address, socklen_t size)
{
	const long fd = syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);

	return fd < 0 ? fd : syscall(SYS_connect, fd, address, size);
}

static long do_connect(void)
{
	return connect_to(&other, sizeof(other));
}

static long do_connect_nowhere(void)
{
	return connect_to(&nowhere, nowhere_size);
}

static long do_unix_socket(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static long do_inet_socket(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
}

static long do_map_code(void)
{
	return syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
}

static long do_protect_code(void)
{
	const long map = syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return syscall(SYS_mprotect, map, PAGE, PROT_READ | PROT_EXEC);
}

static long do_fork(void)
{
	const long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return pid;
}

static long do_kill(void)
{
	return syscall(SYS_kill, victim, 0);
}

static long do_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_SEIZE, victim, NULL, NULL);
}

static long do_pidfd(void)
{
	return syscall(SYS_pidfd_open, victim, 0);
}

static long do_io_uring(void)
{
	uint64_t params[15] = {0};

	return syscall(SYS_io_uring_setup, 4, params);
}

static long do_bpf(void)
{
	/* An array of one number. */
	const uint32_t map[18] = {2, 4, 4, 1};

	return syscall(SYS_bpf, 0, map, sizeof(map));
}

static long do_unshare(void)
{
	return syscall(SYS_unshare, CLONE_FS);
}

static long do_trace_me_again(void)
{
	return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long do_raise_limit(void)
{
	struct rlimit core;

	return syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &core);
}

static long do_ioctl(void)
{
	return syscall(SYS_ioctl, STDERR_FILENO, FIONCLEX, 0);
}

static long do_execve(void)
{
	static const char *const words[] = {"sh", "-c", "echo hook: execve: done >&2", NULL};

	return syscall(SYS_execve, "/bin/sh", words, NULL);
}

/* In the order that ORDER_ALL takes. The last leaves nobody to go on. */
static const struct {
	const char *name;
	long (*attempt)(void);
} attempts[] = {
	{"open", do_open},
	{"create", do_create},
	{"unlink", do_unlink},
	{"chmod", do_chmod},
	{"stat", do_stat},
	{"connect", do_connect},
	{"connect-abstract", do_connect_nowhere},
	{"unix-socket", do_unix_socket},
	{"inet-socket", do_inet_socket},
	{"map-code", do_map_code},
	{"protect-code", do_protect_code},
	{"fork", do_fork},
	{"kill", do_kill},
	{"ptrace", do_ptrace},
	{"pidfd", do_pidfd},
	{"io-uring", do_io_uring},
	{"bpf", do_bpf},
	{"unshare", do_unshare},
	{"dumpable", do_trace_me_again},
	{"limits", do_raise_limit},
	{"ioctl", do_ioctl},
	{"execve", do_execve},
};

#define NR_ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

/* One write each: what is not written now may never be. */
static void tell(const char *name, const char *what)
{
	char line[80];
	const int size = snprintf(line, sizeof(line), "hook: %s: %s\n", name, what);

	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		return;
}

static void attempt(size_t i)
{
	tell(attempts[i].name, "tried");
	if (attempts[i].attempt() >= 0)
		tell(attempts[i].name, "done");
	else
		tell(attempts[i].name, strerrorname_np(errno));
}

static void obey(enum hook_thread thread)
{
	const unsigned order = atomic_exchange(&orders[thread], 0) & 0xff;

	for (size_t i = 0; i < NR_ATTEMPTS; i++) {
		if (order == ORDER_ALL || order == i + 1)
			attempt(i);
	}
}

static void take(unsigned order)
{
	const unsigned thread = order >> 8 & 0xff;

	tell(HOOK_MARK, "ordered");
	if (thread < HOOK_NR_THREADS)
		atomic_store(&orders[thread], order);
}

/* What the linker puts in the place of calls of bus_write() and so on, and those themselves. */

int __real_bus_write(struct bus *bus, ipa_t at, unsigned size, uint64_t value);
int __wrap_bus_write(struct bus *bus, ipa_t at, unsigned size, uint64_t value);

int __wrap_bus_write(struct bus *bus, ipa_t at, unsigned size, uint64_t value)
{
	if (at.v != HOOK_AT)
		return __real_bus_write(bus, at, size, value);
	take((unsigned)value);
	obey(HOOK_VCPU);
	return 0;
}

void __real_console_serve(struct console *console, const struct pollfd fds[CONSOLE_NR_FDS]);
void __wrap_console_serve(struct console *console, const struct pollfd fds[CONSOLE_NR_FDS]);

void __wrap_console_serve(struct console *console, const struct pollfd fds[CONSOLE_NR_FDS])
{
	obey(HOOK_LOOP);
	__real_console_serve(console, fds);
}

unsigned __real_blk_work(struct blk *blk, unsigned lane);
unsigned __wrap_blk_work(struct blk *blk, unsigned lane);

unsigned __wrap_blk_work(struct blk *blk, unsigned lane)
{
	obey(HOOK_WORKER);
	return __real_blk_work(blk, lane);
}

int __real_broker_decode_request(const uint8_t *buf, size_t size,
				 struct broker_request *ret_request);
int __wrap_broker_decode_request(const uint8_t *buf, size_t size,
				 struct broker_request *ret_request);

int __wrap_broker_decode_request(const uint8_t *buf, size_t size,
				 struct broker_request *ret_request)
{
	obey(HOOK_BROKER);
	return __real_broker_decode_request(buf, size, ret_request);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confinement, on this machine's kernel: what a process can do after each phase, what kills it, and
 * what its keeper makes of that. Built without sanitizers, which need system calls of their own.
 *
 * links: src/sandbox/filter.c src/sandbox/isolate.c src/sandbox/keeper.c src/sandbox/root.c
 *	src/sandbox/sandbox.c src/sandbox/thread.c src/util/err.c src/util/log.c src/util/trim.c
 *	build/generated/syscalls.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/log.h"
#include "ccr/sandbox.h"

/**
 * struct story - what the machine's process does, and what it tells
 * @act: after the last phase
 * @kind: of the thread that acts; SANDBOX_LOOP is the first one
 * @told: by @act
 */
struct story {
	struct sandbox *sandbox;
	void (*act)(struct story *story);
	enum sandbox_thread kind;
	pid_t keeper;
	struct {
		int ret;
		int value;
		char text[64];
	} told;
	bool was_kept;
};

static void *act_in_thread(void *arg)
{
	struct story *story = arg;

	story->act(story);
	return NULL;
}

static void be_machine(void *ctx)
{
	struct story *story = ctx;
	struct ccr_err err = {0};
	pthread_t thread;

	story->told.ret = sandbox_after_open(story->sandbox, &err);
	if (!story->told.ret)
		story->told.ret = sandbox_before_run(story->sandbox, &err);
	snprintf(story->told.text, sizeof(story->told.text), "%.60s", err.msg);
	if (story->told.ret)
		return;
	if (story->kind == SANDBOX_LOOP) {
		story->told.ret = sandbox_thread_settle(SANDBOX_LOOP);
		story->act(story);
		return;
	}
	story->told.ret = sandbox_thread_create(&thread, story->kind, act_in_thread, story);
	if (!story->told.ret)
		pthread_join(thread, NULL);
}

/* The keeper gets one, once it has made this process. */
static void wait_for_signal(struct story *story)
{
	sigset_t set;
	int signal = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigwait(&set, &signal);
	story->told.value = signal;
}

static void be_keeper(void *ctx)
{
	struct story *story = ctx;

	story->was_kept = true;
	if (story->act == wait_for_signal)
		kill(getpid(), SIGTERM);
}

/* In a process of its own, which has only just begun: phases are for good. */
struct report {
	int how;
	struct ccr_err err;
	struct story story;
};

static struct report tell(enum sandbox_mode mode, enum sandbox_thread kind,
			  void (*act)(struct story *story))
{
	static const struct sandbox_sides sides = {be_machine, be_keeper};
	struct report report = {0};
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sandbox sandbox;

		log_init(LOG_ERROR);
		report.story = (struct story){
			.sandbox = &sandbox, .act = act, .kind = kind, .keeper = getpid()};
		report.how = sandbox_initial(&sandbox, mode, &report.err);
		if (!report.how)
			report.how = sandbox_keep(&sandbox, &sides, &report.story,
						  &report.story.told, sizeof(report.story.told),
						  &report.err);
		_exit(write(fds[1], &report, sizeof(report)) == sizeof(report) ? 0 : 1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &report, sizeof(report)), sizeof(report));
	close(fds[0]);
	return report;
}

/* What is forbidden. */

static void do_open(struct story *story)
{
	story->told.value = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
}

static void do_socket(struct story *story)
{
	story->told.value = socket(AF_UNIX, SOCK_STREAM, 0);
}

static void do_execve(struct story *story)
{
	story->told.value = execl("/bin/true", "true", NULL);
}

static void do_ptrace(struct story *story)
{
	story->told.value = (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void do_map_code(struct story *story)
{
	story->told.value = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				 0) != MAP_FAILED;
}

static void do_protect_code(struct story *story)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	story->told.value = mprotect(map, 4096, PROT_READ | PROT_EXEC);
}

static void do_fork(struct story *story)
{
	story->told.value = fork();
	if (story->told.value == 0)
		_exit(0);
}

static void do_io_uring(struct story *story)
{
	story->told.value = (int)syscall(SYS_io_uring_setup, 4, NULL);
}

static void do_kill_keeper(struct story *story)
{
	story->told.value = kill(story->keeper, SIGTERM);
}

static void do_thread_kill_keeper(struct story *story)
{
	story->told.value = (int)syscall(SYS_tgkill, story->keeper, story->keeper, SIGTERM);
}

static void do_unlink(struct story *story)
{
	story->told.value = (int)syscall(SYS_unlinkat, AT_FDCWD, "/tmp/nobody-has-this", 0);
}

static void (*const forbidden[])(struct story *) = {
	do_open,         do_socket, do_execve,   do_ptrace,      do_map_code,
	do_protect_code, do_fork,   do_io_uring, do_kill_keeper, do_thread_kill_keeper,
	do_unlink,
};

static void test_what_is_forbidden_kills(void **state)
{
	static const enum sandbox_thread kinds[] = {SANDBOX_LOOP, SANDBOX_VCPU, SANDBOX_WORKER};

	(void)state;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		for (size_t j = 0; j < 3; j++) {
			const struct report report = tell(SANDBOX_ON, kinds[j], forbidden[i]);

			if (report.how != SANDBOX_BROKEN)
				fail_msg("%zu in thread %zu: %d (%s)", i, j, report.how,
					 report.err.msg);
			assert_int_equal(report.err.code, -EPERM);
			assert_non_null(strstr(report.err.msg, "dmesg"));
		}
	}
}

/* What is left without the filter, which only logs here. */

static void look_for_files(struct story *story)
{
	static const char *const paths[] = {"/dev/null", "/etc/passwd", "/proc/self/status",
					    "../etc/passwd", "."};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		story->told.value += open(paths[i], O_RDONLY) >= 0 && strcmp(paths[i], ".") != 0;
}

static void test_there_are_no_files(void **state)
{
	const struct report report = tell(SANDBOX_LOG, SANDBOX_LOOP, look_for_files);

	(void)state;
	assert_int_equal(report.how, SANDBOX_DONE);
	assert_int_equal(report.story.told.ret, 0);
	assert_int_equal(report.story.told.value, 0);
}

static void look_at_self(struct story *story)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{1, 1, 1}, {1, 1, 1}};
	struct rlimit core = {1, 1}, fds = {0, 0};

	syscall(SYS_capget, &head, caps);
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &fds);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		story->told.value |= 1;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		story->told.value |= 2;
	if (caps[0].effective || caps[0].permitted || caps[0].inheritable || caps[1].effective ||
	    caps[1].permitted || caps[1].inheritable)
		story->told.value |= 4;
	if (core.rlim_max != 0)
		story->told.value |= 8;
	if (fds.rlim_max > SANDBOX_MAX_FDS || fds.rlim_cur != fds.rlim_max)
		story->told.value |= 16;
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2)
		story->told.value |= 32;
}

static void test_nothing_is_left_of_privileges(void **state)
{
	const struct report report = tell(SANDBOX_LOG, SANDBOX_LOOP, look_at_self);

	(void)state;
	assert_int_equal(report.how, SANDBOX_DONE);
	assert_int_equal(report.story.told.ret, 0);
	assert_int_equal(report.story.told.value, 0);
}

/* What a machine needs goes on. */

static void do_ordinary_things(struct story *story)
{
	void *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	story->told.value = map != MAP_FAILED && mprotect(map, 4096, PROT_NONE) == 0 &&
			    munmap(map, 1 << 20) == 0 && gettid() > 0;
}

static void test_threads_do_their_work(void **state)
{
	(void)state;
	for (enum sandbox_thread kind = SANDBOX_LOOP; kind <= SANDBOX_WORKER; kind++) {
		const struct report report = tell(SANDBOX_ON, kind, do_ordinary_things);

		assert_int_equal(report.how, SANDBOX_DONE);
		assert_int_equal(report.story.told.ret, 0);
		assert_int_equal(report.story.told.value, 1);
		assert_true(report.story.was_kept);
	}
}

/* The keeper. */

static void do_crash(struct story *story)
{
	(void)story;
	signal(SIGSEGV, SIG_DFL);
	syscall(SYS_tgkill, getpid(), gettid(), SIGSEGV);
}

static void do_end(struct story *story)
{
	(void)story;
	_exit(0);
}

static void do_die(struct story *story)
{
	(void)story;
	syscall(SYS_tgkill, getpid(), gettid(), SIGKILL);
}

static void test_the_keeper_tells_what_came_of_it(void **state)
{
	static const struct {
		void (*act)(struct story *);
		int how;
		const char *words;
	} ends[] = {
		{do_crash, SANDBOX_BROKEN, "has crashed (SIGSEGV)"},
		{do_end, SANDBOX_BROKEN, "without a word"},
		{do_die, SANDBOX_KILLED, "was killed (SIGKILL)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const struct report report = tell(SANDBOX_LOG, SANDBOX_LOOP, ends[i].act);

		assert_int_equal(report.how, ends[i].how);
		assert_non_null(strstr(report.err.msg, ends[i].words));
	}
}

static int block_term(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return sigprocmask(SIG_BLOCK, &set, NULL);
}

static void test_signals_are_passed_on(void **state)
{
	const struct report report = tell(SANDBOX_LOG, SANDBOX_LOOP, wait_for_signal);

	(void)state;
	assert_int_equal(report.how, SANDBOX_DONE);
	assert_int_equal(report.story.told.value, SIGTERM);
}

static void name_process(struct story *story)
{
	story->told.value = getpid() == story->keeper;
}

static void test_off_is_one_process(void **state)
{
	const struct report off = tell(SANDBOX_OFF, SANDBOX_LOOP, name_process);
	const struct report on = tell(SANDBOX_ON, SANDBOX_LOOP, name_process);

	(void)state;
	assert_int_equal(off.how, SANDBOX_DONE);
	assert_int_equal(off.story.told.value, 1);
	assert_false(off.story.was_kept);
	assert_int_equal(on.story.told.value, 0);
}

#define LEFT_OPEN 100

static void look_for_inherited(struct story *story)
{
	story->told.value = (fcntl(STDERR_FILENO, F_GETFD) >= 0) << 1 |
			    (fcntl(LEFT_OPEN, F_GETFD) >= 0);
}

/* Standard descriptors stay; a fourth that a shell has left open goes. */
static void test_inherited_descriptors_are_closed(void **state)
{
	struct report report;

	(void)state;
	assert_int_equal(dup2(STDERR_FILENO, LEFT_OPEN), LEFT_OPEN);
	report = tell(SANDBOX_LOG, SANDBOX_LOOP, look_for_inherited);
	close(LEFT_OPEN);
	assert_int_equal(report.story.told.value, 2);
}

/* Threads that there are already would stay as they are. */
static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void come_too_late(struct story *story)
{
	struct sandbox again = {.mode = SANDBOX_ON};
	struct ccr_err err = {0};
	pthread_t thread;

	pthread_create(&thread, NULL, wait_for_ever, NULL);
	story->told.value = sandbox_before_run(&again, &err);
	again.is_confined = true;
	story->told.ret = sandbox_before_run(&again, &err);
}

static void test_threads_come_later(void **state)
{
	const struct report report = tell(SANDBOX_LOG, SANDBOX_LOOP, come_too_late);

	(void)state;
	assert_int_equal(report.story.told.value, -EBUSY);
	assert_int_equal(report.story.told.ret, 0);
}

/*
 * Brokers. In @place are the directory `share` with the file `file`, the directory `sub` and the
 * socket `socket`, and beside it the file `outside` and the socket `elsewhere`; there is another
 * socket without a file. @is_enclosed: by a root directory, in which `share` is all there is.
 */
struct yard {
	char place[32];
	char share[48];
	int place_fd;
	int sockets[3];
	struct sockaddr_un abstract;
	socklen_t abstract_size;
	bool is_enclosed;
};

struct where {
	char path[64];
};

static struct where where(const struct yard *yard, const char *name)
{
	struct where where;

	if (yard->is_enclosed && !strncmp(name, "share", 5))
		snprintf(where.path, sizeof(where.path), "/0%s", name + 5);
	else
		snprintf(where.path, sizeof(where.path), "%s/%s", yard->place, name);
	return where;
}

static struct sockaddr_un address_of(const struct yard *yard, const char *name)
{
	const struct where at = where(yard, name);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, at.path);
	return address;
}

static void put(int dir_fd, const char *name)
{
	const int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

/* @size: of the family alone for an address that the kernel makes up. */
static int listen_at(const struct sockaddr_un *address, socklen_t size)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)address, size), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void yard_begin(struct yard *yard)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX};
	struct sockaddr_un address;

	*yard = (struct yard){.place = "/tmp/test_sandbox.XXXXXX"};
	assert_non_null(mkdtemp(yard->place));
	snprintf(yard->share, sizeof(yard->share), "%s/share", yard->place);
	assert_int_equal(mkdir(yard->share, 0700), 0);
	yard->place_fd = open(yard->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	put(yard->place_fd, "outside");
	put(yard->place_fd, "share/file");
	assert_int_equal(mkdirat(yard->place_fd, "share/sub", 0700), 0);
	address = address_of(yard, "share/socket");
	yard->sockets[0] = listen_at(&address, sizeof(address));
	address = address_of(yard, "elsewhere");
	yard->sockets[1] = listen_at(&address, sizeof(address));
	yard->sockets[2] = listen_at(&any, sizeof(sa_family_t));
	yard->abstract_size = sizeof(yard->abstract);
	assert_int_equal(getsockname(yard->sockets[2], (struct sockaddr *)&yard->abstract,
				     &yard->abstract_size),
			 0);
}

static void yard_end(struct yard *yard)
{
	static const char *const names[] = {"outside",      "elsewhere", "share/file",
					    "share/socket", "share/new", "share/sub/moved",
					    "share/link"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(yard->place_fd, names[i], 0);
	unlinkat(yard->place_fd, "share/sub", AT_REMOVEDIR);
	unlinkat(yard->place_fd, "share", AT_REMOVEDIR);
	close(yard->place_fd);
	for (size_t i = 0; i < sizeof(yard->sockets) / sizeof(yard->sockets[0]); i++)
		close(yard->sockets[i]);
	assert_int_equal(rmdir(yard->place), 0);
}

/* Each returns a number below 0 if it was refused; with the numbers that both machines have. */

static long try_to_read(const struct yard *yard, const char *name)
{
	return syscall(SYS_openat, AT_FDCWD, where(yard, name).path, O_RDONLY | O_CLOEXEC);
}

static long try_to_write(const struct yard *yard, const char *name)
{
	return syscall(SYS_openat, AT_FDCWD, where(yard, name).path,
		       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static long try_to_link(const struct yard *yard, const char *name)
{
	return syscall(SYS_linkat, AT_FDCWD, where(yard, name).path, AT_FDCWD,
		       where(yard, "share/link").path, 0);
}

static long try_to_move(const struct yard *yard, const char *name)
{
	return syscall(SYS_renameat, AT_FDCWD, where(yard, name).path, AT_FDCWD,
		       where(yard, "share/sub/moved").path);
}

static long try_to_remove(const struct yard *yard, const char *name)
{
	return syscall(SYS_unlinkat, AT_FDCWD, where(yard, name).path, 0);
}

static long try_to_see(const struct yard *yard, const char *name)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, where(yard, name).path, &st, 0);
}

static long try_to_change_mode(const struct yard *yard, const char *name)
{
	return syscall(SYS_fchmodat, AT_FDCWD, where(yard, name).path, 0777);
}

static const struct {
	long (*attempt)(const struct yard *yard, const char *name);
	const char *name;
	bool is_inside;
	bool changes;
	bool needs_root; /* to be refused: Landlock has no rule for it */
} attempts[] = {
	{try_to_read, "outside", false, false, false},
	{try_to_write, "outside", false, true, false},
	{try_to_write, "beside", false, true, false},
	{try_to_move, "outside", false, true, false},
	{try_to_link, "outside", false, true, false},
	{try_to_remove, "outside", false, true, false},
	{try_to_read, ".", false, false, false},
	{try_to_see, "outside", false, false, true},
	{try_to_see, "share/../outside", false, false, true},
	{try_to_see, "../../proc/1/root", false, false, true},
	{try_to_change_mode, "outside", false, true, true},
	{try_to_read, "share/file", true, false, false},
	{try_to_read, "share", true, false, false},
	{try_to_see, "share/file", true, false, false},
	{try_to_change_mode, "share/file", true, true, true},
	{try_to_write, "share/file", true, true, false},
	{try_to_write, "share/new", true, true, false},
	{try_to_link, "share/new", true, true, false},
	{try_to_move, "share/new", true, true, false},
	{try_to_remove, "share/link", true, true, false},
};

#define NR_ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

/* In a process of its own. */
static void confine(struct yard *yard, struct sandbox_task *task, bool encloses)
{
	const char *const dirs[] = {yard->share};
	struct sandbox sandbox;
	struct ccr_err err = {0};

	log_init(LOG_ERROR);
	if (sandbox_initial(&sandbox, SANDBOX_ON, &err))
		_exit(1);
	if (encloses)
		yard->is_enclosed = sandbox_enclose(SANDBOX_ON, task, dirs, 1);
	if (yard->is_enclosed != encloses || sandbox_broker(SANDBOX_ON, task, &err))
		_exit(1);
}

static void be_share(struct yard *yard, bool read_only, bool encloses, int fd)
{
	struct sandbox_task task = {.dir = yard->share, .read_only = read_only};
	int results[NR_ATTEMPTS] = {0};

	confine(yard, &task, encloses);
	for (size_t i = 0; i < NR_ATTEMPTS; i++)
		results[i] = attempts[i].attempt(yard, attempts[i].name) < 0 ? -errno : 0;
	_exit(write(fd, results, sizeof(results)) == sizeof(results) ? 0 : 1);
}

static void test_share(bool read_only, bool encloses)
{
	int results[NR_ATTEMPTS], fds[2];
	struct yard yard;

	yard_begin(&yard);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if (fork() == 0)
		be_share(&yard, read_only, encloses, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], results, sizeof(results)), sizeof(results));
	close(fds[0]);
	yard_end(&yard);
	for (size_t i = 0; i < NR_ATTEMPTS; i++) {
		const bool allowed = attempts[i].is_inside && !(read_only && attempts[i].changes);

		print_message("%s: %d\n", attempts[i].name, results[i]);
		if (encloses || !attempts[i].needs_root)
			assert_true(allowed ? results[i] == 0 : results[i] < 0);
	}
}

/* Linux 5.19 and newer, if it is started with it. */
static void want_landlock(void)
{
	if (syscall(444, NULL, 0, 1u) < 2)
		skip();
}

/* A root directory that is no mount, as in a chroot, cannot be replaced. */
static bool has_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}

/* Name spaces of mounts, if need be by one of users. */
static void want_mounts(void)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(!has_mounts());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		skip();
}

static void test_a_share_is_its_directory(void **state)
{
	(void)state;
	want_landlock();
	test_share(false, false);
}

static void test_a_share_that_changes_nothing(void **state)
{
	(void)state;
	want_landlock();
	test_share(true, false);
}

static void test_an_enclosed_share(void **state)
{
	(void)state;
	want_mounts();
	test_share(false, true);
}

static void test_an_enclosed_share_that_changes_nothing(void **state)
{
	(void)state;
	want_mounts();
	test_share(true, true);
}

/* In a process of its own, of an ordinary user. Return: 0 if nothing came of it. */
static int enclose_in_vain(void)
{
	const char *const dirs[] = {"/nobody-has-this"};
	struct sandbox_task task = {.dir = dirs[0]};
	char before[64] = "", after[64] = "";

	log_init(LOG_ERROR);
	if (geteuid() == 0 && setuid(65534) < 0)
		return 1;
	if (readlink("/proc/self/ns/user", before, sizeof(before) - 1) < 0 ||
	    sandbox_enclose(SANDBOX_ON, &task, dirs, 1) ||
	    readlink("/proc/self/ns/user", after, sizeof(after) - 1) < 0)
		return 1;
	return strcmp(before, after) != 0 || task.has_users || task.dir != dirs[0];
}

static void test_no_name_space_of_users_in_vain(void **state)
{
	int status;
	const pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(enclose_in_vain());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Return: 0 or -errno. */
static int try_to_connect(const struct sockaddr_un *address, socklen_t size)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (const struct sockaddr *)address, size) < 0 ? -errno : 0;
}

static const char *const sockets[] = {"share/socket", "elsewhere", "share/../elsewhere"};

#define NR_SOCKETS (sizeof(sockets) / sizeof(sockets[0]))

static void be_broker_of_sockets(struct yard *yard, int fd)
{
	struct sandbox_task task = {0};
	int results[NR_SOCKETS + 1];

	confine(yard, &task, true);
	for (size_t i = 0; i < NR_SOCKETS; i++) {
		const struct sockaddr_un address = address_of(yard, sockets[i]);

		results[i] = try_to_connect(&address, sizeof(address));
	}
	results[NR_SOCKETS] = try_to_connect(&yard->abstract, yard->abstract_size);
	_exit(write(fd, results, sizeof(results)) == sizeof(results) ? 0 : 1);
}

static void test_other_sockets_are_not_there(void **state)
{
	int results[NR_SOCKETS + 1], fds[2];
	struct yard yard;

	(void)state;
	want_mounts();
	yard_begin(&yard);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if (fork() == 0)
		be_broker_of_sockets(&yard, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], results, sizeof(results)), sizeof(results));
	close(fds[0]);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], -ENOENT);
	assert_int_equal(results[2], -ENOENT);
	assert_int_equal(results[3], -ECONNREFUSED);
	/* From here, all of them can be reached. */
	assert_int_equal(try_to_connect(&yard.abstract, yard.abstract_size), 0);
	yard_end(&yard);
}

static void test_modes_have_names(void **state)
{
	enum sandbox_mode mode = SANDBOX_LOG;
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(sandbox_parse("off", &mode, &err), 0);
	assert_int_equal(mode, SANDBOX_OFF);
	assert_int_equal(sandbox_parse("on", &mode, &err), 0);
	assert_int_equal(mode, SANDBOX_ON);
	assert_int_equal(sandbox_parse("log", &mode, &err), 0);
	assert_int_equal(mode, SANDBOX_LOG);
	assert_int_equal(sandbox_parse("maybe", &mode, &err), -EINVAL);
	assert_string_equal(err.msg, "--sandbox maybe: neither on, off nor log");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_forbidden_kills),
		cmocka_unit_test(test_there_are_no_files),
		cmocka_unit_test(test_nothing_is_left_of_privileges),
		cmocka_unit_test(test_threads_do_their_work),
		cmocka_unit_test(test_the_keeper_tells_what_came_of_it),
		cmocka_unit_test(test_signals_are_passed_on),
		cmocka_unit_test(test_off_is_one_process),
		cmocka_unit_test(test_inherited_descriptors_are_closed),
		cmocka_unit_test(test_threads_come_later),
		cmocka_unit_test(test_a_share_is_its_directory),
		cmocka_unit_test(test_a_share_that_changes_nothing),
		cmocka_unit_test(test_an_enclosed_share),
		cmocka_unit_test(test_an_enclosed_share_that_changes_nothing),
		cmocka_unit_test(test_no_name_space_of_users_in_vain),
		cmocka_unit_test(test_other_sockets_are_not_there),
		cmocka_unit_test(test_modes_have_names),
	};

	return cmocka_run_group_tests(tests, block_term, NULL);
}

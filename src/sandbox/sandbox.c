/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "ccr/log.h"
#include "internal.h"

int sandbox_parse(const char *text, enum sandbox_mode *ret_mode, struct ccr_err *err)
{
	static const char *const names[] = {
		[SANDBOX_OFF] = "off",
		[SANDBOX_ON] = "on",
		[SANDBOX_LOG] = "log",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(text, names[i])) {
			*ret_mode = (enum sandbox_mode)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "--sandbox %s: neither on, off nor log", text);
}

/* Not more descriptors than a machine can need; no core dumps, which would have guest memory. */
static int set_limits(struct ccr_err *err)
{
	const struct rlimit no_core = {0, 0};
	struct rlimit fds;

	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || getrlimit(RLIMIT_NOFILE, &fds) < 0)
		return err_set(err, -errno, "sandbox: no limits: %s", strerror(errno));
	if (fds.rlim_max > SANDBOX_MAX_FDS)
		fds.rlim_max = SANDBOX_MAX_FDS;
	fds.rlim_cur = fds.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &fds) < 0)
		return err_set(err, -errno, "sandbox: no limit of descriptors: %s",
			       strerror(errno));
	return 0;
}

/* A word of the map at a time: asked one by one, they are most of a start's system calls. */
/* syscalls(setup): ppoll */
static uint64_t open_descriptors(unsigned word)
{
	struct pollfd fds[64];
	uint64_t open = 0;
	bool is_told;

	for (int i = 0; i < 64; i++)
		fds[i] = (struct pollfd){.fd = (int)word * 64 + i};
	is_told = poll(fds, 64, 0) >= 0;
	for (int i = 0; i < 64; i++) {
		if (is_told ? !(fds[i].revents & POLLNVAL) : fcntl(fds[i].fd, F_GETFD) >= 0)
			open |= 1ull << i;
	}
	return open;
}

static void note_inherited(struct sandbox *sandbox)
{
	const uint64_t standard = (1ull << (STDERR_FILENO + 1)) - 1;

	for (unsigned i = 0; i < SANDBOX_MAX_INHERITED / 64; i++)
		sandbox->inherited[i] = open_descriptors(i);
	sandbox->inherited[0] &= ~standard;
}

void sandbox_adopt(struct sandbox *sandbox, int fd)
{
	if (sandbox && fd >= 0 && fd < SANDBOX_MAX_INHERITED)
		sandbox->inherited[fd / 64] &= ~(1ull << fd % 64);
}

static void close_inherited(const struct sandbox *sandbox)
{
	for (int fd = STDERR_FILENO + 1; fd < SANDBOX_MAX_INHERITED; fd++) {
		if (sandbox->inherited[fd / 64] >> fd % 64 & 1)
			close(fd);
	}
}

/* A filter at no address: who can install filters gets as far as to look there. */
static int check_filters(struct ccr_err *err)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == 0 || errno == EFAULT)
		return 0;
	return err_set(err, -EOPNOTSUPP,
		       "this kernel has no system call filters, which keep a guest that takes over "
		       "this program from your files: build it with CONFIG_SECCOMP_FILTER, or do "
		       "without them by --sandbox=off");
}

int sandbox_initial(struct sandbox *sandbox, enum sandbox_mode mode, struct ccr_err *err)
{
	int ret;

	*sandbox = (struct sandbox){.mode = mode};
	if (mode == SANDBOX_OFF) {
		log_warn("--sandbox=off: a guest that takes over this program may do what you may");
		return 0;
	}
	if (mode == SANDBOX_LOG)
		log_warn("--sandbox=log: forbidden system calls are not denied, but logged by the "
			 "kernel");
	note_inherited(sandbox);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "sandbox: no_new_privs is refused: %s",
			       strerror(errno));
	ret = set_limits(err);
	return ret ? ret : check_filters(err);
}

/* syscalls(setup): prctl:PR_SET_PDEATHSIG */
static void follow_keeper(void)
{
	/* Credentials that have changed make the kernel forget it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int sandbox_after_open(struct sandbox *sandbox, struct ccr_err *err)
{
	struct isolate_spaces spaces;

	(void)err;
	if (sandbox->mode == SANDBOX_OFF)
		return 0;
	close_inherited(sandbox);
	isolate_namespaces(false, &spaces);
	sandbox->has_mounts = spaces.has_mounts;
	follow_keeper();
	return 0;
}

static void hide_files(const struct sandbox *sandbox)
{
	static const struct root_kept nothing = {0};
	const int ret = sandbox->has_mounts ? root_replace(&nothing) : -EPERM;

	if (ret)
		log_debug("sandbox: no empty root directory: %s", strerror(-ret));
	if (!isolate_files() && ret)
		log_warn("sandbox: this host allows neither name spaces nor Landlock; system call "
			 "filters alone keep a guest from your files (`ccr-run check` says why)");
}

static int confine(struct ccr_err *err)
{
	const int ret = isolate_caps(ISOLATE_NO_CAPS);

	if (ret)
		return err_set(err, ret, "sandbox: capabilities cannot be dropped: %s",
			       strerror(-ret));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(err, -errno, "sandbox: tracing cannot be forbidden: %s",
			       strerror(errno));
	follow_keeper();
	return 0;
}

static int filter_refused(int ret, struct ccr_err *err)
{
	return err_set(err, ret, "sandbox: the kernel refuses the system call filter: %s",
		       strerror(-ret));
}

/* A thread that was waited for is on its way out for a moment longer. */
#define MAX_TRIES   1000
#define TRY_EACH_NS 1000000

/* unshare() fails if there are other threads, and changes nothing if there are none. */
static int check_alone(struct ccr_err *err)
{
	const struct timespec pause = {.tv_nsec = TRY_EACH_NS};
	unsigned nr_tries = 0;

	while (unshare(CLONE_THREAD) < 0) {
		if (++nr_tries == MAX_TRIES)
			return err_set(err, -EBUSY,
				       "sandbox: there are threads that were made too early");
		nanosleep(&pause, NULL);
	}
	return 0;
}

int sandbox_before_run(struct sandbox *sandbox, struct ccr_err *err)
{
	int ret;

	if (sandbox->mode == SANDBOX_OFF || sandbox->is_confined)
		return 0;
	ret = check_alone(err);
	if (ret)
		return ret;
	hide_files(sandbox);
	ret = confine(err);
	if (ret)
		return ret;
	ret = sandbox_thread_confine_machine(sandbox);
	if (ret)
		return filter_refused(ret, err);
	sandbox->is_confined = true;
	return 0;
}

/* A root directory that has only what is kept, and the name spaces that come before it. */
struct enclosure {
	struct root_kept kept;
	bool keeps_users;
	struct isolate_spaces spaces;
};

/* Return: 0 or -errno. */
static int enclose(void *ctx)
{
	struct enclosure *enclosure = ctx;

	isolate_namespaces(enclosure->keeps_users, &enclosure->spaces);
	return enclosure->spaces.has_mounts ? root_replace(&enclosure->kept) : -EPERM;
}

/*
 * In a name space of users all that is left of other owners is that they are others. Hosts allow
 * one and then nothing in it: for a share, it is only taken if it leads to a root directory.
 */
static int enclose_share(struct enclosure *enclosure)
{
	const bool is_root = geteuid() == 0;

	if (!is_root && !keeper_try(enclose, enclosure))
		return -EPERM;
	enclosure->keeps_users = is_root;
	return enclose(enclosure);
}

bool sandbox_enclose(enum sandbox_mode mode, struct sandbox_task *task, const char *const *dirs,
		     unsigned nr_dirs)
{
	struct enclosure enclosure = {
		.kept =
			{
				.dirs = dirs,
				.nr_dirs = nr_dirs,
				.has_links = task->dir,
				.read_only = !task->dir || task->read_only,
			},
	};
	int ret;

	if (mode == SANDBOX_OFF)
		return false;
	ret = task->dir ? enclose_share(&enclosure) : enclose(&enclosure);
	task->has_users = enclosure.spaces.has_users;
	if (ret)
		log_debug("broker: no root directory of its own: %s", strerror(-ret));
	else if (task->dir)
		task->dir = ROOT_FIRST_DIR;
	return ret == 0;
}

/* What connects needs no file opened; what shares files is for those of one directory. */
static void narrow_files(const struct sandbox_task *task)
{
	if (task->dir ? isolate_directory(task->dir, task->read_only) : isolate_files())
		return;
	log_debug("broker%s%s: Landlock does not keep it from other files", task->dir ? " of " : "",
		  task->dir ? task->dir : "");
}

int sandbox_broker(enum sandbox_mode mode, const struct sandbox_task *task, struct ccr_err *err)
{
	const bool keeps_caps = task->dir && !task->has_users;
	int ret;

	if (mode == SANDBOX_OFF)
		return 0;
	narrow_files(task);
	ret = isolate_caps(keeps_caps ? ISOLATE_FILE_CAPS : ISOLATE_NO_CAPS);
	if (ret)
		return err_set(err, ret, "broker: capabilities cannot be dropped: %s",
			       strerror(-ret));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(err, -errno, "broker: tracing cannot be forbidden: %s",
			       strerror(errno));
	follow_keeper();
	ret = sandbox_thread_confine_broker(mode, task->dir ? SANDBOX_SHARE : SANDBOX_BROKER);
	return ret ? filter_refused(ret, err) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid 1 of the test and demo guests: says that userspace is there, does what the kernel command
 * line asks, and ends the machine.
 *
 *	ccr.check=mem             test half of the free memory
 *	ccr.check=log             save the measurement log that is in memory as /tmp/log, and print
 *	                          its digest, if busybox is there
 *	ccr.modules=a,b           load /lib/modules/a.ko and b.ko, in that order
 *	ccr.attest=PORT           let `attest` hand out tokens on this port of vsock, from then on
 *	ccr.run=PROGRAM,ARG,...   run it, and say how it ended; looked for in /harness and /bin
 *	ccr.then=poweroff|reboot|panic|shell|hang
 *	                          then do that; shell is the default where there is one
 *
 * Nobody is there to press a key, so every failure is said in one line and powers the machine off.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* klogctl(2) actions; the C library names none of them */
#define SYSLOG_READ_ALL      3
#define SYSLOG_CONSOLE_LEVEL 8
#define SYSLOG_SIZE_BUFFER   10

/* finit_module(2) flag: the kernel decompresses .ko.xz and the like */
#define MODULE_INIT_COMPRESSED_FILE 4

static _Noreturn void end_machine(int how)
{
	/* What was said may still be on its way out of a UART. */
	tcdrain(STDOUT_FILENO);
	sync();
	reboot(how);
	/* Only a kernel without power-off comes back. */
	for (;;)
		pause();
}

/* A line at once, so that kernel messages do not get in between. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (size < 0)
		return;
	if ((size_t)size >= sizeof(line))
		size = sizeof(line) - 1;
	for (int done = 0; done < size;) {
		ssize_t n = write(STDOUT_FILENO, line + done, (size_t)(size - done));

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			done += (int)n;
	}
}

static _Noreturn void fail(const char *what, const char *on)
{
	say("CCR-GUEST-FAIL %s %s: %s\n", what, on, strerror(errno));
	end_machine(RB_POWER_OFF);
}

static void mount_one(const char *type, const char *where)
{
	if (mkdir(where, 0755) < 0 && errno != EEXIST)
		return;
	mount(type, where, type, MS_NOSUID, NULL);
}

/* What is missing shows later in what needs it; a kernel need not have all of these. */
static void mount_all(void)
{
	mount_one("proc", "/proc");
	mount_one("sysfs", "/sys");
	mount_one("devtmpfs", "/dev");
	mount_one("tmpfs", "/tmp");
}

/* May be a module. */
static void mount_configfs(void)
{
	if (access("/sys/kernel/config", F_OK) == 0)
		mount_one("configfs", "/sys/kernel/config");
}

static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

/* The kernel's own /dev/console may have been missing from the archive. */
static void open_console(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return;
	fd = open("/dev/console", O_RDWR);
	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* The kernel's console that /dev/console stands for, which can be a controlling terminal. */
static void console_path(char *path, size_t size)
{
	char names[96], *last;

	snprintf(path, size, "/dev/console");
	if (read_file("/sys/class/tty/console/active", names, sizeof(names)) <= 0)
		return;
	names[strcspn(names, "\n")] = '\0';
	last = strrchr(names, ' ');
	snprintf(path, size, "/dev/%s", last ? last + 1 : names);
	if (access(path, F_OK) < 0)
		snprintf(path, size, "/dev/console");
}

/* Copies the value of the command line's @name=; an absent one is "". */
static void option(const char *cmdline, const char *name, char *value, size_t size)
{
	size_t name_size = strlen(name);
	const char *p = cmdline;

	value[0] = '\0';
	while (*p) {
		size_t word = strcspn(p, " \n");

		if (word > name_size && !strncmp(p, name, name_size) && p[name_size] == '=') {
			snprintf(value, size, "%.*s", (int)(word - name_size - 1),
				 p + name_size + 1);
			return;
		}
		p += word;
		p += strspn(p, " \n");
	}
}

static bool kernel_log_has(const char *what)
{
	int size = klogctl(SYSLOG_SIZE_BUFFER, NULL, 0);
	char *log;
	bool found;

	if (size <= 0)
		return false;
	log = malloc((size_t)size + 1);
	if (!log)
		return false;
	size = klogctl(SYSLOG_READ_ALL, log, size);
	log[size > 0 ? size : 0] = '\0';
	found = strstr(log, what) != NULL;
	free(log);
	return found;
}

/*
 * Linux 6.13 and later: the platform device that rsi.c registers; newer kernels have the file under
 * /sys/firmware and may drop the device. Every kernel logs the RSI version it uses.
 */
static bool in_realm(void)
{
	return access("/sys/firmware/cca/realm_guest", F_OK) == 0 ||
	       access("/sys/devices/platform/arm-cca-dev", F_OK) == 0 ||
	       kernel_log_has("Using RSI version");
}

static unsigned long long bytes_of(unsigned long units, const struct sysinfo *info)
{
	return (unsigned long long)units * info->mem_unit;
}

static void say_ready(void)
{
	struct sysinfo info;
	struct utsname name;

	if (sysinfo(&info) < 0)
		fail("read", "memory size");
	if (uname(&name) < 0)
		fail("read", "kernel release");
	say("CCR-GUEST-READY nr_cpus=%ld mem_kib=%llu realm=%d kernel=%s\n",
	    sysconf(_SC_NPROCESSORS_ONLN), bytes_of(info.totalram, &info) / 1024, in_realm(),
	    name.release);
}

/* Different for every address and round, so that a page that appears twice is noticed. */
static uint64_t pattern(size_t i, unsigned round)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull;

	return round ? ~x : x;
}

static void check_memory(void)
{
	struct sysinfo info;
	size_t size, nr;
	uint64_t *words, sum = 0;

	if (sysinfo(&info) < 0)
		fail("read", "free memory");
	size = (size_t)(bytes_of(info.freeram, &info) / 2) & ~(size_t)0xfffff;
	nr = size / sizeof(*words);
	words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		fail("allocate", "memory to test");
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < nr; i++)
			words[i] = pattern(i, round);
		for (size_t i = 0; i < nr; i++) {
			if (words[i] != pattern(i, round)) {
				say("CCR-GUEST-MEM bad at byte %zu of %zu\n", i * sizeof(*words),
				    size);
				end_machine(RB_POWER_OFF);
			}
			sum = (sum ^ words[i]) * 0x100000001b3ull;
		}
	}
	munmap(words, size);
	say("CCR-GUEST-MEM ok sum=%016llx\n", (unsigned long long)sum);
}

#define RESERVED_MEMORY "/sys/firmware/devicetree/base/reserved-memory"

/* @path: of the log's node in the device tree */
static void find_log(char *path, size_t size)
{
	DIR *dir = opendir(RESERVED_MEMORY);
	const struct dirent *entry;

	if (!dir)
		fail("open", RESERVED_MEMORY);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "event-log@", 10) != 0)
			continue;
		snprintf(path, size, "%s/%s", RESERVED_MEMORY, entry->d_name);
		closedir(dir);
		return;
	}
	errno = ENOENT;
	fail("find event-log in", RESERVED_MEMORY);
}

static uint64_t read_cells(const char *node, const char *name)
{
	char path[512], bytes[9];
	uint64_t value;

	snprintf(path, sizeof(path), "%s/%s", node, name);
	if (read_file(path, bytes, sizeof(bytes)) != 8)
		fail("read", path);
	memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

/* Word by word: the kernel maps what is not its own memory for nothing less. */
static void copy_words(uint64_t *to, const volatile uint64_t *from, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*to); i++)
		to[i] = from[i];
}

static void save(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		fail("write", path);
}

static void print_digest(const char *path)
{
	const pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/busybox", "sha256sum", path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		fail("run", "sha256sum");
}

static void check_log(void)
{
	const int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	char node[512];
	uint64_t base, size;
	void *region, *copy;

	find_log(node, sizeof(node));
	base = read_cells(node, "log-base");
	size = read_cells(node, "log-size");
	region = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)base);
	if (region == MAP_FAILED)
		fail("map", node);
	copy = malloc(size);
	if (!copy)
		fail("allocate", "the log");
	copy_words(copy, region, size);
	save("/tmp/log", copy, size);
	free(copy);
	munmap(region, size);
	close(fd);
	print_digest("/tmp/log");
}

static int open_module(const char *name, int *ret_flags)
{
	static const char endings[][8] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		int fd;

		snprintf(path, sizeof(path), "/lib/modules/%s%s", name, endings[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT) {
			*ret_flags = i ? MODULE_INIT_COMPRESSED_FILE : 0;
			return fd;
		}
	}
	return -1;
}

static void load_modules(char *names)
{
	char *rest = names, *name;

	while ((name = strsep(&rest, ","))) {
		int flags = 0, fd = open_module(name, &flags);

		if (fd < 0)
			fail("open module", name);
		if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
			fail("load module", name);
		close(fd);
	}
}

/* In the child. */
static _Noreturn void exec_program(char *const *argv)
{
	setenv("PATH", "/harness:/sbin:/usr/sbin:/bin:/usr/bin", 1);
	execvp(argv[0], argv);
	say("CCR-GUEST-FAIL run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Children that it leaves behind are ours to reap, before and after it. */
static int wait_for(pid_t child)
{
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
	} while (pid != child && (pid > 0 || errno == EINTR));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void run_program(char *words)
{
	char *argv[16], *rest = words;
	size_t nr = 0;
	pid_t child;

	while (rest && nr < ARRAY_SIZE(argv) - 1)
		argv[nr++] = strsep(&rest, ",");
	argv[nr] = NULL;
	child = fork();
	if (child < 0)
		fail("fork", argv[0]);
	if (!child)
		exec_program(argv);
	say("CCR-GUEST-RAN %s status=%d\n", argv[0], wait_for(child));
}

/* It says itself when it is ready, and why it is not. */
static void start_attest(const char *port)
{
	char program[] = "attest", option_name[] = "--listen", value[16];
	char *argv[] = {program, option_name, value, NULL};
	const pid_t child = fork();

	snprintf(value, sizeof(value), "%s", port);
	if (child < 0)
		fail("fork", argv[0]);
	if (!child)
		exec_program(argv);
}

static const char *shell_path(void)
{
	if (access("/bin/sh", X_OK) == 0)
		return "/bin/sh";
	if (access("/bin/busybox", X_OK) == 0)
		return "/bin/busybox";
	return NULL;
}

/* In the child: a session of its own on the console, so that job control and ^C work. */
static _Noreturn void exec_shell(const char *path, const sigset_t *mask)
{
	char console[128];
	char arg0[] = "sh", home[] = "HOME=/", term[] = "TERM=linux";
	char env_path[] = "PATH=/sbin:/usr/sbin:/bin:/usr/bin";
	char *argv[] = {arg0, NULL}, *envp[] = {home, term, env_path, NULL};
	int fd;

	sigprocmask(SIG_SETMASK, mask, NULL);
	setsid();
	console_path(console, sizeof(console));
	fd = open(console, O_RDWR);
	if (fd >= 0) {
		ioctl(fd, TIOCSCTTY, 1);
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		if (fd > 2)
			close(fd);
	}
	execve(path, argv, envp);
	say("CCR-GUEST-FAIL run %s: %s\n", path, strerror(errno));
	_exit(127);
}

static bool reap(pid_t shell)
{
	bool ended = false;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		ended = ended || pid == shell;
	return ended;
}

/*
 * Until the shell ends, or somebody asks pid 1 the way busybox's poweroff, halt and reboot do.
 */
static _Noreturn void run_shell(const char *path)
{
	sigset_t wanted, old;
	pid_t shell;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGUSR1);
	sigaddset(&wanted, SIGUSR2);
	sigaddset(&wanted, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &wanted, &old) < 0)
		fail("block", "signals");
	shell = fork();
	if (shell < 0)
		fail("fork", path);
	if (!shell)
		exec_shell(path, &old);
	for (;;) {
		switch (sigwaitinfo(&wanted, NULL)) {
		case SIGCHLD:
			if (reap(shell))
				end_machine(RB_POWER_OFF);
			break;
		case SIGUSR1:
		case SIGUSR2:
			end_machine(RB_POWER_OFF);
		case SIGTERM:
			end_machine(RB_AUTOBOOT);
		default:
			break;
		}
	}
}

static _Noreturn void panic_kernel(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "c", 1) < 0)
		close(fd);
	/* pid 1 that ends is a panic as well. */
	_exit(1);
}

static _Noreturn void finish(const char *then)
{
	const char *shell = shell_path();

	if (!strcmp(then, "reboot"))
		end_machine(RB_AUTOBOOT);
	if (!strcmp(then, "panic"))
		panic_kernel();
	if (!strcmp(then, "hang")) {
		for (;;)
			pause();
	}
	if (shell && (!then[0] || !strcmp(then, "shell")))
		run_shell(shell);
	if (then[0] && strcmp(then, "poweroff") != 0)
		say("CCR-GUEST-FAIL ccr.then=%s: %s\n", then,
		    strcmp(then, "shell") != 0 ? "not one of poweroff reboot panic shell hang"
					       : "no /bin/sh and no /bin/busybox");
	end_machine(RB_POWER_OFF);
}

int main(void)
{
	char cmdline[4096], check[64], modules[512], attest[16], run[512], then[64];

	mount_all();
	open_console();
	/* What the kernel has to say at boot is said; from now on only errors. */
	klogctl(SYSLOG_CONSOLE_LEVEL, NULL, 4);
	if (read_file("/proc/cmdline", cmdline, sizeof(cmdline)) < 0)
		cmdline[0] = '\0';
	option(cmdline, "ccr.check", check, sizeof(check));
	option(cmdline, "ccr.modules", modules, sizeof(modules));
	option(cmdline, "ccr.attest", attest, sizeof(attest));
	option(cmdline, "ccr.run", run, sizeof(run));
	option(cmdline, "ccr.then", then, sizeof(then));

	say_ready();
	if (modules[0])
		load_modules(modules);
	mount_configfs();
	if (!strcmp(check, "mem"))
		check_memory();
	if (!strcmp(check, "log"))
		check_log();
	if (attest[0])
		start_attest(attest);
	if (run[0])
		run_program(run);
	finish(then);
}

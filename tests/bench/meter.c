/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VMM costs, whichever it is, asked of the host's kernel.
 *
 *	meter run RAM_MIB SECONDS COMMAND...
 *		Run a VMM. Each line of its output that begins with CCR- is printed with what
 *		there is to say at that moment:
 *			host_us   since exec()
 *			cpu_us    CPU time of the VMM's processes, without what the guest ran
 *			exits     of all vCPUs, as KVM counts them
 *		and a line with READY in it also with
 *			pss_kib   memory of the VMM's processes, guest RAM not counted; shared pages
 *			          count by how many share them
 *		A line that begins with CCR-END ends it, and so do SECONDS. Other lines go to
 *		stderr.
 *
 *	meter first SECONDS COMMAND...
 *		Run a VMM until KVM first enters a guest; print first_us, the time since exec().
 *
 *	meter cost RAM_MIB PID...
 *		The sums of cpu_us and pss_kib of these VMMs; of 0 MiB only cpu_us, which is faster.
 *
 * The VMM's processes are the one that was started and all below it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING   "/sys/kernel/tracing"
#define KVM_EXITS "/sys/kernel/debug/kvm/exits"

#define MAX_LINE 1024

/* Of proc_pid_stat(5), counted from the state, which is the first behind the command's name. */
enum { STAT_UTIME = 11, STAT_STIME = 12, STAT_GUEST_TIME = 40 };

struct cost {
	int64_t cpu_us;
	uint64_t pss_kib;
};

static _Noreturn void die(const char *what, const char *on)
{
	fprintf(stderr, "meter: cannot %s %s: %s\n", what, on, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Return: bytes read, with a 0 behind them; 0 if there is no such file. */
static size_t read_file(const char *path, char *buf, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n = 0;

	buf[0] = '\0';
	if (fd < 0)
		return 0;
	while (done < size - 1 && (n = read(fd, buf + done, size - 1 - done)) > 0)
		done += (size_t)n;
	close(fd);
	buf[done] = '\0';
	return done;
}

/* Less than nothing at times: the kernel scales user and system time, but not the guest's. */
static int64_t cpu_of(pid_t pid)
{
	char path[64], text[1024], *field, *rest;
	int64_t ticks = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	read_file(path, text, sizeof(text));
	rest = strrchr(text, ')');
	if (!rest)
		return 0;
	rest += 2;
	for (int nr = 0; (field = strsep(&rest, " ")); nr++) {
		if (nr == STAT_UTIME || nr == STAT_STIME)
			ticks += strtoll(field, NULL, 10);
		else if (nr == STAT_GUEST_TIME)
			ticks -= strtoll(field, NULL, 10);
	}
	return ticks * 1000000 / sysconf(_SC_CLK_TCK);
}

/*
 * Guest RAM is the mappings that are as large as that, files that have no name elsewhere, and what
 * huge pages are advised for ("hg", on the last line of a mapping): RAM of a realm is in pieces.
 */
static uint64_t pss_of(pid_t pid, uint64_t ram)
{
	char path[64], line[MAX_LINE];
	uint64_t from, to, kib = 0, sum = 0;
	bool is_ram = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
			is_ram = to - from >= ram || strstr(line, "/memfd:");
		else if (strncmp(line, "VmFlags:", 8) == 0)
			sum += is_ram || strstr(line, " hg") ? 0 : kib;
		else
			sscanf(line, "Pss: %" SCNu64, &kib);
	}
	fclose(file);
	return sum;
}

/* @ram: 0 if memory is not asked for, which takes much longer */
static void add_cost(pid_t pid, uint64_t ram, struct cost *cost)
{
	char path[64], text[4096], *child, *rest = text;

	cost->cpu_us += cpu_of(pid);
	if (ram)
		cost->pss_kib += pss_of(pid, ram);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	read_file(path, text, sizeof(text));
	while ((child = strsep(&rest, " "))) {
		if (*child)
			add_cost((pid_t)strtol(child, NULL, 10), ram, cost);
	}
}

static uint64_t count_exits(void)
{
	char text[32];

	read_file(KVM_EXITS, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

/* Return: the VMM's process, with its output at *@ret_fd; *@ret_start is when exec() was called. */
static pid_t start(char **command, int *ret_fd, uint64_t *ret_start)
{
	int out[2];
	pid_t pid;

	if (pipe(out) < 0)
		die("make", "a pipe");
	fflush(stdout);
	*ret_start = now_us();
	pid = fork();
	if (pid < 0)
		die("start", command[0]);
	if (pid == 0) {
		const int null = open("/dev/null", O_RDONLY);

		dup2(null, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		execvp(command[0], command);
		die("run", command[0]);
	}
	close(out[1]);
	*ret_fd = out[0];
	return pid;
}

/* Return: its exit status, 0 if a signal of ours has ended it. */
static int end(pid_t pid, bool is_asked)
{
	int status;

	if (is_asked)
		kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	if (WIFSIGNALED(status))
		return is_asked && WTERMSIG(status) == SIGTERM ? 0 : 1;
	return WEXITSTATUS(status);
}

static void print_line(const char *line, pid_t pid, uint64_t ram, uint64_t start_us)
{
	const bool is_ready = strstr(line, "READY") != NULL;
	const uint64_t host_us = now_us() - start_us;
	struct cost cost = {0};

	add_cost(pid, is_ready ? ram : 0, &cost);
	printf("%s host_us=%" PRIu64 " cpu_us=%" PRId64 " exits=%" PRIu64, line, host_us,
	       cost.cpu_us, count_exits());
	if (is_ready)
		printf(" pss_kib=%" PRIu64, cost.pss_kib);
	putchar('\n');
	fflush(stdout);
}

/* struct lines - bytes that have come and are no whole line yet; too long ones are cut */
struct lines {
	char text[MAX_LINE];
	size_t size;
};

/* Return: true when a whole line is there, without its end. */
static bool add_byte(struct lines *lines, char byte)
{
	if (byte == '\n') {
		lines->text[lines->size] = '\0';
		lines->size = 0;
		return true;
	}
	if (byte >= ' ' && lines->size < sizeof(lines->text) - 1)
		lines->text[lines->size++] = byte;
	return false;
}

/* Return: true when the guest has said that this is the end. */
static bool take_output(int fd, struct lines *lines, pid_t pid, uint64_t ram, uint64_t start_us,
			bool *ret_eof)
{
	char bytes[512];
	const ssize_t n = read(fd, bytes, sizeof(bytes));

	*ret_eof = n <= 0;
	for (ssize_t i = 0; i < n; i++) {
		if (!add_byte(lines, bytes[i]))
			continue;
		if (strncmp(lines->text, "CCR-", 4) != 0) {
			fprintf(stderr, "%s\n", lines->text);
			continue;
		}
		print_line(lines->text, pid, ram, start_us);
		if (strncmp(lines->text, "CCR-END", 7) == 0)
			return true;
	}
	return false;
}

static int run(uint64_t ram, unsigned seconds, char **command)
{
	struct lines lines = {.size = 0};
	uint64_t start_us;
	int fd;
	const pid_t pid = start(command, &fd, &start_us);
	const uint64_t deadline = start_us + seconds * UINT64_C(1000000);
	bool is_end = false, is_eof = false;

	while (!is_end && !is_eof) {
		struct pollfd source = {.fd = fd, .events = POLLIN};
		const uint64_t now = now_us();

		if (now >= deadline) {
			kill(pid, SIGKILL);
			end(pid, false);
			fprintf(stderr, "meter: it took more than %u s\n", seconds);
			return 1;
		}
		if (poll(&source, 1, (int)((deadline - now) / 1000) + 1) > 0)
			is_end = take_output(fd, &lines, pid, ram, start_us, &is_eof);
	}
	return end(pid, !is_eof);
}

/* The time of a line of the trace: "  name-pid [cpu] flags seconds.micros: kvm_entry: ..." */
static uint64_t time_of(const char *line, const char *event)
{
	const char *at = strstr(line, event);
	unsigned long long seconds, micros;

	if (!at)
		return 0;
	while (at > line && at[-1] != ' ')
		at--;
	at--;
	while (at > line && at[-1] != ' ')
		at--;
	if (sscanf(at, "%llu.%6llu:", &seconds, &micros) != 2)
		return 0;
	return seconds * 1000000 + micros;
}

static void set_trace(const char *file, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die("write", path);
	close(fd);
}

/* Only to interrupt a read. */
static void on_alarm(int signal)
{
	(void)signal;
}

static uint64_t first_entry(unsigned seconds)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	FILE *pipe = fopen(TRACING "/trace_pipe", "re");
	char line[MAX_LINE];
	uint64_t at = 0;

	if (!pipe)
		die("open", TRACING "/trace_pipe");
	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
	while (!at && fgets(line, sizeof(line), pipe))
		at = time_of(line, "kvm_entry:");
	alarm(0);
	fclose(pipe);
	return at;
}

static int first(unsigned seconds, char **command)
{
	uint64_t start_us, entry_us;
	char self[16];
	pid_t pid;
	int fd;

	set_trace("trace_clock", "mono");
	set_trace("trace", "");
	/* Only of this process and of those below it, the ones to come as well. */
	snprintf(self, sizeof(self), "%d", (int)getpid());
	set_trace("set_event_pid", self);
	set_trace("options/event-fork", "1");
	set_trace("events/kvm/kvm_entry/enable", "1");
	pid = start(command, &fd, &start_us);
	entry_us = first_entry(seconds);
	set_trace("events/kvm/kvm_entry/enable", "0");
	end(pid, true);
	close(fd);
	if (!entry_us)
		return 1;
	printf("first_us=%" PRIu64 "\n", entry_us - start_us);
	return 0;
}

static int cost_of(uint64_t ram, char **pids)
{
	struct cost cost = {0};

	for (; *pids; pids++)
		add_cost((pid_t)strtol(*pids, NULL, 10), ram, &cost);
	printf("cpu_us=%" PRId64 " pss_kib=%" PRIu64 "\n", cost.cpu_us, cost.pss_kib);
	return 0;
}

int main(int argc, char **argv)
{
	const uint64_t number = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;

	if (argc > 4 && !strcmp(argv[1], "run"))
		return run(number << 20, (unsigned)strtoul(argv[3], NULL, 10), argv + 4);
	if (argc > 3 && !strcmp(argv[1], "first"))
		return first((unsigned)number, argv + 3);
	if (argc > 3 && !strcmp(argv[1], "cost"))
		return cost_of(number << 20, argv + 3);
	fprintf(stderr, "usage: meter run RAM_MIB SECONDS COMMAND...\n"
			"       meter first SECONDS COMMAND...\n"
			"       meter cost RAM_MIB PID...\n");
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole machines under control: the commands' own client, over a real socket in a runtime
 * directory, against vm_run() on the model of KVM.
 *
 * links: whole-machine src/cli/client.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/control.h"
#include "../../src/cli/client.h"
#include "../fake/fake_machine.h"

#define UART     FAKE_MACHINE_UART
#define NR_LIVES 2

/*
 * @work: what the client does, in a thread of its own: assertions are for the main one, so it
 *	returns the number of the line that was not as it should be
 * @nr_steps: guest code executed so far, of both lives
 */
struct bench {
	struct fake_machine machine;
	struct fake_op ops[NR_LIVES][3];
	char dir[32];
	struct runtime runtime;
	struct client client;
	unsigned (*work)(struct bench *bench);
	unsigned failed_line;
	atomic_uint nr_steps;
};

/* Does this hold? In a client's work. */
#define NEED(condition)                  \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

static bool step(void *ctx)
{
	struct bench *bench = ctx;

	atomic_fetch_add(&bench->nr_steps, 1);
	usleep(100);
	return true;
}

static void *client_main(void *arg)
{
	struct bench *bench = arg;
	struct ccr_err err = {0};
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (client_open(&bench->client, bench->dir, "demo", 60, &err)) {
		bench->failed_line = __LINE__;
		return NULL;
	}
	bench->failed_line = bench->work(bench);
	/* Whatever went wrong, the machine must end. */
	client_execute(&bench->client, "quit", NULL, -1, NULL, &err);
	client_close(&bench->client);
	return NULL;
}

static struct bench *begin(enum machine_kind kind)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	strcpy(bench->dir, "/tmp/test_manage.XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	fake_machine_load(&bench->machine, kind, 1, true);
	fake_kvm_begin(&fake_host_default);
	for (unsigned life = 0; life < NR_LIVES; life++) {
		bench->ops[life][0] = (struct fake_op){
			.kind = FAKE_STORE,
			.at = fake_machine_shared(&bench->machine, UART),
			.size = 1,
			.value = 'x',
		};
		bench->ops[life][1] =
			(struct fake_op){.kind = FAKE_CALL, .call = step, .ctx = bench};
		fake_kvm_set_guest(life + 1, 0, bench->ops[life]);
	}
	return bench;
}

static void control(struct bench *bench, unsigned (*work)(struct bench *bench))
{
	pthread_t thread;

	bench->work = work;
	assert_int_equal(runtime_claim(&bench->runtime, bench->dir, "demo", NULL), 0);
	bench->machine.config.runtime = &bench->runtime;
	assert_int_equal(pthread_create(&thread, NULL, client_main, bench), 0);
	fake_machine_run(&bench->machine);
	pthread_join(thread, NULL);
	runtime_release(&bench->runtime);
	if (bench->failed_line)
		fail_msg("the client's line %u", bench->failed_line);
	assert_int_equal(bench->machine.ret, 0);
}

static void end(struct bench *bench)
{
	fake_kvm_end();
	fake_machine_done(&bench->machine);
	assert_int_equal(rmdir(bench->dir), 0);
	free(bench);
}

static int ask(struct bench *bench, const char *command)
{
	return client_execute(&bench->client, command, NULL, -1, NULL, NULL);
}

/* Does the guest get on? It is given a second to, which is long. */
static bool goes_on(struct bench *bench, unsigned ms)
{
	const unsigned before = atomic_load(&bench->nr_steps);

	for (; ms > 0 && atomic_load(&bench->nr_steps) == before; ms--)
		usleep(1000);
	return ms > 0;
}

static bool has_status(struct bench *bench, const char *wanted)
{
	struct json_object *result = NULL, *status = NULL;
	bool same;

	if (client_execute(&bench->client, "query-status", NULL, -1, &result, NULL))
		return false;
	json_object_object_get_ex(result, "status", &status);
	same = status && !strcmp(json_object_get_string(status), wanted);
	json_object_put(result);
	return same;
}

#define LONG_MS 20000

static unsigned pause_and_go_on(struct bench *bench)
{
	NEED(goes_on(bench, LONG_MS));
	NEED(has_status(bench, "running"));
	for (int i = 0; i < 3; i++) {
		NEED(ask(bench, "stop") == 0);
		NEED(ask(bench, "stop") == 0);
		NEED(has_status(bench, "paused"));
		NEED(!goes_on(bench, 50));
		NEED(ask(bench, "cont") == 0);
		NEED(ask(bench, "cont") == 0);
		NEED(goes_on(bench, LONG_MS));
	}
	return 0;
}

static void test_pause(void **state)
{
	static const enum machine_kind kinds[] = {MACHINE_PLAIN, MACHINE_EMULATED};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct bench *bench = begin(kinds[i]);

		control(bench, pause_and_go_on);
		assert_int_equal(bench->machine.outcome, VM_STOPPED);
		assert_string_equal(bench->machine.output, "x");
		end(bench);
	}
}

/* A paused machine can be ended; nothing waits for vCPUs that stand still. */
static unsigned pause_and_quit(struct bench *bench)
{
	NEED(ask(bench, "stop") == 0);
	return 0;
}

static void test_quit_while_paused(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	control(bench, pause_and_quit);
	assert_int_equal(bench->machine.outcome, VM_STOPPED);
	end(bench);
}

static unsigned reset_paused(struct bench *bench)
{
	NEED(goes_on(bench, LONG_MS));
	NEED(ask(bench, "stop") == 0);
	NEED(ask(bench, "system_reset") == 0);
	/* The answer to this comes from the next life: the connection has outlived the first. */
	NEED(has_status(bench, "paused"));
	NEED(!goes_on(bench, 50));
	NEED(ask(bench, "cont") == 0);
	NEED(goes_on(bench, LONG_MS));
	return 0;
}

static void test_reset_keeps_the_pause(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	control(bench, reset_paused);
	assert_int_equal(bench->machine.outcome, VM_STOPPED);
	assert_string_equal(bench->machine.output, "xx");
	end(bench);
}

static unsigned reset_refused(struct bench *bench)
{
	struct ccr_err err = {0};

	NEED(client_execute(&bench->client, "system_reset", NULL, -1, NULL, &err) == -EREMOTEIO);
	NEED(strstr(err.msg, "machine demo: ") == err.msg);
	NEED(goes_on(bench, LONG_MS));
	return 0;
}

static void test_no_reset(void **state)
{
	struct bench *bench = begin(MACHINE_EMULATED);

	(void)state;
	control(bench, reset_refused);
	end(bench);
	bench = begin(MACHINE_PLAIN);
	bench->machine.config.no_reboot = true;
	control(bench, reset_refused);
	end(bench);
}

/* Without an answer in time, the guest's time is over. */
static unsigned wait_for_grace(struct bench *bench)
{
	struct json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "grace", json_object_new_int(1));
	NEED(client_execute(&bench->client, "x-ccr-stop", arguments, -1, NULL, NULL) == 0);
	NEED(client_await_end(&bench->client) == 0);
	return 0;
}

static void test_grace(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	control(bench, wait_for_grace);
	assert_int_equal(bench->machine.outcome, VM_STOPPED);
	end(bench);
}

static int64_t number(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : -1;
}

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, name, &value);
	return value;
}

static unsigned check_stat(struct json_object *stat)
{
	struct json_object *memory = member(stat, "memory"), *vcpus = member(stat, "vcpus");
	struct json_object *realm = member(stat, "realm"), *vcpu, *uart;

	NEED(!strcmp(json_object_get_string(member(stat, "kind")), "emulated realm"));
	NEED(number(stat, "pid") == getpid());
	NEED(number(stat, "resets") == 0);
	NEED(number(memory, "size") == 64 << 20);
	NEED(number(memory, "private-pages") == (64 << 20) / 4096);
	NEED(number(memory, "shared-pages") == 0);
	NEED(strlen(json_object_get_string(member(realm, "rim"))) == 64);
	NEED(strspn(json_object_get_string(member(realm, "rim")), "0") < 64);
	NEED(json_object_array_length(vcpus) == 1);
	vcpu = json_object_array_get_idx(vcpus, 0);
	NEED(number(vcpu, "index") == 0 && number(vcpu, "thread-id") > 0);
	NEED(number(member(vcpu, "exits"), "mmio") == 1);
	uart = json_object_array_get_idx(member(stat, "devices"), 0);
	NEED(number(uart, "bytes-from-guest") == 1);
	return 0;
}

static unsigned see(struct bench *bench, unsigned (*check)(struct json_object *stat))
{
	struct json_object *stat = NULL;
	unsigned line;

	NEED(goes_on(bench, LONG_MS));
	NEED(client_execute(&bench->client, "x-ccr-stat", NULL, -1, &stat, NULL) == 0);
	line = check(stat);
	json_object_put(stat);
	return line;
}

static unsigned ask_for_stat(struct bench *bench)
{
	return see(bench, check_stat);
}

static void test_stat(void **state)
{
	struct bench *bench = begin(MACHINE_EMULATED);

	(void)state;
	control(bench, ask_for_stat);
	end(bench);
}

static const char *text(struct json_object *object, const char *name)
{
	return json_object_get_string(member(object, name));
}

static unsigned check_disks(struct json_object *stat)
{
	struct json_object *disks = member(stat, "disks"), *first, *second;

	NEED(json_object_array_length(disks) == 2);
	first = json_object_array_get_idx(disks, 0);
	second = json_object_array_get_idx(disks, 1);
	/* Of the file's own name, only what everybody can read. */
	NEED(strncmp(text(first, "disk"), "/tmp/test_manage.", 17) == 0);
	NEED(strcmp(strrchr(text(first, "disk"), '/'), "/d?1") == 0);
	NEED(number(first, "slot") == 2 && number(second, "slot") == 3);
	NEED(number(first, "size") == 1 << 20);
	NEED(!strcmp(text(first, "serial"), "ccr-disk-0"));
	NEED(!strcmp(text(second, "serial"), "exactly-20-character"));
	NEED(!json_object_get_boolean(member(first, "read-only")));
	NEED(json_object_get_boolean(member(second, "read-only")));
	NEED(!json_object_get_boolean(member(first, "vhost-user")));
	NEED(!strcmp(text(second, "io"), "threads"));
	return 0;
}

static unsigned ask_for_disks(struct bench *bench)
{
	return see(bench, check_disks);
}

static void test_stat_disks(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct vm_disk *disks = bench->machine.config.disks;
	char paths[2][64];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int fd;

		snprintf(paths[i], sizeof(paths[i]), "%s/d\xff%u", bench->dir, i + 1);
		fd = open(paths[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 1 << 20), 0);
		close(fd);
		disks[i].path = paths[i];
	}
	disks[1].serial = "exactly-20-character";
	disks[1].read_only = true;
	disks[1].io = AIO_THREADS;
	bench->machine.config.nr_disks = 2;
	control(bench, ask_for_disks);
	for (unsigned i = 0; i < 2; i++)
		unlink(paths[i]);
	end(bench);
}

/*
 * Hostile clients of a machine that runs. Each does its worst, and leaves; meanwhile the client of
 * the bench is served and the guest gets on, and afterwards there is nothing left of the others.
 */

static int dial(struct bench *bench)
{
	int pid;

	return runtime_connect(bench->dir, "demo", &pid, NULL);
}

/* As much as is taken at once. Return: bytes. */
static size_t push(int fd, const char *bytes, size_t size)
{
	size_t at = 0;
	ssize_t done;

	while (at < size &&
	       (done = send(fd, bytes + at, size - at, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		at += (size_t)done;
	return at;
}

static bool say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Read until there were so many lines. */
static bool hears_lines(int fd, unsigned nr)
{
	char bytes[4096];
	ssize_t got;

	while (nr > 0 && (got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		for (ssize_t i = 0; i < got && nr > 0; i++)
			nr -= bytes[i] == '\n';
	}
	return nr == 0;
}

#define NEGOTIATE "{\"execute\": \"qmp_capabilities\"}\n"

/* Past the greeting and the answer to that. */
static int dial_and_negotiate(struct bench *bench)
{
	const int fd = dial(bench);

	if (fd < 0 || (say(fd, NEGOTIATE) && hears_lines(fd, 2)))
		return fd;
	close(fd);
	return -1;
}

static bool is_well(struct bench *bench)
{
	return has_status(bench, "running") && goes_on(bench, LONG_MS);
}

/* Somebody new, who is as patient as others are silent. */
static bool serves_another(struct bench *bench)
{
	for (unsigned ms = 0; ms < LONG_MS; ms += 100) {
		const int fd = dial_and_negotiate(bench);

		if (fd >= 0) {
			close(fd);
			return true;
		}
		usleep(100000);
	}
	return false;
}

#define NR_SILENT (2 * CONTROL_MAX_CLIENTS)

static unsigned be_silent(struct bench *bench)
{
	int fds[NR_SILENT];

	for (unsigned i = 0; i < NR_SILENT; i++) {
		fds[i] = dial(bench);
		NEED(fds[i] >= 0);
		/* Some begin to say something; some of these are refused already. */
		if (i % 2)
			push(fds[i], NEGOTIATE, 12);
	}
	NEED(is_well(bench));
	NEED(serves_another(bench));
	for (unsigned i = 0; i < NR_SILENT; i++)
		close(fds[i]);
	return 0;
}

static unsigned stop_halfway(struct bench *bench)
{
	static const char command[] = "{\"execute\": \"stop\"}";

	for (size_t size = 1; size < sizeof(command) - 1; size++) {
		const int fd = dial_and_negotiate(bench);

		NEED(fd >= 0);
		NEED(push(fd, command, size) == size);
		close(fd);
	}
	return 0;
}

#define LONG_SIZE ((size_t)1 << 20)

static unsigned never_end(struct bench *bench)
{
	const int fd = dial_and_negotiate(bench);
	char *bytes = malloc(LONG_SIZE);
	unsigned failed = 0;

	memset(bytes, 'a', LONG_SIZE);
	memcpy(bytes, "{\"execute\": \"", 13);
	if (fd < 0 || send(fd, bytes, LONG_SIZE, MSG_NOSIGNAL) != (ssize_t)LONG_SIZE ||
	    !hears_lines(fd, 1) || !is_well(bench))
		failed = __LINE__;
	/* What was too long is over at the end of its line. */
	if (!failed && (!say(fd, "\n{\"execute\": \"query-name\"}\n") || !hears_lines(fd, 1)))
		failed = __LINE__;
	free(bytes);
	close(fd);
	return failed;
}

static unsigned talk_nonsense(struct bench *bench)
{
	static const char words[] = "{}[]\":,\\ \n\r\t\xff\x80nulltruE019.-e";
	char bytes[4096];
	unsigned seed = 1;

	for (unsigned i = 0; i < 32; i++) {
		const int fd = i % 2 ? dial(bench) : dial_and_negotiate(bench);

		NEED(fd >= 0);
		for (size_t j = 0; j < sizeof(bytes); j++)
			bytes[j] = words[(unsigned)rand_r(&seed) % sizeof(words)];
		push(fd, bytes, sizeof(bytes));
		close(fd);
	}
	return 0;
}

#define NR_COMMANDS 1000
#define STAT        "{\"execute\": \"x-ccr-stat\"}\n"

static char *many_commands(void)
{
	char *text = malloc(NR_COMMANDS * strlen(STAT) + 1);

	for (unsigned i = 0; i < NR_COMMANDS; i++)
		strcpy(text + i * strlen(STAT), STAT);
	return text;
}

static unsigned ask_at_once(struct bench *bench)
{
	const int fd = dial_and_negotiate(bench);
	char *text = many_commands();
	const bool done = fd >= 0 && say(fd, text) && hears_lines(fd, NR_COMMANDS);

	free(text);
	close(fd);
	NEED(done);
	return 0;
}

/* Some leave in the middle of an answer, some have read no more than the greeting. */
static unsigned be_deaf(struct bench *bench)
{
	int fds[CONTROL_MAX_CLIENTS - 1];
	char *text = many_commands();
	unsigned failed = 0;

	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS - 1; i++) {
		fds[i] = dial_and_negotiate(bench);
		push(fds[i], text, strlen(text));
	}
	if (!is_well(bench))
		failed = __LINE__;
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS - 1; i++) {
		if (i % 2)
			recv(fds[i], text, 100, 0);
		close(fds[i]);
	}
	free(text);
	return failed;
}

/* With so many of @passed as a machine may take, or with more. */
static bool pass(int fd, const char *text, int passed, unsigned nr)
{
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(nr * sizeof(int));
	for (unsigned i = 0; i < nr; i++)
		memcpy(CMSG_DATA(header) + i * sizeof(int), &passed, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* A pipe's end that nobody has any more shows at the other: also before its client has left. */
static unsigned pass_descriptors(struct bench *bench)
{
	static const unsigned numbers[] = {1, 2, 4, 5, 16};
	const int fd = dial_and_negotiate(bench);
	struct pollfd end = {.events = POLLIN};
	int pipe_fds[2];

	NEED(fd >= 0 && pipe(pipe_fds) == 0);
	for (unsigned i = 0; i < 5; i++) {
		/* A pipe is no terminal's socket. */
		NEED(pass(fd, "{\"execute\": \"x-ccr-console\"}\n", pipe_fds[1], numbers[i]));
		NEED(pass(fd, "{\"execute\": \"query-name\"}\n", pipe_fds[1], numbers[i]));
		NEED(pass(fd, " \n", pipe_fds[1], numbers[i]));
		NEED(pass(fd, "}\n", pipe_fds[1], numbers[i]));
		NEED(hears_lines(fd, 3));
	}
	close(pipe_fds[1]);
	end.fd = pipe_fds[0];
	NEED(poll(&end, 1, LONG_MS) == 1 && end.revents == POLLHUP);
	close(pipe_fds[0]);
	close(fd);
	return 0;
}

static unsigned come_and_go(struct bench *bench)
{
	for (unsigned i = 0; i < 500; i++) {
		const int fd = dial(bench);

		NEED(fd >= 0);
		close(fd);
	}
	return 0;
}

/* Of the address sanitizer; gcc 12 has no header for it. */
size_t __sanitizer_get_current_allocated_bytes(void);

/* Descriptors and memory of this process, which is the machine's as well. */
struct usage {
	unsigned nr_fds;
	size_t nr_bytes;
};

static struct usage usage(void)
{
	return (struct usage){fake_machine_nr_fds(), __sanitizer_get_current_allocated_bytes()};
}

static bool is_back_at(struct usage before)
{
	for (unsigned ms = 0; ms < LONG_MS; ms++) {
		const struct usage now = usage();

		if (now.nr_fds == before.nr_fds && now.nr_bytes == before.nr_bytes)
			return true;
		usleep(1000);
	}
	return false;
}

static unsigned suffer(struct bench *bench)
{
	static unsigned (*const clients[])(struct bench *) = {
		be_silent,   stop_halfway, never_end,        talk_nonsense,
		ask_at_once, be_deaf,      pass_descriptors, come_and_go,
	};
	struct usage before;

	NEED(is_well(bench));
	before = usage();
	for (unsigned i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		const unsigned line = clients[i](bench);

		if (line)
			return line;
		NEED(is_well(bench));
		NEED(is_back_at(before));
	}
	return 0;
}

static void test_hostile_clients(void **state)
{
	struct bench *bench = begin(MACHINE_EMULATED);

	(void)state;
	control(bench, suffer);
	assert_int_equal(bench->machine.outcome, VM_STOPPED);
	end(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_quit_while_paused),
		cmocka_unit_test(test_reset_keeps_the_pause),
		cmocka_unit_test(test_no_reset),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_stat_disks),
		cmocka_unit_test(test_hostile_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

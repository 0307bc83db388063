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
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>

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

static unsigned ask_for_stat(struct bench *bench)
{
	struct json_object *stat = NULL;
	unsigned line;

	NEED(goes_on(bench, LONG_MS));
	NEED(client_execute(&bench->client, "x-ccr-stat", NULL, -1, &stat, NULL) == 0);
	line = check_stat(stat);
	json_object_put(stat);
	return line;
}

static void test_stat(void **state)
{
	struct bench *bench = begin(MACHINE_EMULATED);

	(void)state;
	control(bench, ask_for_stat);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

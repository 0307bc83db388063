/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/vm/control.c src/vm/qmp.c src/util/jstream.c src/util/err.c */
/*
 * The control protocol over real sockets, against a machine that only remembers what it was told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/control.h"

#define TEXT_SIZE (2u << 20)

struct bench {
	struct control control;
	int listen_fd;
	struct sockaddr_un address;
	socklen_t address_size;
	enum qmp_status status;
	char done[256]; /* what the machine was told, a letter each */
	unsigned grace_s;
	int fail;
	int console_fd;
	uint64_t balloon; /* bytes left to the guest; 0 for no balloon */
	char *text;       /* what a client has read */
};

static void note(struct bench *b, char what)
{
	const size_t length = strlen(b->done);

	assert_true(length + 1 < sizeof(b->done));
	b->done[length] = what;
}

static enum qmp_status fake_status(void *ctx)
{
	return ((struct bench *)ctx)->status;
}

static int fake_stop(void *ctx, struct ccr_err *err)
{
	struct bench *b = ctx;

	note(b, 's');
	b->status = QMP_PAUSED;
	return b->fail ? err_set(err, b->fail, "it does not want to") : 0;
}

static int fake_cont(void *ctx, struct ccr_err *err)
{
	(void)err;
	note(ctx, 'c');
	((struct bench *)ctx)->status = QMP_RUNNING;
	return 0;
}

static int fake_reset(void *ctx, struct ccr_err *err)
{
	note(ctx, 'r');
	return err_set(err, -EOPNOTSUPP, "a realm cannot be reset");
}

static void fake_powerdown(void *ctx, unsigned grace_s)
{
	note(ctx, 'p');
	((struct bench *)ctx)->grace_s = grace_s;
}

static void fake_quit(void *ctx)
{
	note(ctx, 'q');
	((struct bench *)ctx)->status = QMP_SHUTDOWN;
}

static void fake_stat(void *ctx, struct json_object *object)
{
	char filler[1001];

	note(ctx, 't');
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	json_object_object_add(object, "filler", json_object_new_string(filler));
}

static int fake_console(void *ctx, int fd, struct ccr_err *err)
{
	struct bench *b = ctx;

	note(b, 'f');
	if (b->console_fd >= 0) {
		close(fd);
		return err_set(err, -EBUSY, "it has one");
	}
	b->console_fd = fd;
	return 0;
}

static int fake_balloon(void *ctx, uint64_t size, struct ccr_err *err)
{
	struct bench *b = ctx;

	(void)err;
	b->balloon = size;
	return 0;
}

static int fake_query_balloon(void *ctx, uint64_t *ret_size, struct ccr_err *err)
{
	struct bench *b = ctx;

	*ret_size = b->balloon;
	return b->balloon ? 0 : err_set(err, -ENODEV, "No balloon device has been activated");
}

static const struct qmp_ops fake_ops = {
	.status = fake_status,
	.stop = fake_stop,
	.cont = fake_cont,
	.reset = fake_reset,
	.powerdown = fake_powerdown,
	.quit = fake_quit,
	.stat = fake_stat,
	.console = fake_console,
	.balloon = fake_balloon,
	.query_balloon = fake_query_balloon,
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct sockaddr_un any = {.sun_family = AF_UNIX};

	assert_non_null(b);
	b->text = calloc(1, TEXT_SIZE);
	assert_non_null(b->text);
	b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(b->listen_fd >= 0);
	/* Without a path, Linux makes up an abstract name. */
	assert_int_equal(bind(b->listen_fd, (struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(b->listen_fd, 16), 0);
	b->address_size = sizeof(b->address);
	assert_int_equal(
		getsockname(b->listen_fd, (struct sockaddr *)&b->address, &b->address_size), 0);
	control_init(&b->control, "demo", b->listen_fd, &fake_ops);
	b->control.machine.ctx = b;
	b->console_fd = -1;
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	control_close(&b->control);
	close(b->listen_fd);
	free(b->text);
	free(b);
	return 0;
}

/* Rounds of the event loop, until nothing is left to do. */
static void serve(struct bench *b)
{
	struct pollfd sources[CONTROL_NR_SOURCES];

	for (;;) {
		control_set_sources(&b->control, sources);
		if (poll(sources, CONTROL_NR_SOURCES, 0) <= 0)
			break;
		control_serve(&b->control, sources);
	}
}

static int dial(struct bench *b)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&b->address, b->address_size), 0);
	serve(b);
	return fd;
}

static void say(struct bench *b, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	serve(b);
}

/* Everything that has come for @fd, and whether that was the end. */
static const char *hear(struct bench *b, int fd, bool *ret_end)
{
	size_t used = 0;
	ssize_t got;

	do {
		serve(b);
		got = recv(fd, b->text + used, TEXT_SIZE - 1 - used, MSG_DONTWAIT);
		used += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	b->text[used] = '\0';
	if (ret_end)
		*ret_end = got == 0 || errno == ECONNRESET;
	return b->text;
}

static void expect(struct bench *b, int fd, const char *wanted)
{
	assert_string_equal(hear(b, fd, NULL), wanted);
}

static int negotiated(struct bench *b)
{
	const int fd = dial(b);

	say(b, fd, "{\"execute\": \"qmp_capabilities\"}\r\n");
	assert_non_null(strstr(hear(b, fd, NULL), "\r\n{\"return\":{}}\r\n"));
	return fd;
}

static void test_greeting(void **state)
{
	struct bench *b = *state;
	const int fd = dial(b);

	expect(b, fd,
	       "{\"QMP\":{\"version\":{\"qemu\":{\"major\":0,\"minor\":0,\"micro\":0},"
	       "\"package\":\"ccr-run 0.1\"},\"capabilities\":[]}}\r\n");
	say(b, fd, "{\"execute\": \"query-status\"}");
	expect(b, fd,
	       "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Expecting capabilities "
	       "negotiation with 'qmp_capabilities'\"}}\r\n");
	say(b, fd, "{\"execute\": \"qmp_capabilities\", \"id\": {\"a\": [1, null]}}");
	expect(b, fd, "{\"return\":{},\"id\":{\"a\":[1,null]}}\r\n");
	say(b, fd, "{\"execute\": \"qmp_capabilities\"}");
	assert_non_null(strstr(hear(b, fd, NULL), "\"CommandNotFound\""));
	close(fd);
}

static void test_queries(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);

	say(b, fd, "{\"execute\":\"query-status\"}{\"execute\":\"query-name\",\"id\":\"x\"}");
	expect(b, fd,
	       "{\"return\":{\"status\":\"running\",\"running\":true}}\r\n"
	       "{\"return\":{\"name\":\"demo\"},\"id\":\"x\"}\r\n");
	say(b, fd, "{\"execute\":\"query-version\"}");
	assert_non_null(strstr(hear(b, fd, NULL), "\"package\":\"ccr-run 0.1\""));
	say(b, fd, "{\"execute\":\"query-commands\"}");
	assert_non_null(strstr(hear(b, fd, NULL), "{\"name\":\"x-ccr-stat\"}"));
	say(b, fd, "{\"execute\":\"x-ccr-stat\"}");
	assert_non_null(strstr(hear(b, fd, NULL), "{\"return\":{\"name\":\"demo\",\"filler\":"));
	close(fd);
}

static void test_verbs(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);

	say(b, fd, "{\"execute\":\"stop\"} {\"execute\":\"query-status\"} {\"execute\":\"cont\"}");
	expect(b, fd,
	       "{\"return\":{}}\r\n{\"return\":{\"status\":\"paused\",\"running\":false}}\r\n"
	       "{\"return\":{}}\r\n");
	say(b, fd, "{\"execute\":\"system_reset\"}");
	expect(b, fd,
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"a realm cannot be "
	       "reset\"}}\r\n");
	say(b, fd, "{\"execute\":\"system_powerdown\"}");
	assert_int_equal(b->grace_s, QMP_DEFAULT_GRACE_S);
	say(b, fd, "{\"execute\":\"x-ccr-stop\",\"arguments\":{\"grace\":3}}");
	assert_int_equal(b->grace_s, 3);
	say(b, fd, "{\"execute\":\"x-ccr-stop\"}");
	assert_int_equal(b->grace_s, QMP_DEFAULT_GRACE_S);
	expect(b, fd, "{\"return\":{}}\r\n{\"return\":{}}\r\n{\"return\":{}}\r\n");
	say(b, fd, "{\"execute\":\"quit\"}{\"execute\":\"query-status\"}{\"execute\":\"stop\"}");
	expect(b, fd,
	       "{\"return\":{}}\r\n{\"return\":{\"status\":\"shutdown\",\"running\":false}}\r\n"
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"the machine is "
	       "ending\"}}\r\n");
	assert_string_equal(b->done, "scrpppq");
	close(fd);
}

static void test_balloon(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);

	say(b, fd, "{\"execute\":\"query-balloon\"}");
	expect(b, fd,
	       "{\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"No balloon device has been "
	       "activated\"}}\r\n");
	say(b, fd, "{\"execute\":\"balloon\"}");
	expect(b, fd,
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Parameter 'value' is "
	       "missing\"}}\r\n");
	say(b, fd, "{\"execute\":\"balloon\",\"arguments\":{\"value\":-1}}");
	expect(b, fd,
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Parameter 'target' expects a "
	       "size\"}}\r\n");
	say(b, fd, "{\"execute\":\"balloon\",\"arguments\":{\"value\":268435456}}");
	say(b, fd, "{\"execute\":\"query-balloon\"}");
	expect(b, fd, "{\"return\":{}}\r\n{\"return\":{\"actual\":268435456}}\r\n");
	close(fd);
}

static void test_failing_verb(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);

	b->fail = -EIO;
	say(b, fd, "{\"execute\":\"stop\",\"id\":0}");
	expect(b, fd,
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"it does not want "
	       "to\"},\"id\":0}\r\n");
	close(fd);
}

/* Each line is wrong in one way, answered with one error, and costs nothing more. */
static void test_wrong_messages(void **state)
{
	static const struct {
		const char *line;
		const char *desc;
	} cases[] = {
		{"stop", "JSON parse error"},
		{"[]", "JSON parse error"},
		{"\"stop\"", "JSON parse error"},
		{"1", "JSON parse error"},
		{"}", "JSON parse error"},
		{"{]", "JSON parse error"},
		{"{'execute': 'stop'}", "JSON parse error"},
		{"{\"execute\": \"stop\",}", "JSON parse error"},
		{"{\"execute\": stop}", "JSON parse error"},
		{"{\"execute\": \"\xff\"}", "JSON parse error"},
		{"{\"a\":[[[[[[[[[[]]]]]]]]]]}", "at most 8 levels"},
		{"{}", "QMP input lacks member 'execute'"},
		{"{\"id\": 1}", "QMP input lacks member 'execute'"},
		{"{\"execute\": 1}", "'execute' must be a string"},
		{"{\"execute\": null}", "'execute' must be a string"},
		{"{\"execute\": \"stop\\u0000x\"}", "'execute' must be a string"},
		{"{\"execute\": \"stop\", \"arguments\": []}", "'arguments' must be an object"},
		{"{\"execute\": \"stop\", \"arguments\": null}", "'arguments' must be an object"},
		{"{\"execute\": \"stop\", \"more\": 1}", "QMP input member 'more' is unexpected"},
		{"{\"execute\": \"stop\", \"arguments\": {\"a\": 1}}",
		 "Parameter 'a' is unexpected"},
		{"{\"execute\": \"x-ccr-stop\", \"arguments\": {\"grace\": \"1\"}}",
		 "Invalid parameter type for 'grace', expected: integer"},
		{"{\"execute\": \"x-ccr-stop\", \"arguments\": {\"grace\": -1}}", "0 to 3600"},
		{"{\"execute\": \"x-ccr-stop\", \"arguments\": {\"grace\": 3601}}", "0 to 3600"},
		{"{\"execute\": \"x-ccr-stop\", \"arguments\": {\"grace\": 1e99}}", "integer"},
		{"{\"execute\": \"x-ccr-stop\", \"arguments\": {\"grace\": 99999999999999999999}}",
		 "0 to 3600"},
		{"{\"execute\": \"Stop\"}", "The command Stop has not been found"},
		{"{\"execute\": \"\"}", "The command  has not been found"},
		{"{\"execute\": \"a\\u001b[2Jb\"}", "The command a?[2Jb has not been found"},
		{"{\"execute\": \"x-ccr-console\"}", "No file descriptor was passed"},
	};
	struct bench *b = *state;
	const int fd = negotiated(b);
	const char *answer;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say(b, fd, cases[i].line);
		say(b, fd, "\n");
		answer = hear(b, fd, NULL);
		if (!strstr(answer, cases[i].desc))
			fail_msg("%s: %s", cases[i].line, answer);
		assert_ptr_equal(strstr(answer, "\r\n") + 2, answer + strlen(answer));
	}
	assert_string_equal(b->done, "");
	say(b, fd, "{\"execute\":\"stop\"}");
	expect(b, fd, "{\"return\":{}}\r\n");
	close(fd);
}

static void test_byte_by_byte(void **state)
{
	static const char text[] = " \n{\"execute\" : \"stop\" , \"id\":\"\\u00e4\" }";
	struct bench *b = *state;
	const int fd = negotiated(b);

	for (const char *at = text; *at; at++) {
		const char byte[] = {*at, '\0'};

		assert_string_equal(b->done, "");
		say(b, fd, byte);
	}
	assert_string_equal(b->done, "s");
	expect(b, fd, "{\"return\":{},\"id\":\"\xc3\xa4\"}\r\n");
	close(fd);
}

static void test_long_message(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);
	char filler[1025] = {0};

	memset(filler, 'a', sizeof(filler) - 1);
	say(b, fd, "{\"execute\": \"");
	for (size_t sent = 0; sent < QMP_MAX_MESSAGE; sent += sizeof(filler) - 1)
		say(b, fd, filler);
	expect(b, fd,
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"JSON parse error, a message is "
	       "longer than 65536 bytes\"}}\r\n");
	say(b, fd, "\"}\n{\"execute\": \"stop\"}");
	expect(b, fd, "{\"return\":{}}\r\n");
	close(fd);
}

static void test_events(void **state)
{
	struct bench *b = *state;
	const int first = negotiated(b), second = dial(b);
	struct json_object *data = json_object_new_object();
	const char *text;

	hear(b, second, NULL);
	json_object_object_add(data, "guest", json_object_new_boolean(true));
	control_event(&b->control, "SHUTDOWN", data);
	control_event(&b->control, "STOP", NULL);
	text = hear(b, first, NULL);
	assert_ptr_equal(strstr(text, "{\"timestamp\":{\"seconds\":"), text);
	assert_non_null(strstr(text, "\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true}}\r\n"));
	assert_non_null(strstr(text, "\"event\":\"STOP\"}\r\n"));
	/* Who has not negotiated hears nothing but the greeting. */
	expect(b, second, "");
	close(first);
	close(second);
}

static void test_many_clients(void **state)
{
	struct bench *b = *state;
	int fds[CONTROL_MAX_CLIENTS], late;
	bool end;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		fds[i] = negotiated(b);
	late = dial(b);
	assert_non_null(strstr(hear(b, late, &end), "too many clients"));
	assert_true(end);
	close(late);
	say(b, fds[0], "{\"execute\":\"stop\"}");
	expect(b, fds[0], "{\"return\":{}}\r\n");
	close(fds[0]);
	serve(b);
	fds[0] = negotiated(b);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fds[i]);
}

/* Who has not even negotiated, for a second, gives way; who has, does not. */
static void test_silent_clients_give_way(void **state)
{
	struct bench *b = *state;
	int fds[CONTROL_MAX_CLIENTS], late[CONTROL_MAX_CLIENTS];
	bool end;

	fds[0] = negotiated(b);
	for (int i = 1; i < CONTROL_MAX_CLIENTS; i++)
		fds[i] = dial(b);
	late[0] = dial(b);
	assert_non_null(strstr(hear(b, late[0], &end), "too many clients"));
	assert_true(end);
	close(late[0]);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		b->control.clients[i].since_ms -= 1000;
		b->control.clients[i].since_ms -= i == 3;
	}
	for (int i = 1; i < CONTROL_MAX_CLIENTS; i++)
		late[i] = negotiated(b);
	hear(b, fds[3], &end);
	assert_true(end);
	/* Nobody is left to give way. */
	late[0] = dial(b);
	assert_non_null(strstr(hear(b, late[0], &end), "too many clients"));
	say(b, fds[0], "{\"execute\":\"query-name\"}");
	expect(b, fds[0], "{\"return\":{\"name\":\"demo\"}}\r\n");
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		close(fds[i]);
		close(late[i]);
	}
}

/* Commands of a client that reads no replies wait; what they cost stays bounded. */
static void test_client_that_does_not_read(void **state)
{
	static const char command[] = "{\"execute\":\"x-ccr-stat\"}\n";
	struct bench *b = *state;
	const int fd = negotiated(b), other = negotiated(b);
	const struct qmp_session *session = &b->control.clients[0].session;
	size_t nr = 0, answers = 0;

	memset(b->done, 0, sizeof(b->done));
	while (send(fd, command, strlen(command), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
		nr++;
		b->done[0] = '\0';
		serve(b);
		assert_true(session->out_size < 32768);
	}
	assert_true(nr > 100);
	say(b, other, "{\"execute\":\"query-name\"}");
	expect(b, other, "{\"return\":{\"name\":\"demo\"}}\r\n");
	assert_true(control_timeout(&b->control) > 0);

	/* As soon as it reads, it gets all of them. */
	for (const char *at; answers < nr;) {
		memset(b->done, 0, sizeof(b->done));
		serve(b);
		b->text[recv(fd, b->text, 4096, MSG_DONTWAIT)] = '\0';
		for (at = b->text; (at = strstr(at, "\r\n")); at += 2)
			answers++;
	}
	assert_int_equal(answers, nr);
	close(fd);
	close(other);
}

static void test_client_that_ignores_events(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);
	unsigned nr = 0;

	for (; b->control.clients[0].fd >= 0 && nr < 1000000; nr++) {
		control_event(&b->control, "STOP", NULL);
		if (nr % 1000 == 0)
			serve(b);
		if (b->control.clients[0].session.broken) {
			struct pollfd sources[CONTROL_NR_SOURCES];

			control_set_sources(&b->control, sources);
			sources[1].revents = 0;
			control_serve(&b->control, sources);
		}
	}
	assert_int_equal(b->control.clients[0].fd, -1);
	assert_true(nr > 5000 && nr < 1000000);
	close(fd);
}

static void test_clients_that_leave(void **state)
{
	struct bench *b = *state;
	int fd = dial(b);

	/* With a command not read to its end. */
	say(b, fd, "{\"execute\": \"qmp_cap");
	close(fd);
	serve(b);
	assert_int_equal(b->control.clients[0].fd, -1);

	/* What was asked for before leaving is done. */
	fd = negotiated(b);
	assert_true(send(fd, "{\"execute\":\"quit\"}", 18, MSG_NOSIGNAL) == 18);
	close(fd);
	serve(b);
	assert_string_equal(b->done, "q");
	assert_int_equal(b->control.clients[0].fd, -1);
}

static void pass(struct bench *b, int fd, const char *text, const int *fds, unsigned nr)
{
	char space[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = {0};
	char copy[128];
	struct iovec iov = {copy, strlen(text)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	memcpy(copy, text, strlen(text));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), strlen(text));
	serve(b);
}

#define ATTACH "{\"execute\":\"x-ccr-console\"}"

static void test_console(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);
	int pair[2];
	char text[16] = {0};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pass(b, fd, ATTACH, &pair[1], 1);
	close(pair[1]);
	expect(b, fd, "{\"return\":{}}\r\n");
	assert_int_equal(write(b->console_fd, "hello", 5), 5);
	assert_int_equal(recv(pair[0], text, sizeof(text), MSG_DONTWAIT), 5);
	assert_string_equal(text, "hello");

	pass(b, fd, ATTACH, &pair[0], 1);
	assert_non_null(strstr(hear(b, fd, NULL), "it has one"));
	close(b->console_fd);
	close(pair[0]);
	close(fd);
}

static unsigned nr_fds(void)
{
	unsigned nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void test_unwanted_descriptors(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);
	const int many[8] = {0};
	const unsigned before = nr_fds();

	for (int i = 0; i < 50; i++) {
		pass(b, fd, "{\"execute\":\"query-name\"}", many, 8);
		pass(b, fd, "\n", many, 1 + (unsigned)i % 4);
	}
	assert_int_equal(nr_fds(), before);
	/* While its command has not ended, one is kept. */
	pass(b, fd, "{\"execute\":", many, 8);
	assert_int_equal(nr_fds(), before + 1);
	say(b, fd, "\"query-name\"}");
	assert_int_equal(nr_fds(), before);
	pass(b, fd, "{\"execute\":", many, 8);
	close(fd);
	serve(b);
	assert_int_equal(nr_fds(), before - 2);
}

static void test_grace(void **state)
{
	struct bench *b = *state;
	struct pollfd sources[CONTROL_NR_SOURCES];

	assert_int_equal(control_timeout(&b->control), -1);
	control_end_after(&b->control, 3600);
	assert_in_range(control_timeout(&b->control), 3500000, 3600000);
	control_end_after(&b->control, 0);
	assert_int_equal(control_timeout(&b->control), 0);
	control_set_sources(&b->control, sources);
	control_serve(&b->control, sources);
	assert_string_equal(b->done, "q");
	control_serve(&b->control, sources);
	assert_string_equal(b->done, "q");
	assert_int_equal(control_timeout(&b->control), -1);
}

/* The last words of a machine reach who is there. */
static void test_close_sends_what_is_left(void **state)
{
	struct bench *b = *state;
	const int fd = negotiated(b);
	bool end;

	control_event(&b->control, "SHUTDOWN", NULL);
	control_close(&b->control);
	assert_non_null(strstr(hear(b, fd, &end), "\"SHUTDOWN\""));
	assert_true(end);
	close(fd);
}

static void test_without_a_socket(void **state)
{
	struct pollfd sources[CONTROL_NR_SOURCES];
	struct control control;

	(void)state;
	control_init(&control, "", -1, &fake_ops);
	control_set_sources(&control, sources);
	for (int i = 0; i < CONTROL_NR_SOURCES; i++)
		assert_int_equal(sources[i].fd, -1);
	assert_int_equal(control_timeout(&control), -1);
	control_event(&control, "STOP", NULL);
	control_close(&control);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_BENCH(test_greeting),
		WITH_BENCH(test_queries),
		WITH_BENCH(test_verbs),
		WITH_BENCH(test_failing_verb),
		WITH_BENCH(test_balloon),
		WITH_BENCH(test_wrong_messages),
		WITH_BENCH(test_byte_by_byte),
		WITH_BENCH(test_long_message),
		WITH_BENCH(test_events),
		WITH_BENCH(test_many_clients),
		WITH_BENCH(test_silent_clients_give_way),
		WITH_BENCH(test_client_that_does_not_read),
		WITH_BENCH(test_client_that_ignores_events),
		WITH_BENCH(test_clients_that_leave),
		WITH_BENCH(test_console),
		WITH_BENCH(test_unwanted_descriptors),
		WITH_BENCH(test_grace),
		WITH_BENCH(test_close_sends_what_is_left),
		cmocka_unit_test(test_without_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

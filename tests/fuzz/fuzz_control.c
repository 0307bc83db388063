/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/vm/qmp.c src/util/jstream.c src/util/err.c */
/*
 * Property: whatever a client sends, in whatever pieces, and however slowly it reads, it gets JSON
 * objects, one a line, each a greeting, an event, or an answer; nothing but commands known by name
 * reaches the machine, and nothing before the negotiation; what it can make us keep is bounded.
 *
 * An input is a script: a byte says what happens next, and which size it has.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/qmp.h"
#include "fuzz.h"

struct bench {
	struct qmp_session session;
	enum qmp_status status;
	char *text; /* sent to the client, and not yet looked at */
	size_t text_size;
	unsigned nr_greetings;
};

/* Only who has negotiated is heard. */
static struct bench *heard(void *ctx)
{
	struct bench *b = ctx;

	require(b->session.negotiated);
	return b;
}

static enum qmp_status get_status(void *ctx)
{
	return heard(ctx)->status;
}

static int do_stop(void *ctx, struct ccr_err *err)
{
	(void)err;
	require(heard(ctx)->status != QMP_SHUTDOWN);
	((struct bench *)ctx)->status = QMP_PAUSED;
	return 0;
}

static int do_cont(void *ctx, struct ccr_err *err)
{
	(void)err;
	require(heard(ctx)->status != QMP_SHUTDOWN);
	((struct bench *)ctx)->status = QMP_RUNNING;
	return 0;
}

static int do_reset(void *ctx, struct ccr_err *err)
{
	require(heard(ctx)->status != QMP_SHUTDOWN);
	return err_set(err, -1, "no");
}

static void do_powerdown(void *ctx, unsigned grace_s)
{
	heard(ctx);
	require(grace_s <= QMP_MAX_GRACE_S);
}

static void do_quit(void *ctx)
{
	heard(ctx)->status = QMP_SHUTDOWN;
}

static void do_stat(void *ctx, struct json_object *object)
{
	heard(ctx);
	json_object_object_add(object, "status", json_object_new_string("running"));
}

/* No descriptor is ever passed. */
static int do_console(void *ctx, int fd, struct ccr_err *err)
{
	(void)ctx;
	(void)fd;
	(void)err;
	require(false);
	return 0;
}

static int do_balloon(void *ctx, uint64_t size, struct ccr_err *err)
{
	(void)ctx;
	(void)err;
	require(size > 0 && size <= INT64_MAX);
	return 0;
}

static int do_query_balloon(void *ctx, uint64_t *ret_size, struct ccr_err *err)
{
	(void)ctx;
	*ret_size = 0;
	return err_set(err, -ENODEV, "No balloon device has been activated");
}

static const struct qmp_ops ops = {
	.status = get_status,
	.stop = do_stop,
	.cont = do_cont,
	.reset = do_reset,
	.powerdown = do_powerdown,
	.quit = do_quit,
	.stat = do_stat,
	.console = do_console,
	.balloon = do_balloon,
	.query_balloon = do_query_balloon,
};

static void check_line(struct bench *b, const char *line, size_t size)
{
	struct jstream stream;
	struct json_object *object = NULL;

	require(memchr(line, '\n', size) == NULL);
	require(jstream_init(&stream, QMP_MAX_UNREAD) == 0);
	/* The answer's own nesting, around an id nested as deeply as allowed, may be deeper. */
	if (jstream_next(&stream, &line, &size, &object) == 1) {
		const bool greeting = json_object_object_get_ex(object, "QMP", NULL);
		const bool event = json_object_object_get_ex(object, "event", NULL);
		const bool result = json_object_object_get_ex(object, "return", NULL);
		const bool error = json_object_object_get_ex(object, "error", NULL);

		require(greeting + event + result + error == 1);
		b->nr_greetings += greeting;
		require(b->nr_greetings == 1);
		require(!event || b->session.negotiated);
		json_object_put(object);
	}
	jstream_done(&stream);
}

static void check_lines(struct bench *b)
{
	char *end;

	while ((end = memmem(b->text, b->text_size, "\r\n", 2))) {
		check_line(b, b->text, (size_t)(end - b->text));
		b->text_size -= (size_t)(end + 2 - b->text);
		memmove(b->text, end + 2, b->text_size);
	}
}

static void read_output(struct bench *b, size_t size)
{
	if (size > b->session.out_size)
		size = b->session.out_size;
	if (size == 0)
		return;
	b->text = realloc(b->text, b->text_size + size);
	require(b->text != NULL);
	memcpy(b->text + b->text_size, b->session.out, size);
	b->text_size += size;
	qmp_sent(&b->session, size);
	check_lines(b);
}

static void write_input(struct bench *b, const uint8_t *bytes, size_t size)
{
	const struct qmp_machine machine = {.name = "fuzz", .ops = &ops, .ctx = b};

	while (size > 0 && !b->session.broken) {
		const size_t room = qmp_room(&b->session), part = size < room ? size : room;

		qmp_receive(&b->session, (const char *)bytes, part);
		qmp_run(&b->session, &machine);
		require(b->session.out_size <= QMP_MAX_UNREAD);
		bytes += part;
		size -= part;
		/* A client that reads nothing gets no further. */
		if (part == 0)
			read_output(b, b->session.out_size);
	}
}

static void do_event(struct bench *b)
{
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "guest", json_object_new_boolean(true));
	qmp_event(&b->session, "SHUTDOWN", data);
	json_object_put(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char negotiation[] = "{\"execute\": \"qmp_capabilities\"}";
	struct bench b = {0};

	require(qmp_open(&b.session) == 0);
	while (size > 0) {
		const uint8_t what = *data++;
		size_t part = what & 0x3f;

		size--;
		if (part > size)
			part = size;
		switch (what >> 6) {
		case 0:
		case 1:
			/* 64 more of them at a time with the second. */
			part = what & 0x40 && 64 + part <= size ? 64 + part : part;
			write_input(&b, data, part);
			data += part;
			size -= part;
			break;
		case 2:
			read_output(&b, what & 0x20 ? b.session.out_size : part);
			break;
		case 3:
			if (what & 1)
				do_event(&b);
			else
				write_input(&b, (const uint8_t *)negotiation,
					    sizeof(negotiation) - 1);
			break;
		}
	}
	read_output(&b, b.session.out_size);
	require(b.text_size == 0);
	qmp_close(&b.session);
	free(b.text);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ccr/err.h"
#include "ccr/log.h"

#define LOG_TEXT_SIZE 1024

/* A guest that makes its machine start anew has the budgets of its devices anew, but not this. */
#define LOG_MAX_PROVOKED 1024

struct level_style {
	const char *word;
	const char *colour;
};

static const struct level_style level_styles[] = {
	[LOG_ERROR] = {"error: ", "\x1b[1;31m"},
	[LOG_WARN] = {"warning: ", "\x1b[1;33m"},
	[LOG_INFO] = {"", ""},
	[LOG_DEBUG] = {"debug: ", "\x1b[2m"},
};

static struct {
	enum log_level level;
	bool colour;
	atomic_bool raw;
	struct timespec start;
	atomic_int provoked_left;
} log_state = {.level = LOG_INFO, .provoked_left = LOG_MAX_PROVOKED};

void log_init(enum log_level level)
{
	const char *no_color = getenv("NO_COLOR");

	log_state.level = level;
	clock_gettime(CLOCK_MONOTONIC, &log_state.start);
	log_state.colour = (!no_color || !*no_color) && isatty(STDERR_FILENO);
}

void log_raw_terminal(bool raw)
{
	atomic_store(&log_state.raw, raw);
}

__attribute__((format(printf, 2, 0))) static void format_text(char text[LOG_TEXT_SIZE],
							      const char *fmt, va_list args)
{
	static const char cut[] = "...";
	int length = vsnprintf(text, LOG_TEXT_SIZE, fmt, args);

	if (length < 0)
		text[0] = '\0';
	else if (length >= LOG_TEXT_SIZE)
		memcpy(text + LOG_TEXT_SIZE - sizeof(cut), cut, sizeof(cut));
	err_make_printable(text);
}

/* Debug messages tell the time, so that one can see where a launch spends it. */
static void format_time(enum log_level level, char text[32])
{
	struct timespec now;
	long long ms;

	text[0] = '\0';
	if (level != LOG_DEBUG)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - log_state.start.tv_sec) * 1000LL +
	     (now.tv_nsec - log_state.start.tv_nsec) / 1000000;
	(void)snprintf(text, 32, "[%lld.%03lld] ", ms / 1000, ms % 1000);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	const struct level_style *style = &level_styles[level];
	int saved_errno = errno;
	char text[LOG_TEXT_SIZE];
	char line[LOG_TEXT_SIZE + 96];
	char when[32];
	bool colour = log_state.colour && *style->colour;
	va_list args;
	int length;

	if (level > log_state.level)
		return;
	va_start(args, fmt);
	format_text(text, fmt, args);
	va_end(args);
	format_time(level, when);
	length = snprintf(line, sizeof(line), "ccr-run: %s%s%s%s%s%s", colour ? style->colour : "",
			  style->word, colour ? "\x1b[0m" : "", when, text,
			  atomic_load(&log_state.raw) ? "\r\n" : "\n");
	/* A message that stderr does not take has nobody left to be told. */
	while (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}

/* Return: what was left before: 0 the first time that nothing was, then a negative number. */
static int take_one(atomic_int *budget)
{
	int nr_left = atomic_load(budget);

	do {
		if (nr_left < 0)
			return nr_left;
	} while (!atomic_compare_exchange_weak(budget, &nr_left, nr_left - 1));
	return nr_left;
}

bool log_allow(struct log_limit *limit)
{
	const int nr_left = take_one(&limit->nr_left);
	int all_left;

	if (nr_left < 0)
		return false;
	all_left = take_one(&log_state.provoked_left);
	if (all_left == 0)
		log_warn("(no further messages that a guest can provoke are shown)");
	if (all_left <= 0)
		return false;
	if (nr_left == 0)
		log_warn("(further messages of this kind are not shown)");
	return nr_left > 0;
}

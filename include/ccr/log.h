/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for the person at the terminal, on stderr. The log is the one module with file-scope
 * state (its level and colour); everything else is passed what it needs.
 */
#ifndef CCR_LOG_H
#define CCR_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/**
 * log_init() - choose what is shown
 * @level: most verbose level shown
 *
 * Colour is used when stderr is a terminal and NO_COLOR is unset or empty. Call once,
 * before any thread is created.
 */
void log_init(enum log_level level);

/**
 * log_raw_terminal() - tell the log that the terminal is in raw mode, so that lines need CR LF
 */
void log_raw_terminal(bool raw);

/**
 * log_msg() - one line: "ccr-run: warning: ..."
 *
 * Debug messages carry the seconds since log_init(). The text goes through err_make_printable();
 * over 1 KiB it is cut and ends in "...".
 * errno is preserved. Safe from any thread; each message is a single write(2).
 */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

/**
 * struct log_limit - a budget for messages that a guest can provoke
 * @nr_left: messages that may still be printed; initialise with the budget; negative once the
 *	first refusal was announced
 *
 * Guests are hostile: whatever they can make us say, they could make us say for ever.
 */
struct log_limit {
	atomic_int nr_left;
};

/**
 * log_allow() - take one message from the budget
 *
 * The first refusal prints "(further messages of this kind are not shown)" instead. All budgets
 * together have one as well, for as long as the process lives: LOG_MAX_PROVOKED. The structure may
 * be used by several threads.
 *
 * Return: true if the caller may log.
 */
bool log_allow(struct log_limit *limit);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters: from a list of rules to a program for the kernel (seccomp, classic BPF).
 *
 * The list is made from comments beside the code that needs each call, by src/sandbox/syscalls.awk.
 * What is not on it is denied. Calls that do very different things by one of their arguments are
 * allowed for single values of it only, and some have a condition that always holds: no memory
 * becomes executable, a new task is a thread of ours, signals go to our own threads.
 */
#ifndef CCR_FILTER_H
#define CCR_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/filter.h>

/** FILTER_MAX_INSNS - of a program; the kernel takes 4096 */
#define FILTER_MAX_INSNS 1024

/**
 * struct filter_rule - one call that somebody needs
 * @nr: its number on this machine
 * @has_value: only with @value in the argument that says what the call does: an ioctl's request
 * @kinds: bit n for enum sandbox_thread n
 */
struct filter_rule {
	uint32_t nr;
	bool has_value;
	uint32_t value;
	uint32_t kinds;
};

/** filter_rules - all rules of this program, neighbours if of one call; made when it is built */
extern const struct filter_rule filter_rules[];
extern const size_t filter_nr_rules;

/**
 * struct filter_config - which filter
 * @rules: @nr_rules of them; those of one call are neighbours
 * @kinds: of the rules, those with one of these bits count
 * @denied: what becomes of every other call: SECCOMP_RET_*
 * @pid: the process whose threads may be signalled
 */
struct filter_config {
	const struct filter_rule *rules;
	size_t nr_rules;
	uint32_t kinds;
	uint32_t denied;
	pid_t pid;
};

/**
 * filter_build() - the program
 * @ret_insns: FILTER_MAX_INSNS of them
 *
 * Return: how many; -E2BIG if they are too many; -EINVAL for a rule with a value for a call that
 * has no such argument, or without one for a call that must have it.
 */
int filter_build(const struct filter_config *config, struct sock_filter *ret_insns);

/** filter_count() - calls, not rules, that a filter for these kinds lets through */
unsigned filter_count(const struct filter_config *config);

/**
 * filter_install() - for the calling thread and those that it makes, for good
 *
 * no_new_privs must be set. Filters add up: what one of them denies is denied.
 *
 * Return: 0 or -errno; also what filter_build() returns.
 */
int filter_install(const struct filter_config *config);

#endif

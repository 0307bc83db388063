/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share. */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

#include <stdio.h>

#include "ccr/cli.h"
#include "ccr/file.h"
#include "ccr/hash.h"
#include "ccr/launch.h"
#include "ccr/measure.h"
#include "ccr/plan.h"

struct json_object;

/* What a value begins with that names a back end's socket in the place of a file. */
#define CLI_VHOST_USER "vhost-user="
/* And one that names the kernel. */
#define CLI_VHOST "vhost"

/* Flags of an option, beside the commands that know it. */
#define CLI_OPTION_REPEATS    (1u << 24) /* may be given more than once */
#define CLI_OPTION_PATH       (1u << 25) /* the value begins with a file's path */
#define CLI_OPTION_AT_PATH    (1u << 26) /* it is one, behind an @ */
#define CLI_OPTION_TYPED      (1u << 27) /* only on the command line, not in a file */
#define CLI_OPTION_COLON_PATH (1u << 28) /* it has one, behind a colon */

/**
 * struct cli_option - an option of some commands
 * @letter: 0 for none
 * @name: the long one
 * @commands: those that know it, one bit each, and flags
 * @has_arg: as getopt_long() has it
 * @arg: what the help calls its value: N, SIZE and SECONDS are numbers; NULL for none
 * @set: @value is NULL if there is none; otherwise it outlives @options
 */
struct cli_option {
	char letter;
	const char *name;
	unsigned commands;
	int has_arg;
	const char *arg;
	const char *help;
	int (*set)(struct cli_options *options, const char *value, struct ccr_err *err);
};

/** cli_option_named() - by its long name, whoever knows it. Return: NULL if nobody does. */
const struct cli_option *cli_option_named(const char *name);

/**
 * cli_option_set() - carry out an option
 * @value: NULL if there is none; outlives @options
 *
 * Return: 0, or -errno with @err set.
 */
int cli_option_set(struct cli_options *options, const struct cli_option *option, const char *value,
		   struct ccr_err *err);

/**
 * cli_config_load() - set what a JSON file says
 * @command: the bit of the command that is to run; options of others are passed over
 * @options: gets the file's content, which what is set points into
 *
 * The file is an object whose members are named like the long options. Switches are true or false;
 * what takes a value has a string, or a number where one is wanted; what may be given repeatedly
 * may have a list. Relative paths are relative to the directory that the file is in.
 *
 * Return: 0, or -errno with @err set.
 */
int cli_config_load(const char *path, unsigned command, struct cli_options *options,
		    struct ccr_err *err);

/** cli_check() - `ccr-run check` */
enum cli_status cli_check(const struct cli_options *options, struct ccr_err *err);

/** cli_measure() - `ccr-run measure` */
enum cli_status cli_measure(const struct cli_options *options, struct ccr_err *err);

/** cli_verify() - `ccr-run verify` */
enum cli_status cli_verify(const struct cli_options *options, struct ccr_err *err);

/** cli_attest() - `ccr-run attest` */
enum cli_status cli_attest(const struct cli_options *options, struct ccr_err *err);

/**
 * cli_token_source - where a token that is to be verified comes from
 * @ret_token: empty; its bytes or base64, with or without line breaks; freed also after an error
 *
 * Called once all that is expected of the token is known. Return: 0, or -errno with @err set.
 */
typedef int cli_token_source(const struct cli_options *options, struct blob *ret_token,
			     struct ccr_err *err);

/** cli_verify_from() - verify what @source gives, print findings. Return: an enum cli_status. */
enum cli_status cli_verify_from(const struct cli_options *options, cli_token_source *source,
				struct ccr_err *err);

/**
 * cli_load() - what the options say a guest is made of, and --dump-dtb
 *
 * Return: an enum cli_status; @launch needs launch_done() only after CLI_OK.
 */
enum cli_status cli_load(const struct cli_options *options, enum machine_kind kind,
			 struct launch *launch, struct ccr_err *err);

/** enum cli_host_source - where the description of a realm's host comes from */
enum cli_host_source {
	CLI_HOST_CONSTANT, /* an emulated realm's: the same everywhere */
	CLI_HOST_DEFAULT,  /* nothing was said */
	CLI_HOST_GIVEN,    /* --host, --realm-abi, --rmm */
};

/**
 * struct cli_measured - a realm that was measured before its launch
 * @launch: what it is made of
 * @host: what its host adds
 * @rim: HASH_MAX_SIZE bytes
 */
struct cli_measured {
	struct launch launch;
	struct realm_host host;
	enum cli_host_source host_source;
	uint8_t rim[HASH_MAX_SIZE];
};

/**
 * cli_measure_realm() - the RIM of the realm that launch options describe
 * @observer: as measure_plan() has it
 *
 * Only realms are measured: without --realm a real one is meant if its host is described, else an
 * emulated one.
 *
 * Return: an enum cli_status; launch_done(&@measured->launch) is needed only after CLI_OK.
 */
enum cli_status cli_measure_realm(const struct cli_options *options, measure_observer *observer,
				  void *ctx, struct cli_measured *measured, struct ccr_err *err);

/**
 * cli_list(), cli_stat(), cli_stop(), cli_pause(), cli_resume(), cli_console(), cli_balloon() - the
 * commands that deal with running machines
 */
enum cli_status cli_list(const struct cli_options *options, struct ccr_err *err);
enum cli_status cli_stat(const struct cli_options *options, struct ccr_err *err);
enum cli_status cli_stop(const struct cli_options *options, struct ccr_err *err);
enum cli_status cli_pause(const struct cli_options *options, struct ccr_err *err);
enum cli_status cli_resume(const struct cli_options *options, struct ccr_err *err);
enum cli_status cli_console(const struct cli_options *options, struct ccr_err *err);
enum cli_status cli_balloon(const struct cli_options *options, struct ccr_err *err);

/**
 * cli_answer_member(), cli_answer_text(), cli_answer_number(), cli_answer_count() - a member of an
 * object in a machine's answer: as it is, as text ("-" if missing), as a number, elements of a list
 */
struct json_object *cli_answer_member(struct json_object *object, const char *name);
const char *cli_answer_text(struct json_object *object, const char *name);
uint64_t cli_answer_number(struct json_object *object, const char *name);
size_t cli_answer_count(struct json_object *object, const char *name);

/** cli_answer_print() - one JSON object on one line of stdout */
void cli_answer_print(struct json_object *object);

/** cli_print_prometheus() - the answer to x-ccr-stat as metrics; @out's errors are the caller's */
void cli_print_prometheus(struct json_object *stat, FILE *out);

/** cli_flush() - results on stdout have been written, or @err says that they have not */
enum cli_status cli_flush(struct ccr_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. Parsing is pure and leaves printing and exiting to main: a command returns
 * what to print as an error and which status to end with.
 */
#ifndef CCR_CLI_H
#define CCR_CLI_H

#include <stdbool.h>

#include "ccr/err.h"
#include "ccr/launch.h"
#include "ccr/log.h"
#include "ccr/vm.h"

/** enum cli_status - exit statuses, documented in the manual page */
enum cli_status {
	CLI_OK = 0,          /* guest powered off or was stopped on request; command succeeded */
	CLI_NOT_STARTED = 1, /* could not start */
	CLI_USAGE = 2,
	CLI_CRASHED = 3,  /* the guest crashed, as far as can be seen from outside */
	CLI_FAILED = 4,   /* running failed */
	CLI_RESET = 5,    /* the guest asked for a reset that was not carried out */
	CLI_REJECTED = 6, /* verify: the token was read, and is not to be believed */
	CLI_BUG = 70,     /* our own bug */
};

struct json_object;

/**
 * struct cli_verify_options - what `verify` and `attest` are asked; NULL for an option not given
 * @token: file with the token, as bytes or as base64; "-" for stdin
 * @challenge: hexadecimal, 32 to 64 bytes; zeros are added as Linux does
 * @rim: hexadecimal
 * @rpv: as --realm-pv of a launch takes it
 * @trust_anchors: file, see verify_anchors_load()
 * @log: file with the measurement log of the realm's launch, as bytes or as base64
 * @policy: file, see verify_policy_load(). What both it and an option name is refused.
 */
struct cli_verify_options {
	const char *token;
	const char *challenge;
	const char *rim;
	const char *rpv;
	const char *trust_anchors;
	const char *log;
	const char *policy;
	bool emulated;
};

/**
 * struct cli_host_options - the host of a realm that is measured far from it
 * @file: see realm_host_from_json(), or NULL
 * @rmm: counts only if it is given
 */
struct cli_host_options {
	const char *file;
	bool has_rmm;
	enum rmm_variant rmm;
};

/**
 * struct cli_options - every option of every command
 * @config_path: --config
 * @config: what was read from there; owned
 * @launch: what the guest is made of; strings are borrowed from argv or @config
 * @kind_given: --realm was used
 * @realm_abi: --realm-abi; without a series for auto
 * @console: --console; its path is borrowed from argv
 * @quiet_s: --silence
 * @sandbox: --sandbox
 * @launch_given: an option was used that says what a guest is made of, or on which host
 * @rpv_given: --realm-pv was used
 * @host: of `measure` and `verify`; strings are borrowed from argv or @config
 * @log_path: where to save the measurement log, or NULL
 * @from_log: of `measure`: a log to replay in place of a launch, or NULL
 * @corim: of `measure`: where to save reference values, or NULL
 * @verify: of `verify` alone; strings are borrowed from argv or @config
 * @attest_port: of vsock, where `attest` asks; @save: where it saves the token, or NULL
 * @name: of the machine to run or to control, NULL for a generated one
 * @prometheus: of `stat`: as metrics
 * @size: of `balloon`: what to leave to the guest, NULL to ask only
 * @run_dir: runtime directory, NULL for the usual one
 * @grace_s, @force: how `stop` ends a machine
 * @disk_texts, @share_texts, @fs_texts, @channel_texts: allocated; @disks, @shares, @fs and
 *	@channels point into them
 * @net_texts: allocated; @nets points into them
 * @vsock_text: allocated; @vsock points into it
 * @cmdline: allocated, if --bounce made the kernel command line longer
 */
struct cli_options {
	const char *config_path;
	struct json_object *config;
	struct launch_options launch;
	bool kind_given;
	const char *record;
	struct realm_abi realm_abi;
	const char *dump_dtb;
	bool no_reboot;
	unsigned nr_fs;
	struct vm_fs fs[VM_MAX_SHARES];
	char *fs_texts[VM_MAX_SHARES];
	unsigned nr_disks;
	struct vm_disk disks[VM_MAX_DISKS];
	bool has_hugepages;
	uint64_t hugepage_size;
	bool mem_prealloc;
	const char *vcpu_affinity;
	char *disk_texts[VM_MAX_DISKS];
	unsigned nr_nets;
	struct net_config nets[VM_MAX_NETS];
	char *net_texts[VM_MAX_NETS];
	unsigned nr_shares;
	struct vm_share shares[VM_MAX_SHARES];
	char *share_texts[VM_MAX_SHARES];
	struct vm_vsock vsock;
	char *vsock_text;
	bool has_balloon;
	uint64_t bounce_size;
	char *cmdline;
	struct chardev_config console;
	unsigned nr_channels;
	struct vm_channel channels[VM_MAX_CHANNELS];
	char *channel_texts[VM_MAX_CHANNELS];
	unsigned quiet_s;
	enum sandbox_mode sandbox;
	bool launch_given;
	bool rpv_given;
	struct cli_host_options host;
	const char *log_path;
	const char *from_log;
	const char *corim;
	const char *name;
	const char *size;
	bool prometheus;
	const char *run_dir;
	unsigned grace_s;
	bool force;
	struct cli_verify_options verify;
	uint32_t attest_port;
	const char *save;
	bool json;
	bool explain;
	bool help;
	enum log_level log_level;
};

struct cli_command;

/**
 * struct cli_command - a sub-command
 * @run: Return: an enum cli_status; @err is set unless it is CLI_OK
 */
struct cli_command {
	const char *name;
	const char *summary;
	const char *synopsis;
	enum cli_status (*run)(const struct cli_options *options, struct ccr_err *err);
};

/**
 * cli_parse() - options of @command from argv[1] on
 *
 * Return: 0, or -EINVAL with @err set. cli_options_done() is needed either way.
 */
int cli_parse(const struct cli_command *command, int argc, char **argv,
	      struct cli_options *ret_options, struct ccr_err *err);

/** cli_options_done() - free what the options own */
void cli_options_done(struct cli_options *options);

/** cli_print_help() - help of @command on stdout; NULL for the overview of @commands */
void cli_print_help(const struct cli_command *command);

/** cli_commands - ends with an entry whose name is NULL */
extern const struct cli_command cli_commands[];

/**
 * cli_parse_rpv() - realm personalisation value: hex:..., base64:..., @file, or bare text
 * @rpv: PLAN_RPV_SIZE bytes: the value first, then zeros
 *
 * Return: 0, or -EINVAL (or the file's error) with @err set.
 */
int cli_parse_rpv(const char *text, uint8_t rpv[PLAN_RPV_SIZE], struct ccr_err *err);

/** cli_main() - the whole program but for the final message. Return: an enum cli_status. */
enum cli_status cli_main(int argc, char **argv, struct ccr_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "ccr/cli.h"
#include "ccr/record.h"
#include "ccr/vm.h"
#include "internal.h"

#ifndef CCR_VERSION
#define CCR_VERSION "0.1"
#endif

enum cli_status cli_load(const struct cli_options *options, enum machine_kind kind,
			 struct launch *launch, struct ccr_err *err)
{
	struct launch_options launch_options = options->launch;
	struct memmap map;
	int ret;

	launch_options.kind = kind;
	if (!launch_options.kernel && !launch_options.firmware) {
		err_set(err, -EINVAL, "no kernel: give one with -k FILE");
		return CLI_USAGE;
	}
	if (memmap_init(&map, launch_options.ram_size, launch_options.nr_vcpus, err) ||
	    features_check(&launch_options.features, kind, err))
		return CLI_USAGE;
	ret = launch_load(launch, &launch_options, err);
	if (ret)
		return CLI_NOT_STARTED;
	if (options->dump_dtb) {
		ret = file_save(options->dump_dtb, launch->dtb.data, launch->dtb.size,
				"device tree", err);
		if (ret) {
			launch_done(launch);
			return CLI_NOT_STARTED;
		}
	}
	return CLI_OK;
}

static int check_machine(struct ccr_err *err)
{
#ifdef __aarch64__
	(void)err;
	return 0;
#else
	return err_set(err, -EOPNOTSUPP,
		       "this machine is not arm64, so it cannot run arm64 guests with KVM; "
		       "`make run` boots an arm64 host in QEMU and runs ccr-run there");
#endif
}

static enum cli_status outcome_status(enum vm_outcome outcome, struct ccr_err *err)
{
	switch (outcome) {
	case VM_POWEROFF:
	case VM_STOPPED:
		return CLI_OK;
	case VM_RESET:
		err_set(err, -ECANCELED, "the guest asked for a reset, which was not carried out");
		return CLI_RESET;
	case VM_CRASH:
		return CLI_CRASHED;
	case VM_BROKEN:
		return CLI_BUG;
	case VM_FAILED:
		break;
	}
	return CLI_FAILED;
}

static enum cli_status run_loaded(const struct cli_options *options, struct launch *launch,
				  const struct runtime *runtime, struct sandbox *sandbox,
				  struct ccr_err *err)
{
	struct vm_config config = {
		.launch = launch,
		.realm_abi = options->realm_abi,
		.log_path = options->log_path,
		.no_reboot = options->no_reboot,
		.quiet_s = options->quiet_s,
		.nr_disks = options->nr_disks,
		.nr_shares = options->nr_shares,
		.nr_fs = options->nr_fs,
		.has_balloon = options->has_balloon,
		.bounce_size = options->bounce_size,
		.vsock = options->vsock,
		.nr_nets = options->nr_nets,
		.runtime = runtime,
		.console = options->console,
		.nr_channels = options->nr_channels,
		.has_hugepages = options->has_hugepages,
		.hugepage_size = options->hugepage_size,
		.mem_prealloc = options->mem_prealloc,
		.vcpu_affinity = options->vcpu_affinity,
		.sandbox = sandbox,
	};
	enum vm_outcome outcome = VM_FAILED;
	int ret;

	memcpy(config.disks, options->disks, sizeof(config.disks));
	memcpy(config.nets, options->nets, sizeof(config.nets));
	memcpy(config.shares, options->shares, sizeof(config.shares));
	memcpy(config.fs, options->fs, sizeof(config.fs));
	memcpy(config.channels, options->channels, sizeof(config.channels));
	ret = vm_run(&config, &outcome, err);
	if (ret)
		return CLI_NOT_STARTED;
	return outcome_status(outcome, err);
}

/*
 * The name and the control socket. A machine that nobody has named runs without them where there is
 * no place for them.
 *
 * Return: 1 for a name that is ours, 0 for none, or -errno with @err set.
 */
static int claim(const struct cli_options *options, struct runtime *runtime, struct ccr_err *err)
{
	struct ccr_err why = {0};
	char name[32];
	int ret;

	if (options->name) {
		ret = runtime_claim(runtime, options->run_dir, options->name, err);
		return ret ? ret : 1;
	}
	snprintf(name, sizeof(name), "ccr-%d", (int)getpid());
	ret = runtime_claim(runtime, options->run_dir, name, options->run_dir ? err : &why);
	if (!ret)
		return 1;
	if (options->run_dir)
		return ret;
	log_debug("no control socket: %s", why.msg);
	return 0;
}

static enum cli_status run_named(const struct cli_options *options, struct launch *launch,
				 struct sandbox *sandbox, struct ccr_err *err)
{
	struct runtime runtime;
	const int named = claim(options, &runtime, err);
	enum cli_status status;

	if (named < 0)
		return CLI_NOT_STARTED;
	status = run_loaded(options, launch, named ? &runtime : NULL, sandbox, err);
	if (named)
		runtime_release(&runtime);
	return status;
}

static enum cli_status run(const struct cli_options *options, struct ccr_err *err)
{
	struct sandbox sandbox;
	struct launch launch;
	enum cli_status status;

	if (sandbox_initial(&sandbox, options->sandbox, err))
		return CLI_NOT_STARTED;
	/* Opened before the sandbox looked at what was there. */
	sandbox_adopt(&sandbox, kvm_record_fd());
	status = cli_load(options, options->launch.kind, &launch, err);
	if (status)
		return status;
	if (check_machine(err))
		status = CLI_NOT_STARTED;
	else
		status = run_named(options, &launch, &sandbox, err);
	launch_done(&launch);
	return status;
}

enum cli_status cli_flush(struct ccr_err *err)
{
	if (fflush(stdout) || ferror(stdout)) {
		err_set(err, -EIO, "stdout: the result could not be written");
		return CLI_NOT_STARTED;
	}
	return CLI_OK;
}

const struct cli_command cli_commands[] = {
	{"run", "Start a guest and stay with it until it ends", "-k Image [OPTION...]", run},
	{"measure", "Print the initial measurement (RIM) that a realm will have",
	 "-k Image [OPTION...] | --from-log FILE", cli_measure},
	{"check", "Say what this host can do, and why not", "[OPTION...]", cli_check},
	{"verify", "Say whether to believe an attestation token, and why", "TOKEN [OPTION...]",
	 cli_verify},
	{"list", "List the machines that run", "[OPTION...]", cli_list},
	{"stat", "Show what a machine has done so far", "NAME [OPTION...]", cli_stat},
	{"stop", "End a machine", "NAME [OPTION...]", cli_stop},
	{"pause", "Stop a machine's vCPUs until it is resumed", "NAME [OPTION...]", cli_pause},
	{"resume", "Let a paused machine go on", "NAME [OPTION...]", cli_resume},
	{"console", "Use a machine's console from this terminal", "NAME [OPTION...]", cli_console},
	{"attest", "Ask a running realm for an attestation token, and verify it",
	 "NAME [OPTION...]", cli_attest},
	{"balloon", "Ask a plain VM's guest to give back memory, or how much it has",
	 "NAME [SIZE] [OPTION...]", cli_balloon},
	{0},
};

static const struct cli_command *find_command(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		if (!strcmp(command->name, name))
			return command;
	}
	return NULL;
}

static enum cli_status run_command(const struct cli_command *command, int argc, char **argv,
				   struct ccr_err *err)
{
	enum cli_status status = CLI_USAGE;
	struct cli_options options;

	if (cli_parse(command, argc, argv, &options, err) == 0) {
		log_init(options.log_level);
		if (options.help)
			cli_print_help(command);
		if (options.help)
			status = CLI_OK;
		else if (options.record && kvm_record_start(options.record, err))
			status = CLI_NOT_STARTED;
		else
			status = command->run(&options, err);
	}
	cli_options_done(&options);
	return status;
}

static enum cli_status no_such_command(const char *name, struct ccr_err *err)
{
	err_set(err, -EINVAL,
		"%s: no such command; `ccr-run --help` lists them, and a kernel is given with -k",
		name);
	return CLI_USAGE;
}

/* @name: of a command; NULL for all of them */
static enum cli_status help(const char *name, struct ccr_err *err)
{
	const struct cli_command *command = name ? find_command(name) : NULL;

	if (name && !command)
		return no_such_command(name, err);
	cli_print_help(command);
	return cli_flush(err);
}

enum cli_status cli_main(int argc, char **argv, struct ccr_err *err)
{
	const struct cli_command *command = &cli_commands[0];

	log_init(LOG_INFO);
	/* What is measured and believed is not for a configuration file of this host to change. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (argc < 2) {
		err_set(err, -EINVAL, "no command; try `ccr-run --help`");
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return help(argc > 2 ? argv[2] : NULL, err);
	if (!strcmp(argv[1], "--version")) {
		printf("ccr-run %s (layout version %d)\n", CCR_VERSION, MEMMAP_LAYOUT_VERSION);
		return cli_flush(err);
	}
	if (argv[1][0] == '-')
		return run_command(command, argc, argv, err);
	command = find_command(argv[1]);
	if (!command)
		return no_such_command(argv[1], err);
	return run_command(command, argc - 1, argv + 1, err);
}

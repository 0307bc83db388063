/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/cli/config.c src/cli/options.c src/util/jsontext.c src/util/parse.c src/util/err.c
 * src/util/hash.c src/util/log.c src/host/chardev.c src/host/chardev_file.c src/host/chardev_pty.c
 * src/host/chardev_socket.c src/host/chardev_stdio.c src/host/net_parse.c src/host/runtime.c
 * src/realm/features.c src/realm/plan.c src/virtio/bounce.c arch/arm64/kvm/realm_abi.c
 * src/vm/affinity.c
 */
/* about: src/cli/config.c src/cli/options.c src/host/net_parse.c src/realm/features.c */
/*
 * Property: a configuration file is refused, with a sentence, or what comes of it is what a command
 * line may say: numbers in range, lists within their limits, no name twice, and no path that
 * depends on where the program was started.
 *
 * The first byte of an input chooses the command.
 */
#include <errno.h>
#include <string.h>

#include "ccr/blk.h"
#include "ccr/cli.h"
#include "ccr/file.h"
#include "ccr/log.h"
#include "ccr/qmp.h"
#include "ccr/vconsole.h"
#include "ccr/vhost_dev.h"
#include "ccr/v9p.h"
#include "ccr/vsock.h"
#include "fuzz.h"

#define CONFIG_DIR "/where/it/is/"

/* The two that take most options; nothing is run here. */
const struct cli_command cli_commands[] = {{.name = "run"}, {.name = "measure"}, {0}};

/* What stands in the file, for the only file that may be read here. */
static const uint8_t *text;
static size_t text_size;

int file_load(const char *path, size_t max_size, const char *what, struct blob *ret_blob,
	      struct ccr_err *err)
{
	(void)what;
	require(!strcmp(path, CONFIG_DIR "file.json"));
	if (text_size > max_size)
		return err_set(err, -EFBIG, "too large");
	*ret_blob = (struct blob){.data = malloc(text_size ? text_size : 1), .size = text_size};
	require(ret_blob->data != NULL);
	memcpy(ret_blob->data, text, text_size);
	return 0;
}

void blob_free(struct blob *blob)
{
	free(blob->data);
	*blob = (struct blob){0};
}

/* It would read a file. */
int cli_parse_rpv(const char *value, uint8_t rpv[PLAN_RPV_SIZE], struct ccr_err *err)
{
	(void)rpv;
	require(value[0] != '@' || value[1] == '/' || value[1] == '\0');
	return strlen(value) <= PLAN_RPV_SIZE ? 0 : err_set(err, -EINVAL, "too long");
}

int sandbox_parse(const char *value, enum sandbox_mode *ret_mode, struct ccr_err *err)
{
	*ret_mode = SANDBOX_ON;
	return strcmp(value, "on") ? err_set(err, -EINVAL, "not on") : 0;
}

static void check_path(const char *path)
{
	require(!path || path[0] == '/' || path[0] == '\0');
}

static void check_paths(const struct cli_options *options)
{
	check_path(options->launch.kernel);
	check_path(options->launch.firmware);
	check_path(options->launch.initrd);
	check_path(options->dump_dtb);
	check_path(options->log_path);
	check_path(options->from_log);
	check_path(options->corim);
	check_path(options->record);
	check_path(options->run_dir);
	check_path(options->host.file);
	check_path(options->vsock.path);
	check_path(options->console.path);
}

static void check_disks(const struct cli_options *options)
{
	require(options->nr_disks <= VM_MAX_DISKS);
	for (unsigned i = 0; i < options->nr_disks; i++) {
		const struct vm_disk *disk = &options->disks[i];

		require(disk->path != NULL && disk->nr_queues <= BLK_MAX_QUEUES);
		require(!disk->serial || strlen(disk->serial) <= BLK_SERIAL_SIZE);
		check_path(disk->path);
	}
}

static void check_nets(const struct cli_options *options)
{
	require(options->nr_nets <= VM_MAX_NETS);
	for (unsigned i = 0; i < options->nr_nets; i++) {
		const struct net_config *net = &options->nets[i];

		require(net->kind != NET_NONE && net->nr_pairs >= 1);
		require(net->nr_pairs <= NET_MAX_PAIRS && net->nr_fds <= NET_MAX_PAIRS);
		require(!net->mtu || net->mtu >= NET_MIN_MTU);
		require(!(net->mac[0] & 1));
		if (net->kind == NET_PASST)
			check_path(net->where);
	}
}

static void check_directories(const struct cli_options *options)
{
	require(options->nr_shares + options->nr_fs <= VM_MAX_SHARES);
	for (unsigned i = 0; i < options->nr_shares; i++) {
		require(strlen(options->shares[i].tag) <= V9P_MAX_TAG && options->shares[i].tag[0]);
		check_path(options->shares[i].dir);
		for (unsigned j = 0; j < i; j++)
			require(strcmp(options->shares[i].tag, options->shares[j].tag) != 0);
	}
	for (unsigned i = 0; i < options->nr_fs; i++) {
		require(strlen(options->fs[i].tag) <= VHOST_FS_TAG_SIZE);
		check_path(options->fs[i].socket);
	}
}

static void check_channels(const struct cli_options *options)
{
	unsigned nr_stdio = options->console.kind == CHARDEV_STDIO;

	require(options->nr_channels <= VM_MAX_CHANNELS);
	for (unsigned i = 0; i < options->nr_channels; i++) {
		const struct vm_channel *channel = &options->channels[i];

		require(channel->name[0] && strlen(channel->name) <= VCONSOLE_MAX_NAME);
		check_path(channel->end.path);
		nr_stdio += channel->end.kind == CHARDEV_STDIO;
		for (unsigned j = 0; j < i; j++)
			require(strcmp(channel->name, options->channels[j].name) != 0);
	}
	require(nr_stdio <= 1);
}

static void check_numbers(const struct cli_options *options)
{
	require(options->launch.nr_vcpus >= 1 && options->launch.nr_vcpus <= MEMMAP_MAX_VCPUS);
	require(options->grace_s <= QMP_MAX_GRACE_S && options->quiet_s <= 3600);
	require((options->hugepage_size & (options->hugepage_size - 1)) == 0);
	require(options->bounce_size <= 1u << 30);
	if (options->vsock.path || options->vsock.is_kernel)
		require(options->vsock.cid >= VSOCK_MIN_CID && options->vsock.cid <= VSOCK_MAX_CID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "ccr-run", config[] = "--config", path[] = CONFIG_DIR "file.json";
	char *argv[] = {name, config, path, NULL};
	struct cli_options options;
	struct ccr_err err = {0};
	int ret;

	if (size == 0)
		return 0;
	log_init(LOG_ERROR);
	text = data + 1;
	text_size = size - 1;
	ret = cli_parse(&cli_commands[data[0] & 1], 3, argv, &options, &err);
	require(ret ? err.code < 0 && err.msg[0] : err.code == 0);
	if (!ret) {
		check_paths(&options);
		check_disks(&options);
		check_nets(&options);
		check_directories(&options);
		check_channels(&options);
		check_numbers(&options);
	}
	cli_options_done(&options);
	return 0;
}

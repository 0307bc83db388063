/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/affinity.h"
#include "ccr/blk.h"
#include "ccr/bounce.h"
#include "ccr/cli.h"
#include "ccr/parse.h"
#include "ccr/qmp.h"
#include "ccr/v9p.h"
#include "ccr/vconsole.h"
#include "ccr/vhost_dev.h"
#include "ccr/vsock.h"
#include "internal.h"

#define DEFAULT_RAM_SIZE (512ull << 20)
#define DEFAULT_QUIET_S  10
#define MAX_QUIET_S      3600
#define ATTEST_PORT      2048
#define MAX_PORT         0xfffffffeu /* of vsock; the next one stands for any */

/* Which commands know an option. */
#define RUN     (1u << 0)
#define MEASURE (1u << 1)
#define CHECK   (1u << 2)
#define VERIFY  (1u << 3)
#define LIST    (1u << 4)
#define STAT    (1u << 5)
#define STOP    (1u << 6)
#define PAUSE   (1u << 7)
#define RESUME  (1u << 8)
#define CONSOLE (1u << 9)
#define ATTEST  (1u << 10)
#define BALLOON (1u << 11)
#define JUDGE   (VERIFY | ATTEST)
#define LAUNCH  (RUN | MEASURE | JUDGE) /* what a guest is made of */
#define HOST    (MEASURE | JUDGE)       /* what its host adds */
#define NAMED   (STAT | STOP | PAUSE | RESUME | CONSOLE | ATTEST | BALLOON)
#define ALL     (RUN | MEASURE | CHECK | VERIFY | LIST | NAMED)

#define REPEATS    CLI_OPTION_REPEATS
#define PATH       CLI_OPTION_PATH
#define AT_PATH    CLI_OPTION_AT_PATH
#define COLON_PATH CLI_OPTION_COLON_PATH
#define TYPED      CLI_OPTION_TYPED

static int bad_value(const char *option, const char *value, const char *wanted, struct ccr_err *err)
{
	return err_set(err, -EINVAL, "%s %s: not %s", option, value, wanted);
}

static int set_kernel(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->launch.kernel = value;
	return 0;
}

static int set_firmware(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->launch.firmware = value;
	return 0;
}

static int set_flat(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->launch.kernel_flat = true;
	return 0;
}

static int set_initrd(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->launch.initrd = value;
	return 0;
}

static int set_params(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->launch.cmdline = value;
	return 0;
}

static int set_mem(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (parse_size(value, 1ull << 20, &options->launch.ram_size))
		return bad_value("--mem", value, "a size such as 512M or 4G (a bare number is MiB)",
				 err);
	return 0;
}

static int set_hugepages(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t size = 0;

	if (value && (parse_size(value, 1ull << 20, &size) || size < GRANULE_SIZE ||
		      (size & (size - 1)) != 0))
		return err_set(err, -EINVAL,
			       "--hugepages %s: not a size such as 2M or 1G, a power of two",
			       value);
	options->has_hugepages = true;
	options->hugepage_size = size;
	return 0;
}

static int set_mem_prealloc(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->mem_prealloc = true;
	return 0;
}

static int set_vcpu_affinity(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->vcpu_affinity = value;
	return 0;
}

static int set_cpus(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t nr;

	if (parse_u64(value, &nr) || nr == 0 || nr > MEMMAP_MAX_VCPUS)
		return err_set(err, -EINVAL, "--cpus %s: not a number of vCPUs from 1 to %d", value,
			       MEMMAP_MAX_VCPUS);
	options->launch.nr_vcpus = (unsigned)nr;
	return 0;
}

static int set_realm(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (!value || !strcmp(value, "kvm"))
		options->launch.kind = MACHINE_REALM;
	else if (!strcmp(value, "emulated"))
		options->launch.kind = MACHINE_EMULATED;
	else
		return bad_value("--realm", value, "a kind of realm: kvm or emulated", err);
	options->kind_given = true;
	return 0;
}

static int set_realm_abi(struct cli_options *options, const char *value, struct ccr_err *err)
{
	return realm_abi_from_name(value, &options->realm_abi, err);
}

static int set_algo(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (hash_from_name(value, &options->launch.hash_algo))
		return bad_value("--measurement-algo", value, "sha256, sha384 or sha512", err);
	return 0;
}

static int set_rpv(struct cli_options *options, const char *value, struct ccr_err *err)
{
	options->rpv_given = true;
	return cli_parse_rpv(value, options->launch.rpv, err);
}

static int set_kaslr_seed(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (parse_u64(value, &options->launch.kaslr_seed) || options->launch.kaslr_seed == 0)
		return bad_value("--kaslr-seed", value, "a 64-bit number other than 0", err);
	return 0;
}

static int set_cpu_feature(struct cli_options *options, const char *value, struct ccr_err *err)
{
	return features_parse(value, &options->launch.features, err);
}

static int set_layout_version(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t version;

	(void)options;
	if (parse_u64(value, &version) || version != MEMMAP_LAYOUT_VERSION)
		return err_set(err, -EINVAL, "--layout-version %s: this program knows version %d",
			       value, MEMMAP_LAYOUT_VERSION);
	return 0;
}

static int set_dump_dtb(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->dump_dtb = value;
	return 0;
}

static int set_no_reboot(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->no_reboot = true;
	return 0;
}

static int set_record(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->record = value;
	return 0;
}

static int set_console(struct cli_options *options, const char *value, struct ccr_err *err)
{
	struct ccr_err cause = {0};

	if (chardev_parse(value, &options->console, &cause))
		return err_set(err, cause.code, "--console %s", cause.msg);
	return 0;
}

/* What a guest's udev can make a file name of, and we can cut up. */
static bool is_channel_name(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";

	return strspn(name, good) == strlen(name) && isalnum((unsigned char)*name) &&
	       strlen(name) <= VCONSOLE_MAX_NAME;
}

#define CHANNEL "channel "

/* NAME=WHERE, cut up in a copy that the options own, and that begins with what messages say. */
static int set_channel(struct cli_options *options, const char *value, struct ccr_err *err)
{
	struct vm_channel *channel = &options->channels[options->nr_channels];
	struct ccr_err cause = {0};
	char *text, *where;

	if (options->nr_channels == VM_MAX_CHANNELS)
		return err_set(err, -EINVAL, "--channel %s: more than %d channels", value,
			       VM_MAX_CHANNELS);
	if (asprintf(&text, CHANNEL "%s", value) < 0)
		return err_set(err, -ENOMEM, "--channel: out of memory");
	options->channel_texts[options->nr_channels++] = text;
	where = text + strlen(CHANNEL);
	channel->name = strsep(&where, "=");
	if (!where || !is_channel_name(channel->name))
		return err_set(
			err, -EINVAL,
			"--channel %s: not NAME=WHERE, with a name of letters, digits, dots, "
			"dashes and underscores, %d at the most",
			value, VCONSOLE_MAX_NAME);
	for (unsigned i = 0; i + 1 < options->nr_channels; i++) {
		if (!strcmp(options->channels[i].name, channel->name))
			return err_set(err, -EINVAL, "--channel %s: another one has this name",
				       value);
	}
	channel->end = (struct chardev_config){.what = text, .is_data = true};
	if (chardev_parse(where, &channel->end, &cause))
		return err_set(err, cause.code, "--channel %s=%s", channel->name, cause.msg);
	return 0;
}

static int set_silence(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t seconds;

	if (parse_u64(value, &seconds) || seconds > MAX_QUIET_S)
		return err_set(err, -EINVAL, "--silence %s: not a number of seconds from 0 to %d",
			       value, MAX_QUIET_S);
	options->quiet_s = (unsigned)seconds;
	return 0;
}

static bool set_disk_io(struct vm_disk *disk, const char *name)
{
	static const char *const names[] = {
		[AIO_AUTO] = "auto",
		[AIO_URING] = "uring",
		[AIO_THREADS] = "threads",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i])) {
			disk->io = (enum aio_kind)i;
			return true;
		}
	}
	return false;
}

static bool set_disk_queues(struct vm_disk *disk, const char *number)
{
	uint64_t nr;

	if (parse_u64(number, &nr) || nr < 1 || nr > BLK_MAX_QUEUES)
		return false;
	disk->nr_queues = (unsigned)nr;
	return true;
}

static int set_sandbox(struct cli_options *options, const char *value, struct ccr_err *err)
{
	return sandbox_parse(value, &options->sandbox, err);
}

static int set_disk_part(struct vm_disk *disk, const char *part, struct ccr_err *err)
{
	bool ok = true;

	if (disk->is_vhost && strcmp(part, "ro") != 0)
		return err_set(err, -EINVAL,
			       "--disk " CLI_VHOST_USER
			       "%s: %s is not ro; everything else is chosen "
			       "where the back end is started",
			       disk->path, part);
	if (!strcmp(part, "ro"))
		disk->read_only = true;
	else if (!strcmp(part, "direct"))
		disk->direct = true;
	else if (!strncmp(part, "io=", 3))
		ok = set_disk_io(disk, part + 3);
	else if (!strncmp(part, "queues=", 7))
		ok = set_disk_queues(disk, part + 7);
	else if (!strncmp(part, "serial=", 7) && strlen(part + 7) <= BLK_SERIAL_SIZE)
		disk->serial = part + 7;
	else
		ok = false;
	return ok ? 0
		  : err_set(err, -EINVAL,
			    "--disk %s: %s is none of ro, direct, io=auto, uring or threads, "
			    "queues=1 to %d, serial= with up to %d characters",
			    disk->path, part, BLK_MAX_QUEUES, BLK_SERIAL_SIZE);
}

/* FILE and parts behind commas, cut up in a copy that the options own. */
static int set_disk(struct cli_options *options, const char *value, struct ccr_err *err)
{
	struct vm_disk *disk = &options->disks[options->nr_disks];
	char *rest, *part;
	int ret = 0;

	if (options->nr_disks == VM_MAX_DISKS)
		return err_set(err, -EINVAL, "--disk %s: more than %d disks", value, VM_MAX_DISKS);
	rest = strdup(value);
	if (!rest)
		return err_set(err, -ENOMEM, "--disk: out of memory");
	options->disk_texts[options->nr_disks++] = rest;
	disk->path = strsep(&rest, ",");
	disk->is_vhost = !strncmp(disk->path, CLI_VHOST_USER, strlen(CLI_VHOST_USER));
	if (disk->is_vhost)
		disk->path += strlen(CLI_VHOST_USER);
	if (!*disk->path)
		return err_set(err, -EINVAL, "--disk %s: not a path for a %s", value,
			       disk->is_vhost ? "socket" : "disk");
	while (!ret && (part = strsep(&rest, ",")))
		ret = set_disk_part(disk, part, err);
	return ret;
}

static int set_share_tag(struct vm_share *share, const char *tag, const char *value,
			 struct ccr_err *err)
{
	if (!tag || !*tag || strlen(tag) > V9P_MAX_TAG || strchr(tag, '/'))
		return err_set(
			err, -EINVAL,
			"--9p %s: not a directory, a comma and a tag of up to %d characters, "
			"by which the guest mounts it",
			value, V9P_MAX_TAG);
	share->tag = tag;
	return 0;
}

/* DIR,TAG[,ro], cut up in a copy that the options own. */
static int set_share(struct cli_options *options, const char *value, struct ccr_err *err)
{
	struct vm_share *share = &options->shares[options->nr_shares];
	char *rest, *part;

	if (options->nr_shares == VM_MAX_SHARES)
		return err_set(err, -EINVAL, "--9p %s: more than %d directories", value,
			       VM_MAX_SHARES);
	rest = strdup(value);
	if (!rest)
		return err_set(err, -ENOMEM, "--9p: out of memory");
	options->share_texts[options->nr_shares++] = rest;
	share->dir = strsep(&rest, ",");
	if (set_share_tag(share, strsep(&rest, ","), value, err))
		return err->code;
	for (unsigned i = 0; i + 1 < options->nr_shares; i++) {
		if (!strcmp(options->shares[i].tag, share->tag))
			return err_set(err, -EINVAL,
				       "--9p %s: another directory has the tag %s already", value,
				       share->tag);
	}
	part = strsep(&rest, ",");
	share->read_only = part && !strcmp(part, "ro");
	if ((part && !share->read_only) || rest)
		return err_set(err, -EINVAL, "--9p %s: only ,ro may follow the tag", value);
	return *share->dir ? 0 : bad_value("--9p", value, "a directory", err);
}

#define TAG "tag="

/* SOCKET,tag=TAG, cut up in a copy that the options own. */
static int set_fs(struct cli_options *options, const char *value, struct ccr_err *err)
{
	struct vm_fs *fs = &options->fs[options->nr_fs];
	char *rest, *tag;

	if (options->nr_fs == VM_MAX_SHARES)
		return err_set(err, -EINVAL, "--fs %s: more than %d directories", value,
			       VM_MAX_SHARES);
	rest = strdup(value);
	if (!rest)
		return err_set(err, -ENOMEM, "--fs: out of memory");
	options->fs_texts[options->nr_fs++] = rest;
	fs->socket = strsep(&rest, ",");
	tag = rest;
	if (!*fs->socket || !tag || strncmp(tag, TAG, strlen(TAG)) != 0)
		return err_set(err, -EINVAL,
			       "--fs %s: not a back end's socket and what the guest mounts it by: "
			       "SOCKET,tag=TAG",
			       value);
	fs->tag = tag + strlen(TAG);
	if (!*fs->tag || strlen(fs->tag) > VHOST_FS_TAG_SIZE || strpbrk(fs->tag, ",\n"))
		return err_set(err, -EINVAL, "--fs %s: a tag has 1 to %d characters, and no comma",
			       value, VHOST_FS_TAG_SIZE);
	for (unsigned i = 0; i + 1 < options->nr_fs; i++) {
		if (!strcmp(options->fs[i].tag, fs->tag))
			return err_set(err, -EINVAL, "--fs %s: another one has this tag", value);
	}
	return 0;
}

static int set_log_path(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->log_path = value;
	return 0;
}

static int set_log_in_guest(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->launch.log_in_guest = true;
	return 0;
}

static int set_from_log(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->from_log = value;
	return 0;
}

/* PATH[,cid=N], cut up in a copy that the options own. */
static int set_vsock(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t cid = VSOCK_MIN_CID;
	char *rest, *part;

	free(options->vsock_text);
	rest = options->vsock_text = strdup(value);
	if (!rest)
		return err_set(err, -ENOMEM, "--vsock: out of memory");
	options->vsock.path = strsep(&rest, ",");
	while ((part = strsep(&rest, ","))) {
		if (strncmp(part, "cid=", 4) != 0 || parse_u64(part + 4, &cid) ||
		    cid < VSOCK_MIN_CID || cid > VSOCK_MAX_CID)
			return err_set(err, -EINVAL,
				       "--vsock %s: %s is not cid= with a number "
				       "from %u to %u",
				       options->vsock.path, part, VSOCK_MIN_CID, VSOCK_MAX_CID);
	}
	options->vsock.cid = (uint32_t)cid;
	options->vsock.is_kernel = !strcmp(options->vsock.path, CLI_VHOST);
	if (options->vsock.is_kernel) {
		options->vsock.path = NULL;
		return 0;
	}
	return *options->vsock.path ? 0 : bad_value("--vsock", value, "a path for a socket", err);
}

static void forget_networks(struct cli_options *options)
{
	while (options->nr_nets > 0)
		free(options->net_texts[--options->nr_nets]);
}

/* See net_parse(). "none" takes back what was said before, perhaps in a file. */
static int set_network(struct cli_options *options, const char *value, struct ccr_err *err)
{
	struct ccr_err cause = {0};
	struct net_config config = {0};
	char *text;

	if (options->nr_nets == VM_MAX_NETS)
		return err_set(err, -EINVAL, "--network %s: more than %d networks", value,
			       VM_MAX_NETS);
	text = strdup(value);
	if (!text)
		return err_set(err, -ENOMEM, "--network: out of memory");
	if (net_parse(text, &config, &cause)) {
		free(text);
		return err_set(err, cause.code, "--network %s: %s", value, cause.msg);
	}
	if (config.kind == NET_NONE) {
		free(text);
		forget_networks(options);
		return 0;
	}
	options->net_texts[options->nr_nets] = text;
	options->nets[options->nr_nets++] = config;
	return 0;
}

static int set_balloon(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->has_balloon = true;
	return 0;
}

static int set_bounce(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (parse_size(value, 1ull << 20, &options->bounce_size) || options->bounce_size < SZ_64K ||
	    options->bounce_size > SZ_1G)
		return bad_value("--bounce", value, "a size from 64K to 1G", err);
	return 0;
}

static int set_no_pci(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->launch.has_pci = false;
	return 0;
}

static int set_virtio_transport(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (strcmp(value, "pci") != 0 && strcmp(value, "mmio") != 0)
		return err_set(err, -EINVAL, "--virtio-transport %s: it is neither pci nor mmio",
			       value);
	options->launch.has_virtio_mmio = value[0] == 'm';
	return 0;
}

static int set_host(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->host.file = value;
	return 0;
}

static int set_rmm(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (plan_rmm_from_name(value, &options->host.rmm))
		return bad_value("--rmm", value, "1.0, 2.0-tfrmm or 2.0-spec", err);
	options->host.has_rmm = true;
	return 0;
}

static int set_corim(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->corim = value;
	return 0;
}

static int set_name(struct cli_options *options, const char *value, struct ccr_err *err)
{
	options->name = value;
	return runtime_check_name(value, err);
}

static int set_run_dir(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->run_dir = value;
	return 0;
}

static int set_grace(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t seconds;

	if (parse_u64(value, &seconds) || seconds > QMP_MAX_GRACE_S)
		return err_set(err, -EINVAL, "--grace %s: not a number of seconds from 0 to %d",
			       value, QMP_MAX_GRACE_S);
	options->grace_s = (unsigned)seconds;
	return 0;
}

static int set_force(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->force = true;
	return 0;
}

static int set_challenge(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->verify.challenge = value;
	return 0;
}

static int set_attest_port(struct cli_options *options, const char *value, struct ccr_err *err)
{
	uint64_t port;

	if (parse_u64(value, &port) || port > MAX_PORT)
		return bad_value("--port", value, "a vsock port below 4294967295", err);
	options->attest_port = (uint32_t)port;
	return 0;
}

static int set_save(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->save = value;
	return 0;
}

static int set_rim(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->verify.rim = value;
	return 0;
}

static int set_verify_rpv(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->verify.rpv = value;
	return 0;
}

static int set_trust_anchors(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->verify.trust_anchors = value;
	return 0;
}

static int set_verify_log(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->verify.log = value;
	return 0;
}

static int set_policy(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)err;
	options->verify.policy = value;
	return 0;
}

static int set_emulated(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->verify.emulated = true;
	return 0;
}

static int set_prometheus(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->prometheus = true;
	return 0;
}

static int set_json(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->json = true;
	return 0;
}

static int set_explain(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->explain = true;
	return 0;
}

static int set_config(struct cli_options *options, const char *value, struct ccr_err *err)
{
	if (options->config_path)
		return err_set(err, -EINVAL, "--config %s: %s was given before; give one file",
			       value, options->config_path);
	options->config_path = value;
	return 0;
}

static int set_verbose(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->log_level = LOG_DEBUG;
	return 0;
}

static int set_quiet(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->log_level = LOG_WARN;
	return 0;
}

static int set_help(struct cli_options *options, const char *value, struct ccr_err *err)
{
	(void)value;
	(void)err;
	options->help = true;
	return 0;
}

/* Every option once: its names, who knows it, what it takes, what it means. */
static const struct cli_option table[] = {
	{'k', "kernel", LAUNCH | PATH, required_argument, "FILE",
	 "guest kernel: arm64 Image, plain or packed by gzip or zstd;\n"
	 "EFI zboot image; ELF file",
	 set_kernel},
	{0, "firmware", LAUNCH | PATH, required_argument, "FILE",
	 "guest firmware in place of a kernel, such as EDK2's\n"
	 "KVMTOOL_EFI.fd; what it boots is on a disk",
	 set_firmware},
	{0, "flat", LAUNCH, no_argument, NULL,
	 "the kernel is bare machine code: placed at RAM + 512 KiB,\n"
	 "entered at its first byte",
	 set_flat},
	{'i', "initrd", LAUNCH | PATH, required_argument, "FILE", "initial RAM disk", set_initrd},
	{'p', "params", LAUNCH, required_argument, "TEXT",
	 "kernel command line; nothing is added to it", set_params},
	{'d', "disk", LAUNCH | REPEATS | PATH, required_argument, "FILE",
	 "raw disk image or block device; FILE[,ro][,direct]\n"
	 "[,io=uring|threads][,queues=N][,serial=TEXT]\n"
	 "or what a back end serves; vhost-user=SOCKET[,ro]",
	 set_disk},
	{'n', "network", LAUNCH | REPEATS, required_argument, "WHERE",
	 "where the guest's network is: none (default), user,\n"
	 "passt=SOCKET, tap=NAME, fd=N; [,mac=..][,mtu=N][,queues=N]\n"
	 "[,vhost=auto|on|off]: may the kernel or passt move the frames",
	 set_network},
	{0, "9p", LAUNCH | REPEATS | PATH, required_argument, "DIR",
	 "directory that the guest can mount by 9p; DIR,TAG[,ro]", set_share},
	{0, "fs", LAUNCH | REPEATS | PATH, required_argument, "SOCKET",
	 "directory of a back end such as virtiofsd, which the guest\n"
	 "mounts by its tag; SOCKET,tag=TAG",
	 set_fs},
	{0, "vsock", LAUNCH | PATH, required_argument, "FILE",
	 "streams between host and guest through Unix sockets, the\n"
	 "first of them FILE; FILE[,cid=N] (default 3); or through\n"
	 "the host's kernel; vhost[,cid=N]",
	 set_vsock},
	{'m', "mem", LAUNCH, required_argument, "SIZE",
	 "guest RAM, a multiple of 2M (default 512M)", set_mem},
	{0, "hugepages", RUN, optional_argument, "SIZE",
	 "a plain VM's RAM in huge pages that the host has reserved,\n"
	 "of its default size or of this one",
	 set_hugepages},
	{0, "mem-prealloc", RUN, no_argument, NULL,
	 "take all of the RAM from the host at the start", set_mem_prealloc},
	{'c', "cpus", LAUNCH, required_argument, "N", "number of vCPUs (default 1)", set_cpus},
	{0, "cpu-feature", LAUNCH | REPEATS, required_argument, "LIST",
	 "what the guest's CPU has: sve=BITS, pmu=COUNTERS,\n"
	 "breakpoints=N, watchpoints=N, pauth=off, lse=off and others,\n"
	 "as `ccr-run check` lists them",
	 set_cpu_feature},
	{0, "vcpu-affinity", RUN, required_argument, "LIST",
	 "host CPUs for all vCPUs, such as 2-5, or for each, such as\n"
	 "0=2,1=3",
	 set_vcpu_affinity},
	{0, "realm", LAUNCH, optional_argument, "KIND",
	 "launch a realm: kvm (the default; needs a CCA host) or\n"
	 "emulated (any arm64 KVM host; nothing is confidential)",
	 set_realm},
	{0, "realm-abi", RUN | HOST, required_argument, "SERIES",
	 "KVM's realm interface, v1 to v16, if the host is not to\n"
	 "be asked (default auto)",
	 set_realm_abi},
	{0, "measurement-algo", LAUNCH, required_argument, "ALGO",
	 "hash of the realm's measurements: sha256 (default),\n"
	 "sha512; sha384 needs an RMM 2.0",
	 set_algo},
	{0, "realm-pv", LAUNCH | AT_PATH, required_argument, "VALUE",
	 "personalisation value, up to 64 bytes: hex:..., base64:...,\n"
	 "@FILE, or bare text",
	 set_rpv},
	{0, "kaslr-seed", LAUNCH, required_argument, "N", "seed in the device tree (default: none)",
	 set_kaslr_seed},
	{0, "layout-version", LAUNCH, required_argument, "N",
	 "insist on a numbered address map and device tree", set_layout_version},
	{0, "dump-dtb", LAUNCH | PATH, required_argument, "FILE", "save the guest's device tree",
	 set_dump_dtb},
	{0, "log-in-guest", LAUNCH, no_argument, NULL,
	 "give a realm's guest its measurement log, in memory", set_log_in_guest},
	{0, "measurement-log", RUN | MEASURE | PATH, required_argument, "FILE",
	 "save the realm's measurement log", set_log_path},
	{0, "balloon", LAUNCH, no_argument, NULL,
	 "a plain VM's guest can give back memory (`ccr-run balloon`)", set_balloon},
	{0, "bounce", LAUNCH, required_argument, "SIZE",
	 "bounce-buffer pool of a realm's guest: adds swiotlb= to\n"
	 "the kernel command line, and lets devices use it",
	 set_bounce},
	{0, "no-pci", LAUNCH, no_argument, NULL, "no PCI bus: serial port and clock only",
	 set_no_pci},
	{0, "virtio-transport", LAUNCH, required_argument, "KIND",
	 "how the guest reaches its virtio devices: pci (default), or\n"
	 "mmio, without a PCI bus",
	 set_virtio_transport},
	{0, "no-reboot", RUN, no_argument, NULL,
	 "end with status 5 when the guest resets (realms always do)", set_no_reboot},
	{0, "console", RUN | COLON_PATH, required_argument, "WHERE",
	 "where the guest's console goes: stdio (default), pty,\n"
	 "file:FILE, socket:PATH or none",
	 set_console},
	{0, "channel", RUN | REPEATS | COLON_PATH, required_argument, "NAME=WHERE",
	 "a stream to the guest's /dev/virtio-ports/NAME; WHERE as for\n"
	 "--console; repeat for up to 6",
	 set_channel},
	{0, "silence", RUN, required_argument, "SECONDS",
	 "diagnose a guest that is silent for so long after its\n"
	 "start (default 10; 0 for never)",
	 set_silence},
	{0, "sandbox", RUN, required_argument, "HOW",
	 "confine ourselves: on (default), off, or log: only note\n"
	 "in the kernel's log what would be forbidden",
	 set_sandbox},
	{0, "host", HOST | PATH, required_argument, "FILE",
	 "the realm's host, as `ccr-run check --json` there prints it", set_host},
	{0, "rmm", HOST, required_argument, "VARIANT",
	 "its RMM's formula: 1.0, 2.0-tfrmm or 2.0-spec", set_rmm},
	{0, "record-ioctls", RUN | CHECK | PATH, required_argument, "FILE",
	 "write what is asked of KVM, and its answers", set_record},
	{0, "name", RUN, required_argument, "NAME",
	 "name of the machine for the commands that control it\n"
	 "(default: ccr- and the process id)",
	 set_name},
	{0, "run-dir", RUN | LIST | NAMED | PATH, required_argument, "DIR",
	 "where names and control sockets are (default: /run/ccr-run\n"
	 "for root, else $XDG_RUNTIME_DIR/ccr-run)",
	 set_run_dir},
	{0, "grace", STOP, required_argument, "SECONDS",
	 "time for the guest to power off by itself (default 10)", set_grace},
	{0, "force", STOP, no_argument, NULL, "end the machine at once", set_force},
	{0, "explain", MEASURE, no_argument, NULL, "list every measured step", set_explain},
	{0, "from-log", MEASURE | PATH, required_argument, "FILE",
	 "replay a measurement log in place of measuring files", set_from_log},
	{0, "corim", MEASURE | PATH, required_argument, "FILE",
	 "save the result as reference values for verifiers", set_corim},
	{0, "challenge", JUDGE, required_argument, "HEX",
	 "the challenge that the token was asked for, 32 to 64\n"
	 "bytes; for attest by default random",
	 set_challenge},
	{0, "port", ATTEST, required_argument, "N",
	 "vsock port where the guest is asked (default 2048)", set_attest_port},
	{0, "save", ATTEST | PATH, required_argument, "FILE", "save the token", set_save},
	{0, "rim", JUDGE, required_argument, "HEX", "initial measurement that the realm must have",
	 set_rim},
	{0, "rpv", JUDGE | AT_PATH, required_argument, "VALUE",
	 "personalisation value that it must have, written as for\n"
	 "--realm-pv",
	 set_verify_rpv},
	{0, "trust-anchors", JUDGE | PATH, required_argument, "FILE",
	 "whose tokens to believe: platforms and their public keys\n"
	 "(JSON), or one key (PEM or JSON Web Key); none is built in",
	 set_trust_anchors},
	{0, "log", JUDGE | PATH, required_argument, "FILE",
	 "measurement log of the realm's launch: replayed, it must give\n"
	 "the token's RIM; with launch options, names what differs",
	 set_verify_log},
	{0, "policy", JUDGE | PATH, required_argument, "FILE",
	 "what to expect of platform and realm (JSON)", set_policy},
	{0, "emulated", JUDGE, no_argument, NULL,
	 "the token must be an emulated realm's, which proves nothing\n"
	 "to anybody; without this such tokens are rejected",
	 set_emulated},
	{0, "json", MEASURE | CHECK | JUDGE | LIST | STAT, no_argument, NULL, "print a JSON object",
	 set_json},
	{0, "prometheus", STAT, no_argument, NULL, "print metrics in Prometheus' text format",
	 set_prometheus},
	{0, "config", LAUNCH | TYPED, required_argument, "FILE",
	 "read options from a JSON file; those given here prevail", set_config},
	{'v', "verbose", ALL, no_argument, NULL, "say more", set_verbose},
	{'q', "quiet", ALL, no_argument, NULL, "only warnings and errors", set_quiet},
	{'h', "help", ALL | TYPED, no_argument, NULL, "show this text", set_help},
};

#define NR_OPTIONS (sizeof(table) / sizeof(table[0]))

const struct cli_option *cli_option_named(const char *name)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!strcmp(table[i].name, name))
			return &table[i];
	}
	return NULL;
}

static unsigned command_bit(const struct cli_command *command)
{
	return 1u << (command - cli_commands);
}

/* getopt's two views of the table; a long option returns its index behind all letters. */
struct getopt_view {
	char letters[3 + 3 * NR_OPTIONS + 1];
	struct option names[NR_OPTIONS + 1];
};

#define INDEX_BASE (UCHAR_MAX + 1)

static void make_view(struct getopt_view *view, unsigned bit)
{
	size_t nr_letters = 0, nr_names = 0;

	view->letters[nr_letters++] = '+';
	view->letters[nr_letters++] = ':';
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!(table[i].commands & bit))
			continue;
		view->names[nr_names++] = (struct option){.name = table[i].name,
							  .has_arg = table[i].has_arg,
							  .val = INDEX_BASE + (int)i};
		if (!table[i].letter)
			continue;
		view->letters[nr_letters++] = table[i].letter;
		if (table[i].has_arg == required_argument)
			view->letters[nr_letters++] = ':';
	}
	view->letters[nr_letters] = '\0';
	view->names[nr_names] = (struct option){0};
}

static size_t option_index(int code)
{
	size_t i = 0;

	if (code >= INDEX_BASE)
		return (size_t)(code - INDEX_BASE);
	while (i < NR_OPTIONS && table[i].letter != code)
		i++;
	return i;
}

/* A command other than @command that knows an option of this name or letter, NULL if none does. */
static const char *known_elsewhere(const struct cli_command *command, const char *name, int letter)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (letter ? table[i].letter != letter : strcmp(table[i].name, name) != 0)
			continue;
		for (const struct cli_command *other = cli_commands; other->name; other++) {
			if (other != command && table[i].commands & command_bit(other))
				return other->name;
		}
	}
	return NULL;
}

/* How many of @command's options begin with @name, and in @ret_two the first two of them. */
static unsigned nr_beginning(const struct cli_command *command, const char *name,
			     const char *ret_two[2])
{
	unsigned nr = 0;

	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!(table[i].commands & command_bit(command)) ||
		    strncmp(table[i].name, name, strlen(name)) != 0)
			continue;
		if (nr < 2)
			ret_two[nr] = table[i].name;
		nr++;
	}
	return nr;
}

static int unknown_option(const struct cli_command *command, const char *name, int letter,
			  struct ccr_err *err)
{
	const char *elsewhere = known_elsewhere(command, name, letter);
	const char *two[2];
	char word[64];

	if (letter)
		(void)snprintf(word, sizeof(word), "-%c", letter);
	else
		(void)snprintf(word, sizeof(word), "--%s", name);
	if (elsewhere)
		return err_set(err, -EINVAL,
			       "%s: an option of `ccr-run %s`, but not of `ccr-run %s`", word,
			       elsewhere, command->name);
	if (!letter && nr_beginning(command, name, two) > 1)
		return err_set(err, -EINVAL, "%s: this could be --%s or --%s; write more of it",
			       word, two[0], two[1]);
	return err_set(err, -EINVAL, "%s: unknown option; see `ccr-run %s --help`", word,
		       command->name);
}

/* getopt has said ':' or '?', and in optopt which option was meant if it could tell. */
static int usage_error(const struct cli_command *command, char **argv, int code,
		       struct ccr_err *err)
{
	const char *word = argv[optind - 1];
	char name[64];

	if (code == ':')
		return err_set(err, -EINVAL, "%s: needs a value; see `ccr-run %s --help`", word,
			       command->name);
	if (optopt >= INDEX_BASE)
		return err_set(err, -EINVAL, "%s: --%s takes no value", word,
			       table[option_index(optopt)].name);
	if (optopt > 0)
		return unknown_option(command, "", optopt, err);
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	return unknown_option(command, name, 0, err);
}

/* A value that may be missing belongs to its option only behind '='. */
static int unexpected_argument(const struct cli_command *command, char **argv, struct ccr_err *err)
{
	const char *word = argv[optind], *before = argv[optind - 1];
	const struct cli_option *option = NULL;

	if (!strncmp(before, "--", 2))
		option = cli_option_named(before + 2);
	if (option && option->has_arg == optional_argument)
		return err_set(err, -EINVAL, "%s: unexpected argument; write %s=%s", word, before,
			       word);
	return err_set(err, -EINVAL, "%s: unexpected argument; see `ccr-run %s --help`", word,
		       command->name);
}

/* The pool's size goes to the guest on its command line, which is measured like the rest of it. */
static int add_bounce(struct cli_options *options, struct ccr_err *err)
{
	const char *cmdline = options->launch.cmdline;
	const uint64_t made_size = bounce_made_size(options->bounce_size);

	if (options->bounce_size == 0)
		return 0;
	if (made_size >= options->launch.ram_size)
		return err_set(
			err, -EINVAL,
			"--bounce: a pool of %llu MiB (Linux makes it a power of two) does not fit RAM of "
			"%llu MiB; give the guest more of it with --mem",
			(unsigned long long)(made_size >> 20),
			(unsigned long long)(options->launch.ram_size >> 20));
	if (asprintf(&options->cmdline, "%s%sswiotlb=%llu", cmdline ? cmdline : "",
		     cmdline && *cmdline ? " " : "",
		     (unsigned long long)bounce_slots(options->bounce_size)) < 0) {
		options->cmdline = NULL;
		return err_set(err, -ENOMEM, "command line: out of memory");
	}
	options->launch.cmdline = options->cmdline;
	log_info("kernel command line: %s", options->cmdline);
	return 0;
}

/* What a command is about, a file or a machine, may stand before, between or behind its options. */
static bool take_operand(const struct cli_command *command, int argc, char **argv,
			 struct cli_options *options)
{
	const unsigned bit = command_bit(command);
	const char **operand = bit == VERIFY ? &options->verify.token
			       : bit & NAMED ? &options->name
					     : NULL;

	/* Of a balloon's machine, how much memory to leave to it. */
	if (bit == BALLOON && options->name)
		operand = &options->size;
	if (!operand || optind >= argc || *operand)
		return false;
	*operand = argv[optind++];
	return true;
}

int cli_option_set(struct cli_options *options, const struct cli_option *option, const char *value,
		   struct ccr_err *err)
{
	const unsigned commands = option->commands & ALL;

	if (option->set != set_config && (commands == LAUNCH || commands == HOST))
		options->launch_given = true;
	return option->set(options, value, err);
}

/*
 * Go through the command line, calling either set_config() alone or all of the others: what a file
 * says is set between the two, so that the command line prevails wherever --config stands on it.
 */
static int scan(const struct cli_command *command, int argc, char **argv, bool for_config,
		struct cli_options *options, struct ccr_err *err)
{
	struct getopt_view view;
	int code, ret = 0;

	make_view(&view, command_bit(command));
	opterr = 0;
	optind = 0; /* also resets getopt's own state */
	do {
		while (!ret &&
		       (code = getopt_long(argc, argv, view.letters, view.names, NULL)) != -1) {
			if (code == '?' || code == ':')
				ret = usage_error(command, argv, code, err);
			else if ((table[option_index(code)].set == set_config) == for_config)
				ret = cli_option_set(options, &table[option_index(code)], optarg,
						     err);
		}
	} while (!ret && take_operand(command, argc, argv, options));
	if (!ret && optind < argc)
		ret = unexpected_argument(command, argv, err);
	return ret;
}

/* There is one standard input, and one standard output. */
static int check_stdio(const struct cli_options *options, struct ccr_err *err)
{
	const char *user = options->console.kind == CHARDEV_STDIO ? "the console" : NULL;

	for (unsigned i = 0; i < options->nr_channels; i++) {
		const struct vm_channel *channel = &options->channels[i];

		if (channel->end.kind != CHARDEV_STDIO)
			continue;
		if (user)
			return err_set(err, -EINVAL,
				       "--channel %s=stdio: standard input and output are %s's "
				       "already; send that elsewhere, with --console or --channel",
				       channel->name, user);
		user = channel->end.what;
	}
	return 0;
}

static int check_channels(const struct cli_options *options, bool has_virtio, struct ccr_err *err)
{
	if (options->nr_channels > 0 && !has_virtio)
		return err_set(err, -EINVAL,
			       "--channel needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	return check_stdio(options, err);
}

/* Firmware takes none of what is handed to a kernel but the command line, in the device tree. */
static int check_firmware(const struct launch_options *launch, struct ccr_err *err)
{
	const char *other = launch->kernel        ? "--kernel"
			    : launch->initrd      ? "--initrd"
			    : launch->kernel_flat ? "--flat"
						  : NULL;

	if (other)
		return err_set(err, -EINVAL,
			       "--firmware and %s: firmware boots what it finds on a disk; give "
			       "one of the two",
			       other);
	return 0;
}

/* What each option alone could not see. */
static int check_together(const struct cli_command *command, const struct cli_options *options,
			  struct ccr_err *err)
{
	const bool has_virtio = options->launch.has_pci || options->launch.has_virtio_mmio;

	if (options->launch.firmware && check_firmware(&options->launch, err))
		return err->code;
	if (options->nr_disks > 0 && !has_virtio)
		return err_set(err, -EINVAL,
			       "--disk needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	if (options->nr_nets > 0 && !has_virtio)
		return err_set(err, -EINVAL,
			       "--network needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	if (options->nr_shares > 0 && !has_virtio)
		return err_set(err, -EINVAL,
			       "--9p needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	if (options->nr_shares + options->nr_fs > VM_MAX_SHARES)
		return err_set(err, -EINVAL, "--9p and --fs: more than %d directories",
			       VM_MAX_SHARES);
	if (options->nr_fs > 0 && !has_virtio)
		return err_set(err, -EINVAL,
			       "--fs needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	if ((options->vsock.path || options->vsock.is_kernel) && !has_virtio)
		return err_set(err, -EINVAL,
			       "--vsock needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	if (options->has_hugepages && options->launch.kind != MACHINE_PLAIN)
		return err_set(err, -EINVAL,
			       "--hugepages: a realm shares its memory in pieces of 4 KiB, which "
			       "huge pages cannot be cut into; leave it out");
	if (options->mem_prealloc && options->launch.kind == MACHINE_REALM)
		return err_set(err, -EINVAL,
			       "--mem-prealloc: a realm's memory is KVM's, which takes it as it is "
			       "loaded and touched; leave it out");
	if (check_channels(options, has_virtio, err))
		return err->code;
	if (options->vcpu_affinity &&
	    affinity_check(options->vcpu_affinity, options->launch.nr_vcpus, err))
		return err->code;
	if (options->has_balloon && !has_virtio)
		return err_set(err, -EINVAL,
			       "--balloon needs the PCI bus that --no-pci leaves out, or "
			       "--virtio-transport mmio");
	if (options->has_balloon && options->launch.kind != MACHINE_PLAIN)
		return err_set(err, -EINVAL,
			       "--balloon is for plain VMs: a realm's memory is the RMM's to give "
			       "back, and the host that took it would destroy the realm");
	if (command_bit(command) == RUN && options->realm_abi.series &&
	    options->launch.kind != MACHINE_REALM)
		return err_set(err, -EINVAL, "--realm-abi is of real realms only: add --realm");
	if (command_bit(command) == RUN && options->launch.kind == MACHINE_PLAIN &&
	    (options->log_path || options->launch.log_in_guest))
		return err_set(err, -EINVAL,
			       "%s: plain VMs are not measured, so they have no log: add --realm",
			       options->log_path ? "--measurement-log" : "--log-in-guest");
	if (options->json && options->prometheus)
		return err_set(err, -EINVAL, "--json and --prometheus: choose one of them");
	if (options->from_log && (options->launch_given || options->corim || options->log_path))
		return err_set(err, -EINVAL,
			       "--from-log: the log says what was launched; of the other options, "
			       "only --explain and --json go with it");
	return 0;
}

int cli_parse(const struct cli_command *command, int argc, char **argv,
	      struct cli_options *ret_options, struct ccr_err *err)
{
	struct cli_options options = {
		.launch = {.ram_size = DEFAULT_RAM_SIZE, .nr_vcpus = 1, .has_pci = true},
		.quiet_s = DEFAULT_QUIET_S,
		.sandbox = SANDBOX_ON,
		.grace_s = QMP_DEFAULT_GRACE_S,
		.attest_port = ATTEST_PORT,
		.log_level = LOG_INFO,
	};
	int ret = scan(command, argc, argv, true, &options, err);

	/* Operands, which the second scan meets again. */
	options.verify.token = NULL;
	options.name = NULL;
	options.size = NULL;
	if (!ret && options.config_path)
		ret = cli_config_load(options.config_path, command_bit(command), &options, err);
	if (!ret)
		ret = scan(command, argc, argv, false, &options, err);
	options.launch.has_pci &= !options.launch.has_virtio_mmio;
	if (!ret)
		ret = check_together(command, &options, err);
	if (!ret)
		ret = add_bounce(&options, err);
	*ret_options = options;
	return ret;
}

void cli_options_done(struct cli_options *options)
{
	for (unsigned i = 0; i < options->nr_disks; i++)
		free(options->disk_texts[i]);
	forget_networks(options);
	for (unsigned i = 0; i < options->nr_shares; i++)
		free(options->share_texts[i]);
	for (unsigned i = 0; i < options->nr_fs; i++)
		free(options->fs_texts[i]);
	for (unsigned i = 0; i < options->nr_channels; i++)
		free(options->channel_texts[i]);
	free(options->vsock_text);
	free(options->cmdline);
	json_object_put(options->config);
}

#define HELP_COLUMN 30

static void print_option(size_t i)
{
	char left[64];
	const char *help = table[i].help, *end;
	int used;

	used = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s%s", table[i].letter ? '-' : ' ',
			table[i].letter ? table[i].letter : ' ', table[i].letter ? "," : " ",
			table[i].name, table[i].has_arg == optional_argument ? "[=" : "",
			table[i].has_arg == required_argument ? " " : "",
			table[i].arg ? table[i].arg : "");
	printf("%s%s", left, table[i].has_arg == optional_argument ? "]" : "");
	used += table[i].has_arg == optional_argument;
	for (; (end = strchr(help, '\n')); help = end + 1, used = 0)
		printf("%*s%.*s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "",
		       (int)(end - help), help);
	printf("%*s%s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "", help);
}

void cli_print_help(const struct cli_command *command)
{
	if (command) {
		printf("Usage: ccr-run %s %s\n\n%s.\n\nOptions:\n", command->name,
		       command->synopsis, command->summary);
		for (size_t i = 0; i < NR_OPTIONS; i++) {
			if (table[i].commands & command_bit(command))
				print_option(i);
		}
		return;
	}
	printf("Usage: ccr-run COMMAND [OPTION...]\n"
	       "       ccr-run -k Image ...        (the same as ccr-run run -k Image ...)\n\n"
	       "Launches arm64 Linux guests, as Arm CCA realms or as plain VMs.\n\nCommands:\n");
	for (command = cli_commands; command->name; command++)
		printf("  %-10s %s\n", command->name, command->summary);
	printf("\nA realm, from its start to its end (--realm=emulated for hosts without CCA):\n"
	       "  ccr-run check                                     what can this host do?\n"
	       "  ccr-run -k Image -i initrd.gz --realm --name web  keys go to the guest; Ctrl-a x "
	       "ends it\n"
	       "  ccr-run stat web                                  from elsewhere: what it does,\n"
	       "  ccr-run console web                               its console (Ctrl-a d leaves),\n"
	       "  ccr-run stop web                                  and its end\n");
	printf("\n`ccr-run COMMAND --help` lists a command's options, `man ccr-run` explains "
	       "them.\n`ccr-run --version` is the version.\n");
}

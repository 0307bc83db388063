/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccr/kvm.h"
#include "ccr/record.h"
#include "uapi/kvm_realm.h"

/*
 * A launch is some hundred lines; what a guest does afterwards has no end. Of its exits only the
 * first ones are kept, and none that repeats the vCPU's last one, unless it is about memory.
 */
#define MAX_EXITS  4000
#define MAX_FDS    1024
#define NAME_SIZE  24
#define WORDS_SIZE 128

/**
 * struct recorded_fd - what a descriptor is
 * @name: "" for one that is not KVM's
 * @run, @last_exit: of a vCPU
 */
struct recorded_fd {
	char name[NAME_SIZE];
	const struct kvm_run *run;
	char last_exit[WORDS_SIZE];
};

/**
 * struct recorder - the one record of the process
 * @lock: guards all below; lines are whole
 */
struct recorder {
	int fd;
	pthread_mutex_t lock;
	unsigned nr_vms;
	unsigned nr_exits;
	struct recorded_fd fds[MAX_FDS];
};

/* The seam has no context: what it is asked comes from everywhere. Set once, before any thread. */
static struct recorder *recorder;

/* syscalls(setup): openat */
int kvm_record_start(const char *path, struct ccr_err *err)
{
	struct recorder *new = calloc(1, sizeof(*new));

	if (!new)
		return err_set(err, -ENOMEM, "record: out of memory");
	new->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (new->fd < 0) {
		const int error = errno;

		free(new);
		return err_set(err, -error, "record %s: cannot be created: %s", path,
			       strerror(error));
	}
	pthread_mutex_init(&new->lock, NULL);
	recorder = new;
	return 0;
}

int kvm_record_fd(void)
{
	return recorder ? recorder->fd : -1;
}

static bool begin(void)
{
	if (!recorder)
		return false;
	pthread_mutex_lock(&recorder->lock);
	return true;
}

static void end(void)
{
	pthread_mutex_unlock(&recorder->lock);
}

static struct recorded_fd *find(int fd)
{
	return fd >= 0 && fd < MAX_FDS ? &recorder->fds[fd] : NULL;
}

static const char *name_of(int fd)
{
	const struct recorded_fd *entry = find(fd);

	return entry && entry->name[0] ? entry->name : "?";
}

static void add_fd(int fd, const char *name)
{
	struct recorded_fd *entry = find(fd);

	if (!entry)
		return;
	*entry = (struct recorded_fd){0};
	snprintf(entry->name, sizeof(entry->name), "%s", name);
}

/*
 * A record that cannot be written is not worth a guest: what is missing is seen in it. Not by
 * dprintf(), which asks where in the file it is: that is a system call more.
 */
/* syscalls(loop vcpu worker build): write */
static void write_line(const char *call, const char *result)
{
	char line[sizeof(((struct kvm_call *)0)->text) + WORDS_SIZE + sizeof(" = \n")];
	const int size =
		snprintf(line, sizeof(line), "%s%s%s\n", call, *result ? " = " : "", result);

	if (write(recorder->fd, line, (size_t)size) < 0)
		return;
}

static void write_result(const char *call, int ret)
{
	char result[32];

	if (ret < 0)
		snprintf(result, sizeof(result), "-%s", err_name(ret));
	else
		snprintf(result, sizeof(result), "%d", ret);
	write_line(call, result);
}

/* What a successful call has created has a name, which stands for its descriptor. */
static bool name_created(const struct kvm_call *call, int ret, char name[NAME_SIZE])
{
	switch (call->request) {
	case KVM_CREATE_VM:
		snprintf(name, NAME_SIZE, "vm%u", ++recorder->nr_vms);
		break;
	case KVM_CREATE_VCPU:
		snprintf(name, NAME_SIZE, "vcpu%lu", (unsigned long)(uintptr_t)call->arg);
		break;
	case KVM_REALM_CREATE_GUEST_MEMFD:
		snprintf(name, NAME_SIZE, "gmem");
		break;
	default:
		return false;
	}
	add_fd(ret, name);
	return true;
}

static void add_device(const struct kvm_create_device *device)
{
	add_fd((int)device->fd, device->type == KVM_DEV_TYPE_ARM_VGIC_ITS ? "its" : "gic");
}

static void write_exit(const struct kvm_call *call, int ret)
{
	struct recorded_fd *vcpu = find(call->fd);
	char words[WORDS_SIZE];
	bool repeats;

	if (recorder->nr_exits > MAX_EXITS)
		return;
	repeats = kvm_describe_exit(words, sizeof(words), vcpu ? vcpu->run : NULL, ret);
	if (vcpu) {
		repeats = repeats && strcmp(words, vcpu->last_exit) == 0;
		snprintf(vcpu->last_exit, sizeof(vcpu->last_exit), "%s", words);
	}
	if (vcpu && repeats)
		return;
	if (recorder->nr_exits++ == MAX_EXITS)
		write_line("# further exits are left out", "");
	else
		write_line(call->text, words);
}

void kvm_record_ioctl(struct kvm_call *call, int fd, unsigned long request, const void *arg)
{
	int used;

	call->text[0] = '\0';
	if (!begin())
		return;
	call->fd = fd;
	call->request = request;
	call->arg = arg;
	used = snprintf(call->text, sizeof(call->text), "ioctl %s ", name_of(fd));
	kvm_describe(call->text + used, sizeof(call->text) - (size_t)used,
		     strncmp(name_of(fd), "vm", 2) == 0, request, arg);
	end();
}

void kvm_record_result(const struct kvm_call *call, int ret)
{
	char name[NAME_SIZE];

	if (!call->text[0] || !begin())
		return;
	if (call->request == KVM_RUN) {
		write_exit(call, ret);
	} else if (ret >= 0 && name_created(call, ret, name)) {
		write_line(call->text, name);
	} else {
		if (!ret && call->request == KVM_CREATE_DEVICE)
			add_device(call->arg);
		write_result(call->text, ret);
	}
	end();
}

void kvm_record_open(const char *path, int ret)
{
	char call[256];

	if (!begin())
		return;
	snprintf(call, sizeof(call), "open %s", path);
	if (ret >= 0) {
		add_fd(ret, "kvm");
		write_line(call, "kvm");
	} else {
		write_result(call, ret);
	}
	end();
}

void kvm_record_map(int vcpu_fd, size_t size, const struct kvm_run *run, int ret)
{
	char call[64];

	if (!begin())
		return;
	snprintf(call, sizeof(call), "map %s size=0x%zx", name_of(vcpu_fd), size);
	if (!ret && find(vcpu_fd))
		find(vcpu_fd)->run = run;
	write_result(call, ret);
	end();
}

void kvm_record_unmap(const struct kvm_run *run)
{
	char call[64];

	if (!begin())
		return;
	for (int fd = 0; fd < MAX_FDS; fd++) {
		if (recorder->fds[fd].run == run) {
			snprintf(call, sizeof(call), "unmap %s", name_of(fd));
			write_line(call, "");
			recorder->fds[fd].run = NULL;
		}
	}
	end();
}

void kvm_record_punch(int fd, uint64_t offset, uint64_t size, int ret)
{
	char call[96];

	if (!begin())
		return;
	snprintf(call, sizeof(call), "punch %s offset=0x%llx size=0x%llx", name_of(fd),
		 (unsigned long long)offset, (unsigned long long)size);
	write_result(call, ret);
	end();
}

void kvm_record_close(int fd)
{
	char call[64];

	if (!begin())
		return;
	if (find(fd)) {
		snprintf(call, sizeof(call), "close %s", name_of(fd));
		write_line(call, "");
		*find(fd) = (struct recorded_fd){0};
	}
	end();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to the kernel: tests link tests/fake instead of this file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/kvm.h"
#include "ccr/record.h"

/* syscalls(setup): openat */
int kvm_sys_open(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	const int ret = fd < 0 ? -errno : fd;

	kvm_record_open(path, ret);
	return ret;
}

int kvm_sys_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_call call;
	int ret;

	kvm_record_ioctl(&call, fd, request, arg);
	ret = ioctl(fd, request, arg);
	if (ret < 0)
		ret = -errno;
	kvm_record_result(&call, ret);
	return ret;
}

int kvm_sys_map_run(int vcpu_fd, size_t size, struct kvm_run **ret_run)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	const int ret = map == MAP_FAILED ? -errno : 0;

	kvm_record_map(vcpu_fd, size, map, ret);
	if (!ret)
		*ret_run = map;
	return ret;
}

void kvm_sys_unmap_run(struct kvm_run *run, size_t size)
{
	if (!run)
		return;
	kvm_record_unmap(run);
	munmap(run, size);
}

/* syscalls(vcpu): fallocate */
int kvm_sys_punch(int fd, uint64_t offset, uint64_t size)
{
	const int ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
				  (off_t)size) < 0
				? -errno
				: 0;

	kvm_record_punch(fd, offset, size, ret);
	return ret;
}

void kvm_sys_close(int fd)
{
	if (fd < 0)
		return;
	kvm_record_close(fd);
	close(fd);
}

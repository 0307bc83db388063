/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to the kernel: tests link tests/fake instead of this file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/kvm.h"

int kvm_sys_open(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int kvm_sys_ioctl(int fd, unsigned long request, void *arg)
{
	const int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int kvm_sys_map_run(int vcpu_fd, size_t size, struct kvm_run **ret_run)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret_run = map;
	return 0;
}

void kvm_sys_unmap_run(struct kvm_run *run, size_t size)
{
	if (run)
		munmap(run, size);
}

int kvm_sys_punch(int fd, uint64_t offset, uint64_t size)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)size) < 0
		       ? -errno
		       : 0;
}

void kvm_sys_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

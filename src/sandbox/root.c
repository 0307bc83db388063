/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root directory of one's own: empty, or with a few directories of the old one.
 *
 * Copies of these are taken first, as mounts that are attached nowhere. They are put into a new
 * file system, that becomes the root, and the old one is let go. A name leads out of a copy only
 * into the new root, so what is not in there has no name; but a descriptor of a directory that was
 * opened earlier would still lead to the old one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* A directory that is there on every host with KVM; what is in it is not touched. */
#define ANY_DIR "/dev"

#define ROOT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* Descriptors of the copies; -1 for none. */
struct copies {
	int dirs[SANDBOX_MAX_DIRS];
	int links;
};

/* Return: a descriptor, or -errno. */
/* syscalls(setup): open_tree mount_setattr */
static int copy_dir(const char *path, bool read_only)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			    (read_only ? MOUNT_ATTR_RDONLY : 0),
	};
	/* With what is mounted there: without it, what it covers would come to light. */
	const int fd =
		open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int ret = fd;

	if (fd < 0)
		return -errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0) {
		ret = -errno;
		close(fd);
	}
	return ret;
}

static void drop_copies(const struct copies *copies)
{
	for (unsigned i = 0; i < SANDBOX_MAX_DIRS; i++) {
		if (copies->dirs[i] >= 0)
			close(copies->dirs[i]);
	}
	if (copies->links >= 0)
		close(copies->links);
}

static int make_copies(struct copies *copies, const struct root_kept *kept)
{
	for (unsigned i = 0; i < SANDBOX_MAX_DIRS; i++)
		copies->dirs[i] = -1;
	copies->links = kept->has_links ? copy_dir("/proc/self/fd", true) : -1;
	if (kept->has_links && copies->links < 0)
		return copies->links;
	for (unsigned i = 0; i < kept->nr_dirs; i++) {
		if (!kept->dirs[i])
			continue;
		copies->dirs[i] = copy_dir(kept->dirs[i], kept->read_only);
		if (copies->dirs[i] < 0)
			return copies->dirs[i];
	}
	return 0;
}

/* syscalls(setup): move_mount mkdirat */
static int attach(int copy, const char *name)
{
	if (copy < 0)
		return 0;
	if (mkdir(name, S_IRWXU) < 0 ||
	    move_mount(copy, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int attach_copies(const struct copies *copies)
{
	int ret = attach(copies->links, "fd");

	for (unsigned i = 0; i < SANDBOX_MAX_DIRS && !ret; i++) {
		char name[12];

		snprintf(name, sizeof(name), "%u", i);
		ret = attach(copies->dirs[i], name);
	}
	return ret;
}

/* Where the root is the kernel's first file system, which cannot be left, it is covered. */
/* syscalls(setup): mount chroot */
static int cover_root(void)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -errno;
	return 0;
}

/* In the directory that is to be the root. */
/* syscalls(setup): mount pivot_root umount2 */
static int change_root(const struct copies *copies)
{
	const int ret = attach_copies(copies);

	if (ret)
		return ret;
	if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | ROOT_FLAGS, NULL) < 0)
		return -errno;
	if (syscall(__NR_pivot_root, ".", ".") < 0)
		return cover_root();
	return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
}

/* syscalls(setup): mount umount2 chdir */
static int leave_root(const struct copies *copies)
{
	int ret;

	if (mount("none", ANY_DIR, "tmpfs", ROOT_FLAGS, "size=4k,nr_inodes=64,mode=711") < 0)
		return -errno;
	ret = chdir(ANY_DIR) < 0 ? -errno : change_root(copies);
	if (ret)
		umount2(ANY_DIR, MNT_DETACH);
	return chdir("/") < 0 && !ret ? -errno : ret;
}

/* What is mounted elsewhere later appears in a copy as well, and what is unmounted goes. */
/* syscalls(setup): mount */
int root_replace(const struct root_kept *kept)
{
	struct copies copies;
	int ret;

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	ret = make_copies(&copies, kept);
	if (!ret)
		ret = leave_root(&copies);
	drop_copies(&copies);
	return ret;
}

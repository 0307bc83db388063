/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker of a shared directory.
 *
 * A handle is an O_PATH descriptor: it holds a file without opening it, so that what a FIFO or a
 * device would do when opened never happens, and stays that file whatever is renamed meanwhile. A
 * name is looked up one component at a time, below the handle's directory, without following any
 * link and without entering what is mounted there; so nothing outside the directory has a name.
 * What only works on a path, or on an opened file, goes through /proc/self/fd, which leads to the
 * very file of the handle. Links that a guest makes are words to us: the guest resolves them.
 *
 * All is done as the user that ccr-run is. Bits that would let others on the host become that user
 * are taken out of every mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define RESOLVE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

/* Descriptors: two a handle, and some. */
#define WANTED_FDS (2 * BROKER_NR_HANDLES + 64)

/* @path_fd: -1 while the handle is free. @dir_fd: of a directory that was opened, or -1. */
struct handle {
	int path_fd;
	int dir_fd;
};

/* @links: /proc/self/fd */
struct files {
	bool read_only;
	int links;
	struct handle handles[BROKER_NR_HANDLES];
};

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

static int open_at(int dir_fd, const char *name, int flags, mode_t mode)
{
	const struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE,
	};
	long fd;

	/* Somebody renames what we pass through: the kernel asks to try again. */
	for (unsigned tries = 0; tries < 16; tries++) {
		fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return result((int)fd);
}

/* The name, in /proc/self/fd, of what a descriptor stands for. */
struct link_name {
	char text[12];
};

static struct link_name link_of(int fd)
{
	struct link_name name;

	snprintf(name.text, sizeof(name.text), "%d", fd);
	return name;
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Open what @fd stands for: a regular file or a directory, the only ones that just open. */
static int reopen(const struct files *files, int fd, int flags)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -ENXIO;
	return result(openat(files->links, link_of(fd).text, flags | O_CLOEXEC | O_NOCTTY));
}

/* Handles. */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void release(struct handle *handle)
{
	close_fd(&handle->path_fd);
	close_fd(&handle->dir_fd);
}

/* Return: an O_PATH descriptor; -EBADF for a handle that is free. */
static int path_of(const struct files *files, uint32_t handle)
{
	const int fd = files->handles[handle].path_fd;

	return fd < 0 ? -EBADF : fd;
}

static bool is_free(const struct files *files, uint32_t handle)
{
	return files->handles[handle].path_fd < 0;
}

static void bind_handle(struct files *files, uint32_t handle, int path_fd)
{
	release(&files->handles[handle]);
	files->handles[handle].path_fd = path_fd;
}

/* Attributes. */

static struct broker_time to_time(const struct timespec *time)
{
	return (struct broker_time){time->tv_sec, (uint64_t)time->tv_nsec};
}

static int get_attr(int fd, struct broker_attr *ret_attr)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_attr = (struct broker_attr){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.blocks = (uint64_t)st.st_blocks,
		.nr_links = st.st_nlink,
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.block_size = (uint32_t)st.st_blksize,
		.atime = to_time(&st.st_atim),
		.mtime = to_time(&st.st_mtim),
		.ctime = to_time(&st.st_ctim),
	};
	return 0;
}

/* A set-group-ID directory only hands its group on. */
static mode_t harmless(uint32_t mode, bool is_dir)
{
	return mode & (is_dir ? 03777 : 01777);
}

/* The operations. */

static int do_reset(struct files *files)
{
	for (unsigned i = 1; i < BROKER_NR_HANDLES; i++)
		release(&files->handles[i]);
	close_fd(&files->handles[0].dir_fd);
	return 0;
}

static int do_clone(struct files *files, const struct broker_request *request)
{
	int fd = path_of(files, request->handle);

	if (fd < 0)
		return fd;
	if (!is_free(files, request->other))
		return -EBUSY;
	fd = result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	if (fd < 0)
		return fd;
	bind_handle(files, request->other, fd);
	return 0;
}

static int do_forget(struct files *files, const struct broker_request *request)
{
	if (is_free(files, request->handle))
		return -EBADF;
	release(&files->handles[request->handle]);
	return 0;
}

static int look_up(const struct files *files, const struct broker_request *request)
{
	const int fd = path_of(files, request->handle);

	return fd < 0 ? fd : open_at(fd, request->name, O_PATH | O_NOFOLLOW, 0);
}

static int do_walk(struct files *files, const struct broker_request *request,
		   struct broker_reply *reply)
{
	int fd, ret;

	if (request->other != request->handle && !is_free(files, request->other))
		return -EBUSY;
	fd = look_up(files, request);
	if (fd < 0)
		return fd;
	ret = get_attr(fd, &reply->attr);
	if (ret)
		close(fd);
	else
		bind_handle(files, request->other, fd);
	return ret;
}

static int do_stat(const struct files *files, const struct broker_request *request,
		   struct broker_reply *reply)
{
	const int fd = path_of(files, request->handle);

	return fd < 0 ? fd : get_attr(fd, &reply->attr);
}

static int do_statfs(const struct files *files, const struct broker_request *request,
		     struct broker_reply *reply)
{
	const int fd = path_of(files, request->handle);
	struct statfs fs;

	if (fd < 0)
		return fd;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	reply->fs = (struct broker_fs){
		.type = (uint64_t)fs.f_type,
		.block_size = (uint64_t)fs.f_bsize,
		.blocks = fs.f_blocks,
		.blocks_free = fs.f_bfree,
		.blocks_available = fs.f_bavail,
		.files = fs.f_files,
		.files_free = fs.f_ffree,
		.max_name = (uint64_t)fs.f_namelen,
	};
	return 0;
}

static int set_size(const struct files *files, int fd, uint64_t size)
{
	int file = reopen(files, fd, O_WRONLY), ret;

	if (file < 0)
		return file;
	ret = result(ftruncate(file, (off_t)size));
	close(file);
	return ret;
}

static struct timespec from_time(const struct broker_request *request, uint32_t set, uint32_t now,
				 const struct broker_time *time)
{
	struct timespec spec = {.tv_nsec = UTIME_OMIT};

	if (request->valid & now)
		spec.tv_nsec = UTIME_NOW;
	else if (request->valid & set)
		spec = (struct timespec){(time_t)time->s, (long)time->ns};
	return spec;
}

static int set_times(int fd, const struct broker_request *request)
{
	const struct timespec times[2] = {
		from_time(request, BROKER_SET_ATIME, BROKER_SET_ATIME_NOW, &request->atime),
		from_time(request, BROKER_SET_MTIME, BROKER_SET_MTIME_NOW, &request->mtime),
	};

	if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	return result(utimensat(fd, "", times, AT_EMPTY_PATH));
}

/* A link's mode cannot be changed, and through /proc its target's would be. */
static int set_mode(const struct files *files, int fd, uint32_t mode)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -EOPNOTSUPP;
	return result(
		fchmodat(files->links, link_of(fd).text, harmless(mode, S_ISDIR(st.st_mode)), 0));
}

static int do_setattr(const struct files *files, const struct broker_request *request)
{
	const uint32_t valid = request->valid;
	const uid_t uid = valid & BROKER_SET_UID ? request->uid : (uid_t)-1;
	const gid_t gid = valid & BROKER_SET_GID ? request->gid : (gid_t)-1;
	const int fd = path_of(files, request->handle);
	int ret = fd < 0 ? fd : 0;

	if (!ret && valid & BROKER_SET_SIZE)
		ret = set_size(files, fd, request->size);
	/* Linux takes the set-ID bits away when the owner changes, so the mode comes later. */
	if (!ret && valid & (BROKER_SET_UID | BROKER_SET_GID))
		ret = result(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
	if (!ret && valid & BROKER_SET_MODE)
		ret = set_mode(files, fd, request->mode);
	return ret ? ret : set_times(fd, request);
}

static int access_flags(uint32_t flags)
{
	if (flags & BROKER_WRITE)
		return (flags & BROKER_READ ? O_RDWR : O_WRONLY) |
		       (flags & BROKER_TRUNCATE ? O_TRUNC : 0);
	return O_RDONLY;
}

/* Return: 0, and for a file its descriptor in @ret_fd; a directory's stays here. */
static int open_handle(struct files *files, uint32_t handle, uint32_t flags, int *ret_fd)
{
	const int path_fd = path_of(files, handle);
	int fd;

	if (path_fd < 0)
		return path_fd;
	if (flags & BROKER_DIRECTORY && !is_directory(path_fd))
		return -ENOTDIR;
	fd = reopen(files, path_fd, access_flags(flags));
	if (fd < 0)
		return fd;
	if (!is_directory(fd)) {
		*ret_fd = fd;
		return 0;
	}
	close_fd(&files->handles[handle].dir_fd);
	files->handles[handle].dir_fd = fd;
	return 0;
}

static int do_open(struct files *files, const struct broker_request *request, int *ret_fd)
{
	return open_handle(files, request->handle, request->flags, ret_fd);
}

/* Whether it was made here or was there: a handle for it, in @ret_path_fd, and it opened. */
static int create(const struct files *files, const struct broker_request *request, int dir_fd,
		  int *ret_path_fd, int *ret_fd)
{
	int fd = open_at(dir_fd, request->name,
			 O_CREAT | O_EXCL | O_NOFOLLOW | access_flags(request->flags),
			 harmless(request->mode, false));

	if (fd >= 0) {
		*ret_fd = fd;
		*ret_path_fd = result(openat(files->links, link_of(fd).text, O_PATH | O_CLOEXEC));
		return *ret_path_fd < 0 ? *ret_path_fd : 0;
	}
	if (fd != -EEXIST || request->flags & BROKER_EXCLUSIVE)
		return fd;
	*ret_path_fd = open_at(dir_fd, request->name, O_PATH | O_NOFOLLOW, 0);
	if (*ret_path_fd < 0)
		return *ret_path_fd;
	fd = reopen(files, *ret_path_fd, access_flags(request->flags));
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return is_directory(fd) ? -EISDIR : 0;
}

static int do_create(struct files *files, const struct broker_request *request,
		     struct broker_reply *reply, int *ret_fd)
{
	const int dir_fd = path_of(files, request->handle);
	int path_fd = -1, ret;

	if (dir_fd < 0)
		return dir_fd;
	if (request->other != request->handle && !is_free(files, request->other))
		return -EBUSY;
	ret = create(files, request, dir_fd, &path_fd, ret_fd);
	if (!ret)
		ret = get_attr(path_fd, &reply->attr);
	if (!ret) {
		bind_handle(files, request->other, path_fd);
		return 0;
	}
	close_fd(&path_fd);
	close_fd(ret_fd);
	return ret;
}

static int do_readdir(const struct files *files, const struct broker_request *request,
		      struct broker_reply *reply)
{
	const size_t room = request->size < BROKER_MAX_PAYLOAD ? request->size : BROKER_MAX_PAYLOAD;
	const int fd = files->handles[request->handle].dir_fd;
	long size;

	if (fd < 0)
		return -EBADF;
	if (lseek(fd, (off_t)request->offset, SEEK_SET) < 0)
		return -errno;
	size = syscall(SYS_getdents64, fd, reply->payload, room);
	if (size < 0)
		return -errno;
	reply->payload_size = (uint32_t)size;
	return 0;
}

static int do_sync(const struct files *files, const struct broker_request *request)
{
	const int fd = files->handles[request->handle].dir_fd;

	return fd < 0 ? -EBADF : result(fsync(fd));
}

/* Attributes of what has just been made; what was put in its place meanwhile would do as well. */
static int describe(const struct files *files, const struct broker_request *request,
		    struct broker_reply *reply)
{
	const int fd = look_up(files, request);
	int ret;

	if (fd < 0)
		return fd;
	ret = get_attr(fd, &reply->attr);
	close(fd);
	return ret;
}

static int do_mkdir(const struct files *files, const struct broker_request *request,
		    struct broker_reply *reply)
{
	const int fd = path_of(files, request->handle);

	if (fd < 0)
		return fd;
	if (mkdirat(fd, request->name, harmless(request->mode, true)) < 0)
		return -errno;
	return describe(files, request, reply);
}

static int do_symlink(const struct files *files, const struct broker_request *request,
		      struct broker_reply *reply)
{
	const int fd = path_of(files, request->handle);

	if (fd < 0)
		return fd;
	if (symlinkat(request->text, fd, request->name) < 0)
		return -errno;
	return describe(files, request, reply);
}

static int do_mknod(const struct files *files, const struct broker_request *request,
		    struct broker_reply *reply)
{
	const mode_t type = request->mode & S_IFMT;
	const int fd = path_of(files, request->handle);

	if (fd < 0)
		return fd;
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EPERM;
	if (mknodat(fd, request->name, type | harmless(request->mode, false), 0) < 0)
		return -errno;
	return describe(files, request, reply);
}

/* Without AT_SYMLINK_FOLLOW the name in /proc would be linked, with it a link would be followed. */
static int do_link(const struct files *files, const struct broker_request *request)
{
	const int fd = path_of(files, request->handle), target = path_of(files, request->other);
	struct stat st;

	if (fd < 0 || target < 0)
		return -EBADF;
	if (fstat(target, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -EPERM;
	return result(
		linkat(files->links, link_of(target).text, fd, request->name, AT_SYMLINK_FOLLOW));
}

static int do_readlink(const struct files *files, const struct broker_request *request,
		       struct broker_reply *reply)
{
	const int fd = path_of(files, request->handle);
	ssize_t size;

	if (fd < 0)
		return fd;
	size = readlinkat(fd, "", (char *)reply->payload, BROKER_MAX_PAYLOAD);
	/* With an empty path, that is what readlinkat(2) says of what is no link. */
	if (size < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	reply->payload_size = (uint32_t)size;
	return 0;
}

static int do_rename(const struct files *files, const struct broker_request *request)
{
	const int fd = path_of(files, request->handle), other = path_of(files, request->other);

	if (fd < 0 || other < 0)
		return -EBADF;
	return result(renameat(fd, request->name, other, request->text));
}

static int do_unlink(const struct files *files, const struct broker_request *request)
{
	const int fd = path_of(files, request->handle);

	if (fd < 0)
		return fd;
	return result(
		unlinkat(fd, request->name, request->flags & BROKER_DIRECTORY ? AT_REMOVEDIR : 0));
}

static bool changes_something(const struct broker_request *request)
{
	switch (request->op) {
	case BROKER_OPEN:
		return request->flags & (BROKER_WRITE | BROKER_TRUNCATE);
	case BROKER_SETATTR:
	case BROKER_CREATE:
	case BROKER_MKDIR:
	case BROKER_SYMLINK:
	case BROKER_MKNOD:
	case BROKER_LINK:
	case BROKER_RENAME:
	case BROKER_UNLINK:
		return true;
	default:
		return false;
	}
}

/*
 * syscalls(share): openat openat2 newfstatat fstatfs getdents64 lseek fcntl:F_DUPFD_CLOEXEC
 *	fchmodat fchownat utimensat ftruncate fsync mkdirat mknodat symlinkat linkat renameat
 *	unlinkat readlinkat
 */
static int files_serve(void *state, const struct broker_request *request,
		       struct broker_reply *reply, int *ret_fd)
{
	struct files *files = state;

	if (files->read_only && changes_something(request))
		return -EROFS;
	switch ((enum broker_op)request->op) {
	case BROKER_RESET:
		return do_reset(files);
	case BROKER_CLONE:
		return do_clone(files, request);
	case BROKER_FORGET:
		return do_forget(files, request);
	case BROKER_WALK:
		return do_walk(files, request, reply);
	case BROKER_STAT:
		return do_stat(files, request, reply);
	case BROKER_STATFS:
		return do_statfs(files, request, reply);
	case BROKER_SETATTR:
		return do_setattr(files, request);
	case BROKER_OPEN:
		return do_open(files, request, ret_fd);
	case BROKER_CREATE:
		return do_create(files, request, reply, ret_fd);
	case BROKER_READDIR:
		return do_readdir(files, request, reply);
	case BROKER_SYNC:
		return do_sync(files, request);
	case BROKER_MKDIR:
		return do_mkdir(files, request, reply);
	case BROKER_SYMLINK:
		return do_symlink(files, request, reply);
	case BROKER_MKNOD:
		return do_mknod(files, request, reply);
	case BROKER_LINK:
		return do_link(files, request);
	case BROKER_READLINK:
		return do_readlink(files, request, reply);
	case BROKER_RENAME:
		return do_rename(files, request);
	case BROKER_UNLINK:
		return do_unlink(files, request);
	case BROKER_CONNECT:
	case BROKER_NR_OPS:
		break;
	}
	return -EPERM;
}

/* What is there now already can be opened; the limit is on what a guest may hold. */
static void allow_many_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= WANTED_FDS)
		return;
	limit.rlim_cur = limit.rlim_max < WANTED_FDS ? limit.rlim_max : WANTED_FDS;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
}

/* There, reading a file is doing something. */
static bool is_kernels_own(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
		fs.f_type == CGROUP2_SUPER_MAGIC);
}

/* @path: where it is found; @dir: what the user calls it. */
static int open_root(struct files *files, const char *path, const char *dir, struct ccr_err *err)
{
	const int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int probe;

	if (fd < 0)
		return err_set(err, -errno, "9p %s: cannot open the directory: %s", dir,
			       strerror(errno));
	files->handles[0].path_fd = fd;
	if (is_kernels_own(fd))
		return err_set(err, -EINVAL,
			       "9p %s: what is there is the kernel's, not files; share a directory "
			       "of files",
			       dir);
	probe = open_at(fd, ".", O_PATH, 0);
	if (probe < 0)
		return err_set(
			err, probe,
			"9p %s: the host cannot look up names safely (openat2: %s); it needs "
			"Linux 5.8",
			dir, strerror(-probe));
	close(probe);
	probe = reopen(files, fd, O_RDONLY | O_DIRECTORY);
	if (probe < 0)
		return err_set(err, probe, "9p %s: cannot read the directory: %s", dir,
			       strerror(-probe));
	close(probe);
	return 0;
}

static int files_open(void **ret_state, const struct broker_config *config, struct ccr_err *err)
{
	const char *dir = config->scope.dir;
	struct files *files = malloc(sizeof(*files));
	bool is_enclosed;

	if (!files)
		return err_set(err, -ENOMEM, "9p %s: out of memory", dir);
	for (unsigned i = 0; i < BROKER_NR_HANDLES; i++)
		files->handles[i] = (struct handle){-1, -1};
	files->read_only = config->scope.read_only;
	*ret_state = files;
	is_enclosed = broker_enclose(config, &dir, 1);
	files->links =
		open(is_enclosed ? "/fd" : "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (files->links < 0)
		return err_set(err, -errno, "9p %s: the host has no /proc: %s", dir,
			       strerror(errno));
	allow_many_fds();
	/* The guest has applied its own. */
	umask(0);
	return open_root(files, is_enclosed ? "/0" : dir, dir, err);
}

const struct broker_service broker_files_service = {
	.name = "ccr-files",
	.open = files_open,
	.serve = files_serve,
};

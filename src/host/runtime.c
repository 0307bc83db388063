/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ccr/runtime.h"

/* Connections that wait while the machine is busy with its own start. */
#define BACKLOG 8

/* Who lists machines holds the lock of a dead one for a moment: not a reason to refuse its name. */
#define MAX_TRIES   20
#define RETRY_NS    10000000l
#define CONNECT_S   10
#define LOCK_SUFFIX ".lock"
#define SOCK_SUFFIX ".sock"

struct file_name {
	char text[RUNTIME_MAX_NAME + sizeof(LOCK_SUFFIX)];
};

static struct file_name file_of(const char *name, const char *suffix)
{
	struct file_name file;

	snprintf(file.text, sizeof(file.text), "%s%s", name, suffix);
	return file;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool is_name(const char *name)
{
	const size_t length = strlen(name);

	if (length == 0 || length > RUNTIME_MAX_NAME || strchr("._-", name[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_name_char(name[i]))
			return false;
	}
	return true;
}

int runtime_check_name(const char *name, struct ccr_err *err)
{
	if (is_name(name))
		return 0;
	return err_set(
		err, -EINVAL,
		"%.80s: not a name: up to %d letters, digits, dots, underscores and hyphens, "
		"a letter or digit first",
		name, RUNTIME_MAX_NAME);
}

/* Return: the directory's path, allocated if @dir is NULL; or NULL with @err set. */
static char *dir_path(const char *dir, struct ccr_err *err)
{
	const char *base = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	char *path = NULL;

	if (!dir && (!base || base[0] != '/')) {
		err_set(err, -ENOENT,
			"no runtime directory: XDG_RUNTIME_DIR does not name one; give one with "
			"--run-dir DIR");
		return NULL;
	}
	if (asprintf(&path, "%s%s", dir ? dir : base, dir ? "" : "/ccr-run") < 0) {
		err_set(err, -ENOMEM, "runtime directory: out of memory");
		return NULL;
	}
	return path;
}

static int open_path(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int dir_failed(const char *path, int code, struct ccr_err *err)
{
	if (code == -EACCES)
		return err_set(err, code,
			       "runtime directory %s: permission denied: the machines in it are "
			       "another user's",
			       path);
	return err_set(err, code, "runtime directory %s: %s", path, strerror(-code));
}

/* Return: the directory; -ENOENT without a message if it does not exist; -errno with @err set. */
static int find_dir(const char *dir, struct ccr_err *err)
{
	char *path = dir_path(dir, err);
	int fd;

	if (!path)
		return -EINVAL;
	fd = open_path(path);
	if (fd < 0 && fd != -ENOENT)
		dir_failed(path, fd, err);
	free(path);
	return fd;
}

static int check_owner(int fd, const char *path, struct ccr_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return dir_failed(path, -errno, err);
	if (st.st_uid != geteuid())
		return err_set(err, -EPERM, "runtime directory %s: it belongs to another user",
			       path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, -EPERM,
			       "runtime directory %s: others could control the machine through it; "
			       "chmod 700 it, or name another one with --run-dir",
			       path);
	return 0;
}

static int make_dir(const char *dir, struct ccr_err *err)
{
	char *path = dir_path(dir, err);
	int fd, ret;

	if (!path)
		return -EINVAL;
	if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST) {
		ret = dir_failed(path, -errno, err);
		free(path);
		return ret;
	}
	fd = open_path(path);
	ret = fd < 0 ? dir_failed(path, fd, err) : check_owner(fd, path, err);
	if (ret && fd >= 0)
		close(fd);
	free(path);
	return ret ? ret : fd;
}

static int lock(int fd, int command, struct flock *ret_lock)
{
	*ret_lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, command, ret_lock) < 0 ? -errno : 0;
}

static bool is_still_there(int dir_fd, const char *file, int fd)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && fstatat(dir_fd, file, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Return: the locked file; -EBUSY if another has it; -ESTALE if it was removed meanwhile. */
static int try_lock(int dir_fd, const char *file, int flags)
{
	const int fd = openat(dir_fd, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags,
			      S_IRUSR | S_IWUSR);
	struct flock held;
	int ret;

	if (fd < 0)
		return -errno;
	ret = lock(fd, F_OFD_SETLK, &held);
	if (ret == -EAGAIN || ret == -EACCES)
		ret = -EBUSY;
	else if (!ret && !is_still_there(dir_fd, file, fd))
		ret = -ESTALE;
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

static int take_lock(int dir_fd, const char *file)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	int fd = -EBUSY;

	for (int i = 0; i < MAX_TRIES && (fd == -EBUSY || fd == -ESTALE); i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		fd = try_lock(dir_fd, file, O_CREAT);
	}
	return fd;
}

/* Through the open directory: neither a long path nor one that changes matters. */
static struct sockaddr_un address_of(int dir_fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	_Static_assert(sizeof(address.sun_path) >
			       sizeof("/proc/self/fd/-2147483648/") + sizeof(struct file_name),
		       "a name may be too long for a socket");
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s" SOCK_SUFFIX,
		 dir_fd, name);
	return address;
}

static int listen_at(int dir_fd, const char *name)
{
	const struct sockaddr_un address = address_of(dir_fd, name);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if ((unlinkat(dir_fd, file_of(name, SOCK_SUFFIX).text, 0) < 0 && errno != ENOENT) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		ret = -errno;
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

/* With the lock held, which goes with its file. */
static void remove_files(int dir_fd, const char *name)
{
	unlinkat(dir_fd, file_of(name, SOCK_SUFFIX).text, 0);
	unlinkat(dir_fd, file_of(name, LOCK_SUFFIX).text, 0);
}

static int claim_in(struct runtime *runtime, struct ccr_err *err)
{
	const char *name = runtime->name;

	runtime->lock_fd = take_lock(runtime->dir_fd, file_of(name, LOCK_SUFFIX).text);
	if (runtime->lock_fd == -EBUSY)
		return err_set(err, -EBUSY,
			       "the name %s is in use by a running machine; choose another one, or "
			       "end that with `ccr-run stop %s`",
			       name, name);
	if (runtime->lock_fd < 0)
		return err_set(err, runtime->lock_fd, "the name %s cannot be locked: %s", name,
			       strerror(-runtime->lock_fd));
	runtime->listen_fd = listen_at(runtime->dir_fd, name);
	if (runtime->listen_fd >= 0)
		return 0;
	remove_files(runtime->dir_fd, name);
	close(runtime->lock_fd);
	return err_set(err, runtime->listen_fd, "the control socket of %s cannot be made: %s", name,
		       strerror(-runtime->listen_fd));
}

int runtime_claim(struct runtime *runtime, const char *dir, const char *name, struct ccr_err *err)
{
	int ret = runtime_check_name(name, err);

	if (ret)
		return ret;
	*runtime = (struct runtime){.lock_fd = -1, .listen_fd = -1};
	snprintf(runtime->name, sizeof(runtime->name), "%s", name);
	runtime->dir_fd = make_dir(dir, err);
	if (runtime->dir_fd < 0)
		return runtime->dir_fd;
	ret = claim_in(runtime, err);
	if (ret)
		close(runtime->dir_fd);
	return ret;
}

void runtime_release(struct runtime *runtime)
{
	remove_files(runtime->dir_fd, runtime->name);
	close(runtime->listen_fd);
	close(runtime->lock_fd);
	close(runtime->dir_fd);
}

static bool is_locked(int dir_fd, const char *name)
{
	const int fd = openat(dir_fd, file_of(name, LOCK_SUFFIX).text,
			      O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct flock held;
	bool locked;

	if (fd < 0)
		return false;
	locked = lock(fd, F_OFD_GETLK, &held) == 0 && held.l_type != F_UNLCK;
	close(fd);
	return locked;
}

bool runtime_is_alive(const char *dir, const char *name)
{
	const int dir_fd = is_name(name) ? find_dir(dir, NULL) : -1;
	bool alive;

	if (dir_fd < 0)
		return false;
	alive = is_locked(dir_fd, name);
	close(dir_fd);
	return alive;
}

static int connect_to(int dir_fd, const char *name, int *ret_pid)
{
	const struct sockaddr_un address = address_of(dir_fd, name);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = CONNECT_S};
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		ret = -errno;
	else
		*ret_pid = peer.pid;
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

static int no_machine(const char *name, struct ccr_err *err)
{
	return err_set(err, -ENOENT,
		       "no running machine is called %s; `ccr-run list` shows those that run",
		       name);
}

static int connect_failed(const char *name, int code, struct ccr_err *err)
{
	if (code == -EAGAIN)
		return err_set(err, code,
			       "machine %s does not answer: it is busy or has been suspended",
			       name);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return err_set(err, code,
			       "machine %s is just starting or ending; try again in a moment",
			       name);
	return err_set(err, code, "machine %s cannot be reached: %s", name, strerror(-code));
}

int runtime_connect(const char *dir, const char *name, int *ret_pid, struct ccr_err *err)
{
	int dir_fd, fd, ret = runtime_check_name(name, err);

	if (ret)
		return ret;
	dir_fd = find_dir(dir, err);
	if (dir_fd < 0)
		return dir_fd == -ENOENT ? no_machine(name, err) : dir_fd;
	fd = connect_to(dir_fd, name, ret_pid);
	if (fd < 0 && fd != -EACCES && !is_locked(dir_fd, name))
		fd = no_machine(name, err);
	else if (fd < 0)
		connect_failed(name, fd, err);
	close(dir_fd);
	return fd;
}

/* Return: the machine's name, allocated; NULL if this is no machine's lock. */
static char *name_of_lock(const char *file)
{
	const size_t length = strlen(file), suffix = strlen(LOCK_SUFFIX);
	char *name;

	if (length <= suffix || strcmp(file + length - suffix, LOCK_SUFFIX) != 0)
		return NULL;
	name = strndup(file, length - suffix);
	if (name && is_name(name))
		return name;
	free(name);
	return NULL;
}

/* Return: the machine has died, and what it left has been removed. */
static bool clean_up(int dir_fd, const char *name)
{
	const int fd = try_lock(dir_fd, file_of(name, LOCK_SUFFIX).text, 0);

	if (fd < 0)
		return fd == -ENOENT || fd == -ESTALE;
	remove_files(dir_fd, name);
	close(fd);
	return true;
}

static int add_name(char ***names, size_t *nr, char *name)
{
	char **longer = reallocarray(*names, *nr + 1, sizeof(*longer));

	if (!longer) {
		free(name);
		return -ENOMEM;
	}
	longer[(*nr)++] = name;
	*names = longer;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, char ***names, size_t *nr)
{
	struct dirent *entry;
	int ret = 0;

	while (!ret && (entry = readdir(dir))) {
		char *name = name_of_lock(entry->d_name);

		if (name && clean_up(dirfd(dir), name))
			free(name);
		else if (name)
			ret = add_name(names, nr, name);
	}
	return ret;
}

int runtime_list(const char *dir, char ***ret_names, size_t *ret_nr, struct ccr_err *err)
{
	const int dir_fd = find_dir(dir, err);
	char **names = NULL;
	size_t nr = 0;
	DIR *stream;
	int ret;

	*ret_names = NULL;
	*ret_nr = 0;
	if (dir_fd < 0)
		return dir_fd == -ENOENT ? 0 : dir_fd;
	stream = fdopendir(dir_fd);
	if (!stream) {
		close(dir_fd);
		return err_set(err, -ENOMEM, "runtime directory: out of memory");
	}
	ret = read_names(stream, &names, &nr);
	closedir(stream);
	if (ret) {
		runtime_free_names(names, nr);
		return err_set(err, ret, "runtime directory: out of memory");
	}
	if (nr > 0)
		qsort(names, nr, sizeof(*names), compare_names);
	*ret_names = names;
	*ret_nr = nr;
	return 0;
}

void runtime_free_names(char **names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(names[i]);
	free(names);
}

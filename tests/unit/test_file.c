/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c src/util/file.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/file.h"

/* Each test has a directory of its own, and is in it. */
static int enter_directory(void **state)
{
	char *path = strdup("/tmp/test_file.XXXXXX");

	assert_non_null(path);
	assert_non_null(mkdtemp(path));
	assert_int_equal(chdir(path), 0);
	*state = path;
	return 0;
}

/* Number of entries; unlinks them all. */
static int empty_directory(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;
	int nr = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		assert_int_equal(remove(entry->d_name), 0);
		nr++;
	}
	closedir(dir);
	return nr;
}

static int leave_directory(void **state)
{
	empty_directory();
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(*state), 0);
	free(*state);
	return 0;
}

static void make(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(file_write_full(fd, data, size), 0);
	close(fd);
}

static void assert_content(const char *path, const char *text)
{
	struct blob blob = {0};

	assert_int_equal(file_load(path, 1 << 20, "file", &blob, NULL), 0);
	assert_int_equal(blob.size, strlen(text));
	assert_memory_equal(blob.data, text, blob.size);
	blob_free(&blob);
}

/* Around the size from which on buffers are of huge pages. */
static void loads_large_files(void **state)
{
	static const size_t sizes[] = {(2 << 20) - 1, 2 << 20, (4 << 20) + 4097};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct blob blob = {0};
		char *data = malloc(sizes[i]);

		assert_non_null(data);
		for (size_t j = 0; j < sizes[i]; j++)
			data[j] = (char)(j * 31 + (j >> 12));
		make("large", data, sizes[i]);
		assert_int_equal(file_load("large", sizes[i], "f", &blob, NULL), 0);
		assert_int_equal(blob.size, sizes[i]);
		assert_memory_equal(blob.data, data, sizes[i]);
		blob_free(&blob);
		assert_int_equal(file_load("large", sizes[i] - 1, "f", &blob, NULL), -EFBIG);
		free(data);
	}
}

static void loads_what_is_there(void **state)
{
	struct ccr_err err = {0};
	struct blob blob = {0};

	(void)state;
	make("f", "hello", 5);
	assert_int_equal(file_load("f", 5, "test file", &blob, &err), 0);
	assert_int_equal(blob.size, 5);
	assert_memory_equal(blob.data, "hello", 5);
	blob_free(&blob);
	assert_null(blob.data);
	assert_int_equal(blob.size, 0);
	blob_free(&blob);
}

static void empty_file_has_no_data(void **state)
{
	struct blob blob = {(uint8_t *)1, 1};

	(void)state;
	make("f", "", 0);
	assert_int_equal(file_load("f", 0, "test file", &blob, NULL), 0);
	assert_null(blob.data);
	assert_int_equal(blob.size, 0);
}

static void reads_from_the_start_whatever_the_offset(void **state)
{
	struct blob blob = {0};
	char two[2];
	int fd;

	(void)state;
	make("f", "hello", 5);
	fd = open("f", O_RDONLY);
	assert_int_equal(read(fd, two, 2), 2);
	assert_int_equal(file_read_all(fd, 100, "test file", &blob, NULL), 0);
	close(fd);
	assert_int_equal(blob.size, 5);
	assert_memory_equal(blob.data, "hello", 5);
	blob_free(&blob);
}

static void reads_a_part(void **state)
{
	char bytes[8] = "-------";
	int fd;

	(void)state;
	make("f", "hello", 5);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_read_at(fd, bytes, 3, 1), 0);
	assert_string_equal(bytes, "ell----");
	assert_int_equal(file_read_at(fd, bytes, 0, 100), 0);
	assert_int_equal(file_read_at(fd, bytes, 3, 3), -ENODATA);
	assert_int_equal(file_read_at(fd, bytes, 1, 5), -ENODATA);
	close(fd);
	assert_int_equal(file_read_at(fd, bytes, 1, 0), -EBADF);
}

static void reads_the_rest(void **state)
{
	char bytes[8] = "-------";
	int fd;

	(void)state;
	make("f", "hello", 5);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_read_rest(fd, bytes, 3, 2), 0);
	assert_string_equal(bytes, "llo----");
	assert_int_equal(file_read_rest(fd, bytes, 0, 5), 0);
	assert_int_equal(file_read_rest(fd, bytes, 2, 2), -ESTALE);
	assert_int_equal(file_read_rest(fd, bytes, 4, 2), -ESTALE);
	assert_int_equal(file_read_rest(fd, bytes, 0, 4), -ESTALE);
	close(fd);
	assert_int_equal(file_read_rest(fd, bytes, 1, 0), -EBADF);
}

/* A file is another one if its size or the time of its last change is, whatever its name is now. */
static void stamp_notices_writes(void **state)
{
	const struct timespec later[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1, .tv_nsec = 1}};
	struct file_stamp stamp;
	int fd;

	(void)state;
	make("f", "hello", 5);
	fd = open("f", O_RDWR | O_CLOEXEC);
	assert_int_equal(file_stamp(fd, &stamp), 0);
	assert_int_equal(stamp.size, 5);
	make("new", "world", 5);
	assert_int_equal(rename("new", "f"), 0);
	assert_int_equal(file_check_stamp(fd, &stamp), 0);
	assert_int_equal(futimens(fd, later), 0);
	assert_int_equal(file_check_stamp(fd, &stamp), -ESTALE);
	assert_int_equal(file_stamp(fd, &stamp), 0);
	assert_int_equal(stamp.mtime_ns, 1000000001);
	assert_int_equal(ftruncate(fd, 4), 0);
	assert_int_equal(futimens(fd, later), 0);
	assert_int_equal(file_check_stamp(fd, &stamp), -ESTALE);
	close(fd);
	assert_int_equal(file_check_stamp(fd, &stamp), -EBADF);
}

static void stamp_of_a_pipe_stays(void **state)
{
	struct file_stamp stamp = {1, 1};
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(file_stamp(ends[0], &stamp), 0);
	assert_int_equal(stamp.size, 0);
	assert_int_equal(stamp.mtime_ns, 0);
	assert_int_equal(file_write_full(ends[1], "hello", 5), 0);
	assert_int_equal(file_check_stamp(ends[0], &stamp), 0);
	close(ends[0]);
	close(ends[1]);
}

static void refuses_what_is_too_large(void **state)
{
	struct blob blob = {(uint8_t *)1, 1};
	struct ccr_err err = {0};

	(void)state;
	make("f", "hello", 5);
	assert_int_equal(file_load("f", 4, "test file", &blob, &err), -EFBIG);
	assert_int_equal(err.code, -EFBIG);
	assert_string_equal(err.msg, "test file f: larger than 4 bytes, the most that is accepted");
	assert_ptr_equal(blob.data, (uint8_t *)1);
	assert_int_equal(blob.size, 1);
}

/* Says it has 8 EiB, has nothing: must be refused by its size, not by an allocation. */
static void refuses_absurd_sparse_file(void **state)
{
	struct blob blob;
	int fd;

	(void)state;
	make("f", "", 0);
	fd = open("f", O_RDWR);
	if (ftruncate(fd, (off_t)1 << 42) < 0) {
		close(fd);
		skip();
	}
	assert_int_equal(file_read_all(fd, 1 << 30, "test file", &blob, NULL), -EFBIG);
	close(fd);
}

static void never_ending_file_is_refused(void **state)
{
	struct blob blob = {0};

	(void)state;
	assert_int_equal(file_load("/dev/zero", 1000003, "test file", &blob, NULL), -EFBIG);
	assert_null(blob.data);
}

/* A regular file whose size says 0 and is not. */
static void file_larger_than_it_says(void **state)
{
	struct blob blob = {0};

	(void)state;
	assert_int_equal(file_load("/proc/self/status", 1 << 20, "status", &blob, NULL), 0);
	assert_true(blob.size > 100);
	assert_memory_equal(blob.data, "Name:\t", 6);
	blob_free(&blob);
}

/* sysfs files say they have a page. */
static void file_smaller_than_it_says(void **state)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	struct blob blob = {0};
	struct stat st;

	(void)state;
	if (stat(path, &st) < 0 || st.st_size < 4096)
		skip();
	assert_int_equal(file_load(path, 1 << 20, "sysfs", &blob, NULL), 0);
	assert_in_range(blob.size, 10, 100);
	assert_int_equal(blob.data[blob.size - 1], '\n');
	blob_free(&blob);
}

struct pipe_writer {
	int fd;
	size_t size;
};

static void *fill_pipe(void *arg)
{
	struct pipe_writer *writer = arg;
	uint8_t *data = malloc(writer->size);

	for (size_t i = 0; data && i < writer->size; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	if (data)
		(void)file_write_full(writer->fd, data, writer->size);
	close(writer->fd);
	free(data);
	return NULL;
}

/* More than a pipe holds and more than the buffer's first steps, so both must go on. */
static void reads_and_writes_pipes_whole(void **state)
{
	struct pipe_writer writer = {.size = 300001};
	struct blob blob = {0};
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	writer.fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, fill_pipe, &writer), 0);
	assert_int_equal(file_read_all(fds[0], writer.size, "pipe", &blob, NULL), 0);
	pthread_join(thread, NULL);
	close(fds[0]);
	assert_int_equal(blob.size, writer.size);
	for (size_t i = 0; i < blob.size; i++)
		assert_int_equal(blob.data[i], (uint8_t)(i * 7 + i / 256));
	blob_free(&blob);
}

static void pipe_over_the_limit_by_one(void **state)
{
	struct ccr_err err = {0};
	struct blob blob = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(file_write_full(fds[1], "123456", 6), 0);
	close(fds[1]);
	assert_int_equal(file_read_all(fds[0], 5, "pipe", &blob, &err), -EFBIG);
	close(fds[0]);
}

static void open_names_thing_path_and_reason(void **state)
{
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(file_open_ro("absent", "kernel image", &err), -ENOENT);
	assert_string_equal(err.msg,
			    "kernel image absent: cannot open it: No such file or directory");
	err_clear(&err);
	assert_int_equal(file_open_ro(".", "kernel image", &err), -EISDIR);
	assert_string_equal(err.msg, "kernel image .: cannot read it: Is a directory");
	err_clear(&err);
	assert_int_equal(file_open_ro("a\x1b[2Jb", "kernel image", &err), -ENOENT);
	assert_string_equal(err.msg,
			    "kernel image a?[2Jb: cannot open it: No such file or directory");
}

static void open_sets_cloexec(void **state)
{
	int fd;

	(void)state;
	make("f", "x", 1);
	fd = file_open_ro("f", "file", NULL);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void bad_descriptor_is_an_error(void **state)
{
	struct blob blob = {0};

	(void)state;
	assert_int_equal(file_read_all(-1, 10, "thing", &blob, NULL), -EBADF);
	assert_int_equal(file_write_full(-1, "x", 1), -EBADF);
	assert_int_equal(file_write_full(-1, NULL, 0), 0);
}

static void write_to_closed_pipe_is_an_error(void **state)
{
	int fds[2];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(file_write_full(fds[1], "x", 1), -EPIPE);
	close(fds[1]);
}

static void saves_new_and_replaces_old(void **state)
{
	(void)state;
	assert_int_equal(file_save("f", "first version", 13, "file", NULL), 0);
	assert_content("f", "first version");
	assert_int_equal(file_save("f", "2nd", 3, "file", NULL), 0);
	assert_content("f", "2nd");
	assert_int_equal(file_save("f", NULL, 0, "file", NULL), 0);
	assert_content("f", "");
	assert_int_equal(empty_directory(), 1);
}

/* A reader of the old file keeps the old content: replaced, not rewritten. */
static void old_content_stays_for_its_readers(void **state)
{
	char text[4] = {0};
	int fd;

	(void)state;
	make("f", "old", 3);
	fd = open("f", O_RDONLY);
	assert_int_equal(file_save("f", "new", 3, "file", NULL), 0);
	assert_int_equal(read(fd, text, 3), 3);
	assert_string_equal(text, "old");
	close(fd);
}

static void save_honours_the_umask(void **state)
{
	mode_t saved = umask(027);
	struct stat st;

	(void)state;
	assert_int_equal(file_save("f", "x", 1, "file", NULL), 0);
	umask(saved);
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void failed_save_leaves_nothing(void **state)
{
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(file_save("none/f", "x", 1, "tree dump", &err), -ENOENT);
	assert_string_equal(err.msg,
			    "tree dump none/f: cannot write it: No such file or directory");
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(file_save("d", "x", 1, "tree dump", NULL), -EISDIR);
	assert_int_equal(empty_directory(), 1);
}

static void leftover_of_a_dead_process_is_no_obstacle(void **state)
{
	char *leftover;

	(void)state;
	assert_true(asprintf(&leftover, "f.%ld.tmp", (long)getpid()) > 0);
	make("victim", "keep", 4);
	assert_int_equal(symlink("victim", leftover), 0);
	free(leftover);
	assert_int_equal(file_save("f", "x", 1, "file", NULL), 0);
	assert_content("victim", "keep");
	assert_content("f", "x");
	assert_int_equal(empty_directory(), 2);
}

static void links_and_devices_are_written_in_place(void **state)
{
	struct stat st;

	(void)state;
	make("target", "something long", 14);
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(file_save("link", "new", 3, "file", NULL), 0);
	assert_content("target", "new");
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(file_save("/dev/null", "new", 3, "file", NULL), 0);
	assert_int_equal(lstat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(file_save("/dev/full", "new", 3, "file", NULL), -ENOSPC);
}

/*
 * Redirected to a file, /dev/stdout must not start over and lose what was printed before. A link of
 * our own stands for it: a failure must not damage the machine's.
 */
static void dev_stdout_continues_the_output(void **state)
{
	int saved = dup(STDOUT_FILENO);
	int fd = open("out", O_WRONLY | O_CREAT, 0644);
	struct stat st;
	int rc;

	(void)state;
	(void)fflush(stdout);
	assert_int_equal(symlink("/proc/self/fd/1", "stdout"), 0);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	rc = file_write_full(STDOUT_FILENO, "head ", 5);
	rc |= file_save("stdout", "body ", 5, "file", NULL);
	rc |= file_write_full(STDOUT_FILENO, "tail", 4);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(rc, 0);
	assert_content("out", "head body tail");
	assert_int_equal(lstat("stdout", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_directory(loads_what_is_there),
		in_directory(loads_large_files),
		in_directory(empty_file_has_no_data),
		in_directory(reads_from_the_start_whatever_the_offset),
		in_directory(reads_a_part),
		in_directory(reads_the_rest),
		in_directory(stamp_notices_writes),
		in_directory(stamp_of_a_pipe_stays),
		in_directory(refuses_what_is_too_large),
		in_directory(refuses_absurd_sparse_file),
		in_directory(never_ending_file_is_refused),
		in_directory(file_larger_than_it_says),
		in_directory(file_smaller_than_it_says),
		in_directory(reads_and_writes_pipes_whole),
		in_directory(pipe_over_the_limit_by_one),
		in_directory(open_names_thing_path_and_reason),
		in_directory(open_sets_cloexec),
		in_directory(bad_descriptor_is_an_error),
		in_directory(write_to_closed_pipe_is_an_error),
		in_directory(saves_new_and_replaces_old),
		in_directory(old_content_stays_for_its_readers),
		in_directory(save_honours_the_umask),
		in_directory(failed_save_leaves_nothing),
		in_directory(leftover_of_a_dead_process_is_no_obstacle),
		in_directory(links_and_devices_are_written_in_place),
		in_directory(dev_stdout_continues_the_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

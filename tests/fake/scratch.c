/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"

void scratch_begin(struct scratch *scratch)
{
	strcpy(scratch->dir, "/tmp/ccr-test.XXXXXX");
	assert_non_null(mkdtemp(scratch->dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_end(const struct scratch *scratch)
{
	nftw(scratch->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *scratch_path(const struct scratch *scratch, const char *name, char room[SCRATCH_PATH_SIZE])
{
	const int size = snprintf(room, SCRATCH_PATH_SIZE, "%s/%s", scratch->dir, name);

	assert_in_range(size, 1, SCRATCH_PATH_SIZE - 1);
	return room;
}

void scratch_put(const struct scratch *scratch, const char *name, const char *text)
{
	char room[SCRATCH_PATH_SIZE];
	const int fd = open(scratch_path(scratch, name, room), O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

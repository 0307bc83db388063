/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instead of src/util/file.c: the files of a realm's host. Whole machines have the true ones, and
 * with them the files of the machine that the test runs on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/file.h"
#include "fake_realm_internal.h"

/* sysfs says of every file that it is a page long. */
#define SYSFS_SIZE 4096

static const char *find_file(const char *path)
{
	if (strcmp(path, "/sys/module/kvm/parameters/kvm_cap_arm_rmi") == 0)
		return fake_realm_host()->cap_file;
	if (strcmp(path, "/sys/module/kvm/parameters/gmem_in_place_conversion") == 0)
		return fake_realm_host()->in_place_file;
	return NULL;
}

int file_load(const char *path, size_t max_size, const char *what, struct blob *ret_blob,
	      struct ccr_err *err)
{
	const char *text = find_file(path);

	(void)what;
	if (!text)
		return err_set(err, -ENOENT, "no %s", path);
	if (max_size < SYSFS_SIZE)
		return err_set(err, -EFBIG, "%s is too large", path);
	ret_blob->size = strlen(text);
	ret_blob->data = ret_blob->size ? (uint8_t *)strdup(text) : NULL;
	return 0;
}

/* Of a plain VM's images, which are no part of a realm's host. */
int file_read_rest(int fd, void *buf, size_t size, uint64_t offset)
{
	(void)fd;
	(void)buf;
	(void)size;
	(void)offset;
	return -EOPNOTSUPP;
}

void blob_free(struct blob *blob)
{
	free(blob->data);
	*blob = (struct blob){0};
}

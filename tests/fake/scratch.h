/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of a test's own in /tmp; what cannot be made fails the test. */
#ifndef FAKE_SCRATCH_H
#define FAKE_SCRATCH_H

#define SCRATCH_PATH_SIZE 128

/** struct scratch - until scratch_end() */
struct scratch {
	char dir[32];
};

/** scratch_begin() - an empty one */
void scratch_begin(struct scratch *scratch);

/** scratch_end() - remove it, with all that is in it */
void scratch_end(const struct scratch *scratch);

/** scratch_path() - of @name in it. Return: @room. */
char *scratch_path(const struct scratch *scratch, const char *name, char room[SCRATCH_PATH_SIZE]);

/** scratch_put() - a file of it, with that text and nothing else */
void scratch_put(const struct scratch *scratch, const char *name, const char *text);

#endif

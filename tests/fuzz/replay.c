/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main() of a fuzz target that only replays: each file named on the command line is one input,
 * after the empty one. Each is announced first, so that the log of a crash ends with its name.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define MAX_INPUT_SIZE ((size_t)1 << 20) /* libFuzzer's own inputs are much smaller */

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(MAX_INPUT_SIZE);
	size_t size;

	if (!file || !data) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(data);
		if (file)
			(void)fclose(file);
		return -1;
	}
	size = fread(data, 1, MAX_INPUT_SIZE, file);
	(void)fclose(file);
	if (size == MAX_INPUT_SIZE) {
		fprintf(stderr, "%s: larger than any input should be\n", path);
		free(data);
		return -1;
	}

	/* The exact size, so that ASan sees the first byte read behind the input. */
	uint8_t *input = malloc(size ? size : 1);

	if (!input) {
		free(data);
		return -1;
	}
	for (size_t i = 0; i < size; i++)
		input[i] = data[i];
	free(data);
	(void)LLVMFuzzerTestOneInput(input, size);
	free(input);
	return 0;
}

int main(int argc, char **argv)
{
	const uint8_t nothing = 0;
	int failed = 0;

	fprintf(stderr, "input: (empty)\n");
	(void)LLVMFuzzerTestOneInput(&nothing, 0);
	for (int i = 1; i < argc; i++) {
		fprintf(stderr, "input: %s\n", argv[i]);
		failed |= replay(argv[i]) < 0;
	}
	return failed;
}

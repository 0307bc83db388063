/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fake_machine.h"

#define IMAGE_SIZE 8192

/* The header that Linux Documentation/arch/arm64/booting.rst describes. */
static void make_image(uint8_t image[IMAGE_SIZE])
{
	const uint64_t text_offset = 0, image_size = 2 * IMAGE_SIZE, flags = 2; /* 4 KiB pages */

	memset(image, 0x1f, IMAGE_SIZE);
	memcpy(image + 8, &text_offset, 8);
	memcpy(image + 16, &image_size, 8);
	memcpy(image + 24, &flags, 8);
	memcpy(image + 56, "ARM\x64", 4);
}

void fake_machine_load(struct fake_machine *machine, enum machine_kind kind, unsigned nr_vcpus,
		       bool has_pci)
{
	struct launch_options options = {
		.kind = kind,
		.cmdline = "console=ttyS0",
		.ram_size = 64ull << 20,
		.nr_vcpus = nr_vcpus,
		.has_pci = has_pci,
		.hash_algo = HASH_SHA256,
	};
	uint8_t image[IMAGE_SIZE];
	const int fd = memfd_create("Image", MFD_CLOEXEC);

	memset(machine, 0, sizeof(*machine));
	make_image(image);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	snprintf(machine->kernel, sizeof(machine->kernel), "/proc/self/fd/%d", fd);
	options.kernel = machine->kernel;
	assert_int_equal(launch_load(&machine->launch, &options, &machine->err), 0);
	close(fd);
	machine->config.launch = &machine->launch;
}

void fake_machine_done(struct fake_machine *machine)
{
	launch_done(&machine->launch);
}

uint64_t fake_machine_shared(const struct fake_machine *machine, uint64_t at)
{
	return machine->launch.kind == MACHINE_PLAIN ? at : at | machine->launch.map.shared_bit;
}

/* A standard stream, put aside while the machine has a pipe in its place. */
struct stream {
	int fd;    /* 0, 1 or 2 */
	int saved; /* what it was */
	int end;   /* our end of the pipe */
};

static void stream_open(struct stream *stream, int fd)
{
	const int theirs = fd == STDIN_FILENO ? 0 : 1;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	stream->fd = fd;
	stream->end = ends[!theirs];
	stream->saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	assert_true(stream->saved >= 0);
	assert_int_equal(dup2(ends[theirs], fd), fd);
	close(ends[theirs]);
}

static void stream_restore(struct stream *stream)
{
	dup2(stream->saved, stream->fd);
	close(stream->saved);
}

/* After stream_restore(), when nobody writes any more. */
static void stream_take(struct stream *stream, char text[FAKE_MACHINE_TEXT])
{
	ssize_t size = 0;

	for (size_t used = 0; used < FAKE_MACHINE_TEXT - 1; used += (size_t)size) {
		size = read(stream->end, text + used, FAKE_MACHINE_TEXT - 1 - used);
		text[used + (size > 0 ? (size_t)size : 0)] = '\0';
		if (size <= 0)
			break;
	}
	close(stream->end);
}

static void give_input(struct stream *stream, const char *input)
{
	if (!input)
		return;
	assert_int_equal(write(stream->end, input, strlen(input)), strlen(input));
	close(stream->end);
	stream->end = -1;
}

static void run_limited(struct fake_machine *machine)
{
	struct rlimit old, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	if (machine->max_fds)
		low.rlim_cur = machine->max_fds;
	setrlimit(RLIMIT_NOFILE, &low);
	machine->ret = vm_run(&machine->config, &machine->outcome, &machine->err);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* Some 100 KiB a second. */
static void *drain(void *arg)
{
	const int fd = *(const int *)arg;
	char bytes[512];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		usleep(4000);
	return NULL;
}

/* Signals are for the threads that the machine knows. */
static pthread_t start_draining(struct stream *output)
{
	pthread_t thread;
	sigset_t all, old;

	fcntl(output->end, F_SETPIPE_SZ, 4096);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	assert_int_equal(pthread_create(&thread, NULL, drain, &output->end), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

void fake_machine_run(struct fake_machine *machine)
{
	struct stream input, output, messages;
	pthread_t drainer = 0;

	fflush(NULL);
	stream_open(&input, STDIN_FILENO);
	give_input(&input, machine->input);
	if (machine->terminal)
		dup2(machine->terminal, STDIN_FILENO);
	stream_open(&output, STDOUT_FILENO);
	if (machine->wants_messages)
		stream_open(&messages, STDERR_FILENO);
	if (machine->closes_output)
		close(output.end);
	if (machine->drains_output)
		drainer = start_draining(&output);

	machine->outcome = VM_FAILED;
	err_clear(&machine->err);
	run_limited(machine);

	fflush(NULL);
	stream_restore(&input);
	stream_restore(&output);
	if (machine->wants_messages) {
		stream_restore(&messages);
		stream_take(&messages, machine->messages);
	}
	if (machine->drains_output)
		pthread_join(drainer, NULL);
	if (!machine->closes_output)
		stream_take(&output, machine->output);
	if (input.end >= 0)
		close(input.end);
}

unsigned fake_machine_nr_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

unsigned fake_machine_nr_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned nr = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		nr += strstr(line, "memfd:ccr") != NULL;
	fclose(maps);
	return nr;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both engines do the same, so each test runs with both. The host's misbehaviour comes from what
 * stands in for an image: a pipe transfers what it has, a full device takes nothing.
 *
 * links: src/host/aio.c src/host/aio_join.c src/host/aio_threads.c src/host/aio_uring.c
 *	src/host/disk.c src/sandbox/thread.c src/sandbox/filter.c build/generated/syscalls.c
 *	src/util/err.c src/util/log.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <liburing.h>

#include "ccr/aio.h"

#define NR_REQUESTS 32u
#define BLOCK       4096u
#define IMAGE_SIZE  (NR_REQUESTS * BLOCK)
#define PATIENCE_MS 20000

struct bench {
	struct disk disk;
	struct aio *aio;
	int other_fd; /* the other end of a pipe */
	struct aio_request requests[NR_REQUESTS];
	struct iovec iovs[NR_REQUESTS][3];
	uint8_t *data; /* IMAGE_SIZE bytes, page aligned */
};

static void create(struct bench *b, enum aio_kind kind)
{
	struct ccr_err err = {0};

	assert_int_equal(aio_create(&b->aio, &b->disk, kind, 4, &err), 0);
	assert_string_equal(aio_name(b->aio), kind == AIO_URING ? "uring" : "threads");
}

static void open_image(struct bench *b, int fd)
{
	assert_true(fd >= 0);
	b->disk = (struct disk){.fd = fd, .size = IMAGE_SIZE, .block_size = 512, .mem_align = 1};
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->other_fd = -1;
	b->disk.fd = -1;
	b->data =
		mmap(NULL, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(b->data != MAP_FAILED);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	aio_destroy(b->aio);
	if (b->disk.fd >= 0)
		close(b->disk.fd);
	if (b->other_fd >= 0)
		close(b->other_fd);
	munmap(b->data, IMAGE_SIZE);
	free(b);
	return 0;
}

/* Request @i is of block @i, in two pieces, behind which nothing may be looked at. */
static struct aio_request *make(struct bench *b, unsigned i, enum aio_op op)
{
	struct aio_request *request = &b->requests[i];

	*request = (struct aio_request){
		.op = op,
		.iov = b->iovs[i],
		.nr_iov = 2,
		.offset = (uint64_t)i * BLOCK,
		.size = BLOCK,
		.result = 1,
	};
	b->iovs[i][0] = (struct iovec){b->data + (size_t)i * BLOCK, 1024};
	b->iovs[i][1] = (struct iovec){b->data + (size_t)i * BLOCK + 1024, BLOCK - 1024};
	b->iovs[i][2] = (struct iovec){NULL, BLOCK};
	return request;
}

/* Sleep as the lane's thread does. */
static struct aio_request *await(struct bench *b)
{
	struct aio_request *ended;

	while (!(ended = aio_take(b->aio))) {
		struct pollfd source = {.fd = aio_fd(b->aio), .events = POLLIN};

		assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	}
	return ended;
}

static int run(struct bench *b, struct aio_request *request)
{
	aio_submit(b->aio, request);
	aio_begin(b->aio);
	assert_ptr_equal(await(b), request);
	assert_null(aio_take(b->aio));
	return request->result;
}

static void run_all(struct bench *b, enum aio_op op)
{
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		aio_submit(b->aio, make(b, i, op));
	aio_begin(b->aio);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		assert_int_equal(await(b)->result, 0);
	assert_null(aio_take(b->aio));
}

static void check_write_and_read(struct bench *b, enum aio_kind kind)
{
	open_image(b, memfd_create("image", 0));
	assert_int_equal(ftruncate(b->disk.fd, IMAGE_SIZE), 0);
	create(b, kind);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		b->data[i] = (uint8_t)(i / BLOCK + i);
	run_all(b, AIO_WRITE);
	b->requests[0] = (struct aio_request){.op = AIO_FLUSH};
	assert_int_equal(run(b, &b->requests[0]), 0);
	memset(b->data, 0, IMAGE_SIZE);
	run_all(b, AIO_READ);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		assert_int_equal(b->data[i], (uint8_t)(i / BLOCK + i));
}

static void check_ranges(struct bench *b, enum aio_kind kind)
{
	uint8_t bytes[3] = {0};

	open_image(b, memfd_create("image", 0));
	create(b, kind);
	memset(b->data, 0xaa, IMAGE_SIZE);
	run_all(b, AIO_WRITE);
	b->requests[0] = (struct aio_request){
		.op = AIO_ZERO, .durable = true, .offset = BLOCK, .size = BLOCK};
	b->requests[1] =
		(struct aio_request){.op = AIO_DISCARD, .offset = 4 * BLOCK, .size = BLOCK};
	aio_submit(b->aio, &b->requests[0]);
	aio_submit(b->aio, &b->requests[1]);
	aio_submit(b->aio, make(b, 2, AIO_READ));
	aio_begin(b->aio);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(await(b)->result, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pread(b->disk.fd, bytes + i, 1, (i * 2 + 1) * BLOCK - 1), 1);
	assert_int_equal(pread(b->disk.fd, bytes, 1, BLOCK), 1);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(bytes[1], 0xaa);
	assert_int_equal(pread(b->disk.fd, bytes, 1, 4 * BLOCK + 100), 1);
	assert_int_equal(bytes[0], 0);
}

/* The image has become shorter than the guest believes. */
static void check_short_image(struct bench *b, enum aio_kind kind)
{
	open_image(b, memfd_create("image", 0));
	assert_int_equal(ftruncate(b->disk.fd, BLOCK + 512), 0);
	create(b, kind);
	assert_int_equal(run(b, make(b, 0, AIO_READ)), 0);
	assert_int_equal(run(b, make(b, 1, AIO_READ)), -EIO);
	assert_int_equal(run(b, make(b, 2, AIO_READ)), -EIO);
}

static void check_full_host(struct bench *b, enum aio_kind kind)
{
	open_image(b, open("/dev/full", O_RDWR));
	create(b, kind);
	assert_int_equal(run(b, make(b, 0, AIO_WRITE)), -ENOSPC);
	assert_int_equal(run(b, make(b, 0, AIO_READ)), 0);
}

static void check_errors(struct bench *b, enum aio_kind kind)
{
	open_image(b, open("/proc/self/exe", O_RDONLY));
	b->disk.read_only = true;
	create(b, kind);
	assert_int_equal(run(b, make(b, 0, AIO_WRITE)), -EROFS);
	b->requests[0] = (struct aio_request){.op = AIO_ZERO, .size = BLOCK};
	assert_int_equal(run(b, &b->requests[0]), -EROFS);
	/* Bad memory, which would be a bug of ours, is an error and not a crash. */
	make(b, 1, AIO_READ);
	b->iovs[1][0].iov_base = NULL;
	b->iovs[1][1].iov_base = NULL;
	assert_int_equal(run(b, &b->requests[1]), -EFAULT);
}

/*
 * In place of the C library and of liburing: how the host's work ends is up to the test. The next
 * @nr_odd transfers end with @odd_result, a number of bytes or -errno, whatever they have done; and
 * all meet at @meeting, if there is one.
 */
static unsigned nr_odd;
static int odd_result;
static atomic_uint nr_calls; /* reads and writes that the host was asked for */
static pthread_mutex_t odd_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t *meeting;

static void expect_odd(unsigned nr, int result)
{
	pthread_mutex_lock(&odd_lock);
	nr_odd = nr;
	odd_result = result;
	pthread_mutex_unlock(&odd_lock);
}

static bool take_odd(int *ret_result)
{
	bool odd;

	pthread_mutex_lock(&odd_lock);
	odd = nr_odd > 0;
	nr_odd -= odd;
	*ret_result = odd_result;
	pthread_mutex_unlock(&odd_lock);
	return odd;
}

static bool is_odd_expected(void)
{
	bool expected;

	pthread_mutex_lock(&odd_lock);
	expected = nr_odd > 0;
	pthread_mutex_unlock(&odd_lock);
	return expected;
}

static ssize_t transfer(bool is_write, int fd, const struct iovec *iov, int nr_iov, off_t offset)
{
	ssize_t done = 0;
	int result;

	nr_calls++;
	if (meeting)
		pthread_barrier_wait(meeting);
	for (int i = 0; i < nr_iov; i++) {
		const ssize_t here =
			is_write ? pwrite(fd, iov[i].iov_base, iov[i].iov_len, offset + done)
				 : pread(fd, iov[i].iov_base, iov[i].iov_len, offset + done);

		if (here < 0)
			return -1;
		done += here;
	}
	if (!take_odd(&result))
		return done;
	if (result < 0)
		errno = -result;
	return result < 0 ? -1 : result;
}

ssize_t preadv(int fd, const struct iovec *iov, int nr_iov, off_t offset)
{
	return transfer(false, fd, iov, nr_iov, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int nr_iov, off_t offset)
{
	return transfer(true, fd, iov, nr_iov, offset);
}

/* Wait until the kernel has answered, then answer something else. */
int io_uring_submit(struct io_uring *ring)
{
	const int ret = io_uring_submit_and_wait(ring, is_odd_expected() ? 1 : 0);
	unsigned mask = *ring->cq.kring_mask, head = *ring->cq.khead;
	int result;

	nr_calls += ret > 0 ? (unsigned)ret : 0;
	for (; head != *ring->cq.ktail; head++) {
		struct io_uring_cqe *entry = &ring->cq.cqes[head & mask];

		if (io_uring_cqe_get_data(entry) && take_odd(&result))
			entry->res = result;
	}
	return ret;
}

static const struct {
	unsigned nr;
	int result;
	int expected;
} odd_ends[] = {
	{1, 1, 0},    /* one byte of the first piece */
	{1, 1024, 0}, /* just the first piece */
	{3, 1000, 0}, /* and again */
	{2, -EINTR, 0}, {3, -EAGAIN, 0}, {1, 0, -EIO}, {1, -EIO, -EIO}, {1, -ENOSPC, -ENOSPC},
};

/* What ends halfway is carried on with; what fails has failed. */
static void check_odd_ends(struct bench *b, enum aio_kind kind)
{
	open_image(b, memfd_create("image", 0));
	create(b, kind);
	memset(b->data, 0, IMAGE_SIZE);
	run_all(b, AIO_WRITE);
	for (unsigned i = 0; i < sizeof(odd_ends) / sizeof(odd_ends[0]); i++) {
		memset(b->data + BLOCK, (int)i + 1, BLOCK);
		expect_odd(odd_ends[i].nr, odd_ends[i].result);
		assert_int_equal(run(b, make(b, 1, AIO_WRITE)), odd_ends[i].expected);
		assert_int_equal(nr_odd, 0);
		memset(b->data + BLOCK, 0, BLOCK);
		expect_odd(odd_ends[i].nr, odd_ends[i].result);
		assert_int_equal(run(b, make(b, 1, AIO_READ)), odd_ends[i].expected);
		assert_int_equal(nr_odd, 0);
		for (unsigned j = 0; j < BLOCK && !odd_ends[i].expected; j++)
			assert_int_equal(b->data[BLOCK + j], i + 1);
	}
}

/* Four threads are in four calls at once, or none would ever come back. */
static void test_parallel_threads(void **state)
{
	struct bench *b = *state;
	pthread_barrier_t barrier;

	open_image(b, memfd_create("image", 0));
	create(b, AIO_THREADS);
	pthread_barrier_init(&barrier, NULL, 4);
	meeting = &barrier;
	/* None goes on where the one before it ends. */
	for (unsigned i = NR_REQUESTS; i > 0; i--)
		aio_submit(b->aio, make(b, i - 1, AIO_WRITE));
	aio_begin(b->aio);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		assert_int_equal(await(b)->result, 0);
	meeting = NULL;
	pthread_barrier_destroy(&barrier);
}

/* All wait in the kernel at once, and one that need not wait overtakes them. */
static void test_parallel_uring(void **state)
{
	struct bench *b = *state;
	struct aio_request flush = {.op = AIO_FLUSH};
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	open_image(b, ends[0]);
	b->other_fd = ends[1];
	create(b, AIO_URING);
	for (unsigned i = NR_REQUESTS; i > 0; i--)
		aio_submit(b->aio, make(b, i - 1, AIO_READ));
	aio_begin(b->aio);
	assert_null(aio_take(b->aio));
	/* A pipe cannot be flushed. */
	assert_int_equal(run(b, &flush), -EINVAL);
	memset(b->data, 0, IMAGE_SIZE);
	for (unsigned i = 0; i < NR_REQUESTS; i++) {
		uint8_t block[BLOCK];

		memset(block, 7, sizeof(block));
		assert_int_equal(write(b->other_fd, block, sizeof(block)), sizeof(block));
		assert_int_equal(await(b)->result, 0);
	}
	assert_null(aio_take(b->aio));
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		assert_int_equal(b->data[i], 7);
}

/* Return: how many of the host's they became. */
static unsigned begin_and_count(struct bench *b, unsigned nr, const int *results)
{
	bool seen[NR_REQUESTS] = {false};

	nr_calls = 0;
	aio_begin(b->aio);
	for (unsigned i = 0; i < nr; i++) {
		const struct aio_request *ended = await(b);
		const ptrdiff_t index = ended - b->requests;

		assert_in_range(index, 0, NR_REQUESTS - 1);
		assert_false(seen[index]);
		seen[index] = true;
		assert_int_equal(ended->result, results ? results[index] : 0);
	}
	assert_null(aio_take(b->aio));
	return nr_calls;
}

/* Neighbours are one request of the host's, and what is between them ends it. */
static void check_neighbours(struct bench *b, enum aio_kind kind)
{
	open_image(b, memfd_create("image", 0));
	create(b, kind);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		b->data[i] = (uint8_t)(i / BLOCK + i);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < NR_REQUESTS; i++)
			aio_submit(b->aio, make(b, i, AIO_WRITE));
		assert_int_equal(begin_and_count(b, NR_REQUESTS, NULL), 1);
	}
	memset(b->data, 0, IMAGE_SIZE);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		aio_submit(b->aio, make(b, i, AIO_READ));
	assert_int_equal(begin_and_count(b, NR_REQUESTS, NULL), 1);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		assert_int_equal(b->data[i], (uint8_t)(i / BLOCK + i));

	/* A gap, the same block again, another batch, another operation, another promise. */
	aio_submit(b->aio, make(b, 0, AIO_READ));
	aio_submit(b->aio, make(b, 1, AIO_READ));
	aio_submit(b->aio, make(b, 3, AIO_READ));
	aio_submit(b->aio, make(b, 2, AIO_READ));
	aio_submit(b->aio, make(b, 4, AIO_READ));
	assert_int_equal(begin_and_count(b, 5, NULL), 4);
	aio_submit(b->aio, make(b, 5, AIO_READ));
	assert_int_equal(begin_and_count(b, 1, NULL), 1);
	aio_submit(b->aio, make(b, 6, AIO_READ));
	aio_submit(b->aio, make(b, 7, AIO_WRITE));
	make(b, 8, AIO_WRITE)->durable = true;
	aio_submit(b->aio, &b->requests[8]);
	make(b, 9, AIO_WRITE)->durable = true;
	aio_submit(b->aio, &b->requests[9]);
	assert_int_equal(begin_and_count(b, 4, NULL), 3);
	/* A flush is none, though what it has no use for is like theirs. */
	for (unsigned i = 10; i < 12; i++) {
		b->requests[i] = (struct aio_request){.op = AIO_FLUSH};
		aio_submit(b->aio, &b->requests[i]);
	}
	begin_and_count(b, 2, NULL);
}

/* What fails in a run is one's own failure: the others are what they would have been alone. */
static void check_failing_neighbours(struct bench *b, enum aio_kind kind)
{
	const int results[] = {0, 0, 0, -EIO, -EIO};

	open_image(b, memfd_create("image", 0));
	create(b, kind);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		b->data[i] = (uint8_t)(i / BLOCK + i);
	run_all(b, AIO_WRITE);
	assert_int_equal(ftruncate(b->disk.fd, 3 * BLOCK + 700), 0);
	memset(b->data, 0, IMAGE_SIZE);
	for (unsigned i = 0; i < 5; i++)
		aio_submit(b->aio, make(b, i, AIO_READ));
	begin_and_count(b, 5, results);
	for (unsigned i = 0; i < 3 * BLOCK; i++)
		assert_int_equal(b->data[i], (uint8_t)(i / BLOCK + i));
	/* Halfway through the third, it can do no more; asked again, it can. */
	for (unsigned i = 0; i < 3; i++)
		aio_submit(b->aio, make(b, i, AIO_WRITE));
	expect_odd(1, 2 * BLOCK + 100);
	begin_and_count(b, 3, NULL);
	/* Nothing at all of the run, and then each of them. */
	for (unsigned i = 0; i < 3; i++)
		aio_submit(b->aio, make(b, i, AIO_WRITE));
	expect_odd(1, -ENOSPC);
	assert_int_equal(begin_and_count(b, 3, NULL), 4);
	assert_int_equal(nr_odd, 0);
}

/* A run has its limits: 1 MiB, and 128 pieces. */
static void check_long_runs(struct bench *b, enum aio_kind kind)
{
	const uint32_t size = 384 << 10;
	struct iovec pieces[3][64];

	open_image(b, memfd_create("image", 0));
	create(b, kind);
	/* All write the same memory, which is as long as a piece. */
	for (unsigned i = 0; i < 5; i++) {
		make(b, i, AIO_WRITE)->nr_iov = 3;
		for (unsigned j = 0; j < 3; j++)
			pieces[0][3 * i + j] = (struct iovec){b->data, IMAGE_SIZE};
		b->requests[i].iov = &pieces[0][3 * i];
		b->requests[i].offset = i * (uint64_t)size;
		b->requests[i].size = size;
		aio_submit(b->aio, &b->requests[i]);
	}
	assert_int_equal(begin_and_count(b, 5, NULL), 3);
	for (unsigned i = 0; i < 3; i++) {
		make(b, i, AIO_WRITE)->iov = pieces[i];
		for (unsigned j = 0; j < 64; j++)
			pieces[i][j] = (struct iovec){b->data + (size_t)64 * j, 64};
		b->requests[i].nr_iov = 64;
		aio_submit(b->aio, &b->requests[i]);
	}
	assert_int_equal(begin_and_count(b, 3, NULL), 2);
}

/* @nr of the blocks, most of them in order. */
static void choose_blocks(unsigned *order, unsigned nr)
{
	const unsigned from = (unsigned)random() % (NR_REQUESTS - nr + 1);

	for (unsigned i = 0; i < nr; i++)
		order[i] = from + i;
	for (unsigned left = (unsigned)random() % 8; left > 0; left--) {
		const unsigned x = (unsigned)random() % nr, y = (unsigned)random() % nr;
		const unsigned old = order[x];

		order[x] = order[y];
		order[y] = old;
	}
}

static void submit_any(struct bench *b, unsigned block, uint8_t fill, unsigned writes)
{
	const bool is_write = (unsigned)random() % 8 < writes;
	struct aio_request *request = make(b, block, is_write ? AIO_WRITE : AIO_READ);

	memset(b->data + (size_t)block * BLOCK, fill, BLOCK);
	request->durable = is_write && random() % 8 == 0;
	aio_submit(b->aio, request);
}

/* Return: how many have failed. */
static unsigned take_batch(struct bench *b, unsigned nr, uint8_t *image)
{
	unsigned nr_failed = 0;

	for (unsigned i = 0; i < nr; i++) {
		const struct aio_request *ended = await(b);
		const size_t at = (size_t)(ended - b->requests) * BLOCK;

		nr_failed += ended->result != 0;
		/* The host has written what it says that it has not. */
		if (ended->op == AIO_WRITE)
			memcpy(image + at, b->data + at, BLOCK);
		else if (ended->result == 0)
			assert_memory_equal(b->data + at, image + at, BLOCK);
	}
	assert_null(aio_take(b->aio));
	return nr_failed;
}

/*
 * Batches of any requests, many of them neighbours, of which the host fails a call now and then:
 * what has ended well has done its work, and no more requests have failed than calls did.
 */
static void check_any_batches(struct bench *b, enum aio_kind kind)
{
	uint8_t image[IMAGE_SIZE] = {0};
	unsigned order[NR_REQUESTS];

	open_image(b, memfd_create("image", 0));
	create(b, kind);
	run_all(b, AIO_WRITE);
	srandom(1);
	for (unsigned round = 0; round < 500; round++) {
		const unsigned nr = 1 + (unsigned)random() % NR_REQUESTS;
		const bool fails = random() % 3 == 0;

		choose_blocks(order, nr);
		for (unsigned i = 0; i < nr; i++)
			submit_any(b, order[i], (uint8_t)(round + i), round % 9);
		expect_odd(fails, -EIO);
		aio_begin(b->aio);
		assert_in_range(take_batch(b, nr, image), 0, fails);
		expect_odd(0, 0);
	}
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		assert_int_equal(run(b, make(b, i, AIO_READ)), 0);
	assert_memory_equal(b->data, image, IMAGE_SIZE);
}

/* O_DIRECT and buffers that it does not take: their contents get there all the same. */
static void check_direct(struct bench *b, enum aio_kind kind)
{
	char path[] = "test_aio.XXXXXX";
	struct ccr_err err = {0};
	struct iovec iov;
	int fd = mkstemp(path);
	int ret;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	close(fd);
	ret = disk_open(&b->disk, path, DISK_DIRECT, &err);
	unlink(path);
	if (ret == -EINVAL)
		skip();
	assert_int_equal(ret, 0);
	create(b, kind);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		b->data[i] = (uint8_t)(i * 3 + i / 256);
	b->requests[0] = (struct aio_request){
		.op = AIO_WRITE, .iov = &iov, .nr_iov = 1, .offset = 8192, .size = 8192};
	for (unsigned shift = 0; shift < 3; shift++) {
		iov = (struct iovec){b->data + shift * 100, 8192};
		b->requests[0].nr_iov = 1;
		b->requests[0].iov = &iov;
		b->requests[0].op = AIO_WRITE;
		b->requests[0].durable = true;
		assert_int_equal(disk_is_aligned(&b->disk, &iov, 1), shift == 0);
		assert_int_equal(run(b, &b->requests[0]), 0);
		iov = (struct iovec){b->data + 5 * BLOCK + shift, 8192};
		b->requests[0].nr_iov = 1;
		b->requests[0].iov = &iov;
		b->requests[0].op = AIO_READ;
		assert_int_equal(run(b, &b->requests[0]), 0);
		assert_memory_equal(b->data + 5 * BLOCK + shift, b->data + shift * 100, 8192);
	}
	/* Half a block is the file system's to take or to refuse. */
	iov = (struct iovec){b->data, 100};
	b->requests[0].nr_iov = 1;
	b->requests[0].iov = &iov;
	b->requests[0].offset = 4100;
	b->requests[0].size = 100;
	b->requests[0].op = AIO_WRITE;
	ret = run(b, &b->requests[0]);
	assert_true(ret == 0 || ret == -EINVAL);
}

static void check_destroy_in_flight(struct bench *b, enum aio_kind kind)
{
	open_image(b, memfd_create("image", 0));
	assert_int_equal(ftruncate(b->disk.fd, IMAGE_SIZE), 0);
	create(b, kind);
	memset(b->data, 0xee, IMAGE_SIZE);
	for (unsigned i = 0; i < NR_REQUESTS; i++)
		aio_submit(b->aio, make(b, i, i % 2 ? AIO_READ : AIO_WRITE));
	aio_begin(b->aio);
	aio_destroy(b->aio);
	b->aio = NULL;
	/* Nobody writes there any more. */
	memset(b->data, 0x11, IMAGE_SIZE);
	usleep(1000);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		assert_int_equal(b->data[i], 0x11);
}

#define BOTH(what)                                      \
	static void test_##what##_threads(void **state) \
	{                                               \
		check_##what(*state, AIO_THREADS);      \
	}                                               \
	static void test_##what##_uring(void **state)   \
	{                                               \
		check_##what(*state, AIO_URING);        \
	}

BOTH(write_and_read)
BOTH(ranges)
BOTH(short_image)
BOTH(full_host)
BOTH(errors)
BOTH(odd_ends)
BOTH(neighbours)
BOTH(failing_neighbours)
BOTH(long_runs)
BOTH(any_batches)
BOTH(direct)
BOTH(destroy_in_flight)

/* Where the host gives us no io_uring, threads do the work unless it was asked for by name. */
static void test_auto(void **state)
{
	struct bench *b = *state;
	struct rlimit old, few;
	struct ccr_err err = {0};

	open_image(b, memfd_create("image", 0));
	assert_int_equal(aio_create(&b->aio, &b->disk, AIO_AUTO, 2, &err), 0);
	assert_string_equal(aio_name(b->aio), "uring");
	aio_destroy(b->aio);
	b->aio = NULL;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(aio_create(&b->aio, &b->disk, AIO_URING, 2, &err), -EMFILE);
	assert_non_null(strstr(err.msg, "io_uring"));
	err_clear(&err);
	assert_int_equal(aio_create(&b->aio, &b->disk, AIO_AUTO, 2, &err), -EMFILE);
	assert_non_null(strstr(err.msg, "threads"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

#define AIO_TEST(f)     cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
#define AIO_TESTS(what) AIO_TEST(test_##what##_threads), AIO_TEST(test_##what##_uring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AIO_TESTS(write_and_read),
		AIO_TESTS(ranges),
		AIO_TESTS(short_image),
		AIO_TESTS(full_host),
		AIO_TESTS(errors),
		AIO_TESTS(odd_ends),
		AIO_TESTS(direct),
		AIO_TESTS(parallel),
		AIO_TESTS(destroy_in_flight),
		AIO_TESTS(neighbours),
		AIO_TESTS(failing_neighbours),
		AIO_TESTS(long_runs),
		AIO_TESTS(any_batches),
		AIO_TEST(test_auto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

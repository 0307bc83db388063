/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An emulated realm whose disk is busy while its vCPUs share the pages of requests in flight and
 * take them back, and talk. For ThreadSanitizer (`make race`), which sees each thread of a machine
 * here; as a unit test it sees that nothing is stuck, and that who is not disturbed gets its data.
 *
 * links: whole-machine
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../fake/fake_machine.h"
#include "ccr/disk.h"
#include "ccr/log.h"
#include "ccr/rsi.h"

#define NR_DRIVERS 2 /* vCPUs 0 and 1, each with a queue of the disk */
#define NR_SHARERS 2 /* those behind them */
#define NR_VCPUS   (NR_DRIVERS + NR_SHARERS)

#define PAGE         GRANULE_SIZE
#define AREA         (MEMMAP_RAM_BASE + 0x2000000)
#define DRIVER_PAGES 4u /* rings, headers and status, two of data */
#define CALM_PAGES   (NR_DRIVERS * DRIVER_PAGES)
#define WILD         (AREA + CALM_PAGES * PAGE) /* these change all the time */
#define WILD_PAGES   8u

#define QUEUE_SIZE  16u
#define NR_REQUESTS 4u                   /* of a round, three descriptors each */
#define WILD_SECTOR (64ull * NR_DRIVERS) /* what wild pages are written to */
#define DISK        0x03000400ull        /* the registers: the third place */
#define STUCK_S     100

#define MAX_OPS 4000

struct story;

/**
 * struct driver - of one queue
 * @written: the value of the page that the last round has written
 */
struct driver {
	struct story *story;
	unsigned nr;
	uint16_t nr_offered;
	unsigned nr_rounds;
	uint8_t written;
	time_t since;
};

struct story {
	struct fake_machine machine;
	struct fake_op ops[NR_VCPUS][MAX_OPS];
	unsigned nr_ops[NR_VCPUS];
	struct driver drivers[NR_DRIVERS];
	int disk_fd;
	char disk[32];
	atomic_bool is_up;     /* the device is there for the other driver */
	atomic_uint nr_busy;   /* vCPUs that have not done all */
	atomic_uint nr_stuck;  /* rounds that did not end */
	atomic_uint nr_wrong;  /* undisturbed requests that failed, or whose data is another's */
	atomic_uint nr_served; /* disturbed ones that were done */
	atomic_uint nr_denied; /* and that were in the way of a change */
};

static uint64_t page_of(const struct driver *driver, unsigned page)
{
	return AREA + (driver->nr * DRIVER_PAGES + page) * PAGE;
}

static uint64_t shared(const struct story *story, uint64_t at)
{
	return fake_machine_shared(&story->machine, at);
}

static void put(const struct driver *driver, uint64_t at, const void *bytes, size_t size)
{
	if (!fake_kvm_guest_write(shared(driver->story, at), bytes, size))
		atomic_fetch_add(&driver->story->nr_wrong, 1);
}

static void get(const struct driver *driver, uint64_t at, void *bytes, size_t size)
{
	if (!fake_kvm_guest_read(shared(driver->story, at), bytes, size))
		atomic_fetch_add(&driver->story->nr_wrong, 1);
}

static uint64_t avail_of(const struct driver *driver)
{
	return page_of(driver, 0) + QUEUE_SIZE * sizeof(struct vring_desc);
}

static uint64_t used_of(const struct driver *driver)
{
	return page_of(driver, 0) + PAGE / 2;
}

static uint64_t status_of(const struct driver *driver, unsigned request)
{
	return page_of(driver, 1) + NR_REQUESTS * sizeof(struct virtio_blk_outhdr) + request;
}

/* Request @nr of a round: one page at @data, to or from @sector. */
static void offer(struct driver *driver, unsigned nr, uint32_t type, uint64_t sector, uint64_t data)
{
	const struct virtio_blk_outhdr header = {.type = type, .sector = sector};
	const uint64_t header_at = page_of(driver, 1) + nr * sizeof(header);
	const uint16_t head = (uint16_t)(nr * 3);
	const struct vring_desc descs[3] = {
		{shared(driver->story, header_at), sizeof(header), VRING_DESC_F_NEXT,
		 (uint16_t)(head + 1)},
		{shared(driver->story, data), PAGE,
		 VRING_DESC_F_NEXT | (type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0),
		 (uint16_t)(head + 2)},
		{shared(driver->story, status_of(driver, nr)), 1, VRING_DESC_F_WRITE, 0},
	};
	const uint64_t entry = avail_of(driver) + 4 + driver->nr_offered % QUEUE_SIZE * 2;
	const uint8_t untouched = 0xff;

	put(driver, header_at, &header, sizeof(header));
	put(driver, status_of(driver, nr), &untouched, 1);
	put(driver, page_of(driver, 0) + head * sizeof(descs[0]), descs, sizeof(descs));
	put(driver, entry, &head, sizeof(head));
	driver->nr_offered++;
}

/* Each round writes the sectors that the one before did not. */
static uint64_t sector_of(const struct driver *driver, unsigned round)
{
	return 64ull * driver->nr + round % 2 * 8;
}

/* No page is in two requests at once, which would be a race that a guest has made for itself. */
static uint64_t wild_page(const struct driver *driver, unsigned nr)
{
	const unsigned page = (driver->nr_rounds * 3 + nr) * NR_DRIVERS + driver->nr;

	return WILD + page % WILD_PAGES * PAGE;
}

static bool begin_round(void *ctx)
{
	struct driver *driver = ctx;
	uint8_t page[PAGE];

	memset(page, (uint8_t)(driver->nr_rounds % 100 + 100 * driver->nr + 1), sizeof(page));
	put(driver, page_of(driver, 2), page, sizeof(page));
	offer(driver, 0, VIRTIO_BLK_T_OUT, sector_of(driver, driver->nr_rounds),
	      page_of(driver, 2));
	offer(driver, 1, VIRTIO_BLK_T_IN, sector_of(driver, driver->nr_rounds + 1),
	      page_of(driver, 3));
	offer(driver, 2, VIRTIO_BLK_T_IN, WILD_SECTOR, wild_page(driver, 0));
	offer(driver, 3, VIRTIO_BLK_T_OUT, WILD_SECTOR + 8, wild_page(driver, 1));
	put(driver, avail_of(driver) + 2, &driver->nr_offered, sizeof(driver->nr_offered));
	driver->since = time(NULL);
	return false;
}

static void check_calm(struct driver *driver)
{
	uint8_t page[PAGE], status[2];

	get(driver, status_of(driver, 0), status, sizeof(status));
	get(driver, page_of(driver, 3), page, sizeof(page));
	for (unsigned i = 0; i < 2; i++) {
		if (status[i] != VIRTIO_BLK_S_OK)
			atomic_fetch_add(&driver->story->nr_wrong, 1);
	}
	for (unsigned i = 0; i < sizeof(page); i++) {
		if (page[i] != driver->written) {
			atomic_fetch_add(&driver->story->nr_wrong, 1);
			break;
		}
	}
}

static void count_wild(struct driver *driver)
{
	uint8_t status[2];

	get(driver, status_of(driver, 2), status, sizeof(status));
	for (unsigned i = 0; i < 2; i++)
		atomic_fetch_add(status[i] == VIRTIO_BLK_S_OK ? &driver->story->nr_served
							      : &driver->story->nr_denied,
				 1);
}

static bool end_round(void *ctx)
{
	struct driver *driver = ctx;
	uint16_t used = 0;

	get(driver, used_of(driver) + 2, &used, sizeof(used));
	if (used != driver->nr_offered) {
		/* One is enough: the rounds behind it need not wait as well. */
		if (atomic_load(&driver->story->nr_stuck) == 0 &&
		    time(NULL) - driver->since < STUCK_S) {
			usleep(200);
			return true;
		}
		atomic_fetch_add(&driver->story->nr_stuck, 1);
	}
	check_calm(driver);
	count_wild(driver);
	driver->written = (uint8_t)(driver->nr_rounds % 100 + 100 * driver->nr + 1);
	driver->nr_rounds++;
	return false;
}

static bool announce(void *ctx)
{
	struct story *story = ctx;

	atomic_store(&story->is_up, true);
	return false;
}

static bool until_up(void *ctx)
{
	struct story *story = ctx;

	usleep(200);
	return !atomic_load(&story->is_up);
}

static bool finish(void *ctx)
{
	struct story *story = ctx;

	atomic_fetch_sub(&story->nr_busy, 1);
	return false;
}

static bool until_finished(void *ctx)
{
	struct story *story = ctx;

	usleep(200);
	return atomic_load(&story->nr_busy) > 0;
}

/* Scripts. */

static struct fake_op *add(struct story *story, unsigned vcpu, enum fake_op_kind kind)
{
	assert_true(story->nr_ops[vcpu] < MAX_OPS - 1);
	story->ops[vcpu][story->nr_ops[vcpu]].kind = kind;
	return &story->ops[vcpu][story->nr_ops[vcpu]++];
}

static void add_call(struct story *story, unsigned vcpu, bool (*call)(void *ctx), void *ctx)
{
	struct fake_op *op = add(story, vcpu, FAKE_CALL);

	op->call = call;
	op->ctx = ctx;
}

static void add_change(struct story *story, unsigned vcpu, uint64_t at, unsigned nr_pages,
		       enum rsi_ripas ripas)
{
	const uint64_t x[] = {RSI_IPA_STATE_SET, at, at + nr_pages * PAGE, ripas, 1};

	memcpy(add(story, vcpu, FAKE_SMC)->x, x, sizeof(x));
}

static void add_psci(struct story *story, unsigned vcpu, uint64_t fid, uint64_t target)
{
	const uint64_t x[] = {fid, target, MEMMAP_RAM_BASE};

	memcpy(add(story, vcpu, FAKE_SMC)->x, x, sizeof(x));
}

static void add_register(struct story *story, unsigned vcpu, unsigned reg, uint64_t value)
{
	struct fake_op *op = add(story, vcpu, FAKE_STORE);

	op->at = shared(story, DISK + reg);
	op->size = 4;
	op->value = value & UINT32_MAX;
}

static void add_queue(struct story *story, struct driver *driver)
{
	const struct {
		unsigned reg;
		uint64_t value;
	} areas[] = {
		{VIRTIO_MMIO_QUEUE_DESC_LOW, shared(story, page_of(driver, 0))},
		{VIRTIO_MMIO_QUEUE_AVAIL_LOW, shared(story, avail_of(driver))},
		{VIRTIO_MMIO_QUEUE_USED_LOW, shared(story, used_of(driver))},
	};

	add_register(story, 0, VIRTIO_MMIO_QUEUE_SEL, driver->nr);
	add_register(story, 0, VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
	for (unsigned i = 0; i < 3; i++) {
		add_register(story, 0, areas[i].reg, areas[i].value);
		add_register(story, 0, areas[i].reg + 4, areas[i].value >> 32);
	}
	add_register(story, 0, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void add_start(struct story *story)
{
	const unsigned steps[] = {0, VIRTIO_CONFIG_S_ACKNOWLEDGE,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER};
	const unsigned ready = steps[2] | VIRTIO_CONFIG_S_FEATURES_OK;

	for (unsigned i = 0; i < 3; i++)
		add_register(story, 0, VIRTIO_MMIO_STATUS, steps[i]);
	add_register(story, 0, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	add_register(story, 0, VIRTIO_MMIO_DRIVER_FEATURES, 1u << VIRTIO_BLK_F_MQ);
	add_register(story, 0, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	add_register(story, 0, VIRTIO_MMIO_DRIVER_FEATURES,
		     1u << (VIRTIO_F_VERSION_1 - 32) | 1u << (VIRTIO_F_ACCESS_PLATFORM - 32));
	add_register(story, 0, VIRTIO_MMIO_STATUS, ready);
	for (unsigned i = 0; i < NR_DRIVERS; i++)
		add_queue(story, &story->drivers[i]);
	add_register(story, 0, VIRTIO_MMIO_STATUS, ready | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void add_rounds(struct story *story, unsigned vcpu, unsigned nr_rounds)
{
	for (unsigned i = 0; i < nr_rounds; i++) {
		add_call(story, vcpu, begin_round, &story->drivers[vcpu]);
		add_register(story, vcpu, VIRTIO_MMIO_QUEUE_NOTIFY, vcpu);
		add_call(story, vcpu, end_round, &story->drivers[vcpu]);
		add_register(story, vcpu, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	}
}

/* Some pages, all of them, and pages that the other sharer has just changed. */
static void add_changes(struct story *story, unsigned vcpu, unsigned nr_changes)
{
	for (unsigned i = 0; i < nr_changes; i++) {
		const unsigned first = (i * 5 + vcpu) % WILD_PAGES;
		const unsigned nr = i % 7 ? 1 + i % (WILD_PAGES - first) : WILD_PAGES - first;
		struct fake_op *op;

		add_change(story, vcpu, WILD + first * PAGE, nr, i % 2 ? RSI_RAM : RSI_EMPTY);
		if (i % 8)
			continue;
		op = add(story, vcpu, FAKE_STORE);
		*op = (struct fake_op){.kind = FAKE_STORE,
				       .at = shared(story, FAKE_MACHINE_UART),
				       .size = 1,
				       .value = '.'};
	}
}

static void write_scripts(struct story *story, unsigned nr_rounds)
{
	add_change(story, 0, AREA, CALM_PAGES + WILD_PAGES, RSI_EMPTY);
	add_start(story);
	add_call(story, 0, announce, story);
	for (unsigned vcpu = 1; vcpu < NR_VCPUS; vcpu++) {
		add_psci(story, 0, FAKE_PSCI_CPU_ON, vcpu);
		add_call(story, vcpu, until_up, story);
	}
	for (unsigned vcpu = 0; vcpu < NR_DRIVERS; vcpu++)
		add_rounds(story, vcpu, nr_rounds);
	for (unsigned vcpu = NR_DRIVERS; vcpu < NR_VCPUS; vcpu++)
		add_changes(story, vcpu, nr_rounds * 4);
	for (unsigned vcpu = 0; vcpu < NR_VCPUS; vcpu++)
		add_call(story, vcpu, finish, story);
	add_call(story, 0, until_finished, story);
	add_psci(story, 0, FAKE_PSCI_SYSTEM_OFF, 0);
}

static void open_disk(struct story *story, enum aio_kind io)
{
	struct vm_disk *disk = &story->machine.config.disks[0];

	story->disk_fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(story->disk_fd >= 0);
	assert_int_equal(ftruncate(story->disk_fd, 1 << 20), 0);
	snprintf(story->disk, sizeof(story->disk), "/proc/self/fd/%d", story->disk_fd);
	story->machine.config.nr_disks = 1;
	*disk = (struct vm_disk){.path = story->disk, .io = io, .nr_queues = NR_DRIVERS};
}

/* How much of it: all that fits a script in `make soak`, some of it in `make check`. */
static unsigned nr_rounds_wanted(void)
{
	const char *soak = getenv("SOAK");

	return soak && *soak ? 900 : 60;
}

static void run(enum aio_kind io)
{
	const unsigned nr_rounds = nr_rounds_wanted();
	struct story *story = calloc(1, sizeof(*story));
	struct fake_machine *machine;

	assert_non_null(story);
	machine = &story->machine;
	fake_machine_load(machine, MACHINE_EMULATED, NR_VCPUS, false);
	machine->launch.has_virtio_mmio = true;
	machine->drains_output = true;
	/* Enough for queues of QUEUE_SIZE. */
	machine->config.bounce_size = 32ull << 20;
	open_disk(story, io);
	for (unsigned i = 0; i < NR_DRIVERS; i++)
		story->drivers[i] = (struct driver){.story = story, .nr = i};
	atomic_store(&story->nr_busy, NR_VCPUS);
	write_scripts(story, nr_rounds);
	fake_kvm_begin(&fake_host_default);
	for (unsigned vcpu = 0; vcpu < NR_VCPUS; vcpu++)
		fake_kvm_set_guest(1, vcpu, story->ops[vcpu]);

	fake_machine_run(machine);
	assert_string_equal(machine->err.msg, "");
	assert_int_equal(machine->ret, 0);
	assert_int_equal(machine->outcome, VM_POWEROFF);
	assert_int_equal(atomic_load(&story->nr_stuck), 0);
	assert_int_equal(atomic_load(&story->nr_wrong), 0);
	for (unsigned i = 0; i < NR_DRIVERS; i++)
		assert_int_equal(story->drivers[i].nr_rounds, nr_rounds);
	/* Both must have happened, or pages did not change while requests were in flight. */
	print_message("# %u disturbed requests done, %u denied\n", atomic_load(&story->nr_served),
		      atomic_load(&story->nr_denied));
	assert_true(atomic_load(&story->nr_served) > 0);
	assert_true(atomic_load(&story->nr_denied) > 0);

	fake_kvm_end();
	fake_machine_done(machine);
	close(story->disk_fd);
	free(story);
}

static void test_threads(void **state)
{
	(void)state;
	run(AIO_THREADS);
}

/* Where the host has it; else these are threads once more. */
static void test_best_engine(void **state)
{
	(void)state;
	run(AIO_AUTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_best_engine),
	};

	log_init(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vhost_dev.c src/virtio/vhost_blk.c src/virtio/vhost_fs.c
 *	src/host/vhost_user.c src/host/vhost.c
 *	src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c
 *	src/virtio/virtq_books.c
 *	src/virtio/mem.c src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c
 *	src/util/err.c tests/fake/virtio_guest.c tests/fake/vhost_backend.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ccr/vhost_dev.h"
#include "ccr/virtio_pci.h"
#include "../fake/vhost_backend.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define FEATURES    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define RINGS       (GUEST_RAM_BASE + 0x1000)
#define DATA        (GUEST_RAM_BASE + 0x10000)
#define QUEUE_SIZE  16u
#define NR_QUEUES   2u
#define PATIENCE_MS 5000u
#define SHORT_MS    50u
#define DRIVER_OK   0x0f
#define NEEDS_RESET 0x4f

struct bench {
	struct guest *guest;
	struct vhost_backend *backend;
	struct vhost vhost;
	struct vhost_dev dev;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queue;
	int kick_fds[NR_QUEUES], call_fds[NR_QUEUES];
};

static int begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->guest = guest_create();
	b->backend = backend_create();
	b->backend->features |= BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) |
				BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_RING_F_EVENT_IDX);
	b->backend->config[0] = 77; /* sectors */
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		b->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		b->call_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	log_init(LOG_ERROR);
	*state = b;
	return 0;
}

static struct vhost_dev_config config_for(struct bench *b)
{
	const uint64_t base = GUEST_RAM_BASE, alias = GUEST_RAM_BASE | GUEST_SHARED_BIT;

	return (struct vhost_dev_config){
		.type = &vhost_blk_type,
		.vhost = &b->vhost,
		.name = "fake",
		.limits = {.queue_size = QUEUE_SIZE, .seg_max = 30, .size_max = 4096},
		.own_features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_SIZE_MAX),
		.nr_queues = NR_QUEUES,
		.nr_regions = 2,
		.regions = {{base, GUEST_RAM_SIZE, base, b->guest->mem.fd, 0},
			    {alias, GUEST_RAM_SIZE, alias, b->guest->mem.fd, 0}},
		.kick_fds = b->kick_fds,
		.call_fds = b->call_fds,
	};
}

static int try_create(struct bench *b, struct ccr_err *err)
{
	const struct virtio_setup setup = guest_setup(b->guest);
	const struct vhost_dev_config config = config_for(b);

	assert_int_equal(vhost_user_init(&b->vhost, backend_start(b->backend),
					 vhost_blk_type.protocol, PATIENCE_MS),
			 0);
	return vhost_dev_init(&b->dev, &config, &setup, err);
}

static void create(struct bench *b)
{
	struct ccr_err err = {0};

	assert_int_equal(try_create(b, &err), 0);
	virtio_pci_init(&b->transport, &b->dev.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
}

static void destroy(struct bench *b)
{
	vhost_dev_stop(&b->dev);
	vhost_dev_done(&b->dev);
	virtio_pci_done(&b->transport);
	vhost_close(&b->vhost);
	backend_stop(b->backend);
}

static int end(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < NR_QUEUES; i++) {
		close(b->kick_fds[i]);
		close(b->call_fds[i]);
	}
	backend_destroy(b->backend);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

/* The driver comes up, with one queue of the two. */
static void drive(struct bench *b, uint64_t features)
{
	assert_int_equal(guest_negotiate(&b->device, FEATURES | features), 0x0b);
	guest_queue_place(&b->queue, b->guest, RINGS, QUEUE_SIZE);
	guest_enable_queue(&b->device, 0, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	vhost_dev_serve(&b->dev);
}

static void offer(struct bench *b, const char *text, bool has_shared_bit)
{
	const uint64_t at = DATA | (has_shared_bit ? GUEST_SHARED_BIT : 0);
	const struct guest_piece pieces[] = {{at, (uint32_t)strlen(text), false},
					     {at + 0x1000, 64, true}};

	memcpy(guest_ram(&b->guest->mem, DATA), text, strlen(text));
	memset(guest_ram(&b->guest->mem, DATA + 0x1000), 0, 64);
	guest_add(&b->queue, pieces, 2);
}

static void kick(struct bench *b)
{
	const uint64_t one = 1;

	assert_int_equal(write(b->kick_fds[0], &one, sizeof(one)), sizeof(one));
}

/* Wait for the back end's signal. */
static void take_signal(int fd)
{
	struct pollfd source = {.fd = fd, .events = POLLIN};
	uint64_t count;

	assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

static void take_call(struct bench *b)
{
	take_signal(b->call_fds[0]);
	vhost_dev_interrupt(&b->dev, 0);
}

static void echo(struct bench *b, const char *text, bool has_shared_bit)
{
	struct vring_used_elem elem;

	offer(b, text, has_shared_bit);
	kick(b);
	take_call(b);
	assert_true(guest_take_used(&b->queue, &elem));
	assert_int_equal(elem.len, strlen(text));
	assert_memory_equal(guest_ram(&b->guest->mem, DATA + 0x1000), text, strlen(text));
}

static uint64_t config_at(struct bench *b, unsigned offset, unsigned size)
{
	return guest_mem_read(b->guest, b->device.config + offset, size);
}

static void test_offers_what_both_can(void **state)
{
	struct bench *b = *state;

	create(b);
	assert_int_equal(guest_offered(&b->device),
			 FEATURES | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_BLK_F_FLUSH) |
				 BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				 BIT(VIRTIO_BLK_F_SIZE_MAX));
	destroy(b);
}

static void test_shows_the_back_ends_config(void **state)
{
	struct bench *b = *state;

	b->backend->config[offsetof(struct virtio_blk_config, seg_max)] = 20;
	create(b);
	assert_int_equal(config_at(b, 0, 4), 77);
	assert_int_equal(config_at(b, offsetof(struct virtio_blk_config, seg_max), 4), 20);
	assert_int_equal(config_at(b, offsetof(struct virtio_blk_config, size_max), 4), 4096);
	assert_int_equal(config_at(b, offsetof(struct virtio_blk_config, num_queues), 2),
			 NR_QUEUES);
	destroy(b);
}

/* The back end never hears of ACCESS_PLATFORM, nor of what is ours alone. */
static void test_serves(void **state)
{
	struct bench *b = *state;

	create(b);
	drive(b, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_SEG_MAX));
	echo(b, "one", false);
	echo(b, "another", true);
	destroy(b);
	assert_int_equal(b->backend->accepted,
			 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(30));
	assert_non_null(strstr(b->backend->log,
			       "SET_MEM_TABLE 2; SET_VRING_NUM 0=16; SET_VRING_BASE 0=0; "
			       "SET_VRING_ADDR 0=0x80001000; SET_VRING_CALL 0; "
			       "SET_VRING_KICK 0; SET_VRING_ENABLE 0=1; GET_VRING_BASE 0=2"));
}

static void test_interrupts(void **state)
{
	struct bench *b = *state;

	create(b);
	guest_use_msix(&b->device, 0xfee00000, 3);
	drive(b, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	echo(b, "x", false);
	assert_int_equal(b->guest->nr_msis, 1);
	assert_int_equal(b->guest->msis[0].vector, 1);
	destroy(b);
}

/* Books are kept of disks: signals come by us, also where messages have descriptors. */
static void test_indirect_interrupts(void **state)
{
	struct bench *b = *state;

	create(b);
	b->guest->msi_fd = b->kick_fds[1];
	guest_use_msix(&b->device, 0xfee00000, 3);
	drive(b, 0);
	echo(b, "x", false);
	assert_int_equal(b->guest->nr_msis, 1);
	destroy(b);
}

/* A reset is over only when the back end has given the queues back. */
static void test_reset_waits(void **state)
{
	struct bench *b = *state;
	unsigned nr_kicks;

	create(b);
	drive(b, 0);
	echo(b, "before", false);
	nr_kicks = b->guest->nr_kicks;
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(guest_status(&b->device), DRIVER_OK);
	assert_int_equal(b->guest->nr_kicks, nr_kicks + 1);
	vhost_dev_serve(&b->dev);
	assert_int_equal(guest_status(&b->device), 0);
	drive(b, 0);
	echo(b, "after", false);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "GET_VRING_BASE 0=1; RESET_DEVICE; SET_FEATURES"));
	assert_non_null(strstr(b->backend->log, "SET_VRING_BASE 0=0; SET_VRING_ADDR 0=0x80001000; "
						"SET_VRING_CALL 0; SET_VRING_KICK 0; "
						"SET_VRING_ENABLE 0=1; GET_VRING_BASE 0=1"));
}

/* Without the right to DMA nothing runs; with it, all goes on where it was. */
static void test_bus_master(void **state)
{
	struct bench *b = *state;
	const uint64_t command = guest_config_read(b->guest, 0, 4, 2);

	create(b);
	drive(b, 0);
	echo(b, "one", false);
	echo(b, "two", false);
	guest_config_write(b->guest, 0, 4, 2, (command | 2) & ~4ull);
	vhost_dev_serve(&b->dev);
	offer(b, "three", false);
	kick(b);
	guest_config_write(b->guest, 0, 4, 2, command | 6);
	vhost_dev_serve(&b->dev);
	take_call(b);
	assert_memory_equal(guest_ram(&b->guest->mem, DATA + 0x1000), "three", 5);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "GET_VRING_BASE 0=2; SET_FEATURES"));
	assert_non_null(strstr(b->backend->log, "SET_VRING_BASE 0=2"));
}

/* The queues are taken back, and the driver's reset is all that is needed. */
static void test_broken(void **state)
{
	struct bench *b = *state;

	create(b);
	vhost_dev_break(&b->dev);
	assert_int_equal(guest_status(&b->device), 0);
	drive(b, 0);
	vhost_dev_break(&b->dev);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_false(b->dev.is_running);
	assert_false(vhost_dev_is_lost(&b->dev));
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	drive(b, 0);
	echo(b, "one", false);
	destroy(b);
}

static int cannot_reach(struct vhost *vhost, uint32_t which)
{
	(void)vhost;
	(void)which;
	return -EFAULT;
}

/* Rings that the kernel does not reach are the driver's fault, and no reason to give it up. */
static void test_unreachable_rings(void **state)
{
	struct bench *b = *state;
	const struct vhost_carrier *carrier;
	struct vhost_carrier blind;

	create(b);
	carrier = b->vhost.carrier;
	blind = *carrier;
	blind.run = cannot_reach;
	b->vhost.carrier = &blind;
	drive(b, 0);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_false(b->dev.is_running);
	assert_false(vhost_dev_is_lost(&b->dev));
	b->vhost.carrier = carrier;
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	drive(b, 0);
	echo(b, "one", false);
	destroy(b);
}

static void test_private_rings(void **state)
{
	struct bench *b = *state;

	create(b);
	b->guest->mem.is_private[(RINGS - GUEST_RAM_BASE) / GRANULE_SIZE] = true;
	assert_int_equal(guest_negotiate(&b->device, FEATURES), 0x0b);
	guest_queue_place(&b->queue, b->guest, RINGS, QUEUE_SIZE);
	guest_enable_queue(&b->device, 0, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	vhost_dev_serve(&b->dev);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_false(vhost_dev_is_lost(&b->dev));
	destroy(b);
	assert_null(strstr(b->backend->log, "SET_MEM_TABLE"));
}

/* Losing the back end. */

static void lose(struct bench *b)
{
	bool is_lost = false;

	backend_hang_up(b->backend);
	backend_stop(b->backend);
	vhost_dev_lose(&b->dev, -ECONNRESET);
	assert_true(vhost_dev_is_lost(&b->dev));
	assert_int_equal(vhost_dev_nr_losses(&b->dev, &is_lost), 1);
	assert_true(is_lost);
}

static int come_back(struct bench *b)
{
	struct vhost fresh;

	b->backend->log[0] = '\0';
	assert_int_equal(vhost_user_init(&fresh, backend_start(b->backend), vhost_blk_type.protocol,
					 PATIENCE_MS),
			 0);
	return vhost_dev_adopt(&b->dev, &fresh);
}

static void test_idle_loss(void **state)
{
	struct bench *b = *state;

	create(b);
	drive(b, 0);
	echo(b, "one", false);
	lose(b);
	assert_int_equal(guest_status(&b->device), DRIVER_OK);
	/* Nobody takes this yet. */
	offer(b, "two", false);
	kick(b);
	vhost_dev_serve(&b->dev);
	b->backend->config[0] = 99;
	assert_int_equal(come_back(b), 0);
	assert_int_equal(config_at(b, 0, 4), 99);
	take_call(b);
	assert_memory_equal(guest_ram(&b->guest->mem, DATA + 0x1000), "two", 3);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "SET_VRING_BASE 0=1"));
}

/* What it had is given to the next one. */
static void test_busy_loss(void **state)
{
	struct bench *b = *state;

	create(b);
	drive(b, 0);
	echo(b, "one", false);
	offer(b, "two", false);
	lose(b);
	assert_int_equal(guest_status(&b->device), DRIVER_OK);
	assert_int_equal(come_back(b), 0);
	kick(b);
	take_call(b);
	assert_memory_equal(guest_ram(&b->guest->mem, DATA + 0x1000), "two", 3);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "SET_VRING_BASE 0=1"));
}

/* The rings say what cannot be, so nobody knows what it had. */
static void test_unknown_loss(void **state)
{
	struct bench *b = *state;
	struct vring_used *used;

	create(b);
	drive(b, 0);
	offer(b, "one", false);
	used = guest_ram(&b->guest->mem, b->queue.used);
	used->idx = 3;
	lose(b);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	assert_int_equal(come_back(b), 0);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(guest_status(&b->device), 0);
	drive(b, 0);
	echo(b, "again", false);
	destroy(b);
}

/* It goes on for a while after we have given it up: what it still does is not asked for again. */
static void test_late_end(void **state)
{
	struct bench *b = *state;
	struct vring_used *used;

	create(b);
	drive(b, 0);
	offer(b, "one", false);
	offer(b, "two", false);
	lose(b);
	used = guest_ram(&b->guest->mem, b->queue.used);
	used->ring[0] = (struct vring_used_elem){0, 0};
	used->idx = 1;
	assert_int_equal(come_back(b), 0);
	kick(b);
	take_call(b);
	assert_int_equal(used->idx, 2);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "SET_VRING_BASE 0=1"));
}

static void test_loss_during_reset(void **state)
{
	struct bench *b = *state;

	create(b);
	drive(b, 0);
	backend_hang_up(b->backend);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	vhost_dev_serve(&b->dev);
	assert_int_equal(guest_status(&b->device), 0);
	assert_true(vhost_dev_is_lost(&b->dev));
	destroy(b);
}

static void test_start_fails(void **state)
{
	struct bench *b = *state;

	create(b);
	b->backend->fault = BACKEND_REFUSES;
	b->backend->fault_at = 9;
	drive(b, 0);
	assert_true(vhost_dev_is_lost(&b->dev));
	/* It never had a buffer. */
	assert_int_equal(guest_status(&b->device), DRIVER_OK);
	backend_stop(b->backend);
	b->backend->fault = BACKEND_HONEST;
	assert_int_equal(come_back(b), 0);
	echo(b, "now", false);
	destroy(b);
}

static void test_back_end_never_stops(void **state)
{
	struct bench *b = *state;

	create(b);
	drive(b, 0);
	b->vhost.patience_ms = SHORT_MS;
	b->backend->fault = BACKEND_SILENT;
	b->backend->fault_at = 11;
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	vhost_dev_serve(&b->dev);
	assert_int_equal(guest_status(&b->device), 0);
	assert_true(vhost_dev_is_lost(&b->dev));
	destroy(b);
}

static void test_less_comes_back(void **state)
{
	struct bench *b = *state;

	create(b);
	lose(b);
	b->backend->features &= ~BIT(VIRTIO_BLK_F_FLUSH);
	assert_int_equal(come_back(b), -EOPNOTSUPP);
	backend_stop(b->backend);
	b->backend->features |= BIT(VIRTIO_BLK_F_FLUSH);
	b->backend->nr_queues = 1;
	assert_int_equal(come_back(b), -EOPNOTSUPP);
	assert_true(vhost_dev_is_lost(&b->dev));
	destroy(b);
}

static void test_config_changes(void **state)
{
	struct bench *b = *state;

	create(b);
	drive(b, 0);
	b->backend->config[0] = 200;
	vhost_dev_config_changed(&b->dev);
	assert_int_equal(config_at(b, 0, 4), 200);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	b->backend->fault = BACKEND_TOO_LONG;
	b->backend->fault_at = 24;
	vhost_dev_config_changed(&b->dev);
	assert_true(vhost_dev_is_lost(&b->dev));
	destroy(b);
}

/* Back ends that will not do. */

static void refuse(struct bench *b, int wanted, const char *words)
{
	struct ccr_err err = {0};

	assert_int_equal(try_create(b, &err), wanted);
	assert_string_equal(err.msg, words);
	vhost_close(&b->vhost);
	backend_stop(b->backend);
}

static void test_too_old(void **state)
{
	struct bench *b = *state;

	b->backend->features = BIT(30);
	refuse(b, -EOPNOTSUPP, "vhost-user-blk fake: the back end knows no virtio 1.0");
}

static void test_too_few_queues(void **state)
{
	struct bench *b = *state;

	b->backend->nr_queues = 1;
	refuse(b, -EOPNOTSUPP,
	       "vhost-user-blk fake: the back end has 1 queues, of which 2 are needed");
}

static void test_no_config(void **state)
{
	struct bench *b = *state;

	b->backend->protocol = VHOST_USER_MQ;
	refuse(b, -EOPNOTSUPP,
	       "vhost-user-blk fake: no configuration from the back end: "
	       "Operation not supported");
}

static void test_blk_limits(void **state)
{
	struct vhost vhost = {.nr_queues = 4};
	const struct bounce_limits bounce = {.size_max = 4096}, direct = {.seg_max = 126};

	(void)state;
	assert_int_equal(vhost_blk_nr_queues(&vhost, 8), 1);
	assert_false(vhost_blk_is_read_only(&vhost));
	vhost.features = BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_RO);
	assert_int_equal(vhost_blk_nr_queues(&vhost, 8), 4);
	assert_int_equal(vhost_blk_nr_queues(&vhost, 2), 2);
	assert_true(vhost_blk_is_read_only(&vhost));
	assert_int_equal(vhost_blk_own_features(&bounce),
			 BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_SIZE_MAX));
	assert_int_equal(vhost_blk_own_features(&direct), BIT(VIRTIO_BLK_F_SEG_MAX));
}

/* Types whose configuration is ours. */

static void test_fs(void **state)
{
	struct bench *b = *state;
	const struct virtio_setup setup = guest_setup(b->guest);
	struct vhost_dev_config config = config_for(b);
	uint8_t space[VHOST_FS_CONFIG_SIZE];
	struct ccr_err err = {0};

	b->backend->protocol &= ~VHOST_USER_CONFIG;
	b->backend->features |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
	vhost_fs_fill_config(space, "the-tag");
	config.type = &vhost_fs_type;
	config.own_features = 0;
	config.withheld = BIT(VIRTIO_RING_F_INDIRECT_DESC);
	config.config = space;
	assert_int_equal(vhost_user_init(&b->vhost, backend_start(b->backend),
					 vhost_fs_type.protocol, PATIENCE_MS),
			 0);
	assert_int_equal(vhost_dev_init(&b->dev, &config, &setup, &err), 0);
	virtio_pci_init(&b->transport, &b->dev.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	assert_int_equal(guest_offered(&b->device), FEATURES | BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(config_at(b, 0, 4), 'e' << 16 | 'h' << 8 | 't' | (uint32_t)'-' << 24);
	assert_int_equal(config_at(b, VHOST_FS_TAG_SIZE, 4), 1);
	drive(b, 0);
	echo(b, "x", true);
	/* It knows of open files: nobody can go on where it was. */
	lose(b);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	destroy(b);
}

static void test_long_tag(void **state)
{
	uint8_t space[VHOST_FS_CONFIG_SIZE];

	(void)state;
	vhost_fs_fill_config(space, "123456789012345678901234567890123456789");
	assert_memory_equal(space, "123456789012345678901234567890123456\1\0\0\0", sizeof(space));
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_offers_what_both_can),
		test(test_shows_the_back_ends_config),
		test(test_serves),
		test(test_interrupts),
		test(test_indirect_interrupts),
		test(test_reset_waits),
		test(test_bus_master),
		test(test_broken),
		test(test_unreachable_rings),
		test(test_private_rings),
		test(test_idle_loss),
		test(test_busy_loss),
		test(test_unknown_loss),
		test(test_late_end),
		test(test_loss_during_reset),
		test(test_start_fails),
		test(test_back_end_never_stops),
		test(test_less_comes_back),
		test(test_config_changes),
		test(test_too_old),
		test(test_too_few_queues),
		test(test_no_config),
		cmocka_unit_test(test_blk_limits),
		test(test_fs),
		cmocka_unit_test(test_long_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

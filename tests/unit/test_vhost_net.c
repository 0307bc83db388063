/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network whose frames a back end moves: what that one is told, and that the control queue is
 * ours, wherever it is.
 *
 * links: src/virtio/vhost_net.c src/virtio/vnet_control.c src/virtio/vhost_dev.c
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
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ccr/vhost_net.h"
#include "ccr/virtio_pci.h"
#include "../fake/vhost_backend.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define FEATURES    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define RINGS       (GUEST_RAM_BASE + 0x1000)
#define DATA        (GUEST_RAM_BASE + 0x20000)
#define QUEUE_SIZE  16u
#define MAX_QUEUES  5u
#define PATIENCE_MS 5000u

struct bench {
	struct guest *guest;
	struct vhost_backend *backend;
	struct net net;
	struct net_filter filter;
	unsigned nr_set_pairs;
	uint64_t offloads;
	struct vnet_control control;
	struct vhost vhost;
	struct vhost_dev dev;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queues[MAX_QUEUES];
	int kick_fds[MAX_QUEUES], call_fds[MAX_QUEUES];
};

static struct bench *bench_of(struct net *net)
{
	return (struct bench *)((char *)net - offsetof(struct bench, net));
}

static void set_offloads(struct net *net, uint64_t features)
{
	bench_of(net)->offloads = features;
}

static void set_filter(struct net *net, const struct net_filter *filter)
{
	bench_of(net)->filter = *filter;
}

static int set_pairs(struct net *net, unsigned nr)
{
	bench_of(net)->nr_set_pairs = nr;
	return 0;
}

static const struct net_ops ops = {
	.set_offloads = set_offloads,
	.set_filter = set_filter,
	.set_pairs = set_pairs,
};

static int begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char name[] = "network fake";

	assert_non_null(b);
	b->guest = guest_create();
	b->backend = backend_create();
	b->backend->features |= BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	b->net = (struct net){
		.ops = &ops,
		.name = strdup(name),
		.features = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4),
		.mtu = 1500,
		.mac = {2, 0, 0, 0, 0, 9},
		.nr_pairs = 1,
	};
	for (unsigned i = 0; i < MAX_QUEUES; i++) {
		b->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		b->call_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	log_init(LOG_ERROR);
	*state = b;
	return 0;
}

static int end(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < MAX_QUEUES; i++) {
		close(b->kick_fds[i]);
		close(b->call_fds[i]);
	}
	free(b->net.name);
	backend_destroy(b->backend);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static const struct bounce_net_limits free_limits = {
	.rx_size = QUEUE_SIZE,
	.tx_size = 2 * QUEUE_SIZE,
	.is_mergeable = true,
	.is_large = true,
	.max_mtu = NET_MAX_MTU,
};

static void create(struct bench *b, const struct bounce_net_limits *limits)
{
	const struct virtio_setup setup = guest_setup(b->guest);
	struct vhost_dev_config config;
	uint8_t space[VNET_CONFIG_SIZE];
	struct ccr_err err = {0};

	assert_int_equal(vhost_user_init(&b->vhost, backend_start(b->backend),
					 vhost_net_type.protocol, PATIENCE_MS),
			 0);
	vhost_net_fill(&config, &b->control, &b->net, limits, space);
	config.type = &vhost_net_type;
	config.vhost = &b->vhost;
	config.name = "fake";
	config.nr_regions = 1;
	config.regions[0] = (struct vhost_region){GUEST_RAM_BASE, GUEST_RAM_SIZE, GUEST_RAM_BASE,
						  b->guest->mem.fd, 0};
	config.kick_fds = b->kick_fds;
	config.call_fds = b->call_fds;
	assert_int_equal(vhost_dev_init(&b->dev, &config, &setup, &err), 0);
	vhost_net_finish(&b->dev, &b->control, limits);
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

/* The driver comes up with the first @nr_queues queues. */
static void drive(struct bench *b, uint64_t features, unsigned nr_queues)
{
	assert_int_equal(guest_negotiate(&b->device, FEATURES | features), 0x0b);
	for (unsigned i = 0; i < nr_queues; i++) {
		guest_queue_place(&b->queues[i], b->guest, RINGS + 0x1000 * i, QUEUE_SIZE);
		guest_enable_queue(&b->device, i, &b->queues[i]);
	}
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	vhost_dev_serve(&b->dev);
}

/* Return: what the device has answered; 0xff for nothing. */
static uint8_t command(struct bench *b, unsigned queue, const void *bytes, uint32_t size)
{
	const struct guest_piece pieces[] = {{DATA, size, false}, {DATA + 0x100, 1, true}};
	uint8_t *answer = guest_ram(&b->guest->mem, DATA + 0x100);
	struct vring_used_elem elem;

	memcpy(guest_ram(&b->guest->mem, DATA), bytes, size);
	*answer = 0xff;
	guest_add(&b->queues[queue], pieces, 2);
	vhost_dev_serve_own(&b->dev);
	if (*answer != 0xff)
		assert_true(guest_take_used(&b->queues[queue], &elem));
	return *answer;
}

/* Offloads are the tap's, and only what can be merged is the back end's. */
static void test_features(void **state)
{
	struct bench *b = *state;

	create(b, &free_limits);
	assert_int_equal(guest_offered(&b->device) & ~FEATURES,
			 BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
				 BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_MTU) |
				 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) |
				 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
				 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR));
	drive(b, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ),
	      3);
	assert_true(b->offloads & BIT(VIRTIO_NET_F_CSUM));
	assert_true(b->filter.promiscuous);
	assert_int_equal(b->dev.virtio.queues[1].max_size, 2 * QUEUE_SIZE);
	destroy(b);
	assert_int_equal(b->backend->accepted,
			 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(30));
}

/* A realm's small pool: what the back end could do is not offered. */
static void test_limits(void **state)
{
	struct bounce_net_limits limits = free_limits;
	struct bench *b = *state;

	limits.is_mergeable = limits.is_large = false;
	limits.min_mtu = 1504;
	create(b, &limits);
	assert_false(guest_offered(&b->device) &
		     (BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_HOST_TSO4)));
	assert_int_equal(guest_mem_read(b->guest,
					b->device.config + offsetof(struct virtio_net_config, mtu),
					2),
			 1504);
	destroy(b);
}

static void test_control(void **state)
{
	static const uint8_t listen[] = {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0};
	static const uint8_t pairs[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, 0};
	struct bench *b = *state;

	create(b, &free_limits);
	drive(b, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX), 3);
	assert_int_equal(command(b, 2, listen, sizeof(listen)), VIRTIO_NET_OK);
	assert_false(b->filter.promiscuous);
	assert_memory_equal(b->filter.macs[0], b->net.mac, NET_MAC_SIZE);
	assert_int_equal(command(b, 2, pairs, sizeof(pairs)), VIRTIO_NET_ERR);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "SET_VRING_KICK 1"));
	assert_null(strstr(b->backend->log, "SET_VRING_KICK 2"));
}

/* Of two pairs a driver without MQ uses one, and then the third queue is the one for control. */
static void test_place_of_control(void **state)
{
	static const uint8_t pairs[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0};
	struct bench *b = *state;

	b->net.nr_pairs = 2;
	b->backend->protocol |= VHOST_USER_MQ;
	b->backend->nr_queues = 4;
	create(b, &free_limits);
	drive(b, BIT(VIRTIO_NET_F_CTRL_VQ), 3);
	assert_int_equal(command(b, 2, pairs, sizeof(pairs)), VIRTIO_NET_ERR);
	vhost_dev_stop(&b->dev);
	drive(b, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ), 5);
	assert_int_equal(b->nr_set_pairs, 1);
	assert_int_equal(command(b, 2, pairs, sizeof(pairs)), 0xff);
	assert_int_equal(command(b, 4, pairs, sizeof(pairs)), VIRTIO_NET_OK);
	assert_int_equal(b->nr_set_pairs, 2);
	destroy(b);
	assert_non_null(strstr(b->backend->log, "SET_VRING_KICK 3"));
	assert_null(strstr(b->backend->log, "SET_VRING_KICK 4"));
}

/* A driver that has come again finds the first address and every frame. */
static void test_reset(void **state)
{
	static const uint8_t set_mac[] = {
		VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 0, 0, 0, 0, 1};
	const uint64_t features = BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);
	struct bench *b = *state;

	create(b, &free_limits);
	drive(b, features, 3);
	assert_int_equal(command(b, 2, set_mac, sizeof(set_mac)), VIRTIO_NET_OK);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 5, 1), 1);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	vhost_dev_serve(&b->dev);
	assert_int_equal(guest_status(&b->device), 0);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 5, 1), 9);
	drive(b, features, 3);
	assert_true(b->filter.promiscuous);
	destroy(b);
}

/* The back end takes a buffer of queue 0, and signals @fd. */
static void serve_one(struct bench *b, int fd)
{
	const struct guest_piece pieces[] = {{DATA, 4, false}, {DATA + 0x100, 4, true}};
	struct pollfd source = {.fd = fd, .events = POLLIN};
	uint64_t count = 1;

	guest_add(&b->queues[0], pieces, 2);
	assert_int_equal(write(b->kick_fds[0], &count, sizeof(count)), sizeof(count));
	assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

/* Where messages have a descriptor the back end gets it, as long as the driver wants messages. */
static void test_direct_interrupts(void **state)
{
	struct bench *b = *state;
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	create(b, &free_limits);
	b->guest->msi_fd = fd;
	guest_use_msix(&b->device, 0xfee00000, 4);
	drive(b, 0, 3);
	serve_one(b, fd);
	assert_int_equal(b->guest->nr_msis, 0);
	guest_config_write(b->guest, 0, b->transport.function.msix_at + 2, 2, 0);
	vhost_dev_serve(&b->dev);
	/* What may have been signalled in between is told once more. */
	assert_true(b->guest->intx[0]);
	serve_one(b, b->call_fds[0]);
	guest_use_msix(&b->device, 0xfee00000, 4);
	vhost_dev_serve(&b->dev);
	/* Of the two queues that run. */
	assert_int_equal(b->guest->nr_msis, 2);
	serve_one(b, fd);
	destroy(b);
	close(fd);
}

static void test_tap_gone(void **state)
{
	static const uint8_t listen[] = {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0};
	const unsigned status = offsetof(struct virtio_net_config, status);
	struct bench *b = *state;

	create(b, &free_limits);
	drive(b, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX), 3);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + status, 2), 1);
	vhost_net_break(&b->dev);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + status, 2), 0);
	assert_int_equal(command(b, 2, listen, sizeof(listen)), VIRTIO_NET_OK);
	assert_true(b->filter.promiscuous);
	destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_features, begin, end),
		cmocka_unit_test_setup_teardown(test_limits, begin, end),
		cmocka_unit_test_setup_teardown(test_control, begin, end),
		cmocka_unit_test_setup_teardown(test_place_of_control, begin, end),
		cmocka_unit_test_setup_teardown(test_reset, begin, end),
		cmocka_unit_test_setup_teardown(test_direct_interrupts, begin, end),
		cmocka_unit_test_setup_teardown(test_tap_gone, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

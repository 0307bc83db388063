/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/host/net.c src/host/net_parse.c src/host/tap.c src/host/passt.c src/util/hash.c
 *	src/util/parse.c src/util/err.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/net.h"

#define PATIENCE_MS 10000

static void parse(const char *text, struct net_config *config)
{
	static char copy[128]; /* the result borrows from it */

	(void)snprintf(copy, sizeof(copy), "%s", text);
	assert_int_equal(net_parse(copy, config, NULL), 0);
}

static void test_parse(void **state)
{
	const uint8_t mac[NET_MAC_SIZE] = {2, 0x1a, 0xff, 0, 0, 1};
	struct net_config config;

	(void)state;
	parse("none", &config);
	assert_int_equal(config.kind, NET_NONE);
	parse("user", &config);
	assert_int_equal(config.kind, NET_USER);
	assert_int_equal(config.nr_pairs, 1);
	assert_int_equal(config.mtu, 0);
	assert_false(config.has_mac);
	parse("mtu=1400,passt=/run/x.socket,mac=02:1A:ff:00:00:01", &config);
	assert_int_equal(config.kind, NET_PASST);
	assert_string_equal(config.where, "/run/x.socket");
	assert_int_equal(config.mtu, 1400);
	assert_true(config.has_mac);
	assert_memory_equal(config.mac, mac, NET_MAC_SIZE);
	parse("mode=tap,tapif=tap7,guest_mac=02:1a:ff:0:0:1,queues=4", &config);
	assert_int_equal(config.kind, NET_TAP);
	assert_string_equal(config.where, "tap7");
	assert_memory_equal(config.mac, mac, NET_MAC_SIZE);
	assert_int_equal(config.nr_pairs, 4);
	parse("fd=7:9", &config);
	assert_int_equal(config.kind, NET_FD);
	assert_int_equal(config.nr_pairs, 2);
	assert_int_equal(config.fds[0], 7);
	assert_int_equal(config.fds[1], 9);
}

static void test_parse_nonsense(void **state)
{
	static const char *const texts[] = {
		"",
		",",
		"user,",
		"users",
		"none,user",
		"tap",
		"tap=a,passt=b",
		"user,mac=2:0:0:0:0:0:0",
		"user,mac=02:00:00:00:00:0x",
		"user,mac=02:00:00:00:00:-1",
		"user,mac=01:00:5e:00:00:01",
		"user,mtu=65521",
		"user,mtu=+1500",
		"fd=3:4:5:6:7:8:9:10:11",
		"fd=3:",
		"fd=-1",
		"fd=4294967299",
		"fd=3,queues=2",
		"tap=a,queues=0",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct net_config config;
		struct ccr_err err = {0};
		char text[64];

		(void)snprintf(text, sizeof(text), "%s", texts[i]);
		assert_int_equal(net_parse(text, &config, &err), -EINVAL);
		assert_true(err.msg[0]);
	}
}

static void test_default_mac(void **state)
{
	uint8_t first[NET_MAC_SIZE], again[NET_MAC_SIZE], second[NET_MAC_SIZE];
	uint8_t other[NET_MAC_SIZE];

	(void)state;
	net_default_mac("web", 0, first);
	net_default_mac("web", 0, again);
	net_default_mac("web", 1, second);
	net_default_mac("db", 0, other);
	assert_memory_equal(first, again, NET_MAC_SIZE);
	assert_memory_not_equal(first, second, NET_MAC_SIZE);
	assert_memory_not_equal(first, other, NET_MAC_SIZE);
	/* Locally administered, of one station; and what users have written down stays so. */
	for (unsigned i = 0; i < 64; i++) {
		net_default_mac("web", i, again);
		assert_int_equal(again[0] & 3, 2);
	}
	assert_memory_equal(first, ((const uint8_t[]){0x0e, 0xbf, 0x6f, 0xa9, 0x26, 0xff}),
			    NET_MAC_SIZE);
}

/* struct peer - a passt at the other end of an open socket */
struct peer {
	struct net net;
	int fd;
};

static void connect_peer(struct peer *peer)
{
	struct net_config config = {.kind = NET_FD, .nr_pairs = 1};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	config.fds[0] = ends[0];
	peer->fd = ends[1];
	assert_int_equal(net_open(&peer->net, &config, "test", 0, NULL), 0);
	assert_int_equal(peer->net.mtu, NET_MAX_MTU);
	assert_int_equal(peer->net.features, 0);
}

static void disconnect_peer(struct peer *peer)
{
	net_close(&peer->net);
	if (peer->fd >= 0)
		close(peer->fd);
}

static void say_frame(struct peer *peer, uint32_t size, uint8_t value)
{
	uint8_t bytes[4 + 2048];
	const uint32_t prefix = htobe32(size);

	memcpy(bytes, &prefix, 4);
	memset(bytes + 4, value, size);
	assert_int_equal(write(peer->fd, bytes, 4 + size), 4 + size);
}

static void want_frame(struct peer *peer, uint32_t size, uint8_t value)
{
	const uint8_t *frame;

	assert_int_equal(peer->net.ops->peek(&peer->net, &frame), size);
	assert_int_equal(frame[0], value);
	assert_int_equal(frame[size - 1], value);
	peer->net.ops->drop(&peer->net);
}

static void test_frames_come(void **state)
{
	struct peer peer;
	const uint8_t *frame;

	(void)state;
	connect_peer(&peer);
	assert_int_equal(peer.net.ops->peek(&peer.net, &frame), -EAGAIN);
	say_frame(&peer, 60, 1);
	say_frame(&peer, NET_MIN_FRAME, 2);
	want_frame(&peer, 60, 1);
	say_frame(&peer, 1514, 3);
	want_frame(&peer, NET_MIN_FRAME, 2);
	want_frame(&peer, 1514, 3);
	assert_int_equal(peer.net.ops->peek(&peer.net, &frame), -EAGAIN);
	disconnect_peer(&peer);
}

/* Byte by byte, and over and over, so that frames lie across the end of the buffer. */
static void test_frames_come_in_pieces(void **state)
{
	struct peer peer;
	const uint8_t *frame;
	uint8_t bytes[24] = {0, 0, 0, 20, 7};

	(void)state;
	connect_peer(&peer);
	bytes[23] = 7;
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(peer.net.ops->peek(&peer.net, &frame), -EAGAIN);
		assert_int_equal(write(peer.fd, bytes + i, 1), 1);
	}
	want_frame(&peer, 20, 7);
	for (unsigned i = 0; i < 3000; i++) {
		say_frame(&peer, 1000 + i % 500, (uint8_t)i);
		if (i % 3 == 2) {
			want_frame(&peer, 1000 + (i - 2) % 500, (uint8_t)(i - 2));
			want_frame(&peer, 1000 + (i - 1) % 500, (uint8_t)(i - 1));
			want_frame(&peer, 1000 + i % 500, (uint8_t)i);
		}
	}
	disconnect_peer(&peer);
}

static void test_peer_talks_nonsense(void **state)
{
	static const uint32_t sizes[] = {0, NET_MIN_FRAME - 1, NET_MAX_FRAME + 1, UINT32_MAX};
	const uint8_t *frame;

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const uint32_t prefix = htobe32(sizes[i]);
		struct peer peer;

		connect_peer(&peer);
		assert_int_equal(write(peer.fd, &prefix, 4), 4);
		assert_int_equal(peer.net.ops->peek(&peer.net, &frame), -EPROTO);
		disconnect_peer(&peer);
	}
}

static void test_peer_leaves(void **state)
{
	struct peer peer;
	const uint8_t *frame;

	(void)state;
	connect_peer(&peer);
	say_frame(&peer, 60, 1);
	close(peer.fd);
	peer.fd = -1;
	want_frame(&peer, 60, 1);
	assert_int_equal(peer.net.ops->peek(&peer.net, &frame), -EPIPE);
	assert_non_null(peer.net.ops->reserve(&peer.net, 60));
	peer.net.ops->commit(&peer.net);
	assert_int_equal(peer.net.ops->flush(&peer.net), -EPIPE);
	disconnect_peer(&peer);
}

static bool give_frame(struct peer *peer, uint32_t size, uint8_t value)
{
	uint8_t *at = peer->net.ops->reserve(&peer->net, size);

	if (!at)
		return false;
	memset(at, value, size);
	peer->net.ops->commit(&peer->net);
	return true;
}

static void read_all(int fd, void *buf, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t here = read(fd, (uint8_t *)buf + done, size - done);

		assert_true(here > 0);
		done += (size_t)here;
	}
}

static void test_frames_go(void **state)
{
	struct peer peer;
	uint8_t bytes[4 + 60];

	(void)state;
	connect_peer(&peer);
	assert_true(give_frame(&peer, 60, 9));
	/* One that was begun and given up leaves nothing. */
	assert_non_null(peer.net.ops->reserve(&peer.net, 100));
	assert_true(give_frame(&peer, 60, 8));
	assert_true(peer.net.ops->has_output(&peer.net));
	assert_int_equal(peer.net.ops->flush(&peer.net), 0);
	assert_false(peer.net.ops->has_output(&peer.net));
	for (unsigned i = 0; i < 2; i++) {
		read_all(peer.fd, bytes, sizeof(bytes));
		assert_memory_equal(bytes, ((const uint8_t[]){0, 0, 0, 60, 9 - i}), 5);
		assert_int_equal(bytes[63], 9 - i);
	}
	disconnect_peer(&peer);
}

/* What the peer does not take waits, in order; then there is no room, and then there is again. */
static void test_peer_takes_nothing(void **state)
{
	static uint8_t bytes[4 + 60000];
	struct peer peer;
	unsigned nr = 0;

	(void)state;
	connect_peer(&peer);
	for (unsigned tries = 0; tries < 3;) {
		assert_true(nr < 1000);
		if (give_frame(&peer, 60000, (uint8_t)nr))
			nr++;
		else
			tries++;
		assert_int_equal(peer.net.ops->flush(&peer.net), 0);
	}
	assert_true(peer.net.ops->has_output(&peer.net));
	for (unsigned i = 0; i < nr; i++) {
		read_all(peer.fd, bytes, sizeof(bytes));
		assert_memory_equal(bytes, ((const uint8_t[]){0, 0, 60000 >> 8, 60000 & 0xff}), 4);
		assert_int_equal(bytes[4], (uint8_t)i);
		assert_int_equal(bytes[4 + 59999], (uint8_t)i);
		assert_int_equal(peer.net.ops->flush(&peer.net), 0);
	}
	assert_false(peer.net.ops->has_output(&peer.net));
	assert_true(give_frame(&peer, 60000, 1));
	disconnect_peer(&peer);
}

static void test_wait(void **state)
{
	const short in[NET_MAX_PAIRS] = {POLLIN}, both[NET_MAX_PAIRS] = {POLLIN | POLLOUT};
	const short nothing[NET_MAX_PAIRS] = {0};
	struct pollfd source;
	struct peer peer;

	(void)state;
	connect_peer(&peer);
	net_wait(&peer.net, in, &source);
	assert_int_equal(source.fd, peer.net.fds[0]);
	assert_int_equal(poll(&source, 1, 0), 0);
	say_frame(&peer, 60, 1);
	assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	net_wait(&peer.net, both, &source);
	assert_int_equal(source.events, POLLIN | POLLOUT);
	net_wait(&peer.net, nothing, &source);
	assert_int_equal(source.fd, -1);
	disconnect_peer(&peer);
}

/* Several descriptors through one, each as it is wanted; one that is not wanted wakes nobody. */
static void test_wait_for_several(void **state)
{
	struct net_config config = {.kind = NET_FD, .nr_pairs = 1};
	short events[NET_MAX_PAIRS] = {0};
	struct pollfd source;
	struct net net;
	int ends[2][2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), 0);
	config.fds[0] = ends[0][0];
	assert_int_equal(net_open(&net, &config, "test", 0, NULL), 0);
	/* As a tap with two queues would be. */
	net.fds[1] = ends[1][0];
	net.nr_pairs = 2;
	net.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert_true(net.epoll_fd >= 0);
	assert_int_equal(write(ends[1][1], "x", 1), 1);
	net_wait(&net, events, &source);
	assert_int_equal(poll(&source, 1, 0), 0);
	events[0] = POLLIN;
	net_wait(&net, events, &source);
	assert_int_equal(poll(&source, 1, 0), 0);
	events[1] = POLLIN;
	net_wait(&net, events, &source);
	assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	events[1] = 0;
	close(ends[1][1]);
	net_wait(&net, events, &source);
	assert_int_equal(poll(&source, 1, 0), 0);
	net_close(&net);
	close(ends[0][1]);
}

#define TAP_NAME "ccrtap"

/* Return: a descriptor of an interface that stays until the name space ends; -1 where none is. */
static int make_tap(void)
{
	struct ifreq request = {.ifr_name = TAP_NAME,
				.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int header_size = sizeof(struct virtio_net_hdr_v1);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)
		return -1;
	return fd;
}

/* Return: the interface's number, and it is up. */
static int set_up(int fd)
{
	struct ifreq request = {.ifr_name = TAP_NAME, .ifr_flags = IFF_UP};

	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0 || ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return -1;
	return request.ifr_ifindex;
}

/* A frame for @mac; of a type of its own, as the kernel has things to say there as well. */
static int send_frame_to(const uint8_t mac[NET_MAC_SIZE])
{
	const int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htobe16(0x88b5),
				 .sll_halen = NET_MAC_SIZE,
				 .sll_ifindex = set_up(fd)};

	memcpy(to.sll_addr, mac, NET_MAC_SIZE);
	return sendto(fd, "frame", 5, 0, (struct sockaddr *)&to, sizeof(to)) == 5 ? 0 : -1;
}

/* Return: whether it has come to the one who has the interface at @fd. */
static bool has_come(int fd, const uint8_t mac[NET_MAC_SIZE])
{
	struct pollfd source = {.fd = fd, .events = POLLIN};
	uint8_t bytes[2048];

	while (poll(&source, 1, 1000) == 1) {
		const ssize_t size = read(fd, bytes, sizeof(bytes));
		const uint8_t *frame = bytes + sizeof(struct virtio_net_hdr_v1);

		if (size >= (ssize_t)(sizeof(struct virtio_net_hdr_v1) + ETHER_HDR_LEN) &&
		    memcmp(frame, mac, NET_MAC_SIZE) == 0 && frame[12] == 0x88 && frame[13] == 0xb5)
			return true;
	}
	return false;
}

enum { WAS_FREE, NO_TAPS, WAS_FILTERED, NOT_FILTERED };

/* In a network of its own: what a guest wanted to hear is nothing to who comes next. */
static int use_tap_twice(void)
{
	const struct net_config config = {.kind = NET_TAP, .where = TAP_NAME, .nr_pairs = 1};
	const struct net_filter own = {.nr_macs = 1, .macs = {{2, 0, 0, 0, 0, 1}}};
	const uint8_t next[NET_MAC_SIZE] = {2, 0, 0, 0, 0, 2};
	struct net net;
	int fd;

	if (unshare(CLONE_NEWNET) < 0 || (fd = make_tap()) < 0)
		return NO_TAPS;
	close(fd);
	if (net_open(&net, &config, "test", 0, NULL))
		return NO_TAPS;
	net.ops->set_filter(&net, &own);
	if (send_frame_to(next) || has_come(net.fds[0], next))
		return NOT_FILTERED;
	net_close(&net);
	fd = make_tap();
	if (fd < 0 || send_frame_to(next) || !has_come(fd, next))
		return WAS_FILTERED;
	return WAS_FREE;
}

static void test_tap_keeps_no_filter(void **state)
{
	const pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(use_tap_twice());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_TAPS)
		skip();
	assert_int_equal(WEXITSTATUS(status), WAS_FREE);
}

static int open_error(enum net_kind kind, const char *where, struct ccr_err *err)
{
	const struct net_config config = {.kind = kind, .where = where, .nr_pairs = 1};
	struct net net;
	const int ret = net_open(&net, &config, "test", 0, err);

	if (!ret)
		net_close(&net);
	return ret;
}

static void test_nobody_listens(void **state)
{
	char path[200];
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(open_error(NET_PASST, "/nowhere/passt.socket", &err), -ENOENT);
	assert_string_equal(err.msg,
			    "network passt=/nowhere/passt.socket: nobody listens there: No such "
			    "file or directory; start passt --socket /nowhere/passt.socket");
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(open_error(NET_PASST, path, NULL), -ENAMETOOLONG);
	err = (struct ccr_err){0};
	assert_int_equal(open_error(NET_TAP, "sixteen-letters-", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "up to 15 characters"));
}

static void test_descriptors_that_are_no_network(void **state)
{
	struct net_config config = {.kind = NET_FD, .nr_pairs = 1};
	struct ccr_err err = {0};
	struct net net;
	int fds[2];

	(void)state;
	config.fds[0] = open("/dev/null", O_RDWR);
	assert_int_equal(net_open(&net, &config, "test", 0, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "is neither of a tap nor a stream socket"));
	close(config.fds[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	config.fds[0] = fds[0];
	assert_int_equal(net_open(&net, &config, "test", 0, NULL), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	config.fds[0] = 1000;
	assert_int_equal(net_open(&net, &config, "test", 0, NULL), -EINVAL);
}

/* A passt that is a shell script, in a directory that is all of PATH. */
struct place {
	char dir[32], program[64], old_path[4096];
};

static void make_passt(struct place *place, const char *script)
{
	const char *path = getenv("PATH");
	FILE *file;

	strcpy(place->dir, "/tmp/test_net_XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	(void)snprintf(place->old_path, sizeof(place->old_path), "%s", path ? path : "");
	(void)snprintf(place->program, sizeof(place->program), "%s/passt", place->dir);
	assert_int_equal(setenv("PATH", place->dir, 1), 0);
	if (!script)
		return;
	file = fopen(place->program, "w");
	assert_non_null(file);
	assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(place->program, 0700), 0);
}

static void remove_passt(struct place *place)
{
	unlink(place->program);
	assert_int_equal(rmdir(place->dir), 0);
	setenv("PATH", place->old_path, 1);
}

static void test_passt_is_started(void **state)
{
	const struct net_config config = {.kind = NET_USER, .nr_pairs = 1, .mtu = 1400};
	const short in[NET_MAX_PAIRS] = {POLLIN};
	struct pollfd source;
	struct place place;
	const uint8_t *frame;
	struct net net;
	pid_t helper;

	(void)state;
	/* It says what it was asked, as a frame of 33 bytes; and then hangs. */
	make_passt(&place, "[ \"$1 $2 $3\" = '--foreground --quiet --fd' ] || exit 1\n"
			   "printf '\\000\\000\\000\\041%33.33s' \"$5 $6\" >&\"$4\"\n"
			   "trap '' HUP; while :; do /bin/sleep 0.1; done");
	assert_int_equal(net_open(&net, &config, "test", 0, NULL), 0);
	helper = net.helper;
	net_wait(&net, in, &source);
	assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	assert_int_equal(net.ops->peek(&net, &frame), 33);
	assert_memory_equal(frame, "                       --mtu 1400", 33);
	assert_int_equal(net_check(&net, NULL), 0);
	/* It does not outlive its network. */
	net_close(&net);
	assert_int_equal(kill(helper, 0), -1);
	assert_int_equal(errno, ESRCH);
	remove_passt(&place);
}

static void test_passt_fails(void **state)
{
	const struct net_config config = {.kind = NET_USER, .nr_pairs = 1};
	const short in[NET_MAX_PAIRS] = {POLLIN};
	struct ccr_err err = {0};
	struct pollfd source;
	struct place place;
	const uint8_t *frame;
	struct net net;

	(void)state;
	make_passt(&place, "exit 7");
	assert_int_equal(net_open(&net, &config, "test", 0, NULL), 0);
	net_wait(&net, in, &source);
	assert_int_equal(poll(&source, 1, PATIENCE_MS), 1);
	assert_int_equal(net.ops->peek(&net, &frame), -EPIPE);
	while (net_check(&net, &err) == 0)
		usleep(1000);
	assert_string_equal(err.msg, "network user: passt has ended already (status 7); what it "
				     "has printed says why");
	net_close(&net);
	remove_passt(&place);
}

static void test_no_passt(void **state)
{
	struct ccr_err err = {0};
	struct place place;

	(void)state;
	make_passt(&place, NULL);
	assert_int_equal(open_error(NET_USER, NULL, &err), -ENOENT);
	assert_string_equal(err.msg, "network user: no program passt: install the package passt, "
				     "or use tap=NAME");
	remove_passt(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_nonsense),
		cmocka_unit_test(test_default_mac),
		cmocka_unit_test(test_frames_come),
		cmocka_unit_test(test_frames_come_in_pieces),
		cmocka_unit_test(test_peer_talks_nonsense),
		cmocka_unit_test(test_peer_leaves),
		cmocka_unit_test(test_frames_go),
		cmocka_unit_test(test_peer_takes_nothing),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_wait_for_several),
		cmocka_unit_test(test_tap_keeps_no_filter),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_descriptors_that_are_no_network),
		cmocka_unit_test(test_passt_is_started),
		cmocka_unit_test(test_passt_fails),
		cmocka_unit_test(test_no_passt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

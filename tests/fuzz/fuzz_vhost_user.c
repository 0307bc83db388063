/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/vhost_user.c src/host/vhost.c */
/*
 * A back end that has already answered everything, with any bytes at all: no call may hang or keep
 * a descriptor, and what is reported as success is in range.
 *
 * Input: a byte of which protocol features are wanted, then what the back end sends; its second
 * half, if the first byte says so, on the channel for its own requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/vhost.h"
#include "fuzz.h"

#define MAX_INPUT    4096
#define HAS_REQUESTS 0x80

/*
 * A connection on which @bytes have come, and nothing else will; the other end still takes what is
 * sent to it. Return: our end.
 */
static int answered(const uint8_t *bytes, size_t size, int *ret_other)
{
	int ends[2];

	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
	require(size == 0 || write(ends[1], bytes, size) == (ssize_t)size);
	shutdown(ends[1], SHUT_WR);
	*ret_other = ends[1];
	return ends[0];
}

static void live(struct vhost *vhost)
{
	const struct vhost_region region = {0x80000000, 0x10000, 0x80000000, vhost->fd, 0};
	const struct vhost_queue queue = {
		.size = 16,
		.desc = 0x80000000,
		.avail = 0x80001000,
		.used = 0x80002000,
		.kick_fd = vhost->fd,
		.call_fd = vhost->fd,
	};
	uint8_t config[60];
	uint16_t base;

	(void)vhost->carrier->get_config(vhost, config, sizeof(config));
	if (vhost->carrier->set_features(vhost, 1ull << 32) ||
	    vhost->carrier->set_memory(vhost, &region, 1) ||
	    vhost->carrier->start_queue(vhost, 0, &queue) || vhost->carrier->run(vhost, 1))
		return;
	(void)vhost->carrier->stop_queue(vhost, 0, &base);
	(void)vhost->carrier->reset(vhost);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhost vhost = {.fd = -1, .request_fd = -1};
	int other, other_request;
	size_t own = 0;
	uint8_t wanted;

	if (size < 1 || size > MAX_INPUT)
		return 0;
	wanted = *data++;
	size--;
	if (wanted & HAS_REQUESTS)
		own = size / 2;
	if (!vhost_user_init(&vhost, answered(data, size - own, &other),
			     VHOST_USER_MQ | VHOST_USER_CONFIG |
				     (wanted & 1 ? VHOST_USER_REPLY_ACK : 0) |
				     (wanted & 2 ? VHOST_USER_RESET_DEVICE : 0),
			     0)) {
		require(vhost.nr_queues <= 255);
		require(!(vhost.features >> 30 & 1));
		live(&vhost);
	}
	if (own > 0 && vhost.fd >= 0) {
		vhost.request_fd = answered(data + size - own, own, &other_request);
		while (vhost.request_fd >= 0)
			(void)vhost_user_serve(&vhost);
		close(other_request);
	}
	vhost_close(&vhost);
	close(other);
	return 0;
}

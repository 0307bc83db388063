/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end of the vhost-user protocol.
 *
 * We ask, the back end answers, one request at a time. Each message is a header and a payload whose
 * size the request determines; descriptors come with the first byte of some requests of ours, and
 * never with an answer. Where both sides know REPLY_ACK, requests that have no answer get one: a
 * number, 0 for success. Without it a back end's failure stays unknown until it hangs up.
 *
 * Numbers are in the machine's own byte order.
 */
#include <errno.h>
#include <limits.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ccr/vhost.h"

#define BIT(n) (1ull << (n))

/* In the space of virtio features: there are protocol features. Never the driver's business. */
#define F_PROTOCOL_FEATURES 30

/* Numbers of requests. */
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	SET_BACKEND_REQ_FD = 21,
	GET_CONFIG = 24,
	RESET_DEVICE = 34,
};

/* Numbers of a back end's requests. */
enum { BACKEND_CONFIG_CHANGE = 2 };

#define FLAG_VERSION      1u
#define FLAG_VERSION_MASK 3u
#define FLAG_REPLY        (1u << 2)
#define FLAG_NEED_REPLY   (1u << 3)
#define VRING_INDEX_MASK  0xffu
#define MAX_FDS           VHOST_MAX_REGIONS
/* What may come with an answer, so that it can be closed. */
#define MAX_UNWANTED_FDS 16
/* Of a back end's own requests; the largest that is defined is much smaller. */
#define MAX_REQUEST_SIZE 256u

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct region {
	uint64_t guest_at;
	uint64_t size;
	uint64_t user_at;
	uint64_t offset;
};

struct mem_table {
	uint32_t nr;
	uint32_t padding;
	struct region regions[VHOST_MAX_REGIONS];
};

struct config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t bytes[VHOST_MAX_CONFIG];
};

#define CONFIG_HEADER_SIZE offsetof(struct config, bytes)

union payload {
	uint64_t number;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct mem_table mem;
	struct config config;
};

/* struct message - a request; sent as it is, so there is no padding before the payload */
struct message {
	struct header header;
	union payload payload;
} __attribute__((packed));

/* A request's end: all waiting for one request counts together. */
struct deadline {
	struct timespec at;
};

static struct deadline deadline_in(unsigned ms)
{
	struct deadline deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline.at);
	deadline.at.tv_sec += ms / 1000;
	deadline.at.tv_nsec += (long)(ms % 1000) * 1000000;
	return deadline;
}

static int ms_left(const struct deadline *deadline)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = ((int64_t)deadline->at.tv_sec - now.tv_sec) * 1000 +
	     (deadline->at.tv_nsec - now.tv_nsec) / 1000000;
	if (ms < 0)
		return 0;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* syscalls(worker build): ppoll */
static int wait_for(int fd, short events, const struct deadline *deadline)
{
	struct pollfd source = {.fd = fd, .events = events};
	int ret;

	do {
		ret = poll(&source, 1, ms_left(deadline));
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	return ret == 0 ? -ETIMEDOUT : 0;
}

/* What a socket call's errno means for a connection. */
static int lost(int error)
{
	return error == EPIPE || error == ECONNRESET ? -ECONNRESET : -error;
}

/* Return: bytes sent; -EAGAIN; an error. Descriptors go with the first byte. */
/* syscalls(worker build): sendmsg */
static ssize_t send_some(int fd, void *bytes, size_t size, const int *fds, unsigned nr_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {bytes, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *head;
	ssize_t ret;

	if (nr_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(head), fds, nr_fds * sizeof(int));
	}
	ret = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (ret >= 0)
		return ret;
	return errno == EINTR ? -EAGAIN : lost(errno);
}

static int send_all(int fd, void *bytes, size_t size, const int *fds, unsigned nr_fds,
		    const struct deadline *deadline)
{
	size_t done = 0;

	while (done < size) {
		const ssize_t ret =
			send_some(fd, (char *)bytes + done, size - done, fds, done ? 0 : nr_fds);

		if (ret > 0) {
			done += (size_t)ret;
		} else if (ret == -EAGAIN) {
			const int waited = wait_for(fd, POLLOUT, deadline);

			if (waited)
				return waited;
		} else {
			return ret ? (int)ret : -ECONNRESET;
		}
	}
	return 0;
}

/* Close what came along. Return: was there anything? */
static bool drop_fds(struct msghdr *msg)
{
	bool any = msg->msg_flags & MSG_CTRUNC;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		const unsigned char *at = CMSG_DATA(head);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t left = head->cmsg_len - CMSG_LEN(0); left >= sizeof(int);
		     left -= sizeof(int), at += sizeof(int)) {
			int fd;

			memcpy(&fd, at, sizeof(fd));
			close(fd);
			any = true;
		}
	}
	return any;
}

/* Return: bytes, never 0; -EAGAIN; an error. */
/* syscalls(worker build): recvmsg */
static ssize_t receive_some(int fd, void *buf, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_UNWANTED_FDS * sizeof(int))];
	} control;
	struct iovec iov = {buf, size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	const ssize_t ret = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (ret < 0)
		return errno == EINTR ? -EAGAIN : lost(errno);
	if (drop_fds(&msg))
		return -EPROTO;
	return ret ? ret : -ECONNRESET;
}

static int receive_all(int fd, void *buf, size_t size, const struct deadline *deadline)
{
	size_t done = 0;

	while (done < size) {
		const ssize_t ret = receive_some(fd, (char *)buf + done, size - done);
		int waited;

		if (ret > 0) {
			done += (size_t)ret;
			continue;
		}
		if (ret != -EAGAIN)
			return (int)ret;
		waited = wait_for(fd, POLLIN, deadline);
		if (waited)
			return waited;
	}
	return 0;
}

/* The answer to @request, whose payload has just this size. */
static int receive_answer(const struct vhost *vhost, uint32_t request, void *payload, uint32_t size,
			  const struct deadline *deadline)
{
	struct header header;
	const int ret = receive_all(vhost->fd, &header, sizeof(header), deadline);

	if (ret)
		return ret;
	if (header.request != request || header.size != size ||
	    (header.flags & (FLAG_VERSION_MASK | FLAG_REPLY)) != (FLAG_VERSION | FLAG_REPLY))
		return -EPROTO;
	return receive_all(vhost->fd, payload, size, deadline);
}

static int send_request(const struct vhost *vhost, struct message *message, const int *fds,
			unsigned nr_fds, const struct deadline *deadline)
{
	if (vhost->fd < 0)
		return -ECONNRESET;
	message->header.flags |= FLAG_VERSION;
	return send_all(vhost->fd, message, sizeof(message->header) + message->header.size, fds,
			nr_fds, deadline);
}

/* A request that has an answer, of @size bytes. */
static int ask(const struct vhost *vhost, struct message *message, void *answer, uint32_t size)
{
	const struct deadline deadline = deadline_in(vhost->patience_ms);
	const int ret = send_request(vhost, message, NULL, 0, &deadline);

	return ret ? ret : receive_answer(vhost, message->header.request, answer, size, &deadline);
}

/* A request that has none, but for an acknowledgement if there are some. */
static int tell(const struct vhost *vhost, struct message *message, const int *fds, unsigned nr_fds)
{
	const struct deadline deadline = deadline_in(vhost->patience_ms);
	const bool acks = vhost->protocol & VHOST_USER_REPLY_ACK;
	uint64_t refused = 0;
	int ret;

	if (acks)
		message->header.flags = FLAG_NEED_REPLY;
	ret = send_request(vhost, message, fds, nr_fds, &deadline);
	if (!ret && acks)
		ret = receive_answer(vhost, message->header.request, &refused, sizeof(refused),
				     &deadline);
	return !ret && refused ? -EREMOTEIO : ret;
}

static int ask_number(const struct vhost *vhost, uint32_t request, uint64_t *ret_number)
{
	struct message message = {.header = {.request = request}};

	return ask(vhost, &message, ret_number, sizeof(*ret_number));
}

static int tell_nothing(const struct vhost *vhost, uint32_t request)
{
	struct message message = {.header = {.request = request}};

	return tell(vhost, &message, NULL, 0);
}

static int tell_number(const struct vhost *vhost, uint32_t request, uint64_t number)
{
	struct message message = {
		.header = {.request = request, .size = sizeof(number)},
		.payload.number = number,
	};

	return tell(vhost, &message, NULL, 0);
}

static int tell_state(const struct vhost *vhost, uint32_t request, unsigned index, unsigned value)
{
	struct message message = {
		.header = {.request = request, .size = sizeof(struct vhost_vring_state)},
		.payload.state = {.index = index, .num = value},
	};

	return tell(vhost, &message, NULL, 0);
}

static int tell_fd(const struct vhost *vhost, uint32_t request, unsigned index, int fd)
{
	struct message message = {
		.header = {.request = request, .size = sizeof(uint64_t)},
		.payload.number = index & VRING_INDEX_MASK,
	};

	return tell(vhost, &message, &fd, 1);
}

/* The carrier. */

static int set_features(struct vhost *vhost, uint64_t features)
{
	if (vhost->has_protocol)
		features |= BIT(F_PROTOCOL_FEATURES);
	return tell_number(vhost, SET_FEATURES, features);
}

static int set_memory(struct vhost *vhost, const struct vhost_region *regions, unsigned nr)
{
	struct message message = {
		.header = {.request = SET_MEM_TABLE,
			   .size = (uint32_t)(offsetof(struct mem_table, regions) +
					      nr * sizeof(struct region))},
		.payload.mem.nr = nr,
	};
	int fds[MAX_FDS];

	for (unsigned i = 0; i < nr; i++) {
		message.payload.mem.regions[i] = (struct region){
			.guest_at = regions[i].guest_at,
			.size = regions[i].size,
			.user_at = regions[i].user_at,
			.offset = regions[i].offset,
		};
		fds[i] = regions[i].fd;
		vhost->regions[i] = regions[i];
	}
	vhost->nr_regions = nr;
	return tell(vhost, &message, fds, nr);
}

static int set_rings(struct vhost *vhost, unsigned index, const struct vhost_queue *queue)
{
	struct message message = {
		.header = {.request = SET_VRING_ADDR, .size = sizeof(struct vhost_vring_addr)},
		.payload.addr.index = index,
	};
	uint64_t desc, avail, used;

	if (vhost_translate(vhost, queue->desc, 1, &desc) ||
	    vhost_translate(vhost, queue->avail, 1, &avail) ||
	    vhost_translate(vhost, queue->used, 1, &used))
		return -EFAULT;
	message.payload.addr.desc_user_addr = desc;
	message.payload.addr.avail_user_addr = avail;
	message.payload.addr.used_user_addr = used;
	return tell(vhost, &message, NULL, 0);
}

static int set_call(struct vhost *vhost, unsigned index, int fd)
{
	return tell_fd(vhost, SET_VRING_CALL, index, fd);
}

/* The kick comes last: with it a queue that is enabled begins to run. */
static int start_queue(struct vhost *vhost, unsigned index, const struct vhost_queue *queue)
{
	int ret = tell_state(vhost, SET_VRING_NUM, index, queue->size);

	if (!ret)
		ret = tell_state(vhost, SET_VRING_BASE, index, queue->base);
	if (!ret)
		ret = set_rings(vhost, index, queue);
	if (!ret)
		ret = set_call(vhost, index, queue->call_fd);
	return ret ? ret : tell_fd(vhost, SET_VRING_KICK, index, queue->kick_fd);
}

/* Without acknowledgements an answer to something else tells that all has been seen. */
static int run(struct vhost *vhost, uint32_t which)
{
	uint64_t features;
	int ret = 0;

	for (unsigned i = 0; i < 32 && vhost->has_protocol && !ret; i++) {
		if (which >> i & 1)
			ret = tell_state(vhost, SET_VRING_ENABLE, i, 1);
	}
	if (!ret && !(vhost->protocol & VHOST_USER_REPLY_ACK))
		ret = ask_number(vhost, GET_FEATURES, &features);
	return ret;
}

static int stop_queue(struct vhost *vhost, unsigned index, uint16_t *ret_base)
{
	struct message message = {
		.header = {.request = GET_VRING_BASE, .size = sizeof(struct vhost_vring_state)},
		.payload.state.index = index,
	};
	struct vhost_vring_state state;
	const int ret = ask(vhost, &message, &state, sizeof(state));

	if (ret)
		return ret;
	if (state.index != index || state.num > UINT16_MAX)
		return -EPROTO;
	*ret_base = (uint16_t)state.num;
	return 0;
}

static int reset(struct vhost *vhost)
{
	if (!(vhost->protocol & VHOST_USER_RESET_DEVICE))
		return 0;
	return tell_nothing(vhost, RESET_DEVICE);
}

static int get_config(struct vhost *vhost, void *buf, uint32_t size)
{
	const uint32_t whole = (uint32_t)CONFIG_HEADER_SIZE + size;
	struct message message = {
		.header = {.request = GET_CONFIG, .size = whole},
		.payload.config.size = size,
	};
	struct config answer;
	int ret;

	if (size > VHOST_MAX_CONFIG || !(vhost->protocol & VHOST_USER_CONFIG))
		return -EOPNOTSUPP;
	ret = ask(vhost, &message, &answer, whole);
	if (ret)
		return ret;
	if (answer.offset != 0 || answer.size != size)
		return -EPROTO;
	memcpy(buf, answer.bytes, size);
	return 0;
}

/* Between requests only the connection's end may come. */
/* syscalls(worker): recvfrom */
static int check(struct vhost *vhost)
{
	uint8_t byte;
	const ssize_t ret = recv(vhost->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (ret > 0)
		return -EPROTO;
	if (ret == 0)
		return -ECONNRESET;
	return errno == EAGAIN || errno == EINTR ? 0 : lost(errno);
}

static const struct vhost_carrier vhost_user_carrier = {
	.set_features = set_features,
	.set_memory = set_memory,
	.start_queue = start_queue,
	.set_call = set_call,
	.run = run,
	.stop_queue = stop_queue,
	.reset = reset,
	.check = check,
	.get_config = get_config,
};

/* How both get to know each other. */

int vhost_user_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, ret = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		ret = -errno;
		close(fd);
	}
	return ret ? ret : fd;
}

/* One more socket, on which it is the back end that asks. */
static int open_request_channel(struct vhost *vhost)
{
	struct message message = {.header = {.request = SET_BACKEND_REQ_FD}};
	int ends[2], ret;

	if (!(vhost->protocol & VHOST_USER_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	ret = tell(vhost, &message, &ends[1], 1);
	close(ends[1]);
	if (ret)
		close(ends[0]);
	else
		vhost->request_fd = ends[0];
	return ret;
}

static int agree(struct vhost *vhost, uint64_t wanted)
{
	uint64_t offered = 0, nr_queues = 0;
	int ret = ask_number(vhost, GET_FEATURES, &vhost->features);

	if (!ret)
		ret = tell_nothing(vhost, SET_OWNER);
	vhost->has_protocol = vhost->features & BIT(F_PROTOCOL_FEATURES);
	vhost->features &= ~BIT(F_PROTOCOL_FEATURES);
	if (ret || !vhost->has_protocol)
		return ret;
	ret = ask_number(vhost, GET_PROTOCOL_FEATURES, &offered);
	if (!ret)
		ret = tell_number(vhost, SET_PROTOCOL_FEATURES, offered & wanted);
	vhost->protocol = offered & wanted;
	if (!ret && vhost->protocol & VHOST_USER_MQ)
		ret = ask_number(vhost, GET_QUEUE_NUM, &nr_queues);
	if (!ret && vhost->protocol & VHOST_USER_MQ &&
	    (nr_queues == 0 || nr_queues > VRING_INDEX_MASK))
		ret = -EPROTO;
	vhost->nr_queues = (unsigned)nr_queues;
	return ret ? ret : open_request_channel(vhost);
}

int vhost_user_init(struct vhost *ret_vhost, int fd, uint64_t wanted, unsigned patience_ms)
{
	struct vhost vhost = {
		.carrier = &vhost_user_carrier,
		.fd = fd,
		.request_fd = -1,
		.patience_ms = patience_ms,
	};
	const int ret = agree(&vhost, wanted);

	if (ret)
		vhost_close(&vhost);
	else
		*ret_vhost = vhost;
	return ret;
}

/* What a back end asks of us. */

static int take_request(const struct vhost *vhost, struct header *header)
{
	const struct deadline deadline = deadline_in(vhost->patience_ms);
	uint8_t payload[MAX_REQUEST_SIZE];
	int ret = receive_all(vhost->request_fd, header, sizeof(*header), &deadline);

	if (ret)
		return ret;
	if ((header->flags & (FLAG_VERSION_MASK | FLAG_REPLY)) != FLAG_VERSION ||
	    header->size > sizeof(payload))
		return -EPROTO;
	return receive_all(vhost->request_fd, payload, header->size, &deadline);
}

static int answer_request(const struct vhost *vhost, const struct header *header, uint64_t refused)
{
	const struct deadline deadline = deadline_in(vhost->patience_ms);
	struct message message = {
		.header = {.request = header->request,
			   .flags = FLAG_VERSION | FLAG_REPLY,
			   .size = sizeof(refused)},
		.payload.number = refused,
	};

	if (!(header->flags & FLAG_NEED_REPLY))
		return 0;
	return send_all(vhost->request_fd, &message, sizeof(message.header) + sizeof(refused), NULL,
			0, &deadline);
}

enum vhost_user_request vhost_user_serve(struct vhost *vhost)
{
	struct header header;
	int ret = take_request(vhost, &header);
	bool is_known = false;

	if (!ret) {
		is_known = header.request == BACKEND_CONFIG_CHANGE && header.size == 0;
		ret = answer_request(vhost, &header, !is_known);
	}
	if (ret) {
		close(vhost->request_fd);
		vhost->request_fd = -1;
	}
	return is_known ? VHOST_USER_REQUEST_CONFIG : VHOST_USER_REQUEST_NONE;
}

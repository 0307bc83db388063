/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost_backend.h"

#define MAX_FDS     8
#define MAX_PAYLOAD 512
#define PATIENCE_MS 5000

struct header {
	uint32_t request, flags, size;
};

/* struct request - as it came; fds that are not taken are closed */
struct request {
	struct header header;
	union {
		uint8_t bytes[MAX_PAYLOAD];
		uint64_t number;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct {
			uint32_t nr, padding;
			struct {
				uint64_t guest_at, size, user_at, offset;
			} regions[MAX_FDS];
		} mem;
		struct {
			uint32_t offset, size, flags;
			uint8_t bytes[BACKEND_MAX_CONFIG];
		} config;
	};
	int fds[MAX_FDS];
	unsigned nr_fds;
};

static const struct {
	const char *name;
	bool has_answer;
} requests[] = {
	[1] = {"GET_FEATURES", true},
	[2] = {"SET_FEATURES", false},
	[3] = {"SET_OWNER", false},
	[5] = {"SET_MEM_TABLE", false},
	[8] = {"SET_VRING_NUM", false},
	[9] = {"SET_VRING_ADDR", false},
	[10] = {"SET_VRING_BASE", false},
	[11] = {"GET_VRING_BASE", true},
	[12] = {"SET_VRING_KICK", false},
	[13] = {"SET_VRING_CALL", false},
	[15] = {"GET_PROTOCOL_FEATURES", true},
	[16] = {"SET_PROTOCOL_FEATURES", false},
	[17] = {"GET_QUEUE_NUM", true},
	[18] = {"SET_VRING_ENABLE", false},
	[21] = {"SET_BACKEND_REQ_FD", false},
	[24] = {"GET_CONFIG", true},
	[34] = {"RESET_DEVICE", false},
};

static void note(struct vhost_backend *backend, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct vhost_backend *backend, const char *fmt, ...)
{
	const size_t used = strlen(backend->log);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(backend->log + used, sizeof(backend->log) - used, fmt, args);
	va_end(args);
}

struct vhost_backend *backend_create(void)
{
	struct vhost_backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		abort();
	backend->features = 1ull << VIRTIO_F_VERSION_1 | 1ull << 30;
	backend->protocol = ~0ull;
	backend->nr_queues = BACKEND_MAX_QUEUES;
	backend->request_fd = -1;
	for (unsigned i = 0; i < BACKEND_MAX_QUEUES; i++)
		backend->queues[i] = (struct backend_queue){.kick_fd = -1, .call_fd = -1};
	return backend;
}

/* Messages. */

static bool receive(int fd, void *buf, size_t size, struct request *request)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = {buf, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *head;
	ssize_t ret;

	if (size == 0)
		return true;
	msg.msg_control = control.bytes;
	msg.msg_controllen = sizeof(control.bytes);
	ret = recvmsg(fd, &msg, MSG_WAITALL);
	if (ret != (ssize_t)size)
		return false;
	head = CMSG_FIRSTHDR(&msg);
	if (head && head->cmsg_type == SCM_RIGHTS) {
		request->nr_fds = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(request->fds, CMSG_DATA(head), request->nr_fds * sizeof(int));
	}
	return true;
}

static int take_fd(struct request *request)
{
	return request->nr_fds > 0 ? request->fds[--request->nr_fds] : -1;
}

static void send_with_fd(int fd, void *bytes, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {bytes, size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	(void)sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* The answer, or what @fault makes of it. Return: false if nothing can come afterwards. */
static bool answer(struct vhost_backend *backend, enum backend_fault fault, uint32_t request,
		   const void *payload, uint32_t size)
{
	struct {
		struct header header;
		uint8_t payload[MAX_PAYLOAD];
	} reply = {.header = {request, 1 | 1 << 2, size}};
	size_t whole;

	memcpy(reply.payload, payload, size);
	switch (fault) {
	case BACKEND_SILENT:
		return true;
	case BACKEND_HANGS_UP:
		return false;
	case BACKEND_OTHER_REQUEST:
		reply.header.request++;
		break;
	case BACKEND_TOO_LONG:
		reply.header.size += 8;
		break;
	case BACKEND_TOO_SHORT:
		reply.header.size -= 4;
		break;
	case BACKEND_HUGE:
		reply.header.size = UINT32_MAX;
		break;
	case BACKEND_OTHER_VERSION:
		reply.header.flags = 2 | 1 << 2;
		break;
	case BACKEND_NO_REPLY_FLAG:
		reply.header.flags = 1;
		break;
	case BACKEND_REFUSES:
		reply.payload[0] |= 1;
		break;
	case BACKEND_OTHER_INDEX:
		reply.payload[0] ^= 1;
		break;
	case BACKEND_LARGE_BASE:
		reply.payload[6] = 1;
		break;
	case BACKEND_OTHER_CONFIG:
		reply.payload[0] = 1;
		break;
	default:
		break;
	}
	whole = sizeof(reply.header) + (fault == BACKEND_HUGE ? size : reply.header.size);
	if (fault == BACKEND_WITH_FD) {
		send_with_fd(backend->fd, &reply, whole);
		return true;
	}
	if (fault == BACKEND_HALF)
		whole = sizeof(reply.header) + size / 2;
	return send(backend->fd, &reply, whole, MSG_NOSIGNAL) == (ssize_t)whole &&
	       fault != BACKEND_HALF;
}

/* Memory and queues. */

static void forget_memory(struct vhost_backend *backend)
{
	while (backend->nr_regions > 0) {
		const struct backend_region *region = &backend->regions[--backend->nr_regions];

		munmap(region->map, region->size);
	}
}

static bool set_memory(struct vhost_backend *backend, struct request *request)
{
	forget_memory(backend);
	if (request->mem.nr != request->nr_fds || request->nr_fds > MAX_FDS)
		return false;
	for (unsigned i = 0; i < request->mem.nr; i++) {
		void *map = mmap(NULL, request->mem.regions[i].size, PROT_READ | PROT_WRITE,
				 MAP_SHARED, request->fds[i],
				 (off_t)request->mem.regions[i].offset);

		if (map == MAP_FAILED)
			return false;
		backend->regions[backend->nr_regions++] = (struct backend_region){
			.guest_at = request->mem.regions[i].guest_at,
			.size = request->mem.regions[i].size,
			.user_at = request->mem.regions[i].user_at,
			.map = map,
		};
	}
	return true;
}

/* An address of the guest's, or of the front end's. NULL if it is in no region. */
static void *find(const struct vhost_backend *backend, uint64_t at, bool is_user)
{
	for (unsigned i = 0; i < backend->nr_regions; i++) {
		const struct backend_region *region = &backend->regions[i];
		const uint64_t base = is_user ? region->user_at : region->guest_at;

		if (at >= base && at - base < region->size)
			return region->map + (at - base);
	}
	return NULL;
}

/* Copy what is readable to what is writable. Return: bytes written. */
static uint32_t echo(const struct vhost_backend *backend, const struct vring_desc *desc,
		     uint16_t head)
{
	uint8_t held[4096];
	uint32_t size = 0, done = 0;

	for (;;) {
		const struct vring_desc *one = &desc[head];
		uint8_t *at = find(backend, one->addr, false);
		const uint32_t room = (uint32_t)sizeof(held) - size;

		if (!at)
			return 0;
		if (one->flags & VRING_DESC_F_WRITE) {
			const uint32_t left = size - done;
			const uint32_t part = one->len < left ? one->len : left;

			memcpy(at, held + done, part);
			done += part;
		} else {
			const uint32_t part = one->len < room ? one->len : room;

			memcpy(held + size, at, part);
			size += part;
		}
		if (!(one->flags & VRING_DESC_F_NEXT))
			return done;
		head = one->next;
	}
}

static void serve_queue(struct vhost_backend *backend, struct backend_queue *queue)
{
	const struct vring_desc *desc = find(backend, queue->desc, true);
	struct vring_avail *avail = find(backend, queue->avail, true);
	struct vring_used *used = find(backend, queue->used, true);
	uint64_t one = 1, count;

	if (read(queue->kick_fd, &count, sizeof(count)) < 0)
		return;
	if (!desc || !avail || !used)
		return;
	while ((uint16_t)queue->base != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE)) {
		const uint16_t head = avail->ring[queue->base % queue->size];

		used->ring[used->idx % queue->size] =
			(struct vring_used_elem){head, echo(backend, desc, head)};
		__atomic_store_n(&used->idx, (uint16_t)(used->idx + 1), __ATOMIC_RELEASE);
		queue->base = (uint16_t)(queue->base + 1);
	}
	if (write(queue->call_fd, &one, sizeof(one)) < 0)
		abort();
}

static void replace_fd(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = fd;
}

/* Requests. Return: false if the connection is over. */

static bool acknowledge(struct vhost_backend *backend, const struct request *request,
			enum backend_fault fault, bool done)
{
	const uint64_t refused = !done;

	if (!(request->header.flags & 1 << 3))
		return done && fault != BACKEND_HANGS_UP;
	return answer(backend, fault, request->header.request, &refused, sizeof(refused));
}

static bool act(struct vhost_backend *backend, struct request *request)
{
	const unsigned index = (unsigned)(request->number & 0xff) % BACKEND_MAX_QUEUES;
	struct backend_queue *queue = &backend->queues[index];

	switch (request->header.request) {
	case 2:
		backend->accepted = request->number;
		note(backend, " %#llx", (unsigned long long)request->number);
		return true;
	case 5:
		note(backend, " %u", request->mem.nr);
		return set_memory(backend, request);
	case 8:
		queue->size = request->state.num;
		note(backend, " %u=%u", index, queue->size);
		return true;
	case 9:
		queue->desc = request->addr.desc_user_addr;
		queue->avail = request->addr.avail_user_addr;
		queue->used = request->addr.used_user_addr;
		note(backend, " %u=%#llx", index, (unsigned long long)queue->desc);
		return true;
	case 10:
		queue->base = request->state.num;
		note(backend, " %u=%u", index, queue->base);
		return true;
	case 12:
		replace_fd(&queue->kick_fd, take_fd(request));
		note(backend, " %u", index);
		return queue->kick_fd >= 0;
	case 13:
		replace_fd(&queue->call_fd, take_fd(request));
		note(backend, " %u", index);
		return queue->call_fd >= 0;
	case 16:
		note(backend, " %#llx", (unsigned long long)request->number);
		return true;
	case 18:
		queue->is_enabled = request->state.num;
		note(backend, " %u=%u", index, request->state.num);
		return true;
	case 21:
		replace_fd(&backend->request_fd, take_fd(request));
		return backend->request_fd >= 0;
	default:
		return true;
	}
}

static bool reply(struct vhost_backend *backend, struct request *request, enum backend_fault fault)
{
	const uint32_t number = request->header.request;
	struct backend_queue *queue = &backend->queues[request->state.index % BACKEND_MAX_QUEUES];

	switch (number) {
	case 1:
		return answer(backend, fault, number, &backend->features, sizeof(uint64_t));
	case 11:
		request->state.num = queue->base;
		note(backend, " %u=%u", request->state.index, request->state.num);
		replace_fd(&queue->kick_fd, -1);
		queue->is_enabled = false;
		return answer(backend, fault, number, &request->state, sizeof(request->state));
	case 15:
		return answer(backend, fault, number, &backend->protocol, sizeof(uint64_t));
	case 17:
		return answer(backend, fault, number, &backend->nr_queues, sizeof(uint64_t));
	default:
		note(backend, " %u", request->config.size);
		memcpy(request->config.bytes, backend->config, sizeof(backend->config));
		return answer(backend, fault, number, &request->config, request->header.size);
	}
}

static bool serve_request(struct vhost_backend *backend)
{
	struct request request = {0};
	enum backend_fault fault = BACKEND_HONEST;
	const char *name;
	bool goes_on;

	if (!receive(backend->fd, &request.header, sizeof(request.header), &request))
		return false;
	if (request.header.size > sizeof(request.bytes) ||
	    !receive(backend->fd, request.bytes, request.header.size, &request))
		return false;
	name = request.header.request < sizeof(requests) / sizeof(requests[0])
		       ? requests[request.header.request].name
		       : NULL;
	note(backend, "%s%s", backend->log[0] ? "; " : "", name ? name : "unknown");
	if (!name)
		return false;
	if (request.header.request == backend->fault_at)
		fault = backend->fault;
	if (requests[request.header.request].has_answer)
		goes_on = reply(backend, &request, fault);
	else
		goes_on = acknowledge(backend, &request, fault, act(backend, &request));
	if (request.header.request == 5) {
		while (request.nr_fds > 0)
			close(take_fd(&request));
	}
	return goes_on;
}

static void *backend_main(void *arg)
{
	struct vhost_backend *backend = arg;
	struct pollfd sources[1 + BACKEND_MAX_QUEUES];
	bool goes_on = true;

	while (goes_on) {
		sources[0] = (struct pollfd){.fd = backend->fd, .events = POLLIN};
		for (unsigned i = 0; i < BACKEND_MAX_QUEUES; i++) {
			const struct backend_queue *queue = &backend->queues[i];

			sources[1 + i] = (struct pollfd){
				.fd = queue->is_enabled ? queue->kick_fd : -1,
				.events = POLLIN,
			};
		}
		if (poll(sources, 1 + BACKEND_MAX_QUEUES, PATIENCE_MS) <= 0)
			break;
		for (unsigned i = 0; i < BACKEND_MAX_QUEUES; i++) {
			if (sources[1 + i].revents)
				serve_queue(backend, &backend->queues[i]);
		}
		if (sources[0].revents)
			goes_on = serve_request(backend);
	}
	shutdown(backend->fd, SHUT_RDWR);
	return NULL;
}

int backend_start(struct vhost_backend *backend)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	backend->fd = ends[0];
	if (pthread_create(&backend->thread, NULL, backend_main, backend))
		abort();
	return ends[1];
}

void backend_hang_up(struct vhost_backend *backend)
{
	shutdown(backend->fd, SHUT_RDWR);
}

void backend_stop(struct vhost_backend *backend)
{
	pthread_join(backend->thread, NULL);
	close(backend->fd);
	replace_fd(&backend->request_fd, -1);
	forget_memory(backend);
	for (unsigned i = 0; i < BACKEND_MAX_QUEUES; i++) {
		replace_fd(&backend->queues[i].kick_fd, -1);
		replace_fd(&backend->queues[i].call_fd, -1);
		backend->queues[i].is_enabled = false;
	}
}

void backend_destroy(struct vhost_backend *backend)
{
	free(backend);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the vsock of a guest and the Unix sockets of its host.
 *
 * Each connection has a number, the same in vsock.h and here. All sockets are in one epoll set,
 * edge-triggered: what the guest does not take yet does not wake the loop, and vsock.h remembers
 * that it is there. All calls of vsock.h happen under the device's lock; a driver's reset, on a
 * vCPU's thread, closes sockets through it as well.
 *
 * The guest decides when a connection to PATH_P is made; the broker makes it, because this process
 * can open nothing once the guest runs.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define LISTENER   VSOCK_MAX_CONNS
#define MAX_EVENTS 32

/* syscalls(loop vcpu): epoll_ctl */
static int watch(struct vsockets *vsockets, int fd, unsigned index)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = index,
	};

	return epoll_ctl(vsockets->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Return: 0, or -errno, and then @fd is closed. */
static int adopt(struct vsockets *vsockets, unsigned index, int fd)
{
	const int ret = watch(vsockets, fd, index);

	if (ret)
		close(fd);
	else
		vsockets->fds[index] = fd;
	return ret;
}

static int on_connect(void *ctx, unsigned index, uint32_t port)
{
	struct vsockets *vsockets = ctx;
	const int fd = broker_connect(vsockets->broker, VSOCK_TARGET, port);

	return fd < 0 ? fd : adopt(vsockets, index, fd);
}

static void on_accepted(void *ctx, unsigned index, uint32_t host_port)
{
	struct vsockets *vsockets = ctx;

	vsock_host_accepted(vsockets->fds[index], host_port);
}

/* An interrupted call has done nothing; and none of these sockets is ever waited for. */
static ssize_t result(ssize_t ret)
{
	if (ret >= 0)
		return ret;
	return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* syscalls(loop): recvfrom */
static ssize_t on_read(void *ctx, unsigned index, void *buf, size_t size)
{
	struct vsockets *vsockets = ctx;

	return result(recv(vsockets->fds[index], buf, size, 0));
}

/* syscalls(loop): sendto */
static ssize_t on_write(void *ctx, unsigned index, const void *buf, size_t size)
{
	struct vsockets *vsockets = ctx;

	return result(send(vsockets->fds[index], buf, size, MSG_NOSIGNAL));
}

/* syscalls(loop): shutdown */
static void on_shutdown(void *ctx, unsigned index, int how)
{
	struct vsockets *vsockets = ctx;

	shutdown(vsockets->fds[index], how);
}

static void on_close(void *ctx, unsigned index)
{
	struct vsockets *vsockets = ctx;

	close(vsockets->fds[index]);
	vsockets->fds[index] = -1;
}

const struct vsock_host vsockets_host = {
	.connect = on_connect,
	.accepted = on_accepted,
	.read = on_read,
	.write = on_write,
	.shutdown = on_shutdown,
	.close = on_close,
};

/* syscalls(build): epoll_create1 */
int vsockets_init(struct vsockets *vsockets, const struct vsock_host_socket *socket,
		  struct broker *broker, struct vvsock *device)
{
	int ret;

	*vsockets = (struct vsockets){.socket = socket, .broker = broker, .device = device};
	for (unsigned i = 0; i < VSOCK_MAX_CONNS; i++)
		vsockets->fds[i] = -1;
	vsockets->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (vsockets->epoll_fd < 0)
		return -errno;
	ret = watch(vsockets, socket->fd, LISTENER);
	if (ret)
		vsockets_done(vsockets);
	return ret;
}

void vsockets_done(struct vsockets *vsockets)
{
	close(vsockets->epoll_fd);
	vsockets->epoll_fd = -1;
}

static void refuse(struct vsockets *vsockets, unsigned index)
{
	vsock_cancel(&vsockets->device->vsock, index);
	on_close(vsockets, index);
}

/* Who has connected says which port it wants. */
static void on_greeting(struct vsockets *vsockets, unsigned index)
{
	uint32_t port = 0;
	int ret = vsock_host_greet(vsockets->fds[index], &port);

	if (ret == -EAGAIN)
		return;
	/* Without a driver nobody would ever answer. */
	if (!ret && !virtio_may_work(&vsockets->device->virtio))
		ret = -ECONNREFUSED;
	if (!ret)
		ret = vsock_open(&vsockets->device->vsock, index, port);
	if (ret)
		refuse(vsockets, index);
}

static void on_peer(struct vsockets *vsockets, unsigned index, uint32_t events)
{
	struct vsock *vsock = &vsockets->device->vsock;
	unsigned what = 0;

	/* It was closed after the event. */
	if (vsockets->fds[index] < 0)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP))
		what |= VSOCK_READABLE;
	if (events & EPOLLOUT)
		what |= VSOCK_WRITABLE;
	if (events & (EPOLLHUP | EPOLLERR))
		what |= VSOCK_READABLE | VSOCK_WRITABLE | VSOCK_GONE;
	if (vsock_get_state(vsock, index) == VSOCK_RESERVED)
		on_greeting(vsockets, index);
	vsock_ready(vsock, index, what);
}

/* One more than fits is closed; one that lacks a descriptor here waits until the next comes. */
static void on_listener(struct vsockets *vsockets)
{
	int fd, index;

	while ((fd = vsock_host_accept(vsockets->socket)) >= 0) {
		index = vsock_reserve(&vsockets->device->vsock);
		if (index < 0)
			close(fd);
		else if (adopt(vsockets, (unsigned)index, fd))
			vsock_cancel(&vsockets->device->vsock, (unsigned)index);
	}
}

/* syscalls(loop): epoll_pwait */
void vsockets_serve(struct vsockets *vsockets)
{
	struct virtio_dev *dev = &vsockets->device->virtio;
	struct epoll_event events[MAX_EVENTS];
	const int nr = epoll_wait(vsockets->epoll_fd, events, MAX_EVENTS, 0);

	virtio_lock(dev);
	for (int i = 0; i < nr; i++) {
		if (events[i].data.u32 == LISTENER)
			on_listener(vsockets);
		else
			on_peer(vsockets, events[i].data.u32, events[i].events);
	}
	virtio_unlock(dev);
	virtio_service(dev);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices with back ends: their descriptors, their threads, and back ends that come and go.
 *
 * The back end of a queue gets the eventfd of the slot's lane, which the driver's notifications
 * reach through KVM, and one of ours that it signals in turn. The device's thread waits for the
 * latter, for the device's own wishes, and for the connection; it alone speaks to the back end, so
 * one that is slow or silent keeps nobody else from anything.
 *
 * A lost back end is looked for once a second, where it was found first, by the broker of sockets.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ccr/sandbox.h"
#include "internal.h"

#define RETRY_MS 1000

enum {
	SOURCE_WAKE,
	SOURCE_BACK_END,
	SOURCE_REQUEST,
	SOURCE_TAP,
	SOURCE_OWN,
	SOURCE_ERROR,
	SOURCE_CALLS
};

#define MAX_SOURCES (SOURCE_CALLS + VIRTIO_MAX_QUEUES)

/**
 * struct vhost_port - see internal.h
 * @wake_fd: the device wants service, or the thread is to end
 * @err_fd: a queue holds what the back end cannot use
 * @next_try_ms: when to look for a lost back end
 * @has_tap: there is a tap, and it was there when we looked last
 */
struct vhost_port {
	struct vhost_dev dev;
	struct back_end *end;
	struct broker *broker;
	int wake_fd, err_fd;
	unsigned nr_queues;
	int kick_fds[VIRTIO_MAX_QUEUES];
	int call_fds[VIRTIO_MAX_QUEUES];
	int64_t next_try_ms;
	bool has_tap;
	bool has_thread;
	pthread_t thread;
	atomic_bool stop;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Back ends. */

/*
 * Find a back end that was lost, by the broker: this process may connect to nothing any more, nor
 * make one more channel. The kernel's cannot be lost and be there.
 *
 * Return: 0 or an error of vhost.h's.
 */
static int find(const struct back_end *end, struct broker *broker, struct vhost *ret_vhost)
{
	int fd;

	if (end->is_kernel || !end->absolute || !broker)
		return -ECONNRESET;
	fd = broker_connect(broker, end->target, 0);
	return fd < 0 ? fd
		      : vhost_user_init(ret_vhost, fd,
					end->type->protocol & ~VHOST_USER_BACKEND_REQ,
					VHOST_USER_PATIENCE_MS);
}

/* @fd: connected; is closed if it fails. @path: NULL if it has no name. */
static int greet(struct back_end *end, int fd, const char *what, const char *path,
		 const struct vhost_dev_type *type, struct ccr_err *err)
{
	const int ret = vhost_user_init(&end->vhost, fd, type->protocol, VHOST_USER_PATIENCE_MS);

	if (ret)
		return err_set(err, ret, "%s: cannot use this back end: %s", what,
			       vhost_strerror(ret));
	end->path = path ? path : what;
	end->type = type;
	end->absolute = path ? realpath(path, NULL) : NULL;
	return 0;
}

int vhosts_open(struct back_end *end, const char *what, const char *path,
		const struct vhost_dev_type *type, struct ccr_err *err)
{
	const int fd = vhost_user_connect(path);
	char name[256];

	(void)snprintf(name, sizeof(name), "%s %s", what, path);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return err_set(err, fd, "%s: nobody listens there; start the back end first", name);
	if (fd < 0)
		return err_set(err, fd, "%s: cannot use this back end: %s", name,
			       vhost_strerror(fd));
	return greet(end, fd, name, path, type, err);
}

int vhosts_open_vsock(struct back_end *end, uint32_t cid, struct ccr_err *err)
{
	const int ret = vhost_kernel_open_vsock(&end->vhost, cid, err);

	if (!ret) {
		end->path = "/dev/vhost-vsock";
		end->is_kernel = true;
		end->type = &vhost_vsock_type;
	}
	return ret;
}

static int open_tap(struct back_end *end, struct net *net, bool must, struct ccr_err *err)
{
	struct ccr_err why = {0};
	const int ret = vhost_kernel_open_net(&end->vhost, net->fds, net->nr_pairs, &why);

	if (ret && must)
		return err_set(err, ret, "%s: %s", net->name, why.msg);
	if (ret) {
		log_debug("%s: without vhost-net: %s", net->name, why.msg);
		return 0;
	}
	end->path = "/dev/vhost-net";
	end->type = &vhost_net_type;
	end->is_kernel = true;
	end->tap = net;
	return 0;
}

int vhosts_open_net(struct back_end *end, struct net *net, const struct net_config *config,
		    struct ccr_err *err)
{
	const int fd = net->vhost_fd;

	if (net->is_tap && config->vhost != NET_VHOST_OFF)
		return open_tap(end, net, config->vhost == NET_VHOST_ON, err);
	if (fd < 0)
		return 0;
	net->vhost_fd = -1;
	return greet(end, fd, net->name, config->where, &vhost_net_type, err);
}

void vhosts_close(struct back_end *end)
{
	vhost_close(&end->vhost);
	free(end->absolute);
	end->absolute = NULL;
	end->path = NULL;
}

/* Creation. */

static void wake(void *ctx)
{
	const struct vhost_port *port = ctx;
	const uint64_t one = 1;

	/* It can only fail with EAGAIN, when the thread is about to wake anyway. */
	if (write(port->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* syscalls(build): eventfd2 */
static int open_fds(struct vhost_port *port, const struct virtio_slot *slot)
{
	port->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	port->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port->wake_fd < 0 || port->err_fd < 0)
		return -errno;
	for (; port->nr_queues < slot->nr_lanes; port->nr_queues++) {
		const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		port->kick_fds[port->nr_queues] = slot->lanes[port->nr_queues].kick_fd;
		port->call_fds[port->nr_queues] = fd;
	}
	return 0;
}

static void close_fds(struct vhost_port *port)
{
	while (port->nr_queues > 0)
		close(port->call_fds[--port->nr_queues]);
	if (port->wake_fd >= 0)
		close(port->wake_fd);
	if (port->err_fd >= 0)
		close(port->err_fd);
}

/*
 * What the guest shares, at its addresses with and without the shared bit. The kernel finds it
 * where we have it mapped; programs map it themselves, and need not know.
 */
static void describe_memory(struct vhost_dev_config *config, struct gmem *gmem, bool is_kernel)
{
	const uint64_t shared_bit = gmem_shared_bit(gmem);
	const struct vhost_region region = {
		.guest_at = gmem_base(gmem).v,
		.size = gmem_size(gmem),
		.user_at = is_kernel ? gmem_slot_address(gmem, GMEM_SHARED) : gmem_base(gmem).v,
		.fd = is_kernel ? -1 : gmem_export_shared(gmem),
	};

	config->regions[0] = region;
	config->regions[1] = region;
	config->regions[1].guest_at |= shared_bit;
	config->regions[1].user_at |= is_kernel ? 0 : shared_bit;
	config->nr_regions = shared_bit ? 2 : 1;
}

/* The last life may have lost it. */
static int find_again(struct back_end *end, struct broker *broker, struct ccr_err *err)
{
	int ret;

	if (end->vhost.fd >= 0)
		return 0;
	ret = find(end, broker, &end->vhost);
	return ret ? err_set(err, ret, "%s %s: the back end was lost and is not back: %s",
			     end->type->virtio.name, end->path, vhost_strerror(ret))
		   : 0;
}

static int make_device(struct vhost_port *port, const struct vhost_dev_config *config,
		       struct gmem *gmem, const struct virtio_setup *setup, struct ccr_err *err)
{
	struct vhost_dev_config own = *config;
	struct virtio_setup own_setup = *setup;

	own.type = port->end->type;
	own.vhost = &port->end->vhost;
	own.name = port->end->path;
	own.kick_fds = port->kick_fds;
	own.call_fds = port->call_fds;
	own.err_fd = port->err_fd;
	describe_memory(&own, gmem, port->end->is_kernel);
	own_setup.host = (struct virtio_host){.kick = wake, .ctx = port};
	return vhost_dev_init(&port->dev, &own, &own_setup, err);
}

int vhosts_create(struct vhost_port **ret_port, struct back_end *end,
		  const struct vhost_dev_config *config, struct virtio_slot *slot,
		  struct gmem *gmem, struct broker *broker, const struct virtio_setup *setup,
		  struct ccr_err *err)
{
	struct vhost_port *port = calloc(1, sizeof(*port));
	int ret;

	if (!port)
		return err_set(err, -ENOMEM, "%s: out of memory", end->type->virtio.name);
	port->end = end;
	port->broker = broker;
	port->has_tap = end->tap;
	ret = open_fds(port, slot);
	if (ret)
		err_set(err, ret, "%s: no eventfd: %s", end->type->virtio.name, strerror(-ret));
	if (!ret)
		ret = find_again(end, broker, err);
	if (!ret)
		ret = make_device(port, config, gmem, setup, err);
	if (ret) {
		close_fds(port);
		free(port);
		return ret;
	}
	*ret_port = port;
	return 0;
}

void vhosts_destroy(struct vhost_port *port)
{
	vhost_dev_done(&port->dev);
	close_fds(port);
	free(port);
}

struct vhost_dev *vhosts_device(struct vhost_port *port)
{
	return &port->dev;
}

/* The thread. */

/* The back end has the descriptor too and may have made it block: this never does. */
/* syscalls(worker): preadv2 */
static void clear(int fd)
{
	uint64_t count;
	struct iovec iov = {&count, sizeof(count)};

	if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0)
		return;
}

/* The notifications of the queue that is ours, if one is and anything happens on it. */
static int own_kick_fd(const struct vhost_port *port)
{
	const struct vhost_dev *dev = &port->dev;

	if (!dev->is_running || !dev->own || !dev->config.type->serve_own)
		return -1;
	return port->kick_fds[__builtin_ctz(dev->own)];
}

static void set_sources(const struct vhost_port *port, struct pollfd sources[MAX_SOURCES])
{
	const struct vhost *vhost = &port->end->vhost;

	sources[SOURCE_WAKE] = (struct pollfd){.fd = port->wake_fd, .events = POLLIN};
	sources[SOURCE_BACK_END] =
		(struct pollfd){.fd = vhost->carrier->check ? vhost->fd : -1, .events = POLLIN};
	sources[SOURCE_REQUEST] = (struct pollfd){.fd = vhost->request_fd, .events = POLLIN};
	/* An error is reported without being asked for. */
	sources[SOURCE_TAP] = (struct pollfd){.fd = port->has_tap ? port->end->tap->fds[0] : -1};
	sources[SOURCE_OWN] = (struct pollfd){.fd = own_kick_fd(port), .events = POLLIN};
	sources[SOURCE_ERROR] = (struct pollfd){.fd = port->err_fd, .events = POLLIN};
	for (unsigned i = 0; i < port->nr_queues; i++)
		sources[SOURCE_CALLS + i] =
			(struct pollfd){.fd = port->call_fds[i], .events = POLLIN};
}

/* What was wrong with a queue is forgotten with it. */
static void serve_device(struct vhost_port *port)
{
	const bool was_running = port->dev.is_running;

	vhost_dev_serve(&port->dev);
	if (was_running && !port->dev.is_running)
		clear(port->err_fd);
}

/* A notification that came by a register reaches the back end like any other. */
static void on_wake(struct vhost_port *port)
{
	const uint64_t one = 1;

	clear(port->wake_fd);
	serve_device(port);
	vhost_dev_serve_own(&port->dev);
	for (unsigned i = 0; i < port->nr_queues && port->dev.is_running; i++) {
		if (write(port->kick_fds[i], &one, sizeof(one)) < 0)
			continue;
	}
}

static void on_back_end(struct vhost_port *port)
{
	struct vhost *vhost = &port->end->vhost;
	const int ret = vhost->fd < 0 ? 0 : vhost->carrier->check(vhost);

	if (!ret)
		return;
	vhost_dev_lose(&port->dev, ret);
	port->next_try_ms = now_ms() + RETRY_MS;
}

static void on_request(struct vhost_port *port)
{
	if (port->end->vhost.request_fd >= 0 &&
	    vhost_user_serve(&port->end->vhost) == VHOST_USER_REQUEST_CONFIG)
		vhost_dev_config_changed(&port->dev);
}

/* The queues go on, and lead nowhere. */
static void on_tap(struct vhost_port *port)
{
	port->has_tap = false;
	vhost_net_break(&port->dev);
}

static void look_for_back_end(struct vhost_port *port)
{
	struct vhost fresh;

	if (!vhost_dev_is_lost(&port->dev) || now_ms() < port->next_try_ms)
		return;
	/* What the last one has not taken is announced once more. */
	if (!find(port->end, port->broker, &fresh) && !vhost_dev_adopt(&port->dev, &fresh))
		wake(port);
	port->next_try_ms = now_ms() + RETRY_MS;
}

static void serve(struct vhost_port *port, const struct pollfd sources[MAX_SOURCES])
{
	for (unsigned i = 0; i < port->nr_queues; i++) {
		if (!sources[SOURCE_CALLS + i].revents)
			continue;
		clear(port->call_fds[i]);
		vhost_dev_interrupt(&port->dev, i);
	}
	if (sources[SOURCE_WAKE].revents)
		on_wake(port);
	if (sources[SOURCE_REQUEST].revents)
		on_request(port);
	if (sources[SOURCE_TAP].revents)
		on_tap(port);
	if (sources[SOURCE_OWN].revents) {
		clear(sources[SOURCE_OWN].fd);
		vhost_dev_serve_own(&port->dev);
	}
	if (sources[SOURCE_ERROR].revents) {
		clear(port->err_fd);
		vhost_dev_break(&port->dev);
	}
	if (sources[SOURCE_BACK_END].revents)
		on_back_end(port);
}

/* A tap that is removed says so when asked, but wakes up only those who wait for frames. */
static int time_to_wait(const struct vhost_port *port)
{
	return port->has_tap || vhost_dev_is_lost(&port->dev) ? RETRY_MS : -1;
}

/* syscalls(worker): ppoll */
static void *port_main(void *arg)
{
	struct vhost_port *port = arg;
	struct pollfd sources[MAX_SOURCES];

	while (!atomic_load(&port->stop)) {
		set_sources(port, sources);
		if (poll(sources, SOURCE_CALLS + port->nr_queues, time_to_wait(port)) >= 0)
			serve(port, sources);
		look_for_back_end(port);
	}
	vhost_dev_stop(&port->dev);
	return NULL;
}

int vhosts_start(struct vhost_port *port, struct ccr_err *err)
{
	const int ret = sandbox_thread_create(&port->thread, SANDBOX_WORKER, port_main, port);

	if (ret)
		return err_set(err, ret, "%s: cannot start its thread: %s",
			       port->dev.virtio.type->name, strerror(-ret));
	port->has_thread = true;
	return 0;
}

void vhosts_stop(struct vhost_port *port)
{
	if (!port->has_thread)
		return;
	atomic_store(&port->stop, true);
	wake(port);
	pthread_join(port->thread, NULL);
	port->has_thread = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/hash.h"
#include "net_internal.h"

void net_default_mac(const char *name, unsigned index, uint8_t mac[NET_MAC_SIZE])
{
	uint8_t digest[HASH_SHORT_SIZE];
	char text[128];
	const int size = snprintf(text, sizeof(text), "%s/net%u", name, index);

	hash_short(text, (size_t)size, digest);
	memcpy(mac, digest, NET_MAC_SIZE);
	/* Locally administered, of one station. */
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

static char *name_of(const struct net_config *config)
{
	static const char *const names[] = {
		[NET_USER] = "network user",
		[NET_PASST] = "network passt=",
		[NET_TAP] = "network tap=",
		[NET_FD] = "network fd=",
	};
	char *name = NULL;
	int ret;

	if (config->kind == NET_FD)
		ret = asprintf(&name, "%s%d", names[NET_FD], config->fds[0]);
	else
		ret = asprintf(&name, "%s%s", names[config->kind],
			       config->where ? config->where : "");
	return ret < 0 ? NULL : name;
}

static int open_end(struct net *net, const struct net_config *config, struct ccr_err *err)
{
	const bool is_vhost = config->vhost == NET_VHOST_ON;

	switch (config->kind) {
	case NET_USER:
		return passt_start(net, config->vhost, err);
	case NET_PASST:
		return passt_connect(net, config->where, is_vhost, err);
	case NET_TAP:
		return tap_open(net, config->where, err);
	case NET_FD:
		return tap_is_tap(config->fds[0]) ? tap_adopt(net, config->fds, err)
						  : passt_adopt(net, config->fds[0], is_vhost, err);
	case NET_NONE:
		break;
	}
	return -EINVAL;
}

/* A descriptor that is ready when one of several is. */
static int gather(struct net *net, struct ccr_err *err)
{
	if (net->nr_pairs == 1)
		return 0;
	net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (net->epoll_fd < 0)
		return err_set(err, -errno, "%s: cannot wait for it: %s", net->name,
			       strerror(errno));
	return 0;
}

static void make_empty(struct net *net)
{
	*net = (struct net){.epoll_fd = -1, .vhost_fd = -1};
	for (unsigned i = 0; i < NET_MAX_PAIRS; i++)
		net->fds[i] = -1;
}

int net_open(struct net *net, const struct net_config *config, const char *machine, unsigned index,
	     struct ccr_err *err)
{
	int ret;

	make_empty(net);
	net->nr_pairs = config->nr_pairs;
	net->mtu = config->mtu;
	net->name = name_of(config);
	if (!net->name)
		return err_set(err, -ENOMEM, "network: out of memory");
	memcpy(net->mac, config->mac, NET_MAC_SIZE);
	if (!config->has_mac)
		net_default_mac(machine, index, net->mac);
	ret = open_end(net, config, err);
	if (!ret)
		ret = gather(net, err);
	if (ret)
		net_close(net);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void net_close(struct net *net)
{
	if (net->ops && net->ops->close)
		net->ops->close(net);
	close_fd(&net->epoll_fd);
	close_fd(&net->vhost_fd);
	for (unsigned i = 0; i < NET_MAX_PAIRS; i++)
		close_fd(&net->fds[i]);
	/* It ends by itself, now that its socket has; the signal is for one that hangs. */
	if (net->helper > 0) {
		kill(net->helper, SIGTERM);
		waitpid(net->helper, NULL, 0);
	}
	free(net->name);
	make_empty(net);
}

int net_check(struct net *net, struct ccr_err *err)
{
	int status;

	if (net->helper <= 0 || waitpid(net->helper, &status, WNOHANG) != net->helper)
		return 0;
	net->helper = 0;
	return err_set(err, -EPIPE,
		       "%s: passt has ended already (%s %d); what it has printed says why",
		       net->name, WIFEXITED(status) ? "status" : "signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static uint32_t to_epoll(short events)
{
	return (events & POLLIN ? (uint32_t)EPOLLIN : 0) |
	       (events & POLLOUT ? (uint32_t)EPOLLOUT : 0);
}

/* Without events a descriptor would still report errors, for ever: it leaves the set. */
/* syscalls(loop worker): epoll_ctl */
static void wait_for(struct net *net, unsigned pair, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = pair};
	int op = EPOLL_CTL_MOD;

	if (net->waited[pair] == events)
		return;
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else if (net->waited[pair] == 0)
		op = EPOLL_CTL_ADD;
	if (epoll_ctl(net->epoll_fd, op, net->fds[pair], &event) == 0)
		net->waited[pair] = events;
}

void net_wait(struct net *net, const short events[NET_MAX_PAIRS], struct pollfd *ret_source)
{
	if (net->epoll_fd < 0) {
		*ret_source = (struct pollfd){
			.fd = events[0] ? net->fds[0] : -1,
			.events = events[0],
		};
		return;
	}
	for (unsigned i = 0; i < net->nr_pairs; i++)
		wait_for(net, i, to_epoll(events[i]));
	*ret_source = (struct pollfd){.fd = net->epoll_fd, .events = POLLIN};
}

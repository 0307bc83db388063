/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

static int sockets_open(void **ret_state, const struct broker_scope *scope, struct ccr_err *err)
{
	(void)err;
	/* Which is the process's own: it was forked with it. */
	*ret_state = (void *)(uintptr_t)scope;
	return 0;
}

/* Return: 0 or -ENAMETOOLONG. */
static int make_address(struct sockaddr_un *address, const struct broker_target *target,
			uint32_t port)
{
	char suffix[sizeof("_4294967295")] = "";
	int size;

	if (target->has_ports)
		snprintf(suffix, sizeof(suffix), "_%u", port);
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	size = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s", target->path, suffix);
	return size < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

/* syscalls(broker): socket:AF_UNIX connect */
static int connect_to(const struct sockaddr_un *address, int *ret_fd)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*ret_fd = fd;
	return 0;
}

static int sockets_serve(void *state, const struct broker_request *request,
			 struct broker_reply *reply, int *ret_fd)
{
	const struct broker_scope *scope = state;
	const struct broker_target *target;
	struct sockaddr_un address;
	int ret;

	(void)reply;
	if (request->op != BROKER_CONNECT || request->handle >= scope->nr_targets)
		return -EPERM;
	target = &scope->targets[request->handle];
	if (!target->path || request->offset > (target->has_ports ? UINT32_MAX : 0))
		return -EPERM;
	ret = make_address(&address, target, (uint32_t)request->offset);
	return ret ? ret : connect_to(&address, ret_fd);
}

const struct broker_service broker_sockets_service = {
	.name = "ccr-sockets",
	.open = sockets_open,
	.serve = sockets_serve,
};

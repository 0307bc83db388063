/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

/**
 * struct sockets - where what may be connected to is found
 * @targets: as in the broker's scope, but by paths of this process, allocated
 */
struct sockets {
	unsigned nr_targets;
	struct broker_target targets[BROKER_MAX_TARGETS];
};

#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* The directories of all targets; NULL where there is none, or a name too long for any socket. */
struct dirs {
	char texts[BROKER_MAX_TARGETS][SOCKET_PATH_SIZE];
	const char *list[BROKER_MAX_TARGETS];
};

static void list_dirs(struct dirs *dirs, const struct broker_scope *scope)
{
	*dirs = (struct dirs){0};
	for (unsigned i = 0; i < scope->nr_targets; i++) {
		const char *path = scope->targets[i].path;
		const size_t size = path ? (size_t)(strrchr(path, '/') - path) : 0;

		if (!path || size >= SOCKET_PATH_SIZE)
			continue;
		memcpy(dirs->texts[i], path, size > 0 ? size : 1);
		dirs->list[i] = dirs->texts[i];
	}
}

/* Return: 0 or -ENOMEM. */
static int find_target(struct broker_target *found, const struct broker_target *target, unsigned nr,
		       bool is_enclosed)
{
	char *path;
	int ret;

	*found = (struct broker_target){.has_ports = target->has_ports};
	if (!target->path)
		return 0;
	if (is_enclosed)
		ret = asprintf(&path, "/%u%s", nr, strrchr(target->path, '/'));
	else
		ret = asprintf(&path, "%s", target->path);
	found->path = ret < 0 ? NULL : path;
	return ret < 0 ? -ENOMEM : 0;
}

static int find_targets(struct sockets *sockets, const struct broker_config *config)
{
	const struct broker_scope *scope = &config->scope;
	struct dirs dirs;
	bool is_enclosed;
	int ret = 0;

	list_dirs(&dirs, scope);
	is_enclosed = broker_enclose(config, dirs.list, scope->nr_targets);
	sockets->nr_targets = scope->nr_targets;
	for (unsigned i = 0; i < scope->nr_targets && !ret; i++)
		ret = find_target(&sockets->targets[i], &scope->targets[i], i, is_enclosed);
	return ret;
}

static int sockets_open(void **ret_state, const struct broker_config *config, struct ccr_err *err)
{
	struct sockets *sockets = calloc(1, sizeof(*sockets));

	*ret_state = sockets;
	if (!sockets || find_targets(sockets, config))
		return err_set(err, -ENOMEM, "broker of sockets: out of memory");
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
	const struct sockets *sockets = state;
	const struct broker_target *target;
	struct sockaddr_un address;
	int ret;

	(void)reply;
	if (request->op != BROKER_CONNECT || request->handle >= sockets->nr_targets)
		return -EPERM;
	target = &sockets->targets[request->handle];
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

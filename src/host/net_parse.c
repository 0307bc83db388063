/* SPDX-License-Identifier: Apache-2.0 */
/* What --network says, in words of its own and in kvmtool's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ccr/net.h"
#include "ccr/parse.h"

static int set_kind(struct net_config *config, enum net_kind kind, const char *where,
		    struct ccr_err *err)
{
	if (config->kind != NET_NONE && config->kind != kind)
		return err_set(err, -EINVAL, "more than one kind of network");
	if (where && config->where)
		return err_set(err, -EINVAL, "%s or %s? a network has one other end", config->where,
			       where);
	config->kind = kind;
	if (where)
		config->where = where;
	return 0;
}

static int set_user(struct net_config *config, const char *value, struct ccr_err *err)
{
	(void)value;
	return set_kind(config, NET_USER, NULL, err);
}

static int set_passt(struct net_config *config, const char *value, struct ccr_err *err)
{
	return set_kind(config, NET_PASST, value, err);
}

static int set_tap(struct net_config *config, const char *value, struct ccr_err *err)
{
	return set_kind(config, NET_TAP, value, err);
}

static bool has_fd(const struct net_config *config, unsigned nr, int fd)
{
	for (unsigned i = 0; i < nr; i++) {
		if (config->fds[i] == fd)
			return true;
	}
	return false;
}

/* Several are queues of one interface: 3:4:5. */
static int set_fd(struct net_config *config, const char *value, struct ccr_err *err)
{
	unsigned nr = 0;

	while (nr < NET_MAX_PAIRS) {
		const size_t size = strcspn(value, ":");
		char number[16];
		uint64_t fd;

		(void)snprintf(number, sizeof(number), "%.*s", (int)size, value);
		if (size >= sizeof(number) || parse_u64(number, &fd) || fd < 3 || fd > INT32_MAX)
			break;
		if (has_fd(config, nr, (int)fd))
			return err_set(err, -EINVAL, "fd=: %d is there twice", (int)fd);
		config->fds[nr++] = (int)fd;
		if (!value[size]) {
			config->nr_fds = nr;
			return set_kind(config, NET_FD, NULL, err);
		}
		value += size + 1;
	}
	return err_set(err, -EINVAL,
		       "fd= takes descriptors from 3 on, up to %d of them: fd=3 or fd=3:4",
		       NET_MAX_PAIRS);
}

static int set_mode(struct net_config *config, const char *value, struct ccr_err *err)
{
	if (!strcmp(value, "user"))
		return set_kind(config, NET_USER, NULL, err);
	if (!strcmp(value, "tap"))
		return set_kind(config, NET_TAP, NULL, err);
	return err_set(err, -EINVAL, "mode=%s: neither user nor tap", value);
}

static int set_mac(struct net_config *config, const char *value, struct ccr_err *err)
{
	unsigned parts[NET_MAC_SIZE], any = 0;
	int size = 0;

	if (sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &parts[0], &parts[1], &parts[2], &parts[3],
		   &parts[4], &parts[5], &size) != NET_MAC_SIZE ||
	    value[size] || strspn(value, "0123456789abcdefABCDEF:") != strlen(value))
		return err_set(err, -EINVAL, "%s: not an address such as 02:00:00:00:00:01", value);
	if (parts[0] & 1)
		return err_set(err, -EINVAL, "%s: an address of many stations", value);
	for (unsigned i = 0; i < NET_MAC_SIZE; i++) {
		config->mac[i] = (uint8_t)parts[i];
		any |= parts[i];
	}
	if (!any)
		return err_set(err, -EINVAL, "%s: no address of a station", value);
	config->has_mac = true;
	return 0;
}

static int set_mtu(struct net_config *config, const char *value, struct ccr_err *err)
{
	uint64_t mtu;

	if (parse_u64(value, &mtu) || mtu < NET_MIN_MTU || mtu > NET_MAX_MTU)
		return err_set(err, -EINVAL, "mtu=%s: not a number from %u to %u", value,
			       NET_MIN_MTU, NET_MAX_MTU);
	config->mtu = (uint16_t)mtu;
	return 0;
}

static int set_queues(struct net_config *config, const char *value, struct ccr_err *err)
{
	uint64_t nr;

	if (parse_u64(value, &nr) || nr == 0 || nr > NET_MAX_PAIRS)
		return err_set(err, -EINVAL, "queues=%s: not a number from 1 to %d", value,
			       NET_MAX_PAIRS);
	config->nr_pairs = (unsigned)nr;
	return 0;
}

static int set_vhost(struct net_config *config, const char *value, struct ccr_err *err)
{
	static const char *const words[] = {
		[NET_VHOST_AUTO] = "auto",
		[NET_VHOST_OFF] = "off",
		[NET_VHOST_ON] = "on",
	};

	for (enum net_vhost i = NET_VHOST_AUTO; i <= NET_VHOST_ON; i++) {
		if (!strcmp(words[i], value)) {
			config->vhost = i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "vhost=%s: none of auto, on and off", value);
}

static const struct {
	const char *name;
	bool has_value;
	int (*set)(struct net_config *config, const char *value, struct ccr_err *err);
} parts[] = {
	{"user", false, set_user},    {"passt", true, set_passt}, {"tap", true, set_tap},
	{"fd", true, set_fd},         {"mac", true, set_mac},     {"mtu", true, set_mtu},
	{"queues", true, set_queues}, {"mode", true, set_mode},   {"tapif", true, set_tap},
	{"guest_mac", true, set_mac}, {"vhost", true, set_vhost},
};

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static int set_part(struct net_config *config, char *part, struct ccr_err *err)
{
	char *value = strchr(part, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < NR_PARTS; i++) {
		if (strcmp(parts[i].name, part) != 0)
			continue;
		if (parts[i].has_value && (!value || !*value))
			return err_set(err, -EINVAL, "%s: needs a value, %s=...", part, part);
		if (!parts[i].has_value && value)
			return err_set(err, -EINVAL, "%s: takes no value", part);
		return parts[i].set(config, value, err);
	}
	if (!strcmp(part, "none"))
		return err_set(err, -EINVAL, "none stands alone");
	return err_set(
		err, -EINVAL,
		"'%s' is none of user, passt=, tap=, fd=, mac=, mtu=, queues=, vhost= and none",
		part);
}

int net_parse(char *text, struct net_config *ret_config, struct ccr_err *err)
{
	struct net_config config = {.nr_pairs = 1};
	int ret = 0;
	char *part;

	if (!strcmp(text, "none") || !strcmp(text, "mode=none")) {
		*ret_config = config;
		return 0;
	}
	while (!ret && (part = strsep(&text, ",")))
		ret = set_part(&config, part, err);
	if (ret)
		return ret;
	if (config.kind == NET_NONE)
		return err_set(err, -EINVAL, "which network? user, passt=SOCKET, tap=NAME or fd=N");
	if (config.kind == NET_TAP && !config.where)
		return err_set(err, -EINVAL, "which interface? tap=NAME");
	if (config.nr_pairs > 1 && config.kind != NET_TAP)
		return err_set(err, -EINVAL,
			       "only tap= has queues=; of a tap's descriptors, list "
			       "several: fd=3:4");
	if (config.kind == NET_FD)
		config.nr_pairs = config.nr_fds;
	*ret_config = config;
	return 0;
}

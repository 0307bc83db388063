/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ccr/ipa.h"
#include "ccr/vhost.h"

void vhost_close(struct vhost *vhost)
{
	if (!vhost->carrier)
		return;
	if (vhost->fd >= 0)
		close(vhost->fd);
	while (vhost->nr_more > 0)
		close(vhost->more_fds[--vhost->nr_more]);
	if (vhost->request_fd >= 0)
		close(vhost->request_fd);
	vhost->fd = -1;
	vhost->request_fd = -1;
}

const char *vhost_strerror(int error)
{
	switch (error) {
	case -ECONNRESET:
		return "it has closed the connection";
	case -ETIMEDOUT:
		return "it does not answer";
	case -EPROTO:
		return "it does not keep the protocol";
	case -EREMOTEIO:
		return "it has refused a request";
	default:
		return strerror(-error);
	}
}

int vhost_translate(const struct vhost *vhost, uint64_t guest_at, uint64_t size,
		    uint64_t *ret_user_at)
{
	for (unsigned i = 0; i < vhost->nr_regions; i++) {
		const struct vhost_region *region = &vhost->regions[i];

		if (!range_within(guest_at, size, region->guest_at, region->size))
			continue;
		*ret_user_at = region->user_at + (guest_at - region->guest_at);
		return 0;
	}
	return -EFAULT;
}

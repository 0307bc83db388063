/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tap interfaces. Frames have a virtio-net header in front (IFF_VNET_HDR), as the guest's have, so
 * both sides leave checksums and segmentation to each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_internal.h"

#define TUN_PATH "/dev/net/tun"

/* Of Linux 6.2: both or none. */
#define TUN_USO (0x20u | 0x40u)

/* What the host's network may hold of a guest's before the guest waits. */
#define SEND_BUFFER_SIZE (4 << 20)

#define BIT(n) (1ull << (n))

static const struct {
	unsigned bit;
	unsigned tun_flags;
} offloads[] = {
	{VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
	{VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6}, {VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
	{NET_F_GUEST_USO4, TUN_USO},
};

#define NR_OFFLOADS (sizeof(offloads) / sizeof(offloads[0]))

/* The kernel refuses whatever makes no sense without another. */
static unsigned to_tun_flags(uint64_t features)
{
	unsigned flags = 0;

	if (!(features & BIT(NET_F_GUEST_USO6)))
		features &= ~BIT(NET_F_GUEST_USO4);
	if (!(features & (BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))))
		features &= ~BIT(VIRTIO_NET_F_GUEST_ECN);
	if (!(features & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	for (unsigned i = 0; i < NR_OFFLOADS; i++) {
		if (features & BIT(offloads[i].bit))
			flags |= offloads[i].tun_flags;
	}
	return flags;
}

/* syscalls(loop vcpu worker): ioctl:TUNSETOFFLOAD */
static void tap_set_offloads(struct net *net, uint64_t features)
{
	const unsigned flags = to_tun_flags(features & net->features);

	for (unsigned i = 0; i < net->nr_pairs; i++) {
		/* All of it was accepted when the interface was opened. */
		if (ioctl(net->fds[i], TUNSETOFFLOAD, flags) < 0)
			continue;
	}
}

/* What frames this kernel can be given, and can leave unfinished. */
/* syscalls(setup): ioctl:TUNSETOFFLOAD */
static uint64_t find_features(int fd)
{
	const uint64_t basic = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
			       BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN);
	const uint64_t guest = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
			       BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN);
	const uint64_t uso = BIT(NET_F_GUEST_USO4) | BIT(NET_F_GUEST_USO6);

	if (ioctl(fd, TUNSETOFFLOAD, to_tun_flags(guest | uso)) == 0)
		return basic | guest | uso | BIT(NET_F_HOST_USO);
	if (ioctl(fd, TUNSETOFFLOAD, to_tun_flags(guest)) == 0)
		return basic | guest;
	return basic;
}

static bool add_mac(uint8_t (*macs)[NET_MAC_SIZE], uint16_t *nr, const uint8_t *mac, bool multicast)
{
	if ((mac[0] & 1) != multicast)
		return false;
	memcpy(macs[(*nr)++], mac, NET_MAC_SIZE);
	return true;
}

/* The kernel wants those for one receiver first, and knows a few of them exactly. */
/* syscalls(loop vcpu worker): ioctl:TUNSETTXFILTER */
static void tap_set_filter(struct net *net, const struct net_filter *filter)
{
	static const uint8_t everybody[NET_MAC_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t macs[NET_MAX_MACS + 1][NET_MAC_SIZE];
	union {
		struct tun_filter head;
		uint8_t bytes[sizeof(struct tun_filter) + sizeof(macs)];
	} own = {.head.flags = filter->all_multicast ? TUN_FLT_ALLMULTI : 0};

	if (!filter->promiscuous) {
		for (unsigned i = 0; i < filter->nr_macs; i++)
			add_mac(macs, &own.head.count, filter->macs[i], false);
		add_mac(macs, &own.head.count, everybody, true);
		for (unsigned i = 0; i < filter->nr_macs; i++)
			add_mac(macs, &own.head.count, filter->macs[i], true);
	}
	memcpy(own.bytes + sizeof(own.head), macs, (size_t)own.head.count * NET_MAC_SIZE);
	/* Without it the guest gets more than it wants, as it may. */
	if (ioctl(net->fds[0], TUNSETTXFILTER, &own) < 0)
		return;
}

/* syscalls(loop vcpu worker): ioctl:TUNSETQUEUE */
static int tap_set_pairs(struct net *net, unsigned nr)
{
	if (net->nr_pairs == 1)
		return 0;
	for (unsigned i = 0; i < net->nr_pairs; i++) {
		struct ifreq request = {.ifr_flags = i < nr ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

		/* EINVAL: it is so already. */
		if (ioctl(net->fds[i], TUNSETQUEUE, &request) < 0 && errno != EINVAL)
			return -errno;
	}
	return 0;
}

/* EIO: the interface is down. EBADFD: there is none any more. The rest is a frame's own fault. */
/* syscalls(loop worker): writev */
static int tap_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned nr_iov)
{
	if (writev(net->fds[pair], iov, (int)nr_iov) >= 0)
		return 0;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	return errno == EBADFD ? -EBADFD : -EINVAL;
}

/* syscalls(loop worker): readv */
static ssize_t tap_receive(struct net *net, unsigned pair, const struct iovec *iov, unsigned nr_iov)
{
	const ssize_t size = readv(net->fds[pair], iov, (int)nr_iov);

	if (size >= 0)
		return size;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

static void accept_everything(struct net *net)
{
	const struct net_filter everything = {.promiscuous = true};

	tap_set_filter(net, &everything);
}

/* A filter is the interface's, and would keep frames from whoever uses that next. */
static void tap_close(struct net *net)
{
	accept_everything(net);
}

static const struct net_ops tap_ops = {
	.send = tap_send,
	.receive = tap_receive,
	.set_offloads = tap_set_offloads,
	.set_filter = tap_set_filter,
	.set_pairs = tap_set_pairs,
	.close = tap_close,
};

static int explain_open(const struct net *net, int code, struct ccr_err *err)
{
	if (code == EACCES || code == EPERM)
		return err_set(err, -code, "%s: this user may not open " TUN_PATH, net->name);
	return err_set(err, -code, "%s: cannot open " TUN_PATH ": %s; load the module tun",
		       net->name, strerror(code));
}

static int explain_attach(const struct net *net, const char *name, int code, struct ccr_err *err)
{
	switch (code) {
	case EPERM:
		return err_set(err, -code,
			       "%s: this user may not use it; as root: ip tuntap add dev %s mode "
			       "tap vnet_hdr user NAME",
			       net->name, name);
	case EBUSY:
		return err_set(err, -code, "%s: another program uses it", net->name);
	case EINVAL:
		return err_set(err, -code,
			       "%s: no tap interface, or one made with%s multi_queue; queues=N "
			       "needs that",
			       net->name, net->nr_pairs > 1 ? "out" : "");
	default:
		return err_set(err, -code, "%s: cannot attach to it: %s", net->name,
			       strerror(code));
	}
}

/* syscalls(setup): ioctl:TUNSETIFF */
static int attach(struct net *net, unsigned pair, const char *name, struct ccr_err *err)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	if (net->nr_pairs > 1)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	net->fds[pair] = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (net->fds[pair] < 0)
		return explain_open(net, errno, err);
	if (ioctl(net->fds[pair], TUNSETIFF, &request) < 0)
		return explain_attach(net, name, errno, err);
	return 0;
}

/* syscalls(setup): ioctl:TUNSETVNETHDRSZ ioctl:TUNSETVNETLE ioctl:TUNSETSNDBUF */
static int prepare(struct net *net, unsigned pair, struct ccr_err *err)
{
	int header_size = sizeof(struct virtio_net_hdr_v1), little_endian = 1;
	int send_size = SEND_BUFFER_SIZE;
	const int fd = net->fds[pair];

	if (ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
	    ioctl(fd, TUNSETVNETLE, &little_endian) < 0 || ioctl(fd, TUNSETSNDBUF, &send_size) < 0)
		return err_set(err, -errno, "%s: cannot set it up: %s", net->name, strerror(errno));
	return 0;
}

/* Its MTU is what fits the network behind it. */
/* syscalls(setup): ioctl:SIOCGIFMTU */
static void ask_interface(struct net *net, struct ifreq *request)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (ioctl(fd, SIOCGIFMTU, request) == 0 && request->ifr_mtu >= (int)NET_MIN_MTU &&
	    request->ifr_mtu <= (int)NET_MAX_MTU)
		net->mtu = (uint16_t)request->ifr_mtu;
	close(fd);
}

/* syscalls(setup): ioctl:TUNGETIFF */
static int finish(struct net *net, struct ccr_err *err)
{
	struct ifreq request;
	int ret = 0;

	net->ops = &tap_ops;
	net->is_tap = true;
	for (unsigned i = 0; i < net->nr_pairs && !ret; i++)
		ret = prepare(net, i, err);
	if (ret)
		return ret;
	net->features = find_features(net->fds[0]);
	accept_everything(net);
	if (net->mtu == 0 && ioctl(net->fds[0], TUNGETIFF, &request) == 0)
		ask_interface(net, &request);
	return 0;
}

int tap_open(struct net *net, const char *name, struct ccr_err *err)
{
	int ret = 0;

	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, -EINVAL, "%s: names of interfaces have up to %d characters",
			       net->name, IFNAMSIZ - 1);
	for (unsigned i = 0; i < net->nr_pairs && !ret; i++)
		ret = attach(net, i, name, err);
	return ret ? ret : finish(net, err);
}

/* syscalls(setup): ioctl:TUNGETIFF */
bool tap_is_tap(int fd)
{
	struct ifreq request;

	return ioctl(fd, TUNGETIFF, &request) == 0;
}

/* syscalls(setup): ioctl:TUNGETIFF */
int tap_adopt(struct net *net, const int *fds, struct ccr_err *err)
{
	for (unsigned i = 0; i < net->nr_pairs; i++) {
		struct ifreq request;

		if (ioctl(fds[i], TUNGETIFF, &request) < 0 || !(request.ifr_flags & IFF_TAP) ||
		    !(request.ifr_flags & IFF_NO_PI) || !(request.ifr_flags & IFF_VNET_HDR))
			return err_set(err, -EINVAL,
				       "%s: descriptor %d is of no tap that was attached to with "
				       "IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
				       net->name, fds[i]);
		if (fcntl(fds[i], F_SETFL, O_RDWR | O_NONBLOCK) < 0 ||
		    fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0)
			return err_set(err, -errno, "%s: descriptor %d: %s", net->name, fds[i],
				       strerror(errno));
		net->fds[i] = fds[i];
	}
	return finish(net, err);
}

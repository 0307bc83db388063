/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host end of a network device: a tap interface, or the stream socket of passt.
 *
 * A tap takes and gives frames with a virtio-net header in front, so that checksums and
 * segmentation can be left to whoever does them last; each frame is one system call, straight to or
 * from the guest's buffers. The stream has neither: its frames are collected in buffers of its own,
 * many to a system call.
 *
 * No call blocks. All of them belong to the thread that serves the device, but for opening and
 * closing. What goes wrong once it is open is an errno other than -EAGAIN, and then the end is
 * broken for good.
 */
#ifndef CCR_NET_H
#define CCR_NET_H

#include <linux/virtio_net.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ccr/err.h"

/* Of Linux 6.2; the specification has them since virtio 1.3. */
#define NET_F_GUEST_USO4   54
#define NET_F_GUEST_USO6   55
#define NET_F_HOST_USO     56
#define NET_HDR_GSO_UDP_L4 5

/** NET_MAC_SIZE, NET_MIN_FRAME - of an Ethernet address, and of a frame's header */
#define NET_MAC_SIZE  6
#define NET_MIN_FRAME 14u

/** NET_MAX_FRAME - the longest IP packet behind an Ethernet header and two VLAN tags */
#define NET_MAX_FRAME (65535u + NET_MIN_FRAME + 2 * 4)

/** NET_MAX_PAIRS - of queues for receiving and sending */
#define NET_MAX_PAIRS 8

/** NET_MIN_MTU, NET_MAX_MTU - the latter is what passt takes for itself */
#define NET_MIN_MTU 68u
#define NET_MAX_MTU 65520u

/** enum net_kind - where a guest's frames go */
enum net_kind {
	NET_NONE,  /* there is no device */
	NET_USER,  /* to a passt that is started for it */
	NET_PASST, /* to a passt that listens on a socket */
	NET_TAP,   /* to a tap interface */
	NET_FD,    /* to descriptors that were inherited: of a tap, or a socket as passt has it */
};

/** enum net_vhost - does somebody else move the frames: the kernel of a tap, passt by vhost-user */
enum net_vhost {
	NET_VHOST_AUTO, /* if that can be found out, and they can */
	NET_VHOST_OFF,
	NET_VHOST_ON,
};

/**
 * struct net_config - a network device as the user names it; strings are borrowed
 * @where: path of a socket, name of an interface; NULL where there is none
 * @fds: of NET_FD, @nr_fds of them, one a pair
 * @has_mac: @mac was given; else it is made by net_default_mac()
 * @mtu: 0 for the host end's own
 * @nr_pairs: at least 1
 * @vhost: who moves the frames
 */
struct net_config {
	enum net_kind kind;
	const char *where;
	unsigned nr_fds;
	int fds[NET_MAX_PAIRS];
	bool has_mac;
	uint8_t mac[NET_MAC_SIZE];
	uint16_t mtu;
	unsigned nr_pairs;
	enum net_vhost vhost;
};

/**
 * net_parse() - KIND[,mac=MAC][,mtu=N][,queues=N][,vhost=HOW], and the spelling that kvmtool has
 * @text: is cut up, and borrowed by the result
 *
 * Return: 0, or -EINVAL with @err set.
 */
int net_parse(char *text, struct net_config *ret_config, struct ccr_err *err);

/**
 * net_default_mac() - locally administered, the same for the same machine and device each time
 * @name: of the machine; @index: of the device in it
 */
void net_default_mac(const char *name, unsigned index, uint8_t mac[NET_MAC_SIZE]);

/** NET_MAX_MACS - addresses that a filter can hold */
#define NET_MAX_MACS 64

/**
 * struct net_filter - which frames the guest wants; the host end may give it others too
 * @promiscuous: all; @all_multicast: also all that have many receivers
 * @macs: else only those for one of the @nr_macs
 */
struct net_filter {
	bool promiscuous;
	bool all_multicast;
	unsigned nr_macs;
	uint8_t macs[NET_MAX_MACS][NET_MAC_SIZE];
};

struct net;

/**
 * struct net_ops - what a kind of host end can do; of @send to @drop it has the first two, or the
 *	other four
 * @send: a frame, its virtio-net header in @iov[0]. Return: 0; -EAGAIN; -EINVAL if it is none that
 *	this end takes, which breaks nothing.
 * @receive: the same way. Return: bytes, more than @iov holds if the frame did not fit; -EAGAIN.
 * @reserve: room for a frame of @size bytes, without a header. Return: NULL for not now.
 * @commit: that frame is there. @flush: send what is there, as far as it goes now. Return: 0.
 * @peek: a frame, without a header. Return: its size, NET_MIN_FRAME to NET_MAX_FRAME; -EAGAIN.
 * @drop: that frame was taken
 * @has_output: there is something that @flush has not sent
 * @set_offloads: what the driver accepted; of it the NET_F_GUEST_*, VIRTIO_NET_F_GUEST_* count
 * @set_pairs: the driver uses the first @nr. Return: 0 or -errno.
 * @close: more than closing the descriptors
 *
 * Those from @has_output on may be NULL.
 */
struct net_ops {
	int (*send)(struct net *net, unsigned pair, const struct iovec *iov, unsigned nr_iov);
	ssize_t (*receive)(struct net *net, unsigned pair, const struct iovec *iov,
			   unsigned nr_iov);
	uint8_t *(*reserve)(struct net *net, uint32_t size);
	void (*commit)(struct net *net);
	int (*flush)(struct net *net);
	ssize_t (*peek)(struct net *net, const uint8_t **ret_frame);
	void (*drop)(struct net *net);
	bool (*has_output)(const struct net *net);
	void (*set_offloads)(struct net *net, uint64_t features);
	void (*set_filter)(struct net *net, const struct net_filter *filter);
	int (*set_pairs)(struct net *net, unsigned nr);
	void (*close)(struct net *net);
};

/**
 * struct net - an open host end
 * @name: for messages: what the user has called it; allocated
 * @features: VIRTIO_NET_F_* and NET_F_* that depend on the host end
 * @mtu: that fits it, or that the user wants
 * @fds: one a pair, non-blocking; @nr_pairs of them
 * @epoll_fd: waits for all of them if there are several; else -1
 * @waited: what it waits for, for each
 * @is_tap: it is a tap
 * @vhost_fd: connected, non-blocking socket of a passt that moves the frames by vhost-user; whoever
 *	takes it sets this to -1. Then @ops can do nothing, and @fds has none.
 * @stream: of a stream socket
 * @helper: process that was started for it, 0 for none
 */
struct net {
	const struct net_ops *ops;
	char *name;
	uint64_t features;
	uint16_t mtu;
	uint8_t mac[NET_MAC_SIZE];
	unsigned nr_pairs;
	int fds[NET_MAX_PAIRS];
	int epoll_fd;
	uint32_t waited[NET_MAX_PAIRS];
	bool is_tap;
	int vhost_fd;
	struct net_stream *stream;
	pid_t helper;
};

/**
 * net_open() - connect to the host end that @config names; of all kinds but NET_NONE
 * @machine, @index: for net_default_mac()
 *
 * Return: 0, or -errno with @err set, and then nothing is open.
 */
int net_open(struct net *net, const struct net_config *config, const char *machine, unsigned index,
	     struct ccr_err *err);

/** net_close() - of an open end; who was started for it ends */
void net_close(struct net *net);

/**
 * net_check() - is who was started for it still there, as far as can be seen
 *
 * Return: 0; -EPIPE with @err set.
 */
int net_check(struct net *net, struct ccr_err *err);

/**
 * net_wait() - a descriptor that is ready when one of the pairs is
 * @events: for each pair: POLLIN, POLLOUT, both or 0
 */
void net_wait(struct net *net, const short events[NET_MAX_PAIRS], struct pollfd *ret_source);

#endif

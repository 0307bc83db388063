/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of host ends of a network device, for net.c. */
#ifndef SRC_HOST_NET_INTERNAL_H
#define SRC_HOST_NET_INTERNAL_H

#include "ccr/net.h"

/*
 * Of each: @net has its name and no descriptors; on error net_close() cleans up. Return: 0, or
 * -errno with @err set.
 */

/** tap_open() - attach to the interface @name, with as many queues as @net has pairs */
int tap_open(struct net *net, const char *name, struct ccr_err *err);

/** tap_adopt() - descriptors of a tap that somebody else has attached to */
int tap_adopt(struct net *net, const int *fds, struct ccr_err *err);

/** tap_is_tap() - is it a descriptor of a tap or tun interface */
bool tap_is_tap(int fd);

/**
 * passt_connect() - to a passt that listens at @path
 * @is_vhost: here and below: it speaks vhost-user
 */
int passt_connect(struct net *net, const char *path, bool is_vhost, struct ccr_err *err);

/** passt_start() - start a passt that ends with this process */
int passt_start(struct net *net, enum net_vhost vhost, struct ccr_err *err);

/** passt_adopt() - a connected stream socket */
int passt_adopt(struct net *net, int fd, bool is_vhost, struct ccr_err *err);

#endif

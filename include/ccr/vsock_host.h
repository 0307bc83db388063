/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of a vsock: Unix sockets, with the convention of Firecracker and Cloud Hypervisor.
 *
 * Who wants to reach the guest connects to PATH, sends "CONNECT <port>\n", and once somebody in the
 * guest has accepted gets "OK <port of its own>\n"; from then on the bytes are the connection's. If
 * nobody does, the connection is closed. Who in the guest wants to reach port P of the host (CID 2)
 * is connected to PATH_P, which a broker does (broker.h).
 */
#ifndef CCR_VSOCK_HOST_H
#define CCR_VSOCK_HOST_H

#include <stdint.h>

#include "ccr/err.h"

/**
 * struct vsock_host_socket - where the host's programs connect to
 * @path: absolute, allocated
 * @fd: listening, non-blocking
 */
struct vsock_host_socket {
	char *path;
	int fd;
};

/**
 * vsock_host_listen() - make the socket; it is its owner's alone
 *
 * One that a dead program has left is replaced.
 *
 * Return: 0, or -errno with @err set: -ENAMETOOLONG, -EADDRINUSE if somebody listens there, -EEXIST
 * for a file that is no socket.
 */
int vsock_host_listen(struct vsock_host_socket *socket, const char *path, struct ccr_err *err);

/** vsock_host_close() - after vsock_host_listen() returned 0; removes the socket */
void vsock_host_close(struct vsock_host_socket *socket);

/** vsock_host_accept() - a program of the host's. Return: non-blocking socket; -errno. */
int vsock_host_accept(const struct vsock_host_socket *socket);

/**
 * vsock_host_greet() - read "CONNECT <port>\n", and nothing behind it
 *
 * Return: 0; -EAGAIN if it has not all come yet; -EPROTO for anything else, -ECONNRESET if there
 * will be nothing more.
 */
int vsock_host_greet(int fd, uint32_t *ret_port);

/**
 * vsock_host_call() - what a program of the host's does: connect to @path, ask for @port
 * @patience_s: for the guest's answer, and for each read and write afterwards
 *
 * Return: a blocking socket; -ECONNREFUSED if nobody in the guest accepts; -EAGAIN if it does not
 * answer in time; -EPROTO if something else listens at @path; else why @path cannot be reached, as
 * connect(2) has it: -ENOENT, -EACCES, -ENOTCONN for a socket whose machine is gone.
 */
int vsock_host_call(const char *path, uint32_t port, unsigned patience_s);

/** vsock_host_accepted() - say "OK <port>\n" */
void vsock_host_accepted(int fd, uint32_t port);

#endif

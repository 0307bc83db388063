/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of virtio-vsock (virtio 1.2, 5.10): connections between a guest and its host, their
 * states and credit. Stream sockets only.
 *
 * Pure: packets come and go through calls, and the host's side is a table of functions. All that a
 * guest can make it hold is VSOCK_MAX_CONNS connections, VSOCK_BUFFER_SIZE bytes for each that it
 * has sent and the host has not taken yet, and VSOCK_MAX_RESETS packets of refusal.
 *
 * The caller serialises all calls on a vsock.
 */
#ifndef CCR_VSOCK_H
#define CCR_VSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/virtio_vsock.h>

#define VSOCK_HOST_CID 2u
#define VSOCK_MIN_CID  3u /* of a guest; what is below has other meanings */
#define VSOCK_MAX_CID  0xfffffffeu

/** VSOCK_MAX_CONNS - connections at a time, both ways; more are refused */
#define VSOCK_MAX_CONNS 64
/** VSOCK_BUFFER_SIZE - what a guest may send ahead on a connection; a power of two */
#define VSOCK_BUFFER_SIZE 65536u
/** VSOCK_MAX_PAYLOAD - bytes that a packet for the guest carries at most */
#define VSOCK_MAX_PAYLOAD 65536u
#define VSOCK_MAX_RESETS  64

/**
 * struct vsock_host - the host's ends of connections, by the connection's number
 * @connect: the guest asks for @port. Return: 0, or -errno to refuse it, and then nothing is closed
 * @accepted: the guest has accepted what vsock_open() asked for; the host's port is @host_port
 * @read: up to @size bytes for the guest. Return: bytes; 0 for the end; -EAGAIN for not now, and
 *	then vsock_ready() says when; another -errno if it is broken
 * @write: bytes from the guest. Return: how many were taken; -EAGAIN and others likewise
 * @shutdown: as shutdown(2): the guest reads no more (SHUT_RD) or sends no more (SHUT_WR)
 * @close: the connection is over and its number free
 *
 * None of them blocks or calls back.
 */
struct vsock_host {
	int (*connect)(void *ctx, unsigned index, uint32_t port);
	void (*accepted)(void *ctx, unsigned index, uint32_t host_port);
	ssize_t (*read)(void *ctx, unsigned index, void *buf, size_t size);
	ssize_t (*write)(void *ctx, unsigned index, const void *buf, size_t size);
	void (*shutdown)(void *ctx, unsigned index, int how);
	void (*close)(void *ctx, unsigned index);
};

/** enum vsock_state - of a connection; vsock.c has their theory */
enum vsock_state {
	VSOCK_FREE = 0,
	VSOCK_RESERVED,
	VSOCK_OPENING,
	VSOCK_OPEN,
	VSOCK_DRAINING,
	VSOCK_ENDING,
};

/**
 * struct vsock_conn - one connection; private to vsock.c
 * @is_asked, @is_answered: the packet that opens it has been sent, where there is one
 * @may_read, @may_write: the host's end has not said -EAGAIN since it was ready
 * @host_ended: it has no more for the guest; @host_gone: and takes nothing either
 * @end_told: the guest knows of that
 * @guest_ended, @guest_deaf: the guest sends no more, reads no more
 * @write_ended: the host's end knows of the first
 * @wants_update: the guest has asked for its credit, or should hear of it
 * @ring: what the guest has sent: bytes @tail to @head of its stream, numbers modulo 2^32
 * @told: the value of @tail that the guest knows
 * @guest_alloc, @guest_taken: its buffer and what it has taken of @sent bytes, as it says
 * @asked_credit: it was asked for them since
 */
struct vsock_conn {
	enum vsock_state state;
	uint32_t guest_port, host_port;
	bool is_asked, is_answered;
	bool may_read, may_write;
	bool host_ended, host_gone, end_told;
	bool guest_ended, guest_deaf, write_ended;
	bool wants_update;
	uint8_t *ring;
	uint32_t head, tail, told;
	uint32_t guest_alloc, guest_taken, sent;
	bool asked_credit;
};

/** struct vsock_reset - a refusal to be sent to the guest */
struct vsock_reset {
	uint32_t guest_port, host_port;
	uint16_t type;
};

/**
 * struct vsock - a guest's connections; private to vsock.c but for the counts
 * @next_port: of the host's, for the next connection to the guest
 * @turn: which connection may send next
 * @nr_dropped: packets with addresses that are not the guest's or the host's
 */
struct vsock {
	uint32_t cid;
	const struct vsock_host *host;
	void *ctx;
	uint32_t next_port;
	unsigned turn;
	unsigned nr_resets;
	struct vsock_reset resets[VSOCK_MAX_RESETS];
	struct vsock_conn conns[VSOCK_MAX_CONNS];
	uint64_t nr_dropped;
};

/** vsock_init() - without connections. @host outlives it; its functions get @ctx. */
void vsock_init(struct vsock *vsock, uint32_t cid, const struct vsock_host *host, void *ctx);

/** vsock_reset() - the guest has forgotten everything: all connections are closed */
void vsock_reset(struct vsock *vsock);

/** vsock_reserve() - a number for a connection to the guest. Return: it, or -ENOSPC. */
int vsock_reserve(struct vsock *vsock);

/**
 * vsock_open() - ask the guest for a connection to @port, for a reserved number
 *
 * vsock_host.accepted or vsock_host.close tells what came of it.
 *
 * Return: 0; -ENOMEM, and the number is still reserved.
 */
int vsock_open(struct vsock *vsock, unsigned index, uint32_t port);

/** vsock_cancel() - give a reserved number back; vsock_host.close is not called */
void vsock_cancel(struct vsock *vsock, unsigned index);

/** vsock_get_state() - of the connection with this number */
enum vsock_state vsock_get_state(const struct vsock *vsock, unsigned index);

/** vsock_nr_conns() - how many numbers are in use */
unsigned vsock_nr_conns(const struct vsock *vsock);

/* What the host's end of a connection has become. */
#define VSOCK_READABLE 1u
#define VSOCK_WRITABLE 2u
#define VSOCK_GONE     4u /* it takes nothing any more; what it has sent can still be read */

/** vsock_ready() - the host's end of a connection is ready; harmless for numbers not in use */
void vsock_ready(struct vsock *vsock, unsigned index, unsigned what);

/** vsock_has_room() - may vsock_receive() be called? If not, packets for the guest come first. */
bool vsock_has_room(const struct vsock *vsock);

/**
 * vsock_receive() - a packet from the guest, which is hostile
 * @size: of its payload
 * @payload: that, or as much of it as VSOCK_BUFFER_SIZE allows
 *
 * Packets that break a rule reset their connection, or are answered with a reset if there is none;
 * those of others are dropped.
 */
void vsock_receive(struct vsock *vsock, const struct virtio_vsock_hdr *header,
		   const uint8_t *payload, uint32_t size);

/** vsock_has_output() - does vsock_send() probably have a packet */
bool vsock_has_output(const struct vsock *vsock);

/**
 * vsock_send() - the next packet for the guest
 * @payload: up to @room bytes, at least 1
 * @ret_size: how many are there
 *
 * Return: false if there is none.
 */
bool vsock_send(struct vsock *vsock, struct virtio_vsock_hdr *ret_header, uint8_t *payload,
		uint32_t room, uint32_t *ret_size);

#endif

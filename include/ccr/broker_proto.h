/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine asks of its broker (broker.h), and how both write it.
 *
 * One packet is one request, and one its reply; a reply may carry a descriptor. Neither side trusts
 * the other: what is decoded is whole, in range and of one spelling only, so that whoever works on
 * it has nothing left to check but what the words mean.
 *
 * Files are named by handles, small numbers that the machine chooses: 0 is the shared directory,
 * the others are free until a request makes them. A name is one component of a path, never a path.
 */
#ifndef CCR_BROKER_PROTO_H
#define CCR_BROKER_PROTO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** BROKER_NR_HANDLES - of one share, the shared directory itself included */
#define BROKER_NR_HANDLES 4096u

/** BROKER_MAX_PAYLOAD - bytes of a directory or of a link that one reply holds */
#define BROKER_MAX_PAYLOAD 8192u

/** BROKER_MAX_MESSAGE - no packet is longer */
#define BROKER_MAX_MESSAGE (BROKER_MAX_PAYLOAD + 512u)

/**
 * enum broker_op - what can be asked. @handle is of what it is about, a directory where @name is
 * @BROKER_CONNECT: a stream to socket number @handle; of one with ports, @offset is the port. Gives
 *	a descriptor.
 * @BROKER_RESET: only handle 0 is left
 * @BROKER_CLONE: @other becomes the same file as @handle
 * @BROKER_FORGET: @handle is free again
 * @BROKER_WALK: @other becomes what is called @name, itself if that is a link; gives attributes
 * @BROKER_STAT, @BROKER_STATFS: attributes; of the file system
 * @BROKER_SETATTR: change what @valid names
 * @BROKER_OPEN: with @flags; of a file, gives a descriptor, of a directory, prepares for READDIR
 * @BROKER_CREATE: a file @name with @mode, unless it is there; @other, which may be @handle,
 *	becomes it, and is opened as by OPEN; gives attributes
 * @BROKER_READDIR: gives records as getdents64(2) has them, from @offset on, up to @size bytes
 * @BROKER_SYNC: an opened directory reaches the disk
 * @BROKER_MKDIR, @BROKER_SYMLINK, @BROKER_MKNOD: give attributes; a link's content is @text, a
 *	node's type is in @mode, and is no device
 * @BROKER_LINK: @name becomes another name of @other
 * @BROKER_READLINK: gives its content
 * @BROKER_RENAME: @name to @text, a name too, in directory @other
 * @BROKER_UNLINK: a directory if @flags has BROKER_DIRECTORY, else anything but
 */
enum broker_op {
	BROKER_CONNECT,
	BROKER_RESET,
	BROKER_CLONE,
	BROKER_FORGET,
	BROKER_WALK,
	BROKER_STAT,
	BROKER_STATFS,
	BROKER_SETATTR,
	BROKER_OPEN,
	BROKER_CREATE,
	BROKER_READDIR,
	BROKER_SYNC,
	BROKER_MKDIR,
	BROKER_SYMLINK,
	BROKER_MKNOD,
	BROKER_LINK,
	BROKER_READLINK,
	BROKER_RENAME,
	BROKER_UNLINK,
	BROKER_NR_OPS,
};

/* Flags. */
#define BROKER_READ      1u
#define BROKER_WRITE     2u
#define BROKER_TRUNCATE  4u
#define BROKER_EXCLUSIVE 8u /* CREATE fails if it is there */
#define BROKER_DIRECTORY 16u
#define BROKER_ALL_FLAGS 31u

/* What SETATTR changes; of the times, NOW prevails over what @atime or @mtime says. */
#define BROKER_SET_MODE      1u
#define BROKER_SET_UID       2u
#define BROKER_SET_GID       4u
#define BROKER_SET_SIZE      8u
#define BROKER_SET_ATIME     16u
#define BROKER_SET_MTIME     32u
#define BROKER_SET_ATIME_NOW 64u
#define BROKER_SET_MTIME_NOW 128u
#define BROKER_SET_ALL       255u

/** struct broker_time - as struct timespec; @ns is below 10^9 */
struct broker_time {
	int64_t s;
	uint64_t ns;
};

/**
 * struct broker_request - what an operation does not use is 0 or ""
 * @name: without '/', and neither "." nor ".."
 * @text: content of a link, or another name
 */
struct broker_request {
	uint32_t op;
	uint32_t handle;
	uint32_t other;
	uint32_t flags;
	uint32_t mode;
	uint32_t valid;
	uint32_t uid;
	uint32_t gid;
	uint64_t offset;
	uint64_t size;
	struct broker_time atime;
	struct broker_time mtime;
	char name[NAME_MAX + 1];
	char text[PATH_MAX];
};

/** struct broker_attr - as struct stat has it */
struct broker_attr {
	uint64_t dev;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t nr_links;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t block_size;
	struct broker_time atime;
	struct broker_time mtime;
	struct broker_time ctime;
};

/** struct broker_fs - as struct statfs has it */
struct broker_fs {
	uint64_t type;
	uint64_t block_size;
	uint64_t blocks;
	uint64_t blocks_free;
	uint64_t blocks_available;
	uint64_t files;
	uint64_t files_free;
	uint64_t max_name;
};

/**
 * struct broker_reply - all but @error is 0 if that is not
 * @error: 0 or -errno
 * @has_fd: a descriptor comes with it
 * @payload: @payload_size bytes
 */
struct broker_reply {
	int32_t error;
	uint32_t has_fd;
	struct broker_attr attr;
	struct broker_fs fs;
	uint32_t payload_size;
	uint8_t payload[BROKER_MAX_PAYLOAD];
};

/** broker_is_name() - one component of a path: not empty, not too long, no '/', not "." or ".." */
bool broker_is_name(const char *name);

/**
 * broker_encode_request() - for sending
 * @buf: BROKER_MAX_MESSAGE bytes
 *
 * Return: bytes; 0 for a request that broker_decode_request() would refuse.
 */
size_t broker_encode_request(const struct broker_request *request, uint8_t *buf);

/**
 * broker_decode_request() - what has come; hostile
 *
 * Return: 0; -EBADMSG for what no broker_encode_request() makes: an unknown operation, a handle or
 * a flag out of range, a name that is none, parts that an operation does not have, or the wrong
 * size.
 */
int broker_decode_request(const uint8_t *buf, size_t size, struct broker_request *ret_request);

/** broker_encode_reply() - @buf has BROKER_MAX_MESSAGE bytes. Return: bytes. */
size_t broker_encode_reply(const struct broker_reply *reply, uint8_t *buf);

/** broker_decode_reply() - what has come; hostile. Return: 0 or -EBADMSG. */
int broker_decode_reply(const uint8_t *buf, size_t size, struct broker_reply *ret_reply);

#endif

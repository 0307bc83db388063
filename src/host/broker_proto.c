/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/broker_proto.h"

#define NS_PER_S 1000000000u

/* What an operation has beside @handle. */
#define OTHER   (1u << 0)
#define NAME    (1u << 1)
#define TEXT    (1u << 2)
#define NAMES   (1u << 3) /* @name and @text, both of them names */
#define FLAGS   (1u << 4)
#define MODE    (1u << 5)
#define OFFSET  (1u << 6)
#define SIZE    (1u << 7)
#define CHANGES (1u << 8)  /* @valid, and what it names */
#define NEW     (1u << 9)  /* @other is made: it is not 0 */
#define NO_ROOT (1u << 10) /* @handle is not 0 */

static const unsigned parts[BROKER_NR_OPS] = {
	[BROKER_CONNECT] = OFFSET,
	[BROKER_RESET] = 0,
	[BROKER_CLONE] = OTHER | NEW,
	[BROKER_FORGET] = NO_ROOT,
	[BROKER_WALK] = OTHER | NEW | NAME,
	[BROKER_STAT] = 0,
	[BROKER_STATFS] = 0,
	[BROKER_SETATTR] = CHANGES,
	[BROKER_OPEN] = FLAGS,
	[BROKER_CREATE] = OTHER | NEW | NAME | FLAGS | MODE,
	[BROKER_READDIR] = OFFSET | SIZE,
	[BROKER_SYNC] = 0,
	[BROKER_MKDIR] = NAME | MODE,
	[BROKER_SYMLINK] = NAME | TEXT,
	[BROKER_MKNOD] = NAME | MODE,
	[BROKER_LINK] = OTHER | NAME,
	[BROKER_READLINK] = 0,
	[BROKER_RENAME] = OTHER | NAMES,
	[BROKER_UNLINK] = NAME | FLAGS,
};

/* All of a request but its two strings, which follow; between two programs that are one. */
struct request_head {
	uint32_t op, handle, other, flags, mode, valid, uid, gid;
	uint64_t offset, size;
	struct broker_time atime, mtime;
	uint32_t name_size, text_size;
};

struct reply_head {
	int32_t error;
	uint32_t has_fd;
	struct broker_attr attr;
	struct broker_fs fs;
	uint64_t payload_size;
};

_Static_assert(sizeof(struct request_head) == 8 * 4 + 6 * 8 + 2 * 4, "no hole that could leak");
_Static_assert(sizeof(struct broker_attr) == 5 * 8 + 4 * 4 + 3 * 16, "nor here");
_Static_assert(sizeof(struct reply_head) ==
		       8 + sizeof(struct broker_attr) + sizeof(struct broker_fs) + 8,
	       "nor here");
_Static_assert(sizeof(struct request_head) + NAME_MAX + PATH_MAX <= BROKER_MAX_MESSAGE, "it fits");
_Static_assert(sizeof(struct reply_head) + BROKER_MAX_PAYLOAD <= BROKER_MAX_MESSAGE, "it fits");

bool broker_is_name(const char *name)
{
	const size_t size = strnlen(name, NAME_MAX + 1);

	return size > 0 && size <= NAME_MAX && !memchr(name, '/', size) && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static bool is_one_of(unsigned has, unsigned wanted)
{
	return (has & wanted) != 0;
}

/* An operation that has no such part has none of its bits. */
static bool is_within(unsigned has, uint64_t value, uint64_t max)
{
	return value <= (has ? max : 0);
}

static bool are_times_valid(const struct broker_request *request)
{
	return request->atime.ns < NS_PER_S && request->mtime.ns < NS_PER_S;
}

static bool are_strings_valid(unsigned has, const struct broker_request *request)
{
	if (is_one_of(has, NAME | NAMES) ? !broker_is_name(request->name) : request->name[0] != 0)
		return false;
	if (has & NAMES)
		return broker_is_name(request->text);
	return (has & TEXT) ? request->text[0] != 0 : request->text[0] == 0;
}

static bool are_changes_valid(unsigned has, const struct broker_request *request)
{
	if (has & CHANGES)
		return request->valid <= BROKER_SET_ALL && are_times_valid(request) &&
		       is_within(request->valid & BROKER_SET_SIZE, request->size, INT64_MAX) &&
		       is_within(request->valid & BROKER_SET_MODE, request->mode, 07777);
	return !request->valid && !request->uid && !request->gid && !request->atime.s &&
	       !request->atime.ns && !request->mtime.s && !request->mtime.ns;
}

static bool is_valid(const struct broker_request *request)
{
	unsigned has;

	if (request->op >= BROKER_NR_OPS)
		return false;
	has = parts[request->op];
	return request->handle < BROKER_NR_HANDLES && !((has & NO_ROOT) && !request->handle) &&
	       is_within(has & OTHER, request->other, BROKER_NR_HANDLES - 1) &&
	       !((has & NEW) && !request->other) &&
	       is_within(has & FLAGS, request->flags, BROKER_ALL_FLAGS) &&
	       is_within(has & OFFSET, request->offset, INT64_MAX) &&
	       is_within(has & (SIZE | CHANGES), request->size, INT64_MAX) &&
	       is_within(has & (MODE | CHANGES), request->mode, 0177777) &&
	       are_changes_valid(has, request) && are_strings_valid(has, request);
}

size_t broker_encode_request(const struct broker_request *request, uint8_t *buf)
{
	const size_t name_size = strnlen(request->name, sizeof(request->name));
	const size_t text_size = strnlen(request->text, sizeof(request->text));
	const struct request_head head = {
		.op = request->op,
		.handle = request->handle,
		.other = request->other,
		.flags = request->flags,
		.mode = request->mode,
		.valid = request->valid,
		.uid = request->uid,
		.gid = request->gid,
		.offset = request->offset,
		.size = request->size,
		.atime = request->atime,
		.mtime = request->mtime,
		.name_size = (uint32_t)name_size,
		.text_size = (uint32_t)text_size,
	};

	if (name_size >= sizeof(request->name) || text_size >= sizeof(request->text) ||
	    !is_valid(request))
		return 0;
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), request->name, name_size);
	memcpy(buf + sizeof(head) + name_size, request->text, text_size);
	return sizeof(head) + name_size + text_size;
}

/* Return: false if the bytes are no string or do not fit. */
static bool take_string(const uint8_t *bytes, size_t size, char *string, size_t room)
{
	if (size >= room || memchr(bytes, '\0', size))
		return false;
	memcpy(string, bytes, size);
	string[size] = '\0';
	return true;
}

int broker_decode_request(const uint8_t *buf, size_t size, struct broker_request *ret_request)
{
	struct request_head head;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, buf, sizeof(head));
	if (size - sizeof(head) != (uint64_t)head.name_size + head.text_size)
		return -EBADMSG;
	*ret_request = (struct broker_request){
		.op = head.op,
		.handle = head.handle,
		.other = head.other,
		.flags = head.flags,
		.mode = head.mode,
		.valid = head.valid,
		.uid = head.uid,
		.gid = head.gid,
		.offset = head.offset,
		.size = head.size,
		.atime = head.atime,
		.mtime = head.mtime,
	};
	buf += sizeof(head);
	if (!take_string(buf, head.name_size, ret_request->name, sizeof(ret_request->name)) ||
	    !take_string(buf + head.name_size, head.text_size, ret_request->text,
			 sizeof(ret_request->text)))
		return -EBADMSG;
	return is_valid(ret_request) ? 0 : -EBADMSG;
}

size_t broker_encode_reply(const struct broker_reply *reply, uint8_t *buf)
{
	struct reply_head head = {.error = reply->error};

	if (!reply->error) {
		head.has_fd = reply->has_fd;
		head.attr = reply->attr;
		head.fs = reply->fs;
		head.payload_size = reply->payload_size < BROKER_MAX_PAYLOAD ? reply->payload_size
									     : BROKER_MAX_PAYLOAD;
	}
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), reply->payload, head.payload_size);
	return sizeof(head) + head.payload_size;
}

int broker_decode_reply(const uint8_t *buf, size_t size, struct broker_reply *ret_reply)
{
	struct reply_head head;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, buf, sizeof(head));
	/* Errors of Linux are below 4096. */
	if (head.error > 0 || head.error <= -4096 || head.has_fd > 1 ||
	    head.payload_size > BROKER_MAX_PAYLOAD || size - sizeof(head) != head.payload_size ||
	    (head.error && (head.has_fd || head.payload_size)))
		return -EBADMSG;
	*ret_reply = (struct broker_reply){
		.error = head.error,
		.has_fd = head.has_fd,
		.attr = head.attr,
		.fs = head.fs,
		.payload_size = (uint32_t)head.payload_size,
	};
	memcpy(ret_reply->payload, buf + sizeof(head), head.payload_size);
	return 0;
}

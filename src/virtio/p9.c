/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ccr/p9.h"

/* Of a message that moves data: what is not data. */
#define READ_HEADER_SIZE (P9_HEADER_SIZE + 4)

/* struct message - one at work: @in is behind the header, @out as well */
struct message {
	struct p9_reader in;
	struct p9_writer out;
};

/* The table of fids. */

static uint16_t *bucket_of(struct p9 *p9, uint32_t name)
{
	return &p9->buckets[(name ^ name >> 8) % P9_NR_BUCKETS];
}

static void clear_fids(struct p9 *p9)
{
	memset(p9->buckets, 0, sizeof(p9->buckets));
	for (unsigned i = 1; i < BROKER_NR_HANDLES; i++) {
		p9->fids[i] = (struct p9_fid){
			.fd = -1,
			.next = (uint16_t)((i + 1) % BROKER_NR_HANDLES),
		};
	}
	p9->first_free = 1;
	p9->nr_open = 0;
}

/* Return: its handle, or 0 if there is none of this name. */
static uint16_t find_fid(struct p9 *p9, uint32_t name)
{
	uint16_t handle = *bucket_of(p9, name);

	while (handle && p9->fids[handle].name != name)
		handle = p9->fids[handle].next;
	return handle;
}

/* A handle that is free, still without a name. Return: 0 if there is none. */
static uint16_t take_handle(struct p9 *p9)
{
	const uint16_t handle = p9->first_free;

	if (handle)
		p9->first_free = p9->fids[handle].next;
	return handle;
}

static void give_handle(struct p9 *p9, uint16_t handle)
{
	p9->fids[handle] = (struct p9_fid){.fd = -1, .next = p9->first_free};
	p9->first_free = handle;
}

static void add_fid(struct p9 *p9, uint16_t handle, uint32_t name)
{
	uint16_t *bucket = bucket_of(p9, name);

	p9->fids[handle] = (struct p9_fid){.in_use = true, .name = name, .fd = -1, .next = *bucket};
	*bucket = handle;
}

static void close_fid(struct p9 *p9, struct p9_fid *fid)
{
	if (fid->fd >= 0) {
		p9->host->close(p9->ctx, fid->fd);
		p9->nr_open--;
	}
	fid->fd = -1;
	fid->is_open = false;
}

/* The fid's name is free again, and so is its handle. */
static void drop_fid(struct p9 *p9, uint16_t handle)
{
	uint16_t *at = bucket_of(p9, p9->fids[handle].name);

	while (*at != handle)
		at = &p9->fids[*at].next;
	*at = p9->fids[handle].next;
	close_fid(p9, &p9->fids[handle]);
	give_handle(p9, handle);
}

/* The broker. */

/* What a message needs is put into p9->request first, all of it. */
static struct broker_request *ask_for(struct p9 *p9, enum broker_op op, uint32_t handle)
{
	p9->request = (struct broker_request){.op = op, .handle = handle};
	return &p9->request;
}

static int call(struct p9 *p9, int *ret_fd)
{
	return p9->host->call(p9->ctx, &p9->request, &p9->reply, ret_fd);
}

/* A handle that the broker does not know any more is free there too. */
static void forget(struct p9 *p9, uint16_t handle)
{
	ask_for(p9, BROKER_FORGET, handle);
	(void)call(p9, NULL);
}

/* @handle becomes another one of the same file. */
static int copy_handle(struct p9 *p9, uint16_t from, uint16_t handle)
{
	ask_for(p9, BROKER_CLONE, from)->other = handle;
	return call(p9, NULL);
}

static int end_session(struct p9 *p9)
{
	int ret;

	if (!p9->is_stale)
		return 0;
	ask_for(p9, BROKER_RESET, 0);
	ret = call(p9, NULL);
	p9->is_stale = ret != 0;
	return ret;
}

/* Attributes. */

static uint8_t qid_type(uint32_t mode)
{
	if (S_ISDIR(mode))
		return P9_QID_DIR;
	return S_ISLNK(mode) ? P9_QID_LINK : P9_QID_FILE;
}

/* Inodes of other devices below the same mount (Btrfs has that) must not collide. */
static uint64_t qid_path(const struct p9 *p9, uint64_t dev, uint64_t ino)
{
	return dev == p9->root_dev ? ino : ino ^ (dev * 0x9e3779b97f4a7c15ull);
}

static struct p9_qid to_qid(const struct p9 *p9, const struct broker_attr *attr)
{
	return (struct p9_qid){
		.type = qid_type(attr->mode),
		.version = (uint32_t)attr->mtime.s ^ (uint32_t)(attr->size << 8),
		.path = qid_path(p9, attr->dev, attr->ino),
	};
}

static void put_qid(const struct p9 *p9, struct p9_writer *out)
{
	const struct p9_qid qid = to_qid(p9, &p9->reply.attr);

	p9_put_qid(out, &qid);
}

static void put_time(struct p9_writer *out, const struct broker_time *time)
{
	p9_put64(out, (uint64_t)time->s);
	p9_put64(out, time->ns);
}

/* Messages. Each returns 0 or -errno; what it has written then counts or does not. */

/* The handle of the fid that comes next in the message. Return: -EBADF if it is none. */
static int get_fid(struct p9 *p9, struct p9_reader *in)
{
	const uint32_t name = p9_get32(in);
	const uint16_t handle = find_fid(p9, name);

	if (in->error)
		return in->error;
	return handle ? handle : -EBADF;
}

static int do_version(struct p9 *p9, struct message *message)
{
	uint32_t msize = p9_get32(&message->in);
	const char *version = P9_VERSION;
	char wanted[64];

	p9_get_string(&message->in, wanted, sizeof(wanted));
	if (message->in.error)
		return message->in.error;
	if (msize < P9_MIN_MSIZE)
		return -EMSGSIZE;
	/* A new session, whatever becomes of it. */
	p9_reset(p9);
	if (msize > p9->max_msize)
		msize = p9->max_msize;
	if (strcmp(wanted, P9_VERSION) != 0)
		version = "unknown";
	else
		p9->msize = msize;
	p9_put32(&message->out, msize);
	p9_put_string(&message->out, version, strlen(version));
	return 0;
}

static int do_attach(struct p9 *p9, struct message *message)
{
	const uint32_t name = p9_get32(&message->in);
	const uint32_t auth = p9_get32(&message->in);
	uint16_t handle;
	int ret;

	/* Who attaches, and to which of the trees, does not matter: there is one of each. */
	if (message->in.error)
		return message->in.error;
	if (auth != P9_NO_FID || name == P9_NO_FID)
		return -EINVAL;
	if (find_fid(p9, name))
		return -EBADF;
	handle = take_handle(p9);
	if (!handle)
		return -ENFILE;
	ret = copy_handle(p9, 0, handle);
	if (ret) {
		give_handle(p9, handle);
		return ret;
	}
	add_fid(p9, handle, name);
	ask_for(p9, BROKER_STAT, handle);
	ret = call(p9, NULL);
	if (ret) {
		drop_fid(p9, handle);
		forget(p9, handle);
		return ret;
	}
	p9->root_dev = p9->reply.attr.dev;
	put_qid(p9, &message->out);
	return 0;
}

/* Names, one after the other, from @from to @handle. Return: how many led on; -errno if none. */
static int walk_names(struct p9 *p9, struct message *message, uint16_t from, uint16_t handle,
		      unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		struct broker_request *request = ask_for(p9, BROKER_WALK, i ? handle : from);
		int ret;

		request->other = handle;
		p9_get_name(&message->in, request->name);
		ret = message->in.error ? message->in.error : call(p9, NULL);
		if (ret && i == 0)
			return ret;
		if (ret) {
			forget(p9, handle);
			return (int)i;
		}
		put_qid(p9, &message->out);
	}
	return (int)nr;
}

static int walk_to(struct p9 *p9, struct message *message, uint16_t from, uint16_t handle,
		   unsigned nr)
{
	struct p9_writer start = message->out;
	int done;

	p9_put16(&message->out, 0);
	done = nr == 0 ? copy_handle(p9, from, handle) : walk_names(p9, message, from, handle, nr);
	if (done > 0)
		p9_put16(&start, (uint16_t)done);
	return done;
}

static int do_walk(struct p9 *p9, struct message *message)
{
	const uint32_t name = p9_get32(&message->in), new_name = p9_get32(&message->in);
	const unsigned nr = p9_get16(&message->in);
	uint16_t from, handle;
	int done;

	if (message->in.error)
		return message->in.error;
	from = find_fid(p9, name);
	if (!from || new_name == P9_NO_FID || (new_name != name && find_fid(p9, new_name)))
		return -EBADF;
	if (nr > P9_MAX_WALK || p9->fids[from].is_open)
		return -EINVAL;
	handle = take_handle(p9);
	if (!handle)
		return -ENFILE;
	done = walk_to(p9, message, from, handle, nr);
	/* Only who has come to the end gets the new fid, which may have the old one's name. */
	if (done != (int)nr) {
		give_handle(p9, handle);
		return done < 0 ? done : 0;
	}
	if (new_name == name) {
		drop_fid(p9, from);
		forget(p9, from);
	}
	add_fid(p9, handle, new_name);
	return 0;
}

static int do_clunk(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);

	if (handle < 0)
		return handle;
	drop_fid(p9, (uint16_t)handle);
	forget(p9, (uint16_t)handle);
	return 0;
}

/* The fid is gone in any case. */
static int do_remove(struct p9 *p9, struct message *message)
{
	const int ret = do_clunk(p9, message);

	return ret ? ret : -EOPNOTSUPP;
}

static int do_getattr(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	const struct broker_attr *attr = &p9->reply.attr;
	struct p9_writer *out = &message->out;
	int ret;

	if (handle < 0)
		return handle;
	ask_for(p9, BROKER_STAT, (uint32_t)handle);
	ret = call(p9, NULL);
	if (ret)
		return ret;
	p9_put64(out, P9_GETATTR_BASIC);
	put_qid(p9, out);
	p9_put32(out, attr->mode);
	p9_put32(out, attr->uid);
	p9_put32(out, attr->gid);
	p9_put64(out, attr->nr_links);
	p9_put64(out, 0); /* the number of a device: to a guest it would be one of its own */
	p9_put64(out, attr->size);
	p9_put64(out, attr->block_size);
	p9_put64(out, attr->blocks);
	put_time(out, &attr->atime);
	put_time(out, &attr->mtime);
	put_time(out, &attr->ctime);
	/* Birth, generation and version are not among the basic attributes. */
	for (unsigned i = 0; i < 4; i++)
		p9_put64(out, 0);
	return 0;
}

static struct broker_time get_time(struct p9_reader *in)
{
	struct broker_time time;

	time.s = (int64_t)p9_get64(in);
	time.ns = p9_get64(in);
	return time;
}

static uint32_t to_changes(uint32_t valid)
{
	static const struct {
		uint32_t from, to;
	} bits[] = {
		{P9_SET_MODE, BROKER_SET_MODE},
		{P9_SET_UID, BROKER_SET_UID},
		{P9_SET_GID, BROKER_SET_GID},
		{P9_SET_SIZE, BROKER_SET_SIZE},
	};
	uint32_t changes = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (valid & bits[i].from)
			changes |= bits[i].to;
	}
	if (valid & P9_SET_ATIME)
		changes |= valid & P9_SET_ATIME_THAT ? BROKER_SET_ATIME : BROKER_SET_ATIME_NOW;
	if (valid & P9_SET_MTIME)
		changes |= valid & P9_SET_MTIME_THAT ? BROKER_SET_MTIME : BROKER_SET_MTIME_NOW;
	return changes;
}

/* What is not to be set may hold anything. */
static void drop_unset(struct broker_request *request)
{
	if (!(request->valid & BROKER_SET_MODE))
		request->mode = 0;
	request->mode &= 07777; /* the client sends the type as well */
	if (!(request->valid & BROKER_SET_SIZE))
		request->size = 0;
	if (!(request->valid & BROKER_SET_ATIME))
		request->atime = (struct broker_time){0};
	if (!(request->valid & BROKER_SET_MTIME))
		request->mtime = (struct broker_time){0};
}

static int do_setattr(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct broker_request *request;

	if (handle < 0)
		return handle;
	request = ask_for(p9, BROKER_SETATTR, (uint32_t)handle);
	request->valid = to_changes(p9_get32(&message->in));
	request->mode = p9_get32(&message->in);
	request->uid = p9_get32(&message->in);
	request->gid = p9_get32(&message->in);
	request->size = p9_get64(&message->in);
	request->atime = get_time(&message->in);
	request->mtime = get_time(&message->in);
	drop_unset(request);
	return message->in.error ? message->in.error : call(p9, NULL);
}

static int do_statfs(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	const struct broker_fs *fs = &p9->reply.fs;
	struct p9_writer *out = &message->out;
	int ret;

	if (handle < 0)
		return handle;
	ask_for(p9, BROKER_STATFS, (uint32_t)handle);
	ret = call(p9, NULL);
	if (ret)
		return ret;
	p9_put32(out, (uint32_t)fs->type);
	p9_put32(out, (uint32_t)fs->block_size);
	p9_put64(out, fs->blocks);
	p9_put64(out, fs->blocks_free);
	p9_put64(out, fs->blocks_available);
	p9_put64(out, fs->files);
	p9_put64(out, fs->files_free);
	p9_put64(out, 0); /* the file system's id: no guest has a use for the host's */
	p9_put32(out, (uint32_t)fs->max_name);
	return 0;
}

static uint32_t to_flags(uint32_t flags)
{
	uint32_t wanted = BROKER_READ;

	if ((flags & P9_OPEN_ACCESS) == P9_OPEN_WRITE)
		wanted = BROKER_WRITE;
	else if (flags & P9_OPEN_ACCESS)
		wanted = BROKER_READ | BROKER_WRITE;
	if (flags & P9_OPEN_TRUNC && wanted & BROKER_WRITE)
		wanted |= BROKER_TRUNCATE;
	if (flags & P9_OPEN_DIRECTORY)
		wanted |= BROKER_DIRECTORY;
	return wanted;
}

/* What p9->request asks for is opened as @fid. */
static int open_as(struct p9 *p9, struct p9_fid *fid)
{
	int fd = -1, ret;

	/* A directory would need none of ours, but nobody knows yet that it is one. */
	if (p9->nr_open >= p9->max_open)
		return -EMFILE;
	ret = call(p9, &fd);
	if (ret)
		return ret;
	fid->is_open = true;
	fid->fd = fd;
	p9->nr_open += fd >= 0;
	return 0;
}

static int do_lopen(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	const uint32_t flags = p9_get32(&message->in);
	struct p9_fid *fid;
	int ret;

	if (handle < 0 || message->in.error)
		return handle < 0 ? handle : message->in.error;
	fid = &p9->fids[handle];
	if (fid->is_open)
		return -EBUSY;
	ask_for(p9, BROKER_OPEN, (uint32_t)handle)->flags = to_flags(flags);
	ret = open_as(p9, fid);
	if (ret)
		return ret;
	ask_for(p9, BROKER_STAT, (uint32_t)handle);
	ret = call(p9, NULL);
	if (ret) {
		close_fid(p9, fid);
		return ret;
	}
	put_qid(p9, &message->out);
	p9_put32(&message->out, 0); /* as much at a time as a message holds */
	return 0;
}

static int do_lcreate(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct broker_request *request;
	uint32_t flags;
	int ret;

	if (handle < 0)
		return handle;
	if (p9->fids[handle].is_open)
		return -EBUSY;
	/* The fid of the directory becomes that of the file. */
	request = ask_for(p9, BROKER_CREATE, (uint32_t)handle);
	request->other = (uint32_t)handle;
	p9_get_name(&message->in, request->name);
	flags = p9_get32(&message->in);
	request->flags = to_flags(flags) & ~BROKER_DIRECTORY;
	if (flags & P9_OPEN_EXCL)
		request->flags |= BROKER_EXCLUSIVE;
	request->mode = p9_get32(&message->in) & 07777;
	p9_get32(&message->in); /* the group: new files are ccr-run's */
	if (message->in.error)
		return message->in.error;
	ret = open_as(p9, &p9->fids[handle]);
	if (ret)
		return ret;
	put_qid(p9, &message->out);
	p9_put32(&message->out, 0);
	return 0;
}

static int do_read(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	const uint64_t offset = p9_get64(&message->in);
	uint32_t count = p9_get32(&message->in);
	struct p9_writer *out = &message->out;
	ssize_t done = 0;

	if (handle < 0 || message->in.error)
		return handle < 0 ? handle : message->in.error;
	if (p9->fids[handle].fd < 0)
		return p9->fids[handle].is_open ? -EISDIR : -EBADF;
	if (offset > INT64_MAX)
		return -EINVAL;
	if (p9_left(out) < 4)
		return -EMSGSIZE;
	if (count > p9_left(out) - 4)
		count = (uint32_t)(p9_left(out) - 4);
	if (count > 0)
		done = p9->host->read(p9->ctx, p9->fids[handle].fd, out->bytes + READ_HEADER_SIZE,
				      count, offset);
	if (done < 0)
		return (int)done;
	p9_put32(out, (uint32_t)done);
	out->place += (size_t)done;
	return 0;
}

static int do_write(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	const uint64_t offset = p9_get64(&message->in);
	const uint32_t count = p9_get32(&message->in);
	const uint8_t *bytes = p9_get_bytes(&message->in, count);
	ssize_t done = 0;

	if (handle < 0 || message->in.error)
		return handle < 0 ? handle : message->in.error;
	if (p9->fids[handle].fd < 0)
		return -EBADF;
	if (offset > INT64_MAX - (uint64_t)count)
		return -EFBIG;
	if (count > 0)
		done = p9->host->write(p9->ctx, p9->fids[handle].fd, bytes, count, offset);
	if (done < 0)
		return (int)done;
	p9_put32(&message->out, (uint32_t)done);
	return 0;
}

static int do_fsync(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);

	if (handle < 0)
		return handle;
	if (p9->fids[handle].fd >= 0)
		return p9->host->sync(p9->ctx, p9->fids[handle].fd);
	if (!p9->fids[handle].is_open)
		return -EBADF;
	ask_for(p9, BROKER_SYNC, (uint32_t)handle);
	return call(p9, NULL);
}

/* A record as the kernel makes them for getdents64(2). */
struct record {
	struct p9_qid qid;
	uint64_t next;
	uint8_t type;
	const char *name;
	size_t name_size;
	size_t size;
};

/* Return: false if there is no whole record at @place. */
static bool get_record(const struct p9 *p9, size_t place, struct record *record)
{
	const size_t head = offsetof(struct dirent64, d_name);
	const uint8_t *bytes = p9->reply.payload + place;
	struct dirent64 entry;

	if (p9->reply.payload_size - place <= head)
		return false;
	memcpy(&entry, bytes, head);
	if (entry.d_reclen <= head || entry.d_reclen > p9->reply.payload_size - place)
		return false;
	*record = (struct record){
		.qid = {.type = entry.d_type == DT_DIR   ? P9_QID_DIR
				: entry.d_type == DT_LNK ? P9_QID_LINK
							 : P9_QID_FILE,
			.path = entry.d_ino},
		.next = (uint64_t)entry.d_off,
		.type = entry.d_type,
		.name = (const char *)bytes + head,
		.size = entry.d_reclen,
	};
	record->name_size = strnlen(record->name, entry.d_reclen - head);
	return record->name_size <= NAME_MAX;
}

static void put_record(struct p9_writer *out, const struct record *record)
{
	p9_put_qid(out, &record->qid);
	p9_put64(out, record->next);
	p9_put8(out, record->type);
	p9_put_string(out, record->name, record->name_size);
}

#define RECORD_HEAD_SIZE (P9_QID_SIZE + 8u + 1u + 2u)

/* As many records as fit @room. Return: their bytes. */
static uint32_t put_records(const struct p9 *p9, struct p9_writer *out, size_t room)
{
	const size_t start = out->place;
	struct record record;

	for (size_t place = 0; get_record(p9, place, &record); place += record.size) {
		if (out->place - start + RECORD_HEAD_SIZE + record.name_size > room)
			break;
		put_record(out, &record);
	}
	return (uint32_t)(out->place - start);
}

static int do_readdir(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	const uint64_t offset = p9_get64(&message->in);
	const uint32_t count = p9_get32(&message->in);
	struct p9_writer *out = &message->out, start = *out;
	struct broker_request *request;
	size_t room;
	int ret;

	if (handle < 0 || message->in.error)
		return handle < 0 ? handle : message->in.error;
	if (!p9->fids[handle].is_open || p9->fids[handle].fd >= 0)
		return -EBADF;
	if (offset > INT64_MAX || p9_left(out) < 4)
		return -EINVAL;
	request = ask_for(p9, BROKER_READDIR, (uint32_t)handle);
	request->offset = offset;
	request->size = BROKER_MAX_PAYLOAD;
	ret = call(p9, NULL);
	if (ret)
		return ret;
	room = count < p9_left(out) - 4 ? count : p9_left(out) - 4;
	p9_put32(out, 0);
	p9_put32(&start, put_records(p9, out, room));
	/* Nothing must mean the end. */
	return p9->reply.payload_size > 0 && out->place == start.place ? -EINVAL : 0;
}

static int do_readlink(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	int ret;

	if (handle < 0)
		return handle;
	ask_for(p9, BROKER_READLINK, (uint32_t)handle);
	ret = call(p9, NULL);
	if (!ret)
		p9_put_string(&message->out, p9->reply.payload, p9->reply.payload_size);
	return ret;
}

/* Something new in a directory: its qid. */
static int make(struct p9 *p9, struct message *message)
{
	const int ret = message->in.error ? message->in.error : call(p9, NULL);

	if (!ret)
		put_qid(p9, &message->out);
	return ret;
}

static int do_mkdir(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct broker_request *request;

	if (handle < 0)
		return handle;
	request = ask_for(p9, BROKER_MKDIR, (uint32_t)handle);
	p9_get_name(&message->in, request->name);
	request->mode = p9_get32(&message->in) & 07777;
	p9_get32(&message->in); /* the group */
	return make(p9, message);
}

static int do_symlink(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct broker_request *request;

	if (handle < 0)
		return handle;
	request = ask_for(p9, BROKER_SYMLINK, (uint32_t)handle);
	p9_get_name(&message->in, request->name);
	p9_get_string(&message->in, request->text, sizeof(request->text));
	p9_get32(&message->in); /* the group */
	if (!message->in.error && !request->text[0])
		return -ENOENT;
	return make(p9, message);
}

static int do_mknod(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct broker_request *request;

	if (handle < 0)
		return handle;
	request = ask_for(p9, BROKER_MKNOD, (uint32_t)handle);
	p9_get_name(&message->in, request->name);
	request->mode = p9_get32(&message->in) & 0177777;
	for (unsigned i = 0; i < 3; i++)
		p9_get32(&message->in); /* a device's number, which none can have; the group */
	return make(p9, message);
}

static int do_link(struct p9 *p9, struct message *message)
{
	const int dir = get_fid(p9, &message->in), target = get_fid(p9, &message->in);
	struct broker_request *request;

	if (dir < 0 || target < 0)
		return dir < 0 ? dir : target;
	request = ask_for(p9, BROKER_LINK, (uint32_t)dir);
	request->other = (uint32_t)target;
	p9_get_name(&message->in, request->name);
	return message->in.error ? message->in.error : call(p9, NULL);
}

static int do_renameat(struct p9 *p9, struct message *message)
{
	const int dir = get_fid(p9, &message->in);
	struct broker_request *request;
	int other;

	if (dir < 0)
		return dir;
	request = ask_for(p9, BROKER_RENAME, (uint32_t)dir);
	p9_get_name(&message->in, request->name);
	other = get_fid(p9, &message->in);
	if (other < 0)
		return other;
	request->other = (uint32_t)other;
	p9_get_name(&message->in, request->text);
	return message->in.error ? message->in.error : call(p9, NULL);
}

static int do_unlinkat(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct broker_request *request;

	if (handle < 0)
		return handle;
	request = ask_for(p9, BROKER_UNLINK, (uint32_t)handle);
	p9_get_name(&message->in, request->name);
	request->flags = p9_get32(&message->in) & P9_REMOVE_DIR ? BROKER_DIRECTORY : 0;
	return message->in.error ? message->in.error : call(p9, NULL);
}

static int do_lock(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);

	if (handle < 0)
		return handle;
	p9_put8(&message->out, 0); /* success */
	return 0;
}

static int do_getlock(struct p9 *p9, struct message *message)
{
	const int handle = get_fid(p9, &message->in);
	struct p9_reader *in = &message->in;
	uint64_t start, length;
	uint32_t process;
	char client[256];

	if (handle < 0)
		return handle;
	p9_get8(in);
	start = p9_get64(in);
	length = p9_get64(in);
	process = p9_get32(in);
	p9_get_string(in, client, sizeof(client));
	if (in->error)
		return in->error;
	p9_put8(&message->out, P9_UNLOCK);
	p9_put64(&message->out, start);
	p9_put64(&message->out, length);
	p9_put32(&message->out, process);
	p9_put_string(&message->out, client, strlen(client));
	return 0;
}

static int do_flush(struct p9 *p9, struct message *message)
{
	(void)p9;
	(void)message;
	return 0;
}

static int do_unsupported(struct p9 *p9, struct message *message)
{
	(void)p9;
	(void)message;
	return -EOPNOTSUPP;
}

typedef int handler(struct p9 *p9, struct message *message);

static handler *const handlers[] = {
	[P9_TSTATFS] = do_statfs,
	[P9_TLOPEN] = do_lopen,
	[P9_TLCREATE] = do_lcreate,
	[P9_TSYMLINK] = do_symlink,
	[P9_TMKNOD] = do_mknod,
	[P9_TRENAME] = do_unsupported,
	[P9_TREADLINK] = do_readlink,
	[P9_TGETATTR] = do_getattr,
	[P9_TSETATTR] = do_setattr,
	[P9_TXATTRWALK] = do_unsupported,
	[P9_TXATTRCREATE] = do_unsupported,
	[P9_TREADDIR] = do_readdir,
	[P9_TFSYNC] = do_fsync,
	[P9_TLOCK] = do_lock,
	[P9_TGETLOCK] = do_getlock,
	[P9_TLINK] = do_link,
	[P9_TMKDIR] = do_mkdir,
	[P9_TRENAMEAT] = do_renameat,
	[P9_TUNLINKAT] = do_unlinkat,
	[P9_TVERSION] = do_version,
	[P9_TAUTH] = do_unsupported,
	[P9_TATTACH] = do_attach,
	[P9_TFLUSH] = do_flush,
	[P9_TWALK] = do_walk,
	[P9_TREAD] = do_read,
	[P9_TWRITE] = do_write,
	[P9_TCLUNK] = do_clunk,
	[P9_TREMOVE] = do_remove,
};

#define NR_HANDLERS (sizeof(handlers) / sizeof(handlers[0]))

/* @said: what the header says. A client that does not count its data says less than there is. */
static int dispatch(struct p9 *p9, struct message *message, uint8_t type, uint32_t said)
{
	int ret;

	if (said < P9_HEADER_SIZE || said > message->in.size)
		return -EBADMSG;
	if (type >= NR_HANDLERS || !handlers[type])
		return -EOPNOTSUPP;
	if (type != P9_TVERSION && !p9->msize)
		return -EPROTO;
	ret = type == P9_TVERSION ? 0 : end_session(p9);
	if (!ret)
		ret = handlers[type](p9, message);
	return ret ? ret : message->out.error;
}

uint32_t p9_serve(struct p9 *p9, const uint8_t *in, uint32_t in_size, uint8_t *out, uint32_t room)
{
	const uint32_t limit = p9->msize ? p9->msize : P9_MIN_MSIZE;
	struct message message;
	uint32_t said;
	uint16_t tag;
	uint8_t type;
	int ret;

	p9_reader_init(&message.in, in, in_size);
	p9_writer_init(&message.out, out, room < limit ? room : limit);
	said = p9_get32(&message.in);
	type = p9_get8(&message.in);
	tag = p9_get16(&message.in);
	ret = dispatch(p9, &message, type, said);
	if (!ret)
		return p9_finish(&message.out, (uint8_t)(type + 1), tag);
	p9_writer_init(&message.out, out, room);
	p9_put32(&message.out, (uint32_t)-ret);
	return p9_finish(&message.out, P9_RLERROR, tag);
}

void p9_init(struct p9 *p9, const struct p9_host *host, void *ctx, uint32_t max_msize,
	     unsigned max_open)
{
	*p9 = (struct p9){
		.host = host,
		.ctx = ctx,
		.max_msize = max_msize,
		.max_open = max_open,
		.is_stale = true, /* what a machine's former life has left */
	};
	clear_fids(p9);
}

void p9_reset(struct p9 *p9)
{
	for (unsigned i = 1; i < BROKER_NR_HANDLES; i++)
		close_fid(p9, &p9->fids[i]);
	clear_fids(p9);
	p9->msize = 0;
	p9->is_stale = true;
}

void p9_done(struct p9 *p9)
{
	p9_reset(p9);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared directory under a client of 9P2000.L that keeps the rules, breaks them, and tries to get
 * out. The host has put "secret" beside the directory, into it "leads-out", a link to that, and
 * "dir" with "file" in it; afterwards it looks whether the secret is what it was.
 */
#include "lab.h"

#define VIRTIO_ID_9P 9

#define MSIZE     4096u
#define HEADER    7u
#define NO_FID    0xffffffffu
#define ROOT_FID  0u
#define FID       1u
#define QID_LINK  2u
#define READWRITE 2u
#define TRUNCATE  01000u
#define NR_FIDS   100u

#define AT_REPLY (AT_DATA + PAGE_SIZE)

enum {
	RLERROR = 7,
	TLOPEN = 12,
	TLCREATE = 14,
	TSYMLINK = 16,
	TMKNOD = 18,
	TREADLINK = 22,
	TGETATTR = 24,
	TREADDIR = 40,
	TLINK = 70,
	TMKDIR = 72,
	TRENAMEAT = 74,
	TUNLINKAT = 76,
	TVERSION = 100,
	TATTACH = 104,
	TWALK = 110,
	TREAD = 116,
	TWRITE = 118,
	TCLUNK = 120,
};

#define EPERM      1
#define ENOENT     2
#define EBADF      9
#define EINVAL     22
#define EFBIG      27
#define ENXIO      6
#define ELOOP      40
#define EBADMSG    74
#define EOPNOTSUPP 95

/* A message being made, and its reply, without the header. */
struct client {
	struct lab *lab;
	struct virtio virtio;
	uint8_t bytes[512];
	uint32_t size;
	uint8_t reply[512];
	uint32_t reply_size;
};

static void put(struct client *c, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		c->bytes[c->size++] = (uint8_t)(value >> 8 * i);
}

static void put_string(struct client *c, const char *text)
{
	put(c, strlen(text), 2);
	while (*text)
		put(c, (uint8_t)*text++, 1);
}

static uint32_t get32(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

static void begin(struct client *c, uint8_t type, uint32_t fid)
{
	c->size = 4;
	put(c, type, 1);
	put(c, 0x4321, 2);
	put(c, fid, 4);
}

/* The message goes out as it is, with room for a reply. Return: how it was answered. */
static enum virtio_answer offer(struct client *c, uint64_t out, uint64_t in, uint32_t room)
{
	struct lab *lab = c->lab;
	const struct vdesc chain[2] = {{out, c->size, DESC_NEXT, 1}, {in, room, DESC_WRITE, 0}};
	enum virtio_answer answer;

	memcpy(lab_at(lab, AT_DATA), c->bytes, c->size);
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
	vring_put(&lab->ring, 0, &chain[0]);
	vring_put(&lab->ring, 1, &chain[1]);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	answer = virtio_await(&c->virtio, &lab->ring, NULL, &c->reply_size);
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
	return answer;
}

/* Return: 0, an error of Linux, or -1 for what is no answer, with a line about it. */
static int ask_sized(struct client *c, uint32_t said)
{
	struct lab *lab = c->lab;
	const uint32_t size = c->size;
	enum virtio_answer answer;

	c->size = 0;
	put(c, said, 4);
	c->size = size;
	answer = offer(c, lab->shared + AT_DATA, lab->shared + AT_REPLY, PAGE_SIZE);
	if (answer != ANSWER_DONE || c->reply_size < HEADER || c->reply_size > PAGE_SIZE) {
		tap_note(&lab->tap, "a message was answered with %s, %u bytes",
			 lab_answer_name(answer), c->reply_size);
		return -1;
	}
	memcpy(c->reply, lab_at(lab, AT_REPLY), sizeof(c->reply));
	if (c->reply[4] == RLERROR)
		return (int)get32(c->reply + HEADER);
	return c->reply[4] == c->bytes[4] + 1 ? 0 : -1;
}

static int ask(struct client *c)
{
	return ask_sized(c, c->size);
}

static int version(struct client *c)
{
	begin(c, TVERSION, MSIZE);
	put_string(c, "9P2000.L");
	return ask(c);
}

static int attach(struct client *c)
{
	begin(c, TATTACH, ROOT_FID);
	put(c, NO_FID, 4);
	put_string(c, "root");
	put_string(c, "");
	put(c, 0, 4);
	return ask(c);
}

static int walk(struct client *c, uint32_t fid, uint32_t to, const char *name)
{
	begin(c, TWALK, fid);
	put(c, to, 4);
	put(c, 1, 2);
	put_string(c, name);
	return ask(c);
}

static int clunk(struct client *c, uint32_t fid)
{
	begin(c, TCLUNK, fid);
	return ask(c);
}

static int open_fid(struct client *c, uint32_t fid, uint32_t flags)
{
	begin(c, TLOPEN, fid);
	put(c, flags, 4);
	return ask(c);
}

/* FID becomes file @name of the root, open and empty. */
static int create(struct client *c, const char *name)
{
	begin(c, TWALK, ROOT_FID);
	put(c, FID, 4);
	put(c, 0, 2);
	if (ask(c))
		return -1;
	begin(c, TLCREATE, FID);
	put_string(c, name);
	put(c, READWRITE | TRUNCATE, 4);
	put(c, 0644, 4);
	put(c, 0, 4);
	return ask(c);
}

static int io(struct client *c, uint8_t type, uint64_t offset, uint32_t count)
{
	begin(c, type, FID);
	put(c, offset, 8);
	put(c, count, 4);
	return ask(c);
}

static bool start(struct client *c)
{
	return lab_start(c->lab, &c->virtio, lab_base_features(), 0) && version(c) == 0 &&
	       attach(c) == 0;
}

/* From reset on: a file is made, written, and read. */
static bool works(struct client *c)
{
	bool ok = start(c) && create(c, "made") == 0;

	begin(c, TWRITE, FID);
	put(c, 0, 8);
	put(c, 8, 4);
	for (const char *text = "contract"; *text; text++)
		put(c, (uint8_t)*text, 1);
	ok = ok && ask(c) == 0 && get32(c->reply + HEADER) == 8;
	ok = ok && io(c, TREAD, 4, 100) == 0 && get32(c->reply + HEADER) == 4;
	return ok && !memcmp(c->reply + HEADER + 4, "ract", 4) && clunk(c, FID) == 0;
}

static void check_names(struct client *c)
{
	static const char names[][16] = {"..", "/", "/etc/passwd", "../secret", "dir/file", "."};
	struct tap *tap = &c->lab->tap;
	bool walked = false, made = false, renamed = false;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		walked |= walk(c, ROOT_FID, FID, names[i]) != EINVAL;
		begin(c, TMKDIR, ROOT_FID);
		put_string(c, names[i]);
		put(c, 0755, 4);
		put(c, 0, 4);
		made |= ask(c) != EINVAL;
		begin(c, TRENAMEAT, ROOT_FID);
		put_string(c, "made");
		put(c, ROOT_FID, 4);
		put_string(c, names[i]);
		renamed |= ask(c) != EINVAL;
	}
	tap_check(tap, !walked, "9p: names that would lead out are no names to walk");
	tap_check(tap, !made, "9p: nor to make a directory");
	tap_check(tap, !renamed, "9p: nor to rename to");
}

static void check_links(struct client *c)
{
	struct tap *tap = &c->lab->tap;

	tap_check(tap, walk(c, ROOT_FID, FID, "leads-out") == 0 && c->reply[HEADER + 2] == QID_LINK,
		  "9p: a link is itself");
	tap_check(tap, open_fid(c, FID, READWRITE) == ELOOP, "9p: a link cannot be opened");
	begin(c, TREADLINK, FID);
	tap_check(tap, ask(c) == 0 && !memcmp(c->reply + HEADER + 2, "../secret", 9),
		  "9p: a link says where it leads");
	begin(c, TLINK, ROOT_FID);
	put(c, FID, 4);
	put_string(c, "hard");
	tap_check(tap, ask(c) == EPERM, "9p: a link gets no other name");
	clunk(c, FID);
	begin(c, TSYMLINK, ROOT_FID);
	put_string(c, "mine");
	put_string(c, "/");
	put(c, 0, 4);
	tap_check(tap,
		  ask(c) == 0 && walk(c, ROOT_FID, FID, "mine") == 0 &&
			  walk(c, FID, FID + 1, "etc") != 0,
		  "9p: a link of the guest's own leads nowhere on the host");
	clunk(c, FID);
	begin(c, TUNLINKAT, ROOT_FID);
	put_string(c, "mine");
	put(c, 0, 4);
	tap_check(tap, ask(c) == 0, "9p: and can be removed");
}

static void check_nodes(struct client *c)
{
	struct tap *tap = &c->lab->tap;

	begin(c, TMKNOD, ROOT_FID);
	put_string(c, "mem");
	put(c, 020666, 4);
	put(c, 1, 4);
	put(c, 1, 4);
	put(c, 0, 4);
	tap_check(tap, ask(c) == EPERM, "9p: no device can be made");
	begin(c, TMKNOD, ROOT_FID);
	put_string(c, "fifo");
	put(c, 010600, 4);
	for (unsigned i = 0; i < 3; i++)
		put(c, 0, 4);
	tap_check(tap, ask(c) == 0 && walk(c, ROOT_FID, FID, "fifo") == 0, "9p: a FIFO can");
	tap_check(tap, open_fid(c, FID, 0) == ENXIO, "9p: and opening it does not wait");
	clunk(c, FID);
	begin(c, TUNLINKAT, ROOT_FID);
	put_string(c, "fifo");
	put(c, 0, 4);
	ask(c);
}

static void check_counts(struct client *c)
{
	struct tap *tap = &c->lab->tap;

	tap_check(tap, create(c, "counts") == 0, "9p: a file can be made");
	tap_check(tap, io(c, TREAD, 0, 0xffffffff) == 0 && get32(c->reply + HEADER) == 0,
		  "9p: a read of 4 GiB of an empty file");
	tap_check(tap, io(c, TREAD, 1ull << 63, 1) == EINVAL, "9p: a read at 2^63");
	tap_check(tap, io(c, TWRITE, 0, 0xffffffff) == EBADMSG,
		  "9p: a write of more than the message holds");
	begin(c, TWRITE, FID);
	put(c, 0x7fffffffffffffff, 8);
	put(c, 4, 4);
	put(c, 0, 4);
	tap_check(tap, ask(c) == EFBIG, "9p: a write across 2^63");
	clunk(c, FID);
	begin(c, TWALK, ROOT_FID);
	put(c, FID, 4);
	put(c, 0xffff, 2);
	tap_check(tap, ask(c) == EINVAL, "9p: a walk of 65535 names");
	begin(c, TWALK, ROOT_FID);
	put(c, FID, 4);
	put(c, 1, 2);
	put(c, 0xffff, 2);
	tap_check(tap, ask(c) == EBADMSG, "9p: a name of 65535 bytes that are not there");
	tap_check(tap, clunk(c, FID) == EBADF, "9p: a fid that is none");
	begin(c, TREADDIR, ROOT_FID);
	put(c, 0, 8);
	put(c, 0xffffffff, 4);
	tap_check(tap, ask(c) == EBADF, "9p: reading a directory that is not open");
	begin(c, TGETATTR, ROOT_FID);
	tap_check(tap, ask_sized(c, 0) == EBADMSG, "9p: a size of 0");
	tap_check(tap, ask_sized(c, 0xffffffff) == EBADMSG, "9p: a size of 4 GiB");
	begin(c, 255, ROOT_FID);
	tap_check(tap, ask(c) == EOPNOTSUPP, "9p: a message that there is not");
}

/* Many fids; a new session knows none of them. */
static void check_fids(struct client *c)
{
	struct tap *tap = &c->lab->tap;
	bool ok = true;

	for (uint32_t fid = FID; fid < FID + NR_FIDS && ok; fid++) {
		begin(c, TWALK, ROOT_FID);
		put(c, fid, 4);
		put(c, 0, 2);
		ok = ask(c) == 0;
	}
	tap_check(tap, ok && walk(c, ROOT_FID, FID, "dir") == EBADF, "9p: a fid has one file");
	tap_check(tap, version(c) == 0 && attach(c) == 0 && clunk(c, FID) == EBADF,
		  "9p: a new session knows no fids of the old one");
}

/* Buffers that the device must not take. */
static void check_buffers(struct client *c)
{
	struct lab *lab = c->lab;
	const uint64_t out = lab->shared + AT_DATA, in = lab->shared + AT_REPLY;
	const struct {
		char name[48];
		uint64_t out, in;
		uint32_t room;
		bool in_realm;
	} cases[] = {
		{"9p: a message outside RAM", lab->hole, in, PAGE_SIZE, false},
		{"9p: a reply outside RAM", out, lab->hole, PAGE_SIZE, false},
		{"9p: a reply across the end of RAM", out, lab->machine->ram_top - 4, PAGE_SIZE,
		 false},
		{"9p: no room for a reply", out, in, 10, false},
		{"9p: a message in private memory", lab->private, in, PAGE_SIZE, true},
		{"9p: a reply in private memory", out, lab->private, PAGE_SIZE, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum virtio_answer answer;

		if (cases[i].in_realm && !lab->realm.is_realm) {
			tap_skip(&lab->tap, cases[i].name, "not a realm");
			continue;
		}
		begin(c, TGETATTR, ROOT_FID);
		put(c, 0x7ff, 8);
		c->bytes[0] = (uint8_t)c->size;
		memset(c->bytes + 1, 0, 3);
		answer = offer(c, cases[i].out, cases[i].in, cases[i].room);
		if (answer != ANSWER_NEEDS_RESET)
			tap_note(&lab->tap, "the answer was %s", lab_answer_name(answer));
		tap_check(&lab->tap, answer == ANSWER_NEEDS_RESET && works(c), cases[i].name);
	}
}

void check_9p(struct lab *lab)
{
	struct client client = {.lab = lab};

	if (!tap_check(&lab->tap, lab_find(lab, &client.virtio, VIRTIO_ID_9P, 0),
		       "9p: there is a shared directory"))
		return;
	tap_note(&lab->tap, "%s", lab->realm.is_realm ? "a realm" : "a plain VM");
	tap_check(&lab->tap, works(&client), "9p: a file is made, written and read");
	tap_check(&lab->tap,
		  walk(&client, ROOT_FID, FID, "dir") == 0 &&
			  walk(&client, FID, FID, "file") == 0 && clunk(&client, FID) == 0,
		  "9p: what the host has put there is there");
	tap_check(&lab->tap, walk(&client, ROOT_FID, FID, "nothing") == ENOENT,
		  "9p: and nothing else");
	check_names(&client);
	check_links(&client);
	check_nodes(&client);
	check_counts(&client);
	check_fids(&client);
	check_buffers(&client);
	tap_check(&lab->tap, works(&client) && lab_is_private_intact(lab),
		  "9p: works after all that, and private memory is untouched");
}

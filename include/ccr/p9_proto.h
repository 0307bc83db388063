/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P2000.L as bytes: messages of the Linux dialect of the Plan 9 file protocol
 * (linux/include/net/9p/9p.h; 9p(5) of diod), little-endian.
 *
 * A reader and a writer walk through a message. Both remember a first error, after which reads give
 * zeros and writes do nothing; so a message is read field by field, and looked at once at its end.
 */
#ifndef CCR_P9_PROTO_H
#define CCR_P9_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages of the client; the reply is the next number, or P9_RLERROR. */
enum p9_type {
	P9_RLERROR = 7,
	P9_TSTATFS = 8,
	P9_TLOPEN = 12,
	P9_TLCREATE = 14,
	P9_TSYMLINK = 16,
	P9_TMKNOD = 18,
	P9_TRENAME = 20,
	P9_TREADLINK = 22,
	P9_TGETATTR = 24,
	P9_TSETATTR = 26,
	P9_TXATTRWALK = 30,
	P9_TXATTRCREATE = 32,
	P9_TREADDIR = 40,
	P9_TFSYNC = 50,
	P9_TLOCK = 52,
	P9_TGETLOCK = 54,
	P9_TLINK = 70,
	P9_TMKDIR = 72,
	P9_TRENAMEAT = 74,
	P9_TUNLINKAT = 76,
	P9_TVERSION = 100,
	P9_TAUTH = 102,
	P9_TATTACH = 104,
	P9_TFLUSH = 108,
	P9_TWALK = 110,
	P9_TREAD = 116,
	P9_TWRITE = 118,
	P9_TCLUNK = 120,
	P9_TREMOVE = 122,
};

#define P9_VERSION "9P2000.L"
#define P9_NO_FID  0xffffffffu

#define P9_HEADER_SIZE 7u  /* size[4] type[1] tag[2] */
#define P9_ERROR_SIZE  11u /* the smallest reply that there is room for must hold one */
#define P9_QID_SIZE    13u
#define P9_MAX_WALK    16u /* names in one message */

#define P9_QID_DIR  0x80u
#define P9_QID_LINK 0x02u
#define P9_QID_FILE 0x00u

/* Flags of Tlopen and Tlcreate. */
#define P9_OPEN_ACCESS    03u
#define P9_OPEN_WRITE     01u
#define P9_OPEN_READWRITE 02u
#define P9_OPEN_EXCL      0200u
#define P9_OPEN_TRUNC     01000u
#define P9_OPEN_DIRECTORY 0200000u

/* What Tsetattr changes. */
#define P9_SET_MODE       0x001u
#define P9_SET_UID        0x002u
#define P9_SET_GID        0x004u
#define P9_SET_SIZE       0x008u
#define P9_SET_ATIME      0x010u
#define P9_SET_MTIME      0x020u
#define P9_SET_CTIME      0x040u
#define P9_SET_ATIME_THAT 0x080u /* to what the message says, not to now */
#define P9_SET_MTIME_THAT 0x100u

#define P9_GETATTR_BASIC 0x7ffull
#define P9_REMOVE_DIR    0x200u /* flag of Tunlinkat */
#define P9_UNLOCK        2      /* type of a lock in Tgetlock */

/** struct p9_qid - what a file is to a client: two files are the same if type and path are */
struct p9_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

/** struct p9_reader - a message that has come; hostile. @error: 0 or -errno. */
struct p9_reader {
	const uint8_t *bytes;
	size_t size, place;
	int error;
};

/** p9_reader_init() - at its first byte */
void p9_reader_init(struct p9_reader *reader, const uint8_t *bytes, size_t size);

/** p9_get8(), p9_get16(), p9_get32(), p9_get64() - the next number, 0 after an error (-EBADMSG) */
uint8_t p9_get8(struct p9_reader *reader);
uint16_t p9_get16(struct p9_reader *reader);
uint32_t p9_get32(struct p9_reader *reader);
uint64_t p9_get64(struct p9_reader *reader);

/**
 * p9_get_string() - the next string
 * @string: @room bytes; ends with NUL also after an error
 *
 * Errors: -EBADMSG if it is not all there, -ENAMETOOLONG if it does not fit, -EINVAL if it holds a
 * NUL.
 */
void p9_get_string(struct p9_reader *reader, char *string, size_t room);

/** p9_get_name() - a string that is a component of a path, else -EINVAL; 256 bytes of room */
void p9_get_name(struct p9_reader *reader, char *name);

/** p9_get_bytes() - the next @size bytes, in place. Return: NULL after an error (-EBADMSG). */
const uint8_t *p9_get_bytes(struct p9_reader *reader, uint32_t size);

/** struct p9_writer - a message being made. @error: 0 or -EMSGSIZE, for what does not fit. */
struct p9_writer {
	uint8_t *bytes;
	size_t room, place;
	int error;
};

/** p9_writer_init() - at the first byte behind the header, which p9_finish() writes */
void p9_writer_init(struct p9_writer *writer, uint8_t *bytes, size_t room);

/** p9_put8(), p9_put16(), p9_put32(), p9_put64(), p9_put_qid() - append */
void p9_put8(struct p9_writer *writer, uint8_t value);
void p9_put16(struct p9_writer *writer, uint16_t value);
void p9_put32(struct p9_writer *writer, uint32_t value);
void p9_put64(struct p9_writer *writer, uint64_t value);
void p9_put_qid(struct p9_writer *writer, const struct p9_qid *qid);

/** p9_put_string() - append @size bytes, at most 65535, as a string */
void p9_put_string(struct p9_writer *writer, const void *bytes, size_t size);

/** p9_left() - bytes that can still be appended */
size_t p9_left(const struct p9_writer *writer);

/** p9_finish() - the header. Return: bytes of the message. */
uint32_t p9_finish(struct p9_writer *writer, uint8_t type, uint16_t tag);

#endif

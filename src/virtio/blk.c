/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/blk.h"

#define BIT(n) (1ull << (n))

#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_blk_outhdr))
#define STATUS_SIZE 1u

#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

_Static_assert(CONFIG_SIZE <= VIRTIO_MAX_CONFIG, "the configuration space fits");

/* One command's reach, in sectors: zeros may have to be written, and that must come to an end. */
#define MAX_DISCARD_SECTORS (1u << 21)
#define MAX_ZERO_SECTORS    (1u << 17)

/* Messages about requests that the host has failed, per disk. */
#define MAX_ERROR_MESSAGES 8

/*
 * A request's life
 * ----------------
 *
 *	free --pop--> decoded --submit--> in flight --ended--> given back to the driver --> free
 *	                 |                                     ^
 *	                 +-- nothing for the host to do -------+
 *
 * While it is in flight it holds the device (virtio_hold()), which puts a reset off, and the pages
 * of its data (a pin), which keeps them shared. The device's lock is held but for the system call
 * that begins a batch.
 */

/*
 * struct blk_request - all sizes are of the data, without header and status
 * @io: what the host does
 * @written: to the start of the writable part, once it has ended
 * @is_pinned: @pin is held
 * @next: of the free ones
 */
struct blk_request {
	struct aio_request io;
	uint32_t type;
	uint64_t sector;
	uint32_t out_size, in_size;
	uint32_t written;
	bool is_pinned;
	struct blk_request *next;
	struct virtq_chain chain;
	struct virtio_pin pin;
};

static bool is_write_back(const struct blk *blk)
{
	return virtio_has(&blk->virtio, VIRTIO_BLK_F_FLUSH) &&
	       blk->virtio.config[offsetof(struct virtio_blk_config, wce)];
}

static bool is_on_disk(const struct blk *blk, uint64_t sector, uint64_t nr_sectors)
{
	return range_within(sector, nr_sectors, 0, blk->disk->size / DISK_SECTOR_SIZE);
}

/* Each prepares a request's io. Return: 0; 1 if the host has nothing to do; -errno. */

static int prepare_transfer(const struct blk *blk, struct blk_request *request)
{
	const bool is_read = request->type == VIRTIO_BLK_T_IN;
	const enum virtq_side side = is_read ? VIRTQ_IN : VIRTQ_OUT;
	const uint32_t size = is_read ? request->in_size : request->out_size;
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	unsigned nr;
	int ret;

	if (size == 0 || size % DISK_SECTOR_SIZE ||
	    !is_on_disk(blk, request->sector, size / DISK_SECTOR_SIZE))
		return -EINVAL;
	if (!is_read && blk->disk->read_only)
		return -EROFS;
	nr = virtq_chain_slice(&request->chain, side, is_read ? 0 : HEADER_SIZE, size, slices);
	ret = virtio_mem_pin(blk->mem, slices, nr, &request->pin);
	if (ret)
		return ret;
	request->is_pinned = true;
	request->io = (struct aio_request){
		.op = is_read ? AIO_READ : AIO_WRITE,
		.durable = !is_read && !is_write_back(blk),
		.iov = request->pin.iov,
		.nr_iov = nr,
		.offset = request->sector * DISK_SECTOR_SIZE,
		.size = size,
	};
	return 0;
}

static int prepare_flush(const struct blk *blk, struct blk_request *request)
{
	(void)blk;
	request->io = (struct aio_request){.op = AIO_FLUSH};
	return 0;
}

static int prepare_range(const struct blk *blk, struct blk_request *request)
{
	const bool zero = request->type == VIRTIO_BLK_T_WRITE_ZEROES;
	struct virtio_blk_discard_write_zeroes range;
	uint64_t sector, nr_sectors;
	uint32_t flags;
	int ret;

	if (request->out_size != sizeof(range))
		return -EINVAL;
	ret = virtq_chain_read(&blk->virtio.queues[0], &request->chain, HEADER_SIZE, &range,
			       sizeof(range));
	if (ret)
		return ret;
	sector = le64toh(range.sector);
	nr_sectors = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return -EOPNOTSUPP;
	if (nr_sectors == 0 || nr_sectors > (zero ? MAX_ZERO_SECTORS : MAX_DISCARD_SECTORS) ||
	    !is_on_disk(blk, sector, nr_sectors))
		return -EINVAL;
	if (blk->disk->read_only)
		return -EROFS;
	request->io = (struct aio_request){
		.op = zero ? AIO_ZERO : AIO_DISCARD,
		.durable = zero && !is_write_back(blk),
		.may_discard = flags != 0,
		.offset = sector * DISK_SECTOR_SIZE,
		.size = nr_sectors * DISK_SECTOR_SIZE,
	};
	return 0;
}

static int answer_id(const struct blk *blk, struct blk_request *request)
{
	const uint32_t size = request->in_size < BLK_SERIAL_SIZE ? request->in_size
								 : BLK_SERIAL_SIZE;
	int ret = virtq_chain_write(&blk->virtio.queues[0], &request->chain, 0, blk->serial, size);

	if (ret)
		return ret;
	request->written = size;
	return 1;
}

static int prepare(const struct blk *blk, struct blk_request *request)
{
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return prepare_transfer(blk, request);
	case VIRTIO_BLK_T_FLUSH:
		return prepare_flush(blk, request);
	case VIRTIO_BLK_T_GET_ID:
		return answer_id(blk, request);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return prepare_range(blk, request);
	default:
		return -EOPNOTSUPP;
	}
}

/* Return: NULL, or why the driver cannot be answered. */
static const char *decode(struct blk *blk, struct blk_request *request)
{
	const struct virtq_chain *chain = &request->chain;
	struct virtio_blk_outhdr header;

	if (chain->out_size < HEADER_SIZE || chain->in_size < STATUS_SIZE)
		return "a request without header or status";
	if (virtq_chain_read(&blk->virtio.queues[0], chain, 0, &header, HEADER_SIZE))
		return "a request header that is not in shared memory";
	request->type = le32toh(header.type);
	request->sector = le64toh(header.sector);
	request->out_size = chain->out_size - HEADER_SIZE;
	request->in_size = chain->in_size - STATUS_SIZE;
	request->written = 0;
	request->is_pinned = false;
	return NULL;
}

static void put_request(struct blk_lane *lane, struct blk_request *request)
{
	request->next = lane->free;
	lane->free = request;
}

/* Memory is touched only as far as it is needed. Return: NULL if all are in use. */
static struct blk_request *first_free(struct blk_lane *lane)
{
	if (!lane->free && lane->nr_used < AIO_MAX_DEPTH)
		put_request(lane, &lane->requests[lane->nr_used++]);
	return lane->free;
}

static uint8_t to_status(int ret)
{
	if (ret == 0)
		return VIRTIO_BLK_S_OK;
	return ret == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static void give_back(struct blk *blk, unsigned index, struct blk_request *request, int ret)
{
	struct virtio_dev *dev = &blk->virtio;
	const uint8_t status = to_status(ret);
	uint32_t written = request->written;

	if (virtq_chain_write(&dev->queues[index], &request->chain, request->in_size, &status,
			      STATUS_SIZE)) {
		virtio_fail(dev, "a request status that is not in shared memory");
		return;
	}
	/* Only what is written without a gap counts. */
	if (written == request->in_size)
		written += STATUS_SIZE;
	virtio_push(dev, index, &request->chain, written);
}

/* The host's own failures; what a driver asks for in vain is its business. */
static void note_error(struct blk *blk, const struct blk_request *request)
{
	static const char *const names[] = {
		[AIO_READ] = "read",       [AIO_WRITE] = "write", [AIO_FLUSH] = "flush",
		[AIO_DISCARD] = "discard", [AIO_ZERO] = "zero",
	};

	if (request->io.result == -EOPNOTSUPP)
		return;
	blk->virtio.stats.nr_host_errors++;
	if (log_allow(&blk->error_limit))
		log_warn("disk %.*s: %s at byte %llu failed: %s; the guest was told",
			 BLK_SERIAL_SIZE, blk->serial, names[request->io.op],
			 (unsigned long long)request->io.offset, strerror(-request->io.result));
}

static bool give_back_ended(struct blk *blk, unsigned index)
{
	struct blk_lane *lane = &blk->lanes[index];
	struct aio_request *ended;
	bool any = false;

	while ((ended = aio_take(lane->aio))) {
		struct blk_request *request = (struct blk_request *)ended;

		if (request->is_pinned)
			virtio_mem_unpin(blk->mem, &request->pin);
		if (ended->result)
			note_error(blk, request);
		else if (request->type == VIRTIO_BLK_T_IN)
			request->written = request->in_size;
		if (virtio_release(&blk->virtio))
			give_back(blk, index, request, ended->result);
		put_request(lane, request);
		lane->nr_in_flight--;
		any = true;
	}
	return any;
}

/*
 * @ret_submitted: something was handed to the engine. Return: false if the queue is empty, as far
 * as that can be said, or no request is free.
 */
static bool take_new(struct blk *blk, unsigned index, bool *ret_submitted)
{
	struct blk_lane *lane = &blk->lanes[index];
	struct blk_request *request;
	unsigned nr = 0;

	*ret_submitted = false;
	while (nr < AIO_MAX_DEPTH && (request = first_free(lane)) &&
	       virtio_pop(&blk->virtio, index, &request->chain)) {
		const char *why = decode(blk, request);
		const int ret = why ? 0 : prepare(blk, request);

		nr++;
		if (why) {
			virtio_fail(&blk->virtio, why);
		} else if (ret) {
			give_back(blk, index, request, ret < 0 ? ret : 0);
		} else {
			lane->free = request->next;
			virtio_hold(&blk->virtio);
			aio_submit(lane->aio, &request->io);
			lane->nr_in_flight++;
			*ret_submitted = true;
		}
	}
	return nr > 0;
}

/*
 * What ends while a batch is begun is given back right away, and its interrupt then goes out with
 * that of others.
 */
unsigned blk_work(struct blk *blk, unsigned lane)
{
	unsigned depth = 0;
	bool more, submitted;

	virtio_lock(&blk->virtio);
	do {
		more = give_back_ended(blk, lane);
		more |= take_new(blk, lane, &submitted);
		if (depth < blk->lanes[lane].nr_in_flight)
			depth = blk->lanes[lane].nr_in_flight;
		virtio_notify(&blk->virtio, lane);
		if (submitted) {
			virtio_unlock(&blk->virtio);
			aio_begin(blk->lanes[lane].aio);
			virtio_lock(&blk->virtio);
		}
	} while (more);
	virtio_unlock(&blk->virtio);
	return depth;
}

const char *blk_io(const struct blk *blk)
{
	return aio_name(blk->lanes[0].aio);
}

int blk_fd(const struct blk *blk, unsigned lane)
{
	return aio_fd(blk->lanes[lane].aio);
}

static void set_write_back(struct blk *blk, bool write_back)
{
	blk->virtio.config[offsetof(struct virtio_blk_config, wce)] = write_back;
}

static void blk_write_config(void *self, unsigned offset, unsigned size, uint64_t value)
{
	struct blk *blk = self;

	if (offset == offsetof(struct virtio_blk_config, wce) && size == 1 && value <= 1 &&
	    virtio_has(&blk->virtio, VIRTIO_BLK_F_CONFIG_WCE))
		set_write_back(blk, value);
}

static void blk_reset(void *self)
{
	set_write_back(self, true);
}

static const struct virtio_type blk_type = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = 0x018000, /* mass storage, other */
	.features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
		    BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
		    BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_DISCARD) |
		    BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_MQ),
	.config_size = CONFIG_SIZE,
	.nr_queues = 1,
	.queue_sizes = {VIRTQ_MAX_SIZE},
	.write_config = blk_write_config,
	.reset = blk_reset,
};

static uint64_t features_of(const struct blk_config *config)
{
	uint64_t features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE);

	if (config->nr_queues > 1)
		features |= BIT(VIRTIO_BLK_F_MQ);
	if (config->limits.size_max)
		features |= BIT(VIRTIO_BLK_F_SIZE_MAX);
	if (config->disk->read_only)
		return features | BIT(VIRTIO_BLK_F_RO);
	return features | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
	       BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static void fill_config(struct blk *blk, const struct blk_config *config)
{
	const struct bounce_limits *limits = &config->limits;
	const uint32_t sectors_per_block = blk->disk->block_size / DISK_SECTOR_SIZE;
	struct virtio_blk_config space = {
		.capacity = htole64(blk->disk->size / DISK_SECTOR_SIZE),
		.size_max = htole32(limits->size_max),
		.seg_max = htole32(limits->seg_max),
		.blk_size = htole32(blk->disk->block_size),
		.wce = 1,
		.num_queues = htole16((uint16_t)config->nr_queues),
	};

	/* A read-only disk offers neither. */
	if (!blk->disk->read_only) {
		space.max_discard_sectors = htole32(MAX_DISCARD_SECTORS);
		space.max_discard_seg = htole32(1);
		space.discard_sector_alignment = htole32(sectors_per_block);
		space.max_write_zeroes_sectors = htole32(MAX_ZERO_SECTORS);
		space.max_write_zeroes_seg = htole32(1);
		space.write_zeroes_may_unmap = 1;
	}
	memcpy(blk->virtio.config, &space, CONFIG_SIZE);
}

static void close_lane(struct blk_lane *lane)
{
	aio_destroy(lane->aio);
	free(lane->requests);
	*lane = (struct blk_lane){0};
}

static int open_lane(struct blk_lane *lane, const struct blk_config *config, struct ccr_err *err)
{
	const unsigned nr_threads = AIO_MAX_THREADS / config->nr_queues;
	int ret;

	lane->requests = calloc(AIO_MAX_DEPTH, sizeof(*lane->requests));
	if (lane->requests)
		ret = aio_create(&lane->aio, config->disk, config->io, nr_threads, err);
	else
		ret = err_set(err, -ENOMEM, "disk: out of memory");
	if (ret)
		close_lane(lane);
	return ret;
}

static void close_lanes(struct blk *blk)
{
	for (unsigned i = 0; i < BLK_MAX_QUEUES; i++)
		close_lane(&blk->lanes[i]);
}

int blk_init(struct blk *blk, const struct blk_config *config, const struct virtio_setup *setup,
	     struct ccr_err *err)
{
	struct virtio_setup own = *setup;
	int ret = 0;

	*blk = (struct blk){
		.mem = setup->mem,
		.disk = config->disk,
		.error_limit = {MAX_ERROR_MESSAGES},
	};
	own.type = &blk_type;
	own.self = blk;
	own.features = features_of(config);
	own.withheld = config->limits.size_max ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0;
	own.queue_size = config->limits.queue_size;
	own.nr_queues = config->nr_queues;
	memcpy(blk->serial, config->serial, strnlen(config->serial, sizeof(blk->serial)));
	for (unsigned i = 0; i < config->nr_queues && !ret; i++)
		ret = open_lane(&blk->lanes[i], config, err);
	if (ret) {
		close_lanes(blk);
		return ret;
	}
	virtio_init(&blk->virtio, &own);
	fill_config(blk, config);
	return 0;
}

void blk_done(struct blk *blk)
{
	close_lanes(blk);
	virtio_done(&blk->virtio);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement log: what was measured into a realm, in order, in TCG's crypto-agile format with
 * the events that realms' tools agree on (Documentation/measurement.md has every byte).
 *
 * A log proves nothing by itself. It is replayed, and where that gives the RIM of a token, it says
 * what the RIM stands for. So whoever reads one here takes every byte for hostile.
 */
#ifndef CCR_EVLOG_H
#define CCR_EVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/file.h"
#include "ccr/measure.h"
#include "ccr/plan.h"

/** EVLOG_MAX_SIZE - longer logs are refused: all granules below the device tree take 4 MiB */
#define EVLOG_MAX_SIZE ((size_t)16 << 20)

/** EVLOG_MAX_UNMEASURED - a longer range of unmeasured memory is refused, so that replay ends */
#define EVLOG_MAX_UNMEASURED (64ull << 20)

#define EVLOG_MAX_ITEMS     128
#define EVLOG_MAX_IMAGES    PLAN_MAX_SEGMENTS
#define EVLOG_NAME_SIZE     32
#define EVLOG_VERSION_SIZE  40
#define EVLOG_MAX_IMAGENAME 32

/**
 * evlog_write() - the log of a launch
 * @plan: its data is hashed, but for what is not measured
 * @ret_log: the caller owns it; untouched on error. The same plan and host give the same bytes.
 *
 * Return: 0; plan_steps()'s errors; -ENOMEM; -EIO from the hash library; @err set.
 */
int evlog_write(const struct plan *plan, const struct realm_host *host, struct blob *ret_log,
		struct ccr_err *err);

/** enum evlog_kind - what a measured step of a log is */
enum evlog_kind {
	EVLOG_RIPAS,      /* @base, @size */
	EVLOG_GRANULES,   /* @size of @image from @base on, @digests of its granules */
	EVLOG_UNMEASURED, /* the same without digests: only the addresses count */
	EVLOG_REC,        /* @pc, @gprs */
};

/** struct evlog_item - one measured step of a log, or the granules of one image; borrowed */
struct evlog_item {
	enum evlog_kind kind;
	ipa_t base;
	uint64_t size;
	unsigned image;
	const uint8_t *digests;
	uint64_t pc;
	uint64_t gprs[PLAN_NR_GPRS];
};

/**
 * struct evlog - a log that was read
 * @name, @version: what made it; printable
 * @host: all of it but the family, which only shows in the order of @items
 * @dtb: the device tree, @dtb_size bytes of the log, not looked at; NULL if the log has none
 * @image_names: printable; "kernel" and so on for what this program's logs name
 */
struct evlog {
	char name[EVLOG_NAME_SIZE + 1];
	char version[EVLOG_VERSION_SIZE + 1];
	uint64_t ram_size;
	unsigned nr_vcpus;
	enum hash_algo hash_algo;
	unsigned ipa_bits;
	struct realm_host host;
	const uint8_t *dtb;
	size_t dtb_size;
	unsigned nr_items;
	struct evlog_item items[EVLOG_MAX_ITEMS];
	unsigned nr_images;
	char image_names[EVLOG_MAX_IMAGES][EVLOG_MAX_IMAGENAME + 1];
	ipa_t image_bases[EVLOG_MAX_IMAGES];
};

/**
 * evlog_read_log() - take a log apart
 * @data: @size hostile bytes, borrowed as long as @ret_log is used; zeros behind the last event are
 *	the rest of the guest's region
 *
 * Strict: every event must be one that Documentation/measurement.md names, where it belongs, with
 * no byte too many, and the granules of each measured image must be there.
 *
 * Return: 0; -EINVAL with @err set: a clause about the log, with the event's number and offset.
 */
int evlog_read_log(const uint8_t *data, size_t size, struct evlog *ret_log, struct ccr_err *err);

/**
 * evlog_replay_rim() - the RIM of the realm that a log describes
 * @observer: as measure_plan()'s; @segment has only name and base. May be NULL.
 * @ret_rim: HASH_MAX_SIZE bytes, zero behind the digest; untouched on error
 *
 * Return: 0; -EINVAL, -EEXIST, -ENOSPC for steps that no realm allows; -EOPNOTSUPP for a hash that
 * the RMM lacks; -ENOMEM, -EIO from the hash library; @err is set as evlog_read_log() does.
 */
int evlog_replay_rim(const struct evlog *log, measure_observer *observer, void *ctx,
		     uint8_t ret_rim[HASH_MAX_SIZE], struct ccr_err *err);

/** EVLOG_MAX_DIFFERENCE - bytes of the longest sentence of evlog_compare_plan() with its end */
#define EVLOG_MAX_DIFFERENCE 256

/**
 * evlog_compare_plan() - where a log leaves an expected launch
 * @plan, @host: what was expected
 * @text: "RIM differs at step 300 (initrd page 7)": the step is the one of measure_plan()'s
 *	observer, counted from 0. Empty if the log is that of the plan. May have bytes of the log
 *	that are not printable.
 *
 * Return: 0, whether they differ or not; else evlog_replay_rim()'s or measure_plan()'s errors.
 */
int evlog_compare_plan(const struct evlog *log, const struct plan *plan,
		       const struct realm_host *host, char text[EVLOG_MAX_DIFFERENCE],
		       struct ccr_err *err);

#endif

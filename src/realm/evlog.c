/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/memmap.h"
#include "evlog_format.h"

#define FIRST_CAPACITY ((size_t)1 << 16)

/* libfdt's header: a magic number and the size of the whole, both big-endian. */
#define FDT_TOTALSIZE 4
#define FDT_HEADER    8

#define VMM_NAME "ccr-run"

/* The version names what decides the tree and the map, not the program that wrote the log. */
#define TEXT_OF(number)    #number
#define VERSION_OF(number) "layout " TEXT_OF(number)

/*
 * struct writer - a log being written
 * @ret: the first failure; once it is set, the functions below do nothing
 */
struct writer {
	struct blob log;
	size_t capacity;
	enum hash_algo algo;
	struct hash_ctx hash;
	int ret;
};

/* Room for @size bytes more; NULL after any failure. */
static uint8_t *grow(struct writer *w, size_t size)
{
	size_t capacity = w->capacity ? w->capacity : FIRST_CAPACITY;
	uint8_t *data;

	if (w->ret)
		return NULL;
	while (capacity - w->log.size < size)
		capacity *= 2;
	if (capacity != w->capacity) {
		data = realloc(w->log.data, capacity);
		if (!data) {
			w->ret = -ENOMEM;
			return NULL;
		}
		w->log.data = data;
		w->capacity = capacity;
	}
	w->log.size += size;
	return w->log.data + w->log.size - size;
}

static void put(struct writer *w, const void *bytes, size_t size)
{
	uint8_t *at = grow(w, size);

	if (at)
		memcpy(at, bytes, size);
}

static void put_u8(struct writer *w, uint64_t value)
{
	const uint8_t byte = (uint8_t)value;

	put(w, &byte, sizeof(byte));
}

static void put_u16(struct writer *w, uint16_t value)
{
	const uint16_t bytes = htole16(value);

	put(w, &bytes, sizeof(bytes));
}

static void put_u32(struct writer *w, uint64_t value)
{
	const uint32_t bytes = htole32((uint32_t)value);

	put(w, &bytes, sizeof(bytes));
}

static void put_u64(struct writer *w, uint64_t value)
{
	const uint64_t bytes = htole64(value);

	put(w, &bytes, sizeof(bytes));
}

/* @text at the start of a field of @size zeros */
static void put_field(struct writer *w, const char *text, size_t size)
{
	uint8_t *at = grow(w, size);

	for (size_t i = 0; at && i < size; i++) {
		at[i] = (uint8_t)*text;
		text += *text != '\0';
	}
}

/* @data may be NULL: then the digest is zero, as TCG wants it where nothing is measured. */
static void put_digest(struct writer *w, const void *data, size_t size)
{
	uint8_t digest[HASH_MAX_SIZE] = {0};

	if (!w->ret && data)
		w->ret = hash_ctx_digest(&w->hash, data, size, digest);
	put(w, digest, hash_size(w->algo));
}

static void put_spec_id(struct writer *w)
{
	static const uint8_t version[] = EVLOG_SPEC_VERSION;

	put_u32(w, EVLOG_PCR_RIM);
	put_u32(w, EV_NO_ACTION);
	put_field(w, "", EVLOG_SHA1_SIZE);
	put_u32(w, EVLOG_SPEC_ID_SIZE);
	put_field(w, EVLOG_SPEC_ID, EVLOG_SIGNATURE);
	put_u32(w, 0); /* platform class: client */
	put(w, version, sizeof(version));
	put_u32(w, 1);
	put_u16(w, evlog_tcg_algos[w->algo]);
	put_u16(w, (uint16_t)hash_size(w->algo));
	put_u8(w, 0); /* vendor information */
}

/* All of an event but its data, which must be of @size bytes. */
static void put_event(struct writer *w, uint32_t type, const void *measured, size_t measured_size,
		      size_t size)
{
	put_u32(w, EVLOG_PCR_RIM);
	put_u32(w, type);
	put_u32(w, 1);
	put_u16(w, evlog_tcg_algos[w->algo]);
	put_digest(w, measured, measured_size);
	put_u32(w, size);
}

static void put_tagged(struct writer *w, enum evlog_tag tag, size_t size)
{
	put_event(w, EV_EVENT_TAG, NULL, 0, 4 + 4 + size);
	put_u32(w, tag);
	put_u32(w, size);
}

static void put_vm_version(struct writer *w, const struct plan *plan)
{
	put_event(w, EV_NO_ACTION, NULL, 0, EVLOG_SIGNATURE + EVLOG_VM_VERSION_SIZE);
	put_field(w, EVLOG_VM_VERSION, EVLOG_SIGNATURE);
	put_field(w, VMM_NAME, EVLOG_NAME_SIZE);
	put_field(w, VERSION_OF(MEMMAP_LAYOUT_VERSION), EVLOG_VERSION_SIZE);
	put_u64(w, plan->ram_size);
	put_u32(w, plan->nr_vcpus);
}

/* The tree without the zeros behind it: a verifier reads in it why its digest is another. */
static void put_dtb(struct writer *w, const struct plan *plan)
{
	uint32_t size;

	for (unsigned i = 0; i < plan->nr_segments; i++) {
		const struct plan_segment *segment = &plan->segments[i];

		if (strcmp(segment->name, "device tree") != 0 || segment->data_size < FDT_HEADER)
			continue;
		memcpy(&size, segment->data + FDT_TOTALSIZE, sizeof(size));
		size = be32toh(size);
		if (size > segment->data_size)
			continue;
		put_event(w, EV_NO_ACTION, NULL, 0, EVLOG_SIGNATURE + size);
		put_field(w, EVLOG_DTB, EVLOG_SIGNATURE);
		put(w, segment->data, size);
	}
}

static void put_create(struct writer *w, const struct plan *plan, const struct realm_host *host)
{
	put_tagged(w, EVLOG_TAG_RMM, EVLOG_RMM_SIZE);
	put_u8(w, host->rmm);
	put_tagged(w, EVLOG_TAG_REALM_CREATE, EVLOG_REALM_CREATE_SIZE);
	put_u64(w, (host->lpa2 ? EVLOG_REALM_LPA2 : 0) | (host->sve ? EVLOG_REALM_SVE : 0) |
			   (host->pmu ? EVLOG_REALM_PMU : 0));
	put_u8(w, plan->ipa_bits);
	put_u8(w, host->sve_vl);
	put_u8(w, host->num_bps);
	put_u8(w, host->num_wps);
	put_u8(w, host->pmu_num_ctrs);
	put_u8(w, plan->hash_algo);
}

static const char *blob_description(const char *segment)
{
	for (size_t i = 0; i < EVLOG_NR_BLOBS; i++) {
		if (!strcmp(segment, evlog_blobs[i].segment))
			return evlog_blobs[i].description;
	}
	return segment;
}

/* What is zero behind an image shows only if that is more than the rest of its last granule. */
static uint64_t blob_size(const struct plan_segment *segment)
{
	const uint64_t image_end = segment->lead_size + segment->data_size;

	if (segment->measured && align_up(image_end, GRANULE_SIZE) == segment->size)
		return segment->data_size;
	return segment->size - segment->lead_size;
}

/* UEFI_PLATFORM_FIRMWARE_BLOB2. Tools take an image without any digest for an unmeasured one. */
static void put_blob(struct writer *w, const struct plan_segment *segment)
{
	const char *description = blob_description(segment->name);
	const size_t description_size = strlen(description) + 1;
	const size_t size = 1 + description_size + 8 + 8;

	if (segment->measured) {
		put_event(w, EV_POST_CODE2, segment->data, segment->data_size, size);
	} else {
		put_u32(w, EVLOG_PCR_RIM);
		put_u32(w, EV_POST_CODE2);
		put_u32(w, 0);
		put_u32(w, size);
	}
	put_u8(w, description_size);
	put(w, description, description_size);
	put_u64(w, segment->base.v + segment->lead_size);
	put_u64(w, blob_size(segment));
}

static void put_granules(struct writer *w, const struct plan_segment *segment)
{
	const uint64_t nr = segment->size / GRANULE_SIZE;
	uint8_t page[GRANULE_SIZE];
	uint64_t left = 0;

	for (uint64_t i = 0; i < nr && !w->ret; i++, left--) {
		if (left == 0) {
			left = nr - i < EVLOG_MAX_GRANULES ? nr - i : EVLOG_MAX_GRANULES;
			put_tagged(w, EVLOG_TAG_GRANULES,
				   EVLOG_GRANULES_HEAD + left * hash_size(w->algo));
			put_u64(w, segment->base.v + i * GRANULE_SIZE);
			put_u64(w, left);
		}
		plan_page(segment, i, page);
		put_digest(w, page, sizeof(page));
	}
}

static void put_rec(struct writer *w, const struct plan *plan)
{
	put_tagged(w, EVLOG_TAG_REC_CREATE, EVLOG_REC_CREATE_SIZE);
	put_u64(w, EVLOG_REC_RUNNABLE);
	put_u64(w, plan->pc);
	for (unsigned i = 0; i < PLAN_NR_GPRS; i++)
		put_u64(w, plan->gprs[i]);
}

static void put_step(struct writer *w, const struct plan *plan, const struct realm_host *host,
		     const struct plan_step *step)
{
	switch (step->kind) {
	case PLAN_CREATE:
		put_create(w, plan, host);
		break;
	case PLAN_INIT_RIPAS:
		put_tagged(w, EVLOG_TAG_INIT_RIPAS, EVLOG_INIT_RIPAS_SIZE);
		put_u64(w, step->base.v);
		put_u64(w, step->size);
		break;
	case PLAN_DATA:
		put_blob(w, step->segment);
		if (step->segment->measured)
			put_granules(w, step->segment);
		break;
	case PLAN_REC:
		if (step->vcpu == 0)
			put_rec(w, plan);
		break;
	case PLAN_ACTIVATE:
		break;
	}
}

int evlog_write(const struct plan *plan, const struct realm_host *host, struct blob *ret_log,
		struct ccr_err *err)
{
	struct writer w = {.algo = plan->hash_algo};
	struct plan_step *steps = calloc(PLAN_MAX_STEPS, sizeof(*steps));
	unsigned nr_steps = 0;
	int ret;

	if (!steps)
		return err_set(err, -ENOMEM, "measurement log: out of memory");
	ret = plan_steps(plan, host, steps, &nr_steps, err);
	if (!ret) {
		w.ret = hash_ctx_init(&w.hash, plan->hash_algo);
		put_spec_id(&w);
		put_vm_version(&w, plan);
		put_dtb(&w, plan);
		for (unsigned i = 0; i < nr_steps; i++)
			put_step(&w, plan, host, &steps[i]);
		hash_ctx_done(&w.hash);
		if (w.ret)
			ret = err_set(err, w.ret, "measurement log: %s", err_name(w.ret));
	}
	if (ret)
		blob_free(&w.log);
	else
		*ret_log = w.log;
	free(steps);
	return ret;
}

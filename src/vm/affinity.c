/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/affinity.h"

/* struct part - what stands between two commas: CPUs @first to @last, for @vcpu or for all */
struct part {
	bool has_vcpu;
	unsigned long vcpu, first, last;
};

/* A number at @at, which is stepped over. Return: false if there is none, or it is too large. */
static bool take_number(const char **at, unsigned long *ret_value)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret_value = strtoul(*at, &end, 10);
	*at = end;
	return errno == 0;
}

/* Return: what stands behind the part, a comma or the end; NULL if it is none. */
static const char *take_part(const char *at, struct part *part)
{
	*part = (struct part){0};
	if (!take_number(&at, &part->first))
		return NULL;
	if (*at == '=') {
		part->has_vcpu = true;
		part->vcpu = part->first;
		at++;
		if (!take_number(&at, &part->first))
			return NULL;
	}
	part->last = part->first;
	if (*at == '-') {
		at++;
		if (!take_number(&at, &part->last))
			return NULL;
	}
	return *at == ',' || *at == '\0' ? at : NULL;
}

static const char *complaint(const struct part *part, unsigned nr_vcpus, bool is_for_each)
{
	if (part->last < part->first)
		return "the range ends before it begins";
	if (part->last >= CPU_SETSIZE)
		return "a host CPU's number is too large";
	if (part->has_vcpu && part->vcpu >= nr_vcpus)
		return "there is no such vCPU";
	return part->has_vcpu != is_for_each ? "name a vCPU in every part, or in none" : NULL;
}

int affinity_check(const char *list, unsigned nr_vcpus, struct ccr_err *err)
{
	const bool is_for_each = strchr(list, '=');
	const char *at = list;

	for (;;) {
		struct part part;
		const char *end = take_part(at, &part);
		const char *why = end ? complaint(&part, nr_vcpus, is_for_each)
				      : "not CPUs such as 2-5, or a vCPU's such as 0=2";

		if (why)
			return err_set(err, -EINVAL, "--vcpu-affinity %s: %.*s: %s", list,
				       (int)strcspn(at, ","), at, why);
		if (*end == '\0')
			return 0;
		at = end + 1;
	}
}

bool affinity_of(const char *list, unsigned vcpu, cpu_set_t *ret_cpus)
{
	const char *at = list;
	struct part part;

	CPU_ZERO(ret_cpus);
	while (at && (at = take_part(at, &part))) {
		if (!part.has_vcpu || part.vcpu == vcpu) {
			for (unsigned long cpu = part.first; cpu <= part.last; cpu++)
				CPU_SET(cpu, ret_cpus);
		}
		at = *at ? at + 1 : NULL;
	}
	return CPU_COUNT(ret_cpus) > 0;
}

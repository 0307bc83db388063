/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On which host CPUs vCPUs run, as the user writes it: one list for all ("2-5,8"), or a part of
 * the list for each ("0=2,1=3-4"), where vCPUs that are not named run anywhere.
 */
#ifndef CCR_AFFINITY_H
#define CCR_AFFINITY_H

#include <sched.h>
#include <stdbool.h>

#include "ccr/err.h"

/**
 * affinity_check() - is a list one of these, for a machine of @nr_vcpus
 *
 * Return: 0; -EINVAL with @err naming what is wrong with which part.
 */
int affinity_check(const char *list, unsigned nr_vcpus, struct ccr_err *err);

/**
 * affinity_of() - the CPUs of one vCPU
 * @list: one that affinity_check() has accepted
 *
 * Return: false if it may run anywhere; *@ret_cpus is then empty.
 */
bool affinity_of(const char *list, unsigned vcpu, cpu_set_t *ret_cpus);

#endif

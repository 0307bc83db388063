/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a program needed to get to where it is, and does not need there. */
#ifndef CCR_TRIM_H
#define CCR_TRIM_H

/**
 * trim_memory() - give it back to the host: free memory of the heap, the stack below the caller,
 *	code and constants
 *
 * By the main thread; others may run. Code that is needed again is mapped again when it is: with
 * many machines on a host, what a launch alone needs is not kept in memory by each of them.
 */
void trim_memory(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share. */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

#include "ccr/cli.h"

/** cli_check() - `ccr-run check` */
enum cli_status cli_check(const struct cli_options *options, struct ccr_err *err);

/** cli_verify() - `ccr-run verify` */
enum cli_status cli_verify(const struct cli_options *options, struct ccr_err *err);

/** cli_flush() - results on stdout have been written, or @err says that they have not */
enum cli_status cli_flush(struct ccr_err *err);

#endif

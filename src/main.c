/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that decides how the program ends. */
#include <signal.h>

#include "ccr/cli.h"

int main(int argc, char **argv)
{
	struct ccr_err err = {0};
	enum cli_status status;

	/* A closed stdout, or a limit of files' sizes, is a return value here, not the end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	status = cli_main(argc, argv, &err);
	if (status != CLI_OK)
		log_error("%s", err.code ? err.msg : "ended without a reason; this is a bug");
	return err.code == 0 && status != CLI_OK ? CLI_BUG : (int)status;
}

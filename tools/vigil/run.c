// SPDX-License-Identifier: GPL-2.0
#include "command.h"
int vigil_cmd_run(int argc, char **argv)
{
	return VIGIL_EX_FAIL;
}

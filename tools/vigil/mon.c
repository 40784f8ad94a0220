// SPDX-License-Identifier: GPL-2.0
/* The monitor of a command. */
#include <errno.h>

#include "command.h"
#include "libvm.h"
#include "mon.h"

int mon_list(struct vigil_vm_desc **list)
{
	return vigil_list(vigil_options.device, list, sizeof(**list));
}

int mon_attach(struct mon *mon, const char *vm, unsigned int flags)
{
	int ret = vigil_attach(&mon->m, vigil_options.device, vm, flags);

	if (!ret)
		ret = vigil_get_vm(mon->m, &mon->info, sizeof(mon->info));
	if (ret)
		mon_detach(mon);
	return ret;
}

void mon_detach(struct mon *mon)
{
	vigil_detach(mon->m);
	mon->m = NULL;
}

int mon_told(int ret)
{
	return ret < 0 ? lv_fail(ret, "%s", vigil_error()) : ret;
}

int mon_exit_code(int err)
{
	vigil_msg("%s", vigil_error());
	switch (-err) {
	case ENOENT:
	case EFAULT:
	case EBUSY:
	case EINVAL:
	case EIO:
		return VIGIL_EX_FAIL;
	case ENOEXEC:
	case EISDIR:
		return VIGIL_EX_INPUT;
	case ENOMEM:
		return VIGIL_EX_OS;
	}
	return VIGIL_EX_DEVICE;
}

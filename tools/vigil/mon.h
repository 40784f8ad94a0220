/* SPDX-License-Identifier: GPL-2.0 */
/* The monitor of a command: of libvigil, on the device that the command line names. */
#ifndef VIGIL_MON_H
#define VIGIL_MON_H

#include "libvigil.h"

/**
 * struct mon - an attached monitor
 * @m: libvigil's handle; NULL once it is detached
 * @info: of the VM, when it was attached
 */
struct mon {
	struct vigil_monitor *m;
	struct vigil_vm_desc info;
};

/* As vigil_list(). */
int mon_list(struct vigil_vm_desc **list);

/**
 * mon_attach() - attach to a VM
 * @mon: filled in
 * @vm: its number, or its name where that belongs to one VM only
 * @flags: VIGIL_MONITOR_*
 *
 * Return: 0, or -errno with vigil_error().
 */
int mon_attach(struct mon *mon, const char *vm, unsigned int flags);
void mon_detach(struct mon *mon);

/*
 * For code that reports by lv_error(): puts the text of a call of libvigil's there that has
 * failed. Returns @ret.
 */
int mon_told(int ret);

/* Prints vigil_error() on stderr and returns the exit code for @err. */
int mon_exit_code(int err);

#endif

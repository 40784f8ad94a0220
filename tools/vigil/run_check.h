/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks of `vigil run` before it starts a guest: is there enough memory, and
 * is the name free?
 */
#ifndef VIGIL_RUN_CHECK_H
#define VIGIL_RUN_CHECK_H

#include <stdint.h>

#include "libvigil.h"

/**
 * check_memory() - will a guest's memory fit into what the host has left?
 * @bytes: the guest's memory
 * @proc: where procfs is ("/proc")
 *
 * The guest's memory is only taken as the guest touches it. One that is larger than
 * what is left would run for a while, and end with the host's OOM killer. A host that
 * is told to overcommit always (vm.overcommit_memory = 1) is believed, and so is one
 * that does not say how much it has.
 *
 * Return: 0, or -ENOMEM with lv_error().
 */
int check_memory(uint64_t bytes, const char *proc);

/**
 * check_name() - is a name used once?
 * @vm: the VMs that are visible, the one that has just been named among them
 * @n: how many
 * @name: its name
 *
 * Two VMs that take a name at the same time both see two of it here, because each
 * asks after it has taken the name: both may end, and never do both stay.
 *
 * Return: 0, or -EEXIST with lv_error().
 */
int check_name(const struct vigil_vm_desc *vm, int n, const char *name);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Instruction fetch. */
#ifndef VIGIL_FETCH_H
#define VIGIL_FETCH_H

#include <linux/types.h>

struct vigil_vcpu;

/**
 * exit_fetch() - instruction bytes at RIP, for a vendor without decode assists
 * @vcpu:	the vCPU
 * @buf:	at least 15 bytes
 *
 * Cached by page; reads up to the end of what is mapped.
 * Return: bytes read, 1 to 15; 0 when the fetch faults (the fault is queued:
 * go on with the guest); negative errno.
 */
int exit_fetch(struct vigil_vcpu *vcpu, u8 buf[15]);

/*
 * An instruction extends beyond its page, and only the bytes in that page could
 * be fetched: raises the fault of the next page. 1: a #PF is queued.
 */
int fetch_fault_next(struct vigil_vcpu *vcpu);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Port I/O. */
#ifndef VIGIL_IO_H
#define VIGIL_IO_H

#include <linux/types.h>

struct vigil_vcpu;

/**
 * struct exit_io - IN, OUT, INS, OUTS, as the vendor decoded it
 * @port:	DX or the immediate
 * @size:	1, 2 or 4
 * @in:		towards the guest
 * @string:	INS/OUTS
 * @next_rip:	of the instruction behind, 0 when not known
 */
struct exit_io {
	u16 port;
	u8 size;
	bool in, string;
	unsigned long next_rip;
};

int exit_io(struct vigil_vcpu *vcpu, const struct exit_io *io);
/*
 * Userspace has replaced RIP or CS: a port access or hypercall that still waits
 * for its end is given up.
 */
void io_forget(struct vigil_vcpu *vcpu);

#endif

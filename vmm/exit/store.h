/* SPDX-License-Identifier: GPL-2.0 */
/* The short way of a plain store that has faulted. */
#ifndef VIGIL_STORE_H
#define VIGIL_STORE_H

struct vigil_vcpu;

/**
 * store_short() - do what the emulator would do with a plain store
 * @vcpu:	vcpu->emul.insn is one (INSN_PLAIN_STORE), vcpu->xlat says where the fault led
 *
 * Most stores that fault are MOVs of few places in the guest, in flat segments, of
 * bytes in one page, with no trap behind them. What these need is done here; the
 * emulator does all others.
 *
 * Return: EMUL_OK, the guest is behind the instruction. EMUL_PENDING, it is for the
 * emulator, and a monitor may hold the store already: vcpu->held. EMUL_RESTART and
 * EMUL_UNHANDLED as of vigil_emulate().
 */
int store_short(struct vigil_vcpu *vcpu);

#endif

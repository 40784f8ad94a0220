/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transfers through gates, which may change the ring and with it the stack: gate.c has
 * CALL and JMP, int.c has INT n.
 *
 * Everything is checked first, with what is stored probed; then it is stored, and CS
 * is loaded last.
 */
#ifndef VIGIL_VMM_GATE_H
#define VIGIL_VMM_GATE_H

#include "emul.h"

/* CALL: 31 parameters, SS, rSP, CS, RIP. An exception in VM86 pushes 10. */
#define EMUL_GATE_FRAME 35

/**
 * struct emul_gate - a transfer through a gate: where to, what it pushes, and where
 * @width:	bytes of what is pushed
 * @parameters:	CALL: how many of them move to the inner stack
 * @sel:	the code segment that the gate names
 * @rip:	where to
 * @cs_la:	the linear address of its descriptor
 * @cs_desc:	the descriptor
 * @ss_la:	that of the inner stack's
 * @ss_desc:	the inner stack's descriptor
 * @cs:		the code segment
 * @ss:		the stack: an inner one, or the old one
 * @inner:	to an inner ring
 * @ist:	INT n in long mode: an entry of the interrupt stack table, or 0
 * @tss_sp:	the stack pointer that the TSS has for the inner ring
 * @sp:		the stack pointer, as it moves
 * @sp_width:	its bytes
 * @frame:	the values to push, in order
 * @n:		how many
 */
struct emul_gate {
	unsigned int width;
	unsigned int parameters;
	u16 sel;
	u64 rip;
	u64 cs_la, cs_desc, ss_la, ss_desc;
	struct emul_seg cs, ss;
	bool inner;
	u8 ist;
	u64 tss_sp;
	u64 sp;
	unsigned int sp_width;
	u64 frame[EMUL_GATE_FRAME];
	unsigned int n;
};

/*
 * Reads the code segment that the gate names. Its DPL is the new CPL, if it is not
 * conforming. @call: the transfer may go to an inner ring.
 */
int emul_gate_code(struct emul_ctxt *c, struct emul_gate *g, bool call);
/* Takes the stack of the inner ring, or that of g->ist, from the TSS. */
int emul_gate_stack(struct emul_ctxt *c, struct emul_gate *g);
/* The same without a change of stacks. */
int emul_gate_same_stack(struct emul_ctxt *c, struct emul_gate *g);
/*
 * Pushes the frame, or only checks and probes the places: the frame lies in two pages
 * at most, those of the first and of the last push, unless the stack wraps around. The
 * pushes to an inner stack are those of the inner ring, so they are not checked as the
 * user's.
 */
int emul_gate_push(struct emul_ctxt *c, struct emul_gate *g, bool probe);
/* Sets the accessed bits of the new segments. */
int emul_gate_mark(struct emul_ctxt *c, struct emul_gate *g);
/* Pushes the frame, and loads rSP and SS. */
int emul_gate_finish(struct emul_ctxt *c, struct emul_gate *g);
/* The very last step: CS, with the new CPL. */
int emul_gate_enter(struct emul_ctxt *c, struct emul_gate *g);

#endif /* VIGIL_VMM_GATE_H */

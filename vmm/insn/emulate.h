/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The x86 instruction emulator: pure, bounded, restartable.
 *
 * vigil_emulate() is a deterministic function of the decoded instruction, the
 * registers and the answers of the ops.
 *
 * Use:
 *
 *   vigil_emul_begin(c);                   once per instruction
 *   c->regs, rip, rflags, cpl, mode ...    from the vCPU
 *   vigil_decode(&c->insn, bytes, n, c->mode);
 *   ret = vigil_emulate(c, &ops);
 *   c->regs, rip, rflags                   back to the vCPU, whatever ret is:
 *                                          before EMUL_OK only the finished
 *                                          iterations of a REP have moved them
 *
 * Going to userspace and back: a read, write or cmpxchg op may answer
 * EMUL_PENDING.  Nothing of the current instruction (or REP iteration) is
 * committed then; c->pending tells what is wanted.  When the answer is there,
 * vigil_emul_complete() records it and the same vigil_emulate() call is made
 * again, with ctxt untouched in between.  Transactions that were finished are
 * replayed from the log: reads return what they returned, writes are not done
 * again.  To give up (the VMM changed the registers meanwhile), call
 * vigil_emul_begin(): it forgets everything.
 *
 * What the ops may rely on: no access crosses a 4 KiB boundary; the emulator
 * splits those that do, and checks the second page with the probe op before it
 * stores to the first.  With EMUL_F_WRITE_INTENT a read is the first half of a
 * read-modify-write: translate and check permissions as for a write (set A and
 * D), fault as a write.
 *
 * Denied stores: write and cmpxchg may answer EMUL_OK without having stored,
 * because a monitor denied it; cmpxchg must then leave *old as a successful
 * exchange would.  The instruction completes as if it had stored:
 *
 *   MOV, ALU, BTS, SETcc, shifts
 *       registers and flags as after the store
 *   XCHG, XADD
 *       the register gets the old memory value; XADD's flags are those of the
 *       sum
 *   CMPXCHG, CMPXCHG8B, CMPXCHG16B
 *       ZF and the accumulator follow from the comparison with the old memory
 *       value: an equal comparison leaves ZF=1 and the accumulator alone,
 *       although memory did not change
 *   PUSH, PUSHA, PUSHF, ENTER
 *       rSP (and rBP) move
 *   CALL, near and far
 *       rSP moves and control goes to the target; a later RET pops what memory
 *       held before
 *   LTR, loads of segment registers, far transfers
 *       the register is loaded, busy or accessed, whatever the table keeps
 *   task switches
 *       go on, whatever the TSSs and the GDT keep
 *   REP MOVS, REP STOS
 *       rCX, rSI and rDI advance over denied elements as over stored ones
 *   POP to memory
 *       rSP moves
 *   FSTP, FISTP, FISTTP, FBSTP
 *       the stack pops
 *   FXSAVE, XSAVE and its like, FNSTENV, FNSAVE
 *       store in pieces of up to EMUL_MAX_ACCESS bytes, each denied for itself
 */
#ifndef VIGIL_VMM_EMULATE_H
#define VIGIL_VMM_EMULATE_H

#include "decode.h"

/**
 * enum emul_status - what vigil_emulate() and the ops answer
 * @EMUL_OK: done
 * @EMUL_FAULT: c->exception says which; registers are as before the
 *	instruction (or REP iteration)
 * @EMUL_PENDING: c->pending says what is wanted
 * @EMUL_UNHANDLED: not emulated; step it, or tell the VMM
 * @EMUL_RESTART: run the guest again at the same instruction
 */
enum emul_status {
	EMUL_OK = 0,
	EMUL_FAULT,
	EMUL_PENDING,
	EMUL_UNHANDLED,
	EMUL_RESTART,
};

/*
 * Flags of read, write, cmpxchg and probe.
 *
 * WRITE_INTENT: a read that a write follows; access rights of a write.
 * LOCKED: part of a LOCKed (or implicitly locked) operation.
 * SPLIT: part of an access that crosses a page; LOCKED is not atomic then.
 * STACK: pushes and pops.
 * REP: an element of a repeated string instruction.
 * SYSTEM: implicit supervisor access (descriptor tables), whatever CPL is.
 * WIDE: the linear address has 64 bits, in compatibility mode too.
 */
#define EMUL_F_WRITE_INTENT BIT(0)
#define EMUL_F_LOCKED BIT(1)
#define EMUL_F_SPLIT BIT(2)
#define EMUL_F_STACK BIT(3)
#define EMUL_F_REP BIT(4)
#define EMUL_F_SYSTEM BIT(5)
#define EMUL_F_WIDE BIT(6)

/*
 * emul_seg.attr: bits 0-11 as in the VMCB (type, S, DPL, P, AVL, L, D/B, G);
 * UNUSABLE: a null selector was loaded.
 */
#define EMUL_SEG_TYPE 0x000f
#define EMUL_SEG_S BIT(4)
#define EMUL_SEG_DPL_SHIFT 5
#define EMUL_SEG_P BIT(7)
#define EMUL_SEG_L BIT(9)
#define EMUL_SEG_DB BIT(10)
#define EMUL_SEG_G BIT(11)
#define EMUL_SEG_UNUSABLE BIT(15)

/**
 * struct emul_seg - a segment register with its hidden part
 * @base: linear address of its first byte
 * @limit: in bytes, already scaled by G
 * @sel: the selector, the part that a guest sees
 * @attr: EMUL_SEG_*
 */
struct emul_seg {
	u64 base;
	u32 limit;
	u16 sel;
	u16 attr;
};

struct emul_dtable {
	u64 base;
	u16 limit;
};

struct emul_exception {
	u8 vector;
	bool has_ec;
	u32 error_code;
	u64 cr2; /* #PF only */
};

#define EMUL_MAX_ACCESS 32 /* bytes: a YMM register */
#define EMUL_LOG_ENTRIES 80 /* ENTER with 31 levels needs 66 */
#define EMUL_LOG_BYTES 1024

enum emul_xact_type {
	EMUL_XACT_NONE,
	EMUL_XACT_READ,
	EMUL_XACT_WRITE,
	EMUL_XACT_CMPXCHG,
	EMUL_XACT_PROBE,
};

/* What an op that answered EMUL_PENDING was asked for. */
struct emul_pending {
	u8 type; /* enum emul_xact_type */
	u8 bytes;
	u16 flags; /* EMUL_F_* */
	u64 la;
	u8 data[EMUL_MAX_ACCESS]; /* to be written (WRITE, CMPXCHG) */
	u8 old[EMUL_MAX_ACCESS]; /* expected (CMPXCHG) */
};

struct emul_log_entry {
	u64 la;
	u8 type;
	u8 bytes;
	u16 data; /* offset in emul_ctxt.log_data */
};

/* emul_ctxt.shadow */
#define EMUL_SHADOW_STI BIT(0)
#define EMUL_SHADOW_MOV_SS BIT(1)

/*
 * emul_ctxt.features: what the host's CPU decodes, whatever CPUID tells the
 * guest.  Without the bit it is BSF, BSR or #UD there, so such an instruction is
 * EMUL_UNHANDLED and the CPU is to decide.
 */
#define EMUL_FEAT_BMI1 BIT(0) /* TZCNT, ANDN, BEXTR, BLSI, BLSMSK, BLSR */
#define EMUL_FEAT_LZCNT BIT(1)
#define EMUL_FEAT_BMI2 BIT(2)
#define EMUL_FEAT_ALL (EMUL_FEAT_BMI1 | EMUL_FEAT_LZCNT | EMUL_FEAT_BMI2)
/* EFER.FFXSR: in ring 0 of 64-bit mode FXSAVE leaves the XMM registers out */
#define EMUL_FEAT_FFXSR BIT(3)
/*
 * PUSH of a segment register with a 32-bit operand writes 16 bits and leaves the
 * upper half of its place on the stack, as Intel's CPUs do; AMD's write zeroes.
 */
#define EMUL_FEAT_PUSH_SEG16 BIT(4)
/*
 * With REX.W a far pointer in memory is m16:64, as on Intel's CPUs. AMD's read
 * m16:32, LSS, LFS and LGS load a register of 32 bits then, and CALL still pushes 8
 * bytes each.
 */
#define EMUL_FEAT_FAR64 BIT(5)
/*
 * MOVSXD with a 16-bit operand reads 16 bits of memory, as on Intel's CPUs; AMD's
 * read 32.
 */
#define EMUL_FEAT_MOVSXD16 BIT(6)
/*
 * A null selector leaves the base and the limit of its segment register as they
 * were, as on AMD's CPUs before Zen 2; others clear them.
 */
#define EMUL_FEAT_NULL_KEEPS_BASE BIT(7)

/* The instruction whose format an image of the guest's state has. */
enum emul_save {
	EMUL_SAVE_FXSAVE,
	EMUL_SAVE_XSAVE,
	EMUL_SAVE_XSAVEC,
	/* as FXSAVE, and what FNSTENV stores at EMUL_AT_ENV */
	EMUL_SAVE_FNSTENV,
};

#define EMUL_SAVE_BYTES 4096u /* no such image is larger */

/* The x87 environment in the 32-bit format of protected mode. */
#define EMUL_ENV_BYTES 28
#define EMUL_AT_ENV 512

/**
 * struct emul_component - a state component of XSAVE, from CPUID leaf 0Dh
 * @offset: in the standard format
 * @bytes: its size
 * @align64: aligned to 64 bytes in the compacted format
 */
struct emul_component {
	u16 offset;
	u16 bytes;
	bool align64;
};

/**
 * struct emul_x87 - what a store changes of the x87 state
 * @fsw: status word, TOP included
 * @ftw: a bit for each register (not counted from TOP) that is not empty
 * @wide: the pointers have 64 bits, as FXSAVE with REX.W stores them
 * @fop: low 11 bits of the opcode
 * @fip: offset of the instruction in its segment
 * @fdp: offset of the operand in its segment
 */
struct emul_x87 {
	u16 fsw;
	u8 ftw;
	bool wide;
	u16 fop;
	u64 fip;
	u64 fdp;
};

/* What an instruction changes. emul_ctxt has it twice: committed and in work. */
struct emul_state {
	u64 regs[16]; /* by hardware number */
	u64 rip;
	u64 rflags;
};

enum emul_task_stage {
	EMUL_TASK_NONE, /* an instruction, which may become a task switch */
	EMUL_TASK_EVENT, /* the delivery of an event through a task gate */
	EMUL_TASK_IDT, /* the same through whatever the vector table has */
	EMUL_TASK_LOAD, /* in the new task, whose segments are missing */
};

/**
 * struct emul_event - an event that the CPU did not deliver
 * @vector:	its number
 * @external: not INT n, INT3 or INTO: error codes of faults in its delivery say so
 * @rf:		it is a fault: the flags are saved with RF
 * @has_ec:	@error_code goes to the handler's stack
 * @error_code:	which
 */
struct emul_event {
	u8 vector;
	bool external;
	bool rf;
	bool has_ec;
	u32 error_code;
};

/**
 * struct emul_task - a task switch
 * @stage:	enum emul_task_stage
 * @event:	no instruction, but an event; RIP is where it came
 * @external:	error codes say that the event came from outside
 * @has_ec:	@error_code goes to the new task's stack
 * @rf:		the event is a fault: the old task has RF set when it goes on
 * @wide:	the new TSS is one of 32 bits
 * @trap:	its T bit is set
 * @bad_cr3:	CR3 could not be loaded from it
 * @vector:	of an event, with EMUL_TASK_IDT
 * @sel:	of the new TSS, for an event
 * @ldt:	the new task's LDT
 * @seg:	its segment registers, in the encoding's order
 * @error_code:	of the event
 * @cr3:	that of the new task
 * @dr6:	result, with EMUL_OK: reasons of a #DB behind a switch
 */
struct emul_task {
	u8 stage;
	bool event;
	bool external;
	bool has_ec;
	bool rf;
	bool wide;
	bool trap;
	bool bad_cr3;
	u8 vector;
	u16 sel;
	u16 ldt;
	u16 seg[6];
	u32 error_code;
	u32 cr3;
	u32 dr6;
};

struct emul_ops;

/**
 * struct emul_ctxt - one instruction under emulation
 *
 * Embed it in the vCPU; container_of() leads back from an op.
 *
 * @insn: decoded by the caller
 * @mode: default sizes of the code segment
 * @cpl: current privilege level (3 in VM86, 0 in real mode)
 * @kernel_ring: the least privileged level that executes privileged instructions
 * @protected_mode: CR0.PE; VM86 is RFLAGS.VM
 * @long_mode: EFER.LMA
 * @nmi_masked: NMIs are blocked until IRET
 * @va_bits: 48, or 57 with CR4.LA57; 0 is taken as 48
 * @features: EMUL_FEAT_*
 * @rep_budget: iterations of a REP in one call; 0 is taken as 1
 * @st: the committed state, also as @regs, @rip, @rflags
 * @regs: general registers by hardware number
 * @rip: of the instruction, until it is committed
 * @rflags: with X86_EFLAGS_FIXED
 * @task: result: a task switch, unless its stage is EMUL_TASK_NONE
 * @more: result, with EMUL_OK: iterations remain, rip still points to the REP; or with
 *	EMUL_TASK_LOAD, the second half of a task switch remains
 * @branched: result, with EMUL_OK: rip is not the next instruction
 * @shadow: result, with EMUL_OK: EMUL_SHADOW_*, the interrupt shadow that this
 *	instruction starts
 * @no_step: result, with EMUL_OK: no trap of a single step comes behind it
 * @bounce: INT n of vector @bounce - 1 passes its gate whatever the gate's DPL, and SYSCALL
 *	and SYSENTER lead there; 0: none
 * @framing: result: what was emulated is that INT n, SYSCALL or SYSENTER, and its gate has
 *	let it through
 * @set_rf: private: IRET has loaded RF, which other instructions clear
 * @exception: result, with EMUL_FAULT
 * @pending: result, with EMUL_PENDING
 * @ops: private: what the emulator asks the vCPU
 * @w: private: the state in work
 * @image: private: save_state()'s answer for this instruction, or NULL
 * @log_used: private: transactions in @log
 * @log_pos: private: how many of them this call has replayed
 * @log_bytes: private: of @log_data
 * @log: private: what reads and writes have answered so far
 * @log_data: private: the bytes that they read
 */
struct emul_ctxt {
	struct insn insn;
	enum insn_mode mode;
	u8 cpl;
	u8 kernel_ring;
	bool protected_mode;
	bool long_mode;
	bool nmi_masked;
	u8 va_bits;
	u8 features;
	u32 rep_budget;
	union {
		struct emul_state st;
		struct {
			u64 regs[16];
			u64 rip;
			u64 rflags;
		};
	};

	struct emul_task task;
	bool more;
	bool branched;
	u8 shadow;
	bool no_step;
	u16 bounce;
	bool framing;
	bool set_rf;
	struct emul_exception exception;
	struct emul_pending pending;

	const struct emul_ops *ops;
	struct emul_state w;
	const u8 *image;
	u16 log_used;
	u16 log_pos;
	u16 log_bytes;
	struct emul_log_entry log[EMUL_LOG_ENTRIES];
	u8 log_data[EMUL_LOG_BYTES];
};

/**
 * struct emul_ops - what the emulator needs of the vCPU
 *
 * All but save_state return enum emul_status.  read, write, cmpxchg, probe,
 * get_seg and get_cr are mandatory; an instruction that needs one of the others and finds NULL is
 * EMUL_UNHANDLED.
 *
 * Only read, write, cmpxchg and probe are logged.  The get_* must be free of
 * side effects; the set_* and invlpg are the last thing that an instruction
 * does, and EMUL_PENDING from one of them means "call vigil_emulate() again".
 *
 * @read: memory by linear address, never across a page; so the next three
 * @write: see there
 * @cmpxchg: if memory holds *old, store *new, atomically against other vCPUs;
 *	*old becomes what memory held in any case.  1 to 16 bytes, which may be
 *	unaligned within the page
 * @probe: would such a write fault?  Changes nothing but A and D bits
 * @get_seg: a segment register with its hidden part
 * @set_seg: load one; the emulator has checked the descriptor
 * @get_cr: control register 0, 2, 3, 4 or 8
 * @set_cr: makes the architecture's checks on the value itself
 * @get_dr: debug register
 * @set_dr: debug register
 * @get_xcr0: extended control register 0; no AVX without it
 * @get_dtable: GDTR, or IDTR
 * @set_dtable: GDTR, or IDTR
 * @get_sys_seg: LDTR, or TR
 * @set_sys_seg: LDTR, or TR
 * @may_load_tr: LTR will not fault any more, and has changed nothing: *@may becomes false
 *	when TR is to stay as it is; EMUL_PENDING: not known yet. NULL: TR is loaded
 * @unblock_nmi: IRET has ended blocking of NMIs, though it may have raised an
 *	exception
 * @invlpg: flush one page
 * @get_vec: XMM (16 bytes) or YMM (32) register
 * @set_vec: the same; what is above @bytes becomes 0 with @zero_upper, and
 *	stays without
 * @get_mmx: MMX register
 * @set_mmx: MMX register
 * @set_x87: x87 state
 * @x87_stored: what FNSTENV does behind its store, which masks all exceptions;
 *	with @init what FNSAVE does, which initializes the FPU
 * @load_x87: FLDENV, or with @regs FRSTOR: @image is the environment in the 32-bit
 *	format of protected mode, and with @regs 8 registers of 10 bytes behind it
 * @save_state: an image of EMUL_SAVE_BYTES, good until the next call: what that
 *	instruction stores in 64-bit mode, with REX.W if @wide, to memory whose
 *	XSAVE header is 0. @mask is RFBM. Asked for once per instruction.
 *	NULL: it cannot be had
 * @get_component: a component that @save_state has stored, 2 to 62
 * @clear_opmask: an opmask register, 0 to 7, becomes 0
 */
struct emul_ops {
	int (*read)(struct emul_ctxt *c, u64 la, void *buf, unsigned int bytes,
		    unsigned int flags);
	int (*write)(struct emul_ctxt *c, u64 la, const void *buf,
		     unsigned int bytes, unsigned int flags);
	int (*cmpxchg)(struct emul_ctxt *c, u64 la, void *old, const void *new,
		       unsigned int bytes, unsigned int flags);
	int (*probe)(struct emul_ctxt *c, u64 la, unsigned int bytes,
		     unsigned int flags);

	int (*get_seg)(struct emul_ctxt *c, enum insn_seg seg,
		       struct emul_seg *s);
	int (*get_cr)(struct emul_ctxt *c, unsigned int nr, u64 *val);

	int (*set_seg)(struct emul_ctxt *c, enum insn_seg seg,
		       const struct emul_seg *s);
	int (*set_cr)(struct emul_ctxt *c, unsigned int nr, u64 val);
	int (*get_dr)(struct emul_ctxt *c, unsigned int nr, u64 *val);
	int (*set_dr)(struct emul_ctxt *c, unsigned int nr, u64 val);
	int (*get_xcr0)(struct emul_ctxt *c, u64 *val);
	int (*get_dtable)(struct emul_ctxt *c, bool idt, struct emul_dtable *t);
	int (*set_dtable)(struct emul_ctxt *c, bool idt,
			  const struct emul_dtable *t);
	int (*get_sys_seg)(struct emul_ctxt *c, bool tr, struct emul_seg *s);
	int (*set_sys_seg)(struct emul_ctxt *c, bool tr,
			   const struct emul_seg *s);
	int (*may_load_tr)(struct emul_ctxt *c, const struct emul_seg *s,
			   bool *may);
	void (*unblock_nmi)(struct emul_ctxt *c);
	int (*invlpg)(struct emul_ctxt *c, u64 la);

	int (*get_vec)(struct emul_ctxt *c, unsigned int reg, void *buf,
		       unsigned int bytes);
	int (*set_vec)(struct emul_ctxt *c, unsigned int reg, const void *buf,
		       unsigned int bytes, bool zero_upper);
	int (*get_mmx)(struct emul_ctxt *c, unsigned int reg, u64 *val);
	int (*set_mmx)(struct emul_ctxt *c, unsigned int reg, u64 val);

	int (*set_x87)(struct emul_ctxt *c, const struct emul_x87 *state);
	int (*x87_stored)(struct emul_ctxt *c, bool init);
	int (*load_x87)(struct emul_ctxt *c, const u8 *image, bool regs);

	const u8 *(*save_state)(struct emul_ctxt *c, enum emul_save how,
				bool wide, u64 mask);
	int (*get_component)(struct emul_ctxt *c, unsigned int nr,
			     struct emul_component *comp);
	int (*clear_opmask)(struct emul_ctxt *c, unsigned int reg);
};

/**
 * vigil_emul_begin() - forget what the last instruction has read and wanted
 * @c: context
 */
static inline void vigil_emul_begin(struct emul_ctxt *c)
{
	c->log_used = 0;
	c->log_bytes = 0;
	c->image = NULL;
	/* A task switch fills in the rest. */
	c->task.stage = EMUL_TASK_NONE;
	c->task.event = false;
	c->task.external = false;
	c->task.has_ec = false;
	c->pending.type = EMUL_XACT_NONE;
	memset(&c->exception, 0, sizeof(c->exception));
}

/**
 * vigil_emulate() - run c->insn
 * @c: context
 * @ops: what it may use
 *
 * One instruction; for a REP, at most c->rep_budget iterations, each committed
 * on its own.  A caller that gets EMUL_OK with c->more may call again at once
 * (after looking for interrupts), or let the guest run.
 *
 * A task switch is committed twice.  With EMUL_TASK_LOAD and c->more the guest is
 * in its new task without segments: it must not run before another call.  That
 * call's EMUL_FAULT is one of the new task, and after EMUL_RESTART it is made again.
 *
 * Return: enum emul_status.
 */
int vigil_emulate(struct emul_ctxt *c, const struct emul_ops *ops);

/**
 * vigil_emul_pv_iret() - make the next vigil_emulate() return as the hypercall iret
 * @c: as vigil_emul_begin() left it, with the guest's state
 * @bytes: of a word on the stack: 4 or 8
 * @cs: code segment of the callback that gets a return which the CPU refuses; 0: the
 *	exception is the guest's
 * @ip: its address
 * @masks: RFLAGS.IF is clear in it
 */
void vigil_emul_pv_iret(struct emul_ctxt *c, unsigned int bytes, u16 cs, u64 ip,
			bool masks);

/**
 * vigil_emul_deliver() - make the next vigil_emulate() deliver an event
 * @c: context, after vigil_emul_begin()
 * @ev: the event
 *
 * RIP is what the frame has, and RFLAGS but for RF too.
 */
void vigil_emul_deliver(struct emul_ctxt *c, const struct emul_event *ev);

/**
 * vigil_emul_event() - the same for an event that a task gate leads to a task
 * @c: context, after vigil_emul_begin()
 * @sel: the TSS that the task gate of the event names
 * @ev: the event, whose vector does not matter
 */
void vigil_emul_event(struct emul_ctxt *c, u16 sel,
		      const struct emul_event *ev);

/**
 * vigil_emul_int_enters() - is c->insn an INT n that would switch to this task?
 * @c: context, decoded
 * @ops: what it may use
 * @sel: of the TSS
 */
bool vigil_emul_int_enters(struct emul_ctxt *c, const struct emul_ops *ops,
			   u16 sel);

/**
 * vigil_emul_complete() - the answer to c->pending
 * @c: context
 * @data: for a READ, what was read; for a CMPXCHG, what memory held (NULL: what
 *	was expected, so it was exchanged, or denied); unused otherwise
 *
 * Return: EMUL_OK, or EMUL_UNHANDLED when nothing is pending.
 */
int vigil_emul_complete(struct emul_ctxt *c, const void *data);

/**
 * vigil_emul_linear() - segmentation: from an offset to a checked address
 * @c: context with mode, cpl, protected_mode, rflags, va_bits and ops
 * @seg: segment register
 * @ea: offset, already truncated to the address size
 * @bytes: size of the access, 0 is taken as 1
 * @write: the access stores
 * @la: result
 *
 * The core uses it for string I/O, too.
 *
 * Return: EMUL_OK, or EMUL_FAULT with c->exception filled in.
 */
int vigil_emul_linear(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
		      unsigned int bytes, bool write, u64 *la);

#endif /* VIGIL_VMM_EMULATE_H */

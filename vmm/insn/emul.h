/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the emulator's own files share.
 */
#ifndef VIGIL_VMM_EMUL_H
#define VIGIL_VMM_EMUL_H

#include "vmm/arch.h"
#include "vmm/types.h"
#include "emulate.h"

/* The flags that arithmetic instructions set. */
#define ARITH_FLAGS                                                      \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
	 X86_EFLAGS_SF | X86_EFLAGS_OF)

/* State components by their bit number in XCR0. */
#define COMP_X87 BIT_ULL(0)
#define COMP_SSE BIT_ULL(1)
#define NR_AVX 2
#define NR_OPMASK 5
#define NR_ZMM_HI256 6
#define NR_HI16_ZMM 7
#define COMP_AVX BIT_ULL(NR_AVX)

/* Offsets in an FXSAVE or XSAVE image, the same in both formats. */
#define AT_FCW 0
#define AT_FSW 2
#define AT_FTW 4 /* a bit for each register that is not empty */
#define AT_ST 32
#define AT_XMM 160

#define EMUL_PAGE_SIZE 4096u

/*
 * How often a LOCKed read-modify-write is tried while other CPUs change its memory;
 * then the guest runs the instruction again.
 */
#define EMUL_LOCK_RETRIES 8

typedef int (*emul_fn)(struct emul_ctxt *c);

/* Returns the new value that follows from @old, and sets the flags in c->w.rflags. */
typedef u64 (*emul_rmw_fn)(struct emul_ctxt *c, u64 old, u64 src);

static inline bool emul_vm86(const struct emul_ctxt *c)
{
	return c->w.rflags & X86_EFLAGS_VM;
}

/* Protected mode without VM86: descriptors, privilege levels and type checks count. */
static inline bool emul_protected(const struct emul_ctxt *c)
{
	return c->protected_mode && !emul_vm86(c);
}

static inline bool emul_long(const struct emul_ctxt *c)
{
	return c->mode == INSN_MODE_64;
}

static inline unsigned int emul_iopl(const struct emul_ctxt *c)
{
	return (c->w.rflags & X86_EFLAGS_IOPL) >> X86_EFLAGS_IOPL_BIT;
}

/* The size in bytes of the destination. */
static inline unsigned int emul_size0(const struct emul_ctxt *c)
{
	return c->insn.opd[0].size;
}

static inline u64 emul_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ULL : (1ULL << (8 * bytes)) - 1;
}

static inline u64 emul_sign(unsigned int bytes)
{
	return 1ULL << (8 * bytes - 1);
}

static inline u64 emul_sext(u64 v, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (u64)((s64)(v << shift) >> shift);
}

/* Linear addresses have 64 bits in 64-bit mode only. */
static inline u64 emul_wrap(const struct emul_ctxt *c, u64 la)
{
	return emul_long(c) ? la : (u32)la;
}

/* The bytes of the offset of a far pointer in memory. */
static inline unsigned int emul_far_offset(const struct emul_ctxt *c)
{
	if (c->insn.opsize == 8 && !(c->features & EMUL_FEAT_FAR64))
		return 4;
	return c->insn.opsize;
}

/* Each raises an exception and returns EMUL_FAULT. */
int emul_raise(struct emul_ctxt *c, u8 vector, u32 error_code);
int emul_ud(struct emul_ctxt *c);
int emul_gp(struct emul_ctxt *c, u32 error_code);

/* General registers in c->w, which are committed when the instruction has ended. */
u64 emul_get_reg(const struct emul_ctxt *c, unsigned int reg,
		 unsigned int bytes);
void emul_set_reg(struct emul_ctxt *c, unsigned int reg, unsigned int bytes,
		  u64 val);

/* memory */
bool emul_canonical(const struct emul_ctxt *c, u64 la);
bool emul_within_limit(const struct emul_seg *s, u64 ea, unsigned int bytes);
u64 emul_ea(const struct emul_ctxt *c);
int emul_linear(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
		unsigned int bytes, bool write, u64 *la);
int emul_read(struct emul_ctxt *c, enum insn_seg seg, u64 ea, void *buf,
	      unsigned int bytes, unsigned int flags);
int emul_write(struct emul_ctxt *c, enum insn_seg seg, u64 ea, const void *buf,
	       unsigned int bytes, unsigned int flags);
int emul_probe(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
	       unsigned int bytes, unsigned int flags);
int emul_read_linear(struct emul_ctxt *c, u64 la, void *buf, unsigned int bytes,
		     unsigned int flags);
int emul_write_linear(struct emul_ctxt *c, u64 la, const void *buf,
		      unsigned int bytes, unsigned int flags);
int emul_probe_linear(struct emul_ctxt *c, u64 la, unsigned int bytes,
		      unsigned int flags);
int emul_cmpxchg_linear(struct emul_ctxt *c, u64 la, void *old, const void *new,
			unsigned int bytes, unsigned int flags);
static inline void emul_log_reset(struct emul_ctxt *c)
{
	c->log_used = 0;
	c->log_pos = 0;
	c->log_bytes = 0;
}

/* Operands of up to 8 bytes, and the read-modify-write of operand 0. */
int emul_get(struct emul_ctxt *c, unsigned int i, u64 *val);
int emul_put(struct emul_ctxt *c, unsigned int i, u64 val);
int emul_rmw(struct emul_ctxt *c, emul_rmw_fn fn, u64 src, u64 *old);
int emul_rmw_at(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
		unsigned int bytes, emul_rmw_fn fn, u64 src, u64 *old);

/* arithmetic flags */
void emul_set_flags(struct emul_ctxt *c, u64 mask, u64 val);
u64 emul_flags_szp(u64 res, unsigned int bytes);
u64 emul_add(struct emul_ctxt *c, u64 a, u64 b, u64 carry, unsigned int bytes);
u64 emul_sub(struct emul_ctxt *c, u64 a, u64 b, u64 borrow, unsigned int bytes);
void emul_mul(u64 a, u64 b, u64 *lo, u64 *hi);
bool emul_condition(const struct emul_ctxt *c, unsigned int cc);

/* control flow and segments */
int emul_branch(struct emul_ctxt *c, u64 target);
u64 emul_next_rip(const struct emul_ctxt *c);
int emul_load_seg(struct emul_ctxt *c, enum insn_seg seg, u16 sel);

/* the stack */
int emul_push(struct emul_ctxt *c, u64 val, unsigned int bytes);
int emul_pop(struct emul_ctxt *c, u64 *val, unsigned int bytes);
int emul_probe_push(struct emul_ctxt *c, unsigned int count,
		    unsigned int bytes);
int emul_release(struct emul_ctxt *c, unsigned int bytes);

/* selectors and descriptors: seg.c */
#define SEL_TI BIT(2)
#define SEL_RPL 3

static inline unsigned int emul_dpl(const struct emul_seg *s)
{
	return (s->attr >> EMUL_SEG_DPL_SHIFT) & 3;
}

static inline u32 emul_without_rpl(u16 sel)
{
	return sel & ~SEL_RPL;
}

/* Reads a descriptor to @desc and unpacks it to @s; @la is its linear address. */
int emul_read_descriptor(struct emul_ctxt *c, u16 sel, u64 *la, u64 *desc,
			 struct emul_seg *s);
/*
 * In long mode a system descriptor has 16 bytes: reads the 8 behind those at @la. #GP
 * if they have a type.
 */
int emul_read_upper(struct emul_ctxt *c, u16 sel, u64 la, u64 *upper);
/* Sets the accessed bit in the table and in @s, unless it is set. */
int emul_mark_accessed(struct emul_ctxt *c, u64 la, u64 desc,
		       struct emul_seg *s);
int emul_check_stack_segment(struct emul_ctxt *c, const struct emul_seg *s,
			     unsigned int cpl);
int emul_check_data_segment(struct emul_ctxt *c, const struct emul_seg *s);
/* In VM86 a segment has its selector for a base, 64K, and DPL 3. */
int emul_load_vm86_seg(struct emul_ctxt *c, enum insn_seg seg, u16 sel);

/*
 * JMP, or with @call CALL, to @sel, whose descriptor @s is none of code or data: @desc,
 * at @la.
 */
int emul_far_gate(struct emul_ctxt *c, u16 sel, u64 la, u64 desc,
		  const struct emul_seg *s, bool call);
/* Checks the target against the limit of the new code segment, and goes there. */
int emul_far_target(struct emul_ctxt *c, const struct emul_seg *s, u64 rip);

/* Delivers the event of c->task: int.c. */
int emul_deliver(struct emul_ctxt *c);

/* task switches: task.c */

/* What has a selector of a TSS. GATE: an interrupt through a task gate. */
enum emul_task_from {
	EMUL_TASK_CALL,
	EMUL_TASK_JMP,
	EMUL_TASK_IRET,
	EMUL_TASK_GATE,
};

/* The first half of a switch. The caller has checked the DPL, if one counts. */
int emul_switch_task(struct emul_ctxt *c, u16 sel, enum emul_task_from from);
/* The second half, of a call of vigil_emulate() of its own. */
int emul_load_task(struct emul_ctxt *c);

/* vectors */

/* Raises #UD or #NM unless VEX and EVEX may use @components of XCR0. */
int emul_check_vex(struct emul_ctxt *c, u64 components);
/*
 * Stores those elements of @data that have a 1 in @select, @bytes each. All of them
 * are probed first, so either all or none are stored.
 */
int emul_store_selected(struct emul_ctxt *c, u64 ea, const u8 *data, u64 select,
			unsigned int elements, unsigned int bytes);
/*
 * Fills c->image once per instruction: a replay after EMUL_PENDING must store the
 * same bytes as the first attempt.
 */
int emul_get_image(struct emul_ctxt *c, enum emul_save how, u64 mask);

/* state of the FPU */

/* Raises #NM if CR0.EM or CR0.TS is set. */
int emul_check_fpu(struct emul_ctxt *c);
/*
 * Begins an x87 instruction that waits for exceptions: checks CR0, fetches c->image
 * in the format of FXSAVE, and raises #MF for an exception that is pending there.
 */
int emul_x87_image(struct emul_ctxt *c);
/*
 * Probes the first and the last byte of a store of less than a page, so that a fault
 * stores nothing at all.
 */
int emul_probe_block(struct emul_ctxt *c, u64 la, unsigned int bytes);
/* Stores pieces of up to EMUL_MAX_ACCESS bytes. A monitor may deny each. */
int emul_write_block(struct emul_ctxt *c, u64 la, const u8 *data,
		     unsigned int bytes);

/* The handlers, in the order of the files that define them. */
/* clang-format off */
#define EMUL_HANDLERS(X)                                                   \
	/* alu.c, muldiv.c */                                    \
	X(ADD, alu) X(OR, alu) X(ADC, alu) X(SBB, alu) X(AND, alu)         \
	X(SUB, alu) X(XOR, alu) X(CMP, compare) X(TEST, compare)           \
	X(NOT, unary) X(NEG, unary) X(INC, unary) X(DEC, unary)            \
	X(ADCX, add_flag) X(ADOX, add_flag) X(MUL, mul) X(IMUL1, mul)      \
	X(DIV, div) X(IDIV, idiv) X(IMUL, imul) X(CBW, cbw) X(CWD, cwd)    \
	X(DAA, decimal) X(DAS, decimal) X(AAA, ascii) X(AAS, ascii)        \
	X(AAM, aam) X(AAD, aad)                                            \
	/* bits.c */                                                  \
	X(ROL, shift) X(ROR, shift) X(RCL, shift) X(RCR, shift)            \
	X(SHL, shift) X(SHR, shift) X(SAL, shift) X(SAR, shift)            \
	X(SHLD, shld) X(SHRD, shld) X(BT, bt) X(BTS, bt) X(BTR, bt)        \
	X(BTC, bt) X(BSF, bsf) X(BSR, bsf) X(TZCNT, tzcnt)                 \
	X(LZCNT, lzcnt) X(POPCNT, popcnt) X(BSWAP, bswap) X(ANDN, andn)    \
	X(BLSR, bls) X(BLSMSK, bls) X(BLSI, bls) X(BEXTR, bextr)           \
	X(BZHI, bzhi) X(SHLX, shiftx) X(SHRX, shiftx) X(SARX, shiftx)      \
	X(RORX, rorx) X(MULX, mulx) X(PDEP, pdep) X(PEXT, pext)            \
	X(CRC32, crc32)                                                    \
	/* mov.c */                                                   \
	X(MOV, mov) X(MOVZX, mov) X(MOVSX, movsx) X(MOVBE, movbe)          \
	X(MOVNTI, mov) X(MOVDIRI, mov) X(XCHG, xchg) X(XADD, xadd)         \
	X(CMPXCHG, cmpxchg) X(CMPXCHG8B, cmpxchg8b) X(LEA, lea)            \
	X(CMOVCC, cmov) X(SETCC, setcc) X(LAHF, lahf) X(SAHF, sahf)        \
	X(XLAT, xlat) X(SALC, salc) X(MOV_FROM_SEG, mov_from_seg)          \
	X(MOV_TO_SEG, mov_to_seg) X(LDS, lds)                              \
	X(NOP, nop) X(PAUSE, nop) X(FENCE, nop)  \
	X(PREFETCH, nop) X(CLFLUSH, clflush)                               \
	/* string.c */                                                \
	X(MOVS, string) X(CMPS, string) X(STOS, string)     \
	X(LODS, string) X(SCAS, string)                          \
	/* stack.c */                                                 \
	X(PUSH, push) X(POP, pop) X(PUSHA, pusha) X(POPA, popa)      \
	X(PUSHF, pushf) X(POPF, popf) X(PUSH_SEG, push_seg)                \
	X(POP_SEG, pop_seg) X(ENTER, enter) X(LEAVE, leave) X(CALL, call)  \
	X(JMP, jmp) X(RET, ret) X(JCC, jcc) X(JCXZ, jcxz) X(LOOP, loop)    \
	X(CLC, flag_op) X(STC, flag_op) X(CMC, flag_op) X(CLD, flag_op)    \
	X(STD, flag_op) X(CLI, cli) X(STI, sti)                            \
	/* seg.c */                                                    \
	X(LLDT, lldt) X(LTR, lldt)                                         \
	/* far.c */                                                    \
	X(JMP_FAR, far) X(CALL_FAR, far) X(RET_FAR, retf) X(IRET, iret)    \
	X(PV_IRET, pv_iret)                                                \
	/* int.c */                                                   \
	X(INT, int) X(INT3, int) X(INTO, int) X(INT1, int)                 \
	X(SYSCALL, int) X(SYSENTER, int)                                   \
	/* sys.c */                                                   \
	X(SGDT, sgdt) X(SIDT, sgdt) X(LGDT, lgdt) X(LIDT, lgdt)            \
	X(SLDT, sldt) X(STR, sldt) X(SMSW, smsw) X(LMSW, lmsw)             \
	X(CLTS, clts) X(INVLPG, invlpg) X(MOV_FROM_CR, mov_from_cr)        \
	X(MOV_TO_CR, mov_to_cr) X(MOV_FROM_DR, mov_from_dr)                \
	X(MOV_TO_DR, mov_to_dr)                                            \
	/* vec.c */                                                   \
	X(VMOV, vmov) X(VMOVS, vmovs) X(VMOVLOW, vmovlow)                  \
	X(VMOVHIGH, vmovhigh) X(VMOVD, vmovd) X(VMOVQ, vmovq)              \
	X(MOVD_MMX, movd_mmx) X(MOVQ_MMX, movq_mmx)                        \
	X(VEXTRACT, vextract) X(MASKMOV, maskmov) X(VMASKMOV, vmaskmov)    \
	/* evex.c */                                                  \
	X(VSTORE, vstore) X(VNARROW, vnarrow) X(VCOMPRESS, vcompress)      \
	X(VSCATTER, vscatter) X(KSTORE, kstore)                            \
	/* fpu.c */                                                   \
	X(FNSTCW, fnstcw) X(FNSTSW, fnstcw) X(STMXCSR, stmxcsr)            \
	X(FXSAVE, fxsave) X(XSAVE, xsave)                                  \
	/* x87.c */                                                   \
	X(FST, fst)                                                        \
	/* x87env.c */                                                \
	X(FNSTENV, fnsave) X(FNSAVE, fnsave) X(FLDENV, frstor)             \
	X(FRSTOR, frstor)
/* clang-format on */

#define X(op, fn) int emul_op_##fn(struct emul_ctxt *c);
EMUL_HANDLERS(X)
#undef X

#endif /* VIGIL_VMM_EMUL_H */

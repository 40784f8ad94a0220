/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The x86 instruction decoder: table-driven, pure, bounded (it never looks
 * beyond 15 bytes).
 *
 * vigil_decode() fills a struct insn with everything that the emulator needs.
 * vigil_decode_layout() stops when the length and the operation are known; that
 * is all that an intercepted CPUID, VMMCALL, INT n or MOV CR wants on a CPU
 * that reports no next-RIP.
 */
#ifndef VIGIL_VMM_DECODE_H
#define VIGIL_VMM_DECODE_H

#include "vmm/pure.h"

#define INSN_MAX_LEN 15

/* The default operand and address size of the code segment, in bits. */
enum insn_mode {
	INSN_MODE_16 = 16, /* real mode, VM86, 16-bit protected mode */
	INSN_MODE_32 = 32, /* 32-bit protected mode, compatibility mode */
	INSN_MODE_64 = 64,
};

/* What the decoder answers. */
enum insn_status {
	INSN_OK = 0,
	INSN_NEED_MORE = -1, /* the bytes end before the instruction does */
	INSN_UNKNOWN = -2, /* not in the tables; the CPU may well know it */
	INSN_TOO_LONG = -3, /* more than 15 bytes: #GP(0) on hardware */
};

/* Segment registers, by their hardware number. */
enum insn_seg {
	INSN_SEG_ES,
	INSN_SEG_CS,
	INSN_SEG_SS,
	INSN_SEG_DS,
	INSN_SEG_FS,
	INSN_SEG_GS,
	INSN_SEG_NONE = 0xff,
};

/* General registers, by their hardware number: the index into emul_ctxt.regs.
 */
enum insn_gpr {
	INSN_RAX,
	INSN_RCX,
	INSN_RDX,
	INSN_RBX,
	INSN_RSP,
	INSN_RBP,
	INSN_RSI,
	INSN_RDI,
	INSN_REG_NONE = 0xff,
};

/* insn.prefix */
#define INSN_PFX_LOCK BIT(0)
#define INSN_PFX_REPNE BIT(1) /* F2, the last of F2 and F3 wins */
#define INSN_PFX_REP BIT(2) /* F3 */
#define INSN_PFX_OPSIZE BIT(3) /* 66 */
#define INSN_PFX_ADSIZE BIT(4) /* 67 */
#define INSN_PFX_SEG \
	BIT(5) /* a segment override that counts, see insn.seg_override */
#define INSN_PFX_REX BIT(6)
#define INSN_PFX_VEX BIT(7) /* or EVEX */

/* insn.map: the opcode maps */
enum insn_map {
	INSN_MAP_1B, /* one-byte opcodes */
	INSN_MAP_0F,
	INSN_MAP_0F38,
	INSN_MAP_0F3A,
};

/*
 * Every operation that has a name of its own; generated lists use the same
 * X-macro for names.
 */
/* clang-format off */
#define INSN_OPS(X) \
	X(NONE) \
	/* arithmetic, in the order of modrm.reg of opcodes 80-83 */ \
	X(ADD) X(OR) X(ADC) X(SBB) X(AND) X(SUB) X(XOR) X(CMP) X(TEST) X(NOT) \
	X(NEG) X(INC) X(DEC) \
	/* shifts, in the order of modrm.reg of opcodes C0, C1, D0-D3 */ \
	X(ROL) X(ROR) X(RCL) X(RCR) X(SHL) X(SHR) X(SAL) X(SAR) X(SHLD) \
	X(SHRD) X(MUL) X(IMUL1) X(DIV) X(IDIV) X(IMUL) X(BT) X(BTS) X(BTR) \
	X(BTC) X(BSF) X(BSR) X(TZCNT) X(LZCNT) X(POPCNT) X(BSWAP) X(DAA) \
	X(DAS) X(AAA) X(AAS) X(AAM) X(AAD) X(SALC) X(XLAT) \
	/* BMI, ADX */ \
	X(ANDN) X(BLSR) X(BLSMSK) X(BLSI) X(BEXTR) X(BZHI) X(SHLX) X(SHRX) \
	X(SARX) X(RORX) X(MULX) X(PDEP) X(PEXT) X(ADCX) X(ADOX) X(CRC32) \
	/* moves */ \
	X(MOV) X(MOVZX) X(MOVSX) X(MOVBE) X(MOVNTI) X(MOVDIRI) X(XCHG) X(XADD) \
	X(CMPXCHG) X(CMPXCHG8B) X(LEA) X(CMOVCC) X(SETCC) X(CBW) X(CWD) \
	X(LAHF) X(SAHF) \
	/* strings */ \
	X(MOVS) X(CMPS) X(STOS) X(LODS) X(SCAS) X(INS) X(OUTS) \
	/* stack and control flow */ \
	X(PUSH) X(POP) X(PUSHA) X(POPA) X(PUSHF) X(POPF) X(PUSH_SEG) \
	X(POP_SEG) X(ENTER) X(LEAVE) X(CALL) X(JMP) X(RET) X(JCC) X(JCXZ) \
	X(LOOP) X(CALL_FAR) X(JMP_FAR) X(RET_FAR) X(IRET) X(INT) X(INT3) \
	X(INTO) X(INT1) X(BOUND) X(ARPL) X(SYSCALL) X(SYSRET) X(SYSENTER) \
	X(SYSEXIT) \
	/* flags and hints */ \
	X(CLC) X(STC) X(CMC) X(CLD) X(STD) X(CLI) X(STI) X(NOP) X(PAUSE) \
	X(FENCE) X(PREFETCH) X(CLFLUSH) X(CLAC) X(STAC) X(UD) \
	/* segments, descriptor tables, system */ \
	X(MOV_FROM_SEG) X(MOV_TO_SEG) X(LDS) X(SGDT) X(SIDT) X(LGDT) X(LIDT) \
	X(SLDT) X(STR) X(LLDT) X(LTR) X(VERR) X(VERW) X(LAR) X(LSL) X(SMSW) \
	X(LMSW) X(CLTS) X(INVLPG) X(INVPCID) X(INVD) X(WBINVD) X(HLT) \
	X(MOV_FROM_CR) X(MOV_TO_CR) X(MOV_FROM_DR) X(MOV_TO_DR) X(CPUID) \
	X(RDMSR) X(WRMSR) X(RDTSC) X(RDTSCP) X(RDPMC) X(RDPID) X(RDRAND) \
	X(RDSEED) X(RSM) X(SWAPGS) X(MONITOR) X(MWAIT) X(XGETBV) X(XSETBV) \
	X(RDFSBASE) X(RDGSBASE) X(WRFSBASE) X(WRGSBASE) X(IN) X(OUT) X(FXSAVE) \
	X(FXRSTOR) X(XSAVE) X(XRSTOR) X(LDMXCSR) X(STMXCSR) X(FNSTCW) \
	X(FNSTSW) X(FST) X(FNSTENV) X(FNSAVE) X(FLDENV) X(FRSTOR) X(FWAIT) \
	/* virtualization */ \
	X(VMRUN) X(VMMCALL) X(VMLOAD) X(VMSAVE) X(STGI) X(CLGI) X(SKINIT) \
	X(INVLPGA) X(VMCALL) X(VMLAUNCH) X(VMRESUME) X(VMXOFF) X(VMXON) \
	X(VMCLEAR) X(VMPTRLD) X(VMPTRST) X(VMREAD) X(VMWRITE) X(INVEPT) \
	X(INVVPID) X(VMFUNC) \
	/* no instruction, but the hypercall that returns like one */ \
	X(PV_IRET) \
	/* vector loads and stores */ \
	X(VMOV) X(VMOVS) X(VMOVLOW) X(VMOVHIGH) X(VMOVD) X(VMOVQ) \
	X(MOVD_MMX) X(MOVQ_MMX) X(VEXTRACT) X(MASKMOV) \
	X(VMASKMOV) X(VSTORE) X(VNARROW) X(VCOMPRESS) X(VSCATTER) X(KSTORE) \
	/* known by length only: everything else of x87, MMX, SSE and AVX */ \
	X(X87) X(VECTOR)
/* clang-format on */

enum insn_op {
#define X(name) INSN_OP_##name,
	INSN_OPS(X)
#undef X
		INSN_OP_COUNT
};

/*
 * insn.flags.  Most come from the table row.
 *
 * LOCKABLE: LOCK is allowed when the destination is memory.
 * D64: operand size is 64 bits in 64-bit mode (16 with 66).
 * F64: the same for near branches, where 66 counts with vigil_insn_near16 only.
 * NO64, ONLY64: #UD in, or outside of, 64-bit mode.
 * STRING: REP and REPNE repeat it.
 * SYSTEM: privileged, or touches system state; usually intercepted.
 * IO: IN, OUT, INS, OUTS.  The core does them, the decoder only describes.
 * READ_ONLY: operand 0 is read and not written (CMP, TEST, BT, PUSH ...);
 * WRITE_ONLY: it is written and not read (MOV, SETcc ...).
 * ALIGNED: a memory operand must be aligned to its size, else #GP(0).
 * VECTOR: needs the FPU, SSE or AVX state.
 * LENGTH_ONLY: the emulator does not run it.
 * PRIVILEGED: #GP(0) above the level of the kernel, emul_ctxt.kernel_ring.
 * FORCE_MOD3: modrm.mod is ignored and taken as 3 (MOV CR, MOV DR).
 * BYTE: the operand size is one byte.
 * BAD_LOCK: set by the decoder for a LOCK where it may not be (#UD);
 * BAD_FORM: for a form that is #UD by definition;
 * PLAIN_STORE: for a MOV of a general register, or of an immediate, to memory, which
 * no CPU refuses. Registers 4 to 7 of a byte are not AH, CH, DH and BH.
 */
#define INSN_MODRM BIT(0)
#define INSN_LOCKABLE BIT(1)
#define INSN_D64 BIT(2)
#define INSN_F64 BIT(3)
#define INSN_NO64 BIT(4)
#define INSN_STRING BIT(6)
#define INSN_SYSTEM BIT(7)
#define INSN_IO BIT(8)
#define INSN_BRANCH BIT(9)
#define INSN_READ_ONLY BIT(10)
#define INSN_WRITE_ONLY BIT(11)
#define INSN_ALIGNED BIT(12)
#define INSN_VECTOR BIT(13)
#define INSN_LENGTH_ONLY BIT(14)
#define INSN_PRIVILEGED BIT(15)
#define INSN_FORCE_MOD3 BIT(16)
#define INSN_BYTE BIT(17)
#define INSN_BAD_LOCK BIT(18)
#define INSN_BAD_FORM BIT(19)
#define INSN_PLAIN_STORE BIT(20)

/* What an operand is, after decoding. */
enum insn_opd_kind {
	INSN_OPD_NONE,
	INSN_OPD_REG, /* general register reg */
	INSN_OPD_REG_HIGH, /* AH, CH, DH, BH: bits 15:8 of register reg (0-3) */
	INSN_OPD_MEM, /* memory at insn.seg : vigil_insn_ea() */
	INSN_OPD_IMM, /* insn.imm, extended to 64 bits as the instruction wants it */
	INSN_OPD_IMM2, /* insn.imm2 */
	INSN_OPD_REL, /* a branch distance in insn.imm */
	INSN_OPD_SEG, /* segment register reg */
	INSN_OPD_CR,
	INSN_OPD_DR,
	INSN_OPD_VEC, /* XMM, YMM or ZMM register reg, size tells which */
	INSN_OPD_MMX,
	INSN_OPD_ONE, /* the constant 1 of D0, D1 */
};

struct insn_opd {
	u8 kind; /* enum insn_opd_kind */
	u8 reg;
	/* bytes: 1 to 64; 6 or 10: descriptor tables; 0: only an address */
	u8 size;
};

/**
 * struct insn - one decoded instruction
 * @bytes: the instruction
 * @len: of it, 1 to 15; 0 where the decoder has failed
 * @mode: enum insn_mode
 * @prefix: INSN_PFX_*
 * @seg_override: enum insn_seg; INSN_SEG_NONE without INSN_PFX_SEG
 * @rex: low four bits W R X B, of REX, VEX or EVEX
 * @map: enum insn_map
 * @opcode: the last opcode byte
 * @modrm: with INSN_MODRM
 * @sib: where @modrm asks for one
 * @vex_l: 1: 256 bits, 2: 512 bits
 * @vex_v: the extra register, already inverted
 * @vex_pp: mandatory prefix, also of legacy SSE: 0 none, 1 66, 2 F3, 3 F2
 * @evex: EVEX-encoded
 * @evex_r: the vector register in modrm.reg is one of 16 to 31
 * @evex_v: the vector register in sib.index is one of 16 to 31
 * @evex_k: the opmask register; 0: all elements
 * @opsize: 1 (byte forms), 2, 4 or 8 bytes
 * @adsize: 2, 4 or 8 bytes
 * @op: enum insn_op
 * @flags: INSN_MODRM and the others
 * @seg: of the memory operand, default included; of the source for MOVS, CMPS, LODS, OUTS
 * @base: register of the memory operand, or INSN_REG_NONE
 * @index: register of the memory operand, or INSN_REG_NONE
 * @scale: shift of @index: 0 to 3
 * @rip_rel: the memory operand is relative to the next instruction
 * @has_mem: there is a memory operand
 * @disp: sign-extended displacement, or the moffs address
 * @imm: the immediate
 * @imm2: ENTER's level, or the selector of a far pointer
 * @opd: operands; 0 is the destination, where there is one
 *
 * Fields up to @flags are set by vigil_decode_layout(), the others by
 * vigil_decode() only.
 */
struct insn {
	u8 bytes[INSN_MAX_LEN];
	u8 len;
	u8 mode;
	u8 prefix;
	u8 seg_override;
	u8 rex;
	u8 map;
	u8 opcode;
	u8 modrm;
	u8 sib;
	u8 vex_l;
	u8 vex_v;
	u8 vex_pp;
	bool evex;
	bool evex_r;
	bool evex_v;
	u8 evex_k;
	u8 opsize;
	u8 adsize;
	u16 op;
	u32 flags;

	u8 seg;
	u8 base;
	u8 index;
	u8 scale;
	bool rip_rel;
	bool has_mem;
	u64 disp;
	u64 imm;
	u64 imm2;
	struct insn_opd opd[3];
};

/*
 * In 64-bit mode, 66 gives a near branch an operand size of 16 bits, as on AMD's CPUs:
 * IP has 16 bits, and so have a distance and what goes to the stack or comes from it.
 * On Intel's CPUs the prefix does nothing. Set before anything is decoded.
 */
extern bool vigil_insn_near16;

/**
 * vigil_decode_layout() - prefixes, operation and length, without the operands
 * @insn: filled in up to @flags
 * @bytes: the instruction stream
 * @nbytes: how much of it there is; more than 15 is fine
 * @mode: default sizes of the code segment
 *
 * Return: INSN_OK, or a negative enum insn_status.
 */
int vigil_decode_layout(struct insn *insn, const u8 *bytes, unsigned int nbytes,
			enum insn_mode mode);

/**
 * vigil_decode() - decode one instruction completely
 * @insn: result
 * @bytes: the instruction stream
 * @nbytes: how much of it there is; more than 15 is fine
 * @mode: default sizes of the code segment
 *
 * A form that any CPU refuses (LOCK on a MOV, a register where only memory may
 * be) decodes with INSN_BAD_LOCK or INSN_BAD_FORM in flags; vigil_emulate()
 * makes it #UD.
 *
 * Return: INSN_OK, or a negative enum insn_status.
 */
int vigil_decode(struct insn *insn, const u8 *bytes, unsigned int nbytes,
		 enum insn_mode mode);

/**
 * vigil_insn_is() - has this instruction been decoded from these bytes?
 * @insn: zeroes, or what vigil_decode() left there
 * @bytes: the instruction stream
 * @nbytes: how much of it there is; more than 15 is fine
 * @mode: default sizes of the code segment
 *
 * An instruction follows from its own bytes and the mode, so the same ones need
 * not be decoded twice.
 */
static inline bool vigil_insn_is(const struct insn *insn, const u8 *bytes,
				 unsigned int nbytes, enum insn_mode mode)
{
	u64 a, b;

	if (!insn->len || insn->len > nbytes || insn->mode != mode)
		return false;
	if (insn->len > sizeof(a) || nbytes < sizeof(a))
		return !memcmp(insn->bytes, bytes, insn->len);
	memcpy(&a, insn->bytes, sizeof(a));
	memcpy(&b, bytes, sizeof(b));
	return !((a ^ b) << (64 - 8 * insn->len));
}

/**
 * vigil_decode_again() - vigil_decode() into what may hold the same already
 * @insn: zeroes, or what the last call with it left there; changed by nobody
 * @bytes: the instruction stream
 * @nbytes: how much of it there is; more than 15 is fine
 * @mode: default sizes of the code segment
 *
 * Return: INSN_OK, or a negative enum insn_status.
 */
int vigil_decode_again(struct insn *insn, const u8 *bytes, unsigned int nbytes,
		       enum insn_mode mode);

/**
 * vigil_insn_len() - length of an instruction
 * @bytes: the instruction stream
 * @nbytes: how much of it there is
 * @mode: default sizes of the code segment
 *
 * Return: 1 to 15, or a negative enum insn_status.
 */
int vigil_insn_len(const u8 *bytes, unsigned int nbytes, enum insn_mode mode);

/**
 * vigil_insn_ea() - offset of the memory operand in its segment
 * @insn: a decoded instruction with has_mem
 * @regs: the 16 general registers
 * @rip: address of the instruction, for RIP-relative operands
 *
 * Return: the offset, truncated to the address size.
 */
static inline u64 vigil_insn_ea(const struct insn *insn, const u64 *regs,
				u64 rip)
{
	u64 ea = insn->disp;

	if (insn->rip_rel)
		ea += rip + insn->len;
	if (insn->base != INSN_REG_NONE)
		ea += regs[insn->base & 15];
	if (insn->index != INSN_REG_NONE)
		ea += regs[insn->index & 15] << insn->scale;
	if (insn->adsize == 2)
		return (u16)ea;
	return insn->adsize == 4 ? (u32)ea : ea;
}

/**
 * vigil_insn_op_name() - name of an operation, for messages and tests
 * @op: enum insn_op, or anything else
 *
 * Return: a name such as "MOV"; never NULL.
 */
const char *vigil_insn_op_name(unsigned int op);

#endif /* VIGIL_VMM_DECODE_H */

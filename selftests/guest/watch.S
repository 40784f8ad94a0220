/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stores of all sorts, one row each. A row ends at its OUT_END. The test starts
 * it with rdi at the target, of which 64 bytes are watched; rsp, 8 bytes behind
 * it; rsi, at 128 bytes of other data. The number of events is what a watch
 * must report; -1 means one or more.
 *
 * ROW(name, events, instructions): runs on every CPU.
 * FXROW(name, events, instructions): the target is zeroed before, since CPUs
 * differ in whether they write what is reserved.
 * XROW(name, needs, xcr0, events, instructions): zeroed too; for CPUs with
 * XSAVE (1), XSAVEOPT (2), XSAVEC (3), and those bits in XCR0; edx:eax is all
 * ones.
 * PROW(name, events, instructions): for CPUs with all of x87 (5); QEMU's has no
 * C1, no stack underflow and other pointers.
 * VROW(name, events, instructions): for CPUs with AVX-512 (4); zmm1 and zmm17
 * hold what rsi points to.
 */
#include "payload.h"

#define ROW6(n, ev, needs, xcr0, zeroes, ...)				\
	LABEL(wst, n) __VA_ARGS__; OUT_END;				\
	.pushsection .data.wst_rows, "aw";				\
	.quad pl_wst_##n, ev, needs, xcr0, zeroes; .asciz #n; .balign 64;		\
	.popsection
#define ROW(n, ev, ...) ROW6(n, ev, 0, 0, 0, __VA_ARGS__)
#define FXROW(n, ev, ...) ROW6(n, ev, 0, 0, 1, __VA_ARGS__)
#define XROW(n, needs, xcr0, ev, ...)					\
	ROW6(n, ev, needs, xcr0, 1, mov $-1, %eax; mov $-1, %edx; __VA_ARGS__)
#define PROW(n, ev, ...) ROW6(n, ev, 5, 0, 0, __VA_ARGS__)
#define VROW(n, ev, ...)						\
	ROW6(n, ev, 4, 0xe7, 0, vmovdqu64 (%rsi), %zmm1;		\
	     vmovdqu64 64(%rsi), %zmm17; __VA_ARGS__)

	.pushsection .data.wst_rows, "aw"
	.balign 64
	.globl wst_rows
wst_rows:
	.popsection

	.code64
PAYLOAD(wst)
ROW(mov8, 1, mov %al, (%rdi))
ROW(mov8_high, 1, mov %ah, 3(%rdi))
ROW(mov16, 1, mov %ax, (%rdi))
ROW(mov32, 1, mov %eax, 5(%rdi))
ROW(mov64, 1, mov %rax, (%rdi))
ROW(mov_imm, 1, movq $-2, 8(%rdi))
ROW(movnti, 1, movnti %rax, (%rdi))
ROW(add, 1, add %rax, (%rdi))
ROW(adc, 1, stc; adc %eax, (%rdi))
ROW(sub_imm, 1, subw $0x1234, (%rdi))
ROW(sbb, 1, stc; sbb %al, (%rdi))
ROW(or, 1, or %rbx, (%rdi))
ROW(and, 1, andl $0x0f0f0f0f, (%rdi))
ROW(xor, 1, xor %cx, (%rdi))
ROW(cmp, 0, cmp %rax, (%rdi))
ROW(test, 0, test %eax, (%rdi))
ROW(bt, 0, btl $5, (%rdi))
ROW(inc, 1, incq (%rdi))
ROW(dec, 1, decb (%rdi))
ROW(neg, 1, negl (%rdi))
ROW(not, 1, notw (%rdi))
ROW(shl, 1, shlq $1, (%rdi))
ROW(sar, 1, mov $5, %ecx; sarl %cl, (%rdi); test %eax, %eax)
ROW(rol, 1, rolb $1, (%rdi))
ROW(rcr, 1, stc; rcrq $1, (%rdi))
ROW(shld, 1, shld $1, %rbx, (%rdi))
ROW(lock_add, 1, lock addq $1, (%rdi))
ROW(lock_inc, 1, lock incl (%rdi))
ROW(lock_not, 1, lock notq (%rdi))
ROW(lock_or, 1, lock or %eax, 2(%rdi))
ROW(bts, 1, btsq $9, (%rdi))
ROW(btr_reg, 1, mov $77, %ecx; btr %rcx, (%rdi))
ROW(lock_btc, 1, lock btcl $31, (%rdi))
ROW(xchg8, 1, xchg %al, (%rdi))
ROW(xchg32, 1, xchg %eax, (%rdi))
ROW(xchg64, 1, xchg %rax, (%rdi))
ROW(xadd, 1, xadd %ebx, (%rdi))
ROW(lock_xadd, 1, lock xadd %rax, (%rdi))
ROW(cmpxchg, 1, mov (%rdi), %rax; cmpxchg %rbx, (%rdi))
ROW(lock_cmpxchg, 1, mov (%rdi), %eax; lock cmpxchg %ebx, (%rdi))
ROW(cmpxchg8b, 1, mov (%rdi), %eax; mov 4(%rdi), %edx; cmpxchg8b (%rdi))
ROW(lock_cmpxchg16b, 1, mov (%rdi), %rax; mov 8(%rdi), %rdx; \
	lock cmpxchg16b (%rdi))
ROW(setz, 1, xor %edx, %edx; setz (%rdi))
ROW(push, 1, push %rax)
ROW(push_imm, 1, push $-5)
ROW(push_mem, 1, push (%rsi))
ROW(push16, 1, push %ax)
ROW(pushf, 1, pushf)
ROW(enter, 1, enter $16, $0)
ROW(pop_mem, 1, pop (%rdi))
ROW(call, 1, call 1f; mov $1, %eax; 1:)
ROW(call_mem, 1, lea 1f(%rip), %rax; mov %rax, (%rsi); call *(%rsi); \
	mov $1, %eax; 1:)
ROW(stosb, 1, stosb)
ROW(rep_stosb, 5, rep stosb)
ROW(rep_stosq, 5, rep stosq)
ROW(rep_stosl_down, 5, std; lea 32(%rdi), %rdi; rep stosl; cld)
ROW(movsq, 1, movsq)
ROW(rep_movsb, 5, rep movsb)
ROW(rep_movsw_down, 5, std; lea 32(%rdi), %rdi; lea 32(%rsi), %rsi; \
	rep movsw; cld)
ROW(movups, 1, movups (%rsi), %xmm1; movups %xmm1, 4(%rdi))
ROW(movaps, 1, movups (%rsi), %xmm1; movaps %xmm1, (%rdi))
ROW(movdqu, 1, movdqu (%rsi), %xmm1; movdqu %xmm1, 1(%rdi))
ROW(movntdq, 1, movdqu (%rsi), %xmm1; movntdq %xmm1, 16(%rdi))
ROW(movss, 1, movups (%rsi), %xmm1; movss %xmm1, (%rdi))
ROW(movq, 1, movups (%rsi), %xmm1; movq %xmm1, (%rdi))
ROW(movd, 1, movups (%rsi), %xmm1; movd %xmm1, (%rdi))
ROW(movhps, 1, movups (%rsi), %xmm1; movhps %xmm1, (%rdi))
ROW(mov_seg, 1, mov %ds, (%rdi))
ROW(sgdt, -1, sgdt (%rdi))
/* These store more than is watched, in pieces of 32 bytes. */
ROW(fnstcw, 1, fninit; fnstcw 6(%rdi))
ROW(fnstsw, 1, fninit; fld1; fnstsw (%rdi))
ROW(stmxcsr, 1, stmxcsr 60(%rdi))
PROW(fsts, 1, fninit; fldpi; fsts 4(%rdi); fnstsw %ax)
ROW(fstl, 1, fninit; fldl2e; fstl 4(%rdi); fnstsw %ax)
PROW(fstps, 1, fninit; fldpi; fldpi; fstps (%rdi); fnstsw %ax)
ROW(fstpl, 1, fninit; fldpi; fstpl (%rdi); fnstsw %ax)
ROW(fstpt, 1, fninit; fldlg2; fstpt 6(%rdi); fnstsw %ax)
ROW(fists, 1, fninit; fldpi; fists (%rdi); fnstsw %ax)
ROW(fistpl, 1, fninit; fldl2t; fistpl (%rdi); fnstsw %ax)
ROW(fistpll, 1, fninit; fildl (%rsi); fistpll (%rdi); fnstsw %ax)
ROW(fisttps, 1, fninit; fld1; fchs; fisttps 2(%rdi); fnstsw %ax)
ROW(fisttpll, 1, fninit; fldpi; fisttpll 8(%rdi); fnstsw %ax)
ROW(fbstp, 1, fninit; fildl (%rsi); fbstp 16(%rdi); fnstsw %ax)
PROW(fstpl_empty, 1, fninit; fstpl (%rdi); fnstsw %ax)
ROW(fstpl_state, 1, fninit; fldpi; fld1; fstpl (%rdi); fstpl 0x1000(%rsi); \
    fnstsw %ax; mov 0x1000(%rsi), %rdx)
	/*
	 * Invalid operation is not masked: nothing is stored, and an exception
	 * pends.
	 */
PROW(fstpl_pending, 0, fninit; movw $0x37e, (%rsi); fldcw (%rsi); \
    fstpl (%rdi); fnstsw %ax; fninit)
PROW(fstpl_pointers, 1, fninit; fldpi; fstpl 8(%rdi); fnstenv 0x1000(%rsi); \
    mov 0x100c(%rsi), %eax; mov 0x1014(%rsi), %edx)
FXROW(fxsave, 2, fninit; fldpi; fxsave (%rdi))
FXROW(fxsave64_middle, 2, fninit; fld1; fxsave64 -192(%rdi))
XROW(xsave, 1, 1, 2, xsave (%rdi))
XROW(xsave64_middle, 1, 3, 2, xsave64 -192(%rdi))
XROW(xsave_header, 1, 1, 1, xsave -512(%rdi))
XROW(xsave_extended, 1, 7, 2, xsave -576(%rdi))
XROW(xsave_sse, 1, 3, 1, mov $2, %eax; xsave (%rdi))
XROW(xsaveopt_header, 2, 1, 1, xsaveopt -512(%rdi))
XROW(xsaveopt_extended, 2, 7, 2, xsaveopt64 -576(%rdi))
XROW(xsavec_header, 3, 1, 1, xsavec -512(%rdi))
XROW(xsavec_extended, 3, 7, 2, xsavec64 -576(%rdi))
VROW(vmovdqu64, 2, vmovdqu64 %zmm1, (%rdi))
VROW(vmovdqu64_high, 2, vmovdqu64 %zmm17, (%rdi))
VROW(vmovdqu64_edge, 1, vmovdqu64 %zmm17, 32(%rdi))
VROW(vmovdqu8_ymm, 1, vmovdqu8 %ymm17, 32(%rdi))
VROW(vmovups_xmm, 1, vmovups %xmm17, 16(%rdi))
VROW(vmovupd, 2, vmovupd %zmm17, (%rdi))
VROW(vmovaps, 2, vmovaps %zmm17, (%rdi))
VROW(vmovdqa32_xmm, 1, vmovdqa32 %xmm17, 48(%rdi))
VROW(vmovntdq, 2, vmovntdq %zmm17, (%rdi))
VROW(vmovdqu8_masked, -1, kmovq %rax, %k1; vmovdqu8 %zmm1, (%rdi){%k1})
VROW(vmovdqu16_masked, -1, kmovq %rbx, %k2; vmovdqu16 %zmm17, (%rdi){%k2})
VROW(vmovups_masked, 4, mov $0x8421, %eax; kmovd %eax, %k7; \
     vmovups %zmm17, (%rdi){%k7})
VROW(vmovapd_masked, 2, mov $0x71, %eax; kmovd %eax, %k3; \
     vmovapd %zmm1, (%rdi){%k3})
VROW(vmovdqu32_none, 0, kxorq %k4, %k4, %k4; vmovdqu32 %zmm1, (%rdi){%k4})
VROW(vmovss_masked, 1, mov $1, %eax; kmovd %eax, %k1; \
     vmovss %xmm17, 4(%rdi){%k1})
VROW(vmovsd_masked_out, 0, mov $2, %eax; kmovd %eax, %k1; \
     vmovsd %xmm17, 8(%rdi){%k1})
VROW(vmovhps, 1, vmovhps %xmm17, 8(%rdi))
VROW(vmovlpd, 1, vmovlpd %xmm17, 8(%rdi))
VROW(vmovq, 1, vmovq %xmm17, 8(%rdi))
VROW(vmovd, 1, vmovd %xmm17, 8(%rdi))
VROW(vextracti32x4, 1, vextracti32x4 $3, %zmm17, 16(%rdi))
VROW(vextractf64x4, 1, vextractf64x4 $1, %zmm1, 32(%rdi))
VROW(vextracti64x2_masked, 1, mov $2, %eax; kmovd %eax, %k1; \
     vextracti64x2 $1, %ymm17, (%rdi){%k1})
VROW(vpextrb, 1, vpextrb $13, %xmm17, 3(%rdi))
/* This has no displacement: Bochs 2.7 does not count it in words. */
VROW(vpextrw, 1, vpextrw $5, %xmm17, (%rdi))
VROW(vpextrq, 1, vpextrq $1, %xmm17, 8(%rdi))
VROW(vextractps, 1, vextractps $2, %xmm17, 8(%rdi))
VROW(vpmovdb, 1, vpmovdb %zmm1, (%rdi))
VROW(vpmovsqd, 1, vpmovsqd %zmm17, (%rdi))
VROW(vpmovusqw_masked, 2, mov $0x3d, %eax; kmovd %eax, %k1; \
     vpmovusqw %zmm17, (%rdi){%k1})
VROW(vpcompressd, 1, mov $0x8421, %eax; kmovd %eax, %k1; \
     vpcompressd %zmm1, (%rdi){%k1})
VROW(vcompresspd, 1, mov $0x71, %eax; kmovd %eax, %k1; \
     vcompresspd %zmm17, (%rdi){%k1})
VROW(vpscatterdd, 5, mov $0x0820181004281c00, %rax; vmovq %rax, %xmm2; \
     vpmovsxbd %xmm2, %ymm2; mov $0x5b, %eax; kmovd %eax, %k1; \
     vpscatterdd %ymm1, (%rdi,%ymm2){%k1}; kmovd %k1, %eax)
VROW(vscatterqpd, 3, mov $0x0405020601030007, %rax; vmovq %rax, %xmm2; \
     vpmovsxbq %xmm2, %zmm2; mov $0x0b, %eax; kmovd %eax, %k1; \
     vscatterqpd %zmm17, (%rdi,%zmm2,8){%k1}; kmovd %k1, %eax)
/* This runs before the rows: it loads XCR0 from rax, then sets registers. */
LABEL(wst, xsetbv)
	xor	%ecx, %ecx
	xor	%edx, %edx
	xsetbv
	OUT_END
LABEL(wst, xgetbv)
	xor	%ecx, %ecx
	xgetbv
	OUT_END
LABEL(wst, ymm)
	vmovups	(%rsi), %ymm2
	vmovups	(%rsi), %ymm13
	OUT_END
END(wst)

	.pushsection .data.wst_rows, "aw"
	.globl wst_rows_end
wst_rows_end:
	.popsection

/* Stores rax to (rdi) rcx times, and increments rax after each store. */
	.code64
PAYLOAD(wloop)
1:	mov %rax, (%rdi)
	inc %rax
	dec %rcx
	jnz 1b
	OUT_END
END(wloop)

/* Reads a dword from a port into (rdi). */
PAYLOAD(wins)
	mov $PORT_TEST, %edx
	insl
	OUT_END
END(wins)

/* Stores rcx bytes in one instruction. */
PAYLOAD(wrep)
	rep stosb
	OUT_END
END(wrep)

/* Stores like wloop, without an end. */
PAYLOAD(wforever)
1:	mov %rax, (%rdi)
	inc %rax
	jmp 1b
END(wforever)

/* Stores like wforever, until it is sent to "done". */
PAYLOAD(wcount)
1:	mov %rax, (%rdi)
	inc %rax
	jmp 1b
LABEL(wcount, done)
	OUT_END
END(wcount)

/* Copies a dword again and again, in 32-bit and in 64-bit code. */
PAYLOAD(wcopy)
1:	mov (%rsi), %eax
	mov %eax, (%rdi)
	jmp 1b
LABEL(wcopy, done)
	OUT_END
END(wcopy)

/* Stores like wloop. Every eighth time RDX turns the entry at RSI to another frame. */
PAYLOAD(wremap)
1:	mov %rax, (%rdi)
	inc %rax
	test $7, %al
	jnz 2f
	xor %rdx, (%rsi)
	invlpg (%rdi)
2:	dec %rcx
	jnz 1b
	OUT_END
END(wremap)

/*
 * Stores eax three times: to (rdi), to (rsi), and to (rdi) again, with stops
 * for the test between.
 */
PAYLOAD(wthree)
	mov %eax, (%rdi)
	OUT_SYNC
	mov %eax, (%rsi)
	OUT_SYNC
	mov %eax, (%rdi)
	OUT_END
END(wthree)

#define BITS 16
	.code16
#include "watch.inc"
#undef BITS
#define BITS 32
	.code32
#include "watch.inc"
#undef BITS
#define BITS 64
	.code64
#include "watch.inc"

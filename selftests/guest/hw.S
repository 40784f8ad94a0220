/* SPDX-License-Identifier: GPL-2.0 */
/* What hw/ needs: guests that leave their vCPU as rarely as they can. */
#include "payload.h"

	.code64
/*
 * Replaces the large page at RBX by another one and back, RCX times: the entry at RSI
 * becomes R8 or R9, one INVLPG of an address in the page follows, another one each
 * time, and then each of its 512 4-KiB pages must begin with the mark, R10 or R11.
 * A difference is reported by OUT_VALUE: what is there, its address.
 */
PAYLOAD(large)
1:	mov %r8, (%rsi)
	invlpg (%rbx,%rbp)
	mov %rbx, %rdi
	mov $512, %edx
2:	cmp %r10, (%rdi)
	jne 9f
	add $0x1000, %rdi
	dec %edx
	jnz 2b
	add $0x7000, %rbp
	and $0x1fffff, %rbp
	xchg %r8, %r9
	xchg %r10, %r11
	dec %rcx
	jnz 1b
	OUT_END
9:	mov (%rdi), %rax
	OUT_VALUE
	mov %rdi, %rax
	OUT_VALUE
	OUT_END
END(large)

/*
 * Adds 1 to the dword at RBX with a locked instruction, RCX times, with an OUT_SYNC
 * every RDX times.
 */
PAYLOAD(locked)
1:	mov %rdx, %rsi
2:	lock incl (%rbx)
	dec %rcx
	jz 3f
	dec %rsi
	jnz 2b
	OUT_SYNC
	jmp 1b
3:	OUT_END
END(locked)

/* Fills XMM0 to XMM15 with RBP and counts at GUEST_DATA, with an OUT_SYNC each time. */
PAYLOAD(vectors)
1:	movq %rbp, %xmm0
	punpcklqdq %xmm0, %xmm0
	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movdqa %xmm0, %xmm\n
	.endr
	incq GUEST_DATA
	OUT_SYNC
	movq %xmm15, %rax
	cmp %rbp, %rax
	je 1b
	OUT_VALUE
	OUT_END
END(vectors)

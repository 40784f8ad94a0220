/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tasks, for segments/task.c. The test begins the old task at one of the labels, and
 * has the new one at "other". Each OUT_SYNC is where the test looks.
 */
#include "payload.h"
#include "task.h"

	.code32
PAYLOAD(task)
LABEL(task, call)
	lcall $SEL_NEW, $0x1234
LABEL(task, call_end)
	OUT_SYNC
LABEL(task, dr_call)			/* EAX for DR7 */
	mov %ebp, %dr0
	mov %ebp, %dr1
	mov %ebp, %dr2
	mov %ebp, %dr3
	mov %eax, %dr7
	lcall $SEL_NEW, $0
	OUT_SYNC
LABEL(task, call3)			/* with RPL 3 */
	lcall $SEL_NEW + 3, $0
	OUT_SYNC
LABEL(task, call_gate)
	lcall $SEL_GATE + 3, $0
LABEL(task, call_gate_end)
	OUT_SYNC
LABEL(task, jmp)
	ljmp $SEL_NEW, $0
LABEL(task, jmp_end)
	OUT_SYNC
LABEL(task, jmp_mem)			/* through memory at EDI */
	ljmp *(%edi)
LABEL(task, jmp_mem_end)
	OUT_SYNC
LABEL(task, int)
	int $VEC_TASK
LABEL(task, int_end)
	OUT_SYNC
LABEL(task, int3)
	int3
LABEL(task, int3_end)
	OUT_SYNC
LABEL(task, ud)
	ud2
LABEL(task, ud_end)
	OUT_SYNC
LABEL(task, load_fs)			/* the selector in EAX */
	mov %eax, %fs
LABEL(task, load_fs_end)
	OUT_SYNC
LABEL(task, rdmsr)			/* of no MSR: vigil raises #GP */
	rdmsr
LABEL(task, rdmsr_end)
	OUT_SYNC
LABEL(task, read)			/* at EDI */
	mov (%edi), %eax
LABEL(task, read_end)
	OUT_SYNC
LABEL(task, iret)
	iret
	OUT_SYNC
LABEL(task, spin)
	jmp pl_task_spin

	/* The other task. Each time it is entered again behind its IRET or JMP. */
LABEL(task, other)
	OUT_SYNC
LABEL(task, other_iret)
	iret
LABEL(task, other_again)
	OUT_SYNC
LABEL(task, other_jmp)
	ljmp $SEL_TSS, $0
LABEL(task, other_jmp_end)
	OUT_SYNC
	/* The same, with an error code on the stack. */
LABEL(task, other_ec)
	OUT_SYNC
LABEL(task, other_pop)
	pop %ebx
	iret
	OUT_SYNC

LABEL(task, other_dr)
	mov %dr7, %eax
	mov %dr6, %ebx
	OUT_SYNC

	/* A third one, which handles faults. */
LABEL(task, handler)
	OUT_SYNC
LABEL(task, handler_iret)
	iret
	OUT_SYNC

	.code16
LABEL(task, vm86)
	OUT_SYNC
LABEL(task, vm86_int)
	int $VEC_TASK + 1
LABEL(task, vm86_end)
	OUT_SYNC
END(task)

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest for `vigil run --xen', for pv/xen.c: 32-bit code without paging, loaded at
 * 1 MiB and entered with EBX at struct hvm_start_info. It prints what it has seen, and
 * ends as the first letter of its command line says: c: it crashes; r: it asks for a
 * reset; i: it first prints a letter of its input; u: a user program without an interrupt
 * table prints in three ways, and powers off; p: the same, without the right to use ports;
 * else it powers off.
 */
#include "payload.h"

#define BASE		0x100000
#define X(l)		(BASE + (l) - pl_xen_guest)
#define PAGE_AT		0x110000 /* hypercalls */
#define SHARED		0x111000 /* shared_info */
#define IDT		0x112000
#define STACK		0x114000
#define TSS		0x115000
#define SPARE		0x300000 /* given back, and taken again */
#define VECTOR		0x60

#define MEMORY_OP	12
#define CONSOLE_IO	18
#define SCHED_OP	29
#define EVENT_OP	32
#define HVM_OP		34
#define VCPU_OP		24

	/* Arguments in EBX, ECX, EDX, as the ABI has them; the result in EAX. */
.macro call_xen nr, a=, b=, c=
	.ifnb \a
	mov \a, %ebx
	.endif
	.ifnb \b
	mov \b, %ecx
	.endif
	.ifnb \c
	mov \c, %edx
	.endif
	mov $(PAGE_AT + \nr * 32), %eax
	call *%eax
.endm

	/* Prints a text by console_io. */
.macro say text
	call_xen CONSOLE_IO, $0, $(662f - 661f), $X(661f)
	jmp 662f
661:	.ascii "\text\n"
662:
.endm

	/* The guest gives up, and says where, unless EAX is @value. */
.macro expect value, text
	cmp $\value, %eax
	je 663f
	say "failed: \text"
	jmp crash
663:
.endm

	.code32
PAYLOAD(xen_guest)
	mov $STACK, %esp
	mov %ebx, %ebp
	mov (%ebp), %eax
	cmp $0x336ec578, %eax
	jne crash
	mov $0x40000000, %eax
	cpuid
	cmp $0x566e6558, %ebx
	jne crash
	mov $0x40000002, %eax
	xor %ecx, %ecx
	cpuid
	mov %ebx, %ecx
	mov $PAGE_AT, %eax
	xor %edx, %edx
	wrmsr
	say "console_io: hello"

	/* shared_info */
	call_xen MEMORY_OP, $7, $X(map)
	expect 0, "add_to_physmap"

	/* a page goes and comes again, as zeros */
	movl $0x12345678, SPARE
	call_xen MEMORY_OP, $1, $X(reservation)
	expect 1, "decrease_reservation"
	call_xen MEMORY_OP, $1, $X(reservation)
	expect 0, "decrease_reservation, twice"
	call_xen MEMORY_OP, $6, $X(reservation)
	expect 1, "populate_physmap"
	mov SPARE, %eax
	expect 0, "an old value"

	/* a hypercall that nobody knows, and one that guests may not make */
	call_xen 39
	expect -38, "argo_op"
	call_xen 35
	expect -1, "sysctl"

	/* an event for ourselves, told by a vector */
	mov $X(handler), %eax
	mov %ax, IDT + VECTOR * 8
	movw %cs, IDT + VECTOR * 8 + 2
	movw $0x8e00, IDT + VECTOR * 8 + 4
	shr $16, %eax
	mov %ax, IDT + VECTOR * 8 + 6
	lidt X(idt)
	call_xen HVM_OP, $0, $X(callback)
	expect 0, "set_param"
	call_xen EVENT_OP, $7, $X(ipi)
	expect 0, "bind_ipi"
	mov X(ipi_port), %eax
	mov %eax, X(send)
	call_xen EVENT_OP, $4, $X(send)
	expect 0, "send"
	sti
	nop
	cli
	mov X(upcalls), %eax
	expect 1, "upcalls"
	say "event: told"

	/* a timer, by poll */
	call_xen EVENT_OP, $1, $X(virq)
	expect 0, "bind_virq"
	mov X(virq_port), %eax
	mov %eax, X(ports)
	call_xen VCPU_OP, $8, $0, $X(singleshot)
	expect 0, "set_singleshot_timer"
	call_xen SCHED_OP, $3, $X(poll)
	expect 0, "poll"
	mov X(virq_port), %ecx
	bt %ecx, SHARED + 0x800
	jnc crash
	say "timer: expired"

	/* the console's ring */
	movl $17, X(param)
	call_xen HVM_OP, $1, $X(get)
	expect 0, "get_param"
	mov X(value), %edi
	shl $12, %edi
	movl $18, X(param)
	call_xen HVM_OP, $1, $X(get)
	expect 0, "get_param of the port"
	mov $X(ring_text), %esi
	mov $X(ring_text_end) - X(ring_text), %ecx
	call print

	mov 24(%ebp), %eax		/* command line */
	mov (%eax), %al
	cmp $'c', %al
	je crash
	cmp $'r', %al
	je reset
	cmp $'u', %al
	je user
	movb $0, X(user_flags) + 1	/* IOPL 0 */
	cmp $'p', %al
	je user
	cmp $'i', %al
	jne off

	/* waits for a letter, and prints it */
	mov X(value), %eax
	mov %eax, X(ports)
1:	mov 0xc00(%edi), %eax		/* in_cons */
	cmp 0xc04(%edi), %eax
	jne 2f
	movl $0, SHARED + 0x800
	call_xen SCHED_OP, $3, $X(poll)
	jmp 1b
2:	and $1023, %eax
	mov (%edi,%eax), %al
	mov %al, X(letter)
	mov $X(input_text), %esi
	mov $X(input_text_end) - X(input_text), %ecx
	call print
off:
	movl $0, X(reason)
	jmp shut
reset:
	movl $1, X(reason)
	jmp shut
crash:
	movl $3, X(reason)
shut:
	call_xen SCHED_OP, $2, $X(reason)
	hlt
	jmp shut

	/* Opens three hypercalls, and goes to ring 3. */
user:
	call_xen 55, $0, $X(iopl)
	expect 0, "set_hypercall_iopl"
	lidt X(no_idt)
	lgdt X(gdtr)
	movl $TSS, %eax			/* no port is open by a bit of it */
	mov %ax, X(tss) + 2
	shr $16, %eax
	mov %al, X(tss) + 4
	movw $0x68, TSS + 0x66
	mov $0x28, %eax
	ltr %ax
	mov $0x23, %eax
	mov %eax, %ds
	mov %eax, %es
	push %eax
	push $STACK
	push X(user_flags)
	push $0x1b
	push $X(in_ring3)
	iret
in_ring3:
	say "user: console_io"
	mov $X(user_ring), %esi
	mov $X(user_ring_end) - X(user_ring), %ecx
	call print
	mov $X(user_port), %esi
	mov $X(user_port_end) - X(user_port), %ecx
1:	lodsb
	out %al, $0xe9
	loop 1b
	jmp off

	/* Puts ECX bytes at ESI into the ring at EDI, and tells. */
print:
	mov 0xc0c(%edi), %edx		/* out_prod */
1:	lodsb
	mov %edx, %ebx
	and $2047, %ebx
	mov %al, 1024(%edi,%ebx)
	inc %edx
	loop 1b
	mov %edx, 0xc0c(%edi)
	mov X(value), %eax
	mov %eax, X(send)
	call_xen EVENT_OP, $4, $X(send)
	ret

handler:
	incl X(upcalls)
	movb $0, SHARED			/* evtchn_upcall_pending */
	iret

	.balign 8
map:	.word 0x7ff0, 0			/* DOMID_SELF */
	.long 0, 0, SHARED >> 12	/* shared_info */
reservation:
	.long X(spare), 1, 0, 0
	.word 0x7ff0, 0
spare:	.long SPARE >> 12
idt:	.word 256 * 8 - 1
	.long IDT
	.balign 8
callback:
	.word 0x7ff0, 0
	.long 0
	.long VECTOR, 2 << 24
get:	.word 0x7ff0, 0
param:	.long 0
value:	.long 0, 0
ipi:	.long 0
ipi_port: .long 0
virq:	.long 0, 0			/* VIRQ_TIMER */
virq_port: .long 0
send:	.long 0
singleshot:
	.long 1000000, 0, 0
poll:	.long X(ports), 1, 0, 0
ports:	.long 0
upcalls: .long 0
reason:	.long 0
	.balign 8
iopl:	.byte 3, 1, 0, 0, 0, 0, 0, 0	/* level 3, for the VM */
	.quad 1 << CONSOLE_IO | 1 << SCHED_OP | 1 << EVENT_OP
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
	.quad 0x00cffa000000ffff, 0x00cff2000000ffff
tss:	.quad 0x0000890000000067
gdtr:	.word gdtr - gdt - 1
	.long X(gdt)
no_idt:	.word 0
	.long 0
user_flags:
	.long 0x3002
user_ring:
	.ascii "user: ring\n"
user_ring_end:
user_port:
	.ascii "user: port\n"
user_port_end:
ring_text:
	.ascii "ring: hello\nTest result: SUCCESS\n"
ring_text_end:
input_text:
	.ascii "input: "
letter:	.ascii " \n"
input_text_end:
END(xen_guest)

	/* The guest of Documentation/hypercalls.rst, an ELF file. */
PAYLOAD(xen_hello)
	.incbin "hello"
END(xen_hello)

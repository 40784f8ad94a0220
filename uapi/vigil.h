/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What vigil adds to the KVM API: finding VMs, attaching a monitor, watching
 * guest memory, deciding about writes.
 *
 * Every struct has the same layout for 32- and 64-bit userspace. Padding and
 * reserved fields must be zero (-EINVAL otherwise). A field that is "out" is not
 * looked at, so a struct can be used again as it came back. A call that fails
 * changes nothing.
 */
#ifndef _UAPI_VIGIL_H
#define _UAPI_VIGIL_H

#include <linux/types.h>
#include <linux/kvm.h>

/* clang-format off */

#define VIGIL_API_VERSION	3
#define VIGIL_IOC		0xE7

#define VIGIL_NAME_LEN		64	/* bytes, with the terminating NUL */
#define VIGIL_EVENT_DATA	64	/* largest single guest store, bytes */
#define VIGIL_MAX_WATCHES	16384	/* watches of one monitor */
#define VIGIL_MAX_EVENTS	1024	/* events that a monitor's queue holds, see VIGIL_SET_QUEUE */
#define VIGIL_MAX_QUEUE		65536	/* the most that it can be told to hold */
#define VIGIL_MAX_MONITORS	8	/* monitors of one VM that watch it */
#define VIGIL_MAX_READERS	16	/* read-only monitors of one VM */
#define VIGIL_MAX_CONDITIONS	16	/* conditions of one watch */
#define VIGIL_MAX_TIMEOUT	86400000 /* of a watch, milliseconds: a day */

/* struct vigil_vm_info: flags */
#define VIGIL_VM_DEAD		(1 << 0) /* can not run any more */

/**
 * struct vigil_vm_info - one VM, as VIGIL_LIST_VMS tells it
 * @id:		never used twice while the module is loaded
 * @pid:	of the process that created the VM, in the reader's pid namespace
 * @uid:	effective user id of the VM's creator
 * @nr_vcpus:	vCPUs created so far
 * @mem_bytes:	sum of its memory slots, bytes
 * @start_ns:	CLOCK_BOOTTIME at creation, nanoseconds
 * @nr_monitors: monitors attached now, without the read-only ones
 * @flags:	VIGIL_VM_*
 * @name:	NUL-terminated, empty when VIGIL_SET_NAME was never called
 */
struct vigil_vm_info {
	__u32 id;
	__u32 pid;
	__u32 uid;
	__u32 nr_vcpus;
	__u64 mem_bytes;
	__u64 start_ns;
	__u32 nr_monitors;
	__u32 flags;
	char  name[VIGIL_NAME_LEN];
};

/**
 * struct vigil_vm_list - argument of VIGIL_LIST_VMS
 * @count:	in: entries that @entries has room for; out: VMs that exist
 *		(of the caller's user, or all for CAP_SYS_ADMIN)
 * @entry_size:	sizeof(struct vigil_vm_info)
 * @entries:	user pointer to struct vigil_vm_info[]
 */
struct vigil_vm_list {
	__u32 count;
	__u32 entry_size;
	__u64 entries;
};

/* struct vigil_attach: flags; also the argument of VIGIL_CREATE_MONITOR */
#define VIGIL_ATTACH_READ	(1 << 0) /* look only: see struct vigil_attach */
#define VIGIL_ATTACH_EVICT	(1 << 1) /* take the places of the VM's monitors */

/* argument of VIGIL_SET_ATTACH: who may attach by VIGIL_ATTACH */
#define VIGIL_ATTACH_BY_PTRACE	0	/* who may attach to the VMM by ptrace(2) */
#define VIGIL_ATTACH_BY_USER	1	/* every process of the creator's user too */
#define VIGIL_ATTACH_BY_ADMIN	2	/* only who has CAP_SYS_ADMIN as well */

/**
 * struct vigil_attach - argument of VIGIL_ATTACH
 * @vm_id:	from struct vigil_vm_info
 * @flags:	VIGIL_ATTACH_*
 *
 * A VM has up to VIGIL_MAX_MONITORS monitors that watch. Each has its own watches, queue and
 * sequence numbers, and sees nothing of the others'. Where several have a say about one write,
 * the strictest counts: see struct vigil_verdict. With VIGIL_ATTACH_READ the new monitor takes
 * no place among these: it reads memory, registers and counters while others
 * watch. VIGIL_WATCH_*, VIGIL_VERDICT, VIGIL_READ_CHANGE, VIGIL_RESUME, VIGIL_SET_QUEUE,
 * VIGIL_PAUSE_VCPUS, VIGIL_RESUME_VCPUS, VIGIL_SET_VCPU, VIGIL_WRITE_MEM, read() and mmap() give
 * -EPERM on it; poll() tells only of the VM's end.
 *
 * A monitor sees all that the VMM's process has in its guest's memory, so the
 * caller must pass the kernel's check for ptrace(2) on that process: credentials,
 * whether it may be dumped, security modules. It is made by opening the process's
 * /proc/PID/mem: the caller's /proc must show the VMM. The VMM can allow more or
 * less by VIGIL_SET_ATTACH.
 *
 * With VIGIL_ATTACH_EVICT, which needs CAP_SYS_ADMIN in the VM's user namespace,
 * all monitors that watch lose their places: their watches and pauses go, the stores that they hold
 * go on as on_death says, and each further call on them gives -EPIPE. The new monitor is the
 * only one then.
 *
 * Return: a monitor fd; -ENOENT no such VM; -EPERM the caller may not attach;
 * -EBUSY it has VIGIL_MAX_MONITORS, or VIGIL_MAX_READERS of them that only read, or many that
 * have ended while a vCPU with an event of theirs stands still.
 */
struct vigil_attach {
	__u32 vm_id;
	__u32 flags;
};

/**
 * struct vigil_name - argument of VIGIL_SET_NAME
 * @name:	NUL-terminated, printable ASCII without '/'
 */
struct vigil_name {
	char name[VIGIL_NAME_LEN];
};

/* struct vigil_watch: kind */
#define VIGIL_WATCH_GPA		0	/* @start is a guest-physical address */
#define VIGIL_WATCH_GVA		1	/* @start is a guest-virtual (linear) address */
#define VIGIL_WATCH_CONTROL	2	/* @start is a VIGIL_CONTROL_* */

/*
 * @start of a watch of kind VIGIL_WATCH_CONTROL, control of its events. First what a
 * paravirtual guest's kernel changes by hypercalls (VIGIL_HC_TRAPS).
 */
#define VIGIL_CONTROL_TRAP_TABLE 0	/* set_trap_table */
#define VIGIL_CONTROL_FAST_TRAP	1	/* set_fast_trap */
#define VIGIL_CONTROL_GDT	2	/* set_gdt, update_descriptor */
#define VIGIL_CONTROL_STACK	3	/* stack_switch */
#define VIGIL_CONTROL_IOPL	4	/* set_hypercall_iopl (VIGIL_HC_PAGE is enough) */
#define VIGIL_CONTROL_CALLBACK	5	/* set_callbacks, callback_op */
/* LIDT, LGDT, LLDT and LTR, which fault while vigil's tables are in force: log only */
#define VIGIL_CONTROL_TABLE_LOAD 6
/* What the kernel of any guest changes about its CPU */
#define VIGIL_CONTROL_IDTR	7	/* LIDT */
#define VIGIL_CONTROL_GDTR	8	/* LGDT */
#define VIGIL_CONTROL_LDTR	9	/* LLDT, task switches */
#define VIGIL_CONTROL_TR	10	/* LTR, task switches */
#define VIGIL_CONTROL_CR0	11	/* MOV CR0, LMSW: not of CR0.TS alone */
#define VIGIL_CONTROL_CR3	12	/* MOV CR3, task switches */
#define VIGIL_CONTROL_CR4	13	/* MOV CR4 */
#define VIGIL_CONTROL_MSR	14	/* WRMSR; @start of the watch: VIGIL_CONTROL_OF_MSR() */
/*
 * The number is that of EFER, STAR, LSTAR, CSTAR, SFMASK, SYSENTER_CS, SYSENTER_ESP or
 * SYSENTER_EIP.
 */
#define VIGIL_CONTROL_OF_MSR(nr) (VIGIL_CONTROL_MSR | (__u64)(nr) << 8)
/* A hypercall of any guest, by its number; @start of the watch: VIGIL_CONTROL_OF_CALL() */
#define VIGIL_CONTROL_HYPERCALL	15
#define VIGIL_CONTROL_OF_CALL(nr) (VIGIL_CONTROL_HYPERCALL | (__u64)(nr) << 8)

/* struct vigil_watch, struct vigil_condition: action */
#define VIGIL_ACTION_LOG	0	/* the write happens; tell */
#define VIGIL_ACTION_ASK	1	/* hold the vCPU until a verdict */
#define VIGIL_ACTION_DENY	2	/* the write does not happen; tell */
#define VIGIL_ACTION_PASS	3	/* of a condition: the write happens; tell nobody */

/*
 * struct vigil_watch: on_death, what an ASK watch does without a monitor; on_timeout, what it
 * does without a verdict in time
 */
#define VIGIL_ON_DEATH_ALLOW	0
#define VIGIL_ON_DEATH_DENY	1
/* on_death: the vCPU waits for VIGIL_RESUME; on_timeout: as VIGIL_VERDICT_PAUSE */
#define VIGIL_ON_DEATH_PAUSE	6

/*
 * struct vigil_mem: cr3. The page table through which a guest-virtual address is translated, in vCPU 0's paging mode. 0 stands for
 * the one that vCPU 0 has in CR3 now. A Linux kernel with page-table isolation
 * has a pair of tables for each process, and while the process runs CR3 holds
 * the user's half (bit 12 is set), in which the kernel is not mapped: 0 then
 * stands for the kernel's half, which maps all that the user's does. The table
 * in CR3 and the one in the page before it are taken for a pair when their lower
 * halves lead to the same tables, and to one at least. A @cr3 other than 0 is
 * used as it is.
 */

/* struct vigil_condition: tests, inverse */
#define VIGIL_COND_RIP		(1 << 0) /* RIP is @rip to @rip_last */
#define VIGIL_COND_CPL		(1 << 1) /* bit CPL of @cpl is set */
#define VIGIL_COND_CR3		(1 << 2) /* CR3 & @cr3_mask is @cr3 */
#define VIGIL_COND_VCPU		(1 << 3) /* the vCPU's index is @vcpu */
#define VIGIL_COND_VALUE	(1 << 4) /* memory behind the write & @mask is @value */
#define VIGIL_COND_CHANGED	(1 << 5) /* a watched byte gets another value */

/**
 * struct vigil_condition - a write that a watch treats in another way
 * @tests:	VIGIL_COND_*: what must hold, all of it; 0: any write
 * @inverse:	those of @tests that must not hold instead
 * @action:	VIGIL_ACTION_*: what is done then
 * @cpl:	CPL: bit n stands for CPL n; 1 to 15
 * @vcpu:	VCPU: index
 * @pad:	zero
 * @rip:	RIP: first address
 * @rip_last:	RIP: last address, not below @rip
 * @cr3:	CR3: no bit outside of @cr3_mask
 * @cr3_mask:	CR3: not 0
 * @value:	VALUE: no bit outside of @mask
 * @mask:	VALUE: not 0, and only bits of bytes that the watch has
 *
 * A field of a test that is not in @tests is zero.
 *
 * RIP, CPL, CR3 and vCPU are those that an event of the write would have.
 *
 * VALUE is about the first up to eight bytes of the watch, the lowest address in the
 * lowest bits, as they will be in memory once the write has happened: the bytes that
 * it stores, and what memory has in those that it leaves alone. Of a GVA watch, those
 * with a bit in @mask are in one page. Where there is no memory for a byte, or watches
 * come and go too fast to read those that the write leaves alone, neither VALUE nor its
 * inverse holds.
 *
 * CHANGED holds when a byte of the watch among those that the write stores gets
 * another value than it has.
 *
 * A CONTROL watch has neither VALUE nor CHANGED, and neither ask nor deny with
 * VIGIL_CONTROL_TABLE_LOAD.
 */
struct vigil_condition {
	__u32 tests;
	__u32 inverse;
	__u32 action;
	__u32 cpl;
	__u32 vcpu;
	__u32 pad;
	__u64 rip;
	__u64 rip_last;
	__u64 cr3;
	__u64 cr3_mask;
	__u64 value;
	__u64 mask;
};

/**
 * struct vigil_watch - a byte range whose writes are told or decided, or a control
 * @start:	first byte; GVA: canonical with 57 bits, in every paging mode; CONTROL:
 *		VIGIL_CONTROL_*, VIGIL_CONTROL_OF_MSR() or VIGIL_CONTROL_OF_CALL()
 * @len:	bytes, 1 to 16 MiB, must not wrap; CONTROL: 1
 * @cr3:	GVA: the address space, by the address bits of CR3: 51 to 12, with PAE paging
 *		31 to 5; 0: all of them
 * @kind:	VIGIL_WATCH_*
 * @action:	VIGIL_ACTION_*
 * @on_death:	VIGIL_ON_DEATH_*: what becomes of a held write when the
 *		monitor is gone, and of one that cannot be held, for which PAUSE
 *		is DENY; the watch itself goes with its monitor
 * @id:		out: identifies the watch to VIGIL_WATCH_DEL and in events
 * @cookie:	returned in every event of this watch
 * @conditions:	user pointer to struct vigil_condition[], or 0
 * @passed:	out: writes that a condition of this watch has let through
 * @nr_conditions: how many @conditions has, at most VIGIL_MAX_CONDITIONS
 * @timeout_ms:	how long a held write waits for its verdict, at most VIGIL_MAX_TIMEOUT; 0:
 *		without end
 * @on_timeout:	VIGIL_ON_DEATH_*: what becomes of it then; with @timeout_ms only. PAUSE: the
 *		monitor pauses the VM, and goes on waiting for the verdict
 * @pad:	zero
 *
 * The time counts from the event on, read or not, while the host runs. A verdict that comes
 * later gives -ENOENT, but for PAUSE. A vCPU that is not in KVM_RUN when the time is up, or
 * paused, goes on waiting until it is in KVM_RUN and goes on.
 *
 * The first condition that a write fulfils decides what is done about it. Where none
 * does, @action of the watch counts.
 *
 * A GVA watch is about the linear address that a write has, whatever the guest maps there
 * at the time: nothing, memory, or other memory later. A write to the same memory at
 * another linear address is none of its own, so that a guest's kernel which maps a page
 * twice needs two of them, or a GPA watch. Without paging a linear address is a
 * physical one, and a watch of one address space has no writes. Such a watch sees as
 * well what the CPU stores by itself at linear addresses, as frames; the accessed and
 * dirty bits of page walks have none. An address that the guest's mode does not have is
 * never written.
 *
 * A store that overlaps the range is one event and is decided as a whole, up to
 * the end of its page. Where watches of a monitor overlap, each first finds its action by
 * its conditions; then deny beats ask beats log beats pass, and one event names the
 * strongest. Each monitor decides so for itself.
 *
 * Accessed and dirty bits that a page walk sets in a watched page table are stores,
 * too. Their events have neither VIGIL_EVENT_GVA_VALID nor VIGIL_EVENT_INSN_VALID,
 * and are never held: for VIGIL_ACTION_ASK, @on_death decides at once.
 *
 * A CONTROL watch is about what the guest's kernel changes without a write to memory: its
 * traps by hypercalls, registers of the CPU by instructions.
 *
 * An instruction that faults is no event, nor is one that changes nothing. Of any other,
 * what would change is checked and copied; then the event comes, and what was copied takes
 * effect when it is allowed. An instruction that is denied completes without the change. A
 * task switch cannot be held nor denied: its changes of LDTR, TR and CR3 are told.
 *
 * Of the hypercalls: one that vigil refuses by itself is no event. Of any other, what would change is
 * checked and copied; then the event comes, and what was copied takes effect when it is
 * allowed, whatever has become of the guest's memory. A call that is denied returns -1
 * (-EPERM of Xen) and changes nothing, an entry of a multicall as well. One call is one
 * event.
 *
 * HYPERCALL is about each call of that number, valid or not, that a level makes which may
 * make it: the event comes before anything is done. One that is denied returns -1
 * (-EPERM of Xen, KVM_EPERM of KVM) and does nothing. What it would change may be another
 * control that is watched: that is a second event. Fast traps make no exit, and are no
 * hypercalls.
 *
 * Errors: -EINVAL range, kind, control, action, condition or timeout; -E2BIG too many conditions;
 * -EOPNOTSUPP the MSR cannot be watched, or the CPU does not tell of IDTR, GDTR, LDTR and
 * TR; -ENOSPC too many watches, or too many ranges; -EIO the VM
 * is dead.
 */
struct vigil_watch {
	__u64 start;
	__u64 len;
	__u64 cr3;
	__u32 kind;
	__u32 action;
	__u32 on_death;
	__u32 id;
	__u64 cookie;
	__u64 conditions;
	__u64 passed;
	__u32 nr_conditions;
	__u32 timeout_ms;
	__u32 on_timeout;
	__u32 pad;
};

/**
 * struct vigil_watch_list - argument of VIGIL_WATCH_LIST
 * @count:	in: room in @entries; out: watches of this monitor
 * @entry_size:	sizeof(struct vigil_watch)
 * @entries:	user pointer to struct vigil_watch[]
 * @conditions:	user pointer to struct vigil_condition[], or 0
 * @nr_conditions: in: room in @conditions; out: conditions of the watches in @entries
 * @pad:	zero
 *
 * @conditions gets the conditions of one watch behind those of another, and conditions
 * of an entry points to its own there. It is 0 where the watch has none, and where they
 * do not fit any more.
 */
struct vigil_watch_list {
	__u32 count;
	__u32 entry_size;
	__u64 entries;
	__u64 conditions;
	__u32 nr_conditions;
	__u32 pad;
};

/* struct vigil_event: flags */
#define VIGIL_EVENT_HELD	(1 << 0) /* the vCPU waits for VIGIL_VERDICT */
#define VIGIL_EVENT_DENIED	(1 << 1) /* the write did not happen */
#define VIGIL_EVENT_GVA_VALID	(1 << 2)
#define VIGIL_EVENT_INSN_VALID	(1 << 3) /* insn/insn_len are the executed bytes */

/* struct vigil_event: kind */
#define VIGIL_EVENT_STORE	0
#define VIGIL_EVENT_CONTROL	1

/* struct vigil_event: first, with VIGIL_CONTROL_TABLE_LOAD */
#define VIGIL_TABLE_IDT		0	/* LIDT */
#define VIGIL_TABLE_GDT		1	/* LGDT */
#define VIGIL_TABLE_LDT		2	/* LLDT */
#define VIGIL_TABLE_TR		3	/* LTR */

/* in a struct vigil_pv_trap of an event: flags. set_fast_trap has named the vector. */
#define VIGIL_TRAP_FAST		(1 << 3)

/**
 * struct vigil_table - IDTR, GDTR, LDTR or TR in an event
 * @base:	linear address of the table, or of the TSS
 * @limit:	in bytes, of the last one
 * @selector:	of LDTR and TR; else 0
 * @pad:	0
 */
struct vigil_table {
	__u64 base;
	__u32 limit;
	__u16 selector;
	__u16 pad;
};

/**
 * struct vigil_event - one write to a watched range, or one change of a watched control
 * @size:	sizeof(struct vigil_event) of the kernel
 * @flags:	VIGIL_EVENT_*
 * @seq:	counts the events of this monitor from 1; a gap tells of events
 *		that were dropped (@dropped), or of one that was withdrawn
 *		before it was read, because the VMM gave a held vCPU other
 *		registers
 * @time_ns:	CLOCK_MONOTONIC, nanoseconds
 * @cookie:	of the watch
 * @gva:	linear address of the first byte of the store
 * @gpa:	guest-physical address of the same byte
 * @rip:	of the instruction
 * @cr3:	guest CR3
 * @rflags:	before the instruction
 * @regs:	before the instruction: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15
 * @dropped:	events that this monitor has lost so far
 * @watch_id:	which watch
 * @vm_id:	which VM
 * @vcpu:	index
 * @len:	bytes of @old and of @new_: of the store, 1 to VIGIL_EVENT_DATA
 * @cpl:	current privilege level
 * @insn_len:	0 to 15
 * @mode:	16, 32 or 64: the code segment's default
 * @kind:	VIGIL_EVENT_*
 * @control:	CONTROL: VIGIL_CONTROL_*
 * @verdicts:	with VIGIL_EVENT_HELD: bit n: it can be answered by verdict n, VIGIL_VERDICT_*
 * @insn:	instruction bytes
 * @old:	memory before
 * @new_:	what the guest wrote or wants to write
 * @call:	CONTROL: number of the hypercall
 * @first:	CONTROL: the first vector or descriptor that changes, VIGIL_TABLE_*, or the
 *		number of the MSR
 * @count:	CONTROL: how many vectors or descriptors change; 1 for a register
 * @condition:	the condition of the watch that has decided, counted from 1; 0: none has
 * @pad:	0
 * @reserved:	0; room for fields to come
 *
 * With VIGIL_EVENT_CONTROL, @gva and @gpa are 0, and @old and @new_ have what is in force
 * and what would be:
 *
 * TRAP_TABLE, FAST_TRAP: struct vigil_pv_trap[], the first four vectors that change, with
 *		VIGIL_TRAP_FAST in flags; where there is no handler, cs and ip are 0
 * CALLBACK:	the same of up to three callbacks; vector is a CALLBACKTYPE_* of Xen's
 * GDT:		__u64[], up to eight descriptors from @first on
 * STACK:	__u64[2], SS and SP
 * IOPL:	struct vigil_iopl
 * TABLE_LOAD:	nothing; @len is 0, @call is 0, and VIGIL_EVENT_DENIED is set
 * IDTR, GDTR, LDTR, TR: struct vigil_table
 * CR0, CR3, CR4, MSR: __u64
 * HYPERCALL:	__u64[6], the arguments in the order of the guest's ABI; @old has zeroes
 *
 * VIGIL_READ_CHANGE has the rest while the vCPU waits.
 *
 * Each held event can be answered by ALLOW, DENY, KILL and PAUSE, and each store by REPLACE, unless
 * @new_ is a replacement already. GP is
 * for stores of instructions, and for controls that an instruction changes; PF is for such
 * stores while the guest has paging on. Neither is for what cannot fault any more: INS, whose
 * device has been read, stores of a hypercall, and the frames of exceptions, interrupts and
 * INT n. Nor is it for far CALL and JMP, IRET, SYSCALL and SYSENTER, which may be in the
 * middle of a task switch or of such a frame.
 */
struct vigil_event {
	__u32 size;
	__u32 flags;
	__u64 seq;
	__u64 time_ns;
	__u64 cookie;
	__u64 gva;
	__u64 gpa;
	__u64 rip;
	__u64 cr3;
	__u64 rflags;
	__u64 regs[16];
	__u64 dropped;
	__u32 watch_id;
	__u32 vm_id;
	__u32 vcpu;
	__u32 len;
	__u8  cpl;
	__u8  insn_len;
	__u8  mode;
	__u8  kind;
	__u8  control;
	__u8  verdicts;
	__u8  pad[2];
	__u8  insn[16];
	__u8  old[VIGIL_EVENT_DATA];
	__u8  new_[VIGIL_EVENT_DATA];
	__u32 call;
	__u32 first;
	__u32 count;
	__u32 condition;
	__u8  reserved[56];
} __attribute__((aligned(64)));

/* struct vigil_queue: flags */
#define VIGIL_QUEUE_RING	(1 << 0) /* events come in memory that is mapped, not by read() */
#define VIGIL_QUEUE_WAIT	(1 << 1) /* a vCPU waits for room: no event is lost */

/**
 * struct vigil_queue - argument of VIGIL_SET_QUEUE: where events wait for the monitor
 * @events:	how many may wait, 1 to VIGIL_MAX_QUEUE; with VIGIL_QUEUE_RING a power of two
 * @flags:	VIGIL_QUEUE_*
 *
 * A monitor may call this once, before its first VIGIL_WATCH_ADD. Without it the queue
 * holds VIGIL_MAX_EVENTS, and events are read by read().
 *
 * When @events wait already, a further event is lost and counted (@dropped of struct
 * vigil_event). With VIGIL_QUEUE_WAIT its vCPU waits instead, until the monitor has taken
 * an event: the store is made, or refused, when its event has found room. If the monitor
 * ends meanwhile, the vCPU goes on. What a page walk sets cannot wait, and neither can what
 * fails by itself (VIGIL_CONTROL_TABLE_LOAD); their events are lost, as without the flag.
 *
 * Errors: -EINVAL a field; -EBUSY the monitor has had a watch, or has called this before;
 * -ENOMEM.
 */
struct vigil_queue {
	__u32 events;
	__u32 flags;
};

/* bytes before the first event of a ring */
#define VIGIL_RING_HEAD		4096

/**
 * struct vigil_ring - what mmap() of a monitor's file with VIGIL_QUEUE_RING shows first
 * @head:	events that the kernel has stored so far, modulo 2^32
 * @tail:	events that the monitor has taken so far, modulo 2^32; the monitor writes it
 * @events:	as in struct vigil_queue
 * @event_size:	sizeof(struct vigil_event) of the kernel
 * @reserved:	0
 *
 * The whole is VIGIL_RING_HEAD + @events * @event_size bytes, rounded up to pages, from
 * offset 0. Event number n is at VIGIL_RING_HEAD + n % @events * @event_size.
 *
 * The monitor loads @head with acquire semantics, takes the events from @tail up to it, and
 * stores the new @tail with release semantics. When it finds @head equal to @tail it calls
 * poll(), which brings events that had found no room as well. poll() is woken when an
 * event comes into a ring from which all have been taken, and only then.
 *
 * An event that is withdrawn stays in the ring; VIGIL_VERDICT gives -ENOENT on it. The
 * kernel believes nothing that it reads here: a @tail that cannot be is a full ring.
 * With a ring, read() gives -EBUSY.
 */
struct vigil_ring {
	__u32 head;
	__u32 tail;
	__u32 events;
	__u32 event_size;
	__u32 reserved[12];
};

/* struct vigil_verdict: verdict */
#define VIGIL_VERDICT_ALLOW	0	/* the write happens */
#define VIGIL_VERDICT_DENY	1	/* no write; the guest goes on behind the instruction */
#define VIGIL_VERDICT_GP	2	/* no write; the instruction raises #GP, error code 0 */
#define VIGIL_VERDICT_PF	3	/* no write; the instruction raises #PF */
#define VIGIL_VERDICT_REPLACE	4	/* @data is written instead */
#define VIGIL_VERDICT_KILL	5	/* no write; the VM ends */
#define VIGIL_VERDICT_PAUSE	6	/* not yet: the VM is paused, the event waits on */

/* kvm_run.internal.suberror: a monitor has ended the VM. KVM_RUN returns -EIO. */
#define VIGIL_INTERNAL_ERROR_KILLED 0x100

/**
 * struct vigil_verdict - answer to an event with VIGIL_EVENT_HELD
 * @seq:	of the event
 * @verdict:	VIGIL_VERDICT_*, one of those in @verdicts of the event
 * @len:	REPLACE: @len of the event, otherwise zero
 * @data:	REPLACE: what is written; zeroes behind @len
 * @reserved:	zero
 *
 * With GP and PF the vCPU has the registers of before the instruction, or of before the
 * iteration of a repeated one. What the same instruction has stored already stays stored,
 * and what it has not does not happen. #PF has the error code of a present page that must
 * not be written at the instruction's level, and CR2 is @gva of the event.
 *
 * REPLACE changes what memory gets, and nothing else: registers and flags become what they
 * do with ALLOW. The other watches decide about the new bytes as they would if the guest had
 * written them. An exchange stores them where it would have stored its own.
 *
 * Where several monitors have a say, all that ask are asked at once, each by an event of its
 * own, and the vCPU waits until all have answered. The strictest counts: KILL, which waits for
 * nobody; then GP, PF, DENY or a watch that denies, REPLACE, ALLOW. Of two that replace, the one
 * that attached first counts. The others that were asked are asked again then, about its bytes,
 * and cannot replace these. What is refused by a verdict is not asked about any more. When all
 * this is known, the monitors that log or deny the write get their events: VIGIL_EVENT_DENIED
 * says whether it happens, and new_ what is stored. Who has answered is not told.
 *
 * PAUSE does what VIGIL_PAUSE_VCPUS does with all vCPUs and no flag, and answers nothing: a
 * further verdict does. What that decides happens when the vCPU is resumed.
 *
 * With KILL, KVM_RUN of each vCPU returns -EIO and KVM_EXIT_INTERNAL_ERROR with the suberror
 * VIGIL_INTERNAL_ERROR_KILLED, from now on.
 *
 * Errors: -ENOENT no vCPU waits for it, or it has its verdict. -EOPNOTSUPP the event cannot
 * have this verdict, -EINVAL another field: if it was waiting, it still waits. -EINTR PAUSE: a
 * signal came first, and nothing is paused.
 */
struct vigil_verdict {
	__u64 seq;
	__u32 verdict;
	__u32 len;
	__u8  data[VIGIL_EVENT_DATA];
	__u64 reserved[2];
};

/**
 * struct vigil_change - argument of VIGIL_READ_CHANGE: a change that waits for a verdict
 * @seq:	of an event with VIGIL_EVENT_HELD and VIGIL_EVENT_CONTROL; -ENOENT when no
 *		vCPU waits for it
 * @buf:	user pointer
 * @offset:	of the first byte
 * @len:	bytes
 * @done:	out: bytes copied, less than @len at the end
 * @pad:	zero
 *
 * It reads the whole of what takes effect if it is allowed: of TRAP_TABLE and FAST_TRAP
 * each vector that changes, struct vigil_pv_trap[]; of set_gdt all descriptors, __u64[]; of
 * the others what new_ of the event has.
 */
struct vigil_change {
	__u64 seq;
	__u64 buf;
	__u32 offset;
	__u32 len;
	__u32 done;
	__u32 pad;
};

/* struct vigil_mem: flags */
#define VIGIL_MEM_GVA		(1 << 0) /* translate through @cr3 */

/**
 * struct vigil_mem - read or write guest memory through a monitor
 * @addr:	guest-physical, or guest-virtual with VIGIL_MEM_GVA
 * @len:	bytes, at most 1 MiB a call
 * @buf:	user pointer: out, of VIGIL_WRITE_MEM in
 * @cr3:	with VIGIL_MEM_GVA, zero otherwise; 0 is vCPU 0's address space,
 *		as said at struct vigil_watch
 * @flags:	VIGIL_MEM_*
 * @done:	out: bytes copied; less than @len where memory ends (-EFAULT only
 *		when that is 0)
 *
 * VIGIL_WRITE_MEM writes as the VMM does: the rights in the guest's tables do not count, and
 * no watch of any monitor is asked nor told. It is marked in the dirty log. A page table that
 * it changes holds at once, as if the guest had flushed its TLB; the four upper entries of
 * PAE paging hold from the next load of CR3 on. It is not atomic: a guest that runs may see a
 * part of it, so pause it first.
 *
 * Errors: -EINVAL a field; -EFAULT no memory, not mapped, or @buf; -EROFS the first byte is in a
 * read-only slot; -EPERM VIGIL_WRITE_MEM on a monitor that only reads; -EINTR; -ENOMEM.
 */
struct vigil_mem {
	__u64 addr;
	__u64 len;
	__u64 buf;
	__u64 cr3;
	__u32 flags;
	__u32 done;
};

/* struct vigil_pause: vcpu */
#define VIGIL_PAUSE_ALL		0xffffffff /* all vCPUs, and those that are still created */

/* struct vigil_pause: flags */
#define VIGIL_PAUSE_KEEP	(1 << 0) /* the pause outlasts its monitor, until VIGIL_RESUME */

/**
 * struct vigil_pause - argument of VIGIL_PAUSE_VCPUS and VIGIL_RESUME_VCPUS
 * @vcpu:	index, or VIGIL_PAUSE_ALL
 * @flags:	VIGIL_PAUSE_*; zero with VIGIL_RESUME_VCPUS
 *
 * When VIGIL_PAUSE_VCPUS returns, no vCPU that it names is in the guest, nor does vigil emulate
 * anything for it; and none begins to before the monitor calls VIGIL_RESUME_VCPUS for it, or
 * ends. Each monitor has its own pauses: a vCPU goes on when none pauses it any more. To pause
 * what one has paused changes only VIGIL_PAUSE_KEEP, and to resume what one has not paused
 * changes nothing.
 *
 * KVM_RUN of a paused vCPU waits, and ends by signals, by immediate_exit (-EINTR) and with the
 * VM, as usual. What the VMM has answered (kvm_run after KVM_EXIT_MMIO, KVM_EXIT_IO) takes effect
 * when the vCPU goes on: until then KVM_GET_REGS tells of the time before. The VMM itself may
 * set registers and memory of a VM that is paused.
 *
 * An event that waits for its verdict stays open, and can be answered.
 *
 * Errors: -EINVAL flags; -ENOENT no such vCPU; -EPERM a monitor that only reads; -EINTR a
 * signal came while vCPUs were leaving the guest: none is paused that was not before.
 */
struct vigil_pause {
	__u32 vcpu;
	__u32 flags;
};

/* struct vigil_vcpu_state: flags of VIGIL_SET_VCPU, at least one */
#define VIGIL_VCPU_REGS		(1 << 0) /* set regs */
#define VIGIL_VCPU_SREGS	(1 << 1) /* set sregs */

/**
 * struct vigil_translation - argument of VIGIL_TRANSLATE: where guest-virtual memory is now
 * @gva:	guest-virtual address
 * @cr3:	as in struct vigil_mem
 * @gpa:	out: the guest-physical address behind it, rights aside
 * @left:	out: bytes up to the end of the guest's page
 *
 * Errors: -EINVAL not an address in the guest's mode, or @cr3; -EFAULT not mapped; -ENOENT
 * the VM has no vCPU.
 */
struct vigil_translation {
	__u64 gva;
	__u64 cr3;
	__u64 gpa;
	__u64 left;
};

/**
 * struct vigil_vcpu_state - registers of a vCPU, stopped for a moment
 * @vcpu:	in: index (-ENOENT when there is none)
 * @flags:	VIGIL_GET_VCPU: zero; VIGIL_SET_VCPU: VIGIL_VCPU_*
 * @regs:	out: general registers
 * @sregs:	out: segments with their hidden part, tables, control registers
 * @lstar:	out: MSR_LSTAR, where SYSCALL of 64-bit code leads
 *
 * VIGIL_SET_VCPU sets @regs and @sregs of a vCPU that the same monitor has paused, as
 * KVM_SET_REGS and KVM_SET_SREGS do: with their checks, and what they forget is forgotten. An
 * event of any monitor that waits for a verdict there is withdrawn, and the instruction that it
 * was about does not happen. @lstar is not set.
 *
 * Errors of VIGIL_SET_VCPU: -EINVAL flags or @sregs; -ENOENT; -EBUSY the monitor does not pause
 * the vCPU; -EPERM it only reads; -EIO the VM is dead; -EINTR a fatal signal; -ENOMEM.
 */
struct vigil_vcpu_state {
	__u32 vcpu;
	__u32 flags;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	__u64 lstar;
};

/**
 * struct vigil_stats - counters of a VM, all vCPUs added up
 * @count:	in: room in @values; out: counters that exist
 * @pad:	zero
 * @values:	user pointer to __u64[]
 * @names:	user pointer to char[][VIGIL_NAME_LEN], or 0
 */
struct vigil_stats {
	__u32 count;
	__u32 pad;
	__u64 values;
	__u64 names;
};

/**
 * struct vigil_fail_entry - what KVM_EXIT_FAIL_ENTRY leaves in struct kvm_run
 * @hardware_entry_failure_reason: as KVM has it: EXITCODE, exit reason or
 *		VM-instruction error
 * @cpu:	as KVM has it
 * @pad:	zero
 * @why:	which of the CPU's checks the guest's state fails, in words,
 *		NUL-terminated; empty when vigil finds none
 *
 * At the address of kvm_run.fail_entry, whose two fields come first.
 */
struct vigil_fail_entry {
	__u64 hardware_entry_failure_reason;
	__u32 cpu;
	__u32 pad;
	char why[112];
};

/* struct vigil_hypercalls: flags */
#define VIGIL_HC_PAGE		(1 << 0) /* Xen's hypercalls, page and registers */
#define VIGIL_HC_EXIT_XEN	(1 << 1) /* KVM_EXIT_XEN for what the module does not answer */
/*
 * INT 0x82 makes a hypercall, and the page makes its hypercalls so while the guest has
 * opened them to user mode by set_hypercall_iopl.
 */
#define VIGIL_HC_INT82		(1 << 2)
#define VIGIL_HC_TRAPS		(1 << 3) /* trap tables: Documentation/hypercalls.rst */
/* The module emulates an instruction behind UD2 and the letters "xen", or "kvm". */
#define VIGIL_HC_FEP_XEN	(1 << 4)
#define VIGIL_HC_FEP_KVM	(1 << 5)

/* struct vigil_hypercalls: bits of @page below the address */
#define VIGIL_HC_ASKED		(1 << 0) /* there is such a page */
#define VIGIL_HC_BY_INT82	(1 << 1) /* the page makes its hypercalls by INT 0x82 */
#define VIGIL_HC_PAGES		4

/* struct vigil_hypercalls, struct vigil_iopl: refuse */
#define VIGIL_REFUSE_EPERM	0	/* the call returns -1, and the guest goes on */
#define VIGIL_REFUSE_FAULT	1	/* #GP at the instruction, error code 0 */

/**
 * struct vigil_hypercalls - which hypercalls a VM has, and who may make them
 * @flags:	VIGIL_HC_*; 0: the VM has KVM's hypercalls
 * @msr:	number of the MSR to which the guest writes the address of a page
 *		that it wants to be filled with hypercalls, 0x40000000 to
 *		0x4000ffff; 0: none
 * @max_iopl:	the highest @iopl that the guest may ask for
 * @iopl:	the least privileged level (CPL) whose hypercalls are accepted
 * @refuse:	VIGIL_REFUSE_*: what a hypercall from a level above @iopl gets
 * @pad:	zero
 * @kernel:	numbers that the module answers: bit 13 multicall, bit 29 the
 *		yield of sched_op, bit 55 set_hypercall_iopl; with VIGIL_HC_TRAPS
 *		also bit 0 set_trap_table, bit 2 set_gdt, bit 3 stack_switch, bit
 *		54 set_fast_trap
 * @user:	numbers that levels above 0 may call, when @iopl lets them
 * @user_max:	the numbers that the guest may add to @user
 * @page:	the pages that the guest has asked for last, the newest first: each the
 *		guest-physical address, VIGIL_HC_ASKED, and with VIGIL_HC_INT82
 *		VIGIL_HC_BY_INT82 or not; 0: none
 * @reserved:	zero
 *
 * VIGIL_SET_HYPERCALLS on a VM's fd, by the process that created the VM, sets all
 * of it. When the VM has a vCPU, and on a monitor's fd always, only @iopl, @refuse
 * and @user may differ from what they are; they hold from the next hypercall of
 * each vCPU on, also for one whose guest has asked for something else.
 *
 * VIGIL_SET_HYPERCALLS writes no page. A VMM that restores a guest passes the @page that
 * VIGIL_GET_HYPERCALLS has told, and brings back their contents with the guest's memory;
 * then they change when the guest opens or closes its hypercalls, as before. With zeros
 * vigil forgets them, for another guest in the same VM. On a monitor's fd @page is told,
 * and ignored when it is set.
 *
 * A real-mode guest counts as level 0, and virtual-8086 mode as level 3.
 * Numbers above 63 are never open to levels above the kernel's, and neither is 55, nor
 * 0, 2, 3, 4, 10, 23, 30 and 54 with VIGIL_HC_TRAPS. The kernel's level is 0, and 1 once it has called
 * set_trap_table.
 *
 * Errors: -EINVAL padding, an unknown flag, a wrong MSR, @iopl above @max_iopl,
 * @user beyond @user_max, a number in @kernel that the module does not know, one of
 * the kernel's own in @user_max, a @page without @msr, without VIGIL_HC_ASKED, with other
 * bits below the address, or beyond 52 bits; -EBUSY another field would change and there is a vCPU;
 * -EPERM another process, or on a monitor's fd another field would change.
 */
struct vigil_hypercalls {
	__u32 flags;
	__u32 msr;
	__u8  max_iopl;
	__u8  iopl;
	__u8  refuse;
	__u8  pad[5];
	__u64 kernel;
	__u64 user;
	__u64 user_max;
	__u64 page[VIGIL_HC_PAGES];
	__u64 reserved[3];
};

/*
 * Hypercalls that vigil adds to Xen's, in the numbers that Xen leaves to an
 * architecture.
 */
#define VIGIL_HYPERVISOR_set_fast_trap		54 /* (vector) */
#define VIGIL_HYPERVISOR_set_hypercall_iopl	55 /* (command, struct vigil_iopl *) */

/* Selectors of flat segments of ring 1, for 64-bit kernels; Xen has none. */
#define VIGIL_RING1_CS64	0xe039
#define VIGIL_RING1_DS64	0xe041

/* the command of set_hypercall_iopl */
#define VIGIL_IOPL_SET		0
#define VIGIL_IOPL_GET		1

/* struct vigil_iopl: scope */
#define VIGIL_IOPL_VCPU		0	/* this vCPU alone */
#define VIGIL_IOPL_VM		1	/* each vCPU that has nothing of its own */

/**
 * struct vigil_iopl - in the guest's memory: argument of set_hypercall_iopl
 * @iopl:	as in struct vigil_hypercalls
 * @scope:	VIGIL_IOPL_*; with VIGIL_IOPL_VM the calling vCPU gives up what it
 *		has of its own. VIGIL_IOPL_GET: in: whose values; a vCPU that has
 *		nothing of its own tells the VM's
 * @refuse:	VIGIL_REFUSE_*
 * @pad:	zero
 * @user:	as in struct vigil_hypercalls
 *
 * Any alignment. Only the kernel's level may call it. Returns 0, or a negative errno of Xen:
 * -EPERM from another level, or beyond max_iopl or user_max; -EINVAL a field or the
 * command; -EFAULT.
 */
struct vigil_iopl {
	__u8  iopl;
	__u8  scope;
	__u8  refuse;
	__u8  pad[5];
	__u64 user;
};

/* struct vigil_trap_end: why */
#define VIGIL_END_FRAME		1	/* a fault came while the frame was being built */
#define VIGIL_END_NO_HANDLER	2	/* the trap table has no handler for it */
#define VIGIL_END_RING0		3	/* it came in ring 0: no gate leads outwards */

/**
 * struct vigil_trap_end - a trap that has ended its VM (VIGIL_HC_TRAPS)
 * @why:	VIGIL_END_*
 * @vector:	of the trap
 * @cs:		code segment of its handler, 0: there is none
 * @ip:		address of its handler, or 0
 * @fault:	with VIGIL_END_FRAME: vector of the fault; its error code from bit 32 on
 * @address:	with a fault of vector 14: what it is about
 * @rip:	of the code that was interrupted; with INT n, at it or behind it
 * @cpl:	its level
 * @sp:		its stack pointer
 *
 * KVM_RUN returns -EIO and KVM_EXIT_INTERNAL_ERROR, with the suberror
 * KVM_INTERNAL_ERROR_DELIVERY_EV; this is in kvm_run.internal.data then, and ndata is 9.
 */
struct vigil_trap_end {
	__u64 why;
	__u64 vector;
	__u64 cs;
	__u64 ip;
	__u64 fault;
	__u64 address;
	__u64 rip;
	__u64 cpl;
	__u64 sp;
};

/**
 * struct vigil_pv_trap - a handler, as set_trap_table of a 64-bit guest presents it
 * @vector:	its number
 * @flags:	bits 0 and 1: the least privileged CPL for INT n; bit 2: RFLAGS.IF is
 *		clear in the handler
 * @cs:		code segment
 * @pad:	zero
 * @ip:		address
 */
struct vigil_pv_trap {
	__u8  vector;
	__u8  flags;
	__u16 cs;
	__u32 pad;
	__u64 ip;
};

/* struct vigil_pv: flags */
#define VIGIL_PV_TABLES		(1 << 0) /* set_trap_table has put vigil's tables in force */
#define VIGIL_PV_LONG		(1 << 1) /* in long mode; only with VIGIL_PV_TABLES */
#define VIGIL_PV_OWN_IOPL	(1 << 2) /* set_hypercall_iopl was called for this vCPU */

/**
 * struct vigil_pv - what a paravirtual guest has asked for, for one vCPU
 * @size:	sizeof(struct vigil_pv)
 * @flags:	VIGIL_PV_*
 * @iopl:	with VIGIL_PV_OWN_IOPL: as in struct vigil_iopl, else 0
 * @refuse:	the same
 * @kernel_ss:	of stack_switch; 0 in long mode
 * @pad:	zero
 * @user:	with VIGIL_PV_OWN_IOPL: as in struct vigil_iopl, else 0
 * @kernel_sp:	of stack_switch
 * @fast:	bit n % 64 of fast[n / 64]: set_fast_trap(n)
 * @nr_traps:	entries of @traps: there is room for so many, then: there are so many
 * @nr_gdt:	the same of @gdt; at most 7168
 * @traps:	user pointer to struct vigil_pv_trap[]
 * @gdt:	user pointer to __u64[], the descriptors below selector 0xe000
 * @nr_callbacks: as @nr_traps, of @callbacks; at most 8
 * @pad2:	zero
 * @callbacks:	user pointer to struct vigil_pv_trap[]; @vector is a CALLBACKTYPE_* of
 *		Xen's, and of @flags only bit 2 may be set
 * @gdt_frame:	the pages of guest memory that set_gdt has copied: the address of each,
 *		and bit 0; 0: none. update_descriptor finds its descriptor by them
 * @reserved:	zero
 *
 * VIGIL_GET_PV and VIGIL_SET_PV on a vCPU's fd. A VMM that saves a guest calls the
 * former for each vCPU beside KVM_GET_SREGS, and restores by KVM_SET_SREGS, then
 * VIGIL_SET_PV. What KVM_GET_SREGS tells of IDTR, GDTR, LDTR and TR is the guest's own
 * in any case.
 *
 * VIGIL_SET_PV makes the checks of the hypercalls, and takes all of it or nothing.
 * Errors: -EINVAL @size, a flag, padding, VIGIL_PV_LONG other than the vCPU's mode, or
 * what a hypercall would refuse; -EOPNOTSUPP tables, and the VM has no VIGIL_HC_TRAPS, or
 * the vCPU no paging that allows them; -ENOSPC VIGIL_GET_PV: room, @nr_traps, @nr_gdt
 * and @nr_callbacks then say how much; -EFAULT; -ENOMEM.
 */
struct vigil_pv {
	__u32 size;
	__u32 flags;
	__u8  iopl;
	__u8  refuse;
	__u16 kernel_ss;
	__u32 pad;
	__u64 user;
	__u64 kernel_sp;
	__u64 fast[4];
	__u32 nr_traps;
	__u32 nr_gdt;
	__u64 traps;
	__u64 gdt;
	__u32 nr_callbacks;
	__u32 pad2;
	__u64 callbacks;
	__u64 gdt_frame[14];
	__u64 reserved[5];
};

/* on /dev/vigil */
#define VIGIL_GET_VERSION	_IO(VIGIL_IOC, 0x00)
#define VIGIL_LIST_VMS		_IOWR(VIGIL_IOC, 0x01, struct vigil_vm_list)
#define VIGIL_ATTACH		_IOW(VIGIL_IOC, 0x02, struct vigil_attach)

/* on a VM fd */
#define VIGIL_CREATE_MONITOR	_IO(VIGIL_IOC, 0x10) /* argument: VIGIL_ATTACH_* */
#define VIGIL_SET_NAME		_IOW(VIGIL_IOC, 0x11, struct vigil_name)
#define VIGIL_SET_ATTACH	_IO(VIGIL_IOC, 0x13) /* argument: VIGIL_ATTACH_BY_* */
/* also on a monitor fd */
#define VIGIL_GET_HYPERCALLS	_IOR(VIGIL_IOC, 0x14, struct vigil_hypercalls)
#define VIGIL_SET_HYPERCALLS	_IOW(VIGIL_IOC, 0x15, struct vigil_hypercalls)
/*
 * What monitors that have ended have left behind goes on: vCPUs that they have paused with
 * VIGIL_PAUSE_KEEP; and the writes that wait because of VIGIL_ON_DEATH_PAUSE are
 * decided by the watches as they are now. Argument: 0, else -EINVAL. -EPERM: a monitor that
 * only reads; on a VM fd, another process than the VM's creator. Also on a monitor fd.
 */
#define VIGIL_RESUME		_IO(VIGIL_IOC, 0x16)
/* debug builds only: run the shadow auditor; 0, or -EUCLEAN with a kernel log */
#define VIGIL_AUDIT		_IO(VIGIL_IOC, 0x12)

/* on a vCPU fd */
#define VIGIL_GET_PV		_IOWR(VIGIL_IOC, 0x30, struct vigil_pv)
#define VIGIL_SET_PV		_IOW(VIGIL_IOC, 0x31, struct vigil_pv)

/* on a monitor fd (VIGIL_GET_STATS on a VM fd too) */
#define VIGIL_WATCH_ADD		_IOWR(VIGIL_IOC, 0x20, struct vigil_watch)
#define VIGIL_WATCH_DEL		_IOW(VIGIL_IOC, 0x21, __u32)
#define VIGIL_WATCH_LIST	_IOWR(VIGIL_IOC, 0x22, struct vigil_watch_list)
#define VIGIL_VERDICT		_IOW(VIGIL_IOC, 0x23, struct vigil_verdict)
#define VIGIL_READ_MEM		_IOWR(VIGIL_IOC, 0x24, struct vigil_mem)
#define VIGIL_GET_VCPU		_IOWR(VIGIL_IOC, 0x25, struct vigil_vcpu_state)
#define VIGIL_GET_STATS		_IOWR(VIGIL_IOC, 0x26, struct vigil_stats)
#define VIGIL_GET_INFO		_IOR(VIGIL_IOC, 0x27, struct vigil_vm_info)
#define VIGIL_READ_CHANGE	_IOWR(VIGIL_IOC, 0x28, struct vigil_change)
#define VIGIL_SET_QUEUE		_IOW(VIGIL_IOC, 0x29, struct vigil_queue)
#define VIGIL_PAUSE_VCPUS	_IOW(VIGIL_IOC, 0x2a, struct vigil_pause)
#define VIGIL_RESUME_VCPUS	_IOW(VIGIL_IOC, 0x2b, struct vigil_pause)
#define VIGIL_SET_VCPU		_IOW(VIGIL_IOC, 0x2c, struct vigil_vcpu_state)
#define VIGIL_WRITE_MEM		_IOWR(VIGIL_IOC, 0x2d, struct vigil_mem)
#define VIGIL_TRANSLATE		_IOWR(VIGIL_IOC, 0x2e, struct vigil_translation)

/* clang-format on */

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvigil - a monitor of a VM of /dev/vigil, in a program of one's own: find the VM, attach,
 * watch memory, take events, decide, read memory, registers and symbols.
 *
 * Return values. A function returns 0 or what it says, and a negative errno value when it has
 * failed. vigil_error() then says in words what happened, but for -EAGAIN and -EINTR, which are no
 * failures. A call that fails changes nothing.
 *
 * Addresses are the guest's, lengths are in bytes, times are in nanoseconds.
 *
 * Structures that a program shares with the library may grow at their end. Each call that takes
 * one takes its size too, which is sizeof(*it) in the program. A library that knows fewer
 * members refuses those that are not zero (-E2BIG); one that knows more takes the others for
 * zero.
 *
 * Threads. A handle (struct vigil_monitor, struct vigil_symbols) has no lock:
 * - Different handles never disturb each other.
 * - On one monitor any number of threads may call anything at any time, but for three calls:
 *   vigil_next_event() and vigil_events_ready() belong to one thread at a time, and
 *   vigil_detach() comes when no thread is in a call or uses an event of the monitor.
 * - On one table of symbols any number of threads may look up at any time. While
 *   vigil_symbols_define() or vigil_symbols_free() runs, no other thread may use the table.
 * - vigil_error() is of the calling thread.
 * The library starts no thread, and installs no handler of a signal. A child of fork() shares
 * the monitor: it must neither take events nor detach; it closes vigil_fd() instead.
 */
#ifndef LIBVIGIL_H
#define LIBVIGIL_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- errors ---- */

/**
 * vigil_error() - what the last failure in this thread was about
 *
 * Return: a sentence without its full stop, "" when no call has failed. It stays as it is until
 * the next failure in this thread.
 */
const char *vigil_error(void);

/* Room that vigil_quote() needs for @len bytes of text. */
#define VIGIL_QUOTE_ROOM(len) (4 * (len) + 1)

/**
 * vigil_quote() - text of a guest or of another user, as printable ASCII
 * @text: any bytes up to a NUL
 * @buf: gets the result, which is cut before an escape that does not fit
 * @room: size of @buf, at least 1
 *
 * Each byte outside 0x20 to 0x7e becomes \xNN and a backslash becomes two, so a terminal gets no
 * escape sequence, a line stays one line, and the bytes can still be told.
 * Return: @buf.
 */
const char *vigil_quote(const char *text, char *buf, size_t room);

/* ---- VMs ---- */

#define VIGIL_NAME_ROOM \
	64 /* bytes of a VM's or a counter's name, with its NUL */

/* struct vigil_vm_desc: flags */
#define VIGIL_DESC_DEAD (1u << 0) /* cannot run any more */

/**
 * struct vigil_vm_desc - a VM
 * @id: its number; none is used twice while the module is loaded
 * @pid: of the process that created it, as the caller sees processes
 * @uid: user of that process
 * @nr_vcpus: vCPUs created so far
 * @mem_bytes: its memory
 * @start_ns: CLOCK_BOOTTIME when it was created
 * @nr_monitors: monitors that watch it, without those that only read
 * @flags: VIGIL_DESC_*
 * @name: "" when it has none; another user may have chosen it: see vigil_quote()
 */
struct vigil_vm_desc {
	uint32_t id;
	uint32_t pid;
	uint32_t uid;
	uint32_t nr_vcpus;
	uint64_t mem_bytes;
	uint64_t start_ns;
	uint32_t nr_monitors;
	uint32_t flags;
	char name[VIGIL_NAME_ROOM];
};

/**
 * vigil_list() - the VMs that the caller may see
 * @device: path, or NULL: $VIGIL_DEVICE, else /dev/vigil
 * @list: out: an array, for free(); NULL after a failure
 * @size: sizeof(**list)
 *
 * Return: how many; -ENODEV no device, or not vigil's; -EPROTO the module has another version;
 * -ENOMEM.
 */
int vigil_list(const char *device, struct vigil_vm_desc **list, size_t size);

/* ---- monitors ---- */

struct vigil_monitor;

#define VIGIL_MONITOR_READ (1u << 0)
#define VIGIL_MONITOR_EVICT (1u << 1)

/**
 * vigil_attach() - attach to a VM
 * @mon: out: the monitor; NULL after a failure
 * @device: as for vigil_list()
 * @vm: number of the VM, or its name when one VM only has it
 * @flags: 0: to watch; a VM has up to 8 such monitors. VIGIL_MONITOR_READ: to look only, beside
 *	these. VIGIL_MONITOR_EVICT: to watch in the place of all who do, for CAP_SYS_ADMIN
 *
 * It takes what ptrace(2) on the VM's process takes, unless that process has said otherwise.
 *
 * Return: 0; -ENOENT no such VM; -EINVAL several have the name, or @flags; -EPERM; -EBUSY it has
 * as many that watch, or that look, as it can have; or as vigil_list().
 */
int vigil_attach(struct vigil_monitor **mon, const char *device, const char *vm,
		 unsigned int flags);

/**
 * vigil_attach_fd() - make a monitor of a file descriptor
 * @mon: out: the monitor; NULL after a failure
 * @fd: of VIGIL_CREATE_MONITOR on the caller's own VM, or what another process has sent. It
 *	becomes non-blocking, and belongs to @mon when the call succeeds
 *
 * Return: 0; -EINVAL @fd is no monitor, or of a module of another version; -ENOMEM.
 */
int vigil_attach_fd(struct vigil_monitor **mon, int fd);

/**
 * vigil_detach() - end a monitor, its watches, and its events
 * @mon: the monitor, or NULL
 *
 * Each held write goes on as on_death of its watch says.
 */
void vigil_detach(struct vigil_monitor *mon);

/* vigil_set_queue(): flags */
#define VIGIL_EVENTS_RING (1u << 0) /* in memory, taken without a system call */
#define VIGIL_EVENTS_WAIT \
	(1u << 1) /* a vCPU waits for room: no event is lost */

/**
 * vigil_set_queue() - where events wait for the monitor
 * @mon: a monitor that may watch, and has had no watch yet
 * @events: how many may wait, 1 to 65536; with VIGIL_EVENTS_RING a power of two
 * @flags: VIGIL_EVENTS_*
 *
 * It can be called once. Without it 1,024 events may wait, and further ones are lost:
 * vigil_event_dropped() counts them. vigil_next_event() takes events from any queue. Memory of the
 * events is the caller's, and a ring is not there in a child of fork().
 *
 * Return: 0; -EINVAL @events or @flags; -EBUSY there was a watch, or a call of this; -EPERM the
 * monitor only looks; -ENOMEM; or another -errno. When a ring cannot be mapped (-ENOMEM, -EAGAIN),
 * the monitor gets no events any more and is to be detached.
 */
int vigil_set_queue(struct vigil_monitor *mon, unsigned int events,
		    unsigned int flags);

/**
 * vigil_fd() - what to poll() for POLLIN beside other files
 * @mon: the monitor
 *
 * The library reads several events at once: call vigil_next_event() until it returns -EAGAIN, or
 * look at vigil_events_ready(), before poll().
 * Return: the file descriptor, which stays the monitor's.
 */
int vigil_fd(const struct vigil_monitor *mon);

/**
 * vigil_get_vm() - the monitor's VM, as it is now
 * @mon: the monitor
 * @vm: out
 * @size: sizeof(*vm)
 *
 * Return: 0 or -errno.
 */
int vigil_get_vm(struct vigil_monitor *mon, struct vigil_vm_desc *vm,
		 size_t size);

/* ---- watches ---- */

/* struct vigil_range: kind */
enum {
	VIGIL_AT_GPA = 0, /* @start is guest-physical */
	VIGIL_AT_GVA = 1, /* @start is guest-virtual */
	VIGIL_AT_CONTROL =
		2, /* @start is a VIGIL_CONTROL_* of <linux/vigil.h> */
};

/* struct vigil_range: action */
enum {
	VIGIL_DO_LOG = 0, /* the write happens, and is told */
	VIGIL_DO_ASK = 1, /* the vCPU is held until vigil_decide() */
	VIGIL_DO_DENY = 2, /* the write does not happen, and is told */
};

/*
 * struct vigil_range: on_death and on_timeout: the first two and VIGIL_PAUSE. vigil_decide():
 * verdict, all of them.
 */
enum {
	VIGIL_ALLOW = 0,
	VIGIL_DENY = 1, /* the guest goes on as if it had happened */
	VIGIL_FAULT_GP =
		2, /* it does not happen, and raises #GP in the guest */
	VIGIL_FAULT_PF = 3, /* the same with #PF */
	VIGIL_KILL = 5, /* it does not happen, and the VM ends */
	VIGIL_PAUSE =
		6, /* on_death: the vCPU waits for vigil_resume(); else see vigil_decide() */
};

/* Its layout is in <linux/vigil.h>, which a program that uses it includes as well. */
struct vigil_condition;

/**
 * struct vigil_range - bytes whose writes are told or decided, or a control
 * @start: first byte, or the control
 * @len: bytes, 1 to 16 MiB; of a control 1
 * @cr3: VIGIL_AT_GVA: the address space, by the address bits of CR3; 0: all of them
 * @kind: VIGIL_AT_*
 * @action: VIGIL_DO_*
 * @on_death: VIGIL_DO_ASK: VIGIL_ALLOW, VIGIL_DENY or VIGIL_PAUSE: what becomes of a held write
 *	without its monitor, and of one that cannot be held, for which VIGIL_PAUSE is VIGIL_DENY
 * @id: out: of the watch
 * @cookie: the program's own, in each event of the watch
 * @conditions: address of struct vigil_condition[], or 0: another action where one of them
 *	holds, the first that does
 * @nr_conditions: how many they are
 * @timeout_ms: VIGIL_DO_ASK: how long a held write waits for vigil_decide(), up to a day; 0:
 *	without end
 * @on_timeout: with @timeout_ms: VIGIL_ALLOW or VIGIL_DENY: what becomes of it then; VIGIL_PAUSE:
 *	the VM is paused, and it waits on
 * @reserved: 0
 */
struct vigil_range {
	uint64_t start;
	uint64_t len;
	uint64_t cr3;
	uint32_t kind;
	uint32_t action;
	uint32_t on_death;
	uint32_t id;
	uint64_t cookie;
	uint64_t conditions;
	uint32_t nr_conditions;
	uint32_t timeout_ms;
	uint32_t on_timeout;
	uint32_t reserved;
};

/**
 * vigil_watch_add() - watch, from now on until the monitor ends
 * @mon: a monitor that may watch
 * @range: what
 * @size: sizeof(*range)
 *
 * Return: 0; -EINVAL no such kind, action or range, or a control that the VM cannot have;
 * -EFAULT VIGIL_AT_GPA: no memory there; -ENOSPC too many; -E2BIG too many conditions; -EPERM it only reads; -EPIPE evicted;
 * -E2BIG the library does not know a member that is set.
 */
int vigil_watch_add(struct vigil_monitor *mon, struct vigil_range *range,
		    size_t size);

/**
 * vigil_watch_del() - watch no more
 * @mon: the monitor
 * @id: of struct vigil_range
 *
 * Held writes of the watch go on as its on_death says.
 * Return: 0; -ENOENT there is none; or another -errno.
 */
int vigil_watch_del(struct vigil_monitor *mon, uint32_t id);

/**
 * vigil_resume() - go on with what monitors before have left paused
 * @mon: a monitor that may watch
 *
 * That is the writes that wait because of VIGIL_PAUSE, and vCPUs with VIGIL_KEEP_PAUSED. The watches as they are now decide about them: add those that shall first.
 * Return: 0 or -errno.
 */
int vigil_resume(struct vigil_monitor *mon);

/* ---- events ---- */

/*
 * An event has the layout of struct vigil_event in <linux/vigil.h>, of the version of the
 * module's interface that the library was built for. The functions below stay what they are when
 * that version changes.
 */
struct vigil_event;

/**
 * vigil_next_event() - take the next event
 * @mon: a monitor that may watch
 * @ev: out: the event, which is there until the next call of this function or vigil_detach()
 * @timeout_ms: how long to wait for one; 0: not at all; -1: without end
 *
 * Return: 1; 0 when the VM is gone; -EAGAIN there is none; -EINTR a signal came; -EPIPE evicted;
 * or another -errno.
 */
int vigil_next_event(struct vigil_monitor *mon, const struct vigil_event **ev,
		     int timeout_ms);

/* How many events vigil_next_event() has at hand without asking the kernel. */
unsigned int vigil_events_ready(const struct vigil_monitor *mon);

/* Copies an event, to be kept or given to another thread. NULL: -ENOMEM. */
struct vigil_event *vigil_event_dup(const struct vigil_event *ev);
/* Frees a copy. */
void vigil_event_free(struct vigil_event *copy);

/**
 * vigil_decide() - let a held write happen, or not
 * @mon: the monitor
 * @seq: vigil_event_seq()
 * @verdict: VIGIL_ALLOW, VIGIL_DENY, VIGIL_FAULT_GP, VIGIL_FAULT_PF, VIGIL_KILL or VIGIL_PAUSE
 *
 * VIGIL_PAUSE pauses the whole VM, as vigil_pause() does, and the write waits on for another
 * verdict; vigil_unpause() lets the VM go on.
 *
 * Return: 0; -ENOENT no vCPU waits for it; -EOPNOTSUPP the event cannot have @verdict, and still
 * waits; -EINVAL @verdict; or another -errno.
 */
int vigil_decide(struct vigil_monitor *mon, uint64_t seq, unsigned int verdict);

/**
 * vigil_replace() - let other bytes be written than those of a held write
 * @mon: the monitor
 * @seq: vigil_event_seq()
 * @data: the bytes
 * @len: vigil_event_len()
 *
 * Return: 0; -ENOENT no vCPU waits for it; -EOPNOTSUPP it is about a control; -EINVAL @len; or
 * another -errno.
 */
int vigil_replace(struct vigil_monitor *mon, uint64_t seq, const void *data,
		  size_t len);

/* Counts the events of a monitor from 1. A gap tells of events that were lost or withdrawn. */
uint64_t vigil_event_seq(const struct vigil_event *ev);
/* CLOCK_MONOTONIC. */
uint64_t vigil_event_time(const struct vigil_event *ev);
/* cookie and id of its watch */
uint64_t vigil_event_cookie(const struct vigil_event *ev);
uint32_t vigil_event_watch(const struct vigil_event *ev);
uint32_t vigil_event_vm(const struct vigil_event *ev);
uint32_t vigil_event_vcpu(const struct vigil_event *ev);
/* Events that the monitor has lost so far. */
uint64_t vigil_event_dropped(const struct vigil_event *ev);

/* 1: the vCPU waits for vigil_decide(). */
int vigil_event_held(const struct vigil_event *ev);
/* 1: vigil_decide() takes this verdict on it; 0: -EOPNOTSUPP. */
int vigil_event_takes(const struct vigil_event *ev, unsigned int verdict);
/* 1: the write did not happen. */
int vigil_event_denied(const struct vigil_event *ev);
/* 1: a control changes; 0: memory is written. */
int vigil_event_is_control(const struct vigil_event *ev);

/*
 * Where the store begins. A store of the CPU's page walk has no guest-virtual address: then
 * vigil_event_gva() returns 0 and leaves @gva as it is, otherwise 1.
 */
int vigil_event_gva(const struct vigil_event *ev, uint64_t *gva);
uint64_t vigil_event_gpa(const struct vigil_event *ev);
/*
 * Bytes of vigil_event_old(), which were in memory, and of vigil_event_new(), which the guest
 * writes. Of a control they have what <linux/vigil.h> says.
 */
uint32_t vigil_event_len(const struct vigil_event *ev);
const void *vigil_event_old(const struct vigil_event *ev);
const void *vigil_event_new(const struct vigil_event *ev);

/* The instruction's address, and what the vCPU had before it. */
uint64_t vigil_event_rip(const struct vigil_event *ev);
uint64_t vigil_event_cr3(const struct vigil_event *ev);
uint64_t vigil_event_rflags(const struct vigil_event *ev);
unsigned int vigil_event_cpl(const struct vigil_event *ev);
/* 16, 32 or 64: of the code segment. */
unsigned int vigil_event_mode(const struct vigil_event *ev);
/* By the CPU's numbers: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15; 0 of any other. */
uint64_t vigil_event_reg(const struct vigil_event *ev, unsigned int reg);
/* The instruction's bytes, and in @len how many; NULL and 0 where they are not known. */
const void *vigil_event_insn(const struct vigil_event *ev, size_t *len);

/* Of a control: VIGIL_CONTROL_*, the hypercall's number, the first thing that changes, how many. */
uint32_t vigil_event_control(const struct vigil_event *ev);
uint32_t vigil_event_call(const struct vigil_event *ev);
uint32_t vigil_event_first(const struct vigil_event *ev);
uint32_t vigil_event_count(const struct vigil_event *ev);

/**
 * vigil_read_change() - the whole of a change of a control that is held
 * @mon: the monitor
 * @seq: of its event
 * @buf: out, as <linux/vigil.h> says at VIGIL_READ_CHANGE
 * @len: bytes that @buf has room for
 *
 * Return: bytes; -ENOENT no vCPU waits; or another -errno.
 */
long vigil_read_change(struct vigil_monitor *mon, uint64_t seq, void *buf,
		       size_t len);

/* ---- memory, registers ---- */

/**
 * vigil_read_phys() - guest-physical memory
 * @mon: the monitor
 * @gpa: guest-physical address
 * @buf: out
 * @len: bytes
 *
 * Return: bytes, fewer than @len where memory ends, 0 where none begins; or -errno.
 */
long vigil_read_phys(struct vigil_monitor *mon, uint64_t gpa, void *buf,
		     size_t len);

/**
 * vigil_read_virt() - guest-virtual memory
 * @mon: the monitor
 * @cr3: address space; 0: vCPU 0's, in which the kernel is mapped whatever runs
 * @gva: guest-virtual address
 * @buf: out; undefined after a failure
 * @len: bytes
 *
 * Return: 0 when all was read; -EFAULT not all is mapped; or another -errno.
 */
int vigil_read_virt(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    void *buf, size_t len);

/**
 * vigil_translate() - where guest-virtual memory is now
 * @mon: the monitor
 * @cr3: as of vigil_read_virt()
 * @gva: guest-virtual address
 * @gpa: out: guest-physical address
 * @left: out: bytes up to the end of the guest's page; may be NULL
 *
 * Return: 0; -EFAULT not mapped; -EINVAL not an address in the guest's mode; or another
 * -errno.
 */
int vigil_translate(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    uint64_t *gpa, uint64_t *left);

/**
 * struct vigil_registers - what a vCPU has in its registers
 * @regs: general registers, as KVM_GET_REGS tells them
 * @sregs: segments with their hidden parts, tables, control registers, as KVM_GET_SREGS does
 * @lstar: MSR_LSTAR, where SYSCALL of 64-bit code leads
 */
struct vigil_registers {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t lstar;
};

/**
 * vigil_get_registers() - stop a vCPU for a moment and read its registers
 * @mon: the monitor
 * @vcpu: number of the vCPU
 * @r: out
 * @size: sizeof(*r)
 *
 * Return: 0; -ENOENT no such vCPU; or another -errno.
 */
int vigil_get_registers(struct vigil_monitor *mon, unsigned int vcpu,
			struct vigil_registers *r, size_t size);

/* ---- a guest that stands still ---- */

/* vcpu of vigil_pause() and vigil_unpause(): all of them, and those that are still created */
#define VIGIL_ALL_VCPUS 0xffffffffu

/* vigil_pause(): flags */
#define VIGIL_KEEP_PAUSED \
	(1u << 0) /* the pause outlasts its monitor, until vigil_resume() */

/**
 * vigil_pause() - have a vCPU stand still, or all
 * @mon: a monitor that may watch
 * @vcpu: number of the vCPU, or VIGIL_ALL_VCPUS
 * @flags: VIGIL_KEEP_PAUSED or 0
 *
 * When it returns, the vCPU executes nothing until vigil_unpause(), or until the monitor ends.
 * Events that wait can be decided meanwhile.
 *
 * Return: 0; -ENOENT no such vCPU; -EINVAL @flags; -EPERM it only reads; -EPIPE evicted; -EINTR a
 * signal came first, and nothing is paused; or another -errno.
 */
int vigil_pause(struct vigil_monitor *mon, unsigned int vcpu,
		unsigned int flags);

/**
 * vigil_unpause() - go on with what this monitor has paused
 * @mon: the monitor
 * @vcpu: number of the vCPU, or VIGIL_ALL_VCPUS
 *
 * Return: 0, also when it has paused nothing; -ENOENT no such vCPU; or another -errno.
 */
int vigil_unpause(struct vigil_monitor *mon, unsigned int vcpu);

/* vigil_set_registers(): which */
#define VIGIL_SET_REGS (1u << 0)
#define VIGIL_SET_SREGS (1u << 1)

/**
 * vigil_set_registers() - give a vCPU other registers, which this monitor has paused
 * @mon: the monitor
 * @vcpu: number of the vCPU
 * @r: what vigil_get_registers() has told, changed; lstar is not set
 * @size: sizeof(*r)
 * @which: VIGIL_SET_*
 *
 * An event that waits there is withdrawn.
 * Return: 0; -EBUSY the monitor does not pause the vCPU; -EINVAL @which, or registers that no CPU
 * can have; -ENOENT no such vCPU; or another -errno.
 */
int vigil_set_registers(struct vigil_monitor *mon, unsigned int vcpu,
			const struct vigil_registers *r, size_t size,
			unsigned int which);

/**
 * vigil_write_phys() - write guest-physical memory
 * @mon: a monitor that may watch
 * @gpa: guest-physical address
 * @buf: the bytes
 * @len: how many
 *
 * No watch is asked nor told. A guest that runs may see a part of it: pause it first.
 * Return: bytes, fewer than @len where memory ends or is read-only; or -errno.
 */
long vigil_write_phys(struct vigil_monitor *mon, uint64_t gpa, const void *buf,
		      size_t len);

/**
 * vigil_write_virt() - write guest-virtual memory, whatever the guest's own rights are
 * @mon: a monitor that may watch
 * @cr3: address space; 0: as vigil_read_virt()
 * @gva: guest-virtual address
 * @buf: the bytes
 * @len: how many
 *
 * Return: 0 when all was written; -EFAULT not all is mapped, and what comes before is written; or
 * another -errno.
 */
int vigil_write_virt(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		     const void *buf, size_t len);

/* ---- counters ---- */

/**
 * struct vigil_counter - one thing that was counted, all vCPUs added up
 * @name: as vigil-stat(1) shows it
 * @value: how often
 */
struct vigil_counter {
	char name[VIGIL_NAME_ROOM];
	uint64_t value;
};

/**
 * vigil_get_counters() - the VM's counters
 * @mon: the monitor
 * @list: out: an array, for free(); NULL after a failure
 * @size: sizeof(**list)
 *
 * Return: how many, or -errno.
 */
int vigil_get_counters(struct vigil_monitor *mon, struct vigil_counter **list,
		       size_t size);

/* ---- hypercalls ---- */

/* Its layout is in <linux/vigil.h>, which a program that uses it includes as well. */
struct vigil_hypercalls;

/**
 * vigil_get_hypercalls() - which hypercalls the VM has, and who may make them
 * @mon: the monitor
 * @h: out
 * @size: sizeof(*h)
 *
 * Return: 0; -EINVAL @size is of another version of <linux/vigil.h>; or another -errno.
 */
int vigil_get_hypercalls(struct vigil_monitor *mon, struct vigil_hypercalls *h,
			 size_t size);

/**
 * vigil_set_hypercalls() - who may make hypercalls, from the next one on
 * @mon: a monitor that may watch
 * @h: what vigil_get_hypercalls() has told, with another iopl, refuse or user
 * @size: sizeof(*h)
 *
 * Return: 0; -EINVAL the VM's creator does not allow it, or @size; or another -errno.
 */
int vigil_set_hypercalls(struct vigil_monitor *mon,
			 const struct vigil_hypercalls *h, size_t size);

/* ---- symbols of a guest's Linux kernel ---- */

struct vigil_symbols;

/**
 * struct vigil_symbol - a symbol
 * @addr: guest-virtual address
 * @name: went through vigil_quote(); as long as the table lives
 * @module: of which it is, in the same way; NULL: the kernel's own
 * @type: a letter as nm(1) has it, or '?'
 */
struct vigil_symbol {
	uint64_t addr;
	const char *name;
	const char *module;
	char type;
};

/**
 * vigil_symbols_load() - the symbols of the kernel that runs in a guest
 * @t: out: the table, for vigil_symbols_free(); NULL after a failure
 * @mon: any monitor of the VM
 * @file: NULL: the kernel's own tables are looked for in guest memory, which takes a moment;
 *	else a System.map, a dump of /proc/kallsyms or an ELF vmlinux, whose addresses are moved
 *	to where KASLR has put this kernel
 *
 * Return: 0; -ENOENT none found, or not of the kernel that runs; -ENOEXEC not a file of symbols,
 * or memory has what may be forged; -ENOMEM; or another -errno.
 */
int vigil_symbols_load(struct vigil_symbols **t, struct vigil_monitor *mon,
		       const char *file);

/* Makes an empty table, for vigil_symbols_define(). Return: 0 or -ENOMEM. */
int vigil_symbols_new(struct vigil_symbols **t);

/* Frees a table; NULL is nothing. */
void vigil_symbols_free(struct vigil_symbols *t);

/**
 * vigil_symbols_define() - add a symbol, in the place of all others of its name
 * @t: the table
 * @def: NAME=ADDR, the address in hexadecimal, with 0x or not
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int vigil_symbols_define(struct vigil_symbols *t, const char *def);

/**
 * vigil_symbols_parse() - the address of NAME, MODULE:NAME, NAME+OFFSET or NAME=ADDR
 * @t: the table
 * @expr: what a person wrote
 * @addr: out
 *
 * Return: 0; -ENOENT no such symbol; -EINVAL several have the name, or a bad offset.
 */
int vigil_symbols_parse(const struct vigil_symbols *t, const char *expr,
			uint64_t *addr);

/**
 * vigil_symbols_len() - bytes up to the next symbol
 * @t: the table, or NULL
 * @addr: guest-virtual address
 *
 * Return: 1 to 16 MiB; 8 where that is not known.
 */
uint64_t vigil_symbols_len(const struct vigil_symbols *t, uint64_t addr);

/**
 * vigil_symbols_text() - an address as "name+0x10" or "module:name+0x10"
 * @t: the table, or NULL
 * @addr: guest-virtual address
 * @buf: gets the text, "" where no symbol is near
 * @len: bytes at @buf, at least 1
 *
 * Return: @buf.
 */
const char *vigil_symbols_text(const struct vigil_symbols *t, uint64_t addr,
			       char *buf, size_t len);

/* How many symbols there are. */
size_t vigil_symbols_count(const struct vigil_symbols *t);

/**
 * vigil_symbols_get() - a symbol by its place in the order of addresses
 * @t: the table
 * @i: 0 to vigil_symbols_count() - 1
 * @s: out
 * @size: sizeof(*s)
 *
 * Return: 0, or -ENOENT.
 */
int vigil_symbols_get(const struct vigil_symbols *t, size_t i,
		      struct vigil_symbol *s, size_t size);

/**
 * vigil_symbols_at() - the symbol at an address, or before it
 * @t: the table
 * @addr: guest-virtual address
 * @s: out
 * @size: sizeof(*s)
 * @off: out: @addr less the symbol's address; or NULL
 *
 * Return: 0, or -ENOENT when none is near.
 */
int vigil_symbols_at(const struct vigil_symbols *t, uint64_t addr,
		     struct vigil_symbol *s, size_t size, uint64_t *off);

/* Where the symbols come from, in words. As long as the table lives. */
const char *vigil_symbols_origin(const struct vigil_symbols *t);
/* What was added to the addresses of a file. */
uint64_t vigil_symbols_slide(const struct vigil_symbols *t);
/* 1: a file did not tell where KASLR has put the kernel; its addresses are as they stood. */
int vigil_symbols_unmoved(const struct vigil_symbols *t);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

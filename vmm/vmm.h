/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core's own structures: VM, vCPU, memory slot.
 *
 * A letter behind a field says what protects it:
 *   [I] immutable after creation
 *   [m] vm->lock (mutex): slots, vCPU creation
 *   [v] vcpu->mutex: only the thread that holds the vCPU touches it
 *   [s] shadow lock (vm->shadow.lock)
 *   [a] atomic or READ_ONCE/WRITE_ONCE
 *   [r] read under SRCU (vm->srcu), replaced under [m]
 * Documentation/locking.rst has the order of the locks.
 */
#ifndef VIGIL_VMM_H
#define VIGIL_VMM_H

#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/wait.h>

#include "uapi/vigil.h"
#include "arch.h"
#include "compat.h"
#include "types.h"
#include "vmm/insn/emulate.h"
#include "vmm/monitor/stat.h"

#define VIGIL_MAX_VCPUS 64
#define VIGIL_MAX_SLOTS 512
#define VIGIL_MAX_CPUID 128
/* a vCPU's mmap: struct kvm_run, then the data page of PIO exits */
#define VIGIL_PIO_PAGE_OFFSET 1
#define VIGIL_VCPU_MMAP_PAGES 2

#include "shadow/shadow.h"

struct vigil_vm;
struct vigil_vcpu;

/* general register numbers are the instruction encoding's */
enum vigil_reg {
	REG_RAX,
	REG_RCX,
	REG_RDX,
	REG_RBX,
	REG_RSP,
	REG_RBP,
	REG_RSI,
	REG_RDI,
	REG_R8,
	REG_R9,
	REG_R10,
	REG_R11,
	REG_R12,
	REG_R13,
	REG_R14,
	REG_R15,
	NR_REGS
};

enum vigil_seg {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS,
	SEG_LDTR,
	SEG_TR,
	NR_SEGS
};

/**
 * struct vigil_slot - guest-physical range backed by memory of the VMM process
 * @base:	first page
 * @npages:	pages, not 0
 * @uaddr:	where the VMM's process has the memory
 * @flags:	KVM_MEM_*
 * @id:		KVM_SET_USER_MEMORY_REGION's number of the slot
 * @dirty:	NULL, or two bitmaps of @bitmap_bytes each: the live one, and behind
 *		it the copy that a harvest hands out
 * @bitmap_bytes: a bit for each page, rounded up to 64
 * @arch:	what shadow/ keeps for the slot
 *
 * Immutable once published, except the bitmap's bits and what shadow/ keeps in
 * @arch. A change replaces the slot by a new one.
 */
struct vigil_slot {
	gfn_t base;
	unsigned long npages;
	hva_t uaddr;
	u32 flags;
	u16 id;
	unsigned long *dirty;
	size_t bitmap_bytes;
	struct shadow_slot arch;
};

/* [r] the slots of a VM, sorted by base, never overlapping */
struct vigil_slots {
	struct rcu_head rcu;
	u64 generation;
	unsigned int count;
	struct vigil_slot *slot[];
};

struct vigil_vm {
	refcount_t users; /* VM fd, vCPU fds, monitor fds */
	atomic_t handles; /* VM fd, vCPU fds */
	u32 id; /* [I] */
	kuid_t owner; /* [I] euid of the creator */
	struct user_namespace *user_ns; /* [I] */
	struct pid *pid; /* [I] creator's thread group */
	struct mm_struct *mm; /* [I] guest memory lives here */
	u64 start_ns; /* [I] */
	struct list_head link; /* vigil_vms_lock */
	char name[VIGIL_NAME_LEN]; /* [m] */
	struct mutex lock; /* [m] */
	struct srcu_struct srcu;
	struct vigil_slots __rcu *slots; /* [r] */
	unsigned int nr_vcpus; /* [m] writes, [a] reads */
	struct vigil_vcpu *vcpus[VIGIL_MAX_VCPUS]; /* [a] published by nr_vcpus */
	const char *dead; /* [a] why this VM cannot run any more */
	struct mmu_notifier notifier;
	/*
	 * mmu-notifier protocol: a fault handler samples notify_seq, looks up
	 * the page, takes the shadow lock, and retries when the sequence moved
	 * or an invalidation of its range is under way (vm_notify_retry()).
	 */
	unsigned long notify_seq; /* [s] */
	unsigned long notify_count; /* [s] invalidations under way */
	hva_t notify_start, notify_end; /* [s] union of them */
	struct shadow_vm shadow;
	struct vigil_watches __rcu *watches; /* [r] watch.c */
	struct list_head monitors; /* [m] monitor.c */
	unsigned int nr_monitors; /* [m] without those that only read */
	unsigned int nr_readers; /* [m] read-only monitors */
	wait_queue_head_t monitor_wq; /* monitors wait: events, vm->dead */
	atomic_t srcu_syncs; /* vm_synchronize() under way */
	wait_queue_head_t srcu_wq; /* vCPUs wait: that it ends */
	struct dentry *debugfs; /* [I] stat.c */
	void *vendor; /* [I] the vendor's part */
	u64 tsc_khz; /* [I] */
	u32 hypercall_exits; /* [a] numbers that go to the VMM */
};

/* vcpu->mode: where the vCPU's thread is, for kicks */
enum { VCPU_OUTSIDE, VCPU_IN_GUEST, VCPU_EXITING };

/* bits of vcpu->requests */
enum vigil_request {
	REQ_FLUSH_TLB, /* flush this vCPU's guest TLB tag before entry */
	REQ_LOAD_ROOT, /* the shadow root is gone: find a new one */
	REQ_EVENT, /* look for events to inject */
	REQ_SRCU, /* drop and retake the SRCU read lock */
	REQ_SNAPSHOT, /* a monitor wants the registers */
	REQ_DEAD, /* vm->dead is set */
};

struct vigil_exception {
	bool pending, injected;
	bool has_error_code;
	u8 vector;
	u32 error_code;
	bool has_payload; /* CR2 or DR6 is written when it is delivered */
	u64 payload;
};

struct vigil_events {
	struct vigil_exception exception;
	bool irq_pending; /* KVM_INTERRUPT, not yet given to the CPU */
	bool irq_injected; /* given to the CPU, not yet delivered */
	u8 irq_vector;
	unsigned int nmi_pending;
	bool nmi_injected;
	bool nmi_masked; /* between delivery and IRET */
	bool triple_fault; /* shutdown: event_inject() ends the run */
};

/* what cpuid.c derives from the CPUID that userspace set */
struct vigil_cpuid_index {
	u8 head[128]; /* by leaf's low bits and class */
	u8 next[VIGIL_MAX_CPUID]; /* chains, ended by 0xff */
	u32 features; /* GUEST_*: cpuid.h */
	u32 xsave_size; /* leaf 0xD EBX, for XCR0 as it is */
	u32 xsave_compact; /* the same, compacted */
};

#define VIGIL_MTRR_VAR 8
#define VIGIL_MCE_BANKS 32

/* MSRs that the core keeps and nobody else reads */
struct vigil_msrs {
	u64 mtrr_deftype;
	u64 mtrr_fixed[11];
	u64 mtrr_var[VIGIL_MTRR_VAR * 2];
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 mce[VIGIL_MCE_BANKS * 4];
	u64 ucode_rev;
	u64 syscfg, hwcr;
};

struct vigil_vcpu {
	struct vigil_vm *vm; /* [I] */
	u32 index; /* [I] position in vm->vcpus */
	u32 id; /* [I] KVM_CREATE_VCPU's argument */
	struct mutex mutex; /* [v] held by every vCPU ioctl */
	struct kvm_run *run; /* [I] shared with userspace: hostile */
	struct page *run_pages; /* [I] */
	int cpu; /* [a] last CPU it was loaded on, -1 */
	int mode; /* [a] VCPU_* */
	unsigned long requests; /* [a] enum vigil_request */
	struct preempt_notifier preempt;
	bool loaded; /* [v] preempt notifier registered */
	bool on_hw; /* [v] the vendor's part is loaded: host.h */
	int srcu_idx; /* [v] */
	struct pid *pid; /* [a] last thread that ran it */

	/*
	 * Register state, [v]. Between exit and entry regs/rip/rflags/cr2 hold
	 * the truth; the vendor loads them before and fills them in after the
	 * guest runs. Segments, descriptor tables and CPL live in the
	 * VMCB/VMCS: vmm_ops->get_segment() and friends.
	 */
	unsigned long regs[NR_REGS];
	unsigned long rip;
	unsigned long rflags;
	unsigned long cr0, cr2, cr3, cr4, cr8; /* as the guest sees them */
	u64 efer;
	u64 xcr0;
	u64 tsc_offset;
	u64 pat;
	u64 apic_base;
	u64 misc_enable;
	u64 tsc_aux;
	u64 xss;
	unsigned long dr[4], dr6, dr7;
	bool dr_loaded; /* guest values are in the CPU */
	u8 mp_state; /* KVM_MP_STATE_* */
	struct vigil_events events; /* [v] */
	struct fpu_guest fpu; /* [v] fpu.c */
	u8 *fpu_image; /* fpu_save_state(): NULL before the first */

	/* CPUID as userspace set it, [v] */
	struct kvm_cpuid_entry2 *cpuid;
	int nr_cpuid;
	u8 maxphyaddr;
	u64 cr4_reserved; /* CR4 bits that raise #GP */
	u64 efer_reserved;
	u64 guest_xcr0_mask;
	u64 cr3_reserved; /* in long mode */
	struct vigil_cpuid_index cpuid_index;
	struct vigil_msrs msrs; /* [v] msr.c */

	struct shadow_vcpu shadow; /* [v] */

	/* instruction being emulated, [v] emulctl.c */
	struct emul_ctxt emul;
	bool emul_active; /* waits for userspace or a monitor */
	int emul_errno; /* why the emulator gave up, 0: unknown insn */
	struct { /* what the fault that led here was walked to */
		bool valid;
		u32 access; /* PFERR_W, PFERR_U */
		gva_t page;
		gpa_t gpa;
	} xlat;
	struct vigil_unprotected { /* [v] exit.c */
		unsigned long rip;
		gfn_t gfn;
		u64 exits;
		unsigned int times;
	} unprotected;
	struct vigil_io { /* pending port, MMIO or hypercall exit */
		int kind; /* of what vcpu->complete ends: IO_... */
		u8 size;
		bool in;
		bool string;
		u16 port;
		u32 count, done; /* elements of INS */
		u8 part; /* of an element that crosses a page */
		gpa_t gpa;
		unsigned int len;
		unsigned long next_rip;
	} io;
	struct vigil_mmio_queue {
		unsigned int next, count;
		struct {
			gpa_t gpa;
			unsigned int len;
			u8 data[8];
		} frag[16];
		u8 in[EMUL_MAX_ACCESS]; /* of a read, as it comes in */
	} mmio;
	int (*complete)(struct vigil_vcpu *vcpu); /* before the next entry */

	void *held; /* monitor.c: event that waits for a verdict */
	struct mutex snapshot_lock; /* [n] one asker at a time: view.c */
	struct vigil_vcpu_state *snapshot; /* view.c */
	wait_queue_head_t wq; /* woken by kicks and verdicts */
	sigset_t sigset;
	bool sigset_active;

	/* cache of the last instruction page: fetch.c; dropped by any flush */
	struct {
		unsigned long page; /* linear, ~0 when empty */
		hva_t hva;
		u64 generation;
	} fetch;

	struct vigil_vcpu_stat stat; /* [v] writes, [a] reads */
	void *vendor; /* [I] the vendor's part */
};

enum { IO_NONE, IO_PIO, IO_MMIO, IO_HYPERCALL };

/* ---- vm.c ---- */
void vigil_vm_get(struct vigil_vm *vm);
void vigil_vm_put(struct vigil_vm *vm);
/* a VM or vCPU fd is closed: put, and the VM ends with the last of them */
void vigil_vm_close(struct vigil_vm *vm);
/**
 * vigil_vm_kill() - end a VM for a reason that its owner is told
 * @vm:		the VM
 * @reason: static string
 *
 * Any context. Every vCPU leaves the guest; KVM_RUN then gives
 * KVM_EXIT_INTERNAL_ERROR and -EIO from there on. The first reason stays.
 */
void vigil_vm_kill(struct vigil_vm *vm, const char *reason);
/**
 * vm_synchronize() - nobody looks at what was replaced before the call
 * @vm:		the VM
 *
 * synchronize_srcu() of vm->srcu, which vCPUs hold while their guests run: they
 * let go, and wait outside until it is over. One that took the lock again at
 * once would hold up the grace period just the same, as it may be counted where
 * it was before.
 */
void vm_synchronize(struct vigil_vm *vm);

/* ---- vcpu.c ---- */
/**
 * vigil_request() - ask a vCPU to do something before it next enters
 * @vcpu:	the vCPU
 * @r:		what to do
 *
 * Any context. Does not kick: a vCPU in the guest goes on until
 * vigil_kick().
 */
static inline void vigil_request(struct vigil_vcpu *vcpu, enum vigil_request r)
{
	/* pairs with the mode store before the last look at requests */
	smp_wmb();
	set_bit(r, &vcpu->requests);
}

/* returns true once, with what was written before the request visible */
static inline bool vigil_test_request(struct vigil_vcpu *vcpu,
				      enum vigil_request r)
{
	if (!test_bit(r, &vcpu->requests))
		return false;
	clear_bit(r, &vcpu->requests);
	smp_mb__after_atomic();
	return true;
}

void vigil_kick(struct vigil_vcpu *vcpu);
/**
 * vigil_request_all() - ask every vCPU of a VM to do something before it next enters
 * @vm:		the VM
 * @r:		what to do
 * @wait:	until each vCPU that was in the guest has left it
 *
 * A vCPU sees the request before it enters again. May be called under the shadow
 * lock, interrupts on.
 */
void vigil_request_all(struct vigil_vm *vm, enum vigil_request r, bool wait);

#define vigil_for_each_vcpu(i, vcpu, vm)                         \
	for ((i) = 0; (i) < smp_load_acquire(&(vm)->nr_vcpus) && \
		      ((vcpu) = (vm)->vcpus[i], true);           \
	     (i)++)

/* ---- slot.c ---- */
/*
 * What a slot needs is as large as its VMM says: it is not worth the life of a
 * process, and failing is nothing to tell the kernel log of.
 */
#define GFP_SLOT (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
/**
 * vigil_slot_affordable() - may a slot take so much of the host's memory?
 * @pages: that are going to be allocated for it
 *
 * Half of what is available now at most: the rest of the host goes on.
 */
bool vigil_slot_affordable(unsigned long pages);
struct vigil_slot *vigil_slot_of(struct vigil_slots *slots, gfn_t gfn);
/* under vm->srcu or vm->lock */
static inline struct vigil_slots *vigil_slots(struct vigil_vm *vm)
{
	return srcu_dereference_check(vm->slots, &vm->srcu,
				      lockdep_is_held(&vm->lock));
}

static inline struct vigil_slot *vigil_gfn_slot(struct vigil_vm *vm, gfn_t gfn)
{
	return vigil_slot_of(vigil_slots(vm), gfn);
}

static inline hva_t vigil_slot_hva(const struct vigil_slot *slot, gfn_t gfn)
{
	return slot->uaddr + ((gfn - slot->base) << PAGE_SHIFT);
}

/* ---- gmem.c: every access to guest memory ---- */
/* sleep, in the VMM's mm, under vm->srcu; -EFAULT where no memory is */
int gmem_read(struct vigil_vm *vm, gpa_t gpa, void *buf, unsigned int len);
/* marks dirty and tells shadow/; does not look at watches */
int gmem_write(struct vigil_vm *vm, gpa_t gpa, const void *buf,
	       unsigned int len);
/**
 * gmem_cmpxchg() - compare and exchange of 1, 2, 4, 8 or 16 aligned bytes
 * @vm:		the VM
 * @gpa:	of the first byte, aligned to @len
 * @old:	in: what should be there; out: what is there
 * @new:	what to store
 * @len:	1, 2, 4, 8 or 16
 *
 * Return: 0 stored, 1 not equal (@old then holds what is there), -EFAULT.
 */
int gmem_cmpxchg(struct vigil_vm *vm, gpa_t gpa, void *old, const void *new,
		 unsigned int len);
/* from any process: vm->mm is not current->mm. Returns bytes done */
long gmem_read_remote(struct vigil_vm *vm, gpa_t gpa, void *buf, size_t len);
/**
 * gmem_pfn() - the host page frame behind a gfn
 * @vm:		the VM
 * @slot:	that has @gfn, or NULL
 * @gfn:	guest page frame number
 * @write:	the guest is about to write
 * @writable:	out: the page may be mapped writable
 * @pfn:	out: host page frame number
 *
 * Sleeps. No reference is kept: the caller uses the notifier protocol.
 * Return: 0; -ENOENT no slot (MMIO); -EROFS write to a read-only slot;
 * -EFAULT the VMM has no such memory; -EINTR a fatal signal; -EHWPOISON.
 */
int gmem_pfn(struct vigil_vm *vm, struct vigil_slot *slot, gfn_t gfn,
	     bool write, bool *writable, unsigned long *pfn);

/* [s]: must the fault be retried? */
static inline bool vm_notify_retry(struct vigil_vm *vm, unsigned long seq,
				   hva_t hva)
{
	if (vm->notify_count && hva >= vm->notify_start && hva < vm->notify_end)
		return true;
	/* pairs with the write side in notifier.c */
	smp_rmb();
	return vm->notify_seq != seq;
}

/* ---- dirty.c ---- */
static inline bool slot_logs_dirty(const struct vigil_slot *slot)
{
	return slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* [a]: set before the page is made writable; any context */
static inline void dirty_mark(struct vigil_slot *slot, gfn_t gfn)
{
	unsigned long rel = gfn - slot->base;

	/* harvest clears: test first, the line stays shared */
	if (slot->dirty && !test_bit_le(rel, slot->dirty))
		set_bit_le(rel, slot->dirty);
}

/* ---- watch.c ---- */
/* is any byte of this guest page watched? any context, under vm->srcu */
bool watch_gfn(struct vigil_vm *vm, gfn_t gfn);

/* ---- inject.c ---- */
void event_exception(struct vigil_vcpu *vcpu, u8 vector);
void event_exception_ec(struct vigil_vcpu *vcpu, u8 vector, u32 error_code);
void event_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 error_code);
static inline void event_gp(struct vigil_vcpu *vcpu)
{
	event_exception_ec(vcpu, X86_TRAP_GP, 0);
}

static inline void event_ud(struct vigil_vcpu *vcpu)
{
	event_exception(vcpu, X86_TRAP_UD);
}

/* ---- cpu modes ---- */
static inline bool is_paging(const struct vigil_vcpu *vcpu)
{
	return vcpu->cr0 & (1ul << 31);
}

static inline bool is_protmode(const struct vigil_vcpu *vcpu)
{
	return vcpu->cr0 & 1;
}

static inline bool is_pae(const struct vigil_vcpu *vcpu)
{
	return vcpu->cr4 & (1ul << 5);
}

static inline bool is_long_mode(const struct vigil_vcpu *vcpu)
{
	return vcpu->efer & (1ull << 10); /* EFER.LMA */
}

#endif

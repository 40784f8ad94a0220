/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vCPU: its state, its fd, and what others ask of it. vm.h has the letters that say
 * what protects a field.
 */
#ifndef VIGIL_VCPU_H
#define VIGIL_VCPU_H

#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/wait.h>

#include "arch.h"
#include "vm.h"
#include "vmm/insn/emulate.h"
#include "vmm/monitor/stat.h"

#define VIGIL_MAX_CPUID 128
/* Instructions that stay decoded; most that fault are of few places. */
#define VCPU_DECODED_BITS 5
/* What a vCPU's fd maps: struct kvm_run, then the data page of PIO exits. */
#define VIGIL_PIO_PAGE_OFFSET 1
#define VIGIL_VCPU_MMAP_PAGES 2

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

/*
 * vcpu->change: there is none; a monitor is asked; it has allowed it, refused it, or refused
 * it by a #GP
 */
enum { CHANGE_NONE, CHANGE_ASKED, CHANGE_GO, CHANGE_SKIP, CHANGE_GP };

/* vcpu->mode: where the vCPU's thread is, for kicks */
enum { VCPU_OUTSIDE, VCPU_IN_GUEST, VCPU_EXITING };

/* bits of vcpu->requests */
enum vigil_request {
	REQ_FLUSH_TLB, /* flush this vCPU's guest TLB tag before entry */
	REQ_LOAD_ROOT, /* the shadow root is gone: find a new one */
	REQ_EVENT, /* look for events to inject */
	REQ_SRCU, /* drop and retake the SRCU read lock */
	REQ_SETTLE, /* vm_settle() waits until this vCPU comes by */
	REQ_SNAPSHOT, /* a monitor wants the registers, or gives others */
	REQ_TABLES, /* a monitor has written memory, perhaps tables: flush as the guest would */
	REQ_PAUSE, /* a monitor may have paused it; stays set while one has: pause.c */
	REQ_TSC, /* tsc_offset was changed for it: tell the CPU */
	REQ_CONTROLS, /* vm->controls has changed: choose anew what exits */
	REQ_MSR_MAP, /* vm->msr_filter has changed: choose the map of MSRs anew */
	REQ_DEAD, /* vm->dead is set */
};

struct vigil_exception {
	bool pending, injected;
	bool has_error_code;
	u8 vector;
	u32 error_code;
	/* INT n of any vector, given to the CPU as an interrupt */
	bool soft;
	/* of it: RIP behind it; once it is injected, RIP at it */
	unsigned long next_rip;
	bool has_payload; /* CR2, DR6 or RIP is written when it is delivered */
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

/* What cpuid.c derives from the CPUID that userspace has set. */
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
	u64 arch_capabilities;
	u64 syscfg, hwcr, power_ctl;
	u64 platform_info, misc_features; /* CPUID faulting */
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
	bool inside; /* [a] between vcpu_enter() and vcpu_leave() */
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
	u64 tsc_offset; /* tsc_resume() changes it while tasks are frozen */
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

	/* [v] the instruction that is being emulated (emulctl.c) */
	struct emul_ctxt emul;
	struct insn decoded[1 << VCPU_DECODED_BITS]; /* [v] by RIP: emulctl.c */
	bool emul_active; /* waits for userspace or a monitor */
	unsigned long emul_dr6; /* data breakpoints that it has hit: DR6.B0-B3 */
	int emul_errno; /* why the emulator gave up, 0: unknown insn */
	u8 change; /* [v] CHANGE_*: what became of the event of a register's change */
	/* [v] WATCH_GP, WATCH_PF: how the store that was held faults; 0: it does not */
	u8 refused;
	struct { /* what the fault that led here was walked to */
		bool valid;
		bool watched; /* the page that @gpa is in was, at least */
		u32 access; /* PFERR_W, PFERR_U */
		gva_t page;
		gpa_t gpa;
	} xlat;
	struct { /* [v] the page of the last store to a watched page: emul_ops.c */
		gfn_t gfn;
		u64 generation; /* watched_generation() of this */
		unsigned int count; /* of its ranges; 2: or more */
		const struct watched_range *one; /* if there is one */
	} ranges;
	struct vigil_unprotected { /* [v] exit.c */
		unsigned long rip;
		gfn_t gfn;
		u64 exits;
		unsigned int times;
	} unprotected;
	struct vigil_io { /* pending port, MMIO, MSR or hypercall exit */
		int kind; /* of what vcpu->complete ends: IO_... */
		u8 size;
		bool in;
		bool string;
		u16 port;
		u32 count, done; /* elements of INS */
		u8 part; /* of an element that crosses a page */
		u8 data[4]; /* of INS: the element that is being stored */
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

	struct pv_vcpu pv; /* [v] */

	unsigned int held; /* [v] events that it waits for */
	struct hearing *hearing; /* [v] their write: hearing.c */
	struct mutex snapshot_lock; /* [n] one asker at a time: view.c */
	struct vigil_vcpu_state *snapshot; /* view.c */
	wait_queue_head_t wq; /* woken by kicks and verdicts */
	sigset_t sigset;
	bool sigset_active;

	/* The last page that an instruction was fetched from; any flush drops it (fetch.c). */
	struct {
		unsigned long page; /* linear, ~0 when empty */
		hva_t hva;
		u64 generation;
	} fetch;

	struct vigil_vcpu_stat stat; /* [v] writes, [a] reads */
#ifdef VIGIL_DEBUG
	unsigned int turns; /* [v] since KVM_RUN looked at signals: turn.h */
#endif
	void *vendor; /* [I] the vendor's part */
};

enum { IO_NONE, IO_PIO, IO_MMIO, IO_HYPERCALL, IO_MSR };

/**
 * vigil_request() - ask a vCPU to do something before it next enters
 * @vcpu:	the vCPU
 * @r:		what to do
 *
 * Any context. Does not kick: a vCPU in the guest goes on until
 * vigil_kick(). selftests/models/entry.pml explores this.
 */
static inline void vigil_request(struct vigil_vcpu *vcpu, enum vigil_request r)
{
	/* Pairs with smp_mb() in enter_guest(). */
	smp_wmb();
	set_bit(r, &vcpu->requests);
}

/*
 * Returns true once for a request, and what was written before the request is
 * visible then. selftests/models/entry.pml explores this.
 */
static inline bool vigil_test_request(struct vigil_vcpu *vcpu,
				      enum vigil_request r)
{
	if (!test_bit(r, &vcpu->requests))
		return false;
	clear_bit(r, &vcpu->requests);
	/* pairs with smp_wmb() in vigil_request() */
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

/*
 * Serves the requests of others, except REQ_EVENT and REQ_LOAD_ROOT. 1: go on.
 * -ERESTART: the vCPU is paused. vcpu_run() waits until it goes on, where no instruction
 * is under way but what vcpu->complete ends.
 */
int vcpu_requests(struct vigil_vcpu *vcpu);
/*
 * KVM_SET_SREGS and KVM_SET_REGS, as state->flags says. vcpu->mutex is held, the vCPU is
 * loaded and under vm->srcu, in the VMM's address space. -EINVAL: nothing has changed.
 */
int vcpu_set_state(struct vigil_vcpu *vcpu,
		   const struct vigil_vcpu_state *state);
/* KVM_RUN of a vCPU whose VM is dead: fills in vcpu->run, returns -EIO. */
int vcpu_dead(struct vigil_vcpu *vcpu);

/*
 * Forgets the page of the last instruction fetch. Called at every flush of the
 * TLB.
 */
static inline void fetch_flush(struct vigil_vcpu *vcpu)
{
	vcpu->fetch.page = ~0ul;
}

/* At load: 0, -ENOMEM. */
int vcpu_module_init(void);
void vcpu_module_exit(void);
int vigil_create_vcpu(struct vigil_vm *vm, unsigned long id);
void vigil_destroy_vcpus(struct vigil_vm *vm);
/* Loads the vCPU on this CPU, and puts it again; vcpu->mutex is held. */
void vcpu_load(struct vigil_vcpu *vcpu);
void vcpu_put(struct vigil_vcpu *vcpu);

/* The slot of a page, or NULL; the one that this vCPU has looked up last is found fast. */
static __always_inline struct vigil_slot *cached_slot(struct vigil_vcpu *vcpu,
						      gfn_t gfn)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	struct vigil_slots *slots = vigil_slots(vcpu->vm);
	struct vigil_slot *slot = s->slot;

	/*
	 * The slot is still in the array while the array's generation is the
	 * same.
	 */
	if (likely(slot && s->slot_generation == slots->generation &&
		   gfn - slot->base < slot->npages))
		return slot;
	slot = vigil_slot_of(slots, gfn);
	/*
	 * A device's page has no slot: the slot of the tables stays remembered.
	 */
	if (slot) {
		s->slot = slot;
		s->slot_generation = slots->generation;
	}
	return slot;
}

/* ---- the guest's mode ---- */
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

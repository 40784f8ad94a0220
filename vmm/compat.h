/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The newest kernel API, supplied to older kernels. The only file that knows
 * kernel versions, or asks what a kernel has. Floor: 6.1.
 */
#ifndef VIGIL_COMPAT_H
#define VIGIL_COMPAT_H

#ifdef __ASSEMBLER__

#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>

/* clang-format off */

/*
 * Clears the buffers that the kernel wants cleared before a guest runs. It is
 * the last thing before the instruction, with the guest's registers loaded; it
 * changes only ZF.
 */
.macro BEFORE_VMRUN
#if defined(X86_FEATURE_CLEAR_CPU_BUF_VM)
	VM_CLEAR_CPU_BUFFERS
#elif defined(X86_FEATURE_CLEAR_CPU_BUF)
	CLEAR_CPU_BUFFERS
#endif
.endm

.macro BEFORE_VMLAUNCH
#ifdef X86_FEATURE_CLEAR_CPU_BUF
	CLEAR_CPU_BUFFERS
#endif
.endm

/*
 * A CPU with legacy IBRS keeps the guest's training from steering the host's
 * predictions only if SPEC_CTRL.IBRS is written after the transition to the host,
 * even where it was set before (X86_FEATURE_KERNEL_IBRS). The guest runs with the
 * host's SPEC_CTRL. LFENCE holds back what follows until the WRMSR is done. As
 * AFTER_GUEST, and before it: a call in AFTER_GUEST returns. Only Intel's CPUs
 * have that.
 */
.macro AFTER_VMEXIT
#ifdef X86_FEATURE_KERNEL_IBRS
	ALTERNATIVE "jmp 9f", "", X86_FEATURE_KERNEL_IBRS
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %rdx
	mov	%edx, %eax
	shr	$32, %rdx
	wrmsr
	lfence
9:
#endif
.endm

/*
 * Acts on predictors that the guest may have trained. It comes before the first
 * return, with the host's GS. Changes RAX, RCX, RDX and flags. No CPU needs all
 * parts of it.
 */
.macro AFTER_GUEST
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE
#ifdef UNTRAIN_RET_VM
	UNTRAIN_RET_VM
#else
	UNTRAIN_RET
#ifdef X86_FEATURE_IBPB_ON_VMEXIT
	ALTERNATIVE "", "call entry_ibpb", X86_FEATURE_IBPB_ON_VMEXIT
#endif
#endif
#if defined(X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT)
	CLEAR_BRANCH_HISTORY_VMEXIT
#elif defined(X86_FEATURE_CLEAR_BHB_LOOP)
	CLEAR_BRANCH_HISTORY
#endif
.endm

/* clang-format on */

#else /* C */

#include <linux/kvm.h>
#include <linux/percpu.h>
#include <linux/version.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* Numbers that came into uapi after 6.1. */
#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231

struct kvm_userspace_memory_region2 {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
	__u64 userspace_addr;
	__u64 guest_memfd_offset;
	__u32 guest_memfd;
	__u32 pad1;
	__u64 pad2[14];
};

#define KVM_SET_USER_MEMORY_REGION2 \
	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#endif

/*
 * Newer kernels have one field, hypercall.flags, in place of longmode and pad.
 */
#ifndef KVM_EXIT_HYPERCALL_LONG_MODE
#define KVM_EXIT_HYPERCALL_LONG_MODE 1ull
#define compat_hypercall_flags(run, value)           \
	do {                                         \
		(run)->hypercall.longmode = (value); \
		(run)->hypercall.pad = 0;            \
	} while (0)
#else
#define compat_hypercall_flags(run, value) ((run)->hypercall.flags = (value))
#endif

/* Its name tells the kernel to read it once. */
#ifndef HINT_UNSAFE_IN_KVM
#define immediate_exit__unsafe immediate_exit
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/mm.h>

#define get_user_pages_remote(mm, start, nr, flags, pages, locked) \
	get_user_pages_remote(mm, start, nr, flags, pages, NULL, locked)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#include <linux/shrinker.h>
#include <linux/slab.h>

struct compat_shrinker {
	struct shrinker shrinker;
	const char *name;
};

static inline struct shrinker *shrinker_alloc(unsigned int flags,
					      const char *name)
{
	struct compat_shrinker *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return NULL;
	c->shrinker.flags = flags;
	c->shrinker.seeks = DEFAULT_SEEKS;
	c->name = name;
	return &c->shrinker;
}

static inline void shrinker_register(struct shrinker *shrinker)
{
	if (register_shrinker(shrinker, "%s",
			      container_of(shrinker, struct compat_shrinker,
					   shrinker)
				      ->name))
		pr_warn("no memory for a shrinker\n");
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	/* Nothing has to be done for a shrinker that was not registered. */
	unregister_shrinker(shrinker);
	kfree(container_of(shrinker, struct compat_shrinker, shrinker));
}
#endif

/*
 * The kernel has chosen BP_SPEC_REDUCE as its cure for SRSO: the hypervisor sets
 * that bit of MSR BP_CFG while guests may run.
 */
static inline bool compat_srso_bp_spec_reduce(void)
{
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
	return cpu_feature_enabled(X86_FEATURE_SRSO_BP_SPEC_REDUCE);
#else
	return false;
#endif
}

/* The kernel takes its events by FRED instead of the IDT. */
static inline bool compat_host_fred(void)
{
#ifdef X86_FEATURE_FRED
	return cpu_feature_enabled(X86_FEATURE_FRED);
#else
	return false;
#endif
}

/*
 * A guest has trained this CPU's branch predictors: the kernel flushes them
 * before the VMM's next instruction where that matters (VMSCAPE).
 */
static inline void compat_guest_ran(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/*
 * Flags that end a run of the guest: signals, the scheduler, and work that the
 * kernel does for a thread before it returns to userspace.
 */
#ifdef _TIF_NEED_RESCHED_LAZY
#define COMPAT_TIF_WORK                                              \
	(_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME | \
	 _TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)
#else
#define COMPAT_TIF_WORK                                              \
	(_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME | \
	 _TIF_NEED_RESCHED)
#endif

/*
 * The kernel's work for a thread that is in KVM_RUN. The function notes signals in
 * KVM's vCPU, which it has as an argument, on kernels of this option.
 */
#ifdef CONFIG_KVM_XFER_TO_GUEST_WORK
#define COMPAT_ENTRY_HEADER "linux/entry-kvm.h"
#define compat_thread_work(vcpu) xfer_to_guest_mode_handle_work(vcpu)
#else
#define COMPAT_ENTRY_HEADER "linux/entry-virt.h"
#define compat_thread_work(vcpu) \
	((void)(vcpu), xfer_to_guest_mode_handle_work())
#endif

/*
 * How a loaded KVM gives the hardware back, besides being unloaded: since 6.12
 * it takes the hardware when it is loaded, before that with its first VM.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define COMPAT_KVM_LETS_GO \
	"load kvm with enable_virt_at_load=0 and stop its VMs"
#else
#define COMPAT_KVM_LETS_GO "stop its VMs"
#endif

/*
 * Registers @cb in the kernel's only slot for an emergency callback; false when
 * the kernel has none. Some stable 6.1 kernels have it, older ones turn VMX and
 * SVM off themselves: a weak reference finds out.
 */
extern void __weak cpu_emergency_register_virt_callback(void (*cb)(void));
extern void __weak cpu_emergency_unregister_virt_callback(void (*cb)(void));

static inline bool compat_emergency_register(void (*cb)(void))
{
	if (!cpu_emergency_register_virt_callback)
		return false;
	cpu_emergency_register_virt_callback(cb);
	return true;
}

static inline void compat_emergency_unregister(void (*cb)(void))
{
	if (cpu_emergency_unregister_virt_callback)
		cpu_emergency_unregister_virt_callback(cb);
}

#endif /* C */
#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The newest kernel API, supplied to older kernels. The only file that knows
 * kernel versions. Floor: 6.1.
 */
#ifndef VIGIL_COMPAT_H
#define VIGIL_COMPAT_H

#include <linux/kvm.h>
#include <linux/version.h>

/* uapi numbers that came after 6.1 */
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
 * Some stable 6.1 kernels have the emergency callback, older ones turn VMX and
 * SVM off themselves: a weak reference finds out. Registers @cb in the one slot
 * there is; false when the kernel has none.
 */
extern void cpu_emergency_register_virt_callback(void (*cb)(void))
	__attribute__((weak));
extern void cpu_emergency_unregister_virt_callback(void (*cb)(void))
	__attribute__((weak));

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

#endif

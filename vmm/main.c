// SPDX-License-Identifier: GPL-2.0
/* Module life, /dev/vigil and its system ioctls. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpu_device_id.h>

#include "host.h"
#include "main.h"
#include "ops.h"
#include "vcpu.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/msr_feature.h"
#include "vmm/exit/emulctl.h"
#include "vmm/exit/reload.h"
#include "vmm/monitor/monitor.h"
#include "vmm/monitor/watch.h"
#include "vmm/pv/pv.h"

long vigil_check_extension(unsigned long cap)
{
	switch (cap) {
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_USER_MEMORY2:
	case KVM_CAP_GET_TSC_KHZ:
	case KVM_CAP_READONLY_MEM:
	case KVM_CAP_SYNC_MMU:
	case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
	case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
	case KVM_CAP_EXT_CPUID:
	case KVM_CAP_MP_STATE:
	case KVM_CAP_USER_NMI:
	case KVM_CAP_CHECK_EXTENSION_VM:
	case KVM_CAP_SET_TSS_ADDR:
	case KVM_CAP_X86_USER_SPACE_MSR:
	case KVM_CAP_X86_MSR_FILTER:
		return 1;
	case KVM_CAP_GET_MSR_FEATURES:
		/* QEMU aborts when it is told of none after this. */
		return msr_has_features();
	case KVM_CAP_IRQ_ROUTING:
		return VIGIL_MAX_ROUTES;
	case KVM_CAP_MCE:
		return msr_mce_supported() & 0xff;
	case KVM_CAP_EXIT_HYPERCALL:
		return INT_MAX; /* any number is a valid one */
	case KVM_CAP_ENABLE_CAP_VM:
		return 1;
	case KVM_CAP_NR_VCPUS:
		return min_t(unsigned int, num_online_cpus(), VIGIL_MAX_VCPUS);
	case KVM_CAP_MAX_VCPUS:
	case KVM_CAP_MAX_VCPU_ID:
		return VIGIL_MAX_VCPUS;
	case KVM_CAP_NR_MEMSLOTS:
		return VIGIL_MAX_SLOTS;
	default:
		return 0;
	}
}

static long get_supported_cpuid(struct kvm_cpuid2 __user *user)
{
	struct kvm_cpuid_entry2 *entries;
	struct kvm_cpuid2 head;
	int n = VIGIL_MAX_CPUID;
	long ret;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	entries = kcalloc(n, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;
	ret = cpuid_supported(entries, &n);
	if (ret)
		goto out;
	ret = -E2BIG;
	if (head.nent < n)
		goto out;
	head.nent = n;
	ret = -EFAULT;
	if (copy_to_user(user->entries, entries, n * sizeof(*entries)) ||
	    copy_to_user(user, &head, sizeof(head)))
		goto out;
	ret = 0;
out:
	kfree(entries);
	return ret;
}

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : KVM_API_VERSION;
	case KVM_CREATE_VM:
		return vigil_create_vm(arg);
	case KVM_CHECK_EXTENSION:
		return vigil_check_extension(arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : VIGIL_VCPU_MMAP_PAGES * PAGE_SIZE;
	case KVM_GET_SUPPORTED_CPUID:
		return get_supported_cpuid((void __user *)arg);
	case KVM_X86_GET_MCE_CAP_SUPPORTED:
		return put_user(msr_mce_supported(), (u64 __user *)arg) ?
			       -EFAULT :
			       0;
	case KVM_GET_MSR_INDEX_LIST:
		return msr_index_list((void __user *)arg);
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return msr_feature_list((void __user *)arg);
	case KVM_GET_MSRS:
		return msr_feature_io((void __user *)arg);
	default:
		return monitor_dev_ioctl(cmd, arg);
	}
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice vigil_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vigil",
	.fops = &dev_fops,
	.mode = 0660,
};

static int __init vigil_init(void)
{
	int ret;

	ret = host_init();
	if (ret)
		return ret;
	emulctl_init();
	pv_init();
	ret = vcpu_module_init();
	if (ret)
		goto host;
	ret = shadow_module_init(watch_bits);
	if (ret)
		goto vcpu;
	ret = stat_init();
	if (ret)
		goto shadow;
	ret = misc_register(&vigil_device);
	if (ret)
		goto stat;
	host_watch_sleep(vigil_device.this_device);
	if (reload_segments)
		pr_warn("reload_segments is set: guests will break, this is a test\n");
	pr_info("%s, /dev/vigil ready\n", vmm_ops->name);
	return 0;

stat:
	stat_exit();
shadow:
	shadow_module_exit();
vcpu:
	vcpu_module_exit();
host:
	host_exit();
	return ret;
}

static void __exit vigil_exit(void)
{
	misc_deregister(&vigil_device);
	stat_exit();
	shadow_module_exit();
	vcpu_module_exit();
	host_exit();
}

/* udev loads the module with the CPU. It leaves the hardware alone until a VM is made. */
static const struct x86_cpu_id vigil_cpu_ids[] = {
	X86_MATCH_FEATURE(X86_FEATURE_SVM, NULL),
	X86_MATCH_FEATURE(X86_FEATURE_VMX, NULL),
	{}
};
MODULE_DEVICE_TABLE(x86cpu, vigil_cpu_ids);

module_init(vigil_init);
module_exit(vigil_exit);
MODULE_AUTHOR("The vigil authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(VIGIL_VERSION);
MODULE_DESCRIPTION("vigil: a hypervisor that knows what its guests write");

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMX instructions as C; VMLAUNCH, VMRESUME and what surrounds them is in entry.S.
 *
 * All but VMXON work on the CPU they are executed on, and only while VMX is on
 * there. A vCPU that is loaded has that, but for the moments in which the host
 * goes down under it: then its VM is dead, and VMREAD gives 0, VMWRITE nothing.
 */
#ifndef VIGIL_VMX_INSN_H
#define VIGIL_VMX_INSN_H

#include <linux/types.h>
#include <asm/asm.h>

#include "vmcs.h"

/* clang-format off */
/* Returns 0, or -EIO when VMXON failed or faulted. */
static __always_inline int vmx_vmxon(u64 pa)
{
	asm goto("1: vmxon %0; jbe %l[fail]\n\t" _ASM_EXTABLE(1b, %l[fail])
		 :
		 : "m"(pa)
		 : "memory", "cc"
		 : fail);
	return 0;
fail:
	return -EIO;
}

/*
 * In a crash VMX may be off already: then VMXOFF faults, and the fault is
 * ignored.
 */
static __always_inline void vmx_vmxoff(void)
{
	asm goto("1: vmxoff\n\t" _ASM_EXTABLE(1b, %l[out])::
			 : "memory", "cc"
		 : out);
out:;
}

static __always_inline void vmx_vmclear(u64 pa)
{
	asm goto("1: vmclear %0\n\t" _ASM_EXTABLE(1b, %l[out])
		 :
		 : "m"(pa)
		 : "memory", "cc"
		 : out);
out:;
}

static __always_inline void vmx_vmptrld(u64 pa)
{
	asm goto("1: vmptrld %0\n\t" _ASM_EXTABLE(1b, %l[out])
		 :
		 : "m"(pa)
		 : "memory", "cc"
		 : out);
out:;
}
/* clang-format on */

static __always_inline unsigned long __vmcs_read(unsigned long field)
{
	unsigned long value = 0;

	asm volatile("1: vmread %1, %0\n2:\n\t" _ASM_EXTABLE(1b, 2b)
		     : "+r"(value)
		     : "r"(field)
		     : "cc");
	return value;
}

static __always_inline void __vmcs_write(unsigned long field,
					 unsigned long value)
{
	asm volatile("1: vmwrite %0, %1\n2:\n\t" _ASM_EXTABLE(1b, 2b)
		     :
		     : "r"(value), "r"(field)
		     : "cc");
}

/*
 * Each name has the width of its fields: a field of another width does not
 * compile.
 */
#define VMCS_ACCESSORS(name, type, width)                                   \
	static __always_inline type vmcs_read##name(enum vmcs_field field)  \
	{                                                                   \
		BUILD_BUG_ON_MSG(!__builtin_constant_p(field) ||            \
					 VMCS_WIDTH(field) != (width),      \
				 "VMCS field of another width");            \
		return __vmcs_read(field);                                  \
	}                                                                   \
	static __always_inline void vmcs_write##name(enum vmcs_field field, \
						     type value)            \
	{                                                                   \
		BUILD_BUG_ON_MSG(!__builtin_constant_p(field) ||            \
					 VMCS_WIDTH(field) != (width),      \
				 "VMCS field of another width");            \
		__vmcs_write(field, value);                                 \
	}

VMCS_ACCESSORS(16, u16, VMCS_16)
VMCS_ACCESSORS(32, u32, VMCS_32)
VMCS_ACCESSORS(64, u64, VMCS_64)
VMCS_ACCESSORS(l, unsigned long, VMCS_NATURAL)

struct invvpid_descriptor {
	u64 vpid; /* 16 bits, the rest reserved */
	u64 addr;
};

struct invept_descriptor {
	u64 eptp;
	u64 reserved;
};

/* Never fails, as long as @type is one that the CPU has. */
static __always_inline void vmx_invvpid(unsigned long type, u16 vpid,
					unsigned long addr)
{
	struct invvpid_descriptor d = { .vpid = vpid, .addr = addr };

	asm volatile("1: invvpid %0, %1\n2:\n\t" _ASM_EXTABLE(1b, 2b)
		     :
		     : "m"(d), "r"(type)
		     : "memory", "cc");
}

static __always_inline void vmx_invept(unsigned long type, u64 eptp)
{
	struct invept_descriptor d = { .eptp = eptp };

	asm volatile("1: invept %0, %1\n2:\n\t" _ASM_EXTABLE(1b, 2b)
		     :
		     : "m"(d), "r"(type)
		     : "memory", "cc");
}

/**
 * vmx_enter() - the world switch: host to guest and back (entry.S)
 * @regs:	the guest's general registers, REG_*; RSP is the VMCS's
 * @host_rsp:	what HOST_RSP holds; kept in step
 * @launched:	VMRESUME, else VMLAUNCH
 *
 * IRQs off on entry and on return. Return: 0 there was an exit (an entry that
 * failed on the guest's state counts); 1 the instruction itself failed,
 * VM_INSTRUCTION_ERROR says why.
 */
int vmx_enter(unsigned long *regs, unsigned long *host_rsp, bool launched);

/* HOST_RIP: the place where exits land. It cannot be called. */
extern const char vmx_exit_entry[];

#endif

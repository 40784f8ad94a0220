/* SPDX-License-Identifier: GPL-2.0 */
/* Paravirtual guests: hypercalls in Xen's ABI, and who may make them. */
#ifndef VIGIL_PV_H
#define VIGIL_PV_H

#include <linux/bits.h>
#include <linux/string.h>
#include <asm/trapnr.h>

#include "vmm/vcpu.h"

static inline bool pv_on(const struct vigil_vm *vm)
{
	return unlikely(vm->pv.flags & VIGIL_HC_PAGE);
}

/* ---- policy.c ---- */
void pv_vm_init(struct vigil_vm *vm);
/* The policy that holds for this vCPU now. */
struct pv_policy pv_policy(struct vigil_vcpu *vcpu);
/*
 * set_hypercall_iopl by the guest. 0, or a negative errno of Xen's, with nothing
 * changed.
 */
int pv_iopl_set(struct vigil_vcpu *vcpu, const struct vigil_iopl *arg);
/* arg->scope says whose. 0, or a negative errno of Xen's. */
int pv_iopl_get(struct vigil_vcpu *vcpu, struct vigil_iopl *arg);
/**
 * pv_ioctl() - VIGIL_GET_HYPERCALLS and VIGIL_SET_HYPERCALLS
 * @vm:		the VM
 * @cmd:	one of them
 * @user:	struct vigil_hypercalls
 * @creator:	the VM's own process, which may set everything; else a monitor
 *
 * Return: 0 or -errno, as struct vigil_hypercalls says.
 */
long pv_ioctl(struct vigil_vm *vm, unsigned int cmd,
	      struct vigil_hypercalls __user *user, bool creator);

/* ---- page.c ---- */
void pv_init(void); /* at load */
/*
 * The guest has written @value to the MSR of its hypercall page. 0; -EINVAL: #GP,
 * and nothing is written.
 */
int pv_write_page(struct vigil_vcpu *vcpu, u64 value);
/*
 * The guest's policy has changed: its pages get the other flavour, if they need to and
 * are hypercall pages still.
 */
void pv_rewrite_pages(struct vigil_vcpu *vcpu);

/* ---- call.c ---- */
/*
 * A hypercall of a VM for which pv_on() holds; the instruction has @len bytes.
 * Returns as exit_hypercall().
 */
int pv_hypercall(struct vigil_vcpu *vcpu, unsigned int len);

/*
 * Does INT 0x82 make a hypercall, or is it refused by a result? Else the fault of its
 * gate is the guest's.
 */
bool pv_int82_accepted(struct vigil_vcpu *vcpu);

/* ---- int82.c ---- */
/*
 * A #GP or #NP of a VM for which pv_exceptions() has them intercepted. Returns as
 * exit_hypercall().
 */
int pv_gate_fault(struct vigil_vcpu *vcpu, u8 vector, bool has_ec, u32 ec);

/* Are these bytes the hypercall of one of the vendors, without a prefix? */
static inline bool pv_is_call(const u8 insn[3])
{
	return insn[0] == 0x0f && insn[1] == 0x01 &&
	       (insn[2] == 0xc1 || insn[2] == 0xd9);
}

#define PV_PREFIX_LEN 5

/* Do these @n bytes begin with a forced-emulation prefix of this VM? */
static inline bool pv_is_forced(const struct vigil_vm *vm, const u8 *insn,
				int n)
{
	u32 flags = vm->pv.flags;

	return n >= PV_PREFIX_LEN && insn[0] == 0x0f && insn[1] == 0x0b &&
	       ((flags & VIGIL_HC_FEP_XEN && !memcmp(insn + 2, "xen", 3)) ||
		(flags & VIGIL_HC_FEP_KVM && !memcmp(insn + 2, "kvm", 3)));
}

/*
 * Exceptions that exit besides EXIT_EXCEPTIONS: the other vendor's hypercall and the
 * forced-emulation prefix raise #UD, the gate of INT 0x82 raises #GP or #NP.
 */
static inline u32 pv_exceptions(const struct vigil_vm *vm)
{
	u32 flags = vm->pv.flags;

	return (flags ? BIT(X86_TRAP_UD) : 0) |
	       (flags & VIGIL_HC_INT82 ? BIT(X86_TRAP_GP) | BIT(X86_TRAP_NP) :
					 0);
}

#endif

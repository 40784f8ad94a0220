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
/* set_hypercall_iopl by the guest: pv_iopl_check() has passed it. */
void pv_iopl_set(struct vigil_vcpu *vcpu, const struct vigil_iopl *arg);
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

/* ---- tables.c ---- */
/* Does the CPU use tables of the VMM instead of the guest's own? */
static inline bool pv_in_force(const struct vigil_vcpu *vcpu)
{
	return unlikely(vcpu->pv.in_force);
}

/* The CPL that makes every hypercall: the guest's kernel runs there. */
static inline int pv_kernel_ring(const struct vigil_vcpu *vcpu)
{
	return pv_in_force(vcpu);
}

/* Set by a vendor's hw_setup() where LIDT and the like cannot be intercepted. */
extern bool pv_no_tables; /* __ro_after_init */
/*
 * Allocates vcpu->pv.tables, once. 0; -ENOMEM; -EOPNOTSUPP: not in the mode that the guest
 * is in, or not on this host.
 */
int pv_tables_alloc(struct vigil_vcpu *vcpu);
/*
 * Takes what the guest may have of its own GDT into vcpu->pv.tables, which are not in
 * force; emulctl_begin() has been called. 0; CALL_AGAIN. Loaded.
 */
int pv_copy_own_gdt(struct vigil_vcpu *vcpu);
/* Has the CPU use vcpu->pv.tables, with no handler in them. Loaded. */
void pv_tables_enter(struct vigil_vcpu *vcpu);
/* The guest's own tables are in force again. Loaded. */
void pv_tables_leave(struct vigil_vcpu *vcpu);
void pv_vcpu_destroy(struct vigil_vcpu *vcpu);
/* Has the gate of @vector lead where traps and fast say. */
void pv_write_gate(struct vigil_vcpu *vcpu, unsigned int vector);
/* The stack that gates switch to from CPL 2 and 3. */
void pv_set_stack(struct vigil_vcpu *vcpu, u16 ss, u64 sp);
/*
 * Copies @entries descriptors from the guest's pages @frames to vcpu->pv.gdt, and checks
 * them. 0, or a negative errno of Xen's.
 */
int pv_copy_gdt(struct vigil_vcpu *vcpu, const u64 *frames,
		unsigned int entries);
/* The emulator reads a table of the VMM as the CPU would. False: @la is elsewhere. */
bool pv_read_tables(const struct vigil_vcpu *vcpu, u64 la, void *buf,
		    unsigned int len);

/* ---- control.c ---- */
struct insn;
/* The instruction faults. If it would have loaded a table, monitors are told. */
void pv_tell_load(struct vigil_vcpu *vcpu, const struct insn *insn);

/* ---- state.c ---- */
/* VIGIL_GET_PV and VIGIL_SET_PV: struct vigil_pv says what comes back. Loaded. */
long pv_state_ioctl(struct vigil_vcpu *vcpu, unsigned int cmd,
		    struct vigil_pv __user *user);

/* ---- callback.c ---- */
/*
 * #UD or #GP of a vCPU with tables of the VMM, at @insn, of which the layout is decoded.
 * True: it is a SYSCALL or SYSENTER for which the guest has a callback, and @ret is as of
 * exit_hypercall().
 */
bool pv_system_call(struct vigil_vcpu *vcpu, const struct insn *insn, int *ret);

/* ---- ring1.c ---- */
/*
 * #GP(0) of such a vCPU. True: it is one of those, or a privileged instruction of ring 1,
 * which is done as in ring 0.
 */
bool pv_general_protection(struct vigil_vcpu *vcpu, int *ret);

/* ---- bounce.c ---- */
/*
 * INT n, INT3 or INTO of @len bytes, to a handler that lets this CPL through. Returns as
 * exit_hypercall().
 */
int pv_bounce(struct vigil_vcpu *vcpu, u8 vector, unsigned int len);
/* The same, if there is such a handler. False: there is none, and nothing was done. */
bool pv_bounce_int(struct vigil_vcpu *vcpu, u8 vector, unsigned int len,
		   int *ret);
/*
 * An event is given to the CPU for delivery, through a gate of the VMM's. 1; -EIO: no
 * handler can take it, and the VM has ended.
 */
int pv_deliver(struct vigil_vcpu *vcpu, u8 vector);
/* Did the last exit come while an event was being delivered? */
bool pv_in_delivery(const struct vigil_vcpu *vcpu);
/*
 * An exception is about to be raised. True: it came while the frame of another event
 * was being built, and the VM has ended.
 */
bool pv_fault_in_delivery(struct vigil_vcpu *vcpu,
			  const struct vigil_exception *e);
/*
 * The instruction at RIP is about to be emulated. If it is an INT n whose delivery the
 * exit has cut short, the emulator builds its frame; vcpu->pv.bounce is to be cleared
 * afterwards.
 */
void pv_emulate_cut(struct vigil_vcpu *vcpu);
/* The same, of a frame that the emulator builds for @vector. */
void pv_frame_fault(struct vigil_vcpu *vcpu, u8 vector, u8 fault, u32 ec,
		    u64 address);

/* Are these bytes the hypercall of one of the vendors, without a prefix? */
static inline bool pv_is_call(const u8 insn[3])
{
	return insn[0] == 0x0f && insn[1] == 0x01 &&
	       (insn[2] == 0xc1 || insn[2] == 0xd9);
}

/* INT of this vector makes a hypercall. */
#define PV_INT82 0x82
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
 * With tables of the VMM, all exceptions but those of INT3 and INTO: their gates decide.
 */
#define PV_BOUNCED                                                \
	(BIT(X86_TRAP_DE) | BIT(X86_TRAP_BR) | BIT(X86_TRAP_UD) | \
	 BIT(X86_TRAP_NM) | BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | \
	 BIT(X86_TRAP_NP) | BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | \
	 BIT(X86_TRAP_MF) | BIT(X86_TRAP_XF))
/* Of those, the ones with an error code. */
#define PV_ERROR_CODES                                            \
	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) | \
	 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP))

/*
 * Exceptions that exit besides EXIT_EXCEPTIONS: the other vendor's hypercall and the
 * forced-emulation prefix raise #UD, the gate of INT 0x82 raises #GP or #NP.
 */
static inline u32 pv_exceptions(const struct vigil_vcpu *vcpu)
{
	u32 flags = vcpu->vm->pv.flags;

	if (pv_in_force(vcpu))
		return PV_BOUNCED;
	return (flags ? BIT(X86_TRAP_UD) : 0) |
	       (flags & VIGIL_HC_INT82 ? BIT(X86_TRAP_GP) | BIT(X86_TRAP_NP) :
					 0);
}

#endif

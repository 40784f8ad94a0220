/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Handles an exit: the vendors' exit handlers call these.
 *
 * Each returns 1: go on with the guest; 0: to userspace, vcpu->run is filled
 * in; -errno.
 */
#ifndef VIGIL_EXIT_H
#define VIGIL_EXIT_H

#include "vmm/arch.h"
#include "vmm/types.h"

struct vigil_vcpu;

/* Exceptions of the guest that exit on both vendors. */
#define EXIT_EXCEPTIONS                                           \
	(BIT(X86_TRAP_DB) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC) | \
	 BIT(X86_TRAP_MC))

/*
 * Moves RIP behind an instruction of @len bytes. That ends a STI shadow, and TF
 * traps.
 */
void exit_skip(struct vigil_vcpu *vcpu, unsigned int len);
int exit_cpuid(struct vigil_vcpu *vcpu, unsigned int len);
int exit_rdmsr(struct vigil_vcpu *vcpu, unsigned int len);
int exit_wrmsr(struct vigil_vcpu *vcpu, unsigned int len);
/* MOV to and from CRn; @reg is REG_*. */
int exit_mov_to_cr(struct vigil_vcpu *vcpu, int cr, int reg, unsigned int len);
int exit_mov_from_cr(struct vigil_vcpu *vcpu, int cr, int reg,
		     unsigned int len);
int exit_mov_dr(struct vigil_vcpu *vcpu, int dr, int reg, bool write,
		unsigned int len);
int exit_hlt(struct vigil_vcpu *vcpu, unsigned int len);
int exit_hypercall(struct vigil_vcpu *vcpu, unsigned int len);
int exit_invlpg(struct vigil_vcpu *vcpu, gva_t gva, unsigned int len);
int exit_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 error_code);
int exit_xsetbv(struct vigil_vcpu *vcpu, unsigned int len);
/*
 * #UD of a VM for which pv_exceptions() has it intercepted: the hypercall of the
 * other vendor's CPUs, or the guest's own.
 */
int exit_invalid_opcode(struct vigil_vcpu *vcpu);
/* RDPMC, MONITOR, VMRUN in a guest...: #UD or #GP as the manual says */
int exit_undefined(struct vigil_vcpu *vcpu);
/* Reflects an exception into the guest as it is. */
int exit_reflect(struct vigil_vcpu *vcpu, u8 vector, bool has_ec, u32 ec);
int exit_triple_fault(struct vigil_vcpu *vcpu);
int exit_irq_window(struct vigil_vcpu *vcpu);
/* Emulates the instruction at RIP, whatever it is. */
int exit_emulate(struct vigil_vcpu *vcpu);
/*
 * Emulates it, if it is one of @ops, for which the CPU has exited: up to INSN_OP_NONE.
 * Otherwise another vCPU has replaced it, and the guest executes what is there now.
 */
int exit_emulate_one_of(struct vigil_vcpu *vcpu, const u16 *ops);
/* CLTS, LMSW, SMSW; loads and stores of GDTR, IDTR, LDTR and TR; INT1 */
int exit_machine_word(struct vigil_vcpu *vcpu);
int exit_system_table(struct vigil_vcpu *vcpu);
int exit_int1(struct vigil_vcpu *vcpu);
/*
 * Ends KVM_RUN with KVM_EXIT_FAIL_ENTRY and the hardware's reason. Logs
 * nothing, since a user could flood the log.
 */
int exit_fail_entry(struct vigil_vcpu *vcpu, u64 reason);
/* KVM_EXIT_INTERNAL_ERROR / UNEXPECTED_EXIT_REASON */
int exit_unexpected(struct vigil_vcpu *vcpu, u64 code);

int exit_internal_error(struct vigil_vcpu *vcpu, u32 suberror, const u8 *insn,
			unsigned int len);

#endif

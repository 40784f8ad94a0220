/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's x87, SSE, AVX and other XSAVE-managed state. */
#ifndef VIGIL_FPU_H
#define VIGIL_FPU_H

#include <linux/thread_info.h>
#include <asm/fpu/api.h>

#include "vmm/host.h"
#include "vmm/vcpu.h"

/* Allocates the guest's state, with its values at RESET: 0, -ENOMEM. */
int fpu_vcpu_init(struct vigil_vcpu *vcpu);
void fpu_vcpu_destroy(struct vigil_vcpu *vcpu);

/*
 * KVM_RUN begins and ends: fpu_load() saves the thread's own registers and
 * loads the guest's, fpu_put() does the reverse. Between them the scheduler
 * switches the guest's state as if it were the thread's. Process context, the
 * vCPU's thread.
 */
void fpu_load(struct vigil_vcpu *vcpu);
void fpu_put(struct vigil_vcpu *vcpu);

void fpu_xcr0_enter(struct vigil_vcpu *vcpu);
void fpu_xcr0_leave(struct vigil_vcpu *vcpu);

/**
 * fpu_enter() - right before vmm_call(run)(), IRQs off
 * @vcpu:	the vCPU
 *
 * The guest's registers may have been saved by an interrupt that used the FPU,
 * or by a switch to another task: brings them back. XCR0 becomes the guest's
 * when it differs.
 */
static inline void fpu_enter(struct vigil_vcpu *vcpu)
{
	fpregs_assert_state_consistent();
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
	if ((vcpu->cr4 & X86_CR4_OSXSAVE) &&
	    unlikely(vcpu->xcr0 != host_info.xcr0 || host_info.xss))
		fpu_xcr0_enter(vcpu);
}

/*
 * Called right after vmm_call(run)(), IRQs off. vcpu->cr4 and xcr0 are still
 * those of fpu_enter().
 */
static inline void fpu_leave(struct vigil_vcpu *vcpu)
{
	if ((vcpu->cr4 & X86_CR4_OSXSAVE) &&
	    unlikely(vcpu->xcr0 != host_info.xcr0 || host_info.xss))
		fpu_xcr0_leave(vcpu);
}

/**
 * fpu_set_xcr0() - XSETBV, or KVM_SET_XCRS
 * @vcpu:	the vCPU
 * @xcr:	number of the register; only 0 exists
 * @value:	for it
 *
 * CPL is the caller's to check. Return: 0; -EINVAL: #GP.
 */
int fpu_set_xcr0(struct vigil_vcpu *vcpu, u32 xcr, u64 value);

/* Outside KVM_RUN, vcpu->mutex held. */
int fpu_get_fpu(struct vigil_vcpu *vcpu, struct kvm_fpu *fpu); /* 0, -ENOMEM */
int fpu_set_fpu(struct vigil_vcpu *vcpu,
		const struct kvm_fpu *fpu); /* + -EINVAL */

/*
 * Read and write vector and MMX registers for the emulator, inside KVM_RUN
 * (fpu_load()ed). @reg is 0 to 15, @bytes 16 or 32 (32 needs AVX on the host:
 * -EINVAL otherwise). The part above @bytes becomes 0 with @zero_upper;
 * without, it stays (16 only). MMX: -EDOM when an x87 exception is pending,
 * which is #MF.
 */
int fpu_read_vec(unsigned int reg, void *buf, unsigned int bytes);
int fpu_write_vec(unsigned int reg, const void *buf, unsigned int bytes,
		  bool zero_upper);
int fpu_read_mmx(unsigned int reg, u64 *val);
int fpu_write_mmx(unsigned int reg, u64 val);
/* Clears an opmask register, 0 to 7. -EINVAL: the host does not use AVX-512. */
int fpu_clear_opmask(unsigned int reg);

/* Reads the layout of the XSAVE area from CPUID, at module load. */
void fpu_init(void);

/**
 * fpu_save_state() - the guest's state as an instruction would store it
 * @vcpu: inside KVM_RUN, fpu_load()ed
 * @how: the instruction
 * @wide: with REX.W
 * @mask: state components wanted by XSAVE and XSAVEC, of those in the guest's XCR0
 *
 * Return: EMUL_SAVE_BYTES, good until the next call; NULL: the host's CPU does not
 * have the instruction, or there is no memory.
 */
const u8 *fpu_save_state(struct vigil_vcpu *vcpu, enum emul_save how, bool wide,
			 u64 mask);

/* Loads x87 state. Returns 0 or -ENOMEM. Called like fpu_save_state(). */
int fpu_set_x87(struct vigil_vcpu *vcpu, const struct emul_x87 *state);

/*
 * Does what FNSTENV, or with @init FNSAVE, does to the FPU behind its store. Returns 0
 * or -ENOMEM. Called like fpu_save_state().
 */
int fpu_x87_stored(struct vigil_vcpu *vcpu, bool init);

/*
 * Runs FLDENV, or with @regs FRSTOR, of an image as emul_ops.load_x87() has it. Called
 * like fpu_save_state().
 */
void fpu_load_x87(const u8 *image, bool regs);

/* Describes a component. -EINVAL: fpu_save_state() does not store it. */
int fpu_get_component(unsigned int nr, struct emul_component *comp);

#endif

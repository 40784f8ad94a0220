// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's x87, SSE, AVX and AVX-512 state.
 *
 * The kernel's guest-FPU helpers make the guest's registers those of the vCPU's
 * thread while KVM_RUN lasts, so that context switches and kernel users of
 * the FPU save and restore them as they would the thread's own.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/asm.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>

#include "cpuid.h"
#include "fpu.h"

#define XSAVE_BYTES sizeof_field(struct kvm_xsave, region)

int fpu_vcpu_init(struct vigil_vcpu *vcpu)
{
	if (!fpu_alloc_guest_fpstate(&vcpu->fpu))
		return -ENOMEM;
	vcpu->xcr0 = XFEATURE_MASK_FP;
	vcpu->xss = 0;
	return 0;
}

void fpu_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	kfree(vcpu->fpu_image);
	fpu_free_guest_fpstate(&vcpu->fpu);
}

void fpu_load(struct vigil_vcpu *vcpu)
{
	/*
	 * This cannot fail, since no state beyond the default features was
	 * allocated.
	 */
	fpu_swap_kvm_fpstate(&vcpu->fpu, true);
}

void fpu_put(struct vigil_vcpu *vcpu)
{
	fpu_swap_kvm_fpstate(&vcpu->fpu, false);
}

/*
 * XCR0 decides what the guest's XSAVE touches: never a component that the guest
 * was not given. XSS must be 0 then, since XSAVES itself cannot be
 * intercepted on SVM and would show the host's supervisor state.
 */
void fpu_xcr0_enter(struct vigil_vcpu *vcpu)
{
	if (vcpu->xcr0 != host_info.xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (host_info.xss) {
		wrmsrl(MSR_IA32_XSS, 0);
		vcpu->stat.msr_writes++;
	}
}

void fpu_xcr0_leave(struct vigil_vcpu *vcpu)
{
	if (vcpu->xcr0 != host_info.xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, host_info.xcr0);
	if (host_info.xss) {
		wrmsrl(MSR_IA32_XSS, host_info.xss);
		vcpu->stat.msr_writes++;
	}
}

int fpu_set_xcr0(struct vigil_vcpu *vcpu, u32 xcr, u64 value)
{
	if (xcr != XCR_XFEATURE_ENABLED_MASK || !(value & XFEATURE_MASK_FP) ||
	    (value & ~vcpu->guest_xcr0_mask))
		return -EINVAL;
	if ((value & XFEATURE_MASK_YMM) && !(value & XFEATURE_MASK_SSE))
		return -EINVAL;
	if ((value & XFEATURE_MASK_AVX512) &&
	    ((value & XFEATURE_MASK_AVX512) != XFEATURE_MASK_AVX512 ||
	     !(value & XFEATURE_MASK_YMM)))
		return -EINVAL;
	vcpu->xcr0 = value;
	cpuid_xcr0_changed(vcpu);
	return 0;
}

/* --- the state as userspace sees it --- */

/* Returns the components that a guest can have: copies carry these at most. */
static u64 user_xfeatures(void)
{
	u64 mask = XFEATURE_MASK_FPSSE;

	if (host_info.xcr0)
		mask |= host_info.xcr0 &
			(XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512);
	return mask;
}

static struct xregs_state *state_copy(struct vigil_vcpu *vcpu)
{
	struct xregs_state *x = kzalloc(XSAVE_BYTES, GFP_KERNEL_ACCOUNT);

	if (x)
		fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, x, XSAVE_BYTES,
					       user_xfeatures(), 0);
	return x;
}

static int state_set(struct vigil_vcpu *vcpu, const struct xregs_state *x)
{
	u32 pkru = 0; /* No guest has PKRU, and the mask leaves it out. */

	return fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, x, user_xfeatures(),
					      &pkru);
}

int fpu_get_fpu(struct vigil_vcpu *vcpu, struct kvm_fpu *fpu)
{
	struct xregs_state *x = state_copy(vcpu);
	const struct fxregs_state *fx;

	if (!x)
		return -ENOMEM;
	fx = &x->i387;
	memset(fpu, 0, sizeof(*fpu));
	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	fpu->fcw = fx->cwd;
	fpu->fsw = fx->swd;
	fpu->ftwx = fx->twd;
	fpu->last_opcode = fx->fop;
	fpu->last_ip = fx->rip;
	fpu->last_dp = fx->rdp;
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	fpu->mxcsr = fx->mxcsr;
	kfree(x);
	return 0;
}

int fpu_set_fpu(struct vigil_vcpu *vcpu, const struct kvm_fpu *fpu)
{
	struct xregs_state *x = state_copy(vcpu);
	struct fxregs_state *fx;
	int ret;

	if (!x)
		return -ENOMEM;
	fx = &x->i387;
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->mxcsr = fpu->mxcsr;
	x->header.xfeatures |= XFEATURE_MASK_FPSSE;
	ret = state_set(vcpu, x);
	kfree(x);
	return ret;
}

/* --- single registers, for the emulator --- */

/* The register's number is part of the instruction: a switch has all of them. */
/* clang-format off */
#define CASES_0_7(OP, ...)						\
	OP(0, __VA_ARGS__) OP(1, __VA_ARGS__) OP(2, __VA_ARGS__)	\
	OP(3, __VA_ARGS__) OP(4, __VA_ARGS__) OP(5, __VA_ARGS__)	\
	OP(6, __VA_ARGS__) OP(7, __VA_ARGS__)
#define CASES_0_15(OP, ...)						\
	CASES_0_7(OP, __VA_ARGS__)					\
	OP(8, __VA_ARGS__) OP(9, __VA_ARGS__) OP(10, __VA_ARGS__)	\
	OP(11, __VA_ARGS__) OP(12, __VA_ARGS__) OP(13, __VA_ARGS__)	\
	OP(14, __VA_ARGS__) OP(15, __VA_ARGS__)
/* clang-format on */
#define STORE_REG(n, insn, regs, mem)                                \
	case n:                                                      \
		asm volatile(insn " %%" regs #n ", %0" : "=m"(mem)); \
		break;
#define LOAD_REG(n, insn, regs, mem)                             \
	case n:                                                  \
		asm volatile(insn " %0, %%" regs #n ::"m"(mem)); \
		break;

typedef struct {
	u8 b[16];
} vec128;
typedef struct {
	u8 b[32];
} vec256;

/* Makes sure that the guest's registers are in the CPU, until regs_end(). */
static void regs_begin(void)
{
	fpregs_lock();
	fpregs_assert_state_consistent();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

static void regs_end(void)
{
	fpregs_unlock();
}

static bool has_avx(void)
{
	return host_info.xcr0 & XFEATURE_MASK_YMM;
}

static void get_xmm(unsigned int reg, vec128 *v)
{
	switch (reg) {
		CASES_0_15(STORE_REG, "movdqu", "xmm", *v)
	}
}

static void set_xmm(unsigned int reg, const vec128 *v)
{
	switch (reg) {
		CASES_0_15(LOAD_REG, "movdqu", "xmm", *v)
	}
}

static void set_xmm_zero_upper(unsigned int reg, const vec128 *v)
{
	switch (reg) {
		CASES_0_15(LOAD_REG, "vmovdqu", "xmm", *v)
	}
}

static void get_ymm(unsigned int reg, vec256 *v)
{
	switch (reg) {
		CASES_0_15(STORE_REG, "vmovdqu", "ymm", *v)
	}
}

static void set_ymm(unsigned int reg, const vec256 *v)
{
	switch (reg) {
		CASES_0_15(LOAD_REG, "vmovdqu", "ymm", *v)
	}
}

int fpu_read_vec(unsigned int reg, void *buf, unsigned int bytes)
{
	if (reg > 15 || !(bytes == 16 || (bytes == 32 && has_avx())))
		return -EINVAL;
	regs_begin();
	if (bytes == 16)
		get_xmm(reg, buf);
	else
		get_ymm(reg, buf);
	regs_end();
	return 0;
}

int fpu_write_vec(unsigned int reg, const void *buf, unsigned int bytes,
		  bool zero_upper)
{
	/* No instruction writes 32 bytes and keeps the part above them. */
	if (reg > 15 ||
	    !(bytes == 16 || (bytes == 32 && zero_upper && has_avx())))
		return -EINVAL;
	regs_begin();
	if (bytes == 32)
		set_ymm(reg, buf);
	else if (zero_upper && has_avx())
		set_xmm_zero_upper(reg, buf);
	else
		set_xmm(reg, buf);
	regs_end();
	return 0;
}

/* clang-format off */
#define CLEAR_REG(n, insn, reg)						\
	case n:								\
		asm volatile(insn " %" reg #n ", %" reg #n ", %" reg #n); \
		break;
/* clang-format on */

int fpu_clear_opmask(unsigned int reg)
{
	if (!(host_info.xcr0 & XFEATURE_MASK_OPMASK))
		return -EINVAL;
	regs_begin();
	switch (reg) {
		CASES_0_7(CLEAR_REG, "kxorw", "k")
	}
	regs_end();
	return 0;
}

/*
 * MMX instructions report a pending unmasked x87 exception. FWAIT takes it
 * here, and its fault is caught: a guest must not raise #MF in the host.
 */
static bool x87_pending(void)
{
	/* clang-format off */
	asm goto("1: fwait\n"
		 _ASM_EXTABLE(1b, %l[pending])
		 : : : : pending);
	/* clang-format on */
	return false;
pending:
	return true;
}

static int access_mmx(unsigned int reg, u64 *val, bool write)
{
	int ret = 0;

	regs_begin();
	if (x87_pending()) {
		ret = -EDOM;
	} else if (write) {
		switch (reg & 7) {
			CASES_0_7(LOAD_REG, "movq", "mm", *val)
		}
	} else {
		switch (reg & 7) {
			CASES_0_7(STORE_REG, "movq", "mm", *val)
		}
	}
	regs_end();
	return ret;
}

int fpu_read_mmx(unsigned int reg, u64 *val)
{
	return access_mmx(reg, val, false);
}

int fpu_write_mmx(unsigned int reg, u64 val)
{
	return access_mmx(reg, &val, true);
}

/* --- all of it, for the emulator --- */

/* XFEATURE_Hi16_ZMM is the last component that a guest can have. */
static struct emul_component components[XFEATURE_Hi16_ZMM + 1] __ro_after_init;

void __init fpu_init(void)
{
	u32 bytes, offset, flags, unused;
	unsigned int nr;

	if (!host_info.xcr0)
		return;
	for (nr = XFEATURE_YMM; nr < ARRAY_SIZE(components); nr++) {
		if (!(user_xfeatures() & BIT_ULL(nr)))
			continue;
		cpuid_count(0xd, nr, &bytes, &offset, &flags, &unused);
		if (offset > EMUL_SAVE_BYTES ||
		    bytes > EMUL_SAVE_BYTES - offset)
			continue;
		components[nr].offset = offset;
		components[nr].bytes = bytes;
		components[nr].align64 = flags & BIT(1);
	}
}

int fpu_get_component(unsigned int nr, struct emul_component *comp)
{
	if (nr >= ARRAY_SIZE(components) || !components[nr].bytes)
		return -EINVAL;
	*comp = components[nr];
	return 0;
}

static bool can_save(enum emul_save how, u64 mask)
{
	unsigned int nr;

	if (how == EMUL_SAVE_FXSAVE || how == EMUL_SAVE_FNSTENV)
		return true;
	if (!host_info.xcr0 || mask & ~user_xfeatures() ||
	    (how == EMUL_SAVE_XSAVEC && !boot_cpu_has(X86_FEATURE_XSAVEC)))
		return false;
	for (nr = XFEATURE_YMM; nr < ARRAY_SIZE(components); nr++)
		if (mask & BIT_ULL(nr) && !components[nr].bytes)
			return false;
	return true;
}

#define FSW_ES BIT(7)
#define FSW_TOP_SHIFT 11

#define SAVE_INSN(insn, image, mask)                          \
	asm volatile(insn " %0"                               \
		     : "+m"(*(u8(*)[EMUL_SAVE_BYTES])(image)) \
		     : "a"(lower_32_bits(mask)), "d"(upper_32_bits(mask)))

/*
 * FNSTENV masks all exceptions, and FLDCW takes the masks back. A CPU whose FNSTENV
 * does not mask them may raise #MF at FLDCW, and has kept its control word then.
 */
static void store_environment(u8 *env)
{
	asm volatile("fnstenv %0\n"
		     "1: fldcw %0\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+m"(*(u8(*)[EMUL_ENV_BYTES])env));
}

static void save_state(enum emul_save how, bool wide, u64 mask, u8 *image)
{
	switch (how) {
	case EMUL_SAVE_FXSAVE:
		if (wide)
			SAVE_INSN("fxsave64", image, mask);
		else
			SAVE_INSN("fxsave", image, mask);
		break;
	case EMUL_SAVE_XSAVE:
		if (wide)
			SAVE_INSN("xsave64", image, mask);
		else
			SAVE_INSN("xsave", image, mask);
		break;
	case EMUL_SAVE_XSAVEC:
		if (wide)
			SAVE_INSN("xsavec64", image, mask);
		else
			SAVE_INSN("xsavec", image, mask);
		break;
	case EMUL_SAVE_FNSTENV:
		SAVE_INSN("fxsave", image, mask);
		store_environment(image + EMUL_AT_ENV);
		break;
	}
}

/* A page of its own, so it is aligned as XSAVE requires. */
static u8 *image_get(struct vigil_vcpu *vcpu)
{
	BUILD_BUG_ON(EMUL_SAVE_BYTES != PAGE_SIZE);
	if (!vcpu->fpu_image)
		vcpu->fpu_image = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	return vcpu->fpu_image;
}

const u8 *fpu_save_state(struct vigil_vcpu *vcpu, enum emul_save how, bool wide,
			 u64 mask)
{
	if (!can_save(how, mask) || !image_get(vcpu))
		return NULL;
	/* Some instructions leave parts of the image unwritten. */
	memset(vcpu->fpu_image, 0, EMUL_SAVE_BYTES);
	regs_begin();
	save_state(how, wide, mask, vcpu->fpu_image);
	regs_end();
	return vcpu->fpu_image;
}

/* The image numbers registers from TOP, which the store may move. */
static void turn_stack(struct fxregs_state *fx, u16 fsw)
{
	unsigned int by =
		((fsw >> FSW_TOP_SHIFT) - (fx->swd >> FSW_TOP_SHIFT)) & 7;
	const unsigned int reg = sizeof(fx->st_space) / 8;
	u8 old[sizeof(fx->st_space)];

	memcpy(old, fx->st_space, sizeof(old));
	memcpy(fx->st_space, old + by * reg, (8 - by) * reg);
	memcpy((u8 *)fx->st_space + (8 - by) * reg, old, by * reg);
}

int fpu_set_x87(struct vigil_vcpu *vcpu, const struct emul_x87 *state)
{
	struct fxregs_state *fx = (void *)image_get(vcpu);
	bool pends = state->fsw & FSW_ES;
	bool has_fdp = pends || !boot_cpu_has(X86_FEATURE_FDP_EXCPTN_ONLY);

	if (!fx)
		return -ENOMEM;
	regs_begin();
	save_state(EMUL_SAVE_FXSAVE, state->wide, 0, (u8 *)fx);
	turn_stack(fx, state->fsw);
	fx->swd = state->fsw;
	fx->twd = state->ftw;
	/*
	 * FOP is for the handler of an unmasked exception: it does not change
	 * while none is pending.
	 */
	if (pends)
		fx->fop = state->fop;
	/* FXSAVE has stored a valid MXCSR, so FXRSTOR cannot fault */
	if (state->wide) {
		fx->rip = state->fip;
		fx->rdp = has_fdp ? state->fdp : fx->rdp;
		asm volatile("fxrstor64 %0" : : "m"(*fx));
	} else {
		fx->fip = state->fip;
		fx->foo = has_fdp ? state->fdp : fx->foo;
		asm volatile("fxrstor %0" : : "m"(*fx));
	}
	regs_end();
	return 0;
}

#define FSAVE_BYTES (EMUL_ENV_BYTES + 80)

/* What the instruction stores is dropped: it has been stored already. */
int fpu_x87_stored(struct vigil_vcpu *vcpu, bool init)
{
	u8 *image = image_get(vcpu);

	if (!image)
		return -ENOMEM;
	regs_begin();
	if (init)
		asm volatile("fnsave %0" : "=m"(*(u8(*)[FSAVE_BYTES])image));
	else
		asm volatile("fnstenv %0"
			     : "=m"(*(u8(*)[EMUL_ENV_BYTES])image));
	regs_end();
	return 0;
}

void fpu_load_x87(const u8 *image, bool regs)
{
	regs_begin();
	/* The caller has found no pending exception, which would raise #MF here. */
	if (regs)
		asm volatile("1: frstor %0\n"
			     "2:\n" _ASM_EXTABLE(1b, 2b)
			     :
			     : "m"(*(const u8(*)[FSAVE_BYTES])image));
	else
		asm volatile("1: fldenv %0\n"
			     "2:\n" _ASM_EXTABLE(1b, 2b)
			     :
			     : "m"(*(const u8(*)[EMUL_ENV_BYTES])image));
	regs_end();
}

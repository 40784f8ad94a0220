// SPDX-License-Identifier: GPL-2.0
/* What the core does about an exit, once the vendor has decoded it. */
#include <linux/kvm_para.h>
#include <asm/processor-flags.h>

#include "control.h"
#include "emulctl.h"
#include "exit.h"
#include "fetch.h"
#include "mmio.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/fpu.h"
#include "vmm/cpu/inject.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/msr_filter.h"
#include "vmm/mem/watched.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"
#include "vmm/trace.h"

/* Outside of 64-bit code RIP has 32 bits. */
static __always_inline void advance_rip(struct vigil_vcpu *vcpu,
					unsigned int len)
{
	unsigned long rip = vcpu->rip + len;

	if (!is_long_mode(vcpu) || vmm_call(code_bits)(vcpu) != 64)
		rip = (u32)rip;
	vcpu->rip = rip;
}

void exit_skip(struct vigil_vcpu *vcpu, unsigned int len)
{
	advance_rip(vcpu, len);
	vmm_call(set_irq_shadow)(vcpu, false);
	event_trap(vcpu, vcpu->rflags, 0);
	if (unlikely(vcpu->rflags & X86_EFLAGS_RF))
		vcpu->rflags &= ~X86_EFLAGS_RF;
}

/*
 * -ENODEV becomes #UD and every other error #GP; without an error the
 * instruction is done.
 */
static int done_or_gp(struct vigil_vcpu *vcpu, int ret, unsigned int len)
{
	if (ret == -ENODEV)
		event_ud(vcpu);
	else if (ret)
		event_gp(vcpu);
	else
		exit_skip(vcpu, len);
	return 1;
}

int exit_cpuid(struct vigil_vcpu *vcpu, unsigned int len)
{
	u32 eax = vcpu->regs[REG_RAX], ecx = vcpu->regs[REG_RCX], ebx, edx;

	vcpu->stat.exits_cpuid++;
	/* CPUID faulting, which the guest's kernel has switched on */
	if (unlikely(vcpu->msrs.misc_features) &&
	    vmm_call(get_cpl)(vcpu) > pv_kernel_ring(vcpu)) {
		event_gp(vcpu);
		return 1;
	}
	cpuid_query(vcpu, &eax, &ebx, &ecx, &edx);
	vcpu->regs[REG_RAX] = eax;
	vcpu->regs[REG_RBX] = ebx;
	vcpu->regs[REG_RCX] = ecx;
	vcpu->regs[REG_RDX] = edx;
	exit_skip(vcpu, len);
	return 1;
}

/* ---- MSRs, of which the VMM may answer some ---- */

static int msr_done(struct vigil_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 value = READ_ONCE(run->msr.data);

	vcpu->io.kind = IO_NONE;
	if (READ_ONCE(run->msr.error)) {
		event_gp(vcpu);
		return 1;
	}
	if (vcpu->io.in) {
		vcpu->regs[REG_RAX] = (u32)value;
		vcpu->regs[REG_RDX] = value >> 32;
	}
	exit_skip(vcpu, vcpu->io.next_rip - vcpu->rip);
	return 1;
}

/*
 * An access that the filter or the module refuses: #GP, unless the VMM has asked to
 * answer those.
 */
static noinline int msr_refused(struct vigil_vcpu *vcpu, u32 reason, bool read,
				u64 value, unsigned int len)
{
	struct kvm_run *run = vcpu->run;

	if (!(READ_ONCE(vcpu->vm->user_msrs) & reason)) {
		event_gp(vcpu);
		return 1;
	}
	run->exit_reason = read ? KVM_EXIT_X86_RDMSR : KVM_EXIT_X86_WRMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = vcpu->regs[REG_RCX];
	run->msr.data = value;
	vcpu->io.kind = IO_MSR;
	vcpu->io.in = read;
	vcpu->io.next_rip = vcpu->rip + len;
	vcpu->complete = msr_done;
	return 0;
}

static u32 msr_reason(int ret)
{
	return ret == -ENOENT ? KVM_MSR_EXIT_REASON_UNKNOWN :
				KVM_MSR_EXIT_REASON_INVAL;
}

int exit_rdmsr(struct vigil_vcpu *vcpu, unsigned int len)
{
	u32 msr = vcpu->regs[REG_RCX];
	u64 value;
	int ret;

	vcpu->stat.exits_msr++;
	if (!msr_filter_allows(vcpu->vm, msr, false))
		return msr_refused(vcpu, KVM_MSR_EXIT_REASON_FILTER, true, 0,
				   len);
	ret = msr_get(vcpu, msr, &value, false);
	if (unlikely(ret))
		return msr_refused(vcpu, msr_reason(ret), true, 0, len);
	vcpu->regs[REG_RAX] = (u32)value;
	vcpu->regs[REG_RDX] = value >> 32;
	exit_skip(vcpu, len);
	return 1;
}

static u64 msr_value(const struct vigil_vcpu *vcpu)
{
	return (u32)vcpu->regs[REG_RAX] | (u64)vcpu->regs[REG_RDX] << 32;
}

static int write_msr(struct vigil_vcpu *vcpu, unsigned int len)
{
	u64 value = msr_value(vcpu);
	int ret = msr_set(vcpu, vcpu->regs[REG_RCX], value, false);

	if (unlikely(ret))
		return msr_refused(vcpu, msr_reason(ret), false, value, len);
	exit_skip(vcpu, len);
	return 1;
}

/* Waits for the verdict on a watched write. */
static int wrmsr_held(struct vigil_vcpu *vcpu)
{
	enum watch_answer answer;
	int ret;

	/*
	 * The VMM has given the vCPU other registers: the event was withdrawn, and the
	 * guest executes the instruction again.
	 */
	if (unlikely(!vcpu->held)) {
		vcpu->io.kind = IO_NONE;
		return 1;
	}
	vcpu->io.kind = IO_MSR;
	ret = emulctl_verdict(vcpu, wrmsr_held, NULL, &answer);
	if (ret != 1)
		return ret;
	vcpu->io.kind = IO_NONE;
	if (answer == WATCH_GO)
		return write_msr(vcpu, vcpu->io.next_rip - vcpu->rip);
	if (answer == WATCH_GP) {
		event_gp(vcpu);
		return 1;
	}
	exit_skip(vcpu, vcpu->io.next_rip - vcpu->rip);
	return 1;
}

/* A monitor watches MSRs: asks about the write. */
static noinline int watched_wrmsr(struct vigil_vcpu *vcpu, unsigned int len)
{
	switch (control_msr(vcpu, vcpu->regs[REG_RCX], msr_value(vcpu))) {
	case WATCH_GO:
		return write_msr(vcpu, len);
	case WATCH_HELD:
		vcpu->io.next_rip = vcpu->rip + len;
		return wrmsr_held(vcpu);
	default:
		exit_skip(vcpu, len);
		return 1;
	}
}

int exit_wrmsr(struct vigil_vcpu *vcpu, unsigned int len)
{
	vcpu->stat.exits_msr++;
	if (!msr_filter_allows(vcpu->vm, vcpu->regs[REG_RCX], true))
		return msr_refused(vcpu, KVM_MSR_EXIT_REASON_FILTER, false,
				   msr_value(vcpu), len);
	if (watch_controls(vcpu->vm, VIGIL_CONTROL_MSR))
		return watched_wrmsr(vcpu, len);
	return write_msr(vcpu, len);
}

int exit_mov_to_cr(struct vigil_vcpu *vcpu, int cr, int reg, unsigned int len)
{
	static const u16 ops[] = { INSN_OP_MOV_TO_CR, INSN_OP_NONE };
	unsigned long val = vcpu->regs[reg], old_cr8 = vcpu->cr8;
	int ret;

	/* The emulator asks the monitors, and counts. */
	if (control_has_cr(vcpu, cr))
		return exit_emulate_one_of(vcpu, ops);
	vcpu->stat.exits_cr++;
	if (vmm_call(code_bits)(vcpu) != 64)
		val = (u32)val;
	ret = done_or_gp(vcpu, cr_set(vcpu, cr, val), len);
	/*
	 * The guest has lowered CR8: the VMM's APIC may have an interrupt that
	 * waited for that.
	 */
	if (vcpu->cr8 < old_cr8) {
		vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
		return 0;
	}
	return ret;
}

int exit_mov_from_cr(struct vigil_vcpu *vcpu, int cr, int reg, unsigned int len)
{
	unsigned long val;

	vcpu->stat.exits_cr++;
	if (cr_get(vcpu, cr, &val)) {
		event_ud(vcpu);
		return 1;
	}
	if (vmm_call(code_bits)(vcpu) != 64)
		val = (u32)val;
	vcpu->regs[reg] = val;
	exit_skip(vcpu, len);
	return 1;
}

int exit_mov_dr(struct vigil_vcpu *vcpu, int dr, int reg, bool write,
		unsigned int len)
{
	unsigned long val = vcpu->regs[reg];
	int ret;

	vcpu->stat.exits_dr++;
	/* General detect is on: #DB comes instead of the access. */
	if (unlikely(vcpu->dr7 & DR7_GD)) {
		event_db(vcpu, DR6_BD);
		return 1;
	}
	if (vmm_call(code_bits)(vcpu) != 64)
		val = (u32)val;
	if (write) {
		ret = dr_set(vcpu, dr, val);
	} else {
		ret = dr_get(vcpu, dr, &val);
		if (!ret)
			vcpu->regs[reg] = val;
	}
	return done_or_gp(vcpu, ret, len);
}

int exit_hlt(struct vigil_vcpu *vcpu, unsigned int len)
{
	vcpu->stat.exits_hlt++;
	exit_skip(vcpu, len);
	if (event_wakes(vcpu))
		return 1;
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int hypercall_done(struct vigil_vcpu *vcpu)
{
	u64 ret = READ_ONCE(vcpu->run->hypercall.ret);

	vcpu->io.kind = IO_NONE;
	if (vmm_call(code_bits)(vcpu) != 64)
		ret = (u32)ret;
	vcpu->regs[REG_RAX] = ret;
	exit_skip(vcpu, vcpu->io.next_rip - vcpu->rip);
	return 1;
}

/* A hypercall of KVM's, as its caller has made it */
struct hypercall {
	u64 nr, arg[6];
	bool wide;
};

static struct hypercall hypercall_of(struct vigil_vcpu *vcpu)
{
	static const u8 args[] = { REG_RBX, REG_RCX, REG_RDX,
				   REG_RSI, REG_RDI, REG_RBP };
	struct hypercall call;
	unsigned int i;
	u64 mask;

	call.wide = vmm_call(code_bits)(vcpu) == 64;
	mask = call.wide ? ~0ull : ~0u;
	call.nr = vcpu->regs[REG_RAX] & mask;
	for (i = 0; i < ARRAY_SIZE(args); i++)
		call.arg[i] = vcpu->regs[args[i]] & mask;
	return call;
}

static u64 hypercall_error(unsigned int error, bool wide)
{
	u64 result = -(u64)error;

	return wide ? result : (u32)result;
}

static int hypercall_fails(struct vigil_vcpu *vcpu, unsigned int len,
			   unsigned int error, bool wide)
{
	vcpu->regs[REG_RAX] = hypercall_error(error, wide);
	exit_skip(vcpu, len);
	return 1;
}

/*
 * The kernel knows no hypercall: -ENOSYS, or KVM_EXIT_HYPERCALL for the numbers
 * that the VMM has asked for (KVM_CAP_EXIT_HYPERCALL).
 */
static int make_hypercall(struct vigil_vcpu *vcpu, const struct hypercall *call,
			  unsigned int len)
{
	struct kvm_run *run = vcpu->run;

	if (call->nr >= 32 ||
	    !(READ_ONCE(vcpu->vm->hypercall_exits) & BIT(call->nr)))
		return hypercall_fails(vcpu, len, KVM_ENOSYS, call->wide);
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = call->nr;
	BUILD_BUG_ON(sizeof(run->hypercall.args) != sizeof(call->arg));
	memcpy(run->hypercall.args, call->arg, sizeof(call->arg));
	/*
	 * The guest reads this value if the VMM does not change it: the VMM
	 * does not know the hypercall either.
	 */
	run->hypercall.ret = hypercall_error(KVM_ENOSYS, call->wide);
	compat_hypercall_flags(run,
			       call->wide ? KVM_EXIT_HYPERCALL_LONG_MODE : 0);
	vcpu->io.kind = IO_HYPERCALL;
	vcpu->io.next_rip = vcpu->rip + len;
	vcpu->complete = hypercall_done;
	return 0;
}

/* Waits for the verdict on a watched hypercall. */
static int hypercall_held(struct vigil_vcpu *vcpu)
{
	unsigned int len = vcpu->io.next_rip - vcpu->rip;
	struct hypercall call;
	enum watch_answer answer;
	int ret;

	/* As in wrmsr_held() */
	vcpu->io.kind = IO_NONE;
	if (unlikely(!vcpu->held))
		return 1;
	vcpu->io.kind = IO_HYPERCALL;
	ret = emulctl_verdict(vcpu, hypercall_held, NULL, &answer);
	if (ret != 1)
		return ret;
	vcpu->io.kind = IO_NONE;
	/* The registers are those that the monitor was shown. */
	call = hypercall_of(vcpu);
	return answer == WATCH_GO ?
		       make_hypercall(vcpu, &call, len) :
		       hypercall_fails(vcpu, len, KVM_EPERM, call.wide);
}

/* A monitor watches hypercalls: asks about this one. */
static noinline int watched_hypercall(struct vigil_vcpu *vcpu,
				      const struct hypercall *call,
				      unsigned int len)
{
	switch (control_call(vcpu, call->nr, call->arg)) {
	case WATCH_GO:
		return make_hypercall(vcpu, call, len);
	case WATCH_HELD:
		vcpu->io.next_rip = vcpu->rip + len;
		return hypercall_held(vcpu);
	default:
		return hypercall_fails(vcpu, len, KVM_EPERM, call->wide);
	}
}

/*
 * From CPL 1 to 3: -EPERM, as Xen and KVM do. The errors are those of
 * <linux/kvm_para.h>.
 */
int exit_hypercall(struct vigil_vcpu *vcpu, unsigned int len)
{
	struct hypercall call;

	if (pv_on(vcpu->vm))
		return pv_hypercall(vcpu, len);
	vcpu->stat.exits_hypercall++;
	call = hypercall_of(vcpu);
	if (vmm_call(get_cpl)(vcpu))
		return hypercall_fails(vcpu, len, KVM_EPERM, call.wide);
	if (watch_controls(vcpu->vm, VIGIL_CONTROL_HYPERCALL))
		return watched_hypercall(vcpu, &call, len);
	return make_hypercall(vcpu, &call, len);
}

int exit_invlpg(struct vigil_vcpu *vcpu, gva_t gva, unsigned int len)
{
	vcpu->stat.exits_invlpg++;
	shadow_invlpg(vcpu, gva);
	/* The page cached may be another piece of the same large page. */
	fetch_flush(vcpu);
	exit_skip(vcpu, len);
	return 1;
}

int exit_xsetbv(struct vigil_vcpu *vcpu, unsigned int len)
{
	u64 value = (u32)vcpu->regs[REG_RAX] | (u64)vcpu->regs[REG_RDX] << 32;

	if (!(vcpu->cr4 & X86_CR4_OSXSAVE)) {
		event_ud(vcpu);
		return 1;
	}
	if (vmm_call(get_cpl)(vcpu) > pv_kernel_ring(vcpu)) {
		event_gp(vcpu);
		return 1;
	}
	return done_or_gp(vcpu, fpu_set_xcr0(vcpu, vcpu->regs[REG_RCX], value),
			  len);
}

/* The length of CPUID; 0: the bytes are another instruction, or refused by any CPU. */
static unsigned int cpuid_len(struct vigil_vcpu *vcpu, const u8 *bytes,
			      unsigned int n)
{
	struct insn insn;

	if (vigil_decode(&insn, bytes, n, vmm_call(code_bits)(vcpu)) ||
	    insn.op != INSN_OP_CPUID || insn.flags & INSN_BAD_LOCK)
		return 0;
	return insn.len;
}

/*
 * Emulates the instruction behind a forced-emulation prefix, of which there are @n
 * @bytes. It is the one that faults, and that raises #UD when the emulator does not
 * know it. CPUID is not the emulator's, but exits anyway.
 */
static noinline int forced(struct vigil_vcpu *vcpu, const u8 *bytes,
			   unsigned int n)
{
	unsigned int len = n ? cpuid_len(vcpu, bytes, n) : 0;
	u64 failed = vcpu->stat.emul_failed;
	int ret;

	advance_rip(vcpu, PV_PREFIX_LEN);
	if (len)
		return exit_cpuid(vcpu, len);
	ret = emulctl_run(vcpu);
	if (ret || vcpu->stat.emul_failed == failed)
		return ret;
	event_ud(vcpu);
	return mmio_drain(vcpu);
}

int exit_invalid_opcode(struct vigil_vcpu *vcpu)
{
	u8 bytes[INSN_MAX_LEN];
	struct insn insn;
	int n, ret;

	vcpu->stat.exits_exception++;
	n = exit_fetch(vcpu, bytes);
	if (n <= 0)
		return n < 0 ? n : 1;
	if (n >= 3 && pv_on(vcpu->vm) && pv_is_call(bytes))
		return exit_hypercall(vcpu, 3);
	if (pv_is_forced(vcpu->vm, bytes, n))
		return forced(vcpu, bytes + PV_PREFIX_LEN, n - PV_PREFIX_LEN);
	if (pv_in_force(vcpu) &&
	    !vigil_decode_layout(&insn, bytes, n, vmm_call(code_bits)(vcpu)) &&
	    pv_system_call(vcpu, &insn, &ret))
		return ret;
	event_ud(vcpu);
	return 1;
}

int exit_undefined(struct vigil_vcpu *vcpu)
{
	event_ud(vcpu);
	return 1;
}

int exit_reflect(struct vigil_vcpu *vcpu, u8 vector, bool has_ec, u32 ec)
{
	vcpu->stat.exits_exception++;
	if (has_ec)
		event_exception_ec(vcpu, vector, ec);
	else
		event_exception(vcpu, vector);
	return 1;
}

int exit_triple_fault(struct vigil_vcpu *vcpu)
{
	/*
	 * A CPU in shutdown delivers nothing any more. What was on its way must
	 * not meet the state that the VMM gives the vCPU next.
	 */
	event_drop_injected(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

int exit_irq_window(struct vigil_vcpu *vcpu)
{
	vcpu->stat.exits_irq_window++;
	event_window_opened(vcpu);
	return 1;
}

int exit_emulate(struct vigil_vcpu *vcpu)
{
	u64 failed = vcpu->stat.emul_failed;
	int ret = emulctl_run(vcpu);

	return likely(vcpu->stat.emul_failed == failed) ?
		       ret :
		       emulctl_failed(vcpu, ret);
}

int exit_emulate_one_of(struct vigil_vcpu *vcpu, const u16 *ops)
{
	u64 failed = vcpu->stat.emul_failed;
	int ret = emulctl_run_one_of(vcpu, ops);

	return likely(vcpu->stat.emul_failed == failed) ?
		       ret :
		       emulctl_failed(vcpu, ret);
}

int exit_machine_word(struct vigil_vcpu *vcpu)
{
	static const u16 ops[] = { INSN_OP_CLTS, INSN_OP_LMSW, INSN_OP_SMSW,
				   INSN_OP_NONE };

	return exit_emulate_one_of(vcpu, ops);
}

int exit_system_table(struct vigil_vcpu *vcpu)
{
	static const u16 ops[] = { INSN_OP_SGDT, INSN_OP_SIDT, INSN_OP_LGDT,
				   INSN_OP_LIDT, INSN_OP_SLDT, INSN_OP_STR,
				   INSN_OP_LLDT, INSN_OP_LTR,  INSN_OP_NONE };

	return exit_emulate_one_of(vcpu, ops);
}

int exit_int1(struct vigil_vcpu *vcpu)
{
	static const u16 ops[] = { INSN_OP_INT1, INSN_OP_NONE };

	return exit_emulate_one_of(vcpu, ops);
}

int exit_fail_entry(struct vigil_vcpu *vcpu, u64 reason)
{
	struct kvm_run *run = vcpu->run;
	struct vigil_fail_entry *f = (void *)run->padding;
	const char *why = vmm_ops->entry_problem(vcpu);

	static_assert(sizeof(*f) <= sizeof_field(struct kvm_run, padding));
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	memset(f, 0, sizeof(*f));
	f->hardware_entry_failure_reason = reason;
	f->cpu = vcpu->cpu;
	if (why)
		strscpy(f->why, why, sizeof(f->why));
	return 0;
}

static struct kvm_run *internal_error(struct vigil_vcpu *vcpu, u32 suberror)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = 0;
	memset(run->internal.data, 0, sizeof(run->internal.data));
	return run;
}

int exit_unexpected(struct vigil_vcpu *vcpu, u64 code)
{
	struct kvm_run *run =
		internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON);

	run->internal.ndata = 2;
	run->internal.data[0] = code;
	run->internal.data[1] = vcpu->cpu;
	return 0;
}

int exit_internal_error(struct vigil_vcpu *vcpu, u32 suberror, const u8 *insn,
			unsigned int len)
{
	struct kvm_run *run = internal_error(vcpu, suberror);

	if (!len)
		return 0;
	/*
	 * KVM's layout of an emulation failure has flags, then size and bytes.
	 */
	run->emulation_failure.ndata = 4;
	run->emulation_failure.flags =
		KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = len;
	memset(run->emulation_failure.insn_bytes, 0x90,
	       sizeof(run->emulation_failure.insn_bytes));
	memcpy(run->emulation_failure.insn_bytes, insn, len);
	return 0;
}

/* An instruction that faults again within so many exits has made no progress */
#define UNPROTECT_EXITS 4
#define UNPROTECT_TIMES 8

/*
 * An instruction that cannot be emulated has written to a page that is, or was,
 * a page table: stops shadowing the table and has the CPU execute the
 * instruction. An instruction that needs the very table for its own translation
 * would fault again and again, so this is bounded.
 */
static bool unprotect_instead(struct vigil_vcpu *vcpu, gva_t gva, gfn_t gfn)
{
	struct vigil_unprotected *u = &vcpu->unprotected;
	u64 exits = vcpu->stat.exits;

	if (u->rip != vcpu->rip || u->gfn != gfn ||
	    exits - u->exits > UNPROTECT_EXITS)
		u->times = 0;
	u->rip = vcpu->rip;
	u->gfn = gfn;
	u->exits = exits;
	return u->times++ < UNPROTECT_TIMES &&
	       !watch_page(vcpu->vm, gva, gfn) &&
	       shadow_unprotect(vcpu->vm, gfn);
}

/* @what: of enum shadow_fault */
static int emulate_fault(struct vigil_vcpu *vcpu, gva_t gva, gpa_t gpa, u32 ec,
			 int what)
{
	u64 failed = vcpu->stat.emul_failed;
	int ret = emulctl_fault(vcpu, gva, gpa, ec, what == SHADOW_WATCHED);

	if (likely(vcpu->stat.emul_failed == failed))
		return ret;
	if (what != SHADOW_MMIO &&
	    unprotect_instead(vcpu, gva, gpa >> PAGE_SHIFT))
		return 1;
	return emulctl_failed(vcpu, ret);
}

int exit_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 error_code)
{
	gpa_t gpa;
	int ret;

	vcpu->stat.exits_page_fault++;
	ret = shadow_page_fault(vcpu, gva, &error_code, &gpa);
	trace_vigil_page_fault(vcpu, gva, error_code, ret);
	switch (ret) {
	case SHADOW_FIXED:
		return 1;
	case SHADOW_GUEST:
		vcpu->stat.pf_guest++;
		event_page_fault(vcpu, gva, error_code);
		return 1;
	case SHADOW_EMULATE:
	case SHADOW_WATCHED:
	case SHADOW_MMIO:
		break;
	default:
		return ret;
	}
	vcpu->stat.pf_emulated++;
	if (likely(!event_injected(vcpu))) {
		if (pv_in_force(vcpu))
			pv_emulate_cut(vcpu);
		ret = emulate_fault(vcpu, gva, gpa, error_code, ret);
		if (pv_in_force(vcpu))
			vcpu->pv.bounce = 0;
		return ret;
	}
	/*
	 * The CPU faulted while it delivered an event: there is no instruction
	 * to emulate. The frame is pushed onto a page that is watched, or onto a
	 * table, which is opened for that.
	 */
	if (ret != SHADOW_MMIO && watch_page(vcpu->vm, gva, gpa >> PAGE_SHIFT))
		return emulctl_deliver(vcpu);
	if (ret != SHADOW_MMIO &&
	    shadow_open_table(vcpu->vm, gpa >> PAGE_SHIFT))
		return 1;
	/* The watch has gone since, so the page can be mapped. */
	if (ret == SHADOW_WATCHED)
		return 1;
	return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, NULL,
				   0);
}

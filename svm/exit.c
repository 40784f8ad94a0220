// SPDX-License-Identifier: GPL-2.0
/*
 * Exits: what happened, from EXITCODE, EXITINFO and, where the CPU does not tell,
 * from the instruction itself. What is to be done about it, the core decides.
 */
#include <linux/rcupdate.h>

#include "svm.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/inject.h"
#include "vmm/exit/exit.h"
#include "vmm/exit/fetch.h"
#include "vmm/exit/io.h"
#include "vmm/exit/task.h"
#include "vmm/host.h"
#include "vmm/insn/decode.h"
#include "vmm/pv/pv.h"
#include "vmm/trace.h"

#define DR6_REASONS 0xe00ful /* B0-B3, BD, BS, BT */
#define DR6_BS (1ul << 14)

/* ---- the instruction that exited ---- */

/*
 * The bytes of an instruction without prefixes; the first byte is the lowest.
 */
struct plain {
	u32 bytes;
	u32 mask;
	u8 len;
};

#define PLAIN1(a) ((struct plain){ (a), 0xff, 1 })
#define PLAIN2(a, b) ((struct plain){ (a) | (b) << 8, 0xffff, 2 })
#define PLAIN3(a, b, c) \
	((struct plain){ (a) | (b) << 8 | (c) << 16, 0xffffff, 3 })

/*
 * Decodes the instruction where its bytes are not the plain form, mostly
 * because of prefixes. 1: @insn is filled in. 0: enter again, because a fault
 * is queued, or another vCPU has replaced the bytes since the exit. Negative:
 * errno.
 */
static int fetch_insn(struct vigil_vcpu *vcpu, struct insn *insn, bool operands)
{
	u8 buf[INSN_MAX_LEN];
	int n, ret;

	n = exit_fetch(vcpu, buf);
	if (n <= 0)
		return n;
	ret = operands ? vigil_decode(insn, buf, n, svm_code_bits(vcpu)) :
			 vigil_decode_layout(insn, buf, n, svm_code_bits(vcpu));
	if (ret == INSN_OK)
		return 1;
	if (ret == INSN_NEED_MORE) {
		/*
		 * The instruction continues in the next page. The CPU has
		 * executed it, so that page was mapped: if it no longer is, the
		 * guest gets its fault.
		 */
		ret = fetch_fault_next(vcpu);
		return ret < 0 ? ret : 0;
	}
	return 0;
}

static noinline int slow_len(struct vigil_vcpu *vcpu)
{
	struct insn insn;
	int ret = fetch_insn(vcpu, &insn, false);

	return ret > 0 ? insn.len : ret;
}

/*
 * Returns the length of the instruction that exited, as the CPU reports it or
 * as its bytes say. Like fetch_insn(), 0 means to enter again, and a negative
 * value is an errno.
 */
static __always_inline int insn_len(struct vigil_vcpu *vcpu, struct plain p)
{
	u8 buf[INSN_MAX_LEN];
	int n;

	if (svm_caps.nrips) {
		u64 len = to_svm(vcpu)->vmcb->control.next_rip - vcpu->rip;

		if (likely(len - 1 < INSN_MAX_LEN))
			return len;
	}
	n = exit_fetch(vcpu, buf);
	if (unlikely(n <= 0))
		return n;
	if (likely(n >= 4 && (get_unaligned_le32(buf) & p.mask) == p.bytes))
		return p.len;
	return slow_len(vcpu);
}

/*
 * Calls the core's handler with the length of the instruction. Without a length
 * the guest is entered again, or the errno is returned.
 */
#define WITH_LEN(vcpu, plain, call)                           \
	({                                                    \
		int len = insn_len(vcpu, plain);              \
		likely(len > 0) ? (call) : len < 0 ? len : 1; \
	})

/* ---- instructions ---- */

static int on_cpuid(struct vigil_vcpu *vcpu)
{
	return WITH_LEN(vcpu, PLAIN2(0x0f, 0xa2), exit_cpuid(vcpu, len));
}

static int on_msr(struct vigil_vcpu *vcpu)
{
	if (to_svm(vcpu)->vmcb->control.exit_info_1 & 1)
		return WITH_LEN(vcpu, PLAIN2(0x0f, 0x30),
				exit_wrmsr(vcpu, len));
	return WITH_LEN(vcpu, PLAIN2(0x0f, 0x32), exit_rdmsr(vcpu, len));
}

static int on_io(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	u32 info = c->exit_info_1;
	struct exit_io io = {
		.port = info >> IOIO_PORT_SHIFT,
		.size = (info >> IOIO_SIZE_SHIFT) & IOIO_SIZE,
		.in = info & IOIO_IN,
		.string = info & IOIO_STRING,
		.next_rip = c->exit_info_2,
	};

	return exit_io(vcpu, &io);
}

static int on_hlt(struct vigil_vcpu *vcpu)
{
	return WITH_LEN(vcpu, PLAIN1(0xf4), exit_hlt(vcpu, len));
}

static int on_vmmcall(struct vigil_vcpu *vcpu)
{
	return WITH_LEN(vcpu, PLAIN3(0x0f, 0x01, 0xd9),
			exit_hypercall(vcpu, len));
}

static int on_xsetbv(struct vigil_vcpu *vcpu)
{
	return WITH_LEN(vcpu, PLAIN3(0x0f, 0x01, 0xd1), exit_xsetbv(vcpu, len));
}

/*
 * INVD and WBINVD are skipped: guest memory is coherent, whatever the guest
 * does with its caches.
 */
static int on_invd(struct vigil_vcpu *vcpu)
{
	return WITH_LEN(vcpu, PLAIN2(0x0f, 0x08), (exit_skip(vcpu, len), 1));
}

static int on_wbinvd(struct vigil_vcpu *vcpu)
{
	return WITH_LEN(vcpu, PLAIN2(0x0f, 0x09), (exit_skip(vcpu, len), 1));
}

/* The guest has no performance counter, so RDPMC raises #GP. */
static int on_rdpmc(struct vigil_vcpu *vcpu)
{
	event_gp(vcpu);
	return 1;
}

/*
 * Finds register and length of MOV CRn or MOV DRn without any prefix but REX.
 * 0: the instruction has another form.
 */
static int plain_mov(struct vigil_vcpu *vcpu, u8 opcode, int *reg)
{
	u8 buf[INSN_MAX_LEN];
	int n = exit_fetch(vcpu, buf), at = 0;
	u8 rex = 0;

	if (n < 4)
		return n < 0 ? n : 0;
	if ((buf[0] & 0xf0) == 0x40 && svm_code_bits(vcpu) == 64)
		rex = buf[at++];
	if (buf[at] != 0x0f || buf[at + 1] != opcode)
		return 0;
	*reg = (buf[at + 2] & 7) | (rex & 1) << 3;
	return at + 3;
}

/*
 * Finds register and length of MOV to or from CRn or DRn. Returns what
 * insn_len() does; -ENOENT: it is another instruction (LMSW, SMSW, CLTS), which
 * has to be emulated.
 */
static int mov_operand(struct vigil_vcpu *vcpu, u8 opcode, u16 op, int *reg)
{
	struct insn insn;
	int len;

	len = plain_mov(vcpu, opcode, reg);
	if (likely(len))
		return len;
	len = fetch_insn(vcpu, &insn, false);
	if (len <= 0)
		return len;
	if (insn.op != op)
		return -ENOENT;
	*reg = (insn.modrm & 7) | (insn.rex & 1) << 3;
	return insn.len;
}

/*
 * Takes register and length of a MOV from the CPU (decode assists and next
 * RIP). 0: this CPU does not report them.
 */
static int assisted_mov(struct vigil_vcpu *vcpu, int *reg)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	u64 len = c->next_rip - vcpu->rip;

	if (!svm_caps.decode_assists || !svm_caps.nrips ||
	    len - 1 >= INSN_MAX_LEN)
		return 0;
	*reg = c->exit_info_1 & CR_GPR;
	return len;
}

static int on_cr(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	int cr = c->exit_code & 15, reg, len = 0;
	bool write = c->exit_code >= EXIT_WRITE_CR0;

	/* LMSW and CLTS write CR0 as well, and SMSW reads it. */
	if (svm_caps.decode_assists && !(c->exit_info_1 & CR_IS_MOV))
		return exit_machine_word(vcpu);
	len = assisted_mov(vcpu, &reg);
	if (!len)
		len = mov_operand(
			vcpu, write ? 0x22 : 0x20,
			write ? INSN_OP_MOV_TO_CR : INSN_OP_MOV_FROM_CR, &reg);
	if (unlikely(len <= 0))
		return len == -ENOENT ? exit_machine_word(vcpu) :
		       len < 0	      ? len :
					1;
	return write ? exit_mov_to_cr(vcpu, cr, reg, len) :
		       exit_mov_from_cr(vcpu, cr, reg, len);
}

static int on_dr(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	int dr = c->exit_code & 15, reg, len;
	bool write = c->exit_code >= EXIT_WRITE_DR0;

	len = assisted_mov(vcpu, &reg);
	if (!len)
		len = mov_operand(
			vcpu, write ? 0x23 : 0x21,
			write ? INSN_OP_MOV_TO_DR : INSN_OP_MOV_FROM_DR, &reg);
	/* Another vCPU has replaced the instruction: the guest executes what is there. */
	if (unlikely(len <= 0)) {
		fetch_flush(vcpu);
		return len < 0 && len != -ENOENT ? len : 1;
	}
	return exit_mov_dr(vcpu, dr, reg, write, len);
}

/*
 * Finds address and length of INVLPG with a plain register as address, the form
 * that kernels use. 0: it has some other form; negative: errno.
 */
static int plain_invlpg(struct vigil_vcpu *vcpu, u64 *addr)
{
	u8 buf[INSN_MAX_LEN], rm, rex = 0;
	int n = exit_fetch(vcpu, buf), at = 0;

	if (n < 4)
		return n < 0 ? n : 0;
	if (svm_code_bits(vcpu) != 64)
		return 0;
	if ((buf[0] & 0xf0) == 0x40)
		rex = buf[at++];
	if (buf[at] != 0x0f || buf[at + 1] != 0x01)
		return 0;
	/*
	 * The ModRM byte must be /7 with memory and no displacement; 4 and 5
	 * are SIB and RIP + disp32.
	 */
	rm = buf[at + 2];
	if ((rm & 0xf8) != 0x38 || (rm & 6) == 4)
		return 0;
	*addr = vcpu->regs[(rm & 7) | (rex & 1) << 3];
	return at + 3;
}

static noinline int slow_invlpg(struct vigil_vcpu *vcpu)
{
	struct insn insn;
	int ret = fetch_insn(vcpu, &insn, true);
	u64 addr;

	if (ret <= 0)
		return ret < 0 ? ret : 1;
	/* Another vCPU has replaced the instruction: the guest executes what is there. */
	if (insn.op != INSN_OP_INVLPG || !insn.has_mem) {
		fetch_flush(vcpu);
		return 1;
	}
	addr = vigil_insn_ea(&insn, (const u64 *)vcpu->regs, vcpu->rip);
	/*
	 * In 64-bit mode only FS and GS have a base. The decoder and enum
	 * vigil_seg number the segments alike.
	 */
	if (insn.mode != INSN_MODE_64 || insn.seg == INSN_SEG_FS ||
	    insn.seg == INSN_SEG_GS)
		addr += svm_get_seg_base(vcpu, (enum vigil_seg)insn.seg);
	if (insn.mode != INSN_MODE_64)
		addr = (u32)addr;
	return exit_invlpg(vcpu, addr, insn.len);
}

static int on_invlpg(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	u64 len = c->next_rip - vcpu->rip, addr;
	int ret;

	if (svm_caps.decode_assists && svm_caps.nrips && len - 1 < INSN_MAX_LEN)
		return exit_invlpg(vcpu, c->exit_info_1, len);
	ret = plain_invlpg(vcpu, &addr);
	if (likely(ret))
		return ret < 0 ? ret : exit_invlpg(vcpu, addr, ret);
	return slow_invlpg(vcpu);
}

/* ---- exceptions and events ---- */

static int on_page_fault(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;

	return exit_page_fault(vcpu, c->exit_info_2, c->exit_info_1);
}

/*
 * The guest ran with DR6 clear, so each bit set there belongs to this #DB. The
 * exit comes before the delivery: a #DB that its own delivery raises again
 * exits each time instead of looping in the CPU.
 */
static int on_debug(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	unsigned long dr6 = (vmcb->save.dr6 ^ DR6_NONE) & DR6_REASONS;

	vmcb->save.dr6 = DR6_NONE;
	vmcb_dirty(vmcb, CLEAN_DR);
	if (unlikely(svm->stepped)) {
		svm->stepped = false;
		dr6 &= ~DR6_BS;
		if (!dr6)
			return 1;
	}
	vcpu->stat.exits_exception++;
	event_db(vcpu, dr6);
	return 1;
}

/*
 * The emulator delivers the #DB of ICEBP: a fault of that delivery has the
 * instruction's own RIP, its handler's frame that of the next one.
 */
static int on_icebp(struct vigil_vcpu *vcpu)
{
	vcpu->stat.exits_exception++;
	return exit_int1(vcpu);
}

static int on_align(struct vigil_vcpu *vcpu)
{
	return exit_reflect(vcpu, X86_TRAP_AC, true,
			    to_svm(vcpu)->vmcb->control.exit_info_1);
}

/*
 * With tables of the VMM, exceptions that the guest would else take by itself. #DF has
 * an error code too, of 0.
 */
static int on_bounced(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	unsigned int vector = c->exit_code - EXIT_EXCP_DB + X86_TRAP_DB;

	return exit_reflect(vcpu, vector, PV_ERROR_CODES & BIT(vector),
			    c->exit_info_1);
}

/* Real mode knows no error codes. */
static int on_gate_fault(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;

	return pv_gate_fault(vcpu, c->exit_code - EXIT_EXCP_DB + X86_TRAP_DB,
			     vcpu->cr0 & X86_CR0_PE, c->exit_info_1);
}

/*
 * The event is handled already: by svm_handle_exit_irqoff(), or by the host at
 * STGI.
 */
static int on_host_event(struct vigil_vcpu *vcpu)
{
	return 1;
}

static int on_window(struct vigil_vcpu *vcpu)
{
	svm_irq_window(vcpu, false);
	return exit_irq_window(vcpu);
}

static int on_iret(struct vigil_vcpu *vcpu)
{
	svm_exit_iret(vcpu);
	return 1;
}

/*
 * IRET and JMP have a bit each. An event has EXITINTINFO, so what is left is CALL. For
 * an INT n, some CPUs name the last event that they remember (svm_event_exit()).
 */
static int on_task_switch(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	bool gate = !(c->exit_info_2 & (TASK_IRET | TASK_JMP)) &&
		    c->exit_int_info & EVT_VALID;
	const struct exit_task t = {
		.sel = c->exit_info_1,
		.gate = gate,
		.doubtful = gate && to_svm(vcpu)->own_event,
		.rf = c->exit_info_2 & TASK_RF,
	};

	return exit_task_switch(vcpu, &t);
}

/* x87 errors reported through pins are not supported: KVM_RUN ends with an error. */
static int on_unsupported(struct vigil_vcpu *vcpu)
{
	return exit_unexpected(vcpu, to_svm(vcpu)->vmcb->control.exit_code);
}

/* clang-format off */
static int (*const handlers[NR_EXIT_CODES])(struct vigil_vcpu *vcpu) = {
	[EXIT_READ_CR0 ... EXIT_WRITE_CR15]	= on_cr,
	[EXIT_READ_DR0 ... EXIT_WRITE_DR15]	= on_dr,
	[EXIT_EXCP_DE]		= on_bounced,
	[EXIT_EXCP_DB]		= on_debug,
	[EXIT_EXCP_BR]		= on_bounced,
	[EXIT_EXCP_UD]		= exit_invalid_opcode,
	[EXIT_EXCP_NM]		= on_bounced,
	[EXIT_EXCP_DF]		= on_bounced,
	[EXIT_EXCP_TS]		= on_bounced,
	[EXIT_EXCP_NP]		= on_gate_fault,
	[EXIT_EXCP_SS]		= on_bounced,
	[EXIT_EXCP_GP]		= on_gate_fault,
	[EXIT_EXCP_PF]		= on_page_fault,
	[EXIT_EXCP_MF]		= on_bounced,
	[EXIT_EXCP_AC]		= on_align,
	[EXIT_EXCP_MC]		= on_host_event,
	[EXIT_EXCP_XF]		= on_bounced,
	[EXIT_INTR]		= on_host_event,
	[EXIT_NMI]		= on_host_event,
	[EXIT_SMI]		= on_host_event,
	[EXIT_INIT]		= on_host_event,
	[EXIT_VINTR]		= on_window,
	[EXIT_IDTR_READ ... EXIT_TR_WRITE] = exit_system_table,
	[EXIT_RDPMC]		= on_rdpmc,
	[EXIT_CPUID]		= on_cpuid,
	[EXIT_RSM]		= exit_undefined,
	[EXIT_IRET]		= on_iret,
	[EXIT_INVD]		= on_invd,
	[EXIT_HLT]		= on_hlt,
	[EXIT_INVLPG]		= on_invlpg,
	[EXIT_INVLPGA]		= exit_undefined,
	[EXIT_IOIO]		= on_io,
	[EXIT_MSR]		= on_msr,
	[EXIT_TASK_SWITCH]	= on_task_switch,
	[EXIT_FERR_FREEZE]	= on_unsupported,
	[EXIT_SHUTDOWN]		= exit_triple_fault,
	[EXIT_VMRUN]		= exit_undefined,
	[EXIT_VMMCALL]		= on_vmmcall,
	[EXIT_VMLOAD]		= exit_undefined,
	[EXIT_VMSAVE]		= exit_undefined,
	[EXIT_STGI]		= exit_undefined,
	[EXIT_CLGI]		= exit_undefined,
	[EXIT_SKINIT]		= exit_undefined,
	[EXIT_RDTSCP]		= exit_undefined,
	[EXIT_ICEBP]		= on_icebp,
	[EXIT_WBINVD]		= on_wbinvd,
	[EXIT_MONITOR]		= exit_undefined,
	[EXIT_MWAIT]		= exit_undefined,
	[EXIT_XSETBV]		= on_xsetbv,
	[EXIT_RDPRU]		= exit_undefined,
	[EXIT_INVPCID]		= exit_undefined,
};
/* clang-format on */

int svm_handle_exit(struct vigil_vcpu *vcpu)
{
	const struct vmcb_control *ctl = &to_svm(vcpu)->vmcb->control;
	u64 code = ctl->exit_code;

	/* The exit_info fields are read only while the tracepoint is on. */
	if (trace_vigil_exit_enabled())
		trace_vigil_exit(vcpu, false, code, ctl->exit_info_1,
				 ctl->exit_info_2);
	/*
	 * The most frequent exits are called directly: a call through the table
	 * would cost a retpoline.
	 */
	switch (code) {
	case EXIT_EXCP_PF:
		return on_page_fault(vcpu);
	case EXIT_IOIO:
		return on_io(vcpu);
	case EXIT_MSR:
		return on_msr(vcpu);
	case EXIT_CPUID:
		return on_cpuid(vcpu);
	case EXIT_INTR:
		return 1;
	}
	if (unlikely(code >= NR_EXIT_CODES)) {
		/*
		 * Negative codes (VMEXIT_INVALID and others) mean that VMRUN
		 * refused the guest's state.
		 */
		if ((s64)code < 0 || (s32)code < 0)
			return exit_fail_entry(vcpu, code);
		return exit_unexpected(vcpu, code);
	}
	if (unlikely(!handlers[code]))
		return exit_unexpected(vcpu, code);
	return handlers[code](vcpu);
}

void svm_handle_exit_irqoff(struct vigil_vcpu *vcpu)
{
	u64 code = to_svm(vcpu)->vmcb->control.exit_code;

	if (unlikely((s32)code < 0)) {
		/* A refused VMRUN may not have done the flush that it was asked for. */
		svm_drop_asids(this_cpu_ptr(&svm_cpu));
		return;
	}
	/* One test keeps all other exits out: the three codes are close together. */
	if (likely(code - EXIT_EXCP_MC > EXIT_NMI - EXIT_EXCP_MC))
		return;
	if (code == EXIT_INTR) {
		vcpu->stat.exits_irq++;
		/*
		 * Running the guest is no RCU read-side section: tell RCU, or
		 * grace periods would wait for a CPU that does nothing else.
		 */
		rcu_note_context_switch(false);
	} else if (code == EXIT_NMI) {
		vcpu->stat.exits_nmi++;
	} else if (code == EXIT_EXCP_MC) {
		host_machine_check();
	}
}

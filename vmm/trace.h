/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, /sys/kernel/tracing/events/vigil/. Documentation/tracing.rst has the
 * list. None stands where RCU does not watch: between switch_to_guest() and
 * switch_to_host() of vmm/cpu/switch.h.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vigil

#if !defined(VIGIL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VIGIL_TRACE_H

#include <linux/tracepoint.h>

#include "vmm/vcpu.h"

/* clang-format off */

#define trace_outcomes					\
	{ 0,	"fixed" },				\
	{ 1,	"guest" },				\
	{ 2,	"emulate" },				\
	{ 3,	"mmio" },				\
	{ 4,	"watched" }

#define trace_emul_results				\
	{ EMUL_OK,		"done" },		\
	{ EMUL_FAULT,		"fault" },		\
	{ EMUL_PENDING,		"pending" },		\
	{ EMUL_RESTART,		"restart" },		\
	{ EMUL_UNHANDLED,	"unhandled" }

#define trace_kinds					\
	{ 0,	"exception" },				\
	{ 1,	"nmi" },				\
	{ 2,	"irq" }

#define trace_verdicts					\
	{ VIGIL_VERDICT_ALLOW,	"allow" },		\
	{ VIGIL_VERDICT_DENY,	"deny" },		\
	{ VIGIL_VERDICT_GP,	"gp" },			\
	{ VIGIL_VERDICT_PF,	"pf" },			\
	{ VIGIL_VERDICT_REPLACE, "replace" },		\
	{ VIGIL_VERDICT_KILL,	"kill" }

#define trace_actions					\
	{ VIGIL_ACTION_LOG,	"log" },		\
	{ VIGIL_ACTION_ASK,	"ask" },		\
	{ VIGIL_ACTION_DENY,	"deny" },		\
	{ VIGIL_ACTION_PASS,	"pass" }

/* The first fields of each event that says where in the guest a vCPU was. */
#define trace_vcpu_fields				\
	__field(u32,	vm)				\
	__field(u32,	vcpu)				\
	__field(u64,	rip)

#define trace_vcpu_assign(v)				\
	do {						\
		__entry->vm	= (v)->vm->id;		\
		__entry->vcpu	= (v)->id;		\
		__entry->rip	= (v)->rip;		\
	} while (0)

/* ---- entry and exit ---- */

TRACE_EVENT(vigil_entry,
	TP_PROTO(const struct vigil_vcpu *vcpu),
	TP_ARGS(vcpu),

	TP_STRUCT__entry(
		trace_vcpu_fields
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
	),
	TP_printk("vm %u vcpu %u rip 0x%llx",
		  __entry->vm, __entry->vcpu, __entry->rip)
);

TRACE_EVENT(vigil_exit,
	TP_PROTO(const struct vigil_vcpu *vcpu, bool vmx, u64 reason, u64 info1,
		 u64 info2),
	TP_ARGS(vcpu, vmx, reason, info1, info2),

	TP_STRUCT__entry(
		trace_vcpu_fields
		__field(u64,	info1)
		__field(u64,	info2)
		__field(u64,	reason)
		__field(bool,	vmx)
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
		__entry->info1	= info1;
		__entry->info2	= info2;
		__entry->reason	= reason;
		__entry->vmx	= vmx;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx reason %s info 0x%llx 0x%llx",
		  __entry->vm, __entry->vcpu, __entry->rip,
		  __entry->vmx ?
		  __print_symbolic(__entry->reason, VMX_EXIT_REASONS) :
		  __print_symbolic(__entry->reason, SVM_EXIT_REASONS),
		  __entry->info1, __entry->info2)
);

TRACE_EVENT(vigil_page_fault,
	TP_PROTO(const struct vigil_vcpu *vcpu, gva_t gva, u32 error_code,
		 int outcome),
	TP_ARGS(vcpu, gva, error_code, outcome),

	TP_STRUCT__entry(
		trace_vcpu_fields
		__field(u64,	gva)
		__field(u32,	error_code)
		__field(int,	outcome)
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
		__entry->gva		= gva;
		__entry->error_code	= error_code;
		__entry->outcome	= outcome;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx gva 0x%llx error_code 0x%x outcome %s",
		  __entry->vm, __entry->vcpu, __entry->rip, __entry->gva,
		  __entry->error_code,
		  __entry->outcome < 0 ? "error" :
		  __print_symbolic(__entry->outcome, trace_outcomes))
);

TRACE_EVENT(vigil_emulate,
	TP_PROTO(const struct vigil_vcpu *vcpu, int result),
	TP_ARGS(vcpu, result),

	TP_STRUCT__entry(
		trace_vcpu_fields
		__field(int,	result)
		__field(u8,	len)
		__array(u8,	insn, 15)
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
		__entry->result	= result;
		__entry->len	= min_t(u8, vcpu->emul.insn.len, 15);
		memcpy(__entry->insn, vcpu->emul.insn.bytes, 15);
	),
	TP_printk("vm %u vcpu %u rip 0x%llx insn %s %s",
		  __entry->vm, __entry->vcpu, __entry->rip,
		  __print_hex(__entry->insn, __entry->len),
		  __print_symbolic(__entry->result, trace_emul_results))
);

TRACE_EVENT_CONDITION(vigil_inject,
	TP_PROTO(const struct vigil_vcpu *vcpu, bool again),
	TP_ARGS(vcpu, again),
	TP_CONDITION(vcpu->events.exception.injected ||
		     vcpu->events.nmi_injected || vcpu->events.irq_injected),

	TP_STRUCT__entry(
		__field(u32,	vm)
		__field(u32,	vcpu)
		__field(int,	kind)
		__field(u8,	vector)
		__field(bool,	again)
		__field(u32,	error_code)
	),
	TP_fast_assign(
		const struct vigil_events *ev = &vcpu->events;

		__entry->vm	= vcpu->vm->id;
		__entry->vcpu	= vcpu->id;
		__entry->kind	= ev->exception.injected ? 0 :
				  ev->nmi_injected	 ? 1 : 2;
		__entry->vector = ev->exception.injected ?
				  ev->exception.vector :
				  ev->nmi_injected	 ? X86_TRAP_NMI :
				  ev->irq_vector;
		__entry->again	= again;
		__entry->error_code = ev->exception.injected ?
				      ev->exception.error_code : 0;
	),
	TP_printk("vm %u vcpu %u %s vector 0x%x error_code 0x%x%s",
		  __entry->vm, __entry->vcpu,
		  __print_symbolic(__entry->kind, trace_kinds),
		  __entry->vector, __entry->error_code,
		  __entry->again ? " again" : "")
);

/* ---- watches ---- */

TRACE_EVENT(vigil_watch_hit,
	TP_PROTO(const struct vigil_vcpu *vcpu, u32 id, u32 action, u64 gpa,
		 u32 len),
	TP_ARGS(vcpu, id, action, gpa, len),

	TP_STRUCT__entry(
		trace_vcpu_fields
		__field(u64,	gpa)
		__field(u32,	len)
		__field(u32,	id)
		__field(u32,	action)
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
		__entry->gpa	= gpa;
		__entry->len	= len;
		__entry->id	= id;
		__entry->action	= action;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx gpa 0x%llx len %u watch %u action %s",
		  __entry->vm, __entry->vcpu, __entry->rip, __entry->gpa,
		  __entry->len, __entry->id,
		  __print_symbolic(__entry->action, trace_actions))
);

TRACE_EVENT(vigil_watch_control,
	TP_PROTO(const struct vigil_vcpu *vcpu, u32 id, u32 action, u32 control,
		 u32 call),
	TP_ARGS(vcpu, id, action, control, call),

	TP_STRUCT__entry(
		trace_vcpu_fields
		__field(u32,	control)
		__field(u32,	call)
		__field(u32,	id)
		__field(u32,	action)
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
		__entry->control = control;
		__entry->call	= call;
		__entry->id	= id;
		__entry->action	= action;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx control %u hypercall %u watch %u action %s",
		  __entry->vm, __entry->vcpu, __entry->rip, __entry->control,
		  __entry->call, __entry->id,
		  __print_symbolic(__entry->action, trace_actions))
);

TRACE_EVENT(vigil_watch_verdict,
	TP_PROTO(const struct vigil_vcpu *vcpu, u64 seq, u32 verdict),
	TP_ARGS(vcpu, seq, verdict),

	TP_STRUCT__entry(
		__field(u32,	vm)
		__field(u32,	vcpu)
		__field(u64,	seq)
		__field(u32,	verdict)
	),
	TP_fast_assign(
		__entry->vm	= vcpu->vm->id;
		__entry->vcpu	= vcpu->id;
		__entry->seq	= seq;
		__entry->verdict = verdict;
	),
	TP_printk("vm %u vcpu %u event %llu verdict %s",
		  __entry->vm, __entry->vcpu, __entry->seq,
		  __print_symbolic(__entry->verdict, trace_verdicts))
);

TRACE_EVENT(vigil_watch_drop,
	TP_PROTO(const struct vigil_vcpu *vcpu, u32 id, u64 seq),
	TP_ARGS(vcpu, id, seq),

	TP_STRUCT__entry(
		trace_vcpu_fields
		__field(u64,	seq)
		__field(u32,	id)
	),
	TP_fast_assign(
		trace_vcpu_assign(vcpu);
		__entry->seq	= seq;
		__entry->id	= id;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx event %llu watch %u",
		  __entry->vm, __entry->vcpu, __entry->rip, __entry->seq,
		  __entry->id)
);

/* ---- memory ---- */

TRACE_EVENT(vigil_dirty_harvest,
	TP_PROTO(const struct vigil_vm *vm, u32 slot, u64 pages, bool flush),
	TP_ARGS(vm, slot, pages, flush),

	TP_STRUCT__entry(
		__field(u32,	vm)
		__field(u32,	slot)
		__field(u64,	pages)
		__field(bool,	flush)
	),
	TP_fast_assign(
		__entry->vm	= vm->id;
		__entry->slot	= slot;
		__entry->pages	= pages;
		__entry->flush	= flush;
	),
	TP_printk("vm %u slot %u pages %llu%s", __entry->vm, __entry->slot,
		  __entry->pages, __entry->flush ? " flush" : "")
);

DECLARE_EVENT_CLASS(vigil_shadow,
	TP_PROTO(const struct vigil_vm *vm, gfn_t gfn, union shadow_role role),
	TP_ARGS(vm, gfn, role),

	TP_STRUCT__entry(
		__field(u32,	vm)
		__field(u64,	gfn)
		__field(u32,	role)
	),
	TP_fast_assign(
		__entry->vm	= vm->id;
		__entry->gfn	= gfn;
		__entry->role	= role.word;
	),
	TP_printk("vm %u gfn 0x%llx role 0x%x level %u%s", __entry->vm,
		  __entry->gfn, __entry->role,
		  ((union shadow_role){ .word = __entry->role }).level,
		  ((union shadow_role){ .word = __entry->role }).direct ?
		  " direct" : "")
);

DEFINE_EVENT(vigil_shadow, vigil_shadow_new,
	TP_PROTO(const struct vigil_vm *vm, gfn_t gfn, union shadow_role role),
	TP_ARGS(vm, gfn, role));

DEFINE_EVENT(vigil_shadow, vigil_shadow_zap,
	TP_PROTO(const struct vigil_vm *vm, gfn_t gfn, union shadow_role role),
	TP_ARGS(vm, gfn, role));

/* ---- life ---- */

DECLARE_EVENT_CLASS(vigil_vm,
	TP_PROTO(const struct vigil_vm *vm),
	TP_ARGS(vm),

	TP_STRUCT__entry(
		__field(u32,	vm)
	),
	TP_fast_assign(
		__entry->vm	= vm->id;
	),
	TP_printk("vm %u", __entry->vm)
);

DEFINE_EVENT(vigil_vm, vigil_vm_create,
	TP_PROTO(const struct vigil_vm *vm),
	TP_ARGS(vm));

DEFINE_EVENT(vigil_vm, vigil_vm_destroy,
	TP_PROTO(const struct vigil_vm *vm),
	TP_ARGS(vm));

DECLARE_EVENT_CLASS(vigil_monitor,
	TP_PROTO(const struct vigil_vm *vm, bool read_only),
	TP_ARGS(vm, read_only),

	TP_STRUCT__entry(
		__field(u32,	vm)
		__field(bool,	read_only)
	),
	TP_fast_assign(
		__entry->vm		= vm->id;
		__entry->read_only	= read_only;
	),
	TP_printk("vm %u%s", __entry->vm,
		  __entry->read_only ? " read-only" : "")
);

DEFINE_EVENT(vigil_monitor, vigil_monitor_open,
	TP_PROTO(const struct vigil_vm *vm, bool read_only),
	TP_ARGS(vm, read_only));

DEFINE_EVENT(vigil_monitor, vigil_monitor_close,
	TP_PROTO(const struct vigil_vm *vm, bool read_only),
	TP_ARGS(vm, read_only));

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH vmm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of hypercalls share: a guest of one instruction, which makes a call. */
#ifndef SELFTESTS_PV_CALLS_H
#define SELFTESTS_PV_CALLS_H

#include "pv.h"

#define MSR_PAGE 0x40000000
#define NR_SCHED_OP 29
#define NR_MULTICALL 13
#define NR_CONSOLE_IO 18
#define NR_IOPL VIGIL_HYPERVISOR_set_hypercall_iopl
#define XEN_EPERM 1
#define XEN_EFAULT 14
#define XEN_EINVAL 22
#define XEN_ENOSYS 38

/* ---- the guest: one instruction, then the end ---- */

static const uint8_t vmcall[] = { 0x0f, 0x01, 0xc1 };
static const uint8_t vmmcall[] = { 0x0f, 0x01, 0xd9 };

static const struct vigil_hypercalls usual = {
	.flags = VIGIL_HC_PAGE,
	.msr = MSR_PAGE,
	.max_iopl = 3,
	.kernel = 1ull << NR_SCHED_OP | 1ull << NR_MULTICALL | 1ull << NR_IOPL,
	.user_max = 1ull << NR_SCHED_OP | 1ull << NR_CONSOLE_IO |
		    1ull << NR_MULTICALL,
};

static inline int set_hypercalls(int fd, const struct vigil_hypercalls *h)
{
	return ioctl(fd, VIGIL_SET_HYPERCALLS, h);
}

static inline void put_code(struct vcpu *v, const uint8_t *insn,
			    unsigned int len)
{
	static const uint8_t end[] = { 0xe6, PORT_END };
	uint8_t *at = vm_ram(v->vm, GUEST_CODE, len + sizeof(end));

	memcpy(at, insn, len);
	memcpy(at + len, end, sizeof(end));
}

static inline struct vcpu *start(enum mode mode,
				 const struct vigil_hypercalls *h)
{
	struct vcpu *v = pv_start(mode, h);

	put_code(v, test_on_svm() ? vmmcall : vmcall, 3);
	return v;
}

/* As many as a vCPU can have. */
#define PV_TRAPS 256
#define PV_CALLBACKS 8
#define PV_GDT 7168

/* For VIGIL_GET_PV, with room for all of it; NULL: that is not wanted. */
static inline struct vigil_pv pv_room(struct vigil_pv_trap traps[PV_TRAPS],
				      struct vigil_pv_trap cb[PV_CALLBACKS],
				      uint64_t gdt[PV_GDT])
{
	return (struct vigil_pv){
		.size = sizeof(struct vigil_pv),
		.nr_traps = traps ? PV_TRAPS : 0,
		.nr_gdt = gdt ? PV_GDT : 0,
		.nr_callbacks = cb ? PV_CALLBACKS : 0,
		.traps = (uintptr_t)traps,
		.gdt = (uintptr_t)gdt,
		.callbacks = (uintptr_t)cb,
	};
}

/* Reads an MSR, or writes @set to it. */
static inline uint64_t msr(struct vcpu *v, uint32_t index, const uint64_t *set)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} m = { .head.nmsrs = 1, .e.index = index };

	if (set)
		m.e.data = *set;
	if (ioctl(v->fd, set ? KVM_SET_MSRS : KVM_GET_MSRS, &m) != 1)
		ERROR("MSR %#x: errno %d", index, errno);
	return m.e.data;
}

static inline bool is_wide(const struct vcpu *v)
{
	return v->mode == M_LONG || v->mode == M_LA57;
}

static inline void load_call(struct vcpu *v, uint64_t nr, uint64_t a,
			     uint64_t b)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rax = nr;
	if (is_wide(v)) {
		r.rdi = a;
		r.rsi = b;
		r.rdx = 0x33;
		r.r10 = 0x44;
		r.r8 = 0x55;
		r.r9 = 0x66;
	} else {
		r.rbx = a;
		r.rcx = b;
		r.rdx = 0x33;
		r.rsi = 0x44;
		r.rdi = 0x55;
		r.rbp = 0x66;
	}
	set_regs(v, &r);
}

static inline int64_t result(struct vcpu *v)
{
	struct kvm_regs r;

	get_regs(v, &r);
	return is_wide(v) ? (int64_t)r.rax : (int32_t)r.rax;
}

/* Makes a call that no one but the module answers. */
static inline int64_t call(struct vcpu *v, uint64_t nr, uint64_t a, uint64_t b)
{
	load_call(v, nr, a, b);
	EXPECT(v, STOP_END);
	return result(v);
}

static inline int64_t set_iopl(struct vcpu *v, unsigned int iopl,
			       unsigned int scope, unsigned int refuse,
			       uint64_t user)
{
	struct vigil_iopl arg = {
		.iopl = iopl,
		.scope = scope,
		.refuse = refuse,
		.user = user,
	};

	memcpy(vm_ram(v->vm, GUEST_LOW, sizeof(arg)), &arg, sizeof(arg));
	return call(v, NR_IOPL, VIGIL_IOPL_SET, GUEST_LOW);
}

static inline enum stop write_msr(struct vcpu *v, uint64_t value)
{
	return vcpu_access_msr(v, true, MSR_PAGE, value);
}

/* ---- entries of a multicall ---- */

static inline unsigned int word_bytes(const struct vcpu *v)
{
	return is_wide(v) ? 8 : 4;
}

static inline void set_word(struct vcpu *v, uint64_t list, unsigned int entry,
			    unsigned int word, uint64_t value)
{
	unsigned int bytes = word_bytes(v);

	memcpy(vm_ram(v->vm, list + (entry * 8 + word) * bytes, bytes), &value,
	       bytes);
}

static inline int64_t entry_result(struct vcpu *v, uint64_t list,
				   unsigned int entry)
{
	unsigned int bytes = word_bytes(v);
	uint64_t at = list + (entry * 8 + 1) * bytes;

	return is_wide(v) ? (int64_t)rd64(v->vm, at) : (int32_t)rd32(v->vm, at);
}

#endif

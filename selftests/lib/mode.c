// SPDX-License-Identifier: GPL-2.0
/* Descriptor tables, vector stubs and start states of every CPU mode. */
#include "guest.h"

#define NR_VECTORS 256
#define TSS_LIMIT 0x168

static bool has_error_code(unsigned int vector)
{
	return vector == DF || (vector >= TS && vector <= PF) || vector == AC;
}

/* 8-byte stubs: push vector; out; drop it; iret. No error codes in real mode. */
static void stubs16(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < NR_VECTORS; i++) {
		const uint8_t code[8] = {
			0x6a, i, /* push $i */
			0xe6, PORT_EXC, /* out %al, $PORT_EXC */
			0x83, 0xc4,	0x02, /* add $2, %sp */
			0xcf, /* iret */
		};
		uint64_t at = GUEST_STUB16 + i * sizeof(code);

		memcpy(vm_ram(vm, at, sizeof(code)), code, sizeof(code));
		wr32(vm, GUEST_IVT + i * 4, at);
	}
}

static void stubs_prot(struct vm *vm, uint64_t base, bool is64)
{
	unsigned int i;

	for (i = 0; i < NR_VECTORS; i++) {
		uint8_t code[16], *p = code;

		if (!has_error_code(i)) {
			*p++ = 0x6a; /* push $0 */
			*p++ = 0;
		}
		*p++ = 0x6a; /* push $i */
		*p++ = i;
		*p++ = 0xe6; /* out %al, $PORT_EXC */
		*p++ = PORT_EXC;
		if (is64)
			*p++ = 0x48;
		*p++ = 0x83; /* add $2 words, %rsp */
		*p++ = 0xc4;
		*p++ = is64 ? 16 : 8;
		if (is64)
			*p++ = 0x48;
		*p++ = 0xcf; /* iret */
		memcpy(vm_ram(vm, base + i * 16, 16), code, p - code);
	}
}

uint64_t idt_stub(enum mode mode, unsigned int vector)
{
	if (mode == M_REAL || mode == M_BIGREAL)
		return GUEST_STUB16 + vector * 8;
	return (mode_long(mode) ? GUEST_STUB64 : GUEST_STUB32) + vector * 16;
}

/* @type: 0xe interrupt gate, 0xf trap gate, 6 and 7 their 16-bit forms. */
void idt_gate(struct vm *vm, enum mode mode, unsigned int vector,
	      uint64_t target, unsigned int sel, unsigned int type,
	      unsigned int dpl)
{
	uint64_t lo = (target & 0xffff) | (uint64_t)sel << 16 |
		      (uint64_t)(0x80 | dpl << 5 | type) << 40 |
		      (target >> 16 & 0xffff) << 48;

	if (mode_long(mode)) {
		wr64(vm, GUEST_IDT + vector * 16, lo);
		wr64(vm, GUEST_IDT + vector * 16 + 8, target >> 32);
	} else {
		wr64(vm, GUEST_IDT + vector * 8, lo);
	}
}

void gdt_set(struct vm *vm, unsigned int sel, uint32_t base, uint32_t limit,
	     unsigned int attr)
{
	if (attr & D_G)
		limit >>= 12;
	wr64(vm, GUEST_GDT + (sel & ~7u),
	     (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
		     (uint64_t)(attr & 0xff) << 40 |
		     (uint64_t)(limit >> 16 & 0xf) << 48 |
		     (uint64_t)(attr >> 12 & 0xf) << 52 |
		     (uint64_t)(base >> 24) << 56);
}

/* The low 64 KiB: GDT, IDT, IVT, TSS, stubs. */
void vm_tables(struct vm *vm, enum mode mode)
{
	unsigned int i, seg = D_S | D_P, tss = GUEST_TSS;

	gdt_set(vm, SEL_CODE64, 0, ~0u, seg | D_TYPE(0xb) | D_L | D_G);
	gdt_set(vm, SEL_DATA, 0, ~0u, seg | D_TYPE(3) | D_DB | D_G);
	gdt_set(vm, SEL_CODE32, 0, ~0u, seg | D_TYPE(0xb) | D_DB | D_G);
	gdt_set(vm, SEL_CODE16, GUEST_CODE, 0xffff, seg | D_TYPE(0xb));
	gdt_set(vm, SEL_DATA16, 0, 0xffff, seg | D_TYPE(3));
	seg |= D_DPL(3);
	gdt_set(vm, SEL_UCODE32, 0, ~0u, seg | D_TYPE(0xb) | D_DB | D_G);
	gdt_set(vm, SEL_UDATA, 0, ~0u, seg | D_TYPE(3) | D_DB | D_G);
	gdt_set(vm, SEL_UCODE64, 0, ~0u, seg | D_TYPE(0xb) | D_L | D_G);
	/* Available TSS: guests that switch rings run LTR themselves. */
	gdt_set(vm, SEL_TSS, tss, TSS_LIMIT, D_P | D_TYPE(9));
	gdt_set(vm, SEL_LDT, GUEST_LDT, 0xfff, D_P | D_TYPE(2));

	if (mode_long(mode)) {
		wr64(vm, tss + 4, GUEST_STACK0); /* RSP0 */
	} else {
		wr32(vm, tss + 4, GUEST_STACK0); /* ESP0 */
		wr32(vm, tss + 8, SEL_DATA); /* SS0 */
	}
	/* I/O permission map: zeroes for the ports below 0x800 */
	wr32(vm, tss + 0x64, 0x680000);
	memset(vm_ram(vm, tss + 0x68, 0x100), 0, 0x100);

	stubs16(vm);
	stubs_prot(vm, GUEST_STUB32, false);
	stubs_prot(vm, GUEST_STUB64, true);
	for (i = 0; i < NR_VECTORS; i++)
		idt_gate(vm, mode, i,
			 idt_stub(mode_long(mode) ? M_LONG : M_PROT32, i),
			 mode_long(mode) ? SEL_CODE64 : SEL_CODE32, 0xe,
			 i == 0x80 || i == BP || i == OF ? 3 : 0);
}

static struct kvm_segment real_seg(uint32_t base, uint32_t limit, int type,
				   int dpl)
{
	return (struct kvm_segment){
		.base = base,
		.selector = base >> 4,
		.limit = limit,
		.type = type,
		.s = 1,
		.present = 1,
		.dpl = dpl,
		.g = limit > 0xfffff,
	};
}

static struct kvm_segment flat_seg(unsigned int sel, int type, bool l)
{
	return (struct kvm_segment){
		.selector = sel,
		.limit = ~0u,
		.type = type,
		.s = 1,
		.present = 1,
		.g = 1,
		.db = !l,
		.l = l,
	};
}

static void segments(enum mode mode, struct kvm_sregs *s)
{
	struct kvm_segment data;

	switch (mode) {
	case M_REAL:
	case M_BIGREAL:
	case M_VM86:
		s->cs = real_seg(GUEST_CODE, 0xffff, mode == M_VM86 ? 3 : 0xb,
				 mode == M_VM86 ? 3 : 0);
		data = real_seg(0, mode == M_BIGREAL ? ~0u : 0xffff, 3,
				mode == M_VM86 ? 3 : 0);
		break;
	case M_PROT16:
		s->cs = real_seg(GUEST_CODE, 0xffff, 0xb, 0);
		s->cs.selector = SEL_CODE16;
		data = real_seg(0, 0xffff, 3, 0);
		data.selector = SEL_DATA16;
		break;
	case M_LONG:
	case M_LA57:
		s->cs = flat_seg(SEL_CODE64, 0xb, true);
		data = flat_seg(SEL_DATA, 3, false);
		break;
	default:
		s->cs = flat_seg(SEL_CODE32, 0xb, false);
		data = flat_seg(SEL_DATA, 3, false);
		break;
	}
	s->ds = s->es = s->fs = s->gs = s->ss = data;

	/*
	 * VMX wants a busy TSS. SVM does not care, and QEMU's TCG aborts on a
	 * 32-bit ring switch through a TSS that VMLOAD loaded as busy.
	 */
	s->tr = (struct kvm_segment){
		.selector = SEL_TSS,
		.base = GUEST_TSS,
		.limit = TSS_LIMIT,
		.type = test_on_svm() && !mode_long(mode) ? 9 : 0xb,
		.present = 1,
	};
	s->ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
}

/* Fill in everything; page tables are made anew, with RAM identity mapped. */
void mode_sregs(struct vm *vm, enum mode mode, struct kvm_sregs *s)
{
	uint64_t flags = PTE_W | PTE_U | PTE_A | PTE_D;
	struct pt pt;

	segments(mode, s);
	s->gdt.base = GUEST_GDT;
	s->gdt.limit = 0xfff;
	s->idt.base = GUEST_IDT;
	s->idt.limit = 0xfff;
	s->cr0 = CR0_ET | CR0_NE;
	s->cr2 = 0;
	s->cr4 = 0;
	s->cr8 = 0;
	s->efer = 0;
	if (mode == M_REAL || mode == M_BIGREAL) {
		s->idt.base = GUEST_IVT;
		s->idt.limit = 0x3ff;
		return;
	}
	s->cr0 |= CR0_PE;
	if (!mode_paged(mode))
		return;

	s->cr0 |= CR0_PG;
	if (mode == M_PSE)
		s->cr4 = CR4_PSE;
	if (mode == M_PAE || mode_long(mode))
		s->cr4 = CR4_PAE;
	if (mode == M_LA57)
		s->cr4 |= CR4_LA57;
	if (mode_long(mode))
		s->efer = EFER_LME | EFER_LMA | EFER_NX | EFER_SCE;
	pt_init(&pt, vm, mode);
	pt_identity(&pt, 0, vm->ram_size < (4 << 20) ? vm->ram_size : 4 << 20,
		    flags);
	pt_identity(&pt, GUEST_MMIO, GUEST_MMIO + 0x10000, flags);
	s->cr3 = pt.root;
}

void vcpu_set_mode(struct vcpu *v, enum mode mode)
{
	struct kvm_regs r = {
		.rip = mode_entry(mode),
		.rsp = v->id ? GUEST_STACK_AP : GUEST_STACK,
		.rflags = RFLAGS_1,
	};
	struct kvm_sregs s;

	vm_tables(v->vm, mode);
	get_sregs(v, &s);
	mode_sregs(v->vm, mode, &s);
	set_sregs(v, &s);
	if (mode == M_VM86)
		r.rflags |= RFLAGS_VM | RFLAGS_IOPL;
	set_regs(v, &r);
	v->mode = mode;
}

/*
 * QEMU's TCG aborts on a 32-bit change of rings through a TSS that VMLOAD has loaded
 * as busy, as KVM_GET_SREGS tells of it.
 */
void vcpu_ring_sregs(struct vcpu *v, struct kvm_sregs *s)
{
	get_sregs(v, s);
	if (test_on_svm() && !mode_long(v->mode))
		s->tr.type = 9;
}

void vcpu_enter_user(struct vcpu *v)
{
	bool wide = v->mode == M_LONG || v->mode == M_LA57;
	struct kvm_sregs s;
	struct kvm_regs r;

	get_regs(v, &r);
	r.rflags |= RFLAGS_IOPL;
	set_regs(v, &r);

	vcpu_ring_sregs(v, &s);
	s.cs.selector = wide ? SEL_UCODE64 : SEL_UCODE32;
	s.cs.dpl = 3;
	s.ss.selector = s.ds.selector = s.es.selector = SEL_UDATA;
	s.ss.dpl = s.ds.dpl = s.es.dpl = 3;
	set_sregs(v, &s);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The IDT, GDT and TSS that a vCPU's CPU uses while the guest's kernel runs in ring 1.
 * They are the VMM's, in the window of the linear space that only shadow tables map, so
 * the guest can neither write nor replace them. The GDT has to be one of them: the CPU
 * takes the ring of a handler from the descriptor of its code segment.
 */
#include <linux/slab.h>
#include <linux/mm.h>

#include "internal.h"
#include "shadow/shadow.h"
#include "vmm/exit/emul_ops.h"
#include "vmm/mem/gmem.h"
#include "vmm/ops.h"

#define DESC_BYTES 8
#define PER_PAGE (PAGE_SIZE / DESC_BYTES)

/* A descriptor of a segment */
#define DESC_ACCESSED BIT_ULL(40)
#define DESC_CONFORMING BIT_ULL(42)
#define DESC_CODE BIT_ULL(43)
#define DESC_S BIT_ULL(44)
#define DESC_DPL(d) ((d) >> 45 & 3)
#define DESC_P BIT_ULL(47)
#define DESC_L BIT_ULL(53)
#define DESC_DB BIT_ULL(54)

/* The last page of the GDT is the VMM's. */
#define SEL_OURS (PV_GDT_GUEST_PAGES * PAGE_SIZE)
#define GDT_LIMIT (SEL_OURS + 0x47)
#define SEL_TSS (SEL_OURS + 0x48)

#define TSS_LIMIT 0x67
/* An I/O permission map beyond the limit: no port is open. */
#define TSS_IO_MAP 0x66
#define TSS_ESP1_32 12
#define TSS_SS1_32 16
#define TSS_RSP1_64 12

#define GATE_INTERRUPT 0xeull
#define GATE_TRAP 0xfull

bool pv_no_tables __ro_after_init;

/* ---- life ---- */

static void tables_free(struct pv_tables *t)
{
	unsigned int i;

	if (!t)
		return;
	for (i = 0; i < PV_TABLE_PAGES; i++)
		free_page((unsigned long)t->page[i]);
	kvfree(t);
}

void pv_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	pv_drop_change(vcpu);
	tables_free(vcpu->pv.tables);
	vcpu->pv.tables = NULL;
}

int pv_tables_alloc(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t;
	unsigned int i;

	/* VM86 has no hypercalls above CPL 0, so it does not come here. */
	if (pv_no_tables || !is_paging(vcpu) || vcpu->cr4 & X86_CR4_LA57)
		return -EOPNOTSUPP;
	if (vcpu->pv.tables)
		return 0;
	t = kvzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
	if (!t)
		return -ENOMEM;
	for (i = 0; i < PV_TABLE_PAGES; i++) {
		t->page[i] = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!t->page[i])
			goto fail;
	}
	if (shadow_window_open(vcpu, t->page, PV_TABLE_PAGES))
		goto fail;
	vcpu->pv.tables = t;
	return 0;
fail:
	tables_free(t);
	return -ENOMEM;
}

static gva_t table_at(const struct vigil_vcpu *vcpu, unsigned int page)
{
	return shadow_window_base(vcpu) + page * PAGE_SIZE;
}

/* ---- GDT ---- */

/*
 * May the guest have the descriptor? Present ones are code or data of rings 1 to 3. A
 * conforming segment would run in the ring of whoever comes.
 */
static bool descriptor_ok(u64 d, bool wide)
{
	if (!(d & DESC_P))
		return true;
	if (!(d & DESC_S) || !DESC_DPL(d))
		return false;
	if (!(d & DESC_CODE))
		return true;
	if (d & DESC_CONFORMING)
		return false;
	return !(d & DESC_L) || (wide && !(d & DESC_DB));
}

/* The CPU does not write to the GDT: each segment counts as accessed. */
static u64 accessed(u64 d)
{
	return d & DESC_P ? d | DESC_ACCESSED : d;
}

/* The flat segments, at Xen's numbers and at the two that are vigil's. */
static void write_ours(struct pv_tables *t, bool wide)
{
	u64 *d = t->page[PV_GDT_GUEST_PAGES];

	memset(d, 0, PAGE_SIZE);
	if (!wide) {
		d[3] = 0x00cfbb000000ffffull; /* 0xe019 ring 1, code */
		d[4] = 0x00cfb3000000ffffull; /* 0xe021 ring 1, data */
		d[5] = 0x00cffb000000ffffull; /* 0xe02b ring 3, code */
		d[6] = 0x00cff3000000ffffull; /* 0xe033 ring 3, data */
		return;
	}
	d[4] = 0x00cffb000000ffffull; /* 0xe023 ring 3, 32-bit code */
	d[5] = 0x00cff3000000ffffull; /* 0xe02b ring 3, data */
	d[6] = 0x00affb000000ffffull; /* 0xe033 ring 3, 64-bit code */
	d[7] = 0x00afbb000000ffffull; /* VIGIL_RING1_CS64 */
	d[8] = 0x00cfb3000000ffffull; /* VIGIL_RING1_DS64 */
}

static int read_descriptor(struct vigil_vcpu *vcpu, u64 la, u64 *d)
{
	unsigned int n = min_t(u64, DESC_BYTES, PAGE_SIZE - offset_in_page(la));
	int ret;

	*d = 0;
	ret = emulctl_ops.read(&vcpu->emul, la, d, n, EMUL_F_SYSTEM);
	if (!ret && n < DESC_BYTES)
		ret = emulctl_ops.read(&vcpu->emul, la + n, (u8 *)d + n,
				       DESC_BYTES - n, EMUL_F_SYSTEM);
	return ret;
}

/*
 * What the guest may not have becomes not present, and so does what is not in memory.
 */
int pv_copy_own_gdt(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t = vcpu->pv.tables;
	bool wide = is_long_mode(vcpu);
	unsigned int size, i, at;
	struct kvm_dtable gdt;
	u64 d, la;
	int ret;

	vmm_ops->get_gdt(vcpu, &gdt);
	size = min_t(u32, gdt.limit + 1u, SEL_OURS);
	for (i = 0; i < PV_GDT_GUEST_PAGES; i++)
		memset(t->page[i], 0, PAGE_SIZE);
	for (at = 0; at + DESC_BYTES <= size; at += DESC_BYTES) {
		la = gdt.base + at;
		if (!wide)
			la = (u32)la;
		ret = read_descriptor(vcpu, la, &d);
		if (ret == EMUL_RESTART)
			return CALL_AGAIN;
		if (ret || !descriptor_ok(d, wide))
			d &= ~DESC_P;
		((u64 *)t->page[at / PAGE_SIZE])[at % PAGE_SIZE / DESC_BYTES] =
			accessed(d);
	}
	return 0;
}

int pv_check_gdt(u64 *gdt, unsigned int entries, bool wide)
{
	unsigned int i;

	for (i = 0; i < entries; i++) {
		if (!descriptor_ok(gdt[i], wide))
			return -EINVAL;
		gdt[i] = accessed(gdt[i]);
	}
	return 0;
}

void pv_load_gdt(struct vigil_vcpu *vcpu, const u64 *gdt)
{
	unsigned int i;

	for (i = 0; i < PV_GDT_GUEST_PAGES; i++)
		memcpy(vcpu->pv.tables->page[i], gdt + i * PER_PAGE, PAGE_SIZE);
}

static int copy_frames(struct vigil_vcpu *vcpu, const u64 *frames,
		       unsigned int entries, u64 *copy)
{
	unsigned int i, n;

	for (i = 0; i < entries; i += n) {
		n = min_t(unsigned int, PER_PAGE, entries - i);
		if (frames[i / PER_PAGE] >> (52 - PAGE_SHIFT) ||
		    gmem_read(vcpu->vm, frames[i / PER_PAGE] << PAGE_SHIFT,
			      copy + i, n * DESC_BYTES))
			return -EINVAL;
	}
	return 0;
}

static void note_frames(struct pv_tables *t, const u64 *frames,
			unsigned int entries)
{
	unsigned int i;

	for (i = 0; i < PV_GDT_GUEST_PAGES; i++)
		t->gdt_frame[i] = i * PER_PAGE < entries ?
					  frames[i] << PAGE_SHIFT | PV_FRAME :
					  0;
}

int pv_copy_gdt(struct vigil_vcpu *vcpu, const u64 *frames,
		unsigned int entries)
{
	int ret;

	/* A call that the VMM has cut short by other registers has left them. */
	pv_drop_change(vcpu);
	vcpu->pv.gdt = kvcalloc(PV_GDT_ENTRIES, DESC_BYTES, GFP_KERNEL_ACCOUNT);
	if (!vcpu->pv.gdt)
		return -ENOMEM;
	ret = copy_frames(vcpu, frames, entries, vcpu->pv.gdt);
	if (!ret)
		ret = pv_check_gdt(vcpu->pv.gdt, entries, is_long_mode(vcpu));
	if (ret) {
		pv_drop_change(vcpu);
		return ret;
	}
	vcpu->pv.arg.gdt.entries = entries;
	memcpy(vcpu->pv.arg.gdt.frame, frames, sizeof(vcpu->pv.arg.gdt.frame));
	return 0;
}

int pv_commit_gdt(struct vigil_vcpu *vcpu)
{
	pv_load_gdt(vcpu, vcpu->pv.gdt);
	note_frames(vcpu->pv.tables, vcpu->pv.arg.gdt.frame,
		    vcpu->pv.arg.gdt.entries);
	pv_drop_change(vcpu);
	return 0;
}

/*
 * The first entry of the GDT's copy, from page @i on, that was copied from @gpa, or -1. The
 * guest may have named a page more than once.
 */
static int copied_from(const struct pv_tables *t, unsigned int i, u64 gpa)
{
	for (; i < PV_GDT_GUEST_PAGES; i++)
		if (t->gdt_frame[i] == ((gpa & PAGE_MASK) | PV_FRAME))
			return i * PER_PAGE + offset_in_page(gpa) / DESC_BYTES;
	return -1;
}

static u64 *gdt_entry(struct pv_tables *t, unsigned int n)
{
	return (u64 *)t->page[n / PER_PAGE] + n % PER_PAGE;
}

int pv_check_descriptor(struct vigil_vcpu *vcpu)
{
	u64 gpa = vcpu->pv.arg.desc.gpa, value = vcpu->pv.arg.desc.value;

	if (!IS_ALIGNED(gpa, DESC_BYTES) ||
	    copied_from(vcpu->pv.tables, 0, gpa) < 0 ||
	    !descriptor_ok(value, is_long_mode(vcpu)))
		return -EINVAL;
	return 0;
}

int pv_commit_descriptor(struct vigil_vcpu *vcpu)
{
	u64 gpa = vcpu->pv.arg.desc.gpa, value = vcpu->pv.arg.desc.value;
	struct pv_tables *t = vcpu->pv.tables;
	int n, ret;

	ret = pv_store(vcpu, gpa, &value, DESC_BYTES);
	if (ret)
		return ret;
	for (n = copied_from(t, 0, gpa); n >= 0;
	     n = copied_from(t, n / PER_PAGE + 1, gpa))
		WRITE_ONCE(*gdt_entry(t, n), accessed(value));
	return 0;
}

int pv_tell_descriptor(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	struct pv_tables *t = vcpu->pv.tables;
	unsigned int n = copied_from(t, 0, vcpu->pv.arg.desc.gpa);
	u64 new_ = accessed(vcpu->pv.arg.desc.value);

	pv_tell(told, gdt_entry(t, n), &new_, DESC_BYTES);
	told->first = n;
	told->count = *gdt_entry(t, n) != new_;
	return 0;
}

/* ---- IDT and TSS ---- */

/*
 * A gate has DPL 0, so INT n exits and is judged there; a fast one has the DPL of its
 * handler. Where no handler is, the gate is not present.
 */
void pv_write_gate(struct vigil_vcpu *vcpu, unsigned int vector)
{
	struct pv_tables *t = vcpu->pv.tables;
	const struct pv_trap *trap = pv_handler(t, vector);
	u64 *idt = t->page[PV_IDT_PAGE], gate = 0;

	if (trap) {
		gate = (trap->ip & 0xffff) | (u64)trap->cs << 16 | DESC_P |
		       (trap->masks ? GATE_INTERRUPT : GATE_TRAP) << 40 |
		       (trap->ip >> 16 & 0xffff) << 48;
		if (test_bit(vector, t->fast))
			gate |= (u64)trap->dpl << 45;
	}
	if (is_long_mode(vcpu)) {
		idt[2 * vector] = gate;
		idt[2 * vector + 1] = gate ? trap->ip >> 32 : 0;
	} else {
		idt[vector] = gate;
	}
}

void pv_set_stack(struct vigil_vcpu *vcpu, u16 ss, u64 sp)
{
	u8 *tss = vcpu->pv.tables->page[PV_TSS_PAGE];

	if (is_long_mode(vcpu)) {
		memcpy(tss + TSS_RSP1_64, &sp, 8);
		return;
	}
	memcpy(tss + TSS_ESP1_32, &sp, 4);
	memcpy(tss + TSS_SS1_32, &ss, 2);
}

void pv_get_stack(const struct vigil_vcpu *vcpu, u16 *ss, u64 *sp)
{
	const u8 *tss = vcpu->pv.tables->page[PV_TSS_PAGE];

	*ss = 0;
	*sp = 0;
	if (is_long_mode(vcpu)) {
		memcpy(sp, tss + TSS_RSP1_64, 8);
		return;
	}
	memcpy(sp, tss + TSS_ESP1_32, 4);
	memcpy(ss, tss + TSS_SS1_32, 2);
}

static void write_all(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t = vcpu->pv.tables;
	const u16 io_map = TSS_LIMIT + 1;

	write_ours(t, is_long_mode(vcpu));
	memset(t->page[PV_IDT_PAGE], 0, PAGE_SIZE);
	memset(t->page[PV_TSS_PAGE], 0, PAGE_SIZE);
	memcpy(t->page[PV_TSS_PAGE] + TSS_IO_MAP, &io_map, sizeof(io_map));
	bitmap_zero(t->traps.there, PV_VECTORS);
	bitmap_zero(t->fast, PV_VECTORS);
	memset(t->callback, 0, sizeof(t->callback));
	memset(t->gdt_frame, 0, sizeof(t->gdt_frame));
}

/* ---- in force, or not ---- */

void pv_tables_enter(struct vigil_vcpu *vcpu)
{
	const struct kvm_segment tss = {
		.base = table_at(vcpu, PV_TSS_PAGE),
		.limit = TSS_LIMIT,
		.selector = SEL_TSS,
		.type = 9,
		.present = 1,
	};
	const struct kvm_segment null = { .unusable = 1, .type = 2 };
	struct pv_tables *t = vcpu->pv.tables;
	struct kvm_dtable dt = { 0 };

	vmm_ops->get_idt(vcpu, &t->own.idt);
	vmm_ops->get_gdt(vcpu, &t->own.gdt);
	vmm_ops->get_segment(vcpu, SEG_TR, &t->own.tr);
	vmm_ops->get_segment(vcpu, SEG_LDTR, &t->own.ldt);
	vmm_ops->get_msr(vcpu, MSR_IA32_SYSENTER_CS, &t->own.sysenter_cs);
	write_all(vcpu);

	vmm_ops->set_msr(vcpu, MSR_IA32_SYSENTER_CS, 0, true);
	vcpu->pv.in_force = true;
	dt.base = table_at(vcpu, PV_IDT_PAGE);
	dt.limit = PV_VECTORS * (is_long_mode(vcpu) ? 16 : 8) - 1;
	vmm_ops->set_idt(vcpu, &dt);
	dt.base = table_at(vcpu, 0);
	dt.limit = GDT_LIMIT;
	vmm_ops->set_gdt(vcpu, &dt);
	vmm_ops->set_segment(vcpu, SEG_TR, &tss);
	vmm_ops->set_segment(vcpu, SEG_LDTR, &null);
	vmm_ops->update_pv(vcpu);
	shadow_window_use(vcpu, true);
}

void pv_tables_leave(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t = vcpu->pv.tables;

	if (!pv_in_force(vcpu))
		return;
	shadow_window_use(vcpu, false);
	vcpu->pv.in_force = false;
	vmm_ops->set_idt(vcpu, &t->own.idt);
	vmm_ops->set_gdt(vcpu, &t->own.gdt);
	vmm_ops->set_segment(vcpu, SEG_TR, &t->own.tr);
	vmm_ops->set_segment(vcpu, SEG_LDTR, &t->own.ldt);
	vmm_ops->set_msr(vcpu, MSR_IA32_SYSENTER_CS, t->own.sysenter_cs, true);
	vmm_ops->update_pv(vcpu);
}

bool pv_read_tables(const struct vigil_vcpu *vcpu, u64 la, void *buf,
		    unsigned int len)
{
	u64 at = la - shadow_window_base(vcpu);

	if (!pv_in_force(vcpu) || at >= PV_TABLE_PAGES * PAGE_SIZE)
		return false;
	memcpy(buf, vcpu->pv.tables->page[at / PAGE_SIZE] + offset_in_page(la),
	       min_t(u64, len, PAGE_SIZE - offset_in_page(la)));
	return true;
}

// SPDX-License-Identifier: GPL-2.0
/* Guest page tables of every paging mode. */
#include "guest.h"

uint64_t pt_page(struct vm *vm)
{
	uint64_t gpa = vm->pt_next;

	if (gpa >= GUEST_HIGH)
		ERROR("page-table pool is empty");
	vm->pt_next += 0x1000;
	memset(vm_ram(vm, gpa, 0x1000), 0, 0x1000);
	return gpa;
}

void pt_init(struct pt *pt, struct vm *vm, enum mode mode)
{
	pt->vm = vm;
	pt->mode = mode;
	pt->entry_size = mode == M_PG32 || mode == M_PSE ? 4 : 8;
	switch (mode) {
	case M_PG32:
	case M_PSE:
		pt->levels = 2;
		break;
	case M_PAE:
		pt->levels = 3;
		break;
	case M_LONG:
	case M_COMPAT:
		pt->levels = 4;
		break;
	case M_LA57:
		pt->levels = 5;
		break;
	default:
		ERROR("%s does not page", mode_name[mode]);
	}
	pt->root = pt_page(vm);
}

struct pt tables_of(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	return (struct pt){
		.vm = v->vm,
		.mode = v->mode,
		.root = s.cr3,
		.levels = v->mode == M_LA57  ? 5 :
			  mode_long(v->mode) ? 4 :
			  v->mode == M_PAE   ? 3 :
					       2,
		.entry_size = mode_long(v->mode) || v->mode == M_PAE ? 8 : 4,
	};
}

unsigned int pt_shift(const struct pt *pt, unsigned int level)
{
	return 12 + (level - 1) * (pt->entry_size == 4 ? 10 : 9);
}

static uint64_t entry_read(struct pt *pt, uint64_t gpa)
{
	return pt->entry_size == 4 ? rd32(pt->vm, gpa) : rd64(pt->vm, gpa);
}

static void entry_write(struct pt *pt, uint64_t gpa, uint64_t v)
{
	if (pt->entry_size == 4)
		wr32(pt->vm, gpa, v);
	else
		wr64(pt->vm, gpa, v);
}

uint64_t pt_entry(struct pt *pt, uint64_t va, unsigned int level)
{
	unsigned int bits = pt->entry_size == 4 ? 10 : 9;
	uint64_t table = pt->root;
	unsigned int l;

	for (l = pt->levels;; l--) {
		unsigned int index = va >> pt_shift(pt, l) & ((1u << bits) - 1);
		uint64_t gpa = table + index * pt->entry_size;
		uint64_t e;

		if (l == level)
			return gpa;
		e = entry_read(pt, gpa);
		if (!(e & PTE_ADDR)) {
			e = pt_page(pt->vm) | PTE_P;
			/* A PDPTE has no rights; there the bits are reserved. */
			if (!(pt->mode == M_PAE && l == 3))
				e |= PTE_W | PTE_U | PTE_A;
			entry_write(pt, gpa, e);
		}
		table = e & PTE_ADDR;
	}
}

uint64_t pt_get(struct pt *pt, uint64_t va, unsigned int level)
{
	return entry_read(pt, pt_entry(pt, va, level));
}

void pt_set(struct pt *pt, uint64_t va, unsigned int level, uint64_t entry)
{
	entry_write(pt, pt_entry(pt, va, level), entry);
}

void pt_map(struct pt *pt, uint64_t va, uint64_t pa, unsigned int level,
	    uint64_t flags)
{
	pt_set(pt, va, level, pa | flags | PTE_P | (level > 1 ? PTE_PS : 0));
}

void pt_identity(struct pt *pt, uint64_t from, uint64_t to, uint64_t flags)
{
	uint64_t va;

	for (va = from; va < to; va += 0x1000)
		pt_map(pt, va, va, 1, flags);
}

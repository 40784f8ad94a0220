// SPDX-License-Identifier: GPL-2.0
/* A look at the host's page tables. */
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "hostpte.h"

static bool usable(unsigned long flags)
{
	const unsigned long want = _PAGE_PRESENT | _PAGE_USER | _PAGE_RW |
				   _PAGE_DIRTY;

	return (flags & (want | _PAGE_SPECIAL)) == want;
}

bool host_pte_writable(struct mm_struct *mm, hva_t hva, unsigned long *pfn)
{
	unsigned long irq;
	bool found = false;
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	local_irq_save(irq);
	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		goto out;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		goto out;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud) || pud_leaf(pud))
		goto out;
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (pmd_none(pmd) || !(pmd_flags(pmd) & _PAGE_PRESENT))
		goto out;
	if (pmd_leaf(pmd)) {
		found = usable(pmd_flags(pmd));
		*pfn = pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT);
		goto out;
	}
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	found = usable(pte_flags(pte));
	*pfn = pte_pfn(pte);
out:
	local_irq_restore(irq);
	return found;
}

// SPDX-License-Identifier: GPL-2.0
/* The walk for callbacks that are only known at run time. */
#include "walk_inline.h"

int walk_guest(const struct walk_mode *m, const struct walk_mem *mem,
	       void *priv, u64 cr3, const u64 *pdpte, u64 gva,
	       const struct walk_access *a, struct guest_walk *w)
{
	return walk_guest_inline(m, mem, priv, cr3, pdpte, gva, a, w);
}

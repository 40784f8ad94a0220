/* SPDX-License-Identifier: GPL-2.0 */
/* Pure: also compiled in userspace, for the tests of what the vendors make of it. */
#ifndef VIGIL_CUT_H
#define VIGIL_CUT_H

/*
 * The kind of event whose delivery an exit cut short, as a vendor reports it. SOFT is
 * INT n, INT3 or INTO, at which RIP stands.
 */
enum cut_short { CUT_NONE, CUT_IRQ, CUT_NMI, CUT_EXCEPTION, CUT_SOFT };

#endif

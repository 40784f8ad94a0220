/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The monitor of vigil-fake: a SOCK_SEQPACKET socket whose number is in the
 * environment (FAKE_MON). The test sends struct vigil_event and gets struct
 * fake_msg; the end of either side is seen by the other.
 */
#ifndef SELFTESTS_TOOLS_FAKE_MON_H
#define SELFTESTS_TOOLS_FAKE_MON_H

#include "libvigil.h"
#include "vigil.h"

#define FAKE_ENV "FAKE_MON"

enum fake_what { FAKE_WATCH, FAKE_VERDICT };

struct fake_msg {
	enum fake_what what;
	struct vigil_range watch;
	struct vigil_condition condition[2]; /* the first ones of the watch */
	struct vigil_verdict verdict;
};

#endif

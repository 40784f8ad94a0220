/* SPDX-License-Identifier: GPL-2.0 */
/* Which events are of one execution of one instruction. */
#ifndef VIGIL_INSN_SAME_H
#define VIGIL_INSN_SAME_H

#include <stdbool.h>
#include <stdint.h>

#include "vigil.h"

/**
 * insn_same() - is @b a further store of the instruction that @a is a store of?
 * @a: the earlier event
 * @b: the later event
 *
 * @a and @b are of one vCPU, with no event of that vCPU between them. An event
 * does not number instructions, so this looks at what all stores of one
 * instruction share: the registers, and for a repeated string instruction the
 * addresses at which it will end; and at the address, which a second run of the
 * instruction would begin anew. Where it cannot be told: false.
 */
bool insn_same(const struct vigil_event *a, const struct vigil_event *b);

#endif

// SPDX-License-Identifier: GPL-2.0
/* What an event says. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib.h"
#include "libvigil.h"
#include "vigil.h"

#define GET(type, name, member)                               \
	type vigil_event_##name(const struct vigil_event *ev) \
	{                                                     \
		return ev->member;                            \
	}

GET(uint64_t, seq, seq)
GET(uint64_t, time, time_ns)
GET(uint64_t, cookie, cookie)
GET(uint32_t, watch, watch_id)
GET(uint32_t, vm, vm_id)
GET(uint32_t, vcpu, vcpu)
GET(uint64_t, dropped, dropped)
GET(uint64_t, gpa, gpa)
GET(uint64_t, rip, rip)
GET(uint64_t, cr3, cr3)
GET(uint64_t, rflags, rflags)
GET(unsigned int, cpl, cpl)
GET(unsigned int, mode, mode)
GET(uint32_t, control, control)
GET(uint32_t, call, call)
GET(uint32_t, first, first)
GET(uint32_t, count, count)
GET(const void *, old, old)
GET(const void *, new, new_)

int vigil_event_held(const struct vigil_event *ev)
{
	return !!(ev->flags & VIGIL_EVENT_HELD);
}

int vigil_event_takes(const struct vigil_event *ev, unsigned int verdict)
{
	return verdict < 8 && verdict != VIGIL_VERDICT_REPLACE &&
	       ev->verdicts >> verdict & 1;
}

int vigil_event_denied(const struct vigil_event *ev)
{
	return !!(ev->flags & VIGIL_EVENT_DENIED);
}

int vigil_event_is_control(const struct vigil_event *ev)
{
	return ev->kind == VIGIL_EVENT_CONTROL;
}

int vigil_event_gva(const struct vigil_event *ev, uint64_t *gva)
{
	if (!(ev->flags & VIGIL_EVENT_GVA_VALID))
		return 0;
	*gva = ev->gva;
	return 1;
}

uint32_t vigil_event_len(const struct vigil_event *ev)
{
	return ev->len < VIGIL_EVENT_DATA ? ev->len : VIGIL_EVENT_DATA;
}

uint64_t vigil_event_reg(const struct vigil_event *ev, unsigned int reg)
{
	return reg < sizeof(ev->regs) / sizeof(ev->regs[0]) ? ev->regs[reg] : 0;
}

const void *vigil_event_insn(const struct vigil_event *ev, size_t *len)
{
	bool valid = ev->flags & VIGIL_EVENT_INSN_VALID &&
		     ev->insn_len <= sizeof(ev->insn);

	*len = valid ? ev->insn_len : 0;
	return valid ? ev->insn : NULL;
}

struct vigil_event *vigil_event_dup(const struct vigil_event *ev)
{
	struct vigil_event *copy =
		aligned_alloc(_Alignof(struct vigil_event), sizeof(*copy));

	if (copy)
		memcpy(copy, ev, sizeof(*copy));
	else
		vigil_lib_fail(ENOMEM, "out of memory");
	return copy;
}

void vigil_event_free(struct vigil_event *copy)
{
	free(copy);
}

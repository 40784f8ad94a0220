// SPDX-License-Identifier: GPL-2.0
/* Which events are of one execution of one instruction. */
#include <string.h>

#include "insn_same.h"

#define RFLAGS_DF (1u << 10)
#define RFLAGS_RF (1u << 16)

enum { RCX = 1, RSI = 6, RDI = 7, NR_REGS = 16 };

/**
 * struct string_insn - a repeated string instruction that stores
 * @size: bytes of an element
 * @addr_mask: of the bits of rCX, rSI and rDI that it uses
 */
struct string_insn {
	unsigned int size;
	uint64_t addr_mask;
};

/* Return: is the instruction of @ev a string instruction? */
static bool parse_string(const struct vigil_event *ev, struct string_insn *s)
{
	bool rep = false, opsize = false, addrsize = false, wide = false;
	unsigned int i;
	uint8_t byte;

	for (i = 0; i < ev->insn_len; i++) {
		byte = ev->insn[i];
		if (byte == 0xf2 || byte == 0xf3)
			rep = true;
		else if (byte == 0x66)
			opsize = true;
		else if (byte == 0x67)
			addrsize = true;
		else if (byte != 0x26 && byte != 0x2e && byte != 0x36 &&
			 byte != 0x3e && byte != 0x64 && byte != 0x65)
			break;
	}
	if (ev->mode == 64 && i < ev->insn_len && (ev->insn[i] & 0xf0) == 0x40)
		wide = ev->insn[i++] & 8;
	if (!rep || i + 1 != ev->insn_len)
		return false;
	switch (ev->insn[i]) {
	case 0x6c: /* INSB */
	case 0xa4: /* MOVSB */
	case 0xaa: /* STOSB */
		s->size = 1;
		break;
	case 0x6d: /* INS */
		wide = false;
		/* fallthrough */
	case 0xa5: /* MOVS */
	case 0xab: /* STOS */
		s->size = wide ? 8 : (ev->mode == 16) != opsize ? 2 : 4;
		break;
	default:
		return false;
	}
	if (ev->mode == 64)
		s->addr_mask = addrsize ? UINT32_MAX : UINT64_MAX;
	else
		s->addr_mask = (ev->mode == 16) != addrsize ? UINT16_MAX :
							      UINT32_MAX;
	return true;
}

static bool same_regs(const struct vigil_event *a, const struct vigil_event *b,
		      uint32_t but)
{
	unsigned int i;

	for (i = 0; i < NR_REGS; i++)
		if (!(but & 1u << i) && a->regs[i] != b->regs[i])
			return false;
	return true;
}

/*
 * An event has the registers that the instruction had when the hypervisor began
 * to execute it, and they advance when the hypervisor begins again. The place
 * where the instruction will end stays the same: rDI + rCX elements, and rSI +
 * rCX elements.
 */
static bool same_string(const struct vigil_event *a,
			const struct vigil_event *b,
			const struct string_insn *s)
{
	bool down = a->rflags & RFLAGS_DF;
	uint64_t step = down ? -(uint64_t)s->size : s->size;
	uint64_t cx = b->regs[RCX] - a->regs[RCX];
	uint64_t si = b->regs[RSI] - a->regs[RSI];
	uint64_t di = b->regs[RDI] - a->regs[RDI];

	if (!same_regs(a, b, 1u << RCX | 1u << RSI | 1u << RDI))
		return false;
	if ((di + step * cx) & s->addr_mask)
		return false;
	/* STOS and INS do not use rSI. */
	if (si && ((si + step * cx) & s->addr_mask))
		return false;
	if (!down)
		return b->gva > a->gva;
	/*
	 * An element that crosses a page is two stores. The second one is above
	 * the first, although the instruction goes down.
	 */
	return a->len == s->size && b->len == s->size && b->gva < a->gva;
}

bool insn_same(const struct vigil_event *a, const struct vigil_event *b)
{
	const uint32_t need = VIGIL_EVENT_GVA_VALID | VIGIL_EVENT_INSN_VALID;
	struct string_insn s;

	if ((a->flags & b->flags & need) != need)
		return false;
	if (a->vm_id != b->vm_id || a->vcpu != b->vcpu || a->rip != b->rip ||
	    a->cr3 != b->cr3 || a->cpl != b->cpl || a->mode != b->mode ||
	    (a->rflags ^ b->rflags) & ~(uint64_t)RFLAGS_RF)
		return false;
	if (a->insn_len != b->insn_len || a->insn_len > sizeof(a->insn) ||
	    memcmp(a->insn, b->insn, a->insn_len))
		return false;
	if (parse_string(a, &s))
		return same_string(a, b, &s);
	return same_regs(a, b, 0) && b->gva > a->gva;
}

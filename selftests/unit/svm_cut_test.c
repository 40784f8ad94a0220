// SPDX-License-Identifier: GPL-2.0
/* svm/cut.h: what EXITINTINFO is taken for, also where no emulator reports it. */
#define __packed __attribute__((__packed__))
#define __aligned(n) __attribute__((__aligned__(n)))

#define __always_inline inline __attribute__((__always_inline__))

#include "../../svm/cut.h"
#include "unit.h"

#define VALID EVT_VALID
#define INTR (VALID | EVT_TYPE_INTR)
#define EXC (VALID | EVT_TYPE_EXCEPTION)

static const struct {
	const char *what;
	u32 info, injected;
	u32 int_control;
	u8 int_vector;
	bool virq;
	enum cut_short kind;
	u8 vector;
} row[] = {
	{ "nothing", 0, INTR | 0x31, 0, 0, false, CUT_NONE, 0 },
	{ "an interrupt of EVENTINJ", INTR | 0x31, INTR | 0x31, 0, 0, false,
	  CUT_IRQ, 0x31 },
	{ "an interrupt that nobody injected", INTR | 0x31, 0, 0, 0, false,
	  CUT_SOFT, 0x31 },
	{ "V_IRQ not taken", 0, 0, V_IRQ, 0x31, true, CUT_IRQ, 0x31 },
	{ "V_IRQ not taken, INT n", VALID | 4 << 8 | 0x80, 0, V_IRQ, 0x31, true,
	  CUT_IRQ, 0x31 },
	{ "V_IRQ taken, delivered", 0, 0, 0, 0x31, true, CUT_NONE, 0 },
	{ "V_IRQ taken, cut short", INTR | 0x31, 0, 0, 0x31, true, CUT_IRQ,
	  0x31 },
	{ "V_IRQ taken, an older event", INTR | 0x30, 0, 0, 0x31, true,
	  CUT_SOFT, 0x30 },
	{ "V_IRQ for a window, INT n", VALID | 4 << 8 | 0x80, 0, V_IRQ, 0,
	  false, CUT_SOFT, 0x80 },
	{ "an NMI", VALID | EVT_TYPE_NMI | 2, VALID | EVT_TYPE_NMI | 2, 0, 0,
	  false, CUT_NMI, 2 },
	{ "an NMI that nobody injected", VALID | EVT_TYPE_NMI | 2, 0, 0, 0,
	  false, CUT_SOFT, 2 },
	{ "an exception of the CPU's", EXC | X86_TRAP_DE, 0, 0, 0, false,
	  CUT_EXCEPTION, X86_TRAP_DE },
	{ "one that is intercepted", EXC | X86_TRAP_PF, 0, 0, 0, false,
	  CUT_SOFT, X86_TRAP_PF },
	{ "one that is intercepted, injected", EXC | X86_TRAP_PF,
	  EXC | X86_TRAP_PF, 0, 0, false, CUT_EXCEPTION, X86_TRAP_PF },
	{ "no exception", EXC | 0x31, 0, 0, 0, false, CUT_SOFT, 0x31 },
	{ "INT3", EXC | X86_TRAP_BP, 0, 0, 0, false, CUT_SOFT, X86_TRAP_BP },
	{ "INTO behind another injection", EXC | X86_TRAP_OF, EXC | X86_TRAP_UD,
	  0, 0, false, CUT_SOFT, X86_TRAP_OF },
	{ "INT3, injected", EXC | X86_TRAP_BP, EXC | X86_TRAP_BP, 0, 0, false,
	  CUT_EXCEPTION, X86_TRAP_BP },
	{ "INT n", VALID | 4 << 8 | 0x80, 0, 0, 0, false, CUT_SOFT, 0x80 },
};

int main(void)
{
	static struct vmcb vmcb;
	struct vmcb_control *c = &vmcb.control;
	enum cut_short kind;
	unsigned int i;
	u8 vector;

	c->intercept[ICPT_EXCEPTION] = BIT(X86_TRAP_PF);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		c->exit_int_info = row[i].info;
		c->int_control = row[i].int_control;
		c->int_vector = row[i].int_vector;
		vector = 0xff;
		kind = svm_cut(c, row[i].injected, row[i].virq, &vector);
		if (!unit_result(kind == row[i].kind &&
					 (kind == CUT_NONE ||
					  vector == row[i].vector),
				 "svm cut: %s", row[i].what))
			printf("# kind %d vector %#x\n", kind, vector);
	}
	return unit_end();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * An interrupt is delivered once. When QEMU's TCG emulates SVM, it may deliver
 * an interrupt of EVENTINJ again while its handler runs with interrupts off. A
 * guest's timer interrupt would then wait for its own lock for ever.
 */
#include "guest.h"

DECLARE_PAYLOAD(irqonce);
DECLARE_LABEL(irqonce, handler);

static void once(long arg)
{
	struct kvm_interrupt irq = { .irq = 0x50 };
	struct vcpu *v = START(M_LONG, irqonce);

	idt_gate(v->vm, M_LONG, irq.irq, LABEL_AT(irqonce, handler), SEL_CODE64,
		 14, 0);
	EXPECT(v, STOP_HLT);
	for (unsigned int n = 1; n <= 2000; n++) {
		if (ioctl(v->fd, KVM_INTERRUPT, &irq))
			ERROR("KVM_INTERRUPT: errno %d", errno);
		EXPECT(v, STOP_HLT);
		REQUIRE_EQ(rd64(v->vm, GUEST_DATA), n);
	}
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "each interrupt once", once, 0, 100 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}

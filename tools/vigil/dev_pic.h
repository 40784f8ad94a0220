/* SPDX-License-Identifier: GPL-2.0 */
/* The PC's pair of 8259A interrupt controllers. */
#ifndef VIGIL_DEV_PIC_H
#define VIGIL_DEV_PIC_H

#include "dev.h"

/**
 * struct pic_chip - one 8259A
 * @irr: requests; an edge stays until it is acknowledged
 * @isr: in service
 * @imr: masked
 * @lines: input levels now
 * @elcr: inputs that are level triggered
 * @elcr_mask: inputs whose trigger mode may be changed
 * @base: vector of input 0 (ICW2)
 * @lowest: input with the lowest priority (rotation); 7 after reset
 * @init: which ICW comes next, 0: none
 * @icw4_needed: ICW1 announced an ICW4
 * @single: ICW1 said that there is no cascade
 * @auto_eoi: ICW4
 * @rotate_aeoi: OCW2: rotate on automatic EOI
 * @sfnm: ICW4: special fully nested mode
 * @special_mask: OCW3
 * @read_isr: OCW3: reads of the even port give ISR, not IRR
 * @poll: OCW3: the next read is a poll
 * @ltim: ICW1: all inputs level triggered
 */
struct pic_chip {
	uint8_t irr, isr, imr, lines, elcr, elcr_mask;
	uint8_t base, lowest, init;
	bool icw4_needed, single, auto_eoi, rotate_aeoi, sfnm;
	bool special_mask, read_isr, poll, ltim;
};

/**
 * struct pic - the pair
 * @dev: ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1
 * @chip: master, slave
 */
struct pic {
	struct device dev;
	struct pic_chip chip[2];
};

void pic_init(struct pic *pic);
/* struct irq_line's @set; @ctx is the struct pic, @n is 0 to 15. */
void pic_set_irq(void *ctx, unsigned int n, bool level);
/* Return: whether the INT output to the CPU is up. */
bool pic_pending(const struct pic *pic);
/* The CPU's INTA cycles. Return: the vector (spurious if nothing is pending). */
uint8_t pic_ack(struct pic *pic);

#endif

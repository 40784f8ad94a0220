// SPDX-License-Identifier: GPL-2.0
/*
 * Two cascaded 8259A interrupt controllers, with the chipset's edge/level
 * control registers. Written from the 8259A data sheet. The 8080 mode
 * (ICW4 bit 0 clear) and the buffered mode do not exist on a PC.
 */
#include <string.h>

#include "dev_pic.h"

#define CASCADE_IRQ 2
#define SPURIOUS 7

static const struct io_range pic_ranges[] = { { 0x20, 0x21 },
					      { 0xa0, 0xa1 },
					      { 0x4d0, 0x4d1 } };

/* The highest-priority input in @mask, or -1. Priority runs from lowest + 1. */
static int highest(const struct pic_chip *c, uint8_t mask)
{
	for (unsigned int i = 1; i <= 8; i++) {
		unsigned int n = (c->lowest + i) & 7;

		if (mask & (1u << n))
			return n;
	}
	return -1;
}

/* Returns the priority of an input; 0 is the highest. */
static unsigned int rank(const struct pic_chip *c, unsigned int n)
{
	return (n - c->lowest - 1) & 7;
}

/* The input that the chip asks for, or -1. */
static int chip_request(const struct pic_chip *c, bool master)
{
	uint8_t isr = c->isr;
	int req, serving;

	req = highest(c, c->irr & ~c->imr);
	if (req < 0)
		return -1;
	/* Special mask mode: masked inputs in service do not hold others back. */
	if (c->special_mask)
		isr &= ~c->imr;
	/* Special fully nested: the slave may ask again while it is served. */
	if (master && c->sfnm)
		isr &= ~(1u << CASCADE_IRQ);
	serving = highest(c, isr);
	if (serving >= 0 && rank(c, serving) <= rank(c, req))
		return -1;
	return req;
}

static void chip_set(struct pic_chip *c, unsigned int n, bool level)
{
	uint8_t bit = 1u << n;
	bool level_mode = c->ltim || (c->elcr & bit);

	if (level) {
		if (level_mode || !(c->lines & bit))
			c->irr |= bit;
		c->lines |= bit;
	} else {
		if (level_mode)
			c->irr &= ~bit;
		c->lines &= ~bit;
	}
}

/*
 * The slave's output is wired to the master's input 2, so the master sees a
 * change at once.
 */
static void update_cascade(struct pic *pic)
{
	struct pic_chip *m = &pic->chip[0];
	uint8_t bit = 1u << CASCADE_IRQ;

	if (chip_request(&pic->chip[1], false) >= 0) {
		m->lines |= bit;
		m->irr |= bit;
	} else {
		m->lines &= ~bit;
		m->irr &= ~bit;
	}
}

void pic_set_irq(void *ctx, unsigned int n, bool level)
{
	struct pic *pic = ctx;

	if (n > 15)
		return;
	chip_set(&pic->chip[n >> 3], n & 7, level);
	update_cascade(pic);
}

bool pic_pending(const struct pic *pic)
{
	return chip_request(&pic->chip[0], true) >= 0;
}

static void chip_eoi(struct pic_chip *c, int n)
{
	if (n >= 0)
		c->isr &= ~(1u << n);
}

static void chip_ack(struct pic_chip *c, unsigned int n)
{
	uint8_t bit = 1u << n;

	if (c->auto_eoi) {
		if (c->rotate_aeoi)
			c->lowest = n;
	} else {
		c->isr |= bit;
	}
	/* A level-triggered input keeps asking for as long as it is up. */
	if (!c->ltim && !(c->elcr & bit))
		c->irr &= ~bit;
}

uint8_t pic_ack(struct pic *pic)
{
	struct pic_chip *m = &pic->chip[0], *s = &pic->chip[1];
	int n = chip_request(m, true);
	uint8_t vector;

	if (n < 0)
		return m->base | SPURIOUS;
	chip_ack(m, n);
	if (n != CASCADE_IRQ) {
		vector = m->base | n;
	} else {
		n = chip_request(s, false);
		if (n >= 0)
			chip_ack(s, n);
		vector = s->base | (n >= 0 ? n : SPURIOUS);
	}
	update_cascade(pic);
	return vector;
}

static void write_icw1(struct pic_chip *c, uint8_t val)
{
	c->init = 2;
	c->icw4_needed = val & 0x01;
	c->single = val & 0x02;
	c->ltim = val & 0x08;
	/* Edge detection starts anew: what is up now must fall first. */
	c->irr = c->ltim ? c->lines : c->lines & c->elcr;
	c->isr = 0;
	c->imr = 0;
	c->lowest = 7;
	c->special_mask = false;
	c->read_isr = false;
	c->poll = false;
	c->rotate_aeoi = false;
	if (!c->icw4_needed) {
		c->auto_eoi = false;
		c->sfnm = false;
	}
}

static void write_ocw2(struct pic_chip *c, uint8_t val)
{
	unsigned int n = val & 7;
	uint8_t isr = c->special_mask ? c->isr & ~c->imr : c->isr;
	int top = highest(c, isr);

	switch (val >> 5) {
	case 0: /* rotate on automatic EOI: off */
	case 4: /* on */
		c->rotate_aeoi = val & 0x80;
		break;
	case 1: /* non-specific EOI */
		chip_eoi(c, top);
		break;
	case 5: /* non-specific EOI, rotate */
		chip_eoi(c, top);
		if (top >= 0)
			c->lowest = top;
		break;
	case 3: /* specific EOI */
		chip_eoi(c, n);
		break;
	case 7: /* specific EOI, rotate */
		chip_eoi(c, n);
		c->lowest = n;
		break;
	case 6: /* set priority */
		c->lowest = n;
		break;
	}
}

static void write_ocw3(struct pic_chip *c, uint8_t val)
{
	if (val & 0x40)
		c->special_mask = val & 0x20;
	if (val & 0x04)
		c->poll = true;
	else if (val & 0x02)
		c->read_isr = val & 0x01;
}

static void write_data(struct pic_chip *c, uint8_t val)
{
	switch (c->init) {
	case 0:
		c->imr = val;
		return;
	case 2:
		c->base = val & 0xf8;
		c->init = !c->single ? 3 : c->icw4_needed ? 4 : 0;
		return;
	case 3:
		/* The wiring of the cascade is fixed on a PC. */
		c->init = c->icw4_needed ? 4 : 0;
		return;
	case 4:
		c->auto_eoi = val & 0x02;
		c->sfnm = val & 0x10;
		c->init = 0;
		return;
	}
}

static void pic_write(struct device *dev, uint16_t port, unsigned int size,
		      uint32_t val)
{
	struct pic *pic = (struct pic *)dev;
	struct pic_chip *c;

	if (port >= 0x4d0) {
		c = &pic->chip[port & 1];
		c->elcr = val & c->elcr_mask;
		c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
		update_cascade(pic);
		return;
	}
	c = &pic->chip[port >= 0xa0];
	if (port & 1)
		write_data(c, val);
	else if (val & 0x10)
		write_icw1(c, val);
	else if (val & 0x08)
		write_ocw3(c, val);
	else
		write_ocw2(c, val);
	update_cascade(pic);
}

/*
 * A poll acknowledges like INTA: bit 7 says whether there was a request, bits
 * 2:0 say which.
 */
static uint8_t poll_chip(struct pic_chip *c, bool master)
{
	int n = chip_request(c, master);

	c->poll = false;
	if (n < 0)
		return 0;
	chip_ack(c, n);
	return 0x80 | n;
}

static uint32_t pic_read(struct device *dev, uint16_t port, unsigned int size)
{
	struct pic *pic = (struct pic *)dev;
	struct pic_chip *c;
	uint8_t val;

	if (port >= 0x4d0)
		return pic->chip[port & 1].elcr;
	c = &pic->chip[port >= 0xa0];
	if (c->poll) {
		val = poll_chip(c, c == &pic->chip[0]);
		update_cascade(pic);
		return val;
	}
	if (port & 1)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

void pic_init(struct pic *pic)
{
	memset(pic, 0, sizeof(*pic));
	pic->dev = (struct device){
		.name = "pic",
		.ranges = pic_ranges,
		.n_ranges = sizeof(pic_ranges) / sizeof(pic_ranges[0]),
		.read = pic_read,
		.write = pic_write,
	};
	for (unsigned int i = 0; i < 2; i++) {
		pic->chip[i].lowest = 7;
		pic->chip[i].imr = 0xff;
	}
	/* Timer, keyboard, cascade; RTC and FPU are edge triggered for good. */
	pic->chip[0].elcr_mask = 0xf8;
	pic->chip[1].elcr_mask = 0xde;
}

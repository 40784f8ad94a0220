// SPDX-License-Identifier: GPL-2.0
/*
 * Just enough of an i8042 for an operating system to find a controller with a
 * keyboard (which nobody types on) and no mouse, to wait for nothing, and to
 * reset the machine through it.
 */
#include <string.h>

#include "dev_i8042.h"

#define CTR_KBD_INT 0x01
#define CTR_SYS 0x04
#define CTR_KBD_DISABLED 0x10
#define CTR_AUX_DISABLED 0x20
#define STATUS_OBF 0x01
#define STATUS_SYS 0x04
#define STATUS_CMD 0x08
#define STATUS_UNLOCKED 0x10

static const struct io_range i8042_ranges[] = { { 0x60, 0x60 },
						{ 0x64, 0x64 } };

static void update_irq(struct i8042 *k)
{
	bool up = k->count && k->from_kbd[k->head] && k->ctr & CTR_KBD_INT &&
		  !(k->ctr & CTR_KBD_DISABLED);

	irq_set(&k->irq, up);
}

static void push(struct i8042 *k, uint8_t byte, bool from_kbd)
{
	unsigned int i = (k->head + k->count) % I8042_QUEUE;

	/*
	 * A guest that sends commands and never reads the answers loses
	 * answers.
	 */
	if (k->count == I8042_QUEUE)
		return;
	k->queue[i] = byte;
	k->from_kbd[i] = from_kbd;
	k->count++;
	update_irq(k);
}

static uint8_t pop(struct i8042 *k)
{
	uint8_t byte = k->queue[k->head];

	/* An empty buffer reads as the byte that was there last. */
	if (k->count) {
		k->head = (k->head + 1) % I8042_QUEUE;
		k->count--;
		/* A new byte is a new edge. */
		irq_set(&k->irq, false);
		update_irq(k);
	}
	return byte;
}

static void set_outport(struct i8042 *k, uint8_t val)
{
	k->outport = val | 0x01;
	if (!(val & 0x01))
		k->reset(k->ctx);
}

/* Takes a byte for the keyboard, which acknowledges every byte. */
static void to_keyboard(struct i8042 *k, uint8_t val)
{
	bool param = k->kbd_param;

	k->kbd_param = false;
	push(k, 0xfa, true);
	if (param)
		return;
	switch (val) {
	case 0xff: /* reset: self test passed */
		push(k, 0xaa, true);
		break;
	case 0xf2: /* identify */
		push(k, 0xab, true);
		push(k, 0x83, true);
		break;
	case 0xed: /* LEDs */
	case 0xf0: /* scan code set */
	case 0xf3: /* typematic rate */
		k->kbd_param = true;
		break;
	}
}

static void write_command(struct i8042 *k, uint8_t val)
{
	k->command = 0;
	switch (val) {
	case 0x20 ... 0x3f:
		push(k, val == 0x20 ? k->ctr : 0, false);
		break;
	case 0x60 ... 0x7f: /* write the command byte, or RAM that we lack */
	case 0xd1: /* write the output port */
	case 0xd2: /* as if the keyboard had sent it */
	case 0xd3: /* as if the mouse had sent it */
	case 0xd4: /* to the mouse */
		k->command = val;
		break;
	case 0xa7:
		k->ctr |= CTR_AUX_DISABLED;
		break;
	case 0xa8:
		k->ctr &= ~CTR_AUX_DISABLED;
		break;
	case 0xa9: /* mouse port test: clock line stuck low, there is none */
		push(k, 0x01, false);
		break;
	case 0xaa: /* self test */
		k->ctr |= CTR_SYS;
		push(k, 0x55, false);
		break;
	case 0xab: /* keyboard port test */
		push(k, 0x00, false);
		break;
	case 0xad:
		k->ctr |= CTR_KBD_DISABLED;
		break;
	case 0xae:
		k->ctr &= ~CTR_KBD_DISABLED;
		break;
	case 0xc0: /* input port: keyboard not locked */
		push(k, 0x80, false);
		break;
	case 0xd0:
		push(k, k->outport, false);
		break;
	case 0xf0 ... 0xff: /* pulse output lines; bit 0 low is reset */
		if (!(val & 1))
			k->reset(k->ctx);
		break;
	}
	update_irq(k);
}

static void write_param(struct i8042 *k, uint8_t val)
{
	uint8_t command = k->command;

	k->command = 0;
	switch (command) {
	case 0:
		/* Data to the keyboard switches it on again. */
		k->ctr &= ~CTR_KBD_DISABLED;
		to_keyboard(k, val);
		break;
	case 0x60:
		k->ctr = val & 0x77;
		break;
	case 0xd1:
		set_outport(k, val);
		break;
	case 0xd2:
		push(k, val, true);
		break;
	case 0xd3:
		/*
		 * Without a mouse port the byte comes back as the controller's
		 * own.
		 */
		push(k, val, false);
		break;
	}
	update_irq(k);
}

static void i8042_write(struct device *dev, uint16_t port, unsigned int size,
			uint32_t val)
{
	struct i8042 *k = (struct i8042 *)dev;

	k->last_command = port == 0x64;
	if (k->last_command)
		write_command(k, val);
	else
		write_param(k, val);
}

static uint32_t i8042_read(struct device *dev, uint16_t port, unsigned int size)
{
	struct i8042 *k = (struct i8042 *)dev;

	if (port == 0x60)
		return pop(k);
	return STATUS_UNLOCKED | (k->count ? STATUS_OBF : 0) |
	       (k->ctr & CTR_SYS ? STATUS_SYS : 0) |
	       (k->last_command ? STATUS_CMD : 0);
}

void i8042_init(struct i8042 *k, struct irq_line irq, void (*reset)(void *ctx),
		void *ctx)
{
	memset(k, 0, sizeof(*k));
	k->dev = (struct device){
		.name = "i8042",
		.ranges = i8042_ranges,
		.n_ranges = 2,
		.read = i8042_read,
		.write = i8042_write,
	};
	k->irq = irq;
	k->reset = reset;
	k->ctx = ctx;
	k->ctr = CTR_SYS | CTR_KBD_INT | CTR_AUX_DISABLED;
	k->outport = 0xdf;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* A minimal i8042 keyboard controller with a silent keyboard. */
#ifndef VIGIL_DEV_I8042_H
#define VIGIL_DEV_I8042_H

#include "dev.h"

#define I8042_QUEUE 8

/**
 * struct i8042 - the controller
 * @dev: ports 0x60, 0x64
 * @irq: interrupt line of the keyboard
 * @reset: the guest pulses the CPU's reset line
 * @ctx: argument of @reset
 * @ctr: command byte
 * @outport: output port (bit 1: A20)
 * @command: controller command that waits for its data byte, or 0
 * @kbd_param: the next byte to the keyboard belongs to its last command
 * @last_command: the status register says that a command came last
 * @queue: bytes for the guest
 * @from_kbd: whether the keyboard sent it (and so interrupts)
 * @head: index of the oldest byte
 * @count: how many bytes
 */
struct i8042 {
	struct device dev;
	struct irq_line irq;
	void (*reset)(void *ctx);
	void *ctx;
	uint8_t ctr, outport, command;
	bool kbd_param, last_command;
	uint8_t queue[I8042_QUEUE];
	bool from_kbd[I8042_QUEUE];
	unsigned int head, count;
};

void i8042_init(struct i8042 *kbc, struct irq_line irq,
		void (*reset)(void *ctx), void *ctx);

#endif

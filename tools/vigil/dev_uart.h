/* SPDX-License-Identifier: GPL-2.0 */
/* A 16550A serial port. */
#ifndef VIGIL_DEV_UART_H
#define VIGIL_DEV_UART_H

#include "dev.h"

#define UART_FIFO 16

/**
 * struct uart - one serial port
 * @dev: eight ports
 * @range: where
 * @irq: interrupt line
 * @output: takes a byte that the guest sends
 * @drained: uart_room() has become more than 0: bytes may be offered; or NULL
 * @ctx: argument of both
 * @ier: interrupt enable register
 * @fcr: FIFO control register
 * @lcr: line control register
 * @mcr: modem control register
 * @lsr: line status register
 * @scr: scratch register
 * @dll: divisor latch, low byte
 * @dlm: divisor latch, high byte
 * @msr_delta: modem status register: the bits that tell of changes
 * @rx: received bytes
 * @rx_head: index of the oldest
 * @rx_count: how many
 * @idle_polls: reads of LSR since the last byte was sent
 * @thre_pending: the transmitter-empty interrupt is asked for
 */
struct uart {
	struct device dev;
	struct io_range range;
	struct irq_line irq;
	void (*output)(void *ctx, uint8_t byte);
	void (*drained)(void *ctx);
	void *ctx;
	uint8_t ier, fcr, lcr, mcr, lsr, scr, dll, dlm, msr_delta;
	uint8_t rx[UART_FIFO];
	unsigned int rx_head, rx_count, idle_polls;
	bool thre_pending;
};

void uart_init(struct uart *uart, uint16_t port, struct irq_line irq,
	       void (*output)(void *ctx, uint8_t byte),
	       void (*drained)(void *ctx), void *ctx);
/*
 * Returns how many bytes should be offered now: 0 while the guest does not
 * listen (no receive interrupt is enabled, and it does not poll for input). A
 * driver that starts up discards what came before, which would lose piped
 * input.
 */
unsigned int uart_room(const struct uart *uart);
/* A byte arrives. One that there is no room for is lost, with an overrun. */
void uart_receive(struct uart *uart, uint8_t byte);

#endif

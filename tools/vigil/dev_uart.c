// SPDX-License-Identifier: GPL-2.0
/*
 * A 16550A serial port. Bytes are sent at once, so the transmitter is always
 * empty; the modem lines of the other side are up. Written from the data sheet.
 */
#include <string.h>

#include "dev_uart.h"

#define IER_RX 0x01
#define IER_THRE 0x02
#define IER_LINE 0x04
#define IER_MODEM 0x08
#define IIR_NONE 0x01
#define IIR_MODEM 0x00
#define IIR_THRE 0x02
#define IIR_RX 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO 0xc0
#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define LCR_DLAB 0x80
#define MCR_LOOP 0x10
#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_ERRORS 0x1e
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80

/* A guest that polls LSR this often without sending is waiting for input. */
#define POLLS_TO_LISTEN 64

static uint8_t iir(const struct uart *u)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };
	unsigned int level = u->fcr & FCR_ENABLE ? trigger[u->fcr >> 6] : 1;

	if (u->ier & IER_LINE && u->lsr & LSR_ERRORS)
		return IIR_LINE;
	/*
	 * Below the trigger level, the character timeout is reported at once.
	 */
	if (u->ier & IER_RX && u->rx_count)
		return u->rx_count >= level ? IIR_RX : IIR_TIMEOUT;
	if (u->ier & IER_THRE && u->thre_pending)
		return IIR_THRE;
	if (u->ier & IER_MODEM && u->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct uart *u)
{
	irq_set(&u->irq, iir(u) != IIR_NONE);
}

static uint8_t modem_lines(const struct uart *u)
{
	uint8_t m = u->mcr;

	if (!(m & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	/* Loopback: RTS, DTR, OUT1, OUT2 come back as CTS, DSR, RI, DCD. */
	return (m & 2 ? MSR_CTS : 0) | (m & 1 ? MSR_DSR : 0) |
	       (m & 4 ? MSR_RI : 0) | (m & 8 ? MSR_DCD : 0);
}

static bool listens(const struct uart *u)
{
	return !(u->mcr & MCR_LOOP) &&
	       (u->ier & IER_RX || u->idle_polls >= POLLS_TO_LISTEN);
}

unsigned int uart_room(const struct uart *u)
{
	unsigned int size = u->fcr & FCR_ENABLE ? UART_FIFO : 1;

	if (!listens(u) || u->rx_count >= size)
		return 0;
	return size - u->rx_count;
}

static void push_rx(struct uart *u, uint8_t byte)
{
	unsigned int size = u->fcr & FCR_ENABLE ? UART_FIFO : 1;

	if (u->rx_count >= size) {
		u->lsr |= LSR_OE;
	} else {
		u->rx[(u->rx_head + u->rx_count) % UART_FIFO] = byte;
		u->rx_count++;
		u->lsr |= LSR_DR;
	}
	update_irq(u);
}

void uart_receive(struct uart *u, uint8_t byte)
{
	if (!(u->mcr & MCR_LOOP))
		push_rx(u, byte);
}

static void offer(struct uart *u)
{
	if (u->drained && uart_room(u))
		u->drained(u->ctx);
}

static uint8_t pop_rx(struct uart *u)
{
	uint8_t byte;

	if (!u->rx_count)
		return 0;
	byte = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % UART_FIFO;
	u->rx_count--;
	if (!u->rx_count) {
		u->lsr &= ~LSR_DR;
		offer(u);
	}
	update_irq(u);
	return byte;
}

static void clear_rx(struct uart *u)
{
	u->rx_count = 0;
	u->lsr &= ~LSR_DR;
}

static void transmit(struct uart *u, uint8_t byte)
{
	u->idle_polls = 0;
	if (u->mcr & MCR_LOOP)
		push_rx(u, byte);
	else
		u->output(u->ctx, byte);
	/* The byte was sent at once, so the holding register is empty again. */
	u->thre_pending = true;
	update_irq(u);
}

static void write_ier(struct uart *u, uint8_t val)
{
	uint8_t old = u->ier;

	u->ier = val & 0x0f;
	/* Enabling the interrupt while the register is empty raises it. */
	if (u->ier & ~old & IER_THRE)
		u->thre_pending = true;
	update_irq(u);
	if (u->ier & ~old & IER_RX)
		offer(u);
}

static void write_fcr(struct uart *u, uint8_t val)
{
	/* Switching the FIFOs on or off empties them. */
	if ((val ^ u->fcr) & FCR_ENABLE || val & FCR_CLEAR_RX)
		clear_rx(u);
	if (val & FCR_CLEAR_TX)
		u->thre_pending = true;
	u->fcr = val & FCR_ENABLE ? val & 0xc9 : 0;
	update_irq(u);
}

static void write_mcr(struct uart *u, uint8_t val)
{
	uint8_t before = modem_lines(u), change;

	u->mcr = val & 0x1f;
	change = before ^ modem_lines(u);
	u->msr_delta |= (change & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
	/* The ring indicator counts only when it goes away. */
	if (change & before & MSR_RI)
		u->msr_delta |= MSR_RI >> 4;
	update_irq(u);
}

static void uart_write(struct device *dev, uint16_t port, unsigned int size,
		       uint32_t val)
{
	struct uart *u = (struct uart *)dev;

	switch (port - u->range.first) {
	case 0:
		if (u->lcr & LCR_DLAB)
			u->dll = val;
		else
			transmit(u, val);
		break;
	case 1:
		if (u->lcr & LCR_DLAB)
			u->dlm = val;
		else
			write_ier(u, val);
		break;
	case 2:
		write_fcr(u, val);
		break;
	case 3:
		u->lcr = val;
		break;
	case 4:
		write_mcr(u, val);
		break;
	case 7:
		u->scr = val;
		break;
	}
}

static uint32_t uart_read(struct device *dev, uint16_t port, unsigned int size)
{
	struct uart *u = (struct uart *)dev;
	uint8_t val;

	switch (port - u->range.first) {
	case 0:
		return u->lcr & LCR_DLAB ? u->dll : pop_rx(u);
	case 1:
		return u->lcr & LCR_DLAB ? u->dlm : u->ier;
	case 2:
		val = iir(u);
		if (val == IIR_THRE) {
			u->thre_pending = false;
			update_irq(u);
		}
		return val | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
	case 3:
		return u->lcr;
	case 4:
		return u->mcr;
	case 5:
		if (u->idle_polls < POLLS_TO_LISTEN &&
		    ++u->idle_polls == POLLS_TO_LISTEN)
			offer(u);
		val = u->lsr;
		u->lsr &= ~LSR_ERRORS;
		update_irq(u);
		return val;
	case 6:
		val = modem_lines(u) | u->msr_delta;
		u->msr_delta = 0;
		update_irq(u);
		return val;
	default:
		return u->scr;
	}
}

void uart_init(struct uart *u, uint16_t port, struct irq_line irq,
	       void (*output)(void *ctx, uint8_t byte),
	       void (*drained)(void *ctx), void *ctx)
{
	memset(u, 0, sizeof(*u));
	u->range = (struct io_range){ port, port + 7 };
	u->dev = (struct device){
		.name = "uart",
		.ranges = &u->range,
		.n_ranges = 1,
		.read = uart_read,
		.write = uart_write,
	};
	u->irq = irq;
	u->output = output;
	u->drained = drained;
	u->ctx = ctx;
	u->lsr = LSR_THRE | LSR_TEMT;
	u->dll = 12;
}

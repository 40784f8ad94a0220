// SPDX-License-Identifier: GPL-2.0
/* 16550A and i8042, and how the bus splits wide accesses. */
#include <errno.h>
#include <string.h>

#include "dev_i8042.h"
#include "dev_misc.h"
#include "dev_uart.h"
#include "tap.h"

static struct io_bus bus;
static struct uart uart;
static struct i8042 kbc;
static struct misc misc;
static unsigned int edges, resets, exits, exit_status, sent, drains;
static uint8_t last_sent;
static bool level;

static void set_irq(void *ctx, unsigned int n, bool up)
{
	if (up && !level)
		edges++;
	level = up;
}

static void on_output(void *ctx, uint8_t byte)
{
	last_sent = byte;
	sent++;
}

static void on_drained(void *ctx)
{
	drains++;
}

static void on_reset(void *ctx)
{
	resets++;
}

static void on_exit_status(void *ctx, uint8_t status)
{
	exits++;
	exit_status = status;
}

static void setup(void)
{
	static const struct misc_ops ops = { on_output, on_reset,
					     on_exit_status };

	edges = resets = exits = sent = drains = 0;
	level = false;
	io_bus_init(&bus);
	uart_init(&uart, 0x3f8, (struct irq_line){ set_irq, NULL, 4 },
		  on_output, on_drained, NULL);
	i8042_init(&kbc, (struct irq_line){ set_irq, NULL, 1 }, on_reset, NULL);
	REQUIRE_EQ(io_bus_attach(&bus, &uart.dev), 0);
	REQUIRE_EQ(io_bus_attach(&bus, &kbc.dev), 0);
	REQUIRE_EQ(misc_init(&misc, &bus, &ops, NULL, true), 0);
}

static void out(uint16_t port, uint8_t val)
{
	io_bus_write(&bus, port, 1, val);
}

static uint8_t in(uint16_t port)
{
	return io_bus_read(&bus, port, 1);
}

static void test_transmit(long arg)
{
	setup();
	CHECK_EQ(in(0x3fd), 0x60);
	out(0x3f8, 'A');
	CHECK_EQ(sent, 1);
	CHECK_EQ(last_sent, 'A');
	CHECK_EQ(in(0x3fd), 0x60);
	CHECK_EQ(edges, 0);
	/* The divisor latch is not the transmitter. */
	out(0x3fb, 0x83);
	out(0x3f8, 0x01);
	out(0x3f9, 0x02);
	CHECK_EQ(in(0x3f8), 0x01);
	CHECK_EQ(in(0x3f9), 0x02);
	CHECK_EQ(sent, 1);
	out(0x3fb, 0x03);
	CHECK_EQ(in(0x3f9), 0x00);
}

static void test_thre(long arg)
{
	setup();
	out(0x3f9, 0x02);
	CHECK_EQ(edges, 1);
	CHECK_EQ(in(0x3fa), 0x02);
	CHECK_EQ(level, false);
	CHECK_EQ(in(0x3fa), 0x01);
	out(0x3f8, 'x');
	CHECK_EQ(edges, 2);
	/* Off and on again raises it anew. */
	out(0x3f9, 0x00);
	CHECK_EQ(level, false);
	in(0x3fa);
	out(0x3f9, 0x02);
	CHECK_EQ(edges, 3);
}

static void test_receive(long arg)
{
	setup();
	CHECK_EQ(uart_room(&uart), 0);
	out(0x3f9, 0x05);
	CHECK_EQ(drains, 1);
	CHECK_EQ(uart_room(&uart), 1);
	uart_receive(&uart, 'a');
	CHECK_EQ(uart_room(&uart), 0);
	CHECK_EQ(in(0x3fa), 0x04);
	CHECK_EQ(in(0x3fd), 0x61);
	/* One more: overrun, told once and first of all. */
	uart_receive(&uart, 'b');
	CHECK_EQ(in(0x3fa), 0x06);
	CHECK_EQ(in(0x3fd), 0x63);
	CHECK_EQ(in(0x3fd), 0x61);
	CHECK_EQ(in(0x3f8), 'a');
	CHECK_EQ(in(0x3fd), 0x60);
	CHECK_EQ(level, false);
	CHECK_EQ(drains, 2);
}

static void test_fifo(long arg)
{
	setup();
	out(0x3f9, 0x01);
	/* On, trigger level 8. */
	out(0x3fa, 0x81);
	CHECK_EQ(uart_room(&uart), 16);
	uart_receive(&uart, 0);
	/* Below the trigger: character timeout. */
	CHECK_EQ(in(0x3fa), 0xcc);
	for (unsigned int i = 1; i < 16; i++)
		uart_receive(&uart, i);
	CHECK_EQ(in(0x3fa), 0xc4);
	CHECK_EQ(uart_room(&uart), 0);
	for (unsigned int i = 0; i < 16; i++)
		CHECK_EQ(in(0x3f8), i);
	CHECK_EQ(in(0x3fd), 0x60);
	CHECK_EQ(in(0x3fa), 0xc1);
	uart_receive(&uart, 1);
	out(0x3fa, 0x83);
	CHECK_EQ(in(0x3fd), 0x60);
	uart_receive(&uart, 1);
	out(0x3fa, 0x00);
	CHECK_EQ(in(0x3fd), 0x60);
	CHECK_EQ(in(0x3fa), 0x01);
}

static void test_polled(long arg)
{
	unsigned int n;

	/* A guest without interrupts listens once it polls. */
	setup();
	for (n = 0; n < 1000 && !drains; n++)
		in(0x3fd);
	CHECK_EQ(n, 64);
	CHECK_EQ(uart_room(&uart), 1);
	out(0x3f8, 'x');
	CHECK_EQ(uart_room(&uart), 0);
}

static void test_loopback(long arg)
{
	setup();
	out(0x3f9, 0x0f);
	in(0x3fa);
	CHECK_EQ(in(0x3fe) & 0xf0, 0xb0);
	out(0x3fc, 0x1a);
	CHECK_EQ(in(0x3fe) & 0xf0, 0x90);
	out(0x3f8, 'L');
	CHECK_EQ(sent, 0);
	CHECK_EQ(in(0x3f8), 'L');
	uart_receive(&uart, 'n');
	CHECK_EQ(in(0x3fd) & 1, 0);
	out(0x3fc, 0x00);
	CHECK_EQ(in(0x3fa) & 0x0f, 0x02);
	CHECK_EQ(in(0x3fa) & 0x0f, 0x00);
	in(0x3fe);
	CHECK_EQ(in(0x3fa) & 0x0f, 0x01);
}

static void test_scratch(long arg)
{
	setup();
	out(0x3ff, 0x5a);
	CHECK_EQ(in(0x3ff), 0x5a);
	out(0x3f9, 0xff);
	CHECK_EQ(in(0x3f9), 0x0f);
}

static uint8_t kbc_command(uint8_t cmd)
{
	out(0x64, cmd);
	CHECK_EQ(in(0x64) & 1, 1);
	return in(0x60);
}

static void test_kbc(long arg)
{
	setup();
	CHECK_EQ(in(0x64) & 3, 0);
	CHECK_EQ(kbc_command(0xaa), 0x55);
	CHECK_EQ(kbc_command(0xab), 0x00);
	CHECK(kbc_command(0xa9) != 0);
	out(0x64, 0x60);
	out(0x60, 0x65);
	CHECK_EQ(kbc_command(0x20), 0x65);
	/* Linux asks so whether there is a mouse port; the answer is not its. */
	out(0x64, 0xd3);
	out(0x60, 0x5a);
	CHECK_EQ(in(0x64) & 0x21, 0x01);
	CHECK_EQ(in(0x60), 0x5a);
	CHECK_EQ(in(0x64) & 1, 0);
	CHECK_EQ(resets, 0);
}

static void test_keyboard(long arg)
{
	setup();
	out(0x60, 0xf2);
	CHECK_EQ(edges, 1);
	CHECK_EQ(in(0x60), 0xfa);
	CHECK_EQ(edges, 2);
	CHECK_EQ(in(0x60), 0xab);
	CHECK_EQ(in(0x60), 0x83);
	CHECK_EQ(level, false);
	/* A parameter is acknowledged and not taken for a command. */
	out(0x60, 0xed);
	CHECK_EQ(in(0x60), 0xfa);
	out(0x60, 0xf2);
	CHECK_EQ(in(0x60), 0xfa);
	CHECK_EQ(in(0x64) & 1, 0);
	/* A guest that never reads. */
	for (unsigned int i = 0; i < 100; i++)
		out(0x60, 0xff);
	for (unsigned int i = 0; i < I8042_QUEUE; i++)
		in(0x60);
	CHECK_EQ(in(0x64) & 1, 0);
}

static void test_resets(long arg)
{
	setup();
	out(0x64, 0xff);
	CHECK_EQ(resets, 0);
	out(0x64, 0xfe);
	CHECK_EQ(resets, 1);
	out(0x64, 0xd1);
	out(0x60, 0xde);
	CHECK_EQ(resets, 2);
	out(0x92, 0x02);
	CHECK_EQ(resets, 2);
	out(0x92, 0x03);
	CHECK_EQ(resets, 3);
	out(0xcf9, 0x02);
	CHECK_EQ(resets, 3);
	out(0xcf9, 0x06);
	CHECK_EQ(resets, 4);
}

static void test_pci(long arg)
{
	setup();
	io_bus_write(&bus, 0xcf8, 4, 0x8000ff00);
	CHECK_EQ(resets, 0);
	CHECK_EQ(io_bus_read(&bus, 0xcf8, 4), 0xffffffff);
	CHECK_EQ(io_bus_read(&bus, 0xcfc, 4), 0xffffffff);
	CHECK_EQ(io_bus_read(&bus, 0xcfc, 2) & 0xffff, 0xffff);
}

static void test_exit(long arg)
{
	setup();
	io_bus_write(&bus, 0xf4, 4, 0x12345607);
	CHECK_EQ(exits, 1);
	CHECK_EQ(exit_status, 7);
	out(0xe9, 'd');
	out(0x402, 'e');
	CHECK_EQ(sent, 2);
	CHECK_EQ(in(0xe9), 0xe9);
}

static void test_bus(long arg)
{
	setup();
	/* Nobody, a split read at the edge of a device, and the last port. */
	CHECK_EQ(io_bus_read(&bus, 0x1000, 4), 0xffffffff);
	out(0x3ff, 0x42);
	CHECK_EQ(io_bus_read(&bus, 0x3ff, 2), 0xff42);
	CHECK_EQ(io_bus_read(&bus, 0xffff, 4), 0xffffffff);
	io_bus_write(&bus, 0xffff, 4, 0);
	/* Ports that are taken cannot be taken again. */
	CHECK_EQ(io_bus_attach(&bus, &uart.dev), -1);
}

static void test_any_writes(long arg)
{
	uint32_t seed = 5;

	setup();
	for (unsigned int i = 0; i < 500000; i++) {
		uint16_t port;

		seed = seed * 1664525 + 1013904223;
		port = seed >> 30 == 0 ? 0x60 + (seed >> 20 & 4) :
					 0x3f8 + (seed >> 20 & 7);
		if (seed >> 28 & 1)
			out(port, seed >> 8);
		else
			in(port);
		uart_receive(&uart, seed >> 4);
		CHECK(uart_room(&uart) <= UART_FIFO);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "uart: transmit", test_transmit },
		{ "uart: transmitter interrupt", test_thre },
		{ "uart: receive", test_receive },
		{ "uart: FIFO", test_fifo },
		{ "uart: polled input", test_polled },
		{ "uart: loopback", test_loopback },
		{ "uart: scratch and reserved bits", test_scratch },
		{ "i8042: controller", test_kbc },
		{ "i8042: keyboard", test_keyboard },
		{ "resets", test_resets },
		{ "no PCI", test_pci },
		{ "debug output and exit", test_exit },
		{ "bus: splitting", test_bus },
		{ "arbitrary writes", test_any_writes },
		{}
	};

	return test_main(argc, argv, cases);
}

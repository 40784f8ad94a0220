// SPDX-License-Identifier: GPL-2.0
/* The pair of 8259As: priorities, triggers, ends of interrupt, the cascade. */
#include <errno.h>
#include <string.h>

#include "dev_pic.h"
#include "tap.h"

static struct pic pic;

static void out(uint16_t port, uint8_t val)
{
	pic.dev.write(&pic.dev, port, 1, val);
}

static uint8_t in(uint16_t port)
{
	return pic.dev.read(&pic.dev, port, 1);
}

static void irq(unsigned int n, bool level)
{
	pic_set_irq(&pic, n, level);
}

static void pulse(unsigned int n)
{
	irq(n, true);
	irq(n, false);
}

/* As every PC does: vectors 0x20 and 0x28, all unmasked. */
static void setup_icw4(uint8_t master_icw4)
{
	pic_init(&pic);
	out(0x20, 0x11);
	out(0xa0, 0x11);
	out(0x21, 0x20);
	out(0xa1, 0x28);
	out(0x21, 0x04);
	out(0xa1, 0x02);
	out(0x21, master_icw4);
	out(0xa1, 0x01);
	out(0x21, 0);
	out(0xa1, 0);
}

static void setup(void)
{
	setup_icw4(0x01);
}

static uint8_t isr(uint16_t port)
{
	out(port, 0x0b);
	return in(port);
}

static uint8_t irr(uint16_t port)
{
	out(port, 0x0a);
	return in(port);
}

static void test_masked_at_reset(long arg)
{
	pic_init(&pic);
	pulse(0);
	CHECK(!pic_pending(&pic));
	CHECK_EQ(in(0x21), 0xff);
}

static void test_edge(long arg)
{
	setup();
	CHECK(!pic_pending(&pic));
	irq(4, true);
	CHECK(pic_pending(&pic));
	CHECK_EQ(pic_ack(&pic), 0x24);
	CHECK(!pic_pending(&pic));
	CHECK_EQ(isr(0x20), 0x10);
	out(0x20, 0x20);
	CHECK_EQ(isr(0x20), 0);
	/* Still up: no new edge, no new interrupt. */
	irq(4, true);
	CHECK(!pic_pending(&pic));
	irq(4, false);
	irq(4, true);
	CHECK(pic_pending(&pic));
}

static void test_edge_survives_fall(long arg)
{
	setup();
	pulse(3);
	CHECK_EQ(irr(0x20), 0x08);
	CHECK_EQ(pic_ack(&pic), 0x23);
}

static void test_level(long arg)
{
	setup();
	out(0x4d0, 0xff);
	CHECK_EQ(in(0x4d0), 0xf8);
	irq(5, true);
	CHECK_EQ(pic_ack(&pic), 0x25);
	CHECK(!pic_pending(&pic));
	out(0x20, 0x20);
	/* Still up: it asks again. */
	CHECK(pic_pending(&pic));
	irq(5, false);
	CHECK(!pic_pending(&pic));
}

static void test_priority(long arg)
{
	setup();
	pulse(7);
	pulse(1);
	pulse(3);
	CHECK_EQ(pic_ack(&pic), 0x21);
	/* Lower ones wait for the end of interrupt. */
	CHECK(!pic_pending(&pic));
	pulse(0);
	CHECK_EQ(pic_ack(&pic), 0x20);
	out(0x20, 0x20);
	CHECK_EQ(isr(0x20), 0x02);
	out(0x20, 0x20);
	CHECK_EQ(pic_ack(&pic), 0x23);
	out(0x20, 0x20);
	CHECK_EQ(pic_ack(&pic), 0x27);
}

static void test_mask(long arg)
{
	setup();
	out(0x21, 0x10);
	pulse(4);
	CHECK(!pic_pending(&pic));
	CHECK_EQ(irr(0x20), 0x10);
	out(0x21, 0);
	CHECK(pic_pending(&pic));
}

static void test_cascade(long arg)
{
	setup();
	pulse(8);
	pulse(15);
	CHECK_EQ(pic_ack(&pic), 0x28);
	CHECK_EQ(isr(0x20), 0x04);
	CHECK_EQ(isr(0xa0), 0x01);
	CHECK(!pic_pending(&pic));
	out(0xa0, 0x20);
	out(0x20, 0x20);
	CHECK_EQ(pic_ack(&pic), 0x2f);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	CHECK(!pic_pending(&pic));
	/* IRQ 1 is above the slave's, IRQ 3 below. */
	pulse(10);
	pulse(3);
	CHECK_EQ(pic_ack(&pic), 0x2a);
	CHECK(!pic_pending(&pic));
	pulse(1);
	CHECK_EQ(pic_ack(&pic), 0x21);
}

static void test_slave_masked_in_master(long arg)
{
	setup();
	out(0x21, 0x04);
	pulse(9);
	CHECK(!pic_pending(&pic));
	out(0x21, 0);
	CHECK_EQ(pic_ack(&pic), 0x29);
}

static void test_sfnm(long arg)
{
	/* A slave interrupt of higher priority while the slave is served. */
	setup();
	pulse(12);
	CHECK_EQ(pic_ack(&pic), 0x2c);
	pulse(9);
	CHECK(!pic_pending(&pic));

	setup_icw4(0x11);
	pulse(12);
	CHECK_EQ(pic_ack(&pic), 0x2c);
	pulse(9);
	CHECK(pic_pending(&pic));
	CHECK_EQ(pic_ack(&pic), 0x29);
}

static void test_specific_eoi(long arg)
{
	setup();
	pulse(3);
	CHECK_EQ(pic_ack(&pic), 0x23);
	pulse(1);
	CHECK_EQ(pic_ack(&pic), 0x21);
	out(0x20, 0x63);
	CHECK_EQ(isr(0x20), 0x02);
	out(0x20, 0x61);
	CHECK_EQ(isr(0x20), 0);
}

static void test_auto_eoi(long arg)
{
	setup_icw4(0x03);
	pulse(3);
	CHECK_EQ(pic_ack(&pic), 0x23);
	CHECK_EQ(isr(0x20), 0);
	pulse(6);
	CHECK_EQ(pic_ack(&pic), 0x26);
}

static void test_rotate_aeoi(long arg)
{
	setup_icw4(0x03);
	out(0x20, 0x80);
	pulse(3);
	pulse(4);
	CHECK_EQ(pic_ack(&pic), 0x23);
	/* 3 is now the lowest: 4 comes before another 3. */
	pulse(3);
	CHECK_EQ(pic_ack(&pic), 0x24);
	CHECK_EQ(pic_ack(&pic), 0x23);
	out(0x20, 0x00);
	pulse(2);
	pulse(5);
	CHECK_EQ(pic_ack(&pic), 0x25);
	pulse(4);
}

static void test_rotate_eoi(long arg)
{
	setup();
	pulse(1);
	CHECK_EQ(pic_ack(&pic), 0x21);
	out(0x20, 0xa0);
	pulse(1);
	pulse(5);
	CHECK_EQ(pic_ack(&pic), 0x25);
	out(0x20, 0xe5);
	CHECK_EQ(isr(0x20), 0);
	pulse(0);
	CHECK_EQ(pic_ack(&pic), 0x20);
}

static void test_set_priority(long arg)
{
	setup();
	/* 4 becomes the lowest, so 5 the highest. */
	out(0x20, 0xc4);
	pulse(0);
	pulse(5);
	CHECK_EQ(pic_ack(&pic), 0x25);
	CHECK(!pic_pending(&pic));
}

static void test_special_mask(long arg)
{
	setup();
	pulse(1);
	CHECK_EQ(pic_ack(&pic), 0x21);
	pulse(6);
	CHECK(!pic_pending(&pic));
	/* Masked in service and special mask mode: lower ones may come. */
	out(0x21, 0x02);
	out(0x20, 0x68);
	CHECK_EQ(pic_ack(&pic), 0x26);
	/* A non-specific end leaves the masked one alone. */
	out(0x20, 0x20);
	CHECK_EQ(isr(0x20), 0x02);
	out(0x20, 0x48);
	pulse(6);
	CHECK(!pic_pending(&pic));
}

static void test_spurious(long arg)
{
	setup();
	out(0x4d0, 0x20);
	irq(5, true);
	irq(5, false);
	CHECK_EQ(pic_ack(&pic), 0x27);
	CHECK_EQ(isr(0x20), 0);
	out(0x4d1, 0x04);
	CHECK_EQ(in(0x4d1), 0x04);
}

static void test_poll(long arg)
{
	setup();
	out(0x20, 0x0c);
	CHECK_EQ(in(0x20), 0);
	pulse(4);
	out(0x20, 0x0c);
	CHECK_EQ(in(0x20), 0x84);
	CHECK_EQ(isr(0x20), 0x10);
	CHECK(!pic_pending(&pic));
}

static void test_icw1_resets(long arg)
{
	setup();
	out(0x21, 0xff);
	irq(6, true);
	out(0x20, 0x11);
	out(0x21, 0x40);
	out(0x21, 0x04);
	out(0x21, 0x01);
	CHECK_EQ(in(0x21), 0);
	/* The line stayed up through it: its edge is over. */
	CHECK(!pic_pending(&pic));
	irq(6, false);
	irq(6, true);
	CHECK_EQ(pic_ack(&pic), 0x46);
}

static void test_any_writes(long arg)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	uint32_t seed = 12345;

	/* Whatever is written: no crash, and the vector has a programmed base. */
	pic_init(&pic);
	for (unsigned int i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		switch (seed >> 29) {
		case 0:
		case 1:
			out(ports[(seed >> 16) % 6], seed >> 8);
			break;
		case 2:
			in(ports[(seed >> 16) % 6]);
			break;
		case 3:
			irq(seed >> 8 & 31, seed >> 20 & 1);
			break;
		default:
			if (pic_pending(&pic)) {
				uint8_t v = pic_ack(&pic);

				CHECK((v & 0xf8) == pic.chip[0].base ||
				      (v & 0xf8) == pic.chip[1].base);
			}
			break;
		}
		CHECK_EQ(pic.chip[0].elcr & 7, 0);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "everything is masked at reset", test_masked_at_reset },
		{ "edge triggered input", test_edge },
		{ "an edge survives the fall of its line",
		  test_edge_survives_fall },
		{ "level triggered input", test_level },
		{ "fixed priority", test_priority },
		{ "mask register", test_mask },
		{ "cascade", test_cascade },
		{ "slave masked in the master", test_slave_masked_in_master },
		{ "special fully nested mode", test_sfnm },
		{ "specific end of interrupt", test_specific_eoi },
		{ "automatic end of interrupt", test_auto_eoi },
		{ "rotation on automatic end", test_rotate_aeoi },
		{ "rotation on end of interrupt", test_rotate_eoi },
		{ "set priority", test_set_priority },
		{ "special mask mode", test_special_mask },
		{ "spurious interrupt", test_spurious },
		{ "poll", test_poll },
		{ "ICW1 resets", test_icw1_resets },
		{ "arbitrary writes", test_any_writes },
		{}
	};

	return test_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Single ports of a PC. There is no PCI: its configuration ports read as ones,
 * which is how Linux and SeaBIOS see that there is none.
 */
#include <string.h>

#include "dev_misc.h"

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

static const struct io_range post_ranges[] = { { 0x80, 0x80 }, { 0xed, 0xed } };
static const struct io_range debug_ranges[] = { { 0xe9, 0xe9 },
						{ 0x402, 0x402 } };
static const struct io_range port92_ranges[] = { { 0x92, 0x92 } };
static const struct io_range pci_ranges[] = { { 0xcf8, 0xcff } };
static const struct io_range exit_ranges[] = { { 0xf4, 0xf4 } };

static uint32_t post_read(struct device *dev, uint16_t port, unsigned int size)
{
	return container_of(dev, struct misc, post)->post_code;
}

static void post_write(struct device *dev, uint16_t port, unsigned int size,
		       uint32_t val)
{
	if (port == 0x80)
		container_of(dev, struct misc, post)->post_code = val;
}

/* Firmware reads 0xe9 to find out whether the debug port exists. */
static uint32_t debug_read(struct device *dev, uint16_t port, unsigned int size)
{
	return 0xe9;
}

static void debug_write(struct device *dev, uint16_t port, unsigned int size,
			uint32_t val)
{
	struct misc *m = container_of(dev, struct misc, debug);

	m->ops.output(m->ctx, val);
}

static uint32_t port92_read(struct device *dev, uint16_t port,
			    unsigned int size)
{
	return container_of(dev, struct misc, port92)->a20;
}

static void port92_write(struct device *dev, uint16_t port, unsigned int size,
			 uint32_t val)
{
	struct misc *m = container_of(dev, struct misc, port92);

	/* A20 of this machine is always on. */
	m->a20 = (val & ~1u) | 2;
	if (val & 1)
		m->ops.reset(m->ctx);
}

static uint32_t pci_read(struct device *dev, uint16_t port, unsigned int size)
{
	struct misc *m = container_of(dev, struct misc, pci);

	if (port == 0xcf9 && size == 1)
		return m->reset_control;
	return 0xffffffff;
}

static void pci_write(struct device *dev, uint16_t port, unsigned int size,
		      uint32_t val)
{
	struct misc *m = container_of(dev, struct misc, pci);
	uint8_t rising;

	/* A dword for 0xcf8 is a configuration address, whatever its byte 1 is. */
	if (port != 0xcf9 || size != 1)
		return;
	rising = val & ~m->reset_control;
	m->reset_control = val & 0x0e;
	if (rising & 0x04)
		m->ops.reset(m->ctx);
}

static uint32_t exit_read(struct device *dev, uint16_t port, unsigned int size)
{
	return 0;
}

static void exit_write(struct device *dev, uint16_t port, unsigned int size,
		       uint32_t val)
{
	struct misc *m = container_of(dev, struct misc, exit);

	m->ops.debug_exit(m->ctx, val);
}

int misc_init(struct misc *m, struct io_bus *bus, const struct misc_ops *ops,
	      void *ctx, bool debug_exit)
{
	memset(m, 0, sizeof(*m));
	m->ops = *ops;
	m->ctx = ctx;
	m->a20 = 2;
	m->post = (struct device){ "post", post_ranges, 2,
				   false,  post_read,	post_write };
	m->debug = (struct device){ "debug", debug_ranges, 2,
				    false,   debug_read,   debug_write };
	m->port92 = (struct device){ "port92", port92_ranges, 1,
				     false,    port92_read,   port92_write };
	m->pci = (struct device){ "pci", pci_ranges, 1,
				  true,	 pci_read,   pci_write };
	m->exit = (struct device){ "exit", exit_ranges, 1,
				   false,  exit_read,	exit_write };
	if (io_bus_attach(bus, &m->post) || io_bus_attach(bus, &m->debug) ||
	    io_bus_attach(bus, &m->port92) || io_bus_attach(bus, &m->pci))
		return -1;
	return debug_exit ? io_bus_attach(bus, &m->exit) : 0;
}

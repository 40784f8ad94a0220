/* SPDX-License-Identifier: GPL-2.0 */
/* Single ports of a PC: POST, debug output, resets, PCI config, debug exit. */
#ifndef VIGIL_DEV_MISC_H
#define VIGIL_DEV_MISC_H

#include "dev.h"

/**
 * struct misc - what does not deserve a file of its own
 * @post: POST code (0x80) and the I/O delay port (0xed)
 * @debug: debug output (0xe9, 0x402)
 * @port92: A20 and fast reset
 * @pci: PCI configuration ports, and the reset control register among them
 * @exit: debug exit (0xf4), when asked for
 * @ops: what they do to the machine
 * @ctx: argument of every operation
 * @post_code: the last byte at port 0x80
 * @a20: what port 0x92 reads back
 * @reset_control: what port 0xcf9 reads back
 */
struct misc {
	struct device post, debug, port92, pci, exit;
	struct misc_ops {
		void (*output)(void *ctx, uint8_t byte);
		void (*reset)(void *ctx);
		void (*debug_exit)(void *ctx, uint8_t status);
	} ops;
	void *ctx;
	uint8_t post_code, a20, reset_control;
};

/* Return: 0, or -1 when a port is taken. */
int misc_init(struct misc *misc, struct io_bus *bus, const struct misc_ops *ops,
	      void *ctx, bool debug_exit);

#endif

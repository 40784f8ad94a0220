/* SPDX-License-Identifier: GPL-2.0 */
/* The PC's 8254 interval timer and port 0x61. */
#ifndef VIGIL_DEV_PIT_H
#define VIGIL_DEV_PIT_H

#include "dev.h"

#define PIT_HZ 1193182ull

/**
 * struct pit_channel - one counter of the 8254
 * @mode: 0 to 5
 * @rw: 1: low byte, 2: high byte, 3: low then high
 * @bcd: counts in BCD
 * @gate: level of the gate input
 * @loaded: a count was written since the last control word
 * @counting: @start is valid: the counter was started (by load or trigger)
 * @write_high: the next write is the high byte
 * @read_high: the next read is the high byte
 * @count_latched: bytes that are latched and still to be read (0 to 2)
 * @status_latched: a latched status comes first
 * @status: the latched status
 * @latch: the latched count
 * @write_low: low byte, waiting for the high byte
 * @reload: count as written, 1 to 65536 (BCD: to 10000)
 * @active: count of the current run; differs from @reload until a trigger
 * @start: tick at which the current run began
 * @held: ticks that had been counted when the gate went low
 */
struct pit_channel {
	uint8_t mode, rw;
	bool bcd, gate, loaded, counting;
	bool write_high, read_high, status_latched;
	uint8_t count_latched, status, write_low;
	uint16_t latch;
	uint32_t reload, active;
	uint64_t start, held;
};

/**
 * struct pit - the timer chip and the speaker port
 * @dev: ports 0x40 to 0x43, 0x61
 * @timers: queue for @timer
 * @epoch: clock, ns, of tick 0
 * @timer: channel 0's next interrupt
 * @irq: interrupt line of channel 0
 * @ch: channels
 * @port61: bits 0 (gate of channel 2) and 1 (speaker) as written
 */
struct pit {
	struct device dev;
	struct timers *timers;
	uint64_t epoch;
	struct dev_timer timer;
	struct irq_line irq;
	struct pit_channel ch[3];
	uint8_t port61;
};

void pit_init(struct pit *pit, struct timers *timers, struct irq_line irq);

#endif

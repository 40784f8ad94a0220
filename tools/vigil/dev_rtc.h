/* SPDX-License-Identifier: GPL-2.0 */
/* The PC's MC146818 real-time clock and CMOS memory. */
#ifndef VIGIL_DEV_RTC_H
#define VIGIL_DEV_RTC_H

#include "dev.h"

/**
 * struct rtc - clock and CMOS
 * @dev: ports 0x70, 0x71
 * @timers: queue for @timer
 * @timer: next periodic or update interrupt
 * @irq: interrupt line
 * @index: register that port 0x71 reaches
 * @cmos: registers; time and C are computed
 * @flags: register C without IRQF
 * @offset: guest's wall clock (ns since 1970, as if UTC) minus the queue's clock
 * @frozen: wall clock, ns, while the SET bit stops the time
 * @updated: second up to which update and alarm flags were computed
 * @period_base: clock at which the periodic divider started
 * @period_seen: periods up to which the periodic flag was computed
 */
struct rtc {
	struct device dev;
	struct timers *timers;
	struct dev_timer timer;
	struct irq_line irq;
	uint8_t index;
	uint8_t cmos[128];
	uint8_t flags;
	uint64_t offset;
	uint64_t frozen;
	uint64_t updated;
	uint64_t period_base;
	uint64_t period_seen;
};

/**
 * rtc_init() - set the clock and the memory size bytes
 * @rtc: the clock
 * @timers: the queue that its timers are in
 * @irq: its interrupt line
 * @wall_ns: time of day, ns since 1970, that the guest shall see (UTC)
 * @low_bytes: RAM below 4 GiB
 * @high_bytes: RAM above 4 GiB
 */
void rtc_init(struct rtc *rtc, struct timers *timers, struct irq_line irq,
	      uint64_t wall_ns, uint64_t low_bytes, uint64_t high_bytes);

#endif

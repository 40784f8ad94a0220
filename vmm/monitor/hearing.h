/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the monitors of a VM say together about one write: hearing.c decides, and queue.c
 * waits for their answers.
 */
#ifndef VIGIL_HEARING_H
#define VIGIL_HEARING_H

#include "watch.h"

struct mon_event;

/**
 * struct hearing_seat - what a monitor knows of a write that is not decided yet
 * @mon:	the monitor; a reference, in vcpu->hearing
 * @event:	for its answer, or for room in its queue, the vCPU waits; or NULL
 * @id:		of its watch that decided last
 * @heard:	it has been asked or told, or a condition has let the write pass
 * @asked:	by @id; it has answered, unless there is an @event
 * @told:	by @id, what becomes of the write
 */
struct hearing_seat {
	struct monitor *mon;
	struct mon_event *event;
	u32 id;
	bool heard, asked, told;
};

/**
 * struct hearing_state - where a hearing stands
 * @n:		how many @seat there are
 * @verdict:	VIGIL_VERDICT_*, the strictest answer up to now
 * @refused:	who has been told was told that the write does not happen
 * @seat:	one for each monitor that has a range there, in no order
 */
struct hearing_state {
	unsigned int n;
	u32 verdict;
	bool refused;
	struct hearing_seat seat[VIGIL_MAX_MONITORS];
};

/**
 * struct hearing - a write that a vCPU waits with: while vcpu->held is not 0
 * @s:		where it stands
 * @st:		the write; it points to the fields below
 * @control:	the control, if it is one that changes
 * @old:	what is there now
 * @new_:	what is to be there
 */
struct hearing {
	struct hearing_state s;
	struct watch_store st;
	struct watch_control control;
	u8 old[VIGIL_EVENT_DATA], new_[VIGIL_EVENT_DATA];
};

#endif

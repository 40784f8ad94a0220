/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A monitor of another process's VM: find it, attach, look, watch. Calls return
 * 0 (or what they count) or a negative errno, with the text in lv_error().
 */
#ifndef VIGIL_MON_H
#define VIGIL_MON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigil.h"

/**
 * struct mon - an attached monitor
 * @fd: the monitor's file descriptor
 * @info: of the VM, when it was attached
 */
struct mon {
	int fd;
	struct vigil_vm_info info;
};

/**
 * mon_list() - VMs that this process may attach to
 * @list: out, to be freed
 *
 * Return: how many.
 */
int mon_list(struct vigil_vm_info **list);

/**
 * mon_attach() - attach to a VM
 * @mon: filled in
 * @vm: its number, or its name where that belongs to one VM only
 */
int mon_attach(struct mon *mon, const char *vm);

/**
 * mon_attach_evict() - attach to a VM in the place of whoever watches it
 * @mon: filled in
 * @vm: as for mon_attach()
 *
 * Takes CAP_SYS_ADMIN.
 */
int mon_attach_evict(struct mon *mon, const char *vm);

/**
 * mon_attach_read() - attach to a VM to look only, whoever else watches it
 * @mon: filled in
 * @vm: as for mon_attach()
 *
 * Calls that read memory, registers and counters work; the others do not.
 */
int mon_attach_read(struct mon *mon, const char *vm);
void mon_detach(struct mon *mon);

/* Fetches mon->info anew. */
int mon_info(struct mon *mon);

/**
 * mon_read() - guest-physical memory
 * @mon: the monitor
 * @gpa: guest-physical address
 * @buf: out
 * @len: bytes
 *
 * Return: bytes, which are fewer than @len where memory ends; 0 where it does
 * not begin.
 */
long mon_read(struct mon *mon, uint64_t gpa, void *buf, size_t len);

/**
 * mon_read_virt() - guest-virtual memory, all of it or -EFAULT
 * @mon: the monitor
 * @cr3: address space; 0: vCPU 0's, and in it the kernel is always mapped
 * @gva: guest-virtual address
 * @buf: out
 * @len: bytes
 */
int mon_read_virt(struct mon *mon, uint64_t cr3, uint64_t gva, void *buf,
		  size_t len);

int mon_state(struct mon *mon, unsigned int vcpu,
	      struct vigil_vcpu_state *state);

int mon_watch_add(struct mon *mon, struct vigil_watch *w);
int mon_watch_del(struct mon *mon, uint32_t id);
int mon_verdict(struct mon *mon, uint64_t seq, bool allow);

/**
 * mon_read_change() - the whole of a change that waits for a verdict
 * @mon: the monitor
 * @seq: of its event
 * @buf: out
 * @len: bytes that @buf has room for
 *
 * Return: bytes, or -errno.
 */
long mon_read_change(struct mon *mon, uint64_t seq, void *buf, size_t len);

/**
 * mon_events() - read what is there
 * @mon: the monitor
 * @ev: out
 * @room: events that @ev has room for
 *
 * Blocks where nothing is, unless the fd was made not to.
 * Return: events; 0: the VM is gone; -EAGAIN.
 */
int mon_events(struct mon *mon, struct vigil_event *ev, unsigned int room);

int mon_hypercalls(struct mon *mon, struct vigil_hypercalls *h);
/* Not with mon_attach_read(). Only iopl, refuse and user may differ. */
int mon_set_hypercalls(struct mon *mon, const struct vigil_hypercalls *h);

struct mon_stat {
	char name[VIGIL_NAME_LEN];
	uint64_t value;
};

/* Return: how many; @stats is to be freed. */
int mon_stats(struct mon *mon, struct mon_stat **stats);

/* Prints lv_error() on stderr and returns the exit code for it. */
int mon_exit_code(int err);

#endif

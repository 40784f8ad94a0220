/* SPDX-License-Identifier: GPL-2.0 */
/* Write-watch and monitors, as the rest of the core sees them: watch.c, monitor.c */
#ifndef VIGIL_WATCH_H
#define VIGIL_WATCH_H

#include "vmm/vmm.h"

/**
 * struct watch_store - a store that is about to be made for a guest
 * @gva:	linear address, where there is one
 * @gpa:	of the first byte; the store does not cross the page
 * @len:	1 to 64 bytes (VIGIL_EVENT_DATA)
 * @gva_valid:	@gva is known
 * @old:	what is in memory now
 * @new_:	what would be stored
 */
struct watch_store {
	gva_t gva;
	gpa_t gpa;
	unsigned int len;
	bool gva_valid;
	const void *old;
	const void *new_;
};

enum watch_answer {
	WATCH_GO, /* not watched, or logged: make the store */
	WATCH_SKIP, /* denied: go on as if it had been made */
	WATCH_HELD, /* an event is out: monitor_wait() before anything else */
};

/*
 * Called by the emulator's glue for each store to a page for which watch_gfn()
 * is true, before it is made, in the vCPU's thread. WATCH_HELD leaves the
 * event in vcpu->held. The event's registers are vcpu's: the instruction has
 * not been committed yet.
 */
enum watch_answer watch_store(struct vigil_vcpu *vcpu,
			      const struct watch_store *st);

/*
 * Wait for the verdict on vcpu->held. Drops vm->srcu meanwhile; wakes for
 * vigil_kick(), requests and signals. WATCH_GO or WATCH_SKIP with vcpu->held
 * cleared; -EINTR: still held, handle the request or signal and call again.
 */
int monitor_wait(struct vigil_vcpu *vcpu);
/* the vCPU goes away or its registers are replaced: forget a held event */
void monitor_forget(struct vigil_vcpu *vcpu);

int watch_vm_init(struct vigil_vm *vm);
void watch_vm_destroy(struct vigil_vm *vm);

/* ioctls of /dev/vigil, VM fd; -ENOTTY when @cmd is not one of theirs */
long monitor_dev_ioctl(unsigned int cmd, unsigned long arg);
long monitor_vm_ioctl(struct vigil_vm *vm, unsigned int cmd, unsigned long arg);
/* REQ_SNAPSHOT: fill in vcpu->snapshot and wake who asked; vcpu->mutex held */
void monitor_snapshot(struct vigil_vcpu *vcpu);

/* vm.c */
extern struct list_head vigil_vms;
extern struct mutex vigil_vms_lock;
/* regs.c; vcpu->mutex held */
int vcpu_get_regs(struct vigil_vcpu *vcpu, struct kvm_regs *regs);
int vcpu_get_sregs(struct vigil_vcpu *vcpu, struct kvm_sregs *sregs);

#endif

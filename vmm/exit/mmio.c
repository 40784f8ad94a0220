// SPDX-License-Identifier: GPL-2.0
/* MMIO: a queue of stores, and the exits to userspace. */
#include "mmio.h"
#include "vmm/vcpu.h"

bool mmio_queue(struct vigil_vcpu *vcpu, gpa_t gpa, const void *buf,
		unsigned int bytes)
{
	struct vigil_mmio_queue *q = &vcpu->mmio;
	unsigned int len;

	if (q->count + DIV_ROUND_UP(bytes, 8) > ARRAY_SIZE(q->frag))
		return false;
	for (; bytes; bytes -= len, gpa += len, buf += len) {
		len = min(bytes, 8u);
		q->frag[q->count].gpa = gpa;
		q->frag[q->count].len = len;
		copy_operand(q->frag[q->count].data, buf, len);
		q->count++;
	}
	return true;
}

void mmio_exit(struct vigil_vcpu *vcpu, gpa_t gpa, unsigned int len,
	       const void *data)
{
	struct kvm_run *run = vcpu->run;

	vcpu->stat.exits_mmio++;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = gpa;
	run->mmio.len = len;
	run->mmio.is_write = !!data;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (data)
		copy_operand(run->mmio.data, data, len);
	vcpu->io.kind = IO_MMIO;
}

/* Userspace has made one store and comes back for the next one. */
static int drain_rest(struct vigil_vcpu *vcpu)
{
	return mmio_drain(vcpu);
}

int mmio_drain_next(struct vigil_vcpu *vcpu)
{
	struct vigil_mmio_queue *q = &vcpu->mmio;

	mmio_exit(vcpu, q->frag[q->next].gpa, q->frag[q->next].len,
		  q->frag[q->next].data);
	q->next++;
	if (q->next < q->count) {
		vcpu->complete = drain_rest;
	} else {
		q->next = 0;
		q->count = 0;
	}
	return 0;
}

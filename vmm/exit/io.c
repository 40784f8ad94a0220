// SPDX-License-Identifier: GPL-2.0
/*
 * Port I/O. Everything goes to userspace as KVM_EXIT_IO; string forms move as
 * many elements as fit the data page in one exit.
 */
#include <asm/processor-flags.h>

#include "emul_ops.h"
#include "emulctl.h"
#include "exit.h"
#include "fetch.h"
#include "io.h"
#include "mmio.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/inject.h"

#define PIO_BYTES (PAGE_SIZE / 2)

static inline void *pio_data(struct vigil_vcpu *vcpu)
{
	return (void *)vcpu->run + VIGIL_PIO_PAGE_OFFSET * PAGE_SIZE;
}

void io_forget(struct vigil_vcpu *vcpu)
{
	/* Queued MMIO stores still leave: their instruction is finished */
	if (vcpu->io.kind != IO_NONE && vcpu->io.kind != IO_MMIO)
		vcpu->complete = NULL;
	vcpu->io.kind = IO_NONE;
}

static int pio_exit(struct vigil_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = vcpu->io.in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = vcpu->io.size;
	run->io.port = vcpu->io.port;
	run->io.count = vcpu->io.count;
	run->io.data_offset = VIGIL_PIO_PAGE_OFFSET * PAGE_SIZE;
	vcpu->io.kind = IO_PIO;
	return 0;
}

/*
 * RIP stays at the instruction until userspace has done its part, as with KVM.
 */
static int out_done(struct vigil_vcpu *vcpu)
{
	vcpu->io.kind = IO_NONE;
	exit_skip(vcpu, vcpu->io.next_rip - vcpu->rip);
	return 1;
}

static int in_done(struct vigil_vcpu *vcpu)
{
	unsigned long *rax = &vcpu->regs[REG_RAX];
	u32 val = 0;

	memcpy(&val, pio_data(vcpu), vcpu->io.size);
	if (vcpu->io.size == 4)
		*rax = val;
	else
		memcpy(rax, &val, vcpu->io.size);
	return out_done(vcpu);
}

/*
 * String forms. The decoded instruction stays in vcpu->emul.insn from the exit
 * until the last element has been moved: it is fetched once.
 */
static inline struct insn *string_insn(struct vigil_vcpu *vcpu)
{
	return &vcpu->emul.insn;
}

static inline unsigned long string_mask(const struct insn *insn)
{
	return insn->adsize == 2 ? 0xffff : insn->adsize == 4 ? ~0u : ~0ul;
}

static inline bool string_rep(const struct insn *insn)
{
	return insn->prefix & (INSN_PFX_REP | INSN_PFX_REPNE);
}

static unsigned long masked(unsigned long old, unsigned long val,
			    unsigned long mask)
{
	/*
	 * A 32-bit result clears the upper half of the register; a shorter one
	 * leaves the rest.
	 */
	if (mask == ~0u)
		return (u32)val;
	return (old & ~mask) | (val & mask);
}

static int string_error(struct vigil_vcpu *vcpu)
{
	if (vcpu->emul_errno)
		return xchg(&vcpu->emul_errno, 0);
	return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
				   string_insn(vcpu)->bytes,
				   string_insn(vcpu)->len);
}

static int queue_fault(struct vigil_vcpu *vcpu)
{
	const struct emul_exception *e = &vcpu->emul.exception;

	if (e->vector == X86_TRAP_PF)
		event_page_fault(vcpu, e->cr2, e->error_code);
	else if (e->has_ec)
		event_exception_ec(vcpu, e->vector, e->error_code);
	else
		event_exception(vcpu, e->vector);
	return 1;
}

/*
 * Finds the linear address of the element at offset @ea, and how much of the
 * element its page holds.
 */
static int string_linear(struct vigil_vcpu *vcpu, unsigned long ea, bool write,
			 u64 *la, unsigned int *first)
{
	struct emul_ctxt *c = &vcpu->emul;
	enum insn_seg seg = INSN_SEG_ES;
	int ret;

	if (!write)
		seg = c->insn.seg == INSN_SEG_NONE ? INSN_SEG_DS : c->insn.seg;
	c->ops = &emulctl_ops;
	ret = vigil_emul_linear(c, seg, ea & string_mask(&c->insn),
				vcpu->io.size, write, la);
	*first = min_t(unsigned int, vcpu->io.size,
		       PAGE_SIZE - offset_in_page(*la));
	return ret;
}

/*
 * Moves on by @n elements. The trap of TF, and those of data breakpoints that the
 * elements have hit, come behind the last of them, also in the middle of a REP.
 */
static void string_advance(struct vigil_vcpu *vcpu, int reg, unsigned int n)
{
	const struct insn *insn = string_insn(vcpu);
	unsigned long mask = string_mask(insn), *rcx = &vcpu->regs[REG_RCX];
	long step = (long)n * vcpu->io.size;

	if (vcpu->rflags & X86_EFLAGS_DF)
		step = -step;
	vcpu->regs[reg] = masked(vcpu->regs[reg], vcpu->regs[reg] + step, mask);
	if (string_rep(insn))
		*rcx = masked(*rcx, *rcx - n, mask);
	if (!string_rep(insn) || !(*rcx & mask))
		exit_skip(vcpu, insn->len);
	/* This trap also stands for the one of exit_skip(). */
	event_trap(vcpu, vcpu->rflags, vcpu->emul_dr6);
	vcpu->emul_dr6 = 0;
}

/*
 * OUTS reads as many elements as fit and do not fault, then goes to userspace.
 */
static int outs(struct vigil_vcpu *vcpu, unsigned long count)
{
	unsigned int size = vcpu->io.size, max = PIO_BYTES / size, n, first;
	unsigned long ea = vcpu->regs[REG_RSI];
	struct emul_ctxt *c = &vcpu->emul;
	u8 *data = pio_data(vcpu);
	int ret = EMUL_OK;
	u64 la;

	for (n = 0; n < count && n < max; n++, data += size) {
		ret = string_linear(vcpu, ea, false, &la, &first);
		if (!ret)
			ret = emulctl_ops.read(c, la, data, first, 0);
		if (!ret && first < size)
			ret = emulctl_ops.read(c, la + first, data + first,
					       size - first, 0);
		/*
		 * A later element faults when it is the first one of its own
		 * exit.
		 */
		if (ret)
			break;
		ea += vcpu->rflags & X86_EFLAGS_DF ? -(long)size : size;
	}
	if (!n)
		return ret == EMUL_FAULT   ? queue_fault(vcpu) :
		       ret == EMUL_RESTART ? 1 :
					     string_error(vcpu);
	vcpu->io.count = n;
	string_advance(vcpu, REG_RSI, n);
	return pio_exit(vcpu);
}

/* Stores the elements that userspace has supplied, from vcpu->io.done on. */
static int ins_store(struct vigil_vcpu *vcpu)
{
	const struct insn *insn = string_insn(vcpu);
	unsigned long mask = string_mask(insn);
	struct vigil_io *io = &vcpu->io;
	struct emul_ctxt *c = &vcpu->emul;
	unsigned int first, len;
	u8 *data;
	int ret;
	u64 la;

	while (io->done < io->count) {
		/*
		 * Userspace may have made RCX smaller meanwhile: no more
		 * elements are stored than RCX says.
		 */
		if (!io->part && string_rep(insn) &&
		    !(vcpu->regs[REG_RCX] & mask))
			break;
		/*
		 * The VMM can write to its page at any time: an element is read
		 * once, so that a monitor is shown what is stored.
		 */
		if (!io->part && !vcpu->held)
			memcpy(io->data, pio_data(vcpu) + io->done * io->size,
			       io->size);
		data = io->data;

		ret = string_linear(vcpu, vcpu->regs[REG_RDI], true, &la,
				    &first);
		if (!ret) {
			len = io->part ? io->size - first : first;
			if (io->part) {
				la += first;
				data += first;
			}
			ret = emulctl_ops.write(c, la, data, len, 0);
		}
		switch (ret) {
		case EMUL_OK:
			break;
		case EMUL_FAULT:
			return queue_fault(vcpu);
		case EMUL_RESTART:
			return 1;
		case EMUL_PENDING:
			/*
			 * A monitor holds the store. Without one the target is
			 * MMIO and its queue is full: INS to a device is not
			 * emulated.
			 */
			if (!vcpu->held)
				return string_error(vcpu);
			ret = emulctl_held(vcpu, data, len, ins_store);
			if (ret != 1)
				return ret;
			break;
		default:
			return string_error(vcpu);
		}
		if (!io->part && first < io->size) {
			io->part = 1;
			continue;
		}
		io->part = 0;
		io->done++;
		string_advance(vcpu, REG_RDI, 1);
	}
	io->kind = IO_NONE;
	return mmio_drain(vcpu);
}

/* INS asks only for as many elements as fit into the page of the first. */
static int ins(struct vigil_vcpu *vcpu, unsigned long count)
{
	unsigned int size = vcpu->io.size, first;
	struct emul_ctxt *c = &vcpu->emul;
	unsigned long room;
	int ret;
	u64 la;

	/* A fault must come before the device is read. */
	ret = string_linear(vcpu, vcpu->regs[REG_RDI], true, &la, &first);
	if (!ret)
		ret = emulctl_ops.probe(c, la, first, 0);
	if (!ret && first < size)
		ret = emulctl_ops.probe(c, la + first, size - first, 0);
	if (ret)
		return ret == EMUL_FAULT ? queue_fault(vcpu) : 1;
	if (vcpu->rflags & X86_EFLAGS_DF)
		room = offset_in_page(la) / size + 1;
	else
		room = max_t(unsigned long,
			     (PAGE_SIZE - offset_in_page(la)) / size, 1);
	/* Stores to MMIO are queued, so the queue limits their number. */
	vcpu->io.count =
		min3(count, room, (unsigned long)ARRAY_SIZE(vcpu->mmio.frag));
	if (!emulctl_is_mmio(vcpu, la))
		vcpu->io.count =
			min3(count, room, (unsigned long)PIO_BYTES / size);
	vcpu->io.done = 0;
	vcpu->io.part = 0;
	vcpu->complete = ins_store;
	return pio_exit(vcpu);
}

static int string_io(struct vigil_vcpu *vcpu)
{
	bool in = vcpu->io.in;
	unsigned long count = 1;
	struct insn *insn;
	u8 bytes[15];
	int n;

	n = exit_fetch(vcpu, bytes);
	if (!n)
		return 1;
	if (n < 0)
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					   NULL, 0);
	emulctl_begin(vcpu);
	insn = string_insn(vcpu);
	/*
	 * Another vCPU may have changed the bytes since the CPU saw an I/O
	 * instruction there.
	 */
	if (vigil_decode_again(insn, bytes, n, vcpu->emul.mode) ||
	    insn->op != (in ? INSN_OP_INS : INSN_OP_OUTS)) {
		/* They may be of a page that the guest does not execute any more. */
		fetch_flush(vcpu);
		return 1;
	}
	if (string_rep(insn)) {
		count = vcpu->regs[REG_RCX] & string_mask(insn);
		if (!count) {
			exit_skip(vcpu, insn->len);
			return 1;
		}
	}
	/* Each element may raise a trap, behind which the device is asked again. */
	if (unlikely(vcpu->rflags & X86_EFLAGS_TF) ||
	    unlikely(vcpu->dr7 & DR7_ENABLES))
		count = 1;
	return in ? ins(vcpu, count) : outs(vcpu, count);
}

int exit_io(struct vigil_vcpu *vcpu, const struct exit_io *io)
{
	vcpu->stat.exits_io++;
	vcpu->io.port = io->port;
	vcpu->io.size = io->size;
	vcpu->io.in = io->in;
	vcpu->io.string = io->string;
	if (io->string)
		return string_io(vcpu);
	vcpu->io.count = 1;
	vcpu->io.next_rip = io->next_rip;
	vcpu->complete = io->in ? in_done : out_done;
	if (!io->in)
		memcpy(pio_data(vcpu), &vcpu->regs[REG_RAX], io->size);
	return pio_exit(vcpu);
}

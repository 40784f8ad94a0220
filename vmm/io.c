// SPDX-License-Identifier: GPL-2.0
/*
 * Port I/O. Everything goes to userspace as KVM_EXIT_IO; string forms move as
 * many elements as fit the data page in one exit.
 */
#include <asm/processor-flags.h>

#include "event.h"
#include "ioctl.h"
#include "ops.h"

#define PIO_BYTES	(PAGE_SIZE / 2)

static inline void *pio_data(struct vigil_vcpu *vcpu)
{
	return (void *)vcpu->run + VIGIL_PIO_PAGE_OFFSET * PAGE_SIZE;
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

static int in_done(struct vigil_vcpu *vcpu)
{
	unsigned long *rax = &vcpu->regs[REG_RAX];
	u32 val = 0;

	vcpu->io.kind = IO_NONE;
	memcpy(&val, pio_data(vcpu), vcpu->io.size);
	if (vcpu->io.size == 4)
		*rax = val;
	else
		memcpy(rax, &val, vcpu->io.size);
	return 1;
}

/* what REP, the address size and DF make of an INS or OUTS */
struct string_io {
	struct insn insn;
	unsigned long mask;	/* of the address size */
	int reg;		/* RSI or RDI */
	int seg;
	bool rep;
};

static unsigned long masked(unsigned long old, unsigned long val, unsigned long mask)
{
	/* a 32-bit result clears the upper half, a 16-bit one leaves the rest */
	if (mask == ~0u)
		return (u32)val;
	return (old & ~mask) | (val & mask);
}

static int decode_string(struct vigil_vcpu *vcpu, struct string_io *s, bool in)
{
	u8 bytes[15];
	int n = exit_fetch(vcpu, bytes);

	if (n <= 0)
		return n ? n : 1;
	if (vigil_decode(&s->insn, bytes, n, vmm_ops->code_bits(vcpu)))
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, bytes, n);
	/* the bytes may have changed since the CPU saw an I/O instruction there */
	if (s->insn.op != (in ? INSN_OP_INS : INSN_OP_OUTS)) {
		event_ud(vcpu);
		return 1;
	}
	s->mask = s->insn.adsize == 2 ? 0xffff : s->insn.adsize == 4 ? ~0u : ~0ul;
	s->reg = in ? REG_RDI : REG_RSI;
	s->seg = in ? INSN_SEG_ES : s->insn.seg == INSN_SEG_NONE ? INSN_SEG_DS : s->insn.seg;
	s->rep = s->insn.prefix & (INSN_PFX_REP | INSN_PFX_REPNE);
	return 2;
}

/*
 * Translate one element of @size bytes at offset @ea; a fault is queued. The
 * element may cross a page: gpa2 is then the second page's.
 */
static int string_element(struct vigil_vcpu *vcpu, struct string_io *s, unsigned long ea,
			  unsigned int size, bool write, gpa_t gpa[2], unsigned int *first)
{
	struct emul_ctxt *c = &vcpu->emul;
	u32 access = (write ? PFERR_W : 0) | (c->cpl == 3 ? PFERR_U : 0);
	u32 error_code;
	u64 la;
	int ret;

	c->ops = &emulctl_ops;
	if (vigil_emul_linear(c, s->seg, ea, size, write, &la) != EMUL_OK) {
		if (c->exception.has_ec)
			event_exception_ec(vcpu, c->exception.vector, c->exception.error_code);
		else
			event_exception(vcpu, c->exception.vector);
		return 1;
	}
	*first = min_t(unsigned int, size, PAGE_SIZE - offset_in_page(la));
	ret = shadow_gva_to_gpa(vcpu, la, access, true, &gpa[0], &error_code);
	if (!ret && *first < size) {
		la += *first;
		ret = shadow_gva_to_gpa(vcpu, la, access, true, &gpa[1], &error_code);
	}
	if (ret == -EFAULT) {
		event_page_fault(vcpu, la, error_code);
		return 1;
	}
	return ret ? ret : 2;
}

static void string_advance(struct vigil_vcpu *vcpu, struct string_io *s, unsigned int n,
			   unsigned int size)
{
	long step = (long)n * size;

	if (vcpu->rflags & X86_EFLAGS_DF)
		step = -step;
	vcpu->regs[s->reg] = masked(vcpu->regs[s->reg], vcpu->regs[s->reg] + step, s->mask);
	if (s->rep)
		vcpu->regs[REG_RCX] = masked(vcpu->regs[REG_RCX], vcpu->regs[REG_RCX] - n,
					     s->mask);
	if (!s->rep || !(vcpu->regs[REG_RCX] & s->mask))
		exit_skip(vcpu, s->insn.len);
}

/* OUTS: read as many elements as fit and do not fault, then go to userspace */
static int outs(struct vigil_vcpu *vcpu, struct string_io *s, unsigned long count)
{
	unsigned int size = vcpu->io.size, max = PIO_BYTES / size, n, first;
	unsigned long ea = vcpu->regs[s->reg];
	u8 *data = pio_data(vcpu);
	gpa_t gpa[2];
	int ret;

	for (n = 0; n < count && n < max; n++, data += size) {
		ret = string_element(vcpu, s, ea & s->mask, size, false, gpa, &first);
		/* the fault of a later element comes when its turn comes */
		if (ret != 2) {
			if (n && ret == 1) {
				vcpu->events.exception.pending = false;
				break;
			}
			return ret;
		}
		if (gmem_read(vcpu->vm, gpa[0], data, first) ||
		    gmem_read(vcpu->vm, gpa[1], data + first, size - first)) {
			if (n)
				break;
			return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
						   s->insn.bytes, s->insn.len);
		}
		ea += vcpu->rflags & X86_EFLAGS_DF ? -(long)size : size;
	}
	vcpu->io.count = n;
	string_advance(vcpu, s, n, size);
	return pio_exit(vcpu);
}

static int ins_done(struct vigil_vcpu *vcpu)
{
	unsigned int size = vcpu->io.size, n, first;
	u8 *data = pio_data(vcpu);
	struct string_io s;
	gpa_t gpa[2];
	int ret;

	vcpu->io.kind = IO_NONE;
	ret = decode_string(vcpu, &s, true);
	if (ret != 2)
		return ret;
	emulctl_begin(vcpu);
	for (n = 0; n < vcpu->io.count; n++, data += size) {
		ret = string_element(vcpu, &s, vcpu->regs[s.reg] & s.mask, size, true, gpa,
				     &first);
		if (ret != 2)
			return ret;
		if (gmem_write(vcpu->vm, gpa[0], data, first) ||
		    gmem_write(vcpu->vm, gpa[1], data + first, size - first))
			return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
						   s.insn.bytes, s.insn.len);
		string_advance(vcpu, &s, 1, size);
	}
	return 1;
}

/* INS: only as many elements as stay in the page of the first are asked for */
static int ins(struct vigil_vcpu *vcpu, struct string_io *s, unsigned long count)
{
	unsigned int size = vcpu->io.size, first;
	unsigned long ea = vcpu->regs[s->reg] & s->mask, room;
	gpa_t gpa[2];
	int ret;

	/* a fault must come before the device is read */
	ret = string_element(vcpu, s, ea, size, true, gpa, &first);
	if (ret != 2)
		return ret;
	if (vcpu->rflags & X86_EFLAGS_DF)
		room = offset_in_page(gpa[0]) / size + 1;
	else
		room = max_t(unsigned long, (PAGE_SIZE - offset_in_page(gpa[0])) / size, 1);
	vcpu->io.count = min3(count, room, (unsigned long)PIO_BYTES / size);
	vcpu->complete = ins_done;
	return pio_exit(vcpu);
}

static int string_io(struct vigil_vcpu *vcpu)
{
	unsigned long count = 1;
	struct string_io s;
	int ret;

	ret = decode_string(vcpu, &s, vcpu->io.in);
	if (ret != 2)
		return ret;
	if (s.rep) {
		count = vcpu->regs[REG_RCX] & s.mask;
		if (!count) {
			exit_skip(vcpu, s.insn.len);
			return 1;
		}
	}
	emulctl_begin(vcpu);
	return vcpu->io.in ? ins(vcpu, &s, count) : outs(vcpu, &s, count);
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
	if (io->in)
		vcpu->complete = in_done;
	else
		memcpy(pio_data(vcpu), &vcpu->regs[REG_RAX], io->size);
	/* the instruction is over for the guest; IN's value comes with the next run */
	exit_skip(vcpu, io->next_rip - vcpu->rip);
	return pio_exit(vcpu);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_EXIT_MMIO: the form of the exits, and instructions on MMIO against the
 * same instructions on RAM, in all modes.
 */
#include <stdlib.h>

#include "guest.h"

DECLARE_PAYLOAD3(mmio_mov);
DECLARE_PAYLOAD3(mmio_alu);
DECLARE_PAYLOAD3(mmio_string);
DECLARE_PAYLOAD3(mmio_stack);
DECLARE_PAYLOAD3(mmio_sse);
DECLARE_PAYLOAD(mmio_exits);
DECLARE_PAYLOAD(mmio_unknown);
DECLARE_LABEL(mmio_unknown, insn);

static void fill(uint8_t *page, unsigned int seed)
{
	unsigned int i;

	srandom(seed);
	for (i = 0; i < 0x1000; i++)
		page[i] = random() >> 8;
	/* CPUs differ in whether they write what FXSAVE has reserved */
	memset(page + 0x800, 0, 512);
	/* For the string comparisons: a difference, and a byte to find. */
	memcpy(page + 0x500, page + 0x400, 57);
	page[0x400 + 71] = 0x99;
}

static void set_fxsr(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	s.cr4 |= CR4_OSFXSR;
	set_sregs(v, &s);
}

/* Same VM as guest_start() makes, but without memory at GUEST_LOW. */
static struct vcpu *start_with_hole(enum mode mode, const char *start,
				    const char *end)
{
	struct vm *vm;
	struct vcpu *v;

	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	vm = vm_create_bare();
	vm->ram_size = 4 << 20;
	vm->ram = ram_alloc(vm->ram_size);
	vm_slot(vm, 0, 0, GUEST_LOW, vm->ram, 0);
	vm_slot(vm, 1, GUEST_LOW + 0x1000, vm->ram_size - GUEST_LOW - 0x1000,
		vm->ram + GUEST_LOW + 0x1000, 0);
	v = vcpu_create(vm);
	vm_load_at(vm, GUEST_CODE, start, end);
	vcpu_set_mode(v, mode);
	return v;
}

/* Runs the guest to its end, and plays the device whose registers are @dev. */
static unsigned int serve(struct vcpu *v, uint8_t *dev)
{
	unsigned int exits = 0;
	enum stop stop;

	while ((stop = vcpu_go(v)) == STOP_MMIO) {
		struct kvm_run *run = v->run;
		uint64_t at = run->mmio.phys_addr - GUEST_LOW;

		exits++;
		if (at >= 0x1000 || !run->mmio.len || run->mmio.len > 8 ||
		    at + run->mmio.len > 0x1000) {
			FAIL("%u bytes at %#llx", run->mmio.len,
			     run->mmio.phys_addr);
			test_abort();
		}
		if (run->mmio.is_write)
			memcpy(dev + at, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, dev + at, run->mmio.len);
	}
	if (stop != STOP_END) {
		FAIL("stopped by %s", stop_name[stop]);
		if (stop == STOP_EXC)
			describe_exc(v);
		vcpu_describe(v);
		test_abort();
	}
	return exits;
}

static void compare(enum mode mode, const char *start, const char *end,
		    bool sse)
{
	struct vcpu *ram = guest_start(mode, start, end);
	uint8_t *page = vm_ram(ram->vm, GUEST_LOW, 0x1000), dev[0x1000];
	struct kvm_regs want, got;
	unsigned int i, exits;
	struct vcpu *v;

	fill(page, 42);
	if (sse)
		set_fxsr(ram);
	EXPECT(ram, STOP_END);
	get_regs(ram, &want);

	v = start_with_hole(mode, start, end);
	fill(dev, 42);
	if (sse)
		set_fxsr(v);
	exits = serve(v, dev);
	CHECK(exits > 0);
	test_note("%u exits", exits);
	get_regs(v, &got);

	REQUIRE_EQ(v->nr_vals, ram->nr_vals);
	for (i = 0; i < ram->nr_vals; i++)
		if (v->val[i] != ram->val[i])
			FAIL("value %u is %#llx, not %#llx", i,
			     (unsigned long long)v->val[i],
			     (unsigned long long)ram->val[i]);
	for (i = 0; i < 0x1000; i++)
		if (dev[i] != page[i])
			FAIL_MEM("byte %#x is %#x, not %#x", i, dev[i],
				 page[i]);
	/* The memory beside the device must be the same too. */
	CHECK_MEM(!memcmp(vm_ram(v->vm, GUEST_LDT, 0x1000),
			  vm_ram(ram->vm, GUEST_LDT, 0x1000), 0x1000));
	CHECK_MEM_EQ(rd64(v->vm, GUEST_LOW - 8), rd64(ram->vm, GUEST_LOW - 8));
	CHECK_EQ(got.rsp, want.rsp);
	CHECK_EQ(got.rcx, want.rcx);
	CHECK_EQ(got.rsi, want.rsi);
	CHECK_EQ(got.rdi, want.rdi);
	CHECK_EQ(got.rip, want.rip);
}

#define COMPARE(name, n, sse)                                           \
	static void name(long m)                                        \
	{                                                               \
		compare(m, PICK(m, pl_##n##16, pl_##n##32, pl_##n##64), \
			PICK(m, pl_##n##16_end, pl_##n##32_end,         \
			     pl_##n##64_end),                           \
			sse);                                           \
	}

COMPARE(mov, mmio_mov, false)
COMPARE(alu, mmio_alu, false)
COMPARE(string, mmio_string, false)
COMPARE(stack, mmio_stack, false)
COMPARE(sse, mmio_sse, true)

static void exits(long mode)
{
	static const struct {
		uint64_t offset, data;
		uint32_t len;
		bool write;
	} want[] = {
		{ 1, 0x88, 1, true },
		{ 2, 0x7788, 2, true },
		{ 4, 0x55667788, 4, true },
		{ 8, 0x1122334455667788, 8, true },
		{ 0x11, 0xa5, 1, false },
		{ 0x12, 0xb6a5, 2, false },
		{ 0x14, 0xd8c7b6a5, 4, false },
		{ 0x18, 0x0102030405060708, 8, false },
	};
	struct vcpu *v = START(mode, mmio_exits);
	struct kvm_run *run = v->run;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		uint64_t data = 0;

		EXPECT(v, STOP_MMIO);
		CHECK_EQ(run->mmio.phys_addr, GUEST_MMIO + want[i].offset);
		CHECK_EQ(run->mmio.len, want[i].len);
		CHECK_EQ(run->mmio.is_write, want[i].write);
		if (want[i].write) {
			memcpy(&data, run->mmio.data, want[i].len);
			CHECK_EQ(data, want[i].data);
		} else {
			memcpy(run->mmio.data, &want[i].data, want[i].len);
		}
	}
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 2);
	CHECK_EQ(v->val[0], 0xd8c7b6a5);
	CHECK_EQ(v->val[1], 0x05060708);
}

/*
 * An instruction that the emulator does not know goes to the VMM, and RIP has
 * not moved.
 */
static void unknown(long mode)
{
	struct vcpu *v = START(mode, mmio_unknown);
	struct kvm_run *run = v->run;
	struct kvm_regs r;

	EXPECT(v, STOP_OTHER);
	REQUIRE_EQ(run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	CHECK_EQ(run->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
	CHECK(run->emulation_failure.ndata >= 3);
	CHECK(run->emulation_failure.flags &
	      KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
	CHECK(run->emulation_failure.insn_size >= 3);
	CHECK(!memcmp(run->emulation_failure.insn_bytes, pl_mmio_unknown_insn,
		      3));
	get_regs(v, &r);
	CHECK_EQ(r.rip, LABEL_AT(mmio_unknown, insn));
}

static const struct test_case cases[] = {
	{ "form of the exits (long)", exits, M_LONG },
	{ "instruction that cannot be emulated (long)", unknown, M_LONG },
	CASE_ALL("mov", mov),
	CASE_ALL("arithmetic", alu),
	CASE_ALL("strings", string),
	CASE_ALL("stack and page crossing", stack),
	CASE_REAL16("sse", sse),
	CASE_PROT("sse", sse),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}

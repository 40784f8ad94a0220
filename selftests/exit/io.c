// SPDX-License-Identifier: GPL-2.0
/* KVM_EXIT_IO: all widths and forms of IN and OUT, in all modes. */
#include "guest.h"

DECLARE_PAYLOAD3(io_out);
DECLARE_PAYLOAD3(io_in);
DECLARE_PAYLOAD3(io_outs);
DECLARE_PAYLOAD3(io_ins);

struct access {
	uint16_t port;
	uint8_t size;
	uint32_t data;
};

static void *io_data(struct vcpu *v)
{
	return (uint8_t *)v->run + v->run->io.data_offset;
}

static void check_io(struct vcpu *v, int dir, const struct access *a)
{
	EXPECT(v, STOP_IO);
	CHECK_EQ(v->run->io.direction, dir);
	CHECK_EQ(v->run->io.port, a->port);
	CHECK_EQ(v->run->io.size, a->size);
	CHECK_EQ(v->run->io.count, 1);
	CHECK(v->run->io.data_offset >= sizeof(struct kvm_run));
	CHECK(v->run->io.data_offset + a->size <= v->vm->run_size);
}

static void out(long mode)
{
	static const struct access want[] = {
		{ PORT_TEST, 1, 0x78 },	      { PORT_TEST, 2, 0x5678 },
		{ PORT_TEST, 4, 0x12345678 }, { 0x71, 1, 0x78 },
		{ 0x72, 2, 0x5678 },	      { 0x73, 4, 0x12345678 },
	};
	struct vcpu *v = START3(mode, io_out);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		uint32_t got = 0;

		check_io(v, KVM_EXIT_IO_OUT, &want[i]);
		memcpy(&got, io_data(v), want[i].size);
		CHECK_EQ(got, want[i].data);
	}
	EXPECT(v, STOP_END);
}

static void in(long mode)
{
	static const struct access ask[] = {
		{ PORT_TEST, 1, 0xa1 },
		{ PORT_TEST, 2, 0xb2a1 },
		{ PORT_TEST, 4, 0xd4c3b2a1 },
		{ 0x71, 1, 0x77 },
	};
	bool is64 = mode == M_LONG || mode == M_LA57;
	struct vcpu *v = START3(mode, io_in);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ask); i++) {
		check_io(v, KVM_EXIT_IO_IN, &ask[i]);
		memcpy(io_data(v), &ask[i].data, ask[i].size);
	}
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, is64 ? 5 : 4);
	CHECK_EQ(v->val[0], 0x555555a1);
	CHECK_EQ(v->val[1], 0x5555b2a1);
	CHECK_EQ(v->val[2], 0xd4c3b2a1);
	if (is64) /* a 32-bit IN clears the upper half */
		CHECK_EQ(v->val[3], 0);
	CHECK_EQ(v->val[is64 ? 4 : 3] & 0xff, 0x77);
}

/*
 * RIP stays at the instruction until KVM_RUN is called again. If the VMM sets
 * RIP to another place, the access is given up: IN loads nothing.
 */
static void given_up(long mode)
{
	struct vcpu *v = START3(mode, io_in);
	struct kvm_regs r;
	const uint8_t *at;

	EXPECT(v, STOP_IO);
	get_regs(v, &r);
	at = vm_ram(v->vm, r.rip - mode_entry(mode) + GUEST_CODE, 1);
	CHECK_EQ(*at, 0xec); /* IN AL,DX */
	memset(io_data(v), 0xa1, 4);
	r.rip = mode_entry(mode);
	r.rax = 0x12345678;
	set_regs(v, &r);
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rax, 0x12345678);
	CHECK_EQ(r.rip, mode_entry(mode));
	EXPECT(v, STOP_IO);
}

/* The elements which string_io in guest/io.inc moves, in order. */
struct element {
	uint16_t offset; /* in the page at GUEST_LOW */
	uint8_t size;
};

static unsigned int elements(struct element *e)
{
	unsigned int n = 0, i;
	uint16_t at = 0;

	for (i = 0; i < 300; i++, at += 1)
		e[n++] = (struct element){ at, 1 };
	for (i = 0; i < 100; i++, at += 2)
		e[n++] = (struct element){ at, 2 };
	for (i = 0; i < 50; i++, at += 4)
		e[n++] = (struct element){ at, 4 };
	for (i = 0; i < 10; i++, at -= 2)
		e[n++] = (struct element){ at, 2 };
	e[n++] = (struct element){ at, 1 };
	return n;
}

#define MAX_ELEMENTS 500
/* Where the register ends: 300 + 200 + 200 - 20 + 1. */
#define END_OFFSET 681

static void string_end(struct vcpu *v, bool is_out)
{
	REQUIRE_EQ(v->nr_vals, 3);
	CHECK_EQ(v->val[0], 0);
	CHECK_EQ(v->val[1], GUEST_LOW + (is_out ? END_OFFSET : 0));
	CHECK_EQ(v->val[2], GUEST_LOW + (is_out ? 0 : END_OFFSET));
}

/* Supplies or compares the elements of all exits; @buf is the guest's page. */
static void string_io(struct vcpu *v, bool is_out, uint8_t *buf)
{
	struct element e[MAX_ELEMENTS];
	unsigned int n = elements(e), i = 0, exits = 0;

	while (i < n) {
		struct kvm_run *run = v->run;
		uint8_t *data;
		uint32_t k;

		EXPECT(v, STOP_IO);
		exits++;
		REQUIRE_EQ(run->io.size, e[i].size);
		CHECK_EQ(run->io.port, PORT_TEST);
		CHECK_EQ(run->io.direction,
			 is_out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN);
		if (!run->io.count || run->io.count > n - i) {
			FAIL("%u elements in an exit, %u left", run->io.count,
			     n - i);
			test_abort();
		}
		data = io_data(v);
		for (k = 0; k < run->io.count; k++, i++) {
			uint8_t *mem = buf + e[i].offset;

			REQUIRE_EQ(run->io.size, e[i].size);
			if (is_out && memcmp(data, mem, e[i].size))
				FAIL_MEM("element %u at offset %u differs", i,
					 e[i].offset);
			if (!is_out) {
				memset(data, i * 7 + 1, e[i].size);
				/* The page must hold this in the end. */
				memset(mem, i * 7 + 1, e[i].size);
			}
			data += e[i].size;
		}
	}
	test_note("%u elements in %u exits", n, exits);
	EXPECT(v, STOP_END);
	string_end(v, is_out);
}

static void outs(long mode)
{
	struct vcpu *v = START3(mode, io_outs);
	uint8_t *page = vm_ram(v->vm, GUEST_LOW, 0x1000);
	unsigned int i;

	for (i = 0; i < 0x1000; i++)
		page[i] = i * 13 + (i >> 8);
	string_io(v, true, page);
}

static void ins(long mode)
{
	struct vcpu *v = START3(mode, io_ins);
	uint8_t *page = vm_ram(v->vm, GUEST_LOW, 0x1000);
	uint8_t want[0x1000];

	memset(want, 0xee, sizeof(want));
	memset(page, 0xee, 0x1000);
	string_io(v, false, want);
	CHECK_MEM(!memcmp(page, want, sizeof(want)));
}

static const struct test_case cases[] = {
	CASE_ALL("out", out),
	CASE_ALL("in", in),
	{ "given up (real)", given_up, M_REAL },
	{ "given up (prot32)", given_up, M_PROT32 },
	{ "given up (long)", given_up, M_LONG },
	CASE_ALL("rep outs", outs),
	CASE_ALL("rep ins", ins),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}

// SPDX-License-Identifier: GPL-2.0
/* Why a trap has ended a VM, in words, and which exits are no such end. */
#include <linux/kvm.h>
#include <string.h>

#include <vigil.h>

#include "libvm.h"
#include "tap.h"

static struct kvm_run run;

static void set(const struct vigil_trap_end *end)
{
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run.internal.ndata = 9;
	memcpy(run.internal.data, end, sizeof(*end));
}

static const struct vigil_trap_end frame = {
	.why = VIGIL_END_FRAME,
	.vector = 0x81,
	.cs = 0x39,
	.ip = 0x1009b,
	.fault = 14 | 2ull << 32,
	.address = 0x7ffffff8,
};

static void words(long unused)
{
	const struct {
		struct vigil_trap_end end;
		const char *text;
	} all[] = {
		{ frame,
		  "the guest's trap 0x81 to 0039:0x1009b failed: exception 14, error code 0x2, "
		  "address 0x7ffffff8, while its frame was built" },
		{ { .why = VIGIL_END_NO_HANDLER, .vector = 6, .rip = 0x1234 },
		  "the guest's trap 0x6 at 0x1234 has no handler in its trap table" },
		{ { .why = VIGIL_END_RING0, .vector = 13, .rip = 0x1234 },
		  "the guest's trap 0xd at 0x1234 came in ring 0, which no handler of ring 1 can "
		  "take" },
	};
	struct vigil_trap_end end;
	char text[256], narrow[8];
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		set(&all[i].end);
		if (!lv_trap_end(&run, &end, text, sizeof(text)))
			FAIL("%u is not taken for an end", i);
		else if (strcmp(text, all[i].text))
			FAIL("%u: %s", i, text);
		else if (memcmp(&end, &all[i].end, sizeof(end)))
			FAIL("%u: another end", i);
		narrow[7] = 'x';
		if (!lv_trap_end(&run, NULL, narrow, 7) || narrow[6] ||
		    narrow[7] != 'x')
			FAIL("%u: too long a text", i);
	}
}

static void others(long unused)
{
	struct vigil_trap_end unknown = { .why = VIGIL_END_RING0 + 1 };
	char text[256] = "untouched";

	set(&frame);
	run.exit_reason = KVM_EXIT_SHUTDOWN;
	if (lv_trap_end(&run, NULL, text, sizeof(text)))
		FAIL("a triple fault is taken for an end");
	set(&frame);
	run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	if (lv_trap_end(&run, NULL, text, sizeof(text)))
		FAIL("an instruction that cannot be emulated is taken for an end");
	set(&frame);
	run.internal.ndata = 8;
	if (lv_trap_end(&run, NULL, text, sizeof(text)))
		FAIL("KVM's own error is taken for an end");
	set(&unknown);
	if (lv_trap_end(&run, NULL, text, sizeof(text)))
		FAIL("an end that nobody knows has words");
	if (strcmp(text, "untouched"))
		FAIL("words for no end: %s", text);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "each end has its words", words },
		{ "other exits have none", others },
		{}
	};

	return test_main(argc, argv, cases);
}

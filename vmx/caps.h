/* SPDX-License-Identifier: GPL-2.0 */
/* What a CPU's VMX can do. Pure: also compiled in userspace, for its test. */
#ifndef VIGIL_VMX_CAPS_H
#define VIGIL_VMX_CAPS_H

#include "vmm/reader.h"

/**
 * struct vmx_caps - controls as they are programmed, and optional features
 * @revision:	of VMXON region and VMCS
 * @pin:	pin-based controls: what vigil wants and what the CPU insists on
 * @cpu:	primary processor-based controls, likewise
 * @cpu2:	secondary ones, without EPT, unrestricted guest and VPID
 * @tables:	accesses to descriptor-table registers can exit
 * @exit:	VM-exit controls
 * @entry:	VM-entry controls
 * @cr0_fixed0:	bits of CR0 that are 1 in VMX operation
 * @cr0_fixed1:	bits of CR0 that may be 1 in VMX operation
 * @cr4_fixed0:	bits of CR4 that are 1
 * @cr4_fixed1:	bits of CR4 that may be 1
 * @unrestricted: unpaged guests run on EPT, real mode included
 * @vpid:	translations are tagged
 * @invvpid_address: INVVPID of one page
 * @invvpid_single: INVVPID of one VPID; that of all is always there when @vpid
 * @invept_single: INVEPT of one EPT; of all there always is when @unrestricted
 * @rdtscp:	RDTSCP and RDPID can be given to a guest
 * @wbinvd:	WBINVD can be intercepted
 * @encls:	so can ENCLS
 * @preemption_timer: there is one
 * @timer_shift: it counts the TSC shifted right by this
 */
struct vmx_caps {
	u32 revision;
	u32 pin, cpu, cpu2, exit, entry;
	u64 cr0_fixed0, cr0_fixed1;
	u64 cr4_fixed0, cr4_fixed1;
	bool unrestricted;
	bool vpid;
	bool invvpid_address;
	bool invvpid_single;
	bool invept_single;
	bool rdtscp, tables;
	bool wbinvd;
	bool encls;
	bool preemption_timer;
	u8 timer_shift;
};

/**
 * vmx_caps_check() - can vigil run on this CPU?
 * @rd:		the CPU
 * @why:	out: the reason in words when not
 *
 * Return: 0; -EOPNOTSUPP: a feature is missing, @why names it; -EPERM: firmware
 * disabled VMX.
 */
int vmx_caps_check(const struct host_reader *rd, const char **why);
/* Fills in @caps. vmx_caps_check() must have returned 0. */
void vmx_caps_read(const struct host_reader *rd, struct vmx_caps *caps);
/* Has the CPU that @rd reads exactly these, none of which is hidden? */
bool vmx_caps_same(const struct host_reader *rd, const struct vmx_caps *caps);
/**
 * vmx_caps_hide() - pretend that optional features are missing, for tests
 * @caps:	the features, of which those named are switched off
 * @names:	"unrestricted", "vpid", "invvpid", "invept", "all", with commas
 *
 * Return: 0; -EINVAL: a name is unknown, nothing was changed.
 */
int vmx_caps_hide(struct vmx_caps *caps, const char *names);

#endif

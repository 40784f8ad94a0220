/* SPDX-License-Identifier: GPL-2.0 */
/* What a CPU's SVM can do. Pure: also compiled in userspace, for its test. */
#ifndef VIGIL_SVM_CAPS_H
#define VIGIL_SVM_CAPS_H

#include "vmm/reader.h"

/**
 * struct svm_caps - features; each but @nasid is optional and has a fallback
 * @nasid:	number of ASIDs, the host's 0 included
 * @nrips:	an exit reports the next RIP
 * @decode_assists: exits of CR, DR and INVLPG report their operand
 * @flush_by_asid: one ASID can be flushed without the others
 * @vmcb_clean:	VMCB clean bits
 * @tsc_rate:	MSR TSC_RATIO exists
 * @invpcid:	INVPCID exists, and its intercept
 * @rdpru:	RDPRU exists, and its intercept
 * @inject_by_virq: interrupts go in as virtual ones (V_IRQ): QEMU's TCG delivers
 *		one of EVENTINJ a second time, whatever RFLAGS.IF says, when
 *		something else stops its CPU loop at the wrong moment
 */
struct svm_caps {
	u32 nasid;
	bool nrips;
	bool decode_assists;
	bool flush_by_asid;
	bool vmcb_clean;
	bool tsc_rate;
	bool invpcid;
	bool rdpru;
	bool inject_by_virq;
};

/**
 * svm_caps_check() - can vigil run on this CPU?
 * @rd:		the CPU
 * @why:	out: the reason in words when not
 *
 * Return: 0; -EOPNOTSUPP: a feature is missing; -EPERM: firmware disabled SVM.
 */
int svm_caps_check(const struct host_reader *rd, const char **why);
/* Fills in @caps. svm_caps_check() must have returned 0. */
void svm_caps_read(const struct host_reader *rd, struct svm_caps *caps);
/* Has the CPU that @rd reads exactly these, none of which is hidden? */
bool svm_caps_same(const struct host_reader *rd, const struct svm_caps *caps);
/**
 * svm_caps_hide() - pretend that optional features are missing, for tests
 * @caps:	the features, of which those named are switched off
 * @names:	"nrips", "decode", "flushbyasid", "vmcbclean", "all", with commas
 *
 * Return: 0; -EINVAL: a name is unknown, nothing was changed.
 */
int svm_caps_hide(struct svm_caps *caps, const char *names);

#endif

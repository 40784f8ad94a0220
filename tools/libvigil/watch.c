// SPDX-License-Identifier: GPL-2.0
/* Watches and verdicts. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib.h"
#include "monitor.h"

typedef unsigned long long ull;

/* Bytes of struct vigil_range in LIBVIGIL_1.0. */
#define RANGE_SIZE_1_0 64

_Static_assert(VIGIL_AT_GPA == VIGIL_WATCH_GPA &&
		       VIGIL_AT_GVA == VIGIL_WATCH_GVA &&
		       VIGIL_AT_CONTROL == VIGIL_WATCH_CONTROL,
	       "kinds");
_Static_assert(VIGIL_DO_LOG == VIGIL_ACTION_LOG &&
		       VIGIL_DO_ASK == VIGIL_ACTION_ASK &&
		       VIGIL_DO_DENY == VIGIL_ACTION_DENY,
	       "actions");
_Static_assert(VIGIL_ALLOW == VIGIL_ON_DEATH_ALLOW &&
		       VIGIL_DENY == VIGIL_ON_DEATH_DENY &&
		       VIGIL_ALLOW == VIGIL_VERDICT_ALLOW &&
		       VIGIL_DENY == VIGIL_VERDICT_DENY &&
		       VIGIL_FAULT_GP == VIGIL_VERDICT_GP &&
		       VIGIL_FAULT_PF == VIGIL_VERDICT_PF &&
		       VIGIL_KILL == VIGIL_VERDICT_KILL &&
		       VIGIL_PAUSE == VIGIL_VERDICT_PAUSE &&
		       VIGIL_PAUSE == VIGIL_ON_DEATH_PAUSE,
	       "verdicts");

/*
 * A watch of guest-physical addresses is refused where the VM has no memory now: a
 * guest cannot write there, so nothing would be protected.
 */
static int check_memory(struct vigil_monitor *mon, const struct vigil_range *r)
{
	const uint64_t ends[] = { r->start, r->start + r->len - 1 };
	uint8_t byte;
	long ret;

	for (int i = 0; i < 2; i++) {
		ret = vigil_read_phys(mon, ends[i], &byte, 1);
		if (ret < 0)
			return ret;
		if (!ret)
			return vigil_lib_fail(
				EFAULT,
				"cannot watch %#llx: the VM has no memory at the guest-physical "
				"address %#llx",
				(ull)r->start, (ull)ends[i]);
	}
	return 0;
}

/* What a VM cannot have any more is not watched: nothing would be protected. */
static int check_control(struct vigil_monitor *mon, const struct vigil_range *r)
{
	bool iopl = r->start == VIGIL_CONTROL_IOPL;
	struct vigil_hypercalls h;
	struct vigil_vm_desc vm;
	int ret;

	/* Every guest has these. */
	if ((r->start & 0xff) >= VIGIL_CONTROL_IDTR)
		return 0;
	ret = vigil_get_hypercalls(mon, &h, sizeof(h));
	if (!ret)
		ret = vigil_get_vm(mon, &vm, sizeof(vm));
	if (ret || !vm.nr_vcpus ||
	    h.flags & (iopl ? VIGIL_HC_PAGE : VIGIL_HC_TRAPS))
		return ret;
	return vigil_lib_fail(EINVAL,
			      "cannot watch this control: the VM has no %s",
			      iopl ? "hypercalls of Xen's" : "trap tables");
}

static int control_failed(int err, uint64_t start)
{
	if (err == EOPNOTSUPP)
		return vigil_lib_fail(
			err, "cannot watch this control: %s",
			(start & 0xff) == VIGIL_CONTROL_MSR ?
				"of MSRs, EFER and those of SYSCALL and SYSENTER can be watched" :
				"the CPU does not tell of it");
	if (err == ENOSPC)
		return vigil_lib_fail(
			err, "cannot watch this control: too many watches");
	if (err == EINVAL)
		return vigil_lib_fail(
			err,
			"cannot watch this control: the module does not know it, or not this "
			"action of it");
	return vigil_lib_fail(err, "cannot watch this control: %s",
			      strerror(err));
}

static int memory_failed(int err, const struct vigil_range *r)
{
	switch (err) {
	case ENOSPC:
		return vigil_lib_fail(err,
				      "cannot watch %#llx: too many watches",
				      (ull)r->start);
	case EINVAL:
		return vigil_lib_fail(
			err,
			"cannot watch %llu bytes at %#llx: the guest has no such addresses, or "
			"the length is not 1 to 16 MiB",
			(ull)r->len, (ull)r->start);
	}
	return vigil_lib_fail(err, "cannot watch %#llx: %s", (ull)r->start,
			      strerror(err));
}

int vigil_watch_add(struct vigil_monitor *mon, struct vigil_range *range,
		    size_t size)
{
	struct vigil_watch w;
	struct vigil_range r;
	int ret;

	ret = take(&r, sizeof(r), range, size, RANGE_SIZE_1_0);
	if (!ret && r.kind == VIGIL_AT_GPA)
		ret = check_memory(mon, &r);
	if (!ret && r.kind == VIGIL_AT_CONTROL)
		ret = check_control(mon, &r);
	if (ret)
		return ret;
	w = (struct vigil_watch){
		.start = r.start,
		.len = r.len,
		.cr3 = r.cr3,
		.kind = r.kind,
		.action = r.action,
		.on_death = r.on_death,
		.cookie = r.cookie,
		.conditions = r.conditions,
		.nr_conditions = r.nr_conditions,
		.timeout_ms = r.timeout_ms,
		.on_timeout = r.on_timeout,
		.pad = r.reserved,
	};
	if (ioctl(mon->fd, VIGIL_WATCH_ADD, &w))
		return r.kind == VIGIL_AT_CONTROL ?
			       control_failed(errno, r.start) :
			       memory_failed(errno, &r);
	range->id = w.id;
	return 0;
}

int vigil_watch_del(struct vigil_monitor *mon, uint32_t id)
{
	if (!ioctl(mon->fd, VIGIL_WATCH_DEL, &id))
		return 0;
	return vigil_lib_fail(errno, "cannot remove watch %u: %s", id,
			      strerror(errno));
}

int vigil_resume(struct vigil_monitor *mon)
{
	if (!ioctl(mon->fd, VIGIL_RESUME, 0))
		return 0;
	return vigil_lib_fail(errno, "cannot resume the VM's vCPUs: %s",
			      strerror(errno));
}

static int decide(struct vigil_monitor *mon, const struct vigil_verdict *v)
{
	if (!ioctl(mon->fd, VIGIL_VERDICT, v))
		return 0;
	if (errno == EINTR)
		return -EINTR;
	if (errno == ENOENT)
		return vigil_lib_fail(
			errno, "the verdict on event %llu came too late: %s",
			(ull)v->seq, strerror(errno));
	if (errno == EOPNOTSUPP)
		return vigil_lib_fail(
			errno,
			"event %llu cannot have this verdict, and still waits",
			(ull)v->seq);
	return vigil_lib_fail(errno, "cannot decide about event %llu: %s",
			      (ull)v->seq, strerror(errno));
}

int vigil_decide(struct vigil_monitor *mon, uint64_t seq, unsigned int verdict)
{
	struct vigil_verdict v = { .seq = seq, .verdict = verdict };

	return decide(mon, &v);
}

int vigil_replace(struct vigil_monitor *mon, uint64_t seq, const void *data,
		  size_t len)
{
	struct vigil_verdict v = {
		.seq = seq,
		.verdict = VIGIL_VERDICT_REPLACE,
		.len = len,
	};

	if (len > sizeof(v.data))
		return vigil_lib_fail(EINVAL,
				      "no event has as many as %zu bytes", len);
	memcpy(v.data, data, len);
	return decide(mon, &v);
}

long vigil_read_change(struct vigil_monitor *mon, uint64_t seq, void *buf,
		       size_t len)
{
	struct vigil_change c = {
		.seq = seq,
		.buf = (uintptr_t)buf,
		.len = len < UINT32_MAX ? len : UINT32_MAX,
	};

	if (!ioctl(mon->fd, VIGIL_READ_CHANGE, &c))
		return c.done;
	return vigil_lib_fail(errno,
			      "cannot read what event %llu would change: %s",
			      (ull)seq, strerror(errno));
}

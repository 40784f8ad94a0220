// SPDX-License-Identifier: GPL-2.0
/* A guest that stands still, and gets other registers and other memory. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib.h"
#include "monitor.h"

#define MAX_WRITE (1u << 20)

typedef unsigned long long ull;

_Static_assert(VIGIL_ALL_VCPUS == VIGIL_PAUSE_ALL &&
		       VIGIL_KEEP_PAUSED == VIGIL_PAUSE_KEEP &&
		       VIGIL_SET_REGS == VIGIL_VCPU_REGS &&
		       VIGIL_SET_SREGS == VIGIL_VCPU_SREGS,
	       "pauses");

static int no_vcpu(unsigned int vcpu)
{
	return vigil_lib_fail(ENOENT, "the VM has no vCPU %u", vcpu);
}

int vigil_pause(struct vigil_monitor *mon, unsigned int vcpu,
		unsigned int flags)
{
	struct vigil_pause p = { .vcpu = vcpu, .flags = flags };

	if (!ioctl(mon->fd, VIGIL_PAUSE_VCPUS, &p))
		return 0;
	if (errno == EINTR)
		return -EINTR;
	if (errno == ENOENT)
		return no_vcpu(vcpu);
	return vigil_lib_fail(errno, "cannot pause the VM: %s",
			      strerror(errno));
}

int vigil_unpause(struct vigil_monitor *mon, unsigned int vcpu)
{
	struct vigil_pause p = { .vcpu = vcpu };

	if (!ioctl(mon->fd, VIGIL_RESUME_VCPUS, &p))
		return 0;
	if (errno == ENOENT)
		return no_vcpu(vcpu);
	return vigil_lib_fail(errno, "cannot resume the VM: %s",
			      strerror(errno));
}

int vigil_set_registers(struct vigil_monitor *mon, unsigned int vcpu,
			const struct vigil_registers *r, size_t size,
			unsigned int which)
{
	struct vigil_vcpu_state state = { .vcpu = vcpu, .flags = which };
	struct vigil_registers all;
	int ret;

	ret = take(&all, sizeof(all), r, size, sizeof(all));
	if (ret)
		return ret;
	state.regs = all.regs;
	state.sregs = all.sregs;
	if (!ioctl(mon->fd, VIGIL_SET_VCPU, &state))
		return 0;
	switch (errno) {
	case ENOENT:
		return no_vcpu(vcpu);
	case EBUSY:
		return vigil_lib_fail(
			errno,
			"cannot set the registers of vCPU %u: this monitor has not paused it",
			vcpu);
	case EINVAL:
		return vigil_lib_fail(
			errno,
			"cannot set the registers of vCPU %u: no CPU can have these",
			vcpu);
	}
	return vigil_lib_fail(errno, "cannot set the registers of vCPU %u: %s",
			      vcpu, strerror(errno));
}

long vigil_write_phys(struct vigil_monitor *mon, uint64_t gpa, const void *buf,
		      size_t len)
{
	struct vigil_mem mem = { 0 };
	size_t done = 0;

	while (done < len) {
		mem.addr = gpa + done;
		mem.len = len - done < MAX_WRITE ? len - done : MAX_WRITE;
		mem.buf = (uintptr_t)buf + done;
		if (ioctl(mon->fd, VIGIL_WRITE_MEM, &mem)) {
			if (errno == EINTR)
				continue;
			if (done || errno == EFAULT)
				break;
			return vigil_lib_fail(
				errno, "cannot write guest memory at %#llx: %s",
				(ull)mem.addr, strerror(errno));
		}
		done += mem.done;
		if (mem.done < mem.len)
			break;
	}
	return done;
}

int vigil_write_virt(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		     const void *buf, size_t len)
{
	struct vigil_mem mem = { .cr3 = cr3, .flags = VIGIL_MEM_GVA };
	size_t done = 0;

	while (done < len) {
		mem.addr = gva + done;
		mem.len = len - done < MAX_WRITE ? len - done : MAX_WRITE;
		mem.buf = (uintptr_t)buf + done;
		if (ioctl(mon->fd, VIGIL_WRITE_MEM, &mem)) {
			if (errno == EINTR)
				continue;
			return vigil_lib_fail(
				errno,
				"cannot write guest-virtual memory at %#llx: %s",
				(ull)mem.addr,
				errno == EFAULT ? "not mapped" :
						  strerror(errno));
		}
		/* Where it stops short, the next call says why. */
		done += mem.done;
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* Reading a VM: memory, registers, counters, who may make hypercalls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib.h"
#include "monitor.h"

#define MAX_READ (1u << 20)
#define MAX_COUNTERS 256

long vigil_read_phys(struct vigil_monitor *mon, uint64_t gpa, void *buf,
		     size_t len)
{
	struct vigil_mem mem = { 0 };
	size_t done = 0;

	while (done < len) {
		mem.addr = gpa + done;
		mem.len = len - done < MAX_READ ? len - done : MAX_READ;
		mem.buf = (uintptr_t)buf + done;
		if (ioctl(mon->fd, VIGIL_READ_MEM, &mem)) {
			if (errno == EFAULT)
				break;
			if (errno == EINTR)
				continue;
			return vigil_lib_fail(
				errno, "cannot read guest memory at %#llx: %s",
				(unsigned long long)mem.addr, strerror(errno));
		}
		done += mem.done;
		if (mem.done < mem.len)
			break;
	}
	return done;
}

int vigil_read_virt(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    void *buf, size_t len)
{
	struct vigil_mem mem = { .cr3 = cr3, .flags = VIGIL_MEM_GVA };
	size_t done = 0;

	while (done < len) {
		mem.addr = gva + done;
		mem.len = len - done < MAX_READ ? len - done : MAX_READ;
		mem.buf = (uintptr_t)buf + done;
		if (ioctl(mon->fd, VIGIL_READ_MEM, &mem)) {
			if (errno == EINTR)
				continue;
			if (errno != EFAULT)
				return vigil_lib_fail(
					errno,
					"cannot read guest-virtual memory at %#llx: %s",
					(unsigned long long)mem.addr,
					strerror(errno));
			mem.done = 0;
		}
		if (mem.done < mem.len)
			return vigil_lib_fail(
				EFAULT,
				"cannot read guest-virtual memory at %#llx: not mapped",
				(unsigned long long)mem.addr + mem.done);
		done += mem.done;
	}
	return 0;
}

int vigil_translate(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    uint64_t *gpa, uint64_t *left)
{
	struct vigil_translation t = { .gva = gva, .cr3 = cr3 };

	while (ioctl(mon->fd, VIGIL_TRANSLATE, &t)) {
		if (errno != EINTR)
			return vigil_lib_fail(errno,
					      "cannot translate %#llx: %s",
					      (unsigned long long)gva,
					      errno == EFAULT ?
						      "not mapped" :
						      strerror(errno));
	}
	*gpa = t.gpa;
	if (left)
		*left = t.left;
	return 0;
}

int vigil_get_registers(struct vigil_monitor *mon, unsigned int vcpu,
			struct vigil_registers *r, size_t size)
{
	struct vigil_vcpu_state state = { .vcpu = vcpu };
	struct vigil_registers all;

	if (ioctl(mon->fd, VIGIL_GET_VCPU, &state)) {
		if (errno == ENOENT)
			return vigil_lib_fail(errno, "the VM has no vCPU %u",
					      vcpu);
		return vigil_lib_fail(
			errno, "cannot read the registers of vCPU %u: %s", vcpu,
			strerror(errno));
	}
	all = (struct vigil_registers){
		.regs = state.regs,
		.sregs = state.sregs,
		.lstar = state.lstar,
	};
	give(r, size, &all, sizeof(all));
	return 0;
}

int vigil_get_counters(struct vigil_monitor *mon, struct vigil_counter **list,
		       size_t size)
{
	char(*names)[VIGIL_NAME_LEN] = calloc(MAX_COUNTERS, sizeof(*names));
	uint64_t *values = calloc(MAX_COUNTERS, sizeof(*values));
	struct vigil_stats s = {
		.count = MAX_COUNTERS,
		.values = (uintptr_t)values,
		.names = (uintptr_t)names,
	};
	int ret;

	*list = NULL;
	ret = vigil_lib_fail(ENOMEM, "out of memory");
	if (!names || !values)
		goto out;
	if (ioctl(mon->fd, VIGIL_GET_STATS, &s)) {
		ret = vigil_lib_fail(errno, "cannot read the counters: %s",
				     strerror(errno));
		goto out;
	}
	if (s.count > MAX_COUNTERS)
		s.count = MAX_COUNTERS;
	*list = calloc(s.count ? s.count : 1, size ? size : 1);
	if (!*list)
		goto out;
	ret = s.count;
	for (unsigned int i = 0; i < s.count; i++) {
		struct vigil_counter c = { .value = values[i] };

		memcpy(c.name, names[i], sizeof(c.name) - 1);
		give((char *)*list + i * size, size, &c, sizeof(c));
	}
out:
	free(values);
	free(names);
	return ret;
}

static int other_size(void)
{
	return vigil_lib_fail(
		EINVAL,
		"struct vigil_hypercalls has another size in the program");
}

int vigil_get_hypercalls(struct vigil_monitor *mon, struct vigil_hypercalls *h,
			 size_t size)
{
	if (size != sizeof(*h))
		return other_size();
	if (!ioctl(mon->fd, VIGIL_GET_HYPERCALLS, h))
		return 0;
	return vigil_lib_fail(errno, "cannot ask about the VM's hypercalls: %s",
			      strerror(errno));
}

int vigil_set_hypercalls(struct vigil_monitor *mon,
			 const struct vigil_hypercalls *h, size_t size)
{
	if (size != sizeof(*h))
		return other_size();
	if (!ioctl(mon->fd, VIGIL_SET_HYPERCALLS, h))
		return 0;
	if (errno == EINVAL)
		return vigil_lib_fail(
			errno,
			"the VM's creator does not allow that: level %u at most, and no "
			"hypercall that is not in \"at most\"",
			h->max_iopl);
	return vigil_lib_fail(errno,
			      "cannot change who may make hypercalls: %s",
			      strerror(errno));
}

// SPDX-License-Identifier: GPL-2.0
/* A monitor's side of uapi/vigil.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "libvm.h"
#include "mon.h"

#define MAX_READ (1u << 20)

static int open_device(void)
{
	int fd = lv_open(vigil_options.device);
	int version;

	if (fd < 0)
		return -ENODEV; /* lv_error() says more */
	version = ioctl(fd, VIGIL_GET_VERSION, 0);
	if (version == VIGIL_API_VERSION)
		return fd;
	close(fd);
	if (version < 0)
		return lv_fail(ENOTTY, "%s has no monitors: it is not vigil",
			       lv_device_path(vigil_options.device));
	return lv_fail(EPROTO,
		       "the module speaks version %d of the monitor interface, "
		       "this program %d: install both from the same source",
		       version, VIGIL_API_VERSION);
}

static int list_vms(int dev, struct vigil_vm_info **out)
{
	struct vigil_vm_list list = { .entry_size = sizeof(**out) };
	unsigned int room = 16;
	int err;

	for (;;) {
		*out = calloc(room, sizeof(**out));
		if (!*out)
			return lv_fail(ENOMEM, "out of memory");
		list.count = room;
		list.entries = (uintptr_t)*out;
		if (ioctl(dev, VIGIL_LIST_VMS, &list)) {
			err = errno;
			free(*out);
			*out = NULL;
			return lv_fail(err, "cannot list VMs: %s",
				       strerror(err));
		}
		if (list.count <= room)
			return list.count;
		free(*out);
		room = list.count + 16;
	}
}

int mon_list(struct vigil_vm_info **list)
{
	int dev = open_device(), n;

	if (dev < 0)
		return dev;
	n = list_vms(dev, list);
	close(dev);
	return n;
}

/* Finds a VM. A name that is a number stands for the VM with that number. */
static int find_vm(int dev, const char *vm, uint32_t *id)
{
	struct vigil_vm_info *list;
	unsigned long num;
	unsigned int hits = 0;
	char *end;
	int i, n;

	errno = 0;
	num = strtoul(vm, &end, 10);
	if (*vm >= '0' && *vm <= '9' && !*end && !errno && num <= UINT32_MAX) {
		*id = num;
		return 0;
	}
	n = list_vms(dev, &list);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		if (!strncmp(list[i].name, vm, sizeof(list[i].name))) {
			*id = list[i].id;
			hits++;
		}
	}
	free(list);
	if (hits == 1)
		return 0;
	if (hits)
		return lv_fail(EINVAL,
			       "%u VMs are called %s: say which by its number "
			       "(vigil list)",
			       hits, vm);
	return lv_fail(ENOENT,
		       "there is no VM called %s that you may attach to "
		       "(vigil list)",
		       vm);
}

static int attach_failed(int err, const char *vm, uint32_t flags)
{
	switch (err) {
	case ENOENT:
		return lv_fail(err, "there is no VM %s (vigil list)", vm);
	case EPERM:
		if (flags & VIGIL_ATTACH_EVICT)
			return lv_fail(
				err, "only root may evict VM %s's monitor", vm);
		return lv_fail(
			err,
			"you may not attach to VM %s: that takes what "
			"ptrace(2) on its process takes, the same user and "
			"groups and a process that may be dumped, or root",
			vm);
	case EBUSY:
		if (flags & VIGIL_ATTACH_READ)
			return lv_fail(
				err,
				"VM %s has %d readers already, and can have no "
				"more",
				vm, VIGIL_MAX_READERS);
		return lv_fail(err,
			       "VM %s has a monitor already, and can have one "
			       "(root: --evict)",
			       vm);
	}
	return lv_fail(err, "cannot attach to VM %s: %s", vm, strerror(err));
}

static int attach(struct mon *mon, const char *vm, uint32_t flags)
{
	struct vigil_attach a = { .flags = flags };
	int dev = open_device(), ret;

	mon->fd = -1;
	if (dev < 0)
		return dev;
	ret = find_vm(dev, vm, &a.vm_id);
	if (!ret) {
		mon->fd = ioctl(dev, VIGIL_ATTACH, &a);
		if (mon->fd < 0)
			ret = attach_failed(errno, vm, flags);
	}
	close(dev);
	if (ret)
		return ret;
	ret = mon_info(mon);
	if (ret)
		mon_detach(mon);
	return ret;
}

int mon_attach(struct mon *mon, const char *vm)
{
	return attach(mon, vm, 0);
}

int mon_attach_evict(struct mon *mon, const char *vm)
{
	return attach(mon, vm, VIGIL_ATTACH_EVICT);
}

int mon_attach_read(struct mon *mon, const char *vm)
{
	return attach(mon, vm, VIGIL_ATTACH_READ);
}

void mon_detach(struct mon *mon)
{
	if (mon->fd >= 0)
		close(mon->fd);
	mon->fd = -1;
}

int mon_info(struct mon *mon)
{
	if (ioctl(mon->fd, VIGIL_GET_INFO, &mon->info))
		return lv_fail(errno, "cannot ask about the VM: %s",
			       strerror(errno));
	mon->info.name[sizeof(mon->info.name) - 1] = 0;
	return 0;
}

long mon_read(struct mon *mon, uint64_t gpa, void *buf, size_t len)
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
			return lv_fail(errno,
				       "cannot read guest memory at %#llx: %s",
				       (unsigned long long)mem.addr,
				       strerror(errno));
		}
		done += mem.done;
		if (mem.done < mem.len)
			break;
	}
	return done;
}

int mon_read_virt(struct mon *mon, uint64_t cr3, uint64_t gva, void *buf,
		  size_t len)
{
	struct vigil_mem mem = { .cr3 = cr3, .flags = VIGIL_MEM_GVA };
	size_t done = 0;

	while (done < len) {
		mem.addr = gva + done;
		mem.len = len - done < MAX_READ ? len - done : MAX_READ;
		mem.buf = (uintptr_t)buf + done;
		if (!ioctl(mon->fd, VIGIL_READ_MEM, &mem) &&
		    mem.done == mem.len) {
			done += mem.done;
			continue;
		}
		return lv_fail(errno ?: EFAULT,
			       "cannot read guest-virtual memory at %#llx: "
			       "not mapped",
			       (unsigned long long)mem.addr + mem.done);
	}
	return 0;
}

int mon_state(struct mon *mon, unsigned int vcpu,
	      struct vigil_vcpu_state *state)
{
	memset(state, 0, sizeof(*state));
	state->vcpu = vcpu;
	if (!ioctl(mon->fd, VIGIL_GET_VCPU, state))
		return 0;
	if (errno == ENOENT)
		return lv_fail(errno, "the VM has no vCPU %u", vcpu);
	return lv_fail(errno, "cannot read the registers of vCPU %u: %s", vcpu,
		       strerror(errno));
}

int mon_hypercalls(struct mon *mon, struct vigil_hypercalls *h)
{
	if (!ioctl(mon->fd, VIGIL_GET_HYPERCALLS, h))
		return 0;
	return lv_fail(errno, "cannot ask about the VM's hypercalls: %s",
		       strerror(errno));
}

int mon_set_hypercalls(struct mon *mon, const struct vigil_hypercalls *h)
{
	if (!ioctl(mon->fd, VIGIL_SET_HYPERCALLS, h))
		return 0;
	if (errno == EINVAL)
		return lv_fail(
			errno,
			"the VM's creator does not allow that: level %u at most, "
			"and no hypercall that is not in \"at most\"",
			h->max_iopl);
	return lv_fail(errno, "cannot change who may make hypercalls: %s",
		       strerror(errno));
}

/*
 * A watch of guest-physical addresses is refused where the VM has no memory now: a
 * guest cannot write there, so nothing would be protected.
 */
static int check_memory(struct mon *mon, const struct vigil_watch *w)
{
	const uint64_t ends[] = { w->start, w->start + w->len - 1 };
	uint8_t byte;
	long ret;

	for (int i = 0; i < 2; i++) {
		ret = mon_read(mon, ends[i], &byte, 1);
		if (ret < 0)
			return ret;
		if (!ret)
			return lv_fail(
				EFAULT,
				"cannot watch %#llx: the VM has no memory "
				"at the guest-physical address %#llx",
				(unsigned long long)w->start,
				(unsigned long long)ends[i]);
	}
	return 0;
}

/* What a VM cannot have any more is not watched: nothing would be protected. */
static int check_control(struct mon *mon, const struct vigil_watch *w)
{
	bool iopl = w->start == VIGIL_CONTROL_IOPL;
	struct vigil_hypercalls h;
	int ret = mon_hypercalls(mon, &h);

	if (ret || !mon->info.nr_vcpus ||
	    h.flags & (iopl ? VIGIL_HC_PAGE : VIGIL_HC_TRAPS))
		return ret;
	return lv_fail(EINVAL, "cannot watch %s: the VM has no %s",
		       control_name(w->start) ?: "this control",
		       iopl ? "hypercalls of Xen's" : "trap tables");
}

static int control_failed(const struct vigil_watch *w)
{
	const char *name = control_name(w->start) ?: "this control";

	if (errno == ENOSPC)
		return lv_fail(errno, "cannot watch %s: too many watches",
			       name);
	if (errno == EINVAL)
		return lv_fail(errno,
			       "cannot watch %s: the module does not know it",
			       name);
	return lv_fail(errno, "cannot watch %s: %s", name, strerror(errno));
}

int mon_watch_add(struct mon *mon, struct vigil_watch *w)
{
	int ret = w->kind == VIGIL_WATCH_GPA	 ? check_memory(mon, w) :
		  w->kind == VIGIL_WATCH_CONTROL ? check_control(mon, w) :
						   0;

	if (ret)
		return ret;
	if (!ioctl(mon->fd, VIGIL_WATCH_ADD, w))
		return 0;
	if (w->kind == VIGIL_WATCH_CONTROL)
		return control_failed(w);
	switch (errno) {
	case EFAULT:
		return lv_fail(
			errno,
			"cannot watch %#llx: not mapped in the guest now",
			(unsigned long long)w->start);
	case ENOSPC:
		return lv_fail(errno, "cannot watch %#llx: too many watches",
			       (unsigned long long)w->start);
	case EINVAL:
		return lv_fail(
			errno,
			"cannot watch %llu bytes at %#llx: the guest has no such "
			"addresses, or the length is not 1 to 16 MiB",
			(unsigned long long)w->len,
			(unsigned long long)w->start);
	}
	return lv_fail(errno, "cannot watch %#llx: %s",
		       (unsigned long long)w->start, strerror(errno));
}

int mon_watch_del(struct mon *mon, uint32_t id)
{
	if (!ioctl(mon->fd, VIGIL_WATCH_DEL, &id))
		return 0;
	return lv_fail(errno, "cannot remove watch %u: %s", id,
		       strerror(errno));
}

int mon_verdict(struct mon *mon, uint64_t seq, bool allow)
{
	struct vigil_verdict v = {
		.seq = seq,
		.verdict = allow ? VIGIL_VERDICT_ALLOW : VIGIL_VERDICT_DENY,
	};

	if (!ioctl(mon->fd, VIGIL_VERDICT, &v))
		return 0;
	return lv_fail(errno, "the verdict on event %llu came too late: %s",
		       (unsigned long long)seq, strerror(errno));
}

long mon_read_change(struct mon *mon, uint64_t seq, void *buf, size_t len)
{
	struct vigil_change c = {
		.seq = seq,
		.buf = (uintptr_t)buf,
		.len = len,
	};

	if (!ioctl(mon->fd, VIGIL_READ_CHANGE, &c))
		return c.done;
	return lv_fail(errno, "cannot read what event %llu would change: %s",
		       (unsigned long long)seq, strerror(errno));
}

int mon_events(struct mon *mon, struct vigil_event *ev, unsigned int room)
{
	ssize_t n = read(mon->fd, ev, room * sizeof(*ev));

	if (n >= 0)
		return n / sizeof(*ev);
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	if (errno == EPIPE)
		return lv_fail(EPIPE,
			       "evicted: another monitor has taken this one's "
			       "place, and its watches are gone");
	return lv_fail(errno, "cannot read events: %s", strerror(errno));
}

int mon_stats(struct mon *mon, struct mon_stat **out)
{
	struct vigil_stats s = { .count = 256 };
	char(*names)[VIGIL_NAME_LEN] = calloc(s.count, sizeof(*names));
	uint64_t *values = calloc(s.count, sizeof(*values));
	struct mon_stat *stats = calloc(s.count, sizeof(*stats));
	unsigned int i, room = s.count;
	int ret;

	*out = NULL;
	ret = lv_fail(ENOMEM, "out of memory");
	if (!names || !values || !stats)
		goto out;
	s.values = (uintptr_t)values;
	s.names = (uintptr_t)names;
	if (ioctl(mon->fd, VIGIL_GET_STATS, &s)) {
		ret = lv_fail(errno, "cannot read the counters: %s",
			      strerror(errno));
		goto out;
	}
	ret = s.count < room ? s.count : room;
	for (i = 0; i < (unsigned int)ret; i++) {
		memcpy(stats[i].name, names[i], VIGIL_NAME_LEN - 1);
		stats[i].value = values[i];
	}
	*out = stats;
	stats = NULL;
out:
	free(stats);
	free(values);
	free(names);
	return ret;
}

int mon_exit_code(int err)
{
	vigil_msg("%s", lv_error());
	switch (-err) {
	case ENOENT:
	case EFAULT:
	case EBUSY:
	case EINVAL:
	case EIO:
		return VIGIL_EX_FAIL;
	case ENOEXEC:
	case EISDIR:
		return VIGIL_EX_INPUT;
	case ENOMEM:
		return VIGIL_EX_OS;
	}
	return VIGIL_EX_DEVICE;
}

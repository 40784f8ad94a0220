// SPDX-License-Identifier: GPL-2.0
/* Finding VMs, and attaching to one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib.h"
#include "monitor.h"

_Static_assert(VIGIL_NAME_ROOM == VIGIL_NAME_LEN, "names");
_Static_assert(VIGIL_DESC_DEAD == VIGIL_VM_DEAD, "flags of a VM");
_Static_assert(VIGIL_MONITOR_READ == VIGIL_ATTACH_READ, "flags of a monitor");
_Static_assert(VIGIL_MONITOR_EVICT == VIGIL_ATTACH_EVICT, "flags of a monitor");

static const char *device_path(const char *path)
{
	if (!path || !*path)
		path = getenv("VIGIL_DEVICE");
	return path && *path ? path : "/dev/vigil";
}

static int open_device(const char *path)
{
	int fd, version;

	path = device_path(path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return vigil_lib_fail(
			ENODEV,
			"cannot open %s: %s; is the module loaded (modprobe vigil), and are you "
			"in the group that owns the device?",
			path, strerror(errno));
	version = ioctl(fd, VIGIL_GET_VERSION, 0);
	if (version == VIGIL_API_VERSION)
		return fd;
	close(fd);
	if (version < 0)
		return vigil_lib_fail(
			ENODEV, "%s has no monitors: it is not vigil", path);
	return vigil_lib_fail(
		EPROTO,
		"the module speaks version %d of the monitor interface, this program %d: install "
		"both from the same source",
		version, VIGIL_API_VERSION);
}

static void describe(struct vigil_vm_desc *vm, const struct vigil_vm_info *info)
{
	*vm = (struct vigil_vm_desc){
		.id = info->id,
		.pid = info->pid,
		.uid = info->uid,
		.nr_vcpus = info->nr_vcpus,
		.mem_bytes = info->mem_bytes,
		.start_ns = info->start_ns,
		.nr_monitors = info->nr_monitors,
		.flags = info->flags,
	};
	memcpy(vm->name, info->name, sizeof(vm->name) - 1);
}

static int list_vms(int dev, struct vigil_vm_info **out)
{
	struct vigil_vm_list list = { .entry_size = sizeof(**out) };
	unsigned int room = 16;
	int err;

	for (;;) {
		*out = calloc(room, sizeof(**out));
		if (!*out)
			return vigil_lib_fail(ENOMEM, "out of memory");
		list.count = room;
		list.entries = (uintptr_t)*out;
		if (ioctl(dev, VIGIL_LIST_VMS, &list)) {
			err = errno;
			free(*out);
			*out = NULL;
			return vigil_lib_fail(err, "cannot list VMs: %s",
					      strerror(err));
		}
		if (list.count <= room)
			return list.count;
		free(*out);
		room = list.count + 16;
	}
}

int vigil_list(const char *device, struct vigil_vm_desc **list, size_t size)
{
	struct vigil_vm_info *info;
	struct vigil_vm_desc vm;
	int dev, i, n;

	*list = NULL;
	dev = open_device(device);
	if (dev < 0)
		return dev;
	n = list_vms(dev, &info);
	close(dev);
	if (n < 0)
		return n;
	*list = calloc(n ? n : 1, size ? size : 1);
	if (!*list)
		n = vigil_lib_fail(ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		describe(&vm, &info[i]);
		give((char *)*list + i * size, size, &vm, sizeof(vm));
	}
	free(info);
	return n;
}

/* Finds a VM. A name that is a number stands for the VM with that number. */
static int find_vm(int dev, const char *vm, uint32_t *id)
{
	struct vigil_vm_info *list;
	unsigned long long num;
	unsigned int hits = 0;
	char *end;
	int i, n;

	errno = 0;
	num = strtoull(vm, &end, 10);
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
		return vigil_lib_fail(
			EINVAL,
			"%u VMs are called %s: say which by its number "
			"(vigil list)",
			hits, vm);
	return vigil_lib_fail(
		ENOENT,
		"there is no VM called %s that you may attach to (vigil list)",
		vm);
}

static int attach_failed(int err, const char *vm, unsigned int flags)
{
	switch (err) {
	case ENOENT:
		return vigil_lib_fail(err, "there is no VM %s (vigil list)",
				      vm);
	case EPERM:
		if (flags & VIGIL_ATTACH_EVICT)
			return vigil_lib_fail(
				err, "only root may evict VM %s's monitors",
				vm);
		return vigil_lib_fail(
			err,
			"you may not attach to VM %s: that takes what ptrace(2) on its process "
			"takes, the same user and groups and a process that may be dumped, or "
			"root",
			vm);
	case EBUSY:
		if (flags & VIGIL_ATTACH_READ)
			return vigil_lib_fail(
				err,
				"VM %s has %d readers already, and can have no more",
				vm, VIGIL_MAX_READERS);
		return vigil_lib_fail(
			err,
			"VM %s has %d monitors already, and can have no more (root: --evict)",
			vm, VIGIL_MAX_MONITORS);
	}
	return vigil_lib_fail(err, "cannot attach to VM %s: %s", vm,
			      strerror(err));
}

int vigil_attach_fd(struct vigil_monitor **mon, int fd)
{
	struct vigil_vm_info info;
	struct vigil_monitor *m;
	int flags;

	*mon = NULL;
	if (ioctl(fd, VIGIL_GET_INFO, &info))
		return vigil_lib_fail(
			EINVAL,
			"the file is no monitor of this library's version");
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return vigil_lib_fail(errno, "cannot set up a monitor: %s",
				      strerror(errno));
	m = aligned_alloc(_Alignof(struct vigil_monitor), sizeof(*m));
	if (!m)
		return vigil_lib_fail(ENOMEM, "out of memory");
	memset(m, 0, sizeof(*m));
	m->fd = fd;
	*mon = m;
	return 0;
}

int vigil_attach(struct vigil_monitor **mon, const char *device, const char *vm,
		 unsigned int flags)
{
	struct vigil_attach a = { .flags = flags };
	int dev = open_device(device), fd = -1, ret;

	*mon = NULL;
	if (dev < 0)
		return dev;
	ret = find_vm(dev, vm, &a.vm_id);
	if (!ret) {
		fd = ioctl(dev, VIGIL_ATTACH, &a);
		if (fd < 0)
			ret = attach_failed(errno, vm, flags);
	}
	close(dev);
	if (!ret)
		ret = vigil_attach_fd(mon, fd);
	if (ret && fd >= 0)
		close(fd);
	return ret;
}

void vigil_detach(struct vigil_monitor *mon)
{
	if (!mon)
		return;
	queue_free(mon);
	close(mon->fd);
	free(mon);
}

int vigil_fd(const struct vigil_monitor *mon)
{
	return mon->fd;
}

int vigil_get_vm(struct vigil_monitor *mon, struct vigil_vm_desc *vm,
		 size_t size)
{
	struct vigil_vm_info info;
	struct vigil_vm_desc desc;

	if (ioctl(mon->fd, VIGIL_GET_INFO, &info))
		return vigil_lib_fail(errno, "cannot ask about the VM: %s",
				      strerror(errno));
	describe(&desc, &info);
	give(vm, size, &desc, sizeof(desc));
	return 0;
}

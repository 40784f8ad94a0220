// SPDX-License-Identifier: GPL-2.0
/* Error texts, and opening the device with an explanation when it fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvm.h"

static __thread char error_text[512];

const char *lv_error(void)
{
	return error_text;
}

int lv_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	return err > 0 ? -err : err;
}

int lv_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret;
}

const char *lv_device_path(const char *path)
{
	if (!path || !*path)
		path = getenv("VIGIL_DEVICE");
	if (!path || !*path)
		path = LV_DEFAULT_DEVICE;
	return path;
}

static const char *open_advice(int err, bool kvm)
{
	switch (err) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return kvm ? "load kvm_amd or kvm_intel" :
			     "load the module (modprobe vigil), or name another "
			     "device with --device or VIGIL_DEVICE";
	case EACCES:
	case EPERM:
		return "join the group that owns it (ls -l shows which, often kvm) "
		       "or run as root";
	case EBUSY:
		return "something else owns the virtualization hardware; dmesg says who";
	}
	return "dmesg may say more";
}

int lv_open(const char *path)
{
	int fd, version, err;

	path = lv_device_path(path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		err = errno;
		return lv_fail(err, "cannot open %s: %s; %s", path,
			       strerror(err),
			       open_advice(err, strstr(path, "kvm") != NULL));
	}
	version = lv_ioctl(fd, KVM_GET_API_VERSION, NULL);
	if (version != KVM_API_VERSION) {
		err = version < 0 ? errno : EPROTO;
		close(fd);
		if (version < 0)
			return lv_fail(err, "%s is not a hypervisor: %s", path,
				       strerror(err));
		return lv_fail(err,
			       "%s speaks version %d of the KVM API, not %d",
			       path, version, KVM_API_VERSION);
	}
	return fd;
}

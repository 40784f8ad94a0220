// SPDX-License-Identifier: GPL-2.0
/*
 * Is preloaded into the kernel's own KVM selftests, whose sources stay as they
 * are. It opens VIGIL_DEV where they open /dev/kvm. It answers
 * KVM_CREATE_IRQCHIP, which they call for each VM, when the device has no
 * interrupt controllers. It gives their alarm() clocks, which detect a hang
 * within seconds of real hardware, the time that an emulated host takes. It
 * prints what it did.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALARM_FACTOR 60
#define EXPORT __attribute__((visibility("default")))

/* Newer C libraries map one of these onto the other, so both are defined. */
EXPORT int open(const char *path, int flags, ...);
EXPORT int open64(const char *path, int flags, ...);
EXPORT int ioctl(int fd, unsigned long request, ...);
EXPORT unsigned int alarm(unsigned int seconds);

static void *next(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);

	if (!fn) {
		fprintf(stderr, "shim: no %s\n", name);
		abort();
	}
	return fn;
}

static void say(int *said, const char *text)
{
	if (!__atomic_exchange_n(said, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "shim: %s\n", text);
}

static int open_device(const char *path, int flags, mode_t mode)
{
	int (*real)(const char *path, int flags, ...) = next("open64");
	const char *device = getenv("VIGIL_DEV");

	if (device && !strcmp(path, "/dev/kvm"))
		path = device;
	return real(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_device(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_device(path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int fd, unsigned long request, ...) = next("ioctl");
	static int said;
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	ret = real(fd, request, arg);
	if (ret && request == KVM_CREATE_IRQCHIP && errno == ENOTTY) {
		say(&said,
		    "KVM_CREATE_IRQCHIP answered here, the device has none");
		return 0;
	}
	return ret;
}

unsigned int alarm(unsigned int seconds)
{
	unsigned int (*real)(unsigned int seconds) = next("alarm");
	static int said;

	if (seconds)
		say(&said, "alarm() waits 60 times as long");
	return real(seconds * ALARM_FACTOR);
}

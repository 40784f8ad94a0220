// SPDX-License-Identifier: GPL-2.0
/* Files into memory, memory into the guest, and the choice of a loader. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

#define PAGE 4096ull

int blob_read(struct blob *blob, const char *path, size_t max)
{
	struct stat st;
	size_t got = 0;
	int fd, err;

	*blob = (struct blob){ 0 };
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = errno;
		return lv_fail(err, "cannot open %s: %s", path, strerror(err));
	}
	if (fstat(fd, &st)) {
		err = lv_fail(errno, "cannot examine %s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = lv_fail(EINVAL, "%s is not a regular file", path);
		goto out;
	}
	if (!st.st_size || (uint64_t)st.st_size > max) {
		err = lv_fail(EFBIG, "%s is %s", path,
			      st.st_size ? "larger than the guest's memory" :
					   "empty");
		goto out;
	}
	blob->data = malloc(st.st_size);
	if (!blob->data) {
		err = lv_fail(ENOMEM, "no memory for %s", path);
		goto out;
	}
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, blob->data + got, st.st_size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = lv_fail(n ? errno : EIO, "cannot read all of %s",
				      path);
			blob_free(blob);
			goto out;
		}
		got += n;
	}
	blob->size = got;
	err = 0;
out:
	close(fd);
	return err;
}

void blob_free(struct blob *blob)
{
	free(blob->data);
	*blob = (struct blob){ 0 };
}

int load_copy(struct lv_vm *vm, uint64_t gpa, const void *data, uint64_t size)
{
	void *p;

	if (!size)
		return 0;
	p = lv_vm_ptr(vm, gpa, size);
	if (!p)
		return lv_fail(
			EFAULT,
			"no guest RAM for %#llx bytes at %#llx (try --mem)",
			(unsigned long long)size, (unsigned long long)gpa);
	memcpy(p, data, size);
	return 0;
}

int load_top(const struct mem_map *mem, uint64_t floor, uint64_t ceiling,
	     uint64_t size, uint64_t *addr)
{
	if (ceiling > mem->low_end)
		ceiling = mem->low_end;
	if (size > ceiling)
		return -ENOMEM;
	*addr = (ceiling - size) & ~(PAGE - 1);
	return *addr < floor ? -ENOMEM : 0;
}

int load_module(const struct load_args *args, uint64_t kernel_end,
		uint64_t *addr)
{
	if (load_top(args->mem, kernel_end, args->mem->low_end,
		     args->initrd.size, addr))
		return lv_fail(
			ENOMEM,
			"the module (%zu KiB) does not fit behind the kernel; try "
			"a larger --mem",
			args->initrd.size >> 10);
	return load_copy(args->vm, *addr, args->initrd.data, args->initrd.size);
}

int load_gdt(struct lv_vm *vm)
{
	static const uint64_t gdt[] = {
		0, 0x00cf9b000000ffff, /* 0x08: code */
		0x00cf9b000000ffff, /* 0x10: code, Linux's __BOOT_CS */
		0x00cf93000000ffff, /* 0x18: data, Linux's __BOOT_DS */
	};

	return load_copy(vm, LOAD_GDT, gdt, sizeof(gdt));
}

int load_flat(const struct load_args *args, struct boot_state *boot)
{
	uint64_t end = (uint64_t)args->load_addr + args->kernel.size;
	int err;

	if (args->initrd.size)
		return lv_fail(EINVAL, "a flat binary has no use for --initrd");
	if (args->entry < args->load_addr || args->entry >= end)
		return lv_fail(
			EINVAL,
			"the entry point %#x is not inside the image (%#x to %#llx)",
			args->entry, args->load_addr, (unsigned long long)end);
	if (args->load_addr < 0x100000 && end > CONVENTIONAL_END)
		return lv_fail(
			EFBIG,
			"%s: not a bzImage, no multiboot header, and too large (%zu "
			"bytes) for a flat binary at %#x; a compressed file has to be "
			"unpacked first",
			args->path, args->kernel.size, args->load_addr);
	err = load_copy(args->vm, args->load_addr, args->kernel.data,
			args->kernel.size);
	if (err)
		return err;
	*boot = (struct boot_state){ .what = "flat binary", .esp = 0x7000 };
	if (args->entry >= 0x100000) {
		boot->protected_mode = true;
		boot->cs = 0x08;
		boot->ds = 0x18;
		boot->eip = args->entry;
		return load_gdt(args->vm);
	}
	boot->cs = (args->entry & 0xf0000) >> 4;
	boot->eip = args->entry & 0xffff;
	boot->edx = 0x80; /* the BIOS number of the boot disk */
	return 0;
}

int load_kernel(const struct load_args *args, struct boot_state *boot)
{
	static const uint16_t bda_ebda = 0x9fc0, bda_kib = 639;
	int ret;

	/* The two words of the BIOS data area that kernels look at. */
	ret = load_copy(args->vm, 0x40e, &bda_ebda, sizeof(bda_ebda));
	if (!ret)
		ret = load_copy(args->vm, 0x413, &bda_kib, sizeof(bda_kib));
	if (ret)
		return ret;
	if (!args->flat) {
		ret = load_linux(args, boot);
		if (ret <= 0)
			return ret;
		ret = args->xen ? load_pvh(args, boot) : 1;
		if (ret <= 0)
			return ret;
		ret = load_multiboot(args, boot);
		if (ret <= 0)
			return ret;
		ret = load_pvh(args, boot);
		if (ret <= 0)
			return ret;
		if (args->kernel.size >= 4 &&
		    !memcmp(args->kernel.data, "\177ELF", 4))
			return lv_fail(
				ENOEXEC,
				"%s is an ELF file without a multiboot header and "
				"without a note of Xen's that names a 32-bit entry; "
				"for Linux take the bzImage (arch/x86/boot/bzImage, "
				"/boot/vmlinuz), or say --flat",
				args->path);
		/*
		 * The file is a kernel with EFI stub, but ends before the mark
		 * of its header.
		 */
		if (args->kernel.size >= 2 &&
		    !memcmp(args->kernel.data, "MZ", 2))
			return lv_fail(
				ENOEXEC,
				"%s is a program for EFI or DOS, or a bzImage that is "
				"cut short; say --flat if it is neither",
				args->path);
	}
	return load_flat(args, boot);
}

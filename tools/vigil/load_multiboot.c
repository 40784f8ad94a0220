// SPDX-License-Identifier: GPL-2.0
/*
 * Multiboot 1 kernels: ELF (32- or 64-bit with 32-bit addresses), or any format
 * whose header gives the load addresses itself. The initrd becomes module 0.
 */
#include <errno.h>
#include <string.h>

#include "load.h"

#define MB_MAGIC 0x1badb002u
#define MB_SEARCH 8192
#define MB_PAGE_ALIGN 0x1u
#define MB_MEMORY 0x2u
#define MB_VIDEO 0x4u
#define MB_ADDRESSES 0x10000u
#define MB_BOOT_MAGIC 0x2badb002u

struct mb_header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr,
		entry_addr;
};

#define INFO_MEMORY 0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODS 0x008u
#define INFO_MMAP 0x040u
#define INFO_LOADER 0x200u

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr, config_table, boot_loader_name;
	uint32_t apm_table;
};

struct mb_module {
	uint32_t start, end, string, reserved;
};

struct mb_mmap {
	uint32_t size;
	uint64_t addr, len;
	uint32_t type;
} __attribute__((packed));

/* The data at LOAD_INFO. */
struct mb_block {
	struct mb_info info;
	struct mb_module module;
	struct mb_mmap mmap[MEM_MAX_RANGES];
	char loader[8];
};

_Static_assert(sizeof(struct mb_mmap) == 24, "multiboot memory map entry");
_Static_assert(LOAD_INFO + sizeof(struct mb_block) <= LOAD_CMDLINE,
	       "boot information area");

/*
 * Returns the header's offset in the image; -1: there is none; -2: the image
 * ends inside it.
 */
static long find_header(const struct blob *k, struct mb_header *hdr)
{
	size_t limit = k->size < MB_SEARCH ? k->size : MB_SEARCH;

	for (size_t off = 0; off + 12 <= limit; off += 4) {
		memset(hdr, 0, sizeof(*hdr));
		memcpy(hdr, k->data + off, 12);
		if (hdr->magic != MB_MAGIC ||
		    hdr->magic + hdr->flags + hdr->checksum)
			continue;
		if (hdr->flags & MB_ADDRESSES) {
			if (off + sizeof(*hdr) > k->size)
				return -2;
			memcpy(hdr, k->data + off, sizeof(*hdr));
		}
		return off;
	}
	return -1;
}

static int load_by_header(const struct load_args *args,
			  const struct mb_header *hdr, long hdr_off,
			  uint64_t *end)
{
	uint64_t off, filesz, memsz;

	if (hdr->header_addr < hdr->load_addr ||
	    hdr->header_addr - hdr->load_addr > (uint64_t)hdr_off)
		goto bad;
	off = hdr_off - (hdr->header_addr - hdr->load_addr);
	filesz = args->kernel.size - off;
	if (hdr->load_end_addr) {
		if (hdr->load_end_addr < hdr->load_addr)
			goto bad;
		filesz = hdr->load_end_addr - hdr->load_addr;
	}
	memsz = filesz;
	if (hdr->bss_end_addr) {
		if (hdr->bss_end_addr < hdr->load_addr)
			goto bad;
		memsz = hdr->bss_end_addr - hdr->load_addr;
	}
	return load_segment(args, hdr->load_addr, off, filesz, memsz, end);
bad:
	return lv_fail(
		ENOEXEC,
		"%s: the addresses in its multiboot header contradict each other",
		args->path);
}

static int load_multiboot_elf(const struct load_args *args, uint64_t *end,
			      uint32_t *entry)
{
	int err = load_elf(args, end, entry);

	return err == 1 ?
		       lv_fail(ENOEXEC,
			       "%s has a multiboot header, but is no ELF file and "
			       "gives no load address",
			       args->path) :
		       err;
}

static int write_info(const struct load_args *args, uint64_t kernel_end)
{
	static const char loader[] = "vigil";
	struct mb_block b = { 0 };
	char *cmdline;
	uint64_t addr;
	int n;

	b.info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER;
	b.info.mem_lower = CONVENTIONAL_END >> 10;
	b.info.mem_upper = args->mem->low_end > 0x100000 ?
				   (args->mem->low_end - 0x100000) >> 10 :
				   0;
	b.info.cmdline = LOAD_CMDLINE;
	cmdline = lv_vm_ptr(args->vm, LOAD_CMDLINE, LOAD_CMDLINE_MAX);
	if (!cmdline)
		return lv_fail(EFAULT,
			       "no conventional memory for the command line");
	n = snprintf(cmdline, LOAD_CMDLINE_MAX, "%s%s%s", args->path,
		     *args->append ? " " : "", args->append);
	if (n < 0 || n >= (int)LOAD_CMDLINE_MAX)
		return lv_fail(E2BIG, "the command line is too long");
	for (unsigned int i = 0; i < args->mem->n; i++)
		b.mmap[i] = (struct mb_mmap){ 20, args->mem->ranges[i].addr,
					      args->mem->ranges[i].size,
					      args->mem->ranges[i].type };
	b.info.mmap_addr = LOAD_INFO + offsetof(struct mb_block, mmap);
	b.info.mmap_length = args->mem->n * sizeof(b.mmap[0]);
	memcpy(b.loader, loader, sizeof(loader));
	b.info.boot_loader_name = LOAD_INFO + offsetof(struct mb_block, loader);
	if (args->initrd.size) {
		n = load_module(args, kernel_end, &addr);
		if (n)
			return n;
		b.info.flags |= INFO_MODS;
		b.info.mods_count = 1;
		b.info.mods_addr =
			LOAD_INFO + offsetof(struct mb_block, module);
		b.module = (struct mb_module){ addr, addr + args->initrd.size,
					       LOAD_CMDLINE, 0 };
	}
	return load_copy(args->vm, LOAD_INFO, &b, sizeof(b));
}

int load_multiboot(const struct load_args *args, struct boot_state *boot)
{
	uint64_t end = 0x100000;
	struct mb_header hdr;
	uint32_t entry = 0;
	long off;
	int err;

	off = find_header(&args->kernel, &hdr);
	if (off == -2)
		return lv_fail(ENOEXEC,
			       "%s is cut short inside its multiboot header",
			       args->path);
	if (off < 0)
		return 1;
	/*
	 * Bits 0 to 15 are requirements: a bit that is not known here cannot be
	 * met.
	 */
	if (hdr.flags & 0xffff & ~(MB_PAGE_ALIGN | MB_MEMORY))
		return lv_fail(
			ENOEXEC,
			"%s asks for what vigil does not provide (multiboot "
			"flags %#x%s)",
			args->path, hdr.flags,
			hdr.flags & MB_VIDEO ? ", a video mode" : "");
	if (hdr.flags & MB_ADDRESSES) {
		entry = hdr.entry_addr;
		err = load_by_header(args, &hdr, off, &end);
	} else {
		err = load_multiboot_elf(args, &end, &entry);
	}
	if (!err)
		err = write_info(args, end);
	if (!err)
		err = load_gdt(args->vm);
	*boot = (struct boot_state){
		.protected_mode = true,
		.cs = 0x08,
		.ds = 0x18,
		.eip = entry,
		.eax = MB_BOOT_MAGIC,
		.ebx = LOAD_INFO,
		.esp = LOAD_AREA,
		.what = "multiboot kernel",
	};
	return err;
}

// SPDX-License-Identifier: GPL-2.0
/* ELF images, by their physical addresses. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "load.h"

#define MAX_SEGMENTS 128

int load_segment(const struct load_args *args, uint64_t addr, uint64_t off,
		 uint64_t filesz, uint64_t memsz, uint64_t *end)
{
	void *p;

	if (memsz < filesz)
		memsz = filesz;
	if (!memsz)
		return 0;
	if (off > args->kernel.size || filesz > args->kernel.size - off)
		return lv_fail(ENOEXEC, "%s is cut short", args->path);
	if (addr < LOAD_AREA_END && addr + memsz > LOAD_AREA)
		return lv_fail(ENOEXEC,
			       "%s wants to be loaded at %#llx, where the boot "
			       "information is (%#x to %#x)",
			       args->path, (unsigned long long)addr, LOAD_AREA,
			       LOAD_AREA_END);
	p = lv_vm_ptr(args->vm, addr, memsz);
	if (!p)
		return lv_fail(
			EFAULT,
			"%s wants %#llx bytes at %#llx, where the guest has no "
			"RAM (try --mem)",
			args->path, (unsigned long long)memsz,
			(unsigned long long)addr);
	memcpy(p, args->kernel.data + off, filesz);
	memset((uint8_t *)p + filesz, 0, memsz - filesz);
	if (addr + memsz > *end)
		*end = addr + memsz;
	return 0;
}

int load_elf(const struct load_args *args, uint64_t *end, uint32_t *entry)
{
	const struct blob *k = &args->kernel;
	const uint8_t *d = k->data;
	bool elf64;
	uint64_t phoff, phentsize, e_entry;
	unsigned int phnum;
	int err;

	if (k->size < sizeof(Elf64_Ehdr) || memcmp(d, ELFMAG, SELFMAG) ||
	    d[EI_DATA] != ELFDATA2LSB ||
	    (d[EI_CLASS] != ELFCLASS32 && d[EI_CLASS] != ELFCLASS64))
		return 1;
	elf64 = d[EI_CLASS] == ELFCLASS64;
	if (elf64) {
		const Elf64_Ehdr *e = (const void *)d;

		phoff = e->e_phoff;
		phnum = e->e_phnum;
		phentsize = e->e_phentsize;
		e_entry = e->e_entry;
	} else {
		const Elf32_Ehdr *e = (const void *)d;

		phoff = e->e_phoff;
		phnum = e->e_phnum;
		phentsize = e->e_phentsize;
		e_entry = e->e_entry;
	}
	if (!phnum || phnum > MAX_SEGMENTS || e_entry > UINT32_MAX ||
	    phentsize < (elf64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
	    phoff > k->size || phentsize * phnum > k->size - phoff)
		return lv_fail(ENOEXEC, "%s: bad ELF program headers",
			       args->path);
	for (unsigned int i = 0; i < phnum; i++) {
		const uint8_t *p = d + phoff + i * phentsize;

		if (elf64) {
			Elf64_Phdr ph;

			memcpy(&ph, p, sizeof(ph));
			if (ph.p_type != PT_LOAD)
				continue;
			err = load_segment(args, ph.p_paddr, ph.p_offset,
					   ph.p_filesz, ph.p_memsz, end);
		} else {
			Elf32_Phdr ph;

			memcpy(&ph, p, sizeof(ph));
			if (ph.p_type != PT_LOAD)
				continue;
			err = load_segment(args, ph.p_paddr, ph.p_offset,
					   ph.p_filesz, ph.p_memsz, end);
		}
		if (err)
			return err;
	}
	*entry = e_entry;
	return 0;
}

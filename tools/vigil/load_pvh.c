// SPDX-License-Identifier: GPL-2.0
/*
 * Kernels for Xen's boot protocol of HVM guests without firmware ("PVH"): ELF, with a
 * note that names a 32-bit entry point. They find struct hvm_start_info at EBX.
 */
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>

#include <xen/xen.h>

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/elfnote.h>

#include "load.h"

#define NOTE_OWNER "Xen"

/* The data at LOAD_INFO. */
struct pvh_block {
	struct hvm_start_info info;
	struct hvm_modlist_entry module;
	struct hvm_memmap_table_entry map[MEM_MAX_RANGES];
};

_Static_assert(LOAD_INFO + sizeof(struct pvh_block) <= LOAD_CMDLINE,
	       "boot information area");

/* Looks for the entry point in one segment of notes. */
static bool entry_in(Elf_Data *notes, uint32_t *entry)
{
	size_t at = 0, name, desc;
	const char *base = notes->d_buf;
	GElf_Nhdr n;

	while ((at = gelf_getnote(notes, at, &n, &name, &desc)) > 0) {
		if (n.n_type != XEN_ELFNOTE_PHYS32_ENTRY ||
		    n.n_namesz != sizeof(NOTE_OWNER) ||
		    memcmp(base + name, NOTE_OWNER, sizeof(NOTE_OWNER)) ||
		    n.n_descsz < sizeof(*entry))
			continue;
		memcpy(entry, base + desc, sizeof(*entry));
		return true;
	}
	return false;
}

static bool find_entry(const struct blob *k, uint32_t *entry)
{
	size_t i, n = 0;
	bool found = false;
	Elf_Data *notes;
	GElf_Phdr ph;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_memory((char *)k->data, k->size);
	if (!elf)
		return false;
	if (elf_getphdrnum(elf, &n))
		n = 0;
	for (i = 0; i < n && !found; i++) {
		if (!gelf_getphdr(elf, i, &ph) || ph.p_type != PT_NOTE)
			continue;
		notes = elf_getdata_rawchunk(elf, ph.p_offset, ph.p_filesz,
					     ELF_T_NHDR);
		found = notes && entry_in(notes, entry);
	}
	elf_end(elf);
	return found;
}

static int add_module(const struct load_args *args, uint64_t kernel_end,
		      struct pvh_block *b)
{
	uint64_t addr;
	int err;

	err = load_module(args, kernel_end, &addr);
	if (err)
		return err;
	b->module.paddr = addr;
	b->module.size = args->initrd.size;
	b->info.nr_modules = 1;
	b->info.modlist_paddr = LOAD_INFO + offsetof(struct pvh_block, module);
	return 0;
}

static int write_info(const struct load_args *args, uint64_t kernel_end)
{
	struct pvh_block b = { 0 };
	size_t len = strlen(args->append) + 1;
	unsigned int i;
	int err = 0;

	b.info.magic = XEN_HVM_START_MAGIC_VALUE;
	b.info.version = 1;
	b.info.cmdline_paddr = LOAD_CMDLINE;
	if (len > LOAD_CMDLINE_MAX)
		return lv_fail(E2BIG, "the command line is too long");
	for (i = 0; i < args->mem->n; i++)
		b.map[i] = (struct hvm_memmap_table_entry){
			.addr = args->mem->ranges[i].addr,
			.size = args->mem->ranges[i].size,
			.type = args->mem->ranges[i].type,
		};
	b.info.memmap_paddr = LOAD_INFO + offsetof(struct pvh_block, map);
	b.info.memmap_entries = args->mem->n;
	if (args->initrd.size)
		err = add_module(args, kernel_end, &b);
	if (!err)
		err = load_copy(args->vm, LOAD_CMDLINE, args->append, len);
	return err ? err : load_copy(args->vm, LOAD_INFO, &b, sizeof(b));
}

int load_pvh(const struct load_args *args, struct boot_state *boot)
{
	uint64_t end = 0x100000;
	uint32_t entry, unused;
	int err;

	if (!find_entry(&args->kernel, &entry))
		return 1;
	err = load_elf(args, &end, &unused);
	if (!err)
		err = write_info(args, end);
	if (!err)
		err = load_gdt(args->vm);
	*boot = (struct boot_state){
		.protected_mode = true,
		.pvh = true,
		.cs = 0x08,
		.ds = 0x18,
		.eip = entry,
		.ebx = LOAD_INFO,
		.esp = LOAD_AREA,
		.what = "kernel for Xen (PVH)",
	};
	return err;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel images into guest memory, and the CPU state that starts them. */
#ifndef VIGIL_LOAD_H
#define VIGIL_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libvm.h>

/*
 * Loaders put their own data here, all in conventional memory. A kernel that
 * wants to be loaded over it is refused.
 */
#define LOAD_AREA 0x90000u /* first byte that loaders may use */
#define LOAD_INFO 0x90000u /* boot_params or multiboot information */
#define LOAD_CMDLINE 0x92000u /* command line, up to LOAD_GDT */
#define LOAD_GDT 0x9e000u
#define LOAD_AREA_END 0x9f000u
#define CONVENTIONAL_END 0x9fc00u /* 640 KiB less the EBDA */
#define LOAD_CMDLINE_MAX (LOAD_GDT - LOAD_CMDLINE)

#define E820_RAM 1
#define E820_RESERVED 2
#define MEM_MAX_RANGES 8

/**
 * struct mem_range - one range of the guest's memory map
 * @addr: first byte
 * @size: bytes
 * @type: E820_*
 */
struct mem_range {
	uint64_t addr, size;
	uint32_t type;
};

/**
 * struct mem_map - the guest's memory, as told to its kernel
 * @ranges: ascending
 * @n: how many
 * @low_end: end of the RAM below 4 GiB
 * @high_bytes: RAM above 4 GiB
 */
struct mem_map {
	struct mem_range ranges[MEM_MAX_RANGES];
	unsigned int n;
	uint64_t low_end, high_bytes;
};

/**
 * struct blob - a file in memory
 * @data: malloc()ed, NULL when there is none
 * @size: bytes
 */
struct blob {
	uint8_t *data;
	size_t size;
};

/**
 * struct load_args - what to load
 * @vm: into which memory
 * @mem: its map
 * @path: the kernel's name, for messages and multiboot
 * @kernel: the image
 * @initrd: initial RAM disk or multiboot module, may be empty
 * @append: the user's part of the command line, never NULL
 * @tsc_khz: the guest's TSC frequency, 0 if not known
 * @default_append: put our defaults in front of @append (Linux only)
 * @flat: take the image as a flat binary, whatever it looks like
 * @xen: what Xen can boot is booted as Xen does
 * @load_addr: for flat binaries
 * @entry: for flat binaries
 */
struct load_args {
	struct lv_vm *vm;
	const struct mem_map *mem;
	const char *path;
	struct blob kernel, initrd;
	const char *append;
	unsigned int tsc_khz;
	bool default_append, flat, xen;
	uint32_t load_addr, entry;
};

/**
 * struct boot_state - how the CPU starts
 * @protected_mode: 32-bit flat segments without paging; else real mode
 * @pvh: CR0 and TR are those that Xen's boot protocol wants
 * @cs: code selector; real mode: base is @cs << 4
 * @ds: selector of the data segments
 * @eip: and the registers that carry the loader's message
 * @eax: likewise
 * @ebx: likewise
 * @edx: likewise
 * @esi: likewise
 * @esp: likewise
 * @what: for the user: what kind of image it was
 */
struct boot_state {
	bool protected_mode, pvh;
	uint16_t cs, ds;
	uint32_t eip, eax, ebx, edx, esi, esp;
	const char *what;
};

/* Reads a file of at most @max bytes. Return: 0 or -errno with lv_error(). */
int blob_read(struct blob *blob, const char *path, size_t max);
void blob_free(struct blob *blob);

/* Copies into guest RAM. Return: 0 or -EFAULT with lv_error(). */
int load_copy(struct lv_vm *vm, uint64_t gpa, const void *data, uint64_t size);

/**
 * load_top() - place something as high as possible below a limit
 * @mem: the guest's memory
 * @floor: nothing may lie below this
 * @ceiling: the thing ends at or below this
 * @size: of the thing, in bytes
 * @addr: page-aligned result
 *
 * Return: 0 or -ENOMEM.
 */
int load_top(const struct mem_map *mem, uint64_t floor, uint64_t ceiling,
	     uint64_t size, uint64_t *addr);

/**
 * load_segment() - copy a part of the image, and clear what follows
 * @args: the image
 * @addr: guest-physical address
 * @off: of the part in the image
 * @filesz: bytes of it
 * @memsz: bytes that it has in memory; those behind @filesz are cleared
 * @end: raised to the end of the part
 *
 * Return: 0 or -errno with lv_error().
 */
int load_segment(const struct load_args *args, uint64_t addr, uint64_t off,
		 uint64_t filesz, uint64_t memsz, uint64_t *end);

/*
 * Loads an ELF image by its physical addresses, which 32-bit code without paging must
 * reach. 1: it is none; 0; -errno with lv_error().
 */
int load_elf(const struct load_args *args, uint64_t *end, uint32_t *entry);

/*
 * Puts args->initrd as high as possible behind @kernel_end, as module 0 of a kernel.
 * 0 with its address, or -errno with lv_error().
 */
int load_module(const struct load_args *args, uint64_t kernel_end,
		uint64_t *addr);

/* A flat 32-bit GDT at LOAD_GDT: 0x08/0x10 code, 0x18 data (0x10 for Linux). */
int load_gdt(struct lv_vm *vm);

/* Each Return: 1 not mine, 0 loaded, -errno with lv_error(). */
int load_linux(const struct load_args *args, struct boot_state *boot);
int load_multiboot(const struct load_args *args, struct boot_state *boot);
int load_pvh(const struct load_args *args, struct boot_state *boot);
int load_flat(const struct load_args *args, struct boot_state *boot);

/* Tries the loaders in turn. Return: 0 or -errno with lv_error(). */
int load_kernel(const struct load_args *args, struct boot_state *boot);

#endif

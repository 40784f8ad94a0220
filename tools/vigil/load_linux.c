// SPDX-License-Identifier: GPL-2.0
/*
 * Linux bzImage, by the 32-bit boot protocol (Documentation/arch/x86/boot.rst in
 * the kernel): the setup code is skipped, boot_params is ours, the CPU starts in
 * flat protected mode at 1 MiB. A 64-bit kernel switches to long mode itself.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define HDR_OFFSET 0x1f1
#define HDR_MAGIC 0x53726448 /* "HdrS" */
#define KERNEL_ADDR 0x100000u
#define PROTOCOL_MIN 0x0206 /* the first with cmdline_size */

/*
 * Options that a stock kernel needs here, or that save it from probing for what
 * does not exist: APIC, ACPI, PCI; and from calibration loops, which are slow
 * in an emulated host.
 */
#define DEFAULT_APPEND \
	"console=ttyS0 noapic nolapic acpi=off pci=off no_timer_check reboot=k io_delay=none"

static int build_cmdline(const struct load_args *args, char *buf, size_t size)
{
	char tsc[64] = "";
	int n;

	if (args->tsc_khz && args->default_append)
		snprintf(tsc, sizeof(tsc), " tsc=reliable tsc_early_khz=%u",
			 args->tsc_khz);
	n = snprintf(buf, size, "%s%s%s%s",
		     args->default_append ? DEFAULT_APPEND : "", tsc,
		     args->default_append && *args->append ? " " : "",
		     args->append);
	if (n < 0 || (size_t)n >= size)
		return lv_fail(
			E2BIG,
			"the command line is longer than the %zu bytes that "
			"this kernel takes",
			size - 1);
	return n + 1;
}

static int fill_e820(struct boot_params *bp, const struct mem_map *mem)
{
	for (unsigned int i = 0; i < mem->n; i++) {
		bp->e820_table[i].addr = mem->ranges[i].addr;
		bp->e820_table[i].size = mem->ranges[i].size;
		bp->e820_table[i].type = mem->ranges[i].type;
	}
	bp->e820_entries = mem->n;
	return 0;
}

/* Are the header's two marks there? The rest of the header may be missing. */
static bool is_linux(const struct blob *kernel)
{
	const struct setup_header *hdr =
		(const void *)(kernel->data + HDR_OFFSET);

	return kernel->size >=
		       HDR_OFFSET + offsetof(struct setup_header, version) &&
	       hdr->boot_flag == 0xaa55 && hdr->header == HDR_MAGIC;
}

static int check_header(const struct load_args *args,
			const struct setup_header *hdr, size_t *setup_size)
{
	uint64_t whole;

	if (hdr->version < PROTOCOL_MIN)
		return lv_fail(
			ENOEXEC,
			"%s: boot protocol %u.%02u is too old (2.06 is the "
			"oldest, Linux 2.6.22)",
			args->path, hdr->version >> 8, hdr->version & 0xff);
	if (!(hdr->loadflags & LOADED_HIGH))
		return lv_fail(ENOEXEC, "%s is a zImage; a bzImage is needed",
			       args->path);
	*setup_size = ((hdr->setup_sects ?: 4) + 1) * 512;
	/* A signature may follow behind what the header counts. */
	whole = *setup_size + hdr->syssize * 16ull;
	if (*setup_size >= args->kernel.size || whole > args->kernel.size)
		return lv_fail(
			ENOEXEC,
			"%s is cut short: %zu bytes of the %llu that its header "
			"counts",
			args->path, args->kernel.size,
			(unsigned long long)whole);
	return 0;
}

/*
 * Returns the end of the memory that the kernel uses before it knows the memory
 * map.
 */
static uint64_t kernel_end(const struct setup_header *hdr, uint64_t image_size)
{
	uint64_t end = KERNEL_ADDR + image_size;
	uint64_t start = KERNEL_ADDR, align = hdr->kernel_alignment;

	if (hdr->version < 0x020a)
		return end;
	if (hdr->pref_address > start)
		start = hdr->pref_address;
	/* No kernel runs that high, and below this no sum can wrap. */
	if (start > UINT64_MAX / 2)
		return UINT64_MAX;
	if (align && !(align & (align - 1)))
		start = (start + align - 1) & ~(align - 1);
	if (start + hdr->init_size > end)
		end = start + hdr->init_size;
	return end;
}

static int place_initrd(const struct load_args *args,
			const struct setup_header *hdr, uint64_t floor,
			struct boot_params *bp)
{
	uint64_t addr;

	if (!args->initrd.size)
		return 0;
	if (load_top(args->mem, floor, (uint64_t)hdr->initrd_addr_max + 1,
		     args->initrd.size, &addr))
		return lv_fail(
			ENOMEM,
			"the initrd (%zu KiB) does not fit behind the kernel, "
			"which needs %llu MiB; try a larger --mem",
			args->initrd.size >> 10,
			(unsigned long long)(floor >> 20));
	bp->hdr.ramdisk_image = addr;
	bp->hdr.ramdisk_size = args->initrd.size;
	return load_copy(args->vm, addr, args->initrd.data, args->initrd.size);
}

int load_linux(const struct load_args *args, struct boot_state *boot)
{
	const struct setup_header *hdr;
	size_t setup_size = 0, cmdline_max, hdr_size;
	struct boot_params *bp;
	char *cmdline = NULL;
	uint64_t end;
	int ret;

	if (!is_linux(&args->kernel))
		return 1;
	if (args->kernel.size < HDR_OFFSET + sizeof(*hdr))
		return lv_fail(ENOEXEC,
			       "%s is cut short inside its header: %zu bytes",
			       args->path, args->kernel.size);
	hdr = (const void *)(args->kernel.data + HDR_OFFSET);
	ret = check_header(args, hdr, &setup_size);
	if (ret)
		return ret;
	end = kernel_end(hdr, args->kernel.size - setup_size);
	if (end > args->mem->low_end)
		return lv_fail(
			ENOMEM,
			"%s needs %llu MiB of memory to start; try a larger --mem",
			args->path, (unsigned long long)(end >> 20) + 1);

	bp = calloc(1, sizeof(*bp));
	cmdline_max = hdr->cmdline_size &&
				      hdr->cmdline_size < LOAD_CMDLINE_MAX ?
			      hdr->cmdline_size + 1 :
			      LOAD_CMDLINE_MAX;
	cmdline = malloc(cmdline_max);
	if (!bp || !cmdline) {
		ret = lv_fail(ENOMEM, "out of memory");
		goto out;
	}
	/* The byte behind the jump's opcode tells how long the header is. */
	hdr_size = 0x202 + args->kernel.data[0x201] - HDR_OFFSET;
	if (hdr_size > sizeof(bp->hdr))
		hdr_size = sizeof(bp->hdr);
	memcpy(&bp->hdr, hdr, hdr_size);
	bp->hdr.type_of_loader = 0xff;
	bp->hdr.code32_start = KERNEL_ADDR;
	bp->hdr.vid_mode = 0xffff;
	bp->hdr.cmd_line_ptr = LOAD_CMDLINE;
	bp->hdr.setup_data = 0;
	fill_e820(bp, args->mem);
	ret = place_initrd(args, hdr, end, bp);
	if (ret)
		goto out;
	ret = build_cmdline(args, cmdline, cmdline_max);
	if (ret < 0)
		goto out;
	ret = load_copy(args->vm, LOAD_CMDLINE, cmdline, ret);
	if (!ret)
		ret = load_copy(args->vm, LOAD_INFO, bp, sizeof(*bp));
	if (!ret)
		ret = load_copy(args->vm, KERNEL_ADDR,
				args->kernel.data + setup_size,
				args->kernel.size - setup_size);
	if (!ret)
		ret = load_gdt(args->vm);
	*boot = (struct boot_state){
		.protected_mode = true,
		.cs = 0x10,
		.ds = 0x18,
		.eip = KERNEL_ADDR,
		.esi = LOAD_INFO,
		.esp = LOAD_AREA,
		.what = "Linux bzImage",
	};
out:
	free(cmdline);
	free(bp);
	return ret;
}

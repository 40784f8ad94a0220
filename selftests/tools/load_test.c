// SPDX-License-Identifier: GPL-2.0
/* The kernel loaders, on images made here: good, bad, and mutated. */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "tap.h"

#define MIB (1u << 20)
#define MEM (32 * MIB)
#define SETUP_SIZE (5 * 512)
#define IMAGE_SIZE (SETUP_SIZE + 64 * 1024)

static struct lv_vm vm;
static struct mem_map mem;
static struct load_args args;
static struct boot_state boot;

/* Memory of its own per slot: ASan sees what goes beyond. */
static void setup(void)
{
	memset(&vm, 0, sizeof(vm));
	memset(&args, 0, sizeof(args));
	memset(&boot, 0, sizeof(boot));
	vm.slots[0] = (struct lv_slot){ 0, 0xa0000, calloc(1, 0xa0000), 0 };
	vm.slots[1] = (struct lv_slot){ 0xc0000, MEM - 0xc0000,
					calloc(1, MEM - 0xc0000), 0 };
	mem = (struct mem_map){
		.ranges = { { 0, CONVENTIONAL_END, E820_RAM },
			    { MIB, MEM - MIB, E820_RAM } },
		.n = 2,
		.low_end = MEM,
	};
	args.vm = &vm;
	args.mem = &mem;
	args.path = "image";
	args.append = "";
	args.load_addr = 0x7c00;
	args.entry = 0x7c00;
}

static void teardown(void)
{
	free(vm.slots[0].host);
	free(vm.slots[1].host);
	blob_free(&args.kernel);
	blob_free(&args.initrd);
}

static void *at(uint64_t gpa)
{
	void *p = lv_vm_ptr(&vm, gpa, 1);

	if (!p)
		ERROR("no memory at %#llx", (unsigned long long)gpa);
	return p;
}

static void add_initrd(size_t size)
{
	args.initrd.data = malloc(size);
	memset(args.initrd.data, 0x1d, size);
	args.initrd.size = size;
}

static struct setup_header *make_linux(void)
{
	struct setup_header *hdr;

	args.kernel.data = calloc(1, IMAGE_SIZE);
	args.kernel.size = IMAGE_SIZE;
	memset(args.kernel.data + SETUP_SIZE, 0xcc, IMAGE_SIZE - SETUP_SIZE);
	hdr = (void *)(args.kernel.data + 0x1f1);
	hdr->setup_sects = 4;
	hdr->syssize = (IMAGE_SIZE - SETUP_SIZE) / 16;
	hdr->boot_flag = 0xaa55;
	hdr->jump = 0x6aeb;
	hdr->header = 0x53726448;
	hdr->version = 0x020f;
	hdr->loadflags = LOADED_HIGH;
	hdr->initrd_addr_max = 0x7fffffff;
	hdr->kernel_alignment = 0x200000;
	hdr->relocatable_kernel = 1;
	hdr->cmdline_size = 2047;
	hdr->pref_address = 0x1000000;
	hdr->init_size = 0x800000;
	return hdr;
}

static void test_linux(long arg)
{
	const struct boot_params *bp;

	setup();
	make_linux();
	add_initrd(5000);
	args.append = "root=x";
	args.default_append = true;
	args.tsc_khz = 1234567;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.protected_mode, true);
	CHECK_EQ(boot.cs, 0x10);
	CHECK_EQ(boot.ds, 0x18);
	CHECK_EQ(boot.eip, 0x100000);
	bp = at(boot.esi);
	CHECK_EQ(bp->hdr.type_of_loader, 0xff);
	CHECK_EQ(bp->e820_entries, 2);
	CHECK_EQ(bp->e820_table[1].addr, MIB);
	CHECK_EQ(bp->hdr.ramdisk_size, 5000);
	CHECK_EQ(bp->hdr.ramdisk_image, MEM - 8192);
	CHECK_EQ(*(uint8_t *)at(bp->hdr.ramdisk_image + 4999), 0x1d);
	CHECK_EQ(*(uint8_t *)at(0x100000), 0xcc);
	CHECK_EQ(*(uint8_t *)at(0x100000 + IMAGE_SIZE - SETUP_SIZE - 1), 0xcc);
	CHECK_EQ(*(uint8_t *)at(0x100000 + IMAGE_SIZE - SETUP_SIZE), 0);
	CHECK(!strncmp(at(bp->hdr.cmd_line_ptr), "console=ttyS0 ", 14));
	CHECK(strstr(at(bp->hdr.cmd_line_ptr), "tsc_early_khz=1234567 root=x"));
	teardown();
}

static void test_linux_append(long arg)
{
	char *longer;

	setup();
	make_linux();
	args.append = "only this";
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK(!strcmp(at(LOAD_CMDLINE), "only this"));

	longer = malloc(2049);
	memset(longer, 'a', 2048);
	longer[2048] = 0;
	args.append = longer;
	CHECK_EQ(load_kernel(&args, &boot), -E2BIG);
	longer[2047] = 0;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	free(longer);
	teardown();
}

static void test_linux_bad(long arg)
{
	struct setup_header *hdr;

	setup();
	hdr = make_linux();
	hdr->version = 0x0205;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	hdr->version = 0x020f;
	hdr->loadflags = 0;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	hdr->loadflags = LOADED_HIGH;
	hdr->setup_sects = 255;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	hdr->setup_sects = 4;
	/* More than there is, and so much that the sum wraps. */
	hdr->init_size = MEM;
	CHECK_EQ(load_kernel(&args, &boot), -ENOMEM);
	hdr->pref_address = -4096ull;
	CHECK_EQ(load_kernel(&args, &boot), -ENOMEM);
	hdr->pref_address = 0x1000000;
	hdr->init_size = 0x800000;
	add_initrd(MEM - 0x1700000);
	CHECK_EQ(load_kernel(&args, &boot), -ENOMEM);
	args.initrd.size = MEM - 0x1800000;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	hdr->initrd_addr_max = 0x17fffff;
	CHECK_EQ(load_kernel(&args, &boot), -ENOMEM);
	teardown();
}

/* Loads the first @size bytes of the image, with nothing behind them. */
static int load_part(size_t size)
{
	struct blob whole = args.kernel;
	int ret;

	args.kernel.data = malloc(size);
	args.kernel.size = size;
	memcpy(args.kernel.data, whole.data, size);
	ret = load_kernel(&args, &boot);
	blob_free(&args.kernel);
	args.kernel = whole;
	return ret;
}

/* However little is missing, and wherever the file ends. */
static void test_linux_cut(long arg)
{
	setup();
	make_linux();
	memcpy(args.kernel.data, "MZ", 2); /* as with an EFI stub */
	CHECK_EQ(load_part(IMAGE_SIZE), 0);
	for (size_t size = 2; size < SETUP_SIZE + 600; size++) {
		if (load_part(size) == -ENOEXEC)
			continue;
		FAIL("the first %zu bytes are taken", size);
		break;
	}
	CHECK_EQ(load_part(IMAGE_SIZE - 1), -ENOEXEC);
	CHECK(strstr(lv_error(), "is cut short: 68095 bytes of the 68096"));
	CHECK_EQ(load_part(IMAGE_SIZE / 2), -ENOEXEC);
	/* Without the stub the file begins at the header's marks. */
	memcpy(args.kernel.data, "\0\0", 2);
	CHECK_EQ(load_part(0x206), -ENOEXEC);
	CHECK(strstr(lv_error(), "inside its header"));
	CHECK_EQ(load_part(0x26b), -ENOEXEC);
	/* A signature behind the kernel is not loaded. */
	args.kernel.data = realloc(args.kernel.data, IMAGE_SIZE + 100);
	args.kernel.size = IMAGE_SIZE + 100;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	teardown();
}

static uint32_t *make_multiboot(uint32_t flags, uint32_t addr)
{
	Elf32_Ehdr *e;
	Elf32_Phdr *ph;
	uint32_t *mb;

	args.kernel.data = calloc(1, 8192);
	args.kernel.size = 8192;
	e = (void *)args.kernel.data;
	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS32;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_phoff = 64;
	e->e_phnum = 1;
	e->e_phentsize = sizeof(*ph);
	e->e_entry = addr + 0x20;
	ph = (void *)(args.kernel.data + 64);
	*ph = (Elf32_Phdr){ .p_type = PT_LOAD,
			    .p_offset = 4096,
			    .p_paddr = addr,
			    .p_filesz = 4096,
			    .p_memsz = 8192 };
	memset(args.kernel.data + 4096, 0xee, 4096);
	mb = (void *)(args.kernel.data + 4096);
	mb[0] = 0x1badb002;
	mb[1] = flags;
	mb[2] = -(mb[0] + mb[1]);
	return mb;
}

static void test_multiboot(long arg)
{
	const uint32_t *info, *mod;

	setup();
	make_multiboot(3, 0x200000);
	memset(at(0x201000), 0x55, 4096);
	add_initrd(100);
	args.append = "a b";
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.eax, 0x2badb002);
	CHECK_EQ(boot.eip, 0x200020);
	CHECK_EQ(*(uint8_t *)at(0x200fff), 0xee);
	/* What the file does not fill is zero. */
	CHECK_EQ(*(uint8_t *)at(0x201000), 0);
	CHECK_EQ(*(uint8_t *)at(0x201fff), 0);
	info = at(boot.ebx);
	CHECK_EQ(info[0], 0x24d);
	CHECK_EQ(info[1], 639);
	CHECK_EQ(info[2], (MEM - MIB) >> 10);
	CHECK(!strcmp(at(info[4]), "image a b"));
	CHECK_EQ(info[5], 1);
	mod = at(info[6]);
	CHECK_EQ(mod[1] - mod[0], 100);
	CHECK_EQ(*(uint8_t *)at(mod[0]), 0x1d);
	CHECK_EQ(info[11], 48);
	CHECK_EQ(*(uint32_t *)at(info[12]), 20);
	teardown();
}

static void test_multiboot_addresses(long arg)
{
	uint32_t *mb;

	setup();
	mb = make_multiboot(0x10003, 0);
	args.kernel.data[0] = 0;
	mb[3] = 0x300010;
	mb[4] = 0x300000; /* begins 16 bytes before the header */
	mb[5] = 0x300400;
	mb[6] = 0x300800;
	mb[7] = 0x300100;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.eip, 0x300100);
	CHECK_EQ(*(uint32_t *)at(0x300010), 0x1badb002);
	CHECK_EQ(*(uint8_t *)at(0x3003ff), 0xee);
	CHECK_EQ(*(uint8_t *)at(0x300400), 0);
	mb[4] = 0x200000;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	mb[4] = 0x300020;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	mb[4] = 0x300000;
	mb[5] = 0x200000;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	teardown();
}

static void test_multiboot_bad(long arg)
{
	Elf32_Ehdr *e;
	Elf32_Phdr *ph;

	setup();
	make_multiboot(0x7, 0x200000);
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	blob_free(&args.kernel);
	make_multiboot(0x3, 0x200000);
	e = (void *)args.kernel.data;
	ph = (void *)(args.kernel.data + 64);
	ph->p_paddr = MEM - 4096;
	CHECK_EQ(load_kernel(&args, &boot), -EFAULT);
	ph->p_paddr = 0xfffff000;
	CHECK_EQ(load_kernel(&args, &boot), -EFAULT);
	ph->p_paddr = LOAD_AREA_END - 4096;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	ph->p_paddr = 0x200000;
	ph->p_filesz = 4097;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	ph->p_filesz = 4096;
	ph->p_offset = 0xffffffff;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	ph->p_offset = 4096;
	e->e_phnum = 0xffff;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	e->e_phnum = 128;
	e->e_phoff = 8000;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	e->e_phoff = 0xfffffff0;
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	e->e_phoff = 64;
	e->e_phnum = 1;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	/* An ELF file that nobody can boot is not a flat binary. */
	memset(args.kernel.data + 4096, 0, 12);
	CHECK_EQ(load_kernel(&args, &boot), -ENOEXEC);
	teardown();
}

/* A multiboot image that Xen can boot too. @type: of its note. */
static uint32_t *make_pvh(uint32_t type)
{
	static const uint32_t note[] = { 4, 4, 0, 0x006e6558, 0x200040 };
	uint32_t *at_note;
	Elf32_Phdr *ph;
	Elf32_Ehdr *e;

	make_multiboot(3, 0x200000);
	e = (void *)args.kernel.data;
	e->e_ident[EI_VERSION] = EV_CURRENT;
	e->e_version = EV_CURRENT;
	e->e_ehsize = sizeof(*e);
	e->e_phnum = 2;
	ph = (void *)(args.kernel.data + 64);
	ph[1] = (Elf32_Phdr){ .p_type = PT_NOTE,
			      .p_offset = 256,
			      .p_filesz = sizeof(note) };
	at_note = (void *)(args.kernel.data + 256);
	memcpy(at_note, note, sizeof(note));
	at_note[2] = type;
	return at_note;
}

static void test_pvh(long arg)
{
	const uint32_t *info, *map, *mod;

	setup();
	make_pvh(18);
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.eax, 0x2badb002);
	args.xen = true;
	add_initrd(100);
	args.append = "a b";
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.eip, 0x200040);
	CHECK(boot.pvh && boot.protected_mode);
	CHECK_EQ(*(uint8_t *)at(0x200fff), 0xee);
	info = at(boot.ebx);
	CHECK_EQ(info[0], 0x336ec578);
	CHECK_EQ(info[1], 1);
	CHECK_EQ(info[3], 1);
	mod = at(info[4]);
	CHECK_EQ(*(uint8_t *)at(mod[0]), 0x1d);
	CHECK_EQ(mod[2], 100);
	CHECK(!strcmp(at(info[6]), "a b"));
	map = at(info[10]);
	CHECK_EQ(info[12], 2);
	CHECK_EQ(map[6], MIB);
	CHECK_EQ(map[10], E820_RAM);
	/* Without the header of multiboot there is no other way. */
	args.xen = false;
	memset(args.kernel.data + 4096, 0, 12);
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK(boot.pvh);
	teardown();
}

static void test_pvh_bad(long arg)
{
	uint32_t *note;

	setup();
	args.xen = true;
	note = make_pvh(17);
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK(!boot.pvh);
	note[2] = 18;
	note[3] = 0x006e6559;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK(!boot.pvh);
	note[3] = 0x006e6558;
	/* A note that is longer than its segment. */
	note[1] = 8;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK(!boot.pvh);
	note[1] = 0xfffffff0;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK(!boot.pvh);
	note[1] = 4;
	((Elf32_Phdr *)(args.kernel.data + 64))->p_paddr = MEM;
	CHECK_EQ(load_kernel(&args, &boot), -EFAULT);
	teardown();
}

static void test_flat(long arg)
{
	setup();
	args.kernel.data = malloc(1000);
	memset(args.kernel.data, 0x90, 1000);
	args.kernel.size = 1000;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.protected_mode, false);
	CHECK_EQ(boot.cs, 0);
	CHECK_EQ(boot.eip, 0x7c00);
	CHECK_EQ(*(uint8_t *)at(0x7c00 + 999), 0x90);
	args.load_addr = 0x23450;
	args.entry = 0x23460;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.cs, 0x2000);
	CHECK_EQ(boot.eip, 0x3460);
	args.load_addr = 0x400000;
	args.entry = 0x4003e7;
	CHECK_EQ(load_kernel(&args, &boot), 0);
	CHECK_EQ(boot.protected_mode, true);
	args.entry = 0x4003e8;
	CHECK_EQ(load_kernel(&args, &boot), -EINVAL);
	args.entry = 0x3fffff;
	CHECK_EQ(load_kernel(&args, &boot), -EINVAL);
	args.load_addr = args.entry = CONVENTIONAL_END - 999;
	CHECK_EQ(load_kernel(&args, &boot), -EFBIG);
	args.load_addr = args.entry = 0xffffff00;
	CHECK_EQ(load_kernel(&args, &boot), -EFAULT);
	teardown();
}

static void test_files(long arg)
{
	struct blob b;

	CHECK_EQ(blob_read(&b, "/nonexistent", 100), -ENOENT);
	CHECK_EQ(blob_read(&b, "/dev/null", 100), -EINVAL);
	CHECK_EQ(blob_read(&b, "/", 100), -EINVAL);
	CHECK_EQ(blob_read(&b, "/proc/self/exe", 100), -EFBIG);
	CHECK_EQ(blob_read(&b, "/proc/self/exe", 1u << 30), 0);
	CHECK(b.size > 100 && !memcmp(b.data, ELFMAG, SELFMAG));
	blob_free(&b);
	CHECK(!b.data);
}

/* Random damage to headers: any answer, but no access out of bounds. */
static void test_mutations(long arg)
{
	uint32_t seed = 20240229 + arg;
	unsigned int good = 0;

	setup();
	for (unsigned int i = 0; i < 3000; i++) {
		size_t base, span;

		blob_free(&args.kernel);
		if (arg == 0) {
			make_linux();
			base = 0x1f1;
			span = sizeof(struct setup_header);
		} else if (arg == 3) {
			make_pvh(18);
			args.xen = true;
			base = 0;
			span = 276;
		} else {
			make_multiboot(arg == 1 ? 3 : 0x10003, 0x200000);
			base = arg == 1 ? 0 : 4096 + 12;
			span = arg == 1 ? 96 : 20;
		}
		for (unsigned int n = 0; n < 1 + i % 3; n++) {
			seed = seed * 1664525 + 1013904223;
			args.kernel.data[base + (seed >> 8) % span] = seed >>
								      24;
		}
		good += !load_kernel(&args, &boot);
	}
	/* Some survive, some do not: the test reaches both. */
	test_note("%u of 3000 loaded", good);
	CHECK(good < 3000);
	CHECK(arg == 2 || good > 0);
	teardown();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "linux", test_linux },
		{ "linux: command line", test_linux_append },
		{ "linux: bad headers", test_linux_bad },
		{ "linux: cut short", test_linux_cut },
		{ "multiboot", test_multiboot },
		{ "multiboot: addresses in the header",
		  test_multiboot_addresses },
		{ "multiboot: bad headers", test_multiboot_bad },
		{ "PVH", test_pvh },
		{ "PVH: bad notes", test_pvh_bad },
		{ "flat binary", test_flat },
		{ "files", test_files },
		{ "linux: damaged headers", test_mutations, 0 },
		{ "multiboot ELF: damaged headers", test_mutations, 1 },
		{ "multiboot: damaged addresses", test_mutations, 2 },
		{ "PVH: damaged headers", test_mutations, 3 },
		{}
	};

	return test_main(argc, argv, cases);
}

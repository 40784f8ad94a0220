// SPDX-License-Identifier: GPL-2.0
/* The memory of a guest with a kernel's symbol tables in it: see fake_guest.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_guest.h"
#include "kallsyms.h"
#include "tap.h"

/* ---- guest memory, and a monitor over it ---- */

uint8_t mem[MEM_SIZE];
unsigned int word = 8;
uint64_t lstar;
uint64_t image_end = MEM_SIZE;

int vigil_read_virt(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    void *buf, size_t len)
{
	uint64_t gpa;

	/* Address space 0 maps the kernel, even while vCPU 0 runs a process. */
	if (cr3)
		return -EFAULT;
	if (gva >= IDT_VA && gva < IDT_VA + 0x1000)
		gpa = IDT_GPA + gva - IDT_VA;
	else if (gva >= KERNEL_VA &&
		 gva + len <= KERNEL_VA + image_end - KERNEL_GPA)
		gpa = KERNEL_GPA + gva - KERNEL_VA;
	else
		return -EFAULT;
	memcpy(buf, mem + gpa, len);
	return 0;
}

int vigil_get_registers(struct vigil_monitor *mon, unsigned int vcpu,
			struct vigil_registers *r, size_t size)
{
	memset(r, 0, size);
	r->sregs.efer = word == 8 ? 0xd01 : 0;
	r->sregs.idt.base = IDT_VA;
	r->lstar = lstar;
	return 0;
}

/* ---- tables ---- */

bool functions_only;
bool modules_symbol;
uint64_t sym_addr(unsigned int i, bool percpu)
{
	/* The first symbols of a kernel with per-CPU offsets are small numbers. */
	if (percpu && word == 8 && i < 50)
		return i * 64;
	return KERNEL_VA + 0x1000 + (uint64_t)i * 48;
}

char sym_type(unsigned int i)
{
	return i % 3 ? 'T' : 'd';
}

void sym_name(unsigned int i, char *buf)
{
	if (i == 100 && !functions_only)
		strcpy(buf, "linux_banner");
	else if (i == 60)
		strcpy(buf, "_stext");
	else if (i == HANDLER_SYM)
		strcpy(buf, "asm_exc_divide_error");
	else if (i == HANDLER_SYM + 1)
		strcpy(buf, "asm_exc_page_fault");
	else if (i == MODULES_SYM && modules_symbol)
		strcpy(buf, "modules");
	else if (i == ETEXT_SYM)
		strcpy(buf, "_etext");
	else if (i == SYSCALL_SYM)
		strcpy(buf, "entry_SYSCALL_64");
	else if (i == LONG_SYM)
		memset(buf, 'z', 200), buf[200] = 0;
	else
		sprintf(buf, "sys_func_%u.part.0", i);
}

/* Each token is the byte of its number, but for three that are longer strings. */
static const char *token(unsigned int i, char *buf)
{
	if (i == 1)
		return "sys_func_";
	if (i == 2)
		return ".part.0";
	if (i == 3)
		return "Tsys";
	buf[0] = i ? i : 'q';
	buf[1] = 0;
	return buf;
}

/* To how many bytes put_tables() aligns: a word, or 4. */
static unsigned int alignment;

static size_t align_table(size_t n)
{
	return (n + alignment - 1) & ~(size_t)(alignment - 1);
}

/* 7.x: offsets from the place of each, or 32-bit addresses. */
static size_t put_places(size_t at, bool fixed)
{
	for (unsigned int i = 0; i < N_SYMS; i++, at += 4) {
		uint64_t here = KERNEL_VA + at - KERNEL_GPA;
		uint32_t off = sym_addr(i, false) - (fixed ? 0 : here);

		memcpy(mem + at, &off, 4);
	}
	return at;
}

static size_t put_offsets(size_t at, bool percpu)
{
	uint64_t base = KERNEL_VA;

	for (unsigned int i = 0; i < N_SYMS; i++) {
		uint64_t addr = sym_addr(i, percpu);
		int32_t off = addr - base;

		if (percpu)
			off = addr < base ? (int32_t)addr :
					    (int32_t)(base - 1 - addr);
		memcpy(mem + at + i * 4, &off, 4);
	}
	at = align_table(at + N_SYMS * 4);
	memcpy(mem + at, &base, word);
	return at + word;
}

/* Puts a symbol's type and name, as tokens, where the table of names goes on. */
static size_t put_name(size_t at, unsigned int i)
{
	char text[256], *p = text;
	uint8_t out[256];
	unsigned int n = 0;

	text[0] = sym_type(i);
	sym_name(i, text + 1);
	while (*p) {
		if (!strncmp(p, "sys_func_", 9))
			out[n++] = 1, p += 9;
		else if (!strcmp(p, ".part.0"))
			out[n++] = 2, p += 7;
		else
			out[n++] = *p++;
	}
	if (n >= 0x80) {
		mem[at++] = 0x80 | (n & 0x7f);
		mem[at++] = n >> 7;
	} else {
		mem[at++] = n;
	}
	memcpy(mem + at, out, n);
	return at + n;
}

static size_t put_names(size_t at)
{
	uint32_t n = N_SYMS, markers[N_SYMS / 256 + 1];
	size_t names;

	memcpy(mem + at, &n, 4);
	names = at += alignment;
	for (unsigned int i = 0; i < N_SYMS; i++) {
		if (i % 256 == 0)
			markers[i / 256] = at - names;
		at = put_name(at, i);
	}
	at = align_table(at);
	memcpy(mem + at, markers, sizeof(markers));
	return align_table(at + sizeof(markers));
}

static size_t put_tokens(size_t at)
{
	uint16_t index[256];
	size_t start = at;
	char buf[2];

	for (unsigned int i = 0; i < 256; i++) {
		const char *t = token(i, buf);

		index[i] = at - start;
		strcpy((char *)mem + at, t);
		at += strlen(t) + 1;
	}
	at = align_table(at);
	memcpy(mem + at, index, sizeof(index));
	return at + sizeof(index);
}

void put_gate32(unsigned int vector, uint64_t handler)
{
	uint64_t gate = (handler & 0xffff) | 0x60 << 16 | 0x8e00ull << 32 |
			(handler >> 16 & 0xffff) << 48;

	memcpy(mem + IDT_GPA + vector * 8, &gate, sizeof(gate));
}

void put_gate(unsigned int vector, uint64_t handler)
{
	uint64_t gate[2];

	gate[0] = (handler & 0xffff) | 0x10 << 16 | 0x8e00ull << 32 |
		  (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
	memcpy(mem + IDT_GPA + vector * 16, gate, sizeof(gate));
}

size_t tables_start, tables_end;

void put_tables(size_t at, int layout, bool percpu)
{
	tables_start = at;
	alignment = layout >= L_7X ? 4 : word;
	if (layout < L_64)
		at = put_offsets(at, percpu);
	at = put_names(at);
	if (layout == L_62) {
		memset(mem + at, 0x5a, N_SYMS * 3);
		at = align_table(at + N_SYMS * 3);
	}
	at = put_tokens(at);
	if (layout == L_64)
		at = put_offsets(at, percpu);
	if (layout >= L_7X)
		at = put_places(at, layout == L_7X_FIXED);
	if (layout >= L_64)
		memset(mem + at, 0x5a, N_SYMS * 3);
	tables_end = at;
}

static void put_banner(bool percpu)
{
	uint64_t gpa = sym_addr(100, percpu) - KERNEL_VA + KERNEL_GPA;

	strcpy((char *)mem + gpa, "Linux version 6.1.0 (test)");
}

void make_guest(int layout, bool percpu)
{
	memset(mem, 0, sizeof(mem));
	put_banner(percpu);
	/* These symbols tell where a 32-bit kernel is. */
	if (word == 4)
		put_gate32(0, sym_addr(HANDLER_SYM, percpu));
	put_tables(0x300000, layout, percpu);
}

size_t find_pattern(void)
{
	uint8_t *p =
		memmem(mem, MEM_SIZE, KALLSYMS_PATTERN, KALLSYMS_PATTERN_LEN);

	if (!p)
		ERROR("the tables have no pattern");
	return p - mem;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A monitor for tests of symbols, in the place of libvigil's: over an array that is the
 * guest's memory. Tables are made in it in the layouts of the kernels that are
 * known.
 */
#ifndef SELFTESTS_TOOLS_FAKE_GUEST_H
#define SELFTESTS_TOOLS_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvigil.h"

#define MEM_SIZE (8u << 20)
/* Where the kernel's image is: guest-physical and guest-virtual. */
#define KERNEL_GPA 0x100000ull
#define KERNEL_VA (word == 8 ? 0xffffffff87000000ull : 0xc7000000ull)
#define IDT_VA (word == 8 ? 0xfffffe0000000000ull : 0xffc00000ull)
#define IDT_GPA 0x3000ull

extern uint8_t mem[MEM_SIZE];
/* vCPU 0's MSR_LSTAR. */
extern uint64_t lstar;
/* Bytes of an address of the guest's kernel: 8 or 4. */
extern unsigned int word;
/* The image ends at this guest-physical address; behind it is memory of others. */
extern uint64_t image_end;

/* The symbols of the tables. */
#define N_SYMS 3000
#define HANDLER_SYM 70 /* and the next one: handlers of exceptions */
#define SYSCALL_SYM 80
#define MODULES_SYM \
	90 /* the head of the list of modules, with modules_symbol */
#define ETEXT_SYM 1900 /* the end of most functions */
#define LONG_SYM 1234 /* has a name that needs two bytes for its length */

/*
 * Layouts of the tables: by 6.1, 6.2, 6.4 and 7.x; and by a 32-bit kernel of 7.x that
 * cannot be moved.
 */
enum { L_61, L_62, L_64, L_7X, L_7X_FIXED, N_LAYOUTS };

/* The tables have functions and no banner, as without CONFIG_KALLSYMS_ALL. */
extern bool functions_only;
/* The tables have a symbol for the list of modules. */
extern bool modules_symbol;
/* Where put_tables() has begun and ended. */
extern size_t tables_start, tables_end;

/* With @percpu the first symbols are per-CPU offsets. */
uint64_t sym_addr(unsigned int i, bool percpu);
char sym_type(unsigned int i);
void sym_name(unsigned int i, char *buf);

/* Points a vector of the guest's IDT to a handler. */
void put_gate(unsigned int vector, uint64_t handler);
void put_gate32(unsigned int vector, uint64_t handler);
void put_tables(size_t at, int layout, bool percpu);
/* A guest's memory with a banner and tables, and nothing else. */
void make_guest(int layout, bool percpu);
/* The offset in mem of what a search for tables looks for. */
size_t find_pattern(void);

#endif

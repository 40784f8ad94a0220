/* SPDX-License-Identifier: GPL-2.0 */
/* Random calls, between their files: calls.c, calls_vcpu.c, calls_prepare.c. */
#ifndef SELFTESTS_CALLS_PRIV_H
#define SELFTESTS_CALLS_PRIV_H

#include "calls.h"
#include "guest.h"

enum kind { K_DEV, K_VM, K_VCPU, K_MON, NR_KINDS };

#define FILES 10 /* of each kind that are open at a time */
#define PAGE_BYTES 0x1000ul

/*
 * One piece of address space, from which every memory slot and every odd pointer
 * comes, so that a guest or the kernel never writes to the program itself. What
 * lies between the parts does not exist.
 */
#define ARENA_SIZE (64ul << 20)
#define RAM_SIZE (4ul << 20) /* the guests' RAM, which always exists */
#define ODD_OFF (16ul << 20) /* mapped, protected and unmapped at random */
#define ODD_SIZE (2ul << 20)
#define HELD_OFF (24ul << 20) /* withheld by userfaultfd */
#define HELD_SIZE (16 * PAGE_BYTES)
#define OUT_OFF (32ul << 20) /* results that arguments point to */
#define OUT_SIZE (2ul << 20)
#define SCRATCH_SIZE (16 * PAGE_BYTES)

/**
 * struct calls_world - what all threads of a process use
 * @arena:	that address space
 * @runs:	the vCPUs' pages, @run_bytes for each of FILES
 * @run_bytes:	size of a vCPU's pages
 * @fds:	open files; they change under the threads' hands
 * @mode_state:	registers for a guest in each mode
 * @has_mode:	modes that the CPU has
 * @main_mode:	the one that the guests' tables are for
 * @cpuid:	what the device offers
 * @cpuid_bytes: its size
 * @has_int80:	the kernel takes calls of 32-bit programs
 */
struct calls_world {
	uint8_t *arena;
	uint8_t *runs;
	size_t run_bytes;
	int fds[NR_KINDS][FILES];
	struct kvm_sregs mode_state[NR_MODES];
	bool has_mode[NR_MODES];
	enum mode main_mode;
	struct kvm_cpuid2 *cpuid;
	size_t cpuid_bytes;
	bool has_int80;
};

extern struct calls_world calls_world;

/* ---- calls.c ---- */
/* Where a file of this kind is open, or where none is. */
unsigned int calls_slot(struct caller *c, enum kind kind);
/* A file, mostly of this kind; -1: none. */
int calls_file(struct caller *c, enum kind kind);
/* Keeps a file, and closes the one that was there. */
void calls_put(enum kind kind, unsigned int slot, int fd);
/* An ioctl as a 32-bit program makes it. */
long calls_compat_ioctl(int fd, unsigned int cmd, unsigned long arg);
/* An ioctl. An errno that no call may have is noted. */
long calls_ioctl(struct caller *c, int fd, unsigned int cmd, unsigned long arg);
/*
 * An ioctl whose argument of @len bytes is in c->args, some bits of it changed: not
 * for one with a pointer.
 */
long calls_ioctl_with(struct caller *c, int fd, unsigned int cmd, size_t len);
/* Notes a result that must never be. */
void calls_wrong(struct caller *c, uint32_t cmd, int err);
/* The beginning of c->args, cleared. */
void *calls_zeroed(struct caller *c, size_t len);

/* ---- calls_vcpu.c ---- */
enum mode calls_any_mode(struct caller *c);
void calls_vcpu(struct caller *c);

#endif

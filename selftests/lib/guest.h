/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small guests, driven through the KVM API: VM and vCPU setup in any CPU mode,
 * page tables, payloads, and a run loop which never hangs.
 *
 * Helpers end the case (ERROR or a failure) when something goes wrong that the
 * case did not ask for, so callers need not check them.
 */
#ifndef SELFTESTS_GUEST_H
#define SELFTESTS_GUEST_H

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "layout.h"
#include "tap.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_VCPUS 8
#define MAX_VALUES 256
#define RUN_TIMEOUT_S 20 /* a run that takes longer hangs */

enum mode {
	M_REAL, /* 64 KiB segments, code at GUEST_CODE >> 4 : 0 */
	M_BIGREAL, /* real mode with 4 GiB data segments */
	M_PROT16, /* protected, unpaged, 16-bit code */
	M_PROT32, /* protected, unpaged, flat 32-bit code */
	M_VM86, /* virtual 8086, unpaged below it */
	M_PG32, /* 32-bit two-level paging */
	M_PSE, /* the same with CR4.PSE */
	M_PAE,
	M_LONG, /* 64-bit, four levels */
	M_LA57, /* 64-bit, five levels */
	M_COMPAT, /* 32-bit code in long mode, four levels */
	NR_MODES
};

extern const char *const mode_name[NR_MODES];

struct vm;

/* An exception or interrupt that has reached a vector stub. */
#define EXC_NO_FRAME (~0u)

struct exc {
	unsigned int vector; /* EXC_NO_FRAME: the frame was in no RAM */
	uint32_t error; /* 0 where the vector has none */
	uint64_t rip, cs, rflags, rsp, ss, cr2;
};

struct vcpu {
	struct vm *vm;
	int fd;
	unsigned int id;
	struct kvm_run *run;
	enum mode mode;
	uint64_t val[MAX_VALUES]; /* what came through PORT_VALUE */
	unsigned int nr_vals;
	struct exc exc; /* of the last STOP_EXC */
	unsigned int end; /* AL of the last STOP_END */
	int pending_irq; /* vector to inject when possible, or -1 */
	unsigned int irqs_injected;
	unsigned int windows; /* IRQ_WINDOW_OPEN exits seen */
	unsigned int signals; /* EINTR seen by vcpu_go() */
	bool stop_on_signal; /* return STOP_SIGNAL for those */
	timer_t timer;
	int timer_tid; /* thread that @timer signals, or 0 */
	volatile bool timed_out;
};

struct vm {
	int dev, fd;
	uint8_t *ram;
	size_t ram_size;
	size_t run_size;
	uint64_t pt_next; /* first free page of the page-table pool */
	unsigned int nr_vcpus;
	struct vcpu *vcpu[MAX_VCPUS];
};

/* vm.c */
int dev_open(void);
struct vm *vm_create(size_t ram_size);
struct vm *vm_create_bare(void); /* no memory, no vCPU */
struct vcpu *vcpu_create(struct vm *vm);
void vm_destroy(struct vm *vm);
void vm_slot(struct vm *vm, unsigned int slot, uint64_t gpa, size_t size,
	     void *hva, uint32_t flags);
void *ram_alloc(size_t size);
/* Returns the host address of guest RAM; ERROR when outside. */
bool vm_has_ram(const struct vm *vm, uint64_t gpa, size_t len);
void *vm_ram(struct vm *vm, uint64_t gpa, size_t len);
/* Takes every mapping of the low 64 KiB away from the guest. */
void vm_drop_mappings(struct vm *vm);
void vm_load_at(struct vm *vm, uint64_t gpa, const char *start,
		const char *end);
struct kvm_cpuid2 *supported_cpuid(int dev);
bool cpuid_has(int dev, uint32_t leaf, uint32_t index, int reg, int bit);
bool dev_has_mode(enum mode mode);

static inline uint64_t rd64(struct vm *vm, uint64_t gpa)
{
	return *(volatile uint64_t *)vm_ram(vm, gpa, 8);
}

static inline uint32_t rd32(struct vm *vm, uint64_t gpa)
{
	return *(volatile uint32_t *)vm_ram(vm, gpa, 4);
}

static inline void wr64(struct vm *vm, uint64_t gpa, uint64_t v)
{
	*(volatile uint64_t *)vm_ram(vm, gpa, 8) = v;
}

static inline void wr32(struct vm *vm, uint64_t gpa, uint32_t v)
{
	*(volatile uint32_t *)vm_ram(vm, gpa, 4) = v;
}

#define DECLARE_PAYLOAD(n) extern const char pl_##n[], pl_##n##_end[]
#define DECLARE_LABEL(n, l) extern const char pl_##n##_##l[]
#define vm_load(vm, n) vm_load_at(vm, GUEST_CODE, pl_##n, pl_##n##_end)
/* Offset of a LABEL() in its payload, and its address in a flat guest. */
#define LABEL_OFF(n, l) ((uint64_t)(pl_##n##_##l - pl_##n))
#define LABEL_AT(n, l) (GUEST_CODE + LABEL_OFF(n, l))

/*
 * Puts RDMSR or WRMSR and the end at the payload's place, and runs it from there in the
 * state that the vCPU is in.
 */
enum stop vcpu_access_msr(struct vcpu *v, bool write, uint32_t msr,
			  uint64_t value);

/* mode.c */
void vm_tables(struct vm *vm, enum mode mode);
void idt_gate(struct vm *vm, enum mode mode, unsigned int vector,
	      uint64_t target, unsigned int sel, unsigned int type,
	      unsigned int dpl);
uint64_t idt_stub(enum mode mode, unsigned int vector);
void gdt_set(struct vm *vm, unsigned int sel, uint32_t base, uint32_t limit,
	     unsigned int attr);
void mode_sregs(struct vm *vm, enum mode mode, struct kvm_sregs *s);
/*
 * Puts a vCPU at the start of the payload. The tables are built when they are
 * needed.
 */
void vcpu_set_mode(struct vcpu *v, enum mode mode);
/* Makes it run code of ring 3, which may use ports; after vcpu_set_mode(). */
void vcpu_enter_user(struct vcpu *v);
/* KVM_GET_SREGS, such that rings can be changed once it is set again. */
void vcpu_ring_sregs(struct vcpu *v, struct kvm_sregs *s);
static inline bool mode_long(enum mode m)
{
	return m == M_LONG || m == M_LA57 || m == M_COMPAT;
}
static inline bool mode_paged(enum mode m)
{
	return m >= M_PG32;
}
static inline bool mode_16bit(enum mode m)
{
	return m == M_REAL || m == M_BIGREAL || m == M_PROT16 || m == M_VM86;
}
/* Returns the address of the payload's first byte, as RIP needs it. */
static inline uint64_t mode_entry(enum mode m)
{
	return mode_16bit(m) ? 0 : GUEST_CODE;
}

/* clang-format off */
/* GDT descriptor attributes: type, S, DPL, P, then AVL, L, D, G from bit 12. */
#define D_TYPE(t)	((t) & 0xf)
#define D_S		0x0010
#define D_DPL(d)	((d) << 5)
#define D_P		0x0080
#define D_L		0x2000
#define D_DB		0x4000
#define D_G		0x8000
/* clang-format on */

/* Where a run stopped. */
enum stop {
	STOP_END, /* the payload said so */
	STOP_SYNC,
	STOP_EXC,
	STOP_HLT,
	STOP_IO, /* a port that is not ours: see run->io */
	STOP_MMIO, /* see run->mmio */
	STOP_SHUTDOWN,
	STOP_SIGNAL, /* only with stop_on_signal */
	STOP_TIMEOUT, /* already counted as a failure */
	STOP_OTHER, /* see run->exit_reason */
	STOP_ERRNO, /* KVM_RUN failed: see errno */
};

extern const char *const stop_name[];

/* run.c */
enum stop vcpu_go(struct vcpu *v);
/*
 * Like vcpu_go(), but the case fails and ends if the run stops in another way.
 */
void vcpu_expect(struct vcpu *v, enum stop want, const char *file, int line);
#define EXPECT(v, stop) vcpu_expect(v, stop, __FILE__, __LINE__)
void vcpu_expect_exc(struct vcpu *v, unsigned int vector, uint32_t error,
		     const char *file, int line);
#define EXPECT_EXC(v, vec, err) vcpu_expect_exc(v, vec, err, __FILE__, __LINE__)
/* Completes the last exit, before registers are written. */
void vcpu_settle(struct vcpu *v);
/* Change the frame through which the vector stub will return. */
void exc_set_rip(struct vcpu *v, uint64_t rip);
void exc_set_flags(struct vcpu *v, uint64_t rflags);
/*
 * Run a payload made of TRY_FAULT and TRY_TRAP to its end, comparing what each
 * raised; payload.h has the details.
 *
 * Return: how many exceptions there were.
 */
unsigned int run_tries(struct vcpu *v);
void vcpu_describe(struct vcpu *v); /* registers, as notes */
void describe_exc(struct vcpu *v); /* the last exception, as a note */
int vcpu_inject_now(struct vcpu *v, unsigned int vector);
/* Sends SIGALRM to this thread every @us microseconds; 0 stops it. */
void ticks(unsigned int us);

static inline void get_regs(struct vcpu *v, struct kvm_regs *r)
{
	if (ioctl(v->fd, KVM_GET_REGS, r))
		ERROR("KVM_GET_REGS: errno %d", errno);
}

static inline void set_regs(struct vcpu *v, struct kvm_regs *r)
{
	if (ioctl(v->fd, KVM_SET_REGS, r))
		ERROR("KVM_SET_REGS: errno %d", errno);
}

static inline void get_sregs(struct vcpu *v, struct kvm_sregs *s)
{
	if (ioctl(v->fd, KVM_GET_SREGS, s))
		ERROR("KVM_GET_SREGS: errno %d", errno);
}

static inline void set_sregs(struct vcpu *v, struct kvm_sregs *s)
{
	if (ioctl(v->fd, KVM_SET_SREGS, s))
		ERROR("KVM_SET_SREGS: errno %d", errno);
}

/* The common beginning of a case: a VM with one vCPU in this mode. */
struct vcpu *guest_start(enum mode mode, const char *start, const char *end);
#define START(mode, n) guest_start(mode, pl_##n, pl_##n##_end)

/* Like START(), for a payload that exists in three widths. */
#define DECLARE_PAYLOAD3(n)     \
	DECLARE_PAYLOAD(n##16); \
	DECLARE_PAYLOAD(n##32); \
	DECLARE_PAYLOAD(n##64)
#define PICK(m, n16, n32, n64) \
	(mode_16bit(m) ? (n16) : (m) == M_LONG || (m) == M_LA57 ? (n64) : (n32))
#define START3(m, n)                                                \
	guest_start(m, PICK(m, pl_##n##16, pl_##n##32, pl_##n##64), \
		    PICK(m, pl_##n##16_end, pl_##n##32_end, pl_##n##64_end))

/* Labels of such a payload, and where one is as RIP. */
#define DECLARE_LABEL3(n, l)     \
	DECLARE_LABEL(n##16, l); \
	DECLARE_LABEL(n##32, l); \
	DECLARE_LABEL(n##64, l)
#define LABEL3(m, n, l)                                                    \
	(mode_entry(m) + PICK(m, LABEL_OFF(n##16, l), LABEL_OFF(n##32, l), \
			      LABEL_OFF(n##64, l)))

/* clang-format off */
/* Case table lines for one function in every mode. */
#define CASE_REAL16(n, f) \
	{ n " (real)", f, M_REAL }, { n " (big real)", f, M_BIGREAL }, \
	{ n " (prot16)", f, M_PROT16 }
#define CASE_VM86(n, f) { n " (vm86)", f, M_VM86 }
#define CASE_PAGED(n, f) \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pse)", f, M_PSE }, \
	{ n " (pae)", f, M_PAE }, { n " (long)", f, M_LONG }, \
	{ n " (la57)", f, M_LA57 }, { n " (compat)", f, M_COMPAT }
#define CASE_PROT(n, f) { n " (prot32)", f, M_PROT32 }, CASE_PAGED(n, f)
#define CASE_ALL(n, f) CASE_REAL16(n, f), CASE_VM86(n, f), CASE_PROT(n, f)
/* clang-format on */

/* pt.c */
/* clang-format off */
#define PTE_P	(1ull << 0)
#define PTE_W	(1ull << 1)
#define PTE_U	(1ull << 2)
#define PTE_PWT	(1ull << 3)
#define PTE_PCD	(1ull << 4)
#define PTE_A	(1ull << 5)
#define PTE_D	(1ull << 6)
#define PTE_PS	(1ull << 7)
#define PTE_G	(1ull << 8)
#define PTE_AVL	(1ull << 9)
#define PTE_PAT_LARGE (1ull << 12)
#define PTE_NX	(1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull
/* clang-format on */

struct pt {
	struct vm *vm;
	enum mode mode;
	uint64_t root; /* what goes into CR3 */
	unsigned int levels;
	unsigned int entry_size;
};

void pt_init(struct pt *pt, struct vm *vm, enum mode mode);
/* The tables that a guest has from the start, to be added to. */
struct pt tables_of(struct vcpu *v);
uint64_t pt_page(struct vm *vm); /* a zeroed page of the pool */
unsigned int pt_shift(const struct pt *pt, unsigned int level);
/*
 * Returns the address of the entry for @va at @level (1: 4 KiB). Missing tables
 * are made.
 */
uint64_t pt_entry(struct pt *pt, uint64_t va, unsigned int level);
uint64_t pt_get(struct pt *pt, uint64_t va, unsigned int level);
void pt_set(struct pt *pt, uint64_t va, unsigned int level, uint64_t entry);
void pt_map(struct pt *pt, uint64_t va, uint64_t pa, unsigned int level,
	    uint64_t flags);
void pt_identity(struct pt *pt, uint64_t from, uint64_t to, uint64_t flags);

/* clang-format off */
/* Control register bits. */
#define CR0_PE	(1u << 0)
#define CR0_MP	(1u << 1)
#define CR0_EM	(1u << 2)
#define CR0_TS	(1u << 3)
#define CR0_ET	(1u << 4)
#define CR0_NE	(1u << 5)
#define CR0_WP	(1u << 16)
#define CR0_AM	(1u << 18)
#define CR0_NW	(1u << 29)
#define CR0_CD	(1u << 30)
#define CR0_PG	(1u << 31)
#define CR4_VME	(1u << 0)
#define CR4_PVI	(1u << 1)
#define CR4_TSD	(1u << 2)
#define CR4_DE	(1u << 3)
#define CR4_PSE	(1u << 4)
#define CR4_PAE	(1u << 5)
#define CR4_PGE	(1u << 7)
#define CR4_OSFXSR	(1u << 9)
#define CR4_OSXMMEXCPT	(1u << 10)
#define CR4_UMIP	(1u << 11)
#define CR4_LA57	(1u << 12)
#define CR4_OSXSAVE	(1u << 18)
#define CR4_SMEP	(1u << 20)
#define CR4_SMAP	(1u << 21)
#define EFER_SCE	(1u << 0)
#define EFER_LME	(1u << 8)
#define EFER_LMA	(1u << 10)
#define EFER_NX		(1u << 11)
#define RFLAGS_1	(1u << 1)
#define RFLAGS_TF	(1u << 8)
#define RFLAGS_IF	(1u << 9)
#define RFLAGS_IOPL	(3u << 12)
#define RFLAGS_RF	(1u << 16)
#define RFLAGS_VM	(1u << 17)
#define RFLAGS_AC	(1u << 18)
#define MSR_EFER	0xc0000080

enum { DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8,
       TS = 10, NP = 11, SS = 12, GP = 13, PF = 14, MF = 16, AC = 17, XM = 19 };

#define PF_P	1
#define PF_W	2
#define PF_U	4
#define PF_RSVD	8
#define PF_I	16
/* clang-format on */

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * One instruction on the real CPU.
 *
 * The trampoline loads everything in 64-bit mode and enters the instruction by
 * a far jump, which also changes to 32- or 16-bit mode; behind the instruction,
 * and where a branch would land, are far jumps back.  Nothing but the
 * instruction touches a register in between.  A fault comes as a signal on its
 * own stack and leaves through the same exit.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "native.h"
#include "vmm/insn/emulate.h"

#define USER32_CS 0x23
#define USER_DS 0x2b
#define USER_CS 0x33
#define LDT_SEL(n) ((n) << 3 | 7)

struct native_state native;
struct native_fault native_fault;
struct native_features native_features;

const struct native_segment native_code16 = { .base = NATIVE_CODE,
					      .limit = 0xffff,
					      .code = true };
const struct native_segment native_data16 = { .base = NATIVE_DATA16,
					      .limit = 0xffff };
const struct native_segment native_gs = { .base = NATIVE_GS_BASE,
					  .limit = 0xfffff,
					  .pages = true,
					  .big = true };

static bool have16;

static_assert(offsetof(struct native_state, vec) == 136, "known to assembly");
static_assert(offsetof(struct native_state, mmx) == 648, "known to assembly");
static_assert(offsetof(struct native_state, ds) == 712, "known to assembly");
static_assert(offsetof(struct native_state, entry_off) == 720, "to assembly");
static_assert(offsetof(struct native_state, taken) == 728, "to assembly");
static_assert(offsetof(struct native_state, host_rsp) == 736, "to assembly");

extern void native_enter(void);
extern char native_exit[], native_exit_taken[];

asm(".bss\n"
    ".balign 16\n"
    "	.skip 4096\n"
    "native_stack:\n"
    "	.skip 16\n"
    ".text\n"
    ".macro for_vec insn\n"
    "	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "	\\insn \\n\n"
    "	.endr\n"
    ".endm\n"
    ".macro load_vec n\n"
    "	vmovdqu native+136+32*\\n(%rip), %ymm\\n\n"
    ".endm\n"
    ".macro save_vec n\n"
    "	vmovdqu %ymm\\n, native+136+32*\\n(%rip)\n"
    ".endm\n"
    ".globl native_enter\n"
    "native_enter:\n"
    "	push %rbx\n"
    "	push %rbp\n"
    "	push %r12\n"
    "	push %r13\n"
    "	push %r14\n"
    "	push %r15\n"
    "	mov %rsp, native+736(%rip)\n"
    "	for_vec load_vec\n"
    /* FNINIT drops what earlier instructions left in the status word. */
    "	fninit\n"
    "	.irp n, 0,1,2,3,4,5,6,7\n"
    "	movq native+648+8*\\n(%rip), %mm\\n\n"
    "	.endr\n"
    "	mov native+712(%rip), %ax\n"
    "	mov %ax, %ds\n"
    "	mov native+714(%rip), %ax\n"
    "	mov %ax, %es\n"
    "	lea native_stack(%rip), %rsp\n"
    "	mov native+716(%rip), %ax\n"
    "	mov %ax, %ss\n"
    "	push native+128(%rip)\n"
    "	popfq\n"
    "	mov native+0(%rip), %rax\n"
    "	mov native+8(%rip), %rcx\n"
    "	mov native+16(%rip), %rdx\n"
    "	mov native+24(%rip), %rbx\n"
    "	mov native+40(%rip), %rbp\n"
    "	mov native+48(%rip), %rsi\n"
    "	mov native+56(%rip), %rdi\n"
    "	.irp n, 8,9,10,11,12,13,14,15\n"
    "	mov native+8*\\n(%rip), %r\\n\n"
    "	.endr\n"
    "	mov native+32(%rip), %rsp\n"
    "	ljmp *native+720(%rip)\n"
    ".globl native_exit_taken\n"
    "native_exit_taken:\n"
    "	movb $1, native+728(%rip)\n"
    ".globl native_exit\n"
    "native_exit:\n"
    "	mov %rsp, native+32(%rip)\n"
    "	lea native_stack(%rip), %rsp\n"
    "	pushfq\n"
    "	pop native+128(%rip)\n"
    "	mov %rax, native+0(%rip)\n"
    "	mov %rcx, native+8(%rip)\n"
    "	mov %rdx, native+16(%rip)\n"
    "	mov %rbx, native+24(%rip)\n"
    "	mov %rbp, native+40(%rip)\n"
    "	mov %rsi, native+48(%rip)\n"
    "	mov %rdi, native+56(%rip)\n"
    "	.irp n, 8,9,10,11,12,13,14,15\n"
    "	mov %r\\n, native+8*\\n(%rip)\n"
    "	.endr\n"
    "	mov $0x2b, %eax\n"
    "	mov %ax, %ss\n"
    "	mov %ax, %ds\n"
    "	mov %ax, %es\n"
    "	push $0x202\n"
    "	popfq\n"
    "	for_vec save_vec\n"
    "	vzeroupper\n"
    "	.irp n, 0,1,2,3,4,5,6,7\n"
    "	movq %mm\\n, native+648+8*\\n(%rip)\n"
    "	.endr\n"
    "	emms\n"
    "	mov native+736(%rip), %rsp\n"
    "	pop %r15\n"
    "	pop %r14\n"
    "	pop %r13\n"
    "	pop %r12\n"
    "	pop %rbp\n"
    "	pop %rbx\n"
    "	ret\n");

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	(void)info;
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;

	/*
	 * A second fault is a bug of the test itself: let it end the process.
	 */
	if (native_fault.happened || !native.host_rsp) {
		signal(sig, SIG_DFL);
		return;
	}
	native_fault.happened = true;
	native_fault.vector = g[REG_TRAPNO];
	native_fault.error_code = g[REG_ERR];
	native_fault.cr2 = g[REG_CR2];
	native_fault.rip = g[REG_RIP];
	g[REG_RIP] = (greg_t)native_exit;
	g[REG_EFL] &= ~0x10000ll; /* RF, which the fault has set */
	g[REG_CSGSFS] = (g[REG_CSGSFS] & 0x0000ffffffff0000ll) | USER_CS |
			(greg_t)USER_DS << 48;
}

bool native_set_segment(enum native_ldt n, const struct native_segment *s)
{
	struct user_desc d = {
		.entry_number = n,
		.base_addr = s->base,
		.limit = s->limit,
		.limit_in_pages = s->pages,
		.seg_32bit = s->big,
		.contents = s->code	   ? 2 :
			    s->expand_down ? 1 :
					     0,
		.read_exec_only = s->read_only,
		.seg_not_present = s->absent,
	};

	if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)))
		return false;
	if (n == NATIVE_LDT_GS)
		asm volatile("mov %0, %%gs" : : "r"(LDT_SEL(NATIVE_LDT_GS)));
	return true;
}

static void *map(unsigned long addr, size_t bytes, int prot)
{
	return mmap((void *)addr, bytes, prot,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static void find_features(void)
{
	struct native_features *f = &native_features;
	unsigned int a, b, c, d;

	/* as emulctl_init() has it */
	__cpuid(0, a, b, c, d);
	vigil_insn_near16 = b == signature_AMD_ebx ||
			    b == 0x6f677948; /* Hygon */
	if (b == signature_INTEL_ebx)
		f->emulator = EMUL_FEAT_PUSH_SEG16 | EMUL_FEAT_FAR64 |
			      EMUL_FEAT_MOVSXD16;
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		f->sse3 = c & bit_SSE3;
		f->sse41 = c & bit_SSE4_1;
		f->sse42 = c & bit_SSE4_2;
		f->movbe = c & bit_MOVBE;
		f->popcnt = c & bit_POPCNT;
		f->avx = c & bit_AVX && c & bit_OSXSAVE;
		f->cx16 = c & bit_CMPXCHG16B;
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		f->bmi1 = b & bit_BMI;
		f->bmi2 = b & bit_BMI2;
		f->adx = b & bit_ADX;
		f->movdiri = c & (1u << 27);
	}
	if (__get_cpuid_count(13, 1, &a, &b, &c, &d)) {
		f->xsaveopt = a & bit_XSAVEOPT;
		f->xsavec = a & bit_XSAVEC;
		f->xsaves = a & bit_XSAVES;
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
		f->lzcnt = c & bit_LZCNT;
		f->lahf64 = c & bit_LAHF_LM;
	}
}

const char *native_init(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
				       SIGTRAP };
	struct sigaction sa = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	stack_t ss = { .ss_size = 1 << 16 };
	unsigned int i;

	find_features();
	if (!native_features.avx)
		return "this CPU has no AVX, which the trampoline needs";
	if (map(NATIVE_CODE, 0x10000, PROT_READ | PROT_WRITE | PROT_EXEC) ==
		    MAP_FAILED ||
	    map(NATIVE_MEM, NATIVE_MEM_BYTES, PROT_READ | PROT_WRITE) ==
		    MAP_FAILED)
		return "cannot map the test's pages below 4G";
	have16 = native_set_segment(NATIVE_LDT_CODE16, &native_code16) &&
		 native_set_segment(NATIVE_LDT_DATA16, &native_data16);
	if (!native_set_segment(NATIVE_LDT_GS, &native_gs))
		return "modify_ldt() is refused";

	/*
	 * The stack lies above 4G. If an ESP happened to point into it, the
	 * kernel would put the frame there, and would kill the process where
	 * there is no room for it.
	 */
	ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ss.ss_sp == MAP_FAILED || (u64)ss.ss_sp >> 32 == 0 ||
	    sigaltstack(&ss, NULL))
		return "no alternate signal stack";
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], &sa, NULL))
			return "no signal handler";
	return NULL;
}

bool native_mode_available(enum insn_mode mode)
{
	return mode != INSN_MODE_16 || have16;
}

u16 native_selector(enum insn_mode mode, bool small, enum insn_seg seg)
{
	switch (seg) {
	case INSN_SEG_CS:
		return mode == INSN_MODE_64 ? USER_CS :
		       mode == INSN_MODE_32 ? USER32_CS :
					      LDT_SEL(NATIVE_LDT_CODE16);
	case INSN_SEG_FS:
		return 0;
	case INSN_SEG_GS:
		return LDT_SEL(NATIVE_LDT_GS);
	default:
		return mode == INSN_MODE_16 || small ?
			       LDT_SEL(NATIVE_LDT_DATA16) :
			       USER_DS;
	}
}

u8 *native_code(void)
{
	return (u8 *)NATIVE_CODE + NATIVE_INSN;
}

/* Writes a far jump back to 64-bit mode, whatever the mode is. */
static void put_exit(u8 *p, enum insn_mode mode, const char *target)
{
	u32 low = (u64)target;

	if (mode == INSN_MODE_64) {
		low -= (u64)p + 5;
		*p++ = 0xe9;
		memcpy(p, &low, 4);
		return;
	}
	if (mode == INSN_MODE_16)
		*p++ = 0x66;
	*p++ = 0xea;
	memcpy(p, &low, 4);
	p[4] = USER_CS;
	p[5] = 0;
}

void native_run(enum insn_mode mode, bool small, unsigned int len)
{
	u8 *code = native_code();

	put_exit(code + len, mode, native_exit);
	put_exit(code + NATIVE_TAKEN, mode, native_exit_taken);
	native.ds = native_selector(mode, small, INSN_SEG_DS);
	native.es = native_selector(mode, small, INSN_SEG_ES);
	native.ss = native_selector(mode, small, INSN_SEG_SS);
	native.entry_cs = native_selector(mode, small, INSN_SEG_CS);
	native.entry_off = native_rip(mode);
	native.taken = 0;
	native_fault.happened = false;
	native_enter();
}

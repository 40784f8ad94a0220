// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_FPU with any image: the guest has it, or the call fails. Meanwhile another
 * process on the same CPU uses every vector register. The host's kernel reports a
 * "bad FPU state" when it loads an image that the CPU refuses, or has a guest's XCR0
 * while it does. VIGIL_SEED=n in the environment chooses other random numbers,
 * VIGIL_FULL=n multiplies the rounds.
 */
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "random.h"
#include "../guest/fpu.h"

DECLARE_PAYLOAD3(fpu_store);

#define ROUNDS 60
#define TIMEOUT_S 600 /* for VIGIL_FULL; a guest that hangs is noticed sooner */
#define MXCSR_RESET 0x1f80u
#define FCW_BITS 0x1f3fu /* the others are reserved */
#define FSW_BITS 0x7f7fu /* without ES and B, which follow from the others */
#define XCR0_AVX 7u /* with SSE and x87 */

struct fxsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16], xmm[16][16];
	uint8_t unused[96];
} __attribute__((aligned(16)));

static uint32_t mxcsr_mask(void)
{
	static struct fxsave image;

	asm volatile("fxsave %0" : "+m"(image));
	return image.mxcsr_mask ? image.mxcsr_mask : 0xffbf;
}

/* --- the other process --- */

struct neighbour {
	pid_t pid;
	unsigned long turns, bad;
	bool ends;
};

static bool host_has_avx(void)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 3) != 3)
		return false;
	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return (a & XCR0_AVX) == XCR0_AVX;
}

#define ALL_REGS "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"

/* Loads the registers, lets others run, and stores them. */
static void sse_turn(const uint8_t *in, uint8_t *out)
{
	asm volatile(".irp n," ALL_REGS "\n"
		     "movdqu \\n*32(%0), %%xmm\\n\n"
		     ".endr\n"
		     "mov %2, %%eax\n"
		     "syscall\n"
		     ".irp n," ALL_REGS "\n"
		     "movdqu %%xmm\\n, \\n*32(%1)\n"
		     ".endr\n"
		     :
		     : "r"(in), "r"(out), "i"(24 /* sched_yield */)
		     : "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2",
		       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void avx_turn(const uint8_t *in, uint8_t *out)
{
	asm volatile(".irp n," ALL_REGS "\n"
		     "vmovdqu \\n*32(%0), %%ymm\\n\n"
		     ".endr\n"
		     "mov %2, %%eax\n"
		     "syscall\n"
		     ".irp n," ALL_REGS "\n"
		     "vmovdqu %%ymm\\n, \\n*32(%1)\n"
		     ".endr\n"
		     "vzeroupper\n"
		     :
		     : "r"(in), "r"(out), "i"(24 /* sched_yield */)
		     : "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2",
		       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void neighbour_run(struct neighbour *n)
{
	const bool avx = host_has_avx();
	const uint32_t mxcsr = MXCSR_RESET | 0x6000; /* rounds toward zero */
	uint8_t in[16][32], out[16][32];
	unsigned int i;
	uint32_t got;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < 16; i++) {
		memset(in[i], 0xc0 + i, 16);
		memset(in[i] + 16, avx ? 0xd0 + i : 0, 16);
	}
	memset(out, 0, sizeof(out));
	while (!__atomic_load_n(&n->ends, __ATOMIC_ACQUIRE)) {
		asm volatile("ldmxcsr %0" : : "m"(mxcsr));
		if (avx)
			avx_turn(in[0], out[0]);
		else
			sse_turn(in[0], out[0]);
		asm volatile("stmxcsr %0" : "=m"(got));
		n->bad += memcmp(in, out, sizeof(in)) || got != mxcsr;
		__atomic_fetch_add(&n->turns, 1, __ATOMIC_RELEASE);
	}
	_exit(0);
}

/* Both processes stay on the first CPU that this one may use. */
static struct neighbour *neighbour_start(void)
{
	struct neighbour *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int cpu = 0;
	cpu_set_t set;
	pid_t pid;

	if (n == MAP_FAILED || sched_getaffinity(0, sizeof(set), &set))
		ERROR("neighbour: %s", strerror(errno));
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ERROR("sched_setaffinity: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		ERROR("fork: %s", strerror(errno));
	if (!pid)
		neighbour_run(n);
	n->pid = pid;
	return n;
}

/* Ends it after a whole turn that began after the last round. */
static void neighbour_end(struct neighbour *n)
{
	unsigned long turns = __atomic_load_n(&n->turns, __ATOMIC_ACQUIRE);
	int status;

	while (__atomic_load_n(&n->turns, __ATOMIC_ACQUIRE) < turns + 2) {
		if (waitpid(n->pid, &status, WNOHANG)) {
			FAIL("the other process has ended: status %#x", status);
			test_abort();
		}
		sched_yield();
	}
	__atomic_store_n(&n->ends, true, __ATOMIC_RELEASE);
	if (waitpid(n->pid, &status, 0) != n->pid || status)
		FAIL("the other process: status %#x", status);
	test_note("%lu turns of another process", n->turns);
	if (n->bad)
		FAIL("its registers changed in %lu turns", n->bad);
}

/* --- the guest --- */

static struct vcpu *start_store(enum mode mode)
{
	struct vcpu *v = START3(mode, fpu_store);
	struct vm *vm = v->vm;
	struct kvm_sregs s;

	/* Nothing is at GUEST_LOW, so each store there is a device's. */
	vm_slot(vm, 0, 0, 0, vm->ram, 0);
	vm_slot(vm, 0, 0, GUEST_LOW, vm->ram, 0);
	vm_slot(vm, 1, GUEST_LOW + 0x1000, vm->ram_size - GUEST_LOW - 0x1000,
		vm->ram + GUEST_LOW + 0x1000, 0);
	get_sregs(v, &s);
	sregs_defuse(&s);
	s.cr0 &= ~(uint64_t)(CR0_EM | CR0_TS);
	s.cr0 |= CR0_NE;
	s.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	set_sregs(v, &s);
	return v;
}

/* Runs the guest to its next OUT_SYNC. Returns how many stores the device saw. */
static unsigned int run_stores(struct vcpu *v, uint8_t *dev)
{
	unsigned int stores = 0;
	enum stop stop;

	while ((stop = vcpu_go(v)) == STOP_MMIO) {
		struct kvm_run *run = v->run;
		uint64_t at = run->mmio.phys_addr - GUEST_LOW;

		if (at >= 0x1000 || !run->mmio.is_write || !run->mmio.len ||
		    run->mmio.len > 8 || at + run->mmio.len > 0x1000) {
			FAIL("%u bytes at %#llx", run->mmio.len,
			     run->mmio.phys_addr);
			test_abort();
		}
		memcpy(dev + at, run->mmio.data, run->mmio.len);
		stores++;
	}
	if (stop != STOP_SYNC) {
		FAIL("stopped by %s", stop_name[stop]);
		if (stop == STOP_EXC)
			describe_exc(v);
		vcpu_describe(v);
		test_abort();
	}
	return stores;
}

/*
 * Everything in the image is random, the reserved parts too. MXCSR is good in half of
 * the images. In others one bit too many is set, or all are random.
 */
static void draw_image(struct rng *rng, struct kvm_fpu *f)
{
	rng_fill(rng, f, sizeof(*f));
	if (rng_once_in(rng, 2))
		f->mxcsr &= mxcsr_mask();
	else if (rng_once_in(rng, 2))
		f->mxcsr = MXCSR_RESET | 1u << rng_below(rng, 32);
	if (rng_once_in(rng, 2)) {
		f->fcw |= 0x3f;
		f->fsw &= FSW_BITS;
	}
}

/* No store reports an exception: none is unmasked, and ES does not claim one. */
static bool is_masked(const struct kvm_fpu *f)
{
	return (f->fcw & 0x3f) == 0x3f && !(f->fsw & ~FSW_BITS);
}

/* What the guest stored, in RAM and to the device, is what was set. */
static void check_stored(const struct kvm_fpu *want, struct vcpu *v,
			 const uint8_t *dev, enum mode mode)
{
	const unsigned int nr_xmm = mode == M_LONG ? 16 : 8;
	struct fxsave got;
	uint16_t fcw, fsw;
	uint32_t mxcsr;
	unsigned int i;

	memcpy(&got, vm_ram(v->vm, FPU_IMAGE, sizeof(got)), sizeof(got));
	memcpy(&fcw, dev, 2);
	memcpy(&fsw, dev + 2, 2);
	memcpy(&mxcsr, dev + 4, 4);
	CHECK_EQ(got.fcw & FCW_BITS, want->fcw & FCW_BITS);
	CHECK_EQ(got.fsw & FSW_BITS, want->fsw & FSW_BITS);
	CHECK_EQ(got.ftw, want->ftwx);
	CHECK_EQ(got.mxcsr, want->mxcsr);
	CHECK_EQ(fcw, got.fcw);
	CHECK_EQ(fsw & FSW_BITS, got.fsw & FSW_BITS);
	CHECK_EQ(mxcsr, got.mxcsr);
	for (i = 0; i < 8; i++)
		if (memcmp(got.st[i], want->fpr[i], 10))
			FAIL_MEM("ST(%u) is another one", i);
	for (i = 0; i < nr_xmm; i++)
		if (memcmp(got.xmm[i], want->xmm[i], 16))
			FAIL_MEM("XMM%u is another one", i);
	CHECK_MEM(!memcmp(dev + 0x10, want->xmm[1], 16));
}

static void one_round(struct vcpu *v, struct rng *rng, enum mode mode,
		      uint32_t xcr0)
{
	static struct kvm_fpu has; /* zero is no image: it is set first */
	struct kvm_fpu f, got;
	struct kvm_regs r;
	uint8_t dev[0x1000];
	bool good;

	draw_image(rng, &f);
	good = !(f.mxcsr & ~mxcsr_mask());
	if (test_on_kvm()) {
		/* It takes any image, and leaves MXCSR out. */
		CHECK_OK(ioctl(v->fd, KVM_SET_FPU, &f));
		has = f;
	} else if (good) {
		CHECK_OK(ioctl(v->fd, KVM_SET_FPU, &f));
		has = f;
	} else {
		CHECK_ERRNO(ioctl(v->fd, KVM_SET_FPU, &f), EINVAL);
		/* The call failed, so it has changed nothing: next, this one is set. */
		if (!has.mxcsr)
			has.mxcsr = MXCSR_RESET;
		CHECK_OK(ioctl(v->fd, KVM_SET_FPU, &has));
	}
	get_regs(v, &r);
	r.rbp = xcr0 << FPU_XCR0_SHIFT | (is_masked(&has) ? FPU_MASKED : 0) |
		(rng_once_in(rng, 8) ? FPU_ALL : 0) |
		(test_on_kvm() ? 0 : FPU_DEVICE);
	set_regs(v, &r);
	memset(dev, 0, sizeof(dev));
	CHECK(run_stores(v, dev) >= 2);
	CHECK_OK(ioctl(v->fd, KVM_GET_FPU, &got));
	if (test_on_kvm())
		return;
	check_stored(&has, v, dev, mode);
	CHECK_MEM(!memcmp(got.xmm, has.xmm, sizeof(got.xmm)));
	CHECK_EQ(got.mxcsr, has.mxcsr);
	CHECK_EQ(got.fcw & FCW_BITS, has.fcw & FCW_BITS);
}

static void images(long mode)
{
	unsigned long i, n = test_rounds(ROUNDS);
	struct neighbour *other = neighbour_start();
	struct vcpu *v = start_store(mode);
	struct rng rng;

	rng_seed(&rng, rng_wanted_seed(), mode);
	for (i = 0; i < n && !test_failures(); i++)
		one_round(v, &rng, mode, 0);
	neighbour_end(other);
}

/*
 * The guest's XCR0 has less than the host's, and changes with each round. The host's
 * is back whenever the kernel switches to the other process and its AVX state.
 */
static void images_xcr0(long unused)
{
	static const uint32_t xcr0[] = { 1, 7, 3 };
	unsigned long i, n = test_rounds(ROUNDS);
	struct neighbour *other;
	struct kvm_sregs s;
	struct vcpu *v;
	struct rng rng;

	SKIP_ON_TCG("QEMU TCG does not intercept XSETBV");
	other = neighbour_start();
	v = start_store(M_LONG);
	if (!cpuid_has(v->vm->dev, 1, 0, 2, 28))
		SKIP("no AVX for guests on this CPU");
	get_sregs(v, &s);
	sregs_defuse(&s);
	s.cr4 |= CR4_OSXSAVE;
	set_sregs(v, &s);
	rng_seed(&rng, rng_wanted_seed(), NR_MODES);
	for (i = 0; i < n && !test_failures(); i++)
		one_round(v, &rng, M_LONG, xcr0[i % ARRAY_SIZE(xcr0)]);
	neighbour_end(other);
}

#define CASE(name, mode)                                                \
	{                                                               \
		"any image, stores (" name ")", images, mode, TIMEOUT_S \
	}

static const struct test_case cases[] = { CASE("real", M_REAL),
					  CASE("big real", M_BIGREAL),
					  CASE("prot16", M_PROT16),
					  CASE("vm86", M_VM86),
					  CASE("prot32", M_PROT32),
					  CASE("pae", M_PAE),
					  CASE("long", M_LONG),
					  { "any image, XCR0 of guest and host",
					    images_xcr0, 0, TIMEOUT_S },
					  {} };

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}

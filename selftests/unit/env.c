// SPDX-License-Identifier: GPL-2.0
#include "env.h"

void *env_mem(struct env *e, u64 la, unsigned int bytes)
{
	if (la < ENV_MEM || la - ENV_MEM + bytes > ENV_BYTES)
		return NULL;
	return e->mem + (la - ENV_MEM);
}

static int page_fault(struct emul_ctxt *c, u64 la, bool write)
{
	c->exception = (struct emul_exception){
		.vector = ENV_PF,
		.has_ec = true,
		.error_code = (write ? 2 : 0) | (c->cpl == 3 ? 4 : 0),
		.cr2 = la,
	};
	return EMUL_FAULT;
}

/*
 * All four operations begin with this: it counts the access, and faults or
 * pends if told to.
 */
static int enter(struct env *e, u64 la, unsigned int bytes, bool write,
		 unsigned int flags, u8 **p)
{
	/*
	 * The operations rely on this promise of the emulator: an access stays
	 * in one page.
	 */
	if ((la & 0xfff) + bytes > 0x1000 || !bytes)
		return EMUL_UNHANDLED;
	e->locked |= flags & EMUL_F_LOCKED;
	e->split |= flags & EMUL_F_SPLIT;
	*p = la < e->above ? NULL : env_mem(e, la - e->above, bytes);
	if (!*p)
		return page_fault(&e->c, la, write);
	if (la < e->lowest)
		e->lowest = la;
	if (la + bytes > e->highest)
		e->highest = la + bytes;
	if (e->pend_at >= 0 && e->pend_at-- == 0)
		return EMUL_PENDING;
	return EMUL_OK;
}

static int env_read(struct emul_ctxt *c, u64 la, void *buf, unsigned int bytes,
		    unsigned int flags)
{
	struct env *e = container_of(c, struct env, c);
	u8 *p;
	int ret;

	ret = enter(e, la, bytes, flags & EMUL_F_WRITE_INTENT, flags, &p);
	if (ret)
		return ret;
	e->reads++;
	memcpy(buf, p, bytes);
	return EMUL_OK;
}

static int env_write(struct emul_ctxt *c, u64 la, const void *buf,
		     unsigned int bytes, unsigned int flags)
{
	struct env *e = container_of(c, struct env, c);
	u8 *p;
	int ret;

	ret = enter(e, la, bytes, true, flags, &p);
	if (ret)
		return ret;
	e->writes++;
	if (!e->deny)
		memcpy(p, buf, bytes);
	return EMUL_OK;
}

static int env_cmpxchg(struct emul_ctxt *c, u64 la, void *old, const void *new,
		       unsigned int bytes, unsigned int flags)
{
	struct env *e = container_of(c, struct env, c);
	u8 *p;
	int ret;

	ret = enter(e, la, bytes, true, flags, &p);
	if (ret)
		return ret;
	e->exchanges++;
	if (e->race) {
		e->race--;
		p[0]++;
	}
	if (memcmp(p, old, bytes)) {
		memcpy(old, p, bytes);
		return EMUL_OK;
	}
	if (!e->deny)
		memcpy(p, new, bytes);
	return EMUL_OK;
}

static int env_probe(struct emul_ctxt *c, u64 la, unsigned int bytes,
		     unsigned int flags)
{
	struct env *e = container_of(c, struct env, c);
	u8 *p;
	int ret;

	ret = enter(e, la, bytes, true, flags, &p);
	if (!ret)
		e->probes++;
	return ret;
}

static int env_get_seg(struct emul_ctxt *c, enum insn_seg seg,
		       struct emul_seg *s)
{
	struct env *e = container_of(c, struct env, c);

	*s = e->seg[seg];
	return EMUL_OK;
}

static int env_set_seg(struct emul_ctxt *c, enum insn_seg seg,
		       const struct emul_seg *s)
{
	struct env *e = container_of(c, struct env, c);

	e->seg[seg] = *s;
	return EMUL_OK;
}

static int env_get_cr(struct emul_ctxt *c, unsigned int nr, u64 *val)
{
	struct env *e = container_of(c, struct env, c);

	*val = e->cr[nr];
	return EMUL_OK;
}

static int env_set_cr(struct emul_ctxt *c, unsigned int nr, u64 val)
{
	struct env *e = container_of(c, struct env, c);

	e->cr[nr] = val;
	return EMUL_OK;
}

static int env_get_dr(struct emul_ctxt *c, unsigned int nr, u64 *val)
{
	struct env *e = container_of(c, struct env, c);

	*val = e->dr[nr];
	return EMUL_OK;
}

static int env_set_dr(struct emul_ctxt *c, unsigned int nr, u64 val)
{
	struct env *e = container_of(c, struct env, c);

	e->dr[nr] = val;
	return EMUL_OK;
}

static int env_get_xcr0(struct emul_ctxt *c, u64 *val)
{
	struct env *e = container_of(c, struct env, c);

	*val = e->xcr0;
	return EMUL_OK;
}

static int env_get_dtable(struct emul_ctxt *c, bool idt, struct emul_dtable *t)
{
	struct env *e = container_of(c, struct env, c);

	*t = idt ? e->idt : e->gdt;
	return EMUL_OK;
}

static int env_set_dtable(struct emul_ctxt *c, bool idt,
			  const struct emul_dtable *t)
{
	struct env *e = container_of(c, struct env, c);

	*(idt ? &e->idt : &e->gdt) = *t;
	return EMUL_OK;
}

static int env_get_sys_seg(struct emul_ctxt *c, bool tr, struct emul_seg *s)
{
	struct env *e = container_of(c, struct env, c);

	*s = tr ? e->tr : e->ldt;
	return EMUL_OK;
}

static int env_set_sys_seg(struct emul_ctxt *c, bool tr,
			   const struct emul_seg *s)
{
	struct env *e = container_of(c, struct env, c);

	*(tr ? &e->tr : &e->ldt) = *s;
	return EMUL_OK;
}

static void env_unblock_nmi(struct emul_ctxt *c)
{
	struct env *e = container_of(c, struct env, c);

	e->nmi_unblocked = true;
}

static int env_invlpg(struct emul_ctxt *c, u64 la)
{
	struct env *e = container_of(c, struct env, c);

	e->invlpg = la;
	return EMUL_OK;
}

static int env_get_vec(struct emul_ctxt *c, unsigned int reg, void *buf,
		       unsigned int bytes)
{
	struct env *e = container_of(c, struct env, c);

	memcpy(buf, e->vec[reg], bytes);
	return EMUL_OK;
}

static int env_set_vec(struct emul_ctxt *c, unsigned int reg, const void *buf,
		       unsigned int bytes, bool zero_upper)
{
	struct env *e = container_of(c, struct env, c);

	memcpy(e->vec[reg], buf, bytes);
	if (zero_upper)
		memset(e->vec[reg] + bytes, 0, 32 - bytes);
	return EMUL_OK;
}

static int env_get_mmx(struct emul_ctxt *c, unsigned int reg, u64 *val)
{
	struct env *e = container_of(c, struct env, c);

	*val = e->mmx[reg];
	return EMUL_OK;
}

static int env_set_mmx(struct emul_ctxt *c, unsigned int reg, u64 val)
{
	struct env *e = container_of(c, struct env, c);

	e->mmx[reg] = val;
	return EMUL_OK;
}

/* Runs x87 instructions of this CPU on the state in @image, which may be e->fx. */
#define ON_FPU(image, insns, ...)                                     \
	do {                                                          \
		static u8 host[512] __attribute__((aligned(16)));     \
                                                                      \
		asm volatile("fxsave %1; fninit; fxrstor %0; " insns  \
			     "; fxsave %0; fxrstor %1"                \
			     : "+m"(*(u8(*)[512])(image)), "=m"(host) \
			     : __VA_ARGS__                            \
			     : "memory");                             \
	} while (0)

/* FLDCW takes back what FNSTENV does to the control word. */
static void native_environment(u8 *image, u8 *env)
{
	ON_FPU(image, "fnstenv (%2); fldcw (%2)", "r"(env));
}

static u8 *fx_image(struct env *e)
{
	static u8 image[512] __attribute__((aligned(16)));
	const u32 mxcsr = 0x1f80;

	memset(image, 0, sizeof(image));
	memcpy(image, e->fx, sizeof(e->fx));
	memcpy(image + 24, &mxcsr, sizeof(mxcsr));
	return image;
}

static int env_x87_stored(struct emul_ctxt *c, bool init)
{
	struct env *e = container_of(c, struct env, c);
	u8 scratch[108], *image = fx_image(e);

	if (!e->has_fx)
		return EMUL_OK;
	if (init)
		ON_FPU(image, "fnsave (%2); fnstenv (%3); fldcw (%3)",
		       "r"(scratch), "r"(e->x87_env));
	else
		ON_FPU(image, "fnstenv (%2); fnstenv (%3); fldcw (%3)",
		       "r"(scratch), "r"(e->x87_env));
	memcpy(e->fx, image, sizeof(e->fx));
	return EMUL_OK;
}

static int env_load_x87(struct emul_ctxt *c, const u8 *from, bool regs)
{
	struct env *e = container_of(c, struct env, c);
	u8 *image = fx_image(e);

	if (!e->has_fx)
		return EMUL_OK;
	if (regs)
		ON_FPU(image, "frstor (%2); fnstenv (%3); fldcw (%3)",
		       "r"(from), "r"(e->x87_env));
	else
		ON_FPU(image, "fldenv (%2); fnstenv (%3); fldcw (%3)",
		       "r"(from), "r"(e->x87_env));
	memcpy(e->fx, image, sizeof(e->fx));
	return EMUL_OK;
}

static int env_set_x87(struct emul_ctxt *c, const struct emul_x87 *state)
{
	struct env *e = container_of(c, struct env, c);

	memcpy(e->fx + 2, &state->fsw, 2);
	e->fx[4] = state->ftw;
	return EMUL_OK;
}

/* XSAVE's components, at Intel's offsets: YMM, opmask, ZMM_Hi256, Hi16_ZMM. */
static const struct emul_component components[] = {
	[2] = { .offset = 576, .bytes = 256 },
	[5] = { .offset = 1088, .bytes = 64 },
	[6] = { .offset = 1152, .bytes = 512 },
	[7] = { .offset = 1664, .bytes = 1024 },
};

static int env_get_component(struct emul_ctxt *c, unsigned int nr,
			     struct emul_component *comp)
{
	if (nr >= ARRAY_SIZE(components) || !components[nr].bytes)
		return EMUL_UNHANDLED;
	*comp = components[nr];
	return EMUL_OK;
}

static u32 mxcsr_mask(void)
{
	static u8 image[512] __attribute__((aligned(16)));
	u32 mask;

	asm volatile("fxsave %0" : "=m"(image));
	memcpy(&mask, image + 28, sizeof(mask));
	return mask;
}

/*
 * Makes the image that a CPU stores after the MMX and vector registers were
 * loaded.
 */
static const u8 *env_save_state(struct emul_ctxt *c, enum emul_save how,
				bool wide, u64 mask)
{
	struct env *e = container_of(c, struct env, c);
	static u8 image[EMUL_SAVE_BYTES] __attribute__((aligned(16)));
	const u16 fcw = 0x37f;
	const u32 mxcsr[] = { 0x1f80, mxcsr_mask() };
	bool compact = how == EMUL_SAVE_XSAVEC;
	u64 header[] = { mask & e->xinuse, compact ? mask | 1ull << 63 : 0 };
	unsigned int i, at, end = 576;

	memset(image, 0, sizeof(image));
	memcpy(image, &fcw, 2);
	image[4] = 0xff; /* no register is empty */
	memcpy(image + 24, mxcsr, 8);
	for (i = 0; i < 8; i++) {
		memcpy(image + 32 + 16 * i, &e->mmx[i], 8);
		memset(image + 32 + 16 * i + 8, 0xff, 2);
	}
	for (i = 0; i < 16; i++) {
		memcpy(image + 160 + 16 * i, e->vec[i], 16);
		memcpy(image + 576 + 16 * i, e->vec[i] + 16, 16);
	}
	for (i = 2; i < ARRAY_SIZE(components); i++) {
		if (!(mask >> i & 1))
			continue;
		at = compact ? end : components[i].offset;
		end += components[i].bytes;
		if (i > 2)
			memset(image + at, ENV_COMPONENT(i),
			       components[i].bytes);
	}
	if (e->has_fx)
		memcpy(image, e->fx, sizeof(e->fx));
	if (how == EMUL_SAVE_FNSTENV)
		native_environment(image, image + EMUL_AT_ENV);
	else if (how != EMUL_SAVE_FXSAVE)
		memcpy(image + 512, header, sizeof(header));
	return image;
}

static int env_clear_opmask(struct emul_ctxt *c, unsigned int reg)
{
	container_of(c, struct env, c)->opmask_cleared = reg;
	return EMUL_OK;
}

const struct emul_ops env_ops = {
	.read = env_read,
	.write = env_write,
	.cmpxchg = env_cmpxchg,
	.probe = env_probe,
	.get_seg = env_get_seg,
	.set_seg = env_set_seg,
	.get_cr = env_get_cr,
	.set_cr = env_set_cr,
	.get_dr = env_get_dr,
	.set_dr = env_set_dr,
	.get_xcr0 = env_get_xcr0,
	.get_dtable = env_get_dtable,
	.set_dtable = env_set_dtable,
	.get_sys_seg = env_get_sys_seg,
	.set_sys_seg = env_set_sys_seg,
	.unblock_nmi = env_unblock_nmi,
	.invlpg = env_invlpg,
	.get_vec = env_get_vec,
	.set_vec = env_set_vec,
	.get_mmx = env_get_mmx,
	.set_mmx = env_set_mmx,
	.set_x87 = env_set_x87,
	.x87_stored = env_x87_stored,
	.load_x87 = env_load_x87,
	.save_state = env_save_state,
	.get_component = env_get_component,
	.clear_opmask = env_clear_opmask,
};

void env_begin(struct env *e)
{
	vigil_emul_begin(&e->c);
	e->reads = e->writes = e->exchanges = e->probes = 0;
	e->lowest = ~0ull;
	e->highest = 0;
	e->locked = false;
	e->split = false;
	e->pend_at = -1;
	e->opmask_cleared = -1;
	e->deny = false;
	e->race = 0;
}

void env_init(struct env *e, enum insn_mode mode)
{
	unsigned int i;

	memset(e, 0, sizeof(*e));
	e->c.mode = mode;
	e->c.cpl = 3;
	e->c.protected_mode = true;
	e->c.long_mode = mode == INSN_MODE_64;
	e->c.va_bits = 48;
	e->c.features = EMUL_FEAT_ALL;
	e->c.rflags = 0x202;
	e->cr[0] = 0x80050033;
	e->cr[4] = 0x00040620; /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
	e->xcr0 = 7;
	e->xinuse = ~0ull;
	for (i = 0; i < 6; i++) {
		/*
		 * Each is a data segment of DPL 3, for reading and writing,
		 * accessed.
		 */
		e->seg[i].attr = 0x0f3;
		e->seg[i].limit = 0xffff;
		e->seg[i].sel = 0x2b;
		if (mode != INSN_MODE_16) {
			e->seg[i].attr |= EMUL_SEG_DB | EMUL_SEG_G;
			e->seg[i].limit = 0xffffffff;
		}
	}
	e->seg[INSN_SEG_CS].attr |= 8;
	env_begin(e);
}

int env_step(struct env *e, const u8 *bytes, unsigned int n)
{
	int ret;

	vigil_emul_begin(&e->c);
	if (vigil_decode(&e->c.insn, bytes, n, e->c.mode))
		return -1;
	do
		ret = vigil_emulate(&e->c, &env_ops);
	while (ret == EMUL_OK && e->c.more && e->c.task.stage);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The virtual machine control block: AMD64 Architecture Programmer's Manual,
 * volume 2, appendix B (layout) and C (exit codes), chapter 15 (fields).
 */
#ifndef VIGIL_SVM_VMCB_H
#define VIGIL_SVM_VMCB_H

#include "vmm/pure.h"

/* clang-format off */
/* words of vmcb_control.intercept */
enum {
	ICPT_CR,	/* reads: bits 0-15, writes: 16-31 */
	ICPT_DR,	/* the same */
	ICPT_EXCEPTION,	/* by vector */
	ICPT_MISC1,
	ICPT_MISC2,
	ICPT_MISC3,
	NR_ICPT
};

#define ICPT_CR_READ(n)		BIT(n)
#define ICPT_CR_WRITE(n)	BIT(16 + (n))

/* ICPT_MISC1 */
#define ICPT_INTR		BIT(0)
#define ICPT_NMI		BIT(1)
#define ICPT_SMI		BIT(2)
#define ICPT_INIT		BIT(3)
#define ICPT_VINTR		BIT(4)
#define ICPT_TABLE_READS	GENMASK(9, 6)	/* SIDT SGDT SLDT STR */
#define ICPT_TABLE_WRITES	GENMASK(13, 10)	/* LIDT LGDT LLDT LTR */
#define ICPT_TABLE_WRITES_SHIFT	10
#define ICPT_RDPMC		BIT(15)
#define ICPT_CPUID		BIT(18)
#define ICPT_RSM		BIT(19)
#define ICPT_IRET		BIT(20)
#define ICPT_INVD		BIT(22)
#define ICPT_HLT		BIT(24)
#define ICPT_INVLPG		BIT(25)
#define ICPT_INVLPGA		BIT(26)
#define ICPT_IOIO		BIT(27)
#define ICPT_MSR		BIT(28)
#define ICPT_TASK_SWITCH	BIT(29)
#define ICPT_FERR_FREEZE	BIT(30)
#define ICPT_SHUTDOWN		BIT(31)
/* ICPT_MISC2 */
#define ICPT_VMRUN		BIT(0)
#define ICPT_VMMCALL		BIT(1)
#define ICPT_VMLOAD		BIT(2)
#define ICPT_VMSAVE		BIT(3)
#define ICPT_STGI		BIT(4)
#define ICPT_CLGI		BIT(5)
#define ICPT_SKINIT		BIT(6)
#define ICPT_RDTSCP		BIT(7)
#define ICPT_ICEBP		BIT(8)
#define ICPT_WBINVD		BIT(9)
#define ICPT_MONITOR		BIT(10)
#define ICPT_MWAIT		BIT(11)
#define ICPT_XSETBV		BIT(13)
#define ICPT_RDPRU		BIT(14)
/* ICPT_MISC3 */
#define ICPT_INVPCID		BIT(2)

/* tlb_control */
#define TLB_CTL_NOTHING		0
#define TLB_CTL_FLUSH_ALL	1
#define TLB_CTL_FLUSH_ASID	3

/* int_control */
#define V_TPR			0xfu
#define V_IRQ			BIT(8)
#define V_INTR_PRIO		(0xfu << 16)
#define V_IGN_TPR		BIT(20)
#define V_INTR_MASKING		BIT(24)

#define INT_SHADOW		BIT(0)

#define NP_ENABLE		BIT(0)

/* exit_int_info and event_inj */
#define EVT_VECTOR		0xffu
#define EVT_TYPE		(7u << 8)
#define EVT_TYPE_INTR		(0u << 8)
#define EVT_TYPE_NMI		(2u << 8)
#define EVT_TYPE_EXCEPTION	(3u << 8)
#define EVT_HAS_ERROR		BIT(11)
#define EVT_VALID		BIT(31)

/*
 * A clean bit says that the fields of its group have not changed since this CPU
 * last loaded them.
 */
enum {
	CLEAN_INTERCEPTS,	/* intercepts, TSC offset, pause filter */
	CLEAN_PERM_MAPS,
	CLEAN_ASID,
	CLEAN_TPR,		/* int_control, int_vector */
	CLEAN_NP,
	CLEAN_CR,		/* CR0, CR3, CR4, EFER */
	CLEAN_DR,
	CLEAN_DT,		/* GDTR, IDTR */
	CLEAN_SEG,		/* CS, DS, SS, ES, CPL */
	CLEAN_CR2,
	CLEAN_LBR,
	NR_CLEAN
};
#define CLEAN_ALL		(BIT(NR_CLEAN) - 1)

enum svm_exit_code {
	EXIT_READ_CR0		= 0x00,
	EXIT_READ_CR15		= 0x0f,
	EXIT_WRITE_CR0		= 0x10,
	EXIT_WRITE_CR15		= 0x1f,
	EXIT_READ_DR0		= 0x20,
	EXIT_READ_DR15		= 0x2f,
	EXIT_WRITE_DR0		= 0x30,
	EXIT_WRITE_DR15		= 0x3f,
	EXIT_EXCP_DE		= 0x40,
	EXIT_EXCP_DB		= 0x41,
	EXIT_EXCP_BR		= 0x45,
	EXIT_EXCP_UD		= 0x46,
	EXIT_EXCP_NM		= 0x47,
	EXIT_EXCP_DF		= 0x48,
	EXIT_EXCP_TS		= 0x4a,
	EXIT_EXCP_NP		= 0x4b,
	EXIT_EXCP_SS		= 0x4c,
	EXIT_EXCP_GP		= 0x4d,
	EXIT_EXCP_PF		= 0x4e,
	EXIT_EXCP_MF		= 0x50,
	EXIT_EXCP_AC		= 0x51,
	EXIT_EXCP_MC		= 0x52,
	EXIT_EXCP_XF		= 0x53,
	EXIT_INTR		= 0x60,
	EXIT_NMI		= 0x61,
	EXIT_SMI		= 0x62,
	EXIT_INIT		= 0x63,
	EXIT_VINTR		= 0x64,
	EXIT_IDTR_READ		= 0x66,
	EXIT_TR_WRITE		= 0x6d,
	EXIT_RDPMC		= 0x6f,
	EXIT_CPUID		= 0x72,
	EXIT_RSM		= 0x73,
	EXIT_IRET		= 0x74,
	EXIT_INVD		= 0x76,
	EXIT_HLT		= 0x78,
	EXIT_INVLPG		= 0x79,
	EXIT_INVLPGA		= 0x7a,
	EXIT_IOIO		= 0x7b,
	EXIT_MSR		= 0x7c,
	EXIT_TASK_SWITCH	= 0x7d,
	EXIT_FERR_FREEZE	= 0x7e,
	EXIT_SHUTDOWN		= 0x7f,
	EXIT_VMRUN		= 0x80,
	EXIT_VMMCALL		= 0x81,
	EXIT_VMLOAD		= 0x82,
	EXIT_VMSAVE		= 0x83,
	EXIT_STGI		= 0x84,
	EXIT_CLGI		= 0x85,
	EXIT_SKINIT		= 0x86,
	EXIT_RDTSCP		= 0x87,
	EXIT_ICEBP		= 0x88,
	EXIT_WBINVD		= 0x89,
	EXIT_MONITOR		= 0x8a,
	EXIT_MWAIT		= 0x8b,
	EXIT_XSETBV		= 0x8d,
	EXIT_RDPRU		= 0x8e,
	EXIT_INVPCID		= 0xa2,
	NR_EXIT_CODES		= 0xa4,
};

/* exit_info_1 of EXIT_IOIO */
#define IOIO_IN			BIT(0)
#define IOIO_STRING		BIT(2)
#define IOIO_SIZE_SHIFT		4
#define IOIO_SIZE		7u
#define IOIO_PORT_SHIFT		16

/* exit_info_2 of EXIT_TASK_SWITCH; RF is what the old TSS would get */
#define TASK_IRET		BIT_ULL(36)
#define TASK_JMP		BIT_ULL(38)
#define TASK_RF			BIT_ULL(48)

/*
 * With decode assists, exit_info_1 of a CR access says that it was a MOV, and
 * of which register.
 */
#define CR_IS_MOV		BIT_ULL(63)
#define CR_GPR			0xfu

struct vmcb_seg {
	u16 selector;
	u16 attr;		/* descriptor bits 40-47 and 52-55 */
	u32 limit;
	u64 base;
} __packed;

/* vmcb_seg.attr */
#define SEG_ATTR_P		BIT(7)
#define SEG_ATTR_L		BIT(9)
#define SEG_ATTR_DB		BIT(10)
/* clang-format on */

struct vmcb_control {
	u32 intercept[NR_ICPT];
	u32 reserved_18[9];
	u16 pause_filter_threshold;
	u16 pause_filter_count;
	u64 iopm_pa;
	u64 msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control;
	u8 reserved_5d[3];
	u32 int_control;
	u32 int_vector;
	u64 int_state;
	u64 exit_code;
	u64 exit_info_1;
	u64 exit_info_2;
	u32 exit_int_info;
	u32 exit_int_error;
	u64 nested_control;
	u64 avic_bar;
	u64 ghcb_pa;
	u32 event_inj;
	u32 event_inj_error;
	u64 nested_cr3;
	u64 lbr_control;
	u32 clean;
	u32 reserved_c4;
	u64 next_rip;
	u8 insn_len;
	u8 insn_bytes[15];
	u64 avic_backing_page;
	u64 reserved_e8;
	u64 avic_logical_table;
	u64 avic_physical_table;
	u64 reserved_100;
	u64 vmsa_pa;
	u8 reserved_110[720];
	u8 software[32];
} __packed;

struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs;
	struct vmcb_seg gdtr, ldtr, idtr, tr;
	u8 reserved_a0[43];
	u8 cpl;
	u32 reserved_cc;
	u64 efer;
	u8 reserved_d8[112];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved_180[88];
	u64 rsp;
	u64 s_cet, ssp, isst_addr;
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved_248[32];
	u64 g_pat;
	u64 debugctl;
	u64 br_from, br_to, last_excp_from, last_excp_to;
	u8 reserved_298[72];
	u64 spec_ctrl;
	u8 reserved_2e8[2328];
} __packed;

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
} __packed __aligned(4096);

#define CTL_AT(field, off) \
	static_assert(offsetof(struct vmcb_control, field) == (off))
CTL_AT(intercept, 0x000);
CTL_AT(pause_filter_threshold, 0x03c);
CTL_AT(pause_filter_count, 0x03e);
CTL_AT(iopm_pa, 0x040);
CTL_AT(msrpm_pa, 0x048);
CTL_AT(tsc_offset, 0x050);
CTL_AT(asid, 0x058);
CTL_AT(tlb_control, 0x05c);
CTL_AT(int_control, 0x060);
CTL_AT(int_vector, 0x064);
CTL_AT(int_state, 0x068);
CTL_AT(exit_code, 0x070);
CTL_AT(exit_info_1, 0x078);
CTL_AT(exit_info_2, 0x080);
CTL_AT(exit_int_info, 0x088);
CTL_AT(nested_control, 0x090);
CTL_AT(avic_bar, 0x098);
CTL_AT(ghcb_pa, 0x0a0);
CTL_AT(event_inj, 0x0a8);
CTL_AT(nested_cr3, 0x0b0);
CTL_AT(lbr_control, 0x0b8);
CTL_AT(clean, 0x0c0);
CTL_AT(next_rip, 0x0c8);
CTL_AT(insn_len, 0x0d0);
CTL_AT(insn_bytes, 0x0d1);
CTL_AT(avic_backing_page, 0x0e0);
CTL_AT(avic_logical_table, 0x0f0);
CTL_AT(avic_physical_table, 0x0f8);
CTL_AT(vmsa_pa, 0x108);
CTL_AT(software, 0x3e0);
static_assert(sizeof(struct vmcb_control) == 0x400);
#undef CTL_AT

#define SAVE_AT(field, off) \
	static_assert(offsetof(struct vmcb_save, field) == (off))
SAVE_AT(es, 0x000);
SAVE_AT(cs, 0x010);
SAVE_AT(ss, 0x020);
SAVE_AT(ds, 0x030);
SAVE_AT(fs, 0x040);
SAVE_AT(gs, 0x050);
SAVE_AT(gdtr, 0x060);
SAVE_AT(ldtr, 0x070);
SAVE_AT(idtr, 0x080);
SAVE_AT(tr, 0x090);
SAVE_AT(cpl, 0x0cb);
SAVE_AT(efer, 0x0d0);
SAVE_AT(cr4, 0x148);
SAVE_AT(cr3, 0x150);
SAVE_AT(cr0, 0x158);
SAVE_AT(dr7, 0x160);
SAVE_AT(dr6, 0x168);
SAVE_AT(rflags, 0x170);
SAVE_AT(rip, 0x178);
SAVE_AT(rsp, 0x1d8);
SAVE_AT(s_cet, 0x1e0);
SAVE_AT(rax, 0x1f8);
SAVE_AT(star, 0x200);
SAVE_AT(lstar, 0x208);
SAVE_AT(cstar, 0x210);
SAVE_AT(sfmask, 0x218);
SAVE_AT(kernel_gs_base, 0x220);
SAVE_AT(sysenter_cs, 0x228);
SAVE_AT(sysenter_esp, 0x230);
SAVE_AT(sysenter_eip, 0x238);
SAVE_AT(cr2, 0x240);
SAVE_AT(g_pat, 0x268);
SAVE_AT(debugctl, 0x270);
SAVE_AT(br_from, 0x278);
SAVE_AT(last_excp_to, 0x290);
SAVE_AT(spec_ctrl, 0x2e0);
static_assert(sizeof(struct vmcb_save) == 0xc00);
static_assert(sizeof(struct vmcb_seg) == 16);
static_assert(sizeof(struct vmcb) == 4096);
#undef SAVE_AT

#endif

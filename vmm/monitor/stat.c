// SPDX-License-Identifier: GPL-2.0
/* Counters: VIGIL_GET_STATS, and debugfs vigil/<id>/{stats,info}. */
#include <linux/debugfs.h>
#include <linux/pid.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "monitor.h"
#include "stat.h"

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define X(field) { #field, offsetof(struct vigil_vcpu_stat, field) },
	VIGIL_VCPU_STATS(X)
#undef X
};

static struct dentry *root;

/*
 * The vCPU goes on while its counter is read, so the value may be a little old.
 */
static u64 read_counter(const struct vigil_vcpu *vcpu, unsigned int i)
{
	return READ_ONCE(
		*(const u64 *)((const char *)&vcpu->stat + counters[i].offset));
}

static u64 sum_counter(struct vigil_vm *vm, unsigned int i)
{
	struct vigil_vcpu *vcpu;
	unsigned int n;
	u64 sum = 0;

	vigil_for_each_vcpu(n, vcpu, vm)
		sum += read_counter(vcpu, i);
	return sum;
}

u64 vigil_vm_mem_bytes(struct vigil_vm *vm)
{
	struct vigil_slots *slots;
	u64 pages = 0;
	unsigned int i;
	int idx;

	idx = srcu_read_lock(&vm->srcu);
	slots = vigil_slots(vm);
	for (i = 0; slots && i < slots->count; i++)
		pages += slots->slot[i]->npages;
	srcu_read_unlock(&vm->srcu, idx);
	return pages << PAGE_SHIFT;
}

long stat_get(struct vigil_vm *vm, struct vigil_stats __user *user)
{
	char __user *names;
	u64 __user *values;
	struct vigil_stats s;
	char name[VIGIL_NAME_LEN];
	u64 value;
	unsigned int i;

	if (copy_from_user(&s, user, sizeof(s)))
		return -EFAULT;
	if (s.pad || s.values != (unsigned long)s.values ||
	    s.names != (unsigned long)s.names)
		return -EINVAL;
	values = (void __user *)(unsigned long)s.values;
	names = (void __user *)(unsigned long)s.names;
	for (i = 0; i < min_t(u32, s.count, ARRAY_SIZE(counters)); i++) {
		value = sum_counter(vm, i);
		if (copy_to_user(&values[i], &value, sizeof(value)))
			return -EFAULT;
		if (!names)
			continue;
		memset(name, 0, sizeof(name));
		strscpy(name, counters[i].name, sizeof(name));
		if (copy_to_user(names + i * sizeof(name), name, sizeof(name)))
			return -EFAULT;
	}
	return put_user((u32)ARRAY_SIZE(counters), &user->count) ? -EFAULT : 0;
}

/* Prints the name, the sum, and a column for each vCPU. */
static int stats_show(struct seq_file *m, void *unused)
{
	struct vigil_vm *vm = m->private;
	struct vigil_vcpu *vcpu;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		seq_printf(m, "%-20s %llu", counters[i].name,
			   sum_counter(vm, i));
		vigil_for_each_vcpu(n, vcpu, vm)
			seq_printf(m, " %llu", read_counter(vcpu, i));
		seq_putc(m, '\n');
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int info_show(struct seq_file *m, void *unused)
{
	struct vigil_vm *vm = m->private;
	const char *dead = READ_ONCE(vm->dead);
	struct monitor *mon;

	mutex_lock(&vm->monitor_lock);
	seq_printf(m, "id %u\nname %s\npid %d\nuid %u\nvcpus %u\nmemory %llu\n",
		   vm->id, vm->name, pid_nr(vm->pid),
		   from_kuid_munged(&init_user_ns, vm->owner),
		   READ_ONCE(vm->nr_vcpus), vigil_vm_mem_bytes(vm));
	seq_printf(m, "monitors %u\nreaders %u\n", vm->nr_monitors,
		   vm->nr_readers);
	list_for_each_entry(mon, &vm->monitors, link)
		seq_printf(m, "watches %u\n", mon->nr_watches);
	mutex_unlock(&vm->monitor_lock);
	if (dead)
		seq_printf(m, "dead %s\n", dead);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(info);

void stat_vm_add(struct vigil_vm *vm)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", vm->id);
	vm->debugfs = debugfs_create_dir(name, root);
	debugfs_create_file("stats", 0400, vm->debugfs, vm, &stats_fops);
	debugfs_create_file("info", 0400, vm->debugfs, vm, &info_fops);
}

/* Waits until nobody reads the files any more. */
void stat_vm_del(struct vigil_vm *vm)
{
	debugfs_remove_recursive(vm->debugfs);
}

int stat_init(void)
{
	root = debugfs_create_dir("vigil", NULL);
	return 0; /* A kernel without debugfs is no reason to refuse. */
}

void stat_exit(void)
{
	debugfs_remove_recursive(root);
}

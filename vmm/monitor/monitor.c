// SPDX-License-Identifier: GPL-2.0
/* Finding VMs, attaching to one, and the monitor's file. */
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "monitor.h"
#include "pause.h"
#include "view.h"
#include "vmm/pv/pv.h"
#include "vmm/trace.h"

/*
 * The layout must be the same for every userspace, without a hole that leaks
 * kernel memory.
 */
static_assert(sizeof(struct vigil_vm_info) == 40 + VIGIL_NAME_LEN);
static_assert(sizeof(struct vigil_vm_list) == 16);
static_assert(sizeof(struct vigil_attach) == 8);
static_assert(sizeof(struct vigil_name) == VIGIL_NAME_LEN);
static_assert(sizeof(struct vigil_watch) == 80);
static_assert(sizeof(struct vigil_watch_list) == 32);
static_assert(sizeof(struct vigil_event) == 448);
static_assert(offsetof(struct vigil_event, call) == 376);
static_assert(sizeof(struct vigil_change) == 32);
static_assert(offsetof(struct vigil_event, regs) == 72);
static_assert(offsetof(struct vigil_event, insn) == 232);
static_assert(offsetof(struct vigil_event, reserved) +
		      sizeof_field(struct vigil_event, reserved) ==
	      sizeof(struct vigil_event));
static_assert(sizeof(struct vigil_verdict) == 96);
static_assert(sizeof(struct vigil_queue) == 8);
static_assert(sizeof(struct vigil_mem) == 40);
static_assert(sizeof(struct vigil_vcpu_state) ==
	      16 + sizeof(struct kvm_regs) + sizeof(struct kvm_sregs));
static_assert(sizeof(struct vigil_stats) == 24);
static_assert(sizeof(struct vigil_pause) == 8);

#define ATTACH_FLAGS (VIGIL_ATTACH_READ | VIGIL_ATTACH_EVICT)
#define SET_VCPU_FLAGS (VIGIL_VCPU_REGS | VIGIL_VCPU_SREGS)

static void monitor_free(struct kref *ref)
{
	struct monitor *mon = container_of(ref, struct monitor, ref);

	mevent_free(mon);
	atomic_dec(&mon->vm->monitors_alive);
	kfree(mon);
}

void monitor_put(struct monitor *mon)
{
	kref_put(&mon->ref, monitor_free);
}

/*
 * May the caller attach to the VMM's process by ptrace(2)? The kernel's check,
 * which asks security modules as well, is open to modules only through what makes
 * it: the opening of /proc/PID/mem. The path is the caller's, who may have put
 * anything there. So the file must be procfs's own "mem", and of the VM's address
 * space.
 */
static bool may_ptrace(struct vigil_vm *vm)
{
	char path[32];
	struct file *f;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid_vnr(vm->pid));
	f = filp_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (IS_ERR(f))
		return false;
	ok = file_inode(f)->i_sb->s_magic == PROC_SUPER_MAGIC &&
	     !strcmp(f->f_path.dentry->d_name.name, "mem") &&
	     f->private_data == vm->mm;
	filp_close(f, NULL);
	return ok;
}

/*
 * May the caller attach? This reads the caller's /proc, which may take any
 * time, so no lock is held that others wait for.
 */
static bool may_attach(struct vigil_vm *vm)
{
	switch (READ_ONCE(vm->attach_by)) {
	case VIGIL_ATTACH_BY_USER:
		return uid_eq(current_euid(), vm->owner) || may_ptrace(vm);
	case VIGIL_ATTACH_BY_ADMIN:
		return ns_capable(vm->user_ns, CAP_SYS_ADMIN) && may_ptrace(vm);
	default:
		return may_ptrace(vm);
	}
}

/*
 * May the caller see that the VM exists? Its user and the administrator may. A
 * denial is not logged, since the caller has not tried to attach.
 */
static bool may_see(struct vigil_vm *vm)
{
	return uid_eq(current_euid(), vm->owner) ||
	       ns_capable_noaudit(vm->user_ns, CAP_SYS_ADMIN);
}

static void fill_info(struct vigil_vm *vm, struct vigil_vm_info *info)
{
	memset(info, 0, sizeof(*info));
	info->id = vm->id;
	info->pid = pid_vnr(vm->pid);
	info->uid = from_kuid_munged(current_user_ns(), vm->owner);
	info->nr_vcpus = READ_ONCE(vm->nr_vcpus);
	info->mem_bytes = vigil_vm_mem_bytes(vm);
	info->start_ns = vm->start_ns;
	mutex_lock(&vm->monitor_lock);
	info->nr_monitors = vm->nr_monitors;
	strscpy(info->name, vm->name, sizeof(info->name));
	mutex_unlock(&vm->monitor_lock);
	if (READ_ONCE(vm->dead))
		info->flags |= VIGIL_VM_DEAD;
}

/* Collects the VMs that the caller may see, each with a reference. */
static int collect_vms(struct vigil_vm ***out)
{
	struct vigil_vm *vm, **vms = NULL;
	unsigned int n = 0, room = 0;

	mutex_lock(&vigil_vms_lock);
	list_for_each_entry(vm, &vigil_vms, link)
		room++;
	if (room) {
		vms = kvcalloc(room, sizeof(*vms), GFP_KERNEL_ACCOUNT);
		if (!vms) {
			mutex_unlock(&vigil_vms_lock);
			return -ENOMEM;
		}
	}
	list_for_each_entry(vm, &vigil_vms, link)
		if (may_see(vm) && refcount_inc_not_zero(&vm->users))
			vms[n++] = vm;
	mutex_unlock(&vigil_vms_lock);
	*out = vms;
	return n;
}

static long list_vms(struct vigil_vm_list __user *user)
{
	struct vigil_vm_info info, __user *entries;
	struct vigil_vm_list list;
	struct vigil_vm **vms;
	unsigned int i;
	long ret = 0;
	int n;

	if (copy_from_user(&list, user, sizeof(list)))
		return -EFAULT;
	if (list.entry_size != sizeof(info) ||
	    list.entries != (unsigned long)list.entries)
		return -EINVAL;
	entries = (void __user *)(unsigned long)list.entries;
	n = collect_vms(&vms);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		if (!ret && i < list.count) {
			fill_info(vms[i], &info);
			if (copy_to_user(&entries[i], &info, sizeof(info)))
				ret = -EFAULT;
		}
		vigil_vm_put(vms[i]);
	}
	kvfree(vms);
	if (!ret && put_user(n, &user->count))
		ret = -EFAULT;
	return ret;
}

/* [w] The monitor gives up its place at the VM. */
static void leave(struct monitor *mon)
{
	if (mon->evicted)
		return;
	list_del(&mon->link);
	mon->vm->nr_monitors--;
	watch_hide(mon);
	pause_end(mon);
	/* A vCPU that is let go here meets no watch of the monitor any more. */
	mevent_close(mon);
}

/*
 * [w] The monitors that watch the VM lose their places. Their files stay open, but every
 * call on them fails. So it is with those that are being made, when they are.
 */
static void evict_all(struct vigil_vm *vm)
{
	struct monitor *mon, *next;

	vm->evictions++;

	list_for_each_entry_safe(mon, next, &vm->monitors, link) {
		leave(mon);
		WRITE_ONCE(mon->evicted, true);
	}
	vm->nr_monitors = 0;
	wake_up_all(&vm->monitor_wq);
}

/* Takes its place at the VM, which has been counted already: unless it was evicted since. */
static void join(struct monitor *mon)
{
	struct vigil_vm *vm = mon->vm;

	mutex_lock(&vm->monitor_lock);
	if (vm->evictions == mon->evictions) {
		mon->nr = vm->next_monitor++;
		list_add_tail(&mon->link, &vm->monitors);
	} else {
		WRITE_ONCE(mon->evicted, true);
		mevent_close(mon);
	}
	mutex_unlock(&vm->monitor_lock);
}

static int monitor_release(struct inode *inode, struct file *file)
{
	struct monitor *mon = file->private_data;
	struct vigil_vm *vm = mon->vm;

	trace_vigil_monitor_close(vm, mon->read_only);
	mutex_lock(&vm->monitor_lock);
	if (mon->read_only)
		vm->nr_readers--;
	else
		leave(mon);
	mutex_unlock(&vm->monitor_lock);
	/* Nobody else comes to them any more. */
	watch_drop(mon);
	watch_reap(vm);
	mevent_release(mon);
	monitor_put(mon);
	vigil_vm_put(vm);
	return 0;
}

static __poll_t monitor_poll(struct file *file, poll_table *wait)
{
	struct monitor *mon = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &mon->vm->monitor_wq, wait);
	if (!mon->read_only && mevent_poll(mon))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(mon->vm->dead) || READ_ONCE(mon->evicted))
		mask |= EPOLLHUP;
	return mask;
}

static ssize_t monitor_read(struct file *file, char __user *buf, size_t len,
			    loff_t *pos)
{
	struct monitor *mon = file->private_data;

	if (mon->read_only)
		return -EPERM;
	return mevent_read(mon, buf, len, !(file->f_flags & O_NONBLOCK));
}

static int monitor_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct monitor *mon = file->private_data;

	return mon->read_only ? -EPERM : mevent_mmap(mon, vma);
}

static long ioc_set_queue(struct monitor *mon, struct vigil_queue __user *user)
{
	struct vigil_queue q;

	if (copy_from_user(&q, user, sizeof(q)))
		return -EFAULT;
	return mevent_set_queue(mon, &q);
}

static long ioc_watch_add(struct monitor *mon, struct vigil_watch __user *user)
{
	struct vigil_watch w;
	int ret;

	if (copy_from_user(&w, user, sizeof(w)))
		return -EFAULT;
	mevent_begin(mon);
	ret = watch_add(mon, &w);
	if (!ret && copy_to_user(user, &w, sizeof(w))) {
		/*
		 * The caller never got the id and could not remove the watch:
		 * take it back.
		 */
		watch_del(mon, w.id);
		ret = -EFAULT;
	}
	return ret;
}

/*
 * The first @room watches of a monitor, and their conditions with a reference each, so that
 * they are copied to userspace when no lock is held. How many watches there are.
 */
static int collect_watches(struct monitor *mon, struct vigil_watch *all,
			   struct watch_filter **filters, unsigned int room)
{
	unsigned int n = 0;
	struct mon_watch *w;
	unsigned long id;
	int ret;

	ret = mutex_lock_killable(&mon->vm->monitor_lock);
	if (ret)
		return ret;
	xa_for_each(&mon->watches, id, w) {
		if (n < room) {
			all[n] = w->uapi;
			filters[n] = filter_get(w->filter);
			if (w->filter)
				all[n].passed =
					atomic64_read(&w->filter->passed);
		}
		n++;
	}
	mutex_unlock(&mon->vm->monitor_lock);
	return n;
}

/* Copies the conditions of @n watches, one behind the other, as far as they fit. */
static int copy_conditions(struct vigil_watch_list *list,
			   struct vigil_watch *all,
			   struct watch_filter **filters, unsigned int n)
{
	u64 to = list->conditions;
	u32 room = to ? list->nr_conditions : 0;
	unsigned int i;
	u32 count;

	list->nr_conditions = 0;
	for (i = 0; i < n; i++) {
		count = all[i].nr_conditions;
		list->nr_conditions += count;
		if (!count)
			continue;
		if (count > room) {
			/* In order: those behind are not copied either. */
			room = 0;
			continue;
		}
		if (copy_to_user((void __user *)(unsigned long)to,
				 filters[i]->condition,
				 count * sizeof(struct vigil_condition)))
			return -EFAULT;
		all[i].conditions = to;
		to += count * sizeof(struct vigil_condition);
		room -= count;
	}
	return 0;
}

static long ioc_watch_list(struct monitor *mon,
			   struct vigil_watch_list __user *user)
{
	unsigned int room, shown = 0;
	struct watch_filter **filters;
	struct vigil_watch_list list;
	struct vigil_watch *all;
	long ret = -ENOMEM;
	int n;

	if (copy_from_user(&list, user, sizeof(list)))
		return -EFAULT;
	if (list.entry_size != sizeof(*all) || list.pad ||
	    list.entries != (unsigned long)list.entries ||
	    list.conditions != (unsigned long)list.conditions)
		return -EINVAL;
	room = min_t(u32, list.count, VIGIL_MAX_WATCHES);
	all = kvcalloc(room, sizeof(*all), GFP_KERNEL_ACCOUNT);
	filters = kvcalloc(room, sizeof(*filters), GFP_KERNEL_ACCOUNT);
	if (!all || !filters)
		goto out;
	n = collect_watches(mon, all, filters, room);
	ret = n;
	if (n < 0)
		goto out;
	shown = min_t(unsigned int, n, room);
	ret = copy_conditions(&list, all, filters, shown);
	list.count = n;
	if (!ret && (copy_to_user((void __user *)(unsigned long)list.entries,
				  all, shown * sizeof(*all)) ||
		     copy_to_user(user, &list, sizeof(list))))
		ret = -EFAULT;
out:
	for (; shown; shown--)
		filter_put(filters[shown - 1]);
	kvfree(filters);
	kvfree(all);
	return ret;
}

static long ioc_verdict(struct monitor *mon, struct vigil_verdict __user *user)
{
	struct vigil_verdict v;

	if (copy_from_user(&v, user, sizeof(v)))
		return -EFAULT;
	if (v.verdict > VIGIL_VERDICT_PAUSE || v.len > sizeof(v.data) ||
	    (v.len && v.verdict != VIGIL_VERDICT_REPLACE) ||
	    memchr_inv(v.data + v.len, 0,
		       sizeof(v) - offsetof(struct vigil_verdict, data) -
			       v.len))
		return -EINVAL;
	return mevent_verdict(mon, &v);
}

/* By pages, since the copy is made under a spinlock. */
static long ioc_read_change(struct monitor *mon,
			    struct vigil_change __user *user)
{
	struct vigil_change c;
	u8 __user *to;
	void *page;
	long n = 0;
	u32 done;

	if (copy_from_user(&c, user, sizeof(c)))
		return -EFAULT;
	if (c.pad || c.buf != (unsigned long)c.buf ||
	    c.offset + c.len < c.offset)
		return -EINVAL;
	to = (u8 __user *)(unsigned long)c.buf;
	page = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	done = 0;
	do {
		n = mevent_change(mon, c.seq, c.offset + done, page,
				  min_t(u32, c.len - done, PAGE_SIZE));
		if (n > 0 && copy_to_user(to + done, page, n))
			n = -EFAULT;
		if (n > 0)
			done += n;
	} while (n > 0 && done < c.len);
	kfree(page);
	if (n < 0)
		return n;
	return put_user(done, &user->done) ? -EFAULT : 0;
}

static long ioc_mem(struct monitor *mon, struct vigil_mem __user *user,
		    bool write)
{
	struct vigil_mem mem;
	long ret;

	if (copy_from_user(&mem, user, sizeof(mem)))
		return -EFAULT;
	if (mem.flags & ~VIGIL_MEM_GVA || !mem.len ||
	    mem.len > MONITOR_MAX_COPY || mem.addr + mem.len - 1 < mem.addr ||
	    mem.buf != (unsigned long)mem.buf || mem.cr3 >> 52 ||
	    (mem.cr3 && !(mem.flags & VIGIL_MEM_GVA)))
		return -EINVAL;
	ret = mview_copy(mon->vm, &mem, write);
	if (!ret && put_user(mem.done, &user->done))
		ret = -EFAULT;
	return ret;
}

static long ioc_get_vcpu(struct monitor *mon,
			 struct vigil_vcpu_state __user *user)
{
	struct vigil_vcpu_state *state;
	u32 head[2];
	long ret;

	if (copy_from_user(head, user, sizeof(head)))
		return -EFAULT;
	if (head[1])
		return -EINVAL;
	state = kzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	ret = mview_state(mon->vm, head[0], state);
	if (!ret && copy_to_user(user, state, sizeof(*state)))
		ret = -EFAULT;
	kfree(state);
	return ret;
}

static long ioc_set_vcpu(struct monitor *mon,
			 struct vigil_vcpu_state __user *user)
{
	struct vigil_vcpu_state *state;
	long ret;

	state = memdup_user(user, sizeof(*state));
	if (IS_ERR(state))
		return PTR_ERR(state);
	ret = -EINVAL;
	if (state->flags && !(state->flags & ~SET_VCPU_FLAGS))
		ret = pause_set_state(mon, state);
	kfree(state);
	return ret;
}

/* Pauses vCPUs, or takes back what the monitor has paused. */
static long ioc_pause(struct monitor *mon, struct vigil_pause __user *user,
		      bool pause)
{
	struct vigil_pause p;
	u64 vcpus;

	if (copy_from_user(&p, user, sizeof(p)))
		return -EFAULT;
	if (p.flags & ~(pause ? VIGIL_PAUSE_KEEP : 0))
		return -EINVAL;
	if (p.vcpu == VIGIL_PAUSE_ALL)
		vcpus = PAUSE_ALL;
	else if (p.vcpu < READ_ONCE(mon->vm->nr_vcpus))
		vcpus = BIT_ULL(p.vcpu);
	else
		return -ENOENT;
	if (pause)
		return pause_vcpus(mon, vcpus, p.flags & VIGIL_PAUSE_KEEP);
	pause_take_back(mon, vcpus);
	return 0;
}

static long ioc_translate(struct monitor *mon,
			  struct vigil_translation __user *user)
{
	struct vigil_translation t;
	struct gva_space space;
	long ret;

	if (copy_from_user(&t, user, sizeof(t)))
		return -EFAULT;
	if (t.cr3 >> 52)
		return -EINVAL;
	ret = mview_space(mon->vm, t.cr3, &space);
	if (!ret)
		ret = mview_translate(mon->vm, &space, t.gva, &t.gpa, &t.left);
	if (!ret && copy_to_user(user, &t, sizeof(t)))
		ret = -EFAULT;
	return ret;
}

static long ioc_get_info(struct monitor *mon, struct vigil_vm_info __user *user)
{
	struct vigil_vm_info info;

	fill_info(mon->vm, &info);
	return copy_to_user(user, &info, sizeof(info)) ? -EFAULT : 0;
}

/* The guest stands still, or gets other registers or memory. */
static long control_ioctl(struct monitor *mon, unsigned int cmd,
			  void __user *user)
{
	if (mon->read_only)
		return -EPERM;
	switch (cmd) {
	case VIGIL_PAUSE_VCPUS:
	case VIGIL_RESUME_VCPUS:
		return ioc_pause(mon, user, cmd == VIGIL_PAUSE_VCPUS);
	case VIGIL_SET_VCPU:
		return ioc_set_vcpu(mon, user);
	default:
		return ioc_mem(mon, user, true);
	}
}

/* Commands that a read-only monitor must not use */
static long watch_ioctl(struct monitor *mon, unsigned int cmd,
			void __user *user)
{
	u32 id;

	if (mon->read_only)
		return -EPERM;
	switch (cmd) {
	case VIGIL_WATCH_ADD:
		return ioc_watch_add(mon, user);
	case VIGIL_WATCH_DEL:
		if (get_user(id, (u32 __user *)user))
			return -EFAULT;
		return watch_del(mon, id);
	case VIGIL_WATCH_LIST:
		return ioc_watch_list(mon, user);
	case VIGIL_READ_CHANGE:
		return ioc_read_change(mon, user);
	case VIGIL_SET_QUEUE:
		return ioc_set_queue(mon, user);
	default:
		return ioc_verdict(mon, user);
	}
}

static long resume(struct vigil_vm *vm, unsigned long arg)
{
	if (arg)
		return -EINVAL;
	pause_resume(vm);
	mevent_resume(vm);
	return 0;
}

static long monitor_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct monitor *mon = file->private_data;
	void __user *user = (void __user *)arg;

	if (READ_ONCE(mon->evicted))
		return -EPIPE;
	switch (cmd) {
	case VIGIL_WATCH_ADD:
	case VIGIL_WATCH_DEL:
	case VIGIL_WATCH_LIST:
	case VIGIL_READ_CHANGE:
	case VIGIL_SET_QUEUE:
	case VIGIL_VERDICT:
		return watch_ioctl(mon, cmd, user);
	case VIGIL_PAUSE_VCPUS:
	case VIGIL_RESUME_VCPUS:
	case VIGIL_SET_VCPU:
	case VIGIL_WRITE_MEM:
		return control_ioctl(mon, cmd, user);
	case VIGIL_READ_MEM:
		return ioc_mem(mon, user, false);
	case VIGIL_GET_VCPU:
		return ioc_get_vcpu(mon, user);
	case VIGIL_GET_STATS:
		return stat_get(mon->vm, user);
	case VIGIL_GET_INFO:
		return ioc_get_info(mon, user);
	case VIGIL_TRANSLATE:
		return ioc_translate(mon, user);
	case VIGIL_GET_HYPERCALLS:
		return pv_ioctl(mon->vm, cmd, user, false);
	case VIGIL_RESUME:
		return mon->read_only ? -EPERM : resume(mon->vm, arg);
	case VIGIL_SET_HYPERCALLS:
		return mon->read_only ? -EPERM :
					pv_ioctl(mon->vm, cmd, user, false);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations monitor_fops = {
	.owner = THIS_MODULE,
	.read = monitor_read,
	.poll = monitor_poll,
	.mmap = monitor_mmap,
	.unlocked_ioctl = monitor_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = monitor_release,
};

static int monitor_file(struct monitor *mon)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile("vigil-monitor", &monitor_fops, mon, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	/* The release of the file undoes these. */
	vigil_vm_get(mon->vm);
	if (!mon->read_only)
		join(mon);
	trace_vigil_monitor_open(mon->vm, mon->read_only);
	fd_install(fd, file);
	return fd;
}

/* Returns the fd of a new monitor. The caller keeps its own reference to the VM. */
static long monitor_create(struct vigil_vm *vm, u32 flags)
{
	bool read_only = flags & VIGIL_ATTACH_READ, busy;
	bool may_evict = flags & VIGIL_ATTACH_EVICT;
	unsigned int *count = read_only ? &vm->nr_readers : &vm->nr_monitors;
	unsigned int max = read_only ? VIGIL_MAX_READERS : VIGIL_MAX_MONITORS;
	unsigned int evictions;
	struct monitor *mon;
	int ret;

	if (may_evict && read_only)
		return -EINVAL;
	if (may_evict && !ns_capable(vm->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	mutex_lock(&vm->monitor_lock);
	if (may_evict)
		evict_all(vm);
	busy = *count == max;
	if (!busy)
		++*count;
	evictions = vm->evictions;
	mutex_unlock(&vm->monitor_lock);
	if (busy)
		return -EBUSY;

	ret = -EBUSY;
	if (atomic_inc_return(&vm->monitors_alive) > MONITOR_MAX_ALIVE)
		goto not_alive;
	ret = -ENOMEM;
	mon = kzalloc(sizeof(*mon), GFP_KERNEL_ACCOUNT);
	if (!mon)
		goto not_alive;
	kref_init(&mon->ref);
	mutex_init(&mon->read_lock);
	mutex_init(&mon->watch_lock);
	xa_init_flags(&mon->watches, XA_FLAGS_ALLOC1);
	mon->vm = vm;
	mon->read_only = read_only;
	mon->evictions = evictions;
	ret = mevent_init(mon);
	if (!ret)
		ret = monitor_file(mon);
	if (ret >= 0)
		return ret;
	monitor_put(mon);
	goto leave;
not_alive:
	atomic_dec(&vm->monitors_alive);
leave:
	mutex_lock(&vm->monitor_lock);
	if (read_only || vm->evictions == evictions)
		--*count;
	mutex_unlock(&vm->monitor_lock);
	return ret;
}

static long attach(struct vigil_attach __user *user)
{
	struct vigil_vm *vm, *found = NULL;
	struct vigil_attach a;
	long ret;

	if (copy_from_user(&a, user, sizeof(a)))
		return -EFAULT;
	if (a.flags & ~ATTACH_FLAGS)
		return -EINVAL;
	mutex_lock(&vigil_vms_lock);
	list_for_each_entry(vm, &vigil_vms, link) {
		if (vm->id != a.vm_id)
			continue;
		if (refcount_inc_not_zero(&vm->users))
			found = vm;
		break;
	}
	mutex_unlock(&vigil_vms_lock);
	if (!found)
		return -ENOENT;
	ret = may_attach(found) ? monitor_create(found, a.flags) : -EPERM;
	vigil_vm_put(found);
	return ret;
}

long monitor_dev_ioctl(unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VIGIL_GET_VERSION:
		return arg ? -EINVAL : VIGIL_API_VERSION;
	case VIGIL_LIST_VMS:
		return list_vms((void __user *)arg);
	case VIGIL_ATTACH:
		return attach((void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static long set_name(struct vigil_vm *vm, struct vigil_name __user *user)
{
	struct vigil_name n;
	size_t len, i;

	if (copy_from_user(&n, user, sizeof(n)))
		return -EFAULT;
	len = strnlen(n.name, sizeof(n.name));
	if (!len || len == sizeof(n.name))
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (n.name[i] <= ' ' || n.name[i] > '~' || n.name[i] == '/')
			return -EINVAL;
	mutex_lock(&vm->monitor_lock);
	strscpy(vm->name, n.name, sizeof(vm->name));
	mutex_unlock(&vm->monitor_lock);
	return 0;
}

/* Only the VMM decides, not a process that it gave its VM's file to. */
static long set_attach(struct vigil_vm *vm, unsigned long by)
{
	if (by > VIGIL_ATTACH_BY_ADMIN)
		return -EINVAL;
	if (current->mm != vm->mm)
		return -EPERM;
	WRITE_ONCE(vm->attach_by, by);
	return 0;
}

long monitor_vm_ioctl(struct vigil_vm *vm, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VIGIL_CREATE_MONITOR:
		if (arg & ~(unsigned long)ATTACH_FLAGS)
			return -EINVAL;
		return monitor_create(vm, arg);
	case VIGIL_SET_ATTACH:
		return set_attach(vm, arg);
	case VIGIL_SET_NAME:
		return set_name(vm, (void __user *)arg);
	case VIGIL_RESUME:
		return current->mm != vm->mm ? -EPERM : resume(vm, arg);
	case VIGIL_GET_STATS:
		return stat_get(vm, (void __user *)arg);
	case VIGIL_GET_HYPERCALLS:
	case VIGIL_SET_HYPERCALLS:
		if (cmd == VIGIL_SET_HYPERCALLS && current->mm != vm->mm)
			return -EPERM;
		return pv_ioctl(vm, cmd, (void __user *)arg, true);
	default:
		return -ENOTTY;
	}
}

// SPDX-License-Identifier: GPL-2.0
/* What a monitor sees of a guest, and changes there: registers, translations, memory. */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "view.h"
#include "shadow/walk.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/regs.h"
#include "vmm/mem/gmem.h"
#include "vmm/vcpu.h"

/*
 * vcpu->snapshot points at @state. Whoever takes the pointer away, by xchg(),
 * owns it: the vCPU's thread serves it and completes, or the asker gives up.
 */
struct snapshot {
	struct vigil_vcpu_state state;
	bool set; /* the vCPU gets the registers of @state */
	int ret;
	struct completion done;
};

static void fill_state(struct vigil_vcpu *vcpu, struct vigil_vcpu_state *state)
{
	state->vcpu = vcpu->index;
	vcpu_get_regs(vcpu, &state->regs);
	vcpu_get_sregs(vcpu, &state->sregs);
	if (msr_get(vcpu, MSR_LSTAR, &state->lstar, true))
		state->lstar = 0;
}

/*
 * The asker waits for this in a state in which it cannot be killed. So it takes no time:
 * memory that is not there at once is none. fetch_pdptes() has had it there.
 */
static int set_state(struct vigil_vcpu *vcpu,
		     const struct vigil_vcpu_state *state)
{
	int ret;

	pagefault_disable();
	ret = vcpu_set_state(vcpu, state);
	pagefault_enable();
	return ret;
}

void monitor_snapshot(struct vigil_vcpu *vcpu, bool paused)
{
	struct vigil_vcpu_state *state = xchg(&vcpu->snapshot, NULL);
	struct snapshot *s;

	if (!state)
		return;
	s = container_of(state, struct snapshot, state);
	if (!s->set)
		fill_state(vcpu, state);
	else
		s->ret = paused ? set_state(vcpu, state) : -EBUSY;
	complete(&s->done);
}

/* A vCPU that is in no ioctl gets registers in the VMM's address space. */
struct set_call {
	struct work_struct work;
	struct vigil_vcpu *vcpu;
	struct snapshot *s;
};

static void set_work(struct work_struct *work)
{
	struct set_call *c = container_of(work, struct set_call, work);
	struct vigil_vm *vm = c->vcpu->vm;
	int idx;

	kthread_use_mm(vm->mm);
	idx = srcu_read_lock(&vm->srcu);
	vcpu_load(c->vcpu);
	c->s->ret = set_state(c->vcpu, &c->s->state);
	vcpu_put(c->vcpu);
	srcu_read_unlock(&vm->srcu, idx);
	kthread_unuse_mm(vm->mm);
}

/* The vCPU's mutex is held. The guest's tables are in the VMM's address space. */
static int set_outside(struct vigil_vcpu *vcpu, struct snapshot *s)
{
	struct set_call c = { .vcpu = vcpu, .s = s };
	struct vigil_vm *vm = vcpu->vm;
	int ret;

	if (READ_ONCE(vm->dead) || !mmget_not_zero(vm->mm))
		return -EIO;
	ret = vcpu_enter(vcpu, TASK_KILLABLE);
	if (!ret) {
		INIT_WORK_ONSTACK(&c.work, set_work);
		schedule_work(&c.work);
		flush_work(&c.work);
		destroy_work_on_stack(&c.work);
		ret = s->ret;
	}
	vcpu_leave(vcpu);
	mmput(vm->mm);
	return ret;
}

/* The asker has the vCPU's mutex. Its thread may have served it just before. */
static void serve_outside(struct vigil_vcpu *vcpu, struct snapshot *s)
{
	if (!xchg(&vcpu->snapshot, NULL))
		return;
	if (s->set) {
		s->ret = set_outside(vcpu, s);
		return;
	}
	vcpu_load(vcpu);
	fill_state(vcpu, &s->state);
	vcpu_put(vcpu);
}

static int take_snapshot(struct vigil_vcpu *vcpu, struct snapshot *s)
{
	long ret;

	for (;;) {
		if (mutex_trylock(&vcpu->mutex)) {
			serve_outside(vcpu, s);
			clear_bit(REQ_SNAPSHOT, &vcpu->requests);
			mutex_unlock(&vcpu->mutex);
			return 0;
		}
		vigil_request(vcpu, REQ_SNAPSHOT);
		vigil_kick(vcpu);
		/*
		 * A vCPU that runs answers at once. One whose mutex another
		 * ioctl holds does not look at the request: try the mutex again
		 * after a while.
		 */
		ret = wait_for_completion_killable_timeout(
			&s->done, msecs_to_jiffies(10) + 1);
		if (ret > 0)
			return 0;
		if (ret < 0)
			return -EINTR;
	}
}

/* Has the vCPU serve @s. -EINTR: it has not. */
static int ask(struct vigil_vcpu *vcpu, struct snapshot *s)
{
	int ret;

	init_completion(&s->done);
	ret = mutex_lock_killable(&vcpu->snapshot_lock);
	if (ret)
		return ret;
	WRITE_ONCE(vcpu->snapshot, &s->state);
	ret = take_snapshot(vcpu, s);
	/*
	 * The vCPU's thread is serving the snapshot, which must not be freed
	 * before. That takes no time.
	 */
	if (ret && !xchg(&vcpu->snapshot, NULL)) {
		wait_for_completion(&s->done);
		ret = 0;
	}
	mutex_unlock(&vcpu->snapshot_lock);
	return ret;
}

static struct vigil_vcpu *find_vcpu(struct vigil_vm *vm, u32 index)
{
	/* Pairs with vcpu_publish(): vm->vcpus[index] is valid. */
	if (index >= smp_load_acquire(&vm->nr_vcpus))
		return NULL;
	return vm->vcpus[array_index_nospec(index, VIGIL_MAX_VCPUS)];
}

int mview_state(struct vigil_vm *vm, u32 index, struct vigil_vcpu_state *state)
{
	struct vigil_vcpu *vcpu = find_vcpu(vm, index);
	struct snapshot *s;
	int ret;

	if (!vcpu)
		return -ENOENT;
	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return -ENOMEM;
	ret = ask(vcpu, s);
	if (!ret)
		*state = s->state;
	kfree(s);
	return ret;
}

/* PAE paging latches these when CR3 is set: has their page there, however long that takes. */
static int fetch_pdptes(struct vigil_vm *vm, const struct vigil_vcpu_state *s)
{
	u64 pdpte[4];

	if (s->flags & VIGIL_VCPU_SREGS &&
	    walk_paging_of(s->sregs.cr0, s->sregs.cr4, s->sregs.efer) ==
		    WALK_PAE)
		gmem_read_remote(vm, s->sregs.cr3 & 0xffffffe0, pdpte,
				 sizeof(pdpte));
	return fatal_signal_pending(current) ? -EINTR : 0;
}

int mview_set_state(struct vigil_vm *vm, const struct vigil_vcpu_state *state)
{
	struct vigil_vcpu *vcpu = find_vcpu(vm, state->vcpu);
	struct snapshot *s;
	int ret;

	if (!vcpu)
		return -ENOENT;
	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return -ENOMEM;
	s->set = true;
	s->state = *state;
	ret = fetch_pdptes(vm, state);
	if (!ret)
		ret = ask(vcpu, s);
	if (!ret)
		ret = s->ret;
	kfree(s);
	return ret;
}

static int walk_read(void *priv, u64 gpa, u64 *pte, unsigned int bytes)
{
	*pte = 0;
	return gmem_read_remote(priv, gpa, pte, bytes) == bytes ? 0 : -EFAULT;
}

/* The walk only reads. Rights are not checked: it is a supervisor's read. */
static const struct walk_mem remote_mem = { .read = walk_read };

static struct walk_mode mode_of(const struct gva_space *space)
{
	struct walk_mode m = {
		.pse = space->cr4 & BIT(4),
		.pse36 = true,
		.nx = space->efer & BIT(11),
		.gbpages = true,
		.maxphyaddr = 52,
	};

	m.paging = walk_paging_of(space->cr0, space->cr4, space->efer);
	return m;
}

/* Is this an address in the guest's mode? */
static bool valid_address(const struct gva_space *space, u64 gva)
{
	struct walk_mode m = mode_of(space);

	if (m.paging < WALK_4LEVEL)
		return !(gva >> 32);
	return gva_canonical(gva, m.paging == WALK_5LEVEL ? 57 : 48);
}

int mview_translate(struct vigil_vm *vm, const struct gva_space *space, u64 gva,
		    u64 *gpa, u64 *left)
{
	const struct walk_access read = {};
	struct walk_mode m = mode_of(space);
	struct guest_walk w;
	u64 pdpte[4] = {};
	int i;

	if (!valid_address(space, gva))
		return -EINVAL;
	*left = PAGE_SIZE - offset_in_page(gva);
	if (m.paging == WALK_NONE) {
		*gpa = gva;
		return 0;
	}
	for (i = 0; m.paging == WALK_PAE && i < 4; i++)
		if (walk_read(vm, (space->cr3 & 0xffffffe0) + i * 8, &pdpte[i],
			      8))
			return -EFAULT;
	if (walk_guest(&m, &remote_mem, vm, space->cr3, pdpte, gva, &read,
		       &w) != WALK_OK)
		return -EFAULT;
	*gpa = (w.gfn << PAGE_SHIFT) | offset_in_page(gva);
	return 0;
}

/*
 * Linux's page-table isolation keeps two top-level tables in neighbouring pages:
 * its entry code switches from the user's to the kernel's by clearing this bit.
 */
#define PTI_USER_HALF BIT(12)
#define TABLE_HALF 256 /* entries for user addresses */

static void fold_entries(u64 *e)
{
	unsigned int i;

	for (i = 0; i < TABLE_HALF; i++)
		e[i] = e[i] & 1 ? e[i] & 0xffffffffff001 : 0;
}

/*
 * Is the page before @table the kernel's half of a pair? Then both lead to the
 * same tables for user addresses, and to at least one. Without page-table
 * isolation that page may be anything, even another process's top-level table;
 * but no two processes share a table of the next level.
 */
static int find_kernel_half(struct vigil_vm *vm, u64 table,
			    unsigned int entries)
{
	u64 kernel = table & ~(u64)PTI_USER_HALF;
	unsigned int bytes = entries * sizeof(u64);
	bool pair = false;
	u64 *e;

	e = kcalloc(2 * TABLE_HALF, sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	if (gmem_read_remote(vm, table, e, bytes) == bytes &&
	    gmem_read_remote(vm, kernel, e + TABLE_HALF, bytes) == bytes) {
		fold_entries(e);
		fold_entries(e + TABLE_HALF);
		pair = memchr_inv(e, 0, bytes) &&
		       !memcmp(e, e + TABLE_HALF, bytes);
	}
	kfree(e);
	return pair;
}

/*
 * Switches @space from the user's table of a pair to the kernel's, which maps
 * the user's pages too.
 */
static int to_kernel_half(struct vigil_vm *vm, struct gva_space *space)
{
	bool pae = space->cr0 & BIT(31) && space->cr4 & BIT(5);
	int ret;

	/* 32-bit paging without PAE has no pairs. */
	if (!pae || !(space->cr3 & PTI_USER_HALF))
		return 0;
	ret = find_kernel_half(vm, space->cr3 & 0xffffffffff000,
			       space->efer & BIT(10) ? TABLE_HALF : 2);
	if (ret > 0)
		space->cr3 &= ~(u64)PTI_USER_HALF;
	return min(ret, 0);
}

int mview_space(struct vigil_vm *vm, u64 cr3, struct gva_space *space)
{
	struct vigil_vcpu_state *state;
	int ret;

	state = kzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	ret = mview_state(vm, 0, state);
	if (!ret) {
		space->cr0 = state->sregs.cr0;
		space->cr3 = cr3 ?: state->sregs.cr3;
		space->cr4 = state->sregs.cr4;
		space->efer = state->sregs.efer;
	}
	kfree(state);
	return ret || cr3 ? ret : to_kernel_half(vm, space);
}

/*
 * Copies guest memory to @user, or from there. Returns the number of bytes; 0 where no
 * memory is.
 */
static long copy_chunk(struct vigil_vm *vm, u64 gpa, void __user *user,
		       size_t len, void *page, bool write)
{
	long n;

	if (write) {
		if (copy_from_user(page, user, len))
			return -EFAULT;
		n = gmem_write_remote(vm, gpa, page, len);
		return n == -ESRCH ? 0 : n;
	}
	n = gmem_read_remote(vm, gpa, page, len);
	if (n <= 0)
		return 0;
	return copy_to_user(user, page, n) ? -EFAULT : n;
}

long mview_copy(struct vigil_vm *vm, struct vigil_mem *mem, bool write)
{
	void __user *user = (void __user *)(unsigned long)mem->buf;
	bool virt = mem->flags & VIGIL_MEM_GVA;
	struct gva_space space;
	u64 at, gpa, left, done = 0;
	long n, ret = 0;
	void *page;

	if (virt) {
		ret = mview_space(vm, mem->cr3, &space);
		if (ret)
			return ret;
	}
	page = kmalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	while (done < mem->len) {
		at = gpa = mem->addr + done;
		if (virt) {
			ret = mview_translate(vm, &space, at, &gpa, &left);
			if (ret)
				break;
		}
		left = min(PAGE_SIZE - (gpa & ~PAGE_MASK), mem->len - done);
		n = copy_chunk(vm, gpa, user + done, left, page, write);
		if (n < 0) {
			ret = n;
			/* What a reader's buffer has got it cannot have. */
			if (!write)
				done = 0;
			break;
		}
		done += n;
		if (n < left) {
			ret = -EFAULT;
			break;
		}
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	kfree(page);
	/* What vCPUs keep as a TLB would is of before the write. */
	if (write && done)
		vigil_request_all(vm, REQ_TABLES, true);
	mem->done = done;
	return done ? 0 : ret;
}

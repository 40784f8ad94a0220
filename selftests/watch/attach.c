// SPDX-License-Identifier: GPL-2.0
/* Who may attach to a VM: monitors, readers, other users, eviction. */
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mon.h"

DECLARE_PAYLOAD(wloop);

static struct vcpu *start(int *mon)
{
	struct vcpu *v = START(M_LONG, wloop);

	*mon = mon_open(v->vm);
	return v;
}

static int attach_flags(int dev, uint32_t id, uint32_t flags)
{
	struct vigil_attach a = { .vm_id = id, .flags = flags };

	return ioctl(dev, VIGIL_ATTACH, &a);
}

static int attach(int dev, uint32_t id)
{
	return attach_flags(dev, id, 0);
}

/* Takes all places of the VM but @taken. */
static void fill(struct vm *vm, int *mon, unsigned int taken)
{
	for (unsigned int i = taken; i < VIGIL_MAX_MONITORS; i++)
		mon[i - taken] = mon_open(vm);
}

static void close_all(const int *mon, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		close(mon[i]);
}

static void last_place(long arg)
{
	int mon, second, others[VIGIL_MAX_MONITORS];
	struct vigil_vm_info info;
	struct vcpu *v;

	v = start(&mon);
	set_name(v->vm, "watch-api-one");
	REQUIRE_EQ(find_vm(v->vm->dev, "watch-api-one", &info), true);
	fill(v->vm, others, 1);
	CHECK_ERRNO(attach(v->vm->dev, info.id), EBUSY);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 0), EBUSY);
	close(mon);
	second = attach(v->vm->dev, info.id);
	CHECK(second >= 0);
	close(second);
	CHECK_ERRNO(attach(v->vm->dev, 0), ENOENT);
	CHECK_ERRNO(attach(v->vm->dev, ~0u), ENOENT);
	CHECK_ERRNO(attach_flags(v->vm->dev, info.id, 4), EINVAL);
	CHECK_ERRNO(attach_flags(v->vm->dev, info.id, 1u << 31), EINVAL);
	CHECK_ERRNO(ioctl(v->vm->dev, VIGIL_ATTACH, NULL), EFAULT);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 4), EINVAL);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 1ul << 32), EINVAL);
	close_all(others, VIGIL_MAX_MONITORS - 1);
	vm_destroy(v->vm);
}

#define NOT_CHANGED \
	100 /* status of a child that could not become another user */

/* Waits for a child that was forked. Returns its status. */
static int child_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		ERROR("the child was lost");
	return WEXITSTATUS(status);
}

/*
 * Runs @fn in a child as another user without capabilities. Returns the exit
 * status.
 */
static int as_nobody(int (*fn)(int dev, uint32_t id), int dev, uint32_t id)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(NOT_CHANGED);
		_exit(fn(dev, id));
	}
	status = child_status(pid);
	if (status == NOT_CHANGED)
		SKIP("only root can become another user");
	return status;
}

static int stranger(int dev, uint32_t id)
{
	struct vigil_vm_info info;

	/* The child may open the device, but must not see the VM. */
	if (find_vm(dev, "watch-api-perm", &info))
		return 1;
	if (attach(dev, id) >= 0)
		return 2;
	if (errno != EPERM)
		return 3;
	/* Reading needs the same permission as watching. */
	if (attach_flags(dev, id, VIGIL_ATTACH_READ) >= 0)
		return 4;
	return errno == EPERM ? 0 : 5;
}

static void permission(long arg)
{
	struct vigil_vm_info info;
	struct vcpu *v;
	int mon;

	v = start(&mon);
	set_name(v->vm, "watch-api-perm");
	REQUIRE_EQ(find_vm(v->vm->dev, "watch-api-perm", &info), true);
	close(mon);
	CHECK_EQ(as_nobody(stranger, v->vm->dev, info.id), 0);
	/* No failed call has left a monitor behind. */
	mon = mon_open(v->vm);
	close(mon);
	vm_destroy(v->vm);
}

enum { WHO_SAME, WHO_GID, WHO_ROOT };

static int may_watch(int dev, uint32_t id)
{
	int mon = attach(dev, id);

	if (mon < 0)
		return errno;
	close(mon);
	return 0;
}

/*
 * Returns errno of VIGIL_ATTACH by a child that is @who, relative to user 1234.
 */
static int attach_as(int who, int dev, uint32_t id)
{
	gid_t gid = who == WHO_GID ? 4321 : 1234;
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (who != WHO_ROOT &&
		    (setgroups(0, NULL) || setresgid(gid, gid, gid) ||
		     setresuid(1234, 1234, 1234)))
			_exit(NOT_CHANGED);
		_exit(may_watch(dev, id));
	}
	status = child_status(pid);
	if (status == NOT_CHANGED)
		ERROR("a child could not become another user");
	return status;
}

/*
 * A VMM of user 1234 that lives until its input ends. It writes its VM's
 * number, and reads a byte with VIGIL_ATTACH_BY_* and a byte that says whether
 * it may be dumped.
 */
static void vmm_of_user(int in, int out)
{
	struct vigil_vm_info info;
	struct vcpu *v;
	uint8_t say[2], done = 1;
	int mon;

	if (setgroups(0, NULL) || setresgid(1234, 1234, 1234) ||
	    setresuid(1234, 1234, 1234))
		_exit(100);
	/* The change of credentials has made the process undumpable. */
	prctl(PR_SET_DUMPABLE, 1);
	v = start(&mon);
	if (ioctl(mon, VIGIL_GET_INFO, &info) ||
	    write(out, &info.id, sizeof(info.id)) != sizeof(info.id))
		_exit(101);
	close(mon);
	while (read(in, say, sizeof(say)) == sizeof(say)) {
		if (ioctl(v->vm->fd, VIGIL_SET_ATTACH, say[0]) ||
		    prctl(PR_SET_DUMPABLE, say[1]) || write(out, &done, 1) != 1)
			_exit(102);
	}
	_exit(0);
}

static void attach_rules(long arg)
{
	static const struct {
		uint8_t by, dumpable;
		int same, gid, root;
	} rule[] = {
		{ VIGIL_ATTACH_BY_PTRACE, 1, 0, EPERM, 0 },
		{ VIGIL_ATTACH_BY_PTRACE, 0, EPERM, EPERM, 0 },
		{ VIGIL_ATTACH_BY_USER, 1, 0, 0, 0 },
		{ VIGIL_ATTACH_BY_USER, 0, 0, 0, 0 },
		{ VIGIL_ATTACH_BY_ADMIN, 1, EPERM, EPERM, 0 },
	};
	int dev = dev_open(), to[2], from[2], status;
	uint32_t id;
	uint8_t done;
	pid_t pid;

	if (geteuid())
		SKIP("only root can become another user");
	if (pipe(to) || pipe(from) || chmod(opts.dev, 0666))
		ERROR("pipes: errno %d", errno);
	pid = fork();
	if (!pid) {
		close(to[1]);
		close(from[0]);
		vmm_of_user(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	REQUIRE_EQ(read(from[0], &id, sizeof(id)), sizeof(id));
	for (unsigned int i = 0; i < ARRAY_SIZE(rule); i++) {
		REQUIRE_EQ(write(to[1], &rule[i], 2), 2);
		REQUIRE_EQ(read(from[0], &done, 1), 1);
		DEBUGF("rule %u", i);
		CHECK_EQ(attach_as(WHO_SAME, dev, id), rule[i].same);
		CHECK_EQ(attach_as(WHO_GID, dev, id), rule[i].gid);
		CHECK_EQ(attach_as(WHO_ROOT, dev, id), rule[i].root);
	}
	close(to[1]);
	if (waitpid(pid, &status, 0) != pid || status)
		FAIL("the VMM ended with %#x", status);
	close(dev);
}

static int unprivileged_evict(int dev, uint32_t id)
{
	return attach_flags(dev, id, VIGIL_ATTACH_EVICT) < 0 ? errno : 0;
}

/* The administrator takes the place of a monitor that does not detach. */
static void evict(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_DENY);
	struct vigil_vm_info info;
	struct vigil_event ev;
	struct pollfd p;
	struct vcpu *v;
	int mon, second, others[VIGIL_MAX_MONITORS];

	v = start(&mon);
	REQUIRE_EQ(ioctl(mon, VIGIL_GET_INFO, &info), 0);
	mon_add(mon, w);
	CHECK_ERRNO(attach_flags(v->vm->dev, info.id,
				 VIGIL_ATTACH_EVICT | VIGIL_ATTACH_READ),
		    EINVAL);
	CHECK_EQ(as_nobody(unprivileged_evict, v->vm->dev, info.id), EPERM);
	CHECK_EQ(ioctl(mon, VIGIL_GET_INFO, &info), 0);

	second = attach_flags(v->vm->dev, info.id, VIGIL_ATTACH_EVICT);
	REQUIRE_EQ(second >= 0, true);
	p = (struct pollfd){ .fd = mon, .events = POLLIN };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
	CHECK_ERRNO(read(mon, &ev, sizeof(ev)), EPIPE);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), EPIPE);
	CHECK_ERRNO(ioctl(mon, VIGIL_GET_INFO, &info), EPIPE);
	/* Its watch is gone: the guest's store happens without an event. */
	CHECK_EQ(ioctl(second, VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.nr_monitors, 1);
	fill(v->vm, others, 1);
	CHECK_ERRNO(attach(v->vm->dev, info.id), EBUSY);
	mon_add(second, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG));
	/* The second monitor keeps the place when the first closes its file. */
	close(mon);
	CHECK_ERRNO(attach(v->vm->dev, info.id), EBUSY);
	close(second);
	second = attach(v->vm->dev, info.id);
	CHECK(second >= 0);
	close(second);
	close_all(others, VIGIL_MAX_MONITORS - 1);
	vm_destroy(v->vm);
}

/* Checks what a read-only monitor may do, and what it may not. */
static void look(struct vcpu *v, int reader)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);
	struct vigil_watch_list l = { .entry_size = sizeof(w) };
	struct vigil_vcpu_state st = { 0 };
	struct vigil_vm_info info;
	struct vigil_event ev;
	uint64_t word = 0;
	struct vigil_mem m = { .addr = TARGET,
			       .len = sizeof(word),
			       .buf = (uintptr_t)&word };
	uint32_t id = 1;
	struct kvm_regs r;

	REQUIRE_EQ(ioctl(reader, VIGIL_READ_MEM, &m), 0);
	CHECK_EQ(m.done, sizeof(word));
	CHECK_EQ(word, rd64(v->vm, TARGET));
	get_regs(v, &r);
	REQUIRE_EQ(ioctl(reader, VIGIL_GET_VCPU, &st), 0);
	CHECK_EQ(st.regs.rip, r.rip);
	CHECK_EQ(mon_stat(reader, "watch_hits"),
		 mon_stat(v->vm->fd, "watch_hits"));
	REQUIRE_EQ(ioctl(reader, VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.nr_vcpus, 1);

	CHECK_ERRNO(ioctl(reader, VIGIL_WATCH_ADD, &w), EPERM);
	CHECK_ERRNO(ioctl(reader, VIGIL_WATCH_DEL, &id), EPERM);
	CHECK_ERRNO(ioctl(reader, VIGIL_WATCH_LIST, &l), EPERM);
	CHECK_ERRNO(mon_verdict(reader, 1, VIGIL_VERDICT_ALLOW), EPERM);
	CHECK_ERRNO(read(reader, &ev, sizeof(ev)), EPERM);
	CHECK_NO_EVENT(reader);
}

static void readers(long arg)
{
	struct pollfd p = { .events = POLLIN };
	int mon, reader[VIGIL_MAX_READERS];
	struct vigil_vm_info info;
	struct kvm_regs r;
	struct vcpu *v;

	v = start(&mon);
	set_name(v->vm, "watch-api-readers");
	REQUIRE_EQ(find_vm(v->vm->dev, "watch-api-readers", &info), true);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
	for (unsigned int i = 0; i < VIGIL_MAX_READERS; i++) {
		reader[i] = i & 1 ? ioctl(v->vm->fd, VIGIL_CREATE_MONITOR,
					  VIGIL_ATTACH_READ) :
				    attach_flags(v->vm->dev, info.id,
						 VIGIL_ATTACH_READ);
		REQUIRE_EQ(reader[i] >= 0, true);
	}
	CHECK_ERRNO(attach_flags(v->vm->dev, info.id, VIGIL_ATTACH_READ),
		    EBUSY);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ),
		    EBUSY);
	look(v, reader[0]);
	look(v, reader[VIGIL_MAX_READERS - 1]);
	/* One reader goes, another comes. Readers take no monitor's place. */
	close(reader[3]);
	reader[3] = attach_flags(v->vm->dev, info.id, VIGIL_ATTACH_READ);
	CHECK(reader[3] >= 0);
	REQUIRE_EQ(ioctl(reader[3], VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.nr_monitors, 1);
	for (unsigned int i = 1; i < VIGIL_MAX_READERS; i++)
		close(reader[i]);

	/*
	 * After readers have gone, the watch still works, and only its monitor
	 * gets events.
	 */
	get_regs(v, &r);
	r.rdi = TARGET;
	r.rcx = 1;
	r.rax = ~rd64(v->vm, TARGET);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK(rd64(v->vm, TARGET) != r.rax);
	CHECK_EQ(mon_event(mon).seq, 1);
	look(v, reader[0]);
	/* A reader does not keep a new monitor out. */
	close(mon);
	mon = attach(v->vm->dev, info.id);
	CHECK(mon >= 0);
	close(mon);

	/* The reader learns of the VM's end. */
	p.fd = reader[0];
	CHECK_EQ(poll(&p, 1, 0), 0);
	vm_destroy(v->vm);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLHUP);
	close(reader[0]);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "the last place", last_place },
		{ "another user", permission },
		{ "who may attach", attach_rules },
		{ "a monitor is evicted", evict },
		{ "read-only monitors", readers },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}

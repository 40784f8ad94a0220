// SPDX-License-Identifier: GPL-2.0
/* The module's tracepoints, as the host's tracefs shows them. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "mon.h"

DECLARE_PAYLOAD(wloop);

#define TRACING "/sys/kernel/tracing/"
#define EVENTS TRACING "events/vigil/"

#define OLD 0x1111111111111111ull
#define NEW 0x2222222222222222ull

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 &&
		  write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Counts the lines of the trace that have @a, and @b behind it. */
static unsigned int lines(const char *a, const char *b)
{
	FILE *f = fopen(TRACING "trace", "r");
	unsigned int n = 0;
	char line[512];

	if (!f)
		ERROR("the trace cannot be read: errno %d", errno);
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, a);

		n += at && strstr(at, b);
	}
	fclose(f);
	return n;
}

static void trace_on(bool on)
{
	if (!put(EVENTS "enable", on ? "1" : "0"))
		ERROR("events cannot be switched %s: errno %d",
		      on ? "on" : "off", errno);
}

static void *answer(void *arg)
{
	int mon = *(int *)arg;
	struct vigil_event ev = mon_event(mon);

	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	return NULL;
}

/* A guest stores once to a watched page; the store is denied. */
static void refused_store(void)
{
	struct vcpu *v = START(M_LONG, wloop);
	pthread_t thread;
	struct kvm_regs r;
	int mon;

	get_regs(v, &r);
	r.rdi = TARGET;
	r.rax = NEW;
	r.rcx = 1;
	set_regs(v, &r);
	wr64(v->vm, TARGET, OLD);
	mon = mon_open(v->vm);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	if (pthread_create(&thread, NULL, answer, &mon))
		ERROR("no thread");
	EXPECT(v, STOP_END);
	pthread_join(thread, NULL);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	close(mon);
	vm_destroy(v->vm);
}

static void events(long unused)
{
	char want[64];

	if (access(EVENTS "enable", W_OK))
		SKIP("the host's kernel has no trace events");
	if (!put(TRACING "trace", "\n"))
		ERROR("the trace cannot be cleared: errno %d", errno);
	trace_on(true);
	refused_store();
	trace_on(false);

	CHECK(lines("vigil_vm_create: vm ", "") >= 1);
	CHECK(lines("vigil_monitor_open: vm ", "") >= 1);
	CHECK(lines("vigil_entry: vm ", "rip 0x") >= 1);
	/* the names of exit reasons are those of the CPU's vendor */
	CHECK(lines("vigil_exit: vm ", "reason ") >= 1);
	CHECK(lines("vigil_exit: vm ", "reason io") +
		      lines("vigil_exit: vm ", "reason IO_INSTRUCTION") >=
	      1);
	CHECK(lines("vigil_page_fault: vm ", "outcome fixed") >= 1);
	CHECK(lines("vigil_shadow_new: vm ", "gfn 0x") >= 1);
	snprintf(want, sizeof(want), "gpa 0x%llx len 8",
		 (unsigned long long)TARGET);
	CHECK_EQ(lines("vigil_watch_hit: vm ", want), 1);
	CHECK_EQ(lines("vigil_watch_hit: vm ", "action ask"), 1);
	CHECK_EQ(lines("vigil_watch_verdict: vm ", "verdict deny"), 1);
	CHECK_EQ(lines("vigil_watch_verdict: vm ", "verdict allow"), 0);
	CHECK(lines("vigil_emulate: vm ", "done") >= 1);
	CHECK(lines("vigil_monitor_close: vm ", "") >= 1);
}

/* A guest stores three times, and its monitor's queue has room for one event. */
static void lost_events(void)
{
	const struct vigil_queue q = { .events = 1 };
	struct vcpu *v = START(M_LONG, wloop);
	struct vigil_event ev;
	struct kvm_regs r;
	int mon;

	get_regs(v, &r);
	r.rdi = TARGET;
	r.rax = NEW;
	r.rcx = 3;
	set_regs(v, &r);
	mon = mon_open(v->vm);
	REQUIRE_EQ(ioctl(mon, VIGIL_SET_QUEUE, &q), 0);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.seq, 1);
	close(mon);
	vm_destroy(v->vm);
}

static void drops(long unused)
{
	if (access(EVENTS "enable", W_OK))
		SKIP("the host's kernel has no trace events");
	if (!put(TRACING "trace", "\n"))
		ERROR("the trace cannot be cleared: errno %d", errno);
	trace_on(true);
	lost_events();
	trace_on(false);
	CHECK_EQ(lines("vigil_watch_hit: vm ", "action log"), 3);
	CHECK_EQ(lines("vigil_watch_drop: vm ", ""), 2);
	CHECK_EQ(lines("vigil_watch_drop: vm ", "event 2 watch "), 1);
	CHECK_EQ(lines("vigil_watch_drop: vm ", "event 3 watch "), 1);
}

/* Does the event have a field of this type? */
static bool has_field(const char *event, const char *field)
{
	char path[128], want[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), EVENTS "%s/format", event);
	snprintf(want, sizeof(want), "field:%s;", field);
	f = fopen(path, "r");
	if (!f)
		ERROR("%s: errno %d", path, errno);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, want) != NULL;
	fclose(f);
	return found;
}

/* The fields of which tools/examples/writers.bt makes use. */
static void script_fields(long unused)
{
	if (access(EVENTS "enable", W_OK))
		SKIP("the host's kernel has no trace events");
	CHECK(has_field("vigil_watch_hit", "u32 vm"));
	CHECK(has_field("vigil_watch_hit", "u32 id"));
	CHECK(has_field("vigil_watch_hit", "u64 rip"));
	CHECK(has_field("vigil_watch_hit", "u32 action"));
	CHECK(has_field("vigil_watch_verdict", "u32 vm"));
	CHECK(has_field("vigil_watch_verdict", "u32 verdict"));
	CHECK(has_field("vigil_watch_drop", "u32 vm"));
	CHECK(has_field("vigil_watch_drop", "u32 id"));
	CHECK(!has_field("vigil_watch_drop", "u32 verdict"));
}

static void off(long unused)
{
	if (access(EVENTS "enable", W_OK))
		SKIP("the host's kernel has no trace events");
	trace_on(false);
	if (!put(TRACING "trace", "\n"))
		ERROR("the trace cannot be cleared: errno %d", errno);
	refused_store();
	CHECK_EQ(lines("vigil_", ""), 0);
}

/* Defines a probe at a function of the module, and removes it. */
static bool probe(const char *function)
{
	char text[128];
	int fd = open(TRACING "kprobe_events", O_WRONLY | O_APPEND);
	bool ok;

	if (fd < 0)
		ERROR("kprobe_events: errno %d", errno);
	snprintf(text, sizeof(text), "p:vigiltest/one vigil:%s", function);
	ok = write(fd, text, strlen(text)) > 0;
	if (ok && write(fd, "-:vigiltest/one", 15) < 0)
		FAIL("the probe stays: errno %d", errno);
	close(fd);
	return ok;
}

/*
 * RCU may not watch while a guest is entered, so no probe may be set there. A
 * neighbour can be probed.
 */
static void no_probe(long unused)
{
	if (access(TRACING "kprobe_events", W_OK))
		SKIP("the host's kernel has no kprobe events");
	CHECK(probe("svm_vcpu_put"));
	CHECK(probe("vmx_vcpu_put"));
	CHECK(!probe("svm_run"));
	CHECK(!probe("vmx_run"));
	CHECK(!probe("svm_enter"));
	CHECK(!probe("vmx_enter"));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "entry, exit, fault, watch and verdict", events },
		{ "events that find no room", drops },
		{ "the fields of the script for bpftrace", script_fields },
		{ "nothing is traced with the events off", off },
		{ "the entry takes no probe", no_probe },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}

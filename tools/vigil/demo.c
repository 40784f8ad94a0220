// SPDX-License-Identifier: GPL-2.0
/*
 * vigil demo: a rootkit in a guest overwrites read-only data of its kernel. In
 * the first act vigil only reports the writes, and a file vanishes; in the
 * second act it refuses them. The other demo is in demo_pv.c.
 */
#include <errno.h>
#include <glob.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "demo.h"
#include "event.h"
#include "libvm.h"
#include "mon.h"
#include "vigil.h"

#define DATA_DIR "/usr/local/share/vigil"

struct args {
	const char *kernel, *rootkit, *busybox, *append;
	const char *linux_only; /* an option that --pv has no use for */
	unsigned int mem, timeout;
	bool pv;
};

enum { OPT_ROOTKIT = 0x100, OPT_BUSYBOX, OPT_PV };

static const struct argp_option options[] = {
	{ "kernel", 'k', "FILE", 0,
	  "The guest's kernel (default: the newest Debian 6.1 in /boot)", 0 },
	{ "rootkit", OPT_ROOTKIT, "FILE", 0,
	  "The rootkit, built for that kernel (default " DATA_DIR
	  "/rootkit.ko)",
	  0 },
	{ "busybox", OPT_BUSYBOX, "FILE", 0,
	  "A static busybox (default /bin/busybox)", 0 },
	{ "append", 'a', "ARGS", 0, "More for the guest kernel's command line",
	  0 },
	{ "mem", 'm', "MIB", 0, "The guest's memory (default 192)", 0 },
	{ "timeout", 't', "SECONDS", 0,
	  "How long a step of a guest may take (default 120)", 0 },
	{ "pv", OPT_PV, NULL, 0,
	  "The other demo: paravirtual guests. It needs no file", 0 },
	{ 0 }
};

/* A range that is watched, and what the guest's kernel had there. */
struct target {
	const char *what; /* as the rootkit calls it */
	uint64_t addr, len;
	uint64_t old; /* the value of a single pointer, 0 for a table */
	uint32_t id;
	struct vigil_event ev; /* the write to it */
	unsigned int events;
	char by[128]; /* the symbol of the instruction that wrote */
	char report[256]; /* the rootkit's line */
};

enum { T_DIR, T_SYSCALLS, N_TARGETS };

struct act {
	const char *title;
	uint32_t action;
	unsigned int word; /* bytes of an address of the guest's kernel */
	struct target target[N_TARGETS];
	char before[256], after[256], content[64], worked[64];
	unsigned int failed;
};

/* The name of one of the options above, or NULL. */
static const char *option_name(int key)
{
	const struct argp_option *o = options;

	while (o->name && o->key != key)
		o++;
	return o->name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (key != 't' && key != OPT_PV && option_name(key))
		args->linux_only = option_name(key);
	switch (key) {
	case 'k':
		args->kernel = arg;
		return 0;
	case OPT_ROOTKIT:
		args->rootkit = arg;
		return 0;
	case OPT_BUSYBOX:
		args->busybox = arg;
		return 0;
	case 'a':
		args->append = arg;
		return 0;
	case 'm':
		args->mem = atoi(arg);
		if (args->mem < 96 || args->mem > 65536)
			argp_error(state, "--mem is 96 to 65536 MiB");
		return 0;
	case 't':
		args->timeout = atoi(arg);
		if (!args->timeout || args->timeout > 86400)
			argp_error(state, "--timeout is 1 to 86400 seconds");
		return 0;
	case OPT_PV:
		args->pv = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "`%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		if (args->pv && args->linux_only)
			argp_error(state, "--%s is not for --pv",
				   args->linux_only);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* ---- what is watched ---- */

static uint64_t get_word(const void *p, unsigned int word)
{
	uint64_t v = 0;

	memcpy(&v, p, word);
	return v;
}

static int get_word_size(struct act *act, struct mon *mon)
{
	struct vigil_registers state;
	int ret;

	ret = mon_told(vigil_get_registers(mon->m, 0, &state, sizeof(state)));
	if (!ret)
		act->word = state.sregs.efer & 1 << 10 ? 8 : 4;
	return ret;
}

static void set_dir_pointer(struct target *tg, unsigned int word, uint64_t addr,
			    uint64_t readdir)
{
	tg->what = "iterate_shared";
	tg->addr = addr;
	tg->len = word;
	tg->old = readdir;
}

/* ---- a kernel that keeps no names of data ---- */

#define SEARCH_CHUNK (64u << 10)
#define SEARCH_BYTES (32u << 20)
/* A struct file_operations has fewer words than this on either side of a member. */
#define SEARCH_AROUND 24

/* Is one of the words around @at this address? */
static bool is_around(const uint8_t *buf, size_t at, unsigned int word,
		      uint64_t addr)
{
	size_t from = at - SEARCH_AROUND * word, to = at + SEARCH_AROUND * word;

	for (at = from; at < to; at += word)
		if (get_word(buf + at, word) == addr)
			return true;
	return false;
}

/* Counts the places in @len bytes, with some words before and behind them. */
static unsigned int search_chunk(const uint8_t *buf, size_t len,
				 unsigned int word, const uint64_t f[4],
				 size_t *where)
{
	size_t around = SEARCH_AROUND * word, at;
	unsigned int n = 0;

	for (at = around; at < around + len; at += word) {
		if (get_word(buf + at, word) != f[0] ||
		    !is_around(buf, at, word, f[1]) ||
		    !is_around(buf, at, word, f[2]) ||
		    !is_around(buf, at, word, f[3]))
			continue;
		*where = at - around;
		n++;
	}
	return n;
}

/*
 * Debian's 32-bit kernels keep names of functions only. simple_dir_operations is
 * found behind the code by functions that it points to.
 */
static int search_dir_pointer(const struct vigil_symbols *t, struct mon *mon,
			      unsigned int word, struct target *tg)
{
	static const char *const names[4] = { "dcache_readdir",
					      "dcache_dir_lseek",
					      "dcache_dir_open",
					      "dcache_dir_close" };
	static uint8_t buf[SEARCH_CHUNK + 2 * SEARCH_AROUND * 8];
	size_t around = SEARCH_AROUND * word, at;
	uint64_t f[4], start, end, addr = 0;
	unsigned int i, n = 0, hits;

	for (i = 0; i < 4; i++)
		if (vigil_symbols_parse(t, names[i], &f[i]))
			return mon_told(-ENOENT);
	if (vigil_symbols_parse(t, "_etext", &start))
		return mon_told(-ENOENT);
	start &= ~4095ull;
	end = start + SEARCH_BYTES;
	for (; start < end; start += SEARCH_CHUNK) {
		if (vigil_read_virt(mon->m, 0, start - around, buf,
				    SEARCH_CHUNK + 2 * around))
			break;
		hits = search_chunk(buf, SEARCH_CHUNK, word, f, &at);
		if (hits)
			addr = start + at;
		n += hits;
	}
	if (n != 1)
		return lv_fail(
			ENOENT,
			"%u places in the kernel look like simple_dir_operations: "
			"this is not a kernel that the demo knows",
			n);
	set_dir_pointer(tg, word, addr, f[0]);
	demo_say(
		"simple_dir_operations has no symbol; by what it holds, its pointer "
		"to dcache_readdir is at %#llx",
		(unsigned long long)addr);
	return 0;
}

/*
 * tmpfs and ramfs directories are listed through simple_dir_operations. The
 * member is found by what it holds: dcache_readdir.
 */
static int find_dir_pointer(const struct vigil_symbols *t, struct mon *mon,
			    unsigned int word, struct target *tg)
{
	uint64_t ops, readdir;
	uint8_t bytes[32 * 8];
	unsigned int i;
	int ret;

	if (vigil_symbols_parse(t, "simple_dir_operations", &ops))
		return search_dir_pointer(t, mon, word, tg);
	ret = vigil_symbols_parse(t, "dcache_readdir", &readdir);
	if (!ret)
		ret = vigil_read_virt(mon->m, 0, ops, bytes, 32 * word);
	if (ret)
		return mon_told(ret);
	for (i = 0; i < 32; i++) {
		if (get_word(bytes + i * word, word) != readdir)
			continue;
		set_dir_pointer(tg, word, ops + i * word, readdir);
		demo_say(
			"simple_dir_operations is at %#llx, and +%#x in it points to dcache_readdir",
			(unsigned long long)ops, i * word);
		return 0;
	}
	return lv_fail(
		ENOENT,
		"simple_dir_operations does not point to dcache_readdir: this is "
		"not a kernel that the demo knows");
}

/* The table has no length of its own: it ends where the next symbol begins. */
static int find_syscall_table(const struct vigil_symbols *t, unsigned int word,
			      struct target *tg)
{
	struct vigil_symbol s;
	uint64_t addr, end;
	int ret;

	ret = vigil_symbols_parse(t, "sys_call_table", &addr);
	if (ret)
		return mon_told(ret);
	end = addr + word;
	while (end < addr + 16384 &&
	       !vigil_symbols_at(t, end, &s, sizeof(s), NULL) && s.addr <= addr)
		end += word;
	tg->what = "sys_call_table";
	tg->addr = addr;
	tg->len = end - addr;
	demo_say("sys_call_table is at %#llx, %llu entries",
		 (unsigned long long)addr, (unsigned long long)tg->len / word);
	return 0;
}

static int set_watches(struct act *act, struct mon *mon)
{
	struct vigil_symbols *t;
	unsigned int i;
	int ret;

	ret = get_word_size(act, mon);
	if (ret)
		return ret;
	ret = mon_told(vigil_symbols_load(&t, mon->m, NULL));
	if (!ret) {
		demo_say("%zu symbols found in %s, a kernel of %u bits",
			 vigil_symbols_count(t), vigil_symbols_origin(t),
			 act->word * 8);
		ret = find_dir_pointer(t, mon, act->word, &act->target[T_DIR]);
	}
	if (!ret)
		ret = find_syscall_table(t, act->word,
					 &act->target[T_SYSCALLS]);
	vigil_symbols_free(t);
	for (i = 0; !ret && i < N_TARGETS; i++) {
		struct vigil_range w = {
			.start = act->target[i].addr,
			.len = act->target[i].len,
			.kind = VIGIL_AT_GVA,
			.action = act->action,
			.cookie = i,
		};

		ret = mon_told(vigil_watch_add(mon->m, &w, sizeof(w)));
		act->target[i].id = w.id;
	}
	return ret;
}

/* ---- one act ---- */

static int follow_guest(struct act *act, struct demo_guest *g,
			unsigned int timeout)
{
	unsigned int i;
	char pattern[64];
	int ret;

	ret = demo_send(g, "go");
	if (!ret)
		ret = demo_expect(g, "demo: before:", act->before,
				  sizeof(act->before), timeout);
	for (i = 0; !ret && i < N_TARGETS; i++) {
		snprintf(pattern, sizeof(pattern), "rootkit: %s at ",
			 act->target[i].what);
		ret = demo_expect(g, pattern, act->target[i].report,
				  sizeof(act->target[i].report), timeout);
	}
	if (!ret)
		ret = demo_expect(g, "demo: after:", act->after,
				  sizeof(act->after), timeout);
	if (!ret)
		ret = demo_expect(g, "demo: content:", act->content,
				  sizeof(act->content), timeout);
	if (!ret)
		ret = demo_expect(g, "demo: worked:", act->worked,
				  sizeof(act->worked), timeout);
	if (!ret)
		ret = demo_expect(g, "demo: done", NULL, 0, timeout);
	return ret;
}

/*
 * The guest has finished its work, so all of its events are in the queue by
 * now.
 */
static int collect_events(struct act *act, struct mon *mon,
			  const struct vigil_symbols *t)
{
	const struct vigil_event *ev;
	struct vigil_counter *stats;
	int i, n, left = 0;

	n = vigil_get_counters(mon->m, &stats, sizeof(*stats));
	if (n < 0)
		return mon_told(n);
	for (i = 0; i < n; i++)
		if (!strcmp(stats[i].name, "watch_hits"))
			left = stats[i].value;
	free(stats);
	demo_say("%d write%s to what is watched", left, left == 1 ? "" : "s");
	while (left > 0) {
		struct target *tg;

		n = vigil_next_event(mon->m, &ev, -1);
		if (n < 0)
			return mon_told(n);
		if (!n)
			return lv_fail(EPIPE, "the VM ended");
		event_print(demo_progress, ev, t, NULL);
		if (ev->cookie >= N_TARGETS)
			return lv_fail(EPROTO,
				       "an event of a watch that nobody set");
		tg = &act->target[ev->cookie];
		tg->ev = *ev;
		vigil_symbols_text(t, ev->rip, tg->by, sizeof(tg->by));
		tg->events++;
		left--;
	}
	return 0;
}

__attribute__((format(printf, 3, 4))) static void
check(struct act *act, bool ok, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	demo_say("%s %s", ok ? "yes:" : "NO: ", text);
	act->failed += !ok;
}

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = line; (p = strstr(p, word)); p++)
		if (p > line && p[-1] == ' ' && (!p[n] || p[n] == ' '))
			return true;
	return false;
}

static void check_target(struct act *act, struct mon *mon, struct target *tg,
			 bool deny)
{
	unsigned long long where = 0, old = 0, want = 0;
	const struct vigil_event *ev = &tg->ev;
	uint64_t now = 0;
	char what[32], fate[16] = "";

	sscanf(tg->report, "rootkit: %31s at %llx: %llx -> %llx %15s", what,
	       &where, &old, &want, fate);
	check(act, !strcmp(fate, deny ? "unchanged" : "replaced"),
	      "the rootkit found %s %s after its write", tg->what,
	      deny ? "unchanged" : "replaced");
	check(act, tg->events == 1, "the monitor was told of one write to %s",
	      tg->what);
	check(act,
	      where >= tg->addr && where + act->word <= tg->addr + tg->len &&
		      ev->gva == where && ev->flags & VIGIL_EVENT_GVA_VALID &&
		      ev->len == act->word,
	      "of %u bytes, at the address that the rootkit tells (%#llx)",
	      act->word, where);
	check(act,
	      get_word(ev->old, act->word) == old &&
		      get_word(ev->new_, act->word) == want && old != want,
	      "with the old and the new pointer (%#llx, %#llx)", old, want);
	check(act, ev->cpl == 0 && ev->flags & VIGIL_EVENT_INSN_VALID,
	      "with the instruction, in the guest's kernel");
	check(act, !strncmp(tg->by, "rootkit:", 8),
	      "which is the module's, by its own symbols (%s)", tg->by);
	check(act, !!(ev->flags & VIGIL_EVENT_DENIED) == deny,
	      "and marked as %s", deny ? "refused" : "let through");
	if (vigil_read_virt(mon->m, 0, where, &now, act->word))
		now = 0;
	check(act, now && now == (deny ? old : want),
	      "guest memory holds the %s pointer", deny ? "old" : "new");
}

static void check_act(struct act *act, struct mon *mon)
{
	bool deny = act->action == VIGIL_ACTION_DENY;
	unsigned int i;

	for (i = 0; i < N_TARGETS; i++)
		check_target(act, mon, &act->target[i], deny);
	check(act,
	      act->target[T_DIR].old ==
		      get_word(act->target[T_DIR].ev.old, act->word),
	      "the pointer was the kernel's own");
	check(act,
	      has_word(act->before, DEMO_HIDDEN) &&
		      has_word(act->before, DEMO_PLAIN),
	      "ls showed the file before");
	check(act,
	      has_word(act->after, DEMO_HIDDEN) == deny &&
		      has_word(act->after, DEMO_PLAIN),
	      deny ? "ls still shows it" : "ls does not show it any more");
	check(act, !strcmp(act->content, "demo: content: treasure"),
	      "it can be read");
	check(act, !strcmp(act->worked, "demo: worked: 5"),
	      "the guest goes on with its work");
}

/*
 * Prints the words on the stack that are addresses of the kernel's code, which is
 * nearly a backtrace.
 */
static void print_stack(struct mon *mon, const struct vigil_symbols *t,
			unsigned int word, uint64_t rsp)
{
	uint8_t bytes[256 * 8];
	struct vigil_symbol s;
	unsigned int at, len;
	uint64_t off;

	rsp &= ~(word - 1ull);
	len = 4096 - (rsp & 4095);
	if (len > 256 * word)
		len = 256 * word;
	if (vigil_read_virt(mon->m, 0, rsp, bytes, len))
		return;
	for (at = 0; at < len; at += word) {
		uint64_t addr = get_word(bytes + at, word);

		if (!vigil_symbols_at(t, addr, &s, sizeof(s), &off) && off &&
		    strchr("tTwW", s.type))
			fprintf(demo_progress, "  rsp+%#05x %s+%#llx\n", at,
				s.name, (unsigned long long)off);
	}
}

/* Prints where a guest hangs, for whoever has to find out why. */
static void describe_guest(struct mon *mon)
{
	struct vigil_registers state;
	struct vigil_symbols *t;
	struct vigil_counter *stats;
	char sym[300];
	int n;

	if (vigil_get_registers(mon->m, 0, &state, sizeof(state)))
		return;
	if (vigil_symbols_load(&t, mon->m, NULL) && vigil_symbols_new(&t))
		return;
	vigil_symbols_text(t, state.regs.rip, sym, sizeof(sym));
	demo_say("the guest is at %#llx %s", (unsigned long long)state.regs.rip,
		 sym);
	lv_print_regs(demo_progress, &state.regs, &state.sregs);
	print_stack(mon, t, state.sregs.efer & 1 << 10 ? 8 : 4, state.regs.rsp);
	vigil_symbols_free(t);
	n = vigil_get_counters(mon->m, &stats, sizeof(*stats));
	for (int i = 0; i < n; i++)
		if (stats[i].value)
			fprintf(demo_progress, "%s %llu\n", stats[i].name,
				(unsigned long long)stats[i].value);
	if (n >= 0)
		free(stats);
}

static int broke_off(struct mon *mon, int err)
{
	char why[512];

	snprintf(why, sizeof(why), "%s", lv_error());
	describe_guest(mon);
	mon_detach(mon);
	return lv_fail(err, "%s", why);
}

static int run_monitored(struct act *act, struct demo_guest *g,
			 const char *name, unsigned int timeout)
{
	struct vigil_symbols *t = NULL;
	struct mon mon;
	int ret;

	ret = demo_expect(g, "demo: ready", NULL, 0, timeout);
	if (ret != -EPIPE) {
		int err = mon_told(mon_attach(&mon, name, 0));

		if (err)
			return err;
	}
	if (ret == -ETIMEDOUT)
		return broke_off(&mon, ret);
	if (ret)
		return ret;
	demo_say("attached to VM %u, process %u", mon.info.id, mon.info.pid);
	ret = set_watches(act, &mon);
	if (!ret) {
		demo_say("both are watched, action %s; now the rootkit",
			 act->action == VIGIL_ACTION_DENY ? "deny" : "log");
		ret = follow_guest(act, g, timeout);
	}
	if (!ret)
		ret = mon_told(vigil_symbols_load(&t, mon.m, NULL));
	if (!ret)
		ret = collect_events(act, &mon, t);
	if (!ret)
		check_act(act, &mon);
	vigil_symbols_free(t);
	if (ret)
		return broke_off(&mon, ret);
	mon_detach(&mon);
	if (!ret)
		ret = demo_send(g, "leave");
	if (ret)
		return ret;
	ret = demo_wait(g, timeout);
	if (ret >= 0)
		check(act, !ret, "the guest shut down in order");
	return ret < 0 ? ret : 0;
}

static int run_act(struct act *act, const struct args *args, const char *initrd,
		   int number)
{
	char name[VIGIL_NAME_LEN], append[512];
	struct demo_boot boot = {
		.kernel = args->kernel,
		.initrd = initrd,
		.append = append,
		.name = name,
		.mem = args->mem,
	};
	struct demo_guest g;
	int ret;

	demo_say("act %d: %s", number, act->title);
	snprintf(name, sizeof(name), "demo-%d-%d", (int)getpid(), number);
	snprintf(append, sizeof(append), "quiet %s", args->append ?: "");
	ret = demo_start(&g, &boot);
	if (ret)
		return ret;
	g.echo = demo_progress;
	demo_say("guest %s boots %s", name, args->kernel);
	ret = run_monitored(act, &g, name, args->timeout);
	demo_kill(&g);
	return ret;
}

/* ---- the whole ---- */

static char *newest_kernel(void)
{
	char *path = NULL;
	glob_t g;

	if (glob("/boot/vmlinuz-6.1.*-amd64", 0, NULL, &g))
		return NULL;
	if (g.gl_pathc)
		path = strdup(g.gl_pathv[g.gl_pathc - 1]);
	globfree(&g);
	return path;
}

static void print_json(const struct act *acts, int n, bool ok)
{
	struct json_object *o = json_object_new_object(),
			   *all = json_object_new_array();

	for (int i = 0; i < n; i++) {
		struct json_object *a = json_object_new_object();
		struct json_object *evs = json_object_new_array();

		json_object_object_add(
			a, "action",
			json_object_new_string(
				acts[i].action == VIGIL_ACTION_DENY ? "deny" :
								      "log"));
		json_object_object_add(a, "failed",
				       json_object_new_int(acts[i].failed));
		json_object_object_add(a, "before",
				       json_object_new_string(acts[i].before));
		json_object_object_add(a, "after",
				       json_object_new_string(acts[i].after));
		for (int k = 0; k < N_TARGETS; k++) {
			char *text;

			if (!acts[i].target[k].events)
				continue;
			text = event_json(&acts[i].target[k].ev, NULL, NULL,
					  EVENT_NO_VERDICT);
			json_object_array_add(evs, json_tokener_parse(text));
			free(text);
		}
		json_object_object_add(a, "events", evs);
		json_object_array_add(all, a);
	}
	json_object_object_add(o, "acts", all);
	json_object_object_add(o, "ok", json_object_new_boolean(ok));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

static int run_all(const struct args *args, const char *initrd)
{
	static struct act acts[] = {
		{ .title = "the monitor only logs",
		  .action = VIGIL_ACTION_LOG },
		{ .title = "the monitor refuses", .action = VIGIL_ACTION_DENY },
	};
	unsigned int failed = 0;
	int i, ret = 0;

	for (i = 0; !ret && i < 2; i++) {
		ret = run_act(&acts[i], args, initrd, i + 1);
		failed += acts[i].failed;
	}
	if (ret)
		demo_say("act %d broke off: %s", i, lv_error());
	if (vigil_options.json)
		print_json(acts, i, !ret && !failed);
	if (ret || failed) {
		fprintf(demo_progress, "vigil demo: FAILED\n");
		return VIGIL_EX_FAIL;
	}
	fprintf(demo_progress, "vigil demo: write denied, guest unharmed\n");
	return VIGIL_EX_OK;
}

static int make_initrd(const struct args *args, char *path)
{
	int fd = mkstemp(path), ret;
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f)
		return lv_fail(errno, "cannot create %s: %s", path,
			       strerror(errno));
	ret = demo_initramfs(f, args->busybox, args->rootkit);
	fclose(f);
	return ret;
}

int vigil_cmd_demo(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Boot Debian's stock 6.1 kernel twice and let a rootkit in it overwrite "
		       "read-only data: told of the first time, refused the second time. With "
		       "--pv: six acts with paravirtual guests, their hypercalls and their traps.",
		.children = vigil_common_children,
	};
	struct args args = {
		.rootkit = DATA_DIR "/rootkit.ko",
		.busybox = "/bin/busybox",
		.mem = 192,
		.timeout = 120,
	};
	char initrd[64], *kernel = NULL;
	const char *tmp = getenv("TMPDIR");
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	demo_progress = vigil_options.json ? stderr : stdout;
	if (args.pv)
		return demo_pv(args.timeout);
	signal(SIGPIPE, SIG_IGN);
	if (!args.kernel)
		args.kernel = kernel = newest_kernel();
	if (!args.kernel) {
		vigil_msg("no Debian 6.1 kernel in /boot: say --kernel FILE");
		return VIGIL_EX_INPUT;
	}
	if (access(args.rootkit, R_OK)) {
		vigil_msg(
			"no rootkit at %s: `make demo-files' in vigil's source builds it",
			args.rootkit);
		return VIGIL_EX_INPUT;
	}
	snprintf(initrd, sizeof(initrd), "%.40s/vigil-demo-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	ret = make_initrd(&args, initrd);
	if (ret)
		vigil_msg("%s", lv_error());
	ret = ret ? VIGIL_EX_INPUT : run_all(&args, initrd);
	unlink(initrd);
	free(kernel);
	return ret;
}

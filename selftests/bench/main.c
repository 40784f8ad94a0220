// SPDX-License-Identifier: GPL-2.0
/*
 * bench - the same client on /dev/kvm and /dev/vigil, one table.
 *
 * Ticks are host instructions when the emulated host counts them
 * (selftests/testbed/run --icount, or any with Bochs). Exits with 1 when a row is slower than the
 * peer, does more of what emulation hides (exits, flushes, IPIs, VMLOADs), or is above its limit.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static struct {
	const char *dev, *peer, *only;
	bool json, check;
} args = { .dev = "/dev/vigil", .peer = "/dev/kvm", .check = true };

static const struct argp_option options[] = {
	{ "dev", 'd', "PATH", 0, "device under test (/dev/vigil)", 0 },
	{ "peer", 'p', "PATH", 0,
	  "what it is compared with (/dev/kvm); '' for nothing", 0 },
	{ "row", 'r', "ID", 0, "only this row", 0 },
	{ "json", 'j', NULL, 0, "machine-readable", 0 },
	{ "no-check", 'n', NULL, 0, "exit with 0 whatever the figures are", 0 },
	{ "ops", 'o', "N", 0,
	  "operations to measure in a row (2000), for profiles", 0 },
	{ "list", 'l', NULL, 0, "list the rows", 0 },
	{}
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	unsigned int i;

	switch (key) {
	case 'd':
		args.dev = arg;
		return 0;
	case 'p':
		args.peer = arg;
		return 0;
	case 'r':
		args.only = arg;
		return 0;
	case 'j':
		args.json = true;
		return 0;
	case 'n':
		args.check = false;
		return 0;
	case 'o':
		bench_ops = strtoull(arg, NULL, 0);
		if (!bench_ops || bench_ops > DATA_PAGES)
			argp_error(state, "--ops: 1 to %llu", DATA_PAGES);
		return 0;
	case 'l':
		for (i = 0; i < nr_rows; i++)
			printf("%-20s %s\n", rows[i].id, rows[i].what);
		exit(0);
	case ARGP_KEY_ARG:
		argp_usage(state);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/*
 * Runs a row in a process of its own, with a fresh VM; a device that dies loses
 * one row.
 */
static void run_once(const struct row *row, const char *dev, struct result *r)
{
	struct result *shared = mmap(NULL, sizeof(*shared),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	memset(r, 0, sizeof(*r));
	if (shared == MAP_FAILED)
		die("out of memory");
	*shared = (struct result){ .n = { -1, -1, -1, -1, -1 } };
	pid = fork();
	if (!pid) {
		struct bench b;

		bench_open(&b, dev);
		row->fn(&b, shared);
		bench_close(&b);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("fork");
	*r = *shared;
	r->failed = !WIFEXITED(status) || WEXITSTATUS(status);
	munmap(shared, sizeof(*shared));
}

/*
 * Runs a row once for the time, and once more for the WRMSRs, whose tracing
 * takes time.
 */
static void run_row(const struct row *row, const char *dev, struct result *r)
{
	struct result traced;

	run_once(row, dev, r);
	if (r->failed || !trace_msrs(true))
		return;
	run_once(row, dev, &traced);
	trace_msrs(false);
	if (!traced.failed)
		r->n.msr_writes = traced.n.msr_writes;
}

static double per_op(int64_t n, const struct result *r)
{
	if (n < 0)
		return -1;
	return r->ops ? (double)n / r->ops : 0;
}

/* Prints "vigil's/the peer's", with a dash for an unknown number. */
static const char *pair(char buf[32], int64_t v, const struct result *rv,
			int64_t k, const struct result *rk)
{
	char one[2][12] = { "-", "-" };

	if (v >= 0)
		snprintf(one[0], sizeof(one[0]), "%.2f", per_op(v, rv));
	if (rk && k >= 0)
		snprintf(one[1], sizeof(one[1]), "%.2f", per_op(k, rk));
	snprintf(buf, 32, "%s/%s", one[0], one[1]);
	return buf;
}

/*
 * Is vigil's count larger than the peer's, of operations that emulation makes
 * nearly free?
 */
static bool hidden_worse(const struct result *v, const struct result *k)
{
	/* Host ticks cause a few of them in each run. */
	double slack = 0.01;

#define WORSE(f)                      \
	(v->n.f > 0 && k->n.f >= 0 && \
	 per_op(v->n.f, v) > per_op(k->n.f, k) + slack && v->n.f > k->n.f + 8)
	return WORSE(exits) || WORSE(flushes) || WORSE(ipis) || WORSE(vmload) ||
	       WORSE(msr_writes);
#undef WORSE
}

static void print_counts_json(const char *name, const struct result *r)
{
	printf("\"%s\": {\"ok\": %s, \"ticks\": %.1f, \"ops\": %llu, \"exits\": %.3f, "
	       "\"flushes\": %.3f, \"ipis\": %.3f, \"msr_writes\": %.3f, \"vmload\": %.3f}",
	       name, r->failed ? "false" : "true", r->ticks,
	       (unsigned long long)r->ops, per_op(r->n.exits, r),
	       per_op(r->n.flushes, r), per_op(r->n.ipis, r),
	       per_op(r->n.msr_writes, r), per_op(r->n.vmload, r));
}

static void print_row(const struct row *row, const struct result *v,
		      const struct result *k, bool bad, bool *first)
{
	char buf[5][32];

	if (args.json) {
		printf("%s{\"id\": \"%s\", \"what\": \"%s\", \"must\": %.0f, \"bad\": %s, ",
		       *first ? "" : ",\n ", row->id, row->what, row->must,
		       bad ? "true" : "false");
		print_counts_json("vigil", v);
		if (k) {
			printf(", ");
			print_counts_json("peer", k);
		}
		printf("}");
	} else {
		printf("%-46s", row->what);
		if (v->failed)
			printf(" %11s", "failed");
		else
			printf(" %11.0f", v->ticks);
		if (k && !k->failed)
			printf(" %11.0f %6.2f", k->ticks, v->ticks / k->ticks);
		else
			printf(" %11s %6s", "-", "-");
		if (row->must)
			printf(" %9.0f %s", row->must,
			       v->ticks <= row->must ? "yes" : "no ");
		else
			printf(" %9s    ", "");
		printf("  %-11s %-11s %-11s %-11s %-11s %s",
		       pair(buf[0], v->n.exits, v, k ? k->n.exits : -1, k),
		       pair(buf[1], v->n.flushes, v, k ? k->n.flushes : -1, k),
		       pair(buf[2], v->n.vmload, v, k ? k->n.vmload : -1, k),
		       pair(buf[3], v->n.ipis, v, k ? k->n.ipis : -1, k),
		       pair(buf[4], v->n.msr_writes, v,
			    k ? k->n.msr_writes : -1, k),
		       bad ? "WORSE" : "");
		printf("\n");
	}
	fflush(stdout);
	*first = false;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		NULL,
		"Measure exits, faults and the dirty log on two devices of the KVM API.",
		NULL,
		NULL,
		NULL
	};
	unsigned int i, worse = 0, missed = 0, failed = 0;
	struct result v, k;
	bool first = true;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (args.json)
		printf("[");
	else
		printf("%-46s %11s %11s %6s %9s %3s  %-11s %-11s %-11s %-11s %s\n",
		       "ticks per operation", args.dev + 5,
		       *args.peer ? args.peer + 5 : "", "ratio", "must", "met",
		       "exits", "flushes", "vmload", "ipis", "wrmsr");
	for (i = 0; i < nr_rows; i++) {
		bool bad = false, peer = *args.peer;

		if (args.only && strcmp(args.only, rows[i].id))
			continue;
		run_row(&rows[i], args.dev, &v);
		if (peer)
			run_row(&rows[i], args.peer, &k);
		failed += v.failed;
		if (peer && !k.failed && !v.failed)
			/* A second boot differs by up to one per cent. */
			bad = v.ticks > k.ticks * 1.01 + 5 ||
			      hidden_worse(&v, &k);
		worse += bad;
		missed += rows[i].must && v.ticks > rows[i].must;
		print_row(&rows[i], &v, peer ? &k : NULL, bad, &first);
	}
	if (args.json)
		printf("]\n");
	else
		printf("%u rows worse than the peer, %u above what vigil must reach, %u failed\n",
		       worse, missed, failed);
	return args.check && (worse || missed || failed) ? 1 : 0;
}

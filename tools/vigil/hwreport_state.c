// SPDX-License-Identifier: GPL-2.0
/*
 * The MSRs of the host's CPUs that a hypervisor could leave changed, by the kernel's
 * msr driver. Control and debug registers cannot be read in this way;
 * selftests/lifecycle compares them, with a module of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hwreport.h"

static const struct {
	uint32_t msr;
	const char *name;
} msrs[] = {
	{ 0x1b, "APIC_BASE" },	    { 0x3a, "FEATURE_CONTROL" },
	{ 0x3b, "TSC_ADJUST" },	    { 0x122, "TSX_CTRL" },
	{ 0x174, "SYSENTER_CS" },   { 0x175, "SYSENTER_ESP" },
	{ 0x176, "SYSENTER_EIP" },  { 0x1a0, "MISC_ENABLE" },
	{ 0x1d9, "DEBUGCTL" },	    { 0x277, "PAT" },
	{ 0x2ff, "MTRR_DEF_TYPE" }, { 0x3f1, "PEBS_ENABLE" },
	{ 0xda0, "XSS" },	    { 0xc0000080, "EFER" },
	{ 0xc0000081, "STAR" },	    { 0xc0000082, "LSTAR" },
	{ 0xc0000083, "CSTAR" },    { 0xc0000084, "SFMASK" },
	{ 0xc0000103, "TSC_AUX" },  { 0xc0000104, "TSC_RATIO" },
	{ 0xc0010114, "VM_CR" },    { 0xc0010117, "VM_HSAVE_PA" },
	{ 0xc001102e, "BP_CFG" },
};

/* What moves on a host that nobody disturbs, so that no difference would say a thing. */
#define MOVING                                                      \
	"TSC, MPERF, APERF, FS_BASE, GS_BASE, KERNEL_GS_BASE, "     \
	"SPEC_CTRL, PRED_CMD, DS_AREA, performance counters, APIC " \
	"timer, thermal and energy MSRs"

#define EFER_SVME (1u << 12)
#define N_MSRS (sizeof(msrs) / sizeof(msrs[0]))
#define MAX_CPUS 8192

static int open_cpu(unsigned int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/cpu/%u/msr", cpu);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Appends what can be read of one CPU; what it lacks is left out. False: no memory. */
static bool take_cpu(struct hwreport_state *s, unsigned int cpu, int fd)
{
	void *more = realloc(s->value, (s->n + N_MSRS) * sizeof(s->value[0]));

	if (!more)
		return false;
	s->value = more;
	for (size_t i = 0; i < N_MSRS; i++) {
		struct hwreport_value v = { .cpu = cpu, .name = msrs[i].name };

		if (pread(fd, &v.value, 8, msrs[i].msr) == 8)
			s->value[s->n++] = v;
	}
	s->cpus++;
	return true;
}

void hwreport_state_take(struct hwreport_state *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	*s = (struct hwreport_state){ 0 };
	for (long cpu = 0; cpu < cpus && cpu < MAX_CPUS; cpu++) {
		int fd = open_cpu(cpu);

		if (fd < 0) {
			/* A CPU that is offline has no device, or gives ENXIO. */
			if (!*s->why)
				snprintf(s->why, sizeof(s->why),
					 "/dev/cpu/%ld/msr: %s%s", cpu,
					 strerror(errno),
					 errno == ENOENT ? " (modprobe msr)" :
							   "");
			continue;
		}
		if (!take_cpu(s, cpu, fd))
			snprintf(s->why, sizeof(s->why), "out of memory");
		close(fd);
	}
	if (!s->n && !*s->why)
		snprintf(s->why, sizeof(s->why), "no MSR can be read");
}

void hwreport_state_free(struct hwreport_state *s)
{
	free(s->value);
	*s = (struct hwreport_state){ 0 };
}

void hwreport_state_print(struct hwreport *r, const struct hwreport_state *s)
{
	size_t len = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	for (size_t i = 0; i < s->n; i++)
		fprintf(f, "cpu%u %s %#llx\n", s->value[i].cpu,
			s->value[i].name,
			(unsigned long long)s->value[i].value);
	fprintf(f, "not compared, since they move: " MOVING "\n");
	if (!fclose(f))
		hwreport_output(r, text, len);
	free(text);
}

static const struct hwreport_value *find(const struct hwreport_state *s,
					 const struct hwreport_value *v)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->value[i].cpu == v->cpu && s->value[i].name == v->name)
			return &s->value[i];
	return NULL;
}

static void differs(struct hwreport *r, const struct hwreport_value *was,
		    const struct hwreport_value *is)
{
	char text[128];
	int n;

	if (is)
		n = snprintf(text, sizeof(text),
			     "state: cpu%u %s was %#llx and is %#llx\n",
			     was->cpu, was->name,
			     (unsigned long long)was->value,
			     (unsigned long long)is->value);
	else
		n = snprintf(
			text, sizeof(text),
			"state: cpu%u %s was %#llx and cannot be read now\n",
			was->cpu, was->name, (unsigned long long)was->value);
	hwreport_output(r, text, n);
}

static bool has_svme(const struct hwreport_state *s, unsigned int cpu)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->value[i].cpu == cpu && !strcmp(s->value[i].name, "EFER"))
			return s->value[i].value & EFER_SVME;
	return false;
}

/*
 * A hypervisor that had the CPU before and has it after, as a KVM that takes the
 * hardware when it is loaded: VM_HSAVE_PA is an address in its memory, which is
 * another one after a step that has loaded KVM anew.
 */
static bool is_owners(const struct hwreport_state *before,
		      const struct hwreport_state *after,
		      const struct hwreport_value *was)
{
	return !strcmp(was->name, "VM_HSAVE_PA") &&
	       has_svme(before, was->cpu) && has_svme(after, was->cpu);
}

unsigned int hwreport_state_compare(struct hwreport *r,
				    const struct hwreport_state *before,
				    const struct hwreport_state *after)
{
	unsigned int n = 0;

	for (size_t i = 0; i < before->n; i++) {
		const struct hwreport_value *was = &before->value[i];
		const struct hwreport_value *is = find(after, was);

		if (is &&
		    (is->value == was->value || is_owners(before, after, was)))
			continue;
		differs(r, was, is);
		n++;
	}
	return n;
}

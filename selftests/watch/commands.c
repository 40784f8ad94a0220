// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the monitor's commands on a guest that `vigil run' runs, and that
 * counts.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "sh.h"

#define NAME "watch-commands"

/*
 * Real mode, loaded at 0x7c00:
 *	again: incw 0x9000; mov $0, %cx; wait: loop wait; jmp again
 */
static const uint8_t counter[] = { 0xff, 0x06, 0x00, 0x90, 0xb9, 0x00,
				   0x00, 0xe2, 0xfe, 0xeb, 0xf5 };

static pid_t guest;
static char out[1 << 20];

/*
 * Runs a shell command. Its standard output and error are in @out; returns its
 * exit status.
 */
static int sh(const char *cmd)
{
	return sh_run(cmd, out, sizeof(out));
}

#define CHECK_SH(cmd, want)                                                    \
	do {                                                                   \
		int __s = sh(cmd);                                             \
                                                                               \
		if (__s != (want))                                             \
			FAIL("%s: exit status %d, not %d: %s", cmd, __s, want, \
			     out);                                             \
	} while (0)

#define CHECK_SAYS(text)                                   \
	do {                                               \
		if (!strstr(out, text))                    \
			FAIL("no `%s' in: %s", text, out); \
	} while (0)

static void start_guest(void)
{
	char path[] = "/tmp/watch-commands-XXXXXX";
	int fd = mkstemp(path), null;

	if (fd < 0 || write(fd, counter, sizeof(counter)) != sizeof(counter))
		ERROR("cannot write the guest");
	close(fd);
	guest = fork();
	if (!guest) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		execlp("vigil", "vigil", "run", "--device", opts.dev, "--name",
		       NAME, "--mem", "4", "--flat", path, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		if (!sh("vigil list 2>&1") && strstr(out, NAME))
			return;
		usleep(20000);
	}
	ERROR("the guest did not start: %s", out);
}

static void stop_guest(void)
{
	kill(guest, SIGKILL);
	waitpid(guest, NULL, 0);
}

static void begin(void)
{
	if (test_on_kvm())
		SKIP("/dev/kvm has no monitors");
	if (test_without_real_mode())
		SKIP("the guest of these tests begins in real mode");
	if (access("/bin/vigil", X_OK) && sh("command -v vigil"))
		ERROR("there is no command `vigil'");
	start_guest();
}

static void looking(long arg)
{
	begin();
	CHECK_SH("vigil list --json", 0);
	CHECK_SAYS("\"name\":\"" NAME "\"");
	CHECK_SAYS("\"vcpus\":1");
	CHECK_SH("vigil regs " NAME, 0);
	CHECK_SAYS("cs  0000 base=0000000000000000 limit=0000ffff");
	CHECK_SAYS("rip 0000000000007c0");
	CHECK_SH("vigil regs --json " NAME, 0);
	CHECK_SAYS("\"rip\":\"0x7c0");
	CHECK_SH("vigil stat " NAME, 0);
	CHECK_SAYS("exits ");
	CHECK_SH("vigil stat --json " NAME, 0);
	CHECK_SAYS("\"exits_page_fault\":");
	CHECK_SH("vigil hypercalls " NAME, 0);
	CHECK_SAYS("KVM's");
	CHECK_SH("vigil hypercalls --json " NAME, 0);
	CHECK_SAYS("\"abi\":\"kvm\"");
	/* The guest has no kernel, so no symbols. */
	CHECK_SH("vigil symbols " NAME " 2>&1", 1);
	CHECK_SAYS("no kernel's symbol tables");
	stop_guest();
}

static void refusing_nonsense(long arg)
{
	begin();
	CHECK_SH("vigil regs nobody-has-this-name 2>&1", 1);
	CHECK_SAYS("there is no VM called");
	CHECK_SH("vigil regs 4000000000 2>&1", 1);
	CHECK_SH("vigil watch " NAME " 2>&1", 64);
	CHECK_SAYS("what is to be watched?");
	CHECK_SH("vigil watch --gpa 0x9000 2>&1", 64);
	CHECK_SH("vigil watch " NAME " --gpa nine 2>&1", 64);
	CHECK_SH("vigil run --name 'a b' /etc/passwd 2>&1", 64);
	CHECK_SH("vigil run --name 12 /etc/passwd 2>&1", 64);
	CHECK_SAYS("is a number");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 0 2>&1", 64);
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --action shout 2>&1", 64);
	CHECK_SH("vigil watch " NAME " --gpa 9000 --exec true 2>&1", 64);
	CHECK_SAYS("needs --action ask");
	CHECK_SH("vigil watch " NAME " --symbol jiffies 2>&1", 1);
	CHECK_SH("vigil watch " NAME " --gva 0x800000000000000 2>&1", 1);
	/* The guest's memory ends at 4 MiB. */
	CHECK_SH("vigil watch " NAME " --gpa 0x400000 2>&1", 1);
	CHECK_SAYS("no memory at the guest-physical address 0x400000");
	CHECK_SH("vigil watch " NAME " --gpa 0x3ffff8 --len 9 2>&1", 1);
	CHECK_SAYS("no memory at the guest-physical address 0x400000");
	CHECK_SH("vigil watch " NAME " --gpa ffffffffffff8 2>&1", 1);
	CHECK_SAYS("no memory");
	CHECK_SH("vigil watch " NAME " --control trap-table 2>&1", 1);
	CHECK_SAYS("the VM has no trap tables");
	CHECK_SH("vigil watch " NAME " --control iopl 2>&1", 1);
	CHECK_SAYS("the VM has no hypercalls of Xen's");
	/* One address is beyond the 52 bits of any CPU, the other wraps around. */
	CHECK_SH("vigil watch " NAME " --gpa 10000000000000 2>&1", 1);
	CHECK_SH("vigil watch " NAME " --gpa ffffffffffffffff 2>&1", 1);
	CHECK_SH("vigil symbols " NAME " --symbols /etc/passwd 2>&1", 66);
	stop_guest();
}

static void logging(long arg)
{
	begin();
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --count 3 2>&1", 0);
	CHECK_SAYS("action log");
	CHECK_SAYS("write of 2 bytes to 0x9000 at gpa 0x9000: logged");
	CHECK_SAYS("insn ff 06 00 90  inc word ptr [0x9000]");
	CHECK_SAYS("#3 ");
	CHECK_SH("vigil watch " NAME " --gva 0x9000 --len 1 --count 1 --json",
		 0);
	CHECK_SAYS("\"result\":\"logged\"");
	CHECK_SAYS("\"rip\":\"0x7c00\"");
	CHECK_SAYS("\"disassembly\":\"inc word ptr [0x9000]\"");
	stop_guest();
}

/* the counter stands still while it is watched, and goes on afterwards */
/* Of four values, one is told and one refused. */
static void conditions(long arg)
{
	begin();
	/* The guest counts. A value that is denied would come again for ever. */
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --count 4 --json"
		 " --when 'cpl=0 value & 3 = 3 log' --when 'value & 1 = 0 pass'"
		 " >/tmp/conditions; ! grep '\"new\":\".[02468ace]'"
		 " /tmp/conditions; grep '\"condition\":1'"
		 " /tmp/conditions",
		 0);
	CHECK_SH("grep armed /tmp/conditions; rm /tmp/conditions", 0);
	CHECK_SAYS("\"conditions\":[\"cpl = 0 value & 0x3 = 0x3 log\","
		   "\"value & 0x1 = 0 pass\"]");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --count 1 --json"
		 " --when 'cpl=0 deny'",
		 0);
	CHECK_SAYS("\"result\":\"denied\"");
	CHECK_SH("vigil stat " NAME, 0);
	CHECK_SAYS("watch_conditioned");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --when 'cpl=3' 2>&1",
		 64);
	CHECK_SAYS("--when 'cpl=3': ends where a further test or an action");
	stop_guest();
}

/* The guest writes faster than the command reads. */
static void queues(long arg)
{
	begin();
	CHECK_SH("vigil watch " NAME " --gpa 9000 --queue 0 2>&1", 64);
	CHECK_SAYS("--queue is 1 to 65536 events");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --queue 65537 2>&1", 64);
	CHECK_SH("vigil watch " NAME " --gpa 9000 --queue 8,no 2>&1", 64);
	CHECK_SAYS("`,wait' or `,ring'");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --queue 12,ring 2>&1", 64);
	CHECK_SAYS("power of two");
	/* A pipe that is full holds the command up. */
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --queue 1 --json"
		 " --output-error stop |"
		 " { while read -r l; do case $l in *'\"record\":\"lost\"'*)"
		 " echo \"$l\"; exit;; esac; done; }",
		 0);
	CHECK_SAYS("\"record\":\"lost\"");
	for (int ring = 0; ring < 2; ring++) {
		CHECK_SH(ring ? "vigil watch " NAME " --gpa 9000 --len 2 --json"
				" --queue 1,wait,ring --count 300 >/tmp/queue" :
				"vigil watch " NAME " --gpa 9000 --len 2 --json"
				" --queue 1,wait --count 300 >/tmp/queue",
			 0);
		CHECK_SH("grep -c '\"record\":\"event\".*\"dropped\":0'"
			 " /tmp/queue",
			 0);
		CHECK_SAYS("300\n");
		CHECK_SH("grep -c '\"seq\":300,' /tmp/queue; rm /tmp/queue", 0);
		CHECK_SAYS("1\n");
	}
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --json"
		 " --queue 64,ring --action ask --exec true --count 3",
		 0);
	CHECK_SAYS("\"result\":\"allowed\"");
	CHECK_SAYS("\"seq\":3,");
	stop_guest();
}

static void denying(long arg)
{
	char first[8], again[8];
	const char *at;

	begin();
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --action deny"
		 " --count 1 --json",
		 0);
	CHECK_SAYS("\"result\":\"denied\"");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --action deny"
		 " --count 4 --json | sed -n '2p;4p'",
		 0);
	at = strstr(out, "\"old\":\"");
	if (!at || !strstr(at + 1, "\"old\":\"")) {
		FAIL("no two events: %s", out);
		test_abort();
	}
	snprintf(first, sizeof(first), "%.4s", at + 7);
	at = strstr(at + 1, "\"old\":\"");
	snprintf(again, sizeof(again), "%.4s", at + 7);
	CHECK(!strcmp(first, again));
	stop_guest();
}

static void asking(long arg)
{
	begin();
	CHECK_SH(
		"vigil watch " NAME " --gpa 0x9000 --len 2 --action ask"
		" --count 1 --json --exec 'grep -q \"\\\"result\\\":\\\"held\\\"\" &&"
		" test $VIGIL_LEN = 2 && test $VIGIL_GPA = 0x9000'",
		0);
	CHECK_SAYS("\"result\":\"allowed\"");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --action ask"
		 " --count 1 --json --exec 'exit 1' 2>&1",
		 0);
	CHECK_SAYS("\"result\":\"denied\"");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --action ask"
		 " --count 1 --exec 'exit 7' 2>&1",
		 0);
	CHECK_SAYS("failed with status 7: refused");
	/* The answer is yes, then no, then end of file. */
	CHECK_SH("echo y | vigil watch " NAME " --gpa 0x9000 --action ask"
		 " --count 1 2>&1",
		 0);
	CHECK_SAYS("    allowed");
	CHECK_SH("echo n | vigil watch " NAME " --gpa 0x9000 --action ask"
		 " --count 1 2>&1",
		 0);
	CHECK_SAYS("    refused");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --action ask --count 1"
		 " 2>&1 </dev/null",
		 0);
	CHECK_SAYS("no answer: refused");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --action ask --count 1"
		 " --json 2>&1 </dev/null",
		 0);
	CHECK_SAYS("\"record\":\"armed\"");
	CHECK_SAYS("\"record\":\"verdict\"");
	CHECK_SAYS("\"reason\":\"count\"");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --action ask --count 1"
		 " --exec 'sleep 1000; true' --exec-timeout 1 2>&1",
		 0);
	CHECK_SAYS("took longer than 1 second: refused");
	stop_guest();
}

/* Other verdicts than yes and no. */
static void verdicts(long arg)
{
	int status;

	begin();
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --refuse gp 2>&1", 64);
	CHECK_SAYS("needs --action ask");
	CHECK_SH("vigil watch " NAME
		 " --gpa 0x9000 --action ask --refuse allow 2>&1",
		 64);
	CHECK_SAYS("--refuse is deny, gp, pf or kill");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --timeout 1 2>&1", 64);
	CHECK_SAYS("needs --action ask");
	CHECK_SH("vigil watch " NAME
		 " --gpa 0x9000 --action ask --on-timeout deny 2>&1",
		 64);
	CHECK_SAYS("--on-timeout needs --timeout");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --action ask --json"
		 " --timeout 86400000 --count 1 2>&1 </dev/null",
		 0);
	CHECK_SAYS("\"timeout_ms\":86400000,\"on_timeout\":\"deny\"");
	/* There is no paging. */
	CHECK_SH("echo n | vigil watch " NAME " --gpa 0x9000 --action ask"
		 " --refuse pf --count 1 2>&1",
		 0);
	CHECK_SAYS("cannot have the fault of --refuse: denied");
	/* A verdict that cannot be leaves the event waiting for the next line. */
	CHECK_SH(
		"rm -f /tmp/verdicts; mkfifo /tmp/verdicts; vigil watch " NAME
		" --json --gpa 0x9000 --len 2 --action ask --count 1 2>&1 </tmp/verdicts |"
		"{ exec 3>/tmp/verdicts; while read -r line; do echo \"$line\";"
		" case $line in *'\"result\":\"held\"'*)"
		" echo '{\"seq\":1,\"verdict\":\"replace\"}' >&3;"
		" echo '{\"seq\":1,\"verdict\":\"replace\",\"bytes\":\"0\"}' >&3;"
		" echo '{\"seq\":1,\"verdict\":\"pf\"}' >&3;"
		" echo '{\"seq\":1,\"verdict\":\"replace\",\"bytes\":\"11 22 33\"}' >&3;"
		" echo '{\"seq\":1,\"verdict\":\"replace\",\"bytes\":\"11 22\"}' >&3;;"
		" esac; done; }",
		0);
	CHECK_SAYS("is no verdict");
	CHECK_SAYS("cannot have this verdict");
	CHECK_SAYS("cannot decide about event 1: Invalid argument");
	CHECK_SAYS("\"result\":\"replaced\"");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --action ask"
		 " --refuse kill --exec 'exit 1' 2>&1",
		 0);
	CHECK_SAYS("the VM is gone");
	REQUIRE_EQ(waitpid(guest, &status, 0), guest);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 85);
}

/* What the guest, which waits by LOOP, has in its rcx. */
static unsigned long count(void)
{
	const char *at;

	CHECK_SH("vigil regs --json " NAME, 0);
	at = strstr(out, "\"rcx\":\"0x");
	if (!at)
		ERROR("no rcx in: %s", out);
	return strtoul(at + 9, NULL, 16);
}

static void pausing(long arg)
{
	unsigned long at;

	begin();
	CHECK_SH("vigil pause " NAME " --vcpu 1 2>&1", 1);
	CHECK_SAYS("the VM has no vCPU 1");
	CHECK_SH("vigil pause " NAME " --vcpu x 2>&1", 64);
	CHECK_SH("vigil pause 2>&1", 64);
	CHECK_SH("vigil pause nobody-has-this-name 2>&1", 1);
	CHECK_SH("vigil pause --json " NAME, 0);
	CHECK_SAYS("\"paused\":true");
	at = count();
	CHECK_EQ(count(), at);
	/* Registers of a guest that stands, which goes on standing. */
	CHECK_SH("vigil regs " NAME " --set rcx=77 2>&1", 64);
	CHECK_SAYS("--set needs --vcpu");
	CHECK_SH("vigil regs " NAME " --vcpu 0 --set ax=77 2>&1", 64);
	CHECK_SH("vigil regs " NAME " --vcpu 0 --set rcx=7z 2>&1", 64);
	CHECK_SH("vigil regs " NAME " --vcpu 1 --set rcx=77 2>&1", 1);
	CHECK_SAYS("the VM has no vCPU 1");
	CHECK_SH("vigil regs " NAME " --vcpu 0 --set cr0=80000000 2>&1", 1);
	CHECK_SAYS("no CPU can have these");
	CHECK_EQ(count(), at);
	CHECK_SH("vigil regs --json " NAME
		 " --vcpu 0 --set rcx=77 --set cr2=1234",
		 0);
	CHECK_SAYS("\"rcx\":\"0x77\"");
	CHECK_SAYS("\"cr2\":\"0x1234\"");
	CHECK_EQ(count(), 0x77);
	CHECK_SH("vigil resume --json " NAME, 0);
	CHECK_SAYS("\"paused\":false");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --count 2 2>&1", 0);
	CHECK_SH("vigil pause " NAME " --vcpu 0 && vigil watch " NAME
		 " --resume --gpa 0x9000 --len 2 --count 2 2>&1",
		 0);
	/* The time is up, and the guest stands until somebody answers. */
	CHECK_SH("{ while [ \"$(vigil stat " NAME
		 " | grep watch_timeouts)\" = \"\" ]; do :; done;"
		 " echo '{\"seq\":1,\"verdict\":\"deny\"}'; } |"
		 " vigil watch " NAME
		 " --json --gpa 0x9000 --len 2 --action ask --timeout 1"
		 " --on-timeout pause --count 1 2>&1",
		 0);
	CHECK_SAYS("\"on_timeout\":\"pause\"");
	CHECK_SAYS("\"result\":\"denied\"");
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --count 2 2>&1", 0);
	stop_guest();
}

/*
 * With a failing output, writes are still refused, and each command reports the
 * failure.
 */
static void output_fails(long arg)
{
	begin();
	CHECK_SH("vigil list 2>&1 >/dev/full", 74);
	CHECK_SAYS("cannot write standard output: No space left");
	CHECK_SH("vigil list --json 2>&1 >/dev/full", 74);
	CHECK_SH("vigil regs " NAME " 2>&1 >/dev/full", 74);
	CHECK_SH("vigil regs --json " NAME " 2>&1 >/dev/full", 74);
	CHECK_SH("vigil stat " NAME " 2>&1 >/dev/full", 74);
	CHECK_SH("vigil stat --json " NAME " 2>&1 >/dev/full", 74);
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --action deny"
		 " --count 5 2>&1 >/dev/full",
		 74);
	CHECK_SAYS("the watches stay");
	CHECK_SAYS("5 events or notices could not be shown");
	CHECK_SH("vigil watch " NAME " --gpa 9000 --len 2 --action deny"
		 " --output-error=stop 2>&1 >/dev/full",
		 74);
	CHECK_SAYS("nothing is protected any more");
	stop_guest();
}

/*
 * Starts `vigil watch' at @gpa in the background; it is attached when this
 * returns.
 */
/* @queue: for --queue, or NULL */
static pid_t spawn_watch(const char *gpa, const char *exec, const char *queue)
{
	pid_t pid;
	int fd;

	/* What an earlier one has said there is not said by this one. */
	unlink("/tmp/watch-commands.out");
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fd = open("/tmp/watch-commands.out",
			  O_CREAT | O_TRUNC | O_WRONLY, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execlp("vigil", "vigil", "watch", NAME, "--gpa", gpa,
		       "--action", "ask", "--exec", exec,
		       queue ? "--queue" : NULL, queue, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		if (!sh("cat /tmp/watch-commands.out 2>&1") &&
		    strstr(out, "watching 8 bytes"))
			return pid;
		usleep(20000);
	}
	ERROR("it does not watch: %s", out);
}

static int end_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/*
 * Ctrl-C ends the command while nothing happens, and while a program decides.
 */
static void interrupting(long exec)
{
	pid_t pid, other;

	begin();
	unlink("/tmp/watch-commands.decides");
	pid = spawn_watch(exec ? "0x9000" : "0xa000",
			  "touch /tmp/watch-commands.decides; exec sleep 100",
			  NULL);
	/*
	 * A command that only reads still works, and so does a second watcher.
	 */
	CHECK_SH("vigil regs " NAME " 2>&1", 0);
	CHECK_SAYS("rip");
	CHECK_SH("vigil stat " NAME " 2>&1", 0);
	CHECK_SAYS("exits");
	other = spawn_watch("0xb000", "exit 1", NULL);
	CHECK_SH("vigil list", 0);
	CHECK_SAYS(", watched by 2");
	kill(other, SIGINT);
	CHECK_EQ(end_of(other), 0);
	if (!exec)
		CHECK_SH("vigil watch " NAME
			 " --gpa 0x9000 --len 2 --count 2 2>&1",
			 0);
	while (exec && access("/tmp/watch-commands.decides", F_OK))
		usleep(10000);
	kill(pid, SIGINT);
	CHECK_EQ(end_of(pid), 0);
	CHECK_SH("vigil list", 0);
	CHECK(!strstr(out, "watched"));
	/* and the guest goes on */
	CHECK_SH("vigil watch " NAME " --gpa 0x9000 --len 2 --count 2 2>&1", 0);
	stop_guest();
}

/* The VM ends while the command runs. */
static void vm_ends(long ring)
{
	pid_t pid;

	begin();
	pid = spawn_watch("0xa000", "exit 0", ring ? "8,ring" : NULL);
	stop_guest();
	CHECK_EQ(end_of(pid), 0);
	CHECK_SH("cat /tmp/watch-commands.out", 0);
	CHECK_SAYS("the VM is gone");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "list, regs, stat, symbols", looking, 0, 60 },
		{ "what is refused", refusing_nonsense, 0, 60 },
		{ "watch, log", logging, 0, 60 },
		{ "watch, conditions", conditions, 0, 60 },
		{ "watch, queues", queues, 0, 60 },
		{ "watch, deny", denying, 0, 60 },
		{ "watch, ask", asking, 0, 60 },
		{ "watch, verdicts", verdicts, 0, 60 },
		{ "pause, resume, regs --set", pausing, 0, 60 },
		{ "a full disk", output_fails, 0, 60 },
		{ "Ctrl-C", interrupting, 0, 60 },
		{ "Ctrl-C while a program decides", interrupting, 1, 60 },
		{ "the VM ends", vm_ends, 0, 60 },
		{ "the VM ends, with a ring", vm_ends, 1, 60 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}

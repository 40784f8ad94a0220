# SPDX-License-Identifier: GPL-2.0
"""Starts an emulated host, carries its three channels, tells how it ended."""

import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

# How a run can end; a command's own status is passed through.
DEAD, REPORT, HANG, LOST, FAULT = 200, 201, 202, 203, 204
TIMEOUT = 124

STAMP = rb"^\[[ ]*\d+\.\d+\](?:\[[ ]*[TC]\d+\])?[ ]"
REPORTS = re.compile(STAMP + rb"""(?:
    BUG: | kernel\ BUG\ at | WARNING: | Oops | Kernel\ panic | UBSAN: |
    general\ protection\ fault | unchecked\ MSR\ access | double\ fault |
    watchdog: | rcu:\ INFO: | INFO:\ rcu | INFO:\ task\ | INFO:\ lockdep |
    INFO:\ trying\ to\ register | INFO:\ possible | ODEBUG: | DEBUG_LOCKS |
    list_(?:add|del)\ corruption | refcount_t: | stack\ segment: |
    invalid\ opcode: | kernel\ tried\ to\ execute | PANIC: |
    kmemleak:\ unreferenced | ={5,}\ BUG | \[\ BUG: | kfence:\ BUG | traps:\ PANIC
)""", re.X)
PANIC = re.compile(STAMP + rb"(?:Kernel panic|traps: PANIC|PANIC:)")
# TAINT_DIE, TAINT_WARN, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP, TAINT_MACHINE_CHECK
TAINTS = 1 << 7 | 1 << 9 | 1 << 5 | 1 << 14 | 1 << 4

GRACE_S = 20    # for the host to answer, for the emulator to end


def die_with_parent():
    """In the emulator: do not outlive the testbed, whatever kills it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Channel:
    """A byte stream out of the emulator, and back into it."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.open = True

    def read(self):
        try:
            data = self.ours.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.open = False
        return data


class Host:
    """One boot of the emulated host."""

    def __init__(self, log_path, nonce, verbose):
        self.log = Channel()
        self.out = Channel()
        self.status = Channel()
        self.log_file = open(log_path, "wb")
        self.nonce = nonce
        self.verbose = verbose
        self.tail = b""         # unfinished line of the log
        self.answer = b""       # what came over the status channel
        self.lines = []         # of the log since the report began
        self.panic = False
        self.proc = None

    # What subclasses say: the argument vector, and how to look inside.

    def argv(self):
        raise NotImplementedError

    def fault(self):
        """Does the emulator itself make no progress? None, or how."""
        return None

    # Running

    def channels(self):
        return (self.log, self.out, self.status)

    def start(self):
        fds = [c.theirs.fileno() for c in self.channels()]
        self.proc = subprocess.Popen(
            self.argv(), stdin=subprocess.DEVNULL, stdout=self.log_file,
            stderr=self.log_file, pass_fds=fds + self.more_fds(),
            start_new_session=True, preexec_fn=die_with_parent)
        for c in self.channels():
            c.theirs.close()

    def more_fds(self):
        return []

    def kill(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def pump(self, until):
        """Carries data until the deadline, a status, or the end."""
        while time.monotonic() < until:
            live = [c for c in self.channels() if c.open]
            if not live:
                return
            wait = min(1.0, max(0, until - time.monotonic()))
            ready, _, _ = select.select([c.ours for c in live], [], [], wait)
            for c in live:
                if c.ours in ready:
                    self.take(c, c.read())

    def take(self, channel, data):
        if channel is self.out:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif channel is self.status:
            self.answer += data
        else:
            self.take_log(data)

    def take_log(self, data):
        self.log_file.write(data)
        self.log_file.flush()
        if self.verbose:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        *lines, self.tail = (self.tail + data).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if PANIC.match(line):
                self.panic = True
            if self.lines or REPORTS.match(line):
                self.lines.append(line)

    def result(self):
        """The status line that is really for this run, split."""
        for line in self.answer.split(b"\n"):
            words = line.decode(errors="replace").split()
            if words[:2] == ["vigil-status", self.nonce] and \
                    len(words) > 2 and words[2] != "started":
                return words[2:]
        return None

    def run(self, timeout):
        """Returns (exit status, what to say about it)."""
        self.start()
        until = time.monotonic() + timeout
        while self.result() is None and time.monotonic() < until and \
                any(c.open for c in self.channels()):
            self.pump(min(until, time.monotonic() + 0.2))
        if self.result() is None and self.log.open:
            return self.late()
        if self.result() is not None:
            self.pump(time.monotonic() + GRACE_S)
            if self.log.open:
                self.kill()
                return HANG, "the host did not end after the command had"
        self.proc.wait()
        return self.verdict()

    def late(self):
        """Time is up: who hangs, the command, the host or the emulator?"""
        fault = self.fault()
        if fault:
            self.kill()
            return FAULT, fault
        try:
            self.status.ours.sendall(b"timeout\n")
        except OSError:
            pass
        until = time.monotonic() + GRACE_S
        while self.result() is None and time.monotonic() < until and self.log.open:
            self.pump(min(until, time.monotonic() + 0.2))
        if self.result() is None:
            self.kill()
            if self.lines:
                return self.verdict()
            return HANG, "the host hangs: it does not answer any more"
        self.pump(time.monotonic() + GRACE_S)
        self.kill()
        return self.verdict()

    def verdict(self):
        """Judges a run whose emulator has ended."""
        code = self.proc.returncode
        words = self.result()
        if code < 0 and code != -signal.SIGKILL:
            name = signal.Signals(-code).name
            return FAULT, f"the emulator died of {name}"
        if self.panic or (self.lines and not words):
            return DEAD, "the host's kernel died"
        if not words and code:
            return FAULT, f"the emulator ended with status {code}"
        if not words:
            return LOST, "the host ended without telling how the command had"
        if self.lines:
            return REPORT, "the host's kernel reported a fault"
        try:
            kind, taint = words[0], int(words[-1], 16)
            value = 0 if kind == "timeout" else int(words[1])
        except (ValueError, IndexError):
            return LOST, "the host could not start: " + " ".join(words)
        if taint & TAINTS:
            return REPORT, f"the host's kernel is tainted: {taint:#x}"
        if kind == "timeout":
            return TIMEOUT, "the command's time is up, the host was alive"
        if kind == "signal":
            return 128 + value, f"the command died of signal {value}"
        return value, None


class Qemu(Host):
    """QEMU's TCG with a CPU that has SVM."""

    def __init__(self, log_path, nonce, verbose, *, kernel, initrd, smp, mem,
                 icount, la57, append):
        super().__init__(log_path, nonce, verbose)
        self.qmp = Channel()
        self.cmdline = (
            "console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 panic=-1 "
            "ignore_loglevel printk.devkmsg=on rdinit=/init tsc=reliable "
            "random.trust_cpu=on " + append).strip()
        self.args = [
            "qemu-system-x86_64", "-no-user-config", "-nodefaults",
            "-machine", "pc", "-accel", "tcg,thread=single",
            "-cpu", f"max,la57={'on' if la57 else 'off'}",
            "-smp", str(smp), "-m", str(mem), "-display", "none",
            "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", self.cmdline, "-no-reboot"]
        if icount:
            self.args += ["-icount", "shift=0,sleep=off"]

    def more_fds(self):
        return [self.qmp.theirs.fileno()]

    def argv(self):
        args = list(self.args)
        for i, c in enumerate(self.channels()):
            args += ["-chardev", f"socket,id=c{i},fd={c.theirs.fileno()}",
                     "-serial", f"chardev:c{i}"]
        return args + ["-chardev", f"socket,id=qmp,fd={self.qmp.theirs.fileno()}",
                       "-mon", "chardev=qmp,mode=control"]

    def start(self):
        super().start()
        self.qmp.theirs.close()

    def ask(self, text):
        """A monitor command's answer, or None when QEMU does not answer."""
        sock = self.qmp.ours
        sock.settimeout(10)
        try:
            sock.sendall(json.dumps(
                {"execute": "human-monitor-command",
                 "arguments": {"command-line": text}}).encode() + b"\n")
            stream = sock.makefile("rb")
            for line in stream:
                reply = json.loads(line)
                if "return" in reply and isinstance(reply["return"], str):
                    return reply["return"]
        except (OSError, ValueError):
            pass
        return None

    def cpu_seconds(self):
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fault(self):
        try:
            self.qmp.ours.sendall(b'{"execute":"qmp_capabilities"}\n')
        except OSError:
            return None
        before, used = self.ask("info registers -a"), self.cpu_seconds()
        time.sleep(2)   # the emulated clock must show progress meanwhile
        after = self.ask("info registers -a")
        if before is None or after is None:
            return "the emulator does not answer"
        self.log_file.write(b"\n--- registers when time was up\n" + after.encode())
        if before == after and "HLT=0" in after and \
                self.cpu_seconds() - used < 0.02:
            return "the emulator makes no progress"
        return None

# SPDX-License-Identifier: GPL-2.0
"""Starts an emulated host, carries its three channels, and tells how it ended."""

import ctypes
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import tty

from common import call

# How a run can end, beside the status of its command, which is passed through.
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
BANNER = re.compile(STAMP + rb"Linux[ ]version")
# TAINT_DIE, TAINT_WARN, TAINT_BAD_PAGE, TAINT_SOFTLOCKUP, TAINT_MACHINE_CHECK
TAINTS = 1 << 7 | 1 << 9 | 1 << 5 | 1 << 14 | 1 << 4

GRACE_S = 20    # for the host to answer, for the emulator to end


def die_with_parent():
    """Runs in the emulator's process: it shall not outlive the testbed, whatever kills that."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Channel:
    """A byte stream out of the emulator and, but for a pipe, back into it."""

    def __init__(self, kind="socket"):
        self.kind = kind
        if kind == "pipe":
            self.ours, self.theirs = os.pipe()
        elif kind == "pty":
            self.ours, self.theirs = os.openpty()
            tty.setraw(self.theirs)
        else:
            self.ours, self.theirs = (s.detach() for s in socket.socketpair())
        self.open = True

    def handed_over(self):
        """Closes our copy of the emulator's end, so that its own is the last one.

        Of a pty the copy stays: the emulator opens the pty by its name, and without any
        open end the pty would be lost before that.
        """
        if self.kind != "pty":
            os.close(self.theirs)

    def read(self):
        try:
            data = os.read(self.ours, 65536)
        except OSError:
            data = b""
        if not data:
            self.open = False
        return data


class Host:
    """One boot of the emulated host."""

    kinds = ("socket", "socket", "socket")  # of log, output, status
    noise = None    # messages that any kernel logs on the emulator's CPU

    def __init__(self, log_path, nonce, verbose, terminal=None):
        kinds = list(self.kinds)
        if terminal and kinds[1] == "pipe":
            kinds[1] = "pty"    # what is typed goes the other way
        self.log, self.out, self.status = map(Channel, kinds)
        self.terminal = terminal
        self.log_file = open(log_path, "wb")
        self.nonce = nonce
        self.verbose = verbose
        self.tail = b""         # unfinished line of the log
        self.answer = b""       # what came over the status channel
        self.lines = []         # of the log since the report began
        self.panic = False
        self.boots = 0
        self.proc = None

    # Subclasses give the argument vector, and look inside of their emulator.

    def argv(self):
        raise NotImplementedError

    def fault(self):
        """Says how the emulator itself makes no progress; None if it does."""
        used = self.cpu_seconds()
        time.sleep(2)   # an emulated clock that runs costs CPU time
        if self.cpu_seconds() == used:
            return "the emulator makes no progress"
        return None

    def failed(self):
        """Says how the emulator ended by its own fault; None if it did not."""
        code = self.proc.returncode
        if code < 0 and code != -signal.SIGKILL:
            return f"the emulator died of {signal.Signals(-code).name}"
        return f"the emulator ended with status {code}" if code > 0 else None

    def cpu_seconds(self):
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Running

    def channels(self):
        return (self.log, self.out, self.status)

    def start(self):
        fds = [c.theirs for c in self.channels()]
        self.proc = subprocess.Popen(
            self.argv(), stdin=subprocess.DEVNULL, stdout=self.log_file,
            stderr=self.log_file, pass_fds=fds + self.more_fds(),
            start_new_session=True, preexec_fn=die_with_parent)
        for c in self.channels():
            c.handed_over()

    def more_fds(self):
        return []

    def kill(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def pump(self, until, event=None):
        """Carries data until the deadline, the event or the emulator's end.

        Without another event, it waits for the result.
        """
        event = event or (lambda: self.result() is not None)
        told = event()
        while time.monotonic() < until and self.log.open:
            self.carry(min(1.0, max(0, until - time.monotonic())))
            if not told and event():
                return
        while not self.log.open and self.carry(0):
            pass

    def carry(self, wait):
        """Waits for data and takes it. Returns whether there was any."""
        live = {c.ours: c for c in self.channels() if c.open}
        typing = [self.terminal.fd] if self.terminal and self.terminal.is_open() else []
        ready, _, _ = select.select([*live, *typing], [], [], wait)
        for fd in ready:
            if fd in typing:
                os.write(self.out.ours, self.terminal.typed())
            else:
                self.take(live[fd], live[fd].read())
        return bool(ready)

    def take(self, channel, data):
        if channel is self.out:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif channel is self.status:
            self.answer += data
            if self.terminal and any(words[0] == "started" for words in self.told()):
                self.terminal.open()
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
            if BANNER.match(line):
                self.boots += 1
                if self.boots > 1:  # of an emulator that cannot end at a reset
                    self.proc.kill()
            if self.lines or (REPORTS.match(line) and not
                              (self.noise and self.noise.match(line))):
                self.lines.append(line)

    def told(self):
        """Returns the status lines that carry this run's number, split into words."""
        # The last part has no newline yet, and may be the beginning of a word.
        for line in self.answer.split(b"\n")[:-1]:
            words = line.decode(errors="replace").split()
            if words[:2] == ["vigil-status", self.nonce] and len(words) > 2:
                yield words[2:]

    def result(self):
        """Returns the status line that says how the command ended."""
        return next((words for words in self.told()
                     if words[0] not in ("booted", "started")), None)

    def booted(self):
        """Has the kernel started its init? No module is loaded before that."""
        return any(self.told())

    def run(self, timeout, boot_timeout=None):
        """Returns (exit status, what to say about it)."""
        self.start()
        if boot_timeout is not None:
            self.pump(time.monotonic() + boot_timeout, self.booted)
            if self.log.open and not (self.booted() or self.lines or self.panic):
                how = self.fault() or f"the kernel did not come up in {boot_timeout:g} s"
                self.kill()
                return FAULT, how
        if self.result() is None:
            self.pump(time.monotonic() + timeout)
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
        """When the time is up, finds out who hangs: the command, the host or the emulator."""
        fault = self.fault()
        if fault:
            self.kill()
            return FAULT, fault
        try:
            os.write(self.status.ours, b"timeout\n")
        except OSError:
            pass
        self.pump(time.monotonic() + GRACE_S)
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
        words = self.result()
        if self.panic or (self.lines and not words):
            return DEAD, "the host's kernel died"
        if self.failed():
            return FAULT, self.failed()
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


def command_line(more):
    """Returns the part of the kernel's command line that both emulators need."""
    return ("console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 panic=-1 "
            "ignore_loglevel printk.devkmsg=on rdinit=/init "
            f"random.trust_cpu=on {more}").strip()


class Qemu(Host):
    """QEMU's TCG with a CPU that has SVM.

    idle=halt: the kernel takes this CPU for one with erratum 400. It would wake idle
    CPUs by one-shots of the PIT, and a loaded emulator loses some of these.
    no_timer_check: on a loaded machine, the kernel's check of the timer's routing sees
    too few ticks, and panics.
    """

    def __init__(self, log_path, nonce, verbose, *, kernel, initrd, smp, mem,
                 icount, la57, append, terminal=None):
        super().__init__(log_path, nonce, verbose, terminal)
        self.qmp = Channel()
        self.monitor = socket.socket(fileno=self.qmp.ours)
        self.monitor.settimeout(10)
        self.args = [
            "qemu-system-x86_64", "-no-user-config", "-nodefaults",
            "-machine", "pc", "-accel", "tcg,thread=single",
            "-cpu", f"max,la57={'on' if la57 else 'off'}",
            "-smp", str(smp), "-m", str(mem), "-display", "none",
            "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", command_line(
                "tsc=reliable idle=halt no_timer_check " + append), "-no-reboot"]
        if icount:
            self.args += ["-icount", "shift=0,sleep=off"]

    def more_fds(self):
        return [self.qmp.theirs]

    def argv(self):
        args = list(self.args)
        for i, c in enumerate(self.channels()):
            args += ["-chardev", f"socket,id=c{i},fd={c.theirs}",
                     "-serial", f"chardev:c{i}"]
        return args + ["-chardev", f"socket,id=qmp,fd={self.qmp.theirs}",
                       "-mon", "chardev=qmp,mode=control"]

    def start(self):
        super().start()
        self.qmp.handed_over()

    def ask(self, text):
        """Returns QEMU's answer to a monitor command; None without an answer."""
        try:
            self.monitor.sendall(json.dumps(
                {"execute": "human-monitor-command",
                 "arguments": {"command-line": text}}).encode() + b"\n")
            stream = self.monitor.makefile("rb")
            for line in stream:
                reply = json.loads(line)
                if "return" in reply and isinstance(reply["return"], str):
                    return reply["return"]
        except (OSError, ValueError):
            pass
        return None

    def fault(self):
        try:
            self.monitor.sendall(b'{"execute":"qmp_capabilities"}\n')
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


class Bochs(Host):
    """Bochs, which checks guest state as hardware does. Subclasses choose the CPU."""

    kinds = ("pipe", "pipe", "pty")

    MODEL = None    # the CPU's name in the rc file
    APPEND = ""     # what the kernel's command line needs on that CPU
    MSRS = {}       # MSRs that Linux reads on that CPU and that Bochs does not have
    IPS = 50_000_000    # an instruction is a tick of the TSC
    SHARE = "/usr/share/bochs"
    LINUX = "/usr/lib/ISOLINUX/isolinux.bin"
    LOADER = "/usr/lib/syslinux/modules/bios/ldlinux.c32"

    def __init__(self, log_path, nonce, verbose, *, kernel, initrd, smp, mem, append,
                 terminal=None):
        super().__init__(log_path, nonce, verbose, terminal)
        self.dir = log_path.parent / "bochs"
        shutil.rmtree(self.dir, ignore_errors=True)
        iso = self.dir / "iso"
        iso.mkdir(parents=True)
        for source, name in ((kernel, "linux"), (initrd, "initrd"),
                             (self.LINUX, "isolinux.bin"), (self.LOADER, "ldlinux.c32")):
            shutil.copyfile(source, iso / name)
        (iso / "isolinux.cfg").write_text(
            "default l\nprompt 0\nlabel l\nkernel linux\ninitrd initrd\n"
            f"append {command_line('reboot=t ' + self.APPEND + append)}\n",
            encoding="ascii")
        call("genisoimage", "-quiet", "-o", self.dir / "boot.iso", "-b", "isolinux.bin",
             "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4",
             "-boot-info-table", iso)
        shutil.rmtree(iso)
        self.log_of_bochs = self.dir / "log"
        coms = [("term", os.ttyname(c.theirs)) if c.kind == "pty" else
                ("file", f"/proc/self/fd/{c.theirs}") for c in self.channels()]
        lines = [
            'display_library: rfb, options="timeout=0"',
            f"memory: guest={mem}, host={mem}",
            f"romimage: file={self.SHARE}/BIOS-bochs-latest, options=fastboot",
            f"vgaromimage: file={self.SHARE}/VGABIOS-lgpl-latest",
            f"cpu: model={self.MODEL}, count={smp}, ips={self.IPS}, "
            f"reset_on_triple_fault=1, ignore_bad_msrs=0, msrs={self.dir}/msrs",
            "boot: cdrom",
            f"ata0-master: type=cdrom, path={self.dir}/boot.iso, status=inserted",
            "clock: sync=none, time0=utc",
            "sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy",
            "speaker: enabled=0",
            "plugin_ctrl: gameport=0, parallel=0, extfpuirq=0",
            f"log: {self.log_of_bochs}", "panic: action=report", "error: action=report",
            "info: action=report", "debug: action=ignore"]
        for i, (mode, com) in enumerate(coms, 1):
            lines.append(f"com{i}: enabled=1, mode={mode}, dev={com}")
        (self.dir / "rc").write_text("\n".join(lines) + "\n", encoding="ascii")
        (self.dir / "msrs").write_text("".join(
            # no type; value at reset; no reserved and no ignored bits
            f"{msr:#x} 0 {value >> 32:08x} {value & 0xffffffff:08x}{' 00000000' * 4}\n"
            for msr, value in self.MSRS.items()), encoding="ascii")
        (self.dir / "go").write_text("c\n", encoding="ascii")

    def argv(self):
        return ["bochs-bin", "-q", "-f", str(self.dir / "rc"), "-rc", str(self.dir / "go")]

    def verdict(self):
        """Keeps the errors that the emulator reported, such as an unknown MSR."""
        said = re.findall(rb"^\d+[ep]\[.*\n", self.log_of_bochs.read_bytes(), re.M)
        self.log_file.write(b"\n--- the emulator's log\n" + b"".join(said[-40:]))
        self.log_file.flush()
        return super().verdict()

    def failed(self):
        said = self.log_of_bochs.read_bytes()
        for line in said.splitlines():
            if b">>PANIC<<" in line:
                return f"the emulator: {line.decode(errors='replace')}"
        # After a triple fault, Bochs's debugger takes over, and finds no input.
        if b"no resolution, shutdown" in said and self.proc.returncode == 1:
            return None
        return super().failed()


class BochsAmd(Bochs):
    """SVM with next-RIP and flush-by-ASID."""

    noise = re.compile(STAMP + rb"unchecked[ ]MSR[ ]access.*"
                       rb"\((?:cpu_has_amd_erratum|amd_bus_cpu_online)\+")

    MODEL = "ryzen"
    # Bochs's MWAITX never wakes up. Linux would use it in udelay() on AMD's CPUs (bit 221).
    # Its XSAVES and XSAVEC lose vector registers (bits 321, 323): Documentation/testing.rst.
    APPEND = "clearcpuid=221,321,323 "


class BochsIntel(Bochs):
    """VMX with EPT, VPID, unrestricted guest, preemption timer."""

    MODEL = "corei7_skylake_x"
    # Bochs's CPUID tells 3.5 GHz, and gives the sizes of XSAVE areas without compaction,
    # so Linux must not use XSAVEC and XSAVES (bits 321, 323).
    APPEND = (f"tsc_early_khz={Bochs.IPS // 1000} tsc=reliable idle=halt "
              "clearcpuid=321,323 initcall_blacklist=intel_uncore_init ")
    MSRS = {
        0x17: 0,                    # PLATFORM_ID
        0x8b: 0x02006a08 << 32,     # microcode's revision
        0xce: 0x23 << 8,            # PLATFORM_INFO
        0xe7: 0, 0xe8: 0,           # MPERF, APERF
        0x140: 0,                   # MISC_FEATURES_ENABLES
        0x179: 0, 0x17a: 0,         # MCG_CAP: no banks; MCG_STATUS
        0x19b: 0, 0x19c: 0,         # thermal interrupt and status of a core
        0x1a0: 0x41801,             # MISC_ENABLE: no BTS, no PEBS
        0x1b0: 6,                   # ENERGY_PERF_BIAS
        0x1b1: 0, 0x1b2: 0,         # thermal status and interrupt of a package
        0x1d9: 0,                   # DEBUGCTL
        0x345: 0,                   # PERF_CAPABILITIES
    }

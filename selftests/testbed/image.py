# SPDX-License-Identifier: GPL-2.0
"""The initramfs of the emulated host: busybox, our programs, their libraries."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

from common import CACHE, HERE, TOP, Lock, SetupError, call, digest

BUSYBOX = "/bin/busybox"
# Files beside the built selftests that are of no use in a host.
OBJECTS = {".o", ".d", ".a"}

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUP = "root:x:0:\nkvm:x:104:\nnogroup:x:65534:\n"


def init_binary():
    """Returns PID 1's program, which is compiled once for each version of its source."""
    source = HERE / "init.c"
    path = CACHE / f"init-{digest(source)}"
    with Lock("init"):
        if not path.exists():
            tmp = path.with_suffix(".tmp")
            call("gcc", "-O2", "-Wall", "-static", "-o", tmp, source)
            tmp.rename(path)
    return path


class Image:
    """Files by their path in the host; written as a newc archive."""

    def __init__(self):
        self.entries = {}   # path -> (mode, bytes or Path)
        self.programs = []  # host-side files whose libraries are needed

    def dir(self, path, mode=0o755):
        path = path.strip("/")
        if path and path not in self.entries:
            self.dir(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | mode, b"")

    def text(self, path, data, mode=0o644):
        self.dir(os.path.dirname(path))
        if isinstance(data, str):
            data = data.encode()
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.dir(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFLNK | 0o777, target.encode())

    def file(self, source, path):
        """Adds a file with its mode, or everything that is in a directory."""
        source = pathlib.Path(source)
        if source.is_dir():
            self.dir(path)
            for sub in sorted(source.iterdir()):
                self.file(sub, f"{path}/{sub.name}")
            return
        if not source.is_file():
            raise SetupError(f"{source}: no such file")
        self.dir(os.path.dirname(path))
        mode = source.stat().st_mode & 0o777
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, source)
        if mode & 0o111:
            self.programs.append(source)

    def busybox(self):
        if not os.path.exists(BUSYBOX):
            raise SetupError("busybox-static is not installed")
        self.file(BUSYBOX, "/bin/busybox")
        for applet in call(BUSYBOX, "--list").split():
            if applet != "busybox":
                self.link(f"/bin/{applet}", "busybox")
        self.link("/sbin/modprobe", "../bin/busybox")
        self.link("/usr/bin/env", "../../bin/busybox")

    def interpreters(self):
        """Adds the interpreters of scripts, except for busybox's own shell."""
        for source in list(self.programs):
            with open(source, "rb") as f:
                first = f.readline(200)
            found = re.match(rb"#!\s*(?:/usr/bin/env\s+)?(\S+)", first)
            if not found:
                continue
            name = found.group(1).decode()
            path = shutil.which(name)
            if os.path.basename(name) == "sh" or not path:
                continue
            self.file(os.path.realpath(path), f"/bin/{os.path.basename(name)}")

    def libraries(self):
        """Adds the libraries that dynamic programs load, at the same paths."""
        elfs = []
        for source in self.programs:
            with open(source, "rb") as f:
                if f.read(4) == b"\x7fELF":
                    elfs.append(str(source.resolve()))
        if not elfs:
            return
        # For a static program ldd fails and says so, which is no error here.
        text = subprocess.run(["ldd", *elfs], stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT).stdout.decode()
        missing = set(re.findall(r"^\s*(\S+) => not found", text, re.M))
        if missing:
            raise SetupError(f"libraries not found: {' '.join(sorted(missing))}")
        paths = set(re.findall(r"^\s(?:\S+ => )?(/\S+) \(0x", text, re.M))
        for path in sorted(paths):
            if path.strip("/") not in self.entries:
                self.file(os.path.realpath(path), path)

    def write(self, path):
        with open(path, "wb") as out:
            for ino, (name, (mode, data)) in enumerate(
                    [*self.entries.items(), ("TRAILER!!!", (0, b""))], 1):
                if isinstance(data, pathlib.Path):
                    data = data.read_bytes()
                raw = name.encode() + b"\0"
                head = [ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
                out.write(b"070701" + b"".join(b"%08x" % n for n in head) + raw)
                out.write(b"\0" * (-(110 + len(raw)) % 4))
                out.write(data + b"\0" * (-len(data) % 4))


def add_ours(image):
    """Adds our tools and selftests as they are built. Returns directories for PATH."""
    if (TOP / "tools/vigil/vigil").exists():
        image.file(TOP / "tools/vigil/vigil", "/bin/vigil")
    tests = TOP / "selftests"
    for path in sorted(tests.iterdir()):
        if path.is_file() and (path.suffix == ".txt" or os.access(path, os.X_OK)):
            image.file(path, f"/selftests/{path.name}")
    if (tests / "Makefile").exists():
        image.text("/selftests/list", call("make", "-s", "-C", tests, "list"))
    dirs = []
    for path in sorted((tests / "build").glob("*/*")):
        rel = path.relative_to(tests / "build")
        if path.suffix in OBJECTS or not path.is_file():
            continue
        image.file(path, f"/selftests/{rel}")
        if f"/selftests/{rel.parent}" not in dirs:
            dirs.append(f"/selftests/{rel.parent}")
    return dirs


def build(path, *, kernel, argv, nonce, load, files, env, terminal=None):
    """Writes the initramfs. `load` lists (module path, parameters).

    With `terminal`, its rows and columns, the command gets a terminal.
    """
    image = Image()
    for name in ("/proc", "/sys", "/dev", "/run", "/root", "/var/log", "/mnt"):
        image.dir(name)
    image.dir("/tmp", 0o1777)
    image.link("/etc/mtab", "/proc/mounts")
    image.text("/etc/passwd", PASSWD)
    image.text("/etc/group", GROUP)
    image.busybox()
    image.file(init_binary(), "/init")
    image.file(kernel.modules / "lib/modules" / kernel.release,
               f"/lib/modules/{kernel.release}")
    lines = []
    for module, params in load:
        try:
            inside = "/" + str(module.relative_to(kernel.modules))
        except ValueError:
            inside = f"/lib/modules/{kernel.release}/extra/{module.name}"
            image.file(module, inside)
        lines.append(f"{inside} {params}\n")
    image.text("/vigil-modules", "".join(lines))
    dirs = add_ours(image)
    for source, where in files:
        image.file(source, where)
    image.interpreters()
    image.libraries()
    image.text("/vigil-argv", "".join(a + "\0" for a in argv))
    image.text("/vigil-nonce", nonce, 0o600)
    if terminal:
        image.text("/vigil-terminal", terminal)
    env = {"HOME": "/root", "TERM": "dumb", "LANG": "C.UTF-8", **env,
           "PATH": ":".join(["/bin", "/sbin", "/usr/bin", "/selftests", *dirs])}
    image.text("/vigil-env", "".join(f"{k}={v}\n" for k, v in env.items()))
    image.write(path)

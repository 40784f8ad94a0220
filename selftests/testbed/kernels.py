# SPDX-License-Identifier: GPL-2.0
"""The kernels of the emulated host: found, fetched or built, then cached."""

import dataclasses
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from common import CACHE, HERE, TOP, Lock, SetupError, call, digest, say

# What a run may load; everything else of Debian's package is left out.
MODULES = ("kvm-amd", "kvm-intel", "msr", "cpuid", "zram", "lzo-rle")

# Debian's own kernels, and the packages that depend on the newest of each.
DEBIAN = {"6.1": "linux-headers-amd64", "6.12": "linux-headers-6.12-amd64"}

KEEP_S = 7 * 86400  # a kernel of our own that nobody uses


@dataclasses.dataclass
class Kernel:
    """One kernel that is ready to boot."""
    name: str
    release: str
    image: pathlib.Path     # bzImage
    vmlinux: pathlib.Path   # the same as ELF, which QEMU starts faster
    modules: pathlib.Path   # tree that holds lib/modules/RELEASE
    kdir: pathlib.Path      # what a module is built against

    def closure(self, *names):
        """Paths below `modules`, in load order, of these modules."""
        base = self.modules / "lib/modules" / self.release
        deps = {}
        for line in (base / "modules.dep").read_text().splitlines():
            mod, _, rest = line.partition(":")
            name = os.path.basename(mod).partition(".ko")[0]
            deps[name.replace("_", "-")] = [mod] + rest.split()
        order = []
        for name in names:
            if name not in deps:
                raise SetupError(f"kernel {self.name} has no module {name}")
            for mod in reversed(deps[name]):
                if mod not in order:
                    order.append(mod)
        return [base / mod for mod in order]


def prune(tree, release):
    """Keeps of a module tree what a run may load, plain, and indexes it."""
    base = tree / "lib/modules" / release
    for link in ("build", "source"):
        (base / link).unlink(missing_ok=True)
    call("/usr/sbin/depmod", "-b", tree, release)
    keep = set(Kernel("", release, tree, tree, tree, tree).closure(
        *(m for m in MODULES if list(base.rglob(m + ".ko*")))))
    for path in list(base.rglob("*.ko*")):
        if path in keep and path.suffix == ".xz":
            path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        if path not in keep or path.suffix == ".xz":
            path.unlink()
    call("/usr/sbin/depmod", "-b", tree, release)


def unpack(image, vmlinux):
    """The ELF file in a bzImage: the emulator need not decompress it each time."""
    data = image.read_bytes()
    # Documentation/arch/x86/boot.rst of the kernel: where the payload is; its
    # last four bytes are the size of what it unpacks to.
    setup, (offset, size) = data[0x1f1] or 4, struct.unpack_from("<II", data, 0x248)
    start = (setup + 1) * 512 + offset
    payload = data[start:start + size - 4]
    if payload.startswith(b"\xfd7zXZ\0"):
        vmlinux.write_bytes(lzma.decompress(payload))
    elif payload.startswith(b"\x28\xb5\x2f\xfd"):
        packed = vmlinux.with_suffix(".zst")
        packed.write_bytes(payload)
        call("zstd", "-q", "-d", "--rm", packed, "-o", vmlinux)
    else:
        raise SetupError(f"{image} is compressed with neither xz nor zstd")


def field(package, name):
    """A field of the newest version of a package that apt knows."""
    text = call("apt-cache", "--no-all-versions", "show", package)
    found = re.search(rf"^{name}: (.*)$", text, re.M)
    return found.group(1) if found else ""


def newest(series):
    """Release and version of Debian's newest kernel of that series."""
    package = DEBIAN[series]
    found = re.search(r"linux-headers-(\S+) \(= (\S+)\)", field(package, "Depends"))
    if not found:
        raise SetupError(f"{package} names no kernel")
    return found.groups()


def download(release, version, top):
    """The packages of a kernel and of its headers, unpacked into `top`.

    Not installed: Debian's headers of 6.12 would bring the kernel along, and this
    machine would boot it the next time.
    """
    headers = f"linux-headers-{release}"
    # the kernel's, and what its headers share with those of other flavours
    names = {f"linux-image-{release}", headers, *re.findall(
        r"linux-headers-[^ ,]*-common|linux-kbuild-[^ ,]*", field(headers, "Depends"))}
    tmp = top / "download"
    tmp.mkdir(parents=True, exist_ok=True)
    call("apt-get", "-q", "download", *(f"{n}={version}" for n in sorted(names)),
         cwd=tmp)
    for deb in tmp.glob("*.deb"):
        call("dpkg-deb", "-x", deb, top)
    shutil.rmtree(tmp)
    makefile = top / "usr/src" / headers / "Makefile"
    makefile.write_text(makefile.read_text().replace(" /usr/", f" {top}/usr/"))
    # With it a build would want pahole, for type data that nothing here reads.
    (makefile.parent / "vmlinux").unlink(missing_ok=True)


def after_update(func, *args):
    """func(*args), again with new package lists when it fails with those there are."""
    try:
        return func(*args)
    except SetupError:
        call(HERE / "apt-install", "--update", progress=True)
        return func(*args)


def debian_kernel(series):
    """Debian's stock kernel of a series and its headers, from their packages."""
    call(HERE / "packages", "testbed", progress=True)
    release, version = after_update(newest, series)
    top = CACHE / f"kernel-{series}-{version}"
    with Lock(f"kernel-{series}"):
        if not (top / "complete").exists():
            say(f"fetching Debian's kernel {release}, once")
            for old in CACHE.glob(f"kernel-{series}-*"):
                shutil.rmtree(old)
            after_update(download, release, version, top)
            prune(top, release)
            unpack(top / "boot" / f"vmlinuz-{release}", top / "vmlinux")
            (top / "complete").touch()
    return Kernel(series, release, top / "boot" / f"vmlinuz-{release}",
                  top / "vmlinux", top, top / "usr/src" / f"linux-headers-{release}")


def source():
    """Debian's kernel source, unpacked once; returns (tree, version)."""
    tar = pathlib.Path("/usr/src/linux-source-6.1.tar.xz")
    if not tar.exists():
        call(HERE / "packages", "kernel", progress=True)
    version = call("dpkg-query", "-W", "-f", "${Version}", "linux-source-6.1")
    top = CACHE / f"linux-source-{version}"
    with Lock("source"):
        if not top.exists():
            say("unpacking Debian's linux-source-6.1, once")
            tmp = CACHE / "source.tmp"
            shutil.rmtree(tmp, ignore_errors=True)
            tmp.mkdir(parents=True)
            call("tar", "-xJf", tar, "-C", tmp, "--strip-components=1")
            tmp.rename(top)
    return top, version


def make(name, tree, out, *goals):
    """Runs the kernel's make, telling now and then how far it is."""
    argv = ["make", f"-j{os.cpu_count()}", "-C", tree, f"O={out}",
            *(["LLVM=1"] if name.endswith("-clang") else []), *goals]
    log, done, told = [], 0, time.monotonic()
    with subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as proc:
        for line in proc.stdout:
            log = log[-40:] + [line]
            done += 1
            if time.monotonic() - told > 20:
                told = time.monotonic()
                say(f"kernel {name}: step {done}, {line.strip()}")
    if proc.returncode:
        raise SetupError(f"building the kernel {name} failed:\n{''.join(log)}")


def configure(name, tree, out, fragments):
    """tinyconfig and our fragments; what Kconfig did not take is an error."""
    make(name, tree, out, "tinyconfig")
    config = out / ".config"
    want = {}
    for fragment in fragments:
        for line in fragment.read_text().splitlines():
            found = re.match(r"(?:# )?(CONFIG_\w+)(=| is not set)", line)
            if found:
                want[found.group(1)] = line
    with open(config, "a", encoding="ascii") as f:
        f.write("\n".join(want.values()) + "\n")
    make(name, tree, out, "olddefconfig")
    have = set(config.read_text().splitlines())
    lost = [line for line in want.values()
            if line not in have and not line.startswith("#")]
    # Clang 14 has no return thunks; its tree only serves to compile modules.
    if lost and not name.endswith("-clang"):
        raise SetupError(f"kernel {name} cannot be configured with: {lost}")


def build(name, tree, out):
    """The kernel and its modules; keeps what booting and module builds need."""
    make(name, tree, out, "bzImage", "modules")
    make(name, tree, out, "modules_install", f"INSTALL_MOD_PATH={out / 'root'}",
         "INSTALL_MOD_STRIP=1")
    prune(out / "root", release_of(out))
    for path in out.rglob("*.o"):
        if path.relative_to(out).parts[0] not in ("scripts", "tools"):
            path.unlink()


def prepare(name, tree, out):
    """Only what a module's build needs: clang's kernel is never booted.

    The same configuration exports the same symbols, whoever compiles it.
    """
    make(name, tree, out, "modules_prepare")
    gcc = built_kernel(name.removesuffix("-clang"))
    shutil.copyfile(gcc.kdir / "Module.symvers", out / "Module.symvers")


def release_of(out):
    return (out / "include/config/kernel.release").read_text().strip()


def built_kernel(name):
    """A kernel of our own from Debian's source and our fragments."""
    clang = name.endswith("-clang")
    fragments = [HERE / "small.config"]
    if name == "debug":
        fragments.append(HERE / "debug.config")
    tree, version = source()
    out = CACHE / f"kernel-{name}-{digest(version, name, *fragments)}"
    with Lock(f"kernel-{name}"):
        if not (out / "complete").exists():
            call(HERE / "packages", "kernel", *(["check"] if clang else []),
                 progress=True)
            say(f"building the kernel {name}, once: this takes minutes")
            shutil.rmtree(out, ignore_errors=True)
            # Trees beside this one may have other fragments, and their own kernel.
            for old in CACHE.glob(f"kernel-{name}-????????????"):
                if time.time() - old.stat().st_mtime > KEEP_S:
                    shutil.rmtree(old)
            out.mkdir(parents=True)
            configure(name, tree, out, fragments)
            (prepare if clang else build)(name, tree, out)
            (out / "complete").touch()
        os.utime(out)
    image = out / "arch/x86/boot/bzImage"
    # KASAN's checks do not work yet at the entry point that the ELF file has.
    vmlinux = image if name == "debug" else out / "vmlinux"
    return Kernel(name, release_of(out), image, vmlinux, out / "root", out)


def get(name):
    """The kernel of that name, ready to boot and to build modules for."""
    return debian_kernel(name) if name in DEBIAN else built_kernel(name)


def vigil(kernel, goal="module"):
    """vigil.ko for this kernel, built outside the tree.

    For the debug kernel it has its own auditors and assertions too. With goal
    "sparse" its sources are checked on the way.
    """
    out = CACHE / "module" / digest(str(TOP)) / f"{kernel.name}-{kernel.release}"
    with Lock(f"module-{kernel.name}"):
        out.mkdir(parents=True, exist_ok=True)
        call("make", "-s", "-j2", "-C", TOP, goal, f"KDIR={kernel.kdir}",
             f"MODOUT={out}", f"DEBUG={int(kernel.name == 'debug')}", "WERROR=1")
    return out / "vigil.ko"

# SPDX-License-Identifier: GPL-2.0
"""The kernels of the emulated host: found, fetched or built, then cached."""

import contextlib
import dataclasses
import json
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from common import CACHE, HERE, TOP, Lock, SetupError, call, digest, say

# The modules that a run may load. Everything else of Debian's package is left out.
MODULES = ("kvm-amd", "kvm-intel", "msr", "cpuid", "zram", "lzo-rle")


@dataclasses.dataclass(frozen=True)
class Series:
    """Kernels of Debian of which the newest is wanted."""
    version: str            # 6.1 stands for all of 6.1.*
    flavour: str            # how their releases end
    metas: tuple[str, ...]  # the packages that depend on the newest
    arch: str = ""          # how apt marks packages of another architecture


# Debian's own kernels: for hosts, and 32-bit ones for guests.
DEBIAN = {
    "6.1": Series("6.1", "amd64", ("linux-headers-amd64", "linux-image-amd64")),
    "6.12": Series("6.12", "amd64", ("linux-headers-6.12-amd64", "linux-image-6.12-amd64")),
}
GUESTS = {
    "i386": Series("6.1", "686", ("linux-headers-686:i386", "linux-image-686:i386"), ":i386"),
    "i386-pae": Series("6.1", "686-pae",
                       ("linux-headers-686-pae:i386", "linux-image-686-pae:i386"), ":i386"),
}

KEEP_S = 7 * 86400  # how long a kernel of our own stays when nobody uses it


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
        """Returns the paths of these modules below `modules`, in the order to load them."""
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
    """Leaves in a module tree only what a run may load, uncompressed, and indexes it."""
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
    """Extracts the ELF file from a bzImage, so that no boot has to decompress it."""
    data = image.read_bytes()
    # The kernel's Documentation/arch/x86/boot.rst tells where the payload is. Its last
    # four bytes are the size of the unpacked file.
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
    """Returns a field of a package's newest version; empty if apt does not know it."""
    try:
        text = call("apt-cache", "--no-all-versions", "show", package)
    except SetupError:
        return ""
    found = re.search(rf"^{name}: (.*)$", text, re.M)
    return found.group(1) if found else ""


def version_key(release):
    """Sorts releases as their numbers say: 6.1.0-9 stands before 6.1.0-10."""
    return [int(n) for n in re.findall(r"\d+", release)]


def releases(series):
    """Returns the releases of a series that may be chosen, the preferred one first.

    Each meta package names a release. While the archive shows half of an upload, they may
    name different ones, so every other release that has headers follows.
    """
    wanted = [release for meta in series.metas
              for release in re.findall(r"linux-(?:image|headers)-(\d\S*)",
                                        field(meta, "Depends"))]
    # 6.1.0-56-amd64 has the flavour that is wanted, 6.1.0-56-rt-amd64 has another.
    names = call("apt-cache", "pkgnames", f"linux-headers-{series.version}.").split()
    others = [found.group(1) for found in
              (re.fullmatch(rf"linux-headers-([\d.]+[-+][^-]+-{series.flavour})", name)
               for name in names) if found]
    return list(dict.fromkeys(wanted + sorted(others, key=version_key, reverse=True)))


def resolve(*names):
    """Returns the versions that apt would install for these packages on an empty machine.

    Returns None where apt finds no set of packages that fits together.
    """
    try:
        text = call("apt-get", "-s", "-q", "-o", "Dir::State::status=/dev/null",
                    "--no-install-recommends", "install", *names)
    except SetupError:
        return None
    found = dict(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", text, re.M))
    # apt takes an unknown name for a pattern, and may find another package by it.
    return found if found.keys() >= set(names) else None


def newest(series):
    """Finds the newest kernel of a series that apt can install together with its headers.

    Returns its release and the version of each of its packages.
    """
    for release in releases(series):
        # Debian builds the unsigned image first, and signs it hours later.
        for image in (f"linux-image-{release}", f"linux-image-{release}-unsigned"):
            image += series.arch
            found = resolve(image, f"linux-headers-{release}{series.arch}")
            if found:
                return release, {name: version for name, version in found.items()
                                 if name == image or
                                 re.match(r"linux-(headers|kbuild)-", name)}
    raise SetupError(f"apt can install no kernel {series.version} of {series.flavour} with "
                     "its headers; look at: " + foreign_hint(series) +
                     "apt-get -s install " + " ".join(series.metas))


def foreign_config():
    """Returns the path of apt's configuration for packages of i386."""
    return CACHE / "apt-i386/apt.conf"


def foreign_hint(series):
    return f"APT_CONFIG={foreign_config()} " if series.arch else ""


@contextlib.contextmanager
def foreign(arch):
    """Within it, apt also knows packages of i386, as after dpkg --add-architecture.

    It has lists of its own then, so that the machine's lists and architectures stay as they
    are, and root is not needed. Without `arch` apt is the machine's.
    """
    if not arch:
        yield
        return
    config, before = foreign_config(), os.environ.get("APT_CONFIG")
    top = config.parent
    for part in ("lists/partial", "archives/partial"):
        (top / part).mkdir(parents=True, exist_ok=True)
    config.write_text((f'#include "{before}";\n' if before else "") + f"""\
APT::Architectures {{ "amd64"; "i386"; }};
APT::Sandbox::User "root";
Dir::State::lists "{top}/lists";
Dir::Cache "{top}";
""")
    os.environ["APT_CONFIG"] = str(config)
    try:
        yield
    finally:
        if before is None:
            del os.environ["APT_CONFIG"]
        else:
            os.environ["APT_CONFIG"] = before


def find(name):
    """Returns the series of that name."""
    return DEBIAN.get(name) or GUESTS[name]


def lists_digest():
    """Returns a value that changes whenever apt's lists of packages do."""
    shown = call("apt-config", "shell", "lists", "Dir::State::lists/d")
    lists = pathlib.Path(shown.partition("=")[2].strip().strip("'"))
    return digest(*(f"{p.name} {p.stat().st_size} {p.stat().st_mtime_ns}"
                    for p in sorted(lists.glob("*Packages*"))))


def chosen(series):
    """Returns what newest() says, but asks apt only once for each state of its lists.

    apt takes seconds to answer, and a run of all the tests starts dozens of hosts.
    """
    path = CACHE / f"chosen-{series}.json"
    key = lists_digest()
    with Lock(f"chosen-{series}"):
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["lists"] == key:
                return kept["release"], kept["versions"]
        release, versions = newest(find(series))
        path.write_text(json.dumps(
            {"lists": key, "release": release, "versions": versions}))
    return release, versions


def download(release, versions, top):
    """Unpacks the packages of a kernel and of its headers into `top`.

    They are not installed: Debian's headers of 6.12 would bring the kernel along, and this
    machine would boot it the next time.
    """
    tmp = top / "download"
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir(parents=True)
    call("apt-get", "-q", "download",
         *(f"{name}={version}" for name, version in sorted(versions.items())), cwd=tmp)
    for deb in tmp.glob("*.deb"):
        call("dpkg-deb", "-x", deb, top)
    shutil.rmtree(tmp)
    makefile = top / "usr/src" / f"linux-headers-{release}" / "Makefile"
    makefile.write_text(makefile.read_text().replace(" /usr/", f" {top}/usr/"))
    # With vmlinux, a build would need pahole for type data that nothing here reads.
    (makefile.parent / "vmlinux").unlink(missing_ok=True)


def update_lists(arch=""):
    """Fetches apt's lists of packages anew."""
    if not arch:
        call(HERE / "apt-install", "--update", progress=True)
        return
    say("fetching lists of i386 packages")
    try:
        call("apt-get", "-qq", "update")
    except SetupError as err:
        # The archive of updates, or one of others, may lack them: the rest may do.
        say(err)


def up_to_date(arch, get_it, *args):
    """Calls a function that asks apt for packages, with new lists if the old ones fail."""
    with foreign(arch):
        try:
            return get_it(*args)
        except SetupError:
            # There are no lists yet, or they name a version that the archive no longer
            # has. Decide everything anew with the lists of now.
            update_lists(*([arch] if arch else []))
            return get_it(*args)


def fetch(series):
    """Downloads and unpacks the newest kernel of a series, unless the cache has it.

    Returns its release and the folder that it is in.
    """
    release, versions = chosen(series)
    version = versions[f"linux-headers-{release}{find(series).arch}"]
    top = CACHE / f"kernel-{series}-{version}"
    with Lock(f"kernel-{series}"):
        if not (top / "complete").exists():
            say(f"fetching Debian's kernel {release}, once")
            for old in CACHE.glob(f"kernel-{series}-[0-9]*"):
                shutil.rmtree(old)
            download(release, versions, top)
            prune(top, release)
            unpack(top / "boot" / f"vmlinuz-{release}", top / "vmlinux")
            (top / "complete").touch()
    return release, top


def debian_kernel(series):
    """Returns Debian's stock kernel of a series, from its packages and its headers'."""
    call(HERE / "packages", "testbed", progress=True)
    release, top = up_to_date(find(series).arch, fetch, series)
    return Kernel(series, release, top / "boot" / f"vmlinuz-{release}",
                  top / "vmlinux", top, top / "usr/src" / f"linux-headers-{release}")


def fetch_busybox(arch):
    """Downloads and unpacks a static busybox of this architecture, unless the cache has it."""
    top = CACHE / f"busybox{arch.replace(':', '-')}"
    path = top / "bin/busybox"
    with Lock("busybox"):
        if not path.exists():
            tmp = top.with_suffix(".tmp")
            shutil.rmtree(tmp, ignore_errors=True)
            tmp.mkdir(parents=True)
            call("apt-get", "-q", "download", f"busybox-static{arch}", cwd=tmp)
            for deb in list(tmp.glob("*.deb")):
                call("dpkg-deb", "-x", deb, tmp)
                deb.unlink()
            shutil.rmtree(top, ignore_errors=True)
            tmp.rename(top)
    return path


def busybox(name):
    """Returns a static busybox that runs under this kernel."""
    if name not in GUESTS:
        return pathlib.Path("/bin/busybox")
    arch = GUESTS[name].arch
    return up_to_date(arch, fetch_busybox, arch)


def source():
    """Unpacks Debian's kernel source once. Returns (tree, version)."""
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
    """Configures by tinyconfig and our fragments. An option that Kconfig drops is an error."""
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
    # Clang 14 has no return thunks, but its tree only serves to compile modules.
    if lost and not name.endswith("-clang"):
        raise SetupError(f"kernel {name} cannot be configured with: {lost}")


def build(name, tree, out):
    """Builds the kernel and its modules. Keeps what booting and module builds need."""
    make(name, tree, out, "bzImage", "modules")
    make(name, tree, out, "modules_install", f"INSTALL_MOD_PATH={out / 'root'}",
         "INSTALL_MOD_STRIP=1")
    prune(out / "root", release_of(out))
    for path in out.rglob("*.o"):
        if path.relative_to(out).parts[0] not in ("scripts", "tools"):
            path.unlink()


def prepare(name, tree, out):
    """Makes only what a module's build needs, because clang's kernel is never booted.

    The same configuration exports the same symbols, whichever compiler builds it.
    """
    make(name, tree, out, "modules_prepare")
    gcc = built_kernel(name.removesuffix("-clang"))
    shutil.copyfile(gcc.kdir / "Module.symvers", out / "Module.symvers")


def release_of(out):
    return (out / "include/config/kernel.release").read_text().strip()


def built_kernel(name):
    """Returns a kernel of our own, built from Debian's source and our fragments."""
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
            # Other working trees may have other fragments, and so a kernel of their own.
            for old in CACHE.glob(f"kernel-{name}-????????????"):
                if time.time() - old.stat().st_mtime > KEEP_S:
                    shutil.rmtree(old)
            out.mkdir(parents=True)
            configure(name, tree, out, fragments)
            (prepare if clang else build)(name, tree, out)
            (out / "complete").touch()
        os.utime(out)
    image = out / "arch/x86/boot/bzImage"
    # At the ELF file's entry point, KASAN's checks do not work yet.
    vmlinux = image if name == "debug" else out / "vmlinux"
    return Kernel(name, release_of(out), image, vmlinux, out / "root", out)


def get(name):
    """Returns the kernel of that name, ready to boot and to build modules for."""
    return debian_kernel(name) if name in DEBIAN | GUESTS else built_kernel(name)


def vigil(kernel, goal="module"):
    """Builds vigil.ko for this kernel, outside of the working tree. Returns its path.

    For the debug kernel, the module has its own auditors and assertions, too. With goal
    "sparse", its sources are checked on the way.
    """
    out = CACHE / "module" / digest(str(TOP)) / f"{kernel.name}-{kernel.release}"
    with Lock(f"module-{kernel.name}"):
        out.mkdir(parents=True, exist_ok=True)
        call("make", "-s", "-j2", "-C", TOP, goal, f"KDIR={kernel.kdir}",
             f"MODOUT={out}", f"DEBUG={int(kernel.name == 'debug')}", "WERROR=1")
    return out / "vigil.ko"

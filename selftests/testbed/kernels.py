# SPDX-License-Identifier: GPL-2.0
"""The kernels of the emulated host: found, fetched or built, then cached."""

import dataclasses
import pathlib
import re
import shutil

from common import CACHE, Lock, SetupError, call, say

# What a run may load; everything else of Debian's package is left out.
MODULES = ("kvm-amd", "kvm-intel", "msr", "cpuid", "zram", "lzo-rle")


@dataclasses.dataclass
class Kernel:
    """One kernel that is ready to boot."""
    name: str
    release: str
    image: pathlib.Path     # bzImage
    modules: pathlib.Path   # tree that holds lib/modules/RELEASE
    kdir: pathlib.Path      # what a module is built against

    def closure(self, *names):
        """Paths below `modules`, in load order, of these modules."""
        base = self.modules / "lib/modules" / self.release
        deps = {}
        for line in (base / "modules.dep").read_text().splitlines():
            mod, _, rest = line.partition(":")
            deps[pathlib.Path(mod).stem.replace("_", "-")] = \
                [mod] + rest.split()
        order = []
        for name in names:
            if name not in deps:
                raise SetupError(f"kernel {self.name} has no module {name}")
            for mod in reversed(deps[name]):
                if mod not in order:
                    order.append(mod)
        return [base / mod for mod in order]


def numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


def debian_headers():
    """Newest installed headers of Debian's stock 6.1 kernel."""
    found = [p for p in pathlib.Path("/usr/src").glob("linux-headers-6.1.*-amd64")
             if "-rt-" not in p.name and "-cloud-" not in p.name]
    if not found:
        raise SetupError("no headers of Debian's 6.1 kernel: run `make headers`"
                         " (apt-get install linux-headers-amd64)")
    return max(found, key=lambda p: numbers(p.name))


def prune(tree, release):
    """Keeps of a module tree what a run may load, and indexes it."""
    base = tree / "lib/modules" / release
    call("/usr/sbin/depmod", "-b", tree, release)
    keep = set(Kernel("", release, tree, tree, tree).closure(
        *(m for m in MODULES if list(base.rglob(m + ".ko")))))
    for path in list(base.rglob("*.ko")):
        if path not in keep:
            path.unlink()
    call("/usr/sbin/depmod", "-b", tree, release)


def debian_kernel():
    """Debian's stock kernel, from the package that matches the headers."""
    kdir = debian_headers()
    release = kdir.name.removeprefix("linux-headers-")
    version = call("dpkg-query", "-W", "-f", "${Version}", kdir.name)
    top = CACHE / f"kernel-{release}-{version}"
    image = top / "boot" / f"vmlinuz-{release}"
    with Lock("kernel-6.1"):
        if not (top / "complete").exists():
            say(f"fetching Debian's kernel {release}, once")
            shutil.rmtree(top, ignore_errors=True)
            tmp = CACHE / "download"
            shutil.rmtree(tmp, ignore_errors=True)
            tmp.mkdir(parents=True)
            try:
                call("apt-get", "-q", "download",
                     f"linux-image-{release}={version}", cwd=tmp)
            except SetupError as err:
                raise SetupError(f"{err}\nRun `apt-get update` as root, and "
                                 "upgrade linux-headers-amd64") from None
            call("dpkg-deb", "-x", next(tmp.glob("*.deb")), top)
            shutil.rmtree(tmp)
            prune(top, release)
            (top / "complete").touch()
    return Kernel("6.1", release, image, top, kdir)


def get(name):
    if name == "6.1":
        return debian_kernel()
    raise SetupError(f"kernel {name} is not there yet")

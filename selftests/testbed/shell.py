# SPDX-License-Identifier: GPL-2.0
"""`run --shell`: connects the terminal of this process to the emulated host's, and makes
the guest that runs there.
"""

import os
import pathlib
import termios
import tty

from common import HERE
from image import Image

PARTS = HERE / "shell"
ESCAPE = 0x01   # Ctrl-A, as in QEMU, screen and `vigil run`


class Left(Exception):
    """The user typed Ctrl-A X."""


class Terminal:
    """Puts standard input into raw mode while the emulated host has it."""

    def __init__(self, fd=0):
        self.fd = fd
        self.saved = None
        self.escape = False

    def size(self):
        size = os.get_terminal_size(self.fd)
        return f"{size.lines} {size.columns}\n"

    def open(self):
        """Enters raw mode: the host's own terminal does echo, line editing and signals."""
        if self.saved is None:
            self.saved = termios.tcgetattr(self.fd)
            tty.setraw(self.fd, termios.TCSANOW)

    def is_open(self):
        return self.saved is not None

    def close(self):
        if self.saved is not None:
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)
            self.saved = None

    def typed(self):
        """Returns what was typed for the host. Raises Left for Ctrl-A X."""
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            raise Left  # the terminal is gone
        out = bytearray()
        for byte in data:
            if not self.escape:
                self.escape = byte == ESCAPE
                if not self.escape:
                    out.append(byte)
                continue
            self.escape = False
            if byte in b"xX":
                raise Left
            if byte in b"aA":
                out.append(ESCAPE)
        return bytes(out)


def guest(path):
    """Makes the initramfs of the guest that already runs when the shell opens."""
    image = Image()
    for name in ("/proc", "/sys", "/dev", "/tmp", "/root", "/sbin"):
        image.dir(name)
    image.busybox()
    image.file(PARTS / "init", "/init")
    image.write(path)


def files(kernel, where):
    """Returns the files that the host needs for the shell: (source, path in the host)."""
    initrd = pathlib.Path(where) / "guest"
    guest(initrd)
    # The guest's kernel is the host's own, at the path where `vigil run --auto' looks.
    return [(PARTS / "host", "/shell/host"), (PARTS / "guest", "/bin/guest"),
            (kernel.image, f"/boot/vmlinuz-{kernel.release}"),
            (initrd, "/shell/initrd")]

# SPDX-License-Identifier: GPL-2.0
"""What the parts of the testbed share: where files are, and how a run says what it does."""

import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                     os.path.expanduser("~/.cache")) / "vigil"


class SetupError(Exception):
    """The testbed cannot start. The text says what to do about it."""


def say(text):
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def call(*argv, progress=False, **kwargs):
    """Runs a command quietly; its output is only shown when it fails."""
    argv = [str(a) for a in argv]
    out = sys.stderr if progress else subprocess.PIPE
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, check=False, **kwargs)
    except FileNotFoundError:
        raise SetupError(f"{argv[0]} is not installed") from None
    text = (done.stdout or b"").decode(errors="replace")
    if done.returncode:
        raise SetupError(f"{' '.join(argv)} failed:\n{text}")
    return text


def digest(*parts):
    """Returns a short key over byte strings, texts and the contents of paths."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            part = part.read_bytes()
        elif isinstance(part, str):
            part = part.encode()
        h.update(str(len(part)).encode() + b":" + part)
    return h.hexdigest()[:12]


class Lock:
    """Keeps two runs from building the same thing at the same time."""

    def __init__(self, name):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.path = CACHE / f"{name}.lock"

    def __enter__(self):
        self.file = open(self.path, "w", encoding="ascii")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {self.path.name}")
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *unused):
        self.file.close()

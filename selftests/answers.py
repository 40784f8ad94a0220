# SPDX-License-Identifier: GPL-2.0
"""Answers of slow checks. Each is kept in the cache under a digest of all that it depends
on, so that a file is not checked again until it changes. A check that fails to run has no
answer: it raises, and nothing is kept.
"""

import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "testbed"))

# pylint: disable=wrong-import-position
from common import CACHE, digest

FOLDER = CACHE / "answers"
# Answers that nobody has asked for in this time are deleted.
MAX_AGE_S = 30 * 24 * 3600


def find(name):
    """The answer that was kept under this digest; None without."""
    path = FOLDER / name
    try:
        answer = json.loads(path.read_text())
        os.utime(path)
    except (OSError, ValueError):
        return None
    return answer


def keep(name, answer):
    """Two runs may keep the same answer at the same time: the file is replaced whole."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=FOLDER, delete=False) as file:
        json.dump(answer, file)
    os.replace(file.name, FOLDER / name)


def forget_old():
    """Deletes what nobody has asked for in a month."""
    oldest = time.time() - MAX_AGE_S
    for path in FOLDER.glob("*"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            pass    # another run has deleted it

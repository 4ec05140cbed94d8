"""One writer of a folder at a time. Readers need no lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from asl_fast.errors import InputError

FILE = "lock"
_LOOK_AGAIN_SECONDS = 0.05


@contextlib.contextmanager
def only_writer(folder: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends.

    InputError, naming the process that holds it, if it isn't free after `wait_seconds`. The file is empty
    while nobody writes.
    """
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor, folder, time.monotonic() + wait_seconds)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            left = until - time.monotonic()
            if left <= 0:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                who = f"process {holder}" if holder else "another process"
                raise InputError(
                    f"{folder} is being written by {who}; wait for it, or give --wait SECONDS"
                ) from None
            time.sleep(min(left, _LOOK_AGAIN_SECONDS))

"""A folder appears whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from asl_fast.errors import InputError


@contextlib.contextmanager
def whole_folder(out: str | os.PathLike[str], argument: str = "--out") -> Iterator[Path]:
    """Yield OUT.partial, an empty folder; on success it is renamed to OUT, otherwise removed.

    A killed run leaves OUT.partial, which the next run empties. InputError where OUT exists, can't be
    made, or another run is making it.
    """
    target = Path(out)
    if target.exists() or target.is_symlink():
        raise InputError(f"{argument} {target}: is there already; remove it or name another folder")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(
            f"{argument} {target}: {error.filename} can't be made ({error.strerror}); choose another"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{argument} {target}: another run is making it; wait for it or name another folder"
            ) from None
        _empty(partial)
        try:
            yield partial
            os.sync()  # once for all of its files, which may be thousands
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()

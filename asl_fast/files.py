"""Files appear whole or not at all: write to a temporary name, fsync, rename.

And CSV as people have it: with or without a byte order mark, LF or CRLF, blank lines.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asl_fast.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`.

    On any exception the temporary file is removed and `path` is what it was before.
    The folder of `path` is made if it is missing.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Replace `path` by this, as indented JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def check_writable(path: str | os.PathLike[str], argument: str) -> None:
    """InputError, before any work, if a file can't be written there: a folder, or a place that is closed."""
    place = Path(path)
    if place.is_dir():
        raise InputError(f"{argument} {place} is a folder; name a file in it")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        raise InputError(
            f"{argument} {place}: its folder can't be written to ({error.strerror}); choose another"
        ) from None


def csv_rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of every row that is not blank; the line is the one where the row begins.

    ValueError names the file and the line of text that is no CSV or not UTF-8.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        line = 1
        try:
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path} line {line}: is not CSV ({error}); mend the quotes") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} line {line} or later: is not UTF-8 text; save it as UTF-8") from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""failures.csv: the pictures that have no row, and why. One file serves all outputs of a folder."""

from __future__ import annotations

import csv
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from asl_fast.errors import InputError
from asl_fast.files import replacing

COLUMNS = ["output", "id", "path", "reason"]


class Failed(Protocol):
    """A picture that has no row."""

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def reason(self) -> str: ...


def write_failures(
    path: str | os.PathLike[str], output: str | os.PathLike[str], failures: Sequence[Failed]
) -> None:
    """Replace the rows of `output` in the list, keeping those of others; a list without rows is removed."""
    file = Path(path)
    mine = os.path.relpath(output, file.parent)
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file.parent):
        others = [row for row in read_failures(file) if row[0] != mine]
        rows = others + [[mine, failure.id, failure.path, failure.reason] for failure in failures]
        if not rows:
            file.unlink(missing_ok=True)
            return
        with (
            replacing(file) as temporary,
            open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
        ):
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])


def read_failures(path: str | os.PathLike[str], argument: str = "--failures") -> list[list[str]]:
    """Rows of the list, without its header; none if there is no file. InputError if it is another table."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error):
        rows = [["not a CSV"]]
    if rows and (rows[0] != COLUMNS or any(len(row) != len(COLUMNS) for row in rows)):
        raise InputError(
            f"{argument} {os.fspath(path)} exists and is no list of failures (columns "
            f"{','.join(COLUMNS)}); it is left as it is, name another file"
        )
    return rows[1:]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer of the folder's list at a time: two embeds may end at once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""Rows on their way: OUT.partial/ keeps every finished batch, so that a killed run goes on where it was.

plan.json   what is being made; another plan starts anew
rows.f32    the rows of the finished batches, one after the other
done.jsonl  one line a finished batch: its number, rows, their checksum, its failures

A batch's rows are written before its line. What a crash leaves after the last whole line, or rows that do
not have the checksum of their line, is cut off and made again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.files import replacing

Failed = tuple[str, str, str]  # id, path, reason
_SYNC_SECONDS = 5.0


class PartialRows:
    """The work folder of one output. Use as a context manager; `finish` removes the folder."""

    def __init__(self, out: str | os.PathLike[str], plan: dict[str, Any], num_dims: int) -> None:
        self.folder = Path(f"{os.fspath(out)}.partial")
        self.num_dims = num_dims
        self.num_batches = self.num_rows = 0
        self.failures: list[Failed] = []
        self.started_anew = False  # True if there was work of another plan, now dropped
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder)
        try:
            if _read_plan(self.folder / "plan.json") != plan:
                self.started_anew = (self.folder / "rows.f32").exists()
                self._clear()
                with replacing(self.folder / "plan.json") as temporary:
                    temporary.write_text(json.dumps(plan, indent=2) + "\n")
            self._rows = open(self.folder / "rows.f32", "ab")  # noqa: SIM115 (closed in close)
            self._done = open(self.folder / "done.jsonl", "ab")  # noqa: SIM115
            self._take_up()
        except BaseException:
            os.close(self._lock)
            raise
        self._synced = time.monotonic()

    def __enter__(self) -> PartialRows:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, row_BD: NDArray[np.float32], failures: list[Failed]) -> None:
        """Keep the next batch. OSError of the system, naming the file, if the disk is full."""
        data = np.ascontiguousarray(row_BD, dtype="<f4").tobytes()
        line = {
            "batch": self.num_batches,
            "rows": len(row_BD),
            "crc32": zlib.crc32(data),
            "failures": failures,
        }
        for stream, content in ((self._rows, data), (self._done, (json.dumps(line) + "\n").encode())):
            try:
                stream.write(content)
                stream.flush()
            except OSError as error:
                raise OSError(error.errno, error.strerror, stream.name) from None
        self.num_batches += 1
        self.num_rows += len(row_BD)
        self.failures += failures
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def rows(self) -> NDArray[np.float32]:
        """All rows so far, mapped from the file."""
        if self.num_rows == 0:
            return np.empty((0, self.num_dims), np.float32)
        return np.memmap(
            self.folder / "rows.f32", dtype="<f4", mode="r", shape=(self.num_rows, self.num_dims)
        ).view(np.ndarray)

    def finish(self) -> None:
        """The output is there: remove the work folder."""
        self.close()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        if self._lock < 0:
            return
        for stream in (self._rows, self._done):
            stream.close()
        os.close(self._lock)
        self._lock = -1

    def _sync(self) -> None:
        for stream in (self._rows, self._done):
            os.fsync(stream.fileno())
        self._synced = time.monotonic()

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _take_up(self) -> None:
        """Count the batches that are whole, and cut both files off behind them."""
        end = 0
        with open(self.folder / "rows.f32", "rb") as rows, open(self.folder / "done.jsonl", "rb") as done:
            for raw_line in done:
                line = _read_line(raw_line, self.num_batches)
                if line is None:
                    break
                num_bytes = line["rows"] * self.num_dims * 4
                data = rows.read(num_bytes)
                if len(data) != num_bytes or zlib.crc32(data) != line["crc32"]:
                    break
                self.num_batches += 1
                self.num_rows += line["rows"]
                self.failures += [(identity, path, reason) for identity, path, reason in line["failures"]]
                end += len(raw_line)
        os.truncate(self.folder / "rows.f32", self.num_rows * self.num_dims * 4)
        os.truncate(self.folder / "done.jsonl", end)


def _locked(folder: Path) -> int:
    """Descriptor of the folder, held by this process alone until it is closed or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InputError(
            f"{folder} is in use by another embed that is still running; wait for it, or choose another --out"
        ) from None
    return descriptor


def _read_plan(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None  # no plan, or a broken one: not the one asked for


def _read_line(raw_line: bytes, number: int) -> dict[str, Any] | None:
    """The line of batch `number`, or None if it is torn or another's."""
    if not raw_line.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw_line)
    except ValueError:
        return None
    whole = isinstance(line, dict) and line.get("batch") == number
    whole = whole and isinstance(line.get("rows"), int) and line["rows"] >= 0 and "crc32" in line
    return line if whole and isinstance(line.get("failures"), list) else None

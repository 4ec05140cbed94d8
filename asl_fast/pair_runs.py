"""Pairs on disk: sorted runs in one temporary file without a name, read a block of each at a time.

The system removes the file whatever ends the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from asl_fast.records import Pairs

RECORD = np.dtype([("query_row_M", "i8"), ("ref_row_M", "i8"), ("score_M", "f8"), ("ratio_M", "f8")])


class PairRuns:
    """Runs of pairs. folder: where 32 bytes a pair are kept; None is the system's temporary folder."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._length_R: list[int] = []

    def __enter__(self) -> PairRuns:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def add(self, parts: Iterable[Pairs]) -> None:
        """One more run: the parts, one after the other, written as they come."""
        length = 0
        for pairs in parts:
            block = np.empty(len(pairs), RECORD)
            for name, column_M in vars(pairs).items():
                block[name] = column_M
            self._file.write(block.tobytes())
            length += len(pairs)
        self._file.flush()
        self._length_R.append(length)

    def read(self, block_pairs: int) -> list[Run]:
        """Each run from its start; the blocks of all together have about block_pairs pairs."""
        starts = np.cumsum([0, *self._length_R])[:-1].tolist()
        each = max(block_pairs // max(1, len(self._length_R)), 1)
        return [
            Run(self._file.fileno(), start, length, each)
            for start, length in zip(starts, self._length_R, strict=True)
        ]


class Run:
    """One run, read a block at a time. block: pairs as RECORD that have been read and not taken."""

    def __init__(self, descriptor: int, start: int, length: int, block_pairs: int) -> None:
        self._descriptor, self._next, self._end = descriptor, start, start + length
        self._block_pairs = block_pairs
        self.block: NDArray[np.void] = np.empty(0, RECORD)

    @property
    def goes_on(self) -> bool:
        """Whether there is more on disk."""
        return self._next < self._end

    def fill(self) -> bool:
        """Read the next block if this one is used up; False at the end of the run."""
        if len(self.block) == 0 and self.goes_on:
            count = min(self._block_pairs, self._end - self._next)
            size = RECORD.itemsize
            read = b"".join(self._read(self._next * size, count * size))
            self.block = np.frombuffer(read, RECORD)
            self._next += count
        return len(self.block) > 0

    def take(self, count: int) -> NDArray[np.void]:
        """The first pairs of the block."""
        taken, self.block = self.block[:count], self.block[count:]
        return taken

    def _read(self, start: int, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = os.pread(self._descriptor, length, start)
            yield piece
            start, length = start + len(piece), length - len(piece)


def as_pairs(block: NDArray[np.void]) -> Pairs:
    """Pairs of a block, columns of their own."""
    return Pairs(**{name: np.ascontiguousarray(block[name]) for name in RECORD.names or ()})

"""More pairs than fit in memory, brought into the order of matches.csv: runs sorted in memory, kept in one
temporary file without a name, merged a block of each at a time.

The file is removed by the system whatever ends the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from asl_fast.matching.judge import in_order
from asl_fast.records import Pairs

_RECORD = np.dtype([("query_row_M", "i8"), ("ref_row_M", "i8"), ("score_M", "f8"), ("ratio_M", "f8")])
RUN_PAIRS = 2**20


class SortedRuns:
    """Takes pairs in any order, as long as all pairs of a query come in one `add`; gives them back best
    first, ties by query id, then reference id.

    query_rank_Q: place of each query's id among them.  folder: where 32 bytes a pair are kept.
    Memory: about 200 bytes for each of run_pairs, or of the pairs of one `add` if they are more.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        query_rank_Q: NDArray[np.int64],
        ref_ids: Sequence[str],
        run_pairs: int = RUN_PAIRS,
    ) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._query_rank_Q, self._ref_ids, self._run_pairs = query_rank_Q, ref_ids, run_pairs
        self._waiting: list[Pairs] = []
        self._length_R: list[int] = []

    def __enter__(self) -> SortedRuns:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, pairs: Pairs) -> None:
        self._waiting.append(pairs)
        if sum(map(len, self._waiting)) >= self._run_pairs:
            self._write_run()

    def merged(self) -> Iterator[Pairs]:
        """All pairs in order, a block at a time."""
        self._write_run()
        block_pairs = max(self._run_pairs // max(1, len(self._length_R)), 1)
        starts = np.cumsum([0, *self._length_R])[:-1].tolist()
        runs = [
            _Run(self._file.fileno(), start, length, block_pairs)
            for start, length in zip(starts, self._length_R, strict=True)
        ]
        while runs := [run for run in runs if run.fill()]:
            # what comes after the end of a block on disk can't be merged before the block is used up
            ends = [self._keys(run.block[-1:]) for run in runs if run.goes_on]
            limit = min((float(score[0]), int(rank[0])) for score, rank in ends) if ends else None
            parts = [run.take(self._upto(run.block, limit)) for run in runs]
            block = np.concatenate(parts)
            score_M, rank_M = self._keys(block)
            block = block[np.lexsort((rank_M, score_M))]
            yield Pairs(**{name: np.ascontiguousarray(block[name]) for name in _RECORD.names or ()})

    def _keys(self, block: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """What orders pairs of different runs, both rising: pairs of one query are all in one run."""
        return -block["score_M"], self._query_rank_Q[block["query_row_M"]]

    def _upto(self, block: NDArray[np.void], limit: tuple[float, int] | None) -> int:
        """How many pairs of a block come no later than the limit."""
        if limit is None:
            return len(block)
        score_M, rank_M = self._keys(block)
        first, last = np.searchsorted(score_M, limit[0], "left"), np.searchsorted(score_M, limit[0], "right")
        return int(first + np.searchsorted(rank_M[first:last], limit[1], "right"))

    def _write_run(self) -> None:
        if not self._waiting:
            return
        pairs = in_order(Pairs.joined(self._waiting), self._query_rank_Q, self._ref_ids)
        self._waiting.clear()
        block = np.empty(len(pairs), _RECORD)
        for name in _RECORD.names or ():
            block[name] = getattr(pairs, name)
        self._file.write(block.tobytes())
        self._file.flush()
        self._length_R.append(len(pairs))


class _Run:
    """One sorted run in the file, read a block at a time."""

    def __init__(self, descriptor: int, start: int, length: int, block_pairs: int) -> None:
        self._descriptor, self._next, self._end = descriptor, start, start + length
        self._block_pairs = block_pairs
        self.block = np.empty(0, _RECORD)

    @property
    def goes_on(self) -> bool:
        """Whether there is more on disk."""
        return self._next < self._end

    def fill(self) -> bool:
        """Read the next block if this one is used up; False at the end of the run."""
        if len(self.block) == 0 and self.goes_on:
            count = min(self._block_pairs, self._end - self._next)
            size = _RECORD.itemsize
            read = b"".join(self._read(self._next * size, count * size))
            self.block = np.frombuffer(read, _RECORD)
            self._next += count
        return len(self.block) > 0

    def take(self, count: int) -> NDArray[np.void]:
        taken, self.block = self.block[:count], self.block[count:]
        return taken

    def _read(self, start: int, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = os.pread(self._descriptor, length, start)
            yield piece
            start, length = start + len(piece), length - len(piece)

"""More pairs than fit in memory, brought into the order of matches.csv: runs sorted in memory, kept on disk,
merged a block of each at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from asl_fast.matching.judge import in_order
from asl_fast.pair_runs import PairRuns, as_pairs
from asl_fast.records import Pairs

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
        self._runs = PairRuns(folder)
        self._query_rank_Q, self._ref_ids, self._run_pairs = query_rank_Q, ref_ids, run_pairs
        self._waiting: list[Pairs] = []

    def __enter__(self) -> SortedRuns:
        return self

    def __exit__(self, *_: object) -> None:
        self._runs.close()

    def add(self, pairs: Pairs) -> None:
        self._waiting.append(pairs)
        if sum(map(len, self._waiting)) >= self._run_pairs:
            self._write_run()

    def merged(self) -> Iterator[Pairs]:
        """All pairs in order, a block at a time."""
        self._write_run()
        runs = self._runs.read(self._run_pairs)
        while runs := [run for run in runs if run.fill()]:
            # what comes after the end of a block on disk can't be merged before the block is used up
            ends = [self._keys(run.block[-1:]) for run in runs if run.goes_on]
            limit = min((float(score[0]), int(rank[0])) for score, rank in ends) if ends else None
            parts = [run.take(self._upto(run.block, limit)) for run in runs]
            block = np.concatenate(parts)
            score_M, rank_M = self._keys(block)
            yield as_pairs(block[np.lexsort((rank_M, score_M))])

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
        self._runs.add([pairs])

"""Search references part by part, and merge to what one engine over all of them would find.

A pair's score depends on the two rows only, so it has the same bits in any part. The engine is told each
row's rank (its number in the whole) to break ties by, and which rows are removed; so a part's answer is
exact, and merging is choosing among the parts' best. What a part has found raises the lowest score asked of
the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.indexes.stream import merged, streamed
from asl_fast.kernels.ratio_search import (
    MAX_REFS,
    PreparedRefs,
    Progress,
    Question,
    RowsThere,
    Share,
    StoredRows,
    check_count,
    gpu_share,
    share,
    usable_gpus,
)
from asl_fast.records import Candidates, Pairs

REMOVED = -1  # a rank: the row is not to be found
_NEVER = np.iinfo(np.int64).max


def part_share(
    memory_budget: int | None,
    device: str,
    num_dims: int,
    num_threads: int | None,
    rows: StoredRows | RowsThere | None = None,
) -> Share | None:
    """What a part may take of the budget; None where there is none. On GPUs it is for each of them, and the
    memory that is free there (nine tenths of it) where none is given. rows: all of them, where parts are
    slices of one whole."""
    if gpus := usable_gpus(device):
        free = min(_C.cuda_free_bytes(gpus)) * 9 // 10
        budget = free if memory_budget is None else min(memory_budget, free)
        if rows is None:
            return gpu_share(budget, num_dims=num_dims, num_gpus=len(gpus))
        number_bytes = rows.array_ND.itemsize if isinstance(rows, StoredRows) else 0
        return gpu_share(
            budget, num_dims=num_dims, num_gpus=len(gpus), number_bytes=number_bytes, num_rows=len(rows)
        )
    if memory_budget is None:
        return None
    return share(memory_budget, num_dims=num_dims, num_threads=num_threads)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Candidates by rank in place of row, best first; the largest int64 where there is none."""

    rank_QK: NDArray[np.int64]
    score_QK: NDArray[np.float64]
    ratio_QK: NDArray[np.float64]

    def merged(self, other: Found, k: int) -> Found:
        """The best k of both."""
        columns = {
            name: np.concatenate([mine, vars(other)[name]], axis=1) for name, mine in vars(self).items()
        }
        order_QK = np.lexsort((columns["rank_QK"], -columns["score_QK"]), axis=-1)[:, :k]
        return Found(**{name: np.take_along_axis(each, order_QK, 1) for name, each in columns.items()})

    def floor_Q(self, k: int) -> NDArray[np.float64] | float:
        """What a pair must reach to be among the best k."""
        return self.score_QK[:, k - 1] if self.score_QK.shape[1] >= k else -np.inf

    def candidates(self, row_of: Callable[[NDArray[np.int64]], NDArray[np.int64]], k: int) -> Candidates:
        """row_of turns ranks into rows. Padded to k."""
        row_QK = np.where(self.rank_QK == _NEVER, -1, row_of(self.rank_QK))
        padding = ((0, 0), (0, k - row_QK.shape[1]))
        return Candidates(
            ref_row_QK=np.pad(row_QK, padding, constant_values=-1),
            score_QK=np.pad(self.score_QK, padding, constant_values=-np.inf),
            ratio_QK=np.pad(self.ratio_QK, padding, constant_values=np.nan),
        )


@dataclass(frozen=True, kw_only=True)
class PreparedPart:
    """A part as the engine wants it. rank_N: of each row, or REMOVED; None where it is the row's number."""

    refs: PreparedRefs
    rank_N: NDArray[np.int64] | None = None

    def nearest(self, question: Question, k: int, progress: Progress | None) -> Found:
        k = min(k, len(self.refs))
        found = self.refs.nearest(question, k, rank_N=self.rank_N, progress=progress)
        return Found(
            rank_QK=np.where(found.ref_row_QK >= 0, self._rank_of(found.ref_row_QK), _NEVER),
            score_QK=found.score_QK,
            ratio_QK=found.ratio_QK,
        )

    def best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        """With ranks in place of rows."""
        best = self.refs.best_pairs(question, num_pairs, k=k, rank_N=self.rank_N, progress=progress)
        return replace(best, ref_row_M=self._rank_of(best.ref_row_M))

    def pairs_above(self, question: Question, batch_pairs: int, progress: Progress | None) -> Iterator[Pairs]:
        """`streamed`, with ranks in place of rows."""
        return streamed(
            question,
            lambda some, num_pairs, shown: self.best_pairs(some, num_pairs, None, shown),
            num_refs=len(self.refs),
            batch_pairs=batch_pairs,
            progress=progress,
        )

    def _rank_of(self, row: NDArray[np.int64]) -> NDArray[np.int64]:
        return row if self.rank_N is None else self.rank_N[row]


@dataclass(frozen=True, kw_only=True)
class Part:
    """num_rows: those that can be found."""

    num_rows: int
    prepare: Callable[[], PreparedPart]


class Parts:
    """Parts that are prepared in turn. keep: hold on to what was prepared. share: of a memory budget."""

    def __init__(self, parts: Sequence[Part], *, keep: bool, share: Share | None = None) -> None:
        self._parts, self._keep, self._share = parts, keep, share
        self._prepared: dict[int, PreparedPart] = {}

    def nearest(self, question: Question, k: int, progress: Progress | None) -> Found:
        """The best k of each query."""
        check_count(k, "k", MAX_REFS)
        if self._share is not None:
            self._share.check_k(k)
        found: Found | None = None
        for part, shown in self._in_turn(len(question), progress):
            more = part.nearest(question, k, shown)
            found = more if found is None else found.merged(more, k)
            question = question.above(found.floor_Q(k))
            del part  # before the next one is prepared: a budget has room for one
        assert found is not None
        return found

    def best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        """The best num_pairs of all queries together, with ranks in place of rows."""
        best: Pairs | None = None
        for part, shown in self._in_turn(len(question), progress):
            more = part.best_pairs(question, num_pairs, k, shown)
            best = more if best is None else _merged_pairs([best, more], num_pairs, k)
            if len(best) == num_pairs:
                question = question.above(best.score_M[-1])
            del part
        assert best is not None
        return best

    def pairs_above(
        self,
        question: Question,
        batch_pairs: int,
        progress: Progress | None,
        folder: str | os.PathLike[str] | None,
    ) -> Iterator[Pairs]:
        """Every pair at or above the question's scores: queries in order, best first within a query.

        One part is streamed; with several, each is prepared once, and pairs wait in `folder`.
        """
        streams = self._streams(question, batch_pairs, progress)
        if sum(part.num_rows > 0 for part in self._parts) == 1:
            yield from next(streams)
        else:
            yield from merged(streams, num_queries=len(question), batch_pairs=batch_pairs, folder=folder)

    def _streams(
        self, question: Question, batch_pairs: int, progress: Progress | None
    ) -> Iterator[Iterator[Pairs]]:
        for part, shown in self._in_turn(len(question), progress):
            stream = part.pairs_above(question, batch_pairs, shown)
            del part  # a stream that has ended holds none
            yield stream

    def prepared(self, number: int) -> PreparedPart:
        """The part, prepared if it wasn't."""
        if number in self._prepared:
            return self._prepared[number]
        part = self._parts[number].prepare()
        if self._keep:
            self._prepared[number] = part
        return part

    def _in_turn(
        self, num_queries: int, progress: Progress | None
    ) -> Iterator[tuple[PreparedPart, Progress | None]]:
        """Each part that has rows, with the progress to show while it is searched."""
        done, in_all = 0, num_queries * sum(part.num_rows for part in self._parts)
        for number, part in enumerate(self._parts):
            if part.num_rows:
                share = num_queries * part.num_rows
                yield self.prepared(number), _moved(progress, done, share, in_all)
                done += share


def _merged_pairs(parts: list[Pairs], num_pairs: int, k: int | None) -> Pairs:
    """The best num_pairs of several parts, of each query only the best k; best first."""
    both = Pairs.joined(parts)
    both = both[np.lexsort((both.ref_row_M, both.query_row_M, -both.score_M))]
    if k is not None:
        both = both[_place_in_query(both) < k]
    return both[:num_pairs]


def _place_in_query(pairs: Pairs) -> NDArray[np.intp]:
    """How many pairs of the same query stand before each."""
    order_M = np.argsort(pairs.query_row_M, kind="stable")
    query_row_M = pairs.query_row_M[order_M]
    place_M = np.empty(len(pairs), np.intp)
    place_M[order_M] = np.arange(len(pairs)) - np.searchsorted(query_row_M, query_row_M)
    return place_M


def _moved(progress: Progress | None, done: int, share: int, in_all: int) -> Progress | None:
    """Progress of one part as that of all."""
    if progress is None:
        return None
    return lambda now, total: progress(done + (share * now // total if total else share), in_all)

"""Search shard after shard, and merge to what one Index over all live rows in order of addition would give.

A pair's score depends on the two rows only, so it has the same bits in any shard. The engine is told each
row's sequence number to break ties by, and which rows are removed; so a shard's answer is exact, and merging
is choosing among the shards' best. What a shard has found raises the lowest score asked of the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.folder.shard import Shard
from asl_fast.kernels.ratio_search import PreparedRefs, Progress, Question
from asl_fast.records import Candidates, Pairs

_NEVER = np.iinfo(np.int64).max
_REMOVED = -1


@dataclass(frozen=True, kw_only=True)
class Found:
    """Candidates by sequence in place of row, best first; the largest int64 where there is none."""

    sequence_QK: NDArray[np.int64]
    score_QK: NDArray[np.float64]
    ratio_QK: NDArray[np.float64]

    def merged(self, other: Found, k: int) -> Found:
        """The best k of both."""
        columns = {
            name: np.concatenate([mine, vars(other)[name]], axis=1) for name, mine in vars(self).items()
        }
        order_QK = np.lexsort((columns["sequence_QK"], -columns["score_QK"]), axis=-1)[:, :k]
        return Found(**{name: np.take_along_axis(each, order_QK, 1) for name, each in columns.items()})

    def floor_Q(self, k: int) -> NDArray[np.float64] | float:
        """What a pair must reach to be among the best k."""
        return self.score_QK[:, k - 1] if self.score_QK.shape[1] >= k else -np.inf

    def candidates(self, sequence_L: NDArray[np.int64], k: int) -> Candidates:
        """Rows in order of addition; sequence_L: of all live rows, sorted. Padded to k."""
        row_QK = np.where(self.sequence_QK == _NEVER, -1, np.searchsorted(sequence_L, self.sequence_QK))
        padding = ((0, 0), (0, k - row_QK.shape[1]))
        return Candidates(
            ref_row_QK=np.pad(row_QK, padding, constant_values=-1),
            score_QK=np.pad(self.score_QK, padding, constant_values=-np.inf),
            ratio_QK=np.pad(self.ratio_QK, padding, constant_values=np.nan),
        )


class PreparedShard:
    """A shard as the engine wants it. live_L: its rows that are not removed."""

    def __init__(self, shard: Shard, live_L: NDArray[np.int64], device: str, num_threads: int | None) -> None:
        self._rank_N = np.full(len(shard), _REMOVED)
        self._rank_N[live_L] = shard.sequence_N[live_L]
        self._refs = PreparedRefs(shard.row_ND, norm_N=shard.norm_N, device=device, num_threads=num_threads)

    def nearest(self, question: Question, k: int, progress: Progress | None) -> Found:
        found = self._refs.nearest(question, min(k, len(self._refs)), rank_N=self._rank_N, progress=progress)
        is_pair_QK = found.ref_row_QK >= 0
        return Found(
            sequence_QK=np.where(is_pair_QK, self._rank_N[found.ref_row_QK], _NEVER),
            score_QK=found.score_QK,
            ratio_QK=found.ratio_QK,
        )

    def best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        """With sequences in place of rows."""
        best = self._refs.best_pairs(question, num_pairs, k=k, rank_N=self._rank_N, progress=progress)
        return replace(best, ref_row_M=self._rank_N[best.ref_row_M])


def merged_pairs(parts: list[Pairs], num_pairs: int, k: int | None) -> Pairs:
    """The best num_pairs of several shards, of each query only the best k; best first."""
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

"""Search shard after shard, and merge to what one Index over all live rows in order of addition would give.

A pair's score depends on the two rows only, so it has the same bits in any shard; what needs care is which
pairs are kept. A removed row must not push out a live one: a few of them are fetched on top and dropped, many
are left out when the shard is prepared. Equal scores are in order of addition, but within a shard the engine
breaks ties by norm: where the last kept score goes on behind the fetched ones, all pairs with that score are
fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes import Index
from asl_fast.indexes.folder.shard import Shard
from asl_fast.records import Candidates, Embeddings

Progress = Callable[[int, int], object]
_NEVER = np.iinfo(np.int64).max
_MAX_FETCHED_DEAD = 32


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A search's arguments; tau_Q, min_score_Q: (Q,)."""

    query_QD: NDArray[np.float32] | ArrayLike
    norm_Q: NDArray[np.float64] | None
    tau_Q: NDArray[np.float64]
    k: int | None
    min_score_Q: NDArray[np.float64] | None
    direction: str

    def only(self, query: int, min_score: float) -> Asked:
        """One of the queries, and every pair from min_score on."""
        row = slice(query, query + 1)
        return Asked(
            query_QD=np.asarray(self.query_QD)[row],
            norm_Q=None if self.norm_Q is None else self.norm_Q[row],
            tau_Q=self.tau_Q[row],
            k=None,
            min_score_Q=np.array([min_score]),
            direction=self.direction,
        )

    def run(self, index: Index, k: int | None, progress: Progress | None = None) -> Candidates:
        return index.search(
            self.query_QD, k, self.tau_Q, self.min_score_Q,
            direction=self.direction, query_norms=self.norm_Q, progress=progress,
        )  # fmt: skip


def asked(
    queries: ArrayLike | Embeddings, query_norms: ArrayLike | None, k: int | None, tau: ArrayLike,
    min_score: ArrayLike | None, direction: str,
) -> Asked:  # fmt: skip
    """The arguments of `Snapshot.search` in one piece. The engine checks them."""
    rows: ArrayLike = queries.row_ND if isinstance(queries, Embeddings) else queries
    if isinstance(queries, Embeddings) and query_norms is None:
        query_norms = queries.norm_N
    num_queries = len(np.asarray(rows))
    norm_Q = None if query_norms is None else np.asarray(query_norms, np.float64)
    return Asked(
        query_QD=rows,
        norm_Q=norm_Q,
        tau_Q=_one_per_query(tau, num_queries),
        k=k,
        min_score_Q=None if min_score is None else _one_per_query(min_score, num_queries),
        direction=direction,
    )


def _one_per_query(given: ArrayLike, num_queries: int) -> NDArray[np.float64]:
    value = np.asarray(given, np.float64)
    return np.full(num_queries, float(value)) if value.ndim == 0 else value


@dataclass(frozen=True, kw_only=True)
class Found:
    """Candidates by sequence in place of row, best first; the largest int64 where there is none."""

    sequence_QK: NDArray[np.int64]
    score_QK: NDArray[np.float64]
    ratio_QK: NDArray[np.float64]

    def best(self, k: int | None) -> Found:
        """The best k, or all that there are."""
        order_QK = np.lexsort((self.sequence_QK, -self.score_QK), axis=-1)
        if k is None:
            k = int((self.sequence_QK != _NEVER).sum(axis=1).max(initial=0))
        columns = (np.take_along_axis(each, order_QK[:, :k], 1) for each in vars(self).values())
        return Found(**dict(zip(vars(self), columns, strict=True)))


class PreparedShard:
    """A shard as the engine wants it. live_L: its rows that are not removed."""

    def __init__(self, shard: Shard, live_L: NDArray[np.int64], device: str, num_threads: int | None) -> None:
        self._num_dead = len(shard) - len(live_L)
        row_ND, norm_N, sequence_N = shard.row_ND, shard.norm_N, shard.sequence_N
        if self._num_dead > _MAX_FETCHED_DEAD:
            row_ND, norm_N, sequence_N = row_ND[live_L], norm_N[live_L], sequence_N[live_L]
            self._num_dead = 0
        elif self._num_dead:
            kept_N = np.full(len(shard), _NEVER)
            kept_N[live_L] = sequence_N[live_L]
            sequence_N = kept_N
        self._sequence_N = sequence_N
        self._index = Index(row_ND, norms=norm_N, device=device, num_threads=num_threads)

    def __len__(self) -> int:
        return len(self._index)

    def search(self, asked: Asked, progress: Progress | None = None) -> Found:
        if asked.k is None:
            return self._found(asked.run(self._index, None, progress)).best(None)
        fetched = min(asked.k + self._num_dead + 1, len(self))
        candidates = asked.run(self._index, fetched, progress)
        found = self._found(candidates)
        best = found.best(asked.k)
        if fetched == len(self):
            return best
        last_Q = best.score_QK[:, -1]
        tied_Q = (candidates.ref_row_QK[:, -1] >= 0) & (candidates.score_QK[:, -1] == last_Q)
        for query in np.flatnonzero(tied_Q).tolist():
            every = self._found(asked.only(query, float(last_Q[query])).run(self._index, None)).best(asked.k)
            for name, column_QK in vars(best).items():
                column_QK[query] = getattr(every, name)[0]
        return best

    def _found(self, candidates: Candidates) -> Found:
        sequence_QK = np.where(candidates.ref_row_QK >= 0, self._sequence_N[candidates.ref_row_QK], _NEVER)
        dead_QK = sequence_QK == _NEVER
        return Found(
            sequence_QK=sequence_QK,
            score_QK=np.where(dead_QK, -np.inf, candidates.score_QK),
            ratio_QK=np.where(dead_QK, np.nan, candidates.ratio_QK),
        )


def merged(parts: list[Found], k: int | None) -> Found:
    """The best k of several shards, or all."""
    columns = {name: np.concatenate([vars(part)[name] for part in parts], axis=1) for name in vars(parts[0])}
    return Found(**columns).best(k)


def as_candidates(found: Found, sequence_L: NDArray[np.int64], k: int | None) -> Candidates:
    """Rows in order of addition; sequence_L: of all live rows, sorted. Padded to k."""
    row_QK = np.where(found.sequence_QK == _NEVER, -1, np.searchsorted(sequence_L, found.sequence_QK))
    short = 0 if k is None else k - row_QK.shape[1]
    padding = ((0, 0), (0, short))
    return Candidates(
        ref_row_QK=np.pad(row_QK, padding, constant_values=-1),
        score_QK=np.pad(found.score_QK, padding, constant_values=-np.inf),
        ratio_QK=np.pad(found.ratio_QK, padding, constant_values=np.nan),
    )

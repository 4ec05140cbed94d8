"""The join of FAISS's candidates with the norm-ratio predicate.

FAISS lists candidates among the places that may hold a valid reference; one native pass (kernels/rescore)
drops those that fail the exact per-pair test and scores the others exactly. The list is doubled until it can
be left at that:

- where FAISS keeps the floats: until its last score lies below the k-th exact one by more than its own
  rounding, so that ties aren't cut, and an index that lists everything ("Flat") gives the exact answer;
- where it keeps codes (PQ, SQ): until k of the list are valid;
- or until the list ends: nothing more is listed, though more was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.indexes.faiss_index.kinds import holds_floats, search_parameters
from asl_fast.indexes.faiss_index.library import library, threads
from asl_fast.indexes.faiss_index.order import Bucket, NormOrder, buckets
from asl_fast.kernels.rescore import Rescorer
from asl_fast.records import Candidates

_MOST_LISTED = 1 << 22  # candidates that wait at once: 50 MB
_RANGE_FETCH = 64  # the first list where every pair above a score is wanted

Progress = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A search's arguments, checked; k=None: every pair with score >= min_score."""

    query_QD: NDArray[np.float32]
    unit_QD: NDArray[np.float32]
    norm_Q: NDArray[np.float64]
    tau_Q: NDArray[np.float64]
    min_score_Q: NDArray[np.float64]
    k: int | None
    direction: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """candidates, and num_short: queries whose list ended before k valid references were found, though more
    references pass the ratio test."""

    candidates: Candidates
    num_short: int


class Join:
    """One search. index: of FAISS, filled with unit rows; order: what stands where in it."""

    def __init__(
        self, index: Any, order: NormOrder, rescorer: Rescorer, question: Question, fetch_factor: float | None
    ) -> None:
        self._index, self._order, self._rescorer, self._asked = index, order, rescorer, question
        self._floats = holds_floats(index)
        self._begin_Q, self._end_Q = order.valid(question.norm_Q, question.tau_Q, question.direction)
        num_queries = len(question.norm_Q)
        self._listed_Q = np.full(num_queries, -1)
        self._short_Q = np.zeros(num_queries, bool)
        factor = (2 if self._floats else 10) if fetch_factor is None else fetch_factor
        self._first = _RANGE_FETCH if question.k is None else max(int(factor * question.k), question.k + 8)
        self._found: list[tuple[NDArray[np.int64], Candidates]] = []

    def run(self, takes_selectors: bool, progress: Progress | None) -> Answer:
        """takes_selectors: of this kind of index. progress(pairs_done, pairs_in_all)."""
        num_queries, num_refs = len(self._asked.norm_Q), len(self._order)
        pending_M = np.flatnonzero(self._begin_Q < self._end_Q)
        begin_Q, end_Q = self._begin_Q, self._end_Q
        if not takes_selectors:
            begin_Q, end_Q = np.zeros_like(begin_Q), np.full_like(end_Q, num_refs)
        fetch = self._first
        with threads(self._rescorer.num_threads):
            while len(pending_M):
                left, num_open = [], len(pending_M)
                for bucket in buckets(pending_M, begin_Q, end_Q, max(1, _MOST_LISTED // fetch)):
                    left.append(self._search(bucket, fetch, takes_selectors))
                    num_open -= len(bucket.query_B) - len(left[-1])
                    if progress is not None:
                        progress((num_queries - num_open) * num_refs, num_queries * num_refs)
                pending_M, fetch = np.concatenate(left), 2 * fetch
        return Answer(candidates=self._as_candidates(), num_short=int(self._short_Q.sum()))

    def _search(self, bucket: Bucket, fetch: int, takes_selectors: bool) -> NDArray[np.int64]:
        """Search and re-score a bucket; return the queries that need a longer list."""
        asked, query_B = self._asked, bucket.query_B
        fetched = min(fetch, bucket.size)
        score_BF, place_BF = self._listed(bucket, fetched, takes_selectors)
        found = self._rescorer.best(
            np.where(place_BF >= 0, self._order.row_P[place_BF], -1),
            asked.query_QD[query_B],
            k=None if asked.k is None else min(asked.k, fetched),
            tau=asked.tau_Q[query_B],
            min_score=asked.min_score_Q[query_B],
            direction=asked.direction,
            norm_Q=asked.norm_Q[query_B],
        )
        enough_B = self._has_enough(found, query_B, score_BF[:, -1])
        listed_B = (place_BF >= 0).sum(axis=1)
        ended_B = (fetched == bucket.size) | ((listed_B < fetched) & (listed_B == self._listed_Q[query_B]))
        self._listed_Q[query_B] = listed_B
        found_B = (found.ref_row_QK >= 0).sum(axis=1)
        exist_B = (self._end_Q - self._begin_Q)[query_B]
        wanted_B = exist_B if asked.k is None else np.minimum(asked.k, exist_B)
        self._short_Q[query_B] = ended_B & ~enough_B & (listed_B < bucket.size) & (found_B < wanted_B)
        done_B = enough_B | ended_B | ((listed_B < fetched) & (found_B >= wanted_B))
        self._keep(query_B[done_B], found, done_B)
        left_M: NDArray[np.int64] = query_B[~done_B]
        return left_M

    def _has_enough(
        self, found: Candidates, query_B: NDArray[np.int64], last_B: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """True where what lies behind the list can't matter, as far as FAISS's scores tell."""
        floor_B, k = self._asked.min_score_Q[query_B], self._asked.k
        has_k_B = np.zeros(len(query_B), bool)
        if k is not None and found.ref_row_QK.shape[1] == k:
            has_k_B = found.ref_row_QK[:, -1] >= 0
        if not self._floats:
            return has_k_B | (last_B < floor_B)
        if has_k_B.any():
            floor_B = np.where(has_k_B, np.maximum(floor_B, found.score_QK[:, -1]), floor_B)
        # A float32 sum of D products of unit rows, each of them rounded, twice that for a squared distance.
        rounding = (self._rescorer.num_dims + 8) * 2.0**-23
        enough_B: NDArray[np.bool_] = last_B < floor_B - rounding
        return enough_B

    def _listed(
        self, bucket: Bucket, fetched: int, takes_selectors: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """FAISS's scores as cosines and its places, best first; -1 where its list has ended."""
        is_part = takes_selectors and bucket.size < len(self._order)
        selector = self._order.selector(bucket) if is_part else None
        params = search_parameters(self._index, selector, fetched, fetched / self._first)
        unit_BD = self._asked.unit_QD[bucket.query_B]
        place_BF: NDArray[np.int64]
        score_BF, place_BF = self._index.search(
            unit_BD, fetched, **({"params": params} if takes_selectors else {})
        )
        if place_BF.max(initial=-1) >= len(self._order):
            raise InputError(
                f"faiss: the index names a row {place_BF.max()}, but the references have {len(self._order)}; "
                "fill it with their rows in order, without ids of its own"
            )
        is_distance = self._index.metric_type != library().METRIC_INNER_PRODUCT
        score_BF = 1 - score_BF.astype(np.float64) / 2 if is_distance else score_BF.astype(np.float64)
        return np.where(place_BF >= 0, score_BF, np.inf), place_BF

    def _keep(self, query_M: NDArray[np.int64], found: Candidates, done_B: NDArray[np.bool_]) -> None:
        columns = {name: column[done_B] for name, column in vars(found).items()}
        self._found.append((query_M, Candidates(**columns)))

    def _as_candidates(self) -> Candidates:
        """One row a query, padded to k, or to the longest."""
        widths = [found.ref_row_QK.shape[1] for _, found in self._found]
        width = max(widths, default=0) if self._asked.k is None else self._asked.k
        shape = (len(self._asked.norm_Q), width)
        out = {
            "ref_row_QK": np.full(shape, -1, np.int64),
            "score_QK": np.full(shape, -np.inf),
            "ratio_QK": np.full(shape, np.nan),
        }
        for query_M, found in self._found:
            for name, column_QK in out.items():
                part_MK = getattr(found, name)
                column_QK[query_M, : part_MK.shape[1]] = part_MK
        return Candidates(**out)

"""The join of FAISS's candidates with the norm-ratio predicate.

FAISS lists candidates among the places that may hold a valid reference; one native pass (kernels/rescore)
drops those that fail the exact per-pair test and scores the others exactly. The list is doubled until it can
be left at that:

- where FAISS keeps the floats: until its last score lies below the k-th exact one by more than its own
  rounding, so that ties aren't cut, and an index that lists everything ("Flat") gives the exact answer;
- where it keeps codes (PQ, SQ): until k of the list are valid, or, with a lowest score, until FAISS's own
  scores lie below it and the last doubling has found nothing more;
- or until the list ends: nothing more is listed, though more was asked for (on a GPU after 2048 candidates).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.faiss_index.library import threads
from asl_fast.indexes.faiss_index.lists import Lists
from asl_fast.indexes.faiss_index.order import Bucket, NormOrder, buckets
from asl_fast.kernels.ratio_search import Progress, Question
from asl_fast.kernels.ratio_search.rows import as_float32
from asl_fast.kernels.rescore import Rescorer
from asl_fast.records import Candidates, Pairs

_MOST_LISTED = 1 << 22  # candidates that wait at once: 50 MB
_RANGE_FETCH = 64  # the first list where every pair above a score is wanted


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is found, bucket after bucket: numbers of queries, and their candidates. Queries without a valid
    reference are in none.

    num_short: queries whose list ended before they had what was asked for, though more references pass the
    ratio test.
    """

    parts: list[tuple[NDArray[np.int64], Candidates]]
    num_short: int

    def candidates(self, num_queries: int, k: int) -> Candidates:
        """One row a query, padded to k."""
        out = {
            "ref_row_QK": np.full((num_queries, k), -1, np.int64),
            "score_QK": np.full((num_queries, k), -np.inf),
            "ratio_QK": np.full((num_queries, k), np.nan),
        }
        for query_M, found in self.parts:
            for name, column_QK in out.items():
                part_MK = getattr(found, name)
                column_QK[query_M, : part_MK.shape[1]] = part_MK
        return Candidates(**out)

    def pairs(self) -> Pairs:
        """All pairs, best first; ties by query row, then reference row."""
        empty = Candidates(
            ref_row_QK=np.empty((0, 0), int), score_QK=np.empty((0, 0)), ratio_QK=np.empty((0, 0))
        )
        listed = [empty.pairs()]
        for query_M, found in self.parts:
            pairs = found.pairs()
            listed.append(replace(pairs, query_row_M=query_M[pairs.query_row_M]))
        joined = Pairs.joined(listed)
        return joined[np.lexsort((joined.ref_row_M, joined.query_row_M, -joined.score_M))]


class Join:
    """One search. lists: of a FAISS index of unit rows; order: what stands where in it; k=None: every pair
    with score >= min_score; floats: whether FAISS keeps the rows as floats."""

    def __init__(
        self,
        lists: Lists,
        order: NormOrder,
        rescorer: Rescorer,
        question: Question,
        k: int | None,
        *,
        floats: bool,
        fetch_factor: float | None,
    ) -> None:
        self._lists, self._order, self._rescorer = lists, order, rescorer
        self._asked, self._k = question, k
        self._unit_QD = unit(question.host_QD, question.own_norm_Q)
        self._floats = floats
        self._begin_Q, self._end_Q = order.valid(question.norm_Q, question.tau_Q, question.direction)
        self._listed_Q = np.full(len(question), -1)  # of the list before this one, as the next
        self._found_Q = np.full(len(question), -1)
        self._short_Q = np.zeros(len(question), bool)
        factor = (2 if self._floats else 10) if fetch_factor is None else fetch_factor
        self._first = _RANGE_FETCH if k is None else max(int(factor * k), k + 8)
        self._parts: list[tuple[NDArray[np.int64], Candidates]] = []

    def run(self, progress: Progress | None) -> Answer:
        """progress(pairs_done, pairs_in_all)."""
        num_queries, num_refs = len(self._asked), len(self._order)
        pending_M = np.flatnonzero(self._begin_Q < self._end_Q)
        begin_Q, end_Q = self._begin_Q, self._end_Q
        if not self._lists.takes_selectors:
            begin_Q, end_Q = np.zeros_like(begin_Q), np.full_like(end_Q, num_refs)
        fetch = self._first
        with threads(self._rescorer.num_threads):
            while len(pending_M):
                left, num_open = [], len(pending_M)
                for bucket in buckets(pending_M, begin_Q, end_Q, max(1, _MOST_LISTED // fetch)):
                    left.append(self._search(bucket, fetch))
                    num_open -= len(bucket.query_B) - len(left[-1])
                    if progress is not None:
                        progress((num_queries - num_open) * num_refs, num_queries * num_refs)
                pending_M, fetch = np.concatenate(left), 2 * fetch
        return Answer(parts=self._parts, num_short=int(self._short_Q.sum()))

    def _search(self, bucket: Bucket, fetch: int) -> NDArray[np.int64]:
        """Search and re-score a bucket; return the queries that need a longer list."""
        query_B = bucket.query_B
        fetched = min(fetch, bucket.size, self._lists.most)
        listed = self._lists.listed(self._unit_QD[query_B], bucket, fetched, fetched / self._first)
        found = self._rescorer.best(
            listed.candidate_BF,
            self._asked.part(query_B),
            None if self._k is None else min(self._k, fetched),
        )
        found_B = (found.ref_row_QK >= 0).sum(axis=1)
        enough_B = self._has_enough(found, found_B, query_B, listed.last_B)
        listed_B, longest = listed.num_B, min(bucket.size, self._lists.most)
        ended_B = (fetched == longest) | ((listed_B < fetched) & (listed_B == self._listed_Q[query_B]))
        self._listed_Q[query_B], self._found_Q[query_B] = listed_B, found_B
        exist_B = (self._end_Q - self._begin_Q)[query_B]
        wanted_B = exist_B if self._k is None else np.minimum(self._k, exist_B)
        self._short_Q[query_B] = ended_B & ~enough_B & (listed_B < bucket.size) & (found_B < wanted_B)
        done_B = enough_B | ended_B | ((listed_B < fetched) & (found_B >= wanted_B))
        kept = Candidates(**{name: column[done_B] for name, column in vars(found).items()})
        self._parts.append((query_B[done_B], kept))
        left_M: NDArray[np.int64] = query_B[~done_B]
        return left_M

    def _has_enough(
        self,
        found: Candidates,
        found_B: NDArray[np.int64],
        query_B: NDArray[np.int64],
        last_B: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """True where what lies behind the list can't matter, as far as FAISS's scores tell."""
        k = self._k
        floor_B = self._asked.min_score_Q[query_B]
        has_k_B: NDArray[np.bool_] = found_B == k if k is not None else np.zeros(len(query_B), bool)
        if self._floats and has_k_B.any():
            floor_B = np.where(has_k_B, np.maximum(floor_B, found.score_QK[:, -1]), floor_B)
        scale_B, bias_B = self._asked.scale_Q[query_B], self._asked.bias_Q[query_B]
        loss_B = self._least_loss(query_B)
        floor_B = (floor_B + loss_B) / scale_B + bias_B  # as a cosine
        if not self._floats:
            has_all_B: NDArray[np.bool_] = (last_B < floor_B) & (found_B == self._found_Q[query_B])
            return has_k_B | has_all_B
        # A float32 sum of D products of unit rows, each of them rounded, twice that for a squared distance.
        rounding_B = (self._rescorer.num_dims + 8) * 2.0**-23 + (np.abs(bias_B) + loss_B / scale_B) * 2.0**-50
        enough_B: NDArray[np.bool_] = last_B < floor_B - rounding_B
        return enough_B

    def _least_loss(self, query_B: NDArray[np.int64]) -> NDArray[np.float64]:
        """What any pair of a query loses at least by the soft ratio."""
        if self._asked.soft is None:
            return np.zeros(len(query_B))
        ratio_B = self._asked.norm_Q[query_B] / self._rescorer.norm_N.max()
        return self._asked.soft.losses(ratio_B) * (1 - 2.0**-40)


def unit(row_ND: NDArray[Any], norm_N: NDArray[np.float64]) -> NDArray[np.float32]:
    """Stored rows, scaled to length 1."""
    unit_ND: NDArray[np.float32] = (as_float32(row_ND) / norm_N[:, None]).astype(np.float32)
    return unit_ND

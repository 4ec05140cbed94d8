"""The best k of candidates that another engine found, by ratio_search's predicate and exact score.

    keep(q, r)  = r is one of q's candidates, and fl(norm(q) / norm(r)) <= tau   ("copy"; see ratio_search)
    score(q, r) = dot(q, r) / (|q| |r|) - bias(q)

Why it exists: an approximate index (FAISS: IVF, HNSW, PQ) knows neither the norms nor the float rows. One
pass filters what it found by the exact per-pair test and scores the rest in float64, in ratio_search's
summation order: what is found has the same bits as in the exact search.

What bounds its speed: fetching num_valid_candidates * D floats from random rows.

Shapes: candidates (Q, F) int64, rows of the references in any order, repeats allowed, -1 for none;
queries (Q, D), references (N, D) -> ref_row_QK int64 (-1 where there is none), score_QK float64 (-inf),
ratio_QK float64 (nan). With k=None every one with score >= min_score; K is then the longest row's length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search import MAX_REFS, Question, check_count, checked_threads
from asl_fast.kernels.ratio_search.rows import checked_norms, row_norms, stored_rows
from asl_fast.records import Candidates

WHO = "rescore"


class Rescorer:
    """References whose rows can be scored one by one. Nothing is packed: making one costs their norms.

    row_ND is borrowed when it is C-contiguous: don't write to it afterwards. norm_N replaces the rows'
    own norms in the predicate and the ratio, never in the score.
    """

    def __init__(
        self,
        row_ND: ArrayLike,
        *,
        norm_N: ArrayLike | None = None,
        num_threads: int | None = None,
        name: str = "references",
        ids: Sequence[str] | None = None,
    ) -> None:
        self.num_threads = checked_threads(num_threads)
        self.row_ND = stored_rows(row_ND, name).array_ND
        self.own_norm_N = row_norms(self.row_ND, name, num_threads=self.num_threads, ids=ids)
        num_rows = len(self.row_ND)
        self.norm_N = (
            self.own_norm_N if norm_N is None else checked_norms(norm_N, num_rows, f"norms of {name}")
        )

    def __len__(self) -> int:
        return len(self.row_ND)

    @property
    def num_dims(self) -> int:
        return int(self.row_ND.shape[1])

    def best(self, candidate_QF: ArrayLike, question: Question, k: int | None) -> Candidates:
        """The best k of each query's candidates, or with k=None all with score >= its min_score.

        ValueError names the argument that breaks a rule.
        """
        if question.num_dims != self.num_dims:
            raise ValueError(
                f"{WHO}: {question.name} have {question.num_dims} columns but the references have "
                f"{self.num_dims}; embed both with the same model"
            )
        if k is not None:
            check_count(k, "k", MAX_REFS)
        row_QK, score_QK, ratio_QK = _C.rescore(
            _checked_candidates(candidate_QF, len(question), len(self)),
            question.query_QD,
            question.own_norm_Q,
            question.norm_Q,
            self.row_ND,
            self.own_norm_N,
            self.norm_N,
            question.tau_Q,
            0 if k is None else int(k),
            question.min_score_Q,
            question.bias_Q,
            question.direction,
            self.num_threads,
        )
        return Candidates(ref_row_QK=row_QK, score_QK=score_QK, ratio_QK=ratio_QK)


def _checked_candidates(candidates: ArrayLike, num_queries: int, num_refs: int) -> NDArray[np.int64]:
    candidate_QF = np.ascontiguousarray(candidates)
    if candidate_QF.dtype != np.int64 or candidate_QF.ndim != 2 or len(candidate_QF) != num_queries:
        raise ValueError(
            f"{WHO}: candidates must be int64 of shape ({num_queries}, F), one list a query, got "
            f"{candidate_QF.dtype} {candidate_QF.shape}"
        )
    low, high = candidate_QF.min(initial=0), candidate_QF.max(initial=0)
    if low < -1 or high >= num_refs:
        worst = low if low < -1 else high
        raise ValueError(
            f"{WHO}: candidates must be rows of the {num_refs} references, or -1 for none, got {worst}"
        )
    return candidate_QF

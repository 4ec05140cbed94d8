"""The best k of candidates that another engine found, by ratio_search's predicate and exact score.

    keep(q, r)  = r is one of q's candidates, and fl(norm(q) / norm(r)) <= tau   ("copy"; see ratio_search)
    score(q, r) = that of ratio_search, with its bias, scale and soft ratio

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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search import (
    MAX_REFS,
    Question,
    check_count,
    checked_threads,
    plain_soft,
    usable_gpus,
)
from asl_fast.kernels.ratio_search.rows import checked_norms, row_norms, stored_rows
from asl_fast.records import Candidates

WHO = "rescore"


class Rescorer:
    """References whose rows can be scored one by one. Nothing is packed: making one costs their norms.

    device: "cpu", or one GPU ("cuda", "cuda:1"), which then holds the rows as float32.
    row_ND is borrowed when it is C-contiguous: don't write to it afterwards. norm_N replaces the rows'
    own norms in the predicate and the ratio, never in the score.
    """

    def __init__(
        self,
        row_ND: ArrayLike,
        *,
        norm_N: ArrayLike | None = None,
        device: str = "cpu",
        num_threads: int | None = None,
        name: str = "references",
        ids: Sequence[str] | None = None,
        _gpu: _C.GpuRescorer | None = None,
    ) -> None:
        gpus = usable_gpus(device)
        if len(gpus) > 1:
            raise ValueError(f"{WHO}: device must be the CPU or one GPU, got {device!r}")
        self.num_threads = checked_threads(num_threads)
        self.row_ND = stored_rows(row_ND, name).array_ND
        self.own_norm_N = row_norms(self.row_ND, name, num_threads=self.num_threads, ids=ids)
        num_rows = len(self.row_ND)
        self.norm_N = (
            self.own_norm_N if norm_N is None else checked_norms(norm_N, num_rows, f"norms of {name}")
        )
        self._gpu = _gpu
        if gpus:
            self._gpu = _C.cuda_rescorer(self.row_ND, self.own_norm_N, self.norm_N, gpus[0], self.num_threads)

    def __len__(self) -> int:
        return len(self.row_ND)

    @property
    def num_dims(self) -> int:
        return int(self.row_ND.shape[1])

    def best(self, candidate_QF: Any, question: Question, k: int | None) -> Candidates:
        """The best k of each query's candidates, or with k=None all with score >= its min_score.

        On a GPU candidates may lie there already, as any array of __cuda_array_interface__ (PyTorch's,
        CuPy's): they stay. Work that fills them must have been waited for. ValueError names the argument that
        breaks a rule.
        """
        if question.num_dims != self.num_dims:
            raise ValueError(
                f"{WHO}: {question.name} have {question.num_dims} columns but the references have "
                f"{self.num_dims}; embed both with the same model"
            )
        if k is not None:
            check_count(k, "k", MAX_REFS)
        if self._gpu is not None:
            return self._best_on_gpu(self._gpu, candidate_QF, question, k)
        row_QK, score_QK, ratio_QK = _C.rescore(
            _checked_candidates(candidate_QF, len(question), len(self)),
            question.host_QD,
            question.own_norm_Q,
            question.norm_Q,
            self.row_ND,
            self.own_norm_N,
            self.norm_N,
            question.tau_Q,
            0 if k is None else int(k),
            question.min_score_Q,
            question.bias_Q,
            question.scale_Q,
            plain_soft(question.soft),
            question.direction,
            self.num_threads,
        )
        return Candidates(ref_row_QK=row_QK, score_QK=score_QK, ratio_QK=ratio_QK)

    def _best_on_gpu(
        self, gpu: _C.GpuRescorer, candidate_QF: Any, question: Question, k: int | None
    ) -> Candidates:
        asked = question.asked(question.host_QD)
        there = getattr(candidate_QF, "__cuda_array_interface__", None)
        if there is None:
            candidates = _checked_candidates(candidate_QF, len(question), len(self))
            row_QK, score_QK, ratio_QK = gpu.best(candidates, asked, k or 0)
        else:
            num_candidates = _checked_interface(there, len(question))
            address = there["data"][0] or 0
            row_QK, score_QK, ratio_QK = gpu.best_on_gpu(
                address, len(question), num_candidates, asked, k or 0
            )
        return Candidates(ref_row_QK=row_QK, score_QK=score_QK, ratio_QK=ratio_QK)


def _checked_interface(there: dict[str, Any], num_queries: int) -> int:
    """The number of candidates each in an array on a GPU; ValueError unless int64 (Q, F), row by row."""
    shape, strides = there["shape"], there.get("strides")
    whole = strides is None or (len(shape) == 2 and tuple(strides) == (8 * shape[1], 8))
    if there["typestr"] != "<i8" or len(shape) != 2 or shape[0] != num_queries or not whole:
        raise ValueError(
            f"{WHO}: candidates on a GPU must be int64 of shape ({num_queries}, F), one list a query and "
            f"contiguous, got {there['typestr']} {tuple(shape)} with strides {strides}"
        )
    return int(shape[1])


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

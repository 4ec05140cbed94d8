"""The exact answer of a few queries, and whether an engine's answer agrees with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.kernels.ratio_search import row_norms
from benchmarks.search.data import Work

SLACK = 1e-9  # float64 products by BLAS differ from the formula's fixed order by far less
NEAR = 1e-5  # float32 engines may swap what lies closer together than this
_CHUNK = 65536


@dataclass(frozen=True, kw_only=True)
class Exact:
    """The float64 brute force's answer to the queries `query_S`."""

    query_S: NDArray[np.int64]
    row_SK: NDArray[np.int64]
    score_SK: NDArray[np.float64]

    def check(self, work: Work, found_QK: NDArray[np.int64], *, exact: bool) -> str:
        """ "identical ids", or for float32 peers what their answer is; ValueError where it is wrong."""
        found_SK = found_QK[self.query_S]
        if exact:
            if not np.array_equal(found_SK, self.row_SK):
                raise ValueError("its ids differ from the float64 brute force's")
            return "identical ids"
        short = 0
        ref_ND = work.refs(mapped=True)
        for query, found_K, score_K in zip(self.query_S, found_SK, self.score_SK, strict=True):
            row_M = found_K[found_K >= 0]
            short += len(row_M) < np.isfinite(score_K).sum()
            score_M = _cosines(work.query_QD[query : query + 1], np.array(ref_ND[row_M]))[0]
            if (score_M < score_K[: len(row_M)].min(initial=np.inf) - NEAR).any() or len(set(row_M)) < len(
                row_M
            ):
                raise ValueError(f"it returned a reference for query {query} that is not among the best")
        return f"{short} of {len(self.query_S)} answers short of k" if short else "complete"


def exact_answer(work: Work, sample: int = 16) -> Exact:
    """Of `sample` queries: everything near the k-th best by BLAS in float64, then the formula on that."""
    query_S = np.unique(np.linspace(0, work.num_queries - 1, sample).astype(np.int64))
    query_SD = work.query_QD[query_S]
    ref_ND = work.refs(mapped=True)
    query_norm_S, ref_norm_N = row_norms(query_SD, "queries"), row_norms(ref_ND, "references")
    score_SN = np.concatenate(
        [_cosines(query_SD, ref_ND[start : start + _CHUNK]) for start in range(0, len(ref_ND), _CHUNK)],
        axis=1,
    )
    score_SN[query_norm_S[:, None] / ref_norm_N[None, :] > work.tau] = -np.inf
    row_SK = np.full((len(query_S), work.k), -1, np.int64)
    best_SK = np.full(row_SK.shape, -np.inf)
    for s, score_N in enumerate(score_SN):
        kept = min(work.k, len(score_N))
        least = np.partition(score_N, len(score_N) - kept)[len(score_N) - kept]
        near_M = np.flatnonzero((score_N >= least - SLACK) & np.isfinite(score_N))
        row_1K, score_1K, _ = plain.ratio_search(
            query_SD[s : s + 1],
            np.array(ref_ND[near_M]),
            query_norm_Q=query_norm_S[s : s + 1],
            ref_norm_N=ref_norm_N[near_M],
            k=work.k,
            tau_Q=np.array([work.tau]),
        )
        row_SK[s] = np.where(row_1K[0] >= 0, np.append(near_M, -1)[row_1K[0]], -1)
        best_SK[s] = score_1K[0]
    return Exact(query_S=query_S, row_SK=row_SK, score_SK=best_SK)


def _cosines(query_SD: NDArray[np.float32], ref_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    query_SD64, ref_ND64 = query_SD.astype(np.float64), ref_ND.astype(np.float64)
    query_SD64 /= np.linalg.norm(query_SD64, axis=1, keepdims=True)
    ref_ND64 /= np.linalg.norm(ref_ND64, axis=1, keepdims=True)
    return query_SD64 @ ref_ND64.T

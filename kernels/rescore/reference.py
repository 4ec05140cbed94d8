"""The formula of rescore in NumPy float64: ratio_search's, over the candidates of each query only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.kernels.ratio_search import reference as ratio_search
from asl_fast.thresholds import SoftRatio


def rescore(
    candidate_QF: NDArray[np.int64],
    query_QD: NDArray[np.float32],
    ref_ND: NDArray[np.float32],
    *,
    query_norm_Q: NDArray[np.float64],
    ref_norm_N: NDArray[np.float64],
    k: int | None,
    tau_Q: NDArray[np.float64],
    min_score: ArrayLike = -np.inf,
    bias: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    soft: SoftRatio | None = None,
    direction: str = "copy",
) -> ratio_search.Found:
    """ref_row_QK, score_QK, ratio_QK: each query searches its own few references by brute force."""
    min_score_Q = np.broadcast_to(min_score, len(query_QD))
    bias_Q, scale_Q = np.broadcast_to(bias, len(query_QD)), np.broadcast_to(scale, len(query_QD))
    parts = []
    for q, candidate_F in enumerate(candidate_QF):
        row_M = np.unique(candidate_F[candidate_F >= 0])
        place_1K, score_1K, ratio_1K = ratio_search.ratio_search(
            query_QD[q : q + 1],
            ref_ND[row_M],
            query_norm_Q=query_norm_Q[q : q + 1],
            ref_norm_N=ref_norm_N[row_M],
            k=k,
            tau_Q=tau_Q[q : q + 1],
            min_score=min_score_Q[q],
            bias=bias_Q[q],
            scale=scale_Q[q],
            soft=soft,
            direction=direction,
        )
        found_1K = place_1K >= 0
        row_1K = np.full(place_1K.shape, -1, np.int64)
        row_1K[found_1K] = row_M[place_1K[found_1K]]
        parts.append((row_1K[0], score_1K[0], ratio_1K[0]))
    width = max((len(row_K) for row_K, _, _ in parts), default=0) if k is None else k
    ref_row_QK = np.full((len(parts), width), -1, np.int64)
    score_QK = np.full(ref_row_QK.shape, -np.inf)
    ratio_QK = np.full(ref_row_QK.shape, np.nan)
    for q, columns in enumerate(parts):
        for out_QK, column_K in zip((ref_row_QK, score_QK, ratio_QK), columns, strict=True):
            out_QK[q, : len(column_K)] = column_K
    return ref_row_QK, score_QK, ratio_QK

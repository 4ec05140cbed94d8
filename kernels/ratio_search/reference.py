"""The formula of ratio_search in NumPy float64, and nothing else.

Bit for bit what every fast path gives, because the summation order is the same (csrc exact_dot.h):
eight lanes, lane j adds the products of dimensions j, j + 8, ... in turn, then
((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)). A product of two float32 is exact in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.thresholds import SoftRatio

Found = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
FoundPairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def dots(query_QD: NDArray[np.float32], ref_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """dot_QN: all dot products in float64, in the fixed order."""
    lane_8QN = np.zeros((8, len(query_QD), len(ref_ND)))
    for d, (query_Q, ref_N) in enumerate(zip(query_QD.T, ref_ND.T, strict=True)):
        lane_8QN[d % 8] += query_Q.astype(np.float64)[:, None] * ref_N.astype(np.float64)
    return _sum_lanes(lane_8QN)


def row_norms(row_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """norm_N: sqrt(dot(x, x)) of every row."""
    lane_8N = np.zeros((8, len(row_ND)))
    for d, row_N in enumerate(row_ND.T):
        lane_8N[d % 8] += row_N.astype(np.float64) ** 2
    return np.sqrt(_sum_lanes(lane_8N))


def _sum_lanes(lanes: NDArray[np.float64]) -> NDArray[np.float64]:
    l0, l1, l2, l3, l4, l5, l6, l7 = lanes
    total: NDArray[np.float64] = ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7))
    return total


def ratio_search(
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
    rank_N: NDArray[np.int64] | None = None,
) -> Found:
    """ref_row_QK, score_QK, ratio_QK by brute force: score every pair, filter, sort.

    k=None: all, K is the longest list's length.
    """
    score_QN = dots(query_QD, ref_ND) / (row_norms(query_QD)[:, None] * row_norms(ref_ND)[None, :])
    score_QN -= np.reshape(bias, (-1, 1))
    score_QN *= np.reshape(scale, (-1, 1))
    ratio_QN = query_norm_Q[:, None] / ref_norm_N[None, :]
    if soft is not None:
        losses = [soft.weight * max(0.0, math.log(each / soft.tau)) for each in ratio_QN.ravel().tolist()]
        score_QN -= np.reshape(losses, ratio_QN.shape)
    rank_N = np.arange(len(ref_ND)) if rank_N is None else rank_N
    copy_QN = ratio_QN <= tau_Q[:, None]
    keep_QN = {"copy": copy_QN, "original": ~copy_QN, "both": np.ones_like(copy_QN)}[direction]
    keep_QN &= (score_QN >= np.reshape(min_score, (-1, 1))) & (rank_N >= 0)
    k = int(keep_QN.sum(axis=1).max(initial=0)) if k is None else k
    ref_row_QK = np.full((len(query_QD), k), -1, np.int64)
    score_QK = np.full(ref_row_QK.shape, -np.inf)
    ratio_QK = np.full(ref_row_QK.shape, np.nan)
    for q, keep_N in enumerate(keep_QN):
        row_M = np.flatnonzero(keep_N)
        row_M = row_M[np.lexsort((rank_N[row_M], -score_QN[q, row_M]))][:k]
        ref_row_QK[q, : len(row_M)] = row_M
        score_QK[q, : len(row_M)] = score_QN[q, row_M]
        ratio_QK[q, : len(row_M)] = ratio_QN[q, row_M]
    return ref_row_QK, score_QK, ratio_QK


def best_pairs(found: Found, num_pairs: int) -> FoundPairs:
    """query_row_M, ref_row_M, score_M, ratio_M: the best num_pairs of all that ratio_search found."""
    ref_row_QK, score_QK, ratio_QK = found
    query_row_M, slot_M = np.nonzero(ref_row_QK >= 0)  # by query, then best first
    best_M = np.argsort(-score_QK[query_row_M, slot_M], kind="stable")[:num_pairs]
    cells = query_row_M[best_M], slot_M[best_M]
    return cells[0], ref_row_QK[cells], score_QK[cells], ratio_QK[cells]

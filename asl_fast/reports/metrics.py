"""The field's metrics, as pure functions of predictions: P (query, reference) pairs with a score each.

is_right_P says whether a pair stands in the ground truth; num_truth counts every match of the ground truth,
found or not. Ties are counted worst case: among equal scores wrong pairs come first, so no metric depends
on the order in which a search happened to write them. Everything is O(P log P).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """One point for each of T distinct scores: what a threshold at this score (inclusive) gives."""

    threshold_T: Floats  # falling
    precision_T: Floats
    recall_T: Floats


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    recall: float
    precision: float
    threshold: float


def micro_average_precision(score_P: Floats, is_right_P: Flags, num_truth: int) -> float:
    """uAP: all predictions of all queries in one list; the sum of recall step x precision over it.

    uAP = 1 / num_truth * sum over right pairs of (right pairs down to this one) / (pairs down to this one).
    """
    _check(score_P, is_right_P, num_truth)
    place_R = np.flatnonzero(is_right_P[worst_case_order(score_P, is_right_P)])
    return float(np.sum(np.arange(1, len(place_R) + 1) / (place_R + 1)) / num_truth)


def precision_recall(score_P: Floats, is_right_P: Flags, num_truth: int) -> PrecisionRecall:
    """Precision and recall of every threshold that the scores allow, strictest first."""
    _check(score_P, is_right_P, num_truth)
    order_P = np.argsort(-score_P, kind="stable")
    sorted_P = score_P[order_P]
    last_T = np.flatnonzero(np.append(sorted_P[1:] != sorted_P[:-1], True)) if len(sorted_P) else order_P
    right_T = np.cumsum(is_right_P[order_P])[last_T]
    return PrecisionRecall(
        threshold_T=sorted_P[last_T], precision_T=right_T / (last_T + 1), recall_T=right_T / num_truth
    )


def recall_at_precision(curve: PrecisionRecall, precision: float = 0.9) -> OperatingPoint | None:
    """The highest recall whose precision is at least `precision`; None if it is never reached.

    Where several thresholds give that recall, the strictest. A threshold takes all of its ties or none, so
    worst case and best case agree here.
    """
    fits_F = np.flatnonzero(curve.precision_T >= precision)
    if not len(fits_F):
        return None
    best = fits_F[np.argmax(curve.recall_T[fits_F])]
    return OperatingPoint(
        recall=float(curve.recall_T[best]),
        precision=float(curve.precision_T[best]),
        threshold=float(curve.threshold_T[best]),
    )


def precision_at_n(
    score_P: Floats, is_right_P: Flags, n: int, *, is_kept_P: Flags | None = None, refill: bool = False
) -> float | None:
    """TP / (TP + FP) in the top n pairs. None if nothing is kept there: 0 / 0 is no precision.

    is_kept_P: what a filter keeps (None: everything). refill=False takes the top n before the filter (the
    paper's convention), refill=True takes the top n of the survivors. n = queries that have a match.
    """
    _check(score_P, is_right_P, int(np.sum(is_right_P)) or 1)
    if n < 1:
        raise ValueError(f"precision at n: n must be at least 1, got {n}")
    kept_P = np.ones(len(score_P), dtype=bool) if is_kept_P is None else is_kept_P
    if refill:
        score_P, is_right_P, kept_P = score_P[kept_P], is_right_P[kept_P], kept_P[kept_P]
    # the worst that a tie at the cut can do: wrong pairs that count, then pairs that don't, then right ones
    badness_P = np.where(kept_P, np.where(is_right_P, 2, 0), 1).astype(np.int8)
    top_N = np.lexsort((badness_P, -score_P))[:n]
    num_kept = int(kept_P[top_N].sum())
    return int((kept_P & is_right_P)[top_N].sum()) / num_kept if num_kept else None


def recall_at_1(query_P: NDArray[np.integer], score_P: Floats, is_right_P: Flags, num_queries: int) -> float:
    """Share of the `num_queries` queries with a match whose best prediction is right.

    query_P: number of each prediction's query. A tie at the top counts only if all of it is right.
    """
    _check(score_P, is_right_P, int(np.sum(is_right_P)) or 1)
    return int(best_is_all(query_P, score_P, is_right_P).sum()) / num_queries


def best_is_all(query_P: NDArray[np.integer], score_P: Floats, is_so_P: Flags) -> Flags:
    """For each query number: whether it is so of its best prediction, and of all that tie with it."""
    at_top_P = _at_top(query_P, score_P)
    is_so_Q = np.zeros(int(query_P.max(initial=-1)) + 1, dtype=bool)
    is_so_Q[query_P[at_top_P & is_so_P]] = True
    is_so_Q[query_P[at_top_P & ~is_so_P]] = False
    return is_so_Q


def best_is_any(query_P: NDArray[np.integer], score_P: Floats, is_so_P: Flags) -> Flags:
    """For each query number: whether it is so of its best prediction, or of any that ties with it."""
    is_so_Q = np.zeros(int(query_P.max(initial=-1)) + 1, dtype=bool)
    is_so_Q[query_P[_at_top(query_P, score_P) & is_so_P]] = True
    return is_so_Q


def _at_top(query_P: NDArray[np.integer], score_P: Floats) -> Flags:
    """Which predictions no other of their query surpasses."""
    best_Q = np.full(int(query_P.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best_Q, query_P, score_P)
    return np.asarray(score_P == best_Q[query_P])


def worst_case_order(score_P: Floats, is_right_P: Flags) -> NDArray[np.intp]:
    """Highest score first; among equal scores wrong pairs first."""
    return np.lexsort((is_right_P, -score_P))


def first_repeat(pair_P: NDArray[np.int64]) -> int | None:
    """Place of the first prediction whose pair number stood before, or None."""
    sorted_P = np.sort(pair_P)
    if not (sorted_P[1:] == sorted_P[:-1]).any():
        return None  # the usual case, at a third of the price
    order_P = np.argsort(pair_P, kind="stable")
    again = np.flatnonzero(pair_P[order_P[1:]] == pair_P[order_P[:-1]])
    return int(order_P[again + 1].min())


def _check(score_P: Floats, is_right_P: Flags, num_truth: int) -> None:
    if score_P.shape != is_right_P.shape or score_P.ndim != 1:
        raise ValueError(
            f"metrics: scores and flags must be two lists of one length, "
            f"got {score_P.shape} and {is_right_P.shape}"
        )
    if not np.isfinite(score_P).all():
        raise ValueError("metrics: scores must be finite, drop or mend predictions that are not")
    if num_truth < max(1, int(is_right_P.sum())):
        raise ValueError(
            f"metrics: num_truth counts every match of the ground truth, got {num_truth} "
            f"for {int(is_right_P.sum())} right predictions"
        )

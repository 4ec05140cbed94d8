"""Thresholds fitted on a fold of labelled pairs.

tau of the hard filter is the one that best parts right pairs from wrong ones and costs no uAP, that of
highest uAP, or the strictest that keeps most right pairs; weight and tau of the soft one are those of highest
uAP; an operating point is the min_score and tau of highest recall with at least its precision. Intervals
are of bootstrap resamples of the queries, fitted anew; held-back figures are of five parts of the queries,
each judged by what the others gave. The soft ratio is for ranking only: one weight for all precisions
loses recall at the high ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_fast.calibration.pairs import LabelledPairs
from asl_fast.calibration.ranking import Cut, Ranking
from asl_fast.thresholds import Measured, OperatingPoint, SoftRatio

Floats = NDArray[np.float64]
NUM_PARTS = 5
UAP, PRECISION, KEPT = "uap", "precision", "kept"  # what tau is to be good for
SHARE_KEPT = 0.85
MOST_WRONG = 300_000  # wrong pairs that are looked at, the best-scored
_NUM_TAUS = 50
_SOFT_TAUS = 16
_WEIGHTS = np.geomspace(0.1, 100, 13)  # in standard deviations of the scores
_BOUNDS = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class HeldBack:
    """Mean uAP of the parts: by score alone, of what the hard filter lets through, by the shrunk score."""

    alone: float
    hard: float
    soft: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """soft: None where no weight above 0 raises uAP.  points: those that can be reached."""

    tau: Measured
    soft: SoftRatio | None
    points: tuple[OperatingPoint, ...]
    held_back: HeldBack


class _Found(NamedTuple):
    cut: Cut
    tau: float


class _Hard(NamedTuple):
    """points: one for each goal, None where it isn't reached."""

    tau: float
    points: tuple[_Found | None, ...]


def calibrate(
    pairs: LabelledPairs,
    goals: Sequence[float] = (0.9, 0.95, 0.99),
    *,
    tau_for: str = PRECISION,
    num_resamples: int = 200,
    seed: int = 0,
) -> Fitted:
    """Fit everything. goals: precisions, between 0 and 1. The same numbers for the same pairs and seed.

    tau_for: "uap", the tau of highest uAP, which lets much through so as to lose few right pairs; or
    "precision", the one that best parts right pairs from the best-scored wrong ones, of those whose uAP is
    not below that of the scores alone; or "kept", the strictest that SHARE_KEPT of the right pairs pass, of
    those among the best N by score.
    """
    if not goals or any(not 0 < goal < 1 for goal in goals):
        raise ValueError(f"calibrate: precisions must lie between 0 and 1, got {tuple(goals)}")
    if num_resamples < 2:
        raise ValueError(f"calibrate: the number of resamples must be at least 2, got {num_resamples}")
    wanted, pairs = tuple(goals), _strongest(pairs)
    taus, ranking = _taus(pairs), Ranking(pairs)
    hard = _fit_hard(ranking, taus, wanted, tau_for)
    weight_SQ = _resamples(pairs.num_queries, num_resamples, seed)
    resampled = [_fit_hard(ranking, taus, wanted, tau_for, weight_Q) for weight_Q in weight_SQ]
    held_back, held_back_kept = _held_back(pairs, wanted, tau_for, seed)
    points = []
    for place, goal in enumerate(wanted):
        if (found := hard.points[place]) is not None:
            again = [each for hard in resampled if (each := hard.points[place]) is not None]
            points.append(_point(goal, found, again, pairs, weight_SQ, held_back_kept[place]))
    return Fitted(
        tau=_measured(hard.tau, [each.tau for each in resampled]),
        soft=_fit_soft(pairs),
        points=tuple(points),
        held_back=held_back,
    )


def _strongest(pairs: LabelledPairs) -> LabelledPairs:
    """All right pairs and the best-scored of the wrong ones: those further down hardly move a threshold."""
    wrong_W = np.flatnonzero(~pairs.is_right_P)
    if len(wrong_W) <= MOST_WRONG:
        return pairs
    best_W = wrong_W[np.argsort(-pairs.score_P[wrong_W], kind="stable")[:MOST_WRONG]]
    kept_P = pairs.is_right_P.copy()
    kept_P[best_W] = True
    return replace(
        pairs,
        score_P=pairs.score_P[kept_P],
        ratio_P=pairs.ratio_P[kept_P],
        is_right_P=pairs.is_right_P[kept_P],
        query_P=pairs.query_P[kept_P],
    )


def _taus(pairs: LabelledPairs, number: int = _NUM_TAUS) -> Floats:
    """Ratios of right pairs, which a filter would begin to lose there; the last lets every pair through."""
    shares = np.linspace(0.02, 1, number)
    right = np.quantile(pairs.ratio_P[pairs.is_right_P], shares, method="higher")
    return np.unique(np.append(right, pairs.ratio_P.max()))


def _fit_hard(
    ranking: Ranking,
    taus: Floats,
    goals: tuple[float, ...],
    tau_for: str,
    weight_Q: Floats | None = None,
) -> _Hard:
    """taus: rising, the last lets every pair through."""
    measured = [ranking.measure(goals, tau=tau, weight_Q=weight_Q) for tau in taus.tolist()]
    uap_T = np.array([each.uap for each in measured])
    gap_T = np.array([each.gap for each in measured])
    costs_nothing_T = uap_T >= uap_T[-1] - 1e-12
    best = np.argmax(uap_T if tau_for == UAP else np.where(costs_nothing_T, gap_T, -np.inf))
    points: list[_Found | None] = []
    for goal in range(len(goals)):
        reached = [
            _Found(cut, float(tau))
            for tau, each in zip(taus, measured, strict=True)
            if (cut := each.cuts[goal]) is not None
        ]
        points.append(max(reached, key=lambda found: (found.cut.recall, found.cut.precision), default=None))
    tau = ranking.tau_that_keeps(SHARE_KEPT, weight_Q) if tau_for == KEPT else float(taus[best])
    return _Hard(tau, tuple(points))


def _fit_soft(pairs: LabelledPairs) -> SoftRatio | None:
    """The best of a grid; None where leaving scores alone is as good. From the least ratio on every pair is
    shrunk, as by a straight line in score and log ratio."""
    best, best_uap = None, Ranking(pairs).measure(()).uap
    spread = float(pairs.score_P.std()) or 1.0
    for tau in [float(pairs.ratio_P.min()), *_taus(pairs, _SOFT_TAUS).tolist()]:
        for weight in (_WEIGHTS * spread).tolist():
            soft = SoftRatio(weight=weight, tau=tau)
            uap = Ranking(pairs, soft.scores(pairs.score_P, pairs.ratio_P)).measure(()).uap
            if uap > best_uap:
                best, best_uap = soft, uap
    return best


def _resamples(num_queries: int, number: int, seed: int) -> Floats:
    """How often each query stands in each bootstrap resample (S, Q)."""
    rng = np.random.default_rng([seed, 1])
    return rng.multinomial(num_queries, np.full(num_queries, 1 / num_queries), number).astype(np.float64)


def _point(
    goal: float,
    found: _Found,
    resampled: Sequence[_Found],
    pairs: LabelledPairs,
    weight_SQ: Floats,
    held_back_kept_P: NDArray[np.bool_],
) -> OperatingPoint:
    kept_P = (pairs.score_P >= found.cut.min_score) & (pairs.ratio_P <= found.tau)
    kept_Q, right_Q = _per_query(pairs, kept_P)
    precision_S = (weight_SQ @ right_Q) / np.maximum(weight_SQ @ kept_Q, 1)
    recall_S = (weight_SQ @ right_Q) / np.maximum(weight_SQ @ pairs.num_truth_Q, 1)
    held_back_Q, held_back_right_Q = _per_query(pairs, held_back_kept_P)
    num_held_back, num_right = held_back_Q.sum(), held_back_right_Q.sum()
    return OperatingPoint(
        goal=goal,
        min_score=_measured(found.cut.min_score, [each.cut.min_score for each in resampled]),
        tau=_measured(found.tau, [each.tau for each in resampled]),
        precision=_measured(found.cut.precision, precision_S),
        recall=_measured(found.cut.recall, recall_S),
        held_back_precision=float(num_right / num_held_back) if num_held_back else None,
        held_back_recall=float(num_right / pairs.num_truth_Q.sum()),
    )


def _held_back(
    pairs: LabelledPairs, goals: tuple[float, ...], tau_for: str, seed: int
) -> tuple[HeldBack, list[NDArray[np.bool_]]]:
    """uAPs, and for each goal which pairs its point lets through: fitted without the queries it judges."""
    part_Q = _parts(pairs, seed)
    part_P = part_Q[pairs.query_P]
    kept = [np.zeros(len(pairs), bool) for _ in goals]
    uap_TP = np.empty((3, NUM_PARTS))
    for part in range(NUM_PARTS):
        mine, others = pairs.of_queries(part_Q == part), pairs.of_queries(part_Q != part)
        hard, soft = _fit_hard(Ranking(others), _taus(others), goals, tau_for), _fit_soft(others)
        shrunk_P = mine.score_P if soft is None else soft.scores(mine.score_P, mine.ratio_P)
        uap_TP[:, part] = (
            Ranking(mine).measure(()).uap,
            Ranking(mine).measure((), tau=hard.tau).uap,
            Ranking(mine, shrunk_P).measure(()).uap,
        )
        for goal, found in enumerate(hard.points):
            if found is not None:
                passes_P = (mine.score_P >= found.cut.min_score) & (mine.ratio_P <= found.tau)
                kept[goal][part_P == part] = passes_P
    alone, hard_uap, soft_uap = uap_TP.mean(axis=1).tolist()
    return HeldBack(alone=alone, hard=hard_uap, soft=soft_uap), kept


def _parts(pairs: LabelledPairs, seed: int) -> NDArray[np.int64]:
    """The part of each query; those with a right pair, with a match only and with none spread evenly."""
    rng = np.random.default_rng([seed, 2])
    num_right_Q = np.bincount(pairs.query_P[pairs.is_right_P], minlength=pairs.num_queries)
    kind_Q = (num_right_Q > 0).astype(int) + (pairs.num_truth_Q > 0)
    if (kind_Q == 2).sum() < 2 * NUM_PARTS:
        raise ValueError(
            f"calibrate: {int((kind_Q == 2).sum())} queries have a right pair, at least {2 * NUM_PARTS} "
            "must; label more of them"
        )
    order_Q = rng.permutation(pairs.num_queries)
    order_Q = order_Q[np.argsort(kind_Q[order_Q], kind="stable")]
    part_Q = np.empty(pairs.num_queries, np.int64)
    part_Q[order_Q] = np.arange(pairs.num_queries) % NUM_PARTS
    return part_Q


def _per_query(pairs: LabelledPairs, kept_P: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Pairs let through and right ones among them, of each query."""
    number = pairs.num_queries
    return (
        np.bincount(pairs.query_P[kept_P], minlength=number).astype(float),
        np.bincount(pairs.query_P[kept_P & pairs.is_right_P], minlength=number).astype(float),
    )


def _measured(value: float, resampled: Sequence[float] | Floats) -> Measured:
    """With the interval of the resamples that have a value; the value alone where none has."""
    if not len(resampled):
        return Measured(value, value, value)
    low, high = np.percentile(np.asarray(resampled, float), _BOUNDS)
    return Measured(value, float(low), float(high))

"""Predictions against ground truth: similarity alone, and with the ratio filter of the paper."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.files import replacing
from asl_fast.reports import bootstrap, metrics
from asl_fast.reports.bootstrap import Interval
from asl_fast.reports.by_kind import Group, Scored, measure_groups
from asl_fast.reports.kinds import QueryKinds
from asl_fast.reports.metrics import OperatingPoint, PrecisionRecall
from asl_fast.reports.predictions import Predictions
from asl_fast.reports.truth import Truth

MAX_CURVE_POINTS = 1000
GIVEN, AT_P90, TOP_N = "given", "P90", "top N"  # where an operating threshold comes from


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is said at the operating threshold. precision: None where nothing is said."""

    true_positives: int
    false_positives: int
    precision: float | None
    recall: float


@dataclass(frozen=True, kw_only=True)
class Measures:
    """All numbers of one list of predictions. None: the answer does not exist (P90 never reached, 0 / 0)."""

    num_predictions: int
    true_positives: int
    false_positives: int
    uap: float
    rp90: OperatingPoint | None
    precision_at_n_no_refill: float | None
    precision_at_n_refill: float | None
    recall_at_1: float
    at_threshold: Counts
    curve: PrecisionRecall  # of at most MAX_CURVE_POINTS + 3 thresholds


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """95 % intervals by figure (reports.bootstrap), of `resamples` draws of the queries."""

    similarity: dict[str, Interval]
    filtered: dict[str, Interval] | None
    resamples: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """similarity: every prediction. filtered: those that the ratio lets through, None without ratios.

    n: queries that have a match, which is also the N of precision at N. tau: what the ratios were held
    against, None where the verdicts of the predictions were taken as they are.
    threshold: the score from which on a pair is said to be a copy, the same for both lists; threshold_from:
    "given", or "P90" and "top N" of the filtered list (of the only one, where there is no filter).
    groups: kinds of queries and edit families, where the benchmark names them.
    intervals: None where no resamples were asked for.
    """

    similarity: Measures
    filtered: Measures | None
    n: int
    num_truth: int
    num_distractors: int
    threshold: float
    threshold_from: str
    tau: float | None = None
    groups: tuple[Group, ...] = ()
    intervals: Intervals | None = None


def evaluate(
    predictions: Predictions,
    truth: Truth,
    *,
    tau: float | None = None,
    threshold: float | None = None,
    kinds: QueryKinds | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> Report:
    """Measure predictions. tau judges them anew by their ratios; None takes the verdicts they carry.

    threshold: the operating point; None is that of P90 after the filter, and where P90 is not reached the
    score of the last of the top N. resamples, seed: of the intervals; 0 is none.
    """
    if tau is not None and predictions.ratio_P is None:
        raise ValueError(f"{predictions.name}: has no ratios, so tau can't judge it; evaluate a matches.csv")
    check_common_ids(predictions, truth)
    is_copy_P = kept_by(predictions, tau)
    is_right_P = predictions.are_right(truth)
    # Sorted once: every metric sorts for itself, which is soon done where there is nothing left to sort.
    order_P = metrics.worst_case_order(predictions.score_P, is_right_P)
    ranked = predictions.query_P[order_P], predictions.score_P[order_P], is_right_P[order_P]
    kept_P = None if is_copy_P is None else is_copy_P[order_P]
    threshold, threshold_from = _operating_threshold(*ranked[1:], kept_P, truth, threshold)
    scored = Scored(
        query_ids=predictions.query_ids, query_P=ranked[0], score_P=ranked[1], is_right_P=ranked[2],
        is_kept_P=kept_P,
    )  # fmt: skip
    return Report(
        similarity=_measure(*ranked, None, truth, threshold),
        filtered=None if kept_P is None else _measure(*ranked, kept_P, truth, threshold),
        n=len(truth.matched_queries),
        num_truth=len(truth.pairs),
        num_distractors=len(truth.distractors),
        threshold=threshold,
        threshold_from=threshold_from,
        tau=tau,
        groups=() if kinds is None else measure_groups(scored, truth, kinds, threshold),
        intervals=None if not resamples else _intervals(predictions, truth, is_copy_P, resamples, seed),
    )


def kept_by(predictions: Predictions, tau: float | None) -> NDArray[np.bool_] | None:
    """What the filter keeps: by the ratios, or as the predictions say; None where they say nothing."""
    if tau is None or predictions.ratio_P is None:
        return predictions.is_copy_P
    return np.asarray(predictions.ratio_P <= tau)


def _intervals(
    predictions: Predictions, truth: Truth, is_copy_P: NDArray[np.bool_] | None, resamples: int, seed: int
) -> Intervals:
    queries = bootstrap.all_queries(truth, predictions)

    def found(is_kept_P: NDArray[np.bool_] | None) -> dict[str, Interval]:  # one ranking in memory at a time
        return bootstrap.intervals(bootstrap.Ranking(predictions, truth, queries, is_kept_P), resamples, seed)

    return Intervals(
        similarity=found(None),
        filtered=None if is_copy_P is None else found(is_copy_P),
        resamples=resamples,
        seed=seed,
    )


def _operating_threshold(
    score_P: NDArray[np.float64],
    is_right_P: NDArray[np.bool_],
    is_kept_P: NDArray[np.bool_] | None,
    truth: Truth,
    given: float | None,
) -> tuple[float, str]:
    """The threshold and where it comes from, of predictions sorted best first."""
    if given is not None:
        return given, GIVEN
    if is_kept_P is not None:
        score_P, is_right_P = score_P[is_kept_P], is_right_P[is_kept_P]
    rp90 = metrics.recall_at_precision(metrics.precision_recall(score_P, is_right_P, len(truth.pairs)))
    if rp90 is not None:
        return rp90.threshold, AT_P90
    top = score_P[: len(truth.matched_queries)]
    return (float(top[-1]) if len(top) else 0.0), TOP_N


def check_common_ids(predictions: Predictions, truth: Truth) -> None:
    """Refuse to measure nothing: ids that never meet are two ways of writing them, not a recall of 0."""
    in_truth = truth.matched_queries | truth.distractors
    if len(predictions) and not in_truth.isdisjoint(predictions.query_ids):
        return
    said = repr(predictions.query_ids[0]) if predictions.query_ids else "nothing"
    raise ValueError(
        f"{predictions.name}: no query of {truth.name} occurs in it; it has {said}, the truth has "
        f"{truth.pairs[0][0]!r}; both must name queries in the same way"
    )


def _measure(
    query_P: NDArray[np.int64],
    score_P: NDArray[np.float64],
    is_right_P: NDArray[np.bool_],
    is_kept_P: NDArray[np.bool_] | None,
    truth: Truth,
    threshold: float,
) -> Measures:
    n, num_truth = len(truth.matched_queries), len(truth.pairs)
    everything = score_P, is_right_P
    kept = slice(None) if is_kept_P is None else is_kept_P
    query_P, score_P, right_P = query_P[kept], score_P[kept], is_right_P[kept]
    curve = metrics.precision_recall(score_P, right_P, num_truth)
    rp90 = metrics.recall_at_precision(curve, 0.9)
    return Measures(
        num_predictions=len(score_P),
        true_positives=int(right_P.sum()),
        false_positives=int((~right_P).sum()),
        uap=metrics.micro_average_precision(score_P, right_P, num_truth),
        rp90=rp90,
        precision_at_n_no_refill=metrics.precision_at_n(*everything, n, is_kept_P=is_kept_P),
        precision_at_n_refill=metrics.precision_at_n(*everything, n, is_kept_P=is_kept_P, refill=True),
        recall_at_1=metrics.recall_at_1(query_P, score_P, right_P, n),
        at_threshold=_counts(score_P, right_P, num_truth, threshold),
        curve=thinned(curve, rp90),
    )


def _counts(
    score_P: NDArray[np.float64], is_right_P: NDArray[np.bool_], num_truth: int, threshold: float
) -> Counts:
    """Of predictions sorted best first."""
    num_said = int(np.searchsorted(-score_P, -threshold, side="right"))
    num_right = int(is_right_P[:num_said].sum())
    return Counts(
        true_positives=num_right,
        false_positives=num_said - num_right,
        precision=num_right / num_said if num_said else None,
        recall=num_right / num_truth,
    )


def thinned(curve: PrecisionRecall, keep: OperatingPoint | None) -> PrecisionRecall:
    """At most MAX_CURVE_POINTS points, evenly spaced in recall, and the first, the last and `keep`."""
    num_points = len(curve.threshold_T)
    if num_points <= MAX_CURVE_POINTS:
        return curve
    levels = np.linspace(0, curve.recall_T[-1], MAX_CURVE_POINTS)
    chosen = [*np.searchsorted(curve.recall_T, levels), 0, num_points - 1]
    if keep is not None:
        chosen.append(np.searchsorted(-curve.threshold_T, -keep.threshold))
    place_T = np.unique(np.minimum(chosen, num_points - 1))
    return PrecisionRecall(
        threshold_T=curve.threshold_T[place_T],
        precision_T=curve.precision_T[place_T],
        recall_T=curve.recall_T[place_T],
    )


def as_json(report: Report) -> dict[str, Any]:
    """Plain dicts, lists and numbers; null where an answer does not exist."""
    plain = dataclasses.asdict(report)
    plain["groups"] = list(plain["groups"])
    for side in ("similarity", "filtered"):
        if plain[side]:
            curve = plain[side]["curve"]
            plain[side]["curve"] = {
                name.removesuffix("_T"): column.tolist() for name, column in curve.items()
            }
    return plain


def write_json(path: str | os.PathLike[str], report: Report, **more: Any) -> None:
    """The report, and whatever else is plain enough."""
    text = json.dumps({**as_json(report), **more}, indent=1, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")

"""How sure a figure is: queries drawn again with replacement, seeded (Efron's percentile interval).

Queries, not predictions, are what a benchmark drew, so each resample gives every query a weight (how often it
was drawn), which all of its predictions and matches carry. A pair drawn w times stands w times in the list,
tied; ties are counted worst case as everywhere: wrong pairs first, then the right ones one after the other.

Two lists are compared on the same resamples: the interval is that of the difference, and p twice the share of
resamples in which the difference is not on the side where it was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_fast.reports import metrics
from asl_fast.reports.predictions import Predictions
from asl_fast.reports.truth import Truth

FIGURES = ("uap", "rp90", "precision_at_n", "recall_at_1")
COVERAGE = 0.95
FULL, LARGE, FULL_UP_TO = 1000, 100, 1_000_000  # resamples: so many as long as that takes seconds
Floats = NDArray[np.float64]
Weights = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """low, high: the 95 % interval.  standard_error: of the resamples."""

    low: float
    high: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """b minus a, with its interval. p: two-sided, of no difference."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


class Ranking:
    """Predictions of one list, ready to be weighed anew. Wrong pairs below the last right one change nothing
    but precision at N.

    query_ids: all queries, in the order of the weights.  is_kept_P: what a filter keeps (None: all).
    precision at N is that without refill: of the top N of all, what the filter drops counts neither way.
    """

    def __init__(
        self,
        predictions: Predictions,
        truth: Truth,
        query_ids: list[str],
        is_kept_P: NDArray[np.bool_] | None = None,
    ) -> None:
        self.query_ids = query_ids
        place_of = {query: place for place, query in enumerate(query_ids)}
        place_Q = np.array([place_of[query] for query in predictions.query_ids], dtype=np.int32)
        right_P = predictions.are_right(truth)
        kept_P = np.ones(len(right_P), dtype=bool) if is_kept_P is None else is_kept_P
        badness_P = np.where(kept_P, np.where(right_P, 2, 0), 1).astype(np.int8)
        order_P = np.lexsort((badness_P, -predictions.score_P))
        query_P = place_Q[predictions.query_P[order_P]]
        right_P, kept_P, score_P = right_P[order_P], kept_P[order_P], predictions.score_P[order_P]
        self._num_matches_Q = np.bincount(
            [place_of[query] for query, _ in truth.pairs], minlength=len(self.query_ids)
        )
        self._top = query_P, right_P & kept_P, kept_P
        self._set_runs(query_P[kept_P], right_P[kept_P], score_P[kept_P])
        self._hit_Q = self._hits(query_P[kept_P], right_P[kept_P], score_P[kept_P])

    def _set_runs(self, query_P: NDArray[np.int32], right_P: NDArray[np.bool_], score_P: Floats) -> None:
        """Right pairs one by one, and the wrong ones between them."""
        place_R = np.flatnonzero(right_P)
        last = int(place_R[-1]) + 1 if len(place_R) else 0
        wrong_P = ~right_P[:last]
        self._query_R = query_P[place_R]
        self._wrong_query_W = query_P[:last][wrong_P]
        # how many wrong pairs stand before each right one
        self._wrong_before_R = np.cumsum(wrong_P)[place_R] if last else place_R
        # a threshold takes all right pairs of a tie: only the last of each can be an operating point
        score_R = score_P[place_R]
        self._ends_tie_R = np.append(score_R[1:] != score_R[:-1], True) if len(place_R) else place_R > 0

    def _hits(
        self, query_P: NDArray[np.int32], right_P: NDArray[np.bool_], score_P: Floats
    ) -> NDArray[np.bool_]:
        hit_Q = np.zeros(len(self.query_ids), dtype=bool)
        found_Q = metrics.best_is_all(query_P, score_P, right_P)
        hit_Q[: len(found_Q)] = found_Q
        return hit_Q

    def figures(self, weight_Q: Weights) -> Floats:
        """FIGURES of one resample; NaN where a figure does not exist."""
        num_matches = int(self._num_matches_Q @ weight_Q)
        num_matched = int(weight_Q[self._num_matches_Q > 0].sum())
        if num_matches == 0:
            return np.full(len(FIGURES), np.nan)
        weight_R = weight_Q[self._query_R].astype(np.int64)
        right_R = np.cumsum(weight_R)
        wrong_R = self._wrong_weight_before(weight_Q)
        hits = int(weight_Q[self._hit_Q].sum())
        return np.array(
            [
                _average_precision(weight_R, right_R, wrong_R) / num_matches,
                self._recall_at_p90(right_R, wrong_R) / num_matches,
                self._precision_at(num_matched, weight_Q),
                hits / num_matched,
            ]
        )

    def _wrong_weight_before(self, weight_Q: Weights) -> NDArray[np.int64]:
        """Weight of the wrong pairs that stand before each right one."""
        before_R = self._wrong_before_R
        if not len(before_R):
            return np.zeros(0, dtype=np.int64)
        weight_W = np.take(weight_Q, self._wrong_query_W)
        starts_R = np.append(0, before_R[:-1])
        filled_R = starts_R < before_R  # reduceat gives the next element for an empty run
        sums_R = np.zeros(len(before_R), dtype=np.int64)
        if filled_R.any():
            sums_R[filled_R] = np.add.reduceat(weight_W, starts_R[filled_R], dtype=np.int64)
        return np.cumsum(sums_R)

    def _recall_at_p90(self, right_R: NDArray[np.int64], wrong_R: NDArray[np.int64]) -> float:
        """Weight found at the last operating point of precision 0.9; 0 if it is never reached."""
        fits_R = self._ends_tie_R & (right_R >= 9 * wrong_R) & (right_R > 0)
        return float(right_R[fits_R].max(initial=0))

    def _precision_at(self, n: int, weight_Q: Weights) -> float:
        """Of the top n, wrong before right in a tie; the last pair counts in part if n falls inside it."""
        query_P, right_P, kept_P = self._top
        reach = 2 * n + 1000
        while True:
            weight_P = weight_Q[query_P[:reach]].astype(np.int64)
            upto_P = np.cumsum(weight_P)
            if reach >= len(query_P) or upto_P[-1] >= n:
                break
            reach *= 2
        taken_P = np.clip(n - (upto_P - weight_P), 0, weight_P)
        num_kept = int(taken_P[kept_P[:reach]].sum())
        return float(taken_P[right_P[:reach]].sum() / num_kept) if num_kept else np.nan


def _average_precision(
    weight_R: NDArray[np.int64], right_R: NDArray[np.int64], wrong_R: NDArray[np.int64]
) -> float:
    """Sum of the precisions at each copy of each right pair."""
    total = 0.0
    for copy in range(int(weight_R.max(initial=0))):  # rarely more than 7
        there_R = weight_R > copy
        found_R = (right_R - weight_R + copy + 1)[there_R]
        total += float(np.sum(found_R / (found_R + wrong_R[there_R])))
    return total


def resamples(num_queries: int, number: int, seed: int) -> Iterator[Weights]:
    """How often each query is drawn, `number` times over."""
    generator = np.random.default_rng(seed)
    for _ in range(number):
        drawn = generator.integers(num_queries, size=num_queries)
        yield np.minimum(np.bincount(drawn, minlength=num_queries), 255).astype(np.uint8)


def all_queries(truth: Truth, *lists: Predictions) -> list[str]:
    """Those of the truth, then those that only predictions name."""
    named = [*(query for query, _ in truth.pairs), *sorted(truth.distractors)]
    return list(dict.fromkeys([*named, *(query for said in lists for query in said.query_ids)]))


def usual_resamples(num_predictions: int) -> int:
    """1000, and 100 of more than a million predictions."""
    return FULL if num_predictions <= FULL_UP_TO else LARGE


def intervals(ranking: Ranking, number: int, seed: int = 0) -> dict[str, Interval]:
    """The interval of each figure, of `number` resamples; rp90 counts as 0 where P90 is not reached, and a
    figure that most resamples lack (precision of nothing) is left out.
    """
    figure_SF = _figures(number, seed, ranking)[0]
    made = {}
    for name, column_S in zip(FIGURES, figure_SF.T, strict=True):
        column_S = column_S[np.isfinite(column_S)]
        if len(column_S) >= number / 2:
            low, high = np.quantile(column_S, _tails())
            made[name] = Interval(
                low=float(low), high=float(high), standard_error=float(column_S.std(ddof=1))
            )
    return made


def differences(a: Ranking, b: Ranking, number: int, seed: int = 0) -> dict[str, Difference]:
    """b minus a, figure by figure, both weighed alike. Both rankings must be of the same queries."""
    if a.query_ids != b.query_ids:
        raise ValueError("bootstrap: two lists are compared on the same queries")
    ones = np.ones(len(a.query_ids), dtype=np.uint8)
    measured_a, measured_b = a.figures(ones), b.figures(ones)
    a_SF, b_SF = _figures(number, seed, a, b)
    made = {}
    for at, name in enumerate(FIGURES):
        difference_S = b_SF[:, at] - a_SF[:, at]
        difference_S = difference_S[np.isfinite(difference_S)]
        if len(difference_S) < number / 2 or not np.isfinite(measured_b[at] - measured_a[at]):
            continue
        low, high = np.quantile(difference_S, _tails())
        fewer = min(int((difference_S <= 0).sum()), int((difference_S >= 0).sum()))
        made[name] = Difference(
            a=float(measured_a[at]),
            b=float(measured_b[at]),
            difference=float(measured_b[at] - measured_a[at]),
            low=float(low),
            high=float(high),
            p=min(1.0, 2 * (fewer + 1) / (len(difference_S) + 1)),
        )
    return made


def _figures(number: int, seed: int, *rankings: Ranking) -> list[Floats]:
    """(number, FIGURES) of each ranking, on the same resamples."""
    drawn = resamples(len(rankings[0].query_ids), number, seed)
    figure_SLF = np.array([[ranking.figures(weight_Q) for ranking in rankings] for weight_Q in drawn])
    return [figure_SLF[:, at] for at in range(len(rankings))]


def _tails() -> tuple[float, float]:
    return (1 - COVERAGE) / 2, (1 + COVERAGE) / 2

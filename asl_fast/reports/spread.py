"""How scores and ratios of copies and of other pairs lie apart: what the histogram and the scatter show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.reports.kinds import COPY_KIND, QueryKinds
from asl_fast.reports.predictions import Predictions
from asl_fast.reports.truth import Truth

MIN_BINS, MAX_BINS = 20, 80
MAX_POINTS = 2000  # of each kind in the scatter
RIGHT, BEST_WRONG = "copies", "best wrong pair of each query"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Pairs of one kind. score_M, ratio_M: of all of them (no ratio: None); places of `shown` are plotted."""

    name: str
    score_M: NDArray[np.float64]
    ratio_M: NDArray[np.float64] | None
    shown: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """edges: of the bins of scores that all clouds share. tau: the largest ratio that is called a copy; None
    where nothing is judged.
    """

    clouds: tuple[Cloud, ...]
    edges: NDArray[np.float64]
    tau: float | None

    def counts(self, cloud: Cloud) -> NDArray[np.int64]:
        return np.histogram(cloud.score_M, self.edges)[0]

    def as_json(self) -> dict[str, Any]:
        """Counts of every bin; the points of the scatter, at most MAX_POINTS of a kind, drawn at random."""
        return {
            "bin_edges": self.edges.tolist(),
            "tau": self.tau,
            "kinds": [
                {
                    "name": cloud.name,
                    "counts": self.counts(cloud).tolist(),
                    "score": cloud.score_M[cloud.shown].tolist(),
                    "ratio": None if cloud.ratio_M is None else cloud.ratio_M[cloud.shown].tolist(),
                }
                for cloud in self.clouds
            ],
        }


def spread_of(
    predictions: Predictions,
    truth: Truth,
    *,
    kinds: QueryKinds | None = None,
    tau: float | None = None,
    seed: int = 0,
) -> Spread:
    """Right pairs as one kind; beside them the best pair of each query that has no match, by the benchmark's
    kinds, or the best wrong pair of each query where the benchmark names none.
    """
    right_P = predictions.are_right(truth)
    generator = np.random.default_rng(seed)
    clouds = [_cloud(RIGHT, np.flatnonzero(right_P), predictions, generator)]
    best_Q = _best_of_each_query(predictions, ~right_P)
    if kinds is None:
        clouds.append(_cloud(BEST_WRONG, best_Q[best_Q >= 0], predictions, generator))
    else:
        kind_Q = np.array([kinds.group_of.get(query, ("", ""))[0] for query in predictions.query_ids])
        for kind in sorted({kind for kind, _ in kinds.group_of.values()} - {COPY_KIND}):
            of_kind = best_Q[(kind_Q == kind) & (best_Q >= 0)]
            clouds.append(_cloud(kind, of_kind, predictions, generator))
    scores = np.concatenate([cloud.score_M for cloud in clouds])
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    if tau is None and predictions.ratio_P is not None and predictions.is_copy_P is not None:
        tau = float(predictions.ratio_P[predictions.is_copy_P].max(initial=0)) or None
    return Spread(
        clouds=tuple(clouds),
        edges=np.linspace(low, high if high > low else low + 1, _num_bins(len(scores)) + 1),
        tau=None if predictions.ratio_P is None else tau,
    )


def _num_bins(num_scores: int) -> int:
    return int(np.clip(np.sqrt(num_scores), MIN_BINS, MAX_BINS))


def _cloud(
    name: str, place_M: NDArray[np.intp], predictions: Predictions, generator: np.random.Generator
) -> Cloud:
    number = len(place_M)
    shown = np.arange(number)
    if number > MAX_POINTS:
        shown = np.sort(generator.choice(number, MAX_POINTS, replace=False))
    return Cloud(
        name=name,
        score_M=predictions.score_P[place_M],
        ratio_M=None if predictions.ratio_P is None else predictions.ratio_P[place_M],
        shown=shown,
    )


def _best_of_each_query(predictions: Predictions, wanted_P: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Place of the best wanted prediction of each query, -1 where there is none."""
    best_Q = np.full(len(predictions.query_ids), -1)
    place_W = np.flatnonzero(wanted_P)
    place_W = place_W[np.argsort(predictions.score_P[place_W], kind="stable")]
    best_Q[predictions.query_P[place_W]] = place_W  # the last one written stays: the best
    return best_Q

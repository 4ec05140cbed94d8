"""What to look at first: the worst false positives and misses of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_fast.reports.kinds import QueryKinds
from asl_fast.reports.predictions import Predictions
from asl_fast.reports.truth import Truth

DEFAULT_SHOWN = 24


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One pair. score, ratio: None where it was never predicted, or has no ratio. note: of the query."""

    query_id: str
    reference_id: str
    score: float | None
    ratio: float | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Each list is cut to what is shown; the numbers count all.

    false_positives: wrong pairs that are called copies, best score first.  dropped: right pairs that score
    well enough, but that the filter drops, best first.  missed: right pairs below the threshold, worst
    first; before them those that were never predicted.
    """

    false_positives: list[Shown]
    dropped: list[Shown]
    missed: list[Shown]
    num_false_positives: int
    num_dropped: int
    num_missed: int


def worst_pairs(
    predictions: Predictions,
    truth: Truth,
    threshold: float,
    *,
    is_kept_P: NDArray[np.bool_] | None = None,
    kinds: QueryKinds | None = None,
    num_shown: int = DEFAULT_SHOWN,
) -> Gallery:
    """is_kept_P: what the filter keeps; None: all."""
    right_P, score_P = predictions.are_right(truth), predictions.score_P
    kept_P = np.ones(len(predictions), dtype=bool) if is_kept_P is None else is_kept_P
    above_P = score_P >= threshold

    def shown(place_M: NDArray[np.intp]) -> list[Shown]:
        order_M = np.argsort(-score_P[place_M], kind="stable")[:num_shown]
        return [_predicted(predictions, place, kinds) for place in place_M[order_M].tolist()]

    false_P = np.flatnonzero(~right_P & kept_P & above_P)
    dropped_P = np.flatnonzero(right_P & ~kept_P & above_P)
    low_P = np.flatnonzero(right_P & ~above_P)
    low_P = low_P[np.argsort(score_P[low_P], kind="stable")]
    never = _never_predicted(predictions, truth, right_P)
    missed = [
        Shown(query_id=query, reference_id=reference, score=None, ratio=None, note=_note(query, kinds))
        for query, reference in never[:num_shown]
    ]
    missed += [_predicted(predictions, place, kinds) for place in low_P[: num_shown - len(missed)].tolist()]
    return Gallery(
        false_positives=shown(false_P),
        dropped=shown(dropped_P),
        missed=missed,
        num_false_positives=len(false_P),
        num_dropped=len(dropped_P),
        num_missed=len(low_P) + len(never),
    )


def _never_predicted(
    predictions: Predictions, truth: Truth, right_P: NDArray[np.bool_]
) -> list[tuple[str, str]]:
    found = {
        (predictions.query_ids[query], predictions.reference_ids[reference])
        for query, reference in zip(
            predictions.query_P[right_P].tolist(), predictions.reference_P[right_P].tolist(), strict=True
        )
    }
    return [pair for pair in truth.pairs if pair not in found]


def _predicted(predictions: Predictions, place: int, kinds: QueryKinds | None) -> Shown:
    query = predictions.query_ids[predictions.query_P[place]]
    return Shown(
        query_id=query,
        reference_id=predictions.reference_ids[predictions.reference_P[place]],
        score=float(predictions.score_P[place]),
        ratio=None if predictions.ratio_P is None else float(predictions.ratio_P[place]),
        note=_note(query, kinds),
    )


def _note(query: str, kinds: QueryKinds | None) -> str:
    return "" if kinds is None else ", ".join(filter(None, kinds.group_of.get(query, ())))

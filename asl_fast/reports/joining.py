"""Candidates of several methods in one list: who found a pair, and one score of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_fast.reports.predictions import Predictions

MEAN, MAX = "mean", "max"


class Joined(NamedTuple):
    """found_by_P: how many of the lists hold the pair."""

    predictions: Predictions
    found_by_P: NDArray[np.int64]


def joined(lists: Sequence[Predictions], *, found_by: int = 1, score: str = MEAN) -> Joined:
    """Every pair that at least `found_by` lists hold, best score first, ties by query, then reference.

    score: "mean" or "max" of the scores of the lists that hold it; scores of several lists must be on one
    scale. The ratio is that of the first list that holds the pair, where all lists have ratios. Memory: about
    100 bytes for each pair of each list.
    """
    if score not in (MEAN, MAX):
        raise ValueError(f"join: score must be {MEAN} or {MAX}, got {score!r}")
    if not 1 <= found_by <= len(lists):
        raise ValueError(
            f"join: found by must be from 1 to {len(lists)}, the number of lists, got {found_by}"
        )
    query_ids = _distinct([each.query_ids for each in lists])
    reference_ids = _distinct([each.reference_ids for each in lists])
    width = max(1, len(reference_ids))
    pair_P = np.concatenate(
        [
            _places(each.query_ids, query_ids)[each.query_P] * width
            + _places(each.reference_ids, reference_ids)[each.reference_P]
            for each in lists
        ]
    )
    order_P = np.argsort(pair_P, kind="stable")  # of one pair, the first list comes first
    pair_P = pair_P[order_P]
    first_F = np.flatnonzero(np.append(True, pair_P[1:] != pair_P[:-1])) if len(pair_P) else order_P
    count_F = np.diff(np.append(first_F, len(pair_P)))
    score_P = np.concatenate([each.score_P for each in lists])[order_P]
    if not len(pair_P):
        score_F = score_P
    elif score == MAX:
        score_F = np.maximum.reduceat(score_P, first_F)
    else:
        score_F = np.add.reduceat(score_P, first_F) / count_F
    kept_F = np.flatnonzero(count_F >= found_by)
    kept_F = kept_F[np.lexsort((pair_P[first_F[kept_F]], -score_F[kept_F]))]
    ratio_P = None
    if all(each.ratio_P is not None for each in lists):
        ratio_P = np.concatenate([each.ratio_P for each in lists if each.ratio_P is not None])
        ratio_P = ratio_P[order_P][first_F[kept_F]]
    query_P, reference_P = np.divmod(pair_P[first_F[kept_F]], width)
    predictions = Predictions(
        query_ids=query_ids,
        reference_ids=reference_ids,
        query_P=query_P,
        reference_P=reference_P,
        score_P=score_F[kept_F],
        ratio_P=ratio_P,
        name=" + ".join(each.name for each in lists),
    )
    return Joined(predictions, count_F[kept_F])


def _distinct(lists: Sequence[Sequence[str]]) -> list[str]:
    return sorted(set().union(*lists))


def _places(ids: Sequence[str], all_ids: list[str]) -> NDArray[np.int64]:
    place_of = {identity: place for place, identity in enumerate(all_ids)}
    return np.array([place_of[identity] for identity in ids], dtype=np.int64)

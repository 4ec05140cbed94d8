"""Pairs in order of score, some of them filtered out, queries counted any number of times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_fast.calibration.pairs import LabelledPairs

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Cut(NamedTuple):
    """Pairs with at least this score: what share of the truth they hold, and how many of them are right."""

    min_score: float
    recall: float
    precision: float


class Ranked(NamedTuple):
    """uap: micro average precision.  cuts: one for each goal, None where no score reaches it.

    gap: share of the right pairs that is kept, less that of their rivals, as many wrong pairs, the
    best-scored (Youden's J of the filter, where the scores are of no help).
    """

    uap: float
    gap: float
    cuts: tuple[Cut | None, ...]


class Ranking:
    """Pairs, best score first; among equal scores wrong ones first, so ties count worst case.

    score_P: in place of the pairs' own.
    """

    def __init__(self, pairs: LabelledPairs, score_P: Floats | None = None) -> None:
        score_P = pairs.score_P if score_P is None else score_P
        order_P = np.lexsort((pairs.is_right_P, -score_P))
        self._score_P, self._ratio_P = score_P[order_P], pairs.ratio_P[order_P]
        self._right_P = pairs.is_right_P[order_P].astype(np.float64)
        self._query_P = pairs.query_P[order_P]
        self._num_truth_Q = pairs.num_truth_Q
        rival_R = np.flatnonzero(self._right_P == 0)[: int(self._right_P.sum())]
        self._rival_P = np.zeros(len(pairs))
        self._rival_P[rival_R] = 1

    def tau_that_keeps(self, share: float, weight_Q: Floats | None = None) -> float:
        """The least tau at which this share passes of the right pairs that are among the best N by score, N
        being how many matches there are."""
        num_best = int(self._num_truth_Q.sum())
        right_R = np.flatnonzero(self._right_P[:num_best])
        weight_R = np.ones(len(right_R)) if weight_Q is None else weight_Q[self._query_P[right_R]]
        if not weight_R.sum():
            return float(self._ratio_P.max())
        order_R = np.argsort(self._ratio_P[right_R], kind="stable")
        reached_R = np.cumsum(weight_R[order_R]) / weight_R.sum()
        place = int(np.searchsorted(reached_R, share - 1e-12))
        return float(self._ratio_P[right_R[order_R[place]]])

    def measure(
        self, goals: tuple[float, ...], *, tau: float | None = None, weight_Q: Floats | None = None
    ) -> Ranked:
        """Of pairs with a ratio of at most tau, or of all; for each goal the score of highest recall with at
        least this precision, the strictest such. One wrong pair more must not bring it below: a precision of
        few pairs is luck.

        weight_Q: how often each query counts; a bootstrap resample is a list of such weights.
        """
        kept = slice(None) if tau is None else np.flatnonzero(self._ratio_P <= tau)
        right_K = step_K = self._right_P[kept]
        weight_K = np.ones(len(step_K))
        num_truth = float(self._num_truth_Q.sum())
        if weight_Q is not None:
            weight_K = weight_Q[self._query_P[kept]]
            step_K = right_K * weight_K
            num_truth = float(weight_Q @ self._num_truth_Q)
        gap = self._share(self._right_P, kept, weight_Q) - self._share(self._rival_P, kept, weight_Q)
        right_K, all_K = np.cumsum(step_K), np.cumsum(weight_K)
        if num_truth == 0 or not len(right_K) or right_K[-1] == 0:
            return Ranked(0.0, gap, (None,) * len(goals))
        precision_K = right_K / np.maximum(all_K, 1e-300)
        score_K = self._score_P[kept]
        # a threshold takes all of its ties
        end_T = np.flatnonzero(np.append(score_K[1:] != score_K[:-1], True) & (right_K > 0))
        right_T, precision_T = right_K[end_T], precision_K[end_T]
        cuts: list[Cut | None] = []
        for goal in goals:
            fits_F = np.flatnonzero(right_T >= goal * (all_K[end_T] + 1) - 1e-9)
            best = fits_F[np.argmax(right_T[fits_F])] if len(fits_F) else None
            cuts.append(
                None
                if best is None
                else Cut(
                    float(score_K[end_T[best]]), float(right_T[best] / num_truth), float(precision_T[best])
                )
            )
        return Ranked(float(step_K @ precision_K / num_truth), gap, tuple(cuts))

    def _share(self, is_one_P: Floats, kept: slice | NDArray[np.intp], weight_Q: Floats | None) -> float:
        """Which share of such pairs is kept; 0 of none."""
        if weight_Q is not None:
            is_one_P = is_one_P * weight_Q[self._query_P]
        return float(is_one_P[kept].sum() / max(float(is_one_P.sum()), 1e-300))

"""What thresholds are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class LabelledPairs:
    """P pairs of Q queries, of which some are right.

    score_P: higher = more alike.  ratio_P: |query| / |reference|.  query_P: number of the query.
    num_truth_Q: matches of each query, found or not; 0 for a query that has none.
    """

    score_P: NDArray[np.float64]
    ratio_P: NDArray[np.float64]
    is_right_P: NDArray[np.bool_]
    query_P: NDArray[np.int64]
    num_truth_Q: NDArray[np.int64]

    def __post_init__(self) -> None:
        columns = (self.score_P, self.ratio_P, self.is_right_P, self.query_P)
        if len({column.shape for column in columns}) != 1 or self.score_P.ndim != 1:
            raise ValueError(
                f"calibrate: columns must have one length, got {[column.shape for column in columns]}"
            )
        if not np.isfinite(self.score_P).all():
            raise ValueError("calibrate: scores must be finite; mend the matches")
        if not (np.isfinite(self.ratio_P) & (self.ratio_P > 0)).all():
            raise ValueError("calibrate: ratios must be finite and above 0; search the references again")
        right_Q = np.bincount(self.query_P[self.is_right_P], minlength=len(self.num_truth_Q))
        if len(right_Q) != len(self.num_truth_Q) or (right_Q > self.num_truth_Q).any():
            raise ValueError("calibrate: num_truth_Q must count every match of the ground truth")
        if not self.is_right_P.any():
            raise ValueError(
                "calibrate: not one pair is right, so no threshold can be fitted; check that matches and "
                "truth name pictures in the same way"
            )

    def __len__(self) -> int:
        return len(self.score_P)

    @property
    def num_queries(self) -> int:
        return len(self.num_truth_Q)

    def of_queries(self, is_in_Q: NDArray[np.bool_]) -> LabelledPairs:
        """Pairs and matches of some queries only; the others keep their number and have none."""
        kept_P = is_in_Q[self.query_P]
        return LabelledPairs(
            score_P=self.score_P[kept_P],
            ratio_P=self.ratio_P[kept_P],
            is_right_P=self.is_right_P[kept_P],
            query_P=self.query_P[kept_P],
            num_truth_Q=np.where(is_in_Q, self.num_truth_Q, 0),
        )

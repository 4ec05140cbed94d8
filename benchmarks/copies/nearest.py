"""The nearest references of each query by Hamming distance, as predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asl_fast.reports import Predictions

Bits = NDArray[np.bool_]


def predictions(
    name: str, query_ids: list[str], reference_ids: list[str], query_QB: Bits, reference_RWB: Bits, k: int
) -> Predictions:
    """The k nearest references of each query, and all that tie with the last; score: share of equal bits."""
    distance_QR = np.min(
        [_distances(query_QB, reference_RWB[:, way]) for way in range(reference_RWB.shape[1])], 0
    )
    k = min(k, len(reference_ids))
    last_Q = np.partition(distance_QR, k - 1, axis=1)[:, k - 1]
    query_P, reference_P = np.nonzero(distance_QR <= last_Q[:, None])
    return Predictions(
        query_ids=query_ids,
        reference_ids=reference_ids,
        query_P=query_P,
        reference_P=reference_P,
        score_P=1 - distance_QR[query_P, reference_P].astype(np.float64) / query_QB.shape[1],
        name=name,
    )


def _distances(query_QB: Bits, reference_RB: Bits) -> NDArray[np.int16]:
    """Hamming distances: of signs +-1, the product counts equal bits less different ones."""
    sign_QB, sign_RB = (np.where(bits, np.float32(1), np.float32(-1)) for bits in (query_QB, reference_RB))
    return ((query_QB.shape[1] - sign_QB @ sign_RB.T) / 2).astype(np.int16)

"""Rows of one picture seen at several sizes -> one row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def joined_scales(row_NSD: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, S, D) rows of N pictures at S sizes -> (N, D): the direction is that of the mean of the unit rows,
    the norm the geometric mean of the norms.

    The mean of unit rows is the field's (BoT averages 200, 256, 320 and 400 px). The geometric mean makes a
    ratio of two joined norms the geometric mean of the ratios at each size: a size at which all norms are
    larger has no more say than another. A picture with an unusable row at one size gets one of NaN. One size:
    the rows themselves.
    """
    if row_NSD.shape[1] == 1:
        return row_NSD[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        row_NSD64 = row_NSD.astype(np.float64)
        norm_NS1 = np.linalg.norm(row_NSD64, axis=2, keepdims=True)
        mean_ND = (row_NSD64 / norm_NS1).mean(axis=1)
        unit_ND = mean_ND / np.linalg.norm(mean_ND, axis=1, keepdims=True)
        return np.asarray(unit_ND * np.exp(np.log(norm_NS1).mean(axis=1)), np.float32)

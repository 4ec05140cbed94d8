"""Rows as directions, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 1 << 13


def unit_blocks(row_ND: NDArray[Any], norm_N: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """The rows as float32, divided by their own norms, some thousands at a time."""
    for first in range(0, len(row_ND), BLOCK_ROWS):
        block = slice(first, first + BLOCK_ROWS)
        yield row_ND[block].astype(np.float32).astype(np.float64) / norm_N[block, None]


def to_length_1(row_BD: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """ValueError, beginning with the name of what made them, if one is zero."""
    length_B = np.sqrt(np.square(row_BD).sum(axis=1))
    if not length_B.all():
        raise ValueError(f"{name}: leaves nothing of a row, so that it has no direction; drop that row")
    unit_BD: NDArray[np.float64] = row_BD / length_B[:, None]
    return unit_BD

"""Negative embedding subtraction: take from every row what it shares with pictures that are no copies of it.

    u <- u - beta * mean of its k nearest negatives,  to length 1      ("iterations" times)

The negatives are first smoothed among themselves: each becomes the sum of its k nearest, itself among them,
weighted by cos ^ 3, to length 1. Both sides of a search are treated alike. The winner of DISC21's descriptor
track had beta 0.35, k 10 and one iteration, with its training set as negatives (Yokoo, arXiv 2112.04323).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes import Index
from asl_fast.records import Embeddings, checked_norms
from asl_fast.transforms.directions import BLOCK_ROWS, to_length_1, unit_blocks


@dataclass(frozen=True, kw_only=True)
class Subtraction:
    """beta: above 0, finite.  k: neighbours.  iterations: 1 or more.  smoothed: see above."""

    beta: float = 0.35
    k: int = 10
    iterations: int = 1
    smoothed: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.beta < np.inf and self.k >= 1 and self.iterations >= 1):
            raise ValueError(
                f"negatives: beta must be a number above 0, k and iterations at least 1, got {self}; the "
                "challenge's winner had 0.35, 10 and 1"
            )


class Negatives:
    """Rows to subtract, ready to be found. ValueError if there are fewer than k."""

    def __init__(
        self,
        rows: ArrayLike | Embeddings,
        how: Subtraction = Subtraction(),
        *,
        num_threads: int | None = None,
    ) -> None:
        self.how, self._num_threads = how, num_threads
        self.name = rows.name if isinstance(rows, Embeddings) else "negatives"
        row_ND: NDArray[Any] = rows.row_ND if isinstance(rows, Embeddings) else np.asarray(rows)
        if len(row_ND) < how.k:
            raise ValueError(f"{self.name}: has {len(row_ND)} negatives, fewer than k = {how.k}; give more")
        norm_N = checked_norms(row_ND, self.name)
        self._hold(np.concatenate(list(unit_blocks(row_ND, norm_N))))
        if how.smoothed:
            self._hold(np.concatenate([self._smoothed(block) for block in _blocks(self._unit_ND)]))

    def _hold(self, unit_ND: NDArray[np.float64]) -> None:
        self._unit_ND = unit_ND.astype(np.float32)
        self._index = Index(self._unit_ND, num_threads=self._num_threads, grouping="never")

    def __call__(self, unit_BD: NDArray[np.float64]) -> NDArray[np.float64]:
        """unit_BD without what it shares with its nearest negatives."""
        if unit_BD.shape[1] != self._index.num_dims:
            raise ValueError(
                f"{self.name}: has {self._index.num_dims} columns but the rows have {unit_BD.shape[1]}; "
                "embed and whiten both alike"
            )
        for _ in range(self.how.iterations):
            unit_BD = np.concatenate([self._without(block) for block in _blocks(unit_BD)])
        return unit_BD

    def digest(self) -> bytes:
        """Of the rows and what is done with them."""
        return hashlib.sha256(self._unit_ND.tobytes() + repr(self.how).encode()).digest()

    def _smoothed(self, unit_BD: NDArray[np.float32]) -> NDArray[np.float64]:
        found = self._index.search(unit_BD, self.how.k, direction="both")
        total_BD = np.zeros(unit_BD.shape)
        for row_B, score_B in zip(found.ref_row_QK.T, found.score_QK.T, strict=True):
            total_BD += (score_B * score_B * score_B)[:, None] * self._unit_ND[row_B]
        return to_length_1(total_BD, self.name)

    def _without(self, unit_BD: NDArray[np.float64]) -> NDArray[np.float64]:
        found = self._index.search(unit_BD.astype(np.float32), self.how.k, direction="both")
        total_BD = np.zeros(unit_BD.shape)
        for row_B in found.ref_row_QK.T:
            total_BD += self._unit_ND[row_B]
        return to_length_1(unit_BD - self.how.beta * (total_BD / self.how.k), self.name)


def _blocks(row_ND: NDArray[Any]) -> list[NDArray[Any]]:
    return [row_ND[first : first + BLOCK_ROWS] for first in range(0, len(row_ND), BLOCK_ROWS)]

"""Which places of a FAISS index hold references that may pass the ratio test, as selectors of FAISS.

In norm order (largest first) the references that pass it are a prefix of the ranks, a suffix for "original".
Where the index was filled in norm order, that is a range of its places, which FAISS pushes into inverted
lists; otherwise a bitmap of places. Both only steer: the exact per-pair test follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.faiss_index.library import library

_LEAST_SHARE = 0.75  # of a bucket's longest range, that its shortest must reach


@dataclass(frozen=True)
class Bucket:
    """Queries searched together: their numbers, and the ranks among which all their valid references are."""

    query_B: NDArray[np.int64]
    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin


class NormOrder:
    """References by rank. row_P: the reference at each place of the index; norm_N: by reference row."""

    def __init__(self, row_P: NDArray[np.int64], norm_N: NDArray[np.float64]) -> None:
        self.row_P = row_P
        norm_P = norm_N[row_P]
        self.places_are_ranks = bool((norm_P[:-1] >= norm_P[1:]).all())
        place_R = np.argsort(-norm_P, kind="stable")
        self._norm_R = norm_P[place_R]
        self._rank_P = np.empty_like(place_R)
        self._rank_P[place_R] = np.arange(len(place_R))

    def __len__(self) -> int:
        return len(self.row_P)

    def valid(
        self, norm_Q: NDArray[np.float64], tau_Q: NDArray[np.float64], direction: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """begin_Q, end_Q: ranks that pass, by bisection with the float expression of the per-pair test."""
        low_Q, high_Q = np.zeros(len(norm_Q), np.int64), np.full(len(norm_Q), len(self))
        whole_Q = high_Q.copy()
        if direction == "both":
            return low_Q, whole_Q
        while (open_Q := low_Q < high_Q).any():
            middle_Q = np.minimum((low_Q + high_Q) // 2, len(self) - 1)
            passes_Q = norm_Q / self._norm_R[middle_Q] <= tau_Q
            low_Q = np.where(open_Q & passes_Q, middle_Q + 1, low_Q)
            high_Q = np.where(open_Q & ~passes_Q, middle_Q, high_Q)
        return (np.zeros_like(low_Q), low_Q) if direction == "copy" else (low_Q, whole_Q)

    def selector(self, bucket: Bucket) -> Any:
        """The bucket's places. Keep it as long as FAISS searches with it."""
        faiss = library()
        if self.places_are_ranks:
            return faiss.IDSelectorRange(bucket.begin, bucket.end, True)
        is_in_P = (self._rank_P >= bucket.begin) & (self._rank_P < bucket.end)
        return faiss.IDSelectorBitmap(np.packbits(is_in_P, bitorder="little"))


def buckets(
    query_M: NDArray[np.int64], begin_Q: NDArray[np.int64], end_Q: NDArray[np.int64], most: int
) -> Iterator[Bucket]:
    """Cut the queries into buckets of at most `most`, with ranges of nearly one length, longest first."""
    size_M = (end_Q - begin_Q)[query_M]
    order_M = np.argsort(-size_M, kind="stable")
    query_M, size_M = query_M[order_M], size_M[order_M]
    first = 0
    while first < len(query_M):
        near = int(np.searchsorted(-size_M, -_LEAST_SHARE * size_M[first], side="right"))
        mine_B = query_M[first : min(near, first + most)]
        yield Bucket(mine_B, int(begin_Q[mine_B].min()), int(end_Q[mine_B].max()))
        first += len(mine_B)

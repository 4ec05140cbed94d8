"""How much of the exact answer an approximate search found, on a sample of its queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_fast.records import Candidates


@dataclass(frozen=True, kw_only=True)
class Recall:
    """num_found of the num_exact pairs that the exact search gives for num_queries sampled queries."""

    num_queries: int
    num_found: int
    num_exact: int

    @property
    def share(self) -> float:
        """From 0 to 1; 1 where there is nothing to find."""
        return self.num_found / self.num_exact if self.num_exact else 1.0

    def __str__(self) -> str:
        return (
            f"recall {self.share:.4f} against the exact engine ({self.num_found} of {self.num_exact} pairs "
            f"of {self.num_queries} sampled queries)"
        )


def sampled(num_queries: int, sample: int) -> NDArray[np.int64]:
    """Rows of at most `sample` queries, evenly spaced, so that the same ones are taken each time."""
    return np.unique(np.linspace(0, num_queries - 1, min(sample, num_queries)).astype(np.int64))


def compared(found: Candidates, exact: Candidates) -> Recall:
    """Count the pairs of `exact` that `found` has. Both: of the same queries."""
    num_found = num_exact = 0
    for exact_K, found_K in zip(exact.ref_row_QK, found.ref_row_QK, strict=True):
        wanted = exact_K[exact_K >= 0]
        num_exact += len(wanted)
        num_found += int(np.isin(wanted, found_K).sum())
    return Recall(num_queries=len(exact.ref_row_QK), num_found=num_found, num_exact=num_exact)

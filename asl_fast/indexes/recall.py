"""How much of the exact answer an approximate search finds, on a sample of its queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes.searchable import Searchable
from asl_fast.records import Embeddings
from asl_fast.thresholds import SoftRatio


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


def measured_recall(
    index: Searchable,
    exact: Searchable,
    queries: Embeddings,
    *,
    k: int | None,
    tau: float = 1.0,
    min_score: float | None = None,
    direction: str = "copy",
    bias: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    soft: SoftRatio | None = None,
    sample: int = 100,
) -> Recall:
    """Search `sample` of the queries, evenly spaced, in both; k=None: every pair from min_score on.

    bias, scale: one number, or one per query.
    """
    query_S = np.unique(np.linspace(0, len(queries) - 1, min(sample, len(queries))).astype(np.int64))
    row_SD, norm_S = queries.row_ND[query_S], queries.norm_N[query_S]
    bias_S, scale_S = (np.broadcast_to(each, len(queries))[query_S] for each in (bias, scale))

    def pairs(where: Searchable) -> NDArray[np.int64]:
        """Numbers of the pairs, one for each."""
        how = {"direction": direction, "query_norms": norm_S, "bias": bias_S, "scale": scale_S, "soft": soft}
        if k is not None:
            found = [where.search(row_SD, k, tau, min_score, **how).pairs()]  # type: ignore[arg-type]
        else:
            found = list(where.pairs_above(row_SD, min_score, tau, **how))  # type: ignore[arg-type]
        return np.concatenate(
            [np.empty(0, np.int64), *(part.query_row_M * len(where) + part.ref_row_M for part in found)]
        )

    exact_M = pairs(exact)
    num_found = int(np.isin(exact_M, pairs(index)).sum())
    return Recall(num_queries=len(query_S), num_found=num_found, num_exact=len(exact_M))

"""How much of the exact answer an approximate search found, on a sample of its queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from asl_fast.kernels.ratio_search import PreparedRefs
from asl_fast.records import Candidates, Embeddings


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
            f"recall {self.share:.4f} against the exact engine ({self.num_found} of {self.num_exact} pairs of "
            f"{self.num_queries} sampled queries)"
        )


def measured_recall(
    found: Candidates,
    refs: Embeddings,
    queries: Embeddings,
    *,
    sample: int,
    k: int | None,
    tau: ArrayLike,
    min_score: float | None,
    direction: str,
    num_threads: int | None = None,
) -> Recall:
    """Search `sample` queries, evenly spaced, with the exact engine too. The other arguments as they were."""
    query_S = np.unique(np.linspace(0, len(queries) - 1, min(sample, len(queries))).astype(np.int64))
    prepared = PreparedRefs(
        refs.row_ND, norm_N=refs.norm_N, num_threads=num_threads, name=refs.name, ids=refs.ids
    )
    exact = prepared.search(
        queries.row_ND[query_S],
        k=k,
        tau=tau,
        min_score=min_score,
        direction=direction,
        norm_Q=queries.norm_N[query_S],
        name=queries.name,
    )
    num_found = num_exact = 0
    for exact_K, found_K in zip(exact.ref_row_QK, found.ref_row_QK[query_S], strict=True):
        wanted = exact_K[exact_K >= 0]
        num_exact += len(wanted)
        num_found += int(np.isin(wanted, found_K).sum())
    return Recall(num_queries=len(query_S), num_found=num_found, num_exact=num_exact)
